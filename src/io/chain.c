// Networks put together part by part.
#include "chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "format.h"
#include "h5.h"

enum { LAYERS_LIMIT = 10000, SOURCE_LIMIT = 4096 };

fim_chain fim_chain_new(fim_tensors *tensors) {
    return (fim_chain){.tensors = tensors, .loss = -1};
}

void fim_chain_clear(fim_chain *chain) {
    fim_checkpoint_clear(&chain->made);
    gsl_vector_free(chain->scale);
    gsl_vector_free(chain->shift);
    *chain = (fim_chain){0};
}

static fim_layer *last_layer(const fim_chain *chain) {
    return chain->made.net.n_layers > 0 ? &chain->made.net.layers[chain->made.net.n_layers - 1] : NULL;
}

size_t fim_chain_width(const fim_chain *chain) {
    const fim_layer *last = last_layer(chain);
    return last != NULL ? fim_layer_d_g(last) : chain->scale != NULL ? chain->scale->size : 0;
}

static void remember(fim_chain *chain, const char *what) {
    snprintf(chain->last, sizeof chain->last, "%s", what);
}

static const char *shape_of(const fim_tensor *t, char buffer[static 200]) {
    return fim_shape_format(t->rank, t->dim, buffer);
}

static fim_status check_finite(const fim_chain *chain, const fim_tensor *t) {
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(t->values[i]))
            return FIM_FAIL(FIM_ERR_VALUE, "%s: entry %zu of '%s' is %g, not a finite number",
                            chain->tensors->path, i, t->name, t->values[i]);
    return FIM_OK;
}

static fim_status check_open(const fim_chain *chain, const char *what) {
    if (!chain->softmax)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' follows the softmax '%s'; a softmax is read at the end alone",
                    chain->tensors->path, what, chain->last);
}

// A tensor of n floating point numbers in one dimension.
static fim_status check_vector(const fim_chain *chain, const fim_tensor *t, size_t n, const char *why) {
    char shape[200];
    if (t->rank != 1 || t->count != n)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' is %s, expected (%zu,) %s", chain->tensors->path, t->name,
                        shape_of(t, shape), n, why);
    if (t->values == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' holds no floating point numbers", chain->tensors->path,
                        t->name);
    return check_finite(chain, t);
}

static fim_status check_weight(const fim_chain *chain, const fim_tensor *t, bool transposed) {
    char shape[200];
    const char *path = chain->tensors->path;
    if (t->rank != 2 || t->count == 0)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' is %s: only dense layers, with a matrix as weight, are read",
                        path, t->name, shape_of(t, shape));
    if (t->values == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' holds no floating point numbers", path, t->name);
    size_t inputs = t->dim[transposed ? 0 : 1], width = fim_chain_width(chain);
    if (width != 0 && inputs != width)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' is %s and takes %zu inputs, but '%s' before it gives %zu",
                        path, t->name, shape_of(t, shape), inputs, chain->last, width);
    return check_finite(chain, t);
}

// ---- The list of layers ----

static fim_status add_layer(fim_chain *chain, size_t outputs, size_t columns, const char *source) {
    fim_checkpoint *made = &chain->made;
    size_t n = made->net.n_layers;
    gsl_matrix *w = NULL;
    char *copy = NULL;
    fim_status status = FIM_OK;
    if (n == LAYERS_LIMIT)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: has more than %d layers", chain->tensors->path, LAYERS_LIMIT);
    fim_layer *layers = realloc(made->net.layers, (n + 1) * sizeof *layers);
    if (layers != NULL)
        made->net.layers = layers;
    char **sources = realloc(made->sources, (n + 1) * sizeof *sources);
    if (sources != NULL)
        made->sources = sources;
    if (layers == NULL || sources == NULL || (copy = strdup(source)) == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate a layer", chain->tensors->path);
    size_t bytes = fim_size_mul(fim_size_mul(outputs, columns), sizeof(double));
    FIM_TRY(fim_context(fim_budget_check(chain->tensors->left, bytes, source, "raise --memory"), "%s",
                        chain->tensors->path));
    FIM_TRY(fim_matrix_new(outputs, columns, source, &w));
    chain->tensors->left -= bytes;
    layers[n] = (fim_layer){.activation = FIM_ACTIVATION_IDENTITY, .w = w};
    sources[n] = copy;
    copy = NULL;
    made->net.n_layers++;
out:
    free(copy);
    return status;
}

static fim_status append_source(fim_chain *chain, const char *what) {
    char **source = &chain->made.sources[chain->made.net.n_layers - 1], *longer = NULL;
    size_t size = strlen(*source) + strlen(what) + 3;
    if (size > SOURCE_LIMIT) // thousands of parts in one layer are to be read, not listed
        return FIM_OK;
    fim_status status = fim_alloc(size, 1, "a name", &longer);
    if (status != FIM_OK)
        return status;
    snprintf(longer, size, "%s, %s", *source, what);
    free(*source);
    *source = longer;
    return FIM_OK;
}

// Gives the last layer a bias of zeros.
static fim_status add_bias(fim_chain *chain) {
    fim_layer *layer = last_layer(chain);
    gsl_matrix *w = NULL;
    fim_status status = fim_matrix_new(layer->w->size1, layer->w->size2 + 1, "weights", &w);
    if (status != FIM_OK)
        return status;
    gsl_matrix_view part = gsl_matrix_submatrix(w, 0, 0, layer->w->size1, layer->w->size2);
    gsl_matrix_memcpy(&part.matrix, layer->w);
    gsl_matrix_free(layer->w);
    layer->w = w;
    layer->bias = true;
    return FIM_OK;
}

// ---- Parts ----

// W (scale·a + shift) + b = (W diag(scale)) a + (W shift + b)
static fim_status fold_into_next(fim_chain *chain) {
    fim_layer *layer = last_layer(chain);
    size_t inputs = fim_layer_inputs(layer);
    fim_status status = layer->bias ? FIM_OK : add_bias(chain);
    if (status != FIM_OK)
        return status;
    for (size_t j = 0; j < layer->w->size1; j++) {
        double *row = gsl_matrix_ptr(layer->w, j, 0), sum = 0;
        for (size_t i = 0; i < inputs; i++) {
            sum += row[i] * gsl_vector_get(chain->shift, i);
            row[i] *= gsl_vector_get(chain->scale, i);
        }
        row[inputs] += sum;
    }
    gsl_vector_free(chain->scale);
    gsl_vector_free(chain->shift);
    chain->scale = chain->shift = NULL;
    return FIM_OK;
}

fim_status fim_chain_linear(fim_chain *chain, const fim_tensor *weight, bool transposed,
                            const fim_tensor *bias) {
    fim_status status = check_open(chain, weight->name);
    if (status == FIM_OK)
        status = check_weight(chain, weight, transposed);
    if (status != FIM_OK)
        return status;
    size_t outputs = weight->dim[transposed ? 1 : 0], inputs = weight->dim[transposed ? 0 : 1];
    if (bias != NULL)
        FIM_TRY(check_vector(chain, bias, outputs, "like the outputs of its weight"));
    FIM_TRY(add_layer(chain, outputs, inputs + (bias != NULL ? 1 : 0), weight->name));
    if (bias != NULL)
        FIM_TRY(append_source(chain, bias->name));
    fim_layer *layer = last_layer(chain);
    layer->bias = bias != NULL;
    gsl_matrix_const_view values =
        gsl_matrix_const_view_array(weight->values, weight->dim[0], weight->dim[1]);
    gsl_matrix_view part = gsl_matrix_submatrix(layer->w, 0, 0, outputs, inputs);
    if (transposed)
        gsl_matrix_transpose_memcpy(&part.matrix, &values.matrix);
    else
        gsl_matrix_memcpy(&part.matrix, &values.matrix);
    for (size_t j = 0; bias != NULL && j < outputs; j++)
        gsl_matrix_set(layer->w, j, inputs, bias->values[j]);
    chain->activated = chain->softmax = false;
    remember(chain, weight->name);
    if (chain->scale != NULL)
        status = fold_into_next(chain);
out:
    return status;
}

static fim_status fold_into_last(fim_chain *chain, const char *what, const double *scale,
                                 const double *shift) {
    fim_layer *layer = last_layer(chain);
    fim_status status = FIM_OK;
    if (!layer->bias)
        FIM_TRY(add_bias(chain));
    for (size_t j = 0; j < layer->w->size1; j++) {
        gsl_vector_view row = gsl_matrix_row(layer->w, j);
        gsl_vector_scale(&row.vector, scale[j]);
        *gsl_matrix_ptr(layer->w, j, layer->w->size2 - 1) += shift[j];
    }
    FIM_TRY(append_source(chain, what));
    status = fim_checkpoint_note(&chain->made, "%s is folded into layer %zu, the linear layer before it",
                                 what, chain->made.net.n_layers - 1);
out:
    return status;
}

// Composes with what is waiting already.
static fim_status wait_for_next(fim_chain *chain, const char *what, size_t n, const double *scale,
                                const double *shift) {
    fim_status status = FIM_OK;
    if (chain->scale == NULL) {
        FIM_TRY(fim_vector_new(n, "a scale", &chain->scale));
        FIM_TRY(fim_vector_new(n, "a shift", &chain->shift));
        gsl_vector_set_all(chain->scale, 1);
    }
    for (size_t i = 0; i < n; i++) {
        gsl_vector_set(chain->scale, i, scale[i] * gsl_vector_get(chain->scale, i));
        gsl_vector_set(chain->shift, i, scale[i] * gsl_vector_get(chain->shift, i) + shift[i]);
    }
    status = fim_checkpoint_note(&chain->made, "%s is folded into layer %zu, the linear layer after it", what,
                                 chain->made.net.n_layers);
out:
    return status;
}

fim_status fim_chain_affine(fim_chain *chain, const char *what, size_t n, const double *scale,
                            const double *shift) {
    size_t width = fim_chain_width(chain);
    if (n == 0 || (width != 0 && n != width))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' takes %zu numbers, but '%s' before it gives %zu",
                        chain->tensors->path, what, n, chain->last, width);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(scale[i]) || !isfinite(shift[i]))
            return FIM_FAIL(FIM_ERR_VALUE, "%s: number %zu of '%s' is not finite", chain->tensors->path, i,
                            what);
    fim_status status = check_open(chain, what);
    if (status == FIM_OK)
        status = last_layer(chain) != NULL && !chain->activated ? fold_into_last(chain, what, scale, shift)
                                                                : wait_for_next(chain, what, n, scale, shift);
    if (status == FIM_OK)
        remember(chain, what);
    return status;
}

fim_status fim_chain_batch_norm(fim_chain *chain, const char *what, const fim_tensor *gamma,
                                const fim_tensor *beta, const fim_tensor *mean, const fim_tensor *variance,
                                double epsilon) {
    double *scale = NULL, *shift = NULL;
    char text[160];
    size_t n = variance->count;
    fim_status status = FIM_OK;
    const fim_tensor *all[] = {variance, mean, gamma, beta};
    for (size_t k = 0; k < 4; k++)
        if (all[k] != NULL)
            FIM_TRY(check_vector(chain, all[k], n, "like the others of its normalisation"));
    FIM_TRY(fim_alloc(n, sizeof *scale, "a scale", &scale));
    FIM_TRY(fim_alloc(n, sizeof *shift, "a shift", &shift));
    for (size_t i = 0; i < n; i++) {
        if (!(variance->values[i] + epsilon > 0)) {
            status = FIM_FAIL(FIM_ERR_VALUE, "%s: entry %zu of '%s' is %g, no variance", chain->tensors->path,
                              i, variance->name, variance->values[i]);
            goto out;
        }
        scale[i] = (gamma != NULL ? gamma->values[i] : 1) / sqrt(variance->values[i] + epsilon);
        shift[i] = (beta != NULL ? beta->values[i] : 0) - scale[i] * mean->values[i];
    }
    snprintf(text, sizeof text, "batch normalisation %s (epsilon %g)", what, epsilon);
    status = fim_chain_affine(chain, text, n, scale, shift);
out:
    free(scale);
    free(shift);
    return status;
}

static fim_status check_activation(const fim_chain *chain, const char *what) {
    if (last_layer(chain) == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' comes before the first linear layer", chain->tensors->path,
                        what);
    if (chain->activated)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' follows the activation '%s' without a linear layer between",
                        chain->tensors->path, what, chain->last);
    return FIM_OK;
}

fim_status fim_chain_activation(fim_chain *chain, const char *what, fim_activation activation) {
    if (activation == FIM_ACTIVATION_IDENTITY)
        return FIM_OK;
    fim_status status = check_activation(chain, what);
    if (status != FIM_OK)
        return status;
    last_layer(chain)->activation = activation;
    chain->activated = true;
    remember(chain, what);
    return FIM_OK;
}

fim_status fim_chain_softmax(fim_chain *chain, const char *what) {
    fim_status status = check_activation(chain, what);
    if (status != FIM_OK)
        return status;
    chain->activated = chain->softmax = true;
    remember(chain, what);
    return FIM_OK;
}

// ---- The end ----

// The likelihood by what the network ends in, the user, and the loss, in this order; they must not disagree.
static fim_status find_likelihood(const fim_chain *chain, const char *text, fim_likelihood *out) {
    const char *path = chain->tensors->path;
    const fim_activation last = last_layer(chain)->activation;
    int implied = chain->softmax ? FIM_CATEGORICAL : last == FIM_ACTIVATION_SIGMOID ? FIM_BERNOULLI : -1;
    int chosen = implied >= 0 ? implied : chain->loss;
    fim_likelihood wanted = FIM_LIKELIHOOD_COUNT;
    if (text != NULL) {
        fim_status status = fim_likelihood_parse(text, &wanted);
        if (status != FIM_OK)
            return fim_context(status, "%s", path);
    }
    if (implied >= 0 && text != NULL && (int)wanted != implied)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: ends in a %s, which makes its likelihood %s, not %s", path,
                        chain->softmax ? "softmax" : "sigmoid", fim_likelihood_name((fim_likelihood)implied),
                        text);
    if (implied < 0 && last != FIM_ACTIVATION_IDENTITY)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: ends in the activation %s; only identity, softmax and sigmoid have a likelihood",
                        path, fim_activation_name(last));
    if (text == NULL && implied >= 0 && chain->loss >= 0 && chain->loss != implied)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: ends in a %s, but its loss is that of the likelihood %s; say which it is with "
                        "--likelihood %s if that is meant",
                        path, chain->softmax ? "softmax" : "sigmoid",
                        fim_likelihood_name((fim_likelihood)chain->loss),
                        fim_likelihood_name((fim_likelihood)implied));
    if (text == NULL && chosen < 0)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "%s: does not tell its likelihood; give --likelihood categorical, bernoulli or "
                        "gaussian",
                        path);
    *out = text != NULL ? wanted : (fim_likelihood)chosen;
    return FIM_OK;
}

static fim_status finish(fim_chain *chain, const char *likelihood) {
    fim_status status = FIM_OK;
    const char *path = chain->tensors->path;
    if (chain->made.net.n_layers == 0)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: holds no linear layer", path);
    FIM_TRY(find_likelihood(chain, likelihood, &chain->made.net.likelihood));
    fim_layer *last = last_layer(chain);
    if (chain->scale != NULL) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' has no linear layer to go into", path, chain->last);
        goto out;
    }
    if (chain->softmax || last->activation == FIM_ACTIVATION_SIGMOID)
        FIM_TRY(fim_checkpoint_note(&chain->made, "the last %s, '%s', went into the likelihood %s",
                                    chain->softmax ? "softmax" : "sigmoid", chain->last,
                                    fim_likelihood_name(chain->made.net.likelihood)));
    last->activation = FIM_ACTIVATION_IDENTITY;
out:
    return status;
}

fim_status fim_chain_finish(fim_chain *chain, const char *likelihood, fim_checkpoint *out) {
    fim_status status = finish(chain, likelihood);
    if (status == FIM_OK) {
        *out = chain->made;
        chain->made = (fim_checkpoint){0};
    }
    fim_chain_clear(chain);
    return status;
}
