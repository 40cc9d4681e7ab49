// Threads, error handler, and which BLAS answers.
#define _GNU_SOURCE // dladdr
#include <dlfcn.h>
#include <gsl/gsl_cblas.h>
#include <gsl/gsl_errno.h>
#include <omp.h>
#include <stdio.h>

#include "fim/linalg.h"

// OpenBLAS's own cblas.h cannot meet gsl_cblas.h in one file; these are the functions it adds.
void openblas_set_num_threads(int threads);
int openblas_get_num_threads(void);
char *openblas_get_config(void);
char *openblas_get_corename(void);

void fim_linalg_setup(size_t threads) {
    gsl_set_error_handler_off();
    if (threads > 0) {
        openblas_set_num_threads((int)threads);
        omp_set_num_threads((int)threads);
    }
}

size_t fim_linalg_product_threads(size_t threads) {
    const size_t before = (size_t)openblas_get_num_threads();
    openblas_set_num_threads((int)threads);
    return before;
}

size_t fim_linalg_threads(void) {
    return (size_t)openblas_get_num_threads();
}

const char *fim_linalg_describe(char *buffer, size_t size) {
    Dl_info where = {0};
    void (*gemm)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, int, int, int, double,
                 const double *, int, const double *, int, double, double *, int) = cblas_dgemm;
    void *address;
    _Static_assert(sizeof gemm == sizeof address, "a function's address fits a data pointer (POSIX)");
    __builtin_memcpy(&address, &gemm, sizeof address);
    bool found = dladdr(address, &where) != 0 && where.dli_fname != NULL;
    snprintf(buffer, size, "%s, %s kernels, %s", openblas_get_config(), openblas_get_corename(),
             found ? where.dli_fname : "linked statically");
    return buffer;
}
