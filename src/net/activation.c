// Activations: activations.def turned into functions of one number and of whole batches.
//
// In the batch loops the switch over activations stands outside the loop over a row, so that the compiler
// sees one formula per loop and vectorizes those that allow it.
#include "internal.h"

// φ'(s) of the logistic function: p(1 − p) without the cancellation in 1 − p.
static inline double logistic_slope(double s) {
    double e = exp(-fabs(s));
    return e / ((1 + e) * (1 + e));
}

// Φ(s), by the complementary error function so that the left tail keeps its digits.
static inline double normal_cdf(double s) {
    return 0.5 * erfc(-M_SQRT1_2 * s);
}

static inline double normal_pdf(double s) {
    return 0.5 * M_2_SQRTPI * M_SQRT1_2 * exp(-0.5 * s * s);
}

static const char *const names[] = {
#define FIM_ACTIVATION(id, name, value, slope) name,
#include "fim/activations.def"
#undef FIM_ACTIVATION
};

const char *fim_activation_name(fim_activation activation) {
    return (unsigned)activation < FIM_ACTIVATION_COUNT ? names[activation] : "unknown";
}

fim_status fim_activation_parse(const char *name, fim_activation *out) {
    size_t index;
    fim_status status = name_find("activation", names, FIM_ACTIVATION_COUNT, name, &index);
    if (status == FIM_OK)
        *out = (fim_activation)index;
    return status;
}

static void value_row(fim_activation activation, const double *in, size_t n, double *out) {
    switch (activation) {
#define FIM_ACTIVATION(id, name, value, slope)                                                               \
    case FIM_ACTIVATION_##id:                                                                                \
        for (size_t j = 0; j < n; j++) {                                                                     \
            const double s = in[j];                                                                          \
            out[j] = value;                                                                                  \
        }                                                                                                    \
        break;
#include "fim/activations.def"
#undef FIM_ACTIVATION
    case FIM_ACTIVATION_COUNT:
        break;
    }
}

static void slope_row(fim_activation activation, const double *in, size_t n, double *out) {
    switch (activation) {
#define FIM_ACTIVATION(id, name, value, slope)                                                               \
    case FIM_ACTIVATION_##id:                                                                                \
        for (size_t j = 0; j < n; j++) {                                                                     \
            const double s = in[j];                                                                          \
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

double fim_activation_value(fim_activation activation, double s) {
    double value = NAN;
    value_row(activation, &s, 1, &value);
    return value;
}

double fim_activation_slope(fim_activation activation, double s) {
    double slope = NAN;
    slope_row(activation, &s, 1, &slope);
    return slope;
}

void activation_map(fim_activation activation, const gsl_matrix *s, gsl_matrix *a) {
#pragma omp parallel for if (s->size1 * s->size2 >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < s->size1; r++)
        value_row(activation, s->data + r * s->tda, s->size2, a->data + r * a->tda);
}

void activation_scale(fim_activation activation, const gsl_matrix *s, size_t columns, gsl_matrix *g) {
    if (activation == FIM_ACTIVATION_IDENTITY)
        return;
    enum { BLOCK = 256 }; // slopes of one sample are computed once, a block at a time, for all its columns
#pragma omp parallel for if (g->size1 * g->size2 >= PARALLEL_ELEMENTS)
    for (size_t r = 0; r < s->size1; r++) {
        double slope[BLOCK];
        for (size_t begin = 0; begin < s->size2; begin += BLOCK) {
            size_t n = s->size2 - begin < BLOCK ? s->size2 - begin : BLOCK;
            slope_row(activation, s->data + r * s->tda + begin, n, slope);
            for (size_t c = 0; c < columns; c++) {
                double *row = g->data + (r * columns + c) * g->tda + begin;
                for (size_t j = 0; j < n; j++)
                    row[j] *= slope[j];
            }
        }
    }
}
