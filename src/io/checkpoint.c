// Checkpoints: which format a file is in, and the check that every network passes, whoever wrote it.
#include "fim/io.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "sandbox.h"

enum { LAYERS_LIMIT = 1 << 16, NOTES_LIMIT = 1 << 16, TEXT_LIMIT = 1 << 16 }; // of what a child may answer

typedef struct format {
    const char *name, *about;
    fim_format_sniff_fn *sniff;
    fim_format_read_fn *read;
} format;

static const format formats[] = {
#define FIM_FORMAT(name, about) {#name, about, fim_format_##name##_sniff, fim_format_##name##_read},
#include "fim/formats.def"
#undef FIM_FORMAT
};

#define FIM_FORMAT(name, about) "; " about
static const char known[] =
#include "fim/formats.def"
    ;
#undef FIM_FORMAT

// ---- The checkpoint as a thing ----

fim_status fim_checkpoint_init(fim_checkpoint *checkpoint, fim_likelihood likelihood, size_t n_layers) {
    fim_checkpoint made = {0};
    fim_status status = fim_net_init_empty(&made.net, likelihood, n_layers);
    if (status == FIM_OK)
        status = fim_alloc(n_layers, sizeof *made.sources, "layers", &made.sources);
    if (status == FIM_OK)
        *checkpoint = made;
    else
        fim_checkpoint_clear(&made);
    return status;
}

void fim_checkpoint_clear(fim_checkpoint *checkpoint) {
    for (size_t l = 0; checkpoint->sources != NULL && l < checkpoint->net.n_layers; l++)
        free(checkpoint->sources[l]);
    for (size_t i = 0; i < checkpoint->n_notes; i++)
        free(checkpoint->notes[i]);
    free(checkpoint->sources);
    free(checkpoint->notes);
    fim_net_clear(&checkpoint->net);
    *checkpoint = (fim_checkpoint){0};
}

fim_net fim_checkpoint_take(fim_checkpoint *checkpoint) {
    fim_net net = checkpoint->net;
    checkpoint->net = (fim_net){0};
    for (size_t l = 0; l < net.n_layers; l++)
        free(checkpoint->sources[l]);
    free(checkpoint->sources);
    checkpoint->sources = NULL;
    fim_checkpoint_clear(checkpoint);
    return net;
}

fim_status fim_checkpoint_note(fim_checkpoint *checkpoint, const char *pattern, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    char **notes = realloc(checkpoint->notes, (checkpoint->n_notes + 1) * sizeof *notes);
    if (notes != NULL)
        checkpoint->notes = notes;
    char *copy = notes != NULL ? strdup(text) : NULL;
    if (copy == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a note");
    notes[checkpoint->n_notes++] = copy;
    return FIM_OK;
}

fim_status fim_checkpoint_needs_no(const char *path, const fim_checkpoint_options *options) {
    if (options->activation == NULL && options->arch == NULL)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_ARGUMENT,
                    "%s: tells its layers and activations itself; %s is for files that do not", path,
                    options->activation != NULL ? "--activation" : "--arch");
}

// ---- Reading ----

fim_status fim_checkpoint_sniff(const char *path, bool *out) {
    bool found = false;
    for (size_t i = 0; !found && i + 1 < sizeof formats / sizeof *formats; i++) { // the last one is native
        fim_status status = formats[i].sniff(path, &found);
        if (status != FIM_OK)
            return status;
    }
    *out = found;
    return FIM_OK;
}

typedef struct reading {
    const char *path;
    size_t budget;
    const fim_checkpoint_options *options;
    fim_checkpoint checkpoint;
} reading;

// Everything that looks into the file.
static fim_status read_here(void *context) {
    reading *r = context;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bool found = false;
        fim_status status = formats[i].sniff(r->path, &found);
        if (status != FIM_OK)
            return status;
        if (!found)
            continue;
        fim_checkpoint checkpoint;
        if ((status = formats[i].read(r->path, r->budget, r->options, &checkpoint)) != FIM_OK)
            return status;
        snprintf(checkpoint.format, sizeof checkpoint.format, "%s", formats[i].name);
        r->checkpoint = checkpoint;
        return FIM_OK;
    }
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: is not a checkpoint; known formats: %s", r->path, known + 2);
}

static fim_status exchange_layer(fim_parcel *p, fim_layer *layer, char **source) {
    size_t activation = layer->activation;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_size(p, &activation, 0, FIM_ACTIVATION_COUNT - 1));
    FIM_TRY(fim_parcel_flag(p, &layer->bias));
    FIM_TRY(fim_parcel_matrix(p, &layer->w, true));
    FIM_TRY(fim_parcel_text(p, source, TEXT_LIMIT));
    layer->activation = (fim_activation)activation;
    if (*source == NULL)
        status = FIM_FAIL(FIM_ERR_FORMAT, "a layer has no source");
out:
    return status;
}

static fim_status exchange(fim_parcel *p, void *context) {
    reading *r = context;
    const bool receiving = fim_parcel_receiving(p);
    fim_checkpoint c = receiving ? (fim_checkpoint){0} : r->checkpoint;
    size_t n = c.net.n_layers, n_notes = c.n_notes, likelihood = c.net.likelihood;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_size(p, &likelihood, 0, FIM_LIKELIHOOD_COUNT - 1));
    FIM_TRY(fim_parcel_size(p, &n, 1, LAYERS_LIMIT));
    if (receiving)
        FIM_TRY(fim_checkpoint_init(&c, (fim_likelihood)likelihood, n));
    FIM_TRY(fim_parcel_field(p, c.format, sizeof c.format));
    for (size_t l = 0; l < n; l++)
        FIM_TRY(exchange_layer(p, &c.net.layers[l], &c.sources[l]));
    FIM_TRY(fim_parcel_size(p, &n_notes, 0, NOTES_LIMIT));
    for (size_t i = 0; i < n_notes; i++) {
        char *note = receiving ? NULL : c.notes[i];
        FIM_TRY(fim_parcel_text(p, &note, TEXT_LIMIT));
        if (receiving)
            status = fim_checkpoint_note(&c, "%s", note != NULL ? note : "");
        if (receiving)
            free(note);
        FIM_TRY(status);
    }
    r->checkpoint = c;
    return FIM_OK;
out:
    if (receiving)
        fim_checkpoint_clear(&c);
    return status;
}

fim_status fim_checkpoint_load(const char *path, size_t budget, const fim_checkpoint_options *options,
                               fim_checkpoint *out) {
    static const fim_checkpoint_options nothing = {0};
    reading r = {.path = path, .budget = budget, .options = options != NULL ? options : &nothing};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, budget, read_here, exchange}, &r);
    if (status != FIM_OK)
        return status;
    if ((status = fim_net_check(&r.checkpoint.net)) != FIM_OK) {
        fim_checkpoint_clear(&r.checkpoint);
        return fim_context(status, "%s", path);
    }
    *out = r.checkpoint;
    return FIM_OK;
}

fim_status fim_checkpoint_read(const char *path, size_t budget, fim_net *out) {
    fim_checkpoint checkpoint;
    fim_status status = fim_checkpoint_load(path, budget, NULL, &checkpoint);
    if (status != FIM_OK)
        return status;
    *out = fim_checkpoint_take(&checkpoint);
    return FIM_OK;
}
