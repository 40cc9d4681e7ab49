// The reader of records: reports and run logs, whatever their root says.
#include "fuzz.h"

static fim_status work(void *context) {
    fim_record record;
    fim_status status = fim_record_read(context, "fim-report", FUZZ_BUDGET, &record);
    if (status == FIM_OK)
        fim_record_clear(&record);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    fuzz_run(path, work, (void *)(uintptr_t)path);
    return 0;
}
