// The two spectra of a block: its eigenvalues, and the singular values of its rearrangement.
#include <gsl/gsl_blas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core.h"
#include "fim/linalg.h"

// F has the non-zero eigenvalues of its Gram matrix.
static fim_status gram_eigenvalues(const fim_samples *s, size_t budget, gsl_vector **values, char *route) {
    const size_t rows = s->n * s->columns;
    gsl_matrix *gram = NULL;
    gsl_vector *found = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(budget, fim_size_mul(fim_size_mul(rows, rows), sizeof(double)),
                             "the spectrum of the Fisher block by its Gram matrix",
                             "raise --memory, or take fewer samples with --samples"));
    FIM_TRY(fim_matrix_new(rows, rows, "a Gram matrix", &gram));
    FIM_TRY(fim_vector_new(rows, "eigenvalues", &found));
    FIM_TRY(samples_gram(s, gram));
    FIM_TRY(fim_eigenvalues(gram, found));
    sprintf(route, "Gram matrix of the %zu rows", rows);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(gram);
    gsl_vector_free(found);
    return status;
}

// Moves the rows and columns of the live parameters to the front; returns how many there are. F is positive
// semidefinite: a parameter with a zero on the diagonal (a dead unit's) has a zero row, and an eigensolver
// would pay for it.
static size_t compact(gsl_matrix *dense, size_t *index) {
    size_t live = 0;
    for (size_t i = 0; i < dense->size1; i++)
        if (gsl_matrix_get(dense, i, i) != 0)
            index[live++] = i;
    for (size_t i = 0; i < live; i++) // never writes past an entry still to be read
        for (size_t j = 0; j < live; j++)
            dense->data[i * dense->tda + j] = dense->data[index[i] * dense->tda + index[j]];
    return live;
}

static fim_status dense_eigenvalues(const fim_fisher *f, size_t budget, gsl_vector **values, char *route) {
    const size_t d = f->d_a * f->d_g;
    const size_t rearranged = fim_size_mul(fim_svec_size(f->d_a), fim_svec_size(f->d_g));
    gsl_matrix *dense = NULL;
    gsl_vector *found = NULL;
    size_t *index = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(
        budget, fim_size_mul(fim_size_add(fim_size_mul(d, d), fim_size_mul(rearranged, 2)), sizeof(double)),
        "the full spectrum of the Fisher block",
        "raise --memory, or take so few samples that N·C is below the number of parameters"));
    FIM_TRY(fim_matrix_new(d, d, "a dense Fisher block", &dense));
    FIM_TRY(fim_vector_new(d, "eigenvalues", &found));
    FIM_TRY(fim_alloc(d, sizeof *index, "parameter indices", &index));
    FIM_TRY(fim_fisher_dense(f, dense));
    const size_t live = compact(dense, index);
    if (live > 0) {
        gsl_matrix_view part = gsl_matrix_submatrix(dense, 0, 0, live, live);
        gsl_vector_view leading = gsl_vector_subvector(found, 0, live);
        FIM_TRY(fim_eigenvalues(&part.matrix,
                                &leading.vector)); // the rest stay zero, and none is below but by rounding
    }
    sprintf(route, "dense eigensolver, %zu live of %zu", live, d);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(dense);
    gsl_vector_free(found);
    free(index);
    return status;
}

// With diagonal G_n the block falls apart: output j has (1/N) Σ_n G_n,jj a_n a_nᵀ, or the Gram matrix of the
// weighted inputs where there are fewer samples than those.
static fim_status diagonal_eigenvalues(const fim_samples *s, size_t budget, gsl_vector **values,
                                       char *route) {
    const bool gram = s->n < s->d_a;
    const size_t size = gram ? s->n : s->d_a;
    gsl_matrix *weighted = NULL, *part = NULL;
    gsl_vector *found = NULL;
    fim_status status = FIM_OK;
    const size_t numbers =
        fim_size_add(fim_size_mul(s->n, s->d_a), fim_size_mul(size, fim_size_add(size, s->d_g)));
    FIM_TRY(fim_budget_check(budget, fim_size_mul(numbers, sizeof(double)),
                             "the spectrum of independent outputs",
                             "raise --memory, or take fewer samples with --samples"));
    FIM_TRY(fim_matrix_new(s->n, s->d_a, "weighted inputs", &weighted));
    FIM_TRY(fim_matrix_new(size, size, "the block of an output", &part));
    FIM_TRY(fim_vector_new(fim_size_mul(size, s->d_g), "eigenvalues", &found));
    for (size_t j = 0; j < s->d_g; j++) {
        gsl_matrix_memcpy(weighted, s->a);
        for (size_t n = 0; n < s->n; n++) {
            gsl_vector_view row = gsl_matrix_row(weighted, n);
            gsl_vector_scale(&row.vector, sqrt(gsl_matrix_get(s->diagonal, n, j) / (double)s->n));
        }
        gsl_vector_view values_j = gsl_vector_subvector(found, j * size, size);
        gsl_blas_dsyrk(CblasLower, gram ? CblasNoTrans : CblasTrans, 1, weighted, 0, part);
        FIM_TRY(fim_eigenvalues(part, &values_j.vector));
    }
    FIM_TRY(fim_sort_decreasing(found));
    sprintf(route, "%zu x %zu blocks of the %zu independent outputs", size, size, s->d_g);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(weighted);
    gsl_matrix_free(part);
    gsl_vector_free(found);
    return status;
}

// The samples have fewer rows a_n ⊗ g_nc than there are parameters.
static bool fewer_rows(const fim_fisher *f) {
    const fim_samples *s = f->class->samples(f);
    return s != NULL && s->g != NULL && s->n * s->columns < f->d_a * f->d_g;
}

fim_status fim_fisher_eigenvalues(const fim_fisher *f, size_t budget, gsl_vector **values, char *route) {
    const fim_samples *s = f->class->samples(f);
    if (s != NULL && s->diagonal != NULL)
        return diagonal_eigenvalues(s, budget, values, route);
    return fewer_rows(f) ? gram_eigenvalues(s, budget, values, route)
                         : dense_eigenvalues(f, budget, values, route);
}

fim_status fim_fisher_eigen_size(const fim_fisher *f, size_t *rows, bool *gram) {
    const fim_samples *s = f->class->samples(f);
    gsl_matrix *diagonal = NULL;
    fim_status status = FIM_OK;
    size_t count = 0;
    if (fewer_rows(f)) {
        count = s->n * s->columns;
    } else if (s == NULL || s->diagonal == NULL) { // dense, where `compact` leaves the live ones
        FIM_TRY(fim_matrix_new(f->d_a, f->d_g, "the diagonal of a Fisher block", &diagonal));
        FIM_TRY(fim_fisher_diagonal(f, NULL, NULL, diagonal));
        for (size_t i = 0; i < f->d_a * f->d_g; i++)
            count += diagonal->data[i] != 0;
    }
    *rows = count;
    *gram = fewer_rows(f);
out:
    gsl_matrix_free(diagonal);
    return status;
}

// All singular values of Rs itself, to rounding.
static fim_status packed_singular_values(const fim_fisher *f, size_t budget, gsl_vector **values,
                                         char *route) {
    const size_t p_a = fim_svec_size(f->d_a), p_g = fim_svec_size(f->d_g);
    gsl_matrix *rs = NULL;
    gsl_vector *found = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(budget, fim_size_mul(fim_size_mul(p_a, p_g), 2 * sizeof(double)),
                             "the Kronecker spectrum",
                             "raise --memory, or take fewer samples than the smaller of p_a and p_g"));
    FIM_TRY(fim_matrix_new(p_a, p_g, "the rearranged block", &rs));
    FIM_TRY(fim_vector_new(p_a < p_g ? p_a : p_g, "Kronecker singular values", &found));
    FIM_TRY(fim_fisher_packed(f, rs));
    FIM_TRY(fim_singular_values(rs, found));
    sprintf(route, "singular values of the rearranged block (%zu x %zu)", p_a, p_g);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(rs);
    gsl_vector_free(found);
    return status;
}

// Those of the core, which has them all: at most N.
static fim_status core_singular_values(const fim_fisher *f, size_t budget, gsl_vector **values, char *route) {
    core *c = f->class->core(f);
    const fim_samples *s = f->class->samples(f);
    gsl_matrix *copy = NULL;
    gsl_vector *found = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(budget, fim_size_mul(fim_size_mul(s->n, s->n), 8 * sizeof(double)),
                             "the Kronecker spectrum",
                             "raise --memory, or take fewer samples with --samples"));
    FIM_TRY(core_factors(c, s));
    FIM_TRY(fim_matrix_copy(c->s, "the core of a Fisher block", &copy));
    FIM_TRY(fim_vector_new(copy->size1 < copy->size2 ? copy->size1 : copy->size2, "Kronecker singular values",
                           &found));
    FIM_TRY(fim_singular_values(copy, found));
    sprintf(route, "two Gram matrices of %zu samples, resolved to 1e-8 of the largest", s->n);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(copy);
    gsl_vector_free(found);
    return status;
}

fim_status fim_fisher_kronecker_values(const fim_fisher *f, size_t budget, gsl_vector **values, char *route) {
    const fim_samples *s = f->class->samples(f);
    const size_t p_a = fim_svec_size(f->d_a), p_g = fim_svec_size(f->d_g);
    if (s != NULL && s->n < p_a && s->n < p_g)
        return core_singular_values(f, budget, values, route);
    return packed_singular_values(f, budget, values, route);
}

fim_status fim_fisher_leading_kronecker_values(const fim_fisher *f, size_t k, size_t budget, uint64_t seed,
                                               gsl_vector **values, char *route) {
    const size_t p_a = fim_svec_size(f->d_a), p_g = fim_svec_size(f->d_g), most = p_a < p_g ? p_a : p_g;
    const size_t rank = most < f->n ? most : f->n,
                 pair = fim_size_mul(fim_size_add(p_a, p_g), sizeof(double));
    const size_t fit = budget / pair,
                 extra = 20; // pairs of vectors: a basis of 2k + 20, and k for the result
    const fim_gkl_options options = {.tolerance = 1e-8, .seed = seed};
    gsl_matrix *u = NULL, *v = NULL;
    gsl_vector *found = NULL;
    fim_gkl_info info = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_budget_check(budget, fim_size_mul(3 + extra, pair), "a leading Kronecker singular value",
                             "raise --memory"));
    k = k < rank ? k : rank;
    k = 3 * k + extra < fit ? k : (fit - extra) / 3;
    FIM_TRY(fim_matrix_new(k, p_a, "left singular vectors", &u));
    FIM_TRY(fim_matrix_new(k, p_g, "right singular vectors", &v));
    FIM_TRY(fim_vector_new(k, "Kronecker singular values", &found));
    FIM_TRY(fim_fisher_triplets(f, 0, NULL, NULL, k, &options, u, found, v, &info));
    sprintf(route, "leading %zu by products with R(F), %zu of them, residual %.0e", k, info.products,
            info.residual);
    *values = found;
    found = NULL;
out:
    gsl_matrix_free(u);
    gsl_matrix_free(v);
    gsl_vector_free(found);
    return status;
}
