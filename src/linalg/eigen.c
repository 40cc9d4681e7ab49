// Dense symmetric eigenvalues, singular values and the triangular factor, by LAPACK. A row-major matrix is
// handed over as its transpose, which costs nothing: a symmetric matrix is its own, and singular values do
// not change.
#include "lapack.h"

// From this size on the two-stage reduction to tridiagonal form (values only) beats the classic one, whose
// half of the flops are matrix-vector products bound by memory.
enum { TWO_STAGE_FROM = 2000 };

fim_status lapack_check(lapack_int info, const char *routine, size_t rows, size_t columns) {
    if (info == 0)
        return FIM_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s of a %zu x %zu matrix: no memory for its workspace", routine,
                        rows, columns);
    return FIM_FAIL(FIM_ERR_NUMERIC, "%s of a %zu x %zu matrix failed (info %d): %s", routine, rows, columns,
                    (int)info, info < 0 ? "the matrix holds NaN" : "the iteration did not converge");
}

void lapack_decreasing(gsl_matrix *vectors, gsl_vector *values) {
    gsl_matrix_transpose(vectors); // LAPACK's columns are our rows
    gsl_vector_reverse(values);
    for (size_t i = 0; i < values->size / 2; i++)
        gsl_matrix_swap_columns(vectors, i, values->size - 1 - i);
}

fim_status fim_eigen(gsl_matrix *m, gsl_vector *values) {
    const size_t n = m->size1;
    if (m->size2 != n || values->size != n || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "eigenvectors of a %zu x %zu matrix into %zu values", m->size1,
                        m->size2, values->size);
    if (n == 0)
        return FIM_OK;
    lapack_int info =
        LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, m->data, (lapack_int)m->tda, values->data);
    fim_status status = lapack_check(info, "dsyevd", n, n);
    if (status != FIM_OK)
        return status;
    lapack_decreasing(m, values);
    return FIM_OK;
}

fim_status fim_eigenvalues(gsl_matrix *m, gsl_vector *values) {
    const size_t n = m->size1;
    if (m->size2 != n || values->size != n || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "eigenvalues of a %zu x %zu matrix into %zu values", m->size1,
                        m->size2, values->size);
    if (n == 0)
        return FIM_OK;
    const bool two_stage = n >= TWO_STAGE_FROM;
    lapack_int info = two_stage ? LAPACKE_dsyevd_2stage(LAPACK_COL_MAJOR, 'N', 'U', (lapack_int)n, m->data,
                                                        (lapack_int)m->tda, values->data)
                                : LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'U', (lapack_int)n, m->data,
                                                 (lapack_int)m->tda, values->data);
    fim_status status = lapack_check(info, two_stage ? "dsyevd_2stage" : "dsyevd", n, n);
    if (status == FIM_OK)
        gsl_vector_reverse(values);
    return status;
}

fim_status fim_singular_values(gsl_matrix *m, gsl_vector *values) {
    const size_t rows = m->size1, columns = m->size2;
    if (values->size != (rows < columns ? rows : columns) || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "singular values of a %zu x %zu matrix into %zu values", rows, columns,
                        values->size);
    if (values->size == 0)
        return FIM_OK;
    double no_vectors;
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)columns, (lapack_int)rows, m->data,
                                     (lapack_int)m->tda, values->data, &no_vectors, 1, &no_vectors, 1);
    return lapack_check(info, "dgesdd", rows, columns);
}

fim_status fim_triangular_factor(gsl_matrix *m) {
    const size_t rows = m->size1, columns = m->size2;
    if (rows < columns || columns == 0)
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "the triangular factor of a %zu x %zu matrix: it needs as many rows as columns", rows,
                        columns);
    gsl_vector *tau = NULL;
    fim_status status = fim_vector_new(columns, "Householder reflections", &tau);
    if (status != FIM_OK)
        return status;
    // mᵀ = L Qᵀ in LAPACK's eyes; L, column by column, is Rᵀ in its place.
    lapack_int info = LAPACKE_dgelqf(LAPACK_COL_MAJOR, (lapack_int)columns, (lapack_int)rows, m->data,
                                     (lapack_int)m->tda, tau->data);
    gsl_vector_free(tau);
    status = lapack_check(info, "dgelqf", rows, columns);
    for (size_t i = 1; status == FIM_OK && i < columns; i++)
        for (size_t j = 0; j < i; j++)
            gsl_matrix_set(m, i, j, 0);
    return status;
}
