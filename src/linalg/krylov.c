// Orthonormal bases of Krylov spaces: krylov.h tells the contract.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "krylov.h"

fim_status krylov_init(krylov *k, const fim_map *map, size_t most, uint64_t seed) {
    *k = (krylov){.map = map, .rng = gsl_rng_alloc(gsl_rng_mt19937)};
    if (k->rng == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
    gsl_rng_set(k->rng, (unsigned long)fim_seed_stream(seed, 0));
    fim_status status = fim_alloc(most, sizeof(double), "Gram-Schmidt coefficients", &k->coefficient);
    return status == FIM_OK ? fim_alloc(most, KRYLOV_CHUNK * sizeof(double), "columns in rotation", &k->chunk)
                            : status;
}

void krylov_clear(krylov *k) {
    gsl_rng_free(k->rng);
    free(k->coefficient);
    free(k->chunk);
}

double krylov_norm(const double *x, size_t n) {
    const double square = cblas_ddot((int)n, x, 1, x, 1);
    // dnrm2 guards against overflow at a tenth of the speed.
    return square > 1e-280 && square < 1e280 ? sqrt(square) : cblas_dnrm2((int)n, x, 1);
}

fim_status krylov_multiply(krylov *k, bool transposed, const double *x, double *y) {
    k->products++;
    return k->map->apply(k->map->context, transposed, x, y);
}

// Classical Gram-Schmidt, two matrix-vector products a pass, repeated while a pass takes most of x away:
// what is left of little is inaccurate (Daniel, Gragg, Kaufman & Stewart, Math. Comp. 30, 1976).
double krylov_orthogonalize(krylov *k, const gsl_matrix *q, size_t count, double *x, double *kept,
                            size_t stride) {
    const size_t n = q->size2;
    double length = krylov_norm(x, n), before = INFINITY;
    for (int pass = 0; pass < 3 && count > 0 && length < M_SQRT1_2 * before; pass++) {
        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)count, (int)n, 1, q->data, (int)q->tda, x, 1, 0,
                    k->coefficient, 1);
        cblas_dgemv(CblasRowMajor, CblasTrans, (int)count, (int)n, -1, q->data, (int)q->tda, k->coefficient,
                    1, 1, x, 1);
        for (size_t i = 0; kept != NULL && i < count; i++)
            kept[i * stride] += k->coefficient[i];
        before = length;
        length = krylov_norm(x, n);
    }
    return length;
}

double krylov_normalize(krylov *k, gsl_matrix *q, size_t at, double length) {
    double *x = q->data + at * q->tda;
    double coefficient = length;
    for (int attempt = 0; length <= 100 * DBL_EPSILON * k->scale && attempt < 5; attempt++) {
        coefficient = 0;
        for (size_t i = 0; i < q->size2; i++)
            x[i] = gsl_ran_gaussian_ziggurat(k->rng, k->scale > 0 ? k->scale : 1);
        length = krylov_orthogonalize(k, q, at, x, NULL, 0);
        if (k->scale == 0 && length > 0)
            break;
    }
    cblas_dscal((int)q->size2, length > 0 ? 1 / length : 0, x, 1);
    return coefficient;
}

void krylov_rotate(krylov *k, bool transposed, const gsl_matrix *r, const gsl_matrix *q, size_t m,
                   size_t count, gsl_matrix *out) {
    const size_t n = q->size2;
    for (size_t first = 0; first < n; first += KRYLOV_CHUNK) {
        const size_t width = n - first < KRYLOV_CHUNK ? n - first : KRYLOV_CHUNK;
        cblas_dgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, (int)count,
                    (int)width, (int)m, 1, r->data, (int)r->tda, q->data + first, (int)q->tda, 0, k->chunk,
                    KRYLOV_CHUNK);
        for (size_t i = 0; i < count; i++)
            memcpy(out->data + i * out->tda + first, k->chunk + i * KRYLOV_CHUNK, width * sizeof(double));
    }
}
