// spectrum_error, ‖λ(F) − λ(F̂)‖ / ‖λ(F)‖ over eigenvalues in decreasing order: a number where both spectra
// are complete, else an interval whose upper end is reported.
//
// Let k eigenvalues be known on both sides, x and y be the m others, in decreasing order, with the sums τ and
// the sums of squares t². ‖x − y‖² = t_x² + t_y² − 2P, and P = Σ x_i y_i has bounds.
//   Both unknown but for τ and t: Chebyshev's sum inequality and Cauchy's on what is around the means,
//     τ_x τ_y/m <= P <= τ_x τ_y/m + s_x s_y,   s² = t² − τ²/m.
//   x known: P = x_m τ_y + Σ_{j<m} (x_j − x_{j+1}) Y_j over the partial sums Y_j = y_1 + … + y_j, for which
//     jτ/m <= Y_j <= min(j c, jτ/m + s √(j(m−j)/m)),   c = the last known eigenvalue before y,
//   and for a semidefinite y, Y_j <= τ, and t² <= c Y_j + (τ − Y_j) Y_j/j bounds it from below.
// Besides, ‖λ(F) − λ(F̂)‖ <= ‖F − F̂‖_F (Hoffman & Wielandt, Duke Math. J. 20, 1953).
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "metric.h"

// The part of a spectrum behind the first k eigenvalues.
typedef struct tail {
    const fim_spectrum *spectrum;
    size_t k, m;
    double sum, norm2; // τ, t²
    double cap;        // eigenvalue k, which none of the tail exceeds
    bool nonnegative;
} tail;

static double eigenvalue(const fim_spectrum *s, size_t i) {
    return i < s->values->size ? gsl_vector_get(s->values, i) : 0;
}

// k >= 1, as one eigenvalue is always known.
static tail tail_of(const fim_spectrum *s, size_t k, bool nonnegative) {
    tail t = {.spectrum = s,
              .k = k,
              .m = s->size - k,
              .sum = s->tail_trace,
              .norm2 = s->tail_norm * s->tail_norm,
              .cap = eigenvalue(s, k - 1),
              .nonnegative = nonnegative};
    for (size_t i = k; i < s->values->size; i++) {
        const double value = gsl_vector_get(s->values, i);
        t.sum += value;
        t.norm2 += value * value;
    }
    return t;
}

// √(t² − τ²/m).
static double spread(const tail *t) {
    return sqrt(fmax(t->norm2 - t->sum * t->sum / (double)t->m, 0));
}

// Bounds of P for a known x and a y of which τ, t and the cap are known.
static void known_product(const tail *x, const tail *y, double *low, double *high) {
    const size_t m = x->m;
    const double mean = y->sum / (double)m, s = spread(y);
    *low = *high = eigenvalue(x->spectrum, x->k + m - 1) * y->sum;
    for (size_t i = 1; i < m; i++) {
        const double drop = eigenvalue(x->spectrum, x->k + i - 1) - eigenvalue(x->spectrum, x->k + i);
        if (drop <= 0)
            continue;
        const double j = (double)i;
        double least = j * mean;
        double most = fmin(j * y->cap, j * mean + s * sqrt(j * (double)(m - i) / (double)m));
        if (y->nonnegative) {
            const double half = (j * y->cap + y->sum) / 2;
            least = fmax(least, half - sqrt(fmax(half * half - j * y->norm2, 0)));
            most = fmin(most, y->sum);
        }
        *low += drop * least;
        *high += drop * fmax(most, least);
    }
}

// The interval of ‖x − y‖².
static void tail_interval(const tail *x, const tail *y, double *low, double *high) {
    if (x->m == 0) {
        *low = *high = 0;
        return;
    }
    const double means = x->sum * y->sum / (double)x->m;
    double least = means, most = means + spread(x) * spread(y); // of P
    if (x->spectrum->complete || y->spectrum->complete) {
        double from, to;
        known_product(x->spectrum->complete ? x : y, x->spectrum->complete ? y : x, &from, &to);
        least = fmax(least, from);
        most = fmin(most, to);
    }
    const double squares = x->norm2 + y->norm2;
    *low = fmax(squares - 2 * most, 0);
    *high = fmax(squares - 2 * least, *low);
}

// The interval of ‖λ(F) − λ(F̂)‖, not yet relative.
static fim_status interval(fim_candidate *candidate, const fim_spectrum *exact,
                           const fim_spectrum *approximate, double *low, double *high) {
    size_t k = exact->size;
    if (!exact->complete && exact->values->size < k)
        k = exact->values->size;
    if (!approximate->complete && approximate->values->size < k)
        k = approximate->values->size;
    double top = 0;
    for (size_t i = 0; i < k; i++)
        top += pow(eigenvalue(exact, i) - eigenvalue(approximate, i), 2);
    const tail x = tail_of(exact, k, true), y = tail_of(approximate, k, false);
    tail_interval(&x, &y, low, high);
    const double slack = exact->slack + approximate->slack;
    *low = fmax(sqrt(top + *low) - slack, 0);
    *high = sqrt(top + *high) + slack;
    if (exact->complete && approximate->complete)
        return FIM_OK;
    double norm2, frobenius2;
    const char *route;
    fim_status status = fim_op_norm2(candidate->op, &norm2);
    if (status == FIM_OK)
        status = candidate_frobenius2(candidate, &frobenius2, &route);
    if (status != FIM_OK)
        return status;
    // What is left of the norms after subtracting the leading part carries their rounding.
    const double rounding = 64 * DBL_EPSILON * (candidate->reference->norm2 + norm2);
    *low = sqrt(fmax(*low * *low - rounding, 0));
    *high = sqrt(*high * *high + rounding);
    *high = fmax(fmin(*high, sqrt(frobenius2)), *low);
    return FIM_OK;
}

fim_status metric_spectrum_error(fim_candidate *candidate, double *value, char *route) {
    const fim_spectrum *exact, *approximate;
    double low, high, norm2 = candidate->reference->norm2;
    fim_status status = fim_reference_spectrum(candidate->reference, &exact);
    if (status == FIM_OK && !(norm2 > 0))
        status = FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero");
    if (status == FIM_OK)
        status = fim_candidate_spectrum(candidate, &approximate);
    if (status == FIM_OK)
        status = interval(candidate, exact, approximate, &low, &high);
    if (status != FIM_OK)
        return status;
    const double norm = sqrt(norm2);
    *value = high / norm;
    if (high - low > 1e-6 * high)
        snprintf(route, 200, "upper bound, at least %.4g: F: %.75s; F̂: %.75s", low / norm, exact->route,
                 approximate->route);
    else
        snprintf(route, 200, "F: %.90s; F̂: %.90s", exact->route, approximate->route);
    return FIM_OK;
}
