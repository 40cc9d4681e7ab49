// fim/metric.h - the distances of an operator to the Fisher block: one line each in metrics.def.
#ifndef FIM_METRIC_H
#define FIM_METRIC_H

#include "fim/fisher.h"
#include "fim/op.h"

// What the metrics of one layer share: the block, and what was computed of it on the first demand.
typedef struct fim_reference fim_reference;

// `f` must outlive it. `budget` bounds the bytes of one dense step.
fim_status fim_reference_new(const fim_fisher *f, size_t budget, uint64_t seed, fim_reference **out);
void fim_reference_free(fim_reference *reference);
double fim_reference_norm(const fim_reference *reference);  // ‖F‖_F
double fim_reference_trace(const fim_reference *reference); // tr F
// Eigenvalues of F (those that can be non-zero), computed once; NULL in *values never happens on FIM_OK.
// `route` says how.
fim_status fim_reference_eigenvalues(fim_reference *reference, const gsl_vector **values, const char **route);

// An operator under comparison; its spectrum is computed once, on the first demand.
typedef struct fim_candidate fim_candidate;
fim_status fim_candidate_new(fim_reference *reference, const fim_op *op, fim_candidate **out);
void fim_candidate_free(fim_candidate *candidate);
// The D eigenvalues of the operator; FIM_ERR_BUDGET when a dense step is too large.
fim_status fim_candidate_eigenvalues(fim_candidate *candidate, const gsl_vector **values, const char **route);

typedef struct fim_metric {
    const char *name;
    const char *unit; // "1" for ratios, "count", "B", or "F" for the unit of F's entries
    bool spectral;    // needs the operator's full spectrum
    // *value, and in `route` (>= 200 bytes) how it was computed or what bounds it. FIM_ERR_UNAVAILABLE or
    // FIM_ERR_BUDGET tell why there is no such number here.
    fim_status (*evaluate)(fim_candidate *candidate, double *value, char *route);
    const char *about; // one line, for help and reports
} fim_metric;

// The registry, in the order of reports.
const fim_metric *fim_metric_list(size_t *count);
// Comma-separated names, or "all"; duplicates are dropped. *out (malloc'ed) points into the registry.
// FIM_ERR_UNKNOWN lists the known names.
fim_status fim_metric_parse_list(const char *text, const fim_metric ***out, size_t *count);

#endif
