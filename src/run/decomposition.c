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
// eigenvalues their eigenvectors, and with them the parts, are one choice of many. Cost: an EKFAC, and a
// TEKFAC where the study has not measured one.
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

// Λ = diag(Uᵀ F U) beside M, the eigenvalues of A ⊗ G.
static void split(const gsl_matrix *lambda, const gsl_vector *values_a, const gsl_vector *values_g,
                  double norm2, parts *out) {
    double mm = 0, lm = 0, ll = 0, left = 0;
    for (size_t i = 0; i < lambda->size1; i++)
        for (size_t j = 0; j < lambda->size2; j++) {
            const double l = gsl_matrix_get(lambda, i, j);
            const double m = gsl_vector_get(values_a, i) * gsl_vector_get(values_g, j);
            mm += m * m;
            lm += l * m;
            ll += l * l;
        }
    const double s = mm > 0 ? lm / mm : 0;
    for (size_t i = 0; i < lambda->size1; i++)
        for (size_t j = 0; j < lambda->size2; j++) {
            const double m = gsl_vector_get(values_a, i) * gsl_vector_get(values_g, j);
            const double d = gsl_matrix_get(lambda, i, j) - s * m;
            left += d * d;
        }
    *out = (parts){(1 - s) * (1 - s) * mm / norm2, left / norm2, off_diagonal(ll / norm2)};
}

static fim_status kfac_parts(const fim_fisher *f, double norm2, parts *out) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    gsl_matrix *a = NULL, *g = NULL, *lambda = NULL;
    gsl_vector *values_a = NULL, *values_g = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_matrix_new(d_a, d_a, "KFAC's A", &a));
    FIM_TRY(fim_matrix_new(d_g, d_g, "KFAC's G", &g));
    FIM_TRY(fim_matrix_new(d_a, d_g, "the diagonal in KFAC's eigenbasis", &lambda));
    FIM_TRY(fim_vector_new(d_a, "eigenvalues of A", &values_a));
    FIM_TRY(fim_vector_new(d_g, "eigenvalues of G", &values_g));
    FIM_TRY(fim_fisher_moments(f, a, g));
    FIM_TRY(fim_eigen(a, values_a)); // a and g become their eigenvectors
    FIM_TRY(fim_eigen(g, values_g));
    FIM_TRY(fim_fisher_diagonal(f, a, g, lambda));
    split(lambda, values_a, values_g, norm2, out);
out:
    gsl_matrix_free(a);
    gsl_matrix_free(g);
    gsl_matrix_free(lambda);
    gsl_vector_free(values_a);
    gsl_vector_free(values_g);
    return status;
}

static fim_status tekfac_error2(const fim_fisher *f, double norm2, double *out) {
    fim_method method;
    fim_op *op = NULL;
    double diagonal2;
    fim_status status = FIM_OK;
    FIM_TRY(fim_method_parse("tekfac", &method));
    FIM_TRY(fim_approx_build(&method, f, &(fim_approx_options){0}, &op, &(fim_approx_info){0}));
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

fim_status study_decomposition(const fim_study_options *options, const fim_fisher *f, double norm,
                               fim_record *record) {
    static const char *const of_kfac[] = {"error_kfac", "error_scaled",     "error_ekfac",
                                          "part_scale", "part_eigenvalues", "part_eigenbasis"};
    const double norm2 = norm * norm;
    parts p = {NAN, NAN, NAN};
    char why[200] = "";
    if (!asks_for_kfac(options) || !(norm2 > 0))
        return FIM_OK;
    fim_status status = kfac_parts(f, norm2, &p);
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
