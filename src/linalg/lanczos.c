// Extreme eigenvalues of a symmetric map by the Lanczos process with partial reorthogonalization (Simon,
// Math. Comp. 42, 1984) and thick restart (Wu & Simon, SIAM J. Matrix Anal. Appl. 22, 2000).
//
// The recurrence keeps orthonormal q_0..q_j with
//     M Q = Q T + β q_j e_lastᵀ,
// T small and symmetric. With T = Y Θ Yᵀ, the Ritz vector Q y_i misses its equation by β |Y[last, i]|: that
// is the residual which stops the iteration. A restart keeps the wanted Ritz vectors instead of starting
// over: M q_j then couples to all of them, by β Y[last, i].
//
// One starting vector meets a multiple eigenvalue once only, and none at all in directions orthogonal to it.
// So when the Krylov space is complete (β = 0), or when several eigenvalues were asked for, those found are
// locked and the search goes on among the vectors orthogonal to them, from a random one, until it ends with
// nothing better.
//
// In exact arithmetic M q_j has to be made orthogonal to q_j and q_{j−1} alone, and after a restart once to
// all. Rounding grows along what has converged; a recurrence in T follows it, and Gram-Schmidt with the whole
// basis, 4 n flops a vector from memory, is left for the steps before it exceeds √ε, up to which T is
// accurate to ε, or the tolerance where that is smaller.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "krylov.h"

// Products a search makes at least: what was missed is a share of 1/√n of a random vector, and has to come
// forth.
enum { SEARCH_PRODUCTS = 10 };

typedef struct workspace {
    krylov krylov;
    fim_lanczos_order order;
    size_t n, basis;     // most columns of T
    gsl_matrix *q;       // (basis + 1, n): a basis vector a row
    gsl_matrix *t;       // (basis, basis): lower triangle
    gsl_matrix *y;       // (basis, basis): eigenvectors of T as rows, the wanted ones first
    gsl_vector *theta;   // (basis): its eigenvalues in the same order
    gsl_matrix *scratch; // (basis, basis)
    gsl_vector *sorted;  // (basis)
    bool full;           // every step orthogonalizes against all
    size_t full_to;      // steps up to this one do in any case
    double loss_most;    // of orthogonality; it comes back as a residual
    double *omega[2];    // (basis + 1): about what q_j has in common with q_0, …; of q_j and of q_{j−1}
    size_t coupled;      // the step after a restart, whose vector M couples to all before it
    double *coupling;    // (basis): by that much
    gsl_vector *locked;  // (k): the wanted values when the present search began
    size_t n_locked;
    double negligible;   // of the options
    bool searching;      // some are locked, or the space was complete
    size_t search_begun; // products made by then
} workspace;

static void workspace_clear(workspace *w) {
    krylov_clear(&w->krylov);
    gsl_matrix_free(w->q);
    gsl_matrix_free(w->t);
    gsl_matrix_free(w->y);
    gsl_vector_free(w->theta);
    gsl_matrix_free(w->scratch);
    gsl_vector_free(w->sorted);
    free(w->omega[0]);
    free(w->omega[1]);
    free(w->coupling);
    gsl_vector_free(w->locked);
}

static fim_status workspace_init(workspace *w, const fim_map *map, size_t k, size_t basis,
                                 const fim_lanczos_options *options) {
    *w = (workspace){.order = options->order,
                     .n = map->rows,
                     .basis = basis,
                     .negligible = options->negligible,
                     .full_to = 1};
    fim_status status = FIM_OK;
    FIM_TRY(krylov_init(&w->krylov, map, basis + 1, options->seed));
    FIM_TRY(fim_matrix_new(basis + 1, w->n, "the Lanczos basis", &w->q));
    FIM_TRY(fim_matrix_new(basis, basis, "the projected matrix", &w->t));
    FIM_TRY(fim_matrix_new(basis, basis, "its eigenvectors", &w->y));
    FIM_TRY(fim_vector_new(basis, "its eigenvalues", &w->theta));
    FIM_TRY(fim_matrix_new(basis, basis, "its eigenvectors", &w->scratch));
    FIM_TRY(fim_vector_new(basis, "its eigenvalues", &w->sorted));
    FIM_TRY(fim_alloc(basis + 1, sizeof(double), "losses of orthogonality", &w->omega[0]));
    FIM_TRY(fim_alloc(basis + 1, sizeof(double), "losses of orthogonality", &w->omega[1]));
    FIM_TRY(fim_alloc(basis, sizeof *w->coupling, "couplings to Ritz vectors", &w->coupling));
    FIM_TRY(fim_vector_new(k, "the wanted eigenvalues", &w->locked));
out:
    if (status != FIM_OK)
        workspace_clear(w);
    return status;
}

// From q_{j+1} β = M q_j − α q_j − T_{j,j−1} q_{j−1} and M q_i = Σ_k T_ik q_k: what q_{j+1} has in common
// with the others, q_{j+1} becoming the first of w->omega. The largest |entry|.
static double follow(workspace *w, size_t j, double beta) {
    const double *now = w->omega[0];
    double *next = w->omega[1], worst = 0; // that of q_{j−1} becomes that of q_{j+1}
    const double rounding = 2 * DBL_EPSILON * w->krylov.scale;
    for (size_t i = 0; i < j; i++) {
        double sum = -gsl_matrix_get(w->t, j, j) * now[i] - gsl_matrix_get(w->t, j, j - 1) * next[i];
        for (size_t k = 0; k <= j; k++)
            sum += gsl_matrix_get(w->t, i > k ? i : k, i > k ? k : i) * now[k];
        next[i] = (sum + (sum < 0 ? -rounding : rounding)) / beta;
        worst = fmax(worst, fabs(next[i]));
    }
    next[j] = DBL_EPSILON;
    next[j + 1] = 1;
    w->omega[1] = w->omega[0];
    w->omega[0] = next;
    return beta > 100 * rounding ? worst : HUGE_VAL;
}

// Takes away from next = M q_j what it has in common with q_from, …, q_j, and puts it into T. Returns the
// norm left.
static double take_away(workspace *w, size_t from, size_t j, double *next) {
    gsl_matrix_const_view q = gsl_matrix_const_submatrix(w->q, from, 0, j + 1 - from, w->n);
    return krylov_orthogonalize(&w->krylov, &q.matrix, j + 1 - from, next, w->t->data + j * w->t->tda + from,
                                1);
}

// The same for all of the basis, as far as it is needed.
static double orthogonalize(workspace *w, size_t j, double *next) {
    if (j == 0)
        return take_away(w, 0, 0, next);
    if (w->full || w->searching) { // what was locked is exact to the tolerance only, and M leads back into it
        take_away(w, j - 1, j, next); // nearly all: one pass over the others is enough
        return take_away(w, 0, j, next);
    }
    if (j == w->coupled) {
        memcpy(w->t->data + j * w->t->tda, w->coupling, j * sizeof *w->coupling);
        cblas_dgemv(CblasRowMajor, CblasTrans, (int)j, (int)w->n, -1, w->q->data, (int)w->q->tda, w->coupling,
                    1, 1, next, 1);
    }
    const double length = take_away(w, j == w->coupled ? j : j - 1, j, next);
    const double loss = follow(w, j, length);
    if (j > w->full_to && loss <= w->loss_most / sqrt((double)j + 1))
        return length;
    if (j > w->full_to)
        w->full_to = j + 1; // q_{j+2} comes from q_j as well, which is no better than q_{j+1} was
    for (size_t i = 0; i <= j; i++)
        w->omega[0][i] = DBL_EPSILON;
    return krylov_orthogonalize(&w->krylov, w->q, j + 1, next, NULL, 0);
}

// One step: q_{j+1} from q_j, row j of T, and *beta.
static fim_status step(workspace *w, size_t j, double *beta) {
    krylov *k = &w->krylov;
    double *next = w->q->data + (j + 1) * w->q->tda, *row = w->t->data + j * w->t->tda;
    fim_status status = krylov_multiply(k, false, w->q->data + j * w->q->tda, next);
    if (status != FIM_OK)
        return status;
    k->scale = fmax(k->scale, krylov_norm(next, w->n));
    for (size_t i = 0; i <= j; i++)
        row[i] = 0;
    const double length = orthogonalize(w, j, next);
    // With every dimension spent there is no next direction, and nothing is missed.
    *beta = j + 1 < w->n ? krylov_normalize(k, w->q, j + 1, length) : 0;
    return FIM_OK;
}

// T = Y Θ Yᵀ of the leading m columns, in the order asked for.
static fim_status small_eigen(workspace *w, size_t m) {
    gsl_matrix_view copy = gsl_matrix_submatrix(w->scratch, 0, 0, m, m);
    gsl_matrix_const_view t = gsl_matrix_const_submatrix(w->t, 0, 0, m, m);
    gsl_vector_view values = gsl_vector_subvector(w->sorted, 0, m);
    gsl_matrix_memcpy(&copy.matrix, &t.matrix);
    fim_status status = fim_eigen(&copy.matrix, &values.vector);
    if (status != FIM_OK)
        return status;
    size_t high = 0, low = m; // those not yet taken, from the two ends
    for (size_t i = 0; i < m; i++) {
        const bool from_low = w->order == FIM_LANCZOS_SMALLEST || (w->order == FIM_LANCZOS_MAGNITUDE &&
                                                                   fabs(gsl_vector_get(w->sorted, low - 1)) >
                                                                       fabs(gsl_vector_get(w->sorted, high)));
        const size_t from = from_low ? --low : high++;
        gsl_vector_set(w->theta, i, gsl_vector_get(w->sorted, from));
        for (size_t r = 0; r < m; r++)
            gsl_matrix_set(w->y, i, r, gsl_matrix_get(&copy.matrix, r, from));
    }
    return FIM_OK;
}

// max|λ| as far as it is known from m Ritz values, which the order has at its ends.
static double largest(const workspace *w, size_t m) {
    return fmax(fabs(gsl_vector_get(w->sorted, 0)), fabs(gsl_vector_get(w->sorted, m - 1)));
}

// Keeps `keep` Ritz vectors of m; q_m stays the next vector.
static void restart(workspace *w, size_t m, size_t keep, double beta) {
    krylov_rotate(&w->krylov, false, w->y, w->q, m, keep, w->q);
    gsl_vector_view next = gsl_matrix_row(w->q, keep);
    gsl_vector_const_view last = gsl_matrix_const_row(w->q, m);
    gsl_vector_memcpy(&next.vector, &last.vector);
    for (size_t i = 0; i < keep; i++)
        w->coupling[i] = beta * gsl_matrix_get(w->y, i, m - 1);
    w->coupled = keep;
    w->full_to = keep + 1;
    gsl_matrix_set_zero(w->t);
    for (size_t i = 0; i < keep; i++)
        gsl_matrix_set(w->t, i, i, gsl_vector_get(w->theta, i));
}

static bool settled(const workspace *w, size_t m, size_t k, double beta, double tolerance) {
    double worst = 0;
    for (size_t i = 0; i < k && m >= k; i++)
        worst = fmax(worst, beta * fabs(gsl_matrix_get(w->y, i, m - 1)));
    return m >= k && worst <= fmax(tolerance * largest(w, m), w->negligible);
}

// The search for what the locked vectors left out is long enough to be believed.
static bool searched(const workspace *w, size_t m, size_t k, double beta) {
    return w->krylov.products >= w->search_begun + SEARCH_PRODUCTS && settled(w, m, k + 1, beta, 1e-3);
}

// The k wanted values are found; is there nothing better besides? True when a search orthogonal to those
// known before has ended without a change. Otherwise the next one begins: *m becomes the number of locked
// vectors.
static bool confirmed(workspace *w, size_t *m, size_t k, double beta, double tolerance) {
    if (beta > 0 && k == 1 && !w->searching)
        return true; // a multiple leader is as good once as several times
    const size_t count = *m < k ? *m : k;
    bool changed = !w->searching || w->n_locked < k;
    for (size_t i = 0; i < w->n_locked && !changed; i++)
        changed =
            fabs(gsl_vector_get(w->theta, i) - gsl_vector_get(w->locked, i)) > 2 * tolerance * largest(w, *m);
    if (!changed)
        return true;
    for (size_t i = 0; i < count; i++)
        gsl_vector_set(w->locked, i, gsl_vector_get(w->theta, i));
    w->n_locked = count;
    w->searching = true;
    w->search_begun = w->krylov.products;
    restart(w, *m, count, 0);
    krylov_normalize(&w->krylov, w->q, count, 0);
    *m = count;
    return false;
}

// The residuals of the first k rows of the basis, from products with M itself, over the largest |λ|.
static fim_status measure(workspace *w, size_t k, size_t m, double *residual) {
    double worst = 0;
    for (size_t i = 0; i < k; i++) {
        const double *x = w->q->data + i * w->q->tda;
        double *r = w->q->data + k * w->q->tda; // the others have done their work
        fim_status status = krylov_multiply(&w->krylov, false, x, r);
        if (status != FIM_OK)
            return status;
        cblas_daxpy((int)w->n, -gsl_vector_get(w->theta, i), x, 1, r, 1);
        worst = fmax(worst, krylov_norm(r, w->n));
    }
    *residual = largest(w, m) > 0 ? worst / largest(w, m) : worst;
    return FIM_OK;
}

// The vectors of the basis: as many as the options, the dimension and the budget allow.
static fim_status choose_basis(size_t n, size_t k, const fim_lanczos_options *options, size_t *out) {
    const size_t bytes = fim_size_mul(n, sizeof(double)), least = k + 2 < n ? k + 2 : n;
    size_t basis = options->basis > 0 ? options->basis : (2 * k + 20 > 40 ? 2 * k + 20 : 40);
    if (options->budget > 0) {
        fim_status status =
            fim_budget_check(options->budget, fim_size_mul(least + 1, bytes), "a Lanczos basis",
                             "raise --memory, or ask for fewer eigenvalues");
        if (status != FIM_OK)
            return status;
        basis = basis < options->budget / bytes - 1 ? basis : options->budget / bytes - 1;
    }
    basis = basis > least ? basis : least;
    *out = basis < n ? basis : n;
    return FIM_OK;
}

fim_status fim_lanczos(const fim_map *map, size_t k, const fim_lanczos_options *options, gsl_vector *values,
                       gsl_matrix *vectors, fim_lanczos_info *info) {
    const size_t n = map->rows;
    if (map->columns != n || k == 0 || k > n)
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "%zu eigenvalues of a %zu x %zu map: it must be square, and they at least 1 and at "
                        "most %zu",
                        k, map->rows, map->columns, n);
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-10;
    const size_t most = options->max_products > 0 ? options->max_products : 2000;
    size_t basis;
    workspace w;
    fim_lanczos_info result = {0};
    fim_status status = choose_basis(n, k, options, &basis);
    if (status == FIM_OK)
        status = workspace_init(&w, map, k, basis, options);
    if (status != FIM_OK)
        return status;
    w.loss_most = fmin(tolerance, sqrt(DBL_EPSILON));
    w.full = vectors != NULL; // they would be orthogonal to √ε only
    if (options->start != NULL)
        cblas_dcopy((int)n, options->start, 1, w.q->data, 1);
    krylov_normalize(&w.krylov, w.q, 0, krylov_norm(w.q->data, n));

    size_t m = 0, last = 0; // `last`: columns of the latest small decomposition
    for (bool done = false; !done;) {
        double beta = 0;
        while (m < basis && !done) {
            FIM_TRY(step(&w, m++, &beta));
            const bool spent = w.krylov.products + 1 + k > most;
            // The small decomposition costs m³; looking at every fourth step keeps it out of the way.
            if (m < 32 || m % 4 == 0 || m == basis || spent || m == k || beta == 0) {
                FIM_TRY(small_eigen(&w, m));
                last = m;
                const bool complete = beta == 0 || (settled(&w, m, k, beta, tolerance) &&
                                                    (!w.searching || searched(&w, m, k, beta)));
                done = (spent && m >= k) || m == n || (complete && confirmed(&w, &m, k, beta, tolerance));
            }
        }
        if (!done) {
            const size_t keep = k + (basis - k) / 2 < basis ? k + (basis - k) / 2 : basis - 1;
            restart(&w, m, keep, beta);
            m = keep;
            result.restarts++;
        }
    }
    krylov_rotate(&w.krylov, false, w.y, w.q, last, k, w.q);
    FIM_TRY(measure(&w, k, last, &result.residual));
    for (size_t i = 0; i < k; i++) {
        gsl_vector_set(values, i, gsl_vector_get(w.theta, i));
        if (vectors != NULL)
            cblas_dcopy((int)n, w.q->data + i * w.q->tda, 1, vectors->data + i * vectors->tda, 1);
    }
    result.products = w.krylov.products;
    // The rounding of the last rotation comes on top.
    result.converged =
        result.residual <= 2 * tolerance || result.residual * largest(&w, last) <= 2 * options->negligible;
    if (info != NULL)
        *info = result;
    if (!result.converged)
        status = FIM_FAIL(FIM_NOT_CONVERGED,
                          "%zu eigenvalues of a map of %zu parameters: relative residual %.1e after %zu "
                          "products, %.1e was asked for",
                          k, n, result.residual, result.products, tolerance);
out:
    workspace_clear(&w);
    return status;
}
