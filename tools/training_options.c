// The options of fim-train.
#include "training_options.h"

#include <string.h>

enum {
    OPTION_ACTIVATION = 0x200,
    OPTION_LIKELIHOOD,
    OPTION_INIT,
    OPTION_LABELS,
    OPTION_VALIDATION,
    OPTION_VALIDATION_LABELS,
    OPTION_SPLIT,
    OPTION_SAMPLES,
    OPTION_SCHEDULE,
    OPTION_MOMENTUM,
    OPTION_NESTEROV,
    OPTION_WEIGHT_DECAY,
    OPTION_REDUCTION,
    OPTION_PRECISION,
    OPTION_DAMPING,
    OPTION_DAMPING_FORM,
    OPTION_INDEFINITE,
    OPTION_FISHER,
    OPTION_FISHER_BATCH,
    OPTION_STATISTICS,
    OPTION_INVERSE,
    OPTION_AVERAGE,
    OPTION_CLIP,
    OPTION_TOLERANCE,
    OPTION_INVERSE_TOLERANCE,
    OPTION_COLD,
    OPTION_COMPARE,
    OPTION_GRID,
    OPTION_SEEDS,
    OPTION_EVERY,
    OPTION_AT,
    OPTION_RESUME,
    OPTION_FORMAT,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Network:", 1},
    {"net", 'n', "NET", 0,
     "The paper's auto-encoders curves, mnist, faces (relu everywhere, the code layer too), or widths by "
     "hand, 784-100-10",
     1},
    {"activation", OPTION_ACTIVATION, "A", 0,
     "Of all layers but the last: identity, relu, tanh, sigmoid, softplus, gelu, leaky_relu, elu, sin "
     "(default: relu)",
     1},
    {"likelihood", OPTION_LIKELIHOOD, "L", 0,
     "categorical, bernoulli or gaussian (default: the preset's; by hand categorical when the data has "
     "labels, else gaussian)",
     1},
    {"init", OPTION_INIT, "HOW", 0,
     "xavier (uniform, biases 0.01: the paper's), torch (PyTorch's default for linear layers), or a "
     "checkpoint "
     "(default: xavier)",
     1},
    {NULL, 0, NULL, 0, "Data:", 2},
    {"data", 'd', "SPEC", 0,
     "HDF5, IDX, .npy, .npz, .mat, or generated: curves:N[:SEED], faces:N:SEED:FILE; an auto-encoder needs "
     "inputs alone",
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
    {"optimizer", 'O', "NAME", 0,
     "sgd, adam, or natural gradient by diagonal, kfac, tkfac, ekfac, tekfac, kpsvd, deflation, lanczos, "
     "kfac-corrected, or exact (the Fisher block of the last Fisher batch itself) (default: adam)",
     3},
    {"learning-rate", 'l', "RATE", 0,
     "Default: tuned for the optimizer on a preset network; by hand 0.3 for sgd, 0.001 for adam, 0.1 else",
     3},
    {"schedule", OPTION_SCHEDULE, "S", 0,
     "Of the rate: constant, cosine (to 0 at the last epoch), or exponential:F (times F every epoch) "
     "(default: constant)",
     3},
    {"momentum", OPTION_MOMENTUM, "M", 0, "Of all but adam (default: 0.9)", 3},
    {"nesterov", OPTION_NESTEROV, NULL, 0, "Nesterov's form of it", 3},
    {"weight-decay", OPTION_WEIGHT_DECAY, "D", 0,
     "Added to the step as D times the weights, outside preconditioner and moments (default: 0)", 3},
    {"epochs", 'e', "E", 0, "Default: 10", 3},
    {"batch", 'b', "N", 0, "Samples a step (default: the preset's 256, 512, 1024; 256 by hand)", 3},
    {"reduction", OPTION_REDUCTION, "R", 0,
     "The loss that is descended: mean over outputs, the units of the paper's learning rates and dampings "
     "(for "
     "gaussian the mean square, without 1/2), or sum, the log-likelihood itself (default: mean, and sum for "
     "categorical, as everywhere)",
     3},
    {"precision", OPTION_PRECISION, "P", 0,
     "Of forward, backward and step: float32 or float64; statistics are always float64 (default: float32)",
     3},
    {NULL, 0, NULL, 0, "Natural gradient:", 4},
    {"damping", OPTION_DAMPING, "L", 0, "Default: tuned on a preset network; 0.01 by hand", 4},
    {"damping-form", OPTION_DAMPING_FORM, "F", 0,
     "factor (its root on each factor), factor-pi (balanced by their traces), each (itself on each factor), "
     "paper "
     "(factor for one term, each for two), exact (on the product, one term); on the first of two terms "
     "(default: "
     "paper)",
     4},
    {"indefinite", OPTION_INDEFINITE, "RULE", 0,
     "For directions in which two terms are not positive: absolute (the authors'), clamp, or fallback to the "
     "first "
     "term (default: absolute)",
     4},
    {"fisher", OPTION_FISHER, "KIND", 0, "exact, mc:K or empirical (default: mc:1)", 4},
    {"fisher-batch", OPTION_FISHER_BATCH, "N", 0,
     "Samples of the batch it is estimated from (default: a quarter)", 4},
    {"statistics-every", OPTION_STATISTICS, "N", 0, "Iterations between estimates (default: 100)", 4},
    {"inverse-every", OPTION_INVERSE, "N", 0, "Iterations between inverses (default: 100)", 4},
    {"average", OPTION_AVERAGE, "W", 0,
     "Most weight of the past in the running average, min(1 - 1/k, W) at the k-th estimate (default: 0.95)",
     4},
    {"clip", OPTION_CLIP, "K", 0,
     "Steps are scaled by min(1, sqrt(K / sum |<g, P g>|)); 0: never (default: 0.01)", 4},
    {"tolerance", OPTION_TOLERANCE, "T", 0, "Relative residual of the iterative methods (default: 1e-4)", 4},
    {"inverse-tolerance", OPTION_INVERSE_TOLERANCE, "T", 0,
     "Curvature below T times the damping may be left out of the inverse of one or two terms, which is "
     "cheaper "
     "without it; 0: all is kept (default: 1e-3)",
     4},
    {"cold-start", OPTION_COLD, NULL, 0, "Iterative methods start anew, not from their last result", 4},
    {NULL, 0, NULL, 0, "Comparison:", 5},
    {"compare", OPTION_COMPARE, "LIST", 0,
     "Several optimizers in turn, sgd,adam,kfac,kfac/each: a damping form may follow a slash. Runs go to "
     "DIR/NAME/seed-S; what is done is not done again",
     5},
    {"grid", OPTION_GRID, "G", 0, "With all of these rates and dampings, lr=0.1:0.3,damping=1e-3:1e-2", 5},
    {"seeds", OPTION_SEEDS, "K", 0, "Each with seeds S, S+1, ..., K of them (default: 1)", 5},
    {NULL, 0, NULL, 0, "Output:", 6},
    {"output", 'o', "DIR", 0, "Folder for run.h5, state.h5 and checkpoint-<epoch>.h5; made when missing", 6},
    {"checkpoint-every", OPTION_EVERY, "E", 0, "Epochs between checkpoints (default: the last epoch only)",
     6},
    {"checkpoint-at", OPTION_AT, "LIST", 0,
     "Checkpoints after these iterations too, counted from the start of training: 0,5,100 or 0:2500:100 "
     "(from, to, step), "
     "or both",
     6},
    {"resume", OPTION_RESUME, NULL, 0,
     "Go on from DIR's last checkpoint, to the same bits as without a break", 6},
    {"format", OPTION_FORMAT, "F", 0, "Of the results on stdout: text or json (default: text)", 6},
    {0}};

static const char doc[] =
    "Train a dense network on minibatches; write checkpoints and a run log. Or compare optimizers."
    "\vThe loss is -log p(y|x) of a sample summed over the outputs; it is printed so and per output.\n\n"
    "Examples:\n"
    "  fim-train --net curves --data curves:20000 --optimizer kfac --epochs 20 -o run\n"
    "  fim-train --net 784-100-10 --data train-images-idx3-ubyte.gz \\\n"
    "            --labels train-labels-idx1-ubyte.gz --checkpoint-every 5 -o run\n"
    "  fim-train --net curves --data curves:20000 --compare sgd,adam,kfac,kfac-corrected --seeds 3 -o "
    "comparison\n"
    "  fim-analyze run/checkpoint-20.h5 --data curves:20000";

static fim_status choose(const char *argument, const char *option, const char *a, const char *b,
                         bool *second) {
    if (strcmp(argument, a) != 0 && strcmp(argument, b) != 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is neither %s nor %s", option, argument, a, b);
    *second = strcmp(argument, b) == 0;
    return FIM_OK;
}

static fim_status parse_schedule(const char *text, fim_train_options *o) {
    if (strcmp(text, "constant") == 0) {
        o->schedule = FIM_SCHEDULE_CONSTANT;
        return FIM_OK;
    }
    if (strcmp(text, "cosine") == 0) {
        o->schedule = FIM_SCHEDULE_COSINE;
        return FIM_OK;
    }
    if (strncmp(text, "exponential:", 12) != 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--schedule: '%s' is none of constant, cosine, exponential:F",
                        text);
    o->schedule = FIM_SCHEDULE_EXPONENTIAL;
    return fim_parse_double(text + 12, "--schedule: the factor", 1e-6, 1, &o->schedule_factor);
}

// Adds from, from + step, ... up to `to`.
static fim_status add_iterations(size_t from, size_t to, size_t step, training_settings *s) {
    for (size_t k = from; k <= to; k += step) {
        if (s->train.n_checkpoint_at == MOST_ITERATIONS)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "more than %d iterations", MOST_ITERATIONS);
        s->iterations[s->train.n_checkpoint_at++] = k;
    }
    s->train.checkpoint_at = s->iterations;
    return FIM_OK;
}

// "0,5,100" or "0:2500:100", or several of both.
static fim_status parse_iterations(const char *text, training_settings *s) {
    char item[96], part[32];
    fim_status status = FIM_OK;
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        size_t number[3] = {0}, count = 0;
        for (const char *inner = item; fim_list_next(&inner, ':', part, sizeof part); count++) {
            if (count == 3)
                return FIM_FAIL(FIM_ERR_ARGUMENT, "'%s' is not as in 0:2500:100", item);
            FIM_TRY(fim_parse_size(part, "an iteration", count == 2, 1000000000, &number[count]));
        }
        if (count == 2)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "'%s' is not as in 0:2500:100", item);
        FIM_TRY(add_iterations(number[0], count == 3 ? number[1] : number[0], count == 3 ? number[2] : 1, s));
    }
out:
    return status;
}

static fim_status check_complete(const training_settings *s) {
    const char *missing = s->net.net == NULL        ? "--net NET"
                          : s->data.data == NULL    ? "--data SPEC"
                          : s->train.folder == NULL ? "-o DIR"
                                                    : NULL;
    if (missing != NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s is missing", missing);
    if (s->data.validation_labels != NULL && s->data.validation == NULL)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--validation-labels without --validation");
    if (s->compare == NULL && (s->grid != NULL || s->seeds != 1))
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s without --compare", s->grid != NULL ? "--grid" : "--seeds");
    return FIM_OK;
}

// The options of natural gradient and of comparisons.
static error_t parse_natural(int key, char *argument, training_settings *s) {
    fim_train_options *o = &s->train;
    switch (key) {
    case OPTION_DAMPING:
        return cli_check(fim_parse_double(argument, "--damping", 0, 1e300, &o->inverse.damping));
    case OPTION_DAMPING_FORM:
        return cli_check(fim_context(fim_damping_form_parse(argument, &o->inverse.form), "--damping-form"));
    case OPTION_INDEFINITE:
        return cli_check(fim_context(fim_indefinite_parse(argument, &o->inverse.indefinite), "--indefinite"));
    case OPTION_FISHER:
        return cli_check(fim_context(fim_fisher_spec_parse(argument, &o->fisher), "--fisher"));
    case OPTION_FISHER_BATCH:
        return cli_check(fim_parse_size(argument, "--fisher-batch", 1, SIZE_MAX, &o->fisher_batch));
    case OPTION_STATISTICS:
        return cli_check(fim_parse_size(argument, "--statistics-every", 1, SIZE_MAX, &o->statistics_every));
    case OPTION_INVERSE:
        return cli_check(fim_parse_size(argument, "--inverse-every", 1, SIZE_MAX, &o->inverse_every));
    case OPTION_AVERAGE:
        return cli_check(fim_parse_double(argument, "--average", 0, 0.999999, &o->average));
    case OPTION_CLIP:
        return cli_check(fim_parse_double(argument, "--clip", 0, 1e300, &o->clip));
    case OPTION_TOLERANCE:
        return cli_check(fim_parse_double(argument, "--tolerance", 1e-14, 0.5, &o->tolerance));
    case OPTION_INVERSE_TOLERANCE:
        return cli_check(fim_parse_double(argument, "--inverse-tolerance", 0, 0.1, &o->inverse.tolerance));
    case OPTION_COLD:
        o->warm_start = false;
        return 0;
    case OPTION_COMPARE:
        s->compare = argument;
        return 0;
    case OPTION_GRID:
        s->grid = argument;
        return 0;
    case OPTION_SEEDS:
        return cli_check(fim_parse_size(argument, "--seeds", 1, 1000, &s->seeds));
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    training_settings *s = state->input;
    switch (key) {
    case 'n':
        s->net.net = argument;
        return 0;
    case OPTION_ACTIVATION:
        s->net.activation = argument;
        return 0;
    case OPTION_LIKELIHOOD:
        s->net.likelihood = argument;
        return 0;
    case OPTION_INIT:
        s->net.init = argument;
        return 0;
    case 'd':
        s->data.data = argument;
        return 0;
    case OPTION_LABELS:
        s->data.labels = argument;
        return 0;
    case OPTION_VALIDATION:
        s->data.validation = argument;
        return 0;
    case OPTION_VALIDATION_LABELS:
        s->data.validation_labels = argument;
        return 0;
    case OPTION_SPLIT:
        return cli_check(fim_parse_double(argument, "--split", 0, 0.9, &s->data.split));
    case OPTION_SAMPLES:
        return cli_check(fim_parse_size(argument, "--samples", 1, SIZE_MAX, &s->data.samples));
    case 'O':
        s->train.optimizer = argument;
        return 0;
    case 'l':
        return cli_check(
            fim_parse_double(argument, "--learning-rate", 1e-300, 1e300, &s->train.learning_rate));
    case OPTION_SCHEDULE:
        return cli_check(parse_schedule(argument, &s->train));
    case OPTION_MOMENTUM:
        return cli_check(fim_parse_double(argument, "--momentum", 0, 0.999999, &s->train.momentum));
    case OPTION_NESTEROV:
        s->train.nesterov = true;
        return 0;
    case OPTION_WEIGHT_DECAY:
        return cli_check(fim_parse_double(argument, "--weight-decay", 0, 1e300, &s->train.weight_decay));
    case 'e':
        return cli_check(fim_parse_size(argument, "--epochs", 1, 1000000, &s->train.epochs));
    case 'b':
        return cli_check(fim_parse_size(argument, "--batch", 1, SIZE_MAX, &s->train.batch));
    case OPTION_REDUCTION:
        s->reduction_given = true;
        return cli_check(choose(argument, "--reduction", "sum", "mean", &s->train.mean_outputs));
    case OPTION_PRECISION:
        return cli_check(choose(argument, "--precision", "float32", "float64", &s->train.float64));
    case 'o':
        s->train.folder = argument;
        return 0;
    case OPTION_EVERY:
        return cli_check(
            fim_parse_size(argument, "--checkpoint-every", 1, SIZE_MAX, &s->train.checkpoint_every));
    case OPTION_AT:
        return cli_check(fim_context(parse_iterations(argument, s), "--checkpoint-at"));
    case OPTION_RESUME:
        s->train.resume = true;
        return 0;
    case OPTION_FORMAT:
        return cli_check(choose(argument, "--format", "text", "json", &s->json));
    case ARGP_KEY_ARG:
        return cli_check(FIM_FAIL(FIM_ERR_ARGUMENT, "'%s' belongs to no option", argument));
    case ARGP_KEY_END:
        return cli_check(check_complete(s));
    default:
        return parse_natural(key, argument, s);
    }
}

const struct argp training_argp = {
    .options = options, .parser = parse, .args_doc = "--net NET --data SPEC -o DIR", .doc = doc};
