// The JSON contract: objects nested as the record is, every number with all its digits, and null with a
// "<name>_why" for what was not computed.
//
// jansson reports a failed allocation as NULL, which its setters pass on: a `builder` remembers it, and it is
// looked at once, at the end.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

typedef struct builder {
    bool lost;
} builder;

// object[key + suffix] = value (taken over).
static void put(builder *b, json_t *object, const char *key, const char *suffix, json_t *value) {
    char name[300];
    snprintf(name, sizeof name, "%s%s", key, suffix);
    char *clean = utf8_copy(name);
    if (clean == NULL)
        json_decref(value);
    if (clean == NULL || json_object_set_new(object, clean, value) != 0)
        b->lost = true;
    free(clean);
}

static void append(builder *b, json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0)
        b->lost = true;
}

static json_t *string(const char *s) {
    char *clean = utf8_copy(s);
    json_t *value = clean != NULL ? json_string(clean) : NULL;
    free(clean);
    return value;
}

// Whole numbers lose nothing as integers, and counts should look like counts.
static json_t *number(double value) {
    const double exact = 9007199254740992; // 2^53
    if (!isfinite(value))
        return json_null();
    return value == floor(value) && fabs(value) < exact ? json_integer((json_int_t)value) : json_real(value);
}

// The number, or null and why it is missing.
static void put_value(builder *b, json_t *object, const char *name, double value, const char *why) {
    put(b, object, name, "", number(value));
    if (!isfinite(value))
        put(b, object, name, "_why", string(why != NULL && why[0] != '\0' ? why : "not computed"));
}

static void put_values(builder *b, json_t *object, const fim_record *record) {
    for (size_t i = 0; i < record->n_values; i++) {
        const fim_value *v = &record->values[i];
        if (is_step_name(v->name)) // told with the curves
            continue;
        put_value(b, object, v->name, v->value, v->note);
        if (isfinite(v->value) && v->note[0] != '\0')
            put(b, object, v->name, "_route", string(v->note));
    }
}

// The first `most` numbers of a curve under another name, or null and why.
static void put_curve(builder *b, json_t *object, const char *name, const fim_record *record,
                      const char *curve, size_t most) {
    const fim_curve *c = fim_record_curve(record, curve);
    if (c == NULL) {
        const fim_value *missing = fim_record_value(record, curve);
        put_value(b, object, name, NAN, missing != NULL ? missing->note : NULL);
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < c->values->size && i < most; i++)
        append(b, array, number(gsl_vector_get(c->values, i)));
    put(b, object, name, "", array);
}

static void put_provenance(builder *b, json_t *root, const fim_record *record) {
    json_t *object = json_object();
    for (size_t i = 0; i < record->n_texts; i++)
        if (strncmp(record->texts[i].name, "checkpoint_", 11) != 0)
            put(b, object, record->texts[i].name, "", string(record->texts[i].text));
    for (size_t i = 0; i < record->n_values; i++)
        if (isfinite(record->values[i].value))
            put(b, object, record->values[i].name, "", number(record->values[i].value));
    put(b, root, "provenance", "", object);
}

static fim_status finish(builder *b, json_t *root, char **out) {
    char *dumped = b->lost ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    fim_status status = FIM_OK;
    text t = {0};
    if (dumped == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the JSON of a report"));
    FIM_TRY(text_open(&t));
    fprintf(t.stream, "%s\n", dumped);
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    free(dumped);
    json_decref(root);
    return status;
}

// The curves along the dampings of the layer.
static json_t *step_object(builder *b, const fim_record *layer, const fim_record *method) {
    json_t *object = json_object();
    put_curve(b, object, "damping", layer, "step_damping", SIZE_MAX);
    if (fim_record_curve(layer, "stein_divergence_error") != NULL)
        put_curve(b, object, "stein_divergence_error", layer, "stein_divergence_error", SIZE_MAX);
    if (fim_record_curve(method, "stein_divergence_own_error") != NULL)
        put_curve(b, object, "stein_divergence_own_error", method, "stein_divergence_own_error", SIZE_MAX);
    for (const char *const *name = step_names; *name != NULL; name++) {
        const fim_curve *curve = fim_record_curve(method, *name);
        put_curve(b, object, *name, method, *name, SIZE_MAX);
        if (curve != NULL)
            put(b, object, *name, "_route", string(curve->note));
    }
    return object;
}

static json_t *method_object(builder *b, const fim_record *layer, const fim_record *method) {
    json_t *object = json_object();
    put(b, object, "name", "", string(method->name));
    put_values(b, object, method);
    if (fim_record_curve(layer, "step_damping") != NULL)
        put(b, object, "step", "", step_object(b, layer, method));
    return object;
}

static json_t *layer_object(builder *b, const fim_record *layer) {
    enum { TOP = 10 };
    json_t *object = json_object(), *methods = json_array();
    put(b, object, "name", "", string(layer->name));
    put(b, object, "fisher", "", string(text_or_empty(layer, "fisher")));
    put_values(b, object, layer);
    put_curve(b, object, "top_eigenvalues", layer, "eigenvalues", TOP);
    put_curve(b, object, "kronecker_singular_values", layer, "kronecker_singular_values", SIZE_MAX);
    for (size_t m = 0; m < layer->n_children; m++)
        append(b, methods, method_object(b, layer, &layer->children[m]));
    put(b, object, "methods", "", methods);
    return object;
}

fim_status fim_report_json(const fim_record *report, char **out) {
    layer_row *rows = NULL;
    size_t count = 0;
    fim_status status = layer_rows(report, &rows, &count);
    if (status != FIM_OK)
        return status;
    builder b = {0};
    json_t *root = json_object(), *checkpoints = json_array(), *layers = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || rows[i].checkpoint != rows[i - 1].checkpoint) {
            json_t *checkpoint = json_object();
            layers = json_array();
            put(&b, checkpoint, "file", "", string(text_or_empty(rows[i].checkpoint, "file")));
            put_values(&b, checkpoint, rows[i].checkpoint);
            put(&b, checkpoint, "layers", "", layers);
            append(&b, checkpoints, checkpoint);
        }
        if (!b.lost) // a lost checkpoint has taken its array with it
            append(&b, layers, layer_object(&b, rows[i].layer));
    }
    put(&b, root, "checkpoints", "", checkpoints);
    put_provenance(&b, root, report);
    free(rows);
    return finish(&b, root, out);
}

fim_status fim_report_run_json(const fim_record *log, char **out) {
    static const char *const curves[] = {"epoch",           "iterations",      "loss",
                                         "loss_per_output", "validation_loss", "seconds"};
    const fim_curve *epoch = fim_record_curve(log, "epoch");
    if (epoch == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "the run log has no curve 'epoch'");
    builder b = {0};
    json_t *root = json_object(), *epochs = json_array(), *checkpoints = json_array();
    for (size_t e = 0; e < epoch->values->size; e++) {
        json_t *object = json_object();
        for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
            const fim_curve *c = fim_record_curve(log, curves[i]);
            const fim_value *missing = fim_record_value(log, curves[i]);
            bool there = c != NULL && e < c->values->size;
            put_value(&b, object, curves[i], there ? gsl_vector_get(c->values, e) : (double)NAN,
                      c != NULL         ? c->note
                      : missing != NULL ? missing->note
                                        : NULL);
        }
        append(&b, epochs, object);
    }
    for (size_t k = 0;; k++) {
        char name[40];
        snprintf(name, sizeof name, "checkpoint_%zu", k);
        const char *path = fim_record_text(log, name);
        if (path == NULL)
            break;
        append(&b, checkpoints, string(path));
    }
    put(&b, root, "epochs", "", epochs);
    put(&b, root, "checkpoints", "", checkpoints);
    put_provenance(&b, root, log);
    return finish(&b, root, out);
}

static json_t *variant_object(builder *b, const fim_record *line) {
    json_t *object = json_object(), *runs = json_array();
    put(b, object, "name", "", string(line->name));
    for (size_t i = 0; i < line->n_texts; i++)
        put(b, object, line->texts[i].name, "", string(line->texts[i].text));
    put_values(b, object, line);
    for (size_t r = 0; r < line->n_children; r++) {
        const fim_record *run = &line->children[r];
        json_t *one = json_object();
        for (size_t i = 0; i < run->n_texts; i++)
            put(b, one, run->texts[i].name, "", string(run->texts[i].text));
        put_values(b, one, run);
        append(b, runs, one);
    }
    put(b, object, "runs", "", runs);
    return object;
}

fim_status fim_report_comparison_json(const fim_record *logs, size_t n_logs, const char *reference,
                                      char **out) {
    fim_record comparison;
    fim_status status = comparison_record(logs, n_logs, reference, &comparison);
    if (status != FIM_OK)
        return status;
    builder b = {0};
    json_t *root = json_object(), *variants = json_array(), *target = json_object();
    for (size_t k = 0; k < comparison.n_children; k++)
        append(&b, variants, variant_object(&b, &comparison.children[k]));
    put(&b, root, "variants", "", variants);
    if (fim_record_text(&comparison, "reference") != NULL) {
        put(&b, target, "name", "", string(fim_record_text(&comparison, "reference")));
        put(&b, target, "loss_per_output", "",
            number(value_or_nan(&comparison, "reference_loss_per_output")));
        put(&b, root, "reference", "", target);
    } else {
        json_decref(target);
        put(&b, root, "reference", "", json_null());
        put(&b, root, "reference", "_why", string(text_or_empty(&comparison, "about_reference")));
    }
    fim_record_clear(&comparison);
    return finish(&b, root, out);
}
