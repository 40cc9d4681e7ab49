// Layers side by side: shares of work that are known by hand, and studies against those of one thread.
#include <string.h>

#include "fim/linalg.h"
#include "fim/run.h"
#include "networks.h"

static void setup(void) {
    fim_linalg_setup(1);
}
TestSuite(crew, .init = setup);

// ---- Shares of made-up plans ----

// Layers of so many seconds, `more` of them perhaps, and bytes, each in two rows behind its samples of 100
// bytes and a second.
static fim_study_shares share_uncertain(const double *seconds, const double *more, const size_t *bytes,
                                        size_t count, size_t threads, const fim_study_options *options) {
    fim_plan_row rows[30] = {{0}};
    fim_study_shares shares;
    cr_assert(3 * count <= 30);
    for (size_t i = 0; i < count; i++) {
        rows[3 * i] =
            (fim_plan_row){.layer = i, .quantity = "samples", .bytes = 100, .seconds = 1, .most = 1};
        rows[3 * i + 1] = (fim_plan_row){.layer = i,
                                         .quantity = "norm",
                                         .bytes = bytes[i],
                                         .seconds = seconds[i] / 4,
                                         .most = seconds[i] / 4};
        rows[3 * i + 2] = (fim_plan_row){.layer = i,
                                         .quantity = "kfac: build",
                                         .bytes = 1,
                                         .seconds = 0.75 * seconds[i],
                                         .most = 0.75 * seconds[i] + more[i]};
    }
    TEST_OK(fim_study_share(options, rows, 3 * count, threads, &shares));
    cr_assert(shares.count == count);
    return shares;
}

static fim_study_shares share(const double *seconds, const size_t *bytes, size_t count, size_t threads,
                              const fim_study_options *options) {
    static const double certain[10] = {0};
    return share_uncertain(seconds, certain, bytes, count, threads, options);
}

static const size_t same_bytes[6] = {10, 10, 10, 10, 10, 10};
static const fim_study_options roomy = {.budget = SIZE_MAX};

Test(crew, takes_the_longest_first) {
    static const double seconds[5] = {2, 7, 3, 6, 4}; // 7 + 3 + 2 and 6 + 4
    const fim_study_shares two = share(seconds, same_bytes, 5, 2, &roomy);
    static const size_t order[5] = {1, 3, 4, 2, 0};
    cr_assert(two.workers == 2);
    for (size_t i = 0; i < 5; i++)
        cr_assert(two.order[i] == order[i]);
    cr_assert(two.seconds == 5 + 2 * 12, "%g", two.seconds);
    const fim_study_shares one = share(seconds, same_bytes, 5, 1, &roomy);
    cr_assert(one.workers == 1 && one.seconds == 5 + 22);
    for (size_t i = 0; i < 5; i++)
        cr_assert(one.order[i] == i);
    free(two.order);
    free(one.order);
}

Test(crew, takes_what_may_take_long_with_the_longest) {
    static const double seconds[5] = {2, 7, 3, 6, 4}, more[5] = {8, 0, 0.5, 0, 0};
    const fim_study_shares shares = share_uncertain(seconds, more, same_bytes, 5, 2, &roomy);
    static const size_t order[5] = {0, 1, 3, 4, 2};
    cr_assert(shares.workers == 2);
    for (size_t i = 0; i < 5; i++)
        cr_assert(shares.order[i] == order[i]);
    cr_assert(shares.seconds == 5 + 2 * 11, "%g", shares.seconds); // as planned: 2 + 6 + 3 and 7 + 4
    free(shares.order);
}

Test(crew, keeps_threads_within_products_where_a_layer_dominates) {
    static const double seconds[3] = {1, 20, 1}; // 2 · 20 on one thread each, 22 / 1.4 with both
    const fim_study_shares shares = share(seconds, same_bytes, 3, 2, &roomy);
    cr_assert(shares.workers == 1 && shares.seconds == 3 + 22);
    free(shares.order);
}

Test(crew, stays_within_the_budget) {
    static const double seconds[4] = {5, 5, 5, 5};
    static const size_t bytes[4] = {100, 300, 200, 10};
    // All samples, and three times the largest objects of the two largest layers.
    const size_t need = 4 * 100 + 3 * 300 + 3 * 200;
    fim_study_options options = {.budget = need};
    fim_study_shares shares = share(seconds, bytes, 4, 2, &options);
    cr_assert(shares.workers == 2);
    free(shares.order);
    options.budget = need - 1;
    shares = share(seconds, bytes, 4, 2, &options);
    cr_assert(shares.workers == 1);
    free(shares.order);
}

Test(crew, captures_of_exact_samples_go_one_after_the_other) {
    static const double seconds[4] = {5, 5, 5, 5};
    fim_study_options options = {.budget = SIZE_MAX, .sampling_error = true, .fisher = {FIM_FISHER_MC, 1, 1}};
    fim_study_shares shares = share(seconds, same_bytes, 4, 2, &options);
    cr_assert(shares.workers == 1);
    free(shares.order);
    options.fisher.kind = FIM_FISHER_EXACT;
    shares = share(seconds, same_bytes, 4, 2, &options);
    cr_assert(shares.workers == 2);
    free(shares.order);
}

// ---- Studies ----

static const test_shape shape = {6, {7, 8, 8, 8, 8, 8, 7}, 0, FIM_ACTIVATION_TANH};
enum { ROWS = 40, LAYERS = 6 };

typedef struct watch {
    double last, total;
    size_t calls, stop_at; // 0: never
} watch;

static void see(void *context, const char *what, double done, double total) {
    watch *w = context;
    if (total != w->total) // the samples were captured before
        w->last = 0;
    cr_assert(what[0] != '\0' && done >= w->last && done <= total, "%s: %g after %g of %g", what, done,
              w->last, total);
    w->last = done;
    w->total = total;
    w->calls++;
}

static bool enough(void *context) {
    const watch *w = context;
    return w->stop_at > 0 && w->calls >= w->stop_at;
}

static fim_status study(size_t threads, watch *w, fim_record *report) {
    fim_net net = test_network(FIM_GAUSSIAN, &shape, 3);
    fim_data data = test_inputs(&net, ROWS, 2);
    fim_method *methods;
    const fim_metric **metrics;
    fim_study_options options = {.fisher = {FIM_FISHER_EXACT, 1, 1}, .budget = SIZE_MAX, .tolerance = 1e-10};
    options.spectra.flops = 1e9;
    TEST_OK(fim_method_parse_list("all", &methods, &options.n_methods));
    TEST_OK(fim_metric_parse_list("all", &metrics, &options.n_metrics));
    options.methods = methods;
    options.metrics = metrics;
    fim_record_init(report, "report");
    fim_linalg_product_threads(threads);
    const fim_monitor monitor = {w, see, NULL, enough};
    fim_status status = fim_study_network(&options, "some.h5", &net, &data, &monitor, report);
    cr_assert(fim_linalg_threads() == threads, "the threads of products are what they were");
    fim_linalg_product_threads(1);
    free(methods);
    free(metrics);
    fim_net_clear(&net);
    fim_data_clear(&data);
    return status;
}

static void assert_same(const fim_record *a, const fim_record *b) {
    cr_assert(strcmp(a->name, b->name) == 0 && a->n_values == b->n_values && a->n_curves == b->n_curves &&
              a->n_children == b->n_children);
    for (size_t i = 0; i < a->n_values; i++) {
        if (strcmp(a->values[i].name, "build_seconds") == 0)
            continue;
        cr_assert(memcmp(&a->values[i].value, &b->values[i].value, sizeof(double)) == 0,
                  "%s of %s: %.17g, %.17g", a->values[i].name, a->name, a->values[i].value,
                  b->values[i].value);
        cr_assert(strcmp(a->values[i].note, b->values[i].note) == 0);
    }
    for (size_t i = 0; i < a->n_curves; i++)
        cr_assert(gsl_vector_equal(a->curves[i].values, b->curves[i].values), "%s of %s", a->curves[i].name,
                  a->name);
    for (size_t i = 0; i < a->n_children; i++)
        assert_same(&a->children[i], &b->children[i]);
}

Test(crew, finds_what_one_thread_finds_bit_for_bit) {
    fim_record one, two, three;
    watch alone = {0}, both = {0}, all = {0};
    TEST_OK(study(1, &alone, &one));
    TEST_OK(study(2, &both, &two));
    TEST_OK(study(3, &all, &three));
    assert_same(&one, &two);
    assert_same(&one, &three);
    const fim_record *layer = &two.children[0].children[0].children[0].children[0];
    cr_assert(strcmp(layer->name, "0") == 0);
    cr_assert(strcmp(fim_record_value(&layer->children[0], "build_seconds")->note,
                     "on one thread, beside 1 other layer") == 0);
    cr_assert(both.last == both.total && both.total == alone.total && both.calls >= alone.calls);
    fim_record_clear(&one);
    fim_record_clear(&two);
    fim_record_clear(&three);
}

Test(crew, stops_where_the_user_says_so) {
    fim_record report;
    watch w = {.stop_at = 4};
    cr_assert(study(2, &w, &report) == FIM_CANCELLED);
    cr_assert(strncmp(fim_message(), "some.h5: layer ", 15) == 0 &&
                  strstr(fim_message(), "interrupted during") != NULL,
              "%s", fim_message());
    cr_assert(w.calls <= 6, "two layers at work take at most one more step each");
    fim_record_clear(&report);
}
