// The eigenpairs of a symmetric matrix that are larger than a threshold, when they are few.
//
// How many there are is known before any is computed, by Sylvester's law of inertia: M − τI has as many
// positive eigenvalues as the diagonal blocks of its LDLᵀ factorization (Bunch & Kaufman 1977). So a Lanczos
// process that finds that many has missed none. Cost: n³/3 flops for each of the two ends, then 2n² a
// product.
#include <math.h>
#include <stdlib.h>

#include "lapack.h"

static const double precision = 1e-9;

// Beyond this share of the directions the dense eigensolver is faster than Lanczos.
enum { DENSE_SHARE = 8, LANCZOS_FROM = 200 };

static fim_status apply(const void *context, bool transposed, const double *x, double *y) {
    const gsl_matrix *m = context;
    (void)transposed;
    cblas_dsymv(CblasRowMajor, CblasLower, (int)m->size1, 1, m->data, (int)m->tda, x, 1, 0, y, 1);
    return FIM_OK;
}

static fim_map map_of(const gsl_matrix *m) {
    return (fim_map){.rows = m->size1, .columns = m->size1, .context = m, .apply = apply};
}

static fim_status check_square(const gsl_matrix *m) {
    return m->size1 == m->size2
               ? FIM_OK
               : FIM_FAIL(FIM_ERR_SHAPE, "leading eigenvalues of a %zu x %zu matrix", m->size1, m->size2);
}

fim_status fim_symmetric_norm(const gsl_matrix *m, double *out) {
    const fim_lanczos_options options = {.order = FIM_LANCZOS_MAGNITUDE, .tolerance = 1e-3, .seed = 1};
    fim_map map = map_of(m);
    double value = 0;
    fim_lanczos_info info;
    fim_status status = check_square(m);
    if (status == FIM_OK && m->size1 > 0) {
        gsl_vector_view values = gsl_vector_view_array(&value, 1);
        status = fim_lanczos(&map, 1, &options, &values.vector, NULL, &info);
    }
    if (status == FIM_OK)
        *out = fabs(value) * (1 + 1e-3);
    return status;
}

// The eigenvalues of sign·m above the threshold. A 2 x 2 block of the factorization is indefinite.
static fim_status count_above(const gsl_matrix *m, double sign, double threshold, size_t *out) {
    const size_t n = m->size1;
    gsl_matrix *shifted = NULL;
    lapack_int *pivots = NULL;
    size_t positive = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_copy(m, "a shifted matrix", &shifted));
    FIM_TRY(fim_alloc(n, sizeof *pivots, "pivots", &pivots));
    gsl_matrix_scale(shifted, sign);
    gsl_vector_view diagonal = gsl_matrix_diagonal(shifted);
    gsl_vector_add_constant(&diagonal.vector, -threshold);
    const lapack_int info =
        LAPACKE_dsytrf(LAPACK_COL_MAJOR, 'U', (lapack_int)n, shifted->data, (lapack_int)shifted->tda, pivots);
    if (info <= 0) // a positive one is an exact zero on the diagonal: an eigenvalue at the threshold
        FIM_TRY(lapack_check(info, "dsytrf", n, n));
    for (size_t i = 0; i < n; i++) {
        if (pivots[i] < 0) {
            positive++;
            i++;
        } else if (gsl_vector_get(&diagonal.vector, i) > 0) {
            positive++;
        }
    }
    *out = positive;
out:
    free(pivots);
    gsl_matrix_free(shifted);
    return status;
}

// No eigenvalue of sign·m is above the threshold: the cheapest proof.
static bool none_above(const gsl_matrix *m, double sign, double threshold, gsl_matrix *scratch) {
    gsl_matrix_memcpy(scratch, m);
    gsl_matrix_scale(scratch, -sign);
    gsl_vector_view diagonal = gsl_matrix_diagonal(scratch);
    gsl_vector_add_constant(&diagonal.vector, threshold);
    return fim_cholesky(scratch) == FIM_OK;
}

static fim_status solve_dense(const gsl_matrix *m, gsl_vector *values, gsl_matrix *vectors) {
    const size_t n = m->size1, count = values->size;
    gsl_matrix *all = NULL;
    gsl_vector *spectrum = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_copy(m, "eigenvectors", &all));
    FIM_TRY(fim_vector_new(n, "eigenvalues", &spectrum));
    FIM_TRY(fim_eigen(all, spectrum));
    for (size_t k = 0, high = 0, low = n; k < count; k++) {
        const bool from_low = -gsl_vector_get(spectrum, low - 1) > gsl_vector_get(spectrum, high);
        const size_t from = from_low ? --low : high++;
        gsl_vector_set(values, k, gsl_vector_get(spectrum, from));
        gsl_vector_const_view column = gsl_matrix_const_column(all, from);
        gsl_matrix_set_row(vectors, k, &column.vector);
    }
out:
    gsl_matrix_free(all);
    gsl_vector_free(spectrum);
    return status;
}

fim_status fim_eigen_above(const gsl_matrix *m, double threshold, size_t most, size_t *count,
                           gsl_vector **values, gsl_matrix **vectors) {
    const size_t n = m->size1;
    const fim_lanczos_options options = {.order = FIM_LANCZOS_MAGNITUDE, .tolerance = precision, .seed = 1};
    gsl_matrix *found = NULL;
    gsl_vector *spectrum = NULL;
    size_t ends[2] = {0, 0};
    fim_status status = FIM_OK;
    FIM_TRY(check_square(m));
    FIM_TRY(fim_matrix_new(n, n, "a shifted matrix", &found));
    for (size_t e = 0; e < 2; e++) {
        const double sign = e == 0 ? 1 : -1;
        if (!none_above(m, sign, threshold, found))
            FIM_TRY(count_above(m, sign, threshold, &ends[e]));
    }
    gsl_matrix_free(found);
    found = NULL;
    const size_t sum = ends[0] + ends[1];
    if (sum > 0 && sum <= most) {
        fim_map map = map_of(m);
        fim_lanczos_info info;
        FIM_TRY(fim_matrix_new(sum, n, "eigenvectors", &found));
        FIM_TRY(fim_vector_new(sum, "eigenvalues", &spectrum));
        status = n < LANCZOS_FROM || sum * DENSE_SHARE > n
                     ? FIM_NOT_CONVERGED
                     : fim_lanczos(&map, sum, &options, spectrum, found, &info);
        if (status == FIM_NOT_CONVERGED)
            status = solve_dense(m, spectrum, found);
        FIM_TRY(status);
    }
    *count = sum;
    *values = spectrum;
    *vectors = found;
    return FIM_OK;
out:
    gsl_matrix_free(found);
    gsl_vector_free(spectrum);
    return status;
}
