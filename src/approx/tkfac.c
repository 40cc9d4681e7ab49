// tkfac: δ Φ ⊗ Ψ with δ = mean(‖a‖² tr G_n), Φ = mean(tr(G_n) a aᵀ)/δ, Ψ = mean(‖a‖² G_n)/δ (Gao et al. 2020,
// arXiv 2011.10741).
//
// These are one power step on both sides from the identity: δΦ = R(F) vec(I), δΨ = R(F)ᵀ vec(I), δ = tr F.
// Keeps both partial traces of F, and with them the trace. Cost: two products with R(F), d_a² + d_g² numbers.
#include "approx.h"
#include "fim/linalg.h"

fim_status approx_partial_traces(const fim_fisher *f, gsl_matrix **a, gsl_matrix **g) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    gsl_matrix *identity_a = NULL, *identity_g = NULL, *trace_a = NULL, *trace_g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_a, "an identity", &identity_a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "an identity", &identity_g));
    FIM_TRY(fim_matrix_new(d_a, d_a, "a partial trace", &trace_a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "a partial trace", &trace_g));
    gsl_matrix_set_identity(identity_a);
    gsl_matrix_set_identity(identity_g);
    FIM_TRY(fim_fisher_rearranged(f, identity_g, trace_a));
    FIM_TRY(fim_fisher_rearranged_transposed(f, identity_a, trace_g));
    *a = trace_a;
    *g = trace_g;
    trace_a = trace_g = NULL;
out:
    gsl_matrix_free(identity_a);
    gsl_matrix_free(identity_g);
    gsl_matrix_free(trace_a);
    gsl_matrix_free(trace_g);
    return status;
}

fim_status approx_tkfac(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                        fim_approx_info *info) {
    (void)options;
    (void)info;
    gsl_matrix *a, *g;
    fim_status status = approx_partial_traces(f, &a, &g);
    if (status != FIM_OK)
        return status;
    gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(a);
    const double delta = gsl_vector_sum(&diagonal.vector);
    gsl_matrix_scale(g, delta > 0 ? 1 / delta : 0); // a block of zeros stays zero
    return fim_op_new_kronecker(1, &a, &g, out);
}
