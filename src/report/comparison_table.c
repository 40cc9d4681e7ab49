// The table of a comparison of training runs.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

typedef enum column_kind { MEASURED, SETTING, SHARE, TEXT } column_kind;

static const struct {
    const char *name;
    column_kind kind;
    bool marked; // its smallest is the best
    bool common; // left out when it is the same for all: the line of facts has it
} columns[] = {
    {"damping_form", TEXT, false, false},
    {"learning_rate", SETTING, false, false},
    {"damping", SETTING, false, false},
    {"seeds", SETTING, false, true},
    {"epochs", SETTING, false, true},
    {"loss_per_output", MEASURED, true, false},
    {"excess_over_floor", MEASURED, true, false},
    {"validation_per_output", MEASURED, true, false},
    {"epochs_to_reference", SETTING, true, false},
    {"seconds_to_reference", MEASURED, true, false},
    {"seconds_per_epoch", MEASURED, false, false},
    {"refresh_share", SHARE, false, false},
    {"products_per_refresh", MEASURED, false, false},
    {"changed_per_refresh", MEASURED, false, false},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static bool is_shown(const fim_record *comparison, size_t i) {
    bool any = false, differs = false;
    for (size_t k = 0; k < comparison->n_children; k++) {
        const fim_record *v = &comparison->children[k];
        any |= columns[i].kind == TEXT ? text_or_empty(v, columns[i].name)[0] != '\0'
                                       : fim_record_value(v, columns[i].name) != NULL;
        differs |=
            value_or_nan(v, columns[i].name) != value_or_nan(&comparison->children[0], columns[i].name);
    }
    return any && (!columns[i].common || differs);
}

static void put_column(grid *g, size_t row, size_t column, size_t i) {
    const fim_record *record = g->records[row];
    const fim_value *v = fim_record_value(record, columns[i].name);
    char number[24] = "";
    if (columns[i].kind == TEXT)
        snprintf(g->cells[row * g->n_columns + column].text, sizeof g->cells->text, "%s",
                 text_or_empty(record, columns[i].name));
    if (v == NULL)
        return;
    if (columns[i].kind == SHARE)
        snprintf(number, sizeof number, "%.0f %%", 100 * v->value);
    else if (columns[i].kind == SETTING)
        snprintf(number, sizeof number, "%.4g", v->value);
    else
        format_value(record, columns[i].name, number);
    grid_put(g, row, column, v->value, v->note, number);
}

fim_status comparison_grid(const fim_record *comparison, grid *out) {
    fim_status status = FIM_OK;
    grid g = {.n_rows = comparison->n_children, .row_head = "optimizer"};
    size_t shown[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        if (is_shown(comparison, i))
            shown[g.n_columns++] = i;
    FIM_TRY(fim_alloc(g.n_columns, sizeof *g.columns, "the columns of a comparison", &g.columns));
    FIM_TRY(grid_alloc(&g));
    for (size_t r = 0; r < g.n_rows; r++)
        g.records[r] = &comparison->children[r];
    for (size_t c = 0; c < g.n_columns; c++) {
        g.columns[c] = columns[shown[c]].name;
        for (size_t r = 0; r < g.n_rows; r++)
            put_column(&g, r, c, shown[c]);
        if (columns[shown[c]].marked && g.n_rows > 1)
            grid_mark_best(&g, c);
    }
    *out = g;
    g = (grid){0};
out:
    grid_clear(&g);
    return status;
}

void comparison_legend(const fim_record *comparison, const char *legend[static COMPARISON_LEGEND + 1]) {
    bool several = false, refreshes = false, remarks = false;
    size_t n = 0;
    for (size_t k = 0; k < comparison->n_children; k++) {
        const fim_record *v = &comparison->children[k];
        several |= value_or_nan(v, "seeds") > 1;
        refreshes |= fim_record_value(v, "refresh_share") != NULL;
        remarks |= fim_record_text(v, "remark") != NULL;
    }
    if (comparison->n_children > 1)
        legend[n++] =
            remarks ? "* smallest of its column, of the rows without !" : "* smallest of its column";
    legend[n++] = text_or_empty(comparison, "about_reference");
    if (several)
        legend[n++] = "means over the seeds: 0.1263(12) is 0.1263 with a standard error of 0.0012";
    if (refreshes)
        legend[n++] =
            "refresh: samples, approximations and inverses; its share of the training time, products with "
            "R(F), directions changed";
    legend[n] = NULL;
}

fim_status fim_report_comparison(const fim_record *logs, size_t n_logs, const char *reference, char **out) {
    fim_status status = FIM_OK;
    const char *legend[COMPARISON_LEGEND + 1];
    fim_record comparison;
    grid g = {0};
    text t = {0};
    fim_record_init(&comparison, "");
    FIM_TRY(comparison_record(logs, n_logs, reference, &comparison));
    FIM_TRY(comparison_grid(&comparison, &g));
    FIM_TRY(text_open(&t));
    put_plain(t.stream, text_or_empty(&comparison, "facts"));
    fputs("\n\n", t.stream);
    FIM_TRY(put_grid(t.stream, &g));
    comparison_legend(&comparison, legend);
    for (size_t i = 0; legend[i] != NULL; i++) {
        put_plain(t.stream, legend[i]);
        putc('\n', t.stream);
    }
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    grid_clear(&g);
    fim_record_clear(&comparison);
    return status;
}
