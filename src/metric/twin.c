// What is known of an operator holds for one close to it: eigenvalues move by the distance at most (Weyl),
// all of them together too (Hoffman & Wielandt). deflation, lanczos and kpsvd:2 converge to one operator, and
// a dense eigensolver is not paid for three times.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fim/linalg.h"
#include "metric.h"

// Of ‖F‖: operators closer than this are taken for twins.
#define TWIN_MOST 1e-9
enum { TWINS = 4, TERMS = 8 };

typedef struct factors {
    const gsl_matrix *a[TERMS], *g[TERMS];
    size_t terms;
    bool other;
} factors;

static fim_status collect(void *context, const char *name, const gsl_matrix *matrix) {
    factors *f = context;
    size_t k;
    char side;
    if (sscanf(name, "%c_%zu", &side, &k) != 2 || k >= TERMS || (side != 'a' && side != 'g')) {
        f->other = true;
        return FIM_OK;
    }
    (side == 'a' ? f->a : f->g)[k] = matrix;
    f->terms = k + 1;
    return FIM_OK;
}

// ‖x − sign·y‖, without cancellation.
static double apart(const gsl_matrix *x, double sign, const gsl_matrix *y) {
    double sum = 0;
    for (size_t i = 0; i < x->size1; i++)
        for (size_t j = 0; j < x->size2; j++) {
            const double d = x->data[i * x->tda + j] - sign * y->data[i * y->tda + j];
            sum += d * d;
        }
    return sqrt(sum);
}

// Σ ‖A − ±A'‖ ‖G‖ + ‖A'‖ ‖G − ±G'‖ bounds the distance of sums term by term; the sign of a pair is arbitrary.
static double distance_to(const factors *f, const twin *t) {
    double sum = 0;
    for (size_t k = 0; k < f->terms; k++) {
        const double sign = fim_matrix_inner(f->a[k], t->a[k]) < 0 ? -1 : 1;
        sum += apart(f->a[k], sign, t->a[k]) * sqrt(fim_matrix_inner(f->g[k], f->g[k])) +
               sqrt(fim_matrix_inner(t->a[k], t->a[k])) * apart(f->g[k], sign, t->g[k]);
    }
    return sum;
}

static void twin_clear(twin *t) {
    for (size_t k = 0; k < t->terms; k++) {
        if (t->a != NULL)
            gsl_matrix_free(t->a[k]);
        if (t->g != NULL)
            gsl_matrix_free(t->g[k]);
    }
    free(t->a);
    free(t->g);
    gsl_vector_free(t->spectrum.values);
    *t = (twin){0};
}

void twins_free(fim_reference *reference) {
    for (size_t i = 0; i < reference->n_twins; i++)
        twin_clear(&reference->twins[i]);
    free(reference->twins);
}

static fim_status add(fim_reference *reference, const factors *f, twin **out) {
    twin t = {.terms = f->terms, .spectral_norm = -1, .smallest = NAN};
    fim_status status = FIM_OK;
    if (reference->twins == NULL)
        FIM_TRY(fim_alloc(TWINS, sizeof *reference->twins, "operators measured before", &reference->twins));
    FIM_TRY(fim_alloc(f->terms, sizeof *t.a, "an operator measured before", &t.a));
    FIM_TRY(fim_alloc(f->terms, sizeof *t.g, "an operator measured before", &t.g));
    for (size_t k = 0; k < f->terms; k++) {
        FIM_TRY(fim_matrix_copy(f->a[k], "an operator measured before", &t.a[k]));
        FIM_TRY(fim_matrix_copy(f->g[k], "an operator measured before", &t.g[k]));
    }
    *out = &reference->twins[reference->n_twins];
    reference->twins[reference->n_twins++] = t;
    return FIM_OK;
out:
    twin_clear(&t);
    return status;
}

fim_status twin_find(fim_reference *reference, const fim_op *op, twin **out, double *distance) {
    factors f = {.terms = 0};
    *out = NULL;
    *distance = 0;
    fim_status status = fim_op_visit(op, collect, &f);
    if (status != FIM_OK || f.other || f.terms < 2)
        return status;
    for (size_t i = 0; i < reference->n_twins; i++)
        if (reference->twins[i].terms == f.terms) {
            const double d = distance_to(&f, &reference->twins[i]);
            if (d <= TWIN_MOST * sqrt(fmax(reference->norm2, 0))) {
                *out = &reference->twins[i];
                *distance = d;
                return FIM_OK;
            }
        }
    if (reference->n_twins == TWINS || fim_op_bytes(op) > reference_left(reference) / 16)
        return FIM_OK;
    return add(reference, &f, out);
}
