// What a data format provides; data_formats.def lists them. A format reads arrays; data.c makes a data set of
// them.
#ifndef FIM_IO_DATA_FORMAT_H
#define FIM_IO_DATA_FORMAT_H

#include "fim/io.h"

enum { FIM_ARRAY_RANK = 8 };

typedef struct fim_array {
    size_t rank, dim[FIM_ARRAY_RANK];
    bool integer;       // the file holds integers
    gsl_matrix *values; // (dim[0], the product of the others), finite; NULL when there is no array
} fim_array;

// What the file holds: x, and y when it has one. `budget` bounds the bytes of both.
typedef fim_status fim_data_read_fn(const char *path, size_t budget, fim_array *x, fim_array *y);

typedef struct fim_data_format {
    const char *about;
    // Whether a file that begins with these bytes (after decompression, when it is gzipped; zeros follow when
    // it is shorter) is of this format.
    bool (*sniff)(const unsigned char head[static 8]);
    fim_data_read_fn *read;
} fim_data_format;

// The format of a file, by its content. FIM_ERR_FORMAT lists the known ones.
fim_status fim_data_format_find(const char *path, const fim_data_format **out);

// Allocates the array of extents dim[0..rank) after the checks that every array must pass: rank 1 to
// FIM_ARRAY_RANK, no extent of zero, and not over *budget, from which its bytes are taken. `name` names file
// and item in messages.
fim_status fim_array_new(const char *name, size_t rank, const size_t *dim, size_t *budget, fim_array *out);
void fim_array_clear(fim_array *array);

#define FIM_DATA_FORMAT(name, about)                                                                         \
    bool fim_data_##name##_sniff(const unsigned char head[static 8]);                                        \
    fim_data_read_fn fim_data_##name##_read;
#include "data_formats.def"
#undef FIM_DATA_FORMAT

#endif
