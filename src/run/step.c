// From a direction to a step, entry by entry.
//
//   sgd    v <- μ v + d + δ w,  w <- w − η v         (heavy ball, as in the common frameworks)
//          w <- w − η (d + δ w + μ v)                with nesterov
//   adam   m <- β₁ m + (1 − β₁) d,  v <- β₂ v + (1 − β₂) d²,
//          w <- w − η (m̂ / (√v̂ + ε) + δ w),  m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)
//          (Kingma & Ba 2015, 1412.6980; the decay outside the moments as in Loshchilov & Hutter, 1711.05101)
//
// These loops read and write every weight and state once: memory, not arithmetic, is their time, and two
// threads have twice the bandwidth of one.
#include "step.h"

// Entries from which a second thread is worth waking.
#define PARALLEL_ENTRIES ((size_t)1 << 16)

static void update_sgd(const step_rule *rule, double rate, double length, size_t n, const real *restrict d,
                       real *restrict v, real *restrict w) {
    const real eta = (real)rate, mu = (real)rule->momentum, delta = (real)rule->weight_decay,
               nu = (real)length;
    const real fresh = rule->nesterov ? 1 : 0, kept = rule->nesterov ? mu : 1;
#pragma omp parallel for simd if (n >= PARALLEL_ENTRIES)
    for (size_t i = 0; i < n; i++) {
        const real move = nu * d[i] + delta * w[i];
        v[i] = mu * v[i] + move;
        w[i] -= eta * (fresh * move + kept * v[i]);
    }
}

static void update_adam(const step_rule *rule, double rate, double length, size_t t, size_t n,
                        const real *restrict d, real *restrict m, real *restrict v, real *restrict w) {
    const real beta1 = (real)rule->beta1, beta2 = (real)rule->beta2, epsilon = (real)rule->epsilon;
    const real left1 = (real)(1 - rule->beta1), left2 = (real)(1 - rule->beta2);
    const real step = (real)(rate / (1 - pow(rule->beta1, (double)t)));
    const real correction = (real)(1 / sqrt(1 - pow(rule->beta2, (double)t)));
    const real decay = (real)(rate * rule->weight_decay), nu = (real)length;
#pragma omp parallel for simd if (n >= PARALLEL_ENTRIES)
    for (size_t i = 0; i < n; i++) {
        const real g = nu * d[i];
        m[i] = beta1 * m[i] + left1 * g;
        v[i] = beta2 * v[i] + left2 * g * g;
        w[i] -= step * m[i] / (correction * sqrt(v[i]) + epsilon) + decay * w[i];
    }
}

void REAL(step_update)(const step_rule *rule, double rate, double length, size_t t, size_t n, const real *d,
                       real *const *s, real *w) {
    if (rule->adam)
        update_adam(rule, rate, length, t, n, d, s[0], s[1], w);
    else
        update_sgd(rule, rate, length, n, d, s[0], w);
}

// In a fixed number of parts, so that the sum does not depend on the number of threads or their order.
double REAL(step_dot)(size_t n, const real *x, const real *y) {
    enum { PARTS = 64 };
    double part[PARTS];
#pragma omp parallel for if (n >= PARALLEL_ENTRIES)
    for (size_t p = 0; p < PARTS; p++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = p * n / PARTS; i < (p + 1) * n / PARTS; i++)
            sum += (double)x[i] * (double)y[i];
        part[p] = sum;
    }
    double sum = 0;
    for (size_t p = 0; p < PARTS; p++)
        sum += part[p];
    return sum;
}
