// tools/cli.h - what all tools share: the common options, help and version, progress, interruption, and
// exit codes.
//
//     static const struct argp argp = {.options = options, .parser = parse, .args_doc = "FILE... -o DIR",
//                                      .doc = "What it does.\vExample:\n  fim-plot report.h5 -o figures"};
//
//     int main(int argc, char **argv) {
//         fim_cli cli;
//         struct settings settings = {...defaults...};
//         fim_status status = cli_start(&cli, "fim-plot", &argp, &settings, argc, argv);
//         if (status == FIM_OK)
//             status = work(&cli, &settings);
//         return cli_finish(&cli, status);
//     }
//
// `parse` gets &settings as state->input and answers with cli_check(status of a fim_parse_... or FIM_FAIL).
// --help, --usage and --version exit on their own. All errors are one line on stderr.
#ifndef FIM_CLI_H
#define FIM_CLI_H

#include <argp.h>

#include "fim/base.h"

typedef struct fim_cli {
    const char *tool; // "fim-plot"
    size_t threads;   // 0: all cores
    uint64_t seed;
    size_t memory; // bytes the work may use
    bool quiet;
    bool force;           // overwrite existing output
    const char *describe; // what --describe asks for, for the build alone
    char **sorted;        // the command line, options first; what the parser keeps may point into it
    fim_monitor monitor;  // for the library: draws progress, prints notes, hears Ctrl-C
    // The line of progress on the terminal.
    bool terminal, drawn;
    char what[64];
    double began, shown, done, total;
} fim_cli;

#define CLI_SEED_DEFAULT 1

// Reads the command line by the tool's own options and the common ones, then sets the library up (threads,
// error handlers), the monitor and the signals. A wrong command line is FIM_ERR_ARGUMENT.
fim_status cli_start(fim_cli *cli, const char *tool, const struct argp *own, void *input, int argc,
                     char **argv);

// For argp parsers: 0 or, with the library's message kept for cli_finish, EINVAL.
error_t cli_check(fim_status status);

// Writes a result to stdout and makes sure that it got there: FIM_ERR_IO for a closed pipe or a full disk.
fim_status cli_print(fim_cli *cli, const char *text);

// Says on stderr what went wrong, if anything, and returns the exit code: 0 done, 1 failed, 2 wrong usage.
int cli_finish(fim_cli *cli, fim_status status);

#endif
