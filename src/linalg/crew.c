// Independent pieces of work on threads of their own.
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"

typedef struct failure {
    fim_status status;
    char *message; // a thread's message is its own, hence a copy
} failure;

// A cancellation gives way to the failure that it follows from.
static void note(failure *first, fim_status status) {
    if (status == FIM_OK ||
        (first->status != FIM_OK && (first->status != FIM_CANCELLED || status == FIM_CANCELLED)))
        return;
    free(first->message);
    *first = (failure){status, strdup(fim_message())};
}

fim_status fim_side_by_side(size_t count, size_t workers,
                            fim_status (*work)(void *context, size_t worker, size_t i), void *context) {
    failure first = {FIM_OK, NULL};
    if (workers <= 1) {
        fim_status status = FIM_OK;
        for (size_t i = 0; i < count && status == FIM_OK; i++)
            status = work(context, 0, i);
        return status;
    }
    const size_t threads = fim_linalg_product_threads(1);
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)workers)
    for (size_t i = 0; i < count; i++) {
        bool go;
#pragma omp critical(side_by_side)
        go = first.status == FIM_OK;
        const fim_status status = go ? work(context, (size_t)omp_get_thread_num(), i) : FIM_OK;
#pragma omp critical(side_by_side)
        note(&first, status);
    }
    fim_linalg_product_threads(threads);
    if (first.status != FIM_OK)
        first.status = FIM_FAIL(first.status, "%s", first.message != NULL ? first.message : "out of memory");
    free(first.message);
    return first.status;
}
