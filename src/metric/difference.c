// F − F̂ as a symmetric map known by its products: what the Krylov processes of this room iterate with.
#include <gsl/gsl_blas.h>
#include <math.h>

#include "metric.h"

// y = F x − F̂ x; the map is its own transpose.
static fim_status difference_apply(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const difference *self = context;
    const size_t d_a = self->product->size1, d_g = self->product->size2;
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, d_a, d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, d_a, d_g);
    if (self->f == NULL)
        return fim_op_apply(self->op, &from.matrix, &to.matrix);
    fim_status status = fim_fisher_apply(self->f, &from.matrix, &to.matrix);
    if (status != FIM_OK || self->op == NULL)
        return status;
    status = fim_op_apply(self->op, &from.matrix, self->product);
    if (status == FIM_OK)
        gsl_matrix_sub(&to.matrix, self->product);
    return status;
}

fim_status difference_init(difference *d, const fim_fisher *f, const fim_op *op) {
    const size_t d_a = f != NULL ? fim_fisher_d_a(f) : fim_op_d_a(op);
    const size_t d_g = f != NULL ? fim_fisher_d_g(f) : fim_op_d_g(op);
    *d = (difference){.f = f, .op = op};
    d->map = (fim_map){.rows = d_a * d_g, .columns = d_a * d_g, .context = d, .apply = difference_apply};
    return fim_matrix_new(d_a, d_g, "a difference", &d->product);
}

void difference_clear(difference *d) {
    gsl_matrix_free(d->product);
    d->product = NULL;
}

// The memory for a single eigenvalue is always allowed: the approximations themselves take as much. One that
// does not stand out from the others is a bound that better ends early.
enum { VECTORS_ALWAYS = 8, PRODUCTS_SINGLE = 200, PRODUCTS_SEVERAL = 1000 };

// A product with F takes two matrices (N, d_g), one with F̂ two of the size of the parameters, and their
// difference one.
size_t difference_vectors(const fim_reference *reference) {
    const fim_fisher *f = reference->f;
    const size_t d = fim_fisher_d_a(f) * fim_fisher_d_g(f);
    const size_t products =
        fim_size_mul(2 * fim_fisher_samples(f) * fim_fisher_d_g(f) + 3 * d, sizeof(double));
    return reference->budget > products ? (reference->budget - products) / (d * sizeof(double)) : 0;
}

fim_status difference_eigenvalues(const fim_reference *reference, const fim_fisher *f, const fim_op *op,
                                  size_t k, fim_lanczos_order order, double tolerance, gsl_vector *values,
                                  fim_lanczos_info *info) {
    difference d = {0};
    fim_status status = FIM_OK;
    FIM_TRY(difference_init(&d, f, op));
    size_t vectors = difference_vectors(reference);
    vectors = vectors > VECTORS_ALWAYS || k > 1 ? vectors : VECTORS_ALWAYS;
    const fim_lanczos_options options = {.order = order,
                                         .tolerance = tolerance,
                                         .negligible = 1e-13 * sqrt(fmax(reference->norm2, 0)),
                                         .max_products = k > 1 ? PRODUCTS_SEVERAL : PRODUCTS_SINGLE,
                                         .budget =
                                             fim_size_mul(vectors, fim_size_mul(d.map.rows, sizeof(double))),
                                         .seed = reference->seed};
    FIM_TRY(fim_lanczos(&d.map, k, &options, values, NULL, info));
out:
    difference_clear(&d);
    return status;
}
