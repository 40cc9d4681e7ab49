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

#include "plan.h"

// A chunk's largest factor takes about this many bytes: large enough for a matrix product's full speed.
enum { CHUNK_BYTES = 64 << 20 };

typedef struct capture {
    const fim_net *net;
    const fim_data *data;
    const fim_fisher_spec *spec;
    capture_step *steps; // per layer
    // Per layer, NULL where not needed: the chunk's rows (n·columns, d_g).
    gsl_matrix **factor;
    fim_trace trace;
    size_t chunk;
} capture;

static size_t top_of(const capture *c) {
    return c->net->n_layers - 1;
}

static bool structured(const capture *c) {
    return c->spec->kind == FIM_FISHER_EXACT;
}

// True when the logits' G_n is diagonal, and is kept so.
static bool diagonal_logits(const capture *c) {
    return structured(c) && fim_likelihood_independent(c->net->likelihood);
}

static gsl_matrix_view rows_of(gsl_matrix *m, size_t first, size_t count) {
    return gsl_matrix_submatrix(m, first, 0, count, m->size2);
}

// The exact factor at the logits as rows: B_nᵀ I.
static fim_status exact_logits(capture *c, size_t n, gsl_matrix *rows) {
    const size_t outputs = rows->size2;
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_view block = rows_of(rows, r * outputs, outputs);
        gsl_matrix_set_identity(&block.matrix);
        gsl_vector_const_view z = gsl_matrix_const_row(c->trace.s[top_of(c)], r);
        fim_status status = fim_likelihood_factor(c->net->likelihood, z.vector.data, &block.matrix);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

static fim_status logits(capture *c, size_t first, size_t n) {
    if (c->factor[top_of(c)] == NULL) // nobody starts from these rows
        return FIM_OK;
    gsl_matrix_view rows = rows_of(c->factor[top_of(c)], 0, n * c->steps[top_of(c)].columns);
    gsl_matrix_const_view z =
        gsl_matrix_const_submatrix(c->trace.s[top_of(c)], 0, 0, n, fim_net_outputs(c->net));
    switch (c->spec->kind) {
    case FIM_FISHER_EXACT:
        return exact_logits(c, n, &rows.matrix);
    case FIM_FISHER_MC:
        return fim_likelihood_draw(c->net->likelihood, &z.matrix, c->spec->draws, c->spec->seed, first,
                                   &rows.matrix);
    case FIM_FISHER_EMPIRICAL:
        fim_likelihood_gradient(c->net->likelihood, &z.matrix, c->data, first, &rows.matrix);
    }
    return FIM_OK;
}

// The unit tangents of layer l as they arrive one layer above: row j of a sample is φ'(s_j) times column j of
// the weights.
static void first_tangents(const capture *c, size_t l, size_t n, gsl_matrix *tangents) {
    const gsl_matrix *w = c->net->layers[l + 1].w, *s = c->trace.s[l];
    const size_t d_g = fim_layer_d_g(&c->net->layers[l]);
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < d_g; j++) {
            const double slope = fim_activation_slope(c->net->layers[l].activation, gsl_matrix_get(s, r, j));
            double *row = tangents->data + (r * d_g + j) * tangents->tda;
            for (size_t k = 0; k < w->size1; k++)
                row[k] = slope * w->data[k * w->tda + j];
        }
}

// Rows at layer l from its waypoint by d_g tangents forward, row j of a sample being ∂s_m/∂s_l,j: what
// arrives is Bᵀ J.
static fim_status hop_forward(capture *c, size_t l, size_t n, gsl_matrix *rows) {
    const capture_step *step = &c->steps[l];
    const size_t m = step->from, d_g = rows->size2, d_m = fim_layer_d_g(&c->net->layers[m]);
    gsl_matrix *start = NULL, *tangents = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(n * d_g, fim_layer_d_g(&c->net->layers[l + 1]), "tangents", &start));
    FIM_TRY(fim_matrix_new(n * d_g, d_m, "tangents", &tangents));
    first_tangents(c, l, n, start);
    FIM_TRY(fim_net_push(c->net, &c->trace, l + 1, m, d_g, start, tangents));
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_view out = rows_of(rows, r * step->columns, step->columns);
        gsl_matrix_const_view t = gsl_matrix_const_submatrix(tangents, r * d_g, 0, d_g, d_m);
        if (structured(c) && m == top_of(c)) {
            gsl_vector_const_view z = gsl_matrix_const_row(c->trace.s[m], r);
            gsl_matrix_transpose_memcpy(&out.matrix, &t.matrix);
            FIM_TRY(fim_likelihood_factor(c->net->likelihood, z.vector.data, &out.matrix));
        } else {
            gsl_matrix_const_view b =
                gsl_matrix_const_submatrix(c->factor[m], r * step->columns, 0, step->columns, d_m);
            gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &b.matrix, &t.matrix, 0, &out.matrix);
        }
    }
out:
    gsl_matrix_free(start);
    gsl_matrix_free(tangents);
    return status;
}

// The rows of layer l for the chunk, from its waypoint.
static fim_status arrive(capture *c, size_t l, size_t n) {
    const capture_step *step = &c->steps[l];
    gsl_matrix_view rows = rows_of(c->factor[l], 0, n * step->columns);
    if (step->forward)
        return hop_forward(c, l, n, &rows.matrix);
    gsl_matrix_const_view from = gsl_matrix_const_submatrix(c->factor[step->from], 0, 0, n * step->columns,
                                                            c->factor[step->from]->size2);
    return fim_net_pull(c->net, &c->trace, step->from, l, step->columns, &from.matrix, &rows.matrix);
}

// A waypoint with more columns than rows goes on with its triangular factor, which has the same G_n.
static fim_status compress(capture *c, size_t l, size_t n) {
    const capture_step *step = &c->steps[l];
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_view rows = rows_of(c->factor[l], r * step->columns, step->columns);
        fim_status status = fim_triangular_factor(&rows.matrix);
        if (status != FIM_OK)
            return status;
        gsl_matrix_view factor = rows_of(&rows.matrix, 0, step->kept),
                        place = rows_of(c->factor[l], r * step->kept, step->kept);
        if (r > 0) // places move towards the front, never past a row still to be read
            memmove(place.matrix.data, factor.matrix.data, step->kept * factor.matrix.tda * sizeof(double));
    }
    return FIM_OK;
}

// svec(G_n) = svec(Σ_c g_nc g_ncᵀ) into row `first + r` of packed.
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

// The logits of independent outputs have a diagonal G_n: the squares of B_nᵀ 1.
static fim_status store_diagonal(const capture *c, size_t first, size_t n, gsl_matrix *diagonal) {
    gsl_matrix *b = NULL;
    fim_status status = fim_matrix_new(diagonal->size2, 1, "the diagonal of a factor", &b);
    for (size_t r = 0; status == FIM_OK && r < n; r++) {
        gsl_vector_const_view z = gsl_matrix_const_row(c->trace.s[top_of(c)], r);
        gsl_matrix_set_all(b, 1);
        status = fim_likelihood_factor(c->net->likelihood, z.vector.data, b);
        for (size_t j = 0; j < diagonal->size2; j++)
            gsl_matrix_set(diagonal, first + r, j, gsl_pow_2(gsl_matrix_get(b, j, 0)));
    }
    gsl_matrix_free(b);
    return status;
}

static fim_status store(const capture *c, size_t l, size_t first, size_t n, size_t columns,
                        fim_samples *out) {
    gsl_matrix_view a = rows_of(out->a, first, n);
    gsl_matrix_const_view source = gsl_matrix_const_submatrix(c->trace.a[l], 0, 0, n, out->d_a);
    gsl_matrix_memcpy(&a.matrix, &source.matrix);
    if (out->diagonal != NULL)
        return store_diagonal(c, first, n, out->diagonal);
    if (out->packed != NULL)
        return pack(c->factor[l], columns, first, n, out->packed);
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
        status = logits(c, first, n);
    size_t next = n_layers; // requested layers still to be stored, from the top down
    for (size_t l = c->net->n_layers; status == FIM_OK && l-- > 0;) {
        const capture_step *step = &c->steps[l];
        if (!step->needed)
            continue;
        if (l < top_of(c))
            status = arrive(c, l, n);
        const bool requested = next > 0 && layers[next - 1] == l;
        const bool square =
            step->kept < step->columns && (step->waypoint || (requested && out[next - 1].columns > 0));
        if (status == FIM_OK && square)
            status = compress(c, l, n);
        if (status == FIM_OK && requested) {
            next--;
            status = store(c, l, first, n, square ? step->kept : step->columns, &out[next]);
        }
    }
    return status;
}

static fim_status allocate(capture *c, const size_t *layers, size_t n_layers, size_t budget,
                           fim_samples *out) {
    const size_t n = c->data->x->size1;
    size_t widest = 0, bytes = 0;
    fim_status status = FIM_OK;
    for (size_t l = 0; l < c->net->n_layers; l++)
        widest = fim_layer_d_g(&c->net->layers[l]) > widest ? fim_layer_d_g(&c->net->layers[l]) : widest;
    for (size_t i = 0; i < n_layers; i++) {
        const fim_layer *layer = &c->net->layers[layers[i]];
        const size_t d_a = fim_layer_d_a(layer), d_g = fim_layer_d_g(layer), kept = c->steps[layers[i]].kept;
        const bool diagonal = layers[i] == top_of(c) && diagonal_logits(c);
        const bool rows = !diagonal && 2 * kept <= d_g + 1;
        out[i] = (fim_samples){.n = n, .d_a = d_a, .d_g = d_g, .columns = rows ? kept : 0};
        const size_t numbers = d_a + (diagonal ? d_g : rows ? kept * d_g : fim_svec_size(d_g));
        bytes = fim_size_add(bytes, fim_size_mul(fim_size_mul(n, numbers), sizeof(double)));
        char what[64];
        snprintf(what, sizeof what, "the samples up to layer %zu", layers[i]);
        FIM_TRY(fim_budget_check(budget, bytes, what, "take fewer with --samples, fewer --layers, or mc:1"));
        FIM_TRY(fim_matrix_new(n, d_a, "layer inputs", &out[i].a));
        if (diagonal)
            FIM_TRY(fim_matrix_new(n, d_g, "output variances", &out[i].diagonal));
        else if (rows)
            FIM_TRY(fim_matrix_new(n * kept, d_g, "backward signals", &out[i].g));
        else
            FIM_TRY(fim_matrix_new(n, fim_svec_size(d_g), "output covariances", &out[i].packed));
    }
    size_t largest = widest; // numbers per sample in the largest factor, tangents included
    for (size_t l = 0; l < c->net->n_layers; l++) {
        const capture_step *step = &c->steps[l];
        const size_t d_g = fim_layer_d_g(&c->net->layers[l]);
        const size_t numbers = (step->forward && d_g > step->columns ? d_g : step->columns) * widest;
        largest = step->needed && numbers > largest ? numbers : largest;
    }
    c->chunk = CHUNK_BYTES / (largest * sizeof(double));
    c->chunk = c->chunk < 1 ? 1 : c->chunk > n ? n : c->chunk;
    FIM_TRY(fim_trace_init(&c->trace, c->net, c->chunk));
    for (size_t l = 0; l < c->net->n_layers; l++)
        if (c->steps[l].needed && (l < top_of(c) || c->steps[l].waypoint || !diagonal_logits(c)))
            FIM_TRY(fim_matrix_new(c->chunk * c->steps[l].columns, fim_layer_d_g(&c->net->layers[l]),
                                   "output factors", &c->factor[l]));
out:
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
    fim_status status = check_request(net, data, spec, layers, n_layers);
    if (status != FIM_OK || n_layers == 0)
        return status;
    capture c = {.net = net, .data = data, .spec = spec};
    fim_samples *samples = NULL;
    const size_t n = data->x->size1;
    const size_t columns = spec->kind == FIM_FISHER_EXACT ? fim_net_outputs(net)
                           : spec->kind == FIM_FISHER_MC  ? spec->draws
                                                          : 1;
    FIM_TRY(fim_alloc(n_layers, sizeof *samples, "samples", &samples));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *c.steps, "a capture's plan", &c.steps));
    FIM_TRY(fim_alloc(net->n_layers, sizeof *c.factor, "output factors", &c.factor));
    FIM_TRY(plan_capture(net, layers, n_layers, columns, structured(&c), c.steps));
    FIM_TRY(allocate(&c, layers, n_layers, budget, samples));
    for (size_t first = 0; first < n; first += c.chunk) {
        FIM_TRY(fim_monitor_progress(monitor, "capturing samples", (double)first, (double)n));
        const size_t count = n - first < c.chunk ? n - first : c.chunk;
        FIM_TRY(capture_chunk(&c, layers, n_layers, first, count, samples));
    }
    for (size_t i = 0; i < n_layers; i++)
        FIM_TRY(fim_context(fim_samples_check(&samples[i]), "layer %zu", layers[i]));
    FIM_TRY(fim_monitor_progress(monitor, "capturing samples", (double)n, (double)n));
    memcpy(out, samples, n_layers * sizeof *out);
out:
    for (size_t i = 0; status != FIM_OK && samples != NULL && i < n_layers; i++)
        fim_samples_clear(&samples[i]);
    for (size_t l = 0; c.factor != NULL && l < net->n_layers; l++)
        gsl_matrix_free(c.factor[l]);
    free(c.factor);
    free(c.steps);
    free(samples);
    fim_trace_clear(&c.trace);
    return status;
}
