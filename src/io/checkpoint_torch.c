// PyTorch's .pt and .pth, since version 1.6: a zip archive of a pickle, <name>/data.pkl, and of one member
// per storage, <name>/data/<key>, the bare numbers in the byte order that <name>/byteorder tells
// (little-endian where there is none). A tensor is a view into a storage by offset, sizes and strides. The
// pickle is read as data (pickle.h); nothing in it is executed.
//
// A member <name>/fim.json, which PyTorch passes over, may hold a description of the network, as --arch takes
// it.
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "format.h"
#include "names.h"
#include "pickle_tensors.h"

// The number with which files begin that PyTorch wrote before version 1.6, as a pickle of its own.
static const unsigned char legacy[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                       0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

typedef struct reader {
    fim_archive archive;
    char prefix[FIM_NAME]; // "<name>/"
    bool swap;
    size_t kept;          // the member whose bytes are kept; archive.n for none
    unsigned char *bytes; // of the storage that was read last: tensors often share one
    size_t n_bytes;
} reader;

static fim_status is_legacy(const char *path, bool *out) {
    unsigned char head[sizeof legacy];
    size_t got = 0;
    fim_status status = fim_source_head(path, head, sizeof head, &got);
    if (status == FIM_OK)
        *out = got == sizeof head && memcmp(head, legacy, sizeof head) == 0;
    return status;
}

// The member that ends in "/data.pkl"; archive->n when there is none.
static size_t find_pickle(const fim_archive *archive) {
    static const char end[] = "/data.pkl";
    for (size_t i = 0; i < archive->n; i++) {
        const char *name = fim_archive_name(archive, i);
        size_t length = strlen(name);
        if (length > strlen(end) && length < FIM_NAME - 128 && strcmp(name + length - strlen(end), end) == 0)
            return i;
    }
    return archive->n;
}

fim_status fim_format_torch_sniff(const char *path, bool *out) {
    fim_archive archive = {0};
    bool zip = false, old = false, found = false;
    fim_status status = FIM_OK;
    FIM_TRY(is_legacy(path, &old));
    FIM_TRY(fim_archive_sniff(path, &zip));
    if (zip) {
        FIM_TRY(fim_archive_open(path, &archive));
        found = find_pickle(&archive) < archive.n;
    }
    *out = found || old;
out:
    fim_archive_close(&archive);
    return status;
}

// A member of the prefix's folder; archive.n when there is none.
static size_t find(const reader *r, const char *rest, size_t length) {
    char name[FIM_NAME + 128];
    if (length >= 128)
        return r->archive.n;
    snprintf(name, sizeof name, "%s%.*s", r->prefix, (int)length, rest);
    return fim_archive_find(&r->archive, name);
}

static fim_status read_byte_order(reader *r, size_t budget) {
    unsigned char *text = NULL;
    size_t n = 0, index = find(r, "byteorder", strlen("byteorder"));
    if (index == r->archive.n)
        return FIM_OK;
    fim_status status = fim_archive_read(&r->archive, index, &budget, &text, &n);
    if (status != FIM_OK)
        return status;
    r->swap = n == 3 && memcmp(text, "big", 3) == 0;
    if (!r->swap && (n != 6 || memcmp(text, "little", 6) != 0))
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its byteorder is neither little nor big", r->archive.path);
    free(text);
    return status;
}

// Sees to it that r->bytes are those of the storage.
static fim_status fetch(reader *r, const fim_node *storage, fim_tensors *tensors) {
    char rest[128];
    if (storage->length == 0 || storage->length > 64 || memchr(storage->text, '/', storage->length) != NULL ||
        memchr(storage->text, '\0', storage->length) != NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: a storage has a key that is no short name", tensors->path);
    snprintf(rest, sizeof rest, "data/%.*s", (int)storage->length, storage->text);
    size_t index = find(r, rest, strlen(rest));
    if (index == r->archive.n)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: has no member %s%s, which a tensor needs", tensors->path,
                        r->prefix, rest);
    if (index != r->kept) {
        free(r->bytes);
        tensors->left += r->n_bytes;
        r->bytes = NULL;
        r->n_bytes = 0;
        r->kept = r->archive.n;
        fim_status status = fim_archive_read(&r->archive, index, &tensors->left, &r->bytes, &r->n_bytes);
        if (status != FIM_OK)
            return status;
        r->kept = index;
    }
    if (r->n_bytes != fim_size_mul((size_t)storage->integer, storage->size))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: the storage %s has %zu bytes, but its %zu elements take %zu",
                        tensors->path, rest, r->n_bytes, (size_t)storage->integer,
                        fim_size_mul((size_t)storage->integer, storage->size));
    return FIM_OK;
}

// The view must stay in its storage and may not be larger than it.
static fim_status check_view(const char *path, const char *name, size_t rank, const size_t *dim,
                             const size_t *stride, size_t offset, size_t available) {
    size_t count = 1, last = offset;
    for (size_t i = 0; i < rank; i++) {
        count = fim_size_mul(count, dim[i]);
        if (dim[i] > 0)
            last = fim_size_add(last, fim_size_mul(dim[i] - 1, stride[i]));
    }
    if (count > 0 && (count > available || last >= available))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' reaches beyond its storage of %zu elements", path, name,
                        available);
    return FIM_OK;
}

static void copy_view(const reader *r, const fim_node *storage, const fim_tensor *t, const size_t *stride,
                      size_t offset) {
    size_t at[FIM_TENSOR_RANK] = {0}, place = offset, expected = 1;
    bool contiguous = true;
    for (size_t i = t->rank; i-- > 0; expected *= t->dim[i])
        contiguous = contiguous && (t->dim[i] == 1 || stride[i] == expected);
    if (contiguous) {
        fim_numbers_decode(storage->type, r->swap, r->bytes + offset * storage->size, t->count, t->values);
        return;
    }
    for (size_t k = 0; k < t->count; k++) {
        fim_numbers_decode(storage->type, r->swap, r->bytes + place * storage->size, 1, &t->values[k]);
        for (size_t i = t->rank; i-- > 0;) { // the next index, the last one fastest
            place += stride[i];
            if (++at[i] < t->dim[i])
                break;
            place -= stride[i] * t->dim[i];
            at[i] = 0;
        }
    }
}

static fim_status load(void *context, const fim_pickle *p, const fim_node *leaf, const char *name,
                       fim_tensors *tensors) {
    reader *r = context;
    if (leaf->kind != FIM_NODE_TENSOR)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' is an array of NumPy, expected a tensor", tensors->path,
                        name);
    const fim_node *storage = &p->nodes[leaf->items[0]], *start = &p->nodes[leaf->items[1]];
    size_t dim[FIM_TENSOR_RANK], stride[FIM_TENSOR_RANK], rank = 0, n = 0;
    fim_tensor *tensor = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_pickle_extents(p, &p->nodes[leaf->items[2]], "sizes", &rank, dim));
    FIM_TRY(fim_pickle_extents(p, &p->nodes[leaf->items[3]], "strides", &n, stride));
    if (n != rank || start->integer < 0) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' has %zu sizes and %zu strides, or begins before its storage",
                     tensors->path, name, rank, n);
        goto out;
    }
    FIM_TRY(
        check_view(tensors->path, name, rank, dim, stride, (size_t)start->integer, (size_t)storage->integer));
    if (storage->floating)
        FIM_TRY(fetch(r, storage, tensors));
    FIM_TRY(fim_tensors_add(tensors, name, rank, dim, storage->floating, &tensor));
    if (storage->floating)
        copy_view(r, storage, tensor, stride, (size_t)start->integer);
out:
    return status;
}

static fim_status read_description(const reader *r, fim_tensors *tensors) {
    unsigned char *text = NULL;
    size_t n = 0, budget = tensors->left, index = find(r, "fim.json", strlen("fim.json"));
    if (index == r->archive.n)
        return FIM_OK;
    fim_status status = fim_archive_read(&r->archive, index, &budget, &text, &n);
    if (status == FIM_OK)
        tensors->arch = (char *)text;
    return status;
}

fim_status fim_format_torch_read(const char *path, size_t budget, const fim_checkpoint_options *options,
                                 fim_checkpoint *out) {
    fim_tensors tensors = {.path = path, .left = budget, .ordered = true};
    reader r = {0};
    fim_pickle pickle = {0};
    unsigned char *bytes = NULL;
    size_t n = 0;
    bool old = false;
    fim_status status = FIM_OK;
    FIM_TRY(is_legacy(path, &old));
    if (old) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT,
                     "%s: was written in the old way of PyTorch, a bare pickle; load and save it again with "
                     "PyTorch 1.6 or later",
                     path);
        goto out;
    }
    FIM_TRY(fim_archive_open(path, &r.archive));
    r.kept = r.archive.n;
    size_t index = find_pickle(&r.archive);
    const char *name = fim_archive_name(&r.archive, index);
    snprintf(r.prefix, sizeof r.prefix, "%.*s", (int)(strlen(name) - strlen("data.pkl")), name);
    FIM_TRY(read_byte_order(&r, budget));
    FIM_TRY(fim_archive_read(&r.archive, index, &tensors.left, &bytes, &n));
    FIM_TRY(fim_pickle_read(path, bytes, n, tensors.left, &pickle));
    FIM_TRY(fim_pickle_tensors(&pickle, pickle.root, load, &r, &tensors));
    FIM_TRY(read_description(&r, &tensors));
    status = fim_assemble(&tensors, options, out);
out:
    fim_tensors_clear(&tensors);
    fim_pickle_clear(&pickle);
    fim_archive_close(&r.archive);
    free(r.bytes);
    free(bytes);
    return status;
}
