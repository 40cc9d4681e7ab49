// A graph of ONNX on its way to a network, node by node.
#ifndef FIM_IO_ONNX_NODES_H
#define FIM_IO_ONNX_NODES_H

#include "chain.h"
#include "onnx.h"

typedef struct fim_onnx_builder {
    const char *path;
    const Onnx__GraphProto *graph;
    size_t at;           // the node to read
    const char *current; // the value that the chain has come to
    size_t rank, width;  // of the input as far as it is told, 0 where not: dimensions, numbers of a sample
    fim_tensors *tensors;
    fim_onnx_constants constants;
    fim_chain chain;
} fim_onnx_builder;

// Reads the node at b->at, and with it those behind it that are part of the same layer or activation; b->at
// is the last one of them. FIM_ERR_FORMAT names a node that is not understood.
fim_status fim_onnx_add_node(fim_onnx_builder *b);

#endif
