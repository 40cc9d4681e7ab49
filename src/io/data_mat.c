// MATLAB's .mat of version 5 and 7, by libmatio. A matrix `x` (samples in rows), and a vector or matrix `y`
// beside it; or else the only numeric matrix of the file, whose longer side counts the samples: data sets of
// images come either way round, and with more images than pixels. (Version 7.3 is HDF5.)
#include <math.h>
#include <matio.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "data_format.h"
#include "tensors.h"

bool fim_data_mat_sniff(const unsigned char head[static 8]) {
    return memcmp(head, "MATLAB 5", 8) == 0;
}

static size_t width_of(enum matio_classes class) {
    switch (class) {
    case MAT_C_DOUBLE:
        return 8;
    case MAT_C_SINGLE:
    case MAT_C_INT32:
    case MAT_C_UINT32:
        return 4;
    case MAT_C_INT16:
    case MAT_C_UINT16:
        return 2;
    case MAT_C_INT8:
    case MAT_C_UINT8:
        return 1;
    default:
        return 0;
    }
}

static double number_at(const matvar_t *v, size_t k) {
    switch (v->class_type) {
    case MAT_C_DOUBLE:
        return ((const double *)v->data)[k];
    case MAT_C_SINGLE:
        return (double)((const float *)v->data)[k];
    case MAT_C_INT32:
        return ((const int32_t *)v->data)[k];
    case MAT_C_UINT32:
        return ((const uint32_t *)v->data)[k];
    case MAT_C_INT16:
        return ((const int16_t *)v->data)[k];
    case MAT_C_UINT16:
        return ((const uint16_t *)v->data)[k];
    case MAT_C_INT8:
        return ((const int8_t *)v->data)[k];
    default:
        return ((const uint8_t *)v->data)[k];
    }
}

static bool is_matrix(const matvar_t *v) {
    return v->rank == 2 && width_of(v->class_type) > 0 && !v->isComplex && !v->isLogical && v->name != NULL;
}

// The variable v, whose data are read here, as an array; `turned`: its columns are the samples.
static fim_status take(const char *path, mat_t *file, matvar_t *v, bool turned, size_t *budget,
                       fim_array *out) {
    const size_t rows = v->dims[0], columns = v->dims[1];
    const bool vector = strcmp(v->name, "y") == 0 && (rows == 1 || columns == 1);
    const size_t n = vector ? (rows > columns ? rows : columns) : turned ? columns : rows;
    const size_t d = vector ? 1 : turned ? rows : columns;
    fim_array array = {0};
    char name[512];
    fim_status status = FIM_OK;
    snprintf(name, sizeof name, "%s: %.64s", path, v->name);
    FIM_TRY(fim_budget_check(*budget, fim_size_mul(fim_size_mul(rows, columns), sizeof(double)), name,
                             "raise --memory"));
    FIM_TRY(fim_array_new(name, vector ? 1 : 2, (size_t[]){n, d}, budget, &array));
    if (Mat_VarReadDataAll(file, v) != 0 || v->data == NULL ||
        v->nbytes < fim_size_mul(fim_size_mul(n, d), width_of(v->class_type)))
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: its numbers cannot be read", name));
    array.integer = true;
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < d; c++) { // column by column in the file
            const double value = number_at(v, vector ? r : turned ? r * rows + c : c * rows + r);
            if (!(value - value == 0))
                FIM_TRY(FIM_FAIL(FIM_ERR_VALUE, "%s: number (%zu, %zu) is not finite", name, r, c));
            array.integer = array.integer && trunc(value) == value;
            gsl_matrix_set(array.values, r, c, value);
        }
    *out = array;
    return FIM_OK;
out:
    fim_array_clear(&array);
    return status;
}

// libmatio takes what is missing at the end of a file for zeros: here every element must end within it.
static fim_status check_whole(const char *path) {
    unsigned char head[128], tag[8];
    FILE *file = NULL;
    size_t end = 0;
    fim_status status = fim_source_open(path, &file, &end);
    if (status != FIM_OK)
        return status;
    if (fread(head, 1, sizeof head, file) != sizeof head)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: ends within its header", path));
    const bool big = head[126] == 'M'; // the marks of the byte order, "IM" where it is little endian
    size_t at = sizeof head;
    while (at < end) {
        if (end - at < sizeof tag)
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: ends within an element", path));
        FIM_TRY(fim_source_read(file, path, at, tag, sizeof tag));
        size_t n = 0;
        for (size_t i = 0; i < 4; i++)
            n = n << 8 | tag[4 + (big ? i : 3 - i)];
        at += sizeof tag;
        if (n > end - at)
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: an element of %zu bytes has %zu: the file is cut", path, n,
                             end - at));
        at += n;
    }
out:
    fclose(file);
    return status;
}

fim_status fim_data_mat_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    matvar_t *samples = NULL, *targets = NULL, *only = NULL, *v;
    size_t matrices = 0;
    fim_array first = {0}, second = {0};
    fim_status status = check_whole(path);
    if (status != FIM_OK)
        return status;
    mat_t *file = Mat_Open(path, MAT_ACC_RDONLY);
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: is no MAT file that can be read", path);
    while ((v = Mat_VarReadNextInfo(file)) != NULL) {
        matvar_t **place = NULL;
        if (is_matrix(v)) {
            matrices++;
            place = strcmp(v->name, "x") == 0 ? &samples : strcmp(v->name, "y") == 0 ? &targets : &only;
        }
        if (place != NULL && *place == NULL)
            *place = v;
        else
            Mat_VarFree(v);
    }
    if (samples == NULL && !(only != NULL && matrices == 1))
        FIM_TRY(
            FIM_FAIL(FIM_ERR_FORMAT,
                     "%s: has %zu numeric matrices and none called x; expected x (and y), or a single one",
                     path, matrices));
    v = samples != NULL ? samples : only;
    FIM_TRY(take(path, file, v, samples == NULL && v->dims[1] > v->dims[0], &budget, &first));
    if (samples != NULL && targets != NULL)
        FIM_TRY(take(path, file, targets, false, &budget, &second));
    *x = first;
    *y = second;
    first = second = (fim_array){0};
out:
    fim_array_clear(&first);
    fim_array_clear(&second);
    Mat_VarFree(samples);
    Mat_VarFree(targets);
    Mat_VarFree(only);
    Mat_Close(file);
    return status;
}
