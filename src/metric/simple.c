// The metrics that are one line each once spectra and traces are there.
#include <math.h>
#include <stdio.h>

#include "metric.h"

fim_status metric_trace_error(fim_candidate *candidate, double *value, char *route) {
    const double trace = candidate->reference->trace;
    if (!(trace > 0))
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero");
    *value = (fim_op_trace(candidate->op) - trace) / trace;
    sprintf(route, "traces from structure");
    return FIM_OK;
}

fim_status metric_spectrum_error(fim_candidate *candidate, double *value, char *route) {
    const gsl_vector *exact, *approximate;
    const char *route_exact, *route_approximate;
    fim_status status = fim_reference_eigenvalues(candidate->reference, &exact, &route_exact);
    if (status == FIM_OK)
        status = fim_candidate_eigenvalues(candidate, &approximate, &route_approximate);
    if (status != FIM_OK)
        return status;
    double difference2 = 0, norm2 = 0;
    for (size_t i = 0; i < approximate->size; i++) {
        // F is semidefinite: what its list leaves out is zero, and comes last.
        const double lambda = i < exact->size ? gsl_vector_get(exact, i) : 0;
        const double difference = lambda - gsl_vector_get(approximate, i);
        difference2 += difference * difference;
        norm2 += lambda * lambda;
    }
    if (!(norm2 > 0))
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero");
    *value = sqrt(difference2 / norm2);
    snprintf(route, 200, "F: %.90s; F̂: %.90s", route_exact, route_approximate);
    return FIM_OK;
}

fim_status metric_min_eigenvalue(fim_candidate *candidate, double *value, char *route) {
    const gsl_vector *values;
    const char *how;
    fim_status status = fim_candidate_eigenvalues(candidate, &values, &how);
    if (status != FIM_OK)
        return status;
    *value = gsl_vector_get(values, values->size - 1);
    snprintf(route, 200, "%s", how);
    return FIM_OK;
}

fim_status metric_negative_eigenvalues(fim_candidate *candidate, double *value, char *route) {
    const gsl_vector *values;
    const char *how;
    fim_status status = fim_candidate_eigenvalues(candidate, &values, &how);
    if (status != FIM_OK)
        return status;
    const size_t d = values->size;
    const double largest = fmax(fabs(gsl_vector_get(values, 0)), fabs(gsl_vector_get(values, d - 1)));
    // Factors of iterative methods carry their residual, and with it semidefinite ones carry eigenvalues of
    // this size.
    const double negligible = 1e-9 * largest;
    size_t count = 0;
    while (count < d && gsl_vector_get(values, d - 1 - count) < -negligible)
        count++;
    *value = (double)count;
    snprintf(route, 200, "%.150s; below %.1e", how, -negligible);
    return FIM_OK;
}

fim_status metric_bytes(fim_candidate *candidate, double *value, char *route) {
    *value = (double)fim_op_bytes(candidate->op);
    sprintf(route, "%s", fim_op_kind(candidate->op));
    return FIM_OK;
}
