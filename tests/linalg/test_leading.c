// The eigenpairs above a threshold, against GSL's full decomposition; the norm; the congruence, against
// solves.
#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(leading, .init = setup);

// Q diag(values) Qᵀ.
static gsl_matrix *with_spectrum(size_t n, const double *values, uint64_t seed) {
    const gsl_matrix *q = plain_random_orthogonal(n, n, seed);
    return plain_spectral(q, values, q);
}

// A few large ones of both signs, a pair that is double, and a tail that the threshold 0.5 cuts in its
// middle.
static void fill_spectrum(size_t n, double *values) {
    const double large[] = {7, -6, 5, 5, -0.75, 0.51, 0.49, -0.49};
    for (size_t i = 0; i < n; i++)
        values[i] = i < 8 ? large[i] : (i % 2 == 0 ? 0.4 : -0.4) * (double)(n - i) / (double)n;
}

Test(leading, pairs_above_the_threshold_are_all_there) {
    static const size_t sizes[] = {9, 40, 260}; // the last by Lanczos
    for (size_t k = 0; k < 3; k++) {
        const size_t n = sizes[k];
        double spectrum[260];
        fill_spectrum(n, spectrum);
        const gsl_matrix *m = with_spectrum(n, spectrum, 30 + k);
        gsl_vector *values = NULL;
        gsl_matrix *vectors = NULL;
        size_t count = 0;
        TEST_OK(fim_eigen_above(m, 0.5, n, &count, &values, &vectors));
        cr_assert(count == 6 && values->size == 6 && vectors->size1 == 6 && vectors->size2 == n);
        const double expected[] = {7, -6, 5, 5, -0.75, 0.51};
        for (size_t i = 0; i < 6; i++)
            cr_assert(epsilon_eq(dbl, gsl_vector_get(values, i), expected[i], 1e-8), "n = %zu, %zu", n, i);
        const gsl_matrix *gram = plain_product(vectors, plain_transpose(vectors));
        cr_assert(epsilon_eq(dbl, plain_distance(gram, plain_identity(6)), 0, 1e-10));
        const gsl_matrix *moved = plain_product(vectors, m); // = diag(values) vectors
        for (size_t i = 0; i < 6; i++)
            for (size_t j = 0; j < n; j++)
                cr_assert(epsilon_eq(dbl, gsl_matrix_get(moved, i, j),
                                     gsl_vector_get(values, i) * gsl_matrix_get(vectors, i, j), 1e-7));
        gsl_vector_free(values);
        gsl_matrix_free(vectors);
        values = NULL;
        vectors = NULL;
        TEST_OK(fim_eigen_above(m, 0.5, 5, &count, &values, &vectors));
        cr_assert(count == 6 && values == NULL && vectors == NULL, "more than asked for are counted alone");
        TEST_OK(fim_eigen_above(m, 8, n, &count, &values, &vectors));
        cr_assert(count == 0 && values == NULL && vectors == NULL);
        double norm;
        TEST_OK(fim_symmetric_norm(m, &norm));
        cr_assert(norm >= 7 && norm <= 7 * 1.002, "%.17g", norm);
    }
}

Test(leading, all_of_a_matrix_and_none_of_an_empty_one) {
    const double spectrum[] = {3, -2, 1};
    const gsl_matrix *m = with_spectrum(3, spectrum, 5);
    gsl_vector *values = NULL;
    gsl_matrix *vectors = NULL;
    size_t count = 7;
    TEST_OK(fim_eigen_above(m, 0, 3, &count, &values, &vectors));
    cr_assert(eq(sz, count, 3));
    cr_assert(epsilon_eq(dbl, gsl_vector_get(values, 1), -2, 1e-13));
    gsl_vector_free(values);
    gsl_matrix_free(vectors);
    const gsl_matrix *wrong = gsl_matrix_calloc(2, 3);
    TEST_FAILS(fim_eigen_above(wrong, 1, 1, &count, &values, &vectors), FIM_ERR_SHAPE, "2 x 3");
    double norm = 5;
    TEST_FAILS(fim_symmetric_norm(wrong, &norm), FIM_ERR_SHAPE, "2 x 3");
    cr_assert(norm == 5);
}

Test(leading, congruence_divides_by_the_factor_on_both_sides) {
    const gsl_matrix *c = plain_random_symmetric(7, 3), *m = test_random_matrix(7, 7, 4);
    gsl_matrix *l = plain_sum(plain_product(m, plain_transpose(m)), 0.1, plain_identity(7)),
               *s = plain_copy(c);
    TEST_OK(fim_cholesky(l));
    TEST_OK(fim_cholesky_congruence(l, s));
    cr_assert(eq(dbl, plain_asymmetry(s), 0));
    const gsl_matrix *back = plain_product(plain_product(l, s), plain_transpose(l));
    cr_assert(epsilon_eq(dbl, plain_distance(back, c), 0, 1e-12 * plain_norm(c)));
    TEST_FAILS(fim_cholesky_congruence(l, gsl_matrix_calloc(6, 6)), FIM_ERR_SHAPE, "6 x 6");
}
