// A run that stops and goes on gives the bits of one that did not; what does not belong together is refused.
#include "training.h"

TestSuite(resume, .init = setup, .fini = teardown);

static size_t asked, stop_at;

static bool stop(void *context) {
    (void)context;
    return ++asked == stop_at;
}

static fim_train_options small(const char *optimizer, bool float64) {
    fim_train_options o = defaults();
    o.optimizer = optimizer;
    o.float64 = float64;
    o.batch = 8; // 30 samples: the last batch of an epoch is shorter
    o.epochs = 4;
    o.statistics_every = 3;
    o.inverse_every =
        4; // at other iterations than the statistics: the inverse is not that of the last average
    o.inverse.damping = 0.05;
    o.folder = folder;
    return o;
}

static void assert_same_curve(const fim_record *a, const fim_record *b, const char *name) {
    const gsl_vector *x = fim_record_curve(a, name)->values, *y = fim_record_curve(b, name)->values;
    cr_assert(x->size == y->size && x->size > 0, "%s: %zu and %zu entries", name, x->size, y->size);
    cr_assert(gsl_vector_equal(x, y), "%s", name);
}

Test(resume, gives_the_bits_of_a_run_without_a_break) {
    static const char *const optimizers[] = {"sgd",   "adam",           "diagonal", "ekfac",
                                             "kpsvd", "kfac-corrected", "exact"};
    for (size_t k = 0; k < sizeof optimizers / sizeof *optimizers; k++)
        for (int float64 = 0; float64 < 2; float64++)
            for (stop_at = 3; stop_at <= 11; stop_at += 4) { // within epochs, and at the end of one
                fim_net whole = make_net(deep, 3), broken = make_net(deep, 3), again = make_net(deep, 3);
                fim_record log, first, second;
                fim_train_options o = small(optimizers[k], float64 == 1);
                o.folder = NULL;
                TEST_OK(fim_train(&whole, &data, &data, &o, NULL, NULL, NULL, NULL, &log));
                o.folder = folder;
                o.overwrite = true;
                asked = 0;
                const fim_monitor monitor = {.cancelled = stop};
                cr_assert(fim_train(&broken, &data, &data, &o, NULL, &monitor, NULL, NULL, &first) ==
                          FIM_CANCELLED);
                cr_assert(net_difference(&whole, &broken) > 0);
                o.overwrite = false;
                o.resume = true;
                TEST_OK(fim_train(&again, &data, &data, &o, NULL, NULL, NULL, NULL, &second));
                cr_assert(eq(dbl, net_difference(&whole, &again), 0), "%s stopped at %zu", optimizers[k],
                          stop_at);
                static const char *const curves[] = {"loss", "validation_loss", "iteration_loss",
                                                     "gradient_norm", "clip"};
                for (size_t c = 0; c < sizeof curves / sizeof *curves; c++)
                    assert_same_curve(&log, &second, curves[c]);
                fim_record_clear(&log);
                fim_record_clear(&first);
                fim_record_clear(&second);
                fim_net_clear(&whole);
                fim_net_clear(&broken);
                fim_net_clear(&again);
            }
}

Test(resume, of_a_finished_run_adds_epochs_or_nothing) {
    fim_net whole = make_net(deep, 3), net = make_net(deep, 3);
    fim_record log;
    fim_train_options o = small("kfac", false);
    o.epochs = 6;
    o.folder = NULL;
    TEST_OK(train_plainly(&whole, &o));
    o.folder = folder;
    o.epochs = 4;
    TEST_OK(train_plainly(&net, &o));
    o.resume = true;
    for (size_t epochs = 4; epochs <= 6; epochs += 2) {
        fim_net_clear(&net);
        net = make_net(deep, 3);
        o.epochs = epochs;
        TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
        cr_assert(eq(sz, fim_record_curve(&log, "loss")->values->size, epochs));
        fim_record_clear(&log);
    }
    cr_assert(eq(dbl, net_difference(&whole, &net), 0));
    fim_net_clear(&whole);
    fim_net_clear(&net);
}

static char notes[2000];

static void take_note(void *context, const char *text) {
    (void)context;
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

Test(resume, with_other_threads_says_that_bits_may_differ) {
    const fim_monitor monitor = {.note = take_note};
    for (size_t threads = 1; threads <= 2; threads++) {
        fim_net net = make_net(deep, 3);
        fim_record log;
        fim_train_options o = small("sgd", false);
        o.folder = folder;
        o.overwrite = true;
        TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
        fim_record_clear(&log);
        o.overwrite = false;
        o.resume = true;
        o.epochs++;
        notes[0] = '\0';
        fim_linalg_setup(threads);
        TEST_OK(fim_train(&net, &data, NULL, &o, NULL, &monitor, NULL, NULL, &log));
        cr_assert(strstr(notes, "going on") != NULL, "%s", notes);
        const bool warned = strstr(notes, "began with 1 threads") != NULL;
        cr_assert(warned == (threads == 2), "%s", notes);
        fim_linalg_setup(1);
        fim_record_clear(&log);
        fim_net_clear(&net);
    }
}

Test(resume, without_a_state_starts_from_the_beginning) {
    fim_net plain = make_net(deep, 3), net = make_net(deep, 3);
    fim_train_options o = small("sgd", false);
    o.folder = NULL;
    TEST_OK(train_plainly(&plain, &o));
    o.folder = folder;
    o.resume = true;
    TEST_OK(train_plainly(&net, &o));
    cr_assert(eq(dbl, net_difference(&plain, &net), 0));
    o.folder = NULL;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "without a folder");
    fim_net_clear(&plain);
    fim_net_clear(&net);
}

Test(resume, names_the_setting_that_differs) {
    fim_net net = make_net(deep, 3), other = make_net(shallow, 1);
    const fim_train_options first = small("kfac", false);
    TEST_OK(train_plainly(&net, &first));
    fim_train_options o = first;
    o.resume = true;
    o.learning_rate = 0.7;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "learning_rate 0.1, asked is 0.7");
    o = first;
    o.resume = true;
    o.optimizer = "kpsvd";
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "optimizer kfac, asked is kpsvd");
    o.optimizer = "kfac";
    o.inverse.form = FIM_DAMPING_EACH;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "damping_form paper, asked is each");
    o = first;
    o.resume = true;
    TEST_FAILS(train_plainly(&other, &o), FIM_ERR_ARGUMENT, "parameters");
    gsl_matrix_set(data.x, 3, 1, 0.25);
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "train_checksum");
    fim_net_clear(&net);
    fim_net_clear(&other);
}

// Every table of the state taken away, or bent, in turn: refused by its name, and nothing is written.
Test(resume, unsound_states_are_refused) {
    static const char *const optimizers[] = {"kfac", "ekfac", "exact"};
    for (size_t k = 0; k < 3; k++) {
        fim_net net = make_net(deep, 3);
        char path[128];
        fim_train_options o = small(optimizers[k], false);
        o.overwrite = true;
        TEST_OK(train_plainly(&net, &o));
        o.overwrite = false;
        o.resume = true;
        fim_record state;
        TEST_OK(fim_record_read(in_folder("state.h5", path), "fim-state", SIZE_MAX, &state));
        const fim_record *child = fim_record_child(fim_record_child(&state, "natural"), "1");
        for (size_t t = 0; t < child->n_tables; t++) {
            char kept[40];
            strcpy(kept, child->tables[t].name);
            strcpy(child->tables[t].name, "nothing");
            const bool optional = strcmp(kept, "u_a") == 0 || strcmp(kept, "u_g") == 0;
            TEST_OK(fim_record_write(&state, "fim-state", path, true));
            if (!optional)
                TEST_FAILS(train_plainly(&net, &o), k == 2 ? FIM_ERR_SHAPE : FIM_ERR_FORMAT, "layer 1");
            strcpy(child->tables[t].name, kept);
            const size_t rows = child->tables[t].values->size1;
            child->tables[t].values->size1--;
            TEST_OK(fim_record_write(&state, "fim-state", path, true));
            TEST_FAILS(train_plainly(&net, &o), FIM_ERR_SHAPE, "layer 1");
            child->tables[t].values->size1 = rows;
        }
        fim_record_clear(&state);
        fim_net_clear(&net);
    }
}
