// Leading singular triplets of a linear map by Golub-Kahan-Lanczos bidiagonalization (Golub & Kahan 1965)
// with full reorthogonalization and thick restart (Baglama & Reichel, SIAM J. Sci. Comput. 27, 2005).
//
// The recurrence keeps orthonormal v_0..v_j and u_0..u_{j-1} with
//     M V = U B,    Mᵀ U = V Bᵀ + β v_j e_lastᵀ,
// B small and upper triangular. With B = X S Yᵀ, the triplets (U x_i, s_i, V y_i) satisfy the first equation
// exactly and miss the second by β |X[last, i]|: that is the residual which stops the iteration. A restart
// keeps the leading Ritz vectors instead of starting over: M v_j then couples to all of them, which the
// Gram-Schmidt coefficients pick up.
//
// One starting vector meets a multiple singular value once only, and none at all in directions orthogonal to
// it. So when the Krylov space is complete (β = 0), or when several triplets were asked for, those found are
// locked and the search goes on among the vectors orthogonal to them, from a random one, until it ends with
// nothing larger.
#include <gsl/gsl_blas.h>
#include <lapacke.h>
#include <math.h>

#include "krylov.h"

typedef struct workspace {
    krylov krylov;
    bool flipped;         // works on the transpose, so that the right vectors live in the smaller space:
    size_t rows, columns; // once that space is spent, nothing is missed
    size_t basis;         // most columns of B
    gsl_matrix *v, *u;    // (basis + 1, columns), (basis, rows): a basis vector a row
    gsl_matrix *b;        // (basis, basis)
    gsl_matrix *x, *yt;   // (basis, basis): left vectors of B as rows, right ones as rows
    gsl_vector *s;        // (basis)
    gsl_vector *locked;   // (k): the leading values when the present search began
    size_t n_locked;
    bool searching;   // some are locked, or the space was complete
    gsl_matrix *copy; // (basis, basis): B, for LAPACK to destroy
} workspace;

static void workspace_clear(workspace *w) {
    krylov_clear(&w->krylov);
    gsl_matrix_free(w->v);
    gsl_matrix_free(w->u);
    gsl_matrix_free(w->b);
    gsl_matrix_free(w->x);
    gsl_matrix_free(w->yt);
    gsl_vector_free(w->s);
    gsl_vector_free(w->locked);
    gsl_matrix_free(w->copy);
}

static fim_status workspace_init(workspace *w, const fim_map *map, size_t k, size_t basis, uint64_t seed) {
    fim_status status = FIM_OK;
    const bool flipped = map->rows < map->columns;
    *w = (workspace){.flipped = flipped,
                     .rows = flipped ? map->columns : map->rows,
                     .columns = flipped ? map->rows : map->columns,
                     .basis = basis};
    FIM_TRY(krylov_init(&w->krylov, map, basis + 1, seed));
    FIM_TRY(fim_matrix_new(basis + 1, w->columns, "the right Lanczos basis", &w->v));
    FIM_TRY(fim_matrix_new(basis, w->rows, "the left Lanczos basis", &w->u));
    FIM_TRY(fim_matrix_new(basis, basis, "the bidiagonal matrix", &w->b));
    FIM_TRY(fim_matrix_new(basis, basis, "its left singular vectors", &w->x));
    FIM_TRY(fim_matrix_new(basis, basis, "its right singular vectors", &w->yt));
    FIM_TRY(fim_vector_new(basis, "its singular values", &w->s));
    FIM_TRY(fim_vector_new(k, "leading singular values", &w->locked));
    FIM_TRY(fim_matrix_new(basis, basis, "a copy of the bidiagonal matrix", &w->copy));
out:
    if (status != FIM_OK)
        workspace_clear(w);
    return status;
}

static fim_status multiply(workspace *w, bool transposed, const double *x, double *y) {
    return krylov_multiply(&w->krylov, transposed != w->flipped, x, y);
}

// One step: u_j and v_{j+1} from v_j, column j of B, and *beta.
static fim_status step(workspace *w, size_t j, double *beta) {
    gsl_matrix *u = w->u, *v = w->v, *b = w->b;
    double *u_j = u->data + j * u->tda, *v_next = v->data + (j + 1) * v->tda;
    fim_status status = multiply(w, false, v->data + j * v->tda, u_j);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < b->size1; i++)
        gsl_matrix_set(b, i, j, 0);
    krylov *k = &w->krylov;
    k->scale = fmax(k->scale, krylov_norm(u_j, u->size2));
    double length = krylov_orthogonalize(k, u, j, u_j, b->data + j, b->tda);
    gsl_matrix_set(b, j, j, krylov_normalize(k, u, j, length));
    status = multiply(w, true, u_j, v_next);
    if (status != FIM_OK)
        return status;
    length = krylov_orthogonalize(k, v, j + 1, v_next, NULL, 0);
    // With every column spent there is no next direction, and nothing is missed.
    *beta = j + 1 < v->size2 ? krylov_normalize(k, v, j + 1, length) : 0;
    return FIM_OK;
}

// B = X S Yᵀ of the leading m columns: y_i is row i of w->yt, x_i column i of w->x.
static fim_status small_svd(workspace *w, size_t m) {
    gsl_matrix_view copy = gsl_matrix_submatrix(w->copy, 0, 0, m, m);
    gsl_matrix_const_view b = gsl_matrix_const_submatrix(w->b, 0, 0, m, m);
    gsl_matrix_memcpy(&copy.matrix, &b.matrix);
    // Row-major B is column-major Bᵀ = Y S Xᵀ.
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'A', (lapack_int)m, (lapack_int)m, copy.matrix.data,
                                     (lapack_int)copy.matrix.tda, w->s->data, w->yt->data,
                                     (lapack_int)w->yt->tda, w->x->data, (lapack_int)w->x->tda);
    if (info != 0)
        return FIM_FAIL(FIM_ERR_NUMERIC, "dgesdd of the %zu x %zu bidiagonal matrix failed (info %d)", m, m,
                        (int)info);
    return FIM_OK;
}

// The first `count` Ritz vectors from m rows of the left or the right basis.
static void rotate(workspace *w, bool left, size_t m, size_t count, gsl_matrix *out) {
    krylov_rotate(&w->krylov, left, left ? w->x : w->yt, left ? w->u : w->v, m, count, out);
}

// Keeps `keep` Ritz vectors of m; v_m stays the next right vector.
static void restart(workspace *w, size_t m, size_t keep) {
    rotate(w, true, m, keep, w->u);
    rotate(w, false, m, keep, w->v);
    gsl_vector_view next = gsl_matrix_row(w->v, keep);
    gsl_vector_const_view last = gsl_matrix_const_row(w->v, m);
    gsl_vector_memcpy(&next.vector, &last.vector);
    gsl_matrix_set_zero(w->b);
    for (size_t i = 0; i < keep; i++)
        gsl_matrix_set(w->b, i, i, gsl_vector_get(w->s, i));
}

static bool settled(const workspace *w, size_t m, size_t k, double beta, double tolerance) {
    double worst = 0;
    for (size_t i = 0; i < k; i++)
        worst = fmax(worst, beta * fabs(gsl_matrix_get(w->x, m - 1, i)));
    return m >= k && worst <= tolerance * gsl_vector_get(w->s, 0);
}

// The leading k triplets are found; is there nothing larger besides? True when a search orthogonal to those
// known before has ended without a change. Otherwise the next one begins: *m becomes the number of locked
// vectors.
static bool confirmed(workspace *w, size_t *m, size_t k, double beta, double tolerance) {
    if (beta > 0 && k == 1 && !w->searching)
        return true; // a multiple leader is as good once as several times
    const size_t count = *m < k ? *m : k;
    bool changed = !w->searching || w->n_locked < k;
    for (size_t i = 0; i < w->n_locked && !changed; i++)
        changed =
            gsl_vector_get(w->s, i) - gsl_vector_get(w->locked, i) > tolerance * gsl_vector_get(w->s, 0);
    if (!changed)
        return true;
    for (size_t i = 0; i < count; i++)
        gsl_vector_set(w->locked, i, gsl_vector_get(w->s, i));
    w->n_locked = count;
    w->searching = true;
    restart(w, *m, count);
    krylov_normalize(&w->krylov, w->v, count, 0);
    *m = count;
    return false;
}

// The residual of both equations, from products with M itself, over the largest singular value.
static fim_status measure(workspace *w, const gsl_matrix *u, const gsl_vector *sigma, const gsl_matrix *v,
                          double *residual) {
    double worst = 0;
    for (size_t i = 0; i < sigma->size; i++) {
        for (int side = 0; side < 2; side++) {
            const double *x = side ? u->data + i * u->tda : v->data + i * v->tda;
            const double *y = side ? v->data + i * v->tda : u->data + i * u->tda;
            const size_t n = side ? v->size2 : u->size2;
            double *r =
                w->u->data; // the bases have done their work; a row of u is long enough for either side
            fim_status status = multiply(w, side == 1, x, r);
            if (status != FIM_OK)
                return status;
            cblas_daxpy((int)n, -gsl_vector_get(sigma, i), y, 1, r, 1);
            worst = fmax(worst, krylov_norm(r, n));
        }
    }
    const double largest = gsl_vector_get(sigma, 0);
    *residual = largest > 0 ? worst / largest : worst;
    return FIM_OK;
}

fim_status fim_gkl(const fim_map *map, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                   gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info) {
    const size_t smaller = map->rows < map->columns ? map->rows : map->columns;
    if (k == 0 || k > smaller)
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "%zu singular triplets of a %zu x %zu map: at least 1 and at most %zu", k, map->rows,
                        map->columns, smaller);
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-10;
    const size_t most = options->max_products > 0 ? options->max_products : 2000;
    size_t basis = options->basis > 0 ? options->basis : (2 * k + 20 > 40 ? 2 * k + 20 : 40);
    if (options->steps > basis)
        basis = options->steps;
    basis = basis < k + 2 ? k + 2 : basis;
    basis = basis > smaller ? smaller : basis;

    workspace w;
    fim_gkl_info result = {0};
    fim_status status = workspace_init(&w, map, k, basis, options->seed);
    if (status != FIM_OK)
        return status;
    double *v_0 = w.v->data;
    if (options->start != NULL && w.flipped)
        FIM_TRY(multiply(&w, true, options->start, v_0)); // M start
    else if (options->start != NULL)
        cblas_dcopy((int)w.columns, options->start, 1, v_0, 1);
    krylov_normalize(&w.krylov, w.v, 0, krylov_norm(v_0, w.columns));

    size_t m = 0;
    for (bool done = false; !done;) {
        double beta = 0;
        while (m < basis && !done) {
            FIM_TRY(step(&w, m++, &beta));
            const bool spent =
                w.krylov.products + 2 + 2 * k > most || (options->steps > 0 && m >= options->steps);
            // The small decomposition costs m³; looking at every fourth step keeps it out of the way.
            if (m % 4 == 0 || m == basis || spent || m == k || beta == 0) {
                FIM_TRY(small_svd(&w, m));
                const bool complete = beta == 0 || (settled(&w, m, k, beta, tolerance) &&
                                                    (!w.searching || settled(&w, m, k + 1, beta, 1e-3)));
                // What is left of a map by rounding is not linear, and would never settle.
                const bool nothing = m >= k && gsl_vector_get(w.s, 0) + beta <= options->negligible;
                done = (spent && m >= k) || m == smaller || nothing ||
                       (complete && confirmed(&w, &m, k, beta, tolerance));
            }
        }
        if (!done) {
            const size_t keep = k + (basis - k) / 2 < basis ? k + (basis - k) / 2 : basis - 1;
            restart(&w, m, keep);
            m = keep;
            result.restarts++;
        }
    }
    rotate(&w, true, m, k, w.flipped ? v : u);
    rotate(&w, false, m, k, w.flipped ? u : v);
    for (size_t i = 0; i < k; i++)
        gsl_vector_set(sigma, i, gsl_vector_get(w.s, i));
    FIM_TRY(measure(&w, w.flipped ? v : u, sigma, w.flipped ? u : v, &result.residual));
    result.products = w.krylov.products;
    // Both sides carry the rounding of the last rotation.
    result.converged = result.residual <= 2 * tolerance || gsl_vector_get(sigma, 0) <= options->negligible;
    if (info != NULL)
        *info = result;
    if (!result.converged)
        status =
            FIM_FAIL(FIM_NOT_CONVERGED,
                     "%zu singular triplets of a %zu x %zu map: relative residual %.1e after %zu products, "
                     "%.1e was asked for",
                     k, map->rows, map->columns, result.residual, result.products, tolerance);
out:
    workspace_clear(&w);
    return status;
}
