// Passes through a network on a batch: forward, and backward to the gradient.
//
// Everything is one matrix product a layer over all rows of the batch, then an elementwise factor φ'(s). The
// constant 1 behind a layer's inputs is written once, when the trace is made. The products run on the BLAS's
// own threads, the elementwise loops on OpenMP; neither is inside the other.
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "internal.h"

fim_status REAL(fim_trace_init)(REAL(fim_trace) * trace, const REAL(fim_net) * net, size_t capacity) {
    fim_status status = FIM_OK;
    size_t n_layers = net->n_layers;
    REAL(fim_trace) t = {.capacity = capacity, .n_layers = n_layers};
    FIM_TRY(fim_alloc(n_layers, sizeof *t.a, "trace", &t.a));
    FIM_TRY(fim_alloc(n_layers, sizeof *t.s, "trace", &t.s));
    FIM_TRY(fim_alloc(n_layers, sizeof *t.work, "trace", &t.work));
    FIM_TRY(fim_alloc(capacity, sizeof *t.loss, "losses", &t.loss));
    for (size_t l = 0; l < n_layers; l++) {
        const REAL(fim_layer) *layer = &net->layers[l];
        FIM_TRY(REAL(fim_matrix_new)(capacity, REAL(fim_layer_d_a)(layer), "layer inputs", &t.a[l]));
        FIM_TRY(REAL(fim_matrix_new)(capacity, REAL(fim_layer_d_g)(layer), "pre-activations", &t.s[l]));
        FIM_TRY(REAL(fim_matrix_new)(capacity, REAL(fim_layer_d_g)(layer), "backward signals", &t.work[l]));
        for (size_t r = 0; layer->bias && r < capacity; r++)
            REAL_GSL(set)(t.a[l], r, REAL(fim_layer_inputs)(layer), 1);
    }
    *trace = t;
    return FIM_OK;
out:
    REAL(fim_trace_clear)(&t);
    return status;
}

void REAL(fim_trace_clear)(REAL(fim_trace) * trace) {
    REAL_MATRIX **const lists[] = {trace->a, trace->s, trace->work};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        for (size_t l = 0; lists[k] != NULL && l < trace->n_layers; l++)
            REAL_GSL(free)(lists[k][l]);
        free(lists[k]);
    }
    free(trace->loss);
    *trace = (REAL(fim_trace)){0};
}

fim_status REAL(fim_net_forward)(const REAL(fim_net) * net, const REAL_MATRIX *x, REAL(fim_trace) * trace) {
    size_t n = x->size1;
    const size_t inputs = REAL(fim_layer_inputs)(&net->layers[0]);
    if (x->size2 != inputs)
        return FIM_FAIL(FIM_ERR_SHAPE, "inputs are (%zu, %zu), expected (*, %zu) for layer 0", n, x->size2,
                        inputs);
    if (n > trace->capacity)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a batch of %zu rows in a trace of %zu", n, trace->capacity);
    trace->n = n;
    if (n == 0)
        return FIM_OK;
    for (size_t r = 0; r < n; r++)
        memcpy(trace->a[0]->data + r * trace->a[0]->tda, x->data + r * x->tda, x->size2 * sizeof(real));
    for (size_t l = 0; l < net->n_layers; l++) {
        const REAL(fim_layer) *layer = &net->layers[l];
        REAL_MATRIX a = REAL(head)(trace->a[l], n, REAL(fim_layer_d_a)(layer));
        REAL_MATRIX s = REAL(head)(trace->s[l], n, REAL(fim_layer_d_g)(layer));
        REAL_GEMM(CblasNoTrans, CblasTrans, 1, &a, layer->w, 0, &s);
        if (l + 1 < net->n_layers)
            REAL(activation_map)(layer->activation, &s, trace->a[l + 1]);
    }
    return FIM_OK;
}

fim_status REAL(fim_net_gradient)(const REAL(fim_net) * net, REAL(fim_trace) * trace,
                                  const REAL(fim_data) * data, size_t first, REAL_MATRIX *const *grads,
                                  double *mean_loss) {
    size_t n = trace->n, last = net->n_layers - 1;
    if (n == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "the gradient of an empty batch");
    if (first > data->x->size1 || n > data->x->size1 - first)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "rows %zu to %zu of a data set of %zu", first, first + n,
                        data->x->size1);
    REAL_MATRIX z = REAL(head)(trace->s[last], n, net->layers[last].w->size1);
    REAL_MATRIX g = REAL(head)(trace->work[last], n, z.size2);
    REAL(fim_likelihood_loss)(net->likelihood, &z, data, first, trace->loss);
    if (grads != NULL)
        REAL(fim_likelihood_gradient)(net->likelihood, &z, data, first, &g);
    for (size_t l = last; grads != NULL; l--) {
        REAL_MATRIX a = REAL(head)(trace->a[l], n, REAL(fim_layer_d_a)(&net->layers[l]));
        REAL_GEMM(CblasTrans, CblasNoTrans, 1 / (real)n, &g, &a, 0, grads[l]);
        if (l == 0)
            break;
        REAL_MATRIX w = REAL(weight)(&net->layers[l]);
        REAL_MATRIX s = REAL(head)(trace->s[l - 1], n, w.size2);
        REAL_MATRIX below = REAL(head)(trace->work[l - 1], n, w.size2);
        REAL_GEMM(CblasNoTrans, CblasNoTrans, 1, &g, &w, 0, &below);
        REAL(activation_scale)(net->layers[l - 1].activation, &s, 1, &below);
        g = below;
    }
    double sum = 0;
    for (size_t r = 0; r < n; r++)
        sum += trace->loss[r];
    *mean_loss = sum / (double)n;
    return FIM_OK;
}
