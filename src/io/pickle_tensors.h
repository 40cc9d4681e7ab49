// The tensors in a pickle: which of its dictionaries is the state dict, and what its entries are called.
#ifndef FIM_IO_PICKLE_TENSORS_H
#define FIM_IO_PICKLE_TENSORS_H

#include "pickle.h"

// Adds the tensor or array `leaf` to `tensors` under this name.
typedef fim_status fim_pickle_load_fn(void *context, const fim_pickle *pickle, const fim_node *leaf,
                                      const char *name, fim_tensors *tensors);

// All tensors of the state dict in the dictionary `root`: the dictionary itself when it holds tensors, else
// what it has under one of the usual names, or all there are below it. Keys are joined by dots.
fim_status fim_pickle_tensors(const fim_pickle *pickle, size_t root, fim_pickle_load_fn *load, void *context,
                              fim_tensors *tensors);

// Sizes or strides: the n whole numbers of a tuple, from 0 on. FIM_ERR_FORMAT names `what`.
fim_status fim_pickle_extents(const fim_pickle *pickle, const fim_node *tuple, const char *what, size_t *n,
                              size_t out[static FIM_TENSOR_RANK]);

#endif
