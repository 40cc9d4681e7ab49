// How far the samples themselves leave the Fisher block of a layer in doubt.
//
//   sampling_error = ‖F − F_exact‖_F / ‖F_exact‖_F   of drawn or given labels, at the same inputs
//   half_error     = ‖F_1 − F_2‖_F / ‖F‖_F           of two random halves of the samples
//
// Halves differ by twice the standard error of F: Var F = S²/N, and Var (F_1 − F_2) = 4 S²/N, where S² is the
// variance of one sample's term. Both come from inner products over pairs of samples; no block is formed.
#include <float.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

// √(difference2 / norm2), where difference2 is what is left of inner products of size `scale`.
static fim_status put_ratio(fim_record *record, const char *name, double difference2, double scale,
                            double norm2) {
    const double rounding = 64 * DBL_EPSILON * scale;
    char route[200] = "inner products of samples";
    if (!(norm2 > 0))
        return fim_record_set(record, name, NAN, "the block is zero");
    if (difference2 < 1e4 * rounding) { // less than four digits are left
        difference2 = fmax(difference2, 0) + rounding;
        snprintf(route, sizeof route, "upper bound: inner products of samples cancel down to %.0e",
                 sqrt(rounding / norm2));
    }
    return fim_record_set(record, name, sqrt(difference2 / norm2), route);
}

static fim_status put_half_error(const fim_fisher *f, uint64_t seed, fim_record *record) {
    static const char name[] = "half_error";
    const size_t n = fim_fisher_samples(f), half = n / 2;
    double *w = NULL, norm2, difference2;
    gsl_rng *rng = NULL;
    fim_status status = FIM_OK;
    if (half == 0)
        return fim_record_set(record, name, NAN, "a single sample has no halves");
    FIM_TRY(fim_alloc(n, sizeof *w, "weights of samples", &w));
    rng = gsl_rng_alloc(gsl_rng_mt19937);
    FIM_TRY(rng != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a random number generator"));
    for (size_t i = 0; i < n; i++)
        w[i] = i < half ? (double)n / (double)half : -(double)n / (double)(n - half);
    gsl_rng_set(rng, (unsigned long)fim_seed_stream(seed, 1));
    gsl_ran_shuffle(rng, w, n, sizeof *w);
    FIM_TRY(fim_fisher_norm2(f, &norm2));
    status = fim_fisher_weighted_norm2(f, w, &difference2);
    if (status == FIM_OK)
        FIM_TRY(put_ratio(record, name, difference2, 4 * norm2, norm2));
    else
        FIM_TRY(study_set_or_why(record, name, status, 0, ""));
out:
    gsl_rng_free(rng);
    free(w);
    return status;
}

// The exact block at the inputs of f, then the distance.
static fim_status put_sampling_error(const fim_fisher *f, const study_inputs *inputs, size_t layer,
                                     const fim_monitor *monitor, fim_record *record) {
    static const char name[] = "sampling_error";
    const fim_fisher_spec exactly = {.kind = FIM_FISHER_EXACT, .draws = 1};
    fim_samples samples = {0};
    fim_fisher *exact = NULL;
    double norm2, exact2, inner;
    fim_status status =
        fim_fisher_capture(inputs->net, inputs->data, &exactly, &layer, 1, inputs->budget, monitor, &samples);
    if (status != FIM_OK)
        return study_set_or_why(record, name, status, 0, "");
    FIM_TRY(fim_fisher_new(&samples, &exact));
    FIM_TRY(fim_fisher_norm2(f, &norm2));
    FIM_TRY(fim_fisher_norm2(exact, &exact2));
    FIM_TRY(fim_fisher_inner(f, exact, &inner));
    FIM_TRY(put_ratio(record, name, norm2 - 2 * inner + exact2, norm2 + exact2, exact2));
out:
    fim_fisher_free(exact);
    fim_samples_clear(&samples);
    return status;
}

fim_status study_sampling(const fim_study_options *options, const fim_fisher *f, const study_inputs *inputs,
                          size_t layer, const fim_monitor *monitor, fim_record *record) {
    const char *kind = fim_record_text(record, "fisher");
    fim_status status = FIM_OK;
    if (!options->sampling_error)
        return FIM_OK;
    if (strcmp(kind, "exact") == 0)
        FIM_TRY(fim_record_set(record, "sampling_error", 0, "by definition: this Fisher is the exact one"));
    else if (inputs == NULL)
        FIM_TRY(fim_record_set(record, "sampling_error", NAN,
                               "a dump does not tell the exact Fisher: give the checkpoint and its data"));
    else
        FIM_TRY(put_sampling_error(f, inputs, layer, monitor, record));
    FIM_TRY(put_half_error(f, options->seed, record));
    const fim_value *halves = fim_record_value(record, "half_error");
    if (fim_record_value(record, "decomposition_error_kfac") != NULL) // beside the parts of KFAC's error
        FIM_TRY(fim_record_set(record, "decomposition_error_sampling", halves->value / 2, halves->note));
out:
    return status;
}

size_t study_budget_left(size_t budget, const fim_samples *samples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t taken = fim_samples_bytes(&samples[i]);
        budget = taken < budget ? budget - taken : 0;
    }
    return budget;
}
