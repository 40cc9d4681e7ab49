// The reader of PyTorch's files, given a pickle: an archive around it, whose sums are right, with the
// storages of the network in the corpus. (Of archives that libFuzzer changes, hardly one gets past its
// checksums.)
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "../../src/io/format.h"
#include "fuzz.h"

enum { LIMIT = 1 << 16, STORAGES = 6 };

static unsigned char archive[LIMIT + 4096], directory[1024];
static size_t used, listed;

static void put(unsigned char *at, size_t *n, uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        at[(*n)++] = (unsigned char)(value >> 8 * i);
}

// What the header of a member and its entry in the directory have in common.
static void put_member(unsigned char *at, size_t *n, const void *bytes, size_t size, const char *name) {
    put(at, n, 20, 2); // version of the format
    for (size_t i = 0; i < 4; i++)
        put(at, n, 0, 2); // flags, stored as it is, time, date
    put(at, n, (uint32_t)crc32(0, bytes, (uInt)size), 4);
    put(at, n, (uint32_t)size, 4);
    put(at, n, (uint32_t)size, 4);
    put(at, n, (uint32_t)strlen(name), 2);
    put(at, n, 0, 2);
}

static void add(const char *name, const void *bytes, size_t size) {
    const size_t begin = used;
    put(archive, &used, 0x04034b50, 4);
    put_member(archive, &used, bytes, size, name);
    memcpy(archive + used, name, strlen(name));
    used += strlen(name);
    memcpy(archive + used, bytes, size);
    used += size;
    put(directory, &listed, 0x02014b50, 4);
    put(directory, &listed, 20, 2);
    put_member(directory, &listed, bytes, size, name);
    for (size_t i = 0; i < 5; i++)
        put(directory, &listed, 0, 2); // comment, disk, attributes
    put(directory, &listed, (uint32_t)begin, 4);
    memcpy(directory + listed, name, strlen(name));
    listed += strlen(name);
}

static fim_status work(void *context) {
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "categorical"};
    fim_checkpoint checkpoint;
    bool found = false;
    fim_status status = fim_format_torch_sniff(context, &found);
    if (status != FIM_OK || !found)
        __builtin_trap(); // the archive around the pickle is good
    if ((status = fim_format_torch_read(context, FUZZ_BUDGET, &options, &checkpoint)) == FIM_OK)
        fim_checkpoint_clear(&checkpoint);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t elements[STORAGES] = {48, 8, 40, 5, 15, 3}; // of 6, 8, 5 and 3 units
    static const float storage[48] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, 0.5f, 0.25f};
    if (size > LIMIT)
        return 0;
    used = listed = 0;
    add("m/data.pkl", data, size);
    for (size_t i = 0; i < STORAGES; i++) {
        char name[16];
        snprintf(name, sizeof name, "m/data/%zu", i);
        add(name, storage, elements[i] * sizeof *storage);
    }
    const size_t begin = used;
    memcpy(archive + used, directory, listed);
    used += listed;
    put(archive, &used, 0x06054b50, 4);
    put(archive, &used, 0, 4);
    put(archive, &used, STORAGES + 1, 2);
    put(archive, &used, STORAGES + 1, 2);
    put(archive, &used, (uint32_t)listed, 4);
    put(archive, &used, (uint32_t)begin, 4);
    put(archive, &used, 0, 2);
    const char *path = fuzz_file(archive, used);
    fuzz_run(path, work, (void *)(uintptr_t)path);
    return 0;
}
