// (U_a ⊗ U_g) diag(Λ) (U_a ⊗ U_g)ᵀ: a diagonal in a Kronecker basis, Λ (d_a, d_g) as a parameter matrix. A
// missing basis is the identity, so the plain diagonal is the case without either.
#include <gsl/gsl_blas.h>
#include <stdio.h>
#include <stdlib.h>

#include "op.h"

static void basis_free(fim_op *op) {
    basis *self = (basis *)op;
    gsl_matrix_free(self->u_a);
    gsl_matrix_free(self->u_g);
    gsl_matrix_free(self->lambda);
    free(self);
}

// y = U_aᵀ x U_g, or U_a x U_gᵀ for `back`; half is scratch.
static void change_basis(const basis *self, bool back, const gsl_matrix *x, gsl_matrix *half, gsl_matrix *y) {
    if (self->u_a != NULL)
        gsl_blas_dgemm(back ? CblasNoTrans : CblasTrans, CblasNoTrans, 1, self->u_a, x, 0, half);
    else
        gsl_matrix_memcpy(half, x);
    if (self->u_g != NULL)
        gsl_blas_dgemm(CblasNoTrans, back ? CblasTrans : CblasNoTrans, 1, half, self->u_g, 0, y);
    else
        gsl_matrix_memcpy(y, half);
}

static fim_status basis_apply(const fim_op *op, const gsl_matrix *x, gsl_matrix *y) {
    const basis *self = (const basis *)op;
    gsl_matrix *half = NULL, *inside = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(op->d_a, op->d_g, "a change of basis", &half));
    FIM_TRY(fim_matrix_new(op->d_a, op->d_g, "a change of basis", &inside));
    change_basis(self, false, x, half, inside);
    gsl_matrix_mul_elements(inside, self->lambda);
    change_basis(self, true, inside, half, y);
out:
    gsl_matrix_free(half);
    gsl_matrix_free(inside);
    return status;
}

// The block of inputs (i, i2) is U_g diag(w) U_gᵀ with w = Σ_k U_a[i,k] U_a[i2,k] Λ[k,:]: d_a² products of
// d_g³ instead of one of D³.
static fim_status basis_dense(const fim_op *op, gsl_matrix *dense) {
    const basis *self = (const basis *)op;
    const size_t d_a = op->d_a, d_g = op->d_g;
    gsl_vector *w = NULL;
    gsl_matrix *scaled = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(d_g, "a block's diagonal", &w));
    FIM_TRY(fim_matrix_new(d_g, d_g, "a scaled basis", &scaled));
    for (size_t i = 0; i < d_a; i++)
        for (size_t i2 = 0; i2 < d_a; i2++) {
            gsl_vector_set_zero(w);
            for (size_t k = 0; k < d_a; k++) {
                const double weight = self->u_a != NULL
                                          ? gsl_matrix_get(self->u_a, i, k) * gsl_matrix_get(self->u_a, i2, k)
                                          : (double)(i == k && i2 == k);
                gsl_vector_const_view row = gsl_matrix_const_row(self->lambda, k);
                gsl_blas_daxpy(weight, &row.vector, w);
            }
            gsl_matrix_view block = gsl_matrix_submatrix(dense, i * d_g, i2 * d_g, d_g, d_g);
            if (self->u_g == NULL) {
                gsl_matrix_set_zero(&block.matrix);
                gsl_vector_view diagonal = gsl_matrix_diagonal(&block.matrix);
                gsl_vector_memcpy(&diagonal.vector, w);
                continue;
            }
            gsl_matrix_memcpy(scaled, self->u_g);
            gsl_matrix_scale_columns(scaled, w);
            gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, scaled, self->u_g, 0, &block.matrix);
        }
out:
    gsl_vector_free(w);
    gsl_matrix_free(scaled);
    return status;
}

static fim_status basis_norm2(const fim_op *op, double *out) {
    const gsl_matrix *lambda = ((const basis *)op)->lambda;
    *out = fim_matrix_inner(lambda, lambda);
    return FIM_OK;
}

static double basis_trace(const fim_op *op) {
    gsl_vector_const_view lambda =
        gsl_vector_const_view_array(((const basis *)op)->lambda->data, op->d_a * op->d_g);
    return gsl_vector_sum(&lambda.vector);
}

// R(op) vec(x) = U_a diag(Λ q) U_aᵀ with q_j = u_jᵀ x u_j over the columns of U_g, and likewise transposed.
static fim_status basis_rearranged(const fim_op *op, bool transposed, const gsl_matrix *x, gsl_matrix *y) {
    const basis *self = (const basis *)op;
    const gsl_matrix *from = transposed ? self->u_a : self->u_g, *to = transposed ? self->u_g : self->u_a;
    gsl_vector *q = NULL, *w = NULL;
    gsl_matrix *scaled = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(x->size1, "a factor in a basis", &q));
    FIM_TRY(fim_vector_new(y->size1, "a factor in a basis", &w));
    FIM_TRY(op_quadratic(x, from, q));
    gsl_blas_dgemv(transposed ? CblasTrans : CblasNoTrans, 1, self->lambda, q, 0, w);
    gsl_matrix_set_zero(y);
    if (to == NULL) {
        gsl_vector_view diagonal = gsl_matrix_diagonal(y);
        gsl_vector_memcpy(&diagonal.vector, w);
        goto out;
    }
    FIM_TRY(fim_matrix_copy(to, "a scaled basis", &scaled));
    gsl_matrix_scale_columns(scaled, w);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, scaled, to, 0, y);
out:
    gsl_vector_free(q);
    gsl_vector_free(w);
    gsl_matrix_free(scaled);
    return status;
}

// The squared entries of UᵀW, W the basis of the operator; both may be identities.
static fim_status squared_overlap(const gsl_matrix *u, const gsl_matrix *w, size_t d, gsl_matrix **out) {
    gsl_matrix *overlap = NULL;
    fim_status status = fim_matrix_new(d, d, "overlaps of two bases", &overlap);
    if (status != FIM_OK)
        return status;
    if (u != NULL && w != NULL)
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, u, w, 0, overlap);
    else if (w != NULL)
        gsl_matrix_memcpy(overlap, w);
    else if (u != NULL)
        gsl_matrix_transpose_memcpy(overlap, u);
    else
        gsl_matrix_set_identity(overlap);
    gsl_matrix_mul_elements(overlap, overlap);
    *out = overlap;
    return FIM_OK;
}

// Entry (i, j) is Σ_kl (u_i·w_k)² Λ_kl (u_j·w_l)².
static fim_status basis_diagonal(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                 gsl_matrix *lambda) {
    const basis *self = (const basis *)op;
    gsl_matrix *left = NULL, *right = NULL, *half = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(squared_overlap(u_a, self->u_a, op->d_a, &left));
    FIM_TRY(squared_overlap(u_g, self->u_g, op->d_g, &right));
    FIM_TRY(fim_matrix_new(op->d_a, op->d_g, "a diagonal", &half));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, left, self->lambda, 0, half);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, half, right, 0, lambda);
out:
    gsl_matrix_free(left);
    gsl_matrix_free(right);
    gsl_matrix_free(half);
    return status;
}

static fim_status basis_inner(const fim_op *op, const fim_form *f, double *out) {
    const basis *self = (const basis *)op;
    gsl_matrix *diagonal = NULL;
    fim_status status = fim_matrix_new(op->d_a, op->d_g, "a diagonal", &diagonal);
    if (status != FIM_OK)
        return status;
    status = f->diagonal(f->context, self->u_a, self->u_g, diagonal);
    if (status == FIM_OK)
        *out = fim_matrix_inner(diagonal, self->lambda);
    gsl_matrix_free(diagonal);
    return status;
}

static fim_status basis_eigen_size(const fim_op *op, size_t *rows) {
    (void)op;
    *rows = 0;
    return FIM_OK;
}

static fim_status basis_eigenvalues(const fim_op *op, size_t budget, gsl_vector *values, char *route) {
    (void)budget; // nothing is allocated
    gsl_vector_const_view lambda =
        gsl_vector_const_view_array(((const basis *)op)->lambda->data, op->d_a * op->d_g);
    gsl_vector_memcpy(values, &lambda.vector);
    sprintf(route, "the diagonal in its basis");
    return fim_sort_decreasing(values);
}

// In its own basis: 1/(Λ + λ).
static fim_status basis_inverse(const fim_op *op, const fim_inverse_options *options, fim_inverse *out) {
    const basis *self = (const basis *)op;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(op->d_a, op->d_g, "the inverse of a diagonal", &out->w));
    if (self->u_a != NULL)
        FIM_TRY(fim_matrix_copy(self->u_a, "the basis of an inverse", &out->k_a));
    if (self->u_g != NULL)
        FIM_TRY(fim_matrix_copy(self->u_g, "the basis of an inverse", &out->k_g));
    FIM_TRY(inverse_diagonal(options->damping, self->lambda, out->w, &out->log_det));
out:
    return status;
}

static fim_status basis_visit(const fim_op *op,
                              fim_status (*visit)(void *context, const char *name, const gsl_matrix *matrix),
                              void *context) {
    const basis *self = (const basis *)op;
    const char *const name[] = {"u_a", "u_g", "lambda"};
    const gsl_matrix *const matrix[] = {self->u_a, self->u_g, self->lambda};
    for (size_t i = 0; i < 3; i++) {
        fim_status status = matrix[i] != NULL ? visit(context, name[i], matrix[i]) : FIM_OK;
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

// Kᵀ U of two bases, NULL for identities.
static fim_status turn(const gsl_matrix *k, const gsl_matrix *u, gsl_matrix **out) {
    if (k == NULL)
        return u != NULL ? fim_matrix_copy(u, "a turned basis", out) : FIM_OK;
    fim_status status = fim_matrix_new(k->size1, k->size1, "a turned basis", out);
    if (status != FIM_OK)
        return status;
    if (u != NULL)
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, k, u, 0, *out);
    else
        gsl_matrix_transpose_memcpy(*out, k);
    return FIM_OK;
}

static fim_status basis_turned(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g, fim_op **out) {
    const basis *self = (const basis *)op;
    gsl_matrix *turned_a = NULL, *turned_g = NULL, *lambda = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(turn(u_a, self->u_a, &turned_a));
    FIM_TRY(turn(u_g, self->u_g, &turned_g));
    FIM_TRY(fim_matrix_copy(self->lambda, "a diagonal", &lambda));
    return fim_op_new_basis(turned_a, turned_g, lambda, out);
out:
    gsl_matrix_free(turned_a);
    gsl_matrix_free(turned_g);
    return status;
}

static const fim_op_class basis_class = {
    .kind = "basis",
    .free = basis_free,
    .apply = basis_apply,
    .dense = basis_dense,
    .norm2 = basis_norm2,
    .trace = basis_trace,
    .rearranged = basis_rearranged,
    .diagonal = basis_diagonal,
    .turned = basis_turned,
    .inner = basis_inner,
    .eigen_size = basis_eigen_size,
    .eigenvalues = basis_eigenvalues,
    .inverse = basis_inverse,
    .visit = basis_visit,
};

fim_status fim_op_new_basis(gsl_matrix *u_a, gsl_matrix *u_g, gsl_matrix *lambda, fim_op **out) {
    basis *self = NULL;
    fim_status status = FIM_OK;
    const size_t d_a = lambda->size1, d_g = lambda->size2;
    if ((u_a != NULL && (u_a->size1 != d_a || u_a->size2 != d_a)) ||
        (u_g != NULL && (u_g->size1 != d_g || u_g->size2 != d_g)) || lambda->tda != d_g)
        status = FIM_FAIL(FIM_ERR_SHAPE, "the bases do not fit a diagonal of (%zu, %zu)", d_a, d_g);
    else
        status = fim_alloc(1, sizeof *self, "an operator", &self);
    if (status != FIM_OK) {
        gsl_matrix_free(u_a);
        gsl_matrix_free(u_g);
        gsl_matrix_free(lambda);
        return status;
    }
    *self = (basis){
        .head = {.class = &basis_class, .d_a = d_a, .d_g = d_g}, .u_a = u_a, .u_g = u_g, .lambda = lambda};
    *out = &self->head;
    return FIM_OK;
}
