// fim-train: trains a dense network by minibatches and leaves checkpoints and a run log; or several, to
// compare their optimizers.
#define _GNU_SOURCE // asprintf
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fim/io.h"
#include "fim/report.h"
#include "fim/run.h"
#include "training_options.h"

// ---- Results ----

typedef struct printer {
    fim_cli *cli;
    const training_settings *s;
    const fim_net *net;
    const training_data *d;
    const char *optimizer;
    size_t batch;
    bool started;
} printer;

static fim_status print_head(const printer *p) {
    char text[512];
    const fim_data *train = &p->d->train, *validation = &p->d->validation;
    snprintf(text, sizeof text,
             "network %s, %zu parameters, %s\n"
             "%zu samples, %zu for validation; %s, batch %zu\n"
             "%6s %10s %12s %12s %12s %9s\n",
             p->s->net.net, fim_net_parameters(p->net), fim_likelihood_name(p->net->likelihood),
             train->x->size1, validation->x != NULL ? validation->x->size1 : 0, p->optimizer, p->batch,
             "epoch", "iterations", "loss", "per output", "validation", "seconds");
    return cli_print(p->cli, text);
}

// The head comes with the first epoch: before it, the training may still be refused.
static fim_status print_epoch(void *context, const fim_train_epoch *e) {
    printer *p = context;
    fim_status status = p->started ? FIM_OK : print_head(p);
    if (status != FIM_OK)
        return status;
    p->started = true;
    char text[160], validation[32] = "-";
    if (isfinite(e->validation_loss))
        snprintf(validation, sizeof validation, "%.6g", e->validation_loss);
    snprintf(text, sizeof text, "%6zu %10zu %12.6g %12.6g %12s %9.2f\n", e->epoch, e->iterations, e->loss,
             e->loss / (double)fim_net_outputs(p->net), validation, e->seconds);
    return cli_print(p->cli, text);
}

static fim_status print_tail(fim_cli *cli, const training_settings *s, const fim_record *log) {
    fim_status status = FIM_OK;
    char *text = NULL;
    if (s->json) {
        FIM_TRY(fim_report_run_json(log, &text));
        FIM_TRY(cli_print(cli, text));
        goto out;
    }
    char name[32], line[4096];
    const char *path;
    for (size_t k = 0;
         snprintf(name, sizeof name, "checkpoint_%zu", k), path = fim_record_text(log, name), path != NULL;
         k++) {
        snprintf(line, sizeof line, "wrote %s\n", path);
        FIM_TRY(cli_print(cli, line));
    }
out:
    free(text);
    return status;
}

// ---- The work ----

// Where the run comes from, but for its seed.
static fim_status describe(const fim_cli *cli, const training_settings *s, int argc, char **argv,
                           fim_record *out) {
    fim_status status = FIM_OK;
    FIM_TRY(fim_provenance_add(out, cli->tool, argc, argv));
    const char *inputs[] = {s->data.data, s->data.labels, s->data.validation, s->data.validation_labels};
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
        if (inputs[k] != NULL)
            FIM_TRY(fim_provenance_add_input(out, inputs[k]));
    FIM_TRY(fim_record_set_text(out, "net", s->net.net));
    FIM_TRY(fim_record_set_text(out, "init", s->net.init));
out:
    return status;
}

// One run with one seed; `log` is initialised in every case.
static fim_status train(fim_cli *cli, const training_settings *s, const training_data *d,
                        const fim_train_options *asked, uint64_t seed, fim_record *provenance, bool talk,
                        fim_record *log) {
    fim_status status = FIM_OK;
    fim_net net = {0};
    fim_net_spec spec;
    fim_train_options o = *asked;
    fim_record_init(log, "fim-run");
    FIM_TRY(training_net_make(cli, &s->net, &d->train, seed, &net, &spec));
    if (o.batch == 0)
        o.batch = spec.batch;
    if (!s->reduction_given)
        o.mean_outputs = net.likelihood != FIM_CATEGORICAL;
    fim_train_tune(&o, spec.name);
    o.seed = seed;
    o.budget = cli->memory;
    FIM_TRY(fim_record_set(provenance, "seed", (double)seed, NULL));
    printer p = {.cli = cli, .s = s, .net = &net, .d = d};
    p.optimizer = o.optimizer;
    p.batch = o.batch;
    status = fim_train(&net, &d->train, d->validation.x != NULL ? &d->validation : NULL, &o, provenance,
                       &cli->monitor, talk ? print_epoch : NULL, &p, log);
out:
    fim_net_clear(&net);
    return status;
}

static fim_status train_one(fim_cli *cli, training_settings *s, const training_data *d,
                            fim_record *provenance) {
    fim_status status = FIM_OK;
    fim_record log;
    s->train.overwrite = cli->force;
    status = train(cli, s, d, &s->train, cli->seed, provenance, !s->json, &log);
    if (status == FIM_OK)
        status = print_tail(cli, s, &log);
    fim_record_clear(&log);
    return status;
}

// ---- Comparisons ----

// "kfac, seed 1: loss per output 0.0812 after 10 epochs, 12.3 s"
static fim_status print_run(fim_cli *cli, const fim_variant *v, uint64_t seed, const fim_record *log,
                            const char *ended) {
    char line[4096];
    const gsl_vector *loss = fim_record_curve(log, "loss_per_output") != NULL
                                 ? fim_record_curve(log, "loss_per_output")->values
                                 : NULL;
    const size_t epochs = loss != NULL ? loss->size : 0;
    double seconds = 0;
    for (size_t k = 0; k < epochs; k++)
        seconds += gsl_vector_get(fim_record_curve(log, "seconds")->values, k);
    if (ended != NULL)
        snprintf(line, sizeof line, "%s, seed %llu: %s\n", v->label, (unsigned long long)seed, ended);
    else
        snprintf(line, sizeof line, "%s, seed %llu: loss per output %.6g after %zu epochs, %.1f s\n",
                 v->label, (unsigned long long)seed, gsl_vector_get(loss, epochs - 1), epochs, seconds);
    return cli_print(cli, line);
}

// One run of a comparison, or what is left of it. A diverged run is a result like any other.
static fim_status compare_one(fim_cli *cli, const training_settings *s, const training_data *d,
                              const fim_variant *v, uint64_t seed, fim_record *provenance, fim_record *log) {
    fim_status status = FIM_OK;
    fim_train_options o = v->options;
    char *folder = NULL;
    fim_record_init(log, "fim-run");
    if (asprintf(&folder, "%s/%s/seed-%llu", s->train.folder, v->folder, (unsigned long long)seed) < 0) {
        folder = NULL;
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a path in %s", s->train.folder));
    }
    o.folder = folder;
    o.resume = !cli->force;
    o.overwrite = cli->force;
    FIM_TRY(fim_record_set_text(provenance, "variant", v->label));
    status = train(cli, s, d, &o, seed, provenance, false, log);
    const bool diverged = status == FIM_ERR_NUMERIC;
    if (diverged)
        status = fim_record_set_text(log, "ended", fim_message());
    else
        status = fim_context(status, "%s", v->label);
    if (status == FIM_OK && !s->json)
        status = print_run(cli, v, seed, log, diverged ? fim_record_text(log, "ended") : NULL);
out:
    free(folder);
    return status;
}

static fim_status compare(fim_cli *cli, const training_settings *s, const training_data *d,
                          fim_record *provenance) {
    fim_status status = FIM_OK;
    fim_variant *variants = NULL;
    fim_record *logs = NULL;
    fim_net_spec spec;
    size_t count = 0, done = 0;
    char *text = NULL;
    FIM_TRY(fim_net_spec_parse(s->net.net, &spec));
    FIM_TRY(fim_variants_parse(s->compare, s->grid, &s->train, spec.name, &variants, &count));
    FIM_TRY(fim_alloc(count * s->seeds, sizeof *logs, "run logs", &logs));
    for (size_t k = 0; k < count; k++)
        for (size_t seed = 0; seed < s->seeds; seed++) {
            fim_monitor_note(&cli->monitor, "%s, seed %zu: run %zu of %zu", variants[k].label,
                             (size_t)cli->seed + seed, done + 1, count * s->seeds);
            status = compare_one(cli, s, d, &variants[k], cli->seed + seed, provenance, &logs[done]);
            done++;
            FIM_TRY(status);
        }
    FIM_TRY(s->json ? fim_report_comparison_json(logs, done, NULL, &text)
                    : fim_report_comparison(logs, done, NULL, &text));
    FIM_TRY(cli_print(cli, s->json ? "" : "\n"));
    FIM_TRY(cli_print(cli, text));
out:
    for (size_t k = 0; k < done; k++)
        fim_record_clear(&logs[k]);
    free(logs);
    free(variants);
    free(text);
    return status;
}

static fim_status work(fim_cli *cli, training_settings *s, int argc, char **argv) {
    fim_status status = FIM_OK;
    training_data d = {0};
    fim_record provenance;
    fim_record_init(&provenance, "provenance");
    FIM_TRY(training_data_read(cli, &s->data, &d));
    FIM_TRY(describe(cli, s, argc, argv, &provenance));
    status = s->compare != NULL ? compare(cli, s, &d, &provenance) : train_one(cli, s, &d, &provenance);
out:
    fim_record_clear(&provenance);
    training_data_clear(&d);
    return status;
}

int main(int argc, char **argv) {
    fim_cli cli;
    training_settings s = {
        .data.split = 0.2, .net.init = "xavier", .seeds = 1, .train = fim_train_defaults()};
    s.train.batch = 0;
    fim_status status = cli_start(&cli, "fim-train", &training_argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s, argc, argv);
    return cli_finish(&cli, status);
}
