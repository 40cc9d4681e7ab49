// Natural gradient: the first step against a dense solve with the same damped operator, Newton's step where
// the approximations are exact, running averages against those of all samples, rules for indefinite sums.
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "fim/approx.h"
#include "networks.h"
#include "training.h"

TestSuite(natural, .init = setup, .fini = teardown);

static const char *const every[] = {"diagonal", "kfac",      "tkfac",   "ekfac",          "tekfac",
                                    "kpsvd",    "deflation", "lanczos", "kfac-corrected", "exact"};
enum { EVERY = sizeof every / sizeof *every };

// One step of natural gradient without momentum or clipping on all samples at once, whose Fisher does not
// depend on their order.
static fim_train_options one_step(const char *optimizer) {
    fim_train_options o = defaults();
    o.optimizer = optimizer;
    o.learning_rate = 0.5;
    o.momentum = 0;
    o.clip = 0;
    o.batch = o.fisher_batch = N;
    o.epochs = 1;
    o.fisher = (fim_fisher_spec){.kind = FIM_FISHER_EXACT};
    o.tolerance = 1e-12;
    return o;
}

static gsl_matrix *shifted(const gsl_matrix *m, double add) {
    return plain_sum(m, add, plain_identity(m->size1));
}

typedef struct two_factors {
    gsl_matrix *a, *g;
} two_factors;

static fim_status take_first(void *context, const char *name, const gsl_matrix *m) {
    two_factors *f = context;
    if (strcmp(name, "a_0") == 0)
        f->a = plain_copy(m);
    if (strcmp(name, "g_0") == 0)
        f->g = plain_copy(m);
    return FIM_OK;
}

// The dense damped operator of a layer, from plain samples scaled like the loss.
static gsl_matrix *damped_dense(const char *optimizer, fim_samples *s, const fim_inverse_options *damping) {
    const size_t d = s->d_a * s->d_g;
    if (strcmp(optimizer, "exact") == 0)
        return shifted(plain_block(s), damping->damping);
    fim_method method;
    fim_fisher *f = NULL;
    fim_op *op = NULL;
    fim_approx_info info;
    gsl_matrix *dense = gsl_matrix_alloc(d, d);
    TEST_OK(fim_method_parse(optimizer, &method));
    TEST_OK(fim_fisher_new(s, &f));
    TEST_OK(fim_approx_build(&method, f, &(fim_approx_options){.tolerance = 1e-12}, &op, &info));
    TEST_OK(fim_op_dense(op, dense));
    two_factors first = {NULL, NULL};
    TEST_OK(fim_op_visit(op, take_first, &first));
    if (first.a == NULL || damping->form == FIM_DAMPING_EXACT) {
        dense = shifted(dense, damping->damping);
    } else { // the damped first term, split as KFAC's is, and what the second adds to it
        double inputs = 0;
        for (size_t n = 0; n < s->n; n++)
            inputs += plain_trace(plain_outer(s, n)) / (double)s->n;
        const double split = inputs / plain_trace(first.a);
        gsl_matrix_scale(first.a, split);
        gsl_matrix_scale(first.g, 1 / split);
        const gsl_matrix *rest = plain_sum(dense, -1, plain_kronecker(first.a, first.g));
        const double add = damping->form == FIM_DAMPING_EACH ? damping->damping : sqrt(damping->damping);
        dense = plain_sum(plain_kronecker(shifted(first.a, add), shifted(first.g, add)), 1, rest);
    }
    fim_op_free(op);
    fim_fisher_free(f);
    return dense;
}

// w − rate · P ∇ for every layer, P by GSL's LU.
static void plain_step(fim_net *net, const fim_train_options *o) {
    const double scale = o->mean_outputs ? 2.0 / K : 1;
    fim_trace trace = {0};
    gsl_matrix *grads[3];
    double loss;
    fim_samples samples[3];
    for (size_t l = 0; l < net->n_layers; l++) {
        samples[l] = plain_samples(net, &data, &o->fisher, l);
        gsl_matrix_scale(samples[l].g, scale);
        grads[l] = gsl_matrix_alloc(net->layers[l].w->size1, net->layers[l].w->size2);
    }
    TEST_OK(fim_trace_init(&trace, net, N));
    TEST_OK(fim_net_forward(net, data.x, &trace));
    TEST_OK(fim_net_gradient(net, &trace, &data, 0, grads, &loss));
    for (size_t l = 0; l < net->n_layers; l++) {
        gsl_matrix *dense = damped_dense(o->optimizer, &samples[l], &o->inverse);
        const size_t d_a = samples[l].d_a, d_g = samples[l].d_g;
        gsl_vector *x = gsl_vector_alloc(d_a * d_g), *y = gsl_vector_alloc(d_a * d_g);
        for (size_t i = 0; i < d_a; i++)
            for (size_t j = 0; j < d_g; j++)
                gsl_vector_set(x, i * d_g + j, scale * gsl_matrix_get(grads[l], j, i));
        gsl_permutation *p = gsl_permutation_alloc(d_a * d_g);
        int sign;
        gsl_linalg_LU_decomp(dense, p, &sign);
        gsl_linalg_LU_solve(dense, p, x, y);
        for (size_t i = 0; i < d_a; i++)
            for (size_t j = 0; j < d_g; j++)
                *gsl_matrix_ptr(net->layers[l].w, j, i) -= o->learning_rate * gsl_vector_get(y, i * d_g + j);
    }
    fim_trace_clear(&trace);
}

static double largest_step(const fim_net *net) {
    fim_net start = make_net(deep, 3);
    const double step = net_difference(&start, net);
    fim_net_clear(&start);
    return step;
}

// In float64 layers are refreshed side by side, in float32 one after the other.
Test(natural, first_step_is_the_dense_solve_of_the_damped_operator) {
    static const fim_damping_form forms[] = {FIM_DAMPING_FACTOR, FIM_DAMPING_EACH, FIM_DAMPING_EXACT};
    for (size_t k = 0; k < EVERY; k++)
        for (size_t f = 0; f < 3; f++)
            for (int single = 0; single < 2; single++) {
                const bool two = strcmp(every[k], "deflation") == 0 || strcmp(every[k], "lanczos") == 0 ||
                                 strcmp(every[k], "kfac-corrected") == 0;
                if (two && forms[f] == FIM_DAMPING_EXACT)
                    continue;
                fim_train_options o = one_step(every[k]);
                o.inverse.form = forms[f];
                o.inverse.damping = 0.3;
                o.float64 = single == 0;
                fim_net got = make_net(deep, 3), want = make_net(deep, 3);
                fim_linalg_setup(single ? 1 : 3);
                TEST_OK(train_plainly(&got, &o));
                plain_step(&want, &o);
                const double step = largest_step(&want), difference = net_difference(&got, &want);
                cr_assert(difference <= (single ? 1e-5 : 1e-6 * 1e-3) * step,
                          "%s, %s, %s: %.1e of a step of %.1e", every[k], fim_damping_form_name(forms[f]),
                          single ? "float32" : "float64", difference, step);
                fim_net_clear(&got);
                fim_net_clear(&want);
            }
}

// One layer and the gaussian likelihood: F is the Hessian, and a Kronecker product. Natural gradient is
// Newton's method then, and lands on the least squares in one step.
Test(natural, one_step_solves_linear_regression_where_the_block_is_kronecker) {
    gsl_matrix *a = gsl_matrix_alloc(N, D + 1), *normal = plain_identity(D + 1);
    for (size_t r = 0; r < N; r++)
        for (size_t i = 0; i <= D; i++)
            gsl_matrix_set(a, r, i, i < D ? gsl_matrix_get(data.x, r, i) : 1);
    normal = plain_product(plain_transpose(a), a);
    const gsl_matrix *right = plain_product(plain_transpose(a), data.y);
    gsl_linalg_cholesky_decomp1(normal);
    gsl_matrix *want = gsl_matrix_alloc(K, D + 1);
    for (size_t k = 0; k < K; k++) {
        gsl_vector_const_view b = gsl_matrix_const_column(right, k);
        gsl_vector_view w = gsl_matrix_row(want, k);
        gsl_vector *w_k = gsl_vector_alloc(D + 1);
        gsl_linalg_cholesky_solve(normal, &b.vector, w_k);
        gsl_vector_memcpy(&w.vector, w_k);
    }
    for (size_t k = 0; k < EVERY; k++) {
        if (strcmp(every[k], "diagonal") == 0)
            continue;
        fim_train_options o = one_step(every[k]);
        o.learning_rate = 1;
        o.inverse = (fim_inverse_options){1e-18, FIM_DAMPING_FACTOR, FIM_INDEFINITE_ABSOLUTE, 0};
        if (strcmp(every[k], "exact") == 0)
            o.inverse.damping = 1e-11;
        fim_net net = make_net(shallow, 1);
        TEST_OK(train_plainly(&net, &o));
        cr_assert(epsilon_eq(dbl, test_max_difference(net.layers[0].w, want), 0, 1e-8), "%s", every[k]);
        fim_net_clear(&net);
    }
}

static const fim_record *layer_state(fim_record *state, size_t l) {
    char path[128], name[16];
    TEST_OK(fim_record_read(in_folder("state.h5", path), "fim-state", SIZE_MAX, state));
    snprintf(name, sizeof name, "%zu", l);
    return fim_record_child(fim_record_child(state, "natural"), name);
}

// KFAC's moments and TKFAC's partial traces are linear in the samples: refreshed at both halves of the data,
// with weights 0 and 1/2 for the past, their averages are those of all the data.
Test(natural, averages_of_two_halves_are_those_of_all_samples) {
    static const char *const linear[] = {"kfac", "tkfac"};
    for (size_t k = 0; k < 2; k++) {
        fim_train_options o = one_step(linear[k]);
        o.learning_rate = 1e-300; // the weights stay
        o.batch = o.fisher_batch = N / 2;
        o.statistics_every = 1;
        o.inverse.damping = 0.1;
        o.folder = folder;
        o.overwrite = true;
        fim_net net = make_net(deep, 3);
        fim_record log;
        TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
        for (size_t l = 0; l < 3; l++) {
            fim_samples all = plain_samples(&net, &data, &o.fisher, l);
            gsl_matrix_scale(all.g, 2.0 / K);
            fim_method method;
            fim_fisher *f = NULL;
            fim_op *op = NULL;
            fim_approx_info info;
            TEST_OK(fim_method_parse(linear[k], &method));
            TEST_OK(fim_fisher_new(&all, &f));
            TEST_OK(fim_approx_build(&method, f, &(fim_approx_options){.tolerance = 1e-12}, &op, &info));
            two_factors want = {NULL, NULL};
            TEST_OK(fim_op_visit(op, take_first, &want));
            fim_record state;
            const fim_record *layer = layer_state(&state, l);
            const gsl_matrix *a = fim_record_table(layer, "a_0")->values,
                             *g = fim_record_table(layer, "g_0")->values;
            cr_assert(epsilon_eq(dbl, plain_distance(plain_kronecker(a, g), plain_kronecker(want.a, want.g)),
                                 0, 1e-12 * plain_norm(plain_kronecker(want.a, want.g))),
                      "%s, layer %zu", linear[k], l);
            fim_record_clear(&state);
            fim_op_free(op);
            fim_fisher_free(f);
        }
        fim_record_clear(&log);
        fim_net_clear(&net);
    }
}

// The average of the last best term and the new block, compressed again: by a dense singular value
// decomposition.
Test(natural, kpsvd_compresses_the_past_together_with_the_present) {
    fim_train_options o = one_step("kpsvd");
    o.learning_rate = 1e-300;
    o.batch = o.fisher_batch = N / 2;
    o.statistics_every = 1;
    o.inverse.damping = 0.1;
    o.folder = folder;
    fim_net net = make_net(deep, 3);
    fim_record log, state;
    TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    size_t order[N];
    for (size_t r = 0; r < N; r++)
        order[r] = r;
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937); // the shuffle of the first epoch
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(o.seed, 1));
    gsl_ran_shuffle(rng, order, N, sizeof *order);
    gsl_rng_free(rng);
    for (size_t l = 0; l < 3; l++) {
        gsl_matrix *average = NULL;
        const size_t d_a = net.layers[l].w->size2, d_g = net.layers[l].w->size1;
        for (size_t half = 0; half < 2; half++) {
            fim_data part = {0};
            TEST_OK(fim_data_subset(&data, order + half * (N / 2), N / 2, &part));
            fim_samples s = plain_samples(&net, &part, &o.fisher, l);
            gsl_matrix_scale(s.g, 2.0 / K);
            gsl_matrix *r = plain_rearranged(plain_block(&s), d_a, d_g), *u, *v;
            if (average != NULL) {
                gsl_matrix_scale(r, 0.5);
                r = plain_sum(r, 0.5, average);
            }
            gsl_vector *sigma = plain_singular_values(r, &u, &v);
            for (size_t i = 1; i < sigma->size; i++)
                gsl_vector_set(sigma, i, 0);
            average = plain_spectral(u, sigma->data, v);
            fim_data_clear(&part);
        }
        const fim_record *layer = layer_state(&state, l);
        const gsl_matrix *got = plain_rearranged(
            plain_kronecker(fim_record_table(layer, "a_0")->values, fim_record_table(layer, "g_0")->values),
            d_a, d_g);
        cr_assert(epsilon_eq(dbl, plain_distance(got, average), 0, 1e-9 * plain_norm(average)), "layer %zu",
                  l);
        fim_record_clear(&state);
    }
    fim_record_clear(&log);
    fim_net_clear(&net);
}

static double last(const fim_record *log, const char *name) {
    const gsl_vector *values = fim_record_curve(log, name)->values;
    return gsl_vector_get(values, values->size - 1);
}

// Rules, and what the log tells of them.
Test(natural, log_counts_what_a_refresh_did) {
    static const fim_indefinite rules[] = {FIM_INDEFINITE_ABSOLUTE, FIM_INDEFINITE_CLAMP,
                                           FIM_INDEFINITE_FALLBACK};
    double changed[3], fell_back[3];
    for (size_t k = 0; k < 3; k++) {
        fim_net net = make_net(deep, 3);
        fim_record log;
        fim_train_options o = one_step("deflation");
        o.inverse = (fim_inverse_options){1e-4, FIM_DAMPING_EACH, rules[k], 0};
        o.learning_rate = 1e-300;
        o.epochs = 3;
        o.statistics_every = 2;
        TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
        cr_assert(eq(sz, fim_record_curve(&log, "refresh_iteration")->values->size, 2));
        cr_assert(eq(dbl, last(&log, "refresh_iteration"), 3));
        cr_assert(last(&log, "refresh_products") > 0 && last(&log, "refresh_residual") <= 1e-12);
        cr_assert(last(&log, "refresh_seconds") > 0);
        changed[k] = gsl_vector_get(fim_record_curve(&log, "refresh_changed")->values, 0);
        fell_back[k] = gsl_vector_get(fim_record_curve(&log, "refresh_fell_back")->values, 0);
        fim_record_clear(&log);
        fim_net_clear(&net);
    }
    cr_assert(changed[0] > 0 && !(changed[0] < changed[2]) && !(changed[0] > changed[2]), "%g and %g changed",
              changed[0], changed[2]);
    cr_assert(changed[1] >= changed[0]); // its bound is higher
    cr_assert(fell_back[0] == 0 && fell_back[1] == 0 && fell_back[2] > 0);
}

Test(natural, clipping_bounds_the_step_in_the_metric) {
    fim_net free = make_net(deep, 3), clipped = make_net(deep, 3), start = make_net(deep, 3);
    fim_record log;
    fim_train_options o = one_step("kfac");
    o.inverse.damping = 0.1;
    TEST_OK(fim_train(&free, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    cr_assert(eq(dbl, last(&log, "clip"), 1));
    fim_record_clear(&log);
    o.clip = 1e-4;
    TEST_OK(fim_train(&clipped, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    const double factor = last(&log, "clip");
    cr_assert(factor > 0 && factor < 1);
    // P∇ is what the free step moved, over its rate.
    fim_trace trace = {0};
    gsl_matrix *grads[3];
    double loss, product = 0;
    for (size_t l = 0; l < 3; l++)
        grads[l] = gsl_matrix_alloc(free.layers[l].w->size1, free.layers[l].w->size2);
    TEST_OK(fim_trace_init(&trace, &start, N));
    TEST_OK(fim_net_forward(&start, data.x, &trace));
    TEST_OK(fim_net_gradient(&start, &trace, &data, 0, grads, &loss));
    for (size_t l = 0; l < 3; l++) {
        const gsl_matrix *step = plain_sum(start.layers[l].w, -1, free.layers[l].w);
        product += fabs(plain_dot(grads[l], step)) / o.learning_rate * 2.0 / K;
        const gsl_matrix *short_step = plain_sum(start.layers[l].w, -1, clipped.layers[l].w);
        cr_assert(epsilon_eq(
            dbl,
            plain_distance(short_step, plain_sum(gsl_matrix_calloc(step->size1, step->size2), factor, step)),
            0, 1e-12));
    }
    cr_assert(epsilon_eq(dbl, factor, sqrt(1e-4 / product), 1e-9 * factor));
    fim_trace_clear(&trace);
    fim_record_clear(&log);
    fim_net_clear(&free);
    fim_net_clear(&clipped);
    fim_net_clear(&start);
}

Test(natural, sums_of_three_terms_have_no_inverse) {
    fim_net net = make_net(deep, 3);
    fim_train_options o = one_step("kpsvd:3");
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_UNAVAILABLE, "3 Kronecker products");
    o = one_step("kfac-corrected");
    o.inverse.form = FIM_DAMPING_EXACT;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_UNAVAILABLE, "layer 0");
    fim_net_clear(&net);
}
