// A sum of Kronecker terms that is known by its products, with λ added: in the eigenbasis K of its first
// term, where the diagonal P of F̂ + λI (its negative part taken for zero) is near all of it.
//
// The divergence is that of P, which is known, and with z a vector of random signs
//     tr (F̂ + λI)⁻¹ (F + λI) − tr P⁻¹ (F + λI) = E uᵀ y − xᵀ y,   x = P^(-1/2) z, y = (F + λI) x,
//                                                                 (F̂ + λI) u = P^(1/2) z
//     ln det (F̂ + λI) − ln det P = ln det P^(-1/2) (F̂ + λI) P^(-1/2)
// by conjugate gradients and by stochastic Lanczos quadrature. Both are small where P is near, and most of
// their errors go with that of zᵀ P^(-1/2) (F̂ + λI) P^(-1/2) z, whose mean is known. Probes end when the
// divergence is known to a hundredth.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "steps.h"

// ---- Maps in the coordinates of the model ----

typedef struct damped_map {
    const step_model *model;
    double damping;
    gsl_matrix *scratch; // of the whitened map
} damped_map;

// P.
static double precondition(const damped_map *self, size_t i) {
    return self->model->curvature->data[i] + (self->damping - self->model->base);
}

static fim_status damped_product(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const damped_map *self = context;
    const gsl_matrix *shape = self->model->curvature;
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, shape->size1, shape->size2);
    gsl_matrix_view to = gsl_matrix_view_array(y, shape->size1, shape->size2);
    fim_status status = fim_op_apply(self->model->turned, &from.matrix, &to.matrix);
    if (status == FIM_OK)
        cblas_daxpy((int)(shape->size1 * shape->size2), self->damping, x, 1, y, 1);
    return status;
}

static fim_status nearby_solve(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const damped_map *self = context;
    for (size_t i = 0; i < self->model->curvature->size1 * self->model->curvature->size2; i++)
        y[i] = x[i] / precondition(self, i);
    return FIM_OK;
}

// P^(-1/2) (F̂ + λI) P^(-1/2).
static fim_status whitened_product(const void *context, bool transposed, const double *x, double *y) {
    const damped_map *self = context;
    const size_t d = self->scratch->size1 * self->scratch->size2;
    for (size_t i = 0; i < d; i++)
        self->scratch->data[i] = x[i] / sqrt(precondition(self, i));
    fim_status status = damped_product(context, transposed, self->scratch->data, y);
    for (size_t i = 0; i < d; i++)
        y[i] /= sqrt(precondition(self, i));
    return status;
}

// ---- The model ----

// Copies of what spans the coordinates: the first term's factors, or a basis.
typedef struct span {
    gsl_matrix *a, *g;
    bool basis;
} span;

static fim_status keep_span(void *context, const char *name, const gsl_matrix *matrix) {
    span *s = context;
    s->basis = s->basis || name[0] == 'u';
    if (strcmp(name, "a_0") == 0 || strcmp(name, "u_a") == 0)
        return fim_matrix_copy(matrix, "a factor", &s->a);
    return strcmp(name, "g_0") == 0 || strcmp(name, "u_g") == 0 ? fim_matrix_copy(matrix, "a factor", &s->g)
                                                                : FIM_OK;
}

static fim_status diagonalize(gsl_matrix *m) {
    gsl_vector *values = NULL;
    if (m == NULL)
        return FIM_OK;
    fim_status status = fim_vector_new(m->size1, "eigenvalues of a factor", &values);
    if (status == FIM_OK)
        status = fim_eigen(m, values);
    gsl_vector_free(values);
    return status;
}

fim_status step_products_init(const fim_fisher *f, const fim_op *op, const fim_steps_options *options,
                              step_model *m) {
    const size_t d_a = fim_op_d_a(op), d_g = fim_op_d_g(op), d = d_a * d_g;
    const damped_map plain = {m, 0, NULL};
    const fim_map map = {d, d, &plain, damped_product};
    // A Ritz value lies above the smallest eigenvalue: what it rules out is ruled out.
    const fim_lanczos_options lanczos = {.order = FIM_LANCZOS_SMALLEST,
                                         .tolerance = 1e-6,
                                         .max_products = 100,
                                         .budget = options->budget / 4,
                                         .seed = options->seed};
    span s = {0};
    gsl_matrix *lambda = NULL;
    gsl_vector *lowest = NULL;
    fim_op *nearby = NULL;
    fim_lanczos_info info;
    fim_status status = FIM_OK;
    FIM_TRY(fim_op_visit(op, keep_span, &s));
    if (!s.basis) {
        FIM_TRY(diagonalize(s.a));
        FIM_TRY(diagonalize(s.g));
    }
    FIM_TRY(fim_op_turned(op, s.a, s.g, &m->turned));
    FIM_TRY(fim_matrix_new(d_a, d_g, "the diagonal of a sum", &lambda));
    FIM_TRY(fim_op_diagonal(m->turned, NULL, NULL, lambda));
    for (size_t i = 0; i < d; i++)
        lambda->data[i] = fmax(lambda->data[i], 0);
    gsl_matrix *taken[3] = {s.a, s.g, lambda};
    s = (span){0};
    lambda = NULL;
    FIM_TRY(fim_op_new_basis(taken[0], taken[1], taken[2], &nearby));
    FIM_TRY(step_model_structure(f, nearby, m));
    FIM_TRY(fim_vector_new(1, "the smallest eigenvalue", &lowest));
    status = fim_lanczos(&map, 1, &lanczos, lowest, NULL, &info);
    if (status == FIM_NOT_CONVERGED)
        status = FIM_OK;
    FIM_TRY(status);
    m->smallest = gsl_vector_get(lowest, 0);
    snprintf(m->route, sizeof m->route, "conjugate gradients");
out:
    gsl_matrix_free(s.a);
    gsl_matrix_free(s.g);
    gsl_matrix_free(lambda);
    gsl_vector_free(lowest);
    fim_op_free(nearby);
    return status;
}

fim_status step_products_solve(const step_model *m, double damping, double tolerance, const gsl_matrix *x,
                               gsl_matrix *y) {
    const size_t d = x->size1 * x->size2;
    const damped_map context = {m, damping, NULL};
    const fim_map map = {d, d, &context, damped_product}, preconditioner = {d, d, &context, nearby_solve};
    const fim_cg_options options = {.tolerance = tolerance, .preconditioner = &preconditioner};
    fim_cg_info info;
    return fim_cg(&map, x->data, &options, y->data, &info);
}

// ---- The divergence ----

// Scratch of a probe, all (d_a, d_g).
typedef struct probe {
    gsl_matrix *z, *x, *y, *u, *work;
} probe;

static void probe_clear(probe *p) {
    gsl_matrix *const all[] = {p->z, p->x, p->y, p->u, p->work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        gsl_matrix_free(all[i]);
}

static fim_status probe_init(probe *p, size_t d_a, size_t d_g) {
    gsl_matrix **const all[] = {&p->z, &p->x, &p->y, &p->u, &p->work};
    fim_status status = FIM_OK;
    for (size_t i = 0; status == FIM_OK && i < sizeof all / sizeof *all; i++)
        status = fim_matrix_new(d_a, d_g, "a probe of a divergence", all[i]);
    return status;
}

// uᵀ y − xᵀ y, and as a control xᵀ (F̂ + λI) x less its mean.
static fim_status probe_trace(const damped_map *map, const fim_fisher *f, double trace, gsl_rng *rng,
                              probe *p, double *value, double *control) {
    const int d = (int)(p->z->size1 * p->z->size2);
    for (int i = 0; i < d; i++) {
        const double sign = gsl_rng_get(rng) & 1 ? 1 : -1, root = sqrt(precondition(map, (size_t)i));
        p->z->data[i] = sign * root;
        p->x->data[i] = sign / root;
    }
    fim_status status = FIM_OK;
    FIM_TRY(damped_product(map, false, p->x->data, p->u->data));
    *control = cblas_ddot(d, p->x->data, 1, p->u->data, 1) - trace;
    FIM_TRY(step_model_turn(map->model, true, p->x, p->u));
    FIM_TRY(fim_fisher_apply(f, p->u, p->work));
    FIM_TRY(step_model_turn(map->model, false, p->work, p->y));
    cblas_daxpy(d, map->damping, p->x->data, 1, p->y->data, 1);
    gsl_matrix_memcpy(p->u, p->x); // exact where P is F̂ + λI
    FIM_TRY(step_products_solve(map->model, map->damping, 1e-6, p->z, p->u));
    *value = cblas_ddot(d, p->u->data, 1, p->y->data, 1) - cblas_ddot(d, p->x->data, 1, p->y->data, 1);
out:
    return status;
}

// tr P⁻¹ (F̂ + λI): the number of parameters, but for entries of the diagonal below zero.
static fim_status whitened_trace(const damped_map *map, gsl_matrix *scratch, double *out) {
    fim_status status = fim_op_diagonal(map->model->turned, NULL, NULL, scratch);
    *out = 0;
    for (size_t i = 0; status == FIM_OK && i < scratch->size1 * scratch->size2; i++)
        *out += (scratch->data[i] + map->damping) / precondition(map, i);
    return status;
}

fim_status step_products_divergence(const step_model *m, const fim_fisher *f, double damping, double diagonal,
                                    uint64_t seed, double *out, double *error) {
    enum { LEAST = 4, MOST = 10, STEPS = 25 };
    static const double enough = 0.01;
    const size_t d_a = m->curvature->size1, d_g = m->curvature->size2, d = d_a * d_g;
    probe p = {0};
    damped_map context = {m, damping, NULL};
    const fim_map whitened = {d, d, &context, whitened_product};
    const double least = (m->smallest + damping) / (gsl_matrix_max(m->curvature) + (damping - m->base));
    double values[MOST], controls[MOST], logs[MOST], off_traces[MOST], distances = 0, distance, trace;
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    fim_status status = FIM_OK;
    FIM_TRY(rng != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator"));
    FIM_TRY(probe_init(&p, d_a, d_g));
    FIM_TRY(whitened_trace(&context, p.work, &trace));
    context.scratch = p.work;
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, 0));
    bool known = false;
    for (size_t k = 0; k < MOST && !known; k++) {
        FIM_TRY(probe_trace(&context, f, trace, rng, &p, &values[k], &controls[k]));
        FIM_TRY(fim_density_logs(&whitened, least, 1, STEPS, fim_seed_stream(seed, k + 1), trace, &logs[k],
                                 &off_traces[k], &distance));
        distances += distance;
        if (k + 1 < LEAST)
            continue;
        double off_trace, off_log;
        *out = fim_controlled_mean(values, controls, k + 1, &off_trace) +
               fim_controlled_mean(logs, off_traces, k + 1, &off_log);
        *error = hypot(off_trace, off_log) + distances / (double)(k + 1);
        known = *error <= enough * fabs(diagonal + *out);
    }
out:
    probe_clear(&p);
    gsl_rng_free(rng);
    return status;
}
