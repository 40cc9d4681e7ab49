// Figures of what changes from checkpoint to checkpoint: the errors of a layer.
#include <math.h>
#include <string.h>

#include "parts.h"

// ---- A layer over several checkpoints ----

// With more checkpoints than this, their names would run into each other: numbers then.
enum { MOST_NAMES = 24 };

// One error of the layer called rows[first].layer->name in all its checkpoints.
static fim_status history(const layer_row *rows, size_t count, size_t first, const char *prefix,
                          const char *metric, const char *title, figure_list *list) {
    const fim_record *layer = rows[first].layer;
    fim_status status = FIM_OK;
    draft d = {0};
    size_t n = 0;
    range axis = RANGE_EMPTY;
    bool any = false, repeated = false, timed = true; // timed: every checkpoint tells its iteration
    char heading[256], subtitle[160], samples[24], error[64];
    snprintf(error, sizeof error, "%s_se", metric);
    for (size_t r = first; r < count; r++) {
        timed &= isfinite(value_or_nan(rows[r].checkpoint, "iteration"));
        const bool same = strcmp(rows[r].layer->name, layer->name) == 0;
        for (size_t m = 0; same && m < rows[r].layer->n_children; m++)
            repeated |= isfinite(value_or_nan(&rows[r].layer->children[m], error));
    }
    FIM_TRY(draft_open(&d));
    fputs(prefix, d.name.stream);
    fputs("layer-", d.name.stream);
    put_file_name(d.name.stream, layer->name);
    fprintf(d.name.stream, "-course-%s", metric);
    snprintf(heading, sizeof heading, "Layer %s: %s %s", layer->name, title,
             timed ? "along training" : "by checkpoint");
    fputs(heading, d.title.stream);
    snprintf(subtitle, sizeof subtitle, "Fisher %s, %s samples%s", text_or_empty(layer, "fisher"),
             format_number("samples", value_or_nan(layer, "samples"), samples),
             repeated ? "; band: ± standard error of the mean" : "");
    put_heading(d.script.stream, heading, subtitle);

    FILE *data = d.data.stream, *script = d.script.stream;
    fputs("# checkpoint", data);
    for (size_t m = 0; m < layer->n_children; m++)
        put_quoted(data, layer->children[m].name);
    for (size_t m = 0; repeated && m < layer->n_children; m++) {
        snprintf(heading, sizeof heading, "%s_se", layer->children[m].name);
        put_quoted(data, heading);
    }
    fputs(timed ? " iteration\n" : "\n", data);
    for (size_t r = first; r < count; r++) {
        char stem[128];
        if (strcmp(rows[r].layer->name, layer->name) != 0)
            continue;
        file_stem(text_or_empty(rows[r].checkpoint, "file"), stem, sizeof stem);
        put_quoted(data, stem);
        for (size_t m = 0; m < layer->n_children; m++) {
            const fim_record *method = fim_record_child(rows[r].layer, layer->children[m].name);
            double value = method != NULL ? value_or_nan(method, metric) : (double)NAN;
            put_number(data, value);
            any |= isfinite(value);
            range_widen(&axis, value);
        }
        for (size_t m = 0; repeated && m < layer->n_children; m++) {
            const fim_record *method = fim_record_child(rows[r].layer, layer->children[m].name);
            put_number(data, method != NULL ? value_or_nan(method, error) : (double)NAN);
        }
        if (timed)
            put_number(data, value_or_nan(rows[r].checkpoint, "iteration"));
        putc('\n', data);
        n++;
    }
    if (!any || n < 2)
        goto out;

    if (timed)
        fputs("set xrange [0:]\nset xlabel 'iteration'\n", script);
    else
        fprintf(script,
                "set xrange [-0.2:%.1f]\n"
                "set xtics rotate by 30 right noenhanced\n"
                "set xlabel 'checkpoint'\n",
                (double)n - 0.8);
    const size_t methods = layer->n_children, x = timed ? (repeated ? 2 : 1) * methods + 2 : 0;
    fprintf(script, "set ylabel '%s'\n", title);
    put_legend(script, true);
    put_error_axis(script, &axis);
    put_low(script, &axis);
    if (repeated)
        fputs("set style fill transparent solid 0.2 noborder\n", script);
    const char *lead = "plot";
    for (size_t m = 0; repeated && m < methods; m++) { // below all lines
        fprintf(script, "%s data using %zu:(low($%zu, $%zu)):($%zu + $%zu) with filledcurves", lead, x, m + 2,
                m + 2 + methods, m + 2, m + 2 + methods);
        put_fill(script, layer->children[m].name);
        lead = ", \\\n    ";
    }
    for (size_t m = 0; m < methods; m++) {
        fprintf(script, "%s data using %zu:%zu%s with linespoints", lead, x, m + 2,
                m == 0 && !timed && n <= MOST_NAMES ? ":xtic(1)" : "");
        put_line(script, layer->children[m].name, 0);
        lead = ", \\\n    ";
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

fim_status figures_of_history(const layer_row *rows, size_t count, const char *prefix, figure_list *list) {
    fim_status status = FIM_OK;
    for (size_t first = 0; first < count; first++) {
        bool seen = false;
        for (size_t r = 0; r < first && !seen; r++)
            seen = strcmp(rows[r].layer->name, rows[first].layer->name) == 0;
        if (seen)
            continue;
        FIM_TRY(history(rows, count, first, prefix, "frobenius_error", "Frobenius error", list));
        FIM_TRY(history(rows, count, first, prefix, "spectrum_error", "spectrum error", list));
    }
out:
    return status;
}
