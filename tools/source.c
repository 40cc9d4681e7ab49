// The shared options of fim-dump and fim-analyze.
#include "source.h"

#include <string.h>

enum { OPTION_LABELS = 0x300, OPTION_SAMPLES, OPTION_LAYERS, OPTION_FISHER };

static const struct argp_option options[] = {
    {"data", 'd', "SPEC", 0, "HDF5, IDX, .npy, .npz, .mat, or generated: curves:N[:SEED], faces:N:SEED:FILE",
     1},
    {"labels", OPTION_LABELS, "FILE", 0, "Labels in a file of their own (IDX or .npy)", 1},
    {"samples", OPTION_SAMPLES, "N", 0,
     "A seeded random subset of the data (default: 512, or all when fewer)", 1},
    {"layers", OPTION_LAYERS, "LIST", 0, "Layers by number from 0, as in 0,3 (default: all)", 1},
    {"fisher", OPTION_FISHER, "KIND", 0,
     "exact (expectation over the model's outputs in closed form), mc[:K] (K labels drawn per sample; the "
     "paper's is mc:1), "
     "or empirical (the data's labels) (default: exact)",
     1},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    fim_source *source = state->input;
    switch (key) {
    case 'd':
        source->data = argument;
        return 0;
    case OPTION_LABELS:
        source->labels = argument;
        return 0;
    case OPTION_SAMPLES:
        return cli_check(fim_parse_size(argument, "--samples", 1, SIZE_MAX, &source->samples));
    case OPTION_LAYERS:
        source->layers = argument;
        return 0;
    case OPTION_FISHER:
        return cli_check(fim_fisher_spec_parse(argument, &source->fisher));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp source_argp = {.options = options, .parser = parse};

fim_status source_read(const fim_cli *cli, const fim_source *source, fim_data *data) {
    if (source->data == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--data SPEC is missing: a checkpoint is analyzed at data");
    return fim_data_read(source->data, source->labels, cli->memory, data);
}

fim_status source_provenance(const fim_cli *cli, const fim_source *source, char *const *files, size_t n_files,
                             int argc, char **argv, fim_record *record) {
    char kind[32];
    fim_status status = FIM_OK;
    FIM_TRY(fim_provenance_add(record, cli->tool, argc, argv));
    FIM_TRY(fim_record_set(record, "seed", (double)cli->seed, ""));
    FIM_TRY(fim_record_set_text(record, "fisher", fim_fisher_spec_format(&source->fisher, kind)));
    for (size_t i = 0; i < n_files; i++)
        FIM_TRY(fim_provenance_add_input(record, files[i]));
    if (source->data != NULL)
        FIM_TRY(fim_provenance_add_input(record, source->data));
    if (source->labels != NULL)
        FIM_TRY(fim_provenance_add_input(record, source->labels));
out:
    return status;
}
