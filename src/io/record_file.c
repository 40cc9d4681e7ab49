// Records as HDF5 files. A number is an attribute, its note the text attribute "<name>_route"; a number that
// was not computed is the text attribute "<name>_why" alone, so that no reader takes it for a value. Curves
// and tables are data sets of rank 1 and 2 (they may hold NaN, for instance where an epoch had no
// validation), children are groups in the order of their attribute "index".
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "h5.h"
#include "record_file.h"
#include "sandbox.h"

// The contract of reports: /layers are those of the first checkpoint, by a second name that reading passes
// over.
static const char alias[] = "layers", aliased[] = "/checkpoints/0/layers";

enum { DEPTH_LIMIT = 16 }; // hard links can make a circle of groups

static const char why[] = "_why", route[] = "_route";
static const char *const reserved[] = {"format", "version", "index"};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool is_reserved(const char *name) {
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(name, reserved[i]) == 0)
            return true;
    return false;
}

// ---- Writing ----

static fim_status check_name(const fim_h5 *file, const char *item, const char *name, bool path) {
    size_t length = strlen(name);
    bool good = length > 0 && fim_text_valid(name, length) == length && !is_reserved(name) &&
                !ends_with(name, why) && !ends_with(name, route) && (path || strchr(name, '/') == NULL) &&
                strcmp(name, ".") != 0;
    if (good)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: %s: '%s' cannot be the name of an entry", file->path, item, name);
}

fim_status fim_record_put_attributes(const fim_record *record, const fim_h5 *file, const char *item) {
    fim_status status = FIM_OK;
    for (size_t i = 0; i < record->n_texts; i++) {
        FIM_TRY(check_name(file, item, record->texts[i].name, false));
        FIM_TRY(fim_h5_put_text(file, item, record->texts[i].name, record->texts[i].text));
    }
    for (size_t i = 0; i < record->n_values; i++) {
        const fim_value *value = &record->values[i];
        char name[sizeof value->name + sizeof route];
        FIM_TRY(check_name(file, item, value->name, false));
        snprintf(name, sizeof name, "%s%s", value->name, isnan(value->value) ? why : route);
        if (!isnan(value->value))
            FIM_TRY(fim_h5_put_number(file, item, value->name, value->value));
        if (isnan(value->value) || value->note[0] != '\0')
            FIM_TRY(fim_h5_put_text(file, item, name, value->note));
    }
out:
    return status;
}

// "<item>/<name>", malloc'ed.
static fim_status join(const char *item, const char *name, char **out) {
    size_t size = strlen(item) + strlen(name) + 2;
    char *joined = NULL;
    fim_status status = fim_alloc(size, 1, "a path", &joined);
    if (status != FIM_OK)
        return status;
    snprintf(joined, size, "%s/%s", strcmp(item, "/") == 0 ? "" : item, name);
    *out = joined;
    return FIM_OK;
}

static fim_status put_set(const fim_h5 *file, const char *item, const char *name, size_t rank,
                          const size_t *dim, const gsl_matrix *values, const char *note) {
    char *path = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(check_name(file, item, name, false));
    FIM_TRY(join(item, name, &path));
    FIM_TRY(fim_h5_put_matrix(file, path, rank, dim, values));
    if (note != NULL && note[0] != '\0')
        FIM_TRY(fim_h5_put_text(file, path, "note", note));
out:
    free(path);
    return status;
}

static fim_status put_curve(const fim_h5 *file, const char *item, const fim_curve *curve) {
    const gsl_vector *v = curve->values;
    gsl_matrix column = {.size1 = v->size, .size2 = 1, .tda = v->stride, .data = v->data};
    return put_set(file, item, curve->name, 1, &v->size, &column, curve->note);
}

// The group of a child, and those that a '/' in its name asks for; each new one is numbered after its
// siblings. The caller frees *out.
static fim_status put_child_group(const fim_h5 *file, const char *item, const char *name, char **out) {
    char *parent = NULL, *group = NULL, part[64];
    const char *cursor = name;
    fim_h5_kind kind = FIM_H5_GROUP;
    fim_status status = FIM_OK;
    FIM_TRY(check_name(file, item, name, true));
    FIM_TRY(join(item, "", &group));
    while (fim_list_next(&cursor, '/', part, sizeof part)) {
        char **siblings = NULL;
        size_t count = 0;
        free(parent);
        parent = group;
        group = NULL;
        parent[strlen(parent) > 1 && ends_with(parent, "/") ? strlen(parent) - 1 : strlen(parent)] = '\0';
        FIM_TRY(check_name(file, parent, part, false));
        FIM_TRY(join(parent, part, &group));
        FIM_TRY(fim_h5_find(file, group, &kind));
        if (kind != FIM_H5_NOTHING)
            continue;
        // Children are written before curves and tables, so that all that is there are groups.
        FIM_TRY(fim_h5_list(file, parent, &siblings, &count));
        fim_h5_names_free(siblings, count);
        FIM_TRY(fim_h5_put_group(file, group, count));
    }
    if (kind != FIM_H5_NOTHING) {
        status =
            FIM_FAIL(FIM_ERR_ARGUMENT, "%s: %s holds two entries of the name '%s'", file->path, item, name);
        goto out;
    }
    *out = group;
    group = NULL;
out:
    free(parent);
    free(group);
    return status;
}

static fim_status put_record(const fim_record *record, const fim_h5 *file, const char *item) {
    char *group = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_put_attributes(record, file, item));
    for (size_t i = 0; i < record->n_children; i++) {
        free(group);
        group = NULL;
        FIM_TRY(put_child_group(file, item, record->children[i].name, &group));
        FIM_TRY(put_record(&record->children[i], file, group));
    }
    for (size_t i = 0; i < record->n_curves; i++)
        FIM_TRY(put_curve(file, item, &record->curves[i]));
    for (size_t i = 0; i < record->n_tables; i++) {
        const gsl_matrix *m = record->tables[i].values;
        FIM_TRY(put_set(file, item, record->tables[i].name, 2, (size_t[]){m->size1, m->size2}, m, NULL));
    }
out:
    free(group);
    return status;
}

fim_status fim_record_write(const fim_record *record, const char *format, const char *path, bool overwrite) {
    char *temporary = NULL;
    fim_h5 file = {.id = -1};
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = FIM_OK;
    FIM_TRY(fim_file_begin(path, overwrite, &temporary));
    FIM_TRY(fim_h5_create(temporary, path, format, &file));
    FIM_TRY(put_record(record, &file, "/"));
    FIM_TRY(fim_h5_find(&file, aliased, &kind));
    if (kind == FIM_H5_GROUP && fim_record_child(record, alias) == NULL)
        FIM_TRY(fim_h5_put_alias(&file, aliased, alias));
    FIM_TRY(fim_h5_close(&file));
    status = fim_file_commit(temporary, path, overwrite);
    temporary = NULL;
out:
    fim_h5_close(&file);
    fim_file_abandon(temporary);
    return status;
}

// ---- Reading ----

// Refuses what fim_value and its like would cut.
static fim_status check_length(const fim_h5 *file, const char *item, const char *text, size_t size) {
    if (strlen(text) < size)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s: '%.60s' has more than %zu characters", file->path, item, text,
                    size - 1);
}

static const fim_h5_attribute *find(const fim_h5_attribute *list, size_t count, const char *name,
                                    const char *end) {
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (list[i].text != NULL && strncmp(list[i].name, name, length) == 0 &&
            strcmp(list[i].name + length, end) == 0)
            return &list[i];
    return NULL;
}

static bool is_route(const fim_h5_attribute *list, size_t count, const fim_h5_attribute *text) {
    for (size_t i = 0; i < count; i++)
        if (list[i].text == NULL && find(text, 1, list[i].name, route) != NULL)
            return true;
    return false;
}

static fim_status get_text(const fim_h5 *file, const char *item, const fim_h5_attribute *attribute,
                           fim_record *record) {
    if (!ends_with(attribute->name, why))
        return fim_record_set_text(record, attribute->name, attribute->text);
    char name[sizeof record->values->name + sizeof why];
    fim_status status = FIM_OK;
    FIM_TRY(check_length(file, item, attribute->name, sizeof name - 1));
    FIM_TRY(check_length(file, item, attribute->text, sizeof record->values->note));
    snprintf(name, sizeof name, "%s", attribute->name);
    name[strlen(name) - strlen(why)] = '\0';
    status = fim_record_set(record, name, NAN, attribute->text);
out:
    return status;
}

fim_status fim_record_get_attributes(const fim_h5 *file, const char *item, fim_record *record) {
    fim_h5_attribute *list = NULL;
    size_t count = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_attributes(file, item, &list, &count));
    for (size_t i = 0; i < count; i++) {
        if (is_reserved(list[i].name) || (list[i].text != NULL && is_route(list, count, &list[i])))
            continue;
        if (list[i].text != NULL) {
            FIM_TRY(get_text(file, item, &list[i], record));
            continue;
        }
        const fim_h5_attribute *note = find(list, count, list[i].name, route);
        FIM_TRY(check_length(file, item, list[i].name, sizeof record->values->name));
        if (note != NULL)
            FIM_TRY(check_length(file, item, note->text, sizeof record->values->note));
        FIM_TRY(fim_record_set(record, list[i].name, list[i].value, note != NULL ? note->text : ""));
    }
out:
    fim_h5_attributes_free(list, count);
    return status;
}

static fim_status get_curve(const fim_h5 *file, const fim_h5_set *set, const char *name, fim_record *record) {
    gsl_vector *values = NULL;
    char *note = NULL;
    bool has = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_has(file, set->item, "note", &has));
    if (has) {
        FIM_TRY(fim_h5_text(file, set->item, "note", &note));
        FIM_TRY(check_length(file, set->item, note, sizeof record->curves->note));
    }
    FIM_TRY(fim_vector_new(set->count, set->item, &values));
    gsl_matrix row = {.size1 = 1, .size2 = set->count, .tda = set->count, .data = values->data};
    FIM_TRY(fim_h5_set_read(file, set, false, &row));
    status = fim_record_set_curve(record, name, values, note != NULL ? note : "");
    values = NULL;
out:
    gsl_vector_free(values);
    free(note);
    return status;
}

static fim_status get_table(const fim_h5 *file, const fim_h5_set *set, const char *name, fim_record *record) {
    gsl_matrix *values = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(set->dim[0], set->dim[1], set->item, &values));
    FIM_TRY(fim_h5_set_read(file, set, false, values));
    status = fim_record_set_table(record, name, values);
    values = NULL;
out:
    gsl_matrix_free(values);
    return status;
}

static fim_status get_set(fim_h5 *file, const char *item, const char *name, fim_record *record) {
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(check_length(file, item, name, sizeof record->curves->name));
    FIM_TRY(fim_h5_set_open(file, item, &set));
    FIM_TRY(fim_h5_set_claim(file, &set));
    if (set.rank > 2)
        status =
            FIM_FAIL(FIM_ERR_SHAPE, "%s: %s has %zu dimensions, expected 1 or 2", file->path, item, set.rank);
    else
        status = set.rank == 1 ? get_curve(file, &set, name, record) : get_table(file, &set, name, record);
out:
    fim_h5_set_close(&set);
    return status;
}

static fim_status get_record(fim_h5 *file, const char *item, size_t depth, fim_record *record) {
    char **names = NULL, *path = NULL;
    size_t count = 0;
    fim_status status = FIM_OK;
    if (depth > DEPTH_LIMIT) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: groups are nested deeper than %d at %s", file->path,
                          DEPTH_LIMIT, item);
        goto out;
    }
    FIM_TRY(fim_record_get_attributes(file, item, record));
    FIM_TRY(fim_h5_list(file, item, &names, &count));
    for (size_t i = 0; i < count; i++) {
        fim_h5_kind kind = FIM_H5_NOTHING;
        fim_record *child = NULL;
        free(path);
        path = NULL;
        if (depth == 0 && strcmp(names[i], alias) == 0)
            FIM_TRY(fim_h5_find(file, aliased, &kind));
        if (kind == FIM_H5_GROUP)
            continue;
        FIM_TRY(join(item, names[i], &path));
        FIM_TRY(fim_h5_find(file, path, &kind));
        if (kind == FIM_H5_SET) {
            FIM_TRY(get_set(file, path, names[i], record));
            continue;
        }
        // Groups cost memory too: a file may hold one group under many names.
        FIM_TRY(check_length(file, item, names[i], sizeof record->name));
        FIM_TRY(fim_context(fim_budget_check(file->left, sizeof *record, path, "raise --memory"), "%s",
                            file->path));
        file->left -= sizeof *record;
        FIM_TRY(fim_record_add_child(record, names[i], &child));
        FIM_TRY(get_record(file, path, depth + 1, child));
    }
out:
    free(path);
    fim_h5_names_free(names, count);
    return status;
}

typedef struct reading {
    const char *path, *format;
    size_t budget;
    fim_record record;
} reading;

static fim_status read_here(void *context) {
    reading *r = context;
    fim_h5 file = {.id = -1};
    fim_record found;
    fim_record_init(&found, "");
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open_format(r->path, r->format, r->budget, &file));
    FIM_TRY(get_record(&file, "/", 0, &found));
    r->record = found;
    fim_record_init(&found, "");
out:
    fim_record_clear(&found);
    fim_h5_close(&file);
    return status;
}

static fim_status exchange(fim_parcel *p, void *context) {
    return fim_parcel_record(p, &((reading *)context)->record);
}

fim_status fim_record_read(const char *path, const char *format, size_t budget, fim_record *record) {
    reading r = {.path = path, .format = format, .budget = budget};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, budget, read_here, exchange}, &r);
    if (status == FIM_OK)
        *record = r.record;
    return status;
}
