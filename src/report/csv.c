// The tables for other programs: one line per checkpoint, layer and method, or per variant of a comparison,
// all digits, quoted as RFC 4180 has it (lines end as this system likes them).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

static void put_field(FILE *stream, const char *s) {
    bool quoted = strpbrk(s, ",\"\r\n") != NULL;
    if (quoted)
        putc('"', stream);
    for (; *s != '\0'; s++) {
        if (*s == '"')
            putc('"', stream);
        putc(*s, stream);
    }
    if (quoted)
        putc('"', stream);
}

static void put_number_field(FILE *stream, double value) {
    putc(',', stream);
    if (isfinite(value))
        fprintf(stream, "%.17g", value);
}

static bool any_moment(const layer_row *rows, size_t count) {
    for (size_t r = 0; r < count; r++)
        if (isfinite(value_or_nan(rows[r].checkpoint, "iteration")))
            return true;
    return false;
}

fim_status fim_report_csv(const fim_record *report, char **out) {
    static const char *const facts[] = {"d_a", "d_g", "samples"};
    const size_t n_facts = sizeof facts / sizeof *facts;
    fim_status status = FIM_OK;
    layer_row *rows = NULL;
    const char **names = NULL;
    size_t count = 0, n_names = 0;
    text t = {0};
    FIM_TRY(layer_rows(report, &rows, &count));
    FIM_TRY(value_names(rows, count, &names, &n_names));
    FIM_TRY(text_open(&t));
    fputs("file,layer", t.stream);
    for (size_t i = 0; i < n_facts; i++)
        fprintf(t.stream, ",%s", facts[i]);
    fputs(",fisher,method", t.stream);
    for (size_t i = 0; i < n_names; i++) {
        putc(',', t.stream);
        put_field(t.stream, names[i]);
    }
    const bool moments = any_moment(rows, count); // of training, in columns of their own
    fputs(moments ? ",epoch,iteration\n" : "\n", t.stream);
    for (size_t r = 0; r < count; r++)
        for (size_t m = 0; m < rows[r].layer->n_children; m++) {
            const fim_record *method = &rows[r].layer->children[m];
            put_field(t.stream, text_or_empty(rows[r].checkpoint, "file"));
            putc(',', t.stream);
            put_field(t.stream, rows[r].layer->name);
            for (size_t i = 0; i < n_facts; i++)
                put_number_field(t.stream, value_or_nan(rows[r].layer, facts[i]));
            putc(',', t.stream);
            put_field(t.stream, text_or_empty(rows[r].layer, "fisher"));
            putc(',', t.stream);
            put_field(t.stream, method->name);
            for (size_t i = 0; i < n_names; i++)
                put_number_field(t.stream, value_or_nan(method, names[i]));
            if (moments) {
                put_number_field(t.stream, value_or_nan(rows[r].checkpoint, "epoch"));
                put_number_field(t.stream, value_or_nan(rows[r].checkpoint, "iteration"));
            }
            fputs("\n", t.stream);
        }
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    free(names);
    free(rows);
    return status;
}

fim_status fim_report_comparison_csv(const fim_record *logs, size_t n_logs, const char *reference,
                                     char **out) {
    static const char *const texts[] = {"optimizer", "damping_form", "remark"};
    const size_t n_texts = sizeof texts / sizeof *texts;
    fim_status status = FIM_OK;
    fim_record comparison;
    const char **names = NULL;
    size_t n_names = 0;
    text t = {0};
    fim_record_init(&comparison, "");
    FIM_TRY(comparison_record(logs, n_logs, reference, &comparison));
    FIM_TRY(value_names(&(layer_row){NULL, &comparison}, 1, &names, &n_names));
    FIM_TRY(text_open(&t));
    fputs("variant", t.stream);
    for (size_t i = 0; i < n_texts; i++)
        fprintf(t.stream, ",%s", texts[i]);
    for (size_t i = 0; i < n_names; i++)
        fprintf(t.stream, ",%s", names[i]);
    fputs("\n", t.stream);
    for (size_t k = 0; k < comparison.n_children; k++) {
        const fim_record *line = &comparison.children[k];
        put_field(t.stream, line->name);
        for (size_t i = 0; i < n_texts; i++) {
            putc(',', t.stream);
            put_field(t.stream, text_or_empty(line, texts[i]));
        }
        for (size_t i = 0; i < n_names; i++)
            put_number_field(t.stream, value_or_nan(line, names[i]));
        fputs("\n", t.stream);
    }
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    free(names);
    fim_record_clear(&comparison);
    return status;
}
