// NumPy's .npz: a zip archive of .npy members; x, and y when it is there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "npy.h"

bool fim_data_npz_sniff(const unsigned char head[static 8]) {
    return memcmp(head, "PK\3\4", 4) == 0;
}

// *out stays without values when there is no such member.
static fim_status read_member(const fim_archive *archive, const char *member, size_t *budget,
                              fim_array *out) {
    size_t index = fim_archive_find(archive, member), size = strlen(archive->path) + strlen(member) + 3;
    if (index == archive->n)
        return FIM_OK;
    char *name = NULL;
    fim_stream stream = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(size, 1, "a name", &name));
    snprintf(name, size, "%s: %s", archive->path, member);
    FIM_TRY(fim_stream_open_member(archive, index, name, &stream));
    FIM_TRY(fim_npy_read(&stream, budget, out));
out:
    fim_stream_close(&stream);
    free(name);
    return status;
}

fim_status fim_data_npz_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    fim_array found_x = {0}, found_y = {0};
    fim_archive archive = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_open(path, &archive));
    FIM_TRY(read_member(&archive, "x.npy", &budget, &found_x));
    if (found_x.values == NULL) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: has no array x", path);
        goto out;
    }
    FIM_TRY(read_member(&archive, "y.npy", &budget, &found_y));
    *x = found_x;
    *y = found_y;
    found_x = found_y = (fim_array){0};
out:
    fim_array_clear(&found_x);
    fim_array_clear(&found_y);
    fim_archive_close(&archive);
    return status;
}
