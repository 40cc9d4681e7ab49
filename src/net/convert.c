// A network in another precision, and back.
#include <stdlib.h>

#include "fim/linalg.h"
#include "internal.h"

void REAL(fim_net_clear)(REAL(fim_net) * net) {
    for (size_t l = 0; l < net->n_layers; l++)
        REAL_GSL(free)(net->layers[l].w);
    free(net->layers);
    *net = (REAL(fim_net)){0};
}

fim_status REAL(fim_net_copy)(const fim_net *source, REAL(fim_net) * out) {
    fim_status status = FIM_OK;
    REAL(fim_net) copy = {.likelihood = source->likelihood, .n_layers = source->n_layers};
    FIM_TRY(fim_alloc(source->n_layers, sizeof *copy.layers, "layers", &copy.layers));
    for (size_t l = 0; l < source->n_layers; l++) {
        const fim_layer *from = &source->layers[l];
        REAL(fim_layer) *to = &copy.layers[l];
        to->activation = from->activation;
        to->bias = from->bias;
        FIM_TRY(REAL(fim_matrix_new)(from->w->size1, from->w->size2, "weights", &to->w));
        for (size_t i = 0; i < from->w->size1; i++)
            for (size_t j = 0; j < from->w->size2; j++)
                REAL_GSL(set)(to->w, i, j, (real)gsl_matrix_get(from->w, i, j));
    }
    *out = copy;
    return FIM_OK;
out:
    if (copy.layers == NULL)
        copy.n_layers = 0;
    REAL(fim_net_clear)(&copy);
    return status;
}

void REAL(fim_net_store)(const REAL(fim_net) * net, fim_net *out) {
    for (size_t l = 0; l < net->n_layers; l++) {
        const REAL_MATRIX *from = net->layers[l].w;
        for (size_t i = 0; i < from->size1; i++)
            for (size_t j = 0; j < from->size2; j++)
                gsl_matrix_set(out->layers[l].w, i, j, (double)REAL_GSL(get)(from, i, j));
    }
}
