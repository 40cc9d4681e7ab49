// kpsvd:R, lanczos, deflation, kfac-corrected: Kronecker terms from the singular value decomposition of the
// rearranged block (Koroko et al. 2022, arXiv 2201.10285; Van Loan & Pitsianis 1993).
//
//   kpsvd:R         the R leading triplets σ U ⊗ V of R(F): the best R-term approximation in the Frobenius
//   norm (Eckart-Young) lanczos         the same for R = 2, under the paper's name deflation       the first
//   triplet, then the first of the remainder: converged, the same two terms kfac-corrected  A ⊗ G of KFAC
//   plus the first triplet of R(F) − vec(A)vec(G)ᵀ: error² = error(kfac)² − σ₁²
//
// The first pair is positive semidefinite; a second one is indefinite in general, and so can the sum be. Each
// product with R(F) costs N (d_a² + C d_g²) flops and F is never formed; R (d_a² + d_g²) numbers.
#include "approx.h"

fim_status approx_kpsvd(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                        fim_approx_info *info) {
    terms t;
    fim_status status = terms_init(&t, options->rank);
    if (status == FIM_OK)
        status = terms_add_triplets(&t, f, options->rank, options, info);
    if (status == FIM_OK)
        status = terms_finish(&t, out);
    terms_clear(&t);
    return status;
}

fim_status approx_lanczos(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                          fim_approx_info *info) {
    return approx_kpsvd(f, options, out, info);
}

fim_status approx_deflation(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                            fim_approx_info *info) {
    terms t;
    fim_status status = terms_init(&t, 2);
    for (size_t k = 0; k < 2 && status == FIM_OK; k++)
        status = terms_add_triplets(&t, f, 1, options, info);
    if (status == FIM_OK)
        status = terms_finish(&t, out);
    terms_clear(&t);
    return status;
}

fim_status approx_kfac_corrected(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                                 fim_approx_info *info) {
    terms t;
    fim_status status = terms_init(&t, 2);
    if (status == FIM_OK)
        status = approx_means(f, &t.a[0], &t.g[0]);
    if (status == FIM_OK) {
        t.count = 1;
        status = terms_add_triplets(&t, f, 1, options, info);
    }
    if (status == FIM_OK)
        status = terms_finish(&t, out);
    terms_clear(&t);
    return status;
}
