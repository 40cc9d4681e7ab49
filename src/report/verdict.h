// verdict.h - a reproduction of Koroko et al. (arXiv 2201.10285) set beside what they report. Inside this
// room only.
#ifndef FIM_REPORT_VERDICT_H
#define FIM_REPORT_VERDICT_H

#include "parts.h"

// ---- paper.c: what is published ----

// The value of (network, quantity, method) that is bound to no iteration or epoch, or NAN.
double paper_fact(const fim_paper *paper, const char *network, const char *quantity, const char *method);
// The value at `at`, linear between the points known; NAN outside of them.
double paper_at(const fim_paper *paper, const char *network, const char *quantity, const char *method,
                double at);
// Of those points the i-th, in order of the file; false at the end.
bool paper_point(const fim_paper *paper, const char *network, const char *quantity, const char *method,
                 size_t i, double *at, double *value);
// Where the last of them is, or NAN.
double paper_last(const fim_paper *paper, const char *network, const char *quantity, const char *method);

// ---- course.c: the reports along training ----

// The one layer of checkpoint k of a report, NULL behind the last.
const fim_record *course_layer(const fim_record *report, size_t k);
size_t course_length(const fim_record *report); // checkpoints; 0 without a report
double course_iteration(const fim_record *report, size_t k);
// A value of a method (NULL: of the layer) there, NAN when it is missing; *note (may be NULL) "" then.
double course_value(const fim_record *report, size_t k, const char *method, const char *name,
                    const char **note);

// Over the last fifth of the iterations.
typedef struct course_end {
    double from, to;     // iterations
    size_t n;            // checkpoints
    double mean, spread; // standard deviation from checkpoint to checkpoint
    double low;          // mean of the least that the values can be: below `mean` where they are upper bounds
    double published;    // mean of the published course at the same iterations
} course_end;
course_end course_end_of(const fim_record *report, const fim_paper *paper, const char *net,
                         const char *method, const char *metric);
// The largest value, and where; NAN when there is none.
double course_peak(const fim_record *report, const char *method, const char *metric, double *iteration);

// ---- verdicts.c ----

typedef enum verdict_table {
    VERDICT_ERRORS,
    VERDICT_LOSSES,
    VERDICT_EPOCHS,
    VERDICT_TIMES,
    VERDICT_TABLES
} verdict_table;

extern const struct verdict_heading {
    const char *name, *title, *tolerance; // how much of a difference agrees
} verdict_headings[VERDICT_TABLES];

typedef struct verdict {
    const char *net;
    verdict_table table;
    char what[96];
    double published, ours;
    double exact; // ours against the exact Fisher, where that applies; NAN
    double tolerance;
    const char *word; // "agrees", "differs", "open", "not run"
    char *reason;     // from numbers; "" where none is needed
} verdict;

typedef struct verdict_list {
    size_t count;
    verdict *items;
} verdict_list;

void verdict_list_clear(verdict_list *list);
// Adds a row whose word and reason are set; the reason is taken over, also on failure.
fim_status verdict_add(verdict_list *list, verdict row);
// Adds a row: agrees within the tolerance, differs beyond it; `reason` is a text in the making that is closed
// here, and dropped where the row agrees.
fim_status verdict_judge(verdict_list *list, verdict row, text *reason);

fim_status verdicts_of_errors(const fim_reproduction *r, const fim_paper *paper, verdict_list *list);
fim_status verdicts_of_training(const fim_reproduction *r, const fim_paper *paper, verdict_list *list);

// ---- reproduction.c ----

// The rows of all networks.
fim_status verdicts_make(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                         verdict_list *list);
// "12 rows agree, 3 differ" of a network, or of all (NULL).
void put_tally(FILE *stream, const verdict_list *list, const char *net);
// A number as a person likes to read it, "-" when it is missing or no bound.
const char *number_or_dash(double value, char buffer[static 24]);

// ---- findings.c ----

typedef struct finding {
    const char *title, *command;
    char *told; // a sentence for each network, one a line
} finding;
enum { FINDINGS = 6 };

// told is malloc'ed, NULL where no network has what the finding is about.
fim_status findings_make(const fim_reproduction *nets, size_t count, const fim_paper *paper,
                         finding findings[FINDINGS]);
void findings_clear(finding findings[FINDINGS]);

// ---- reproduction_figures.c ----

fim_status figures_of_reproduction(const fim_reproduction *r, const fim_paper *paper, figure_list *list);

#endif
