// Training against plain steps, closed forms and itself; what it leaves behind when it ends well, is
// interrupted, or diverges.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_linalg.h>

#include "training.h"

TestSuite(train, .init = setup, .fini = teardown);

// The gradient of the mean loss over all data divided by `divisor`, as one list of numbers.
static void full_gradient(const fim_net *net, double divisor, double *out) {
    fim_trace trace = {0};
    gsl_matrix *grads[3];
    double loss;
    TEST_OK(fim_trace_init(&trace, net, N));
    TEST_OK(fim_net_forward(net, data.x, &trace));
    for (size_t l = 0; l < net->n_layers; l++)
        grads[l] = gsl_matrix_alloc(net->layers[l].w->size1, net->layers[l].w->size2);
    TEST_OK(fim_net_gradient(net, &trace, &data, 0, grads, &loss));
    for (size_t l = 0, p = 0; l < net->n_layers; l++) {
        for (size_t k = 0; k < grads[l]->size1 * grads[l]->size2; k++)
            out[p++] = grads[l]->data[k] / divisor;
        gsl_matrix_free(grads[l]);
    }
    fim_trace_clear(&trace);
}

static double *parameter(fim_net *net, size_t p) {
    size_t l = 0;
    for (; p >= net->layers[l].w->size1 * net->layers[l].w->size2; l++)
        p -= net->layers[l].w->size1 * net->layers[l].w->size2;
    return &net->layers[l].w->data[p];
}

enum { P = (D + 1) * 5 + 6 * 3 + 4 * K, STEPS = 3 }; // parameters of the deep network

Test(train, sgd_steps_are_those_of_the_formula) {
    for (int mean = 0; mean < 2; mean++) {
        fim_net got = make_net(deep, 3), want = make_net(deep, 3);
        fim_train_options o = defaults();
        o.optimizer = "sgd";
        o.learning_rate = 0.1;
        o.momentum = 0.8;
        o.mean_outputs = mean == 1;
        o.batch = N; // one step an epoch
        o.epochs = STEPS;
        TEST_OK(train_plainly(&got, &o));
        double velocity[P] = {0}, g[P];
        for (size_t step = 0; step < STEPS; step++) {
            full_gradient(&want, mean == 1 ? K / 2.0 : 1, g); // the mean of squares has no ½
            for (size_t p = 0; p < P; p++) {
                velocity[p] = 0.8 * velocity[p] + g[p];
                *parameter(&want, p) -= 0.1 * velocity[p];
            }
        }
        cr_assert(epsilon_eq(dbl, net_difference(&got, &want), 0, 1e-14));
        fim_net_clear(&got);
        fim_net_clear(&want);
    }
}

Test(train, adam_steps_are_those_of_the_formula) {
    fim_net got = make_net(deep, 3), want = make_net(deep, 3);
    fim_train_options o = defaults();
    o.learning_rate = 0.01;
    o.batch = 10 * N; // more than there are
    o.epochs = STEPS;
    TEST_OK(train_plainly(&got, &o));
    double m[P] = {0}, v[P] = {0}, g[P];
    for (int step = 1; step <= STEPS; step++) {
        full_gradient(&want, K / 2.0, g);
        for (size_t p = 0; p < P; p++) {
            m[p] = 0.9 * m[p] + 0.1 * g[p];
            v[p] = 0.999 * v[p] + 0.001 * g[p] * g[p];
            double m_hat = m[p] / (1 - pow(0.9, step)), v_hat = v[p] / (1 - pow(0.999, step));
            *parameter(&want, p) -= 0.01 * m_hat / (sqrt(v_hat) + 1e-8);
        }
    }
    cr_assert(epsilon_eq(dbl, net_difference(&got, &want), 0, 1e-13));
    fim_net_clear(&got);
    fim_net_clear(&want);
}

// Heavy ball in Nesterov's form, decay beside the gradient, and a rate that follows a schedule by the share
// of epochs done.
Test(train, nesterov_decay_and_schedules_are_those_of_the_formulas) {
    for (fim_schedule schedule = FIM_SCHEDULE_CONSTANT; schedule <= FIM_SCHEDULE_EXPONENTIAL; schedule++)
        for (int nesterov = 0; nesterov < 2; nesterov++) {
            fim_net got = make_net(deep, 3), want = make_net(deep, 3);
            fim_train_options o = defaults();
            o.optimizer = "sgd";
            o.learning_rate = 0.1;
            o.nesterov = nesterov == 1;
            o.weight_decay = 0.02;
            o.schedule = schedule;
            o.schedule_factor = 0.7;
            o.mean_outputs = false;
            o.batch = N;
            o.epochs = STEPS;
            TEST_OK(train_plainly(&got, &o));
            double velocity[P] = {0}, g[P];
            for (int step = 0; step < STEPS; step++) {
                const double rates[] = {0.1, 0.05 * (1 + cos(M_PI * step / STEPS)), 0.1 * pow(0.7, step)};
                full_gradient(&want, 1, g);
                for (size_t p = 0; p < P; p++) {
                    const double move = g[p] + 0.02 * *parameter(&want, p);
                    velocity[p] = 0.9 * velocity[p] + move;
                    *parameter(&want, p) -=
                        rates[schedule] * (nesterov ? move + 0.9 * velocity[p] : velocity[p]);
                }
            }
            cr_assert(epsilon_eq(dbl, net_difference(&got, &want), 0, 1e-14), "schedule %d", (int)schedule);
            fim_net_clear(&got);
            fim_net_clear(&want);
        }
}

Test(train, float32_follows_float64) {
    for (int adam = 0; adam < 2; adam++) {
        fim_net nets[2];
        fim_train_options o = defaults();
        o.optimizer = adam ? "adam" : "sgd";
        o.batch = 8;
        o.epochs = 3;
        for (size_t k = 0; k < 2; k++) {
            nets[k] = make_net(deep, 3);
            o.float64 = k == 0;
            TEST_OK(train_plainly(&nets[k], &o));
        }
        const double difference = net_difference(&nets[0], &nets[1]);
        cr_assert(difference > 0 && difference < 1e-4, "%s: %.1e", o.optimizer, difference);
        fim_net_clear(&nets[0]);
        fim_net_clear(&nets[1]);
    }
}

Test(train, linear_regression_ends_at_least_squares) {
    fim_net net = make_net(shallow, 1);
    fim_train_options o = defaults();
    o.optimizer = "sgd";
    o.batch = N;
    o.epochs = 400;
    TEST_OK(train_plainly(&net, &o));
    // The normal equations of [W b].
    gsl_matrix *a = gsl_matrix_alloc(N, D + 1), *normal = gsl_matrix_alloc(D + 1, D + 1);
    gsl_matrix *right = gsl_matrix_alloc(D + 1, K);
    gsl_matrix_set_all(a, 1);
    gsl_matrix_view inputs = gsl_matrix_submatrix(a, 0, 0, N, D);
    gsl_matrix_memcpy(&inputs.matrix, data.x);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, a, a, 0, normal);
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, a, data.y, 0, right);
    gsl_linalg_cholesky_decomp1(normal);
    for (size_t k = 0; k < K; k++) {
        gsl_vector_view b = gsl_matrix_column(right, k), w = gsl_matrix_row(net.layers[0].w, k);
        gsl_linalg_cholesky_svx(normal, &b.vector);
        for (size_t i = 0; i <= D; i++)
            cr_assert(epsilon_eq(dbl, gsl_vector_get(&w.vector, i), gsl_vector_get(&b.vector, i), 1e-8),
                      "weight %zu of output %zu", i, k);
    }
    gsl_matrix_free(a);
    gsl_matrix_free(normal);
    gsl_matrix_free(right);
    fim_net_clear(&net);
}

Test(train, minibatches_of_adam_fit_a_teacher) {
    fim_net teacher = make_net(deep, 3), net = make_net(deep, 3);
    fim_trace trace = {0};
    TEST_OK(fim_net_xavier(&teacher, 0.3, 100));
    TEST_OK(fim_trace_init(&trace, &teacher, N));
    TEST_OK(fim_net_forward(&teacher, data.x, &trace));
    gsl_matrix_memcpy(data.y, trace.s[2]);
    fim_record log;
    fim_train_options o = defaults();
    o.learning_rate = 0.01;
    o.batch = 8;
    o.epochs = 300;
    TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    const gsl_vector *loss = fim_record_curve(&log, "loss")->values;
    cr_assert(gsl_vector_get(loss, 299) < 0.01 * gsl_vector_get(loss, 0), "from %g to %g only",
              gsl_vector_get(loss, 0), gsl_vector_get(loss, 299));
    fim_record_clear(&log);
    fim_trace_clear(&trace);
    fim_net_clear(&teacher);
    fim_net_clear(&net);
}

Test(train, a_seed_gives_the_same_bits) {
    fim_net nets[3];
    fim_train_options o = defaults();
    o.batch = 7;
    o.epochs = 3;
    for (size_t k = 0; k < 3; k++) {
        nets[k] = make_net(deep, 3);
        o.seed = k < 2 ? 5 : 6;
        TEST_OK(train_plainly(&nets[k], &o));
    }
    cr_assert(eq(dbl, net_difference(&nets[0], &nets[1]), 0));
    cr_assert(net_difference(&nets[0], &nets[2]) > 0, "seeds 5 and 6 shuffle alike");
    for (size_t k = 0; k < 3; k++)
        fim_net_clear(&nets[k]);
}

static fim_status count_epochs(void *context, const fim_train_epoch *e) {
    size_t *count = context;
    cr_assert(eq(sz, e->epoch, ++*count));
    return *count < 3 ? FIM_OK : FIM_FAIL(FIM_ERR_IO, "the listener is gone");
}

Test(train, log_holds_the_losses_of_all_samples) {
    // Steps too small to change anything: every loss is that of the network as it was.
    fim_net net = make_net(deep, 3);
    fim_trace trace = {0};
    double want;
    TEST_OK(fim_trace_init(&trace, &net, N));
    TEST_OK(fim_net_forward(&net, data.x, &trace));
    TEST_OK(fim_net_gradient(&net, &trace, &data, 0, NULL, &want));
    fim_record log;
    fim_train_options o = defaults();
    o.learning_rate = 1e-300;
    o.batch = 8; // three full batches and one of six
    o.epochs = 2;
    TEST_OK(fim_train(&net, &data, &data, &o, NULL, NULL, NULL, NULL, &log));
    for (size_t e = 0; e < 2; e++) {
        cr_assert(eq(dbl, gsl_vector_get(fim_record_curve(&log, "epoch")->values, e), (double)e + 1));
        cr_assert(eq(dbl, gsl_vector_get(fim_record_curve(&log, "iterations")->values, e), 4));
        cr_assert(epsilon_eq(dbl, gsl_vector_get(fim_record_curve(&log, "loss")->values, e), want, 1e-13));
        cr_assert(epsilon_eq(dbl, gsl_vector_get(fim_record_curve(&log, "loss_per_output")->values, e),
                             want / K, 1e-13));
        cr_assert(epsilon_eq(dbl, gsl_vector_get(fim_record_curve(&log, "validation_loss")->values, e), want,
                             1e-13));
        cr_assert(gsl_vector_get(fim_record_curve(&log, "seconds")->values, e) >= 0);
    }
    cr_assert(strcmp(fim_record_text(&log, "optimizer"), "adam") == 0);
    cr_assert(eq(dbl, fim_record_value(&log, "batch")->value, 8));
    fim_record_clear(&log);
    fim_trace_clear(&trace);
    fim_net_clear(&net);
}

Test(train, files_are_what_the_log_says) {
    fim_net net = make_net(deep, 3), read = {0};
    char path[128];
    fim_record log, stored, provenance;
    fim_record_init(&provenance, "provenance");
    TEST_OK(fim_record_set_text(&provenance, "tool", "test"));
    fim_train_options o = defaults();
    o.epochs = 5;
    o.checkpoint_every = 2;
    o.folder = folder;
    TEST_OK(fim_train(&net, &data, NULL, &o, &provenance, NULL, NULL, NULL, &log));
    cr_assert(eq(sz, files_in_folder(), 5));
    static const char *const names[] = {"checkpoint-2.h5", "checkpoint-4.h5", "checkpoint-5.h5"};
    for (size_t k = 0; k < 3; k++) {
        char key[32];
        snprintf(key, sizeof key, "checkpoint_%zu", k);
        cr_assert(strcmp(fim_record_text(&log, key), in_folder(names[k], path)) == 0, "%s", path);
    }
    TEST_OK(fim_checkpoint_read(in_folder("checkpoint-5.h5", path), SIZE_MAX, &read));
    cr_assert(eq(dbl, net_difference(&net, &read), 0));
    TEST_OK(fim_record_read(in_folder("run.h5", path), "fim-run", SIZE_MAX, &stored));
    const gsl_vector *a = fim_record_curve(&log, "loss")->values,
                     *b = fim_record_curve(&stored, "loss")->values;
    cr_assert(a->size == 5 && b->size == 5 && gsl_vector_equal(a, b));
    cr_assert(strcmp(fim_record_text(&stored, "tool"), "test") == 0);
    cr_assert(strcmp(fim_record_text(&stored, "likelihood"), "gaussian") == 0);
    fim_record_clear(&log);
    // A second run does not overwrite the first unless asked to.
    TEST_FAILS(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log), FIM_ERR_IO, "run.h5");
    fim_record_clear(&log);
    o.overwrite = true;
    TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    fim_record_clear(&log);
    fim_record_clear(&stored);
    fim_record_clear(&provenance);
    fim_net_clear(&net);
    fim_net_clear(&read);
}

Test(train, checkpoints_of_iterations_are_those_of_epochs_where_these_meet) {
    fim_net net = make_net(deep, 3), at_iteration = {0}, at_epoch = {0};
    static const size_t wanted[] = {0, 3, 4};
    char path[128];
    fim_record log;
    fim_train_options o = defaults();
    fim_net start = make_net(deep, 3);
    o.batch = N / 2; // an epoch of two iterations
    o.epochs = 2;
    o.checkpoint_every = 1;
    o.checkpoint_at = wanted;
    o.n_checkpoint_at = 3;
    o.folder = folder;
    TEST_OK(fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log));
    TEST_OK(fim_checkpoint_read(in_folder("checkpoint-iteration-0.h5", path), SIZE_MAX, &at_iteration));
    cr_assert(net_difference(&start, &at_iteration) < 1e-6, "float32 holds the start");
    fim_net_clear(&at_iteration);
    TEST_OK(fim_checkpoint_read(in_folder("checkpoint-iteration-4.h5", path), SIZE_MAX, &at_iteration));
    TEST_OK(fim_checkpoint_read(in_folder("checkpoint-2.h5", path), SIZE_MAX, &at_epoch));
    cr_assert(eq(dbl, net_difference(&at_epoch, &at_iteration), 0));
    fim_net_clear(&at_iteration);
    TEST_OK(fim_checkpoint_read(in_folder("checkpoint-iteration-3.h5", path), SIZE_MAX, &at_iteration));
    cr_assert(net_difference(&at_epoch, &at_iteration) > 0);
    fim_record_clear(&log);
    fim_net_clear(&net);
    fim_net_clear(&start);
    fim_net_clear(&at_iteration);
    fim_net_clear(&at_epoch);
}

Test(train, divergence_names_the_last_good_checkpoint) {
    // Linear, so that the error grows by the same large factor every step and overflows after some epochs.
    fim_net net = make_net(shallow, 1);
    char path[128], part[200];
    fim_record log, stored;
    fim_train_options o = defaults();
    o.optimizer = "sgd";
    o.momentum = 0;
    o.learning_rate = 1e45;
    o.batch = N / 2;
    o.epochs = 20;
    o.checkpoint_every = 1;
    o.folder = folder;
    fim_status status = fim_train(&net, &data, NULL, &o, NULL, NULL, NULL, NULL, &log);
    cr_assert(status == FIM_ERR_NUMERIC, "%s", fim_status_text(status));
    size_t done = fim_record_curve(&log, "loss")->values->size;
    cr_assert(done > 0 && done < 10, "diverged after %zu epochs", done);
    snprintf(part, sizeof part, "%s/checkpoint-%zu.h5", folder, done);
    cr_assert(strstr(fim_message(), part) != NULL, "%s", fim_message());
    snprintf(part, sizeof part, "in epoch %zu, iteration ", done + 1);
    cr_assert(strstr(fim_message(), part) != NULL, "%s", fim_message());
    TEST_OK(fim_record_read(in_folder("run.h5", path), "fim-run", SIZE_MAX, &stored));
    cr_assert(eq(sz, fim_record_curve(&stored, "loss")->values->size, done));
    fim_record_clear(&stored);
    fim_record_clear(&log);
    fim_net_clear(&net);

    net = make_net(shallow, 1);
    o.learning_rate = 1e300;
    o.folder = NULL;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_NUMERIC, "no checkpoint was written before");
    fim_net_clear(&net);
}

static bool stop_at_nine(void *context) {
    size_t *asked = context;
    return ++*asked == 9;
}

Test(train, interruption_keeps_weights_and_log) {
    fim_net net = make_net(deep, 3), read = {0};
    char path[128];
    size_t asked = 0;
    fim_monitor monitor = {.context = &asked, .cancelled = stop_at_nine};
    fim_record log, stored;
    fim_train_options o = defaults();
    o.batch = N / 2; // two iterations an epoch: the ninth is in epoch 5
    o.folder = folder;
    TEST_FAILS(fim_train(&net, &data, NULL, &o, NULL, &monitor, NULL, NULL, &log), FIM_CANCELLED,
               in_folder("checkpoint-interrupted.h5", path));
    cr_assert(strstr(fim_message(), "interrupted in epoch 5") != NULL, "%s", fim_message());
    TEST_OK(fim_checkpoint_read(path, SIZE_MAX, &read));
    cr_assert(eq(dbl, net_difference(&net, &read), 0));
    TEST_OK(fim_record_read(in_folder("run.h5", path), "fim-run", SIZE_MAX, &stored));
    cr_assert(eq(sz, fim_record_curve(&stored, "loss")->values->size, 4));
    cr_assert(eq(sz, fim_record_curve(&log, "loss")->values->size, 4));
    cr_assert(eq(sz, files_in_folder(), 3));
    fim_record_clear(&stored);
    fim_record_clear(&log);
    fim_net_clear(&net);
    fim_net_clear(&read);
}

Test(train, a_listener_that_fails_ends_the_training) {
    fim_net net = make_net(deep, 3);
    fim_record log;
    size_t count = 0;
    fim_train_options o = defaults();
    TEST_FAILS(fim_train(&net, &data, NULL, &o, NULL, NULL, count_epochs, &count, &log), FIM_ERR_IO,
               "listener is gone");
    cr_assert(eq(sz, fim_record_curve(&log, "loss")->values->size, 3));
    fim_record_clear(&log);
    fim_net_clear(&net);
}

Test(train, what_cannot_be_trained_is_refused_before_anything_is_written) {
    fim_net net = make_net(deep, 3), before = {0};
    fim_record log;
    TEST_OK(fim_net_copy(&net, &before));
    const fim_train_options good = defaults();
    fim_train_options o = good;
    o.optimizer = "sdg";
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_UNKNOWN, "'sdg' (known: sgd, adam, exact, ");
    o = good;
    o.batch = 0;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "at least one sample");
    o = good;
    o.learning_rate = NAN;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT, "the learning rate is nan");
    o = good;
    o.momentum = 1;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_ARGUMENT,
               "momentum is 1, expected a finite number that is not negative and lies below 1");
    o = good;
    o.budget = 1000;
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_BUDGET, "use a smaller batch");
    o = good;
    o.folder = "/dev/null/runs";
    TEST_FAILS(train_plainly(&net, &o), FIM_ERR_IO, "/dev/null");
    fim_data narrow = {.x = data.y, .y = data.y}, targets = {.x = data.x, .y = data.x};
    TEST_FAILS(fim_train(&net, &narrow, NULL, &good, NULL, NULL, NULL, NULL, &log), FIM_ERR_SHAPE,
               "training data: samples have 2 numbers, the network takes 4");
    TEST_FAILS(fim_train(&net, &data, &narrow, &good, NULL, NULL, NULL, NULL, &log), FIM_ERR_SHAPE,
               "validation data");
    TEST_FAILS(fim_train(&net, &targets, NULL, &good, NULL, NULL, NULL, NULL, &log), FIM_ERR_SHAPE,
               "training data: targets y are (30, 4)");
    cr_assert(eq(dbl, net_difference(&net, &before), 0));
    cr_assert(eq(sz, files_in_folder(), 0));
    fim_net_clear(&net);
    fim_net_clear(&before);
}

Test(train, presets_are_the_papers_auto_encoders) {
    fim_net_spec spec;
    TEST_OK(fim_net_spec_parse("curves", &spec));
    cr_assert(spec.n_layers == 12 && spec.widths[6] == 6 && spec.widths[12] == 784 && spec.batch == 256);
    cr_assert(spec.likelihood == FIM_BERNOULLI);
    TEST_OK(fim_net_spec_parse("mnist", &spec));
    cr_assert(spec.n_layers == 8 && spec.widths[4] == 30 && spec.widths[1] == 1000 && spec.batch == 512);
    TEST_OK(fim_net_spec_parse("faces", &spec));
    cr_assert(spec.likelihood == FIM_GAUSSIAN && spec.widths[0] == 625 && spec.widths[8] == 625);
    for (size_t l = 0; l <= spec.n_layers; l++) // auto-encoders are mirrors
        cr_assert(spec.widths[l] == spec.widths[spec.n_layers - l]);
    TEST_OK(fim_net_spec_parse("784-100-10", &spec));
    cr_assert(spec.n_layers == 2 && spec.widths[1] == 100 && spec.widths[2] == 10 && spec.name[0] == '\0');
    TEST_FAILS(fim_net_spec_parse("cifar", &spec), FIM_ERR_ARGUMENT, "(curves, mnist, faces, or widths");
    TEST_FAILS(fim_net_spec_parse("784", &spec), FIM_ERR_ARGUMENT, "at least two widths");
    TEST_FAILS(fim_net_spec_parse("784--10", &spec), FIM_ERR_ARGUMENT, "a width: ''");
    TEST_FAILS(fim_net_spec_parse("784-0-10", &spec), FIM_ERR_ARGUMENT, "a width: '0'");
    TEST_FAILS(fim_net_spec_parse("99999999999-2", &spec), FIM_ERR_ARGUMENT, "a width: '99999999999'");
    char many[400] = "1";
    for (size_t k = 0; k < 64; k++)
        strcat(many, "-1");
    TEST_FAILS(fim_net_spec_parse(many, &spec), FIM_ERR_ARGUMENT, "more than 64 widths");
    cr_assert(spec.n_layers == 2, "an output was touched on failure");
}
