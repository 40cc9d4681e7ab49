// From the nested record to what is shown: the layers in a row, and the methods of a layer as a grid of
// cells, for the table and the page alike.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

double value_or_nan(const fim_record *record, const char *name) {
    const fim_value *v = fim_record_value(record, name);
    return v != NULL ? v->value : (double)NAN;
}

char *format_value(const fim_record *record, const char *name, char buffer[static 24]) {
    char error[48];
    const double value = value_or_nan(record, name);
    snprintf(error, sizeof error, "%s_se", name);
    buffer[0] = '\0';
    return isnan(value) ? buffer : format_mean(name, value, value_or_nan(record, error), buffer);
}

const char *text_or_empty(const fim_record *record, const char *name) {
    const char *t = fim_record_text(record, name);
    return t != NULL ? t : "";
}

fim_status layer_rows(const fim_record *report, layer_row **rows, size_t *count) {
    fim_status status = FIM_OK;
    const fim_record *checkpoints = fim_record_child(report, "checkpoints");
    layer_row *list = NULL;
    size_t total = 0, n = 0;
    for (size_t k = 0; checkpoints != NULL && k < checkpoints->n_children; k++) {
        const fim_record *layers = fim_record_child(&checkpoints->children[k], "layers");
        total += layers != NULL ? layers->n_children : 0;
    }
    if (total == 0)
        return FIM_FAIL(FIM_ERR_FORMAT, "the report holds no layer (checkpoints/<k>/layers/<name>)");
    FIM_TRY(fim_alloc(total, sizeof *list, "the layers of a report", &list));
    for (size_t k = 0; k < checkpoints->n_children; k++) {
        const fim_record *layers = fim_record_child(&checkpoints->children[k], "layers");
        for (size_t l = 0; layers != NULL && l < layers->n_children; l++)
            list[n++] = (layer_row){&checkpoints->children[k], &layers->children[l]};
    }
    *rows = list;
    *count = n;
out:
    return status;
}

// ---- The grid ----

// What is told in another way than by a column.
static bool is_column(const char *name) {
    return strcmp(name, "converged") != 0 && strcmp(name, "eigenvalues") != 0 && !is_step_name(name);
}

// Shown behind its mean.
static bool is_standard_error(const char *name) {
    const size_t length = strlen(name);
    return length >= 3 && strcmp(name + length - 3, "_se") == 0;
}

static bool is_error(const char *name) {
    size_t length = strlen(name);
    return length >= 6 && strcmp(name + length - 6, "_error") == 0;
}

fim_status value_names(const layer_row *rows, size_t count, const char ***names, size_t *n_names) {
    fim_status status = FIM_OK;
    const char **list = NULL;
    size_t most = 0, n = 0;
    for (size_t r = 0; r < count; r++)
        for (size_t m = 0; m < rows[r].layer->n_children; m++)
            most += rows[r].layer->children[m].n_values;
    FIM_TRY(fim_alloc(most, sizeof *list, "the columns of a report", &list));
    for (size_t r = 0; r < count; r++)
        for (size_t m = 0; m < rows[r].layer->n_children; m++) {
            const fim_record *method = &rows[r].layer->children[m];
            for (size_t v = 0; v < method->n_values; v++) {
                const char *name = method->values[v].name;
                bool known = !is_column(name);
                for (size_t i = 0; i < n && !known; i++)
                    known = strcmp(list[i], name) == 0;
                if (!known)
                    list[n++] = name;
            }
        }
    *names = list;
    *n_names = n;
out:
    return status;
}

// The number of a footnote from 1, new or known.
static size_t footnote(grid *g, const char *why) {
    for (size_t i = 0; i < g->n_whys; i++)
        if (strcmp(g->whys[i], why) == 0)
            return i + 1;
    g->whys[g->n_whys++] = why;
    return g->n_whys;
}

static bool is_bound(const fim_value *v, const char *kind) {
    return v != NULL && strncmp(v->note, kind, strlen(kind)) == 0;
}

static bool has_remark(const grid *g, size_t row) {
    return fim_record_text(g->records[row], "remark") != NULL;
}

// Where a bound leaves open which these are, none is marked.
void grid_mark_best(grid *g, size_t column) {
    // Two errors at the level of rounding are equally good, and so are two that read the same.
    const double rounding = 1e-12;
    double best = INFINITY;
    char best_text[24] = "", shown[24];
    for (size_t r = 0; r < g->n_rows; r++) {
        const double size = fabs(value_or_nan(g->records[r], g->columns[column]));
        if (size < best && !has_remark(g, r)) {
            best = size;
            format_number(g->columns[column], size, best_text);
        }
    }
    for (size_t r = 0; r < g->n_rows; r++) {
        const fim_value *v = fim_record_value(g->records[r], g->columns[column]);
        const bool smallest =
            v != NULL && strcmp(format_number(v->name, fabs(v->value), shown), best_text) == 0;
        if ((is_bound(v, "upper bound") && !smallest) || (is_bound(v, "lower bound") && smallest))
            return;
    }
    for (size_t r = 0; r < g->n_rows; r++) {
        const double size = fabs(value_or_nan(g->records[r], g->columns[column]));
        if (isfinite(size) && !has_remark(g, r))
            g->cells[r * g->n_columns + column].best =
                strcmp(format_number(g->columns[column], size, shown), best_text) == 0 || size < rounding;
    }
}

fim_status grid_alloc(grid *g) {
    const size_t n_cells = g->n_rows * g->n_columns;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(g->n_rows, sizeof *g->records, "the rows of a report", &g->records));
    FIM_TRY(fim_alloc(n_cells, sizeof *g->cells, "the cells of a report", &g->cells));
    FIM_TRY(fim_alloc(n_cells, sizeof *g->whys, "the footnotes of a report", &g->whys));
out:
    return status;
}

void grid_put(grid *g, size_t row, size_t column, double value, const char *note, const char *number) {
    grid_cell *cell = &g->cells[row * g->n_columns + column];
    if (!isnan(value)) {
        snprintf(cell->text, sizeof cell->text, "%s%s",
                 strncmp(note, "lower bound", 11) == 0   ? "≥"
                 : strncmp(note, "upper bound", 11) == 0 ? "≤"
                                                         : "",
                 number);
    } else {
        memcpy(cell->text, "-", 2);
        cell->why = note[0] != '\0' ? footnote(g, note) : 0;
    }
}

fim_status grid_fill(const fim_record *layer, grid *out) {
    fim_status status = FIM_OK;
    grid g = {.n_rows = layer->n_children, .row_head = "method"};
    const layer_row row = {NULL, layer};
    FIM_TRY(value_names(&row, 1, &g.columns, &g.n_columns));
    size_t kept = 0;
    for (size_t c = 0; c < g.n_columns; c++)
        if (!is_standard_error(g.columns[c]))
            g.columns[kept++] = g.columns[c];
    g.n_columns = kept;
    FIM_TRY(grid_alloc(&g));
    for (size_t r = 0; r < g.n_rows; r++) {
        g.records[r] = &layer->children[r];
        for (size_t c = 0; c < g.n_columns; c++) {
            const fim_value *v = fim_record_value(g.records[r], g.columns[c]);
            char number[24];
            if (v != NULL)
                grid_put(&g, r, c, v->value, v->note, format_value(g.records[r], v->name, number));
        }
    }
    for (size_t c = 0; c < g.n_columns; c++)
        if (is_error(g.columns[c]))
            grid_mark_best(&g, c);
    *out = g;
    g = (grid){0};
out:
    grid_clear(&g);
    return status;
}

void grid_clear(grid *g) {
    free(g->records);
    free(g->columns);
    free(g->cells);
    free(g->whys);
    *g = (grid){0};
}

bool grid_converged(const grid *g, size_t row) {
    return value_or_nan(g->records[row], "converged") != 0 && !has_remark(g, row);
}

// ---- Sentences ----

// "<before><number>", or "?" for what is missing.
static void put_value(FILE *stream, const char *before, const fim_record *record, const char *name) {
    char number[24];
    format_value(record, name, number);
    fprintf(stream, "%s%s", before, number[0] != '\0' ? number : "?");
}

// What the samples leave in doubt, where it was asked for.
static void put_doubts(FILE *stream, const fim_record *layer, const char *line_end) {
    if (fim_record_value(layer, "half_error") == NULL)
        return;
    put_value(stream, "sampling: ‖F − F_exact‖ / ‖F_exact‖ = ", layer, "sampling_error");
    put_value(stream, ", of two halves of the samples ‖F₁ − F₂‖ / ‖F‖ = ", layer, "half_error");
    fputs(line_end, stream);
}

void put_layer_facts(FILE *stream, const fim_record *layer, void (*put)(FILE *, const char *),
                     const char *line_end) {
    put_value(stream, "", layer, "d_a");
    put_value(stream, " × ", layer, "d_g");
    put_value(stream, " (", layer, "parameters");
    put_value(stream, " parameters), ", layer, "samples");
    fputs(" samples, Fisher ", stream);
    put(stream, text_or_empty(layer, "fisher"));
    put_value(stream, ", ‖F‖ = ", layer, "fisher_norm");
    put_value(stream, ", tr F = ", layer, "fisher_trace");
    fputs(line_end, stream);
    put_doubts(stream, layer, line_end);
    if (fim_record_value(layer, "repeats") != NULL) {
        put_value(stream, "means of ", layer, "repeats");
        fprintf(stream, " repeats: 0.1263(12) is 0.1263 with a standard error of 0.0012%s", line_end);
    }

    const char *lead = "error floor of R Kronecker terms: ";
    for (size_t i = 0; i < layer->n_values; i++) {
        const fim_value *v = &layer->values[i];
        char number[24];
        if (strncmp(v->name, "floor_", 6) != 0 || is_standard_error(v->name) || isnan(v->value))
            continue;
        fputs(lead, stream);
        fputs(format_value(layer, v->name, number), stream);
        fprintf(stream, lead[0] != ',' ? " (R = " : " (");
        put(stream, v->name + 6);
        fputs(")", stream);
        lead = ", ";
    }
    const fim_value *rank = fim_record_value(layer, "rank_1_percent");
    if (lead[0] == ',' && fim_record_value(layer, "repeats") != NULL) { // with its errors the line is full
        fputs(line_end, stream);
        lead = "";
    }
    if (rank != NULL && !isnan(rank->value))
        put_value(stream, lead[0] == ',' ? "; 1 % with R = " : "1 % error with R = ", layer, rank->name);
    if (lead[0] == ',' || (rank != NULL && !isnan(rank->value)))
        fputs(line_end, stream);
}

void put_not_converged(FILE *stream, const grid *g, size_t row, void (*put)(FILE *, const char *)) {
    double residual = value_or_nan(g->records[row], "residual");
    put(stream, g->records[row]->name);
    if (has_remark(g, row)) {
        fputs(": ", stream);
        put(stream, text_or_empty(g->records[row], "remark"));
        return;
    }
    fputs(" did not converge", stream);
    if (!isnan(residual))
        fprintf(stream, ": relative residual %.1e", residual);
    put_value(stream, " after ", g->records[row], "products");
    fputs(" products", stream);
}
