// activations.def turned into functions of whole batches.
//
// The switch over activations stands outside the loop over a row, so that the compiler sees one formula per
// loop and vectorizes those that allow it.
#include "internal.h"

// φ'(s) of the logistic function: p(1 − p) without the cancellation in 1 − p.
static inline real logistic_slope(real s) {
    real e = exp(-fabs(s));
    return e / ((1 + e) * (1 + e));
}

// Φ(s), by the complementary error function so that the left tail keeps its digits.
static inline real normal_cdf(real s) {
    return erfc(-(real)M_SQRT1_2 * s) / 2;
}

static inline real normal_pdf(real s) {
    return (real)(M_2_SQRTPI * M_SQRT1_2 / 2) * exp(-s * s / 2);
}

void REAL(activation_values)(fim_activation activation, const real *in, size_t n, real *out) {
    switch (activation) {
#define FIM_ACTIVATION(id, name, value, slope)                                                               \
    case FIM_ACTIVATION_##id:                                                                                \
        for (size_t j = 0; j < n; j++) {                                                                     \
            const real s = in[j];                                                                            \
            out[j] = value;                                                                                  \
        }                                                                                                    \
        break;
#include "fim/activations.def"
#undef FIM_ACTIVATION
    case FIM_ACTIVATION_COUNT:
        break;
    }
}

void REAL(activation_slopes)(fim_activation activation, const real *in, size_t n, real *out) {
    switch (activation) {
#define FIM_ACTIVATION(id, name, value, slope)                                                               \
    case FIM_ACTIVATION_##id:                                                                                \
        for (size_t j = 0; j < n; j++) {                                                                     \
            const real s = in[j];                                                                            \
            (void)s;                                                                                         \
            out[j] = slope;                                                                                  \
        }                                                                                                    \
        break;
#include "fim/activations.def"
#undef FIM_ACTIVATION
    case FIM_ACTIVATION_COUNT:
        break;
    }
}

void REAL(activation_map)(fim_activation activation, const REAL_MATRIX *s, REAL_MATRIX *a) {
#pragma omp parallel for if (s->size1 * s->size2 >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < s->size1; r++)
        REAL(activation_values)(activation, s->data + r * s->tda, s->size2, a->data + r * a->tda);
}

void REAL(activation_scale)(fim_activation activation, const REAL_MATRIX *s, size_t columns, REAL_MATRIX *g) {
    if (activation == FIM_ACTIVATION_IDENTITY)
        return;
    enum { BLOCK = 256 }; // slopes of one sample are computed once, a block at a time, for all its columns
#pragma omp parallel for if (g->size1 * g->size2 >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < s->size1; r++) {
        real slope[BLOCK];
        for (size_t begin = 0; begin < s->size2; begin += BLOCK) {
            size_t n = s->size2 - begin < BLOCK ? s->size2 - begin : BLOCK;
            REAL(activation_slopes)(activation, s->data + r * s->tda + begin, n, slope);
            for (size_t c = 0; c < columns; c++) {
                real *row = g->data + (r * columns + c) * g->tda + begin;
                for (size_t j = 0; j < n; j++)
                    row[j] *= slope[j];
            }
        }
    }
}
