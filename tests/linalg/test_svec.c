// The symmetric packing, and matrices with a status.
#include <stdlib.h>

#include "fim/linalg.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(svec, .init = setup);
TestSuite(matrix, .init = setup);

Test(svec, has_a_place_for_every_entry_of_the_triangle) {
    for (size_t n = 0; n < 40; n++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++, count++)
                cr_assert(eq(sz, count, i * n - i * (i + 1) / 2 + j));
        cr_assert(eq(sz, fim_svec_size(n), count), "n = %zu", n);
    }
    cr_assert(eq(sz, fim_svec_size((size_t)1 << 33), SIZE_MAX), "a triangle that no memory holds");
}

Test(svec, is_an_isometry_there_and_back) {
    for (size_t n = 1; n < 12; n++) {
        gsl_matrix *m = plain_random_symmetric(n, 1), *k = plain_random_symmetric(n, 2);
        const size_t p = n * (n + 1) / 2;
        double *x = malloc((p + 1) * sizeof *x), *y = malloc((p + 1) * sizeof *y), sum = 0;
        x[p] = y[p] = 7;
        fim_svec_pack(m, x);
        fim_svec_pack(k, y);
        for (size_t i = 0; i < p; i++)
            sum += x[i] * y[i];
        cr_assert(epsilon_eq(dbl, sum, plain_dot(m, k), 1e-13), "n = %zu", n);
        gsl_matrix *back = test_random_matrix(n, n, 3);
        fim_svec_unpack(x, back);
        cr_assert(epsilon_eq(dbl, test_max_difference(back, m), 0, 1e-15), "n = %zu", n);
        cr_assert(all(eq(dbl, x[p], 7), eq(dbl, y[p], 7)), "written past the end, n = %zu", n);
        // Only the upper triangle is read.
        for (size_t i = 1; i < n; i++)
            gsl_matrix_set(m, i, 0, NAN);
        fim_svec_pack(m, y);
        cr_assert(memcmp(x, y, p * sizeof *x) == 0);
    }
}

Test(svec, works_on_views_with_padding) {
    gsl_matrix *wide = test_random_matrix(7, 9, 5);
    gsl_matrix_view inside = gsl_matrix_submatrix(wide, 1, 2, 4, 4);
    gsl_matrix *m = plain_copy(&inside.matrix), *before = plain_copy(wide);
    double x[10], y[10];
    fim_svec_pack(&inside.matrix, x);
    fim_svec_pack(m, y);
    cr_assert(memcmp(x, y, sizeof x) == 0);
    fim_svec_unpack(x, &inside.matrix);
    cr_assert(eq(dbl, plain_asymmetry(&inside.matrix), 0));
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 9; j++)
            if (i < 1 || i > 4 || j < 2 || j > 5)
                cr_assert(eq(dbl, gsl_matrix_get(wide, i, j), gsl_matrix_get(before, i, j)));
}

Test(svec, adds_weighted_outer_products) {
    for (size_t n = 1; n < 9; n++) {
        gsl_matrix *x = test_random_matrix(2, n, 8), *sum = gsl_matrix_alloc(n, n);
        const double weight[2] = {0.7, -1.9};
        double packed[36] = {0}, want[36];
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double entry = 0;
                for (size_t k = 0; k < 2; k++)
                    entry += weight[k] * gsl_matrix_get(x, k, i) * gsl_matrix_get(x, k, j);
                gsl_matrix_set(sum, i, j, entry);
            }
        for (size_t k = 0; k < 2; k++)
            fim_svec_add_outer(gsl_matrix_ptr(x, k, 0), n, weight[k], packed);
        fim_svec_pack(sum, want);
        for (size_t i = 0; i < n * (n + 1) / 2; i++)
            cr_assert(epsilon_eq(dbl, packed[i], want[i], 1e-15), "n = %zu, entry %zu", n, i);
    }
}

Test(matrix, is_zeroed_and_may_be_empty) {
    gsl_matrix *m = NULL;
    gsl_vector *v = NULL;
    TEST_OK(fim_matrix_new(3, 4, "a test", &m));
    cr_assert(m->size1 == 3 && m->size2 == 4 && gsl_matrix_isnull(m));
    gsl_matrix_free(m);
    TEST_OK(fim_matrix_new(0, 4, "a test", &m));
    cr_assert(m->size1 == 0 && m->size2 == 4);
    gsl_matrix_free(m);
    TEST_OK(fim_vector_new(5, "a test", &v));
    cr_assert(v->size == 5 && gsl_vector_isnull(v));
    gsl_vector_free(v);
    TEST_OK(fim_vector_new(0, "a test", &v));
    cr_assert(v->size == 0);
    gsl_vector_free(v);
}

Test(matrix, that_no_memory_holds_is_refused_by_name) {
    gsl_matrix *m = NULL;
    gsl_vector *v = NULL;
    const size_t huge = (size_t)1 << 40;
    TEST_FAILS(fim_matrix_new(huge, huge, "the impossible", &m), FIM_ERR_MEMORY, "the impossible");
    TEST_FAILS(fim_matrix_new(SIZE_MAX, 2, "the impossible", &m), FIM_ERR_MEMORY, "the impossible");
    TEST_FAILS(fim_matrix_new(huge, 4000, "the impossible", &m), FIM_ERR_MEMORY, "the impossible");
    TEST_FAILS(fim_vector_new(SIZE_MAX / 8, "the impossible", &v), FIM_ERR_MEMORY, "the impossible");
    TEST_FAILS(fim_vector_new(huge * 4000, "the impossible", &v), FIM_ERR_MEMORY, "the impossible");
    cr_assert(m == NULL && v == NULL, "an output was touched");
}

Test(matrix, copies_are_deep) {
    gsl_matrix *wide = test_random_matrix(5, 6, 3), *copy = NULL;
    gsl_matrix_view inside = gsl_matrix_submatrix(wide, 1, 1, 3, 4);
    TEST_OK(fim_matrix_copy(&inside.matrix, "a copy", &copy));
    cr_assert(eq(dbl, test_max_difference(copy, &inside.matrix), 0));
    gsl_matrix_set(wide, 1, 1, 42);
    cr_assert(ne(dbl, gsl_matrix_get(copy, 0, 0), 42));
}
