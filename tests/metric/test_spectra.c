// Spectra of which only the leading part is known: it and the interval of spectrum_error against dense
// eigenvalues, for every approximation.
#include "fim/approx.h"
#include "fim/linalg.h"
#include "fim/metric.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(spectra, .init = setup);

static const fim_metric *find(const char *name) {
    size_t count;
    const fim_metric *list = fim_metric_list(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    cr_assert(false, "no metric %s", name);
    return NULL;
}

// The spectrum, the interval (low, high) and what the others say of one approximation.
typedef struct answer {
    fim_spectrum exact, approximate; // without their values, which the copies below hold
    gsl_vector *exact_values, *approximate_values;
    double low, high, least;
    bool bound;
    fim_status negative;
    char route[200];
} answer;

static gsl_vector *keep(const gsl_vector *v) {
    gsl_vector *copy = gsl_vector_alloc(v->size);
    gsl_vector_memcpy(copy, v);
    return copy;
}

static answer ask(const fim_fisher *f, const fim_op *op, fim_spectra_options spectra, size_t budget) {
    answer a = {0};
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    const fim_spectrum *s = NULL;
    TEST_OK(fim_reference_new(f, &spectra, budget, 1, &reference));
    TEST_OK(fim_candidate_new(reference, op, &candidate));
    TEST_OK(fim_reference_spectrum(reference, &s));
    a.exact = *s;
    a.exact_values = keep(s->values);
    TEST_OK(fim_candidate_spectrum(candidate, &s));
    a.approximate = *s;
    a.approximate_values = keep(s->values);
    TEST_OK(find("spectrum_error")->evaluate(candidate, &a.high, a.route));
    a.bound = sscanf(a.route, "upper bound, at least %lg: F: ", &a.low) == 1;
    if (!a.bound)
        a.low = a.high;
    char route[200];
    TEST_OK(find("min_eigenvalue")->evaluate(candidate, &a.least, route));
    double count;
    a.negative = find("negative_eigenvalues")->evaluate(candidate, &count, route);
    fim_candidate_free(candidate);
    fim_reference_free(reference);
    return a;
}

static fim_op *approximate(const char *name, const fim_fisher *f) {
    fim_method method;
    fim_op *op = NULL;
    fim_approx_info info;
    TEST_OK(fim_method_parse(name, &method));
    TEST_OK(fim_approx_build(&method, f, &(fim_approx_options){.seed = 1}, &op, &info));
    return op;
}

static double norm_from(const gsl_vector *values, size_t first) {
    double norm = 0;
    for (size_t i = first; i < values->size; i++)
        norm = hypot(norm, gsl_vector_get(values, i));
    return norm;
}

// What a leading spectrum must be, next to all eigenvalues.
static void assert_leading(const fim_spectrum *s, const gsl_vector *values, const gsl_vector *all,
                           const char *what) {
    const double scale = gsl_vector_get(all, 0);
    double trace = 0;
    cr_assert(eq(sz, s->size, all->size));
    for (size_t i = 0; i < values->size; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(values, i), gsl_vector_get(all, i), 1e-8 * scale),
                  "eigenvalue %zu of %s", i, what);
    for (size_t i = values->size; i < all->size; i++)
        trace += gsl_vector_get(all, i);
    if (s->complete) {
        cr_assert(s->tail_norm == 0 && s->tail_trace == 0, "%s", what);
        return;
    }
    cr_assert(strstr(s->route, "leading") != NULL && strstr(s->route, "residual") != NULL, "%s", s->route);
    cr_assert(epsilon_eq(dbl, s->tail_trace, trace, 1e-7 * scale), "%s", what);
    cr_assert(fabs(s->tail_norm * s->tail_norm - pow(norm_from(all, values->size), 2)) <
                  1e-12 * scale * scale,
              "%s", what);
    double off = 0;
    for (size_t i = 0; i < values->size; i++)
        off = hypot(off, gsl_vector_get(values, i) - gsl_vector_get(all, i));
    cr_assert(off <= s->slack + 1e-13 * scale && s->slack < 1e-6 * scale, "%s: off by %g, %g allowed", what,
              off, s->slack);
}

static double plain_spectrum_error(const gsl_vector *x, const gsl_vector *y) {
    double distance = 0;
    for (size_t i = 0; i < x->size; i++)
        distance = hypot(distance, gsl_vector_get(x, i) - gsl_vector_get(y, i));
    return distance / norm_from(x, 0);
}

// More rows than parameters, packed, rows fewer than parameters (a Gram matrix gives all of F), one output.
static const size_t shapes[][5] = {
    {60, 8, 7, 3, 1}, {50, 7, 8, TEST_PACKED, 2}, {12, 9, 8, 2, 3}, {40, 30, 1, 1, 4}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

Test(spectra, intervals_hold_the_dense_value_for_every_approximation) {
    static const char *const more[] = {"kpsvd:3", "kpsvd:5"};
    size_t count, bounds = 0;
    const fim_approx *list = fim_approx_list(&count);
    for (size_t s = 0; s < SHAPES; s++) {
        const fim_samples samples =
            test_samples(shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3], shapes[s][4]);
        const gsl_matrix *block = plain_block(&samples);
        const gsl_vector *exact = plain_eigenvalues(block, NULL);
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_new(&samples, &f));
        for (size_t m = 0; m < count + 2; m++) {
            const char *name = m < count ? list[m].name : more[m - count];
            fim_op *op = approximate(name, f);
            gsl_matrix *dense = gsl_matrix_alloc(block->size1, block->size1);
            TEST_OK(fim_op_dense(op, dense));
            const gsl_vector *values = plain_eigenvalues(dense, NULL);
            const double want = plain_spectrum_error(exact, values);
            double before = INFINITY;
            for (size_t k = 1; k <= 20; k += k < 4 ? 1 : 8) {
                char what[80];
                snprintf(what, sizeof what, "%s, samples %zu, k = %zu", name, s, k);
                const answer a =
                    ask(f, op, (fim_spectra_options){FIM_SPECTRA_LEADING, 0, k < 2 ? 2 : k}, SIZE_MAX);
                assert_leading(&a.exact, a.exact_values, exact, what);
                assert_leading(&a.approximate, a.approximate_values, values, what);
                cr_assert(a.exact.complete == (s == 2), "%s: a small Gram matrix is no dense eigensolver",
                          what);
                // The route has four digits of the lower end.
                cr_assert(a.low * (1 - 1e-3) <= want + 1e-9 && want <= a.high + 1e-9,
                          "%s: %g in [%g, %g], %s", what, want, a.low, a.high, a.route);
                if (a.exact.complete && a.approximate.complete)
                    cr_assert(fabs(a.high - want) < 1e-9 && !a.bound, "%s: %s", what, a.route);
                cr_assert(a.bound || fabs(a.high - want) <= 1e-6 * a.high + 1e-9, "%s", what);
                cr_assert(a.high <= plain_distance(block, dense) / plain_norm(block) + 1e-7,
                          "%s: above the Frobenius error", what);
                cr_assert(a.high <= before + 1e-9, "%s: more eigenvalues, a worse bound", what);
                before = a.high;
                bounds += a.bound;
                cr_assert(epsilon_eq(dbl, a.least, gsl_vector_get(values, values->size - 1),
                                     1e-6 * gsl_vector_get(values, 0)),
                          "%s", what);
                cr_assert(a.negative == (a.approximate.complete ? FIM_OK : FIM_ERR_UNAVAILABLE), "%s", what);
                if (!a.approximate.complete)
                    cr_assert(strstr(fim_message(), "--spectra full") != NULL, "%s", fim_message());
                gsl_vector_free(a.exact_values);
                gsl_vector_free(a.approximate_values);
            }
            fim_op_free(op);
        }
        fim_fisher_free(f);
    }
    cr_assert(bounds > 50, "only %zu bounds were put to the test", bounds);
}

// Diagonal output covariances: blocks of single outputs have all eigenvalues and the norm of the difference,
// also where only leading ones were asked for.
Test(spectra, independent_outputs_are_solved_one_by_one) {
    static const char *const names[] = {"kfac", "ekfac", "tekfac", "kpsvd:2", "kpsvd:3", "kfac-corrected"};
    static const size_t counts[] = {6, 13,
                                    60}; // fewer samples than inputs, more, and more than a block is worth
    for (size_t c = 0; c < 3; c++) {
        const fim_samples samples = test_samples(counts[c], 9, 5, TEST_DIAGONAL, 8);
        const gsl_matrix *block = plain_block(&samples);
        const gsl_vector *exact = plain_eigenvalues(block, NULL);
        fim_fisher *f = NULL;
        TEST_OK(fim_fisher_new(&samples, &f));
        for (size_t m = 0; m < sizeof names / sizeof *names; m++) {
            fim_op *op = approximate(names[m], f);
            fim_reference *reference = NULL;
            fim_candidate *candidate = NULL;
            const fim_spectrum *s = NULL;
            gsl_matrix *dense = gsl_matrix_alloc(block->size1, block->size1);
            TEST_OK(fim_op_dense(op, dense));
            const gsl_vector *values = plain_eigenvalues(dense, NULL);
            const double largest = gsl_vector_get(exact, 0);
            TEST_OK(fim_reference_new(f, &(fim_spectra_options){FIM_SPECTRA_LEADING, 0, 3}, SIZE_MAX, 1,
                                      &reference));
            TEST_OK(fim_candidate_new(reference, op, &candidate));
            TEST_OK(fim_candidate_spectrum(candidate, &s));
            cr_assert(s->complete && s->values->size == 45, "%s: %s", names[m], s->route);
            if (strstr(names[m], "ekfac") == NULL && strcmp(names[m], "kfac") != 0)
                cr_assert(strstr(s->route, "independent outputs") != NULL, "%s: %s", names[m], s->route);
            for (size_t i = 0; i < 45; i++)
                cr_assert(
                    epsilon_eq(dbl, gsl_vector_get(s->values, i), gsl_vector_get(values, i), 1e-12 * largest),
                    "%s: eigenvalue %zu", names[m], i);
            const gsl_vector *apart = plain_eigenvalues(plain_sum(block, -1, dense), NULL);
            const double want = fmax(gsl_vector_get(apart, 0), -gsl_vector_get(apart, 44)) / largest;
            double norm;
            char route[200];
            TEST_OK(find("spectral_norm_error")->evaluate(candidate, &norm, route));
            cr_assert(strstr(route, "independent outputs") != NULL, "%s: %s", names[m], route);
            cr_assert(epsilon_eq(dbl, norm, want, 1e-10), "%s: %g, dense %g", names[m], norm, want);
            fim_candidate_free(candidate);
            fim_reference_free(reference);
            fim_op_free(op);
        }
        fim_fisher_free(f);
    }
}

// The bounds are not idle: with the approximation known, they come near, and the more is known the nearer.
Test(spectra, intervals_close_as_more_is_known) {
    const fim_samples samples = test_samples(80, 10, 10, 3, 5);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&samples, &f));
    fim_op *op = approximate("kfac", f);
    double width[3];
    for (size_t i = 0; i < 3; i++) {
        static const size_t leading[] = {5, 30, 100};
        const answer a = ask(f, op, (fim_spectra_options){FIM_SPECTRA_LEADING, 0, leading[i]}, SIZE_MAX);
        width[i] = a.high - a.low;
    }
    cr_assert(width[0] < 0.2 && width[1] < 0.5 * width[0] && width[2] == 0, "%g, %g, %g", width[0], width[1],
              width[2]);
}

Test(spectra, the_policy_and_the_budget_choose) {
    const fim_samples dense = test_samples(60, 8, 7, 3, 6), few = test_samples(9, 8, 7, 2, 6);
    fim_fisher *f = NULL, *g = NULL;
    TEST_OK(fim_fisher_new(&dense, &f));
    TEST_OK(fim_fisher_new(&few, &g));
    fim_op *sum = approximate("kpsvd:2", f), *one = approximate("kfac", f);
    const double solve = 4.0 / 3 * 56 * 56 * 56;
    const struct {
        const fim_fisher *f;
        const fim_op *op;
        fim_spectra_options spectra;
        size_t budget;
        bool exact, approximate; // complete
    } cases[] = {
        {f, sum, {FIM_SPECTRA_FULL, 0, 0}, SIZE_MAX, true, true},
        {f, sum, {FIM_SPECTRA_LEADING, 0, 0}, SIZE_MAX, false, false},
        {f, one, {FIM_SPECTRA_LEADING, 0, 0}, SIZE_MAX, false, true},
        {g, one, {FIM_SPECTRA_LEADING, 0, 0}, SIZE_MAX, true, true},
        {f, sum, {FIM_SPECTRA_AUTO, 1.01 * solve, 0}, SIZE_MAX, true, true},
        {f, sum, {FIM_SPECTRA_AUTO, 0.99 * solve, 0}, SIZE_MAX, false, false},
        {f, one, {FIM_SPECTRA_AUTO, 0, 0}, SIZE_MAX, false, true},
        {g, one, {FIM_SPECTRA_AUTO, 4.0 / 3 * 18 * 18 * 18, 0}, SIZE_MAX, true, true},
        // 56² numbers are 25 kB, vectors of 56 are not.
        {f, sum, {FIM_SPECTRA_FULL, 0, 5}, 24000, false, false},
        {f, sum, {FIM_SPECTRA_AUTO, 1e9, 5}, 24000, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const answer a = ask(cases[i].f, cases[i].op, cases[i].spectra, cases[i].budget);
        cr_assert(a.exact.complete == cases[i].exact && a.approximate.complete == cases[i].approximate,
                  "case %zu: %s; %s", i, a.exact.route, a.approximate.route);
        const size_t usual = cases[i].spectra.policy == FIM_SPECTRA_AUTO ? 20 : 50;
        const size_t want = cases[i].spectra.leading > 0 ? cases[i].spectra.leading : usual;
        cr_assert(a.exact.complete || a.exact_values->size == want, "case %zu: %zu", i, a.exact_values->size);
    }
}

Test(spectra, sums_on_large_layers_are_left_out_unasked) {
    fim_samples samples = test_samples(700, 700, 700, 1, 9);
    fim_fisher *f = NULL;
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    const fim_spectrum *spectrum = NULL;
    TEST_OK(fim_fisher_new(&samples, &f));
    fim_op *sum = approximate("kpsvd:2", f), *one = approximate("kpsvd", f);
    TEST_OK(
        fim_reference_new(f, &(fim_spectra_options){.policy = FIM_SPECTRA_AUTO}, SIZE_MAX, 1, &reference));
    TEST_OK(fim_candidate_new(reference, sum, &candidate));
    TEST_FAILS(fim_candidate_spectrum(candidate, &spectrum), FIM_ERR_UNAVAILABLE, "--spectra leading");
    cr_assert(spectrum == NULL);
    fim_candidate_free(candidate);
    TEST_OK(fim_candidate_new(reference, one, &candidate)); // structure gives all of these
    TEST_OK(fim_candidate_spectrum(candidate, &spectrum));
    cr_assert(spectrum->complete);
    fim_candidate_free(candidate);
    fim_reference_free(reference);
    fim_op_free(sum);
    fim_op_free(one);
    fim_fisher_free(f);
    fim_samples_clear(&samples);
}

Test(spectra, a_small_budget_asks_for_fewer_eigenvalues) {
    const fim_samples samples = test_samples(60, 8, 7, 3, 7);
    const gsl_vector *exact = plain_eigenvalues(plain_block(&samples), NULL);
    const size_t vector = 56 * sizeof(double), products = (2 * 60 * 7 + 3 * 56) * sizeof(double);
    fim_fisher *f = NULL;
    TEST_OK(fim_fisher_new(&samples, &f));
    for (size_t vectors = 4; vectors <= 40; vectors += 12) {
        fim_reference *reference = NULL;
        const fim_spectrum *s = NULL;
        const fim_spectra_options spectra = {.policy = FIM_SPECTRA_LEADING, .leading = 10};
        TEST_OK(fim_reference_new(f, &spectra, products + vectors * vector, 1, &reference));
        if (vectors == 4) { // two eigenvalues need a basis of four vectors and the next one
            TEST_FAILS(fim_reference_spectrum(reference, &s), FIM_ERR_BUDGET, "--memory");
            cr_assert(s == NULL);
        } else {
            TEST_OK(fim_reference_spectrum(reference, &s));
            cr_assert(eq(sz, s->values->size, vectors / 2 < 10 ? vectors / 2 : 10));
            assert_leading(s, s->values, exact, "a small basis");
        }
        fim_reference_free(reference);
    }
}

Test(spectra, the_density_has_the_moments_of_the_block) {
    const fim_samples samples = test_samples(60, 8, 7, TEST_PACKED, 8);
    const gsl_matrix *block = plain_block(&samples);
    fim_fisher *f = NULL;
    fim_reference *reference = NULL;
    fim_density density;
    TEST_OK(fim_fisher_new(&samples, &f));
    TEST_OK(fim_reference_new(f, NULL, SIZE_MAX, 1, &reference));
    TEST_OK(fim_reference_density(reference, 100, 8, &density));
    double mean = 0;
    for (size_t i = 0; i < 800; i++)
        mean += density.weights->data[i] * density.nodes->data[i] / 100;
    double off = 0; // zᵀ F z of random signs z has the variance 2 Σ_{i≠j} F_ij²
    for (size_t i = 0; i < 56; i++)
        for (size_t j = 0; j < 56; j++)
            off += i == j ? 0 : 2 * pow(gsl_matrix_get(block, i, j), 2);
    cr_assert(fabs(mean - plain_trace(block) / 56) < 3.5 * sqrt(off / 100) / 56, "%g", mean);
    fim_density_clear(&density);
    fim_reference_free(reference);
    fim_fisher_free(f);
}

Test(spectra, policies_by_name) {
    fim_spectra policy = FIM_SPECTRA_FULL;
    TEST_OK(fim_spectra_parse("auto", &policy));
    cr_assert(policy == FIM_SPECTRA_AUTO);
    TEST_OK(fim_spectra_parse("leading", &policy));
    cr_assert(policy == FIM_SPECTRA_LEADING);
    TEST_FAILS(fim_spectra_parse("some", &policy), FIM_ERR_UNKNOWN, "full, leading or auto");
    cr_assert(policy == FIM_SPECTRA_LEADING);
    TEST_OK(fim_spectra_parse("full", &policy));
    cr_assert(policy == FIM_SPECTRA_FULL);
}

// Fewer samples than inputs, a dead input and a dead output: everything iterates in the frame of the samples,
// and says what dense matrices say. Repeated operators take over what is known of the first.
Test(spectra, the_frame_of_the_samples_changes_nothing) {
    static const char *const methods[] = {"diagonal", "kfac",      "tkfac",   "ekfac",          "tekfac",
                                          "kpsvd",    "deflation", "lanczos", "kfac-corrected", "kpsvd:3"};
    for (size_t form = 0; form < 2; form++) {
        fim_samples samples = test_samples(6, 11, 7, form == 0 ? 2 : TEST_DIAGONAL, 21 + form);
        for (size_t n = 0; n < samples.n; n++)
            gsl_matrix_set(samples.a, n, 3, 0);
        for (size_t r = 0; r < (form == 0 ? samples.g : samples.diagonal)->size1; r++)
            gsl_matrix_set(form == 0 ? samples.g : samples.diagonal, r, 2, 0);
        fim_fisher *f = NULL;
        fim_reference *reference = NULL;
        TEST_OK(fim_fisher_new(&samples, &f));
        const gsl_matrix *block = plain_block(&samples);
        const double norm = gsl_vector_get(plain_eigenvalues(block, NULL), 0);
        TEST_OK(
            fim_reference_new(f, &(fim_spectra_options){FIM_SPECTRA_LEADING, 0, 5}, SIZE_MAX, 1, &reference));
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            fim_op *op = approximate(methods[m], f);
            gsl_matrix *dense = gsl_matrix_alloc(77, 77);
            TEST_OK(fim_op_dense(op, dense));
            const gsl_vector *rest = plain_eigenvalues(plain_sum(block, -1, dense), NULL);
            const gsl_vector *own = plain_eigenvalues(dense, NULL);
            const double want = fmax(gsl_vector_get(rest, 0), -gsl_vector_get(rest, 76)) / norm;
            fim_candidate *candidate = NULL;
            double value;
            char route[200];
            TEST_OK(fim_candidate_new(reference, op, &candidate));
            TEST_OK(find("spectral_norm_error")->evaluate(candidate, &value, route));
            cr_assert(epsilon_eq(dbl, value, want, 5e-6 * want), "%s: %.10g, dense %.10g (%s)", methods[m],
                      value, want, route);
            const bool second = strcmp(methods[m], "lanczos") == 0, taken = strstr(route, "away") != NULL;
            cr_assert(second == taken, "%s: %s", methods[m], route);
            TEST_OK(find("min_eigenvalue")->evaluate(candidate, &value, route));
            cr_assert(epsilon_eq(dbl, value, gsl_vector_get(own, 76), 1e-6 * gsl_vector_get(own, 0)),
                      "%s: %g", methods[m], value);
            const fim_spectrum *spectrum = NULL;
            TEST_OK(fim_candidate_spectrum(candidate, &spectrum));
            for (size_t i = 0; i < 5; i++)
                cr_assert(epsilon_eq(dbl, gsl_vector_get(spectrum->values, i), gsl_vector_get(own, i),
                                     1e-7 * gsl_vector_get(own, 0)),
                          "%s: eigenvalue %zu", methods[m], i);
            fim_candidate_free(candidate);
            fim_op_free(op);
        }
        fim_reference_free(reference);
        fim_fisher_free(f);
    }
}
