// tools/manual.h - a tool's manual page and completions for shells, made from the tables that --help shows.
#ifndef FIM_MANUAL_H
#define FIM_MANUAL_H

#include <argp.h>
#include <stdio.h>

#include "fim/base.h"

// One line of a table: a heading, or an option with its text.
typedef struct manual_entry {
    const struct argp_option *option; // NULL for a heading
    const char *heading;              // NULL for an option
    char *text;                       // of the option, as the tool's filter fills it
    int group;
} manual_entry;

typedef struct manual {
    const char *tool;
    const struct argp *own;
    size_t count;
    manual_entry *entries; // in the order of groups
} manual;

// What --describe=KIND prints: man (roff), bash or zsh. FIM_ERR_UNKNOWN lists them.
fim_status manual_print(const char *kind, const char *tool, const struct argp *own, const struct argp *common,
                        FILE *stream);

// ---- completion.c ----

fim_status completion_bash(const manual *m, FILE *stream);
fim_status completion_zsh(const manual *m, FILE *stream);

#endif
