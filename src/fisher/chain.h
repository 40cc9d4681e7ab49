// The way from a layer's pre-activations to the logits at every sample (chain.c).
#ifndef FIM_SRC_FISHER_CHAIN_H
#define FIM_SRC_FISHER_CHAIN_H

#include "fim/fisher.h"

// G_n = S_0 W_0ᵀ S_1 W_1ᵀ … C_n … W_1 S_1 W_0 S_0, with S_k the slopes of sample n.
struct fim_chain {
    size_t n, links;
    gsl_matrix **slope; // links of them, (n, d_k): of the layer itself and those above it, but the last
    gsl_matrix **w;     // links of them, (d_{k+1}, d_k): the weights between them
    gsl_matrix *weight; // (n, C): C_n = diag(w), or diag(w) − w wᵀ
    bool coupled;       // the latter
};

// True when products with G_n are cheaper through the layers above `layer` than from the packed G_n.
bool chain_pays(const fim_net *net, size_t layer);
size_t chain_bytes(const fim_net *net, size_t layer, size_t n);
// Room for n samples; chain_fill sets the samples first .. first + count from a forward pass.
fim_status chain_new(const fim_net *net, size_t layer, size_t n, fim_chain **out);
void chain_fill(fim_chain *chain, const fim_net *net, size_t layer, const fim_trace *trace, size_t first,
                size_t count);
void chain_free(fim_chain *chain);
// The chain of the outputs index[0..count) alone, without units between that have no slope at any sample.
fim_status chain_restrict(const fim_chain *chain, const size_t *index, size_t count, fim_chain **out);
// t (n, d_0): row n becomes G_n t_n.
fim_status chain_times(const fim_chain *chain, gsl_matrix *t);

#endif
