// A reproduction as text and CSV: tables with verdicts, and the findings.
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

fim_status verdicts_make(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                         verdict_list *list) {
    verdict_list made = {0};
    fim_status status = FIM_OK;
    for (size_t k = 0; k < count; k++) {
        FIM_TRY(verdicts_of_errors(&nets[k], paper, &made));
        FIM_TRY(verdicts_of_training(&nets[k], paper, &made));
    }
    *list = made;
    made = (verdict_list){0};
out:
    verdict_list_clear(&made);
    return status;
}

const char *number_or_dash(double value, char buffer[static 24]) {
    if (!isfinite(value))
        return "-";
    return format_number("", value, buffer);
}

// ---- CSV and text ----

static void put_field(FILE *stream, double value) {
    putc(',', stream);
    if (isfinite(value))
        fprintf(stream, "%.17g", value);
}

fim_status fim_reproduction_csv(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                char **out) {
    verdict_list list = {0};
    text t = {0};
    fim_status status = FIM_OK;
    FIM_TRY(verdicts_make(nets, count, paper, &list));
    FIM_TRY(text_open(&t));
    fputs("network,table,quantity,published,ours,against_exact,tolerance,verdict,reason\n", t.stream);
    for (size_t i = 0; i < list.count; i++) {
        const verdict *v = &list.items[i];
        fprintf(t.stream, "%s,%s,\"%s\"", v->net, verdict_headings[v->table].name, v->what);
        put_field(t.stream, v->published);
        put_field(t.stream, v->ours);
        put_field(t.stream, v->exact);
        put_field(t.stream, v->tolerance);
        fprintf(t.stream, ",%s,\"", v->word);
        for (const char *c = v->reason; *c != '\0'; c++)
            fputs(*c == '"' ? "\"\"" : (char[]){*c, '\0'}, t.stream);
        fputs("\"\n", t.stream);
    }
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    verdict_list_clear(&list);
    return status;
}

static size_t count_words(const verdict_list *list, const char *net, const char *word) {
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += (net == NULL || strcmp(list->items[i].net, net) == 0) && strcmp(list->items[i].word, word) == 0;
    return n;
}

void put_tally(FILE *stream, const verdict_list *list, const char *net) {
    static const char *const words[] = {"agrees", "differs", "open", "not run"};
    static const char *const read[] = {"rows agree", "differ", "are open", "were not run"};
    bool any = false;
    for (size_t i = 0; i < 4; i++)
        if (count_words(list, net, words[i]) > 0) {
            fprintf(stream, "%s%zu %s", any ? ", " : "", count_words(list, net, words[i]), read[i]);
            any = true;
        }
    fputs(any ? "" : "nothing has been run", stream);
}

fim_status fim_reproduction_table(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                  char **out) {
    verdict_list list = {0};
    finding findings[FINDINGS] = {0};
    text t = {0};
    char published[24], ours[24], exact[24];
    fim_status status = FIM_OK;
    FIM_TRY(verdicts_make(nets, count, paper, &list));
    FIM_TRY(findings_make(nets, count, paper, findings));
    FIM_TRY(text_open(&t));
    for (size_t i = 0; i < list.count; i++) {
        const verdict *v = &list.items[i];
        if (i == 0 || v->table != list.items[i - 1].table || v->net != list.items[i - 1].net)
            fprintf(t.stream, "%s%s: %s (%s)\n%-52s %10s %10s %10s  verdict\n", i > 0 ? "\n" : "", v->net,
                    verdict_headings[v->table].title, verdict_headings[v->table].tolerance, "", "published",
                    "ours", v->table == VERDICT_ERRORS ? "(exact F)" : "");
        fprintf(t.stream, "%-52s %10s %10s %10s  %s%s%s\n", v->what, number_or_dash(v->published, published),
                number_or_dash(v->ours, ours), isfinite(v->exact) ? format_number("", v->exact, exact) : "",
                v->word, v->reason[0] != '\0' ? ": " : "", v->reason);
    }
    for (size_t i = 0; i < FINDINGS; i++)
        if (findings[i].told != NULL)
            fprintf(t.stream, "\n%s\n%s\n", findings[i].title, findings[i].told);
    fputs("\n", t.stream);
    put_tally(t.stream, &list, NULL);
    fputs("\n", t.stream);
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    findings_clear(findings);
    verdict_list_clear(&list);
    return status;
}
