// spectral_norm_error: the largest |λ| of F − F̂, a symmetric map known by its products, by the Lanczos
// process from both ends.
#include <math.h>
#include <stdio.h>

#include "metric.h"

// ‖F − op‖₂, or ‖F‖₂ for op NULL. A residual of 1e-6 puts the value within 1e-6 of an eigenvalue, relatively,
// and mostly within its square.
static fim_status spectral_norm(fim_reference *reference, fim_candidate *candidate, double *value,
                                char *route) {
    fim_lanczos_info info = {0};
    gsl_vector *found = NULL;
    const small_op *small = NULL;
    fim_status status = FIM_OK;
    if (candidate == NULL && reference->spectrum.values != NULL) { // F is semidefinite
        *value = gsl_vector_get(reference->spectrum.values, 0);
        return FIM_OK;
    }
    if (candidate != NULL)
        FIM_TRY(candidate_small(candidate, &small));
    if (small != NULL) {
        status = independent_norm(small, value, route);
        if (status != FIM_ERR_UNAVAILABLE)
            return status;
    }
    FIM_TRY(fim_vector_new(1, "an eigenvalue", &found));
    status = difference_eigenvalues(reference, candidate, true, 1, FIM_LANCZOS_MAGNITUDE, 1e-6, found, &info);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    *value = fabs(gsl_vector_get(found, 0));
    sprintf(route, "%sLanczos, %zu products, residual %.1e",
            status == FIM_OK ? "" : "lower bound, not converged: ", info.products, info.residual);
    status = FIM_OK;
out:
    gsl_vector_free(found);
    return status;
}

// The norm of the difference, from the twin where it is known.
static fim_status difference_norm(fim_candidate *candidate, double *value, char *route) {
    fim_reference *reference = candidate->reference;
    twin *known = candidate->twin;
    if (known != NULL && known->spectral_norm >= 0) {
        *value = known->spectral_norm;
        snprintf(route, 200, "%.140s, of an operator %.0e ‖F‖ away", known->norm_route,
                 candidate->distance / fim_reference_norm(reference));
        return FIM_OK;
    }
    fim_status status = spectral_norm(reference, candidate, value, route);
    if (status == FIM_OK && known != NULL) {
        known->spectral_norm = *value;
        snprintf(known->norm_route, sizeof known->norm_route, "%.199s", route);
    }
    return status;
}

fim_status metric_spectral_norm_error(fim_candidate *candidate, double *value, char *route) {
    fim_reference *reference = candidate->reference;
    fim_status status = FIM_OK;
    if (!(reference->norm2 > 0))
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero");
    if (reference->spectral_norm < 0)
        status = spectral_norm(reference, NULL, &reference->spectral_norm, route);
    double norm;
    if (status == FIM_OK)
        status = difference_norm(candidate, &norm, route);
    if (status == FIM_OK)
        *value = norm / reference->spectral_norm;
    return status;
}
