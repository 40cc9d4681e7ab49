// Natural gradient with the block itself: (F + λI)⁻¹ of the last Fisher batch, by the Gram matrix of its rows
// where those are fewer than the parameters. A step costs two products with the rows, less than one with the
// dense factors of an approximation; what it lacks is their memory of earlier batches.
#include "exact.h"

#include "fim/linalg.h"

void exact_clear(exact_block *k) {
    fim_solver_free(k->solver);
    fim_fisher_free(k->block);
    fim_samples_clear(&k->samples);
    *k = (exact_block){0};
}

fim_status exact_take(exact_block *k, fim_samples *samples, double damping, size_t budget) {
    fim_status status = FIM_OK;
    exact_clear(k);
    k->samples = *samples;
    *samples = (fim_samples){0};
    FIM_TRY(fim_fisher_new(&k->samples, &k->block));
    FIM_TRY(fim_solver_new(k->block, &(fim_solver_options){.budget = budget, .tolerance = 1e-8}, &k->solver));
    FIM_TRY(fim_solver_damp(k->solver, damping));
out:
    if (status != FIM_OK)
        exact_clear(k);
    return status;
}

enum { FORMS = 4 };
static const char *const names[FORMS] = {"samples_a", "samples_g", "samples_packed", "samples_diagonal"};

fim_status exact_save(const exact_block *k, fim_record *out) {
    const gsl_matrix *const parts[FORMS] = {k->samples.a, k->samples.g, k->samples.packed,
                                            k->samples.diagonal};
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set(out, "samples", (double)k->samples.n, NULL));
    for (size_t i = 0; i < FORMS; i++) {
        gsl_matrix *copy = NULL;
        if (parts[i] == NULL)
            continue;
        FIM_TRY(fim_matrix_copy(parts[i], "the state of training", &copy));
        FIM_TRY(fim_record_set_table(out, names[i], copy));
    }
out:
    return status;
}

fim_status exact_load(exact_block *k, const fim_record *in, size_t d_a, size_t d_g, double damping,
                      size_t budget) {
    fim_samples s = {.d_a = d_a, .d_g = d_g};
    gsl_matrix **const parts[FORMS] = {&s.a, &s.g, &s.packed, &s.diagonal};
    fim_status status = FIM_OK;
    for (size_t i = 0; i < FORMS; i++) {
        const fim_table *table = fim_record_table(in, names[i]);
        if (table != NULL)
            FIM_TRY(fim_matrix_copy(table->values, "samples", parts[i]));
    }
    const fim_value *n = fim_record_value(in, "samples");
    s.n = n != NULL && n->value > 0 && n->value < 0x1p53 ? (size_t)n->value : 0;
    s.columns = s.g != NULL && s.n > 0 ? s.g->size1 / s.n : 0;
    FIM_TRY(fim_samples_check(&s));
    status = exact_take(k, &s, damping, budget);
out:
    fim_samples_clear(&s);
    return status;
}
