// Records in memory: what the study and training find out, by name, before it becomes a file, a table or a
// figure.
//
// Lists are short (tens of entries), so that a name is found by walking and the arrays grow by doubling
// whenever their count is a power of two, which needs no capacity beside the count.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/io.h"

// Copies text into a field of `size` bytes; what does not fit is cut, never inside a UTF-8 character.
static void copy_cut(char *field, size_t size, const char *text) {
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(field, text, length);
    memset(field + length, 0, size - length);
}

// Names tell entries apart, so that a cut one would be another's.
static fim_status check_name(const fim_record *record, const char *name, size_t size) {
    if (name[0] != '\0' && strlen(name) < size)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_ARGUMENT, "record '%s': the name '%s' is not of 1 to %zu bytes", record->name,
                    name, size - 1);
}

// Room for one more behind the `count` items of *items.
static fim_status grow(void *items, size_t count, size_t size) {
    if ((count & (count - 1)) != 0)
        return FIM_OK;
    void *old, *wider;
    memcpy(&old, items, sizeof old);
    size_t bytes = fim_size_mul(count > 0 ? 2 * count : 1, size);
    wider = bytes < SIZE_MAX ? realloc(old, bytes) : NULL;
    if (wider == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate an entry of a record");
    memcpy(items, &wider, sizeof wider);
    return FIM_OK;
}

// The entry called `name` among `count` of `size` bytes that begin with their name, or NULL.
static const void *find(const void *items, size_t count, size_t size, const char *name) {
    for (size_t i = 0; i < count; i++) {
        const char *item = (const char *)items + i * size;
        if (strcmp(item, name) == 0)
            return item;
    }
    return NULL;
}

void fim_record_init(fim_record *record, const char *name) {
    memset(record, 0, sizeof *record);
    copy_cut(record->name, sizeof record->name, name);
}

void fim_record_clear(fim_record *record) {
    for (size_t i = 0; i < record->n_texts; i++) {
        free(record->texts[i].name);
        free(record->texts[i].text);
    }
    for (size_t i = 0; i < record->n_curves; i++)
        gsl_vector_free(record->curves[i].values);
    for (size_t i = 0; i < record->n_tables; i++)
        gsl_matrix_free(record->tables[i].values);
    for (size_t i = 0; i < record->n_children; i++)
        fim_record_clear(&record->children[i]);
    free(record->values);
    free(record->texts);
    free(record->curves);
    free(record->tables);
    free(record->children);
    fim_record_init(record, "");
}

// ---- Additions ----

// The entry called `name` of one of the record's lists, new and zero when there is none yet.
static fim_status entry(const fim_record *record, void *items, size_t *count, size_t size, size_t name_size,
                        const char *name, void *out) {
    fim_status status = FIM_OK;
    char *list, *item;
    FIM_TRY(check_name(record, name, name_size));
    memcpy(&list, items, sizeof list);
    for (size_t i = 0; i < *count; i++) {
        item = list + i * size;
        if (strcmp(item, name) == 0)
            goto out;
    }
    FIM_TRY(grow(items, *count, size));
    memcpy(&list, items, sizeof list);
    item = list + (*count)++ * size;
    memset(item, 0, size);
    memcpy(item, name, strlen(name));
out:
    if (status == FIM_OK)
        memcpy(out, &item, sizeof item);
    return status;
}

fim_status fim_record_set(fim_record *record, const char *name, double value, const char *note) {
    fim_value *item;
    fim_status status =
        entry(record, &record->values, &record->n_values, sizeof *item, sizeof item->name, name, &item);
    if (status != FIM_OK)
        return status;
    item->value = value;
    copy_cut(item->note, sizeof item->note, note != NULL ? note : "");
    return FIM_OK;
}

fim_status fim_record_set_text(fim_record *record, const char *name, const char *text) {
    fim_status status = FIM_OK;
    char *name_copy = NULL, *text_copy = strdup(text);
    if (text_copy == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text '%s' of a record", name);
    for (size_t i = 0; i < record->n_texts; i++)
        if (strcmp(record->texts[i].name, name) == 0) {
            free(record->texts[i].text);
            record->texts[i].text = text_copy;
            return FIM_OK;
        }
    FIM_TRY(check_name(record, name, SIZE_MAX));
    name_copy = strdup(name);
    if (name_copy == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text '%s' of a record", name));
    FIM_TRY(grow(&record->texts, record->n_texts, sizeof *record->texts));
    record->texts[record->n_texts++] = (fim_text){name_copy, text_copy};
    return FIM_OK;
out:
    free(name_copy);
    free(text_copy);
    return status;
}

fim_status fim_record_set_curve(fim_record *record, const char *name, gsl_vector *values, const char *note) {
    fim_curve *item;
    fim_status status =
        entry(record, &record->curves, &record->n_curves, sizeof *item, sizeof item->name, name, &item);
    if (status != FIM_OK) {
        gsl_vector_free(values);
        return status;
    }
    if (item->values != values)
        gsl_vector_free(item->values);
    item->values = values;
    copy_cut(item->note, sizeof item->note, note != NULL ? note : "");
    return FIM_OK;
}

fim_status fim_record_set_table(fim_record *record, const char *name, gsl_matrix *values) {
    fim_table *item;
    fim_status status =
        entry(record, &record->tables, &record->n_tables, sizeof *item, sizeof item->name, name, &item);
    if (status != FIM_OK) {
        gsl_matrix_free(values);
        return status;
    }
    if (item->values != values)
        gsl_matrix_free(item->values);
    item->values = values;
    return FIM_OK;
}

fim_status fim_record_add_child(fim_record *record, const char *name, fim_record **child) {
    fim_status status = FIM_OK;
    FIM_TRY(check_name(record, name, sizeof record->name));
    if (fim_record_child(record, name) != NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_ARGUMENT, "record '%s' has a child '%s' already", record->name, name));
    FIM_TRY(grow(&record->children, record->n_children, sizeof *record->children));
    fim_record_init(&record->children[record->n_children], name);
    *child = &record->children[record->n_children++];
out:
    return status;
}

// ---- Look-ups ----

const fim_value *fim_record_value(const fim_record *record, const char *name) {
    return find(record->values, record->n_values, sizeof *record->values, name);
}

const char *fim_record_text(const fim_record *record, const char *name) {
    for (size_t i = 0; i < record->n_texts; i++)
        if (strcmp(record->texts[i].name, name) == 0)
            return record->texts[i].text;
    return NULL;
}

const fim_curve *fim_record_curve(const fim_record *record, const char *name) {
    return find(record->curves, record->n_curves, sizeof *record->curves, name);
}

const fim_table *fim_record_table(const fim_record *record, const char *name) {
    return find(record->tables, record->n_tables, sizeof *record->tables, name);
}

const fim_record *fim_record_child(const fim_record *record, const char *name) {
    return find(record->children, record->n_children, sizeof *record->children, name);
}
