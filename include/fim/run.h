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
//       <k>                  text "file"; of a training run's checkpoint values "epoch", "iteration"
//         layers             children by name, in the order of the network
//           <name>           values d_a, d_g, parameters, samples, fisher_norm, fisher_trace, floor_1,
//                            floor_2, ..., rank_1_percent; text "fisher"; curves "eigenvalues",
//                            "kronecker_singular_values"; where only the leading eigenvalues are known, value
//                            tail_norm and curves density_nodes, density_weights (the quadrature that makes
//                            Σ w f(λ) of tr f(F) / D)
//             <method>       one value per metric, build_seconds, bytes; for the iterative ones products,
//                            residual, converged (1 or 0); curve "eigenvalues"; tables: the factors, when
//                            asked for
// Where KFAC's error is, when kfac is among the methods, as values of the layer. Relative to ‖F‖:
//   decomposition_error_kfac    ‖F − A ⊗ G‖
//   decomposition_error_scaled  that of the best multiple of A ⊗ G
//   decomposition_error_ekfac   that of the best diagonal in the eigenbasis of A ⊗ G
//   decomposition_error_tekfac  that of the best diagonal in the eigenbasis of TKFAC's factors
// and relative to ‖F‖², none of them negative:
//   decomposition_part_scale        kfac² − scaled²
//   decomposition_part_eigenvalues  scaled² − ekfac²
//   decomposition_part_eigenbasis   ekfac²;  scale + eigenvalues + eigenbasis = kfac²
//   decomposition_part_factors      scaled² − floor_1²
//   decomposition_part_rank         floor_1²;  scale + factors + rank = kfac²
// Errors below 4e-7 are lost in the rounding of ‖F‖²: upper bounds then, as their notes say.
//
// With options->sampling_error, as values of the layer:
//   sampling_error  ‖F − F_exact‖_F / ‖F_exact‖_F at the same inputs: what drawing labels, or taking those of
//                   the data, does to F; 0 for the exact Fisher
//   half_error      ‖F_1 − F_2‖_F / ‖F‖_F of two random halves of the samples: on average twice the error
//                   that so many samples leave in F
// With options->repeats, every number of layers and methods that depends on draws and samples is the mean
// over the repeats, with a value "<name>_se" behind it, the standard error of that mean, and a layer has the
// value "repeats". Numbers of an iteration are those of its worst repeat; build_seconds, curves and factors
// are of the first. What one repeat does not have is missing.
//
// With options->damping a layer has the curve "step_damping", in the unit of F, and its methods the curves of
// FIM_STEP_LIST (fim/metric.h), one number per damping, NAN where there is none.
//
// What was not computed is a value NAN whose note says why, a curve too (a value of the curve's name).

typedef struct fim_study_options {
    const fim_method *methods;
    size_t n_methods;
    const fim_metric *const
        *metrics; // those to evaluate; spectra are computed and kept when one of them is spectral
    size_t n_metrics;
    fim_fisher_spec fisher;
    const char *layers;  // "0,3", or NULL for all
    size_t samples;      // subset drawn from the data; 0 for 512 or all there are
    uint64_t seed;       // of the subset and the starting vectors
    size_t budget;       // bytes
    bool factors;        // keep the factors of every approximation
    double tolerance;    // of the iterative methods; 0 for their default
    size_t krylov_steps; // after which they end, converged or not; 0: when converged
    bool sampling_error; // the layers' sampling_error and half_error too
    // Of the steps' metrics, increasing; in the unit of F, or of its mean eigenvalue tr F / D. NULL: none.
    const double *damping;
    size_t n_damping;
    bool damping_relative;
    size_t repeats; // of a network's study, with seeds (also the Fisher's) seed, seed + 1, ...; 0 for 1
    // Of which spectra all eigenvalues are computed. With FIM_SPECTRA_AUTO, `flops` is allowed for the dense
    // eigensolvers of all layers and methods together: those of a size are all done or none is, small ones
    // first.
    fim_spectra_options spectra;
} fim_study_options;

// Analyzes the network at the data; adds the checkpoint's record to `report`. `file` names it there.
fim_status fim_study_network(const fim_study_options *options, const char *file, const fim_net *net,
                             const fim_data *data, const fim_monitor *monitor, fim_record *report);
// What a study would do: a row for every layer and quantity.
typedef struct fim_plan_row {
    size_t layer;
    char quantity[48]; // "samples", "kfac: build", ...
    char route[96];
    double flops, traffic; // traffic: bytes moved where memory bounds the work, else 0
    size_t bytes;          // alive meanwhile, beside the samples
    double seconds;        // the larger of what flops and traffic take
    double most;           // those of the dearest route the data may still lead to, at least `seconds`
} fim_plan_row;

// The plan of fim_study_network at `rows` rows of data, on a machine of so many flops and bytes a second.
// Products of iterations are counted as usual (20 for a norm, 100 for the leading part of a spectrum). *out
// is malloc'ed.
fim_status fim_study_plan(const fim_study_options *options, const fim_net *net, size_t rows, double flop_rate,
                          double byte_rate, fim_plan_row **out, size_t *count);
// How a plan's layers are shared among threads. Several layers are worked on side by side, each by one
// thread, where that ends sooner than one after the other with threads within the products, and where the
// budget holds what they need together.
typedef struct fim_study_shares {
    size_t workers; // layers at a time; 1: one after the other
    size_t *order;  // in which `count` layers begin, as places in the plan; malloc'ed
    size_t count;
    double seconds; // of all, by the plan's
} fim_study_shares;

// Shares the layers of the plan among `threads` threads.
fim_status fim_study_share(const fim_study_options *options, const fim_plan_row *rows, size_t n_rows,
                           size_t threads, fim_study_shares *out);
// The same from a dump of fim-dump.
fim_status fim_study_blocks(const fim_study_options *options, const char *path, const fim_monitor *monitor,
                            fim_record *report);
// Adds the checkpoints of `run`, a report of its own, to the report at `path`, under a lock, so that programs
// that append at the same time take turns; a new file when there is none. The root keeps the provenance of
// the first run; that of a further one becomes /runs/<k>, k from 1, and its checkpoints have the value "run"
// = k. `run` is left as it was, but for that value. FIM_ERR_FORMAT when the file is no report.
fim_status fim_study_append(const char *path, size_t budget, fim_record *run);
// The seeded random subset of `samples` rows (0: 512 or all when fewer) as a new data set; all rows in order
// when it is all.
fim_status fim_study_subset(const fim_data *data, size_t samples, uint64_t seed, fim_data *out);
// The files checkpoint-*.h5 of a training run's folder by their attributes iteration and epoch, one of each
// iteration; *out and its `count` paths are malloc'ed. FIM_ERR_IO when there is none.
fim_status fim_study_trajectory(const char *folder, char ***out, size_t *count);
// "0,3" or NULL (all) as strictly increasing indices below n_layers; *out is malloc'ed.
fim_status fim_study_layers(const char *text, size_t n_layers, size_t **out, size_t *count);

// ---- Training ----

// The paper's auto-encoders "curves", "mnist", "faces", or widths by hand, "784-100-10".
typedef struct fim_net_spec {
    char name[32]; // of the preset; "" for widths by hand
    size_t n_layers;
    size_t widths[64]; // n_layers + 1 of them
    fim_likelihood likelihood;
    size_t batch; // the preset's; 256 by hand
} fim_net_spec;

// FIM_ERR_ARGUMENT, also for an unknown name: the message lists the presets. Widths by hand get the gaussian
// likelihood, for the caller to replace.
fim_status fim_net_spec_parse(const char *text, fim_net_spec *out);

typedef enum fim_schedule {
    FIM_SCHEDULE_CONSTANT,
    FIM_SCHEDULE_COSINE,     // rate · ½(1 + cos(π t)), t the share of all epochs done
    FIM_SCHEDULE_EXPONENTIAL // rate · factor^epochs done
} fim_schedule;

typedef struct fim_train_options {
    // "sgd"; "adam"; natural gradient preconditioned by any method of fim_method_parse ("kfac", "kpsvd:2",
    // ...), or by "exact", the block-diagonal Fisher of the last Fisher batch itself.
    const char *optimizer;
    double learning_rate; // 0 takes the default of the optimizer (fim_train_tune)
    fim_schedule schedule;
    double schedule_factor;       // of the exponential one
    double momentum;              // heavy ball; of adam none
    bool nesterov;                // Nesterov's form of it
    double beta1, beta2, epsilon; // adam
    double weight_decay;          // δ: the step gets + δ w, outside preconditioners and moments
    // The loss that is descended: the per-sample loss, or what frameworks call its mean over outputs and the
    // paper's units are: divided by the number of outputs, and for the gaussian likelihood twice that (no ½).
    bool mean_outputs;
    bool float64; // numbers of training; float32 otherwise. Statistics and inverses are always float64.
    size_t batch, epochs;
    // ---- Natural gradient ----
    fim_fisher_spec fisher; // its seed is replaced
    size_t fisher_batch;    // rows of the batch the Fisher is estimated from; 0 takes a quarter
    size_t statistics_every, inverse_every; // iterations; the first is always among them
    double average;              // weight of the past at most; min(1 − 1/k, average) at refresh k
    fim_inverse_options inverse; // damping < 0 takes the default of the optimizer
    double clip;                 // κ: steps are scaled by min(1, √(κ/Σ|⟨∇, P∇⟩|)); 0: never
    double tolerance;            // relative residual of the iterative methods
    bool warm_start;             // iterations start from the last result
    // ----
    size_t checkpoint_every; // epochs between checkpoints; 0: only the last
    const size_t
        *checkpoint_at; // also after these iterations (0: before the first), checkpoint-iteration-<k>.h5
    size_t n_checkpoint_at;
    uint64_t seed; // of the shuffling and of the labels drawn
    size_t budget; // bytes
    const char
        *folder; // run.h5, state.h5 and checkpoint-<epoch>.h5 go here (made when missing); NULL: no files
    bool overwrite;
    bool resume; // go on from folder's state.h5, to the same bits as without interruption
} fim_train_options;

// The paper's settings: mean_outputs, momentum 0.9, mc:1 on a quarter of the batch, statistics and inverses
// every 100 iterations, average 0.95, damping of form `paper`, absolute values, clip 0.01; Adam with the
// usual numbers; batch 256, 10 epochs, float32, no folder.
fim_train_options fim_train_defaults(void);
// Fills a learning rate of 0 and a negative damping with what a grid search found best for the optimizer on
// the preset network `net` (src/run/tuned.def), or with plain defaults for any other.
void fim_train_tune(fim_train_options *options, const char *net);
// The registered optimizers, comma-separated, for help and messages.
const char *fim_train_optimizers(void);

// One line of a comparison.
typedef struct fim_variant {
    char label[64];  // as it was named, with its point of the grid: "kfac/each", "kfac lr=0.1 damping=0.01"
    char folder[64]; // the same as a folder's name
    char optimizer[32]; // options.optimizer points here
    fim_train_options options;
} fim_variant;

// Optimizers by name, "sgd,kfac,kfac/each": a damping form after a slash replaces that of `base`. `grid` (may
// be NULL), "lr=0.1:0.3,damping=1e-3:1e-2", makes each of them all its points; dampings concern natural
// gradient alone. What is left open is tuned for the preset network `net`. *out is malloc'ed, and stays where
// it is.
fim_status fim_variants_parse(const char *text, const char *grid, const fim_train_options *base,
                              const char *net, fim_variant **out, size_t *count);

typedef struct fim_train_epoch {
    size_t epoch, iterations; // epoch from 1; iterations of this epoch
    double loss;              // running mean over the epoch of the per-sample loss, summed over outputs
    double validation_loss;   // after the epoch; NAN without validation data
    double seconds;           // training alone
} fim_train_epoch;

// Trains net in place on shuffled minibatches (the last one of an epoch may be smaller). `validation` may be
// NULL. Every epoch calls on_epoch (may be NULL), whose failure ends the training. `provenance` (may be NULL)
// goes into the run log and the checkpoints.
//
// The log: record "fim-run" with, per finished epoch, curves epoch, iterations, loss, loss_per_output,
// validation_loss, seconds; per iteration, iteration_loss, gradient_norm (of the loss descended), clip; per
// refresh of natural gradient, refresh_iteration, refresh_seconds, refresh_products, refresh_residual,
// refresh_failed, refresh_changed, refresh_fell_back; texts checkpoint_<k>, paths in order, and `ended`, why
// a run that diverged did; the settings as values and texts. It and the files are also written when training
// is cancelled (FIM_CANCELLED; the weights of that moment go to checkpoint-interrupted.h5) or diverges
// (FIM_ERR_NUMERIC; the message names the epoch, the iteration and the last good checkpoint). *log is
// initialised in every case.
//
// The same seed, data and number of threads give the same bits. With options->resume the settings must be
// those of the run, except epochs (unless the schedule depends on them) and checkpoint_every:
// FIM_ERR_ARGUMENT names the one that differs. A folder without a state starts from the beginning.
fim_status fim_train(fim_net *net, const fim_data *train, const fim_data *validation,
                     const fim_train_options *options, const fim_record *provenance,
                     const fim_monitor *monitor,
                     fim_status (*on_epoch)(void *context, const fim_train_epoch *epoch), void *context,
                     fim_record *log);

#endif
