// The study: from networks or dumps to the report.
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "study.h"

static size_t wanted_rows(const fim_data *data, size_t samples) {
    const size_t n = data->x->size1;
    return samples > 0 ? samples : n < STUDY_SAMPLES ? n : STUDY_SAMPLES;
}

fim_status fim_study_subset(const fim_data *data, size_t samples, uint64_t seed, fim_data *out) {
    const size_t n = data->x->size1, wanted = wanted_rows(data, samples);
    if (wanted > n)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%zu samples were asked for, the data hold %zu", wanted, n);
    size_t *all = NULL, *chosen = NULL;
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    fim_status status = FIM_OK;
    FIM_TRY(rng != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator"));
    FIM_TRY(fim_alloc(n, sizeof *all, "row numbers", &all));
    FIM_TRY(fim_alloc(wanted, sizeof *chosen, "row numbers", &chosen));
    for (size_t i = 0; i < n; i++)
        all[i] = i;
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, 0));
    gsl_ran_choose(rng, chosen, wanted, all, n, sizeof *all); // in increasing order
    FIM_TRY(fim_data_subset(data, chosen, wanted, out));
out:
    gsl_rng_free(rng);
    free(all);
    free(chosen);
    return status;
}

// The rows of a study: all of the data as they are, or a copy of some in `subset`, which comes off the
// budget.
static fim_status choose_rows(fim_study_options *options, const fim_data *data, fim_data *subset,
                              const fim_data **rows) {
    const size_t wanted = wanted_rows(data, options->samples);
    const size_t numbers = data->x->size2 + (data->y != NULL ? data->y->size2 : 0);
    const size_t label = data->labels != NULL ? sizeof *data->labels : 0;
    const size_t bytes = fim_size_mul(wanted, numbers * sizeof(double) + label);
    *rows = data;
    if (wanted == data->x->size1)
        return FIM_OK;
    fim_status status = FIM_OK;
    if (wanted < data->x->size1)
        status = fim_budget_check(options->budget, bytes, "a copy of the chosen rows",
                                  "raise --memory, or take fewer with --samples");
    if (status == FIM_OK)
        status = fim_study_subset(data, options->samples, options->seed, subset);
    if (status != FIM_OK)
        return status;
    options->budget -= options->budget < SIZE_MAX ? bytes : 0;
    *rows = subset;
    return FIM_OK;
}

fim_status fim_study_layers(const char *text, size_t n_layers, size_t **out, size_t *count) {
    bool *wanted = NULL;
    size_t *layers = NULL, n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(n_layers, sizeof *wanted, "layers", &wanted));
    FIM_TRY(fim_alloc(n_layers, sizeof *layers, "layers", &layers));
    char item[32];
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        size_t layer;
        FIM_TRY(fim_parse_size(item, "layer", 0, n_layers - 1, &layer));
        wanted[layer] = true;
    }
    for (size_t l = 0; l < n_layers; l++)
        if (text == NULL || wanted[l])
            layers[n++] = l;
    *out = layers;
    *count = n;
    layers = NULL;
out:
    free(wanted);
    free(layers);
    return status;
}

// The record of the next checkpoint, and of its layers.
static fim_status add_checkpoint(fim_record *report, const char *file, fim_record **layers) {
    fim_record *checkpoints = NULL, *checkpoint = NULL;
    for (size_t i = 0; i < report->n_children; i++)
        if (strcmp(report->children[i].name, "checkpoints") == 0)
            checkpoints = &report->children[i];
    fim_status status = FIM_OK;
    if (checkpoints == NULL)
        FIM_TRY(fim_record_add_child(report, "checkpoints", &checkpoints));
    char name[24];
    snprintf(name, sizeof name, "%zu", checkpoints->n_children);
    FIM_TRY(fim_record_add_child(checkpoints, name, &checkpoint));
    FIM_TRY(fim_record_set_text(checkpoint, "file", file));
    FIM_TRY(study_moment(file, checkpoint));
    FIM_TRY(fim_record_add_child(checkpoint, "layers", layers));
out:
    return status;
}

// Studies a layer into its record. Failing, the record stays behind unfinished: so does the whole report.
static fim_status fill_layer(const fim_study_options *options, const fim_fisher *f, const char *fisher,
                             const fim_monitor *monitor, size_t index, size_t count,
                             const study_inputs *inputs, size_t layer, fim_record *record) {
    const size_t steps = study_steps(options);
    fim_status status = study_layer(options, f, fisher, inputs != NULL ? inputs->gradient : NULL, monitor,
                                    index * steps, count * steps, record);
    return status == FIM_OK ? study_sampling(options, f, inputs, layer, monitor, record) : status;
}

// The samples of a study at work: those of all layers where they fit the budget together, else of one layer
// at a time, else none at all.
typedef struct supply {
    const fim_study_options *options;
    const fim_net *net;
    const fim_data *data;
    const size_t *layers;
    size_t count;
    fim_samples *samples; // per layer
    size_t resident;      // bytes of the process before
    bool together;
} supply;

// What the samples of a study may take: where a budget can be watched, the analysis keeps a quarter.
static size_t samples_budget(size_t budget) {
    return budget < FIM_MEMORY_RESOLVED || budget == SIZE_MAX ? budget : budget / 4 * 3;
}

static fim_status supply_init(supply *s, const fim_monitor *monitor) {
    fim_status status = fim_alloc(s->count, sizeof *s->samples, "samples", &s->samples);
    if (status != FIM_OK)
        return status;
    s->resident = fim_memory_resident();
    status = fim_fisher_capture(s->net, s->data, &s->options->fisher, s->layers, s->count,
                                samples_budget(s->options->budget), monitor, s->samples);
    s->together = status == FIM_OK;
    return status == FIM_ERR_BUDGET ? FIM_OK : status;
}

// The block of layer number i. What does not fit is streamed from half of the budget.
static fim_status supply_block(supply *s, size_t i, const fim_monitor *monitor, fim_fisher **out) {
    fim_status status = FIM_OK;
    const size_t budget = s->options->budget, most = samples_budget(budget);
    if (!s->together)
        status = fim_fisher_capture(s->net, s->data, &s->options->fisher, &s->layers[i], 1,
                                    most < budget ? most : budget / 2, monitor, &s->samples[i]);
    if (status != FIM_ERR_BUDGET)
        return status == FIM_OK ? fim_fisher_new(&s->samples[i], out) : status;
    status = fim_fisher_new_streamed(s->net, s->data, &s->options->fisher, s->layers[i],
                                     s->options->budget / 2, out);
    if (status == FIM_OK)
        fim_monitor_note(monitor,
                         "layer %zu: the samples do not fit the memory budget and are captured anew "
                         "for every product",
                         s->layers[i]);
    return status;
}

static void supply_clear(supply *s) {
    for (size_t i = 0; s->samples != NULL && i < s->count; i++)
        fim_samples_clear(&s->samples[i]);
    free(s->samples);
}

// What the layers of one repeat have in common.
typedef struct study_round {
    const fim_study_options *options; // as allotted to single eigensolvers
    supply *supply;
    gsl_matrix **gradients; // of all layers of the network, or NULL
    fim_record *records;    // its children are those of the supply's layers
    size_t first, total;    // of the layers in all repeats
} study_round;

// Layer number i of the supply.
static fim_status study_supplied(void *context, size_t i, const fim_monitor *monitor) {
    const study_round *o = context;
    supply *s = o->supply;
    const size_t layer = s->layers[i];
    fim_study_options options = *o->options;
    fim_fisher *f = NULL;
    char kind[32];
    fim_status status = supply_block(s, i, monitor, &f);
    if (status != FIM_OK)
        return status;
    const size_t left = fim_memory_left(options.budget, s->resident);
#pragma omp critical(study_supply)
    options.budget = study_budget_left(options.budget, s->samples, s->count);
    options.budget = left < options.budget ? left : options.budget;
    const study_inputs inputs = {s->net, s->data, options.budget,
                                 o->gradients != NULL ? o->gradients[layer] : NULL};
    status = fill_layer(&options, f, fim_fisher_spec_format(&options.fisher, kind), monitor, o->first + i,
                        o->total, &inputs, layer, &o->records->children[i]);
    fim_fisher_free(f);
#pragma omp critical(study_supply)
    fim_samples_clear(&s->samples[i]);
    return status;
}

// Builds were timed each on one thread when `workers` layers shared the processors.
static fim_status note_shared_times(fim_record *layers, size_t workers) {
    char note[64];
    fim_status status = FIM_OK;
    snprintf(note, sizeof note, "on one thread, beside %zu other layer%s", workers - 1,
             workers > 2 ? "s" : "");
    for (size_t i = 0; i < layers->n_children; i++)
        for (size_t m = 0; m < layers->children[i].n_children; m++) {
            fim_record *method = &layers->children[i].children[m];
            const fim_value *seconds = fim_record_value(method, "build_seconds");
            if (seconds != NULL && !isnan(seconds->value))
                FIM_TRY(fim_record_set(method, "build_seconds", seconds->value, note));
        }
out:
    return status;
}

// The layers of a supply as they are shared, planned at any rates: only ratios count.
static fim_status share_layers(const supply *s, fim_study_shares *out) {
    fim_plan_row *rows = NULL;
    size_t n_rows;
    fim_status status = fim_study_plan(s->options, s->net, s->data->x->size1, 1e11, 1e10, &rows, &n_rows);
    if (status == FIM_OK) // samples that are captured layer by layer take all processors
        status = fim_study_share(s->options, rows, n_rows, s->together ? fim_linalg_threads() : 1, out);
    free(rows);
    return status;
}

// Repeat number `repeat` of `repeats`; *studied becomes the record of its layers.
static fim_status study_once(const fim_study_options *options, const char *file, const fim_net *net,
                             const fim_data *data, const fim_monitor *monitor, size_t repeat, size_t repeats,
                             fim_record *report, fim_record **studied) {
    fim_data subset = {0};
    const fim_data *rows = NULL;
    size_t *layers = NULL, count = 0;
    supply s = {0};
    fim_record *records = NULL, *record = NULL;
    gsl_matrix **gradients = NULL;
    study_solves solves = {0};
    fim_study_shares shares = {0};
    fim_study_options own = *options, allotted;
    fim_status status = FIM_OK;
    FIM_TRY(choose_rows(&own, data, &subset, &rows));
    allotted = own;
    FIM_TRY(fim_study_layers(own.layers, net->n_layers, &layers, &count));
    s = (supply){.options = &own, .net = net, .data = rows, .layers = layers, .count = count};
    FIM_TRY(supply_init(&s, monitor));
    if (own.n_damping > 0 &&
        fim_likelihood_check(net->likelihood, rows, fim_net_outputs(net)) == FIM_OK) // else without labels
        FIM_TRY(study_gradients(net, rows, &gradients));
    FIM_TRY(study_solves_init(&solves, &own, count));
    for (size_t i = 0; i < count; i++)
        study_solves_add(&solves,
                         fim_layer_d_a(&net->layers[layers[i]]) * fim_layer_d_g(&net->layers[layers[i]]),
                         s.samples[i].g != NULL ? s.samples[i].n * s.samples[i].columns : SIZE_MAX);
    study_solves_allot(&solves, &allotted);
    FIM_TRY(share_layers(&s, &shares));
    FIM_TRY(add_checkpoint(report, file, &records));
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", layers[i]);
        FIM_TRY(fim_record_add_child(records, name, &record));
    }
    const size_t steps = study_steps(&own);
    study_round work = {&allotted, &s, gradients, records, repeat * count, repeats * count};
    FIM_TRY(study_crew_run(&shares, &(study_span){repeat * count * steps, steps, repeats * count * steps},
                           monitor, study_supplied, &work));
    if (shares.workers > 1)
        FIM_TRY(note_shared_times(records, shares.workers));
    *studied = records;
out:
    supply_clear(&s);
    free(layers);
    free(shares.order);
    study_gradients_clear(gradients, net->n_layers);
    study_solves_clear(&solves);
    fim_data_clear(&subset);
    return status;
}

fim_status fim_study_network(const fim_study_options *options, const char *file, const fim_net *net,
                             const fim_data *data, const fim_monitor *monitor, fim_record *report) {
    const size_t repeats = options->repeats > 1 ? options->repeats : 1;
    fim_study_options once = *options;
    fim_record again, *means = NULL, *next = NULL;
    fim_record_init(&again, "report");
    fim_status status = FIM_OK;
    once.spectra.flops /= (double)repeats;
    FIM_TRY(study_once(&once, file, net, data, monitor, 0, repeats, report, &means));
    if (repeats > 1)
        FIM_TRY(study_repeat_begin(means));
    once.factors = false;
    once.n_damping = 0;
    for (size_t k = 1; k < repeats; k++) {
        once.seed = options->seed + k;
        once.fisher.seed = options->fisher.seed + k;
        FIM_TRY(study_once(&once, file, net, data, monitor, k, repeats, &again, &next));
        study_repeat_add(means, next, k);
        fim_record_clear(&again);
    }
    if (repeats > 1)
        FIM_TRY(study_repeat_finish(means, repeats));
    FIM_TRY(fim_monitor_progress(monitor, "analyzing", 1, 1));
out:
    fim_record_clear(&again);
    return fim_context(status, "%s", file);
}

// The names of `text` ("0,3"; NULL for all), checked against the layers of a dump: wanted[i] tells of
// layers[i].
static fim_status choose_blocks(const char *text, const fim_blocks_about *layers, size_t count,
                                bool *wanted) {
    char item[64];
    for (size_t i = 0; i < count; i++)
        wanted[i] = text == NULL;
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        size_t i = 0;
        while (i < count && strcmp(layers[i].name, item) != 0)
            i++;
        if (i == count)
            return FIM_FAIL(FIM_ERR_UNKNOWN,
                            "layer '%s' is not in the dump, whose first layer is '%s' of %zu", item,
                            layers[0].name, count);
        wanted[i] = true;
    }
    return FIM_OK;
}

static fim_status study_block(const fim_study_options *options, const char *path, const char *name,
                              const fim_monitor *monitor, size_t index, size_t count, fim_record *records) {
    fim_blocks_layer layer = {0};
    fim_fisher *f = NULL;
    fim_record *record = NULL;
    fim_status status = fim_blocks_read(path, name, true, options->budget, &layer);
    if (status != FIM_OK)
        return status;
    if (layer.samples.n > 0) {
        FIM_TRY(fim_fisher_new(&layer.samples, &f));
    } else {
        gsl_matrix *dense = layer.dense, *a = layer.a, *g = layer.g;
        layer.dense = layer.a = layer.g = NULL; // taken over
        FIM_TRY(fim_fisher_new_dense(dense, layer.d_a, layer.d_g, layer.n, a, g, &f));
    }
    FIM_TRY(fim_record_add_child(records, name, &record));
    FIM_TRY(fill_layer(options, f, layer.fisher, monitor, index, count, NULL, 0, record));
out:
    fim_fisher_free(f);
    fim_blocks_layer_clear(&layer);
    return status;
}

fim_status fim_study_blocks(const fim_study_options *options, const char *path, const fim_monitor *monitor,
                            fim_record *report) {
    fim_blocks_about *layers = NULL;
    size_t count = 0, chosen = 0, done = 0;
    bool *wanted = NULL;
    fim_record *records = NULL;
    study_solves solves = {0};
    fim_study_options allotted = *options;
    fim_status status = FIM_OK;
    if (options->repeats > 1)
        FIM_TRY(
            FIM_FAIL(FIM_ERR_ARGUMENT,
                     "the samples of a dump are what they are: repeats need the checkpoint and its data"));
    FIM_TRY(fim_blocks_list(path, &layers, &count));
    FIM_TRY(fim_alloc(count, sizeof *wanted, "layers", &wanted));
    FIM_TRY(choose_blocks(options->layers, layers, count, wanted));
    for (size_t i = 0; i < count; i++)
        chosen += wanted[i];
    FIM_TRY(study_solves_init(&solves, options, chosen));
    for (size_t i = 0; i < count; i++)
        if (wanted[i])
            study_solves_add(&solves, layers[i].d_a * layers[i].d_g, SIZE_MAX);
    study_solves_allot(&solves, &allotted);
    FIM_TRY(add_checkpoint(report, path, &records));
    for (size_t i = 0; i < count; i++)
        if (wanted[i])
            FIM_TRY(study_block(&allotted, path, layers[i].name, monitor, done++, chosen, records));
    FIM_TRY(fim_monitor_progress(monitor, "analyzing", 1, 1));
out:
    free(layers);
    free(wanted);
    study_solves_clear(&solves);
    return fim_context(status, "%s", path);
}
