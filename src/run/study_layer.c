// One layer of a study: the block's own figures, then every approximation, built, timed and measured.
#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_sort_vector.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

// Building is timed until it has taken this long or has been repeated so often; the median counts. The first
// build, which warms caches up, is among them only when it is the only one.
#define TIMING_SECONDS 0.1
enum { TIMING_REPEATS = 5 };

size_t study_steps(const fim_study_options *options) {
    return 2 + options->n_methods;
}

static bool wants_spectra(const fim_study_options *options) {
    for (size_t i = 0; i < options->n_metrics; i++)
        if (options->metrics[i]->spectral)
            return true;
    return false;
}

// True for the failures that leave a number out, and not the whole study.
static bool is_answer(fim_status status) {
    return status == FIM_ERR_BUDGET || status == FIM_ERR_UNAVAILABLE || status == FIM_NOT_CONVERGED ||
           status == FIM_NOT_POSITIVE;
}

fim_status study_set_or_why(fim_record *record, const char *name, fim_status status, double value,
                            const char *route) {
    if (status == FIM_OK)
        return fim_record_set(record, name, value, route);
    return is_answer(status) ? fim_record_set(record, name, NAN, fim_message()) : status;
}

static fim_status keep_curve(fim_record *record, const char *name, const gsl_vector *values,
                             const char *route) {
    gsl_vector *copy = NULL;
    fim_status status = fim_vector_new(values->size, name, &copy);
    if (status != FIM_OK)
        return status;
    gsl_vector_memcpy(copy, values);
    return fim_record_set_curve(record, name, copy, route);
}

// What R Kronecker terms leave at least, and how many leave 1 %, from the leading singular values of R(F) and
// the norm `rest` of the others.
static fim_status put_floors(fim_record *record, const gsl_vector *sigma, double rest, double norm) {
    static const size_t ranks[] = {1, 2, 3, 5, 10};
    const size_t n = sigma->size;
    char why[80];
    double *tail = NULL; // tail[r]: what r terms leave
    fim_status status = fim_alloc(n + 1, sizeof *tail, "error floors", &tail);
    if (status != FIM_OK)
        return status;
    snprintf(why, sizeof why, "only the leading %zu Kronecker singular values are known", n);
    tail[n] = rest;
    for (size_t r = n; r-- > 0;)
        tail[r] = hypot(tail[r + 1], gsl_vector_get(sigma, r));
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        char name[40];
        const bool known = ranks[i] <= n || rest == 0;
        snprintf(name, sizeof name, "floor_%zu", ranks[i]);
        const double floor = norm > 0 ? tail[ranks[i] < n ? ranks[i] : n] / norm : 0;
        FIM_TRY(fim_record_set(record, name, known ? floor : (double)NAN, known ? "" : why));
    }
    size_t rank = 0;
    while (rank < n && tail[rank] > 0.01 * norm)
        rank++;
    const bool known = tail[rank] <= 0.01 * norm;
    FIM_TRY(fim_record_set(record, "rank_1_percent", known ? (double)rank : (double)NAN, known ? "" : why));
out:
    free(tail);
    return status;
}

// All singular values of R(F), or the leading ones and the norm of the rest where the budget holds no more.
static fim_status put_kronecker(const fim_study_options *options, const fim_fisher *f, double norm,
                                fim_record *record) {
    enum { LEADING = 20 };
    const size_t resident = options->budget < SIZE_MAX ? fim_memory_resident() : 0;
    gsl_vector *sigma = NULL;
    double rest = 0;
    char route[200] = "";
    fim_status status =
        fim_fisher_kronecker_values(f, fim_memory_left(options->budget, resident), &sigma, route);
    if (status == FIM_ERR_BUDGET) {
        // Half, since products with R(F) take memory of their own.
        status = fim_fisher_leading_kronecker_values(
            f, LEADING, fim_memory_left(options->budget, resident) / 2, options->seed, &sigma, route);
        if (status == FIM_OK) {
            const double length = gsl_blas_dnrm2(sigma);
            rest = sqrt(fmax(norm * norm - length * length, 64 * DBL_EPSILON * norm * norm));
            FIM_TRY(fim_record_set(record, "kronecker_tail_norm", rest,
                                   "norm of the singular values that are left out, from the Frobenius norm"));
        }
    }
    if (status != FIM_OK)
        return study_set_or_why(record, "kronecker_singular_values", status, 0, route);
    FIM_TRY(put_floors(record, sigma, rest, norm));
    FIM_TRY(keep_curve(record, "kronecker_singular_values", sigma, route));
out:
    gsl_vector_free(sigma);
    return status;
}

// The quadrature of the spectral density of F as two curves, its nodes in decreasing order.
static fim_status put_density(fim_reference *reference, fim_record *record) {
    enum { PROBES = 10, STEPS = 60 };
    fim_density density = {0};
    gsl_vector *nodes = NULL, *weights = NULL;
    char note[200];
    fim_status status = FIM_OK;
    FIM_TRY(fim_reference_density(reference, PROBES, STEPS, &density));
    const size_t n = density.nodes->size1 * density.nodes->size2;
    FIM_TRY(fim_vector_new(n, "the nodes of a density", &nodes));
    FIM_TRY(fim_vector_new(n, "the weights of a density", &weights));
    for (size_t i = 0; i < n; i++) { // both matrices are contiguous
        gsl_vector_set(nodes, i, density.nodes->data[i]);
        gsl_vector_set(weights, i, density.weights->data[i] / PROBES);
    }
    gsl_sort_vector2(nodes, weights);
    gsl_vector_reverse(nodes);
    gsl_vector_reverse(weights);
    snprintf(note, sizeof note, "stochastic Lanczos quadrature, %d probes of %zu steps", PROBES,
             density.nodes->size2);
    gsl_vector *given = nodes;
    nodes = NULL; // taken over in any case
    FIM_TRY(fim_record_set_curve(record, "density_nodes", given, note));
    given = weights;
    weights = NULL;
    FIM_TRY(fim_record_set_curve(record, "density_weights", given, note));
out:
    fim_density_clear(&density);
    gsl_vector_free(nodes);
    gsl_vector_free(weights);
    return status;
}

// The eigenvalues of F; of an incomplete list also what it leaves out.
static fim_status put_spectrum(const fim_study_options *options, fim_reference *reference,
                               const fim_spectrum *spectrum, fim_record *record) {
    fim_status status = keep_curve(record, "eigenvalues", spectrum->values, spectrum->route);
    if (status != FIM_OK || spectrum->complete)
        return status;
    FIM_TRY(fim_record_set(record, "tail_norm", spectrum->tail_norm,
                           "norm of the eigenvalues that are left out, from the Frobenius norm"));
    if (options->spectra.policy != FIM_SPECTRA_AUTO) // some hundred products are not spent unasked
        FIM_TRY(put_density(reference, record));
out:
    return status;
}

static fim_status put_block(const fim_study_options *options, const fim_fisher *f, const char *fisher,
                            fim_reference *reference, fim_record *record) {
    const size_t d_a = fim_fisher_d_a(f), d_g = fim_fisher_d_g(f);
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set(record, "d_a", (double)d_a, ""));
    FIM_TRY(fim_record_set(record, "d_g", (double)d_g, ""));
    FIM_TRY(fim_record_set(record, "parameters", (double)d_a * (double)d_g, ""));
    FIM_TRY(fim_record_set(record, "samples", (double)fim_fisher_samples(f), ""));
    if (options->krylov_steps > 0)
        FIM_TRY(
            fim_record_set(record, "krylov_steps", (double)options->krylov_steps, "where iterations end"));
    FIM_TRY(fim_record_set_text(record, "fisher", fisher));
    FIM_TRY(fim_record_set(record, "fisher_norm", fim_reference_norm(reference), ""));
    FIM_TRY(fim_record_set(record, "fisher_trace", fim_reference_trace(reference), ""));
    FIM_TRY(put_kronecker(options, f, fim_reference_norm(reference), record));
    if (wants_spectra(options)) {
        const fim_spectrum *spectrum = NULL;
        status = fim_reference_spectrum(reference, &spectrum);
        if (status == FIM_OK)
            FIM_TRY(put_spectrum(options, reference, spectrum, record));
        else
            FIM_TRY(study_set_or_why(record, "eigenvalues", status, 0, ""));
    } else {
        FIM_TRY(fim_record_set(record, "eigenvalues", NAN, "no metric that needs spectra was asked for"));
    }
out:
    return status;
}

static int by_size(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

// The operator, what its iteration reached, and the median seconds of building it. FIM_NOT_CONVERGED sets all
// of them too.
static fim_status build_timed(const fim_study_options *options, const fim_method *method, const fim_fisher *f,
                              fim_op **out, fim_approx_info *info, double *seconds) {
    const fim_approx_options build = {
        .tolerance = options->tolerance, .krylov_steps = options->krylov_steps, .seed = options->seed};
    double took[TIMING_REPEATS], total = 0;
    size_t count = 0;
    fim_op *op = NULL;
    fim_status status = FIM_OK;
    while (count < TIMING_REPEATS && total < TIMING_SECONDS) {
        fim_op_free(op);
        op = NULL;
        const double start = fim_clock_seconds();
        status = fim_approx_build(method, f, &build, &op, info);
        if (status != FIM_OK && status != FIM_NOT_CONVERGED)
            return status;
        took[count] = fim_clock_seconds() - start;
        total += took[count++];
    }
    const size_t warm = count > 1;
    qsort(took + warm, count - warm, sizeof *took, by_size);
    *seconds = took[warm + (count - warm) / 2];
    *out = op;
    return status;
}

static fim_status keep_factor(void *context, const char *name, const gsl_matrix *matrix) {
    gsl_matrix *copy = NULL;
    fim_status status = fim_matrix_copy(matrix, name, &copy);
    return status == FIM_OK ? fim_record_set_table(context, name, copy) : status;
}

static fim_status measure(const fim_study_options *options, fim_reference *reference, const fim_op *op,
                          double inner, fim_record *record) {
    fim_candidate *candidate = NULL;
    fim_status status = fim_candidate_new(reference, op, &candidate);
    if (status != FIM_OK)
        return status;
    fim_candidate_know_inner(candidate, inner);
    for (size_t i = 0; i < options->n_metrics; i++) {
        double value = NAN;
        char route[200] = "";
        status = options->metrics[i]->evaluate(candidate, &value, route);
        FIM_TRY(study_set_or_why(record, options->metrics[i]->name, status, value, route));
    }
    if (wants_spectra(options)) {
        const fim_spectrum *spectrum = NULL;
        status = fim_candidate_spectrum(candidate, &spectrum);
        if (status == FIM_OK)
            FIM_TRY(keep_curve(record, "eigenvalues", spectrum->values, spectrum->route));
        else
            FIM_TRY(study_set_or_why(record, "eigenvalues", status, 0, ""));
    }
out:
    fim_candidate_free(candidate);
    return status;
}

static fim_status study_method(const fim_study_options *options, const fim_method *method,
                               const fim_fisher *f, fim_reference *reference, const fim_steps *steps,
                               study_kept *kept, fim_record *record) {
    fim_op *op = NULL;
    fim_approx_info info = {0};
    double seconds = 0;
    fim_status status = build_timed(options, method, f, &op, &info, &seconds);
    if (status == FIM_ERR_UNAVAILABLE) { // a dump that does not hold what this method needs
        for (size_t i = 0; i < options->n_metrics; i++)
            FIM_TRY(fim_record_set(record, options->metrics[i]->name, NAN, fim_message()));
        FIM_TRY(fim_record_set(record, "build_seconds", NAN, fim_message()));
        return FIM_OK;
    }
    if (status != FIM_OK && status != FIM_NOT_CONVERGED)
        goto out;
    FIM_TRY(measure(options, reference, op, info.inner, record));
    FIM_TRY(study_steps_measure(options, steps, op, record));
    FIM_TRY(fim_record_set(record, "build_seconds", seconds, ""));
    if (info.iterative) {
        FIM_TRY(fim_record_set(record, "products", (double)info.products, "with R(F) and its transpose"));
        FIM_TRY(fim_record_set(record, "residual", info.residual,
                               "relative to the largest singular value, both sides"));
        FIM_TRY(fim_record_set(record, "converged", info.converged, ""));
    }
    if (options->factors)
        FIM_TRY(fim_op_visit(op, keep_factor, record));
    fim_op **keep = strcmp(method->name, "kfac") == 0    ? &kept->kfac
                    : strcmp(method->name, "ekfac") == 0 ? &kept->ekfac
                                                         : NULL;
    if (keep != NULL && *keep == NULL) {
        *keep = op;
        op = NULL;
    }
out:
    fim_op_free(op);
    return status;
}

fim_status study_layer(const fim_study_options *options, const fim_fisher *f, const char *fisher,
                       const gsl_matrix *gradient, const fim_monitor *monitor, size_t done, size_t total,
                       fim_record *record) {
    fim_reference *reference = NULL;
    fim_steps *steps = NULL;
    study_kept kept = {0};
    char what[128];
    fim_status status = FIM_OK;
    snprintf(what, sizeof what, "layer %.60s: the block and its spectra", record->name);
    FIM_TRY(fim_monitor_progress(monitor, what, (double)done, (double)total));
    FIM_TRY(fim_reference_new(f, &options->spectra, options->budget, options->seed, &reference));
    FIM_TRY(put_block(options, f, fisher, reference, record));
    FIM_TRY(study_steps_begin(options, f, gradient, fim_reference_trace(reference), record, &steps));
    done += 2;
    for (size_t i = 0; i < options->n_methods; i++) {
        snprintf(what, sizeof what, "layer %.60s: %s", record->name, options->methods[i].name);
        FIM_TRY(fim_monitor_progress(monitor, what, (double)(done + i), (double)total));
        fim_record *method = NULL;
        FIM_TRY(fim_record_add_child(record, options->methods[i].name, &method));
        FIM_TRY(study_method(options, &options->methods[i], f, reference, steps, &kept, method));
    }
    FIM_TRY(study_decomposition(options, f, &kept, fim_reference_norm(reference), record));
out:
    fim_op_free(kept.kfac);
    fim_op_free(kept.ekfac);
    fim_steps_free(steps);
    fim_reference_free(reference);
    return fim_context(status, "layer %s", record->name);
}
