// Named columns that grow by rows: what training writes down as it goes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "train.h"

static fim_status reserve(series *s, size_t rows) {
    if (rows <= s->capacity)
        return FIM_OK;
    size_t capacity = s->capacity > 0 ? s->capacity : 64;
    while (capacity < rows)
        capacity = fim_size_mul(capacity, 2);
    double *values = NULL;
    fim_status status = fim_alloc(fim_size_mul(capacity, s->columns), sizeof *values, "the run log", &values);
    if (status != FIM_OK)
        return status;
    if (s->rows > 0)
        memcpy(values, s->values, s->rows * s->columns * sizeof *values);
    free(s->values);
    s->values = values;
    s->capacity = capacity;
    return FIM_OK;
}

fim_status series_append(series *s, const double *row) {
    fim_status status = reserve(s, s->rows + 1);
    if (status == FIM_OK)
        memcpy(s->values + s->columns * s->rows++, row, s->columns * sizeof *row);
    return status;
}

double series_at(const series *s, size_t column, size_t row) {
    return s->values[row * s->columns + column];
}

fim_status series_put(const series *s, const char *why, fim_record *record) {
    fim_status status = FIM_OK;
    for (size_t c = 0; c < s->columns; c++) {
        gsl_vector *values = NULL;
        FIM_TRY(fim_vector_new(s->rows, "the run log", &values));
        for (size_t r = 0; r < s->rows; r++)
            gsl_vector_set(values, r, series_at(s, c, r));
        const bool missing = s->rows > 0 && isnan(gsl_vector_get(values, 0));
        FIM_TRY(fim_record_set_curve(record, s->names[c][0], values, missing ? why : s->names[c][1]));
    }
out:
    return status;
}

fim_status series_take(series *s, const fim_record *record) {
    const fim_curve *first = fim_record_curve(record, s->names[0][0]);
    const size_t rows = first != NULL ? first->values->size : 0;
    fim_status status = reserve(s, rows);
    if (status != FIM_OK)
        return status;
    for (size_t c = 0; rows > 0 && c < s->columns; c++) {
        const fim_curve *curve = fim_record_curve(record, s->names[c][0]);
        if (curve == NULL || curve->values->size != rows)
            return FIM_FAIL(FIM_ERR_FORMAT, "the state's curve %s does not have %zu entries", s->names[c][0],
                            rows);
        for (size_t r = 0; r < rows; r++)
            s->values[r * s->columns + c] = gsl_vector_get(curve->values, r);
    }
    s->rows = rows;
    return FIM_OK;
}

void series_clear(series *s) {
    free(s->values);
    s->values = NULL;
    s->rows = s->capacity = 0;
}
