// What the Krylov processes of this room share: products that are counted, Gram-Schmidt against a basis kept
// row by row, what to do when nothing is left, and the rotation of a basis into Ritz vectors.
#ifndef FIM_SRC_LINALG_KRYLOV_H
#define FIM_SRC_LINALG_KRYLOV_H

#include <gsl/gsl_rng.h>

#include "fim/linalg.h"

typedef struct krylov {
    const fim_map *map;
    gsl_rng *rng;
    double *coefficient; // (most): of one Gram-Schmidt pass
    double *chunk;       // (most, KRYLOV_CHUNK): columns in rotation
    double scale;        // the largest norm of a product seen, which tells what a breakdown is
    size_t products;
} krylov;

// Columns rotated at a time.
enum { KRYLOV_CHUNK = 256 };

// `most`: vectors of the largest basis. krylov_clear accepts what a failure leaves.
fim_status krylov_init(krylov *k, const fim_map *map, size_t most, uint64_t seed);
void krylov_clear(krylov *k);

double krylov_norm(const double *x, size_t n);

// y = M x or Mᵀ x, counted.
fim_status krylov_multiply(krylov *k, bool transposed, const double *x, double *y);

// Makes x orthogonal to the first `count` rows of q; adds the coefficients to `kept` (with stride) unless it
// is NULL. Returns the norm left.
double krylov_orthogonalize(krylov *k, const gsl_matrix *q, size_t count, double *x, double *kept,
                            size_t stride);

// Row `at` of q becomes its own direction, `length` being its norm after orthogonalization; returns that
// norm. A breakdown (nothing left but rounding) means that an invariant space is complete: a random direction
// orthogonal to the basis continues, with coefficient 0.
double krylov_normalize(krylov *k, gsl_matrix *q, size_t at, double length);

// The first `count` rows of out = the first `count` rows of R times the first m rows of q, R = r or its
// transpose. out may be q.
void krylov_rotate(krylov *k, bool transposed, const gsl_matrix *r, const gsl_matrix *q, size_t m,
                   size_t count, gsl_matrix *out);

#endif
