// The inverse of hand-made operators: names, refusals, rounding, and cases known in closed form. tests/approx
// has the contract over all approximations.
#include "fim/linalg.h"
#include "fim/op.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(inverse, .init = setup);

static gsl_matrix *diagonal_matrix(size_t n, const double *values) {
    gsl_matrix *m = gsl_matrix_calloc(n, n);
    for (size_t i = 0; i < n; i++)
        gsl_matrix_set(m, i, i, values[i]);
    return m;
}

static fim_op *sum_of(size_t terms, const double a[][2], const double g[][2]) {
    gsl_matrix *as[3], *gs[3];
    fim_op *op = NULL;
    for (size_t k = 0; k < terms; k++) {
        as[k] = diagonal_matrix(2, a[k]);
        gs[k] = diagonal_matrix(2, g[k]);
    }
    TEST_OK(fim_op_new_kronecker(terms, as, gs, &op));
    return op;
}

Test(inverse, names_are_read_and_written) {
    static const char *const forms[] = {"factor", "factor-pi", "each", "paper", "exact"};
    static const char *const rules[] = {"absolute", "clamp", "fallback"};
    fim_damping_form form;
    fim_indefinite rule;
    for (size_t k = 0; k < 5; k++) {
        TEST_OK(fim_damping_form_parse(forms[k], &form));
        TEST_TEXT(fim_damping_form_name(form), forms[k]);
    }
    for (size_t k = 0; k < 3; k++) {
        TEST_OK(fim_indefinite_parse(rules[k], &rule));
        TEST_TEXT(fim_indefinite_name(rule), rules[k]);
    }
    TEST_FAILS(fim_damping_form_parse("pi", &form), FIM_ERR_UNKNOWN, "factor, factor-pi, each, paper, exact");
    TEST_FAILS(fim_indefinite_parse("", &rule), FIM_ERR_UNKNOWN, "absolute, clamp, fallback");
}

Test(inverse, rules_for_a_sum_that_is_known) {
    // Relative to the first term, damped to the identity by λ = 0: 1 + s t of s = (1, −2), t = (0.5, 2).
    const double a[2][2] = {{1, 1}, {1, -2}}, g[2][2] = {{1, 1}, {0.5, 2}};
    const double v[3][4] = {{1.5, 3, 1e-12, 3}, {1.5, 3, 0.1, 0.1}, {1, 1, 1, 1}};
    fim_op *op = sum_of(2, a, g);
    for (fim_indefinite rule = FIM_INDEFINITE_ABSOLUTE; rule <= FIM_INDEFINITE_FALLBACK; rule++) {
        const fim_inverse_options options = {0, FIM_DAMPING_FACTOR, rule};
        gsl_matrix *x = gsl_matrix_alloc(2, 2), *y = gsl_matrix_alloc(2, 2);
        fim_inverse inverse;
        double log_det = 0;
        gsl_matrix_set_all(x, 1);
        TEST_OK(fim_inverse_init(op, &options, &inverse));
        TEST_OK(fim_inverse_apply(&inverse, x, y));
        cr_assert(inverse.changed == 2 && inverse.fell_back == (rule == FIM_INDEFINITE_FALLBACK));
        for (size_t p = 0; p < 4; p++) {
            cr_assert(epsilon_eq(dbl, gsl_matrix_get(y, p / 2, p % 2), 1 / v[rule][p], 1e-12 / v[rule][p]),
                      "%s, direction %zu", fim_indefinite_name(rule), p);
            log_det += log(v[rule][p]);
        }
        cr_assert(epsilon_eq(dbl, inverse.log_det, log_det, 1e-12 * (1 + fabs(log_det))));
        fim_inverse_clear(&inverse);
        cr_assert(inverse.k_a == NULL && inverse.k_g == NULL && inverse.w == NULL);
    }
    fim_op_free(op);
}

Test(inverse, the_rounding_of_a_semidefinite_factor_counts_as_zero) {
    const double a[1][2] = {{4, -1e-9}}, g[1][2] = {{100, 1}};
    const fim_inverse_options options = {1e-8, FIM_DAMPING_EXACT, FIM_INDEFINITE_ABSOLUTE};
    gsl_matrix *x = gsl_matrix_alloc(2, 2), *y = gsl_matrix_alloc(2, 2);
    fim_inverse inverse;
    gsl_matrix_set_all(x, 1);
    fim_op *op = sum_of(1, a, g);
    TEST_OK(fim_inverse_init(op, &options, &inverse)); // -1e-9·100 + 1e-8 < 0
    TEST_OK(fim_inverse_apply(&inverse, x, y));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(y, 1, 0), 1e8, 1));
    fim_inverse_clear(&inverse);
    fim_op_free(op);
    const double lambda[2] = {1, -1e-9};
    gsl_matrix *diagonal = gsl_matrix_alloc(1, 2);
    memcpy(diagonal->data, lambda, sizeof lambda);
    TEST_OK(fim_op_new_basis(NULL, NULL, diagonal, &op));
    const fim_inverse_options tiny = {1e-10, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE};
    TEST_OK(fim_inverse_init(op, &tiny, &inverse));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.w, 0, 1), 1e10, 1));
    fim_inverse_clear(&inverse);
    fim_op_free(op);
}

Test(inverse, pi_is_one_where_a_factor_has_no_trace) {
    const double a[1][2] = {{4, 2}}, g[1][2] = {{0, 0}};
    const fim_inverse_options options = {0.25, FIM_DAMPING_FACTOR_PI, FIM_INDEFINITE_ABSOLUTE};
    fim_inverse inverse;
    fim_op *op = sum_of(1, a, g);
    TEST_OK(fim_inverse_init(op, &options, &inverse));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.k_g, 1, 1), 1 / 0.5, 1e-14));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.k_a, 0, 0), 1 / 4.5, 1e-14));
    fim_inverse_clear(&inverse);
    fim_op_free(op);
}

Test(inverse, what_is_not_positive_definite_is_an_ordinary_answer) {
    const double good[2][2] = {{1, 2}, {1, 1}}, bad_a[2][2] = {{1, -1}, {1, 1}},
                 bad_g[2][2] = {{-2, 3}, {1, 1}}, singular[2][2] = {{1, 0}, {1, 0}};
    const fim_inverse_options factor = {0.01, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE},
                              exact = {0.01, FIM_DAMPING_EXACT, FIM_INDEFINITE_ABSOLUTE},
                              none = {0, FIM_DAMPING_FACTOR, FIM_INDEFINITE_FALLBACK},
                              none_exact = {0, FIM_DAMPING_EXACT, FIM_INDEFINITE_FALLBACK};
    const struct {
        fim_op *op;
        const fim_inverse_options *options;
        const char *message;
    } cases[] = {
        {sum_of(1, bad_a, good), &factor, "factor A"},        {sum_of(1, good, bad_g), &factor, "factor G"},
        {sum_of(2, bad_a, good), &factor, "factor A"},        {sum_of(2, good, bad_g), &factor, "factor G"},
        {sum_of(1, bad_a, good), &exact, "eigenvalue -"},     {sum_of(1, singular, good), &none, "factor A"},
        {sum_of(1, good, singular), &none_exact, "damping 0"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fim_inverse inverse = {.changed = 77};
        TEST_FAILS(fim_inverse_init(cases[k].op, cases[k].options, &inverse), FIM_NOT_POSITIVE,
                   cases[k].message);
        cr_assert(strstr(fim_message(), "larger damping") != NULL, "%s", fim_message());
        cr_assert(inverse.changed == 77 && inverse.k_a == NULL, "the output was touched");
        fim_op_free(cases[k].op);
    }
    fim_op *op = NULL;
    fim_inverse inverse;
    gsl_matrix *lambda = gsl_matrix_calloc(2, 2);
    gsl_matrix_set(lambda, 1, 0, -0.5);
    TEST_OK(fim_op_new_basis(NULL, NULL, lambda, &op));
    TEST_FAILS(fim_inverse_init(op, &factor, &inverse), FIM_NOT_POSITIVE, "eigenvalue -0.5");
    fim_op_free(op);
}

Test(inverse, bad_dampings_numbers_and_shapes_are_refused) {
    const double a[1][2] = {{1, 2}}, nan_factor[1][2] = {{1, NAN}};
    static const double dampings[] = {-1e-3, NAN, INFINITY};
    fim_op *op = sum_of(1, a, a), *broken = sum_of(1, nan_factor, a);
    fim_inverse inverse;
    for (size_t k = 0; k < 3; k++) {
        const fim_inverse_options options = {dampings[k], FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE};
        TEST_FAILS(fim_inverse_init(op, &options, &inverse), FIM_ERR_ARGUMENT, "damping");
    }
    const fim_inverse_options options = {1, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE};
    TEST_FAILS(fim_inverse_init(broken, &options, &inverse), FIM_ERR_NUMERIC, "NaN");
    TEST_OK(fim_inverse_init(op, &options, &inverse));
    gsl_matrix *right = gsl_matrix_calloc(2, 2), *wrong = gsl_matrix_calloc(2, 3);
    TEST_FAILS(fim_inverse_apply(&inverse, wrong, right), FIM_ERR_SHAPE, "(2, 3)");
    TEST_FAILS(fim_inverse_apply(&inverse, right, wrong), FIM_ERR_SHAPE, "(2, 3)");
    fim_inverse_clear(&inverse);
    fim_op_free(op);
    fim_op_free(broken);
}
