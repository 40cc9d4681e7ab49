// The inverse of hand-made operators: names, refusals, rounding, and cases known in closed form. tests/approx
// has the contract over all approximations.
#include <float.h>

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
        const fim_inverse_options options = {0, FIM_DAMPING_FACTOR, rule, 0};
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
    const fim_inverse_options options = {1e-8, FIM_DAMPING_EXACT, FIM_INDEFINITE_ABSOLUTE, 0};
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
    const fim_inverse_options tiny = {1e-10, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0};
    TEST_OK(fim_inverse_init(op, &tiny, &inverse));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.w, 0, 1), 1e10, 1));
    fim_inverse_clear(&inverse);
    fim_op_free(op);
}

Test(inverse, pi_is_one_where_a_factor_has_no_trace) {
    const double a[1][2] = {{4, 2}}, g[1][2] = {{0, 0}};
    const fim_inverse_options options = {0.25, FIM_DAMPING_FACTOR_PI, FIM_INDEFINITE_ABSOLUTE, 0};
    fim_inverse inverse;
    fim_op *op = sum_of(1, a, g);
    TEST_OK(fim_inverse_init(op, &options, &inverse));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.m_g.dense, 1, 1), 1 / 0.5, 1e-14));
    cr_assert(epsilon_eq(dbl, gsl_matrix_get(inverse.m_a.dense, 0, 0), 1 / 4.5, 1e-14));
    fim_inverse_clear(&inverse);
    fim_op_free(op);
}

Test(inverse, what_is_not_positive_definite_is_an_ordinary_answer) {
    const double good[2][2] = {{1, 2}, {1, 1}}, bad_a[2][2] = {{1, -1}, {1, 1}},
                 bad_g[2][2] = {{-2, 3}, {1, 1}}, singular[2][2] = {{1, 0}, {1, 0}};
    const fim_inverse_options factor = {0.01, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0},
                              exact = {0.01, FIM_DAMPING_EXACT, FIM_INDEFINITE_ABSOLUTE, 0},
                              none = {0, FIM_DAMPING_FACTOR, FIM_INDEFINITE_FALLBACK, 0},
                              none_exact = {0, FIM_DAMPING_EXACT, FIM_INDEFINITE_FALLBACK, 0};
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
        const fim_inverse_options options = {dampings[k], FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0};
        TEST_FAILS(fim_inverse_init(op, &options, &inverse), FIM_ERR_ARGUMENT, "damping");
    }
    const fim_inverse_options options = {1, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0};
    TEST_FAILS(fim_inverse_init(broken, &options, &inverse), FIM_ERR_NUMERIC, "NaN");
    TEST_OK(fim_inverse_init(op, &options, &inverse));
    gsl_matrix *right = gsl_matrix_calloc(2, 2), *wrong = gsl_matrix_calloc(2, 3);
    TEST_FAILS(fim_inverse_apply(&inverse, wrong, right), FIM_ERR_SHAPE, "(2, 3)");
    TEST_FAILS(fim_inverse_apply(&inverse, right, wrong), FIM_ERR_SHAPE, "(2, 3)");
    fim_inverse_clear(&inverse);
    fim_op_free(op);
    fim_op_free(broken);
}

// ---- Inverses with a tolerance ----

enum { D_A = 16, D_G = 24 };
static const double delta = 1e-3;

// Eigenvalues in [0, 1e-7] and `large` in front of them, in a random basis.
static gsl_matrix *nearly_low_rank(size_t n, size_t large, double size, uint64_t seed) {
    double values[D_G];
    for (size_t i = 0; i < n; i++)
        values[i] = i < large ? size / (double)(i + 1) : 1e-7 * (double)(n - i) / (double)n;
    const gsl_matrix *q = plain_random_orthogonal(n, n, seed);
    return plain_spectral(q, values, q);
}

// A ⊗ G + C ⊗ D (when there are two), where λ = 0.01 outweighs G but in `large` directions.
static fim_op *damped_sum(size_t terms, size_t large, double second) {
    gsl_matrix *a[2] = {nearly_low_rank(D_A, D_A, 5, 1), nearly_low_rank(D_A, 3, second, 2)},
               *g[2] = {nearly_low_rank(D_G, large, 0.05, 3), nearly_low_rank(D_G, 2, -second, 4)};
    fim_op *op = NULL;
    TEST_OK(fim_op_new_kronecker(terms, a, g, &op));
    for (size_t k = terms; k < 2; k++) {
        gsl_matrix_free(a[k]);
        gsl_matrix_free(g[k]);
    }
    return op;
}

// The matrix of the inverse, column by column.
static gsl_matrix *dense_of(const fim_inverse *inverse) {
    gsl_matrix *dense = gsl_matrix_alloc(D_A * D_G, D_A * D_G);
    gsl_matrix *x = gsl_matrix_alloc(D_A, D_G), *y = gsl_matrix_alloc(D_A, D_G);
    for (size_t p = 0; p < D_A * D_G; p++) {
        gsl_matrix_set_zero(x);
        x->data[p] = 1;
        TEST_OK(fim_inverse_apply(inverse, x, y));
        for (size_t q = 0; q < D_A * D_G; q++)
            gsl_matrix_set(dense, q, p, y->data[q]);
    }
    return dense;
}

// The largest |e| with E x = e F₁ x of E = X⁻¹ − P, for the matrix X of an inverse.
static double relative_error(const gsl_matrix *x, const gsl_matrix *p, const gsl_matrix *first) {
    gsl_matrix *inverted = plain_copy(x), *l = plain_copy(first);
    TEST_OK(fim_cholesky(inverted));
    TEST_OK(fim_cholesky_inverse(inverted));
    gsl_matrix *e = plain_sum(inverted, -1, p);
    TEST_OK(fim_cholesky(l));
    TEST_OK(fim_cholesky_congruence(l, e));
    const gsl_vector *values = plain_eigenvalues(e, NULL);
    return fmax(fabs(gsl_vector_get(values, 0)), fabs(gsl_vector_get(values, values->size - 1)));
}

// What the op is with damping λ on each factor of its first term, and that term.
static gsl_matrix *damped_dense(const fim_op *op, double lambda, gsl_matrix **first) {
    gsl_matrix *dense = gsl_matrix_alloc(D_A * D_G, D_A * D_G);
    TEST_OK(fim_op_dense(op, dense));
    fim_op *alone = damped_sum(1, 2, 0);
    gsl_matrix *one = gsl_matrix_alloc(D_A * D_G, D_A * D_G);
    TEST_OK(fim_op_dense(alone, one));
    fim_op_free(alone);
    const gsl_matrix *a = plain_sum(nearly_low_rank(D_A, D_A, 5, 1), lambda, plain_identity(D_A)),
                     *g = plain_sum(nearly_low_rank(D_G, 2, 0.05, 3), lambda, plain_identity(D_G));
    *first = plain_kronecker(a, g);
    return plain_sum(plain_sum(dense, -1, one), 1, *first);
}

Test(inverse, with_a_tolerance_inverts_what_is_near_the_damped_operator) {
    for (size_t terms = 1; terms <= 2; terms++) {
        fim_op *op = damped_sum(terms, 2, 0.02);
        const fim_inverse_options rough = {0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, delta},
                                  exact = {0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, 0};
        fim_inverse inverse, full;
        gsl_matrix *first;
        const gsl_matrix *p = damped_dense(op, 0.01, &first);
        TEST_OK(fim_inverse_init(op, &rough, &inverse));
        TEST_OK(fim_inverse_init(op, &exact, &full));
        cr_assert(inverse.m_g.dense == NULL && inverse.m_g.u->size2 == 2, "G is two directions and a number");
        cr_assert(inverse.m_a.dense != NULL, "A is not small");
        cr_assert(terms == 1 ? inverse.w == NULL : inverse.w->size1 < D_A / 2 && inverse.w->size2 < D_G / 2);
        const double error = relative_error(dense_of(&inverse), p, first);
        cr_assert(error > 1e-9 && error <= 3 * delta, "%zu terms: %g", terms, error);
        cr_assert(relative_error(dense_of(&full), p, first) <= 1e-10);
        cr_assert(epsilon_eq(dbl, inverse.log_det, full.log_det, 3 * delta * D_A * D_G));
        fim_inverse_clear(&inverse);
        fim_inverse_clear(&full);
        fim_op_free(op);
    }
}

Test(inverse, a_second_term_below_the_tolerance_is_left_out_and_a_large_one_taken_in_full) {
    const fim_inverse_options rough = {0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, delta},
                              tiny = {0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, 1e-12};
    fim_inverse inverse, exact;
    fim_op *small = damped_sum(2, 2, 1e-6), *large = damped_sum(2, 2, 0.02);
    TEST_OK(fim_inverse_init(small, &rough, &inverse));
    cr_assert(inverse.w == NULL && inverse.k_a == NULL && inverse.k_g == NULL && inverse.m_a.dense != NULL);
    fim_inverse_clear(&inverse);
    TEST_OK(fim_inverse_init(large, &tiny, &inverse));
    TEST_OK(fim_inverse_init(
        large, &(fim_inverse_options){0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, 0}, &exact));
    cr_assert(inverse.m_a.dense == NULL && inverse.w->size1 == D_A && inverse.w->size2 == D_G);
    cr_assert(epsilon_eq(dbl, plain_distance(dense_of(&inverse), dense_of(&exact)), 0, DBL_MIN));
    fim_inverse_clear(&inverse);
    fim_inverse_clear(&exact);
    fim_op_free(small);
    fim_op_free(large);
}

Test(inverse, the_rules_change_the_same_directions_with_a_tolerance) {
    fim_op *op = damped_sum(2, 2, 0.4); // 1 + s t is negative in one direction or more
    for (fim_indefinite rule = FIM_INDEFINITE_ABSOLUTE; rule <= FIM_INDEFINITE_FALLBACK; rule++) {
        fim_inverse rough, exact;
        TEST_OK(fim_inverse_init(op, &(fim_inverse_options){0.01, FIM_DAMPING_EACH, rule, delta}, &rough));
        TEST_OK(fim_inverse_init(op, &(fim_inverse_options){0.01, FIM_DAMPING_EACH, rule, 0}, &exact));
        cr_assert(exact.changed > 0 && rough.changed == exact.changed, "%zu and %zu", rough.changed,
                  exact.changed);
        cr_assert(rough.fell_back == exact.fell_back && rough.fell_back == (rule == FIM_INDEFINITE_FALLBACK));
        cr_assert(rough.m_g.dense == NULL && rough.m_g.u->size2 == 2);
        fim_inverse_clear(&rough);
        fim_inverse_clear(&exact);
    }
    fim_op_free(op);
}

Test(inverse, a_transposed_copy_acts_on_the_transpose_in_both_precisions) {
    fim_op *op = damped_sum(2, 2, 0.02);
    fim_inverse inverse, copy;
    fim_inverse_single single;
    TEST_OK(fim_inverse_init(
        op, &(fim_inverse_options){0.01, FIM_DAMPING_EACH, FIM_INDEFINITE_ABSOLUTE, delta}, &inverse));
    TEST_OK(fim_inverse_copy(&inverse, true, &copy));
    TEST_OK(fim_inverse_copy_single(&inverse, true, &single));
    const gsl_matrix *x = test_random_matrix(D_A, D_G, 6), *turned = plain_transpose(x);
    gsl_matrix *y = gsl_matrix_alloc(D_A, D_G), *z = gsl_matrix_alloc(D_G, D_A),
               *scratch = gsl_matrix_alloc(2, D_A * D_G);
    gsl_matrix_float *x1 = gsl_matrix_float_alloc(D_G, D_A), *z1 = gsl_matrix_float_alloc(D_G, D_A),
                     *scratch1 = gsl_matrix_float_alloc(2, D_A * D_G);
    for (size_t i = 0; i < D_A * D_G; i++)
        x1->data[i] = (float)turned->data[i];
    TEST_OK(fim_inverse_apply(&inverse, x, y));
    fim_inverse_multiply(&copy, turned, scratch, z);
    fim_inverse_multiply_single(&single, x1, scratch1, z1);
    cr_assert(epsilon_eq(dbl, plain_distance(z, plain_transpose(y)), 0, 1e-12 * plain_norm(y)));
    for (size_t i = 0; i < D_A * D_G; i++)
        cr_assert(epsilon_eq(dbl, (double)z1->data[i], z->data[i], 1e-5 * plain_norm(y)));
    fim_inverse_clear(&inverse);
    fim_inverse_clear(&copy);
    fim_inverse_clear_single(&single);
    fim_op_free(op);
}
