// Preconditioned conjugate gradients. The residual of the recurrence drifts away from that of x; it is
// recomputed when it claims to be small enough, and the iteration starts anew from x when it is not.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <string.h>

#include "fim/linalg.h"

typedef struct cg {
    const fim_map *map, *preconditioner;
    size_t n, products, most;
    double *r, *z, *p, *q; // residual, preconditioned one, direction, M p
} cg;

static double dot(const cg *c, const double *x, const double *y) {
    return cblas_ddot((int)c->n, x, 1, y, 1);
}

static fim_status multiply(cg *c, const double *x, double *y) {
    c->products++;
    return c->map->apply(c->map->context, false, x, y);
}

// r = b − M x; its norm.
static fim_status true_residual(cg *c, const double *b, const double *x, double *norm) {
    fim_status status = multiply(c, x, c->q);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < c->n; i++)
        c->r[i] = b[i] - c->q[i];
    *norm = cblas_dnrm2((int)c->n, c->r, 1);
    return FIM_OK;
}

static fim_status precondition(const cg *c) {
    if (c->preconditioner != NULL)
        return c->preconditioner->apply(c->preconditioner->context, false, c->r, c->z);
    memcpy(c->z, c->r, c->n * sizeof *c->z);
    return FIM_OK;
}

// From the residual in r until the recurrence's is at most `goal` or the products are used up.
static fim_status iterate(cg *c, double goal, double *x) {
    double rho = 0, before, norm = INFINITY;
    fim_status status = FIM_OK;
    for (size_t k = 0; norm > goal && c->products + 1 < c->most; k++) { // one is left for the residual
        FIM_TRY(precondition(c));
        before = rho;
        rho = dot(c, c->r, c->z);
        const double along = k > 0 ? rho / before : 0;
        for (size_t i = 0; i < c->n; i++)
            c->p[i] = c->z[i] + (k > 0 ? along * c->p[i] : 0);
        FIM_TRY(multiply(c, c->p, c->q));
        const double curvature = dot(c, c->p, c->q);
        if (!(rho > 0 && curvature > 0))
            return isnan(rho) || isnan(curvature)
                       ? FIM_FAIL(FIM_ERR_NUMERIC, "conjugate gradients met a product that is not finite")
                       : FIM_FAIL(FIM_NOT_POSITIVE,
                                  "conjugate gradients met a direction of curvature %g: the "
                                  "matrix%s is not positive definite",
                                  curvature, rho > 0 ? "" : " of the preconditioner");
        cblas_daxpy((int)c->n, rho / curvature, c->p, 1, x, 1);
        cblas_daxpy((int)c->n, -rho / curvature, c->q, 1, c->r, 1);
        norm = cblas_dnrm2((int)c->n, c->r, 1);
    }
out:
    return status;
}

fim_status fim_cg(const fim_map *map, const double *b, const fim_cg_options *options, double *x,
                  fim_cg_info *info) {
    const double tolerance = options->tolerance > 0 ? options->tolerance : 1e-10;
    cg c = {.map = map,
            .preconditioner = options->preconditioner,
            .n = map->rows,
            .most = options->max_products > 0 ? options->max_products : 2000};
    gsl_matrix *work = NULL;
    double norm = 0;
    if (map->rows != map->columns)
        return FIM_FAIL(FIM_ERR_SHAPE, "conjugate gradients with a map of (%zu, %zu)", map->rows,
                        map->columns);
    const double scale = cblas_dnrm2((int)c.n, b, 1), goal = tolerance * scale;
    fim_status status = FIM_OK, outcome = FIM_OK;
    if (scale == 0) {
        memset(x, 0, c.n * sizeof *x);
        *info = (fim_cg_info){.converged = true};
        return FIM_OK;
    }
    FIM_TRY(fim_matrix_new(4, c.n, "conjugate gradients", &work));
    c.r = work->data;
    c.z = c.r + work->tda;
    c.p = c.z + work->tda;
    c.q = c.p + work->tda;
    FIM_TRY(true_residual(&c, b, x, &norm));
    while (norm > goal && c.products + 1 < c.most && outcome == FIM_OK) {
        const double start = norm;
        outcome = iterate(&c, goal, x);
        if (outcome != FIM_OK && outcome != FIM_NOT_POSITIVE) {
            status = outcome;
            goto out;
        }
        FIM_TRY(true_residual(&c, b, x, &norm));
        if (norm > start / 2) // rounding allows no more
            break;
    }
    *info = (fim_cg_info){.products = c.products, .residual = norm / scale, .converged = norm <= goal};
    status = outcome;
    if (status == FIM_OK && !info->converged)
        status =
            FIM_FAIL(FIM_NOT_CONVERGED,
                     "conjugate gradients reached the relative residual %.1e in %zu products, %.1e was asked",
                     info->residual, info->products, tolerance);
out:
    gsl_matrix_free(work);
    return status;
}
