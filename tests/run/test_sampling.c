// What the samples leave in doubt: the distances of the sampled Fisher to the exact one and between halves,
// against dense blocks.
#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(sampling, .init = scratch_begin, .fini = scratch_end);

typedef struct study {
    fim_net net;
    fim_data data;
    fim_method *methods;
    const fim_metric **metrics;
    fim_study_options options;
    fim_record report;
} study;

static const test_shape shape = {3, {5, 4, 3, 4}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 30, LAYERS = 3 };

static study study_init(const char *methods, const char *metrics) {
    study s = {.net = test_network(FIM_CATEGORICAL, &shape, 1)};
    s.data = test_inputs(&s.net, ROWS, 2);
    s.options = (fim_study_options){.fisher = {.kind = FIM_FISHER_MC, .draws = 2, .seed = 5},
                                    .samples = 20,
                                    .seed = 3,
                                    .budget = SIZE_MAX,
                                    .tolerance = 1e-12};
    TEST_OK(fim_method_parse_list(methods, &s.methods, &s.options.n_methods));
    TEST_OK(fim_metric_parse_list(metrics, &s.metrics, &s.options.n_metrics));
    s.options.methods = s.methods;
    s.options.metrics = s.metrics;
    fim_record_init(&s.report, "report");
    return s;
}

static void run(study *s) {
    fim_record_clear(&s->report);
    TEST_OK(fim_study_network(&s->options, "some.h5", &s->net, &s->data, NULL, &s->report));
}

static const fim_record *layer_of(const fim_record *report, size_t l) {
    return &report->children[0].children[0].children[0].children[l];
}

static const fim_value *value_of(const fim_record *record, const char *name) {
    const fim_value *value = fim_record_value(record, name);
    cr_assert(value != NULL, "%s has no value %s", record->name, name);
    return value;
}

static gsl_matrix *block_of(const study *s, fim_fisher_spec spec, size_t l) {
    fim_data subset;
    TEST_OK(fim_study_subset(&s->data, s->options.samples, s->options.seed, &subset));
    const fim_samples samples = plain_samples(&s->net, &subset, &spec, l);
    return plain_block(&samples);
}

// ---- The distances ----

Test(sampling, error_is_the_distance_of_dense_blocks) {
    static const fim_fisher_spec kinds[] = {
        {FIM_FISHER_MC, 1, 5}, {FIM_FISHER_MC, 3, 6}, {FIM_FISHER_EMPIRICAL, 1, 0}};
    const fim_fisher_spec exactly = {FIM_FISHER_EXACT, 1, 0};
    for (fim_likelihood likelihood = 0; likelihood < FIM_LIKELIHOOD_COUNT; likelihood++)
        for (size_t k = 0; k < 3; k++) {
            study s = study_init("diagonal", "bytes");
            s.net = test_network(likelihood, &shape, 1);
            s.options.fisher = kinds[k];
            s.options.sampling_error = true;
            run(&s);
            for (size_t l = 0; l < LAYERS; l++) {
                const gsl_matrix *f = block_of(&s, kinds[k], l), *exact = block_of(&s, exactly, l);
                const fim_value *error = value_of(layer_of(&s.report, l), "sampling_error");
                cr_assert(epsilon_eq(dbl, error->value, plain_distance(f, exact) / plain_norm(exact), 1e-12),
                          "layer %zu", l);
                cr_assert(strstr(error->note, "inner products") != NULL, "%s", error->note);
            }
        }
}

Test(sampling, of_the_exact_fisher_there_is_no_error) {
    study s = study_init("diagonal,kfac", "bytes");
    s.options.fisher = (fim_fisher_spec){FIM_FISHER_EXACT, 1, 0};
    s.options.sampling_error = true;
    run(&s);
    for (size_t l = 0; l < LAYERS; l++) {
        cr_assert(value_of(layer_of(&s.report, l), "sampling_error")->value == 0);
        const double halves = value_of(layer_of(&s.report, l), "half_error")->value;
        cr_assert(halves > 0);
        // Halves differ by two standard errors of F.
        cr_assert(value_of(layer_of(&s.report, l), "decomposition_error_sampling")->value == halves / 2);
    }
}

Test(sampling, is_measured_when_asked_for) {
    study s = study_init("diagonal", "bytes");
    run(&s);
    cr_assert(fim_record_value(layer_of(&s.report, 0), "sampling_error") == NULL);
    cr_assert(fim_record_value(layer_of(&s.report, 0), "half_error") == NULL);
}

// The chosen rows take 20·(5 + 4) numbers and a label each, the exact samples of a layer of 4 outputs
// 20·(6 + 10) numbers, the two rows of mc 20·(6 + 8).
Test(sampling, what_memory_forbids_says_so) {
    study s = study_init("diagonal", "bytes");
    s.options.layers = "0";
    s.options.sampling_error = true;
    const size_t rows = 20 * ((5 + 4) * sizeof(double) + sizeof(uint32_t));
    s.options.budget = rows + 20 * (6 + 8 + 6 + 10) * sizeof(double) - 1;
    run(&s);
    const fim_value *error = value_of(layer_of(&s.report, 0), "sampling_error");
    cr_assert(isnan(error->value) && strstr(error->note, "needs") != NULL, "%s", error->note);
    cr_assert(value_of(layer_of(&s.report, 0), "half_error")->value > 0);
    s.options.budget++;
    run(&s);
    cr_assert(value_of(layer_of(&s.report, 0), "sampling_error")->value > 0);
    s.options.budget = rows - 1;
    fim_record_clear(&s.report);
    TEST_FAILS(fim_study_network(&s.options, "some.h5", &s.net, &s.data, NULL, &s.report), FIM_ERR_BUDGET,
               "a copy of the chosen rows needs 1.5 kB (1520 bytes)");
}

// With X_n the term of a sample and S² = Σ‖X_n − F‖²/(N − 1), the mean of ‖F_1 − F_2‖² over all ways of
// taking n_1 of N samples is S² (1/n_1 + 1/n_2).
Test(sampling, halves_differ_as_the_variance_of_the_samples_says) {
    static const size_t counts[] = {ROWS, ROWS - 1, 2};
    const fim_fisher_spec exactly = {FIM_FISHER_EXACT, 1, 0};
    for (size_t k = 0; k < 3; k++) {
        enum { SEEDS = 400 };
        const size_t n = counts[k], l = 1;
        study s = study_init("diagonal", "bytes");
        s.options.fisher = exactly;
        s.options.sampling_error = true;
        s.options.layers = "1";
        s.options.samples = 0;
        s.data.x->size1 = n; // all rows are taken, whatever the seed
        const fim_samples samples = plain_samples(&s.net, &s.data, &exactly, l);
        const gsl_matrix *f = plain_block(&samples);
        double variance = 0, mean = 0, first = 0;
        for (size_t r = 0; r < n; r++)
            variance += pow(plain_distance(
                                plain_kronecker(plain_outer(&samples, r), plain_covariance(&samples, r)), f),
                            2) /
                        (double)(n - 1);
        for (s.options.seed = 0; s.options.seed < SEEDS; s.options.seed++) {
            run(&s);
            const double error = value_of(layer_of(&s.report, 0), "half_error")->value;
            mean += pow(error * plain_norm(f), 2) / SEEDS;
            cr_assert(n == 2 || s.options.seed != 1 || error != first, "another seed, other halves");
            first = s.options.seed == 0 ? error : first;
        }
        const double want = variance * (1 / floor((double)n / 2) + 1 / ceil((double)n / 2));
        cr_assert(fabs(mean / want - 1) < (n == 2 ? 1e-12 : 0.05), "%zu samples: %g, expected %g", n, mean,
                  want);
    }
}

Test(sampling, equal_samples_have_equal_halves_to_rounding) {
    study s = study_init("diagonal", "bytes");
    s.options.fisher = (fim_fisher_spec){FIM_FISHER_EXACT, 1, 0};
    s.options.sampling_error = true;
    for (size_t r = 1; r < ROWS; r++)
        for (size_t i = 0; i < s.data.x->size2; i++)
            gsl_matrix_set(s.data.x, r, i, gsl_matrix_get(s.data.x, 0, i));
    run(&s);
    const fim_value *error = value_of(layer_of(&s.report, 0), "half_error");
    cr_assert(error->value > 0 && error->value < 1e-6, "%g", error->value);
    cr_assert(strncmp(error->note, "upper bound", 11) == 0 && strstr(error->note, "cancel") != NULL, "%s",
              error->note);
}

Test(sampling, a_single_sample_has_no_halves) {
    study s = study_init("diagonal", "bytes");
    s.options.sampling_error = true;
    s.options.samples = 1;
    run(&s);
    const fim_value *error = value_of(layer_of(&s.report, 0), "half_error");
    cr_assert(isnan(error->value) && strstr(error->note, "no halves") != NULL, "%s", error->note);
}

// Dumps of the samples, and of the block alone.
Test(sampling, of_a_dump_is_known_what_its_samples_tell) {
    for (int with_samples = 0; with_samples < 2; with_samples++) {
        study s = study_init("diagonal", "bytes");
        const fim_samples samples = test_samples(6, 3, 2, 2, 9);
        const fim_blocks_options with = {.samples = with_samples};
        const char *path = scratch("blocks.h5");
        fim_record header;
        fim_blocks_writer *writer = NULL;
        fim_record_init(&header, "");
        TEST_OK(fim_blocks_create(path, &header, true, &writer));
        TEST_OK(fim_blocks_add(writer, "first", 3, 2, 6, "mc:2", plain_block(&samples), NULL, NULL, &samples,
                               &with));
        TEST_OK(fim_blocks_commit(writer));
        s.options.sampling_error = true;
        TEST_OK(fim_study_blocks(&s.options, path, NULL, &s.report));
        const fim_value *error = value_of(layer_of(&s.report, 0), "sampling_error"),
                        *halves = value_of(layer_of(&s.report, 0), "half_error");
        cr_assert(isnan(error->value) && strstr(error->note, "give the checkpoint") != NULL, "%s",
                  error->note);
        cr_assert(with_samples ? halves->value > 0 : isnan(halves->value));
        cr_assert(with_samples || strstr(halves->note, "fim-dump --with") != NULL, "%s", halves->note);
    }
}
