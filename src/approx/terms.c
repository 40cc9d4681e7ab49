// Kronecker terms from the leading singular triplets of the rearranged block, or of what earlier terms leave
// of it.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
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

// The remainder R(F) − Σ vec(A)vec(G)ᵀ in symmetric packing, as a map for the Lanczos process.
typedef struct remainder_map {
    const fim_fisher *f;
    const terms *known;
    gsl_matrix *side_a, *side_g; // unpacked vectors
    double *packed_a, *packed_g; // packed factors of one known term
    size_t p_a, p_g;
} remainder_map;

static fim_status remainder_apply(const void *context, bool transposed, const double *x, double *y) {
    const remainder_map *r = context;
    fim_svec_unpack(x, transposed ? r->side_a : r->side_g);
    fim_status status = transposed ? fim_fisher_rearranged_transposed(r->f, r->side_a, r->side_g)
                                   : fim_fisher_rearranged(r->f, r->side_g, r->side_a);
    if (status != FIM_OK)
        return status;
    fim_svec_pack(transposed ? r->side_g : r->side_a, y);
    for (size_t k = 0; k < r->known->count; k++) {
        fim_svec_pack(r->known->a[k], r->packed_a);
        fim_svec_pack(r->known->g[k], r->packed_g);
        if (transposed)
            cblas_daxpy((int)r->p_g, -cblas_ddot((int)r->p_a, r->packed_a, 1, x, 1), r->packed_g, 1, y, 1);
        else
            cblas_daxpy((int)r->p_a, -cblas_ddot((int)r->p_g, r->packed_g, 1, x, 1), r->packed_a, 1, y, 1);
    }
    return FIM_OK;
}

// svec(I) plus a random part of a tenth of its norm: the identity meets the leading, semidefinite V₁ for
// sure, the random part meets every other direction.
static fim_status starting_vector(size_t d_g, uint64_t seed, double *start) {
    const size_t p = fim_svec_size(d_g);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (rng == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, 1));
    for (size_t i = 0; i < p; i++)
        start[i] = gsl_ran_gaussian_ziggurat(rng, 0.1 * sqrt((double)d_g / (double)p));
    for (size_t i = 0, at = 0; i < d_g; at += d_g - i, i++)
        start[at] += 1;
    gsl_rng_free(rng);
    return FIM_OK;
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

fim_status terms_add_triplets(terms *t, const fim_fisher *f, size_t k, const fim_approx_options *options,
                              fim_approx_info *info) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    remainder_map r = {.f = f, .known = t, .p_a = fim_svec_size(d_a), .p_g = fim_svec_size(d_g)};
    const size_t most = r.p_a < r.p_g ? r.p_a : r.p_g;
    const size_t rank =
        most < fim_fisher_samples(f) ? most : fim_fisher_samples(f); // R(F) has no more triplets
    k = k < rank ? k : rank;
    gsl_matrix *u = NULL, *v = NULL;
    gsl_vector *sigma = NULL;
    double *start = NULL, norm2 = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_a, "a Kronecker factor", &r.side_a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "a Kronecker factor", &r.side_g));
    FIM_TRY(fim_alloc(r.p_a, sizeof(double), "a packed factor", &r.packed_a));
    FIM_TRY(fim_alloc(r.p_g, sizeof(double), "a packed factor", &r.packed_g));
    FIM_TRY(fim_alloc(r.p_g, sizeof(double), "a starting vector", &start));
    FIM_TRY(fim_matrix_new(k, r.p_a, "left singular vectors", &u));
    FIM_TRY(fim_matrix_new(k, r.p_g, "right singular vectors", &v));
    FIM_TRY(fim_vector_new(k, "singular values", &sigma));
    FIM_TRY(starting_vector(d_g, options->seed, start));
    FIM_TRY(fim_fisher_norm2(f, &norm2));
    // What is left of F at the level of rounding is not a term, and its residual no failure.
    const double negligible = 1e-14 * sqrt(norm2);
    const fim_map map = {.rows = r.p_a, .columns = r.p_g, .context = &r, .apply = remainder_apply};
    const fim_gkl_options krylov = {.tolerance = options->tolerance,
                                    .max_products = options->max_products,
                                    .seed = options->seed,
                                    .start = start,
                                    .negligible = negligible};
    fim_gkl_info found = {0};
    status = fim_gkl(&map, k, &krylov, u, sigma, v, &found);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    status = FIM_OK;
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
    gsl_matrix_free(r.side_a);
    gsl_matrix_free(r.side_g);
    free(r.packed_a);
    free(r.packed_g);
    free(start);
    gsl_matrix_free(u);
    gsl_matrix_free(v);
    gsl_vector_free(sigma);
    return status;
}
