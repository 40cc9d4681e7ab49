// Figures of training runs: losses per output against epochs and against seconds, a line per variant (the
// mean over its seeds) with the band from its least to its greatest seed. A single run is one variant of one
// seed.
#include <math.h>
#include <string.h>

#include "parts.h"

// So many variants show training and validation in one figure.
enum { FEW = 2 };

typedef struct view {
    const char *name, *title, *what;
    course x, y; // COURSES for x: epochs
    bool logarithmic;
} view;

static const view views[] = {
    {"loss-by-epoch", "Loss by epoch", "loss per output", COURSES, COURSE_LOSS, false},
    {"loss-by-seconds", "Loss by training time", "loss per output", COURSE_SECONDS, COURSE_LOSS, false},
    {"excess-by-epoch", "Excess over the least loss, by epoch", "excess per output", COURSES, COURSE_EXCESS,
     true},
    {"excess-by-seconds", "Excess over the least loss, by training time", "excess per output", COURSE_SECONDS,
     COURSE_EXCESS, true},
    {"validation-by-epoch", "Validation loss by epoch", "validation loss per output", COURSES,
     COURSE_VALIDATION, false},
    {"validation-by-seconds", "Validation loss by training time", "validation loss per output",
     COURSE_SECONDS, COURSE_VALIDATION, false},
};

// What a figure's script has to know about its data.
typedef struct extent {
    range y;
    double right; // of the x axis
    size_t longest;
    bool any, validated, bands;
} extent;

static void put_spread(FILE *data, const spread *s, bool logarithmic, extent *e) {
    const bool there = isfinite(s->mean) && !(logarithmic && !(s->low > 0));
    put_number(data, there ? s->mean : (double)NAN);
    put_number(data, there ? s->low : (double)NAN);
    put_number(data, there ? s->high : (double)NAN);
    if (there && e != NULL) {
        e->any = true;
        range_widen(&e->y, s->low);
        range_widen(&e->y, s->high);
    }
}

// One block per variant: epoch, seconds since the start, mean, least and greatest of the loss; the same of
// the validation loss.
static void put_variants(FILE *data, const variant_list *list, const view *w, bool validation, extent *e) {
    *e = (extent){.y = RANGE_EMPTY};
    fputs("# epoch seconds mean least greatest validation_mean validation_least validation_greatest\n", data);
    for (size_t k = 0; k < list->count; k++) {
        const variant *v = &list->items[k];
        fputs("#", data);
        put_quoted(data, v->name);
        putc('\n', data);
        for (size_t i = 0; i < v->epochs; i++) {
            const double seconds = v->courses[COURSE_SECONDS][i].mean;
            fprintf(data, "%zu", i + 1);
            put_number(data, seconds);
            put_spread(data, &v->courses[w->y][i], w->logarithmic, e);
            put_spread(data, &v->courses[COURSE_VALIDATION][i], false, validation ? e : NULL);
            putc('\n', data);
            e->right = fmax(e->right, w->x == COURSES ? (double)i + 1 : seconds);
            e->validated |= isfinite(v->courses[COURSE_VALIDATION][i].mean);
        }
        if (v->epochs == 0)
            fputs("? ? ? ? ? ? ? ?\n", data);
        e->longest = v->epochs > e->longest ? v->epochs : e->longest;
        e->bands |= v->n_counted > 1;
        fputs("\n\n", data);
    }
}

static void put_title(FILE *script, const variant_list *list, size_t k, const char *what) {
    const variant *v = &list->items[k];
    fputs(" title '", script);
    if (list->count > 1)
        put_gnuplot(script, v->name);
    fprintf(script, "%s%s", list->count > 1 && what[0] != '\0' ? ", " : "", what);
    if (v->n_diverged > 0 && v->n_runs > 1)
        fprintf(script, " (%zu of %zu diverged)", v->n_diverged, v->n_runs);
    else if (v->n_diverged > 0)
        fputs(" (diverged)", script);
    putc('\'', script);
}

static const char *optimizer_of(const variant_list *list, size_t k) {
    return text_or_empty(list->items[k].runs[0], "optimizer");
}

// How many variants of k's optimizer come before it.
static size_t earlier(const variant_list *list, size_t k) {
    size_t n = 0;
    for (size_t i = 0; i < k; i++)
        n += strcmp(optimizer_of(list, i), optimizer_of(list, k)) == 0;
    return n;
}

// Points of others for variant k: of its optimizer, when it is the first one of it. Returns how many there
// are; writes them when `data` is not NULL.
static size_t put_published(FILE *data, const variant_list *list, const fim_published *published, size_t k,
                            extent *e) {
    const char *optimizer = optimizer_of(list, k);
    size_t n = 0;
    if (earlier(list, k) > 0)
        return 0;
    for (size_t i = 0; published != NULL && i < published->count; i++) {
        const struct fim_published_point *p = &published->points[i];
        if (strcmp(p->optimizer, optimizer) != 0 || p->epoch > e->right)
            continue;
        n++;
        if (data != NULL) {
            put_number(data, p->epoch);
            put_number(data, p->loss);
            putc('\n', data);
            range_widen(&e->y, p->loss);
        }
    }
    if (n > 0 && data != NULL)
        fputs("\n\n", data);
    return n;
}

static void put_axes(FILE *script, const view *w, const extent *e, bool few) {
    if (w->logarithmic || range_is_wide(&e->y))
        put_log_axis(script, &e->y);
    fprintf(script, "set xlabel '%s'\nset ylabel '%s'\n", w->x == COURSES ? "epoch" : "training time / s",
            w->what);
    if (w->x == COURSES && e->longest <= 12)
        fputs("set xtics 1\n", script);
    put_legend(script, !few);
    if (e->bands)
        fputs("set style fill transparent solid 0.15 noborder\n", script);
}

static void put_lines(FILE *script, const variant_list *list, const view *w, const fim_published *published,
                      const extent *e, bool validation) {
    const size_t every = 1 + e->longest / 40; // points, so that they do not merge
    const size_t x = w->x == COURSES ? 1 : 2;
    const char *lead = "plot";
    for (size_t k = 0; k < list->count; k++) // below all lines
        if (list->items[k].n_counted > 1) {
            fprintf(script, "%s data index %zu using %zu:4:5 with filledcurves", lead, k, x);
            put_fill(script, optimizer_of(list, k));
            lead = ", \\\n    ";
        }
    for (size_t k = 0; k < list->count; k++) {
        fprintf(script, "%s data index %zu using %zu:3 with linespoints", lead, k, x);
        put_line(script, optimizer_of(list, k), earlier(list, k));
        fprintf(script, " pi %zu", every);
        put_title(script, list, k, list->count > FEW ? "" : "training");
        lead = ", \\\n    ";
        if (!validation || !e->validated)
            continue;
        fprintf(script, "%s data index %zu using %zu:6 with linespoints", lead, k, x);
        put_open_points(script, optimizer_of(list, k));
        fprintf(script, " dt '.' pi %zu", every);
        put_title(script, list, k, "validation");
    }
    size_t index = list->count;
    for (size_t k = 0; w->x == COURSES && w->y == COURSE_LOSS && k < list->count; k++)
        if (put_published(NULL, list, published, k, &(extent){.right = e->right}) > 0) {
            fprintf(script, "%s data index %zu using 1:2 with points", lead, index++);
            put_open_points(script, optimizer_of(list, k));
        }
    if (index > list->count)
        put_open_key(script, lead);
    putc('\n', script);
}

static fim_status run_figure(const variant_list *list, const view *w, const fim_published *published,
                             figure_list *figures) {
    const bool few = list->count <= FEW, validation = few && w->y == COURSE_LOSS;
    fim_status status = FIM_OK;
    draft d = {0};
    extent e;
    if (few && w->y == COURSE_VALIDATION) // there already
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    fputs(w->name, d.name.stream);
    fputs(w->title, d.title.stream);
    put_variants(d.data.stream, list, w, validation, &e);
    if (!e.any)
        goto out;
    for (size_t k = 0; w->x == COURSES && w->y == COURSE_LOSS && k < list->count; k++)
        put_published(d.data.stream, list, published, k, &e);
    char subtitle[256];
    snprintf(subtitle, sizeof subtitle, "%s%s",
             w->y == COURSE_VALIDATION ? "after the epoch"
             : w->y == COURSE_EXCESS   ? "above the targets' entropy"
                                       : "mean over the epoch",
             e.bands ? "; line and band: mean and range of the seeds" : "");
    put_heading(d.script.stream, w->title, subtitle);
    put_axes(d.script.stream, w, &e, few);
    put_lines(d.script.stream, list, w, published, &e, validation);
    FIM_TRY(draft_close(&d, few ? 760 : 900, 460, figures));
out:
    draft_discard(&d);
    return status;
}

fim_status figures_of_runs(const fim_record *logs, size_t n_logs, const fim_published *published,
                           figure_list *figures) {
    fim_status status = FIM_OK;
    variant_list list = {0};
    FIM_TRY(variants_group(logs, n_logs, &list));
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        FIM_TRY(run_figure(&list, &views[i], published, figures));
out:
    variants_clear(&list);
    return status;
}
