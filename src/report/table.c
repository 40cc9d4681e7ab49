// The table a person reads: per layer two lines of facts, then one line per method. Column heads are broken
// at their underscores, so that ten metrics fit 120 columns; more go on below, under the same names.
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { HEAD_LINES = 4, HEAD_WIDTH = 9, TABLE_WIDTH = 120 };

// A column's name in lines of about HEAD_WIDTH characters, the last line at the bottom.
typedef struct head {
    char line[HEAD_LINES][40];
    size_t width;
} head;

static void break_head(const char *name, head *out) {
    char lines[HEAD_LINES][40] = {""};
    size_t n = 0;
    char word[40];
    for (const char *cursor = name; fim_list_next(&cursor, '_', word, sizeof word);) {
        size_t length = strlen(lines[n]);
        if (length > 0 && length + 1 + strlen(word) > HEAD_WIDTH && n + 1 < HEAD_LINES)
            length = strlen(lines[++n]);
        snprintf(lines[n] + length, sizeof lines[n] - length, "%s%s", length > 0 ? " " : "", word);
    }
    *out = (head){0};
    for (size_t i = 0; i <= n; i++) {
        memcpy(out->line[HEAD_LINES - 1 - n + i], lines[i], sizeof lines[i]);
        size_t width = utf8_width(lines[i]);
        out->width = width > out->width ? width : out->width;
    }
}

// A line whose spaces wait for what follows them, so that none ends on spaces.
typedef struct line {
    FILE *stream;
    size_t pending;
} line;

static void put_item(line *l, const char *s) {
    if (s[0] == '\0')
        return;
    fprintf(l->stream, "%*s", (int)l->pending, "");
    put_plain(l->stream, s);
    l->pending = 0;
}

// Numbers and heads are set flush right in `width`, a mark behind them in `mark_width`.
static void put_cell(line *l, const char *s, size_t width, const char *mark, size_t mark_width) {
    l->pending += 1 + width - utf8_width(s);
    put_item(l, s);
    put_item(l, mark);
    l->pending += mark_width - utf8_width(mark);
}

static void end_line(line *l) {
    putc('\n', l->stream);
    l->pending = 0;
}

// "¹²" for 12.
static const char *superscript(size_t number, char buffer[static 64]) {
    static const char *const digit[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[24];
    snprintf(plain, sizeof plain, "%zu", number);
    buffer[0] = '\0';
    for (const char *c = plain; *c != '\0'; c++)
        strcat(buffer, digit[*c - '0']);
    return buffer;
}

static const char *mark_of(const grid_cell *cell, char buffer[static 64]) {
    return cell->why > 0 ? superscript(cell->why, buffer) : cell->best ? "*" : "";
}

typedef struct column {
    head head;
    size_t width, mark_width;
} column;

static void measure(const grid *g, size_t c, column *out) {
    break_head(g->columns[c], &out->head);
    out->width = out->head.width;
    out->mark_width = 0;
    for (size_t r = 0; r < g->n_rows; r++) {
        char buffer[64];
        const grid_cell *cell = &g->cells[r * g->n_columns + c];
        size_t width = utf8_width(cell->text), mark_width = utf8_width(mark_of(cell, buffer));
        out->width = width > out->width ? width : out->width;
        out->mark_width = mark_width > out->mark_width ? mark_width : out->mark_width;
    }
}

// Columns without marks keep the place of one, for a wider gap, where the table stays within its width.
static void loosen(column *columns, size_t n, size_t name_width) {
    size_t total = name_width;
    for (size_t c = 0; c < n; c++)
        total += 1 + columns[c].width + (columns[c].mark_width > 0 ? columns[c].mark_width : 1);
    for (size_t c = 0; total <= TABLE_WIDTH && c < n; c++)
        columns[c].mark_width = columns[c].mark_width > 0 ? columns[c].mark_width : 1;
}

static size_t full_width(const column *c) {
    return 1 + c->width + c->mark_width;
}

// Where the part that begins with column `from` ends, of as many parts of like width as the table needs.
static size_t part_end(const column *columns, size_t n, size_t from, size_t name_width) {
    const size_t room = TABLE_WIDTH - (name_width < TABLE_WIDTH ? name_width : TABLE_WIDTH - 1);
    size_t left = 0, width = 0, end = from;
    for (size_t c = from; c < n; c++)
        left += full_width(&columns[c]);
    const size_t parts = (left + room - 1) / room;
    while (end < n && (end == from || (width < left / parts && width + full_width(&columns[end]) <= room)))
        width += full_width(&columns[end++]);
    return end;
}

// The columns from .. end.
static void put_heads(FILE *stream, const grid *g, const column *columns, size_t from, size_t end,
                      size_t name_width) {
    size_t first = HEAD_LINES - 1, total = name_width;
    for (size_t c = from; c < end; c++) {
        for (size_t i = 0; i < first; i++)
            if (columns[c].head.line[i][0] != '\0')
                first = i;
        total += full_width(&columns[c]);
    }
    for (size_t i = first; i < HEAD_LINES; i++) {
        line l = {stream, name_width};
        if (i == HEAD_LINES - 1) {
            fputs(g->row_head, stream);
            l.pending -= strlen(g->row_head);
        }
        for (size_t c = from; c < end; c++)
            put_cell(&l, columns[c].head.line[i], columns[c].width, "", columns[c].mark_width);
        end_line(&l);
    }
    for (size_t i = 0; i < total; i++)
        fputs("─", stream);
    putc('\n', stream);
}

static void put_part(FILE *stream, const grid *g, const column *columns, size_t from, size_t end,
                     size_t name_width) {
    put_heads(stream, g, columns, from, end, name_width);
    for (size_t r = 0; r < g->n_rows; r++) {
        line l = {stream, 0};
        put_item(&l, g->records[r]->name);
        put_item(&l, grid_converged(g, r) ? "" : "!");
        l.pending = name_width - utf8_width(g->records[r]->name) - !grid_converged(g, r);
        for (size_t c = from; c < end; c++) {
            const grid_cell *cell = &g->cells[r * g->n_columns + c];
            char buffer[64];
            put_cell(&l, cell->text, columns[c].width, mark_of(cell, buffer), columns[c].mark_width);
        }
        end_line(&l);
    }
}

fim_status put_grid(FILE *stream, const grid *g) {
    fim_status status = FIM_OK;
    column *columns = NULL;
    FIM_TRY(fim_alloc(g->n_columns, sizeof *columns, "the columns of a table", &columns));
    size_t name_width = strlen(g->row_head);
    for (size_t r = 0; r < g->n_rows; r++) {
        size_t width = utf8_width(g->records[r]->name) + !grid_converged(g, r);
        name_width = width > name_width ? width : name_width;
    }
    for (size_t c = 0; c < g->n_columns; c++)
        measure(g, c, &columns[c]);
    loosen(columns, g->n_columns, name_width);
    for (size_t from = 0, end; from < g->n_columns; from = end) {
        end = part_end(columns, g->n_columns, from, name_width);
        if (from > 0)
            putc('\n', stream);
        put_part(stream, g, columns, from, end, name_width);
    }
    for (size_t i = 0; i < g->n_whys; i++) {
        char buffer[64];
        fprintf(stream, "%s ", superscript(i + 1, buffer));
        put_plain(stream, g->whys[i]);
        putc('\n', stream);
    }
    for (size_t r = 0; r < g->n_rows; r++)
        if (!grid_converged(g, r)) {
            fputs("! ", stream);
            put_not_converged(stream, g, r, put_plain);
            putc('\n', stream);
        }
out:
    free(columns);
    return status;
}

// The steps of the methods at three dampings.
static fim_status put_steps(FILE *stream, const fim_record *layer) {
    grid g;
    char legend[STEPS_LEGEND];
    fim_status status = steps_grid(layer, &g, legend);
    if (status != FIM_OK)
        return status;
    if (g.n_rows > 0) {
        fprintf(stream, "\n%s\n\n", legend);
        status = put_grid(stream, &g);
    }
    grid_clear(&g);
    return status;
}

static fim_status put_layer(FILE *stream, const fim_record *layer) {
    grid g;
    fim_status status = grid_fill(layer, &g);
    if (status != FIM_OK)
        return status;
    fputs("layer ", stream);
    put_plain(stream, layer->name);
    fputs(": ", stream);
    put_layer_facts(stream, layer, put_plain, "\n");
    putc('\n', stream);
    status = put_grid(stream, &g);
    grid_clear(&g);
    return status == FIM_OK ? put_steps(stream, layer) : status;
}

// Behind the layers of a checkpoint.
static fim_status put_decomposition(FILE *stream, const layer_row *rows, size_t count) {
    grid g;
    fim_status status = decomposition_grid(rows, count, &g);
    if (status != FIM_OK)
        return status;
    if (g.n_rows > 0) {
        fputs("\nwhere KFAC's error is, in percent of its square\n\n", stream);
        status = put_grid(stream, &g);
        for (const char *const *l = decomposition_legend(rows, count); *l != NULL; l++)
            fprintf(stream, "%s\n", *l);
    }
    grid_clear(&g);
    return status;
}

fim_status fim_report_table(const fim_record *report, char **out) {
    fim_status status = FIM_OK;
    layer_row *rows = NULL;
    size_t count = 0, first = 0; // of the checkpoint
    text t = {0};
    FIM_TRY(layer_rows(report, &rows, &count));
    FIM_TRY(text_open(&t));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            putc('\n', t.stream);
        if (i == 0 || rows[i].checkpoint != rows[i - 1].checkpoint) {
            put_plain(t.stream, text_or_empty(rows[i].checkpoint, "file"));
            fputs("\n\n", t.stream);
        }
        FIM_TRY(put_layer(t.stream, rows[i].layer));
        first = rows[i].checkpoint == rows[first].checkpoint ? first : i;
        if (i + 1 == count || rows[i + 1].checkpoint != rows[i].checkpoint)
            FIM_TRY(put_decomposition(t.stream, rows + first, i + 1 - first));
    }
    fputs("\n* smallest error of its column\n", t.stream);
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    free(rows);
    return status;
}
