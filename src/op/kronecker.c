// Σ_k A_k ⊗ G_k. On a parameter matrix Xᵀ (d_a, d_g) a term is Xᵀ -> A Xᵀ G.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "op.h"

static void kronecker_free(fim_op *op) {
    kronecker *self = (kronecker *)op;
    for (size_t k = 0; k < self->terms; k++) {
        gsl_matrix_free(self->a[k]);
        gsl_matrix_free(self->g[k]);
    }
    free(self->a);
    free(self->g);
    free(self);
}

static fim_status kronecker_apply(const fim_op *op, const gsl_matrix *x, gsl_matrix *y) {
    const kronecker *self = (const kronecker *)op;
    gsl_matrix *half = NULL;
    fim_status status = fim_matrix_new(op->d_a, op->d_g, "a Kronecker product", &half);
    if (status != FIM_OK)
        return status;
    for (size_t k = 0; k < self->terms; k++) {
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, self->a[k], x, 0, half);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, half, self->g[k], k > 0, y);
    }
    gsl_matrix_free(half);
    return FIM_OK;
}

// dense = Σ_k a[k] ⊗ g[k], a block of d_g × d_g for every entry of the a[k].
static void assemble(size_t terms, gsl_matrix *const *a, gsl_matrix *const *g, gsl_matrix *dense) {
    const size_t d_a = a[0]->size1, d_g = g[0]->size1;
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t i = 0; i < d_a; i++)
        for (size_t j = 0; j < d_g; j++) {
            double *row = dense->data + (i * d_g + j) * dense->tda;
            for (size_t k = 0; k < terms; k++) {
                const double *g_row = g[k]->data + j * g[k]->tda;
                for (size_t i2 = 0; i2 < d_a; i2++) {
                    const double weight = a[k]->data[i * a[k]->tda + i2];
                    double *block = row + i2 * d_g;
                    for (size_t j2 = 0; j2 < d_g; j2++)
                        block[j2] = (k > 0 ? block[j2] : 0) + weight * g_row[j2];
                }
            }
        }
}

static fim_status kronecker_dense(const fim_op *op, gsl_matrix *dense) {
    const kronecker *self = (const kronecker *)op;
    assemble(self->terms, self->a, self->g, dense);
    return FIM_OK;
}

static double trace(const gsl_matrix *m) {
    double sum = 0;
    for (size_t i = 0; i < m->size1; i++)
        sum += gsl_matrix_get(m, i, i);
    return sum;
}

static fim_status kronecker_norm2(const fim_op *op, double *out) {
    const kronecker *self = (const kronecker *)op;
    double sum = 0;
    for (size_t k = 0; k < self->terms; k++)
        for (size_t l = 0; l <= k; l++)
            sum += (l < k ? 2 : 1) * fim_matrix_inner(self->a[k], self->a[l]) *
                   fim_matrix_inner(self->g[k], self->g[l]);
    *out = sum;
    return FIM_OK;
}

static double kronecker_trace(const fim_op *op) {
    const kronecker *self = (const kronecker *)op;
    double sum = 0;
    for (size_t k = 0; k < self->terms; k++)
        sum += trace(self->a[k]) * trace(self->g[k]);
    return sum;
}

static void kronecker_split(fim_op *op, double trace_a) {
    kronecker *self = (kronecker *)op;
    const double now = trace(self->a[0]);
    for (size_t k = 0; now > 0 && trace_a > 0 && k < self->terms; k++) {
        gsl_matrix_scale(self->a[k], trace_a / now);
        gsl_matrix_scale(self->g[k], now / trace_a);
    }
}

static fim_status kronecker_rearranged(const fim_op *op, bool transposed, const gsl_matrix *x,
                                       gsl_matrix *y) {
    const kronecker *self = (const kronecker *)op;
    gsl_matrix *const *from = transposed ? self->a : self->g, *const *to = transposed ? self->g : self->a;
    gsl_matrix_set_zero(y);
    for (size_t k = 0; k < self->terms; k++) {
        const double weight = fim_matrix_inner(from[k], x);
        for (size_t i = 0; i < y->size1; i++)
            cblas_daxpy((int)y->size2, weight, to[k]->data + i * to[k]->tda, 1, y->data + i * y->tda, 1);
    }
    return FIM_OK;
}

static fim_status kronecker_diagonal(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                     gsl_matrix *lambda) {
    const kronecker *self = (const kronecker *)op;
    gsl_vector *left = NULL, *right = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(op->d_a, "a factor's diagonal", &left));
    FIM_TRY(fim_vector_new(op->d_g, "a factor's diagonal", &right));
    gsl_matrix_set_zero(lambda);
    for (size_t k = 0; k < self->terms; k++) {
        FIM_TRY(op_quadratic(self->a[k], u_a, left));
        FIM_TRY(op_quadratic(self->g[k], u_g, right));
        gsl_blas_dger(1, left, right, lambda);
    }
out:
    gsl_vector_free(left);
    gsl_vector_free(right);
    return status;
}

static fim_status kronecker_inner(const fim_op *op, const fim_form *f, double *out) {
    const kronecker *self = (const kronecker *)op;
    double sum = 0;
    for (size_t k = 0; k < self->terms; k++) {
        double term;
        fim_status status = f->inner_kronecker(f->context, self->a[k], self->g[k], &term);
        if (status != FIM_OK)
            return status;
        sum += term;
    }
    *out = sum;
    return FIM_OK;
}

// One term: the products of the factors' eigenvalues.
static fim_status product_eigenvalues(const kronecker *self, gsl_vector *values, char *route) {
    gsl_matrix *copy[2] = {NULL, NULL};
    gsl_vector *factor[2] = {NULL, NULL};
    const gsl_matrix *source[2] = {self->a[0], self->g[0]};
    fim_status status = FIM_OK;
    for (size_t s = 0; s < 2; s++) {
        FIM_TRY(fim_matrix_copy(source[s], "a factor's eigenvalues", &copy[s]));
        FIM_TRY(fim_vector_new(source[s]->size1, "a factor's eigenvalues", &factor[s]));
        FIM_TRY(fim_eigenvalues(copy[s], factor[s]));
    }
    for (size_t i = 0; i < factor[0]->size; i++)
        for (size_t j = 0; j < factor[1]->size; j++)
            gsl_vector_set(values, i * factor[1]->size + j,
                           gsl_vector_get(factor[0], i) * gsl_vector_get(factor[1], j));
    FIM_TRY(fim_sort_decreasing(values));
    sprintf(route, "products of the factors' eigenvalues");
out:
    for (size_t s = 0; s < 2; s++) {
        gsl_matrix_free(copy[s]);
        gsl_vector_free(factor[s]);
    }
    return status;
}

// The coordinates in which some matrix has more than rounding: a dead unit's rows and columns are zero in
// every factor, and a dense eigensolver would pay for them with the cube. Returns how many.
static size_t live_coordinates(size_t terms, gsl_matrix *const *m, size_t *index) {
    const double negligible = 1e-15;
    const size_t n = m[0]->size1;
    size_t live = 0;
    for (size_t i = 0; i < n; i++)
        index[i] = false;
    for (size_t k = 0; k < terms; k++) {
        const double norm = sqrt(fim_matrix_inner(m[k], m[k]));
        for (size_t i = 0; i < n; i++) {
            gsl_vector_const_view row = gsl_matrix_const_row(m[k], i);
            index[i] |= gsl_blas_dnrm2(&row.vector) > negligible * norm;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (index[i])
            index[live++] = i;
    return live;
}

// The square sub-matrices m[k][index, index] as new matrices.
static fim_status restrict_to(size_t terms, gsl_matrix *const *m, const size_t *index, size_t live,
                              gsl_matrix **out) {
    for (size_t k = 0; k < terms; k++) {
        fim_status status = fim_matrix_new(live, live, "the live part of a factor", &out[k]);
        if (status != FIM_OK)
            return status;
        for (size_t i = 0; i < live; i++)
            for (size_t j = 0; j < live; j++)
                gsl_matrix_set(out[k], i, j, gsl_matrix_get(m[k], index[i], index[j]));
    }
    return FIM_OK;
}

// Several terms have no common eigenbasis: a dense eigensolver on the coordinates where any term lives.
static fim_status sum_eigenvalues(const kronecker *self, size_t budget, gsl_vector *values, char *route) {
    const size_t terms = self->terms;
    gsl_matrix *const *side[2] = {self->a, self->g};
    size_t *index = NULL, live[2] = {0, 0};
    gsl_matrix **part[2] = {NULL, NULL}, *dense = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(self->head.d_a > self->head.d_g ? self->head.d_a : self->head.d_g, sizeof *index,
                      "coordinates", &index));
    for (size_t s = 0; s < 2; s++) {
        live[s] = live_coordinates(terms, side[s], index);
        FIM_TRY(fim_alloc(terms, sizeof *part[s], "the live factors", &part[s]));
        FIM_TRY(restrict_to(terms, side[s], index, live[s], part[s]));
    }
    const size_t m = live[0] * live[1];
    FIM_TRY(fim_budget_check(budget, fim_size_mul(fim_size_mul(m, m), sizeof(double)),
                             "the full spectrum of a sum of Kronecker products",
                             "raise --memory, or leave the spectral metrics out with --metrics"));
    FIM_TRY(fim_matrix_new(m, m, "a sum of Kronecker products", &dense));
    gsl_vector *live_values = NULL;
    FIM_TRY(fim_vector_new(m, "eigenvalues", &live_values));
    if (m > 0)
        assemble(terms, part[0], part[1], dense);
    status = fim_eigenvalues(dense, live_values);
    if (status == FIM_OK) {
        gsl_vector_set_zero(values);
        for (size_t i = 0; i < m; i++)
            gsl_vector_set(values, i, gsl_vector_get(live_values, i));
        status = fim_sort_decreasing(values); // the zeros of dead coordinates lie between the signs
        sprintf(route, "dense eigensolver, %zu live of %zu", m, values->size);
    }
    gsl_vector_free(live_values);
out:
    for (size_t s = 0; s < 2; s++) {
        for (size_t k = 0; part[s] != NULL && k < terms; k++)
            gsl_matrix_free(part[s][k]);
        free(part[s]);
    }
    free(index);
    gsl_matrix_free(dense);
    return status;
}

static fim_status kronecker_eigen_size(const fim_op *op, size_t *rows) {
    const kronecker *self = (const kronecker *)op;
    size_t *index = NULL;
    if (self->terms == 1) {
        *rows = 0;
        return FIM_OK;
    }
    fim_status status =
        fim_alloc(op->d_a > op->d_g ? op->d_a : op->d_g, sizeof *index, "coordinates", &index);
    if (status != FIM_OK)
        return status;
    *rows = live_coordinates(self->terms, self->a, index);
    *rows *= live_coordinates(self->terms, self->g, index);
    free(index);
    return FIM_OK;
}

static fim_status kronecker_eigenvalues(const fim_op *op, size_t budget, gsl_vector *values, char *route) {
    const kronecker *self = (const kronecker *)op;
    return self->terms == 1 ? product_eigenvalues(self, values, route)
                            : sum_eigenvalues(self, budget, values, route);
}

static fim_status kronecker_visit(const fim_op *op,
                                  fim_status (*visit)(void *context, const char *name,
                                                      const gsl_matrix *matrix),
                                  void *context) {
    const kronecker *self = (const kronecker *)op;
    for (size_t k = 0; k < self->terms; k++) {
        char name[32];
        for (size_t s = 0; s < 2; s++) {
            snprintf(name, sizeof name, "%c_%zu", s == 0 ? 'a' : 'g', k);
            fim_status status = visit(context, name, s == 0 ? self->a[k] : self->g[k]);
            if (status != FIM_OK)
                return status;
        }
    }
    return FIM_OK;
}

static fim_status kronecker_turned(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                   fim_op **out) {
    const kronecker *self = (const kronecker *)op;
    gsl_matrix **a = NULL, **g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(self->terms, sizeof *a, "turned factors", &a));
    FIM_TRY(fim_alloc(self->terms, sizeof *g, "turned factors", &g));
    for (size_t k = 0; k < self->terms; k++) {
        FIM_TRY(fim_matrix_turned(self->a[k], u_a, "a turned factor", &a[k]));
        FIM_TRY(fim_matrix_turned(self->g[k], u_g, "a turned factor", &g[k]));
    }
    status = fim_op_new_kronecker(self->terms, a, g, out);
    free(a);
    free(g);
    return status;
out:
    for (size_t k = 0; k < self->terms; k++) {
        if (a != NULL)
            gsl_matrix_free(a[k]);
        if (g != NULL)
            gsl_matrix_free(g[k]);
    }
    free(a);
    free(g);
    return status;
}

static const fim_op_class kronecker_class = {
    .kind = "kronecker",
    .free = kronecker_free,
    .apply = kronecker_apply,
    .dense = kronecker_dense,
    .norm2 = kronecker_norm2,
    .trace = kronecker_trace,
    .split = kronecker_split,
    .rearranged = kronecker_rearranged,
    .diagonal = kronecker_diagonal,
    .turned = kronecker_turned,
    .inner = kronecker_inner,
    .eigen_size = kronecker_eigen_size,
    .eigenvalues = kronecker_eigenvalues,
    .inverse = kronecker_inverse,
    .visit = kronecker_visit,
};

static fim_status check_terms(size_t terms, gsl_matrix *const *a, gsl_matrix *const *g) {
    if (terms == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a Kronecker sum needs at least one term");
    for (size_t k = 0; k < terms; k++)
        if (a[k]->size1 != a[0]->size1 || a[k]->size2 != a[0]->size1 || g[k]->size1 != g[0]->size1 ||
            g[k]->size2 != g[0]->size1)
            return FIM_FAIL(
                FIM_ERR_SHAPE,
                "term %zu of a Kronecker sum is (%zu, %zu) ⊗ (%zu, %zu), term 0 is square of %zu and %zu", k,
                a[k]->size1, a[k]->size2, g[k]->size1, g[k]->size2, a[0]->size1, g[0]->size1);
    return FIM_OK;
}

fim_status fim_op_new_kronecker(size_t terms, gsl_matrix *const *a, gsl_matrix *const *g, fim_op **out) {
    kronecker *self = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(check_terms(terms, a, g));
    FIM_TRY(fim_alloc(1, sizeof *self, "an operator", &self));
    FIM_TRY(fim_alloc(terms, sizeof *self->a, "its terms", &self->a));
    FIM_TRY(fim_alloc(terms, sizeof *self->g, "its terms", &self->g));
    self->head = (fim_op){.class = &kronecker_class, .d_a = a[0]->size1, .d_g = g[0]->size1};
    self->terms = terms;
    for (size_t k = 0; k < terms; k++) {
        self->a[k] = a[k];
        self->g[k] = g[k];
    }
    *out = &self->head;
    return FIM_OK;
out:
    if (self != NULL)
        free(self->a);
    free(self);
    for (size_t k = 0; k < terms; k++) {
        gsl_matrix_free(a[k]);
        gsl_matrix_free(g[k]);
    }
    return status;
}
