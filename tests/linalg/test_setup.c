// Who answers the calls of the BLAS, and with how many threads.
#define _GNU_SOURCE // dladdr, RTLD_DEFAULT
#include <dlfcn.h>
#include <gsl/gsl_errno.h>
#include <omp.h>

#include "fim/linalg.h"
#include "support.h"

Test(setup, openblas_answers_not_the_slow_library_of_gsl) {
    static const char *const names[] = {"cblas_dgemm", "cblas_dsyrk", "cblas_ddot", "cblas_dgemv"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Dl_info where = {0};
        void *address = dlsym(RTLD_DEFAULT, names[i]);
        cr_assert(address != NULL && dladdr(address, &where) != 0, "%s", names[i]);
        cr_assert(strstr(where.dli_fname, "openblas") != NULL, "%s comes from %s", names[i], where.dli_fname);
    }
    char text[256], small[8];
    fim_linalg_describe(text, sizeof text);
    cr_assert(strstr(text, "OpenBLAS") != NULL && strstr(text, "kernels") != NULL, "%s", text);
    cr_assert(strstr(text, "gslcblas") == NULL, "%s", text);
    cr_assert(strlen(fim_linalg_describe(small, sizeof small)) == 7, "a text that is too long is cut");
}

Test(setup, threads_are_those_asked_for) {
    fim_linalg_setup(2);
    cr_assert(fim_linalg_threads() == 2 && omp_get_max_threads() == 2);
    fim_linalg_setup(1);
    cr_assert(fim_linalg_threads() == 1 && omp_get_max_threads() == 1);
    fim_linalg_setup(0);
    cr_assert(fim_linalg_threads() == 1 && omp_get_max_threads() == 1, "0 keeps what is");
}

Test(setup, gsl_returns_instead_of_aborting) {
    fim_linalg_setup(1);
    gsl_matrix *a = gsl_matrix_calloc(2, 2), *b = gsl_matrix_calloc(3, 3);
    cr_assert(gsl_matrix_memcpy(a, b) == GSL_EBADLEN);
}
