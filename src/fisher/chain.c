// G_n t without G_n: forward through the layers above, the covariance at the logits, and back. All samples
// share the weights, so that a product with F takes two matrix products a layer, 4 Σ d_k d_{k-1} flops a
// sample, where the packed G_n of a wide layer near the outputs are d² / 2 numbers a sample from memory.
#include "chain.h"

#include <gsl/gsl_blas.h>
#include <stdlib.h>

#include "fim/linalg.h"

// Multiply-adds of a matrix product in the time of reading one number from memory, about.
enum { FLOPS_PER_NUMBER = 48 };

bool chain_pays(const fim_net *net, size_t layer) {
    const double d = (double)fim_layer_d_g(&net->layers[layer]);
    double flops = 0;
    for (size_t l = layer + 1; l < net->n_layers; l++)
        flops += 4 * (double)fim_layer_d_g(&net->layers[l]) * (double)fim_layer_inputs(&net->layers[l]);
    return flops < FLOPS_PER_NUMBER * d * (d + 1) / 2;
}

size_t chain_bytes(const fim_net *net, size_t layer, size_t n) {
    size_t numbers = fim_size_mul(n, fim_layer_d_g(&net->layers[layer]));
    for (size_t l = layer + 1; l < net->n_layers; l++)
        numbers = fim_size_add(
            numbers, fim_size_mul(fim_layer_d_g(&net->layers[l]), n + fim_layer_inputs(&net->layers[l])));
    return fim_size_mul(numbers, sizeof(double));
}

void chain_free(fim_chain *chain) {
    if (chain == NULL)
        return;
    for (size_t k = 0; k < chain->links; k++) {
        if (chain->slope != NULL)
            gsl_matrix_free(chain->slope[k]);
        if (chain->w != NULL)
            gsl_matrix_free(chain->w[k]);
    }
    free(chain->slope);
    free(chain->w);
    gsl_matrix_free(chain->weight);
    free(chain);
}

static fim_status chain_alloc(size_t n, size_t links, bool coupled, fim_chain **out) {
    fim_chain *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "a chain of layers", &self);
    if (status != FIM_OK)
        return status;
    *self = (fim_chain){.n = n, .links = links, .coupled = coupled};
    FIM_TRY(fim_alloc(links, sizeof(gsl_matrix *), "a chain of layers", &self->slope));
    FIM_TRY(fim_alloc(links, sizeof(gsl_matrix *), "a chain of layers", &self->w));
    *out = self;
    return FIM_OK;
out:
    chain_free(self);
    return status;
}

fim_status chain_new(const fim_net *net, size_t layer, size_t n, fim_chain **out) {
    const size_t links = net->n_layers - 1 - layer;
    fim_chain *self = NULL;
    fim_status status = chain_alloc(n, links, !fim_likelihood_independent(net->likelihood), &self);
    if (status != FIM_OK)
        return status;
    for (size_t k = 0; k < links; k++) {
        const fim_layer *above = &net->layers[layer + k + 1];
        const size_t width = fim_layer_inputs(above);
        FIM_TRY(fim_matrix_new(n, width, "slopes of a layer", &self->slope[k]));
        FIM_TRY(fim_matrix_new(fim_layer_d_g(above), width, "weights of a layer", &self->w[k]));
        gsl_matrix_const_view w = gsl_matrix_const_submatrix(above->w, 0, 0, fim_layer_d_g(above), width);
        gsl_matrix_memcpy(self->w[k], &w.matrix);
    }
    FIM_TRY(fim_matrix_new(n, fim_net_outputs(net), "variances of the outputs", &self->weight));
    *out = self;
    return FIM_OK;
out:
    chain_free(self);
    return status;
}

void chain_fill(fim_chain *chain, const fim_net *net, size_t layer, const fim_trace *trace, size_t first,
                size_t count) {
    const size_t top = net->n_layers - 1;
    for (size_t k = 0; k < chain->links; k++)
        for (size_t r = 0; r < count; r++)
            for (size_t j = 0; j < chain->slope[k]->size2; j++)
                gsl_matrix_set(chain->slope[k], first + r, j,
                               fim_activation_slope(net->layers[layer + k].activation,
                                                    gsl_matrix_get(trace->s[layer + k], r, j)));
    for (size_t r = 0; r < count; r++)
        fim_likelihood_weights(net->likelihood, gsl_matrix_const_ptr(trace->s[top], r, 0),
                               chain->weight->size2, gsl_matrix_ptr(chain->weight, first + r, 0));
}

static size_t moving_units(const gsl_matrix *slope, size_t *index) {
    size_t count = 0;
    for (size_t j = 0; j < slope->size2; j++) {
        size_t r = 0;
        while (r < slope->size1 && gsl_matrix_get(slope, r, j) == 0)
            r++;
        if (r < slope->size1)
            index[count++] = j;
    }
    return count;
}

fim_status chain_restrict(const fim_chain *chain, const size_t *index, size_t count, fim_chain **out) {
    fim_chain *self = NULL;
    size_t *below = NULL, *above = NULL, n_below = count, widest = chain->weight->size2;
    fim_status status = FIM_OK;
    for (size_t k = 0; k < chain->links; k++)
        widest = chain->slope[k]->size2 > widest ? chain->slope[k]->size2 : widest;
    FIM_TRY(fim_alloc(widest, sizeof *below, "units of a layer", &below));
    FIM_TRY(fim_alloc(widest, sizeof *above, "units of a layer", &above));
    FIM_TRY(chain_alloc(chain->n, chain->links, chain->coupled, &self));
    FIM_TRY(fim_matrix_copy(chain->weight, "variances of the outputs", &self->weight));
    for (size_t i = 0; i < count; i++)
        below[i] = index[i];
    for (size_t k = 0; k < chain->links; k++) {
        size_t n_above = chain->w[k]->size1;
        for (size_t i = 0; i < n_above; i++)
            above[i] = i;
        if (k + 1 < chain->links)
            n_above = moving_units(chain->slope[k + 1], above);
        FIM_TRY(fim_matrix_new(chain->n, n_below, "slopes of a layer", &self->slope[k]));
        FIM_TRY(fim_matrix_new(n_above, n_below, "weights of a layer", &self->w[k]));
        for (size_t j = 0; j < n_below; j++) {
            for (size_t r = 0; r < chain->n; r++)
                gsl_matrix_set(self->slope[k], r, j, gsl_matrix_get(chain->slope[k], r, below[j]));
            for (size_t i = 0; i < n_above; i++)
                gsl_matrix_set(self->w[k], i, j, gsl_matrix_get(chain->w[k], above[i], below[j]));
        }
        size_t *spare = below;
        below = above;
        above = spare;
        n_below = n_above;
    }
    *out = self;
    self = NULL;
out:
    free(below);
    free(above);
    chain_free(self);
    return status;
}

// Row by row C_n y.
static void covariance(const fim_chain *chain, gsl_matrix *y) {
    for (size_t r = 0; r < y->size1; r++) {
        const double *w = chain->weight->data + r * chain->weight->tda;
        double *row = y->data + r * y->tda, along = 0;
        for (size_t c = 0; chain->coupled && c < y->size2; c++)
            along += w[c] * row[c];
        for (size_t c = 0; c < y->size2; c++)
            row[c] = w[c] * (row[c] - along);
    }
}

fim_status chain_times(const fim_chain *chain, gsl_matrix *t) {
    gsl_matrix **y = NULL; // at the far end of every link
    fim_status status = FIM_OK;
    bool empty = t->size2 == 0;
    FIM_TRY(fim_alloc(chain->links, sizeof *y, "signals between layers", &y));
    for (size_t k = 0; k < chain->links; k++) {
        FIM_TRY(fim_matrix_new(chain->n, chain->w[k]->size1, "signals between layers", &y[k]));
        empty = empty || chain->w[k]->size1 == 0;
    }
    if (empty) { // a layer without any slope lets nothing through
        if (t->size2 > 0)
            gsl_matrix_set_zero(t);
        goto out;
    }
    for (size_t k = 0; k < chain->links; k++) {
        gsl_matrix *x = k > 0 ? y[k - 1] : t;
        gsl_matrix_mul_elements(x, chain->slope[k]);
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, x, chain->w[k], 0, y[k]);
    }
    covariance(chain, y[chain->links - 1]);
    for (size_t k = chain->links; k-- > 0;) {
        gsl_matrix *x = k > 0 ? y[k - 1] : t;
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, y[k], chain->w[k], 0, x);
        gsl_matrix_mul_elements(x, chain->slope[k]);
    }
out:
    for (size_t k = 0; y != NULL && k < chain->links; k++)
        gsl_matrix_free(y[k]);
    free(y);
    return status;
}
