// The plan of a study against what captures keep, and against its own scaling.
#include "fim/approx.h"
#include "fim/run.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(plan, .init = setup);

enum { ROWS = 40 };

static const test_shape shape = {4, {9, 12, 3, 11, 7}, 0, FIM_ACTIVATION_RELU};

typedef struct plan {
    fim_plan_row *rows;
    size_t count;
} plan;

static plan make_allowed(const fim_net *net, size_t samples, size_t budget, double rate, double flops) {
    plan p;
    fim_method *methods;
    const fim_metric **metrics;
    fim_study_options options = {.fisher = {FIM_FISHER_EXACT, 1, 1}, .samples = samples, .budget = budget};
    TEST_OK(fim_method_parse_list("all", &methods, &options.n_methods));
    TEST_OK(fim_metric_parse_list("all", &metrics, &options.n_metrics));
    options.methods = methods;
    options.metrics = metrics;
    options.spectra = (fim_spectra_options){FIM_SPECTRA_AUTO, flops, 0};
    TEST_OK(fim_study_plan(&options, net, ROWS, rate, rate, &p.rows, &p.count));
    return p;
}

static plan make(const fim_net *net, size_t samples, size_t budget, double rate) {
    return make_allowed(net, samples, budget, rate, 0);
}

static const fim_plan_row *row_of(const plan *p, size_t layer, const char *quantity) {
    for (size_t i = 0; i < p->count; i++)
        if (p->rows[i].layer == layer && strcmp(p->rows[i].quantity, quantity) == 0)
            return &p->rows[i];
    cr_assert(false, "no %s of layer %zu", quantity, layer);
    return NULL;
}

Test(plan, tells_what_is_captured) {
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        fim_net net = test_network(k, &shape, 3);
        fim_data data = test_inputs(&net, ROWS, 2);
        const plan p = make(&net, ROWS, 1 << 30, 1e9);
        for (size_t l = 0; l < 4; l++) {
            fim_samples s;
            TEST_OK(fim_fisher_capture(&net, &data, &(fim_fisher_spec){FIM_FISHER_EXACT, 1, 1}, &l, 1,
                                       SIZE_MAX, NULL, &s));
            const gsl_matrix *g = s.g != NULL ? s.g : s.packed != NULL ? s.packed : s.diagonal;
            const fim_plan_row *row = row_of(&p, l, "samples");
            cr_assert(row->bytes == (s.a->size1 * s.a->size2 + g->size1 * g->size2) * sizeof(double));
            cr_assert(strncmp(row->route,
                              s.g != NULL        ? "rows"
                              : s.packed != NULL ? "packed"
                                                 : "diagonal",
                              4) == 0,
                      "%s", row->route);
            fim_samples_clear(&s);
        }
    }
}

Test(plan, follows_the_budget_the_samples_and_the_rate) {
    fim_net net = test_network(FIM_BERNOULLI, &shape, 3);
    const plan p = make(&net, 20, 1 << 30, 1e9), twice = make(&net, 40, 1 << 30, 1e9),
               fast = make(&net, 20, 1 << 30, 2e9), tight = make(&net, 20, 1500, 1e9);
    cr_assert(p.count == twice.count && p.count == tight.count);
    for (size_t i = 0; i < p.count; i++)
        cr_assert(epsilon_eq(dbl, p.rows[i].seconds, 2 * fast.rows[i].seconds, 1e-12 * p.rows[i].seconds));
    const double one = row_of(&p, 0, "kfac: build")->flops, two = row_of(&twice, 0, "kfac: build")->flops;
    cr_assert(epsilon_eq(dbl, two, 2 * one, 1e-12 * two));
    cr_assert(epsilon_eq(dbl, row_of(&twice, 0, "norm")->flops, 4 * row_of(&p, 0, "norm")->flops, 1));
    cr_assert(strstr(row_of(&p, 0, "samples")->route, "all layers") != NULL);
    cr_assert(strstr(row_of(&tight, 0, "samples")->route, "streamed") != NULL, "%s",
              row_of(&tight, 0, "samples")->route);
}

Test(plan, tells_what_dead_units_may_lead_to) {
    fim_net net = test_network(FIM_BERNOULLI, &shape, 3);
    const double d = 13 * 3, solve = 4.0 / 3 * d * d * d; // the smallest layer's, F's and two sums'
    const size_t block = 8 * (9 + 1) * 12 * (9 + 1) * 12; // of layer 0
    const char *spectrum = "deflation: spectrum_error";
    const plan p = make_allowed(&net, ROWS, 1 << 30, 1e6, 4 * solve),
               tight = make_allowed(&net, ROWS, block - 1, 1e6, 4 * solve),
               leading = make_allowed(&net, ROWS, 1 << 30, 1e6, solve / 2);
    for (size_t i = 0; i < p.count; i++)
        cr_assert(p.rows[i].most >= p.rows[i].seconds);
    const fim_plan_row *planned = row_of(&p, 1, spectrum), *perhaps = row_of(&p, 0, spectrum);
    cr_assert(strcmp(planned->route, "dense eigensolver") == 0, "%s", planned->route);
    cr_assert(planned->most == planned->seconds);
    cr_assert(strncmp(perhaps->route, "Lanczos", 7) == 0, "%s", perhaps->route);
    cr_assert(strstr(perhaps->route, "products, or dense") != NULL, "%s", perhaps->route);
    cr_assert(strstr(row_of(&tight, 0, spectrum)->route, "dense") == NULL);
    cr_assert(perhaps->most == fmax(perhaps->seconds, 4 * solve / 1e6));
    cr_assert(row_of(&tight, 0, spectrum)->most == row_of(&tight, 0, spectrum)->seconds);
    cr_assert(row_of(&leading, 0, spectrum)->most == row_of(&leading, 0, spectrum)->seconds);
}
