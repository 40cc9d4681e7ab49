// A Fisher block whose samples do not fit memory together: they are captured anew for every product, some
// rows of the data at a time. Everything that is asked of a block is a sum over samples, so that
//
//     F = Σ_c (n_c/N) F_c,   ‖F‖² = Σ_cc' (n_c n_c'/N²) ⟨F_c, F_c'⟩
//
// over chunks c. A product costs a capture; the norm costs one for every pair of chunks, or, where the
// rearranged block fits the budget, one in all.
#include <gsl/gsl_blas.h>
#include <stdlib.h>

#include "block.h"
#include "capture.h"
#include "fim/linalg.h"

typedef struct streamed {
    fim_fisher head;
    const fim_net *net;
    const fim_data *data;
    fim_fisher_spec spec;
    size_t layer, budget;
    size_t chunk; // rows at a time
} streamed;

static const streamed *cast(const fim_fisher *f) {
    return (const streamed *)f;
}

static void streamed_free(fim_fisher *f) {
    free(f);
}

// The samples of the rows first .. first + count. Draws are those of the rows' own numbers.
static fim_status capture_part(const streamed *self, size_t first, size_t count, fim_samples *out) {
    const fim_data *all = self->data;
    gsl_matrix_view x = gsl_matrix_submatrix(all->x, first, 0, count, all->x->size2);
    gsl_matrix_view y = {0};
    if (all->y != NULL)
        y = gsl_matrix_submatrix(all->y, first, 0, count, all->y->size2);
    const fim_data part = {.x = &x.matrix,
                           .y = all->y != NULL ? &y.matrix : NULL,
                           .labels = all->labels != NULL ? all->labels + first : NULL};
    return capture_rows(self->net, &part, first, &self->spec, &self->layer, 1, self->budget, NULL, out);
}

static size_t rows_at(const streamed *self, size_t first) {
    return self->head.n - first < self->chunk ? self->head.n - first : self->chunk;
}

// A part of the block: the samples of a chunk, and F_c. The struct must stay where it is.
typedef struct part {
    fim_samples samples;
    fim_fisher *f;
    double weight; // n_c/N
} part;

static fim_status part_init(part *p, const streamed *self, size_t first) {
    *p = (part){.weight = (double)rows_at(self, first) / (double)self->head.n};
    fim_status status = capture_part(self, first, rows_at(self, first), &p->samples);
    return status == FIM_OK ? fim_fisher_new(&p->samples, &p->f) : status;
}

static void part_clear(part *p) {
    fim_fisher_free(p->f);
    fim_samples_clear(&p->samples);
    *p = (part){0};
}

static void add(double weight, const gsl_matrix *from, gsl_matrix *to) {
    for (size_t i = 0; i < to->size1; i++)
        cblas_daxpy((int)to->size2, weight, from->data + i * from->tda, 1, to->data + i * to->tda, 1);
}

// A product of the block: what goes into it, and up to two results.
typedef struct product {
    const gsl_matrix *x1, *x2;
    size_t row;
    gsl_matrix *y1, *y2;
} product;

// What a chunk has in the place of the results.
typedef fim_status chunk_call(const fim_fisher *f, const product *p);

// y = Σ_c (n_c/N) of what the chunks have.
static fim_status sum_chunks(const fim_fisher *f, chunk_call *call, const product *whole) {
    const streamed *self = cast(f);
    gsl_matrix *const y1 = whole->y1, *const y2 = whole->y2;
    gsl_matrix *sum_1 = NULL, *sum_2 = NULL;
    product of = *whole;
    part p = {0};
    fim_status status = FIM_OK;
    of.y1 = of.y2 = NULL;
    FIM_TRY(fim_matrix_new(y1->size1, y1->size2, "a chunk's part of a sum", &of.y1));
    FIM_TRY(fim_matrix_new(y1->size1, y1->size2, "a sum over chunks", &sum_1));
    if (y2 != NULL) {
        FIM_TRY(fim_matrix_new(y2->size1, y2->size2, "a chunk's part of a sum", &of.y2));
        FIM_TRY(fim_matrix_new(y2->size1, y2->size2, "a sum over chunks", &sum_2));
    }
    for (size_t first = 0; first < f->n; first += self->chunk) {
        FIM_TRY(part_init(&p, self, first));
        FIM_TRY(call(p.f, &of));
        add(p.weight, of.y1, sum_1);
        if (y2 != NULL)
            add(p.weight, of.y2, sum_2);
        part_clear(&p);
    }
    gsl_matrix_memcpy(y1, sum_1);
    if (y2 != NULL)
        gsl_matrix_memcpy(y2, sum_2);
out:
    part_clear(&p);
    gsl_matrix_free(of.y1);
    gsl_matrix_free(of.y2);
    gsl_matrix_free(sum_1);
    gsl_matrix_free(sum_2);
    return status;
}

static fim_status call_rearranged(const fim_fisher *f, const product *p) {
    return fim_fisher_rearranged(f, p->x1, p->y1);
}

static fim_status call_transposed(const fim_fisher *f, const product *p) {
    return fim_fisher_rearranged_transposed(f, p->x1, p->y1);
}

static fim_status call_moments(const fim_fisher *f, const product *p) {
    return fim_fisher_moments(f, p->y1, p->y2);
}

static fim_status call_diagonal(const fim_fisher *f, const product *p) {
    return fim_fisher_diagonal(f, p->x1, p->x2, p->y1);
}

static fim_status call_apply(const fim_fisher *f, const product *p) {
    return fim_fisher_apply(f, p->x1, p->y1);
}

static fim_status call_packed(const fim_fisher *f, const product *p) {
    return f->class->packed(f, p->row, p->y1);
}

static fim_status streamed_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    return sum_chunks(f, call_rearranged, &(product){.x1 = v, .y1 = u});
}

static fim_status streamed_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v) {
    return sum_chunks(f, call_transposed, &(product){.x1 = u, .y1 = v});
}

static fim_status streamed_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g) {
    return sum_chunks(f, call_moments, &(product){.y1 = a, .y2 = g});
}

static fim_status streamed_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                    gsl_matrix *lambda) {
    return sum_chunks(f, call_diagonal, &(product){.x1 = u_a, .x2 = u_g, .y1 = lambda});
}

static fim_status streamed_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    return sum_chunks(f, call_apply, &(product){.x1 = x, .y1 = y});
}

static fim_status streamed_packed(const fim_fisher *f, size_t first, gsl_matrix *rs) {
    return sum_chunks(f, call_packed, &(product){.row = first, .y1 = rs});
}

static fim_status norm2_rearranged(const fim_fisher *f, double *out) {
    gsl_matrix *rs = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(fim_svec_size(f->d_a), fim_svec_size(f->d_g), "the norm of a Fisher block", &rs));
    FIM_TRY(streamed_packed(f, 0, rs));
    *out = fim_matrix_inner(rs, rs);
out:
    gsl_matrix_free(rs);
    return status;
}

// N² ‖(1/N) Σ_n w_n (a_n a_nᵀ) ⊗ G_n‖², w NULL for ones.
static fim_status weighted_pairs(const fim_fisher *f, const double *w, double *out) {
    const streamed *self = cast(f);
    part x = {0}, y = {0};
    double sum = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < f->n; i += self->chunk) {
        double pairs;
        const double *w_x = w != NULL ? w + i : NULL;
        FIM_TRY(part_init(&x, self, i));
        FIM_TRY(sum_of_pairs(&x.samples, w_x, &x.samples, w_x, &pairs));
        sum += pairs;
        for (size_t j = 0; j < i; j += self->chunk) {
            FIM_TRY(part_init(&y, self, j));
            FIM_TRY(sum_of_pairs(&x.samples, w_x, &y.samples, w != NULL ? w + j : NULL, &pairs));
            sum += 2 * pairs;
            part_clear(&y);
        }
        part_clear(&x);
    }
    *out = sum;
out:
    part_clear(&x);
    part_clear(&y);
    return status;
}

static fim_status streamed_weighted_norm2(const fim_fisher *f, const double *w, double *out) {
    double sum;
    fim_status status = weighted_pairs(f, w, &sum);
    if (status == FIM_OK)
        *out = sum / ((double)f->n * (double)f->n);
    return status;
}

static fim_status streamed_pairs(const fim_fisher *f, const fim_samples *s, double *out) {
    const streamed *self = cast(f);
    part x = {0};
    double sum = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < f->n; i += self->chunk) {
        double pairs;
        FIM_TRY(part_init(&x, self, i));
        FIM_TRY(sum_of_pairs(&x.samples, NULL, s, NULL, &pairs));
        sum += pairs;
        part_clear(&x);
    }
    *out = sum;
out:
    part_clear(&x);
    return status;
}

static fim_status streamed_norm2(const fim_fisher *f, double *out) {
    // Three matrices of the size of Rs are alive beside a chunk, which has half of the budget.
    const size_t rearranged = fim_size_mul(fim_svec_size(f->d_a), fim_svec_size(f->d_g));
    return fim_size_mul(rearranged, 3 * sizeof(double)) <= cast(f)->budget
               ? norm2_rearranged(f, out)
               : streamed_weighted_norm2(f, NULL, out);
}

static const fim_fisher_class streamed_class = {
    .free = streamed_free,
    .rearranged = streamed_rearranged,
    .rearranged_transposed = streamed_rearranged_transposed,
    .moments = streamed_moments,
    .diagonal = streamed_diagonal,
    .apply = streamed_apply,
    .norm2 = streamed_norm2,
    .packed = streamed_packed,
    .pairs = streamed_pairs,
    .weighted_norm2 = streamed_weighted_norm2,
    .samples = block_no_samples,
    .core = block_no_core,
};

fim_status fim_fisher_new_streamed(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                                   size_t layer, size_t budget, fim_fisher **out) {
    size_t bytes;
    streamed *self = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(layer < net->n_layers && data->x != NULL && data->x->size1 > 0
                ? FIM_OK
                : FIM_FAIL(FIM_ERR_ARGUMENT, "layer %zu of %zu layers, at data that may be empty", layer,
                           net->n_layers));
    FIM_TRY(fim_fisher_capture_bytes(net, spec, layer, 1, &bytes));
    // Two chunks are alive in the norm.
    FIM_TRY(fim_budget_check(budget / 4, bytes, "a single sample, four times,",
                             "raise --memory, or take mc:1 for the exact Fisher"));
    FIM_TRY(fim_alloc(1, sizeof *self, "a Fisher block", &self));
    const size_t fit = budget / 4 / bytes, n = data->x->size1;
    *self = (streamed){.head = {.class = &streamed_class,
                                .d_a = fim_layer_d_a(&net->layers[layer]),
                                .d_g = fim_layer_d_g(&net->layers[layer]),
                                .n = n},
                       .net = net,
                       .data = data,
                       .spec = *spec,
                       .layer = layer,
                       .budget = budget / 2,
                       .chunk = fit < n ? fit : n};
    *out = &self->head;
out:
    return status;
}
