// The table and the CSV, taken apart again.
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "sample.h"

// The line of `body` that begins with `start` in the part after `after`, as a new text.
static char *find_line(const char *body, const char *after, const char *start) {
    const char *at = strstr(body, after);
    for (; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, start, strlen(start)) == 0)
            return strndup(at, strcspn(at, "\n"));
    }
    return NULL;
}

static size_t split(char *line, char **words, size_t most) {
    size_t n = 0;
    for (char *save, *word = strtok_r(line, " ", &save); word != NULL && n < most;
         word = strtok_r(NULL, " ", &save))
        words[n++] = word;
    return n;
}

static void table_of(size_t checkpoints, char **table) {
    fim_record report;
    sample_report(&report, checkpoints);
    cr_assert(eq(int, fim_report_table(&report, table), FIM_OK));
    fim_record_clear(&report);
}

Test(table, a_row_holds_the_numbers_in_order) {
    char *table = NULL, *words[20];
    table_of(1, &table);
    char *line = find_line(table, "layer 4:", "kpsvd:2");
    cr_assert(line != NULL);
    cr_assert(eq(sz, split(line, words, 20), 11));
    const char *expected[] = {"kpsvd:2", "0.1877*", "0.07123*", "0.003457", "-0.001234", "312",
                              "0.091",   "1.0",     "MB",       "30",       "8.0e-11"};
    for (size_t i = 0; i < 11; i++)
        cr_assert(strcmp(words[i], expected[i]) == 0, "%s, expected %s", words[i], expected[i]);
    free(line);
    free(table);
}

Test(table, best_of_errors_only_and_shared_by_equal_digits) {
    char *table = NULL, *words[20];
    table_of(1, &table);
    // 0.18765 and 0.187650001 read the same; 0, 2e-16 and -1e-16 are all nothing but rounding.
    char *line = find_line(table, "layer 4:", "lanczos");
    split(line, words, 20);
    cr_assert(strcmp(words[0], "lanczos!") == 0 && strcmp(words[1], "0.1877*") == 0);
    free(line);
    const char *exact[] = {"diagonal", "tkfac", "ekfac"};
    for (size_t i = 0; i < 3; i++) {
        line = find_line(table, "layer 4:", exact[i]);
        cr_assert(eq(sz, split(line, words, 20), 9));
        cr_assert(words[3][strlen(words[3]) - 1] == '*', "trace error of %s", exact[i]);
        for (size_t w = 4; w < 9; w++)
            cr_assert(strchr(words[w], '*') == NULL, "'%s' is no error", words[w]);
        free(line);
    }
    line = find_line(table, "layer 4:", "kfac");
    cr_assert(strchr(line, '*') == NULL);
    free(line);
    free(table);
}

Test(table, missing_values_share_a_footnote_and_early_stops_are_told) {
    char *table = NULL;
    table_of(1, &table);
    char *line = find_line(table, "layer 4:", "lanczos");
    size_t dashes = 0;
    for (const char *at = line; (at = strstr(at, "-¹")) != NULL; at++)
        dashes++;
    cr_assert(eq(sz, dashes, 3));
    free(line);
    line = find_line(table, "layer 4:", "¹ ");
    cr_assert(strcmp(line, "¹ " SAMPLE_TOO_LARGE) == 0);
    free(line);
    cr_assert(find_line(table, "layer 4:", "² ") == NULL);
    line = find_line(table, "layer 4:", "! ");
    cr_assert(strcmp(line, "! lanczos did not converge: relative residual 1.3e-04 after 2000 products") == 0);
    free(line);
    free(table);
}

Test(table, facts_of_the_layer_are_above) {
    char *table = NULL;
    table_of(2, &table);
    char *line = find_line(table, "checkpoint-5.h5", "layer 4:");
    cr_assert(strcmp(line, "layer 4: 31 × 250 (7750 parameters), 512 samples, Fisher mc:1, ‖F‖ = 12.35, "
                           "tr F = 98.77") == 0,
              "%s", line);
    free(line);
    line = find_line(table, "layer 4:", "error floor");
    double floor = 0;
    cr_assert(eq(int, sscanf(line, "error floor of R Kronecker terms: %lf (R = 1)", &floor), 1));
    double all = 0, first = 144; // 12²
    for (size_t i = 0; i < 496; i++)
        all += pow(12 * pow((double)i + 1, -1.1) * exp(-(double)i / 90), 2);
    cr_assert(epsilon_eq(dbl, floor, sqrt((all - first) / all), 5e-5));
    free(line);
    free(table);
}

Test(table, what_the_samples_leave_in_doubt_is_told_where_it_is_known) {
    fim_record report;
    char *table = NULL;
    sample_report(&report, 1);
    fim_record *layer = &report.children[0].children[0].children[0].children[0];
    sample_must(fim_record_set(layer, "sampling_error", 0.32125, "inner products"));
    sample_must(fim_record_set(layer, "half_error", NAN, "a single sample has no halves"));
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    char *line = find_line(table, "layer 4:", "sampling:");
    cr_assert(strcmp(line, "sampling: ‖F − F_exact‖ / ‖F_exact‖ = 0.3212, of two halves of the samples "
                           "‖F₁ − F₂‖ / ‖F‖ = ?") == 0,
              "%s", line);
    cr_assert(find_line(table, "layer out", "sampling:") == NULL);
    free(line);
    free(table);
    fim_record_clear(&report);
}

// Numbers with their standard errors, as they are read back: the last digits of both stand for the same
// place.
Test(table, a_mean_is_shown_with_its_standard_error) {
    static const struct {
        const char *text;
        double value, error;
    } good[] = {
        {"0.1263(12)", 0.12628, 0.00117},
        {"0.126(12)", 0.12628, 0.0117},
        {"0.13(50)", 0.12628, 0.496},
        {"0.1263(1)", 0.12628, 0.000117},
        {"0.1263", 0.12628, 0.0000117}, // too small to show
        {"0.1263", 0.12628, 0},
        {"0.1263", 0.12628, NAN},
        {"-3.457(12)", -3.4567, 0.0123},
        {"12.3(15)", 12.34, 1.49},
        {"3.4(12)", 3.4, 1.2},
        {"12350(120)", 12345, 123},
        {"3", 3, 0},
        {"3.5(1)e-07", 3.4567e-7, 1.23e-8},
        {"-2(3)e-17", -2e-17, 3e-17},
        {"1.23(5)e+07", 1.2346e7, 4.56e5},
        {"0.0(12)", 0, 1.2},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_record report;
        char *table = NULL, *words[40];
        sample_report(&report, 1);
        fim_record *layer = &report.children[0].children[0].children[0].children[0];
        sample_must(fim_record_set(&layer->children[1], "frobenius_error", good[i].value, "mean of 5"));
        sample_must(fim_record_set(&layer->children[1], "frobenius_error_se", good[i].error, ""));
        sample_must(fim_record_set(layer, "repeats", 5, ""));
        sample_must(fim_record_set(layer, "floor_1", 0.5, "mean of 5"));
        sample_must(fim_record_set(layer, "floor_1_se", 0.0123, ""));
        cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
        char *line = find_line(table, "layer 4:", "kfac");
        const size_t columns = split(line, words, 40);
        char *end = strchr(words[1], '*'); // it may be the best of its column
        if (end != NULL)
            *end = '\0';
        cr_assert(strcmp(words[1], good[i].text) == 0, "%s, expected %s", words[1], good[i].text);
        free(line);
        line = find_line(table, "layer 4:", "tkfac");
        cr_assert(split(line, words, 40) == columns, "errors have no column of their own");
        free(line);
        line = find_line(table, "layer 4:", "1 % error with R = "); // room for the errors of the floors
        cr_assert(line != NULL, "%s", table);
        free(line);
        line = find_line(table, "layer 4:", "means of 5 repeats");
        cr_assert(line != NULL);
        free(line);
        line = find_line(table, "layer 4:", "error floor of R Kronecker terms: 0.500(12) (R = 1), ");
        cr_assert(line != NULL, "%s", table);
        free(line);
        free(table);
        fim_record_clear(&report);
    }
}

Test(table, lines_are_aligned_and_end_clean) {
    char *table = NULL;
    table_of(1, &table);
    // All rows of a layer that end in the same column are equally wide, counted in characters.
    size_t width = 0;
    char *save, *line = strtok_r(table, "\n", &save);
    for (; line != NULL; line = strtok_r(NULL, "\n", &save)) {
        size_t length = strlen(line), characters = 0;
        cr_assert(length == 0 || line[length - 1] != ' ', "'%s' ends on a space", line);
        for (size_t i = 0; i < length; i++)
            characters += ((unsigned char)line[i] & 0xc0) != 0x80;
        cr_assert(characters <= 120, "%zu characters: %s", characters, line);
        if (strncmp(line, "kpsvd", 5) == 0 || strncmp(line, "lanczos", 7) == 0) {
            cr_assert(width == 0 || width == characters, "'%s'", line);
            width = characters;
        }
    }
    cr_assert(width > 0);
    free(table);
}

Test(table, a_bound_is_shown_as_one) {
    fim_record report;
    char *table = NULL;
    sample_report(&report, 1);
    fim_record *layer = &report.children[0].children[0].children[0].children[0];
    sample_must(fim_record_set(&layer->children[1], "frobenius_error", 0.5, "lower bound, not converged"));
    sample_must(fim_record_set(&layer->children[2], "spectrum_error", 0.25, "upper bound, at least 0.1"));
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    char *line = find_line(table, "layer 4:", "kfac");
    cr_assert(strstr(line, " ≥0.5000 ") != NULL, "%s", line);
    free(line);
    line = find_line(table, "layer 4:", "tkfac");
    cr_assert(strstr(line, " ≤0.2500 ") != NULL, "%s", line);
    free(line);
    free(table);
    // An upper bound says that a smaller value may hide there: no spectrum error is marked any more,
    // Frobenius errors are.
    const fim_value *smallest = NULL;
    for (size_t m = 0; m < layer->n_children; m++) {
        const fim_value *v = fim_record_value(&layer->children[m], "spectrum_error");
        if (v != NULL && isfinite(v->value) && (smallest == NULL || v->value < smallest->value))
            smallest = v;
    }
    char best[32];
    cr_assert(smallest != NULL && smallest->value < 0.25);
    snprintf(best, sizeof best, "%.4g*", smallest->value);
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    char *section = strstr(table, "layer 4:"), *next = strstr(section + 1, "layer ");
    if (next != NULL)
        *next = '\0';
    cr_assert(strstr(section, best) == NULL, "%s is marked:\n%s", best, section);
    cr_assert(strchr(section, '*') != NULL, "nothing is marked:\n%s", section);
    free(table);
    fim_record_clear(&report);
}

// The record by hand: kfac² = 0.36 = 0.09 + 0.18 + 0.09 = 0.09 + 0.2699 + 1e-4; the other layer is
// exact.
static void add_decomposition(fim_record *report) {
    static const struct {
        const char *name;
        double value;
    } values[] = {{"error_kfac", 0.6},        {"error_scaled", 0.51961524227066},
                  {"error_ekfac", 0.3},       {"part_scale", 0.09},
                  {"part_eigenvalues", 0.18}, {"part_eigenbasis", 0.09},
                  {"part_factors", 0.2699},   {"part_rank", 1e-4},
                  {"error_tekfac", 0.24}};
    fim_record *layers = report->children[0].children[0].children;
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            char name[40];
            snprintf(name, sizeof name, "decomposition_%s", values[i].name);
            sample_must(fim_record_set(&layers->children[l], name, l == 0 ? values[i].value : 3e-7,
                                       l == 0 ? "" : "upper bound: rounding"));
        }
    sample_must(fim_record_set(&layers->children[0], "floor_2", 0.012, ""));
    sample_must(fim_record_set(&layers->children[0], "floor_3", 0.006, ""));
}

Test(table, the_parts_of_the_error_of_kfac_are_percents_of_its_square) {
    static const char head[] = "where KFAC's error is";
    fim_record report;
    char *table = NULL, *words[20];
    table_of(2, &table);
    cr_assert(strstr(table, head) == NULL, "only where the report holds them");
    free(table);
    sample_report(&report, 2); // the first checkpoint has them
    add_decomposition(&report);
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    cr_assert(strstr(table, head) != NULL && strstr(table, head) < strstr(table, "checkpoint-5.h5"));
    cr_assert(strstr(strstr(table, head) + 1, head) == NULL);
    char *line = find_line(table, head, "4 ");
    const char *expected[] = {"4",    "0.6000", "25.0", "50.0", "25.0", // scale, eigenvalues, eigenbasis
                              "75.0", "<0.1",   "16.0", "<0.1", "<0.1"};
    cr_assert(line != NULL);
    cr_assert(eq(sz, split(line, words, 20), 10));
    for (size_t i = 0; i < 10; i++)
        cr_assert(strcmp(words[i], expected[i]) == 0, "%s, expected %s", words[i], expected[i]);
    free(line);
    line = find_line(table, head, "out<&> ");
    const char *exact[] = {"out<&>", "≤3.000e-07", "-¹", "-¹", "-¹", "-¹", "-¹", "-¹", "-¹", "-¹"};
    cr_assert(eq(sz, split(line, words, 20), 10));
    for (size_t i = 0; i < 10; i++)
        cr_assert(strcmp(words[i], exact[i]) == 0, "%s, expected %s", words[i], exact[i]);
    free(line);
    line = find_line(table, head, "¹ ");
    cr_assert(strcmp(line, "¹ KFAC's error is rounding: it has no parts") == 0, "%s", line);
    free(line);
    for (char *save, *at = strtok_r(table, "\n", &save); at != NULL; at = strtok_r(NULL, "\n", &save)) {
        size_t characters = 0;
        for (const char *c = at; *c != '\0'; c++)
            characters += ((unsigned char)*c & 0xc0) != 0x80;
        cr_assert(characters <= 120, "%zu characters: %s", characters, at);
    }
    free(table);
    fim_record_clear(&report);
}

Test(table, what_the_samples_leave_in_doubt_stands_beside_the_parts) {
    static const char head[] = "where KFAC's error is";
    fim_record report;
    char *table = NULL, *words[20];
    sample_report(&report, 2);
    add_decomposition(&report);
    fim_record *layer = &report.children[0].children[0].children->children[0];
    sample_must(fim_record_set(layer, "decomposition_error_sampling", 0.12, "inner products of samples"));
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    char *line = find_line(table, head, "4 ");
    cr_assert(eq(sz, split(line, words, 20), 11));
    cr_assert(strcmp(words[10], "4.0") == 0, "%s, expected (0.12 / 0.6)² in percent", words[10]);
    free(line);
    line = find_line(table, head, "sampling: ");
    cr_assert(line != NULL && strstr(line, "standard error") != NULL);
    free(line);
    free(table);
    fim_record_clear(&report);
}

Test(table, missing_parts_say_why) {
    fim_record report;
    char *table = NULL, *words[20];
    sample_report(&report, 1);
    add_decomposition(&report);
    fim_record *layers = report.children[0].children[0].children[0].children;
    sample_must(fim_record_set(&layers[0], "decomposition_part_rank", NAN, "too large"));
    sample_must(fim_record_set(&layers[1], "decomposition_error_kfac", NAN, "no factors"));
    sample_must(fim_record_set(&layers[1], "decomposition_part_scale", NAN, "no factors"));
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    char *line = find_line(table, "where KFAC's", "4 ");
    split(line, words, 20);
    cr_assert(strcmp(words[5], "75.0") == 0 && strcmp(words[6], "-¹") == 0, "%s %s", words[5], words[6]);
    free(line);
    line = find_line(table, "where KFAC's", "out<&> ");
    split(line, words, 20);
    for (size_t i = 1; i < 8; i++) // also what is there has no share
        cr_assert(strcmp(words[i], "-²") == 0, "%s", words[i]);
    free(line);
    line = find_line(table, "where KFAC's", "² ");
    cr_assert(strcmp(line, "² no factors") == 0, "%s", line);
    free(line);
    free(table);
    fim_record_clear(&report);
}

Test(table, control_characters_of_names_do_not_reach_the_terminal) {
    fim_record report;
    char *table = NULL;
    sample_report(&report, 1);
    fim_record *layers = report.children[0].children[0].children;
    strcpy(layers->children[0].name, "e\033[31m\xff");
    cr_assert(eq(int, fim_report_table(&report, &table), FIM_OK));
    cr_assert(strchr(table, '\033') == NULL);
    cr_assert(strstr(table, "layer e?[31m?:") != NULL);
    free(table);
    fim_record_clear(&report);
}

Test(table, a_record_without_layers_is_refused) {
    fim_record report;
    char *out = NULL;
    fim_record_init(&report, "fim-report");
    cr_assert(eq(int, fim_report_table(&report, &out), FIM_ERR_FORMAT));
    cr_assert(strstr(fim_message(), "checkpoints") != NULL);
    cr_assert(eq(int, fim_report_csv(&report, &out), FIM_ERR_FORMAT));
    cr_assert(eq(int, fim_report_json(&report, &out), FIM_ERR_FORMAT));
    cr_assert(eq(int, fim_report_plot(&report, "t", "/tmp/never-made", NULL), FIM_ERR_FORMAT));
    cr_assert(eq(int, fim_report_run_json(&report, &out), FIM_ERR_FORMAT));
    cr_assert(strstr(fim_message(), "epoch") != NULL);
    cr_assert(out == NULL, "outputs are untouched on failure");
    fim_record_clear(&report);
}

// ---- CSV ----

// The next field of an RFC 4180 line at *cursor into buffer; false at the end of the line.
static bool csv_field(const char **cursor, char *buffer) {
    const char *c = *cursor;
    if (c == NULL)
        return false;
    bool quoted = *c == '"';
    c += quoted;
    while (quoted ? !(*c == '"' && c[1] != '"') : strchr(",\n", *c) == NULL) {
        c += quoted && *c == '"'; // the first of a doubled quote
        *buffer++ = *c++;
    }
    *buffer = '\0';
    c += quoted;
    *cursor = *c == ',' ? c + 1 : NULL;
    return true;
}

Test(csv, every_number_comes_back_exactly) {
    fim_record report;
    char *csv = NULL, field[200], names[20][200];
    size_t n_names = 0, n_lines = 0;
    sample_report(&report, 2);
    cr_assert(eq(int, fim_report_csv(&report, &csv), FIM_OK));
    const char *cursor = csv;
    while (csv_field(&cursor, names[n_names]))
        n_names++;
    cr_assert(eq(sz, n_names, 16));
    for (const char *line = strchr(csv, '\n') + 1; *line != '\0'; line = strchr(line, '\n') + 1) {
        const size_t k = n_lines / (2 * SAMPLE_METHODS), l = n_lines / SAMPLE_METHODS % 2,
                     m = n_lines % SAMPLE_METHODS;
        const fim_record *checkpoint = &report.children[0].children[k];
        const fim_record *layer = &checkpoint->children[0].children[l];
        cursor = line;
        for (size_t f = 0; f < n_names; f++) {
            cr_assert(csv_field(&cursor, field), "line %zu ends after %zu fields", n_lines, f);
            const fim_value *value = fim_record_value(&layer->children[m], names[f]);
            if (value == NULL)
                value = fim_record_value(layer, names[f]);
            const char *text = strcmp(names[f], "file") == 0     ? fim_record_text(checkpoint, "file")
                               : strcmp(names[f], "layer") == 0  ? layer->name
                               : strcmp(names[f], "fisher") == 0 ? "mc:1"
                               : strcmp(names[f], "method") == 0 ? layer->children[m].name
                                                                 : NULL;
            if (text != NULL)
                cr_assert(strcmp(field, text) == 0, "'%s', expected '%s'", field, text);
            else if (value == NULL || isnan(value->value))
                cr_assert(eq(str, field, ""), "%s of line %zu is missing", names[f], n_lines);
            else
                cr_assert(field[0] != '\0' && strtod(field, NULL) == value->value, "%s: %s", names[f], field);
        }
        cr_assert(csv_field(&cursor, field) == false, "line %zu has more fields than names", n_lines);
        n_lines++;
    }
    cr_assert(eq(sz, n_lines, 4 * SAMPLE_METHODS));
    free(csv);
    fim_record_clear(&report);
}

Test(csv, quotes_are_doubled) {
    fim_record report;
    char *csv = NULL, field[200];
    sample_report(&report, 1);
    const char *name = "a \"b\", c";
    sample_must(fim_record_set_text(&report.children[0].children[0], "file", name));
    cr_assert(eq(int, fim_report_csv(&report, &csv), FIM_OK));
    const char *cursor = strchr(csv, '\n') + 1;
    cr_assert(strncmp(cursor, "\"a \"\"b\"\", c\",4,", 15) == 0);
    csv_field(&cursor, field);
    cr_assert(strcmp(field, name) == 0);
    free(csv);
    fim_record_clear(&report);
}
