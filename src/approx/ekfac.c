// ekfac and tekfac: the best diagonal in a Kronecker eigenbasis. With A ⊗ G = U diag U^T, Λ = diag(Uᵀ F U)
// minimises ‖F − U Λ Uᵀ‖, and the error is √(‖F‖² − ‖Λ‖²). ekfac takes KFAC's factors (George et al. 2018,
// arXiv 1806.03884), tekfac TKFAC's (Gao et al. 2020, arXiv 2011.13609).
//
// Keeps the trace. Never worse than the factors whose basis it takes. Cost: two eigendecompositions and
// Λ_ij = mean_n (U_aᵀ a_n)_i² (U_gᵀ G_n U_g)_jj, the rotated rows being summed chunk by chunk; d_a² + d_g² +
// D numbers.
#include "approx.h"
#include "fim/linalg.h"

// In the eigenbasis of a ⊗ g. Takes a and g over.
static fim_status in_eigenbasis(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g, fim_op **out,
                                fim_approx_info *info) {
    gsl_vector *values_a = NULL, *values_g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(a->size1, "eigenvalues of A", &values_a));
    FIM_TRY(fim_vector_new(g->size1, "eigenvalues of G", &values_g));
    FIM_TRY(fim_eigen(a, values_a));
    FIM_TRY(fim_eigen(g, values_g));
out:
    gsl_vector_free(values_a);
    gsl_vector_free(values_g);
    if (status == FIM_OK)
        return approx_best_diagonal(f, a, g, out, info);
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    return status;
}

fim_status approx_ekfac(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                        fim_approx_info *info) {
    (void)options;
    gsl_matrix *a, *g;
    fim_status status = approx_means(f, &a, &g);
    return status == FIM_OK ? in_eigenbasis(f, a, g, out, info) : status;
}

fim_status approx_tekfac(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                         fim_approx_info *info) {
    (void)options;
    gsl_matrix *a, *g;
    fim_status status = approx_partial_traces(f, &a, &g);
    return status == FIM_OK ? in_eigenbasis(f, a, g, out, info) : status;
}
