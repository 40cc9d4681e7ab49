// fim-convert: a network from any format that is read to one that is written.
#include <stdio.h>
#include <string.h>

#include "network.h"

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Output:", 2},
    {"output", 'o', "FILE", 0, "The file to write", 2},
    {"to", 't' + 0x100, "FORMAT", 0,
     "native (HDF5), safetensors, npz or torch (a PyTorch state dict); all of "
     "them tell the network's activations and likelihood, too "
     "(default: native)",
     2},
    {0}};

static const char doc[] = "Write the network in FILE, a checkpoint of any program below, in another format."
                          "\vNumbers are written as float64. In safetensors, npz and torch layer L is "
                          "L.weight (outputs, inputs) and "
                          "L.bias, batch normalisation being folded."
                          "\n\nCheckpoints that are read:"
#define FIM_FORMAT(name, about) "\n  " about
#include "fim/formats.def"
#undef FIM_FORMAT
                          "\n\nExamples:\n"
                          "  fim-convert model.pt --activation relu --likelihood categorical -o model.h5\n"
                          "  fim-convert run/checkpoint-20.h5 --to torch -o model.pt";

static const char *const written[] = {"native", "safetensors", "npz", "torch"};

typedef struct settings {
    fim_checkpoint_options network;
    const char *input, *output, *format;
} settings;

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    size_t index;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->network;
        return 0;
    case 'o':
        s->output = argument;
        return 0;
    case 't' + 0x100:
        s->format = argument;
        return cli_check(fim_context(
            fim_name_find("format to write", written, sizeof written / sizeof *written, argument, &index),
            "--to"));
    case ARGP_KEY_ARG:
        if (s->input != NULL)
            return cli_check(
                FIM_FAIL(FIM_ERR_ARGUMENT, "one FILE at a time: '%s' is one too many", argument));
        s->input = argument;
        return 0;
    case ARGP_KEY_END:
        if (s->input == NULL || s->output == NULL)
            return cli_check(
                FIM_FAIL(FIM_ERR_ARGUMENT, "%s is missing", s->input == NULL ? "FILE" : "-o FILE"));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static fim_status work(fim_cli *cli, const settings *s, int argc, char **argv) {
    fim_net net = {0};
    fim_record extra;
    fim_record_init(&extra, "extra");
    fim_status status = FIM_OK;
    FIM_TRY(network_read(cli, &s->network, s->input, &net));
    FIM_TRY(fim_provenance_add(&extra, cli->tool, argc, argv));
    FIM_TRY(fim_provenance_add_input(&extra, s->input));
    status = strcmp(s->format, "native") == 0 ? fim_checkpoint_write(&net, &extra, s->output, cli->force)
                                              : fim_checkpoint_export(&net, s->format, s->output, cli->force);
out:
    fim_record_clear(&extra);
    fim_net_clear(&net);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp_child children[] = {{&network_argp, 0, NETWORK_HEADING, 1}, {0}};
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "FILE -o FILE", .doc = doc, .children = children};
    fim_cli cli;
    settings s = {.format = "native"};
    fim_status status = cli_start(&cli, "fim-convert", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s, argc, argv);
    return cli_finish(&cli, status);
}
