// The room's private face: a Fisher block is a class of functions and its sizes. Two classes exist: samples,
// and a stored dense block.
#ifndef FIM_SRC_FISHER_BLOCK_H
#define FIM_SRC_FISHER_BLOCK_H

#include "fim/fisher.h"

typedef struct fim_fisher_class {
    void (*free)(fim_fisher *f);
    fim_status (*rearranged)(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u);
    fim_status (*rearranged_transposed)(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v);
    fim_status (*moments)(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g);
    fim_status (*diagonal)(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                           gsl_matrix *lambda);
    fim_status (*apply)(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y);
    fim_status (*norm2)(const fim_fisher *f, double *out);
    // The rows first .. first + rs->size1 of Rs.
    fim_status (*packed)(const fim_fisher *f, size_t first, gsl_matrix *rs);
    // Σ_nm (a_n·a'_m)² ⟨G_n, G'_m⟩ over the block's samples and s; NULL for the classes without samples.
    fim_status (*pairs)(const fim_fisher *f, const fim_samples *s, double *out);
    // As fim_fisher_weighted_norm2; NULL for the classes that keep all samples, or none.
    fim_status (*weighted_norm2)(const fim_fisher *f, const double *w, double *out);
    // The samples behind the block, or NULL.
    const fim_samples *(*samples)(const fim_fisher *f);
    // Their cached core (core.h), or NULL. It makes a block unfit for two threads at a time.
    struct core *(*core)(const fim_fisher *f);
} fim_fisher_class;

struct fim_fisher {
    const fim_fisher_class *class;
    size_t d_a, d_g, n;
};

// Σ_nm w_n w'_m (a_n·a'_m)² ⟨G_n, G'_m⟩ over the samples of two blocks, w NULL for ones; half of the work
// where the second is the first (inner.c).
fim_status sum_of_pairs(const fim_samples *s_x, const double *w_x, const fim_samples *s_y, const double *w_y,
                        double *out);

// NULL: for the classes that keep no samples.
const fim_samples *block_no_samples(const fim_fisher *f);
struct core *block_no_core(const fim_fisher *f);

// ---- Sums over rows of samples (rows.c). `rows` (n·columns, d): `columns` rows of every sample. ----

// True for the identity, whose products are traces.
bool is_identity(const gsl_matrix *m);
// q[n] = Σ_c rows_ncᵀ M rows_nc, M (d, d) symmetric.
fim_status rows_quadratic(const gsl_matrix *rows, size_t columns, const gsl_matrix *m, double *q);
// m (d, d) = Σ_n w[n] Σ_c rows_nc rows_ncᵀ.
fim_status rows_sum(const gsl_matrix *rows, size_t columns, const double *w, gsl_matrix *m);
// squares (n, d): Σ_c of the squared entries of rows_nc U; U NULL is the identity.
fim_status rows_squares(const gsl_matrix *rows, size_t columns, const gsl_matrix *u, gsl_matrix *squares);
// out (x->size2, y->size2) = alpha Σ_n x_n y_nᵀ, added to out for `more`, over the rows of x and y.
fim_status rows_cross(double alpha, const gsl_matrix *x, const gsl_matrix *y, bool more, gsl_matrix *out);
// packed (count, d(d+1)/2) = Σ_c svec(rows_nc rows_ncᵀ) of the samples first .. first + count.
void rows_pack(const gsl_matrix *rows, size_t columns, size_t first, size_t count, gsl_matrix *packed);
// Numbers that a product takes in the place of `kept` ones of its samples.
size_t scratch_numbers(size_t kept);
// The rows of d × d matrices, of n samples together, that make so many numbers.
size_t band_height(size_t numbers, size_t n, size_t d);
// Row n of entries (n, height·(d−i)): the rows i .. i + height of G_n = Σ_c rows_nc rows_ncᵀ from their
// square block on the diagonal on, times √2 beside it. Over all bands, products of the rows of entries sum to
// ⟨G_n, G_m⟩.
void rows_band(const gsl_matrix *rows, size_t columns, size_t i, size_t height, gsl_matrix *entries);
// gram (n, m) = Σ_cd (x_nc · y_md)², all pairs of n samples of x and m of y; scratch takes their products.
void rows_gram_tile(const gsl_matrix *x, size_t columns_x, const gsl_matrix *y, size_t columns_y,
                    gsl_matrix *scratch, gsl_matrix *gram);
// gram (n, n), gram[n, m] = Σ_cd (rows_nc · rows_md)², the inner products ⟨G_n, G_m⟩.
fim_status rows_gram(const gsl_matrix *rows, size_t columns, gsl_matrix *gram);

// The lower triangle of gram (N·C, N·C) = W Wᵀ, where W has the rows a_n ⊗ g_nc / √N and F = Wᵀ W: a product
// of two Gram matrices, entry by entry. The samples are rows.
fim_status samples_gram(const fim_samples *s, gsl_matrix *gram);
// y = F x (sampled.c), parameter matrices (d_a, d_g).
fim_status samples_apply(const fim_samples *s, const gsl_matrix *x, gsl_matrix *y);

// ---- The same for the output side G_n of the samples, in whichever form they keep it (outputs.c). ----

// q[n] = ⟨G_n, V⟩, V (d_g, d_g) symmetric.
fim_status outputs_inner(const fim_samples *s, const gsl_matrix *v, double *q);
// v (d_g, d_g) = Σ_n w[n] G_n.
fim_status outputs_sum(const fim_samples *s, const double *w, gsl_matrix *v);
// squares (N, d_g) = diag(Uᵀ G_n U); U NULL is the identity.
fim_status outputs_squares(const fim_samples *s, const gsl_matrix *u, gsl_matrix *squares);
// t (N, d_g): row n becomes G_n t_n.
fim_status outputs_times(const fim_samples *s, gsl_matrix *t);
// packed (count, p_g) = svec(G_n) of the samples first .. first + count.
void outputs_pack(const fim_samples *s, size_t first, size_t count, gsl_matrix *packed);
// As rows_band, of the samples first .. first + count.
void outputs_band(const fim_samples *s, size_t first, size_t count, size_t i, size_t height,
                  gsl_matrix *entries);
// gram (N, N), gram[n, m] = ⟨G_n, G_m⟩.
fim_status outputs_gram(const fim_samples *s, gsl_matrix *gram);

#endif
