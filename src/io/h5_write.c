// HDF5 items written: groups, attributes, data sets with their checksums.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"

static fim_status not_written(const fim_h5 *file, const char *item) {
    char reason[160];
    fim_h5_reason(reason);
    return FIM_FAIL(FIM_ERR_IO, "%s: %s cannot be written: %s", file->path, item, reason);
}

static void close_list(hid_t list) {
    if (list >= 0)
        H5Pclose(list);
}

fim_status fim_h5_put_group(const fim_h5 *file, const char *item, size_t index) {
    hid_t links = H5Pcreate(H5P_LINK_CREATE), creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED);
    hid_t group = H5Gcreate2(file->id, item, links, creation, H5P_DEFAULT);
    fim_status status = group < 0 ? not_written(file, item) : FIM_OK;
    if (group >= 0)
        H5Gclose(group);
    close_list(links);
    close_list(creation);
    if (status == FIM_OK && index != FIM_H5_ANY)
        status = fim_h5_put_count(file, item, "index", index);
    return status;
}

fim_status fim_h5_put_alias(const fim_h5 *file, const char *item, const char *alias) {
    herr_t linked = H5Lcreate_hard(file->id, item, file->id, alias, H5P_DEFAULT, H5P_DEFAULT);
    return linked < 0 ? not_written(file, alias) : FIM_OK;
}

static fim_status put_attribute(const fim_h5 *file, const char *item, const char *name, hid_t stored,
                                hid_t memory, const void *value) {
    fim_status status = FIM_OK;
    hid_t object = H5Oopen(file->id, item, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t attribute = object >= 0 && space >= 0 && stored >= 0
                          ? H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT)
                          : -1;
    if (attribute < 0 || H5Awrite(attribute, memory, value) < 0)
        status = fim_context(not_written(file, item), "attribute '%s'", name);
    if (attribute >= 0)
        H5Aclose(attribute);
    if (space >= 0)
        H5Sclose(space);
    if (object >= 0)
        H5Oclose(object);
    return status;
}

// Of fixed length, in the object's header: a text of variable length would lie in a heap without a checksum.
fim_status fim_h5_put_text(const fim_h5 *file, const char *item, const char *attribute, const char *text) {
    size_t length = strlen(text);
    char *copy = NULL;
    fim_status status = fim_alloc(length + 1, 1, "a text", &copy);
    if (status != FIM_OK)
        return status;
    memcpy(copy, text, length);
    for (size_t i = 0; (i += fim_text_valid(copy + i, length - i)) < length;)
        copy[i] = '?';
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length > 0 ? length : 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    status = put_attribute(file, item, attribute, type, type, copy);
    H5Tclose(type);
    free(copy);
    return status;
}

fim_status fim_h5_put_number(const fim_h5 *file, const char *item, const char *attribute, double value) {
    return put_attribute(file, item, attribute, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

fim_status fim_h5_put_count(const fim_h5 *file, const char *item, const char *attribute, size_t value) {
    uint64_t count = value;
    return put_attribute(file, item, attribute, H5T_STD_I64LE, H5T_NATIVE_UINT64, &count);
}

static fim_status create_set(const fim_h5 *file, const char *item, hid_t stored, size_t rank,
                             const size_t *dim, hid_t *out) {
    hsize_t extent[FIM_H5_RANK];
    for (size_t i = 0; i < rank; i++)
        extent[i] = dim[i];
    hid_t space = H5Screate_simple((int)rank, extent, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED);
    hid_t set =
        space >= 0 ? H5Dcreate2(file->id, item, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT) : -1;
    fim_status status = set < 0 ? not_written(file, item) : FIM_OK;
    if (space >= 0)
        H5Sclose(space);
    close_list(creation);
    if (status == FIM_OK)
        *out = set;
    return status;
}

static fim_status close_set(const fim_h5 *file, const char *item, hid_t set, uint32_t crc,
                            fim_status status) {
    if (set >= 0 && H5Dclose(set) < 0 && status == FIM_OK)
        status = not_written(file, item);
    return status == FIM_OK ? fim_h5_put_count(file, item, "crc32", crc) : status;
}

fim_status fim_h5_put_matrix(const fim_h5 *file, const char *item, size_t rank, const size_t *dim,
                             const gsl_matrix *values) {
    hid_t set = -1, memory = -1;
    uint32_t crc = 0;
    fim_status status = FIM_OK;
    FIM_TRY(create_set(file, item, H5T_IEEE_F64LE, rank, dim, &set));
    hsize_t extent[2] = {values->size1, values->tda}, start[2] = {0, 0},
            block[2] = {values->size1, values->size2};
    if (values->size1 == 0 || values->size2 == 0)
        goto out;
    if ((memory = H5Screate_simple(2, extent, NULL)) < 0 ||
        H5Sselect_hyperslab(memory, H5S_SELECT_SET, start, NULL, block, NULL) < 0 ||
        H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, H5S_ALL, H5P_DEFAULT, values->data) < 0) {
        status = not_written(file, item);
        goto out;
    }
    for (size_t i = 0; i < values->size1; i++)
        crc = fim_h5_crc(crc, gsl_matrix_const_ptr(values, i, 0), values->size2);
out:
    if (memory >= 0)
        H5Sclose(memory);
    return close_set(file, item, set, crc, status);
}

fim_status fim_h5_put_triangle(const fim_h5 *file, const char *item, const gsl_matrix *values) {
    size_t n = values->size1, total = n * (n + 1) / 2;
    hid_t set = -1, space = -1;
    uint32_t crc = 0;
    fim_status status = FIM_OK;
    FIM_TRY(create_set(file, item, H5T_IEEE_F64LE, 1, &total, &set));
    space = H5Dget_space(set);
    hsize_t start = 0;
    for (size_t i = 0; i < n; i++) {
        hsize_t count = n - i;
        const double *row = gsl_matrix_const_ptr(values, i, i);
        hid_t memory = H5Screate_simple(1, &count, NULL);
        bool written = H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
                       H5Dwrite(set, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, row) >= 0;
        if (!written)
            status = not_written(file, item);
        H5Sclose(memory);
        if (status != FIM_OK)
            goto out;
        crc = fim_h5_crc(crc, row, n - i);
        start += count;
    }
out:
    if (space >= 0)
        H5Sclose(space);
    return close_set(file, item, set, crc, status);
}

fim_status fim_h5_put_labels(const fim_h5 *file, const char *item, size_t n, const uint32_t *labels) {
    hid_t set = -1;
    uint32_t crc = 0;
    fim_status status = FIM_OK;
    FIM_TRY(create_set(file, item, H5T_STD_U32LE, 1, &n, &set));
    if (n > 0 && H5Dwrite(set, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels) < 0)
        status = not_written(file, item);
    for (size_t i = 0; i < n; i++)
        crc = fim_h5_crc(crc, (double[]){labels[i]}, 1);
out:
    return close_set(file, item, set, crc, status);
}
