// Networks as the files of other programs: float64, the weight (outputs, inputs) and bias of layer l as
// <l>.weight and <l>.bias, the names of a PyTorch Sequential of linear layers alone, with the description of
// the network beside them.
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "arch.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written little-endian, as they are");

enum { NAME = 48, NPY_HEADER = 128 };

typedef struct array { // the weight or the bias of a layer
    char name[NAME];
    size_t rows, columns; // columns 0: one dimension
    double *values;       // in row order
    size_t bytes;
} array;

static void arrays_free(array *arrays, size_t n) {
    for (size_t i = 0; arrays != NULL && i < n; i++)
        free(arrays[i].values);
    free(arrays);
}

static fim_status copy_part(const fim_layer *layer, size_t l, bool bias, array *out) {
    size_t rows = fim_layer_d_g(layer), inputs = fim_layer_inputs(layer), columns = bias ? 1 : inputs;
    array a = {.rows = rows, .columns = bias ? 0 : columns, .bytes = rows * columns * sizeof(double)};
    snprintf(a.name, sizeof a.name, "%zu.%s", l, bias ? "bias" : "weight");
    fim_status status = fim_alloc(rows * columns, sizeof(double), "a copy of weights", &a.values);
    if (status != FIM_OK)
        return status;
    for (size_t j = 0; j < rows; j++)
        memcpy(a.values + j * columns, gsl_matrix_const_ptr(layer->w, j, bias ? inputs : 0),
               columns * sizeof(double));
    *out = a;
    return FIM_OK;
}

static fim_status arrays_of(const fim_net *net, array **out, size_t *n) {
    array *arrays = NULL;
    size_t count = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(2 * net->n_layers, sizeof *arrays, "layers", &arrays));
    for (size_t l = 0; l < net->n_layers; l++)
        for (size_t part = 0; part < (net->layers[l].bias ? 2 : 1); part++) {
            FIM_TRY(copy_part(&net->layers[l], l, part == 1, &arrays[count]));
            count++;
        }
    *out = arrays;
    *n = count;
    arrays = NULL;
out:
    arrays_free(arrays, count);
    return status;
}

static fim_status not_written(const char *path, const char *reason) {
    return FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, reason);
}

// ---- safetensors ----

static char *safetensors_header(const array *arrays, size_t n, const char *description) {
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "fim", description);
    size_t at = 0;
    for (size_t i = 0; i < n; at += arrays[i++].bytes) {
        json_t *shape = json_pack("[I]", (json_int_t)arrays[i].rows);
        if (arrays[i].columns > 0)
            json_array_append_new(shape, json_integer((json_int_t)arrays[i].columns));
        json_object_set_new(root, arrays[i].name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F64", "shape", shape, "data_offsets",
                                      (json_int_t)at, (json_int_t)(at + arrays[i].bytes)));
    }
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static fim_status write_safetensors(const array *arrays, size_t n, const char *description,
                                    const char *temporary, const char *path) {
    char *header = safetensors_header(arrays, n, description);
    if (header == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a header");
    // The data begin at a multiple of 8 bytes: spaces behind the header see to it.
    uint64_t used = strlen(header), length = (used + 7) / 8 * 8;
    FILE *file = fopen(temporary, "wb");
    bool written = file != NULL && fwrite(&length, 1, sizeof length, file) == sizeof length &&
                   fwrite(header, 1, used, file) == used &&
                   fwrite("        ", 1, length - used, file) == length - used;
    for (size_t i = 0; written && i < n; i++)
        written = fwrite(arrays[i].values, 1, arrays[i].bytes, file) == arrays[i].bytes;
    int error = errno;
    if (file != NULL && fclose(file) != 0) {
        written = false;
        error = errno;
    }
    free(header);
    return written ? FIM_OK : not_written(path, strerror(error));
}

// ---- Zip archives ----

// A member that is stored as it is; its bytes, malloc'ed or NULL where that failed, become libzip's in any
// case.
static fim_status add_member(zip_t *zip, const char *name, void *bytes, size_t n) {
    if (bytes == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate %s", name);
    zip_source_t *source = zip_source_buffer(zip, bytes, n, 1);
    zip_int64_t index = source != NULL ? zip_file_add(zip, name, source, 0) : -1;
    if (source == NULL)
        free(bytes);
    else if (index < 0)
        zip_source_free(source);
    if (index >= 0 && zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_IO, "%s cannot be added: %s", name, zip_strerror(zip));
}

static fim_status add_text(zip_t *zip, const char *name, const char *text) {
    return add_member(zip, name, strdup(text), strlen(text));
}

typedef fim_status add_all_fn(zip_t *zip, const array *arrays, size_t n, const char *description);

static fim_status write_zip(add_all_fn *add_all, const array *arrays, size_t n, const char *description,
                            const char *temporary, const char *path) {
    int code = 0;
    zip_t *zip = zip_open(temporary, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (zip == NULL)
        return not_written(path, "no archive can be made there");
    fim_status status = fim_context(add_all(zip, arrays, n, description), "%s", path);
    if (status == FIM_OK && zip_close(zip) == 0)
        return FIM_OK;
    if (status == FIM_OK)
        status = not_written(path, zip_strerror(zip));
    zip_discard(zip);
    return status;
}

// ---- .npz ----

static fim_status add_npy(zip_t *zip, const array *a) {
    char member[NAME + 8], text[NPY_HEADER];
    unsigned char *buffer = NULL;
    fim_status status = fim_alloc(NPY_HEADER + a->bytes, 1, a->name, &buffer);
    if (status != FIM_OK)
        return status;
    int length =
        a->columns > 0
            ? snprintf(text, sizeof text, "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, %zu), }",
                       a->rows, a->columns)
            : snprintf(text, sizeof text, "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu,), }",
                       a->rows);
    memset(buffer, ' ', NPY_HEADER);
    memcpy(buffer, "\x93NUMPY\1\0v\0", 10); // 'v': 118 bytes, the rest of NPY_HEADER
    memcpy(buffer + 10, text, (size_t)length);
    buffer[NPY_HEADER - 1] = '\n';
    memcpy(buffer + NPY_HEADER, a->values, a->bytes);
    snprintf(member, sizeof member, "%s.npy", a->name);
    return add_member(zip, member, buffer, NPY_HEADER + a->bytes);
}

static fim_status add_npz(zip_t *zip, const array *arrays, size_t n, const char *description) {
    fim_status status = add_text(zip, "fim.json", description);
    for (size_t i = 0; i < n && status == FIM_OK; i++)
        status = add_npy(zip, &arrays[i]);
    return status;
}

static fim_status write_npz(const array *arrays, size_t n, const char *description, const char *temporary,
                            const char *path) {
    return write_zip(add_npz, arrays, n, description, temporary, path);
}

// ---- PyTorch ----

static void put_text(FILE *out, const char *text) {
    const size_t n = strlen(text);
    fprintf(out, "X%c%c%c%c%s", (int)(n & 0xff), (int)(n >> 8 & 0xff), 0, 0, text);
}

// Eight bytes, little-endian.
static void put_number(FILE *out, size_t value) {
    fputs("\x8a\x08", out);
    for (size_t i = 0; i < 8; i++)
        fputc((int)(value >> 8 * i & 0xff), out);
}

// A tuple of one or two numbers.
static void put_pair(FILE *out, size_t first, size_t second, bool two) {
    put_number(out, first);
    if (two)
        put_number(out, second);
    fputs(two ? "\x86" : "\x85", out);
}

// The pickle of an OrderedDict of tensors, tensor i being all of the storage called i. Malloc'ed, or NULL.
static char *torch_pickle(const array *arrays, size_t n, size_t *size) {
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, size);
    if (out == NULL)
        return NULL;
    fputs("\x80\2ccollections\nOrderedDict\n)R(", out);
    for (size_t i = 0; i < n; i++) {
        const array *a = &arrays[i];
        char key[24];
        snprintf(key, sizeof key, "%zu", i);
        put_text(out, a->name);
        fputs("ctorch._utils\n_rebuild_tensor_v2\n((", out);
        put_text(out, "storage");
        fputs("ctorch\nDoubleStorage\n", out);
        put_text(out, key);
        put_text(out, "cpu");
        put_number(out, a->bytes / sizeof(double));
        fputs("tQ", out);
        put_number(out, 0);
        put_pair(out, a->rows, a->columns, a->columns > 0);
        put_pair(out, a->columns > 0 ? a->columns : 1, 1, a->columns > 0); // strides
        fputs("\x89"                                                       // needs no gradient
              "ccollections\nOrderedDict\n)RtR",
              out);
    }
    fputs("u.", out);
    if (fclose(out) == 0)
        return bytes;
    free(bytes);
    return NULL;
}

static fim_status add_torch(zip_t *zip, const array *arrays, size_t n, const char *description) {
    size_t size = 0;
    char *pickle = torch_pickle(arrays, n, &size);
    fim_status status = FIM_OK;
    FIM_TRY(add_member(zip, "archive/data.pkl", pickle, size));
    FIM_TRY(add_text(zip, "archive/byteorder", "little"));
    FIM_TRY(add_text(zip, "archive/fim.json", description));
    FIM_TRY(add_text(zip, "archive/version", "3\n"));
    for (size_t i = 0; i < n; i++) {
        char name[NAME];
        void *bytes = NULL;
        snprintf(name, sizeof name, "archive/data/%zu", i);
        FIM_TRY(fim_alloc(arrays[i].bytes, 1, name, &bytes));
        memcpy(bytes, arrays[i].values, arrays[i].bytes);
        FIM_TRY(add_member(zip, name, bytes, arrays[i].bytes));
    }
out:
    return status;
}

static fim_status write_torch(const array *arrays, size_t n, const char *description, const char *temporary,
                              const char *path) {
    return write_zip(add_torch, arrays, n, description, temporary, path);
}

// ---- All ----

typedef fim_status write_fn(const array *arrays, size_t n, const char *description, const char *temporary,
                            const char *path);

fim_status fim_checkpoint_export(const fim_net *net, const char *format, const char *path, bool overwrite) {
    static const char *const names[] = {"safetensors", "npz", "torch"};
    static write_fn *const writers[] = {write_safetensors, write_npz, write_torch};
    array *arrays = NULL;
    char *description = NULL, *temporary = NULL;
    size_t n = 0, k = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_name_find("format to write", names, sizeof names / sizeof *names, format, &k));
    FIM_TRY(fim_context(fim_net_check(net), "%s: not written", path));
    FIM_TRY(fim_arch_write(net, &description));
    FIM_TRY(arrays_of(net, &arrays, &n));
    FIM_TRY(fim_file_begin(path, overwrite, &temporary));
    FIM_TRY(writers[k](arrays, n, description, temporary, path));
    status = fim_file_commit(temporary, path, overwrite);
    temporary = NULL;
out:
    fim_file_abandon(temporary);
    arrays_free(arrays, n);
    free(description);
    return status;
}
