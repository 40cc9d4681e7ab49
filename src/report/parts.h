// parts.h - what the tables, pages and figures of the report room are made of. Inside this room only.
#ifndef FIM_REPORT_PARTS_H
#define FIM_REPORT_PARTS_H

#include <math.h>
#include <stdio.h>

#include "fim/report.h"

// ---- text.c: a growing text, and foreign names in it ----

typedef struct text {
    FILE *stream; // NULL when closed
    char *data;
    size_t size;
} text;

fim_status text_open(text *t);
// Ends t and hands its content over; FIM_ERR_MEMORY when something was lost.
fim_status text_close(text *t, char **out);
void text_discard(text *t);

// Names come from files. Control characters and invalid UTF-8 become '?' in all of these.
void put_plain(FILE *stream, const char *s);
void put_html(FILE *stream, const char *s);    // with & < > " ' as entities
void put_gnuplot(FILE *stream, const char *s); // between single quotes, where gnuplot expands nothing
// A valid UTF-8 copy, control characters kept; NULL when memory is out.
char *utf8_copy(const char *s);
// Characters, not bytes.
size_t utf8_width(const char *s);
// `s` as part of a file name, injective: letters, digits, '.', '_' and '-' stay, others become =XX.
void put_file_name(FILE *stream, const char *s);

// A value as a person likes to read it, by the name of what it is: seconds, bytes, counts, a residual, else
// four digits.
char *format_number(const char *name, double value, char buffer[static 24]);

// ---- rows.c: the layers of a report, and one layer's comparison as a grid ----

typedef struct layer_row {
    const fim_record *checkpoint; // name: its index; text "file"
    const fim_record *layer;      // children: methods
} layer_row;

// All layers of all checkpoints, in order; FIM_ERR_FORMAT when there is none. *rows is malloc'ed.
fim_status layer_rows(const fim_record *report, layer_row **rows, size_t *count);
// The record's value, or NAN.
double value_or_nan(const fim_record *record, const char *name);
// The record's text, or "".
const char *text_or_empty(const fim_record *record, const char *name);

typedef struct grid_cell {
    char text[32]; // "0.7773", "≥0.7773" and "≤0.7773" for bounds, "-" for what was not computed, "" for what
                   // does not apply
    bool best;
    size_t why; // number of the footnote from 1; 0: none
} grid_cell;

typedef struct grid {
    size_t n_rows, n_columns;
    const fim_record **methods; // per row
    const char **columns;       // names of the values, in order of appearance
    grid_cell *cells;           // (n_rows, n_columns)
    size_t n_whys;
    const char **whys; // footnotes, each once
} grid;

// Methods × values of one layer. An error's smallest absolute values are marked best, all that read the same.
fim_status grid_fill(const fim_record *layer, grid *out);
void grid_clear(grid *g);
// False when an iterative method stopped early.
bool grid_converged(const grid *g, size_t row);
// What the methods' values are called in any of `count` layers, in order of appearance; *names is malloc'ed.
fim_status value_names(const layer_row *rows, size_t count, const char ***names, size_t *n_names);

// The lines above a layer's grid: its size and samples, its norms, and the floor of Kronecker sums.
void put_layer_facts(FILE *stream, const fim_record *layer, void (*put)(FILE *, const char *),
                     const char *line_end);
// "kpsvd:2 did not converge: relative residual 1.3e-04 after 2000 products".
void put_not_converged(FILE *stream, const grid *g, size_t row, void (*put)(FILE *, const char *));

// ---- figure.c: one mechanism for all figures ----

typedef struct figure {
    char *name;   // of its files, without extension
    char *title;  // heads it on the page
    char *data;   // <name>.dat
    char *script; // gnuplot commands from the settings to `plot`
    double width; // in points of the SVG; the PNG has twice as many
    double height;
} figure;

typedef struct figure_list {
    size_t count;
    figure *items;
} figure_list;

void figure_list_clear(figure_list *list);

// A figure in the making: its four texts are written to.
typedef struct draft {
    text name, title, data, script;
} draft;

fim_status draft_open(draft *d);
// The finished figure goes to the end of list.
fim_status draft_close(draft *d, double width, double height, figure_list *list);
void draft_discard(draft *d);
// Script: the figure's heading, its title above a smaller line, both as plain texts.
void put_heading(FILE *script, const char *title, const char *subtitle);
// Script: " lw ... lc ... dt ... pt ..." of the i-th of several lines: Okabe and Ito's colours, which
// colour-blind readers tell apart, with dashes and points for those who print in grey.
void put_line_style(FILE *script, size_t i, size_t dash);

// The least and the largest of the positive numbers of an axis; starts as RANGE_EMPTY.
typedef struct range {
    double low, high;
} range;
#define RANGE_EMPTY ((range){INFINITY, 0})

void range_widen(range *r, double value);
// True when the numbers want a logarithmic axis.
bool range_is_wide(const range *r);
// Script: the y axis of errors in this range, from 0 or logarithmic.
void put_error_axis(FILE *script, const range *r);
// How far apart two numbers are on that axis, as a share of it.
double range_distance(const range *r, double a, double b);

// Data: " \"<s>\"", a name in one column whatever it holds.
void put_quoted(FILE *data, const char *s);
// Data: " <value>", "?" for what is missing.
void put_number(FILE *data, double value);
// <folder>/<name>.dat and .gp.
fim_status figure_write(const figure *f, const char *folder);
// By gnuplot <folder>/<name>.svg and .png. FIM_ERR_UNAVAILABLE when there is no gnuplot, FIM_ERR_IO with its
// complaints when it fails.
fim_status figure_draw(const figure *f, const char *folder);

// ---- layer_figures.c, course_figures.c ----

// Figures of one layer, of the layers over several checkpoints, of run logs; added to list.
fim_status figures_of_layer(const layer_row *row, const char *prefix, figure_list *list);
fim_status figures_of_history(const layer_row *rows, size_t count, const char *prefix, figure_list *list);
fim_status figures_of_runs(const fim_record *logs, size_t n_logs, figure_list *list);

// ---- page.c: the pieces of index.html ----

void put_page_begin(FILE *stream, const char *title);
void put_page_end(FILE *stream);
// Level 2 or 3.
void put_page_heading(FILE *stream, int level, const char *before, const char *name);
// The facts of a layer and its methods as a table.
fim_status put_page_layer(FILE *stream, const fim_record *layer);
// The figures of list from number `first` on.
void put_page_figures(FILE *stream, const figure_list *list, size_t first);
// The texts of a report or a run log: where it comes from.
void put_page_provenance(FILE *stream, const fim_record *record);

#endif
