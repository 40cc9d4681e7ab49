// The room's private face.
#ifndef FIM_SRC_METRIC_H
#define FIM_SRC_METRIC_H

#include "fim/linalg.h"
#include "fim/metric.h"

struct fim_reference {
    const fim_fisher *f;
    fim_spectra_options spectra;
    size_t budget, resident; // bytes; those of the process when the budget was given
    uint64_t seed;
    double norm2, trace;
    fim_spectrum spectrum; // values NULL until asked for
    double spectral_norm;  // negative until asked for
    fim_reduced *frame[2]; // picked inputs alone, and rotated; NULL until asked for
    bool no_frame[2];      // asked for, and there is none
    struct twin *twins;
    size_t n_twins;
};

struct fim_candidate {
    fim_reference *reference;
    const fim_op *op;
    fim_spectrum spectrum; // values NULL until asked for
    double inner;          // ⟨F, F̂⟩, NAN unless known
    double frobenius2;     // ‖F − F̂‖², negative until asked for
    char frobenius_route[200];
    struct small_op *small; // NULL until asked for
    bool no_small;          // asked for, and there is none
    struct twin *twin;      // what is known of an operator `distance` away, or NULL
    double distance;
};

// What is left of the budget now.
size_t reference_left(const fim_reference *reference);
// ‖F − F̂‖² and its route, computed once.
fim_status candidate_frobenius2(fim_candidate *candidate, double *out, const char **route);

// ---- An operator in the frame of the samples (small.c) ----

// Kronecker terms, or a diagonal Λ in a basis, whose columns need not be as many as they are long; or terms
// and a Λ in the frame's own basis.
typedef struct small_op {
    const fim_reduced *frame;
    size_t terms;
    gsl_matrix **a, **g;
    gsl_matrix *u_a, *u_g, *lambda; // bases NULL for the identity
    double lost;                    // ‖F̂ − P F̃ Pᵀ‖_F is at most this
} small_op;

// FIM_ERR_UNAVAILABLE for a representation that cannot be seen there.
fim_status small_op_init(small_op *s, const fim_op *op, const fim_reduced *frame);
void small_op_clear(small_op *s);
// A sum of terms in the eigenbases of the first one's factors, where that is a diagonal and costs no matrix
// product: the same eigenvalues at half of the flops for two terms.
fim_status small_op_turned(const small_op *s, small_op *out);
// y = beta y + alpha F̂ x; half and inside are scratch of the frame's size.
void small_op_apply(const small_op *s, double alpha, const gsl_matrix *x, double beta, gsl_matrix *half,
                    gsl_matrix *inside, gsl_matrix *y);

// ---- Operators that fall apart into a block for every output, as the exact Fisher of independent outputs
// does at the logits (independent.c) ----

bool small_op_independent(const small_op *s);
// All eigenvalues, as many as the layer has parameters: those outside the frame are zero.
fim_status independent_spectrum(const small_op *s, size_t parameters, fim_spectrum *out);
// ‖F − F̂‖₂; FIM_ERR_UNAVAILABLE where F or F̂ does not fall apart, or its blocks are as wide as the layer.
fim_status independent_norm(const small_op *s, double *value, char *route);

// ---- Operators that were measured before (twin.c) ----

// Sums of Kronecker terms that come from different iterations are often the same to their tolerance: what is
// known of one holds for the other, within their distance.
typedef struct twin {
    size_t terms;
    gsl_matrix **a, **g;   // copies
    fim_spectrum spectrum; // values NULL until known
    double spectral_norm;  // of F − F̂; negative until known
    double smallest;       // NAN until known
    char norm_route[200], smallest_route[200];
} twin;

// The twin of op, and its distance; a new one when there is none, at distance 0. NULL for operators that are
// not sums of several terms, or do not fit the budget.
fim_status twin_find(fim_reference *reference, const fim_op *op, twin **out, double *distance);
void twins_free(fim_reference *reference);

// ---- The symmetric maps F, F̂ and F − F̂, for Krylov processes (difference.c) ----

typedef struct difference {
    const fim_fisher *f;        // NULL: the map is F̂
    const fim_op *op;           // NULL: the map is F
    const fim_reduced *reduced; // the map is seen in this frame, with `small` for op
    const small_op *small;
    small_op turned; // what `small` is where F̂ is alone and has several terms
    gsl_matrix *product, *inside;
    fim_map map; // refers to this struct, which must stay where it is
} difference;

// candidate NULL: F alone; with_f false: F̂ alone.
fim_status difference_init(difference *d, fim_reference *reference, fim_candidate *candidate, bool with_f);
void difference_clear(difference *d);
// k eigenvalues of the map, in the order asked for, within the reference's budget; NOT_CONVERGED as
// fim_lanczos.
fim_status difference_eigenvalues(fim_reference *reference, fim_candidate *candidate, bool with_f, size_t k,
                                  fim_lanczos_order order, double tolerance, gsl_vector *values,
                                  fim_lanczos_info *info);
// The candidate in the first frame that holds it, or NULL.
fim_status candidate_small(fim_candidate *candidate, const small_op **out);
// How many vectors of d parameters fit into the budget beside the workspace of a product.
size_t difference_vectors(const fim_reference *reference, size_t d);
// The frame of the samples, or NULL where there is none.
fim_status reference_frame(fim_reference *reference, bool rotated, const fim_reduced **out);

#define FIM_METRIC(function, name, unit, spectral, about)                                                    \
    fim_status metric_##function(fim_candidate *candidate, double *value, char *route);
#include "fim/metrics.def"
#undef FIM_METRIC

#endif
