// Files in memory, and the child for HDF5.
#define _GNU_SOURCE // memfd_create
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/io/sandbox.h"
#include "fim/linalg.h"

#ifndef FUZZ_CHILD
#define FUZZ_CHILD false
#endif

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fim_linalg_setup(1);
    fim_io_setup();
    fim_io_sandbox(FUZZ_CHILD);
    return 0;
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    static int file = -1;
    static char path[64];
    if (file < 0) {
        file = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(),
                 file); // also for the child, which keeps none
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        perror("fuzz: a file in memory");
        exit(1);
    }
    return path;
}

static fim_status exchange_nothing(fim_parcel *parcel, void *context) {
    (void)parcel;
    (void)context;
    return FIM_OK;
}

void fuzz_run(const char *path, fim_status (*work)(void *context), void *context) {
    fim_status status =
        fim_sandbox_run(&(fim_sandbox_job){path, FUZZ_BUDGET, work, exchange_nothing}, context);
    // A refusal says in one line what is wrong.
    for (const char *c = status == FIM_OK ? "-" : fim_message(), *begin = c;; c++) {
        if (*c == '\0' && c > begin)
            break;
        if (*c == '\n' || *c == '\0')
            abort();
    }
}
