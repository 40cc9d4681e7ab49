// Sums over samples given as rows, in chunks that stay in the cache: each is one matrix product and a sweep.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "fim/linalg.h"

// Numbers in a chunk's scratch: 2 MB, about an L2 cache.
enum { CHUNK_NUMBERS = 1 << 18 };

// Rows of `width` numbers that fit the scratch, a multiple of `columns`.
static size_t chunk_rows(size_t total, size_t columns, size_t width) {
    size_t samples = CHUNK_NUMBERS / (columns * (width > 0 ? width : 1));
    samples = samples < 1 ? 1 : samples;
    return samples * columns < total ? samples * columns : total;
}

bool is_identity(const gsl_matrix *m) {
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            if (m->data[i * m->tda + j] != (i == j)) // most matrices differ in the first entry
                return false;
    return true;
}

// q[n] = Σ_c ‖rows_nc‖².
static void squared_lengths(const gsl_matrix *rows, size_t columns, double *q) {
    for (size_t r = 0; r < rows->size1; r++) {
        const double *row = rows->data + r * rows->tda;
        q[r / columns] += cblas_ddot((int)rows->size2, row, 1, row, 1);
    }
}

// ---- Side by side: a chunk is a product on one thread, and what is made of it while it is in the cache ----

typedef struct chunks {
    const gsl_matrix *rows, *factor; // lower triangular for q; NULL for the identity
    size_t columns, step, count;
    const double *w;     // weights of the samples
    double *q;           // of every sample
    gsl_matrix *squares; // so too
    gsl_matrix **sums;   // lower triangles
    size_t n_sums;
} chunks;

// As many chunks for each worker, of nearly the same size.
static void cut(chunks *c, size_t workers) {
    const size_t samples = c->rows->size1 / c->columns;
    const size_t most = chunk_rows(c->rows->size1, c->columns, c->rows->size2) / c->columns;
    const size_t rounds = (samples + most * workers - 1) / (most * workers);
    const size_t each = (samples + rounds * workers - 1) / (rounds * workers);
    c->step = each * c->columns;
    c->count = (samples + each - 1) / each;
}

// Rows of chunk i.
static size_t chunk_count(const chunks *c, size_t i) {
    const size_t left = c->rows->size1 - i * c->step;
    return left < c->step ? left : c->step;
}

// Sums of the products of chunk i with the factor: with the rows themselves into q, of squares else.
static fim_status sum_products(void *context, size_t worker, size_t i) {
    (void)worker;
    const chunks *c = context;
    const size_t d = c->rows->size2, first = i * c->step;
    gsl_matrix_const_view x = gsl_matrix_const_submatrix(c->rows, first, 0, chunk_count(c, i), d);
    gsl_matrix *product = NULL;
    fim_status status = fim_matrix_copy(&x.matrix, "a chunk of samples", &product);
    if (status != FIM_OK)
        return status;
    if (c->q != NULL)
        gsl_blas_dtrmm(CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, 2, c->factor, product);
    else if (c->factor != NULL)
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &x.matrix, c->factor, 0, product);
    for (size_t r = 0; r < product->size1; r++) {
        const size_t sample = (first + r) / c->columns;
        const double *y = product->data + r * d;
        double *squares = c->q != NULL ? NULL : c->squares->data + sample * c->squares->tda;
        if (c->q != NULL)
            c->q[sample] += cblas_ddot((int)d, x.matrix.data + r * x.matrix.tda, 1, y, 1);
        for (size_t j = 0; squares != NULL && j < d; j++)
            squares[j] += y[j] * y[j];
    }
    gsl_matrix_free(product);
    return FIM_OK;
}

static fim_status each_chunk(chunks c) {
    cut(&c, fim_linalg_threads());
    return fim_side_by_side(c.count, fim_linalg_threads(), sum_products, &c);
}

// xᵀMx = 2 xᵀLx, L the lower triangle of M with half of its diagonal: half of the flops.
fim_status rows_quadratic(const gsl_matrix *rows, size_t columns, const gsl_matrix *m, double *q) {
    const size_t d = rows->size2;
    gsl_matrix *triangle = NULL;
    memset(q, 0, rows->size1 / columns * sizeof *q);
    if (is_identity(m)) { // a partial trace
        squared_lengths(rows, columns, q);
        return FIM_OK;
    }
    fim_status status = fim_matrix_copy(m, "a triangle", &triangle);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < d; i++)
        triangle->data[i * d + i] /= 2;
    status = each_chunk((chunks){.rows = rows, .factor = triangle, .columns = columns, .q = q});
    gsl_matrix_free(triangle);
    return status;
}

// Weighted rows of either sign are two symmetric products, at half of the flops of a general one.
static fim_status add_chunk(const chunks *c, size_t i, gsl_matrix *sum) {
    const gsl_matrix *rows = c->rows;
    const size_t d = rows->size2, first = i * c->step, count = chunk_count(c, i);
    size_t positive = 0, negative = count; // the rows from the front, and those from the back
    gsl_matrix *scaled = NULL;
    fim_status status = fim_matrix_new(count, d, "a chunk of samples", &scaled);
    if (status != FIM_OK)
        return status;
    for (size_t r = 0; r < count; r++) {
        const double weight = c->w[(first + r) / c->columns], *source = rows->data + (first + r) * rows->tda;
        const double root = sqrt(fabs(weight));
        double *out = scaled->data + (weight > 0 ? positive++ : --negative) * d;
        for (size_t j = 0; j < d; j++)
            out[j] = root * source[j];
    }
    if (positive > 0)
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)positive, 1, scaled->data, (int)d, 1,
                    sum->data, (int)sum->tda);
    if (positive < count)
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)(count - positive), -1,
                    scaled->data + positive * d, (int)d, 1, sum->data, (int)sum->tda);
    gsl_matrix_free(scaled);
    return FIM_OK;
}

static fim_status add_share(void *context, size_t worker, size_t share) {
    (void)worker;
    const chunks *c = context;
    fim_status status = FIM_OK;
    for (size_t i = share; i < c->count && status == FIM_OK; i += c->n_sums)
        status = add_chunk(c, i, c->sums[share]);
    return status;
}

// Every further thread has a sum of its own, where these are small beside the samples. Which chunks go into
// which sum does not depend on who is done first: the same numbers again make the same bits.
fim_status rows_sum(const gsl_matrix *rows, size_t columns, const double *w, gsl_matrix *m) {
    const size_t d = rows->size2, threads = fim_linalg_threads();
    chunks c = {.rows = rows, .columns = columns, .w = w};
    fim_status status = FIM_OK;
    c.n_sums = (threads - 1) * d * d <= scratch_numbers(rows->size1 * d) ? threads : 1;
    FIM_TRY(fim_alloc(c.n_sums, sizeof *c.sums, "sums over samples", &c.sums));
    c.sums[0] = m;
    for (size_t k = 1; k < c.n_sums; k++)
        FIM_TRY(fim_matrix_new(d, d, "sums over samples", &c.sums[k]));
    gsl_matrix_set_zero(m);
    cut(&c, c.n_sums);
    FIM_TRY(fim_side_by_side(c.n_sums, c.n_sums, add_share, &c));
    for (size_t k = 1; k < c.n_sums; k++)
        gsl_matrix_add(m, c.sums[k]);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < i; j++)
            m->data[j * m->tda + i] = m->data[i * m->tda + j];
out:
    for (size_t k = 1; c.sums != NULL && k < c.n_sums; k++)
        gsl_matrix_free(c.sums[k]);
    free(c.sums);
    return status;
}

fim_status rows_squares(const gsl_matrix *rows, size_t columns, const gsl_matrix *u, gsl_matrix *squares) {
    gsl_matrix_set_zero(squares);
    return each_chunk((chunks){.rows = rows, .factor = u, .columns = columns, .squares = squares});
}

typedef struct cross {
    double alpha;
    const gsl_matrix *x, *y;
    bool more;
    gsl_matrix *out;
    size_t shares;
} cross;

static fim_status cross_share(void *context, size_t worker, size_t share) {
    (void)worker;
    const cross *c = context;
    const size_t d = c->x->size2, first = share * d / c->shares, end = (share + 1) * d / c->shares;
    gsl_matrix_const_view x = gsl_matrix_const_submatrix(c->x, 0, first, c->x->size1, end - first);
    gsl_matrix_view out = gsl_matrix_submatrix(c->out, first, 0, end - first, c->out->size2);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, c->alpha, &x.matrix, c->y, c->more, &out.matrix);
    return FIM_OK;
}

// OpenBLAS's threads would go on spinning beside the chunks that come next.
fim_status rows_cross(double alpha, const gsl_matrix *x, const gsl_matrix *y, bool more, gsl_matrix *out) {
    const size_t threads = fim_linalg_threads();
    cross c = {alpha, x, y, more, out, threads < x->size2 ? threads : x->size2};
    return fim_side_by_side(c.shares, c.shares, cross_share, &c);
}

void rows_pack(const gsl_matrix *rows, size_t columns, size_t first, size_t count, gsl_matrix *packed) {
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < count; r++) {
        double *out = packed->data + r * packed->tda;
        memset(out, 0, packed->size2 * sizeof *out);
        for (size_t c = 0; c < columns; c++)
            fim_svec_add_outer(rows->data + ((first + r) * columns + c) * rows->tda, rows->size2, 1, out);
    }
}

// One product of rows, squared and summed over columns.
void rows_gram_tile(const gsl_matrix *x, size_t columns_x, const gsl_matrix *y, size_t columns_y,
                    gsl_matrix *scratch, gsl_matrix *gram) {
    gsl_matrix_view t = gsl_matrix_submatrix(scratch, 0, 0, x->size1, y->size1);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, x, y, 0, &t.matrix);
    for (size_t r = 0; r < gram->size1; r++)
        for (size_t s = 0; s < gram->size2; s++) {
            double sum = 0;
            for (size_t c = 0; c < columns_x; c++)
                for (size_t d = 0; d < columns_y; d++) {
                    const double entry = gsl_matrix_get(&t.matrix, r * columns_x + c, s * columns_y + d);
                    sum += entry * entry;
                }
            gsl_matrix_set(gram, r, s, sum);
        }
}

// At most 64 MB, and a quarter of what is kept, since a study leaves its analysis a third of what its samples
// take; but for 8 MB, so that small products stay fast.
size_t scratch_numbers(size_t kept) {
    enum { MOST = 1 << 23, LEAST = 1 << 20 };
    return kept / 4 < LEAST ? LEAST : kept / 4 < MOST ? kept / 4 : MOST;
}

size_t band_height(size_t numbers, size_t n, size_t d) {
    const size_t height = numbers / (n * d);
    return height < 1 ? 1 : height < d ? height : d;
}

void rows_band(const gsl_matrix *rows, size_t columns, size_t i, size_t height, gsl_matrix *entries) {
    const size_t n = rows->size1 / columns, width = rows->size2 - i;
    for (size_t r = 0; r < n; r++) {
        const double *x = rows->data + r * columns * rows->tda + i;
        double *g = entries->data + r * entries->tda;
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)height, (int)width, (int)columns, 1, x,
                    (int)rows->tda, x, (int)rows->tda, 0, g, (int)width);
        for (size_t k = 0; k < height && height < width; k++) // what stands below the diagonal too
            cblas_dscal((int)(width - height), M_SQRT2, g + k * width + height, 1);
    }
}

// N C d² flops for the bands of all G_n and N² d² / 2 for their products, where products of the rows take
// N² C² d.
static fim_status gram_by_bands(const gsl_matrix *rows, size_t columns, gsl_matrix *gram) {
    const size_t n = gram->size1, d = rows->size2;
    const size_t band = band_height(scratch_numbers(rows->size1 * d), n, d);
    gsl_matrix *entries = NULL;
    fim_status status = fim_matrix_new(n, band * d, "bands of covariances", &entries);
    if (status != FIM_OK)
        return status;
    gsl_matrix_set_zero(gram);
    for (size_t first = 0; first < d; first += band) {
        const size_t height = d - first < band ? d - first : band;
        rows_band(rows, columns, first, height, entries);
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)(height * (d - first)), 1,
                    entries->data, (int)entries->tda, 1, gram->data, (int)gram->tda);
    }
    for (size_t r = 0; r < n; r++)
        for (size_t s = 0; s < r; s++)
            gsl_matrix_set(gram, s, r, gsl_matrix_get(gram, r, s));
    gsl_matrix_free(entries);
    return FIM_OK;
}

// The lower triangle by tiles of samples, then mirrored.
fim_status rows_gram(const gsl_matrix *rows, size_t columns, gsl_matrix *gram) {
    const size_t n = gram->size1;
    const double c = (double)columns, d = (double)rows->size2;
    if (c * c > c * d / (double)n + d / 2)
        return gram_by_bands(rows, columns, gram);
    size_t tile = 512 / columns;
    tile = tile < 1 ? 1 : tile;
    gsl_matrix *scratch = NULL;
    fim_status status = fim_matrix_new(tile * columns, tile * columns, "a tile of a Gram matrix", &scratch);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < n; i += tile)
        for (size_t j = 0; j <= i; j += tile) {
            const size_t rows_i = n - i < tile ? n - i : tile, rows_j = n - j < tile ? n - j : tile;
            gsl_matrix_const_view x =
                gsl_matrix_const_submatrix(rows, i * columns, 0, rows_i * columns, rows->size2);
            gsl_matrix_const_view y =
                gsl_matrix_const_submatrix(rows, j * columns, 0, rows_j * columns, rows->size2);
            gsl_matrix_view part = gsl_matrix_submatrix(gram, i, j, rows_i, rows_j);
            rows_gram_tile(&x.matrix, columns, &y.matrix, columns, scratch, &part.matrix);
        }
    for (size_t r = 0; r < n; r++)
        for (size_t s = 0; s < r; s++)
            gsl_matrix_set(gram, s, r, gsl_matrix_get(gram, r, s));
    gsl_matrix_free(scratch);
    return FIM_OK;
}

fim_status samples_gram(const fim_samples *s, gsl_matrix *gram) {
    const size_t columns = s->columns;
    gsl_matrix *inputs = NULL;
    fim_status status = fim_matrix_new(s->n, s->n, "a Gram matrix", &inputs);
    if (status != FIM_OK)
        return status;
    gsl_blas_dsyrk(CblasLower, CblasNoTrans, 1.0 / (double)s->n, s->a, 0, inputs);
    gsl_blas_dsyrk(CblasLower, CblasNoTrans, 1, s->g, 0, gram);
    for (size_t r = 0; r < gram->size1; r++)
        for (size_t q = 0; q <= r; q++)
            gram->data[r * gram->tda + q] *= gsl_matrix_get(inputs, r / columns, q / columns);
    gsl_matrix_free(inputs);
    return FIM_OK;
}
