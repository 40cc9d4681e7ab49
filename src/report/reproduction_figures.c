// The figures of a reproduction: ours as lines, what is published as open points.
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

// A figure of several lines in the making: one block of data a line.
typedef struct line_figure {
    draft d;
    range y;
    double right; // of the x axis
    size_t blocks;
    text plot; // the plot command so far
} line_figure;

static fim_status begin(line_figure *f, const fim_reproduction *r, const char *what, const char *title,
                        const char *subtitle) {
    char heading[256];
    *f = (line_figure){.y = RANGE_EMPTY};
    fim_status status = draft_open(&f->d);
    if (status != FIM_OK)
        return status;
    if ((status = text_open(&f->plot)) != FIM_OK) {
        draft_discard(&f->d);
        return status;
    }
    snprintf(heading, sizeof heading, "%s: %s", r->net, title);
    put_file_name(f->d.name.stream, r->net);
    fprintf(f->d.name.stream, "-%s", what);
    fputs(heading, f->d.title.stream);
    put_heading(f->d.script.stream, heading, subtitle);
    return FIM_OK;
}

static void add_point(line_figure *f, double x, double y) {
    put_number(f->d.data.stream, x);
    put_number(f->d.data.stream, y);
    putc('\n', f->d.data.stream);
    range_widen(&f->y, y);
    f->right = isfinite(y) ? fmax(f->right, x) : f->right;
}

// Ends a block and draws it; `style` as put_line knows it, with open points alone when it is published.
static void add_line(line_figure *f, const char *style, const char *title, bool published) {
    FILE *plot = f->plot.stream;
    fputs("\n\n", f->d.data.stream);
    fprintf(plot, "%s data index %zu using 1:2 with %s", f->blocks == 0 ? "plot" : ", \\\n    ", f->blocks,
            published ? "points" : "linespoints");
    if (published)
        put_open_points(plot, style);
    else
        put_line(plot, style, 0);
    if (!published) {
        fputs(" title '", plot);
        put_gnuplot(plot, title);
        putc('\'', plot);
    }
    f->blocks++;
}

// Closes the figure, or drops it when it shows nothing. `axes`: commands of its own.
static fim_status end(line_figure *f, const char *axes, bool published, figure_list *list) {
    fim_status status = FIM_OK;
    char *plot = NULL;
    FIM_TRY(text_close(&f->plot, &plot));
    if (f->y.high > 0 && f->right > 0) {
        FILE *script = f->d.script.stream;
        fputs(axes, script);
        put_legend(script, true);
        put_error_axis(script, &f->y);
        fputs(plot, script);
        if (published)
            put_open_key(script, ",");
        putc('\n', script);
        status = draft_close(&f->d, 860, 460, list);
    }
out:
    free(plot);
    text_discard(&f->plot);
    draft_discard(&f->d);
    return status;
}

// ---- Along training ----

static const char *const methods[] = {"kfac", "tkfac", "kpsvd", "kfac-corrected", "deflation", "lanczos"};
enum { METHODS = sizeof methods / sizeof *methods };

static const char iterations[] = "set xrange [0:]\nset xlabel 'iteration'\n";

// An error of the methods, with what is published of it.
static fim_status add_course(const fim_reproduction *r, const fim_record *report, const fim_paper *paper,
                             const char *metric, const char *what, const char *title, figure_list *list) {
    line_figure f;
    char subtitle[160], samples[24], axes[160];
    const fim_record *layer = course_layer(report, 0);
    double at, value;
    if (layer == NULL)
        return FIM_OK;
    snprintf(subtitle, sizeof subtitle, "layer %s, Fisher %s of %s samples; open points: published, one draw",
             layer->name, text_or_empty(layer, "fisher"),
             format_number("samples", value_or_nan(layer, "samples"), samples));
    fim_status status = begin(&f, r, what, title, subtitle);
    if (status != FIM_OK)
        return status;
    for (size_t m = 0; m < METHODS; m++) {
        for (size_t k = 0; k < course_length(report); k++)
            add_point(&f, course_iteration(report, k), course_value(report, k, methods[m], metric, NULL));
        add_line(&f, methods[m], methods[m], false);
    }
    const double right = f.right;
    for (size_t m = 0; m < METHODS; m++) {
        size_t n = 0;
        for (size_t i = 0; paper_point(paper, r->net, metric, methods[m], i, &at, &value); i++)
            if (at <= right) {
                add_point(&f, at, value);
                n++;
            }
        if (n > 0)
            add_line(&f, methods[m], "", true);
    }
    snprintf(axes, sizeof axes, "%sset ylabel '%s'\n", iterations,
             strcmp(metric, "frobenius_error") == 0 ? "‖F − F̂‖ / ‖F‖" : "spectrum error");
    return end(&f, axes, true, list);
}

// How far one draw is from the exact Fisher, beside how far the approximations are.
static fim_status add_sampling(const fim_reproduction *r, figure_list *list) {
    static const char *const shown[] = {"kpsvd", "deflation"};
    line_figure f;
    fim_status status =
        begin(&f, r, "sampling", "one draw against the exact Fisher",
              "distance of the one-draw Fisher, and of two approximations, from the exact one");
    if (status != FIM_OK)
        return status;
    for (size_t k = 0; k < course_length(r->drawn); k++)
        add_point(&f, course_iteration(r->drawn, k), course_value(r->drawn, k, NULL, "sampling_error", NULL));
    add_line(&f, "kfac", "one draw", false);
    for (size_t m = 0; m < 2; m++) {
        for (size_t k = 0; k < course_length(r->exact); k++)
            add_point(&f, course_iteration(r->exact, k),
                      course_value(r->exact, k, shown[m], "frobenius_error", NULL));
        add_line(&f, shown[m], shown[m], false);
    }
    char axes[200];
    snprintf(axes, sizeof axes, "%sset ylabel 'distance / ‖F‖'\n", iterations);
    return end(&f, axes, false, list);
}

static fim_status add_rank(const fim_reproduction *r, figure_list *list) {
    line_figure f;
    fim_status status = begin(&f, r, "rank", "Kronecker terms for an error of 1 %",
                              "the least number of Kronecker products within 1 % of the block");
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < 2; i++) {
        const fim_record *report = i == 0 ? r->exact : r->drawn;
        for (size_t k = 0; k < course_length(report); k++)
            add_point(&f, course_iteration(report, k), course_value(report, k, NULL, "rank_1_percent", NULL));
        add_line(&f, i == 0 ? "kpsvd" : "kfac", i == 0 ? "exact Fisher" : "one draw", false);
    }
    char axes[200];
    snprintf(axes, sizeof axes, "%sset ylabel 'Kronecker terms'\n%s", iterations,
             f.y.high < 12 ? "set ytics 1\n" : "");
    return end(&f, axes, false, list);
}

// ---- The last checkpoint ----

static fim_status add_krylov(const fim_reproduction *r, figure_list *list) {
    static const char *const floors[] = {"kpsvd", "deflation"};
    line_figure f;
    const size_t last = course_length(r->exact);
    fim_status status = begin(&f, r, "krylov", "LANCZOS after a number of Krylov steps",
                              "Error 1 against the exact Fisher at the last checkpoint");
    if (status != FIM_OK)
        return status;
    for (size_t k = 0; k < course_length(r->krylov); k++)
        add_point(&f, course_value(r->krylov, k, NULL, "krylov_steps", NULL),
                  course_value(r->krylov, k, "lanczos", "frobenius_error", NULL));
    const double right = f.right;
    add_line(&f, "lanczos", "lanczos", false);
    for (size_t m = 0; m < 2 && last > 0; m++) {
        const double value = course_value(r->exact, last - 1, floors[m], "frobenius_error", NULL);
        add_point(&f, 2, value);
        add_point(&f, right, value);
        add_line(&f, floors[m], floors[m], false);
    }
    if (!(right > 0))
        f.y = RANGE_EMPTY;
    return end(&f, "set xlabel 'Krylov steps'\nset ylabel '‖F − F̂‖ / ‖F‖'\n", false, list);
}

static fim_status add_layers(const fim_reproduction *r, figure_list *list) {
    line_figure f;
    const fim_record *all =
        course_length(r->layers) > 0
            ? fim_record_child(&fim_record_child(r->layers, "checkpoints")->children[0], "layers")
            : NULL;
    fim_status status = begin(&f, r, "layer-ranks", "Kronecker terms for an error of 1 %, layer by layer",
                              "exact Fisher at the last checkpoint");
    if (status != FIM_OK)
        return status;
    for (size_t l = 0; all != NULL && l < all->n_children; l++)
        add_point(&f, strtod(all->children[l].name, NULL), // of a network, named by their numbers
                  value_or_nan(&all->children[l], "rank_1_percent"));
    add_line(&f, "kpsvd", "terms", false);
    return end(&f, "set xlabel 'layer'\nset ylabel 'Kronecker terms'\nset xtics 1\n", false, list);
}

fim_status figures_of_reproduction(const fim_reproduction *r, const fim_paper *paper, figure_list *list) {
    fim_status status = FIM_OK;
    FIM_TRY(
        add_course(r, r->drawn, paper, "frobenius_error", "error-1-drawn", "Error 1 against one draw", list));
    FIM_TRY(
        add_course(r, r->drawn, paper, "spectrum_error", "error-2-drawn", "Error 2 against one draw", list));
    FIM_TRY(add_course(r, r->exact, paper, "frobenius_error", "error-1-exact",
                       "Error 1 against the exact Fisher", list));
    FIM_TRY(add_course(r, r->exact, paper, "spectrum_error", "error-2-exact",
                       "Error 2 against the exact Fisher", list));
    FIM_TRY(add_sampling(r, list));
    FIM_TRY(add_krylov(r, list));
    FIM_TRY(add_rank(r, list));
    FIM_TRY(add_layers(r, list));
out:
    return status;
}
