// Zip archives of unknown origin, by libzip.
#include "archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"
#include "tensors.h"

enum { MEMBERS_LIMIT = 1 << 17, DEFLATE_RATIO = 1032 };

fim_status fim_archive_sniff(const char *path, bool *out) {
    unsigned char head[4];
    size_t got = 0;
    fim_status status = fim_source_head(path, head, sizeof head, &got);
    if (status == FIM_OK)
        *out = got == sizeof head && memcmp(head, "PK\3\4", sizeof head) == 0;
    return status;
}

void fim_archive_close(fim_archive *archive) {
    if (archive->zip != NULL)
        zip_discard(archive->zip);
    *archive = (fim_archive){0};
}

fim_status fim_archive_open(const char *path, fim_archive *out) {
    int code = 0;
    fim_archive archive = {.zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code), .path = path};
    if (archive.zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        // Readers of an archive with two members of one name do not agree on which one it is.
        fim_status status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged zip archive: %s", path,
                     code == ZIP_ER_EXISTS ? "two members have one name" : zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    zip_int64_t n = zip_get_num_entries(archive.zip, 0);
    if (n < 0 || n > MEMBERS_LIMIT) {
        fim_archive_close(&archive);
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: holds more than %d members", path, MEMBERS_LIMIT);
    }
    archive.n = (size_t)n;
    *out = archive;
    return FIM_OK;
}

const char *fim_archive_name(const fim_archive *archive, size_t index) {
    const char *name = zip_get_name(archive->zip, index, 0);
    return name != NULL && fim_text_valid(name, strlen(name)) == strlen(name) ? name : "";
}

size_t fim_archive_find(const fim_archive *archive, const char *name) {
    zip_int64_t index = zip_name_locate(archive->zip, name, 0);
    return index >= 0 ? (size_t)index : archive->n;
}

fim_status fim_archive_check(const fim_archive *archive, size_t index, size_t *size) {
    const char *name = fim_archive_name(archive, index);
    zip_stat_t about;
    const zip_uint64_t needed =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive->zip, index, 0, &about) != 0 || (about.valid & needed) != needed)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s cannot be read: %s", archive->path, name,
                        zip_strerror(archive->zip));
    bool deflated = about.comp_method == ZIP_CM_DEFLATE;
    if (about.encryption_method != ZIP_EM_NONE || (!deflated && about.comp_method != ZIP_CM_STORE))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is encrypted or compressed otherwise than by deflate",
                        archive->path, name);
    if (about.size > fim_size_mul(about.comp_size, deflated ? DEFLATE_RATIO : 1))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s claims %zu bytes, which its %zu stored ones cannot hold",
                        archive->path, name, (size_t)about.size, (size_t)about.comp_size);
    *size = about.size;
    return FIM_OK;
}

fim_status fim_archive_read(const fim_archive *archive, size_t index, size_t *budget, unsigned char **bytes,
                            size_t *n) {
    const char *name = fim_archive_name(archive, index);
    unsigned char *buffer = NULL, more;
    zip_file_t *member = NULL;
    size_t size = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_archive_check(archive, index, &size));
    FIM_TRY(fim_context(fim_budget_check(*budget, size, name, "raise --memory"), "%s", archive->path));
    FIM_TRY(fim_alloc(size + 1, 1, name, &buffer));
    member = zip_fopen_index(archive->zip, index, 0);
    // The read past the end lets libzip compare the checksum.
    if (member == NULL || (size > 0 && zip_fread(member, buffer, size) != (zip_int64_t)size) ||
        zip_fread(member, &more, 1) != 0) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s is damaged: %s", archive->path, name,
                          member != NULL ? zip_file_strerror(member) : zip_strerror(archive->zip));
        goto out;
    }
    *budget -= size;
    *bytes = buffer;
    *n = size;
    buffer = NULL;
out:
    if (member != NULL)
        zip_fclose(member);
    free(buffer);
    return status;
}
