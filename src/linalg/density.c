// The spectral density of a symmetric map by stochastic Lanczos quadrature: every probe vector's Lanczos
// matrix is the Jacobi matrix of a Gauss quadrature, with its eigenvalues as nodes and the squared first
// components of its eigenvectors as weights (Golub & Meurant, "Matrices, Moments and Quadrature", 2010).
//
// The three-term recurrence is left as it is, without reorthogonalization: rounding repeats nodes that have
// converged and shares their weight among the copies, which leaves the quadrature as accurate (Knizhnerman,
// Comput. Math. Math. Phys. 36, 1996), and three vectors do instead of `steps`.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <math.h>

#include "krylov.h"

typedef struct recurrence {
    krylov krylov;
    size_t n;
    gsl_matrix *q;      // (3, n): the last, the present, and the next vector, in turn
    gsl_matrix *t;      // (steps, steps)
    gsl_vector *values; // (steps)
} recurrence;

// The Jacobi matrix of a probe; returns through *size how many steps it took.
static fim_status run_probe(recurrence *r, size_t steps, size_t *size) {
    const size_t n = r->n;
    double *row[3] = {r->q->data, r->q->data + r->q->tda, r->q->data + 2 * r->q->tda};
    double beta = 0;
    gsl_matrix_set_zero(r->t);
    for (size_t i = 0; i < n; i++)
        row[1][i] = (gsl_rng_get(r->krylov.rng) & 1 ? 1 : -1) / sqrt((double)n);
    for (size_t j = 0; j < steps; j++) {
        fim_status status = krylov_multiply(&r->krylov, false, row[1], row[2]);
        if (status != FIM_OK)
            return status;
        r->krylov.scale = fmax(r->krylov.scale, krylov_norm(row[2], n));
        if (j > 0)
            cblas_daxpy((int)n, -beta, row[0], 1, row[2], 1);
        const double alpha = cblas_ddot((int)n, row[1], 1, row[2], 1);
        cblas_daxpy((int)n, -alpha, row[1], 1, row[2], 1);
        beta = krylov_norm(row[2], n);
        gsl_matrix_set(r->t, j, j, alpha);
        *size = j + 1;
        if (j + 1 == steps || beta <= 100 * DBL_EPSILON * r->krylov.scale)
            break; // in the second case the space is complete, and so is the quadrature
        gsl_matrix_set(r->t, j + 1, j, beta);
        cblas_dscal((int)n, 1 / beta, row[2], 1);
        double *first = row[0];
        row[0] = row[1];
        row[1] = row[2];
        row[2] = first;
    }
    return FIM_OK;
}

fim_status fim_density_new(const fim_map *map, size_t probes, size_t steps, uint64_t seed, fim_density *out) {
    const size_t n = map->rows;
    if (map->columns != n || n == 0 || probes == 0 || steps == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "the density of a %zu x %zu map by %zu probes of %zu steps: it must be square, and "
                        "neither may be 0",
                        map->rows, map->columns, probes, steps);
    steps = steps < n ? steps : n;
    recurrence r = {.n = n};
    fim_density found = {0};
    fim_status status = FIM_OK;
    FIM_TRY(krylov_init(&r.krylov, map, 1, seed));
    FIM_TRY(fim_matrix_new(3, n, "Lanczos vectors", &r.q));
    FIM_TRY(fim_matrix_new(steps, steps, "a Jacobi matrix", &r.t));
    FIM_TRY(fim_vector_new(steps, "nodes", &r.values));
    FIM_TRY(fim_matrix_new(probes, steps, "nodes", &found.nodes));
    FIM_TRY(fim_matrix_new(probes, steps, "weights", &found.weights));
    for (size_t p = 0; p < probes; p++) {
        size_t size = 0;
        FIM_TRY(run_probe(&r, steps, &size));
        gsl_matrix_view t = gsl_matrix_submatrix(r.t, 0, 0, size, size);
        gsl_vector_view values = gsl_vector_subvector(r.values, 0, size);
        FIM_TRY(fim_eigen(&t.matrix, &values.vector));
        for (size_t i = 0; i < size; i++) {
            const double first = gsl_matrix_get(&t.matrix, 0, i);
            gsl_matrix_set(found.nodes, p, i, gsl_vector_get(r.values, i));
            gsl_matrix_set(found.weights, p, i, first * first);
        }
    }
    *out = found;
    found = (fim_density){0};
out:
    krylov_clear(&r.krylov);
    gsl_matrix_free(r.q);
    gsl_matrix_free(r.t);
    gsl_vector_free(r.values);
    fim_density_clear(&found);
    return status;
}

void fim_density_clear(fim_density *density) {
    gsl_matrix_free(density->nodes);
    gsl_matrix_free(density->weights);
    *density = (fim_density){0};
}

void fim_density_mean(const fim_density *density, double (*f)(double x, void *context), void *context,
                      double *mean, double *error) {
    const size_t probes = density->nodes->size1;
    double sum = 0, squares = 0; // by Welford's update: no cancellation
    for (size_t p = 0; p < probes; p++) {
        double value = 0;
        for (size_t i = 0; i < density->nodes->size2; i++) {
            const double weight = gsl_matrix_get(density->weights, p, i);
            if (weight > 0)
                value += weight * f(gsl_matrix_get(density->nodes, p, i), context);
        }
        const double change = value - sum;
        sum += change / (double)(p + 1);
        squares += change * (value - sum);
    }
    *mean = sum;
    *error = probes > 1 ? sqrt(squares / (double)(probes - 1) / (double)probes) : (double)NAN;
}
