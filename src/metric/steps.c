// The steps of an approximation against the exact ones: what it is worth as a preconditioner.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"

struct fim_steps {
    const fim_fisher *f;
    fim_steps_options options;
    double *damping, *log_det, *log_det_error; // (count); NAN where it is not known
    gsl_matrix *gradient;                      // or NULL
    gsl_matrix **exact;                        // (count) y*; NULL where it was not found
    char route[120], why[200];                 // of y*; of what is missing of it
    char why_det[200];
};

const char *fim_step_name(fim_step_metric metric) {
    static const char *const names[] = {
#define FIM_STEP_NAME(id, name, about) name,
        FIM_STEP_LIST(FIM_STEP_NAME)
#undef FIM_STEP_NAME
    };
    return names[metric];
}

// True for the failures that leave numbers out, and not the whole.
static bool is_answer(fim_status status) {
    return status == FIM_ERR_BUDGET || status == FIM_ERR_UNAVAILABLE || status == FIM_NOT_CONVERGED ||
           status == FIM_NOT_POSITIVE;
}

static fim_status check_options(const fim_fisher *f, const gsl_matrix *gradient, const fim_steps_options *o) {
    for (size_t i = 0; i < o->count; i++)
        if (!(o->damping[i] > (i > 0 ? o->damping[i - 1] : 0) && isfinite(o->damping[i])))
            return FIM_FAIL(FIM_ERR_ARGUMENT, "dampings are positive and increase: number %zu is %g", i,
                            o->damping[i]);
    if (gradient != NULL && (gradient->size1 != fim_fisher_d_a(f) || gradient->size2 != fim_fisher_d_g(f)))
        return FIM_FAIL(FIM_ERR_SHAPE, "a gradient of (%zu, %zu) for a block on (%zu, %zu)", gradient->size1,
                        gradient->size2, fim_fisher_d_a(f), fim_fisher_d_g(f));
    return FIM_OK;
}

// y* and ln det at every damping, from the largest down: a solution is a first guess for the next.
static fim_status solve_exactly(fim_steps *s) {
    const fim_solver_options options = {
        .budget = s->options.budget / 2, .matrix_free = s->options.matrix_free, .seed = s->options.seed};
    const size_t d_a = fim_fisher_d_a(s->f), d_g = fim_fisher_d_g(s->f);
    fim_solver *solver = NULL;
    gsl_matrix *y = NULL;
    fim_solve_info info = {0};
    double residual = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_solver_new(s->f, &options, &solver));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a step", &y));
    for (size_t i = s->options.count; i-- > 0;) {
        status = fim_solver_damp(solver, s->damping[i]);
        if (status == FIM_OK) {
            status = fim_solver_log_det(solver, &s->log_det[i], &s->log_det_error[i]);
            if (is_answer(status)) {
                snprintf(s->why_det, sizeof s->why_det, "%.199s", fim_message());
                status = FIM_OK;
            }
            if (status == FIM_OK && s->gradient != NULL)
                status = fim_solver_solve(solver, s->gradient, true, y, &info);
            if (status == FIM_OK && s->gradient != NULL) {
                residual = fmax(residual, info.residual);
                status = fim_matrix_copy(y, "an exact step", &s->exact[i]);
            }
        }
        if (is_answer(status)) {
            snprintf(s->why, sizeof s->why, "the exact step: %.180s", fim_message());
            status = FIM_OK;
        }
        FIM_TRY(status);
    }
    snprintf(s->route, sizeof s->route, "%s, residual %.0e", info.route, residual);
out:
    gsl_matrix_free(y);
    fim_solver_free(solver);
    return status;
}

fim_status fim_steps_new(const fim_fisher *f, const gsl_matrix *gradient, const fim_steps_options *options,
                         fim_steps **out) {
    fim_steps *s = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(check_options(f, gradient, options));
    const size_t vectors = fim_size_mul(fim_size_mul(fim_fisher_d_a(f), fim_fisher_d_g(f)), sizeof(double));
    FIM_TRY(fim_budget_check(options->budget, fim_size_mul(vectors, 2 * options->count + 8),
                             "the steps of a sweep of dampings", "raise --memory, or take fewer dampings"));
    FIM_TRY(fim_alloc(1, sizeof *s, "steps", &s));
    *s = (fim_steps){.f = f, .options = *options};
    FIM_TRY(fim_alloc(options->count, sizeof *s->damping, "dampings", &s->damping));
    FIM_TRY(fim_alloc(options->count, sizeof *s->log_det, "determinants", &s->log_det));
    FIM_TRY(fim_alloc(options->count, sizeof *s->log_det_error, "determinants", &s->log_det_error));
    FIM_TRY(fim_alloc(options->count, sizeof *s->exact, "exact steps", &s->exact));
    memcpy(s->damping, options->damping, options->count * sizeof *s->damping);
    s->options.damping = s->damping;
    for (size_t i = 0; i < options->count; i++)
        s->log_det[i] = s->log_det_error[i] = NAN;
    if (gradient == NULL) {
        snprintf(s->why, sizeof s->why,
                 "the gradient needs the network and the labels or targets of the data");
    } else {
        FIM_TRY(fim_matrix_copy(gradient, "a gradient", &s->gradient));
        if (gsl_matrix_isnull(gradient)) {
            gsl_matrix_free(s->gradient);
            s->gradient = NULL;
            snprintf(s->why, sizeof s->why, "the gradient of the layer is zero");
        }
    }
    FIM_TRY(solve_exactly(s));
    *out = s;
    s = NULL;
out:
    fim_steps_free(s);
    return status;
}

void fim_steps_free(fim_steps *steps) {
    if (steps == NULL)
        return;
    for (size_t i = 0; steps->exact != NULL && i < steps->options.count; i++)
        gsl_matrix_free(steps->exact[i]);
    free(steps->exact);
    free(steps->damping);
    free(steps->log_det);
    free(steps->log_det_error);
    gsl_matrix_free(steps->gradient);
    free(steps);
}

const char *fim_steps_route(const fim_steps *steps) {
    return steps->gradient != NULL ? steps->route : "";
}

double fim_steps_divergence_error(const fim_steps *steps, size_t i) {
    return steps->log_det_error[i];
}

// The four numbers of y at damping i; fy is scratch.
static fim_status compare(const fim_steps *s, size_t i, const gsl_matrix *y, gsl_matrix *fy,
                          gsl_matrix *values) {
    const gsl_matrix *exact = s->exact[i];
    fim_status status = fim_fisher_apply(s->f, y, fy);
    if (status != FIM_OK)
        return status;
    const double along = fim_matrix_inner(s->gradient, y), best = fim_matrix_inner(s->gradient, exact);
    const double length = sqrt(fim_matrix_inner(y, y)), exact_length = sqrt(fim_matrix_inner(exact, exact));
    const double curvature = fim_matrix_inner(y, fy) + s->damping[i] * length * length;
    gsl_matrix_set(values, FIM_STEP_COSINE, i, fim_matrix_inner(y, exact) / (length * exact_length));
    gsl_matrix_set(values, FIM_STEP_LENGTH, i, length / exact_length);
    gsl_matrix_set(values, FIM_STEP_DECREASE, i, (2 * along - curvature) / best);
    gsl_matrix_set(values, FIM_STEP_SCALED, i, along * along / (curvature * best));
    return FIM_OK;
}

// "<how>", or "<how>; <why some are missing>".
static void tell(char note[200], const char *how, const char *why) {
    snprintf(note, 200, "%.100s%s%.97s", how, why[0] != '\0' && how[0] != '\0' ? "; " : "", why);
}

fim_status fim_steps_measure(const fim_steps *s, const fim_op *op, gsl_matrix *values, gsl_vector *own_error,
                             char notes[FIM_STEP_COUNT][200]) {
    step_model model = {0};
    gsl_matrix *y = NULL, *fy = NULL, *found = NULL;
    char why[200] = "", why_det[200] = "";
    fim_status status = FIM_OK;
    if (values->size1 != FIM_STEP_COUNT || values->size2 != s->options.count ||
        own_error->size != s->options.count)
        return FIM_FAIL(FIM_ERR_SHAPE, "(%zu, %zu) numbers and %zu errors for %zu dampings", values->size1,
                        values->size2, own_error->size, s->options.count);
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(s->f), fim_fisher_d_g(s->f), "a step", &y));
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(s->f), fim_fisher_d_g(s->f), "a product", &fy));
    FIM_TRY(fim_matrix_new(values->size1, values->size2, "step metrics", &found));
    gsl_matrix_set_all(found, NAN);
    gsl_vector_set_zero(own_error);
    snprintf(why, sizeof why, "%s", s->why);
    snprintf(why_det, sizeof why_det, "%s", s->why_det);
    FIM_TRY(step_model_init(s->f, op, s->gradient, &s->options, &model));
    for (size_t i = s->options.count; i-- > 0;) { // the smallest damping has the last word on why
        if (s->exact[i] != NULL) {
            status = step_model_solve(&model, s->damping[i], y);
            if (status == FIM_OK)
                FIM_TRY(compare(s, i, y, fy, found));
            else if (is_answer(status))
                snprintf(why, sizeof why, "%s", fim_message());
            else
                goto out;
        }
        if (isfinite(s->log_det[i])) {
            double divergence, error;
            status = step_model_divergence(&model, s->f, s->damping[i], s->log_det[i], s->options.seed,
                                           &divergence, &error);
            if (status == FIM_OK) {
                gsl_matrix_set(found, FIM_STEP_STEIN, i, divergence);
                gsl_vector_set(own_error, i, error);
            } else if (is_answer(status)) {
                snprintf(why_det, sizeof why_det, "%s", fim_message());
            } else {
                goto out;
            }
        }
    }
    status = FIM_OK;
    gsl_matrix_memcpy(values, found);
    for (size_t m = 0; m < FIM_STEP_COUNT; m++)
        tell(notes[m], model.route, m == FIM_STEP_STEIN ? why_det : why);
out:
    step_model_clear(&model);
    gsl_matrix_free(y);
    gsl_matrix_free(fy);
    gsl_matrix_free(found);
    return status;
}
