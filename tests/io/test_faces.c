// Patches made from a few pictures: deterministic, and on pictures whose patches are known by geometry.
#include "scratch.h"

TestSuite(faces, .init = scratch_begin, .fini = scratch_end);

enum { SIDE = 9, PIXELS = SIDE * SIDE };

// Ramps that rise along rows and columns: turned and scaled they stay ramps.
static gsl_matrix *ramps(size_t n) {
    gsl_matrix *pictures = gsl_matrix_alloc(n, PIXELS);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < SIDE; i++)
            for (size_t j = 0; j < SIDE; j++)
                gsl_matrix_set(pictures, r, i * SIDE + j, (double)(i + (r + 1) * j));
    return pictures;
}

Test(faces, a_patch_depends_on_pictures_seed_and_index_alone) {
    const gsl_matrix *pictures = test_random_matrix(5, PIXELS, 3);
    gsl_matrix *all = gsl_matrix_alloc(20, PIXELS), *part = gsl_matrix_alloc(4, PIXELS);
    TEST_OK(fim_data_faces(20, 7, 0, pictures, all));
    TEST_OK(fim_data_faces(4, 7, 11, pictures, part));
    gsl_matrix_const_view same = gsl_matrix_const_submatrix(all, 11, 0, 4, PIXELS);
    cr_assert(eq(dbl, test_max_difference(part, &same.matrix), 0));
    TEST_OK(fim_data_faces(4, 8, 11, pictures, part));
    cr_assert(test_max_difference(part, &same.matrix) > 0.1, "another seed gives other patches");
}

Test(faces, a_ramp_stays_a_ramp_inside) {
    const gsl_matrix *pictures = ramps(1);
    const double steepness = sqrt(2);
    double deviation = 0;
    gsl_matrix *x = gsl_matrix_alloc(50, PIXELS);
    for (size_t i = 0; i < PIXELS; i++)
        deviation += pow(gsl_matrix_get(pictures, 0, i) - (SIDE - 1), 2) / PIXELS;
    TEST_OK(fim_data_faces(50, 1, 0, pictures, x));
    for (size_t r = 0; r < 50; r++) {
        const double *p = gsl_matrix_const_ptr(x, r, 0);
        // The pixel in the middle and its neighbours lie within the picture, however it is shifted and
        // turned.
        const size_t middle = (SIDE / 2) * SIDE + SIDE / 2;
        const double down = p[middle + SIDE] - p[middle], right = p[middle + 1] - p[middle];
        cr_assert(epsilon_eq(dbl, p[middle] - p[middle - SIDE], down, 1e-12));
        cr_assert(epsilon_eq(dbl, p[middle] - p[middle - 1], right, 1e-12));
        const double slope = hypot(down, right) * sqrt(deviation) / steepness;
        cr_assert(slope > 0.8 / 1.1 - 1e-12 && slope < 1.2 / 0.9 + 1e-12, "patch %zu: slope %g", r, slope);
    }
}

Test(faces, a_file_of_pictures_and_a_number_make_a_data_set) {
    const gsl_matrix *pictures = test_random_matrix(130, PIXELS, 2);
    gsl_matrix *used = gsl_matrix_alloc(100, PIXELS), *want = gsl_matrix_alloc(6, PIXELS);
    fim_data stored = {.x = test_random_matrix(130, PIXELS, 2)}, data = {0};
    char spec[400];
    gsl_matrix_const_view first = gsl_matrix_const_submatrix(pictures, 0, 0, 100, PIXELS);
    gsl_matrix_memcpy(used, &first.matrix);
    TEST_OK(fim_data_faces(6, 4, 0, used, want));
    TEST_OK(fim_data_write(&stored, scratch("pictures.h5"), false));
    snprintf(spec, sizeof spec, "faces:6:4:%s", scratch("pictures.h5"));
    TEST_TEXT(fim_data_source(spec), scratch("pictures.h5"));
    TEST_OK(fim_data_read(spec, NULL, 1 << 20, &data));
    cr_assert(eq(dbl, test_max_difference(data.x, want), 0));
    snprintf(spec, sizeof spec, "faces:20:4:%s", scratch("pictures.h5")); // beside the 130 pictures
    TEST_FAILS(fim_data_read(spec, NULL, 140 * PIXELS * 8, &data), FIM_ERR_BUDGET, "take fewer images");
    TEST_FAILS(fim_data_read("faces:6:4", NULL, 1 << 20, &data), FIM_ERR_ARGUMENT, "faces:N:SEED:FILE");
    TEST_FAILS(fim_data_read("faces:x:4:file", NULL, 1 << 20, &data), FIM_ERR_ARGUMENT, "number of images");
    TEST_FAILS(fim_data_read("faces:1:4:/nowhere", NULL, 1 << 20, &data), FIM_ERR_IO, "/nowhere");
    fim_data oblong = {.x = test_random_matrix(3, 10, 2)};
    TEST_OK(fim_data_write(&oblong, scratch("oblong.h5"), false));
    snprintf(spec, sizeof spec, "faces:6:4:%s", scratch("oblong.h5"));
    TEST_FAILS(fim_data_read(spec, NULL, 1 << 20, &data), FIM_ERR_SHAPE, "square");
}

#ifdef FIM_HAVE_MATIO
// ---- MATLAB's files, byte by byte ----

typedef struct mat_file {
    unsigned char bytes[8192];
    size_t n;
} mat_file;

static void put(mat_file *f, const void *bytes, size_t n) {
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void put_tag(mat_file *f, uint32_t type, uint32_t n) {
    put(f, (uint32_t[]){type, n}, 8);
}

static void begin_mat(mat_file *f) {
    char text[116];
    *f = (mat_file){.n = 0};
    memset(text, ' ', sizeof text);
    memcpy(text, "MATLAB 5.0 MAT-file", 19);
    put(f, text, sizeof text);
    put(f, (char[8]){0}, 8);
    put(f, (uint16_t[]){0x0100, 0x4d49}, 4); // version, "IM": little endian
}

// A double matrix, column by column.
static void put_matrix(mat_file *f, const char *name, int32_t rows, int32_t columns, const double *values) {
    enum { INT8 = 1, INT32 = 5, UINT32 = 6, DOUBLE = 9, MATRIX = 14, CLASS_DOUBLE = 6 };
    const uint32_t length = (uint32_t)strlen(name), padded = (length + 7) / 8 * 8,
                   n = (uint32_t)(8 * rows * columns);
    put_tag(f, MATRIX, 16 + 16 + 8 + padded + 8 + n);
    put_tag(f, UINT32, 8);
    put(f, (uint32_t[]){CLASS_DOUBLE, 0}, 8);
    put_tag(f, INT32, 8);
    put(f, (int32_t[]){rows, columns}, 8);
    put_tag(f, INT8, length);
    put(f, (char[16]){0}, padded);
    memcpy(f->bytes + f->n - padded, name, length);
    put_tag(f, DOUBLE, n);
    put(f, values, n);
}

static const double numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void refused_mat(const mat_file *f, fim_status status, const char *part) {
    fim_data data = {0};
    scratch_write(scratch("bad.mat"), f->bytes, f->n);
    TEST_FAILS(fim_data_read(scratch("bad.mat"), NULL, 1 << 20, &data), status, part);
}

Test(faces, the_longer_side_of_an_only_matrix_counts_samples) {
    mat_file f;
    fim_data data = {0};
    for (size_t turned = 0; turned < 2; turned++) {
        begin_mat(&f);
        put_matrix(&f, "newfaces", turned ? 3 : 4, turned ? 4 : 3, numbers);
        scratch_write(scratch("f.mat"), f.bytes, f.n);
        TEST_OK(fim_data_read(scratch("f.mat"), NULL, 1 << 20, &data));
        cr_assert(data.x->size1 == 4 && data.x->size2 == 3 && data.labels == NULL);
        for (size_t r = 0; r < 4; r++)
            for (size_t c = 0; c < 3; c++)
                cr_assert(
                    eq(dbl, gsl_matrix_get(data.x, r, c), turned ? numbers[r * 3 + c] : numbers[c * 4 + r]));
        fim_data_clear(&data);
    }
}

Test(faces, x_has_its_samples_in_rows_and_y_beside_it) {
    mat_file f;
    fim_data data = {0};
    begin_mat(&f);
    put_matrix(&f, "y", 1, 2, numbers);
    put_matrix(&f, "x", 2, 5, numbers);
    scratch_write(scratch("f.mat"), f.bytes, f.n);
    TEST_OK(fim_data_read(scratch("f.mat"), NULL, 1 << 20, &data));
    cr_assert(data.x->size1 == 2 && data.x->size2 == 5 && data.labels[0] == 1 && data.labels[1] == 2);
    cr_assert(eq(dbl, gsl_matrix_get(data.x, 1, 2), 6));
    f.n -= 40; // cut
    refused_mat(&f, FIM_ERR_FORMAT, "bad.mat");
    begin_mat(&f);
    put_matrix(&f, "a", 2, 2, numbers);
    put_matrix(&f, "b", 2, 2, numbers);
    refused_mat(&f, FIM_ERR_FORMAT, "2 numeric matrices and none called x");
    begin_mat(&f);
    put_matrix(&f, "a", 2, 2, (double[]){1, 2, NAN, 4});
    refused_mat(&f, FIM_ERR_VALUE, "not finite");
    begin_mat(&f); // whole, though no integer type holds it
    put_matrix(&f, "y", 1, 2, (double[]){1, -1e304});
    put_matrix(&f, "x", 2, 5, numbers);
    refused_mat(&f, FIM_ERR_VALUE, "label 1 is -1e+304, expected 0 to");
    begin_mat(&f);
    put_matrix(&f, "y", 1, 2, (double[]){1, 1.5});
    put_matrix(&f, "x", 2, 5, numbers);
    refused_mat(&f, FIM_ERR_SHAPE, "floating point numbers");
}
#endif
