// Dense symmetric eigenvalues, singular values and the triangular factor, by LAPACK. A row-major matrix is
// handed over as its transpose, which costs nothing: a symmetric matrix is its own, and singular values do
// not change.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "lapack.h"

// From this size on the two-stage reduction to tridiagonal form (values only) beats the classic one, whose
// half of the flops are matrix-vector products bound by memory.
enum { TWO_STAGE_FROM = 2000 };

fim_status lapack_check(lapack_int info, const char *routine, size_t rows, size_t columns) {
    if (info == 0)
        return FIM_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s of a %zu x %zu matrix: no memory for its workspace", routine,
                        rows, columns);
    return FIM_FAIL(FIM_ERR_NUMERIC, "%s of a %zu x %zu matrix failed (info %d): %s", routine, rows, columns,
                    (int)info, info < 0 ? "the matrix holds NaN" : "the iteration did not converge");
}

void lapack_decreasing(gsl_matrix *vectors, gsl_vector *values) {
    gsl_matrix_transpose(vectors); // LAPACK's columns are our rows
    gsl_vector_reverse(values);
    for (size_t i = 0; i < values->size / 2; i++)
        gsl_matrix_swap_columns(vectors, i, values->size - 1 - i);
}

// The rows of a symmetric matrix (lower triangle read) that hold anything: a dead unit's do not, and would be
// paid for with the cube. Moves them to the front of m; returns how many there are.
static size_t compact(gsl_matrix *m, bool *live, size_t *index) {
    size_t count = 0;
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j <= i; j++)
            if (m->data[i * m->tda + j] != 0)
                live[i] = live[j] = true;
    for (size_t i = 0; i < m->size1; i++)
        if (live[i])
            index[count++] = i;
    for (size_t i = 0; count < m->size1 && i < count; i++) // never writes past an entry still to be read
        for (size_t j = 0; j <= i; j++)
            m->data[i * m->tda + j] = m->data[index[i] * m->tda + index[j]];
    return count;
}

// Where the zeros of the rows left out belong in the decreasing `values`, of which `count` are there: they
// move the rest back.
static size_t insert_zeros(gsl_vector *values, size_t count) {
    const size_t n = values->size;
    size_t place = 0;
    while (place < count && gsl_vector_get(values, place) >= 0)
        place++;
    for (size_t i = count; i-- > place;)
        gsl_vector_set(values, i + n - count, gsl_vector_get(values, i));
    for (size_t i = place; i < place + n - count; i++)
        gsl_vector_set(values, i, 0);
    return place;
}

// Spreads the eigenvectors of the leading `count` rows over all of m; unit vectors stand at the zeros.
static void expand(gsl_matrix *m, const bool *live, const size_t *index, size_t count, size_t place) {
    const size_t n = m->size1, zeros = n - count;
    for (size_t i = count; i-- > 0;) {
        const double *from = m->data + i * m->tda;
        double *to = m->data + index[i] * m->tda; // at or behind `from`, which nobody reads again
        for (size_t j = count; j-- > 0;)
            to[j < place ? j : j + zeros] = from[j];
        for (size_t j = place; j < place + zeros; j++)
            to[j] = 0;
    }
    for (size_t i = 0, next = place; i < n; i++)
        if (!live[i]) {
            for (size_t j = 0; j < n; j++)
                m->data[i * m->tda + j] = 0;
            m->data[i * m->tda + next++] = 1;
        }
}

// Copies the lower triangle into the upper one, tile by tile.
static void reflect(gsl_matrix *m) {
    enum { TILE = 64 };
    const size_t n = m->size1;
    for (size_t i = 0; i < n; i += TILE)
        for (size_t j = 0; j <= i; j += TILE)
            for (size_t r = i; r < n && r < i + TILE; r++)
                for (size_t c = j; c < r && c < j + TILE; c++)
                    m->data[c * m->tda + r] = m->data[r * m->tda + c];
}

// The stages of LAPACK's dsytrd_2stage, which lapack.h does not declare: to a band, and to tridiagonal form.
void LAPACK_GLOBAL(dsytrd_sy2sb, DSYTRD_SY2SB)(const char *uplo, const lapack_int *n, const lapack_int *kd,
                                               double *a, const lapack_int *lda, double *ab,
                                               const lapack_int *ldab, double *tau, double *work,
                                               const lapack_int *lwork, lapack_int *info, size_t uplo_length);
void LAPACK_GLOBAL(dsytrd_sb2st, DSYTRD_SB2ST)(const char *stage1, const char *vect, const char *uplo,
                                               const lapack_int *n, const lapack_int *kd, double *ab,
                                               const lapack_int *ldab, double *d, double *e, double *hous,
                                               const lapack_int *lhous, double *work, const lapack_int *lwork,
                                               lapack_int *info, size_t stage1_length, size_t vect_length,
                                               size_t uplo_length);

// The first stage works on panels as wide as the band, and is the faster the wider they are; the second takes
// 6 n² times the width. dsytrd_2stage has 32 whatever n is: with 64, 7680 rows take a fifth less.
static lapack_int band_width(size_t n) {
    return n < 4000 ? 32 : n < 6000 ? 48 : 64;
}

// The largest |entry| of the lower triangle; NAN where one is no finite number.
static double largest_entry(const gsl_matrix *m) {
    double largest = 0;
    for (size_t i = 0; i < m->size1; i++)
        for (size_t j = 0; j <= i; j++) {
            const double entry = fabs(m->data[i * m->tda + j]);
            if (!(entry <= DBL_MAX))
                return NAN;
            largest = entry > largest ? entry : largest;
        }
    return largest;
}

// Eigenvalues of m, increasing, by both stages. Far from 1 its squares would not be numbers any more.
static fim_status two_stages(gsl_matrix *m, gsl_vector *values) {
    const lapack_int n = (lapack_int)m->size1, lda = (lapack_int)m->tda, width = band_width(m->size1),
                     ldab = width + 1, ask = -1;
    gsl_matrix *band = NULL;
    double *tau = NULL, *off = NULL, *work = NULL, *reflectors = NULL, wanted[3];
    const double largest = largest_entry(m), scale = largest < 1e-100 || largest > 1e100 ? largest : 1;
    lapack_int info = isnan(largest) ? -4 : 0, sizes[3];
    fim_status status = FIM_OK;
    FIM_TRY(lapack_check(info, "dsytrd_sy2sb", m->size1, m->size1));
    LAPACK_GLOBAL(dsytrd_sy2sb, DSYTRD_SY2SB)
    ("L", &n, &width, NULL, &lda, NULL, &ldab, NULL, &wanted[0], &ask, &info, 1);
    FIM_TRY(lapack_check(info, "dsytrd_sy2sb", m->size1, m->size1));
    LAPACK_GLOBAL(dsytrd_sb2st, DSYTRD_SB2ST)
    ("Y", "N", "L", &n, &width, NULL, &ldab, NULL, NULL, &wanted[1], &ask, &wanted[2], &ask, &info, 1, 1, 1);
    FIM_TRY(lapack_check(info, "dsytrd_sb2st", m->size1, m->size1));
    for (size_t i = 0; i < 3; i++)
        sizes[i] = (lapack_int)wanted[i];
    const lapack_int most = sizes[0] > sizes[2] ? sizes[0] : sizes[2];
    FIM_TRY(fim_matrix_new(m->size1, (size_t)ldab, "the band of a matrix", &band));
    FIM_TRY(fim_alloc(m->size1, sizeof *tau, "reflectors", &tau));
    FIM_TRY(fim_alloc(m->size1, sizeof *off, "a tridiagonal matrix", &off));
    FIM_TRY(fim_alloc((size_t)most, sizeof *work, "a workspace of LAPACK", &work));
    FIM_TRY(fim_alloc((size_t)sizes[1], sizeof *reflectors, "reflectors", &reflectors));
    if (scale > 0 && scale != 1)
        gsl_matrix_scale(m, 1 / scale);
    reflect(m); // OpenBLAS packs a symmetric matrix twice as fast from this side: a quarter of the time
    LAPACK_GLOBAL(dsytrd_sy2sb, DSYTRD_SY2SB)
    ("L", &n, &width, m->data, &lda, band->data, &ldab, tau, work, &sizes[0], &info, 1);
    FIM_TRY(lapack_check(info, "dsytrd_sy2sb", m->size1, m->size1));
    LAPACK_GLOBAL(dsytrd_sb2st, DSYTRD_SB2ST)
    ("Y", "N", "L", &n, &width, band->data, &ldab, values->data, off, reflectors, &sizes[1], work, &sizes[2],
     &info, 1, 1, 1);
    FIM_TRY(lapack_check(info, "dsytrd_sb2st", m->size1, m->size1));
    FIM_TRY(lapack_check(LAPACKE_dsterf(n, values->data, off), "dsterf", m->size1, m->size1));
    if (scale > 0 && scale != 1)
        gsl_vector_scale(values, scale);
out:
    gsl_matrix_free(band);
    free(tau);
    free(off);
    free(work);
    free(reflectors);
    return status;
}

// Eigenvalues, and eigenvectors unless `job` is 'N', of the leading rows of m.
static fim_status solve(char job, gsl_matrix *m, gsl_vector *values) {
    const size_t n = m->size1;
    if (n == 0)
        return FIM_OK;
    fim_status status = job == 'N' && n >= TWO_STAGE_FROM
                            ? two_stages(m, values)
                            : lapack_check(LAPACKE_dsyevd(LAPACK_COL_MAJOR, job, 'U', (lapack_int)n, m->data,
                                                          (lapack_int)m->tda, values->data),
                                           "dsyevd", n, n);
    if (status != FIM_OK)
        return status;
    if (job == 'N')
        gsl_vector_reverse(values);
    else
        lapack_decreasing(m, values);
    return FIM_OK;
}

static fim_status eigen(char job, gsl_matrix *m, gsl_vector *values) {
    const size_t n = m->size1;
    bool *live = NULL;
    size_t *index = NULL;
    fim_status status = FIM_OK;
    if (m->size2 != n || values->size != n || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s of a %zu x %zu matrix into %zu values",
                        job == 'N' ? "eigenvalues" : "eigenvectors", m->size1, m->size2, values->size);
    if (n == 0)
        return FIM_OK;
    FIM_TRY(fim_alloc(n, sizeof *live, "live rows", &live));
    FIM_TRY(fim_alloc(n, sizeof *index, "live rows", &index));
    const size_t count = compact(m, live, index);
    gsl_matrix part = *m;
    gsl_vector leading = *values;
    part.size1 = part.size2 = leading.size = count;
    FIM_TRY(solve(job, &part, &leading));
    if (count < n) {
        const size_t place = insert_zeros(values, count);
        if (job != 'N')
            expand(m, live, index, count, place);
    }
out:
    free(live);
    free(index);
    return status;
}

fim_status fim_eigen(gsl_matrix *m, gsl_vector *values) {
    return eigen('V', m, values);
}

fim_status fim_eigenvalues(gsl_matrix *m, gsl_vector *values) {
    return eigen('N', m, values);
}

fim_status fim_sort_decreasing(gsl_vector *values) {
    return lapack_check(LAPACKE_dlasrt('D', (lapack_int)values->size, values->data), "dlasrt", values->size,
                        1);
}

fim_status fim_singular_values(gsl_matrix *m, gsl_vector *values) {
    const size_t rows = m->size1, columns = m->size2;
    if (values->size != (rows < columns ? rows : columns) || values->stride != 1)
        return FIM_FAIL(FIM_ERR_SHAPE, "singular values of a %zu x %zu matrix into %zu values", rows, columns,
                        values->size);
    if (values->size == 0)
        return FIM_OK;
    double no_vectors;
    lapack_int info = LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', (lapack_int)columns, (lapack_int)rows, m->data,
                                     (lapack_int)m->tda, values->data, &no_vectors, 1, &no_vectors, 1);
    return lapack_check(info, "dgesdd", rows, columns);
}

fim_status fim_triangular_factor(gsl_matrix *m) {
    const size_t rows = m->size1, columns = m->size2;
    if (rows < columns || columns == 0)
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "the triangular factor of a %zu x %zu matrix: it needs as many rows as columns", rows,
                        columns);
    gsl_vector *tau = NULL;
    fim_status status = fim_vector_new(columns, "Householder reflections", &tau);
    if (status != FIM_OK)
        return status;
    // mᵀ = L Qᵀ in LAPACK's eyes; L, column by column, is Rᵀ in its place.
    lapack_int info = LAPACKE_dgelqf(LAPACK_COL_MAJOR, (lapack_int)columns, (lapack_int)rows, m->data,
                                     (lapack_int)m->tda, tau->data);
    gsl_vector_free(tau);
    status = lapack_check(info, "dgelqf", rows, columns);
    for (size_t i = 1; status == FIM_OK && i < columns; i++)
        for (size_t j = 0; j < i; j++)
            gsl_matrix_set(m, i, j, 0);
    return status;
}

fim_status fim_orthonormal_rows(gsl_matrix *m, gsl_matrix *l) {
    const size_t rows = m->size1, columns = m->size2;
    if (rows > columns || rows == 0 || l->size1 != rows || l->size2 != rows)
        return FIM_FAIL(FIM_ERR_SHAPE, "orthonormal rows of a %zu x %zu matrix, with L of %zu x %zu", rows,
                        columns, l->size1, l->size2);
    gsl_vector *tau = NULL;
    fim_status status = fim_vector_new(rows, "Householder reflections", &tau);
    if (status != FIM_OK)
        return status;
    // mᵀ = Q R in LAPACK's eyes; R, column by column, is L in its place.
    FIM_TRY(lapack_check(LAPACKE_dgeqrf(LAPACK_COL_MAJOR, (lapack_int)columns, (lapack_int)rows, m->data,
                                        (lapack_int)m->tda, tau->data),
                         "dgeqrf", rows, columns));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < rows; j++)
            gsl_matrix_set(l, i, j, j <= i ? gsl_matrix_get(m, i, j) : 0);
    FIM_TRY(lapack_check(LAPACKE_dorgqr(LAPACK_COL_MAJOR, (lapack_int)columns, (lapack_int)rows,
                                        (lapack_int)rows, m->data, (lapack_int)m->tda, tau->data),
                         "dorgqr", rows, columns));
out:
    gsl_vector_free(tau);
    return status;
}
