// What all figures look like: sizes, the user's own style, the same line for a method everywhere, error bars,
// and pictures that print.
#include "fim/approx.h"
#include "folder.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

// gnuplot's own numbers of what it draws: the width and height of an SVG, in pixels of 1/96 inch.
static void svg_size(const char *folder, const char *name, double *width, double *height) {
    char *svg = read_text(folder, name);
    cr_assert(eq(int, sscanf(strstr(svg, "width="), "width=\"%lf\" height=\"%lf\"", width, height), 2));
    free(svg);
}

static void redraw(const char *folder, const char *script) {
    char command[400];
    snprintf(command, sizeof command, "cd '%s' && gnuplot %s", folder, script);
    cr_assert(eq(int, system(command), 0));
}

// By the exit code of a command in the folder.
static bool succeeds(const char *folder, const char *command) {
    char line[600];
    snprintf(line, sizeof line, "cd '%s' && %s", folder, command);
    return system(line) == 0;
}

Test(style, figures_have_the_width_of_the_page) {
    static const struct {
        fim_plot_size size;
        const char *name;
        double mm, dpi;
    } sizes[] = {{FIM_PLOT_ONE, "one", 85, 300}, {FIM_PLOT_TWO, "two", 175, 300}};
    if (!have_gnuplot())
        return;
    for (size_t i = 0; i < 2; i++) {
        char folder[] = "/tmp/fim-test-style-XXXXXX";
        fim_plot_size size;
        fim_record report;
        double width, height;
        cr_assert(mkdtemp(folder) != NULL);
        sample_report(&report, 1);
        cr_assert(eq(int, fim_plot_size_parse(sizes[i].name, &size), FIM_OK));
        cr_assert(size == sizes[i].size);
        const fim_plot_options options = {.title = "t", .size = size};
        cr_assert(eq(int, fim_report_plot_all(&report, 1, NULL, 0, &options, folder, NULL), FIM_OK), "%s",
                  fim_message());
        svg_size(folder, "layer-4-spectra.svg", &width, &height);
        cr_assert(fabs(width / 96 * 25.4 - sizes[i].mm) < 0.3, "%g px", width);
        // The PNG's head: width and height, big-endian.
        char path[300];
        unsigned char head[24];
        snprintf(path, sizeof path, "%s/layer-4-spectra.png", folder);
        FILE *png = fopen(path, "rb");
        cr_assert(png != NULL && fread(head, 1, sizeof head, png) == sizeof head);
        fclose(png);
        const double pixels = head[16] * 16777216.0 + head[17] * 65536.0 + head[18] * 256.0 + head[19];
        cr_assert(fabs(pixels / sizes[i].dpi * 25.4 - sizes[i].mm) < 0.2, "%g pixels", pixels);
        if (system("pdfinfo -v >/dev/null 2>&1") == 0) {
            // One page of this width in points; every font inside the file (its fifth field from the end).
            snprintf(path, sizeof path,
                     "pdfinfo layer-4-spectra.pdf | awk '/^Pages/ {p = $2} /^Page size/ {w = $3} "
                     "END {exit !(p == 1 && w > %.1f && w < %.1f)}'",
                     sizes[i].mm / 25.4 * 72 - 2, sizes[i].mm / 25.4 * 72 + 2);
            cr_assert(succeeds(folder, path), "%s", path);
            cr_assert(succeeds(folder, "for f in *.pdf; do pdffonts $f | awk 'NR > 2 {n++; if ($(NF-4) "
                                       "!= \"yes\") bad = 1} END {exit bad || n == 0}' || exit 1; done"));
        } else {
            cr_log_warn("SKIPPED: poppler-utils is not installed, PDF was not looked into");
        }
        remove_folder(folder);
        fim_record_clear(&report);
    }
    fim_plot_size unchanged = FIM_PLOT_TWO;
    cr_assert(eq(int, fim_plot_size_parse("three", &unchanged), FIM_ERR_UNKNOWN));
    cr_assert(unchanged == FIM_PLOT_TWO);
}

// By gnuplot alone, in the folder: what is deleted comes back, and a changed style shows.
Test(style, a_figure_is_redrawn_from_its_script) {
    fim_record report;
    const char *folder = scratch();
    if (!have_gnuplot())
        return;
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_plot(&report, "t", folder, NULL), FIM_OK), "%s", fim_message());
    char *before = read_text(folder, "layer-4-errors.svg");
    cr_assert(succeeds(folder, "rm *.svg *.pdf *.png"));
    redraw(folder, "layer-4-errors.gp");
    char *after = read_text(folder, "layer-4-errors.svg");
    cr_assert(strcmp(before, after) == 0);
    cr_assert(exists(folder, "layer-4-errors", ".pdf") && exists(folder, "layer-4-errors", ".png"));
    cr_assert(exists(folder, "layer-4-spectra", ".svg") == false);
    cr_assert(strstr(after, "approximation errors") != NULL);
    free(after);
    cr_assert(succeeds(folder, "printf \"font_name = 'Nimbus'; titles = 0; colour_1 = '#123456'\\n\" "
                               ">> style.gnuplot"));
    redraw(folder, "*.gp");
    after = read_text(folder, "layer-4-errors.svg");
    cr_assert(strstr(after, "Nimbus") != NULL && strstr(after, "DejaVu") == NULL);
    cr_assert(strstr(after, "approximation errors") == NULL);
    cr_assert(strstr(after, "rgb( 18,  52,  86)") != NULL, "%s", after);
    free(after);
    free(before);
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(style, the_users_file_ends_the_style) {
    fim_record report;
    const char *folder = scratch();
    char own[300];
    sample_report(&report, 1);
    const fim_plot_options options = {.title = "t", .style = own};
    snprintf(own, sizeof own, "%s/own", folder);
    cr_assert(eq(int, fim_report_plot_all(&report, 1, NULL, 0, &options, folder, NULL), FIM_ERR_IO));
    cr_assert(strstr(fim_message(), own) != NULL, "%s", fim_message());
    cr_assert(exists(folder, "index", ".html") == false, "nothing is written");
    FILE *file = fopen(own, "w");
    fputs("font_size = 12\nset style line 2 lw 3", file);
    fclose(file);
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "", 1);
    cr_assert(eq(int, fim_report_plot_all(&report, 1, NULL, 0, &options, folder, NULL), FIM_ERR_UNAVAILABLE));
    setenv("PATH", path, 1);
    free(path);
    char *style = read_text(folder, "style.gnuplot");
    static const char end[] = "font_size = 12\nset style line 2 lw 3\n";
    cr_assert(strcmp(style + strlen(style) - strlen(end), end) == 0, "%s", style);
    free(style);
    remove_folder(folder);
    fim_record_clear(&report);
}

// The number behind "ls" of the curve whose title is `name`.
static int line_of_title(const char *script, const char *name) {
    char title[80];
    int line = 0;
    snprintf(title, sizeof title, "title '%s'", name);
    const char *end = strstr(script, title), *found = NULL;
    for (const char *c = script; end != NULL && (c = strstr(c, " ls ")) != NULL && c < end; c++)
        found = c;
    cr_assert(found != NULL && sscanf(found, " ls %d", &line) == 1, "no line of %s", name);
    return line;
}

Test(style, a_method_has_one_line_in_all_figures_and_no_other_has_it) {
    static const char *const optimizers[] = {"kfac", "adam", "sgd"}; // three: few share a figure otherwise
    fim_record report, logs[3];
    const char *folder = scratch();
    sample_report(&report, 2);
    for (size_t k = 0; k < 3; k++) {
        sample_run(&logs[k], 3, 0.5 + 0.1 * (double)k, false);
        sample_must(fim_record_set_text(&logs[k], "optimizer", optimizers[k]));
        sample_must(fim_record_set_text(&logs[k], "variant", optimizers[k]));
    }
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "", 1);
    const fim_plot_options options = {.title = "t"};
    cr_assert(eq(int, fim_report_plot_all(&report, 1, logs, 3, &options, folder, NULL), FIM_ERR_UNAVAILABLE));
    setenv("PATH", path, 1);
    free(path);
    char *spectra = read_text(folder, "checkpoint-0-layer-4-spectra.gp");
    char *course = read_text(folder, "layer-4-course-frobenius_error.gp");
    char *loss = read_text(folder, "loss-by-epoch.gp");
    char *style = read_text(folder, "style.gnuplot");
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    char looks[32][80];
    cr_assert(count <= 32);
    for (size_t i = 0; i < count; i++) { // as the style tells, and no two of the same looks
        char head[40];
        snprintf(head, sizeof head, "\nset style line %zu ", i + 1);
        const char *line = strstr(style, head);
        cr_assert(line != NULL);
        cr_assert(eq(int, sscanf(line + strlen(head), "%79[^\n]", looks[i]), 1));
        char *comment = strstr(looks[i], " # ");
        cr_assert(comment != NULL && strcmp(comment + 3, list[i].name) == 0, "%s", looks[i]);
        *comment = '\0';
        for (size_t j = 0; j < i; j++)
            cr_assert(strcmp(looks[i], looks[j]) != 0, "%s, %s: %s", list[i].name, list[j].name, looks[i]);
    }
    cr_assert(eq(int, line_of_title(spectra, "kfac"), line_of_title(course, "kfac")));
    cr_assert(eq(int, line_of_title(loss, "kfac"), line_of_title(course, "kfac")));
    cr_assert(eq(int, line_of_title(spectra, "kpsvd:1"), line_of_title(course, "kpsvd:2")));
    cr_assert(strstr(course, "dt '-' pt") != NULL, "kpsvd:2 has other dashes than kpsvd:1");
    free(spectra);
    free(course);
    free(loss);
    free(style);
    remove_folder(folder);
    fim_record_clear(&report);
    for (size_t k = 0; k < 3; k++)
        fim_record_clear(&logs[k]);
}

// Means of repeats are drawn with their standard errors.
Test(style, repeats_have_error_bars_and_bands) {
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 2);
    for (size_t k = 0; k < 2; k++)
        for (size_t m = 0; m < SAMPLE_METHODS; m++) {
            fim_record *layer = &report.children[0].children[k].children[0].children[0];
            sample_must(fim_record_set(&layer->children[m], "frobenius_error_se",
                                       0.01 * (double)(m + 1) + (double)k, NULL));
        }
    if (have_gnuplot())
        cr_assert(eq(int, fim_report_plot(&report, "t", folder, NULL), FIM_OK), "%s", fim_message());
    else
        plot_without_gnuplot(&report, folder);
    char *data = read_text(folder, "layer-4-course-frobenius_error.dat"), *line = strchr(data, '\n') + 1;
    for (size_t k = 0; k < 2; k++, line = strchr(line, '\n') + 1) {
        int length;
        double value;
        cr_assert(sscanf(line, " \"%*[^\"]\"%n", &length) == 0);
        const char *cursor = line + length;
        for (size_t c = 0; c < 2 * SAMPLE_METHODS; c++, cursor += length) {
            cr_assert(eq(int, sscanf(cursor, " %lf%n", &value, &length), 1));
            if (c >= SAMPLE_METHODS)
                cr_assert(value == 0.01 * (double)(c - SAMPLE_METHODS + 1) + (double)k, "%s", line);
        }
    }
    free(data);
    data = read_text(folder, "checkpoint-1-layer-4-errors.dat");
    line = strstr(data, "\"kfac\"");
    double got[2];
    cr_assert(eq(int, sscanf(line, "\"kfac\" %*f %*f %lf %*s", &got[0]), 1), "%s", line);
    cr_assert(got[0] == 0.02 + 1);
    free(data);
    data = read_text(folder, "layer-4-course-frobenius_error.gp");
    cr_assert(strstr(data, "with filledcurves") != NULL);
    free(data);
    data = read_text(folder, "layer-out=3C=26=3E-course-frobenius_error.gp");
    cr_assert(strstr(data, "with filledcurves") == NULL, "no repeats, no bands");
    free(data);
    remove_folder(folder);
    fim_record_clear(&report);
}
