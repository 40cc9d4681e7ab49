// What the files of pickle share: nodes, and the calls of the few Python objects that tensors need.
#ifndef FIM_IO_PICKLE_CALLS_H
#define FIM_IO_PICKLE_CALLS_H

#include "pickle.h"

// A new node; its place.
fim_status pickle_node(fim_pickle *p, fim_node_kind kind, size_t *out);
// Adds an item to a node.
fim_status pickle_append(fim_pickle *p, size_t node, size_t item);

// The number of a Python object that is known. FIM_ERR_FORMAT for all others, by name.
fim_status pickle_find_global(const char *where, const char *module, size_t module_length, const char *name,
                              size_t name_length, int64_t *out);
// What calling `object` with the tuple `arguments` makes.
fim_status pickle_call(fim_pickle *p, size_t object, size_t arguments, size_t *result);
// `object` after `state` was put into it.
fim_status pickle_build(fim_pickle *p, size_t object, size_t state, size_t *result);
// A storage by its persistent name, ("storage", type, key, location, count).
fim_status pickle_storage(fim_pickle *p, size_t id, size_t *result);

#endif
