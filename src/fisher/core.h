// The rearranged block in the space of its samples (core.c).
#ifndef FIM_SRC_FISHER_CORE_H
#define FIM_SRC_FISHER_CORE_H

#include "block.h"

// Samples beyond which the two Gram matrices are too large to keep: sums over pairs go tile by tile.
enum { CORE_SAMPLES = 4096 };

// Rs = Q_a S Q_gᵀ with orthonormal Q_a = P_aᵀ W_a and Q_g = P_gᵀ W_g, where row n of P_a is svec(a_n a_nᵀ)
// and row n of P_g is svec(G_n): W and S have the size of the samples, whatever that of the layer.
typedef struct core {
    gsl_matrix *k_a, *k_g; // (N, N) Gram matrices: (a_n · a_m)² and ⟨G_n, G_m⟩
    gsl_matrix *w_a, *w_g; // (N, r_a), (N, r_g); NULL until asked for
    gsl_matrix *s;         // (r_a, r_g)
} core;

// The Gram matrices; computed on the first call.
fim_status core_grams(core *c, const fim_samples *s);
// W and S too.
fim_status core_factors(core *c, const fim_samples *s);
void core_clear(core *c);

#endif
