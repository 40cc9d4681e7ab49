// The study's private face: one layer.
#ifndef FIM_SRC_RUN_STUDY_H
#define FIM_SRC_RUN_STUDY_H

#include "fim/run.h"

// Samples without --samples, or all when fewer.
enum { STUDY_SAMPLES = 512 };

// Steps of work in one layer, as progress counts them.
size_t study_steps(const fim_study_options *options);

// ---- What FIM_SPECTRA_AUTO allows a single eigensolver (study_solves.c) ----

typedef struct study_solves {
    size_t sums;  // methods that need an eigensolver: sums of Kronecker terms
    size_t *rows; // of every eigensolver of the study
    size_t count;
} study_solves;

fim_status study_solves_init(study_solves *s, const fim_study_options *options, size_t layers);
void study_solves_clear(study_solves *s);
// A layer's block and methods; the block has at most `rank` eigenvalues but zero.
void study_solves_add(study_solves *s, size_t parameters, size_t rank);
// Replaces options->spectra.flops, allowed for all, by what a single one may cost.
void study_solves_allot(study_solves *s, fim_study_options *options);

// ---- Where KFAC's error is (decomposition.c) ----

// Operators that the study has built on its way, or NULL.
typedef struct study_kept {
    fim_op *kfac, *ekfac;
} study_kept;

// The values decomposition_* of a layer, when kfac is among the methods. `norm` is ‖F‖; `record` holds the
// floors of the Kronecker spectrum and the methods already.
fim_status study_decomposition(const fim_study_options *options, const fim_fisher *f, const study_kept *kept,
                               double norm, fim_record *record);

// ---- Steps along a sweep of dampings (study_damping.c) ----

// The mean gradient of every layer at the data, as parameter matrices (d_a, d_g). *out is malloc'ed.
fim_status study_gradients(const fim_net *net, const fim_data *data, gsl_matrix ***out);
void study_gradients_clear(gsl_matrix **gradients, size_t n_layers);
// The exact steps of a layer and its curves "step_damping" and, where divergences are
// estimates, "stein_divergence_error"; *out stays NULL where none are asked for, or where
// the record says why there are none. gradient may be NULL. `trace` is tr F.
fim_status study_steps_begin(const fim_study_options *options, const fim_fisher *f,
                             const gsl_matrix *gradient, double trace, fim_record *record, fim_steps **out);
// The curves of a method; nothing for NULL steps.
fim_status study_steps_measure(const fim_study_options *options, const fim_steps *steps, const fim_op *op,
                               fim_record *record);

// ---- When a checkpoint was written (trajectory.c) ----

// The values epoch and iteration of a checkpoint's record, as far as its file tells.
fim_status study_moment(const char *file, fim_record *checkpoint);

// ---- What the samples leave in doubt (study_sampling.c) ----

// Where the exact Fisher of a layer can be had: the network, the rows that were taken, and the bytes its
// samples may take.
typedef struct study_inputs {
    const fim_net *net;
    const fim_data *data;
    size_t budget;
    const gsl_matrix *gradient; // of the layer, or NULL
} study_inputs;

// The values sampling_error and half_error of a layer, when asked for; `record` holds the layer's text
// "fisher". `inputs` NULL: there is only a dump.
fim_status study_sampling(const fim_study_options *options, const fim_fisher *f, const study_inputs *inputs,
                          size_t layer, const fim_monitor *monitor, fim_record *record);
// What `count` layers' samples leave of the budget.
size_t study_budget_left(size_t budget, const fim_samples *samples, size_t count);

// ---- Layers side by side (study_crew.c) ----

// Where the progress of some layers stands in that of a study, in steps.
typedef struct study_span {
    size_t first, steps, total; // of the first layer, of each, of all
} study_span;

// Calls work(context, i, monitor) for every i below shares->count, on as many threads at a time as the shares
// say; the monitor it is given may be used from its thread. Returns the first failure; what has not begun by
// then never does.
fim_status study_crew_run(const fim_study_shares *shares, const study_span *span, const fim_monitor *monitor,
                          fim_status (*work)(void *context, size_t i, const fim_monitor *monitor),
                          void *context);

// ---- Means over repeats (study_repeat.c) ----

// `layers` of the first repeat become the place of the means.
fim_status study_repeat_begin(fim_record *layers);
// Adds repeat k, from 1.
void study_repeat_add(fim_record *layers, const fim_record *next, size_t k);
fim_status study_repeat_finish(fim_record *layers, size_t repeats);

// ---- A layer (study_layer.c) ----

// The value with its route, or NAN with the message of a failure that leaves a number out and not the whole
// study; other failures are returned.
fim_status study_set_or_why(fim_record *record, const char *name, fim_status status, double value,
                            const char *route);
// Builds and measures every method on the block f; fills `record`, which has the layer's name. `fisher` names
// its kind, `gradient` may be NULL; the progress goes from `done` on, of `total` steps.
fim_status study_layer(const fim_study_options *options, const fim_fisher *f, const char *fisher,
                       const gsl_matrix *gradient, const fim_monitor *monitor, size_t done, size_t total,
                       fim_record *record);

#endif
