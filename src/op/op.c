// What does not depend on the representation: sizes, shape checks, and the walk over the matrices.
#include "op.h"

#include <gsl/gsl_blas.h>

void fim_op_free(fim_op *op) {
    if (op != NULL)
        op->class->free(op);
}

void fim_op_split(fim_op *op, double trace_a) {
    if (op->class->split != NULL)
        op->class->split(op, trace_a);
}

size_t fim_op_d_a(const fim_op *op) {
    return op->d_a;
}

size_t fim_op_d_g(const fim_op *op) {
    return op->d_g;
}

const char *fim_op_kind(const fim_op *op) {
    return op->class->kind;
}

static fim_status check_parameters(const fim_op *op, const gsl_matrix *m) {
    if (m->size1 == op->d_a && m->size2 == op->d_g)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_SHAPE, "a parameter matrix of (%zu, %zu) for an operator on (%zu, %zu)", m->size1,
                    m->size2, op->d_a, op->d_g);
}

fim_status fim_op_apply(const fim_op *op, const gsl_matrix *x, gsl_matrix *y) {
    fim_status status = check_parameters(op, x);
    if (status == FIM_OK)
        status = check_parameters(op, y);
    return status == FIM_OK ? op->class->apply(op, x, y) : status;
}

fim_status fim_op_dense(const fim_op *op, gsl_matrix *dense) {
    const size_t d = op->d_a * op->d_g;
    if (dense->size1 != d || dense->size2 != d)
        return FIM_FAIL(FIM_ERR_SHAPE, "a dense matrix of (%zu, %zu) for an operator of %zu parameters",
                        dense->size1, dense->size2, d);
    return op->class->dense(op, dense);
}

fim_status fim_op_norm2(const fim_op *op, double *out) {
    return op->class->norm2(op, out);
}

double fim_op_trace(const fim_op *op) {
    return op->class->trace(op);
}

static fim_status check_side(const gsl_matrix *m, size_t d) {
    if (m == NULL || (m->size1 == d && m->size2 == d))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_SHAPE, "a matrix of (%zu, %zu) for a side of %zu", m->size1, m->size2, d);
}

fim_status fim_op_rearranged(const fim_op *op, bool transposed, const gsl_matrix *x, gsl_matrix *y) {
    fim_status status = check_side(x, transposed ? op->d_a : op->d_g);
    if (status == FIM_OK)
        status = check_side(y, transposed ? op->d_g : op->d_a);
    return status == FIM_OK ? op->class->rearranged(op, transposed, x, y) : status;
}

fim_status fim_op_diagonal(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                           gsl_matrix *lambda) {
    fim_status status = check_side(u_a, op->d_a);
    if (status == FIM_OK)
        status = check_side(u_g, op->d_g);
    if (status == FIM_OK)
        status = check_parameters(op, lambda);
    return status == FIM_OK ? op->class->diagonal(op, u_a, u_g, lambda) : status;
}

fim_status fim_op_turned(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g, fim_op **out) {
    fim_status status = check_side(u_a, op->d_a);
    if (status == FIM_OK)
        status = check_side(u_g, op->d_g);
    return status == FIM_OK ? op->class->turned(op, u_a, u_g, out) : status;
}

fim_status op_quadratic(const gsl_matrix *m, const gsl_matrix *u, gsl_vector *out) {
    if (u == NULL) {
        gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(m);
        gsl_vector_memcpy(out, &diagonal.vector);
        return FIM_OK;
    }
    gsl_matrix *product = NULL;
    fim_status status = fim_matrix_new(m->size1, u->size2, "a factor in a basis", &product);
    if (status != FIM_OK)
        return status;
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, m, u, 0, product);
    gsl_matrix_mul_elements(product, u);
    for (size_t i = 0; i < u->size2; i++) {
        gsl_vector_const_view column = gsl_matrix_const_column(product, i);
        gsl_vector_set(out, i, gsl_vector_sum(&column.vector));
    }
    gsl_matrix_free(product);
    return FIM_OK;
}

fim_status fim_op_inner(const fim_op *op, const fim_form *f, double *out) {
    return op->class->inner(op, f, out);
}

fim_status fim_op_eigenvalues(const fim_op *op, size_t budget, gsl_vector *values, char *route) {
    if (values->size != op->d_a * op->d_g || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "%zu eigenvalues of an operator of %zu parameters", values->size,
                        op->d_a * op->d_g);
    return op->class->eigenvalues(op, budget, values, route);
}

fim_status fim_op_eigen_size(const fim_op *op, size_t *rows) {
    return op->class->eigen_size(op, rows);
}

fim_status fim_op_visit(const fim_op *op,
                        fim_status (*visit)(void *context, const char *name, const gsl_matrix *matrix),
                        void *context) {
    return op->class->visit(op, visit, context);
}

static fim_status add_bytes(void *context, const char *name, const gsl_matrix *matrix) {
    (void)name;
    *(size_t *)context += matrix->size1 * matrix->size2 * sizeof(double);
    return FIM_OK;
}

size_t fim_op_bytes(const fim_op *op) {
    size_t bytes = 0;
    fim_op_visit(op, add_bytes, &bytes); // adding cannot fail
    return bytes;
}
