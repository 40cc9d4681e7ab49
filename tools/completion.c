// Completions for bash and zsh: the options of a tool, and the words that an option's value may be.
#include <ctype.h>
#include <string.h>

#include "fim/run.h"
#include "manual.h"

// ---- Values ----

// What the value of an option is made of. The registries fill in their own; a word's presence in --help is
// tested.
typedef struct values {
    const char *option, *tool; // NULL: of every tool
    const char *words;         // NULL: from a registry
    bool list;                 // several, parted by commas
} values;

static const values known[] = {
    {"methods", NULL, NULL, true},
    {"metrics", NULL, NULL, true},
    {"activation", NULL, NULL, false},
    {"optimizer", NULL, NULL, false},
    {"compare", NULL, NULL, true},
    {"likelihood", NULL, "categorical bernoulli gaussian", false},
    {"fisher", NULL, "exact mc empirical", false},
    {"spectra", NULL, "auto full leading", false},
    {"format", "fim-analyze", "table json csv", false},
    {"format", "fim-train", "text json", false},
    {"format", "fim-verdict", "table csv", false},
    {"net", NULL, "curves mnist faces", false},
    {"init", NULL, "xavier torch", false},
    {"schedule", NULL, "constant cosine exponential:", false},
    {"reduction", NULL, "mean sum", false},
    {"precision", NULL, "float32 float64", false},
    {"damping-form", NULL, "factor factor-pi each paper exact", false},
    {"indefinite", NULL, "absolute clamp fallback", false},
    {"with", NULL, "factors samples", true},
    {"to", NULL, "native safetensors npz torch", false},
    {"size", NULL, "one two screen", false},
};

static const values *find(const manual *m, const char *option) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].option, option) == 0 &&
            (known[i].tool == NULL || strcmp(known[i].tool, m->tool) == 0))
            return &known[i];
    return NULL;
}

static void put_words(FILE *out, const values *v) {
    static const char *const activations[] = {
#define FIM_ACTIVATION(identifier, name, value, slope) name,
#include "fim/activations.def"
#undef FIM_ACTIVATION
    };
    size_t count;
    if (v->words != NULL) {
        fputs(v->words, out);
    } else if (strcmp(v->option, "methods") == 0) {
        const fim_approx *list = fim_approx_list(&count);
        for (size_t i = 0; i < count; i++)
            fprintf(out, "%s ", list[i].name);
        fputs("all", out);
    } else if (strcmp(v->option, "metrics") == 0) {
        const fim_metric *list = fim_metric_list(&count);
        for (size_t i = 0; i < count; i++)
            fprintf(out, "%s ", list[i].name);
        fputs("all", out);
    } else if (strcmp(v->option, "activation") == 0) {
        for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
            fprintf(out, "%s%s", i > 0 ? " " : "", activations[i]);
    } else { // "sgd, adam, ..."
        for (const char *c = fim_train_optimizers(); *c != '\0'; c++)
            if (*c != ',')
                putc(*c, out);
    }
}

static void put_function(FILE *out, const char *tool) {
    putc('_', out);
    for (const char *c = tool; *c != '\0'; c++)
        putc(*c == '-' ? '_' : *c, out);
}

static bool names_file(const struct argp_option *o) {
    return strcmp(o->arg, "FILE") == 0 || strcmp(o->arg, "SPEC") == 0;
}

// ---- bash ----

// One branch of the case over the option before the cursor.
static void put_bash_option(const manual *m, const struct argp_option *o, FILE *out) {
    const values *v = find(m, o->name);
    if (o->arg == NULL)
        return;
    fprintf(out, "    --%s", o->name);
    if (isprint(o->key))
        fprintf(out, "|-%c", o->key);
    fputs(")\n", out);
    if (v != NULL && v->list) {
        fputs("        [[ $cur == *,* ]] && before=${cur%,*},\n"
              "        mapfile -t COMPREPLY < <(compgen -P \"$before\" -W '",
              out);
        put_words(out, v);
        fputs("' -- \"${cur##*,}\")\n        compopt -o nospace ;;\n", out);
    } else if (v != NULL) {
        fputs("        mapfile -t COMPREPLY < <(compgen -W '", out);
        put_words(out, v);
        fputs("' -- \"$cur\") ;;\n", out);
    } else if (names_file(o)) {
        fputs("        compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n",
              out);
    } else if (strcmp(o->arg, "DIR") == 0) {
        fputs("        compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n",
              out);
    } else {
        fputs("        ;; # a value that only the user knows\n", out);
    }
}

fim_status completion_bash(const manual *m, FILE *out) {
    fprintf(out, "# bash completion for %s\n", m->tool);
    put_function(out, m->tool);
    fputs("() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} before=\n"
          "    COMPREPLY=()\n"
          "    # --option=value comes as three words\n"
          "    if [[ $cur == = ]]; then\n        cur=\n"
          "    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
          "    case $prev in\n",
          out);
    for (size_t i = 0; i < m->count; i++)
        if (m->entries[i].heading == NULL)
            put_bash_option(m, m->entries[i].option, out);
    fputs("    *)\n"
          "        if [[ $cur == -* ]]; then\n"
          "            mapfile -t COMPREPLY < <(compgen -W '",
          out);
    const char *space = "";
    for (size_t i = 0; i < m->count; i++)
        if (m->entries[i].heading == NULL) {
            fprintf(out, "%s--%s", space, m->entries[i].option->name);
            space = " ";
        }
    fputs("' -- \"$cur\")\n"
          "        else\n"
          "            compopt -o filenames\n"
          "            mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "        fi ;;\n"
          "    esac\n}\n",
          out);
    fputs("complete -F ", out);
    put_function(out, m->tool);
    fprintf(out, " %s\n", m->tool);
    return FIM_OK;
}

// ---- zsh ----

// Between single quotes the option's text up to where its details begin; where it only lists values, its
// name.
static void put_zsh_text(FILE *out, const manual_entry *e) {
    const char *s = islower((unsigned char)e->text[0]) ? e->option->name : e->text;
    size_t n = 0;
    while (s[n] != '\0' && strchr(";(:", s[n]) == NULL)
        n++;
    while (n > 0 && s[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\'')
            fputs("'\\''", out);
        else
            fprintf(out, "%s%c", strchr("[]\\", s[i]) != NULL ? "\\" : "", s[i]);
}

static void put_zsh_action(const manual *m, const struct argp_option *o, FILE *out) {
    const values *v = find(m, o->name);
    fprintf(out, ":%s:", o->arg);
    if (v != NULL) {
        fputs(v->list ? "_values -s , value " : "(", out);
        put_words(out, v);
        fputs(v->list ? "" : ")", out);
    } else if (names_file(o)) {
        fputs("_files", out);
    } else if (strcmp(o->arg, "DIR") == 0) {
        fputs("_files -/", out);
    }
}

fim_status completion_zsh(const manual *m, FILE *out) {
    fprintf(out, "#compdef %s\n_arguments -s -S", m->tool);
    for (size_t i = 0; i < m->count; i++) {
        const struct argp_option *o = m->entries[i].option;
        if (m->entries[i].heading != NULL)
            continue;
        fputs(" \\\n    ", out);
        if (isprint(o->key))
            fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'[", o->key, o->name, o->key, o->arg != NULL ? "+" : "",
                    o->name, o->arg != NULL ? "=" : "");
        else
            fprintf(out, "'--%s%s[", o->name, o->arg != NULL ? "=" : "");
        put_zsh_text(out, &m->entries[i]);
        putc(']', out);
        if (o->arg != NULL)
            put_zsh_action(m, o, out);
        putc('\'', out);
    }
    fputs(" \\\n    '*:file:_files'\n", out);
    return FIM_OK;
}
