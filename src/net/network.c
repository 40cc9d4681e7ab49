// The network as a thing: made, copied, initialised, checked, released.
#include <gsl/gsl_rng.h>
#include <stdlib.h>

#include "fim/linalg.h"
#include "internal.h"

size_t fim_net_inputs(const fim_net *net) {
    return fim_layer_inputs(&net->layers[0]);
}

size_t fim_net_outputs(const fim_net *net) {
    return fim_layer_d_g(&net->layers[net->n_layers - 1]);
}

size_t fim_net_parameters(const fim_net *net) {
    size_t count = 0;
    for (size_t l = 0; l < net->n_layers; l++)
        count += net->layers[l].w->size1 * net->layers[l].w->size2;
    return count;
}

fim_status fim_net_init_empty(fim_net *net, fim_likelihood likelihood, size_t n_layers) {
    fim_layer *layers = NULL;
    fim_status status = fim_alloc(n_layers, sizeof *layers, "layers", &layers);
    if (status != FIM_OK)
        return status;
    *net = (fim_net){.likelihood = likelihood, .n_layers = n_layers, .layers = layers};
    return FIM_OK;
}

fim_status fim_net_init(fim_net *net, fim_likelihood likelihood, const size_t *widths, size_t n_layers,
                        fim_activation activation) {
    fim_status status = FIM_OK;
    fim_net built = {0};
    if (n_layers == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a network needs at least one layer");
    for (size_t l = 0; l <= n_layers; l++)
        if (widths[l] == 0)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "width %zu of the network is zero", l);
    FIM_TRY(fim_net_init_empty(&built, likelihood, n_layers));
    for (size_t l = 0; l < n_layers; l++) {
        fim_layer *layer = &built.layers[l];
        layer->bias = true;
        layer->activation = l + 1 < n_layers ? activation : FIM_ACTIVATION_IDENTITY;
        FIM_TRY(fim_matrix_new(widths[l + 1], widths[l] + 1, "weights", &layer->w));
    }
    *net = built;
    return FIM_OK;
out:
    fim_net_clear(&built);
    return status;
}

// Weights uniform in ± weight_bound(inputs, outputs) of a layer; biases `bias`, or drawn like the weights
// when it is NAN.
static fim_status draw_weights(fim_net *net, double (*weight_bound)(size_t inputs, size_t outputs),
                               double bias, uint64_t seed) {
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (rng == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
    for (size_t l = 0; l < net->n_layers; l++) {
        fim_layer *layer = &net->layers[l];
        const size_t inputs = fim_layer_inputs(layer), outputs = fim_layer_d_g(layer);
        const double bound = weight_bound(inputs, outputs);
        gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, l));
        for (size_t j = 0; j < outputs; j++)
            for (size_t i = 0; i < layer->w->size2; i++)
                gsl_matrix_set(layer->w, j, i,
                               i < inputs || isnan(bias) ? bound * (2 * gsl_rng_uniform(rng) - 1) : bias);
    }
    gsl_rng_free(rng);
    return FIM_OK;
}

static double xavier_bound(size_t inputs, size_t outputs) {
    return sqrt(6.0 / (double)(inputs + outputs));
}

fim_status fim_net_xavier(fim_net *net, double bias, uint64_t seed) {
    return draw_weights(net, xavier_bound, bias, seed);
}

static double torch_bound(size_t inputs, size_t outputs) {
    (void)outputs;
    return 1 / sqrt((double)inputs);
}

fim_status fim_net_torch(fim_net *net, uint64_t seed) {
    return draw_weights(net, torch_bound, (double)NAN, seed);
}

static fim_status check_layer(const fim_net *net, size_t l) {
    const fim_layer *layer = &net->layers[l];
    if (layer->w == NULL || layer->w->size1 == 0 || layer->w->size2 <= (layer->bias ? 1 : 0))
        return FIM_FAIL(FIM_ERR_SHAPE, "layer %zu has no weights", l);
    if ((unsigned)layer->activation >= FIM_ACTIVATION_COUNT)
        return FIM_FAIL(FIM_ERR_UNKNOWN, "layer %zu has unknown activation number %u", l,
                        (unsigned)layer->activation);
    if (l > 0 && fim_layer_inputs(layer) != fim_layer_d_g(layer - 1))
        return FIM_FAIL(FIM_ERR_SHAPE, "layer %zu takes %zu inputs, expected %zu to follow layer %zu", l,
                        fim_layer_inputs(layer), fim_layer_d_g(layer - 1), l - 1);
    for (size_t j = 0; j < layer->w->size1; j++)
        for (size_t i = 0; i < layer->w->size2; i++)
            if (!isfinite(gsl_matrix_get(layer->w, j, i)))
                return FIM_FAIL(FIM_ERR_VALUE, "layer %zu: %s (%zu, %zu) is %g, expected a finite value", l,
                                layer->bias && i + 1 == layer->w->size2 ? "bias" : "weight", j, i,
                                gsl_matrix_get(layer->w, j, i));
    return FIM_OK;
}

fim_status fim_net_check(const fim_net *net) {
    if (net->n_layers == 0)
        return FIM_FAIL(FIM_ERR_SHAPE, "the network has no layers");
    if ((unsigned)net->likelihood >= FIM_LIKELIHOOD_COUNT)
        return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown likelihood number %u", (unsigned)net->likelihood);
    for (size_t l = 0; l < net->n_layers; l++) {
        fim_status status = check_layer(net, l);
        if (status != FIM_OK)
            return status;
    }
    fim_activation last = net->layers[net->n_layers - 1].activation;
    if (last != FIM_ACTIVATION_IDENTITY)
        return FIM_FAIL(FIM_ERR_VALUE,
                        "layer %zu is the last and has activation %s, expected identity: softmax and sigmoid "
                        "belong to the likelihood",
                        net->n_layers - 1, fim_activation_name(last));
    return FIM_OK;
}
