// The step (F̂ + λI)⁻¹ ∇ of an operator along a sweep of dampings.
#ifndef FIM_SRC_METRIC_STEPS_H
#define FIM_SRC_METRIC_STEPS_H

#include "metric.h"

// F̂ + λI in coordinates where it is diagonal for every λ, or where at least its first term is.
typedef struct step_model {
    double base;            // the λ that `curvature` contains
    fim_inverse basis;      // the coordinates: k_a and k_g
    gsl_matrix *vectors;    // (D, D) instead: the eigenvectors of a sum as columns
    gsl_matrix *curvature;  // (d_a, d_g) the diagonal of F̂ + base·I in those coordinates
    gsl_matrix *seen;       // (d_a, d_g) ∇ in them; NULL without a gradient
    gsl_matrix *f_diagonal; // (d_a, d_g) the diagonal of F in them
    fim_op *turned; // F̂ in them where it is no diagonal: `curvature`, negative entries of F̂ taken for zero,
                    // then preconditions; or NULL
    double smallest; // with `turned`: what the smallest eigenvalue of F̂ surely does not exceed
    char route[100];
} step_model;

fim_status step_model_init(const fim_fisher *f, const fim_op *op, const gsl_matrix *gradient,
                           const fim_steps_options *options, step_model *out);
void step_model_clear(step_model *model);
// y = (F̂ + λI)⁻¹ ∇. FIM_NOT_POSITIVE, FIM_NOT_CONVERGED.
fim_status step_model_solve(const step_model *model, double damping, gsl_matrix *y);
// tr M − ln det M − D with ln det(F + λI) given, and by how much it is off where it is an estimate, else 0.
fim_status step_model_divergence(const step_model *model, const fim_fisher *f, double damping, double log_det,
                                 uint64_t seed, double *out, double *error);

// Of an op with structure: its coordinates, its curvature and F's diagonal.
fim_status step_model_structure(const fim_fisher *f, const fim_op *op, step_model *model);
// y = x in the model's coordinates, or from them for `back`; x and y are contiguous and different.
fim_status step_model_turn(const step_model *model, bool back, const gsl_matrix *x, gsl_matrix *y);

// ---- By products alone (step_products.c) ----

#define STEP_TOLERANCE 1e-10 // of steps, relatively

fim_status step_products_init(const fim_fisher *f, const fim_op *op, const fim_steps_options *options,
                              step_model *model);
// y = (F̂ + λI)⁻¹ x in the model's coordinates, from y.
fim_status step_products_solve(const step_model *model, double damping, double tolerance, const gsl_matrix *x,
                               gsl_matrix *y);
// What the divergence is more than that of the diagonal, `diagonal`, and the standard error of that.
fim_status step_products_divergence(const step_model *model, const fim_fisher *f, double damping,
                                    double diagonal, uint64_t seed, double *out, double *error);

#endif
