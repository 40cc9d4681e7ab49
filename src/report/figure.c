// Figures in the making: a figure is two texts, data and script, and here is what scripts share.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

static void figure_clear(figure *f) {
    free(f->name);
    free(f->title);
    free(f->data);
    free(f->script);
}

void figure_list_clear(figure_list *list) {
    for (size_t i = 0; i < list->count; i++)
        figure_clear(&list->items[i]);
    free(list->items);
    *list = (figure_list){0};
}

// ---- Drafts ----

fim_status draft_open(draft *d) {
    fim_status status = FIM_OK;
    *d = (draft){0};
    FIM_TRY(text_open(&d->name));
    FIM_TRY(text_open(&d->title));
    FIM_TRY(text_open(&d->data));
    FIM_TRY(text_open(&d->script));
out:
    if (status != FIM_OK)
        draft_discard(d);
    return status;
}

fim_status draft_close(draft *d, double width, double height, figure_list *list) {
    fim_status status = FIM_OK;
    const fim_plot_size size = list->size;
    figure f = {.width = plot_width(size, width), .height = plot_height(size, height)};
    FIM_TRY(text_close(&d->name, &f.name));
    FIM_TRY(text_close(&d->title, &f.title));
    FIM_TRY(text_close(&d->data, &f.data));
    FIM_TRY(text_close(&d->script, &f.script));
    figure *wider = realloc(list->items, (list->count + 1) * sizeof *wider);
    if (wider == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a figure"));
    list->items = wider;
    list->items[list->count++] = f;
    f = (figure){0};
out:
    figure_clear(&f);
    return status;
}

void draft_discard(draft *d) {
    text_discard(&d->name);
    text_discard(&d->title);
    text_discard(&d->data);
    text_discard(&d->script);
}

void file_stem(const char *path, char *buffer, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(buffer, size, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(buffer, '.');
    if (dot != NULL && dot != buffer)
        *dot = '\0';
}

void put_heading(FILE *script, const char *title, const char *subtitle) {
    fputs("title = '", script);
    put_gnuplot(script, title);
    fputs("'\nsubtitle = '", script);
    put_gnuplot(script, subtitle);
    fputs("'\nif (titles) eval heading\n", script);
}

void put_legend(FILE *script, bool many) {
    fputs(many ? "eval(narrow ? legend_below : legend_beside)\n" : "eval(legend_below)\n", script);
}

void range_widen(range *r, double value) {
    if (isfinite(value) && value > 0) {
        r->low = fmin(r->low, value);
        r->high = fmax(r->high, value);
    }
}

bool range_is_wide(const range *r) {
    return r->high > 6 * r->low;
}

// A number at 1, 2 and 5 of few decades, at every decade of more, as a power where it would be long.
static void put_log_range(FILE *script, double low, double high) {
    const int first = (int)floor(log10(low)), last = (int)ceil(log10(high));
    fprintf(script, "set logscale y\nset format y '%s'\nset yrange [%.3g:%.3g]\n",
            low < 5e-4 || high > 5e4 ? "10^{%T}" : "%g", low, high);
    if (last - first > 3)
        return;
    fputs("set ytics (", script);
    for (int decade = first; decade <= last; decade++)
        fprintf(script, "%s1e%d,2e%d,5e%d", decade > first ? "," : "", decade, decade, decade);
    fputs(")\n", script);
}

void put_error_axis(FILE *script, const range *r) {
    // Room below for the shortest bar, and above for a number on the highest.
    if (range_is_wide(r))
        put_log_range(script, r->low / 2, r->high * fmax(2, pow(r->high / r->low, 0.15)));
    else
        fprintf(script, "set yrange [0:%.3g]\n", r->high > 0 ? 1.15 * r->high : 1);
}

void put_low(FILE *script, const range *r) {
    const double least = range_is_wide(r) ? r->low / 2 : 0;
    fprintf(script, "low(y, e) = y - e > %.3g ? y - e : %.3g\n", least, least);
}

void put_log_axis(FILE *script, const range *r) {
    put_log_range(script, r->low / 1.15, r->high * 1.15);
}

void put_quoted(FILE *data, const char *s) {
    fputs(" \"", data);
    for (; *s != '\0'; s++)
        putc((unsigned char)*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f ? '?' : *s, data);
    putc('"', data);
}

void put_number(FILE *data, double value) {
    if (isfinite(value))
        fprintf(data, " %.17g", value);
    else
        fputs(" ?", data);
}
