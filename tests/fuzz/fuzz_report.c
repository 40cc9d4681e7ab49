// The reader of records: reports and run logs, whatever their root says.
#include "fuzz.h"

static fim_status read_report(const char *path) {
    fim_record record;
    fim_status status = fim_record_read(path, "fim-report", FUZZ_BUDGET, &record);
    if (status == FIM_OK)
        fim_record_clear(&record);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_judge(read_report(fuzz_file(data, size)));
    return 0;
}
