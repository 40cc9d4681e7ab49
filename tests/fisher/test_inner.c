// Inner products of two blocks, and norms of blocks with weighted samples, against the dense matrices: every
// pair of forms, few and many samples, and sizes at which tiles end in the middle.
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(inner, .init = setup);

enum { D_A = 4, D_G = 5, STORED = 2000 };

typedef struct block {
    fim_samples *samples;
    gsl_matrix *dense;
    fim_fisher *f;
} block;

// n samples of `columns` columns, or TEST_PACKED, TEST_DIAGONAL, or STORED; they live as long as the test.
static block make(size_t n, size_t d_a, size_t d_g, size_t columns, uint64_t seed) {
    block b = {0};
    TEST_OK(fim_alloc(1, sizeof *b.samples, "samples", &b.samples));
    *b.samples = test_samples(n, d_a, d_g, columns == STORED ? 2 : columns, seed);
    b.dense = plain_block(b.samples);
    if (columns == STORED)
        TEST_OK(fim_fisher_new_dense(plain_copy(b.dense), d_a, d_g, n, NULL, NULL, &b.f));
    else
        TEST_OK(fim_fisher_new(b.samples, &b.f));
    return b;
}

Test(inner, of_every_pair_of_forms_is_that_of_the_dense_blocks) {
    static const size_t forms[] = {1, 2, 3, TEST_PACKED, TEST_DIAGONAL, STORED};
    static const size_t counts[] = {1, 7, 40}; // p_a = 10 and p_g = 15 lie between
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++)
            for (size_t n = 0; n < 3; n++)
                for (size_t m = 0; m < 3; m++) {
                    block x = make(counts[n], D_A, D_G, forms[i], 1),
                          y = make(counts[m], D_A, D_G, forms[j], 2);
                    double got = NAN, turned = NAN;
                    TEST_OK(fim_fisher_inner(x.f, y.f, &got));
                    TEST_OK(fim_fisher_inner(y.f, x.f, &turned));
                    const double want = plain_dot(x.dense, y.dense);
                    const double tolerance = 1e-13 * plain_norm(x.dense) * plain_norm(y.dense);
                    cr_assert(epsilon_eq(dbl, got, want, tolerance), "forms %zu and %zu, %zu and %zu samples",
                              forms[i], forms[j], counts[n], counts[m]);
                    cr_assert(epsilon_eq(dbl, turned, want, tolerance), "forms %zu and %zu, turned", forms[j],
                              forms[i]);
                    fim_fisher_free(x.f);
                    fim_fisher_free(y.f);
                }
}

// The dense block of the samples with weights.
static gsl_matrix *weighted_block(const fim_samples *s, const double *w) {
    gsl_matrix *sum = gsl_matrix_calloc(s->d_a * s->d_g, s->d_a * s->d_g);
    for (size_t n = 0; n < s->n; n++)
        sum = plain_sum(sum, w[n] / (double)s->n, plain_kronecker(plain_outer(s, n), plain_covariance(s, n)));
    return sum;
}

// 900 and 800 samples: tiles of 512 rows, of 170 samples in rows of three, and of 724 samples by bands. The
// dense blocks of a small layer tell the sum; most of its inputs are zero, so that p_a is larger than N.
Test(inner, tiles_do_not_show) {
    static const size_t forms[] = {1, 3, TEST_PACKED, TEST_DIAGONAL};
    enum { WIDE = 45, D_G2 = 17, MANY = 900 };
    static double w[MANY];
    for (size_t n = 0; n < MANY; n++)
        w[n] = test_random(9, n);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            block x = make(MANY, D_A, D_G2, forms[i], 3), y = make(800, D_A, D_G2, forms[j], 4);
            const gsl_matrix *weighted = j == 0 ? weighted_block(x.samples, w) : NULL;
            block *const both[] = {&x, &y};
            for (size_t k = 0; k < 2; k++) {
                gsl_matrix *a = gsl_matrix_calloc(both[k]->samples->n, WIDE);
                gsl_matrix_view part = gsl_matrix_submatrix(a, 0, 7, a->size1, D_A);
                gsl_matrix_memcpy(&part.matrix, both[k]->samples->a);
                both[k]->samples->a = a;
                both[k]->samples->d_a = WIDE;
                TEST_OK(fim_fisher_new(both[k]->samples, &both[k]->f));
            }
            double got = NAN;
            TEST_OK(fim_fisher_inner(x.f, y.f, &got));
            const double want = plain_dot(x.dense, y.dense);
            cr_assert(epsilon_eq(dbl, got, want, 1e-12 * want), "forms %zu and %zu", forms[i], forms[j]);
            if (j > 0)
                continue;
            TEST_OK(
                fim_fisher_weighted_norm2(x.f, w, &got)); // half of the tiles, and of those beside the others
            cr_assert(
                epsilon_eq(dbl, got, plain_dot(weighted, weighted), 1e-12 * plain_dot(x.dense, x.dense)),
                "form %zu with weights", forms[i]);
        }
}

Test(inner, a_block_with_itself_is_its_norm) {
    static const size_t forms[] = {2, TEST_PACKED, TEST_DIAGONAL, STORED};
    for (size_t i = 0; i < 4; i++) {
        const block x = make(9, D_A, D_G, forms[i], 5);
        double inner = NAN, norm2 = NAN;
        TEST_OK(fim_fisher_inner(x.f, x.f, &inner));
        TEST_OK(fim_fisher_norm2(x.f, &norm2));
        cr_assert(epsilon_eq(dbl, inner, norm2, 1e-14 * norm2), "form %zu", forms[i]);
    }
}

Test(inner, weights_of_either_sign) {
    static const size_t forms[] = {1, 3, TEST_PACKED, TEST_DIAGONAL};
    static const size_t counts[] = {1, 7, 40};
    for (size_t i = 0; i < 4; i++)
        for (size_t n = 0; n < 3; n++) {
            const block x = make(counts[n], D_A, D_G, forms[i], 6);
            double w[40], before = NAN, after = NAN, norm2 = NAN;
            for (size_t r = 0; r < counts[n]; r++)
                w[r] = test_random(7, r);
            const gsl_matrix *sum = weighted_block(x.samples, w);
            TEST_OK(fim_fisher_weighted_norm2(x.f, w, &before));
            TEST_OK(fim_fisher_norm2(x.f, &norm2)); // leaves Gram matrices behind for few samples
            TEST_OK(fim_fisher_weighted_norm2(x.f, w, &after));
            const double want = plain_dot(sum, sum);
            cr_assert(epsilon_eq(dbl, before, want, 1e-13 * norm2), "form %zu, %zu samples", forms[i],
                      counts[n]);
            cr_assert(epsilon_eq(dbl, after, want, 1e-13 * norm2), "form %zu, %zu samples", forms[i],
                      counts[n]);
        }
}

Test(inner, what_does_not_fit_is_refused) {
    const block x = make(5, D_A, D_G, 1, 8), narrow = make(5, D_A - 1, D_G, 1, 8);
    const block low = make(5, D_A, D_G - 1, 1, 8), stored = make(5, D_A, D_G, STORED, 8);
    const double w[5] = {1, 1, 1, 1, 1};
    double out = 77;
    TEST_FAILS(fim_fisher_inner(x.f, narrow.f, &out), FIM_ERR_SHAPE, "d_a = 4, d_g = 5 with one of d_a = 3");
    TEST_FAILS(fim_fisher_inner(low.f, stored.f, &out), FIM_ERR_SHAPE,
               "d_g = 4 with one of d_a = 4, d_g = 5");
    TEST_FAILS(fim_fisher_weighted_norm2(stored.f, w, &out), FIM_ERR_UNAVAILABLE, "samples");
    cr_assert(out == 77, "an output was touched");
}

// Σ_nm (a_n·a'_m)² ⟨G_n, G'_m⟩ / (N N'), covariance by covariance.
static double plain_inner(const fim_samples *x, const fim_samples *y) {
    double sum = 0;
    gsl_matrix **g_y = calloc(y->n, sizeof *g_y);
    for (size_t m = 0; m < y->n; m++)
        g_y[m] = plain_covariance(y, m);
    for (size_t n = 0; n < x->n; n++) {
        const gsl_matrix *g = plain_covariance(x, n);
        for (size_t m = 0; m < y->n; m++) {
            double a = 0;
            for (size_t i = 0; i < x->d_a; i++)
                a += gsl_matrix_get(x->a, n, i) * gsl_matrix_get(y->a, m, i);
            sum += a * a * plain_dot(g, g_y[m]);
        }
    }
    return sum / (double)(x->n * y->n);
}

// Many columns: inner products of the covariances, and their Gram matrix, come by several bands of their
// entries, from rows and from packed ones.
Test(inner, bands_of_wide_covariances_are_their_products) {
    enum { D_G3 = 200 };
    static const size_t forms[] = {20, TEST_PACKED};
    const fim_samples y = test_samples(64, 15, D_G3, 30, 41);
    fim_fisher *g = NULL;
    TEST_OK(fim_fisher_new(&y, &g));
    for (size_t i = 0; i < 2; i++) {
        const fim_samples x = test_samples(90, 15, D_G3, forms[i], 40);
        fim_fisher *f = NULL;
        double inner, own, norm2;
        TEST_OK(fim_fisher_new(&x, &f));
        TEST_OK(fim_fisher_inner(f, g, &inner));
        TEST_OK(fim_fisher_inner(f, f, &own));
        TEST_OK(fim_fisher_norm2(f, &norm2));
        const double want = plain_inner(&x, &y), want_own = plain_inner(&x, &x);
        cr_assert(epsilon_eq(dbl, inner, want, 1e-12 * want), "form %zu: %.16g, not %.16g", forms[i], inner,
                  want);
        cr_assert(epsilon_eq(dbl, own, want_own, 1e-12 * want_own), "form %zu: %.16g, not %.16g", forms[i],
                  own, want_own);
        cr_assert(epsilon_eq(dbl, norm2, want_own, 1e-12 * want_own), "form %zu: %.16g, not %.16g", forms[i],
                  norm2, want_own);
    }
}

// More samples than Rs has rows and columns: its norm comes by three lots of its rows, the weighted one by
// pairs.
Test(inner, rows_of_the_rearranged_block_are_pairs_of_samples) {
    enum { D = 55, SAMPLES = 1600 };
    const fim_samples s = test_samples(SAMPLES, D, D, 2, 50);
    fim_fisher *f = NULL;
    double ones[SAMPLES], norm2, pairs;
    for (size_t n = 0; n < SAMPLES; n++)
        ones[n] = 1;
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_fisher_norm2(f, &norm2));
    TEST_OK(fim_fisher_weighted_norm2(f, ones, &pairs));
    cr_assert(epsilon_eq(dbl, norm2, pairs, 1e-12 * pairs), "%.16g and %.16g", norm2, pairs);
}
