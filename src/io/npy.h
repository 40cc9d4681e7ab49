// The .npy format, in a file of its own or as a member of an .npz archive.
#ifndef FIM_IO_NPY_H
#define FIM_IO_NPY_H

#include "data_format.h"
#include "stream.h"

// The array in the stream, to its end. *budget as in fim_array_new.
fim_status fim_npy_read(fim_stream *stream, size_t *budget, fim_array *out);

#endif
