// The reader of dumps and captures: all layers of a file.
#include <stdlib.h>

#include "fuzz.h"

static fim_status read_layers(const char *path) {
    fim_blocks_about *layers = NULL;
    size_t count = 0;
    fim_status status = fim_blocks_list(path, &layers, &count);
    for (size_t i = 0; i < count && status == FIM_OK; i++) {
        fim_blocks_layer layer;
        if ((status = fim_blocks_read(path, layers[i].name, i % 2 == 0, FUZZ_BUDGET, &layer)) == FIM_OK)
            fim_blocks_layer_clear(&layer);
    }
    free(layers);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_judge(read_layers(fuzz_file(data, size)));
    return 0;
}
