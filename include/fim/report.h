// fim/report.h - a report, shown: aligned table, CSV, JSON, figures by gnuplot, an index page.
#ifndef FIM_REPORT_H
#define FIM_REPORT_H

#include "fim/io.h"

// Each writes to a new NUL-terminated text (*out is malloc'ed).
// The table: per layer two lines of facts, then one line per method; of each error column the smallest
// absolute value is marked with '*', and all that read the same. A value whose note begins with "lower bound"
// or "upper bound" is shown with ">=" or "<=" (one character) before it. Behind the layers of a checkpoint,
// where the report holds them, the parts of KFAC's error in percent of its square.
fim_status fim_report_table(const fim_record *report, char **out);
// One line per checkpoint, layer and method, all digits; a missing value is an empty field.
fim_status fim_report_csv(const fim_record *report, char **out);
// The JSON contract of fim-analyze; a missing value is null beside "<name>_why", the note of a present one is
// in "<name>_route".
fim_status fim_report_json(const fim_record *report, char **out);
// The JSON contract of fim-train from a run log.
fim_status fim_report_run_json(const fim_record *log, char **out);

// ---- Training runs, compared ----
//
// Run logs (fim/run.h) with the same settings and different seeds are one variant of the comparison: the text
// "variant" of a log names it, or else its folder (text "file"; the parent of a folder seed-<s>). A log with
// a text "ended" is of a run that diverged: the variant's numbers are of its other runs and it is never
// marked best; when all diverged, they are missing. Of runs of different lengths the epochs count that all
// have. Per variant:
//   learning_rate, damping   as set; texts optimizer, damping_form
//   seeds, diverged, epochs  runs, those of them that diverged, epochs that all others have
//   loss_per_output          after the last epoch; the mean over the seeds, as the next two
//   excess_over_floor        loss per output minus the run's loss_floor, where that is above 0
//   validation_per_output
//   epochs_to_reference      the first epoch at which the mean loss over the seeds is at most the reference's
//                            last one
//   seconds_to_reference     of training until then, the mean over the seeds
//   seconds_per_epoch        the median over epochs and seeds
//   refresh_share            of the training time: samples, approximations, inverses
//   products_per_refresh, changed_per_refresh   means; changed: directions, with those of dropped terms
// with a value "<name>_se", the standard error of the mean, where there are several seeds.
//
// `reference` names a variant, or an optimizer, of whose variants it is the one that ends lowest; NULL:
// "kfac".
//
// The aligned table, with what it means below.
fim_status fim_report_comparison(const fim_record *logs, size_t n_logs, const char *reference, char **out);
// One line per variant, all digits; a missing value is an empty field.
fim_status fim_report_comparison_csv(const fim_record *logs, size_t n_logs, const char *reference,
                                     char **out);
// {"variants": [{"name", "optimizer", "damping_form", the values above, "remark", "runs": [{"file", "seed",
// "epochs", "loss_per_output", "ended"}]}], "reference": {"name", "loss_per_output"}}.
fim_status fim_report_comparison_json(const fim_record *logs, size_t n_logs, const char *reference,
                                      char **out);

// ---- Figures ----

// Losses per output of other people's training, to draw beside ours.
typedef struct fim_published {
    size_t count;
    struct fim_published_point {
        char optimizer[32];
        double epoch, loss;
    } * points;
} fim_published;

// From a CSV file with the head network,optimizer,epoch,loss_per_output the lines of one network;
// FIM_ERR_UNKNOWN when there are none, FIM_ERR_FORMAT names the line that cannot be read. free(out->points).
fim_status fim_published_read(const char *path, const char *network, fim_published *out);

// What figures are for: a screen, or a page in one column (85 mm, 7 points) or two (175 mm, 8 points).
typedef enum fim_plot_size { FIM_PLOT_SCREEN, FIM_PLOT_ONE, FIM_PLOT_TWO } fim_plot_size;
// "screen", "one", "two"; FIM_ERR_UNKNOWN.
fim_status fim_plot_size_parse(const char *name, fim_plot_size *out);

typedef struct fim_plot_options {
    const char *title;              // heads the page
    const char *reference;          // of the comparison of run logs
    const fim_published *published; // drawn as open points into the loss by epoch; may be NULL
    fim_plot_size size;
    const char *style; // a file of gnuplot commands for all figures; may be NULL
} fim_plot_options;

// Figures of a report or of run logs into `folder` (made when missing): per figure <name>.gp, <name>.dat,
// <name>.svg, <name>.pdf, <name>.png; style.gnuplot, which every .gp loads; and index.html that shows them
// with the table. Without gnuplot all but the pictures is still written and FIM_ERR_UNAVAILABLE tells how to
// draw them. `title` heads the
// page. Several run logs are compared: their table, and a line per variant, the mean over its seeds, with the
// band from the least to the greatest of them.
fim_status fim_report_plot(const fim_record *report, const char *title, const char *folder,
                           const fim_monitor *monitor);
fim_status fim_report_plot_runs(const fim_record *logs, size_t n_logs, const char *folder,
                                const fim_monitor *monitor);
// Reports and run logs on one page. A text "file" of a record names it there.
fim_status fim_report_plot_all(const fim_record *reports, size_t n_reports, const fim_record *logs,
                               size_t n_logs, const fim_plot_options *options, const char *folder,
                               const fim_monitor *monitor);

// ---- A paper, reproduced ----
//
// Koroko et al. (arXiv 2201.10285) beside the same experiments done again: rows of what they report and what
// came out here, each marked "agrees" or "differs" by a stated tolerance, with the reason from measured
// numbers; "open" where only bounds are known, "not run" where there is nothing yet.

// Published numbers: a quantity of a method on a network, at an iteration or epoch, or at none (NAN).
typedef struct fim_paper {
    size_t count;
    struct fim_paper_fact {
        char network[32], quantity[40], method[32];
        double at, value;
    } * facts;
} fim_paper;

// Adds the facts of a CSV file with the head network,quantity,method,at,value, or that of losses,
// network,optimizer,epoch,loss_per_output. FIM_ERR_FORMAT names the line that cannot be read.
fim_status fim_paper_read(const char *path, fim_paper *paper);
void fim_paper_clear(fim_paper *paper);

// What was done on one network: reports of fim-analyze and run logs of fim-train. NULL: not there.
typedef struct fim_reproduction {
    const char *net;
    const fim_record
        *drawn; // along training, one layer, one label drawn per sample: the protocol of the paper
    const fim_record *exact;  // the same against the exact Fisher
    const fim_record *layers; // all layers of the last checkpoint
    const fim_record *krylov; // lanczos after so many Krylov steps (values krylov_steps), the last checkpoint
    const fim_record *steps;  // a sweep of dampings, the last checkpoint
    const fim_record *logs;
    size_t n_logs;
} fim_reproduction;

// network,table,quantity,published,ours,against_exact,tolerance,verdict,reason.
fim_status fim_reproduction_csv(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                char **out);
// The same as aligned text, and the findings.
fim_status fim_reproduction_table(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                  char **out);
// One page that holds everything, figures inside: `path`. The figures' files go to `figures`. `about` (may be
// NULL) is a text on what was done, e.g. the commit. Without gnuplot the page is written without pictures and
// FIM_ERR_UNAVAILABLE says so.
fim_status fim_reproduction_page(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                                 const char *about, const char *figures, const char *path,
                                 const fim_monitor *monitor);

#endif
