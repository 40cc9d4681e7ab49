// How fast this machine is, for plans: a matrix product, and a copy too large for the caches.
#include <gsl/gsl_blas.h>
#include <stdlib.h>

#include "fim/linalg.h"

enum { PRODUCT = 768, COPY = 1 << 22, RUNS = 3 };

fim_status fim_linalg_rates(double *flops, double *bytes) {
    gsl_matrix *x = NULL, *y = NULL;
    double *from = NULL, *to = NULL, product = 0, copy = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(PRODUCT, PRODUCT, "a measurement", &x));
    FIM_TRY(fim_matrix_new(PRODUCT, PRODUCT, "a measurement", &y));
    FIM_TRY(fim_alloc(COPY, sizeof *from, "a measurement", &from));
    FIM_TRY(fim_alloc(COPY, sizeof *to, "a measurement", &to));
    gsl_matrix_set_all(x, 0.5);
    for (size_t i = 0; i < COPY; i++)
        from[i] = to[i] = (double)i; // the pages are there
    for (size_t run = 0; run < RUNS; run++) {
        const double start = fim_clock_seconds();
        gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, x, x, 0, y);
        const double between = fim_clock_seconds();
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < COPY; i++)
            to[i] = from[i];
        const double end = fim_clock_seconds();
        product = run == 0 || between - start < product ? between - start : product; // the first warms up
        copy = run == 0 || end - between < copy ? end - between : copy;
    }
    *flops = 2.0 * PRODUCT * PRODUCT * PRODUCT / product;
    *bytes = 2.0 * COPY * sizeof(double) / copy;
out:
    gsl_matrix_free(x);
    gsl_matrix_free(y);
    free(from);
    free(to);
    return status;
}
