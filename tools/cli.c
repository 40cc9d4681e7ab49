// The common part of the tools: options on argp, a line of progress, Ctrl-C, one-line errors.
//
// argp and getopt print their complaints themselves, on two lines. They are caught in a memory stream
// (glibc's stderr is a variable) so that every error of every tool is one line, "fim-x: what is wrong".
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fim/io.h"
#include "fim/linalg.h"
#include "manual.h"

// ---- Interruption ----

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

static bool monitor_cancelled(void *context) {
    (void)context;
    return interrupted != 0;
}

static void catch_signals(void) {
    // SA_RESETHAND: the second Ctrl-C finds the default and kills.
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    // A closed pipe becomes a failed write, which is told like any other.
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); // and so does a file over the user's limit
}

// ---- Progress and notes ----

static void erase(fim_cli *cli) {
    if (cli->drawn)
        fputs("\r\033[K", stderr);
    cli->drawn = false;
}

static size_t terminal_width(void) {
    struct winsize size = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

// "0:09", "12:40", "3:05:00".
static void format_seconds(double seconds, char *buffer, size_t size) {
    unsigned long s = seconds < 1e7 ? (unsigned long)(seconds + 0.5) : 10000000ul;
    if (s < 3600)
        snprintf(buffer, size, "%lu:%02lu", s / 60, s % 60);
    else
        snprintf(buffer, size, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

static void draw(fim_cli *cli, double share, double elapsed) {
    enum { BAR = 24, LEAST = BAR + 32 };
    size_t width = terminal_width();
    if (width < LEAST)
        return;
    char bar[BAR + 1], left[40];
    size_t filled = (size_t)(share * BAR);
    memset(bar, '.', BAR);
    memset(bar, '#', filled);
    bar[BAR] = '\0';
    snprintf(left, sizeof left, "estimating");
    if (share > 0) {
        format_seconds(elapsed * (1 - share) / share, left, sizeof left);
        strcat(left, " left");
    }
    int room = (int)(width - LEAST);
    fprintf(stderr, "\r\033[K%.*s [%s] %3.0f %%  %s", room < 48 ? room : 48, cli->what, bar, 100 * share,
            left);
    fflush(stderr);
    cli->drawn = true;
}

static void monitor_progress(void *context, const char *what, double done, double total) {
    fim_cli *cli = context;
    double now = fim_clock_seconds();
    snprintf(cli->what, sizeof cli->what, "%s", what);
    if (total != cli->total || done < cli->done) { // another piece of work, not another step of the same
        cli->total = total;
        cli->began = now;
        cli->shown = now; // nothing is drawn for what is done in a moment
    }
    cli->done = done;
    if (!(done < total)) {
        erase(cli);
    } else if (now - cli->shown >= 0.2) {
        double share = done > 0 ? done / total : 0;
        cli->shown = now;
        draw(cli, share, now - cli->began);
    }
}

// One line on stderr. The text may quote names from files: control characters do not reach the terminal.
static void say(fim_cli *cli, const char *kind, const char *text) {
    erase(cli);
    fprintf(stderr, "%s: %s", cli->tool, kind);
    for (const char *c = text; *c != '\0'; c++)
        putc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stderr);
    putc('\n', stderr);
}

static void monitor_note(void *context, const char *text) {
    say(context, "note: ", text);
}

// ---- Options ----

enum { OPTION_USAGE = 0x100, OPTION_NO_SANDBOX, OPTION_DESCRIBE };

static const struct argp_option common_options[] = {
    {"threads", 't', "N", 0, "Threads to use (default: all cores)", 0},
    {"seed", 's', "S", 0, "Seed of everything random (default: 1)", 0},
    {"memory", 'm', "SIZE", 0,
     "Memory to use at most, as in 800M or 8G (default: three quarters of this machine's)", 0},
    {"force", 'f', NULL, 0, "Overwrite existing output", 0},
    {"no-sandbox", OPTION_NO_SANDBOX, NULL, 0,
     "Parse input files in this process, not in a child with limits on memory, time and system calls", 0},
    {"quiet", 'q', NULL, 0, "No progress and no notes; errors are still told", 0},
    {"help", 'h', NULL, 0, "Show this help", 0},
    {"usage", OPTION_USAGE, NULL, 0, "Show the options in short", -1},
    {"version", 'V', NULL, 0, "Show the version and the licence", 0},
    {"describe", OPTION_DESCRIBE, "KIND", OPTION_HIDDEN, "man, bash, zsh: the page and the completions", 0},
    {0}};

static error_t parse_common(int key, char *argument, struct argp_state *state) {
    fim_cli *cli = state->input;
    size_t seed;
    fim_status status = FIM_OK;
    switch (key) {
    case 't':
        return cli_check(fim_parse_size(argument, "--threads", 1, 1024, &cli->threads));
    case 's':
        status = fim_parse_size(argument, "--seed", 0, SIZE_MAX, &seed);
        if (status == FIM_OK)
            cli->seed = seed;
        return cli_check(status);
    case 'm':
        return cli_check(fim_parse_bytes(argument, "--memory", &cli->memory));
    case 'f':
        cli->force = true;
        return 0;
    case 'q':
        cli->quiet = true;
        return 0;
    case OPTION_NO_SANDBOX:
        fim_io_sandbox(false);
        return 0;
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return ECANCELED;
    case OPTION_USAGE:
        argp_state_help(state, stdout, ARGP_HELP_USAGE);
        return ECANCELED;
    case OPTION_DESCRIBE:
        cli->describe = argument;
        return ECANCELED;
    case 'V':
        printf("%s " FIM_VERSION " (fim-toolkit)\n"
               "Free software under the GNU GPL, version 3 or later; there is no warranty.\n",
               cli->tool);
        return ECANCELED;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// The inputs of the two parsers below the root.
typedef struct inputs {
    void *own;
    fim_cli *common;
} inputs;

static error_t parse_root(int key, char *argument, struct argp_state *state) {
    (void)argument;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    inputs *in = state->input;
    state->child_inputs[0] = in->own;
    state->child_inputs[1] = in->common;
    return 0;
}

error_t cli_check(fim_status status) {
    return status == FIM_OK ? 0 : EINVAL;
}

// The first line of what argp or getopt complained, without the program's name; NULL when they did not.
static const char *first_line(char *caught, const char *program) {
    if (caught == NULL || caught[0] == '\0')
        return NULL;
    caught[strcspn(caught, "\n")] = '\0';
    const char *slash = strrchr(program, '/');
    const char *names[] = {program, slash != NULL ? slash + 1 : program}; // getopt's habit, and argp's
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(caught, names[i], length) == 0 && strncmp(caught + length, ": ", 2) == 0)
            return caught + length + 2;
    }
    return caught;
}

static fim_status parse(fim_cli *cli, const struct argp *own, void *input, int argc, char **argv) {
    static const struct argp common = {common_options, parse_common, NULL, NULL, NULL, NULL, NULL};
    const struct argp_child children[] = {{own, 0, NULL, 0}, {&common, 0, "Common options:", -1}, {0}};
    const struct argp root = {NULL, parse_root, NULL, NULL, children, NULL, NULL};
    inputs in = {input, cli};
    char *caught = NULL;
    size_t size = 0;
    FILE *terminal = stderr, *catcher = open_memstream(&caught, &size);
    if (catcher == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a buffer for messages");
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0); // three lines of every --help that help nobody
    stderr = catcher;
    error_t error = argp_parse(&root, argc, argv, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &in);
    stderr = terminal;
    fclose(catcher);
    fim_status status = FIM_OK;
    if (error == ECANCELED) { // help, usage, version or a description, and nothing else
        if (cli->describe != NULL)
            status = manual_print(cli->describe, cli->tool, own, &common, stdout);
        exit(cli_finish(cli, status == FIM_OK ? cli_print(cli, "") : status));
    }
    if (error != 0) {
        const char *line = first_line(caught, argc > 0 ? argv[0] : cli->tool);
        if (line == NULL)
            line = error == EINVAL ? fim_message() : strerror(error);
        status = FIM_FAIL(FIM_ERR_ARGUMENT, "%s (see '%s --help')", line, cli->tool);
    }
    free(caught);
    return status;
}

// ---- The life of a tool ----

// OpenMP's threads spin after a loop, by default for longer than a matrix product takes, and steal the cores
// from OpenBLAS's own threads: a run takes twice its time. libgomp reads its wait policy before main begins,
// so a tool that was started without one starts itself again with it.
static void let_threads_rest(char **argv) {
    if (getenv("OMP_WAIT_POLICY") == NULL && setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv); // where that fails the work goes on, slower
}

fim_status cli_start(fim_cli *cli, const char *tool, const struct argp *own, void *input, int argc,
                     char **argv) {
    let_threads_rest(argv);
    size_t total = fim_memory_total();
    *cli = (fim_cli){.tool = tool, .seed = CLI_SEED_DEFAULT, .memory = total > 0 ? total / 4 * 3 : SIZE_MAX};
    catch_signals();
    // argp moves options before arguments; provenance wants the command line as it was typed.
    fim_status status = fim_alloc((size_t)argc + 1, sizeof *argv, "the command line", &cli->sorted);
    if (status != FIM_OK)
        return status;
    memcpy(cli->sorted, argv, (size_t)argc * sizeof *argv);
    status = parse(cli, own, input, argc, cli->sorted);
    if (status != FIM_OK)
        return status;
    fim_linalg_setup(cli->threads);
    fim_io_setup();
    const char *kind = getenv("TERM");
    bool capable = isatty(STDERR_FILENO) == 1 && kind != NULL && strcmp(kind, "dumb") != 0;
    cli->terminal = capable && !cli->quiet;
    cli->monitor = (fim_monitor){.context = cli,
                                 .progress = cli->terminal ? monitor_progress : NULL,
                                 .note = cli->quiet ? NULL : monitor_note,
                                 .cancelled = monitor_cancelled};
    return FIM_OK;
}

fim_status cli_print(fim_cli *cli, const char *text) {
    erase(cli);
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF || ferror(stdout))
        return FIM_FAIL(FIM_ERR_IO, "cannot write to standard output: %s", strerror(errno));
    return FIM_OK;
}

int cli_finish(fim_cli *cli, fim_status status) {
    erase(cli);
    free(cli->sorted);
    if (status == FIM_OK)
        return 0;
    say(cli, "", fim_message());
    return status == FIM_ERR_ARGUMENT || status == FIM_ERR_UNKNOWN ? 2 : 1;
}
