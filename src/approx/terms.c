// Kronecker terms from the leading singular triplets of the rearranged block, or of what earlier terms leave
// of it.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "approx.h"
#include "fim/linalg.h"

fim_status terms_init(terms *t, size_t capacity) {
    *t = (terms){.capacity = capacity};
    fim_status status = fim_alloc(capacity, sizeof *t->a, "Kronecker terms", &t->a);
    if (status == FIM_OK)
        status = fim_alloc(capacity, sizeof *t->g, "Kronecker terms", &t->g);
    return status;
}

void terms_clear(terms *t) {
    for (size_t k = 0; k < t->count; k++) {
        gsl_matrix_free(t->a[k]);
        gsl_matrix_free(t->g[k]);
    }
    free(t->a);
    free(t->g);
    *t = (terms){0};
}

fim_status terms_finish(terms *t, fim_op **out) {
    fim_status status =
        fim_op_new_kronecker(t->count, t->a, t->g, out); // takes the matrices over in any case
    t->count = 0;
    return status;
}

// Appends √σ U ⊗ √σ V of packed u and v.
static fim_status append(terms *t, const double *u, const double *v, double sigma, size_t d_a, size_t d_g) {
    gsl_matrix *a = NULL, *g = NULL;
    fim_status status = fim_matrix_new(d_a, d_a, "a Kronecker factor", &a);
    if (status == FIM_OK)
        status = fim_matrix_new(d_g, d_g, "a Kronecker factor", &g);
    if (status != FIM_OK) {
        gsl_matrix_free(a);
        return status;
    }
    fim_svec_unpack(u, a);
    fim_svec_unpack(v, g);
    gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(a);
    const double scale = copysign(sqrt(sigma), gsl_vector_sum(&diagonal.vector));
    gsl_matrix_scale(a, scale);
    gsl_matrix_scale(g, scale);
    t->a[t->count] = a;
    t->g[t->count++] = g;
    return FIM_OK;
}

// The G factors of terms first .. first + k of an operator, each of unit norm, added up.
typedef struct warm_start {
    size_t first, k, found;
    double *packed, *sum; // (p_g)
    size_t p_g;
} warm_start;

static fim_status add_factor(void *context, const char *name, const gsl_matrix *matrix) {
    warm_start *w = context;
    size_t term;
    if (sscanf(name, "g_%zu", &term) != 1 || term < w->first || term >= w->first + w->k)
        return FIM_OK;
    fim_svec_pack(matrix, w->packed);
    const double length = cblas_dnrm2((int)w->p_g, w->packed, 1);
    if (length > 0)
        cblas_daxpy((int)w->p_g, 1 / length, w->packed, 1, w->sum, 1);
    w->found += length > 0;
    return FIM_OK;
}

// *start (p_g): a starting vector for the next k terms from those of `previous`, NULL when it has none.
static fim_status start_from(const fim_op *previous, size_t first, size_t k, double **start) {
    const size_t p_g = fim_svec_size(fim_op_d_g(previous));
    warm_start w = {.first = first, .k = k, .p_g = p_g};
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(p_g, sizeof(double), "a starting vector", &w.sum));
    FIM_TRY(fim_alloc(p_g, sizeof(double), "a packed factor", &w.packed));
    FIM_TRY(fim_op_visit(previous, add_factor, &w));
    if (w.found == k) {
        *start = w.sum;
        w.sum = NULL;
    }
out:
    free(w.sum);
    free(w.packed);
    return status;
}

fim_status terms_add_triplets(terms *t, const fim_fisher *f, size_t k, const fim_approx_options *options,
                              fim_approx_info *info) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f), n = fim_fisher_samples(f);
    const size_t p_a = fim_svec_size(d_a), p_g = fim_svec_size(d_g), most = p_a < p_g ? p_a : p_g;
    const size_t rank = most < n ? most : n; // R(F) has no more triplets
    gsl_matrix *u = NULL, *v = NULL;
    gsl_vector *sigma = NULL;
    double norm2 = 0, *start = NULL;
    fim_status status = FIM_OK;
    k = k < rank ? k : rank;
    FIM_TRY(fim_matrix_new(k, p_a, "left singular vectors", &u));
    FIM_TRY(fim_matrix_new(k, p_g, "right singular vectors", &v));
    FIM_TRY(fim_vector_new(k, "singular values", &sigma));
    FIM_TRY(fim_fisher_norm2(f, &norm2));
    if (options->previous != NULL)
        FIM_TRY(start_from(options->previous, t->count, k, &start));
    const fim_gkl_options krylov = {.tolerance = options->tolerance,
                                    .max_products = options->max_products,
                                    .steps = options->krylov_steps,
                                    .seed = options->seed,
                                    .start = start};
    fim_gkl_info found = {0};
    status = fim_fisher_triplets(f, t->count, t->a, t->g, k, &krylov, u, sigma, v, &found);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    status = FIM_OK;
    const double negligible = FIM_NEGLIGIBLE * sqrt(norm2);
    for (size_t i = 0; i < k && status == FIM_OK; i++)
        if (gsl_vector_get(sigma, i) > negligible || t->count == 0)
            status =
                append(t, u->data + i * u->tda, v->data + i * v->tda, gsl_vector_get(sigma, i), d_a, d_g);
    info->iterative = true;
    info->products += found.products;
    if (gsl_vector_get(sigma, 0) > negligible) {
        info->residual = fmax(info->residual, found.residual);
        info->converged = info->converged && found.converged;
    }
out:
    gsl_matrix_free(u);
    gsl_matrix_free(v);
    gsl_vector_free(sigma);
    free(start);
    return status;
}
