// The study: which samples and layers it takes, and every number of its report against an independent dense
// computation; the same study from a dump.
#include <sys/stat.h>

#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(study, .init = scratch_begin, .fini = scratch_end);

// ---- What is analyzed ----

Test(study, a_subset_is_seeded_sorted_and_without_repetition) {
    const size_t n = 40;
    fim_data data = {.x = gsl_matrix_alloc(n, 2), .y = gsl_matrix_alloc(n, 1)}, one, same, other;
    TEST_OK(fim_alloc(n, sizeof *data.labels, "labels", &data.labels));
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_set(data.x, r, 0, (double)r);
        gsl_matrix_set(data.x, r, 1, 0);
        gsl_matrix_set(data.y, r, 0, (double)r);
        data.labels[r] = (uint32_t)r;
    }
    TEST_OK(fim_study_subset(&data, 15, 3, &one));
    TEST_OK(fim_study_subset(&data, 15, 3, &same));
    TEST_OK(fim_study_subset(&data, 15, 4, &other));
    cr_assert(one.x->size1 == 15 && one.x->size2 == 2 && one.y->size1 == 15);
    for (size_t r = 0; r < 15; r++) {
        const double row = gsl_matrix_get(one.x, r, 0);
        cr_assert(r == 0 || row > gsl_matrix_get(one.x, r - 1, 0), "in increasing order");
        cr_assert(gsl_matrix_get(one.y, r, 0) == row && one.labels[r] == (uint32_t)row, "rows stay together");
    }
    cr_assert(eq(dbl, test_max_difference(one.x, same.x), 0), "the same seed");
    cr_assert(gt(dbl, test_max_difference(one.x, other.x), 0), "another seed");
    fim_data_clear(&one);
    fim_data_clear(&same);
    fim_data_clear(&other);

    // Every row is drawn as often as any other: 400 draws of 10 out of 40, expected 100 each, σ = 8.7.
    size_t drawn[40] = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        TEST_OK(fim_study_subset(&data, 10, seed, &one));
        for (size_t r = 0; r < 10; r++)
            drawn[one.labels[r]]++;
        fim_data_clear(&one);
    }
    for (size_t r = 0; r < n; r++)
        cr_assert(drawn[r] > 55 && drawn[r] < 145, "row %zu was drawn %zu times", r, drawn[r]);

    for (size_t k = 0; k < 2; k++) { // all, in order
        TEST_OK(fim_study_subset(&data, k * n, 5, &one));
        cr_assert(eq(dbl, test_max_difference(one.x, data.x), 0));
        fim_data_clear(&one);
    }
    one.x = NULL;
    TEST_FAILS(fim_study_subset(&data, n + 1, 3, &one), FIM_ERR_ARGUMENT,
               "41 samples were asked for, the data hold 40");
    cr_assert(one.x == NULL);
}

Test(study, five_hundred_and_twelve_samples_unless_told) {
    fim_data data = {.x = test_random_matrix(600, 1, 1)}, subset;
    TEST_OK(fim_study_subset(&data, 0, 1, &subset));
    cr_assert(eq(sz, subset.x->size1, 512));
    TEST_OK(fim_study_subset(&data, 600, 1, &subset));
    cr_assert(eq(dbl, test_max_difference(subset.x, data.x), 0));
}

Test(study, layers_are_parsed) {
    static const struct {
        const char *text;
        size_t count, layers[4];
    } good[] = {{NULL, 4, {0, 1, 2, 3}}, {"2", 1, {2}}, {"0,3", 2, {0, 3}}, {"3,1,3", 2, {1, 3}}};
    size_t *layers = NULL, count = 0;
    for (size_t i = 0; i < 4; i++) {
        TEST_OK(fim_study_layers(good[i].text, 4, &layers, &count));
        cr_assert(eq(sz, count, good[i].count));
        for (size_t k = 0; k < count; k++)
            cr_assert(eq(sz, layers[k], good[i].layers[k]));
        free(layers);
    }
    static const char *const bad[] = {"", "4", "0,,1", "1,", "-1", "x", "0 1", "1.0", "99999999999999999999"};
    layers = NULL;
    count = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        TEST_FAILS(fim_study_layers(bad[i], 4, &layers, &count), FIM_ERR_ARGUMENT, "layer");
        cr_assert(strstr(fim_message(), "from 0 to 3") != NULL, "'%s'", fim_message());
    }
    cr_assert(layers == NULL && count == 77, "an output was touched");
}

// ---- A whole study ----

typedef struct study {
    fim_net net;
    fim_data data;
    fim_method *methods;
    const fim_metric **metrics;
    fim_study_options options;
    fim_record report;
} study;

static const test_shape shape = {3, {5, 4, 3, 4}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 30, SAMPLES = 20, LAYERS = 3 };

static study study_init(const char *methods, const char *metrics) {
    study s = {.net = test_network(FIM_CATEGORICAL, &shape, 1)};
    s.data = test_inputs(&s.net, ROWS, 2);
    s.options = (fim_study_options){.fisher = {.kind = FIM_FISHER_EXACT},
                                    .samples = SAMPLES,
                                    .seed = 3,
                                    .budget = SIZE_MAX,
                                    .factors = true,
                                    .tolerance = 1e-12};
    TEST_OK(fim_method_parse_list(methods, &s.methods, &s.options.n_methods));
    TEST_OK(fim_metric_parse_list(metrics, &s.metrics, &s.options.n_metrics));
    s.options.methods = s.methods;
    s.options.metrics = s.metrics;
    fim_record_init(&s.report, "report");
    return s;
}

static const fim_record *layer_of(const study *s, const char *checkpoint, const char *layer) {
    const fim_record *record = fim_record_child(&s->report, "checkpoints");
    record = record != NULL ? fim_record_child(record, checkpoint) : NULL;
    record = record != NULL ? fim_record_child(record, "layers") : NULL;
    record = record != NULL ? fim_record_child(record, layer) : NULL;
    cr_assert(record != NULL, "no layer %s of checkpoint %s", layer, checkpoint);
    return record;
}

static double number(const fim_record *record, const char *name) {
    const fim_value *value = fim_record_value(record, name);
    cr_assert(value != NULL, "%s has no value %s", record->name, name);
    const bool there = !isnan(value->value);
    cr_assert(there, "%s of %s is missing: %s", name, record->name, value->note);
    return value->value;
}

static void assert_missing(const fim_record *record, const char *name, const char *why) {
    const fim_value *value = fim_record_value(record, name);
    cr_assert(value != NULL && isnan(value->value), "%s of %s is there", name, record->name);
    cr_assert(strstr(value->note, why) != NULL, "%s of %s: '%s' lacks '%s'", name, record->name, value->note,
              why);
}

static gsl_vector *curve(const fim_record *record, const char *name) {
    const fim_curve *found = fim_record_curve(record, name);
    cr_assert(found != NULL, "%s has no curve %s", record->name, name);
    return found->values;
}

// The operator put together from the factors that the report keeps.
static gsl_matrix *dense_from_tables(const fim_record *method, size_t d_a, size_t d_g) {
    gsl_matrix *sum = gsl_matrix_calloc(d_a * d_g, d_a * d_g);
    const fim_table *lambda = fim_record_table(method, "lambda");
    if (lambda != NULL) {
        const fim_table *u_a = fim_record_table(method, "u_a"), *u_g = fim_record_table(method, "u_g");
        const gsl_matrix *u = plain_kronecker(u_a != NULL ? u_a->values : plain_identity(d_a),
                                              u_g != NULL ? u_g->values : plain_identity(d_g));
        return plain_spectral(u, plain_column(lambda->values)->data, u);
    }
    for (size_t k = 0; k < 9; k++) {
        char name[2][4] = {{'a', '_', (char)('0' + k)}, {'g', '_', (char)('0' + k)}};
        const fim_table *a = fim_record_table(method, name[0]), *g = fim_record_table(method, name[1]);
        if (a != NULL && g != NULL)
            sum = plain_sum(sum, 1, plain_kronecker(a->values, g->values));
    }
    return sum;
}

static void assert_block(const fim_record *record, const gsl_matrix *f, size_t d_a, size_t d_g) {
    const gsl_vector *sigma = plain_singular_values(plain_rearranged(f, d_a, d_g), NULL, NULL);
    const gsl_vector *values = plain_eigenvalues(f, NULL);
    const double norm = plain_norm(f);
    cr_assert(number(record, "d_a") == (double)d_a && number(record, "d_g") == (double)d_g);
    cr_assert(number(record, "parameters") == (double)(d_a * d_g) && number(record, "samples") == SAMPLES);
    cr_assert(epsilon_eq(dbl, number(record, "fisher_norm"), norm, 1e-12 * norm));
    cr_assert(epsilon_eq(dbl, number(record, "fisher_trace"), plain_trace(f), 1e-12 * norm));
    cr_assert(
        epsilon_eq(dbl, plain_vector_difference(curve(record, "eigenvalues"), values), 0, 1e-12 * norm));
    cr_assert(epsilon_eq(dbl, plain_vector_difference(curve(record, "kronecker_singular_values"), sigma), 0,
                         1e-7 * norm));
    static const size_t ranks[] = {1, 2, 3, 5, 10};
    size_t one_percent = 0;
    for (size_t r = 0; r <= sigma->size; r++) {
        double tail = 0;
        for (size_t i = r; i < sigma->size; i++)
            tail = hypot(tail, gsl_vector_get(sigma, i));
        for (size_t k = 0; k < 5; k++)
            if (ranks[k] == r || (r == sigma->size && ranks[k] > r)) {
                char name[16];
                snprintf(name, sizeof name, "floor_%zu", ranks[k]);
                cr_assert(epsilon_eq(dbl, number(record, name), tail / norm, 1e-7), "%s", name);
            }
        one_percent += tail > 0.01 * norm;
    }
    cr_assert(number(record, "rank_1_percent") == (double)one_percent);
}

static void assert_method(const fim_record *record, const gsl_matrix *f, size_t d_a, size_t d_g) {
    const gsl_matrix *op = dense_from_tables(record, d_a, d_g);
    const gsl_vector *exact = plain_eigenvalues(f, NULL), *values = plain_eigenvalues(op, NULL);
    const gsl_vector *difference = plain_eigenvalues(plain_sum(f, -1, op), NULL);
    const size_t d = d_a * d_g;
    const double norm = plain_norm(f),
                 largest = fmax(gsl_vector_get(difference, 0), -gsl_vector_get(difference, d - 1));
    double distance = 0, negative = 0, bytes = 0;
    for (size_t i = 0; i < d; i++) {
        distance = hypot(distance, gsl_vector_get(exact, i) - gsl_vector_get(values, i));
        negative += gsl_vector_get(values, i) < -1e-9 * gsl_vector_get(values, 0);
    }
    for (size_t i = 0; i < record->n_tables; i++)
        bytes += (double)(record->tables[i].values->size1 * record->tables[i].values->size2 * sizeof(double));
    cr_assert(epsilon_eq(dbl, number(record, "frobenius_error"), plain_distance(f, op) / norm, 1e-9), "%s",
              record->name);
    cr_assert(epsilon_eq(dbl, number(record, "spectrum_error"), distance / norm, 1e-11), "%s", record->name);
    cr_assert(epsilon_eq(dbl, number(record, "trace_error"), plain_trace(op) / plain_trace(f) - 1, 1e-12),
              "%s", record->name);
    cr_assert(
        epsilon_eq(dbl, number(record, "spectral_norm_error"), largest / gsl_vector_get(exact, 0), 1e-8),
        "%s", record->name);
    cr_assert(epsilon_eq(dbl, number(record, "min_eigenvalue"), gsl_vector_get(values, d - 1), 1e-12 * norm),
              "%s", record->name);
    cr_assert(number(record, "negative_eigenvalues") == negative && number(record, "bytes") == bytes, "%s",
              record->name);
    cr_assert(number(record, "build_seconds") > 0 && number(record, "build_seconds") < 5, "%s", record->name);
    cr_assert(epsilon_eq(dbl, plain_vector_difference(curve(record, "eigenvalues"), values), 0, 1e-12 * norm),
              "%s", record->name);
}

// The block of layer l at the samples that the study draws.
static gsl_matrix *block_of(const study *s, size_t l) {
    fim_data subset;
    TEST_OK(fim_study_subset(&s->data, s->options.samples, s->options.seed, &subset));
    const fim_samples samples = plain_samples(&s->net, &subset, &s->options.fisher, l);
    return plain_block(&samples);
}

Test(study, every_number_is_that_of_a_dense_computation) {
    static const fim_fisher_spec kinds[] = {
        {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 2, 9}, {FIM_FISHER_EMPIRICAL, 1, 0}};
    static const char *const names[] = {"exact", "mc:2", "empirical"};
    for (size_t k = 0; k < 3; k++) {
        study s = study_init("all,kpsvd:3", "all");
        s.options.fisher = kinds[k];
        TEST_OK(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report));
        const fim_record *checkpoint = fim_record_child(fim_record_child(&s.report, "checkpoints"), "0");
        TEST_TEXT(fim_record_text(checkpoint, "file"), "some.h5");
        cr_assert(fim_record_child(checkpoint, "layers")->n_children == LAYERS);
        for (size_t l = 0; l < LAYERS; l++) {
            char name[4] = {(char)('0' + l)};
            const size_t d_a = shape.widths[l] + 1, d_g = shape.widths[l + 1];
            const fim_record *layer = layer_of(&s, "0", name);
            const gsl_matrix *f = block_of(&s, l);
            TEST_TEXT(fim_record_text(layer, "fisher"), names[k]);
            assert_block(layer, f, d_a, d_g);
            cr_assert(layer->n_children == 10);
            for (size_t i = 0; i < layer->n_children; i++)
                assert_method(&layer->children[i], f, d_a, d_g);
            cr_assert(number(fim_record_child(layer, "kpsvd"), "products") > 0);
            cr_assert(number(fim_record_child(layer, "lanczos"), "converged") == 1);
            cr_assert(number(fim_record_child(layer, "deflation"), "residual") <= 2e-12);
            cr_assert(fim_record_value(fim_record_child(layer, "kfac"), "products") == NULL);
            cr_assert(epsilon_eq(dbl, number(fim_record_child(layer, "kpsvd:3"), "frobenius_error"),
                                 number(layer, "floor_3"), 1e-7));
        }
        fim_record_clear(&s.report);
    }
}

Test(study, takes_what_was_asked_for_and_no_more) {
    study s = study_init("kfac", "frobenius_error,bytes");
    s.options.layers = "1";
    s.options.factors = false;
    TEST_OK(fim_study_network(&s.options, "a.h5", &s.net, &s.data, NULL, &s.report));
    s.options.layers = "0,2";
    TEST_OK(fim_study_network(&s.options, "b.h5", &s.net, &s.data, NULL, &s.report));
    const fim_record *checkpoints = fim_record_child(&s.report, "checkpoints");
    cr_assert(checkpoints->n_children == 2);
    TEST_TEXT(fim_record_text(fim_record_child(checkpoints, "1"), "file"), "b.h5");
    cr_assert(fim_record_child(fim_record_child(checkpoints, "1"), "layers")->n_children == 2);
    const fim_record *layer = layer_of(&s, "0", "1"), *kfac = fim_record_child(layer, "kfac");
    cr_assert(layer->n_children == 1 && kfac->n_tables == 0);
    cr_assert(fim_record_value(kfac, "trace_error") == NULL && number(kfac, "frobenius_error") > 0);
    assert_missing(layer, "eigenvalues", "no metric that needs spectra");
    cr_assert(fim_record_curve(layer, "eigenvalues") == NULL &&
              fim_record_curve(kfac, "eigenvalues") == NULL);
}

// Samples fit, but 24² numbers for all eigenvalues do not: the leading ones, and bounds.
Test(study, what_memory_forbids_is_known_in_part) {
    study s = study_init("kfac,lanczos", "all"), free = study_init("kfac,lanczos", "all");
    s.options.layers = free.options.layers = "0";
    size_t samples;
    TEST_OK(fim_fisher_capture_bytes(&s.net, &s.options.fisher, 0, s.data.x->size1, &samples));
    const size_t row = (s.data.x->size2 + s.data.y->size2) * sizeof(double) + sizeof *s.data.labels;
    s.options.budget = s.options.samples * row + samples + 3000;
    TEST_OK(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report));
    TEST_OK(fim_study_network(&free.options, "some.h5", &s.net, &s.data, NULL, &free.report));
    const fim_record *layer = layer_of(&s, "0", "0"), *lanczos = fim_record_child(layer, "lanczos");
    const fim_record *whole = layer_of(&free, "0", "0"), *best = fim_record_child(whole, "lanczos");
    const gsl_vector *some = curve(layer, "eigenvalues"), *all = curve(whole, "eigenvalues");
    cr_assert(some->size > 1 && some->size < 12 && all->size == 24);
    double tail = 0;
    for (size_t i = 0; i < all->size; i++)
        if (i < some->size)
            cr_assert(epsilon_eq(dbl, gsl_vector_get(some, i), gsl_vector_get(all, i),
                                 1e-8 * gsl_vector_get(all, 0)));
        else
            tail = hypot(tail, gsl_vector_get(all, i));
    cr_assert(epsilon_eq(dbl, number(layer, "tail_norm"), tail, 1e-7 * gsl_vector_get(all, 0)));
    cr_assert(strstr(fim_record_curve(layer, "eigenvalues")->note, "leading") != NULL);
    cr_assert(fim_record_value(whole, "tail_norm") == NULL &&
              fim_record_curve(whole, "density_nodes") == NULL);

    const gsl_vector *nodes = curve(layer, "density_nodes"), *weights = curve(layer, "density_weights");
    double total = 0, mean = 0;
    for (size_t i = 0; i < nodes->size; i++) {
        total += gsl_vector_get(weights, i);
        mean += gsl_vector_get(weights, i) * gsl_vector_get(nodes, i);
    }
    cr_assert(epsilon_eq(dbl, total, 1, 1e-12));
    cr_assert(fabs(24 * mean / number(layer, "fisher_trace") - 1) < 0.5, "a trace of %g", 24 * mean);

    assert_missing(lanczos, "negative_eigenvalues", "--spectra full");
    const fim_value *error = fim_record_value(lanczos, "spectrum_error");
    cr_assert(strncmp(error->note, "upper bound", 11) == 0, "%s", error->note);
    cr_assert(error->value >= number(best, "spectrum_error"));
    cr_assert(epsilon_eq(dbl, number(lanczos, "min_eigenvalue"), number(best, "min_eigenvalue"),
                         1e-6 * gsl_vector_get(all, 0)));
    cr_assert(number(lanczos, "frobenius_error") > 0 && number(lanczos, "spectral_norm_error") > 0);
    cr_assert(number(fim_record_child(layer, "kfac"), "min_eigenvalue") > -1, "from structure");
}

// All methods of a layer and all layers of one size are treated alike, small ones first.
Test(study, an_allowance_of_flops_buys_the_small_spectra) {
    static const size_t parameters[LAYERS] = {24, 15, 16}; // and 20 samples of 3 to 4 columns: never fewer
    static const double cubes[] = {15. * 15 * 15, 16. * 16 * 16, 24. * 24 * 24};
    for (size_t allowed = 0; allowed <= 3; allowed++) {
        study s = study_init("kfac,kpsvd:3,lanczos", "all"); // two sums and the block: three solves a layer
        double flops = 1;                                    // to spare
        for (size_t i = 0; i < allowed; i++)
            flops += 3 * 4.0 / 3 * cubes[i];
        if (allowed < 3)
            flops += 2.9 * 4.0 / 3 * cubes[allowed]; // not enough for the three of the next size
        s.options.spectra = (fim_spectra_options){.policy = FIM_SPECTRA_AUTO, .flops = flops, .leading = 3};
        TEST_OK(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report));
        for (size_t l = 0; l < LAYERS; l++) {
            char name[8];
            snprintf(name, sizeof name, "%zu", l);
            const fim_record *layer = layer_of(&s, "0", name);
            const size_t rank = l == 1 ? 0 : l == 2 ? 1 : 2; // of the sizes
            const bool full = rank < allowed;
            cr_assert(eq(sz, curve(layer, "eigenvalues")->size, full ? parameters[l] : 3), "layer %zu of %zu",
                      l, allowed);
            cr_assert(eq(sz, curve(fim_record_child(layer, "lanczos"), "eigenvalues")->size,
                         full ? parameters[l] : 3));
            cr_assert(eq(sz, curve(fim_record_child(layer, "kpsvd:3"), "eigenvalues")->size,
                         full ? parameters[l] : 3));
            cr_assert(eq(sz, curve(fim_record_child(layer, "kfac"), "eigenvalues")->size, parameters[l]));
        }
    }
}

typedef struct seen {
    double done, total;
    size_t calls, stop_at;
} seen;

static void see_progress(void *context, const char *what, double done, double total) {
    seen *s = context;
    if (strncmp(what, "capturing", 9) == 0)
        return;
    cr_assert(done <= total && (total != s->total || done >= s->done), "%s: %g of %g after %g", what, done,
              total, s->done);
    s->done = done;
    s->total = total;
    s->calls++;
}

static bool see_cancelled(void *context) {
    const seen *s = context;
    return s->stop_at > 0 && s->calls >= s->stop_at;
}

Test(study, reports_progress_and_stops_when_asked) {
    study s = study_init("kfac,kpsvd", "bytes");
    seen all = {0}, some = {.stop_at = 4};
    fim_monitor monitor = {&all, see_progress, NULL, see_cancelled};
    TEST_OK(fim_study_network(&s.options, "some.h5", &s.net, &s.data, &monitor, &s.report));
    cr_assert(all.calls == 3 * LAYERS + 1 && all.done == all.total, "%zu calls, %g of %g", all.calls,
              all.done, all.total);
    monitor.context = &some;
    TEST_FAILS(fim_study_network(&s.options, "some.h5", &s.net, &s.data, &monitor, &s.report), FIM_CANCELLED,
               "some.h5");
    cr_assert(strstr(fim_message(), "layer 1") != NULL, "%s", fim_message());
}

Test(study, failures_name_the_file) {
    study s = study_init("kfac", "bytes");
    s.options.layers = "3";
    TEST_FAILS(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report), FIM_ERR_ARGUMENT,
               "some.h5: layer");
    s.options.layers = NULL;
    s.options.samples = ROWS + 1;
    TEST_FAILS(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report), FIM_ERR_ARGUMENT,
               "some.h5");
    s.options.samples = 0;
    gsl_matrix_set(s.data.x, 7, 2, NAN);
    TEST_FAILS(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report), FIM_ERR_VALUE,
               "some.h5: layer 0");
    cr_assert(s.report.n_children == 0 || fim_record_child(&s.report, "checkpoints")->n_children == 0,
              "nothing was analyzed");
}

// ---- From a dump ----

// Writes the dump of the study's layers as fim-dump does.
static const char *dump(const study *s, fim_blocks_options with, const char *name) {
    const char *path = scratch(name);
    fim_data subset;
    fim_record header;
    fim_blocks_writer *writer = NULL;
    fim_record_init(&header, "");
    TEST_OK(fim_study_subset(&s->data, s->options.samples, s->options.seed, &subset));
    TEST_OK(fim_blocks_create(path, &header, true, &writer));
    for (size_t l = 0; l < LAYERS; l++) {
        char layer[4] = {(char)('0' + l)};
        fim_samples samples;
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_capture(&s->net, &subset, &s->options.fisher, &l, 1, SIZE_MAX, NULL, &samples));
        TEST_OK(fim_fisher_new(&samples, &f));
        const size_t d_a = samples.d_a, d_g = samples.d_g;
        gsl_matrix *dense = gsl_matrix_alloc(d_a * d_g, d_a * d_g), *a = gsl_matrix_alloc(d_a, d_a),
                   *g = gsl_matrix_alloc(d_g, d_g);
        TEST_OK(fim_fisher_dense(f, dense));
        TEST_OK(fim_fisher_moments(f, a, g));
        TEST_OK(fim_blocks_add(writer, layer, d_a, d_g, SAMPLES, "exact", dense, a, g, &samples, &with));
        fim_fisher_free(f);
    }
    TEST_OK(fim_blocks_commit(writer));
    fim_record_clear(&header);
    return path;
}

// All numbers of two records, but times and counts of products, agree; missing in `from` may be `missing`.
static void assert_same(const fim_record *want, const fim_record *got, double tolerance,
                        const char *missing) {
    for (size_t i = 0; i < want->n_values; i++) {
        const fim_value *value = &want->values[i];
        if (strncmp(value->name, "decomposition_", 14) == 0) // test_decomposition.c looks at these
            continue;
        if (strcmp(value->name, "build_seconds") == 0 || strcmp(value->name, "products") == 0 ||
            strcmp(value->name, "residual") == 0 ||
            (missing != NULL && strcmp(value->name, "converged") == 0))
            continue;
        if (missing != NULL) {
            assert_missing(got, value->name, missing);
            continue;
        }
        cr_assert(
            epsilon_eq(dbl, number(got, value->name), value->value, tolerance * (1 + fabs(value->value))),
            "%s of %s", value->name, want->name);
    }
    for (size_t i = 0; missing == NULL && i < want->n_curves; i++) {
        const gsl_vector *values = want->curves[i].values;
        const double scale = values->size > 0 ? fabs(gsl_vector_get(values, 0)) : 0;
        // The Kronecker spectrum by Gram matrices is resolved to 1e-8.
        const double loose = strstr(want->curves[i].note, "1e-8") != NULL ? 1e-7 : tolerance;
        cr_assert(epsilon_eq(dbl, plain_vector_difference(curve(got, want->curves[i].name), values), 0,
                             loose * scale),
                  "%s of %s", want->curves[i].name, want->name);
    }
}

Test(study, a_dump_gives_the_numbers_of_the_network) {
    study from_network = study_init("all", "all");
    from_network.options.factors = false;
    TEST_OK(fim_study_network(&from_network.options, "net", &from_network.net, &from_network.data, NULL,
                              &from_network.report));
    static const struct {
        const char *name;
        fim_blocks_options with;
        bool kfac; // whether the dump tells A and G
        double tolerance;
    } dumps[] = {{"bare", {0}, false, 1e-9},
                 {"packed", {.packed = true}, false, 1e-9},
                 {"factors", {.factors = true}, true, 1e-9},
                 {"samples", {.samples = true}, true, 1e-12},
                 {"everything", {true, true, true}, true, 1e-12}};
    for (size_t k = 0; k < sizeof dumps / sizeof *dumps; k++) {
        study from_dump = study_init("all", "all");
        from_dump.options.factors = false;
        const char *path = dump(&from_network, dumps[k].with, dumps[k].name);
        TEST_OK(fim_study_blocks(&from_dump.options, path, NULL, &from_dump.report));
        const fim_record *checkpoint =
            fim_record_child(fim_record_child(&from_dump.report, "checkpoints"), "0");
        TEST_TEXT(fim_record_text(checkpoint, "file"), path);
        for (size_t l = 0; l < LAYERS; l++) {
            char name[4] = {(char)('0' + l)};
            const fim_record *want = layer_of(&from_network, "0", name),
                             *got = layer_of(&from_dump, "0", name);
            TEST_TEXT(fim_record_text(got, "fisher"), "exact");
            assert_same(want, got, dumps[k].tolerance, NULL);
            cr_assert(got->n_children == want->n_children);
            for (size_t i = 0; i < want->n_children; i++) {
                const bool needs = strcmp(want->children[i].name, "kfac") == 0 ||
                                   strcmp(want->children[i].name, "ekfac") == 0 ||
                                   strcmp(want->children[i].name, "kfac-corrected") == 0;
                TEST_TEXT(got->children[i].name, want->children[i].name);
                assert_same(&want->children[i], &got->children[i], dumps[k].tolerance,
                            needs && !dumps[k].kfac ? "--with" : NULL);
                if (needs && !dumps[k].kfac)
                    assert_missing(&got->children[i], "build_seconds", "--with");
            }
        }
        fim_record_clear(&from_dump.report);
    }
}

Test(study, layers_of_a_dump_are_chosen_by_name) {
    study s = study_init("kfac", "bytes");
    const char *path = dump(&s, (fim_blocks_options){.factors = true}, "blocks");
    s.options.layers = "2,0";
    TEST_OK(fim_study_blocks(&s.options, path, NULL, &s.report));
    const fim_record *layers =
        fim_record_child(fim_record_child(fim_record_child(&s.report, "checkpoints"), "0"), "layers");
    cr_assert(layers->n_children == 2);
    TEST_TEXT(layers->children[0].name, "0");
    s.options.layers = "1,7";
    TEST_FAILS(fim_study_blocks(&s.options, path, NULL, &s.report), FIM_ERR_UNKNOWN, "layer '7'");
    cr_assert(strstr(fim_message(), path) != NULL, "%s", fim_message());
    TEST_FAILS(fim_study_blocks(&s.options, scratch("nothing"), NULL, &s.report), FIM_ERR_IO, "nothing");
    s.options.layers = NULL;
    s.options.budget = 1000;
    TEST_FAILS(fim_study_blocks(&s.options, path, NULL, &s.report), FIM_ERR_BUDGET, path);
}
