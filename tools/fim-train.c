// fim-train: trains a dense network by minibatches and leaves checkpoints and a run log.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "fim/io.h"
#include "fim/linalg.h"
#include "fim/report.h"
#include "fim/run.h"

enum {
    OPTION_ACTIVATION = 0x200,
    OPTION_LIKELIHOOD,
    OPTION_LABELS,
    OPTION_VALIDATION,
    OPTION_VALIDATION_LABELS,
    OPTION_SPLIT,
    OPTION_SAMPLES,
    OPTION_MOMENTUM,
    OPTION_REDUCTION,
    OPTION_EVERY,
    OPTION_FORMAT,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Network:", 1},
    {"net", 'n', "NET", 0,
     "The paper's auto-encoders curves, mnist, faces (relu everywhere, the code layer too), or widths by "
     "hand, "
     "784-100-10",
     1},
    {"activation", OPTION_ACTIVATION, "A", 0,
     "Of all layers but the last: identity, relu, tanh, sigmoid, softplus, gelu, leaky_relu, elu, sin "
     "(default: relu)",
     1},
    {"likelihood", OPTION_LIKELIHOOD, "L", 0,
     "categorical, bernoulli or gaussian (default: the preset's; by hand categorical when the data has "
     "labels, "
     "else gaussian)",
     1},
    {NULL, 0, NULL, 0, "Data:", 2},
    {"data", 'd', "SPEC", 0, "HDF5, IDX, .npy, .npz, or curves:N[:SEED]; an auto-encoder needs inputs alone",
     2},
    {"labels", OPTION_LABELS, "FILE", 0, "Labels in a file of their own (IDX or .npy)", 2},
    {"validation", OPTION_VALIDATION, "SPEC", 0, "Validation data (default: cut from the data, see --split)",
     2},
    {"validation-labels", OPTION_VALIDATION_LABELS, "FILE", 0,
     "Its labels, when they are in a file of their own", 2},
    {"split", OPTION_SPLIT, "SHARE", 0,
     "Without --validation, this last share of the data is kept for validation; 0 for none (default: 0.2)",
     2},
    {"samples", OPTION_SAMPLES, "N", 0,
     "A seeded random subset of the data, drawn before the split (default: all)", 2},
    {NULL, 0, NULL, 0, "Training:", 3},
    {"optimizer", 'O', "NAME", 0, "sgd (with momentum) or adam (default: adam)", 3},
    {"learning-rate", 'l', "RATE", 0, "Default: 0.3 for sgd, 0.001 for adam", 3},
    {"momentum", OPTION_MOMENTUM, "M", 0, "Of sgd (default: 0.9)", 3},
    {"epochs", 'e', "E", 0, "Default: 10", 3},
    {"batch", 'b', "N", 0, "Samples a step (default: the preset's 256, 512, 1024; 256 by hand)", 3},
    {"reduction", OPTION_REDUCTION, "R", 0,
     "The loss that is descended: mean over outputs, the units of the paper's learning rates, or sum, the "
     "log-likelihood itself (default: mean, and sum for categorical, as everywhere)",
     3},
    {NULL, 0, NULL, 0, "Output:", 4},
    {"output", 'o', "DIR", 0, "Folder for run.h5 and checkpoint-<epoch>.h5; made when missing", 4},
    {"checkpoint-every", OPTION_EVERY, "E", 0, "Epochs between checkpoints (default: the last epoch only)",
     4},
    {"format", OPTION_FORMAT, "F", 0,
     "Of the results on stdout: text (a line an epoch) or json (default: text)", 4},
    {0}};

static const char doc[] =
    "Train a dense network on minibatches; write checkpoints and a run log."
    "\vThe loss is -log p(y|x) of a sample summed over the outputs; it is printed so and per output.\n\n"
    "Examples:\n"
    "  fim-train --net curves --data curves:20000 --epochs 20 -o run\n"
    "  fim-train --net 784-100-10 --data train-images-idx3-ubyte.gz \\\n"
    "            --labels train-labels-idx1-ubyte.gz --checkpoint-every 5 -o run\n"
    "  fim-analyze run/checkpoint-20.h5 --data curves:20000";

typedef struct settings {
    const char *net, *activation, *likelihood, *data, *labels, *validation, *validation_labels;
    double split;
    size_t samples; // 0: all
    bool json;
    bool reduction_given;
    fim_train_options train; // batch 0: the preset's
} settings;

static fim_status choose(const char *argument, const char *option, const char *a, const char *b,
                         bool *second) {
    if (strcmp(argument, a) != 0 && strcmp(argument, b) != 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is neither %s nor %s", option, argument, a, b);
    *second = strcmp(argument, b) == 0;
    return FIM_OK;
}

static fim_status check_complete(const settings *s) {
    const char *missing = s->net == NULL            ? "--net NET"
                          : s->data == NULL         ? "--data SPEC"
                          : s->train.folder == NULL ? "-o DIR"
                                                    : NULL;
    if (missing != NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s is missing", missing);
    if (s->validation_labels != NULL && s->validation == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--validation-labels without --validation");
    return FIM_OK;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case 'n':
        s->net = argument;
        return 0;
    case OPTION_ACTIVATION:
        s->activation = argument;
        return 0;
    case OPTION_LIKELIHOOD:
        s->likelihood = argument;
        return 0;
    case 'd':
        s->data = argument;
        return 0;
    case OPTION_LABELS:
        s->labels = argument;
        return 0;
    case OPTION_VALIDATION:
        s->validation = argument;
        return 0;
    case OPTION_VALIDATION_LABELS:
        s->validation_labels = argument;
        return 0;
    case OPTION_SPLIT:
        return cli_check(fim_parse_double(argument, "--split", 0, 0.9, &s->split));
    case OPTION_SAMPLES:
        return cli_check(fim_parse_size(argument, "--samples", 1, SIZE_MAX, &s->samples));
    case 'O':
        s->train.optimizer = argument;
        return 0;
    case 'l':
        return cli_check(
            fim_parse_double(argument, "--learning-rate", 1e-300, 1e300, &s->train.learning_rate));
    case OPTION_MOMENTUM:
        return cli_check(fim_parse_double(argument, "--momentum", 0, 0.999999, &s->train.momentum));
    case 'e':
        return cli_check(fim_parse_size(argument, "--epochs", 1, 1000000, &s->train.epochs));
    case 'b':
        return cli_check(fim_parse_size(argument, "--batch", 1, SIZE_MAX, &s->train.batch));
    case OPTION_REDUCTION:
        s->reduction_given = true;
        return cli_check(choose(argument, "--reduction", "sum", "mean", &s->train.mean_outputs));
    case 'o':
        s->train.folder = argument;
        return 0;
    case OPTION_EVERY:
        return cli_check(
            fim_parse_size(argument, "--checkpoint-every", 1, SIZE_MAX, &s->train.checkpoint_every));
    case OPTION_FORMAT:
        return cli_check(choose(argument, "--format", "text", "json", &s->json));
    case ARGP_KEY_ARG:
        return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "'%s' belongs to no option", argument));
    case ARGP_KEY_END:
        return cli_check(check_complete(s));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// ---- Data: read, thinned, cut ----

// The data read, and the two parts of it that are used; the parts are views.
typedef struct data_sets {
    fim_data all, other; // what is owned
    gsl_matrix x[2], y[2];
    fim_data train, validation; // validation.x NULL: none
} data_sets;

// Rows first..first + n of source as a view.
static fim_data part(const fim_data *source, size_t first, size_t n, gsl_matrix *x, gsl_matrix *y) {
    fim_data view = {.labels = source->labels != NULL ? source->labels + first : NULL};
    *x = gsl_matrix_submatrix(source->x, first, 0, n, source->x->size2).matrix;
    view.x = x;
    if (source->y != NULL) {
        *y = gsl_matrix_submatrix(source->y, first, 0, n, source->y->size2).matrix;
        view.y = y;
    }
    return view;
}

static fim_status read_data(const fim_cli *cli, const settings *s, data_sets *d) {
    fim_status status = FIM_OK;
    fim_data subset = {0};
    FIM_TRY(fim_data_read(s->data, s->labels, cli->memory, &d->all));
    if (s->samples > d->all.x->size1)
        FIM_TRY(FIM_FAIL(FIM_ERR_VALUE, "--samples: %zu are asked, %s has %zu", s->samples, s->data,
                         d->all.x->size1));
    if (s->samples > 0) {
        FIM_TRY(fim_study_subset(&d->all, s->samples, cli->seed, &subset));
        fim_data_clear(&d->all);
        d->all = subset;
    }
    size_t n = d->all.x->size1, kept = 0;
    if (s->validation != NULL) {
        FIM_TRY(fim_data_read(s->validation, s->validation_labels, cli->memory, &d->other));
        d->validation = part(&d->other, 0, d->other.x->size1, &d->x[1], &d->y[1]);
    } else {
        kept = (size_t)(s->split * (double)n);
        if (kept > 0)
            d->validation = part(&d->all, n - kept, kept, &d->x[1], &d->y[1]);
    }
    d->train = part(&d->all, 0, n - kept, &d->x[0], &d->y[0]);
out:
    return status;
}

// ---- The network ----

static fim_status make_net(const fim_cli *cli, const settings *s, const fim_data *data, fim_net *net,
                           size_t *batch) {
    fim_status status = FIM_OK;
    fim_net_spec spec;
    fim_activation activation = FIM_ACTIVATION_RELU;
    FIM_TRY(fim_net_spec_parse(s->net, &spec));
    if (s->activation != NULL)
        FIM_TRY(fim_context(fim_activation_parse(s->activation, &activation), "--activation"));
    if (s->likelihood != NULL)
        FIM_TRY(fim_context(fim_likelihood_parse(s->likelihood, &spec.likelihood), "--likelihood"));
    else if (spec.name[0] == '\0' && data->labels != NULL)
        spec.likelihood = FIM_CATEGORICAL;
    FIM_TRY(fim_net_init(net, spec.likelihood, spec.widths, spec.n_layers, activation));
    FIM_TRY(fim_net_xavier(net, 0.01, cli->seed));
    *batch = spec.batch;
out:
    return status;
}

// ---- Results ----

typedef struct printer {
    fim_cli *cli;
    const settings *s;
    const fim_net *net;
    const data_sets *d;
} printer;

static fim_status print_head(const printer *p) {
    char text[512];
    const fim_data *train = &p->d->train, *validation = &p->d->validation;
    snprintf(text, sizeof text,
             "network %s, %zu parameters, %s\n"
             "%zu samples, %zu for validation; %s, batch %zu\n"
             "%6s %10s %12s %12s %12s %9s\n",
             p->s->net, fim_net_parameters(p->net), fim_likelihood_name(p->net->likelihood), train->x->size1,
             validation->x != NULL ? validation->x->size1 : 0, p->s->train.optimizer, p->s->train.batch,
             "epoch", "iterations", "loss", "per output", "validation", "seconds");
    return cli_print(p->cli, text);
}

// The head comes with the first epoch: before it, the training may still be refused.
static fim_status print_epoch(void *context, const fim_train_epoch *e) {
    const printer *p = context;
    fim_status status = e->epoch == 1 ? print_head(p) : FIM_OK;
    if (status != FIM_OK)
        return status;
    char text[160], validation[32] = "-";
    if (isfinite(e->validation_loss))
        snprintf(validation, sizeof validation, "%.6g", e->validation_loss);
    snprintf(text, sizeof text, "%6zu %10zu %12.6g %12.6g %12s %9.2f\n", e->epoch, e->iterations, e->loss,
             e->loss / (double)fim_net_outputs(p->net), validation, e->seconds);
    return cli_print(p->cli, text);
}

static fim_status print_tail(fim_cli *cli, const settings *s, const fim_record *log) {
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

static fim_status work(fim_cli *cli, settings *s, int argc, char **argv) {
    fim_status status = FIM_OK;
    data_sets d = {0};
    fim_net net = {0};
    fim_record provenance, log;
    fim_record_init(&provenance, "provenance");
    fim_record_init(&log, "fim-run");
    size_t batch = 0;
    FIM_TRY(read_data(cli, s, &d));
    FIM_TRY(make_net(cli, s, &d.train, &net, &batch));
    if (s->train.batch == 0)
        s->train.batch = batch;
    if (!s->reduction_given)
        s->train.mean_outputs = net.likelihood != FIM_CATEGORICAL;
    s->train.seed = cli->seed;
    s->train.budget = cli->memory;
    s->train.overwrite = cli->force;
    FIM_TRY(fim_provenance_add(&provenance, cli->tool, argc, argv));
    const char *inputs[] = {s->data, s->labels, s->validation, s->validation_labels};
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
        if (inputs[k] != NULL)
            FIM_TRY(fim_provenance_add_input(&provenance, inputs[k]));
    FIM_TRY(fim_record_set_text(&provenance, "net", s->net));
    FIM_TRY(fim_record_set(&provenance, "seed", (double)cli->seed, NULL));
    printer p = {cli, s, &net, &d};
    FIM_TRY(fim_train(&net, &d.train, d.validation.x != NULL ? &d.validation : NULL, &s->train, &provenance,
                      &cli->monitor, s->json ? NULL : print_epoch, &p, &log));
    FIM_TRY(print_tail(cli, s, &log));
out:
    fim_record_clear(&log);
    fim_record_clear(&provenance);
    fim_net_clear(&net);
    fim_data_clear(&d.all);
    fim_data_clear(&d.other);
    return status;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "--net NET --data SPEC -o DIR", .doc = doc};
    fim_cli cli;
    settings s = {.split = 0.2, .train = fim_train_defaults()};
    s.train.batch = 0;
    fim_status status = cli_start(&cli, "fim-train", &argp, &s, argc, argv);
    if (status == FIM_OK)
        status = work(&cli, &s, argc, argv);
    return cli_finish(&cli, status);
}
