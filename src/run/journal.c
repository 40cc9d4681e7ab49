// The journal of a training run: what becomes the log run.h5 and the checkpoints beside it.
//
// The log is rewritten, whole, with every checkpoint: a run that is killed leaves what it had reached.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
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
    FIM_TRY(fim_file_begin(path, options->overwrite, &temporary));
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

fim_status journal_init(journal *j, const fim_net *net, const fim_train_options *options,
                        const fim_record *provenance, const fim_record *settings) {
    fim_status status = FIM_OK;
    journal made = {.net = net, .options = options, .provenance = provenance, .settings = settings};
    if (options->folder != NULL)
        FIM_TRY(try_folder(options));
    FIM_TRY(fim_alloc(options->epochs, sizeof *made.epochs, "the run log", &made.epochs));
    // One per epoch at most, and the interrupted one.
    FIM_TRY(fim_alloc(options->epochs + 1, sizeof *made.checkpoints, "the run log", &made.checkpoints));
    *j = made;
    return FIM_OK;
out:
    journal_clear(&made);
    return status;
}

void journal_clear(journal *j) {
    for (size_t k = 0; k < j->n_checkpoints; k++)
        free(j->checkpoints[k]);
    free(j->checkpoints);
    free(j->epochs);
    *j = (journal){0};
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

static double column(const journal *j, size_t which, size_t k) {
    const fim_train_epoch *e = &j->epochs[k];
    double per_output = e->loss / (double)fim_net_outputs(j->net);
    const double values[] = {(double)e->epoch, (double)e->iterations, e->loss,
                             per_output,       e->validation_loss,    e->seconds};
    return values[which];
}

static fim_status fill(const journal *j, fim_record *log) {
    static const char *const curves[][2] = {
        {"epoch", ""},
        {"iterations", "of the epoch"},
        {"loss", "running mean over the epoch of the loss of a sample, summed over outputs"},
        {"loss_per_output", "loss divided by the number of outputs"},
        {"validation_loss", "mean loss of a validation sample after the epoch, summed over outputs"},
        {"seconds", "training alone"},
    };
    fim_status status = FIM_OK;
    FIM_TRY(merge(j->settings, log));
    FIM_TRY(merge(j->provenance, log));
    FIM_TRY(fim_record_set_text(log, "likelihood", fim_likelihood_name(j->net->likelihood)));
    for (size_t c = 0; c < sizeof curves / sizeof *curves; c++) {
        gsl_vector *values = NULL;
        FIM_TRY(fim_vector_new(j->n_epochs, "the run log", &values));
        for (size_t k = 0; k < j->n_epochs; k++)
            gsl_vector_set(values, k, column(j, c, k));
        // Only the validation loss can be missing, and then it is from the first epoch on.
        bool missing = j->n_epochs > 0 && isnan(gsl_vector_get(values, 0));
        FIM_TRY(
            fim_record_set_curve(log, curves[c][0], values, missing ? "no validation data" : curves[c][1]));
    }
    for (size_t k = 0; k < j->n_checkpoints; k++) {
        char name[40];
        snprintf(name, sizeof name, "checkpoint_%zu", k);
        FIM_TRY(fim_record_set_text(log, name, j->checkpoints[k]));
    }
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
    FIM_TRY(fim_record_set(&extra, "epoch", (double)j->n_epochs, "finished epochs"));
    if (j->n_epochs > 0)
        FIM_TRY(fim_record_set(&extra, "loss", j->epochs[j->n_epochs - 1].loss,
                               "running mean over the last finished epoch, summed over outputs"));
    FIM_TRY(fim_checkpoint_write(j->net, &extra, path, j->options->overwrite));
    j->checkpoints[j->n_checkpoints++] = path;
    path = NULL;
    FIM_TRY(fill(j, &log));
    FIM_TRY(write_log(j, &log));
out:
    free(path);
    fim_record_clear(&extra);
    fim_record_clear(&log);
    return status;
}
