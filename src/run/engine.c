// Training's numbers in one precision: weights, the batch, its gradient, and the direction taken from it.
//
// Nothing is allocated between the first iteration and the last but by a solver of the caller's: a batch is
// gathered by copying rows into one matrix, everything else is made for the largest batch and the widest
// layer. A preconditioned direction (op/inverse_apply.c) is at most two matrix products a layer for one
// Kronecker term, four for a diagonal between two bases: 2 d_a d_g (d_a + d_g) flops each pair, against 6 B
// d_a d_g of the gradient.
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "fim/real.h"
#include "step.h"

enum { STATES = 2 };

struct engine {
    REAL(fim_net) net;
    REAL(fim_data) rows; // of the present batch
    REAL(fim_trace) trace;
    step_rule rule;
    size_t steps, states;
    REAL_MATRIX **grads, **directions; // directions NULL: they are the gradients
    REAL_MATRIX **state[STATES];
    REAL(fim_inverse) * preconditioners; // on gradients (d_g, d_a), which are transposed parameter matrices
    REAL_MATRIX *scratch;                // (2, parameters of the widest layer)
    double length;                       // what the present directions are to be multiplied with
    engine_solver solver;
};

static void free_list(REAL_MATRIX **list, size_t n) {
    for (size_t l = 0; list != NULL && l < n; l++)
        REAL_GSL(free)(list[l]);
    free(list);
}

static void engine_free(engine *e) {
    if (e == NULL)
        return;
    const size_t n = e->net.n_layers;
    free_list(e->grads, n);
    free_list(e->directions, n);
    for (size_t k = 0; k < STATES; k++)
        free_list(e->state[k], n);
    for (size_t l = 0; e->preconditioners != NULL && l < n; l++)
        REAL(fim_inverse_clear)(&e->preconditioners[l]);
    free(e->preconditioners);
    REAL_GSL(free)(e->scratch);
    REAL_GSL(free)(e->rows.x);
    REAL_GSL(free)(e->rows.y);
    free(e->rows.labels);
    REAL(fim_trace_clear)(&e->trace);
    REAL(fim_net_clear)(&e->net);
    free(e);
}

// A matrix like every layer's w.
static fim_status like_weights(const REAL(fim_net) * net, const char *what, REAL_MATRIX ***out) {
    fim_status status = fim_alloc(net->n_layers, sizeof **out, what, out);
    for (size_t l = 0; l < net->n_layers && status == FIM_OK; l++)
        status = REAL(fim_matrix_new)(net->layers[l].w->size1, net->layers[l].w->size2, what, &(*out)[l]);
    return status;
}

static fim_status engine_new(const fim_net *net, const fim_data *data, size_t capacity, const step_rule *rule,
                             bool preconditioned, engine **out) {
    engine *e = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(1, sizeof *e, "training", &e));
    *e = (engine){.rule = *rule, .states = rule->adam ? 2 : 1, .length = 1};
    FIM_TRY(REAL(fim_net_copy)(net, &e->net));
    FIM_TRY(REAL(fim_matrix_new)(capacity, data->x->size2, "a batch", &e->rows.x));
    if (data->y != NULL)
        FIM_TRY(REAL(fim_matrix_new)(capacity, data->y->size2, "a batch", &e->rows.y));
    if (data->labels != NULL)
        FIM_TRY(fim_alloc(capacity, sizeof *e->rows.labels, "a batch", &e->rows.labels));
    FIM_TRY(REAL(fim_trace_init)(&e->trace, &e->net, capacity));
    FIM_TRY(like_weights(&e->net, "gradients", &e->grads));
    for (size_t k = 0; k < e->states; k++)
        FIM_TRY(like_weights(&e->net, "optimizer state", &e->state[k]));
    if (preconditioned) {
        FIM_TRY(like_weights(&e->net, "directions", &e->directions));
        FIM_TRY(fim_alloc(net->n_layers, sizeof *e->preconditioners, "preconditioners", &e->preconditioners));
        size_t widest = 0;
        for (size_t l = 0; l < net->n_layers; l++)
            if (net->layers[l].w->size1 * net->layers[l].w->size2 > widest)
                widest = net->layers[l].w->size1 * net->layers[l].w->size2;
        FIM_TRY(REAL(fim_matrix_new)(2, widest, "a preconditioned gradient", &e->scratch));
        for (size_t l = 0; l < net->n_layers; l++) { // the identity
            const REAL_MATRIX *w = e->net.layers[l].w;
            e->preconditioners[l] = (REAL(fim_inverse)){
                .d_a = w->size1, .d_g = w->size2, .m_a = {.scale = 1}, .m_g = {.scale = 1}};
        }
    }
    *out = e;
    return FIM_OK;
out:
    engine_free(e);
    return status;
}

static void gather_rows(const gsl_matrix *source, const size_t *index, size_t first, size_t n,
                        REAL_MATRIX *out) {
#pragma omp parallel for
    for (size_t k = 0; k < n; k++) {
        const double *from = source->data + (index != NULL ? index[k] : first + k) * source->tda;
        real *to = out->data + k * out->tda;
        for (size_t j = 0; j < out->size2; j++)
            to[j] = (real)from[j];
    }
}

static fim_status engine_gradient(engine *e, const fim_data *data, const size_t *index, size_t first,
                                  size_t n, bool loss_only, double *loss) {
    gather_rows(data->x, index, first, n, e->rows.x);
    if (e->rows.y != NULL)
        gather_rows(data->y, index, first, n, e->rows.y);
    for (size_t k = 0; e->rows.labels != NULL && k < n; k++)
        e->rows.labels[k] = data->labels[index != NULL ? index[k] : first + k];
    REAL_MATRIX x = *e->rows.x;
    x.size1 = n;
    fim_status status = REAL(fim_net_forward)(&e->net, &x, &e->trace);
    if (status == FIM_OK)
        status = REAL(fim_net_gradient)(&e->net, &e->trace, &e->rows, 0, loss_only ? NULL : e->grads, loss);
    return status;
}

// The direction by the caller's solver, which works in float64 on parameter matrices.
static fim_status solve(engine *e, size_t l) {
    const REAL_MATRIX *gradient = e->grads[l];
    gsl_matrix *x = NULL, *y = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(gradient->size2, gradient->size1, "a gradient", &x));
    FIM_TRY(fim_matrix_new(gradient->size2, gradient->size1, "a direction", &y));
    for (size_t i = 0; i < x->size1; i++)
        for (size_t j = 0; j < x->size2; j++)
            gsl_matrix_set(x, i, j, (double)REAL_GSL(get)(gradient, j, i));
    FIM_TRY(e->solver.solve(e->solver.context, l, x, y));
    for (size_t i = 0; i < x->size1; i++)
        for (size_t j = 0; j < x->size2; j++)
            REAL_GSL(set)(e->directions[l], j, i, (real)gsl_matrix_get(y, i, j));
out:
    gsl_matrix_free(x);
    gsl_matrix_free(y);
    return status;
}

static double dot(const REAL_MATRIX *x, const REAL_MATRIX *y) {
    return REAL(step_dot)(x->size1 * x->size2, x->data, y->data);
}

// The engine's gradient is that of the loss itself; P is linear, so that `scale` waits for the step.
static fim_status engine_direction(engine *e, double scale, double kappa, direction_report *report) {
    direction_report made = {.clip = 1};
    fim_status status = FIM_OK;
    for (size_t l = 0; l < e->net.n_layers; l++) {
        made.gradient2 += dot(e->grads[l], e->grads[l]);
        if (e->directions == NULL)
            continue;
        if (e->solver.solve != NULL)
            FIM_TRY(solve(e, l));
        else
            REAL(fim_inverse_multiply)(&e->preconditioners[l], e->grads[l], e->scratch, e->directions[l]);
        made.product += fabs(dot(e->grads[l], e->directions[l]));
    }
    if (e->directions == NULL)
        made.product = made.gradient2;
    made.gradient2 *= scale * scale;
    made.product *= scale * scale;
    if (kappa > 0 && made.product > kappa)
        made.clip = sqrt(kappa / made.product);
    e->length = scale * made.clip;
    *report = made;
out:
    return status;
}

static void engine_step(engine *e, double rate) {
    e->steps++;
    for (size_t l = 0; l < e->net.n_layers; l++) {
        REAL_MATRIX *w = e->net.layers[l].w;
        const REAL_MATRIX *d = e->directions != NULL ? e->directions[l] : e->grads[l];
        real *states[STATES] = {NULL};
        for (size_t k = 0; k < e->states; k++)
            states[k] = e->state[k][l]->data;
        REAL(step_update)(&e->rule, rate, e->length, e->steps, w->size1 * w->size2, d->data, states, w->data);
    }
}

static fim_status engine_precondition(engine *e, size_t layer, const fim_inverse *inverse) {
    REAL(fim_inverse) copy;
    fim_status status = REAL(fim_inverse_copy)(inverse, true, &copy);
    if (status != FIM_OK)
        return status;
    REAL(fim_inverse_clear)(&e->preconditioners[layer]);
    e->preconditioners[layer] = copy;
    return FIM_OK;
}

static void engine_solve_with(engine *e, engine_solver solver) {
    e->solver = solver;
}

static void engine_store(const engine *e, fim_net *net) {
    REAL(fim_net_store)(&e->net, net);
}

// ---- What a continuation needs ----

enum { KEPT_INVERSE = 1 + STATES, KEPT = KEPT_INVERSE + 9, NAME = 40 };

// One of the matrices of a layer: weights, states, the parts of the preconditioner. Its shape is (rows,
// columns), or with `fewer` has up to as many columns, and of `fewer_rows` up to as many rows. No place: the
// engine has no such matrix.
typedef struct kept {
    char name[NAME];
    REAL_MATRIX **place;
    size_t rows, columns;
    bool fewer, fewer_rows;
} kept;

static kept kept_of(engine *e, size_t which, size_t l) {
    static const char *const names[KEPT] = {"w",   "state_0", "state_1", "m_a", "m_g", "u_a",
                                            "v_a", "u_g",     "v_g",     "k_a", "k_g", "lambda"};
    const REAL_MATRIX *w = e->net.layers[l].w;
    kept k = {.rows = w->size1, .columns = w->size2};
    snprintf(k.name, NAME, "%s_%zu", names[which], l);
    if (which == 0) {
        k.place = &e->net.layers[l].w;
    } else if (which < KEPT_INVERSE) {
        k.place = which <= e->states ? &e->state[which - 1][l] : NULL;
    } else if (e->preconditioners != NULL) {
        REAL(fim_inverse) *const inverse = &e->preconditioners[l];
        const struct {
            REAL_MATRIX **place;
            size_t rows, columns;
        } parts[] = {{&inverse->m_a.dense, w->size1, w->size1}, {&inverse->m_g.dense, w->size2, w->size2},
                     {&inverse->m_a.u, w->size1, w->size1},     {&inverse->m_a.v, w->size1, w->size1},
                     {&inverse->m_g.u, w->size2, w->size2},     {&inverse->m_g.v, w->size2, w->size2},
                     {&inverse->k_a, w->size1, w->size1},       {&inverse->k_g, w->size2, w->size2},
                     {&inverse->w, w->size1, w->size2}};
        const size_t part = which - KEPT_INVERSE;
        k.place = parts[part].place;
        k.rows = parts[part].rows;
        k.columns = parts[part].columns;
        k.fewer = part >= 2;
        k.fewer_rows = which + 1 == KEPT;
    }
    return k;
}

static fim_status engine_save(engine *e, fim_record *out) {
    fim_status status = FIM_OK;
    for (size_t l = 0; l < e->net.n_layers; l++) {
        for (size_t which = 0; which < KEPT; which++) {
            const kept k = kept_of(e, which, l);
            gsl_matrix *to = NULL;
            if (k.place == NULL || *k.place == NULL)
                continue;
            FIM_TRY(fim_matrix_new((*k.place)->size1, (*k.place)->size2, "the state of training", &to));
            for (size_t i = 0; i < to->size1 * to->size2; i++)
                to->data[i] = (double)(*k.place)->data[i];
            FIM_TRY(fim_record_set_table(out, k.name, to));
        }
        if (e->preconditioners != NULL) {
            char name[NAME];
            snprintf(name, NAME, "scale_a_%zu", l);
            FIM_TRY(fim_record_set(out, name, e->preconditioners[l].m_a.scale, NULL));
            snprintf(name, NAME, "scale_g_%zu", l);
            FIM_TRY(fim_record_set(out, name, e->preconditioners[l].m_g.scale, NULL));
        }
    }
    FIM_TRY(fim_record_set(out, "steps", (double)e->steps, NULL));
out:
    return status;
}

static fim_status load_matrix(engine *e, const fim_record *in, size_t which, size_t l) {
    const kept k = kept_of(e, which, l);
    const fim_table *table = fim_record_table(in, k.name);
    if (k.place == NULL)
        return FIM_OK;
    if (which >= KEPT_INVERSE) {
        REAL_GSL(free)(*k.place);
        *k.place = NULL;
        if (table == NULL)
            return FIM_OK;
    }
    const gsl_matrix *m = table != NULL ? table->values : NULL;
    if (m == NULL || m->size1 > k.rows || m->size2 > k.columns || (m->size1 < k.rows && !k.fewer_rows) ||
        (m->size2 < k.columns && !k.fewer))
        return FIM_FAIL(FIM_ERR_SHAPE, "the state has %s matrix %s, expected (%zu, %zu)",
                        m == NULL ? "no" : "another", k.name, k.rows, k.columns);
    fim_status status =
        *k.place != NULL ? FIM_OK : REAL(fim_matrix_new)(m->size1, m->size2, "a preconditioner", k.place);
    for (size_t i = 0; status == FIM_OK && i < m->size1; i++)
        for (size_t j = 0; j < m->size2; j++)
            REAL_GSL(set)(*k.place, i, j, (real)gsl_matrix_get(m, i, j));
    return status;
}

static bool same_columns(const REAL_MATRIX *u, const REAL_MATRIX *v) {
    return (u != NULL ? u->size2 : 0) == (v != NULL ? v->size2 : 0);
}

// The numbers of a preconditioner; its matrices are loaded, and must fit each other.
static fim_status load_scales(engine *e, const fim_record *in, size_t l) {
    REAL(fim_inverse) *const k = &e->preconditioners[l];
    char name_a[NAME], name_g[NAME];
    snprintf(name_a, NAME, "scale_a_%zu", l);
    snprintf(name_g, NAME, "scale_g_%zu", l);
    const fim_value *a = fim_record_value(in, name_a), *g = fim_record_value(in, name_g);
    if (a == NULL || g == NULL || !isfinite(a->value) || !isfinite(g->value))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound values %s and %s", name_a, name_g);
    k->m_a.scale = a->value;
    k->m_g.scale = g->value;
    const size_t r_a = k->k_a != NULL ? k->k_a->size2 : k->d_a, r_g = k->k_g != NULL ? k->k_g->size2 : k->d_g;
    if (!same_columns(k->m_a.u, k->m_a.v) || !same_columns(k->m_g.u, k->m_g.v) ||
        (k->w != NULL && (k->w->size1 != r_a || k->w->size2 != r_g)))
        return FIM_FAIL(FIM_ERR_SHAPE,
                        "the state's preconditioner of layer %zu has parts that do not fit each other", l);
    return FIM_OK;
}

static fim_status engine_load(engine *e, const fim_record *in) {
    fim_status status = FIM_OK;
    const fim_value *steps = fim_record_value(in, "steps");
    if (steps == NULL || !(steps->value >= 0 && steps->value < 0x1p53))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound value steps");
    for (size_t l = 0; l < e->net.n_layers; l++) {
        for (size_t which = 0; which < KEPT; which++)
            FIM_TRY(load_matrix(e, in, which, l));
        if (e->preconditioners != NULL)
            FIM_TRY(load_scales(e, in, l));
    }
    e->steps = (size_t)steps->value;
out:
    return status;
}

#ifdef FIM_SINGLE
const engine_class engine_single = {
#else
const engine_class engine_double = {
#endif
    .new = engine_new,
    .free = engine_free,
    .gradient = engine_gradient,
    .direction = engine_direction,
    .step = engine_step,
    .precondition = engine_precondition,
    .solve_with = engine_solve_with,
    .store = engine_store,
    .save = engine_save,
    .load = engine_load,
};
