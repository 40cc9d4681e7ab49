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
// A Kronecker product does not tell how its size is split between its factors, but what damping adds to each
// factor (`factor`, `each` and `paper` below) depends on it. Scales all terms A_k by one number and G_k by
// its inverse so that the first A has the trace `trace_a` > 0, as mean a aᵀ has it in KFAC: then one λ means
// the same for every method. The operator stays what it is; nothing happens to a basis, or to a first A of no
// positive trace.
void fim_op_split(fim_op *op, double trace_a);
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
// Kᵀ op K as an operator, K = U_a ⊗ U_g orthogonal, NULL for identities.
fim_status fim_op_turned(const fim_op *op, const gsl_matrix *u_a, const gsl_matrix *u_g, fim_op **out);
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

// ---- The damped inverse ----
//
// What is inverted is the operator with damping λ, in the unit of F:
//   exact      op + λ I
//   factor     (A + √λ I) ⊗ (G + √λ I)
//   factor-pi  (A + π√λ I) ⊗ (G + √λ/π I), π = √((tr A/d_a)/(tr G/d_g)) (Martens & Grosse 2015; 1 when a
//              trace is not positive)
//   each       (A + λ I) ⊗ (G + λ I)
//   paper      as `factor` for one term, as `each` for the first of two: what the published comparison of
//              one-term and two-term methods uses (Koroko et al. 2022)
// Of two terms the first is damped so, the second is added as it is. A diagonal in a basis is always damped
// exactly, whatever the form. Two terms have no exact form, and more than two no closed inverse at all:
// FIM_ERR_UNAVAILABLE.

typedef enum fim_damping_form {
    FIM_DAMPING_FACTOR,
    FIM_DAMPING_FACTOR_PI,
    FIM_DAMPING_EACH,
    FIM_DAMPING_PAPER,
    FIM_DAMPING_EXACT
} fim_damping_form;

// "factor", "factor-pi", "each", "paper", "exact"; FIM_ERR_UNKNOWN lists them.
fim_status fim_damping_form_parse(const char *text, fim_damping_form *out);
const char *fim_damping_form_name(fim_damping_form form);

// A sum of two terms can be indefinite. Relative to its damped first term it has the eigenvalues 1 + s t, in
// a basis that makes that term the identity; this says what the inverse takes for v = 1 + s t below a bound.
typedef enum fim_indefinite {
    FIM_INDEFINITE_ABSOLUTE, // |v|, at least 1e-12, for v < 1e-12 (the authors')
    FIM_INDEFINITE_CLAMP,    // 0.1 for v < 0.1: no step longer than ten times the first term's
    FIM_INDEFINITE_FALLBACK  // the first term alone as soon as one v < 1e-12
} fim_indefinite;

// "absolute", "clamp", "fallback"; FIM_ERR_UNKNOWN lists them.
fim_status fim_indefinite_parse(const char *text, fim_indefinite *out);
const char *fim_indefinite_name(fim_indefinite rule);

typedef struct fim_inverse_options {
    double damping; // λ >= 0
    fim_damping_form form;
    fim_indefinite indefinite;
    double tolerance; // relative error allowed in each eigenvalue of the inverse, see below; 0: none
} fim_inverse_options;

// ---- What an inverse is, in both precisions (inverse_real.h) ----

#define FIM_REAL            double
#define FIM_REAL_MATRIX     gsl_matrix
#define FIM_REAL_NAME(name) name
#include "fim/inverse_real.h"
#undef FIM_REAL
#undef FIM_REAL_MATRIX
#undef FIM_REAL_NAME
#define FIM_REAL            float
#define FIM_REAL_MATRIX     gsl_matrix_float
#define FIM_REAL_NAME(name) name##_single
#include "fim/inverse_real.h"
#undef FIM_REAL
#undef FIM_REAL_MATRIX
#undef FIM_REAL_NAME

// Costs, for factors of n rows: one Cholesky inverse (n³) each for a factored single term, one
// eigendecomposition each otherwise. FIM_NOT_POSITIVE when the damped single or first term is not positive
// definite; singular factors need a damping.
//
// With a tolerance δ the inverse is cheaper where damping outweighs curvature. In a factor damped by γ,
// eigenvalues up to δγ count as zero when no more than an eighth is larger: (G + γI)⁻¹ is 1/γ and a
// correction of low rank. Of two terms, directions with |s t| <= δ count as those of the first term, whose
// inverse gets a correction of low rank. What is inverted then differs from the damped operator by E with −3δ
// F₁ <= E <= 3δ F₁, where F₁ is the damped first term, plus terms of δ². Directions that a rule concerns have
// |s t| near 1 and more: they are found all the same.
fim_status fim_inverse_init(const fim_op *op, const fim_inverse_options *options, fim_inverse *out);
// y = inverse x; x and y (d_a, d_g) are different.
fim_status fim_inverse_apply(const fim_inverse *inverse, const gsl_matrix *x, gsl_matrix *y);

// ---- Looking inside, for reports: the factors by name ----

// Calls visit(context, name, matrix) for every matrix of the representation ("a_0", "g_0", ...; "u_a", "u_g",
// "lambda"); stops at the first failure and returns it.
fim_status fim_op_visit(const fim_op *op,
                        fim_status (*visit)(void *context, const char *name, const gsl_matrix *matrix),
                        void *context);

#endif
