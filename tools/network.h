// tools/network.h - the options that say what a checkpoint leaves open, shared by all tools that read one.
#ifndef FIM_NETWORK_H
#define FIM_NETWORK_H

#include "cli.h"
#include "fim/io.h"

// An argp child; its input is a fim_checkpoint_options.
extern const struct argp network_argp;
#define NETWORK_HEADING "What a checkpoint does not tell (state dicts hold numbers alone):"

// Reads a checkpoint, and tells its notes through the monitor.
fim_status network_read(const fim_cli *cli, const fim_checkpoint_options *options, const char *path,
                        fim_net *net);

#endif
