// Where approximations are exact and where not, how they follow maps of inputs and outputs, and what they do
// at the edges: too many terms, zeros, too few products, a block without its factors.
#include "blocks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(approx, .init = setup);

// ---- Where they are exact ----

static const char *const kronecker_methods[] = {"kfac",  "tkfac",     "ekfac",   "tekfac",
                                                "kpsvd", "deflation", "lanczos", "kfac-corrected"};

Test(approx, one_sample_is_exact) {
    for (size_t columns = 0; columns <= 3; columns++) {
        block b;
        block_init(&b, "one sample", test_samples(1, 5, 4, columns, 30 + columns));
        for (size_t k = 0; k < 8; k++)
            cr_assert(error_of(kronecker_methods[k], &b) < 1e-10, "%s, %zu columns", kronecker_methods[k],
                      columns);
    }
}

Test(approx, the_last_layer_is_exact_under_the_gaussian_likelihood) {
    const test_shape shape = {3, {4, 5, 4, 3}, 0, FIM_ACTIVATION_TANH};
    const fim_net net = test_network(FIM_GAUSSIAN, &shape, 31);
    const fim_data data = test_inputs(&net, 20, 32);
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
    block last, below;
    block_init(&last, "last", plain_samples(&net, &data, &exact, 2));
    block_init(&below, "below", plain_samples(&net, &data, &exact, 1));
    for (size_t k = 0; k < 8; k++)
        cr_assert(error_of(kronecker_methods[k], &last) < 1e-7, "%s", kronecker_methods[k]);
    cr_assert(error_of("kfac", &below) > 1e-3, "below a nonlinearity it is not exact");
}

Test(approx, deep_linear_networks_are_exact_under_the_gaussian_likelihood) {
    const test_shape shape = {4, {6, 5, 3, 5, 4}, 2, FIM_ACTIVATION_IDENTITY};
    const fim_net net = test_network(FIM_GAUSSIAN, &shape, 33),
                  other = test_network(FIM_BERNOULLI, &shape, 33);
    const fim_data data = test_inputs(&net, 30, 34);
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
    for (size_t l = 0; l < 4; l++) {
        fim_samples samples;
        block b;
        TEST_OK(fim_fisher_capture(&net, &data, &exact, &l, 1, SIZE_MAX, NULL, &samples));
        block_init(&b, "linear", samples);
        for (size_t k = 0; k < 8; k++) {
            cr_assert(error_of(kronecker_methods[k], &b) < 1e-7, "%s, layer %zu", kronecker_methods[k], l);
            // A remainder of rounding is no reason to go on.
            const built a = build(kronecker_methods[k], b.f);
            cr_assert(a.info.products < 200, "%s, layer %zu: %zu products", kronecker_methods[k], l,
                      a.info.products);
            fim_op_free(a.op);
        }
        cr_assert(error_of("diagonal", &b) > 0.1, "a diagonal is no Kronecker product");
        block_init(&b, "not gaussian", plain_samples(&other, &data, &exact, l));
        cr_assert(error_of("kfac", &b) > 1e-3, "the covariance of the outputs depends on the sample");
    }
}

Test(approx, kfac_is_not_exact_for_three_samples_and_a_nonlinearity) {
    const test_shape shape = {2, {3, 4, 2}, 0, FIM_ACTIVATION_TANH};
    const fim_net net = test_network(FIM_GAUSSIAN, &shape, 35);
    const fim_data data = test_inputs(&net, 3, 36);
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT};
    block b;
    block_init(&b, "three samples", plain_samples(&net, &data, &exact, 0));
    cr_assert(error_of("kfac", &b) > 1e-2);
    cr_assert(error_of("kpsvd:3", &b) < 1e-7, "but three terms are");
}

// ---- Covariance: samples mapped by a -> M a, g -> K g ----

static fim_samples mapped(const fim_samples *s, const gsl_matrix *m, const gsl_matrix *k) {
    fim_samples t = *s;
    t.a = plain_product(s->a, plain_transpose(m));
    t.g = plain_product(s->g, plain_transpose(k));
    return t;
}

// The distance of the approximation of mapped samples from the mapped approximation, over the norm of it.
static double covariance_defect(const char *name, const gsl_matrix *m, const gsl_matrix *k) {
    block b, c;
    block_init(&b, "before", test_samples(12, 4, 3, 2, 40));
    block_init(&c, "after", mapped(&b.samples, m, k));
    const gsl_matrix *map = plain_kronecker(m, k);
    const built before = build(name, b.f), after = build(name, c.f);
    const gsl_matrix *want = plain_product(plain_product(map, before.dense), plain_transpose(map));
    return plain_distance(after.dense, want) / plain_norm(want);
}

Test(approx, covariance_under_maps_of_inputs_and_outputs) {
    static const char *const orthogonal_only[] = {"tkfac",   "kpsvd", "kpsvd:3", "deflation",
                                                  "lanczos", "ekfac", "tekfac"};
    const gsl_matrix *q_a = plain_random_orthogonal(4, 4, 41), *q_g = plain_random_orthogonal(3, 3, 42);
    const gsl_matrix *m_a = test_random_matrix(4, 4, 43), *m_g = test_random_matrix(3, 3, 44);
    cr_assert(covariance_defect("kfac", m_a, m_g) < 1e-12, "KFAC under any invertible maps");
    cr_assert(covariance_defect("kfac", q_a, q_g) < 1e-12);
    for (size_t k = 0; k < sizeof orthogonal_only / sizeof *orthogonal_only; k++) {
        cr_assert(covariance_defect(orthogonal_only[k], q_a, q_g) < 1e-9, "%s under orthogonal maps",
                  orthogonal_only[k]);
        cr_assert(covariance_defect(orthogonal_only[k], m_a, m_g) > 1e-3, "%s must not be under others",
                  orthogonal_only[k]);
    }
    cr_assert(covariance_defect("diagonal", q_a, q_g) > 1e-3, "a diagonal depends on the axes");
}

Test(approx, duplicated_data_changes_nothing) {
    const fim_samples s = test_samples(9, 4, 3, 2, 45);
    fim_samples twice = {.n = 18, .d_a = 4, .d_g = 3, .columns = 2};
    twice.a = gsl_matrix_alloc(18, 4);
    twice.g = gsl_matrix_alloc(36, 3);
    for (size_t half = 0; half < 2; half++) {
        memcpy(gsl_matrix_ptr(twice.a, 9 * half, 0), s.a->data, 36 * sizeof(double));
        memcpy(gsl_matrix_ptr(twice.g, 18 * half, 0), s.g->data, 54 * sizeof(double));
    }
    block once, again;
    block_init(&once, "once", s);
    block_init(&again, "twice", twice);
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t k = 0; k < count; k++) {
        const built one = build(list[k].name, once.f), other = build(list[k].name, again.f);
        cr_assert(epsilon_eq(dbl, plain_distance(one.dense, other.dense), 0, 1e-10 * once.norm), "%s",
                  list[k].name);
    }
}

// ---- At the edges ----

Test(approx, repeated_samples_leave_fewer_terms_than_asked_for) {
    // Eight samples, four times two: R(F) has rank two, however many terms are wanted.
    const fim_samples s = test_samples(2, 6, 6, 1, 55);
    fim_samples repeated = {.n = 8, .d_a = 6, .d_g = 6, .columns = 1};
    repeated.a = gsl_matrix_alloc(8, 6);
    repeated.g = gsl_matrix_alloc(8, 6);
    for (size_t n = 0; n < 8; n++) {
        memcpy(gsl_matrix_ptr(repeated.a, n, 0), gsl_matrix_ptr(s.a, n % 2, 0), 6 * sizeof(double));
        memcpy(gsl_matrix_ptr(repeated.g, n, 0), gsl_matrix_ptr(s.g, n % 2, 0), 6 * sizeof(double));
    }
    block b;
    block_init(&b, "repeated", repeated);
    cr_assert(error_of("kpsvd:1", &b) > 0.01);
    cr_assert(error_of("kpsvd:2", &b) < 1e-9);
    cr_assert(error_of("kpsvd:5", &b) < 1e-9);
    cr_assert(error_of("deflation", &b) < 1e-9);
    const built a = build("kpsvd:5", b.f);
    cr_assert(fim_op_bytes(a.op) <= 5 * 72 * 8 && a.info.products < 200, "%zu products", a.info.products);
}

Test(approx, more_terms_than_there_are_are_exact) {
    block b;
    block_init(&b, "few", test_samples(3, 4, 4, 1, 50));
    const built a = build("kpsvd:100", b.f);
    cr_assert(plain_distance(a.dense, b.dense) < 1e-8 * b.norm);
    cr_assert(eq(sz, fim_op_bytes(a.op), 3 * 32 * 8), "three samples make three terms");
    block_init(&b, "small", test_samples(30, 2, 3, 2, 51));
    const built c = build("kpsvd:100", b.f);
    cr_assert(plain_distance(c.dense, b.dense) < 1e-8 * b.norm);
    cr_assert(eq(sz, fim_op_bytes(c.op), 3 * 13 * 8), "p_a = 3 terms at most");
}

Test(approx, a_block_of_zeros_is_approximated_by_zeros) {
    fim_samples s = test_samples(5, 4, 3, 2, 52);
    gsl_matrix_set_zero(s.g);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t k = 0; k < count; k++) {
        const built a = build(list[k].name, f);
        cr_assert(gsl_matrix_isnull(a.dense), "%s", list[k].name);
        fim_op_free(a.op);
    }
}

Test(approx, too_few_products_still_give_the_best_found) {
    static const char *const iterative[] = {"kpsvd", "kpsvd:3", "deflation", "lanczos", "kfac-corrected"};
    block b;
    block_init(&b, "random", test_samples(60, 7, 7, 2, 53));
    for (size_t k = 0; k < 5; k++) {
        const fim_method m = method(iterative[k]);
        const fim_approx_options options = {.tolerance = 1e-13, .max_products = 4, .seed = 1};
        fim_op *op = NULL;
        fim_approx_info info = {0};
        TEST_FAILS(fim_approx_build(&m, b.f, &options, &op, &info), FIM_NOT_CONVERGED, iterative[k]);
        cr_assert(strstr(fim_message(), "residual") != NULL && strstr(fim_message(), "products") != NULL);
        cr_assert(op != NULL && info.iterative && !info.converged && info.residual > 1e-13, "%s",
                  iterative[k]);
        gsl_matrix *dense = gsl_matrix_alloc(49, 49);
        TEST_OK(fim_op_dense(op, dense));
        cr_assert(plain_distance(dense, b.dense) < b.norm, "%s: better than nothing", iterative[k]);
        fim_op_free(op);
    }
}

Test(approx, kfac_needs_the_factors_of_a_stored_block) {
    static const char *const with_factors[] = {"kfac", "ekfac", "kfac-corrected"};
    static const char *const without[] = {"diagonal", "tkfac", "tekfac", "kpsvd", "deflation", "lanczos"};
    const fim_samples s = test_samples(9, 4, 3, 2, 54);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new_dense(plain_block(&s), 4, 3, 9, NULL, NULL, &f));
    for (size_t k = 0; k < 3; k++) {
        const fim_method m = method(with_factors[k]);
        const fim_approx_options options = {0};
        fim_op *op = NULL;
        fim_approx_info info = {.products = 77};
        TEST_FAILS(fim_approx_build(&m, f, &options, &op, &info), FIM_ERR_UNAVAILABLE, with_factors[k]);
        cr_assert(op == NULL && info.products == 77, "the outputs were touched");
    }
    for (size_t k = 0; k < 6; k++)
        fim_op_free(build(without[k], f).op);
    fim_fisher_free(f);
}
