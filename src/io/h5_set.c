// HDF5 data sets of unknown origin: how they are stored is checked before they are read, and what they claim
// before it is allocated.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fim/linalg.h"
#include "h5.h"

enum { DEFLATE_RATIO = 1032 }; // the most that deflate can expand its input

// ---- Checks of the storage ----

static fim_status check_type(const fim_h5 *file, fim_h5_set *set, size_t *element) {
    hid_t type = H5Dget_type(set->id);
    if (type < 0)
        return fim_h5_damaged(file, set->item);
    H5T_class_t class = H5Tget_class(type);
    *element = H5Tget_size(type);
    H5Tclose(type);
    if ((class != H5T_INTEGER && class != H5T_FLOAT) || *element == 0 || *element > 16)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s holds no plain integers or floating point numbers",
                        file->path, set->item);
    set->integer = class == H5T_INTEGER;
    return FIM_OK;
}

static fim_status check_space(const fim_h5 *file, fim_h5_set *set) {
    hsize_t dim[H5S_MAX_RANK];
    hid_t space = H5Dget_space(set->id);
    int rank = space >= 0 && H5Sget_simple_extent_type(space) == H5S_SIMPLE
                   ? H5Sget_simple_extent_dims(space, dim, NULL)
                   : -1;
    if (space >= 0)
        H5Sclose(space);
    if (rank < 1 || rank > FIM_H5_RANK)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: %s is no array of 1 to %d dimensions", file->path, set->item,
                        FIM_H5_RANK);
    set->rank = (size_t)rank;
    set->count = 1;
    for (size_t i = 0; i < set->rank; i++) {
        set->dim[i] = (size_t)dim[i];
        set->count = fim_size_mul(set->count, set->dim[i]);
    }
    return FIM_OK;
}

static fim_status check_filters(const fim_h5 *file, const fim_h5_set *set, hid_t list, bool *deflated) {
    int filters = H5Pget_nfilters(list);
    for (int i = 0; i < filters; i++) {
        unsigned flags, settings;
        size_t n = 0;
        char name[32] = "";
        H5Z_filter_t filter =
            H5Pget_filter2(list, (unsigned)i, &flags, &n, NULL, sizeof name, name, &settings);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            return FIM_FAIL(FIM_ERR_FORMAT,
                            "%s: %s is stored through filter %d; only gzip, shuffle and fletcher32 are read",
                            file->path, set->item, (int)filter);
        *deflated = *deflated || filter == H5Z_FILTER_DEFLATE;
    }
    return FIM_OK;
}

static fim_status check_layout(const fim_h5 *file, const fim_h5_set *set, hid_t list, size_t element) {
    size_t bytes = fim_size_mul(set->count, element), stored = (size_t)H5Dget_storage_size(set->id),
           ratio = 1;
    char shape[200];
    fim_shape_format(set->rank, set->dim, shape);
    switch (H5Pget_layout(list)) {
    case H5D_COMPACT:
        break;
    case H5D_CONTIGUOUS: {
        if (H5Pget_external_count(list) != 0)
            return FIM_FAIL(FIM_ERR_FORMAT,
                            "%s: %s is stored in other files; only what the file itself holds is read",
                            file->path, set->item);
        haddr_t at = bytes > 0 ? H5Dget_offset(set->id) : 0;
        if (at == HADDR_UNDEF || at > file->size || bytes > file->size - at)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s of shape %s needs %zu bytes, more than the file holds",
                            file->path, set->item, shape, bytes);
        break;
    }
    case H5D_CHUNKED: {
        hsize_t chunk[H5S_MAX_RANK];
        bool deflated = false;
        fim_status status = check_filters(file, set, list, &deflated);
        if (status != FIM_OK)
            return status;
        int rank = H5Pget_chunk(list, H5S_MAX_RANK, chunk);
        size_t chunk_bytes = element;
        for (int i = 0; i < rank; i++)
            chunk_bytes = fim_size_mul(chunk_bytes, (size_t)chunk[i]);
        status = fim_budget_check(file->left, chunk_bytes, "one of its chunks", "store it in smaller ones");
        if (status != FIM_OK)
            return fim_context(status, "%s: %s", file->path, set->item);
        ratio = deflated ? DEFLATE_RATIO : 1;
        break;
    }
    case H5D_VIRTUAL:
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: %s is a virtual data set; only what the file itself holds is read", file->path,
                        set->item);
    default:
        return fim_h5_damaged(file, set->item);
    }
    if (stored > file->size || bytes > fim_size_mul(stored, ratio))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s of shape %s needs %zu bytes, but %zu are stored", file->path,
                        set->item, shape, bytes, stored);
    return FIM_OK;
}

fim_status fim_h5_set_open(const fim_h5 *file, const char *item, fim_h5_set *out) {
    fim_h5_set set = {.id = -1, .item = item};
    fim_h5_kind kind = FIM_H5_NOTHING;
    hid_t list = -1;
    size_t element = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_find(file, item, &kind));
    if (kind != FIM_H5_SET) {
        status = kind == FIM_H5_NOTHING
                     ? FIM_FAIL(FIM_ERR_FORMAT, "%s: has no data set %s", file->path, item)
                     : FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is a group, expected a data set", file->path, item);
        goto out;
    }
    if ((set.id = H5Dopen2(file->id, item, H5P_DEFAULT)) < 0 || (list = H5Dget_create_plist(set.id)) < 0) {
        status = fim_h5_damaged(file, item);
        goto out;
    }
    FIM_TRY(check_type(file, &set, &element));
    FIM_TRY(check_space(file, &set));
    FIM_TRY(check_layout(file, &set, list, element));
    *out = set;
    set.id = -1;
out:
    if (list >= 0)
        H5Pclose(list);
    fim_h5_set_close(&set);
    return status;
}

void fim_h5_set_close(fim_h5_set *set) {
    if (set->id >= 0)
        H5Dclose(set->id);
    set->id = -1;
}

// ---- Reading ----

fim_status fim_h5_set_expect(const fim_h5 *file, const fim_h5_set *set, size_t rank, const size_t *dim,
                             const char *why) {
    bool same = set->rank == rank;
    for (size_t i = 0; same && i < rank; i++)
        same = dim[i] == FIM_H5_ANY ? set->dim[i] > 0 : set->dim[i] == dim[i];
    if (same)
        return FIM_OK;
    char found[200], expected[200];
    return FIM_FAIL(FIM_ERR_SHAPE, "%s: %s is %s, expected %s%s%s", file->path, set->item,
                    fim_shape_format(set->rank, set->dim, found), fim_shape_format(rank, dim, expected),
                    why[0] != '\0' ? " " : "", why);
}

fim_status fim_h5_set_claim(fim_h5 *file, const fim_h5_set *set) {
    size_t bytes = fim_size_mul(set->count, sizeof(double));
    fim_status status = fim_budget_check(file->left, bytes, set->item, "raise --memory");
    if (status != FIM_OK)
        return fim_context(status, "%s", file->path);
    file->left -= bytes;
    return FIM_OK;
}

// The place of entry `index` as "[3, 1]".
static const char *place(const fim_h5_set *set, size_t index, char buffer[static 200]) {
    size_t at[FIM_H5_RANK];
    for (size_t i = set->rank; i-- > 0; index /= set->dim[i])
        at[i] = index % set->dim[i];
    size_t used = 0;
    for (size_t i = 0; i < set->rank; i++)
        used += (size_t)snprintf(buffer + used, 200 - used, "%s%zu", i == 0 ? "[" : ", ", at[i]);
    snprintf(buffer + used, 200 - used, "]");
    return buffer;
}

static fim_status check_crc(const fim_h5 *file, const fim_h5_set *set, uint32_t crc) {
    bool has = false;
    double expected = 0;
    fim_status status = fim_h5_has(file, set->item, "crc32", &has);
    if (status == FIM_OK && has)
        status = fim_h5_number(file, set->item, "crc32", &expected);
    if (status == FIM_OK && has && (double)crc != expected)
        status = FIM_FAIL(FIM_ERR_FORMAT,
                          "%s: %s does not match its checksum (attribute 'crc32'): the file is damaged, or "
                          "was changed by a program that does not know it",
                          file->path, set->item);
    return status;
}

fim_status fim_h5_set_read(const fim_h5 *file, const fim_h5_set *set, bool finite, gsl_matrix *target) {
    size_t rows = target->size1, columns = target->size2;
    if (fim_size_mul(rows, columns) != set->count)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: %s has %zu numbers, expected %zu x %zu", file->path, set->item,
                        set->count, rows, columns);
    if (set->count == 0)
        return FIM_OK;
    // The rows of target are a selection in memory, which HDF5 fills in order.
    hsize_t extent[2] = {rows, target->tda}, start[2] = {0, 0}, block[2] = {rows, columns};
    hid_t memory = H5Screate_simple(2, extent, NULL);
    bool selected = memory >= 0 && H5Sselect_hyperslab(memory, H5S_SELECT_SET, start, NULL, block, NULL) >= 0;
    fim_status status = FIM_OK;
    if (!selected || H5Dread(set->id, H5T_NATIVE_DOUBLE, memory, H5S_ALL, H5P_DEFAULT, target->data) < 0)
        status = fim_h5_damaged(file, set->item);
    if (memory >= 0)
        H5Sclose(memory);
    uint32_t crc = 0;
    for (size_t i = 0; status == FIM_OK && i < rows; i++) {
        const double *row = gsl_matrix_const_ptr(target, i, 0);
        crc = fim_h5_crc(crc, row, columns);
        for (size_t j = 0; finite && j < columns; j++) {
            char where[200];
            if (!isfinite(row[j])) {
                status = FIM_FAIL(FIM_ERR_VALUE, "%s: %s%s is %g, not a finite number", file->path, set->item,
                                  place(set, i * columns + j, where), row[j]);
                break;
            }
        }
    }
    return status == FIM_OK ? check_crc(file, set, crc) : status;
}

fim_status fim_h5_matrix(fim_h5 *file, const char *item, size_t rows, size_t columns, const char *why,
                         gsl_matrix **out) {
    fim_h5_set set = {.id = -1};
    gsl_matrix *m = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_set_open(file, item, &set));
    FIM_TRY(fim_h5_set_expect(file, &set, 2, (size_t[]){rows, columns}, why));
    FIM_TRY(fim_h5_set_claim(file, &set));
    FIM_TRY(fim_matrix_new(set.dim[0], set.dim[1], item, &m));
    FIM_TRY(fim_h5_set_read(file, &set, true, m));
    *out = m;
    m = NULL;
out:
    gsl_matrix_free(m);
    fim_h5_set_close(&set);
    return status;
}
