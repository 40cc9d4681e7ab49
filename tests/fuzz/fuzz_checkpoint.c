// A reader of checkpoints: FUZZ_FORMAT of include/fim/formats.def.
#include "../../src/io/format.h"
#include "fuzz.h"

#define JOIN(a, b, c)  a##b##c
#define READER(format) JOIN(fim_format_, format, _read)
#define SNIFF(format)  JOIN(fim_format_, format, _sniff)

static fim_status work(void *context) {
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "categorical"},
                                        none = {0};
    const char *path = context;
    fim_checkpoint checkpoint;
    bool found = false;
    fim_status status = SNIFF(FUZZ_FORMAT)(path, &found);
    if (status != FIM_OK || !found)
        return status;
    status = READER(FUZZ_FORMAT)(path, FUZZ_BUDGET, &options, &checkpoint);
    if (status == FIM_ERR_ARGUMENT) // it tells all itself
        status = READER(FUZZ_FORMAT)(path, FUZZ_BUDGET, &none, &checkpoint);
    if (status != FIM_OK)
        return status;
    status = fim_net_check(&checkpoint.net);
    fim_checkpoint_clear(&checkpoint);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    fuzz_run(path, work, (void *)(uintptr_t)path);
    return 0;
}
