// The checkpoints of a run in the order of training, and when each was written, through a study.
#include "fim/run.h"
#include "io/scratch.h"
#include "networks.h"

TestSuite(trajectory, .init = scratch_begin, .fini = scratch_end);

static const test_shape shape = {2, {4, 3, 4}, 0, FIM_ACTIVATION_TANH};

static void write_checkpoint(const char *name, double epoch, double iteration) {
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 1);
    fim_record extra;
    fim_record_init(&extra, "checkpoint");
    if (epoch >= 0)
        TEST_OK(fim_record_set(&extra, "epoch", epoch, ""));
    if (iteration >= 0)
        TEST_OK(fim_record_set(&extra, "iteration", iteration, ""));
    TEST_OK(fim_checkpoint_write(&net, &extra, scratch(name), false));
    fim_record_clear(&extra);
    fim_net_clear(&net);
}

Test(trajectory, checkpoints_come_in_the_order_of_training) {
    static const char *const want[] = {"checkpoint-unknown.h5", "checkpoint-2.h5", "checkpoint-9-95.h5",
                                       "checkpoint-10.h5"};
    char **paths = NULL, folder[256];
    size_t count = 0;
    write_checkpoint("checkpoint-10.h5", 10, 100); // by name it would be the first
    write_checkpoint("checkpoint-2.h5", 2, 20);
    write_checkpoint("checkpoint-9-95.h5", 9, 95);
    write_checkpoint("checkpoint-interrupted.h5", 10, 100); // the weights of checkpoint-10.h5
    write_checkpoint("checkpoint-unknown.h5", -1, -1);
    write_checkpoint("other.h5", 3, 30);
    for (size_t slash = 0; slash < 2; slash++) {
        snprintf(folder, sizeof folder, "%s", scratch(""));
        folder[strlen(folder) - (slash == 0)] = '\0';
        TEST_OK(fim_study_trajectory(folder, &paths, &count));
        cr_assert(eq(sz, count, 4));
        for (size_t i = 0; i < count; i++) {
            TEST_TEXT(strrchr(paths[i], '/') + 1, want[i]);
            free(paths[i]);
        }
        free(paths);
    }
    count = 77;
    TEST_FAILS(fim_study_trajectory(scratch("nowhere"), &paths, &count), FIM_ERR_IO,
               "holds no checkpoint-*.h5");
    cr_assert(eq(sz, count, 77));
}

Test(trajectory, a_study_tells_when_its_checkpoints_were_written) {
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 1);
    fim_data data = test_inputs(&net, 12, 2);
    fim_study_options options = {.layers = "0", .seed = 1, .budget = SIZE_MAX};
    fim_method *methods = NULL;
    const fim_metric **metrics = NULL;
    fim_record report;
    fim_record_init(&report, "report");
    TEST_OK(fim_method_parse_list("kfac", &methods, &options.n_methods));
    TEST_OK(fim_metric_parse_list("frobenius_error", &metrics, &options.n_metrics));
    options.methods = methods;
    options.metrics = metrics;
    write_checkpoint("checkpoint-3.h5", 3, 41);
    TEST_OK(fim_study_network(&options, scratch("checkpoint-3.h5"), &net, &data, NULL, &report));
    TEST_OK(fim_study_network(&options, "not a file", &net, &data, NULL, &report));
    const fim_record *checkpoints = fim_record_child(&report, "checkpoints");
    const fim_value *epoch = fim_record_value(&checkpoints->children[0], "epoch"),
                    *iteration = fim_record_value(&checkpoints->children[0], "iteration");
    cr_assert(epoch != NULL && epoch->value == 3 && iteration != NULL && iteration->value == 41);
    cr_assert(fim_record_value(&checkpoints->children[1], "iteration") == NULL);
}
