// Solves with F + λ I, by every way, against GSL's LU on the block that a loop of Kronecker products makes.
#include <gsl/gsl_linalg.h>

#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(solve, .init = setup);

typedef struct form {
    const char *name;
    size_t n, d_a, d_g, columns; // or TEST_PACKED, TEST_DIAGONAL
    bool stored;
    const char *route;
} form;

static const form forms[] = {
    {"few rows", 5, 4, 3, 1, false, "Gram matrix of the 5 rows"},
    {"few rows of two columns", 3, 5, 4, 2, false, "Gram matrix of the 6 rows"},
    {"as many rows as parameters", 12, 4, 3, 1, false, "12 parameters"},
    {"many rows", 40, 4, 3, 3, false, "Cholesky factor of the 12 parameters"},
    {"packed", 15, 4, 3, TEST_PACKED, false, "Cholesky"},
    {"diagonals", 30, 4, 3, TEST_DIAGONAL, false, "4 x 4 blocks of the 3 independent outputs"},
    {"few diagonals", 2, 4, 3, TEST_DIAGONAL, false, "independent outputs"},
    {"stored", 20, 4, 3, 2, true, "Cholesky"},
    {"a single parameter", 3, 1, 1, 1, false, "1 parameters"},
};
enum { FORMS = sizeof forms / sizeof *forms };

static fim_fisher *make(const form *k, fim_samples *samples, gsl_matrix **dense) {
    fim_fisher *f = NULL;
    *samples = test_samples(k->n, k->d_a, k->d_g, k->columns, 7);
    *dense = plain_block(samples);
    if (k->stored)
        TEST_OK(fim_fisher_new_dense(plain_copy(*dense), k->d_a, k->d_g, k->n, NULL, NULL, &f));
    else
        TEST_OK(fim_fisher_new(samples, &f));
    return f;
}

static gsl_matrix *lu_solve(const gsl_matrix *m, const gsl_matrix *x, double *log_det) {
    gsl_matrix *lu = plain_copy(m), *y = gsl_matrix_alloc(x->size1, x->size2);
    gsl_permutation *p = gsl_permutation_alloc(m->size1);
    gsl_vector_const_view right = gsl_vector_const_view_array(x->data, m->size1);
    gsl_vector_view left = gsl_vector_view_array(y->data, m->size1);
    int sign;
    gsl_linalg_LU_decomp(lu, p, &sign);
    cr_assert(gsl_linalg_LU_solve(lu, p, &right.vector, &left.vector) == 0);
    *log_det = gsl_linalg_LU_lndet(lu);
    return y;
}

Test(solve, every_way_agrees_with_a_dense_solve_at_every_damping) {
    // The rounding of F y leaves a residual of 2e-16/damping.
    static const double dampings[2][3] = {{1, 1e-2, 1e-6}, {1, 1e-2, 1e-4}};
    for (size_t k = 0; k < FORMS; k++)
        for (size_t free = 0; free < 2; free++) {
            fim_samples samples;
            gsl_matrix *dense;
            fim_fisher *f = make(&forms[k], &samples, &dense);
            const fim_solver_options options = {
                .budget = SIZE_MAX, .matrix_free = free, .tolerance = 1e-11, .seed = 3};
            fim_solver *solver = NULL;
            TEST_OK(fim_solver_new(f, &options, &solver));
            for (size_t l = 0; l < 3; l++) {
                const double lambda = dampings[free][l] * plain_norm(dense);
                const gsl_matrix *damped = plain_sum(dense, lambda, plain_identity(dense->size1));
                TEST_OK(fim_solver_damp(solver, lambda));
                for (uint64_t side = 0; side < 2; side++) { // two right sides, one factorization
                    const gsl_matrix *x = test_random_matrix(forms[k].d_a, forms[k].d_g, 60 + side);
                    gsl_matrix *y = test_random_matrix(forms[k].d_a, forms[k].d_g, 70);
                    double log_det, got, error;
                    const gsl_matrix *want = lu_solve(damped, x, &log_det);
                    fim_solve_info info;
                    TEST_OK(fim_solver_solve(solver, x, false, y, &info));
                    cr_assert(
                        epsilon_eq(dbl, plain_distance(y, want), 0,
                                   (free ? 1e-10 : 1e-14 / dampings[free][l]) * plain_norm(want) + 1e-13),
                        "%s, damping %g: off by %g", forms[k].name, dampings[free][l],
                        plain_distance(y, want) / plain_norm(want));
                    const gsl_matrix *rest =
                        plain_sum(plain_product(damped, plain_column(y)), -1, plain_column(x));
                    cr_assert(epsilon_eq(dbl, info.residual, plain_norm(rest) / plain_norm(x),
                                         1e-15 + 1e-15 / dampings[free][l]),
                              "%s: residual %g", forms[k].name, info.residual);
                    cr_assert(info.residual <= (free ? 1e-11 : 1e-13 + 3e-16 / dampings[free][l]) &&
                                  info.products > 0,
                              "%s: residual %g", forms[k].name, info.residual);
                    cr_assert(strstr(info.route, free ? "conjugate" : forms[k].route) != NULL, "%s",
                              info.route);
                    TEST_OK(fim_solver_log_det(solver, &got, &error));
                    if (free) // ten probes: three deviations, in units that ten probes tell to a quarter
                        cr_assert(fabs(got - log_det) <= 4 * error + 1e-9, "%s: ln det %g, exact %g ± %g",
                                  forms[k].name, got, log_det, error);
                    else
                        cr_assert(all(epsilon_eq(dbl, got, log_det, 1e-9), eq(dbl, error, 0)), "%s: ln det",
                                  forms[k].name);
                }
            }
            fim_solver_free(solver);
            fim_fisher_free(f);
        }
}

Test(solve, a_budget_that_refuses_matrices_iterates) {
    fim_samples samples;
    gsl_matrix *dense, *y = gsl_matrix_calloc(4, 3);
    fim_fisher *f = make(&forms[0], &samples, &dense);
    const fim_solver_options options = {.budget = 2 * 5 * 5 * sizeof(double) - 1};
    fim_solver *solver = NULL;
    fim_solve_info info;
    TEST_OK(fim_solver_new(f, &options, &solver));
    TEST_OK(fim_solver_damp(solver, 0.1));
    TEST_OK(fim_solver_solve(solver, test_random_matrix(4, 3, 1), false, y, &info));
    cr_assert(strstr(info.route, "conjugate") != NULL && info.residual <= 1e-10);
    const size_t first = info.products;
    TEST_OK(fim_solver_solve(solver, test_random_matrix(4, 3, 1), true, y, &info));
    cr_assert(info.products == 1 && first > 2, "a start at the solution took %zu products", info.products);
    fim_solver_free(solver);
    fim_fisher_free(f);
}

Test(solve, what_cannot_be_solved_is_told) {
    fim_samples samples;
    gsl_matrix *dense, *x = test_random_matrix(4, 3, 1), *y = gsl_matrix_calloc(4, 3);
    fim_fisher *f = make(&forms[3], &samples, &dense), *low = make(&forms[6], &samples, &dense);
    const fim_solver_options few = {.matrix_free = true, .max_products = 3, .tolerance = 1e-14},
                             any = {.budget = SIZE_MAX};
    fim_solver *solver = NULL, *direct = NULL;
    fim_solve_info info;
    double log_det, error;
    TEST_OK(fim_solver_new(f, &few, &solver));
    TEST_FAILS(fim_solver_solve(solver, x, false, y, &info), FIM_ERR_ARGUMENT, "needs a damping");
    TEST_FAILS(fim_solver_log_det(solver, &log_det, &error), FIM_ERR_ARGUMENT, "needs a damping");
    static const double bad[] = {0, -1, NAN, INFINITY};
    for (size_t k = 0; k < 4; k++)
        TEST_FAILS(fim_solver_damp(solver, bad[k]), FIM_ERR_ARGUMENT, "damping above 0");
    TEST_OK(fim_solver_damp(solver, 1e-8));
    TEST_FAILS(fim_solver_solve(solver, x, false, y, &info), FIM_NOT_CONVERGED, "products");
    cr_assert(info.residual > 1e-14 && info.products <= 3 && plain_norm(y) > 0);
    TEST_FAILS(fim_solver_solve(solver, gsl_matrix_calloc(3, 4), false, y, &info), FIM_ERR_SHAPE, "(3, 4)");
    TEST_FAILS(fim_solver_solve(solver, x, false, gsl_matrix_calloc(3, 4), &info), FIM_ERR_SHAPE, "(3, 4)");
    fim_solver_free(solver);
    // Two samples leave two of four directions of each output without curvature.
    TEST_OK(fim_solver_new(low, &any, &direct));
    TEST_FAILS(fim_solver_damp(direct, 1e-300), FIM_NOT_POSITIVE, "take a larger one");
    TEST_FAILS(fim_solver_solve(direct, x, false, y, &info), FIM_ERR_ARGUMENT, "needs a damping");
    fim_solver_free(direct);
    fim_solver_free(NULL);
    fim_fisher_free(f);
    fim_fisher_free(low);
}
