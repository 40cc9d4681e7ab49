// A running average of Fisher blocks: F̄ = (1 − ψ) F + ψ P, where the operator P stands for the past.
//
// Averaging an approximation factor by factor is not averaging the approximation: the mean of Kronecker
// products is no Kronecker product, and the sign of a singular pair is arbitrary. Here the average is a block
// like any other, known by its products, and an approximation of it is built by the same code as one of fresh
// samples: the past is compressed again together with the present. Methods that are linear in the moments
// (KFAC) or in the partial traces (TKFAC) keep exactly the averages that they would have kept by themselves.
#include <gsl/gsl_blas.h>
#include <stdlib.h>

#include "block.h"
#include "fim/linalg.h"

typedef struct average {
    fim_fisher head;
    const fim_fisher *fresh;
    const fim_op *past;
    double weight;           // ψ
    const gsl_matrix *a, *g; // moments of the past
} average;

static const average *cast(const fim_fisher *f) {
    return (const average *)f;
}

static void average_free(fim_fisher *f) {
    free(f);
}

// y = (1 − ψ) y + ψ x.
static void blend(double weight, const gsl_matrix *x, gsl_matrix *y) {
    for (size_t i = 0; i < y->size1; i++) {
        gsl_vector_const_view from = gsl_matrix_const_row(x, i);
        gsl_vector_view to = gsl_matrix_row(y, i);
        gsl_blas_dscal(1 - weight, &to.vector);
        gsl_blas_daxpy(weight, &from.vector, &to.vector);
    }
}

// What the past has in the place of y, computed by `past`, blended into y.
#define BLEND(past_call, y)                                                                                  \
    do {                                                                                                     \
        gsl_matrix *part = NULL;                                                                             \
        status = fim_matrix_new((y)->size1, (y)->size2, "the past's part of an average", &part);             \
        if (status == FIM_OK)                                                                                \
            status = past_call;                                                                              \
        if (status == FIM_OK)                                                                                \
            blend(cast(f)->weight, part, y);                                                                 \
        gsl_matrix_free(part);                                                                               \
    } while (0)

static fim_status average_rearranged(const fim_fisher *f, const gsl_matrix *v, gsl_matrix *u) {
    fim_status status = fim_fisher_rearranged(cast(f)->fresh, v, u);
    if (status == FIM_OK)
        BLEND(fim_op_rearranged(cast(f)->past, false, v, part), u);
    return status;
}

static fim_status average_rearranged_transposed(const fim_fisher *f, const gsl_matrix *u, gsl_matrix *v) {
    fim_status status = fim_fisher_rearranged_transposed(cast(f)->fresh, u, v);
    if (status == FIM_OK)
        BLEND(fim_op_rearranged(cast(f)->past, true, u, part), v);
    return status;
}

static fim_status average_diagonal(const fim_fisher *f, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                   gsl_matrix *lambda) {
    fim_status status = fim_fisher_diagonal(cast(f)->fresh, u_a, u_g, lambda);
    if (status == FIM_OK)
        BLEND(fim_op_diagonal(cast(f)->past, u_a, u_g, part), lambda);
    return status;
}

static fim_status average_apply(const fim_fisher *f, const gsl_matrix *x, gsl_matrix *y) {
    fim_status status = fim_fisher_apply(cast(f)->fresh, x, y);
    if (status == FIM_OK)
        BLEND(fim_op_apply(cast(f)->past, x, part), y);
    return status;
}

static fim_status average_moments(const fim_fisher *f, gsl_matrix *a, gsl_matrix *g) {
    fim_status status = fim_fisher_moments(cast(f)->fresh, a, g);
    if (status == FIM_OK) {
        blend(cast(f)->weight, cast(f)->a, a);
        blend(cast(f)->weight, cast(f)->g, g);
    }
    return status;
}

static fim_status average_norm2(const fim_fisher *f, double *out) {
    const average *self = cast(f);
    const fim_form form = fim_fisher_form(self->fresh);
    const double weight = self->weight;
    double fresh = 0, past = 0, both = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_fisher_norm2(self->fresh, &fresh));
    FIM_TRY(fim_op_norm2(self->past, &past));
    FIM_TRY(fim_op_inner(self->past, &form, &both));
    *out = (1 - weight) * (1 - weight) * fresh + weight * weight * past + 2 * weight * (1 - weight) * both;
out:
    return status;
}

// Row k of Rs is svec of R(F̄)ᵀ on the k-th packed unit vector.
static fim_status average_packed(const fim_fisher *f, size_t first, gsl_matrix *rs) {
    gsl_matrix *v = NULL, *u = NULL;
    gsl_vector *unit = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(f->d_a, f->d_a, "a unit factor", &u));
    FIM_TRY(fim_matrix_new(f->d_g, f->d_g, "its image", &v));
    FIM_TRY(fim_vector_new(fim_svec_size(f->d_a), "a packed factor", &unit));
    for (size_t k = 0; k < rs->size1; k++) {
        gsl_vector_set_basis(unit, first + k);
        fim_svec_unpack(unit->data, u);
        FIM_TRY(average_rearranged_transposed(f, u, v));
        fim_svec_pack(v, rs->data + k * rs->tda);
    }
out:
    gsl_matrix_free(v);
    gsl_matrix_free(u);
    gsl_vector_free(unit);
    return status;
}

static const fim_fisher_class average_class = {
    .free = average_free,
    .rearranged = average_rearranged,
    .rearranged_transposed = average_rearranged_transposed,
    .moments = average_moments,
    .diagonal = average_diagonal,
    .apply = average_apply,
    .norm2 = average_norm2,
    .packed = average_packed,
    .samples = block_no_samples,
    .core = block_no_core,
};

fim_status fim_fisher_new_average(const fim_fisher *fresh, double weight, const fim_op *past,
                                  const gsl_matrix *a, const gsl_matrix *g, fim_fisher **out) {
    const size_t d_a = fresh->d_a, d_g = fresh->d_g;
    if (!(weight >= 0 && weight <= 1))
        return FIM_FAIL(FIM_ERR_ARGUMENT, "the weight of the past is %g, expected 0 to 1", weight);
    if (fim_op_d_a(past) != d_a || fim_op_d_g(past) != d_g || a->size1 != d_a || a->size2 != d_a ||
        g->size1 != d_g || g->size2 != d_g)
        return FIM_FAIL(FIM_ERR_SHAPE, "a past of (%zu, %zu) for a block of (%zu, %zu)", fim_op_d_a(past),
                        fim_op_d_g(past), d_a, d_g);
    average *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "an average of Fisher blocks", &self);
    if (status != FIM_OK)
        return status;
    // The past is of more samples than anybody counted.
    *self = (average){.head = {.class = &average_class, .d_a = d_a, .d_g = d_g, .n = SIZE_MAX},
                      .fresh = fresh,
                      .past = past,
                      .weight = weight,
                      .a = a,
                      .g = g};
    *out = &self->head;
    return FIM_OK;
}
