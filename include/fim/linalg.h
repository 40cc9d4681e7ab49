// fim/linalg.h - dense symmetric kernels on LAPACK, the symmetric packing svec, and the Lanczos processes:
// Golub-Kahan for singular triplets, the symmetric one for eigenvalues and spectral densities.
//
// Matrices are gsl_matrix (row-major); gsl_blas_* and cblas_* calls are answered by OpenBLAS. This is the
// only room that calls LAPACK.
#ifndef FIM_LINALG_H
#define FIM_LINALG_H

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>

#include "fim/base.h"

// ---- Set-up: once per program ----

// Switches GSL's aborting error handler off and sets the threads of OpenBLAS and OpenMP (0 keeps their
// defaults).
void fim_linalg_setup(size_t threads);
// Sets the threads of OpenBLAS alone, and returns how many they were. For whoever runs products on threads of
// its own: OpenBLAS's must be 1 meanwhile.
size_t fim_linalg_product_threads(size_t threads);
// Threads in use.
size_t fim_linalg_threads(void);
// work(context, worker, i) for every i < count, up to `workers` at a time and beginning with the first, each
// on one thread; no two at a time have the same worker, a number below `workers`. After a failure no other
// begins; the first failure is handed on with its message.
fim_status fim_side_by_side(size_t count, size_t workers,
                            fim_status (*work)(void *context, size_t worker, size_t i), void *context);
// "OpenBLAS 0.3.21 ... SkylakeX ... from /lib/...": which library answers cblas_dgemm, and with which
// kernels.
const char *fim_linalg_describe(char *buffer, size_t size);

// Measures in some tenths of a second: flops a second of a matrix product, and bytes a second of a copy (read
// and written), with the threads in use.
fim_status fim_linalg_rates(double *flops, double *bytes);

// ---- Allocation with a status (zeroed; rows or columns may be 0) ----

fim_status fim_matrix_new(size_t rows, size_t columns, const char *what, gsl_matrix **out);
fim_status fim_matrix_new_single(size_t rows, size_t columns, const char *what, gsl_matrix_float **out);
fim_status fim_vector_new(size_t size, const char *what, gsl_vector **out);
// Deep copies.
fim_status fim_matrix_copy(const gsl_matrix *source, const char *what, gsl_matrix **out);
// Σ x_ij y_ij of matrices of the same shape.
double fim_matrix_inner(const gsl_matrix *x, const gsl_matrix *y);
// The Frobenius norm, also where the squares are no numbers any more.
double fim_matrix_norm(const gsl_matrix *m);
// *out = Uᵀ M U for M (n, n) and U (n, n), a copy of M for U NULL.
fim_status fim_matrix_turned(const gsl_matrix *m, const gsl_matrix *u, const char *what, gsl_matrix **out);

// ---- svec: the upper triangle of a symmetric matrix, row by row, off-diagonals times sqrt(2) ----
// An isometry: <svec(M), svec(K)> = <M, K>. Index of (i, j), i <= j: i·n − i(i−1)/2 + (j − i).

// n(n+1)/2.
size_t fim_svec_size(size_t n);
// packed (fim_svec_size(n)) = svec(M); only the upper triangle of M (n, n) is read.
void fim_svec_pack(const gsl_matrix *m, double *packed);
// M (n, n) = the symmetric matrix of svec `packed`.
void fim_svec_unpack(const double *packed, gsl_matrix *m);
// packed += weight · svec(x xᵀ), x of n entries.
void fim_svec_add_outer(const double *x, size_t n, double weight, double *packed);

// ---- Eigenvalues and singular values (FIM_ERR_NUMERIC when LAPACK does not converge) ----

// Full symmetric eigendecomposition, eigenvalues in decreasing order. m (n, n), lower triangle read, becomes
// the eigenvectors as columns; values (n).
fim_status fim_eigen(gsl_matrix *m, gsl_vector *values);
// Eigenvalues only, decreasing; m is destroyed. Two-stage reduction for large n.
fim_status fim_eigenvalues(gsl_matrix *m, gsl_vector *values);
// Sorts values, of stride 1, in decreasing order. FIM_ERR_NUMERIC where one is NaN.
fim_status fim_sort_decreasing(gsl_vector *values);
// All singular values of m (rows, columns), decreasing; m is destroyed; values (min(rows, columns)).
fim_status fim_singular_values(gsl_matrix *m, gsl_vector *values);

// C K = A K diag(values) with KᵀAK = I for symmetric C and positive definite A (n, n), lower triangles read:
// c becomes K (vectors as columns), a its Cholesky factor L (zeros above), values (n) decreasing. A = L Lᵀ
// and one eigendecomposition, of L⁻¹ C L⁻ᵀ. FIM_NOT_POSITIVE when A is not.
fim_status fim_eigen_generalized(gsl_matrix *c, gsl_matrix *a, gsl_vector *values);

// ‖m‖₂ of a symmetric m (n, n), lower triangle read, from above and within two thousandths.
fim_status fim_symmetric_norm(const gsl_matrix *m, double *out);
// The eigenpairs of symmetric m (n, n) with |λ| > threshold >= 0: *count of them, by Sylvester's law, so that
// none is missed. When they are 1 to `most`, *values (count) has them, the largest |λ| first, and *vectors
// (count, n), orthonormal, one a row; otherwise both are NULL.
fim_status fim_eigen_above(const gsl_matrix *m, double threshold, size_t most, size_t *count,
                           gsl_vector **values, gsl_matrix **vectors);

// The triangular factor of m = Q R, m (rows, columns) with rows >= columns: R takes the first `columns` rows
// of m, with zeros below its diagonal; the other rows are destroyed. RᵀR = mᵀm without its squared condition.
fim_status fim_triangular_factor(gsl_matrix *m);

// ---- Cholesky: positive definite matrices ----

// m (n, n), lower triangle read, becomes L with m = L Lᵀ and zeros above. FIM_NOT_POSITIVE when it is not:
// the message gives the order of the leading minor that fails, and m is destroyed.
fim_status fim_cholesky(gsl_matrix *m);
// ln det(L Lᵀ).
double fim_cholesky_log_det(const gsl_matrix *l);
// l becomes (L Lᵀ)⁻¹, symmetric, both triangles.
fim_status fim_cholesky_inverse(gsl_matrix *l);
// Every row x of b (k, n) becomes (L Lᵀ)⁻¹ x.
fim_status fim_cholesky_solve(const gsl_matrix *l, gsl_matrix *b);

// c becomes L⁻¹ C L⁻ᵀ for symmetric C (n, n), lower triangles read; both triangles are written.
fim_status fim_cholesky_congruence(const gsl_matrix *l, gsl_matrix *c);

// m = L Q, m (rows, columns) with rows <= columns: m becomes Q, whose rows are orthonormal, and l (rows,
// rows) the lower triangular L.
fim_status fim_orthonormal_rows(gsl_matrix *m, gsl_matrix *l);

// ---- Golub-Kahan-Lanczos bidiagonalization with full reorthogonalization and thick restart ----

// A linear map M of size (rows, columns) known by its products.
typedef struct fim_map {
    size_t rows, columns;
    const void *context;
    // y (rows) = M x (columns); y = Mᵀ x for `transposed` (x: rows, y: columns).
    fim_status (*apply)(const void *context, bool transposed, const double *x, double *y);
} fim_map;

typedef struct fim_gkl_options {
    double tolerance;    // relative residual, both sides: <= tolerance · σ₁; 0 takes 1e-10
    size_t max_products; // with M or Mᵀ; 0 takes 2000
    size_t basis;        // Krylov basis kept at most; 0 takes max(2k + 20, 40)
    size_t steps;  // the Krylov space grows to so many steps at most (but to k), without a restart; 0: no end
    uint64_t seed; // of the random part of the starting vector, and of replacements on breakdown
    const double *start; // (columns) starting vector, or NULL for a random one
    double negligible;   // singular values up to this one are rounding: when all are, no residual is asked
} fim_gkl_options;

typedef struct fim_gkl_info {
    size_t products; // applied, both sides counted
    size_t restarts;
    double residual; // the larger of max ‖M v − σ u‖ and max ‖Mᵀ u − σ v‖, recomputed at the end, over σ₁
    bool converged;
} fim_gkl_info;

// The k leading singular triplets of M: u (k, rows) and v (k, columns) with one vector a row, sigma (k),
// decreasing. k <= min(rows, columns). A map of rank below k gives zero singular values with orthonormal
// vectors. FIM_NOT_CONVERGED leaves the best triplets found in the outputs and the residual in `info`.
fim_status fim_gkl(const fim_map *map, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                   gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info);

// ---- Conjugate gradients (Hestenes & Stiefel 1952) for symmetric positive definite maps ----

typedef struct fim_cg_options {
    double tolerance;              // ‖b − M x‖ <= tolerance · ‖b‖; 0 takes 1e-10
    size_t max_products;           // 0 takes 2000
    const fim_map *preconditioner; // an approximate inverse, symmetric positive definite, or NULL
} fim_cg_options;

typedef struct fim_cg_info {
    size_t products;
    double residual; // ‖b − M x‖ / ‖b‖, recomputed at the end; 0 for b = 0, which has x = 0
    bool converged;
} fim_cg_info;

// x (n) with M x = b, from the x given. FIM_NOT_CONVERGED and FIM_NOT_POSITIVE (a direction p with pᵀ M p <=
// 0 was met) leave the last x and its residual.
fim_status fim_cg(const fim_map *map, const double *b, const fim_cg_options *options, double *x,
                  fim_cg_info *info);

// ---- Symmetric Lanczos with partial reorthogonalization and thick restart ----
//
// A symmetric map is a fim_map with rows == columns, applied with transposed = false alone.

typedef enum fim_lanczos_order {
    FIM_LANCZOS_LARGEST,  // the algebraically largest first
    FIM_LANCZOS_SMALLEST, // the algebraically smallest first
    FIM_LANCZOS_MAGNITUDE // from both ends, the largest |λ| first
} fim_lanczos_order;

typedef struct fim_lanczos_options {
    fim_lanczos_order order;
    double tolerance;    // relative residual: ‖M x − λ x‖ <= tolerance · max|λ|; 0 takes 1e-10
    double negligible;   // a residual that is small enough whatever max|λ| is: the rounding of the products
    size_t max_products; // 0 takes 2000
    size_t basis;        // Krylov basis kept at most; 0 takes max(2k + 20, 40)
    size_t budget;       // bytes the basis may take, which then is smaller; 0: no limit
    uint64_t seed;       // of the starting vector, and of replacements on breakdown
    const double *start; // (n) starting vector, or NULL for a random one
} fim_lanczos_options;

typedef struct fim_lanczos_info {
    size_t products;
    size_t restarts;
    double residual; // max ‖M x − λ x‖, recomputed at the end, over the largest |λ| seen
    bool converged;
} fim_lanczos_info;

// The first k eigenvalues of M in the order asked for: values (k), and unless NULL vectors (k, n),
// orthonormal, one a row (which is slower: without them the basis is orthogonal to the smaller of tolerance
// and √ε alone). k <= n. Every value is within residual · max|λ| of an eigenvalue, and the square of that
// over its distance to the others. FIM_NOT_CONVERGED leaves the best found in the outputs and the residual in
// `info`; FIM_ERR_BUDGET when k + 3 vectors of the basis do not fit.
fim_status fim_lanczos(const fim_map *map, size_t k, const fim_lanczos_options *options, gsl_vector *values,
                       gsl_matrix *vectors, fim_lanczos_info *info);

// ---- Spectral density by stochastic Lanczos quadrature (Ubaru, Chen & Saad, SIMAX 38, 2017) ----

// A Gauss quadrature per probe z, of random signs: Σ_j w_j f(θ_j) ≈ zᵀ f(M) z / n, whose mean over z is
// tr f(M) / n. Exact per probe for polynomials up to degree 2·steps − 1.
typedef struct fim_density {
    gsl_matrix *nodes, *weights; // (probes, steps); a row's weights sum to 1. A Krylov space that ends early
                                 // leaves nodes of weight 0.
    gsl_matrix *alpha, *beta; // (probes, steps): the Jacobi matrices, α on the diagonal and β_j between rows
                              // j and j + 1, the last one beyond the matrix; β = 0 ends a space
} fim_density;

// `steps` is cut to n. Three vectors of n numbers are kept.
fim_status fim_density_new(const fim_map *map, size_t probes, size_t steps, uint64_t seed, fim_density *out);
// The Gauss-Radau rules of the same probes, one node of which is `end`, at most the smallest eigenvalue, as a
// density of its own (alpha and beta NULL). For an f whose derivatives alternate in sign from f' > 0 on, like
// a logarithm, zᵀ f(M) z lies between this rule, from below, and Gauss' (Golub & Meurant, ch. 6).
fim_status fim_density_radau(const fim_density *density, double end, fim_density *out);
void fim_density_clear(fim_density *density);
// The estimate of tr f(M) / n, and its standard error over the probes (NAN for one probe).
void fim_density_mean(const fim_density *density, double (*f)(double x, void *context), void *context,
                      double *mean, double *error);
// Of a positive definite map of no eigenvalue below `least` > 0, but for rounding: an estimate of ln det M
// from each probe, logs (probes), by the mean of both rules; of tr M less its known value, off_traces
// (probes); and half the mean distance of the rules.
fim_status fim_density_logs(const fim_map *map, double least, size_t probes, size_t steps, uint64_t seed,
                            double trace, double *logs, double *off_traces, double *distance);
// The mean of n >= 3 values whose errors go with as many controls of mean 0: their line of regression at 0,
// and its standard error.
double fim_controlled_mean(const double *values, const double *controls, size_t n, double *error);

#endif
