// The Kronecker spectrum of a layer where memory holds only its leading part, against the whole.
#include "fim/linalg.h"
#include "fim/run.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(floors, .init = setup);

static const test_shape shape = {2, {11, 10, 3}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 100, P_A = 78, P_G = 55 }; // of layer 0; fewer rows would be seen by their core

static fim_record study(size_t budget) {
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 3);
    fim_data data = test_inputs(&net, ROWS, 2);
    fim_method *methods;
    const fim_metric **metrics;
    fim_record report;
    fim_study_options options = {
        .fisher = {FIM_FISHER_MC, 1, 1}, .budget = budget, .tolerance = 1e-10, .layers = "0"};
    TEST_OK(fim_method_parse_list("kfac", &methods, &options.n_methods));
    TEST_OK(fim_metric_parse_list("frobenius_error", &metrics, &options.n_metrics));
    options.methods = methods;
    options.metrics = metrics;
    fim_record_init(&report, "report");
    TEST_OK(fim_study_network(&options, "some.h5", &net, &data, NULL, &report));
    free(methods);
    free(metrics);
    fim_net_clear(&net);
    fim_data_clear(&data);
    return report;
}

static double number(const fim_record *record, const char *name) {
    const fim_value *value = fim_record_value(record, name);
    cr_assert(value != NULL, "no value %s", name);
    return value->value;
}

Test(floors, of_the_leading_part_are_those_of_the_whole) {
    const size_t samples = ROWS * (12 + 10) * sizeof(double),
                 four = (3 * 4 + 20) * (P_A + P_G) * sizeof(double);
    cr_assert(2 * four < 2 * P_A * P_G * sizeof(double), "the rearranged block and its copy take more");
    fim_record all = study(SIZE_MAX), some = study(samples + 2 * four);
    const fim_record *whole = &all.children[0].children[0].children[0].children[0],
                     *part = &some.children[0].children[0].children[0].children[0];
    const fim_curve *sigma = fim_record_curve(whole, "kronecker_singular_values"),
                    *leading = fim_record_curve(part, "kronecker_singular_values");
    cr_assert(sigma->values->size == P_G && leading->values->size == 4, "%zu", leading->values->size);
    cr_assert(strncmp(leading->note, "leading 4 by products", 21) == 0, "%s", leading->note);
    const double scale = gsl_vector_get(sigma->values, 0);
    double rest = 0;
    for (size_t i = P_G; i-- > 0;)
        if (i < 4)
            cr_assert(epsilon_eq(dbl, gsl_vector_get(leading->values, i), gsl_vector_get(sigma->values, i),
                                 1e-10 * scale));
        else
            rest = hypot(rest, gsl_vector_get(sigma->values, i));
    cr_assert(epsilon_eq(dbl, number(part, "kronecker_tail_norm"), rest, 1e-7 * scale));
    cr_assert(fim_record_value(whole, "kronecker_tail_norm") == NULL);
    cr_assert(epsilon_eq(dbl, number(part, "floor_1"), number(whole, "floor_1"), 1e-8));
    cr_assert(epsilon_eq(dbl, number(part, "floor_3"), number(whole, "floor_3"), 1e-8));
    cr_assert(isnan(number(part, "floor_5")) && isnan(number(part, "rank_1_percent")));
    cr_assert(strstr(fim_record_value(part, "floor_5")->note, "only the leading 4") != NULL);
    cr_assert(number(whole, "rank_1_percent") > 4, "else the part would know it");
    fim_record_clear(&all);
    fim_record_clear(&some);
}
