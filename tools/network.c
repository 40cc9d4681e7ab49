// The shared options about checkpoints that do not tell all about their network.
#include "network.h"

enum { OPTION_ACTIVATION = 0x400, OPTION_LIKELIHOOD, OPTION_ARCH };

static const struct argp_option options[] = {
    {"activation", OPTION_ACTIVATION, "A", 0,
     "Of all layers but the last: identity, relu, tanh, sigmoid, softplus, gelu, leaky_relu, elu, sin", 1},
    {"likelihood", OPTION_LIKELIHOOD, "L", 0, "categorical, bernoulli or gaussian", 1},
    {"arch", OPTION_ARCH, "FILE", 0, "JSON that tells layers, activations and likelihood (see README.md)", 1},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    fim_checkpoint_options *o = state->input;
    fim_activation activation;
    fim_likelihood likelihood;
    switch (key) {
    case OPTION_ACTIVATION:
        o->activation = argument;
        return cli_check(fim_context(fim_activation_parse(argument, &activation), "--activation"));
    case OPTION_LIKELIHOOD:
        o->likelihood = argument;
        return cli_check(fim_context(fim_likelihood_parse(argument, &likelihood), "--likelihood"));
    case OPTION_ARCH:
        o->arch = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp network_argp = {.options = options, .parser = parse};

fim_status network_read(const fim_cli *cli, const fim_checkpoint_options *checkpoint_options,
                        const char *path, fim_net *net) {
    fim_checkpoint checkpoint;
    fim_status status = fim_checkpoint_load(path, cli->memory, checkpoint_options, &checkpoint);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < checkpoint.n_notes; i++)
        fim_monitor_note(&cli->monitor, "%s: %s", path, checkpoint.notes[i]);
    *net = fim_checkpoint_take(&checkpoint);
    return FIM_OK;
}
