// Inner products of two blocks of one layer from their samples, tile by tile:
//
//     ⟨F_x, F_y⟩ = (1/(N_x N_y)) Σ_nm (a_n·a'_m)² ⟨G_n, G'_m⟩
//
// Both output sides are first brought to one form in which ⟨G_n, G'_m⟩ is a matrix product. Per pair of
// samples (r and r' columns, d outputs) that costs
//
//     rows, Σ_cc' (g_nc·g'_mc')²       2 r r' d   when both keep rows, and few of them
//     packed, svec(G_n)·svec(G'_m)     d²         when both are kept so
//     bands of entries of G_n          d²         otherwise: 2 r d² for the bands of a sample, once a tile
//     diagonal                         2 d        when one is diagonal: of the other only the diagonal counts
//
// Where both blocks have more samples than the rearranged block has rows and columns, and for a stored block,
// ⟨Rs_x, Rs_y⟩ is cheaper, or all there is.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_math.h>

#include "core.h"
#include "fim/linalg.h"

// Rows of a tile: those of few samples are squared while they stay in the cache.
enum { TILE_ROWS = 512 };

typedef enum output_form { FORM_ROWS, FORM_PACKED, FORM_BANDS, FORM_DIAGONAL } output_form;

typedef struct output_side {
    const fim_samples *s;
    const gsl_matrix *kept; // all outputs in the common form; NULL for bands
    gsl_matrix *scratch;    // diagonals that the samples do not keep, or a band of a tile
    size_t columns;         // rows of kept per sample
    size_t tile;            // samples at a time
} output_side;

static output_form common_form(const fim_samples *x, const fim_samples *y) {
    if (x->diagonal != NULL || y->diagonal != NULL)
        return FORM_DIAGONAL;
    if (x->packed != NULL && y->packed != NULL)
        return FORM_PACKED;
    const bool few = 2 * fim_size_mul(x->columns, y->columns) <= x->d_g + 1;
    return x->g != NULL && y->g != NULL && few ? FORM_ROWS : FORM_BANDS;
}

// numbers: of a tile's Gram matrices, and of a band. Bands are made once for every tile of the other side, so
// that large tiles pay.
static fim_status side_init(output_side *side, const fim_samples *s, output_form form, size_t numbers) {
    const size_t rows = form == FORM_BANDS ? (size_t)sqrt((double)numbers / 2) : TILE_ROWS;
    const size_t tile = form == FORM_ROWS ? rows / s->columns : rows;
    *side = (output_side){.s = s, .columns = form == FORM_ROWS ? s->columns : 1};
    side->tile = tile < 1 ? 1 : tile > s->n ? s->n : tile;
    side->kept = form == FORM_ROWS ? s->g : form == FORM_PACKED ? s->packed : s->diagonal;
    fim_status status = FIM_OK;
    if (form == FORM_BANDS)
        return fim_matrix_new(side->tile, band_height(numbers, side->tile, s->d_g) * s->d_g,
                              "bands of covariances", &side->scratch);
    if (form == FORM_DIAGONAL && s->diagonal == NULL) {
        status = fim_matrix_new(s->n, s->d_g, "diagonals of covariances", &side->scratch);
        if (status == FIM_OK)
            status = outputs_squares(s, NULL, side->scratch);
        side->kept = side->scratch;
    }
    return status;
}

// Some samples of a side.
typedef struct tile {
    output_side *side;
    size_t first, count;
} tile;

static _gsl_matrix_const_view kept_rows(const tile *t) {
    const output_side *side = t->side;
    return gsl_matrix_const_submatrix(side->kept, t->first * side->columns, 0, t->count * side->columns,
                                      side->kept->size2);
}

static _gsl_matrix_const_view band_of(const tile *t, size_t i, size_t height) {
    outputs_band(t->side->s, t->first, t->count, i, height, t->side->scratch);
    return gsl_matrix_const_submatrix(t->side->scratch, 0, 0, t->count, height * (t->side->s->d_g - i));
}

// gram = Σ over bands of x yᵀ; of x xᵀ its lower triangle.
static void gram_of_bands(const tile *x, const tile *y, gsl_matrix *gram) {
    const size_t d = x->side->s->d_g, width_x = x->side->scratch->size2, width_y = y->side->scratch->size2;
    const size_t band = (width_x < width_y ? width_x : width_y) / d;
    const bool same = x->side == y->side && x->first == y->first;
    gsl_matrix_set_zero(gram);
    for (size_t i = 0; i < d; i += band) {
        const size_t height = d - i < band ? d - i : band;
        gsl_matrix_const_view band_x = band_of(x, i, height);
        if (same) {
            gsl_blas_dsyrk(CblasLower, CblasNoTrans, 1, &band_x.matrix, 1, gram);
            continue;
        }
        gsl_matrix_const_view band_y = band_of(y, i, height);
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &band_x.matrix, &band_y.matrix, 1, gram);
    }
}

static void gram_of_outputs(output_form form, const tile *x, const tile *y, gsl_matrix *products,
                            gsl_matrix *gram) {
    if (form == FORM_BANDS) {
        gram_of_bands(x, y, gram);
        return;
    }
    gsl_matrix_const_view g_x = kept_rows(x), g_y = kept_rows(y);
    if (form == FORM_ROWS)
        rows_gram_tile(&g_x.matrix, x->side->columns, &g_y.matrix, y->side->columns, products, gram);
    else
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &g_x.matrix, &g_y.matrix, 0, gram);
}

fim_status sum_of_pairs(const fim_samples *s_x, const double *w_x, const fim_samples *s_y, const double *w_y,
                        double *out) {
    const output_form form = common_form(s_x, s_y);
    const bool same = s_x == s_y && w_x == w_y;
    const size_t least = GSL_MIN(fim_samples_bytes(s_x), fim_samples_bytes(s_y));
    const size_t numbers = scratch_numbers(least / sizeof(double));
    output_side side_x = {0}, side_y = {0}, *other = same ? &side_x : &side_y;
    gsl_matrix *products = NULL, *gram_a = NULL, *gram_g = NULL;
    double sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(side_init(&side_x, s_x, form, numbers));
    if (!same)
        FIM_TRY(side_init(&side_y, s_y, form, numbers));
    if (form == FORM_ROWS)
        FIM_TRY(fim_matrix_new(side_x.tile * side_x.columns, other->tile * other->columns,
                               "a tile of products", &products));
    FIM_TRY(fim_matrix_new(side_x.tile, other->tile, "a tile of inner products", &gram_a));
    FIM_TRY(fim_matrix_new(side_x.tile, other->tile, "a tile of inner products", &gram_g));
    for (size_t i = 0; i < s_x->n; i += side_x.tile) {
        const tile x = {&side_x, i, GSL_MIN(s_x->n - i, side_x.tile)};
        gsl_matrix_const_view a_x = gsl_matrix_const_submatrix(s_x->a, i, 0, x.count, s_x->d_a);
        for (size_t j = same ? i : 0; j < s_y->n; j += other->tile) {
            const tile y = {other, j, GSL_MIN(s_y->n - j, other->tile)};
            gsl_matrix_const_view a_y = gsl_matrix_const_submatrix(s_y->a, j, 0, y.count, s_y->d_a);
            gsl_matrix_view k_a = gsl_matrix_submatrix(gram_a, 0, 0, x.count, y.count);
            gsl_matrix_view k_g = gsl_matrix_submatrix(gram_g, 0, 0, x.count, y.count);
            rows_gram_tile(&a_x.matrix, 1, &a_y.matrix, 1, gram_a, &k_a.matrix);
            gram_of_outputs(form, &x, &y, products, &k_g.matrix);
            const bool triangle = same && i == j;
            for (size_t n = 0; n < x.count; n++)
                for (size_t m = 0; m < (triangle ? n + 1 : y.count); m++)
                    sum += (same && !(triangle && m == n) ? 2 : 1) * (w_x != NULL ? w_x[i + n] : 1) *
                           (w_y != NULL ? w_y[j + m] : 1) * gsl_matrix_get(&k_a.matrix, n, m) *
                           gsl_matrix_get(&k_g.matrix, n, m);
        }
    }
    *out = sum;
out:
    gsl_matrix_free(side_x.scratch);
    gsl_matrix_free(side_y.scratch);
    gsl_matrix_free(products);
    gsl_matrix_free(gram_a);
    gsl_matrix_free(gram_g);
    return status;
}

// ⟨Rs_x, Rs_y⟩, some rows at a time.
static fim_status inner_packed(const fim_fisher *x, const fim_fisher *y, double *out) {
    const size_t p_a = fim_svec_size(x->d_a), p_g = fim_svec_size(x->d_g);
    const fim_samples *s = x->class->samples(x);
    const size_t kept = s != NULL ? fim_samples_bytes(s) / sizeof(double) : fim_size_mul(p_a, p_g);
    const size_t most = scratch_numbers(kept) / p_g, step = most < 1 ? 1 : most < p_a ? most : p_a;
    gsl_matrix *rs_x = NULL, *rs_y = NULL;
    double sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(step, p_g, "rows of a rearranged block", &rs_x));
    if (x != y)
        FIM_TRY(fim_matrix_new(step, p_g, "rows of a rearranged block", &rs_y));
    for (size_t first = 0; first < p_a; first += step) {
        const size_t count = p_a - first < step ? p_a - first : step;
        gsl_matrix_view rows_x = gsl_matrix_submatrix(rs_x, 0, 0, count, p_g), rows_y = rows_x;
        FIM_TRY(x->class->packed(x, first, &rows_x.matrix));
        if (x != y) {
            rows_y = gsl_matrix_submatrix(rs_y, 0, 0, count, p_g);
            FIM_TRY(y->class->packed(y, first, &rows_y.matrix));
        }
        for (size_t i = 0; i < count; i++)
            sum += cblas_ddot((int)p_g, rows_x.matrix.data + i * p_g, 1, rows_y.matrix.data + i * p_g, 1);
    }
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
    double sum;
    fim_status status;
    if (s_x != NULL && s_y != NULL && x->n >= most && y->n >= most)
        return inner_packed(x, y, out);
    if (s_y != NULL && x->class->pairs != NULL)
        status = x->class->pairs(x, s_y, &sum);
    else if (s_x != NULL && y->class->pairs != NULL)
        status = y->class->pairs(y, s_x, &sum);
    else
        return inner_packed(x, y, out);
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
