// Cholesky factors and the symmetric-definite eigenproblem, against products by loops, GSL's LU, and the
// eigenvalues of A^{-1/2} C A^{-1/2}.
#include <gsl/gsl_linalg.h>

#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(cholesky, .init = setup);

static const size_t sizes[] = {1, 2, 5, 40};
enum { SIZES = sizeof sizes / sizeof *sizes };

// M Mᵀ + I/10.
static gsl_matrix *definite(size_t n, uint64_t seed) {
    const gsl_matrix *m = test_random_matrix(n, n, seed);
    return plain_sum(plain_product(m, plain_transpose(m)), 0.1, plain_identity(n));
}

// A copy inside a larger matrix, with NaN above the diagonal, which is not to be read.
static gsl_matrix_view lower_of(const gsl_matrix *m) {
    gsl_matrix_view view =
        gsl_matrix_submatrix(test_random_matrix(m->size1 + 2, m->size2 + 3, 99), 1, 2, m->size1, m->size2);
    gsl_matrix_memcpy(&view.matrix, m);
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = i + 1; j < m->size2; j++)
            gsl_matrix_set(&view.matrix, i, j, NAN);
    return view;
}

Test(cholesky, factor_determinant_inverse_and_solves) {
    for (size_t k = 0; k < SIZES; k++) {
        const size_t n = sizes[k];
        const gsl_matrix *m = definite(n, 10 + k);
        gsl_matrix_view l = lower_of(m);
        TEST_OK(fim_cholesky(&l.matrix));
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++)
                cr_assert(eq(dbl, gsl_matrix_get(&l.matrix, i, j), 0));
        const gsl_matrix *product = plain_product(&l.matrix, plain_transpose(&l.matrix));
        cr_assert(epsilon_eq(dbl, plain_distance(product, m), 0, 1e-13 * plain_norm(m)), "n = %zu", n);
        gsl_matrix *lu = plain_copy(m);
        gsl_permutation *p = gsl_permutation_alloc(n);
        int sign;
        gsl_linalg_LU_decomp(lu, p, &sign);
        cr_assert(epsilon_eq(dbl, fim_cholesky_log_det(&l.matrix), gsl_linalg_LU_lndet(lu), 1e-11));
        gsl_matrix *b = test_random_matrix(3, n + 1, 20 + k);
        gsl_matrix_view x = gsl_matrix_submatrix(b, 0, 1, 3, n);
        const gsl_matrix *sides = plain_copy(&x.matrix);
        TEST_OK(fim_cholesky_solve(&l.matrix, &x.matrix));
        cr_assert(epsilon_eq(dbl, plain_distance(plain_product(&x.matrix, m), sides), 0, 1e-11), "n = %zu",
                  n);
        TEST_OK(fim_cholesky_inverse(&l.matrix));
        cr_assert(epsilon_eq(dbl, plain_distance(plain_product(&l.matrix, m), plain_identity(n)), 0, 1e-11),
                  "n = %zu", n);
        cr_assert(eq(dbl, plain_asymmetry(&l.matrix), 0));
    }
}

Test(cholesky, generalized_eigenvectors_make_one_the_identity_and_the_other_diagonal) {
    for (size_t k = 0; k < SIZES; k++) {
        const size_t n = sizes[k];
        const gsl_matrix *a = definite(n, 30 + k), *c = plain_random_symmetric(n, 40 + k);
        gsl_matrix_view l = lower_of(a), q = lower_of(c);
        gsl_vector *values = gsl_vector_alloc(n);
        TEST_OK(fim_eigen_generalized(&q.matrix, &l.matrix, values));
        const gsl_matrix *qt = plain_transpose(&q.matrix);
        const gsl_matrix *one = plain_product(plain_product(qt, a), &q.matrix);
        const gsl_matrix *diagonal = plain_product(plain_product(qt, c), &q.matrix);
        gsl_matrix *want = gsl_matrix_calloc(n, n), *u;
        for (size_t i = 0; i < n; i++)
            gsl_matrix_set(want, i, i, gsl_vector_get(values, i));
        const double scale = fmax(1, plain_norm(want));
        cr_assert(epsilon_eq(dbl, plain_distance(one, plain_identity(n)), 0, 1e-11), "n = %zu", n);
        cr_assert(epsilon_eq(dbl, plain_distance(diagonal, want), 0, 1e-11 * scale), "n = %zu", n);
        cr_assert(epsilon_eq(dbl, plain_distance(plain_product(&l.matrix, plain_transpose(&l.matrix)), a), 0,
                             1e-12 * plain_norm(a)));
        plain_assert_decreasing(values, "relative eigenvalues");
        gsl_vector *roots = plain_eigenvalues(a, &u);
        for (size_t i = 0; i < n; i++)
            gsl_vector_set(roots, i, 1 / sqrt(gsl_vector_get(roots, i)));
        const gsl_matrix *root = plain_spectral(u, roots->data, u);
        const gsl_vector *whitened = plain_eigenvalues(plain_product(plain_product(root, c), root), NULL);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(values, whitened), 0, 1e-11 * scale), "n = %zu", n);
    }
}

Test(cholesky, what_is_not_positive_definite_says_where) {
    gsl_matrix *m = plain_identity(4), *c = plain_identity(4);
    gsl_matrix_set(m, 2, 2, -1);
    TEST_FAILS(fim_eigen_generalized(c, m, gsl_vector_calloc(4)), FIM_NOT_POSITIVE, "order 3");
    m = plain_identity(4);
    gsl_matrix_set(m, 2, 2, 0);
    TEST_FAILS(fim_cholesky(m), FIM_NOT_POSITIVE, "order 3");
}

Test(cholesky, wrong_shapes_and_nan_are_refused) {
    gsl_matrix *m = gsl_matrix_calloc(3, 4), *square = plain_identity(3), *other = plain_identity(4);
    gsl_vector *three = gsl_vector_calloc(3);
    TEST_FAILS(fim_cholesky(m), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_cholesky_inverse(m), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_cholesky_solve(m, square), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_cholesky_solve(square, other), FIM_ERR_SHAPE, "right sides of 4");
    TEST_FAILS(fim_eigen_generalized(m, square, three), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_eigen_generalized(square, other, three), FIM_ERR_SHAPE, "4 x 4");
    TEST_OK(fim_cholesky(gsl_matrix_calloc(0, 0)));
    TEST_OK(fim_cholesky_inverse(gsl_matrix_calloc(0, 0)));
    TEST_OK(fim_cholesky_solve(square, gsl_matrix_calloc(0, 3)));
    TEST_OK(fim_eigen_generalized(gsl_matrix_calloc(0, 0), gsl_matrix_calloc(0, 0), gsl_vector_calloc(0)));
    gsl_matrix_set(square, 2, 1, NAN);
    TEST_FAILS(fim_cholesky(square), FIM_ERR_NUMERIC, "NaN");
    TEST_FAILS(fim_eigen_generalized(square, plain_identity(3), three), FIM_ERR_NUMERIC, "NaN");
}
