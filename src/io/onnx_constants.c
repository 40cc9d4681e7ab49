// The constants of ONNX models: where they are, and their numbers. A tensor keeps them as raw bytes,
// little-endian, or in a list by type; half precision lies in a list of 32-bit integers.
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "onnx.h"

enum { CONSTANTS_LIMIT = 1 << 17 };

static int by_name(const void *x, const void *y) {
    const fim_onnx_constant *a = x, *b = y;
    return strcmp(a->name, b->name);
}

static bool is_op(const Onnx__NodeProto *node, const char *type) {
    return node->op_type != NULL && strcmp(node->op_type, type) == 0 && node->n_output == 1;
}

// The tensor of a node Constant, or NULL.
static const Onnx__TensorProto *value_of(const Onnx__NodeProto *node) {
    const Onnx__AttributeProto *attribute = node->n_attribute == 1 ? node->attribute[0] : NULL;
    bool given = attribute != NULL && attribute->name != NULL && strcmp(attribute->name, "value") == 0;
    return given ? attribute->t : NULL;
}

static fim_status add(fim_onnx_constants *c, const char *name, const Onnx__TensorProto *tensor) {
    if (name == NULL || !fim_name_valid(name))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: constant %zu has a name that is not short printable UTF-8",
                        c->path, c->n);
    c->items[c->n++] = (fim_onnx_constant){name, tensor};
    return FIM_OK;
}

static fim_status sort(fim_onnx_constants *c) {
    if (c->n > 1)
        qsort(c->items, c->n, sizeof *c->items, by_name);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(c->items[i - 1].name, c->items[i].name) == 0)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: two constants are called '%s'", c->path, c->items[i].name);
    return FIM_OK;
}

fim_status fim_onnx_constants_init(const char *path, const Onnx__GraphProto *graph, fim_onnx_constants *out) {
    fim_onnx_constants c = {.path = path};
    size_t most = fim_size_add(graph->n_initializer, graph->n_node);
    fim_status status = FIM_OK;
    if (most > CONSTANTS_LIMIT)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: has more than %d constants and nodes", path, CONSTANTS_LIMIT);
    FIM_TRY(fim_alloc(most, sizeof *c.items, "constants", &c.items));
    for (size_t i = 0; i < graph->n_initializer; i++)
        FIM_TRY(add(&c, graph->initializer[i]->name, graph->initializer[i]));
    for (size_t i = 0; i < graph->n_node; i++)
        if (is_op(graph->node[i], "Constant") && value_of(graph->node[i]) != NULL)
            FIM_TRY(add(&c, graph->node[i]->output[0], value_of(graph->node[i])));
    FIM_TRY(sort(&c));
    const fim_onnx_constants first = c;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        const Onnx__TensorProto *tensor = is_op(node, "Identity") && node->n_input == 1
                                              ? fim_onnx_constant_find(&first, node->input[0])
                                              : NULL;
        if (tensor != NULL)
            FIM_TRY(add(&c, node->output[0], tensor));
    }
    FIM_TRY(sort(&c));
    *out = c;
    return FIM_OK;
out:
    free(c.items);
    return status;
}

void fim_onnx_constants_clear(fim_onnx_constants *constants) {
    free(constants->items);
    *constants = (fim_onnx_constants){0};
}

const Onnx__TensorProto *fim_onnx_constant_find(const fim_onnx_constants *c, const char *name) {
    const fim_onnx_constant wanted = {.name = name},
                            *found =
                                c->n > 0 ? bsearch(&wanted, c->items, c->n, sizeof wanted, by_name) : NULL;
    return found != NULL ? found->tensor : NULL;
}

// ---- Numbers ----

static fim_status find(const fim_onnx_constants *c, const char *name, const Onnx__TensorProto **out) {
    const Onnx__TensorProto *t = fim_onnx_constant_find(c, name);
    if (t == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: '%s' is no constant of the model: only chains of layers are read", c->path,
                        name);
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || t->n_external_data > 0)
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: '%s' lies in another file, which is not read; save the model in one file",
                        c->path, name);
    if (t->segment != NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' is a piece of a tensor", c->path, name);
    *out = t;
    return FIM_OK;
}

static fim_status shape_of(const fim_onnx_constants *c, const char *name, const Onnx__TensorProto *t,
                           size_t dim[static FIM_TENSOR_RANK], size_t *count) {
    if (t->n_dims > FIM_TENSOR_RANK)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' has %zu dimensions, expected %d at most", c->path, name,
                        t->n_dims, FIM_TENSOR_RANK);
    *count = 1;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' has the extent %lld", c->path, name,
                            (long long)t->dims[i]);
        dim[i] = (size_t)t->dims[i];
        *count = fim_size_mul(*count, dim[i]);
    }
    return FIM_OK;
}

// Half precision as the low halves of integers.
static void decode_integers(fim_number type, const int32_t *from, size_t n, double *to) {
    for (size_t i = 0; i < n; i++) {
        const unsigned char bytes[2] = {(unsigned char)(from[i] & 0xff),
                                        (unsigned char)(from[i] >> 8 & 0xff)};
        fim_numbers_decode(type, false, bytes, 1, &to[i]);
    }
}

fim_status fim_onnx_constant_load(const fim_onnx_constants *c, const char *name, fim_tensors *tensors,
                                  size_t *index) {
    const Onnx__TensorProto *t = NULL;
    size_t dim[FIM_TENSOR_RANK], count = 0, listed = 0;
    fim_number type = FIM_F64;
    fim_tensor *made = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(find(c, name, &t));
    switch (t->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        type = FIM_F32;
        listed = t->n_float_data;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        listed = t->n_double_data;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        type = t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ? FIM_F16 : FIM_BF16;
        listed = t->n_int32_data;
        break;
    default:
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: '%s' is of type %d; FLOAT (1), FLOAT16 (10), DOUBLE (11) and BFLOAT16 (16) are "
                        "read",
                        c->path, name, (int)t->data_type);
    }
    FIM_TRY(shape_of(c, name, t, dim, &count));
    bool raw = t->raw_data.len > 0;
    if (raw ? listed > 0 || t->raw_data.len != fim_size_mul(count, fim_number_size(type)) : listed != count)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' holds %zu %s, but its type and shape take %zu", c->path,
                        name, raw ? t->raw_data.len : listed, raw ? "bytes" : "numbers",
                        raw ? fim_size_mul(count, fim_number_size(type)) : count);
    FIM_TRY(fim_tensors_add(tensors, name, t->n_dims, dim, true, &made));
    *index = tensors->n - 1;
    if (raw)
        fim_numbers_decode(type, false, t->raw_data.data, count, made->values);
    else if (type == FIM_F32)
        for (size_t i = 0; i < count; i++)
            made->values[i] = (double)t->float_data[i];
    else if (type == FIM_F64)
        memcpy(made->values, t->double_data, count * sizeof(double));
    else
        decode_integers(type, t->int32_data, count, made->values);
out:
    return status;
}

fim_status fim_onnx_constant_shape(const fim_onnx_constants *c, const char *name, int64_t shape[2]) {
    const Onnx__TensorProto *t = NULL;
    fim_status status = find(c, name, &t);
    if (status != FIM_OK)
        return status;
    bool raw = t->raw_data.len == 2 * sizeof(int64_t) && t->n_int64_data == 0;
    if (t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || t->n_dims != 1 || t->dims[0] != 2 ||
        (!raw && (t->n_int64_data != 2 || t->raw_data.len > 0)))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' is no shape of rows and columns", c->path, name);
    for (size_t i = 0; i < 2; i++) {
        uint64_t bits = 0;
        for (size_t k = 8; raw && k-- > 0;)
            bits = bits << 8 | t->raw_data.data[8 * i + k];
        shape[i] = raw ? (int64_t)bits : t->int64_data[i];
    }
    return FIM_OK;
}

bool fim_onnx_constant_single(const fim_onnx_constants *c, const char *name, double *out) {
    const Onnx__TensorProto *t = fim_onnx_constant_find(c, name);
    bool wide = t != NULL && t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    fim_number type = wide ? FIM_F64 : FIM_F32;
    if (t == NULL || (!wide && t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT))
        return false;
    if (t->raw_data.len == fim_number_size(type))
        fim_numbers_decode(type, false, t->raw_data.data, 1, out);
    else if (wide ? t->n_double_data == 1 : t->n_float_data == 1)
        *out = wide ? t->double_data[0] : (double)t->float_data[0];
    else
        return false;
    return true;
}

bool fim_onnx_constant_is_false(const fim_onnx_constants *c, const char *name) {
    const Onnx__TensorProto *t = fim_onnx_constant_find(c, name);
    return t != NULL && t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL &&
           ((t->raw_data.len == 1 && t->raw_data.data[0] == 0) ||
            (t->n_int32_data == 1 && t->int32_data[0] == 0));
}
