// Eigenvalues, singular values and the triangular factor, against GSL's own routines and known spectra.
#include <gsl/gsl_sort_vector.h>

#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(eigen, .init = setup);

// Sizes up to 60, as a view inside a larger matrix when `padded`.
static gsl_matrix *home(const gsl_matrix *m, bool padded, gsl_matrix_view *view) {
    gsl_matrix *large = test_random_matrix(m->size1 + 2, m->size2 + 3, 99);
    *view = gsl_matrix_submatrix(large, padded, padded, m->size1, m->size2);
    gsl_matrix_memcpy(&view->matrix, m);
    return large;
}

Test(eigen, values_and_vectors_agree_with_gsl) {
    static const size_t sizes[] = {1, 2, 3, 5, 17, 60};
    for (size_t k = 0; k < 2 * sizeof sizes / sizeof *sizes; k++) {
        const size_t n = sizes[k / 2];
        const gsl_matrix *m = plain_random_symmetric(n, 10 + k);
        const gsl_vector *want = plain_eigenvalues(m, NULL);
        const double scale = plain_norm(m);
        gsl_matrix_view q, only;
        gsl_vector *values = gsl_vector_alloc(n), *alone = gsl_vector_alloc(n);
        home(m, k % 2, &q);
        home(m, k % 2, &only);
        for (size_t i = 0; i < n; i++) // the lower triangle alone is read
            for (size_t j = i + 1; j < n; j++)
                gsl_matrix_set(&q.matrix, i, j, NAN);
        TEST_OK(fim_eigen(&q.matrix, values));
        TEST_OK(fim_eigenvalues(&only.matrix, alone));
        plain_assert_decreasing(values, "fim_eigen");
        cr_assert(epsilon_eq(dbl, plain_vector_difference(values, want), 0, 1e-13 * scale), "n = %zu", n);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(alone, want), 0, 1e-13 * scale), "n = %zu", n);
        const gsl_matrix *qt = plain_transpose(&q.matrix);
        cr_assert(
            epsilon_eq(dbl, test_max_difference(plain_product(qt, &q.matrix), plain_identity(n)), 0, 1e-13));
        cr_assert(epsilon_eq(dbl, plain_distance(plain_spectral(&q.matrix, values->data, &q.matrix), m), 0,
                             1e-13 * scale),
                  "n = %zu: Q diag Qᵀ is not the matrix", n);
    }
}

Test(eigen, repeated_and_zero_eigenvalues_are_all_there) {
    const double values[] = {2, 2, 2, 0, 0, -1, -1};
    const gsl_matrix *q = plain_random_orthogonal(7, 7, 5);
    gsl_matrix *m = plain_spectral(q, values, q);
    gsl_vector *got = gsl_vector_alloc(7);
    TEST_OK(fim_eigenvalues(m, got));
    for (size_t i = 0; i < 7; i++)
        cr_assert(epsilon_eq(dbl, gsl_vector_get(got, i), values[i], 1e-14), "value %zu", i);
}

// H M H with H = I − 2 w wᵀ/‖w‖², in O(n²).
static void reflect(gsl_matrix *m, uint64_t seed) {
    const size_t n = m->size1;
    const gsl_matrix *w = test_random_matrix(1, n, seed);
    const double factor = 2 / plain_dot(w, w);
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++) {
            double *row = gsl_matrix_ptr(m, i, 0), along = 0;
            for (size_t j = 0; j < n; j++)
                along += row[j] * gsl_matrix_get(w, 0, j);
            for (size_t j = 0; j < n; j++)
                row[j] -= factor * along * gsl_matrix_get(w, 0, j);
        }
        gsl_matrix_transpose(m);
    }
}

// Both reductions to tridiagonal form: the classic one below 2000, in two stages from there on, with a wider
// band from 4000 on; and one far from 1.
Test(eigen, known_spectra_are_found_on_both_sides_of_the_two_stage_threshold) {
    static const size_t sizes[] = {1999, 2000, 2000, 4000};
    for (size_t k = 0; k < 4; k++) {
        const size_t n = sizes[k];
        const double scale = k == 2 ? 1e-170 : 1;
        gsl_matrix *m = gsl_matrix_calloc(n, n);
        double largest = 0;
        for (size_t i = 0; i < n;
             i++) { // decreasing, some repeated, some negative, seven orders of magnitude
            double value = i < 1500 ? pow(10, -(double)(i / 2) / 107) : -1e-3 * (double)(i - 1499);
            gsl_matrix_set(m, i, i, value);
        }
        for (uint64_t seed = 20; seed < 23; seed++)
            reflect(m, seed);
        cr_assert(plain_asymmetry(m) < 1e-14 && fabs(gsl_matrix_get(m, 3, 900)) > 1e-9, "a bad test matrix");
        gsl_vector *values = gsl_vector_alloc(n);
        gsl_matrix_scale(m, scale);
        TEST_OK(fim_eigenvalues(m, values));
        gsl_vector_scale(values, 1 / scale);
        for (size_t i = 0; i < n; i++) {
            double value = i < 1500 ? pow(10, -(double)(i / 2) / 107) : -1e-3 * (double)(i - 1499);
            largest = fmax(largest, fabs(gsl_vector_get(values, i) - value));
        }
        cr_assert(epsilon_eq(dbl, largest, 0, 2e-13), "n = %zu", n);
        gsl_matrix_set(m, n - 1, 7, NAN);
        TEST_FAILS(fim_eigenvalues(m, values), FIM_ERR_NUMERIC, "holds NaN");
        gsl_matrix_free(m);
        gsl_vector_free(values);
    }
}

Test(eigen, sorting_decreases_and_keeps_every_value) {
    for (size_t k = 0; k < 4; k++) { // products of two decreasing lists, equal ones, two values, falling ones
        gsl_vector *values = gsl_vector_alloc(3000), *want = gsl_vector_alloc(3000);
        for (size_t i = 0; i < 3000; i++)
            gsl_vector_set(values, i,
                           k == 0   ? exp(-(double)(i / 50)) * pow(0.9, (double)(i % 50)) - 1e-3
                           : k == 1 ? 7
                           : k == 2 ? (double)(i > 999)
                                    : -(double)i);
        gsl_vector_memcpy(want, values);
        gsl_sort_vector(want);
        TEST_OK(fim_sort_decreasing(values));
        for (size_t i = 0; i < 3000; i++)
            cr_assert(gsl_vector_get(values, i) == gsl_vector_get(want, 2999 - i));
        gsl_vector_set(values, 5, NAN);
        TEST_FAILS(fim_sort_decreasing(values), FIM_ERR_NUMERIC, "NaN");
        gsl_vector_free(values);
        gsl_vector_free(want);
    }
}

Test(eigen, singular_values_agree_with_gsl) {
    static const size_t shapes[][2] = {{1, 1}, {1, 6}, {6, 1}, {7, 7}, {12, 30}, {30, 12}, {40, 41}};
    for (size_t k = 0; k < 2 * sizeof shapes / sizeof *shapes; k++) {
        const size_t rows = shapes[k / 2][0], columns = shapes[k / 2][1];
        const gsl_matrix *m = test_random_matrix(rows, columns, 50 + k);
        const gsl_vector *want = plain_singular_values(m, NULL, NULL);
        gsl_matrix_view copy;
        gsl_vector *values = gsl_vector_alloc(rows < columns ? rows : columns);
        home(m, k % 2, &copy);
        TEST_OK(fim_singular_values(&copy.matrix, values));
        plain_assert_decreasing(values, "fim_singular_values");
        cr_assert(epsilon_eq(dbl, plain_vector_difference(values, want), 0, 1e-13 * gsl_vector_get(want, 0)),
                  "(%zu, %zu)", rows, columns);
    }
}

Test(eigen, triangular_factor_keeps_the_gram_matrix) {
    static const size_t shapes[][2] = {{1, 1}, {6, 1}, {7, 7}, {30, 12}, {64, 5}};
    for (size_t k = 0; k < 2 * sizeof shapes / sizeof *shapes; k++) {
        const size_t rows = shapes[k / 2][0], columns = shapes[k / 2][1];
        gsl_matrix *m = test_random_matrix(rows, columns, 70 + k);
        if (k % 2 && columns > 2) // a rank below the number of columns is no obstacle
            for (size_t i = 0; i < rows; i++)
                gsl_matrix_set(m, i, 2, gsl_matrix_get(m, i, 0) - gsl_matrix_get(m, i, 1));
        gsl_matrix_view work;
        home(m, k % 2, &work);
        TEST_OK(fim_triangular_factor(&work.matrix));
        gsl_matrix_view r = gsl_matrix_submatrix(&work.matrix, 0, 0, columns, columns);
        for (size_t i = 0; i < columns; i++)
            for (size_t j = 0; j < i; j++)
                cr_assert(eq(dbl, gsl_matrix_get(&r.matrix, i, j), 0));
        const gsl_matrix *got = plain_product(plain_transpose(&r.matrix), &r.matrix);
        const gsl_matrix *want = plain_product(plain_transpose(m), m);
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13 * plain_norm(want)), "(%zu, %zu)",
                  rows, columns);
    }
}

Test(eigen, wrong_shapes_are_refused) {
    gsl_matrix *m = gsl_matrix_calloc(3, 4), *square = gsl_matrix_calloc(3, 3);
    gsl_vector *three = gsl_vector_calloc(3), *four = gsl_vector_calloc(4);
    gsl_vector_view strided = gsl_vector_subvector_with_stride(gsl_vector_calloc(6), 0, 2, 3);
    TEST_FAILS(fim_eigen(m, three), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_eigen(square, four), FIM_ERR_SHAPE, "into 4 values");
    TEST_FAILS(fim_eigen(square, &strided.vector), FIM_ERR_SHAPE, "3 x 3");
    TEST_FAILS(fim_eigenvalues(m, three), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_eigenvalues(square, four), FIM_ERR_SHAPE, "into 4 values");
    TEST_FAILS(fim_singular_values(m, four), FIM_ERR_SHAPE, "3 x 4");
    TEST_FAILS(fim_triangular_factor(m), FIM_ERR_SHAPE, "3 x 4");
    TEST_OK(fim_eigen(gsl_matrix_calloc(0, 0), gsl_vector_calloc(0)));
    TEST_OK(fim_eigenvalues(gsl_matrix_calloc(0, 0), gsl_vector_calloc(0)));
    TEST_OK(fim_singular_values(gsl_matrix_calloc(0, 3), gsl_vector_calloc(0)));
}

Test(eigen, nan_is_a_numerical_breakdown) {
    for (size_t k = 0; k < 4; k++) {
        gsl_matrix *m = plain_random_symmetric(4, 3);
        gsl_vector *values = gsl_vector_calloc(4);
        gsl_matrix_set(m, 2, 1, NAN);
        fim_status status = k == 0   ? fim_eigen(m, values)
                            : k == 1 ? fim_eigenvalues(m, values)
                            : k == 2 ? fim_singular_values(m, values)
                                     : fim_triangular_factor(m);
        cr_assert(status == FIM_ERR_NUMERIC, "case %zu gave '%s'", k, fim_status_text(status));
        cr_assert(strstr(fim_message(), "4 x 4") != NULL && strstr(fim_message(), "NaN") != NULL, "%s",
                  fim_message());
    }
}

// Rows of zeros are left out of the solver: eigenvalues of both signs around them, vectors that stay
// orthonormal and solve.
Test(eigen, rows_of_zeros_change_nothing) {
    enum { SIZE = 9 };
    for (unsigned dead = 0; dead < 1u << SIZE; dead += 37) {
        gsl_matrix *m = plain_random_symmetric(SIZE, dead + 1);
        for (size_t i = 0; i < SIZE; i++)
            for (size_t j = 0; j < SIZE; j++)
                if (dead >> i & 1 || dead >> j & 1)
                    gsl_matrix_set(m, i, j, 0);
        gsl_matrix *vectors = plain_copy(m), *again = plain_copy(m);
        gsl_vector *values = gsl_vector_alloc(SIZE), *alone = gsl_vector_alloc(SIZE);
        TEST_OK(fim_eigen(vectors, values));
        TEST_OK(fim_eigenvalues(again, alone));
        const gsl_vector *want = plain_eigenvalues(m, NULL);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(values, want), 0, 1e-13), "dead %x", dead);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(alone, want), 0, 1e-13), "dead %x", dead);
        const gsl_matrix *back = plain_spectral(vectors, values->data, vectors);
        cr_assert(epsilon_eq(dbl, plain_distance(back, m), 0, 1e-12), "dead %x", dead);
        const gsl_matrix *one = plain_product(plain_transpose(vectors), vectors);
        cr_assert(epsilon_eq(dbl, plain_distance(one, plain_identity(SIZE)), 0, 1e-12), "dead %x", dead);
    }
}

Test(eigen, orthonormal_rows_times_l_are_the_matrix) {
    static const size_t shapes[][2] = {{1, 1}, {1, 7}, {4, 4}, {5, 11}, {40, 90}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        gsl_matrix *m = test_random_matrix(shapes[k][0], shapes[k][1], k), *q = plain_copy(m);
        gsl_matrix *l = gsl_matrix_alloc(m->size1, m->size1);
        if (m->size1 > 2) { // a repeated row: the rank is lower, the rows of q are as orthonormal
            gsl_vector_const_view first = gsl_matrix_const_row(m, 0);
            gsl_matrix_set_row(q, 2, &first.vector);
            gsl_matrix_set_row(m, 2, &first.vector);
        }
        TEST_OK(fim_orthonormal_rows(q, l));
        cr_assert(epsilon_eq(dbl, plain_distance(plain_product(l, q), m), 0, 1e-12), "shape %zu", k);
        cr_assert(epsilon_eq(dbl,
                             plain_distance(plain_product(q, plain_transpose(q)), plain_identity(m->size1)),
                             0, 1e-12),
                  "shape %zu", k);
    }
    gsl_matrix *tall = gsl_matrix_calloc(3, 2), *l = gsl_matrix_calloc(3, 3);
    TEST_FAILS(fim_orthonormal_rows(tall, l), FIM_ERR_SHAPE, "3 x 2");
}
