// The two ways to the leading singular triplets of the rearranged block (triplets.c, triplets_core.c), for
// the tests of each.
#ifndef FIM_SRC_FISHER_TRIPLETS_H
#define FIM_SRC_FISHER_TRIPLETS_H

#include "block.h"

// R(F) − Σ vec(A)vec(G)ᵀ in symmetric packing, (p_a, p_g), as a linear map.
typedef struct remainder_map {
    const fim_fisher *f;
    size_t n_known, p_a, p_g;
    gsl_matrix *const *a, *const *g;
    gsl_matrix *side_a, *side_g; // unpacked vectors
    double *packed_a, *packed_g; // packed factors of one known term
} remainder_map;

fim_status remainder_init(remainder_map *r, const fim_fisher *f, size_t n_known, gsl_matrix *const *a,
                          gsl_matrix *const *g);
void remainder_clear(remainder_map *r);
// The map of a fim_map: y = M x or Mᵀ x, packed.
fim_status remainder_apply(const void *remainder, bool transposed, const double *x, double *y);

// Both as fim_fisher_triplets.
fim_status triplets_krylov(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                           gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info);
fim_status triplets_core(const remainder_map *r, size_t k, const fim_gkl_options *options, gsl_matrix *u,
                         gsl_vector *sigma, gsl_matrix *v, fim_gkl_info *info);

#endif
