// ONNX (.onnx): a protocol buffer without a mark of its own. Programs that write it put the fields in order:
// the version of the format, then who made the file or the graph. Read where protobuf-c was there when the
// toolkit was built.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "tensors.h"
#ifdef FIM_HAVE_ONNX
#include "onnx.h"
#endif

// Field 1, a small version; then the key of another field of the model: texts, the operators' versions, the
// graph, or the model's own version.
fim_status fim_format_onnx_sniff(const char *path, bool *out) {
    static const char next[] = "\x12\x1a\x22\x28\x32\x3a\x42\x72";
    unsigned char head[3];
    size_t got = 0;
    fim_status status = fim_source_head(path, head, sizeof head, &got);
    if (status == FIM_OK)
        *out = got == sizeof head && head[0] == 8 && head[1] > 0 && head[1] < 0x80 && head[2] != 0 &&
               strchr(next, head[2]) != NULL;
    return status;
}

#ifdef FIM_HAVE_ONNX
fim_status fim_format_onnx_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                fim_checkpoint *out) {
    fim_tensors tensors = {.path = path, .left = budget};
    fim_onnx onnx = {0};
    FILE *file = NULL;
    size_t size = 0;
    unsigned char *bytes = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_checkpoint_needs_no(path, options));
    FIM_TRY(fim_source_open(path, &file, &size));
    FIM_TRY(fim_context(fim_budget_check(budget, size, "the file", "raise --memory"), "%s", path));
    FIM_TRY(fim_alloc(size, 1, "a file", &bytes));
    FIM_TRY(fim_source_read(file, path, 0, bytes, size));
    FIM_TRY(fim_onnx_unpack(path, bytes, size, budget - size, &onnx));
    free(bytes);
    bytes = NULL;
    tensors.left = fim_size_add(onnx.left, size);
    status = fim_onnx_build(onnx.model, &tensors, options->likelihood, out);
out:
    fim_tensors_clear(&tensors);
    fim_onnx_clear(&onnx);
    free(bytes);
    if (file != NULL)
        fclose(file);
    return status;
}
#else
fim_status fim_format_onnx_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                fim_checkpoint *out) {
    (void)budget;
    (void)options;
    (void)out;
    return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                    "%s: is an ONNX model, and this build of the toolkit reads none: it takes protobuf-c and "
                    "onnx.proto (Debian: protobuf-c-compiler, libprotobuf-c-dev, libonnx-dev)",
                    path);
}
#endif
