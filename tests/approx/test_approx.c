// Every approximation against its definition in dense matrices, and every identity and inequality that holds
// between them, on blocks of networks, random samples and stored blocks. What must not be claimed is tested
// too, by a counterexample.
#include "fim/approx.h"
#include "fim/linalg.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(approx, .init = setup);

// ---- Blocks to try them on ----

typedef struct block {
    const char *name;
    fim_samples samples;
    fim_fisher *f;
    size_t d_a, d_g;
    gsl_matrix *dense, *r; // F and R(F), from loops
    gsl_vector *sigma;     // its Kronecker spectrum, by GSL
    double norm;
} block;

static void block_init(block *b, const char *name, fim_samples samples) {
    *b = (block){.name = name, .samples = samples, .d_a = samples.d_a, .d_g = samples.d_g};
    b->dense = plain_block(&samples);
    b->r = plain_rearranged(b->dense, b->d_a, b->d_g);
    b->sigma = plain_singular_values(b->r, NULL, NULL);
    b->norm = plain_norm(b->dense);
    TEST_OK(fim_fisher_new(&b->samples, &b->f));
}

enum { BLOCKS = 10 };
static block blocks[BLOCKS];

static void make_blocks(void) {
    setup();
    const test_shape classifier = {2, {5, 4, 3}, 0, FIM_ACTIVATION_TANH};
    const test_shape coder = {4, {6, 5, 3, 5, 6}, 0, FIM_ACTIVATION_SIGMOID};
    const fim_fisher_spec exact = {.kind = FIM_FISHER_EXACT}, mc = {FIM_FISHER_MC, 1, 3},
                          empirical = {.kind = FIM_FISHER_EMPIRICAL};
    const fim_net nets[2] = {test_network(FIM_CATEGORICAL, &classifier, 1),
                             test_network(FIM_BERNOULLI, &coder, 2)};
    const fim_data data[2] = {test_inputs(&nets[0], 25, 3), test_inputs(&nets[1], 25, 4)};
    block_init(&blocks[0], "classifier, exact, layer 0", plain_samples(&nets[0], &data[0], &exact, 0));
    block_init(&blocks[1], "classifier, exact, layer 1", plain_samples(&nets[0], &data[0], &exact, 1));
    block_init(&blocks[2], "coder, exact, layer 1", plain_samples(&nets[1], &data[1], &exact, 1));
    block_init(&blocks[3], "coder, mc:1, layer 2", plain_samples(&nets[1], &data[1], &mc, 2));
    block_init(&blocks[4], "coder, empirical, layer 0", plain_samples(&nets[1], &data[1], &empirical, 0));
    block_init(&blocks[5], "random rows", test_samples(30, 5, 4, 3, 5));
    block_init(&blocks[6], "random packed", test_samples(30, 4, 5, 0, 6));
    block_init(&blocks[7], "few random rows", test_samples(4, 5, 4, 1, 7));
    block_init(&blocks[8], "one output", test_samples(12, 5, 1, 1, 8));
    block_init(&blocks[9], "one input", test_samples(12, 1, 4, 2, 9));
}
TestSuite(contract, .init = make_blocks);

// ---- An approximation, built and looked into ----

typedef struct built {
    fim_op *op;
    fim_approx_info info;
    gsl_matrix *dense;
} built;

static fim_method method(const char *name) {
    fim_method m;
    TEST_OK(fim_method_parse(name, &m));
    return m;
}

static built build(const char *name, const fim_fisher *f) {
    const fim_method m = method(name);
    const fim_approx_options options = {.tolerance = 1e-12, .seed = 1};
    built a = {0};
    fim_status status = fim_approx_build(&m, f, &options, &a.op, &a.info);
    cr_assert(status == FIM_OK, "%s: %s", name, fim_message());
    const size_t d = fim_fisher_d_a(f) * fim_fisher_d_g(f);
    a.dense = gsl_matrix_alloc(d, d);
    TEST_OK(fim_op_dense(a.op, a.dense));
    return a;
}

// ‖F − F̂‖/‖F‖, densely.
static double error_of(const char *name, const block *b) {
    const built a = build(name, b->f);
    const double error = plain_distance(b->dense, a.dense) / b->norm;
    fim_op_free(a.op);
    return error;
}

static fim_status fetch(void *context, const char *name, const gsl_matrix *matrix) {
    const char *const *wanted = ((void **)context)[0];
    if (strcmp(name, *wanted) == 0)
        ((void **)context)[1] = plain_copy(matrix);
    return FIM_OK;
}

// A copy of the operator's matrix of that name.
static gsl_matrix *factor(const fim_op *op, const char *name) {
    void *context[2] = {&name, NULL};
    TEST_OK(fim_op_visit(op, fetch, context));
    cr_assert(context[1] != NULL, "no matrix %s", name);
    return context[1];
}

static void assert_dense(const built *got, const gsl_matrix *want, double tolerance, const block *b,
                         const char *name) {
    cr_assert(epsilon_eq(dbl, plain_distance(got->dense, want), 0, tolerance * b->norm), "%s of %s", name,
              b->name);
}

// √(Σ_{i >= r} σ_i²)/‖F‖.
static double floor_of(const block *b, size_t r) {
    double tail = 0;
    for (size_t i = r; i < b->sigma->size; i++)
        tail = hypot(tail, gsl_vector_get(b->sigma, i));
    return tail / b->norm;
}

// A and G of KFAC; the two partial traces.
static void means(const block *b, gsl_matrix **a, gsl_matrix **g) {
    *a = gsl_matrix_calloc(b->d_a, b->d_a);
    *g = gsl_matrix_calloc(b->d_g, b->d_g);
    for (size_t n = 0; n < b->samples.n; n++) {
        *a = plain_sum(*a, 1 / (double)b->samples.n, plain_outer(&b->samples, n));
        *g = plain_sum(*g, 1 / (double)b->samples.n, plain_covariance(&b->samples, n));
    }
}

static void partial_traces(const block *b, gsl_matrix **a, gsl_matrix **g) {
    *a = gsl_matrix_calloc(b->d_a, b->d_a);
    *g = gsl_matrix_calloc(b->d_g, b->d_g);
    for (size_t n = 0; n < b->samples.n; n++) {
        const gsl_matrix *outer = plain_outer(&b->samples, n), *covariance = plain_covariance(&b->samples, n);
        *a = plain_sum(*a, plain_trace(covariance) / (double)b->samples.n, outer);
        *g = plain_sum(*g, plain_trace(outer) / (double)b->samples.n, covariance);
    }
}

// The best rank-r approximation of R(F) put back in F's order.
static gsl_matrix *truncated(const gsl_matrix *r, size_t rank, size_t d_a, size_t d_g) {
    gsl_matrix *u, *v;
    gsl_vector *sigma = plain_singular_values(r, &u, &v);
    for (size_t i = rank; i < sigma->size; i++)
        gsl_vector_set(sigma, i, 0);
    return plain_arranged_back(plain_spectral(u, sigma->data, v), d_a, d_g);
}

// ---- The contract of all ----

Test(contract, every_method_builds_a_symmetric_operator_of_the_right_size) {
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    cr_assert(count == 9);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < BLOCKS; i++) {
            const built a = build(list[k].name, blocks[i].f);
            cr_assert(fim_op_d_a(a.op) == blocks[i].d_a && fim_op_d_g(a.op) == blocks[i].d_g);
            cr_assert(epsilon_eq(dbl, plain_asymmetry(a.dense), 0, 1e-14 * blocks[i].norm), "%s of %s",
                      list[k].name, blocks[i].name);
            cr_assert(a.info.converged &&
                          (!a.info.iterative || (a.info.products > 0 && a.info.residual <= 2e-12)),
                      "%s of %s: %zu products, residual %g", list[k].name, blocks[i].name, a.info.products,
                      a.info.residual);
            cr_assert(plain_distance(a.dense, blocks[i].dense) < (1 + 1e-12) * blocks[i].norm || k == 1,
                      "%s of %s is worse than nothing", list[k].name, blocks[i].name);
            cr_assert(strlen(list[k].about) > 10);
            fim_op_free(a.op);
        }
}

Test(contract, the_same_seed_gives_the_same_bits) {
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t k = 0; k < count; k++) {
        const built a = build(list[k].name, blocks[2].f), b = build(list[k].name, blocks[2].f);
        cr_assert(eq(dbl, test_max_difference(a.dense, b.dense), 0), "%s", list[k].name);
        fim_op_free(a.op);
        fim_op_free(b.op);
    }
}

Test(contract, a_stored_block_gives_the_same_as_its_samples) {
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t i = 0; i < BLOCKS; i++) {
        const block *b = &blocks[i];
        gsl_matrix *a, *g;
        fim_fisher *stored = NULL;
        means(b, &a, &g);
        TEST_OK(fim_fisher_new_dense(plain_copy(b->dense), b->d_a, b->d_g, b->samples.n, a, g, &stored));
        for (size_t k = 0; k < count; k++) {
            const built one = build(list[k].name, b->f), other = build(list[k].name, stored);
            // An eigenbasis within a repeated eigenvalue is arbitrary, and so is Λ there: those of few
            // samples are compared by their error.
            const double one_error = plain_distance(one.dense, b->dense);
            const double other_error = plain_distance(other.dense, b->dense);
            if (strstr(list[k].name, "ekfac") != NULL)
                cr_assert(fabs(one_error - other_error) < 1e-9 * b->norm || i == 7, "%s of %s", list[k].name,
                          b->name);
            else
                cr_assert(epsilon_eq(dbl, plain_distance(one.dense, other.dense), 0, 1e-10 * b->norm),
                          "%s of %s", list[k].name, b->name);
            fim_op_free(one.op);
            fim_op_free(other.op);
        }
        fim_fisher_free(stored);
    }
}

// ---- Each against its definition ----

Test(contract, diagonal_is_the_diagonal) {
    for (size_t i = 0; i < BLOCKS; i++) {
        const built a = build("diagonal", blocks[i].f);
        gsl_matrix *want = gsl_matrix_calloc(a.dense->size1, a.dense->size1);
        for (size_t p = 0; p < want->size1; p++)
            gsl_matrix_set(want, p, p, gsl_matrix_get(blocks[i].dense, p, p));
        assert_dense(&a, want, 1e-14, &blocks[i], "diagonal");
    }
}

Test(contract, kfac_is_the_product_of_the_means) {
    for (size_t i = 0; i < BLOCKS; i++) {
        gsl_matrix *a, *g;
        means(&blocks[i], &a, &g);
        const built got = build("kfac", blocks[i].f);
        assert_dense(&got, plain_kronecker(a, g), 1e-13, &blocks[i], "kfac");
    }
}

Test(contract, tkfac_is_the_product_of_the_partial_traces_and_keeps_them) {
    for (size_t i = 0; i < BLOCKS; i++) {
        gsl_matrix *a, *g;
        partial_traces(&blocks[i], &a, &g);
        const double delta = plain_trace(a);
        const built got = build("tkfac", blocks[i].f);
        cr_assert(epsilon_eq(dbl, delta, plain_trace(blocks[i].dense), 1e-13 * delta));
        gsl_matrix *want = plain_kronecker(a, g);
        gsl_matrix_scale(want, 1 / delta);
        assert_dense(&got, want, 1e-13, &blocks[i], "tkfac");
        // One power step from the identities: R(F̂) vec(I) and R(F̂)ᵀ vec(I) are those of F.
        const gsl_matrix *r = plain_rearranged(got.dense, blocks[i].d_a, blocks[i].d_g);
        const gsl_matrix *over_g = plain_product(r, plain_column(plain_identity(blocks[i].d_g)));
        const gsl_matrix *over_a =
            plain_product(plain_transpose(r), plain_column(plain_identity(blocks[i].d_a)));
        cr_assert(epsilon_eq(dbl, test_max_difference(over_g, plain_column(a)), 0, 1e-13 * delta));
        cr_assert(epsilon_eq(dbl, test_max_difference(over_a, plain_column(g)), 0, 1e-13 * delta));
    }
}

// The bases are eigenbases of the right factors, and the diagonal is that of F in them.
static void check_eigenbasis(const char *name,
                             void (*factors)(const block *b, gsl_matrix **a, gsl_matrix **g)) {
    for (size_t i = 0; i < BLOCKS; i++) {
        const block *b = &blocks[i];
        gsl_matrix *side[2];
        factors(b, &side[0], &side[1]);
        const built got = build(name, b->f);
        const gsl_matrix *basis[2] = {factor(got.op, "u_a"), factor(got.op, "u_g")};
        for (size_t s = 0; s < 2; s++) {
            const gsl_matrix *q = basis[s], *qt = plain_transpose(q);
            cr_assert(epsilon_eq(dbl, test_max_difference(plain_product(qt, q), plain_identity(q->size1)), 0,
                                 1e-13));
            const gsl_matrix *rotated = plain_product(plain_product(qt, side[s]), q);
            for (size_t p = 0; p < q->size1; p++)
                for (size_t p2 = 0; p2 < p; p2++)
                    cr_assert(epsilon_eq(dbl, gsl_matrix_get(rotated, p, p2), 0, 1e-13 * plain_norm(side[s])),
                              "%s of %s: factor %zu is not diagonal in its basis", name, b->name, s);
        }
        const gsl_matrix *u = plain_kronecker(basis[0], basis[1]);
        const gsl_matrix *rotated = plain_product(plain_product(plain_transpose(u), b->dense), u);
        gsl_vector *lambda = gsl_vector_alloc(u->size1);
        double norm2 = 0;
        for (size_t p = 0; p < u->size1; p++) {
            gsl_vector_set(lambda, p, gsl_matrix_get(rotated, p, p));
            norm2 += gsl_matrix_get(rotated, p, p) * gsl_matrix_get(rotated, p, p);
        }
        assert_dense(&got, plain_spectral(u, lambda->data, u), 1e-13, b, name);
        // ‖F − UΛUᵀ‖² = ‖F‖² − ‖Λ‖².
        const double error = plain_distance(got.dense, b->dense);
        cr_assert(epsilon_eq(dbl, error * error, b->norm * b->norm - norm2, 1e-12 * b->norm * b->norm),
                  "%s of %s", name, b->name);
    }
}

Test(contract, ekfac_is_the_best_diagonal_in_the_eigenbasis_of_kfac) {
    check_eigenbasis("ekfac", means);
}

Test(contract, tekfac_is_the_best_diagonal_in_the_eigenbasis_of_tkfac) {
    check_eigenbasis("tekfac", partial_traces);
}

Test(contract, kpsvd_is_the_truncated_singular_value_decomposition) {
    for (size_t i = 0; i < BLOCKS; i++) {
        const block *b = &blocks[i];
        for (size_t rank = 1; rank <= 5; rank++) {
            char name[16];
            snprintf(name, sizeof name, "kpsvd:%zu", rank);
            const built got = build(name, b->f);
            // error² = Σ of the dropped σ²; the operator itself is unique where the spectrum has a gap.
            const double error = plain_distance(got.dense, b->dense) / b->norm;
            const double lowest = floor_of(b, rank);
            cr_assert(fabs(error - lowest) < 1e-7 && fabs(error * error - lowest * lowest) < 1e-12,
                      "%s of %s: error %g, floor %g", name, b->name, error, lowest);
            if (rank < b->sigma->size && gsl_vector_get(b->sigma, rank - 1) - gsl_vector_get(b->sigma, rank) >
                                             1e-3 * gsl_vector_get(b->sigma, 0))
                assert_dense(&got, truncated(b->r, rank, b->d_a, b->d_g), 1e-8, b, name);
            fim_op_free(got.op);
        }
    }
}

Test(contract, deflation_lanczos_and_kpsvd_2_are_one) {
    for (size_t i = 0; i < BLOCKS; i++) {
        const block *b = &blocks[i];
        const built deflation = build("deflation", b->f), lanczos = build("lanczos", b->f),
                    kpsvd = build("kpsvd:2", b->f);
        const gsl_matrix *want = truncated(b->r, 2, b->d_a, b->d_g);
        assert_dense(&deflation, want, 1e-9, b, "deflation");
        assert_dense(&lanczos, want, 1e-9, b, "lanczos");
        assert_dense(&kpsvd, want, 1e-9, b, "kpsvd:2");
        assert_dense(&kpsvd, lanczos.dense, 1e-15, b, "lanczos");
    }
}

Test(contract, kfac_corrected_adds_the_best_term_of_the_remainder) {
    for (size_t i = 0; i < BLOCKS; i++) {
        const block *b = &blocks[i];
        const built kfac = build("kfac", b->f), got = build("kfac-corrected", b->f);
        const gsl_matrix *remainder = plain_rearranged(plain_sum(b->dense, -1, kfac.dense), b->d_a, b->d_g);
        const gsl_vector *sigma = plain_singular_values(remainder, NULL, NULL);
        const double before = plain_norm(remainder), after = plain_distance(got.dense, b->dense);
        cr_assert(epsilon_eq(dbl, after * after, before * before - pow(gsl_vector_get(sigma, 0), 2),
                             1e-12 * b->norm * b->norm),
                  "%s", b->name);
        assert_dense(&got, plain_sum(kfac.dense, 1, truncated(remainder, 1, b->d_a, b->d_g)), 1e-8, b,
                     "kfac-corrected");
    }
}

// ---- What holds between them ----

Test(contract, inequalities) {
    static const char *const pairs[][2] = {{"deflation", "kfac-corrected"},
                                           {"kfac-corrected", "kfac"},
                                           {"kpsvd", "kfac"},
                                           {"kpsvd", "tkfac"},
                                           {"ekfac", "kfac"},
                                           {"tekfac", "tkfac"},
                                           {"kpsvd:2", "kpsvd"},
                                           {"kpsvd:3", "kpsvd:2"}};
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
            const double better = error_of(pairs[k][0], &blocks[i]),
                         worse = error_of(pairs[k][1], &blocks[i]);
            cr_assert(better <= worse + 1e-12, "%s: %s %.17g, %s %.17g", blocks[i].name, pairs[k][0], better,
                      pairs[k][1], worse);
        }
}

Test(contract, no_approximation_of_r_terms_beats_the_floor) {
    static const struct {
        const char *name;
        size_t terms;
    } sums[] = {{"kfac", 1}, {"tkfac", 1}, {"kpsvd", 1}, {"kfac-corrected", 2}, {"deflation", 2}};
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 5; k++)
            cr_assert(error_of(sums[k].name, &blocks[i]) >= floor_of(&blocks[i], sums[k].terms) - 1e-8,
                      "%s of %s", sums[k].name, blocks[i].name);
}

Test(contract, traces_are_kept) {
    static const char *const keepers[] = {"diagonal", "tkfac", "ekfac", "tekfac"};
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 4; k++) {
            const built a = build(keepers[k], blocks[i].f);
            const double trace = plain_trace(blocks[i].dense);
            cr_assert(epsilon_eq(dbl, fim_op_trace(a.op), trace, 1e-13 * trace), "%s of %s", keepers[k],
                      blocks[i].name);
            fim_op_free(a.op);
        }
}

Test(contract, kfac_does_not_keep_the_trace) {
    const built a = build("kfac", blocks[5].f);
    const double trace = plain_trace(blocks[5].dense);
    cr_assert(fabs(fim_op_trace(a.op) - trace) > 0.01 * trace);
}

Test(contract, the_first_pair_is_semidefinite_and_all_have_a_positive_trace) {
    static const char *const names[] = {"kpsvd", "deflation", "lanczos", "kpsvd:4"};
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < 4; k++) {
            const built a = build(names[k], blocks[i].f);
            for (size_t s = 0; s < 2; s++) {
                const gsl_matrix *m = factor(a.op, s == 0 ? "a_0" : "g_0");
                const gsl_vector *values = plain_eigenvalues(m, NULL);
                cr_assert(gsl_vector_get(values, values->size - 1) >= -1e-9 * gsl_vector_get(values, 0),
                          "%s of %s: a negative direction in factor %zu", names[k], blocks[i].name, s);
            }
            const size_t terms =
                fim_op_bytes(a.op) / 8 / (blocks[i].d_a * blocks[i].d_a + blocks[i].d_g * blocks[i].d_g);
            for (size_t t = 0; t < terms; t++) {
                char name[24];
                snprintf(name, sizeof name, "a_%zu", t);
                cr_assert(plain_trace(factor(a.op, name)) >= 0, "%s of %s: term %zu", names[k],
                          blocks[i].name, t);
            }
            fim_op_free(a.op);
        }
}

Test(contract, two_terms_can_be_indefinite) {
    size_t indefinite = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        const built a = build("kpsvd:2", blocks[i].f);
        const gsl_vector *values = plain_eigenvalues(a.dense, NULL);
        indefinite += gsl_vector_get(values, values->size - 1) < -1e-3 * gsl_vector_get(values, 0);
    }
    cr_assert(indefinite > 0, "no case found: semidefinite in general it is not");
}

// No order holds between these: both orders occur.
Test(contract, some_orders_do_not_hold) {
    static const char *const pairs[][2] = {
        {"ekfac", "kpsvd"}, {"kfac-corrected", "kpsvd"}, {"tkfac", "kfac"}};
    for (size_t k = 0; k < 3; k++) {
        size_t below = 0, above = 0;
        for (uint64_t seed = 0; seed < 60 && (below == 0 || above == 0); seed++) {
            block b;
            block_init(&b, "random", test_samples(2 + seed % 7, 2 + seed % 3, 3, 1 + seed % 2, 100 + seed));
            const double one = error_of(pairs[k][0], &b), other = error_of(pairs[k][1], &b);
            below += one < other - 1e-6;
            above += one > other + 1e-6;
            fim_fisher_free(b.f);
        }
        cr_assert(below > 0 && (above > 0 || k == 1), "%s below %s: %zu, above: %zu", pairs[k][0],
                  pairs[k][1], below, above);
    }
}

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

// ---- Names ----

Test(approx, methods_are_parsed) {
    static const struct {
        const char *text, *name;
        size_t rank;
    } good[] = {{"kfac", "kfac", 1},         {"kpsvd", "kpsvd", 1},
                {"kpsvd:1", "kpsvd", 1},     {"kpsvd:3", "kpsvd:3", 3},
                {"kpsvd:007", "kpsvd:7", 7}, {"deflation", "deflation", 2},
                {"lanczos", "lanczos", 2},   {"kfac-corrected", "kfac-corrected", 2}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const fim_method m = method(good[i].text);
        TEST_TEXT(m.name, good[i].name);
        cr_assert(eq(sz, m.rank, good[i].rank));
        cr_assert(strncmp(m.approx->name, good[i].name, strlen(m.approx->name)) == 0);
    }
    fim_method m = {.rank = 77};
    TEST_FAILS(fim_method_parse("kfax", &m), FIM_ERR_UNKNOWN, "'kfax'");
    cr_assert(strstr(fim_message(), "kpsvd[:R]") != NULL && strstr(fim_message(), "kfac-corrected") != NULL,
              "%s", fim_message());
    TEST_FAILS(fim_method_parse("", &m), FIM_ERR_UNKNOWN, "unknown");
    TEST_FAILS(fim_method_parse("kfa", &m), FIM_ERR_UNKNOWN, "'kfa'");
    TEST_FAILS(fim_method_parse("KFAC", &m), FIM_ERR_UNKNOWN, "'KFAC'");
    TEST_FAILS(fim_method_parse("kfac:2", &m), FIM_ERR_ARGUMENT, "kfac takes no rank");
    TEST_FAILS(fim_method_parse("kpsvd:0", &m), FIM_ERR_ARGUMENT, "'0'");
    TEST_FAILS(fim_method_parse("kpsvd:", &m), FIM_ERR_ARGUMENT, "rank");
    TEST_FAILS(fim_method_parse("kpsvd:x", &m), FIM_ERR_ARGUMENT, "'x'");
    TEST_FAILS(fim_method_parse("kpsvd:-1", &m), FIM_ERR_ARGUMENT, "'-1'");
    cr_assert(m.rank == 77, "the output was touched");
}

Test(approx, lists_of_methods_drop_duplicates) {
    static const struct {
        const char *text, *names;
    } good[] = {{"kfac", "kfac "},
                {"kpsvd:3,kfac,kpsvd:3", "kpsvd:3 kfac "},
                {"kpsvd,kpsvd:1,kpsvd:2", "kpsvd kpsvd:2 "},
                {"all", "diagonal kfac tkfac ekfac tekfac kpsvd deflation lanczos kfac-corrected "},
                {"kpsvd:5,all,all,kfac",
                 "kpsvd:5 diagonal kfac tkfac ekfac tekfac kpsvd deflation lanczos kfac-corrected "}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_method *methods = NULL;
        size_t count = 0;
        char names[256] = "";
        TEST_OK(fim_method_parse_list(good[i].text, &methods, &count));
        for (size_t k = 0; k < count; k++)
            strcat(strcat(names, methods[k].name), " ");
        TEST_TEXT(names, good[i].names);
        free(methods);
    }
    fim_method *methods = NULL;
    size_t count = 77;
    TEST_FAILS(fim_method_parse_list("kfac,,ekfac", &methods, &count), FIM_ERR_UNKNOWN, "unknown method ''");
    TEST_FAILS(fim_method_parse_list("", &methods, &count), FIM_ERR_UNKNOWN, "unknown method ''");
    TEST_FAILS(fim_method_parse_list("all,kfax", &methods, &count), FIM_ERR_UNKNOWN, "'kfax'");
    cr_assert(methods == NULL && count == 77, "an output was touched");
}
