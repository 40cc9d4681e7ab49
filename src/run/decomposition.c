// Where KFAC's error is. With K = A ⊗ G and everything relative to ‖F‖²:
//
//   kfac²    = ‖F − K‖²
//   scaled²  = ‖F − s K‖² at s = ⟨F, K⟩/‖K‖², the best multiple
//   ekfac²   = ‖F‖² − ‖Λ‖² with Λ = diag(Uᵀ F U), the best diagonal in KFAC's eigenbasis U
//   floor_1² = what the best Kronecker product leaves, from the Kronecker spectrum
//
// s K is one of the diagonals in U and one of the Kronecker products, so that these differences are not
// negative, and KFAC's squared error is a sum in two ways:
//
//   kfac² = (kfac² − scaled²)      scale: what a multiple of K repairs
//         + (scaled² − ekfac²)     eigenvalues: what others in the same basis repair
//         + ekfac²                 eigenbasis: what no diagonal in this basis holds
//   kfac² = (kfac² − scaled²)      scale
//         + (scaled² − floor_1²)   factors: what others, still one product, repair
//         + floor_1²               rank: what no single Kronecker product holds
//
// K = U diag(M) Uᵀ with M the products of eigenvalues, so that all of the first sum comes from Λ and M:
// scale = (1 − s)²‖M‖² and eigenvalues = ‖Λ − s M‖² lose no digits. The eigenbasis' part does: ‖F‖² − ‖Λ‖²
// is known to ROUNDING·‖F‖² only, and is an upper bound where it comes near to that; so are the sums then.
//
// Beside them the error of the best diagonal in TKFAC's eigenbasis (tekfac). Where A or G has equal
// eigenvalues their eigenvectors, and with them the parts, are one choice of many. Cost: a product of bases,
// and an EKFAC and a TEKFAC where the study has not measured them.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study.h"

#define ROUNDING (64 * DBL_EPSILON)

// Parts of KFAC's squared error, relative to ‖F‖².
typedef struct parts {
    double scale, eigenvalues, eigenbasis;
} parts;

// 1 − ‖Λ‖²/‖F‖² for the diagonal Λ of F in a basis; where it is lost in rounding, what it is at most.
static double off_diagonal(double diagonal2) {
    const double rest = 1 - diagonal2;
    return rest > 9 * ROUNDING ? rest : fmax(rest, 0) + ROUNDING;
}

// Λ = diag(Uᵀ F U) beside M = diag(Uᵀ K U), the eigenvalues of K = A ⊗ G.
static void split(const gsl_matrix *lambda, const gsl_matrix *m, double norm2, parts *out) {
    double mm = 0, lm = 0, ll = 0, left = 0;
    for (size_t i = 0; i < lambda->size1; i++)
        for (size_t j = 0; j < lambda->size2; j++) {
            const double l = gsl_matrix_get(lambda, i, j), k = gsl_matrix_get(m, i, j);
            mm += k * k;
            lm += l * k;
            ll += l * l;
        }
    const double s = mm > 0 ? lm / mm : 0;
    for (size_t i = 0; i < lambda->size1; i++)
        for (size_t j = 0; j < lambda->size2; j++) {
            const double d = gsl_matrix_get(lambda, i, j) - s * gsl_matrix_get(m, i, j);
            left += d * d;
        }
    *out = (parts){(1 - s) * (1 - s) * mm / norm2, left / norm2, off_diagonal(ll / norm2)};
}

// Λ and its basis, as EKFAC names them.
typedef struct diagonal {
    const gsl_matrix *u_a, *u_g, *lambda;
} diagonal;

static fim_status collect(void *context, const char *name, const gsl_matrix *matrix) {
    diagonal *d = context;
    *(strcmp(name, "u_a") == 0 ? &d->u_a : strcmp(name, "u_g") == 0 ? &d->u_g : &d->lambda) = matrix;
    return FIM_OK;
}

static fim_status build(const char *name, const fim_fisher *f, fim_op **out) {
    fim_method method;
    fim_approx_info info;
    fim_status status = fim_method_parse(name, &method);
    return status == FIM_OK ? fim_approx_build(&method, f, &(fim_approx_options){0}, out, &info) : status;
}

// The study's own operators, or those built for this.
static fim_status kfac_parts(const fim_fisher *f, const study_kept *kept, double norm2, parts *out) {
    fim_op *kfac = NULL, *ekfac = NULL;
    gsl_matrix *m = NULL;
    diagonal d = {0};
    fim_status status = FIM_OK;
    if (kept->kfac == NULL)
        FIM_TRY(build("kfac", f, &kfac));
    if (kept->ekfac == NULL)
        FIM_TRY(build("ekfac", f, &ekfac));
    FIM_TRY(fim_op_visit(kept->ekfac != NULL ? kept->ekfac : ekfac, collect, &d));
    FIM_TRY(fim_matrix_new(d.lambda->size1, d.lambda->size2, "KFAC's eigenvalues", &m));
    FIM_TRY(fim_op_diagonal(kept->kfac != NULL ? kept->kfac : kfac, d.u_a, d.u_g, m));
    split(d.lambda, m, norm2, out);
out:
    fim_op_free(kfac);
    fim_op_free(ekfac);
    gsl_matrix_free(m);
    return status;
}

static fim_status tekfac_error2(const fim_fisher *f, double norm2, double *out) {
    fim_op *op = NULL;
    double diagonal2;
    fim_status status = FIM_OK;
    FIM_TRY(build("tekfac", f, &op));
    FIM_TRY(fim_op_norm2(op, &diagonal2));
    *out = off_diagonal(diagonal2 / norm2);
out:
    fim_op_free(op);
    return status;
}

static fim_status put(fim_record *record, const char *name, double value, double error2, const char *route) {
    char full[40], note[200];
    snprintf(full, sizeof full, "decomposition_%s", name);
    if (isnan(value) || error2 > 10 * ROUNDING)
        snprintf(note, sizeof note, "%s", route);
    else
        snprintf(note, sizeof note, "upper bound: the norms cancel down to %.0e of the square", ROUNDING);
    return fim_record_set(record, full, value, note);
}

static fim_status put_error(fim_record *record, const char *name, double error2, const char *route) {
    return put(record, name, sqrt(error2), error2, route);
}

// The study's own measurement, or from the operator built for this.
static fim_status put_tekfac(const fim_fisher *f, double norm2, fim_record *record) {
    const fim_record *method = fim_record_child(record, "tekfac");
    const fim_value *known = method != NULL ? fim_record_value(method, "frobenius_error") : NULL;
    if (known != NULL && !isnan(known->value))
        return fim_record_set(record, "decomposition_error_tekfac", known->value, known->note);
    double error2;
    fim_status status = tekfac_error2(f, norm2, &error2);
    return status == FIM_OK
               ? put_error(record, "error_tekfac", error2, "from the diagonal in TKFAC's eigenbasis")
               : status;
}

// The second sum; scaled2 is NAN when KFAC's factors are not known, for the reason `why`.
static fim_status put_kronecker(fim_record *record, double scaled2, const char *why) {
    const fim_value *floor = fim_record_value(record, "floor_1");
    const fim_value *missing = fim_record_value(record, "kronecker_singular_values");
    const char *route = "from the Kronecker spectrum", *no_floor = missing != NULL ? missing->note : "";
    const double rank = floor != NULL ? floor->value * floor->value : (double)NAN;
    fim_status status = FIM_OK;
    // Both are errors of one product: below zero is rounding.
    const double factors = isnan(scaled2) || isnan(rank) ? (double)NAN : fmax(scaled2 - rank, 0);
    FIM_TRY(put(record, "part_factors", factors, INFINITY,
                isnan(scaled2) ? why
                : isnan(rank)  ? no_floor
                               : route));
    FIM_TRY(put(record, "part_rank", rank, INFINITY, isnan(rank) ? no_floor : route));
out:
    return status;
}

static bool asks_for_kfac(const fim_study_options *options) {
    for (size_t i = 0; i < options->n_methods; i++)
        if (strcmp(options->methods[i].name, "kfac") == 0)
            return true;
    return false;
}

fim_status study_decomposition(const fim_study_options *options, const fim_fisher *f, const study_kept *kept,
                               double norm, fim_record *record) {
    static const char *const of_kfac[] = {"error_kfac", "error_scaled",     "error_ekfac",
                                          "part_scale", "part_eigenvalues", "part_eigenbasis"};
    const double norm2 = norm * norm;
    parts p = {NAN, NAN, NAN};
    char why[200] = "";
    if (!asks_for_kfac(options) || !(norm2 > 0))
        return FIM_OK;
    fim_status status = kfac_parts(f, kept, norm2, &p);
    if (status == FIM_ERR_UNAVAILABLE) {
        snprintf(why, sizeof why, "%s", fim_message());
        for (size_t i = 0; i < sizeof of_kfac / sizeof *of_kfac; i++)
            FIM_TRY(put(record, of_kfac[i], NAN, NAN, why));
    } else {
        const char *route = "from the diagonal in KFAC's eigenbasis";
        FIM_TRY(status);
        FIM_TRY(put_error(record, "error_kfac", p.scale + p.eigenvalues + p.eigenbasis, route));
        FIM_TRY(put_error(record, "error_scaled", p.eigenvalues + p.eigenbasis, route));
        FIM_TRY(put_error(record, "error_ekfac", p.eigenbasis, route));
        FIM_TRY(put(record, "part_scale", p.scale, INFINITY, route));
        FIM_TRY(put(record, "part_eigenvalues", p.eigenvalues, INFINITY, route));
        FIM_TRY(put(record, "part_eigenbasis", p.eigenbasis, p.eigenbasis, route));
    }
    FIM_TRY(put_tekfac(f, norm2, record));
    FIM_TRY(put_kronecker(record, p.eigenvalues + p.eigenbasis, why));
out:
    return status;
}
