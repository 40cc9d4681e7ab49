// NumPy's files as state dicts: .npz, a zip archive of .npy members, each an array by its name, and .npy with
// a dictionary of arrays in it, which NumPy pickles (pickle.h reads that as data). An .npz with a member x is
// a data set, and so is any .npy of numbers.
//
// A member fim.json of an .npz may hold a description of the network, as --arch takes it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "format.h"
#include "names.h"
#include "npy.h"
#include "pickle_tensors.h"

static const char extension[] = ".npy", description[] = "fim.json";

static bool is_npy(const char *name) {
    size_t length = strlen(name);
    return length > strlen(extension) && strcmp(name + length - strlen(extension), extension) == 0;
}

static fim_status sniff_npz(const char *path, bool *out) {
    fim_archive archive = {0};
    fim_status status = fim_archive_open(path, &archive);
    if (status != FIM_OK)
        return status;
    bool any = false, others = false;
    for (size_t i = 0; i < archive.n; i++) {
        const char *name = fim_archive_name(&archive, i);
        any = any || is_npy(name);
        others = others || (!is_npy(name) && strcmp(name, description) != 0);
    }
    *out = any && !others && fim_archive_find(&archive, "x.npy") == archive.n;
    fim_archive_close(&archive);
    return FIM_OK;
}

static fim_status sniff_npy(const char *path, bool *out) {
    unsigned char head[8];
    fim_stream stream = {0};
    fim_npy_header header;
    size_t got = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_stream_open(path, &stream));
    // Damage is told by the reader of data sets, which takes what is not taken here.
    bool begins = fim_stream_read_some(&stream, head, sizeof head, &got) == FIM_OK && got == sizeof head &&
                  fim_data_npy_sniff(head);
    fim_stream_close(&stream);
    if (!begins) {
        *out = false;
        goto out;
    }
    FIM_TRY(fim_stream_open(path, &stream));
    fim_status read = fim_npy_header_read(&stream, &header);
    if (read == FIM_ERR_MEMORY)
        status = read;
    else
        *out = read == FIM_OK && header.kind == 'O';
out:
    fim_stream_close(&stream);
    return status;
}

fim_status fim_format_numpy_sniff(const char *path, bool *out) {
    bool zip = false;
    fim_status status = fim_archive_sniff(path, &zip);
    if (status == FIM_OK)
        status = zip ? sniff_npz(path, out) : sniff_npy(path, out);
    return status;
}

// ---- .npz ----

static fim_status read_member(const fim_archive *archive, size_t index, fim_tensors *tensors) {
    char name[FIM_NAME];
    const char *member = fim_archive_name(archive, index);
    fim_stream stream = {0};
    fim_npy_header h;
    fim_tensor *tensor = NULL;
    fim_status status = FIM_OK;
    size_t length = strlen(member) - strlen(extension);
    if (length >= sizeof name)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: member %zu has too long a name", archive->path, index);
    snprintf(name, sizeof name, "%.*s", (int)length, member);
    FIM_TRY(fim_stream_open_member(archive, index, name, &stream));
    FIM_TRY(fim_context(fim_npy_header_read(&stream, &h), "%s", archive->path));
    if (h.kind == 'O') {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: array '%s' holds objects of Python, expected plain numbers",
                          archive->path, name);
        goto out;
    }
    FIM_TRY(fim_context(fim_stream_claim(&stream, fim_size_mul(h.count, h.size)), "%s", archive->path));
    FIM_TRY(fim_tensors_add(tensors, name, h.rank, h.dim, h.kind == 'f', &tensor));
    if (h.kind == 'f')
        status = fim_context(fim_npy_values(&stream, &h, tensor->values), "%s", archive->path);
out:
    fim_stream_close(&stream);
    return status;
}

static fim_status read_npz(fim_tensors *tensors) {
    fim_archive archive = {0};
    unsigned char *text = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_open(tensors->path, &archive));
    for (size_t i = 0; i < archive.n; i++) {
        if (is_npy(fim_archive_name(&archive, i))) {
            FIM_TRY(read_member(&archive, i, tensors));
            continue;
        }
        size_t budget = tensors->left;
        FIM_TRY(fim_archive_read(&archive, i, &budget, &text, &n));
        tensors->arch = (char *)text;
    }
out:
    fim_archive_close(&archive);
    return status;
}

// ---- .npy ----

static const fim_node *item(const fim_pickle *p, const fim_node *node, size_t i) {
    return &p->nodes[node->items[i]];
}

// An array in the pickle: shape, dtype, bytes.
static fim_status load(void *context, const fim_pickle *p, const fim_node *leaf, const char *name,
                       fim_tensors *tensors) {
    static const struct {
        const char *name;
        fim_number type;
    } types[] = {{"f8", FIM_F64}, {"f4", FIM_F32}, {"f2", FIM_F16}};
    (void)context;
    size_t dim[FIM_TENSOR_RANK], rank = 0, k = 0, count = 1;
    fim_tensor *tensor = NULL;
    fim_status status = FIM_OK;
    if (leaf->kind != FIM_NODE_ARRAY || leaf->n != 3)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' is no array of NumPy", tensors->path, name);
    const fim_node *dtype = item(p, leaf, 1), *bytes = item(p, leaf, 2);
    FIM_TRY(fim_pickle_extents(p, item(p, leaf, 0), "sizes", &rank, dim));
    for (size_t i = 0; i < rank; i++)
        count = fim_size_mul(count, dim[i]);
    while (k < 3 && (dtype->length != 2 || memcmp(dtype->text, types[k].name, 2) != 0))
        k++;
    if (k == 3)
        return fim_tensors_add(tensors, name, rank, dim, false, &tensor);
    if (bytes->kind != FIM_NODE_BYTES ||
        bytes->length != fim_size_mul(count, fim_number_size(types[k].type))) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' has not the bytes that its shape and type take",
                          tensors->path, name);
        goto out;
    }
    if (leaf->integer != 0 && rank > 1) {
        status = FIM_FAIL(FIM_ERR_FORMAT,
                          "%s: '%s' is stored in Fortran's order; save numpy.ascontiguousarray "
                          "of it",
                          tensors->path, name);
        goto out;
    }
    FIM_TRY(fim_tensors_add(tensors, name, rank, dim, true, &tensor));
    fim_numbers_decode(types[k].type, dtype->swap, (const unsigned char *)bytes->text, count, tensor->values);
out:
    return status;
}

// All that is left of a stream.
static fim_status read_rest(fim_stream *stream, size_t *budget, unsigned char **out, size_t *n) {
    unsigned char *bytes = NULL;
    size_t got = 0, size = stream->limit;
    fim_status status = FIM_OK;
    FIM_TRY(fim_context(fim_budget_check(*budget, size, "its pickle", "raise --memory"), "%s", stream->name));
    FIM_TRY(fim_alloc(size, 1, "a pickle", &bytes));
    FIM_TRY(fim_stream_read_some(stream, bytes, size, &got));
    *budget -= size;
    *out = bytes;
    *n = got;
    bytes = NULL;
out:
    free(bytes);
    return status;
}

// An array of one object, which must be the dictionary.
static fim_status read_npy(fim_tensors *tensors) {
    fim_stream stream = {0};
    fim_npy_header header;
    unsigned char *bytes = NULL;
    size_t n = 0;
    fim_pickle pickle = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_stream_open(tensors->path, &stream));
    FIM_TRY(fim_npy_header_read(&stream, &header));
    FIM_TRY(read_rest(&stream, &tensors->left, &bytes, &n));
    FIM_TRY(fim_pickle_read(tensors->path, bytes, n, tensors->left, &pickle));
    const fim_node *root = &pickle.nodes[pickle.root];
    const fim_node *list = root->kind == FIM_NODE_ARRAY && root->n == 3 ? item(&pickle, root, 2) : root;
    if (list->kind != FIM_NODE_LIST || list->n != 1) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: holds objects of Python that are no single dictionary of arrays",
                     tensors->path);
        goto out;
    }
    status = fim_pickle_tensors(&pickle, list->items[0], load, NULL, tensors);
out:
    fim_pickle_clear(&pickle);
    fim_stream_close(&stream);
    free(bytes);
    return status;
}

fim_status fim_format_numpy_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                 fim_checkpoint *out) {
    fim_tensors tensors = {.path = path, .left = budget, .ordered = true};
    bool zip = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_sniff(path, &zip));
    FIM_TRY(zip ? read_npz(&tensors) : read_npy(&tensors));
    status = fim_assemble(&tensors, options, out);
out:
    fim_tensors_clear(&tensors);
    return status;
}
