// Keras' description of a model in JSON, with the numbers of its layers from wherever they are kept.
#ifndef FIM_IO_KERAS_H
#define FIM_IO_KERAS_H

#include <jansson.h>

#include "chain.h"

typedef enum fim_keras_part {
    FIM_KERAS_WEIGHT, // kernel or gamma
    FIM_KERAS_BIAS,   // bias or beta
    FIM_KERAS_MEAN,
    FIM_KERAS_VARIANCE,
    FIM_KERAS_PARTS
} fim_keras_part;

// Adds the tensor `part` of a layer to chain->tensors, as number `index` of those that the layer has; `name`
// is the layer's, `class` that of its kind, `count` how many of that kind came before.
typedef fim_status fim_keras_load_fn(void *context, fim_tensors *tensors, const char *name, const char *class,
                                     size_t count, fim_keras_part part, size_t index);

// The network that the JSON describes. `training` is that of Keras' compile call, or NULL.
fim_status fim_keras_build(fim_tensors *tensors, const json_t *model, const json_t *training,
                           fim_keras_load_fn *load, void *context, const fim_checkpoint_options *options,
                           fim_checkpoint *out);

#endif
