// Data sets in memory.
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "fim/net.h"

void fim_data_clear(fim_data *data) {
    gsl_matrix_free(data->x);
    gsl_matrix_free(data->y);
    free(data->labels);
    *data = (fim_data){0};
}

static fim_status subset_rows(const gsl_matrix *source, const size_t *index, size_t n, const char *what,
                              gsl_matrix **out) {
    gsl_matrix *m = NULL;
    fim_status status = fim_matrix_new(n, source->size2, what, &m);
    if (status != FIM_OK)
        return status;
    for (size_t r = 0; r < n; r++)
        memcpy(m->data + r * m->tda, source->data + index[r] * source->tda, source->size2 * sizeof(double));
    *out = m;
    return FIM_OK;
}

fim_status fim_data_subset(const fim_data *source, const size_t *index, size_t n, fim_data *out) {
    fim_status status = FIM_OK;
    fim_data subset = {0};
    for (size_t r = 0; r < n; r++)
        if (index[r] >= source->x->size1)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "row %zu is asked of a data set of %zu rows", index[r],
                            source->x->size1);
    FIM_TRY(subset_rows(source->x, index, n, "inputs", &subset.x));
    if (source->y != NULL)
        FIM_TRY(subset_rows(source->y, index, n, "targets", &subset.y));
    if (source->labels != NULL) {
        FIM_TRY(fim_alloc(n, sizeof *subset.labels, "labels", &subset.labels));
        for (size_t r = 0; r < n; r++)
            subset.labels[r] = source->labels[index[r]];
    }
    *out = subset;
    return FIM_OK;
out:
    fim_data_clear(&subset);
    return status;
}
