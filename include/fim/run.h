// fim/run.h - the two works: the study (layers × approximations × metrics) and training.
#ifndef FIM_RUN_H
#define FIM_RUN_H

#include "fim/approx.h"
#include "fim/io.h"
#include "fim/metric.h"

// ---- The study ----
//
// Its result is a record (the report), nested as its file is:
//   root                     provenance texts
//     checkpoints            children "0", "1", ... in the order of analysis
//       <k>                  text "file"
//         layers             children by name, in the order of the network
//           <name>           values d_a, d_g, parameters, samples, fisher_norm, fisher_trace, floor_1,
//                            floor_2, ..., rank_1_percent; text "fisher"; curves "eigenvalues",
//                            "kronecker_singular_values"
//             <method>       one value per metric, build_seconds, bytes; for the iterative ones products,
//                            residual, converged (1 or 0); curve "eigenvalues"; tables: the factors, when
//                            asked for
// What was not computed is a value NAN whose note says why, a curve too (a value of the curve's name).

typedef struct fim_study_options {
    const fim_method *methods;
    size_t n_methods;
    const fim_metric *const *metrics; // those to evaluate, in order
    size_t n_metrics;
    fim_fisher_spec fisher;
    const char *layers; // "0,3", or NULL for all
    size_t samples;     // subset drawn from the data; 0 for 512 or all there are
    uint64_t seed;      // of the subset, the draws and the starting vectors
    size_t budget;      // bytes
    bool spectra;       // keep eigenvalue curves
    bool factors;       // keep the factors of every approximation
    double tolerance;   // of the iterative methods
} fim_study_options;

// Analyzes the network at the data; adds the checkpoint's record to `report`. `file` names it there.
fim_status fim_study_network(const fim_study_options *options, const char *file, const fim_net *net,
                             const fim_data *data, const fim_monitor *monitor, fim_record *report);
// The same from a dump of fim-dump.
fim_status fim_study_blocks(const fim_study_options *options, const char *path, const fim_monitor *monitor,
                            fim_record *report);
// The seeded random subset of `samples` rows (0: 512 or all when fewer) as a new data set; all rows in order
// when it is all.
fim_status fim_study_subset(const fim_data *data, size_t samples, uint64_t seed, fim_data *out);
// "0,3" or NULL (all) as strictly increasing indices below n_layers; *out is malloc'ed.
fim_status fim_study_layers(const char *text, size_t n_layers, size_t **out, size_t *count);

// ---- Training ----

typedef struct fim_train_options {
    const char *optimizer; // "sgd" or "adam"
    double learning_rate;  // 0 takes the optimizer's default: sgd 0.3 (per-output mean loss), adam 1e-3
    double momentum;       // sgd
    double beta1, beta2, epsilon; // adam
    bool mean_outputs;            // optimize the loss divided by the number of outputs, the paper's units
    size_t batch, epochs;
    size_t checkpoint_every; // epochs between checkpoints; 0: only the last
    uint64_t seed;           // of the shuffling
    const char *folder;      // run.h5 and checkpoint-<epoch>.h5 go here
    bool overwrite;
} fim_train_options;

typedef struct fim_train_epoch {
    size_t epoch, iterations; // epoch from 1; iterations of this epoch
    double loss;              // running mean over the epoch of the per-sample loss, summed over outputs
    double validation_loss;   // NAN without validation data
    double seconds;           // training alone
} fim_train_epoch;

// Trains net in place. Every epoch calls on_epoch (may be NULL). `provenance` goes into the run log and the
// checkpoints. The log: record "fim-run" with curves epoch, iterations, loss, loss_per_output,
// validation_loss, seconds. *log is initialised, and filled also when training is cancelled (FIM_CANCELLED)
// or diverges (FIM_ERR_NUMERIC); checkpoint paths are texts checkpoint_<k>.
fim_status fim_train(fim_net *net, const fim_data *train, const fim_data *validation,
                     const fim_train_options *options, const fim_record *provenance,
                     const fim_monitor *monitor,
                     void (*on_epoch)(void *context, const fim_train_epoch *epoch), void *context,
                     fim_record *log);

#endif
