// HDF5 files: set-up, recognising, opening, creating, closing.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>
#ifdef FIM_HAVE_ONNX
#include <protobuf-c/protobuf-c.h>
#endif
#include <zlib.h>

#include "h5.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checksums are over little-endian float64");

void fim_io_setup(void) {
    // At the end of the program HDF5 1.10 walks over files that could not be closed, for want of room on the
    // disk, and crashes. All files are closed by then, or have failed to.
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0); // a file must not make us load filter plugins
}

const char *fim_io_describe(char *buffer, size_t size) {
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
#ifdef FIM_HAVE_ONNX
    const char *onnx = "protobuf-c ", *version = protobuf_c_version();
#else
    const char *onnx = "no protobuf-c, which ONNX takes", *version = "";
#endif
    snprintf(buffer, size, "HDF5 %u.%u.%u, zlib %s, libzip %s, %s%s", major, minor, release, zlibVersion(),
             zip_libzip_version(), onnx, version);
    return buffer;
}

static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *context) {
    // Of a system call that failed HDF5 tells a lot, in the middle of which is the reason.
    static const char key[] = "error message = '";
    const char *text = error->desc != NULL ? error->desc : "", *system = strstr(text, key);
    int length = (int)strlen(text);
    if (system != NULL) {
        text = system + sizeof key - 1;
        length = (int)strcspn(text, "'");
    }
    if (n == 0)
        snprintf(context, 160, "%.*s", length, text);
    return 0;
}

const char *fim_h5_reason(char buffer[static 160]) {
    snprintf(buffer, 160, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, buffer);
    return buffer;
}

fim_status fim_h5_damaged(const fim_h5 *file, const char *item) {
    char reason[160];
    fim_h5_reason(reason);
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s cannot be read: %s", file->path, item, reason);
}

size_t fim_text_valid(const char *text, size_t length) {
    size_t i = 0;
    while (i < length) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x80) {
            if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
                return i;
            i++;
            continue;
        }
        // Length and first continuation byte by the leading byte; the limits exclude overlong forms,
        // surrogates, and the C1 controls.
        size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        unsigned char low = c == 0xc2 ? 0xa0 : c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (c < 0xc2 || c > 0xf4 || length - i <= more)
            return i;
        for (size_t k = 1; k <= more; k++) {
            unsigned char next = (unsigned char)text[i + k];
            if (next < (k == 1 ? low : 0x80) || next > (k == 1 ? high : 0xbf))
                return i;
        }
        i += more + 1;
    }
    return i;
}

uint32_t fim_h5_crc(uint32_t crc, const double *values, size_t count) {
    return (uint32_t)crc32_z(crc, (const unsigned char *)values, count * sizeof *values);
}

const char *fim_shape_format(size_t rank, const size_t *dim, char buffer[static 200]) {
    size_t used = (size_t)snprintf(buffer, 200, "(");
    for (size_t i = 0; i < rank; i++) {
        const char *comma = i + 1 < rank ? ", " : rank == 1 ? "," : "";
        char extent[24] = "*";
        if (dim[i] != FIM_H5_ANY)
            snprintf(extent, sizeof extent, "%zu", dim[i]);
        used += (size_t)snprintf(buffer + used, 200 - used, "%s%s", extent, comma);
    }
    snprintf(buffer + used, 200 - used, ")");
    return buffer;
}

// HDF5's signature may stand at the beginning, or behind a block of the user's of 512, 1024, ... bytes.
fim_status fim_h5_sniff(const char *path, bool *out) {
    static const unsigned char signature[8] = "\x89HDF\r\n\x1a\n";
    struct stat about;
    if (stat(path, &about) != 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: not a regular file", path);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    bool found = false;
    for (off_t at = 0; !found && at + 8 <= about.st_size; at = at > 0 ? 2 * at : 512) {
        unsigned char head[8];
        if (fseeko(file, at, SEEK_SET) != 0 || fread(head, 1, sizeof head, file) != sizeof head)
            break;
        found = memcmp(head, signature, sizeof signature) == 0;
    }
    fclose(file);
    *out = found;
    return FIM_OK;
}

// Without locks: what we read is complete (files get their name when they are), what we write is private
// until then, and locks fail on some network file systems.
static hid_t access_list(void) {
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list >= 0) {
        H5Pset_file_locking(list, false, true);
        H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18);
        H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    }
    return list;
}

fim_status fim_h5_open(const char *path, size_t budget, fim_h5 *out) {
    bool found = false;
    struct stat about;
    char reason[160];
    fim_status status = fim_h5_sniff(path, &found);
    if (status != FIM_OK)
        return status;
    if (!found)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: is not an HDF5 file", path);
    if (stat(path, &about) != 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    hid_t list = access_list();
    H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST); // others write with the newest
    hid_t id = H5Fopen(path, H5F_ACC_RDONLY, list);
    if (id < 0)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged HDF5 file: %s", path, fim_h5_reason(reason));
    H5Pclose(list);
    if (status == FIM_OK)
        *out = (fim_h5){.id = id, .path = path, .size = (size_t)about.st_size, .left = budget};
    return status;
}

// By HDF5's driver for files in memory, which takes a copy.
fim_status fim_h5_open_image(const char *path, unsigned char *bytes, size_t n, size_t budget, fim_h5 *out) {
    fim_status status = fim_budget_check(budget, n, "the HDF5 file inside", "raise --memory");
    if (status != FIM_OK)
        return fim_context(status, "%s", path);
    hid_t list = access_list();
    char reason[160];
    hid_t id = H5Pset_fapl_core(list, 1 << 16, false) >= 0 && H5Pset_file_image(list, bytes, n) >= 0
                   ? H5Fopen("image", H5F_ACC_RDONLY, list)
                   : -1;
    if (id < 0)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: holds a damaged HDF5 file: %s", path, fim_h5_reason(reason));
    H5Pclose(list);
    if (status == FIM_OK)
        *out = (fim_h5){.id = id, .path = path, .size = n, .left = budget - n};
    return status;
}

fim_status fim_h5_open_format(const char *path, const char *format, size_t budget, fim_h5 *out) {
    fim_h5 file = {.id = -1};
    char *found = NULL;
    size_t version = 0;
    fim_status status = fim_h5_open(path, budget, &file);
    if (status != FIM_OK)
        return status;
    bool known = false;
    FIM_TRY(fim_h5_has(&file, "/", "format", &known));
    if (!known) {
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: has no root attribute 'format'; a file of format '%s' was expected",
                     path, format);
        goto out;
    }
    FIM_TRY(fim_h5_text(&file, "/", "format", &found));
    if (strcmp(found, format) != 0) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is a file of format '%s', expected '%s'", path, found, format);
        goto out;
    }
    FIM_TRY(fim_h5_count(&file, "/", "version", 0, &version));
    if (version != 1)
        status =
            FIM_FAIL(FIM_ERR_FORMAT, "%s: is version %zu of '%s'; version 1 is known", path, version, format);
out:
    free(found);
    if (status == FIM_OK)
        *out = file;
    else
        fim_h5_close(&file);
    return status;
}

fim_status fim_h5_create(const char *temporary, const char *path, const char *format, fim_h5 *out) {
    hid_t access = access_list(), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED);
    fim_h5 file = {.id = H5Fcreate(temporary, H5F_ACC_TRUNC, creation, access), .path = path};
    fim_status status = FIM_OK;
    char reason[160];
    if (file.id < 0)
        status = FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, fim_h5_reason(reason));
    H5Pclose(creation);
    H5Pclose(access);
    if (status == FIM_OK && (status = fim_h5_put_text(&file, "/", "format", format)) == FIM_OK)
        status = fim_h5_put_count(&file, "/", "version", 1);
    if (status == FIM_OK)
        *out = file;
    else
        fim_h5_close(&file);
    return status;
}

fim_status fim_h5_close(fim_h5 *file) {
    hid_t id = file->id;
    file->id = -1;
    char reason[160];
    if (id >= 0 && H5Fclose(id) < 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be completed: %s", file->path, fim_h5_reason(reason));
    return FIM_OK;
}
