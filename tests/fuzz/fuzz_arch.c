// The reader of descriptions of networks (--arch, and what safetensors carry).
#include "../../src/io/arch.h"
#include "fuzz.h"

static fim_status work(void *context) {
    fim_arch arch;
    fim_status status = fim_arch_read(context, &arch);
    if (status != FIM_OK)
        return status;
    for (size_t l = 0; l < arch.n_layers; l++) {
        fim_arch_layer layer = fim_arch_layer_at(&arch, l);
        if (layer.name != NULL && fim_arch_ignores(&arch, layer.name))
            break;
    }
    fim_arch_clear(&arch);
    return FIM_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    fuzz_run(path, work, (void *)(uintptr_t)path);
    return 0;
}
