// The reader of Keras' descriptions of models, without the HDF5 around them: every layer gets numbers, 3 x 3
// or 3.
#include "../../src/io/keras.h"
#include "fuzz.h"

typedef struct input {
    const char *path;
    const uint8_t *data;
    size_t size;
} input;

static fim_status load(void *context, fim_tensors *tensors, const char *name, const char *class, size_t count,
                       fim_keras_part part, size_t index) {
    static const size_t dim[] = {3, 3};
    fim_tensor *made = NULL;
    (void)context;
    (void)count;
    (void)index;
    fim_status status =
        fim_tensors_add(tensors, name, part == FIM_KERAS_WEIGHT && class[0] == 'd' ? 2 : 1, dim, true, &made);
    for (size_t i = 0; status == FIM_OK && i < made->count; i++)
        made->values[i] = 1;
    return status;
}

static fim_status work(void *context) {
    static const fim_checkpoint_options options = {0};
    const input *in = context;
    fim_tensors tensors = {.path = in->path, .left = FUZZ_BUDGET};
    fim_checkpoint checkpoint;
    json_error_t error;
    json_t *root = json_loadb((const char *)in->data, in->size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "no JSON");
    fim_status status = fim_keras_build(&tensors, root, json_object_get(root, "compile_config"), load, NULL,
                                        &options, &checkpoint);
    if (status == FIM_OK)
        fim_checkpoint_clear(&checkpoint);
    fim_tensors_clear(&tensors);
    json_decref(root);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {"a model", data, size};
    fuzz_run(in.path, work, &in);
    return 0;
}
