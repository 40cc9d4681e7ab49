// diagonal: diag(F), the approximation behind Adam-like methods.
//
// Cost: 2 N D flops for one gradient column per sample; D numbers. Keeps the trace and every diagonal entry.
#include "approx.h"
#include "fim/linalg.h"

fim_status approx_diagonal(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                           fim_approx_info *info) {
    (void)options;
    (void)info;
    gsl_matrix *lambda = NULL;
    fim_status status = fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "the diagonal", &lambda);
    if (status == FIM_OK)
        status = fim_fisher_diagonal(f, NULL, NULL, lambda);
    if (status == FIM_OK)
        return fim_op_new_basis(NULL, NULL, lambda, out);
    gsl_matrix_free(lambda);
    return status;
}
