// fim/real.h - for sources that are compiled twice: as they stand for float64, and with -DFIM_SINGLE for
// float32. They write `real` for the number, REAL_MATRIX for its GSL matrix, REAL(name) for the name of a
// type or function that exists in both precisions, and call mathematical functions by their generic names.
#ifndef FIM_REAL_H
#define FIM_REAL_H

#include <gsl/gsl_blas.h>
#include <gsl/gsl_matrix.h>
#include <tgmath.h>

#ifdef FIM_SINGLE
typedef float real;
typedef gsl_matrix_float REAL_MATRIX;
#define REAL(name)     name##_single
#define REAL_GSL(name) gsl_matrix_float_##name
#define REAL_GEMM      gsl_blas_sgemm
#else
typedef double real;
typedef gsl_matrix REAL_MATRIX;
#define REAL(name)     name
#define REAL_GSL(name) gsl_matrix_##name
#define REAL_GEMM      gsl_blas_dgemm
#endif

#endif
