// Samples of chosen layers, captured from a network chunk by chunk: one forward pass, the output factor at
// the logits, and its way down as plan.c found it cheapest.
//
// For `exact` the factor at the logits is B_n with B_n B_nᵀ = Cov ∂(−log p)/∂z (C columns); for `mc:K` the K
// gradients at drawn labels over √K; for `empirical` the one gradient at the data's label. What arrives at a
// layer is kept as rows g_nc when they are fewer numbers than svec(G_n), and as svec(G_n) otherwise.
#include <gsl/gsl_blas.h>
#include <gsl/gsl_math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "chain.h"

// All that chunks take on their way: large enough for a matrix product's full speed. Side by side they have
// so many rows at least, and are so many for each thread.
enum { CHUNK_BYTES = 384 << 20, CHUNK_ROWS = 256, CHUNKS_EACH = 4 };

static gsl_matrix_view rows_of(gsl_matrix *m, size_t first, size_t count) {
    return gsl_matrix_submatrix(m, first, 0, count, m->size2);
}

// svec(Σ_c g_nc g_ncᵀ) into rows first.. of packed.
static fim_status pack(const gsl_matrix *rows, size_t columns, size_t first, size_t n, gsl_matrix *packed) {
    gsl_matrix *g = NULL;
    fim_status status = fim_matrix_new(rows->size2, rows->size2, "an output covariance", &g);
    if (status != FIM_OK)
        return status;
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_const_view b = gsl_matrix_const_submatrix(rows, r * columns, 0, columns, rows->size2);
        gsl_blas_dsyrk(CblasUpper, CblasTrans, 1, &b.matrix, 0, g);
        fim_svec_pack(g, packed->data + (first + r) * packed->tda);
    }
    gsl_matrix_free(g);
    return FIM_OK;
}

// svec(J B Bᵀ Jᵀ) from the rows J B of live outputs, into rows of zeros.
static fim_status pack_live(const capture *c, size_t d, size_t first, size_t n, gsl_matrix *packed) {
    const size_t outputs = fim_net_outputs(c->net);
    gsl_matrix *square = NULL;
    fim_status status = fim_matrix_new(d, d, "an output covariance", &square);
    if (status != FIM_OK)
        return status;
    for (size_t r = 0; r < n; r++) {
        const size_t live = c->n_live[r], *index = c->live + r * d;
        double *out = packed->data + (first + r) * packed->tda;
        if (live > 0)
            cblas_dsyrk(CblasRowMajor, CblasUpper, CblasNoTrans, (int)live, (int)outputs, 1,
                        c->arrived + r * c->most * outputs, (int)outputs, 0, square->data, (int)d);
        for (size_t i = 0; i < live; i++) {
            const double *from = square->data + i * d;
            double *to = out + index[i] * d - index[i] * (index[i] + 1) / 2; // entry (index[i], j) is to[j]
            to[index[i]] = from[i];
            for (size_t j = i + 1; j < live; j++)
                to[index[j]] = M_SQRT2 * from[j];
        }
    }
    gsl_matrix_free(square);
    return FIM_OK;
}

// The logits of independent outputs have a diagonal G_n: the squares of B_nᵀ 1.
static fim_status store_diagonal(const capture *c, size_t first, size_t n, gsl_matrix *diagonal) {
    gsl_matrix *b = NULL;
    fim_status status = fim_matrix_new(diagonal->size2, 1, "the diagonal of a factor", &b);
    for (size_t r = 0; status == FIM_OK && r < n; r++) {
        gsl_vector_const_view z = gsl_matrix_const_row(c->trace.s[capture_top(c)], r);
        gsl_matrix_set_all(b, 1);
        status = fim_likelihood_factor(c->net->likelihood, z.vector.data, b);
        for (size_t j = 0; j < diagonal->size2; j++)
            gsl_matrix_set(diagonal, first + r, j, gsl_pow_2(gsl_matrix_get(b, j, 0)));
    }
    gsl_matrix_free(b);
    return status;
}

static fim_status store(const capture *c, size_t l, size_t first, size_t n, size_t columns, bool compact,
                        fim_samples *out) {
    gsl_matrix_view a = rows_of(out->a, first, n);
    gsl_matrix_const_view source = gsl_matrix_const_submatrix(c->trace.a[l], 0, 0, n, out->d_a);
    gsl_matrix_memcpy(&a.matrix, &source.matrix);
    if (out->chain != NULL)
        chain_fill(out->chain, c->net, l, &c->trace, first, n);
    if (out->diagonal != NULL)
        return store_diagonal(c, first, n, out->diagonal);
    if (out->packed != NULL)
        return compact ? pack_live(c, out->d_g, first, n, out->packed)
                       : pack(c->factor[l], columns, first, n, out->packed);
    gsl_matrix_view g = rows_of(out->g, first * columns, n * columns);
    gsl_matrix_const_view rows = gsl_matrix_const_submatrix(c->factor[l], 0, 0, n * columns, out->d_g);
    gsl_matrix_memcpy(&g.matrix, &rows.matrix);
    return FIM_OK;
}

static fim_status capture_chunk(capture *c, const size_t *layers, size_t n_layers, size_t first, size_t n,
                                fim_samples *out) {
    gsl_matrix_const_view x = gsl_matrix_const_submatrix(c->data->x, first, 0, n, c->data->x->size2);
    fim_status status = fim_net_forward(c->net, &x.matrix, &c->trace);
    if (status == FIM_OK)
        status = capture_logits(c, first, n);
    size_t next = n_layers; // requested layers still to be stored, from the top down
    for (size_t l = c->net->n_layers; status == FIM_OK && l-- > 0;) {
        const capture_step *step = &c->steps[l];
        if (!step->needed)
            continue;
        const bool requested = next > 0 && layers[next - 1] == l;
        // Of a layer that nobody goes on from, and that keeps packed G_n, rows are not needed.
        const bool compact = capture_straight(c, l) && !step->waypoint && out[next - 1].packed != NULL;
        if (l < capture_top(c))
            status = capture_arrive(c, l, n, compact);
        const bool square =
            step->kept < step->columns && (step->waypoint || (requested && out[next - 1].columns > 0));
        if (status == FIM_OK && square)
            status = capture_compress(c, l, n);
        if (status == FIM_OK && requested) {
            next--;
            status = store(c, l, first, n, square ? step->kept : step->columns, compact, &out[next]);
        }
    }
    return status;
}

typedef enum output_form { OUTPUTS_ROWS, OUTPUTS_PACKED, OUTPUTS_DIAGONAL } output_form;

// Rows up to which a product with them is as fast as one with packed covariances.
enum { FEW_ROWS = 12 };

// How the G_n of a layer whose factor keeps `kept` columns are held. A product takes 2 kept d_g² flops with
// rows, and reads d_g² / 2 numbers of a packed G_n: few rows are kept where they are smaller, many where they
// are half of it.
static output_form form_of(const fim_net *net, const fim_fisher_spec *spec, size_t layer, size_t kept) {
    if (layer + 1 == net->n_layers && spec->kind == FIM_FISHER_EXACT &&
        fim_likelihood_independent(net->likelihood))
        return OUTPUTS_DIAGONAL;
    const size_t rows = kept <= FEW_ROWS ? 2 * kept : 4 * kept;
    return rows <= fim_layer_d_g(&net->layers[layer]) + 1 ? OUTPUTS_ROWS : OUTPUTS_PACKED;
}

// Products with a wide layer's packed G_n are better made through the layers above it.
static bool chained(const fim_net *net, const fim_fisher_spec *spec, size_t layer, output_form form) {
    return form == OUTPUTS_PACKED && spec->kind == FIM_FISHER_EXACT && layer + 1 < net->n_layers &&
           chain_pays(net, layer);
}

static size_t samples_bytes(const fim_net *net, size_t layer, size_t kept, output_form form, size_t n) {
    const size_t d_a = fim_layer_d_a(&net->layers[layer]), d_g = fim_layer_d_g(&net->layers[layer]);
    const size_t outputs = form == OUTPUTS_DIAGONAL ? d_g
                           : form == OUTPUTS_ROWS   ? fim_size_mul(kept, d_g)
                                                    : fim_svec_size(d_g);
    return fim_size_mul(fim_size_mul(n, fim_size_add(d_a, outputs)), sizeof(double));
}

static size_t columns_of(const fim_net *net, const fim_fisher_spec *spec) {
    return spec->kind == FIM_FISHER_EXACT ? fim_net_outputs(net)
           : spec->kind == FIM_FISHER_MC  ? spec->draws
                                          : 1;
}

fim_status fim_fisher_capture_plan(const fim_net *net, const fim_fisher_spec *spec, size_t layer, size_t n,
                                   fim_capture_plan *out) {
    capture_step *steps = NULL;
    fim_status status = fim_alloc(net->n_layers, sizeof *steps, "a capture's plan", &steps);
    if (status != FIM_OK)
        return status;
    FIM_TRY(plan_capture(net, &layer, 1, columns_of(net, spec), spec->kind == FIM_FISHER_EXACT, steps));
    const size_t kept = steps[layer].kept;
    const output_form form = form_of(net, spec, layer, kept);
    const double d_g = (double)fim_layer_d_g(&net->layers[layer]);
    *out = (fim_capture_plan){.columns = form == OUTPUTS_ROWS ? kept : 0,
                              .packed = form == OUTPUTS_PACKED,
                              .diagonal = form == OUTPUTS_DIAGONAL,
                              .chain = chained(net, spec, layer, form),
                              .bytes = samples_bytes(net, layer, kept, form, n),
                              .flops = (double)n * steps[layer].flops};
    if (form == OUTPUTS_PACKED) // a symmetric product of the columns that arrive
        out->flops += (double)n * (double)steps[layer].columns * d_g * d_g;
    for (size_t l = layer + 1; l < net->n_layers; l++)
        out->chain_flops += 4 * (double)n * (double)fim_layer_d_g(&net->layers[l]) *
                            (double)fim_layer_inputs(&net->layers[l]);
out:
    free(steps);
    return status;
}

fim_status fim_fisher_capture_bytes(const fim_net *net, const fim_fisher_spec *spec, size_t layer, size_t n,
                                    size_t *out) {
    fim_capture_plan plan;
    fim_status status = fim_fisher_capture_plan(net, spec, layer, n, &plan);
    if (status == FIM_OK)
        *out = plan.bytes;
    return status;
}

// True where the rows of layer l are made.
static bool has_factor(const capture *c, size_t l) {
    return c->steps[l].needed && (l < capture_top(c) || c->steps[l].waypoint || !capture_diagonal(c));
}

// The most tangents that a sample sends forward from a layer.
static size_t most_tangents(const capture *c) {
    size_t most = 0;
    for (size_t l = 0; l < capture_top(c); l++)
        if (c->steps[l].needed && c->steps[l].forward && fim_layer_d_g(&c->net->layers[l]) > most)
            most = fim_layer_d_g(&c->net->layers[l]);
    return most;
}

// What a sample takes until it is stored, in numbers: its trace and its loss, its live outputs, tangents at
// both ends of a hop, the rows of all layers, and the two buffers of the largest hop over layers between.
static size_t numbers_on_the_way(const capture *c, size_t widest) {
    size_t numbers = widest + 2 + 2 * most_tangents(c) * widest, buffers = 0;
    for (size_t l = 0; l < c->net->n_layers; l++) {
        const capture_step *step = &c->steps[l];
        const fim_layer *layer = &c->net->layers[l];
        const size_t d_g = fim_layer_d_g(layer), rows = step->forward ? d_g : step->columns;
        numbers += fim_layer_d_a(layer) + 2 * d_g;
        if (has_factor(c, l))
            numbers += step->columns * d_g;
        if (step->needed && step->from > l + 1 && 2 * rows * widest > buffers)
            buffers = 2 * rows * widest;
    }
    return numbers + buffers;
}

// What the layers keep; *left is the budget without it.
static fim_status allocate_samples(const capture *c, const size_t *layers, size_t n_layers, size_t budget,
                                   size_t *left, fim_samples *out) {
    const size_t n = c->data->x->size1;
    size_t bytes = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < n_layers; i++) {
        const fim_layer *layer = &c->net->layers[layers[i]];
        const size_t d_a = fim_layer_d_a(layer), d_g = fim_layer_d_g(layer), kept = c->steps[layers[i]].kept;
        const output_form form = form_of(c->net, c->spec, layers[i], kept);
        out[i] = (fim_samples){.n = n, .d_a = d_a, .d_g = d_g, .columns = form == OUTPUTS_ROWS ? kept : 0};
        bytes = fim_size_add(bytes, samples_bytes(c->net, layers[i], kept, form, n));
        char what[64];
        snprintf(what, sizeof what, "the samples up to layer %zu", layers[i]);
        FIM_TRY(fim_budget_check(budget, bytes, what, "take fewer with --samples, fewer --layers, or mc:1"));
        FIM_TRY(fim_matrix_new(n, d_a, "layer inputs", &out[i].a));
        if (form == OUTPUTS_DIAGONAL)
            FIM_TRY(fim_matrix_new(n, d_g, "output variances", &out[i].diagonal));
        else if (form == OUTPUTS_ROWS)
            FIM_TRY(fim_matrix_new(n * kept, d_g, "backward signals", &out[i].g));
        else
            FIM_TRY(fim_matrix_new(n, fim_svec_size(d_g), "output covariances", &out[i].packed));
        const size_t chain = chain_bytes(c->net, layers[i], n);
        if (chained(c->net, c->spec, layers[i], form) && fim_size_add(bytes, chain) <= budget) {
            bytes += chain;
            FIM_TRY(chain_new(c->net, layers[i], n, &out[i].chain));
        }
    }
    *left = budget - bytes;
out:
    return status;
}

// Several chunks at a time, each on a thread, or one after the other with threads in its products: chunks of
// too few rows are slow, and too few chunks leave threads idle. Returns how many go at a time; sets c->chunk.
static size_t share_out(capture *c, size_t widest, size_t budget) {
    const size_t n = c->data->x->size1, threads = fim_linalg_threads();
    const size_t room = (budget < CHUNK_BYTES ? budget : CHUNK_BYTES) / sizeof(double);
    const size_t most = room / numbers_on_the_way(c, widest);
    const size_t columns = c->steps[capture_top(c)].columns, tangents = most_tangents(c);
    const size_t rows = tangents > columns ? tangents : columns, least = (CHUNK_ROWS + rows - 1) / rows;
    const size_t even = n / (CHUNKS_EACH * threads),
                 side_by_side = even < most / threads ? even : most / threads;
    if (threads > 1 && side_by_side >= least) {
        c->chunk = side_by_side;
        return threads;
    }
    c->chunk = most < 1 ? 1 : most > n ? n : most;
    return 1;
}

static void passage_clear(capture *c) {
    for (size_t l = 0; c->factor != NULL && l < c->net->n_layers; l++)
        gsl_matrix_free(c->factor[l]);
    free(c->factor);
    gsl_matrix_free(c->start);
    gsl_matrix_free(c->tangents);
    free(c->live);
    free(c->n_live);
    fim_trace_clear(&c->trace);
}

// What a chunk takes on its way.
static fim_status passage_init(capture *c, size_t widest) {
    const size_t tangents = most_tangents(c);
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(c->net->n_layers, sizeof *c->factor, "output factors", &c->factor));
    FIM_TRY(fim_trace_init(&c->trace, c->net, c->chunk));
    FIM_TRY(fim_alloc(fim_size_mul(c->chunk, widest), sizeof *c->live, "live outputs", &c->live));
    FIM_TRY(fim_alloc(c->chunk, sizeof *c->n_live, "live outputs", &c->n_live));
    if (tangents > 0) {
        FIM_TRY(fim_matrix_new(c->chunk * tangents, widest, "tangents", &c->start));
        FIM_TRY(fim_matrix_new(c->chunk * tangents, widest, "tangents", &c->tangents));
    }
    for (size_t l = 0; l < c->net->n_layers; l++)
        if (has_factor(c, l))
            FIM_TRY(fim_matrix_new(c->chunk * c->steps[l].columns, fim_layer_d_g(&c->net->layers[l]),
                                   "output factors", &c->factor[l]));
out:
    return status;
}

// Chunks on their way, each in the passage of its worker.
typedef struct crossing {
    capture *passages;
    const size_t *layers;
    size_t n_layers, done;
    const fim_monitor *monitor;
    fim_samples *samples;
} crossing;

static fim_status cross(void *context, size_t worker, size_t i) {
    crossing *k = context;
    const size_t chunk = k->passages->chunk, n = k->passages->data->x->size1, first = i * chunk;
    const size_t count = n - first < chunk ? n - first : chunk;
    fim_status status;
#pragma omp critical(crossing)
    status = fim_monitor_progress(k->monitor, "capturing samples", (double)k->done, (double)n);
    if (status == FIM_OK)
        status = capture_chunk(&k->passages[worker], k->layers, k->n_layers, first, count, k->samples);
#pragma omp critical(crossing)
    k->done += count;
    return status;
}

static fim_status check_request(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                                const size_t *layers, size_t n_layers) {
    fim_status status = fim_net_check(net);
    if (status != FIM_OK)
        return status;
    if (data->x == NULL || data->x->size1 == 0)
        return FIM_FAIL(FIM_ERR_SHAPE, "the data hold no samples");
    if (data->x->size2 != fim_net_inputs(net))
        return FIM_FAIL(FIM_ERR_SHAPE, "the data have %zu columns, the network takes %zu inputs",
                        data->x->size2, fim_net_inputs(net));
    if (spec->kind == FIM_FISHER_MC && spec->draws == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "an mc Fisher needs at least one draw");
    for (size_t i = 0; i < n_layers; i++)
        if (layers[i] >= net->n_layers || (i > 0 && layers[i] <= layers[i - 1]))
            return FIM_FAIL(FIM_ERR_ARGUMENT,
                            "layer %zu: the network has layers 0 to %zu, in increasing order", layers[i],
                            net->n_layers - 1);
    return spec->kind == FIM_FISHER_EMPIRICAL
               ? fim_likelihood_check(net->likelihood, data, fim_net_outputs(net))
               : FIM_OK;
}

fim_status fim_fisher_capture(const fim_net *net, const fim_data *data, const fim_fisher_spec *spec,
                              const size_t *layers, size_t n_layers, size_t budget,
                              const fim_monitor *monitor, fim_samples *out) {
    return capture_rows(net, data, 0, spec, layers, n_layers, budget, monitor, out);
}

fim_status capture_rows(const fim_net *net, const fim_data *data, size_t origin, const fim_fisher_spec *spec,
                        const size_t *layers, size_t n_layers, size_t budget, const fim_monitor *monitor,
                        fim_samples *out) {
    fim_status status = check_request(net, data, spec, layers, n_layers);
    if (status != FIM_OK || n_layers == 0)
        return status;
    capture c = {.net = net, .data = data, .spec = spec, .origin = origin};
    crossing k = {.layers = layers, .n_layers = n_layers, .monitor = monitor};
    const size_t n = data->x->size1;
    size_t workers = 0, widest = 0, left;
    fim_samples *samples = NULL;
    for (size_t l = 0; l < net->n_layers; l++)
        widest = fim_layer_d_g(&net->layers[l]) > widest ? fim_layer_d_g(&net->layers[l]) : widest;
    FIM_TRY(fim_alloc(n_layers, sizeof *samples, "samples", &samples));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *c.steps, "a capture's plan", &c.steps));
    FIM_TRY(plan_capture(net, layers, n_layers, columns_of(net, spec), capture_exact(&c), c.steps));
    FIM_TRY(allocate_samples(&c, layers, n_layers, budget, &left, samples));
    workers = share_out(&c, widest, left);
    FIM_TRY(fim_alloc(workers, sizeof *k.passages, "chunks on their way", &k.passages));
    for (size_t w = 0; w < workers; w++) {
        k.passages[w] = c;
        FIM_TRY(passage_init(&k.passages[w], widest));
    }
    k.samples = samples;
    FIM_TRY(fim_side_by_side((n + c.chunk - 1) / c.chunk, workers, cross, &k));
    for (size_t i = 0; i < n_layers; i++)
        FIM_TRY(fim_context(fim_samples_check(&samples[i]), "layer %zu", layers[i]));
    FIM_TRY(fim_monitor_progress(monitor, "capturing samples", (double)n, (double)n));
    memcpy(out, samples, n_layers * sizeof *out);
out:
    for (size_t i = 0; status != FIM_OK && samples != NULL && i < n_layers; i++)
        fim_samples_clear(&samples[i]);
    for (size_t w = 0; k.passages != NULL && w < workers; w++)
        if (k.passages[w].net != NULL)
            passage_clear(&k.passages[w]);
    free(k.passages);
    free(c.steps);
    free(samples);
    return status;
}
