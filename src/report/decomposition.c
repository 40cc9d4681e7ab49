// Where KFAC's error is: the layers of a checkpoint by the parts of KFAC's squared error, as a grid and as
// stacked bars. The parts are the study's (fim/run.h has their definitions); here they become percent.
#include <math.h>
#include <string.h>

#include "parts.h"

static const char error_name[] = "decomposition_error_kfac";

// What is shown of a layer, in percent of KFAC's squared error: parts as they are, errors squared.
static const struct {
    const char *name, *head;
    bool squared;
} shares[] = {
    {"decomposition_part_scale", "scale", false},
    {"decomposition_part_eigenvalues", "eigenvalues", false},
    {"decomposition_part_eigenbasis", "eigenbasis", false},
    {"decomposition_part_factors", "factors", false},
    {"decomposition_part_rank", "rank", false},
    {"decomposition_error_tekfac", "left_by_tekfac", true},
    {"floor_2", "left_by_2_terms", true},
    {"floor_3", "left_by_3_terms", true},
    {"decomposition_error_sampling", "sampling", true}, // where it was asked for
};
enum { SHARES = sizeof shares / sizeof *shares, SAMPLING = SHARES - 1, PARTS = 5 };

static const char *const legend[] = {
    "sampling: the squared standard error of F itself, from two halves of its samples",
    "error: ‖F − A ⊗ G‖ / ‖F‖; its square is scale + eigenvalues + eigenbasis, and also scale + factors + "
    "rank",
    "scale: repaired by a multiple of A ⊗ G; eigenvalues: by others in its eigenbasis (ekfac); eigenbasis: "
    "the "
    "rest",
    "factors: repaired by other factors (kpsvd:1); rank: what any single Kronecker product leaves",
    "left by: the squared error of the best diagonal in TKFAC's eigenbasis, of the best 2 and 3 Kronecker "
    "products",
    NULL};

static bool any_value(const layer_row *rows, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (isfinite(value_or_nan(rows[i].layer, name)))
            return true;
    return false;
}

const char *const *decomposition_legend(const layer_row *rows, size_t count) {
    return any_value(rows, count, shares[SAMPLING].name) ? legend : legend + 1;
}

static bool is_bound(const fim_value *v) {
    return strncmp(v->note, "upper bound", 11) == 0;
}

// The parts of an error that is nothing but rounding tell nothing.
static bool has_parts(const fim_record *layer) {
    const fim_value *error = fim_record_value(layer, error_name);
    return error != NULL && error->value > 0 && !is_bound(error);
}

// Share number i of a layer with parts; NAN when it is missing.
static double percent(const fim_record *layer, size_t i) {
    const double error = value_or_nan(layer, error_name), value = value_or_nan(layer, shares[i].name);
    return 100 * (shares[i].squared ? value * value : value) / (error * error);
}

static void put_share(grid *g, size_t row, size_t i) {
    const fim_record *layer = g->records[row];
    const fim_value *v = fim_record_value(layer, shares[i].name),
                    *error = fim_record_value(layer, error_name);
    const double p = percent(layer, i);
    char number[24];
    if (v == NULL || error == NULL)
        return;
    if (isnan(error->value))
        grid_put(g, row, i + 1, NAN, error->note, "");
    else if (!has_parts(layer))
        grid_put(g, row, i + 1, NAN, "KFAC's error is rounding: it has no parts", "");
    else if (p > 0 && p < 0.05)
        grid_put(g, row, i + 1, p, "", "<0.1"); // says more than that it is a bound
    else {
        snprintf(number, sizeof number, "%.*f", p < 1000 ? 1 : 0, p);
        grid_put(g, row, i + 1, p, v->note, number);
    }
}

fim_status decomposition_grid(const layer_row *rows, size_t count, grid *out) {
    fim_status status = FIM_OK;
    const size_t n_shares = any_value(rows, count, shares[SAMPLING].name) ? SHARES : SAMPLING;
    grid g = {.n_rows = count, .n_columns = n_shares + 1, .row_head = "layer"};
    if (!any_value(rows, count, error_name)) {
        *out = (grid){0};
        return FIM_OK;
    }
    FIM_TRY(fim_alloc(g.n_columns, sizeof *g.columns, "the columns of a report", &g.columns));
    FIM_TRY(grid_alloc(&g));
    g.columns[0] = "error";
    for (size_t i = 0; i < n_shares; i++)
        g.columns[i + 1] = shares[i].head;
    for (size_t r = 0; r < count; r++) {
        const fim_value *error = fim_record_value(rows[r].layer, error_name);
        char number[24];
        g.records[r] = rows[r].layer;
        if (error != NULL)
            grid_put(&g, r, 0, error->value, error->note, format_number(error_name, error->value, number));
        for (size_t i = 0; i < n_shares; i++)
            put_share(&g, r, i);
    }
    *out = g;
    g = (grid){0};
out:
    grid_clear(&g);
    return status;
}

// ---- The figure ----

// Two bars a layer, one for each sum; a part has its place above what comes before it in its bar. Columns 3
// to 7 of the data are the parts.
static const struct {
    const char *title, *bottom, *top;
    bool left, right;          // the bars it is in
    const char *fill, *colour; // Okabe and Ito's; hatched where two of the same grey would touch
} bars[PARTS] = {
    {"scale", "0", "$3", true, true, "solid 1.0 noborder", "'#e69f00'"},
    {"left: eigenvalues", "$3", "$3+$4", true, false, "pattern 4 border", "'#56b4e9'"},
    {"left: eigenbasis", "$3+$4", "$3+$4+$5", true, false, "solid 1.0 noborder", "'#0072b2'"},
    {"right: factors", "$3", "$3+$6", false, true, "pattern 5 border", "'#009e73'"},
    {"right: rank", "$3+$6", "$3+$6+$7", false, true, "solid 1.0 noborder", "'#d55e00'"},
};

static void put_bars(FILE *script, bool sampling) {
    const char *lead = "plot";
    for (size_t b = 0; b < PARTS; b++)
        for (int side = 0; side < 2; side++) {
            const bool again = side == 1 && bars[b].left;
            if (side == 0 ? !bars[b].left : !bars[b].right)
                continue;
            fprintf(script, "%s data using 0:(%s):($0%s):($0%s):(%s):(%s)%s with boxxyerror lc rgb %s fs %s",
                    lead, bars[b].top, side == 0 ? "-0.38" : "+0.02", side == 0 ? "-0.02" : "+0.38",
                    bars[b].bottom, bars[b].top, b == 0 ? ":xtic(ending(strcol(1)))" : "", bars[b].colour,
                    bars[b].fill);
            if (!again)
                fprintf(script, " title '%s'", bars[b].title);
            lead = ", \\\n    ";
        }
    if (sampling) // a line over both bars
        fputs(", \\\n     data using ($0-0.42):($8 < 101 ? $8 : 101):(0.84):(0) with vectors nohead "
              "lc rgb '#000000' lw 2 dt 2 title 'sampling (standard error of F)'",
              script);
    fputs(", \\\n     data using 0:(101):(sprintf($2 < 0.01 ? '%.1e' : '%.3f', $2)) with labels "
          "font points(0.78) offset 0,0.6 "
          "textcolor rgb '#333333'\n",
          script);
}

fim_status figure_of_decomposition(const layer_row *rows, size_t count, const char *prefix,
                                   figure_list *list) {
    fim_status status = FIM_OK;
    draft d = {0};
    const bool sampling = any_value(rows, count, shares[SAMPLING].name);
    size_t shown = 0, longest = 0;
    for (size_t r = 0; r < count; r++) {
        shown += has_parts(rows[r].layer);
        longest = utf8_width(rows[r].layer->name) > longest ? utf8_width(rows[r].layer->name) : longest;
    }
    if (shown == 0)
        return FIM_OK;
    FIM_TRY(draft_open(&d));
    fprintf(d.name.stream, "%sdecomposition", prefix);
    fputs("Where KFAC's error is", d.title.stream);
    put_heading(d.script.stream, "Where KFAC's error is",
                "left bars: by its eigenbasis; right bars: by its factors");
    FILE *data = d.data.stream, *script = d.script.stream;
    fputs("# layer error", data);
    for (size_t i = 0; i < PARTS; i++)
        fprintf(data, " %s", shares[i].head);
    if (sampling)
        fprintf(data, " %s", shares[SAMPLING].head);
    putc('\n', data);
    for (size_t r = 0; r < count; r++) {
        if (!has_parts(rows[r].layer))
            continue;
        put_quoted(data, rows[r].layer->name);
        put_number(data, value_or_nan(rows[r].layer, error_name));
        for (size_t i = 0; i < PARTS; i++)
            put_number(data, percent(rows[r].layer, i));
        if (sampling)
            put_number(data, percent(rows[r].layer, SAMPLING));
        putc('\n', data);
    }
    fprintf(script,
            "set xrange [-0.6:%.1f]\nset yrange [0:108]\nset ytics 0,20,100\n"
            "set xtics noenhanced scale 0%s\n"
            "set xlabel 'layer'\nset ylabel 'percent of the squared error'\n"
            "set label 'error' at graph 1, first 101 left offset -1,0.6 font points(0.78) "
            "textcolor rgb '#333333'\n",
            (double)shown - 0.4, longest > 4 ? " rotate by 30 right" : "");
    put_legend(script, true);
    put_bars(script, sampling);
    const double points = 180 + 72 * (double)shown;
    FIM_TRY(draft_close(&d, points > 860 ? points : 860, 460, list));
out:
    draft_discard(&d);
    return status;
}
