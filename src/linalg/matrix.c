// GSL vectors and copies with a status; allocate.c has the matrices.
#include "fim/linalg.h"

fim_status fim_vector_new(size_t size, const char *what, gsl_vector **out) {
    gsl_vector *v = size < SIZE_MAX / 16 ? gsl_vector_calloc(size) : NULL;
    if (v == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate %zu numbers for %s", size, what);
    *out = v;
    return FIM_OK;
}

fim_status fim_matrix_copy(const gsl_matrix *source, const char *what, gsl_matrix **out) {
    gsl_matrix *copy = NULL;
    fim_status status = fim_matrix_new(source->size1, source->size2, what, &copy);
    if (status != FIM_OK)
        return status;
    gsl_matrix_memcpy(copy, source);
    *out = copy;
    return FIM_OK;
}
