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
// ⟨F, F̂⟩ as the build has told it (fim_approx_info), which metrics then do not compute again; NAN when it has
// not.
void fim_candidate_know_inner(fim_candidate *candidate, double inner);
void fim_candidate_free(fim_candidate *candidate);
// The spectrum of the operator, kept by the candidate. It may be indefinite: what is left out of an
// incomplete one can be negative.
fim_status fim_candidate_spectrum(fim_candidate *candidate, const fim_spectrum **out);

// ---- Steps: what an approximation does as a preconditioner, along a sweep of dampings λ ----
//
// y = (F̂ + λ I)⁻¹ ∇ against the exact y* = (F + λ I)⁻¹ ∇, where ∇ is the mean gradient of the layer and F̂ is
// damped exactly. The quadratic model of a step −d is q(d) = −∇·d + ½ d·(F + λ I) d, least at y*.

#define FIM_STEP_LIST(X)                                                                                     \
    X(COSINE, "step_cosine", "cosine of the angle between y and y*")                                         \
    X(LENGTH, "step_length_ratio", "‖y‖ / ‖y*‖")                                                             \
    X(DECREASE, "model_decrease", "q(y) / q(y*): at most 1, negative when y overshoots so far that q rises") \
    X(SCALED, "model_decrease_scaled", "the same for the best multiple of y, between 0 and 1")               \
    X(STEIN, "stein_divergence", "tr M − ln det M − D of M = (F̂ + λI)⁻¹(F + λI)")

typedef enum fim_step_metric {
#define FIM_STEP_ENUM(id, name, about) FIM_STEP_##id,
    FIM_STEP_LIST(FIM_STEP_ENUM)
#undef FIM_STEP_ENUM
        FIM_STEP_COUNT
} fim_step_metric;

const char *fim_step_name(fim_step_metric metric);

typedef struct fim_steps_options {
    const double *damping; // (count), increasing and positive, in the unit of F
    size_t count;
    size_t budget;    // bytes
    bool matrix_free; // conjugate gradients with products of F and F̂, whatever the size
    uint64_t seed;    // of Lanczos processes
} fim_steps_options;

// The exact side of a layer: y* at every damping.
typedef struct fim_steps fim_steps;

// gradient (d_a, d_g), or NULL when it is not known: the divergence alone then. `f` must outlive it.
fim_status fim_steps_new(const fim_fisher *f, const gsl_matrix *gradient, const fim_steps_options *options,
                         fim_steps **out);
void fim_steps_free(fim_steps *steps);
// How y* was solved for, with the largest residual.
const char *fim_steps_route(const fim_steps *steps);
// By how much stein_divergence is uncertain at damping i, with every operator by the same amount and in the
// same direction: the error of ln det(F + λ I), 0 where that is exact, NAN where it is not known.
double fim_steps_divergence_error(const fim_steps *steps, size_t i);
// values (FIM_STEP_COUNT, count): NAN where there is no such number, as where F̂ + λ I is not positive
// definite or a solve did not converge; notes[m] (200 bytes each) say how, and for the missing why. own_error
// (count): by how much the divergence is uncertain beside that, 0 but for a sum of Kronecker terms that is
// too large for dense eigenvectors, whose divergence is an estimate.
fim_status fim_steps_measure(const fim_steps *steps, const fim_op *op, gsl_matrix *values,
                             gsl_vector *own_error, char notes[FIM_STEP_COUNT][200]);

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
