// The study's private face: one layer.
#ifndef FIM_SRC_RUN_STUDY_H
#define FIM_SRC_RUN_STUDY_H

#include "fim/run.h"

// Steps of work in one layer, as progress counts them.
size_t study_steps(const fim_study_options *options);

// Builds and measures every method on the block f; fills `record`, which has the layer's name. `fisher` names
// its kind; the progress goes from `done` on, of `total` steps.
fim_status study_layer(const fim_study_options *options, const fim_fisher *f, const char *fisher,
                       const fim_monitor *monitor, size_t done, size_t total, fim_record *record);

#endif
