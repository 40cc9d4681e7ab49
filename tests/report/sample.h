// sample.h - records as the study and training make them, by hand: a few methods with known numbers, spectra
// by formula, and something of everything that can go wrong.
#ifndef FIM_TESTS_REPORT_SAMPLE_H
#define FIM_TESTS_REPORT_SAMPLE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/report.h"

#define SAMPLE_TOO_LARGE "dense eigensolve needs 961.0 MB, the memory budget is 100 MB"

// Stops the test when a record could not be built.
static inline void sample_must(fim_status status) {
    if (status != FIM_OK) {
        fprintf(stderr, "%s\n", fim_message());
        abort();
    }
}

// scale·(i + 1)^-power·e^(-i/decay), i < n.
static inline gsl_vector *sample_curve(size_t n, double scale, double power, double decay) {
    gsl_vector *v = gsl_vector_alloc(n);
    for (size_t i = 0; i < n; i++)
        gsl_vector_set(v, i, scale * pow((double)i + 1, -power) * exp(-(double)i / decay));
    return v;
}

typedef struct sample_method {
    const char *name;
    double frobenius, spectrum, trace, min_eigenvalue, negative, seconds, bytes, products, residual;
} sample_method;

static const sample_method sample_methods[] = {
    {"diagonal", 0.91537, 0.88421, 0, 1.2e-9, 0, 0.00021, 62000, NAN, NAN},
    {"kfac", 0.56712, 0.31254, -0.21345, 3.1e-13, 0, 0.0121, 507688, NAN, NAN},
    {"tkfac", 0.31415, 0.14142, 2e-16, 2.7e-13, 0, 0.0154, 507688, NAN, NAN},
    {"ekfac", 0.42424, 0.11111, -1e-16, 8.1e-12, 0, 0.2217, 569688, NAN, NAN},
    {"kpsvd:1", 0.29876, 0.13579, 0.012345, 2.2e-13, 0, 0.0412, 507688, 12, 3e-12},
    {"kpsvd:2", 0.18765, 0.071234, 0.0034567, -0.0012345, 312, 0.0913, 1015376, 30, 8e-11},
    {"lanczos", 0.187650001, NAN, 0.0034567, NAN, NAN, 0.0877, 1015376, 2000, 1.3e-4},
};
enum { SAMPLE_METHODS = sizeof sample_methods / sizeof *sample_methods };

static inline void sample_fill_method(fim_record *record, const sample_method *m, double scale) {
    sample_must(fim_record_set(record, "frobenius_error", m->frobenius * scale, "by algebra"));
    sample_must(fim_record_set(record, "spectrum_error", m->spectrum * scale,
                               isnan(m->spectrum) ? SAMPLE_TOO_LARGE : "from structure"));
    sample_must(fim_record_set(record, "trace_error", m->trace, NULL));
    sample_must(fim_record_set(record, "min_eigenvalue", m->min_eigenvalue,
                               isnan(m->min_eigenvalue) ? SAMPLE_TOO_LARGE : NULL));
    sample_must(fim_record_set(record, "negative_eigenvalues", m->negative,
                               isnan(m->negative) ? SAMPLE_TOO_LARGE : NULL));
    sample_must(fim_record_set(record, "build_seconds", m->seconds, NULL));
    sample_must(fim_record_set(record, "bytes", m->bytes, NULL));
    if (isnan(m->products))
        return;
    sample_must(fim_record_set(record, "products", m->products, NULL));
    sample_must(fim_record_set(record, "residual", m->residual, NULL));
    sample_must(fim_record_set(record, "converged", m->residual < 1e-8, NULL));
}

static inline void sample_layer(fim_record *layer, size_t d_a, size_t d_g, double scale) {
    const size_t size = d_a * d_g, kronecker = 496;
    sample_must(fim_record_set(layer, "d_a", (double)d_a, NULL));
    sample_must(fim_record_set(layer, "d_g", (double)d_g, NULL));
    sample_must(fim_record_set(layer, "parameters", (double)size, NULL));
    sample_must(fim_record_set(layer, "samples", 512, NULL));
    sample_must(fim_record_set(layer, "fisher_norm", 12.3456789, NULL));
    sample_must(fim_record_set(layer, "fisher_trace", 98.7654321, NULL));
    sample_must(fim_record_set_text(layer, "fisher", "mc:1"));
    gsl_vector *sigma = sample_curve(kronecker, 12, 1.1, 90);
    const size_t terms[] = {1, 2, 3, 5, 10};
    double all = 0;
    for (size_t i = 0; i < kronecker; i++)
        all += pow(gsl_vector_get(sigma, i), 2);
    for (size_t t = 0; t < 5; t++) {
        double dropped = 0;
        char name[32];
        for (size_t i = terms[t]; i < kronecker; i++)
            dropped += pow(gsl_vector_get(sigma, i), 2);
        snprintf(name, sizeof name, "floor_%zu", terms[t]);
        sample_must(fim_record_set(layer, name, sqrt(dropped / all), NULL));
    }
    double rest = 0;
    size_t rank = kronecker;
    while (rank > 0 && rest + pow(gsl_vector_get(sigma, rank - 1), 2) <= 1e-4 * all)
        rest += pow(gsl_vector_get(sigma, --rank), 2);
    sample_must(fim_record_set(layer, "rank_1_percent", (double)rank, NULL));
    sample_must(fim_record_set_curve(layer, "kronecker_singular_values", sigma, "by a Gram matrix"));
    sample_must(fim_record_set_curve(layer, "eigenvalues", sample_curve(size < 512 ? size : 512, 5, 0.9, 60),
                                     "by a Gram matrix"));
    for (size_t m = 0; m < SAMPLE_METHODS; m++) {
        const sample_method *source = &sample_methods[m];
        fim_record *method = NULL;
        sample_must(fim_record_add_child(layer, source->name, &method));
        sample_fill_method(method, source, scale);
        if (!isnan(source->spectrum)) // the larger the error, the flatter the spectrum
            sample_must(
                fim_record_set_curve(method, "eigenvalues",
                                     sample_curve(size, 5 - source->spectrum, 0.9 - 0.4 * source->spectrum,
                                                  60 + 400 * source->spectrum),
                                     "from structure"));
        else
            sample_must(fim_record_set(method, "eigenvalues", NAN, SAMPLE_TOO_LARGE));
    }
}

// A report of `checkpoints` checkpoints with the layers "4" (31 × 250) and "out<&>" (51 × 25).
static inline void sample_report(fim_record *report, size_t checkpoints) {
    fim_record *all = NULL;
    fim_record_init(report, "fim-report");
    sample_must(fim_record_set_text(report, "tool", "fim-analyze 0.1.0"));
    sample_must(fim_record_set_text(report, "command_line", "fim-analyze \"a & b\".h5 --fisher mc:1"));
    sample_must(fim_record_add_child(report, "checkpoints", &all));
    for (size_t k = 0; k < checkpoints; k++) {
        fim_record *checkpoint = NULL, *layers = NULL, *layer = NULL;
        char name[32], file[64];
        snprintf(name, sizeof name, "%zu", k);
        snprintf(file, sizeof file, "runs/mnist, long/checkpoint-%zu.h5", 5 * k);
        sample_must(fim_record_add_child(all, name, &checkpoint));
        sample_must(fim_record_set_text(checkpoint, "file", file));
        sample_must(fim_record_add_child(checkpoint, "layers", &layers));
        sample_must(fim_record_add_child(layers, "4", &layer));
        sample_layer(layer, 31, 250, 1 - 0.1 * (double)k);
        sample_must(fim_record_add_child(layers, "out<&>", &layer));
        sample_layer(layer, 51, 25, 1 - 0.05 * (double)k);
    }
}

// A run of `epochs` epochs, with two checkpoints.
static inline void sample_run(fim_record *log, size_t epochs, double rate, bool validation) {
    fim_record_init(log, "fim-run");
    sample_must(fim_record_set_text(log, "tool", "fim-train 0.1.0"));
    sample_must(fim_record_set_text(log, "checkpoint_0", "run/checkpoint-1.h5"));
    sample_must(fim_record_set_text(log, "checkpoint_1", "run/checkpoint-2.h5"));
    gsl_vector *epoch = gsl_vector_alloc(epochs), *iterations = gsl_vector_alloc(epochs);
    gsl_vector *loss = gsl_vector_alloc(epochs), *per_output = gsl_vector_alloc(epochs);
    gsl_vector *valid = gsl_vector_alloc(epochs), *seconds = gsl_vector_alloc(epochs);
    for (size_t e = 0; e < epochs; e++) {
        double value = 80 + 120 * pow((double)e + 1, -rate);
        gsl_vector_set(epoch, e, (double)e + 1);
        gsl_vector_set(iterations, e, 63);
        gsl_vector_set(loss, e, value);
        gsl_vector_set(per_output, e, value / 784);
        gsl_vector_set(valid, e, value * 1.02 + 0.05 * (double)e);
        gsl_vector_set(seconds, e, 1.5 + 0.01 * (double)(e % 3));
    }
    sample_must(fim_record_set_curve(log, "epoch", epoch, NULL));
    sample_must(fim_record_set_curve(log, "iterations", iterations, NULL));
    sample_must(fim_record_set_curve(log, "loss", loss, NULL));
    sample_must(fim_record_set_curve(log, "loss_per_output", per_output, NULL));
    sample_must(fim_record_set_curve(log, "seconds", seconds, NULL));
    if (validation) {
        sample_must(fim_record_set_curve(log, "validation_loss", valid, NULL));
    } else {
        gsl_vector_free(valid);
        sample_must(fim_record_set(log, "validation_loss", NAN, "no validation data"));
    }
}

#endif
