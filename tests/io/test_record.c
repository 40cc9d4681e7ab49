// Records in memory: what is set is found again, replaced, and refused by name.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fim/io.h"

Test(record, empty) {
    fim_record record;
    fim_record_init(&record, "report");
    cr_assert(eq(str, record.name, "report"));
    cr_assert(fim_record_value(&record, "x") == NULL);
    cr_assert(fim_record_text(&record, "x") == NULL);
    cr_assert(fim_record_curve(&record, "x") == NULL);
    cr_assert(fim_record_table(&record, "x") == NULL);
    cr_assert(fim_record_child(&record, "x") == NULL);
    fim_record_clear(&record);
    fim_record_clear(&record);
}

Test(record, many_entries_keep_their_values_and_order) {
    fim_record record;
    fim_record_init(&record, "r");
    char name[32], text[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%d", i);
        snprintf(text, sizeof text, "t%d", i * i);
        cr_assert(eq(int, fim_record_set(&record, name, i + 0.5, text), FIM_OK));
        cr_assert(eq(int, fim_record_set_text(&record, name, text), FIM_OK));
        gsl_vector *curve = gsl_vector_calloc((size_t)i + 1);
        gsl_vector_set(curve, (size_t)i, i);
        cr_assert(eq(int, fim_record_set_curve(&record, name, curve, text), FIM_OK));
        gsl_matrix *table = gsl_matrix_calloc(2, (size_t)i + 1);
        gsl_matrix_set(table, 1, (size_t)i, -i);
        cr_assert(eq(int, fim_record_set_table(&record, name, table), FIM_OK));
        fim_record *child = NULL;
        cr_assert(eq(int, fim_record_add_child(&record, name, &child), FIM_OK));
        cr_assert(eq(int, fim_record_set(child, "own", -i, NULL), FIM_OK));
    }
    cr_assert(eq(sz, record.n_values, 100));
    cr_assert(eq(sz, record.n_texts, 100));
    cr_assert(eq(sz, record.n_children, 100));
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%d", i);
        snprintf(text, sizeof text, "t%d", i * i);
        const fim_value *value = fim_record_value(&record, name);
        cr_assert(value == &record.values[i]);
        cr_assert(eq(dbl, value->value, i + 0.5));
        cr_assert(strcmp(value->note, text) == 0);
        cr_assert(strcmp(fim_record_text(&record, name), text) == 0);
        const fim_curve *curve = fim_record_curve(&record, name);
        cr_assert(eq(sz, curve->values->size, (size_t)i + 1));
        cr_assert(eq(dbl, gsl_vector_get(curve->values, (size_t)i), i));
        cr_assert(eq(dbl, gsl_matrix_get(fim_record_table(&record, name)->values, 1, (size_t)i), -i));
        cr_assert(eq(dbl, fim_record_value(fim_record_child(&record, name), "own")->value, -i));
    }
    fim_record_clear(&record);
    cr_assert(eq(sz, record.n_values, 0));
}

Test(record, setting_again_replaces) {
    fim_record record;
    fim_record_init(&record, "r");
    fim_record_set(&record, "e", NAN, "too large");
    fim_record_set(&record, "e", 2, NULL);
    fim_record_set_text(&record, "t", "one");
    fim_record_set_text(&record, "t", "two");
    fim_record_set_curve(&record, "c", gsl_vector_calloc(3), "first");
    fim_record_set_curve(&record, "c", gsl_vector_calloc(5), "second");
    fim_record_set_table(&record, "m", gsl_matrix_calloc(3, 1));
    fim_record_set_table(&record, "m", gsl_matrix_calloc(1, 4));
    cr_assert(eq(sz, record.n_values + record.n_texts + record.n_curves + record.n_tables, 4));
    cr_assert(eq(dbl, fim_record_value(&record, "e")->value, 2));
    cr_assert(strcmp(fim_record_value(&record, "e")->note, "") == 0);
    cr_assert(strcmp(fim_record_text(&record, "t"), "two") == 0);
    cr_assert(eq(sz, fim_record_curve(&record, "c")->values->size, 5));
    cr_assert(strcmp(fim_record_curve(&record, "c")->note, "second") == 0);
    cr_assert(eq(sz, fim_record_table(&record, "m")->values->size2, 4));
    fim_record_clear(&record);
}

Test(record, a_note_is_cut_between_characters) {
    fim_record record;
    fim_record_init(&record, "r");
    char note[402]; // an odd byte, then two-byte characters: byte 199 falls inside one
    memset(note, 0, sizeof note);
    note[0] = 'x';
    for (size_t i = 1; i + 2 < sizeof note; i += 2)
        memcpy(note + i, "\xcf\x83", 2);
    cr_assert(eq(int, fim_record_set(&record, "e", 1, note), FIM_OK));
    cr_assert(eq(sz, strlen(fim_record_value(&record, "e")->note), 199));
    memmove(note, note + 1, sizeof note - 1);
    cr_assert(eq(int, fim_record_set(&record, "e", 1, note), FIM_OK));
    cr_assert(eq(sz, strlen(fim_record_value(&record, "e")->note), 198));
    fim_record_clear(&record);
}

Test(record, names_that_cannot_be_kept_are_refused) {
    fim_record record;
    fim_record_init(&record, "the-report");
    char longer[80];
    memset(longer, 'q', sizeof longer);
    longer[79] = '\0';
    fim_record *child = NULL;
    cr_assert(eq(int, fim_record_set(&record, longer, 1, NULL), FIM_ERR_ARGUMENT));
    cr_assert(strstr(fim_message(), longer) != NULL && strstr(fim_message(), "the-report") != NULL);
    cr_assert(eq(int, fim_record_set_curve(&record, longer, gsl_vector_calloc(1), NULL), FIM_ERR_ARGUMENT));
    cr_assert(eq(int, fim_record_set_table(&record, longer, gsl_matrix_calloc(1, 1)), FIM_ERR_ARGUMENT));
    cr_assert(eq(int, fim_record_add_child(&record, longer, &child), FIM_ERR_ARGUMENT));
    cr_assert(eq(int, fim_record_set(&record, "", 1, NULL), FIM_ERR_ARGUMENT));
    cr_assert(eq(int, fim_record_set_text(&record, "", "x"), FIM_ERR_ARGUMENT));
    cr_assert(eq(int, fim_record_add_child(&record, "a", &child), FIM_OK));
    fim_record *kept = child;
    cr_assert(eq(int, fim_record_add_child(&record, "a", &child), FIM_ERR_ARGUMENT));
    cr_assert(strstr(fim_message(), "'a'") != NULL);
    cr_assert(eq(ptr, child, kept), "outputs are untouched on failure");
    cr_assert(eq(sz, record.n_values + record.n_texts + record.n_curves + record.n_tables, 0));
    fim_record_clear(&record);
}
