// Blocks: written and read back bit for bit in every form, and refused by name.
#include "scratch.h"

TestSuite(blocks, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 20;
enum { D_A = 4, D_G = 3, D = 12, N = 5, C = 2 };

static gsl_matrix *symmetric(size_t n, uint64_t seed) {
    gsl_matrix *m = test_random_matrix(n, n, seed);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            gsl_matrix_set(m, i, j, gsl_matrix_get(m, j, i));
    return m;
}

// All that a layer can have.
static fim_blocks_layer make_layer(bool packed) {
    fim_blocks_layer layer = {.name = "0",
                              .d_a = D_A,
                              .d_g = D_G,
                              .n = N,
                              .fisher = "mc:2",
                              .dense = symmetric(D, 1),
                              .a = symmetric(D_A, 2),
                              .g = symmetric(D_G, 3)};
    layer.samples = (fim_samples){.n = N, .d_a = D_A, .d_g = D_G, .a = test_random_matrix(N, D_A, 4)};
    if (packed) {
        layer.samples.packed = test_random_matrix(N, fim_svec_size(D_G), 5);
    } else {
        layer.samples.columns = C;
        layer.samples.g = test_random_matrix(N * C, D_G, 6);
    }
    return layer;
}

static fim_status write_layer(const char *path, const fim_blocks_layer *layer,
                              const fim_blocks_options *options) {
    fim_blocks_writer *writer = NULL;
    fim_record header;
    fim_record_init(&header, "");
    TEST_OK(fim_record_set(&header, "seed", 42, ""));
    fim_status status = fim_blocks_create(path, &header, true, &writer);
    fim_record_clear(&header);
    if (status != FIM_OK)
        return status;
    status = fim_blocks_add(writer, layer->name, layer->d_a, layer->d_g, layer->n, layer->fisher,
                            layer->dense, layer->a, layer->g, &layer->samples, options);
    if (status == FIM_OK)
        return fim_blocks_commit(writer);
    fim_blocks_abandon(writer);
    return status;
}

static bool same(const gsl_matrix *a, const gsl_matrix *b) {
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && gsl_matrix_equal(a, b));
}

static fim_status read_same(const char *path, const void *good) {
    const fim_blocks_layer *expected = good;
    fim_blocks_layer layer;
    fim_status status = fim_blocks_read(path, expected->name, false, budget, &layer);
    if (status != FIM_OK)
        return status;
    bool equal =
        layer.d_a == expected->d_a && layer.d_g == expected->d_g && layer.n == expected->n &&
        strcmp(layer.fisher, expected->fisher) == 0 && same(layer.dense, expected->dense) &&
        same(layer.a, expected->a) && same(layer.g, expected->g) && layer.samples.n == expected->samples.n &&
        layer.samples.columns == expected->samples.columns && same(layer.samples.a, expected->samples.a) &&
        same(layer.samples.g, expected->samples.g) && same(layer.samples.packed, expected->samples.packed);
    fim_blocks_layer_clear(&layer);
    return equal ? FIM_OK : FIM_ERR_NUMERIC;
}

Test(blocks, everything_comes_back_bit_for_bit) {
    for (int packed_g = 0; packed_g < 2; packed_g++) {
        for (int packed = 0; packed < 2; packed++) {
            fim_blocks_layer layer = make_layer(packed_g);
            fim_blocks_options options = {.factors = true, .samples = true, .packed = packed};
            TEST_OK(write_layer(scratch("b.h5"), &layer, &options));
            TEST_OK(read_same(scratch("b.h5"), &layer));
            fim_blocks_about *layers = NULL, about;
            size_t count = 0;
            TEST_OK(fim_blocks_list(scratch("b.h5"), &layers, &count));
            about = layers[0];
            free(layers);
            cr_assert(count == 1 && strcmp(about.name, "0") == 0);
            cr_assert(about.dense != about.packed && about.packed == (bool)packed);
            cr_assert(about.factors && about.samples && about.g_packed == (bool)packed_g);
            cr_assert(about.d_a == D_A && about.d_g == D_G && about.n == N &&
                      strcmp(about.fisher, "mc:2") == 0);
            fim_blocks_layer_clear(&layer);
        }
    }
    fim_record header;
    fim_file_kind kind;
    TEST_OK(fim_file_attributes(scratch("b.h5"), &header));
    cr_assert(fim_record_value(&header, "seed")->value == 42);
    fim_record_clear(&header);
    TEST_OK(fim_file_sniff(scratch("b.h5"), &kind));
    cr_assert(kind == FIM_FILE_BLOCKS);
    cr_assert(eq(sz, scratch_count(), 1));
    h5_expect_all_closed();
}

Test(blocks, the_block_alone_and_the_samples_alone) {
    fim_blocks_layer layer = make_layer(false), found;
    TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){0}));
    TEST_OK(fim_blocks_read(scratch("b.h5"), "0", true, budget, &found));
    cr_assert(same(found.dense, layer.dense) && found.a == NULL && found.g == NULL && found.samples.n == 0);
    fim_blocks_layer_clear(&found);

    TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){.samples = true}));
    TEST_OK(fim_blocks_read(scratch("b.h5"), "0", true, budget, &found));
    cr_assert(found.dense == NULL && same(found.samples.g, layer.samples.g));
    fim_blocks_layer_clear(&found);
    TEST_OK(fim_blocks_read(scratch("b.h5"), "0", false, budget, &found));
    cr_assert(same(found.dense, layer.dense) && same(found.samples.g, layer.samples.g));
    fim_blocks_layer_clear(&found);
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

// What the README shows: the block is the data set /layers/<name>/fisher, (D, D) doubles.
Test(blocks, lie_as_any_hdf5_program_expects) {
    fim_blocks_layer layer = make_layer(false);
    TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){0}));
    hid_t file = H5Fopen(scratch("b.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/layers/0/fisher", H5P_DEFAULT);
    double values[D * D];
    cr_assert(H5Dget_storage_size(set) == sizeof values);
    cr_assert(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    cr_assert(memcmp(values, layer.dense->data, sizeof values) == 0);
    H5Dclose(set);
    H5Fclose(file);
    fim_blocks_layer_clear(&layer);
}

Test(blocks, are_listed_in_the_order_of_writing) {
    static const char *const names[] = {"10", "9", "code", "2"};
    fim_blocks_layer layer = make_layer(false);
    fim_blocks_writer *writer = NULL;
    fim_blocks_about *found = NULL;
    size_t count = 0;
    TEST_OK(fim_blocks_create(scratch("b.h5"), NULL, false, &writer));
    for (size_t i = 0; i < 4; i++)
        TEST_OK(fim_blocks_add(writer, names[i], D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL,
                               &(fim_blocks_options){0}));
    cr_assert(scratch_has("b.h5") == false, "the file has no name before it is complete");
    TEST_OK(fim_blocks_commit(writer));
    TEST_OK(fim_blocks_list(scratch("b.h5"), &found, &count));
    cr_assert(count == 4);
    for (size_t i = 0; i < 4; i++)
        cr_assert(strcmp(found[i].name, names[i]) == 0, "%s at %zu", found[i].name, i);
    free(found);
    fim_blocks_layer_clear(&layer);
}

Test(blocks, an_abandoned_file_leaves_nothing) {
    fim_blocks_writer *writer = NULL;
    TEST_OK(fim_blocks_create(scratch("b.h5"), NULL, false, &writer));
    fim_blocks_abandon(writer);
    fim_blocks_abandon(NULL);
    cr_assert(eq(sz, scratch_count(), 0));
}

Test(blocks, what_cannot_be_written) {
    fim_blocks_layer layer = make_layer(false);
    fim_blocks_writer *writer = NULL;
    const fim_blocks_options plain = {0}, factors = {.factors = true}, samples = {.samples = true};
    scratch_write(scratch("there.h5"), "x", 1);
    TEST_FAILS(fim_blocks_create(scratch("there.h5"), NULL, false, &writer), FIM_ERR_IO,
               "there.h5: exists already");
    TEST_FAILS(fim_blocks_create(scratch("no/b.h5"), NULL, false, &writer), FIM_ERR_IO,
               "no/b.h5: cannot be written");
    TEST_OK(fim_blocks_create(scratch("b.h5"), NULL, false, &writer));
    TEST_OK(fim_blocks_add(writer, "0", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &plain));
    TEST_FAILS(fim_blocks_add(writer, "0", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &plain),
               FIM_ERR_IO, "b.h5: /layers/0 cannot be written");
    TEST_FAILS(fim_blocks_add(writer, "a/b", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &plain),
               FIM_ERR_ARGUMENT, "'a/b'");
    TEST_FAILS(fim_blocks_add(writer, "", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &plain),
               FIM_ERR_ARGUMENT, "''");
    TEST_FAILS(fim_blocks_add(writer, "1", D_A, D_A, N, "exact", layer.dense, NULL, NULL, NULL, &plain),
               FIM_ERR_SHAPE, "(12, 12), expected (16, 16)");
    TEST_FAILS(fim_blocks_add(writer, "1", D_A, D_G, N, "exact", NULL, NULL, NULL, NULL, &plain),
               FIM_ERR_ARGUMENT, "neither block nor samples");
    TEST_FAILS(fim_blocks_add(writer, "1", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &factors),
               FIM_ERR_SHAPE, "factors of layer 1");
    TEST_FAILS(
        fim_blocks_add(writer, "1", D_A, D_G, N, "exact", layer.dense, layer.g, layer.a, NULL, &factors),
        FIM_ERR_SHAPE, "factors of layer 1");
    TEST_FAILS(fim_blocks_add(writer, "1", D_A, D_G, N, "exact", layer.dense, NULL, NULL, NULL, &samples),
               FIM_ERR_SHAPE, "samples of layer 1");
    fim_blocks_abandon(writer);
    cr_assert(eq(sz, scratch_count(), 1));
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

static void set_is(hid_t f, const char *name, int rank, const hsize_t *dim) {
    h5_remove(f, name);
    h5_put_numbers(f, name, H5T_IEEE_F64LE, rank, dim);
}
static void other_size(hid_t f) {
    h5_put_number(f, "/layers/0", "d_g", 4);
}
static void absurd_size(hid_t f) {
    h5_put_number(f, "/layers/0", "d_g", 0x1p52);
}
static void zero_size(hid_t f) {
    h5_put_number(f, "/layers/0", "d_a", 0);
}
static void no_samples(hid_t f) {
    h5_put_number(f, "/layers/0", "samples", 0);
}
static void no_fisher_kind(hid_t f) {
    hid_t layer = H5Oopen(f, "/layers/0", H5P_DEFAULT);
    H5Adelete(layer, "fisher");
    H5Oclose(layer);
}
static void long_fisher_kind(hid_t f) {
    h5_put_text(f, "/layers/0", "fisher", "exactexactexactexactexactexactexact");
}
static void not_square(hid_t f) {
    set_is(f, "/layers/0/fisher", 2, (hsize_t[]){D, D + 1});
}
static void not_symmetric(hid_t f) {
    set_is(f, "/layers/0/fisher", 2, (hsize_t[]){D, D});
}
static void not_finite(hid_t f) {
    double values[D * D] = {0};
    values[14] = INFINITY;
    h5_remove(f, "/layers/0/fisher");
    h5_put_set(f, "/layers/0/fisher", H5T_IEEE_F64LE, 2, (hsize_t[]){D, D}, values);
}
static void nothing(hid_t f) {
    h5_remove(f, "/layers/0/fisher");
    h5_remove(f, "/layers/0/a");
}
static void no_g(hid_t f) {
    h5_remove(f, "/layers/0/g");
}
static void no_g_factor(hid_t f) {
    h5_remove(f, "/layers/0/g_factor");
}
static void wrong_factor(hid_t f) {
    set_is(f, "/layers/0/a_factor", 2, (hsize_t[]){D_G, D_G});
}
static void wrong_a(hid_t f) {
    set_is(f, "/layers/0/a", 2, (hsize_t[]){N, D_G});
}
static void wrong_g(hid_t f) {
    set_is(f, "/layers/0/g", 2, (hsize_t[]){N * C, D_G});
}
static void no_layer(hid_t f) {
    h5_remove(f, "/layers/0");
}
static void linked(hid_t f) {
    h5_remove(f, "/layers/0");
    H5Lcreate_external("other.h5", "/layers/0", f, "/layers/0", H5P_DEFAULT, H5P_DEFAULT);
}

static const h5_case broken[] = {
    {"another size", other_size, FIM_ERR_SHAPE, "/layers/0/g_factor is (3, 3), expected (4, 4)"},
    {"absurd size", absurd_size, FIM_ERR_SHAPE, "/layers/0/g_factor is (3, 3), expected"},
    {"zero size", zero_size, FIM_ERR_VALUE, "attribute 'd_a' of /layers/0 is 0"},
    {"no samples", no_samples, FIM_ERR_VALUE, "attribute 'samples' of /layers/0 is 0"},
    {"no Fisher kind", no_fisher_kind, FIM_ERR_FORMAT, "/layers/0 has no attribute 'fisher'"},
    {"long Fisher kind", long_fisher_kind, FIM_ERR_FORMAT, "attribute 'fisher' of /layers/0 is too long"},
    {"not square", not_square, FIM_ERR_SHAPE, "/layers/0/fisher is (12, 13), expected (12, 12)"},
    {"not symmetric", not_symmetric, FIM_ERR_VALUE, "/layers/0/fisher is not symmetric: [1, 0] is 12.5"},
    {"not finite", not_finite, FIM_ERR_VALUE, "/layers/0/fisher[1, 2] is inf"},
    {"nothing", nothing, FIM_ERR_FORMAT, "/layers/0 has none of fisher"},
    {"no g", no_g, FIM_ERR_FORMAT, "has no data set /layers/0/g_packed"},
    {"no g_factor", no_g_factor, FIM_ERR_FORMAT, "has no data set /layers/0/g_factor"},
    {"wrong factor", wrong_factor, FIM_ERR_SHAPE, "/layers/0/a_factor is (3, 3), expected (4, 4)"},
    {"wrong a", wrong_a, FIM_ERR_SHAPE, "/layers/0/a is (5, 3), expected (5, 4)"},
    {"wrong g", wrong_g, FIM_ERR_SHAPE, "/layers/0/g is (10, 3), expected (5, *, 3)"},
    {"no layer", no_layer, FIM_ERR_UNKNOWN, "has no layer '0'"},
    {"a layer elsewhere", linked, FIM_ERR_FORMAT, "/layers/0 is an external link"},
};

Test(blocks, broken_files_are_refused_by_name) {
    fim_blocks_layer layer = make_layer(false);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        TEST_OK(
            write_layer(scratch("bad.h5"), &layer, &(fim_blocks_options){.factors = true, .samples = true}));
        hid_t file = H5Fopen(scratch("bad.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        broken[i].edit(file);
        H5Fclose(file);
        fim_blocks_layer found;
        fim_status status = fim_blocks_read(scratch("bad.h5"), "0", false, budget, &found);
        cr_expect(status == broken[i].status, "%s: gave '%s' (%s)", broken[i].name, fim_status_text(status),
                  fim_message());
        cr_expect(strstr(fim_message(), broken[i].part) != NULL && strstr(fim_message(), "bad.h5: ") != NULL,
                  "%s: '%s' lacks '%s'", broken[i].name, fim_message(), broken[i].part);
    }
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

Test(blocks, over_the_budget) {
    fim_blocks_layer layer = make_layer(false), found;
    for (int packed = 0; packed < 2; packed++) {
        TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){.packed = packed}));
        TEST_FAILS(fim_blocks_read(scratch("b.h5"), "0", false, D * D * 8 - 1, &found), FIM_ERR_BUDGET,
                   "b.h5: /layers/0/fisher");
    }
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

Test(blocks, no_blocks_at_all) {
    fim_blocks_layer layer = make_layer(false), found;
    fim_blocks_writer *writer = NULL;
    fim_blocks_about *layers = NULL;
    size_t count = 0;
    TEST_OK(fim_blocks_create(scratch("empty.h5"), NULL, false, &writer));
    TEST_OK(fim_blocks_commit(writer));
    TEST_FAILS(fim_blocks_list(scratch("empty.h5"), &layers, &count), FIM_ERR_FORMAT,
               "/layers holds no layer");
    TEST_FAILS(fim_blocks_list(scratch("none.h5"), &layers, &count), FIM_ERR_IO, "none.h5: cannot be read");
    TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){0}));
    TEST_FAILS(fim_blocks_read(scratch("b.h5"), "7", false, budget, &found), FIM_ERR_UNKNOWN,
               "b.h5: has no layer '7'");
    TEST_FAILS(fim_blocks_read(scratch("b.h5"),
                               "0123456789012345678901234567890123456789012345678901234567890123", false,
                               budget, &found),
               FIM_ERR_ARGUMENT, "too long");
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

Test(blocks, damage_is_noticed) {
    fim_blocks_layer layer = make_layer(true);
    TEST_OK(write_layer(scratch("b.h5"), &layer, &(fim_blocks_options){.factors = true, .samples = true}));
    damage(scratch("b.h5"), read_same, &layer, 5, true);
    fim_blocks_layer_clear(&layer);
}

// ---- Captures, as a few lines of h5py write them ----

// Layer fc: a (3, 2), g (3, 2, 2).
static hid_t make_capture(const char *path) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    h5_put_text(file, "/", "format", "fim-capture");
    h5_put_number(file, "/", "version", 1);
    h5_put_group(file, "/layers");
    h5_put_group(file, "/layers/fc");
    h5_put_text(file, "/layers/fc", "fisher", "exact");
    h5_put_numbers(file, "/layers/fc/a", H5T_IEEE_F32LE, 2, (hsize_t[]){3, 2});
    h5_put_numbers(file, "/layers/fc/g", H5T_IEEE_F32LE, 3, (hsize_t[]){3, 2, 2});
    return file;
}

Test(blocks, a_capture_tells_its_sizes_by_its_shapes) {
    fim_blocks_layer layer;
    fim_file_kind kind;
    H5Fclose(make_capture(scratch("c.h5")));
    TEST_OK(fim_file_sniff(scratch("c.h5"), &kind));
    cr_assert(kind == FIM_FILE_BLOCKS);
    TEST_OK(fim_blocks_read(scratch("c.h5"), "fc", true, budget, &layer));
    const fim_samples *s = &layer.samples;
    cr_assert(layer.d_a == 2 && layer.d_g == 2 && layer.n == 3 && s->columns == 2 && layer.dense == NULL);
    cr_assert(gsl_matrix_get(s->a, 2, 1) == 5.5 && gsl_matrix_get(s->g, 5, 1) == 11.5);
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

Test(blocks, a_capture_gets_its_constant_and_its_scale) {
    fim_blocks_layer layer;
    hid_t file = make_capture(scratch("c.h5"));
    h5_put_number(file, "/layers/fc", "bias", 1);
    h5_put_number(file, "/layers/fc", "scale", 4);
    set_is(file, "/layers/fc/g", 2, (hsize_t[]){3, 2});
    H5Fclose(file);
    TEST_OK(fim_blocks_read(scratch("c.h5"), "fc", true, budget, &layer));
    const fim_samples *s = &layer.samples;
    cr_assert(layer.d_a == 3 && layer.d_g == 2 && s->columns == 1 && s->a->size2 == 3);
    for (size_t n = 0; n < 3; n++)
        for (size_t i = 0; i < 3; i++)
            cr_assert(gsl_matrix_get(s->a, n, i) == (i < 2 ? (double)(2 * n + i) + 0.5 : 1));
    cr_assert(gsl_matrix_get(s->g, 2, 1) == 4 * 5.5);
    fim_blocks_layer_clear(&layer);
    h5_expect_all_closed();
}

static void c_no_kind(hid_t f) {
    hid_t layer = H5Oopen(f, "/layers/fc", H5P_DEFAULT);
    H5Adelete(layer, "fisher");
    H5Oclose(layer);
}
static void c_other_kind(hid_t f) {
    h5_put_text(f, "/layers/fc", "fisher", "exakt");
}
static void c_no_g(hid_t f) {
    h5_remove(f, "/layers/fc/g");
}
static void c_no_a(hid_t f) {
    h5_remove(f, "/layers/fc/a");
}
static void c_flat_a(hid_t f) {
    set_is(f, "/layers/fc/a", 1, (hsize_t[]){6});
}
static void c_images(hid_t f) {
    set_is(f, "/layers/fc/a", 3, (hsize_t[]){3, 2, 2});
}
static void c_fewer_g(hid_t f) {
    set_is(f, "/layers/fc/g", 3, (hsize_t[]){2, 2, 2});
}
static void c_other_d_g(hid_t f) {
    h5_put_number(f, "/layers/fc", "d_g", 5);
}
static void c_bias(hid_t f) {
    h5_put_number(f, "/layers/fc", "bias", 2);
}
static void c_bias_text(hid_t f) {
    h5_put_text(f, "/layers/fc", "bias", "yes");
}
static void c_scale(hid_t f) {
    h5_put_number(f, "/layers/fc", "scale", 0);
}
static void c_scale_nan(hid_t f) {
    h5_put_number(f, "/layers/fc", "scale", NAN);
}
static void c_scale_huge(hid_t f) {
    h5_put_number(f, "/layers/fc", "scale", 1.7e308);
}
static void c_nan(hid_t f) {
    h5_remove(f, "/layers/fc/a");
    h5_put_set(f, "/layers/fc/a", H5T_IEEE_F64LE, 2, (hsize_t[]){3, 2}, (double[]){1, 2, 3, NAN, 5, 6});
}
static void c_soft(hid_t f) {
    H5Lmove(f, "/layers/fc/g", f, "/g", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/g", f, "/layers/fc/g", H5P_DEFAULT, H5P_DEFAULT);
}
static void c_version(hid_t f) {
    h5_put_number(f, "/", "version", 2);
}

static const h5_case broken_captures[] = {
    {"no Fisher kind", c_no_kind, FIM_ERR_FORMAT, "/layers/fc has no attribute 'fisher'"},
    {"unknown Fisher kind", c_other_kind, FIM_ERR_UNKNOWN, "attribute 'fisher' of /layers/fc"},
    {"no g", c_no_g, FIM_ERR_FORMAT, "has no attribute 'd_g'"},
    {"no a", c_no_a, FIM_ERR_FORMAT, "/layers/fc has none of fisher"},
    {"a a list", c_flat_a, FIM_ERR_FORMAT, "has no attribute 'd_a'"},
    {"a of images", c_images, FIM_ERR_FORMAT, "has no attribute 'd_a'"},
    {"fewer g than a", c_fewer_g, FIM_ERR_SHAPE, "/layers/fc/g is (2, 2, 2), expected (3, *, 2)"},
    {"another d_g", c_other_d_g, FIM_ERR_SHAPE, "/layers/fc/g is (3, 2, 2), expected (3, *, 5)"},
    {"bias 2", c_bias, FIM_ERR_VALUE, "attribute 'bias' of /layers/fc is 2"},
    {"bias a text", c_bias_text, FIM_ERR_FORMAT, "attribute 'bias' of /layers/fc is a text"},
    {"scale 0", c_scale, FIM_ERR_VALUE, "attribute 'scale' of /layers/fc is 0"},
    {"scale NaN", c_scale_nan, FIM_ERR_VALUE, "attribute 'scale' of /layers/fc is not finite"},
    {"scale huge", c_scale_huge, FIM_ERR_VALUE, "makes its samples infinite"},
    {"NaN", c_nan, FIM_ERR_VALUE, "/layers/fc/a[1, 1] is nan"},
    {"soft link", c_soft, FIM_ERR_FORMAT, "/layers/fc/g is a soft link"},
    {"version 2", c_version, FIM_ERR_FORMAT, "is version 2 of 'fim-capture'"},
};

Test(blocks, broken_captures_are_refused_by_name) {
    for (size_t i = 0; i < sizeof broken_captures / sizeof *broken_captures; i++) {
        hid_t file = make_capture(scratch("bad.h5"));
        broken_captures[i].edit(file);
        H5Fclose(file);
        fim_blocks_layer found;
        fim_status status = fim_blocks_read(scratch("bad.h5"), "fc", true, budget, &found);
        cr_expect(status == broken_captures[i].status, "%s: gave '%s' (%s)", broken_captures[i].name,
                  fim_status_text(status), fim_message());
        cr_expect(strstr(fim_message(), broken_captures[i].part) != NULL &&
                      strstr(fim_message(), "bad.h5: ") != NULL,
                  "%s: '%s' lacks '%s'", broken_captures[i].name, fim_message(), broken_captures[i].part);
    }
    h5_expect_all_closed();
}
