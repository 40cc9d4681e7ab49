// Operators without any coupling between outputs. At the logits of independent outputs every G_n is diagonal,
// and so are the output factors of all approximations: F and F̂ are a block on the inputs for every output,
// min(N, d_a) wide in the frame of the samples. Their eigenvalues are those of the blocks, where a Krylov
// process would meet clusters of nearly equal ones, a copy for every output.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fim/linalg.h"
#include "metric.h"

// Factors may couple outputs by rounding, at most by this much of the operator.
#define COUPLED_MOST 1e-12

// What of a sum of Kronecker terms lies between outputs, at most; *all bounds the whole.
static double coupled(const small_op *s, double *all) {
    double between = 0;
    *all = 0;
    for (size_t k = 0; k < s->terms; k++) {
        double off = 0;
        for (size_t i = 0; i < s->g[k]->size1; i++)
            for (size_t j = 0; j < s->g[k]->size2; j++)
                off += i != j ? pow(gsl_matrix_get(s->g[k], i, j), 2) : 0;
        between += fim_matrix_norm(s->a[k]) * sqrt(off);
        *all += fim_matrix_norm(s->a[k]) * fim_matrix_norm(s->g[k]);
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
    const gsl_matrix *rows = fim_reduced_rows(s->frame), *variances = fim_reduced_variances(s->frame);
    gsl_matrix *weighted = NULL;
    fim_status status = fim_matrix_copy(rows, "weighted inputs", &weighted);
    if (status != FIM_OK)
        return status;
    for (size_t n = 0; n < rows->size1; n++) {
        gsl_vector_view row = gsl_matrix_row(weighted, n);
        gsl_vector_scale(&row.vector, sqrt(gsl_matrix_get(variances, n, j) / (double)rows->size1));
    }
    gsl_blas_dsyrk(CblasLower, CblasTrans, 1, weighted, 0, block);
    gsl_matrix_free(weighted);
    add_output(s, j, -1, scratch, block);
    return FIM_OK;
}

// ---- The Frobenius norms of all blocks: ‖F_j − F̂_j‖² = ‖F_j‖² − 2⟨F_j, F̂_j⟩ + ‖F̂_j‖² ----

typedef struct bound {
    double norm;    // of the difference, at most
    double inner;   // ⟨F_j, F̂_j⟩
    double f2, op2; // ‖F_j‖², ‖F̂_j‖²
    size_t output;
} bound;

static int by_norm(const void *x, const void *y) {
    const double a = ((const bound *)x)->norm, b = ((const bound *)y)->norm;
    return (a < b) - (a > b);
}

// ‖F_j‖² = N⁻² Σ_nm w_nj (a_n·a_m)² w_mj, some rows n at a time.
static fim_status block_norms(const gsl_matrix *a, const gsl_matrix *w, bound *bounds) {
    enum { SLICE = 256 };
    const size_t n = a->size1, most = n < SLICE ? n : SLICE;
    gsl_matrix *gram = NULL, *product = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(most, n, "a slice of a Gram matrix", &gram));
    FIM_TRY(fim_matrix_new(most, w->size2, "norms of blocks", &product));
    for (size_t first = 0; first < n; first += most) {
        const size_t count = n - first < most ? n - first : most;
        gsl_matrix_const_view part = gsl_matrix_const_submatrix(a, first, 0, count, a->size2);
        gsl_matrix_view k = gsl_matrix_submatrix(gram, 0, 0, count, n);
        gsl_matrix_view y = gsl_matrix_submatrix(product, 0, 0, count, w->size2);
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1.0 / (double)n, &part.matrix, a, 0, &k.matrix);
        gsl_matrix_mul_elements(&k.matrix, &k.matrix);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &k.matrix, w, 0, &y.matrix);
        for (size_t r = 0; r < count; r++)
            for (size_t j = 0; j < w->size2; j++)
                bounds[j].f2 += gsl_matrix_get(w, first + r, j) * gsl_matrix_get(&y.matrix, r, j);
    }
out:
    gsl_matrix_free(gram);
    gsl_matrix_free(product);
    return status;
}

// F̂_j = Σ_k G_k,jj A_k, and ⟨F_j, A_k⟩ = (1/N) Σ_n w_nj a_nᵀ A_k a_n.
static fim_status term_norms(const small_op *s, const gsl_matrix *a, const gsl_matrix *w, bound *bounds) {
    gsl_matrix *product = NULL;
    gsl_vector *forms = NULL, *sums = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(a->size1, a->size2, "quadratic forms", &product));
    FIM_TRY(fim_vector_new(a->size1, "quadratic forms", &forms));
    FIM_TRY(fim_vector_new(w->size2, "inner products of blocks", &sums));
    for (size_t k = 0; k < s->terms; k++) {
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1.0 / (double)a->size1, a, s->a[k], 0, product);
        for (size_t n = 0; n < a->size1; n++) {
            gsl_vector_const_view x = gsl_matrix_const_row(a, n), y = gsl_matrix_const_row(product, n);
            gsl_blas_ddot(&x.vector, &y.vector, gsl_vector_ptr(forms, n));
        }
        gsl_blas_dgemv(CblasTrans, 1, w, forms, 0, sums);
        for (size_t j = 0; j < w->size2; j++)
            bounds[j].inner += gsl_matrix_get(s->g[k], j, j) * gsl_vector_get(sums, j);
        for (size_t l = 0; l <= k; l++) {
            const double both = (l < k ? 2 : 1) * fim_matrix_inner(s->a[k], s->a[l]);
            for (size_t j = 0; j < w->size2; j++)
                bounds[j].op2 += both * gsl_matrix_get(s->g[k], j, j) * gsl_matrix_get(s->g[l], j, j);
        }
    }
out:
    gsl_matrix_free(product);
    gsl_vector_free(forms);
    gsl_vector_free(sums);
    return status;
}

// F̂_j = e² U_a diag(λ_l) U_aᵀ for the entry e of U_g that output j has, in column l; the diagonal of F_j in
// U_a has the entries (1/N) Σ_n w_nj (a_n·u_c)².
static fim_status basis_norms(const small_op *s, const gsl_matrix *a, const gsl_matrix *w, bound *bounds) {
    gsl_matrix *turned = NULL, *diagonal = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(a->size1, s->u_a->size2, "turned inputs", &turned));
    FIM_TRY(fim_matrix_new(s->u_a->size2, w->size2, "diagonals of blocks", &diagonal));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, a, s->u_a, 0, turned);
    gsl_matrix_mul_elements(turned, turned);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1.0 / (double)a->size1, turned, w, 0, diagonal);
    for (size_t j = 0; j < w->size2; j++)
        for (size_t l = 0; l < s->u_g->size2; l++) {
            const double e2 = pow(gsl_matrix_get(s->u_g, j, l), 2);
            for (size_t c = 0; e2 > 0 && c < s->u_a->size2; c++) {
                const double value = e2 * gsl_matrix_get(s->lambda, c, l);
                bounds[j].inner += value * gsl_matrix_get(diagonal, c, j);
                bounds[j].op2 += value * value;
            }
        }
out:
    gsl_matrix_free(turned);
    gsl_matrix_free(diagonal);
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

// Bounds for all outputs; scratch and block as for difference_at. N² (d_a + d_g) multiply-adds, or N d_a² d_g
// / 2 where the samples are so many that forming the blocks is cheaper.
static fim_status difference_norms(const small_op *s, gsl_matrix *scratch, gsl_matrix *block, bound *bounds) {
    const gsl_matrix *a = fim_reduced_rows(s->frame), *w = fim_reduced_variances(s->frame);
    const double n = (double)a->size1, d_a = (double)a->size2, d_g = (double)w->size2;
    fim_status status = FIM_OK;
    if (n * (d_a + d_g) > d_a * d_a * d_g / 2) {
        for (size_t j = 0; j < w->size2 && status == FIM_OK; j++) {
            status = difference_at(s, j, scratch, block);
            bounds[j] = (bound){.norm = lower_norm(block), .output = j};
        }
        return status;
    }
    status = block_norms(a, w, bounds);
    if (status == FIM_OK)
        status = (s->terms > 0 ? term_norms : basis_norms)(s, a, w, bounds);
    for (size_t j = 0; status == FIM_OK && j < w->size2; j++) {
        bound *b = &bounds[j];
        const double rounding = 64 * DBL_EPSILON * (b->f2 + b->op2);
        b->norm = sqrt(fmax(b->f2 - 2 * b->inner + b->op2, 0) + rounding) + s->lost;
        b->output = j;
    }
    return status;
}

// The largest over the blocks; those whose Frobenius norm is below it need no eigenvalues.
fim_status independent_norm(const small_op *s, double *value, char *route) {
    const size_t r = fim_reduced_d_a(s->frame), d_g = fim_reduced_d_g(s->frame);
    if (fim_reduced_variances(s->frame) == NULL || (s->terms == 0 && s->u_g == NULL) ||
        !small_op_independent(s))
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
    FIM_TRY(difference_norms(s, scratch, block, bounds));
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
