// fim-verdict: the page of a reproduction, published numbers beside ours with verdicts.
#define _GNU_SOURCE // asprintf
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "fim/io.h"
#include "fim/report.h"

enum { OPTION_PUBLISHED = 0x200, OPTION_ABOUT, OPTION_FORMAT };
enum { REPORTS = 5, MOST_PUBLISHED = 8 };

static const char *const networks[] = {"curves", "mnist", "faces"};
enum { NETWORKS = sizeof networks / sizeof *networks };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Input:", 1},
    {"published", OPTION_PUBLISHED, "FILE", 0,
     "CSV of published numbers, network,quantity,method,at,value or network,optimizer,epoch,loss_per_output; "
     "may be "
     "given several times",
     1},
    {NULL, 0, NULL, 0, "Output:", 2},
    {"output", 'o', "FILE", 0, "The page, figures inside; their files go to the folder figures beside it", 2},
    {"about", OPTION_ABOUT, "TEXT", 0, "Stands at the head of the page, e.g. the commit", 2},
    {"format", OPTION_FORMAT, "F", 0, "Of the rows on stdout: table or csv (default: table)", 2},
    {0}};

static const char doc[] =
    "Set a reproduction of arXiv 2201.10285 beside what is published: each row agrees or differs by a stated "
    "tolerance, with the reason from measured numbers. FOLDER is what tools/reproduce.sh makes: for each of "
    "curves, "
    "mnist and faces drawn.h5, exact.h5, layers.h5, krylov.h5, steps.h5 (reports of fim-analyze) and "
    "comparison/ (of "
    "fim-train --compare); what is missing is left out."
    "\vExample:\n"
    "  tools/reproduce.sh curves --quick\n"
    "  fim-verdict reproduction --published notebooks/published-losses.csv \\\n"
    "              --published notebooks/published-results.csv -o page.html";

typedef struct settings {
    const char *folder, *output, *about, *published[MOST_PUBLISHED];
    size_t n_published;
    bool csv;
} settings;

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case OPTION_PUBLISHED:
        if (s->n_published == MOST_PUBLISHED)
            return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "--published: more than %d files", MOST_PUBLISHED));
        s->published[s->n_published++] = argument;
        return 0;
    case OPTION_ABOUT:
        s->about = argument;
        return 0;
    case OPTION_FORMAT:
        s->csv = strcmp(argument, "csv") == 0;
        return s->csv || strcmp(argument, "table") == 0
                   ? 0
                   : cli_check(
                         FIM_FAIL(FIM_ERR_ARGUMENT, "--format: '%s' is neither table nor csv", argument));
    case 'o':
        s->output = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (s->folder != NULL)
            return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "'%s': one FOLDER is enough", argument));
        s->folder = argument;
        return 0;
    case ARGP_KEY_END:
        if (s->folder == NULL || s->n_published == 0)
            return cli_check(
                FIM_FAIL(FIM_ERR_ARGUMENT, "%s is missing",
                         s->folder == NULL ? "the FOLDER of a reproduction" : "--published FILE"));
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// ---- Reading ----

typedef struct network {
    fim_record reports[REPORTS], *logs;
    bool there[REPORTS];
    size_t n_logs;
} network;

static void clear(network *n) {
    for (size_t i = 0; i < REPORTS; i++)
        if (n->there[i])
            fim_record_clear(&n->reports[i]);
    for (size_t k = 0; k < n->n_logs; k++)
        fim_record_clear(&n->logs[k]);
    free(n->logs);
}

static fim_status read_reports(const char *folder, const char *net, size_t budget, network *n) {
    static const char *const names[REPORTS] = {"drawn", "exact", "layers", "krylov", "steps"};
    fim_status status = FIM_OK;
    for (size_t i = 0; i < REPORTS && status == FIM_OK; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s/%s.h5", folder, net, names[i]) < 0)
            return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", folder);
        if (access(path, F_OK) == 0) {
            status = fim_record_read(path, "fim-report", budget, &n->reports[i]);
            n->there[i] = status == FIM_OK;
        }
        free(path);
    }
    return status;
}

static fim_status read_logs(const char *folder, const char *net, size_t budget, network *n) {
    glob_t found = {0};
    char *pattern = NULL;
    fim_status status = FIM_OK;
    if (asprintf(&pattern, "%s/%s/comparison/*/seed-*/run.h5", folder, net) < 0)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        FIM_TRY(fim_alloc(found.gl_pathc, sizeof *n->logs, "run logs", &n->logs));
        for (size_t k = 0; k < found.gl_pathc; k++) {
            FIM_TRY(fim_record_read(found.gl_pathv[k], "fim-run", budget, &n->logs[k]));
            n->n_logs++;
            FIM_TRY(fim_record_set_text(&n->logs[k], "file", found.gl_pathv[k]));
        }
    }
out:
    globfree(&found);
    free(pattern);
    return status;
}

// The networks that have anything.
static fim_status read_all(const char *folder, size_t budget, network all[NETWORKS], fim_reproduction *nets,
                           size_t *count) {
    fim_status status = FIM_OK;
    for (size_t k = 0; k < NETWORKS; k++) {
        network *n = &all[k];
        FIM_TRY(read_reports(folder, networks[k], budget, n));
        FIM_TRY(read_logs(folder, networks[k], budget, n));
        bool any = n->n_logs > 0;
        const fim_record *report[REPORTS];
        for (size_t i = 0; i < REPORTS; i++) {
            report[i] = n->there[i] ? &n->reports[i] : NULL;
            any = any || n->there[i];
        }
        if (any)
            nets[(*count)++] = (fim_reproduction){networks[k], report[0], report[1], report[2],
                                                  report[3],   report[4], n->logs,   n->n_logs};
    }
    if (*count == 0)
        FIM_TRY(FIM_FAIL(
            FIM_ERR_FORMAT,
            "%s: has none of curves/, mnist/ and faces/ with reports in them; tools/reproduce.sh makes "
            "them",
            folder));
out:
    return status;
}

// ---- The work ----

static fim_status write_page(const fim_cli *cli, const settings *s, const fim_reproduction *nets,
                             size_t count, const fim_paper *paper) {
    const char *slash = strrchr(s->output, '/');
    char *figures = NULL, *place = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_file_begin(s->output, cli->force, &place)); // what cannot be written is told before the work
    fim_file_abandon(place);
    if (asprintf(&figures, "%.*sfigures", slash != NULL ? (int)(slash + 1 - s->output) : 0, s->output) < 0) {
        figures = NULL;
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the name of a folder"));
    }
    FIM_TRY(fim_reproduction_page(nets, count, paper, s->about, figures, s->output, &cli->monitor));
out:
    free(figures);
    return status;
}

static fim_status work(fim_cli *cli, const settings *s) {
    network all[NETWORKS] = {0};
    fim_reproduction nets[NETWORKS];
    fim_paper paper = {0};
    size_t count = 0;
    char *text = NULL;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < s->n_published; i++)
        FIM_TRY(fim_paper_read(s->published[i], &paper));
    FIM_TRY(read_all(s->folder, cli->memory, all, nets, &count));
    if (s->output != NULL)
        FIM_TRY(write_page(cli, s, nets, count, &paper));
    FIM_TRY(s->csv ? fim_reproduction_csv(nets, count, &paper, &text)
                   : fim_reproduction_table(nets, count, &paper, &text));
    FIM_TRY(cli_print(cli, text));
out:
    free(text);
    fim_paper_clear(&paper);
    for (size_t k = 0; k < NETWORKS; k++)
        clear(&all[k]);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp argp = {.options = options, .parser = parse, .args_doc = "FOLDER", .doc = doc};
    fim_cli cli;
    settings s = {0};
    fim_status status = cli_start(&cli, "fim-verdict", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s);
    return cli_finish(&cli, status);
}
