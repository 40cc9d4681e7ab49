// The step (F̂ + λI)⁻¹ ∇ of an operator along a sweep of dampings.
#ifndef FIM_SRC_METRIC_STEPS_H
#define FIM_SRC_METRIC_STEPS_H

#include "metric.h"

// F̂ + λI in coordinates where it is diagonal for every λ, or its products alone.
typedef struct step_model {
    const fim_op *op;
    double base;            // the λ that `curvature` contains
    fim_inverse basis;      // of one term and of a diagonal in a basis: k_a and k_g
    gsl_matrix *vectors;    // (D, D) eigenvectors as columns: of a sum, densely
    gsl_matrix *curvature;  // (d_a, d_g) eigenvalues of F̂ + base·I; NULL: products alone
    gsl_matrix *seen;       // (d_a, d_g) ∇ in those coordinates; NULL without a gradient
    gsl_matrix *f_diagonal; // (d_a, d_g) diagonal of F in those coordinates
    double smallest;        // eigenvalue of F̂; for products alone one that it surely does not exceed
    fim_op *nearby;         // for products alone: what preconditions
    char route[100];
} step_model;

fim_status step_model_init(const fim_fisher *f, const fim_op *op, const gsl_matrix *gradient,
                           const fim_steps_options *options, step_model *out);
void step_model_clear(step_model *model);
// y = (F̂ + λI)⁻¹ ∇. FIM_NOT_POSITIVE, FIM_NOT_CONVERGED.
fim_status step_model_solve(const step_model *model, const gsl_matrix *gradient, double damping,
                            gsl_matrix *y);
// tr M − ln det M − D with ln det(F + λI) given. FIM_ERR_UNAVAILABLE for products alone.
fim_status step_model_divergence(const step_model *model, double damping, double log_det, double *out);

#endif
