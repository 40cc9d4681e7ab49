// Descriptions of networks in JSON: read with the suspicion that all files deserve, and written into files
// whose format has no place for one.
#include "arch.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensors.h"

enum { TEXT_LIMIT = 1 << 20 };

static const char *const layouts[] = {"out,in", "in,out"};
static const char *const places[] = {"before", "after"};

static fim_status wrong(const char *where, const char *key, const char *expected) {
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: \"%s\" must be %s", where, key, expected);
}

static fim_status take_text(const char *where, const char *key, const json_t *value, const char **out) {
    if (!json_is_string(value))
        return wrong(where, key, "a text");
    *out = json_string_value(value);
    return FIM_OK;
}

static fim_status take_choice(const char *where, const char *key, const json_t *value,
                              const char *const choices[static 2], int *out) {
    for (int i = 0; i < 2; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), choices[i]) == 0) {
            *out = i;
            return FIM_OK;
        }
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: \"%s\" must be \"%s\" or \"%s\"", where, key, choices[0],
                    choices[1]);
}

static fim_status check_layer(const char *where, size_t index, const json_t *layer) {
    static const char *const known[] = {"name", "weight", "bias", "activation"};
    if (json_is_string(layer))
        return FIM_OK;
    if (!json_is_object(layer))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: layer %zu must be a name or an object", where, index);
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)layer, key, value) {
        bool found = false;
        for (size_t k = 0; k < 4; k++)
            found = found || strcmp(key, known[k]) == 0;
        if (!found || !json_is_string(value))
            return FIM_FAIL(
                FIM_ERR_FORMAT,
                "%s: layer %zu: \"%s\" is not understood; known, all of them texts: name, weight, "
                "bias, activation",
                where, index, key);
    }
    bool named = json_object_get(layer, "name") != NULL, split = json_object_get(layer, "weight") != NULL;
    fim_activation activation;
    value = json_object_get(layer, "activation");
    if (named == split || (named && json_object_get(layer, "bias") != NULL))
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: layer %zu must have a \"name\", or a \"weight\" and perhaps a \"bias\"", where,
                        index);
    if (value == NULL || strcmp(json_string_value(value), "softmax") == 0)
        return FIM_OK;
    return fim_context(fim_activation_parse(json_string_value(value), &activation), "%s: layer %zu", where,
                       index);
}

static fim_status check_list(const char *where, const char *key, const json_t *list, size_t *count) {
    size_t n = json_array_size(list);
    if (n == 0 || n > FIM_ARCH_LAYERS_LIMIT)
        return wrong(where, key, "a list of 1 to 10000 entries");
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        fim_status status = FIM_OK;
        if (strcmp(key, "layers") == 0)
            status = check_layer(where, i, item);
        else if (!json_is_string(item))
            status = wrong(where, key, "a list of texts");
        if (status != FIM_OK)
            return status;
    }
    *count = n;
    return FIM_OK;
}

static fim_status take(fim_arch *arch, const char *where, const char *key, const json_t *value) {
    size_t count;
    if (strcmp(key, "activation") == 0)
        return take_text(where, key, value, &arch->activation);
    if (strcmp(key, "likelihood") == 0)
        return take_text(where, key, value, &arch->likelihood);
    if (strcmp(key, "layout") == 0)
        return take_choice(where, key, value, layouts, &arch->in_out);
    if (strcmp(key, "batch_norm") == 0)
        return take_choice(where, key, value, places, &arch->after);
    if (strcmp(key, "layers") == 0)
        return check_list(where, key, value, &arch->n_layers);
    if (strcmp(key, "ignore") == 0)
        return check_list(where, key, value, &count);
    if (strcmp(key, "batch_norm_epsilon") == 0) {
        arch->epsilon = json_number_value(value);
        return arch->epsilon > 0 && isfinite(arch->epsilon) ? FIM_OK : wrong(where, key, "a positive number");
    }
    return FIM_FAIL(FIM_ERR_FORMAT,
                    "%s: \"%s\" is not understood; known: activation, likelihood, layers, layout, ignore, "
                    "batch_norm, batch_norm_epsilon",
                    where, key);
}

fim_status fim_arch_parse(const char *text, const char *where, fim_arch *out) {
    json_error_t error;
    fim_arch arch = {.in_out = -1, .after = -1};
    fim_status status = FIM_OK;
    fim_activation activation;
    fim_likelihood likelihood;
    if ((arch.root = json_loads(text, JSON_REJECT_DUPLICATES, &error)) == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: line %d: %s", where, error.line, error.text);
    if (!json_is_object(arch.root)) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: must be a JSON object", where);
        goto out;
    }
    const char *key;
    json_t *value;
    json_object_foreach(arch.root, key, value) FIM_TRY(take(&arch, where, key, value));
    if (arch.activation != NULL)
        FIM_TRY(fim_context(fim_activation_parse(arch.activation, &activation), "%s", where));
    if (arch.likelihood != NULL)
        FIM_TRY(fim_context(fim_likelihood_parse(arch.likelihood, &likelihood), "%s", where));
    *out = arch;
    arch.root = NULL;
out:
    json_decref(arch.root);
    return status;
}

fim_status fim_arch_read(const char *path, fim_arch *out) {
    FILE *file = NULL;
    size_t size = 0;
    char *text = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_source_open(path, &file, &size));
    if (size > TEXT_LIMIT) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: has %zu bytes, a description at most %d", path, size, TEXT_LIMIT);
        goto out;
    }
    FIM_TRY(fim_alloc(size + 1, 1, "a description", &text));
    FIM_TRY(fim_source_read(file, path, 0, text, size));
    status = fim_arch_parse(text, path, out);
out:
    free(text);
    if (file != NULL)
        fclose(file);
    return status;
}

void fim_arch_clear(fim_arch *arch) {
    json_decref(arch->root);
    *arch = (fim_arch){.in_out = -1, .after = -1};
}

fim_arch_layer fim_arch_layer_at(const fim_arch *arch, size_t index) {
    const json_t *layer = json_array_get(json_object_get(arch->root, "layers"), index);
    if (json_is_string(layer))
        return (fim_arch_layer){.name = json_string_value(layer)};
    return (fim_arch_layer){.name = json_string_value(json_object_get(layer, "name")),
                            .weight = json_string_value(json_object_get(layer, "weight")),
                            .bias = json_string_value(json_object_get(layer, "bias")),
                            .activation = json_string_value(json_object_get(layer, "activation"))};
}

bool fim_arch_ignores(const fim_arch *arch, const char *name) {
    const json_t *list = json_object_get(arch->root, "ignore");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (fnmatch(json_string_value(json_array_get(list, i)), name, 0) == 0)
            return true;
    return false;
}

fim_status fim_arch_write(const fim_net *net, char **out) {
    json_t *layers = json_array();
    for (size_t l = 0; l < net->n_layers; l++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", l);
        json_array_append_new(layers, json_pack("{s:s, s:s}", "name", name, "activation",
                                                fim_activation_name(net->layers[l].activation)));
    }
    json_t *root = json_pack("{s:s, s:s, s:o}", "likelihood", fim_likelihood_name(net->likelihood), "layout",
                             layouts[0], "layers", layers);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a description");
    *out = text;
    return FIM_OK;
}
