// The block in the frame of its samples, and products through the layers above, against dense blocks.
#include "fim/fisher.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(reduced, .init = setup);

// x in the frame, by its two projections; nothing of F is outside, so that what is outside of x is not
// missed.
static gsl_matrix *seen(const fim_reduced *frame, const gsl_matrix *x) {
    gsl_matrix *half = gsl_matrix_alloc(fim_reduced_d_a(frame), x->size2);
    gsl_matrix *turned = gsl_matrix_alloc(fim_reduced_d_g(frame), fim_reduced_d_a(frame));
    double outside[64];
    TEST_OK(fim_reduced_inputs(frame, x, half, outside));
    double missed = 0, norm2 = plain_dot(half, half);
    for (size_t j = 0; j < x->size2; j++)
        missed += outside[j];
    cr_assert(epsilon_eq(dbl, norm2 + missed, plain_dot(x, x), 1e-12 * plain_dot(x, x)));
    TEST_OK(fim_reduced_outputs(frame, plain_transpose(half), turned, outside));
    return plain_transpose(turned);
}

static void check(const fim_samples *s, bool rotated, size_t d_a, size_t d_g, const char *what) {
    fim_fisher *f = NULL;
    fim_reduced *frame = NULL;
    TEST_OK(fim_fisher_new(s, &f));
    TEST_OK(fim_reduced_new(f, rotated, SIZE_MAX, &frame));
    cr_assert(fim_reduced_d_a(frame) == d_a && fim_reduced_d_g(frame) == d_g, "%s: a frame of %zu x %zu",
              what, fim_reduced_d_a(frame), fim_reduced_d_g(frame));
    const gsl_matrix *block = plain_block(s), *x = test_random_matrix(s->d_a, s->d_g, 3);
    const gsl_matrix *fx = plain_parameters(plain_product(block, plain_column(x)), s->d_a, s->d_g);
    const gsl_matrix *want = seen(frame, fx);
    gsl_matrix *got = gsl_matrix_alloc(d_a, d_g);
    TEST_OK(fim_reduced_apply(frame, seen(frame, x), got));
    cr_assert(epsilon_eq(dbl, plain_distance(got, want), 0, 1e-12 * plain_norm(want)), "%s", what);
    cr_assert(epsilon_eq(dbl, plain_norm(want), plain_norm(fx), 1e-12 * plain_norm(fx)), "%s: F leaves it",
              what);
    fim_reduced_free(frame);
    fim_fisher_free(f);
}

Test(reduced, products_are_those_of_the_block) {
    static const size_t forms[] = {2, TEST_PACKED, TEST_DIAGONAL};
    for (size_t k = 0; k < 3; k++) {
        fim_samples s = test_samples(4, 9, 5, forms[k], 11 + k);
        check(&s, true, 4, 5, "fewer samples than inputs");
        check(&s, false, 9, 5, "inputs picked");
        for (size_t n = 0; n < s.n; n++) // an input and an output that are always 0
            gsl_matrix_set(s.a, n, 2, 0);
        for (size_t r = 0; s.g != NULL && r < s.g->size1; r++)
            gsl_matrix_set(s.g, r, 1, 0);
        for (size_t n = 0; n < s.n; n++)
            for (size_t i = 0, at = 0; s.packed != NULL && i < 5; i++)
                for (size_t j = i; j < 5; j++, at++)
                    if (i == 1 || j == 1)
                        gsl_matrix_set(s.packed, n, at, 0);
        for (size_t n = 0; s.diagonal != NULL && n < s.n; n++)
            gsl_matrix_set(s.diagonal, n, 1, 0);
        check(&s, true, 4, 4, "with dead ones");
        check(&s, false, 8, 4, "with dead ones, picked");
        fim_samples_clear(&s);
    }
}

// Layers whose packed G_n are left aside for the layers above them: the same F x, in every likelihood.
Test(reduced, products_through_the_layers_above) {
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (unsigned smooth = 0; smooth < 2; smooth++) {
            const test_shape shape = {
                3, {5, 12, 11, 7}, 0, smooth ? FIM_ACTIVATION_TANH : FIM_ACTIVATION_RELU};
            fim_net net = test_network(k, &shape, 5);
            fim_data data = test_inputs(&net, 6, 2);
            const fim_fisher_spec spec = {FIM_FISHER_EXACT, 1, 1};
            const size_t layers[] = {0, 1};
            fim_samples s[2];
            TEST_OK(fim_fisher_capture(&net, &data, &spec, layers, 2, SIZE_MAX, NULL, s));
            for (size_t l = 0; l < 2; l++) {
                cr_assert(s[l].chain != NULL, "layer %zu keeps no chain", l);
                fim_fisher *f = NULL;
                TEST_OK(fim_fisher_new(&s[l], &f));
                const gsl_matrix *block = plain_block(&s[l]), *x = test_random_matrix(s[l].d_a, s[l].d_g, 3);
                const gsl_matrix *want = plain_product(block, plain_column(x));
                gsl_matrix *y = gsl_matrix_alloc(s[l].d_a, s[l].d_g);
                TEST_OK(fim_fisher_apply(f, x, y));
                cr_assert(epsilon_eq(dbl, plain_distance(plain_column(y), want), 0, 1e-12 * plain_norm(want)),
                          "%s, layer %zu", fim_likelihood_name(k), l);
                fim_reduced *frame = NULL;
                TEST_OK(fim_reduced_new(f, true, SIZE_MAX, &frame));
                gsl_matrix *small = gsl_matrix_alloc(fim_reduced_d_a(frame), fim_reduced_d_g(frame));
                TEST_OK(fim_reduced_apply(frame, seen(frame, x), small));
                cr_assert(epsilon_eq(dbl, plain_distance(small, seen(frame, y)), 0, 1e-12 * plain_norm(want)),
                          "%s, layer %zu in its frame", fim_likelihood_name(k), l);
                fim_reduced_free(frame);
                fim_fisher_free(f);
                fim_samples_clear(&s[l]);
            }
        }
}

Test(reduced, refusals) {
    fim_samples s = test_samples(4, 9, 5, 2, 11);
    fim_fisher *f = NULL, *zero = NULL;
    fim_reduced *frame = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_FAILS(fim_reduced_new(f, true, 100, &frame), FIM_ERR_BUDGET, "frame");
    fim_samples dead = test_samples(4, 9, 5, 2, 12);
    gsl_matrix_set_zero(dead.g);
    TEST_OK(fim_fisher_new(&dead, &zero));
    TEST_FAILS(fim_reduced_new(zero, true, SIZE_MAX, &frame), FIM_ERR_UNAVAILABLE, "zero");
    cr_assert(frame == NULL);
    fim_fisher_free(f);
    fim_fisher_free(zero);
}
