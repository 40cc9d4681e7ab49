// What the reproduction shows, in sentences with their numbers.
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

// Least and largest over the checkpoints of a value of the layer or a method.
static range over_course(const fim_record *report, const char *method, const char *name) {
    range r = RANGE_EMPTY;
    for (size_t k = 0; k < course_length(report); k++)
        range_widen(&r, course_value(report, k, method, name, NULL));
    return r;
}

static void put_range(FILE *stream, const char *name, range r) {
    char a[24], b[24];
    fprintf(stream, "%s to %s", format_number(name, r.low, a), format_number(name, r.high, b));
}

static double last_value(const fim_record *report, const char *method, const char *name) {
    const size_t length = course_length(report);
    return length > 0 ? course_value(report, length - 1, method, name, NULL) : (double)NAN;
}

// The largest |x − y| of two methods' errors over the checkpoints, relative to y.
static double largest_excess(const fim_record *report, const char *x, const char *y, const char *name) {
    double most = NAN;
    for (size_t k = 0; k < course_length(report); k++) {
        const double a = course_value(report, k, x, name, NULL), b = course_value(report, k, y, name, NULL);
        if (b > 0 && isfinite(a))
            most = fmax(most, fabs(a - b) / b);
    }
    return most;
}

// ---- The findings ----

static fim_status tell_lanczos(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    const double gap = largest_excess(r->exact, "lanczos", "deflation", "frobenius_error");
    const double theirs = paper_fact(paper, r->net, "frobenius_error", "lanczos");
    const double one = paper_fact(paper, r->net, "frobenius_error", "kpsvd");
    const double two = paper_fact(paper, r->net, "frobenius_error", "deflation");
    char a[24], b[24], c[24];
    if (!isfinite(gap))
        return FIM_OK;
    fprintf(stream,
            "converged, LANCZOS and DEFLATION have the same error to %s of it along the whole training. ",
            format_number("residual", gap, a));
    fprintf(stream, "Published are %s for LANCZOS, beside %s of KPSVD and %s of DEFLATION.",
            format_number("", theirs, a), format_number("", one, b), format_number("", two, c));
    for (size_t k = 0; k < course_length(r->krylov); k++)
        fprintf(stream, "%s%s after %g Krylov steps", k == 0 ? " At the last checkpoint: " : ", ",
                format_number("frobenius_error",
                              course_value(r->krylov, k, "lanczos", "frobenius_error", NULL), a),
                course_value(r->krylov, k, NULL, "krylov_steps", NULL));
    if (course_length(r->krylov) > 0)
        fprintf(stream, "; KPSVD %s, DEFLATION %s.",
                format_number("", last_value(r->exact, "kpsvd", "frobenius_error"), a),
                format_number("", last_value(r->exact, "deflation", "frobenius_error"), b));
    return FIM_OK;
}

static fim_status tell_draw(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    (void)paper;
    const range draw = over_course(r->drawn, NULL, "sampling_error");
    const double last = last_value(r->drawn, NULL, "sampling_error");
    const double best = last_value(r->exact, "deflation", "frobenius_error");
    const double worst = last_value(r->exact, "kpsvd", "frobenius_error");
    char a[24], b[24], c[24];
    if (!(draw.high > 0))
        return FIM_OK;
    fputs("the Fisher of one drawn label per sample is ", stream);
    put_range(stream, "sampling_error", draw);
    fprintf(stream, " away from the exact one at the same samples, %s at the end",
            format_number("sampling_error", last, a));
    if (isfinite(best) && isfinite(worst))
        fprintf(stream, ", where KPSVD and DEFLATION are %s apart (%s and %s)",
                format_number("", worst - best, a), format_number("", worst, b), format_number("", best, c));
    putc('.', stream);
    return FIM_OK;
}

static fim_status tell_above(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    double peak_at = NAN, exact_at = NAN;
    const double peak = course_peak(r->drawn, "kfac", "frobenius_error", &peak_at);
    const double exact = course_peak(r->exact, "kfac", "frobenius_error", &exact_at);
    double first = NAN, last = NAN;
    char a[24], b[24];
    (void)paper;
    if (!isfinite(peak))
        return FIM_OK;
    for (size_t k = 0; k < course_length(r->drawn); k++)
        if (course_value(r->drawn, k, "kfac", "frobenius_error", NULL) > 1) {
            first = isnan(first) ? course_iteration(r->drawn, k) : first;
            last = course_iteration(r->drawn, k);
        }
    fprintf(stream, "KFAC's error has its maximum of %s at iteration %s (", format_number("", peak, a),
            format_number("iteration", peak_at, b));
    fprintf(stream, "exact Fisher: %s)", format_number("", exact, a));
    if (isfinite(first))
        fprintf(stream, "; it is above 1, worse than the zero matrix, at checkpoints from iteration %g to %g",
                first, last);
    else
        fputs("; it is never above 1, that of the zero matrix", stream);
    const double scale = course_length(r->drawn) > 0
                             ? last_value(r->drawn, NULL, "decomposition_part_scale") /
                                   pow(last_value(r->drawn, NULL, "decomposition_error_kfac"), 2)
                             : (double)NAN;
    if (isfinite(scale))
        fprintf(stream, ". At the end %.0f %% of its square would be repaired by a factor", 100 * scale);
    putc('.', stream);
    return FIM_OK;
}

static fim_status tell_tkfac(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    const double most = largest_excess(r->exact, "tkfac", "kpsvd", "frobenius_error");
    const double end = last_value(r->exact, "tkfac", "frobenius_error");
    const double best = last_value(r->exact, "kpsvd", "frobenius_error");
    char a[24], b[24], c[24];
    (void)paper;
    if (!isfinite(most))
        return FIM_OK;
    fprintf(stream,
            "TKFAC, one power step from the identity, is at most %.1f %% above KPSVD along training; at the "
            "end the "
            "errors are %s and %s, KFAC's %s.",
            100 * most, format_number("", end, a), format_number("", best, b),
            format_number("", last_value(r->exact, "kfac", "frobenius_error"), c));
    return FIM_OK;
}

// The variant of an optimizer with a damping form, or of any.
static const variant *find(const variant_list *list, const char *optimizer, const char *form) {
    for (size_t k = 0; k < list->count; k++)
        if (strcmp(text_or_empty(list->items[k].runs[0], "optimizer"), optimizer) == 0 &&
            strcmp(text_or_empty(list->items[k].runs[0], "damping_form"), form) == 0 &&
            list->items[k].epochs > 0)
            return &list->items[k];
    return NULL;
}

static fim_status tell_damping(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    variant_list list = {0};
    char a[24], b[24];
    (void)paper;
    fim_status status = r->n_logs > 0 ? variants_group(r->logs, r->n_logs, &list) : FIM_OK;
    if (status != FIM_OK)
        return status;
    const variant *kfac = find(&list, "kfac", "paper"), *each = find(&list, "kfac", "each");
    static const char *const others[] = {"kpsvd", "deflation", "kfac-corrected"};
    if (kfac != NULL && each != NULL) {
        fprintf(stream,
                "KFAC ends at %s with the root of λ on each factor, as published, and at %s with λ itself, "
                "as the "
                "methods of two terms have it",
                format_number("loss", final_of(kfac, COURSE_LOSS), a),
                format_number("loss", final_of(each, COURSE_LOSS), b));
        const char *lead = "; better curvature:";
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            const variant *v = find(&list, others[i], "paper");
            if (v == NULL)
                continue;
            fprintf(stream, "%s %s %s", lead, others[i], format_number("loss", final_of(v, COURSE_LOSS), a));
            lead = ",";
        }
        fprintf(stream, " (after %zu epochs).", kfac->epochs);
    }
    variants_clear(&list);
    return FIM_OK;
}

static fim_status tell_rank(FILE *stream, const fim_reproduction *r, const fim_paper *paper) {
    const range along = over_course(r->exact, NULL, "rank_1_percent");
    range layers = RANGE_EMPTY;
    (void)paper;
    if (!(along.high > 0))
        return FIM_OK;
    fputs("an error of 1 % takes ", stream);
    put_range(stream, "rank", along);
    fputs(" Kronecker terms along training", stream);
    const fim_record *all =
        course_length(r->layers) > 0
            ? fim_record_child(&fim_record_child(r->layers, "checkpoints")->children[0], "layers")
            : NULL;
    for (size_t l = 0; all != NULL && l < all->n_children; l++)
        range_widen(&layers, value_or_nan(&all->children[l], "rank_1_percent"));
    if (layers.high > 0) {
        fputs(", and over the layers of the last checkpoint ", stream);
        put_range(stream, "rank", layers);
    }
    putc('.', stream);
    return FIM_OK;
}

static const struct {
    const char *title, *command;
    fim_status (*tell)(FILE *stream, const fim_reproduction *r, const fim_paper *paper);
} told[FINDINGS] = {
    {"A converged LANCZOS is DEFLATION; the published one did not converge",
     "fim-analyze CHECKPOINT --data SPEC --layers 4 --methods lanczos --krylov 2 (3, 4, ...)", tell_lanczos},
    {"One draw is not the exact Fisher",
     "fim-analyze RUN/ --data SPEC --layers 4 --fisher mc:1 --methods kpsvd,deflation --sampling-error",
     tell_draw},
    {"KFAC can be worse than nothing early in training",
     "fim-analyze RUN/ --data SPEC --layers 4 --fisher mc:1 --methods kfac", tell_above},
    {"TKFAC is nearly KPSVD", "fim-analyze RUN/ --data SPEC --layers 4 --methods tkfac,kpsvd", tell_tkfac},
    {"The convention of damping against the quality of the curvature",
     "fim-train --net NET --data SPEC --compare kfac,kfac/each,kpsvd,deflation,kfac-corrected -o DIR",
     tell_damping},
    {"How many Kronecker terms 1 % takes",
     "fim-analyze RUN/ --data SPEC --layers 4 --methods kfac, and CHECKPOINT without --layers", tell_rank},
};

void findings_clear(finding findings[FINDINGS]) {
    for (size_t i = 0; i < FINDINGS; i++) {
        free(findings[i].told);
        findings[i].told = NULL;
    }
}

fim_status findings_make(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                         finding findings[FINDINGS]) {
    finding made[FINDINGS] = {0};
    text t = {0};
    char *sentence = NULL;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < FINDINGS; i++) {
        text all = {0};
        made[i] = (finding){.title = told[i].title, .command = told[i].command};
        FIM_TRY(text_open(&all));
        bool any = false;
        for (size_t k = 0; k < count && status == FIM_OK; k++) {
            if ((status = text_open(&t)) != FIM_OK)
                break;
            status = told[i].tell(t.stream, &nets[k], paper);
            if (status != FIM_OK || (status = text_close(&t, &sentence)) != FIM_OK)
                break;
            if (sentence[0] != '\0')
                fprintf(all.stream, "%s%s: %s", any ? "\n" : "", nets[k].net, sentence);
            any = any || sentence[0] != '\0';
            free(sentence);
            sentence = NULL;
        }
        if (status != FIM_OK || !any)
            text_discard(&all);
        else
            status = text_close(&all, &made[i].told);
        if (status != FIM_OK)
            goto out;
    }
    memcpy(findings, made, sizeof made);
    memset(made, 0, sizeof made);
out:
    text_discard(&t);
    findings_clear(made);
    return status;
}
