// Passes through a network on a batch: forward, backward (pull), forward tangents (push), and the gradient.
//
// Everything is one matrix product a layer over all rows of the batch, then an elementwise factor φ'(s). The
// constant 1 behind a layer's inputs is written once, when the trace is made. The products run on the BLAS's
// own threads, the elementwise loops on OpenMP; neither is inside the other.
#include <gsl/gsl_blas.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "internal.h"

fim_status fim_trace_init(fim_trace *trace, const fim_net *net, size_t capacity) {
    fim_status status = FIM_OK;
    size_t n_layers = net->n_layers;
    fim_trace t = {.capacity = capacity, .n_layers = n_layers};
    FIM_TRY(fim_alloc(n_layers, sizeof *t.a, "trace", &t.a));
    FIM_TRY(fim_alloc(n_layers, sizeof *t.s, "trace", &t.s));
    FIM_TRY(fim_alloc(n_layers, sizeof *t.work, "trace", &t.work));
    FIM_TRY(fim_alloc(capacity, sizeof *t.loss, "losses", &t.loss));
    for (size_t l = 0; l < n_layers; l++) {
        const fim_layer *layer = &net->layers[l];
        FIM_TRY(fim_matrix_new(capacity, fim_layer_d_a(layer), "layer inputs", &t.a[l]));
        FIM_TRY(fim_matrix_new(capacity, fim_layer_d_g(layer), "pre-activations", &t.s[l]));
        FIM_TRY(fim_matrix_new(capacity, fim_layer_d_g(layer), "backward signals", &t.work[l]));
        for (size_t r = 0; layer->bias && r < capacity; r++)
            gsl_matrix_set(t.a[l], r, fim_layer_inputs(layer), 1);
    }
    *trace = t;
    return FIM_OK;
out:
    fim_trace_clear(&t);
    return status;
}

void fim_trace_clear(fim_trace *trace) {
    gsl_matrix **const lists[] = {trace->a, trace->s, trace->work};
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        for (size_t l = 0; lists[k] != NULL && l < trace->n_layers; l++)
            gsl_matrix_free(lists[k][l]);
        free(lists[k]);
    }
    free(trace->loss);
    *trace = (fim_trace){0};
}

// The first rows and columns of m.
static gsl_matrix head(const gsl_matrix *m, size_t rows, size_t columns) {
    gsl_matrix view = *m;
    view.size1 = rows;
    view.size2 = columns;
    view.block = NULL;
    view.owner = 0;
    return view;
}

// The weight without the bias column.
static gsl_matrix weight(const fim_layer *layer) {
    return head(layer->w, layer->w->size1, fim_layer_inputs(layer));
}

fim_status fim_net_forward(const fim_net *net, const gsl_matrix *x, fim_trace *trace) {
    size_t n = x->size1;
    if (x->size2 != fim_net_inputs(net))
        return FIM_FAIL(FIM_ERR_SHAPE, "inputs are (%zu, %zu), expected (*, %zu) for layer 0", n, x->size2,
                        fim_net_inputs(net));
    if (n > trace->capacity)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a batch of %zu rows in a trace of %zu", n, trace->capacity);
    trace->n = n;
    if (n == 0)
        return FIM_OK;
    for (size_t r = 0; r < n; r++)
        memcpy(trace->a[0]->data + r * trace->a[0]->tda, x->data + r * x->tda, x->size2 * sizeof(double));
    for (size_t l = 0; l < net->n_layers; l++) {
        const fim_layer *layer = &net->layers[l];
        gsl_matrix a = head(trace->a[l], n, fim_layer_d_a(layer));
        gsl_matrix s = head(trace->s[l], n, fim_layer_d_g(layer));
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &a, layer->w, 0, &s);
        if (l + 1 < net->n_layers)
            activation_map(layer->activation, &s, trace->a[l + 1]);
    }
    return FIM_OK;
}

// What pull (down) and push (up) ask of their arguments.
static fim_status check_signals(const fim_net *net, const fim_trace *trace, size_t from, size_t to, bool down,
                                size_t columns, const gsl_matrix *in, const gsl_matrix *out) {
    if (from >= net->n_layers || to >= net->n_layers || (down ? to > from : from > to))
        return FIM_FAIL(FIM_ERR_ARGUMENT, "no way %s from layer %zu to layer %zu of %zu layers",
                        down ? "down" : "up", from, to, net->n_layers);
    size_t rows = fim_size_mul(trace->n, columns);
    size_t d_in = fim_layer_d_g(&net->layers[from]), d_out = fim_layer_d_g(&net->layers[to]);
    if (in->size1 != rows || in->size2 != d_in || out->size1 != rows || out->size2 != d_out)
        return FIM_FAIL(
            FIM_ERR_SHAPE,
            "signals are (%zu, %zu) and (%zu, %zu), expected (%zu, %zu) at layer %zu and (%zu, %zu) "
            "at layer %zu",
            in->size1, in->size2, out->size1, out->size2, rows, d_in, from, rows, d_out, to);
    return FIM_OK;
}

// Two buffers that hold rows × d_g of each layer in [begin, end), used in turn (one when there is one layer).
static fim_status scratch_init(const fim_net *net, size_t begin, size_t end, size_t rows,
                               gsl_matrix *buffers[2]) {
    fim_status status = FIM_OK;
    size_t widest = 0;
    for (size_t l = begin; l < end; l++)
        widest = fim_layer_d_g(&net->layers[l]) > widest ? fim_layer_d_g(&net->layers[l]) : widest;
    for (size_t k = 0; k < 2 && begin + k < end; k++)
        FIM_TRY(fim_matrix_new(rows, widest, "signals between layers", &buffers[k]));
out:
    return status;
}

fim_status fim_net_pull(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out) {
    fim_status status = FIM_OK;
    gsl_matrix *buffers[2] = {NULL, NULL};
    FIM_TRY(check_signals(net, trace, from, to, true, columns, in, out));
    if (in->size1 == 0)
        goto out;
    if (from == to) {
        gsl_matrix_memcpy(out, in);
        goto out;
    }
    FIM_TRY(scratch_init(net, to + 1, from, in->size1, buffers));
    gsl_matrix current = *in;
    for (size_t l = from; l > to; l--) {
        const fim_layer *below = &net->layers[l - 1];
        gsl_matrix w = weight(&net->layers[l]);
        gsl_matrix s = head(trace->s[l - 1], trace->n, fim_layer_d_g(below));
        gsl_matrix next = l - 1 == to ? *out : head(buffers[(from - l) % 2], in->size1, s.size2);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &current, &w, 0, &next);
        activation_scale(below->activation, &s, columns, &next);
        current = next;
    }
out:
    gsl_matrix_free(buffers[0]);
    gsl_matrix_free(buffers[1]);
    return status;
}

fim_status fim_net_push(const fim_net *net, const fim_trace *trace, size_t from, size_t to, size_t columns,
                        const gsl_matrix *in, gsl_matrix *out) {
    fim_status status = FIM_OK;
    gsl_matrix *buffers[2] = {NULL, NULL};
    FIM_TRY(check_signals(net, trace, from, to, false, columns, in, out));
    if (in->size1 == 0)
        goto out;
    if (from == to) {
        gsl_matrix_memcpy(out, in);
        goto out;
    }
    // The slopes are multiplied in place, so that `in` too needs a copy.
    FIM_TRY(scratch_init(net, from, to, in->size1, buffers));
    gsl_matrix current = head(buffers[0], in->size1, in->size2);
    gsl_matrix_memcpy(&current, in);
    for (size_t l = from; l < to; l++) {
        const fim_layer *layer = &net->layers[l], *above = layer + 1;
        gsl_matrix w = weight(above);
        gsl_matrix s = head(trace->s[l], trace->n, fim_layer_d_g(layer));
        gsl_matrix next =
            l + 1 == to ? *out : head(buffers[(l + 1 - from) % 2], in->size1, fim_layer_d_g(above));
        activation_scale(layer->activation, &s, columns, &current);
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &current, &w, 0, &next);
        current = next;
    }
out:
    gsl_matrix_free(buffers[0]);
    gsl_matrix_free(buffers[1]);
    return status;
}

fim_status fim_net_gradient(const fim_net *net, fim_trace *trace, const fim_data *data, size_t first,
                            gsl_matrix *const *grads, double *mean_loss) {
    size_t n = trace->n, last = net->n_layers - 1;
    if (n == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "the gradient of an empty batch");
    if (first > data->x->size1 || n > data->x->size1 - first)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "rows %zu to %zu of a data set of %zu", first, first + n,
                        data->x->size1);
    gsl_matrix z = head(trace->s[last], n, fim_net_outputs(net));
    gsl_matrix g = head(trace->work[last], n, z.size2);
    fim_likelihood_loss(net->likelihood, &z, data, first, trace->loss);
    if (grads != NULL)
        fim_likelihood_gradient(net->likelihood, &z, data, first, &g);
    for (size_t l = last; grads != NULL; l--) {
        gsl_matrix a = head(trace->a[l], n, fim_layer_d_a(&net->layers[l]));
        gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1 / (double)n, &g, &a, 0, grads[l]);
        if (l == 0)
            break;
        gsl_matrix w = weight(&net->layers[l]);
        gsl_matrix s = head(trace->s[l - 1], n, w.size2);
        gsl_matrix below = head(trace->work[l - 1], n, w.size2);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &g, &w, 0, &below);
        activation_scale(net->layers[l - 1].activation, &s, 1, &below);
        g = below;
    }
    double sum = 0;
    for (size_t r = 0; r < n; r++)
        sum += trace->loss[r];
    *mean_loss = sum / (double)n;
    return FIM_OK;
}
