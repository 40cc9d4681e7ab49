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

// Figures of a report or of run logs into `folder` (made when missing): per figure <name>.gp, <name>.dat,
// <name>.svg, <name>.png, and index.html that shows them with the table. Without gnuplot the .gp and .dat
// files and the page are still written and FIM_ERR_UNAVAILABLE tells how to draw them. `title` heads the
// page.
fim_status fim_report_plot(const fim_record *report, const char *title, const char *folder,
                           const fim_monitor *monitor);
fim_status fim_report_plot_runs(const fim_record *logs, size_t n_logs, const char *folder,
                                const fim_monitor *monitor);
// Reports and run logs on one page. A text "file" of a record names it there.
fim_status fim_report_plot_all(const fim_record *reports, size_t n_reports, const fim_record *logs,
                               size_t n_logs, const char *title, const char *folder,
                               const fim_monitor *monitor);

#endif
