// The .npy format, in a file of its own or as a member of an .npz archive.
#ifndef FIM_IO_NPY_H
#define FIM_IO_NPY_H

#include "data_format.h"
#include "stream.h"

typedef struct fim_npy_header {
    char kind;                               // 'f', 'i', 'u', 'b', or 'O' for a pickle of Python's objects
    size_t size;                             // bytes of a number
    bool swap;                               // big-endian
    bool fortran;                            // the first index is the fastest
    size_t rank, dim[FIM_ARRAY_RANK], count; // rank 0: one number
} fim_npy_header;

fim_status fim_npy_header_read(fim_stream *stream, fim_npy_header *out);
// The numbers behind the header, to the end of the stream, in row order; out (count).
fim_status fim_npy_values(fim_stream *stream, const fim_npy_header *header, double *out);

// The array in the stream, to its end. *budget as in fim_array_new.
fim_status fim_npy_read(fim_stream *stream, size_t *budget, fim_array *out);

#endif
