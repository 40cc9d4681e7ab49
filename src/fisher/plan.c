// How the output factor B_n, with G_n = B_n B_nᵀ at the logits, reaches a layer l. With J = ∂s_m/∂s_l there
// are two ways from a layer m above whose factor has r columns:
//   backward   r columns through the layers between:       2 r Σ d_k d_{k-1} flops
//   forward    d_g tangents through them, then Bᵀ J:       2 d_g Σ d_k d_{k-1} + 2 d_g d_m r
// where the first layer above l costs the tangents no product (their start is the identity), but the writing
// of d_g rows of that layer's width, at the price of TANGENT_FLOPS a number, and Bᵀ J costs nothing at the
// logits. A factor with more columns than rows is compressed to a square one by its triangular factor (2 r
// d_g²), so that a narrow layer (the code of an auto-encoder) hands only its width down: this is the
// recursion of covariances G_l = Jᵀ G_m J in factored form, never dearer than on the covariances themselves.
// The cheapest chain of such hops is found from the top down; the hops that are used become waypoints,
// computed once for all layers below.
#include <float.h>
#include <stdlib.h>

#include "plan.h"

// Flops of a matrix product in the time of making one number of a tangent.
enum { TANGENT_FLOPS = 8 };

// The flops per sample of the hop from m down to l, and whether it goes forward; span[k] = Σ_{1 <= j <= k}
// d_j d_{j-1}.
static double hop(const size_t *width, const double *span, size_t l, size_t m, size_t columns,
                  bool structured, bool *forward) {
    const double d_g = (double)width[l], r = (double)columns;
    const double product = structured ? 3 * d_g * r : 2 * d_g * (double)width[m] * r;
    const double back = 2 * r * (span[m] - span[l]), start = TANGENT_FLOPS * d_g * (double)width[l + 1];
    const double front = start + 2 * d_g * (span[m] - span[l + 1]) + product;
    *forward = front < back;
    return (front < back ? front : back) + (r > d_g ? 2 * r * d_g * d_g : 0);
}

fim_status plan_capture(const fim_net *net, const size_t *layers, size_t n_layers, size_t columns,
                        bool structured, capture_step *steps) {
    const size_t top = net->n_layers - 1;
    size_t *width = NULL;
    double *span = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(net->n_layers, sizeof *width, "the widths of a network", &width));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *span, "the flops of a network", &span));
    for (size_t l = 0; l <= top; l++) {
        width[l] = fim_layer_d_g(&net->layers[l]);
        span[l] = l > 0 ? span[l - 1] + (double)width[l] * (double)width[l - 1] : 0;
    }
    // The logits hold the factor as it is; it is compressed on the way down, if at all.
    steps[top] = (capture_step){.from = top, .columns = columns, .kept = columns};
    for (size_t l = top; l-- > 0;) {
        steps[l] = (capture_step){.flops = DBL_MAX};
        for (size_t m = top; m > l; m--) {
            bool forward;
            const double flops =
                steps[m].flops + hop(width, span, l, m, steps[m].kept, structured && m == top, &forward);
            if (flops < steps[l].flops)
                steps[l] =
                    (capture_step){.from = m, .forward = forward, .columns = steps[m].kept, .flops = flops};
        }
        steps[l].kept = steps[l].columns < width[l] ? steps[l].columns : width[l];
    }
    for (size_t i = 0; i < n_layers; i++)
        for (size_t l = layers[i]; !steps[l].needed; l = steps[l].from) {
            steps[l].needed = true;
            if (l < top && !(steps[l].forward && structured && steps[l].from == top))
                steps[steps[l].from].waypoint = true;
        }
out:
    free(width);
    free(span);
    return status;
}
