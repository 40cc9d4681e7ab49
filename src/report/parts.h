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
// A mean with its standard error in units of the last digit: "0.1263(12)" for 0.1263 ± 0.0012, two digits of
// the error where four of the value show them, one beside a power of ten. Without an error that shows (also
// NAN), as format_number.
char *format_mean(const char *name, double value, double error, char buffer[static 24]);

// ---- rows.c: the layers of a report, and values of records as a grid ----

typedef struct layer_row {
    const fim_record *checkpoint; // name: its index; text "file"
    const fim_record *layer;      // children: methods
} layer_row;

// All layers of all checkpoints, in order; FIM_ERR_FORMAT when there is none. *rows is malloc'ed.
fim_status layer_rows(const fim_record *report, layer_row **rows, size_t *count);
// The record's value, or NAN.
double value_or_nan(const fim_record *record, const char *name);
// The record's value as a person likes to read it, with its standard error when it is a mean of repeats; ""
// when it is missing.
char *format_value(const fim_record *record, const char *name, char buffer[static 24]);
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
    const char *row_head;       // what a row is: "method", "layer"
    const fim_record **records; // per row, with its name
    const char **columns;       // heads, their words parted by '_'; for methods the names of their values
    grid_cell *cells;           // (n_rows, n_columns)
    size_t n_whys;
    const char **whys; // footnotes, each once
} grid;

// Methods × values of one layer. An error's smallest absolute values are marked best, all that read the same.
fim_status grid_fill(const fim_record *layer, grid *out);
void grid_clear(grid *g);
// Allocates the rows' records, the cells and the footnotes of n_rows × n_columns.
fim_status grid_alloc(grid *g);
// The cell of a value with its note, which must outlive the grid: of a missing value it becomes a footnote,
// of a bound a sign before `number`, which is how the value reads.
void grid_put(grid *g, size_t row, size_t column, double value, const char *note, const char *number);
// Marks the smallest values of a column, whose head is their name, all that read the same; not among rows
// with a remark.
void grid_mark_best(grid *g, size_t column);
// False when an iterative method stopped early, or the row has a text "remark".
bool grid_converged(const grid *g, size_t row);
// What the methods' values are called in any of `count` layers, in order of appearance; *names is malloc'ed.
fim_status value_names(const layer_row *rows, size_t count, const char ***names, size_t *n_names);

// The lines above a layer's grid: its size and samples, its norms, and the floor of Kronecker sums.
void put_layer_facts(FILE *stream, const fim_record *layer, void (*put)(FILE *, const char *),
                     const char *line_end);
// "kpsvd:2 did not converge: relative residual 1.3e-04 after 2000 products", or the name and the remark.
void put_not_converged(FILE *stream, const grid *g, size_t row, void (*put)(FILE *, const char *));

// ---- table.c, page.c: a grid, in text and in HTML ----

// Heads, rows, footnotes.
fim_status put_grid(FILE *stream, const grid *g);
// The table and the notes: the lines of `legend` up to a NULL, then the footnotes.
void put_page_grid(FILE *stream, const grid *g, const char *const *legend);
// The table of fim_report_comparison, its facts above and its legend below.
fim_status put_page_comparison(FILE *stream, const fim_record *logs, size_t n_logs, const char *reference);

// ---- figure.c: one mechanism for all figures ----

typedef struct figure {
    char *name;           // of its files, without extension
    char *title;          // heads it on the page
    char *data;           // <name>.dat
    char *script;         // gnuplot commands from the settings to `plot`
    double width, height; // mm
} figure;

typedef struct figure_list {
    fim_plot_size size;
    size_t count;
    figure *items;
} figure_list;

void figure_list_clear(figure_list *list);

// A figure in the making: its four texts are written to.
typedef struct draft {
    text name, title, data, script;
} draft;

fim_status draft_open(draft *d);
// The finished figure goes to the end of list. Its width and height are pixels of 1/96 inch on a screen; on
// paper it is as wide as the column, and lower.
fim_status draft_close(draft *d, double width, double height, figure_list *list);
void draft_discard(draft *d);
// Name and titles of a layer's figure: "layer-<name>-<what>" behind the prefix; the layer's and the
// checkpoint's names on the figure.
void put_layer_names(draft *d, const layer_row *row, const char *prefix, const char *what, const char *title);
// The file's name without folders and ending.
void file_stem(const char *path, char *buffer, size_t size);
// Script: the figure's heading, its title above a smaller line, both as plain texts.
void put_heading(FILE *script, const char *title, const char *subtitle);
// Script: where the legend stands; of many lines beside the graph, when there is room, else below it.
void put_legend(FILE *script, bool many);

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
// Script: the function low(y, e), y − e or the lower end of that axis.
void put_low(FILE *script, const range *r);
// Script: a logarithmic y axis that fits this range closely.
void put_log_axis(FILE *script, const range *r);

// Data: " \"<s>\"", a name in one column whatever it holds.
void put_quoted(FILE *data, const char *s);
// Data: " <value>", "?" for what is missing.
void put_number(FILE *data, double value);

// ---- style.c: what all figures look like ----

#define STYLE_FILE "style.gnuplot"

// In mm, of a figure that takes so many pixels on a screen.
double plot_width(fim_plot_size size, double pixels);
double plot_height(fim_plot_size size, double pixels);
// The content of STYLE_FILE, which every script loads; the file `users` at its end, when it is not NULL.
fim_status style_text(fim_plot_size size, const char *users, char **out);
// Script: " ls <i>", the line of a method or an optimizer, the same in all figures; where its i-th line is
// drawn (`again` = i > 0) and for more terms than the method's usual with dashes and points of its own.
void put_line(FILE *script, const char *name, size_t again);
// Script: the same for what is filled, and with open points.
void put_fill(FILE *script, const char *name);
void put_open_points(FILE *script, const char *name);
// Behind `lead`, their entry in the legend.
void put_open_key(FILE *script, const char *lead);

// ---- draw.c: a figure as files ----

// <folder>/<name><extension>.
fim_status write_text(const char *folder, const char *name, const char *extension, const char *content);
// <folder>/<name>.dat and .gp.
fim_status figure_write(const figure *f, const char *folder);
// By gnuplot <folder>/<name>.svg, .pdf and .png. FIM_ERR_UNAVAILABLE when there is no gnuplot, FIM_ERR_IO
// with its complaints when it fails.
fim_status figure_draw(const figure *f, const char *folder);

// ---- layer_figures.c, course_figures.c ----

// Figures of one layer, and of the layers over several checkpoints; added to list.
fim_status figures_of_layer(const layer_row *row, const char *prefix, figure_list *list);
fim_status figures_of_history(const layer_row *rows, size_t count, const char *prefix, figure_list *list);

// ---- variants.c: runs, grouped over their seeds ----

enum { VARIANT_NAME = 64 };

// What changes from epoch to epoch. Losses are per output.
typedef enum course {
    COURSE_SECONDS, // of training, since its start
    COURSE_LOSS,
    COURSE_VALIDATION,
    COURSE_EXCESS, // of the loss over the floor, where the run knows one above 0
    COURSES
} course;

// Over the runs of a variant; all NAN when any of them has no number. `error` is the standard error of the
// mean, NAN for a single run.
typedef struct spread {
    double mean, low, high, error;
} spread;

// One line of a comparison: runs of the same name and settings, with different seeds.
typedef struct variant {
    char name[VARIANT_NAME];
    size_t n_runs, n_diverged;
    const fim_record **runs;  // those that diverged behind the others
    size_t n_counted;         // the first of them: those that did not diverge, or all when all did
    size_t epochs;            // the first ones, which all that count have
    size_t most_epochs;       // of the longest one that counts
    spread *courses[COURSES]; // (epochs) each
} variant;

typedef struct variant_list {
    size_t count;
    variant *items;
} variant_list;

// In order of appearance. A run is called by its text "variant", or else by the folder of its text "file"
// (of that folder's parent when it is called seed-<s>). FIM_ERR_FORMAT for a log without epochs.
fim_status variants_group(const fim_record *logs, size_t n_logs, variant_list *out);
void variants_clear(variant_list *list);
double curve_at(const fim_curve *c, size_t i); // NAN where there is none
bool run_diverged(const fim_record *run);
double run_outputs(const fim_record *run);
spread spread_of(const double *values, size_t n);
// The mean after the last epoch, or NAN.
double final_of(const variant *v, course c);

// ---- comparison.c, run_figures.c: a comparison of training runs ----

// A child per variant with its values, the texts optimizer and damping_form, and, when something went wrong,
// "remark"; texts "facts" and "legend_<k>" of the whole.
fim_status comparison_record(const fim_record *logs, size_t n_logs, const char *reference, fim_record *out);
fim_status comparison_grid(const fim_record *comparison, grid *out);
// The lines below the grid up to a NULL: at most COMPARISON_LEGEND of them.
enum { COMPARISON_LEGEND = 8 };
void comparison_legend(const fim_record *comparison, const char *legend[static COMPARISON_LEGEND + 1]);
// Losses against epochs and seconds, a line per variant.
fim_status figures_of_runs(const fim_record *logs, size_t n_logs, const fim_published *published,
                           figure_list *list);

// ---- decomposition.c: where KFAC's error is ----

// Layers × parts, in percent of KFAC's squared error; no rows when no layer of `rows` has them.
fim_status decomposition_grid(const layer_row *rows, size_t count, grid *out);
// What the columns of such a grid mean, in lines up to a NULL.
const char *const *decomposition_legend(const layer_row *rows, size_t count);
// The same as a figure.
fim_status figure_of_decomposition(const layer_row *rows, size_t count, const char *prefix,
                                   figure_list *list);

// ---- heatmap.c: layers × methods ----

// Of the layers of a checkpoint, when there are several.
fim_status figure_of_errors(const layer_row *rows, size_t count, const char *prefix, figure_list *list);

// ---- steps.c: the steps of the methods along a sweep of dampings ----

// The curves of a method, up to a NULL.
extern const char *const step_names[];
bool is_step_name(const char *name);
enum { STEPS_LEGEND = 400 };
// Methods × three of the dampings, the outermost and the middle one, which the legend names, with the errors
// of estimates; no rows when the layer has no such curves.
fim_status steps_grid(const fim_record *layer, grid *out, char legend[STEPS_LEGEND]);
// Their figures, one a metric.
fim_status figures_of_steps(const layer_row *row, const char *prefix, figure_list *list);

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
