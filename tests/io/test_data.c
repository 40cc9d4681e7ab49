// Data sets: every format read from bytes laid down by hand, and refused by name.
#include <zip.h>
#include <zlib.h>

#include "scratch.h"

TestSuite(data, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 20;

static void expect_x(const fim_data *data, size_t n, size_t d, const double *values) {
    cr_assert(data->x->size1 == n && data->x->size2 == d, "x is (%zu, %zu)", data->x->size1, data->x->size2);
    for (size_t i = 0; i < n * d; i++)
        cr_assert(gsl_matrix_get(data->x, i / d, i % d) == values[i], "entry %zu is %g, expected %g", i,
                  gsl_matrix_get(data->x, i / d, i % d), values[i]);
}

static bool same_matrix(const gsl_matrix *a, const gsl_matrix *b) {
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && gsl_matrix_equal(a, b));
}

static fim_status read_same(const char *path, const void *good) {
    const fim_data *expected = good;
    fim_data data;
    fim_status status = fim_data_read(path, NULL, budget, &data);
    if (status != FIM_OK)
        return status;
    bool same = same_matrix(data.x, expected->x) && same_matrix(data.y, expected->y) &&
                (data.labels == NULL) == (expected->labels == NULL) &&
                (data.labels == NULL || memcmp(data.labels, expected->labels, 4 * data.x->size1) == 0);
    fim_data_clear(&data);
    return same ? FIM_OK : FIM_ERR_NUMERIC;
}

// Refused by fim_data_read, with a message that names the file.
static void refused(const char *path, const char *labels, fim_status status, const char *part) {
    fim_data data = {0};
    TEST_FAILS(fim_data_read(path, labels, budget, &data), status, part);
    cr_assert(data.x == NULL && data.y == NULL && data.labels == NULL);
}

// ---- HDF5 ----

Test(data, hdf5_comes_back_bit_for_bit) {
    fim_data data = {.x = test_random_matrix(5, 4, 1), .labels = malloc(5 * sizeof(uint32_t))};
    for (uint32_t i = 0; i < 5; i++)
        data.labels[i] = i == 4 ? UINT32_MAX : i;
    TEST_OK(fim_data_write(&data, scratch("labels.h5"), false));
    TEST_OK(read_same(scratch("labels.h5"), &data));
    fim_file_kind kind;
    TEST_OK(fim_file_sniff(scratch("labels.h5"), &kind));
    cr_assert(kind == FIM_FILE_DATA);
    damage(scratch("labels.h5"), read_same, &data, 3, true);
    free(data.labels);
    data.labels = NULL;
    TEST_OK(fim_data_write(&data, scratch("x.h5"), false));
    TEST_OK(read_same(scratch("x.h5"), &data));
    data.y = test_random_matrix(5, 2, 2);
    TEST_OK(fim_data_write(&data, scratch("y.h5"), false));
    TEST_OK(read_same(scratch("y.h5"), &data));
    TEST_FAILS(fim_data_write(&data, scratch("y.h5"), false), FIM_ERR_IO, "y.h5: exists already");
    fim_data_clear(&data);
    h5_expect_all_closed();
}

// As h5py writes: images of three channels, integer labels, gzip and shuffle.
static hid_t make_foreign(const char *path) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(4, (hsize_t[]){2, 3, 2, 2}, NULL);
    H5Pset_chunk(list, 4, (hsize_t[]){1, 2, 2, 2});
    H5Pset_shuffle(list);
    H5Pset_deflate(list, 4);
    hid_t set = H5Dcreate2(file, "/x", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    double values[24];
    for (int i = 0; i < 24; i++)
        values[i] = i / 4.0;
    cr_assert(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(list);
    h5_put_set(file, "/y", H5T_STD_I64BE, 1, (hsize_t[]){2}, (double[]){7, 3});
    return file;
}

Test(data, hdf5_of_another_program) {
    H5Fclose(make_foreign(scratch("foreign.h5")));
    fim_data data;
    TEST_OK(fim_data_read(scratch("foreign.h5"), NULL, budget, &data));
    double values[24];
    for (int i = 0; i < 24; i++)
        values[i] = i / 4.0;
    expect_x(&data, 2, 12, values);
    cr_assert(data.y == NULL && data.labels[0] == 7 && data.labels[1] == 3);
    fim_data_clear(&data);
    fim_file_kind kind;
    TEST_OK(fim_file_sniff(scratch("foreign.h5"), &kind));
    cr_assert(kind == FIM_FILE_DATA);
}

static void y_is(hid_t f, hid_t type, int rank, const hsize_t *dim, const double *values) {
    h5_remove(f, "/y");
    h5_put_set(f, "/y", type, rank, dim, values);
}
static void x_is(hid_t f, int rank, const hsize_t *dim, const double *values) {
    h5_remove(f, "/x");
    h5_put_set(f, "/x", H5T_IEEE_F64LE, rank, dim, values);
}
static void no_x(hid_t f) {
    h5_remove(f, "/x");
}
static void x_flat(hid_t f) {
    x_is(f, 1, (hsize_t[]){2}, (double[]){1, 2});
}
static void x_empty(hid_t f) {
    x_is(f, 2, (hsize_t[]){0, 3}, NULL);
}
static void x_no_columns(hid_t f) {
    x_is(f, 2, (hsize_t[]){2, 0}, NULL);
}
static void x_nan(hid_t f) {
    x_is(f, 2, (hsize_t[]){2, 2}, (double[]){1, 2, NAN, 4});
}
static void x_group(hid_t f) {
    h5_remove(f, "/x");
    h5_put_group(f, "/x");
}
static void x_elsewhere(hid_t f) {
    h5_remove(f, "/x");
    H5Lcreate_external("other.h5", "/x", f, "/x", H5P_DEFAULT, H5P_DEFAULT);
}
static void y_short(hid_t f) {
    y_is(f, H5T_STD_I32LE, 1, (hsize_t[]){3}, (double[]){1, 2, 3});
}
static void y_deep(hid_t f) {
    y_is(f, H5T_STD_I32LE, 3, (hsize_t[]){2, 1, 1}, (double[]){1, 2});
}
static void y_floats(hid_t f) {
    y_is(f, H5T_IEEE_F64LE, 1, (hsize_t[]){2}, (double[]){1, 2});
}
static void y_negative(hid_t f) {
    y_is(f, H5T_STD_I32LE, 1, (hsize_t[]){2}, (double[]){1, -2});
}
static void y_large(hid_t f) {
    y_is(f, H5T_STD_I64LE, 1, (hsize_t[]){2}, (double[]){1, 0x1p32});
}
static void y_infinite(hid_t f) {
    y_is(f, H5T_IEEE_F64LE, 2, (hsize_t[]){2, 1}, (double[]){1, INFINITY});
}
static void a_report(hid_t f) {
    h5_put_text(f, "/", "format", "fim-report");
}

static const h5_case broken[] = {
    {"no x", no_x, FIM_ERR_FORMAT, "has no data set /x"},
    {"x of rank 1", x_flat, FIM_ERR_SHAPE, "x is (2,), expected (N, d)"},
    {"no samples", x_empty, FIM_ERR_SHAPE, "/x is (0, 3): it holds no samples"},
    {"no columns", x_no_columns, FIM_ERR_SHAPE, "/x is (2, 0)"},
    {"NaN", x_nan, FIM_ERR_VALUE, "/x[1, 0] is nan"},
    {"x a group", x_group, FIM_ERR_FORMAT, "/x is a group"},
    {"x an external link", x_elsewhere, FIM_ERR_FORMAT, "/x is an external link"},
    {"y too long", y_short, FIM_ERR_SHAPE, "y is (3,), expected (2,) or (2, *)"},
    {"y too deep", y_deep, FIM_ERR_SHAPE, "y is (2, 1, 1), expected (2,) or (2, *)"},
    {"y floating", y_floats, FIM_ERR_SHAPE, "y is (2,) floating point numbers"},
    {"y negative", y_negative, FIM_ERR_VALUE, "label 1 is -2"},
    {"y large", y_large, FIM_ERR_VALUE, "label 1 is 4294967296"},
    {"y infinite", y_infinite, FIM_ERR_VALUE, "/y[1, 0] is inf"},
    {"a report", a_report, FIM_ERR_FORMAT, "is a file of format 'fim-report', expected 'fim-data'"},
};

Test(data, broken_hdf5_is_refused_by_name) {
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        hid_t file = make_foreign(scratch("bad.h5"));
        broken[i].edit(file);
        H5Fclose(file);
        fim_data data;
        fim_status status = fim_data_read(scratch("bad.h5"), NULL, budget, &data);
        cr_expect(status == broken[i].status, "%s: gave '%s' (%s)", broken[i].name, fim_status_text(status),
                  fim_message());
        cr_expect(strstr(fim_message(), broken[i].part) != NULL && strstr(fim_message(), "bad.h5: ") != NULL,
                  "%s: '%s' lacks '%s'", broken[i].name, fim_message(), broken[i].part);
    }
    h5_expect_all_closed();
}

Test(data, over_the_budget) {
    H5Fclose(make_foreign(scratch("foreign.h5")));
    fim_data data;
    TEST_FAILS(fim_data_read(scratch("foreign.h5"), NULL, 100, &data), FIM_ERR_BUDGET,
               "foreign.h5: /x needs 192 B");
    TEST_FAILS(fim_data_read(scratch("foreign.h5"), NULL, 200, &data), FIM_ERR_BUDGET, "/y needs 16 B");
    TEST_FAILS(fim_data_read("curves:100", NULL, 1000, &data), FIM_ERR_BUDGET, "curves:100 needs 627 kB");
    h5_expect_all_closed();
}

// ---- IDX ----

static void gz_write(const char *path, const void *bytes, size_t n) {
    gzFile file = gzopen(path, "wb9");
    cr_assert(gzwrite(file, bytes, (unsigned)n) == (int)n && gzclose(file) == Z_OK);
}

// Two images of 2 × 3 pixels, and their labels.
static const unsigned char images[] = {0, 0, 8, 3,   0,  0,   0, 2, 0, 0, 0, 2, 0, 0,
                                       0, 3, 0, 255, 51, 102, 1, 2, 3, 4, 5, 6, 7, 254};
static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 255};

static void expect_images(const char *path, const char *labels_path) {
    fim_data data;
    double values[12];
    for (size_t i = 0; i < 12; i++)
        values[i] = images[16 + i] / 255.0;
    TEST_OK(fim_data_read(path, labels_path, budget, &data));
    expect_x(&data, 2, 6, values);
    cr_assert(data.y == NULL && (data.labels != NULL) == (labels_path != NULL));
    if (labels_path != NULL)
        cr_assert(data.labels[0] == 9 && data.labels[1] == 255);
    fim_data_clear(&data);
}

Test(data, idx_plain_and_gzipped) {
    scratch_write(scratch("images"), images, sizeof images);
    scratch_write(scratch("labels.txt"), labels, sizeof labels);
    gz_write(scratch("images.gz"), images, sizeof images);
    gz_write(scratch("labels.gz"), labels, sizeof labels);
    expect_images(scratch("images"), scratch("labels.txt"));
    expect_images(scratch("images.gz"), scratch("labels.gz"));
    expect_images(scratch("images.gz"), NULL);
    fim_file_kind kind;
    TEST_OK(fim_file_sniff(scratch("images.gz"), &kind));
    cr_assert(kind == FIM_FILE_DATA);
}

static void idx_case(size_t at, unsigned char byte, size_t length, fim_status status, const char *part) {
    unsigned char bytes[sizeof images + 1] = {0};
    memcpy(bytes, images, sizeof images);
    bytes[at] = byte;
    scratch_write(scratch("bad.idx"), bytes, length);
    refused(scratch("bad.idx"), NULL, status, part);
    gz_write(scratch("bad.idx"), bytes, length);
    refused(scratch("bad.idx"), NULL, status, "bad.idx");
}

Test(data, broken_idx_is_refused_by_name) {
    size_t n = sizeof images;
    idx_case(0, 0, n - 1, FIM_ERR_FORMAT, "bad.idx: ");
    idx_case(0, 0, n + 1, FIM_ERR_FORMAT, "bad.idx: holds more than its header tells");
    idx_case(0, 0, 10, FIM_ERR_FORMAT, "bad.idx: ends too early");
    idx_case(0, 0, 4, FIM_ERR_FORMAT, "bad.idx: ends too early");
    idx_case(0, 1, n, FIM_ERR_FORMAT, "bad.idx: is not a data set; known formats: HDF5");
    idx_case(2, 0x0d, n, FIM_ERR_FORMAT, "bad.idx: is IDX of type 0x0d");
    idx_case(3, 9, n, FIM_ERR_FORMAT, "bad.idx: is not a data set");
    idx_case(7, 0, n, FIM_ERR_SHAPE, "bad.idx is (0, 2, 3): it holds no samples");
    idx_case(4, 255, n, FIM_ERR_FORMAT, "bad.idx: its header claims 25669140492 bytes");
    h5_expect_all_closed();
}

Test(data, labels_that_do_not_fit) {
    scratch_write(scratch("images"), images, sizeof images);
    scratch_write(scratch("labels"), labels, sizeof labels);
    scratch_write(scratch("three"), (unsigned char[]){0, 0, 8, 1, 0, 0, 0, 3, 9, 8, 7}, 11);
    H5Fclose(make_foreign(scratch("foreign.h5")));
    refused(scratch("labels"), NULL, FIM_ERR_SHAPE, "labels: x is (2,), expected (N, d)");
    refused(scratch("images"), scratch("images"), FIM_ERR_SHAPE, "images: is not a list of labels");
    refused(scratch("images"), scratch("three"), FIM_ERR_SHAPE, "three: y is (3,), expected (2,)");
    refused(scratch("images"), scratch("none"), FIM_ERR_IO, "none: cannot be read");
    refused(scratch("foreign.h5"), scratch("labels"), FIM_ERR_ARGUMENT, "has a y of its own");
    refused("curves:2", scratch("labels"), FIM_ERR_ARGUMENT, "generated curves have no labels");
}

Test(data, damaged_gzip_is_noticed) {
    fim_data good;
    gz_write(scratch("images.gz"), images, sizeof images);
    TEST_OK(fim_data_read(scratch("images.gz"), NULL, budget, &good));
    damage(scratch("images.gz"), read_same, &good, 1, true);
    fim_data_clear(&good);
}

// 64 MB of zeros in 64 kB: the header tells 6 bytes.
Test(data, a_gzip_bomb_stays_packed) {
    gzFile file = gzopen(scratch("bomb.gz"), "wb9");
    static const unsigned char head[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3}, zeros[1 << 16];
    gzwrite(file, head, sizeof head);
    for (int i = 0; i < 1024; i++)
        gzwrite(file, zeros, sizeof zeros);
    gzclose(file);
    refused(scratch("bomb.gz"), NULL, FIM_ERR_FORMAT, "bomb.gz: holds more than its header tells");
}

// A header that claims what deflate could just hold is stopped by the budget.
Test(data, a_gzip_that_claims_much_is_stopped_by_the_budget) {
    gzFile file = gzopen(scratch("large.gz"), "wb9");
    static const unsigned char head[] = {0, 0, 8, 2, 0, 16, 0, 0, 0, 0, 0, 16}, zeros[1 << 16];
    gzwrite(file, head, sizeof head);
    for (int i = 0; i < 256; i++)
        gzwrite(file, zeros, sizeof zeros);
    gzclose(file);
    refused(scratch("large.gz"), NULL, FIM_ERR_BUDGET, "large.gz needs 134 MB");
    h5_expect_all_closed();
}

// ---- NumPy ----

// Lays down an .npy file of version 1; n bytes of numbers.
static size_t npy_bytes(unsigned char *out, const char *header, const void *numbers, size_t n) {
    size_t length = strlen(header);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)(length & 255);
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, header, length);
    memcpy(out + 10 + length, numbers, n);
    return 10 + length + n;
}

static void npy_write(const char *path, const char *header, const void *numbers, size_t n) {
    unsigned char bytes[1024];
    scratch_write(path, bytes, npy_bytes(bytes, header, numbers, n));
}

static void expect_npy(const char *header, const void *numbers, size_t n, size_t rows, size_t columns,
                       const double *values) {
    fim_data data;
    npy_write(scratch("a.npy"), header, numbers, n);
    TEST_OK(fim_data_read(scratch("a.npy"), NULL, budget, &data));
    expect_x(&data, rows, columns, values);
    fim_data_clear(&data);
}

Test(data, npy_of_every_type) {
    const double d[4] = {1.5, -2, 0, 1e-300}, whole[4] = {1, -2, 3, -128}, natural[4] = {1, 2, 3, 200};
    const double f[4] = {1.5, -2, 0, 0x1p-120};
    expect_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }   \n", d, sizeof d, 2, 2, d);
    expect_npy("{'descr':'<f4','fortran_order':False,'shape':(2,2)}", (float[]){1.5f, -2, 0, 0x1p-120f}, 16,
               2, 2, f);
    expect_npy("{\"shape\": (2L, 2L), \"descr\": \"=f8\", 'fortran_order': False}", d, sizeof d, 2, 2, d);
    expect_npy("{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), }", (int8_t[]){1, -2, 3, -128}, 4,
               2, 2, whole);
    expect_npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }", (int16_t[]){1, -2, 3, -128}, 8,
               2, 2, whole);
    expect_npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }", (int32_t[]){1, -2, 3, -128}, 16,
               2, 2, whole);
    expect_npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }", (int64_t[]){1, -2, 3, -128}, 32,
               2, 2, whole);
    expect_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", (uint8_t[]){1, 2, 3, 200}, 4, 2,
               2, natural);
    expect_npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), }", (uint16_t[]){1, 2, 3, 200}, 8,
               2, 2, natural);
    expect_npy("{'descr': '<u4', 'fortran_order': False, 'shape': (2, 2), }", (uint32_t[]){1, 2, 3, 200}, 16,
               2, 2, natural);
    expect_npy("{'descr': '<u8', 'fortran_order': False, 'shape': (2, 2), }", (uint64_t[]){1, 2, 3, 200}, 32,
               2, 2, natural);
    expect_npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 2), }", (uint8_t[]){1, 0, 0, 1}, 4, 2,
               2, (double[]){1, 0, 0, 1});
    expect_npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2, 1), }", (uint8_t[]){1, 2, 255, 254}, 4,
               2, 1, (double[]){258, -2});
    expect_npy("{'descr': '>f8', 'fortran_order': False, 'shape': (1, 1), }",
               (uint8_t[]){0xbf, 0xf8, 0, 0, 0, 0, 0, 0}, 8, 1, 1, (double[]){-1.5});
}

Test(data, npy_in_fortran_order) {
    static const uint8_t numbers[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                        12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    expect_npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", numbers, 6, 2, 3,
               (double[]){0, 2, 4, 1, 3, 5});
    // Entry (i, j, k) of (2, 3, 4) lies at i + 2j + 6k.
    double values[24];
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 3; j++)
            for (size_t k = 0; k < 4; k++)
                values[i * 12 + j * 4 + k] = (double)(i + 2 * j + 6 * k);
    expect_npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }", numbers, 24, 2, 12, values);
}

Test(data, npy_of_versions_2_and_3_and_as_labels) {
    fim_data data;
    for (unsigned char version = 2; version <= 3; version++) {
        unsigned char bytes[128] = "\x93NUMPY";
        const char header[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }";
        bytes[6] = version;
        bytes[8] = sizeof header - 1;
        memcpy(bytes + 12, header, sizeof header - 1);
        memcpy(bytes + 12 + sizeof header - 1, "\5\6", 2);
        scratch_write(scratch("x.npy"), bytes, 12 + sizeof header - 1 + 2);
        npy_write(scratch("y.npy"), "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
                  (int64_t[]){4, 0}, 16);
        TEST_OK(fim_data_read(scratch("x.npy"), scratch("y.npy"), budget, &data));
        expect_x(&data, 2, 1, (double[]){5, 6});
        cr_assert(data.labels[0] == 4 && data.labels[1] == 0);
        fim_data_clear(&data);
    }
}

static void npy_case(const char *header, size_t n, fim_status status, const char *part) {
    static const double numbers[8] = {1, 2, 3, INFINITY};
    npy_write(scratch("bad.npy"), header, numbers, n);
    refused(scratch("bad.npy"), NULL, status, part);
    cr_assert(strstr(fim_message(), "bad.npy") != NULL);
}

Test(data, broken_npy_is_refused_by_name) {
    const char *header = "bad.npy: the .npy header cannot be understood";
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 31, FIM_ERR_FORMAT, "bad.npy: ");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", 24, FIM_ERR_FORMAT,
             "holds more than");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 32, FIM_ERR_VALUE,
             "bad.npy: sample 1, entry 1 is inf");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2), }", 0, FIM_ERR_SHAPE,
             "holds no samples");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 8, FIM_ERR_SHAPE, "has 0 dimensions");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 24, FIM_ERR_SHAPE, "x is (3,)");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 2), }", 32, FIM_ERR_FORMAT,
             "claims 17592186044416 bytes");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", 32,
             FIM_ERR_FORMAT, "claims");
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999, 2), }", 32,
             FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }", 32, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1 2), }", 32, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'fortran_order': Maybe, 'shape': (1, 2), }", 32, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'fortran_order': False}", 32, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}", 32, FIM_ERR_FORMAT,
             header);
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), 'more': 1}", 32, FIM_ERR_FORMAT,
             header);
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)} and", 16, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)", 16, FIM_ERR_FORMAT, header);
    npy_case("{", 0, FIM_ERR_FORMAT, header);
    npy_case("", 0, FIM_ERR_FORMAT, header);
    npy_case("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", 32, FIM_ERR_FORMAT,
             "is of type '|O'");
    npy_case("{'descr': '<c16', 'fortran_order': False, 'shape': (2, 1), }", 32, FIM_ERR_FORMAT,
             "is of type '<c16'");
    npy_case("{'descr': '<f16', 'fortran_order': False, 'shape': (2, 1), }", 32, FIM_ERR_FORMAT,
             "is of type '<f16'");
    npy_case("{'descr': '<U3', 'fortran_order': False, 'shape': (2, 1), }", 32, FIM_ERR_FORMAT,
             "is of type '<U3'");
    npy_case("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2, 1), }", 32, FIM_ERR_FORMAT,
             "is a structured array");
    scratch_write(scratch("bad.npy"), "\x93NUMPY\7\0\1\0{", 11);
    refused(scratch("bad.npy"), NULL, FIM_ERR_FORMAT, "is not .npy of version 1.0");
    scratch_write(scratch("bad.npy"), "\x93NUMPY\2\0\377\377\377\177{", 13);
    refused(scratch("bad.npy"), NULL, FIM_ERR_FORMAT, "header claims 2147483647 bytes");
    h5_expect_all_closed();
}

// ---- Archives ----

static void zip_put(zip_t *archive, const char *member, const void *bytes, size_t n) {
    void *copy = malloc(n); // libzip reads it when the archive is closed, and frees it
    memcpy(copy, bytes, n);
    zip_source_t *source = zip_source_buffer(archive, copy, n, 1);
    cr_assert(zip_file_add(archive, member, source, ZIP_FL_OVERWRITE) >= 0);
}

static void npz_write(const char *path, const char *x, const char *y) {
    unsigned char bytes[1024];
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    double numbers[6] = {1, 2, 3, 4, 5, 6};
    if (x != NULL)
        zip_put(archive, "x.npy", bytes, npy_bytes(bytes, x, numbers, sizeof numbers));
    if (y != NULL)
        zip_put(archive, "y.npy", bytes, npy_bytes(bytes, y, (int64_t[]){1, 0, 2}, 24));
    zip_put(archive, "readme", "hello", 5);
    cr_assert(zip_close(archive) == 0);
}

static const char npz_x[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }";
static const char npz_y[] = "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }";

Test(data, npz_with_and_without_y) {
    fim_data data;
    npz_write(scratch("xy.npz"), npz_x, npz_y);
    npz_write(scratch("x.npz"), npz_x, NULL);
    TEST_OK(fim_data_read(scratch("xy.npz"), NULL, budget, &data));
    expect_x(&data, 3, 2, (double[]){1, 2, 3, 4, 5, 6});
    cr_assert(data.labels[0] == 1 && data.labels[1] == 0 && data.labels[2] == 2 && data.y == NULL);
    fim_data_clear(&data);
    TEST_OK(fim_data_read(scratch("x.npz"), scratch("xy.npz"), budget, &data));
    cr_assert(data.labels[2] == 2);
    fim_data_clear(&data);
    TEST_OK(fim_data_read(scratch("x.npz"), NULL, budget, &data));
    cr_assert(data.labels == NULL && data.y == NULL);
    fim_data_clear(&data);
    h5_expect_all_closed();
}

Test(data, broken_npz_is_refused_by_name) {
    npz_write(scratch("bad.npz"), NULL, npz_y);
    refused(scratch("bad.npz"), NULL, FIM_ERR_FORMAT, "bad.npz: has no array x");
    npz_write(scratch("bad.npz"), "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }", npz_y);
    refused(scratch("bad.npz"), NULL, FIM_ERR_FORMAT, "bad.npz: x.npy: ends too early");
    npz_write(scratch("bad.npz"), "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 2), }",
              NULL);
    refused(scratch("bad.npz"), NULL, FIM_ERR_FORMAT, "bad.npz: x.npy: its header claims");
    npz_write(scratch("bad.npz"), npz_x, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }");
    refused(scratch("bad.npz"), NULL, FIM_ERR_SHAPE, "bad.npz: y is (3,) floating");
    h5_expect_all_closed();
}

Test(data, damaged_npz_is_noticed) {
    fim_data good;
    npz_write(scratch("xy.npz"), npz_x, npz_y);
    TEST_OK(fim_data_read(scratch("xy.npz"), NULL, budget, &good));
    damage(scratch("xy.npz"), read_same, &good, 1, true);
    fim_data_clear(&good);
}

// ---- What to read ----

Test(data, curves_by_name) {
    fim_data data, again;
    gsl_matrix *x = gsl_matrix_alloc(3, 784);
    TEST_OK(fim_data_read("curves:3:9", NULL, budget, &data));
    TEST_OK(fim_data_curves(3, 9, 0, x));
    cr_assert(gsl_matrix_equal(data.x, x) && data.labels == NULL && data.y == NULL);
    fim_data_clear(&data);
    TEST_OK(fim_data_read("curves:3", NULL, budget, &data));
    TEST_OK(fim_data_read("curves:3:1", NULL, budget, &again));
    cr_assert(gsl_matrix_equal(data.x, again.x), "the seed is 1 when none is given");
    fim_data_clear(&data);
    fim_data_clear(&again);
    gsl_matrix_free(x);
    refused("curves:0", NULL, FIM_ERR_ARGUMENT, "curves:0: number of images: '0'");
    refused("curves:", NULL, FIM_ERR_ARGUMENT, "number of images: ''");
    refused("curves:3x", NULL, FIM_ERR_ARGUMENT, "'3x'");
    refused("curves:3:", NULL, FIM_ERR_ARGUMENT, "seed: ''");
    refused("curves:3:1:2", NULL, FIM_ERR_ARGUMENT, "seed: '1:2'");
    refused("curves:18446744073709551615", NULL, FIM_ERR_BUDGET, "curves:18446744073709551615 needs");
}

Test(data, not_a_data_set) {
    scratch_write(scratch("text"), "x,y\n1,2\n", 8);
    scratch_write(scratch("empty"), "", 0);
    refused(scratch("text"), NULL, FIM_ERR_FORMAT, "text: is not a data set; known formats: HDF5 with /x");
    refused(scratch("empty"), NULL, FIM_ERR_FORMAT, "empty: is not a data set");
    refused(scratch("none"), NULL, FIM_ERR_IO, "none: cannot be read: No such file");
    refused(scratch_folder, NULL, FIM_ERR_IO, "not a regular file");
    fim_file_kind kind;
    TEST_FAILS(fim_file_sniff(scratch("text"), &kind), FIM_ERR_FORMAT,
               "text: is neither a checkpoint nor a data set");
    TEST_FAILS(fim_file_sniff(scratch("none"), &kind), FIM_ERR_IO, "none: cannot be read");
    h5_expect_all_closed();
}
