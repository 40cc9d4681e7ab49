// How output factors go from layer to layer: backward by rows, or forward by tangents (plan.c tells when).
#include <gsl/gsl_blas.h>
#include <string.h>

#include "capture.h"

static gsl_matrix_view rows_of(gsl_matrix *m, size_t first, size_t count) {
    return gsl_matrix_submatrix(m, first, 0, count, m->size2);
}

// The exact factor at the logits as rows: B_nᵀ I.
static fim_status exact_logits(capture *c, size_t n, gsl_matrix *rows) {
    const size_t outputs = rows->size2;
    for (size_t r = 0; r < n; r++) {
        gsl_matrix_view block = rows_of(rows, r * outputs, outputs);
        gsl_matrix_set_identity(&block.matrix);
        gsl_vector_const_view z = gsl_matrix_const_row(c->trace.s[capture_top(c)], r);
        fim_status status = fim_likelihood_factor(c->net->likelihood, z.vector.data, &block.matrix);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

fim_status capture_logits(capture *c, size_t first, size_t n) {
    if (c->factor[capture_top(c)] == NULL) // nobody starts from these rows
        return FIM_OK;
    gsl_matrix_view rows = rows_of(c->factor[capture_top(c)], 0, n * c->steps[capture_top(c)].columns);
    gsl_matrix_const_view z =
        gsl_matrix_const_submatrix(c->trace.s[capture_top(c)], 0, 0, n, fim_net_outputs(c->net));
    switch (c->spec->kind) {
    case FIM_FISHER_EXACT:
        return exact_logits(c, n, &rows.matrix);
    case FIM_FISHER_MC:
        return fim_likelihood_draw(c->net->likelihood, &z.matrix, c->spec->draws, c->spec->seed,
                                   c->origin + first, &rows.matrix);
    case FIM_FISHER_EMPIRICAL:
        fim_likelihood_gradient(c->net->likelihood, &z.matrix, c->data, first, &rows.matrix);
    }
    return FIM_OK;
}

// The outputs of layer l that a sample moves: those with a slope. Other rows and columns of G_n are zero, and
// half of a relu's outputs are.
static void find_live(capture *c, size_t l, size_t n) {
    const fim_activation activation = c->net->layers[l].activation;
    const size_t d_g = fim_layer_d_g(&c->net->layers[l]);
    size_t most = 0;
#pragma omp parallel for schedule(static) reduction(max : most)
    for (size_t r = 0; r < n; r++) {
        const double *s = gsl_matrix_const_ptr(c->trace.s[l], r, 0);
        size_t count = 0;
        for (size_t j = 0; j < d_g; j++)
            if (fim_activation_slope(activation, s[j]) != 0)
                c->live[r * d_g + count++] = j;
        c->n_live[r] = count;
        most = count > most ? count : most;
    }
    c->most = most;
}

// The unit tangents of layer l's live outputs as they arrive one layer above, `most` rows a sample: row k is
// φ'(s_j) times column j of the weights, j the k-th live output; rows behind the last are zero.
static void first_tangents(const capture *c, size_t l, size_t n, const gsl_matrix *transposed,
                           gsl_matrix *tangents) {
    const fim_activation activation = c->net->layers[l].activation;
    const size_t d_g = transposed->size1, above = transposed->size2;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < n; r++)
        for (size_t k = 0; k < c->most; k++) {
            double *row = tangents->data + (r * c->most + k) * tangents->tda;
            if (k >= c->n_live[r]) {
                memset(row, 0, above * sizeof *row);
                continue;
            }
            const size_t j = c->live[r * d_g + k];
            const double slope = fim_activation_slope(activation, gsl_matrix_get(c->trace.s[l], r, j));
            const double *w = transposed->data + j * transposed->tda;
            for (size_t i = 0; i < above; i++)
                row[i] = slope * w[i];
        }
}

// Tangents at the exact logits, times the factor there: T B.
static fim_status meet_logits(const capture *c, size_t n, gsl_matrix *tangents) {
    const gsl_matrix *z = c->trace.s[capture_top(c)];
    bool failed = false;
#pragma omp parallel for schedule(static) reduction(|| : failed)
    for (size_t r = 0; r < n; r++)
        if (c->n_live[r] > 0) {
            gsl_matrix_view t = rows_of(tangents, r * c->most, c->n_live[r]);
            failed = failed || fim_likelihood_factor_rows(c->net->likelihood, z->data + r * z->tda,
                                                          &t.matrix) != FIM_OK;
        }
    // The message belongs to the calling thread.
    return failed ? FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the factor of %zu outputs", z->size2) : FIM_OK;
}

// Moves the first `live` columns of `count` rows to their places, and zeros between them.
static void spread(gsl_matrix *rows, size_t first, size_t count, const size_t *live, size_t n_live) {
    for (size_t r = first; r < first + count; r++) {
        double *row = rows->data + r * rows->tda;
        size_t end = rows->size2;
        for (size_t k = n_live; k-- > 0;) { // never over an entry still to be moved
            const double entry = row[k];
            memset(row + live[k] + 1, 0, (end - live[k] - 1) * sizeof *row);
            row[live[k]] = entry;
            end = live[k];
        }
        memset(row, 0, end * sizeof *row);
    }
}

// Rows at layer l from tangents at its waypoint: they are Bᵀ there already, or meet the rows that wait there.
static void meet_waypoint(const capture *c, size_t l, size_t n, const gsl_matrix *arrived, gsl_matrix *rows) {
    const capture_step *step = &c->steps[l];
    const bool straight = capture_straight(c, l); // without products, which have threads of their own
#pragma omp parallel for schedule(static) if (straight)
    for (size_t r = 0; r < n; r++) {
        if (c->n_live[r] > 0) {
            gsl_matrix_view out =
                gsl_matrix_submatrix(rows, r * step->columns, 0, step->columns, c->n_live[r]);
            gsl_matrix_const_view t =
                gsl_matrix_const_submatrix(arrived, r * c->most, 0, c->n_live[r], arrived->size2);
            if (straight) {
                gsl_matrix_transpose_memcpy(&out.matrix, &t.matrix);
            } else {
                gsl_matrix_view b = rows_of(c->factor[step->from], r * step->columns, step->columns);
                gsl_blas_dgemm(CblasNoTrans, CblasTrans, 1, &b.matrix, &t.matrix, 0, &out.matrix);
            }
        }
        spread(rows, r * step->columns, step->columns, c->live + r * rows->size2, c->n_live[r]);
    }
}

// Rows at layer l from its waypoint by a tangent forward for every live output, row j of a sample being
// ∂s_m/∂s_l,j: what arrives is Bᵀ J.
static fim_status hop_forward(capture *c, size_t l, size_t n, bool compact, gsl_matrix *rows) {
    const capture_step *step = &c->steps[l];
    const size_t m = step->from, d_g = rows->size2, d_m = fim_layer_d_g(&c->net->layers[m]);
    const fim_layer *above = &c->net->layers[l + 1];
    gsl_matrix *transposed = NULL;
    fim_status status = FIM_OK;
    find_live(c, l, n);
    const size_t count = n * (c->most > 0 ? c->most : 1); // a view needs a row
    gsl_matrix_view start = gsl_matrix_view_array(c->start->data, count, fim_layer_d_g(above));
    gsl_matrix_view end = gsl_matrix_view_array(c->tangents->data, count, d_m);
    gsl_matrix *arrived = l + 1 < m ? &end.matrix : &start.matrix;
    FIM_TRY(fim_matrix_new(d_g, fim_layer_d_g(above), "transposed weights", &transposed));
    gsl_matrix_const_view w = gsl_matrix_const_submatrix(above->w, 0, 0, fim_layer_d_g(above), d_g);
    gsl_matrix_transpose_memcpy(transposed, &w.matrix);
    first_tangents(c, l, n, transposed, &start.matrix);
    if (l + 1 < m && c->most > 0)
        FIM_TRY(fim_net_push(c->net, &c->trace, l + 1, m, c->most, &start.matrix, &end.matrix));
    if (capture_straight(c, l))
        FIM_TRY(meet_logits(c, n, arrived));
    c->arrived = arrived->data;
    if (!compact)
        meet_waypoint(c, l, n, arrived, rows);
out:
    gsl_matrix_free(transposed);
    return status;
}

fim_status capture_arrive(capture *c, size_t l, size_t n, bool compact) {
    const capture_step *step = &c->steps[l];
    gsl_matrix_view rows = rows_of(c->factor[l], 0, n * step->columns);
    if (step->forward)
        return hop_forward(c, l, n, compact, &rows.matrix);
    gsl_matrix_const_view from = gsl_matrix_const_submatrix(c->factor[step->from], 0, 0, n * step->columns,
                                                            c->factor[step->from]->size2);
    return fim_net_pull(c->net, &c->trace, step->from, l, step->columns, &from.matrix, &rows.matrix);
}

fim_status capture_compress(capture *c, size_t l, size_t n) {
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
