// Likelihoods: gradients against differences of the loss, the output factor against the closed form and
// against draws, and the refusals.
#include <gsl/gsl_blas.h>

#include "fim/linalg.h"
#include "fim/net.h"
#include "support.h"

enum { N = 7, C = 4 };

// Logits, soft targets in [0, 1] and labels of N samples.
static gsl_matrix *logits;
static fim_data data;

static void setup(void) {
    fim_linalg_setup(1);
    logits = test_random_matrix(N, C, 1);
    gsl_matrix_scale(logits, 3);
    data.x = test_random_matrix(N, 2, 2);
    data.y = test_random_matrix(N, C, 3);
    gsl_matrix_add_constant(data.y, 1);
    gsl_matrix_scale(data.y, 0.5);
    gsl_matrix_set(data.y, 0, 0, 0);
    gsl_matrix_set(data.y, 0, 1, 1);
    TEST_OK(fim_alloc(N, sizeof *data.labels, "labels", &data.labels));
    for (uint32_t r = 0; r < N; r++)
        data.labels[r] = r % C;
}

static void teardown(void) {
    gsl_matrix_free(logits);
    fim_data_clear(&data);
}

TestSuite(likelihood, .init = setup, .fini = teardown);

// The loss of one sample in long double, by the textbook formula.
static long double plain_loss(fim_likelihood likelihood, const long double *z, size_t r) {
    long double sum = 0, loss = 0;
    for (size_t j = 0; j < C; j++) {
        long double y = gsl_matrix_get(data.y, r, j), p = 1 / (1 + expl(-z[j]));
        sum += expl(z[j]);
        if (likelihood == FIM_BERNOULLI)
            loss -= y * logl(p) + (1 - y) * logl(1 - p);
        if (likelihood == FIM_GAUSSIAN)
            loss += (y - z[j]) * (y - z[j]) / 2;
    }
    return likelihood == FIM_CATEGORICAL ? -logl(expl(z[data.labels[r]]) / sum) : loss;
}

Test(likelihood, loss_and_gradient_follow_the_textbook) {
    gsl_matrix *dz = gsl_matrix_alloc(N, C);
    double loss[N];
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        TEST_OK(fim_likelihood_check(k, &data, C));
        fim_likelihood_loss(k, logits, &data, 0, loss);
        fim_likelihood_gradient(k, logits, &data, 0, dz);
        for (size_t r = 0; r < N; r++) {
            long double z[C], h = 1e-5L;
            for (size_t j = 0; j < C; j++)
                z[j] = gsl_matrix_get(logits, r, j);
            cr_assert(epsilon_eq(dbl, loss[r], (double)plain_loss(k, z, r), 1e-13), "%s, sample %zu",
                      fim_likelihood_name(k), r);
            for (size_t j = 0; j < C; j++) {
                long double centre = z[j];
                z[j] = centre + h;
                long double above = plain_loss(k, z, r);
                z[j] = centre - h;
                double want = (double)((above - plain_loss(k, z, r)) / (2 * h));
                z[j] = centre;
                cr_assert(epsilon_eq(dbl, gsl_matrix_get(dz, r, j), want, 1e-10), "%s, sample %zu, logit %zu",
                          fim_likelihood_name(k), r, j);
            }
        }
    }
    gsl_matrix_free(dz);
}

Test(likelihood, first_says_which_rows_of_the_data_are_meant) {
    gsl_matrix *all = gsl_matrix_alloc(N, C), *some = gsl_matrix_alloc(N - 3, C);
    gsl_matrix_view tail = gsl_matrix_submatrix(logits, 3, 0, N - 3, C);
    gsl_matrix_view want = gsl_matrix_submatrix(all, 3, 0, N - 3, C);
    double loss_all[N], loss_some[N - 3];
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        fim_likelihood_gradient(k, logits, &data, 0, all);
        fim_likelihood_gradient(k, &tail.matrix, &data, 3, some);
        cr_assert(eq(dbl, test_max_difference(some, &want.matrix), 0));
        fim_likelihood_loss(k, logits, &data, 0, loss_all);
        fim_likelihood_loss(k, &tail.matrix, &data, 3, loss_some);
        for (size_t r = 0; r + 3 < N; r++)
            cr_assert(eq(dbl, loss_some[r], loss_all[r + 3]));
    }
    gsl_matrix_free(all);
    gsl_matrix_free(some);
}

Test(likelihood, large_logits_neither_overflow_nor_lose_the_loss) {
    double values[] = {1000, 0, -1000, 800}, target[] = {1, 0.5, 0, 0.3};
    gsl_matrix_view z = gsl_matrix_view_array(values, 1, C), y = gsl_matrix_view_array(target, 1, C);
    uint32_t label = 2;
    fim_data one = {.x = &y.matrix, .y = &y.matrix, .labels = &label};
    double loss, gradient[C];
    gsl_matrix_view dz = gsl_matrix_view_array(gradient, 1, C);
    fim_likelihood_loss(FIM_CATEGORICAL, &z.matrix, &one, 0, &loss);
    cr_assert(epsilon_eq(dbl, loss, 2000, 1e-12));
    fim_likelihood_loss(FIM_BERNOULLI, &z.matrix, &one, 0, &loss);
    cr_assert(epsilon_eq(dbl, loss, log(2) + 800 * 0.7, 1e-12));
    fim_likelihood_gradient(FIM_CATEGORICAL, &z.matrix, &one, 0, &dz.matrix);
    cr_assert(eq(dbl, gradient[0], 1));
    cr_assert(eq(dbl, gradient[2], -1));
    fim_likelihood_gradient(FIM_BERNOULLI, &z.matrix, &one, 0, &dz.matrix);
    cr_assert(epsilon_eq(dbl, gradient[3], 0.7, 1e-15));
}

Test(likelihood, large_batches_agree_with_single_samples) {
    // Above the size from which loops run in parallel (4 million entries).
    enum { ROWS = 2100, WIDE = 2000 };
    fim_linalg_setup(2);
    gsl_matrix *z = test_random_matrix(ROWS, WIDE, 8), *dz = gsl_matrix_alloc(ROWS, WIDE);
    gsl_matrix *one = gsl_matrix_alloc(1, WIDE);
    fim_data large = {.x = test_random_matrix(ROWS, WIDE, 9)};
    double loss[ROWS], want;
    for (fim_likelihood k = FIM_BERNOULLI; k <= FIM_GAUSSIAN; k++) {
        fim_likelihood_loss(k, z, &large, 0, loss);
        fim_likelihood_gradient(k, z, &large, 0, dz);
        for (size_t r = 0; r < ROWS; r += 299) {
            gsl_matrix_view row = gsl_matrix_submatrix(z, r, 0, 1, WIDE),
                            got = gsl_matrix_submatrix(dz, r, 0, 1, WIDE);
            fim_likelihood_loss(k, &row.matrix, &large, r, &want);
            fim_likelihood_gradient(k, &row.matrix, &large, r, one);
            cr_assert(eq(dbl, loss[r], want), "%s, sample %zu", fim_likelihood_name(k), r);
            cr_assert(eq(dbl, test_max_difference(&got.matrix, one), 0), "%s, sample %zu",
                      fim_likelihood_name(k), r);
        }
    }
    gsl_matrix_free(z);
    gsl_matrix_free(dz);
    gsl_matrix_free(one);
    fim_data_clear(&large);
}

// Cov of ∂(−log p)/∂z at logits z: diag(p) − p pᵀ, diag(p(1 − p)), I.
static void plain_covariance(fim_likelihood likelihood, const double *z, gsl_matrix *out) {
    double sum = 0;
    for (size_t j = 0; j < C; j++)
        sum += exp(z[j]);
    for (size_t i = 0; i < C; i++)
        for (size_t j = 0; j < C; j++) {
            double p = exp(z[i]) / sum, q = exp(z[j]) / sum, b = 1 / (1 + exp(-z[i]));
            double categorical = (i == j ? p : 0) - p * q,
                   same = likelihood == FIM_BERNOULLI ? b * (1 - b) : 1;
            gsl_matrix_set(out, i, j, likelihood == FIM_CATEGORICAL ? categorical : i == j ? same : 0);
        }
}

Test(likelihood, factor_times_its_transpose_is_the_covariance) {
    gsl_matrix *want = gsl_matrix_alloc(C, C), *got = gsl_matrix_alloc(C, C), *bt = gsl_matrix_alloc(C, C);
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (size_t r = 0; r < N; r++) {
            const double *z = gsl_matrix_const_ptr(logits, r, 0);
            gsl_matrix_set_identity(bt); // J = I becomes Bᵀ
            TEST_OK(fim_likelihood_factor(k, z, bt));
            gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, bt, bt, 0, got);
            plain_covariance(k, z, want);
            cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-15), "%s, sample %zu",
                      fim_likelihood_name(k), r);
        }
    gsl_matrix_free(want);
    gsl_matrix_free(got);
    gsl_matrix_free(bt);
}

Test(likelihood, factor_is_linear_in_what_it_is_applied_to) {
    enum { M = 3 };
    gsl_matrix *bt = gsl_matrix_alloc(C, C), *want = gsl_matrix_alloc(C, M);
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        const double *z = gsl_matrix_const_ptr(logits, 2, 0);
        gsl_matrix *j = test_random_matrix(C, M, 7);
        gsl_matrix_set_identity(bt);
        TEST_OK(fim_likelihood_factor(k, z, bt));
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, bt, j, 0, want);
        TEST_OK(fim_likelihood_factor(k, z, j));
        cr_assert(epsilon_eq(dbl, test_max_difference(j, want), 0, 1e-15), "%s", fim_likelihood_name(k));
        gsl_matrix_free(j);
    }
    gsl_matrix_free(bt);
    gsl_matrix_free(want);
}

Test(likelihood, weights_make_the_covariance) {
    gsl_matrix *want = gsl_matrix_alloc(C, C), *got = gsl_matrix_alloc(C, C);
    double w[C];
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        const double *z = gsl_matrix_const_ptr(logits, 1, 0);
        fim_likelihood_weights(k, z, C, w);
        for (size_t i = 0; i < C; i++)
            for (size_t j = 0; j < C; j++)
                gsl_matrix_set(got, i, j,
                               (i == j ? w[i] : 0) - (fim_likelihood_independent(k) ? 0 : w[i] * w[j]));
        plain_covariance(k, z, want);
        cr_assert(epsilon_eq(dbl, test_max_difference(got, want), 0, 1e-15), "%s", fim_likelihood_name(k));
    }
}

Test(likelihood, factor_from_the_right_is_the_transpose_of_the_one_from_the_left) {
    enum { M = 3 };
    gsl_matrix *back = gsl_matrix_alloc(M, C);
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        const double *z = gsl_matrix_const_ptr(logits, 3, 0);
        gsl_matrix *j = test_random_matrix(C, M, 8), *t = gsl_matrix_alloc(M, C);
        gsl_matrix_transpose_memcpy(t, j);
        TEST_OK(fim_likelihood_factor(k, z, j));
        TEST_OK(fim_likelihood_factor_rows(k, z, t));
        gsl_matrix_transpose_memcpy(back, j);
        cr_assert(epsilon_eq(dbl, test_max_difference(t, back), 0, 1e-15), "%s", fim_likelihood_name(k));
    }
}

Test(likelihood, draws_have_mean_zero_and_the_covariance_of_the_factor) {
    enum { K = 250000 };
    gsl_matrix *dz = gsl_matrix_alloc(K, C), *got = gsl_matrix_alloc(C, C), *want = gsl_matrix_alloc(C, C);
    gsl_matrix_view one = gsl_matrix_submatrix(logits, 4, 0, 1, C);
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        TEST_OK(fim_likelihood_draw(k, &one.matrix, K, 11, 0, dz));
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, dz, dz, 0, got);
        plain_covariance(k, one.matrix.data, want);
        // Six standard deviations of a mean of K products: a product of two deviations of 0/1 variables has
        // variance at most 1/4, of two standard normals at most 2. A single deviation: at most 1/2, and 1.
        double deviation = k == FIM_GAUSSIAN ? sqrt(2.0 / K) : 0.5 / sqrt(K);
        double distance = test_max_difference(got, want);
        cr_assert(distance < 6 * deviation, "%s: %g", fim_likelihood_name(k), distance);
        for (size_t j = 0; j < C; j++) {
            double mean = 0;
            for (size_t r = 0; r < K; r++)
                mean += gsl_matrix_get(dz, r, j) / sqrt(K);
            cr_assert(fabs(mean) < 6 * (k == FIM_GAUSSIAN ? 1 : 0.5) / sqrt(K), "%s: mean %g",
                      fim_likelihood_name(k), mean);
        }
    }
    gsl_matrix_free(dz);
    gsl_matrix_free(got);
    gsl_matrix_free(want);
}

Test(likelihood, draws_do_not_depend_on_the_cut_into_chunks) {
    enum { K = 3 };
    gsl_matrix *all = gsl_matrix_alloc(N * K, C), *some = gsl_matrix_alloc((N - 2) * K, C);
    gsl_matrix_view tail = gsl_matrix_submatrix(logits, 2, 0, N - 2, C);
    gsl_matrix_view want = gsl_matrix_submatrix(all, 2 * K, 0, (N - 2) * K, C);
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        TEST_OK(fim_likelihood_draw(k, logits, K, 5, 100, all));
        TEST_OK(fim_likelihood_draw(k, &tail.matrix, K, 5, 102, some));
        cr_assert(eq(dbl, test_max_difference(some, &want.matrix), 0), "%s", fim_likelihood_name(k));
        TEST_OK(fim_likelihood_draw(k, &tail.matrix, K, 6, 102, some));
        cr_assert(test_max_difference(some, &want.matrix) > 0, "%s: seeds 5 and 6 draw alike",
                  fim_likelihood_name(k));
    }
    gsl_matrix_free(all);
    gsl_matrix_free(some);
}

Test(likelihood, what_cannot_be_judged_is_refused) {
    fim_likelihood parsed;
    TEST_OK(fim_likelihood_parse("bernoulli", &parsed));
    cr_assert(parsed == FIM_BERNOULLI);
    TEST_FAILS(fim_likelihood_parse("poisson", &parsed), FIM_ERR_UNKNOWN, "'poisson' (known: categorical, b");

    TEST_FAILS(fim_likelihood_check(FIM_CATEGORICAL, &data, C - 1), FIM_ERR_VALUE, "label 3 of row 3");
    fim_data bare = {.x = data.x};
    TEST_FAILS(fim_likelihood_check(FIM_CATEGORICAL, &bare, C), FIM_ERR_UNAVAILABLE, "needs class labels");
    TEST_FAILS(fim_likelihood_check(FIM_GAUSSIAN, &data, C + 1), FIM_ERR_SHAPE, "(7, 4)");
    TEST_FAILS(fim_likelihood_check(FIM_GAUSSIAN, &bare, C), FIM_ERR_SHAPE, "no targets y");
    TEST_OK(fim_likelihood_check(FIM_GAUSSIAN, &bare, 2)); // an auto-encoder
    TEST_FAILS(fim_likelihood_check(FIM_BERNOULLI, &bare, 2), FIM_ERR_VALUE, "values in [0, 1]");
    gsl_matrix_set(data.y, 6, 1, NAN);
    TEST_FAILS(fim_likelihood_check(FIM_GAUSSIAN, &data, C), FIM_ERR_VALUE, "target (6, 1) is nan");
    TEST_FAILS(fim_likelihood_check(FIM_BERNOULLI, &data, C), FIM_ERR_VALUE, "target (6, 1) is nan");
}

// The best constant guess for every target is the target itself: its loss, by the loss function.
Test(likelihood, floor_is_the_loss_of_the_targets_own_logits) {
    enum { ROWS = 6, OUTPUTS = 4 };
    fim_data fractions = {.x = test_random_matrix(ROWS, OUTPUTS, 70)};
    gsl_matrix *z = gsl_matrix_alloc(ROWS, OUTPUTS);
    double loss[ROWS], mean = 0;
    for (size_t k = 0; k < ROWS * OUTPUTS; k++) {
        const double p = fabs(fractions.x->data[k]);
        fractions.x->data[k] = p;
        z->data[k] = log(p / (1 - p));
    }
    fim_likelihood_loss(FIM_BERNOULLI, z, &fractions, 0, loss);
    for (size_t r = 0; r < ROWS; r++)
        mean += loss[r] / ROWS;
    cr_assert(epsilon_eq(dbl, fim_likelihood_floor(FIM_BERNOULLI, &fractions), mean, 1e-14));
    cr_assert(eq(dbl, fim_likelihood_floor(FIM_GAUSSIAN, &fractions), 0));
    gsl_matrix_set_zero(fractions.x);
    gsl_matrix_set(fractions.x, 0, 1, 1);
    cr_assert(eq(dbl, fim_likelihood_floor(FIM_BERNOULLI, &fractions), 0));
    gsl_matrix_free(z);
    fim_data_clear(&fractions);
}
