// fim/metric.h - the distances of an operator to the Fisher block: one line each in metrics.def.
#ifndef FIM_METRIC_H
#define FIM_METRIC_H

#include "fim/fisher.h"
#include "fim/op.h"

// ---- Spectra: all eigenvalues, or the leading ones and what is exactly known of the others ----

typedef enum fim_spectra {
    FIM_SPECTRA_FULL,    // all eigenvalues, by a dense eigensolver where structure does not give them
    FIM_SPECTRA_LEADING, // never a dense eigensolver, nor a Gram matrix of more than 1500 rows
    FIM_SPECTRA_AUTO // all where that costs at most `flops`; else the leading ones, but none of an operator
                     // where even they would take more than 2e11 flops
} fim_spectra;

typedef struct fim_spectra_options {
    fim_spectra policy;
    double flops;   // FIM_SPECTRA_AUTO: allowed for one dense eigensolver, of (4/3) n³ flops for n rows
    size_t leading; // eigenvalues where not all are computed; 0 takes 50, with FIM_SPECTRA_AUTO 20
} fim_spectra_options;

// "full", "leading" or "auto"; FIM_ERR_UNKNOWN lists them.
fim_status fim_spectra_parse(const char *text, fim_spectra *out);

typedef struct fim_spectrum {
    gsl_vector *values; // in decreasing order
    size_t size;        // D
    bool complete;      // the eigenvalues left out are zero; else `values` are the largest ones
    double tail_norm;   // √Σ λ² over those left out, from the Frobenius norm; 0 when complete
    double tail_trace;  // Σ λ over them, from the trace
    double slack;       // the norm of the errors of `values` is at most this; 0 to rounding when complete
    char route[200];    // how, with its residual
} fim_spectrum;

// What the metrics of one layer share: the block, and what was computed of it on the first demand.
typedef struct fim_reference fim_reference;

// `f` must outlive it. `budget` bounds the bytes of one dense step or Krylov basis: where it refuses all
// eigenvalues, the leading ones are taken. `spectra` NULL is FIM_SPECTRA_FULL.
fim_status fim_reference_new(const fim_fisher *f, const fim_spectra_options *spectra, size_t budget,
                             uint64_t seed, fim_reference **out);
void fim_reference_free(fim_reference *reference);
double fim_reference_norm(const fim_reference *reference);  // ‖F‖_F
double fim_reference_trace(const fim_reference *reference); // tr F
// The spectrum of F, computed once and kept by the reference.
fim_status fim_reference_spectrum(fim_reference *reference, const fim_spectrum **out);
// The spectral density of F (fim_density_new).
fim_status fim_reference_density(fim_reference *reference, size_t probes, size_t steps, fim_density *out);

// An operator under comparison; its spectrum is computed once, on the first demand.
typedef struct fim_candidate fim_candidate;
fim_status fim_candidate_new(fim_reference *reference, const fim_op *op, fim_candidate **out);
void fim_candidate_free(fim_candidate *candidate);
// The spectrum of the operator, kept by the candidate. It may be indefinite: what is left out of an
// incomplete one can be negative.
fim_status fim_candidate_spectrum(fim_candidate *candidate, const fim_spectrum **out);

// ---- The metrics ----

typedef struct fim_metric {
    const char *name;
    const char *unit; // "1" for ratios, "count", "B", or "F" for the unit of F's entries
    bool spectral;    // needs the spectrum of the operator
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
