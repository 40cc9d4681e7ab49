// The parent's side of the sandbox: the answer of a child that says anything.
#include <stdlib.h>
#include <unistd.h>

#include "../../src/io/sandbox.h"
#include "fuzz.h"

// The first byte chooses what is expected, the others are the answer.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { PIPE = 1 << 16 };
    int ends[2];
    if (size < 1 || size > PIPE || pipe(ends) != 0)
        return 0;
    bool sent = write(ends[1], data + 1, size - 1) == (ssize_t)(size - 1);
    close(ends[1]);
    fim_parcel parcel = {.pipe = ends[0], .receiving = true, .left = FUZZ_BUDGET, .patience = 1};
    fim_record record;
    gsl_matrix *matrix = NULL;
    gsl_vector *vector = NULL;
    char *text = NULL;
    uint32_t *array = NULL;
    fim_status status = FIM_OK;
    switch (sent ? data[0] % 5 : 5) {
    case 0:
        if ((status = fim_parcel_record(&parcel, &record)) == FIM_OK)
            fim_record_clear(&record);
        break;
    case 1:
        status = fim_parcel_matrix(&parcel, &matrix, true);
        break;
    case 2:
        status = fim_parcel_vector(&parcel, &vector);
        break;
    case 3:
        while (status == FIM_OK) {
            free(text);
            text = NULL;
            status = fim_parcel_text(&parcel, &text, 1 << 10);
        }
        break;
    case 4:
        status = fim_parcel_array(&parcel, &array, 100, sizeof *array);
        break;
    default:
        break;
    }
    fuzz_taken += sent && status == FIM_OK;
    gsl_matrix_free(matrix);
    gsl_vector_free(vector);
    free(text);
    free(array);
    close(ends[0]);
    return 0;
}
