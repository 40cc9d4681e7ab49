// Optimizers of first order: from a mean gradient to a step, entry by entry.
//
//   sgd    v <- μ v + g,  w <- w - η v                               (heavy ball, as in the common
//   frameworks) adam   m <- β₁ m + (1 - β₁) g,  v <- β₂ v + (1 - β₂) g²,
//          w <- w - η m̂ / (√v̂ + ε),  m̂ = m/(1 - β₁ᵗ),  v̂ = v/(1 - β₂ᵗ)      (Kingma & Ba 2015, 1412.6980)
//
// State lives in matrices like the weights, allocated once.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "train.h"

struct optimizer_kind {
    const char *name;
    double rate;   // the default
    size_t states; // matrices kept per layer
    // n entries: gradient scale·g, states s[0], s[1], weights w.
    void (*update)(const optimizer *o, size_t n, double scale, const double *g, double *const *s,
                   double *restrict w);
};

static void update_sgd(const optimizer *o, size_t n, double scale, const double *g, double *const *s,
                       double *restrict w) {
    const double rate = o->rate, momentum = o->momentum;
    double *restrict v = s[0];
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + scale * g[i];
        w[i] -= rate * v[i];
    }
}

static void update_adam(const optimizer *o, size_t n, double scale, const double *g, double *const *s,
                        double *restrict w) {
    const double beta1 = o->beta1, beta2 = o->beta2, epsilon = o->epsilon, t = (double)o->iteration;
    const double step = o->rate / (1 - pow(beta1, t)), correction = 1 / sqrt(1 - pow(beta2, t));
    double *restrict m = s[0], *restrict v = s[1];
    for (size_t i = 0; i < n; i++) {
        double gradient = scale * g[i];
        m[i] = beta1 * m[i] + (1 - beta1) * gradient;
        v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        w[i] -= step * m[i] / (correction * sqrt(v[i]) + epsilon);
    }
}

static const optimizer_kind kinds[] = {
    {"sgd", 0.3, 1, update_sgd},
    {"adam", 1e-3, 2, update_adam},
};

static fim_status find(const char *name, const optimizer_kind **out) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strcmp(kinds[k].name, name) == 0) {
            *out = &kinds[k];
            return FIM_OK;
        }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown optimizer '%s' (known: sgd, adam)", name);
}

fim_status optimizer_bytes(const char *name, size_t parameters, size_t *out) {
    const optimizer_kind *kind = NULL;
    fim_status status = find(name, &kind);
    if (status == FIM_OK)
        *out = fim_size_mul(fim_size_mul(parameters, kind->states), sizeof(double));
    return status;
}

fim_status optimizer_init(optimizer *o, const fim_train_options *options, const fim_net *net) {
    fim_status status = FIM_OK;
    optimizer made = {.momentum = options->momentum,
                      .beta1 = options->beta1,
                      .beta2 = options->beta2,
                      .epsilon = options->epsilon,
                      .n_layers = net->n_layers};
    FIM_TRY(find(options->optimizer, &made.kind));
    made.rate = options->learning_rate != 0 ? options->learning_rate : made.kind->rate;
    for (size_t k = 0; k < made.kind->states; k++) {
        FIM_TRY(fim_alloc(net->n_layers, sizeof *made.state[k], "optimizer state", &made.state[k]));
        for (size_t l = 0; l < net->n_layers; l++)
            FIM_TRY(fim_matrix_new(net->layers[l].w->size1, net->layers[l].w->size2, "optimizer state",
                                   &made.state[k][l]));
    }
    *o = made;
    return FIM_OK;
out:
    optimizer_clear(&made);
    return status;
}

void optimizer_clear(optimizer *o) {
    for (size_t k = 0; k < sizeof o->state / sizeof *o->state; k++) {
        for (size_t l = 0; o->state[k] != NULL && l < o->n_layers; l++)
            gsl_matrix_free(o->state[k][l]);
        free(o->state[k]);
    }
    *o = (optimizer){0};
}

const char *optimizer_name(const optimizer *o) {
    return o->kind->name;
}

void optimizer_step(optimizer *o, fim_net *net, gsl_matrix *const *grads, double scale) {
    o->iteration++;
    for (size_t l = 0; l < net->n_layers; l++) {
        gsl_matrix *w = net->layers[l].w;
        for (size_t r = 0; r < w->size1; r++) {
            double *states[2] = {NULL, NULL};
            for (size_t k = 0; k < o->kind->states; k++)
                states[k] = gsl_matrix_ptr(o->state[k][l], r, 0);
            o->kind->update(o, w->size2, scale, gsl_matrix_const_ptr(grads[l], r, 0), states,
                            gsl_matrix_ptr(w, r, 0));
        }
    }
}
