// Conjugate gradients against solves by GSL's LU.
#include <gsl/gsl_linalg.h>

#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(cg, .init = setup);

typedef struct dense_map {
    const gsl_matrix *m;
    size_t products;
} dense_map;

static fim_status multiply(const void *context, bool transposed, const double *x, double *y) {
    dense_map *d = (dense_map *)(uintptr_t)context;
    cr_assert(transposed == false);
    d->products++;
    for (size_t i = 0; i < d->m->size1; i++) {
        y[i] = 0;
        for (size_t j = 0; j < d->m->size2; j++)
            y[i] += gsl_matrix_get(d->m, i, j) * x[j];
    }
    return FIM_OK;
}

static fim_status fail(const void *context, bool transposed, const double *x, double *y) {
    (void)context, (void)transposed, (void)x, (void)y;
    return FIM_FAIL(FIM_ERR_IO, "the map fails");
}

// Eigenvalues from 1 down to `smallest`, evenly in the logarithm.
static gsl_matrix *conditioned(size_t n, double smallest, uint64_t seed) {
    double values[64];
    const gsl_matrix *q = plain_random_orthogonal(n, n, seed);
    for (size_t i = 0; i < n; i++)
        values[i] = pow(smallest, n > 1 ? (double)i / (double)(n - 1) : 0);
    return plain_spectral(q, values, q);
}

static gsl_vector *solved(const gsl_matrix *m, const double *b) {
    gsl_matrix *lu = plain_copy(m);
    gsl_permutation *p = gsl_permutation_alloc(m->size1);
    gsl_vector *x = gsl_vector_alloc(m->size1);
    gsl_vector_const_view right = gsl_vector_const_view_array(b, m->size1);
    int sign;
    gsl_linalg_LU_decomp(lu, p, &sign);
    cr_assert(gsl_linalg_LU_solve(lu, p, &right.vector, x) == 0);
    return x;
}

Test(cg, solves_to_the_residual_it_reports) {
    static const size_t sizes[] = {1, 2, 10, 40};
    static const double smallest[] = {1, 1e-2, 1e-5};
    for (size_t k = 0; k < 12; k++) {
        const size_t n = sizes[k / 3];
        dense_map d = {.m = conditioned(n, smallest[k % 3], 5 + k)};
        const fim_map map = {n, n, &d, multiply};
        const fim_cg_options options = {.tolerance = 1e-11};
        const gsl_matrix *b = test_random_matrix(1, n, 30 + k);
        gsl_matrix *x = test_random_matrix(1, n, 50 + k); // any start
        fim_cg_info info;
        TEST_OK(fim_cg(&map, b->data, &options, x->data, &info));
        gsl_vector_const_view got = gsl_vector_const_view_array(x->data, n);
        const gsl_matrix *rest = plain_sum(plain_product(x, d.m), -1, b);
        cr_assert(info.converged && info.residual <= 1e-11 && info.products == d.products);
        cr_assert(
            epsilon_eq(dbl, info.residual, plain_norm(rest) / plain_norm(b), 1e-15 * (1 + plain_norm(x))),
            "n = %zu", n);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(&got.vector, solved(d.m, b->data)), 0,
                             1e-10 / smallest[k % 3]),
                  "n = %zu, condition %g", n, 1 / smallest[k % 3]);
    }
}

Test(cg, a_good_preconditioner_saves_products) {
    const size_t n = 40;
    dense_map d = {.m = conditioned(n, 1e-6, 7)}, inverse = {0};
    gsl_matrix *m = gsl_matrix_alloc(n, n), *q;
    gsl_vector *values = plain_eigenvalues(d.m, &q);
    for (size_t i = 0; i < n; i++)
        gsl_vector_set(values, i, 1 / gsl_vector_get(values, i));
    inverse.m = plain_spectral(q, values->data, q);
    gsl_matrix_free(m);
    const fim_map map = {n, n, &d, multiply}, preconditioner = {n, n, &inverse, multiply};
    const fim_cg_options alone = {.tolerance = 1e-8},
                         helped = {.tolerance = 1e-8, .preconditioner = &preconditioner};
    const gsl_matrix *b = test_random_matrix(1, n, 31);
    gsl_matrix *x = gsl_matrix_calloc(1, n), *y = gsl_matrix_calloc(1, n);
    fim_cg_info without, with;
    TEST_OK(fim_cg(&map, b->data, &alone, x->data, &without));
    TEST_OK(fim_cg(&map, b->data, &helped, y->data, &with));
    cr_assert(with.products <= 5 && without.products > 20, "%zu and %zu products", with.products,
              without.products);
    cr_assert(plain_distance(x, y) < 1e-1 * plain_norm(x));
}

Test(cg, what_cannot_be_solved_is_an_ordinary_answer) {
    const size_t n = 30;
    dense_map d = {.m = conditioned(n, 1e-6, 8)}, minus = {.m = plain_random_symmetric(n, 9)};
    const fim_map map = {n, n, &d, multiply}, indefinite = {n, n, &minus, multiply},
                  failing = {n, n, NULL, fail}, wide = {n, n + 1, &d, multiply};
    const fim_cg_options few = {.tolerance = 1e-12, .max_products = 7}, any = {0};
    const gsl_matrix *b = test_random_matrix(1, n, 32);
    gsl_matrix *x = gsl_matrix_calloc(1, n);
    fim_cg_info info = {0};
    TEST_FAILS(fim_cg(&map, b->data, &few, x->data, &info), FIM_NOT_CONVERGED, "7 products");
    const gsl_matrix *rest = plain_sum(plain_product(x, d.m), -1, b);
    cr_assert(info.converged == false && info.products == 7 && info.residual > 1e-12 &&
              fabs(info.residual - plain_norm(rest) / plain_norm(b)) < 1e-12);
    gsl_matrix_set_zero(x);
    TEST_FAILS(fim_cg(&indefinite, b->data, &any, x->data, &info), FIM_NOT_POSITIVE, "not positive definite");
    TEST_FAILS(fim_cg(&failing, b->data, &any, x->data, &info), FIM_ERR_IO, "the map fails");
    TEST_FAILS(fim_cg(&wide, b->data, &any, x->data, &info), FIM_ERR_SHAPE, "(30, 31)");
    const gsl_matrix *zero = gsl_matrix_calloc(1, n);
    TEST_OK(fim_cg(&map, zero->data, &any, x->data, &info));
    cr_assert(plain_norm(x) == 0 && info.converged && info.residual == 0);
}
