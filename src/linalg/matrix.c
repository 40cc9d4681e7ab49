// GSL matrices with a status.
#include "fim/linalg.h"

fim_status fim_matrix_new(size_t rows, size_t columns, const char *what, gsl_matrix **out) {
    gsl_matrix *m = fim_size_mul(fim_size_mul(rows, columns), sizeof(double)) < SIZE_MAX / 2
                        ? gsl_matrix_calloc(rows, columns)
                        : NULL;
    if (m == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a %zu x %zu matrix for %s", rows, columns, what);
    *out = m;
    return FIM_OK;
}

fim_status fim_matrix_new_single(size_t rows, size_t columns, const char *what, gsl_matrix_float **out) {
    gsl_matrix_float *m = fim_size_mul(fim_size_mul(rows, columns), sizeof(float)) < SIZE_MAX / 2
                              ? gsl_matrix_float_calloc(rows, columns)
                              : NULL;
    if (m == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a %zu x %zu matrix for %s", rows, columns, what);
    *out = m;
    return FIM_OK;
}

fim_status fim_vector_new(size_t size, const char *what, gsl_vector **out) {
    gsl_vector *v = size < SIZE_MAX / 16 ? gsl_vector_calloc(size) : NULL;
    if (v == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate %zu numbers for %s", size, what);
    *out = v;
    return FIM_OK;
}

fim_status fim_matrix_copy(const gsl_matrix *source, const char *what, gsl_matrix **out) {
    gsl_matrix *copy = NULL;
    fim_status status = fim_matrix_new(source->size1, source->size2, what, &copy);
    if (status != FIM_OK)
        return status;
    gsl_matrix_memcpy(copy, source);
    *out = copy;
    return FIM_OK;
}
