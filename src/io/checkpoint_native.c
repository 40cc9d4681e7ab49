// The native checkpoint: root attributes format = "fim-checkpoint", version, likelihood; groups /layers/0,
// /layers/1, ... with attributes kind and activation and data sets weight (d_out, d_in) and bias (d_out),
// which may be absent. Twenty lines of h5py write one, so it is read with the suspicion it deserves.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "format.h"
#include "h5.h"
#include "record_file.h"

enum { LAYERS_LIMIT = 10000, ITEM = 64 };

static const char format_name[] = "fim-checkpoint";

// Any HDF5 file is taken for ours unless it says that it is something else: the reader says what is missing.
fim_status fim_format_native_sniff(const char *path, bool *out) {
    return fim_h5_sniff(path, out);
}

// Reads the attribute `name` of `item` and lets `parse` understand it as one of the known names.
static fim_status read_name(const fim_h5 *file, const char *item, const char *name, void *out,
                            fim_status (*parse)(const char *text, void *out)) {
    char *text = NULL;
    fim_status status = fim_h5_text(file, item, name, &text);
    if (status != FIM_OK)
        return status;
    status = fim_context(parse(text, out), "%s: attribute '%s' of %s", file->path, name, item);
    free(text);
    return status;
}

static fim_status parse_likelihood(const char *text, void *out) {
    return fim_likelihood_parse(text, out);
}

static fim_status parse_activation(const char *text, void *out) {
    return fim_activation_parse(text, out);
}

static fim_status parse_kind(const char *text, void *out) {
    (void)out;
    if (strcmp(text, "linear") == 0)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown layer kind '%s'; known: linear", text);
}

static fim_status expect_floating(const fim_h5 *file, const fim_h5_set *set) {
    if (!set->integer)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s holds integers, expected floating point numbers", file->path,
                    set->item);
}

// `inputs` is FIM_H5_ANY for the first layer, else the outputs of the layer before.
static fim_status read_layer(fim_h5 *file, size_t index, size_t inputs, fim_layer *out) {
    char item[ITEM], weight_item[ITEM], bias_item[ITEM], why[ITEM] = "";
    snprintf(item, sizeof item, "/layers/%zu", index);
    snprintf(weight_item, sizeof weight_item, "/layers/%zu/weight", index);
    snprintf(bias_item, sizeof bias_item, "/layers/%zu/bias", index);
    if (inputs != FIM_H5_ANY)
        snprintf(why, sizeof why, "to follow layer %zu", index - 1);

    fim_layer layer = {0};
    fim_h5_set weight = {.id = -1}, bias = {.id = -1};
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_find(file, item, &kind));
    if (kind != FIM_H5_GROUP) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: has no group %s; layers are numbered from 0 without gaps",
                          file->path, item);
        goto out;
    }
    FIM_TRY(read_name(file, item, "kind", NULL, parse_kind));
    FIM_TRY(read_name(file, item, "activation", &layer.activation, parse_activation));
    FIM_TRY(fim_h5_set_open(file, weight_item, &weight));
    FIM_TRY(expect_floating(file, &weight));
    FIM_TRY(fim_h5_set_expect(file, &weight, 2, (size_t[]){FIM_H5_ANY, inputs}, why));
    size_t d_g = weight.dim[0], d_in = weight.dim[1];
    FIM_TRY(fim_h5_find(file, bias_item, &kind));
    layer.bias = kind != FIM_H5_NOTHING;
    if (layer.bias) {
        FIM_TRY(fim_h5_set_open(file, bias_item, &bias));
        FIM_TRY(expect_floating(file, &bias));
        FIM_TRY(fim_h5_set_expect(file, &bias, 1, &d_g, "like the rows of weight"));
        FIM_TRY(fim_h5_set_claim(file, &bias));
    }
    FIM_TRY(fim_h5_set_claim(file, &weight));
    FIM_TRY(fim_matrix_new(d_g, d_in + (layer.bias ? 1 : 0), item, &layer.w));
    gsl_matrix_view part = gsl_matrix_submatrix(layer.w, 0, 0, d_g, d_in);
    FIM_TRY(fim_h5_set_read(file, &weight, true, &part.matrix));
    if (layer.bias) {
        part = gsl_matrix_submatrix(layer.w, 0, d_in, d_g, 1);
        FIM_TRY(fim_h5_set_read(file, &bias, true, &part.matrix));
    }
    *out = layer;
    layer.w = NULL;
out:
    gsl_matrix_free(layer.w);
    fim_h5_set_close(&weight);
    fim_h5_set_close(&bias);
    return status;
}

// The file says all of it: options that say something else are contradictions.
static fim_status check_options(const char *path, const fim_checkpoint_options *options,
                                fim_likelihood likelihood) {
    fim_likelihood wanted = likelihood;
    fim_status status = fim_checkpoint_needs_no(path, options);
    if (status == FIM_OK && options->likelihood != NULL)
        status = fim_context(fim_likelihood_parse(options->likelihood, &wanted), "--likelihood");
    if (status == FIM_OK && wanted != likelihood)
        status = FIM_FAIL(FIM_ERR_ARGUMENT, "%s: has likelihood %s, not %s", path,
                          fim_likelihood_name(likelihood), fim_likelihood_name(wanted));
    return status;
}

fim_status fim_format_native_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                  fim_checkpoint *out) {
    fim_h5 file = {.id = -1};
    fim_checkpoint found = {0};
    fim_likelihood likelihood = FIM_CATEGORICAL;
    char **names = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open_format(path, format_name, budget, &file));
    FIM_TRY(read_name(&file, "/", "likelihood", &likelihood, parse_likelihood));
    FIM_TRY(check_options(path, options, likelihood));
    FIM_TRY(fim_h5_list(&file, "/layers", &names, &n));
    if (n == 0 || n > LAYERS_LIMIT) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: /layers holds %zu layers, expected 1 to %d", path, n, LAYERS_LIMIT);
        goto out;
    }
    FIM_TRY(fim_checkpoint_init(&found, likelihood, n));
    for (size_t l = 0; l < n; l++) {
        char item[ITEM];
        size_t inputs = l == 0 ? FIM_H5_ANY : fim_layer_d_g(&found.net.layers[l - 1]);
        FIM_TRY(read_layer(&file, l, inputs, &found.net.layers[l]));
        snprintf(item, sizeof item, "/layers/%zu", l);
        if ((found.sources[l] = strdup(item)) == NULL) {
            status = FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate a name", path);
            goto out;
        }
    }
    *out = found;
    found = (fim_checkpoint){0};
out:
    fim_checkpoint_clear(&found);
    fim_h5_names_free(names, n);
    fim_h5_close(&file);
    return status;
}

static fim_status put_layer(const fim_h5 *file, size_t index, const fim_layer *layer) {
    char item[ITEM], weight_item[ITEM], bias_item[ITEM];
    snprintf(item, sizeof item, "/layers/%zu", index);
    snprintf(weight_item, sizeof weight_item, "/layers/%zu/weight", index);
    snprintf(bias_item, sizeof bias_item, "/layers/%zu/bias", index);
    size_t d_g = fim_layer_d_g(layer), inputs = fim_layer_inputs(layer);
    gsl_matrix_const_view weight = gsl_matrix_const_submatrix(layer->w, 0, 0, d_g, inputs);
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_put_group(file, item, index));
    FIM_TRY(fim_h5_put_text(file, item, "kind", "linear"));
    FIM_TRY(fim_h5_put_text(file, item, "activation", fim_activation_name(layer->activation)));
    FIM_TRY(fim_h5_put_matrix(file, weight_item, 2, (size_t[]){d_g, inputs}, &weight.matrix));
    if (layer->bias) {
        gsl_matrix_const_view bias = gsl_matrix_const_submatrix(layer->w, 0, inputs, d_g, 1);
        FIM_TRY(fim_h5_put_matrix(file, bias_item, 1, &d_g, &bias.matrix));
    }
out:
    return status;
}

fim_status fim_checkpoint_write(const fim_net *net, const fim_record *extra, const char *path,
                                bool overwrite) {
    char *temporary = NULL;
    fim_h5 file = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(fim_context(fim_net_check(net), "%s: not written", path));
    FIM_TRY(fim_file_begin(path, overwrite, &temporary));
    FIM_TRY(fim_h5_create(temporary, path, format_name, &file));
    FIM_TRY(fim_h5_put_text(&file, "/", "likelihood", fim_likelihood_name(net->likelihood)));
    if (extra != NULL)
        FIM_TRY(fim_record_put_attributes(extra, &file, "/"));
    for (size_t l = 0; l < net->n_layers; l++)
        FIM_TRY(put_layer(&file, l, &net->layers[l]));
    FIM_TRY(fim_h5_close(&file));
    status = fim_file_commit(temporary, path, overwrite);
    temporary = NULL;
out:
    fim_h5_close(&file);
    fim_file_abandon(temporary);
    return status;
}
