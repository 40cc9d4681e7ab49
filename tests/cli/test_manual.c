// What the tools print of themselves: manual pages and completions know every option of --help, and no other.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support.h"

static const char *const tools[] = {"fim-analyze", "fim-convert", "fim-dump",   "fim-info",
                                    "fim-plot",    "fim-train",   "fim-verdict"};
enum { TOOLS = sizeof tools / sizeof *tools, MOST = 128, NAME = 40 };

// What a command of the shell prints; its exit code.
static char *output_of(const char *command, int *code) {
    char *text = calloc(1, 1 << 17);
    FILE *pipe = popen(command, "r");
    cr_assert(pipe != NULL && text != NULL);
    const size_t size = fread(text, 1, (1 << 17) - 1, pipe);
    cr_assert(size < (1 << 17) - 1);
    const int state = pclose(pipe);
    if (code != NULL)
        *code = WEXITSTATUS(state);
    return text;
}

static char *ask(const char *tool, const char *arguments) {
    char command[600];
    int code;
    snprintf(command, sizeof command, "OMP_WAIT_POLICY=passive '%s/%s' %s", getenv("FIM_TOOLS"), tool,
             arguments);
    char *text = output_of(command, &code);
    cr_assert(code == 0, "%s", command);
    return text;
}

static bool installed(const char *program) {
    char command[100];
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    const bool found = system(command) == 0;
    if (!found)
        cr_log_warn("SKIPPED: %s is not installed", program);
    return found;
}

// The long options of --help, which stand behind at most a short one at the beginning of a line.
static size_t options_of(const char *help, char names[MOST][NAME]) {
    size_t count = 0;
    for (const char *line = help; line != NULL; line = strchr(line, '\n')) {
        line += line != help;
        const size_t space = strspn(line, " "); // a text that begins with an option is far to the right
        const char *at = line + space;
        if (space > 0 && at[0] == '-' && isalpha((unsigned char)at[1]) && at[2] == ',')
            at += 4;
        if (space == 0 || space > 8 || strncmp(at, "--", 2) != 0)
            continue;
        cr_assert(count < MOST);
        snprintf(names[count++], NAME, "%.*s", (int)strcspn(at + 2, "=[ \n"), at + 2);
    }
    return count;
}

static bool has_word(const char *text, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        const char before = at == text ? ' ' : at[-1], after = at[length];
        if (!isalnum((unsigned char)before) && before != '-' && !isalnum((unsigned char)after) &&
            after != '-')
            return true;
    }
    return false;
}

Test(manual, pages_have_the_options_of_help) {
    static char names[MOST][NAME];
    for (size_t t = 0; t < TOOLS; t++) {
        char *help = ask(tools[t], "--help"), *page = ask(tools[t], "--describe=man");
        const size_t count = options_of(help, names);
        cr_assert(count >= 10, "%s: %zu options", tools[t], count);
        size_t there = 0;
        for (const char *at = page; (at = strstr(at, "\n.TP\n\\fB\\-")) != NULL; at++)
            there++;
        cr_assert(eq(sz, there, count), "%s", tools[t]);
        for (size_t i = 0; i < count; i++) {
            char wanted[2 * NAME + 20];
            size_t n = (size_t)sprintf(wanted, "\\fB\\-\\-");
            for (const char *c = names[i]; *c != '\0'; c++) {
                if (*c == '-')
                    wanted[n++] = '\\';
                wanted[n++] = *c;
            }
            strcpy(wanted + n, "\\fR");
            cr_assert(strstr(page, wanted) != NULL, "%s: %s is not in the page", tools[t], names[i]);
        }
        cr_assert(strstr(page, "\n.SH EXAMPLES\n.EX\n") != NULL);
        free(help);
        free(page);
    }
}

Test(manual, pages_are_good_roff) {
    if (!installed("mandoc"))
        return;
    for (size_t t = 0; t < TOOLS; t++) {
        char command[600];
        int code;
        snprintf(command, sizeof command, "'%s/%s' --describe=man | mandoc -Tlint", getenv("FIM_TOOLS"),
                 tools[t]);
        char *complaints = output_of(command, &code);
        cr_assert(code == 0 && complaints[0] == '\0', "%s", complaints);
        free(complaints);
    }
}

Test(manual, completions_have_the_options_of_help) {
    static char names[MOST][NAME];
    for (size_t t = 0; t < TOOLS; t++) {
        char *help = ask(tools[t], "--help"), *bash = ask(tools[t], "--describe=bash");
        char *zsh = ask(tools[t], "--describe=zsh");
        const size_t count = options_of(help, names);
        char *list = strstr(bash, "compgen -W '--");
        cr_assert(list != NULL);
        list += strlen("compgen -W '");
        list[strcspn(list, "'")] = '\0';
        size_t there = 1;
        for (const char *c = list; *c != '\0'; c++)
            there += *c == ' ';
        cr_assert(eq(sz, there, count), "%s", tools[t]);
        for (size_t i = 0; i < count; i++) {
            char option[NAME + 2] = "--";
            strcat(option, names[i]);
            cr_assert(has_word(list, option), "%s: bash does not know %s", tools[t], option);
            cr_assert(has_word(zsh, option), "%s: zsh does not know %s", tools[t], option);
        }
        free(help);
        free(bash);
        free(zsh);
    }
}

// Each value that is offered is in the help, and the first tool with the option does not call it unknown.
Test(manual, values_are_those_of_the_tools) {
    static char seen[1 << 12]; // "--activation relu" and so on, each on a line
    size_t values = 0;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    for (size_t t = 0; t < TOOLS; t++) {
        char *help = ask(tools[t], "--help"), *bash = ask(tools[t], "--describe=bash"), *at = bash;
        while ((at = strstr(at, "    --")) != NULL) { // "    --format)", then its branch
            char option[NAME];
            cr_assert(eq(int, sscanf(at, "    %39[^)|\n]", option), 1));
            char *words = strstr(at, "compgen -W '"), *next = strstr(at + 6, ";;");
            at += 6;
            if (words == NULL || words > next)
                continue;
            words += strlen("compgen -W '");
            for (char *word = words; *word != '\'';) {
                const size_t length = strcspn(word, " ':");
                char value[NAME], pair[2 * NAME + 4], command[700];
                snprintf(value, sizeof value, "%.*s", (int)length, word);
                const bool prefix = word[length] == ':';
                word += length + strspn(word + length, " :");
                values++;
                cr_assert(has_word(help, value), "%s: %s %s is not in the help", tools[t], option, value);
                snprintf(pair, sizeof pair, "%s %s\n", option, value);
                if (strstr(seen, pair) != NULL)
                    continue;
                cr_assert(strlen(seen) + strlen(pair) < sizeof seen);
                strcat(seen, pair);
                snprintf(command, sizeof command, "'%s/%s' %s %s%s 2>&1", getenv("FIM_TOOLS"), tools[t],
                         option, value, prefix ? ":0.5" : "");
                char *message = output_of(command, NULL);
                cr_assert(strstr(message, "unknown") == NULL && strstr(message, option) == NULL, "%s",
                          message);
                free(message);
            }
        }
        free(help);
        free(bash);
    }
    cr_assert(values > 60, "%zu values", values);
}

// The other way: what a tool says it knows, when it is given another value, is offered.
Test(manual, values_that_a_tool_knows_are_offered) {
    size_t options = 0, values = 0;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    for (size_t t = 0; t < TOOLS; t++) {
        char *bash = ask(tools[t], "--describe=bash"), *at = bash;
        while ((at = strstr(at, "    --")) != NULL) {
            char option[NAME], command[700];
            cr_assert(eq(int, sscanf(at, "    %39[^)|\n]", option), 1));
            char *words = strstr(at, "compgen -W '"), *next = strstr(at + 6, ";;");
            at += 6;
            if (words == NULL || words > next)
                continue;
            words = strndup(words, strcspn(words + strlen("compgen -W '"), "'") + strlen("compgen -W '"));
            snprintf(command, sizeof command, "'%s/%s' %s no.value 2>&1", getenv("FIM_TOOLS"), tools[t],
                     option);
            char *message = output_of(command, NULL), *said = strstr(message, "'no.value'");
            char *end =
                said != NULL ? strstr(said, " (see ") : NULL; // without: it missed another option before
            if (end != NULL) {
                static const char *const around[] = {"is", "neither", "nor", "none", "of", "known", "or"};
                *end = '\0';
                options++;
                for (char *word = strtok(said + strlen("'no.value'"), " ,()"); word != NULL;
                     word = strtok(NULL, " ,()")) {
                    bool value = true;
                    for (size_t k = 0; k < sizeof around / sizeof *around; k++)
                        value &= strncmp(word, around[k], strlen(around[k])) != 0 ||
                                 strcspn(word, ":") != strlen(around[k]);
                    word[strcspn(word, ":[")] = '\0';
                    if (!value || word[0] == '\0')
                        continue;
                    values++;
                    cr_assert(has_word(words, word), "%s %s: %s is not offered: %s", tools[t], option, word,
                              words);
                }
            }
            free(message);
            free(words);
        }
        free(bash);
    }
    cr_assert(options >= 8 && values >= 24, "%zu options, %zu values", options, values);
}

// Completes `words` at the last of them with bash's own machinery.
static char *complete(const char *tool, const char *words, size_t last) {
    char command[1000], function[40];
    snprintf(function, sizeof function, "_%s", tool);
    for (char *c = function; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    snprintf(
        command, sizeof command,
        "bash -c 'compopt() { :; }; source <(\"%s/%s\" --describe=bash); COMP_WORDS=(%s); COMP_CWORD=%zu; "
        "%s; echo \"${COMPREPLY[@]}\"'",
        getenv("FIM_TOOLS"), tool, words, last, function);
    char *text = output_of(command, NULL);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

Test(manual, bash_completes) {
    static const struct {
        const char *tool, *words;
        size_t last;
        const char *expected;
    } cases[] = {
        {"fim-plot", "fim-plot --si", 1, "--size"},
        {"fim-plot", "fim-plot --size t", 2, "two"},
        {"fim-plot", "fim-plot --size = s", 3, "screen"},
        {"fim-plot", "fim-plot --size =", 2, "one two screen"},
        {"fim-analyze", "fim-analyze x.h5 -M kfac,kpsvd,la", 3, "kfac,kpsvd,lanczos"},
        {"fim-analyze", "fim-analyze --format c", 2, "csv"},
        {"fim-train", "fim-train --optimizer kfac-", 2, "kfac-corrected"},
        {"fim-train", "fim-train --format t", 2, "text"},
        {"fim-train", "fim-train --epochs 1", 2, ""},
        {"fim-info", "fim-info /etc/host", 1, NULL},
    };
    if (!installed("bash"))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = complete(cases[i].tool, cases[i].words, cases[i].last);
        if (cases[i].expected != NULL)
            cr_assert(strcmp(got, cases[i].expected) == 0, "%s: '%s'", cases[i].words, got);
        else
            cr_assert(has_word(got, "/etc/hosts"), "%s", got);
        free(got);
    }
}

Test(manual, scripts_parse) {
    static const char *const shells[] = {"bash", "zsh"};
    for (size_t s = 0; s < 2; s++) {
        if (!installed(shells[s]))
            continue;
        for (size_t t = 0; t < TOOLS; t++) {
            char command[300];
            snprintf(command, sizeof command, "'%s/%s' --describe=%s | %s -n /dev/stdin 2>&1",
                     getenv("FIM_TOOLS"), tools[t], shells[s], shells[s]);
            int code;
            char *complaints = output_of(command, &code);
            cr_assert(code == 0 && complaints[0] == '\0', "%s: %s", command, complaints);
            free(complaints);
        }
    }
}
