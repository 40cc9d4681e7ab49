// ONNX models made by hand, byte by byte as protocol buffers are, without protobuf-c: one line of text a node.
#ifndef TESTS_IO_ONNX_MODELS_H
#define TESTS_IO_ONNX_MODELS_H

#include "scratch.h"

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9, ONNX_F16 = 10, ONNX_DOUBLE = 11, ONNX_BF16 = 16 };

typedef struct onnx_message {
    unsigned char bytes[1 << 13];
    size_t n;
} onnx_message;

static inline void onnx_varint(onnx_message *m, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        m->bytes[m->n++] = (unsigned char)(value | 0x80);
    m->bytes[m->n++] = (unsigned char)value;
}

static inline void onnx_number(onnx_message *m, unsigned field, uint64_t value) {
    onnx_varint(m, field << 3);
    onnx_varint(m, value);
}

static inline void onnx_bytes(onnx_message *m, unsigned field, const void *bytes, size_t n) {
    cr_assert(m->n + n + 20 < sizeof m->bytes);
    onnx_varint(m, field << 3 | 2);
    onnx_varint(m, n);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static inline void onnx_text(onnx_message *m, unsigned field, const char *text) {
    onnx_bytes(m, field, text, strlen(text));
}

static inline void onnx_part(onnx_message *m, unsigned field, const onnx_message *part) {
    onnx_bytes(m, field, part->bytes, part->n);
}

// A tensor of type `type` with the extents "3,2", and `n` bytes under `field`: 9 are raw ones.
static inline onnx_message onnx_tensor(const char *name, int type, const char *extents, unsigned field, const void *bytes,
                                       size_t n) {
    onnx_message t = {.n = 0};
    char extent[24];
    for (const char *c = extents; extents[0] != '\0' && fim_list_next(&c, ',', extent, sizeof extent);)
        onnx_number(&t, 1, (uint64_t)strtoll(extent, NULL, 10));
    onnx_number(&t, 2, (uint64_t)type);
    if (bytes != NULL)
        onnx_bytes(&t, field, bytes, n);
    onnx_text(&t, 8, name);
    return t;
}

// float32 numbers.
static inline onnx_message onnx_floats(const char *name, const char *extents, const char *values) {
    float number[16];
    char value[24];
    size_t n = 0;
    for (const char *c = values; fim_list_next(&c, ',', value, sizeof value);)
        number[n++] = strtof(value, NULL);
    return onnx_tensor(name, ONNX_FLOAT, extents, 9, number, 4 * n);
}

// "alpha=0.5" (a float), "axis=1" (an integer), "form=text".
static inline onnx_message onnx_attribute(const char *text) {
    onnx_message a = {.n = 0};
    char name[32];
    const char *value = strchr(text, '=') + 1;
    snprintf(name, sizeof name, "%.*s", (int)(value - 1 - text), text);
    onnx_text(&a, 1, name);
    if (strchr("0123456789-n", *value) == NULL)
        onnx_text(&a, 4, value);
    else if (strpbrk(value, ".n") == NULL)
        onnx_number(&a, 3, (uint64_t)strtoll(value, NULL, 10));
    else {
        float number = strtof(value, NULL);
        onnx_varint(&a, 2 << 3 | 5);
        memcpy(a.bytes + a.n, &number, 4);
        a.n += 4;
    }
    return a;
}

// "Gemm x w b > y alpha=0.5": operator, inputs, outputs, attributes. "domain:" before the operator is its.
static inline onnx_message onnx_node(const char *line) {
    onnx_message node = {.n = 0};
    char word[64];
    bool output = false;
    size_t k = 0;
    for (const char *c = line; fim_list_next(&c, ' ', word, sizeof word); k++) {
        char *colon = strchr(word, ':');
        if (k == 0) {
            if (colon != NULL) {
                *colon = '\0';
                onnx_text(&node, 7, word);
            }
            onnx_text(&node, 4, colon != NULL ? colon + 1 : word);
        } else if (strcmp(word, ">") == 0) {
            output = true;
        } else if (strchr(word, '=') != NULL) {
            onnx_message a = onnx_attribute(word);
            onnx_part(&node, 5, &a);
        } else {
            onnx_text(&node, output ? 2 : 1, word);
        }
    }
    return node;
}

static inline void onnx_nodes(onnx_message *graph, const char *lines) {
    char line[256];
    for (const char *c = lines; lines[0] != '\0' && fim_list_next(&c, ';', line, sizeof line);) {
        onnx_message node = onnx_node(line);
        onnx_part(graph, 1, &node);
    }
}

// An input or output of float32 with the extents "-1,2" (−1: not told), or of no told shape.
static inline onnx_message onnx_value(const char *name, const char *extents) {
    onnx_message value = {.n = 0}, type = {.n = 0}, tensor = {.n = 0}, shape = {.n = 0};
    char extent[24];
    onnx_text(&value, 1, name);
    if (extents == NULL)
        return value;
    for (const char *c = extents; fim_list_next(&c, ',', extent, sizeof extent);) {
        onnx_message dim = {.n = 0};
        if (extent[0] == '-')
            onnx_text(&dim, 2, "n");
        else
            onnx_number(&dim, 1, (uint64_t)strtoll(extent, NULL, 10));
        onnx_part(&shape, 1, &dim);
    }
    onnx_number(&tensor, 1, ONNX_FLOAT);
    onnx_part(&tensor, 2, &shape);
    onnx_part(&type, 1, &tensor);
    onnx_part(&value, 2, &type);
    return value;
}

// The model around a graph.
static inline onnx_message onnx_model(const onnx_message *graph, uint64_t version) {
    onnx_message model = {.n = 0}, set = {.n = 0};
    onnx_number(&model, 1, 8);
    onnx_text(&model, 2, "hand");
    onnx_part(&model, 7, graph);
    onnx_number(&set, 2, version);
    if (version > 0)
        onnx_part(&model, 8, &set);
    return model;
}

static inline void onnx_write(const char *path, const onnx_message *graph) {
    onnx_message model = onnx_model(graph, 13);
    scratch_write(path, model.bytes, model.n);
}

// Constants of a layer from two inputs to one output, and what may stand around it.
static inline void onnx_constants(onnx_message *graph) {
    static const int64_t shape[2] = {-1, 2};
    const onnx_message all[] = {
        onnx_floats("w", "2,1", "2,3"),
        onnx_floats("wt", "1,2", "2,3"),
        onnx_floats("c", "1", "5"),
        onnx_floats("row", "1,1", "5"),
        onnx_floats("single", "", "5"),
        onnx_floats("u", "1,1", "1"),
        onnx_floats("mean", "2", "1,2"),
        onnx_floats("std", "1,2", "2,4"),
        onnx_floats("two", "", "2"),
        onnx_floats("null", "2", "1,0"),
        onnx_floats("three", "3", "1,2,3"),
        onnx_floats("cube", "1,1,2", "1,2"),
        onnx_floats("gamma", "1", "6"),
        onnx_floats("beta", "1", "0.5"),
        onnx_floats("mu", "1", "1"),
        onnx_floats("var", "1", "4"),
        onnx_tensor("shape", ONNX_INT64, "2", 9, shape, sizeof shape),
        onnx_tensor("turned", ONNX_INT64, "2", 7, "\2\377\377\377\377\377\377\377\377\377\1", 11),
        onnx_tensor("no", ONNX_BOOL, "", 9, "\0", 1),
        onnx_tensor("yes", ONNX_BOOL, "", 5, "\1", 1),
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        onnx_part(graph, 5, &all[i]);
}

// The nodes with all those constants, from x (any number of samples of two inputs) to y.
static inline onnx_message onnx_graph(const char *nodes) {
    onnx_message graph = {.n = 0}, x = onnx_value("x", "-1,2"), y = onnx_value("y", NULL);
    onnx_nodes(&graph, nodes);
    onnx_constants(&graph);
    onnx_part(&graph, 11, &x);
    onnx_part(&graph, 12, &y);
    return graph;
}

#endif
