// Named tensors: what checkpoints of other programs hold before anybody knows which network they make.
#ifndef FIM_IO_TENSORS_H
#define FIM_IO_TENSORS_H

#include <stdio.h>

#include "fim/io.h"

enum { FIM_TENSOR_RANK = 8 };

typedef struct fim_tensor {
    char *name;
    size_t rank, dim[FIM_TENSOR_RANK], count; // rank 0: one number
    double *values;                           // in row order; NULL when it holds no floating point numbers
} fim_tensor;

typedef struct fim_tensors {
    const char *path; // of the file
    size_t left;      // bytes left of the memory budget
    bool ordered;     // in the order in which the network was built; else the order says nothing
    size_t n, capacity;
    fim_tensor *items;
    size_t others;  // things that were passed over since they are no tensors
    char taken[64]; // the part of the file that was taken for the network's, or ""
    char *arch;     // the description of the network that the file carries, as JSON, or NULL
} fim_tensors;

void fim_tensors_clear(fim_tensors *tensors);
// A new tensor of zeros at the end of the list, which the caller fills; without values when it is not
// `floating`. Its bytes are taken from the budget. FIM_ERR_FORMAT for a name that is not printable,
// FIM_ERR_SHAPE for too many dimensions. The pointer holds until the next addition.
fim_status fim_tensors_add(fim_tensors *tensors, const char *name, size_t rank, const size_t *dim,
                           bool floating, fim_tensor **out);
// Gives back the values of tensor `index`, and their bytes to the budget.
void fim_tensor_release(fim_tensors *tensors, size_t index);

// ---- Numbers ----

typedef enum fim_number { FIM_F16, FIM_BF16, FIM_F32, FIM_F64, FIM_NUMBERS } fim_number;

size_t fim_number_size(fim_number type);
// n numbers from bytes, of the other byte order when `swap`.
void fim_numbers_decode(fim_number type, bool swap, const unsigned char *bytes, size_t n, double *out);

// ---- Files ----

// Opens a regular file for reading. FIM_ERR_IO when that fails.
fim_status fim_source_open(const char *path, FILE **out, size_t *size);
// The first bytes of a file, n of them or as many as it has: *got.
fim_status fim_source_head(const char *path, unsigned char *head, size_t n, size_t *got);
// Exactly n bytes from `offset`; FIM_ERR_IO when the file ends before.
fim_status fim_source_read(FILE *file, const char *path, size_t offset, void *buffer, size_t n);
// `count` numbers from `offset`.
fim_status fim_source_numbers(FILE *file, const char *path, size_t offset, fim_number type, bool swap,
                              size_t count, double *out);

// ---- The way from tensors to a network ----

// The network that the tensors make: their names grouped into layers, put in order and checked against the
// shapes, by options->arch or the file's own description when there is one. Clears tensors.
fim_status fim_assemble(fim_tensors *tensors, const fim_checkpoint_options *options, fim_checkpoint *out);

#endif
