// Every registry walked on a small problem, and the same with every allocation made to fail in turn: a plain
// program, since a test framework that forks hides leaks. Run it in a sanitized build or under valgrind; on
// its own it checks that each failed allocation is reported as such and that nothing crashes.
//
// The linker sends the library's calls of calloc, realloc, strdup and of GSL's allocators through the
// functions __wrap_...; --wrap in meson.build names them.
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fim/fim.h"

// ---- The allocator that fails ----

static size_t allocations;        // since the last reset
static size_t fail_at = SIZE_MAX; // the number of the one that fails, from 0

static bool fails(void) {
    return allocations++ == fail_at;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

gsl_vector *__real_gsl_vector_calloc(size_t size);
gsl_vector *__wrap_gsl_vector_calloc(size_t size);
gsl_vector *__wrap_gsl_vector_calloc(size_t size) {
    return fails() ? NULL : __real_gsl_vector_calloc(size);
}

gsl_rng *__real_gsl_rng_alloc(const gsl_rng_type *type);
gsl_rng *__wrap_gsl_rng_alloc(const gsl_rng_type *type);
gsl_rng *__wrap_gsl_rng_alloc(const gsl_rng_type *type) {
    return fails() ? NULL : __real_gsl_rng_alloc(type);
}

// ---- A small problem ----

static char folder[] = "/tmp/fim-leak-XXXXXX";

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

enum { ROWS = 6 };
static const size_t widths[] = {3, 4, 2, 3};
static const fim_fisher_spec kinds[] = {
    {FIM_FISHER_EXACT, 1, 0}, {FIM_FISHER_MC, 3, 1}, {FIM_FISHER_EMPIRICAL, 1, 0}};

static fim_status make(fim_likelihood likelihood, fim_net *net, fim_data *data) {
    fim_net n = {0};
    fim_data d = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_net_init(&n, likelihood, widths, 3, FIM_ACTIVATION_TANH));
    FIM_TRY(fim_net_xavier(&n, 0.1, 1));
    FIM_TRY(fim_matrix_new(ROWS, widths[0], "inputs", &d.x));
    FIM_TRY(fim_matrix_new(ROWS, widths[3], "targets", &d.y));
    FIM_TRY(fim_alloc(ROWS, sizeof *d.labels, "labels", &d.labels));
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < widths[0]; i++)
            gsl_matrix_set(d.x, r, i, (double)(fim_seed_stream(2, r * 9 + i) % 1000) / 1000);
        d.labels[r] = (uint32_t)(r % widths[3]);
    }
    *net = n;
    *data = d;
    return FIM_OK;
out:
    fim_net_clear(&n);
    fim_data_clear(&d);
    return status;
}

// ---- The walks; each must release all it took, however far it came ----

static fim_status walk_networks(void) {
    fim_net net = {0}, copy = {0};
    fim_data data = {0}, subset = {0};
    fim_trace trace = {0};
    fim_status status = FIM_OK;
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++) {
        double loss;
        FIM_TRY(make(k, &net, &data));
        FIM_TRY(fim_net_copy(&net, &copy));
        FIM_TRY(fim_study_subset(&data, 3, 1, &subset));
        FIM_TRY(fim_trace_init(&trace, &copy, 3));
        FIM_TRY(fim_net_forward(&copy, subset.x, &trace));
        FIM_TRY(fim_net_gradient(&copy, &trace, &subset, 0, NULL, &loss));
        fim_net_clear(&net);
        fim_net_clear(&copy);
        fim_data_clear(&data);
        fim_data_clear(&subset);
        fim_trace_clear(&trace);
    }
out:
    fim_net_clear(&net);
    fim_net_clear(&copy);
    fim_data_clear(&data);
    fim_data_clear(&subset);
    fim_trace_clear(&trace);
    return status;
}

static fim_status walk_captures(void) {
    static const size_t layers[] = {0, 1, 2};
    fim_net net = {0};
    fim_data data = {0};
    fim_samples samples[3] = {{0}};
    fim_status status = FIM_OK;
    for (fim_likelihood k = 0; k < FIM_LIKELIHOOD_COUNT; k++)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            FIM_TRY(make(k, &net, &data));
            FIM_TRY(fim_fisher_capture(&net, &data, &kinds[i], layers, 3, SIZE_MAX, NULL, samples));
            for (size_t l = 0; l < 3; l++)
                fim_samples_clear(&samples[l]);
            fim_net_clear(&net);
            fim_data_clear(&data);
        }
out:
    fim_net_clear(&net);
    fim_data_clear(&data);
    for (size_t l = 0; l < 3; l++)
        fim_samples_clear(&samples[l]);
    return status;
}

static fim_status see_matrix(void *context, const char *name, const gsl_matrix *matrix) {
    gsl_matrix *copy = NULL;
    fim_status status = fim_matrix_copy(matrix, name, &copy);
    *(size_t *)context += status == FIM_OK ? copy->size1 : 0;
    gsl_matrix_free(copy);
    return status;
}

// Every way of solving with a block: directly, and by products alone.
static fim_status walk_solves(const fim_fisher *f) {
    fim_solver *solver = NULL;
    gsl_matrix *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "a gradient", &x));
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "a step", &y));
    gsl_matrix_set_all(x, 1);
    for (int free = 0; free < 2; free++) {
        const fim_solver_options options = {.budget = SIZE_MAX, .matrix_free = free};
        fim_solve_info info;
        FIM_TRY(fim_solver_new(f, &options, &solver));
        FIM_TRY(fim_solver_damp(solver, 0.1));
        FIM_TRY(fim_solver_damp(solver, 0.2));
        FIM_TRY(fim_solver_solve(solver, x, false, y, &info));
        fim_solver_free(solver);
        solver = NULL;
    }
out:
    fim_solver_free(solver);
    gsl_matrix_free(x);
    gsl_matrix_free(y);
    return status;
}

// Steps of a sum: in its eigenvectors, and by products alone.
static fim_status walk_steps(const fim_fisher *f, const fim_op *op, const gsl_matrix *gradient) {
    const double damping = 1e3;
    fim_steps *steps = NULL;
    gsl_matrix *values = NULL;
    gsl_vector *own = NULL;
    char notes[FIM_STEP_COUNT][200];
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(FIM_STEP_COUNT, 1, "step metrics", &values));
    FIM_TRY(fim_vector_new(1, "errors of divergences", &own));
    for (int free = 0; free < 2; free++) {
        const fim_steps_options options = {
            .damping = &damping, .count = 1, .budget = SIZE_MAX, .matrix_free = free};
        FIM_TRY(fim_steps_new(f, gradient, &options, &steps));
        FIM_TRY(fim_steps_measure(steps, op, values, own, notes));
        fim_steps_free(steps);
        steps = NULL;
    }
out:
    fim_steps_free(steps);
    gsl_matrix_free(values);
    gsl_vector_free(own);
    return status;
}

// Every method on the block, and every metric of it.
static fim_status walk_block(const fim_fisher *f) {
    const size_t d = fim_fisher_d_a(f) * fim_fisher_d_g(f);
    const fim_approx_options options = {.seed = 1};
    fim_method *methods = NULL;
    const fim_metric **metrics = NULL;
    size_t n_methods = 0, n_metrics = 0, rows = 0;
    fim_reference *reference = NULL;
    fim_candidate *candidate = NULL;
    fim_op *op = NULL;
    fim_inverse inverse = {0};
    gsl_matrix *dense = NULL, *x = NULL, *y = NULL;
    gsl_vector *sigma = NULL;
    char route[200];
    fim_status status = FIM_OK;
    FIM_TRY(fim_method_parse_list("all,kpsvd:3", &methods, &n_methods));
    FIM_TRY(fim_metric_parse_list("all", &metrics, &n_metrics));
    FIM_TRY(fim_reference_new(f, NULL, SIZE_MAX, 1, &reference));
    FIM_TRY(fim_matrix_new(d, d, "a dense matrix", &dense));
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "a gradient", &x));
    FIM_TRY(fim_matrix_new(fim_fisher_d_a(f), fim_fisher_d_g(f), "a step", &y));
    gsl_matrix_set_all(x, 1);
    FIM_TRY(fim_fisher_kronecker_values(f, SIZE_MAX, &sigma, route));
    for (size_t k = 0; k < n_methods; k++) {
        fim_approx_info info;
        FIM_TRY(fim_approx_build(&methods[k], f, &options, &op, &info));
        FIM_TRY(fim_op_dense(op, dense));
        FIM_TRY(fim_op_visit(op, see_matrix, &rows));
        const fim_inverse_options damped = {0.1, FIM_DAMPING_FACTOR, FIM_INDEFINITE_FALLBACK, 0};
        status = fim_inverse_init(op, &damped, &inverse);
        if (status == FIM_OK)
            FIM_TRY(fim_inverse_apply(&inverse, x, y));
        else if (status != FIM_ERR_UNAVAILABLE) // of three terms
            goto out;
        fim_inverse_clear(&inverse);
        if (strcmp(methods[k].name, "deflation") == 0)
            FIM_TRY(walk_steps(f, op, x));
        FIM_TRY(fim_candidate_new(reference, op, &candidate));
        for (size_t m = 0; m < n_metrics; m++) {
            double value;
            FIM_TRY(metrics[m]->evaluate(candidate, &value, route));
        }
        fim_candidate_free(candidate);
        fim_op_free(op);
        candidate = NULL;
        op = NULL;
    }
out:
    fim_candidate_free(candidate);
    fim_op_free(op);
    fim_reference_free(reference);
    fim_inverse_clear(&inverse);
    gsl_matrix_free(x);
    gsl_matrix_free(y);
    gsl_matrix_free(dense);
    gsl_vector_free(sigma);
    free(methods);
    free(metrics);
    return status;
}

static fim_status walk_blocks(void) {
    fim_net net = {0};
    fim_data data = {0};
    fim_samples samples = {0};
    fim_fisher *f = NULL;
    gsl_matrix *dense = NULL, *a = NULL, *g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(make(FIM_CATEGORICAL, &net, &data));
    for (size_t i = 0; i < 2; i++) { // exact keeps packed covariances here, mc:3 rows
        const size_t layer = i;
        FIM_TRY(fim_fisher_capture(&net, &data, &kinds[i], &layer, 1, SIZE_MAX, NULL, &samples));
        FIM_TRY(fim_fisher_new(&samples, &f));
        FIM_TRY(walk_block(f));
        FIM_TRY(walk_solves(f));
        const size_t d_a = samples.d_a, d_g = samples.d_g;
        FIM_TRY(fim_matrix_new(d_a * d_g, d_a * d_g, "a block", &dense));
        FIM_TRY(fim_matrix_new(d_a, d_a, "A", &a));
        FIM_TRY(fim_matrix_new(d_g, d_g, "G", &g));
        FIM_TRY(fim_fisher_dense(f, dense));
        FIM_TRY(fim_fisher_moments(f, a, g));
        fim_fisher_free(f);
        f = NULL;
        gsl_matrix *taken[3] = {dense, a, g};
        dense = a = g = NULL;
        FIM_TRY(fim_fisher_new_dense(taken[0], d_a, d_g, ROWS, taken[1], taken[2], &f));
        FIM_TRY(walk_block(f));
        FIM_TRY(walk_solves(f));
        fim_fisher_free(f);
        f = NULL;
        fim_samples_clear(&samples);
    }
out:
    gsl_matrix_free(dense);
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    fim_fisher_free(f);
    fim_samples_clear(&samples);
    fim_net_clear(&net);
    fim_data_clear(&data);
    return status;
}

// A study of a network, written and read back, and shown in every form.
static fim_status walk_study(void) {
    fim_net net = {0};
    fim_data data = {0};
    fim_method *methods = NULL;
    const fim_metric **metrics = NULL;
    static const double damping[] = {0.1, 1};
    fim_study_options options = {.layers = "0,2",
                                 .damping = damping,
                                 .n_damping = 2,
                                 .seed = 1,
                                 .budget = SIZE_MAX,
                                 .factors = true,
                                 .fisher = {FIM_FISHER_MC, 1, 1},
                                 .sampling_error = true,
                                 .repeats = 2};
    fim_record report, again;
    fim_record_init(&report, "report");
    fim_record_init(&again, "");
    fim_status status = FIM_OK;
    FIM_TRY(make(FIM_BERNOULLI, &net, &data));
    FIM_TRY(fim_method_parse_list("kfac,ekfac,lanczos", &methods, &options.n_methods));
    FIM_TRY(fim_metric_parse_list("frobenius_error,min_eigenvalue", &metrics, &options.n_metrics));
    options.methods = methods;
    options.metrics = metrics;
    FIM_TRY(fim_study_network(&options, "net", &net, &data, NULL, &report));
    FIM_TRY(fim_record_write(&report, "fim-report", in_folder("report.h5"), true));
    FIM_TRY(fim_record_read(in_folder("report.h5"), "fim-report", SIZE_MAX, &again));
    static fim_status (*const show[])(const fim_record *record,
                                      char **out) = {fim_report_table, fim_report_csv, fim_report_json};
    for (size_t i = 0; i < sizeof show / sizeof *show; i++) {
        char *text = NULL;
        FIM_TRY(show[i](&again, &text));
        free(text);
    }
out:
    fim_record_clear(&report);
    fim_record_clear(&again);
    free(methods);
    free(metrics);
    fim_net_clear(&net);
    fim_data_clear(&data);
    return status;
}

static fim_status walk_files(void) {
    fim_net net = {0}, net_again = {0};
    fim_data data = {0}, data_again = {0};
    fim_status status = FIM_OK;
    FIM_TRY(make(FIM_GAUSSIAN, &net, &data));
    FIM_TRY(fim_checkpoint_write(&net, NULL, in_folder("net.h5"), true));
    FIM_TRY(fim_checkpoint_read(in_folder("net.h5"), SIZE_MAX, &net_again));
    FIM_TRY(fim_data_write(&data, in_folder("data.h5"), true));
    FIM_TRY(fim_data_read(in_folder("data.h5"), NULL, SIZE_MAX, &data_again));
out:
    fim_net_clear(&net);
    fim_net_clear(&net_again);
    fim_data_clear(&data);
    fim_data_clear(&data_again);
    return status;
}

// Checkpoints of other programs, and ours as theirs.
static fim_status walk_foreign(void) {
    static const struct {
        const char *file;
        bool told; // by the file
    } files[] = {
        {"classifier.safetensors", false}, {"classifier-training.pt", false}, {"norm.pt", false},
        {"classifier.npz", false},         {"classifier.npy", false},         {"classifier-keras.h5", true},
        {"classifier.keras", true},        {"classifier.weights.h5", false},
#ifdef FIM_HAVE_ONNX
        {"exported.onnx", true},
#endif
    };
    static const char *const formats[] = {"safetensors", "npz", "torch"};
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "categorical"};
    fim_checkpoint checkpoint = {0};
    fim_status status = FIM_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", TEST_DATA, files[i].file);
        FIM_TRY(fim_checkpoint_load(path, SIZE_MAX, files[i].told ? NULL : &options, &checkpoint));
        if (i < sizeof formats / sizeof *formats)
            FIM_TRY(fim_checkpoint_export(&checkpoint.net, formats[i], in_folder("foreign"), true));
        fim_checkpoint_clear(&checkpoint);
    }
out:
    fim_checkpoint_clear(&checkpoint);
    return status;
}

// What is refused: the clean-up of every constructor that takes matrices over, and of every check.
static fim_status walk_refusals(void) {
    static const size_t turned[] = {1, 0};
    fim_net net = {0};
    fim_data data = {0};
    fim_samples samples[2] = {{0}};
    fim_op *op = NULL;
    fim_fisher *f = NULL;
    fim_method *methods = NULL;
    const fim_metric **metrics = NULL;
    gsl_matrix *a[2] = {NULL, NULL}, *g[2] = {NULL, NULL}, *dense = NULL;
    size_t count, wrong = 0;
    fim_status status = FIM_OK;
    FIM_TRY(make(FIM_CATEGORICAL, &net, &data));
    wrong += fim_fisher_capture(&net, &data, &kinds[0], turned, 2, SIZE_MAX, NULL, samples) == FIM_OK;
    wrong += fim_fisher_capture(&net, &data, &kinds[0], turned, 1, 10, NULL, samples) == FIM_OK;
    gsl_matrix_set(data.x, 1, 1, nan(""));
    wrong += fim_fisher_capture(&net, &data, &kinds[0], turned, 1, SIZE_MAX, NULL, samples) == FIM_OK;
    wrong += fim_method_parse_list("kfac,kfax", &methods, &count) == FIM_OK;
    wrong += fim_metric_parse_list("bytes,bits", &metrics, &count) == FIM_OK;
    for (size_t k = 0; k < 2; k++) {
        FIM_TRY(fim_matrix_new(3, 3 + k, "a factor", &a[k]));
        FIM_TRY(fim_matrix_new(2, 2, "a factor", &g[k]));
    }
    wrong += fim_op_new_kronecker(2, a, g, &op) == FIM_OK; // freed by the constructor
    a[0] = a[1] = g[0] = g[1] = NULL;
    FIM_TRY(fim_matrix_new(6, 6, "a block", &dense));
    gsl_matrix_set(dense, 0, 5, 1);
    wrong += fim_fisher_new_dense(dense, 3, 2, 1, NULL, NULL, &f) == FIM_OK;
    dense = NULL;
    wrong += fim_checkpoint_read(in_folder("nothing.h5"), SIZE_MAX, &net) == FIM_OK;
    if (wrong > 0)
        status = FIM_FAIL(FIM_ERR_VALUE, "%zu of the refusals did not come", wrong);
out:
    for (size_t k = 0; k < 2; k++) {
        gsl_matrix_free(a[k]);
        gsl_matrix_free(g[k]);
    }
    gsl_matrix_free(dense);
    fim_net_clear(&net);
    fim_data_clear(&data);
    return status;
}

// Every kind of optimizer, in both precisions, stopped and taken up again.
static fim_status walk_training(void) {
    static const char *const optimizers[] = {"adam", "ekfac", "kfac-corrected", "exact"};
    fim_net net = {0};
    fim_data data = {0};
    fim_record log;
    fim_status status = FIM_OK;
    FIM_TRY(make(FIM_GAUSSIAN, &net, &data));
    for (size_t k = 0; k < sizeof optimizers / sizeof *optimizers; k++) {
        fim_train_options o = fim_train_defaults();
        o.optimizer = optimizers[k];
        o.float64 = k % 2 == 1;
        o.batch = 4;
        o.statistics_every = 2;
        o.inverse.damping = 0.1;
        o.folder = folder;
        for (o.epochs = 1; o.epochs <= 2; o.epochs++) {
            o.overwrite = o.epochs == 1;
            o.resume = o.epochs == 2;
            status = fim_train(&net, &data, &data, &o, NULL, NULL, NULL, NULL, &log);
            fim_record_clear(&log);
            if (status != FIM_OK)
                goto out;
        }
    }
out:
    fim_net_clear(&net);
    fim_data_clear(&data);
    return status;
}

// Logs made once, by training that may not fail.
static fim_record logs[2];

static fim_status make_logs(void) {
    static const char *const optimizers[] = {"sgd", "kfac"};
    fim_status status = FIM_OK;
    for (size_t k = 0; k < 2 && status == FIM_OK; k++) {
        fim_net net = {0};
        fim_data data = {0};
        fim_train_options o = fim_train_defaults();
        o.optimizer = optimizers[k];
        o.inverse.damping = 0.1;
        o.epochs = 2;
        o.seed = 1 + k % 2;
        status = make(FIM_GAUSSIAN, &net, &data);
        if (status == FIM_OK)
            status = fim_train(&net, &data, &data, &o, NULL, NULL, NULL, NULL, &logs[k]);
        fim_net_clear(&net);
        fim_data_clear(&data);
    }
    return status;
}

static fim_status walk_comparison(void) {
    static fim_status (*const show[])(const fim_record *l, size_t n, const char *reference, char **out) = {
        fim_report_comparison, fim_report_comparison_csv, fim_report_comparison_json};
    fim_status status = FIM_OK;
    for (size_t i = 0; i < sizeof show / sizeof *show && status == FIM_OK; i++) {
        char *text = NULL;
        status = show[i](logs, 2, NULL, &text);
        free(text);
    }
    return status;
}

// Verdicts on the same runs, and on a report that is none along training.
static fim_status walk_reproduction(void) {
    static fim_status (*const show[])(const fim_reproduction *r, size_t n, const fim_paper *p,
                                      char **out) = {fim_reproduction_csv, fim_reproduction_table};
    static struct fim_paper_fact facts[] = {
        {"curves", "loss_per_output", "sgd", 1, 0.3},   {"curves", "loss_per_output", "kfac", 2, 0.3},
        {"curves", "train_samples", "", NAN, 12},       {"curves", "batch", "", NAN, 4},
        {"curves", "seconds_per_epoch", "sgd", NAN, 1}, {"curves", "seconds_per_epoch", "kfac", NAN, 2}};
    const fim_paper paper = {sizeof facts / sizeof *facts, facts};
    const fim_reproduction r = {.net = "curves", .logs = logs, .n_logs = 2};
    fim_status status = FIM_OK;
    for (size_t i = 0; i < sizeof show / sizeof *show && status == FIM_OK; i++) {
        char *text = NULL;
        status = show[i](&r, 1, &paper, &text);
        free(text);
    }
    return status;
}

// ---- The program ----

// All allocations, or about `most` of them spread evenly, fail one at a time; each failure must be reported
// as what it is. Returns the number of complaints.
static size_t fail_in_turn(const char *name, fim_status (*walk)(void), size_t most) {
    size_t complaints = 0, failures = 0;
    allocations = 0;
    fail_at = SIZE_MAX;
    fim_status status = walk();
    const size_t total = allocations, step = total / most + 1;
    if (status != FIM_OK) {
        printf("%s: %s\n", name, fim_message());
        return 1;
    }
    for (size_t at = 0; at < total; at += step, failures++) {
        allocations = 0;
        fail_at = at;
        status = walk();
        if (status != FIM_ERR_MEMORY) {
            printf("%s: allocation %zu of %zu failed, and the status was '%s' (%s)\n", name, at, total,
                   fim_status_text(status), fim_message());
            complaints++;
        }
    }
    fail_at = SIZE_MAX;
    printf("%s: %zu allocations, %zu made to fail\n", name, total, failures);
    return complaints;
}

int main(void) {
    fim_linalg_setup(1);
    fim_io_setup();
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    size_t complaints = fail_in_turn("networks", walk_networks, 1000);
    complaints += fail_in_turn("captures", walk_captures, 300);
    complaints += fail_in_turn("blocks", walk_blocks, 300);
    complaints += fail_in_turn("study", walk_study, 100);
    complaints += fail_in_turn("files", walk_files, 200);
    fim_io_sandbox(false); // the readers' own allocations
    complaints += fail_in_turn("files read in this process", walk_files, 200);
    complaints += fail_in_turn("files of other programs", walk_foreign, 120);
    complaints += fail_in_turn("training", walk_training, 40);
    if (make_logs() != FIM_OK) {
        printf("comparison: %s\n", fim_message());
        complaints++;
    } else {
        complaints += fail_in_turn("comparison", walk_comparison, 1000);
        complaints += fail_in_turn("reproduction", walk_reproduction, 200);
    }
    for (size_t k = 0; k < 2; k++)
        fim_record_clear(&logs[k]);
    if (walk_refusals() != FIM_OK) {
        printf("refusals: %s\n", fim_message());
        complaints++;
    }
    static const char *const left[] = {"report.h5", "foreign",  "net.h5",          "data.h5",
                                       "run.h5",    "state.h5", "checkpoint-1.h5", "checkpoint-2.h5"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        unlink(in_folder(left[i]));
    if (rmdir(folder) != 0) {
        printf("%s is not empty: a failed writer left a file behind\n", folder);
        complaints++;
    }
    return complaints > 0;
}
