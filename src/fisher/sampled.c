// The Fisher block behind samples: every product is a sum over samples, two matrix products each, and F is
// never formed.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_math.h>
#include <stdlib.h>

#include "core.h"
#include "fim/linalg.h"

typedef struct sampled {
    fim_fisher head;
    const fim_samples *s;
    core core;    // filled when it is first asked for
    double norm2; // so too; 0 before
} sampled;

static const fim_samples *samples_of(const fim_fisher *f) {
    return ((const sampled *)f)->s;
}

static core *core_of(const fim_fisher *f) {
    return &((sampled *)(uintptr_t)f)->core; // a cache: asking for it changes nothing that is seen
}

static void sampled_free(fim_fisher *f) {
    core_clear(core_of(f));
    free(f);
}

static fim_status sampled_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    const fim_samples *s = samples_of(f);
    double *w = NULL;
    fim_status status = fim_alloc(s->n, sizeof *w, "weights of samples", &w);
    if (status != FIM_OK)
        return status;
    FIM_TRY(outputs_inner(s, v, w));
    cblas_dscal((int)s->n, 1.0 / (double)s->n, w, 1);
    FIM_TRY(rows_sum(s->a, 1, w, u));
out:
    free(w);
    return status;
}

static fim_status sampled_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v) {
    const fim_samples *s = samples_of(f);
    double *w = NULL;
    fim_status status = fim_alloc(s->n, sizeof *w, "weights of samples", &w);
    if (status != FIM_OK)
        return status;
    FIM_TRY(rows_quadratic(s->a, 1, u, w));
    cblas_dscal((int)s->n, 1.0 / (double)s->n, w, 1);
    FIM_TRY(outputs_sum(s, w, v));
out:
    free(w);
    return status;
}

static fim_status sampled_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g) {
    const fim_samples *s = samples_of(f);
    double *w = NULL;
    fim_status status = fim_alloc(s->n, sizeof *w, "weights of samples", &w);
    if (status != FIM_OK)
        return status;
    for (size_t n = 0; n < s->n; n++)
        w[n] = 1.0 / (double)s->n;
    FIM_TRY(rows_sum(s->a, 1, w, a));
    FIM_TRY(outputs_sum(s, w, g));
out:
    free(w);
    return status;
}

// Some of the samples, one after the other, whose matrices these are views of.
typedef struct slice {
    fim_samples s;
    gsl_matrix_view a, outputs;
} slice;

// Samples first .. first + count. A chain is that of all of them: they are one slice.
static void slice_of(const fim_samples *s, size_t first, size_t count, slice *out) {
    out->s = *s;
    if (s->chain != NULL)
        return;
    gsl_matrix *outputs = s->g != NULL ? s->g : s->packed != NULL ? s->packed : s->diagonal;
    const size_t columns = s->g != NULL ? s->columns : 1;
    out->a = gsl_matrix_submatrix(s->a, first, 0, count, s->d_a);
    out->outputs = gsl_matrix_submatrix(outputs, first * columns, 0, count * columns, outputs->size2);
    out->s.n = count;
    out->s.a = &out->a.matrix;
    out->s.g = s->g != NULL ? &out->outputs.matrix : NULL;
    out->s.packed = s->packed != NULL ? &out->outputs.matrix : NULL;
    out->s.diagonal = s->diagonal != NULL ? &out->outputs.matrix : NULL;
}

// Samples in a slice of which each takes `numbers` of scratch.
static size_t slice_samples(const fim_samples *s, size_t numbers) {
    const size_t outputs = s->g != NULL ? s->columns * s->d_g : s->packed != NULL ? s->packed->size2 : s->d_g;
    const size_t most = scratch_numbers(s->n * (s->d_a + outputs)) / numbers;
    return s->chain != NULL || most > s->n ? s->n : most < 1 ? 1 : most;
}

// Λ_ij = (1/N) Σ_n (U_aᵀ a_n)_i² (U_gᵀ G_n U_g)_jj.
static fim_status sampled_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                   gsl_matrix *lambda) {
    const fim_samples *s = samples_of(f);
    const size_t step = slice_samples(s, s->d_a + s->d_g);
    gsl_matrix *a2 = NULL, *g2 = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(step, s->d_a, "rotated inputs", &a2));
    FIM_TRY(fim_matrix_new(step, s->d_g, "rotated covariances", &g2));
    for (size_t first = 0; first < s->n; first += step) {
        const size_t count = s->n - first < step ? s->n - first : step;
        slice part;
        slice_of(s, first, count, &part);
        gsl_matrix_view x = gsl_matrix_submatrix(a2, 0, 0, count, s->d_a);
        gsl_matrix_view y = gsl_matrix_submatrix(g2, 0, 0, count, s->d_g);
        FIM_TRY(rows_squares(part.s.a, 1, u_a, &x.matrix));
        FIM_TRY(outputs_squares(&part.s, u_g, &y.matrix));
        FIM_TRY(rows_cross(1.0 / (double)s->n, &x.matrix, &y.matrix, first > 0, lambda));
    }
out:
    gsl_matrix_free(a2);
    gsl_matrix_free(g2);
    return status;
}

// F x with x as Xᵀ (d_a, d_g): t_n = X a_n, y = (1/N) Σ a_n (G_n t_n)ᵀ.
fim_status samples_apply(const fim_samples *s, const gsl_matrix *x, gsl_matrix *y) {
    const size_t step = slice_samples(s, 2 * s->d_g);
    gsl_matrix *t = NULL;
    fim_status status = fim_matrix_new(step, s->d_g, "a product with the samples", &t);
    for (size_t first = 0; status == FIM_OK && first < s->n; first += step) {
        const size_t count = s->n - first < step ? s->n - first : step;
        slice part;
        slice_of(s, first, count, &part);
        gsl_matrix_view t_n = gsl_matrix_submatrix(t, 0, 0, count, s->d_g);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, part.s.a, x, 0, &t_n.matrix);
        status = outputs_times(&part.s, &t_n.matrix);
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)s->n, part.s.a, &t_n.matrix, first > 0, y);
    }
    gsl_matrix_free(t);
    return status;
}

static fim_status sampled_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    return samples_apply(samples_of(f), x, y);
}

// ‖F‖² = N⁻² Σ_nm (a_n·a_m)² ⟨G_n, G_m⟩, or ‖Rs‖² where that matrix is the smaller one.
static fim_status sampled_norm2(const fim_fisher *f, double *out) {
    const fim_samples *s = samples_of(f);
    sampled *self = (sampled *)(uintptr_t)f; // as core_of
    core *c = &self->core;
    if (s->n > CORE_SAMPLES || (s->n >= fim_svec_size(s->d_a) && s->n >= fim_svec_size(s->d_g))) {
        fim_status status = self->norm2 > 0 ? FIM_OK : fim_fisher_inner(f, f, &self->norm2);
        if (status == FIM_OK)
            *out = self->norm2;
        return status;
    }
    fim_status status = core_grams(c, s);
    if (status == FIM_OK)
        *out =
            cblas_ddot((int)(s->n * s->n), c->k_a->data, 1, c->k_g->data, 1) / ((double)s->n * (double)s->n);
    return status;
}

static fim_status sampled_pairs(const fim_fisher *f, const fim_samples *s, double *out) {
    return sum_of_pairs(samples_of(f), NULL, s, NULL, out);
}

// Rows of Rs in one product of inner size N, cut into chunks of samples whose packed sides stay within this
// many bytes, and are no larger than the rows.
enum { PACKED_BYTES = 512 << 20 };

// left (count, rows) = the entries entry .. entry + rows of svec(a_n a_nᵀ), of the samples first .. first +
// count.
static void pack_inputs(const gsl_matrix *a, size_t first, size_t count, size_t entry, gsl_matrix *left) {
    size_t i = 0;
    for (; entry >= a->size2 - i; i++)
        entry -= a->size2 - i;
    const size_t from_i = i, from_j = i + entry;
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < count; n++) {
        const double *x = a->data + (first + n) * a->tda;
        double *out = left->data + n * left->tda, *const end = out + left->size2;
        for (size_t k = from_i, j = from_j; out < end; j = ++k) {
            const double weight = M_SQRT2 * x[k];
            if (j == k) {
                *out++ = x[k] * x[k];
                j++;
            }
            for (; j < a->size2 && out < end; j++)
                *out++ = weight * x[j];
        }
    }
}

static fim_status sampled_packed(const fim_fisher *f, size_t first_row, gsl_matrix *rs) {
    const fim_samples *s = samples_of(f);
    const size_t rows = rs->size1, p_g = rs->size2;
    const size_t size = fim_size_mul(rows, p_g), most = PACKED_BYTES / sizeof(double);
    size_t step = (size < most ? size : most) / (rows + p_g);
    step = step < 1 ? 1 : step > s->n ? s->n : step;
    gsl_matrix *left = NULL, *right = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(step, rows, "packed inputs", &left));
    if (s->packed == NULL)
        FIM_TRY(fim_matrix_new(step, p_g, "packed covariances", &right));
    for (size_t first = 0; first < s->n; first += step) {
        const size_t count = s->n - first < step ? s->n - first : step;
        gsl_matrix_view x = gsl_matrix_submatrix(left, 0, 0, count, rows);
        pack_inputs(s->a, first, count, first_row, &x.matrix);
        if (right != NULL)
            outputs_pack(s, first, count, right);
        gsl_matrix_const_view y = gsl_matrix_const_submatrix(right != NULL ? right : s->packed,
                                                             right != NULL ? 0 : first, 0, count, p_g);
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)s->n, &x.matrix, &y.matrix, first > 0, rs);
    }
out:
    gsl_matrix_free(left);
    gsl_matrix_free(right);
    return status;
}

static const fim_fisher_class sampled_class = {
    .free = sampled_free,
    .rearranged = sampled_rearranged,
    .rearranged_transposed = sampled_rearranged_transposed,
    .moments = sampled_moments,
    .diagonal = sampled_diagonal,
    .apply = sampled_apply,
    .norm2 = sampled_norm2,
    .packed = sampled_packed,
    .pairs = sampled_pairs,
    .samples = samples_of,
    .core = core_of,
};

fim_status fim_fisher_new(const fim_samples *samples, fim_fisher **out) {
    fim_status status = fim_samples_check(samples);
    if (status != FIM_OK)
        return status;
    sampled *self = NULL;
    status = fim_alloc(1, sizeof *self, "a Fisher block", &self);
    if (status != FIM_OK)
        return status;
    self->head =
        (fim_fisher){.class = &sampled_class, .d_a = samples->d_a, .d_g = samples->d_g, .n = samples->n};
    self->s = samples;
    *out = &self->head;
    return FIM_OK;
}
