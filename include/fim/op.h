// fim/op.h - the operator: a symmetric linear map on the parameters of one layer.
//
// A parameter vector of a layer is the matrix X (d_g, d_a) stacked column by column: parameter (i of d_a, j
// of d_g) has index i·d_g + j. Stored row-major, that is the matrix Xᵀ (d_a, d_g): every "parameter matrix"
// below has this shape, and (A ⊗ G) vec(X) is Xᵀ -> A Xᵀ G.
#ifndef FIM_OP_H
#define FIM_OP_H

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>

#include "fim/base.h"

typedef struct fim_op fim_op;

// What an operator asks of another symmetric map F to form its inner product with it, without F being stored:
// F is seen through its products with Kronecker products and through its diagonal in a Kronecker basis.
typedef struct fim_form {
    const void *context;
    // ⟨F, A ⊗ G⟩, A (d_a, d_a), G (d_g, d_g) symmetric.
    fim_status (*inner_kronecker)(const void *context, const gsl_matrix *a, const gsl_matrix *g, double *out);
    // lambda (d_a, d_g) = diag((U_a ⊗ U_g)ᵀ F (U_a ⊗ U_g)); a NULL basis is the identity.
    fim_status (*diagonal)(const void *context, const gsl_matrix *u_a, const gsl_matrix *u_g,
                           gsl_matrix *lambda);
} fim_form;

// ---- Representations. The operator takes its matrices over (also on failure they are freed). ----

// Σ_k A_k ⊗ G_k, k < terms; a[k] (d_a, d_a), g[k] (d_g, d_g) symmetric.
fim_status fim_op_new_kronecker(size_t terms, gsl_matrix *const *a, gsl_matrix *const *g, fim_op **out);
// (U_a ⊗ U_g) diag(Λ) (U_a ⊗ U_g)ᵀ with orthogonal bases, NULL for the identity; Λ (d_a, d_g).
fim_status fim_op_new_basis(gsl_matrix *u_a, gsl_matrix *u_g, gsl_matrix *lambda, fim_op **out);
void fim_op_free(fim_op *op);

// ---- What every operator can do ----

size_t fim_op_d_a(const fim_op *op);
size_t fim_op_d_g(const fim_op *op);
// "kronecker" or "basis".
const char *fim_op_kind(const fim_op *op);
// y = op x, parameter matrices (d_a, d_g); x and y are different.
fim_status fim_op_apply(const fim_op *op, const gsl_matrix *x, gsl_matrix *y);
// dense (D, D) = the matrix of op.
fim_status fim_op_dense(const fim_op *op, gsl_matrix *dense);
// ‖op‖²_F and tr op, from structure.
fim_status fim_op_norm2(const fim_op *op, double *out);
double fim_op_trace(const fim_op *op);
// The rearranged operator, R(A ⊗ G) = vec(A) vec(G)ᵀ: y (d_a, d_a) = R(op) vec(x), x (d_g, d_g) symmetric;
// for `transposed` y (d_g, d_g) = R(op)ᵀ vec(x), x (d_a, d_a).
fim_status fim_op_rearranged(const fim_op *op, bool transposed, const gsl_matrix *x, gsl_matrix *y);
// lambda (d_a, d_g) = diagonal of op in the basis U_a ⊗ U_g, NULL for identities.
fim_status fim_op_diagonal(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g,
                           gsl_matrix *lambda);
// ⟨F, op⟩.
fim_status fim_op_inner(const fim_op *op, const fim_form *f, double *out);
// Bytes of the matrices that represent op.
size_t fim_op_bytes(const fim_op *op);
// All D eigenvalues, decreasing. From structure for one Kronecker term and for a basis; for a sum of terms by
// a dense eigensolver on the joint range of the factors. FIM_ERR_BUDGET when that needs more than `budget`
// bytes. `route` (>= 64 bytes) says how.
fim_status fim_op_eigenvalues(const fim_op *op, size_t budget, gsl_vector *values, char *route);
// The rows of the dense eigensolver that fim_op_eigenvalues takes; 0 where they come from structure.
fim_status fim_op_eigen_size(const fim_op *op, size_t *rows);

// ---- Looking inside, for reports: the factors by name ----

// Calls visit(context, name, matrix) for every matrix of the representation ("a_0", "g_0", ...; "u_a", "u_g",
// "lambda"); stops at the first failure and returns it.
fim_status fim_op_visit(const fim_op *op,
                        fim_status (*visit)(void *context, const char *name, const gsl_matrix *matrix),
                        void *context);

#endif
