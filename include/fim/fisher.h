// fim/fisher.h - the Fisher block of one layer: samples, their capture from a network, and everything that is
// asked of the exact block without storing it.
//
//     F = (1/N) Σ_n (a_n a_nᵀ) ⊗ G_n          (D, D), D = d_a·d_g
//     Rs = (1/N) Σ_n svec(a_n a_nᵀ) svec(G_n)ᵀ  (p_a, p_g), the rearranged block in symmetric packing
//
// The singular values of Rs are those of Van Loan's rearrangement R(F): the Kronecker spectrum of F.
#ifndef FIM_FISHER_H
#define FIM_FISHER_H

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>

#include "fim/base.h"
#include "fim/linalg.h"
#include "fim/net.h"
#include "fim/op.h"

// ---- Which Fisher ----

typedef enum fim_fisher_kind {
    FIM_FISHER_EXACT,    // expectation over y ~ p(y|x) in closed form (the generalized Gauss-Newton block)
    FIM_FISHER_MC,       // `draws` labels per sample drawn from the model
    FIM_FISHER_EMPIRICAL // the labels of the data set
} fim_fisher_kind;

typedef struct fim_fisher_spec {
    fim_fisher_kind kind;
    size_t draws; // mc only, >= 1
    uint64_t seed;
} fim_fisher_spec;

// "exact", "mc", "mc:K" or "empirical"; the seed is left as it is.
fim_status fim_fisher_spec_parse(const char *text, fim_fisher_spec *spec);
// The inverse, e.g. "mc:1".
char *fim_fisher_spec_format(const fim_fisher_spec *spec, char buffer[static 32]);

// ---- Samples of one layer ----

// The layers above, through which G_n t is cheaper than from a wide packed G_n.
typedef struct fim_chain fim_chain;

// Exactly one of g, packed and diagonal is set: the cheapest form that holds every G_n.
typedef struct fim_samples {
    size_t n, d_a, d_g;
    size_t columns;       // C, rows of g per sample (0 without g)
    gsl_matrix *a;        // (n, d_a), with the trailing 1 of a bias
    gsl_matrix *g;        // (n·C, d_g): row n·C + c is g_nc, so that G_n = Σ_c g_nc g_ncᵀ; or NULL
    gsl_matrix *packed;   // (n, p_g): svec(G_n); or NULL
    gsl_matrix *diagonal; // (n, d_g): the diagonal of G_n, which has nothing else (the last layer of
                          // independent outputs); or NULL
    fim_chain *chain;     // beside packed, where products with F go this way; or NULL
} fim_samples;

void fim_samples_clear(fim_samples *samples);
// The memory of the numbers.
size_t fim_samples_bytes(const fim_samples *samples);
// Shapes agree and every number is finite; the message says which is not.
fim_status fim_samples_check(const fim_samples *samples);

// Turns `diagonal` into `packed`, for programs that know only those.
fim_status fim_samples_expand(fim_samples *samples);

// The samples of the layers `layers[0..n_layers)` (strictly increasing indices) of net at all rows of data,
// in one forward pass and the cheapest backward one (src/fisher/capture.c explains the choice).
// FIM_ERR_BUDGET when samples need more than `budget` bytes.
fim_status fim_fisher_capture(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                              const size_t *layers, size_t n_layers, size_t budget,
                              const fim_monitor *monitor, fim_samples *out);

// How the samples of one layer at n rows are kept, and what it takes to get there.
typedef struct fim_capture_plan {
    size_t columns; // of rows g_nc; 0 for the other forms
    bool packed, diagonal, chain;
    size_t bytes;       // of the samples
    double flops;       // of the way from the logits, all rows
    double chain_flops; // of a product with all G_n through the layers above
} fim_capture_plan;

fim_status fim_fisher_capture_plan(const fim_net *net, const fim_fisher_spec *spec, size_t layer, size_t n,
                                   fim_capture_plan *out);
// Its bytes alone.
fim_status fim_fisher_capture_bytes(const fim_net *net, const fim_fisher_spec *spec, size_t layer, size_t n,
                                    size_t *out);

// ---- The block ----

typedef struct fim_fisher fim_fisher;

// The block of the samples, which must outlive it. Nothing is computed yet.
fim_status fim_fisher_new(const fim_samples *samples, fim_fisher **out);
// The block from its stored dense form (D, D) (taken over), as read from a dump without samples; a (d_a, d_a)
// and g (d_g, d_g), the KFAC factors, may be NULL (taken over too). `n` is the number of samples it was
// averaged over.
fim_status fim_fisher_new_dense(gsl_matrix *dense, size_t d_a, size_t d_g, size_t n, gsl_matrix *a,
                                gsl_matrix *g, fim_fisher **out);
// (1 − weight)·fresh + weight·past, a block in which an operator stands for past ones; a (d_a, d_a) and g
// (d_g, d_g) are the past's moments. All are borrowed and must outlive it.
fim_status fim_fisher_new_average(const fim_fisher *fresh, double weight, const fim_op *past,
                                  const gsl_matrix *a, const gsl_matrix *g, fim_fisher **out);
// The block of a layer at all rows of data, whose samples are captured anew for every product, as many rows
// at a time as `budget` allows: N is not limited by memory. net and data must outlive it. FIM_ERR_BUDGET when
// not even a sample fits.
fim_status fim_fisher_new_streamed(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                                   size_t layer, size_t budget, fim_fisher **out);
void fim_fisher_free(fim_fisher *f);

size_t fim_fisher_d_a(const fim_fisher *f);
size_t fim_fisher_d_g(const fim_fisher *f);
size_t fim_fisher_samples(const fim_fisher *f); // N

// u (d_a, d_a) = R(F) vec(V) = (1/N) Σ_n ⟨G_n, V⟩ a_n a_nᵀ, V (d_g, d_g) symmetric.
fim_status fim_fisher_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u);
// v (d_g, d_g) = R(F)ᵀ vec(U) = (1/N) Σ_n (a_nᵀ U a_n) G_n, U (d_a, d_a) symmetric.
fim_status fim_fisher_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v);
// The k leading singular triplets of R(F) − Σ vec(a[i])vec(g[i])ᵀ, i < n_known, in symmetric packing: u (k,
// p_a) and v (k, p_g) with one vector a row, sigma (k), as fim_gkl and with its statuses; k <= min(p_a, p_g,
// N). Singular values below FIM_NEGLIGIBLE·‖F‖ are rounding. Only products with R(F) and its transpose are
// used.
fim_status fim_fisher_triplets(const fim_fisher *f, size_t n_known, gsl_matrix *const *a,
                               gsl_matrix *const *g, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                               gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info);
#define FIM_NEGLIGIBLE 1e-14
// A = (1/N) Σ a_n a_nᵀ and G = (1/N) Σ G_n. FIM_ERR_UNAVAILABLE for a dense block without factors.
fim_status fim_fisher_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g);
// lambda (d_a, d_g) = diagonal of F in the basis U_a ⊗ U_g, NULL for identities.
fim_status fim_fisher_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                               gsl_matrix *lambda);
// y = F x, parameter matrices (d_a, d_g).
fim_status fim_fisher_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y);
fim_status fim_fisher_norm2(const fim_fisher *f, double *out); // ‖F‖²_F
fim_status fim_fisher_trace(const fim_fisher *f, double *out);
// ⟨F_x, F_y⟩ of two blocks of one layer, neither of which is formed; FIM_ERR_SHAPE when d_a or d_g differ.
fim_status fim_fisher_inner(const fim_fisher *x, const fim_fisher *y, double *out);
// ‖(1/N) Σ_n w[n] (a_n a_nᵀ) ⊗ G_n‖²_F, weights of either sign. FIM_ERR_UNAVAILABLE for a stored block.
fim_status fim_fisher_weighted_norm2(const fim_fisher *f, const double *w, double *out);
// ---- The block where it lives: F = (P_a ⊗ P_g) F̃ (P_a ⊗ P_g)ᵀ ----
//
// P_g picks the outputs that any G_n moves; P_a the inputs that are not always 0, and where they are more
// than the samples, an orthonormal basis of what the a_n span. Krylov processes that iterate with F̃ and with
// the approximations seen in this frame see the same eigenvalues but for zeros, on vectors of min(N, d_a) ·
// d_g numbers or fewer.

typedef struct fim_reduced fim_reduced;

// `f` must outlive it. `rotated` false keeps to picking inputs, which a diagonal survives.
// FIM_ERR_UNAVAILABLE without samples, FIM_ERR_BUDGET when the samples in the frame need more than `budget`
// bytes.
fim_status fim_reduced_new(const fim_fisher *f, bool rotated, size_t budget, fim_reduced **out);
void fim_reduced_free(fim_reduced *reduced);
size_t fim_reduced_d_a(const fim_reduced *reduced);
size_t fim_reduced_d_g(const fim_reduced *reduced);
bool fim_reduced_rotated(const fim_reduced *reduced); // inputs are combined, not picked
// The ã_n as rows (N, d_a of the frame), and the diagonals of the G_n (N, d_g of the frame), NULL where these
// have anything else: with them F̃ falls apart into a block (1/N) Σ_n G_n,jj ã_n ã_nᵀ for every output j.
const gsl_matrix *fim_reduced_rows(const fim_reduced *reduced);
const gsl_matrix *fim_reduced_variances(const fim_reduced *reduced);
// y = F̃ x, parameter matrices of the frame.
fim_status fim_reduced_apply(const fim_reduced *reduced, const gsl_matrix *x, gsl_matrix *y);
// out (d_a or d_g of the frame, k) = Pᵀ M for M (d_a or d_g, k); outside[j] = ‖column j of M − P Pᵀ M‖².
fim_status fim_reduced_inputs(const fim_reduced *reduced, const gsl_matrix *m, gsl_matrix *out,
                              double *outside);
fim_status fim_reduced_outputs(const fim_reduced *reduced, const gsl_matrix *m, gsl_matrix *out,
                               double *outside);

// The form through which fim_op_inner sees F; valid as long as f.
fim_form fim_fisher_form(const fim_fisher *f);

// Rs (p_a, p_g).
fim_status fim_fisher_packed(const fim_fisher *f, gsl_matrix *rs);
// dense (D, D) = F, through Rs.
fim_status fim_fisher_dense(const fim_fisher *f, gsl_matrix *dense);

// ---- Solves with F + λ I ----

// A block prepared for them; one factorization serves several right sides. The way is chosen by size:
//   the Gram matrix of the N·C rows a_n ⊗ g_nc (Woodbury) when there are fewer than parameters,
//   one small block per output where the G_n are diagonal,
//   a Cholesky factor of the dense block,
// each while it has at most 10000 rows and fits the budget; beyond that conjugate gradients with products of
// the samples, preconditioned by the best diagonal in the eigenbasis of A ⊗ G.
typedef struct fim_solver fim_solver;

typedef struct fim_solver_options {
    size_t budget;       // bytes of the prepared matrices
    bool matrix_free;    // conjugate gradients whatever the size
    double tolerance;    // relative residual of the iteration; 0 takes 1e-10
    size_t max_products; // 0 takes 2000
    uint64_t seed;       // of the random vectors that estimate a determinant
} fim_solver_options;

typedef struct fim_solve_info {
    double residual; // ‖(F + λ I) y − x‖ / ‖x‖, recomputed; 0 for x = 0
    size_t products; // with F
    char route[64];  // "Gram matrix of the 64 rows", ...
} fim_solve_info;

// `f` must outlive it.
fim_status fim_solver_new(const fim_fisher *f, const fim_solver_options *options, fim_solver **out);
void fim_solver_free(fim_solver *solver);
// Sets λ > 0 and factors: before the first solve, and again for every other λ. FIM_NOT_POSITIVE when λ is
// lost in the rounding of F.
fim_status fim_solver_damp(fim_solver *solver, double damping);
// y = (F + λ I)⁻¹ x, different parameter matrices (d_a, d_g). `start`: y is taken as a first guess by the
// iteration. FIM_NOT_CONVERGED leaves the best y found and tells the residual in the message and in `info`.
fim_status fim_solver_solve(fim_solver *solver, const gsl_matrix *x, bool start, gsl_matrix *y,
                            fim_solve_info *info);
// ln det(F + λ I). Beside the iteration it is estimated by stochastic Lanczos quadrature of what the
// preconditioner leaves, with 250 products: *error is then its standard error, and half of the distance
// between the bounds of the quadrature; otherwise 0.
fim_status fim_solver_log_det(const fim_solver *solver, double *out, double *error);

// The min(D, N·C) largest eigenvalues of F (the others are zero), decreasing, into a new vector: by the Gram
// matrix of the rows a_n ⊗ g_nc when there are fewer rows than D, else by a dense eigensolver. FIM_ERR_BUDGET
// when neither fits.
fim_status fim_fisher_eigenvalues(const fim_fisher *f, size_t budget, gsl_vector **values, char *route);
// The rows of the dense matrix whose eigenvalues those are, and whether it is the Gram matrix; 0 rows when
// they come from structure.
fim_status fim_fisher_eigen_size(const fim_fisher *f, size_t *rows, bool *gram);
// All min(p_a, p_g, N) singular values of Rs that can be non-zero, decreasing, into a new vector.
fim_status fim_fisher_kronecker_values(const fim_fisher *f, size_t budget, gsl_vector **values, char *route);
// The leading k of them at most, fewer where the budget holds no Krylov basis for k, by products with R(F)
// alone, to a relative residual of 1e-8. FIM_ERR_BUDGET when it holds none for a single one.
fim_status fim_fisher_leading_kronecker_values(const fim_fisher *f, size_t k, size_t budget, uint64_t seed,
                                               gsl_vector **values, char *route);

#endif
