// kfac: A ⊗ G with A = (1/N) Σ a aᵀ and G = (1/N) Σ G_n (Martens & Grosse 2015, arXiv 1503.05671).
//
// Exact when inputs and output covariances are uncorrelated: for N = 1, for the last layer under the gaussian
// likelihood, and for deep linear networks under it. Cost: N (d_a² + C d_g²) flops, d_a² + d_g² numbers.
#include "approx.h"
#include "fim/linalg.h"

fim_status approx_means(const fim_fisher *f, gsl_matrix **a, gsl_matrix **g) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    gsl_matrix *mean_a = NULL, *mean_g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_a, "KFAC's A", &mean_a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "KFAC's G", &mean_g));
    FIM_TRY(fim_fisher_moments(f, mean_a, mean_g));
    *a = mean_a;
    *g = mean_g;
    return FIM_OK;
out:
    gsl_matrix_free(mean_a);
    gsl_matrix_free(mean_g);
    return status;
}

fim_status approx_kfac(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                       fim_approx_info *info) {
    (void)options;
    (void)info;
    gsl_matrix *a, *g;
    fim_status status = approx_means(f, &a, &g);
    return status == FIM_OK ? fim_op_new_kronecker(1, &a, &g, out) : status;
}
