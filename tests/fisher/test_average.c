// A block averaged with an operator, against the dense average: products, moments, triplets.
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(average, .init = setup);

enum { N = 12, D_A = 4, D_G = 3, D = D_A * D_G };
static const double psi = 0.7;

// A past of each representation: two Kronecker terms, a diagonal in a basis.
static fim_op *past(size_t kind, gsl_matrix *dense) {
    fim_op *op = NULL;
    if (kind == 0) {
        gsl_matrix *a[2], *g[2];
        for (size_t k = 0; k < 2; k++) {
            a[k] = plain_random_symmetric(D_A, 10 + k);
            g[k] = plain_random_symmetric(D_G, 20 + k);
        }
        TEST_OK(fim_op_new_kronecker(2, a, g, &op));
    } else {
        TEST_OK(fim_op_new_basis(plain_random_orthogonal(D_A, D_A, 30), plain_random_orthogonal(D_G, D_G, 31),
                                 test_random_matrix(D_A, D_G, 32), &op));
    }
    TEST_OK(fim_op_dense(op, dense));
    return op;
}

static void check(size_t kind, size_t columns) {
    fim_samples s = test_samples(N, D_A, D_G, columns, 40);
    gsl_matrix *dense_past = gsl_matrix_calloc(D, D);
    fim_op *op = past(kind, dense_past);
    const gsl_matrix *a = plain_random_symmetric(D_A, 50), *g = plain_random_symmetric(D_G, 51);
    fim_fisher *fresh = NULL, *f = NULL;
    TEST_OK(fim_fisher_new(&s, &fresh));
    TEST_OK(fim_fisher_new_average(fresh, psi, op, a, g, &f));
    const gsl_matrix *block = plain_block(&s);
    gsl_matrix *want = gsl_matrix_calloc(D, D);
    want = plain_sum(plain_sum(want, 1 - psi, block), psi, dense_past);
    const gsl_matrix *r = plain_rearranged(want, D_A, D_G);

    gsl_matrix *dense = gsl_matrix_calloc(D, D);
    TEST_OK(fim_fisher_dense(f, dense));
    cr_assert(epsilon_eq(dbl, test_max_difference(dense, want), 0, 1e-13));

    const gsl_matrix *v = plain_random_symmetric(D_G, 52), *u = plain_random_symmetric(D_A, 53);
    gsl_matrix *got_u = gsl_matrix_calloc(D_A, D_A), *got_v = gsl_matrix_calloc(D_G, D_G);
    TEST_OK(fim_fisher_rearranged(f, v, got_u));
    TEST_OK(fim_fisher_rearranged_transposed(f, u, got_v));
    cr_assert(epsilon_eq(dbl, test_max_difference(plain_column(got_u), plain_product(r, plain_column(v))), 0,
                         1e-13));
    cr_assert(epsilon_eq(
        dbl, test_max_difference(plain_column(got_v), plain_product(plain_transpose(r), plain_column(u))), 0,
        1e-13));

    const gsl_matrix *x = test_random_matrix(D_A, D_G, 54);
    gsl_matrix *y = gsl_matrix_calloc(D_A, D_G), *lambda = gsl_matrix_calloc(D_A, D_G);
    TEST_OK(fim_fisher_apply(f, x, y));
    cr_assert(epsilon_eq(dbl, test_max_difference(plain_column(y), plain_product(want, plain_column(x))), 0,
                         1e-13));
    TEST_OK(fim_fisher_diagonal(f, NULL, NULL, lambda));
    for (size_t p = 0; p < D; p++)
        cr_assert(epsilon_eq(dbl, lambda->data[p], gsl_matrix_get(want, p, p), 1e-13));

    double norm2, trace;
    TEST_OK(fim_fisher_norm2(f, &norm2));
    TEST_OK(fim_fisher_trace(f, &trace));
    cr_assert(epsilon_eq(dbl, norm2, plain_dot(want, want), 1e-12 * norm2));
    cr_assert(epsilon_eq(dbl, trace, plain_trace(want), 1e-12));

    // Moments: those of the samples, and those that were given for the past.
    gsl_matrix *mean_a = gsl_matrix_calloc(D_A, D_A), *mean_g = gsl_matrix_calloc(D_G, D_G);
    gsl_matrix *want_a = gsl_matrix_calloc(D_A, D_A), *want_g = gsl_matrix_calloc(D_G, D_G);
    for (size_t n = 0; n < N; n++) {
        want_a = plain_sum(want_a, (1 - psi) / N, plain_outer(&s, n));
        want_g = plain_sum(want_g, (1 - psi) / N, plain_covariance(&s, n));
    }
    TEST_OK(fim_fisher_moments(f, mean_a, mean_g));
    cr_assert(epsilon_eq(dbl, test_max_difference(mean_a, plain_sum(want_a, psi, a)), 0, 1e-13));
    cr_assert(epsilon_eq(dbl, test_max_difference(mean_g, plain_sum(want_g, psi, g)), 0, 1e-13));

    // More triplets than samples or terms alone would have.
    enum { K = 5 };
    gsl_matrix *left = gsl_matrix_calloc(K, fim_svec_size(D_A)),
               *right = gsl_matrix_calloc(K, fim_svec_size(D_G));
    gsl_vector *sigma = gsl_vector_calloc(K);
    fim_gkl_info info;
    TEST_OK(
        fim_fisher_triplets(f, 0, NULL, NULL, K, &(fim_gkl_options){.seed = 3}, left, sigma, right, &info));
    const gsl_vector *values = plain_singular_values(r, NULL, NULL);
    for (size_t k = 0; k < K; k++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(sigma, k), gsl_vector_get(values, k), 1e-9));
    fim_fisher_free(f);
    fim_fisher_free(fresh);
    fim_op_free(op);
    fim_samples_clear(&s);
}

Test(average, is_the_dense_average) {
    static const size_t columns[] = {1, 3, TEST_PACKED, TEST_DIAGONAL};
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            check(kind, columns[c]);
}

Test(average, what_does_not_fit_is_refused) {
    fim_samples s = test_samples(N, D_A, D_G, 1, 40);
    fim_op *op = past(0, gsl_matrix_calloc(D, D));
    gsl_matrix *a = plain_identity(D_A), *g = plain_identity(D_G);
    fim_fisher *fresh = NULL, *f = NULL;
    TEST_OK(fim_fisher_new(&s, &fresh));
    TEST_FAILS(fim_fisher_new_average(fresh, 1.5, op, a, g, &f), FIM_ERR_ARGUMENT, "1.5");
    TEST_FAILS(fim_fisher_new_average(fresh, (double)NAN, op, a, g, &f), FIM_ERR_ARGUMENT, "nan");
    TEST_FAILS(fim_fisher_new_average(fresh, 0.5, op, g, a, &f), FIM_ERR_SHAPE, "a block of (4, 3)");
    cr_assert(f == NULL);
    fim_fisher_free(fresh);
    fim_op_free(op);
    fim_samples_clear(&s);
}
