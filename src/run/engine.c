// Training's numbers in one precision: weights, the batch, its gradient, and the direction taken from it.
//
// Nothing is allocated between the first iteration and the last but by a solver of the caller's: a batch is
// gathered by copying rows into one matrix, everything else is made for the largest batch and the widest
// layer. A preconditioned direction is two matrix products a layer for one Kronecker term, four for a
// diagonal between two bases: 2 d_a d_g (d_a + d_g) flops each pair, against 6 B d_a d_g of the gradient.
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "fim/real.h"
#include "step.h"

enum { STATES = 2 };

// One layer's preconditioner on gradients (d_g, d_a), which are transposed parameter matrices.
typedef struct lens {
    REAL_MATRIX *k_a, *k_g; // NULL: the identity
    REAL_MATRIX *w;         // (d_g, d_a), transposed; NULL: y = K_g x K_a with symmetric factors
} lens;

struct engine {
    REAL(fim_net) net;
    REAL(fim_data) rows; // of the present batch
    REAL(fim_trace) trace;
    step_rule rule;
    size_t steps, states;
    REAL_MATRIX **grads, **directions; // directions NULL: they are the gradients
    REAL_MATRIX **state[STATES];
    lens *lenses;
    REAL_MATRIX *half[2]; // scratch of the widest layer
    double length;        // what the present directions are to be multiplied with
    engine_solver solver;
};

static void free_list(REAL_MATRIX **list, size_t n) {
    for (size_t l = 0; list != NULL && l < n; l++)
        REAL_GSL(free)(list[l]);
    free(list);
}

static void lens_clear(lens *k) {
    REAL_GSL(free)(k->k_a);
    REAL_GSL(free)(k->k_g);
    REAL_GSL(free)(k->w);
    *k = (lens){0};
}

static void engine_free(engine *e) {
    if (e == NULL)
        return;
    const size_t n = e->net.n_layers;
    free_list(e->grads, n);
    free_list(e->directions, n);
    for (size_t k = 0; k < STATES; k++)
        free_list(e->state[k], n);
    for (size_t l = 0; e->lenses != NULL && l < n; l++)
        lens_clear(&e->lenses[l]);
    free(e->lenses);
    REAL_GSL(free)(e->half[0]);
    REAL_GSL(free)(e->half[1]);
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
        FIM_TRY(fim_alloc(net->n_layers, sizeof *e->lenses, "preconditioners", &e->lenses));
        size_t widest = 0;
        for (size_t l = 0; l < net->n_layers; l++)
            if (net->layers[l].w->size1 * net->layers[l].w->size2 > widest)
                widest = net->layers[l].w->size1 * net->layers[l].w->size2;
        for (size_t k = 0; k < 2; k++)
            FIM_TRY(REAL(fim_matrix_new)(1, widest, "a preconditioned gradient", &e->half[k]));
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

// A view of scratch in the shape of m.
static REAL_MATRIX shaped(const REAL_MATRIX *scratch, const REAL_MATRIX *m) {
    return (REAL_MATRIX){.size1 = m->size1, .size2 = m->size2, .tda = m->size2, .data = scratch->data};
}

// out = K_g in K_a, each transposed or not; half is scratch like `in`. NULL is the identity. The cheaper side
// does not exist: both orders cost the same.
static void between(const lens *k, bool first, const REAL_MATRIX *in, REAL_MATRIX *half, REAL_MATRIX *out) {
    const REAL_MATRIX *middle = in;
    if (k->k_g != NULL) {
        REAL_MATRIX *to = k->k_a != NULL ? half : out;
        REAL_GEMM(first ? CblasTrans : CblasNoTrans, CblasNoTrans, 1, k->k_g, in, 0, to);
        middle = to;
    }
    if (k->k_a != NULL)
        REAL_GEMM(CblasNoTrans, first ? CblasNoTrans : CblasTrans, 1, middle, k->k_a, 0, out);
    else if (k->k_g == NULL)
        REAL_GSL(memcpy)(out, in);
}

static void look_through(engine *e, const lens *k, const REAL_MATRIX *gradient, REAL_MATRIX *direction) {
    REAL_MATRIX half = shaped(e->half[0], gradient), inside = shaped(e->half[1], gradient);
    if (k->w == NULL) {
        between(k, false, gradient, &half, direction);
        return;
    }
    between(k, true, gradient, &half, &inside);
    REAL_GSL(mul_elements)(&inside, k->w);
    between(k, false, &inside, &half, direction);
}

// The same through the caller's solver, which works in float64 on parameter matrices.
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
            look_through(e, &e->lenses[l], e->grads[l], e->directions[l]);
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

static fim_status copy_to(const gsl_matrix *source, bool transposed, REAL_MATRIX **out) {
    fim_status status = FIM_OK;
    REAL_GSL(free)(*out);
    *out = NULL;
    if (source == NULL)
        return FIM_OK;
    FIM_TRY(REAL(fim_matrix_new)(transposed ? source->size2 : source->size1,
                                 transposed ? source->size1 : source->size2, "a preconditioner", out));
    for (size_t i = 0; i < source->size1; i++)
        for (size_t j = 0; j < source->size2; j++)
            REAL_GSL(set)(*out, transposed ? j : i, transposed ? i : j, (real)gsl_matrix_get(source, i, j));
out:
    return status;
}

static fim_status engine_precondition(engine *e, size_t layer, const fim_inverse *inverse) {
    lens *k = &e->lenses[layer];
    fim_status status = copy_to(inverse->k_a, false, &k->k_a);
    if (status == FIM_OK)
        status = copy_to(inverse->k_g, false, &k->k_g);
    if (status == FIM_OK)
        status = copy_to(inverse->w, true, &k->w);
    return status;
}

static void engine_solve_with(engine *e, engine_solver solver) {
    e->solver = solver;
}

static void engine_store(const engine *e, fim_net *net) {
    REAL(fim_net_store)(&e->net, net);
}

// ---- What a continuation needs ----

enum { KEPT_LENS = 1 + STATES, KEPT = KEPT_LENS + 3 };

// The matrices of layer l by number: weights, states, preconditioner.
static REAL_MATRIX **kept(engine *e, size_t which, size_t l, char name[static 40]) {
    static const char *const names[KEPT] = {"w", "state_0", "state_1", "k_a", "k_g", "lambda"};
    snprintf(name, 40, "%s_%zu", names[which], l);
    if (which == 0)
        return &e->net.layers[l].w;
    if (which < KEPT_LENS)
        return which <= e->states ? &e->state[which - 1][l] : NULL;
    if (e->lenses == NULL)
        return NULL;
    REAL_MATRIX **const parts[] = {&e->lenses[l].k_a, &e->lenses[l].k_g, &e->lenses[l].w};
    return parts[which - KEPT_LENS];
}

static fim_status engine_save(engine *e, fim_record *out) {
    fim_status status = FIM_OK;
    char name[40];
    for (size_t which = 0; which < KEPT; which++)
        for (size_t l = 0; l < e->net.n_layers; l++) {
            REAL_MATRIX **from = kept(e, which, l, name);
            gsl_matrix *to = NULL;
            if (from == NULL || *from == NULL)
                continue;
            FIM_TRY(fim_matrix_new((*from)->size1, (*from)->size2, "the state of training", &to));
            for (size_t k = 0; k < to->size1 * to->size2; k++)
                to->data[k] = (double)(*from)->data[k];
            FIM_TRY(fim_record_set_table(out, name, to));
        }
    FIM_TRY(fim_record_set(out, "steps", (double)e->steps, NULL));
out:
    return status;
}

static fim_status engine_load(engine *e, const fim_record *in) {
    fim_status status = FIM_OK;
    char name[40];
    const fim_value *steps = fim_record_value(in, "steps");
    if (steps == NULL || !(steps->value >= 0 && steps->value < 0x1p53))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound value steps");
    for (size_t which = 0; which < KEPT; which++)
        for (size_t l = 0; l < e->net.n_layers; l++) {
            REAL_MATRIX **to = kept(e, which, l, name);
            const fim_table *table = fim_record_table(in, name);
            if (to == NULL || (table == NULL && *to == NULL))
                continue;
            const REAL_MATRIX *w = e->net.layers[l].w;
            const size_t rows = which == KEPT_LENS ? w->size2 : w->size1;
            const size_t columns = which == KEPT_LENS + 1 ? w->size1 : w->size2;
            if (table == NULL || table->values->size1 != rows || table->values->size2 != columns)
                return FIM_FAIL(FIM_ERR_SHAPE, "the state has %s matrix %s, expected (%zu, %zu)",
                                table == NULL ? "no" : "another", name, rows, columns);
            if (*to == NULL)
                FIM_TRY(REAL(fim_matrix_new)(rows, columns, "a preconditioner", to));
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++)
                    REAL_GSL(set)(*to, i, j, (real)gsl_matrix_get(table->values, i, j));
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
