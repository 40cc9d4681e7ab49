// HDF5 for the io room: reading files of unknown origin, and writing our own.
//
// Reading. Items are named by absolute paths ("/layers/0/weight"), so that every message can name file and
// item. A path is followed through hard links only: soft, external and user-defined links are refused, and so
// are data sets whose bytes live elsewhere (external storage, virtual data sets) or pass through a filter
// that is not part of HDF5. Sizes that a file claims are compared with the bytes it stores and with what is
// left of the memory budget before anything is allocated.
//
// Writing. Files are in the format of HDF5 1.8, whose metadata carry checksums; the numbers of every data set
// get a checksum of ours: the attribute "crc32", that of zlib over the values as little-endian float64 in row
// order, which is checked on reading where it is present. So damage is noticed wherever it strikes.
#ifndef FIM_IO_H5_H
#define FIM_IO_H5_H

#include <hdf5.h>

#include "fim/io.h"

enum { FIM_H5_RANK = 8 };   // the largest rank read
#define FIM_H5_ANY SIZE_MAX // an extent that may be anything

typedef struct fim_h5 {
    hid_t id;
    const char *path; // as the user named the file
    size_t size;      // bytes of the file
    size_t left;      // bytes left of the memory budget
} fim_h5;

typedef enum fim_h5_kind { FIM_H5_NOTHING, FIM_H5_GROUP, FIM_H5_SET } fim_h5_kind;

typedef struct fim_h5_attribute {
    char *name;
    char *text;   // NULL for a number
    double value; // 0 for a text
} fim_h5_attribute;

// A data set that passed the checks of its storage: `dim` of `rank` extents, `count` numbers.
typedef struct fim_h5_set {
    hid_t id;
    const char *item;
    bool integer; // stored as integers, else as floating point numbers
    size_t rank, dim[FIM_H5_RANK], count;
} fim_h5_set;

// ---- Files ----

// Whether a file begins (at 0, 512, 1024, ...) with HDF5's signature. FIM_ERR_IO when it cannot be read.
fim_status fim_h5_sniff(const char *path, bool *out);
// Opens for reading; `path` must outlive it. FIM_ERR_FORMAT when it is no HDF5 file or is damaged.
fim_status fim_h5_open(const char *path, size_t budget, fim_h5 *out);
// Opens the n bytes of an HDF5 file that `path` holds inside; the bytes must outlive it.
fim_status fim_h5_open_image(const char *path, unsigned char *bytes, size_t n, size_t budget, fim_h5 *out);
// Opens a file of ours: its root attribute `format` must be this one, `version` 1.
fim_status fim_h5_open_format(const char *path, const char *format, size_t budget, fim_h5 *out);
// A new file in place of `temporary`; `path` is the name in messages.
fim_status fim_h5_create(const char *temporary, const char *path, const char *format, fim_h5 *out);
// Accepts a closed one (id < 0). For a written file, FIM_ERR_IO when the last bytes could not be written.
fim_status fim_h5_close(fim_h5 *file);

// ---- Reading ----

// What an item is; FIM_H5_NOTHING when it does not exist.
fim_status fim_h5_find(const fim_h5 *file, const char *item, fim_h5_kind *out);
// Names in a group, ordered by their attribute "index" where they have one, else by name. Free with
// fim_h5_names_free.
fim_status fim_h5_list(const fim_h5 *file, const char *group, char ***names, size_t *count);
void fim_h5_names_free(char **names, size_t count);

// The attributes of an item that are one number or one short printable text (others are passed over), in
// order of creation where the file recorded it, else by name. Free with fim_h5_attributes_free.
// FIM_ERR_FORMAT means damage.
fim_status fim_h5_attributes(const fim_h5 *file, const char *item, fim_h5_attribute **out, size_t *count);
void fim_h5_attributes_free(fim_h5_attribute *attributes, size_t count);
fim_status fim_h5_has(const fim_h5 *file, const char *item, const char *attribute, bool *out);
// FIM_ERR_FORMAT when it is missing or of the other type, FIM_ERR_VALUE when it is neither or no printable
// UTF-8. *text is malloc'ed.
fim_status fim_h5_text(const fim_h5 *file, const char *item, const char *attribute, char **text);
fim_status fim_h5_number(const fim_h5 *file, const char *item, const char *attribute, double *out);
// A whole number from `low` to 2^53.
fim_status fim_h5_count(const fim_h5 *file, const char *item, const char *attribute, size_t low, size_t *out);

// FIM_ERR_FORMAT when the item is missing, no numeric data set, or stored in a way that is refused. `item`
// must outlive *out.
fim_status fim_h5_set_open(const fim_h5 *file, const char *item, fim_h5_set *out);
void fim_h5_set_close(fim_h5_set *set);
// FIM_ERR_SHAPE unless the extents are dim[0..rank), FIM_H5_ANY standing for any but 0. `why` ends the
// message ("to follow layer 0"), or "".
fim_status fim_h5_set_expect(const fim_h5 *file, const fim_h5_set *set, size_t rank, const size_t *dim,
                             const char *why);
// Takes count·8 bytes from the budget.
fim_status fim_h5_set_claim(fim_h5 *file, const fim_h5_set *set);
// All numbers in row order into target, of as many entries; each must be finite when `finite`.
fim_status fim_h5_set_read(const fim_h5 *file, const fim_h5_set *set, bool finite, gsl_matrix *target);
// Open, expect, claim, allocate and read in one: a matrix of finite numbers.
fim_status fim_h5_matrix(fim_h5 *file, const char *item, size_t rows, size_t columns, const char *why,
                         gsl_matrix **out);

// ---- Writing ----

// The group and those above it that are missing; `index` becomes its attribute when it is not FIM_H5_ANY.
fim_status fim_h5_put_group(const fim_h5 *file, const char *item, size_t index);
// A second name for the group or data set `item`, by a hard link.
fim_status fim_h5_put_alias(const fim_h5 *file, const char *item, const char *alias);
// Bytes that are not printable UTF-8 become '?'.
fim_status fim_h5_put_text(const fim_h5 *file, const char *item, const char *attribute, const char *text);
fim_status fim_h5_put_number(const fim_h5 *file, const char *item, const char *attribute, double value);
fim_status fim_h5_put_count(const fim_h5 *file, const char *item, const char *attribute, size_t value);
// A data set of dim[0..rank) numbers: the rows of `values`, a matrix with as many entries.
fim_status fim_h5_put_matrix(const fim_h5 *file, const char *item, size_t rank, const size_t *dim,
                             const gsl_matrix *values);
// The upper triangle of a symmetric matrix (n, n), row by row, as n(n+1)/2 numbers.
fim_status fim_h5_put_triangle(const fim_h5 *file, const char *item, const gsl_matrix *values);
// Class labels, as 32-bit integers.
fim_status fim_h5_put_labels(const fim_h5 *file, const char *item, size_t n, const uint32_t *labels);

// ---- Shared by the files of h5 ----

// The length of the longest beginning of text[0..length) that is UTF-8 without control characters (tabs and
// newlines may stand).
size_t fim_text_valid(const char *text, size_t length);
// What HDF5 says about its last failure, innermost first, in buffer.
const char *fim_h5_reason(char buffer[static 160]);
// FIM_ERR_FORMAT with HDF5's reason: `item` cannot be read. To be called right after the failure.
fim_status fim_h5_damaged(const fim_h5 *file, const char *item);
// The checksum of `count` numbers, continuing from `crc` (0 at the start).
uint32_t fim_h5_crc(uint32_t crc, const double *values, size_t count);
// "(3, 4)" in buffer; '*' for FIM_H5_ANY.
const char *fim_shape_format(size_t rank, const size_t *dim, char buffer[static 200]);

#endif
