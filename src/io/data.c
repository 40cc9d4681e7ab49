// Data sets: which format a file is in, and how arrays become inputs, targets and labels.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data_format.h"
#include "fim/linalg.h"
#include "h5.h"
#include "sandbox.h"
#include "stream.h"

enum { PIXELS = 28 * 28 };
enum { FACES = 100 }; // of a file of pictures: lfw_subset.npy has as many faces, then as many other things

static const fim_data_format formats[] = {
#define FIM_DATA_FORMAT(name, about) {about, fim_data_##name##_sniff, fim_data_##name##_read},
#include "data_formats.def"
#undef FIM_DATA_FORMAT
};

#define FIM_DATA_FORMAT(name, about) "; " about
static const char known[] =
#include "data_formats.def"
    ;
#undef FIM_DATA_FORMAT

// ---- Arrays ----

fim_status fim_array_new(const char *name, size_t rank, const size_t *dim, size_t *budget, fim_array *out) {
    fim_array array = {.rank = rank};
    size_t columns = 1;
    if (rank < 1 || rank > FIM_ARRAY_RANK)
        return FIM_FAIL(FIM_ERR_SHAPE, "%s has %zu dimensions, expected 1 to %d", name, rank, FIM_ARRAY_RANK);
    for (size_t i = 0; i < rank; i++) {
        char shape[200];
        if (dim[i] == 0)
            return FIM_FAIL(FIM_ERR_SHAPE, "%s is %s: it holds no samples", name,
                            fim_shape_format(rank, dim, shape));
        array.dim[i] = dim[i];
        columns = i > 0 ? fim_size_mul(columns, dim[i]) : 1;
    }
    size_t bytes = fim_size_mul(fim_size_mul(dim[0], columns), sizeof(double));
    fim_status status = fim_budget_check(*budget, bytes, name, "raise --memory");
    if (status == FIM_OK)
        status = fim_matrix_new(dim[0], columns, name, &array.values);
    if (status != FIM_OK)
        return status;
    *budget -= bytes;
    *out = array;
    return FIM_OK;
}

void fim_array_clear(fim_array *array) {
    gsl_matrix_free(array->values);
    *array = (fim_array){0};
}

// ---- Recognising ----

fim_status fim_data_format_find(const char *path, const fim_data_format **out) {
    unsigned char head[8] = {0};
    bool is_h5 = false;
    size_t got = 0;
    fim_stream stream = {0};
    fim_status status = FIM_OK;
    // HDF5's signature may stand behind a block of the user's.
    FIM_TRY(fim_h5_sniff(path, &is_h5));
    if (is_h5) {
        memcpy(head, "\x89HDF\r\n\x1a\n", sizeof head);
    } else {
        FIM_TRY(fim_stream_open(path, &stream));
        FIM_TRY(fim_stream_read_some(&stream, head, sizeof head, &got));
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (formats[i].sniff(head)) {
            *out = &formats[i];
            goto out;
        }
    }
    status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is not a data set; known formats: %s", path, known + 2);
out:
    fim_stream_close(&stream);
    return status;
}

// ---- Assembling ----

// Labels: one whole number from 0 to 2^32 - 1 a sample. *out is malloc'ed.
static fim_status labels_of(const char *path, const fim_array *array, uint32_t **out) {
    size_t n = array->dim[0];
    if (!array->integer)
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "%s: y is (%zu,) floating point numbers; labels are integers, targets (N, k)", path,
                        n);
    uint32_t *labels = NULL;
    fim_status status = fim_alloc(n, sizeof *labels, "labels", &labels);
    if (status != FIM_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        double value = gsl_matrix_get(array->values, i, 0);
        if (!(value >= 0 && value <= (double)UINT32_MAX)) {
            free(labels);
            return FIM_FAIL(FIM_ERR_VALUE, "%s: label %zu is %.15g, expected 0 to %" PRIu32, path, i, value,
                            UINT32_MAX);
        }
        labels[i] = (uint32_t)value;
    }
    *out = labels;
    return FIM_OK;
}

typedef struct reading {
    const char *path;
    size_t budget;
    fim_array x, y;
} reading;

static fim_status read_here(void *context) {
    reading *r = context;
    const fim_data_format *format = NULL;
    fim_status status = fim_data_format_find(r->path, &format);
    return status == FIM_OK ? format->read(r->path, r->budget, &r->x, &r->y) : status;
}

// An array, or none.
static fim_status exchange_array(fim_parcel *p, fim_array *array) {
    fim_array found = fim_parcel_receiving(p) ? (fim_array){0} : *array;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_matrix(p, &found.values, true));
    if (found.values == NULL)
        goto done;
    size_t rows = found.values->size1, columns = found.values->size2, product = 1;
    FIM_TRY(fim_parcel_flag(p, &found.integer));
    FIM_TRY(fim_parcel_size(p, &found.rank, 1, FIM_ARRAY_RANK));
    for (size_t i = 0; i < found.rank; i++) {
        FIM_TRY(fim_parcel_size(p, &found.dim[i], 1, SIZE_MAX));
        product = i > 0 ? fim_size_mul(product, found.dim[i]) : 1;
    }
    if (found.dim[0] != rows || product != columns)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "the extents are not those of the array"));
done:
    *array = found;
    return FIM_OK;
out:
    if (fim_parcel_receiving(p))
        fim_array_clear(&found);
    return status;
}

static fim_status exchange(fim_parcel *p, void *context) {
    reading *r = context;
    fim_status status = exchange_array(p, &r->x);
    if (status == FIM_OK && (status = exchange_array(p, &r->y)) != FIM_OK && fim_parcel_receiving(p))
        fim_array_clear(&r->x);
    return status;
}

static fim_status read_arrays(const char *path, size_t budget, fim_array *x, fim_array *y) {
    reading r = {.path = path, .budget = budget};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, budget, read_here, exchange}, &r);
    if (status != FIM_OK)
        return status;
    *x = r.x;
    *y = r.y;
    return FIM_OK;
}

// The arrays of a label file: y when the file has one, else its only array.
static fim_status read_label_file(const char *path, size_t budget, fim_array *y) {
    fim_array first = {0}, second = {0};
    fim_status status = read_arrays(path, budget, &first, &second);
    if (status != FIM_OK)
        return status;
    *y = second.values != NULL ? second : first;
    if (second.values != NULL)
        fim_array_clear(&first);
    if (y->rank == 1)
        return FIM_OK;
    fim_array_clear(y);
    return FIM_FAIL(FIM_ERR_SHAPE, "%s: is not a list of labels", path);
}

// "curves:N[:SEED]"
static fim_status read_curves(const char *spec, size_t budget, fim_data *out) {
    const char *cursor = spec + strlen("curves:");
    char item[32] = "";
    size_t n = 0, seed = 1;
    fim_status status = FIM_OK;
    fim_list_next(&cursor, ':', item, sizeof item);
    FIM_TRY(fim_context(fim_parse_size(item, "number of images", 1, SIZE_MAX, &n), "%s", spec));
    if (cursor != NULL)
        FIM_TRY(fim_context(fim_parse_size(cursor, "seed", 0, SIZE_MAX, &seed), "%s", spec));
    FIM_TRY(fim_budget_check(budget, fim_size_mul(n, PIXELS * sizeof(double)), spec, "take fewer images"));
    gsl_matrix *x = NULL;
    FIM_TRY(fim_matrix_new(n, PIXELS, spec, &x));
    if ((status = fim_data_curves(n, seed, 0, x)) == FIM_OK)
        *out = (fim_data){.x = x};
    else
        gsl_matrix_free(x);
out:
    return status;
}

// "faces:N:SEED:FILE"
static fim_status read_faces(const char *spec, size_t budget, fim_data *out) {
    const char *cursor = spec + strlen("faces:"), *path = fim_data_source(spec);
    char item[32] = "";
    size_t n = 0, seed = 0;
    fim_array pictures = {0}, none = {0};
    gsl_matrix *x = NULL;
    fim_status status = FIM_OK;
    if (path == NULL || path[0] == '\0')
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: is not as in faces:N:SEED:FILE", spec);
    fim_list_next(&cursor, ':', item, sizeof item);
    FIM_TRY(fim_context(fim_parse_size(item, "number of images", 1, SIZE_MAX, &n), "%s", spec));
    fim_list_next(&cursor, ':', item, sizeof item);
    FIM_TRY(fim_context(fim_parse_size(item, "seed", 0, SIZE_MAX, &seed), "%s", spec));
    FIM_TRY(read_arrays(path, budget, &pictures, &none));
    gsl_matrix_const_view some = gsl_matrix_const_submatrix(
        pictures.values, 0, 0, pictures.values->size1 < FACES ? pictures.values->size1 : FACES,
        pictures.values->size2);
    const size_t used = pictures.values->size1 * pictures.values->size2 * sizeof(double);
    FIM_TRY(fim_budget_check(budget - used, fim_size_mul(n, pictures.values->size2 * sizeof(double)), spec,
                             "take fewer images"));
    FIM_TRY(fim_matrix_new(n, pictures.values->size2, spec, &x));
    FIM_TRY(fim_context(fim_data_faces(n, seed, 0, &some.matrix, x), "%s", path));
    *out = (fim_data){.x = x};
    x = NULL;
out:
    gsl_matrix_free(x);
    fim_array_clear(&pictures);
    fim_array_clear(&none);
    return status;
}

const char *fim_data_source(const char *spec) {
    if (strncmp(spec, "curves:", 7) == 0)
        return NULL;
    if (strncmp(spec, "faces:", 6) != 0)
        return spec;
    const char *seed = strchr(spec + 6, ':'), *path = seed != NULL ? strchr(seed + 1, ':') : NULL;
    return path != NULL ? path + 1 : NULL;
}

fim_status fim_data_read(const char *spec, const char *labels_path, size_t budget, fim_data *out) {
    fim_array x = {0}, y = {0};
    fim_data data = {0};
    const char *y_path = labels_path != NULL ? labels_path : spec;
    fim_status status = FIM_OK;
    if (strncmp(spec, "curves:", 7) == 0) {
        if (labels_path != NULL)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: generated curves have no labels to go with %s", spec,
                            labels_path);
        return read_curves(spec, budget, out);
    }
    if (strncmp(spec, "faces:", 6) == 0) {
        if (labels_path != NULL)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: generated faces have no labels to go with %s", spec,
                            labels_path);
        return read_faces(spec, budget, out);
    }
    FIM_TRY(read_arrays(spec, budget, &x, &y));
    if (x.rank < 2) {
        status = FIM_FAIL(FIM_ERR_SHAPE, "%s: x is (%zu,), expected (N, d) or (N, c, h, w)", spec, x.dim[0]);
        goto out;
    }
    if (labels_path != NULL) {
        if (y.values != NULL) {
            status = FIM_FAIL(FIM_ERR_ARGUMENT, "%s: has a y of its own; labels from %s are too many", spec,
                              labels_path);
            goto out;
        }
        size_t used = fim_size_mul(x.values->size1 * x.values->size2, sizeof(double));
        FIM_TRY(read_label_file(labels_path, budget - used, &y));
    }
    if (y.values != NULL && (y.dim[0] != x.dim[0] || y.rank > 2)) {
        char shape[200];
        status = FIM_FAIL(FIM_ERR_SHAPE, "%s: y is %s, expected (%zu,) or (%zu, *) as x has %zu samples",
                          y_path, fim_shape_format(y.rank, y.dim, shape), x.dim[0], x.dim[0], x.dim[0]);
        goto out;
    }
    if (y.values != NULL && y.rank == 1)
        FIM_TRY(labels_of(y_path, &y, &data.labels));
    data.x = x.values;
    x.values = NULL;
    if (y.rank == 2) {
        data.y = y.values;
        y.values = NULL;
    }
    *out = data;
out:
    fim_array_clear(&x);
    fim_array_clear(&y);
    return status;
}
