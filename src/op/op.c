// What does not depend on the representation: sizes, shape checks, and the walk over the matrices.
#include "op.h"

void fim_op_free(fim_op *op) {
    if (op != NULL)
        op->class->free(op);
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
