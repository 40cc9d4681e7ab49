// Who answers the calls of the BLAS, and with how many threads.
#define _GNU_SOURCE // dladdr, RTLD_DEFAULT
#include <dlfcn.h>
#include <gsl/gsl_errno.h>
#include <omp.h>
#include <sched.h>

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

// ---- Work side by side ----

typedef struct errands {
    size_t done[20]; // how often
    size_t threads;  // of OpenBLAS meanwhile, at most
    size_t fail_at;
    bool busy[3], clash; // two had the same worker at a time
} errands;

static fim_status errand(void *context, size_t worker, size_t i) {
    errands *e = context;
#pragma omp critical
    {
        e->clash |= worker >= 3 || e->busy[worker];
        e->busy[worker] = true;
        e->done[i]++;
        e->threads = fim_linalg_threads() > e->threads ? fim_linalg_threads() : e->threads;
    }
    for (size_t k = 0; k < 100; k++) // the others come meanwhile
        sched_yield();
#pragma omp critical
    e->busy[worker] = false;
    return i == e->fail_at ? FIM_FAIL(FIM_ERR_VALUE, "errand %zu fails", i) : FIM_OK;
}

Test(setup, work_side_by_side_is_done_once_on_one_thread_each) {
    for (size_t workers = 0; workers <= 3; workers++) {
        errands e = {.fail_at = SIZE_MAX};
        fim_linalg_setup(3);
        TEST_OK(fim_side_by_side(20, workers, errand, &e));
        for (size_t i = 0; i < 20; i++)
            cr_assert(e.done[i] == 1, "errand %zu by %zu: %zu times", i, workers, e.done[i]);
        cr_assert(e.clash == false, "two of %zu workers are one", workers);
        cr_assert(e.threads == (workers > 1 ? 1 : 3) && fim_linalg_threads() == 3, "%zu", e.threads);
    }
}

Test(setup, the_failure_of_one_ends_the_work_and_tells_why) {
    for (size_t workers = 1; workers <= 3; workers++) {
        errands e = {.fail_at = 4};
        fim_linalg_setup(3);
        TEST_FAILS(fim_side_by_side(20, workers, errand, &e), FIM_ERR_VALUE, "errand 4 fails");
        size_t begun = 0;
        for (size_t i = 0; i < 20; i++)
            begun += e.done[i];
        cr_assert(begun >= 5 && (workers > 1 || begun == 5), "%zu begun", begun);
        cr_assert(fim_linalg_threads() == 3);
    }
}

// A cancellation that follows from a failure may be heard of first. Two begin before either has ended: each
// waits for the other.
static fim_status meet(void *context, size_t worker, size_t i) {
    (void)worker;
    size_t *arrived = context, seen = 0;
#pragma omp atomic
    ++*arrived;
    while (seen < 2 && omp_get_num_threads() > 1) {
#pragma omp atomic read
        seen = *arrived;
    }
    return i == 0 ? FIM_FAIL(FIM_CANCELLED, "cancelled") : FIM_FAIL(FIM_ERR_VALUE, "the reason");
}

Test(setup, a_cancellation_gives_way_to_its_reason) {
    fim_linalg_setup(2);
    for (size_t k = 0; k < 200; k++) {
        size_t arrived = 0;
        TEST_FAILS(fim_side_by_side(2, 2, meet, &arrived), FIM_ERR_VALUE, "the reason");
    }
}
