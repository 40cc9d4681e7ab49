// ONNX models: the messages that protobuf-c makes of a file, the constants among them, and the network.
#ifndef FIM_IO_ONNX_H
#define FIM_IO_ONNX_H

#include <protobuf-c/protobuf-c.h>

#include "tensors.h"
#include <onnx.pb-c.h> // made by protoc-c in the build folder

// ---- Messages (onnx_wire.c) ----

typedef struct fim_onnx {
    Onnx__ModelProto *model;
    ProtobufCAllocator allocator;
    size_t left; // bytes that the message may still take
    bool spent;  // it asked for more
    bool empty;  // the system had no more
} fim_onnx;

// The message in the n bytes of the file `path`: nested to a sane depth, no part twice where there is one,
// in at most `budget` bytes of memory. *out is to be cleared in any case, and keeps its address until then.
fim_status fim_onnx_unpack(const char *path, const unsigned char *bytes, size_t n, size_t budget,
                           fim_onnx *out);
void fim_onnx_clear(fim_onnx *onnx);

// ---- Constants (onnx_constants.c) ----

typedef struct fim_onnx_constant {
    const char *name;
    const Onnx__TensorProto *tensor;
} fim_onnx_constant;

typedef struct fim_onnx_constants {
    const char *path;
    size_t n;
    fim_onnx_constant *items; // by name
} fim_onnx_constants;

// The initializers of a graph, what its nodes Constant give, and the second names that its nodes Identity
// give those. FIM_ERR_FORMAT when two have one name.
fim_status fim_onnx_constants_init(const char *path, const Onnx__GraphProto *graph, fim_onnx_constants *out);
void fim_onnx_constants_clear(fim_onnx_constants *constants);
// NULL when there is none of that name.
const Onnx__TensorProto *fim_onnx_constant_find(const fim_onnx_constants *constants, const char *name);
// Adds the constant `name` to `tensors` as number *index: floating point numbers, in the file itself, as many
// as its shape tells.
fim_status fim_onnx_constant_load(const fim_onnx_constants *constants, const char *name, fim_tensors *tensors,
                                  size_t *index);
// The two whole numbers of a constant shape (rows, columns).
fim_status fim_onnx_constant_shape(const fim_onnx_constants *constants, const char *name, int64_t shape[2]);
// Whether the constant is one number of type FLOAT or DOUBLE.
bool fim_onnx_constant_single(const fim_onnx_constants *constants, const char *name, double *out);
// Whether the constant is one false truth value.
bool fim_onnx_constant_is_false(const fim_onnx_constants *constants, const char *name);

// ---- The network (onnx.c) ----

// Clears nothing of the model.
fim_status fim_onnx_build(const Onnx__ModelProto *model, fim_tensors *tensors, const char *likelihood,
                          fim_checkpoint *out);

#endif
