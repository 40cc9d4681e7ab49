// The room's private face.
#ifndef FIM_SRC_METRIC_H
#define FIM_SRC_METRIC_H

#include "fim/metric.h"

struct fim_reference {
    const fim_fisher *f;
    size_t budget;
    uint64_t seed;
    double norm2, trace;
    gsl_vector *eigenvalues; // NULL until asked for
    char route[200];
    double spectral_norm; // negative until asked for
};

struct fim_candidate {
    fim_reference *reference;
    const fim_op *op;
    gsl_vector *eigenvalues; // NULL until asked for
    char route[200];
};

#define FIM_METRIC(function, name, unit, spectral, about)                                                    \
    fim_status metric_##function(fim_candidate *candidate, double *value, char *route);
#include "fim/metrics.def"
#undef FIM_METRIC

#endif
