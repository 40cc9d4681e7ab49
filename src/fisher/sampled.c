// The Fisher block behind samples: every product is a sum over samples, two matrix products each, and F is
// never formed.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_math.h>
#include <stdlib.h>

#include "block.h"
#include "fim/linalg.h"

typedef struct sampled {
    fim_fisher head;
    const fim_samples *s;
} sampled;

static const fim_samples *samples_of(const fim_fisher *f) {
    return ((const sampled *)f)->s;
}

static void sampled_free(fim_fisher *f) {
    free(f);
}

// v (d_g, d_g) = Σ_n w[n] G_n.
static fim_status sum_g(const fim_samples *s, const double *w, gsl_matrix *v) {
    if (s->g != NULL)
        return rows_sum(s->g, s->columns, w, v);
    gsl_vector *sum = NULL;
    fim_status status = fim_vector_new(s->packed->size2, "a packed covariance", &sum);
    if (status != FIM_OK)
        return status;
    gsl_vector_const_view weights = gsl_vector_const_view_array(w, s->n);
    gsl_blas_dgemv(CblasTrans, 1, s->packed, &weights.vector, 0, sum);
    fim_svec_unpack(sum->data, v);
    gsl_vector_free(sum);
    return FIM_OK;
}

// q[n] = ⟨G_n, V⟩.
static fim_status inner_g(const fim_samples *s, const gsl_matrix *v, double *q) {
    if (s->g != NULL)
        return rows_quadratic(s->g, s->columns, v, q);
    gsl_vector *packed = NULL;
    fim_status status = fim_vector_new(s->packed->size2, "a packed covariance", &packed);
    if (status != FIM_OK)
        return status;
    fim_svec_pack(v, packed->data);
    gsl_vector_view inner = gsl_vector_view_array(q, s->n);
    gsl_blas_dgemv(CblasNoTrans, 1, s->packed, packed, 0, &inner.vector);
    gsl_vector_free(packed);
    return FIM_OK;
}

static fim_status sampled_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    const fim_samples *s = samples_of(f);
    double *w = NULL;
    fim_status status = fim_alloc(s->n, sizeof *w, "weights of samples", &w);
    if (status != FIM_OK)
        return status;
    FIM_TRY(inner_g(s, v, w));
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
    FIM_TRY(sum_g(s, w, v));
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
    FIM_TRY(sum_g(s, w, g));
out:
    free(w);
    return status;
}

// Λ_ij = (1/N) Σ_n (U_aᵀ a_n)_i² (U_gᵀ G_n U_g)_jj.
static fim_status sampled_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                   gsl_matrix *lambda) {
    const fim_samples *s = samples_of(f);
    gsl_matrix *a2 = NULL, *g2 = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(s->n, s->d_a, "rotated inputs", &a2));
    FIM_TRY(fim_matrix_new(s->n, s->d_g, "rotated covariances", &g2));
    FIM_TRY(rows_squares(s->a, 1, u_a, a2));
    if (s->g != NULL)
        FIM_TRY(rows_squares(s->g, s->columns, u_g, g2));
    else
        FIM_TRY(packed_squares(s->packed, u_g, g2));
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)s->n, a2, g2, 0, lambda);
out:
    gsl_matrix_free(a2);
    gsl_matrix_free(g2);
    return status;
}

// t becomes G t for the packed G; the packing's √2 is taken off where it stands.
static void packed_times(const double *packed, size_t d, double *t, double *scratch) {
    for (size_t i = 0; i < d; i++)
        scratch[i] = 0;
    for (size_t i = 0; i < d; i++) {
        double sum = 0;
        scratch[i] += M_SQRT2 * packed[0] * t[i];
        packed++;
        for (size_t j = 0; j < d - i - 1; j++) {
            sum += packed[j] * t[i + 1 + j];
            scratch[i + 1 + j] += packed[j] * t[i];
        }
        scratch[i] += sum;
        packed += d - i - 1;
    }
    for (size_t i = 0; i < d; i++)
        t[i] = M_SQRT1_2 * scratch[i];
}

// F x with x as Xᵀ (d_a, d_g): t_n = X a_n, z_n = G_n t_n, y = (1/N) Σ a_n z_nᵀ.
static fim_status sampled_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    const fim_samples *s = samples_of(f);
    gsl_matrix *t = NULL, *scratch = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(s->n, s->d_g, "a product with the samples", &t));
    FIM_TRY(fim_matrix_new(s->n, s->d_g, "a product with the samples", &scratch));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, s->a, x, 0, t);
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s->n; n++) {
        double *t_n = t->data + n * s->d_g, *z = scratch->data + n * s->d_g;
        if (s->packed != NULL) {
            packed_times(s->packed->data + n * s->packed->tda, s->d_g, t_n, z);
            continue;
        }
        for (size_t c = 0; c < s->columns; c++) {
            const double *g = s->g->data + (n * s->columns + c) * s->g->tda;
            double weight = 0;
            for (size_t j = 0; j < s->d_g; j++)
                weight += g[j] * t_n[j];
            for (size_t j = 0; j < s->d_g; j++)
                z[j] += weight * g[j];
        }
        for (size_t j = 0; j < s->d_g; j++)
            t_n[j] = z[j];
    }
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)s->n, s->a, t, 0, y);
out:
    gsl_matrix_free(t);
    gsl_matrix_free(scratch);
    return status;
}

fim_status samples_grams(const fim_samples *s, gsl_matrix *k_a, gsl_matrix *k_g) {
    fim_status status = rows_gram(s->a, 1, k_a);
    if (status == FIM_OK && s->g != NULL)
        status = rows_gram(s->g, s->columns, k_g);
    else if (status == FIM_OK) {
        gsl_blas_dsyrk(CblasLower, CblasNoTrans, 1, s->packed, 0, k_g);
        for (size_t n = 0; n < s->n; n++)
            for (size_t m = 0; m < n; m++)
                gsl_matrix_set(k_g, m, n, gsl_matrix_get(k_g, n, m));
    }
    return status;
}

// ‖F‖² = N⁻² Σ_nm (a_n·a_m)² ⟨G_n, G_m⟩, or ‖Rs‖² where that matrix is the smaller one.
static fim_status sampled_norm2(const fim_fisher *f, double *out) {
    const fim_samples *s = samples_of(f);
    const size_t p_a = fim_svec_size(s->d_a), p_g = fim_svec_size(s->d_g);
    const bool gram = s->n < p_a || s->n < p_g;
    const size_t rows = gram ? s->n : p_a, columns = gram ? s->n : p_g;
    gsl_matrix *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(rows, columns, "the norm of a Fisher block", &x));
    if (gram) {
        FIM_TRY(fim_matrix_new(rows, columns, "the norm of a Fisher block", &y));
        FIM_TRY(samples_grams(s, x, y));
    } else {
        FIM_TRY(fim_fisher_packed(f, x));
    }
    const gsl_matrix *other = gram ? y : x;
    double sum = 0;
    for (size_t i = 0; i < rows; i++)
        sum += cblas_ddot((int)columns, x->data + i * x->tda, 1, other->data + i * other->tda, 1);
    *out = gram ? sum / ((double)s->n * (double)s->n) : sum;
out:
    gsl_matrix_free(x);
    gsl_matrix_free(y);
    return status;
}

// Rs in one product of inner size N, cut into chunks of samples whose packed sides stay within this many
// bytes.
enum { PACKED_BYTES = 512 << 20 };

static fim_status sampled_packed(const fim_fisher *f, gsl_matrix *rs) {
    const fim_samples *s = samples_of(f);
    const size_t p_a = rs->size1, p_g = rs->size2;
    size_t step = PACKED_BYTES / sizeof(double) / (p_a + p_g);
    step = step < 1 ? 1 : step > s->n ? s->n : step;
    gsl_matrix *left = NULL, *right = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(step, p_a, "packed inputs", &left));
    if (s->g != NULL)
        FIM_TRY(fim_matrix_new(step, p_g, "packed covariances", &right));
    for (size_t first = 0; first < s->n; first += step) {
        const size_t count = s->n - first < step ? s->n - first : step;
        gsl_matrix_view x = gsl_matrix_submatrix(left, 0, 0, count, p_a);
        rows_pack(s->a, 1, first, count, &x.matrix);
        gsl_matrix_const_view y = gsl_matrix_const_submatrix(s->g != NULL ? right : s->packed,
                                                             s->g != NULL ? 0 : first, 0, count, p_g);
        if (s->g != NULL)
            rows_pack(s->g, s->columns, first, count, right);
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
    .samples = samples_of,
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
