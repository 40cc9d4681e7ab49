// Training by shuffled minibatches.
//
// Nothing is allocated between the first iteration and the last: a batch is gathered by copying rows into one
// matrix, the trace and the gradients are made once for the largest batch.
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "train.h"

fim_train_options fim_train_defaults(void) {
    return (fim_train_options){.optimizer = "adam",
                               .momentum = 0.9,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .epsilon = 1e-8,
                               .mean_outputs = true,
                               .batch = 256,
                               .epochs = 10,
                               .seed = 1,
                               .budget = SIZE_MAX};
}

// One run: what is asked, and everything that is allocated for it.
typedef struct run {
    fim_net *net;
    const fim_data *train, *validation; // validation may be NULL
    const fim_train_options *options;
    const fim_monitor *monitor;
    size_t batch; // rows of a full batch
    size_t *order;
    fim_data rows; // of the present batch
    fim_trace trace;
    gsl_matrix **grads;
    gsl_rng *rng;
    optimizer optimizer;
    journal journal;
} run;

static void run_clear(run *r) {
    free(r->order);
    fim_data_clear(&r->rows);
    for (size_t l = 0; r->grads != NULL && l < r->net->n_layers; l++)
        gsl_matrix_free(r->grads[l]);
    free(r->grads);
    fim_trace_clear(&r->trace);
    gsl_rng_free(r->rng);
    optimizer_clear(&r->optimizer);
    journal_clear(&r->journal);
}

static fim_status check_data(const fim_net *net, const fim_data *data, const char *what) {
    if (data->x->size1 == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s data: there are no samples", what);
    if (data->x->size2 != fim_net_inputs(net))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s data: samples have %zu numbers, the network takes %zu", what,
                        data->x->size2, fim_net_inputs(net));
    return fim_context(fim_likelihood_check(net->likelihood, data, fim_net_outputs(net)), "%s data", what);
}

static fim_status check_budget(const run *r) {
    const fim_net *net = r->net;
    size_t row = fim_net_inputs(net) + fim_net_outputs(net), state = 0;
    for (size_t l = 0; l < net->n_layers; l++)
        row += fim_layer_d_a(&net->layers[l]) + 2 * fim_layer_d_g(&net->layers[l]);
    fim_status status = optimizer_bytes(r->options->optimizer, fim_net_parameters(net), &state);
    if (status != FIM_OK)
        return status;
    size_t batch = fim_size_mul(fim_size_mul(r->batch, row), sizeof(double));
    size_t weights = 2 * sizeof(double) * fim_net_parameters(net);
    size_t bytes = batch < SIZE_MAX - weights - state ? batch + weights + state : SIZE_MAX;
    return fim_budget_check(r->options->budget, bytes, "training", "use a smaller batch");
}

static fim_status run_init(run *r) {
    fim_status status = FIM_OK;
    const fim_net *net = r->net;
    size_t n = r->train->x->size1;
    r->batch = r->options->batch < n ? r->options->batch : n;
    FIM_TRY(check_budget(r));
    FIM_TRY(fim_alloc(n, sizeof *r->order, "the order of samples", &r->order));
    FIM_TRY(fim_matrix_new(r->batch, r->train->x->size2, "a batch", &r->rows.x));
    if (r->train->y != NULL)
        FIM_TRY(fim_matrix_new(r->batch, r->train->y->size2, "a batch", &r->rows.y));
    if (r->train->labels != NULL)
        FIM_TRY(fim_alloc(r->batch, sizeof *r->rows.labels, "a batch", &r->rows.labels));
    FIM_TRY(fim_trace_init(&r->trace, net, r->batch));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *r->grads, "gradients", &r->grads));
    for (size_t l = 0; l < net->n_layers; l++)
        FIM_TRY(fim_matrix_new(net->layers[l].w->size1, net->layers[l].w->size2, "gradients", &r->grads[l]));
    FIM_TRY(optimizer_init(&r->optimizer, r->options, net));
    r->rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (r->rng == NULL)
        status = FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator");
out:
    return status;
}

// Every epoch shuffles from the natural order with a seed of its own, so that it depends on no other.
static void shuffle(run *r, size_t epoch) {
    size_t n = r->train->x->size1;
    for (size_t k = 0; k < n; k++)
        r->order[k] = k;
    gsl_rng_set(r->rng, (unsigned long)fim_seed_stream(r->options->seed, epoch));
    gsl_ran_shuffle(r->rng, r->order, n, sizeof *r->order);
}

static void gather_rows(const gsl_matrix *source, const size_t *index, size_t n, gsl_matrix *out) {
    for (size_t k = 0; k < n; k++)
        memcpy(out->data + k * out->tda, source->data + index[k] * source->tda, out->size2 * sizeof(double));
}

// Loss of the batch index[0..n), and its gradient.
static fim_status batch_gradient(run *r, const size_t *index, size_t n, double *loss) {
    gather_rows(r->train->x, index, n, r->rows.x);
    if (r->rows.y != NULL)
        gather_rows(r->train->y, index, n, r->rows.y);
    for (size_t k = 0; r->rows.labels != NULL && k < n; k++)
        r->rows.labels[k] = r->train->labels[index[k]];
    gsl_matrix_const_view x = gsl_matrix_const_submatrix(r->rows.x, 0, 0, n, r->rows.x->size2);
    fim_status status = fim_net_forward(r->net, &x.matrix, &r->trace);
    return status != FIM_OK ? status : fim_net_gradient(r->net, &r->trace, &r->rows, 0, r->grads, loss);
}

// Mean loss over the validation data, if there is any.
static fim_status validate(run *r, double *mean) {
    if (r->validation == NULL)
        return FIM_OK;
    double sum = 0;
    const gsl_matrix *x = r->validation->x;
    for (size_t first = 0, n; first < x->size1; first += n) {
        n = x->size1 - first < r->batch ? x->size1 - first : r->batch;
        gsl_matrix_const_view rows = gsl_matrix_const_submatrix(x, first, 0, n, x->size2);
        double loss;
        fim_status status = fim_net_forward(r->net, &rows.matrix, &r->trace);
        if (status == FIM_OK)
            status = fim_net_gradient(r->net, &r->trace, r->validation, first, NULL, &loss);
        if (status != FIM_OK)
            return status;
        sum += (double)n * loss;
    }
    *mean = sum / (double)x->size1;
    return FIM_OK;
}

static fim_status diverged(const run *r, size_t epoch, size_t iteration, size_t iterations,
                           const char *what) {
    const char *last = journal_last_checkpoint(&r->journal);
    return FIM_FAIL(
        FIM_ERR_NUMERIC,
        "training diverged in epoch %zu, iteration %zu of %zu: %s; %s%s; a learning rate below %g "
        "may help",
        epoch, iteration, iterations, what,
        last != NULL ? "the last good checkpoint is " : "no checkpoint was written before",
        last != NULL ? last : "", r->optimizer.rate);
}

// Tells the monitor the loss per output and the samples a second; FIM_CANCELLED when the user wants to stop.
static fim_status report(const run *r, size_t epoch, size_t done, double loss, double seconds) {
    size_t n = r->train->x->size1;
    char what[64]; // short, for a narrow terminal's line of progress
    snprintf(what, sizeof what, "loss %.4g, %.0f/s", loss / (double)fim_net_outputs(r->net),
             seconds > 0 ? (double)done / seconds : 0);
    return fim_monitor_progress(r->monitor, what, (double)(epoch - 1) * (double)n + (double)done,
                                (double)r->options->epochs * (double)n);
}

static fim_status run_epoch(run *r, size_t epoch) {
    size_t n = r->train->x->size1, iterations = (n + r->batch - 1) / r->batch, done = 0;
    double scale = r->options->mean_outputs ? 1 / (double)fim_net_outputs(r->net) : 1;
    double sum = 0, began = fim_clock_seconds();
    fim_status status = FIM_OK;
    shuffle(r, epoch);
    for (size_t k = 0; k < iterations; k++) {
        size_t rows = n - done < r->batch ? n - done : r->batch;
        double loss;
        FIM_TRY(batch_gradient(r, r->order + done, rows, &loss));
        if (!isfinite(loss))
            return diverged(r, epoch, k + 1, iterations, "the loss is not finite");
        optimizer_step(&r->optimizer, r->net, r->grads, scale);
        sum += (double)rows * loss;
        done += rows;
        FIM_TRY(report(r, epoch, done, sum / (double)done, fim_clock_seconds() - began));
    }
    fim_train_epoch e = {epoch, iterations, sum / (double)n, NAN, fim_clock_seconds() - began};
    FIM_TRY(validate(r, &e.validation_loss));
    // The step after the last loss may have been the one too many.
    if (fim_net_check(r->net) != FIM_OK || (r->validation != NULL && !isfinite(e.validation_loss)))
        return diverged(r, epoch, iterations, iterations, "the last step left the finite numbers");
    r->journal.epochs[r->journal.n_epochs++] = e;
out:
    return status;
}

static fim_status run_all(run *r, fim_status (*on_epoch)(void *context, const fim_train_epoch *epoch),
                          void *context) {
    fim_status status = FIM_OK;
    size_t every = r->options->checkpoint_every;
    for (size_t epoch = 1; epoch <= r->options->epochs; epoch++) {
        FIM_TRY(run_epoch(r, epoch));
        if (epoch == r->options->epochs || (every > 0 && epoch % every == 0)) {
            char label[32];
            snprintf(label, sizeof label, "%zu", epoch);
            FIM_TRY(journal_checkpoint(&r->journal, label));
        }
        if (on_epoch != NULL)
            FIM_TRY(on_epoch(context, &r->journal.epochs[r->journal.n_epochs - 1]));
    }
out:
    return status;
}

// Keeps what was reached, however the training ended; a failure to keep it outranks the reason of the end.
static fim_status finish(run *r, fim_status status, fim_record *log) {
    char reason[2048];
    snprintf(reason, sizeof reason, "%s", fim_message());
    fim_status kept = FIM_OK;
    if (status == FIM_CANCELLED) {
        kept = journal_checkpoint(&r->journal, "interrupted");
        const char *last = r->options->folder != NULL ? journal_last_checkpoint(&r->journal) : NULL;
        snprintf(reason, sizeof reason, "interrupted in epoch %zu%s%s", r->journal.n_epochs + 1,
                 last != NULL ? "; the weights of that moment are in " : "", last != NULL ? last : "");
    }
    if (kept == FIM_OK)
        kept = journal_log(&r->journal, log);
    if (kept != FIM_OK)
        return kept;
    return status == FIM_OK ? FIM_OK : FIM_FAIL(status, "%s", reason);
}

// What was asked, for the log and the checkpoints.
static fim_status describe(const run *r, fim_record *out) {
    const fim_train_options *o = r->options;
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set_text(out, "optimizer", optimizer_name(&r->optimizer)));
    FIM_TRY(fim_record_set_text(out, "reduction", o->mean_outputs ? "mean" : "sum"));
    const struct {
        const char *name;
        double value;
    } values[] = {{"learning_rate", r->optimizer.rate},
                  {"momentum", o->momentum},
                  {"beta1", o->beta1},
                  {"beta2", o->beta2},
                  {"epsilon", o->epsilon},
                  {"batch", (double)r->batch},
                  {"train_seed", (double)o->seed},
                  {"train_samples", (double)r->train->x->size1},
                  {"validation_samples", r->validation != NULL ? (double)r->validation->x->size1 : 0},
                  {"parameters", (double)fim_net_parameters(r->net)},
                  {"outputs", (double)fim_net_outputs(r->net)}};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        FIM_TRY(fim_record_set(out, values[k].name, values[k].value, NULL));
out:
    return status;
}

static fim_status check_options(const fim_train_options *o) {
    if (o->batch == 0 || o->epochs == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "training needs a batch of at least one sample, and one epoch");
    const double numbers[] = {o->learning_rate, o->momentum, o->beta1, o->beta2, o->epsilon};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (!isfinite(numbers[k]) || numbers[k] < 0)
            return FIM_FAIL(FIM_ERR_ARGUMENT,
                            "the optimizer's numbers are finite and not negative, %g is not", numbers[k]);
    if (o->momentum >= 1 || o->beta1 >= 1 || o->beta2 >= 1)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "momentum, beta1 and beta2 lie below 1");
    return FIM_OK;
}

fim_status fim_train(fim_net *net, const fim_data *train, const fim_data *validation,
                     const fim_train_options *options, const fim_record *provenance,
                     const fim_monitor *monitor,
                     fim_status (*on_epoch)(void *context, const fim_train_epoch *epoch), void *context,
                     fim_record *log) {
    fim_status status = FIM_OK;
    run r = {.net = net, .train = train, .validation = validation, .options = options, .monitor = monitor};
    fim_record settings;
    fim_record_init(&settings, "settings");
    fim_record_init(log, "fim-run");
    FIM_TRY(check_options(options));
    FIM_TRY(fim_net_check(net));
    FIM_TRY(check_data(net, train, "training"));
    if (validation != NULL)
        FIM_TRY(check_data(net, validation, "validation"));
    FIM_TRY(run_init(&r));
    FIM_TRY(describe(&r, &settings));
    FIM_TRY(journal_init(&r.journal, net, options, provenance, &settings));
    status = finish(&r, run_all(&r, on_epoch, context), log);
out:
    fim_record_clear(&settings);
    run_clear(&r);
    return status;
}
