// diagonal: diag(F), the approximation behind Adam-like methods, and the best diagonal in any other basis.
//
// Cost: 2 N D flops for one gradient column per sample; D numbers. Keeps the trace and every diagonal entry.
#include "approx.h"
#include "fim/linalg.h"

fim_status approx_best_diagonal(const fim_fisher *f, gsl_matrix *u_a, gsl_matrix *u_g, fim_op **out,
                                fim_approx_info *info) {
    gsl_matrix *lambda = NULL;
    fim_op *op = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "the diagonal of F in a basis", &lambda));
    FIM_TRY(fim_fisher_diagonal(f, u_a, u_g, lambda));
    gsl_matrix *taken[] = {u_a, u_g, lambda};
    u_a = u_g = lambda = NULL;
    FIM_TRY(fim_op_new_basis(taken[0], taken[1], taken[2], &op));
    FIM_TRY(fim_op_norm2(op, &info->inner)); // ⟨F, U Λ Uᵀ⟩ = ‖Λ‖²
    *out = op;
    op = NULL;
out:
    fim_op_free(op);
    gsl_matrix_free(u_a);
    gsl_matrix_free(u_g);
    gsl_matrix_free(lambda);
    return status;
}

fim_status approx_diagonal(const fim_fisher *f, const fim_approx_options *options, fim_op **out,
                           fim_approx_info *info) {
    (void)options;
    return approx_best_diagonal(f, NULL, NULL, out, info);
}
