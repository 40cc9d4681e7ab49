// Samples captured from networks against plain loops, on every way that the plan knows; the exact block
// against finite differences of log p(y|x).
#include "../../src/fisher/plan.h"
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(capture, .init = setup);
TestSuite(plan, .init = setup);

static const test_shape shapes[] = {
    {1, {4, 3}, 0, FIM_ACTIVATION_TANH},                    // the logits alone
    {2, {5, 4, 3}, 0, FIM_ACTIVATION_TANH},                 // a classifier
    {3, {3, 6, 2, 5}, 5, FIM_ACTIVATION_SIGMOID},           // no bias in layers 0 and 2
    {6, {9, 7, 5, 2, 5, 7, 9}, 0, FIM_ACTIVATION_SOFTPLUS}, // an auto-encoder: its code compresses
    {4, {3, 1, 4, 1, 2}, 0, FIM_ACTIVATION_GELU},           // layers of one unit
    {3, {2, 2, 30, 40}, 0, FIM_ACTIVATION_TANH},            // a narrow layer under wide ones: tangents
    {3, {4, 6, 5, 1}, 2, FIM_ACTIVATION_SIN},               // one output
    {4, {6, 8, 8, 8, 3}, 0, FIM_ACTIVATION_RELU},           // equal widths
};
enum { SHAPES = sizeof shapes / sizeof *shapes, N = 7 };

static const fim_fisher_spec specs[] = {{FIM_FISHER_EXACT, 1, 0},
                                        {FIM_FISHER_MC, 1, 5},
                                        {FIM_FISHER_MC, 3, 6},
                                        {FIM_FISHER_MC, 11, 7},
                                        {FIM_FISHER_EMPIRICAL, 1, 0}};
enum { SPECS = sizeof specs / sizeof *specs };

static char *describe(const fim_net *net, size_t shape, const fim_fisher_spec *spec, size_t l) {
    static char text[96];
    char kind[32];
    snprintf(text, sizeof text, "shape %zu, %s, %s, layer %zu", shape, fim_likelihood_name(net->likelihood),
             fim_fisher_spec_format(spec, kind), l);
    return text;
}

// Inputs and covariances of two sets of samples, whatever they keep.
static void assert_same(const fim_samples *got, const fim_samples *want, const char *what) {
    cr_assert(got->n == want->n && got->d_a == want->d_a && got->d_g == want->d_g, "%s: sizes", what);
    TEST_OK(fim_samples_check(got));
    cr_assert(epsilon_eq(dbl, test_max_difference(got->a, want->a), 0, 1e-13), "%s: a", what);
    for (size_t n = 0; n < got->n; n++) {
        const gsl_matrix *g = plain_covariance(want, n);
        cr_assert(
            epsilon_eq(dbl, test_max_difference(plain_covariance(got, n), g), 0, 1e-13 * (1 + plain_norm(g))),
            "%s: the covariance of sample %zu", what, n);
    }
}

Test(capture, samples_are_those_of_plain_loops) {
    size_t packed = 0, rows = 0;
    for (size_t s = 0; s < SHAPES; s++)
        for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
            for (size_t f = 0; f < SPECS; f++) {
                const fim_net net = test_network(k, &shapes[s], 7 + s);
                const fim_data data = test_inputs(&net, N, 8);
                size_t layers[8];
                fim_samples samples[8];
                for (size_t l = 0; l < net.n_layers; l++)
                    layers[l] = l;
                TEST_OK(fim_fisher_capture(&net, &data, &specs[f], layers, net.n_layers, SIZE_MAX, NULL,
                                           samples));
                for (size_t l = 0; l < net.n_layers; l++) {
                    const fim_samples want = plain_samples(&net, &data, &specs[f], l);
                    assert_same(&samples[l], &want, describe(&net, s, &specs[f], l));
                    // The smaller side is kept, and never more columns than rows.
                    const size_t columns = samples[l].columns, d_g = samples[l].d_g;
                    cr_assert(columns <= d_g && columns * d_g <= fim_svec_size(d_g), "%s: %zu columns kept",
                              describe(&net, s, &specs[f], l), columns);
                    const bool independent =
                        l + 1 == net.n_layers && k != FIM_CATEGORICAL && specs[f].kind == FIM_FISHER_EXACT;
                    const bool kept = samples[l].diagonal != NULL;
                    cr_assert(kept == independent, "%s: a diagonal is kept as such",
                              describe(&net, s, &specs[f], l));
                    packed += samples[l].packed != NULL;
                    rows += columns > 0;
                }
            }
    cr_assert(packed > 50 && rows > 50, "both ways of keeping G_n must occur");
}

Test(capture, a_layer_alone_is_captured_as_among_all) {
    for (size_t s = 0; s < SHAPES; s++)
        for (size_t f = 0; f < SPECS; f++) {
            const fim_net net = test_network(FIM_BERNOULLI, &shapes[s], 17 + s);
            const fim_data data = test_inputs(&net, N, 18);
            for (size_t l = 0; l < net.n_layers; l++) {
                fim_samples one;
                TEST_OK(fim_fisher_capture(&net, &data, &specs[f], &l, 1, SIZE_MAX, NULL, &one));
                const fim_samples want = plain_samples(&net, &data, &specs[f], l);
                assert_same(&one, &want, describe(&net, s, &specs[f], l));
            }
        }
}

Test(capture, chunks_do_not_show) {
    // 100 columns of 100 numbers: a chunk holds some 800 samples.
    const test_shape wide = {2, {3, 100, 100}, 0, FIM_ACTIVATION_TANH};
    enum { MANY = 900 };
    const fim_net net = test_network(FIM_CATEGORICAL, &wide, 27);
    fim_data data = test_inputs(&net, MANY, 28);
    for (size_t f = 0; f < SPECS; f++) {
        const fim_fisher_spec spec = {specs[f].kind, f == 3 ? 100 : specs[f].draws, specs[f].seed};
        const size_t layer = 0;
        fim_samples s;
        TEST_OK(fim_fisher_capture(&net, &data, &spec, &layer, 1, SIZE_MAX, NULL, &s));
        for (size_t n = 0; n < MANY; n += n == 0 ? 830 : 3) { // the first, and some in the second chunk
            const plain_pass pass = plain_forward(&net, &data, n);
            const gsl_matrix *b = plain_logit_rows(&net, &data, &spec, pass.s[1], n);
            const gsl_matrix *g = plain_product(b, plain_jacobian(&net, &pass, 0));
            const gsl_matrix *want = plain_product(plain_transpose(g), g);
            cr_assert(epsilon_eq(dbl, test_max_difference(plain_covariance(&s, n), want), 0, 1e-12),
                      "%s: sample %zu", describe(&net, 99, &spec, 0), n);
            gsl_matrix_const_view a = gsl_matrix_const_submatrix(s.a, n, 0, 1, s.d_a);
            cr_assert(epsilon_eq(dbl, test_max_difference(&a.matrix, pass.a[0]), 0, 1e-15));
        }
        fim_samples_clear(&s);
    }
}

// What hops the shapes above make, so that the tests above are known to walk all of them.
Test(plan, every_kind_of_hop_occurs_in_the_tests) {
    size_t forward = 0, backward = 0, compressed = 0, waypoints = 0, single = 0, forward_drawn = 0;
    for (size_t s = 0; s < SHAPES; s++)
        for (size_t f = 0; f < SPECS; f++) {
            const fim_net net = test_network(FIM_BERNOULLI, &shapes[s], 1);
            const size_t top = net.n_layers - 1;
            const size_t columns = specs[f].kind == FIM_FISHER_EXACT ? fim_net_outputs(&net) : specs[f].draws;
            capture_step steps[8];
            size_t layers[8];
            for (size_t l = 0; l <= top; l++)
                layers[l] = l;
            memset(steps, 0, sizeof steps);
            TEST_OK(
                plan_capture(&net, layers, net.n_layers, columns, specs[f].kind == FIM_FISHER_EXACT, steps));
            for (size_t l = 0; l < top; l++) {
                const bool from_logits =
                    steps[l].forward && steps[l].from == top && specs[f].kind == FIM_FISHER_EXACT;
                cr_assert(steps[l].needed && steps[l].from > l);
                cr_assert(from_logits || steps[steps[l].from].waypoint);
                cr_assert(steps[l].columns == steps[steps[l].from].kept &&
                          steps[l].kept <= shapes[s].widths[l + 1]);
                forward += steps[l].forward;
                forward_drawn += steps[l].forward && specs[f].kind != FIM_FISHER_EXACT;
                backward += !steps[l].forward;
                compressed += steps[l].kept < steps[l].columns;
                waypoints += steps[l].waypoint;
                single += shapes[s].widths[l + 1] == 1;
            }
        }
    cr_assert(forward > 0 && backward > 0 && compressed > 0 && waypoints > 0 && single > 0 &&
                  forward_drawn > 0,
              "forward %zu (%zu of them for draws), backward %zu, compressed %zu, waypoints %zu, "
              "layers of one unit %zu",
              forward, forward_drawn, backward, compressed, waypoints, single);
}

Test(plan, is_the_cheapest_chain_of_hops) {
    // By trying all chains: cost of a hop as the top comment of plan.c states it.
    for (size_t s = 0; s < SHAPES; s++) {
        const fim_net net = test_network(FIM_BERNOULLI, &shapes[s], 1);
        const size_t top = net.n_layers - 1;
        for (size_t columns = 1; columns <= 40; columns += 13) {
            capture_step steps[8];
            const size_t lowest = 0;
            memset(steps, 0, sizeof steps);
            TEST_OK(plan_capture(&net, &lowest, 1, columns, false, steps));
            double best = INFINITY;
            for (unsigned stops = 0; stops < 1u << top; stops += 2) { // bit k: layer k is a waypoint
                double flops = 0;
                size_t from = top, r = columns;
                for (size_t l = top; l-- > 0;) {
                    if (l > 0 && !(stops >> l & 1))
                        continue;
                    double span = 0;
                    for (size_t k = l + 1; k <= from; k++)
                        span += 2.0 * (double)(shapes[s].widths[k + 1] * shapes[s].widths[k]);
                    const double d = (double)shapes[s].widths[l + 1], c = (double)r;
                    const double width = (double)shapes[s].widths[from + 1];
                    const double start = d * (double)shapes[s].widths[l + 2]; // numbers of unit tangents
                    flops += fmin(span * c, (span - 2 * start) * d + 2 * d * width * c + 8 * start) +
                             (c > d ? 2 * c * d * d : 0);
                    r = r < shapes[s].widths[l + 1] ? r : shapes[s].widths[l + 1];
                    from = l;
                }
                best = fmin(best, flops);
            }
            if (top > 0)
                cr_assert(epsilon_eq(dbl, steps[0].flops, best, 1e-9 * best), "shape %zu, %zu columns", s,
                          columns);
        }
    }
}

// −log p(y | x) of sample n for class y, by plain loops.
static double plain_loss(const fim_net *net, const fim_data *data, size_t n, size_t y) {
    const plain_pass pass = plain_forward(net, data, n);
    return -log(plain_mean(FIM_CATEGORICAL, pass.s[net->n_layers - 1], y));
}

Test(capture, exact_block_of_a_classifier_is_that_of_finite_differences) {
    const test_shape shape = {2, {3, 4, 3}, 0, FIM_ACTIVATION_TANH};
    enum { SAMPLES = 5, CLASSES = 3 };
    fim_net net = test_network(FIM_CATEGORICAL, &shape, 37);
    const fim_data data = test_inputs(&net, SAMPLES, 38);
    for (size_t l = 0; l < 2; l++) {
        gsl_matrix *w = net.layers[l].w;
        const size_t d_g = w->size1, d_a = w->size2, d = d_a * d_g;
        gsl_matrix *rows = gsl_matrix_alloc(SAMPLES * CLASSES, d), *got = gsl_matrix_alloc(d, d);
        for (size_t r = 0; r < SAMPLES * CLASSES; r++) {
            const size_t n = r / CLASSES, y = r % CLASSES;
            const double weight = sqrt(exp(-plain_loss(&net, &data, n, y)) / SAMPLES), h = 1e-5;
            for (size_t p = 0; p < d; p++) {
                double *entry = gsl_matrix_ptr(w, p % d_g, p / d_g), centre = *entry;
                *entry = centre + h;
                const double above = plain_loss(&net, &data, n, y);
                *entry = centre - h;
                const double below = plain_loss(&net, &data, n, y);
                *entry = centre;
                gsl_matrix_set(rows, r, p, weight * (above - below) / (2 * h));
            }
        }
        const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
        fim_samples samples;
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_capture(&net, &data, &exact, &l, 1, SIZE_MAX, NULL, &samples));
        TEST_OK(fim_fisher_new(&samples, &f));
        TEST_OK(fim_fisher_dense(f, got));
        // Truncation and rounding of central differences at h = 1e-5 are some 1e-10.
        cr_assert(
            epsilon_eq(dbl, test_max_difference(got, plain_product(plain_transpose(rows), rows)), 0, 1e-9),
            "layer %zu", l);
        fim_fisher_free(f);
    }
}

// The mean over draws is the exact covariance: each entry within five standard errors, estimated from 40
// independent blocks of draws.
Test(capture, drawn_covariances_average_to_the_exact_ones) {
    const test_shape shape = {3, {3, 5, 4, 3}, 0, FIM_ACTIVATION_TANH};
    enum { BLOCKS = 40, DRAWS = 400 };
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        const fim_net net = test_network(k, &shape, 47);
        const fim_data data = test_inputs(&net, 2, 48);
        const size_t layer = 1;
        const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
        const fim_samples want = plain_samples(&net, &data, &exact, layer);
        gsl_matrix *sum = gsl_matrix_calloc(4, 4), *squares = gsl_matrix_calloc(4, 4);
        for (size_t b = 0; b < BLOCKS; b++) {
            const fim_fisher_spec mc = {FIM_FISHER_MC, DRAWS, 1000 + b};
            fim_samples drawn;
            TEST_OK(fim_fisher_capture(&net, &data, &mc, &layer, 1, SIZE_MAX, NULL, &drawn));
            const gsl_matrix *g = plain_covariance(&drawn, 1);
            for (size_t i = 0; i < 16; i++) {
                sum->data[i] += g->data[i];
                squares->data[i] += g->data[i] * g->data[i];
            }
        }
        const gsl_matrix *g = plain_covariance(&want, 1);
        for (size_t i = 0; i < 16; i++) {
            const double mean = sum->data[i] / BLOCKS;
            const double error = sqrt((squares->data[i] / BLOCKS - mean * mean) / (BLOCKS - 1));
            cr_assert(fabs(mean - g->data[i]) <= 5 * error,
                      "%s, entry %zu: %g, exactly %g, standard error %g", fim_likelihood_name(k), i, mean,
                      g->data[i], error);
            cr_assert(error < 0.05 * plain_norm(g), "the bound must mean something");
        }
    }
}

Test(capture, draws_depend_on_the_seed_alone) {
    const fim_net net = test_network(FIM_BERNOULLI, &shapes[3], 57);
    const fim_data data = test_inputs(&net, N, 58);
    const size_t layer = 2;
    fim_samples s[3];
    for (size_t i = 0; i < 3; i++) {
        const fim_fisher_spec mc = {FIM_FISHER_MC, 1, i / 2};
        TEST_OK(fim_fisher_capture(&net, &data, &mc, &layer, 1, SIZE_MAX, NULL, &s[i]));
    }
    cr_assert(eq(dbl, test_max_difference(s[0].g, s[1].g), 0), "the same seed");
    cr_assert(gt(dbl, test_max_difference(s[0].g, s[2].g), 1e-3), "another seed");
}

Test(capture, wrong_requests_are_refused) {
    fim_net net = test_network(FIM_CATEGORICAL, &shapes[1], 67);
    fim_data data = test_inputs(&net, N, 68);
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT}, none = {.kind = FIM_FISHER_MC, .draws = 0};
    const size_t both[] = {0, 1}, turned[] = {1, 0}, twice[] = {1, 1}, beyond[] = {0, 2};
    fim_samples s[2] = {{.n = 77}, {.n = 77}};
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, turned, 2, SIZE_MAX, NULL, s), FIM_ERR_ARGUMENT,
               "layer 0");
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, twice, 2, SIZE_MAX, NULL, s), FIM_ERR_ARGUMENT,
               "layer 1");
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, beyond, 2, SIZE_MAX, NULL, s), FIM_ERR_ARGUMENT,
               "layer 2");
    TEST_FAILS(fim_fisher_capture(&net, &data, &none, both, 2, SIZE_MAX, NULL, s), FIM_ERR_ARGUMENT, "draw");
    TEST_OK(fim_fisher_capture(&net, &data, &exact, both, 0, SIZE_MAX, NULL, s));

    // One byte too few: layer 0 keeps 7 x (6 + 3·4) numbers, layer 1 7 x (5 + 6).
    const size_t first = 7 * (6 + 10) * 8, all = first + 7 * (5 + 6) * 8;
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, first - 1, NULL, s), FIM_ERR_BUDGET,
               "layer 0");
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, all - 1, NULL, s), FIM_ERR_BUDGET, "layer 1");
    cr_assert(strstr(fim_message(), "--samples") != NULL, "%s", fim_message());

    gsl_matrix *x = data.x;
    data.x = test_random_matrix(N, 4, 1);
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, SIZE_MAX, NULL, s), FIM_ERR_SHAPE,
               "4 columns");
    data.x = gsl_matrix_alloc(0, 5);
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, SIZE_MAX, NULL, s), FIM_ERR_SHAPE,
               "no samples");
    data.x = x;
    gsl_matrix_set(data.x, 3, 1, NAN);
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, SIZE_MAX, NULL, s), FIM_ERR_VALUE, "layer 0");
    cr_assert(strstr(fim_message(), "a[3, 1]") != NULL, "%s", fim_message());
    gsl_matrix_set(data.x, 3, 1, 0);
    const fim_fisher_spec empirical = {.kind = FIM_FISHER_EMPIRICAL};
    data.labels[2] = 3;
    TEST_FAILS(fim_fisher_capture(&net, &data, &empirical, both, 2, SIZE_MAX, NULL, s), FIM_ERR_VALUE, "3");
    data.labels = NULL;
    cr_assert(fim_fisher_capture(&net, &data, &empirical, both, 2, SIZE_MAX, NULL, s) != FIM_OK);
    TEST_OK(fim_fisher_capture(&net, &data, &exact, both, 1, SIZE_MAX, NULL, s)); // needs no labels
    cr_assert(s[1].n == 77, "an output beyond the request was touched");
    gsl_matrix_set(net.layers[1].w, 0, 0, INFINITY);
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, both, 2, SIZE_MAX, NULL, s), FIM_ERR_VALUE, "layer 1");
}

static bool always(void *context) {
    (void)context;
    return true;
}

Test(capture, stops_when_asked) {
    const fim_net net = test_network(FIM_CATEGORICAL, &shapes[1], 77);
    const fim_data data = test_inputs(&net, N, 78);
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
    const fim_monitor monitor = {.cancelled = always};
    const size_t layer = 0;
    fim_samples s = {.n = 77};
    TEST_FAILS(fim_fisher_capture(&net, &data, &exact, &layer, 1, SIZE_MAX, &monitor, &s), FIM_CANCELLED,
               "captur");
    cr_assert(s.n == 77 && s.a == NULL, "the output was touched");
}

Test(capture, kinds_are_parsed_and_written) {
    static const char *const good[] = {"exact", "empirical", "mc:1", "mc:250"};
    for (size_t i = 0; i < 4; i++) {
        fim_fisher_spec spec = {.seed = 9};
        char text[32];
        TEST_OK(fim_fisher_spec_parse(good[i], &spec));
        TEST_TEXT(fim_fisher_spec_format(&spec, text), good[i]);
        cr_assert(spec.seed == 9);
    }
    fim_fisher_spec spec = {.draws = 77};
    TEST_OK(fim_fisher_spec_parse("mc", &spec));
    cr_assert(spec.kind == FIM_FISHER_MC && spec.draws == 1);
    TEST_OK(fim_fisher_spec_parse("exact", &spec));
    cr_assert(spec.kind == FIM_FISHER_EXACT);
    spec.draws = 77;
    TEST_FAILS(fim_fisher_spec_parse("fisher", &spec), FIM_ERR_UNKNOWN, "'fisher'");
    TEST_FAILS(fim_fisher_spec_parse("", &spec), FIM_ERR_UNKNOWN, "empirical");
    TEST_FAILS(fim_fisher_spec_parse("mcx", &spec), FIM_ERR_UNKNOWN, "'mcx'");
    TEST_FAILS(fim_fisher_spec_parse("mc:0", &spec), FIM_ERR_ARGUMENT, "'0'");
    TEST_FAILS(fim_fisher_spec_parse("mc:", &spec), FIM_ERR_ARGUMENT, "draws");
    TEST_FAILS(fim_fisher_spec_parse("mc:2x", &spec), FIM_ERR_ARGUMENT, "'2x'");
    cr_assert(spec.draws == 77 && spec.kind == FIM_FISHER_EXACT, "the output was touched");
}
