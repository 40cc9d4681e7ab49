// Figures and their page: what is written, that it holds the record's numbers, and that gnuplot takes it.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <unistd.h>

#include "folder.h"

Test(figures, every_figure_is_drawn_and_on_the_page) {
    static const char *const names[] = {"layer-4-errors",
                                        "layer-4-spectra",
                                        "layer-4-kronecker",
                                        "layer-out=3C=26=3E-errors",
                                        "layer-out=3C=26=3E-spectra",
                                        "layer-out=3C=26=3E-kronecker"};
    if (!have_gnuplot())
        return;
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_plot(&report, "A <title> & more", folder, NULL), FIM_OK), "%s",
              fim_message());
    char *page = read_text(folder, "index.html");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char source[100];
        static const char *const extensions[] = {".dat", ".gp", ".svg", ".pdf", ".png"};
        for (size_t e = 0; e < 5; e++)
            cr_assert(exists(folder, names[i], extensions[e]), "%s%s", names[i], extensions[e]);
        snprintf(source, sizeof source, "<img src=\"%s.svg\"", names[i]);
        cr_assert(strstr(page, source) != NULL, "%s", source);
        char svg[120], *picture;
        snprintf(svg, sizeof svg, "%s.svg", names[i]);
        picture = read_text(folder, svg);
        cr_assert(strstr(picture, "</svg>") != NULL, "%s is not whole", svg);
        free(picture);
    }
    cr_assert(strstr(page, "<h1>A &lt;title&gt; &amp; more</h1>") != NULL);
    cr_assert(strstr(page, "Layer out&lt;&amp;&gt;") != NULL);
    cr_assert(strstr(page, "fim-analyze &quot;a &amp; b&quot;.h5") != NULL);
    cr_assert(strstr(page, "out<&>") == NULL, "foreign names are escaped everywhere");
    cr_assert(strstr(page, "<td class=\"best\">0.1877</td>") != NULL);
    cr_assert(strstr(page, "<sup>1</sup> " SAMPLE_TOO_LARGE) != NULL);
    free(page);
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, without_gnuplot_all_but_the_pictures_is_written) {
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 2);
    plot_without_gnuplot(&report, folder);
    cr_assert(strstr(fim_message(), "gnuplot *.gp") != NULL && strstr(fim_message(), folder) != NULL, "%s",
              fim_message());
    static const char *const names[] = {
        "checkpoint-0-layer-4-errors", "checkpoint-1-layer-out=3C=26=3E-kronecker",
        "checkpoint-1-heatmap-frobenius_error", "layer-4-course-frobenius_error"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(exists(folder, names[i], ".dat") && exists(folder, names[i], ".gp"), "%s", names[i]);
        cr_assert(exists(folder, names[i], ".svg") == false);
    }
    cr_assert(exists(folder, "index", ".html") && exists(folder, "style", ".gnuplot"));
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, data_hold_the_numbers_of_the_record) {
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 1);
    plot_without_gnuplot(&report, folder);
    const fim_record *layer = &report.children[0].children[0].children[0].children[0];

    char *data = read_text(folder, "layer-4-errors.dat"), *line = strchr(data, '\n') + 1;
    for (size_t m = 0; m < SAMPLE_METHODS; m++, line = strchr(line, '\n') + 1) {
        char name[64], spectrum[64];
        double frobenius;
        cr_assert(eq(int, sscanf(line, " \"%63[^\"]\" %lf %63s", name, &frobenius, spectrum), 3), "%s", line);
        cr_assert(strcmp(name, sample_methods[m].name) == 0);
        cr_assert(frobenius == sample_methods[m].frobenius);
        if (isnan(sample_methods[m].spectrum))
            cr_assert(strcmp(spectrum, "?") == 0);
        else
            cr_assert(strtod(spectrum, NULL) == sample_methods[m].spectrum);
    }
    free(data);

    // The same errors as cells; the second layer's are the second row.
    data = read_text(folder, "heatmap-frobenius_error.dat");
    line = strchr(data, '\n') + 1;
    for (size_t r = 0; r < 2; r++, line = strchr(line, '\n') + 1) {
        double d_a, d_g, error;
        int length;
        cr_assert(eq(int, sscanf(line, " \"%*[^\"]\" %lf %lf%n", &d_a, &d_g, &length), 2), "%s", line);
        cr_assert(d_a == (r == 0 ? 31 : 51) && d_g == (r == 0 ? 250 : 25));
        const char *cursor = line + length;
        for (size_t m = 0; m < SAMPLE_METHODS; m++, cursor += length) {
            cr_assert(eq(int, sscanf(cursor, " %lf%n", &error, &length), 1), "%s", cursor);
            cr_assert(error == sample_methods[m].frobenius);
        }
        cr_assert(eq(int, *cursor, '\n'));
    }
    cr_assert(eq(int, *line, '\0'));
    free(data);

    // Spectra are thinned: the first and the last are there, and each line is of its index.
    data = read_text(folder, "layer-4-spectra.dat");
    const gsl_vector *block = fim_record_curve(layer, "eigenvalues")->values;
    const gsl_vector *kfac = fim_record_curve(&layer->children[1], "eigenvalues")->values;
    size_t index = 0, lines = 0;
    for (line = strchr(data, '\n') + 1; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        char f[64], diagonal[64];
        double value;
        cr_assert(eq(int, sscanf(line, "%zu %63s %63s %lf", &index, f, diagonal, &value), 4));
        cr_assert(lines > 0 || index == 1);
        cr_assert(value == gsl_vector_get(kfac, index - 1));
        if (index <= block->size)
            cr_assert(strtod(f, NULL) == gsl_vector_get(block, index - 1));
        else
            cr_assert(strcmp(f, "?") == 0);
    }
    cr_assert(eq(sz, index, 7750));
    cr_assert(lines > 100 && lines < 400, "%zu lines", lines);
    free(data);

    // The floor of R terms in the figure is the one the layer's values tell.
    data = read_text(folder, "layer-4-kronecker.dat");
    const size_t terms[] = {1, 2, 3, 5, 10};
    size_t compared = 0;
    for (line = strchr(data, '\n') + 1; *line != '\0'; line = strchr(line, '\n') + 1) {
        double sigma, relative, floor;
        cr_assert(eq(int, sscanf(line, "%zu %lf %lf %lf", &index, &sigma, &relative, &floor), 4));
        cr_assert(epsilon_eq(dbl, relative, sigma / 12, 1e-15));
        for (size_t t = 0; t < 5; t++)
            if (terms[t] == index) {
                char name[32];
                snprintf(name, sizeof name, "floor_%zu", index);
                cr_assert(epsilon_eq(dbl, floor, fim_record_value(layer, name)->value, 1e-14));
                compared++;
            }
    }
    cr_assert(eq(sz, compared, 5));
    free(data);
    remove_folder(folder);
    fim_record_clear(&report);
}

// The number of eigenvalues above each node, and the leading ones beside it; nodes of rounding are left out.
Test(figures, a_density_is_drawn_where_eigenvalues_are_missing) {
    static const double nodes[] = {5, 3, 1e-3, 1e-15, -1e-15}, weights[] = {1e-3, 4e-3, 0.195, 0.3, 0.5};
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 1);
    fim_record *layer = &report.children[0].children[0].children[0].children[0];
    gsl_vector *x = gsl_vector_alloc(5), *w = gsl_vector_alloc(5);
    for (size_t i = 0; i < 5; i++) {
        gsl_vector_set(x, i, nodes[i]);
        gsl_vector_set(w, i, weights[i]);
    }
    sample_must(fim_record_set_curve(layer, "density_nodes", x, NULL));
    sample_must(fim_record_set_curve(layer, "density_weights", w, NULL));
    if (have_gnuplot())
        cr_assert(eq(int, fim_report_plot(&report, "t", folder, NULL), FIM_OK), "%s", fim_message());
    else
        plot_without_gnuplot(&report, folder);
    cr_assert(exists(folder, "layer-out=3C=26=3E-density", ".gp") == false, "only where there is one");
    char *data = read_text(folder, "layer-4-density.dat"), *line = strchr(data, '\n') + 1;
    double above = 0, got[2];
    for (size_t i = 0; i < 3; i++, line = strchr(line, '\n') + 1) {
        above += 31 * 250 * weights[i];
        cr_assert(eq(int, sscanf(line, "%lf %lf", &got[0], &got[1]), 2), "%s", line);
        cr_assert(got[0] == nodes[i] && fabs(got[1] - above) < 1e-9 * above, "%s", line);
    }
    const gsl_vector *leading = fim_record_curve(layer, "eigenvalues")->values;
    line = strstr(line, "# lambda_i");
    cr_assert(line != NULL);
    line = strchr(line, '\n') + 1;
    for (size_t i = 0; i < leading->size; i++, line = strchr(line, '\n') + 1) {
        cr_assert(eq(int, sscanf(line, "%lf %lf", &got[0], &got[1]), 2), "%s", line);
        cr_assert(got[0] == gsl_vector_get(leading, i) && got[1] == (double)(i + 1), "%s", line);
    }
    cr_assert(line[0] == '\0');
    free(data);
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, the_parts_of_the_error_of_kfac_are_stacked) {
    static const double parts[] = {0.09, 0.18, 0.09, 0.25, 0.02};
    static const char *const names[] = {"scale", "eigenvalues", "eigenbasis", "factors", "rank"};
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 1);
    fim_record *layers = report.children[0].children[0].children[0].children;
    sample_must(fim_record_set(&layers[0], "decomposition_error_kfac", 0.6, ""));
    for (size_t i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "decomposition_part_%s", names[i]);
        sample_must(fim_record_set(&layers[0], name, parts[i], ""));
    }
    sample_must(fim_record_set(&layers[1], "decomposition_error_kfac", 3e-7, "upper bound: rounding"));
    if (have_gnuplot())
        cr_assert(eq(int, fim_report_plot(&report, "t", folder, NULL), FIM_OK), "%s", fim_message());
    else
        plot_without_gnuplot(&report, folder);
    char *data = read_text(folder, "decomposition.dat"), *line = strchr(data, '\n') + 1;
    double got[6];
    cr_assert(eq(int,
                 sscanf(line, " \"4\" %lf %lf %lf %lf %lf %lf", &got[0], &got[1], &got[2], &got[3], &got[4],
                        &got[5]),
                 6),
              "%s", line);
    cr_assert(eq(dbl, got[0], 0.6));
    for (size_t i = 0; i < 5; i++)
        cr_assert(epsilon_eq(dbl, got[i + 1], parts[i] / 0.36 * 100, 1e-12));
    cr_assert(strcmp(strchr(line, '\n'), "\n") == 0, "an exact layer has no bar");
    free(data);
    char *page = read_text(folder, "index.html");
    cr_assert(strstr(page, "<h3>Where KFAC&#39;s error is") != NULL);
    cr_assert(strstr(page, "<tr><th>layer</th>") != NULL && strstr(page, "<td>50.0</td>") != NULL);
    cr_assert(strstr(page, "<img src=\"decomposition.svg\"") != NULL);
    free(page);
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, gnuplot_takes_hostile_names) {
    if (!have_gnuplot())
        return;
    fim_record report;
    const char *folder = scratch();
    sample_report(&report, 1);
    fim_record *layers = &report.children[0].children[0].children[0];
    strcpy(layers->children[0].name, "'; system \"touch pwned\"; '`touch pwned`@x\n../\xff");
    strcpy(layers->children[0].children[0].name, "\"`touch pwned`\" # %s \\ '");
    sample_must(fim_record_set_text(&report.children[0].children[0], "file", "`touch pwned` %d {/=40 x}"));
    cr_assert(eq(int, fim_report_plot(&report, "t", folder, NULL), FIM_OK), "%s", fim_message());
    cr_assert(access("pwned", F_OK) != 0 && exists(folder, "pwned", "") == false);
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, runs_are_drawn_together_with_time_summed_up) {
    if (!have_gnuplot())
        return;
    fim_record logs[2];
    const char *folder = scratch();
    sample_run(&logs[0], 5, 0.5, true);
    sample_run(&logs[1], 1, 0.7, false);
    cr_assert(eq(int, fim_report_plot_runs(logs, 2, folder, NULL), FIM_OK), "%s", fim_message());
    cr_assert(exists(folder, "loss-by-epoch", ".png") && exists(folder, "loss-by-seconds", ".svg"));
    char *data = read_text(folder, "loss-by-seconds.dat"), *line = strchr(data, '\n') + 1;
    double since = 0;
    for (size_t e = 0; e < 5; e++, line = strchr(line, '\n') + 1) {
        double epoch, seconds, loss, low, high, validation;
        while (*line == '#')
            line = strchr(line, '\n') + 1;
        cr_assert(eq(
            int, sscanf(line, "%lf %lf %lf %lf %lf %lf", &epoch, &seconds, &loss, &low, &high, &validation),
            6));
        cr_assert(low == loss && high == loss, "a single run has no spread");
        since += gsl_vector_get(fim_record_curve(&logs[0], "seconds")->values, e);
        cr_assert(epsilon_eq(dbl, seconds, since, 1e-12));
        cr_assert(loss == gsl_vector_get(fim_record_curve(&logs[0], "loss_per_output")->values, e));
        const double expected =
            gsl_vector_get(fim_record_curve(&logs[0], "validation_loss")->values, e) / 784;
        cr_assert(epsilon_eq(dbl, validation, expected, 1e-12));
    }
    double got;
    cr_assert(eq(int, sscanf(line, "\n\n# \"run #2\"\n1 1.5 %lf", &got), 1), "%s", line);
    cr_assert(epsilon_eq(dbl, got, 200.0 / 784, 1e-15));
    cr_assert(strstr(line, " ? ? ?\n") != NULL, "no validation loss in the second");
    free(data);
    remove_folder(folder);
    fim_record_clear(&logs[0]);
    fim_record_clear(&logs[1]);
}

static bool always(void *context) {
    (void)context;
    return true;
}

Test(figures, drawing_can_be_interrupted) {
    fim_record report;
    const char *folder = scratch();
    const fim_monitor monitor = {.cancelled = always};
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_plot(&report, "t", folder, &monitor), FIM_CANCELLED));
    remove_folder(folder);
    fim_record_clear(&report);
}

Test(figures, a_folder_that_cannot_be_made_is_named) {
    fim_record report;
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_plot(&report, "t", "/proc/no/such", NULL), FIM_ERR_IO));
    cr_assert(strstr(fim_message(), "/proc/no") != NULL, "%s", fim_message());
    fim_record_clear(&report);
}
