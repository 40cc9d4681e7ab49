// Figures of what changes with time: the errors of a layer from checkpoint to checkpoint, and the losses of
// training runs.
#include <math.h>
#include <string.h>

#include "parts.h"

// ---- A layer over several checkpoints ----

// The file's name without folders and ".h5".
static void file_stem(const char *path, char *buffer, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(buffer, size, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(buffer, '.');
    if (dot != NULL && dot != buffer)
        *dot = '\0';
}

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
    bool any = false;
    char heading[256], subtitle[128], samples[24];
    FIM_TRY(draft_open(&d));
    fputs(prefix, d.name.stream);
    fputs("layer-", d.name.stream);
    put_file_name(d.name.stream, layer->name);
    fprintf(d.name.stream, "-course-%s", metric);
    snprintf(heading, sizeof heading, "Layer %s: %s by checkpoint", layer->name, title);
    fputs(heading, d.title.stream);
    snprintf(subtitle, sizeof subtitle, "Fisher %s, %s samples", text_or_empty(layer, "fisher"),
             format_number("samples", value_or_nan(layer, "samples"), samples));
    put_heading(d.script.stream, heading, subtitle);

    FILE *data = d.data.stream, *script = d.script.stream;
    fputs("# checkpoint", data);
    for (size_t m = 0; m < layer->n_children; m++)
        put_quoted(data, layer->children[m].name);
    putc('\n', data);
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
        putc('\n', data);
        n++;
    }
    if (!any || n < 2)
        goto out;

    fprintf(script,
            "set xrange [-0.2:%.1f]\n"
            "set xtics rotate by 30 right noenhanced\n"
            "set xlabel 'checkpoint'\nset ylabel '%s'\n"
            "set key at screen 0.985, graph 0.5 right center vertical\nset rmargin 24\n",
            (double)n - 0.8, title);
    put_error_axis(script, &axis);
    for (size_t m = 0; m < layer->n_children; m++) {
        fprintf(script, "%s data using 0:%zu%s with linespoints", m == 0 ? "plot" : ", \\\n    ", m + 2,
                m == 0 && n <= MOST_NAMES ? ":xtic(1)" : "");
        put_line_style(script, m, m);
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

// ---- Training runs ----

static double curve_at(const fim_curve *c, size_t i) {
    return c != NULL && i < c->values->size ? gsl_vector_get(c->values, i) : (double)NAN;
}

// What a figure's script has to know about its data.
typedef struct extent {
    range losses;
    size_t longest; // epochs of the longest run
    bool any;
    bool validated; // any validation loss, in any run
} extent;

static void widen(extent *e, double value) {
    e->any |= isfinite(value);
    range_widen(&e->losses, value);
}

// One block per run: epoch, seconds since the start, loss, validation loss.
static void put_runs(FILE *data, const fim_record *logs, size_t n_logs, extent *e) {
    *e = (extent){.losses = RANGE_EMPTY};
    fputs("# epoch seconds loss validation_loss\n", data);
    for (size_t r = 0; r < n_logs; r++) {
        const fim_curve *epoch = fim_record_curve(&logs[r], "epoch");
        const fim_curve *seconds = fim_record_curve(&logs[r], "seconds");
        const fim_curve *loss = fim_record_curve(&logs[r], "loss");
        const fim_curve *validation = fim_record_curve(&logs[r], "validation_loss");
        double since = 0;
        for (size_t i = 0; epoch != NULL && i < epoch->values->size; i++) {
            since += curve_at(seconds, i);
            fprintf(data, "%.17g", curve_at(epoch, i));
            put_number(data, since);
            put_number(data, curve_at(loss, i));
            put_number(data, curve_at(validation, i));
            putc('\n', data);
            widen(e, curve_at(loss, i));
            widen(e, curve_at(validation, i));
            e->validated |= isfinite(curve_at(validation, i));
            e->longest = i + 1 > e->longest ? i + 1 : e->longest;
        }
        fputs("\n\n", data);
    }
}

static void put_run_title(FILE *script, const fim_record *logs, size_t n_logs, size_t r, const char *what) {
    const char *file = text_or_empty(&logs[r], "file");
    fputs(" title '", script);
    if (n_logs > 1 && file[0] != '\0')
        put_gnuplot(script, file);
    else if (n_logs > 1)
        fprintf(script, "run %zu", r);
    fprintf(script, "%s%s'", n_logs > 1 ? ", " : "", what);
}

static fim_status run_figure(const fim_record *logs, size_t n_logs, const char *name, const char *title,
                             const char *x_label, size_t x_column, figure_list *list) {
    fim_status status = FIM_OK;
    draft d = {0};
    extent e;
    FIM_TRY(draft_open(&d));
    fputs(name, d.name.stream);
    fputs(title, d.title.stream);
    put_heading(d.script.stream, title,
                "mean over the epoch of the loss of one sample, summed over its outputs");
    FILE *script = d.script.stream;
    put_runs(d.data.stream, logs, n_logs, &e);
    if (!e.any)
        goto out;
    if (range_is_wide(&e.losses))
        fputs("set logscale y\n", script);
    fprintf(script,
            "set xlabel '%s'\nset ylabel 'loss'\n"
            "set key inside right top vertical Right noreverse\n",
            x_label);
    const size_t every = 1 + e.longest / 40; // points, so that they do not merge
    for (size_t r = 0; r < n_logs; r++) {
        fprintf(script, "%s data index %zu using %zu:3 with linespoints pi %zu",
                r == 0 ? "plot" : ", \\\n    ", r, x_column, every);
        put_line_style(script, r, 0);
        put_run_title(script, logs, n_logs, r, "training");
        if (!e.validated)
            continue;
        fprintf(script, ", \\\n     data index %zu using %zu:4 with linespoints pi %zu", r, x_column, every);
        put_line_style(script, r, 1);
        put_run_title(script, logs, n_logs, r, "validation");
    }
    putc('\n', script);
    FIM_TRY(draft_close(&d, 760, 460, list));
out:
    draft_discard(&d);
    return status;
}

fim_status figures_of_runs(const fim_record *logs, size_t n_logs, figure_list *list) {
    fim_status status = FIM_OK;
    FIM_TRY(run_figure(logs, n_logs, "loss-by-epoch", "Loss by epoch", "epoch", 1, list));
    FIM_TRY(
        run_figure(logs, n_logs, "loss-by-seconds", "Loss by training time", "training time / s", 2, list));
out:
    return status;
}
