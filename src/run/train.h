// What the files of training share.
#ifndef FIM_RUN_TRAIN_H
#define FIM_RUN_TRAIN_H

#include "fim/run.h"

// ---- Optimizers (optimizer.c) ----

typedef struct optimizer_kind optimizer_kind;

typedef struct optimizer {
    const optimizer_kind *kind;
    double rate, momentum, beta1, beta2, epsilon;
    size_t iteration; // steps taken
    size_t n_layers;
    gsl_matrix **state[2]; // per layer like its w; NULL where the kind keeps none
} optimizer;

fim_status optimizer_init(optimizer *o, const fim_train_options *options, const fim_net *net);
void optimizer_clear(optimizer *o);
const char *optimizer_name(const optimizer *o);
// Bytes of state the optimizer called `name` keeps for `parameters`. FIM_ERR_UNKNOWN lists the known ones.
fim_status optimizer_bytes(const char *name, size_t parameters, size_t *out);
// One step on net with `scale` times the gradients grads[l] (like w).
void optimizer_step(optimizer *o, fim_net *net, gsl_matrix *const *grads, double scale);

// ---- The journal: epochs done, checkpoints written (journal.c) ----

typedef struct journal {
    const fim_net *net; // in training
    const fim_train_options *options;
    const fim_record *provenance; // may be NULL
    const fim_record *settings;   // of the run: goes into the log and the checkpoints
    size_t n_epochs, n_checkpoints;
    fim_train_epoch *epochs; // room for options->epochs
    char **checkpoints;      // paths
} journal;

fim_status journal_init(journal *j, const fim_net *net, const fim_train_options *options,
                        const fim_record *provenance, const fim_record *settings);
void journal_clear(journal *j);
// Writes checkpoint-<label>.h5 with what is known of the run beside the weights, then the log; nothing
// without a folder.
fim_status journal_checkpoint(journal *j, const char *label);
// Fills `log` (initialised) from the journal, and writes it to run.h5 when there is a folder.
fim_status journal_log(const journal *j, fim_record *log);
// The path of the last checkpoint, or NULL.
const char *journal_last_checkpoint(const journal *j);

#endif
