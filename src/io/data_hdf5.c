// Data sets in HDF5: /x (N, d) or (N, c, h, w), and /y, (N) integer labels or (N, k) targets, when it is
// there. Any program writes these; ours add the root attributes format = "fim-data" and version.
#include <string.h>

#include "data_format.h"
#include "h5.h"

bool fim_data_hdf5_sniff(const unsigned char head[static 8]) {
    return memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

static fim_status read_array(fim_h5 *file, const char *item, fim_array *out) {
    fim_h5_set set = {.id = -1};
    fim_array array = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_set_open(file, item, &set));
    FIM_TRY(fim_context(fim_array_new(item, set.rank, set.dim, &file->left, &array), "%s", file->path));
    FIM_TRY(fim_h5_set_read(file, &set, true, array.values));
    array.integer = set.integer;
    *out = array;
    array = (fim_array){0};
out:
    fim_array_clear(&array);
    fim_h5_set_close(&set);
    return status;
}

fim_status fim_data_hdf5_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    fim_h5 file = {.id = -1};
    fim_array found_x = {0}, found_y = {0};
    fim_h5_kind kind = FIM_H5_NOTHING;
    bool has_format = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open(path, budget, &file));
    FIM_TRY(fim_h5_has(&file, "/", "format", &has_format));
    if (has_format) { // then it must be the right one
        fim_h5_close(&file);
        FIM_TRY(fim_h5_open_format(path, "fim-data", budget, &file));
    }
    FIM_TRY(read_array(&file, "/x", &found_x));
    FIM_TRY(fim_h5_find(&file, "/y", &kind));
    if (kind != FIM_H5_NOTHING)
        FIM_TRY(read_array(&file, "/y", &found_y));
    *x = found_x;
    *y = found_y;
    found_x = found_y = (fim_array){0};
out:
    fim_array_clear(&found_x);
    fim_array_clear(&found_y);
    fim_h5_close(&file);
    return status;
}

fim_status fim_data_write(const fim_data *data, const char *path, bool overwrite) {
    char *temporary = NULL;
    fim_h5 file = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(fim_file_begin(path, overwrite, &temporary));
    FIM_TRY(fim_h5_create(temporary, path, "fim-data", &file));
    FIM_TRY(fim_h5_put_matrix(&file, "/x", 2, (size_t[]){data->x->size1, data->x->size2}, data->x));
    if (data->labels != NULL)
        FIM_TRY(fim_h5_put_labels(&file, "/y", data->x->size1, data->labels));
    else if (data->y != NULL)
        FIM_TRY(fim_h5_put_matrix(&file, "/y", 2, (size_t[]){data->y->size1, data->y->size2}, data->y));
    FIM_TRY(fim_h5_close(&file));
    status = fim_file_commit(temporary, path, overwrite);
    temporary = NULL;
out:
    fim_h5_close(&file);
    fim_file_abandon(temporary);
    return status;
}
