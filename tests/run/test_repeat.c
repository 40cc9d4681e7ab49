// Means over repeats and their standard errors, against the studies that a user would run one by one.
#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(repeat, .init = scratch_begin, .fini = scratch_end);

static const test_shape shape = {2, {5, 4, 3}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 30, LAYERS = 2, REPEATS = 4 };

typedef struct study {
    fim_net net;
    fim_data data;
    fim_method *methods;
    const fim_metric **metrics;
    fim_study_options options;
} study;

static study study_init(fim_fisher_kind kind, size_t samples) {
    study s = {.net = test_network(FIM_CATEGORICAL, &shape, 1)};
    s.data = test_inputs(&s.net, ROWS, 2);
    s.options = (fim_study_options){.fisher = {.kind = kind, .draws = 1, .seed = 5},
                                    .samples = samples,
                                    .seed = 3,
                                    .budget = SIZE_MAX,
                                    .tolerance = 1e-12,
                                    .sampling_error = true};
    TEST_OK(fim_method_parse_list("kfac,ekfac,kpsvd:2", &s.methods, &s.options.n_methods));
    TEST_OK(fim_metric_parse_list("all", &s.metrics, &s.options.n_metrics));
    s.options.methods = s.methods;
    s.options.metrics = s.metrics;
    return s;
}

static const fim_record *layers_of(const study *s, const fim_study_options *options, fim_record *report) {
    fim_record_init(report, "report");
    TEST_OK(fim_study_network(options, "some.h5", &s->net, &s->data, NULL, report));
    cr_assert(report->children[0].n_children == 1, "one checkpoint, however often it is studied");
    return &report->children[0].children[0].children[0];
}

// The same record of another report: layer l, or method m of it.
static const fim_record *at(const fim_record *layers, size_t l, size_t m) {
    return m == SIZE_MAX ? &layers->children[l] : &layers->children[l].children[m];
}

static double number(const fim_record *record, const char *name) {
    const fim_value *value = fim_record_value(record, name);
    cr_assert(value != NULL, "%s has no value %s", record->name, name);
    return value->value;
}

static const fim_value *error_of(const fim_record *record, const char *name) {
    char error[64];
    snprintf(error, sizeof error, "%s_se", name);
    return fim_record_value(record, error);
}

static bool tells_of_the_run(const char *name) {
    return strcmp(name, "build_seconds") == 0 || strcmp(name, "products") == 0 ||
           strcmp(name, "residual") == 0 || strcmp(name, "converged") == 0;
}

// All numbers of one record over the separate reports.
static void assert_means(const fim_record *got, const fim_record *const *one, size_t *count) {
    for (size_t i = 0; i < one[0]->n_values; i++) {
        const fim_value *first = &one[0]->values[i], *error = error_of(got, first->name);
        double mean = 0, squares = 0, low = INFINITY, high = -INFINITY;
        if (isnan(first->value) || strcmp(first->name, "build_seconds") == 0)
            continue;
        for (size_t k = 0; k < REPEATS; k++) {
            const double x = number(one[k], first->name);
            mean += x / REPEATS;
            low = fmin(low, x);
            high = fmax(high, x);
        }
        for (size_t k = 0; k < REPEATS; k++)
            squares += pow(number(one[k], first->name) - mean, 2);
        const double value = number(got, first->name);
        if (error == NULL) {
            const double want = strcmp(first->name, "converged") == 0 ? low : high;
            cr_assert(value == want, "%s of %s", first->name, got->name);
            cr_assert(tells_of_the_run(first->name) || low == high, "%s varies", first->name);
            continue;
        }
        cr_assert(error > fim_record_value(got, first->name) &&
                      error == fim_record_value(got, first->name) + 1,
                  "beside its mean");
        const double want = sqrt(squares / (REPEATS - 1)) / sqrt(REPEATS);
        cr_assert(epsilon_eq(dbl, value, mean, 1e-13 * (fabs(low) + fabs(high))), "%s", first->name);
        cr_assert(epsilon_eq(dbl, error->value, want, 1e-13 * (fabs(low) + fabs(high))), "%s", first->name);
        cr_assert(strstr(fim_record_value(got, first->name)->note, "mean of 4") != NULL, "%s", first->name);
        *count += error->value > 0;
    }
}

Test(repeat, means_and_errors_are_those_of_separate_studies) {
    for (fim_fisher_kind kind = FIM_FISHER_EXACT; kind <= FIM_FISHER_EMPIRICAL; kind++) {
        study s = study_init(kind, 20);
        fim_record together, again, separate[REPEATS];
        const fim_record *one[REPEATS], *parts[REPEATS];
        for (size_t k = 0; k < REPEATS; k++) {
            fim_study_options options = s.options;
            options.seed += k;
            options.fisher.seed += k;
            one[k] = layers_of(&s, &options, &separate[k]);
        }
        s.options.repeats = REPEATS;
        const fim_record *got = layers_of(&s, &s.options, &together),
                         *same = layers_of(&s, &s.options, &again);
        size_t count = 0;
        for (size_t l = 0; l < LAYERS; l++) {
            cr_assert(number(at(got, l, SIZE_MAX), "repeats") == REPEATS);
            for (size_t m = 0; m <= s.options.n_methods; m++) {
                const size_t which = m < s.options.n_methods ? m : SIZE_MAX;
                for (size_t k = 0; k < REPEATS; k++)
                    parts[k] = at(one[k], l, which);
                const fim_record *means = at(got, l, which), *twin = at(same, l, which);
                assert_means(means, parts, &count);
                for (size_t i = 0; i < means->n_values; i++)
                    cr_assert(strcmp(means->values[i].name, "build_seconds") == 0 ||
                                  memcmp(&means->values[i].value, &twin->values[i].value, sizeof(double)) ==
                                      0,
                              "%s: twice the same", means->values[i].name);
            }
            const gsl_vector *eigenvalues = fim_record_curve(at(got, l, SIZE_MAX), "eigenvalues")->values;
            cr_assert(plain_vector_difference(
                          eigenvalues, fim_record_curve(at(one[0], l, SIZE_MAX), "eigenvalues")->values) == 0,
                      "curves are of the first");
        }
        cr_assert(count > 20, "only %zu numbers vary", count);
    }
}

Test(repeat, once_is_the_plain_study) {
    for (size_t repeats = 0; repeats < 2; repeats++) {
        study s = study_init(FIM_FISHER_MC, 20);
        fim_record report;
        s.options.repeats = repeats;
        const fim_record *layers = layers_of(&s, &s.options, &report);
        for (size_t l = 0; l < LAYERS; l++) {
            cr_assert(fim_record_value(at(layers, l, SIZE_MAX), "repeats") == NULL);
            cr_assert(error_of(at(layers, l, SIZE_MAX), "fisher_norm") == NULL);
            cr_assert(error_of(at(layers, l, 0), "frobenius_error") == NULL);
            cr_assert(strstr(fim_record_value(at(layers, l, 0), "frobenius_error")->note, "mean") == NULL);
        }
    }
}

// Only the starting vectors of iterations and the halves are drawn then.
Test(repeat, of_what_is_not_drawn_has_no_error) {
    study s = study_init(FIM_FISHER_EXACT, 0);
    fim_record report;
    s.options.repeats = REPEATS;
    const fim_record *layers = layers_of(&s, &s.options, &report);
    for (size_t l = 0; l < LAYERS; l++) {
        cr_assert(error_of(at(layers, l, SIZE_MAX), "fisher_norm")->value == 0);
        cr_assert(error_of(at(layers, l, SIZE_MAX), "half_error")->value > 0);
        for (size_t i = 0; i < s.options.n_metrics; i++)
            for (size_t m = 0; m < s.options.n_methods; m++) {
                const char *name = s.metrics[i]->name;
                const double error = error_of(at(layers, l, m), name)->value;
                cr_assert(m < 2 && strncmp(name, "spectral_norm", 13) != 0 ? error == 0 : error < 1e-8,
                          "%s: %g", name, error);
            }
    }
}

// A budget that only the leading eigenvalues fit leaves no number of negative ones.
Test(repeat, what_is_missing_stays_missing) {
    study s = study_init(FIM_FISHER_EXACT, 20);
    fim_record report;
    s.options.layers = "0";
    size_t samples;
    TEST_OK(fim_fisher_capture_bytes(&s.net, &s.options.fisher, 0, 20, &samples));
    const size_t row = (s.data.x->size2 + s.data.y->size2) * sizeof(double) + sizeof *s.data.labels;
    s.options.budget = 20 * row + samples + 4000;
    s.options.repeats = REPEATS;
    const fim_record *kpsvd = at(layers_of(&s, &s.options, &report), 0, 2);
    cr_assert(isnan(number(kpsvd, "negative_eigenvalues")));
    cr_assert(fim_record_value(kpsvd, "negative_eigenvalues")->note[0] != '\0');
    cr_assert(error_of(kpsvd, "negative_eigenvalues") == NULL);
    const fim_value *bound = fim_record_value(kpsvd, "spectrum_error");
    cr_assert(strncmp(bound->note, "upper bound, mean of 4", 22) == 0, "%s", bound->note);
    cr_assert(error_of(kpsvd, "spectrum_error")->value > 0);
}

Test(repeat, a_dump_is_refused) {
    study s = study_init(FIM_FISHER_EXACT, 20);
    fim_record report;
    fim_record_init(&report, "report");
    s.options.repeats = 2;
    TEST_FAILS(fim_study_blocks(&s.options, "some.h5", NULL, &report), FIM_ERR_ARGUMENT,
               "some.h5: the samples of a dump");
}
