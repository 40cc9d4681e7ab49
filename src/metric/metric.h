// The room's private face.
#ifndef FIM_SRC_METRIC_H
#define FIM_SRC_METRIC_H

#include "fim/linalg.h"
#include "fim/metric.h"

struct fim_reference {
    const fim_fisher *f;
    fim_spectra_options spectra;
    size_t budget;
    uint64_t seed;
    double norm2, trace;
    fim_spectrum spectrum; // values NULL until asked for
    double spectral_norm;  // negative until asked for
};

struct fim_candidate {
    fim_reference *reference;
    const fim_op *op;
    fim_spectrum spectrum; // values NULL until asked for
    double frobenius2;     // ‖F − F̂‖², negative until asked for
    char frobenius_route[200];
};

// ‖F − F̂‖² and its route, computed once.
fim_status candidate_frobenius2(fim_candidate *candidate, double *out, const char **route);

// ---- The symmetric map F − F̂ on parameters, for Krylov processes (difference.c) ----

typedef struct difference {
    const fim_fisher *f; // or NULL: the map is F̂, not its negative
    const fim_op *op;    // or NULL: the map is F
    gsl_matrix *product;
    fim_map map; // refers to this struct, which must stay where it is
} difference;

fim_status difference_init(difference *d, const fim_fisher *f, const fim_op *op);
void difference_clear(difference *d);
// k eigenvalues of the difference, in the order asked for, within the reference's budget; NOT_CONVERGED as
// fim_lanczos.
fim_status difference_eigenvalues(const fim_reference *reference, const fim_fisher *f, const fim_op *op,
                                  size_t k, fim_lanczos_order order, double tolerance, gsl_vector *values,
                                  fim_lanczos_info *info);
// How many vectors of parameters fit into the budget beside the workspace of a product.
size_t difference_vectors(const fim_reference *reference);

#define FIM_METRIC(function, name, unit, spectral, about)                                                    \
    fim_status metric_##function(fim_candidate *candidate, double *value, char *route);
#include "fim/metrics.def"
#undef FIM_METRIC

#endif
