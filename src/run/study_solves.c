// Which dense eigensolvers a study can afford: all those of up to some size, so that the methods of a layer,
// and layers of one size, are treated alike.
#include <stdlib.h>

#include "study.h"

fim_status study_solves_init(study_solves *s, const fim_study_options *options, size_t layers) {
    *s = (study_solves){0};
    for (size_t i = 0; i < options->n_methods; i++)
        s->sums += options->methods[i].rank > 1; // of the others the structure tells
    return fim_alloc(fim_size_mul(layers, s->sums + 1), sizeof *s->rows, "eigenproblems", &s->rows);
}

void study_solves_clear(study_solves *s) {
    free(s->rows);
    *s = (study_solves){0};
}

void study_solves_add(study_solves *s, size_t parameters, size_t rank) {
    s->rows[s->count++] = parameters < rank ? parameters : rank;
    for (size_t i = 0; i < s->sums; i++)
        s->rows[s->count++] = parameters;
}

static int by_size(const void *x, const void *y) {
    const size_t a = *(const size_t *)x, b = *(const size_t *)y;
    return (a > b) - (a < b);
}

void study_solves_allot(study_solves *s, fim_study_options *options) {
    double largest = 0, total = 0;
    qsort(s->rows, s->count, sizeof *s->rows, by_size);
    for (size_t i = 0; i < s->count;) {
        const double n = (double)s->rows[i], one = 4.0 / 3 * n * n * n;
        const size_t first = i;
        for (; i < s->count && s->rows[i] == s->rows[first]; i++)
            total += one;
        if (total > options->spectra.flops)
            break;
        largest = one;
    }
    options->spectra.flops = largest;
}
