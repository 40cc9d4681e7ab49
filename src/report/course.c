// Reports along training, read: values of a layer and its methods from checkpoint to checkpoint.
#include <stdio.h>
#include <string.h>

#include "verdict.h"

size_t course_length(const fim_record *report) {
    const fim_record *all = report != NULL ? fim_record_child(report, "checkpoints") : NULL;
    return all != NULL ? all->n_children : 0;
}

const fim_record *course_layer(const fim_record *report, size_t k) {
    if (k >= course_length(report))
        return NULL;
    const fim_record *layers =
        fim_record_child(&fim_record_child(report, "checkpoints")->children[k], "layers");
    return layers != NULL && layers->n_children > 0 ? &layers->children[0] : NULL;
}

double course_iteration(const fim_record *report, size_t k) {
    return k < course_length(report)
               ? value_or_nan(&fim_record_child(report, "checkpoints")->children[k], "iteration")
               : (double)NAN;
}

double course_value(const fim_record *report, size_t k, const char *method, const char *name,
                    const char **note) {
    const fim_record *record = course_layer(report, k);
    if (method != NULL && record != NULL)
        record = fim_record_child(record, method);
    const fim_value *value = record != NULL ? fim_record_value(record, name) : NULL;
    if (note != NULL)
        *note = value != NULL ? value->note : "";
    return value != NULL ? value->value : (double)NAN;
}

// What a value can be at least: its note says so of an upper bound.
static double least(double value, const char *note) {
    double low;
    return sscanf(note, "upper bound, at least %lf", &low) == 1 ? low : value;
}

course_end course_end_of(const fim_record *report, const fim_paper *paper, const char *net,
                         const char *method, const char *metric) {
    const size_t length = course_length(report);
    course_end e = {.from = NAN, .to = NAN, .mean = NAN, .spread = NAN, .low = NAN, .published = NAN};
    const double last = length > 0 ? course_iteration(report, length - 1) : (double)NAN;
    double sum = 0, squares = 0, low = 0, published = 0;
    for (size_t k = 0; k < length; k++) {
        const char *note;
        const double value = course_value(report, k, method, metric, &note), at = course_iteration(report, k);
        if (!isfinite(value) || !(at >= 0.8 * last))
            continue;
        e.from = e.n == 0 ? at : e.from;
        e.to = at;
        e.n++;
        sum += value;
        squares += value * value;
        low += least(value, note);
        // The last published point stands for what follows it.
        published += paper_at(paper, net, metric, method, fmin(at, paper_last(paper, net, metric, method)));
    }
    if (e.n == 0)
        return e;
    const double n = (double)e.n;
    e.mean = sum / n;
    e.spread = e.n > 1 ? sqrt(fmax(0, squares / n - e.mean * e.mean) * n / (n - 1)) : (double)NAN;
    e.low = low / n;
    e.published = published / n;
    return e;
}

double course_peak(const fim_record *report, const char *method, const char *metric, double *iteration) {
    double peak = NAN;
    for (size_t k = 0; k < course_length(report); k++) {
        const double value = course_value(report, k, method, metric, NULL);
        if (isfinite(value) && !(value <= peak)) {
            peak = value;
            *iteration = course_iteration(report, k);
        }
    }
    return peak;
}
