// What the files of training share.
#ifndef FIM_RUN_TRAIN_H
#define FIM_RUN_TRAIN_H

#include "engine.h"
#include "fim/run.h"
#include "natural.h"

// ---- Options (train_options.c) ----

// Everything checked that needs no data; the message names the option.
fim_status options_check(const fim_train_options *o);
// FIM_ERR_UNKNOWN lists the known ones; FIM_ERR_UNAVAILABLE for sums of too many terms.
fim_status options_check_optimizer(const char *name);
// True for the optimizers that have a preconditioner.
bool options_natural(const fim_train_options *o);
// What multiplies the per-sample loss in training.
double options_scale(const fim_train_options *o, const fim_net *net);
// The learning rate after `epochs` epochs, a number with a fraction.
double options_rate(const fim_train_options *o, double epochs);
// Rows of a batch of `batch` that the Fisher is estimated from.
size_t options_fisher_rows(const fim_train_options *o, size_t batch);
// What was asked, as values and texts, for the log, the checkpoints and the state.
fim_status options_describe(const fim_train_options *o, const fim_net *net, const fim_data *train,
                            const fim_data *validation, fim_record *out);
// FIM_ERR_ARGUMENT names the first setting of `now` that differs from `then`, but for those that may.
fim_status options_compare(const fim_record *then, const fim_record *now);

// ---- Series: named columns that grow by rows (series.c) ----

typedef struct series {
    const char *const (*names)[2]; // name and note of each column
    size_t columns, rows, capacity;
    double *values; // row by row
} series;

fim_status series_append(series *s, const double *row);
double series_at(const series *s, size_t column, size_t row);
// Every column as a curve of `record`. A column that is NAN in its first row was never there: it has the note
// `why`.
fim_status series_put(const series *s, const char *why, fim_record *record);
// The inverse, into an empty series.
fim_status series_take(series *s, const fim_record *record);
void series_clear(series *s);

// ---- The journal: epochs, iterations and refreshes done, checkpoints written (journal.c) ----

enum {
    EPOCH,
    EPOCH_ITERATIONS,
    EPOCH_LOSS,
    EPOCH_PER_OUTPUT,
    EPOCH_VALIDATION,
    EPOCH_SECONDS,
    EPOCH_COLUMNS
};

typedef struct journal {
    const fim_net *net; // in training
    const fim_train_options *options;
    const fim_record *provenance; // may be NULL
    const fim_record *settings;   // of the run: goes into the log and the checkpoints
    series epochs, iterations, refreshes;
    size_t n_checkpoints, room;
    char **checkpoints; // paths
    const char *ended;  // why a run that failed did so; or NULL
} journal;

fim_status journal_init(journal *j, const fim_net *net, const fim_train_options *options,
                        const fim_record *provenance, const fim_record *settings);
void journal_clear(journal *j);
fim_status journal_epoch(journal *j, const fim_train_epoch *e);
fim_status journal_iteration(journal *j, double loss, const direction_report *direction);
fim_status journal_refresh(journal *j, size_t iteration, const refresh_report *report);
// Writes checkpoint-<label>.h5 with what is known of the run beside the weights, then the log; nothing
// without a folder.
fim_status journal_checkpoint(journal *j, const char *label);
// Fills `log` (initialised) from the journal, and writes it to run.h5 when there is a folder.
fim_status journal_log(const journal *j, fim_record *log);
// The path of the last checkpoint, or NULL.
const char *journal_last_checkpoint(const journal *j);
// Curves and paths as they stand, and back.
fim_status journal_save(const journal *j, fim_record *out);
fim_status journal_load(journal *j, const fim_record *in);

// ---- Where a run stands, and its continuation (state.c) ----

typedef struct position {
    size_t epoch;     // in progress or next, from 1
    size_t done;      // rows of that epoch
    size_t iteration; // of the whole run
    double sum;       // of the losses of those rows
    double seconds;   // of that epoch
} position;

// Whole or not at all to state.h5 in the folder: settings, position, engine, preconditioners (may be NULL),
// journal.
fim_status state_write(const char *folder, const fim_record *settings, const position *p,
                       const engine_class *class, engine *e, const natural *n, const journal *j);
// The other way; *found is false when the folder has no state. Notes when threads or BLAS are not those of
// the state.
fim_status state_read(const char *folder, const fim_record *settings, size_t budget, position *p,
                      const engine_class *class, engine *e, natural *n, journal *j,
                      const fim_monitor *monitor, bool *found);

#endif
