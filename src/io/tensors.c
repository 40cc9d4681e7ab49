// Named tensors, floating point numbers of all widths, and plain files.
#include "tensors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "names.h"

enum { TENSORS_LIMIT = 1 << 16, CHUNK = 1 << 16 };

// ---- The list ----

void fim_tensors_clear(fim_tensors *tensors) {
    for (size_t i = 0; i < tensors->n; i++) {
        free(tensors->items[i].name);
        free(tensors->items[i].values);
    }
    free(tensors->items);
    free(tensors->arch);
    *tensors = (fim_tensors){0};
}

static fim_status grow(fim_tensors *tensors) {
    if (tensors->n == TENSORS_LIMIT)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: holds more than %d tensors", tensors->path, TENSORS_LIMIT);
    if (tensors->n < tensors->capacity)
        return FIM_OK;
    size_t capacity = 2 * tensors->capacity + 16;
    fim_tensor *items = realloc(tensors->items, capacity * sizeof *items);
    if (items == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate the list of tensors", tensors->path);
    tensors->items = items;
    tensors->capacity = capacity;
    return FIM_OK;
}

fim_status fim_tensors_add(fim_tensors *tensors, const char *name, size_t rank, const size_t *dim,
                           bool floating, fim_tensor **out) {
    fim_tensor tensor = {.rank = rank, .count = 1};
    if (!fim_name_valid(name))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: tensor %zu has a name that is not short printable UTF-8",
                        tensors->path, tensors->n);
    if (rank > FIM_TENSOR_RANK)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: tensor '%s' has %zu dimensions, expected %d at most",
                        tensors->path, name, rank, FIM_TENSOR_RANK);
    for (size_t i = 0; i < rank; i++) {
        tensor.dim[i] = dim[i];
        tensor.count = fim_size_mul(tensor.count, dim[i]);
    }
    size_t bytes = floating ? fim_size_mul(tensor.count, sizeof(double)) : 0;
    fim_status status = grow(tensors);
    if (status == FIM_OK)
        status =
            fim_context(fim_budget_check(tensors->left, bytes, name, "raise --memory"), "%s", tensors->path);
    if (status == FIM_OK && floating)
        status = fim_alloc(tensor.count, sizeof(double), name, &tensor.values);
    if (status != FIM_OK)
        return status;
    if ((tensor.name = strdup(name)) == NULL) {
        free(tensor.values);
        return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate a name", tensors->path);
    }
    tensors->left -= bytes;
    tensors->items[tensors->n] = tensor;
    *out = &tensors->items[tensors->n++];
    return FIM_OK;
}

void fim_tensor_release(fim_tensors *tensors, size_t index) {
    fim_tensor *t = &tensors->items[index];
    if (t->values == NULL)
        return;
    free(t->values);
    t->values = NULL;
    tensors->left += t->count * sizeof(double);
}

// ---- Numbers ----

size_t fim_number_size(fim_number type) {
    static const size_t size[FIM_NUMBERS] = {2, 2, 4, 8};
    return size[type];
}

static double from_float_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

// IEEE binary16: the exponent is moved to that of binary32; subnormal numbers are multiples of 2^-24.
static double from_half_bits(uint32_t bits) {
    uint32_t sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    if (exponent == 0)
        return sign != 0 ? -ldexp(fraction, -24) : ldexp(fraction, -24);
    return from_float_bits(sign | (exponent == 0x1f ? 0xff : exponent + 112) << 23 | fraction << 13);
}

// Little-endian, or big-endian when `swap`.
static uint64_t bits_of(const unsigned char *bytes, size_t size, bool swap) {
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | bytes[swap ? i : size - 1 - i];
    return bits;
}

void fim_numbers_decode(fim_number type, bool swap, const unsigned char *bytes, size_t n, double *out) {
    size_t size = fim_number_size(type);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = bits_of(bytes + i * size, size, swap);
        switch (type) {
        case FIM_F16:
            out[i] = from_half_bits((uint32_t)bits);
            break;
        case FIM_BF16:
            out[i] = from_float_bits((uint32_t)bits << 16);
            break;
        case FIM_F32:
            out[i] = from_float_bits((uint32_t)bits);
            break;
        default:
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}

// ---- Files ----

fim_status fim_source_open(const char *path, FILE **out, size_t *size) {
    struct stat about;
    FILE *file = NULL;
    if (stat(path, &about) != 0 || (S_ISREG(about.st_mode) && (file = fopen(path, "rb")) == NULL))
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: not a regular file", path);
    *out = file;
    *size = (size_t)about.st_size;
    return FIM_OK;
}

fim_status fim_source_head(const char *path, unsigned char *head, size_t n, size_t *got) {
    FILE *file = NULL;
    size_t size = 0;
    fim_status status = fim_source_open(path, &file, &size);
    if (status != FIM_OK)
        return status;
    *got = fread(head, 1, n, file);
    fclose(file);
    return FIM_OK;
}

fim_status fim_source_read(FILE *file, const char *path, size_t offset, void *buffer, size_t n) {
    if (fseeko(file, (off_t)offset, SEEK_SET) != 0 || fread(buffer, 1, n, file) != n)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path,
                        ferror(file) ? strerror(errno) : "it ends too early");
    return FIM_OK;
}

fim_status fim_source_numbers(FILE *file, const char *path, size_t offset, fim_number type, bool swap,
                              size_t count, double *out) {
    unsigned char bytes[CHUNK];
    size_t size = fim_number_size(type);
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < CHUNK / size ? count - done : CHUNK / size;
        fim_status status = fim_source_read(file, path, offset + done * size, bytes, n * size);
        if (status != FIM_OK)
            return status;
        fim_numbers_decode(type, swap, bytes, n, out + done);
    }
    return FIM_OK;
}
