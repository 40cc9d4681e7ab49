// The journal of a training run: what becomes the log run.h5 and the checkpoints beside it.
//
// The log is rewritten, whole, with every checkpoint: a run that is killed leaves what it had reached.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

static const char log_format[] = "fim-run";

static fim_status path_in(const char *folder, const char *name, char **out) {
    char *path = NULL;
    size_t size = strlen(folder) + strlen(name) + 2;
    fim_status status = fim_alloc(size, 1, "a path", &path);
    if (status != FIM_OK)
        return status;
    snprintf(path, size, "%s/%s", folder, name);
    *out = path;
    return FIM_OK;
}

// Finds out before the training whether a file can be written at its end.
static fim_status try_file(const fim_train_options *options, const char *name) {
    fim_status status = FIM_OK;
    char *path = NULL, *temporary = NULL;
    FIM_TRY(path_in(options->folder, name, &path));
    FIM_TRY(fim_file_begin(path, options->overwrite || options->resume, &temporary));
    fim_file_abandon(temporary);
out:
    free(path);
    return status;
}

static fim_status try_folder(const fim_train_options *options) {
    char last[64];
    snprintf(last, sizeof last, "checkpoint-%zu.h5", options->epochs);
    fim_status status = fim_folder_make(options->folder);
    if (status == FIM_OK)
        status = try_file(options, "run.h5");
    return status == FIM_OK ? try_file(options, last) : status;
}

static const char *const epoch_names[EPOCH_COLUMNS][2] = {
    [EPOCH] = {"epoch", ""},
    [EPOCH_ITERATIONS] = {"iterations", "of the epoch"},
    [EPOCH_LOSS] = {"loss", "running mean over the epoch of the loss of a sample, summed over outputs"},
    [EPOCH_PER_OUTPUT] = {"loss_per_output", "loss divided by the number of outputs"},
    [EPOCH_VALIDATION] = {"validation_loss",
                          "mean loss of a validation sample after the epoch, summed over outputs"},
    [EPOCH_SECONDS] = {"seconds", "training alone"},
};

static const char *const iteration_names[][2] = {
    {"iteration_loss", "mean loss of a sample of the batch, summed over outputs"},
    {"gradient_norm", "of the loss that is descended, over all layers"},
    {"clip", "factor of the step, min(1, sqrt(kappa / sum |<g, P g>|))"},
};

static const char *const refresh_names[][2] = {
    {"refresh_iteration", "from 1"},
    {"refresh_seconds", "samples, approximations and inverses"},
    {"refresh_products", "with R(F), over all layers"},
    {"refresh_residual", "relative, the worst layer's"},
    {"refresh_failed", "layers whose iteration did not converge"},
    {"refresh_changed", "directions whose sign or size the rule for indefinite sums changed"},
    {"refresh_fell_back", "layers whose second term was dropped"},
};

#define SERIES(names) ((series){names, sizeof(names) / sizeof *(names), 0, 0, NULL})

fim_status journal_init(journal *j, const fim_net *net, const fim_train_options *options,
                        const fim_record *provenance, const fim_record *settings) {
    journal made = {.net = net, .options = options, .provenance = provenance, .settings = settings};
    made.epochs = SERIES(epoch_names);
    made.iterations = SERIES(iteration_names);
    made.refreshes = SERIES(refresh_names);
    fim_status status = options->folder != NULL ? try_folder(options) : FIM_OK;
    if (status == FIM_OK)
        *j = made;
    return status;
}

void journal_clear(journal *j) {
    for (size_t k = 0; k < j->n_checkpoints; k++)
        free(j->checkpoints[k]);
    free(j->checkpoints);
    series_clear(&j->epochs);
    series_clear(&j->iterations);
    series_clear(&j->refreshes);
    *j = (journal){0};
}

fim_status journal_epoch(journal *j, const fim_train_epoch *e) {
    const double row[EPOCH_COLUMNS] = {
        [EPOCH] = (double)e->epoch,
        [EPOCH_ITERATIONS] = (double)e->iterations,
        [EPOCH_LOSS] = e->loss,
        [EPOCH_PER_OUTPUT] = e->loss / (double)fim_net_outputs(j->net),
        [EPOCH_VALIDATION] = e->validation_loss,
        [EPOCH_SECONDS] = e->seconds,
    };
    return series_append(&j->epochs, row);
}

fim_status journal_iteration(journal *j, double loss, const direction_report *direction) {
    return series_append(&j->iterations, (double[]){loss, sqrt(direction->gradient2), direction->clip});
}

fim_status journal_refresh(journal *j, size_t iteration, const refresh_report *r) {
    return series_append(&j->refreshes,
                         (double[]){(double)iteration, r->seconds, (double)r->products, r->residual,
                                    (double)r->failed, (double)r->changed, (double)r->fell_back});
}

// Takes the path over, also on failure.
static fim_status add_checkpoint(journal *j, char *path) {
    for (size_t k = 0; k < j->n_checkpoints; k++)
        if (strcmp(j->checkpoints[k], path) == 0) { // written again by a continued run
            free(path);
            return FIM_OK;
        }
    if (j->n_checkpoints == j->room) {
        const size_t room = 2 * j->room + 8;
        char **paths = realloc(j->checkpoints, room * sizeof *paths);
        if (paths == NULL) {
            free(path);
            return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the list of checkpoints");
        }
        j->checkpoints = paths;
        j->room = room;
    }
    j->checkpoints[j->n_checkpoints++] = path;
    return FIM_OK;
}

const char *journal_last_checkpoint(const journal *j) {
    return j->n_checkpoints > 0 ? j->checkpoints[j->n_checkpoints - 1] : NULL;
}

// The values and texts of `source`, added to `record`.
static fim_status merge(const fim_record *source, fim_record *record) {
    fim_status status = FIM_OK;
    for (size_t k = 0; source != NULL && k < source->n_texts; k++)
        FIM_TRY(fim_record_set_text(record, source->texts[k].name, source->texts[k].text));
    for (size_t k = 0; source != NULL && k < source->n_values; k++)
        FIM_TRY(
            fim_record_set(record, source->values[k].name, source->values[k].value, source->values[k].note));
out:
    return status;
}

// Curves, and checkpoints as texts.
fim_status journal_save(const journal *j, fim_record *out) {
    fim_status status = FIM_OK;
    // Only the validation loss can be missing, and then it is from the first epoch on.
    FIM_TRY(series_put(&j->epochs, "no validation data", out));
    FIM_TRY(series_put(&j->iterations, "", out));
    if (j->refreshes.rows > 0)
        FIM_TRY(series_put(&j->refreshes, "", out));
    for (size_t k = 0; k < j->n_checkpoints; k++) {
        char name[40];
        snprintf(name, sizeof name, "checkpoint_%zu", k);
        FIM_TRY(fim_record_set_text(out, name, j->checkpoints[k]));
    }
out:
    return status;
}

fim_status journal_load(journal *j, const fim_record *in) {
    fim_status status = FIM_OK;
    FIM_TRY(series_take(&j->epochs, in));
    FIM_TRY(series_take(&j->iterations, in));
    FIM_TRY(series_take(&j->refreshes, in));
    for (size_t k = 0;; k++) {
        char name[40], *copy = NULL;
        snprintf(name, sizeof name, "checkpoint_%zu", k);
        const char *path = fim_record_text(in, name);
        if (path == NULL)
            break;
        FIM_TRY(fim_alloc(strlen(path) + 1, 1, "a path", &copy));
        strcpy(copy, path);
        FIM_TRY(add_checkpoint(j, copy));
    }
out:
    return status;
}

static fim_status fill(const journal *j, fim_record *log) {
    fim_status status = FIM_OK;
    FIM_TRY(merge(j->settings, log));
    FIM_TRY(merge(j->provenance, log));
    FIM_TRY(fim_record_set_text(log, "likelihood", fim_likelihood_name(j->net->likelihood)));
    FIM_TRY(journal_save(j, log));
    if (j->ended != NULL)
        FIM_TRY(fim_record_set_text(log, "ended", j->ended));
out:
    return status;
}

// The folder was found free (or may be overwritten) at the start: what is there now is our own.
static fim_status write_log(const journal *j, const fim_record *log) {
    char *path = NULL;
    fim_status status = path_in(j->options->folder, "run.h5", &path);
    if (status == FIM_OK)
        status = fim_record_write(log, log_format, path, true);
    free(path);
    return status;
}

fim_status journal_log(const journal *j, fim_record *log) {
    fim_status status = fill(j, log);
    if (status == FIM_OK && j->options->folder != NULL)
        status = write_log(j, log);
    return status;
}

fim_status journal_checkpoint(journal *j, const char *label) {
    if (j->options->folder == NULL)
        return FIM_OK;
    fim_status status = FIM_OK;
    fim_record extra, log;
    char *path = NULL, name[64];
    fim_record_init(&extra, "checkpoint");
    fim_record_init(&log, log_format);
    snprintf(name, sizeof name, "checkpoint-%s.h5", label);
    FIM_TRY(path_in(j->options->folder, name, &path));
    FIM_TRY(merge(j->settings, &extra));
    FIM_TRY(merge(j->provenance, &extra));
    FIM_TRY(fim_record_set(&extra, "epoch", (double)j->epochs.rows, "finished epochs"));
    FIM_TRY(fim_record_set(&extra, "iteration", (double)j->iterations.rows, "finished iterations"));
    if (j->epochs.rows > 0)
        FIM_TRY(fim_record_set(&extra, "loss", series_at(&j->epochs, EPOCH_LOSS, j->epochs.rows - 1),
                               "running mean over the last finished epoch, summed over outputs"));
    FIM_TRY(fim_checkpoint_write(j->net, &extra, path, j->options->overwrite || j->options->resume));
    status = add_checkpoint(j, path);
    path = NULL;
    if (status != FIM_OK)
        goto out;
    FIM_TRY(fill(j, &log));
    FIM_TRY(write_log(j, &log));
out:
    free(path);
    fim_record_clear(&extra);
    fim_record_clear(&log);
    return status;
}
