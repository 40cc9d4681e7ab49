// The application of a damped inverse, compiled for float64 and float32.
//
// Training does this at every iteration, on the gradient of every layer: what can be low-rank is, and the
// products go through the smaller side first.
#include <stdlib.h>

#include "fim/linalg.h"
#include "fim/op.h"
#include "fim/real.h"

void REAL(fim_inverse_clear)(REAL(fim_inverse) * inverse) {
    REAL(fim_inverse_side) *const sides[] = {&inverse->m_a, &inverse->m_g};
    for (size_t s = 0; s < 2; s++) {
        REAL_GSL(free)(sides[s]->dense);
        REAL_GSL(free)(sides[s]->u);
        REAL_GSL(free)(sides[s]->v);
    }
    REAL_GSL(free)(inverse->k_a);
    REAL_GSL(free)(inverse->k_g);
    REAL_GSL(free)(inverse->w);
    *inverse = (REAL(fim_inverse)){0};
}

static fim_status copy_to(const gsl_matrix *source, bool transposed, REAL_MATRIX **out) {
    if (source == NULL)
        return FIM_OK;
    fim_status status =
        REAL(fim_matrix_new)(transposed ? source->size2 : source->size1,
                             transposed ? source->size1 : source->size2, "a preconditioner", out);
    for (size_t i = 0; status == FIM_OK && i < source->size1; i++)
        for (size_t j = 0; j < source->size2; j++)
            REAL_GSL(set)(*out, transposed ? j : i, transposed ? i : j, (real)gsl_matrix_get(source, i, j));
    return status;
}

static fim_status copy_side(const fim_inverse_side *source, REAL(fim_inverse_side) * out) {
    fim_status status = FIM_OK;
    out->scale = source->scale;
    FIM_TRY(copy_to(source->dense, false, &out->dense));
    FIM_TRY(copy_to(source->u, false, &out->u));
    FIM_TRY(copy_to(source->v, false, &out->v));
out:
    return status;
}

fim_status REAL(fim_inverse_copy)(const fim_inverse *source, bool transposed, REAL(fim_inverse) * out) {
    const bool t = transposed;
    REAL(fim_inverse)
    made = {.d_a = t ? source->d_g : source->d_a,
            .d_g = t ? source->d_a : source->d_g,
            .changed = source->changed,
            .fell_back = source->fell_back,
            .log_det = source->log_det};
    fim_status status = FIM_OK;
    FIM_TRY(copy_side(t ? &source->m_g : &source->m_a, &made.m_a));
    FIM_TRY(copy_side(t ? &source->m_a : &source->m_g, &made.m_g));
    FIM_TRY(copy_to(t ? source->k_g : source->k_a, false, &made.k_a));
    FIM_TRY(copy_to(t ? source->k_a : source->k_g, false, &made.k_g));
    FIM_TRY(copy_to(source->w, t, &made.w));
    *out = made;
    return FIM_OK;
out:
    REAL(fim_inverse_clear)(&made);
    return status;
}

// (rows, columns) in the scratch's row k.
static REAL_MATRIX shaped(const REAL_MATRIX *scratch, size_t k, size_t rows, size_t columns) {
    return (REAL_MATRIX){
        .size1 = rows, .size2 = columns, .tda = columns, .data = scratch->data + k * scratch->tda};
}

// y = factor M x for `left`, factor x M otherwise; row k of the scratch is free.
static void multiply_side(const REAL(fim_inverse_side) * m, bool left, real factor, const REAL_MATRIX *x,
                          const REAL_MATRIX *scratch, size_t k, REAL_MATRIX *y) {
    if (m->dense != NULL) {
        REAL_GEMM(CblasNoTrans, CblasNoTrans, factor, left ? m->dense : x, left ? x : m->dense, 0, y);
        return;
    }
    REAL_GSL(memcpy)(y, x);
    const real scale = factor * (real)m->scale;
    if (m->u == NULL) {
        REAL_GSL(scale)(y, scale);
        return;
    }
    const size_t r = m->u->size2;
    REAL_MATRIX inside = shaped(scratch, k, left ? r : x->size1, left ? x->size2 : r);
    if (left) {
        REAL_GEMM(CblasTrans, CblasNoTrans, factor, m->u, x, 0, &inside);
        REAL_GEMM(CblasNoTrans, CblasNoTrans, 1, m->v, &inside, scale, y);
    } else {
        REAL_GEMM(CblasNoTrans, CblasNoTrans, factor, x, m->u, 0, &inside);
        REAL_GEMM(CblasNoTrans, CblasTrans, 1, &inside, m->v, scale, y);
    }
}

static bool is_scale(const REAL(fim_inverse_side) * m) {
    return m->dense == NULL && m->u == NULL;
}

// y = M_a x M_g: one product where a side is a number.
static void multiply_product(const REAL(fim_inverse) * k, const REAL_MATRIX *x, const REAL_MATRIX *scratch,
                             REAL_MATRIX *y) {
    if (is_scale(&k->m_g)) {
        multiply_side(&k->m_a, true, (real)k->m_g.scale, x, scratch, 0, y);
    } else if (is_scale(&k->m_a)) {
        multiply_side(&k->m_g, false, (real)k->m_a.scale, x, scratch, 0, y);
    } else {
        REAL_MATRIX half = shaped(scratch, 0, k->d_a, k->d_g);
        multiply_side(&k->m_g, false, 1, x, scratch, 1, &half);
        multiply_side(&k->m_a, true, 1, &half, scratch, 1, y);
    }
}

// y = beta y + K x for `left`, beta y + x Kᵀ otherwise; with Kᵀ and K for `in`. A NULL K is the identity.
static void rotate(const REAL_MATRIX *k, bool left, bool in, const REAL_MATRIX *x, real beta,
                   REAL_MATRIX *y) {
    if (k == NULL) {
        if (beta == 0)
            REAL_GSL(memcpy)(y, x);
        else
            REAL_GSL(add)(y, x); // beta is 0 or 1
        return;
    }
    if (left)
        REAL_GEMM(in ? CblasTrans : CblasNoTrans, CblasNoTrans, 1, k, x, beta, y);
    else
        REAL_GEMM(CblasNoTrans, in ? CblasNoTrans : CblasTrans, 1, x, k, beta, y);
}

void REAL(fim_inverse_turn)(const REAL(fim_inverse) * k, bool back, const REAL_MATRIX *x, REAL_MATRIX *half,
                            REAL_MATRIX *y) {
    rotate(k->k_a, true, !back, x, 0, half);
    rotate(k->k_g, false, !back, half, 0, y);
}

void REAL(fim_inverse_multiply)(const REAL(fim_inverse) * k, const REAL_MATRIX *x, REAL_MATRIX *scratch,
                                REAL_MATRIX *y) {
    const bool product = !is_scale(&k->m_a) || k->m_a.scale != 0;
    if (product)
        multiply_product(k, x, scratch, y);
    if (k->w == NULL)
        return;
    // The side that keeps fewer of its directions goes first, and last on the way back.
    const bool left = k->w->size1 * k->d_g <= k->w->size2 * k->d_a;
    const REAL_MATRIX *outer = left ? k->k_a : k->k_g, *inner = left ? k->k_g : k->k_a;
    REAL_MATRIX half = shaped(scratch, 0, left ? k->w->size1 : k->d_a, left ? k->d_g : k->w->size2);
    REAL_MATRIX inside = shaped(scratch, 1, k->w->size1, k->w->size2);
    rotate(outer, left, true, x, 0, &half);
    rotate(inner, !left, true, &half, 0, &inside);
    REAL_GSL(mul_elements)(&inside, k->w);
    rotate(inner, !left, false, &inside, 0, &half);
    rotate(outer, left, false, &half, product ? 1 : 0, y);
}
