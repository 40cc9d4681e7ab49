// fim-dump: the exact Fisher blocks of a network's layers, to HDF5.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "network.h"
#include "source.h"

enum { OPTION_WITH = 0x200, OPTION_PACKED };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Output:", 2},
    {"output", 'o', "FILE", 0, "The HDF5 file to write", 2},
    {"with", OPTION_WITH, "LIST", 0,
     "Beside each block: factors (the A and G of KFAC), samples (a, and g or the packed G), or both, as in "
     "factors,samples",
     2},
    {"packed", OPTION_PACKED, NULL, 0, "Only the upper triangle, row by row: half the size", 2},
    {0}};

static const char doc[] =
    "Write the exact Fisher block of every chosen layer of CHECKPOINT to an HDF5 file."
    "\vThe block of layer L is /layers/L/fisher, (D, D) float64; parameter (input i, output j) has index "
    "i*d_g + j, the bias "
    "being the last input.\n\n"
    "Example:\n"
    "  fim-dump run/checkpoint-20.h5 --data curves:20000 --layers 4,5 -o blocks.h5";

typedef struct settings {
    fim_source source;
    fim_checkpoint_options network;
    char *checkpoint;
    const char *output;
    fim_blocks_options blocks;
} settings;

static fim_status parse_with(const char *text, fim_blocks_options *blocks) {
    char item[32];
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        if (strcmp(item, "factors") == 0)
            blocks->factors = true;
        else if (strcmp(item, "samples") == 0)
            blocks->samples = true;
        else
            return FIM_FAIL(FIM_ERR_ARGUMENT, "--with: '%s' is neither factors nor samples", item);
    }
    return FIM_OK;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->source;
        state->child_inputs[1] = &s->network;
        return 0;
    case 'o':
        s->output = argument;
        return 0;
    case OPTION_WITH:
        return cli_check(parse_with(argument, &s->blocks));
    case OPTION_PACKED:
        s->blocks.packed = true;
        return 0;
    case ARGP_KEY_ARG:
        if (s->checkpoint != NULL)
            return cli_check(
                FIM_FAIL(FIM_ERR_ARGUMENT, "one checkpoint at a time: '%s' is one too many", argument));
        s->checkpoint = argument;
        return 0;
    case ARGP_KEY_END:
        if (s->checkpoint == NULL || s->output == NULL)
            return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "%s is missing",
                                      s->checkpoint == NULL ? "CHECKPOINT" : "-o FILE"));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// The block with the rearranged one it is unpacked from: told before anything is computed.
static fim_status check_sizes(const fim_net *net, const size_t *layers, size_t count, size_t budget) {
    for (size_t i = 0; i < count; i++) {
        const size_t d_a = fim_layer_d_a(&net->layers[layers[i]]),
                     d_g = fim_layer_d_g(&net->layers[layers[i]]);
        const size_t d = fim_size_mul(d_a, d_g);
        char what[96];
        snprintf(what, sizeof what, "the block of layer %zu (%zu x %zu inputs and outputs)", layers[i], d_a,
                 d_g);
        fim_status status =
            fim_budget_check(budget, fim_size_mul(fim_size_mul(d, d), 10), what,
                             "choose other --layers, raise --memory, or measure it without storing it "
                             "with fim-analyze --metrics frobenius_error,trace_error");
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

static fim_status dump_layer(const settings *s, const char *name, fim_samples *samples,
                             fim_blocks_writer *writer) {
    const size_t d = samples->d_a * samples->d_g;
    fim_fisher *f = NULL;
    gsl_matrix *dense = NULL, *a = NULL, *g = NULL;
    char kind[32];
    fim_status status = FIM_OK;
    if (s->blocks.samples)
        FIM_TRY(fim_samples_expand(samples));
    FIM_TRY(fim_fisher_new(samples, &f));
    FIM_TRY(fim_matrix_new(d, d, "a Fisher block", &dense));
    FIM_TRY(fim_fisher_dense(f, dense));
    if (s->blocks.factors) {
        FIM_TRY(fim_matrix_new(samples->d_a, samples->d_a, "the factor A", &a));
        FIM_TRY(fim_matrix_new(samples->d_g, samples->d_g, "the factor G", &g));
        FIM_TRY(fim_fisher_moments(f, a, g));
    }
    FIM_TRY(fim_blocks_add(writer, name, samples->d_a, samples->d_g, samples->n,
                           fim_fisher_spec_format(&s->source.fisher, kind), dense, a, g, samples,
                           &s->blocks));
out:
    fim_fisher_free(f);
    gsl_matrix_free(dense);
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    return status;
}

static fim_status work(fim_cli *cli, settings *s, int argc, char **argv) {
    fim_net net = {0};
    fim_data data = {0}, subset = {0};
    size_t *layers = NULL, count = 0;
    fim_samples *samples = NULL;
    fim_record header;
    fim_blocks_writer *writer = NULL;
    fim_record_init(&header, "blocks");
    s->source.fisher.seed = cli->seed;
    fim_status status = FIM_OK;
    FIM_TRY(network_read(cli, &s->network, s->checkpoint, &net));
    FIM_TRY(fim_study_layers(s->source.layers, net.n_layers, &layers, &count));
    FIM_TRY(check_sizes(&net, layers, count, cli->memory));
    FIM_TRY(source_read(cli, &s->source, &data));
    FIM_TRY(fim_study_subset(&data, s->source.samples, cli->seed, &subset));
    FIM_TRY(fim_alloc(count, sizeof *samples, "samples", &samples));
    FIM_TRY(fim_fisher_capture(&net, &subset, &s->source.fisher, layers, count, cli->memory, &cli->monitor,
                               samples));
    FIM_TRY(source_provenance(cli, &s->source, &s->checkpoint, 1, argc, argv, &header));
    FIM_TRY(fim_blocks_create(s->output, &header, cli->force, &writer));
    for (size_t i = 0; i < count; i++) {
        char name[24], what[64];
        snprintf(name, sizeof name, "%zu", layers[i]);
        snprintf(what, sizeof what, "layer %s: the block", name);
        FIM_TRY(fim_monitor_progress(&cli->monitor, what, (double)i, (double)count));
        FIM_TRY(fim_context(dump_layer(s, name, &samples[i], writer), "layer %s", name));
        fim_samples_clear(&samples[i]);
    }
    status = fim_blocks_commit(writer);
    writer = NULL;
out:
    if (writer != NULL)
        fim_blocks_abandon(writer);
    for (size_t i = 0; samples != NULL && i < count; i++)
        fim_samples_clear(&samples[i]);
    free(samples);
    free(layers);
    fim_record_clear(&header);
    fim_data_clear(&subset);
    fim_data_clear(&data);
    fim_net_clear(&net);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp_child children[] = {
        {&source_argp, 0, SOURCE_HEADING, 0}, {&network_argp, 0, NETWORK_HEADING, 1}, {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "CHECKPOINT --data SPEC -o FILE",
                                     .doc = doc,
                                     .children = children};
    fim_cli cli;
    settings s = {.source.fisher.draws = 1};
    fim_status status = cli_start(&cli, "fim-dump", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s, argc, argv);
    return cli_finish(&cli, status);
}
