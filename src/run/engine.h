// The part of training that has a precision: weights, a batch, its gradient, the step. engine.c and step.c
// are compiled for float64 and for float32 (fim/real.h); what they have in common is this class of functions,
// so that the loop around them exists once.
#ifndef FIM_RUN_ENGINE_H
#define FIM_RUN_ENGINE_H

#include "fim/io.h"
#include "fim/net.h"
#include "fim/op.h"

typedef struct engine engine;

// How a direction d becomes a step: v <- μ v + d + δ w, w <- w − η v (or − η (d + δ w + μ v) with nesterov);
// with adam instead m <- β₁ m + (1 − β₁) d, v <- β₂ v + (1 − β₂) d², w <- w − η (m̂ / (√v̂ + ε) + δ w).
typedef struct step_rule {
    bool adam, nesterov;
    double momentum, beta1, beta2, epsilon, weight_decay;
} step_rule;

// Solves with a preconditioner that is no fim_inverse: y = P x, parameter matrices (d_a, d_g).
typedef struct engine_solver {
    void *context;
    fim_status (*solve)(void *context, size_t layer, const gsl_matrix *x, gsl_matrix *y);
} engine_solver;

// What a direction was made of, over all layers: ‖∇‖², Σ |⟨∇, P∇⟩| and the factor that clipping gave.
typedef struct direction_report {
    double gradient2, product, clip;
} direction_report;

typedef struct engine_class {
    // Copies net. `capacity` rows a batch. A preconditioned engine keeps directions beside gradients.
    fim_status (*new)(const fim_net *net, const fim_data *data, size_t capacity, const step_rule *rule,
                      bool preconditioned, engine **out);
    void (*free)(engine *e);
    // Mean loss of the rows index[0..n) of data (rows first + 0..n with index NULL), and unless `loss_only`
    // the gradient of `scale` times it.
    fim_status (*gradient)(engine *e, const fim_data *data, const size_t *index, size_t first, size_t n,
                           bool loss_only, double *loss);
    // The direction from the gradient ∇ of `scale` times the loss: preconditioned, and scaled by
    // min(1, √(κ/Σ|⟨∇, P∇⟩|)); κ = 0: not scaled.
    fim_status (*direction)(engine *e, double scale, double kappa, direction_report *report);
    void (*step)(engine *e, double rate);
    // The preconditioner of a layer from now on; the identity before the first call. Copied.
    fim_status (*precondition)(engine *e, size_t layer, const fim_inverse *inverse);
    void (*solve_with)(engine *e, engine_solver solver);
    // Weights to a float64 network of the same shape.
    void (*store)(const engine *e, fim_net *net);
    // Everything a continuation needs but the solver: tables w_<l>, state_<k>_<l>, the parts of the
    // preconditioners, value steps.
    fim_status (*save)(engine *e, fim_record *out);
    fim_status (*load)(engine *e, const fim_record *in);
} engine_class;

extern const engine_class engine_double, engine_single;

#endif
