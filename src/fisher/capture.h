// A capture at work: what the files of the way down share (capture.c, hops.c).
#ifndef FIM_SRC_FISHER_CAPTURE_H
#define FIM_SRC_FISHER_CAPTURE_H

#include "plan.h"

typedef struct capture {
    const fim_net *net;
    const fim_data *data;
    const fim_fisher_spec *spec;
    capture_step *steps; // per layer
    // Per layer, NULL where not needed: the chunk's rows (n·columns, d_g).
    gsl_matrix **factor;
    fim_trace trace;
    size_t origin; // number of the first row, which its draws depend on
    size_t chunk;
    // Of the latest hop forward: per sample, the outputs that have a slope, d_g places each, and a tangent
    // for each, `most` rows a sample.
    size_t *live, *n_live;
    size_t most;                  // the largest n_live
    gsl_matrix *start, *tangents; // room for those of any layer
    const double *arrived;        // the one of them that holds those at the waypoint, (n·most, d_g there)
} capture;

static inline size_t capture_top(const capture *c) {
    return c->net->n_layers - 1;
}

static inline bool capture_exact(const capture *c) {
    return c->spec->kind == FIM_FISHER_EXACT;
}

// True when layer l comes from the exact logits in one hop forward.
static inline bool capture_straight(const capture *c, size_t l) {
    return capture_exact(c) && l < capture_top(c) && c->steps[l].forward &&
           c->steps[l].from == capture_top(c);
}

// True when the logits' G_n is diagonal, and is kept so.
static inline bool capture_diagonal(const capture *c) {
    return capture_exact(c) && fim_likelihood_independent(c->net->likelihood);
}

// ---- The way down, for n samples of the chunk, which begins at row `first` of the data (hops.c) ----

// The rows at the logits, where some layer starts from them.
fim_status capture_logits(capture *c, size_t first, size_t n);
// The rows of layer l from its waypoint. `compact`: every sample's factor J B, from the exact logits, stays
// in c->arrived, with a row for each live output.
fim_status capture_arrive(capture *c, size_t l, size_t n, bool compact);
// A waypoint with more columns than rows goes on with its triangular factor, which has the same G_n.
fim_status capture_compress(capture *c, size_t l, size_t n);

// fim_fisher_capture of rows that have the numbers origin, origin + 1, ... in a larger set of data.
fim_status capture_rows(const fim_net *net, const fim_data *data, size_t origin, const fim_fisher_spec *spec,
                        const size_t *layers, size_t n_layers, size_t budget, const fim_monitor *monitor,
                        fim_samples *out);

#endif
