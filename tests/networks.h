// Small random networks with data, and their samples by plain loops: one sample and one layer at a time,
// Jacobians as products of dense matrices.
#ifndef TESTS_NETWORKS_H
#define TESTS_NETWORKS_H

#include "fim/fisher.h"
#include "plain.h"

typedef struct test_shape {
    size_t n_layers, widths[8]; // n_layers + 1 of them
    unsigned no_bias;           // bit l: layer l has no bias
    fim_activation activation;  // of all layers but the last
} test_shape;

// Weights as a trained network has them: pre-activations of order one.
static inline fim_net test_network(fim_likelihood likelihood, const test_shape *shape, uint64_t seed) {
    fim_net net = {0};
    TEST_OK(fim_net_init_empty(&net, likelihood, shape->n_layers));
    for (size_t l = 0; l < shape->n_layers; l++) {
        const bool bias = !(shape->no_bias >> l & 1);
        net.layers[l] = (fim_layer){
            .bias = bias,
            .activation = l + 1 < shape->n_layers ? shape->activation : FIM_ACTIVATION_IDENTITY,
            .w = test_random_matrix(shape->widths[l + 1], shape->widths[l] + bias, seed + 100 * l)};
        gsl_matrix_scale(net.layers[l].w, sqrt(6 / (double)shape->widths[l]));
    }
    TEST_OK(fim_net_check(&net));
    return net;
}

// n rows for a network: inputs, classes and targets in [0, 1].
static inline fim_data test_inputs(const fim_net *net, size_t n, uint64_t seed) {
    const size_t outputs = fim_net_outputs(net);
    fim_data data = {.x = test_random_matrix(n, fim_net_inputs(net), seed + 1),
                     .y = test_random_matrix(n, outputs, seed + 2)};
    gsl_matrix_add_constant(data.y, 1);
    gsl_matrix_scale(data.y, 0.5);
    TEST_OK(fim_alloc(n, sizeof *data.labels, "labels", &data.labels));
    for (size_t r = 0; r < n; r++)
        data.labels[r] = (uint32_t)(fim_seed_stream(seed + 3, r) % outputs);
    return data;
}

// Inputs a and pre-activations s of every layer for one sample, each as one row.
typedef struct plain_pass {
    gsl_matrix *a[8], *s[8];
} plain_pass;

static inline plain_pass plain_forward(const fim_net *net, const fim_data *data, size_t n) {
    plain_pass pass;
    for (size_t l = 0; l < net->n_layers; l++) {
        const fim_layer *layer = &net->layers[l];
        const size_t inputs = layer->w->size2 - layer->bias;
        pass.a[l] = gsl_matrix_alloc(1, layer->w->size2);
        for (size_t i = 0; i < inputs; i++)
            gsl_matrix_set(pass.a[l], 0, i,
                           l == 0 ? gsl_matrix_get(data->x, n, i)
                                  : fim_activation_value(net->layers[l - 1].activation,
                                                         gsl_matrix_get(pass.s[l - 1], 0, i)));
        if (layer->bias)
            gsl_matrix_set(pass.a[l], 0, inputs, 1);
        pass.s[l] = plain_product(pass.a[l], plain_transpose(layer->w));
    }
    return pass;
}

// ∂z/∂s_l (outputs, d_g of layer l).
static inline gsl_matrix *plain_jacobian(const fim_net *net, const plain_pass *pass, size_t l) {
    gsl_matrix *j = plain_identity(fim_net_outputs(net));
    for (size_t k = net->n_layers - 1; k > l; k--) {
        gsl_matrix_const_view weight = gsl_matrix_const_submatrix(
            net->layers[k].w, 0, 0, net->layers[k].w->size1, net->layers[k].w->size2 - net->layers[k].bias);
        j = plain_product(j, &weight.matrix);
        for (size_t i = 0; i < j->size1; i++)
            for (size_t m = 0; m < j->size2; m++)
                *gsl_matrix_ptr(j, i, m) *=
                    fim_activation_slope(net->layers[k - 1].activation, gsl_matrix_get(pass->s[k - 1], 0, m));
    }
    return j;
}

// The mean of y under the model at the logits z.
static inline double plain_mean(fim_likelihood likelihood, const gsl_matrix *z, size_t c) {
    if (likelihood == FIM_GAUSSIAN)
        return gsl_matrix_get(z, 0, c);
    if (likelihood == FIM_BERNOULLI)
        return 1 / (1 + exp(-gsl_matrix_get(z, 0, c)));
    double sum = 0;
    for (size_t k = 0; k < z->size2; k++)
        sum += exp(gsl_matrix_get(z, 0, k));
    return exp(gsl_matrix_get(z, 0, c)) / sum;
}

// Rows (columns, outputs) whose Σ b bᵀ is the covariance of the gradients at the logits of sample n: for
// `exact` a row per output and its variance, or per class and its probability; the drawn gradients; the one
// of the data.
static inline gsl_matrix *plain_logit_rows(const fim_net *net, const fim_data *data,
                                           const fim_fisher_spec *spec, const gsl_matrix *z, size_t n) {
    const size_t outputs = z->size2;
    gsl_matrix *rows = gsl_matrix_calloc(spec->kind == FIM_FISHER_EXACT ? outputs
                                         : spec->kind == FIM_FISHER_MC  ? spec->draws
                                                                        : 1,
                                         outputs);
    if (spec->kind == FIM_FISHER_MC) { // the draws themselves are the net room's
        TEST_OK(fim_likelihood_draw(net->likelihood, z, spec->draws, spec->seed, n, rows));
        return rows;
    }
    for (size_t r = 0; r < rows->size1; r++)
        for (size_t c = 0; c < outputs; c++) {
            const double mean = plain_mean(net->likelihood, z, c);
            double entry;
            if (spec->kind == FIM_FISHER_EMPIRICAL) {
                const double label =
                    net->likelihood == FIM_CATEGORICAL ? data->labels[n] == c : gsl_matrix_get(data->y, n, c);
                entry = mean - label;
            } else if (net->likelihood == FIM_CATEGORICAL) { // Σ_y p(y) (p − e_y)(p − e_y)ᵀ
                entry = sqrt(plain_mean(net->likelihood, z, r)) * (mean - (r == c));
            } else {
                const double variance = net->likelihood == FIM_GAUSSIAN ? 1 : mean * (1 - mean);
                entry = r == c ? sqrt(variance) : 0;
            }
            gsl_matrix_set(rows, r, c, entry);
        }
    return rows;
}

// The samples of layer l, kept as columns, by plain loops.
static inline fim_samples plain_samples(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                                        size_t l) {
    const size_t n = data->x->size1, d_a = net->layers[l].w->size2, d_g = net->layers[l].w->size1;
    fim_samples s = {.n = n, .d_a = d_a, .d_g = d_g, .a = gsl_matrix_alloc(n, d_a)};
    for (size_t r = 0; r < n; r++) {
        const plain_pass pass = plain_forward(net, data, r);
        const gsl_matrix *b = plain_logit_rows(net, data, spec, pass.s[net->n_layers - 1], r);
        const gsl_matrix *g = plain_product(b, plain_jacobian(net, &pass, l));
        if (s.g == NULL) {
            s.columns = g->size1;
            s.g = gsl_matrix_alloc(n * g->size1, d_g);
        }
        gsl_matrix_view rows = gsl_matrix_submatrix(s.g, r * s.columns, 0, s.columns, d_g);
        gsl_matrix_memcpy(&rows.matrix, g);
        for (size_t i = 0; i < d_a; i++)
            gsl_matrix_set(s.a, r, i, gsl_matrix_get(pass.a[l], 0, i));
    }
    return s;
}

// ---- Samples without a network ----

// Instead of a number of columns: G_n packed, or a diagonal.
enum { TEST_PACKED = 0, TEST_DIAGONAL = 1000 };

// Random samples, correlated as those of a network are: sizes of a and G_n vary together.
static inline fim_samples test_samples(size_t n, size_t d_a, size_t d_g, size_t columns, uint64_t seed) {
    const bool as_rows = columns != TEST_PACKED && columns != TEST_DIAGONAL;
    const size_t rows = as_rows ? columns : 2;
    fim_samples s = {.n = n, .d_a = d_a, .d_g = d_g, .columns = as_rows ? columns : 0};
    s.a = test_random_matrix(n, d_a, seed + 1);
    s.g = test_random_matrix(n * rows, d_g, seed + 2);
    for (size_t r = 0; r < n; r++) {
        const double size = 1.2 + test_random(seed + 3, r);
        for (size_t i = 0; i < d_a; i++)
            *gsl_matrix_ptr(s.a, r, i) *= size;
        for (size_t c = 0; c < rows; c++)
            for (size_t j = 0; j < d_g; j++)
                *gsl_matrix_ptr(s.g, r * rows + c, j) *= size / sqrt((double)rows);
        gsl_matrix_set(s.a, r, d_a - 1, 1);
    }
    if (!as_rows) {
        fim_samples full = s;
        full.columns = rows;
        gsl_matrix *kept = gsl_matrix_alloc(n, columns == TEST_PACKED ? fim_svec_size(d_g) : d_g);
        for (size_t r = 0; r < n; r++) {
            const gsl_matrix *g = plain_covariance(&full, r);
            if (columns == TEST_PACKED)
                fim_svec_pack(g, gsl_matrix_ptr(kept, r, 0));
            for (size_t j = 0; columns == TEST_DIAGONAL && j < d_g; j++)
                gsl_matrix_set(kept, r, j, gsl_matrix_get(g, j, j));
        }
        gsl_matrix_free(s.g);
        s.g = NULL;
        s.packed = columns == TEST_PACKED ? kept : NULL;
        s.diagonal = columns == TEST_DIAGONAL ? kept : NULL;
    }
    TEST_OK(fim_samples_check(&s));
    return s;
}

#endif
