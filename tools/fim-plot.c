// fim-plot: figures and a page from reports and run logs.
#define _GNU_SOURCE // asprintf
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "fim/io.h"
#include "fim/report.h"

enum { OPTION_TITLE = 0x200, OPTION_REFERENCE, OPTION_PUBLISHED, OPTION_NETWORK, OPTION_SIZE, OPTION_STYLE };
enum { MOST_DEPTH = 3 }; // folders below a DIR

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Output:", 2},
    {"output", 'o', "DIR", 0, "Folder for the figures and index.html (default: figures)", 2},
    {NULL, 0, NULL, 0, "Comparisons of training runs:", 3},
    {"reference", OPTION_REFERENCE, "NAME", 0,
     "Count epochs and seconds until this optimizer's last loss is reached (default: kfac)", 3},
    {"published", OPTION_PUBLISHED, "FILE", 0,
     "Draw the losses of a CSV file (network,optimizer,epoch,loss_per_output) as open points", 3},
    {"paper", OPTION_NETWORK, "NET", 0, "The network in it (default: that of the runs)", 3},
    {"title", OPTION_TITLE, "TEXT", 0, "Heads the page (default: the first FILE or DIR)", 2},
    {"size", OPTION_SIZE, "SIZE", 0,
     "For a page in one column (one: 85 mm wide, 7 point letters) or two (two: 175 mm, 8 points), or for a "
     "screen (default: screen)",
     2},
    {"style", OPTION_STYLE, "FILE", 0,
     "Commands of gnuplot for all figures, to change fonts, colours and lines (see below)", 2},
    {0}};

static const char doc[] =
    "Draw reports of fim-analyze and run logs of fim-train: FILEs, or all that are in a DIR and up to three "
    "folders below it. Run logs with the same settings and several seeds become one line, and several logs a "
    "table."
    "\vEach figure comes as SVG, PDF and PNG beside its data (.dat) and its gnuplot script (.gp). What all "
    "share is in style.gnuplot, with the FILE of --style at its end. To redraw what you changed, run gnuplot "
    "on the script in the folder. A FILE may hold, for example:\n"
    "  font_name = 'Latin Modern Roman'; font_size = 9; titles = 0\n"
    "  set style line 2 lc rgb 'black' lw 2 dt 1   # kfac, as style.gnuplot tells\n\n"
    "Example:\n"
    "  fim-analyze run/checkpoint-20.h5 --data curves:20000 -o run/report.h5\n"
    "  fim-plot run -o figures\n"
    "  fim-plot run/report.h5 --size one --style thesis.gnuplot -o figures\n"
    "  fim-plot comparison --published notebooks/published-losses.csv -o figures";

typedef struct record_list {
    size_t count;
    fim_record *items;
} record_list;

typedef struct settings {
    const char *output, *title, *reference, *published, *network, *style;
    fim_plot_size size;
    char **inputs; // of argv
    size_t n_inputs;
    record_list reports, runs;
} settings;

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case 'o':
        s->output = argument;
        return 0;
    case OPTION_TITLE:
        s->title = argument;
        return 0;
    case OPTION_REFERENCE:
        s->reference = argument;
        return 0;
    case OPTION_PUBLISHED:
        s->published = argument;
        return 0;
    case OPTION_NETWORK:
        s->network = argument;
        return 0;
    case OPTION_SIZE:
        return cli_check(fim_plot_size_parse(argument, &s->size));
    case OPTION_STYLE:
        s->style = argument;
        return 0;
    case ARGP_KEY_ARGS: // the rest of argv, permuted to its end
        s->inputs = state->argv + state->next;
        s->n_inputs = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_NO_ARGS:
        return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "no FILE or DIR to draw"));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// ---- Reading ----

static void clear_list(record_list *list) {
    for (size_t i = 0; i < list->count; i++)
        fim_record_clear(&list->items[i]);
    free(list->items);
}

static fim_status read_record(const char *path, const char *format, size_t budget, record_list *list) {
    fim_status status = FIM_OK;
    fim_record record;
    fim_record_init(&record, format);
    fim_record *wider = realloc(list->items, (list->count + 1) * sizeof *wider);
    if (wider == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a record for %s", path);
    list->items = wider;
    FIM_TRY(fim_record_read(path, format, budget, &record));
    FIM_TRY(fim_record_set_text(&record, "file", path));
    list->items[list->count++] = record;
    return FIM_OK;
out:
    fim_record_clear(&record);
    return status;
}

// Adds a report or a run log; whatever else, `sure` decides whether it is an error.
static fim_status read_file(settings *s, const char *path, bool sure, size_t budget) {
    fim_file_kind kind;
    fim_status status = fim_file_sniff(path, &kind);
    if (status != FIM_OK)
        return sure ? status : FIM_OK;
    if (kind == FIM_FILE_REPORT)
        return read_record(path, "fim-report", budget, &s->reports);
    if (kind == FIM_FILE_RUN)
        return read_record(path, "fim-run", budget, &s->runs);
    return sure ? FIM_FAIL(FIM_ERR_FORMAT,
                           "%s: is neither a report of fim-analyze nor a run log of fim-train", path)
                : FIM_OK;
}

static bool is_hdf5_name(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

// All below `folder`; links are not followed.
static fim_status read_below(settings *s, const char *folder, size_t depth, size_t budget) {
    fim_status status = FIM_OK;
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < count && status == FIM_OK; i++) {
        struct stat info;
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
            status = FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", folder);
            break;
        }
        if (lstat(path, &info) != 0)
            info.st_mode = 0; // it has gone meanwhile
        if (S_ISDIR(info.st_mode) && depth < MOST_DEPTH)
            status = read_below(s, path, depth + 1, budget);
        else if (S_ISREG(info.st_mode) && is_hdf5_name(path))
            status = read_file(s, path, false, budget);
        free(path);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return status;
}

static fim_status read_folder(settings *s, const char *folder, size_t budget) {
    const size_t before = s->reports.count + s->runs.count;
    fim_status status = read_below(s, folder, 0, budget);
    if (status == FIM_OK && s->reports.count + s->runs.count == before)
        status = FIM_FAIL(FIM_ERR_FORMAT,
                          "%s: holds no report of fim-analyze and no run log of fim-train (*.h5)", folder);
    return status;
}

// The published losses of the runs' network, when they are asked for.
static fim_status read_published(const settings *s, fim_published *out) {
    const char *network = s->network;
    if (s->published == NULL)
        return network == NULL ? FIM_OK : FIM_FAIL(FIM_ERR_ARGUMENT, "--paper without --published FILE");
    if (s->runs.count == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--published: there is no run log to draw it beside");
    if (network == NULL)
        network = fim_record_text(&s->runs.items[0], "net");
    for (size_t i = 0; s->network == NULL && network != NULL && i < s->runs.count; i++) {
        const char *other = fim_record_text(&s->runs.items[i], "net");
        if (other == NULL || strcmp(other, network) != 0)
            network = NULL;
    }
    if (network == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "--published: the runs are not all of one network: --paper NET names it");
    return fim_published_read(s->published, network, out);
}

// ---- Drawing ----

static fim_status check_output(const fim_cli *cli, const char *folder) {
    fim_status status = FIM_OK;
    char *page = NULL;
    if (asprintf(&page, "%s/index.html", folder) < 0)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", folder);
    if (!cli->force && access(page, F_OK) == 0)
        status = FIM_FAIL(FIM_ERR_IO, "%s: exists already; --force overwrites it", page);
    free(page);
    return status;
}

static fim_status work(fim_cli *cli, settings *s) {
    fim_status status = FIM_OK;
    char *told = NULL;
    fim_published published = {0};
    FIM_TRY(check_output(cli, s->output));
    for (size_t i = 0; i < s->n_inputs; i++) {
        struct stat info;
        bool folder = stat(s->inputs[i], &info) == 0 && S_ISDIR(info.st_mode);
        if (folder)
            FIM_TRY(read_folder(s, s->inputs[i], cli->memory));
        else
            FIM_TRY(read_file(s, s->inputs[i], true, cli->memory));
    }
    FIM_TRY(read_published(s, &published));
    const fim_plot_options plot = {.title = s->title != NULL ? s->title : s->inputs[0],
                                   .reference = s->reference,
                                   .published = &published,
                                   .size = s->size,
                                   .style = s->style};
    FIM_TRY(fim_report_plot_all(s->reports.items, s->reports.count, s->runs.items, s->runs.count, &plot,
                                s->output, &cli->monitor));
    if (asprintf(&told, "%s/index.html\n", s->output) < 0) {
        told = NULL;
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", s->output));
    }
    FIM_TRY(cli_print(cli, told));
out:
    free(told);
    free(published.points);
    clear_list(&s->reports);
    clear_list(&s->runs);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "FILE|DIR...", .doc = doc};
    fim_cli cli;
    settings s = {.output = "figures"};
    fim_status status = cli_start(&cli, "fim-plot", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s);
    return cli_finish(&cli, status);
}
