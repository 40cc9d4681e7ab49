// The samples of one layer: what they hold and whether they are sound.
#include <math.h>

#include "fim/fisher.h"

void fim_samples_clear(fim_samples *samples) {
    gsl_matrix_free(samples->a);
    gsl_matrix_free(samples->g);
    gsl_matrix_free(samples->packed);
    *samples = (fim_samples){0};
}

static fim_status check_finite(const gsl_matrix *m, const char *name) {
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
    if (s->a == NULL || (s->g == NULL) == (s->packed == NULL) || (s->g != NULL && s->columns == 0))
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "samples need a, and either g with at least one column or the packed G");
    fim_status status = check_shape(s->a, "a", s->n, s->d_a);
    if (status == FIM_OK && s->g != NULL)
        status = check_shape(s->g, "g", fim_size_mul(s->n, s->columns), s->d_g);
    if (status == FIM_OK && s->packed != NULL)
        status = check_shape(s->packed, "packed G", s->n, fim_svec_size(s->d_g));
    return status;
}
