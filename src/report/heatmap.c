// The Frobenius errors of all layers and methods of a checkpoint at a glance: a cell each, with its number,
// the darker the larger.
#include <math.h>
#include <string.h>

#include "parts.h"

static const char metric[] = "frobenius_error";

// The methods of all layers, in order of appearance: a later layer may have others.
static const fim_record *next_method(const layer_row *rows, size_t count, size_t *layer, size_t *method) {
    for (; *layer < count; (*layer)++, *method = 0)
        for (; *method < rows[*layer].layer->n_children; (*method)++) {
            const fim_record *found = &rows[*layer].layer->children[*method];
            bool seen = false;
            for (size_t r = 0; r < *layer && !seen; r++)
                seen = fim_record_child(rows[r].layer, found->name) != NULL;
            if (!seen) {
                (*method)++;
                return found;
            }
        }
    return NULL;
}

static size_t put_data(FILE *data, const layer_row *rows, size_t count, range *axis) {
    size_t columns = 0, layer = 0, method = 0;
    fputs("# layer d_a d_g", data);
    for (const fim_record *m; (m = next_method(rows, count, &layer, &method)) != NULL; columns++)
        put_quoted(data, m->name);
    putc('\n', data);
    for (size_t r = 0; r < count; r++) {
        put_quoted(data, rows[r].layer->name);
        put_number(data, value_or_nan(rows[r].layer, "d_a"));
        put_number(data, value_or_nan(rows[r].layer, "d_g"));
        layer = method = 0;
        for (const fim_record *m; (m = next_method(rows, count, &layer, &method)) != NULL;) {
            const fim_record *own = fim_record_child(rows[r].layer, m->name);
            const double error = own != NULL ? value_or_nan(own, metric) : (double)NAN;
            put_number(data, error);
            range_widen(axis, error);
        }
        putc('\n', data);
    }
    return columns;
}

static void put_names(FILE *script, const layer_row *rows, size_t count) {
    size_t n = 0, layer = 0, method = 0;
    fputs("set xtics rotate by 30 right noenhanced scale 0 (", script);
    for (const fim_record *m; (m = next_method(rows, count, &layer, &method)) != NULL; n++) {
        fputs(n > 0 ? ", '" : "'", script);
        put_gnuplot(script, m->name);
        fprintf(script, "' %zu", n);
    }
    fputs(")\n", script);
}

fim_status figure_of_errors(const layer_row *rows, size_t count, const char *prefix, figure_list *list) {
    fim_status status = FIM_OK;
    draft d = {0};
    range axis = RANGE_EMPTY;
    char subtitle[256], stem[128], samples[24];
    if (count < 2) // one layer's are in its figure
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    fprintf(d.name.stream, "%sheatmap-%s", prefix, metric);
    fputs("Frobenius error by layer and method", d.title.stream);
    file_stem(text_or_empty(rows[0].checkpoint, "file"), stem, sizeof stem);
    snprintf(subtitle, sizeof subtitle, "Fisher %s, %s samples, %s", text_or_empty(rows[0].layer, "fisher"),
             format_number("samples", value_or_nan(rows[0].layer, "samples"), samples), stem);
    put_heading(d.script.stream, "Frobenius error by layer and method", subtitle);
    FILE *script = d.script.stream;
    const size_t columns = put_data(d.data.stream, rows, count, &axis);
    if (!(axis.high > 0))
        goto out;

    put_names(script, rows, count);
    fprintf(script,
            "set xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\n"
            "set ytics noenhanced scale 0\nset ylabel 'layer'\n"
            "unset border\nunset grid\nunset key\nunset colorbox\nset rmargin 2\n"
            "set logscale cb\nset cbrange [%.3g:%.3g]\n"
            // As many digits as a cell has room for.
            "number(e) = sprintf(e < 0.0095 ? '%%.0e' : narrow ? '%%.2f' : '%%.3f', e)\n"
            "ink(e) = e > %.3g ? 0xffffff : 0x111111\n"
            "layer(name, a, g) = sprintf('%%s (%%g × %%g)', ending(name), a, g)\n",
            columns - 1, count - 1, axis.low / 1.1, axis.high * 1.1, sqrt(axis.low * axis.high));
    fprintf(script,
            "plot for [m = 0:%zu] data using (m):0:(m - 0.5):(m + 0.5):($0 - 0.5):($0 + 0.5):(column(m + 4))"
            ":ytic(layer(strcol(1), $2, $3)) with boxxyerror fs solid border rgb '#ffffff' lc palette, \\\n"
            "     for [m = 0:%zu] data using (m):0:(number(column(m + 4))):(ink(column(m + 4))) "
            "with labels font points(narrow ? 0.7 : 0.78) textcolor rgb variable\n",
            columns - 1, columns - 1);
    const double width = 200 + 62 * (double)columns;
    FIM_TRY(draft_close(&d, width > 760 ? width : 760, 150 + 38 * (double)count, list));
out:
    draft_discard(&d);
    return status;
}
