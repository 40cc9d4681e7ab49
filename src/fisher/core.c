// The rearranged block in the space of its samples. With K_a = P_a P_aᵀ = E Θ Eᵀ, the columns of P_aᵀ E
// Θ^{-1/2} are orthonormal, and likewise for g; between them Rs = P_aᵀ P_g / N becomes S = Θ_a^{1/2} E_aᵀ E_g
// Θ_g^{1/2} / N. A product with R(F) costs 2 N (d_a² + r d_g²) flops, one with S 2 N²: for wide layers the
// two Gram matrices are paid back by a few products.
//
// Gram matrices square the condition: directions below 1e-8 of the leading one are lost in rounding, and
// leading vectors carry errors of that order. What is computed here is therefore polished, and judged, by
// products with R(F) itself.
#include "core.h"

#include <float.h>
#include <gsl/gsl_blas.h>
#include <math.h>

#include "fim/linalg.h"

void core_clear(core *c) {
    gsl_matrix_free(c->k_a);
    gsl_matrix_free(c->k_g);
    gsl_matrix_free(c->w_a);
    gsl_matrix_free(c->w_g);
    gsl_matrix_free(c->s);
    *c = (core){0};
}

fim_status core_grams(core *c, const fim_samples *s) {
    gsl_matrix *k_a = NULL, *k_g = NULL;
    fim_status status = FIM_OK;
    if (c->k_a != NULL)
        return FIM_OK;
    FIM_TRY(fim_matrix_new(s->n, s->n, "a Gram matrix", &k_a));
    FIM_TRY(fim_matrix_new(s->n, s->n, "a Gram matrix", &k_g));
    FIM_TRY(rows_gram(s->a, 1, k_a));
    FIM_TRY(outputs_gram(s, k_g));
    c->k_a = k_a;
    c->k_g = k_g;
    return FIM_OK;
out:
    gsl_matrix_free(k_a);
    gsl_matrix_free(k_g);
    return status;
}

// From a Gram matrix K = E Θ Eᵀ: w (N, r) = E Θ^{-1/2}, root (N, r) = E Θ^{1/2}, r the directions above
// rounding.
static fim_status roots(const gsl_matrix *k, gsl_matrix **w, gsl_matrix **root) {
    gsl_matrix *e = NULL, *down = NULL, *up = NULL;
    gsl_vector *theta = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_copy(k, "eigenvectors of a Gram matrix", &e));
    FIM_TRY(fim_vector_new(k->size1, "eigenvalues of a Gram matrix", &theta));
    FIM_TRY(fim_eigen(e, theta));
    const double rounding = (double)k->size1 * DBL_EPSILON * gsl_vector_get(theta, 0);
    size_t r = 0;
    while (r < theta->size && gsl_vector_get(theta, r) > rounding)
        r++;
    FIM_TRY(fim_matrix_new(k->size1, r, "directions of the samples", &down));
    FIM_TRY(fim_matrix_new(k->size1, r, "directions of the samples", &up));
    for (size_t i = 0; i < k->size1; i++)
        for (size_t j = 0; j < r; j++) {
            const double scale = sqrt(gsl_vector_get(theta, j));
            gsl_matrix_set(down, i, j, gsl_matrix_get(e, i, j) / scale);
            gsl_matrix_set(up, i, j, gsl_matrix_get(e, i, j) * scale);
        }
    *w = down;
    *root = up;
    down = up = NULL;
out:
    gsl_matrix_free(e);
    gsl_matrix_free(down);
    gsl_matrix_free(up);
    gsl_vector_free(theta);
    return status;
}

fim_status core_factors(core *c, const fim_samples *s) {
    gsl_matrix *w_a = NULL, *w_g = NULL, *root_a = NULL, *root_g = NULL, *product = NULL;
    fim_status status = FIM_OK;
    if (c->s != NULL)
        return FIM_OK;
    FIM_TRY(core_grams(c, s));
    FIM_TRY(roots(c->k_a, &w_a, &root_a));
    FIM_TRY(roots(c->k_g, &w_g, &root_g));
    FIM_TRY(fim_matrix_new(root_a->size2, root_g->size2, "the core of a Fisher block", &product));
    if (product->size1 > 0 && product->size2 > 0)
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)s->n, root_a, root_g, 0, product);
    c->w_a = w_a;
    c->w_g = w_g;
    c->s = product;
    w_a = w_g = product = NULL;
out:
    gsl_matrix_free(w_a);
    gsl_matrix_free(w_g);
    gsl_matrix_free(root_a);
    gsl_matrix_free(root_g);
    gsl_matrix_free(product);
    return status;
}
