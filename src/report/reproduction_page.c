// A reproduction as one page: findings, tables with verdicts, figures inside, where everything comes from.
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

static void put_findings(FILE *page, const finding findings[FINDINGS]) {
    put_page_heading(page, 2, "", "Findings");
    for (size_t i = 0; i < FINDINGS; i++) {
        if (findings[i].told == NULL)
            continue;
        put_page_heading(page, 3, "", findings[i].title);
        fputs("<ul>\n", page);
        for (const char *cursor = findings[i].told; *cursor != '\0';) {
            const size_t length = strcspn(cursor, "\n");
            char line[2048];
            snprintf(line, sizeof line, "%.*s", (int)length, cursor);
            fputs("<li>", page);
            put_html(page, line);
            fputs("</li>\n", page);
            cursor += length + (cursor[length] == '\n');
        }
        fputs("</ul>\n<p class=\"notes\"><code>", page);
        put_html(page, findings[i].command);
        fputs("</code></p>\n", page);
    }
}

static void put_verdicts(FILE *page, const verdict_list *list, const char *net, verdict_table table) {
    char published[24], ours[24], exact[24], tolerance[24];
    bool any = false;
    for (size_t i = 0; i < list->count; i++) {
        const verdict *v = &list->items[i];
        if (strcmp(v->net, net) != 0 || v->table != table)
            continue;
        if (!any) {
            put_page_heading(page, 3, "", verdict_headings[table].title);
            fprintf(page,
                    "<div class=\"wide\"><table "
                    "class=\"verdicts\">\n<tr><th></th><th>published</th><th>ours</th>%s"
                    "<th>tolerance</th><th>verdict</th><th>why</th></tr>\n",
                    table == VERDICT_ERRORS ? "<th>exact Fisher</th>" : "");
        }
        any = true;
        fprintf(page, "<tr class=\"%s\"><td>", v->word);
        put_html(page, v->what);
        fprintf(page, "</td><td>%s</td><td>%s</td>", number_or_dash(v->published, published),
                number_or_dash(v->ours, ours));
        if (table == VERDICT_ERRORS)
            fprintf(page, "<td>%s</td>", number_or_dash(v->exact, exact));
        fprintf(page, "<td>%s</td><td>%s</td><td>", number_or_dash(v->tolerance, tolerance), v->word);
        put_html(page, v->reason);
        fputs("</td></tr>\n", page);
    }
    if (any)
        fprintf(page, "</table></div>\n<p class=\"notes\">A row %s.</p>\n",
                verdict_headings[table].tolerance);
}

// What kind of data these are, by their specification.
static const char *data_of(const char *net, const char *spec) {
    if (strncmp(spec, "curves:", 7) == 0)
        return "generated curves, made to resemble the original file in what a network sees, not that file";
    if (strncmp(spec, "faces:", 6) == 0)
        return "patches made from 100 faces (LFW) by shifts, turns, mirroring and brightness, not the "
               "original faces";
    return strcmp(net, "mnist") == 0 ? "read from the file" : "the file given";
}

static void put_data(FILE *page, const fim_reproduction *r) {
    const fim_record *any = r->n_logs > 0 ? &r->logs[0] : r->drawn != NULL ? r->drawn : r->exact;
    const char *spec = "";
    char name[32];
    for (size_t k = 0; any != NULL && k < 1000; k++) { // of a report, the data come behind the checkpoints
        snprintf(name, sizeof name, "input_%zu", k);
        const char *input = fim_record_text(any, name);
        if (input == NULL)
            break;
        spec = input;
    }
    fputs("<p class=\"facts\">Data: ", page);
    put_html(page, spec);
    fprintf(page, " (%s).</p>\n", data_of(r->net, spec));
}

// The published losses of a network, as the figures of runs take them: at those of our epochs that have as
// many iterations.
static fim_status losses_of(const fim_paper *paper, const fim_reproduction *r, fim_published *out) {
    const double theirs =
        ceil(paper_fact(paper, r->net, "train_samples", "") / paper_fact(paper, r->net, "batch", ""));
    const double ratio = theirs / curve_at(fim_record_curve(&r->logs[0], "iterations"), 0);
    fim_published list = {0};
    fim_status status = fim_alloc(paper->count + 1, sizeof *list.points, "published losses", &list.points);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < paper->count; i++) {
        const struct fim_paper_fact *f = &paper->facts[i];
        if (strcmp(f->network, r->net) != 0 || strcmp(f->quantity, "loss_per_output") != 0)
            continue;
        struct fim_published_point *p = &list.points[list.count++];
        p->epoch = isfinite(ratio) ? f->at * ratio : f->at;
        p->loss = f->value;
        snprintf(p->optimizer, sizeof p->optimizer, "%s", f->method);
    }
    *out = list;
    return FIM_OK;
}

// Of a network, the figures of runs and of the layer at the last checkpoint, each with the network's name.
static fim_status add_figures(const fim_reproduction *r, const fim_paper *paper, figure_list *list) {
    fim_published losses = {0};
    char prefix[64];
    layer_row *rows = NULL;
    size_t count = 0;
    fim_status status = FIM_OK;
    FIM_TRY(figures_of_reproduction(r, paper, list));
    const size_t first = list->count;
    if (r->n_logs > 0) {
        FIM_TRY(losses_of(paper, r, &losses));
        FIM_TRY(figures_of_runs(r->logs, r->n_logs, &losses, list));
    }
    for (size_t i = first; i < list->count; i++) { // two networks' runs have figures of the same names
        text t = {0};
        char *name = NULL;
        FIM_TRY(text_open(&t));
        put_file_name(t.stream, r->net);
        fprintf(t.stream, "-%s", list->items[i].name);
        FIM_TRY(text_close(&t, &name));
        free(list->items[i].name);
        list->items[i].name = name;
    }
    snprintf(prefix, sizeof prefix, "%s-", r->net);
    if (course_length(r->exact) > 0) {
        FIM_TRY(layer_rows(r->exact, &rows, &count));
        FIM_TRY(figures_of_layer(&rows[count - 1], prefix, list));
    }
    if (course_length(r->layers) > 0) {
        free(rows);
        rows = NULL;
        FIM_TRY(layer_rows(r->layers, &rows, &count));
        FIM_TRY(figure_of_errors(rows, count, prefix, list));
    }
    if (course_length(r->steps) > 0) {
        free(rows);
        rows = NULL;
        FIM_TRY(layer_rows(r->steps, &rows, &count));
        FIM_TRY(figures_of_steps(&rows[count - 1], prefix, list));
    }
out:
    free(rows);
    free(losses.points);
    return status;
}

// ---- Pictures inside the page ----

static void put_base64(FILE *stream, const unsigned char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const unsigned group =
            (unsigned)bytes[i] << 16 | (i + 1 < n ? bytes[i + 1] : 0u) << 8 | (i + 2 < n ? bytes[i + 2] : 0u);
        putc(digits[group >> 18], stream);
        putc(digits[group >> 12 & 63], stream);
        putc(i + 1 < n ? digits[group >> 6 & 63] : '=', stream);
        putc(i + 2 < n ? digits[group & 63] : '=', stream);
    }
}

// The figure's SVG as an address of the image itself; false when there is none.
static bool put_picture(FILE *page, const figure *f, const char *folder) {
    enum { PART = 3 * 4096 };
    unsigned char bytes[PART];
    char path[1024];
    size_t n;
    snprintf(path, sizeof path, "%s/%s.svg", folder, f->name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    fprintf(page, "<figure><img width=\"%.0f\" height=\"%.0f\" alt=\"", f->width / 25.4 * 96,
            f->height / 25.4 * 96);
    put_html(page, f->title);
    fputs("\" src=\"data:image/svg+xml;base64,", page);
    while ((n = fread(bytes, 1, PART, file)) > 0)
        put_base64(page, bytes, n);
    fputs("\">\n<figcaption>", page);
    put_html(page, f->title);
    fputs("</figcaption></figure>\n", page);
    fclose(file);
    return true;
}

static fim_status draw(const figure_list *list, const char *folder, const fim_monitor *monitor) {
    char *style = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(style_text(FIM_PLOT_SCREEN, NULL, &style));
    FIM_TRY(fim_folder_make(folder));
    FIM_TRY(write_text(folder, STYLE_FILE, "", style));
    for (size_t i = 0; i < list->count; i++)
        FIM_TRY(figure_write(&list->items[i], folder));
    for (size_t i = 0; i < list->count; i++) {
        FIM_TRY(fim_monitor_progress(monitor, "drawing figures", (double)i, (double)list->count));
        FIM_TRY(figure_draw(&list->items[i], folder));
    }
    FIM_TRY(fim_monitor_progress(monitor, "drawing figures", (double)list->count, (double)list->count));
out:
    free(style);
    return status;
}

static const char style_rules[] = "<style>\n"
                                  ".verdicts td:last-child, .verdicts th:last-child { text-align: left; "
                                  "white-space: normal; min-width: 24rem; }\n"
                                  ".verdicts td { vertical-align: top; }\n"
                                  ".verdicts td:first-child { white-space: nowrap; }\n"
                                  ".agrees td:nth-last-child(2) { color: #00684a; font-weight: 600; }\n"
                                  ".differs td:nth-last-child(2) { color: #b03a00; font-weight: 600; }\n"
                                  "</style>\n";

static void put_provenance(FILE *page, const fim_reproduction *r) {
    const struct {
        const char *what;
        const fim_record *record;
    } all[] = {{"errors against one draw", r->drawn},
               {"errors against the exact Fisher", r->exact},
               {"all layers", r->layers},
               {"Krylov steps", r->krylov},
               {"steps along a sweep of dampings", r->steps}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].record != NULL) {
            put_page_heading(page, 3, r->net, "");
            fprintf(page, "<p class=\"facts\">%s</p>\n", all[i].what);
            put_page_provenance(page, all[i].record);
        }
    for (size_t k = 0; k < r->n_logs; k++) {
        put_page_heading(page, 3, "", text_or_empty(&r->logs[k], "file"));
        put_page_provenance(page, &r->logs[k]);
    }
}

fim_status fim_reproduction_page(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                 const char *about, const char *figures, const char *path,
                                 const fim_monitor *monitor) {
    verdict_list list = {0};
    finding findings[FINDINGS] = {0};
    figure_list drawn = {0};
    size_t *first = NULL; // of each network's figures
    char *page = NULL, *complaint = NULL;
    text t = {0};
    fim_status status = FIM_OK, drawing;
    FIM_TRY(verdicts_make(nets, count, paper, &list));
    FIM_TRY(findings_make(nets, count, paper, findings));
    FIM_TRY(fim_alloc(count + 1, sizeof *first, "figures", &first));
    for (size_t k = 0; k < count; k++) {
        first[k] = drawn.count;
        FIM_TRY(add_figures(&nets[k], paper, &drawn));
    }
    first[count] = drawn.count;
    drawing = draw(&drawn, figures, monitor);
    if (drawing != FIM_OK && drawing != FIM_ERR_UNAVAILABLE)
        FIM_TRY(drawing);
    if (drawing != FIM_OK)
        complaint = strdup(fim_message());
    FIM_TRY(text_open(&t));
    put_page_begin(t.stream, "Approximations of the Fisher matrix by Kronecker products: the paper again");
    fputs(style_rules, t.stream);
    fputs("<p>Koroko, Anciaux-Sedrakian, Ben Gharbia, Garès, Haddou, Tran: “Efficient Approximations of the "
          "Fisher "
          "Matrix in Neural Networks using Kronecker Product Singular Value Decomposition”, arXiv "
          "2201.10285. Each "
          "published number stands beside ours; a row agrees within the tolerance stated below its table, "
          "and the "
          "reasons of those that differ are computed from what was measured. ",
          t.stream);
    put_tally(t.stream, &list, NULL);
    fputs(".</p>\n<p class=\"facts\">", t.stream);
    put_html(t.stream, about != NULL ? about : "");
    fputs("</p>\n", t.stream);
    put_findings(t.stream, findings);
    for (size_t k = 0; k < count; k++) {
        put_page_heading(t.stream, 2, "The network ", nets[k].net);
        put_data(t.stream, &nets[k]);
        fputs("<p class=\"facts\">", t.stream);
        put_tally(t.stream, &list, nets[k].net);
        fputs(".</p>\n", t.stream);
        for (size_t table = 0; table < VERDICT_TABLES; table++)
            put_verdicts(t.stream, &list, nets[k].net, (verdict_table)table);
        if (nets[k].n_logs > 0) {
            put_page_heading(t.stream, 3, "", "All runs, with what they cost");
            FIM_TRY(put_page_comparison(t.stream, nets[k].logs, nets[k].n_logs, NULL));
        }
        put_page_heading(t.stream, 3, "Figures: ", nets[k].net);
        for (size_t i = first[k]; i < first[k + 1] && drawing == FIM_OK; i++)
            put_picture(t.stream, &drawn.items[i], figures);
        if (drawing != FIM_OK)
            fputs("<p class=\"notes\">gnuplot was not there to draw them.</p>\n", t.stream);
    }
    put_page_heading(t.stream, 2, "", "Where it comes from");
    for (size_t k = 0; k < count; k++)
        put_provenance(t.stream, &nets[k]);
    put_page_end(t.stream);
    FIM_TRY(text_close(&t, &page));
    FIM_TRY(fim_file_write_text(path, page, true));
    if (drawing != FIM_OK)
        status = FIM_FAIL(drawing, "%s", complaint != NULL ? complaint : "no figures were drawn");
out:
    text_discard(&t);
    free(page);
    free(complaint);
    free(first);
    figure_list_clear(&drawn);
    findings_clear(findings);
    verdict_list_clear(&list);
    return status;
}
