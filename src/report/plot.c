// A folder of figures with its page. Data, scripts and page are written before the first picture is drawn, so
// that a machine without gnuplot still gives everything that another one needs.
#include <stdlib.h>
#include <string.h>

#include "parts.h"

// All layers of a checkpoint: their errors, and where KFAC's is.
static fim_status add_layers(const layer_row *rows, size_t count, const char *prefix, FILE *page,
                             figure_list *list) {
    size_t first = list->count;
    grid g;
    fim_status status = figure_of_errors(rows, count, prefix, list);
    if (status != FIM_OK)
        return status;
    if (list->count > first)
        put_page_heading(page, 3, "", "All layers");
    put_page_figures(page, list, first);
    first = list->count;
    status = decomposition_grid(rows, count, &g);
    if (status != FIM_OK || g.n_rows == 0)
        return status;
    put_page_heading(page, 3, "", "Where KFAC's error is, in percent of its square");
    put_page_grid(page, &g, decomposition_legend(rows, count));
    grid_clear(&g);
    FIM_TRY(figure_of_decomposition(rows, count, prefix, list));
    put_page_figures(page, list, first);
out:
    return status;
}

// More than so many are not shown one by one.
enum { MOST_CHECKPOINTS = 6 };

// Tables and figures of one report; `prefix` begins its figures' names.
static fim_status add_report(const fim_record *report, const char *prefix, FILE *page, figure_list *list) {
    fim_status status = FIM_OK;
    layer_row *rows = NULL;
    size_t count = 0;
    FIM_TRY(layer_rows(report, &rows, &count));
    const size_t checkpoints = fim_record_child(report, "checkpoints")->n_children;
    const bool several = rows[0].checkpoint != rows[count - 1].checkpoint;
    const bool brief = checkpoints > MOST_CHECKPOINTS; // a trajectory: its course, and its last checkpoint
    for (size_t i = 0, k = 0, start = 0; i < count; i++) { // start: of the checkpoint
        char own[80];
        size_t first = list->count;
        bool new_checkpoint = i == 0 || rows[i].checkpoint != rows[i - 1].checkpoint;
        k += i > 0 && new_checkpoint;
        if (brief && rows[i].checkpoint != rows[count - 1].checkpoint)
            continue;
        if (new_checkpoint)
            put_page_heading(page, 2, "", text_or_empty(rows[i].checkpoint, "file"));
        if (several)
            snprintf(own, sizeof own, "%scheckpoint-%zu-", prefix, k);
        else
            snprintf(own, sizeof own, "%s", prefix);
        put_page_heading(page, 3, "Layer ", rows[i].layer->name);
        FIM_TRY(put_page_layer(page, rows[i].layer));
        FIM_TRY(figures_of_layer(&rows[i], own, list));
        put_page_figures(page, list, first);
        start = new_checkpoint ? i : start;
        if (i + 1 == count || rows[i + 1].checkpoint != rows[i].checkpoint)
            FIM_TRY(add_layers(rows + start, i + 1 - start, own, page, list));
    }
    if (several) {
        size_t first = list->count;
        FIM_TRY(figures_of_history(rows, count, prefix, list));
        if (list->count > first)
            put_page_heading(page, 2, "", "From checkpoint to checkpoint");
        put_page_figures(page, list, first);
    }
    put_page_heading(page, 2, "Provenance ", text_or_empty(report, "file"));
    put_page_provenance(page, report);
out:
    free(rows);
    return status;
}

static fim_status add_runs(const fim_record *logs, size_t n_logs, const fim_plot_options *options, FILE *page,
                           figure_list *list) {
    fim_status status = FIM_OK;
    size_t first = list->count;
    FIM_TRY(figures_of_runs(logs, n_logs, options->published, list));
    put_page_heading(page, 2, "", "Training");
    if (n_logs > 1)
        FIM_TRY(put_page_comparison(page, logs, n_logs, options->reference));
    put_page_figures(page, list, first);
    for (size_t r = 0; r < n_logs; r++) {
        put_page_heading(page, 2, "Provenance ", text_or_empty(&logs[r], "file"));
        put_page_provenance(page, &logs[r]);
    }
out:
    return status;
}

fim_status fim_report_plot_all(const fim_record *reports, size_t n_reports, const fim_record *logs,
                               size_t n_logs, const fim_plot_options *options, const char *folder,
                               const fim_monitor *monitor) {
    fim_status status = FIM_OK;
    figure_list list = {.size = options->size};
    text t = {0};
    char *page = NULL, *style = NULL;
    FIM_TRY(style_text(options->size, options->style, &style));
    FIM_TRY(text_open(&t));
    put_page_begin(t.stream, options->title);
    for (size_t i = 0; i < n_reports; i++) {
        char prefix[40] = "";
        if (n_reports > 1)
            snprintf(prefix, sizeof prefix, "report-%zu-", i);
        FIM_TRY(add_report(&reports[i], prefix, t.stream, &list));
    }
    if (n_logs > 0)
        FIM_TRY(add_runs(logs, n_logs, options, t.stream, &list));
    put_page_end(t.stream);
    FIM_TRY(text_close(&t, &page));

    FIM_TRY(fim_folder_make(folder));
    FIM_TRY(write_text(folder, STYLE_FILE, "", style));
    for (size_t i = 0; i < list.count; i++)
        FIM_TRY(figure_write(&list.items[i], folder));
    FIM_TRY(write_text(folder, "index", ".html", page));
    for (size_t i = 0; i < list.count; i++) {
        FIM_TRY(fim_monitor_progress(monitor, "drawing figures", (double)i, (double)list.count));
        FIM_TRY(figure_draw(&list.items[i], folder));
    }
    FIM_TRY(fim_monitor_progress(monitor, "drawing figures", (double)list.count, (double)list.count));
out:
    figure_list_clear(&list);
    text_discard(&t);
    free(style);
    free(page);
    return status;
}

fim_status fim_report_plot(const fim_record *report, const char *title, const char *folder,
                           const fim_monitor *monitor) {
    return fim_report_plot_all(report, 1, NULL, 0, &(fim_plot_options){.title = title}, folder, monitor);
}

fim_status fim_report_plot_runs(const fim_record *logs, size_t n_logs, const char *folder,
                                const fim_monitor *monitor) {
    return fim_report_plot_all(NULL, 0, logs, n_logs, &(fim_plot_options){.title = "Training"}, folder,
                               monitor);
}
