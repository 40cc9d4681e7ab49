// What the names of tensors tell: which layer one belongs to, which part of it it is, and in which order
// layers stand.
#ifndef FIM_IO_NAMES_H
#define FIM_IO_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { FIM_NAME = 512 }; // bytes of a name, at most

typedef enum fim_role {
    FIM_ROLE_WEIGHT,
    FIM_ROLE_BIAS,
    FIM_ROLE_MEAN,
    FIM_ROLE_VARIANCE,
    FIM_ROLES
} fim_role;

// Whether a name is one line of printable UTF-8, shorter than FIM_NAME and not empty.
bool fim_name_valid(const char *name);
// The name without what wrappers of networks put before it ("module.", "_orig_mod.").
const char *fim_name_strip(const char *name);
// "encoder.0.weight" → the first 9 characters of the stripped name are the layer's, role weight. Also
// "dense/kernel:0", "fc1_weight", "W1" (layer "1"), "weight" (layer ""). *in_out
// is 1 where the name is one of those of matrices stored as (inputs, outputs), 0 for (outputs, inputs), else
// −1. False when the name tells none of this.
bool fim_name_parse(const char *name, char layer[static FIM_NAME], fim_role *role, int *in_out);
// The order of layers: numbers by value, encoders before decoders, heads and outputs last, else by letters.
int fim_name_compare(const char *a, const char *b);
// Whether layer b is numbered as the direct successor of a, as "net.4" is of "net.3"; *comparable is false
// when they are not both numbered within one parent.
bool fim_name_follows(const char *a, const char *b, bool *comparable);

#endif
