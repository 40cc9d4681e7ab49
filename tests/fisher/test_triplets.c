// Singular triplets of the rearranged block: Golub-Kahan-Lanczos and the polished core of the samples against
// a dense decomposition of the explicit R(F), with and without known terms.
#include "../../src/fisher/triplets.h"
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(triplets, .init = setup);

typedef fim_status way(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                       gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info);

// The packed row as a symmetric matrix.
static gsl_matrix *unpacked(const gsl_matrix *rows, size_t row, size_t d) {
    gsl_matrix *m = gsl_matrix_calloc(d, d);
    fim_svec_unpack(rows->data + row * rows->tda, m);
    return m;
}

static void check(way *find, const char *name, const fim_samples *s, size_t known, size_t k) {
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(s, &f));
    gsl_matrix *a = gsl_matrix_calloc(s->d_a, s->d_a), *g = gsl_matrix_calloc(s->d_g, s->d_g);
    TEST_OK(fim_fisher_moments(f, a, g));
    gsl_matrix *block = plain_block(s);
    if (known > 0)
        block = plain_sum(block, -1, plain_kronecker(a, g));
    const gsl_vector *want = plain_singular_values(plain_rearranged(block, s->d_a, s->d_g), NULL, NULL);

    remainder_map r;
    TEST_OK(remainder_init(&r, f, known, &a, &g));
    gsl_matrix *u = gsl_matrix_calloc(k, r.p_a), *v = gsl_matrix_calloc(k, r.p_g);
    gsl_vector *sigma = gsl_vector_calloc(k);
    fim_gkl_info info = {0};
    TEST_OK(find(&r, k, &(fim_gkl_options){.tolerance = 1e-9, .seed = 3}, u, sigma, v, &info));
    cr_assert(info.converged && info.residual <= 2e-9 && info.products > 0);
    for (size_t i = 0; i < k; i++) {
        const double s_i = gsl_vector_get(sigma, i), largest = gsl_vector_get(want, 0);
        cr_assert(epsilon_eq(dbl, s_i, gsl_vector_get(want, i), 1e-9 * largest), "%s, %zu known: sigma %zu",
                  name, known, i);
        // ⟨R, U V⟩ = σ for unit U and V pins the vectors down as well as their value.
        const gsl_matrix *u_i = unpacked(u, i, s->d_a), *v_i = unpacked(v, i, s->d_g);
        cr_assert(epsilon_eq(dbl, plain_norm(u_i), 1, 1e-12));
        cr_assert(epsilon_eq(dbl, plain_norm(v_i), 1, 1e-12));
        cr_assert(epsilon_eq(dbl, plain_dot(block, plain_kronecker(u_i, v_i)), s_i, 1e-9 * largest),
                  "%s, %zu known: pair %zu", name, known, i);
    }
    remainder_clear(&r);
    fim_fisher_free(f);
}

Test(triplets, both_ways_are_the_dense_decomposition) {
    static const size_t columns[] = {1, 3, TEST_PACKED, TEST_DIAGONAL};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t n = 4; n <= 60; n *= 15) { // fewer and more samples than p_a = 10 and p_g = 15
            fim_samples s = test_samples(n, 4, 5, columns[c], 30 + c);
            for (size_t known = 0; known < 2; known++)
                for (size_t k = 1; k <= 2; k++) {
                    check(triplets_krylov, "Lanczos", &s, known, k);
                    check(triplets_core, "core", &s, known, k);
                }
            fim_samples_clear(&s);
        }
}

Test(triplets, of_one_sample_are_its_own) {
    fim_samples s = test_samples(1, 3, 4, 2, 35);
    check(triplets_krylov, "Lanczos", &s, 0, 1);
    check(triplets_core, "core", &s, 0, 1);
    fim_samples_clear(&s);
}

Test(triplets, a_large_layer_goes_by_its_core_and_keeps_its_promise) {
    // 40 samples of 100 columns and 1100 outputs: 35 MB. ‖F‖² = Σ σ², so the error of the pair is known from
    // the rest.
    fim_samples s = test_samples(40, 12, 1100, 100, 36);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    const size_t p_a = fim_svec_size(12), p_g = fim_svec_size(1100);
    gsl_matrix *u = gsl_matrix_calloc(1, p_a), *v = gsl_matrix_calloc(1, p_g);
    gsl_vector *sigma = gsl_vector_calloc(1), *all = NULL;
    fim_gkl_info info = {0};
    char route[200];
    TEST_OK(fim_fisher_triplets(f, 0, NULL, NULL, 1, &(fim_gkl_options){.seed = 1}, u, sigma, v, &info));
    cr_assert(info.converged && info.products <= 12, "%zu products", info.products);
    TEST_OK(fim_fisher_kronecker_values(f, SIZE_MAX, &all, route));
    cr_assert(
        epsilon_eq(dbl, gsl_vector_get(sigma, 0), gsl_vector_get(all, 0), 1e-9 * gsl_vector_get(all, 0)));
    gsl_vector_free(all);
    fim_fisher_free(f);
    fim_samples_clear(&s);
}

Test(triplets, leading_values_are_those_of_all_and_fit_the_budget) {
    fim_samples s = test_samples(30, 5, 4, 2, 37); // p_a = 15, p_g = 10
    fim_fisher *f = NULL;
    gsl_vector *all = NULL, *three = NULL, *fewer = NULL;
    char route[200];
    const size_t pair = (15 + 10) * sizeof(double);
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_fisher_kronecker_values(f, SIZE_MAX, &all, route));
    TEST_OK(fim_fisher_leading_kronecker_values(f, 3, SIZE_MAX, 1, &three, route));
    TEST_OK(fim_fisher_leading_kronecker_values(f, 3, 27 * pair, 1, &fewer, route)); // 3k + 20 pairs
    cr_assert(strncmp(route, "leading 2 by products with R(F)", 31) == 0, "%s", route);
    cr_assert(three->size == 3 && fewer->size == 2);
    for (size_t i = 0; i < 3; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(three, i), gsl_vector_get(all, i),
                             1e-12 * gsl_vector_get(all, 0)));
    for (size_t i = 0; i < 2; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(fewer, i), gsl_vector_get(all, i),
                             1e-12 * gsl_vector_get(all, 0)));
    TEST_FAILS(fim_fisher_leading_kronecker_values(f, 3, 23 * pair - 1, 1, &three, route), FIM_ERR_BUDGET,
               "a leading Kronecker singular value");
    gsl_vector_free(all);
    gsl_vector_free(three);
    gsl_vector_free(fewer);
    fim_fisher_free(f);
    fim_samples_clear(&s);
}
