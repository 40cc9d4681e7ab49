// Manual pages in roff. What an option is called and does comes from the option tables of argp, what the tool
// is for from its text above and below them, so that a page says what --help says.
#define _GNU_SOURCE // open_memstream
#include "manual.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// ---- The tables ----

static fim_status add(manual *m, manual_entry entry) {
    manual_entry *wider = realloc(m->entries, (m->count + 1) * sizeof *wider);
    if (wider == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the options");
    m->entries = wider;
    m->entries[m->count++] = entry;
    return FIM_OK;
}

// Behind the entries of the same group and of those before it.
static void sort(manual *m) {
    for (size_t i = 1; i < m->count; i++) {
        const manual_entry entry = m->entries[i];
        size_t at = i;
        for (; at > 0 && m->entries[at - 1].group > entry.group; at--)
            m->entries[at] = m->entries[at - 1];
        m->entries[at] = entry;
    }
}

static fim_status add_option(manual *m, const struct argp *argp, const struct argp_option *o, int group) {
    char *(*filter)(int, const char *, void *) = m->own->help_filter;
    const char *text = filter != NULL && argp == m->own ? filter(o->key, o->doc, NULL) : o->doc;
    char *copy = text == o->doc ? strdup(o->doc) : (char *)(uintptr_t)text;
    if (copy == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text of --%s", o->name);
    fim_status status = add(m, (manual_entry){o, NULL, copy, group});
    if (status != FIM_OK)
        free(copy);
    return status;
}

static fim_status collect(manual *m, const struct argp *argp, int group) {
    fim_status status = FIM_OK;
    for (const struct argp_option *o = argp->options; o != NULL && (o->name != NULL || o->doc != NULL); o++) {
        const int own = group != 0 ? group : o->group;
        if (o->flags & OPTION_HIDDEN)
            continue;
        if (o->name == NULL)
            FIM_TRY(add(m, (manual_entry){NULL, o->doc, NULL, own}));
        else
            FIM_TRY(add_option(m, argp, o, own));
    }
    for (const struct argp_child *c = argp->children; c != NULL && c->argp != NULL; c++) {
        if (c->header != NULL)
            FIM_TRY(add(m, (manual_entry){NULL, c->header, NULL, c->group}));
        FIM_TRY(collect(m, c->argp, c->group));
    }
out:
    return status;
}

static void clear(manual *m) {
    for (size_t i = 0; i < m->count; i++)
        free(m->entries[i].text);
    free(m->entries);
}

// ---- roff ----

// Where UTF-8 begins at `s`: its code point, and how many bytes it takes.
static unsigned long code_point(const char *s, size_t *length) {
    const unsigned char c = (unsigned char)*s;
    const size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    unsigned long code = more == 0 ? c : c & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++)
        code = code << 6 | ((unsigned char)s[i] & 0x3fu);
    *length = more + 1;
    return code;
}

static void put_character(FILE *out, unsigned long code) {
    if (code >= 0x80)
        fprintf(out, "\\[u%04lX]", code);
    else if (code == '\\')
        fputs("\\e", out);
    else if (code == '-') // of options, not of words
        fputs("\\-", out);
    else if (code == '\'')
        fputs("\\(aq", out);
    else if (code == '^' || code == '~')
        fputs(code == '^' ? "\\(ha" : "\\(ti", out);
    else
        putc((int)code, out);
}

static size_t word_length(const char *s, size_t n) {
    size_t length = 0;
    while (length < n && s[length] != ' ')
        length++;
    return length;
}

// n bytes in lines as long as roff's readers like them, or in one line as it is.
static void put_text(FILE *out, const char *s, size_t n, bool filled) {
    enum { LONG = 62, LONGEST = 76 }; // escapes make a line a little longer
    for (size_t i = 0, length, column = 0; i < n; i += length, column++) {
        const unsigned long code = code_point(s + i, &length);
        if (code == ' ' && filled &&
            (column > LONG || column + word_length(s + i + 1, n - i - 1) > LONGEST)) {
            putc('\n', out);
            column = 0;
        } else {
            if (column == 0 && (code == '.' || code == '\''))
                fputs("\\&", out);
            put_character(out, code);
        }
    }
}

static void put_name(FILE *out, const char *s) {
    put_text(out, s, strlen(s), false);
}

static void put_option(FILE *out, const struct argp_option *o) {
    fputs(".TP\n", out);
    if (isprint(o->key))
        fprintf(out, "\\fB\\-%c\\fR, ", o->key);
    fputs("\\fB\\-\\-", out);
    put_name(out, o->name);
    fputs("\\fR", out);
    if (o->arg != NULL) {
        fputs("=\\fI", out);
        put_name(out, o->arg);
        fputs("\\fR", out);
    }
    putc('\n', out);
}

static bool starts(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

// A paragraph of the texts around the options: what is indented stays as it is.
static void put_paragraph(FILE *out, const char *s, const char *end) {
    bool kept = false;
    for (bool first = true; s < end; first = false) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        stop = stop != NULL ? stop : end;
        const bool keep = starts(s, "  ");
        if (keep != kept)
            fprintf(out, "%s%s", keep || first ? "" : ".EE\n", first ? "" : ".PP\n");
        if (keep && !kept)
            fputs(".EX\n", out);
        kept = keep;
        put_text(out, keep ? s + 2 : s, (size_t)(stop - s) - (keep ? 2 : 0), !keep);
        putc('\n', out);
        s = stop + (stop < end);
    }
    if (kept)
        fputs(".EE\n", out);
}

// The text below the options, "Example:" and "Examples:" a section of their own.
static void put_below(FILE *out, const char *s) {
    bool any = false;
    while (*s != '\0') {
        const char *end = strstr(s, "\n\n");
        const size_t skipped = starts(s, "Example:\n") ? 9 : starts(s, "Examples:\n") ? 10 : 0;
        end = end != NULL ? end : s + strlen(s);
        if (skipped > 0)
            fputs(".SH EXAMPLES\n", out);
        else
            fputs(any ? ".PP\n" : ".SH NOTES\n", out);
        any |= skipped == 0;
        put_paragraph(out, s + skipped, end);
        s = end + strspn(end, "\n");
    }
}

// Up to the end of the first sentence, or the colon in it, with a small letter first.
static void put_purpose(FILE *out, const char *doc) {
    const char *end = doc;
    while (*end != '\0' && *end != '\v' &&
           !((*end == '.' || *end == ':') && (end[1] == ' ' || end[1] == '\v')))
        end++;
    putc(tolower((unsigned char)doc[0]), out);
    put_text(out, doc + 1, (size_t)(end - doc) - 1, true);
    putc('\n', out);
}

// "FILE... --data SPEC": options bold, what stands for something else italic.
static void put_synopsis(FILE *out, const manual *m) {
    fputs(".B ", out);
    put_name(out, m->tool);
    fputs("\n[\\fIOPTION\\fR...]\n", out);
    for (const char *s = m->own->args_doc; s != NULL && *s != '\0';) {
        const size_t length = strcspn(s, " ");
        fputs(*s == '-' ? "\\fB" : "\\fI", out);
        put_text(out, s, length, false);
        fputs("\\fR\n", out);
        s += length + strspn(s + length, " ");
    }
}

static void put_man(const manual *m, FILE *out) {
    static const char *const others[] = {"fim-analyze", "fim-convert", "fim-dump",
                                         "fim-info",    "fim-plot",    "fim-train"};
    const char *doc = m->own->doc, *below = strchr(doc, '\v');
    const char *comma = "";
    fputs(".TH ", out);
    for (const char *c = m->tool; *c != '\0'; c++)
        putc(toupper((unsigned char)*c), out);
    fputs(" 1 \"" FIM_RELEASED "\" \"fim-toolkit " FIM_VERSION "\" \"User Commands\"\n.nh\n.SH NAME\n", out);
    put_name(out, m->tool);
    fputs(" \\- ", out);
    put_purpose(out, doc);
    fputs(".SH SYNOPSIS\n", out);
    put_synopsis(out, m);
    fputs(".SH DESCRIPTION\n", out);
    put_paragraph(out, doc, below != NULL ? below : doc + strlen(doc));
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < m->count; i++) {
        const manual_entry *e = &m->entries[i];
        if (e->heading != NULL) {
            fputs(".SS ", out);
            put_text(out, e->heading, strlen(e->heading) - 1, false); // without its colon
            putc('\n', out);
            continue;
        }
        put_option(out, e->option);
        put_text(out, e->text, strlen(e->text), true);
        putc('\n', out);
    }
    if (below != NULL)
        put_below(out, below + 1);
    fputs(
        ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed; one line on standard error tells why, and no output "
        "is half-written.\n.TP\n2\nWrong usage.\n.SH SEE ALSO\n",
        out);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i], m->tool) != 0) {
            fputs(comma, out);
            fputs(".BR ", out);
            put_name(out, others[i]);
            fputs(" (1)", out);
            comma = ",\n";
        }
    putc('\n', out);
}

fim_status manual_print(const char *kind, const char *tool, const struct argp *own, const struct argp *common,
                        FILE *stream) {
    enum { LAST = 1000 }; // a group behind all others
    static const char *const kinds[] = {"man", "bash", "zsh"};
    fim_status status = FIM_OK;
    size_t which;
    manual m = {.tool = tool, .own = own};
    FIM_TRY(fim_name_find("description", kinds, sizeof kinds / sizeof *kinds, kind, &which));
    FIM_TRY(collect(&m, own, 0));
    FIM_TRY(add(&m, (manual_entry){NULL, "Common options:", NULL, LAST}));
    FIM_TRY(collect(&m, common, LAST));
    sort(&m);
    if (which == 0)
        put_man(&m, stream);
    else if (which == 1)
        FIM_TRY(completion_bash(&m, stream));
    else
        FIM_TRY(completion_zsh(&m, stream));
out:
    clear(&m);
    return status;
}
