// Solves with F + λ I: the choice of the way, refinement of the direct ones, and the iteration.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "solve.h"

static const solver_way *choose(const fim_fisher *f, const fim_solver_options *options) {
    static const solver_way *const ways[] = {&solver_gram, &solver_outputs, &solver_dense};
    for (size_t k = 0; !options->matrix_free && k < sizeof ways / sizeof *ways; k++)
        if (ways[k]->fits(f, options))
            return ways[k];
    return &solver_iteration;
}

fim_status fim_solver_new(const fim_fisher *f, const fim_solver_options *options, fim_solver **out) {
    fim_solver *solver = NULL;
    fim_status status = fim_alloc(1, sizeof *solver, "a solver", &solver);
    if (status != FIM_OK)
        return status;
    *solver = (fim_solver){.f = f, .options = *options, .way = choose(f, options)};
    status = solver->way->prepare(solver);
    if (status == FIM_OK)
        *out = solver;
    else
        fim_solver_free(solver);
    return status;
}

void fim_solver_free(fim_solver *solver) {
    if (solver == NULL)
        return;
    gsl_matrix_free(solver->part);
    for (size_t k = 0; solver->factor != NULL && k < solver->factors; k++)
        gsl_matrix_free(solver->factor[k]);
    free(solver->factor);
    fim_op_free(solver->nearby);
    fim_inverse_clear(&solver->preconditioner);
    free(solver);
}

fim_status fim_solver_damp(fim_solver *solver, double damping) {
    if (!(damping > 0 && isfinite(damping)))
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a solve with the Fisher block needs a damping above 0, not %g",
                        damping);
    solver->damping = damping;
    fim_status status = solver->way->damp(solver);
    if (status != FIM_OK)
        solver->damping = 0;
    return status == FIM_NOT_POSITIVE
               ? FIM_FAIL(status,
                          "the damping %g is lost in the rounding of the Fisher block: take a larger one",
                          damping)
               : status;
}

// r = x − (F + λI) y; its norm.
static fim_status residual_of(const fim_solver *s, const gsl_matrix *x, const gsl_matrix *y, gsl_matrix *r,
                              double *norm) {
    fim_status status = fim_fisher_apply(s->f, y, r);
    if (status != FIM_OK)
        return status;
    double sum = 0;
    for (size_t i = 0; i < x->size1; i++)
        for (size_t j = 0; j < x->size2; j++) {
            const double entry =
                gsl_matrix_get(x, i, j) - s->damping * gsl_matrix_get(y, i, j) - gsl_matrix_get(r, i, j);
            gsl_matrix_set(r, i, j, entry);
            sum += entry * entry;
        }
    *norm = sqrt(sum);
    return FIM_OK;
}

static double norm_of(const gsl_matrix *m) {
    double sum = 0;
    for (size_t i = 0; i < m->size1; i++)
        sum = hypot(sum, cblas_dnrm2((int)m->size2, m->data + i * m->tda, 1));
    return sum;
}

// A direct solve, and its correction by the residual (iterative refinement): Woodbury's formula cancels where
// λ is small beside F.
static fim_status solve_directly(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info) {
    enum { CORRECTIONS = 3 };
    const double scale = norm_of(x), enough = 1e-13 * scale;
    gsl_matrix *r = NULL, *step = NULL, *sum = NULL;
    double norm = 0, before = INFINITY;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(x->size1, x->size2, "a residual", &r));
    FIM_TRY(fim_matrix_new(x->size1, x->size2, "a correction", &step));
    FIM_TRY(fim_matrix_new(x->size1, x->size2, "a solution", &sum));
    FIM_TRY(s->way->solve(s, x, sum, info));
    for (size_t k = 0;; k++) {
        FIM_TRY(residual_of(s, x, sum, r, &norm));
        info->products++;
        if (norm >= before) { // the last correction made it worse
            gsl_matrix_sub(sum, step);
            norm = before;
            break;
        }
        if (k == CORRECTIONS || norm <= enough)
            break;
        before = norm;
        FIM_TRY(s->way->solve(s, r, step, info));
        gsl_matrix_add(sum, step);
    }
    gsl_matrix_memcpy(y, sum);
    info->residual = scale > 0 ? norm / scale : 0;
out:
    gsl_matrix_free(r);
    gsl_matrix_free(step);
    gsl_matrix_free(sum);
    return status;
}

fim_status fim_solver_solve(fim_solver *solver, const gsl_matrix *x, bool start, gsl_matrix *y,
                            fim_solve_info *info) {
    const size_t d_a = solver->f->d_a, d_g = solver->f->d_g;
    if (x->size1 != d_a || x->size2 != d_g || y->size1 != d_a || y->size2 != d_g)
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "parameter matrices of (%zu, %zu) and (%zu, %zu) for a Fisher block on (%zu, %zu)",
                        x->size1, x->size2, y->size1, y->size2, d_a, d_g);
    if (solver->damping == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a solver needs a damping before it solves");
    fim_solve_info found = {0};
    solver->way->tell(solver, found.route);
    if (!start && !solver->way->direct)
        gsl_matrix_set_zero(y);
    fim_status status =
        solver->way->direct ? solve_directly(solver, x, y, &found) : solver->way->solve(solver, x, y, &found);
    if (status == FIM_OK || status == FIM_NOT_CONVERGED)
        *info = found;
    return status;
}

// ---- Conjugate gradients ----

static bool iteration_fits(const fim_fisher *f, const fim_solver_options *options) {
    (void)f, (void)options;
    return true;
}

// The best diagonal in the eigenbasis of A ⊗ G (EKFAC), or diag F for a block that does not tell A and G.
static fim_status iteration_prepare(fim_solver *s) {
    const size_t d_a = s->f->d_a, d_g = s->f->d_g;
    gsl_matrix *a = NULL, *g = NULL, *lambda = NULL;
    gsl_vector *values_a = NULL, *values_g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_a, "a preconditioner", &a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "a preconditioner", &g));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a preconditioner", &lambda));
    FIM_TRY(fim_vector_new(d_a, "a preconditioner", &values_a));
    FIM_TRY(fim_vector_new(d_g, "a preconditioner", &values_g));
    status = fim_fisher_moments(s->f, a, g);
    if (status == FIM_OK) {
        FIM_TRY(fim_eigen(a, values_a));
        FIM_TRY(fim_eigen(g, values_g));
    } else if (status == FIM_ERR_UNAVAILABLE) {
        gsl_matrix_free(a);
        gsl_matrix_free(g);
        a = g = NULL;
    } else {
        goto out;
    }
    FIM_TRY(fim_fisher_diagonal(s->f, a, g, lambda));
    gsl_matrix *taken[3] = {a, g, lambda};
    a = g = lambda = NULL;
    FIM_TRY(fim_op_new_basis(taken[0], taken[1], taken[2], &s->nearby));
out:
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    gsl_matrix_free(lambda);
    gsl_vector_free(values_a);
    gsl_vector_free(values_g);
    return status;
}

static fim_status iteration_damp(fim_solver *s) {
    const fim_inverse_options exact = {.damping = s->damping, .form = FIM_DAMPING_EXACT};
    fim_inverse inverse;
    fim_status status = fim_inverse_init(s->nearby, &exact, &inverse);
    if (status != FIM_OK)
        return status;
    fim_inverse_clear(&s->preconditioner);
    s->preconditioner = inverse;
    return FIM_OK;
}

static fim_status damped_product(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const fim_solver *s = context;
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, s->f->d_a, s->f->d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, s->f->d_a, s->f->d_g);
    fim_status status = fim_fisher_apply(s->f, &from.matrix, &to.matrix);
    if (status == FIM_OK)
        cblas_daxpy((int)(s->f->d_a * s->f->d_g), s->damping, x, 1, y, 1);
    return status;
}

static fim_status nearby_solve(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const fim_solver *s = context;
    gsl_matrix_const_view from = gsl_matrix_const_view_array(x, s->f->d_a, s->f->d_g);
    gsl_matrix_view to = gsl_matrix_view_array(y, s->f->d_a, s->f->d_g);
    return fim_inverse_apply(&s->preconditioner, &from.matrix, &to.matrix);
}

static fim_status iteration_solve(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info) {
    const size_t d = s->f->d_a * s->f->d_g;
    const fim_map map = {d, d, s, damped_product}, preconditioner = {d, d, s, nearby_solve};
    const fim_cg_options options = {.tolerance = s->options.tolerance,
                                    .max_products = s->options.max_products,
                                    .preconditioner = &preconditioner};
    fim_cg_info cg = {0};
    gsl_matrix *right = NULL, *left = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_copy(x, "a right side", &right)); // contiguous
    FIM_TRY(fim_matrix_copy(y, "a solution", &left));
    status = fim_cg(&map, right->data, &options, left->data, &cg);
    if (status == FIM_OK || status == FIM_NOT_CONVERGED) {
        gsl_matrix_memcpy(y, left);
        info->products = cg.products;
        info->residual = cg.residual;
    }
out:
    gsl_matrix_free(right);
    gsl_matrix_free(left);
    return status;
}

static void iteration_tell(const fim_solver *s, char route[static 64]) {
    (void)s;
    snprintf(route, 64, "conjugate gradients");
}

const solver_way solver_iteration = {.fits = iteration_fits,
                                     .prepare = iteration_prepare,
                                     .damp = iteration_damp,
                                     .solve = iteration_solve,
                                     .tell = iteration_tell};

// ---- Determinants ----

// What of F + λI is left when P, the damped operator that preconditions, is taken out: W = P^(-1/2) (F + λI)
// P^(-1/2) in the basis K that makes P a diagonal. Where P is near F + λI, W is near I, and ln det W small.
typedef struct whitened {
    const fim_solver *solver;
    gsl_matrix *x, *y; // (d_a, d_g) scratch
} whitened;

static fim_status whitened_product(const void *context, bool transposed, const double *x, double *y) {
    (void)transposed;
    const whitened *self = context;
    const fim_solver *s = self->solver;
    const double *w = s->preconditioner.w->data; // contiguous
    const size_t d = s->f->d_a * s->f->d_g;
    gsl_matrix_view to = gsl_matrix_view_array(y, s->f->d_a, s->f->d_g);
    for (size_t i = 0; i < d; i++)
        y[i] = sqrt(w[i]) * x[i];
    fim_inverse_turn(&s->preconditioner, true, &to.matrix, self->y, self->x);
    fim_status status = fim_fisher_apply(s->f, self->x, self->y);
    if (status != FIM_OK)
        return status;
    cblas_daxpy((int)d, s->damping, self->x->data, 1, self->y->data, 1);
    fim_inverse_turn(&s->preconditioner, false, self->y, self->x, &to.matrix);
    for (size_t i = 0; i < d; i++)
        y[i] *= sqrt(w[i]);
    return FIM_OK;
}

// ln det P is known; ln det W = tr ln W by quadrature, between the rules of Gauss and Gauss-Radau. W is at
// least λ P⁻¹.
static fim_status estimate_log_det(const fim_solver *s, double *out, double *error) {
    enum { PROBES = 10, STEPS = 25, VECTORS = 5 };
    const size_t d_a = s->f->d_a, d_g = s->f->d_g, d = d_a * d_g;
    whitened self = {.solver = s};
    const fim_map map = {d, d, &self, whitened_product};
    const double least = s->damping * gsl_matrix_min(s->preconditioner.w);
    double logs[PROBES], off_traces[PROBES], distance, deviation;
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(s->options.budget, fim_size_mul(d, VECTORS * sizeof(double)),
                             "the quadrature of a determinant", "raise --memory"));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a vector in another basis", &self.x));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a product", &self.y));
    FIM_TRY(fim_density_logs(&map, least, PROBES, STEPS, s->options.seed, (double)d, logs, off_traces,
                             &distance));
    // P has the diagonal of F + λI: the trace of W is known, and most of the error goes with that of it.
    *out = s->preconditioner.log_det + fim_controlled_mean(logs, off_traces, PROBES, &deviation);
    *error = deviation + distance;
out:
    gsl_matrix_free(self.x);
    gsl_matrix_free(self.y);
    return status;
}

fim_status fim_solver_log_det(const fim_solver *solver, double *out, double *error) {
    if (solver->damping == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a solver needs a damping before its determinant");
    if (solver->way->log_det == NULL)
        return estimate_log_det(solver, out, error);
    *out = solver->way->log_det(solver);
    *error = 0;
    return FIM_OK;
}
