// The room's private face: what several approximations are made of.
#ifndef FIM_SRC_APPROX_H
#define FIM_SRC_APPROX_H

#include "fim/approx.h"

#define FIM_APPROXIMATION(function, name, takes_rank, rank, about) fim_approx_build_fn approx_##function;
#include "fim/approximations.def"
#undef FIM_APPROXIMATION

// A ⊗ G of the means: new matrices (KFAC).
fim_status approx_means(const fim_fisher *f, gsl_matrix **a, gsl_matrix **g);

// The two partial traces of F, a (d_a, d_a) = R(F) vec(I) and g (d_g, d_g) = R(F)ᵀ vec(I): new matrices
// (TKFAC).
fim_status approx_partial_traces(const fim_fisher *f, gsl_matrix **a, gsl_matrix **g);

// (U_a ⊗ U_g) Λ (U_a ⊗ U_g)ᵀ with the diagonal Λ of F in that basis, NULL for identities (diagonal.c). Takes
// the bases over.
fim_status approx_best_diagonal(const fim_fisher *f, gsl_matrix *u_a, gsl_matrix *u_g, fim_op **out,
                                fim_approx_info *info);

// Kronecker terms under construction; at most `capacity`.
typedef struct terms {
    size_t count, capacity;
    gsl_matrix **a, **g;
} terms;

fim_status terms_init(terms *t, size_t capacity);
void terms_clear(terms *t);
// The operator of the terms; empties t.
fim_status terms_finish(terms *t, fim_op **out);

// Appends the k leading singular triplets of R(F) − Σ vec(A)vec(G)ᵀ over the terms already there, as √σ U ⊗
// √σ V with trace(U) > 0. Only products with R(F) and its transpose are used. Fewer are appended when the
// rest is zero. Adds to *info.
fim_status terms_add_triplets(terms *t, const fim_fisher *f, size_t k, const fim_approx_options *options,
                              fim_approx_info *info);

#endif
