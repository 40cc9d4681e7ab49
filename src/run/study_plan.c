// The plan of a study: what it would do, by which route, and what that costs. Counts per layer, with N
// samples, D = d_a d_g, p = d(d+1)/2, in the frame of the samples r = min(N, d_a):
//
//   exact covariances  2 columns Σ d_k d_{k-1} on the way, columns · d_g² for a packed G_n, N of them
//   Gram matrices      N² (d_a + p_g) packed, N² (d_a + C² d_g) as rows: ‖F‖, and the core of the samples
//   Kronecker values   30 N³ by the core, else 4 p_a p_g min(p_a, p_g)
//   R(F) product       2 N d_a² and, of the outputs, 2 N C d_g² as rows, 8 N p_g bytes packed
//   F x                4 N r d_g and 4 N C d_g as rows, 8 N p_g bytes packed, 4 N Σ d_k d_{k-1} by layers
//   F in a basis       2 N (d_a² + C d_g²) as rows, 2 N d_g³ packed, and 2 N D
//   F̂ x                2 r d_g (r + d_g) a Kronecker term, twice that in a basis
//   eigenvalues        4/3 n³ dense, at a quarter of the rate of products; else so many products:
//                      20 of the norm, 100 of 20 and 190 of 50 leading ones, 80 of the smallest; those of F̂
//                      alone leave out its first term (small_op_turned)
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

enum {
    NORM_PRODUCTS = 20,
    NORM_BASIS = 20,
    SMALLEST_PRODUCTS = 80,
    SMALLEST_BASIS = 40,
    TRIPLET_PRODUCTS = 3,
    DENSE_SLOWDOWN = 4 // of eigensolvers, against products
};

static const double ORTHOGONALIZED = 0.6; // of the steps of a Lanczos process, about

typedef struct planner {
    const fim_study_options *options;
    double flop_rate, byte_rate;
    fim_plan_row *rows;
    size_t count;
    // The layer at hand.
    size_t layer, n_samples;
    fim_capture_plan samples;
    double n, d_a, d_g, p_a, p_g, frame; // frame: r
} planner;

static void add(planner *p, const char *quantity, double flops, double traffic, double bytes, double slowdown,
                const char *route) {
    fim_plan_row *row = &p->rows[p->count++];
    *row = (fim_plan_row){.layer = p->layer, .flops = flops, .traffic = traffic, .bytes = (size_t)bytes};
    row->seconds = fmax(slowdown * flops / p->flop_rate, traffic / p->byte_rate);
    row->most = row->seconds;
    snprintf(row->quantity, sizeof row->quantity, "%s", quantity);
    snprintf(row->route, sizeof row->route, "%s", route);
}

static double output_flops(const planner *p, double per_row, double diagonal) {
    return p->samples.columns > 0 ? per_row * (double)p->samples.columns : p->samples.packed ? 0 : diagonal;
}

static double packed_bytes(const planner *p) {
    return p->samples.packed ? 8 * p->n * p->p_g : 0;
}

// A product with F, and one with F̂ of so many matrix products, in the frame, with Gram-Schmidt on a basis.
static void iterate(planner *p, const char *quantity, bool with_f, double op_flops, double products,
                    double basis) {
    const double d = p->frame * p->d_g;
    const bool chain = p->samples.chain;
    double flops = op_flops, traffic = 8 * ORTHOGONALIZED * basis * d;
    char route[96];
    if (with_f) {
        flops += 4 * p->n * d +
                 (chain ? p->samples.chain_flops : output_flops(p, 4 * p->n * p->d_g, p->n * p->d_g));
        traffic += chain ? 0 : packed_bytes(p);
    }
    snprintf(route, sizeof route, "Lanczos in a frame of %.0f x %.0f, about %.0f products", p->frame, p->d_g,
             products);
    add(p, quantity, products * flops, products * traffic, 8 * 2 * basis * d, 1, route);
}

static void solve_dense(planner *p, const char *quantity, double n) {
    add(p, quantity, 4.0 / 3 * n * n * n, 0, 8 * n * n, DENSE_SLOWDOWN, "dense eigensolver");
}

// The leading eigenvalues, as many as the policy takes. Where the block fits the budget, dead units may leave
// a matrix small enough for the largest solve allowed: only the samples will tell.
static void iterate_leading(planner *p, const char *quantity, bool with_f, double op_flops,
                            double largest_solve) {
    const bool few = p->options->spectra.policy == FIM_SPECTRA_AUTO;
    const double d = p->d_a * p->d_g;
    iterate(p, quantity, with_f, op_flops, few ? 100 : 190, few ? 60 : 120);
    if (!few || largest_solve == 0 || 8 * d * d > (double)p->options->budget)
        return;
    fim_plan_row *row = &p->rows[p->count - 1];
    const size_t end = strlen(row->route);
    row->most = fmax(row->seconds, DENSE_SLOWDOWN * largest_solve / p->flop_rate);
    snprintf(row->route + end, sizeof row->route - end, ", or dense");
}

static void plan_block(planner *p, double largest_solve) {
    const double n = p->n, columns = (double)p->samples.columns;
    const double gram = n * n *
                        (p->d_a + (p->samples.packed ? p->p_g
                                   : columns > 0     ? columns * columns * p->d_g
                                                     : p->d_g));
    const bool core = n < p->p_a && n < p->p_g, whole = n >= p->p_a && n >= p->p_g;
    add(p, "norm", whole ? 2 * n * p->p_a * p->p_g : gram, 0,
        whole ? fmin(8 * p->p_a * p->p_g, fmax((double)p->samples.bytes / 4, 8e6)) : 16 * n * n, 1,
        whole ? "rows of the rearranged block" : "Gram matrices of the samples");
    const double least = fmin(p->p_a, p->p_g);
    if (core)
        add(p, "Kronecker spectrum", 30 * n * n * n, 0, 64 * n * n, 2, "the core of the samples");
    else
        add(p, "Kronecker spectrum", 2 * n * p->p_a * p->p_g + 4 * p->p_a * p->p_g * least, 0,
            16 * p->p_a * p->p_g, 4, "singular values of the rearranged block");
    if (p->options->n_metrics == 0)
        return;
    const double d = p->d_a * p->d_g, rows = columns > 0 ? fmin(d, n * columns) : d;
    if (p->samples.diagonal)
        add(p, "eigenvalues of F", p->d_g * 4 / 3 * pow(fmin(n, p->d_a), 3), 0, 8 * n * p->d_a, 4,
            "a block for every independent output");
    else if (4.0 / 3 * rows * rows * rows <= largest_solve)
        solve_dense(p, "eigenvalues of F", rows);
    else
        iterate_leading(p, "eigenvalues of F", true, 0, rows < d ? 0 : largest_solve);
}

static void plan_method(planner *p, const fim_method *method, double largest_solve) {
    const char *name = method->name;
    const bool diagonal = strcmp(name, "diagonal") == 0, basis = strstr(name, "ekfac") != NULL;
    const size_t terms = method->rank > 1 ? method->rank : 1;
    const bool iterative = method->approx->takes_rank || strcmp(name, "deflation") == 0 ||
                           strcmp(name, "lanczos") == 0 || strcmp(name, "kfac-corrected") == 0;
    const double product = p->n * p->d_a * p->d_a + output_flops(p, p->n * p->d_g * p->d_g, p->n * p->d_g);
    const double rotation =
        2 * p->n * p->d_a * p->d_g + 2 * p->n * p->d_a * p->d_a +
        (p->samples.packed ? 2 * p->n * pow(p->d_g, 3)
                           : output_flops(p, 2 * p->n * p->d_g * p->d_g, 2 * p->n * p->d_g));
    const double factors = 8 * (p->d_a * p->d_a + p->d_g * p->d_g), d = p->d_a * p->d_g;
    const double one = 2 * p->frame * p->d_g * (p->frame + p->d_g);
    char quantity[48];
    snprintf(quantity, sizeof quantity, "%.30s: build", name);
    if (diagonal)
        add(p, quantity, 2 * p->n * d, 0, 8 * d, 1, "a product of squares");
    else if (basis)
        add(p, quantity, product + rotation + 9 * (pow(p->d_a, 3) + pow(p->d_g, 3)), packed_bytes(p),
            factors + 8 * d, 1, "eigenbases of the factors, rotated covariances");
    else if (iterative)
        add(p, quantity, TRIPLET_PRODUCTS * (double)terms * product,
            TRIPLET_PRODUCTS * (double)terms * packed_bytes(p), 3 * (double)terms * factors, 1,
            "the core of the samples, polished by products with R(F)");
    else
        add(p, quantity, product, packed_bytes(p), factors, 1, "sums over samples");
    for (size_t i = 0; i < p->options->n_metrics; i++) {
        const char *metric = p->options->metrics[i]->name;
        snprintf(quantity, sizeof quantity, "%.20s: %.24s", name, metric);
        if (strcmp(metric, "frobenius_error") == 0 && (diagonal || basis))
            add(p, quantity, 2 * d, 0, 8 * d, 1, "an inner product that the build has made");
        else if (strcmp(metric, "frobenius_error") == 0)
            add(p, quantity, (double)terms * product, packed_bytes(p), factors, 1, "inner products");
        if (strcmp(metric, "spectral_norm_error") == 0)
            iterate(p, quantity, true,
                    diagonal ? p->frame * p->d_g
                    : basis  ? 2 * one
                             : (double)terms * one,
                    NORM_PRODUCTS, NORM_BASIS);
        if (strcmp(metric, "spectrum_error") == 0 && terms == 1)
            add(p, quantity, basis || diagonal ? 0 : 4.0 / 3 * (pow(p->d_a, 3) + pow(p->d_g, 3)), 0, 8 * d, 4,
                "structure gives all eigenvalues");
        else if (strcmp(metric, "spectrum_error") == 0 && 4.0 / 3 * d * d * d <= largest_solve)
            solve_dense(p, quantity, d);
        else if (strcmp(metric, "spectrum_error") == 0)
            iterate_leading(p, quantity, false, (double)(terms - 1) * one, largest_solve);
        if (strcmp(metric, "min_eigenvalue") == 0 && terms > 1 && 4.0 / 3 * d * d * d > largest_solve)
            iterate(p, quantity, false, (double)(terms - 1) * one, SMALLEST_PRODUCTS, SMALLEST_BASIS);
    }
}

static fim_status plan_layer(planner *p, const fim_net *net, size_t layer, size_t together,
                             double largest_solve) {
    char route[96];
    fim_status status = fim_fisher_capture_plan(net, &p->options->fisher, layer, p->n_samples, &p->samples);
    if (status != FIM_OK)
        return status;
    p->layer = layer;
    p->n = (double)p->n_samples;
    p->d_a = (double)fim_layer_d_a(&net->layers[layer]);
    p->d_g = (double)fim_layer_d_g(&net->layers[layer]);
    p->p_a = p->d_a * (p->d_a + 1) / 2;
    p->p_g = p->d_g * (p->d_g + 1) / 2;
    p->frame = fmin(p->n, p->d_a);
    const bool alone = p->samples.bytes <= p->options->budget / 2;
    snprintf(route, sizeof route, "%s, %s",
             p->samples.columns > 0 ? "rows"
             : p->samples.packed    ? "packed covariances"
                                    : "diagonal covariances",
             together <= p->options->budget ? "with all layers"
             : alone                        ? "this layer alone"
                                            : "streamed: captured anew for every product");
    add(p, "samples", p->samples.flops + 2 * p->n * (double)fim_net_parameters(net), 0,
        alone || together <= p->options->budget ? (double)p->samples.bytes : (double)p->options->budget / 2,
        1, route);
    plan_block(p, largest_solve);
    for (size_t i = 0; i < p->options->n_methods; i++)
        plan_method(p, &p->options->methods[i], largest_solve);
    return FIM_OK;
}

fim_status fim_study_plan(const fim_study_options *options, const fim_net *net, size_t rows, double flop_rate,
                          double byte_rate, fim_plan_row **out, size_t *count) {
    planner p = {.options = options, .flop_rate = flop_rate, .byte_rate = byte_rate};
    size_t *layers = NULL, n_layers = 0, together = 0;
    study_solves solves = {0};
    fim_study_options allotted = *options;
    fim_status status = FIM_OK;
    const size_t usual = rows < STUDY_SAMPLES ? rows : STUDY_SAMPLES;
    p.n_samples = options->samples > 0 ? options->samples : usual;
    if (p.n_samples > rows)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%zu samples were asked for, the data hold %zu", p.n_samples, rows);
    FIM_TRY(fim_study_layers(options->layers, net->n_layers, &layers, &n_layers));
    FIM_TRY(fim_alloc(n_layers * (4 + options->n_methods * (1 + options->n_metrics)), sizeof *p.rows,
                      "a plan", &p.rows));
    FIM_TRY(study_solves_init(&solves, options, n_layers));
    for (size_t i = 0; i < n_layers; i++) {
        fim_capture_plan plan;
        FIM_TRY(fim_fisher_capture_plan(net, &options->fisher, layers[i], p.n_samples, &plan));
        together = fim_size_add(together, plan.bytes);
        study_solves_add(&solves,
                         fim_layer_d_a(&net->layers[layers[i]]) * fim_layer_d_g(&net->layers[layers[i]]),
                         plan.columns > 0 ? p.n_samples * plan.columns : SIZE_MAX);
    }
    study_solves_allot(&solves, &allotted);
    const double largest = options->spectra.policy == FIM_SPECTRA_FULL      ? HUGE_VAL
                           : options->spectra.policy == FIM_SPECTRA_LEADING ? 0
                                                                            : allotted.spectra.flops;
    for (size_t i = 0; i < n_layers; i++)
        FIM_TRY(plan_layer(&p, net, layers[i], together, largest));
    *out = p.rows;
    *count = p.count;
    p.rows = NULL;
out:
    free(p.rows);
    free(layers);
    study_solves_clear(&solves);
    return status;
}
