// A network as it is put together from the parts that other programs know: linear maps, affine maps of single
// numbers (normalisation in inference mode), activations. What is no layer of ours is folded into one.
#ifndef FIM_IO_CHAIN_H
#define FIM_IO_CHAIN_H

#include "tensors.h"

typedef struct fim_chain {
    fim_tensors *tensors; // the file's name and its memory budget
    fim_checkpoint made;
    bool activated, softmax;   // the last layer has its activation; it is a softmax
    char last[64];             // the part that came last
    gsl_vector *scale, *shift; // x ↦ scale·x + shift on the inputs of the layer to come, or NULL
    int loss;                  // the likelihood of the file's loss, or −1
} fim_chain;

fim_chain fim_chain_new(fim_tensors *tensors);
void fim_chain_clear(fim_chain *chain);

// What the next part takes: the outputs of the last one, 0 when anything goes.
size_t fim_chain_width(const fim_chain *chain);
// s = W a + b, with the weight (outputs, inputs), or (inputs, outputs) when `transposed`; bias (outputs)
// may be NULL. FIM_ERR_SHAPE when the widths do not chain, FIM_ERR_VALUE for numbers that are
// not finite.
fim_status fim_chain_linear(fim_chain *chain, const fim_tensor *weight, bool transposed,
                            const fim_tensor *bias);
// y = scale·x + shift, number by number, both (n): into the layer before when it has no activation yet, else
// into the one to come. `what` names it in the notes.
fim_status fim_chain_affine(fim_chain *chain, const char *what, size_t n, const double *scale,
                            const double *shift);
// Normalisation by fixed moments: gamma (x − mean)/√(variance + epsilon) + beta; gamma and beta may be NULL.
fim_status fim_chain_batch_norm(fim_chain *chain, const char *what, const fim_tensor *gamma,
                                const fim_tensor *beta, const fim_tensor *mean, const fim_tensor *variance,
                                double epsilon);
fim_status fim_chain_activation(fim_chain *chain, const char *what, fim_activation activation);
fim_status fim_chain_softmax(fim_chain *chain, const char *what);
// The network: a last softmax or sigmoid goes into the likelihood, which is otherwise `likelihood` (a name,
// or NULL), or that of the file's loss. Clears the chain in any case.
fim_status fim_chain_finish(fim_chain *chain, const char *likelihood, fim_checkpoint *out);

#endif
