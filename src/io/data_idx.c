// IDX, the format of MNIST and its relatives: two zero bytes, the type (8: unsigned bytes), the rank, the
// extents as big-endian 32-bit integers, the bytes; plain or gzipped. Images (rank 2 and more) are scaled
// from 0..255 to [0, 1], labels (rank 1) stay as they are.
#include "data_format.h"
#include "stream.h"

enum { UNSIGNED_BYTE = 8, CHUNK = 1 << 16 };

bool fim_data_idx_sniff(const unsigned char head[static 8]) {
    // Two zeros are little to go by: the type must be one of the format's, the rank one of ours.
    return head[0] == 0 && head[1] == 0 && head[2] >= 0x08 && head[2] <= 0x0e && head[3] >= 1 &&
           head[3] <= FIM_ARRAY_RANK;
}

fim_status fim_data_idx_read(const char *path, size_t budget, fim_array *x, fim_array *y) {
    (void)y;
    fim_stream stream = {0};
    fim_array array = {0};
    unsigned char head[4], bytes[CHUNK];
    size_t dim[FIM_ARRAY_RANK], count = 1;
    fim_status status = FIM_OK;
    FIM_TRY(fim_stream_open(path, &stream));
    FIM_TRY(fim_stream_read(&stream, head, sizeof head));
    if (head[2] != UNSIGNED_BYTE) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is IDX of type 0x%02x; unsigned bytes (0x08) are read", path,
                          head[2]);
        goto out;
    }
    size_t rank = head[3];
    if (rank < 1 || rank > FIM_ARRAY_RANK) {
        status = FIM_FAIL(FIM_ERR_SHAPE, "%s: is IDX of %zu dimensions, expected 1 to %d", path, rank,
                          FIM_ARRAY_RANK);
        goto out;
    }
    for (size_t i = 0; i < rank; i++) {
        FIM_TRY(fim_stream_read(&stream, bytes, 4));
        dim[i] = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
        count = fim_size_mul(count, dim[i]);
    }
    FIM_TRY(fim_stream_claim(&stream, count));
    FIM_TRY(fim_array_new(path, rank, dim, &budget, &array));
    double *value = array.values->data;
    for (size_t i = 0; i < count; i += CHUNK) {
        size_t n = count - i < CHUNK ? count - i : CHUNK;
        FIM_TRY(fim_stream_read(&stream, bytes, n));
        for (size_t k = 0; k < n; k++)
            *value++ = rank > 1 ? bytes[k] / 255.0 : bytes[k];
    }
    FIM_TRY(fim_stream_end(&stream));
    array.integer = true;
    *x = array;
    array = (fim_array){0};
out:
    fim_array_clear(&array);
    fim_stream_close(&stream);
    return status;
}
