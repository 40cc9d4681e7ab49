// Inner products, norms and turned matrices against plain loops, also of parts of larger matrices.
#include "fim/linalg.h"
#include "plain.h"

Test(matrix, inner_products_and_norms_are_those_of_plain_loops) {
    gsl_matrix *whole = test_random_matrix(9, 11, 1), *other = test_random_matrix(5, 6, 2);
    gsl_matrix_view part = gsl_matrix_submatrix(whole, 3, 4, 5, 6);
    const double norm = plain_norm(&part.matrix);
    cr_assert(epsilon_eq(dbl, fim_matrix_inner(&part.matrix, other), plain_dot(&part.matrix, other), 1e-14));
    cr_assert(epsilon_eq(dbl, fim_matrix_norm(&part.matrix), norm, 1e-14));
    gsl_matrix_scale(&part.matrix, 1e200);
    cr_assert(epsilon_eq(dbl, 1e-200 * fim_matrix_norm(&part.matrix), norm, 1e-14), "squares overflow");
    gsl_matrix_scale(&part.matrix, 1e-300);
    gsl_matrix_scale(&part.matrix, 1e-100);
    cr_assert(epsilon_eq(dbl, 1e200 * fim_matrix_norm(&part.matrix), norm, 1e-14), "squares underflow");
}

Test(matrix, a_turned_matrix_is_the_product_of_three) {
    const gsl_matrix *m = plain_random_symmetric(6, 3), *u = test_random_matrix(6, 6, 4);
    gsl_matrix *turned = NULL, *copy = NULL;
    TEST_OK(fim_matrix_turned(m, u, "a test", &turned));
    TEST_OK(fim_matrix_turned(m, NULL, "a test", &copy));
    const gsl_matrix *want = plain_product(plain_transpose(u), plain_product(m, u));
    cr_assert(epsilon_eq(dbl, test_max_difference(turned, want), 0, 1e-13));
    cr_assert(eq(dbl, test_max_difference(copy, m), 0));
}
