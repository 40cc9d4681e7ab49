// Checkpoints: written and read back bit for bit, read as h5py writes them, and refused by name.
#include "broken_checkpoints.h"

TestSuite(checkpoint, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 20;

// 4 → 3 (relu) → 2 (sigmoid, no bias) → 3.
static fim_net make_net(void) {
    static const size_t rows[] = {3, 2, 3}, columns[] = {5, 3, 3};
    fim_net net;
    TEST_OK(fim_net_init_empty(&net, FIM_BERNOULLI, 3));
    for (size_t l = 0; l < 3; l++) {
        net.layers[l].w = test_random_matrix(rows[l], columns[l], 10 + l);
        net.layers[l].bias = l != 1;
    }
    net.layers[0].activation = FIM_ACTIVATION_RELU;
    net.layers[1].activation = FIM_ACTIVATION_SIGMOID;
    net.layers[2].activation = FIM_ACTIVATION_IDENTITY;
    return net;
}

static bool same_net(const fim_net *a, const fim_net *b) {
    bool same = a->likelihood == b->likelihood && a->n_layers == b->n_layers;
    for (size_t l = 0; same && l < a->n_layers; l++)
        same = a->layers[l].activation == b->layers[l].activation && a->layers[l].bias == b->layers[l].bias &&
               gsl_matrix_equal(a->layers[l].w, b->layers[l].w);
    return same;
}

static fim_status read_same(const char *path, const void *good) {
    fim_net net;
    fim_status status = fim_checkpoint_read(path, budget, &net);
    if (status != FIM_OK)
        return status;
    bool same = same_net(&net, good);
    fim_net_clear(&net);
    return same ? FIM_OK : FIM_ERR_NUMERIC;
}

Test(checkpoint, comes_back_bit_for_bit) {
    fim_net net = make_net();
    fim_record extra, found;
    fim_record_init(&extra, "extra");
    TEST_OK(fim_record_set(&extra, "epoch", 7, ""));
    TEST_OK(fim_record_set_text(&extra, "command_line", "fim-train 'ünï'"));
    TEST_OK(fim_checkpoint_write(&net, &extra, scratch("net.h5"), false));
    TEST_OK(read_same(scratch("net.h5"), &net));
    cr_assert(eq(sz, scratch_count(), 1));

    fim_file_kind kind;
    TEST_OK(fim_file_sniff(scratch("net.h5"), &kind));
    cr_assert(kind == FIM_FILE_CHECKPOINT);
    TEST_OK(fim_file_attributes(scratch("net.h5"), &found));
    cr_assert(fim_record_value(&found, "epoch")->value == 7);
    cr_assert(eq(str, (char *)(uintptr_t)fim_record_text(&found, "command_line"), "fim-train 'ünï'"));
    fim_record_clear(&found);
    fim_record_clear(&extra);
    fim_net_clear(&net);
    h5_expect_all_closed();
}

Test(checkpoint, is_not_written_over_another_unasked) {
    fim_net net = make_net();
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false));
    TEST_FAILS(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false), FIM_ERR_IO,
               "net.h5: exists already");
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), true));
    cr_assert(eq(sz, scratch_count(), 1));
    fim_net_clear(&net);
    h5_expect_all_closed();
}

Test(checkpoint, a_bad_network_is_not_written) {
    fim_net net = make_net();
    gsl_matrix_set(net.layers[1].w, 0, 0, NAN);
    TEST_FAILS(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false), FIM_ERR_VALUE, "net.h5");
    cr_assert(eq(sz, scratch_count(), 0));
    fim_net_clear(&net);
    h5_expect_all_closed();
}

static void expect_made_checkpoint(void) {
    fim_net net;
    TEST_OK(fim_checkpoint_read(scratch("net.h5"), budget, &net));
    cr_assert(net.n_layers == 2 && net.likelihood == FIM_CATEGORICAL);
    cr_assert(net.layers[0].bias && !net.layers[1].bias);
    cr_assert(net.layers[0].activation == FIM_ACTIVATION_TANH);
    static const double first[2][4] = {{0.5, 1.5, 2.5, 0.5}, {3.5, 4.5, 5.5, 1.5}};
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 4; j++)
            cr_assert(gsl_matrix_get(net.layers[0].w, i, j) == first[i][j]);
    cr_assert(gsl_matrix_get(net.layers[1].w, 1, 0) == 2.5);
    fim_net_clear(&net);
}

Test(checkpoint, of_another_program) {
    H5Fclose(make_checkpoint(scratch("net.h5")));
    expect_made_checkpoint();
}

Test(checkpoint, in_the_newest_version_of_the_format) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    H5Fclose(make_checkpoint_with(scratch("net.h5"), access));
    H5Pclose(access);
    expect_made_checkpoint();
}

Test(checkpoint, broken_files_are_refused_by_name) {
    for (size_t i = 0; i < sizeof broken_checkpoints / sizeof *broken_checkpoints; i++) {
        hid_t file = make_checkpoint(scratch("bad.h5"));
        broken_checkpoints[i].edit(file);
        H5Fclose(file);
        fim_net net = {.n_layers = 77};
        fim_status status = fim_checkpoint_read(scratch("bad.h5"), budget, &net);
        cr_expect(status == broken_checkpoints[i].status, "%s: gave '%s' (%s)", broken_checkpoints[i].name,
                  fim_status_text(status), fim_message());
        cr_expect(strstr(fim_message(), broken_checkpoints[i].part) != NULL &&
                      strstr(fim_message(), "bad.h5: ") != NULL,
                  "%s: '%s' lacks '%s'", broken_checkpoints[i].name, fim_message(),
                  broken_checkpoints[i].part);
        cr_expect(net.n_layers == 77, "%s: output touched", broken_checkpoints[i].name);
    }
    h5_expect_all_closed();
}

static herr_t no_traverse(const char *name, hid_t group, const void *data, size_t size, hid_t access) {
    (void)name, (void)group, (void)data, (void)size, (void)access;
    return -1;
}

Test(checkpoint, user_defined_links_are_refused) {
    static const H5L_class_t class = {.version = H5L_LINK_CLASS_T_VERS,
                                      .id = (H5L_type_t)100,
                                      .trav_func = (H5L_traverse_func_t)(void (*)(void))no_traverse};
    hid_t file = make_checkpoint(scratch("bad.h5"));
    cr_assert(H5Lregister(&class) >= 0);
    h5_remove(file, "/layers/0/bias");
    cr_assert(H5Lcreate_ud(file, "/layers/0/bias", 100, NULL, 0, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    fim_net net;
    TEST_FAILS(fim_checkpoint_read(scratch("bad.h5"), budget, &net), FIM_ERR_FORMAT,
               "/layers/0/bias is a user-defined link");
    h5_expect_all_closed();
}

Test(checkpoint, over_the_budget) {
    fim_net net = make_net(), other;
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false));
    TEST_FAILS(fim_checkpoint_read(scratch("net.h5"), 150, &other), FIM_ERR_BUDGET,
               "/layers/1/weight needs 48 B");
    fim_net_clear(&net);
    h5_expect_all_closed();
}

Test(checkpoint, no_checkpoint_at_all) {
    fim_net net;
    scratch_write(scratch("text"), "hello", 5);
    scratch_write(scratch("empty"), "", 0);
    TEST_FAILS(fim_checkpoint_read(scratch("none.h5"), budget, &net), FIM_ERR_IO,
               "none.h5: cannot be read: No such");
    TEST_FAILS(fim_checkpoint_read(scratch_folder, budget, &net), FIM_ERR_IO, "not a regular file");
    TEST_FAILS(fim_checkpoint_read(scratch("text"), budget, &net), FIM_ERR_FORMAT,
               "text: is not a checkpoint");
    TEST_FAILS(fim_checkpoint_read(scratch("empty"), budget, &net), FIM_ERR_FORMAT, "native HDF5");
}

Test(checkpoint, damage_is_noticed) {
    fim_net net = make_net();
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false));
    damage(scratch("net.h5"), read_same, &net, 3, true);
    fim_net_clear(&net);
}

// Files in the oldest format carry no checksums; damage can change them, but must not do harm.
Test(checkpoint, damage_of_foreign_files_does_no_harm) {
    H5Fclose(make_checkpoint(scratch("net.h5")));
    fim_net net;
    TEST_OK(fim_checkpoint_read(scratch("net.h5"), budget, &net));
    damage(scratch("net.h5"), read_same, &net, 17, false);
    fim_net_clear(&net);
}
