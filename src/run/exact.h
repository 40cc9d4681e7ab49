// The preconditioner `exact` of one layer (exact.c): the damped Fisher block of the last Fisher batch itself.
#ifndef FIM_RUN_EXACT_H
#define FIM_RUN_EXACT_H

#include "fim/io.h"

typedef struct exact_block {
    fim_samples samples;
    fim_fisher *block;
    fim_solver *solver; // damped; NULL before the first samples
} exact_block;

// Takes the samples over (they are left empty), also on failure, and factors their damped block.
fim_status exact_take(exact_block *k, fim_samples *samples, double damping, size_t budget);
void exact_clear(exact_block *k);
// The samples as tables of a record, and back; then the block is factored again.
fim_status exact_save(const exact_block *k, fim_record *out);
fim_status exact_load(exact_block *k, const fim_record *in, size_t d_a, size_t d_g, double damping,
                      size_t budget);

#endif
