// What the metrics of a layer share: the block, the operator under comparison, and their spectra.
//
// A spectrum is complete where structure gives it, where a dense eigensolver is allowed (the policy of the
// options) and where it fits into memory. Otherwise its leading part comes from the Lanczos process, and the
// Frobenius norm and the trace tell exactly how much is left out.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"

enum { LEADING_DEFAULT = 50, LEADING_AUTO = 20, GRAM_ROWS = 1500 };

// Products that the leading eigenvalues of an operator take, about, and the flops that FIM_SPECTRA_AUTO
// spends on them.
enum { LEADING_PRODUCTS = 100 };
static const double leading_flops = 2e11;

fim_status fim_spectra_parse(const char *text, fim_spectra *out) {
    static const char *const names[] = {"full", "leading", "auto"}; // in the order of the enum
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (fim_spectra)i;
            return FIM_OK;
        }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown spectra '%s': full, leading or auto", text);
}

fim_status fim_reference_new(const fim_fisher *f, const fim_spectra_options *spectra, size_t budget,
                             uint64_t seed, fim_reference **out) {
    fim_reference *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "a reference", &self);
    if (status != FIM_OK)
        return status;
    *self = (fim_reference){.f = f,
                            .budget = budget,
                            .resident = budget < SIZE_MAX ? fim_memory_resident() : 0,
                            .seed = seed,
                            .spectral_norm = -1};
    if (spectra != NULL)
        self->spectra = *spectra;
    if (self->spectra.leading == 0)
        self->spectra.leading = self->spectra.policy == FIM_SPECTRA_AUTO ? LEADING_AUTO : LEADING_DEFAULT;
    FIM_TRY(fim_fisher_norm2(f, &self->norm2));
    FIM_TRY(fim_fisher_trace(f, &self->trace));
    *out = self;
    return FIM_OK;
out:
    free(self);
    return status;
}

void fim_reference_free(fim_reference *reference) {
    if (reference == NULL)
        return;
    gsl_vector_free(reference->spectrum.values);
    fim_reduced_free(reference->frame[0]);
    fim_reduced_free(reference->frame[1]);
    twins_free(reference);
    free(reference);
}

size_t reference_left(const fim_reference *reference) {
    return fim_memory_left(reference->budget, reference->resident);
}

double fim_reference_norm(const fim_reference *reference) {
    return sqrt(fmax(reference->norm2, 0));
}

double fim_reference_trace(const fim_reference *reference) {
    return reference->trace;
}

// True when the policy allows all eigenvalues of a matrix of `rows` rows; none are needed where structure
// gives them.
static bool allowed(const fim_reference *reference, size_t rows, bool gram) {
    const double n = (double)rows;
    switch (reference->spectra.policy) {
    case FIM_SPECTRA_LEADING:
        return rows == 0 || (gram && rows <= GRAM_ROWS);
    case FIM_SPECTRA_AUTO:
        return 4.0 / 3 * n * n * n <= reference->spectra.flops;
    default:
        return true;
    }
}

// FIM_ERR_UNAVAILABLE when even the leading eigenvalues of op cost more than is spent unasked. A term A ⊗ G
// takes 2 D (d_a + d_g) flops a product.
static fim_status check_effort(fim_reference *reference, const fim_op *op) {
    const fim_reduced *frame = NULL;
    fim_status status = reference_frame(reference, true, &frame);
    if (status != FIM_OK)
        return status;
    double d_a = (double)fim_op_d_a(op), d_g = (double)fim_op_d_g(op);
    const double terms = (double)fim_op_bytes(op) / (sizeof(double) * (d_a * d_a + d_g * d_g));
    if (frame != NULL) {
        d_a = (double)fim_reduced_d_a(frame);
        d_g = (double)fim_reduced_d_g(frame);
    }
    const double flops = LEADING_PRODUCTS * terms * 2 * d_a * d_g * (d_a + d_g);
    if (reference->spectra.policy != FIM_SPECTRA_AUTO || flops <= leading_flops)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_UNAVAILABLE,
                    "eigenvalues of a sum of Kronecker products on %zu parameters take some %.0e flops: ask "
                    "for them with "
                    "--spectra leading",
                    fim_op_d_a(op) * fim_op_d_g(op), flops);
}

// The leading eigenvalues of F, or of the candidate unless it is NULL, and the exact rest of norm² and trace.
static fim_status leading(fim_reference *reference, fim_candidate *candidate, double norm2, double trace,
                          fim_spectrum *out) {
    const size_t d = fim_fisher_d_a(reference->f) * fim_fisher_d_g(reference->f);
    const fim_reduced *frame = NULL;
    fim_status status = reference_frame(reference, true, &frame);
    if (status != FIM_OK)
        return status;
    const size_t vectors =
        difference_vectors(reference, frame != NULL ? fim_reduced_d_a(frame) * fim_reduced_d_g(frame) : d);
    size_t k = reference->spectra.leading;
    k = k < d ? k : d;
    k = k < vectors / 2 ? k : vectors / 2; // with as many again for the basis to work with
    if (k < 2 && k < d)
        return fim_budget_check(0, fim_size_mul(4 * d, sizeof(double)), "the leading part of a spectrum",
                                "raise --memory, or leave the spectral metrics out with --metrics");
    fim_spectrum found = {.size = d, .complete = k == d};
    fim_lanczos_info info = {0};
    if (candidate != NULL)
        status = check_effort(reference, candidate->op);
    if (status != FIM_OK)
        return status;
    FIM_TRY(fim_vector_new(k, "eigenvalues", &found.values));
    // Those of an operator serve bounds, where the slack of its residual is not seen.
    const double tolerance = candidate == NULL || found.complete ? 1e-8 : 1e-7;
    status = difference_eigenvalues(reference, candidate, candidate == NULL, k, FIM_LANCZOS_LARGEST,
                                    tolerance, found.values, &info);
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    for (size_t i = 0; i < k; i++) {
        const double value = gsl_vector_get(found.values, i);
        norm2 -= value * value;
        trace -= value;
        found.slack = hypot(found.slack, info.residual * fabs(gsl_vector_get(found.values, 0)));
    }
    found.slack += candidate != NULL && candidate->small != NULL ? candidate->small->lost : 0;
    found.tail_norm = found.complete ? 0 : sqrt(fmax(norm2, 0));
    found.tail_trace = found.complete ? 0 : trace;
    snprintf(found.route, sizeof found.route, "leading %zu of %zu by Lanczos, %zu products, residual %.0e%s",
             k, d, info.products, info.residual, status == FIM_OK ? "" : " (not converged)");
    *out = found;
    return FIM_OK;
out:
    gsl_vector_free(found.values);
    return status;
}

// A new spectrum of F: `size` values, the others being zero.
static fim_status full_reference(const fim_reference *reference, fim_spectrum *out) {
    fim_spectrum found = {.size = fim_fisher_d_a(reference->f) * fim_fisher_d_g(reference->f),
                          .complete = true};
    fim_status status =
        fim_fisher_eigenvalues(reference->f, reference_left(reference), &found.values, found.route);
    if (status == FIM_OK)
        *out = found;
    return status;
}

fim_status fim_reference_spectrum(fim_reference *reference, const fim_spectrum **out) {
    fim_status status = FIM_OK;
    if (reference->spectrum.values == NULL) {
        size_t rows;
        bool gram;
        status = fim_fisher_eigen_size(reference->f, &rows, &gram);
        if (status != FIM_OK)
            return status;
        const bool full = allowed(reference, rows, gram);
        if (full)
            status = full_reference(reference, &reference->spectrum);
        if (!full || status == FIM_ERR_BUDGET)
            status = leading(reference, NULL, reference->norm2, reference->trace, &reference->spectrum);
    }
    if (status == FIM_OK)
        *out = &reference->spectrum;
    return status;
}

fim_status fim_reference_density(fim_reference *reference, size_t probes, size_t steps, fim_density *out) {
    difference d = {0};
    fim_status status = FIM_OK;
    FIM_TRY(difference_init(&d, reference, NULL, true));
    FIM_TRY(fim_density_new(&d.map, probes, steps, fim_seed_stream(reference->seed, 1), out));
out:
    difference_clear(&d);
    return status;
}

// ---- The operator ----

fim_status fim_candidate_new(fim_reference *reference, const fim_op *op, fim_candidate **out) {
    if (fim_op_d_a(op) != fim_fisher_d_a(reference->f) || fim_op_d_g(op) != fim_fisher_d_g(reference->f))
        return FIM_FAIL(FIM_ERR_SHAPE, "an operator on (%zu, %zu) is compared with a block on (%zu, %zu)",
                        fim_op_d_a(op), fim_op_d_g(op), fim_fisher_d_a(reference->f),
                        fim_fisher_d_g(reference->f));
    fim_candidate *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "a candidate", &self);
    if (status != FIM_OK)
        return status;
    *self = (fim_candidate){.reference = reference, .op = op, .inner = NAN, .frobenius2 = -1};
    status = twin_find(reference, op, &self->twin, &self->distance);
    if (status == FIM_OK)
        *out = self;
    else
        free(self);
    return status;
}

void fim_candidate_know_inner(fim_candidate *candidate, double inner) {
    candidate->inner = inner;
}

void fim_candidate_free(fim_candidate *candidate) {
    if (candidate == NULL)
        return;
    gsl_vector_free(candidate->spectrum.values);
    if (candidate->small != NULL)
        small_op_clear(candidate->small);
    free(candidate->small);
    free(candidate);
}

static fim_status full_candidate(const fim_candidate *candidate, fim_spectrum *out) {
    fim_spectrum found = {.size = fim_op_d_a(candidate->op) * fim_op_d_g(candidate->op), .complete = true};
    fim_status status = FIM_OK;
    FIM_TRY(fim_vector_new(found.size, "eigenvalues", &found.values));
    FIM_TRY(
        fim_op_eigenvalues(candidate->op, reference_left(candidate->reference), found.values, found.route));
    *out = found;
    return FIM_OK;
out:
    gsl_vector_free(found.values);
    return status;
}

// A copy of the twin's spectrum for one `distance` away.
static fim_status twin_spectrum(const fim_spectrum *known, double distance, double norm, fim_spectrum *out) {
    fim_spectrum found = *known;
    fim_status status = fim_vector_new(known->values->size, "eigenvalues", &found.values);
    if (status != FIM_OK)
        return status;
    gsl_vector_memcpy(found.values, known->values);
    found.slack += distance;
    if (distance > 0)
        snprintf(found.route, sizeof found.route, "%.150s, of an operator %.0e ‖F‖ away", known->route,
                 distance / norm);
    *out = found;
    return FIM_OK;
}

fim_status fim_candidate_spectrum(fim_candidate *candidate, const fim_spectrum **out) {
    fim_status status = FIM_OK;
    twin *known = candidate->twin;
    const double norm = fim_reference_norm(candidate->reference);
    if (candidate->spectrum.values == NULL && known != NULL && known->spectrum.values != NULL) {
        status = twin_spectrum(&known->spectrum, candidate->distance, norm, &candidate->spectrum);
    } else if (candidate->spectrum.values == NULL) {
        size_t rows;
        double norm2;
        status = fim_op_eigen_size(candidate->op, &rows);
        if (status == FIM_OK)
            status = fim_op_norm2(candidate->op, &norm2);
        if (status != FIM_OK)
            return status;
        const small_op *small = NULL;
        if (rows > 0)
            status = candidate_small(candidate, &small);
        if (status != FIM_OK)
            return status;
        const bool apart = small != NULL && small_op_independent(small);
        const bool full = apart || allowed(candidate->reference, rows, false);
        if (apart)
            status = independent_spectrum(small, fim_op_d_a(candidate->op) * fim_op_d_g(candidate->op),
                                          &candidate->spectrum);
        else if (full)
            status = full_candidate(candidate, &candidate->spectrum);
        if (!full || status == FIM_ERR_BUDGET)
            status = leading(candidate->reference, candidate, norm2, fim_op_trace(candidate->op),
                             &candidate->spectrum);
        if (status == FIM_OK && known != NULL)
            status = twin_spectrum(&candidate->spectrum, candidate->distance, norm, &known->spectrum);
    }
    if (status == FIM_OK)
        *out = &candidate->spectrum;
    return status;
}
