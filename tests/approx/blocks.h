// Blocks to try approximations on, and approximations built and looked into.
#ifndef TESTS_APPROX_BLOCKS_H
#define TESTS_APPROX_BLOCKS_H

#include "fim/approx.h"
#include "fim/linalg.h"
#include "networks.h"

// One block with what is known of it from loops.
typedef struct block {
    const char *name;
    fim_samples samples;
    fim_fisher *f;
    size_t d_a, d_g;
    gsl_matrix *dense, *r; // F and R(F), from loops
    gsl_vector *sigma;     // its Kronecker spectrum, by GSL
    double norm;
} block;

static inline void block_init(block *b, const char *name, fim_samples samples) {
    *b = (block){.name = name, .samples = samples, .d_a = samples.d_a, .d_g = samples.d_g};
    b->dense = plain_block(&samples);
    b->r = plain_rearranged(b->dense, b->d_a, b->d_g);
    b->sigma = plain_singular_values(b->r, NULL, NULL);
    b->norm = plain_norm(b->dense);
    TEST_OK(fim_fisher_new(&b->samples, &b->f));
}

// ---- An approximation, built and looked into ----

typedef struct built {
    fim_op *op;
    fim_approx_info info;
    gsl_matrix *dense;
} built;

static inline fim_method method(const char *name) {
    fim_method m;
    TEST_OK(fim_method_parse(name, &m));
    return m;
}

static inline built build(const char *name, const fim_fisher *f) {
    const fim_method m = method(name);
    const fim_approx_options options = {.tolerance = 1e-12, .seed = 1};
    built a = {0};
    fim_status status = fim_approx_build(&m, f, &options, &a.op, &a.info);
    cr_assert(status == FIM_OK, "%s: %s", name, fim_message());
    const size_t d = fim_fisher_d_a(f) * fim_fisher_d_g(f);
    a.dense = gsl_matrix_alloc(d, d);
    TEST_OK(fim_op_dense(a.op, a.dense));
    return a;
}

// ‖F − F̂‖/‖F‖, densely.
static inline double error_of(const char *name, const block *b) {
    const built a = build(name, b->f);
    const double error = plain_distance(b->dense, a.dense) / b->norm;
    fim_op_free(a.op);
    return error;
}

static inline fim_status fetch(void *context, const char *name, const gsl_matrix *matrix) {
    const char *const *wanted = ((void **)context)[0];
    if (strcmp(name, *wanted) == 0)
        ((void **)context)[1] = plain_copy(matrix);
    return FIM_OK;
}

// A copy of the operator's matrix of that name.
static inline gsl_matrix *factor(const fim_op *op, const char *name) {
    void *context[2] = {&name, NULL};
    TEST_OK(fim_op_visit(op, fetch, context));
    cr_assert(context[1] != NULL, "no matrix %s", name);
    return context[1];
}

static inline void assert_dense(const built *got, const gsl_matrix *want, double tolerance, const block *b,
                                const char *name) {
    cr_assert(epsilon_eq(dbl, plain_distance(got->dense, want), 0, tolerance * b->norm), "%s of %s", name,
              b->name);
}

// √(Σ_{i >= r} σ_i²)/‖F‖.
static inline double floor_of(const block *b, size_t r) {
    double tail = 0;
    for (size_t i = r; i < b->sigma->size; i++)
        tail = hypot(tail, gsl_vector_get(b->sigma, i));
    return tail / b->norm;
}

// A and G of KFAC; the two partial traces.
static inline void means(const block *b, gsl_matrix **a, gsl_matrix **g) {
    *a = gsl_matrix_calloc(b->d_a, b->d_a);
    *g = gsl_matrix_calloc(b->d_g, b->d_g);
    for (size_t n = 0; n < b->samples.n; n++) {
        *a = plain_sum(*a, 1 / (double)b->samples.n, plain_outer(&b->samples, n));
        *g = plain_sum(*g, 1 / (double)b->samples.n, plain_covariance(&b->samples, n));
    }
}

static inline void partial_traces(const block *b, gsl_matrix **a, gsl_matrix **g) {
    *a = gsl_matrix_calloc(b->d_a, b->d_a);
    *g = gsl_matrix_calloc(b->d_g, b->d_g);
    for (size_t n = 0; n < b->samples.n; n++) {
        const gsl_matrix *outer = plain_outer(&b->samples, n), *covariance = plain_covariance(&b->samples, n);
        *a = plain_sum(*a, plain_trace(covariance) / (double)b->samples.n, outer);
        *g = plain_sum(*g, plain_trace(outer) / (double)b->samples.n, covariance);
    }
}

// The best rank-r approximation of R(F) put back in F's order.
static inline gsl_matrix *truncated(const gsl_matrix *r, size_t rank, size_t d_a, size_t d_g) {
    gsl_matrix *u, *v;
    gsl_vector *sigma = plain_singular_values(r, &u, &v);
    for (size_t i = rank; i < sigma->size; i++)
        gsl_vector_set(sigma, i, 0);
    return plain_arranged_back(plain_spectral(u, sigma->data, v), d_a, d_g);
}

#endif
