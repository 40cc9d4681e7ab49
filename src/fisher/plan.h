// The plan of a capture: for every layer that is needed, from which layer above its output factor comes, and
// how.
#ifndef FIM_SRC_FISHER_PLAN_H
#define FIM_SRC_FISHER_PLAN_H

#include "fim/fisher.h"

typedef struct capture_step {
    bool needed;    // requested, or a waypoint of a requested layer
    bool waypoint;  // some layer below starts from the rows of this one
    size_t from;    // the waypoint above (the logits for the last layer itself)
    bool forward;   // d_g tangents forward to `from` instead of its columns backward
    size_t columns; // of the factor that arrives here
    size_t kept;    // columns after compression: min(columns, d_g)
    double flops;   // per sample, the way from the logits
} capture_step;

// steps (net->n_layers) for the requested layers; `columns` of the factor at the logits, `structured` for the
// exact one, whose product with tangents costs no matrix product.
fim_status plan_capture(const fim_net *net, const size_t *layers, size_t n_layers, size_t columns,
                        bool structured, capture_step *steps);

#endif
