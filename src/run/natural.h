// The preconditioners of natural gradient descent (natural.c): per layer a running average of Fisher blocks,
// kept as the operator that an approximation builds from it, and the damped inverse of that.
#ifndef FIM_RUN_NATURAL_H
#define FIM_RUN_NATURAL_H

#include "engine.h"
#include "fim/run.h"

typedef struct natural natural;

// What a refresh did, over all layers.
typedef struct refresh_report {
    double seconds;
    size_t products;  // with R(F)
    double residual;  // the worst
    size_t failed;    // layers whose iteration did not converge
    size_t changed;   // directions that the rule for indefinite sums concerned
    size_t fell_back; // layers whose second term was dropped
} refresh_report;

// `scale` is what the loss is multiplied with in training: the Fisher is of the scaled loss.
fim_status natural_new(const fim_net *net, const fim_train_options *options, double scale, natural **out);
void natural_free(natural *n);
// Takes the samples of net at data into the averages. `iteration` seeds the labels drawn.
fim_status natural_average(natural *n, const fim_net *net, const fim_data *data, size_t iteration,
                           refresh_report *report);
// Inverts the averages and hands the inverses to the engine; of `exact`, the solver.
fim_status natural_precondition(natural *n, const engine_class *class, engine *e, refresh_report *report);
// The averages, for a continuation: children "0", "1", ... with moments and the operators' matrices.
fim_status natural_save(const natural *n, fim_record *out);
fim_status natural_load(natural *n, const fim_net *net, const fim_record *in);

#endif
