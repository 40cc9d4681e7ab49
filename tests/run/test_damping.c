// The step metrics of a study: its gradient and dampings against dense computation, what is missing and why,
// and the way through a file.
#include <gsl/gsl_linalg.h>

#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(damping, .init = scratch_begin, .fini = scratch_end);

static const test_shape shape = {3, {5, 4, 3, 4}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 20, LAYER = 1 };
static const double sweep[] = {0.01, 0.1, 1};

static fim_study_options options_of(const char *methods) {
    fim_study_options o = {.fisher = {FIM_FISHER_MC, 1, 4},
                           .layers = "1",
                           .seed = 3,
                           .budget = SIZE_MAX,
                           .tolerance = 1e-12,
                           .damping = sweep,
                           .n_damping = 3};
    fim_method *list = NULL;
    const fim_metric **metrics = NULL;
    TEST_OK(fim_method_parse_list(methods, &list, &o.n_methods));
    TEST_OK(fim_metric_parse_list("bytes", &metrics, &o.n_metrics));
    o.methods = list;
    o.metrics = metrics;
    return o;
}

static const fim_record *layer_of(const fim_record *report) {
    return &report->children[0].children[0].children[0].children[0];
}

static const gsl_vector *curve_of(const fim_record *record, const char *name) {
    const fim_curve *c = fim_record_curve(record, name);
    cr_assert(c != NULL, "%s has no curve %s", record->name, name);
    return c->values;
}

static gsl_matrix *solved(const gsl_matrix *f, double lambda, const gsl_matrix *x) {
    gsl_matrix *lu = plain_sum(f, lambda, plain_identity(f->size1)), *y = gsl_matrix_alloc(x->size1, 1);
    gsl_permutation *p = gsl_permutation_alloc(f->size1);
    gsl_vector_const_view right = gsl_matrix_const_column(x, 0);
    gsl_vector_view left = gsl_matrix_column(y, 0);
    int sign;
    gsl_linalg_LU_decomp(lu, p, &sign);
    cr_assert(gsl_linalg_LU_solve(lu, p, &right.vector, &left.vector) == 0);
    return y;
}

Test(damping, steps_of_a_study_are_those_of_its_network_and_data) {
    fim_net net = test_network(FIM_CATEGORICAL, &shape, 1);
    fim_data data = test_inputs(&net, ROWS, 2);
    fim_study_options options = options_of("kfac,diagonal");
    fim_record report, again;
    fim_record_init(&report, "report");
    TEST_OK(fim_study_network(&options, "net.h5", &net, &data, NULL, &report));
    TEST_OK(fim_record_write(&report, "fim-report", scratch("report.h5"), false));
    TEST_OK(fim_record_read(scratch("report.h5"), "fim-report", SIZE_MAX, &again));
    const fim_record *layer = layer_of(&again);
    const gsl_vector *damping = curve_of(layer, "step_damping");
    // A row of the empirical Fisher is the gradient of one sample.
    const fim_fisher_spec empirical = {.kind = FIM_FISHER_EMPIRICAL};
    const fim_samples rows = plain_samples(&net, &data, &empirical, LAYER),
                      drawn = plain_samples(&net, &data, &options.fisher, LAYER);
    gsl_matrix *gradient = gsl_matrix_calloc(rows.d_a, rows.d_g);
    for (size_t n = 0; n < ROWS; n++)
        for (size_t i = 0; i < rows.d_a; i++)
            for (size_t j = 0; j < rows.d_g; j++)
                *gsl_matrix_ptr(gradient, i, j) +=
                    gsl_matrix_get(rows.a, n, i) * gsl_matrix_get(rows.g, n, j) / ROWS;
    const gsl_matrix *f = plain_block(&drawn), *x = plain_column(gradient);
    gsl_matrix *diagonal = gsl_matrix_calloc(f->size1, f->size1);
    for (size_t i = 0; i < f->size1; i++)
        gsl_matrix_set(diagonal, i, i, gsl_matrix_get(f, i, i));
    gsl_matrix *a = gsl_matrix_calloc(rows.d_a, rows.d_a), *g = gsl_matrix_calloc(rows.d_g, rows.d_g);
    for (size_t n = 0; n < ROWS; n++) {
        a = plain_sum(a, 1.0 / ROWS, plain_outer(&drawn, n));
        g = plain_sum(g, 1.0 / ROWS, plain_covariance(&drawn, n));
    }
    const gsl_matrix *approximations[2] = {plain_kronecker(a, g), diagonal};
    cr_assert(damping->size == 3);
    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < 3; i++) {
            const gsl_matrix *y = solved(approximations[m], sweep[i], x), *exact = solved(f, sweep[i], x);
            cr_assert(gsl_vector_get(damping, i) == sweep[i]);
            cr_assert(epsilon_eq(dbl, gsl_vector_get(curve_of(&layer->children[m], "step_cosine"), i),
                                 plain_dot(y, exact) / plain_norm(y) / plain_norm(exact), 1e-9),
                      "%s, damping %g", layer->children[m].name, sweep[i]);
            cr_assert(epsilon_eq(dbl, gsl_vector_get(curve_of(&layer->children[m], "step_length_ratio"), i),
                                 plain_norm(y) / plain_norm(exact), 1e-9));
        }
}

Test(damping, relative_to_the_mean_eigenvalue) {
    fim_net net = test_network(FIM_CATEGORICAL, &shape, 1);
    fim_data data = test_inputs(&net, ROWS, 2);
    fim_study_options options = options_of("kfac");
    options.damping_relative = true;
    options.repeats = 2; // steps are of the first
    fim_record report;
    fim_record_init(&report, "report");
    TEST_OK(fim_study_network(&options, "net.h5", &net, &data, NULL, &report));
    const fim_record *layer = layer_of(&report);
    const fim_samples samples = plain_samples(&net, &data, &options.fisher, LAYER);
    const gsl_matrix *f = plain_block(&samples);
    const double mean = plain_trace(f) / (double)f->size1;
    for (size_t i = 0; i < 3; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(curve_of(layer, "step_damping"), i), sweep[i] * mean,
                             1e-12 * mean));
    cr_assert(curve_of(&layer->children[0], "stein_divergence")->size == 3);
}

Test(damping, what_a_study_does_not_have_says_why) {
    fim_net net = test_network(FIM_CATEGORICAL, &shape, 1);
    fim_data data = test_inputs(&net, ROWS, 2), bare = {.x = data.x};
    fim_study_options options = options_of("kfac,deflation");
    options.fisher = (fim_fisher_spec){.kind = FIM_FISHER_EXACT};
    fim_record report;
    fim_record_init(&report, "report");
    TEST_OK(fim_study_network(&options, "net.h5", &net, &bare, NULL, &report)); // no labels
    const fim_record *kfac = &layer_of(&report)->children[0];
    const fim_value *cosine = fim_record_value(kfac, "step_cosine");
    cr_assert(cosine != NULL && isnan(cosine->value) && strstr(cosine->note, "labels or targets") != NULL);
    cr_assert(isfinite(gsl_vector_get(curve_of(kfac, "stein_divergence"), 0)));

    static const double tiny[] = {1e-12, 1e-11, 1e3};
    options.damping = tiny;
    fim_record indefinite;
    fim_record_init(&indefinite, "report");
    TEST_OK(fim_study_network(&options, "net.h5", &net, &data, NULL, &indefinite));
    const fim_record *deflation = &layer_of(&indefinite)->children[1];
    const fim_curve *curve = fim_record_curve(deflation, "step_cosine");
    cr_assert(curve != NULL && isnan(gsl_vector_get(curve->values, 0)) &&
              gsl_vector_get(curve->values, 2) > 0.999);
    cr_assert(strstr(curve->note, "not positive definite") != NULL, "%s", curve->note);
}
