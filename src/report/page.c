// The pieces of index.html: one page without scripts, that opens from the disk and prints well. Everything
// foreign is escaped.
#include <string.h>

#include "parts.h"

void put_page_begin(FILE *stream, const char *title) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          stream);
    put_html(stream, title);
    fputs("</title>\n<style>\n"
          "body { font: 15px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #222; background: #fff;\n"
          "       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }\n"
          "h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 3rem; overflow-wrap: anywhere; }\n"
          "h3 { font-size: 1.05rem; margin: 2rem 0 0.3rem; }\n"
          ".facts { color: #555; margin: 0 0 0.8rem; }\n"
          ".wide { overflow-x: auto; }\n"
          "table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }\n"
          "th { border-bottom: 1px solid #555; font-weight: 600; vertical-align: bottom; }\n"
          "th, td { padding: 0.15rem 0.7rem; text-align: right; }\n"
          "td { border-bottom: 1px solid #eee; }\n"
          "th:first-child, td:first-child { text-align: left; padding-left: 0; }\n"
          ".best { font-weight: 700; }\n"
          ".best::after { content: '*'; position: absolute; }\n"
          ".notes { font-size: 0.85rem; color: #555; margin: 0.4rem 0; }\n"
          "figure { display: inline-block; margin: 1.2rem 1.5rem 0 0; max-width: 100%; }\n"
          "figure img { max-width: 100%; height: auto; }\n"
          "figcaption { font-size: 0.85rem; color: #555; }\n"
          "dl { display: grid; grid-template-columns: max-content auto; gap: 0.1rem 1.2rem; font-size: "
          "0.85rem; }\n"
          "dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }\n"
          "</style>\n</head>\n<body>\n<h1>",
          stream);
    put_html(stream, title);
    fputs("</h1>\n", stream);
}

void put_page_end(FILE *stream) {
    fputs("</body>\n</html>\n", stream);
}

void put_page_heading(FILE *stream, int level, const char *before, const char *name) {
    fprintf(stream, "<h%d>%s", level, before);
    put_html(stream, name);
    fprintf(stream, "</h%d>\n", level);
}

static void put_column_head(FILE *stream, const char *name) {
    char word[40];
    fputs("<th>", stream);
    for (const char *cursor = name; fim_list_next(&cursor, '_', word, sizeof word);) {
        put_html(stream, word);
        putc(' ', stream);
    }
    fputs("</th>", stream);
}

static void put_cell(FILE *stream, const grid_cell *cell) {
    fputs(cell->best ? "<td class=\"best\">" : "<td>", stream);
    put_html(stream, cell->text);
    if (cell->why > 0)
        fprintf(stream, "<sup>%zu</sup>", cell->why);
    fputs("</td>", stream);
}

void put_page_grid(FILE *stream, const grid *g, const char *const *legend) {
    fprintf(stream, "<div class=\"wide\"><table>\n<tr><th>%s</th>", g->row_head);
    for (size_t c = 0; c < g->n_columns; c++)
        put_column_head(stream, g->columns[c]);
    fputs("</tr>\n", stream);
    for (size_t r = 0; r < g->n_rows; r++) {
        fputs("<tr><td>", stream);
        put_html(stream, g->records[r]->name);
        fputs(grid_converged(g, r) ? "</td>" : " !</td>", stream);
        for (size_t c = 0; c < g->n_columns; c++)
            put_cell(stream, &g->cells[r * g->n_columns + c]);
        fputs("</tr>\n", stream);
    }
    fputs("</table></div>\n<p class=\"notes\">", stream);
    for (size_t i = 0; legend[i] != NULL; i++) {
        fputs(i > 0 ? "<br>\n" : "", stream);
        put_html(stream, legend[i]);
    }
    for (size_t i = 0; i < g->n_whys; i++) {
        fprintf(stream, "<br>\n<sup>%zu</sup> ", i + 1);
        put_html(stream, g->whys[i]);
    }
    for (size_t r = 0; r < g->n_rows; r++)
        if (!grid_converged(g, r)) {
            fputs("<br>\n! ", stream);
            put_not_converged(stream, g, r, put_html);
        }
    fputs("</p>\n", stream);
}

fim_status put_page_layer(FILE *stream, const fim_record *layer) {
    grid g;
    fim_status status = grid_fill(layer, &g);
    if (status != FIM_OK)
        return status;
    fputs("<p class=\"facts\">", stream);
    put_layer_facts(stream, layer, put_html, "<br>\n");
    fputs("</p>\n", stream);
    put_page_grid(stream, &g, (const char *const[]){"* smallest error of its column", NULL});
    grid_clear(&g);
    char legend[STEPS_LEGEND];
    status = steps_grid(layer, &g, legend);
    if (status != FIM_OK)
        return status;
    if (g.n_rows > 0)
        put_page_grid(stream, &g, (const char *const[]){legend, NULL});
    grid_clear(&g);
    return FIM_OK;
}

void put_page_figures(FILE *stream, const figure_list *list, size_t first) {
    for (size_t i = first; i < list->count; i++) {
        const figure *f = &list->items[i]; // its name is made of harmless characters
        fprintf(stream, "<figure><img src=\"%s.svg\" width=\"%.0f\" height=\"%.0f\" alt=\"", f->name,
                f->width / 25.4 * 96, f->height / 25.4 * 96);
        put_html(stream, f->title);
        fputs("\">\n<figcaption>", stream);
        put_html(stream, f->title);
        fprintf(stream,
                " (<a href=\"%s.pdf\">PDF</a>, <a href=\"%s.png\">PNG</a>, <a href=\"%s.dat\">data</a>, <a "
                "href=\"%s.gp\">script</a>)"
                "</figcaption></figure>\n",
                f->name, f->name, f->name, f->name);
    }
}

void put_page_provenance(FILE *stream, const fim_record *record) {
    if (record->n_texts == 0)
        return;
    fputs("<dl>\n", stream);
    for (size_t i = 0; i < record->n_texts; i++) {
        fputs("<dt>", stream);
        put_html(stream, record->texts[i].name);
        fputs("</dt><dd>", stream);
        put_html(stream, record->texts[i].text);
        fputs("</dd>\n", stream);
    }
    fputs("</dl>\n", stream);
}

fim_status put_page_comparison(FILE *stream, const fim_record *logs, size_t n_logs, const char *reference) {
    const char *legend[COMPARISON_LEGEND + 1];
    fim_record comparison;
    grid g = {0};
    fim_status status = comparison_record(logs, n_logs, reference, &comparison);
    if (status != FIM_OK)
        return status;
    FIM_TRY(comparison_grid(&comparison, &g));
    fputs("<p class=\"facts\">", stream);
    put_html(stream, text_or_empty(&comparison, "facts"));
    fputs("</p>\n", stream);
    comparison_legend(&comparison, legend);
    put_page_grid(stream, &g, legend);
out:
    grid_clear(&g);
    fim_record_clear(&comparison);
    return status;
}
