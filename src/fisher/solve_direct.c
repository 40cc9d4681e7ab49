// The direct ways to solve with F + λ I: by Cholesky factors of the damped Gram matrix of the rows, of one
// block per output, or of F.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "solve.h"

// Rows of a Cholesky factor, n³/3 flops: some seconds.
enum { DIRECT_ROWS = 10000 };

// `copies` matrices of n rows.
static bool affordable(size_t n, size_t copies, size_t budget) {
    const double flops = (double)copies * (double)n * (double)n * (double)n,
                 most = (double)DIRECT_ROWS * DIRECT_ROWS * DIRECT_ROWS;
    return flops <= most && fim_size_mul(fim_size_mul(fim_size_mul(n, n), copies), sizeof(double)) <= budget;
}

static fim_status new_factors(fim_solver *s, size_t count, size_t rows) {
    fim_status status = fim_alloc(count, sizeof *s->factor, "factors", &s->factor);
    if (status != FIM_OK)
        return status;
    s->factors = count;
    for (size_t k = 0; k < count; k++)
        FIM_TRY(fim_matrix_new(rows, rows, "a Cholesky factor", &s->factor[k]));
out:
    return status;
}

// factor[k] = L with m + λ I = L Lᵀ.
static fim_status factor_damped(fim_solver *s, const gsl_matrix *m, size_t k) {
    gsl_matrix *l = s->factor[k];
    gsl_matrix_memcpy(l, m);
    gsl_vector_view diagonal = gsl_matrix_diagonal(l);
    gsl_vector_add_constant(&diagonal.vector, s->damping);
    return fim_cholesky(l);
}

static fim_status damp_part(fim_solver *s) {
    return factor_damped(s, s->part, 0);
}

// ---- By rows: (WᵀW + λI)⁻¹ x = (x − Wᵀ (WWᵀ + λI)⁻¹ W x)/λ ----

static bool gram_fits(const fim_fisher *f, const fim_solver_options *options) {
    const fim_samples *s = f->class->samples(f);
    if (s == NULL || s->g == NULL)
        return false;
    const size_t rows = fim_size_mul(s->n, s->columns);
    return rows < fim_size_mul(f->d_a, f->d_g) && rows <= DIRECT_ROWS && affordable(rows, 2, options->budget);
}

static fim_status gram_prepare(fim_solver *s) {
    const fim_samples *samples = s->f->class->samples(s->f);
    const size_t rows = samples->n * samples->columns;
    fim_status status = fim_matrix_new(rows, rows, "a Gram matrix", &s->part);
    if (status == FIM_OK)
        status = samples_gram(samples, s->part);
    return status == FIM_OK ? new_factors(s, 1, rows) : status;
}

static fim_status gram_solve(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info) {
    (void)info;
    const fim_samples *samples = s->f->class->samples(s->f);
    const size_t columns = samples->columns, rows = samples->n * columns, d_g = samples->d_g;
    const double scale = 1 / sqrt((double)samples->n);
    gsl_matrix *t = NULL, *z = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(samples->n, d_g, "a product with the samples", &t));
    FIM_TRY(fim_matrix_new(1, rows, "a product with the rows", &z));
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, scale, samples->a, x, 0, t);
    for (size_t r = 0; r < rows; r++)
        z->data[r] = cblas_ddot((int)d_g, t->data + r / columns * t->tda, 1,
                                samples->g->data + r * samples->g->tda, 1);
    FIM_TRY(fim_cholesky_solve(s->factor[0], z));
    gsl_matrix_set_zero(t);
    for (size_t r = 0; r < rows; r++)
        cblas_daxpy((int)d_g, z->data[r], samples->g->data + r * samples->g->tda, 1,
                    t->data + r / columns * t->tda, 1);
    gsl_matrix_memcpy(y, x);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, -scale / s->damping, samples->a, t, 1 / s->damping, y);
out:
    gsl_matrix_free(t);
    gsl_matrix_free(z);
    return status;
}

static double gram_log_det(const fim_solver *s) {
    const double zeros = (double)(s->f->d_a * s->f->d_g) - (double)s->part->size1;
    return fim_cholesky_log_det(s->factor[0]) + zeros * log(s->damping);
}

static void gram_tell(const fim_solver *s, char route[static 64]) {
    snprintf(route, 64, "Gram matrix of the %zu rows", s->part->size1);
}

const solver_way solver_gram = {.fits = gram_fits,
                                .prepare = gram_prepare,
                                .damp = damp_part,
                                .solve = gram_solve,
                                .log_det = gram_log_det,
                                .tell = gram_tell,
                                .direct = true};

// ---- By outputs: with diagonal G_n, output j has the block (1/N) Σ_n G_n,jj a_n a_nᵀ ----

static bool outputs_fit(const fim_fisher *f, const fim_solver_options *options) {
    const fim_samples *s = f->class->samples(f);
    return s != NULL && s->diagonal != NULL && affordable(f->d_a, fim_size_add(f->d_g, 1), options->budget);
}

static fim_status outputs_prepare(fim_solver *s) {
    return new_factors(s, s->f->d_g, s->f->d_a);
}

static fim_status outputs_damp(fim_solver *s) {
    const fim_samples *samples = s->f->class->samples(s->f);
    gsl_vector *w = NULL;
    gsl_matrix *block = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(samples->n, "weights of samples", &w));
    FIM_TRY(fim_matrix_new(samples->d_a, samples->d_a, "the block of an output", &block));
    for (size_t j = 0; j < samples->d_g; j++) {
        for (size_t n = 0; n < samples->n; n++)
            gsl_vector_set(w, n, gsl_matrix_get(samples->diagonal, n, j) / (double)samples->n);
        FIM_TRY(rows_sum(samples->a, 1, w->data, block));
        FIM_TRY(factor_damped(s, block, j));
    }
out:
    gsl_vector_free(w);
    gsl_matrix_free(block);
    return status;
}

static fim_status outputs_solve(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info) {
    (void)info;
    gsl_matrix *column = NULL;
    fim_status status = fim_matrix_new(1, x->size1, "the parameters of an output", &column);
    for (size_t j = 0; status == FIM_OK && j < x->size2; j++) {
        gsl_vector_const_view from = gsl_matrix_const_column(x, j);
        gsl_vector_view to = gsl_matrix_column(y, j), row = gsl_matrix_row(column, 0);
        gsl_vector_memcpy(&row.vector, &from.vector);
        status = fim_cholesky_solve(s->factor[j], column);
        gsl_vector_memcpy(&to.vector, &row.vector);
    }
    gsl_matrix_free(column);
    return status;
}

static double factors_log_det(const fim_solver *s) {
    double sum = 0;
    for (size_t k = 0; k < s->factors; k++)
        sum += fim_cholesky_log_det(s->factor[k]);
    return sum;
}

static void outputs_tell(const fim_solver *s, char route[static 64]) {
    snprintf(route, 64, "%zu x %zu blocks of the %zu independent outputs", s->f->d_a, s->f->d_a, s->f->d_g);
}

const solver_way solver_outputs = {.fits = outputs_fit,
                                   .prepare = outputs_prepare,
                                   .damp = outputs_damp,
                                   .solve = outputs_solve,
                                   .log_det = factors_log_det,
                                   .tell = outputs_tell,
                                   .direct = true};

// ---- The dense block ----

static bool dense_fits(const fim_fisher *f, const fim_solver_options *options) {
    const size_t d = fim_size_mul(f->d_a, f->d_g);
    return d <= DIRECT_ROWS && affordable(d, 3, options->budget); // the rearranged block on the way
}

static fim_status dense_prepare(fim_solver *s) {
    const size_t d = s->f->d_a * s->f->d_g;
    fim_status status = fim_matrix_new(d, d, "a dense Fisher block", &s->part);
    if (status == FIM_OK)
        status = fim_fisher_dense(s->f, s->part);
    return status == FIM_OK ? new_factors(s, 1, d) : status;
}

static fim_status dense_solve(fim_solver *s, const gsl_matrix *x, gsl_matrix *y, fim_solve_info *info) {
    (void)info;
    gsl_matrix *flat = NULL;
    fim_status status = fim_matrix_copy(x, "a right side", &flat);
    if (status != FIM_OK)
        return status;
    gsl_matrix_view row = gsl_matrix_view_array(flat->data, 1, x->size1 * x->size2);
    status = fim_cholesky_solve(s->factor[0], &row.matrix);
    if (status == FIM_OK)
        gsl_matrix_memcpy(y, flat);
    gsl_matrix_free(flat);
    return status;
}

static void dense_tell(const fim_solver *s, char route[static 64]) {
    snprintf(route, 64, "Cholesky factor of the %zu parameters", s->part->size1);
}

const solver_way solver_dense = {.fits = dense_fits,
                                 .prepare = dense_prepare,
                                 .damp = damp_part,
                                 .solve = dense_solve,
                                 .log_det = factors_log_det,
                                 .tell = dense_tell,
                                 .direct = true};
