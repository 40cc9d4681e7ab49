// Steps along a sweep of dampings, in the table, the JSON and the figures: the numbers of the record.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <unistd.h>

#include "sample.h"

static const double dampings[] = {1e-3, 1e-2, 0.1, 1, 10};
enum { DAMPINGS = 5 };

static gsl_vector *vector_of(const double *values) {
    gsl_vector *v = gsl_vector_alloc(DAMPINGS);
    for (size_t i = 0; i < DAMPINGS; i++)
        gsl_vector_set(v, i, values[i]);
    return v;
}

// The first method has a cosine with one number missing, the second says why it has none.
static fim_record *with_steps(fim_record *report) {
    const double cosine[] = {NAN, 0.25, 0.5, 0.75, 0.875}, decrease[] = {-3, 0.1, 0.2, 0.3, 0.4};
    sample_report(report, 1);
    fim_record *layer = &report->children[0].children[0].children[0].children[0];
    sample_must(fim_record_set_curve(layer, "step_damping", vector_of(dampings), "in the unit of F"));
    sample_must(fim_record_set_curve(&layer->children[0], "step_cosine", vector_of(cosine), "how; why not"));
    sample_must(fim_record_set_curve(&layer->children[0], "model_decrease", vector_of(decrease), ""));
    sample_must(fim_record_set(&layer->children[1], "step_cosine", NAN, "no gradient"));
    return layer;
}

Test(steps, are_a_table_of_three_dampings) {
    fim_record report;
    char *text = NULL;
    const fim_record *layer = with_steps(&report);
    cr_assert(eq(int, fim_report_table(&report, &text), FIM_OK));
    const char *part =
        strstr(text, "steps against the exact ones, damping λ = 0.001, 0.1 and 10 in the unit");
    cr_assert(part != NULL, "%s", text);
    const char *row = strstr(part, layer->children[0].name);
    char cells[6][32];
    cr_assert(row != NULL && sscanf(row + strlen(layer->children[0].name), "%31s %31s %31s %31s %31s %31s",
                                    cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]) == 6);
    cr_assert(strcmp(cells[0], "-¹") == 0 && strcmp(cells[1], "0.5000") == 0 &&
                  strcmp(cells[2], "0.8750") == 0 && strtod(cells[3], NULL) == -3 &&
                  strcmp(cells[4], "0.2000") == 0 && strcmp(cells[5], "0.4000") == 0,
              "%s", row);
    cr_assert(strstr(part, "¹ how; why not") != NULL && strstr(part, "no gradient") != NULL, "%s", part);
    free(text);
    fim_record_clear(&report);
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_table(&report, &text), FIM_OK));
    cr_assert(strstr(text, "damping") == NULL);
}

Test(steps, are_arrays_of_the_method_in_json) {
    fim_record report;
    char *text = NULL;
    json_error_t error;
    with_steps(&report);
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    const json_t *checkpoint = json_array_get(json_object_get(json_loads(text, 0, &error), "checkpoints"), 0);
    const json_t *methods =
        json_object_get(json_array_get(json_object_get(checkpoint, "layers"), 0), "methods");
    const json_t *step = json_object_get(json_array_get(methods, 0), "step");
    const json_t *damping = json_object_get(step, "damping"), *cosine = json_object_get(step, "step_cosine");
    cr_assert(json_array_size(damping) == DAMPINGS && json_array_size(cosine) == DAMPINGS, "%s", text);
    for (size_t i = 0; i < DAMPINGS; i++)
        cr_assert(json_number_value(json_array_get(damping, i)) == dampings[i]);
    bool missing = json_is_null(json_array_get(cosine, 0));
    cr_assert(missing && json_real_value(json_array_get(cosine, 3)) == 0.75);
    cr_assert(strcmp(json_string_value(json_object_get(step, "step_cosine_route")), "how; why not") == 0);
    const json_t *other = json_object_get(json_array_get(methods, 1), "step");
    missing = json_is_null(json_object_get(other, "step_cosine"));
    cr_assert(missing &&
              strcmp(json_string_value(json_object_get(other, "step_cosine_why")), "no gradient") == 0);
    const json_t *second = json_array_get(json_object_get(checkpoint, "layers"), 1);
    cr_assert(json_object_get(json_array_get(json_object_get(second, "methods"), 0), "step") == NULL);
}

Test(steps, say_how_far_an_estimated_divergence_is_off) {
    fim_record report;
    char *text = NULL;
    const double off[] = {412, 40, 6.04, 0.5, 0};
    fim_record *layer = with_steps(&report);
    sample_must(fim_record_set_curve(layer, "stein_divergence_error", vector_of(off), "estimated"));
    cr_assert(eq(int, fim_report_table(&report, &text), FIM_OK));
    cr_assert(strstr(text, "in the unit of F\ndivergences off by about 4e+02, 6, 0 in all rows alike\n") !=
                  NULL,
              "%s", text);
    free(text);
    const double own[] = {0, 0, 0.25, 0, 0.125}, divergence[] = {NAN, NAN, 5, 3, 1};
    sample_must(fim_record_set_curve(&layer->children[1], "stein_divergence", vector_of(divergence), ""));
    sample_must(fim_record_set_curve(&layer->children[1], "stein_divergence_own_error", vector_of(own), ""));
    cr_assert(eq(int, fim_report_table(&report, &text), FIM_OK));
    cr_assert(
        strstr(text, " in all rows alike\ndivergences of sums off by up to -, 0.2, 0.1 of their own\n") !=
            NULL,
        "%s", text);
    free(text);
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    const json_t *first = json_array_get(json_object_get(root, "checkpoints"), 0);
    const json_t *row = json_array_get(json_object_get(first, "layers"), 0);
    const json_t *method = json_array_get(json_object_get(row, "methods"), 0);
    const json_t *errors = json_object_get(json_object_get(method, "step"), "stein_divergence_error");
    cr_assert(json_array_size(errors) == 5 && json_number_value(json_array_get(errors, 2)) == 6.04, "%s",
              text);
    cr_assert(json_object_get(json_object_get(method, "step"), "stein_divergence_own_error") == NULL);
    errors = json_object_get(json_object_get(json_array_get(json_object_get(row, "methods"), 1), "step"),
                             "stein_divergence_own_error");
    cr_assert(json_array_size(errors) == 5 && json_number_value(json_array_get(errors, 2)) == 0.25, "%s",
              text);
    json_decref(root);
    free(text);
    fim_record_clear(&report);
}

Test(steps, are_drawn_from_their_numbers) {
    fim_record report;
    char folder[] = "/tmp/fim-test-steps-XXXXXX", path[200], line[400];
    const fim_record *layer = with_steps(&report);
    cr_assert(mkdtemp(folder) != NULL);
    setenv("PATH", "/nowhere", 1); // without gnuplot data and scripts are written all the same
    fim_report_plot(&report, "steps", folder, NULL);
    snprintf(path, sizeof path, "%s/layer-%s-step-cosine.dat", folder, layer->name);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL, "%s", path);
    cr_assert(fgets(line, sizeof line, file) != NULL && strstr(line, layer->children[0].name) != NULL);
    for (size_t i = 0; i < DAMPINGS; i++) {
        double damping;
        char cosine[32], other[32];
        cr_assert(fgets(line, sizeof line, file) != NULL);
        cr_assert(sscanf(line, "%lf %31s %31s", &damping, cosine, other) == 3 && damping == dampings[i]);
        const double want = gsl_vector_get(fim_record_curve(&layer->children[0], "step_cosine")->values, i);
        cr_assert(isnan(want) ? strcmp(cosine, "?") == 0 : strtod(cosine, NULL) == want, "%s", line);
        cr_assert(strcmp(other, "?") == 0);
    }
    fclose(file);
    snprintf(path, sizeof path, "%s/layer-%s-step-stein.dat", folder, layer->name);
    cr_assert(access(path, F_OK) != 0, "a figure of nothing");
    snprintf(line, sizeof line, "/bin/rm -r '%s'", folder);
    cr_assert(system(line) == 0);
}
