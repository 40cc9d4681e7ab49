// frobenius_error, by inner products: ‖F − F̂‖² = ‖F‖² − 2⟨F, F̂⟩ + ‖F̂‖², none of which needs a dense block.
// The sum cancels: below about 3e-5 its digits are lost, and the residual itself is formed where memory
// allows.
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "fim/linalg.h"
#include "metric.h"

// ‖F − F̂‖² from the dense matrices. FIM_ERR_BUDGET when they do not fit.
static fim_status dense_residual(const fim_candidate *candidate, double *out) {
    const fim_reference *reference = candidate->reference;
    const size_t d = fim_op_d_a(candidate->op) * fim_op_d_g(candidate->op);
    gsl_matrix *f = NULL, *op = NULL;
    // Two dense matrices, and the rearranged block (a quarter of one) while the first is made.
    fim_status status = fim_budget_check(reference_left(reference), fim_size_mul(fim_size_mul(d, d), 20),
                                         "a dense residual", "raise --memory");
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_matrix_new(d, d, "a dense Fisher block", &f));
    FIM_TRY(fim_matrix_new(d, d, "a dense approximation", &op));
    FIM_TRY(fim_fisher_dense(reference->f, f));
    FIM_TRY(fim_op_dense(candidate->op, op));
    gsl_matrix_sub(f, op);
    *out = fim_matrix_inner(f, f);
out:
    gsl_matrix_free(f);
    gsl_matrix_free(op);
    return status;
}

// ‖F − F̂‖² by inner products, or dense where these cancel.
static fim_status residual2(const fim_candidate *candidate, double *out, char *route) {
    const fim_reference *reference = candidate->reference;
    const fim_form form = fim_fisher_form(reference->f);
    double inner = candidate->inner, norm2;
    fim_status status = isnan(inner) ? fim_op_inner(candidate->op, &form, &inner) : FIM_OK;
    if (status == FIM_OK)
        status = fim_op_norm2(candidate->op, &norm2);
    if (status != FIM_OK)
        return status;
    const double scale = reference->norm2 + norm2;
    double error2 = reference->norm2 - 2 * inner + norm2;
    if (error2 > 1e-9 * scale) { // six digits or more are left
        sprintf(route, "inner products");
    } else if ((status = dense_residual(candidate, &error2)) == FIM_OK) {
        sprintf(route, "dense residual");
    } else if (status == FIM_ERR_BUDGET) {
        const double rounding = 64 * DBL_EPSILON * scale;
        error2 = fmax(error2, 0) + rounding;
        sprintf(route, "upper bound: inner products cancel down to %.0e", sqrt(rounding / reference->norm2));
        status = FIM_OK;
    }
    if (status == FIM_OK)
        *out = error2;
    return status;
}

fim_status candidate_frobenius2(fim_candidate *candidate, double *out, const char **route) {
    fim_status status = FIM_OK;
    if (candidate->frobenius2 < 0)
        status = residual2(candidate, &candidate->frobenius2, candidate->frobenius_route);
    if (status != FIM_OK)
        return status;
    *out = candidate->frobenius2;
    *route = candidate->frobenius_route;
    return FIM_OK;
}

fim_status metric_frobenius_error(fim_candidate *candidate, double *value, char *route) {
    const double norm2 = candidate->reference->norm2;
    if (!(norm2 > 0))
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero");
    double error2;
    const char *how;
    fim_status status = candidate_frobenius2(candidate, &error2, &how);
    if (status != FIM_OK)
        return status;
    *value = sqrt(error2 / norm2);
    snprintf(route, 200, "%s", how);
    return FIM_OK;
}
