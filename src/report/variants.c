// Runs as the lines of a comparison: grouped over their seeds, with the mean and the spread of what changes
// from epoch to epoch.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

double curve_at(const fim_curve *c, size_t i) {
    return c != NULL && i < c->values->size ? gsl_vector_get(c->values, i) : (double)NAN;
}

static size_t run_epochs(const fim_record *run) {
    const fim_curve *epoch = fim_record_curve(run, "epoch");
    return epoch != NULL ? epoch->values->size : 0;
}

bool run_diverged(const fim_record *run) {
    return fim_record_text(run, "ended") != NULL;
}

// ---- Names ----

// The folder of <folder>/run.h5, or of <folder>/seed-1/run.h5; *length is 0 when there is none.
static const char *run_folder(const fim_record *run, size_t *length) {
    const char *path = text_or_empty(run, "file"), *end = strrchr(path, '/');
    const char *last = end != NULL ? end : path;
    while (last > path && last[-1] != '/')
        last--;
    if (end != NULL && last > path && strncmp(last, "seed-", 5) == 0)
        end = last - 1;
    *length = end != NULL ? (size_t)(end - path) : 0;
    return path;
}

// As the comparison named it, else as its folder is called, else "run".
static void short_name(const fim_record *run, char name[static VARIANT_NAME]) {
    size_t length = 0;
    const char *folder = run_folder(run, &length), *last = folder + length;
    while (last > folder && last[-1] != '/')
        last--;
    length -= (size_t)(last - folder);
    const char *given = text_or_empty(run, "variant");
    if (given[0] != '\0' || length == 0)
        snprintf(name, VARIANT_NAME, "%s", given[0] != '\0' ? given : "run");
    else
        snprintf(name, VARIANT_NAME, "%.*s", (int)(length < VARIANT_NAME ? length : VARIANT_NAME - 1), last);
}

// The folder's path, or the end of it.
static void long_name(const fim_record *run, char name[static VARIANT_NAME]) {
    size_t length = 0;
    const char *folder = run_folder(run, &length);
    if (length > 0 && length < VARIANT_NAME)
        snprintf(name, VARIANT_NAME, "%.*s", (int)length, folder);
    else if (length > 0)
        snprintf(name, VARIANT_NAME, "...%.*s", VARIANT_NAME - 4, folder + length - (VARIANT_NAME - 4));
}

static bool is_taken(const variant_list *list, size_t own) {
    for (size_t k = 0; k < list->count; k++)
        if (k != own && strcmp(list->items[k].name, list->items[own].name) == 0)
            return true;
    return false;
}

// Lines of the same name (other networks or settings, the same seeds again) take that of their folders, and
// where these are the same, too, a number.
static fim_status tell_apart(variant_list *list) {
    bool *taken = NULL;
    fim_status status = fim_alloc(list->count, sizeof *taken, "the names of runs", &taken);
    if (status != FIM_OK)
        return status;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t k = 0; k < list->count; k++)
            taken[k] = is_taken(list, k);
        for (size_t k = 0; k < list->count; k++) {
            char *name = list->items[k].name;
            const size_t length = strlen(name),
                         kept = length < VARIANT_NAME - 24 ? length : VARIANT_NAME - 24;
            if (taken[k] && pass == 0)
                long_name(list->items[k].runs[0], name);
            else if (taken[k])
                snprintf(name + kept, VARIANT_NAME - kept, " #%zu", k + 1);
        }
    }
    free(taken);
    return FIM_OK;
}

// ---- Groups ----

static bool same_settings(const fim_record *a, const fim_record *b) {
    static const char *const texts[] = {"net",        "likelihood", "optimizer", "damping_form",
                                        "indefinite", "precision",  "reduction", "schedule"};
    static const char *const values[] = {"learning_rate", "damping",       "momentum", "weight_decay",
                                         "batch",         "train_samples", "outputs",  "parameters"};
    bool same = true;
    for (size_t i = 0; same && i < sizeof texts / sizeof *texts; i++)
        same = strcmp(text_or_empty(a, texts[i]), text_or_empty(b, texts[i])) == 0;
    for (size_t i = 0; same && i < sizeof values / sizeof *values; i++) {
        const double x = value_or_nan(a, values[i]), y = value_or_nan(b, values[i]);
        same = x == y || (isnan(x) && isnan(y));
    }
    return same;
}

static bool belongs(const variant *v, const char *name, const fim_record *run) {
    const double seed = value_or_nan(run, "train_seed");
    if (isnan(seed) || strcmp(v->name, name) != 0 || !same_settings(v->runs[0], run))
        return false;
    for (size_t r = 0; r < v->n_runs; r++)
        if (!(value_or_nan(v->runs[r], "train_seed") != seed))
            return false;
    return true;
}

static fim_status add_run(variant_list *list, const fim_record *run, size_t most_runs) {
    fim_status status = FIM_OK;
    char name[VARIANT_NAME];
    short_name(run, name);
    size_t k = 0;
    while (k < list->count && !belongs(&list->items[k], name, run))
        k++;
    variant *v = &list->items[k];
    if (k == list->count) {
        *v = (variant){0};
        snprintf(v->name, sizeof v->name, "%s", name);
        FIM_TRY(fim_alloc(most_runs, sizeof *v->runs, "the runs of a comparison", &v->runs));
        list->count++;
    }
    v->runs[v->n_runs++] = run;
out:
    return status;
}

// Those that ended well first; only they count, unless there are none.
static void sort_runs(variant *v) {
    size_t well = 0;
    for (size_t r = 0; r < v->n_runs; r++)
        if (!run_diverged(v->runs[r])) {
            const fim_record *run = v->runs[r];
            memmove(&v->runs[well + 1], &v->runs[well], (r - well) * sizeof(*v->runs));
            v->runs[well++] = run;
        }
    v->n_diverged = v->n_runs - well;
    v->n_counted = well > 0 ? well : v->n_runs;
    v->epochs = SIZE_MAX;
    for (size_t r = 0; r < v->n_counted; r++) {
        const size_t epochs = run_epochs(v->runs[r]);
        v->epochs = epochs < v->epochs ? epochs : v->epochs;
        v->most_epochs = epochs > v->most_epochs ? epochs : v->most_epochs;
    }
}

// ---- From epoch to epoch ----

double run_outputs(const fim_record *run) {
    const double said = value_or_nan(run, "outputs");
    const double ratio =
        curve_at(fim_record_curve(run, "loss"), 0) / curve_at(fim_record_curve(run, "loss_per_output"), 0);
    return said > 0 ? said : ratio;
}

// The course of one run over the first v->epochs, to a stride of n_counted.
static void fill_run(const variant *v, size_t r, double *values[COURSES]) {
    const fim_record *run = v->runs[r];
    const fim_curve *seconds = fim_record_curve(run, "seconds");
    const fim_curve *loss = fim_record_curve(run, "loss_per_output");
    const fim_curve *validation = fim_record_curve(run, "validation_loss");
    const double outputs = run_outputs(run), floor = value_or_nan(run, "loss_floor");
    double since = 0;
    for (size_t e = 0; e < v->epochs; e++) {
        const size_t at = e * v->n_counted + r;
        since += curve_at(seconds, e);
        values[COURSE_SECONDS][at] = since;
        values[COURSE_LOSS][at] = curve_at(loss, e);
        values[COURSE_VALIDATION][at] = curve_at(validation, e) / outputs;
        values[COURSE_EXCESS][at] = floor > 0 ? curve_at(loss, e) - floor / outputs : (double)NAN;
    }
}

spread spread_of(const double *values, size_t n) {
    spread s = {.low = INFINITY, .high = -INFINITY};
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        s.mean += values[i] / (double)n;
        s.low = fmin(s.low, values[i]);
        s.high = fmax(s.high, values[i]);
    }
    if (n == 0 || !isfinite(s.mean))
        return (spread){NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - s.mean) * (values[i] - s.mean);
    s.error = n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : (double)NAN;
    return s;
}

static fim_status fill_courses(variant *v) {
    fim_status status = FIM_OK;
    double *values[COURSES] = {NULL};
    for (size_t c = 0; c < COURSES; c++) {
        FIM_TRY(fim_alloc(v->epochs, sizeof *v->courses[c], "the courses of runs", &v->courses[c]));
        FIM_TRY(fim_alloc(fim_size_mul(v->epochs, v->n_counted), sizeof *values[c], "the courses of runs",
                          &values[c]));
    }
    for (size_t r = 0; r < v->n_counted; r++)
        fill_run(v, r, values);
    for (size_t c = 0; c < COURSES; c++)
        for (size_t e = 0; e < v->epochs; e++)
            v->courses[c][e] = spread_of(values[c] + e * v->n_counted, v->n_counted);
out:
    for (size_t c = 0; c < COURSES; c++)
        free(values[c]);
    return status;
}

void variants_clear(variant_list *list) {
    for (size_t k = 0; k < list->count; k++) {
        free(list->items[k].runs);
        for (size_t c = 0; c < COURSES; c++)
            free(list->items[k].courses[c]);
    }
    free(list->items);
    *list = (variant_list){0};
}

fim_status variants_group(const fim_record *logs, size_t n_logs, variant_list *out) {
    fim_status status = FIM_OK;
    variant_list list = {0};
    for (size_t i = 0; i < n_logs; i++)
        if (fim_record_curve(&logs[i], "epoch") == NULL && !run_diverged(&logs[i]))
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s%sthe run log has no curve 'epoch'",
                             text_or_empty(&logs[i], "file"),
                             text_or_empty(&logs[i], "file")[0] != '\0' ? ": " : ""));
    FIM_TRY(fim_alloc(n_logs, sizeof *list.items, "the lines of a comparison", &list.items));
    for (size_t i = 0; i < n_logs; i++)
        FIM_TRY(add_run(&list, &logs[i], n_logs));
    for (size_t k = 0; k < list.count; k++) {
        sort_runs(&list.items[k]);
        FIM_TRY(fill_courses(&list.items[k]));
    }
    FIM_TRY(tell_apart(&list));
    *out = list;
    list = (variant_list){0};
out:
    variants_clear(&list);
    return status;
}

double final_of(const variant *v, course c) {
    return v->epochs > 0 ? v->courses[c][v->epochs - 1].mean : (double)NAN;
}
