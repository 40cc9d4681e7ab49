// Rows of what is published and what came out, with verdicts: training losses, epochs and seconds.
#include <string.h>

#include "verdict.h"

static const char *const optimizers[] = {"sgd",       "adam",           "kfac",   "kpsvd",
                                         "deflation", "kfac-corrected", "lanczos"};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

// The first variant of that optimizer with the damping of the paper; NULL.
static const variant *find(const variant_list *list, const char *optimizer) {
    for (size_t k = 0; k < list->count; k++) {
        const fim_record *run = list->items[k].runs[0];
        const char *form = text_or_empty(run, "damping_form");
        if (strcmp(text_or_empty(run, "optimizer"), optimizer) == 0 &&
            (form[0] == '\0' || strcmp(form, "paper") == 0))
            return &list->items[k];
    }
    return NULL;
}

// Iterations of an epoch.
static double iterations_of(const variant *v) {
    return curve_at(fim_record_curve(v->runs[0], "iterations"), 0);
}

static double published_iterations(const fim_paper *paper, const char *net) {
    return ceil(paper_fact(paper, net, "train_samples", "") / paper_fact(paper, net, "batch", ""));
}

// ---- Losses ----

// The epoch since which the loss stays within 0.2 % of the last one; 0 when that is not half of the epochs.
static size_t rests_since(const variant *v) {
    const double last = v->courses[COURSE_LOSS][v->epochs - 1].mean;
    size_t e = v->epochs;
    while (e > 0 && fabs(v->courses[COURSE_LOSS][e - 1].mean - last) <= 0.002 * last)
        e--;
    return v->epochs >= 6 && 2 * e <= v->epochs ? e + 1 : 0;
}

// The share of steps that clipping shortened, and to what on average.
static double clipped_share(const variant *v, double *average) {
    const fim_curve *c = fim_record_curve(v->runs[0], "clip");
    size_t n = 0;
    *average = 0;
    for (size_t i = 0; c != NULL && i < c->values->size; i++)
        if (gsl_vector_get(c->values, i) < 1) {
            *average += gsl_vector_get(c->values, i);
            n++;
        }
    *average = n > 0 ? *average / (double)n : 1;
    return c != NULL && c->values->size > 0 ? (double)n / (double)c->values->size : 0;
}

static void put_settings(FILE *stream, const fim_paper *paper, const char *net, const variant *v,
                         const char *optimizer) {
    static const char *const names[][2] = {{"learning_rate", "rate"}, {"damping", "damping"}};
    char a[24], b[24];
    for (size_t i = 0; i < 2; i++) {
        const double ours = value_or_nan(v->runs[0], names[i][0]);
        const double theirs = paper_fact(paper, net, names[i][0], optimizer);
        if (isfinite(ours) && isfinite(theirs) && fabs(ours - theirs) > 1e-9 * fabs(theirs))
            fprintf(stream, "%s %s here, %s published; ", names[i][1], format_number("", ours, a),
                    format_number("", theirs, b));
    }
}

static void put_loss_reason(FILE *stream, const fim_reproduction *r, const fim_paper *paper, const variant *v,
                            const char *optimizer, const verdict *row) {
    char a[24], b[24];
    double average;
    const double floor = value_or_nan(v->runs[0], "loss_floor") / run_outputs(v->runs[0]);
    const double share = clipped_share(v, &average);
    const size_t since = rests_since(v);
    if (v->n_diverged == v->n_runs) {
        fprintf(stream, "diverged: %s", text_or_empty(v->runs[0], "ended"));
        return;
    }
    put_settings(stream, paper, r->net, v, optimizer);
    if (iterations_of(v) != published_iterations(paper, r->net))
        fprintf(stream, "compared over the same iterations, %s an epoch here, %s there, of fewer images; ",
                format_number("iterations", iterations_of(v), a),
                format_number("iterations", published_iterations(paper, r->net), b));
    if (since > 0)
        fprintf(stream, "rests at %s since epoch %zu, which no later step leaves; ",
                format_number("loss", final_of(v, COURSE_LOSS), a), since);
    if (floor > 0)
        fprintf(stream, "over the entropy of our images, %s, it is %s; ", format_number("loss", floor, a),
                format_number("loss", row->ours - floor, b));
    if (share > 0.01)
        fprintf(stream, "clipping shortened %.0f %% of the steps, those to %.2g on average; ", 100 * share,
                average);
    if (v->n_counted > 1)
        fprintf(stream, "%zu seeds", v->n_counted);
    else
        fputs("one seed", stream);
}

static fim_status add_loss(const fim_reproduction *r, const fim_paper *paper, const variant *v,
                           const char *optimizer, double epoch, verdict_list *list) {
    verdict row = {.net = r->net, .table = VERDICT_LOSSES, .exact = NAN, .ours = NAN};
    text t = {0};
    fim_status status = FIM_OK;
    row.published = paper_at(paper, r->net, "loss_per_output", optimizer, epoch);
    const double at = epoch * published_iterations(paper, r->net) / iterations_of(v);
    const size_t own = (size_t)(at + 0.5);
    // A published epoch's running mean is over as many iterations, which are several shorter epochs of ours.
    const size_t several = (size_t)(at / epoch + 0.5), window = several > 1 ? several : 1;
    if (!isfinite(row.published) || own < window)
        return FIM_OK;
    snprintf(row.what, sizeof row.what, "%s, epoch %g", optimizer, epoch);
    row.tolerance = 0.03 * row.published;
    FIM_TRY(text_open(&t));
    if (own > v->epochs) {
        fprintf(t.stream, "%zu epochs of %zu were run", v->epochs, own);
        row.word = "not run";
        FIM_TRY(text_close(&t, &row.reason));
        return verdict_add(list, row);
    }
    row.ours = 0;
    for (size_t e = own - window; e < own; e++)
        row.ours += v->courses[COURSE_LOSS][e].mean / (double)window;
    put_loss_reason(t.stream, r, paper, v, optimizer, &row);
    return verdict_judge(list, row, &t);
out:
    text_discard(&t);
    return status;
}

// At the epochs of the published table; of a short run at what is published and as far as it goes.
static fim_status add_losses(const fim_reproduction *r, const fim_paper *paper, const variant *v,
                             const char *optimizer, verdict_list *list) {
    static const double epochs[] = {10, 50, 200};
    const double reach = (double)v->epochs * iterations_of(v) / published_iterations(paper, r->net);
    fim_status status = FIM_OK;
    double at, value, short_of = 0;
    for (size_t i = 0; reach < 10 && paper_point(paper, r->net, "loss_per_output", optimizer, i, &at, &value);
         i++)
        short_of = at <= reach + 0.01 && at > short_of ? at : short_of;
    if (short_of > 0)
        FIM_TRY(add_loss(r, paper, v, optimizer, short_of, list));
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++)
        FIM_TRY(add_loss(r, paper, v, optimizer, epochs[i], list));
out:
    return status;
}

// ---- Epochs to KFAC's last loss ----

static fim_status add_epochs(const fim_reproduction *r, const fim_paper *paper, const variant *v,
                             const variant *kfac, const char *optimizer, verdict_list *list) {
    verdict row = {.net = r->net, .table = VERDICT_EPOCHS, .exact = NAN, .ours = NAN};
    const double target = final_of(kfac, COURSE_LOSS),
                 last = paper_last(paper, r->net, "loss_per_output", "kfac");
    char a[24], b[24];
    size_t e = 0;
    text t = {0};
    fim_status status = FIM_OK;
    row.published = paper_fact(paper, r->net, "epochs_to_kfac", optimizer);
    if (!isfinite(row.published))
        return FIM_OK;
    snprintf(row.what, sizeof row.what, "%s", optimizer);
    row.tolerance = 0.25 * row.published;
    FIM_TRY(text_open(&t));
    if ((double)kfac->epochs < last || v->epochs < kfac->epochs) {
        fprintf(t.stream, "%zu epochs of %g were run", v->epochs < kfac->epochs ? v->epochs : kfac->epochs,
                last);
        row.word = "not run";
        FIM_TRY(text_close(&t, &row.reason));
        return verdict_add(list, row);
    }
    while (e < v->epochs && !(v->courses[COURSE_LOSS][e].mean <= target))
        e++;
    row.ours = e < v->epochs ? (double)e + 1 : (double)NAN;
    if (e < v->epochs)
        fprintf(t.stream, "KFAC ends at %s here", format_number("loss", target, a));
    else
        fprintf(t.stream, "never: it ends at %s, KFAC at %s",
                format_number("loss", final_of(v, COURSE_LOSS), a), format_number("loss", target, b));
    fprintf(t.stream, ", published %s",
            format_number("loss", paper_at(paper, r->net, "loss_per_output", "kfac", last), a));
    return verdict_judge(list, row, &t);
out:
    text_discard(&t);
    return status;
}

// ---- Seconds ----

static fim_status add_time(const fim_reproduction *r, const fim_paper *paper, const fim_record *comparison,
                           const variant *v, const variant *sgd, const char *optimizer, verdict_list *list) {
    verdict row = {.net = r->net, .table = VERDICT_TIMES, .exact = NAN};
    const fim_record *own = fim_record_child(comparison, v->name),
                     *base = fim_record_child(comparison, sgd->name);
    const double theirs = paper_fact(paper, r->net, "seconds_per_epoch", "sgd");
    text t = {0};
    fim_status status = FIM_OK;
    row.published = paper_fact(paper, r->net, "seconds_per_epoch", optimizer) / theirs;
    row.ours = value_or_nan(own, "seconds_per_epoch") / value_or_nan(base, "seconds_per_epoch");
    if (!isfinite(row.published) || !isfinite(row.ours))
        return FIM_OK;
    snprintf(row.what, sizeof row.what, "%s", optimizer);
    row.tolerance = row.ours > row.published ? 0.5 * row.published : row.published / 3;
    FIM_TRY(text_open(&t));
    fprintf(t.stream, "an epoch of SGD takes %.2g s on their GPU, %.2g s here", theirs,
            value_or_nan(base, "seconds_per_epoch"));
    if (isfinite(value_or_nan(own, "refresh_share")))
        fprintf(t.stream, "; refreshes are %.0f %% of the time here",
                100 * value_or_nan(own, "refresh_share"));
    return verdict_judge(list, row, &t);
out:
    text_discard(&t);
    return status;
}

fim_status verdicts_of_training(const fim_reproduction *r, const fim_paper *paper, verdict_list *list) {
    fim_status status = FIM_OK;
    variant_list variants = {0};
    fim_record comparison;
    fim_record_init(&comparison, "comparison");
    if (r->n_logs == 0)
        return FIM_OK;
    FIM_TRY(variants_group(r->logs, r->n_logs, &variants));
    FIM_TRY(comparison_record(r->logs, r->n_logs, NULL, &comparison));
    const variant *kfac = find(&variants, "kfac"), *sgd = find(&variants, "sgd");
    for (size_t i = 0; i < OPTIMIZERS; i++) {
        const variant *v = find(&variants, optimizers[i]);
        if (v != NULL && v->epochs > 0)
            FIM_TRY(add_losses(r, paper, v, optimizers[i], list));
    }
    for (size_t i = 0; i < OPTIMIZERS; i++) {
        const variant *v = find(&variants, optimizers[i]);
        if (v != NULL && kfac != NULL && v->epochs > 0 && kfac->epochs > 0)
            FIM_TRY(add_epochs(r, paper, v, kfac, optimizers[i], list));
    }
    for (size_t i = 0; i < OPTIMIZERS; i++) {
        const variant *v = find(&variants, optimizers[i]);
        if (v != NULL && sgd != NULL && v != sgd)
            FIM_TRY(add_time(r, paper, &comparison, v, sgd, optimizers[i], list));
    }
out:
    fim_record_clear(&comparison);
    variants_clear(&variants);
    return status;
}
