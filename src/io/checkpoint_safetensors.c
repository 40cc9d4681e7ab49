// safetensors: the length of the header (8 bytes, little-endian), the header (a JSON object: names to dtype,
// shape and data_offsets; "__metadata__" maps texts to texts), the numbers, little-endian. The format's rules
// are enforced: no key twice, sizes as dtype and shape say, and data that lie one behind the other without
// overlap and without a hole, from the first byte to the last.
//
// "__metadata__" may hold a description of the network, as --arch takes it, under the key "fim".
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "tensors.h"

enum {
    HEADER_LIMIT = 100000000, // the format's own
    JSON_RATIO = 100,         // bytes of memory per byte of JSON, at most, roughly
};

static const char metadata_key[] = "__metadata__";

typedef struct entry {
    const char *name;
    size_t begin, end; // bytes of the data
    size_t rank, dim[FIM_TENSOR_RANK], count;
    bool floating;
    fim_number type;
} entry;

static const struct {
    const char *name;
    size_t size;
    bool floating;
    fim_number type;
} dtypes[] = {{"F64", 8, true, FIM_F64},   {"F32", 4, true, FIM_F32}, {"F16", 2, true, FIM_F16},
              {"BF16", 2, true, FIM_BF16}, {"I64", 8, false, 0},      {"U64", 8, false, 0},
              {"I32", 4, false, 0},        {"U32", 4, false, 0},      {"I16", 2, false, 0},
              {"U16", 2, false, 0},        {"I8", 1, false, 0},       {"U8", 1, false, 0},
              {"BOOL", 1, false, 0}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static size_t header_size(const unsigned char bytes[8]) {
    uint64_t size = 0;
    for (size_t i = 8; i-- > 0;)
        size = size << 8 | bytes[i];
    return size;
}

// A length that the file can hold, and a brace.
fim_status fim_format_safetensors_sniff(const char *path, bool *out) {
    unsigned char head[9];
    size_t got = 0;
    fim_status status = fim_source_head(path, head, sizeof head, &got);
    // A length beyond the file still is this format's, damaged, when a header stands behind it.
    if (status == FIM_OK)
        *out = got == sizeof head && head[8] == '{' && header_size(head) <= (uint64_t)1 << 48;
    return status;
}

// A whole number from 0 on.
static bool take_size(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static fim_status parse_entry(const char *path, const char *name, const json_t *value, entry *out) {
    entry e = {.name = name, .count = 1};
    const json_t *dtype = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape"),
                 *offsets = json_object_get(value, "data_offsets");
    if (!json_is_object(value) || json_object_size(value) != 3 || !json_is_string(dtype) ||
        !json_is_array(shape) || !json_is_array(offsets))
        return FIM_FAIL(
            FIM_ERR_FORMAT,
            "%s: the header's entry for '%s' is not {dtype, shape, data_offsets} and nothing else", path,
            name);
    size_t k = 0;
    while (k < DTYPES && strcmp(json_string_value(dtype), dtypes[k].name) != 0)
        k++;
    if (k == DTYPES)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' is of dtype '%s'; F64, F32, F16 and BF16 are read", path,
                        name, json_string_value(dtype));
    e.floating = dtypes[k].floating;
    e.type = dtypes[k].type;
    e.rank = json_array_size(shape);
    if (e.rank > FIM_TENSOR_RANK)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' has %zu dimensions, expected %d at most", path, name, e.rank,
                        FIM_TENSOR_RANK);
    for (size_t i = 0; i < e.rank; i++) {
        if (!take_size(json_array_get(shape, i), &e.dim[i]))
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: the shape of '%s' is no list of whole numbers", path, name);
        e.count = fim_size_mul(e.count, e.dim[i]);
    }
    if (json_array_size(offsets) != 2 || !take_size(json_array_get(offsets, 0), &e.begin) ||
        !take_size(json_array_get(offsets, 1), &e.end) || e.end < e.begin)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: the data_offsets of '%s' are not [begin, end]", path, name);
    if (e.end - e.begin != fim_size_mul(e.count, dtypes[k].size))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' has %zu bytes of data, but its dtype and shape take %zu",
                        path, name, e.end - e.begin, fim_size_mul(e.count, dtypes[k].size));
    *out = e;
    return FIM_OK;
}

static int by_offset(const void *x, const void *y) {
    const entry *a = x, *b = y;
    int order = (a->begin > b->begin) - (a->begin < b->begin);
    return order != 0 ? order : (a->end > b->end) - (a->end < b->end);
}

static fim_status check_offsets(const char *path, const entry *entries, size_t n, size_t data) {
    size_t at = 0;
    for (size_t i = 0; i < n; at = entries[i++].end)
        if (entries[i].begin != at)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: the data of '%s' begin at byte %zu, %s byte %zu", path,
                            entries[i].name, entries[i].begin,
                            entries[i].begin < at ? "overlapping those before, which end at"
                                                  : "leaving a hole behind those before, which end at",
                            at);
    if (at != data)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: holds %zu bytes of data, but its tensors take %zu", path, data,
                        at);
    return FIM_OK;
}

// The description under "fim", if any; all values must be texts.
static fim_status take_metadata(fim_tensors *tensors, const json_t *metadata) {
    const char *key;
    const json_t *value;
    if (!json_is_object(metadata))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: its %s is no object", tensors->path, metadata_key);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: \"%s\" in its %s is no text", tensors->path, key,
                            metadata_key);
        if (strcmp(key, "fim") == 0 && (tensors->arch = strdup(json_string_value(value))) == NULL)
            return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate its description", tensors->path);
    }
    return FIM_OK;
}

static fim_status read_header(FILE *file, size_t size, fim_tensors *tensors, json_t **out, size_t *begin) {
    const char *path = tensors->path;
    unsigned char head[8];
    char *text = NULL;
    json_error_t error;
    json_t *header = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_source_read(file, path, 0, head, sizeof head));
    const size_t length = header_size(head);
    if (length > HEADER_LIMIT || length > size - sizeof head) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its header claims %zu bytes, of %zu in the file", path, length,
                          size - sizeof head);
        goto out;
    }
    FIM_TRY(fim_context(
        fim_budget_check(tensors->left, fim_size_mul(length, JSON_RATIO), "its header", "raise --memory"),
        "%s", path));
    FIM_TRY(fim_alloc(length + 1, 1, "a header", &text));
    FIM_TRY(fim_source_read(file, path, sizeof head, text, length));
    if ((header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error)) == NULL) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: its header is not the JSON of the format: %s", path, error.text);
        goto out;
    }
    if (!json_is_object(header)) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its header is no JSON object", path);
        goto out;
    }
    *out = header;
    *begin = sizeof head + length;
    header = NULL;
out:
    json_decref(header);
    free(text);
    return status;
}

static fim_status read_entries(FILE *file, fim_tensors *tensors, const json_t *header, size_t begin,
                               size_t size) {
    const char *path = tensors->path, *key;
    const json_t *value;
    entry *entries = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(json_object_size(header), sizeof *entries, "a header", &entries));
    json_object_foreach((json_t *)(uintptr_t)header, key, value) {
        if (strcmp(key, metadata_key) == 0)
            FIM_TRY(take_metadata(tensors, value));
        else
            FIM_TRY(parse_entry(path, key, value, &entries[n++]));
    }
    if (n > 1)
        qsort(entries, n, sizeof *entries, by_offset);
    FIM_TRY(check_offsets(path, entries, n, size - begin));
    for (size_t i = 0; i < n; i++) {
        const entry *e = &entries[i];
        fim_tensor *tensor = NULL;
        FIM_TRY(fim_tensors_add(tensors, e->name, e->rank, e->dim, e->floating, &tensor));
        if (e->floating)
            FIM_TRY(
                fim_source_numbers(file, path, begin + e->begin, e->type, false, e->count, tensor->values));
    }
out:
    free(entries);
    return status;
}

fim_status fim_format_safetensors_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                       fim_checkpoint *out) {
    fim_tensors tensors = {.path = path, .left = budget};
    FILE *file = NULL;
    json_t *header = NULL;
    size_t size = 0, begin = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_source_open(path, &file, &size));
    FIM_TRY(read_header(file, size, &tensors, &header, &begin));
    FIM_TRY(read_entries(file, &tensors, header, begin, size));
    status = fim_assemble(&tensors, options, out);
out:
    fim_tensors_clear(&tensors);
    json_decref(header);
    if (file != NULL)
        fclose(file);
    return status;
}
