// GSL vectors and copies with a status, inner products; allocate.c has the matrices.
#include <gsl/gsl_blas.h>
#include <math.h>

#include "fim/linalg.h"

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

fim_status fim_matrix_turned(const gsl_matrix *m, const gsl_matrix *u, const char *what, gsl_matrix **out) {
    gsl_matrix *half = NULL, *turned = NULL;
    if (u == NULL)
        return fim_matrix_copy(m, what, out);
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(m->size1, m->size1, what, &half));
    FIM_TRY(fim_matrix_new(m->size1, m->size1, what, &turned));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, m, u, 0, half);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, u, half, 0, turned);
    *out = turned;
out:
    gsl_matrix_free(half);
    return status;
}

double fim_matrix_inner(const gsl_matrix *x, const gsl_matrix *y) {
    double sum = 0;
    for (size_t i = 0; i < x->size1; i++)
        sum += cblas_ddot((int)x->size2, x->data + i * x->tda, 1, y->data + i * y->tda, 1);
    return sum;
}

double fim_matrix_norm(const gsl_matrix *m) {
    double sum = 0;
    for (size_t i = 0; i < m->size1; i++)
        sum = hypot(sum, cblas_dnrm2((int)m->size2, m->data + i * m->tda, 1));
    return sum;
}
