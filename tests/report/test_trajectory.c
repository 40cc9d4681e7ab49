// A report of a run's checkpoints: the iteration in JSON, CSV and the figures' data.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>

#include "sample.h"

enum { CHECKPOINTS = 8 };

static void with_moments(fim_record *report) {
    sample_report(report, CHECKPOINTS);
    for (size_t k = 0; k < CHECKPOINTS; k++) {
        fim_record *checkpoint = &report->children[0].children[k];
        sample_must(fim_record_set(checkpoint, "epoch", (double)k, ""));
        sample_must(fim_record_set(checkpoint, "iteration", 10.0 * (double)(k * k), ""));
    }
}

Test(trajectory, iterations_are_in_json_and_csv) {
    fim_record report;
    char *text = NULL, last[64], *line;
    json_error_t error;
    with_moments(&report);
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    const json_t *checkpoints = json_object_get(json_loads(text, 0, &error), "checkpoints");
    cr_assert(eq(sz, json_array_size(checkpoints), CHECKPOINTS));
    for (size_t k = 0; k < CHECKPOINTS; k++) {
        const json_t *checkpoint = json_array_get(checkpoints, k);
        cr_assert(json_integer_value(json_object_get(checkpoint, "epoch")) == (json_int_t)k);
        cr_assert(json_integer_value(json_object_get(checkpoint, "iteration")) == (json_int_t)(10 * k * k));
    }
    free(text);
    cr_assert(eq(int, fim_report_csv(&report, &text), FIM_OK));
    line = strchr(text, '\n');
    cr_assert(line != NULL && strncmp(line - 16, ",epoch,iteration", 16) == 0, "%s", text);
    const fim_record *layers = &report.children[0].children[0].children[0];
    const size_t lines = layers->n_children * layers->children[0].n_children; // of a checkpoint
    for (size_t r = 0; r < CHECKPOINTS * lines; r++) {
        char *end = strchr(++line, '\n');
        const size_t k = r / lines;
        snprintf(last, sizeof last, ",%zu,%zu", k, 10 * k * k);
        cr_assert(end != NULL && strncmp(end - strlen(last), last, strlen(last)) == 0, "line %zu: %.*s", r,
                  (int)(end - line), line);
        line = end;
    }
    free(text);
    fim_record_clear(&report);
    sample_report(&report, 2); // no run
    cr_assert(eq(int, fim_report_csv(&report, &text), FIM_OK));
    cr_assert(strstr(text, "iteration\n") == NULL);
}

Test(trajectory, errors_are_drawn_against_iterations) {
    fim_record report;
    char folder[] = "/tmp/fim-test-course-XXXXXX", path[200], text[8192];
    with_moments(&report);
    const fim_record *layer = &report.children[0].children[0].children[0].children[0];
    cr_assert(mkdtemp(folder) != NULL);
    setenv("PATH", "/nowhere", 1); // without gnuplot data and scripts are written all the same
    fim_report_plot(&report, "course", folder, NULL);
    snprintf(path, sizeof path, "%s/layer-%s-course-frobenius_error.dat", folder, layer->name);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL && fgets(text, sizeof text, file) != NULL && strstr(text, " iteration\n") != NULL);
    for (size_t k = 0; k < CHECKPOINTS; k++) {
        cr_assert(fgets(text, sizeof text, file) != NULL);
        cr_assert(strtod(strrchr(text, ' '), NULL) == 10.0 * (double)(k * k), "%s", text);
    }
    fclose(file);
    snprintf(path, sizeof path, "%s/layer-%s-course-frobenius_error.gp", folder, layer->name);
    file = fopen(path, "r");
    cr_assert(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cr_assert(strstr(text, "set xlabel 'iteration'") != NULL, "%s", text);
    // Of a long trajectory the last checkpoint alone has figures of its own.
    snprintf(path, sizeof path, "%s/checkpoint-%d-layer-%s-errors.dat", folder, CHECKPOINTS - 1, layer->name);
    file = fopen(path, "r");
    cr_assert(file != NULL, "%s", path);
    fclose(file);
    snprintf(path, sizeof path, "%s/checkpoint-0-layer-%s-errors.dat", folder, layer->name);
    cr_assert(fopen(path, "r") == NULL);
    snprintf(path, sizeof path, "/bin/rm -r '%s'", folder);
    cr_assert(system(path) == 0);
}
