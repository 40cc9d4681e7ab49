// (F̂ + λI)⁻¹ for many λ at the price of one: a Kronecker term and a diagonal in a basis are diagonal in the
// same coordinates whatever λ is, and so is a sum of terms in its own eigenvectors while it is small enough
// for a dense eigensolver. Beyond that step_products.c, by products for every λ.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>

#include "steps.h"

enum { DENSE_ROWS = 2500 };

void step_model_clear(step_model *model) {
    fim_inverse_clear(&model->basis);
    gsl_matrix_free(model->vectors);
    gsl_matrix_free(model->curvature);
    gsl_matrix_free(model->seen);
    gsl_matrix_free(model->f_diagonal);
    fim_op_free(model->turned);
    *model = (step_model){0};
}

// y = Vᵀ x in dense eigenvectors V, or V x for `back`; x and y are contiguous.
static void turn_dense(const gsl_matrix *vectors, bool back, const gsl_matrix *x, gsl_matrix *y) {
    gsl_vector_const_view from = gsl_vector_const_view_array(x->data, vectors->size1);
    gsl_vector_view to = gsl_vector_view_array(y->data, vectors->size1);
    gsl_blas_dgemv(back ? CblasNoTrans : CblasTrans, 1, vectors, &from.vector, 0, &to.vector);
}

fim_status step_model_turn(const step_model *m, bool back, const gsl_matrix *x, gsl_matrix *y) {
    gsl_matrix *half = NULL;
    if (m->vectors != NULL) {
        turn_dense(m->vectors, back, x, y);
        return FIM_OK;
    }
    fim_status status = fim_matrix_new(x->size1, x->size2, "a step in a basis", &half);
    if (status == FIM_OK)
        fim_inverse_turn(&m->basis, back, x, half, y);
    gsl_matrix_free(half);
    return status;
}

fim_status step_model_structure(const fim_fisher *f, const fim_op *op, step_model *m) {
    const fim_inverse_options exact = {.damping = m->base, .form = FIM_DAMPING_EXACT};
    fim_status status = fim_inverse_init(op, &exact, &m->basis);
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_matrix_new(m->basis.d_a, m->basis.d_g, "damped eigenvalues", &m->curvature));
    FIM_TRY(fim_matrix_new(m->basis.d_a, m->basis.d_g, "a diagonal of F", &m->f_diagonal));
    for (size_t i = 0; i < m->basis.d_a * m->basis.d_g; i++)
        m->curvature->data[i] = 1 / m->basis.w->data[i];
    FIM_TRY(fim_fisher_diagonal(f, m->basis.k_a, m->basis.k_g, m->f_diagonal));
    snprintf(m->route, sizeof m->route, "eigenbasis of its structure");
out:
    return status;
}

static fim_status from_eigenvectors(const fim_fisher *f, const fim_op *op, step_model *m) {
    const size_t d_a = fim_op_d_a(op), d_g = fim_op_d_g(op), d = d_a * d_g;
    gsl_matrix *dense = NULL, *product = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d, d, "eigenvectors of a sum", &m->vectors));
    FIM_TRY(fim_matrix_new(d_a, d_g, "damped eigenvalues", &m->curvature));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a diagonal of F", &m->f_diagonal));
    FIM_TRY(fim_matrix_new(d, d, "a dense block", &dense));
    FIM_TRY(fim_matrix_new(d, d, "a rotated block", &product));
    FIM_TRY(fim_op_dense(op, m->vectors));
    gsl_vector_view values = gsl_vector_view_array(m->curvature->data, d);
    FIM_TRY(fim_eigen(m->vectors, &values.vector));
    gsl_vector_add_constant(&values.vector, m->base);
    FIM_TRY(fim_fisher_dense(f, dense));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, dense, m->vectors, 0, product);
    for (size_t i = 0; i < d; i++)
        for (size_t k = 0; k < d; k++)
            m->f_diagonal->data[k] += gsl_matrix_get(m->vectors, i, k) * gsl_matrix_get(product, i, k);
    snprintf(m->route, sizeof m->route, "dense eigenvectors");
out:
    gsl_matrix_free(dense);
    gsl_matrix_free(product);
    return status;
}

fim_status step_model_init(const fim_fisher *f, const fim_op *op, const gsl_matrix *gradient,
                           const fim_steps_options *options, step_model *out) {
    const size_t d_a = fim_op_d_a(op), d_g = fim_op_d_g(op), d = fim_size_mul(d_a, d_g);
    const bool dense =
        d <= DENSE_ROWS && fim_size_mul(fim_size_mul(d, d), 4 * sizeof(double)) <= options->budget;
    step_model m = {.base = options->damping[0]};
    fim_status status = options->matrix_free ? FIM_ERR_UNAVAILABLE : step_model_structure(f, op, &m);
    if (status == FIM_ERR_UNAVAILABLE) { // a sum
        step_model_clear(&m);
        m = (step_model){.base = options->damping[0]};
        status = dense && !options->matrix_free ? from_eigenvectors(f, op, &m)
                                                : step_products_init(f, op, options, &m);
    }
    FIM_TRY(status);
    if (gradient != NULL) {
        FIM_TRY(fim_matrix_new(d_a, d_g, "a gradient in a basis", &m.seen));
        FIM_TRY(step_model_turn(&m, false, gradient, m.seen));
    }
    *out = m;
    return FIM_OK;
out:
    step_model_clear(&m);
    return status;
}

static fim_status check_positive(const step_model *m, double damping) {
    const double smallest = m->turned != NULL ? m->smallest : gsl_matrix_min(m->curvature) - m->base;
    return smallest + damping > 0
               ? FIM_OK
               : FIM_FAIL(FIM_NOT_POSITIVE, "not positive definite up to damping %.3g", -smallest);
}

fim_status step_model_solve(const step_model *m, double damping, gsl_matrix *y) {
    gsl_matrix *part = NULL;
    fim_status status = check_positive(m, damping);
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_matrix_copy(m->seen, "a step in a basis", &part));
    for (size_t i = 0; i < part->size1 * part->size2; i++)
        part->data[i] /= m->curvature->data[i] + (damping - m->base);
    if (m->turned != NULL)
        FIM_TRY(step_products_solve(m, damping, STEP_TOLERANCE, m->seen, part));
    FIM_TRY(step_model_turn(m, true, part, y));
out:
    gsl_matrix_free(part);
    return status;
}

// Term by term t − ln t − 1 of what F and a diagonal share, so that little cancels where they agree, and the
// logarithms that are left of ln det (F + λI): not negative either (Hadamard).
static double shared_divergence(const step_model *m, double damping, double *logs) {
    double sum = 0;
    *logs = 0;
    for (size_t i = 0; i < m->curvature->size1 * m->curvature->size2; i++) {
        const double curvature = m->curvature->data[i] + (damping - m->base);
        const double ratio = (m->f_diagonal->data[i] + damping) / curvature;
        sum += ratio - 1 - log(ratio);
        *logs += log(m->f_diagonal->data[i] + damping);
    }
    return sum;
}

fim_status step_model_divergence(const step_model *m, const fim_fisher *f, double damping, double log_det,
                                 uint64_t seed, double *out, double *error) {
    double logs, off = 0, off_error = 0;
    fim_status status = check_positive(m, damping);
    if (status != FIM_OK)
        return status;
    const double shared = shared_divergence(m, damping, &logs), value = shared + (logs - log_det);
    if (m->turned != NULL)
        status = step_products_divergence(m, f, damping, value, seed, &off, &off_error);
    if (status != FIM_OK)
        return status;
    *out = value + off;
    *error = off_error;
    return FIM_OK;
}
