// F, F̂ and F − F̂ as symmetric maps known by their products: what the Krylov processes of this room iterate
// with. Where the block has samples and the operator lives where they do, both are seen in the frame of the
// samples: vectors and products are a fraction of those on all parameters.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdlib.h>

#include "metric.h"

// An operator may leave the frame by this much of ‖F‖, and its eigenvalues with it (Weyl).
#define LOST_MOST 1e-11

// True for the failures that mean that there is no frame, and not that something is wrong.
static bool is_refusal(fim_status status) {
    return status == FIM_ERR_UNAVAILABLE || status == FIM_ERR_BUDGET;
}

fim_status reference_frame(fim_reference *reference, bool rotated, const fim_reduced **out) {
    fim_status status = FIM_OK;
    if (reference->frame[rotated] == NULL && !reference->no_frame[rotated])
        status =
            fim_reduced_new(reference->f, rotated, reference_left(reference) / 4, &reference->frame[rotated]);
    reference->no_frame[rotated] |= is_refusal(status);
    *out = reference->frame[rotated];
    return is_refusal(status) ? FIM_OK : status;
}

// The operator in a frame, if the frame holds it; else NULL.
static fim_status enter(const fim_candidate *candidate, const fim_reduced *frame, small_op **out) {
    small_op *small = NULL;
    fim_status status = fim_alloc(1, sizeof *small, "an operator in a frame", &small);
    if (status != FIM_OK)
        return status;
    status = small_op_init(small, candidate->op, frame);
    if (status == FIM_OK && small->lost <= LOST_MOST * fim_reference_norm(candidate->reference)) {
        *out = small;
        return FIM_OK;
    }
    small_op_clear(small);
    free(small);
    *out = NULL;
    return is_refusal(status) ? FIM_OK : status;
}

fim_status candidate_small(fim_candidate *candidate, const small_op **out) {
    fim_status status = FIM_OK;
    for (size_t k = 2; candidate->small == NULL && !candidate->no_small && k-- > 0;) {
        const fim_reduced *frame = NULL;
        FIM_TRY(reference_frame(candidate->reference, k == 1, &frame));
        if (frame != NULL)
            FIM_TRY(enter(candidate, frame, &candidate->small));
        candidate->no_small = k == 0 && candidate->small == NULL;
    }
    *out = candidate->small;
out:
    return status;
}

// y = F x − F̂ x; the map is its own transpose.
static fim_status difference_apply(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const difference *self = context;
    const size_t d_a = self->product->size1, d_g = self->product->size2;
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, d_a, d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, d_a, d_g);
    fim_status status = FIM_OK;
    if (self->reduced != NULL) {
        if (self->f != NULL)
            status = fim_reduced_apply(self->reduced, &from.matrix, &to.matrix);
        if (status == FIM_OK && self->small != NULL)
            small_op_apply(self->small, self->f != NULL ? -1 : 1, &from.matrix, self->f != NULL,
                           self->product, self->inside, &to.matrix);
        return status;
    }
    if (self->f == NULL)
        return fim_op_apply(self->op, &from.matrix, &to.matrix);
    status = fim_fisher_apply(self->f, &from.matrix, &to.matrix);
    if (status != FIM_OK || self->op == NULL)
        return status;
    status = fim_op_apply(self->op, &from.matrix, self->product);
    if (status == FIM_OK)
        gsl_matrix_sub(&to.matrix, self->product);
    return status;
}

fim_status difference_init(difference *d, fim_reference *reference, fim_candidate *candidate, bool with_f) {
    const fim_fisher *f = reference->f;
    size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    *d = (difference){.f = with_f ? f : NULL, .op = candidate != NULL ? candidate->op : NULL};
    fim_status status = FIM_OK;
    if (candidate == NULL)
        FIM_TRY(reference_frame(reference, true, &d->reduced));
    else
        FIM_TRY(candidate_small(candidate, &d->small));
    if (d->small != NULL)
        d->reduced = d->small->frame;
    if (d->small != NULL && !with_f && d->small->terms > 1) {
        FIM_TRY(small_op_turned(d->small, &d->turned));
        d->small = &d->turned;
    }
    if (d->reduced != NULL) {
        d_a = fim_reduced_d_a(d->reduced);
        d_g = fim_reduced_d_g(d->reduced);
    }
    d->map = (fim_map){.rows = d_a * d_g, .columns = d_a * d_g, .context = d, .apply = difference_apply};
    FIM_TRY(fim_matrix_new(d_a, d_g, "a difference", &d->product));
    if (d->small != NULL)
        FIM_TRY(fim_matrix_new(d_a, d_g, "a difference", &d->inside));
out:
    if (status != FIM_OK)
        difference_clear(d);
    return status;
}

void difference_clear(difference *d) {
    small_op_clear(&d->turned);
    gsl_matrix_free(d->product);
    gsl_matrix_free(d->inside);
    d->product = d->inside = NULL;
}

// The memory for a single eigenvalue is always allowed: the approximations themselves take as much. One that
// does not stand out from the others is a bound that better ends early. The smallest of an indefinite sum is
// small beside the largest: a basis twice as long as the usual one saves a quarter of the products.
enum { VECTORS_ALWAYS = 8, BASIS_SMALLEST = 80, PRODUCTS_SINGLE = 200, PRODUCTS_SEVERAL = 1000 };

// A product with F takes two matrices (N, d_g), one with F̂ two of the size of the parameters, and their
// difference one.
size_t difference_vectors(const fim_reference *reference, size_t d) {
    const fim_fisher *f = reference->f;
    const size_t products =
        fim_size_mul(2 * fim_fisher_samples(f) * fim_fisher_d_g(f) + 3 * d, sizeof(double));
    const size_t left = reference_left(reference);
    return left > products ? (left - products) / (d * sizeof(double)) : 0;
}

fim_status difference_eigenvalues(fim_reference *reference, fim_candidate *candidate, bool with_f, size_t k,
                                  fim_lanczos_order order, double tolerance, gsl_vector *values,
                                  fim_lanczos_info *info) {
    const size_t all = fim_fisher_d_a(reference->f) * fim_fisher_d_g(reference->f);
    difference d = {0};
    fim_status status = FIM_OK;
    FIM_TRY(difference_init(&d, reference, candidate, with_f));
    const size_t inside = d.map.rows < k ? d.map.rows : k; // the others are zeros outside the frame
    size_t vectors = difference_vectors(reference, d.map.rows);
    vectors = vectors > VECTORS_ALWAYS || k > 1 ? vectors : VECTORS_ALWAYS;
    const fim_lanczos_options options = {.order = order,
                                         .tolerance = tolerance,
                                         .negligible = 1e-13 * sqrt(fmax(reference->norm2, 0)),
                                         .basis = order == FIM_LANCZOS_SMALLEST ? BASIS_SMALLEST : 0,
                                         .max_products = k > 1 ? PRODUCTS_SEVERAL : PRODUCTS_SINGLE,
                                         .budget =
                                             fim_size_mul(vectors, fim_size_mul(d.map.rows, sizeof(double))),
                                         .seed = reference->seed};
    gsl_vector_view leading = gsl_vector_subvector(values, 0, inside);
    status = fim_lanczos(&d.map, inside, &options, &leading.vector, NULL, info);
    for (size_t i = 0; i < values->size && (status == FIM_OK || status == FIM_NOT_CONVERGED); i++) {
        double *value = gsl_vector_ptr(values, i);
        if (i >= inside)
            *value = 0;
        if (d.map.rows < all && order == FIM_LANCZOS_LARGEST)
            *value = fmax(*value, 0); // the zeros come first
        if (d.map.rows < all && order == FIM_LANCZOS_SMALLEST)
            *value = fmin(*value, 0);
    }
out:
    difference_clear(&d);
    return status;
}
