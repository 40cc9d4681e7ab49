// Passes against a plain network of loops, and derivatives against central differences.
#include <gsl/gsl_blas.h>

#include "fim/linalg.h"
#include "fim/net.h"
#include "support.h"

enum { N = 5, LAYERS = 4 };
static const size_t widths[LAYERS + 1] = {3, 5, 4, 6, 2};

static fim_net net;
static fim_trace trace;
static fim_data data;

// Random weights; layer 2 has no bias. The activations differ from layer to layer, beginning with `first`.
static void make_net(fim_likelihood likelihood, fim_activation first) {
    TEST_OK(fim_net_init_empty(&net, likelihood, LAYERS));
    for (size_t l = 0; l < LAYERS; l++) {
        fim_layer *layer = &net.layers[l];
        layer->bias = l != 2;
        layer->w = test_random_matrix(widths[l + 1], widths[l] + (layer->bias ? 1 : 0), 40 + l);
        layer->activation = l + 1 < LAYERS ? (first + l) % FIM_ACTIVATION_COUNT : FIM_ACTIVATION_IDENTITY;
    }
    TEST_OK(fim_net_check(&net));
    // Room for more rows than a batch has.
    TEST_OK(fim_trace_init(&trace, &net, N + 2));
    data.x = test_random_matrix(N, widths[0], 50);
    data.y = test_random_matrix(N, widths[LAYERS], 51);
    gsl_matrix_add_constant(data.y, 1);
    gsl_matrix_scale(data.y, 0.5);
    TEST_OK(fim_alloc(N, sizeof *data.labels, "labels", &data.labels));
    for (uint32_t r = 0; r < N; r++)
        data.labels[r] = r % 2;
}

static void clear_net(void) {
    fim_net_clear(&net);
    fim_trace_clear(&trace);
    fim_data_clear(&data);
}

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(passes, .init = setup);

// Pre-activations `s` of layer `l`, changed in place into those of layer l + 1; plain loops.
static void plain_layer(size_t l, double *s) {
    const fim_layer *above = &net.layers[l + 1];
    double out[16];
    for (size_t j = 0; j < above->w->size1; j++) {
        out[j] = above->bias ? gsl_matrix_get(above->w, j, above->w->size2 - 1) : 0;
        for (size_t i = 0; i < fim_layer_inputs(above); i++)
            out[j] += gsl_matrix_get(above->w, j, i) * fim_activation_value(net.layers[l].activation, s[i]);
    }
    memcpy(s, out, above->w->size1 * sizeof *out);
}

Test(passes, forward_is_the_plain_network) {
    make_net(FIM_GAUSSIAN, FIM_ACTIVATION_TANH);
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    cr_assert(trace.n == N);
    for (size_t r = 0; r < N; r++) {
        double s[16] = {0};
        for (size_t j = 0; j < widths[1]; j++) {
            s[j] = gsl_matrix_get(net.layers[0].w, j, widths[0]);
            for (size_t i = 0; i < widths[0]; i++)
                s[j] += gsl_matrix_get(net.layers[0].w, j, i) * gsl_matrix_get(data.x, r, i);
        }
        for (size_t l = 0; l < LAYERS; l++) {
            for (size_t j = 0; j < widths[l + 1]; j++)
                cr_assert(epsilon_eq(dbl, gsl_matrix_get(trace.s[l], r, j), s[j], 1e-14), "layer %zu", l);
            if (net.layers[l].bias)
                cr_assert(eq(dbl, gsl_matrix_get(trace.a[l], r, widths[l]), 1), "the constant of layer %zu",
                          l);
            if (l + 1 < LAYERS)
                plain_layer(l, s);
        }
    }
    clear_net();
}

static double loss_at_present_weights(void) {
    double loss;
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    TEST_OK(fim_net_gradient(&net, &trace, &data, 0, NULL, &loss));
    return loss;
}

Test(passes, gradient_is_the_central_difference_of_the_loss) {
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++) {
            make_net(k, f);
            gsl_matrix *grads[LAYERS];
            for (size_t l = 0; l < LAYERS; l++)
                grads[l] = gsl_matrix_alloc(net.layers[l].w->size1, net.layers[l].w->size2);
            double loss, h = 1e-5;
            TEST_OK(fim_net_forward(&net, data.x, &trace));
            TEST_OK(fim_net_gradient(&net, &trace, &data, 0, grads, &loss));
            cr_assert(epsilon_eq(dbl, loss, loss_at_present_weights(), 1e-14));
            for (size_t l = 0; l < LAYERS; l++)
                for (size_t p = 0; p < net.layers[l].w->size1 * net.layers[l].w->size2; p++) {
                    double *w = &net.layers[l].w->data[p], centre = *w;
                    *w = centre + h;
                    double above = loss_at_present_weights();
                    *w = centre - h;
                    double want = (above - loss_at_present_weights()) / (2 * h);
                    *w = centre;
                    cr_assert(epsilon_eq(dbl, grads[l]->data[p], want, 2e-9), "%s, %s: layer %zu, weight %zu",
                              fim_likelihood_name(k), fim_activation_name(f), l, p);
                }
            for (size_t l = 0; l < LAYERS; l++)
                gsl_matrix_free(grads[l]);
            clear_net();
        }
}

Test(passes, pull_is_the_derivative_between_layers) {
    enum { COLUMNS = 3 };
    for (fim_activation f = 0; f < FIM_ACTIVATION_COUNT; f++) {
        make_net(FIM_GAUSSIAN, f);
        TEST_OK(fim_net_forward(&net, data.x, &trace));
        for (size_t to = 0; to < LAYERS; to++)
            for (size_t from = to; from < LAYERS; from++) {
                size_t d_from = widths[from + 1], d_to = widths[to + 1];
                gsl_matrix *u = test_random_matrix(N * COLUMNS, d_from, 60);
                gsl_matrix *got = gsl_matrix_alloc(N * COLUMNS, d_to),
                           *want = gsl_matrix_calloc(N * COLUMNS, d_to);
                TEST_OK(fim_net_pull(&net, &trace, from, to, COLUMNS, u, got));
                for (size_t r = 0; r < N; r++)
                    for (size_t i = 0; i < d_to; i++) {
                        double s[2][16], h = 1e-5; // s_from at s_to ± h e_i
                        for (size_t side = 0; side < 2; side++) {
                            memcpy(s[side], gsl_matrix_ptr(trace.s[to], r, 0), d_to * sizeof(double));
                            s[side][i] += side == 0 ? h : -h;
                            for (size_t l = to; l < from; l++)
                                plain_layer(l, s[side]);
                        }
                        for (size_t c = 0; c < COLUMNS; c++)
                            for (size_t j = 0; j < d_from; j++)
                                *gsl_matrix_ptr(want, r * COLUMNS + c, i) +=
                                    gsl_matrix_get(u, r * COLUMNS + c, j) * (s[0][j] - s[1][j]) / (2 * h);
                    }
                cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-8), "%s: layer %zu to %zu",
                          fim_activation_name(f), from, to);
                gsl_matrix_free(u);
                gsl_matrix_free(got);
                gsl_matrix_free(want);
            }
        clear_net();
    }
}

static double inner(const gsl_matrix *a, const gsl_matrix *b) {
    double sum = 0;
    for (size_t i = 0; i < a->size1; i++)
        for (size_t j = 0; j < a->size2; j++)
            sum += gsl_matrix_get(a, i, j) * gsl_matrix_get(b, i, j);
    return sum;
}

Test(passes, push_is_the_transpose_of_pull) {
    enum { COLUMNS = 2 };
    make_net(FIM_GAUSSIAN, FIM_ACTIVATION_SOFTPLUS);
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    for (size_t low = 0; low < LAYERS; low++)
        for (size_t high = low; high < LAYERS; high++) {
            gsl_matrix *u = test_random_matrix(N * COLUMNS, widths[high + 1], 70);
            gsl_matrix *v = test_random_matrix(N * COLUMNS, widths[low + 1], 71);
            gsl_matrix *pulled = gsl_matrix_alloc(v->size1, v->size2);
            gsl_matrix *pushed = gsl_matrix_alloc(u->size1, u->size2);
            TEST_OK(fim_net_pull(&net, &trace, high, low, COLUMNS, u, pulled));
            TEST_OK(fim_net_push(&net, &trace, low, high, COLUMNS, v, pushed));
            cr_assert(epsilon_eq(dbl, inner(u, pushed), inner(pulled, v), 1e-13), "layers %zu and %zu", low,
                      high);
            cr_assert(fabs(inner(u, pushed)) > 1e-3, "the test shows nothing");
            gsl_matrix_free(u);
            gsl_matrix_free(v);
            gsl_matrix_free(pulled);
            gsl_matrix_free(pushed);
        }
    clear_net();
}

Test(passes, large_batches_agree_with_small_ones) {
    // Above the size from which loops run in parallel (4 million entries); the rows must not notice.
    enum { MANY = 2200, COLUMNS = 400 };
    make_net(FIM_BERNOULLI, FIM_ACTIVATION_GELU);
    fim_linalg_setup(2);
    fim_trace large = {0};
    TEST_OK(fim_trace_init(&large, &net, MANY));
    gsl_matrix *x = test_random_matrix(MANY, widths[0], 80);
    gsl_matrix *u = test_random_matrix(MANY * COLUMNS, widths[2], 81);
    gsl_matrix *got = gsl_matrix_alloc(MANY * COLUMNS, widths[1]),
               *want = gsl_matrix_alloc(N * COLUMNS, widths[1]);
    TEST_OK(fim_net_forward(&net, x, &large));
    TEST_OK(fim_net_pull(&net, &large, 1, 0, COLUMNS, u, got));
    size_t first = MANY - N;
    gsl_matrix_view x_tail = gsl_matrix_submatrix(x, first, 0, N, widths[0]);
    gsl_matrix_view u_tail = gsl_matrix_submatrix(u, first * COLUMNS, 0, N * COLUMNS, widths[2]);
    gsl_matrix_view got_tail = gsl_matrix_submatrix(got, first * COLUMNS, 0, N * COLUMNS, widths[1]);
    TEST_OK(fim_net_forward(&net, &x_tail.matrix, &trace));
    TEST_OK(fim_net_pull(&net, &trace, 1, 0, COLUMNS, &u_tail.matrix, want));
    cr_assert(epsilon_eq(dbl, test_max_difference(&got_tail.matrix, want), 0, 1e-14));
    gsl_matrix_free(x);
    gsl_matrix_free(u);
    gsl_matrix_free(got);
    gsl_matrix_free(want);
    fim_trace_clear(&large);
    clear_net();
}

Test(passes, wrong_shapes_are_refused) {
    make_net(FIM_GAUSSIAN, FIM_ACTIVATION_SIN);
    double loss = 7;
    gsl_matrix *x = test_random_matrix(N, widths[0] + 1, 1), *many = test_random_matrix(N + 3, widths[0], 1);
    TEST_FAILS(fim_net_gradient(&net, &trace, &data, 0, NULL, &loss), FIM_ERR_ARGUMENT, "empty batch");
    TEST_FAILS(fim_net_forward(&net, x, &trace), FIM_ERR_SHAPE, "inputs are (5, 4), expected (*, 3)");
    TEST_FAILS(fim_net_forward(&net, many, &trace), FIM_ERR_ARGUMENT, "8 rows in a trace of 7");
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    TEST_FAILS(fim_net_gradient(&net, &trace, &data, 1, NULL, &loss), FIM_ERR_ARGUMENT, "rows 1 to 6");
    cr_assert(eq(dbl, loss, 7), "an output was touched on failure");
    gsl_matrix *in = gsl_matrix_alloc(N, widths[4]), *out = gsl_matrix_alloc(N, widths[1]);
    TEST_FAILS(fim_net_pull(&net, &trace, 0, 3, 1, in, out), FIM_ERR_ARGUMENT, "no way down");
    TEST_FAILS(fim_net_push(&net, &trace, 3, 0, 1, in, out), FIM_ERR_ARGUMENT, "no way up");
    TEST_FAILS(fim_net_pull(&net, &trace, 4, 0, 1, in, out), FIM_ERR_ARGUMENT, "of 4 layers");
    TEST_FAILS(fim_net_pull(&net, &trace, 3, 0, 2, in, out), FIM_ERR_SHAPE, "expected (10, 2) at layer 3");
    TEST_FAILS(fim_net_push(&net, &trace, 0, 3, 1, in, out), FIM_ERR_SHAPE, "expected (5, 5) at layer 0");
    gsl_matrix_free(x);
    gsl_matrix_free(many);
    gsl_matrix_free(in);
    gsl_matrix_free(out);
    clear_net();
}
