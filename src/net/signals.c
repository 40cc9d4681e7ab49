// The linear maps between layers' pre-activations: backward (pull) and forward (push), many columns a sample.
//
// One matrix product a layer over all rows, then an elementwise factor φ'(s), as in passes.c.
#include <gsl/gsl_blas.h>

#include "fim/linalg.h"
#include "internal.h"

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
