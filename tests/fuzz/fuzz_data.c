// A reader of data sets: FUZZ_FORMAT of src/io/data_formats.def, and what data.c makes of its arrays.
#include "../../src/io/data_format.h"
#include "fuzz.h"

#define JOIN(a, b, c)  a##b##c
#define READER(format) JOIN(fim_data_, format, _read)

static fim_status work(void *context) {
    const char *path = context;
    fim_array x = {0}, y = {0};
    const fim_data_format *format = NULL;
    fim_status status = fim_data_format_find(path, &format);
    status = READER(FUZZ_FORMAT)(path, FUZZ_BUDGET, &x, &y);
    fim_array_clear(&x);
    fim_array_clear(&y);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    fuzz_run(path, work, (void *)(uintptr_t)path);
    return 0;
}
