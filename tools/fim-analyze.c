// fim-analyze: how far every approximation is from the exact Fisher block, layer by layer.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fim/linalg.h"
#include "fim/report.h"
#include "network.h"
#include "source.h"

enum {
    OPTION_METRICS = 0x200,
    OPTION_FORMAT,
    OPTION_FACTORS,
    OPTION_TOLERANCE,
    OPTION_SPECTRA,
    OPTION_SAMPLING,
    OPTION_REPEAT,
    OPTION_DAMPING,
    OPTION_PLAN,
    OPTION_APPEND,
    OPTION_KRYLOV
};

// Of all dense eigensolvers of a run, by default: about a minute on two cores.
#define SPECTRA_FLOPS 4e12

enum { MOST_DAMPINGS = 200 };

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is compared:", 2},
    {"methods", 'M', "LIST", 0, "", 2}, // texts from the registries, by help_filter
    {"metrics", OPTION_METRICS, "LIST", 0, "", 2},
    {"tolerance", OPTION_TOLERANCE, "T", 0, "Relative residual of the iterative methods (default: 1e-10)", 2},
    {"krylov", OPTION_KRYLOV, "K", 0,
     "The iterative methods stop after K steps of Golub-Kahan-Lanczos, converged or not (default: when "
     "converged)",
     2},
    {"spectra", OPTION_SPECTRA, "S", 0,
     "full: all eigenvalues where memory allows; leading: the 50 largest where structure does not give all, "
     "and "
     "bounds from the exact norms; auto: full where the dense eigensolvers of the run take 4e12 flops at "
     "most "
     "(default: auto)",
     2},
    {"sampling-error", OPTION_SAMPLING, NULL, 0,
     "Also how far an mc or empirical Fisher is from the exact one at the same samples, and two halves of "
     "the "
     "samples from each other",
     2},
    {"repeat", OPTION_REPEAT, "K", 0,
     "Repeat with K seeds, from --seed on, for the draws of mc and the subset of the data, and show means "
     "with standard errors (default: 1)",
     2},
    {"damping", OPTION_DAMPING, "SWEEP", 0,
     "Also how good a step each approximation makes: cosine and length of its damped natural gradient "
     "against "
     "the exact one, decrease of the quadratic model, Stein's divergence. SWEEP is one damping, "
     "LOW:HIGH:COUNT evenly in the logarithm, both in the unit of F, or auto: 7 from 1e-3 to 1e3 times the "
     "mean "
     "eigenvalue tr F / D of the layer",
     2},
    {"plan", OPTION_PLAN, NULL, 0,
     "Measure nothing but the machine, and print per layer and quantity the route, flops, bytes and "
     "estimated "
     "seconds",
     2},
    {NULL, 0, NULL, 0, "Output:", 3},
    {"output", 'o', "FILE", 0, "Write the report to this HDF5 file, for fim-plot", 3},
    {"append", OPTION_APPEND, NULL, 0,
     "Add to the report FILE, behind what it holds, instead of writing a new one; runs that append to one "
     "FILE at the same time take turns",
     3},
    {"format", OPTION_FORMAT, "F", 0, "Of the result on stdout: table, json or csv (default: table)", 3},
    {"factors", OPTION_FACTORS, NULL, 0, "Keep the factors of every approximation in the report", 3},
    {0}};

static const char doc[] =
    "Measure how far approximations of the Fisher matrix are from the exact block of every layer. FILE is a "
    "checkpoint, "
    "the blocks of fim-dump, or a capture made by another program (see README.md)."
    "\vThe loss is -log p(y|x) of one sample summed over the outputs; F is its Fisher block of [weight "
    "bias], F ~ A x G."
    "\n\nCheckpoints that are read:"
#define FIM_FORMAT(name, about) "\n  " about
#include "fim/formats.def"
#undef FIM_FORMAT
    "\n\nExamples:\n"
    "  fim-analyze run/checkpoint-20.h5 --data curves:20000 -o report.h5\n"
    "  fim-analyze run/ --data curves:20000 --layers 4 --fisher mc:1 -o course.h5   (all checkpoints of a "
    "run)\n"
    "  fim-analyze net.h5 --data mnist.gz --fisher mc:1 --methods kfac,kpsvd:3\n"
    "  fim-analyze blocks.h5 --format json";

typedef struct settings {
    fim_source source;
    fim_checkpoint_options network;
    const char *methods, *metrics, *format, *output;
    bool factors, sampling_error, plan, append;
    size_t repeats, krylov_steps;
    double tolerance;
    double damping[MOST_DAMPINGS];
    size_t n_damping;
    bool damping_relative;
    fim_spectra spectra;
    char **files, **listed; // listed: the array of `files`, when it is not argv's
    size_t n_files;
} settings;

// The lists of methods and metrics, as the registries have them.
static char *help_filter(int key, const char *text, void *input) {
    (void)input;
    char *filled = NULL;
    size_t size = 0, count;
    FILE *stream = key == 'M' || key == OPTION_METRICS ? open_memstream(&filled, &size) : NULL;
    if (stream == NULL)
        return (char *)(uintptr_t)text; // argp's contract: the same pointer says that nothing changed
    if (key == 'M') {
        const fim_approx *list = fim_approx_list(&count);
        for (size_t i = 0; i < count; i++)
            fprintf(stream, "%s%s, ", list[i].name, list[i].takes_rank ? "[:R]" : "");
        fputs("or all (default: all)", stream);
    } else {
        const fim_metric *list = fim_metric_list(&count);
        for (size_t i = 0; i < count; i++)
            fprintf(stream, "%s%s, ", list[i].name, list[i].spectral ? "*" : "");
        fputs("or all; those with * need spectra, see --spectra (default: all)", stream);
    }
    return fclose(stream) == 0 ? filled : NULL;
}

static fim_status check_complete(const settings *s) {
    if (s->n_files == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a checkpoint or a file of blocks is missing");
    if (strcmp(s->format, "table") != 0 && strcmp(s->format, "json") != 0 && strcmp(s->format, "csv") != 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--format: '%s' is none of table, json, csv", s->format);
    if (s->plan && s->output != NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--plan measures nothing that could be written with -o FILE");
    if (s->append && s->output == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--append adds to a report: name it with -o FILE");
    if (s->factors && s->output == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--factors keeps the factors in the report: name it with -o FILE");
    return FIM_OK;
}

// "1e-6:1:13", "0.01" or "auto".
static fim_status parse_damping(const char *text, settings *s) {
    double low = 1e-3, high = 1e3;
    size_t count = 7;
    char item[3][32];
    fim_status status = FIM_OK;
    s->damping_relative = strcmp(text, "auto") == 0;
    if (!s->damping_relative) {
        size_t parts = 0;
        for (const char *cursor = text;
             fim_list_next(&cursor, ':', item[parts < 3 ? parts : 2], sizeof *item);)
            parts++;
        if (parts != 1 && parts != 3)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "--damping: '%s' is none of auto, a number, LOW:HIGH:COUNT",
                            text);
        FIM_TRY(fim_parse_double(item[0], "--damping", 1e-300, 1e300, &low));
        high = low;
        count = 1;
        if (parts == 3) {
            FIM_TRY(fim_parse_double(item[1], "--damping", 1e-300, 1e300, &high));
            FIM_TRY(fim_parse_size(item[2], "--damping", 2, MOST_DAMPINGS, &count));
            if (!(high > low))
                return FIM_FAIL(FIM_ERR_ARGUMENT, "--damping: '%s' does not rise from LOW to HIGH", text);
        }
    }
    for (size_t i = 0; i < count; i++)
        s->damping[i] = count > 1 ? low * pow(high / low, (double)i / (double)(count - 1)) : low;
    s->n_damping = count;
out:
    return status;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->source;
        state->child_inputs[1] = &s->network;
        return 0;
    case 'M':
        s->methods = argument;
        return 0;
    case OPTION_METRICS:
        s->metrics = argument;
        return 0;
    case OPTION_FORMAT:
        s->format = argument;
        return 0;
    case OPTION_FACTORS:
        s->factors = true;
        return 0;
    case OPTION_APPEND:
        s->append = true;
        return 0;
    case OPTION_SAMPLING:
        s->sampling_error = true;
        return 0;
    case OPTION_PLAN:
        s->plan = true;
        return 0;
    case OPTION_REPEAT:
        return cli_check(fim_parse_size(argument, "--repeat", 1, 100000, &s->repeats));
    case OPTION_DAMPING:
        return cli_check(parse_damping(argument, s));
    case OPTION_KRYLOV:
        return cli_check(fim_parse_size(argument, "--krylov", 1, 1000, &s->krylov_steps));
    case OPTION_TOLERANCE:
        return cli_check(fim_parse_double(argument, "--tolerance", 1e-14, 0.1, &s->tolerance));
    case OPTION_SPECTRA:
        return cli_check(fim_context(fim_spectra_parse(argument, &s->spectra), "--spectra"));
    case 'o':
        s->output = argument;
        return 0;
    case ARGP_KEY_ARGS:
        s->files = state->argv + state->next;
        s->n_files = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        return cli_check(check_complete(s));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static fim_status print_plan(fim_cli *cli, const fim_study_options *study, const char *file,
                             const fim_net *net, const fim_data *data) {
    fim_plan_row *rows = NULL;
    size_t count, size = 0;
    double flop_rate, byte_rate;
    fim_study_shares shares = {0};
    char *text = NULL, bytes[16];
    FILE *stream = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_linalg_rates(&flop_rate, &byte_rate));
    FIM_TRY(fim_study_plan(study, net, data->x->size1, flop_rate, byte_rate, &rows, &count));
    FIM_TRY(fim_study_share(study, rows, count, fim_linalg_threads(), &shares));
    stream = open_memstream(&text, &size);
    FIM_TRY(stream != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text of a plan"));
    fprintf(stream, "%s: measured %.0f GF/s in matrix products, %.1f GB/s in copies; memory budget %s\n",
            file, 1e-9 * flop_rate, 1e-9 * byte_rate, fim_format_bytes(study->budget, bytes));
    fprintf(stream, "layer  %-36s %9s %8s %9s  route\n", "quantity", "flops", "bytes", "seconds");
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%5zu  %-36s %9.1e %8s %9.3f  %s\n", rows[i].layer, rows[i].quantity, rows[i].flops,
                fim_format_bytes(rows[i].bytes, bytes), rows[i].seconds, rows[i].route);
    }
    if (shares.workers > 1)
        fprintf(stream, "%zu layers at a time, each on one thread\n", shares.workers);
    fprintf(stream, "%-72s %.1f seconds, estimated\n", "in all", shares.seconds);
    status = fclose(stream) == 0 ? cli_print(cli, text) : FIM_FAIL(FIM_ERR_MEMORY, "cannot write a plan");
out:
    free(text);
    free(rows);
    free(shares.order);
    return status;
}

// What the process does not have yet and the library does not count: the buffers of OpenBLAS's threads, and
// what HDF5 and the report hold.
enum { PROCESS_BYTES = 40 << 20 };

// --memory is for the whole process: the study may take what the program, the network and the data leave.
static fim_status leave_room(const fim_cli *cli, fim_study_options *study) {
    const size_t taken = fim_size_add(fim_memory_resident(), PROCESS_BYTES);
    if (cli->memory == SIZE_MAX)
        return FIM_OK;
    fim_status status = fim_budget_check(
        cli->memory, fim_size_add(taken, FIM_MEMORY_RESOLVED),
        "the program with the network and the data, and the least to work in,", "raise --memory");
    if (status == FIM_OK)
        study->budget = cli->memory - taken;
    return status;
}

// One file: a network at the data, which are read once, or a dump.
static fim_status analyze(fim_cli *cli, const settings *s, const fim_study_options *study, const char *file,
                          fim_data *data, fim_record *report) {
    fim_file_kind kind;
    fim_net net = {0};
    fim_study_options allotted = *study;
    fim_status status = FIM_OK;
    FIM_TRY(fim_file_sniff(file, &kind));
    if (kind == FIM_FILE_BLOCKS && s->plan)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: a plan is made of a checkpoint and its data, not of blocks",
                        file);
    if (kind == FIM_FILE_BLOCKS)
        return fim_study_blocks(study, file, &cli->monitor, report);
    if (kind != FIM_FILE_CHECKPOINT)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s is neither a checkpoint nor a file of blocks (fim-info tells what it is)", file);
    FIM_TRY(network_read(cli, &s->network, file, &net));
    if (data->x == NULL)
        FIM_TRY(source_read(cli, &s->source, data));
    if (s->plan)
        FIM_TRY(print_plan(cli, study, file, &net, data));
    else {
        FIM_TRY(leave_room(cli, &allotted));
        FIM_TRY(fim_study_network(&allotted, file, &net, data, &cli->monitor, report));
    }
out:
    fim_net_clear(&net);
    return status;
}

// Folders among the files are replaced by the checkpoints that they hold, in the order of training.
static fim_status expand_folders(settings *s) {
    char **all = NULL, **found = NULL;
    size_t n = 0, count = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < s->n_files; i++) {
        struct stat about;
        const bool folder = stat(s->files[i], &about) == 0 && S_ISDIR(about.st_mode);
        count = 1;
        if (folder)
            FIM_TRY(fim_study_trajectory(s->files[i], &found, &count));
        char **more = realloc(all, (n + count) * sizeof *more);
        if (more == NULL)
            FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the list of checkpoints"));
        all = more;
        for (size_t k = 0; k < count; k++)
            all[n + k] = folder ? found[k] : s->files[i]; // kept to the end of the program
        n += count;
        free(found);
        found = NULL;
    }
    s->files = s->listed = all;
    s->n_files = n;
    all = NULL;
out:
    free(all);
    free(found);
    return status;
}

static fim_status print_result(fim_cli *cli, const char *format, const fim_record *report) {
    char *text = NULL;
    fim_status status = strcmp(format, "json") == 0  ? fim_report_json(report, &text)
                        : strcmp(format, "csv") == 0 ? fim_report_csv(report, &text)
                                                     : fim_report_table(report, &text);
    if (status == FIM_OK)
        status = cli_print(cli, text);
    free(text);
    return status;
}

// An output that cannot be written is told before the work, not after it.
static fim_status check_output(const settings *s, bool force) {
    char *place = NULL;
    fim_file_kind kind;
    fim_status status = FIM_OK;
    if (s->output == NULL)
        return FIM_OK;
    FIM_TRY(fim_file_begin(s->output, force || s->append, &place));
    fim_file_abandon(place);
    if (!s->append || access(s->output, F_OK) != 0)
        return FIM_OK;
    FIM_TRY(fim_file_sniff(s->output, &kind));
    if (kind != FIM_FILE_REPORT)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is no report of fim-analyze: nothing can be appended to it",
                          s->output);
out:
    return status;
}

static fim_status work(fim_cli *cli, settings *s, int argc, char **argv) {
    fim_method *methods = NULL;
    const fim_metric **metrics = NULL;
    fim_data data = {0};
    fim_record report;
    fim_study_options study = {.fisher = s->source.fisher,
                               .layers = s->source.layers,
                               .samples = s->source.samples,
                               .seed = cli->seed,
                               .budget = cli->memory,
                               .factors = s->factors,
                               .sampling_error = s->sampling_error,
                               .repeats = s->repeats,
                               .tolerance = s->tolerance,
                               .krylov_steps = s->krylov_steps,
                               .damping = s->damping,
                               .n_damping = s->n_damping,
                               .damping_relative = s->damping_relative,
                               .spectra = {.policy = s->spectra}};
    study.fisher.seed = cli->seed;
    fim_record_init(&report, "report");
    fim_status status = FIM_OK;
    FIM_TRY(expand_folders(s));
    study.spectra.flops = SPECTRA_FLOPS / (double)s->n_files;
    FIM_TRY(fim_context(fim_method_parse_list(s->methods, &methods, &study.n_methods), "--methods"));
    FIM_TRY(fim_context(fim_metric_parse_list(s->metrics, &metrics, &study.n_metrics), "--metrics"));
    study.methods = methods;
    study.metrics = metrics;
    if (s->append && cli->force)
        FIM_TRY(FIM_FAIL(FIM_ERR_ARGUMENT, "--append keeps what is in %s, --force does not: choose one",
                         s->output));
    FIM_TRY(check_output(s, cli->force));
    FIM_TRY(source_provenance(cli, &s->source, s->files, s->n_files, argc, argv, &report));
    for (size_t i = 0; i < s->n_files; i++)
        FIM_TRY(analyze(cli, s, &study, s->files[i], &data, &report));
    if (s->plan)
        goto out;
    if (s->append)
        FIM_TRY(fim_study_append(s->output, cli->memory, &report));
    else if (s->output != NULL)
        FIM_TRY(fim_record_write(&report, "fim-report", s->output, cli->force));
    FIM_TRY(print_result(cli, s->format, &report));
out:
    free(methods);
    free(metrics);
    free(s->listed);
    fim_data_clear(&data);
    fim_record_clear(&report);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp_child children[] = {
        {&source_argp, 0, SOURCE_HEADING, 0}, {&network_argp, 0, NETWORK_HEADING, 1}, {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "FILE... --data SPEC",
                                     .doc = doc,
                                     .children = children,
                                     .help_filter = help_filter};
    fim_cli cli;
    settings s = {.methods = "all",
                  .metrics = "all",
                  .format = "table",
                  .source.fisher.draws = 1,
                  .spectra = FIM_SPECTRA_AUTO};
    fim_status status = cli_start(&cli, "fim-analyze", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s, argc, argv);
    return cli_finish(&cli, status);
}
