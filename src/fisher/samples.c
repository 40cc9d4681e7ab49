// The samples of one layer: what they hold and whether they are sound.
#include <math.h>

#include "block.h"
#include "chain.h"

void fim_samples_clear(fim_samples *samples) {
    gsl_matrix_free(samples->a);
    gsl_matrix_free(samples->g);
    gsl_matrix_free(samples->packed);
    gsl_matrix_free(samples->diagonal);
    chain_free(samples->chain);
    *samples = (fim_samples){0};
}

// A product with 0 is 0 for finite numbers alone; a sum of them finds the others at the speed of memory.
static bool all_finite(const gsl_matrix *m) {
    double sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < m->size1; i++) {
        const double *row = m->data + i * m->tda;
        double zero = 0;
#pragma omp simd reduction(+ : zero)
        for (size_t j = 0; j < m->size2; j++)
            zero += 0 * row[j];
        sum += zero;
    }
    return sum == 0;
}

static fim_status check_finite(const gsl_matrix *m, const char *name) {
    if (all_finite(m))
        return FIM_OK;
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            if (!isfinite(gsl_matrix_get(m, i, j)))
                return FIM_FAIL(FIM_ERR_VALUE, "%s[%zu, %zu] of the samples is %g", name, i, j,
                                gsl_matrix_get(m, i, j));
    return FIM_OK;
}

static fim_status check_shape(const gsl_matrix *m, const char *name, size_t rows, size_t columns) {
    if (m->size1 == rows && m->size2 == columns)
        return check_finite(m, name);
    return FIM_FAIL(FIM_ERR_SHAPE, "%s of the samples is (%zu, %zu), expected (%zu, %zu)", name, m->size1,
                    m->size2, rows, columns);
}

fim_status fim_samples_check(const fim_samples *s) {
    if (s->n == 0 || s->d_a == 0 || s->d_g == 0)
        return FIM_FAIL(FIM_ERR_SHAPE, "samples are empty: N = %zu, d_a = %zu, d_g = %zu", s->n, s->d_a,
                        s->d_g);
    const int forms = (s->g != NULL) + (s->packed != NULL) + (s->diagonal != NULL);
    if (s->a == NULL || forms != 1 || (s->g != NULL && s->columns == 0))
        return FIM_FAIL(
            FIM_ERR_SHAPE,
            "samples need a, and one of g with at least one column, the packed G and its diagonal");
    fim_status status = check_shape(s->a, "a", s->n, s->d_a);
    if (status == FIM_OK && s->g != NULL)
        status = check_shape(s->g, "g", fim_size_mul(s->n, s->columns), s->d_g);
    if (status == FIM_OK && s->packed != NULL)
        status = check_shape(s->packed, "packed G", s->n, fim_svec_size(s->d_g));
    if (status == FIM_OK && s->diagonal != NULL)
        status = check_shape(s->diagonal, "diagonal of G", s->n, s->d_g);
    return status;
}

static size_t bytes_of(const gsl_matrix *m) {
    return m != NULL ? m->size1 * m->tda * sizeof(double) : 0;
}

size_t fim_samples_bytes(const fim_samples *samples) {
    return bytes_of(samples->a) + bytes_of(samples->g) + bytes_of(samples->packed) +
           bytes_of(samples->diagonal);
}

fim_status fim_samples_expand(fim_samples *samples) {
    if (samples->diagonal == NULL)
        return FIM_OK;
    gsl_matrix *packed = NULL;
    fim_status status =
        fim_matrix_new(samples->n, fim_svec_size(samples->d_g), "output covariances", &packed);
    if (status != FIM_OK)
        return status;
    outputs_pack(samples, 0, samples->n, packed);
    gsl_matrix_free(samples->diagonal);
    samples->diagonal = NULL;
    samples->packed = packed;
    return FIM_OK;
}
