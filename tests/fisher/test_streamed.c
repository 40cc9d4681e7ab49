// A block whose samples are captured chunk by chunk against the one that holds them all: the same sums, for
// every kind of Fisher, also where chunks do not divide the rows; and a residual far below the norms.
#include "fim/approx.h"
#include "fim/metric.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(streamed, .init = setup);

enum { ROWS = 11 };

static const test_shape shape = {3, {6, 8, 5, 4}, 0, FIM_ACTIVATION_RELU};

static void close_to(const gsl_matrix *got, const gsl_matrix *want, const char *what) {
    cr_assert(epsilon_eq(dbl, plain_distance(got, want), 0, 1e-12 * (1 + plain_norm(want))), "%s", what);
}

// `budget` holds a few samples, or the rearranged block too.
static void compare(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec, size_t layer,
                    size_t budget) {
    fim_samples s;
    fim_fisher *whole = NULL, *parts = NULL;
    TEST_OK(fim_fisher_capture(net, data, spec, &layer, 1, SIZE_MAX, NULL, &s));
    TEST_OK(fim_fisher_new(&s, &whole));
    TEST_OK(fim_fisher_new_streamed(net, data, spec, layer, budget, &parts));
    cr_assert(fim_fisher_samples(parts) == ROWS);
    const size_t d_a = s.d_a, d_g = s.d_g;
    const gsl_matrix *v = plain_random_symmetric(d_g, 1), *u = plain_random_symmetric(d_a, 2);
    const gsl_matrix *u_a = plain_random_orthogonal(d_a, d_a, 3), *u_g = plain_random_orthogonal(d_g, d_g, 4);
    const gsl_matrix *x = test_random_matrix(d_a, d_g, 5);
    gsl_matrix *a[2], *g[2], *y[2], *rs[2];
    double norm2[2], trace[2];
    const fim_fisher *f[] = {whole, parts};
    for (size_t k = 0; k < 2; k++) {
        a[k] = gsl_matrix_alloc(d_a, d_a);
        g[k] = gsl_matrix_alloc(d_g, d_g);
        y[k] = gsl_matrix_alloc(d_a, d_g);
        rs[k] = gsl_matrix_alloc(fim_svec_size(d_a), fim_svec_size(d_g));
        TEST_OK(fim_fisher_norm2(f[k], &norm2[k]));
        TEST_OK(fim_fisher_trace(f[k], &trace[k]));
        TEST_OK(fim_fisher_packed(f[k], rs[k]));
    }
    cr_assert(epsilon_eq(dbl, norm2[1], norm2[0], 1e-12 * norm2[0]));
    cr_assert(epsilon_eq(dbl, trace[1], trace[0], 1e-12 * trace[0]));
    close_to(rs[1], rs[0], "Rs");
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_rearranged(f[k], v, a[k]));
    close_to(a[1], a[0], "R(F) v");
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_rearranged_transposed(f[k], u, g[k]));
    close_to(g[1], g[0], "R(F)ᵀ u");
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_moments(f[k], a[k], g[k]));
    close_to(a[1], a[0], "A");
    close_to(g[1], g[0], "G");
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_diagonal(f[k], u_a, u_g, y[k]));
    close_to(y[1], y[0], "the diagonal in a basis");
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_apply(f[k], x, y[k]));
    close_to(y[1], y[0], "F x");
    double inner[2];
    TEST_OK(fim_fisher_inner(whole, whole, &inner[0]));
    TEST_OK(fim_fisher_inner(parts, whole, &inner[1]));
    cr_assert(epsilon_eq(dbl, inner[1], inner[0], 1e-12 * inner[0]));
    TEST_OK(fim_fisher_inner(whole, parts, &inner[1]));
    cr_assert(epsilon_eq(dbl, inner[1], inner[0], 1e-12 * inner[0]));
    double halves[ROWS], difference2[2];
    for (size_t n = 0; n < ROWS; n++)
        halves[n] = (n % 2 == 0 ? 1 : -1) * (1 + 0.1 * (double)n);
    for (size_t k = 0; k < 2; k++)
        TEST_OK(fim_fisher_weighted_norm2(f[k], halves, &difference2[k]));
    cr_assert(epsilon_eq(dbl, difference2[1], difference2[0], 1e-12 * difference2[0] + 1e-15));
    fim_fisher_free(whole);
    fim_fisher_free(parts);
    fim_samples_clear(&s);
}

Test(streamed, sums_over_chunks_are_sums_over_samples) {
    static const fim_fisher_spec specs[] = {
        {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 2, 7}, {FIM_FISHER_EMPIRICAL, 1, 0}};
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        fim_net net = test_network(k, &shape, 5);
        fim_data data = test_inputs(&net, ROWS, 2);
        for (size_t i = 0; i < 3; i++)
            for (size_t layer = 0; layer < 3; layer++) {
                size_t one;
                TEST_OK(fim_fisher_capture_bytes(&net, &specs[i], layer, 1, &one));
                compare(&net, &data, &specs[i], layer, 4 * one);     // sample by sample, the norm by pairs
                compare(&net, &data, &specs[i], layer, 4 * 3 * one); // chunks of 3, 3, 3, 2
                compare(&net, &data, &specs[i], layer, 1 << 20);     // all at once
            }
    }
}

// KFAC is exact at the last layer of a gaussian network: inner products cancel there, and the residual is
// formed instead, for streamed samples as for others.
Test(streamed, cancellation_is_met) {
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 5);
    fim_data data = test_inputs(&net, ROWS, 2);
    const fim_fisher_spec spec = {FIM_FISHER_EXACT, 1, 0};
    size_t one, count;
    fim_fisher *f = NULL;
    fim_method method;
    fim_op *op = NULL;
    fim_approx_info info;
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    double value;
    char route[200];
    TEST_OK(fim_fisher_capture_bytes(&net, &spec, 2, 1, &one));
    TEST_OK(fim_fisher_new_streamed(&net, &data, &spec, 2, 12 * one, &f));
    TEST_OK(fim_method_parse("kfac", &method));
    TEST_OK(fim_approx_build(&method, f, &(fim_approx_options){0}, &op, &info));
    TEST_OK(fim_reference_new(f, NULL, SIZE_MAX, 1, &reference));
    TEST_OK(fim_candidate_new(reference, op, &candidate));
    const fim_metric *list = fim_metric_list(&count);
    TEST_OK(list[0].evaluate(candidate, &value, route)); // frobenius_error
    TEST_TEXT(route, "dense residual");
    cr_assert(value < 1e-14, "%g", value);
}

Test(streamed, refusals) {
    fim_net net = test_network(FIM_BERNOULLI, &shape, 5);
    fim_data data = test_inputs(&net, ROWS, 2);
    const fim_fisher_spec spec = {FIM_FISHER_EXACT, 1, 0};
    fim_fisher *f = NULL;
    size_t one;
    TEST_OK(fim_fisher_capture_bytes(&net, &spec, 0, 1, &one));
    TEST_FAILS(fim_fisher_new_streamed(&net, &data, &spec, 0, 4 * one - 1, &f), FIM_ERR_BUDGET,
               "single sample");
    TEST_FAILS(fim_fisher_new_streamed(&net, &data, &spec, 3, SIZE_MAX, &f), FIM_ERR_ARGUMENT, "layer 3");
    cr_assert(f == NULL);
}
