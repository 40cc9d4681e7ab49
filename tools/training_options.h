// tools/training_options.h - the command line of fim-train.
#ifndef FIM_TOOLS_TRAINING_OPTIONS_H
#define FIM_TOOLS_TRAINING_OPTIONS_H

#include "training.h"

enum { MOST_ITERATIONS = 1000 }; // of --checkpoint-at

typedef struct training_settings {
    training_data_options data;
    training_net_options net;
    const char *compare, *grid;
    size_t seeds;
    bool json, reduction_given;
    size_t iterations[MOST_ITERATIONS]; // train.checkpoint_at points here
    fim_train_options train;            // batch 0: the preset's
} training_settings;

// Options, help and parser; its input is a training_settings.
extern const struct argp training_argp;

#endif
