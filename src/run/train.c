// Training by shuffled minibatches: one loop for every optimizer.
//
// An iteration is a gradient, a direction and a step of the engine, which has the precision; natural gradient
// refreshes the engine's preconditioners before it. What is written and when it goes on is the journal's and
// the state's.
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "train.h"

// One run: what is asked, and everything that is allocated for it.
typedef struct run {
    fim_net *net;
    const fim_data *train, *validation; // validation may be NULL
    const fim_train_options *options;
    const fim_monitor *monitor;
    fim_record settings;
    double scale; // of the loss that is descended
    position at;
    size_t *order;
    gsl_rng *rng;
    const engine_class *class;
    engine *engine;
    natural *natural; // NULL for first order
    journal journal;
} run;

static void run_clear(run *r) {
    free(r->order);
    gsl_rng_free(r->rng);
    if (r->class != NULL)
        r->class->free(r->engine);
    natural_free(r->natural);
    journal_clear(&r->journal);
    fim_record_clear(&r->settings);
}

static fim_status check_data(const fim_net *net, const fim_data *data, const char *what) {
    if (data->x->size1 == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s data: there are no samples", what);
    if (data->x->size2 != fim_net_inputs(net))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s data: samples have %zu numbers, the network takes %zu", what,
                        data->x->size2, fim_net_inputs(net));
    return fim_context(fim_likelihood_check(net->likelihood, data, fim_net_outputs(net)), "%s data", what);
}

static step_rule rule_of(const fim_train_options *o) {
    return (step_rule){.adam = strcmp(o->optimizer, "adam") == 0,
                       .nesterov = o->nesterov,
                       .momentum = o->momentum,
                       .beta1 = o->beta1,
                       .beta2 = o->beta2,
                       .epsilon = o->epsilon,
                       .weight_decay = o->weight_decay};
}

// Bytes of the engine, and of what natural gradient keeps and captures.
static fim_status check_budget(const run *r) {
    const fim_train_options *o = r->options;
    const fim_net *net = r->net;
    size_t row = fim_net_inputs(net) + fim_net_outputs(net), factors = 0;
    for (size_t l = 0; l < net->n_layers; l++) {
        const size_t d_a = fim_layer_d_a(&net->layers[l]), d_g = fim_layer_d_g(&net->layers[l]);
        row += d_a + 2 * d_g;
        factors = fim_size_add(factors, fim_size_add(fim_size_mul(d_a, d_a), fim_size_mul(d_g, d_g)));
    }
    const size_t number = o->float64 ? sizeof(double) : sizeof(float), weights = fim_net_parameters(net);
    const bool averages = options_natural(o);
    size_t bytes = fim_size_mul(fim_size_mul(o->batch, row), number);
    bytes = fim_size_add(bytes, fim_size_mul(weights, sizeof(double) + (averages ? 4 : 3) * number));
    if (averages) // two terms, moments and their inverse; the samples of a refresh
        bytes =
            fim_size_add(bytes, fim_size_add(fim_size_mul(factors, 4 * sizeof(double) + number),
                                             fim_size_mul(fim_size_mul(options_fisher_rows(o, o->batch), row),
                                                          2 * sizeof(double))));
    return fim_budget_check(o->budget, bytes, "training", "use a smaller batch");
}

static fim_status run_init(run *r) {
    fim_status status = FIM_OK;
    const fim_train_options *o = r->options;
    const step_rule rule = rule_of(o);
    FIM_TRY(check_budget(r));
    r->scale = options_scale(o, r->net);
    r->at = (position){.epoch = 1};
    FIM_TRY(fim_alloc(r->train->x->size1, sizeof *r->order, "the order of samples", &r->order));
    r->rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (r->rng == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator"));
    r->class = o->float64 ? &engine_double : &engine_single;
    FIM_TRY(r->class->new (r->net, r->train, o->batch, &rule, options_natural(o), &r->engine));
    if (options_natural(o))
        FIM_TRY(natural_new(r->net, o, r->scale, &r->natural));
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

// Mean loss over the validation data, if there is any.
static fim_status validate(run *r, double *mean) {
    if (r->validation == NULL)
        return FIM_OK;
    double sum = 0;
    const size_t rows = r->validation->x->size1, batch = r->options->batch;
    for (size_t first = 0, n; first < rows; first += n) {
        n = rows - first < batch ? rows - first : batch;
        double loss;
        fim_status status = r->class->gradient(r->engine, r->validation, NULL, first, n, true, &loss);
        if (status != FIM_OK)
            return status;
        sum += (double)n * loss;
    }
    *mean = sum / (double)rows;
    return FIM_OK;
}

static fim_status diverged(const run *r, size_t iteration, size_t iterations, const char *what) {
    const char *last = journal_last_checkpoint(&r->journal);
    return FIM_FAIL(
        FIM_ERR_NUMERIC,
        "training diverged in epoch %zu, iteration %zu of %zu: %s; %s%s; a learning rate below %g%s "
        "may help",
        r->at.epoch, iteration, iterations, what,
        last != NULL ? "the last good checkpoint is " : "no checkpoint was written before",
        last != NULL ? last : "", r->options->learning_rate,
        r->natural != NULL ? " or a larger damping" : "");
}

// Tells the monitor the loss per output and the samples a second; FIM_CANCELLED when the user wants to stop.
static fim_status report(const run *r) {
    const position *at = &r->at;
    const size_t n = r->train->x->size1;
    char what[64]; // short, for a narrow terminal's line of progress
    snprintf(what, sizeof what, "loss %.4g, %.0f/s",
             at->sum / (double)at->done / (double)fim_net_outputs(r->net),
             at->seconds > 0 ? (double)at->done / at->seconds : 0);
    return fim_monitor_progress(r->monitor, what, (double)(at->epoch - 1) * (double)n + (double)at->done,
                                (double)r->options->epochs * (double)n);
}

// Takes rows of the batch into the statistics and refreshes the preconditioners, where it is time for either.
static fim_status refresh(run *r, const size_t *index, size_t rows) {
    const fim_train_options *o = r->options;
    const size_t iteration = r->at.iteration;
    const bool statistics = iteration % o->statistics_every == 0, inverse = iteration % o->inverse_every == 0;
    if (!statistics && !inverse)
        return FIM_OK;
    const double began = fim_clock_seconds();
    fim_data part = {0};
    refresh_report done = {0};
    fim_status status = FIM_OK;
    if (statistics) {
        FIM_TRY(fim_data_subset(r->train, index, options_fisher_rows(o, rows), &part));
        r->class->store(r->engine, r->net);
        FIM_TRY(natural_average(r->natural, r->net, &part, iteration, &done));
    }
    if (inverse)
        FIM_TRY(natural_precondition(r->natural, r->class, r->engine, &done));
    done.seconds = fim_clock_seconds() - began;
    FIM_TRY(journal_refresh(&r->journal, iteration + 1, &done));
out:
    fim_data_clear(&part);
    return status;
}

static fim_status iterate(run *r, size_t *iterations) {
    const size_t n = r->train->x->size1, batch = r->options->batch;
    const size_t rows = n - r->at.done < batch ? n - r->at.done : batch;
    const size_t *index = r->order + r->at.done;
    const double began = fim_clock_seconds();
    const double epochs = (double)(r->at.epoch - 1) + (double)r->at.done / (double)n;
    const size_t k = r->at.done / batch + 1;
    direction_report direction;
    double loss;
    fim_status status = FIM_OK;
    *iterations = (n + batch - 1) / batch;
    if (r->natural != NULL)
        FIM_TRY(refresh(r, index, rows));
    FIM_TRY(r->class->gradient(r->engine, r->train, index, 0, rows, false, &loss));
    if (!isfinite(loss))
        return diverged(r, k, *iterations, "the loss is not finite");
    FIM_TRY(r->class->direction(r->engine, r->scale, r->natural != NULL ? r->options->clip : 0, &direction));
    if (!isfinite(direction.product))
        return diverged(r, k, *iterations, "the step is not finite");
    r->class->step(r->engine, options_rate(r->options, epochs));
    r->at.sum += (double)rows * loss;
    r->at.done += rows;
    r->at.iteration++;
    r->at.seconds += fim_clock_seconds() - began;
    FIM_TRY(journal_iteration(&r->journal, loss, &direction));
out:
    return status;
}

// A checkpoint of the present weights, where one is asked for after so many iterations.
static fim_status keep_iteration(run *r) {
    const fim_train_options *o = r->options;
    char label[48];
    size_t i = 0;
    while (i < o->n_checkpoint_at && o->checkpoint_at[i] != r->at.iteration)
        i++;
    if (i == o->n_checkpoint_at)
        return FIM_OK;
    r->class->store(r->engine, r->net);
    snprintf(label, sizeof label, "iteration-%zu", r->at.iteration);
    return journal_checkpoint(&r->journal, label);
}

static fim_status run_epoch(run *r) {
    const size_t n = r->train->x->size1;
    size_t iterations = (n + r->options->batch - 1) / r->options->batch;
    fim_status status = FIM_OK;
    shuffle(r, r->at.epoch);
    while (r->at.done < n) {
        FIM_TRY(iterate(r, &iterations));
        FIM_TRY(keep_iteration(r));
        FIM_TRY(report(r));
    }
    fim_train_epoch e = {r->at.epoch, iterations, r->at.sum / (double)n, NAN, r->at.seconds};
    FIM_TRY(validate(r, &e.validation_loss));
    // The step after the last loss may have been the one too many.
    r->class->store(r->engine, r->net);
    if (fim_net_check(r->net) != FIM_OK || (r->validation != NULL && !isfinite(e.validation_loss)))
        return diverged(r, iterations, iterations, "the last step left the finite numbers");
    FIM_TRY(journal_epoch(&r->journal, &e));
    r->at = (position){.epoch = r->at.epoch + 1, .iteration = r->at.iteration};
out:
    return status;
}

// The weights, the log, and what a continuation needs.
static fim_status keep(run *r, const char *label) {
    if (r->options->folder == NULL)
        return FIM_OK;
    fim_status status = journal_checkpoint(&r->journal, label);
    if (status == FIM_OK)
        status = state_write(r->options->folder, &r->settings, &r->at, r->class, r->engine, r->natural,
                             &r->journal);
    return status;
}

static fim_train_epoch epoch_of(const journal *j, size_t row) {
    return (fim_train_epoch){
        (size_t)series_at(&j->epochs, EPOCH, row), (size_t)series_at(&j->epochs, EPOCH_ITERATIONS, row),
        series_at(&j->epochs, EPOCH_LOSS, row), series_at(&j->epochs, EPOCH_VALIDATION, row),
        series_at(&j->epochs, EPOCH_SECONDS, row)};
}

static fim_status run_all(run *r, fim_status (*on_epoch)(void *context, const fim_train_epoch *epoch),
                          void *context) {
    fim_status status = FIM_OK;
    const size_t every = r->options->checkpoint_every, last = r->options->epochs;
    if (r->at.iteration == 0)
        FIM_TRY(keep_iteration(r));
    while (r->at.epoch <= last) {
        FIM_TRY(run_epoch(r));
        const fim_train_epoch e = epoch_of(&r->journal, r->journal.epochs.rows - 1);
        if (e.epoch == last || (every > 0 && e.epoch % every == 0)) {
            char label[32];
            snprintf(label, sizeof label, "%zu", e.epoch);
            FIM_TRY(keep(r, label));
        }
        if (on_epoch != NULL)
            FIM_TRY(on_epoch(context, &e));
    }
out:
    return status;
}

// Keeps what was reached, however the training ended; a failure to keep it outranks the reason of the end.
static fim_status finish(run *r, fim_status status, fim_record *log) {
    char reason[2048];
    snprintf(reason, sizeof reason, "%s", fim_message());
    fim_status kept = FIM_OK;
    r->class->store(r->engine, r->net);
    if (status == FIM_CANCELLED) {
        kept = keep(r, "interrupted");
        const char *last = r->options->folder != NULL ? journal_last_checkpoint(&r->journal) : NULL;
        snprintf(reason, sizeof reason, "interrupted in epoch %zu%s%s", r->at.epoch,
                 last != NULL ? "; --resume goes on from there, the weights of that moment are in " : "",
                 last != NULL ? last : "");
    }
    r->journal.ended = status == FIM_ERR_NUMERIC ? reason : NULL;
    if (kept == FIM_OK)
        kept = journal_log(&r->journal, log);
    if (kept != FIM_OK)
        return kept;
    return status == FIM_OK ? FIM_OK : FIM_FAIL(status, "%s", reason);
}

// Takes up a run that stopped, where there is one.
static fim_status take_up(run *r) {
    bool found = false;
    fim_status status = state_read(r->options->folder, &r->settings, r->options->budget, &r->at, r->class,
                                   r->engine, r->natural, &r->journal, r->monitor, &found);
    // The engine's state has the inverses, but no solver.
    if (status == FIM_OK && found && strcmp(r->options->optimizer, "exact") == 0 && r->at.iteration > 0)
        status = natural_precondition(r->natural, r->class, r->engine, &(refresh_report){0});
    if (status == FIM_OK && found)
        fim_monitor_note(r->monitor, "going on in epoch %zu, after %zu iterations", r->at.epoch,
                         r->at.iteration);
    return status;
}

fim_status fim_train(fim_net *net, const fim_data *train, const fim_data *validation,
                     const fim_train_options *options, const fim_record *provenance,
                     const fim_monitor *monitor,
                     fim_status (*on_epoch)(void *context, const fim_train_epoch *epoch), void *context,
                     fim_record *log) {
    fim_status status = FIM_OK;
    fim_train_options own = *options;
    run r = {.net = net, .train = train, .validation = validation, .options = &own, .monitor = monitor};
    fim_record_init(&r.settings, "settings");
    fim_record_init(log, "fim-run");
    fim_train_tune(&own, "");
    FIM_TRY(options_check(&own));
    FIM_TRY(fim_net_check(net));
    FIM_TRY(check_data(net, train, "training"));
    if (validation != NULL)
        FIM_TRY(check_data(net, validation, "validation"));
    own.batch = own.batch < train->x->size1 ? own.batch : train->x->size1;
    FIM_TRY(options_describe(&own, net, train, validation, &r.settings));
    FIM_TRY(run_init(&r));
    FIM_TRY(journal_init(&r.journal, net, &own, provenance, &r.settings));
    if (own.resume)
        FIM_TRY(take_up(&r));
    status = finish(&r, run_all(&r, on_epoch, context), log);
out:
    run_clear(&r);
    return status;
}
