// What can be asked of training: defaults, checks, and their record.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train.h"

fim_train_options fim_train_defaults(void) {
    return (fim_train_options){
        .optimizer = "adam",
        .schedule_factor = 1,
        .momentum = 0.9,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .mean_outputs = true,
        .batch = 256,
        .epochs = 10,
        .fisher = {.kind = FIM_FISHER_MC, .draws = 1},
        .statistics_every = 100,
        .inverse_every = 100,
        .average = 0.95,
        .inverse = {.damping = -1,
                    .form = FIM_DAMPING_PAPER,
                    .indefinite = FIM_INDEFINITE_ABSOLUTE,
                    .tolerance = 1e-3},
        .clip = 0.01,
        .tolerance = 1e-4,
        .warm_start = true,
        .seed = 1,
        .budget = SIZE_MAX,
    };
}

// ---- Which optimizer ----

static bool first_order(const char *name) {
    return strcmp(name, "sgd") == 0 || strcmp(name, "adam") == 0;
}

bool options_natural(const fim_train_options *o) {
    return !first_order(o->optimizer);
}

const char *fim_train_optimizers(void) {
    return "sgd, adam, exact, diagonal, kfac, tkfac, ekfac, tekfac, kpsvd, deflation, lanczos, "
           "kfac-corrected";
}

fim_status options_check_optimizer(const char *name) {
    fim_method method;
    if (first_order(name) || strcmp(name, "exact") == 0)
        return FIM_OK;
    if (fim_method_parse(name, &method) != FIM_OK)
        return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown optimizer '%s' (known: %s)", name, fim_train_optimizers());
    if (method.rank > 2)
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "optimizer '%s': a sum of %zu Kronecker products has no inverse in closed form; take one or two "
            "terms",
            name, method.rank);
    return FIM_OK;
}

void fim_train_tune(fim_train_options *o, const char *net) {
    static const struct {
        const char *net, *optimizer;
        fim_damping_form form;
        double rate, damping;
    } tuned[] = {
#define FIM_TUNED(net, optimizer, form, rate, damping) {net, optimizer, FIM_DAMPING_##form, rate, damping},
#include "tuned.def"
#undef FIM_TUNED
    };
    const char *const any = options_natural(o) ? "natural" : o->optimizer;
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < sizeof tuned / sizeof *tuned; k++) {
            const bool fits = pass == 0 ? strcmp(tuned[k].net, net) == 0 &&
                                              strcmp(tuned[k].optimizer, o->optimizer) == 0 &&
                                              (!options_natural(o) || tuned[k].form == o->inverse.form)
                                        : tuned[k].net[0] == '\0' && strcmp(tuned[k].optimizer, any) == 0;
            if (!fits)
                continue;
            if (!(o->learning_rate > 0) && !isnan(o->learning_rate))
                o->learning_rate = tuned[k].rate;
            if (o->inverse.damping < 0)
                o->inverse.damping = tuned[k].damping;
        }
}

// ---- Checks ----

fim_status options_check(const fim_train_options *o) {
    fim_status status = options_check_optimizer(o->optimizer);
    if (status != FIM_OK)
        return status;
    if (o->batch == 0 || o->epochs == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "training needs a batch of at least one sample, and one epoch");
    const struct {
        const char *name;
        double value, below;
    } numbers[] = {{"the learning rate", o->learning_rate, HUGE_VAL},
                   {"momentum", o->momentum, 1},
                   {"beta1", o->beta1, 1},
                   {"beta2", o->beta2, 1},
                   {"epsilon", o->epsilon, HUGE_VAL},
                   {"the weight decay", o->weight_decay, HUGE_VAL},
                   {"the damping", o->inverse.damping, HUGE_VAL},
                   {"the clipping constant", o->clip, HUGE_VAL},
                   {"the tolerance", o->tolerance, 1},
                   {"the tolerance of the inverse", o->inverse.tolerance, 1},
                   {"the factor of the schedule", o->schedule_factor, HUGE_VAL},
                   {"the weight of the past", o->average, 1}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (!(numbers[k].value >= 0 && numbers[k].value < numbers[k].below))
            return FIM_FAIL(FIM_ERR_ARGUMENT, "%s is %g, expected a finite number that is not negative%s",
                            numbers[k].name, numbers[k].value,
                            numbers[k].below == 1 ? " and lies below 1" : "");
    if (options_natural(o) && (o->statistics_every == 0 || o->inverse_every == 0))
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "statistics and inverses are refreshed every 0 iterations, expected 1 or more");
    if (o->resume && o->folder == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "a run without a folder cannot be resumed");
    return FIM_OK;
}

// ---- What follows from them ----

double options_scale(const fim_train_options *o, const fim_net *net) {
    if (!o->mean_outputs)
        return 1;
    return (net->likelihood == FIM_GAUSSIAN ? 2.0 : 1.0) / (double)fim_net_outputs(net);
}

double options_rate(const fim_train_options *o, double epochs) {
    switch (o->schedule) {
    case FIM_SCHEDULE_COSINE:
        return o->learning_rate * 0.5 * (1 + cos(M_PI * epochs / (double)o->epochs));
    case FIM_SCHEDULE_EXPONENTIAL:
        return o->learning_rate * pow(o->schedule_factor, epochs);
    default:
        return o->learning_rate;
    }
}

size_t options_fisher_rows(const fim_train_options *o, size_t batch) {
    const size_t rows = o->fisher_batch > 0 ? o->fisher_batch : (batch + 3) / 4;
    return rows < batch ? rows : batch;
}

// ---- As a record ----

static const char *schedule_name(fim_schedule schedule) {
    static const char *const names[] = {"constant", "cosine", "exponential"};
    return names[schedule];
}

// A sum that tells one data set from another well enough to refuse a continuation on other data.
static double checksum(const fim_data *data) {
    double sum = 0;
    for (size_t r = 0; r < data->x->size1; r++)
        for (size_t j = 0; j < data->x->size2; j++)
            sum += gsl_matrix_get(data->x, r, j) * (double)(1 + (r + 3 * j) % 7);
    return sum;
}

static fim_status describe_natural(const fim_train_options *o, fim_record *out) {
    fim_status status = FIM_OK;
    char fisher[32];
    FIM_TRY(fim_record_set_text(out, "fisher", fim_fisher_spec_format(&o->fisher, fisher)));
    FIM_TRY(fim_record_set_text(out, "damping_form", fim_damping_form_name(o->inverse.form)));
    FIM_TRY(fim_record_set_text(out, "indefinite", fim_indefinite_name(o->inverse.indefinite)));
    const struct {
        const char *name;
        double value;
    } values[] = {{"fisher_batch", (double)o->fisher_batch},
                  {"statistics_every", (double)o->statistics_every},
                  {"inverse_every", (double)o->inverse_every},
                  {"average", o->average},
                  {"damping", o->inverse.damping},
                  {"clip_kappa", o->clip},
                  {"tolerance", o->tolerance},
                  {"inverse_tolerance", o->inverse.tolerance},
                  {"warm_start", o->warm_start}};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        FIM_TRY(fim_record_set(out, values[k].name, values[k].value, NULL));
out:
    return status;
}

fim_status options_describe(const fim_train_options *o, const fim_net *net, const fim_data *train,
                            const fim_data *validation, fim_record *out) {
    fim_status status = FIM_OK;
    const struct {
        const char *name, *text;
    } texts[] = {{"optimizer", o->optimizer},
                 {"reduction", o->mean_outputs ? "mean" : "sum"},
                 {"precision", o->float64 ? "float64" : "float32"},
                 {"schedule", schedule_name(o->schedule)}};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        FIM_TRY(fim_record_set_text(out, texts[k].name, texts[k].text));
    const struct {
        const char *name;
        double value;
    } values[] = {{"learning_rate", o->learning_rate},
                  {"schedule_factor", o->schedule_factor},
                  {"momentum", o->momentum},
                  {"nesterov", o->nesterov},
                  {"beta1", o->beta1},
                  {"beta2", o->beta2},
                  {"epsilon", o->epsilon},
                  {"weight_decay", o->weight_decay},
                  {"batch", (double)o->batch},
                  {"asked_epochs", (double)o->epochs},
                  {"train_seed", (double)o->seed},
                  {"train_samples", (double)train->x->size1},
                  {"train_checksum", checksum(train)},
                  {"validation_samples", validation != NULL ? (double)validation->x->size1 : 0},
                  {"parameters", (double)fim_net_parameters(net)},
                  {"outputs", (double)fim_net_outputs(net)},
                  {"loss_floor", fim_likelihood_floor(net->likelihood, train)}};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        FIM_TRY(fim_record_set(out, values[k].name, values[k].value, NULL));
    if (options_natural(o))
        FIM_TRY(describe_natural(o, out));
out:
    return status;
}

fim_status options_compare(const fim_record *then, const fim_record *now) {
    for (size_t k = 0; k < now->n_texts; k++) {
        const char *name = now->texts[k].name, *old = fim_record_text(then, name);
        if (old == NULL || strcmp(old, now->texts[k].text) != 0)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "the run to be resumed had %s %s, asked is %s", name,
                            old != NULL ? old : "(none)", now->texts[k].text);
    }
    const char *schedule = fim_record_text(now, "schedule");
    const bool free_epochs = schedule == NULL || strcmp(schedule, "cosine") != 0;
    for (size_t k = 0; k < now->n_values; k++) {
        const char *name = now->values[k].name;
        const fim_value *old = fim_record_value(then, name);
        if (free_epochs && strcmp(name, "asked_epochs") == 0)
            continue;
        if (old == NULL || old->value != now->values[k].value)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "the run to be resumed had %s %g, asked is %g", name,
                            old != NULL ? old->value : (double)NAN, now->values[k].value);
    }
    return FIM_OK;
}
