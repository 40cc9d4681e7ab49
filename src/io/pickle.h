// Pickles as PyTorch and NumPy write them, without Python: a program of the pickle machine is read as the
// data it would make. Nothing is executed: of the machine's instructions only those that build plain data are
// known, of Python's names only those that tensors and arrays need, and everything else is refused by name.
#ifndef FIM_IO_PICKLE_H
#define FIM_IO_PICKLE_H

#include "tensors.h"

typedef enum fim_node_kind {
    FIM_NODE_MARK, // on the machine's stack alone
    FIM_NODE_NONE,
    FIM_NODE_INTEGER, // integer; booleans too
    FIM_NODE_FLOAT,   // a number nobody needs
    FIM_NODE_TEXT,    // text[0..length)
    FIM_NODE_BYTES,   // text[0..length)
    FIM_NODE_TUPLE,   // items
    FIM_NODE_LIST,    // items
    FIM_NODE_DICT,    // items: keys and values by turns
    FIM_NODE_GLOBAL,  // integer: its number
    FIM_NODE_STORAGE, // text[0..length): its key; integer: its number of elements; type, size, floating
    FIM_NODE_TENSOR,  // items: storage, offset, sizes, strides
    FIM_NODE_DTYPE,   // text[0..length), "f4"; swap
    FIM_NODE_ARRAY,   // items: shape, dtype, bytes or list; integer: in Fortran's order
    FIM_NODE_OTHER,   // something harmless
} fim_node_kind;

typedef struct fim_node {
    fim_node_kind kind;
    bool floating, swap;
    fim_number type;
    size_t size; // bytes of an element
    int64_t integer;
    const char *text; // into the pickle
    size_t length;
    size_t n, capacity, *items; // places of other nodes
} fim_node;

typedef struct fim_pickle {
    const char *where; // names it in messages
    size_t left;       // bytes left of the memory budget
    size_t n, capacity;
    fim_node *nodes;
    size_t root;
} fim_pickle;

// Reads the pickle bytes[0..n), which must outlive *out, all of it. FIM_ERR_FORMAT for everything that is
// refused, FIM_ERR_BUDGET when it takes more than `budget` bytes.
fim_status fim_pickle_read(const char *where, const unsigned char *bytes, size_t n, size_t budget,
                           fim_pickle *out);
void fim_pickle_clear(fim_pickle *pickle);
// Whether the node is a text with this content.
bool fim_node_is(const fim_node *node, const char *text);

#endif
