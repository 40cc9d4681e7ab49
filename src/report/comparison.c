// Training runs compared: what their table holds, as a record of variants.
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

// The value, or why it is missing.
static fim_status set_known(fim_record *out, const char *name, double value, const char *why) {
    return fim_record_set(out, name, value, isfinite(value) ? "" : why);
}

// A mean over the seeds, and its standard error.
static fim_status set_spread(fim_record *out, const char *name, spread s, const char *why) {
    char error[48];
    snprintf(error, sizeof error, "%s_se", name);
    fim_status status = set_known(out, name, s.mean, why);
    if (status == FIM_OK && isfinite(s.error))
        status = fim_record_set(out, error, s.error, "");
    return status;
}

// ---- The reference ----

// The variant of that name; else, of those of that optimizer, the one that ends lowest; NULL.
static const variant *find_reference(const variant_list *list, const char *name) {
    const variant *best = NULL;
    for (size_t k = 0; k < list->count; k++)
        if (strcmp(list->items[k].name, name) == 0)
            return &list->items[k];
    for (size_t k = 0; k < list->count; k++) {
        const variant *v = &list->items[k];
        if (strcmp(text_or_empty(v->runs[0], "optimizer"), name) == 0 && v->n_diverged < v->n_runs &&
            (best == NULL || final_of(v, COURSE_LOSS) < final_of(best, COURSE_LOSS)))
            best = v;
    }
    return best;
}

static fim_status set_reached(const variant *v, const variant *reference, fim_record *out) {
    const double target = final_of(reference, COURSE_LOSS);
    fim_status status = FIM_OK;
    size_t e = 0;
    char why[200], number[24];
    while (e < v->epochs && !(v->courses[COURSE_LOSS][e].mean <= target))
        e++;
    snprintf(why, sizeof why, "does not reach %s in its %zu epochs", format_number("loss", target, number),
             v->epochs);
    const bool reached = e < v->epochs;
    FIM_TRY(set_known(out, "epochs_to_reference", reached ? (double)e + 1 : (double)NAN, why));
    FIM_TRY(set_known(out, "seconds_to_reference", reached ? v->courses[COURSE_SECONDS][e].mean : (double)NAN,
                      why));
out:
    return status;
}

// ---- Cost ----

static double sum_of(const fim_curve *c) {
    double sum = 0;
    for (size_t i = 0; c != NULL && i < c->values->size; i++)
        sum += gsl_vector_get(c->values, i);
    return sum;
}

static fim_status set_seconds_per_epoch(const variant *v, fim_record *out) {
    fim_status status = FIM_OK;
    double *all = NULL;
    size_t total = 0, n = 0;
    for (size_t r = 0; r < v->n_counted; r++) {
        const fim_curve *c = fim_record_curve(v->runs[r], "seconds");
        total += c != NULL ? c->values->size : 0;
    }
    FIM_TRY(fim_alloc(total + 1, sizeof *all, "the seconds of runs", &all));
    for (size_t r = 0; r < v->n_counted; r++) {
        const fim_curve *c = fim_record_curve(v->runs[r], "seconds");
        for (size_t i = 0; c != NULL && i < c->values->size; i++)
            all[n++] = gsl_vector_get(c->values, i);
    }
    gsl_sort(all, 1, n);
    if (n > 0)
        FIM_TRY(fim_record_set(out, "seconds_per_epoch", gsl_stats_median_from_sorted_data(all, 1, n),
                               "median over epochs and seeds"));
out:
    free(all);
    return status;
}

// Of natural gradient, which alone has refreshes.
static fim_status set_refreshes(const variant *v, fim_record *out) {
    fim_status status = FIM_OK;
    double seconds = 0, spent = 0, products = 0, changed = 0;
    size_t refreshes = 0;
    for (size_t r = 0; r < v->n_counted; r++) {
        const fim_curve *c = fim_record_curve(v->runs[r], "refresh_seconds");
        refreshes += c != NULL ? c->values->size : 0;
        spent += sum_of(c);
        seconds += sum_of(fim_record_curve(v->runs[r], "seconds"));
        products += sum_of(fim_record_curve(v->runs[r], "refresh_products"));
        changed += sum_of(fim_record_curve(v->runs[r], "refresh_changed"));
    }
    if (refreshes == 0)
        return FIM_OK;
    if (seconds > 0)
        FIM_TRY(fim_record_set(out, "refresh_share", spent / seconds, "of the training time"));
    FIM_TRY(fim_record_set(out, "products_per_refresh", products / (double)refreshes, "over all layers"));
    FIM_TRY(fim_record_set(out, "changed_per_refresh", changed / (double)refreshes, "over all layers"));
out:
    return status;
}

// ---- What went wrong ----

static fim_status set_remark(const variant *v, fim_record *out) {
    fim_status status = FIM_OK;
    text t = {0};
    char *remark = NULL;
    const bool all = v->n_diverged == v->n_runs;
    if (v->n_diverged == 0 && v->most_epochs == v->epochs)
        return FIM_OK;
    FIM_TRY(text_open(&t));
    if (v->n_diverged > 0 && v->n_runs == 1)
        fputs("diverged", t.stream);
    else if (v->n_diverged > 0)
        fprintf(t.stream, "%zu of %zu runs diverged%s", v->n_diverged, v->n_runs,
                all ? "" : ", the numbers are of the others");
    for (size_t r = v->n_runs - v->n_diverged; r < v->n_runs; r++) {
        if (v->n_runs > 1)
            fprintf(t.stream, "; seed %.0f", value_or_nan(v->runs[r], "train_seed"));
        fprintf(t.stream, ": %s", text_or_empty(v->runs[r], "ended"));
    }
    if (v->most_epochs != v->epochs && !all)
        fprintf(t.stream, "%sof its runs one has %zu epochs, another %zu: the first %zu count",
                v->n_diverged > 0 ? "; " : "", v->epochs, v->most_epochs, v->epochs);
    FIM_TRY(text_close(&t, &remark));
    FIM_TRY(fim_record_set_text(out, "remark", remark));
out:
    text_discard(&t);
    free(remark);
    return status;
}

// ---- The record ----

static fim_status set_variant(const variant *v, const variant *reference, fim_record *out) {
    static const struct {
        const char *name;
        course course;
    } losses[] = {{"loss_per_output", COURSE_LOSS},
                  {"excess_over_floor", COURSE_EXCESS},
                  {"validation_per_output", COURSE_VALIDATION}};
    const spread none = {NAN, NAN, NAN, NAN};
    const bool lost = v->n_diverged == v->n_runs;
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set_text(out, "optimizer", text_or_empty(v->runs[0], "optimizer")));
    if (fim_record_text(v->runs[0], "damping_form") != NULL)
        FIM_TRY(fim_record_set_text(out, "damping_form", fim_record_text(v->runs[0], "damping_form")));
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "learning_rate" : "damping";
        if (isfinite(value_or_nan(v->runs[0], name)))
            FIM_TRY(fim_record_set(out, name, value_or_nan(v->runs[0], name), ""));
    }
    FIM_TRY(fim_record_set(out, "seeds", (double)v->n_runs, ""));
    FIM_TRY(fim_record_set(out, "diverged", (double)v->n_diverged, ""));
    FIM_TRY(fim_record_set(out, "epochs", (double)v->epochs, ""));
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        const bool there = v->epochs > 0 && isfinite(final_of(v, losses[i].course));
        if (lost)
            FIM_TRY(fim_record_set(out, losses[i].name, NAN, "diverged"));
        else if (there || losses[i].course == COURSE_LOSS)
            FIM_TRY(set_spread(out, losses[i].name,
                               there ? v->courses[losses[i].course][v->epochs - 1] : none,
                               "no loss in the log"));
    }
    if (reference != NULL && lost)
        for (size_t i = 0; i < 2; i++)
            FIM_TRY(fim_record_set(out, i == 0 ? "epochs_to_reference" : "seconds_to_reference", NAN,
                                   "diverged"));
    else if (reference != NULL)
        FIM_TRY(set_reached(v, reference, out));
    FIM_TRY(set_seconds_per_epoch(v, out));
    FIM_TRY(set_refreshes(v, out));
    FIM_TRY(set_remark(v, out));
    for (size_t r = 0; r < v->n_runs; r++) {
        fim_record *run = NULL;
        char number[24];
        snprintf(number, sizeof number, "%zu", r);
        const fim_curve *loss = fim_record_curve(v->runs[r], "loss_per_output");
        const size_t epochs = loss != NULL ? loss->values->size : 0;
        FIM_TRY(fim_record_add_child(out, number, &run));
        FIM_TRY(fim_record_set_text(run, "file", text_or_empty(v->runs[r], "file")));
        FIM_TRY(set_known(run, "seed", value_or_nan(v->runs[r], "train_seed"), "not in the log"));
        FIM_TRY(fim_record_set(run, "epochs", (double)epochs, ""));
        FIM_TRY(set_known(run, "loss_per_output", epochs > 0 ? curve_at(loss, epochs - 1) : (double)NAN,
                          "no finished epoch"));
        if (run_diverged(v->runs[r]))
            FIM_TRY(fim_record_set_text(run, "ended", text_or_empty(v->runs[r], "ended")));
    }
out:
    return status;
}

// A fact of the first run, when all have it.
static void put_common(FILE *stream, const fim_record *logs, size_t n_logs, const char *name) {
    const char *first = text_or_empty(&logs[0], name);
    for (size_t i = 1; i < n_logs; i++)
        if (strcmp(text_or_empty(&logs[i], name), first) != 0)
            return;
    if (first[0] != '\0')
        fprintf(stream, "%s, ", first);
}

// "3", or "1 to 3" of what all variants have.
static void put_count(FILE *stream, const fim_record *comparison, const char *name, const char *one,
                      const char *many) {
    double low = INFINITY, high = 0;
    for (size_t k = 0; k < comparison->n_children; k++) {
        low = fmin(low, value_or_nan(&comparison->children[k], name));
        high = fmax(high, value_or_nan(&comparison->children[k], name));
    }
    if (low < high)
        fprintf(stream, "%.0f to ", low);
    fprintf(stream, "%.0f %s", high, high == 1 ? one : many);
}

static fim_status set_facts(const fim_record *logs, size_t n_logs, const variant *reference,
                            const char *asked, fim_record *out) {
    fim_status status = FIM_OK;
    text t = {0};
    char *facts = NULL, number[24];
    double floor = value_or_nan(&logs[0], "loss_floor") / run_outputs(&logs[0]);
    for (size_t i = 1; i < n_logs; i++)
        if (!(value_or_nan(&logs[i], "loss_floor") / run_outputs(&logs[i]) == floor))
            floor = NAN;
    FIM_TRY(text_open(&t));
    put_common(t.stream, logs, n_logs, "net");
    put_common(t.stream, logs, n_logs, "likelihood");
    put_common(t.stream, logs, n_logs, "precision");
    put_count(t.stream, out, "seeds", "seed", "seeds");
    fputs(", ", t.stream);
    put_count(t.stream, out, "epochs", "epoch", "epochs");
    if (floor > 0)
        fprintf(t.stream, ", no loss below %s per output", format_number("loss", floor, number));
    FIM_TRY(text_close(&t, &facts));
    FIM_TRY(fim_record_set_text(out, "facts", facts));
    free(facts);
    facts = NULL;
    FIM_TRY(text_open(&t));
    if (reference != NULL)
        fprintf(t.stream,
                "reference: the last loss of %s, %s per output, which the mean over the seeds has to reach",
                reference->name, format_number("loss", final_of(reference, COURSE_LOSS), number));
    else
        fprintf(t.stream, "no run of %s, to reach whose loss epochs and seconds would be counted", asked);
    FIM_TRY(text_close(&t, &facts));
    FIM_TRY(fim_record_set_text(out, "about_reference", facts));
    if (reference != NULL) {
        FIM_TRY(fim_record_set_text(out, "reference", reference->name));
        FIM_TRY(fim_record_set(out, "reference_loss_per_output", final_of(reference, COURSE_LOSS), ""));
    }
out:
    text_discard(&t);
    free(facts);
    return status;
}

fim_status comparison_record(const fim_record *logs, size_t n_logs, const char *reference, fim_record *out) {
    fim_status status = FIM_OK;
    variant_list list = {0};
    fim_record made;
    fim_record_init(&made, "comparison");
    const char *asked = reference != NULL ? reference : "kfac";
    if (n_logs == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "there is no run log to compare"));
    FIM_TRY(variants_group(logs, n_logs, &list));
    const variant *found = find_reference(&list, asked);
    if (found != NULL && !isfinite(final_of(found, COURSE_LOSS)))
        found = NULL;
    for (size_t k = 0; k < list.count; k++) {
        fim_record *child = NULL;
        FIM_TRY(fim_record_add_child(&made, list.items[k].name, &child));
        FIM_TRY(set_variant(&list.items[k], found, child));
    }
    FIM_TRY(set_facts(logs, n_logs, found, asked, &made));
    *out = made;
    fim_record_init(&made, "");
out:
    fim_record_clear(&made);
    variants_clear(&list);
    return status;
}
