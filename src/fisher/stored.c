// The Fisher block read from a dump without its samples: products go through the rearranged block Rs, which
// holds the same numbers four times fewer.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdlib.h>

#include "block.h"
#include "fim/linalg.h"

typedef struct stored {
    fim_fisher head;
    gsl_matrix *dense, *rs;
    gsl_matrix *a, *g; // the KFAC factors, or NULL
} stored;

static const stored *cast(const fim_fisher *f) {
    return (const stored *)f;
}

static void stored_free(fim_fisher *f) {
    stored *self = (stored *)f;
    gsl_matrix_free(self->dense);
    gsl_matrix_free(self->rs);
    gsl_matrix_free(self->a);
    gsl_matrix_free(self->g);
    free(self);
}

// to = unsvec(Rs svec(from)), or with Rsᵀ.
static fim_status multiply(const stored *self, bool transposed, const gsl_matrix *from, gsl_matrix *to) {
    gsl_vector *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(transposed ? self->rs->size1 : self->rs->size2, "a packed factor", &x));
    FIM_TRY(fim_vector_new(transposed ? self->rs->size2 : self->rs->size1, "a packed factor", &y));
    fim_svec_pack(from, x->data);
    gsl_blas_dgemv(transposed ? CblasTrans : CblasNoTrans, 1, self->rs, x, 0, y);
    fim_svec_unpack(y->data, to);
out:
    gsl_vector_free(x);
    gsl_vector_free(y);
    return status;
}

static fim_status stored_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    return multiply(cast(f), false, v, u);
}

static fim_status stored_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v) {
    return multiply(cast(f), true, u, v);
}

static fim_status stored_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g) {
    const stored *self = cast(f);
    if (self->a == NULL || self->g == NULL)
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "the block alone does not tell A and G: dump it with its factors or samples (fim-dump --with)");
    gsl_matrix_memcpy(a, self->a);
    gsl_matrix_memcpy(g, self->g);
    return FIM_OK;
}

// rows = svec(u_k u_kᵀ) for every column u_k of u, or of the identity.
static void pack_columns(const gsl_matrix *u, gsl_matrix *rows) {
    gsl_matrix_set_zero(rows);
    for (size_t k = 0; k < rows->size1; k++) {
        double *row = rows->data + k * rows->tda;
        if (u == NULL) {
            row[k * rows->size1 - k * (k + 1) / 2 + k] = 1;
            continue;
        }
        size_t at = 0;
        for (size_t i = 0; i < u->size1; i++)
            for (size_t j = i; j < u->size1; j++)
                row[at++] = (i == j ? 1 : M_SQRT2) * gsl_matrix_get(u, i, k) * gsl_matrix_get(u, j, k);
    }
}

// Λ_ij = ⟨F, u_i u_iᵀ ⊗ v_j v_jᵀ⟩, all of them by two products with Rs.
static fim_status stored_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                  gsl_matrix *lambda) {
    const stored *self = cast(f);
    gsl_matrix *left = NULL, *right = NULL, *half = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(f->d_a, self->rs->size1, "packed basis vectors", &left));
    FIM_TRY(fim_matrix_new(f->d_g, self->rs->size2, "packed basis vectors", &right));
    FIM_TRY(fim_matrix_new(f->d_a, self->rs->size2, "a half-rotated block", &half));
    pack_columns(u_a, left);
    pack_columns(u_g, right);
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, left, self->rs, 0, half);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, half, right, 0, lambda);
out:
    gsl_matrix_free(left);
    gsl_matrix_free(right);
    gsl_matrix_free(half);
    return status;
}

static fim_status stored_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    const size_t d = f->d_a * f->d_g;
    gsl_vector *from = NULL, *to = NULL; // the parameters may be views with gaps between their rows
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(d, "parameters", &from));
    FIM_TRY(fim_vector_new(d, "parameters", &to));
    gsl_matrix_view from_rows = gsl_matrix_view_vector(from, f->d_a, f->d_g);
    gsl_matrix_view to_rows = gsl_matrix_view_vector(to, f->d_a, f->d_g);
    gsl_matrix_memcpy(&from_rows.matrix, x);
    gsl_blas_dsymv(CblasUpper, 1, cast(f)->dense, from, 0, to);
    gsl_matrix_memcpy(y, &to_rows.matrix);
out:
    gsl_vector_free(from);
    gsl_vector_free(to);
    return status;
}

static fim_status stored_norm2(const fim_fisher *f, double *out) {
    const gsl_matrix *rs = cast(f)->rs;
    *out = fim_matrix_inner(rs, rs);
    return FIM_OK;
}

static fim_status stored_packed(const fim_fisher *f, size_t first, gsl_matrix *rs) {
    const gsl_matrix *all = cast(f)->rs;
    gsl_matrix_const_view rows = gsl_matrix_const_submatrix(all, first, 0, rs->size1, all->size2);
    gsl_matrix_memcpy(rs, &rows.matrix);
    return FIM_OK;
}

static const fim_fisher_class stored_class = {
    .free = stored_free,
    .rearranged = stored_rearranged,
    .rearranged_transposed = stored_rearranged_transposed,
    .moments = stored_moments,
    .diagonal = stored_diagonal,
    .apply = stored_apply,
    .norm2 = stored_norm2,
    .packed = stored_packed,
    .samples = block_no_samples,
    .core = block_no_core,
};

// Packs the blocks of dense into Rs. A Fisher block is symmetric as a whole and in every d_g × d_g block,
// since all a_n a_nᵀ and G_n are; what is not, is no such block (or stands in another order), and the packing
// would lose a part.
static fim_status pack_blocks(const gsl_matrix *dense, size_t d_a, size_t d_g, gsl_matrix *rs) {
    double asymmetry = 0, largest = 0;
    for (size_t i = 0; i < d_a; i++)
        for (size_t i2 = i; i2 < d_a; i2++) {
            const double *block = dense->data + i * d_g * dense->tda + i2 * d_g;
            const double *twin = dense->data + i2 * d_g * dense->tda + i * d_g;
            double *packed = rs->data + (i * d_a - i * (i + 1) / 2 + i2) * rs->tda;
            const double scale = i == i2 ? 1 : M_SQRT2;
            for (size_t j = 0; j < d_g; j++)
                for (size_t k = j; k < d_g; k++) {
                    const double entry = block[j * dense->tda + k];
                    if (!isfinite(entry))
                        return FIM_FAIL(FIM_ERR_VALUE, "the dense block holds %g at (%zu, %zu)", entry,
                                        i * d_g + j, i2 * d_g + k);
                    const double same[] = {block[k * dense->tda + j], twin[j * dense->tda + k],
                                           twin[k * dense->tda + j]};
                    for (size_t s = 0; s < 3; s++) // fmax would pass a NaN over
                        asymmetry = fmax(asymmetry, isnan(same[s]) ? HUGE_VAL : fabs(entry - same[s]));
                    largest = fmax(largest, fabs(entry));
                    *packed++ = scale * (j == k ? 1 : M_SQRT2) * entry;
                }
        }
    if (asymmetry > 1e-8 * largest)
        return FIM_FAIL(FIM_ERR_VALUE,
                        "the dense block is not the Fisher block of a fully connected layer with d_a = %zu, "
                        "d_g = %zu: its "
                        "blocks of d_g x d_g differ from their transposes by up to %.1e (parameter (i, j) "
                        "has index i·d_g + j)",
                        d_a, d_g, asymmetry);
    return FIM_OK;
}

fim_status fim_fisher_new_dense(gsl_matrix *dense, size_t d_a, size_t d_g, size_t n, gsl_matrix *a,
                                gsl_matrix *g, fim_fisher **out) {
    stored *self = NULL;
    gsl_matrix *rs = NULL;
    fim_status status = FIM_OK;
    const size_t d = fim_size_mul(d_a, d_g);
    if (d == 0 || n == 0 || dense->size1 != d || dense->size2 != d ||
        (a != NULL && (a->size1 != d_a || a->size2 != d_a)) ||
        (g != NULL && (g->size1 != d_g || g->size2 != d_g))) {
        status = FIM_FAIL(FIM_ERR_SHAPE,
                          "a dense block of (%zu, %zu) over %zu samples does not fit d_a = %zu, d_g = %zu",
                          dense->size1, dense->size2, n, d_a, d_g);
        goto out;
    }
    FIM_TRY(fim_matrix_new(fim_svec_size(d_a), fim_svec_size(d_g), "the rearranged block", &rs));
    FIM_TRY(pack_blocks(dense, d_a, d_g, rs));
    FIM_TRY(fim_alloc(1, sizeof *self, "a Fisher block", &self));
    *self = (stored){.head = {.class = &stored_class, .d_a = d_a, .d_g = d_g, .n = n},
                     .dense = dense,
                     .rs = rs,
                     .a = a,
                     .g = g};
    *out = &self->head;
    return FIM_OK;
out:
    gsl_matrix_free(dense);
    gsl_matrix_free(rs);
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    return status;
}
