// The Python objects that tensors and arrays need, and what comes out of calling them: a table instead of
// Python.
#include "pickle_calls.h"

#include <string.h>

typedef enum what {
    ORDERED_DICT,
    TENSOR,
    PARAMETER,
    STORAGE,
    ARRAY,   // numpy's _reconstruct
    NDARRAY, // the class, its first argument
    DTYPE,
    HARMLESS, // a value, or a call that makes one, which no tensor needs
} what;

static const struct {
    const char *module, *name;
    what what;
    fim_number type; // of a storage
    size_t size;
    bool floating;
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0, 0, false},
    {"torch._utils", "_rebuild_tensor_v2", TENSOR, 0, 0, false},
    {"torch._utils", "_rebuild_tensor", TENSOR, 0, 0, false},
    {"torch._utils", "_rebuild_parameter", PARAMETER, 0, 0, false},
    {"torch", "FloatStorage", STORAGE, FIM_F32, 4, true},
    {"torch", "DoubleStorage", STORAGE, FIM_F64, 8, true},
    {"torch", "HalfStorage", STORAGE, FIM_F16, 2, true},
    {"torch", "BFloat16Storage", STORAGE, FIM_BF16, 2, true},
    {"torch", "LongStorage", STORAGE, 0, 8, false},
    {"torch", "IntStorage", STORAGE, 0, 4, false},
    {"torch", "ShortStorage", STORAGE, 0, 2, false},
    {"torch", "CharStorage", STORAGE, 0, 1, false},
    {"torch", "ByteStorage", STORAGE, 0, 1, false},
    {"torch", "BoolStorage", STORAGE, 0, 1, false},
    {"torch", "Size", HARMLESS, 0, 0, false},
    {"torch", "device", HARMLESS, 0, 0, false},
    {"torch", "float16", HARMLESS, 0, 0, false},
    {"torch", "bfloat16", HARMLESS, 0, 0, false},
    {"torch", "float32", HARMLESS, 0, 0, false},
    {"torch", "float64", HARMLESS, 0, 0, false},
    {"torch", "int64", HARMLESS, 0, 0, false},
    {"numpy.core.multiarray", "_reconstruct", ARRAY, 0, 0, false},
    {"numpy._core.multiarray", "_reconstruct", ARRAY, 0, 0, false},
    {"numpy", "ndarray", NDARRAY, 0, 0, false},
    {"numpy", "dtype", DTYPE, 0, 0, false},
    {"numpy.core.multiarray", "scalar", HARMLESS, 0, 0, false},
    {"numpy._core.multiarray", "scalar", HARMLESS, 0, 0, false},
    {"_codecs", "encode", HARMLESS, 0, 0, false},
};
enum { GLOBALS = sizeof globals / sizeof *globals };

static bool same(const char *text, size_t length, const char *word) {
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

// At most 60 characters; others than plain ones become '?'.
static void printable(const char *text, size_t length, char out[static 61]) {
    size_t n = length < 60 ? length : 60;
    for (size_t i = 0; i < n; i++)
        out[i] = text[i] > 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[n] = '\0';
}

fim_status pickle_find_global(const char *where, const char *module, size_t module_length, const char *name,
                              size_t name_length, int64_t *out) {
    for (size_t i = 0; i < GLOBALS; i++)
        if (same(module, module_length, globals[i].module) && same(name, name_length, globals[i].name)) {
            *out = (int64_t)i;
            return FIM_OK;
        }
    char a[61], b[61];
    printable(module, module_length, a);
    printable(name, name_length, b);
    return FIM_FAIL(
        FIM_ERR_FORMAT,
        "%s: asks for the Python object %s.%s, which is none that tensors need; nothing was executed. "
        "Save the numbers alone: torch.save(model.state_dict(), ...)",
        where, a, b);
}

static fim_status wrong(const fim_pickle *p, const char *thing) {
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: its pickle holds %s that is put together wrongly", p->where, thing);
}

static const fim_node *item(const fim_pickle *p, const fim_node *list, size_t i) {
    return &p->nodes[list->items[i]];
}

// (storage, offset, sizes, strides, ...)
static fim_status rebuild_tensor(fim_pickle *p, size_t arguments, size_t *result) {
    const fim_node *tuple = &p->nodes[arguments];
    if (tuple->n < 4 || item(p, tuple, 0)->kind != FIM_NODE_STORAGE ||
        item(p, tuple, 1)->kind != FIM_NODE_INTEGER || item(p, tuple, 2)->kind != FIM_NODE_TUPLE ||
        item(p, tuple, 3)->kind != FIM_NODE_TUPLE)
        return wrong(p, "a tensor");
    size_t node = 0;
    fim_status status = pickle_node(p, FIM_NODE_TENSOR, &node);
    for (size_t i = 0; status == FIM_OK && i < 4; i++)
        status = pickle_append(p, node, p->nodes[arguments].items[i]);
    *result = node;
    return status;
}

// (data, requires_grad, hooks)
static fim_status rebuild_parameter(const fim_pickle *p, size_t arguments, size_t *result) {
    const fim_node *tuple = &p->nodes[arguments];
    if (tuple->n == 0 || item(p, tuple, 0)->kind != FIM_NODE_TENSOR)
        return wrong(p, "a parameter");
    *result = tuple->items[0];
    return FIM_OK;
}

// ("f4", ...); the byte order follows by BUILD.
static fim_status make_dtype(fim_pickle *p, size_t arguments, size_t *result) {
    const fim_node *tuple = &p->nodes[arguments];
    if (tuple->n == 0 || item(p, tuple, 0)->kind != FIM_NODE_TEXT)
        return wrong(p, "an array type");
    const fim_node name = *item(p, tuple, 0);
    fim_status status = pickle_node(p, FIM_NODE_DTYPE, result);
    if (status == FIM_OK) {
        p->nodes[*result].text = name.text;
        p->nodes[*result].length = name.length;
    }
    return status;
}

fim_status pickle_call(fim_pickle *p, size_t object, size_t arguments, size_t *result) {
    const fim_node *called = &p->nodes[object], *tuple = &p->nodes[arguments];
    if (called->kind != FIM_NODE_GLOBAL || tuple->kind != FIM_NODE_TUPLE)
        return wrong(p, "a call");
    switch (globals[called->integer].what) {
    case ORDERED_DICT:
        return tuple->n == 0 ? pickle_node(p, FIM_NODE_DICT, result) : wrong(p, "a dictionary");
    case TENSOR:
        return rebuild_tensor(p, arguments, result);
    case PARAMETER:
        return rebuild_parameter(p, arguments, result);
    case ARRAY:
        return pickle_node(p, FIM_NODE_ARRAY, result);
    case DTYPE:
        return make_dtype(p, arguments, result);
    case HARMLESS:
        return pickle_node(p, FIM_NODE_OTHER, result);
    default:
        return wrong(p, "a call");
    }
}

// (version, "<", ...)
static fim_status build_dtype(fim_pickle *p, size_t object, size_t state) {
    const fim_node *tuple = &p->nodes[state];
    if (tuple->kind != FIM_NODE_TUPLE || tuple->n < 2 || item(p, tuple, 1)->kind != FIM_NODE_TEXT)
        return wrong(p, "an array type");
    p->nodes[object].swap = fim_node_is(item(p, tuple, 1), ">");
    return FIM_OK;
}

// (version, shape, dtype, in Fortran's order, bytes), or a list of objects in place of bytes
static fim_status build_array(fim_pickle *p, size_t object, size_t state) {
    const fim_node *tuple = &p->nodes[state];
    if (tuple->kind != FIM_NODE_TUPLE || tuple->n != 5 || item(p, tuple, 1)->kind != FIM_NODE_TUPLE ||
        item(p, tuple, 2)->kind != FIM_NODE_DTYPE || item(p, tuple, 3)->kind != FIM_NODE_INTEGER ||
        p->nodes[object].n != 0)
        return wrong(p, "an array");
    p->nodes[object].integer = item(p, tuple, 3)->integer;
    static const size_t places[] = {1, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        fim_status status = pickle_append(p, object, p->nodes[state].items[places[i]]);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

fim_status pickle_build(fim_pickle *p, size_t object, size_t state, size_t *result) {
    fim_status status;
    switch (p->nodes[object].kind) {
    case FIM_NODE_DICT: // attributes of a state dict, such as its versions
        status = FIM_OK;
        break;
    case FIM_NODE_DTYPE:
        status = build_dtype(p, object, state);
        break;
    case FIM_NODE_ARRAY:
        status = build_array(p, object, state);
        break;
    default:
        status = wrong(p, "an object");
    }
    *result = object;
    return status;
}

fim_status pickle_storage(fim_pickle *p, size_t id, size_t *result) {
    const fim_node *tuple = &p->nodes[id];
    if (tuple->kind != FIM_NODE_TUPLE || tuple->n < 5 || !fim_node_is(item(p, tuple, 0), "storage") ||
        item(p, tuple, 1)->kind != FIM_NODE_GLOBAL || item(p, tuple, 2)->kind != FIM_NODE_TEXT ||
        item(p, tuple, 4)->kind != FIM_NODE_INTEGER || item(p, tuple, 4)->integer < 0 ||
        globals[item(p, tuple, 1)->integer].what != STORAGE)
        return wrong(p, "a storage");
    const int64_t type = item(p, tuple, 1)->integer, count = item(p, tuple, 4)->integer;
    const fim_node key = *item(p, tuple, 2);
    fim_status status = pickle_node(p, FIM_NODE_STORAGE, result);
    if (status != FIM_OK)
        return status;
    fim_node *storage = &p->nodes[*result];
    storage->text = key.text;
    storage->length = key.length;
    storage->integer = count;
    storage->type = globals[type].type;
    storage->size = globals[type].size;
    storage->floating = globals[type].floating;
    return FIM_OK;
}
