// Networks and data sets as things: sizes, copies, initialisation, and what is refused.
#include <stdlib.h>

#include "fim/linalg.h"
#include "fim/net.h"
#include "support.h"

static fim_net net;

static void setup(void) {
    static const size_t widths[] = {30, 20, 10, 4};
    fim_linalg_setup(1);
    TEST_OK(fim_net_init(&net, FIM_CATEGORICAL, widths, 3, FIM_ACTIVATION_RELU));
}

static void teardown(void) {
    fim_net_clear(&net);
}
TestSuite(network, .init = setup, .fini = teardown);

Test(network, sizes_and_activations_are_as_asked) {
    TEST_OK(fim_net_check(&net));
    cr_assert(eq(sz, fim_net_inputs(&net), 30));
    cr_assert(eq(sz, fim_net_outputs(&net), 4));
    cr_assert(eq(sz, fim_net_parameters(&net), 31 * 20 + 21 * 10 + 11 * 4));
    cr_assert(eq(sz, fim_layer_inputs(&net.layers[1]), 20));
    cr_assert(net.layers[1].activation == FIM_ACTIVATION_RELU);
    cr_assert(net.layers[2].activation == FIM_ACTIVATION_IDENTITY);
}

Test(network, widths_of_nothing_are_refused) {
    static const size_t hollow[] = {3, 0, 2};
    fim_net other = {0};
    TEST_FAILS(fim_net_init(&other, FIM_GAUSSIAN, hollow, 2, FIM_ACTIVATION_TANH), FIM_ERR_ARGUMENT,
               "width 1");
    TEST_FAILS(fim_net_init(&other, FIM_GAUSSIAN, hollow, 0, FIM_ACTIVATION_TANH), FIM_ERR_ARGUMENT,
               "at least one layer");
    cr_assert(other.layers == NULL);
}

Test(network, xavier_fills_the_stated_range_evenly) {
    TEST_OK(fim_net_xavier(&net, 0.01, 3));
    for (size_t l = 0; l < 3; l++) {
        const fim_layer *layer = &net.layers[l];
        size_t inputs = fim_layer_inputs(layer), outputs = fim_layer_d_g(layer);
        double bound = sqrt(6.0 / (double)(inputs + outputs)), largest = 0, sum = 0, squares = 0;
        double count = (double)(inputs * outputs);
        for (size_t j = 0; j < outputs; j++) {
            cr_assert(eq(dbl, gsl_matrix_get(layer->w, j, inputs), 0.01));
            for (size_t i = 0; i < inputs; i++) {
                double w = gsl_matrix_get(layer->w, j, i) / bound;
                largest = fmax(largest, fabs(w));
                sum += w;
                squares += w * w;
            }
        }
        // Uniform in ±1: mean 0 with variance 1/3, squares 1/3 with variance 4/45; five deviations of a mean.
        cr_assert(largest <= 1 && largest > 0.8);
        cr_assert(fabs(sum / count) < 5 * sqrt(1 / (3 * count)), "layer %zu", l);
        cr_assert(fabs(squares / count - 1.0 / 3) < 5 * sqrt(4 / (45 * count)), "layer %zu", l);
    }
}

Test(network, torch_fills_its_range_with_the_biases_too) {
    TEST_OK(fim_net_torch(&net, 3));
    for (size_t l = 0; l < 3; l++) {
        const gsl_matrix *w = net.layers[l].w;
        const double bound = 1 / sqrt((double)fim_layer_inputs(&net.layers[l]));
        double largest = 0, largest_bias = 0, sum = 0, count = (double)(w->size1 * w->size2);
        for (size_t j = 0; j < w->size1; j++)
            for (size_t i = 0; i < w->size2; i++) {
                const double entry = gsl_matrix_get(w, j, i) / bound;
                largest = fmax(largest, fabs(entry));
                largest_bias = i + 1 == w->size2 ? fmax(largest_bias, fabs(entry)) : largest_bias;
                sum += entry;
            }
        cr_assert(largest <= 1 && largest > 0.8 && largest_bias > 0);
        cr_assert(fabs(sum / count) < 5 * sqrt(1 / (3 * count)), "layer %zu", l);
    }
}

Test(network, a_seed_gives_one_network_and_a_copy_is_its_own) {
    fim_net copy = {0};
    TEST_OK(fim_net_xavier(&net, 0, 3));
    TEST_OK(fim_net_copy(&net, &copy));
    TEST_OK(fim_net_xavier(&net, 0, 4));
    cr_assert(test_max_difference(net.layers[0].w, copy.layers[0].w) > 0.1);
    TEST_OK(fim_net_xavier(&net, 0, 3));
    for (size_t l = 0; l < 3; l++)
        cr_assert(eq(dbl, test_max_difference(net.layers[l].w, copy.layers[l].w), 0));
    cr_assert(copy.likelihood == net.likelihood && copy.layers[0].activation == net.layers[0].activation);
    fim_net_clear(&copy);
    cr_assert(copy.layers == NULL && copy.n_layers == 0);
    fim_net_clear(&copy); // empty is accepted
}

Test(network, check_names_the_layer_at_fault) {
    gsl_matrix_set(net.layers[1].w, 2, 3, NAN);
    TEST_FAILS(fim_net_check(&net), FIM_ERR_VALUE, "layer 1: weight (2, 3) is nan");
    gsl_matrix_set(net.layers[1].w, 2, 3, 0);
    gsl_matrix_set(net.layers[1].w, 2, 20, INFINITY);
    TEST_FAILS(fim_net_check(&net), FIM_ERR_VALUE, "layer 1: bias (2, 20) is inf");
    gsl_matrix_set(net.layers[1].w, 2, 20, 0);
    net.layers[2].bias = false; // 11 inputs now
    TEST_FAILS(fim_net_check(&net), FIM_ERR_SHAPE, "layer 2 takes 11 inputs, expected 10 to follow layer 1");
    net.layers[2].bias = true;
    net.layers[2].activation = FIM_ACTIVATION_SIGMOID;
    TEST_FAILS(fim_net_check(&net), FIM_ERR_VALUE, "activation sigmoid, expected identity");
    net.layers[2].activation = FIM_ACTIVATION_IDENTITY;
    net.layers[0].activation = FIM_ACTIVATION_COUNT;
    TEST_FAILS(fim_net_check(&net), FIM_ERR_UNKNOWN, "layer 0");
    net.layers[0].activation = FIM_ACTIVATION_RELU;
    net.likelihood = FIM_LIKELIHOOD_COUNT;
    TEST_FAILS(fim_net_check(&net), FIM_ERR_UNKNOWN, "likelihood");
    net.likelihood = FIM_GAUSSIAN;
    gsl_matrix_free(net.layers[0].w);
    net.layers[0].w = NULL;
    TEST_FAILS(fim_net_check(&net), FIM_ERR_SHAPE, "layer 0 has no weights");
    fim_net empty = {0};
    TEST_FAILS(fim_net_check(&empty), FIM_ERR_SHAPE, "no layers");
}

Test(network, a_subset_of_data_is_a_copy_of_its_rows) {
    enum { N = 6, PICKED = 3 };
    static const size_t index[PICKED] = {4, 0, 4};
    fim_data data = {.x = test_random_matrix(N, 3, 1), .y = test_random_matrix(N, 2, 2)}, subset = {0};
    TEST_OK(fim_alloc(N, sizeof *data.labels, "labels", &data.labels));
    for (uint32_t r = 0; r < N; r++)
        data.labels[r] = 10 + r;
    TEST_OK(fim_data_subset(&data, index, PICKED, &subset));
    cr_assert(subset.x->size1 == PICKED && subset.y->size1 == PICKED);
    for (size_t r = 0; r < PICKED; r++) {
        for (size_t j = 0; j < 3; j++)
            cr_assert(eq(dbl, gsl_matrix_get(subset.x, r, j), gsl_matrix_get(data.x, index[r], j)));
        for (size_t j = 0; j < 2; j++)
            cr_assert(eq(dbl, gsl_matrix_get(subset.y, r, j), gsl_matrix_get(data.y, index[r], j)));
        cr_assert(eq(u32, subset.labels[r], data.labels[index[r]]));
    }
    fim_data_clear(&subset);
    static const size_t beyond[] = {1, 6};
    TEST_FAILS(fim_data_subset(&data, beyond, 2, &subset), FIM_ERR_ARGUMENT, "row 6 is asked");
    cr_assert(subset.x == NULL);
    fim_data_clear(&data);
}
