// The spectral density of a symmetric map by stochastic Lanczos quadrature: every probe vector's Lanczos
// matrix is the Jacobi matrix of a Gauss quadrature, with its eigenvalues as nodes and the squared first
// components of its eigenvectors as weights (Golub & Meurant, "Matrices, Moments and Quadrature", 2010).
//
// The three-term recurrence is left as it is, without reorthogonalization: rounding repeats nodes that have
// converged and shares their weight among the copies, which leaves the quadrature as accurate (Knizhnerman,
// Comput. Math. Math. Phys. 36, 1996), and three vectors do instead of `steps`.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_fit.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>

#include "krylov.h"

typedef struct recurrence {
    krylov krylov;
    size_t n;
    gsl_matrix *q; // (3, n): the last, the present, and the next vector, in turn
} recurrence;

// The Jacobi matrix of a probe, in alpha and beta (steps each).
static fim_status run_probe(recurrence *r, size_t steps, double *alphas, double *betas) {
    const size_t n = r->n;
    double *row[3] = {r->q->data, r->q->data + r->q->tda, r->q->data + 2 * r->q->tda};
    double beta = 0;
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
        alphas[j] = alpha;
        if (beta <= 100 * DBL_EPSILON * r->krylov.scale)
            break; // the space is complete, and so is the quadrature
        betas[j] = beta;
        cblas_dscal((int)n, 1 / beta, row[2], 1);
        double *first = row[0];
        row[0] = row[1];
        row[1] = row[2];
        row[2] = first;
    }
    return FIM_OK;
}

// The nodes and weights of the Jacobi matrix of `size` rows.
static fim_status quadrature(const double *alpha, const double *beta, size_t size, double *nodes,
                             double *weights) {
    gsl_matrix *t = NULL;
    gsl_vector *values = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(size, size, "a Jacobi matrix", &t));
    FIM_TRY(fim_vector_new(size, "nodes", &values));
    for (size_t j = 0; j < size; j++) {
        gsl_matrix_set(t, j, j, alpha[j]);
        if (j + 1 < size)
            gsl_matrix_set(t, j + 1, j, beta[j]);
    }
    FIM_TRY(fim_eigen(t, values));
    for (size_t i = 0; i < size; i++) {
        nodes[i] = gsl_vector_get(values, i);
        weights[i] = gsl_pow_2(gsl_matrix_get(t, 0, i));
    }
out:
    gsl_matrix_free(t);
    gsl_vector_free(values);
    return status;
}

// Rows of a Jacobi matrix before its space ended.
static size_t rows_of(const double *beta, size_t steps) {
    size_t size = 1;
    while (size < steps && beta[size - 1] > 0)
        size++;
    return size;
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
    FIM_TRY(fim_matrix_new(probes, steps, "nodes", &found.nodes));
    FIM_TRY(fim_matrix_new(probes, steps, "weights", &found.weights));
    FIM_TRY(fim_matrix_new(probes, steps, "Jacobi matrices", &found.alpha));
    FIM_TRY(fim_matrix_new(probes, steps, "Jacobi matrices", &found.beta));
    for (size_t p = 0; p < probes; p++) {
        double *alpha = found.alpha->data + p * found.alpha->tda,
               *beta = found.beta->data + p * found.beta->tda;
        FIM_TRY(run_probe(&r, steps, alpha, beta));
        FIM_TRY(quadrature(alpha, beta, rows_of(beta, steps), found.nodes->data + p * found.nodes->tda,
                           found.weights->data + p * found.weights->tda));
    }
    *out = found;
    found = (fim_density){0};
out:
    krylov_clear(&r.krylov);
    gsl_matrix_free(r.q);
    fim_density_clear(&found);
    return status;
}

// T with a further row β_k, α: α = end + β_k² [(T − end I)⁻¹]_kk makes `end` an eigenvalue. That entry is one
// over the last pivot of T − end I, and pivots are positive while `end` is below the spectrum.
fim_status fim_density_radau(const fim_density *density, double end, fim_density *out) {
    const size_t probes = density->alpha->size1, steps = density->alpha->size2;
    fim_density found = {0};
    double *longer = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(probes, steps + 1, "nodes", &found.nodes));
    FIM_TRY(fim_matrix_new(probes, steps + 1, "weights", &found.weights));
    FIM_TRY(fim_alloc(steps + 1, sizeof *longer, "a Jacobi matrix", &longer));
    for (size_t p = 0; p < probes; p++) {
        const double *alpha = density->alpha->data + p * density->alpha->tda;
        const double *beta = density->beta->data + p * density->beta->tda;
        const size_t size = rows_of(beta, steps);
        const double negligible = DBL_EPSILON * gsl_matrix_get(density->nodes, p, 0);
        double pivot = 0;
        for (size_t j = 0; j < size; j++) {
            pivot = alpha[j] - end - (j > 0 ? gsl_pow_2(beta[j - 1]) / pivot : 0);
            pivot = fmax(pivot, negligible > 0 ? negligible : DBL_MIN); // `end` may be one of its eigenvalues
            longer[j] = alpha[j];
        }
        longer[size] = end + gsl_pow_2(beta[size - 1]) / pivot;
        FIM_TRY(quadrature(longer, beta, beta[size - 1] > 0 ? size + 1 : size,
                           found.nodes->data + p * found.nodes->tda,
                           found.weights->data + p * found.weights->tda));
    }
    *out = found;
    found = (fim_density){0};
out:
    free(longer);
    fim_density_clear(&found);
    return status;
}

void fim_density_clear(fim_density *density) {
    gsl_matrix_free(density->nodes);
    gsl_matrix_free(density->weights);
    gsl_matrix_free(density->alpha);
    gsl_matrix_free(density->beta);
    *density = (fim_density){0};
}

static double logarithm(double x, void *least) {
    return log(fmax(x, *(const double *)least));
}

static double itself(double x, void *unused) {
    (void)unused;
    return x;
}

// The quadrature of a probe.
static double probe_mean(const fim_density *density, size_t p, double (*f)(double x, void *context),
                         void *context) {
    double value = 0;
    for (size_t i = 0; i < density->nodes->size2; i++) {
        const double weight = gsl_matrix_get(density->weights, p, i);
        if (weight > 0)
            value += weight * f(gsl_matrix_get(density->nodes, p, i), context);
    }
    return value;
}

void fim_density_mean(const fim_density *density, double (*f)(double x, void *context), void *context,
                      double *mean, double *error) {
    const size_t probes = density->nodes->size1;
    double sum = 0, squares = 0; // by Welford's update: no cancellation
    for (size_t p = 0; p < probes; p++) {
        const double value = probe_mean(density, p, f, context), change = value - sum;
        sum += change / (double)(p + 1);
        squares += change * (value - sum);
    }
    *mean = sum;
    *error = probes > 1 ? sqrt(squares / (double)(probes - 1) / (double)probes) : (double)NAN;
}

fim_status fim_density_logs(const fim_map *map, double least, size_t probes, size_t steps, uint64_t seed,
                            double trace, double *logs, double *off_traces, double *distance) {
    const double n = (double)map->rows;
    fim_density gauss = {0}, radau = {0};
    double distances = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_density_new(map, probes, steps, seed, &gauss));
    FIM_TRY(fim_density_radau(&gauss, least, &radau));
    for (size_t p = 0; p < probes; p++) {
        const double above = probe_mean(&gauss, p, logarithm, &least),
                     below = probe_mean(&radau, p, logarithm, &least);
        logs[p] = n * (above + below) / 2;
        off_traces[p] = n * probe_mean(&gauss, p, itself, NULL) - trace;
        distances += n * fabs(above - below) / 2;
    }
    *distance = distances / (double)probes;
out:
    fim_density_clear(&gauss);
    fim_density_clear(&radau);
    return status;
}

double fim_controlled_mean(const double *values, const double *controls, size_t n, double *error) {
    double at_zero, slope, cov[3], rest;
    if (!(gsl_stats_variance(controls, 1, n) > 0)) { // no line
        *error = gsl_stats_sd(values, 1, n) / sqrt((double)n);
        return gsl_stats_mean(values, 1, n);
    }
    gsl_fit_linear(controls, 1, values, 1, n, &at_zero, &slope, &cov[0], &cov[1], &cov[2], &rest);
    *error = sqrt(fmax(cov[0], 0));
    return at_zero;
}
