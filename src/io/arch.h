// The description of a network that a file of numbers leaves open, as JSON: README.md lists the keys.
#ifndef FIM_IO_ARCH_H
#define FIM_IO_ARCH_H

#include <jansson.h>

#include "fim/io.h"

enum { FIM_ARCH_LAYERS_LIMIT = 10000 };

typedef struct fim_arch {
    json_t *root;
    const char *activation, *likelihood; // NULL: not told
    int in_out;      // 1: weights are (inputs, outputs), 0: (outputs, inputs), −1: not told
    int after;       // 1: normalisations follow activations, 0: they come before, −1
    double epsilon;  // of normalisations; 0: not told
    size_t n_layers; // 0: not told
} fim_arch;

typedef struct fim_arch_layer {
    const char *name;          // of the layer, or NULL
    const char *weight, *bias; // of its tensors, or NULL
    const char *activation;    // or NULL
} fim_arch_layer;

// From the file `path`.
fim_status fim_arch_read(const char *path, fim_arch *out);
// From text; `where` names it in messages. FIM_ERR_FORMAT names what is wrong.
fim_status fim_arch_parse(const char *text, const char *where, fim_arch *out);
void fim_arch_clear(fim_arch *arch);
fim_arch_layer fim_arch_layer_at(const fim_arch *arch, size_t index);
// Whether the tensor or the layer of this name is to be left aside ("ignore").
bool fim_arch_ignores(const fim_arch *arch, const char *name);
// The description of `net`, whose layer l has the name "<l>", as JSON; malloc'ed.
fim_status fim_arch_write(const fim_net *net, char **out);

#endif
