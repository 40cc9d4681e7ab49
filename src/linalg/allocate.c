// Zeroed matrices in both precisions, as GSL's own functions free them. GSL's calloc writes the zeros; the
// system's hands out pages that are zero when they are first touched, and a Krylov basis seldom touches all
// of its rows.
#include <stdlib.h>

#include "fim/linalg.h"
#include "fim/real.h"

#ifdef FIM_SINGLE
typedef gsl_block_float real_block;
#else
typedef gsl_block real_block;
#endif

fim_status REAL(fim_matrix_new)(size_t rows, size_t columns, const char *what, REAL_MATRIX **out) {
    const size_t n = fim_size_mul(rows, columns);
    REAL_MATRIX *m = calloc(1, sizeof *m);
    real_block *block = calloc(1, sizeof *block);
    real *data = fim_size_mul(n, sizeof *data) < SIZE_MAX / 2 ? calloc(n > 0 ? n : 1, sizeof *data) : NULL;
    if (m == NULL || block == NULL || data == NULL) {
        free(m);
        free(block);
        free(data);
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a %zu x %zu matrix for %s", rows, columns, what);
    }
    *block = (real_block){.size = n, .data = data};
    *m = (REAL_MATRIX){
        .size1 = rows, .size2 = columns, .tda = columns, .data = data, .block = block, .owner = 1};
    *out = m;
    return FIM_OK;
}
