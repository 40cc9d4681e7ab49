// The symmetric packing: an isometry between symmetric matrices and vectors of n(n+1)/2 numbers.
#include <math.h>

#include "fim/linalg.h"

size_t fim_svec_size(size_t n) {
    return n % 2 == 0 ? fim_size_mul(n / 2, n + 1) : fim_size_mul(n, (n + 1) / 2);
}

void fim_svec_pack(const gsl_matrix *m, double *packed) {
    for (size_t i = 0; i < m->size1; i++) {
        const double *row = m->data + i * m->tda;
        *packed++ = row[i];
        for (size_t j = i + 1; j < m->size2; j++)
            *packed++ = M_SQRT2 * row[j];
    }
}

void fim_svec_unpack(const double *packed, gsl_matrix *m) {
    for (size_t i = 0; i < m->size1; i++) {
        double *row = m->data + i * m->tda;
        row[i] = *packed++;
        for (size_t j = i + 1; j < m->size2; j++) {
            row[j] = M_SQRT1_2 * *packed++;
            m->data[j * m->tda + i] = row[j];
        }
    }
}

void fim_svec_add_outer(const double *x, size_t n, double weight, double *packed) {
    for (size_t i = 0; i < n; i++) {
        const double scale = M_SQRT2 * weight * x[i];
        *packed++ += weight * x[i] * x[i];
        for (size_t j = i + 1; j < n; j++)
            *packed++ += scale * x[j];
    }
}
