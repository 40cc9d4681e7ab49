// The mean of a study over several seeds and its standard error, number by number.
//
// The report of the first repeat is where the others are added to (Welford's running mean, exact when all are
// equal): while repeats are being added, a value "<name>_se" holds the sum of squared deviations.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

// What the repeats have in common, and what tells of the run and not of the block.
static bool is_averaged(const fim_value *v) {
    static const char *const other[] = {"d_a",      "d_g",      "parameters", "samples",
                                        "products", "residual", "converged",  "build_seconds"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(v->name, other[i]) == 0)
            return false;
    return !isnan(v->value);
}

static fim_value *value_of(const fim_record *record, const char *name) {
    for (size_t i = 0; i < record->n_values; i++)
        if (strcmp(record->values[i].name, name) == 0)
            return &record->values[i];
    return NULL;
}

static fim_value *error_of(const fim_record *record, const fim_value *v) {
    char name[sizeof v->name + 3];
    snprintf(name, sizeof name, "%s_se", v->name);
    return value_of(record, name);
}

// Puts a zero beside every number that is averaged.
static fim_status make_room(fim_record *record) {
    fim_value *values = record->values;
    const size_t n = record->n_values;
    fim_status status = FIM_OK;
    record->values = NULL;
    record->n_values = 0;
    for (size_t i = 0; i < n; i++) {
        char name[sizeof values->name + 3];
        FIM_TRY(fim_record_set(record, values[i].name, values[i].value, values[i].note));
        snprintf(name, sizeof name, "%s_se", values[i].name);
        if (is_averaged(&values[i]))
            FIM_TRY(fim_record_set(record, name, 0, ""));
    }
out:
    free(values);
    return status;
}

static void lose(fim_value *mean, fim_value *error, const char *why) {
    mean->value = error->value = NAN;
    memmove(mean->note, why, strlen(why) + 1); // of no more than a note's length
    memmove(error->note, why, strlen(why) + 1);
}

// "lower" or "upper" for a bound, else NULL.
static const char *bound_of(const fim_value *v) {
    return strncmp(v->note, "lower bound", 11) == 0   ? "lower"
           : strncmp(v->note, "upper bound", 11) == 0 ? "upper"
                                                      : NULL;
}

// The k-th number after the first; a bound makes the mean a bound.
static void add(fim_value *mean, fim_value *error, const fim_value *next, size_t k) {
    if (isnan(mean->value))
        return;
    if (next == NULL || isnan(next->value)) {
        lose(mean, error, next != NULL ? next->note : "not in every repeat");
        return;
    }
    const char *old = bound_of(mean), *new = bound_of(next);
    if (old != NULL && new != NULL && old != new) {
        lose(mean, error, "bounded from below in some repeats and from above in others");
        return;
    }
    if (old == NULL && new != NULL)
        memcpy(mean->note, next->note, sizeof mean->note);
    const double step = next->value - mean->value;
    mean->value += step / (double)(k + 1);
    error->value += step * (next->value - mean->value);
}

static void add_record(fim_record *record, const fim_record *next, size_t k) {
    for (size_t i = 0; i < record->n_values; i++) {
        fim_value *v = &record->values[i], *error = error_of(record, v);
        const fim_value *other = fim_record_value(next, v->name);
        if (error != NULL)
            add(v, error, other, k);
        else if (other != NULL && (strcmp(v->name, "residual") == 0 || strcmp(v->name, "products") == 0))
            v->value = fmax(v->value, other->value);
        else if (other != NULL && strcmp(v->name, "converged") == 0)
            v->value = fmin(v->value, other->value);
    }
}

static fim_status finish_record(fim_record *record, size_t repeats) {
    for (size_t i = 0; i < record->n_values; i++) {
        fim_value *v = &record->values[i], *error = error_of(record, v);
        char note[sizeof v->note + 40];
        if (error == NULL || isnan(v->value))
            continue;
        if (bound_of(v) != NULL)
            snprintf(note, sizeof note, "%s bound, mean of %zu%s", bound_of(v), repeats, v->note + 11);
        else
            snprintf(note, sizeof note, "mean of %zu%s%s", repeats, v->note[0] != '\0' ? "; " : "", v->note);
        error->value = sqrt(error->value / (double)(repeats - 1) / (double)repeats);
        fim_status status = fim_record_set(record, v->name, v->value, note);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

fim_status study_repeat_begin(fim_record *layers) {
    fim_status status = FIM_OK;
    for (size_t l = 0; l < layers->n_children; l++) {
        fim_record *layer = &layers->children[l];
        FIM_TRY(make_room(layer));
        for (size_t m = 0; m < layer->n_children; m++)
            FIM_TRY(make_room(&layer->children[m]));
    }
out:
    return status;
}

void study_repeat_add(fim_record *layers, const fim_record *next, size_t k) {
    for (size_t l = 0; l < layers->n_children; l++) {
        fim_record *layer = &layers->children[l];
        const fim_record *other = &next->children[l]; // the same layers and methods, in the same order
        add_record(layer, other, k);
        for (size_t m = 0; m < layer->n_children; m++)
            add_record(&layer->children[m], &other->children[m], k);
    }
}

fim_status study_repeat_finish(fim_record *layers, size_t repeats) {
    fim_status status = FIM_OK;
    for (size_t l = 0; l < layers->n_children; l++) {
        fim_record *layer = &layers->children[l];
        FIM_TRY(finish_record(layer, repeats));
        FIM_TRY(fim_record_set(layer, "repeats", (double)repeats, "with other draws and samples"));
        for (size_t m = 0; m < layer->n_children; m++)
            FIM_TRY(finish_record(&layer->children[m], repeats));
    }
out:
    return status;
}
