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

// The lower end of F̂ where its spectrum is not complete.
static fim_status smallest(fim_candidate *candidate, double *value, char *route) {
    gsl_vector *found = NULL;
    fim_lanczos_info info = {0};
    twin *known = candidate->twin;
    fim_status status = FIM_OK;
    if (known != NULL && !isnan(known->smallest)) {
        *value = known->smallest;
        snprintf(route, 200, "%.140s, of an operator %.0e ‖F‖ away", known->smallest_route,
                 candidate->distance / fim_reference_norm(candidate->reference));
        return FIM_OK;
    }
    FIM_TRY(fim_vector_new(1, "an eigenvalue", &found));
    status = difference_eigenvalues(candidate->reference, candidate, false, 1, FIM_LANCZOS_SMALLEST, 1e-9,
                                    found, &info);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    *value = gsl_vector_get(found, 0);
    sprintf(route, "%sLanczos, %zu products, residual %.1e of the largest",
            status == FIM_OK ? "" : "upper bound, not converged: ", info.products, info.residual);
    status = FIM_OK;
    if (known != NULL) {
        known->smallest = *value;
        snprintf(known->smallest_route, sizeof known->smallest_route, "%.199s", route);
    }
out:
    gsl_vector_free(found);
    return status;
}

fim_status metric_min_eigenvalue(fim_candidate *candidate, double *value, char *route) {
    const fim_spectrum *spectrum;
    fim_status status = fim_candidate_spectrum(candidate, &spectrum);
    if (status != FIM_OK)
        return status;
    if (!spectrum->complete)
        return smallest(candidate, value, route);
    *value = gsl_vector_get(spectrum->values, spectrum->values->size - 1);
    snprintf(route, 200, "%s", spectrum->route);
    return FIM_OK;
}

fim_status metric_negative_eigenvalues(fim_candidate *candidate, double *value, char *route) {
    const fim_spectrum *spectrum;
    fim_status status = fim_candidate_spectrum(candidate, &spectrum);
    if (status != FIM_OK)
        return status;
    const gsl_vector *values = spectrum->values;
    if (!spectrum->complete)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "only the leading %zu of %zu eigenvalues are known: --spectra full computes all",
                        values->size, spectrum->size);
    const size_t d = values->size;
    const double largest = fmax(fabs(gsl_vector_get(values, 0)), fabs(gsl_vector_get(values, d - 1)));
    // Factors of iterative methods carry their residual, and with it semidefinite ones carry eigenvalues of
    // this size.
    const double negligible = 1e-9 * largest;
    size_t count = 0;
    while (count < d && gsl_vector_get(values, d - 1 - count) < -negligible)
        count++;
    *value = (double)count;
    snprintf(route, 200, "%.150s; below %.1e", spectrum->route, -negligible);
    return FIM_OK;
}

fim_status metric_bytes(fim_candidate *candidate, double *value, char *route) {
    *value = (double)fim_op_bytes(candidate->op);
    sprintf(route, "%s", fim_op_kind(candidate->op));
    return FIM_OK;
}
