// fim-info: what a file is and holds, and what the toolkit was built with.
#include <gsl/gsl_version.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fim/io.h"
#include "fim/linalg.h"
#include "network.h"

enum { OPTION_BUILD = 0x200 };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Instead of a FILE:", 2},
    {"build", OPTION_BUILD, NULL, 0, "Tell the version, the libraries and the kernels in use", 2},
    {0}};

static const char doc[] =
    "Tell what a FILE is and holds: a checkpoint, blocks of fim-dump, a report of fim-analyze, a run log of "
    "fim-train, or a data set (HDF5, IDX, .npy, .npz, .mat, or generated: curves:N, faces:N:SEED:FILE)."
    "\vOf a checkpoint it shows the layers as they were understood. What FILE is, is told by its content."
    "\n\nCheckpoints that are read:"
#define FIM_FORMAT(name, about) "\n  " about
#include "fim/formats.def"
#undef FIM_FORMAT
    "\n\nExample:\n"
    "  fim-info run/checkpoint-20.h5\n"
    "  fim-info --build";

typedef struct settings {
    bool build;
    fim_checkpoint_options network;
    char **inputs; // of argv
    size_t n_inputs;
} settings;

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->network;
        return 0;
    case OPTION_BUILD:
        s->build = true;
        return 0;
    case ARGP_KEY_ARGS: // the rest of argv, permuted to its end
        s->inputs = state->argv + state->next;
        s->n_inputs = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        return s->build || s->n_inputs > 0 ? 0 : cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "no FILE to look at"));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// ---- Pieces ----

static void show_attributes(FILE *out, const fim_record *record) {
    for (size_t i = 0; i < record->n_texts; i++)
        fprintf(out, "  %s: %s\n", record->texts[i].name, record->texts[i].text);
    for (size_t i = 0; i < record->n_values; i++) {
        const fim_value *v = &record->values[i];
        if (isnan(v->value))
            fprintf(out, "  %s: none (%s)\n", v->name, v->note);
        else
            fprintf(out, "  %s: %.10g\n", v->name, v->value);
    }
}

static fim_status show_root(FILE *out, const char *path) {
    fim_record attributes;
    fim_status status = fim_file_attributes(path, &attributes);
    if (status != FIM_OK)
        return status;
    show_attributes(out, &attributes);
    fim_record_clear(&attributes);
    return FIM_OK;
}

// ---- Checkpoints ----

static void show_layers(FILE *out, const fim_checkpoint *checkpoint) {
    const fim_net *net = &checkpoint->net;
    fprintf(out, "  %5s  %-11s  %6s  %7s  %4s  %10s  %-22s  %s\n", "layer", "activation", "inputs", "outputs",
            "bias", "parameters", "range", "from");
    for (size_t l = 0; l < net->n_layers; l++) {
        const fim_layer *layer = &net->layers[l];
        char range[64];
        snprintf(range, sizeof range, "[%.4g, %.4g]", gsl_matrix_min(layer->w), gsl_matrix_max(layer->w));
        fprintf(out, "  %5zu  %-11s  %6zu  %7zu  %4s  %10zu  %-22s  %s\n", l,
                fim_activation_name(layer->activation), fim_layer_inputs(layer), fim_layer_d_g(layer),
                layer->bias ? "yes" : "no", fim_layer_d_a(layer) * fim_layer_d_g(layer), range,
                checkpoint->sources[l]);
    }
}

static fim_status show_checkpoint(FILE *out, const char *path, const fim_checkpoint_options *network,
                                  size_t budget) {
    fim_checkpoint checkpoint;
    fim_status status = fim_checkpoint_load(path, budget, network, &checkpoint);
    if (status != FIM_OK)
        return status;
    fprintf(out, "%s: checkpoint (%s) of %zu layers, %zu parameters, likelihood %s\n", path,
            checkpoint.format, checkpoint.net.n_layers, fim_net_parameters(&checkpoint.net),
            fim_likelihood_name(checkpoint.net.likelihood));
    show_layers(out, &checkpoint);
    for (size_t i = 0; i < checkpoint.n_notes; i++)
        fprintf(out, "  note: %s\n", checkpoint.notes[i]);
    bool native = strcmp(checkpoint.format, "native") == 0;
    fim_checkpoint_clear(&checkpoint);
    return native ? show_root(out, path) : FIM_OK;
}

// ---- Blocks ----

static fim_status show_blocks(FILE *out, const char *path) {
    fim_blocks_about *layers = NULL;
    size_t count = 0;
    fim_status status = fim_blocks_list(path, &layers, &count);
    if (status != FIM_OK)
        return status;
    fprintf(out, "%s: Fisher blocks of %zu layers\n", path, count);
    fprintf(out, "  %-8s  %6s  %6s  %8s  %8s  %-10s  %8s  %s\n", "layer", "d_a", "d_g", "size", "samples",
            "fisher", "block", "holds");
    for (size_t i = 0; i < count; i++) {
        const fim_blocks_about about = layers[i];
        char bytes[16];
        size_t size = fim_size_mul(about.d_a, about.d_g);
        fim_format_bytes(fim_size_mul(fim_size_mul(size, size), sizeof(double)), bytes);
        fprintf(out, "  %-8s  %6zu  %6zu  %8zu  %8zu  %-10s  %8s ", about.name, about.d_a, about.d_g, size,
                about.n, about.fisher, bytes);
        fprintf(out, " %s%s%s\n",
                about.dense    ? "block"
                : about.packed ? "packed block"
                               : "no block",
                about.factors ? ", KFAC factors" : "",
                !about.samples   ? ""
                : about.g_packed ? ", samples (a, packed G)"
                                 : ", samples (a, g)");
    }
    free(layers);
    return show_root(out, path);
}

// ---- Reports and run logs ----

static void show_report_layer(FILE *out, const fim_record *layer) {
    const fim_value *d_a = fim_record_value(layer, "d_a"), *d_g = fim_record_value(layer, "d_g");
    fprintf(out, "    layer %s", layer->name);
    if (d_a != NULL && d_g != NULL)
        fprintf(out, " (%.0f x %.0f)", d_a->value, d_g->value);
    fprintf(out, ":");
    for (size_t i = 0; i < layer->n_children; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", layer->children[i].name);
    fprintf(out, "\n");
}

// Reports hold checkpoints/<k>/layers/<name>/<method>.
static fim_status show_report(FILE *out, const char *path, size_t budget) {
    fim_record report;
    fim_status status = fim_record_read(path, "fim-report", budget, &report);
    if (status != FIM_OK)
        return status;
    const fim_record *checkpoints = fim_record_child(&report, "checkpoints");
    size_t count = checkpoints != NULL ? checkpoints->n_children : 0;
    fprintf(out, "%s: report on %zu checkpoint%s\n", path, count, count == 1 ? "" : "s");
    for (size_t k = 0; k < count; k++) {
        const fim_record *checkpoint = &checkpoints->children[k],
                         *layers = fim_record_child(checkpoint, "layers");
        const char *file = fim_record_text(checkpoint, "file");
        fprintf(out, "  %s\n", file != NULL ? file : checkpoint->name);
        for (size_t l = 0; layers != NULL && l < layers->n_children; l++)
            show_report_layer(out, &layers->children[l]);
    }
    show_attributes(out, &report);
    fim_record_clear(&report);
    return FIM_OK;
}

static fim_status show_run(FILE *out, const char *path, size_t budget) {
    static const char *const last[] = {"loss", "loss_per_output", "validation_loss", "seconds"};
    fim_record log;
    fim_status status = fim_record_read(path, "fim-run", budget, &log);
    if (status != FIM_OK)
        return status;
    const fim_curve *epoch = fim_record_curve(&log, "epoch");
    fprintf(out, "%s: run of %zu epochs\n", path, epoch != NULL ? epoch->values->size : 0);
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        const fim_curve *curve = fim_record_curve(&log, last[i]);
        size_t n = curve != NULL ? curve->values->size : 0;
        if (n > 0 && !isnan(gsl_vector_get(curve->values, n - 1)))
            fprintf(out, "  last %s: %.6g\n", last[i], gsl_vector_get(curve->values, n - 1));
    }
    show_attributes(out, &log);
    fim_record_clear(&log);
    return FIM_OK;
}

static fim_status show_state(FILE *out, const char *path, size_t budget) {
    fim_record state;
    fim_status status = fim_record_read(path, "fim-state", budget, &state);
    if (status != FIM_OK)
        return status;
    const fim_value *epoch = fim_record_value(&state, "epoch"),
                    *steps = fim_record_value(&state, "iteration");
    const fim_record *asked = fim_record_child(&state, "settings");
    fprintf(out, "%s: state of a training run in epoch %.0f, after %.0f iterations\n", path,
            epoch != NULL ? epoch->value : 0, steps != NULL ? steps->value : 0);
    if (asked != NULL)
        show_attributes(out, asked);
    fim_record_clear(&state);
    return FIM_OK;
}

// ---- Data ----

static int by_value(const void *a, const void *b) {
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

// "0 (6000), 1 (6000), ..."; the labels are sorted on the way.
static void show_labels(FILE *out, uint32_t *labels, size_t n) {
    enum { SHOWN = 20 };
    size_t classes = 0;
    qsort(labels, n, sizeof *labels, by_value);
    fprintf(out, "  labels:");
    for (size_t i = 0, next; i < n; i = next, classes++) {
        for (next = i; next < n && labels[next] == labels[i]; next++)
            continue;
        if (classes < SHOWN)
            fprintf(out, "%s %" PRIu32 " (%zu)", classes > 0 ? "," : "", labels[i], next - i);
    }
    fprintf(out, "%s; %zu class%s\n", classes > SHOWN ? ", ..." : "", classes, classes == 1 ? "" : "es");
}

static fim_status show_data(FILE *out, const char *path, size_t budget) {
    fim_data data;
    fim_status status = fim_data_read(path, NULL, budget, &data);
    if (status != FIM_OK)
        return status;
    double mean = 0;
    for (size_t i = 0; i < data.x->size1; i++)
        for (size_t j = 0; j < data.x->size2; j++)
            mean += gsl_matrix_get(data.x, i, j) / (double)data.x->size1 / (double)data.x->size2;
    fprintf(out, "%s: data set of %zu samples of %zu inputs\n", path, data.x->size1, data.x->size2);
    fprintf(out, "  inputs: from %.6g to %.6g, mean %.6g\n", gsl_matrix_min(data.x), gsl_matrix_max(data.x),
            mean);
    if (data.labels != NULL)
        show_labels(out, data.labels, data.x->size1);
    else if (data.y != NULL)
        fprintf(out, "  targets: %zu, from %.6g to %.6g\n", data.y->size2, gsl_matrix_min(data.y),
                gsl_matrix_max(data.y));
    else
        fprintf(out, "  no labels and no targets: for auto-encoders\n");
    fim_data_clear(&data);
    return FIM_OK;
}

// ---- The build ----

static bool has_avx512(void) {
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return false;
#endif
}

static void show_build(FILE *out) {
#ifdef __clang__
    static const char compiler[] = __VERSION__;
#else
    static const char compiler[] = "GCC " __VERSION__;
#endif
    char text[512];
    const char *blas = fim_linalg_describe(text, sizeof text);
    fprintf(out, "fim-toolkit " FIM_VERSION ", compiled by %s\n", compiler);
    fprintf(out, "  blas: %s\n", blas);
    if (has_avx512() && strstr(blas, "SkylakeX") == NULL && strstr(blas, "Cooperlake") == NULL &&
        strstr(blas, "Sapphire") == NULL)
        fprintf(
            out,
            "  hint: this processor has AVX-512, but the kernels do not use it; try the environment variable "
            "OPENBLAS_CORETYPE=SkylakeX (or Cooperlake), often 1.6 to 2 times as fast\n");
    fprintf(out, "  threads: %zu\n", fim_linalg_threads());
    fprintf(out, "  libraries: GSL %s, Jansson %s, %s\n", gsl_version, jansson_version_str(),
            fim_io_describe(text, sizeof text));
}

// ---- The tool ----

static fim_status show_file(FILE *out, const char *path, const fim_checkpoint_options *network,
                            size_t budget) {
    fim_file_kind kind = FIM_FILE_DATA;
    fim_status status = fim_data_source(path) == path ? fim_file_sniff(path, &kind) : FIM_OK;
    if (status != FIM_OK)
        return status;
    switch (kind) {
    case FIM_FILE_CHECKPOINT:
        return show_checkpoint(out, path, network, budget);
    case FIM_FILE_BLOCKS:
        return show_blocks(out, path);
    case FIM_FILE_REPORT:
        return show_report(out, path, budget);
    case FIM_FILE_RUN:
        return show_run(out, path, budget);
    case FIM_FILE_STATE:
        return show_state(out, path, budget);
    case FIM_FILE_DATA:
        return show_data(out, path, budget);
    }
    return FIM_OK;
}

static fim_status work(fim_cli *cli, const settings *s) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the output");
    fim_status status = FIM_OK;
    if (s->build)
        show_build(out);
    for (size_t i = 0; i < s->n_inputs && status == FIM_OK; i++)
        status = show_file(out, s->inputs[i], &s->network, cli->memory);
    bool written = fclose(out) == 0;
    if (status == FIM_OK && !written)
        status = FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the output");
    // What was found before the first bad file is shown, too.
    if (written && size > 0) {
        fim_status shown = cli_print(cli, text);
        status = status == FIM_OK ? shown : status;
    }
    free(text);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp_child children[] = {{&network_argp, 0, NETWORK_HEADING, 1}, {0}};
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "FILE...", .doc = doc, .children = children};
    fim_cli cli;
    settings s = {0};
    fim_status status = cli_start(&cli, "fim-info", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s);
    return cli_finish(&cli, status);
}
