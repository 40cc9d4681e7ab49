// Leading singular triplets of R(F), or of what known Kronecker terms leave of it, by products with R(F)
// alone.
//
// Two ways. Golub-Kahan-Lanczos from the identity takes ten to sixty products. Where a product is dear and
// the samples are few, the core of the samples gives the triplets for little beside the Gram matrices that
// ‖F‖ has already paid (triplets_core.c). Both stop on residuals measured with the map itself.
#include "triplets.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>

#include "core.h"
#include "fim/linalg.h"

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

fim_status remainder_apply(const void *context, bool transposed, const double *x, double *y) {
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
// sure, the random part meets every other direction. Of diagonal covariances all others are null vectors.
static fim_status starting_vector(size_t d_g, bool diagonal, uint64_t seed, double *start) {
    const size_t p = fim_svec_size(d_g);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (rng == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, 1));
    for (size_t i = 0, at = 0; i < d_g; at += d_g - i, i++) {
        const size_t count = diagonal ? 1 : d_g - i;
        for (size_t j = 0; j < count; j++)
            start[at + j] =
                gsl_ran_gaussian_ziggurat(rng, 0.1 * sqrt((double)d_g / (double)(diagonal ? d_g : p)));
        start[at] += 1;
    }
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
        const fim_samples *s = r->f->class->samples(r->f);
        FIM_TRY(starting_vector(r->f->d_g, s != NULL && s->diagonal != NULL, own.seed, start));
        own.start = start;
    }
    status = fim_gkl(&map, k, &own, u, sigma, v, info);
out:
    free(start);
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
    // A Krylov space of so many steps is asked for itself, and not for what another way would find.
    const bool by_core = own.steps == 0 && core_pays(f, &r);
    status = by_core ? triplets_core(&r, k, &own, u, sigma, v, &found) : FIM_NOT_CONVERGED;
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
