// (F̂ + λI)⁻¹ for many λ at the price of one: a Kronecker term and a diagonal in a basis are diagonal in the
// same coordinates whatever λ is, and so is a sum of terms in its own eigenvectors while it is small enough
// for a dense eigensolver. Beyond that, conjugate gradients for every λ.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "steps.h"

enum { DENSE_ROWS = 2500 };

void step_model_clear(step_model *model) {
    fim_inverse_clear(&model->basis);
    gsl_matrix_free(model->vectors);
    gsl_matrix_free(model->curvature);
    gsl_matrix_free(model->seen);
    gsl_matrix_free(model->f_diagonal);
    fim_op_free(model->nearby);
    *model = (step_model){0};
}

// y = Vᵀ x in dense eigenvectors V, or V x for `back`; x and y are contiguous.
static void turn_dense(const gsl_matrix *vectors, bool back, const gsl_matrix *x, gsl_matrix *y) {
    gsl_vector_const_view from = gsl_vector_const_view_array(x->data, vectors->size1);
    gsl_vector_view to = gsl_vector_view_array(y->data, vectors->size1);
    gsl_blas_dgemv(back ? CblasNoTrans : CblasTrans, 1, vectors, &from.vector, 0, &to.vector);
}

static fim_status turn_any(const step_model *m, bool back, const gsl_matrix *x, gsl_matrix *y) {
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

static fim_status from_structure(const fim_fisher *f, step_model *m) {
    const fim_inverse_options exact = {.damping = m->base, .form = FIM_DAMPING_EXACT};
    fim_status status = fim_inverse_init(m->op, &exact, &m->basis);
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

static fim_status from_eigenvectors(const fim_fisher *f, step_model *m) {
    const size_t d_a = fim_op_d_a(m->op), d_g = fim_op_d_g(m->op), d = d_a * d_g;
    gsl_matrix *dense = NULL, *product = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d, d, "eigenvectors of a sum", &m->vectors));
    FIM_TRY(fim_matrix_new(d_a, d_g, "damped eigenvalues", &m->curvature));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a diagonal of F", &m->f_diagonal));
    FIM_TRY(fim_matrix_new(d, d, "a dense block", &dense));
    FIM_TRY(fim_matrix_new(d, d, "a rotated block", &product));
    FIM_TRY(fim_op_dense(m->op, m->vectors));
    gsl_vector_view values = gsl_vector_view_array(m->curvature->data, d);
    FIM_TRY(fim_eigen(m->vectors, &values.vector));
    m->smallest = gsl_vector_get(&values.vector, d - 1);
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

// ---- Products alone ----

typedef struct damped_map {
    const fim_op *op;
    const fim_inverse *preconditioner;
    double damping;
} damped_map;

static fim_status damped_product(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const damped_map *self = context;
    const size_t d_a = fim_op_d_a(self->op), d_g = fim_op_d_g(self->op);
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, d_a, d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, d_a, d_g);
    fim_status status = fim_op_apply(self->op, &from.matrix, &to.matrix);
    if (status == FIM_OK)
        cblas_daxpy((int)(d_a * d_g), self->damping, x, 1, y, 1);
    return status;
}

// Copies of the first term's factors.
typedef struct first_term {
    gsl_matrix *a, *g;
} first_term;

static fim_status keep_first(void *context, const char *name, const gsl_matrix *matrix) {
    first_term *t = context;
    if (strcmp(name, "a_0") == 0)
        return fim_matrix_copy(matrix, "a factor", &t->a);
    return strcmp(name, "g_0") == 0 ? fim_matrix_copy(matrix, "a factor", &t->g) : FIM_OK;
}

// Preconditioned by the diagonal of F̂ in the eigenbasis of its first term, as far as that is positive.
static fim_status from_products(const fim_steps_options *options, step_model *m) {
    const size_t d_a = fim_op_d_a(m->op), d_g = fim_op_d_g(m->op);
    first_term t = {0};
    gsl_matrix *lambda = NULL;
    gsl_vector *values_a = NULL, *values_g = NULL, *lowest = NULL;
    const damped_map plain = {m->op, NULL, 0};
    const fim_map map = {d_a * d_g, d_a * d_g, &plain, damped_product};
    fim_lanczos_info info;
    fim_status status = FIM_OK;
    FIM_TRY(fim_op_visit(m->op, keep_first, &t));
    FIM_TRY(fim_vector_new(d_a, "eigenvalues of a factor", &values_a));
    FIM_TRY(fim_vector_new(d_g, "eigenvalues of a factor", &values_g));
    FIM_TRY(fim_vector_new(1, "the smallest eigenvalue", &lowest));
    if (t.a != NULL)
        FIM_TRY(fim_eigen(t.a, values_a));
    if (t.g != NULL)
        FIM_TRY(fim_eigen(t.g, values_g));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a preconditioner", &lambda));
    FIM_TRY(fim_op_diagonal(m->op, t.a, t.g, lambda));
    for (size_t i = 0; i < d_a * d_g; i++)
        lambda->data[i] = fmax(lambda->data[i], 0);
    gsl_matrix *taken[3] = {t.a, t.g, lambda};
    t = (first_term){0};
    lambda = NULL;
    FIM_TRY(fim_op_new_basis(taken[0], taken[1], taken[2], &m->nearby));
    // A Ritz value lies above the smallest eigenvalue: what it rules out is ruled out.
    const fim_lanczos_options lanczos = {
        .order = FIM_LANCZOS_SMALLEST, .tolerance = 1e-6, .max_products = 100, .seed = options->seed};
    status = fim_lanczos(&map, 1, &lanczos, lowest, NULL, &info);
    if (status == FIM_NOT_CONVERGED)
        status = FIM_OK;
    FIM_TRY(status);
    m->smallest = gsl_vector_get(lowest, 0);
    snprintf(m->route, sizeof m->route, "conjugate gradients");
out:
    gsl_matrix_free(t.a);
    gsl_matrix_free(t.g);
    gsl_matrix_free(lambda);
    gsl_vector_free(values_a);
    gsl_vector_free(values_g);
    gsl_vector_free(lowest);
    return status;
}

fim_status step_model_init(const fim_fisher *f, const fim_op *op, const gsl_matrix *gradient,
                           const fim_steps_options *options, step_model *out) {
    const size_t d_a = fim_op_d_a(op), d_g = fim_op_d_g(op), d = fim_size_mul(d_a, d_g);
    const bool dense =
        d <= DENSE_ROWS && fim_size_mul(fim_size_mul(d, d), 4 * sizeof(double)) <= options->budget;
    step_model m = {.op = op, .base = options->damping[0]};
    fim_status status = options->matrix_free ? FIM_ERR_UNAVAILABLE : from_structure(f, &m);
    if (status == FIM_ERR_UNAVAILABLE) { // a sum
        step_model_clear(&m);
        m = (step_model){.op = op, .base = options->damping[0]};
        status = dense && !options->matrix_free ? from_eigenvectors(f, &m) : from_products(options, &m);
    }
    FIM_TRY(status);
    if (gradient != NULL && m.curvature != NULL) {
        FIM_TRY(fim_matrix_new(d_a, d_g, "a gradient in a basis", &m.seen));
        FIM_TRY(turn_any(&m, false, gradient, m.seen));
    }
    *out = m;
    return FIM_OK;
out:
    step_model_clear(&m);
    return status;
}

static fim_status check_positive(const step_model *m, double damping) {
    const double smallest = m->curvature != NULL ? gsl_matrix_min(m->curvature) - m->base : m->smallest;
    return smallest + damping > 0
               ? FIM_OK
               : FIM_FAIL(FIM_NOT_POSITIVE, "not positive definite up to damping %.3g", -smallest);
}

static fim_status nearby_solve(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const damped_map *self = context;
    const size_t d_a = fim_op_d_a(self->op), d_g = fim_op_d_g(self->op);
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, d_a, d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, d_a, d_g);
    return fim_inverse_apply(self->preconditioner, &from.matrix, &to.matrix);
}

static fim_status iterate(const step_model *m, const gsl_matrix *gradient, double damping, gsl_matrix *y) {
    const fim_inverse_options exact = {.damping = damping, .form = FIM_DAMPING_EXACT};
    const size_t d = gradient->size1 * gradient->size2;
    fim_inverse inverse;
    fim_status status = fim_inverse_init(m->nearby, &exact, &inverse);
    if (status != FIM_OK)
        return status;
    const damped_map context = {m->op, &inverse, damping};
    const fim_map map = {d, d, &context, damped_product}, preconditioner = {d, d, &context, nearby_solve};
    const fim_cg_options options = {.preconditioner = &preconditioner};
    fim_cg_info info;
    gsl_matrix_set_zero(y);
    status = fim_cg(&map, gradient->data, &options, y->data, &info);
    fim_inverse_clear(&inverse);
    return status;
}

fim_status step_model_solve(const step_model *m, const gsl_matrix *gradient, double damping, gsl_matrix *y) {
    gsl_matrix *part = NULL;
    fim_status status = check_positive(m, damping);
    if (status != FIM_OK || m->curvature == NULL)
        return status == FIM_OK ? iterate(m, gradient, damping, y) : status;
    FIM_TRY(fim_matrix_copy(m->seen, "a step in a basis", &part));
    for (size_t i = 0; i < part->size1 * part->size2; i++)
        part->data[i] /= m->curvature->data[i] + (damping - m->base);
    FIM_TRY(turn_any(m, true, part, y));
out:
    gsl_matrix_free(part);
    return status;
}

fim_status step_model_divergence(const step_model *m, double damping, double log_det, double *out) {
    if (m->curvature == NULL)
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "the determinant of a sum of Kronecker products of %zu parameters, known by its products",
            fim_op_d_a(m->op) * fim_op_d_g(m->op));
    fim_status status = check_positive(m, damping);
    if (status != FIM_OK)
        return status;
    // Term by term t − ln t − 1 of what F and F̂ share, so that little cancels where they agree.
    double sum = 0, logs = 0;
    for (size_t i = 0; i < m->curvature->size1 * m->curvature->size2; i++) {
        const double curvature = m->curvature->data[i] + (damping - m->base);
        const double ratio = (m->f_diagonal->data[i] + damping) / curvature;
        sum += ratio - 1 - log(ratio);
        logs += log(m->f_diagonal->data[i] + damping);
    }
    *out = sum + (logs - log_det); // Hadamard: the second part is not negative either
    return FIM_OK;
}
