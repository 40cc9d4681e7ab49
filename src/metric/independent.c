// Operators without any coupling between outputs. At the logits of independent outputs every G_n is diagonal,
// and so are the output factors of all approximations: F and F̂ are a block on the inputs for every output,
// min(N, d_a) wide in the frame of the samples. Their eigenvalues are those of the blocks, where a Krylov
// process would meet clusters of nearly equal ones, a copy for every output.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fim/linalg.h"
#include "metric.h"

// Factors may couple outputs by rounding, at most by this much of the operator.
#define COUPLED_MOST 1e-12

static double norm(const gsl_matrix *m) {
    double sum = 0;
    for (size_t i = 0; i < m->size1; i++)
        sum = hypot(sum, cblas_dnrm2((int)m->size2, m->data + i * m->tda, 1));
    return sum;
}

// What of a sum of Kronecker terms lies between outputs, at most; *all bounds the whole.
static double coupled(const small_op *s, double *all) {
    double between = 0;
    *all = 0;
    for (size_t k = 0; k < s->terms; k++) {
        double off = 0;
        for (size_t i = 0; i < s->g[k]->size1; i++)
            for (size_t j = 0; j < s->g[k]->size2; j++)
                off += i != j ? pow(gsl_matrix_get(s->g[k], i, j), 2) : 0;
        between += norm(s->a[k]) * sqrt(off);
        *all += norm(s->a[k]) * norm(s->g[k]);
    }
    return between;
}

// Every row of u has at most one entry.
static bool picks(const gsl_matrix *u) {
    for (size_t i = 0; i < u->size1; i++) {
        size_t count = 0;
        for (size_t j = 0; j < u->size2; j++)
            count += gsl_matrix_get(u, i, j) != 0;
        if (count > 1)
            return false;
    }
    return true;
}

bool small_op_independent(const small_op *s) {
    double all;
    if (s->terms > 0)
        return coupled(s, &all) <= COUPLED_MOST * all;
    return s->u_g == NULL || picks(s->u_g);
}

// The lower triangle of block += alpha times that of the operator at output j; scratch (d_a, d_a).
static void add_output(const small_op *s, size_t j, double alpha, gsl_matrix *scratch, gsl_matrix *block) {
    for (size_t k = 0; k < s->terms; k++) {
        const double weight = alpha * gsl_matrix_get(s->g[k], j, j);
        for (size_t i = 0; i < block->size1; i++)
            cblas_daxpy((int)i + 1, weight, s->a[k]->data + i * s->a[k]->tda, 1, block->data + i * block->tda,
                        1);
    }
    if (s->terms > 0)
        return;
    for (size_t l = 0; l < s->u_g->size2; l++) {
        const double entry = gsl_matrix_get(s->u_g, j, l);
        if (entry == 0)
            continue;
        gsl_matrix_view scaled = gsl_matrix_submatrix(scratch, 0, 0, s->u_a->size1, s->u_a->size2);
        for (size_t i = 0; i < s->u_a->size1; i++)
            for (size_t c = 0; c < s->u_a->size2; c++)
                gsl_matrix_set(&scaled.matrix, i, c,
                               gsl_matrix_get(s->u_a, i, c) * gsl_matrix_get(s->lambda, c, l));
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, alpha * entry * entry, &scaled.matrix, s->u_a, 1, block);
    }
}

fim_status independent_spectrum(const small_op *s, size_t parameters, fim_spectrum *out) {
    const size_t r = fim_reduced_d_a(s->frame), d_g = fim_reduced_d_g(s->frame);
    double all;
    fim_spectrum found = {.size = parameters, .complete = true, .slack = s->lost + coupled(s, &all)};
    gsl_matrix *block = NULL, *scratch = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(r, r, "the block of an output", &block));
    FIM_TRY(fim_matrix_new(r, r, "the block of an output", &scratch));
    FIM_TRY(fim_vector_new(found.size, "eigenvalues", &found.values)); // zero outside of the frame
    for (size_t j = 0; j < d_g; j++) {
        gsl_vector_view values = gsl_vector_subvector(found.values, j * r, r);
        gsl_matrix_set_zero(block);
        add_output(s, j, 1, scratch, block);
        FIM_TRY(fim_eigenvalues(block, &values.vector));
    }
    FIM_TRY(fim_sort_decreasing(found.values));
    snprintf(found.route, sizeof found.route, "%zu x %zu blocks of the %zu independent outputs", r, r, d_g);
    *out = found;
    found.values = NULL;
out:
    gsl_matrix_free(block);
    gsl_matrix_free(scratch);
    gsl_vector_free(found.values);
    return status;
}

// The lower triangle of F − F̂ at output j.
static fim_status difference_at(const small_op *s, size_t j, gsl_matrix *scratch, gsl_matrix *block) {
    fim_status status = fim_reduced_output(s->frame, j, block);
    if (status == FIM_OK)
        add_output(s, j, -1, scratch, block);
    return status;
}

// The Frobenius norm of a symmetric matrix given by its lower triangle.
static double lower_norm(const gsl_matrix *block) {
    double sum = 0;
    for (size_t i = 0; i < block->size1; i++) {
        const double *row = block->data + i * block->tda;
        sum += 2 * cblas_ddot((int)i, row, 1, row, 1) + row[i] * row[i];
    }
    return sqrt(sum);
}

typedef struct bound {
    double norm;
    size_t output;
} bound;

static int by_norm(const void *x, const void *y) {
    const double a = ((const bound *)x)->norm, b = ((const bound *)y)->norm;
    return (a < b) - (a > b);
}

// The largest over the blocks; those whose Frobenius norm is below it need no eigenvalues.
fim_status independent_norm(const small_op *s, double *value, char *route) {
    const size_t r = fim_reduced_d_a(s->frame), d_g = fim_reduced_d_g(s->frame);
    if (!fim_reduced_independent(s->frame) || (s->terms == 0 && s->u_g == NULL) || !small_op_independent(s))
        return FIM_FAIL(FIM_ERR_UNAVAILABLE, "outputs that depend on one another");
    gsl_matrix *block = NULL, *scratch = NULL;
    gsl_vector *values = NULL;
    bound *bounds = NULL;
    double largest = 0;
    size_t solved = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(r, r, "the block of an output", &block));
    FIM_TRY(fim_matrix_new(r, r, "the block of an output", &scratch));
    FIM_TRY(fim_vector_new(r, "eigenvalues", &values));
    FIM_TRY(fim_alloc(d_g, sizeof *bounds, "norms of blocks", &bounds));
    for (size_t j = 0; j < d_g; j++) {
        FIM_TRY(difference_at(s, j, scratch, block));
        bounds[j] = (bound){lower_norm(block), j};
    }
    qsort(bounds, d_g, sizeof *bounds, by_norm);
    while (solved < d_g && bounds[solved].norm > largest) {
        FIM_TRY(difference_at(s, bounds[solved++].output, scratch, block));
        FIM_TRY(fim_eigenvalues(block, values));
        largest = fmax(largest, fmax(gsl_vector_get(values, 0), -gsl_vector_get(values, r - 1)));
    }
    *value = largest;
    snprintf(route, 200, "%zu x %zu blocks of the %zu independent outputs, %zu of them solved", r, r, d_g,
             solved);
out:
    gsl_matrix_free(block);
    gsl_matrix_free(scratch);
    gsl_vector_free(values);
    free(bounds);
    return status;
}
