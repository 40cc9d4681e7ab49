// spectral_norm_error: the largest singular value of F − F̂, a symmetric map known by its products, by the
// same Golub-Kahan-Lanczos process that finds Kronecker terms.
#include <gsl/gsl_blas.h>
#include <stdio.h>

#include "fim/linalg.h"
#include "metric.h"

typedef struct difference {
    const fim_fisher *f;
    const fim_op *op; // or NULL
    gsl_matrix *product;
} difference;

// y = F x − F̂ x; the map is its own transpose.
static fim_status difference_apply(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const difference *self = context;
    const size_t d_a = fim_fisher_d_a(self->f), d_g = fim_fisher_d_g(self->f);
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, d_a, d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, d_a, d_g);
    fim_status status = fim_fisher_apply(self->f, &from.matrix, &to.matrix);
    if (status != FIM_OK || self->op == NULL)
        return status;
    status = fim_op_apply(self->op, &from.matrix, self->product);
    if (status == FIM_OK)
        gsl_matrix_sub(&to.matrix, self->product);
    return status;
}

// ‖F − op‖₂, or ‖F‖₂ for op NULL.
static fim_status spectral_norm(const fim_reference *reference, const fim_op *op, double *value,
                                char *route) {
    const size_t d_a = fim_fisher_d_a(reference->f), d_g = fim_fisher_d_g(reference->f), d = d_a * d_g;
    difference map_of = {.f = reference->f, .op = op};
    gsl_matrix *u = NULL, *v = NULL;
    gsl_vector *sigma = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_g, "a difference", &map_of.product));
    FIM_TRY(fim_matrix_new(1, d, "a singular vector", &u));
    FIM_TRY(fim_matrix_new(1, d, "a singular vector", &v));
    FIM_TRY(fim_vector_new(1, "a singular value", &sigma));
    const fim_map map = {.rows = d, .columns = d, .context = &map_of, .apply = difference_apply};
    // The value's relative error is about the square of the residual's.
    const fim_gkl_options options = {.tolerance = 1e-5, .max_products = 1000, .seed = reference->seed};
    fim_gkl_info info = {0};
    status = fim_gkl(&map, 1, &options, u, sigma, v, &info);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    *value = gsl_vector_get(sigma, 0);
    sprintf(route, "%sLanczos, %zu products, residual %.1e",
            status == FIM_OK ? "" : "lower bound, not converged: ", info.products, info.residual);
    status = FIM_OK;
out:
    gsl_matrix_free(map_of.product);
    gsl_matrix_free(u);
    gsl_matrix_free(v);
    gsl_vector_free(sigma);
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
        status = spectral_norm(reference, candidate->op, &norm, route);
    if (status == FIM_OK)
        *value = norm / reference->spectral_norm;
    return status;
}
