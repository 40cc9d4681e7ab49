// The metrics of steps against dense solves and determinants by GSL's LU, on every approximation; the same by
// products alone.
#include <gsl/gsl_linalg.h>

#include "approx/blocks.h"
#include "fim/metric.h"

enum { BLOCKS = 4, DAMPINGS = 4 };
static block blocks[BLOCKS];

static void make_blocks(void) {
    fim_linalg_setup(1);
    block_init(&blocks[0], "rows", test_samples(30, 5, 4, 3, 5));
    block_init(&blocks[1], "few rows", test_samples(7, 5, 4, 1, 6));
    block_init(&blocks[2], "packed", test_samples(30, 4, 5, TEST_PACKED, 7));
    block_init(&blocks[3], "diagonals", test_samples(20, 5, 3, TEST_DIAGONAL, 8));
}
TestSuite(steps, .init = make_blocks);

static const char *const methods[] = {"diagonal", "kfac",      "tkfac",   "ekfac",          "tekfac",
                                      "kpsvd",    "deflation", "lanczos", "kfac-corrected", "kpsvd:3"};
enum { METHODS = sizeof methods / sizeof *methods };

static void sweep(const block *b, double damping[DAMPINGS]) {
    for (size_t i = 0; i < DAMPINGS; i++)
        damping[i] = b->norm * pow(10, (double)i - 3);
}

static gsl_matrix *damped(const gsl_matrix *m, double lambda) {
    return plain_sum(m, lambda, plain_identity(m->size1));
}

// m⁻¹ x column by column, and ln |det m|.
static gsl_matrix *solved(const gsl_matrix *m, const gsl_matrix *x, double *log_det) {
    gsl_matrix *lu = plain_copy(m), *y = gsl_matrix_alloc(x->size1, x->size2);
    gsl_permutation *p = gsl_permutation_alloc(m->size1);
    int sign;
    gsl_linalg_LU_decomp(lu, p, &sign);
    for (size_t k = 0; k < x->size2; k++) {
        gsl_vector_const_view right = gsl_matrix_const_column(x, k);
        gsl_vector_view left = gsl_matrix_column(y, k);
        cr_assert(gsl_linalg_LU_solve(lu, p, &right.vector, &left.vector) == 0);
    }
    *log_det = gsl_linalg_LU_lndet(lu);
    return y;
}

// All five numbers from the definitions; false when F̂ + λI is not positive definite.
static bool plain_steps(const block *b, const gsl_matrix *approximation, const gsl_matrix *gradient,
                        double lambda, double want[FIM_STEP_COUNT]) {
    const gsl_matrix *f = damped(b->dense, lambda), *g = damped(approximation, lambda);
    const gsl_vector *values = plain_eigenvalues(g, NULL);
    double det_f, det_g;
    if (!(gsl_vector_get(values, values->size - 1) > 0))
        return false;
    const gsl_matrix *column = plain_column(gradient);
    const gsl_matrix *exact = solved(f, column, &det_f), *y = solved(g, column, &det_g);
    const double along = plain_dot(column, y), curvature = plain_dot(y, plain_product(f, y)),
                 model = 0.5 * curvature - along,
                 best = 0.5 * plain_dot(exact, plain_product(f, exact)) - plain_dot(column, exact);
    want[FIM_STEP_COSINE] = plain_dot(y, exact) / (plain_norm(y) * plain_norm(exact));
    want[FIM_STEP_LENGTH] = plain_norm(y) / plain_norm(exact);
    want[FIM_STEP_DECREASE] = model / best;
    double low = -1e3, high = 1e3; // the best multiple, by cutting the interval of a convex function
    for (size_t k = 0; k < 200; k++) {
        const double left = (2 * low + high) / 3, right = (low + 2 * high) / 3;
        if (0.5 * left * left * curvature - left * along < 0.5 * right * right * curvature - right * along)
            high = right;
        else
            low = left;
    }
    want[FIM_STEP_SCALED] = (0.5 * low * low * curvature - low * along) / best;
    double ignored;
    const gsl_matrix *m = solved(g, f, &ignored);
    want[FIM_STEP_STEIN] = plain_trace(m) - (det_f - det_g) - (double)f->size1;
    return true;
}

static void check(bool matrix_free) {
    size_t indefinite = 0, definite = 0, estimated = 0;
    for (size_t k = 0; k < BLOCKS; k++) {
        const block *b = &blocks[k];
        double damping[DAMPINGS], shared[DAMPINGS];
        sweep(b, damping);
        const fim_steps_options options = {
            .damping = damping, .count = DAMPINGS, .budget = SIZE_MAX, .matrix_free = matrix_free, .seed = 1};
        const gsl_matrix *gradient = test_random_matrix(b->d_a, b->d_g, 90);
        fim_steps *steps = NULL;
        TEST_OK(fim_steps_new(b->f, gradient, &options, &steps));
        cr_assert(strstr(fim_steps_route(steps), matrix_free ? "conjugate" : "residual") != NULL, "%s",
                  fim_steps_route(steps));
        for (size_t j = 0; j < METHODS; j++) {
            const built a = build(methods[j], b->f);
            gsl_matrix *values = gsl_matrix_calloc(FIM_STEP_COUNT, DAMPINGS);
            gsl_vector *own = gsl_vector_calloc(DAMPINGS);
            char notes[FIM_STEP_COUNT][200];
            TEST_OK(fim_steps_measure(steps, a.op, values, own, notes));
            cr_assert(matrix_free || gsl_vector_isnull(own));
            for (size_t i = 0; i < DAMPINGS; i++) {
                double want[FIM_STEP_COUNT];
                const bool positive = plain_steps(b, a.dense, gradient, damping[i], want);
                indefinite += !positive;
                definite += positive;
                for (fim_step_metric m = 0; m < FIM_STEP_COUNT; m++) {
                    const double got = gsl_matrix_get(values, m, i);
                    if (!positive) {
                        cr_assert(isnan(got), "%s of %s: %s is %g", methods[j], b->name, fim_step_name(m),
                                  got);
                        cr_assert(strstr(notes[m], matrix_free ? "" : "not positive definite") != NULL, "%s",
                                  notes[m]);
                    } else if (matrix_free && m == FIM_STEP_STEIN) {
                        // All are off by one number, and by an error of their own.
                        const double off = got - want[m], error = gsl_vector_get(own, i);
                        if (strcmp(methods[j], "diagonal") == 0) {
                            shared[i] = off;
                            cr_assert(fabs(off) <= 4 * fim_steps_divergence_error(steps, i) + 1e-9);
                        }
                        cr_assert(fabs(off - shared[i]) <= 4 * error + 1e-6 * (1 + fabs(want[m])),
                                  "%s of %s, damping %g: %g and not %g off, ± %g", methods[j], b->name,
                                  damping[i], off, shared[i], error);
                        estimated += error > 1e-6 * (1 + fabs(want[m]));
                    } else {
                        cr_assert(epsilon_eq(dbl, got, want[m],
                                             (m == FIM_STEP_SCALED ? 1e-7 : 1e-8) * (1 + fabs(want[m]))),
                                  "%s of %s, damping %g: %s", methods[j], b->name, damping[i],
                                  fim_step_name(m));
                    }
                }
            }
            fim_op_free(a.op);
        }
        fim_steps_free(steps);
    }
    cr_assert(indefinite > 3 && definite > 100, "%zu and %zu", indefinite, definite);
    cr_assert(matrix_free ? estimated > 20 : estimated == 0, "%zu", estimated);
}

Test(steps, are_those_of_dense_solves) {
    check(false);
}

Test(steps, by_products_alone_are_the_same) {
    check(true);
}

// A budget that only products fit: ln det (F + λI) is an estimate, by the same amount off for all operators.
Test(steps, divergences_by_products_tell_their_error) {
    enum { N = 10, D_A = 6, D_G = 5, COUNT = 3 };
    block b;
    block_init(&b, "products", test_samples(N, D_A, D_G, 2, 12));
    double damping[COUNT], off[METHODS][COUNT];
    for (size_t i = 0; i < COUNT; i++)
        damping[i] = b.norm * pow(10, (double)i - 3);
    const fim_steps_options options = {
        .damping = damping, .count = COUNT, .budget = D_A * D_G * 8 * (2 * COUNT + 8), .seed = 2};
    const gsl_matrix *gradient = test_random_matrix(D_A, D_G, 90);
    fim_steps *steps = NULL;
    TEST_OK(fim_steps_new(b.f, gradient, &options, &steps));
    cr_assert(strstr(fim_steps_route(steps), "conjugate") != NULL, "%s", fim_steps_route(steps));
    for (size_t j = 0; j < 6; j++) { // single terms and diagonals
        const built a = build(methods[j], b.f);
        gsl_matrix *values = gsl_matrix_calloc(FIM_STEP_COUNT, COUNT);
        gsl_vector *own = gsl_vector_calloc(COUNT);
        char notes[FIM_STEP_COUNT][200];
        TEST_OK(fim_steps_measure(steps, a.op, values, own, notes));
        for (size_t i = 0; i < COUNT; i++) {
            double want[FIM_STEP_COUNT];
            const double error = fim_steps_divergence_error(steps, i);
            cr_assert(plain_steps(&b, a.dense, gradient, damping[i], want));
            off[j][i] = gsl_matrix_get(values, FIM_STEP_STEIN, i) - want[FIM_STEP_STEIN];
            cr_assert(error > 0 && fabs(off[j][i]) <= 4 * error, "%s, damping %g: %g off, ± %g", methods[j],
                      damping[i], off[j][i], error);
            cr_assert(epsilon_eq(dbl, off[j][i], off[0][i], 1e-8 * (1 + fabs(want[FIM_STEP_STEIN]))), "%s",
                      methods[j]);
        }
        fim_op_free(a.op);
    }
    fim_steps_free(steps);
}

Test(steps, of_the_block_itself_are_exact) {
    // N = 1: KFAC is exact.
    block one;
    block_init(&one, "one sample", test_samples(1, 4, 3, 2, 11));
    const double damping[] = {0.1, 1};
    const fim_steps_options options = {.damping = damping, .count = 2, .budget = SIZE_MAX};
    const gsl_matrix *gradient = test_random_matrix(4, 3, 90);
    const built a = build("kfac", one.f);
    gsl_matrix *values = gsl_matrix_calloc(FIM_STEP_COUNT, 2);
    gsl_vector *own = gsl_vector_calloc(2);
    char notes[FIM_STEP_COUNT][200];
    fim_steps *steps = NULL;
    TEST_OK(fim_steps_new(one.f, gradient, &options, &steps));
    TEST_OK(fim_steps_measure(steps, a.op, values, own, notes));
    for (size_t i = 0; i < 2; i++)
        for (fim_step_metric m = 0; m < FIM_STEP_COUNT; m++)
            cr_assert(epsilon_eq(dbl, gsl_matrix_get(values, m, i), m == FIM_STEP_STEIN ? 0 : 1, 1e-10), "%s",
                      fim_step_name(m));
    fim_steps_free(steps);
}

Test(steps, what_is_missing_says_why) {
    const block *b = &blocks[0];
    double damping[DAMPINGS];
    const double falling[] = {1, 0.5};
    sweep(b, damping);
    fim_steps_options options = {.damping = damping, .count = DAMPINGS, .budget = SIZE_MAX};
    gsl_matrix *values = gsl_matrix_calloc(FIM_STEP_COUNT, DAMPINGS),
               *zero = gsl_matrix_calloc(b->d_a, b->d_g);
    gsl_vector *own = gsl_vector_calloc(DAMPINGS);
    char notes[FIM_STEP_COUNT][200];
    fim_steps *steps = NULL;
    const built a = build("kfac", b->f);
    const gsl_matrix *gradients[] = {NULL, zero};
    static const char *const why[] = {"needs the network", "is zero"};
    for (size_t k = 0; k < 2; k++) {
        TEST_OK(fim_steps_new(b->f, gradients[k], &options, &steps));
        TEST_OK(fim_steps_measure(steps, a.op, values, own, notes));
        cr_assert(isnan(gsl_matrix_get(values, FIM_STEP_COSINE, 0)) &&
                      isfinite(gsl_matrix_get(values, FIM_STEP_STEIN, 0)) &&
                      strstr(notes[FIM_STEP_COSINE], why[k]) != NULL,
                  "%s", notes[FIM_STEP_COSINE]);
        TEST_FAILS(fim_steps_measure(steps, a.op, b->dense, own, notes), FIM_ERR_SHAPE, "4 dampings");
        fim_steps_free(steps);
        steps = NULL;
    }
    TEST_FAILS(fim_steps_new(b->f, gsl_matrix_calloc(2, 2), &options, &steps), FIM_ERR_SHAPE, "(2, 2)");
    options.budget = 100;
    TEST_FAILS(fim_steps_new(b->f, NULL, &options, &steps), FIM_ERR_BUDGET, "fewer dampings");
    options = (fim_steps_options){.damping = falling, .count = 2, .budget = SIZE_MAX};
    TEST_FAILS(fim_steps_new(b->f, NULL, &options, &steps), FIM_ERR_ARGUMENT, "increase");
    cr_assert(steps == NULL);
}
