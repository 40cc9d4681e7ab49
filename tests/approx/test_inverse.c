// The damped inverse of every approximation: its application against a dense solve with the damped operator,
// which is assembled here from the factors; what the rules make of indefinite sums against dense functions of
// matrices; and the directions they change against the inertia of the damped operator.
#include <gsl/gsl_linalg.h>

#include "blocks.h"

enum { BLOCKS = 5 };
static block blocks[BLOCKS];

static void make_blocks(void) {
    fim_linalg_setup(1);
    const test_shape classifier = {2, {5, 4, 3}, 0, FIM_ACTIVATION_TANH};
    const test_shape coder = {4, {6, 5, 3, 5, 6}, 0, FIM_ACTIVATION_SIGMOID};
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT}, mc = {FIM_FISHER_MC, 1, 3};
    const fim_net nets[2] = {test_network(FIM_CATEGORICAL, &classifier, 1),
                             test_network(FIM_BERNOULLI, &coder, 2)};
    const fim_data data[2] = {test_inputs(&nets[0], 25, 3), test_inputs(&nets[1], 25, 4)};
    block_init(&blocks[0], "classifier, exact, layer 0", plain_samples(&nets[0], &data[0], &exact, 0));
    block_init(&blocks[1], "coder, mc:1, layer 2", plain_samples(&nets[1], &data[1], &mc, 2));
    block_init(&blocks[2], "random rows", test_samples(30, 5, 4, 3, 5));
    block_init(&blocks[3], "few random rows", test_samples(4, 5, 4, 1, 7));
    block_init(&blocks[4], "one output", test_samples(12, 5, 1, 1, 8));
}
TestSuite(inverse, .init = make_blocks);

static const char *const one_term[] = {"kfac", "tkfac", "kpsvd"};
static const char *const two_terms[] = {"deflation", "lanczos", "kfac-corrected"};
static const char *const in_basis[] = {"diagonal", "ekfac", "tekfac"};
static const double dampings[] = {1e-3, 0.3};

static gsl_matrix *shifted(const gsl_matrix *m, double add) {
    return plain_sum(m, add, plain_identity(m->size1));
}

// The damped first term, by the formulas of the forms; *rest is what is added to it as it is.
static gsl_matrix *damped_first(const built *b, fim_damping_form form, double lambda, gsl_matrix **rest) {
    const gsl_matrix *a = factor(b->op, "a_0"), *g = factor(b->op, "g_0");
    *rest = plain_sum(b->dense, -1, plain_kronecker(a, g));
    const bool two = plain_norm(*rest) > 1e-9 * plain_norm(b->dense);
    const double pi = sqrt((plain_trace(a) / (double)a->size1) / (plain_trace(g) / (double)g->size1)),
                 root = sqrt(lambda);
    switch (form) {
    case FIM_DAMPING_FACTOR:
        return plain_kronecker(shifted(a, root), shifted(g, root));
    case FIM_DAMPING_FACTOR_PI:
        return plain_kronecker(shifted(a, pi * root), shifted(g, root / pi));
    case FIM_DAMPING_EACH:
        return plain_kronecker(shifted(a, lambda), shifted(g, lambda));
    case FIM_DAMPING_PAPER:
        return plain_kronecker(shifted(a, two ? lambda : root), shifted(g, two ? lambda : root));
    case FIM_DAMPING_EXACT:
        break;
    }
    return shifted(plain_kronecker(a, g), lambda);
}

// m⁻¹ column by GSL's LU, and ln |det m|.
static gsl_matrix *dense_solve(const gsl_matrix *m, const gsl_matrix *x, double *log_det) {
    gsl_matrix *lu = plain_copy(m), *y = gsl_matrix_alloc(x->size1, 1);
    gsl_permutation *p = gsl_permutation_alloc(m->size1);
    int sign;
    gsl_linalg_LU_decomp(lu, p, &sign);
    gsl_vector_const_view right = gsl_matrix_const_column(x, 0);
    gsl_vector_view left = gsl_matrix_column(y, 0);
    cr_assert(gsl_linalg_LU_solve(lu, p, &right.vector, &left.vector) == 0);
    *log_det = gsl_linalg_LU_lndet(lu);
    return y;
}

// What is applied, column by column.
static gsl_matrix *applied(const fim_inverse *inverse, const gsl_matrix *x) {
    gsl_matrix *y = test_random_matrix(inverse->d_a, inverse->d_g, 91);
    TEST_OK(fim_inverse_apply(inverse, plain_parameters(x, inverse->d_a, inverse->d_g), y));
    return plain_column(y);
}

static void assert_inverts(const fim_inverse *inverse, const gsl_matrix *damped, const char *name) {
    const gsl_matrix *x = test_random_matrix(damped->size1, 1, 90);
    double log_det;
    const gsl_matrix *want = dense_solve(damped, x, &log_det);
    cr_assert(epsilon_eq(dbl, plain_distance(applied(inverse, x), want), 0, 1e-10 * plain_norm(want)), "%s",
              name);
    cr_assert(epsilon_eq(dbl, inverse->log_det, log_det, 1e-9 * (1 + fabs(log_det))), "%s: log det", name);
}

Test(inverse, of_one_term_solves_with_the_damped_operator_in_every_form) {
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 3; k++)
            for (fim_damping_form form = FIM_DAMPING_FACTOR; form <= FIM_DAMPING_EXACT; form++)
                for (size_t l = 0; l < 2; l++) {
                    const double lambda = dampings[l] * blocks[i].norm;
                    const fim_inverse_options options = {lambda, form, FIM_INDEFINITE_ABSOLUTE, 0};
                    const built b = build(one_term[k], blocks[i].f);
                    gsl_matrix *rest;
                    const gsl_matrix *damped = damped_first(&b, form, lambda, &rest);
                    fim_inverse inverse;
                    TEST_OK(fim_inverse_init(b.op, &options, &inverse));
                    assert_inverts(&inverse, damped, one_term[k]);
                    cr_assert(inverse.changed == 0 && !inverse.fell_back);
                    fim_inverse_clear(&inverse);
                    fim_op_free(b.op);
                }
}

Test(inverse, of_a_diagonal_in_a_basis_is_exactly_damped_in_every_form) {
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 3; k++)
            for (fim_damping_form form = FIM_DAMPING_FACTOR; form <= FIM_DAMPING_EXACT; form++) {
                const double lambda = 1e-3 * blocks[i].norm;
                const fim_inverse_options options = {lambda, form, FIM_INDEFINITE_ABSOLUTE, 0};
                const built b = build(in_basis[k], blocks[i].f);
                fim_inverse inverse;
                TEST_OK(fim_inverse_init(b.op, &options, &inverse));
                assert_inverts(&inverse, shifted(b.dense, lambda), in_basis[k]);
                cr_assert(inverse.changed == 0 && !inverse.fell_back);
                fim_inverse_clear(&inverse);
                fim_op_free(b.op);
            }
}

// first^{-1/2} f(first^{-1/2} m first^{-1/2}) first^{-1/2}, f by the rule; *below: eigenvalues under its
// bound.
static gsl_matrix *ruled_inverse(const gsl_matrix *first, const gsl_matrix *m, fim_indefinite rule,
                                 size_t *below) {
    gsl_matrix *u, *q;
    gsl_vector *values = plain_eigenvalues(first, &u);
    for (size_t i = 0; i < values->size; i++)
        gsl_vector_set(values, i, 1 / sqrt(gsl_vector_get(values, i)));
    const gsl_matrix *root = plain_spectral(u, values->data, u);
    values = plain_eigenvalues(plain_product(plain_product(root, m), root), &q);
    *below = 0;
    for (size_t i = 0; i < values->size; i++) {
        double v = gsl_vector_get(values, i);
        *below += v < (rule == FIM_INDEFINITE_CLAMP ? 0.1 : 0);
        v = rule == FIM_INDEFINITE_CLAMP ? fmax(v, 0.1) : fabs(v);
        gsl_vector_set(values, i, 1 / v);
    }
    return plain_product(plain_product(root, plain_spectral(q, values->data, q)), root);
}

Test(inverse, of_two_terms_follows_the_rule_for_indefinite_sums) {
    size_t indefinite = 0, definite = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 3; k++)
            for (fim_damping_form form = FIM_DAMPING_FACTOR; form <= FIM_DAMPING_PAPER; form++)
                for (size_t l = 0; l < 2; l++)
                    for (fim_indefinite rule = FIM_INDEFINITE_ABSOLUTE; rule <= FIM_INDEFINITE_FALLBACK;
                         rule++) {
                        const double lambda = dampings[l] * blocks[i].norm;
                        const fim_inverse_options options = {lambda, form, rule, 0};
                        const built b = build(two_terms[k], blocks[i].f);
                        gsl_matrix *rest;
                        const gsl_matrix *first = damped_first(&b, form, lambda, &rest);
                        const gsl_matrix *damped = plain_sum(first, 1, rest);
                        size_t negative = 0, below;
                        const gsl_vector *values = plain_eigenvalues(damped, NULL);
                        for (size_t p = 0; p < values->size; p++)
                            negative += gsl_vector_get(values, p) < 0;
                        const gsl_matrix *x = test_random_matrix(damped->size1, 1, 90);
                        const gsl_matrix *want = plain_product(ruled_inverse(first, damped, rule, &below), x);
                        fim_inverse inverse;
                        TEST_OK(fim_inverse_init(b.op, &options, &inverse));
                        cr_assert(eq(sz, inverse.changed, below), "%s of %s", two_terms[k], blocks[i].name);
                        if (rule != FIM_INDEFINITE_CLAMP)
                            cr_assert(eq(sz, inverse.changed, negative), "%s", blocks[i].name);
                        cr_assert(inverse.fell_back == (rule == FIM_INDEFINITE_FALLBACK && negative > 0));
                        if (inverse.fell_back)
                            assert_inverts(&inverse, first, two_terms[k]);
                        else if (inverse.changed == 0)
                            assert_inverts(&inverse, damped, two_terms[k]);
                        if (!inverse.fell_back)
                            cr_assert(epsilon_eq(dbl, plain_distance(applied(&inverse, x), want), 0,
                                                 1e-10 * plain_norm(want)),
                                      "%s of %s, rule %s", two_terms[k], blocks[i].name,
                                      fim_indefinite_name(rule));
                        indefinite += negative > 0;
                        definite += negative == 0;
                        fim_inverse_clear(&inverse);
                        fim_op_free(b.op);
                    }
    cr_assert(indefinite > 5 && definite > 5, "%zu indefinite and %zu definite sums", indefinite, definite);
}

Test(inverse, what_has_no_closed_form_says_what_has_one) {
    const fim_inverse_options factor = {0.1, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0},
                              exact = {0.1, FIM_DAMPING_EXACT, FIM_INDEFINITE_ABSOLUTE, 0};
    const built three = build("kpsvd:3", blocks[2].f), two = build("kpsvd:2", blocks[2].f);
    fim_inverse inverse = {.changed = 77};
    TEST_FAILS(fim_inverse_init(three.op, &factor, &inverse), FIM_ERR_UNAVAILABLE, "at most two");
    TEST_FAILS(fim_inverse_init(two.op, &exact, &inverse), FIM_ERR_UNAVAILABLE,
               "factor, factor-pi, each or paper");
    cr_assert(inverse.changed == 77 && inverse.k_a == NULL, "the output was touched");
    TEST_OK(fim_inverse_init(two.op, &factor, &inverse));
    fim_inverse_clear(&inverse);
}
