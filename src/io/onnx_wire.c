// From bytes to ONNX's messages, with bounds. protobuf-c checks that the bytes are a message, but follows any
// nesting, each level on the stack, and takes what memory it likes: a message of two bytes becomes one of two
// hundred. So a scan of the bytes comes first, which reads keys and lengths alone, and the memory comes from
// an allocator that counts.
#include "onnx.h"

#include <stdlib.h>

enum { DEPTH_LIMIT = 32, VARINT = 0, BITS_64 = 1, BYTES = 2, BITS_32 = 5 };

typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

static bool take_varint(cursor *c, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        unsigned char byte = *c->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

// Goes past the value of a field; *part is what it holds when that is bytes.
static bool take_value(cursor *c, unsigned type, cursor *part) {
    uint64_t n = 0;
    *part = (cursor){NULL, NULL};
    if (type == VARINT)
        return take_varint(c, &n);
    if (type == BYTES && !take_varint(c, &n))
        return false;
    if (type == BITS_64 || type == BITS_32)
        n = type == BITS_64 ? 8 : 4;
    else if (type != BYTES)
        return false;
    if (n > (size_t)(c->end - c->at))
        return false;
    *part = (cursor){c->at, c->at + n};
    c->at += n;
    return true;
}

static fim_status scan(const char *path, const ProtobufCMessageDescriptor *message, cursor c, size_t depth) {
    uint64_t seen = 0; // fields that there is one of
    if (depth > DEPTH_LIMIT)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: nests its parts more than %d deep", path, DEPTH_LIMIT);
    while (c.at < c.end) {
        uint64_t key = 0;
        cursor part;
        if (!take_varint(&c, &key) || key > UINT32_MAX || !take_value(&c, key & 7, &part))
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged ONNX model: its %s ends too early", path,
                            message->short_name);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(message, (unsigned)(key >> 3));
        if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE || (key & 7) != BYTES)
            continue;
        size_t index = (size_t)(field - message->fields);
        if (field->label != PROTOBUF_C_LABEL_REPEATED && index < 64) {
            if (seen >> index & 1)
                return FIM_FAIL(FIM_ERR_FORMAT, "%s: has a %s with two parts '%s'", path, message->short_name,
                                field->name);
            seen |= (uint64_t)1 << index;
        }
        fim_status status = scan(path, field->descriptor, part, depth + 1);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

static void *take_memory(void *context, size_t size) {
    fim_onnx *onnx = context;
    if (size > onnx->left) {
        onnx->spent = true;
        return NULL;
    }
    onnx->left -= size;
    void *memory = calloc(size > 0 ? size : 1, 1);
    onnx->empty = onnx->empty || memory == NULL;
    return memory;
}

static void give_memory(void *context, void *memory) {
    (void)context;
    free(memory);
}

fim_status fim_onnx_unpack(const char *path, const unsigned char *bytes, size_t n, size_t budget,
                           fim_onnx *out) {
    *out = (fim_onnx){.left = budget};
    out->allocator = (ProtobufCAllocator){take_memory, give_memory, out};
    fim_status status = scan(path, &onnx__model_proto__descriptor, (cursor){bytes, bytes + n}, 0);
    if (status != FIM_OK)
        return status;
    out->model = onnx__model_proto__unpack(&out->allocator, n, bytes);
    if (out->model != NULL)
        return FIM_OK;
    char left[16];
    if (out->empty)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate its parts", path);
    if (out->spent)
        return FIM_FAIL(FIM_ERR_BUDGET,
                        "%s: its parts take more than what is left of the memory budget, %s; "
                        "raise --memory",
                        path, fim_format_bytes(budget, left));
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged ONNX model: no message of its kind", path);
}

void fim_onnx_clear(fim_onnx *onnx) {
    if (onnx->model != NULL)
        onnx__model_proto__free_unpacked(onnx->model, &onnx->allocator);
    *onnx = (fim_onnx){0};
}
