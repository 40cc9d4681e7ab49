// Natural gradient: the averages of Fisher blocks and their inverses.
//
// At every refresh the layers' samples are captured from a part of the batch and averaged with the past,
//     F̄ <- ψ P + (1 − ψ) F,   ψ = min(1 − 1/k, decay) at the k-th refresh  (Martens & Grosse 2015),
// where P is the approximation of the last average: the new one is built from F̄ by the same code that
// analysis judges, starting where the last one ended. (The published code of arXiv 2201.10285 averages each
// factor by itself; for two terms, whose second pair has an arbitrary sign, that mean approximates nothing in
// particular.)
//
// `exact` keeps no average: it solves with the last samples themselves (exact.c).
#include "natural.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "fim/linalg.h"

typedef struct layer_average {
    fim_op *op;
    gsl_matrix *a, *g; // moments
} layer_average;

struct natural {
    const fim_train_options *options;
    double scale;
    fim_method method;
    size_t n_layers, *layers; // all of them: 0, 1, ...
    size_t *order;            // them again, the dearest first
    size_t refreshes;
    layer_average *averages;
    exact_block *blocks; // of `exact`, instead of averages
    size_t unsolved;     // its iterative solves since the last refresh that did not converge
};

static void average_clear(layer_average *k) {
    fim_op_free(k->op);
    gsl_matrix_free(k->a);
    gsl_matrix_free(k->g);
    *k = (layer_average){0};
}

void natural_free(natural *n) {
    if (n == NULL)
        return;
    for (size_t l = 0; n->averages != NULL && l < n->n_layers; l++)
        average_clear(&n->averages[l]);
    for (size_t l = 0; n->blocks != NULL && l < n->n_layers; l++)
        exact_clear(&n->blocks[l]);
    free(n->averages);
    free(n->blocks);
    free(n->layers);
    free(n->order);
    free(n);
}

// What the eigenproblems of a layer cost, about.
static double cost(const fim_layer *layer) {
    return pow((double)fim_layer_d_a(layer), 3) + pow((double)fim_layer_d_g(layer), 3);
}

fim_status natural_new(const fim_net *net, const fim_train_options *options, double scale, natural **out) {
    natural *n = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(1, sizeof *n, "preconditioners", &n));
    *n = (natural){.options = options, .scale = scale, .n_layers = net->n_layers};
    if (strcmp(options->optimizer, "exact") == 0) {
        FIM_TRY(fim_alloc(net->n_layers, sizeof *n->blocks, "preconditioners", &n->blocks));
    } else {
        FIM_TRY(fim_method_parse(options->optimizer, &n->method));
        FIM_TRY(fim_alloc(net->n_layers, sizeof *n->averages, "preconditioners", &n->averages));
    }
    FIM_TRY(fim_alloc(net->n_layers, sizeof *n->layers, "the list of layers", &n->layers));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *n->order, "the list of layers", &n->order));
    for (size_t l = 0; l < net->n_layers; l++) {
        size_t at = n->layers[l] = l;
        for (; at > 0 && cost(&net->layers[n->order[at - 1]]) < cost(&net->layers[l]); at--)
            n->order[at] = n->order[at - 1];
        n->order[at] = l;
    }
    *out = n;
    return FIM_OK;
out:
    natural_free(n);
    return status;
}

// The samples of the loss times `scale`.
static void scale_outputs(fim_samples *s, double scale) {
    if (s->g != NULL)
        gsl_matrix_scale(s->g, scale);
    if (s->packed != NULL)
        gsl_matrix_scale(s->packed, scale * scale);
    if (s->diagonal != NULL)
        gsl_matrix_scale(s->diagonal, scale * scale);
}

static fim_status average_layer(const natural *n, size_t iteration, const fim_samples *s, layer_average *k,
                                refresh_report *report) {
    const double past = fmin(1 - 1 / (double)(n->refreshes + 1), n->options->average);
    const fim_approx_options build = {.tolerance = n->options->tolerance,
                                      .seed = fim_seed_stream(n->options->seed, iteration),
                                      .previous = n->options->warm_start ? k->op : NULL};
    fim_fisher *fresh = NULL, *mean = NULL;
    layer_average made = {0};
    fim_approx_info info = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_fisher_new(s, &fresh));
    if (k->op != NULL && past > 0)
        FIM_TRY(fim_fisher_new_average(fresh, past, k->op, k->a, k->g, &mean));
    const fim_fisher *block = mean != NULL ? mean : fresh;
    FIM_TRY(fim_matrix_new(s->d_a, s->d_a, "moments", &made.a));
    FIM_TRY(fim_matrix_new(s->d_g, s->d_g, "moments", &made.g));
    FIM_TRY(fim_fisher_moments(block, made.a, made.g));
    status = fim_approx_build(&n->method, block, &build, &made.op, &info);
    report->failed += status == FIM_NOT_CONVERGED;
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    status = FIM_OK;
    gsl_vector_const_view diagonal = gsl_matrix_const_diagonal(made.a);
    fim_op_split(made.op, gsl_vector_sum(&diagonal.vector)); // one damping for all methods
    report->products += info.products;
    report->residual = fmax(report->residual, info.residual);
    average_clear(k);
    *k = made;
    made = (layer_average){0};
out:
    fim_fisher_free(mean);
    fim_fisher_free(fresh);
    average_clear(&made);
    return status;
}

// ---- Layers side by side: their factors are too small to occupy several threads each ----

typedef struct refreshing {
    natural *n;
    size_t iteration;
    fim_samples *samples; // of all layers
    const engine_class *class;
    engine *engine;
    refresh_report *reports; // of all layers
} refreshing;

// work(r, l) for all layers l, and the sum of their reports.
static fim_status each_layer(refreshing *r, fim_status (*work)(void *context, size_t worker, size_t i),
                             refresh_report *report) {
    const natural *n = r->n;
    fim_status status = fim_alloc(n->n_layers, sizeof *r->reports, "reports of layers", &r->reports);
    if (status == FIM_OK)
        status = fim_side_by_side(n->n_layers, fim_linalg_threads(), work, r);
    for (size_t l = 0; status == FIM_OK && l < n->n_layers; l++) {
        const refresh_report *done = &r->reports[l];
        report->products += done->products;
        report->residual = fmax(report->residual, done->residual);
        report->failed += done->failed;
        report->changed += done->changed;
        report->fell_back += done->fell_back;
    }
    free(r->reports);
    return status;
}

static fim_status average_one(void *context, size_t worker, size_t i) {
    (void)worker;
    const refreshing *r = context;
    const size_t l = r->n->order[i];
    scale_outputs(&r->samples[l], r->n->scale);
    return fim_context(average_layer(r->n, r->iteration, &r->samples[l], &r->n->averages[l], &r->reports[l]),
                       "layer %zu", l);
}

static fim_status take_exactly(natural *n, fim_samples *samples) {
    for (size_t l = 0; l < n->n_layers; l++) {
        scale_outputs(&samples[l], n->scale);
        const fim_status status =
            exact_take(&n->blocks[l], &samples[l], n->options->inverse.damping, n->options->budget);
        if (status != FIM_OK)
            return fim_context(status, "layer %zu", l);
    }
    return FIM_OK;
}

fim_status natural_average(natural *n, const fim_net *net, const fim_data *data, size_t iteration,
                           refresh_report *report) {
    refreshing r = {.n = n, .iteration = iteration};
    fim_fisher_spec spec = n->options->fisher;
    spec.seed = fim_seed_stream(n->options->seed, iteration);
    fim_status status = fim_alloc(n->n_layers, sizeof *r.samples, "samples", &r.samples);
    if (status != FIM_OK)
        return status;
    FIM_TRY(
        fim_fisher_capture(net, data, &spec, n->layers, n->n_layers, n->options->budget, NULL, r.samples));
    FIM_TRY(n->blocks != NULL ? take_exactly(n, r.samples) : each_layer(&r, average_one, report));
    report->failed += n->unsolved;
    n->unsolved = 0;
    n->refreshes++;
out:
    for (size_t l = 0; l < n->n_layers; l++)
        fim_samples_clear(&r.samples[l]);
    free(r.samples);
    return status;
}

static fim_status solve_exactly(void *context, size_t layer, const gsl_matrix *x, gsl_matrix *y) {
    natural *n = context;
    fim_solve_info info;
    fim_status status = fim_solver_solve(n->blocks[layer].solver, x, false, y, &info);
    n->unsolved += status == FIM_NOT_CONVERGED; // the best solution found is a direction all the same
    return status == FIM_NOT_CONVERGED ? FIM_OK : fim_context(status, "layer %zu", layer);
}

static fim_status precondition_one(void *context, size_t worker, size_t i) {
    (void)worker;
    const refreshing *r = context;
    const size_t l = r->n->order[i];
    fim_inverse inverse = {0};
    fim_status status = fim_inverse_init(r->n->averages[l].op, &r->n->options->inverse, &inverse);
    if (status != FIM_OK)
        return fim_context(status, "layer %zu", l);
    r->reports[l].changed = inverse.changed;
    r->reports[l].fell_back = inverse.fell_back;
    status = r->class->precondition(r->engine, l, &inverse);
    fim_inverse_clear(&inverse);
    return status;
}

fim_status natural_precondition(natural *n, const engine_class *class, engine *e, refresh_report *report) {
    refreshing r = {.n = n, .class = class, .engine = e};
    if (n->blocks == NULL)
        return each_layer(&r, precondition_one, report);
    class->solve_with(e, (engine_solver){n, solve_exactly});
    return FIM_OK;
}

// ---- What a continuation needs ----

static fim_status keep_matrix(void *context, const char *name, const gsl_matrix *matrix) {
    gsl_matrix *copy = NULL;
    fim_status status = fim_matrix_copy(matrix, "the state of training", &copy);
    return status == FIM_OK ? fim_record_set_table(context, name, copy) : status;
}

fim_status natural_save(const natural *n, fim_record *out) {
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set(out, "refreshes", (double)n->refreshes, NULL));
    for (size_t l = 0; n->refreshes > 0 && l < n->n_layers; l++) {
        fim_record *child = NULL;
        char name[32];
        snprintf(name, sizeof name, "%zu", l);
        FIM_TRY(fim_record_add_child(out, name, &child));
        if (n->blocks != NULL) {
            FIM_TRY(exact_save(&n->blocks[l], child));
            continue;
        }
        const layer_average *k = &n->averages[l];
        FIM_TRY(fim_record_set_text(child, "kind", fim_op_kind(k->op)));
        FIM_TRY(keep_matrix(child, "moment_a", k->a));
        FIM_TRY(keep_matrix(child, "moment_g", k->g));
        FIM_TRY(fim_op_visit(k->op, keep_matrix, child));
    }
out:
    return status;
}

// A copy of the table of that name, which must be (rows, columns); *out stays NULL when there is none.
static fim_status take_matrix(const fim_record *in, const char *name, size_t rows, size_t columns,
                              gsl_matrix **out) {
    const fim_table *table = fim_record_table(in, name);
    if (table == NULL)
        return FIM_OK;
    if (table->values->size1 != rows || table->values->size2 != columns)
        return FIM_FAIL(FIM_ERR_SHAPE, "the state's matrix %s is (%zu, %zu), expected (%zu, %zu)", name,
                        table->values->size1, table->values->size2, rows, columns);
    return fim_matrix_copy(table->values, "the state of training", out);
}

enum { MOST_TERMS = 2 };

static fim_status load_op(const fim_record *in, size_t d_a, size_t d_g, fim_op **out) {
    const char *kind = fim_record_text(in, "kind");
    gsl_matrix *a[MOST_TERMS] = {NULL}, *g[MOST_TERMS] = {NULL}, *lambda = NULL;
    size_t terms = 0;
    fim_status status = FIM_OK;
    if (kind != NULL && strcmp(kind, "basis") == 0) {
        FIM_TRY(take_matrix(in, "u_a", d_a, d_a, &a[0]));
        FIM_TRY(take_matrix(in, "u_g", d_g, d_g, &g[0]));
        FIM_TRY(take_matrix(in, "lambda", d_a, d_g, &lambda));
        if (lambda == NULL)
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "the state has no matrix lambda"));
        status = fim_op_new_basis(a[0], g[0], lambda, out); // takes them over in any case
        a[0] = g[0] = lambda = NULL;
        goto out;
    }
    for (; terms < MOST_TERMS; terms++) {
        char name[32];
        snprintf(name, sizeof name, "a_%zu", terms);
        FIM_TRY(take_matrix(in, name, d_a, d_a, &a[terms]));
        snprintf(name, sizeof name, "g_%zu", terms);
        FIM_TRY(take_matrix(in, name, d_g, d_g, &g[terms]));
        if (a[terms] == NULL || g[terms] == NULL)
            break;
    }
    if (terms == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "the state has no matrices a_0 and g_0"));
    status = fim_op_new_kronecker(terms, a, g, out);
    for (size_t k = 0; k < terms; k++)
        a[k] = g[k] = NULL;
out:
    for (size_t k = 0; k < MOST_TERMS; k++) {
        gsl_matrix_free(a[k]);
        gsl_matrix_free(g[k]);
    }
    gsl_matrix_free(lambda);
    return status;
}

static fim_status load_layer(const fim_record *in, const fim_layer *layer, layer_average *k) {
    const size_t d_a = fim_layer_d_a(layer), d_g = fim_layer_d_g(layer);
    layer_average made = {0};
    fim_status status = FIM_OK;
    FIM_TRY(take_matrix(in, "moment_a", d_a, d_a, &made.a));
    FIM_TRY(take_matrix(in, "moment_g", d_g, d_g, &made.g));
    if (made.a == NULL || made.g == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "the state has no moments"));
    FIM_TRY(load_op(in, d_a, d_g, &made.op));
    average_clear(k);
    *k = made;
    return FIM_OK;
out:
    average_clear(&made);
    return status;
}

fim_status natural_load(natural *n, const fim_net *net, const fim_record *in) {
    fim_status status = FIM_OK;
    const fim_value *refreshes = fim_record_value(in, "refreshes");
    if (refreshes == NULL || !(refreshes->value >= 0 && refreshes->value < 0x1p53))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound value refreshes");
    for (size_t l = 0; refreshes->value > 0 && l < n->n_layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "%zu", l);
        const fim_record *child = fim_record_child(in, name);
        if (child == NULL)
            return FIM_FAIL(FIM_ERR_FORMAT, "the state has no group natural/%zu", l);
        const fim_layer *layer = &net->layers[l];
        status = n->blocks != NULL
                     ? exact_load(&n->blocks[l], child, fim_layer_d_a(layer), fim_layer_d_g(layer),
                                  n->options->inverse.damping, n->options->budget)
                     : load_layer(child, layer, &n->averages[l]);
        FIM_TRY(fim_context(status, "layer %zu", l));
    }
    n->refreshes = (size_t)refreshes->value;
out:
    return status;
}
