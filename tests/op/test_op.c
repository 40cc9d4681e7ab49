// The contract of every operator, walked over all representations: each is compared with its dense matrix,
// written by loops from the definition.
#include "fim/linalg.h"
#include "fim/op.h"
#include "plain.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(op, .init = setup);

enum { D_A = 5, D_G = 4, D = D_A * D_G };

// One way to make an operator, and the same by loops.
typedef struct maker {
    const char *name;
    size_t terms;       // of a Kronecker sum; 0 for a basis
    bool dead;          // some rows and columns of the factors are zero
    bool u_a, u_g;      // which bases there are
    const char *kind;   // what it must say it is
    size_t bytes;       // what it must weigh
    const char *route;  // of its eigenvalues: a part
    const char *visits; // names of its matrices, in order
} maker;

enum { A_BYTES = D_A * D_A * 8, G_BYTES = D_G * D_G * 8, X_BYTES = D * 8 };

static const maker makers[] = {
    {"one term", 1, false, false, false, "kronecker", A_BYTES + G_BYTES, "products", "a_0 g_0 "},
    {"two terms", 2, false, false, false, "kronecker", 2 * (A_BYTES + G_BYTES), "20 live of 20",
     "a_0 g_0 a_1 g_1 "},
    {"three terms", 3, false, false, false, "kronecker", 3 * (A_BYTES + G_BYTES), "20 live of 20",
     "a_0 g_0 a_1 g_1 a_2 g_2 "},
    {"a dead term", 1, true, false, false, "kronecker", A_BYTES + G_BYTES, "products", "a_0 g_0 "},
    {"two dead terms", 2, true, false, false, "kronecker", 2 * (A_BYTES + G_BYTES), "12 live of 20",
     "a_0 g_0 a_1 g_1 "},
    {"no basis", 0, false, false, false, "basis", X_BYTES, "diagonal", "lambda "},
    {"a basis for a", 0, false, true, false, "basis", A_BYTES + X_BYTES, "diagonal", "u_a lambda "},
    {"a basis for g", 0, false, false, true, "basis", G_BYTES + X_BYTES, "diagonal", "u_g lambda "},
    {"both bases", 0, false, true, true, "basis", A_BYTES + G_BYTES + X_BYTES, "diagonal", "u_a u_g lambda "},
};
enum { MAKERS = sizeof makers / sizeof *makers };

static void kill(gsl_matrix *m, size_t i) {
    for (size_t j = 0; j < m->size1; j++) {
        gsl_matrix_set(m, i, j, 0);
        gsl_matrix_set(m, j, i, 0);
    }
}

static fim_op *make(const maker *k, gsl_matrix **dense) {
    fim_op *op = NULL;
    gsl_matrix *a[3], *g[3], *sum = gsl_matrix_calloc(D, D);
    for (size_t t = 0; t < k->terms; t++) {
        a[t] = plain_random_symmetric(D_A, 10 + t);
        g[t] = plain_random_symmetric(D_G, 20 + t);
        if (k->dead) { // 4 of 5 and 3 of 4 live
            kill(a[t], 1);
            kill(g[t], 3);
        }
        sum = plain_sum(sum, 1, plain_kronecker(a[t], g[t]));
    }
    if (k->terms > 0) {
        TEST_OK(fim_op_new_kronecker(k->terms, a, g, &op));
    } else {
        gsl_matrix *u_a = plain_random_orthogonal(D_A, D_A, 30), *u_g = plain_random_orthogonal(D_G, D_G, 31);
        gsl_matrix *lambda = test_random_matrix(D_A, D_G, 32);
        const gsl_matrix *u =
            plain_kronecker(k->u_a ? u_a : plain_identity(D_A), k->u_g ? u_g : plain_identity(D_G));
        sum = plain_spectral(u, plain_column(lambda)->data, u);
        TEST_OK(fim_op_new_basis(k->u_a ? u_a : NULL, k->u_g ? u_g : NULL, lambda, &op));
    }
    *dense = sum;
    return op;
}

// A dense symmetric F as an operator sees it.
static fim_status dense_inner(const void *context, const gsl_matrix *a, const gsl_matrix *g, double *out) {
    *out = plain_dot(context, plain_kronecker(a, g));
    return FIM_OK;
}

static fim_status dense_diagonal(const void *context, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                 gsl_matrix *lambda) {
    const gsl_matrix *u =
        plain_kronecker(u_a != NULL ? u_a : plain_identity(D_A), u_g != NULL ? u_g : plain_identity(D_G));
    const gsl_matrix *rotated = plain_product(plain_product(plain_transpose(u), context), u);
    for (size_t i = 0; i < D; i++)
        gsl_matrix_set(lambda, i / D_G, i % D_G, gsl_matrix_get(rotated, i, i));
    return FIM_OK;
}

static fim_status first_trace(void *context, const char *name, const gsl_matrix *m) {
    if (strcmp(name, "a_0") == 0)
        *(double *)context = plain_trace(m);
    return FIM_OK;
}

Test(op, is_its_dense_matrix) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *want, *got = test_random_matrix(D, D, 40);
        fim_op *op = make(&makers[k], &want);
        cr_assert(fim_op_d_a(op) == D_A && fim_op_d_g(op) == D_G, "%s", makers[k].name);
        TEST_TEXT(fim_op_kind(op), makers[k].kind);
        TEST_OK(fim_op_dense(op, got));
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13), "%s", makers[k].name);
        cr_assert(epsilon_eq(dbl, plain_asymmetry(got), 0, 1e-15), "%s", makers[k].name);
        fim_op_free(op);
    }
}

Test(op, applied_to_unit_vectors_gives_its_columns) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *want, *got = gsl_matrix_alloc(D, D);
        fim_op *op = make(&makers[k], &want);
        for (size_t p = 0; p < D; p++) {
            gsl_matrix *x = gsl_matrix_calloc(D_A, D_G), *y = test_random_matrix(D_A, D_G, 41);
            gsl_matrix_set(x, p / D_G, p % D_G, 1);
            TEST_OK(fim_op_apply(op, x, y));
            for (size_t q = 0; q < D; q++)
                gsl_matrix_set(got, q, p, gsl_matrix_get(y, q / D_G, q % D_G));
        }
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13), "%s", makers[k].name);
        fim_op_free(op);
    }
}

Test(op, applies_to_views_with_padding) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        fim_op *op = make(&makers[k], &dense);
        gsl_matrix *wide = test_random_matrix(2 * D_A + 1, D_G + 3, 42);
        gsl_matrix_view x = gsl_matrix_submatrix(wide, 0, 1, D_A, D_G);
        gsl_matrix_view y = gsl_matrix_submatrix(wide, D_A, 2, D_A, D_G);
        const gsl_matrix *want = plain_product(dense, plain_column(&x.matrix));
        TEST_OK(fim_op_apply(op, &x.matrix, &y.matrix));
        cr_assert(epsilon_eq(dbl, test_max_difference(plain_column(&y.matrix), want), 0, 1e-13), "%s",
                  makers[k].name);
        fim_op_free(op);
    }
}

Test(op, split_moves_size_between_factors_and_changes_nothing_else) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *want, *got = gsl_matrix_alloc(D, D);
        fim_op *op = make(&makers[k], &want);
        const gsl_matrix *first =
            plain_random_symmetric(D_A, 10); // of every sum; dead coordinates leave its sign open
        fim_op_split(op, 7.5);
        TEST_OK(fim_op_dense(op, got));
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13), "%s", makers[k].name);
        if (makers[k].terms > 0 && !makers[k].dead) {
            double trace = 0;
            TEST_OK(fim_op_visit(op, first_trace, &trace));
            const double before = plain_trace(first);
            cr_assert(epsilon_eq(dbl, trace, before > 0 ? 7.5 : before, 1e-13), "%s", makers[k].name);
        }
        fim_op_free(op);
    }
}

Test(op, rearranged_products_are_the_explicit_ones) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        fim_op *op = make(&makers[k], &dense);
        const gsl_matrix *r = plain_rearranged(dense, D_A, D_G);
        for (size_t transposed = 0; transposed < 2; transposed++) {
            const size_t from = transposed ? D_A : D_G, to = transposed ? D_G : D_A;
            const gsl_matrix *x = plain_random_symmetric(from, 60);
            gsl_matrix *y = test_random_matrix(to, to, 61);
            TEST_OK(fim_op_rearranged(op, transposed, x, y));
            const gsl_matrix *want = plain_product(transposed ? plain_transpose(r) : r, plain_column(x));
            cr_assert(epsilon_eq(dbl, test_max_difference(plain_column(y), want), 0, 1e-13), "%s, %zu",
                      makers[k].name, transposed);
            TEST_FAILS(fim_op_rearranged(op, transposed, y, y), FIM_ERR_SHAPE, "for a side of");
        }
        fim_op_free(op);
    }
}

Test(op, diagonal_in_any_kronecker_basis) {
    const gsl_matrix *u_a = plain_random_orthogonal(D_A, D_A, 62),
                     *u_g = plain_random_orthogonal(D_G, D_G, 63);
    for (size_t k = 0; k < MAKERS; k++)
        for (size_t which = 0; which < 4; which++) {
            gsl_matrix *dense, *got = test_random_matrix(D_A, D_G, 64), *want = gsl_matrix_alloc(D_A, D_G);
            fim_op *op = make(&makers[k], &dense);
            const gsl_matrix *left = which & 1 ? u_a : NULL, *right = which & 2 ? u_g : NULL;
            TEST_OK(fim_op_diagonal(op, left, right, got));
            TEST_OK(dense_diagonal(dense, left, right, want));
            cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13), "%s", makers[k].name);
            fim_op_free(op);
        }
}

Test(op, turned_is_the_dense_matrix_in_another_basis) {
    gsl_matrix *const u_a = plain_random_orthogonal(D_A, D_A, 70),
                      *const u_g = plain_random_orthogonal(D_G, D_G, 71), *got = gsl_matrix_alloc(D, D);
    for (size_t k = 0; k < MAKERS; k++)
        for (size_t which = 0; which < 4; which++) {
            gsl_matrix *dense;
            fim_op *op = make(&makers[k], &dense), *turned = NULL;
            const gsl_matrix *left = which & 1 ? u_a : NULL, *right = which & 2 ? u_g : NULL;
            const gsl_matrix *u = plain_kronecker(left != NULL ? left : plain_identity(D_A),
                                                  right != NULL ? right : plain_identity(D_G));
            TEST_OK(fim_op_turned(op, left, right, &turned));
            TEST_OK(fim_op_dense(turned, got));
            const gsl_matrix *want = plain_product(plain_transpose(u), plain_product(dense, u));
            cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-13), "%s", makers[k].name);
            fim_op_free(op);
            fim_op_free(turned);
        }
    gsl_matrix *dense;
    fim_op *op = make(&makers[0], &dense), *turned = NULL;
    TEST_FAILS(fim_op_turned(op, u_g, u_a, &turned), FIM_ERR_SHAPE, "a side of 5");
    cr_assert(turned == NULL);
    fim_op_free(op);
}

Test(op, norm_and_trace_are_those_of_the_dense_matrix) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        double norm2;
        fim_op *op = make(&makers[k], &dense);
        TEST_OK(fim_op_norm2(op, &norm2));
        cr_assert(epsilon_eq(dbl, norm2, plain_dot(dense, dense), 1e-13 * norm2), "%s", makers[k].name);
        cr_assert(epsilon_eq(dbl, fim_op_trace(op), plain_trace(dense), 1e-13 * sqrt(norm2)), "%s",
                  makers[k].name);
        fim_op_free(op);
    }
}

Test(op, inner_product_with_a_form_is_the_dense_one) {
    const gsl_matrix *f = plain_random_symmetric(D, 50);
    const fim_form form = {f, dense_inner, dense_diagonal};
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        double inner;
        fim_op *op = make(&makers[k], &dense);
        TEST_OK(fim_op_inner(op, &form, &inner));
        cr_assert(epsilon_eq(dbl, inner, plain_dot(f, dense), 1e-13 * plain_norm(f) * plain_norm(dense)),
                  "%s", makers[k].name);
        fim_op_free(op);
    }
}

static fim_status failing_inner(const void *context, const gsl_matrix *a, const gsl_matrix *g, double *out) {
    (void)context, (void)a, (void)g, (void)out;
    return FIM_FAIL(FIM_ERR_NUMERIC, "the form fails");
}

static fim_status failing_diagonal(const void *context, const gsl_matrix *u_a, const gsl_matrix *u_g,
                                   gsl_matrix *lambda) {
    (void)context, (void)u_a, (void)u_g, (void)lambda;
    return FIM_FAIL(FIM_ERR_NUMERIC, "the form fails");
}

Test(op, failure_of_a_form_is_handed_on) {
    const fim_form form = {NULL, failing_inner, failing_diagonal};
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        double inner = 77;
        fim_op *op = make(&makers[k], &dense);
        TEST_FAILS(fim_op_inner(op, &form, &inner), FIM_ERR_NUMERIC, "the form fails");
        cr_assert(eq(dbl, inner, 77));
        fim_op_free(op);
    }
}

Test(op, eigenvalues_are_those_of_the_dense_matrix) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        char route[64] = "";
        gsl_vector *got = gsl_vector_alloc(D);
        fim_op *op = make(&makers[k], &dense);
        TEST_OK(fim_op_eigenvalues(op, SIZE_MAX, got, route));
        plain_assert_decreasing(got, makers[k].name);
        cr_assert(epsilon_eq(dbl, plain_vector_difference(got, plain_eigenvalues(dense, NULL)), 0,
                             1e-13 * plain_norm(dense)),
                  "%s", makers[k].name);
        cr_assert(strstr(route, makers[k].route) != NULL, "%s: route '%s'", makers[k].name, route);
        fim_op_free(op);
    }
}

Test(op, eigenvalues_from_structure_need_no_memory_and_others_say_what_they_need) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        char route[64];
        gsl_vector *values = gsl_vector_alloc(D);
        fim_op *op = make(&makers[k], &dense);
        const size_t live = makers[k].dead ? 12 : 20, need = live * live * sizeof(double);
        if (makers[k].terms < 2) {
            TEST_OK(fim_op_eigenvalues(op, 0, values, route));
        } else {
            char bytes[32];
            snprintf(bytes, sizeof bytes, "(%zu bytes)", need);
            TEST_FAILS(fim_op_eigenvalues(op, need - 1, values, route), FIM_ERR_BUDGET, bytes);
            cr_assert(strstr(fim_message(), "--memory") != NULL, "%s", fim_message());
            TEST_OK(fim_op_eigenvalues(op, need, values, route));
        }
        fim_op_free(op);
    }
}

typedef struct visits {
    char names[64];
    size_t bytes, stop_after;
} visits;

static fim_status see(void *context, const char *name, const gsl_matrix *matrix) {
    visits *v = context;
    strcat(strcat(v->names, name), " ");
    v->bytes += matrix->size1 * matrix->size2 * sizeof(double);
    return v->stop_after > 0 && --v->stop_after == 0 ? FIM_FAIL(FIM_ERR_IO, "enough") : FIM_OK;
}

Test(op, shows_its_matrices_by_name_and_weighs_them) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        fim_op *op = make(&makers[k], &dense);
        visits all = {0}, first = {.stop_after = 1};
        TEST_OK(fim_op_visit(op, see, &all));
        TEST_TEXT(all.names, makers[k].visits);
        cr_assert(eq(sz, all.bytes, makers[k].bytes), "%s", makers[k].name);
        cr_assert(eq(sz, fim_op_bytes(op), makers[k].bytes), "%s", makers[k].name);
        TEST_FAILS(fim_op_visit(op, see, &first), FIM_ERR_IO, "enough");
        cr_assert(strncmp(first.names, makers[k].visits, strlen(first.names)) == 0 &&
                      strchr(first.names, ' ')[1] == '\0',
                  "%s went on after a failure: %s", makers[k].name, first.names);
        fim_op_free(op);
    }
}

Test(op, wrong_shapes_are_refused_by_all) {
    for (size_t k = 0; k < MAKERS; k++) {
        gsl_matrix *dense;
        char route[64];
        fim_op *op = make(&makers[k], &dense);
        gsl_matrix *right = gsl_matrix_calloc(D_A, D_G), *turned = gsl_matrix_calloc(D_G, D_A);
        TEST_FAILS(fim_op_apply(op, turned, right), FIM_ERR_SHAPE, "(4, 5)");
        TEST_FAILS(fim_op_apply(op, right, turned), FIM_ERR_SHAPE, "(4, 5)");
        TEST_FAILS(fim_op_dense(op, gsl_matrix_calloc(D, D - 1)), FIM_ERR_SHAPE, "(20, 19)");
        TEST_FAILS(fim_op_eigenvalues(op, SIZE_MAX, gsl_vector_calloc(D - 1), route), FIM_ERR_SHAPE, "19");
        fim_op_free(op);
    }
    fim_op_free(NULL);
}

Test(op, factors_that_do_not_fit_are_refused) {
    fim_op *op = NULL;
    for (size_t k = 0; k < 4; k++) { // the second term: one wrong extent at a time
        gsl_matrix *a[2] = {gsl_matrix_calloc(3, 3), gsl_matrix_calloc(3 + (k == 0), 3 + (k == 1))};
        gsl_matrix *g[2] = {gsl_matrix_calloc(2, 2), gsl_matrix_calloc(2 + (k == 2), 2 + (k == 3))};
        TEST_FAILS(fim_op_new_kronecker(2, a, g, &op), FIM_ERR_SHAPE, "term 1");
    }
    gsl_matrix *a[1] = {gsl_matrix_calloc(3, 2)}, *g[1] = {gsl_matrix_calloc(2, 2)};
    TEST_FAILS(fim_op_new_kronecker(1, a, g, &op), FIM_ERR_SHAPE, "term 0");
    TEST_FAILS(fim_op_new_kronecker(0, a, g, &op), FIM_ERR_ARGUMENT, "at least one term");
    TEST_FAILS(fim_op_new_basis(gsl_matrix_calloc(2, 2), NULL, gsl_matrix_calloc(3, 2), &op), FIM_ERR_SHAPE,
               "(3, 2)");
    TEST_FAILS(fim_op_new_basis(NULL, gsl_matrix_calloc(2, 3), gsl_matrix_calloc(3, 2), &op), FIM_ERR_SHAPE,
               "(3, 2)");
    cr_assert(op == NULL, "the output was touched");
}

Test(op, of_zeros_is_an_operator_too) {
    gsl_matrix *a[2] = {gsl_matrix_calloc(3, 3), gsl_matrix_calloc(3, 3)};
    gsl_matrix *g[2] = {gsl_matrix_calloc(2, 2), gsl_matrix_calloc(2, 2)};
    gsl_vector *values = gsl_vector_alloc(6);
    gsl_vector_set_all(values, 7);
    char route[64];
    double norm2;
    fim_op *op = NULL;
    TEST_OK(fim_op_new_kronecker(2, a, g, &op));
    TEST_OK(fim_op_eigenvalues(op, 0, values, route));
    TEST_OK(fim_op_norm2(op, &norm2));
    cr_assert(gsl_vector_isnull(values) && norm2 == 0 && fim_op_trace(op) == 0);
    cr_assert(strstr(route, "0 live of 6") != NULL, "%s", route);
    fim_op_free(op);
}

Test(op, coordinates_alive_in_one_term_only_count) {
    // Two terms that live on different coordinates: the joint range is the union.
    gsl_matrix *a[2] = {plain_random_symmetric(4, 60), plain_random_symmetric(4, 61)};
    gsl_matrix *g[2] = {plain_random_symmetric(3, 62), plain_random_symmetric(3, 63)};
    kill(a[0], 0);
    kill(a[1], 3);
    kill(a[0], 1);
    kill(a[1], 1);
    kill(g[0], 2);
    const gsl_matrix *dense = plain_sum(plain_kronecker(a[0], g[0]), 1, plain_kronecker(a[1], g[1]));
    gsl_vector *values = gsl_vector_alloc(12);
    char route[64];
    fim_op *op = NULL;
    TEST_OK(fim_op_new_kronecker(2, a, g, &op));
    TEST_OK(fim_op_eigenvalues(op, SIZE_MAX, values, route));
    cr_assert(epsilon_eq(dbl, plain_vector_difference(values, plain_eigenvalues(dense, NULL)), 0, 1e-13));
    cr_assert(strstr(route, "9 live of 12") != NULL, "%s", route);
    fim_op_free(op);
}
