// Checkpoints: which format a file is in, and the check that every network passes, whoever wrote it.
#include "fim/io.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

typedef struct format {
    const char *name, *about;
    fim_format_sniff_fn *sniff;
    fim_format_read_fn *read;
} format;

static const format formats[] = {
#define FIM_FORMAT(name, about) {#name, about, fim_format_##name##_sniff, fim_format_##name##_read},
#include "formats.def"
#undef FIM_FORMAT
};

#define FIM_FORMAT(name, about) "; " about
static const char known[] =
#include "formats.def"
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

// Everything that looks into the file.
static fim_status read_here(const char *path, size_t budget, const fim_checkpoint_options *options,
                            fim_checkpoint *out) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bool found = false;
        fim_status status = formats[i].sniff(path, &found);
        if (status != FIM_OK)
            return status;
        if (!found)
            continue;
        fim_checkpoint checkpoint;
        if ((status = formats[i].read(path, budget, options, &checkpoint)) != FIM_OK)
            return status;
        snprintf(checkpoint.format, sizeof checkpoint.format, "%s", formats[i].name);
        *out = checkpoint;
        return FIM_OK;
    }
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: is not a checkpoint; known formats: %s", path, known + 2);
}

fim_status fim_checkpoint_load(const char *path, size_t budget, const fim_checkpoint_options *options,
                               fim_checkpoint *out) {
    static const fim_checkpoint_options nothing = {0};
    fim_checkpoint checkpoint;
    fim_status status = read_here(path, budget, options != NULL ? options : &nothing, &checkpoint);
    if (status != FIM_OK)
        return status;
    if ((status = fim_net_check(&checkpoint.net)) != FIM_OK) {
        fim_checkpoint_clear(&checkpoint);
        return fim_context(status, "%s", path);
    }
    *out = checkpoint;
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
