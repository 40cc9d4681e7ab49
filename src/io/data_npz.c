// NumPy's .npz: a zip archive of .npy members; x, and y when it is there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "npy.h"

bool fim_data_npz_sniff(const unsigned char head[static 8]) {
    return memcmp(head, "PK\3\4", 4) == 0;
}

// *out stays without values when there is no such member.
static fim_status read_member(const char *path, zip_t *archive, const char *member, size_t *budget,
                              fim_array *out) {
    zip_int64_t index = zip_name_locate(archive, member, 0);
    if (index < 0)
        return FIM_OK;
    size_t size = strlen(path) + strlen(member) + 3;
    char *name = NULL;
    fim_stream stream = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(size, 1, "a name", &name));
    snprintf(name, size, "%s: %s", path, member);
    FIM_TRY(fim_stream_open_member(archive, (zip_uint64_t)index, name, &stream));
    FIM_TRY(fim_npy_read(&stream, budget, out));
out:
    fim_stream_close(&stream);
    free(name);
    return status;
}

fim_status fim_data_npz_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    fim_array found_x = {0}, found_y = {0};
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
    fim_status status = FIM_OK;
    if (archive == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged .npz archive: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    FIM_TRY(read_member(path, archive, "x.npy", &budget, &found_x));
    if (found_x.values == NULL) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: has no array x", path);
        goto out;
    }
    FIM_TRY(read_member(path, archive, "y.npy", &budget, &found_y));
    *x = found_x;
    *y = found_y;
    found_x = found_y = (fim_array){0};
out:
    fim_array_clear(&found_x);
    fim_array_clear(&found_y);
    zip_discard(archive);
    return status;
}
