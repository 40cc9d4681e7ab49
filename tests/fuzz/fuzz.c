// The file that is read, and the child for HDF5.
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
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

size_t fuzz_taken;

// A file with a name in a folder: libhdf5 asks for the real path of what it opens, which a file without a
// name has none of.
static char name[4096];
static int file = -1;

static void remove_file(void) {
    unlink(name);
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    if (file < 0) {
        const char *folder = getenv("TMPDIR");
        snprintf(name, sizeof name, "%s/fim-fuzz-XXXXXX", folder != NULL ? folder : "/tmp");
        file = mkstemp(name);
        atexit(remove_file);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        perror("fuzz: a file to read");
        exit(1);
    }
    return name;
}

static fim_status exchange_nothing(fim_parcel *parcel, void *context) {
    (void)parcel;
    (void)context;
    return FIM_OK;
}

void fuzz_judge(fim_status status) {
    // A refusal says in one line what is wrong.
    for (const char *c = status == FIM_OK ? "-" : fim_message(), *begin = c;; c++) {
        if (*c == '\0' && c > begin)
            break;
        if (*c == '\n' || *c == '\0')
            abort();
    }
    fuzz_taken += status == FIM_OK;
}

void fuzz_run(const char *path, fim_status (*work)(void *context), void *context) {
    fuzz_judge(fim_sandbox_run(&(fim_sandbox_job){path, FUZZ_BUDGET, work, exchange_nothing}, context));
}
