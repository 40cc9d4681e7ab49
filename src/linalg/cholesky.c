// Positive definite matrices: factor, inverse, solves, and the symmetric-definite eigenproblem.
#include <math.h>

#include "lapack.h"

static fim_status check_square(const gsl_matrix *m, const char *what) {
    return m->size1 == m->size2
               ? FIM_OK
               : FIM_FAIL(FIM_ERR_SHAPE, "%s of a %zu x %zu matrix", what, m->size1, m->size2);
}

static fim_status check_factor(lapack_int info, const gsl_matrix *l) {
    if (info > 0)
        return FIM_FAIL(FIM_NOT_POSITIVE,
                        "a %zu x %zu matrix is not positive definite: its leading minor of order %d is not",
                        l->size1, l->size1, (int)info);
    return lapack_check(info, "dpotrf", l->size1, l->size1);
}

static void clear_above(gsl_matrix *l) {
    for (size_t i = 0; i < l->size1; i++)
        for (size_t j = i + 1; j < l->size1; j++)
            gsl_matrix_set(l, i, j, 0);
}

static void fill_above(gsl_matrix *m) {
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = i + 1; j < m->size1; j++)
            gsl_matrix_set(m, i, j, gsl_matrix_get(m, j, i));
}

fim_status fim_cholesky(gsl_matrix *m) {
    fim_status status = check_square(m, "the Cholesky factor");
    if (status != FIM_OK || m->size1 == 0)
        return status;
    status = check_factor(
        LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', (lapack_int)m->size1, m->data, (lapack_int)m->tda), m);
    if (status == FIM_OK)
        clear_above(m);
    return status;
}

double fim_cholesky_log_det(const gsl_matrix *l) {
    double sum = 0;
    for (size_t i = 0; i < l->size1; i++)
        sum += 2 * log(gsl_matrix_get(l, i, i));
    return sum;
}

fim_status fim_cholesky_inverse(gsl_matrix *l) {
    const size_t n = l->size1;
    fim_status status = check_square(l, "the inverse from a Cholesky factor");
    if (status != FIM_OK || n == 0)
        return status;
    status = lapack_check(LAPACKE_dpotri(LAPACK_COL_MAJOR, 'U', (lapack_int)n, l->data, (lapack_int)l->tda),
                          "dpotri", n, n);
    if (status == FIM_OK)
        fill_above(l);
    return status;
}

fim_status fim_cholesky_solve(const gsl_matrix *l, gsl_matrix *b) {
    fim_status status = check_square(l, "solves with the Cholesky factor");
    if (status != FIM_OK)
        return status;
    if (b->size2 != l->size1)
        return FIM_FAIL(FIM_ERR_SHAPE, "right sides of %zu numbers for a Cholesky factor of %zu", b->size2,
                        l->size1);
    if (b->size1 == 0 || b->size2 == 0)
        return FIM_OK;
    return lapack_check(LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'U', (lapack_int)l->size1, (lapack_int)b->size1,
                                       l->data, (lapack_int)l->tda, b->data, (lapack_int)b->tda),
                        "dpotrs", b->size1, b->size2);
}

fim_status fim_cholesky_congruence(const gsl_matrix *l, gsl_matrix *c) {
    const size_t n = l->size1;
    if (l->size2 != n || c->size1 != n || c->size2 != n)
        return FIM_FAIL(FIM_ERR_SHAPE, "a %zu x %zu matrix relative to a Cholesky factor of %zu", c->size1,
                        c->size2, n);
    fim_status status = n == 0 ? FIM_OK
                               : lapack_check(LAPACKE_dsygst(LAPACK_COL_MAJOR, 1, 'U', (lapack_int)n, c->data,
                                                             (lapack_int)c->tda, l->data, (lapack_int)l->tda),
                                              "dsygst", n, n);
    if (status == FIM_OK)
        fill_above(c);
    return status;
}

fim_status fim_eigen_generalized(gsl_matrix *c, gsl_matrix *a, gsl_vector *values) {
    const size_t n = a->size1;
    if (a->size2 != n || c->size1 != n || c->size2 != n || values->size != n || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "eigenvectors of a %zu x %zu matrix relative to a %zu x %zu one",
                        c->size1, c->size2, a->size1, a->size2);
    if (n == 0)
        return FIM_OK;
    lapack_int info = LAPACKE_dsygvd(LAPACK_COL_MAJOR, 1, 'V', 'U', (lapack_int)n, c->data,
                                     (lapack_int)c->tda, a->data, (lapack_int)a->tda, values->data);
    if (info > (lapack_int)n)
        return check_factor(info - (lapack_int)n, a);
    fim_status status = lapack_check(info, "dsygvd", n, n);
    if (status != FIM_OK)
        return status;
    clear_above(a);
    lapack_decreasing(c, values);
    return FIM_OK;
}
