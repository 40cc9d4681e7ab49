// What the files of the net room share.
#ifndef FIM_NET_INTERNAL_H
#define FIM_NET_INTERNAL_H

#include <math.h>

#include "fim/net.h"

// Elements from which an elementwise loop wakes other threads. It is large because OpenMP's threads spin for
// some milliseconds after their work, on the cores that the BLAS's threads need next: measured, a training
// step of 256 x 784 takes 2.5 times as long with parallel loops as without.
#define PARALLEL_ELEMENTS ((size_t)1 << 22)

// 1/(1 + exp(−s)) and log(1 + exp(s)), without overflow and without losing small values.
static inline double logistic(double s) {
    double e = exp(-fabs(s));
    return (s >= 0 ? 1 : e) / (1 + e);
}

static inline double softplus(double s) {
    return (s > 0 ? s : 0) + log1p(exp(-fabs(s)));
}

// Index of `text` in names[0..count). FIM_ERR_UNKNOWN lists them; `what` says what they name.
fim_status name_find(const char *what, const char *const *names, size_t count, const char *text, size_t *out);

// a[r][j] = φ(s[r][j]) for all r, j of s; a may have more columns, which stay as they are.
void activation_map(fim_activation activation, const gsl_matrix *s, gsl_matrix *a);
// g[r·columns + c][j] *= φ'(s[r][j]) for all c < columns.
void activation_scale(fim_activation activation, const gsl_matrix *s, size_t columns, gsl_matrix *g);

#endif
