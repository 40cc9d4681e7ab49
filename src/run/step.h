// The elementwise work of a step (step.c), in both precisions.
#ifndef FIM_RUN_STEP_H
#define FIM_RUN_STEP_H

#include "engine.h"
#include "fim/real.h"

// One layer's step of n entries: direction length·d, states s[0], s[1], weights w; t counts from 1.
void REAL(step_update)(const step_rule *rule, double rate, double length, size_t t, size_t n, const real *d,
                       real *const *s, real *w);
// Σ x_i y_i in float64.
double REAL(step_dot)(size_t n, const real *x, const real *y);

#endif
