// The symmetric Lanczos process and the spectral density against dense eigenvalues, on spectra that are easy,
// hard and degenerate.
#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(lanczos, .init = setup);
TestSuite(density, .init = setup);

typedef struct dense_map {
    const gsl_matrix *m;
    size_t products;
    size_t fail_at; // the product that fails, from 1; 0 for none
} dense_map;

static fim_status dense_apply(const void *context, bool transposed, const double *x, double *y) {
    dense_map *map =
        *(dense_map *const *)context; // the counter is the test's; to the algorithm it is constant
    const gsl_matrix *m = map->m;
    cr_assert(transposed == false, "a symmetric map is applied as it is");
    if (++map->products == map->fail_at)
        return FIM_FAIL(FIM_ERR_VALUE, "product %zu fails", map->products);
    for (size_t i = 0; i < m->size1; i++) {
        y[i] = 0;
        for (size_t j = 0; j < m->size2; j++)
            y[i] += gsl_matrix_get(m, i, j) * x[j];
    }
    return FIM_OK;
}

typedef struct found {
    gsl_vector *values;
    gsl_matrix *vectors;
    fim_lanczos_info info;
    fim_status status;
    size_t products; // as the map counted them
    gsl_vector *alone; // the values of a run that leaves the vectors out, and the basis orthogonal to √ε only
    fim_lanczos_info alone_info;
} found;

static found run_failing(const gsl_matrix *m, size_t k, fim_lanczos_options options, size_t fail_at) {
    dense_map state = {.m = m, .fail_at = fail_at};
    dense_map *context = &state;
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = &context, .apply = dense_apply};
    found f = {.values = gsl_vector_calloc(k), .vectors = gsl_matrix_calloc(k, m->size1)};
    f.status = fim_lanczos(&map, k, &options, f.values, f.vectors, &f.info);
    f.products = state.products;
    return f;
}

static found run(const gsl_matrix *m, size_t k, fim_lanczos_options options) {
    found f = run_failing(m, k, options, 0);
    dense_map state = {.m = m};
    dense_map *context = &state;
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = &context, .apply = dense_apply};
    f.alone = gsl_vector_calloc(k);
    const fim_status status = fim_lanczos(&map, k, &options, f.alone, NULL, &f.alone_info);
    cr_assert(status == f.status, "%s", fim_message());
    return f;
}

// Q diag(values) Qᵀ, n x n, the rest of the spectrum being zero.
static gsl_matrix *with_spectrum(size_t n, size_t count, const double *values) {
    const gsl_matrix *q = plain_random_orthogonal(n, count, 41);
    return plain_spectral(q, values, q);
}

static double residual(const gsl_matrix *m, const found *f, double scale) {
    const gsl_matrix *product = plain_product(f->vectors, m);
    double worst = 0;
    for (size_t i = 0; i < f->values->size; i++) {
        double length = 0;
        for (size_t j = 0; j < m->size1; j++)
            length = hypot(length, gsl_matrix_get(product, i, j) -
                                       gsl_vector_get(f->values, i) * gsl_matrix_get(f->vectors, i, j));
        worst = fmax(worst, length);
    }
    return scale > 0 ? worst / scale : worst;
}

// The k eigenvalues that `order` puts first.
static gsl_vector *wanted(const gsl_matrix *m, size_t k, fim_lanczos_order order, double *scale) {
    const gsl_vector *all = plain_eigenvalues(m, NULL);
    gsl_vector *first = gsl_vector_calloc(k);
    size_t high = 0, low = all->size;
    *scale = fmax(fabs(gsl_vector_get(all, 0)), fabs(gsl_vector_get(all, low - 1)));
    for (size_t i = 0; i < k; i++) {
        const bool from_low = order == FIM_LANCZOS_SMALLEST ||
                              (order == FIM_LANCZOS_MAGNITUDE &&
                               fabs(gsl_vector_get(all, low - 1)) > fabs(gsl_vector_get(all, high)));
        gsl_vector_set(first, i, gsl_vector_get(all, from_low ? --low : high++));
    }
    return first;
}

// Converged, and everything it promises is true: values, vectors, residual, count of products.
static void assert_extreme(const gsl_matrix *m, const found *f, fim_lanczos_order order, double tolerance,
                           const char *what) {
    double scale;
    const gsl_vector *want = wanted(m, f->values->size, order, &scale);
    cr_assert(f->status == FIM_OK && f->info.converged, "%s: %s", what, fim_message());
    for (size_t i = 0; i < f->values->size; i++)
        cr_assert(
            epsilon_eq(dbl, gsl_vector_get(f->values, i), gsl_vector_get(want, i), tolerance * scale + 1e-15),
            "%s: eigenvalue %zu of %zu", what, i, f->values->size);
    const gsl_matrix *gram = plain_product(f->vectors, plain_transpose(f->vectors));
    cr_assert(epsilon_eq(dbl, test_max_difference(gram, plain_identity(gram->size1)), 0, 1e-13), "%s", what);
    const double measured = residual(m, f, scale);
    cr_assert(measured <= 2 * tolerance + 1e-14, "%s: residual %g", what, measured);
    // max|λ| may lie at the end that was not asked for, where the process knows it from below.
    cr_assert(f->info.residual >= measured - 1e-14 && f->info.residual <= 1.2 * measured + 1e-14,
              "%s: %g told, %g found", what, f->info.residual, measured);
    cr_assert(eq(sz, f->info.products, f->products), "%s", what);
    for (size_t i = 0; i < f->values->size; i++)
        cr_assert(
            epsilon_eq(dbl, gsl_vector_get(f->alone, i), gsl_vector_get(want, i), tolerance * scale + 1e-15),
            "%s: eigenvalue %zu of %zu without vectors", what, i, f->values->size);
    cr_assert(f->alone_info.converged && f->alone_info.residual <= 2 * tolerance, "%s without vectors", what);
}

static const fim_lanczos_order orders[] = {FIM_LANCZOS_LARGEST, FIM_LANCZOS_SMALLEST, FIM_LANCZOS_MAGNITUDE};
static const char *const order_names[] = {"largest", "smallest", "magnitude"};

Test(lanczos, agrees_with_dense_eigenvalues_of_indefinite_maps) {
    static const size_t sizes[] = {1, 2, 3, 7, 40, 120};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s], counts[] = {1, 2, 5, n - 1, n};
        const gsl_matrix *m = plain_random_symmetric(n, 5 + s);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (size_t o = 0; o < 3; o++) {
                if (counts[c] == 0 || counts[c] > n)
                    continue;
                char what[64];
                snprintf(what, sizeof what, "%s %zu of %zu", order_names[o], counts[c], n);
                const found f = run(m, counts[c], (fim_lanczos_options){.order = orders[o], .seed = 3});
                assert_extreme(m, &f, orders[o], 1e-10, what);
            }
    }
}

Test(lanczos, repeated_eigenvalues_are_all_found) {
    static const double few[] = {2, 2, 2, 1, 1, -1.5, -1.5}, equal[] = {1, 1, 1, 1, 1, 1, 1};
    static const size_t sizes[] = {7, 30, 90};
    for (size_t s = 0; s < 3; s++)
        for (size_t k = 1; k <= 7; k++)
            for (size_t o = 0; o < 3; o++) {
                char what[64];
                snprintf(what, sizeof what, "%s %zu of %zu", order_names[o], k, sizes[s]);
                const fim_lanczos_options options = {.order = orders[o], .seed = 6};
                const gsl_matrix *m = with_spectrum(sizes[s], 7, few);
                const found f = run(m, k, options);
                assert_extreme(m, &f, orders[o], 1e-10, what);
                m = with_spectrum(sizes[s], 7, equal);
                const found g = run(m, k, options);
                assert_extreme(m, &g, orders[o], 1e-10, what);
            }
}

Test(lanczos, repeated_leaders_of_a_long_spectrum_are_all_found) {
    double values[200];
    for (size_t i = 0; i < 200; i++)
        values[i] = i < 3 ? 4 : i == 3 ? 3 : 2 * pow(0.95, (double)i);
    const gsl_matrix *m = with_spectrum(200, 200, values);
    for (size_t k = 1; k <= 10; k++) {
        const found f = run(m, k, (fim_lanczos_options){.seed = 7});
        assert_extreme(m, &f, FIM_LANCZOS_LARGEST, 1e-10, "three equal leaders");
    }
}

Test(lanczos, clustered_eigenvalues_are_told_apart) {
    double values[90];
    for (size_t i = 0; i < 90; i++)
        values[i] = i < 6 ? 1 + 1e-4 * (double)(6 - i) : 0.9 / (double)(i - 4);
    const gsl_matrix *m = with_spectrum(90, 90, values);
    for (size_t k = 1; k <= 6; k++) {
        const found f = run(m, k, (fim_lanczos_options){.seed = 5});
        assert_extreme(m, &f, FIM_LANCZOS_LARGEST, 1e-10, "a cluster");
    }
}

Test(lanczos, zero_map_gives_zeros_and_orthonormal_vectors) {
    for (size_t n = 1; n <= 50; n += 7)
        for (size_t k = 1; k <= 3 && k <= n; k++) {
            const gsl_matrix *m = gsl_matrix_calloc(n, n);
            const found f = run(m, k, (fim_lanczos_options){.seed = 4});
            assert_extreme(m, &f, FIM_LANCZOS_LARGEST, 1e-10, "a zero map");
        }
}

Test(lanczos, fewer_eigenvalues_than_asked_for_come_as_zeros) {
    static const double values[] = {3, 2, 1e-3};
    static const size_t sizes[] = {9, 60, 200};
    for (size_t s = 0; s < 3; s++)
        for (size_t k = 1; k <= 8; k++) {
            const gsl_matrix *m = with_spectrum(sizes[s], 3, values);
            const found f = run(m, k, (fim_lanczos_options){.seed = 4});
            assert_extreme(m, &f, FIM_LANCZOS_LARGEST, 1e-10, "rank 3");
        }
}

Test(lanczos, a_start_orthogonal_to_the_leader_does_not_hide_it) {
    gsl_matrix *m = gsl_matrix_calloc(6, 6);
    for (size_t i = 0; i < 6; i++)
        gsl_matrix_set(m, i, i, 10 - (double)i);
    double start[6] = {0};
    for (size_t from = 1; from < 6; from++) {
        start[6 - from] = 1;
        for (size_t k = 1; k <= 3; k++) {
            const found f = run(m, k, (fim_lanczos_options){.seed = 8, .start = start});
            assert_extreme(m, &f, FIM_LANCZOS_LARGEST, 1e-10, "a poor start");
        }
    }
}

Test(lanczos, a_good_start_saves_products) {
    double values[80];
    for (size_t i = 0; i < 80; i++)
        values[i] = pow(0.97, (double)i);
    const gsl_matrix *m = with_spectrum(80, 80, values);
    const found cold = run(m, 1, (fim_lanczos_options){.seed = 9});
    const found warm = run(m, 1, (fim_lanczos_options){.seed = 9, .start = cold.vectors->data});
    assert_extreme(m, &cold, FIM_LANCZOS_LARGEST, 1e-10, "cold");
    assert_extreme(m, &warm, FIM_LANCZOS_LARGEST, 1e-10, "warm");
    cr_assert(2 * warm.products < cold.products, "%zu and %zu products", warm.products, cold.products);
}

Test(lanczos, restarts_with_a_small_basis_reach_the_same) {
    double values[120];
    for (size_t i = 0; i < 120; i++)
        values[i] = pow(-0.98, (double)i);
    const gsl_matrix *m = with_spectrum(120, 120, values);
    for (size_t o = 0; o < 3; o++) {
        for (size_t basis = 5; basis <= 20; basis += 5) {
            const found f = run(m, 3, (fim_lanczos_options){.order = orders[o], .seed = 10, .basis = basis});
            assert_extreme(m, &f, orders[o], 1e-10, "a small basis");
            cr_assert(f.info.restarts > 0);
        }
        const found f = run(m, 3, (fim_lanczos_options){.order = orders[o], .seed = 10, .basis = 1});
        assert_extreme(m, &f, orders[o], 1e-10, "the smallest basis there is");
    }
}

Test(lanczos, the_budget_makes_the_basis_smaller_or_refuses) {
    double values[120];
    for (size_t i = 0; i < 120; i++)
        values[i] = pow(0.98, (double)i);
    const gsl_matrix *m = with_spectrum(120, 120, values);
    const size_t vector = 120 * sizeof(double);
    const found free = run(m, 3, (fim_lanczos_options){.seed = 11});
    const found least = run(m, 3, (fim_lanczos_options){.seed = 11, .budget = 6 * vector});
    assert_extreme(m, &least, FIM_LANCZOS_LARGEST, 1e-10, "the least budget");
    cr_assert(least.info.restarts > free.info.restarts);
    const found same = run(m, 3, (fim_lanczos_options){.seed = 11, .basis = 5});
    cr_assert(eq(sz, least.products, same.products), "six vectors are a basis of five and the next");
    const found none = run(m, 3, (fim_lanczos_options){.seed = 11, .budget = 6 * vector - 1});
    cr_assert(none.status == FIM_ERR_BUDGET && strstr(fim_message(), "Lanczos") != NULL, "%s", fim_message());
    cr_assert(eq(sz, none.products, 0));
}

Test(lanczos, scale_does_not_matter) {
    const gsl_matrix *m = plain_random_symmetric(40, 12);
    const found f = run(m, 2, (fim_lanczos_options){.seed = 11});
    for (int power = -40; power <= 40; power += 20) {
        gsl_matrix *scaled = plain_copy(m);
        gsl_matrix_scale(scaled, pow(10, power));
        const found g = run(scaled, 2, (fim_lanczos_options){.seed = 11});
        cr_assert(g.status == FIM_OK && f.products == g.products, "10^%d: %zu and %zu products", power,
                  f.products, g.products);
        for (size_t i = 0; i < 2; i++) {
            const double ratio = gsl_vector_get(g.values, i) / gsl_vector_get(f.values, i);
            cr_assert(epsilon_eq(dbl, ratio / pow(10, power), 1, 1e-12));
        }
    }
}

Test(lanczos, too_few_products_are_an_ordinary_answer_with_the_best_so_far) {
    double values[80];
    for (size_t i = 0; i < 80; i++)
        values[i] = pow(0.99, (double)i);
    const gsl_matrix *m = with_spectrum(80, 80, values);
    double before = 0;
    for (size_t most = 1; most <= 31; most += 10) {
        const found f = run(m, 2, (fim_lanczos_options){.seed = 12, .max_products = most});
        cr_assert(f.status == FIM_NOT_CONVERGED && !f.info.converged, "%zu products", most);
        cr_assert(strstr(fim_message(), "80 parameters") != NULL && strstr(fim_message(), "residual") != NULL,
                  "%s", fim_message());
        // Two eigenvalues cost at least two products, and two more to measure them.
        cr_assert(f.products <= (most > 4 ? most : 4), "%zu products of %zu", f.products, most);
        cr_assert(eq(sz, f.products, f.info.products));
        cr_assert(f.info.residual > 1e-10);
        const double leader = gsl_vector_get(f.values, 0);
        cr_assert(leader <= 1 + 1e-13 && leader >= before, "%.17g after %.17g", leader, before);
        before = leader;
    }
    cr_assert(before > 0.9, "the leader is %g", before);
}

// The difference of equal maps is rounding, which is not even symmetric.
Test(lanczos, a_negligible_residual_ends_the_iteration) {
    gsl_matrix *m = test_random_matrix(80, 80, 17);
    gsl_matrix_scale(m, 1e-15);
    const fim_lanczos_options options = {.order = FIM_LANCZOS_MAGNITUDE, .seed = 17, .max_products = 200};
    const found lost = run(m, 1, options);
    cr_assert(lost.status == FIM_NOT_CONVERGED, "an asymmetric map converges");
    fim_lanczos_options generous = options;
    generous.negligible = 1e-13;
    const found f = run(m, 1, generous);
    cr_assert(f.status == FIM_OK && f.products < 10 && fabs(gsl_vector_get(f.values, 0)) < 1e-13,
              "%zu products", f.products);
}

Test(lanczos, failure_of_the_map_is_handed_on) {
    const gsl_matrix *m = plain_random_symmetric(20, 14);
    const found whole = run(m, 2, (fim_lanczos_options){.seed = 14});
    for (size_t at = 1; at <= whole.products; at++) {
        const found f = run_failing(m, 2, (fim_lanczos_options){.seed = 14}, at);
        cr_assert(f.status == FIM_ERR_VALUE && f.products == at, "product %zu of %zu", at, whole.products);
        cr_assert(strstr(fim_message(), "fails") != NULL, "%s", fim_message());
    }
}

Test(lanczos, the_same_seed_gives_the_same_bits) {
    const gsl_matrix *m = plain_random_symmetric(50, 15);
    const found f = run(m, 3, (fim_lanczos_options){.seed = 15}),
                g = run(m, 3, (fim_lanczos_options){.seed = 15});
    cr_assert(eq(dbl, test_max_difference(f.vectors, g.vectors), 0));
    cr_assert(eq(dbl, plain_vector_difference(f.alone, g.alone), 0));
}

// The larger the eigenvalues asked for, the sooner rounding along them is amplified: twelve powers of ten,
// many restarts, and values that are as accurate as those of a basis that is orthogonal to rounding.
Test(lanczos, values_without_vectors_do_not_suffer_from_the_basis) {
    double values[300];
    for (size_t i = 0; i < 300; i++)
        values[i] = pow(10, -12 * (double)i / 299) * (i % 3 == 2 ? -1 : 1);
    const gsl_matrix *m = with_spectrum(300, 300, values);
    for (size_t o = 0; o < 3; o++)
        for (size_t k = 1; k <= 20; k += 19) {
            const found f =
                run(m, k, (fim_lanczos_options){.order = orders[o], .tolerance = 1e-12, .seed = 16});
            assert_extreme(m, &f, orders[o], 1e-12, order_names[o]);
            cr_assert(f.alone_info.products <= f.info.products + 4, "%zu and %zu products", f.info.products,
                      f.alone_info.products);
            cr_assert(epsilon_eq(dbl, plain_vector_difference(f.alone, f.values), 0, 1e-14));
        }
}

Test(lanczos, impossible_requests_are_refused) {
    const gsl_matrix *m = test_random_matrix(4, 6, 16), *square = test_random_matrix(4, 4, 16);
    cr_assert(run(m, 1, (fim_lanczos_options){0}).status == FIM_ERR_ARGUMENT);
    cr_assert(strstr(fim_message(), "4 x 6") != NULL, "%s", fim_message());
    cr_assert(run(square, 5, (fim_lanczos_options){0}).status == FIM_ERR_ARGUMENT);
    cr_assert(strstr(fim_message(), "at most 4") != NULL, "%s", fim_message());
    cr_assert(run(square, 0, (fim_lanczos_options){0}).status == FIM_ERR_ARGUMENT);
}

// ---- The density ----

static double power(double x, void *context) {
    return pow(x, *(const double *)context);
}

static fim_density density_of(const gsl_matrix *m, size_t probes, size_t steps, uint64_t seed) {
    dense_map state = {.m = m};
    dense_map *context = &state;
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = &context, .apply = dense_apply};
    fim_density d;
    TEST_OK(fim_density_new(&map, probes, steps, seed, &d));
    cr_assert(eq(sz, d.nodes->size1, probes));
    for (size_t p = 0; p < probes; p++) {
        double sum = 0;
        for (size_t i = 0; i < d.weights->size2; i++) {
            cr_assert(gsl_matrix_get(d.weights, p, i) >= 0);
            sum += gsl_matrix_get(d.weights, p, i);
        }
        cr_assert(epsilon_eq(dbl, sum, 1, 1e-12), "the weights of probe %zu", p);
    }
    return d;
}

// Σ_j w_j θ_jᵖ of a probe is zᵀ Mᵖ z / n, and its variance over random signs has a closed form: 2 Σ_{i≠j}
// (Mᵖ)_ij² / n².
Test(density, moments_agree_with_traces_within_their_standard_error) {
    enum { N = 60, PROBES = 200 };
    const gsl_matrix *m = plain_random_symmetric(N, 21);
    fim_density d = density_of(m, PROBES, 12, 21);
    gsl_matrix *to_the = plain_identity(N);
    for (size_t p = 0; p <= 4; p++) {
        double exponent = (double)p, mean, error, off = 0;
        fim_density_mean(&d, power, &exponent, &mean, &error);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                off += i == j ? 0 : 2 * pow(gsl_matrix_get(to_the, i, j), 2);
        const double want = plain_trace(to_the) / N, deviation = sqrt(off) / N / sqrt(PROBES);
        cr_assert(fabs(mean - want) <= 3.5 * deviation + 1e-12, "moment %zu: %g, exact %g ± %g", p, mean,
                  want, deviation);
        // The estimated error is that deviation, within what 200 probes tell of it.
        cr_assert(error >= 0.8 * deviation - 1e-12 && error <= 1.2 * deviation + 1e-12,
                  "moment %zu: %g for %g", p, error, deviation);
        to_the = plain_product(to_the, m);
    }
    fim_density_clear(&d);
    cr_assert(d.nodes == NULL && d.weights == NULL);
}

Test(density, a_probe_integrates_polynomials_of_its_degree_exactly) {
    gsl_matrix *m = gsl_matrix_calloc(30, 30); // of a diagonal map every probe gives the trace itself
    for (size_t i = 0; i < 30; i++)
        gsl_matrix_set(m, i, i, cos((double)i));
    for (size_t steps = 1; steps <= 6; steps++) {
        fim_density d = density_of(m, 3, steps, 22);
        for (size_t p = 0; p < 2 * steps; p++) {
            double exponent = (double)p, mean, error, want = 0;
            fim_density_mean(&d, power, &exponent, &mean, &error);
            for (size_t i = 0; i < 30; i++)
                want += pow(gsl_matrix_get(m, i, i), exponent) / 30;
            cr_assert(epsilon_eq(dbl, mean, want, 1e-13), "degree %zu by %zu steps", p, steps);
            cr_assert(error < 1e-13);
        }
    }
}

static double damped_log(double x, void *context) {
    return log(fmax(x, 0) + *(const double *)context);
}

// The oracle takes as many steps as there are dimensions, with the same probes: it is exact for each.
Test(density, logarithms_lie_between_radau_and_gauss) {
    enum { N = 40, PROBES = 3 };
    double values[N], damping = 1e-3;
    for (size_t i = 0; i < N; i++) // some are zero, as those of a Fisher block
        values[i] = i < 30 ? pow(10, -0.2 * (double)i) : 0;
    const gsl_matrix *m = with_spectrum(N, N, values);
    double want, got[2][6], error;
    fim_density whole = density_of(m, PROBES, 2 * N, 24);
    fim_density_mean(&whole, damped_log, &damping, &want, &error);
    for (size_t k = 0; k < 6; k++) {
        fim_density gauss = density_of(m, PROBES, 2 + 3 * k, 24), radau = {0};
        TEST_OK(fim_density_radau(&gauss, 0, &radau));
        fim_density_mean(&gauss, damped_log, &damping, &got[1][k], &error);
        fim_density_mean(&radau, damped_log, &damping, &got[0][k], &error);
        cr_assert(got[0][k] <= want + 1e-10 && got[1][k] >= want - 1e-10, "%zu steps: %g, %g, %g", 2 + 3 * k,
                  got[0][k], want, got[1][k]);
        cr_assert(k == 0 || (got[0][k] >= got[0][k - 1] - 1e-10 && got[1][k] <= got[1][k - 1] + 1e-10));
        for (size_t p = 0; p < PROBES; p++) {
            double least = INFINITY, sum = 0;
            for (size_t i = 0; i < radau.nodes->size2; i++) {
                sum += gsl_matrix_get(radau.weights, p, i);
                least = fmin(least, fabs(gsl_matrix_get(radau.nodes, p, i)));
            }
            cr_assert(least < 1e-12 && fabs(sum - 1) < 1e-12, "a node at the end: %g, %g", least, sum);
        }
        fim_density_clear(&radau);
        fim_density_clear(&gauss);
    }
    cr_assert(got[1][0] - got[0][0] > 0.1 && got[1][5] - got[0][5] < 0.01, "%g, %g", got[1][0] - got[0][0],
              got[1][5] - got[0][5]);
    // A complete space leaves nothing between them.
    fim_density radau = {0};
    TEST_OK(fim_density_radau(&whole, 0, &radau));
    fim_density_mean(&radau, damped_log, &damping, &got[0][0], &error);
    cr_assert(epsilon_eq(dbl, got[0][0], want, 1e-10));
}

// A map of known trace near the identity: what the trace of a probe is off by tells most of what its
// logarithm is off by.
Test(density, determinants_of_a_map_whose_trace_is_known) {
    enum { N = 80, PROBES = 10 };
    gsl_matrix *m = plain_random_symmetric(N, 27);
    gsl_matrix_scale(m, 0.05);
    for (size_t i = 0; i < N; i++)
        gsl_matrix_set(m, i, i, 1);
    const gsl_vector *values = plain_eigenvalues(m, NULL);
    double want = 0, logs[PROBES], off[PROBES], none[PROBES] = {0}, distance, error, plain_error;
    for (size_t i = 0; i < N; i++)
        want += log(gsl_vector_get(values, i));
    dense_map state = {.m = m};
    dense_map *context = &state;
    const fim_map map = {.rows = N, .columns = N, .context = &context, .apply = dense_apply};
    TEST_OK(fim_density_logs(&map, gsl_vector_get(values, N - 1), PROBES, 12, 5, N, logs, off, &distance));
    const double mean = fim_controlled_mean(logs, off, PROBES, &error);
    const double plain = fim_controlled_mean(logs, none, PROBES, &plain_error);
    cr_assert(distance < 1e-3 * fabs(want), "%g of %g", distance, want);
    cr_assert(fabs(mean - want) <= 4 * error && fabs(plain - want) <= 4 * plain_error,
              "%g ± %g, without control %g ± %g, exact %g", mean, error, plain, plain_error, want);
    cr_assert(error < 0.3 * plain_error, "%g, without control %g", error, plain_error);
}

Test(density, a_controlled_mean_is_the_line_of_regression_at_zero) {
    const double controls[] = {-1, 0.5, 2, 4}, values[] = {1, 4, 7, 11}, rough[] = {1.1, 3.9, 6.9, 11.1};
    double error, sum = 0, square = 0, slope = 0, rest = 0;
    cr_assert(epsilon_eq(dbl, fim_controlled_mean(values, controls, 4, &error), 3, 1e-12));
    cr_assert(error < 1e-12);
    for (size_t i = 0; i < 4; i++) {
        sum += rough[i] / 4;
        square += pow(controls[i] - 1.375, 2);
        slope += (controls[i] - 1.375) * rough[i];
    }
    slope /= square;
    for (size_t i = 0; i < 4; i++)
        rest += pow(rough[i] - sum - slope * (controls[i] - 1.375), 2);
    const double want = sqrt(rest / 2 * (0.25 + 1.375 * 1.375 / square));
    cr_assert(epsilon_eq(dbl, fim_controlled_mean(rough, controls, 4, &error), sum - 1.375 * slope, 1e-12));
    cr_assert(epsilon_eq(dbl, error, want, 1e-12), "%g, %g", error, want);
}

Test(density, spaces_that_end_early_and_more_steps_than_dimensions) {
    static const double values[] = {3, 3, 3, 1, 1};
    const gsl_matrix *m = with_spectrum(5, 5, values);
    fim_density d = density_of(m, 4, 60, 23);
    cr_assert(eq(sz, d.nodes->size2, 5));
    for (size_t p = 0; p < 4; p++)
        for (size_t i = 0; i < 5; i++) {
            const double node = gsl_matrix_get(d.nodes, p, i), weight = gsl_matrix_get(d.weights, p, i);
            cr_assert(weight < 1e-12 || fabs(node - 3) < 1e-12 || fabs(node - 1) < 1e-12, "%g at %g", weight,
                      node);
        }
    const gsl_matrix *one = plain_identity(1);
    d = density_of(one, 1, 10, 23);
    double exponent = 1, mean, error;
    fim_density_mean(&d, power, &exponent, &mean, &error);
    cr_assert(epsilon_eq(dbl, mean, 1, 1e-15));
    cr_assert(isnan(error), "one probe tells no error");
    d = density_of(gsl_matrix_calloc(8, 8), 2, 5, 23);
    fim_density_mean(&d, power, &exponent, &mean, &error);
    cr_assert(all(eq(dbl, mean, 0), eq(dbl, error, 0)));
}

Test(density, impossible_requests_and_failing_maps) {
    dense_map state = {.m = plain_identity(4), .fail_at = 3};
    dense_map *context = &state;
    fim_map map = {.rows = 4, .columns = 3, .context = &context, .apply = dense_apply};
    fim_density d = {0};
    TEST_FAILS(fim_density_new(&map, 2, 2, 1, &d), FIM_ERR_ARGUMENT, "4 x 3");
    map.columns = 4;
    TEST_FAILS(fim_density_new(&map, 0, 2, 1, &d), FIM_ERR_ARGUMENT, "0 probes");
    TEST_FAILS(fim_density_new(&map, 2, 0, 1, &d), FIM_ERR_ARGUMENT, "0 steps");
    TEST_FAILS(fim_density_new(&map, 3, 2, 1, &d), FIM_ERR_VALUE, "fails");
    cr_assert(d.nodes == NULL, "outputs are untouched on failure");
}
