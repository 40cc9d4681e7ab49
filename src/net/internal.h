// What the files of the net room share.
#ifndef FIM_NET_INTERNAL_H
#define FIM_NET_INTERNAL_H

#include "fim/net.h"
#include "fim/real.h"

// Elements from which an elementwise loop wakes other threads, which sleep in between: programs set
// OMP_WAIT_POLICY=passive, for spinning threads take the cores that the BLAS's threads need next. Functions
// of float64 numbers are called one by one, those of float32 in vectors.
#ifdef FIM_SINGLE
#define PARALLEL_ELEMENTS ((size_t)1 << 15)
#else
#define PARALLEL_ELEMENTS ((size_t)1 << 13)
#endif

#ifdef FIM_SINGLE
// The vector forms of these functions in glibc's libmvec, which its own headers declare under -ffast-math
// alone.
#pragma omp declare simd notinbranch
extern float expf(float x);
#pragma omp declare simd notinbranch
extern float log1pf(float x);
#endif

// 1/(1 + exp(−s)) and log(1 + exp(s)), without overflow and without losing small values.
static inline real logistic(real s) {
    real e = exp(-fabs(s));
    return (s >= 0 ? 1 : e) / (1 + e);
}

static inline real softplus(real s) {
    return (s > 0 ? s : 0) + log1p(exp(-fabs(s)));
}

// out[j] = φ(in[j]) and out[j] = φ'(in[j]), j < n.
void REAL(activation_values)(fim_activation activation, const real *in, size_t n, real *out);
void REAL(activation_slopes)(fim_activation activation, const real *in, size_t n, real *out);
// a[r][j] = φ(s[r][j]) for all r, j of s; a may have more columns, which stay as they are.
void REAL(activation_map)(fim_activation activation, const REAL_MATRIX *s, REAL_MATRIX *a);
// g[r·columns + c][j] *= φ'(s[r][j]) for all c < columns.
void REAL(activation_scale)(fim_activation activation, const REAL_MATRIX *s, size_t columns, REAL_MATRIX *g);

// The targets: y, or the inputs of an auto-encoder.
const REAL_MATRIX *REAL(targets)(const REAL(fim_data) * data);
// The mean of y under the model, of n logits z.
void REAL(output_mean)(fim_likelihood likelihood, const real *z, size_t n, real *mean);

// The first rows and columns of m.
static inline REAL_MATRIX REAL(head)(const REAL_MATRIX *m, size_t rows, size_t columns) {
    REAL_MATRIX view = *m;
    view.size1 = rows;
    view.size2 = columns;
    view.block = NULL;
    view.owner = 0;
    return view;
}

// The weight without the bias column.
static inline REAL_MATRIX REAL(weight)(const REAL(fim_layer) * layer) {
    return REAL(head)(layer->w, layer->w->size1, REAL(fim_layer_inputs)(layer));
}

#endif
