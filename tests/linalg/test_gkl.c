// Golub-Kahan-Lanczos against dense singular values, on shapes and spectra that are easy, hard and
// degenerate.
#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(gkl, .init = setup);

typedef struct dense_map {
    const gsl_matrix *m;
    size_t products;
    size_t fail_at; // the product that fails, from 1; 0 for none
} dense_map;

static fim_status dense_apply(const void *context, bool transposed, const double *x, double *y) {
    // The counter is the test's; to the algorithm the map is constant.
    dense_map *map = *(dense_map *const *)context;
    const gsl_matrix *m = map->m;
    if (++map->products == map->fail_at)
        return FIM_FAIL(FIM_ERR_VALUE, "product %zu fails", map->products);
    for (size_t i = 0; i < (transposed ? m->size2 : m->size1); i++)
        y[i] = 0;
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            y[transposed ? j : i] += gsl_matrix_get(m, i, j) * x[transposed ? i : j];
    return FIM_OK;
}

typedef struct found {
    gsl_matrix *u, *v;
    gsl_vector *sigma;
    fim_gkl_info info;
    fim_status status;
    size_t products; // as the map counted them
} found;

static found run_failing(const gsl_matrix *m, size_t k, fim_gkl_options options, size_t fail_at) {
    dense_map state = {.m = m, .fail_at = fail_at};
    dense_map *context = &state;
    const fim_map map = {.rows = m->size1, .columns = m->size2, .context = &context, .apply = dense_apply};
    found f = {.u = gsl_matrix_calloc(k, m->size1),
               .v = gsl_matrix_calloc(k, m->size2),
               .sigma = gsl_vector_calloc(k)};
    f.status = fim_gkl(&map, k, &options, f.u, f.sigma, f.v, &f.info);
    f.products = state.products;
    return f;
}

static found run(const gsl_matrix *m, size_t k, fim_gkl_options options) {
    return run_failing(m, k, options, 0);
}

// The larger of max ‖M v − σ u‖ and max ‖Mᵀ u − σ v‖ over σ₁, by plain products.
static double residual(const gsl_matrix *m, const found *f) {
    const gsl_matrix *mv = plain_product(f->v, plain_transpose(m)), *mu = plain_product(f->u, m);
    const double largest = gsl_vector_get(f->sigma, 0);
    double worst = 0;
    for (size_t k = 0; k < f->sigma->size; k++) {
        double left = 0, right = 0;
        for (size_t i = 0; i < m->size1; i++)
            left = hypot(left,
                         gsl_matrix_get(mv, k, i) - gsl_vector_get(f->sigma, k) * gsl_matrix_get(f->u, k, i));
        for (size_t j = 0; j < m->size2; j++)
            right = hypot(right, gsl_matrix_get(mu, k, j) -
                                     gsl_vector_get(f->sigma, k) * gsl_matrix_get(f->v, k, j));
        worst = fmax(worst, fmax(left, right));
    }
    return largest > 0 ? worst / largest : worst;
}

static void assert_orthonormal(const gsl_matrix *rows, const char *what) {
    const gsl_matrix *gram = plain_product(rows, plain_transpose(rows));
    cr_assert(epsilon_eq(dbl, test_max_difference(gram, plain_identity(rows->size1)), 0, 1e-13), "%s", what);
}

// Converged, and everything it promises is true: values, vectors, residual, count of products.
static void assert_leading(const gsl_matrix *m, const found *f, double tolerance, const char *what) {
    const gsl_vector *want = plain_singular_values(m, NULL, NULL);
    const double scale = gsl_vector_get(want, 0);
    cr_assert(f->status == FIM_OK && f->info.converged, "%s: %s", what, fim_message());
    plain_assert_decreasing(f->sigma, what);
    for (size_t i = 0; i < f->sigma->size; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(f->sigma, i), gsl_vector_get(want, i), tolerance * scale),
                  "%s: singular value %zu of %zu", what, i, f->sigma->size);
    assert_orthonormal(f->u, what);
    assert_orthonormal(f->v, what);
    const double measured = residual(m, f);
    cr_assert(measured <= 2 * tolerance + 1e-14, "%s: residual %g", what, measured);
    cr_assert(epsilon_eq(dbl, f->info.residual, measured, 1e-14), "%s", what);
    cr_assert(eq(sz, f->info.products, f->products), "%s", what);
}

Test(gkl, agrees_with_dense_singular_values_on_every_shape) {
    static const size_t shapes[][2] = {{1, 1}, {1, 5}, {5, 1}, {2, 2}, {7, 7}, {40, 200}, {200, 40}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const gsl_matrix *m = test_random_matrix(shapes[s][0], shapes[s][1], 5 + s);
        const size_t smaller = m->size1 < m->size2 ? m->size1 : m->size2;
        const size_t ranks[] = {1, 2, 3, smaller - 1, smaller};
        for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
            if (ranks[r] == 0 || ranks[r] > smaller)
                continue;
            char what[64];
            snprintf(what, sizeof what, "(%zu, %zu), k = %zu", m->size1, m->size2, ranks[r]);
            const found f = run(m, ranks[r], (fim_gkl_options){.seed = 3});
            assert_leading(m, &f, 1e-10, what);
        }
    }
}

// U diag(values) Vᵀ with random orthonormal U and V.
static gsl_matrix *with_spectrum(size_t rows, size_t columns, size_t count, const double *values) {
    return plain_spectral(plain_random_orthogonal(rows, count, 31), values,
                          plain_random_orthogonal(columns, count, 32));
}

Test(gkl, fewer_singular_values_than_asked_for_come_as_zeros) {
    const double values[] = {3, 2, 1e-3};
    static const size_t shapes[][2] = {{12, 9}, {9, 12}, {60, 200}};
    for (size_t s = 0; s < 3; s++) {
        const gsl_matrix *m = with_spectrum(shapes[s][0], shapes[s][1], 3, values);
        for (size_t k = 1; k <= 8; k++) {
            char what[64];
            snprintf(what, sizeof what, "rank 3, (%zu, %zu), k = %zu", m->size1, m->size2, k);
            const found f = run(m, k, (fim_gkl_options){.seed = 4});
            assert_leading(m, &f, 1e-10, what);
        }
    }
}

Test(gkl, zero_map_gives_zeros_and_orthonormal_vectors) {
    static const size_t shapes[][2] = {{1, 1}, {5, 5}, {3, 50}, {50, 3}};
    for (size_t s = 0; s < 4; s++) {
        const gsl_matrix *m = gsl_matrix_calloc(shapes[s][0], shapes[s][1]);
        for (size_t k = 1; k <= 3 && k <= shapes[s][0] && k <= shapes[s][1]; k++) {
            const found f = run(m, k, (fim_gkl_options){.seed = 4});
            assert_leading(m, &f, 1e-10, "a zero map");
        }
    }
}

Test(gkl, clustered_singular_values_are_told_apart) {
    double values[60];
    for (size_t i = 0; i < 60; i++)
        values[i] = i < 6 ? 1 + 1e-4 * (double)(6 - i) : 0.9 / (double)(i - 4);
    const gsl_matrix *m = with_spectrum(60, 90, 60, values);
    for (size_t k = 1; k <= 6; k++) {
        const found f = run(m, k, (fim_gkl_options){.seed = 5});
        assert_leading(m, &f, 1e-10, "a cluster");
    }
}

// In exact arithmetic one starting vector meets every multiple singular value once only.
Test(gkl, repeated_singular_values_are_all_found) {
    static const double few[] = {2, 2, 2, 1, 1, 0.5, 0.5}, equal[] = {1, 1, 1, 1, 1, 1, 1};
    static const size_t shapes[][2] = {{7, 7}, {7, 30}, {30, 7}, {90, 60}};
    for (size_t s = 0; s < 4; s++)
        for (size_t k = 1; k <= 7; k++) {
            char what[64];
            snprintf(what, sizeof what, "(%zu, %zu), k = %zu", shapes[s][0], shapes[s][1], k);
            const gsl_matrix *m = with_spectrum(shapes[s][0], shapes[s][1], 7, few);
            const found f = run(m, k, (fim_gkl_options){.seed = 6});
            assert_leading(m, &f, 1e-10, what);
            m = with_spectrum(shapes[s][0], shapes[s][1], 7, equal);
            const found g = run(m, k, (fim_gkl_options){.seed = 6});
            assert_leading(m, &g, 1e-10, what);
        }
}

Test(gkl, repeated_leaders_of_a_long_spectrum_are_all_found) {
    double values[60];
    for (size_t i = 0; i < 60; i++)
        values[i] = i < 3 ? 4 : i == 3 ? 3 : 2 * pow(0.9, (double)i);
    const gsl_matrix *m = with_spectrum(80, 60, 60, values);
    for (size_t k = 1; k <= 4; k++) {
        const found f = run(m, k, (fim_gkl_options){.seed = 7});
        assert_leading(m, &f, 1e-10, "three equal leaders");
    }
}

Test(gkl, a_start_orthogonal_to_the_leader_does_not_hide_it) {
    gsl_matrix *m = gsl_matrix_calloc(9, 6), *mt = gsl_matrix_calloc(6, 9);
    for (size_t i = 0; i < 6; i++) {
        gsl_matrix_set(m, i, i, 10 - (double)i);
        gsl_matrix_set(mt, i, i, 10 - (double)i);
    }
    double start[9] = {0};
    for (size_t from = 1; from < 6; from++) { // e_5 alone, then e_4 and e_5, ..., never e_0
        start[6 - from] = 1;
        for (size_t k = 1; k <= 3; k++) {
            const found f = run(m, k, (fim_gkl_options){.seed = 8, .start = start});
            assert_leading(m, &f, 1e-10, "tall");
            const found g = run(mt, k, (fim_gkl_options){.seed = 8, .start = start});
            assert_leading(mt, &g, 1e-10, "wide");
        }
    }
    const double nothing[9] = {0};
    const found f = run(m, 2, (fim_gkl_options){.seed = 8, .start = nothing});
    assert_leading(m, &f, 1e-10, "a start of zeros");
}

Test(gkl, a_good_start_saves_products) {
    double values[50];
    for (size_t i = 0; i < 50; i++)
        values[i] = pow(0.97, (double)i);
    const gsl_matrix *m = with_spectrum(70, 50, 50, values);
    const found cold = run(m, 1, (fim_gkl_options){.seed = 9});
    const found warm = run(m, 1, (fim_gkl_options){.seed = 9, .start = cold.v->data});
    assert_leading(m, &cold, 1e-10, "cold");
    assert_leading(m, &warm, 1e-10, "warm");
    cr_assert(2 * warm.products < cold.products, "%zu and %zu products", warm.products, cold.products);
}

Test(gkl, restarts_with_a_small_basis_reach_the_same) {
    double values[100];
    for (size_t i = 0; i < 100; i++)
        values[i] = pow(0.98, (double)i);
    const gsl_matrix *m = with_spectrum(120, 100, 100, values);
    for (size_t basis = 5; basis <= 20; basis += 5) {
        const found f = run(m, 3, (fim_gkl_options){.seed = 10, .basis = basis});
        assert_leading(m, &f, 1e-10, "a small basis");
        cr_assert(f.info.restarts > 0);
    }
    const found f = run(m, 3, (fim_gkl_options){.seed = 10, .basis = 1, .max_products = 20000});
    assert_leading(m, &f, 1e-10, "the smallest basis there is");
}

Test(gkl, scale_does_not_matter) {
    double values[30];
    for (size_t i = 0; i < 30; i++)
        values[i] = 1 / (double)(1 + i);
    const gsl_matrix *m = with_spectrum(40, 30, 30, values);
    const found f = run(m, 2, (fim_gkl_options){.seed = 11});
    for (int power = -40; power <= 40; power += 20) {
        gsl_matrix *scaled = plain_copy(m);
        gsl_matrix_scale(scaled, pow(10, power));
        const found g = run(scaled, 2, (fim_gkl_options){.seed = 11});
        assert_leading(scaled, &g, 1e-10, "scaled");
        cr_assert(f.products == g.products, "10^%d: %zu and %zu products", power, f.products, g.products);
    }
}

Test(gkl, too_few_products_are_an_ordinary_answer_with_the_best_so_far) {
    double values[80];
    for (size_t i = 0; i < 80; i++)
        values[i] = pow(0.99, (double)i);
    const gsl_matrix *m = with_spectrum(90, 80, 80, values);
    double before = 0;
    for (size_t most = 1; most <= 31; most += 10) {
        const found f = run(m, 2, (fim_gkl_options){.seed = 12, .max_products = most});
        cr_assert(f.status == FIM_NOT_CONVERGED && !f.info.converged, "%zu products", most);
        cr_assert(strstr(fim_message(), "90 x 80") != NULL && strstr(fim_message(), "residual") != NULL, "%s",
                  fim_message());
        // Two triplets cost at least four products, and four more to measure them.
        cr_assert(f.products <= (most > 8 ? most : 8), "%zu products where %zu were allowed", f.products,
                  most);
        cr_assert(eq(sz, f.products, f.info.products));
        assert_orthonormal(f.u, "the best so far");
        assert_orthonormal(f.v, "the best so far");
        cr_assert(epsilon_eq(dbl, f.info.residual, residual(m, &f), 1e-13));
        cr_assert(f.info.residual > 1e-10);
        const double sigma = gsl_vector_get(f.sigma, 0);
        cr_assert(sigma <= 1 + 1e-13 && sigma >= before, "σ₁ = %.17g after %.17g", sigma, before);
        before = sigma;
    }
    cr_assert(before > 0.9, "σ₁ = %g", before);
}

Test(gkl, the_tolerance_asked_for_is_what_is_reached) {
    const gsl_matrix *m = test_random_matrix(90, 70, 13);
    size_t products = 0;
    for (int digits = 2; digits <= 12; digits += 5) {
        const found f = run(m, 2, (fim_gkl_options){.seed = 13, .tolerance = pow(10, -digits)});
        cr_assert(f.status == FIM_OK && residual(m, &f) <= 2 * pow(10, -digits), "%d digits", digits);
        cr_assert(f.products > products, "more digits cost more products");
        products = f.products;
    }
}

Test(gkl, rounding_is_not_pursued_when_told_so) {
    double values[60];
    for (size_t i = 0; i < 60; i++)
        values[i] = 1e-15 * pow(0.999, (double)i);
    const gsl_matrix *m = with_spectrum(60, 60, 60, values);
    const found pursued = run(m, 2, (fim_gkl_options){.seed = 17});
    const found f = run(m, 2, (fim_gkl_options){.seed = 17, .negligible = 1e-14});
    cr_assert(f.status == FIM_OK && f.info.converged && f.products <= 12 && pursued.products > 50,
              "%zu and %zu products", f.products, pursued.products);
    assert_orthonormal(f.u, "rounding");
    cr_assert(gsl_vector_get(f.sigma, 0) <= 1e-15 * (1 + 1e-12));
    // But one that is not small is found, whatever the start.
    const found g = run(m, 2, (fim_gkl_options){.seed = 17, .negligible = 1e-17});
    assert_leading(m, &g, 1e-10, "above the limit");
}

Test(gkl, failure_of_the_map_is_handed_on) {
    const gsl_matrix *m = test_random_matrix(20, 30, 14);
    const found whole = run(m, 2, (fim_gkl_options){.seed = 14});
    for (size_t at = 1; at <= whole.products; at++) {
        const found f = run_failing(m, 2, (fim_gkl_options){.seed = 14}, at);
        cr_assert(f.status == FIM_ERR_VALUE && f.products == at, "product %zu of %zu", at, whole.products);
        cr_assert(strstr(fim_message(), "fails") != NULL, "%s", fim_message());
    }
}

Test(gkl, the_same_seed_gives_the_same_bits) {
    const gsl_matrix *m = test_random_matrix(50, 60, 15);
    const found f = run(m, 3, (fim_gkl_options){.seed = 15}), g = run(m, 3, (fim_gkl_options){.seed = 15});
    cr_assert(all(eq(dbl, test_max_difference(f.u, g.u), 0), eq(dbl, test_max_difference(f.v, g.v), 0)));
}

Test(gkl, impossible_requests_are_refused) {
    const gsl_matrix *m = test_random_matrix(4, 6, 16);
    cr_assert(run(m, 5, (fim_gkl_options){0}).status == FIM_ERR_ARGUMENT);
    cr_assert(strstr(fim_message(), "4 x 6") != NULL && strstr(fim_message(), "at most 4") != NULL, "%s",
              fim_message());
    cr_assert(run(m, 0, (fim_gkl_options){0}).status == FIM_ERR_ARGUMENT);
}

// Singular values of M on the Krylov space of v_0 = start and MᵀM, made by plain products and Gram-Schmidt.
static gsl_vector *krylov_values(const gsl_matrix *m, const double *start, size_t steps) {
    const gsl_matrix *mt = plain_transpose(m);
    gsl_matrix *v = gsl_matrix_calloc(steps, m->size2);
    for (size_t j = 0; j < m->size2; j++)
        gsl_matrix_set(v, 0, j, start[j]);
    for (size_t k = 0; k < steps; k++) {
        gsl_matrix_view row = gsl_matrix_submatrix(v, k, 0, 1, m->size2);
        if (k > 0) {
            gsl_matrix_view last = gsl_matrix_submatrix(v, k - 1, 0, 1, m->size2);
            gsl_matrix_memcpy(&row.matrix, plain_product(plain_product(&last.matrix, mt), m));
        }
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < k; i++) {
                double product = 0;
                for (size_t j = 0; j < m->size2; j++)
                    product += gsl_matrix_get(v, i, j) * gsl_matrix_get(v, k, j);
                for (size_t j = 0; j < m->size2; j++)
                    gsl_matrix_set(v, k, j, gsl_matrix_get(v, k, j) - product * gsl_matrix_get(v, i, j));
            }
        gsl_matrix_scale(&row.matrix, 1 / plain_norm(&row.matrix));
    }
    return plain_singular_values(plain_product(m, plain_transpose(v)), NULL, NULL);
}

Test(gkl, a_krylov_space_of_so_many_steps_is_that_space) {
    enum { ROWS = 30, COLUMNS = 20 };
    const gsl_matrix *m = test_random_matrix(ROWS, COLUMNS, 5);
    double start[COLUMNS];
    for (size_t j = 0; j < COLUMNS; j++)
        start[j] = test_random(9, j);
    for (size_t steps = 2; steps <= 8; steps++) {
        const gsl_vector *want = krylov_values(m, start, steps);
        found f = run(m, 2, (fim_gkl_options){.seed = 1, .start = start, .steps = steps});
        cr_assert(eq(int, f.status, FIM_NOT_CONVERGED));
        cr_assert(eq(sz, f.products, 2 * steps + 4), "%zu steps: %zu products", steps, f.products);
        for (size_t i = 0; i < 2; i++)
            cr_assert(epsilon_eq(dbl, gsl_vector_get(f.sigma, i), gsl_vector_get(want, i), 1e-10),
                      "%zu steps, value %zu: %g, expected %g", steps, i, gsl_vector_get(f.sigma, i),
                      gsl_vector_get(want, i));
    }
    found f = run(m, 2, (fim_gkl_options){.seed = 1, .start = start, .steps = 60}); // enough to converge
    cr_assert(eq(int, f.status, FIM_OK));
}
