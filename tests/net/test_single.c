// The passes in float32 against the same in float64: one source, two precisions.
#include <float.h>

#include "fim/linalg.h"
#include "fim/net.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(single, .init = setup);

static gsl_matrix_float *rounded(const gsl_matrix *m) {
    gsl_matrix_float *out = NULL;
    TEST_OK(fim_matrix_new_single(m->size1, m->size2, "a copy", &out));
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            gsl_matrix_float_set(out, i, j, (float)gsl_matrix_get(m, i, j));
    return out;
}

// ‖single − exact‖ / ‖exact‖ over all entries.
static double relative_difference(const gsl_matrix_float *single, const gsl_matrix *exact) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < exact->size1; i++)
        for (size_t j = 0; j < exact->size2; j++) {
            const double want = gsl_matrix_get(exact, i, j);
            const double d = (double)gsl_matrix_float_get(single, i, j) - want;
            difference += d * d;
            norm += want * want;
        }
    return sqrt(difference / norm);
}

enum { N = 37 };

// Inputs and targets of float32, so that both precisions judge the same numbers.
static void round_in_place(gsl_matrix *m) {
    for (size_t k = 0; k < m->size1 * m->size2; k++)
        m->data[k] = (double)(float)m->data[k];
}

static void check(fim_likelihood likelihood, fim_activation activation) {
    const test_shape shape = {.n_layers = 3, .widths = {7, 9, 5, 6}, .no_bias = 2, .activation = activation};
    fim_net net = test_network(likelihood, &shape, 11);
    for (size_t l = 0; l < 3; l++)
        round_in_place(net.layers[l].w);
    fim_data data = test_inputs(&net, N, 5);
    round_in_place(data.x);
    round_in_place(data.y);
    fim_net_single single;
    TEST_OK(fim_net_copy_single(&net, &single));
    fim_data_single batch = {.x = rounded(data.x), .y = rounded(data.y), .labels = data.labels};
    fim_trace trace;
    fim_trace_single trace_single;
    TEST_OK(fim_trace_init(&trace, &net, N));
    TEST_OK(fim_trace_init_single(&trace_single, &single, N));
    gsl_matrix *grads[3];
    gsl_matrix_float *grads_single[3];
    for (size_t l = 0; l < 3; l++) {
        grads[l] = gsl_matrix_alloc(net.layers[l].w->size1, net.layers[l].w->size2);
        grads_single[l] = gsl_matrix_float_alloc(net.layers[l].w->size1, net.layers[l].w->size2);
    }
    double loss, loss_single;
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    TEST_OK(fim_net_gradient(&net, &trace, &data, 0, grads, &loss));
    TEST_OK(fim_net_forward_single(&single, batch.x, &trace_single));
    TEST_OK(fim_net_gradient_single(&single, &trace_single, &batch, 0, grads_single, &loss_single));
    const char *name = fim_activation_name(activation), *judge = fim_likelihood_name(likelihood);
    cr_assert(fabs(loss_single - loss) < 20 * (double)FLT_EPSILON * fabs(loss), "%s, %s: %.9g for %.9g", name,
              judge, loss_single, loss);
    for (size_t l = 0; l < 3; l++) {
        const double error = relative_difference(grads_single[l], grads[l]);
        cr_assert(error > 0 && error < 50 * (double)FLT_EPSILON, "%s, %s: gradient of layer %zu: %.1e", name,
                  judge, l, error);
        gsl_matrix_free(grads[l]);
        gsl_matrix_float_free(grads_single[l]);
    }
    fim_trace_clear(&trace);
    fim_trace_clear_single(&trace_single);
    gsl_matrix_float_free(batch.x);
    gsl_matrix_float_free(batch.y);
    fim_net_clear_single(&single);
    fim_data_clear(&data);
    fim_net_clear(&net);
}

Test(single, losses_and_gradients_are_those_of_float64_rounded) {
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (fim_activation a = 0; a < FIM_ACTIVATION_COUNT; a++)
            check(k, a);
}

Test(single, weights_survive_the_way_there_and_back) {
    const test_shape shape = {.n_layers = 2, .widths = {4, 3, 2}, .activation = FIM_ACTIVATION_RELU};
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 3), back;
    fim_net_single single;
    TEST_OK(fim_net_copy_single(&net, &single));
    TEST_OK(fim_net_copy(&net, &back));
    fim_net_store_single(&single, &back);
    for (size_t l = 0; l < 2; l++)
        for (size_t k = 0; k < net.layers[l].w->size1 * net.layers[l].w->size2; k++)
            cr_assert(eq(dbl, back.layers[l].w->data[k], (double)(float)net.layers[l].w->data[k]));
    cr_assert(single.layers[0].bias && single.layers[0].activation == FIM_ACTIVATION_RELU);
    fim_net_clear_single(&single);
    fim_net_clear(&net);
    fim_net_clear(&back);
}

// The logits of a large batch of saturated outputs: float32 must not overflow where float64 does not.
Test(single, saturated_outputs_stay_finite) {
    float logits[] = {-200, -90, 0, 90, 200};
    gsl_matrix_float_view z = gsl_matrix_float_view_array(logits, 1, 5);
    float want[] = {0, 1, 1, 0, 1}, slope[5];
    gsl_matrix_float_view y = gsl_matrix_float_view_array(want, 1, 5);
    gsl_matrix_float_view dz = gsl_matrix_float_view_array(slope, 1, 5);
    fim_data_single data = {.x = &y.matrix};
    double loss;
    fim_likelihood_loss_single(FIM_BERNOULLI, &z.matrix, &data, 0, &loss);
    fim_likelihood_gradient_single(FIM_BERNOULLI, &z.matrix, &data, 0, &dz.matrix);
    cr_assert(epsilon_eq(dbl, loss, 90 + log(2) + 90, 1e-4));
    const double expected[] = {0, -1, -0.5, 1, 0};
    for (size_t j = 0; j < 5; j++)
        cr_assert(epsilon_eq(dbl, (double)slope[j], expected[j], 1e-7), "output %zu", j);
}
