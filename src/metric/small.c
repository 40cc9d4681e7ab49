// An operator in the frame of the samples. KFAC, TKFAC, Kronecker singular vectors and the eigenbases of KFAC
// and TKFAC are made of the samples and live where they do; what of an operator lies outside is measured, not
// assumed.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "metric.h"

// The matrices of an operator, as it names them.
typedef struct parts {
    const gsl_matrix *a[64], *g[64], *u_a, *u_g, *lambda;
    size_t terms;
    bool other;
} parts;

static fim_status collect(void *context, const char *name, const gsl_matrix *matrix) {
    parts *p = context;
    size_t k;
    char side;
    if (strcmp(name, "u_a") == 0)
        p->u_a = matrix;
    else if (strcmp(name, "u_g") == 0)
        p->u_g = matrix;
    else if (strcmp(name, "lambda") == 0)
        p->lambda = matrix;
    else if (sscanf(name, "%c_%zu", &side, &k) == 2 && k < 64 && (side == 'a' || side == 'g')) {
        (side == 'a' ? p->a : p->g)[k] = matrix;
        p->terms = k + 1 > p->terms ? k + 1 : p->terms;
    } else
        p->other = true;
    return FIM_OK;
}

void small_op_clear(small_op *s) {
    for (size_t k = 0; k < s->terms; k++) {
        if (s->a != NULL)
            gsl_matrix_free(s->a[k]);
        if (s->g != NULL)
            gsl_matrix_free(s->g[k]);
    }
    free(s->a);
    free(s->g);
    gsl_matrix_free(s->u_a);
    gsl_matrix_free(s->u_g);
    gsl_matrix_free(s->lambda);
    *s = (small_op){0};
}

// small = Pᵀ M P for a symmetric M; *lost bounds ‖M − P small Pᵀ‖.
static fim_status project_both(const fim_reduced *frame, bool inputs, const gsl_matrix *m, gsl_matrix **small,
                               double *lost) {
    const size_t r = inputs ? fim_reduced_d_a(frame) : fim_reduced_d_g(frame);
    fim_status (*project)(const fim_reduced *, const gsl_matrix *, gsl_matrix *, double *) =
        inputs ? fim_reduced_inputs : fim_reduced_outputs;
    gsl_matrix *half = NULL, *turned = NULL;
    double *outside = NULL, sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(r, m->size2, "a factor in a frame", &half));
    FIM_TRY(fim_matrix_new(m->size2, r, "a factor in a frame", &turned));
    FIM_TRY(fim_matrix_new(r, r, "a factor in a frame", small));
    FIM_TRY(fim_alloc(m->size2, sizeof *outside, "what is outside a frame", &outside));
    FIM_TRY(project(frame, m, half, outside));
    for (size_t j = 0; j < m->size2; j++)
        sum += outside[j];
    gsl_matrix_transpose_memcpy(turned, half);
    FIM_TRY(project(frame, turned, *small, outside));
    *lost = 2 * sqrt(sum);
out:
    gsl_matrix_free(half);
    gsl_matrix_free(turned);
    free(outside);
    return status;
}

static fim_status init_terms(small_op *s, const parts *p) {
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(p->terms, sizeof *s->a, "an operator in a frame", &s->a));
    FIM_TRY(fim_alloc(p->terms, sizeof *s->g, "an operator in a frame", &s->g));
    s->terms = p->terms;
    for (size_t k = 0; k < p->terms; k++) {
        double lost_a, lost_g;
        FIM_TRY(project_both(s->frame, true, p->a[k], &s->a[k], &lost_a));
        FIM_TRY(project_both(s->frame, false, p->g[k], &s->g[k], &lost_g));
        s->lost += lost_a * fim_matrix_norm(p->g[k]) + fim_matrix_norm(p->a[k]) * lost_g;
    }
out:
    return status;
}

// The rows of Λ, or its columns, with more than rounding; what they leave adds to *dropped2.
static size_t choose(const gsl_matrix *lambda, bool columns, double negligible, size_t *index,
                     double *weight2, double *dropped2) {
    const size_t n = columns ? lambda->size2 : lambda->size1, m = columns ? lambda->size1 : lambda->size2;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < m; j++)
            sum += pow(columns ? gsl_matrix_get(lambda, j, i) : gsl_matrix_get(lambda, i, j), 2);
        if (sqrt(sum) <= negligible)
            *dropped2 += sum;
        else {
            weight2[count] = sum;
            index[count++] = i;
        }
    }
    return count;
}

static fim_status pick_basis(const fim_reduced *frame, bool inputs, const gsl_matrix *u, const size_t *index,
                             size_t count, const double *weight2, gsl_matrix **out, double *lost2) {
    gsl_matrix *picked = NULL;
    double *outside = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(u->size1, count, "a part of a basis", &picked));
    FIM_TRY(fim_matrix_new(inputs ? fim_reduced_d_a(frame) : fim_reduced_d_g(frame), count,
                           "a basis in a frame", out));
    FIM_TRY(fim_alloc(count, sizeof *outside, "what is outside a frame", &outside));
    for (size_t i = 0; i < u->size1; i++)
        for (size_t j = 0; j < count; j++)
            gsl_matrix_set(picked, i, j, gsl_matrix_get(u, i, index[j]));
    FIM_TRY((inputs ? fim_reduced_inputs : fim_reduced_outputs)(frame, picked, *out, outside));
    for (size_t j = 0; j < count; j++)
        *lost2 += outside[j] * weight2[j];
out:
    gsl_matrix_free(picked);
    free(outside);
    return status;
}

static fim_status init_basis(small_op *s, const parts *p) {
    const size_t d_a = p->lambda->size1, d_g = p->lambda->size2, most = d_a > d_g ? d_a : d_g;
    size_t *rows = NULL, *columns = NULL;
    double *row_weight2 = NULL, *column_weight2 = NULL, lost2 = 0, dropped2 = 0;
    const double negligible = 1e-14 * fim_matrix_norm(p->lambda);
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(most, sizeof *rows, "a part of a basis", &rows));
    FIM_TRY(fim_alloc(most, sizeof *columns, "a part of a basis", &columns));
    FIM_TRY(fim_alloc(most, sizeof *row_weight2, "a part of a basis", &row_weight2));
    FIM_TRY(fim_alloc(most, sizeof *column_weight2, "a part of a basis", &column_weight2));
    const size_t n_rows = choose(p->lambda, false, negligible, rows, row_weight2, &dropped2);
    const size_t n_columns = choose(p->lambda, true, negligible, columns, column_weight2, &dropped2);
    if (n_rows == 0 || n_rows > fim_reduced_d_a(s->frame) || n_columns > fim_reduced_d_g(s->frame)) {
        status = FIM_FAIL(FIM_ERR_UNAVAILABLE, "a diagonal of (%zu, %zu) is wider than the frame", n_rows,
                          n_columns);
        goto out;
    }
    FIM_TRY(pick_basis(s->frame, true, p->u_a, rows, n_rows, row_weight2, &s->u_a, &lost2));
    FIM_TRY(pick_basis(s->frame, false, p->u_g, columns, n_columns, column_weight2, &s->u_g, &lost2));
    FIM_TRY(fim_matrix_new(n_rows, n_columns, "a diagonal in a frame", &s->lambda));
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_columns; j++)
            gsl_matrix_set(s->lambda, i, j, gsl_matrix_get(p->lambda, rows[i], columns[j]));
    s->lost = 2 * sqrt(lost2) + sqrt(dropped2);
out:
    free(rows);
    free(columns);
    free(row_weight2);
    free(column_weight2);
    return status;
}

// Λ itself at the inputs and outputs of a frame that only picks.
static fim_status init_diagonal(small_op *s, const parts *p) {
    const size_t d_a = fim_reduced_d_a(s->frame), d_g = fim_reduced_d_g(s->frame);
    const size_t rows = p->lambda->size1, columns = p->lambda->size2;
    gsl_matrix *half = NULL, *turned = NULL, *picked = NULL;
    double *outside = NULL, sum = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, columns, "a diagonal in a frame", &half));
    FIM_TRY(fim_matrix_new(columns, d_a, "a diagonal in a frame", &turned));
    FIM_TRY(fim_matrix_new(d_g, d_a, "a diagonal in a frame", &picked));
    FIM_TRY(fim_matrix_new(d_a, d_g, "a diagonal in a frame", &s->lambda));
    FIM_TRY(fim_alloc(rows > columns ? rows : columns, sizeof *outside, "what is outside a frame", &outside));
    FIM_TRY(fim_reduced_inputs(s->frame, p->lambda, half, outside));
    for (size_t j = 0; j < columns; j++)
        sum += outside[j];
    gsl_matrix_transpose_memcpy(turned, half);
    FIM_TRY(fim_reduced_outputs(s->frame, turned, picked, outside));
    for (size_t j = 0; j < d_a; j++)
        sum += outside[j];
    gsl_matrix_transpose_memcpy(s->lambda, picked);
    s->lost = sqrt(sum);
out:
    gsl_matrix_free(half);
    gsl_matrix_free(turned);
    gsl_matrix_free(picked);
    free(outside);
    return status;
}

fim_status small_op_init(small_op *s, const fim_op *op, const fim_reduced *frame) {
    parts p = {0};
    *s = (small_op){.frame = frame};
    fim_status status = fim_op_visit(op, collect, &p);
    if (status == FIM_OK && !p.other && p.terms > 0)
        status = init_terms(s, &p);
    else if (status == FIM_OK && !p.other && p.u_a != NULL && p.u_g != NULL)
        status = init_basis(s, &p);
    else if (status == FIM_OK && !p.other && p.u_a == NULL && p.u_g == NULL && p.lambda != NULL &&
             !fim_reduced_rotated(frame))
        status = init_diagonal(s, &p);
    else if (status == FIM_OK)
        status = FIM_FAIL(FIM_ERR_UNAVAILABLE, "an operator that cannot be seen in this frame");
    return status;
}

fim_status small_op_turned(const small_op *s, small_op *out) {
    gsl_matrix *u_a = NULL, *u_g = NULL;
    gsl_vector *values_a = NULL, *values_g = NULL;
    fim_status status = FIM_OK;
    *out = (small_op){.frame = s->frame, .lost = s->lost};
    FIM_TRY(fim_matrix_copy(s->a[0], "eigenvectors of a factor", &u_a));
    FIM_TRY(fim_matrix_copy(s->g[0], "eigenvectors of a factor", &u_g));
    FIM_TRY(fim_vector_new(u_a->size1, "eigenvalues of a factor", &values_a));
    FIM_TRY(fim_vector_new(u_g->size1, "eigenvalues of a factor", &values_g));
    FIM_TRY(fim_eigen(u_a, values_a));
    FIM_TRY(fim_eigen(u_g, values_g));
    FIM_TRY(fim_matrix_new(u_a->size1, u_g->size1, "a diagonal term", &out->lambda));
    gsl_blas_dger(1, values_a, values_g, out->lambda);
    FIM_TRY(fim_alloc(s->terms - 1, sizeof *out->a, "a turned operator", &out->a));
    FIM_TRY(fim_alloc(s->terms - 1, sizeof *out->g, "a turned operator", &out->g));
    out->terms = s->terms - 1;
    for (size_t k = 0; k < out->terms; k++) {
        FIM_TRY(fim_matrix_turned(s->a[k + 1], u_a, "a turned factor", &out->a[k]));
        FIM_TRY(fim_matrix_turned(s->g[k + 1], u_g, "a turned factor", &out->g[k]));
    }
out:
    gsl_matrix_free(u_a);
    gsl_matrix_free(u_g);
    gsl_vector_free(values_a);
    gsl_vector_free(values_g);
    if (status != FIM_OK)
        small_op_clear(out);
    return status;
}

void small_op_apply(const small_op *s, double alpha, const gsl_matrix *x, double beta, gsl_matrix *half,
                    gsl_matrix *inside, gsl_matrix *y) {
    for (size_t k = 0; k < s->terms; k++) {
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, s->a[k], x, 0, half);
        gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, alpha, half, s->g[k], k > 0 ? 1 : beta, y);
    }
    if (s->lambda == NULL)
        return;
    if (s->u_a == NULL) {
        const double kept = s->terms > 0 ? 1 : beta;
        for (size_t i = 0; i < x->size1; i++)
            for (size_t j = 0; j < x->size2; j++) {
                double *to = y->data + i * y->tda + j;
                *to = (kept != 0 ? kept * *to : 0) +
                      alpha * s->lambda->data[i * s->lambda->tda + j] * x->data[i * x->tda + j];
            }
        return;
    }
    const size_t rows = s->lambda->size1, columns = s->lambda->size2;
    gsl_matrix_view left = gsl_matrix_submatrix(half, 0, 0, rows, x->size2);
    gsl_matrix_view middle = gsl_matrix_submatrix(inside, 0, 0, rows, columns);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, s->u_a, x, 0, &left.matrix);
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, &left.matrix, s->u_g, 0, &middle.matrix);
    gsl_matrix_mul_elements(&middle.matrix, s->lambda);
    gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &middle.matrix, s->u_g, 0, &left.matrix);
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, alpha, s->u_a, &left.matrix, beta, y);
}
