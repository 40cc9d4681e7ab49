// The steps of the methods along a sweep of dampings: a compact table, and a figure per metric.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

const char *const step_names[] = {"step_cosine",           "step_length_ratio", "model_decrease",
                                  "model_decrease_scaled", "stein_divergence",  NULL};

bool is_step_name(const char *name) {
    for (const char *const *known = step_names; *known != NULL; known++)
        if (strcmp(name, *known) == 0)
            return true;
    return false;
}

static bool any_steps(const fim_record *layer, const char *name) {
    for (size_t m = 0; m < layer->n_children; m++)
        if (fim_record_curve(&layer->children[m], name) != NULL)
            return true;
    return false;
}

static double step_at(const fim_record *method, const char *name, size_t i) {
    const fim_curve *c = fim_record_curve(method, name);
    return c != NULL && i < c->values->size ? gsl_vector_get(c->values, i) : (double)NAN;
}

// By how much the method's divergence is off beside what all share; 0 where it is exact.
static double own_error(const fim_record *method, size_t i) {
    const double error = step_at(method, "stein_divergence_own_error", i);
    return isnan(error) ? 0 : error;
}

// The errors of divergences at the places of the table, on lines of their own.
static void tell_errors(const fim_record *layer, size_t n, const size_t *at, size_t places, char *legend,
                        size_t size) {
    const fim_curve *shared = fim_record_curve(layer, "stein_divergence_error");
    size_t end = 0;
    legend[0] = '\0';
    for (size_t p = 0; shared != NULL && shared->values->size == n && p < places; p++)
        end += (size_t)snprintf(
            legend + end, size - end, "%s %.1g%s", p == 0 ? "\ndivergences off by about" : "",
            gsl_vector_get(shared->values, at[p]), p + 1 < places ? "," : " in all rows alike");
    if (!any_steps(layer, "stein_divergence_own_error"))
        return;
    for (size_t p = 0; p < places; p++) {
        double most = NAN; // of the divergences that there are
        for (size_t m = 0; m < layer->n_children; m++)
            if (fim_record_curve(&layer->children[m], "stein_divergence_own_error") != NULL &&
                !isnan(step_at(&layer->children[m], "stein_divergence", at[p])))
                most = fmax(most, own_error(&layer->children[m], at[p]));
        end += (size_t)snprintf(legend + end, size - end, "%s ",
                                p == 0 ? "\ndivergences of sums off by up to" : "");
        end += (size_t)(isnan(most) ? snprintf(legend + end, size - end, "-")
                                    : snprintf(legend + end, size - end, "%.1g", most));
        end += (size_t)snprintf(legend + end, size - end, "%s", p + 1 < places ? "," : " of their own");
    }
}

// What stands in the place of a missing number: why.
static const char *step_note(const fim_record *method, const char *name) {
    const fim_curve *c = fim_record_curve(method, name);
    const fim_value *v = fim_record_value(method, name);
    return c != NULL ? c->note : v != NULL ? v->note : "";
}

fim_status steps_grid(const fim_record *layer, grid *out, char legend[STEPS_LEGEND]) {
    enum { METRICS = 3, PLACES = 3 };
    static const struct {
        const char *name, *heads[PLACES];
    } shown[METRICS] = {
        {"step_cosine", {"step_cosine_least λ", "step_cosine_middle λ", "step_cosine_most λ"}},
        {"model_decrease", {"model_decrease_least λ", "model_decrease_middle λ", "model_decrease_most λ"}},
        {"stein_divergence",
         {"stein_divergence_least λ", "stein_divergence_middle λ", "stein_divergence_most λ"}}};
    const fim_curve *damping = fim_record_curve(layer, "step_damping");
    grid g = {.row_head = "method"};
    fim_status status = FIM_OK;
    if (damping == NULL || damping->values->size == 0) {
        *out = g;
        return FIM_OK;
    }
    const size_t n = damping->values->size, places = n < PLACES ? 1 : PLACES, at[PLACES] = {0, n / 2, n - 1};
    g.n_rows = layer->n_children;
    g.n_columns = METRICS * places;
    FIM_TRY(fim_alloc(g.n_columns, sizeof *g.columns, "the columns of a table", &g.columns));
    FIM_TRY(grid_alloc(&g));
    for (size_t r = 0; r < g.n_rows; r++) {
        g.records[r] = &layer->children[r];
        for (size_t m = 0; m < METRICS; m++)
            for (size_t p = 0; p < places; p++) {
                char number[24];
                const double value = step_at(g.records[r], shown[m].name, at[p]);
                g.columns[m * places + p] = shown[m].heads[p];
                grid_put(&g, r, m * places + p, value,
                         isnan(value) ? step_note(g.records[r], shown[m].name) : "",
                         format_number(shown[m].name, value, number));
            }
    }
    if (places == 1)
        snprintf(legend, STEPS_LEGEND, "steps against the exact ones, damping λ = %.3g in the unit of F",
                 gsl_vector_get(damping->values, 0));
    else
        snprintf(legend, STEPS_LEGEND,
                 "steps against the exact ones, damping λ = %.3g, %.3g and %.3g in the unit of F",
                 gsl_vector_get(damping->values, at[0]), gsl_vector_get(damping->values, at[1]),
                 gsl_vector_get(damping->values, at[2]));
    const size_t end = strlen(legend);
    tell_errors(layer, n, at, places, legend + end, STEPS_LEGEND - end);
    *out = g;
    g = (grid){0};
out:
    grid_clear(&g);
    return status;
}

// ---- Figures ----

typedef struct step_figure {
    const char *name, *what, *title, *label;
    const char *axis; // commands, or NULL for one that fits the numbers
} step_figure;

static fim_status draw(const layer_row *row, const step_figure *kind, const char *prefix, figure_list *list) {
    const fim_record *layer = row->layer;
    const gsl_vector *damping = fim_record_curve(layer, "step_damping")->values;
    const fim_curve *shared = fim_record_curve(layer, "stein_divergence_error");
    const bool stein = strcmp(kind->name, "stein_divergence") == 0,
               bars = stein && (shared != NULL || any_steps(layer, "stein_divergence_own_error"));
    fim_status status = FIM_OK;
    draft d = {0};
    range axis = RANGE_EMPTY;
    if (!any_steps(layer, kind->name))
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    put_layer_names(&d, row, prefix, kind->what, kind->title);
    FILE *data = d.data.stream, *script = d.script.stream;
    fputs("# damping", data);
    for (size_t m = 0; m < layer->n_children; m++)
        put_quoted(data, layer->children[m].name);
    putc('\n', data);
    for (size_t i = 0; i < damping->size; i++) {
        put_number(data, gsl_vector_get(damping, i));
        for (size_t m = 0; m < layer->n_children; m++) {
            const double value = step_at(&layer->children[m], kind->name, i);
            put_number(data, value);
            range_widen(&axis, value);
        }
        for (size_t m = 0; bars && m < layer->n_children; m++) {
            const double all = shared != NULL ? step_at(layer, "stein_divergence_error", i) : 0;
            put_number(data, all + own_error(&layer->children[m], i));
        }
        putc('\n', data);
    }
    fprintf(script,
            "set logscale x\nset format x '10^{%%L}'\n"
            "set xlabel 'damping λ, in the unit of F'\nset ylabel '%s'\n",
            kind->label);
    put_legend(script, true);
    if (kind->axis != NULL)
        fputs(kind->axis, script);
    else
        put_error_axis(script, &axis);
    if (bars)
        put_low(script, &axis);
    for (size_t m = 0; m < layer->n_children; m++) {
        const size_t y = m + 2, e = y + layer->n_children;
        fprintf(script, "%s data using 1:%zu", m == 0 ? "plot" : ", \\\n    ", y);
        if (bars)
            fprintf(script, ":(low($%zu, $%zu)):($%zu + $%zu) with yerrorlines", y, e, y, e);
        else
            fputs(" with linespoints", script);
        put_line(script, layer->children[m].name, 0);
        fputs(" title '", script);
        put_gnuplot(script, layer->children[m].name);
        putc('\'', script);
    }
    putc('\n', script);
    FIM_TRY(draft_close(&d, 860, 480, list));
out:
    draft_discard(&d);
    return status;
}

fim_status figures_of_steps(const layer_row *row, const char *prefix, figure_list *list) {
    static const step_figure figures[] = {
        {"step_cosine", "step-cosine", "direction of the damped step", "cosine to the exact step",
         "set yrange [:1.02]\n"},
        {"step_length_ratio", "step-length", "length of the damped step", "‖step‖ / ‖exact step‖", NULL},
        {"model_decrease", "step-decrease", "decrease of the quadratic model",
         "q(step) / q(exact step), cut at −1", "set yrange [-1:1.05]\n"},
        {"model_decrease_scaled", "step-decrease-scaled", "decrease at the best length",
         "q(step) / q(exact step)", "set yrange [0:1.05]\n"},
        {"stein_divergence", "step-stein", "Stein divergence", "tr M − ln det M − D", NULL}};
    fim_status status = FIM_OK;
    const fim_curve *damping = fim_record_curve(row->layer, "step_damping");
    if (damping == NULL || damping->values->size < 2)
        return FIM_OK;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        FIM_TRY(draw(row, &figures[i], prefix, list));
out:
    return status;
}
