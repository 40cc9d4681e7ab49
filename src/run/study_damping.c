// The steps of every approximation along a sweep of dampings, and the gradients that they precondition.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "study.h"

void study_gradients_clear(gsl_matrix **gradients, size_t n_layers) {
    for (size_t l = 0; gradients != NULL && l < n_layers; l++)
        gsl_matrix_free(gradients[l]);
    free(gradients);
}

fim_status study_gradients(const fim_net *net, const fim_data *data, gsl_matrix ***out) {
    fim_trace trace = {0};
    gsl_matrix **grads = NULL, **turned = NULL;
    double loss;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(net->n_layers, sizeof *grads, "gradients", &grads));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *turned, "gradients", &turned));
    for (size_t l = 0; l < net->n_layers; l++) {
        const gsl_matrix *w = net->layers[l].w;
        FIM_TRY(fim_matrix_new(w->size1, w->size2, "a gradient", &grads[l]));
        FIM_TRY(fim_matrix_new(w->size2, w->size1, "a gradient", &turned[l]));
    }
    FIM_TRY(fim_trace_init(&trace, net, data->x->size1));
    FIM_TRY(fim_net_forward(net, data->x, &trace));
    FIM_TRY(fim_net_gradient(net, &trace, data, 0, grads, &loss));
    for (size_t l = 0; l < net->n_layers; l++)
        gsl_matrix_transpose_memcpy(turned[l], grads[l]);
    *out = turned;
    turned = NULL;
out:
    fim_trace_clear(&trace);
    study_gradients_clear(grads, net->n_layers);
    study_gradients_clear(turned, net->n_layers);
    return status;
}

fim_status study_steps_begin(const fim_study_options *options, const fim_fisher *f,
                             const gsl_matrix *gradient, double trace, fim_record *record, fim_steps **out) {
    const double mean = trace / ((double)fim_fisher_d_a(f) * (double)fim_fisher_d_g(f));
    gsl_vector *damping = NULL, *errors = NULL;
    char note[200];
    fim_status status = FIM_OK;
    if (options->n_damping == 0)
        return FIM_OK;
    if (options->damping_relative && !(mean > 0))
        return fim_record_set(record, "step_damping", NAN, "the block is zero");
    FIM_TRY(fim_vector_new(options->n_damping, "dampings", &damping));
    for (size_t i = 0; i < options->n_damping; i++)
        gsl_vector_set(damping, i, options->damping[i] * (options->damping_relative ? mean : 1));
    const fim_steps_options steps = {.damping = damping->data,
                                     .count = options->n_damping,
                                     .budget = options->budget,
                                     .seed = options->seed};
    status = fim_steps_new(f, gradient, &steps, out);
    if (status != FIM_OK) {
        status = study_set_or_why(record, "step_damping", status, 0, "");
        goto out;
    }
    snprintf(note, sizeof note,
             "in the unit of F, whose mean eigenvalue tr F / D is %.4g; exact steps: %.120s", mean,
             fim_steps_route(*out)[0] != '\0' ? fim_steps_route(*out) : "none");
    gsl_vector *given = damping;
    damping = NULL; // taken over in any case
    FIM_TRY(fim_record_set_curve(record, "step_damping", given, note));
    FIM_TRY(fim_vector_new(options->n_damping, "errors of determinants", &errors));
    bool estimated = false;
    for (size_t i = 0; i < options->n_damping; i++) {
        gsl_vector_set(errors, i, fim_steps_divergence_error(*out, i));
        estimated = estimated || gsl_vector_get(errors, i) > 0;
    }
    if (estimated) {
        given = errors;
        errors = NULL;
        FIM_TRY(
            fim_record_set_curve(record, "stein_divergence_error", given,
                                 "of every stein_divergence by the same amount: ln det (F + λI) is estimated "
                                 "by stochastic Lanczos quadrature, 10 probes of 25 steps"));
    }
out:
    gsl_vector_free(errors);
    gsl_vector_free(damping);
    return status;
}

fim_status study_steps_measure(const fim_study_options *options, const fim_steps *steps, const fim_op *op,
                               fim_record *record) {
    gsl_matrix *values = NULL;
    gsl_vector *curve = NULL, *own_error = NULL;
    char notes[FIM_STEP_COUNT][200];
    fim_status status = FIM_OK;
    if (steps == NULL)
        return FIM_OK;
    FIM_TRY(fim_matrix_new(FIM_STEP_COUNT, options->n_damping, "step metrics", &values));
    FIM_TRY(fim_vector_new(options->n_damping, "errors of divergences", &own_error));
    status = fim_steps_measure(steps, op, values, own_error, notes);
    for (fim_step_metric m = 0; m < FIM_STEP_COUNT; m++) {
        gsl_vector_const_view row = gsl_matrix_const_row(values, m);
        bool any = false;
        for (size_t i = 0; i < row.vector.size; i++)
            any = any || isfinite(gsl_vector_get(&row.vector, i));
        if (status != FIM_OK) {
            FIM_TRY(study_set_or_why(record, fim_step_name(m), status, 0, ""));
        } else if (!any) {
            FIM_TRY(fim_record_set(record, fim_step_name(m), NAN, notes[m]));
        } else {
            FIM_TRY(fim_vector_new(row.vector.size, "a step metric", &curve));
            gsl_vector_memcpy(curve, &row.vector);
            gsl_vector *given = curve;
            curve = NULL; // taken over in any case
            FIM_TRY(fim_record_set_curve(record, fim_step_name(m), given, notes[m]));
        }
    }
    if (status == FIM_OK && gsl_vector_max(own_error) > 0) {
        gsl_vector *given = own_error;
        own_error = NULL;
        FIM_TRY(fim_record_set_curve(record, "stein_divergence_own_error", given,
                                     "beside the layer's stein_divergence_error: probes, and the distance of "
                                     "the quadratures"));
    }
    status = FIM_OK;
out:
    gsl_vector_free(own_error);
    gsl_matrix_free(values);
    gsl_vector_free(curve);
    return status;
}
