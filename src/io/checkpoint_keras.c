// Keras' files: legacy .h5 (HDF5 with the model as JSON in the attribute model_config, the numbers under
// /model_weights/<layer>), .keras (a zip archive of config.json and model.weights.h5), and weights alone
// (.weights.h5, with /layers/<kind>[_<count>]/vars/<index>, or the legacy groups at the root), which are
// state dicts. Kernels are (inputs, outputs).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "format.h"
#include "h5.h"
#include "keras.h"
#include "names.h"

enum { PATH = 1024, DEPTH_LIMIT = 6 };

static const char config_member[] = "config.json", weights_member[] = "model.weights.h5";

// Where Keras keeps its layers in a file of weights, by version.
static const char *const tops[] = {"/layers", "/_layer_checkpoint_dependencies"};

typedef struct source {
    fim_h5 file;
    const char *top;      // of tops, or NULL for the legacy form
    unsigned char *image; // of the HDF5 file inside a .keras file
    fim_tensors *tensors;
} source;

static fim_status find_top(const fim_h5 *file, const char **out) {
    *out = NULL;
    for (size_t i = 0; i < 2 && *out == NULL; i++) {
        fim_h5_kind kind = FIM_H5_NOTHING;
        fim_status status = fim_h5_find(file, tops[i], &kind);
        if (status != FIM_OK)
            return status;
        if (kind == FIM_H5_GROUP)
            *out = tops[i];
    }
    return FIM_OK;
}

// Whether the file's groups have names, as Keras' layers have: the native format has /layers, too, with
// numbers.
static fim_status has_names(const fim_h5 *file, bool *out) {
    const char *top = NULL;
    char **groups = NULL;
    size_t n = 0;
    fim_status status = find_top(file, &top);
    if (status == FIM_OK && top != NULL)
        status = fim_h5_list(file, top, &groups, &n);
    *out = status == FIM_OK && n > 0 && strspn(groups[0], "0123456789") != strlen(groups[0]);
    fim_h5_names_free(groups, n);
    return status;
}

static fim_status sniff_h5(const char *path, bool *out) {
    fim_h5 file = {.id = -1};
    bool own = false, model = false, names = false;
    fim_status status = fim_h5_open(path, 0, &file);
    if (status == FIM_OK)
        status = fim_h5_has(&file, "/", "format", &own);
    if (status == FIM_OK && !own)
        status = fim_h5_has(&file, "/", "model_config", &model);
    if (status == FIM_OK && !own && !model)
        status = fim_h5_has(&file, "/", "layer_names", &names);
    if (status == FIM_OK && !own && !model && !names)
        status = has_names(&file, &names);
    fim_h5_close(&file);
    if (status == FIM_ERR_MEMORY)
        return status;
    *out = status == FIM_OK && !own && (model || names); // the native reader tells of damage
    return FIM_OK;
}

fim_status fim_format_keras_sniff(const char *path, bool *out) {
    bool zip = false, h5 = false;
    fim_archive archive = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_sniff(path, &zip));
    FIM_TRY(fim_h5_sniff(path, &h5));
    if (!zip) {
        *out = false;
        if (h5)
            status = sniff_h5(path, out);
        goto out;
    }
    FIM_TRY(fim_archive_open(path, &archive));
    *out = fim_archive_find(&archive, config_member) < archive.n &&
           fim_archive_find(&archive, weights_member) < archive.n;
out:
    fim_archive_close(&archive);
    return status;
}

// ---- Tensors ----

static fim_status add_set(source *s, const char *item, const char *name) {
    fim_h5_set set = {.id = -1};
    fim_tensor *tensor = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_set_open(&s->file, item, &set));
    FIM_TRY(fim_tensors_add(s->tensors, name, set.rank, set.dim, !set.integer, &tensor));
    if (!set.integer && set.count > 0) {
        gsl_matrix_view view = gsl_matrix_view_array(tensor->values, 1, set.count);
        status = fim_h5_set_read(&s->file, &set, false, &view.matrix);
    }
out:
    fim_h5_set_close(&set);
    return status;
}

static fim_status join(const source *s, char path[static PATH], const char *group, const char *name) {
    int length = snprintf(path, PATH, "%s/%s", group, name);
    return length > 0 && length < PATH
               ? FIM_OK
               : FIM_FAIL(FIM_ERR_FORMAT, "%s: has names that are too long", s->file.path);
}

// In the groups of a legacy layer, the first data set that has the wanted part of a layer by its name.
static fim_status find_part(source *s, const char *group, fim_keras_part part, size_t depth,
                            char found[static PATH]) {
    char **names = NULL, item[PATH], layer[FIM_NAME];
    size_t n = 0;
    fim_role role;
    int in_out;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_list(&s->file, group, &names, &n));
    for (size_t i = 0; i < n && found[0] == '\0'; i++) {
        fim_h5_kind kind = FIM_H5_NOTHING;
        FIM_TRY(join(s, item, group, names[i]));
        FIM_TRY(fim_h5_find(&s->file, item, &kind));
        if (kind == FIM_H5_GROUP && depth < DEPTH_LIMIT)
            FIM_TRY(find_part(s, item, part, depth + 1, found));
        else if (kind == FIM_H5_SET && fim_name_parse(names[i], layer, &role, &in_out) &&
                 (int)role == (int)part)
            snprintf(found, PATH, "%s", item);
    }
out:
    fim_h5_names_free(names, n);
    return status;
}

static fim_status load(void *context, fim_tensors *tensors, const char *name, const char *class, size_t count,
                       fim_keras_part part, size_t index) {
    static const char *const parts[] = {"weight", "bias", "mean", "variance"};
    source *s = context;
    char item[PATH] = "", group[PATH];
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = FIM_OK;
    (void)tensors;
    if (s->top != NULL) { // by kind and count, in newer versions by the layer's name
        if (count == 0)
            snprintf(item, sizeof item, "%s/%s/vars/%zu", s->top, class, index);
        else
            snprintf(item, sizeof item, "%s/%s_%zu/vars/%zu", s->top, class, count, index);
        FIM_TRY(fim_h5_find(&s->file, item, &kind));
        if (kind == FIM_H5_NOTHING) {
            int length = snprintf(item, sizeof item, "%s/%s/vars/%zu", s->top, name, index);
            if (length >= PATH)
                return FIM_FAIL(FIM_ERR_FORMAT, "%s: has names that are too long", s->file.path);
        }
    } else {
        FIM_TRY(join(s, group, "/model_weights", name));
        FIM_TRY(find_part(s, group, part, 0, item));
    }
    if (item[0] == '\0')
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: layer '%s' has no %s under %s", s->file.path, name, parts[part],
                        group);
    status = add_set(s, item, item + 1);
out:
    return status;
}

// ---- Models ----

static fim_status parse_json(const char *path, const char *what, const char *text, json_t **out) {
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is not JSON: line %d: %s", path, what, error.line,
                        error.text);
    *out = root;
    return FIM_OK;
}

static fim_status read_legacy(source *s, const fim_checkpoint_options *options, fim_checkpoint *out) {
    static const char *const names[] = {"model_config", "training_config"};
    json_t *root[2] = {NULL, NULL};
    char *text = NULL;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < 2; i++) {
        bool has = false;
        FIM_TRY(fim_h5_has(&s->file, "/", names[i], &has));
        if (!has)
            continue;
        FIM_TRY(fim_h5_text(&s->file, "/", names[i], &text));
        FIM_TRY(parse_json(s->file.path, names[i], text, &root[i]));
        free(text);
        text = NULL;
    }
    status = fim_keras_build(s->tensors, root[0], root[1], load, s, options, out);
out:
    free(text);
    json_decref(root[0]);
    json_decref(root[1]);
    return status;
}

static fim_status read_archive(source *s, const fim_checkpoint_options *options, fim_checkpoint *out) {
    fim_archive archive = {0};
    unsigned char *text = NULL;
    json_t *root = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_open(s->tensors->path, &archive));
    FIM_TRY(
        fim_archive_read(&archive, fim_archive_find(&archive, config_member), &s->tensors->left, &text, &n));
    FIM_TRY(parse_json(archive.path, config_member, (const char *)text, &root));
    FIM_TRY(fim_archive_read(&archive, fim_archive_find(&archive, weights_member), &s->tensors->left,
                             &s->image, &n));
    FIM_TRY(fim_h5_open_image(archive.path, s->image, n, s->tensors->left, &s->file));
    FIM_TRY(find_top(&s->file, &s->top));
    if (s->top == NULL) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s has no group /layers", archive.path, weights_member);
        goto out;
    }
    status =
        fim_keras_build(s->tensors, root, json_object_get(root, "compile_config"), load, s, options, out);
out:
    json_decref(root);
    free(text);
    fim_archive_close(&archive);
    return status;
}

// ---- Weights alone ----

// The numbered variables of a layer get the names that their count and shape tell.
static fim_status add_variables(source *s, const char *group, const char *layer) {
    static const char *const dense[] = {"kernel", "bias"}, *const norm[] = {"gamma", "beta", "moving_mean",
                                                                            "moving_variance"};
    char **names = NULL, item[PATH], name[PATH];
    size_t n = 0, first = s->tensors->n;
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_find(&s->file, group, &kind));
    if (kind != FIM_H5_GROUP)
        goto out;
    FIM_TRY(fim_h5_list(&s->file, group, &names, &n));
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s.%s", layer, n == 4 ? norm[i] : i < 2 ? dense[i] : names[i]);
        FIM_TRY(join(s, item, group, names[i]));
        FIM_TRY(add_set(s, item, name));
        const fim_tensor *t = &s->tensors->items[first + i];
        if ((n == 4 && t->rank != 1) || n == 3 || n > 4 || (n <= 2 && t->rank != 2 - i)) {
            status = FIM_FAIL(FIM_ERR_FORMAT,
                              "%s: %s holds the %zu variables of no dense layer and no batch "
                              "normalisation",
                              s->file.path, group, n);
            goto out;
        }
    }
out:
    fim_h5_names_free(names, n);
    return status;
}

static fim_status add_all(source *s, const char *group, size_t depth) {
    char **names = NULL, item[PATH];
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_list(&s->file, group[0] != '\0' ? group : "/", &names, &n));
    for (size_t i = 0; i < n; i++) {
        fim_h5_kind kind = FIM_H5_NOTHING;
        FIM_TRY(join(s, item, group, names[i]));
        if (s->top != NULL) {
            char variables[PATH];
            FIM_TRY(join(s, variables, item, "vars"));
            FIM_TRY(add_variables(s, variables, names[i]));
            continue;
        }
        FIM_TRY(fim_h5_find(&s->file, item, &kind));
        if (kind == FIM_H5_GROUP && depth < DEPTH_LIMIT)
            FIM_TRY(add_all(s, item, depth + 1));
        else if (kind == FIM_H5_SET)
            FIM_TRY(add_set(s, item, item + 1));
    }
out:
    fim_h5_names_free(names, n);
    return status;
}

fim_status fim_format_keras_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                 fim_checkpoint *out) {
    fim_tensors tensors = {.path = path, .left = budget};
    source s = {.file = {.id = -1}, .tensors = &tensors};
    bool zip = false, model = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_sniff(path, &zip));
    if (zip) {
        status = read_archive(&s, options, out);
        goto out;
    }
    FIM_TRY(fim_h5_open(path, budget, &s.file));
    FIM_TRY(fim_h5_has(&s.file, "/", "model_config", &model));
    if (model) {
        status = read_legacy(&s, options, out);
        goto out;
    }
    FIM_TRY(find_top(&s.file, &s.top));
    FIM_TRY(add_all(&s, s.top != NULL ? s.top : "", 0));
    status = fim_assemble(&tensors, options, out);
out:
    fim_tensors_clear(&tensors);
    fim_h5_close(&s.file);
    free(s.image);
    return status;
}
