// Where KFAC's error is: every part against dense matrices, the sums, and blocks made to have one part only.
#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(decomposition, .init = scratch_begin, .fini = scratch_end);

static const test_shape shape = {3, {5, 4, 3, 4}, 0, FIM_ACTIVATION_TANH};
enum { SAMPLES = 20, LAYERS = 3 };

// A study of nothing but `methods`.
static fim_study_options options_for(const char *methods) {
    static const fim_metric **metrics;
    fim_method *parsed = NULL;
    fim_study_options o = {.fisher = {.kind = FIM_FISHER_EXACT}, .seed = 3, .budget = SIZE_MAX};
    TEST_OK(fim_method_parse_list(methods, &parsed, &o.n_methods));
    TEST_OK(fim_metric_parse_list("frobenius_error", &metrics, &o.n_metrics));
    o.methods = parsed;
    o.metrics = metrics;
    return o;
}

static fim_record new_report(void) {
    fim_record report;
    fim_record_init(&report, "report");
    return report;
}

static const fim_record *layer_of(const fim_record *report, size_t l) {
    const fim_record *checkpoints = fim_record_child(report, "checkpoints");
    cr_assert(checkpoints != NULL && checkpoints->n_children == 1);
    const fim_record *layers = fim_record_child(&checkpoints->children[0], "layers");
    cr_assert(layers != NULL && l < layers->n_children);
    return &layers->children[l];
}

static const fim_value *value_of(const fim_record *layer, const char *name) {
    char full[40];
    snprintf(full, sizeof full, "decomposition_%s", name);
    const fim_value *value = fim_record_value(layer, full);
    cr_assert(value != NULL, "layer %s has no value %s", layer->name, full);
    return value;
}

static double number(const fim_record *layer, const char *name) {
    const fim_value *value = value_of(layer, name);
    const bool there = !isnan(value->value);
    cr_assert(there, "%s of layer %s is missing: %s", value->name, layer->name, value->note);
    return value->value;
}

static void assert_number(const fim_record *layer, const char *name, double want, double tolerance) {
    cr_assert(epsilon_eq(dbl, number(layer, name), want, tolerance), "%s of layer %s", name, layer->name);
}

static void assert_sums(const fim_record *layer, double tolerance) {
    static const char *const parts[] = {"part_scale", "part_eigenvalues", "part_eigenbasis", "part_factors",
                                        "part_rank"};
    const double kfac = number(layer, "error_kfac"), scale = number(layer, "part_scale");
    cr_assert(epsilon_eq(dbl, scale + number(layer, "part_eigenvalues") + number(layer, "part_eigenbasis"),
                         kfac * kfac, 1e-14 * (1 + kfac * kfac)));
    cr_assert(epsilon_eq(dbl, scale + number(layer, "part_factors") + number(layer, "part_rank"), kfac * kfac,
                         tolerance));
    for (size_t i = 0; i < 5; i++)
        cr_assert(ge(dbl, number(layer, parts[i]), 0), "%s", parts[i]);
}

// ‖F − the best diagonal in the eigenbasis of A ⊗ G‖², from the rotated block itself.
static double best_diagonal2(const gsl_matrix *f, const gsl_matrix *a, const gsl_matrix *g) {
    gsl_matrix *u_a, *u_g;
    plain_eigenvalues(a, &u_a);
    plain_eigenvalues(g, &u_g);
    const gsl_matrix *u = plain_kronecker(u_a, u_g);
    gsl_matrix *rotated = plain_product(plain_transpose(u), plain_product(f, u));
    for (size_t i = 0; i < rotated->size1; i++)
        gsl_matrix_set(rotated, i, i, 0);
    return plain_dot(rotated, rotated);
}

static void assert_layer(const fim_record *layer, const fim_samples *s) {
    gsl_matrix *a = gsl_matrix_calloc(s->d_a, s->d_a), *g = gsl_matrix_calloc(s->d_g, s->d_g);
    gsl_matrix *trace_a = gsl_matrix_calloc(s->d_a, s->d_a), *trace_g = gsl_matrix_calloc(s->d_g, s->d_g);
    for (size_t n = 0; n < s->n; n++) {
        const gsl_matrix *outer = plain_outer(s, n), *covariance = plain_covariance(s, n);
        a = plain_sum(a, 1 / (double)s->n, outer);
        g = plain_sum(g, 1 / (double)s->n, covariance);
        trace_a = plain_sum(trace_a, plain_trace(covariance), outer);
        trace_g = plain_sum(trace_g, plain_trace(outer), covariance);
    }
    const gsl_matrix *f = plain_block(s), *k = plain_kronecker(a, g);
    const gsl_matrix *scaled = plain_sum(f, -plain_dot(f, k) / plain_dot(k, k), k);
    const gsl_vector *sigma = plain_singular_values(plain_rearranged(f, s->d_a, s->d_g), NULL, NULL);
    const double norm2 = plain_dot(f, f), kfac = plain_distance(f, k), scaled2 = plain_dot(scaled, scaled),
                 ekfac2 = best_diagonal2(f, a, g), tekfac2 = best_diagonal2(f, trace_a, trace_g);
    double floor2 = 0;
    for (size_t i = 1; i < sigma->size; i++)
        floor2 += gsl_vector_get(sigma, i) * gsl_vector_get(sigma, i);
    const double tolerance = 1e-12;
    assert_number(layer, "error_kfac", kfac / sqrt(norm2), tolerance);
    assert_number(layer, "error_scaled", sqrt(scaled2 / norm2), tolerance);
    assert_number(layer, "error_ekfac", sqrt(ekfac2 / norm2), tolerance);
    assert_number(layer, "error_tekfac", sqrt(tekfac2 / norm2), tolerance);
    assert_number(layer, "part_scale", (kfac * kfac - scaled2) / norm2, tolerance);
    assert_number(layer, "part_eigenvalues", (scaled2 - ekfac2) / norm2, tolerance);
    assert_number(layer, "part_eigenbasis", ekfac2 / norm2, tolerance);
    assert_number(layer, "part_factors", (scaled2 - floor2) / norm2, tolerance);
    assert_number(layer, "part_rank", floor2 / norm2, tolerance);
    assert_sums(layer, 1e-14);
}

Test(decomposition, every_part_is_that_of_dense_matrices) {
    static const fim_fisher_spec kinds[] = {
        {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 2, 9}, {FIM_FISHER_EMPIRICAL, 1, 0}};
    const fim_net net = test_network(FIM_CATEGORICAL, &shape, 1);
    const fim_data data = test_inputs(&net, SAMPLES, 2);
    for (size_t k = 0; k < 6; k++) { // with and without what the study could lend
        fim_study_options o = options_for(k < 3 ? "kfac,ekfac,tekfac" : "kfac");
        fim_record report = new_report();
        o.fisher = kinds[k % 3];
        TEST_OK(fim_study_network(&o, "some.h5", &net, &data, NULL, &report));
        for (size_t l = 0; l < LAYERS; l++) {
            const fim_samples s = plain_samples(&net, &data, &o.fisher, l);
            const fim_record *layer = layer_of(&report, l);
            assert_layer(layer, &s);
            for (size_t m = 0; m < layer->n_children; m++) { // the same as the study's own metrics
                static const char *const names[] = {"error_kfac", "error_ekfac", "error_tekfac"};
                assert_number(layer, names[m],
                              fim_record_value(&layer->children[m], "frobenius_error")->value, 1e-9);
            }
        }
    }
}

Test(decomposition, a_deep_linear_gaussian_network_has_no_error) {
    const test_shape linear = {3, {5, 4, 3, 4}, 0, FIM_ACTIVATION_IDENTITY};
    const fim_net net = test_network(FIM_GAUSSIAN, &linear, 1);
    const fim_data data = test_inputs(&net, SAMPLES, 2);
    const fim_study_options o = options_for("kfac");
    fim_record report = new_report();
    TEST_OK(fim_study_network(&o, "some.h5", &net, &data, NULL, &report));
    for (size_t l = 0; l < LAYERS; l++) {
        static const char *const errors[] = {"error_kfac", "error_scaled", "error_ekfac", "error_tekfac",
                                             "part_eigenbasis"};
        const fim_record *layer = layer_of(&report, l);
        for (size_t i = 0; i < 5; i++) {
            cr_assert(le(dbl, number(layer, errors[i]), 4e-7), "%s", errors[i]);
            cr_assert(strncmp(value_of(layer, errors[i])->note, "upper bound", 11) == 0, "%s: %s", errors[i],
                      value_of(layer, errors[i])->note);
        }
        assert_number(layer, "part_scale", 0, 1e-28);
        assert_number(layer, "part_eigenvalues", 0, 1e-28);
        assert_number(layer, "part_factors", 0, 2e-13);
        assert_number(layer, "part_rank", 0, 1e-14);
        assert_sums(layer, 2e-13);
    }
}

// ---- Blocks of one part, from a dump ----

enum { D_A = 4, D_G = 3 };

static gsl_matrix *positive(size_t n, uint64_t seed) {
    const gsl_matrix *m = test_random_matrix(n, n, seed);
    return plain_product(m, plain_transpose(m));
}

// The study of the block `dense` with the factors a and g; without them when `factors` is false.
static fim_record study_of_block(const gsl_matrix *dense, const gsl_matrix *a, const gsl_matrix *g,
                                 bool factors, const char *methods) {
    const fim_blocks_options with = {.factors = factors};
    const fim_study_options o = options_for(methods);
    const char *path = scratch("block");
    fim_blocks_writer *writer = NULL;
    fim_record report = new_report(), header = new_report();
    TEST_OK(fim_blocks_create(path, &header, true, &writer));
    TEST_OK(fim_blocks_add(writer, "only", D_A, D_G, SAMPLES, "exact", dense, a, g, NULL, &with));
    TEST_OK(fim_blocks_commit(writer));
    TEST_OK(fim_study_blocks(&o, path, NULL, &report));
    return report;
}

Test(decomposition, twice_the_factors_is_all_scale) {
    const gsl_matrix *a = positive(D_A, 1), *g = positive(D_G, 2);
    gsl_matrix *f = plain_kronecker(a, g);
    gsl_matrix_scale(f, 2);
    const fim_record report = study_of_block(f, a, g, true, "kfac");
    const fim_record *layer = layer_of(&report, 0);
    assert_number(layer, "error_kfac", 0.5, 1e-13);
    assert_number(layer, "part_scale", 0.25, 1e-13);
    assert_number(layer, "part_eigenvalues", 0, 1e-28);
    assert_number(layer, "part_eigenbasis", 0, 2e-13);
    assert_number(layer, "part_rank", 0, 1e-14);
    assert_sums(layer, 2e-13);
}

Test(decomposition, other_eigenvalues_in_the_same_basis_are_their_part_alone) {
    const gsl_matrix *a = positive(D_A, 1), *g = positive(D_G, 2);
    gsl_matrix *u_a, *u_g;
    const gsl_vector *values_a = plain_eigenvalues(a, &u_a), *values_g = plain_eigenvalues(g, &u_g);
    const gsl_matrix *u = plain_kronecker(u_a, u_g);
    // Λ = M + E with E orthogonal to M: the best multiple of M is M itself.
    double values[D_A * D_G], products[D_A * D_G], along = 0, size2 = 0, norm2 = 0, error2 = 0;
    for (size_t i = 0; i < D_A * D_G; i++) {
        products[i] = gsl_vector_get(values_a, i / D_G) * gsl_vector_get(values_g, i % D_G);
        values[i] = test_random(3, i);
        along += values[i] * products[i];
        size2 += products[i] * products[i];
    }
    for (size_t i = 0; i < D_A * D_G; i++) {
        const double e = values[i] - along / size2 * products[i];
        values[i] = products[i] + e;
        error2 += e * e;
        norm2 += values[i] * values[i];
    }
    const fim_record report = study_of_block(plain_spectral(u, values, u), a, g, true, "kfac");
    const fim_record *layer = layer_of(&report, 0);
    assert_number(layer, "error_kfac", sqrt(error2 / norm2), 1e-12);
    assert_number(layer, "part_scale", 0, 1e-26);
    assert_number(layer, "part_eigenvalues", error2 / norm2, 1e-12);
    assert_number(layer, "part_eigenbasis", 0, 2e-13);
    assert_sums(layer, 1e-12);
}

Test(decomposition, a_dump_without_factors_says_why) {
    static const char *const missing[] = {"error_kfac",       "error_scaled",    "error_ekfac", "part_scale",
                                          "part_eigenvalues", "part_eigenbasis", "part_factors"};
    const fim_samples s = test_samples(SAMPLES, D_A, D_G, 2, 5);
    const gsl_matrix *f = plain_block(&s);
    const fim_record report = study_of_block(f, NULL, NULL, false, "kfac"),
                     other = study_of_block(f, NULL, NULL, false, "tekfac");
    const fim_record *layer = layer_of(&report, 0);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        const fim_value *value = value_of(layer, missing[i]);
        cr_assert(isnan(value->value) && strstr(value->note, "--with") != NULL, "%s: %s", value->name,
                  value->note);
    }
    const double floor = fim_record_value(layer, "floor_1")->value;
    assert_number(layer, "part_rank", floor * floor, 1e-15);
    assert_number(layer, "error_tekfac",
                  fim_record_value(&layer_of(&other, 0)->children[0], "frobenius_error")->value, 1e-12);
}

Test(decomposition, is_about_kfac_only) {
    const gsl_matrix *a = positive(D_A, 1), *g = positive(D_G, 2);
    const fim_record report = study_of_block(plain_kronecker(a, g), a, g, true, "ekfac");
    const fim_record *layer = layer_of(&report, 0);
    for (size_t i = 0; i < layer->n_values; i++)
        cr_assert(strncmp(layer->values[i].name, "decomposition_", 14) != 0, "%s", layer->values[i].name);
}

// The Kronecker spectrum is what takes most memory: without it, its parts are missing and the others there.
Test(decomposition, without_the_kronecker_spectrum_the_first_sum_stays) {
    const test_shape wide = {2, {30, 29, 3}, 0, FIM_ACTIVATION_TANH};
    const fim_net net = test_network(FIM_CATEGORICAL, &wide, 1);
    const fim_data data = test_inputs(&net, 60, 2);
    fim_study_options o = options_for("kfac");
    o.layers = "0";
    fim_status status = FIM_ERR_BUDGET;
    for (o.budget = 20000; o.budget < 2000000; o.budget += 10000) {
        fim_record report = new_report();
        status = fim_study_network(&o, "some.h5", &net, &data, NULL, &report);
        if (status == FIM_OK) {
            const fim_record *layer = layer_of(&report, 0);
            cr_assert(fim_record_value(layer, "floor_1") == NULL, "budget %zu", o.budget);
            static const char *const missing[] = {"part_factors", "part_rank"};
            for (size_t i = 0; i < 2; i++) {
                const fim_value *value = value_of(layer, missing[i]);
                cr_assert(isnan(value->value) && strstr(value->note, "budget") != NULL, "%s", value->note);
            }
            assert_number(layer, "error_kfac",
                          fim_record_value(&layer->children[0], "frobenius_error")->value, 1e-12);
            return;
        }
        cr_assert(status == FIM_ERR_BUDGET, "%s", fim_message());
    }
    cr_assert(status == FIM_OK, "no budget lets the study end");
}
