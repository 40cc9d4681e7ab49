// Leading singular triplets of R(F), or of what known Kronecker terms leave of it, by products with R(F)
// alone.
//
// Two ways. Golub-Kahan-Lanczos from the identity takes ten to sixty products. Where a product is dear and
// the samples are few, the core of the samples (core.c) gives the triplets to about 1e-8 for nothing beside
// the Gram matrices that ‖F‖ has already paid; subspace iteration polishes and judges them with a few
// products: a round
//     Y = M V,   Q = orth(Y),   Z = Mᵀ Q = X S Wᵀ   ->   U = Q X, V = W
// contracts the error by (σ_{k+1}/σ_k)². Both stop on residuals measured with the map itself.
#include "triplets.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>

#include "core.h"
#include "fim/linalg.h"

enum { ROUNDS = 12 };

fim_status remainder_init(remainder_map *r, const fim_fisher *f, size_t n_known, gsl_matrix *const *a,
                          gsl_matrix *const *g) {
    *r = (remainder_map){.f = f,
                         .n_known = n_known,
                         .p_a = fim_svec_size(f->d_a),
                         .p_g = fim_svec_size(f->d_g),
                         .a = a,
                         .g = g};
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(f->d_a, f->d_a, "a Kronecker factor", &r->side_a));
    FIM_TRY(fim_matrix_new(f->d_g, f->d_g, "a Kronecker factor", &r->side_g));
    FIM_TRY(fim_alloc(r->p_a, sizeof(double), "a packed factor", &r->packed_a));
    FIM_TRY(fim_alloc(r->p_g, sizeof(double), "a packed factor", &r->packed_g));
out:
    if (status != FIM_OK)
        remainder_clear(r);
    return status;
}

void remainder_clear(remainder_map *r) {
    gsl_matrix_free(r->side_a);
    gsl_matrix_free(r->side_g);
    free(r->packed_a);
    free(r->packed_g);
    *r = (remainder_map){0};
}

static fim_status remainder_apply(const void *context, bool transposed, const double *x, double *y) {
    const remainder_map *r = context;
    fim_svec_unpack(x, transposed ? r->side_a : r->side_g);
    fim_status status = transposed ? fim_fisher_rearranged_transposed(r->f, r->side_a, r->side_g)
                                   : fim_fisher_rearranged(r->f, r->side_g, r->side_a);
    if (status != FIM_OK)
        return status;
    fim_svec_pack(transposed ? r->side_g : r->side_a, y);
    for (size_t k = 0; k < r->n_known; k++) {
        fim_svec_pack(r->a[k], r->packed_a);
        fim_svec_pack(r->g[k], r->packed_g);
        if (transposed)
            cblas_daxpy((int)r->p_g, -cblas_ddot((int)r->p_a, r->packed_a, 1, x, 1), r->packed_g, 1, y, 1);
        else
            cblas_daxpy((int)r->p_a, -cblas_ddot((int)r->p_g, r->packed_g, 1, x, 1), r->packed_a, 1, y, 1);
    }
    return FIM_OK;
}

// ---- Golub-Kahan-Lanczos ----

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

fim_status triplets_krylov(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                           gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info) {
    const fim_map map = {.rows = r->p_a, .columns = r->p_g, .context = r, .apply = remainder_apply};
    fim_gkl_options own = *options;
    double *start = NULL;
    fim_status status = FIM_OK;
    if (own.start == NULL) {
        FIM_TRY(fim_alloc(r->p_g, sizeof *start, "a starting vector", &start));
        FIM_TRY(starting_vector(r->f->d_g, own.seed, start));
        own.start = start;
    }
    status = fim_gkl(&map, k, &own, u, sigma, v, info);
out:
    free(start);
    return status;
}

// ---- The core ----

// S − Σ (Q_aᵀ svec(A)) (Q_gᵀ svec(G))ᵀ: the known terms as the core sees them.
static fim_status remaining_core(const remainder_map *r, const core *c, const fim_samples *s, gsl_matrix *m) {
    gsl_vector *q = NULL, *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(s->n, "products with the samples", &q));
    FIM_TRY(fim_vector_new(m->size1, "a term in the core", &x));
    FIM_TRY(fim_vector_new(m->size2, "a term in the core", &y));
    gsl_matrix_memcpy(m, c->s);
    for (size_t k = 0; k < r->n_known; k++) {
        FIM_TRY(rows_quadratic(s->a, 1, r->a[k], q->data));
        gsl_blas_dgemv(CblasTrans, 1, c->w_a, q, 0, x);
        FIM_TRY(outputs_inner(s, r->g[k], q->data));
        gsl_blas_dgemv(CblasTrans, 1, c->w_g, q, 0, y);
        gsl_blas_dger(-1, x, y, m);
    }
out:
    gsl_vector_free(q);
    gsl_vector_free(x);
    gsl_vector_free(y);
    return status;
}

static fim_status small_apply(const void *context, bool transposed, const double *x, double *y) {
    const gsl_matrix *m = context;
    gsl_vector_const_view from = gsl_vector_const_view_array(x, transposed ? m->size1 : m->size2);
    gsl_vector_view to = gsl_vector_view_array(y, transposed ? m->size2 : m->size1);
    gsl_blas_dgemv(transposed ? CblasTrans : CblasNoTrans, 1, m, &from.vector, 0, &to.vector);
    return FIM_OK;
}

// v (k, p_g): the leading right singular vectors of the core, as sums of G_n.
static fim_status estimate(const remainder_map *r, size_t k, uint64_t seed, gsl_matrix *v) {
    core *c = r->f->class->core(r->f);
    const fim_samples *s = r->f->class->samples(r->f);
    gsl_matrix *m = NULL, *left = NULL, *right = NULL;
    gsl_vector *sigma = NULL, *weights = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(core_factors(c, s));
    // Repeated samples, or some without any gradient, leave fewer directions than samples.
    if (c->s->size1 < k || c->s->size2 < k) {
        status = FIM_FAIL(FIM_NOT_CONVERGED, "a core of (%zu, %zu) does not hold %zu triplets", c->s->size1,
                          c->s->size2, k);
        goto out;
    }
    FIM_TRY(fim_matrix_new(c->s->size1, c->s->size2, "the core of a remainder", &m));
    FIM_TRY(fim_matrix_new(k, m->size1, "its singular vectors", &left));
    FIM_TRY(fim_matrix_new(k, m->size2, "its singular vectors", &right));
    FIM_TRY(fim_vector_new(k, "its singular values", &sigma));
    FIM_TRY(fim_vector_new(s->n, "weights of samples", &weights));
    FIM_TRY(remaining_core(r, c, s, m));
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = m, .apply = small_apply};
    status = fim_gkl(&map, k, &(fim_gkl_options){.seed = seed}, left, sigma, right, NULL);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED) // an estimate is judged by what follows
        goto out;
    status = FIM_OK;
    for (size_t i = 0; i < k; i++) {
        gsl_vector_const_view x = gsl_matrix_const_row(right, i);
        gsl_blas_dgemv(CblasNoTrans, 1, c->w_g, &x.vector, 0, weights);
        FIM_TRY(outputs_sum(s, weights->data, r->side_g));
        fim_svec_pack(r->side_g, v->data + i * v->tda);
    }
out:
    gsl_matrix_free(m);
    gsl_matrix_free(left);
    gsl_matrix_free(right);
    gsl_vector_free(sigma);
    gsl_vector_free(weights);
    return status;
}

// Orthonormal rows in place (twice Gram-Schmidt); a row that vanishes stays zero.
static void orthonormalize(gsl_matrix *rows) {
    const int n = (int)rows->size2;
    for (size_t i = 0; i < rows->size1; i++) {
        double *x = rows->data + i * rows->tda;
        for (int pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++) {
                const double *y = rows->data + j * rows->tda;
                cblas_daxpy(n, -cblas_ddot(n, y, 1, x, 1), y, 1, x, 1);
            }
        const double length = cblas_dnrm2(n, x, 1);
        cblas_dscal(n, length > 0 ? 1 / length : 0, x, 1);
    }
}

// With Z = Mᵀ Q row by row: rotates z into σ_i v_i and q into u_i by the eigenvectors of Z Zᵀ; v and u are
// overwritten.
static fim_status rayleigh_ritz(const gsl_matrix *q, const gsl_matrix *z, gsl_matrix *u, gsl_vector *sigma,
                                gsl_matrix *v) {
    const size_t k = q->size1;
    gsl_matrix *x = NULL;
    fim_status status = fim_matrix_new(k, k, "a small eigenproblem", &x);
    if (status != FIM_OK)
        return status;
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, z, z, 0, x);
    FIM_TRY(fim_eigen(x, sigma));
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, x, q, 0, u);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, x, z, 0, v);
    for (size_t i = 0; i < k; i++) {
        gsl_vector_view row = gsl_matrix_row(v, i);
        const double length = gsl_blas_dnrm2(&row.vector);
        gsl_vector_set(sigma, i, length);
        gsl_vector_scale(&row.vector, length > 0 ? 1 / length : 0);
    }
out:
    gsl_matrix_free(x);
    return status;
}

fim_status triplets_core(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                         gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info) {
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-10;
    gsl_matrix *y = NULL, *z = NULL;
    fim_gkl_info result = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(k, r->p_a, "left singular vectors", &y));
    FIM_TRY(fim_matrix_new(k, r->p_g, "right singular vectors", &z));
    FIM_TRY(estimate(r, k, options->seed, v));
    for (size_t round = 0; round <= ROUNDS; round++) {
        for (size_t i = 0; i < k; i++)
            FIM_TRY(remainder_apply(r, false, v->data + i * v->tda, y->data + i * y->tda));
        result.products += k;
        if (round > 0) { // Mᵀ u = σ v holds by construction, M v = σ u is what may still be missed
            double worst = 0;
            for (size_t i = 0; i < k; i++) {
                const double *u_i = u->data + i * u->tda;
                cblas_dcopy((int)r->p_a, u_i, 1, r->packed_a, 1);
                cblas_dscal((int)r->p_a, -gsl_vector_get(sigma, i), r->packed_a, 1);
                cblas_daxpy((int)r->p_a, 1, y->data + i * y->tda, 1, r->packed_a, 1);
                worst = fmax(worst, cblas_dnrm2((int)r->p_a, r->packed_a, 1));
            }
            const double largest = gsl_vector_get(sigma, 0);
            result.residual = largest > 0 ? worst / largest : worst;
            result.converged = result.residual <= tolerance || largest <= options->negligible;
            if (result.converged || round == ROUNDS)
                break;
        }
        orthonormalize(y);
        for (size_t i = 0; i < k; i++)
            FIM_TRY(remainder_apply(r, true, y->data + i * y->tda, z->data + i * z->tda));
        result.products += k;
        FIM_TRY(rayleigh_ritz(y, z, u, sigma, v));
    }
    *info = result;
    if (!result.converged)
        status = FIM_FAIL(FIM_NOT_CONVERGED,
                          "%zu polished singular triplets: relative residual %.1e after %zu products", k,
                          result.residual, result.products);
out:
    gsl_matrix_free(y);
    gsl_matrix_free(z);
    return status;
}

// The core costs some 30 N³ flops and saves about twenty products. A packed side is read from memory, at the
// time of some eight flops a multiplication.
static bool core_pays(const fim_fisher *f, const remainder_map *r) {
    const fim_samples *s = f->class->samples(f);
    if (s == NULL || s->n >= r->p_a || s->n >= r->p_g || s->n > CORE_SAMPLES)
        return false;
    const double n = (double)s->n, d_a = (double)s->d_a, d_g = (double)s->d_g;
    const double outputs = s->g != NULL        ? 2 * (double)s->columns * d_g * d_g
                           : s->packed != NULL ? 16 * (double)r->p_g
                                               : 2 * d_g;
    return 20 * n * (2 * d_a * d_a + outputs) >= 30 * n * n * n;
}

fim_status fim_fisher_triplets(const fim_fisher *f, size_t n_known, gsl_matrix *const *a,
                               gsl_matrix *const *g, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                               gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info) {
    remainder_map r;
    gsl_vector *start = NULL;
    double norm2;
    fim_status status = remainder_init(&r, f, n_known, a, g);
    if (status != FIM_OK)
        return status;
    // What is left of F at the level of rounding is not a term, and its residual no failure.
    fim_gkl_options own = *options;
    FIM_TRY(fim_fisher_norm2(f, &norm2));
    own.negligible = FIM_NEGLIGIBLE * sqrt(norm2);
    fim_gkl_info found = {0};
    status = core_pays(f, &r) ? triplets_core(&r, k, &own, u, sigma, v, &found) : FIM_NOT_CONVERGED;
    if (status == FIM_NOT_CONVERGED) {
        const size_t spent = found.products;
        FIM_TRY(fim_vector_new(r.p_g, "a starting vector", &start));
        for (size_t i = 0; spent > 0 && i < k; i++) { // clustered values: what was found is a good start
            gsl_vector_const_view v_i = gsl_matrix_const_row(v, i);
            gsl_vector_add(start, &v_i.vector);
        }
        own.start = spent > 0 ? start->data : options->start;
        status = triplets_krylov(&r, k, &own, u, sigma, v, &found);
        found.products += spent;
    }
    if (status == FIM_OK || status == FIM_NOT_CONVERGED)
        *info = found;
out:
    remainder_clear(&r);
    gsl_vector_free(start);
    return status;
}
