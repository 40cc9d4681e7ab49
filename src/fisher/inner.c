// Inner products of two blocks of one layer from their samples, tile by tile:
//
//     ⟨F_x, F_y⟩ = (1/(N_x N_y)) Σ_nm (a_n·a'_m)² ⟨G_n, G'_m⟩
//
// Both output sides are first brought to one form in which ⟨G_n, G'_m⟩ is a matrix product. Per pair of
// samples (r and r' columns, d outputs) that costs
//
//     rows, Σ_cc' (g_nc·g'_mc')²       2 r r' d   when both keep rows, and few of them
//     packed, svec(G_n)·svec(G'_m)     d²         rows are packed on the way, in chunks
//     diagonal                         2 d        when one is diagonal: of the other only the diagonal counts
//
// Where both blocks have more samples than the rearranged block has rows and columns, and for a stored block,
// ⟨Rs_x, Rs_y⟩ is cheaper, or all there is.
#include <gsl/gsl_blas.h>

#include "core.h"
#include "fim/linalg.h"

// What a tile packs at most, and its rows.
enum { TILE_BYTES = 128 << 20, TILE_ROWS = 512 };

typedef enum output_form { FORM_ROWS, FORM_PACKED, FORM_DIAGONAL } output_form;

typedef struct output_side {
    const fim_samples *s;
    output_form form;
    size_t tile;         // samples at a time
    size_t columns;      // rows per sample in this form
    gsl_matrix *scratch; // what the samples do not keep in this form: a tile of it packed, or all diagonals
} output_side;

static output_form common_form(const fim_samples *x, const fim_samples *y) {
    if (x->diagonal != NULL || y->diagonal != NULL)
        return FORM_DIAGONAL;
    const bool few = 2 * fim_size_mul(x->columns, y->columns) <= x->d_g + 1;
    return x->g != NULL && y->g != NULL && few ? FORM_ROWS : FORM_PACKED;
}

static fim_status side_init(output_side *side, const fim_samples *s, output_form form) {
    const size_t p_g = fim_svec_size(s->d_g), packed = TILE_BYTES / (p_g * sizeof(double));
    size_t tile = form == FORM_ROWS ? TILE_ROWS / s->columns : TILE_ROWS;
    if (form == FORM_PACKED && s->packed == NULL && packed < tile)
        tile = packed;
    side->s = s;
    side->form = form;
    side->tile = tile < 1 ? 1 : tile > s->n ? s->n : tile;
    side->columns = form == FORM_ROWS ? s->columns : 1;
    fim_status status = FIM_OK;
    if (form == FORM_PACKED && s->packed == NULL)
        status = fim_matrix_new(side->tile, p_g, "packed covariances", &side->scratch);
    if (form == FORM_DIAGONAL && s->diagonal == NULL) {
        status = fim_matrix_new(s->n, s->d_g, "diagonals of covariances", &side->scratch);
        if (status == FIM_OK)
            status = outputs_squares(s, NULL, side->scratch);
    }
    return status;
}

// The samples first .. first + count in the side's form.
static _gsl_matrix_const_view side_tile(const output_side *side, size_t first, size_t count) {
    const fim_samples *s = side->s;
    if (side->form == FORM_PACKED && s->packed == NULL) {
        outputs_pack(s, first, count, side->scratch);
        return gsl_matrix_const_submatrix(side->scratch, 0, 0, count, side->scratch->size2);
    }
    const gsl_matrix *kept = side->form == FORM_ROWS     ? s->g
                             : side->form == FORM_PACKED ? s->packed
                             : s->diagonal != NULL       ? s->diagonal
                                                         : side->scratch;
    return gsl_matrix_const_submatrix(kept, first * side->columns, 0, count * side->columns, kept->size2);
}

fim_status sum_of_pairs(const fim_samples *s_x, const double *w_x, const fim_samples *s_y, const double *w_y,
                        double *out) {
    const output_form form = common_form(s_x, s_y);
    output_side x = {0}, y = {0};
    gsl_matrix *products = NULL, *gram_a = NULL, *gram_g = NULL;
    double sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(side_init(&x, s_x, form));
    FIM_TRY(side_init(&y, s_y, form));
    FIM_TRY(fim_matrix_new(x.tile * x.columns, y.tile * y.columns, "a tile of inner products", &products));
    FIM_TRY(fim_matrix_new(x.tile, y.tile, "a tile of inner products", &gram_a));
    FIM_TRY(fim_matrix_new(x.tile, y.tile, "a tile of inner products", &gram_g));
    for (size_t i = 0; i < s_x->n; i += x.tile) {
        const size_t n_x = s_x->n - i < x.tile ? s_x->n - i : x.tile;
        gsl_matrix_const_view a_x = gsl_matrix_const_submatrix(s_x->a, i, 0, n_x, s_x->d_a);
        gsl_matrix_const_view g_x = side_tile(&x, i, n_x);
        for (size_t j = 0; j < s_y->n; j += y.tile) {
            const size_t n_y = s_y->n - j < y.tile ? s_y->n - j : y.tile;
            gsl_matrix_const_view a_y = gsl_matrix_const_submatrix(s_y->a, j, 0, n_y, s_y->d_a);
            gsl_matrix_const_view g_y = side_tile(&y, j, n_y);
            gsl_matrix_view k_a = gsl_matrix_submatrix(gram_a, 0, 0, n_x, n_y);
            gsl_matrix_view k_g = gsl_matrix_submatrix(gram_g, 0, 0, n_x, n_y);
            rows_gram_tile(&a_x.matrix, 1, &a_y.matrix, 1, products, &k_a.matrix);
            if (form == FORM_ROWS)
                rows_gram_tile(&g_x.matrix, x.columns, &g_y.matrix, y.columns, products, &k_g.matrix);
            else
                gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &g_x.matrix, &g_y.matrix, 0, &k_g.matrix);
            for (size_t n = 0; n < n_x; n++)
                for (size_t m = 0; m < n_y; m++)
                    sum += (w_x != NULL ? w_x[i + n] : 1) * (w_y != NULL ? w_y[j + m] : 1) *
                           gsl_matrix_get(&k_a.matrix, n, m) * gsl_matrix_get(&k_g.matrix, n, m);
        }
    }
    *out = sum;
out:
    gsl_matrix_free(x.scratch);
    gsl_matrix_free(y.scratch);
    gsl_matrix_free(products);
    gsl_matrix_free(gram_a);
    gsl_matrix_free(gram_g);
    return status;
}

// ⟨Rs_x, Rs_y⟩.
static fim_status inner_packed(const fim_fisher *x, const fim_fisher *y, double *out) {
    const size_t p_a = fim_svec_size(x->d_a), p_g = fim_svec_size(x->d_g);
    gsl_matrix *rs_x = NULL, *rs_y = NULL;
    double sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(p_a, p_g, "a rearranged block", &rs_x));
    FIM_TRY(fim_matrix_new(p_a, p_g, "a rearranged block", &rs_y));
    FIM_TRY(x->class->packed(x, rs_x));
    FIM_TRY(y->class->packed(y, rs_y));
    for (size_t i = 0; i < p_a; i++)
        sum += cblas_ddot((int)p_g, rs_x->data + i * rs_x->tda, 1, rs_y->data + i * rs_y->tda, 1);
    *out = sum;
out:
    gsl_matrix_free(rs_x);
    gsl_matrix_free(rs_y);
    return status;
}

fim_status fim_fisher_inner(const fim_fisher *x, const fim_fisher *y, double *out) {
    const size_t p_a = fim_svec_size(x->d_a), p_g = fim_svec_size(x->d_g), most = p_a > p_g ? p_a : p_g;
    const fim_samples *s_x = x->class->samples(x), *s_y = y->class->samples(y);
    if (x->d_a != y->d_a || x->d_g != y->d_g)
        return FIM_FAIL(
            FIM_ERR_SHAPE,
            "an inner product of a block of d_a = %zu, d_g = %zu with one of d_a = %zu, d_g = %zu", x->d_a,
            x->d_g, y->d_a, y->d_g);
    if (s_x == NULL || s_y == NULL || (x->n >= most && y->n >= most))
        return inner_packed(x, y, out);
    double sum;
    fim_status status = sum_of_pairs(s_x, NULL, s_y, NULL, &sum);
    if (status == FIM_OK)
        *out = sum / ((double)x->n * (double)y->n);
    return status;
}

fim_status fim_fisher_weighted_norm2(const fim_fisher *f, const double *w, double *out) {
    const fim_samples *s = f->class->samples(f);
    const core *c = f->class->core(f);
    double sum = 0;
    if (f->class->weighted_norm2 != NULL)
        return f->class->weighted_norm2(f, w, out);
    if (s == NULL)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                        "the block alone does not tell its samples: dump it with them (fim-dump --with)");
    if (c->k_a != NULL) { // the norm has left the Gram matrices behind
        for (size_t n = 0; n < s->n; n++)
            for (size_t m = 0; m < s->n; m++)
                sum += w[n] * w[m] * gsl_matrix_get(c->k_a, n, m) * gsl_matrix_get(c->k_g, n, m);
    } else {
        fim_status status = sum_of_pairs(s, w, s, w, &sum);
        if (status != FIM_OK)
            return status;
    }
    *out = sum / ((double)s->n * (double)s->n);
    return FIM_OK;
}
