// Slow plain versions, written from the definitions: what the library is compared with. Loops that anyone can
// check, and GSL's own (not LAPACK's) eigenvalues and singular values.
//
// A Criterion test is a process of its own, so what these functions return is left to its end; leaks are
// looked for by tests/leak.c.
#ifndef TESTS_PLAIN_H
#define TESTS_PLAIN_H

#include <gsl/gsl_eigen.h>
#include <gsl/gsl_linalg.h>

#include "fim/fisher.h"
#include "support.h"

static inline gsl_matrix *plain_product(const gsl_matrix *a, const gsl_matrix *b) {
    cr_assert(a->size2 == b->size1, "a product of (%zu, %zu) and (%zu, %zu)", a->size1, a->size2, b->size1,
              b->size2);
    gsl_matrix *c = gsl_matrix_calloc(a->size1, b->size2);
    for (size_t i = 0; i < a->size1; i++)
        for (size_t k = 0; k < a->size2; k++)
            for (size_t j = 0; j < b->size2; j++)
                *gsl_matrix_ptr(c, i, j) += gsl_matrix_get(a, i, k) * gsl_matrix_get(b, k, j);
    return c;
}

static inline gsl_matrix *plain_transpose(const gsl_matrix *m) {
    gsl_matrix *t = gsl_matrix_alloc(m->size2, m->size1);
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            gsl_matrix_set(t, j, i, gsl_matrix_get(m, i, j));
    return t;
}

static inline gsl_matrix *plain_copy(const gsl_matrix *m) {
    gsl_matrix *copy = gsl_matrix_alloc(m->size1, m->size2);
    gsl_matrix_memcpy(copy, m);
    return copy;
}

static inline gsl_matrix *plain_identity(size_t n) {
    gsl_matrix *m = gsl_matrix_alloc(n, n);
    gsl_matrix_set_identity(m);
    return m;
}

// a + factor · b.
static inline gsl_matrix *plain_sum(const gsl_matrix *a, double factor, const gsl_matrix *b) {
    cr_assert(a->size1 == b->size1 && a->size2 == b->size2, "a sum of (%zu, %zu) and (%zu, %zu)", a->size1,
              a->size2, b->size1, b->size2);
    gsl_matrix *c = plain_copy(a);
    for (size_t i = 0; i < a->size1; i++)
        for (size_t j = 0; j < a->size2; j++)
            *gsl_matrix_ptr(c, i, j) += factor * gsl_matrix_get(b, i, j);
    return c;
}

static inline double plain_dot(const gsl_matrix *a, const gsl_matrix *b) {
    cr_assert(a->size1 == b->size1 && a->size2 == b->size2, "an inner product of (%zu, %zu) and (%zu, %zu)",
              a->size1, a->size2, b->size1, b->size2);
    double sum = 0;
    for (size_t i = 0; i < a->size1; i++)
        for (size_t j = 0; j < a->size2; j++)
            sum += gsl_matrix_get(a, i, j) * gsl_matrix_get(b, i, j);
    return sum;
}

static inline double plain_norm(const gsl_matrix *m) {
    return sqrt(plain_dot(m, m));
}

static inline double plain_distance(const gsl_matrix *a, const gsl_matrix *b) {
    return plain_norm(plain_sum(a, -1, b));
}

static inline double plain_trace(const gsl_matrix *m) {
    double sum = 0;
    for (size_t i = 0; i < m->size1; i++)
        sum += gsl_matrix_get(m, i, i);
    return sum;
}

// max |M − Mᵀ|.
static inline double plain_asymmetry(const gsl_matrix *m) {
    return test_max_difference(m, plain_transpose(m));
}

static inline gsl_matrix *plain_random_symmetric(size_t n, uint64_t seed) {
    const gsl_matrix *m = test_random_matrix(n, n, seed);
    return plain_sum(m, 1, plain_transpose(m));
}

// Orthonormal columns (n, k), by Gram-Schmidt on a random matrix, twice.
static inline gsl_matrix *plain_random_orthogonal(size_t n, size_t k, uint64_t seed) {
    gsl_matrix *q = test_random_matrix(n, k, seed);
    for (size_t j = 0; j < k; j++)
        for (size_t pass = 0; pass < 2; pass++) {
            double length = 0;
            for (size_t l = 0; l < j; l++) {
                double along = 0;
                for (size_t i = 0; i < n; i++)
                    along += gsl_matrix_get(q, i, j) * gsl_matrix_get(q, i, l);
                for (size_t i = 0; i < n; i++)
                    *gsl_matrix_ptr(q, i, j) -= along * gsl_matrix_get(q, i, l);
            }
            for (size_t i = 0; i < n; i++)
                length = hypot(length, gsl_matrix_get(q, i, j));
            for (size_t i = 0; i < n; i++)
                *gsl_matrix_ptr(q, i, j) /= length;
        }
    return q;
}

// left · diag(values) · rightᵀ over the columns of left and right.
static inline gsl_matrix *plain_spectral(const gsl_matrix *left, const double *values,
                                         const gsl_matrix *right) {
    gsl_matrix *scaled = plain_copy(left);
    for (size_t i = 0; i < left->size1; i++)
        for (size_t j = 0; j < left->size2; j++)
            *gsl_matrix_ptr(scaled, i, j) *= values[j];
    return plain_product(scaled, plain_transpose(right));
}

// Eigenvalues in decreasing order; *vectors (may be NULL) gets them as columns.
static inline gsl_vector *plain_eigenvalues(const gsl_matrix *m, gsl_matrix **vectors) {
    const size_t n = m->size1;
    gsl_vector *values = gsl_vector_alloc(n);
    gsl_matrix *q = gsl_matrix_alloc(n, n);
    gsl_eigen_symmv_workspace *work = gsl_eigen_symmv_alloc(n);
    cr_assert(gsl_eigen_symmv(plain_copy(m), values, q, work) == 0);
    gsl_eigen_symmv_sort(values, q, GSL_EIGEN_SORT_VAL_DESC);
    gsl_eigen_symmv_free(work);
    if (vectors != NULL)
        *vectors = q;
    return values;
}

// M = U diag(σ) Vᵀ by GSL (Golub and Reinsch), σ decreasing; u and v (may be NULL) as columns.
static inline gsl_vector *plain_singular_values(const gsl_matrix *m, gsl_matrix **u, gsl_matrix **v) {
    const bool flip = m->size1 < m->size2;
    gsl_matrix *left = flip ? plain_transpose(m) : plain_copy(m);
    gsl_matrix *right = gsl_matrix_alloc(left->size2, left->size2);
    gsl_vector *sigma = gsl_vector_alloc(left->size2);
    cr_assert(gsl_linalg_SV_decomp(left, right, sigma, gsl_vector_alloc(left->size2)) == 0);
    if (u != NULL)
        *u = flip ? right : left;
    if (v != NULL)
        *v = flip ? left : right;
    return sigma;
}

// max |x_i − y_i|, the shorter one being continued by zeros.
static inline double plain_vector_difference(const gsl_vector *x, const gsl_vector *y) {
    const size_t n = x->size > y->size ? x->size : y->size;
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((i < x->size ? gsl_vector_get(x, i) : 0) - (i < y->size ? gsl_vector_get(y, i) : 0));
        largest = d <= largest ? largest : d; // a NaN wins and stays
    }
    return largest;
}

static inline void plain_assert_decreasing(const gsl_vector *values, const char *what) {
    for (size_t i = 1; i < values->size; i++)
        cr_assert(gsl_vector_get(values, i - 1) >= gsl_vector_get(values, i), "%s: value %zu rises", what, i);
}

// ---- Kronecker products: parameter (i of d_a, j of d_g) has index i·d_g + j ----

static inline gsl_matrix *plain_kronecker(const gsl_matrix *a, const gsl_matrix *g) {
    const size_t d_a = a->size1, d_g = g->size1;
    gsl_matrix *m = gsl_matrix_alloc(d_a * d_g, d_a * d_g);
    for (size_t i = 0; i < d_a; i++)
        for (size_t j = 0; j < d_g; j++)
            for (size_t i2 = 0; i2 < d_a; i2++)
                for (size_t j2 = 0; j2 < d_g; j2++)
                    gsl_matrix_set(m, i * d_g + j, i2 * d_g + j2,
                                   gsl_matrix_get(a, i, i2) * gsl_matrix_get(g, j, j2));
    return m;
}

// R(F) (d_a², d_g²): row (i, i2), column (j, j2).
static inline gsl_matrix *plain_rearranged(const gsl_matrix *f, size_t d_a, size_t d_g) {
    gsl_matrix *r = gsl_matrix_alloc(d_a * d_a, d_g * d_g);
    for (size_t i = 0; i < d_a; i++)
        for (size_t i2 = 0; i2 < d_a; i2++)
            for (size_t j = 0; j < d_g; j++)
                for (size_t j2 = 0; j2 < d_g; j2++)
                    gsl_matrix_set(r, i * d_a + i2, j * d_g + j2,
                                   gsl_matrix_get(f, i * d_g + j, i2 * d_g + j2));
    return r;
}

// The inverse of plain_rearranged.
static inline gsl_matrix *plain_arranged_back(const gsl_matrix *r, size_t d_a, size_t d_g) {
    gsl_matrix *f = gsl_matrix_alloc(d_a * d_g, d_a * d_g);
    for (size_t i = 0; i < d_a; i++)
        for (size_t i2 = 0; i2 < d_a; i2++)
            for (size_t j = 0; j < d_g; j++)
                for (size_t j2 = 0; j2 < d_g; j2++)
                    gsl_matrix_set(f, i * d_g + j, i2 * d_g + j2,
                                   gsl_matrix_get(r, i * d_a + i2, j * d_g + j2));
    return f;
}

// A parameter matrix (d_a, d_g) as a column, and back.
static inline gsl_matrix *plain_column(const gsl_matrix *x) {
    gsl_matrix *c = gsl_matrix_alloc(x->size1 * x->size2, 1);
    for (size_t i = 0; i < x->size1; i++)
        for (size_t j = 0; j < x->size2; j++)
            gsl_matrix_set(c, i * x->size2 + j, 0, gsl_matrix_get(x, i, j));
    return c;
}

static inline gsl_matrix *plain_parameters(const gsl_matrix *column, size_t d_a, size_t d_g) {
    gsl_matrix *x = gsl_matrix_alloc(d_a, d_g);
    for (size_t i = 0; i < d_a; i++)
        for (size_t j = 0; j < d_g; j++)
            gsl_matrix_set(x, i, j, gsl_matrix_get(column, i * d_g + j, 0));
    return x;
}

// ---- The Fisher block from its samples ----

// G_n (d_g, d_g), from the columns g_nc or from its packed triangle.
static inline gsl_matrix *plain_covariance(const fim_samples *s, size_t n) {
    gsl_matrix *m = gsl_matrix_calloc(s->d_g, s->d_g);
    size_t at = 0;
    for (size_t j = 0; j < s->d_g; j++)
        for (size_t k = j; k < s->d_g; k++, at++) {
            double sum = 0;
            if (s->packed != NULL)
                sum = gsl_matrix_get(s->packed, n, at) / (j == k ? 1 : sqrt(2));
            if (s->diagonal != NULL)
                sum = j == k ? gsl_matrix_get(s->diagonal, n, j) : 0;
            for (size_t c = 0; s->g != NULL && c < s->columns; c++)
                sum +=
                    gsl_matrix_get(s->g, n * s->columns + c, j) * gsl_matrix_get(s->g, n * s->columns + c, k);
            gsl_matrix_set(m, j, k, sum);
            gsl_matrix_set(m, k, j, sum);
        }
    return m;
}

// a_n a_nᵀ.
static inline gsl_matrix *plain_outer(const fim_samples *s, size_t n) {
    gsl_matrix *m = gsl_matrix_alloc(s->d_a, s->d_a);
    for (size_t i = 0; i < s->d_a; i++)
        for (size_t j = 0; j < s->d_a; j++)
            gsl_matrix_set(m, i, j, gsl_matrix_get(s->a, n, i) * gsl_matrix_get(s->a, n, j));
    return m;
}

// F = (1/N) Σ_n (a_n a_nᵀ) ⊗ G_n, one Kronecker product after the other.
static inline gsl_matrix *plain_block(const fim_samples *s) {
    const size_t d = s->d_a * s->d_g;
    gsl_matrix *f = gsl_matrix_calloc(d, d);
    for (size_t n = 0; n < s->n; n++) {
        gsl_matrix *outer = plain_outer(s, n), *covariance = plain_covariance(s, n);
        gsl_matrix *one = plain_kronecker(outer, covariance);
        for (size_t i = 0; i < d * d; i++)
            f->data[i] += one->data[i] / (double)s->n;
        gsl_matrix_free(outer);
        gsl_matrix_free(covariance);
        gsl_matrix_free(one);
    }
    return f;
}

#endif
