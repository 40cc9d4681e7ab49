// Chunks of samples side by side: what several threads make against what one makes.
#include "fim/linalg.h"
#include "networks.h"

static void teardown(void) {
    fim_linalg_setup(1);
}
TestSuite(threads, .fini = teardown);

enum { N = 1100, THREADS = 3 };

static const test_shape shapes[] = {
    {3, {6, 9, 8, 5}, 0, FIM_ACTIVATION_TANH},      // a classifier, or a regression
    {4, {7, 12, 3, 11, 8}, 0, FIM_ACTIVATION_RELU}, // an auto-encoder with dead units
    {3, {2, 2, 30, 40}, 0, FIM_ACTIVATION_TANH},    // tangents
    {1, {5, 4}, 0, FIM_ACTIVATION_TANH},            // the logits alone
};
static const fim_fisher_spec specs[] = {
    {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 1, 5}, {FIM_FISHER_MC, 6, 6}};

static void capture(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec, size_t threads,
                    const fim_monitor *monitor, fim_samples *out) {
    static const size_t layers[] = {0, 1, 2, 3};
    fim_linalg_setup(threads);
    TEST_OK(fim_fisher_capture(net, data, spec, layers, net->n_layers, SIZE_MAX, monitor, out));
}

static void assert_same(const gsl_matrix *got, const gsl_matrix *want, const char *what) {
    if (want == NULL)
        cr_assert(got == NULL, "%s", what);
    else
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13 * (1 + plain_norm(want))), "%s",
                  what);
}

// All that sums over samples, with threads and with one.
static void assert_same_products(const fim_samples *s, const char *what) {
    const gsl_matrix *v = plain_random_symmetric(s->d_g, 3), *w = plain_random_symmetric(s->d_a, 4);
    const gsl_matrix *u_a = plain_random_orthogonal(s->d_a, s->d_a, 5),
                     *u_g = plain_random_orthogonal(s->d_g, s->d_g, 6);
    gsl_matrix *results[2][5];
    for (size_t k = 0; k < 2; k++) {
        fim_fisher *f = NULL;
        fim_linalg_setup(k == 0 ? 1 : THREADS);
        TEST_OK(fim_fisher_new(s, &f));
        for (size_t i = 0; i < 5; i++)
            results[k][i] =
                gsl_matrix_alloc(i % 2 == 0 ? s->d_a : s->d_g, i == 4 || i % 2 == 1 ? s->d_g : s->d_a);
        TEST_OK(fim_fisher_rearranged(f, v, results[k][0]));
        TEST_OK(fim_fisher_rearranged_transposed(f, w, results[k][1]));
        TEST_OK(fim_fisher_moments(f, results[k][2], results[k][3]));
        TEST_OK(fim_fisher_diagonal(f, u_a, u_g, results[k][4]));
        fim_fisher_free(f);
    }
    for (size_t i = 0; i < 5; i++)
        assert_same(results[1][i], results[0][i], what);
}

Test(threads, captures_and_products_are_those_of_one_thread) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
            for (size_t f = 0; f < sizeof specs / sizeof *specs; f++) {
                const fim_net net = test_network(k, &shapes[i], 7 + i);
                const fim_data data = test_inputs(&net, N, 8);
                fim_samples one[4], several[4];
                capture(&net, &data, &specs[f], 1, NULL, one);
                capture(&net, &data, &specs[f], THREADS, NULL, several);
                for (size_t l = 0; l < net.n_layers; l++) {
                    char what[96];
                    snprintf(what, sizeof what, "shape %zu, %s, spec %zu, layer %zu", i,
                             fim_likelihood_name(k), f, l);
                    assert_same(several[l].a, one[l].a, what);
                    assert_same(several[l].packed, one[l].packed, what);
                    assert_same(several[l].diagonal, one[l].diagonal, what);
                    // Rows are a factor of G_n, which is what they have to agree in.
                    for (size_t n = 0; n < N && one[l].g != NULL; n++)
                        assert_same(plain_covariance(&several[l], n), plain_covariance(&one[l], n), what);
                    assert_same_products(&one[l], what);
                    fim_samples_clear(&one[l]);
                    fim_samples_clear(&several[l]);
                }
            }
}

// Whoever is done first.
Test(threads, the_same_threads_make_the_same_bits) {
    const fim_net net = test_network(FIM_CATEGORICAL, &shapes[0], 7);
    const fim_data data = test_inputs(&net, N, 8);
    fim_samples samples[4];
    gsl_matrix *v = plain_random_symmetric(9, 3), *w = plain_random_symmetric(7, 4), *first_u = NULL,
               *first_t = NULL;
    capture(&net, &data, &specs[2], THREADS, NULL, samples);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&samples[0], &f));
    for (size_t k = 0; k < 50; k++) {
        gsl_matrix *u = gsl_matrix_alloc(7, 7), *t = gsl_matrix_alloc(9, 9);
        TEST_OK(fim_fisher_rearranged(f, v, u));
        TEST_OK(fim_fisher_rearranged_transposed(f, w, t));
        first_u = k == 0 ? u : first_u;
        first_t = k == 0 ? t : first_t;
        cr_assert(test_max_difference(u, first_u) == 0 && test_max_difference(t, first_t) == 0, "time %zu",
                  k);
    }
    fim_fisher_free(f);
}

typedef struct watch {
    size_t calls;
    double last, total;
    bool back; // it went backwards
} watch;

static void count(void *context, const char *what, double done, double total) {
    watch *w = context;
    cr_assert(strstr(what, "capturing") != NULL);
    w->back |= done < w->last;
    w->calls++;
    w->last = done;
    w->total = total;
}

static bool after_three(void *context) {
    return ((const watch *)context)->calls >= 3;
}

Test(threads, progress_goes_forward_and_can_be_stopped) {
    const fim_net net = test_network(FIM_CATEGORICAL, &shapes[0], 7);
    const fim_data data = test_inputs(&net, N, 8);
    fim_samples samples[4];
    watch w = {0};
    capture(&net, &data, &specs[0], THREADS, &(fim_monitor){.context = &w, .progress = count}, samples);
    cr_assert(w.calls > 2 * THREADS && w.back == false && w.last == N && w.total == N, "%zu calls", w.calls);
    for (size_t l = 0; l < net.n_layers; l++)
        fim_samples_clear(&samples[l]);
    w = (watch){0};
    static const size_t layers[] = {0, 1, 2};
    const fim_monitor stop = {.context = &w, .progress = count, .cancelled = after_three};
    TEST_FAILS(fim_fisher_capture(&net, &data, &specs[0], layers, 3, SIZE_MAX, &stop, samples), FIM_CANCELLED,
               "interrupted");
    cr_assert(w.calls <= 3 + THREADS, "%zu calls", w.calls);
}
