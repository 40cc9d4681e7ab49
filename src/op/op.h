// The room's private face: an operator is a class of functions and the size it acts on.
#ifndef FIM_SRC_OP_H
#define FIM_SRC_OP_H

#include "fim/linalg.h"
#include "fim/op.h"

typedef struct fim_op_class {
    const char *kind;
    void (*free)(fim_op *op);
    fim_status (*apply)(const fim_op *op, const gsl_matrix *x, gsl_matrix *y);
    fim_status (*dense)(const fim_op *op, gsl_matrix *dense);
    fim_status (*norm2)(const fim_op *op, double *out);
    double (*trace)(const fim_op *op);
    void (*split)(fim_op *op, double trace_a); // NULL: there is nothing to split
    fim_status (*rearranged)(const fim_op *op, bool transposed, const gsl_matrix *x, gsl_matrix *y);
    fim_status (*diagonal)(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                           gsl_matrix *lambda);
    fim_status (*turned)(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g, fim_op **out);
    fim_status (*inner)(const fim_op *op, const fim_form *f, double *out);
    fim_status (*eigen_size)(const fim_op *op, size_t *rows);
    fim_status (*eigenvalues)(const fim_op *op, size_t budget, gsl_vector *values, char *route);
    fim_status (*inverse)(const fim_op *op, const fim_inverse_options *options, fim_inverse *out);
    fim_status (*visit)(const fim_op *op,
                        fim_status (*visit)(void *context, const char *name, const gsl_matrix *matrix),
                        void *context);
} fim_op_class;

// The head of every representation.
struct fim_op {
    const fim_op_class *class;
    size_t d_a, d_g;
};

// out[i] = u_iᵀ M u_i for the columns u_i of u, or of the identity when it is NULL; M symmetric.
fim_status op_quadratic(const gsl_matrix *m, const gsl_matrix *u, gsl_vector *out);

typedef struct kronecker {
    fim_op head;
    size_t terms;
    gsl_matrix **a, **g;
} kronecker;

typedef struct basis {
    fim_op head;
    gsl_matrix *u_a, *u_g; // orthogonal, or NULL
    gsl_matrix *lambda;
} basis;

fim_status kronecker_inverse(const fim_op *op, const fim_inverse_options *options, fim_inverse *out);
// For exact damping: w = 1/(lambda + damping), where negative entries up to INVERSE_ROUNDING of the largest
// are rounding and count as zero. FIM_NOT_POSITIVE when the sum is not positive. Adds Σ ln(lambda + damping)
// to *log_det.
fim_status inverse_diagonal(double damping, const gsl_matrix *lambda, gsl_matrix *w, double *log_det);
#define INVERSE_ROUNDING 1e-8 // what an iterative method leaves of a semidefinite factor's zeros

#endif
