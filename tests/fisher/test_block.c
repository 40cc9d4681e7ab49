// The contract of every Fisher block, walked over the ways of keeping its samples and over the stored dense
// form: each answer is compared with the block that a loop of Kronecker products makes.
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(block, .init = setup);

// One block in one form. N is below or above the packed sizes p_a and p_g, which decides the routes.
typedef struct form {
    const char *name;
    size_t n, d_a, d_g, columns; // or TEST_PACKED, TEST_DIAGONAL
    bool stored;
} form;

static const form forms[] = {
    {"few rows", 5, 4, 3, 1, false},
    {"many rows", 40, 4, 3, 1, false},
    {"few samples of rows", 4, 4, 3, 2, false},
    {"many samples of rows", 40, 4, 3, 3, false},
    {"few packed", 5, 4, 3, 0, false},
    {"many packed", 40, 4, 3, 0, false},
    {"few diagonals", 3, 4, 3, TEST_DIAGONAL, false},
    {"many diagonals", 40, 4, 3, TEST_DIAGONAL, false},
    {"one sample", 1, 3, 5, 2, false},
    {"one sample, packed", 1, 3, 5, 0, false},
    {"a single input", 9, 1, 4, 2, false},
    {"a single output", 9, 5, 1, 1, false},
    {"a single parameter", 3, 1, 1, 1, false},
    {"N between p_a and p_g", 15, 3, 6, 2, false},
    {"stored", 40, 4, 3, 3, true},
    {"stored, low rank", 3, 4, 3, 1, true},
    {"stored, a single output", 9, 5, 1, 1, true},
    {"stored, a single input", 9, 1, 4, 1, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

// Its samples live as long as the test.
static fim_fisher *make(const form *k, fim_samples *samples, gsl_matrix **dense) {
    fim_fisher *f = NULL;
    *samples = test_samples(k->n, k->d_a, k->d_g, k->columns, 7);
    *dense = plain_block(samples);
    if (k->stored) {
        gsl_matrix *a = gsl_matrix_calloc(k->d_a, k->d_a), *g = gsl_matrix_calloc(k->d_g, k->d_g);
        for (size_t n = 0; n < k->n; n++) {
            a = plain_sum(a, 1 / (double)k->n, plain_outer(samples, n));
            g = plain_sum(g, 1 / (double)k->n, plain_covariance(samples, n));
        }
        TEST_OK(fim_fisher_new_dense(plain_copy(*dense), k->d_a, k->d_g, k->n, a, g, &f));
    } else {
        TEST_OK(fim_fisher_new(samples, &f));
    }
    cr_assert(fim_fisher_d_a(f) == k->d_a && fim_fisher_d_g(f) == k->d_g && fim_fisher_samples(f) == k->n);
    return f;
}

#define FOR_ALL_FORMS(k, f, samples, dense)                                                                  \
    for (const form *k = forms; k < forms + FORMS; k++)                                                      \
        for (fim_fisher *f = make(k, &samples, &dense); f != NULL; fim_fisher_free(f), f = NULL)

static void assert_near(const gsl_matrix *got, const gsl_matrix *want, const form *k, const char *what) {
    cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13 * (1 + plain_norm(want))), "%s: %s",
              k->name, what);
}

Test(block, dense_is_the_mean_of_kronecker_products) {
    fim_samples s;
    gsl_matrix *want;
    FOR_ALL_FORMS(k, f, s, want) {
        gsl_matrix *got = test_random_matrix(want->size1, want->size1, 1);
        TEST_OK(fim_fisher_dense(f, got));
        assert_near(got, want, k, "dense");
        cr_assert(eq(dbl, plain_asymmetry(got), 0), "%s", k->name);
    }
}

Test(block, packed_is_the_rearrangement_in_symmetric_packing) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense) {
        const gsl_matrix *r = plain_rearranged(dense, k->d_a, k->d_g);
        gsl_matrix *want = gsl_matrix_alloc(fim_svec_size(k->d_a), fim_svec_size(k->d_g));
        gsl_matrix *got = test_random_matrix(want->size1, want->size2, 2);
        for (size_t i = 0, row = 0; i < k->d_a; i++)
            for (size_t i2 = i; i2 < k->d_a; i2++, row++)
                for (size_t j = 0, column = 0; j < k->d_g; j++)
                    for (size_t j2 = j; j2 < k->d_g; j2++, column++)
                        gsl_matrix_set(want, row, column,
                                       (i == i2 ? 1 : sqrt(2)) * (j == j2 ? 1 : sqrt(2)) *
                                           gsl_matrix_get(r, i * k->d_a + i2, j * k->d_g + j2));
        TEST_OK(fim_fisher_packed(f, got));
        assert_near(got, want, k, "packed");
    }
}

Test(block, products_with_the_rearrangement_are_the_explicit_ones) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense) {
        const gsl_matrix *r = plain_rearranged(dense, k->d_a, k->d_g);
        const gsl_matrix *v = plain_random_symmetric(k->d_g, 3), *u = plain_random_symmetric(k->d_a, 4);
        gsl_matrix *rv = test_random_matrix(k->d_a, k->d_a, 5), *ru = test_random_matrix(k->d_g, k->d_g, 6);
        TEST_OK(fim_fisher_rearranged(f, v, rv));
        TEST_OK(fim_fisher_rearranged_transposed(f, u, ru));
        assert_near(rv, plain_parameters(plain_product(r, plain_column(v)), k->d_a, k->d_a), k, "R(F) v");
        assert_near(ru, plain_parameters(plain_product(plain_transpose(r), plain_column(u)), k->d_g, k->d_g),
                    k, "R(F)ᵀ u");
    }
}

Test(block, moments_are_means_of_outer_products) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense) {
        gsl_matrix *a = test_random_matrix(k->d_a, k->d_a, 5), *g = test_random_matrix(k->d_g, k->d_g, 6);
        gsl_matrix *want_a = gsl_matrix_calloc(k->d_a, k->d_a), *want_g = gsl_matrix_calloc(k->d_g, k->d_g);
        for (size_t n = 0; n < k->n; n++) {
            want_a = plain_sum(want_a, 1 / (double)k->n, plain_outer(&s, n));
            want_g = plain_sum(want_g, 1 / (double)k->n, plain_covariance(&s, n));
        }
        TEST_OK(fim_fisher_moments(f, a, g));
        assert_near(a, want_a, k, "A");
        assert_near(g, want_g, k, "G");
    }
}

Test(block, diagonal_in_any_kronecker_basis) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense)
    for (unsigned bases = 0; bases < 4; bases++) {
        gsl_matrix *u_a = plain_random_orthogonal(k->d_a, k->d_a, 8);
        gsl_matrix *u_g = plain_random_orthogonal(k->d_g, k->d_g, 9);
        const gsl_matrix *u = plain_kronecker(bases & 1 ? u_a : plain_identity(k->d_a),
                                              bases & 2 ? u_g : plain_identity(k->d_g));
        const gsl_matrix *rotated = plain_product(plain_product(plain_transpose(u), dense), u);
        gsl_matrix *want = gsl_matrix_alloc(k->d_a, k->d_g), *got = test_random_matrix(k->d_a, k->d_g, 10);
        for (size_t p = 0; p < rotated->size1; p++)
            gsl_matrix_set(want, p / k->d_g, p % k->d_g, gsl_matrix_get(rotated, p, p));
        TEST_OK(fim_fisher_diagonal(f, bases & 1 ? u_a : NULL, bases & 2 ? u_g : NULL, got));
        assert_near(got, want, k, "diagonal");
    }
}

Test(block, applied_to_parameters_also_in_padded_views) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense)
    for (size_t pad = 0; pad < 3; pad += 2) {
        gsl_matrix *wide_x = test_random_matrix(k->d_a + 1, k->d_g + pad, 11);
        gsl_matrix *wide_y = test_random_matrix(k->d_a + 1, k->d_g + pad, 12);
        gsl_matrix_view x = gsl_matrix_submatrix(wide_x, 1, pad / 2, k->d_a, k->d_g);
        gsl_matrix_view y = gsl_matrix_submatrix(wide_y, 1, pad / 2, k->d_a, k->d_g);
        TEST_OK(fim_fisher_apply(f, &x.matrix, &y.matrix));
        assert_near(plain_column(&y.matrix), plain_product(dense, plain_column(&x.matrix)), k, "F x");
    }
}

Test(block, norm_trace_and_inner_products) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense) {
        double norm2, trace, inner;
        const double scale = plain_norm(dense);
        TEST_OK(fim_fisher_norm2(f, &norm2));
        TEST_OK(fim_fisher_trace(f, &trace));
        cr_assert(epsilon_eq(dbl, norm2, plain_dot(dense, dense), 1e-13 * scale * scale), "%s", k->name);
        cr_assert(epsilon_eq(dbl, trace, plain_trace(dense), 1e-13 * plain_trace(dense)), "%s", k->name);
        const gsl_matrix *a = plain_random_symmetric(k->d_a, 13), *g = plain_random_symmetric(k->d_g, 14);
        const gsl_matrix *product = plain_kronecker(a, g);
        const fim_form seen = fim_fisher_form(f);
        TEST_OK(seen.inner_kronecker(seen.context, a, g, &inner));
        cr_assert(epsilon_eq(dbl, inner, plain_dot(dense, product), 1e-13 * scale * plain_norm(product)),
                  "%s", k->name);
        gsl_matrix *one = gsl_matrix_alloc(k->d_a, k->d_g), *other = gsl_matrix_alloc(k->d_a, k->d_g);
        TEST_OK(seen.diagonal(seen.context, NULL, NULL, one));
        TEST_OK(fim_fisher_diagonal(f, NULL, NULL, other));
        cr_assert(eq(dbl, test_max_difference(one, other), 0), "%s", k->name);
    }
}

Test(block, eigenvalues_are_those_of_the_dense_block) {
    fim_samples s;
    gsl_matrix *dense;
    size_t gram = 0, solver = 0;
    FOR_ALL_FORMS(k, f, s, dense) {
        gsl_vector *got = NULL;
        char route[200] = "";
        const bool diagonal = k->columns == TEST_DIAGONAL; // every output has a block of its own
        const size_t d = k->d_a * k->d_g, rows = k->n * (diagonal ? k->d_g : k->columns);
        const bool by_rows = !k->stored && k->columns != TEST_PACKED && rows < d;
        TEST_OK(fim_fisher_eigenvalues(f, SIZE_MAX, &got, route));
        plain_assert_decreasing(got, k->name);
        cr_assert(eq(sz, got->size, by_rows ? rows : d), "%s", k->name);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(got, plain_eigenvalues(dense, NULL)), 0,
                             1e-13 * (1 + plain_norm(dense))),
                  "%s", k->name);
        cr_assert(strstr(route, diagonal  ? "independent"
                                : by_rows ? "Gram"
                                          : "dense") != NULL,
                  "%s: %s", k->name, route);
        gram += by_rows;
        solver += !by_rows;
        // Below what it needs, it says so.
        gsl_vector *none = NULL;
        const size_t less = diagonal ? k->n * k->d_a * 8 : got->size * got->size * 8 - 1;
        TEST_FAILS(fim_fisher_eigenvalues(f, less, &none, route), FIM_ERR_BUDGET, "spectrum of");
        cr_assert(strstr(fim_message(), "--memory") != NULL && none == NULL, "%s", fim_message());
        gsl_vector_free(got);
    }
    cr_assert(gram > 2 && solver > 2, "both routes must occur");
}

Test(block, dead_parameters_do_not_disturb_the_spectrum) {
    fim_samples s = test_samples(30, 4, 3, 2, 15);
    for (size_t r = 0; r < 60; r++)
        gsl_matrix_set(s.g, r, 1, 0); // a dead output
    for (size_t n = 0; n < 30; n++)
        gsl_matrix_set(s.a, n, 2, 0); // a dead input
    const gsl_matrix *dense = plain_block(&s);
    fim_fisher *f = NULL;
    gsl_vector *got = NULL;
    char route[200];
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_fisher_eigenvalues(f, SIZE_MAX, &got, route));
    cr_assert(strstr(route, "6 live of 12") != NULL, "%s", route);
    cr_assert(epsilon_eq(dbl, plain_vector_difference(got, plain_eigenvalues(dense, NULL)), 0, 1e-13));
    fim_fisher_free(f);
}

Test(block, kronecker_values_are_the_singular_values_of_the_rearrangement) {
    fim_samples s;
    gsl_matrix *dense;
    size_t gram = 0, direct = 0;
    FOR_ALL_FORMS(k, f, s, dense) {
        gsl_vector *got = NULL;
        char route[200] = "";
        const size_t p_a = fim_svec_size(k->d_a), p_g = fim_svec_size(k->d_g), p = p_a < p_g ? p_a : p_g;
        const bool by_samples = !k->stored && k->n < p;
        const gsl_vector *want = plain_singular_values(plain_rearranged(dense, k->d_a, k->d_g), NULL, NULL);
        TEST_OK(fim_fisher_kronecker_values(f, SIZE_MAX, &got, route));
        plain_assert_decreasing(got, k->name);
        cr_assert(eq(sz, got->size, by_samples ? k->n : p), "%s", k->name);
        // The Gram matrices square the condition: small values are known to 1e-8 of the largest.
        cr_assert(epsilon_eq(dbl, plain_vector_difference(got, want), 0,
                             (by_samples ? 1e-8 : 1e-13) * gsl_vector_get(want, 0)),
                  "%s", k->name);
        cr_assert(strstr(route, by_samples ? "Gram" : "rearranged") != NULL, "%s: %s", k->name, route);
        gram += by_samples;
        direct += !by_samples;
        gsl_vector *none = NULL;
        TEST_FAILS(
            fim_fisher_kronecker_values(f, (by_samples ? 3 * k->n * k->n : p_a * p_g) * 8 - 1, &none, route),
            FIM_ERR_BUDGET, "Kronecker spectrum");
        cr_assert(none == NULL);
        gsl_vector_free(got);
    }
    cr_assert(gram > 2 && direct > 2, "both routes must occur");
}

// Gram matrices are made in tiles of 512 rows, sums over samples in chunks of 2 MB: both are crossed here.
Test(block, tiles_and_chunks_do_not_show) {
    enum { N = 700, D_A = 40, D_G = 40 };
    for (size_t columns = 0; columns <= 12; columns += 12) {
        const fim_samples s = test_samples(N, D_A, D_G, columns, 16);
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_new(&s, &f));
        const gsl_matrix *v = plain_random_symmetric(D_G, 17), *u = plain_random_symmetric(D_A, 18);
        gsl_matrix *rv = gsl_matrix_alloc(D_A, D_A), *ru = gsl_matrix_alloc(D_G, D_G);
        gsl_matrix *a = gsl_matrix_alloc(D_A, D_A), *g = gsl_matrix_alloc(D_G, D_G);
        gsl_matrix *diagonal = gsl_matrix_alloc(D_A, D_G);
        gsl_matrix *want_rv = gsl_matrix_calloc(D_A, D_A), *want_ru = gsl_matrix_calloc(D_G, D_G);
        gsl_matrix *want_a = gsl_matrix_calloc(D_A, D_A), *want_g = gsl_matrix_calloc(D_G, D_G);
        gsl_matrix *want_diagonal = gsl_matrix_calloc(D_A, D_G);
        TEST_OK(fim_fisher_rearranged(f, v, rv));
        TEST_OK(fim_fisher_rearranged_transposed(f, u, ru));
        TEST_OK(fim_fisher_moments(f, a, g));
        TEST_OK(fim_fisher_diagonal(f, NULL, NULL, diagonal));
        for (size_t n = 0; n < N; n++) {
            gsl_matrix *outer = plain_outer(&s, n), *covariance = plain_covariance(&s, n);
            const double with_v = plain_dot(covariance, v) / N, with_u = plain_dot(outer, u) / N;
            for (size_t i = 0; i < D_A * D_A; i++) {
                want_rv->data[i] += with_v * outer->data[i];
                want_a->data[i] += outer->data[i] / N;
            }
            for (size_t i = 0; i < D_G * D_G; i++) {
                want_ru->data[i] += with_u * covariance->data[i];
                want_g->data[i] += covariance->data[i] / N;
            }
            for (size_t i = 0; i < D_A; i++)
                for (size_t j = 0; j < D_G; j++)
                    *gsl_matrix_ptr(want_diagonal, i, j) +=
                        gsl_matrix_get(outer, i, i) * gsl_matrix_get(covariance, j, j) / N;
            gsl_matrix_free(outer);
            gsl_matrix_free(covariance);
        }
        const form k = {.name = columns > 0 ? "rows" : "packed"};
        assert_near(rv, want_rv, &k, "R(F) v");
        assert_near(ru, want_ru, &k, "R(F)ᵀ u");
        assert_near(a, want_a, &k, "A");
        assert_near(g, want_g, &k, "G");
        assert_near(diagonal, want_diagonal, &k, "diagonal");
        // The norm by Gram matrices (N is below p_a = p_g = 820) against the norm of the packed block.
        double norm2;
        gsl_matrix *rs = gsl_matrix_alloc(820, 820);
        TEST_OK(fim_fisher_norm2(f, &norm2));
        TEST_OK(fim_fisher_packed(f, rs));
        cr_assert(epsilon_eq(dbl, norm2, plain_dot(rs, rs), 1e-12 * norm2), "%s", k.name);
        fim_fisher_free(f);
    }
}

// Rows of a diagonal or a product take at most 8 MB of scratch where the samples are few megabytes: these are
// more. The answers are those of loops over the samples.
Test(block, sums_over_many_samples_by_slices) {
    enum { N = 80001, D_A = 3, D_G = 12 };
    static const size_t kept[] = {1, TEST_PACKED, TEST_DIAGONAL};
    for (size_t i_kept = 0; i_kept < 3; i_kept++) {
        const fim_samples s = test_samples(N, D_A, D_G, kept[i_kept], 19);
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_new(&s, &f));
        const gsl_matrix *u_a = plain_random_orthogonal(D_A, D_A, 20);
        const gsl_matrix *u_g = plain_random_orthogonal(D_G, D_G, 21);
        const gsl_matrix *x = test_random_matrix(D_A, D_G, 22);
        gsl_matrix *diagonal = test_random_matrix(D_A, D_G, 23), *want_diagonal = gsl_matrix_calloc(D_A, D_G);
        gsl_matrix *y = test_random_matrix(D_A, D_G, 24), *want_y = gsl_matrix_calloc(D_A, D_G);
        TEST_OK(fim_fisher_diagonal(f, u_a, u_g, diagonal));
        TEST_OK(fim_fisher_apply(f, x, y));
        for (size_t n = 0; n < N; n++) {
            gsl_matrix *g = plain_covariance(&s, n);
            double squares[D_G] = {0}, product[D_G] = {0}, t[D_G] = {0};
            for (size_t i = 0; i < D_A; i++)
                for (size_t j = 0; j < D_G; j++)
                    t[j] += gsl_matrix_get(s.a, n, i) * gsl_matrix_get(x, i, j);
            for (size_t k = 0; k < D_G; k++)
                for (size_t l = 0; l < D_G; l++) {
                    product[k] += gsl_matrix_get(g, k, l) * t[l];
                    for (size_t j = 0; j < D_G; j++)
                        squares[j] +=
                            gsl_matrix_get(u_g, k, j) * gsl_matrix_get(g, k, l) * gsl_matrix_get(u_g, l, j);
                }
            for (size_t i = 0; i < D_A; i++) {
                double rotated = 0;
                for (size_t k = 0; k < D_A; k++)
                    rotated += gsl_matrix_get(s.a, n, k) * gsl_matrix_get(u_a, k, i);
                for (size_t j = 0; j < D_G; j++) {
                    *gsl_matrix_ptr(want_diagonal, i, j) += rotated * rotated * squares[j] / N;
                    *gsl_matrix_ptr(want_y, i, j) += gsl_matrix_get(s.a, n, i) * product[j] / N;
                }
            }
            gsl_matrix_free(g);
        }
        const form k = {.name = i_kept == 0 ? "rows" : i_kept == 1 ? "packed" : "diagonal"};
        assert_near(diagonal, want_diagonal, &k, "diagonal");
        assert_near(y, want_y, &k, "F x");
        fim_fisher_free(f);
    }
}

Test(block, of_duplicated_data_is_the_same) {
    const fim_samples s = test_samples(6, 4, 3, 2, 19);
    fim_samples twice = {.n = 12, .d_a = 4, .d_g = 3, .columns = 2};
    twice.a = gsl_matrix_alloc(12, 4);
    twice.g = gsl_matrix_alloc(24, 3);
    for (size_t half = 0; half < 2; half++) {
        memcpy(gsl_matrix_ptr(twice.a, 6 * half, 0), s.a->data, 24 * sizeof(double));
        memcpy(gsl_matrix_ptr(twice.g, 12 * half, 0), s.g->data, 36 * sizeof(double));
    }
    fim_fisher *f = NULL, *g = NULL;
    gsl_matrix *one = gsl_matrix_alloc(12, 12), *other = gsl_matrix_alloc(12, 12);
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_fisher_new(&twice, &g));
    TEST_OK(fim_fisher_dense(f, one));
    TEST_OK(fim_fisher_dense(g, other));
    cr_assert(epsilon_eq(dbl, test_max_difference(one, other), 0, 1e-14));
    fim_fisher_free(f);
    fim_fisher_free(g);
}

Test(block, stored_without_factors_has_no_moments) {
    const fim_samples s = test_samples(9, 4, 3, 1, 20);
    gsl_matrix *a = test_random_matrix(4, 4, 1), *g = test_random_matrix(3, 3, 1);
    for (size_t k = 0; k < 3; k++) {
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_new_dense(plain_block(&s), 4, 3, 9, k == 1 ? plain_identity(4) : NULL,
                                     k == 2 ? plain_identity(3) : NULL, &f));
        TEST_FAILS(fim_fisher_moments(f, a, g), FIM_ERR_UNAVAILABLE, "--with");
        fim_fisher_free(f);
    }
}

Test(block, what_is_no_fisher_block_is_refused) {
    const fim_samples s = test_samples(9, 4, 3, 1, 21);
    fim_fisher *f = NULL;
    gsl_matrix *m = plain_block(&s);
    *gsl_matrix_ptr(m, 2, 7) += 1e-3; // not symmetric
    TEST_FAILS(fim_fisher_new_dense(m, 4, 3, 9, NULL, NULL, &f), FIM_ERR_VALUE, "1.0e-03");
    m = plain_block(&s);
    for (size_t side = 0; side < 2; side++) // symmetric, but the block of inputs 0 and 2 is not
        *gsl_matrix_ptr(m, side == 0 ? 1 : 8, side == 0 ? 8 : 1) += 1e-3;
    TEST_FAILS(fim_fisher_new_dense(m, 4, 3, 9, NULL, NULL, &f), FIM_ERR_VALUE, "d_a = 4, d_g = 3");
    // Parameters in the other order (j·d_a + i).
    const gsl_matrix *block = plain_block(&s);
    m = gsl_matrix_alloc(12, 12);
    for (size_t p = 0; p < 12; p++)
        for (size_t q = 0; q < 12; q++)
            gsl_matrix_set(m, p % 3 * 4 + p / 3, q % 3 * 4 + q / 3, gsl_matrix_get(block, p, q));
    TEST_FAILS(fim_fisher_new_dense(m, 4, 3, 9, NULL, NULL, &f), FIM_ERR_VALUE, "i·d_g + j");
    for (size_t at = 0; at < 144; at++) // every single entry counts
        for (size_t k = 0; k < 3; k++) {
            m = plain_block(&s);
            m->data[at] = k == 0 ? nan("") : k == 1 ? HUGE_VAL : m->data[at] + 1e-3;
            const fim_status want = k == 2 && at / 12 == at % 12 ? FIM_OK : FIM_ERR_VALUE;
            const fim_status got = fim_fisher_new_dense(m, 4, 3, 9, NULL, NULL, &f);
            cr_assert(got == want, "entry (%zu, %zu), case %zu: '%s'", at / 12, at % 12, k,
                      fim_status_text(got));
            fim_fisher_free(f);
            f = NULL;
        }
    TEST_FAILS(fim_fisher_new_dense(plain_block(&s), 3, 3, 9, NULL, NULL, &f), FIM_ERR_SHAPE, "(12, 12)");
    TEST_FAILS(fim_fisher_new_dense(plain_block(&s), 4, 3, 0, NULL, NULL, &f), FIM_ERR_SHAPE, "0 samples");
    TEST_FAILS(fim_fisher_new_dense(plain_block(&s), 4, 3, 9, plain_identity(3), NULL, &f), FIM_ERR_SHAPE,
               "d_a = 4");
    TEST_FAILS(fim_fisher_new_dense(plain_block(&s), 4, 3, 9, NULL, plain_identity(4), &f), FIM_ERR_SHAPE,
               "d_g = 3");
    TEST_FAILS(fim_fisher_new_dense(gsl_matrix_alloc(0, 0), 0, 3, 9, NULL, NULL, &f), FIM_ERR_SHAPE,
               "d_a = 0");
    cr_assert(f == NULL, "the output was touched");
}

Test(block, wrong_shapes_are_refused) {
    fim_samples s;
    gsl_matrix *dense;
    FOR_ALL_FORMS(k, f, s, dense) {
        gsl_matrix *aa = gsl_matrix_calloc(k->d_a, k->d_a), *gg = gsl_matrix_calloc(k->d_g, k->d_g);
        gsl_matrix *x = gsl_matrix_calloc(k->d_a, k->d_g), *wrong = gsl_matrix_calloc(7, 8);
        TEST_FAILS(fim_fisher_rearranged(f, wrong, aa), FIM_ERR_SHAPE, "V is (7, 8)");
        TEST_FAILS(fim_fisher_rearranged(f, gg, wrong), FIM_ERR_SHAPE, "U is (7, 8)");
        TEST_FAILS(fim_fisher_rearranged_transposed(f, wrong, gg), FIM_ERR_SHAPE, "U is (7, 8)");
        TEST_FAILS(fim_fisher_rearranged_transposed(f, aa, wrong), FIM_ERR_SHAPE, "V is (7, 8)");
        TEST_FAILS(fim_fisher_moments(f, wrong, gg), FIM_ERR_SHAPE, "A is (7, 8)");
        TEST_FAILS(fim_fisher_moments(f, aa, wrong), FIM_ERR_SHAPE, "G is (7, 8)");
        TEST_FAILS(fim_fisher_diagonal(f, wrong, NULL, x), FIM_ERR_SHAPE, "U_a is (7, 8)");
        TEST_FAILS(fim_fisher_diagonal(f, NULL, wrong, x), FIM_ERR_SHAPE, "U_g is (7, 8)");
        TEST_FAILS(fim_fisher_diagonal(f, NULL, NULL, wrong), FIM_ERR_SHAPE, "diagonal is (7, 8)");
        TEST_FAILS(fim_fisher_apply(f, wrong, x), FIM_ERR_SHAPE, "x is (7, 8)");
        TEST_FAILS(fim_fisher_apply(f, x, wrong), FIM_ERR_SHAPE, "y is (7, 8)");
        TEST_FAILS(fim_fisher_packed(f, wrong), FIM_ERR_SHAPE, "Rs is (7, 8)");
        TEST_FAILS(fim_fisher_dense(f, wrong), FIM_ERR_SHAPE, "(7, 8)");
    }
    fim_fisher_free(NULL);
}

Test(block, unsound_samples_are_refused) {
    fim_fisher *f = NULL;
    static const struct {
        size_t row, column;
        double value;
        const char *part;
    } bad[] = {{3, 1, NAN, "a[3, 1]"}, {0, 3, INFINITY, "a[0, 3]"}, {7, 2, NAN, "g[7, 2]"}};
    for (size_t i = 0; i < 3; i++) {
        fim_samples s = test_samples(4, 4, 3, 2, 22);
        gsl_matrix_set(i < 2 ? s.a : s.g, bad[i].row, bad[i].column, bad[i].value);
        TEST_FAILS(fim_fisher_new(&s, &f), FIM_ERR_VALUE, bad[i].part);
    }
    fim_samples packed = test_samples(4, 4, 3, 0, 22);
    gsl_matrix_set(packed.packed, 1, 5, -INFINITY);
    TEST_FAILS(fim_fisher_new(&packed, &f), FIM_ERR_VALUE, "packed G[1, 5]");

    fim_samples s = test_samples(4, 4, 3, 2, 22), t = s;
    t.n = 0;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "N = 0");
    t = s;
    t.n = 5;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "a of the samples is (4, 4), expected (5, 4)");
    t = s;
    t.columns = 3;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "g of the samples is (8, 3), expected (12, 3)");
    t.columns = 0;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "at least one column");
    t = s;
    t.packed = packed.packed;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "one of g");
    t = s;
    t.g = NULL;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "one of g");
    t.packed = s.a;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "packed G of the samples is (4, 4), expected (4, 6)");
    t = s;
    t.a = NULL;
    TEST_FAILS(fim_fisher_new(&t, &f), FIM_ERR_SHAPE, "samples need a");
    cr_assert(f == NULL, "the output was touched");
}

// From the network to every answer, with the layers' own samples behind it.
Test(block, of_a_network_is_that_of_plain_loops) {
    const test_shape shape = {4, {5, 4, 2, 4, 5}, 0, FIM_ACTIVATION_TANH};
    static const fim_fisher_spec specs[] = {
        {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 3, 1}, {FIM_FISHER_EMPIRICAL, 1, 0}};
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (size_t i = 0; i < 3; i++) {
            const fim_net net = test_network(k, &shape, 23);
            const fim_data data = test_inputs(&net, 6, 24);
            for (size_t l = 0; l < 4; l++) {
                fim_samples samples;
                fim_fisher *f = NULL;
                const fim_samples plain = plain_samples(&net, &data, &specs[i], l);
                const gsl_matrix *want = plain_block(&plain);
                gsl_matrix *got = gsl_matrix_alloc(want->size1, want->size1);
                TEST_OK(fim_fisher_capture(&net, &data, &specs[i], &l, 1, SIZE_MAX, NULL, &samples));
                TEST_OK(fim_fisher_new(&samples, &f));
                TEST_OK(fim_fisher_dense(f, got));
                cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13 * (1 + plain_norm(want))),
                          "%s, kind %zu, layer %zu", fim_likelihood_name(k), i, l);
                fim_fisher_free(f);
            }
        }
}

Test(block, expanded_diagonals_are_the_same_samples) {
    fim_samples s = test_samples(6, 4, 3, TEST_DIAGONAL, 23),
                packed = test_samples(6, 4, 3, TEST_DIAGONAL, 23);
    TEST_OK(fim_samples_expand(&packed));
    cr_assert(packed.diagonal == NULL && packed.packed != NULL);
    TEST_OK(fim_samples_check(&packed));
    for (size_t n = 0; n < s.n; n++)
        cr_assert(eq(dbl, test_max_difference(plain_covariance(&packed, n), plain_covariance(&s, n)), 0));
    TEST_OK(fim_samples_expand(&packed)); // nothing to do
    fim_samples_clear(&s);
    fim_samples_clear(&packed);
}
