// Leading singular triplets of the rearranged block from the core of the samples (core.c).
//
// The core has them to about 1e-8. Subspace iteration in the coordinates of the samples takes them to
// rounding at N² a product, and what is left is a product with the block itself: of right vectors v = P̂_gᵀ x
//     U Σ = M V   by R(F),   Mᵀ U = P̂_gᵀ C P̂_a U   in coordinates, with the inputs alone.
// The residual ‖Mᵀ u − σ v‖ is the length of a difference of coordinates. Where it misses the tolerance, v
// becomes Mᵀ u / σ, which contracts the error by (σ_{k+1}/σ_k)².
#include <float.h>
#include <gsl/gsl_blas.h>
#include <math.h>

#include "core.h"
#include "fim/linalg.h"
#include "triplets.h"

enum { ROUNDS = 12 };

// The remainder as its samples and known terms see it: M = P̂_aᵀ C P̂_g, where the rows of P̂_a are svec(a_n
// a_nᵀ) and then the packed A of the known terms, likewise P̂_g, and C is diagonal: 1/N for samples, −1 for
// known terms. A right vector is v = P̂_gᵀ x, a left one u = P̂_aᵀ y.
typedef struct coordinates {
    const remainder_map *r;
    const fim_samples *s;
    size_t n;              // samples and known terms
    gsl_matrix *k_a, *k_g; // (n, n) Gram matrices P̂ P̂ᵀ
    gsl_vector *c;         // (n) the diagonal of C
} coordinates;

static void coordinates_clear(coordinates *o) {
    gsl_matrix_free(o->k_a);
    gsl_matrix_free(o->k_g);
    gsl_vector_free(o->c);
}

static fim_status coordinates_init(coordinates *o, const remainder_map *r) {
    core *c = r->f->class->core(r->f);
    const fim_samples *s = r->f->class->samples(r->f);
    const size_t n = s->n + r->n_known;
    *o = (coordinates){.r = r, .s = s, .n = n};
    gsl_vector *q = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(core_factors(c, s));
    FIM_TRY(fim_matrix_new(n, n, "a Gram matrix", &o->k_a));
    FIM_TRY(fim_matrix_new(n, n, "a Gram matrix", &o->k_g));
    FIM_TRY(fim_vector_new(n, "weights of samples", &o->c));
    FIM_TRY(fim_vector_new(s->n, "products with the samples", &q));
    for (size_t side = 0; side < 2; side++) {
        gsl_matrix *k = side == 0 ? o->k_a : o->k_g, *const *known = side == 0 ? r->a : r->g;
        gsl_matrix_view samples = gsl_matrix_submatrix(k, 0, 0, s->n, s->n);
        gsl_matrix_memcpy(&samples.matrix, side == 0 ? c->k_a : c->k_g);
        for (size_t i = 0; i < r->n_known; i++) {
            FIM_TRY(side == 0 ? rows_quadratic(s->a, 1, known[i], q->data)
                              : outputs_inner(s, known[i], q->data));
            for (size_t j = 0; j < n; j++) {
                const double entry =
                    j < s->n ? gsl_vector_get(q, j) : fim_matrix_inner(known[i], known[j - s->n]);
                gsl_matrix_set(k, s->n + i, j, entry);
                gsl_matrix_set(k, j, s->n + i, entry);
            }
        }
    }
    for (size_t j = 0; j < n; j++)
        gsl_vector_set(o->c, j, j < s->n ? 1.0 / (double)s->n : -1);
out:
    gsl_vector_free(q);
    if (status != FIM_OK)
        coordinates_clear(o);
    return status;
}

// S − Σ (Q_aᵀ svec(A)) (Q_gᵀ svec(G))ᵀ: the known terms as the core sees them.
static fim_status remaining_core(const coordinates *o, const core *c, gsl_matrix *m) {
    gsl_vector *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(m->size1, "a term in the core", &x));
    FIM_TRY(fim_vector_new(m->size2, "a term in the core", &y));
    gsl_matrix_memcpy(m, c->s);
    for (size_t k = o->s->n; k < o->n; k++) {
        gsl_vector_const_view q_a = gsl_matrix_const_subrow(o->k_a, k, 0, o->s->n);
        gsl_vector_const_view q_g = gsl_matrix_const_subrow(o->k_g, k, 0, o->s->n);
        gsl_blas_dgemv(CblasTrans, 1, c->w_a, &q_a.vector, 0, x);
        gsl_blas_dgemv(CblasTrans, 1, c->w_g, &q_g.vector, 0, y);
        gsl_blas_dger(-1, x, y, m);
    }
out:
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

// x (k, n): the leading right singular vectors of the core.
static fim_status estimate(const coordinates *o, uint64_t seed, gsl_matrix *x) {
    const core *c = o->r->f->class->core(o->r->f);
    const size_t k = x->size1;
    gsl_matrix *m = NULL, *left = NULL, *right = NULL;
    gsl_vector *sigma = NULL;
    fim_status status = FIM_OK;
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
    FIM_TRY(remaining_core(o, c, m));
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = m, .apply = small_apply};
    status = fim_gkl(&map, k, &(fim_gkl_options){.seed = seed}, left, sigma, right, NULL);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED) // an estimate is judged by what follows
        goto out;
    status = FIM_OK;
    gsl_matrix_set_zero(x);
    gsl_matrix_view samples = gsl_matrix_submatrix(x, 0, 0, k, o->s->n);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, right, c->w_g, 0, &samples.matrix);
out:
    gsl_matrix_free(m);
    gsl_matrix_free(left);
    gsl_matrix_free(right);
    gsl_vector_free(sigma);
    return status;
}

// xᵀ K y.
static double form(const gsl_matrix *k, const double *x, const double *y) {
    double sum = 0;
    for (size_t i = 0; i < k->size1; i++)
        sum += x[i] * cblas_ddot((int)k->size2, k->data + i * k->tda, 1, y, 1);
    return sum;
}

// The rows of x become orthonormal as vectors P̂ᵀ x, of which K is the Gram matrix; one that vanishes stays
// zero.
static void orthonormalize_in(const gsl_matrix *k, gsl_matrix *x) {
    const int n = (int)x->size2;
    for (size_t i = 0; i < x->size1; i++) {
        double *row = x->data + i * x->tda;
        for (int pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++)
                cblas_daxpy(n, -form(k, x->data + j * x->tda, row), x->data + j * x->tda, 1, row, 1);
        const double length = sqrt(fmax(form(k, row, row), 0));
        cblas_dscal(n, length > 0 ? 1 / length : 0, row, 1);
    }
}

// Subspace iteration in the coordinates alone, which cost n² a product: takes x from the 1e-8 of the core
// to what the Gram matrices resolve beside the leading triplet.
static fim_status polish(const coordinates *o, gsl_matrix *x) {
    enum { POLISHING = 24 };
    gsl_matrix *y = NULL;
    fim_status status = fim_matrix_new(x->size1, x->size2, "polished coordinates", &y);
    if (status != FIM_OK)
        return status;
    for (size_t round = 0; round < POLISHING; round++)
        for (size_t side = 0; side < 2; side++) {
            gsl_matrix *from = side == 0 ? x : y, *to = side == 0 ? y : x;
            gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, from, side == 0 ? o->k_g : o->k_a, 0, to);
            gsl_matrix_scale_columns(to, o->c);
            orthonormalize_in(side == 0 ? o->k_a : o->k_g, to);
        }
    gsl_matrix_free(y);
    return FIM_OK;
}

// v (k, p_g) = P̂_gᵀ x, row by row.
static fim_status right_vectors(const coordinates *o, const gsl_matrix *x, gsl_matrix *v) {
    const remainder_map *r = o->r;
    for (size_t i = 0; i < x->size1; i++) {
        const double *row = x->data + i * x->tda;
        fim_status status = outputs_sum(o->s, row, r->side_g);
        if (status != FIM_OK)
            return status;
        for (size_t k = 0; k < r->n_known; k++)
            for (size_t j = 0; j < r->side_g->size1; j++)
                cblas_daxpy((int)r->side_g->size2, row[o->s->n + k], r->g[k]->data + j * r->g[k]->tda, 1,
                            r->side_g->data + j * r->side_g->tda, 1);
        fim_svec_pack(r->side_g, v->data + i * v->tda);
    }
    return FIM_OK;
}

// Orthonormal rows in place (twice Gram-Schmidt), and the same done to the rows of x; a row that vanishes
// stays zero.
static void orthonormalize(gsl_matrix *rows, gsl_matrix *x) {
    const int n = (int)rows->size2, m = (int)x->size2;
    for (size_t i = 0; i < rows->size1; i++) {
        double *row = rows->data + i * rows->tda, *x_i = x->data + i * x->tda;
        for (int pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++) {
                const double *other = rows->data + j * rows->tda, along = cblas_ddot(n, other, 1, row, 1);
                cblas_daxpy(n, -along, other, 1, row, 1);
                cblas_daxpy(m, -along, x->data + j * x->tda, 1, x_i, 1);
            }
        const double length = cblas_dnrm2(n, row, 1);
        cblas_dscal(n, length > 0 ? 1 / length : 0, row, 1);
        cblas_dscal(m, length > 0 ? 1 / length : 0, x_i, 1);
    }
}

// m = R m for R (k, k) given by its columns; scratch has m's size.
static void rotate(const gsl_matrix *columns, gsl_matrix *m, gsl_matrix *scratch) {
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, columns, m, 0, scratch);
    gsl_matrix_memcpy(m, scratch);
}

// With u (k, p_a) = M v row by row: rotates u, v and x so that the rows of u are orthogonal, and scales u to
// unit rows; sigma takes their norms.
static fim_status rayleigh_ritz(gsl_matrix *u, gsl_vector *sigma, gsl_matrix *v, gsl_matrix *x) {
    const size_t k = u->size1;
    gsl_matrix *turn = NULL, *scratch = NULL;
    fim_status status = FIM_OK;
    if (k > 1) {
        gsl_matrix *const rotated[] = {u, v, x};
        FIM_TRY(fim_matrix_new(k, k, "a small eigenproblem", &turn));
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, u, u, 0, turn);
        FIM_TRY(fim_eigen(turn, sigma));
        for (size_t i = 0; i < 3; i++) {
            FIM_TRY(fim_matrix_new(k, rotated[i]->size2, "rotated vectors", &scratch));
            rotate(turn, rotated[i], scratch);
            gsl_matrix_free(scratch);
            scratch = NULL;
        }
    }
    for (size_t i = 0; i < k; i++) {
        gsl_vector_view row = gsl_matrix_row(u, i);
        const double length = gsl_blas_dnrm2(&row.vector);
        gsl_vector_set(sigma, i, length);
        gsl_vector_scale(&row.vector, length > 0 ? 1 / length : 0);
    }
out:
    gsl_matrix_free(turn);
    gsl_matrix_free(scratch);
    return status;
}

// next (k, n) = C P̂_a u, the coordinates of Mᵀ u; *worst = max ‖Mᵀ u − σ v‖. What rounds away in the Gram
// matrix is added.
static fim_status transposed(const coordinates *o, const gsl_matrix *u, const gsl_vector *sigma,
                             const gsl_matrix *x, gsl_matrix *next, double *worst) {
    const remainder_map *r = o->r;
    gsl_vector *apart = NULL;
    fim_status status = fim_vector_new(o->n, "a residual in coordinates", &apart);
    if (status != FIM_OK)
        return status;
    *worst = 0;
    for (size_t i = 0; i < u->size1; i++) {
        double *row = next->data + i * next->tda, size2 = 0;
        fim_svec_unpack(u->data + i * u->tda, r->side_a);
        FIM_TRY(rows_quadratic(o->s->a, 1, r->side_a, row));
        for (size_t k = 0; k < r->n_known; k++)
            row[o->s->n + k] = fim_matrix_inner(r->a[k], r->side_a);
        for (size_t j = 0; j < o->n; j++) {
            row[j] *= gsl_vector_get(o->c, j);
            const double d = row[j] - gsl_vector_get(sigma, i) * x->data[i * x->tda + j];
            gsl_vector_set(apart, j, d);
            size2 += d * d * gsl_matrix_get(o->k_g, j, j);
        }
        const double rounding = (double)o->n * DBL_EPSILON * size2;
        *worst = fmax(*worst, sqrt(fmax(form(o->k_g, apart->data, apart->data), 0) + rounding));
    }
out:
    gsl_vector_free(apart);
    return status;
}

fim_status triplets_core(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                         gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info) {
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-10;
    coordinates o;
    gsl_matrix *x = NULL, *next = NULL;
    fim_gkl_info result = {0};
    fim_status status = coordinates_init(&o, r);
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_matrix_new(k, o.n, "right vectors in coordinates", &x));
    FIM_TRY(fim_matrix_new(k, o.n, "right vectors in coordinates", &next));
    FIM_TRY(estimate(&o, options->seed, x));
    FIM_TRY(polish(&o, x));
    for (size_t round = 0; round < ROUNDS && !result.converged; round++) {
        double worst;
        FIM_TRY(right_vectors(&o, x, v));
        orthonormalize(v, x);
        for (size_t i = 0; i < k; i++)
            FIM_TRY(remainder_apply(r, false, v->data + i * v->tda, u->data + i * u->tda));
        FIM_TRY(rayleigh_ritz(u, sigma, v, x));
        // M v = σ u holds by construction, Mᵀ u = σ v is what may still be missed.
        FIM_TRY(transposed(&o, u, sigma, x, next, &worst));
        result.products += 2 * k;
        const double largest = gsl_vector_get(sigma, 0);
        result.residual = largest > 0 ? worst / largest : worst;
        result.converged = result.residual <= tolerance || largest <= options->negligible;
        gsl_matrix_memcpy(x, next);
    }
    *info = result;
    if (!result.converged)
        status = FIM_FAIL(FIM_NOT_CONVERGED,
                          "%zu polished singular triplets: relative residual %.1e after %zu products", k,
                          result.residual, result.products);
out:
    coordinates_clear(&o);
    gsl_matrix_free(x);
    gsl_matrix_free(next);
    return status;
}
