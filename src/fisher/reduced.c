// The block in the frame of its samples: F̃ = (1/N) Σ_n (ã_n ã_nᵀ) ⊗ G̃_n with ã_n = P_aᵀ a_n and G̃_n the part
// of G_n that is not always 0. With the a_n as rows, A = L Q has orthonormal rows in Q, so that L holds the
// ã_n, to rounding and whatever the rank of A.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "chain.h"
#include "fim/linalg.h"

struct fim_reduced {
    size_t n_a, n_g; // inputs and outputs picked
    size_t *index_a, *index_g;
    gsl_matrix *q; // (d_a of the frame, n_a), orthonormal rows; NULL: all that is picked
    bool borrowed; // the output side is that of the block
    fim_samples s; // with chain alone, or one of the other forms
};

void fim_reduced_free(fim_reduced *reduced) {
    if (reduced == NULL)
        return;
    if (reduced->borrowed)
        reduced->s.g = reduced->s.packed = reduced->s.diagonal = NULL;
    fim_samples_clear(&reduced->s);
    gsl_matrix_free(reduced->q);
    free(reduced->index_a);
    free(reduced->index_g);
    free(reduced);
}

size_t fim_reduced_d_a(const fim_reduced *reduced) {
    return reduced->s.d_a;
}

size_t fim_reduced_d_g(const fim_reduced *reduced) {
    return reduced->s.d_g;
}

bool fim_reduced_rotated(const fim_reduced *reduced) {
    return reduced->q != NULL;
}

// The columns of m that are not 0 throughout.
static size_t live_columns(const gsl_matrix *m, size_t *index) {
    size_t count = 0;
    for (size_t j = 0; j < m->size2; j++)
        index[j] = false;
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            index[j] |= m->data[i * m->tda + j] != 0;
    for (size_t j = 0; j < m->size2; j++)
        if (index[j])
            index[count++] = j;
    return count;
}

static size_t live_outputs(const fim_samples *s, size_t *index) {
    if (s->packed == NULL)
        return live_columns(s->g != NULL ? s->g : s->diagonal, index);
    size_t count = 0;
    for (size_t j = 0, at = 0; j < s->d_g; at += s->d_g - j, j++) {
        size_t n = 0;
        while (n < s->n && s->packed->data[n * s->packed->tda + at] == 0)
            n++;
        if (n < s->n)
            index[count++] = j;
    }
    return count;
}

static fim_status pick_columns(const gsl_matrix *m, const size_t *index, size_t count, gsl_matrix **out) {
    fim_status status = fim_matrix_new(m->size1, count, "the live part of samples", out);
    for (size_t i = 0; status == FIM_OK && i < m->size1; i++)
        for (size_t j = 0; j < count; j++)
            (*out)->data[i * (*out)->tda + j] = m->data[i * m->tda + index[j]];
    return status;
}

// The packed triangles of G_n at the outputs picked.
static fim_status pick_packed(const fim_samples *s, const size_t *index, size_t count, gsl_matrix **out) {
    fim_status status = fim_matrix_new(s->n, fim_svec_size(count), "the live part of samples", out);
    for (size_t n = 0; status == FIM_OK && n < s->n; n++) {
        const double *from = s->packed->data + n * s->packed->tda;
        double *to = (*out)->data + n * (*out)->tda;
        for (size_t i = 0; i < count; i++) {
            const double *row = from + index[i] * s->d_g - index[i] * (index[i] + 1) / 2;
            for (size_t j = i; j < count; j++)
                *to++ = row[index[j]];
        }
    }
    return status;
}

static fim_status reduce_outputs(const fim_samples *s, fim_reduced *r) {
    const size_t *index = r->index_g;
    if (s->chain != NULL)
        return chain_restrict(s->chain, index, r->n_g, &r->s.chain);
    r->borrowed = r->n_g == s->d_g;
    if (r->borrowed) {
        r->s.g = s->g;
        r->s.packed = s->packed;
        r->s.diagonal = s->diagonal;
        return FIM_OK;
    }
    return s->g != NULL        ? pick_columns(s->g, index, r->n_g, &r->s.g)
           : s->packed != NULL ? pick_packed(s, index, r->n_g, &r->s.packed)
                               : pick_columns(s->diagonal, index, r->n_g, &r->s.diagonal);
}

// Bytes of what the frame keeps, at most.
static size_t bytes_needed(const fim_samples *s, const fim_reduced *r) {
    const size_t outputs = s->chain != NULL    ? 0
                           : s->g != NULL      ? s->columns * r->n_g
                           : s->packed != NULL ? fim_svec_size(r->n_g)
                                               : r->n_g;
    return fim_size_mul(fim_size_mul(s->n, 3 * r->n_a + (r->n_g < s->d_g ? outputs : 0)), sizeof(double));
}

fim_status fim_reduced_new(const fim_fisher *f, bool rotated, size_t budget, fim_reduced **out) {
    const fim_samples *s = f->class->samples(f);
    fim_reduced *self = NULL;
    fim_status status = FIM_OK;
    if (s == NULL)
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "the block alone does not tell its samples");
    FIM_TRY(fim_alloc(1, sizeof *self, "a frame", &self));
    FIM_TRY(fim_alloc(s->d_a, sizeof *self->index_a, "live inputs", &self->index_a));
    FIM_TRY(fim_alloc(s->d_g, sizeof *self->index_g, "live outputs", &self->index_g));
    self->n_a = live_columns(s->a, self->index_a);
    self->n_g = live_outputs(s, self->index_g);
    FIM_TRY(self->n_a > 0 && self->n_g > 0 ? FIM_OK
                                           : FIM_FAIL(FIM_ERR_UNAVAILABLE, "the Fisher block is zero"));
    FIM_TRY(
        fim_budget_check(budget, bytes_needed(s, self), "the samples in their own frame", "raise --memory"));
    rotated = rotated && s->n < self->n_a;
    self->s =
        (fim_samples){.n = s->n, .d_a = rotated ? s->n : self->n_a, .d_g = self->n_g, .columns = s->columns};
    if (rotated) {
        FIM_TRY(pick_columns(s->a, self->index_a, self->n_a, &self->q));
        FIM_TRY(fim_matrix_new(s->n, s->n, "inputs in their own frame", &self->s.a));
        FIM_TRY(fim_orthonormal_rows(self->q, self->s.a));
    } else {
        FIM_TRY(pick_columns(s->a, self->index_a, self->n_a, &self->s.a));
    }
    FIM_TRY(reduce_outputs(s, self));
    *out = self;
    return FIM_OK;
out:
    fim_reduced_free(self);
    return status;
}

const gsl_matrix *fim_reduced_rows(const fim_reduced *reduced) {
    return reduced->s.a;
}

const gsl_matrix *fim_reduced_variances(const fim_reduced *reduced) {
    return reduced->s.diagonal;
}

// samples_apply for ã_n that are the rows of a triangle.
static fim_status triangle_apply(const fim_samples *s, const gsl_matrix *x, gsl_matrix *y) {
    gsl_matrix *t = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_copy(x, "a product with the samples", &t));
    gsl_blas_dtrmm(CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, 1, s->a, t);
    FIM_TRY(outputs_times(s, t));
    gsl_matrix_memcpy(y, t);
    gsl_blas_dtrmm(CblasLeft, CblasLower, CblasTrans, CblasNonUnit, 1.0 / (double)s->n, s->a, y);
out:
    gsl_matrix_free(t);
    return status;
}

fim_status fim_reduced_apply(const fim_reduced *reduced, const gsl_matrix *x, gsl_matrix *y) {
    return (reduced->q != NULL ? triangle_apply : samples_apply)(&reduced->s, x, y);
}

// out = the rows of m picked, through q where there is one; the rest counts as outside.
static fim_status project(const size_t *index, size_t n, const gsl_matrix *q, const gsl_matrix *m,
                          gsl_matrix *out, double *outside) {
    gsl_matrix *picked = NULL;
    fim_status status = FIM_OK;
    const size_t rows = q != NULL ? q->size1 : n;
    if (out->size1 != rows || out->size2 != m->size2)
        return FIM_FAIL(FIM_ERR_SHAPE, "a matrix of (%zu, %zu) in a frame of %zu", out->size1, out->size2,
                        rows);
    memset(outside, 0, m->size2 * sizeof *outside);
    FIM_TRY(fim_matrix_new(n, m->size2, "a matrix in a frame", &picked));
    for (size_t i = 0, next = 0; i < m->size1; i++) {
        const double *row = m->data + i * m->tda;
        if (next < n && index[next] == i)
            memcpy(picked->data + next++ * picked->tda, row, m->size2 * sizeof *row);
        else
            for (size_t j = 0; j < m->size2; j++)
                outside[j] += row[j] * row[j];
    }
    if (q == NULL) {
        gsl_matrix_memcpy(out, picked);
        goto out;
    }
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, q, picked, 0, out);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, -1, q, out, 1, picked);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m->size2; j++)
            outside[j] += picked->data[i * picked->tda + j] * picked->data[i * picked->tda + j];
out:
    gsl_matrix_free(picked);
    return status;
}

fim_status fim_reduced_inputs(const fim_reduced *reduced, const gsl_matrix *m, gsl_matrix *out,
                              double *outside) {
    return project(reduced->index_a, reduced->n_a, reduced->q, m, out, outside);
}

fim_status fim_reduced_outputs(const fim_reduced *reduced, const gsl_matrix *m, gsl_matrix *out,
                               double *outside) {
    return project(reduced->index_g, reduced->n_g, NULL, m, out, outside);
}
