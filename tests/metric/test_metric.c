// Every metric against a dense plain computation, on blocks and approximations of all kinds; its routes, and
// what it says when there is no such number.
#include "fim/approx.h"
#include "fim/linalg.h"
#include "fim/metric.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(metric, .init = setup);

static const fim_metric *find(const char *name) {
    size_t count;
    const fim_metric *list = fim_metric_list(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    cr_assert(false, "no metric %s", name);
    return NULL;
}

// One metric of one operator, from a fresh reference.
static fim_status evaluate(const char *name, const fim_fisher *f, const fim_op *op, size_t budget,
                           double *value, char *route) {
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    TEST_OK(fim_reference_new(f, NULL, budget, 1, &reference));
    TEST_OK(fim_candidate_new(reference, op, &candidate));
    route[0] = '\0';
    fim_status status = find(name)->evaluate(candidate, value, route);
    fim_candidate_free(candidate);
    fim_reference_free(reference);
    return status;
}

static double value_of(const char *name, const fim_fisher *f, const fim_op *op, size_t budget,
                       const char *part) {
    double value;
    char route[200];
    fim_status status = evaluate(name, f, op, budget, &value, route);
    cr_assert(status == FIM_OK, "%s: %s", name, fim_message());
    cr_assert(strstr(route, part) != NULL, "%s: route '%s' lacks '%s'", name, route, part);
    return value;
}

// The same by definition, densely.
static double plain_metric(const char *name, const gsl_matrix *f, const gsl_matrix *op) {
    const gsl_vector *exact = plain_eigenvalues(f, NULL), *approximate = plain_eigenvalues(op, NULL);
    const gsl_vector *difference = plain_eigenvalues(plain_sum(f, -1, op), NULL);
    const size_t d = f->size1;
    if (strcmp(name, "frobenius_error") == 0)
        return plain_distance(f, op) / plain_norm(f);
    if (strcmp(name, "trace_error") == 0)
        return (plain_trace(op) - plain_trace(f)) / plain_trace(f);
    if (strcmp(name, "spectral_norm_error") == 0)
        return fmax(gsl_vector_get(difference, 0), -gsl_vector_get(difference, d - 1)) /
               gsl_vector_get(exact, 0);
    if (strcmp(name, "min_eigenvalue") == 0)
        return gsl_vector_get(approximate, d - 1);
    cr_assert(strcmp(name, "spectrum_error") == 0, "no plain version of %s", name);
    double distance = 0, norm = 0;
    for (size_t i = 0; i < d; i++) {
        distance = hypot(distance, gsl_vector_get(exact, i) - gsl_vector_get(approximate, i));
        norm = hypot(norm, gsl_vector_get(exact, i));
    }
    return distance / norm;
}

static fim_op *approximate(const char *name, const fim_fisher *f) {
    fim_method method;
    fim_op *op = NULL;
    fim_approx_info info;
    const fim_approx_options options = {.seed = 1};
    TEST_OK(fim_method_parse(name, &method));
    TEST_OK(fim_approx_build(&method, f, &options, &op, &info));
    return op;
}

static gsl_matrix *dense_of(const fim_op *op) {
    const size_t d = fim_op_d_a(op) * fim_op_d_g(op);
    gsl_matrix *dense = gsl_matrix_alloc(d, d);
    TEST_OK(fim_op_dense(op, dense));
    return dense;
}

Test(metric, all_agree_with_dense_computations) {
    static const struct {
        const char *name;
        double tolerance; // of the value, relative to 1 or to the largest eigenvalue
    } metrics[] = {{"frobenius_error", 1e-9},
                   {"spectrum_error", 1e-12},
                   {"trace_error", 1e-12},
                   {"spectral_norm_error", 1e-8},
                   {"min_eigenvalue", 1e-12}};
    // Rows with N·C below and above D, packed, one output, stored.
    const fim_samples samples[] = {test_samples(4, 5, 4, 2, 1), test_samples(30, 5, 4, 3, 2),
                                   test_samples(20, 4, 5, 0, 3), test_samples(12, 6, 1, 1, 4),
                                   test_samples(25, 4, 3, 2, 5)};
    size_t count;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t s = 0; s < 5; s++) {
        fim_fisher *f = NULL;
        const gsl_matrix *exact = plain_block(&samples[s]);
        if (s < 4) {
            TEST_OK(fim_fisher_new(&samples[s], &f));
        } else {
            gsl_matrix *a = gsl_matrix_alloc(4, 4), *g = gsl_matrix_alloc(3, 3);
            fim_fisher *sampled = NULL;
            TEST_OK(fim_fisher_new(&samples[s], &sampled));
            TEST_OK(fim_fisher_moments(sampled, a, g));
            TEST_OK(fim_fisher_new_dense(plain_copy(exact), 4, 3, 25, a, g, &f));
        }
        for (size_t k = 0; k < count; k++) {
            fim_op *op = approximate(list[k].name, f);
            const gsl_matrix *dense = dense_of(op);
            const double scale = plain_norm(exact);
            for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
                const double got = value_of(metrics[m].name, f, op, SIZE_MAX, "");
                const double unit = strcmp(find(metrics[m].name)->unit, "F") == 0 ? scale : 1;
                cr_assert(epsilon_eq(dbl, got, plain_metric(metrics[m].name, exact, dense),
                                     metrics[m].tolerance * unit),
                          "%s of %s, samples %zu", metrics[m].name, list[k].name, s);
            }
            // Semidefinite factors of iterative methods carry their residual: not counted.
            const gsl_vector *values = plain_eigenvalues(dense, NULL);
            const double largest = fmax(gsl_vector_get(values, 0), -gsl_vector_get(values, values->size - 1));
            size_t clear = 0, possible = 0; // without, and with those at the limit
            for (size_t i = 0; i < values->size; i++) {
                clear += gsl_vector_get(values, i) < -1.01e-9 * largest;
                possible += gsl_vector_get(values, i) < -0.99e-9 * largest;
            }
            const double negative = value_of("negative_eigenvalues", f, op, SIZE_MAX, "below -");
            cr_assert(negative >= (double)clear && negative <= (double)possible, "%g of %s, samples %zu",
                      negative, list[k].name, s);
            cr_assert(eq(dbl, value_of("bytes", f, op, 0, fim_op_kind(op)), (double)fim_op_bytes(op)));
            fim_op_free(op);
        }
        fim_fisher_free(f);
    }
}

Test(metric, negative_eigenvalues_are_counted_above_rounding_only) {
    const fim_samples s = test_samples(9, 2, 4, 1, 6);
    static const double lambda[] = {3, 1, 0, -1e-17, -1e-10, -1e-8, -0.5, -4};
    gsl_matrix *m = gsl_matrix_alloc(2, 4);
    memcpy(m->data, lambda, sizeof lambda);
    fim_fisher *f = NULL;
    fim_op *op = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_op_new_basis(NULL, NULL, m, &op));
    cr_assert(eq(dbl, value_of("negative_eigenvalues", f, op, 0, "below -4.0e-09"), 3));
    cr_assert(eq(dbl, value_of("min_eigenvalue", f, op, 0, "diagonal"), -4));
    fim_op_free(op);
    fim_fisher_free(f);
}

// F = A ⊗ G exactly (one sample), and an operator that is off by a known relative error.
static void nearly_exact(double error, fim_fisher **f, fim_op **op, fim_samples *s) {
    *s = test_samples(1, 6, 5, 3, 7);
    TEST_OK(fim_fisher_new(s, f));
    gsl_matrix *a = plain_outer(s, 0), *g = plain_covariance(s, 0);
    gsl_matrix_scale(a, 1 + error);
    TEST_OK(fim_op_new_kronecker(1, &a, &g, op));
}

Test(metric, small_errors_come_from_the_residual_itself) {
    for (int digits = 1; digits <= 14; digits++) {
        const double error = pow(10, -digits);
        fim_fisher *f = NULL;
        fim_op *op = NULL;
        fim_samples s;
        nearly_exact(error, &f, &op, &s);
        const double got = value_of("frobenius_error", f, op, SIZE_MAX,
                                    digits <= 4   ? "inner products"
                                    : digits >= 5 ? "dense residual"
                                                  : "");
        cr_assert(epsilon_eq(dbl, got, error, digits <= 4 ? 1e-6 * error : 1e-15), "an error of 1e-%d",
                  digits);
        fim_op_free(op);
        fim_fisher_free(f);
    }
}

Test(metric, without_memory_small_errors_are_bounded_from_above) {
    for (int digits = 1; digits <= 14; digits++) {
        const double error = pow(10, -digits);
        fim_fisher *f = NULL;
        fim_op *op = NULL;
        fim_samples s;
        nearly_exact(error, &f, &op, &s);
        const double got =
            value_of("frobenius_error", f, op, 1000, digits <= 4 ? "inner products" : "upper bound");
        cr_assert(got >= error * (1 - 1e-6) && got <= error * (1 + 1e-6) + (digits > 4 ? 1e-6 : 0),
                  "%g for 1e-%d", got, digits);
        fim_op_free(op);
        fim_fisher_free(f);
    }
}

Test(metric, only_spectral_ones_need_memory) {
    const fim_samples s = test_samples(30, 5, 4, 3, 8);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    fim_op *op = approximate("kpsvd:2", f);
    size_t count;
    const fim_metric *list = fim_metric_list(&count);
    for (size_t i = 0; i < count; i++) {
        double value = 77;
        char route[200];
        fim_status status = evaluate(list[i].name, f, op, 0, &value, route);
        if (list[i].spectral) {
            cr_assert(status == FIM_ERR_BUDGET && value == 77, "%s: %s", list[i].name,
                      fim_status_text(status));
            cr_assert(strstr(fim_message(), "--memory") != NULL, "%s", fim_message());
        } else {
            cr_assert(status == FIM_OK && value != 77, "%s: %s", list[i].name, fim_message());
        }
    }
    fim_op_free(op);
    fim_fisher_free(f);
}

Test(metric, a_block_of_zeros_has_no_relative_errors) {
    static const char *const relative[] = {"frobenius_error", "spectrum_error", "trace_error",
                                           "spectral_norm_error"};
    fim_samples s = test_samples(30, 3, 4, 2, 9);
    gsl_matrix_set_zero(s.g);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    fim_op *op = approximate("kfac", f);
    char route[200];
    for (size_t i = 0; i < 4; i++) {
        double value = 77;
        TEST_FAILS(evaluate(relative[i], f, op, SIZE_MAX, &value, route), FIM_ERR_UNAVAILABLE, "zero");
        cr_assert(eq(dbl, value, 77));
    }
    cr_assert(eq(dbl, value_of("min_eigenvalue", f, op, SIZE_MAX, ""), 0));
    cr_assert(eq(dbl, value_of("negative_eigenvalues", f, op, SIZE_MAX, ""), 0));
    fim_op_free(op);
    fim_fisher_free(f);
}

Test(metric, the_reference_is_the_block) {
    const fim_samples s = test_samples(8, 4, 3, 1, 10);
    const gsl_matrix *dense = plain_block(&s);
    fim_fisher *f = NULL;
    fim_reference *reference = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_reference_new(f, NULL, SIZE_MAX, 1, &reference));
    cr_assert(epsilon_eq(dbl, fim_reference_norm(reference), plain_norm(dense), 1e-13));
    cr_assert(epsilon_eq(dbl, fim_reference_trace(reference), plain_trace(dense), 1e-13));
    const fim_spectrum *spectrum, *again;
    TEST_OK(fim_reference_spectrum(reference, &spectrum));
    cr_assert(spectrum->complete && spectrum->size == 12 && spectrum->tail_norm == 0 && spectrum->slack == 0);
    cr_assert(
        epsilon_eq(dbl, plain_vector_difference(spectrum->values, plain_eigenvalues(dense, NULL)), 0, 1e-13));
    cr_assert(strstr(spectrum->route, "Gram") != NULL, "%s", spectrum->route);
    const gsl_vector *values = spectrum->values;
    TEST_OK(fim_reference_spectrum(reference, &again));
    cr_assert(again->values == values, "computed once");
    fim_reference_free(reference);
    TEST_OK(fim_reference_new(f, NULL, 100, 1, &reference));
    spectrum = NULL;
    TEST_FAILS(fim_reference_spectrum(reference, &spectrum), FIM_ERR_BUDGET, "--memory");
    cr_assert(spectrum == NULL);
    fim_reference_free(reference);
    fim_reference_free(NULL);
    fim_fisher_free(f);
}

Test(metric, a_candidate_must_fit_the_block) {
    const fim_samples s = test_samples(8, 4, 3, 1, 11), t = test_samples(8, 3, 4, 1, 11);
    fim_fisher *f = NULL, *other = NULL;
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    TEST_OK(fim_fisher_new(&s, &f));
    TEST_OK(fim_fisher_new(&t, &other));
    TEST_OK(fim_reference_new(f, NULL, SIZE_MAX, 1, &reference));
    fim_op *turned = approximate("kfac", other), *op = approximate("kfac", f);
    TEST_FAILS(fim_candidate_new(reference, turned, &candidate), FIM_ERR_SHAPE, "(3, 4)");
    cr_assert(candidate == NULL);
    TEST_OK(fim_candidate_new(reference, op, &candidate));
    const fim_spectrum *spectrum, *again;
    TEST_OK(fim_candidate_spectrum(candidate, &spectrum));
    const gsl_vector *values = spectrum->values;
    TEST_OK(fim_candidate_spectrum(candidate, &again));
    cr_assert(again->values == values && values->size == 12, "computed once, all of them");
    fim_candidate_free(candidate);
    fim_candidate_free(NULL);
    fim_reference_free(reference);
}

Test(metric, lists_keep_the_order_of_reports) {
    static const struct {
        const char *text, *names;
    } good[] = {{"bytes", "bytes "},
                {"bytes,frobenius_error,bytes", "frobenius_error bytes "},
                {"all", "frobenius_error spectrum_error trace_error spectral_norm_error min_eigenvalue "
                        "negative_eigenvalues bytes "},
                {"trace_error,all",
                 "frobenius_error spectrum_error trace_error spectral_norm_error min_eigenvalue "
                 "negative_eigenvalues bytes "}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const fim_metric **metrics = NULL;
        size_t count = 0;
        char names[256] = "";
        TEST_OK(fim_metric_parse_list(good[i].text, &metrics, &count));
        for (size_t k = 0; k < count; k++)
            strcat(strcat(names, metrics[k]->name), " ");
        TEST_TEXT(names, good[i].names);
        free(metrics);
    }
    const fim_metric **metrics = NULL;
    size_t count = 77;
    TEST_FAILS(fim_metric_parse_list("error", &metrics, &count), FIM_ERR_UNKNOWN, "unknown metric 'error'");
    cr_assert(strstr(fim_message(), "spectral_norm_error") != NULL, "%s", fim_message());
    TEST_FAILS(fim_metric_parse_list("", &metrics, &count), FIM_ERR_UNKNOWN, "unknown metric ''");
    TEST_FAILS(fim_metric_parse_list("bytes,", &metrics, &count), FIM_ERR_UNKNOWN, "unknown metric ''");
    cr_assert(metrics == NULL && count == 77, "an output was touched");
    const fim_metric *list = fim_metric_list(&count);
    for (size_t i = 0; i < count; i++)
        cr_assert(strlen(list[i].about) > 10 && strlen(list[i].unit) > 0, "%s", list[i].name);
}
