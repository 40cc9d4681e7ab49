// Keras models: sequences of layers, each with its kind, its activation and what else it was made with. Kinds
// that do nothing in inference are passed over, dense layers, activations and batch normalisation are read,
// all others refused by name.
#include "keras.h"

#include <string.h>

#include "format.h"

enum { LAYERS_LIMIT = 10000 };

typedef struct builder {
    fim_tensors *tensors;
    fim_chain chain;
    fim_keras_load_fn *load;
    void *context;
    size_t n_dense, n_norm;
} builder;

static const char *text_at(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key)); // NULL when it is none
}

static bool flag_at(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return value == NULL || json_is_true(value); // Keras' defaults are true
}

static fim_status refuse(const builder *b, const char *layer, const char *what, const char *name) {
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: layer '%s': %s '%s' is not read", b->tensors->path, layer, what,
                    name);
}

// ---- Activations ----

// Keras' name of an activation, or of a function in {"class_name", "config"}.
static const char *activation_name(const json_t *value) {
    if (json_is_object(value) && json_is_string(json_object_get(value, "config")))
        value = json_object_get(value, "config");
    return value == NULL || json_is_null(value) ? "linear" : json_string_value(value);
}

static fim_status add_activation(builder *b, const char *layer, const json_t *value) {
    static const char *const same[] = {"relu", "tanh", "sigmoid", "softplus", "gelu", "elu"};
    const char *name = activation_name(value);
    fim_activation activation;
    if (name == NULL)
        return refuse(b, layer, "the activation", "given as an object");
    if (strcmp(name, "linear") == 0)
        return FIM_OK;
    if (strcmp(name, "softmax") == 0)
        return fim_chain_softmax(&b->chain, layer);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(name, same[i]) == 0) {
            fim_status status = fim_activation_parse(name, &activation);
            return status == FIM_OK ? fim_chain_activation(&b->chain, layer, activation) : status;
        }
    return refuse(b, layer, "the activation", name);
}

// The layers ReLU, LeakyReLU, ELU, whose parameters must be those of our activations.
static fim_status add_activation_layer(builder *b, const char *layer, const char *class,
                                       const json_t *config) {
    static const struct {
        const char *class, *keys[3];
        double value; // that the first key found must have
        fim_activation activation;
    } known[] = {{"LeakyReLU", {"negative_slope", "alpha", NULL}, 0.01, FIM_ACTIVATION_LEAKY_RELU},
                 {"ELU", {"alpha", NULL, NULL}, 1, FIM_ACTIVATION_ELU},
                 {"ReLU", {"negative_slope", NULL, NULL}, 0, FIM_ACTIVATION_RELU}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(class, known[i].class) != 0)
            continue;
        const json_t *value = NULL, *top = json_object_get(config, "max_value");
        for (size_t k = 0; k < 3 && known[i].keys[k] != NULL && value == NULL; k++)
            value = json_object_get(config, known[i].keys[k]);
        double found = json_number_value(value);
        bool right = value == NULL
                         ? known[i].activation != FIM_ACTIVATION_LEAKY_RELU
                         : found >= known[i].value * (1 - 1e-6) && found <= known[i].value * (1 + 1e-6);
        if (!right || (top != NULL && !json_is_null(top)) ||
            json_number_value(json_object_get(config, "threshold")) > 0)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: layer '%s': %s is read with the parameter %g alone",
                            b->tensors->path, layer, class, known[i].value);
        return fim_chain_activation(&b->chain, layer, known[i].activation);
    }
    return refuse(b, layer, "the kind", class);
}

// ---- Layers with numbers ----

// Loads the wanted parts, which the layer keeps in this order; found[part] is NULL for the others. The
// tensors are the last ones of the list.
static fim_status load_parts(builder *b, const char *layer, const char *class, size_t count,
                             const bool wanted[FIM_KERAS_PARTS], const fim_tensor *found[FIM_KERAS_PARTS]) {
    size_t place[FIM_KERAS_PARTS], index = 0;
    for (size_t part = 0; part < FIM_KERAS_PARTS; part++) {
        if (!wanted[part])
            continue;
        place[part] = b->tensors->n;
        fim_status status =
            b->load(b->context, b->tensors, layer, class, count, (fim_keras_part)part, index++);
        if (status != FIM_OK)
            return status;
    }
    for (size_t part = 0; part < FIM_KERAS_PARTS; part++)
        found[part] = wanted[part] ? &b->tensors->items[place[part]] : NULL;
    return FIM_OK;
}

static fim_status add_dense(builder *b, const char *layer, const json_t *config) {
    const bool wanted[FIM_KERAS_PARTS] = {true, flag_at(config, "use_bias"), false, false};
    const fim_tensor *found[FIM_KERAS_PARTS];
    fim_status status = load_parts(b, layer, "dense", b->n_dense++, wanted, found);
    if (status == FIM_OK)
        status = fim_chain_linear(&b->chain, found[FIM_KERAS_WEIGHT], true, found[FIM_KERAS_BIAS]);
    return status == FIM_OK ? add_activation(b, layer, json_object_get(config, "activation")) : status;
}

static fim_status add_norm(builder *b, const char *layer, const json_t *config) {
    const bool wanted[FIM_KERAS_PARTS] = {flag_at(config, "scale"), flag_at(config, "center"), true, true};
    const fim_tensor *found[FIM_KERAS_PARTS];
    const json_t *given = json_object_get(config, "epsilon");
    double epsilon = given != NULL ? json_number_value(given) : 1e-3;
    fim_status status = load_parts(b, layer, "batch_normalization", b->n_norm++, wanted, found);
    return status == FIM_OK
               ? fim_chain_batch_norm(&b->chain, layer, found[FIM_KERAS_WEIGHT], found[FIM_KERAS_BIAS],
                                      found[FIM_KERAS_MEAN], found[FIM_KERAS_VARIANCE], epsilon)
               : status;
}

// ---- The model ----

// The names of all layers that a layer takes its input from are texts that stand first in a list; *other is
// one that is not `before`.
static void find_inputs(const json_t *value, const char *before, size_t depth, size_t *count, bool *other) {
    size_t i;
    const char *key;
    const json_t *item;
    if (depth > 16)
        return;
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
            find_inputs(item, before, depth + 1, count, other);
    const char *first = json_is_array(value) ? json_string_value(json_array_get(value, 0)) : NULL;
    if (first != NULL && json_is_integer(json_array_get(value, 1))) {
        ++*count;
        *other = *other || before == NULL || strcmp(first, before) != 0;
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item) find_inputs(item, before, depth + 1, count, other);
    }
}

static fim_status add_layer(builder *b, const json_t *layer, size_t index, const char *before) {
    static const char *const idle[] = {"InputLayer",
                                       "Flatten",
                                       "Dropout",
                                       "GaussianDropout",
                                       "GaussianNoise",
                                       "AlphaDropout",
                                       "ActivityRegularization"};
    const char *class = text_at(layer, "class_name");
    const json_t *config = json_object_get(layer, "config");
    const char *name = text_at(config, "name");
    size_t inputs = 0;
    bool other = false;
    if (class == NULL || !json_is_object(config) || name == NULL || strchr(name, '/') != NULL)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: layer %zu of its model has no class_name, or no config with a name",
                        b->tensors->path, index);
    find_inputs(json_object_get(layer, "inbound_nodes"), before, 0, &inputs, &other);
    if (inputs > 1 || other)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: layer '%s' does not follow '%s' alone: only chains of layers are read",
                        b->tensors->path, name, before != NULL ? before : "the input");
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (strcmp(class, idle[i]) == 0)
            return FIM_OK;
    if (strcmp(class, "Dense") == 0)
        return add_dense(b, name, config);
    if (strcmp(class, "BatchNormalization") == 0)
        return add_norm(b, name, config);
    if (strcmp(class, "Activation") == 0)
        return add_activation(b, name, json_object_get(config, "activation"));
    if (strcmp(class, "Softmax") == 0)
        return fim_chain_softmax(&b->chain, name);
    return add_activation_layer(b, name, class, config);
}

// The likelihood of a loss, −1 for one that has none. Losses on probabilities say nothing: then the network
// ends in a softmax or a sigmoid, which does.
static int likelihood_of(const json_t *loss) {
    static const struct {
        const char *name;
        int likelihood;
    } known[] = {{"mse", FIM_GAUSSIAN},
                 {"mean_squared_error", FIM_GAUSSIAN},
                 {"MeanSquaredError", FIM_GAUSSIAN},
                 {"CategoricalCrossentropy", FIM_CATEGORICAL},
                 {"SparseCategoricalCrossentropy", FIM_CATEGORICAL},
                 {"BinaryCrossentropy", FIM_BERNOULLI}};
    const char *name = json_is_string(loss) ? json_string_value(loss) : text_at(loss, "class_name");
    const json_t *logits = json_object_get(json_object_get(loss, "config"), "from_logits");
    for (size_t i = 0; name != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].likelihood == FIM_GAUSSIAN || json_is_true(logits) ? known[i].likelihood : -1;
    return -1;
}

fim_status fim_keras_build(fim_tensors *tensors, const json_t *model, const json_t *training,
                           fim_keras_load_fn *load, void *context, const fim_checkpoint_options *options,
                           fim_checkpoint *out) {
    builder b = {.tensors = tensors, .chain = fim_chain_new(tensors), .load = load, .context = context};
    const json_t *config = json_object_get(model, "config"), *layers;
    const char *before = NULL;
    fim_status status = FIM_OK;
    layers =
        json_is_array(config) ? config : json_object_get(config, "layers"); // a bare list before Keras 2.2
    FIM_TRY(fim_checkpoint_needs_no(tensors->path, options));
    if (json_array_size(layers) == 0 || json_array_size(layers) > LAYERS_LIMIT) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its model has no list of 1 to %d layers", tensors->path,
                          LAYERS_LIMIT);
        goto out;
    }
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        FIM_TRY(add_layer(&b, layer, i, before));
        before = text_at(json_object_get(layer, "config"), "name");
    }
    b.chain.loss = likelihood_of(json_object_get(training, "loss"));
    status = fim_chain_finish(&b.chain, options->likelihood, out);
out:
    fim_chain_clear(&b.chain);
    return status;
}
