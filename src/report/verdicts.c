// Rows of what is published and what came out, with verdicts: the errors of the approximations.
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

const struct verdict_heading verdict_headings[VERDICT_TABLES] = {
    [VERDICT_ERRORS] = {"errors", "Errors of the approximations, against one draw as published",
                        "agrees within 15 %, or within 0.02 (Error 1) and 0.01 (Error 2)"},
    [VERDICT_LOSSES] = {"losses", "Training loss per output", "agrees within 3 %"},
    [VERDICT_EPOCHS] = {"epochs", "Epochs until KFAC's last loss is reached", "agrees within 25 %"},
    [VERDICT_TIMES] = {"times", "Seconds per epoch, in units of SGD's", "agrees within a factor of 1.5"},
};

// ---- Lists ----

void verdict_list_clear(verdict_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].reason);
    free(list->items);
    *list = (verdict_list){0};
}

fim_status verdict_add(verdict_list *list, verdict row) {
    verdict *wider = realloc(list->items, (list->count + 1) * sizeof *wider);
    if (wider == NULL) {
        free(row.reason);
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a verdict");
    }
    list->items = wider;
    wider[list->count++] = row;
    return FIM_OK;
}

fim_status verdict_judge(verdict_list *list, verdict row, text *reason) {
    fim_status status = text_close(reason, &row.reason);
    if (status != FIM_OK)
        return status;
    const bool agrees = fabs(row.ours - row.published) <= row.tolerance;
    row.word = agrees ? "agrees" : "differs";
    if (agrees)
        row.reason[0] = '\0';
    return verdict_add(list, row);
}

// ---- Errors ----

static const char *const metrics[][2] = {{"frobenius_error", "Error 1"}, {"spectrum_error", "Error 2"}};
static const char *const methods[] = {"kfac", "kpsvd", "kfac-corrected", "deflation", "lanczos"};

// The largest difference between two methods along training, relative to the second.
static double largest_gap(const fim_record *report, const char *a, const char *b) {
    double gap = NAN;
    for (size_t k = 0; k < course_length(report); k++) {
        const double x = course_value(report, k, a, "frobenius_error", NULL);
        const double y = course_value(report, k, b, "frobenius_error", NULL);
        if (isfinite(x - y) && y > 0)
            gap = fmax(gap, fabs(x - y) / y);
    }
    return gap;
}

// Lanczos after so many Krylov steps, as in the report.
static double after_steps(const fim_record *krylov, double steps, const char *metric) {
    for (size_t k = 0; k < course_length(krylov); k++)
        if (course_value(krylov, k, NULL, "krylov_steps", NULL) == steps)
            return course_value(krylov, k, "lanczos", metric, NULL);
    return NAN;
}

// Why an error differs, as far as the numbers tell.
static void put_error_reason(FILE *stream, const fim_reproduction *r, const fim_paper *paper,
                             const char *method, const char *metric, const course_end *e, double published) {
    char a[24], b[24], c[24], d[24];
    if (strcmp(method, "lanczos") == 0 && isfinite(largest_gap(r->drawn, "lanczos", "deflation"))) {
        fprintf(stream, "converged it is deflation, to %s along training; ",
                format_number("residual", largest_gap(r->drawn, "lanczos", "deflation"), a));
        const double two = after_steps(r->krylov, 2, metric);
        const double best = after_steps(r->krylov, 30, metric);
        if (isfinite(two) && isfinite(best))
            fprintf(stream, "at the last checkpoint a Krylov space of 2 steps has %s, one of 30 steps %s; ",
                    format_number(metric, two, a), format_number(metric, best, b));
    }
    const size_t length = course_length(r->drawn);
    const double scaled = length > 0
                              ? course_value(r->drawn, length - 1, NULL, "decomposition_error_scaled", NULL)
                              : (double)NAN;
    if (strcmp(method, "kfac") == 0 && strcmp(metric, "frobenius_error") == 0 && isfinite(scaled))
        fprintf(stream, "the best multiple of A ⊗ G has %s at the last checkpoint; ",
                format_number(metric, scaled, a));
    const course_end one = course_end_of(r->drawn, paper, r->net, "kpsvd", metric);
    double theirs = paper_fact(paper, r->net, metric, "kpsvd");
    if (!(e->to >= 0.9 * paper_last(paper, r->net, metric, "kpsvd")))
        theirs = one.published;
    if (strcmp(method, "kpsvd") == 0)
        fprintf(stream, "%s by data, weights and draw; ",
                strcmp(metric, "frobenius_error") == 0 ? "the least error of any single Kronecker product is "
                                                         "a property of the block, which is another one"
                                                       : "the spectrum is another one");
    else if (isfinite(one.mean) && one.mean > 0 && theirs > 0)
        fprintf(stream, "KPSVD has %s here, published %s: in its units %s and %s; ",
                format_number(metric, one.mean, a), format_number(metric, theirs, b),
                format_number(metric, e->mean / one.mean, c), format_number(metric, published / theirs, d));
    if (isfinite(e->spread))
        fprintf(stream, "from checkpoint to checkpoint it varies by %s", format_number(metric, e->spread, a));
    else
        fputs("of a single checkpoint", stream);
}

static fim_status add_error(const fim_reproduction *r, const fim_paper *paper, const char *method, size_t m,
                            verdict_list *list) {
    const char *metric = metrics[m][0];
    const course_end e = course_end_of(r->drawn, paper, r->net, method, metric);
    const course_end exact = course_end_of(r->exact, paper, r->net, method, metric);
    const double end = paper_last(paper, r->net, metric, method);
    const bool whole = e.to >= 0.9 * end;
    verdict row = {.net = r->net,
                   .table = VERDICT_ERRORS,
                   .published = whole ? paper_fact(paper, r->net, metric, method) : e.published,
                   .ours = e.mean,
                   .exact = exact.mean};
    char from[24], to[24], low[24];
    text t = {0};
    fim_status status = FIM_OK;
    if (e.n == 0 || !isfinite(row.published))
        return FIM_OK;
    row.tolerance = fmax(m == 0 ? 0.02 : 0.01, 0.15 * row.published);
    snprintf(row.what, sizeof row.what, "%s of %s, iterations %s to %s", metrics[m][1], method,
             format_number("iteration", e.from, from), format_number("iteration", e.to, to));
    FIM_TRY(text_open(&t));
    const double above = row.published + row.tolerance, below = row.published - row.tolerance;
    if (e.low < e.mean && !(e.low > above || e.mean < below) && !(e.low >= below && e.mean <= above)) {
        fprintf(t.stream, "only bounds are known, %s to %s: not all eigenvalues were computed",
                format_number(metric, e.low, low), format_number(metric, e.mean, to));
        row.word = "open";
        FIM_TRY(text_close(&t, &row.reason));
        return verdict_add(list, row);
    }
    put_error_reason(t.stream, r, paper, method, metric, &e, row.published);
    return verdict_judge(list, row, &t);
out:
    text_discard(&t);
    return status;
}

// KFAC's largest error, early in training.
static fim_status add_peak(const fim_reproduction *r, const fim_paper *paper, verdict_list *list) {
    double at = NAN, exact_at = NAN;
    verdict row = {.net = r->net, .table = VERDICT_ERRORS};
    const double least = paper_fact(paper, r->net, "frobenius_peak_at_least", "kfac");
    char where[24];
    text t = {0};
    fim_status status = FIM_OK;
    row.ours = course_peak(r->drawn, "kfac", "frobenius_error", &at);
    row.exact = course_peak(r->exact, "kfac", "frobenius_error", &exact_at);
    row.published = isfinite(least) ? least : paper_fact(paper, r->net, "frobenius_peak", "kfac");
    if (!isfinite(row.ours) || !isfinite(row.published))
        return FIM_OK;
    snprintf(row.what, sizeof row.what, "largest Error 1 of kfac%s", isfinite(least) ? ", above" : "");
    row.tolerance = isfinite(least) && row.ours >= least ? (double)INFINITY : 0.15 * row.published;
    FIM_TRY(text_open(&t));
    fprintf(
        t.stream,
        "at iteration %s of those with a checkpoint; it depends on the start, which is another one here, and "
        "against the exact Fisher it is ",
        format_number("iteration", at, where));
    fprintf(t.stream, "%s", format_number("frobenius_error", row.exact, where));
    return verdict_judge(list, row, &t);
out:
    text_discard(&t);
    return status;
}

// Pairs of methods that are published farther apart than the tolerance: how many are in the same order here.
static fim_status add_order(const fim_reproduction *r, const fim_paper *paper, verdict_list *list) {
    enum { METHODS = sizeof methods / sizeof *methods };
    course_end e[METHODS];
    double published[METHODS];
    size_t pairs = 0, kept = 0;
    text t = {0};
    fim_status status = text_open(&t);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < METHODS; i++) {
        e[i] = course_end_of(r->drawn, paper, r->net, methods[i], "frobenius_error");
        const bool whole = e[i].to >= 0.9 * paper_last(paper, r->net, "frobenius_error", methods[i]);
        published[i] = whole ? paper_fact(paper, r->net, "frobenius_error", methods[i]) : e[i].published;
    }
    for (size_t i = 0; i < METHODS; i++)
        for (size_t j = i + 1; j < METHODS; j++) {
            const double gap = published[i] - published[j], ours = e[i].mean - e[j].mean;
            if (!(fabs(gap) > 0.01) || !isfinite(ours))
                continue;
            pairs++;
            if (gap * ours > 0) {
                kept++;
                continue;
            }
            char a[24], b[24];
            fprintf(t.stream, "%s%s has %s, %s %s", pairs > kept + 1 ? "; " : "", methods[i],
                    format_number("frobenius_error", e[i].mean, a), methods[j],
                    format_number("frobenius_error", e[j].mean, b));
        }
    verdict row = {.net = r->net,
                   .table = VERDICT_ERRORS,
                   .what = "pairs of methods in the published order, Error 1",
                   .published = (double)pairs,
                   .ours = (double)kept,
                   .exact = NAN,
                   .tolerance = 0};
    if (pairs > 0)
        return verdict_judge(list, row, &t);
    text_discard(&t);
    return FIM_OK;
}

fim_status verdicts_of_errors(const fim_reproduction *r, const fim_paper *paper, verdict_list *list) {
    fim_status status = FIM_OK;
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++)
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
            FIM_TRY(add_error(r, paper, methods[i], m, list));
    FIM_TRY(add_order(r, paper, list));
    FIM_TRY(add_peak(r, paper, list));
out:
    return status;
}
