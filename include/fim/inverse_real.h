// fim/inverse_real.h - the part of op.h that exists in both precisions: a damped inverse and its application.
//
// op.h includes it twice, and nobody else does: for float64 with the plain names, for float32, which training
// uses, with names that end in _single (FIM_REAL, FIM_REAL_MATRIX and FIM_REAL_NAME as in net_real.h).

// A symmetric (d, d) matrix: dense, or scale·I + V Uᵀ.
typedef struct FIM_REAL_NAME(fim_inverse_side) {
    FIM_REAL_MATRIX *dense; // (d, d), or NULL:
    double scale;           // 0: there is no product
    FIM_REAL_MATRIX *u, *v; // (d, r), or NULL: scale·I alone
} FIM_REAL_NAME(fim_inverse_side);

// y = M_a x M_g + K_a ((K_aᵀ x K_g) ∘ W) K_gᵀ on matrices (d_a, d_g): the product is missing where M_a and
// M_g are neither dense nor scaled, the rest where there is no W. A NULL K is the identity.
typedef struct FIM_REAL_NAME(fim_inverse) {
    size_t d_a, d_g;
    FIM_REAL_NAME(fim_inverse_side) m_a, m_g;
    FIM_REAL_MATRIX *k_a, *k_g; // (d_a, r_a) and (d_g, r_g), or NULL
    FIM_REAL_MATRIX *w;         // (r_a, r_g), or NULL
    size_t changed;             // directions that the rule for indefinite sums concerned: below its bound
    bool fell_back;             // the second term was dropped for them
    double log_det;             // ln det of what was inverted, after the changes
} FIM_REAL_NAME(fim_inverse);

void FIM_REAL_NAME(fim_inverse_clear)(FIM_REAL_NAME(fim_inverse) * inverse);
// A copy of source in this precision, for `transposed` one that acts on xᵀ (d_g, d_a): its a is source's g.
fim_status FIM_REAL_NAME(fim_inverse_copy)(const fim_inverse *source, bool transposed,
                                           FIM_REAL_NAME(fim_inverse) * out);
// y (d_a, d_g) of x (d_a, d_g); x, y and scratch (2, d_a·d_g at least) are different. For one Kronecker term
// 2 d_a d_g (d_a + d_g) flops, twice that for full K_a and K_g; a side r of d directions of rank r counts 2 r
// of its d. Nothing is allocated.
void FIM_REAL_NAME(fim_inverse_multiply)(const FIM_REAL_NAME(fim_inverse) * inverse, const FIM_REAL_MATRIX *x,
                                         FIM_REAL_MATRIX *scratch, FIM_REAL_MATRIX *y);
// y = K_aᵀ x K_g, the coordinates in which K W Kᵀ is the diagonal w, or K_a x K_gᵀ for `back`, with square
// K_a and K_g or NULL for the identity; x, half and y (d_a, d_g) are different.
void FIM_REAL_NAME(fim_inverse_turn)(const FIM_REAL_NAME(fim_inverse) * inverse, bool back,
                                     const FIM_REAL_MATRIX *x, FIM_REAL_MATRIX *half, FIM_REAL_MATRIX *y);
