// tools/training.h - what fim-train trains on: its data, read, thinned and cut, and its network, made or
// read.
#ifndef FIM_TOOLS_TRAINING_H
#define FIM_TOOLS_TRAINING_H

#include "cli.h"
#include "fim/run.h"

typedef struct training_data_options {
    const char *data, *labels, *validation, *validation_labels;
    double split;   // the last share of the data, kept for validation when there is no other
    size_t samples; // 0: all
} training_data_options;

// The data read, and the two parts of it that are used; the parts are views.
typedef struct training_data {
    fim_data all, other; // what is owned
    gsl_matrix x[2], y[2];
    fim_data train, validation; // validation.x NULL: none
} training_data;

fim_status training_data_read(const fim_cli *cli, const training_data_options *options, training_data *out);
void training_data_clear(training_data *data);

typedef struct training_net_options {
    const char *net, *activation, *likelihood;
    const char *init; // "xavier", "torch" or a checkpoint
} training_net_options;

// The network with weights of `seed`, and the specification it follows.
fim_status training_net_make(const fim_cli *cli, const training_net_options *options, const fim_data *data,
                             uint64_t seed, fim_net *net, fim_net_spec *spec);

#endif
