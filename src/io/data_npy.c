// NumPy's .npy, versions 1 to 3: the magic "\x93NUMPY", the version, the length of the header, the header (a
// Python dictionary of descr, fortran_order and shape), the numbers. Integers, floating point numbers of 2, 4
// and 8 bytes and booleans of either byte order are read, in C and in Fortran order.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"
#include "tensors.h"

enum { HEADER_LIMIT = 1 << 16, CHUNK = 1 << 16 };

typedef fim_npy_header header;

bool fim_data_npy_sniff(const unsigned char head[static 8]) {
    return memcmp(head, "\x93NUMPY", 6) == 0;
}

// ---- The header ----

static void skip_space(const char **at) {
    *at += strspn(*at, " \t\n");
}

// Skips `c` and the space around it.
static bool accept(const char **at, char c) {
    skip_space(at);
    if (**at != c)
        return false;
    ++*at;
    skip_space(at);
    return true;
}

// 'text' or "text" without escapes, into a buffer of 16.
static bool quoted(const char **at, char text[static 16]) {
    char quote = **at;
    const char *end = quote == '\'' || quote == '"' ? strchr(*at + 1, quote) : NULL;
    if (end == NULL || end - *at - 1 >= 16)
        return false;
    size_t length = (size_t)(end - *at - 1);
    memcpy(text, *at + 1, length);
    text[length] = '\0';
    *at = end + 1;
    return true;
}

static bool word(const char **at, const char *text) {
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

static bool parse_shape(const char **at, header *h) {
    h->rank = 0;
    h->count = 1;
    if (!accept(at, '('))
        return false;
    while (!accept(at, ')')) {
        size_t digits = strspn(*at, "0123456789"), value = 0;
        if (digits == 0 || h->rank == FIM_ARRAY_RANK)
            return false;
        for (size_t i = 0; i < digits; i++, ++*at) {
            size_t next = fim_size_mul(value, 10);
            if (next > SIZE_MAX - 16)
                return false;
            value = next + (size_t)(**at - '0');
        }
        word(at, "L"); // written by Python 2
        h->dim[h->rank++] = value;
        h->count = fim_size_mul(h->count, value);
        if (!accept(at, ',') && **at != ')')
            return false;
    }
    return true;
}

// "<f8": byte order, kind, bytes.
static bool parse_descr(const char *text, header *h) {
    char *end = NULL;
    if (strchr("<>|=", text[0]) == NULL || text[0] == '\0' || text[1] == '\0')
        return false;
    h->swap = text[0] == '>';
    h->kind = text[1];
    h->size = strtoul(text + 2, &end, 10);
    bool whole = end != text + 2 && *end == '\0';
    size_t s = h->size;
    switch (h->kind) {
    case 'f':
        return whole && (s == 2 || s == 4 || s == 8);
    case 'i':
    case 'u':
        return whole && (s == 1 || s == 2 || s == 4 || s == 8);
    case 'b':
        return whole && s == 1;
    case 'O': // Python's objects, in a pickle
        return text[2] == '\0';
    default:
        return false;
    }
}

static fim_status parse_header(const char *name, const char *text, header *out) {
    header h = {0};
    char key[16], descr[16] = "";
    bool has_descr = false, has_order = false, has_shape = false, good = true;
    const char *at = text;
    good = accept(&at, '{');
    while (good && !accept(&at, '}')) {
        good = quoted(&at, key) && accept(&at, ':');
        if (good && strcmp(key, "descr") == 0 && !has_descr) {
            has_descr = true;
            if (!quoted(&at, descr))
                return FIM_FAIL(FIM_ERR_FORMAT, "%s: is a structured array, expected plain numbers", name);
            if (!parse_descr(descr, &h))
                return FIM_FAIL(FIM_ERR_FORMAT,
                                "%s: is of type '%s'; known: f2, f4, f8, i1 to i8, u1 to u8, b1", name,
                                descr);
        } else if (good && strcmp(key, "fortran_order") == 0 && !has_order) {
            has_order = true;
            h.fortran = word(&at, "True");
            good = h.fortran || word(&at, "False");
        } else if (good && strcmp(key, "shape") == 0 && !has_shape) {
            has_shape = true;
            good = parse_shape(&at, &h);
        } else {
            good = false;
        }
        if (good && !accept(&at, ',')) {
            good = *at == '}';
        }
    }
    if (!good || !has_descr || !has_order || !has_shape || *at != '\0')
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: the .npy header cannot be understood", name);
    *out = h;
    return FIM_OK;
}

fim_status fim_npy_header_read(fim_stream *stream, fim_npy_header *out) {
    unsigned char head[12];
    char *text = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_stream_read(stream, head, 8));
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3 || head[7] != 0) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is not .npy of version 1.0, 2.0 or 3.0", stream->name);
        goto out;
    }
    size_t width = head[6] == 1 ? 2 : 4, length = 0;
    FIM_TRY(fim_stream_read(stream, head, width));
    for (size_t i = width; i-- > 0;)
        length = length << 8 | head[i];
    if (length > HEADER_LIMIT) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: the .npy header claims %zu bytes", stream->name, length);
        goto out;
    }
    FIM_TRY(fim_alloc(length + 1, 1, "a header", &text));
    FIM_TRY(fim_stream_read(stream, text, length));
    FIM_TRY(strlen(text) == length
                ? FIM_OK
                : FIM_FAIL(FIM_ERR_FORMAT, "%s: the .npy header cannot be understood", stream->name));
    status = parse_header(stream->name, text, out);
out:
    free(text);
    return status;
}

// ---- The numbers ----

#define AS(type, bytes)                                                                                      \
    __extension__({                                                                                          \
        type value_;                                                                                         \
        memcpy(&value_, (bytes), sizeof value_);                                                             \
        (double)value_;                                                                                      \
    })

static double number(const header *h, const unsigned char *bytes) {
    unsigned char swapped[8];
    if (h->swap) {
        for (size_t i = 0; i < h->size; i++)
            swapped[i] = bytes[h->size - 1 - i];
        bytes = swapped;
    }
    double half;
    switch (h->kind << 4 | (int)h->size) {
    case 'f' << 4 | 2:
        fim_numbers_decode(FIM_F16, false, bytes, 1, &half);
        return half;
    case 'f' << 4 | 4:
        return AS(float, bytes);
    case 'f' << 4 | 8:
        return AS(double, bytes);
    case 'i' << 4 | 1:
        return AS(int8_t, bytes);
    case 'i' << 4 | 2:
        return AS(int16_t, bytes);
    case 'i' << 4 | 4:
        return AS(int32_t, bytes);
    case 'i' << 4 | 8:
        return AS(int64_t, bytes);
    case 'u' << 4 | 2:
        return AS(uint16_t, bytes);
    case 'u' << 4 | 4:
        return AS(uint32_t, bytes);
    case 'u' << 4 | 8:
        return AS(uint64_t, bytes);
    default: // u1 and b1
        return bytes[0];
    }
}

// The array is filled in the file's order by an odometer over its indices, whose wheels stand in the order of
// their speed; `step` is what a wheel moves in row order.
typedef struct odometer {
    size_t rank, dim[FIM_ARRAY_RANK], step[FIM_ARRAY_RANK], at[FIM_ARRAY_RANK], place;
} odometer;

static odometer odometer_new(const header *h) {
    odometer o = {.rank = h->rank};
    size_t step = 1;
    for (size_t i = h->rank; i-- > 0; step *= h->dim[i]) {
        size_t wheel = h->fortran ? i : h->rank - 1 - i;
        o.dim[wheel] = h->dim[i];
        o.step[wheel] = step;
    }
    return o;
}

static void odometer_next(odometer *o) {
    for (size_t wheel = 0; wheel < o->rank; wheel++) {
        o->place += o->step[wheel];
        if (++o->at[wheel] < o->dim[wheel])
            return;
        o->place -= o->step[wheel] * o->dim[wheel];
        o->at[wheel] = 0;
    }
}

fim_status fim_npy_values(fim_stream *stream, const fim_npy_header *h, double *out) {
    unsigned char bytes[CHUNK];
    odometer o = odometer_new(h);
    for (size_t done = 0, n; done < h->count; done += n) {
        n = h->count - done < CHUNK / h->size ? h->count - done : CHUNK / h->size;
        fim_status status = fim_stream_read(stream, bytes, n * h->size);
        if (status != FIM_OK)
            return status;
        for (size_t k = 0; k < n; k++, odometer_next(&o))
            out[o.place] = number(h, bytes + k * h->size);
    }
    return fim_stream_end(stream);
}

fim_status fim_npy_read(fim_stream *stream, size_t *budget, fim_array *out) {
    header h;
    fim_array array = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_npy_header_read(stream, &h));
    if (h.kind == 'O') {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is of type '|O' (Python's objects), expected plain numbers",
                          stream->name);
        goto out;
    }
    FIM_TRY(fim_stream_claim(stream, fim_size_mul(h.count, h.size)));
    FIM_TRY(fim_array_new(stream->name, h.rank, h.dim, budget, &array));
    array.integer = h.kind != 'f';
    FIM_TRY(fim_npy_values(stream, &h, array.values->data));
    const size_t d = array.values->size2;
    for (size_t k = 0; k < h.count; k++)
        if (!isfinite(array.values->data[k])) {
            status = FIM_FAIL(FIM_ERR_VALUE, "%s: sample %zu, entry %zu is %g, not a finite number",
                              stream->name, k / d, k % d, array.values->data[k]);
            goto out;
        }
    *out = array;
    array = (fim_array){0};
out:
    fim_array_clear(&array);
    return status;
}

fim_status fim_data_npy_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    (void)y;
    fim_stream stream = {0};
    fim_status status = fim_stream_open(path, &stream);
    if (status != FIM_OK)
        return status;
    status = fim_npy_read(&stream, &budget, x);
    fim_stream_close(&stream);
    return status;
}
