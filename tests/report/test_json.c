// The JSON of the contract, read back by jansson and compared with the record it came from.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>

#include "sample.h"

static json_t *parse(char *text) {
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert(root != NULL, "line %d: %s", error.line, error.text);
    free(text);
    return root;
}

// jansson's own are macros, which new-style assertions do not take.
static bool is_null(const json_t *value) {
    return json_is_null(value);
}

static bool is_number(const json_t *value) {
    return json_is_number(value);
}

static bool is_integer(const json_t *value) {
    return json_is_integer(value);
}

static const char *string_at(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "(none)";
}

// Each value of the record is in the object: the same double, or null and why.
static void check_values(const json_t *object, const fim_record *record) {
    for (size_t i = 0; i < record->n_values; i++) {
        const fim_value *v = &record->values[i];
        const json_t *got = json_object_get(object, v->name);
        char key[64];
        if (isnan(v->value)) {
            snprintf(key, sizeof key, "%s_why", v->name);
            cr_assert(is_null(got), "%s", v->name);
            cr_assert(strcmp(string_at(object, key), v->note) == 0, "%s", key);
        } else {
            snprintf(key, sizeof key, "%s_route", v->name);
            cr_assert(is_number(got) && json_number_value(got) == v->value, "%s", v->name);
            cr_assert(v->note[0] == '\0' || strcmp(string_at(object, key), v->note) == 0, "%s", key);
        }
    }
}

static void check_curve(const json_t *array, const gsl_vector *values, size_t count) {
    cr_assert(eq(sz, json_array_size(array), count));
    for (size_t i = 0; i < count; i++)
        cr_assert(json_number_value(json_array_get(array, i)) == gsl_vector_get(values, i), "number %zu", i);
}

Test(json, the_report_comes_back) {
    fim_record report;
    char *text = NULL;
    sample_report(&report, 2);
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    json_t *root = parse(text), *checkpoints = json_object_get(root, "checkpoints");
    cr_assert(eq(sz, json_array_size(checkpoints), 2));
    for (size_t k = 0; k < 2; k++) {
        const json_t *checkpoint = json_array_get(checkpoints, k);
        const fim_record *record = &report.children[0].children[k];
        cr_assert(strcmp(string_at(checkpoint, "file"), fim_record_text(record, "file")) == 0);
        const json_t *layers = json_object_get(checkpoint, "layers");
        cr_assert(eq(sz, json_array_size(layers), 2));
        for (size_t l = 0; l < 2; l++) {
            const json_t *layer = json_array_get(layers, l), *methods = json_object_get(layer, "methods");
            const fim_record *expected = &record->children[0].children[l];
            cr_assert(strcmp(string_at(layer, "name"), expected->name) == 0);
            cr_assert(strcmp(string_at(layer, "fisher"), "mc:1") == 0);
            check_values(layer, expected);
            check_curve(json_object_get(layer, "top_eigenvalues"),
                        fim_record_curve(expected, "eigenvalues")->values, 10);
            check_curve(json_object_get(layer, "kronecker_singular_values"),
                        fim_record_curve(expected, "kronecker_singular_values")->values, 496);
            cr_assert(eq(sz, json_array_size(methods), SAMPLE_METHODS));
            for (size_t m = 0; m < SAMPLE_METHODS; m++) {
                const json_t *method = json_array_get(methods, m);
                cr_assert(strcmp(string_at(method, "name"), expected->children[m].name) == 0);
                check_values(method, &expected->children[m]);
            }
        }
    }
    const json_t *provenance = json_object_get(root, "provenance");
    cr_assert(strcmp(string_at(provenance, "tool"), "fim-analyze 0.1.0") == 0);
    cr_assert(strcmp(string_at(provenance, "command_line"), fim_record_text(&report, "command_line")) == 0);
    json_decref(root);
    fim_record_clear(&report);
}

Test(json, counts_are_whole_numbers) {
    fim_record report;
    char *text = NULL;
    sample_report(&report, 1);
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    json_t *root = parse(text);
    const json_t *layer =
        json_array_get(json_object_get(json_array_get(json_object_get(root, "checkpoints"), 0), "layers"), 0);
    const char *counts[] = {"d_a", "d_g", "parameters", "samples", "rank_1_percent"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        cr_assert(is_integer(json_object_get(layer, counts[i])), "%s", counts[i]);
    json_decref(root);
    fim_record_clear(&report);
}

Test(json, a_missing_curve_is_null_and_says_why) {
    fim_record report;
    char *text = NULL;
    sample_report(&report, 1);
    fim_record *layer = &report.children[0].children[0].children[0].children[0];
    gsl_vector_free(layer->curves[1].values); // "eigenvalues"
    layer->n_curves--;
    sample_must(fim_record_set(layer, "eigenvalues", NAN, SAMPLE_TOO_LARGE));
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    json_t *root = parse(text);
    const json_t *object =
        json_array_get(json_object_get(json_array_get(json_object_get(root, "checkpoints"), 0), "layers"), 0);
    cr_assert(is_null(json_object_get(object, "top_eigenvalues")));
    cr_assert(strcmp(string_at(object, "top_eigenvalues_why"), SAMPLE_TOO_LARGE) == 0);
    json_decref(root);
    fim_record_clear(&report);
}

Test(json, foreign_names_are_repaired_to_utf8) {
    fim_record report;
    char *text = NULL;
    sample_report(&report, 1);
    fim_record *layer = &report.children[0].children[0].children[0].children[0];
    // A lone byte, a surrogate, an over-long slash; then a character of each length that is right.
    strcpy(layer->name, "\xff \xed\xa0\x80 \xc0\xaf \" \\ \n ä ∑ 𝔽");
    cr_assert(eq(int, fim_report_json(&report, &text), FIM_OK));
    json_t *root = parse(text);
    const json_t *object =
        json_array_get(json_object_get(json_array_get(json_object_get(root, "checkpoints"), 0), "layers"), 0);
    cr_assert(strcmp(string_at(object, "name"), "? ??? ?? \" \\ \n ä ∑ 𝔽") == 0, "%s",
              string_at(object, "name"));
    json_decref(root);
    fim_record_clear(&report);
}

static void check_run(bool validation) {
    static const char *const curves[] = {"epoch",           "iterations", "loss",
                                         "loss_per_output", "seconds",    "validation_loss"};
    fim_record log;
    char *text = NULL;
    sample_run(&log, 3, 0.5, validation);
    cr_assert(eq(int, fim_report_run_json(&log, &text), FIM_OK));
    json_t *root = parse(text);
    const json_t *epochs = json_object_get(root, "epochs"), *files = json_object_get(root, "checkpoints");
    cr_assert(eq(sz, json_array_size(epochs), 3));
    for (size_t e = 0; e < 3; e++) {
        const json_t *epoch = json_array_get(epochs, e);
        for (size_t c = 0; c < (validation ? 6 : 5); c++)
            cr_assert(json_number_value(json_object_get(epoch, curves[c])) ==
                          gsl_vector_get(fim_record_curve(&log, curves[c])->values, e),
                      "%s of epoch %zu", curves[c], e);
        if (!validation) {
            cr_assert(is_null(json_object_get(epoch, "validation_loss")));
            cr_assert(strcmp(string_at(epoch, "validation_loss_why"), "no validation data") == 0);
        }
    }
    cr_assert(eq(sz, json_array_size(files), 2));
    cr_assert(strcmp(json_string_value(json_array_get(files, 1)), "run/checkpoint-2.h5") == 0);
    cr_assert(strcmp(string_at(json_object_get(root, "provenance"), "tool"), "fim-train 0.1.0") == 0);
    json_decref(root);
    fim_record_clear(&log);
}

Test(json, a_run_log_comes_back) {
    check_run(true);
    check_run(false);
}
