// A folder of its own for every test, and files made by hand in it.
#ifndef TESTS_IO_SCRATCH_H
#define TESTS_IO_SCRATCH_H

#include <dirent.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fim/io.h"
#include "fim/linalg.h"
#include "support.h"

static char scratch_folder[] = "/tmp/fim-test-XXXXXX";

// Fresh identifiers of HDF5: a data space, a type, a property list. Identifiers of a kind are numbered, so
// that those between two fresh ones are known, and the ones still valid were left open.
enum { H5_KINDS = 3 };
static hid_t h5_before[H5_KINDS];

static inline void h5_fresh(hid_t id[H5_KINDS]) {
    H5Sclose(id[0] = H5Screate(H5S_SCALAR));
    H5Tclose(id[1] = H5Tcopy(H5T_C_S1));
    H5Pclose(id[2] = H5Pcreate(H5P_FILE_ACCESS));
}

// To be called at the end of a test: Criterion takes no notice of what fails in a clean-up.
static inline void h5_expect_all_closed(void) {
    hid_t now[H5_KINDS];
    size_t open = (size_t)H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
    h5_fresh(now);
    for (size_t i = 0; i < H5_KINDS; i++)
        for (hid_t id = h5_before[i] + 1; id < now[i]; id++)
            open += H5Iis_valid(id) > 0;
    cr_assert(eq(sz, open, 0), "objects of HDF5 are left open");
}

static inline void scratch_begin(void) {
    cr_assert(mkdtemp(scratch_folder) != NULL);
    fim_io_setup();
    fim_linalg_setup(1);
    h5_fresh(h5_before);
}

static inline void scratch_end(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", scratch_folder);
    cr_assert(system(command) == 0);
}

// "<folder>/<name>"; the last sixteen stay valid.
static inline const char *scratch(const char *name) {
    static char paths[16][320];
    static size_t next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline bool scratch_has(const char *name) {
    return access(scratch(name), F_OK) == 0;
}

// The number of files in the folder.
static inline size_t scratch_count(void) {
    DIR *folder = opendir(scratch_folder);
    size_t n = 0;
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n - 2;
}

static inline void scratch_write(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

// The bytes of a file; malloc'ed.
static inline unsigned char *scratch_read(const char *path, size_t *n) {
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL, "%s", path);
    fseek(file, 0, SEEK_END);
    *n = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*n + 1);
    cr_assert(fread(bytes, 1, *n, file) == *n);
    fclose(file);
    return bytes;
}

// ---- HDF5 as any other program writes it: no checksums, oldest format ----

static inline void h5_put_set(hid_t at, const char *name, hid_t stored, int rank, const hsize_t *dim,
                              const double *values) {
    hid_t space = H5Screate_simple(rank, dim, NULL);
    hid_t set = H5Dcreate2(at, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    cr_assert(set >= 0, "%s", name);
    if (values != NULL)
        cr_assert(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

// 0.5, 1.5, ... in as many entries as the extents make (at most 4096).
static inline void h5_put_numbers(hid_t at, const char *name, hid_t stored, int rank, const hsize_t *dim) {
    static double values[4096];
    for (size_t i = 0; i < 4096; i++)
        values[i] = (double)i + (H5Tget_class(stored) == H5T_FLOAT ? 0.5 : 0);
    h5_put_set(at, name, stored, rank, dim, values);
}

// A text of variable length, as h5py writes them.
static inline void h5_put_text(hid_t file, const char *item, const char *name, const char *text) {
    hid_t object = H5Oopen(file, item, H5P_DEFAULT), space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (H5Aexists(object, name) > 0)
        H5Adelete(object, name);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    cr_assert(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Tclose(type);
    H5Sclose(space);
    H5Oclose(object);
}

static inline void h5_put_number(hid_t file, const char *item, const char *name, double value) {
    hid_t object = H5Oopen(file, item, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    if (H5Aexists(object, name) > 0)
        H5Adelete(object, name);
    hid_t attribute = H5Acreate2(object, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    cr_assert(H5Awrite(attribute, H5T_NATIVE_DOUBLE, &value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Oclose(object);
}

static inline void h5_put_group(hid_t file, const char *name) {
    H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

static inline void h5_remove(hid_t file, const char *name) {
    cr_assert(H5Ldelete(file, name, H5P_DEFAULT) >= 0, "%s", name);
}

// One way of breaking a good file, what must be said about it, and with which status.
typedef struct h5_case {
    const char *name;
    void (*edit)(hid_t file);
    fim_status status;
    const char *part;
} h5_case;

// ---- Damage ----

// Reads `path` and compares what it holds with the undamaged content `good`: FIM_OK when they are equal,
// FIM_ERR_NUMERIC when they are not, else the status of the reader.
typedef fim_status damage_read(const char *path, const void *good);

// Cuts the file at every `step`-th length and flips one bit of every `step`-th byte: each time an error or
// the same content. `checked` is false for files without checksums, which may come out different; HDF5 does
// harm with some of them, and they are read in the child that a user's are.
static inline void damage(const char *path, damage_read *read, const void *good, size_t step, bool checked) {
    size_t n = 0, refused = 0, flips = 0;
    unsigned char *bytes = scratch_read(path, &n);
    const char *broken = scratch("broken");
    scratch_write(broken, bytes, n);
    fim_io_sandbox(!checked);
    TEST_OK(read(broken, good));
    for (size_t length = 0; length < n; length += step) {
        scratch_write(broken, bytes, length);
        fim_status status = read(broken, good);
        cr_assert(status != FIM_OK && status != FIM_ERR_NUMERIC, "%s cut at byte %zu was read", path, length);
        cr_assert(strstr(fim_message(), "broken") != NULL, "'%s' does not name the file", fim_message());
    }
    for (size_t at = 0; at < n; at += step, flips++) {
        bytes[at] ^= (unsigned char)(1 << at % 8);
        scratch_write(broken, bytes, n);
        bytes[at] ^= (unsigned char)(1 << at % 8);
        fim_status status = read(broken, good);
        cr_assert(status != FIM_ERR_NUMERIC || !checked,
                  "%s with byte %zu flipped was read as something else", path, at);
        if (status != FIM_OK && status != FIM_ERR_NUMERIC) {
            refused++;
            cr_assert(strstr(fim_message(), "broken") != NULL && strchr(fim_message(), '\n') == NULL,
                      "'%s' does not name the file in one line", fim_message());
        }
    }
    fim_io_sandbox(true);
    h5_expect_all_closed();
    cr_assert(refused > 0 && refused <= flips);
    cr_log_info("%s: %zu of %zu flips refused", path, refused, flips);
    free(bytes);
}

#endif
