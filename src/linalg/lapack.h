// What the files that call LAPACK share. A row-major matrix is handed over as its transpose: a symmetric one
// is its own, and LAPACK's upper triangle is our lower one.
#ifndef FIM_LINALG_LAPACK_H
#define FIM_LINALG_LAPACK_H

#include <lapacke.h>

#include "fim/linalg.h"

// The status of a routine that took a (rows, columns) matrix: FIM_ERR_MEMORY without workspace,
// FIM_ERR_NUMERIC for any other info but 0.
fim_status lapack_check(lapack_int info, const char *routine, size_t rows, size_t columns);
// LAPACK's eigenvectors, increasing, as columns in decreasing order.
void lapack_decreasing(gsl_matrix *vectors, gsl_vector *values);

#endif
