// The list of metrics, and what the metrics of a layer share.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "metric.h"

static const fim_metric list[] = {
#define FIM_METRIC(function, name, unit, spectral, about) {name, unit, spectral, metric_##function, about},
#include "fim/metrics.def"
#undef FIM_METRIC
};

const fim_metric *fim_metric_list(size_t *count) {
    *count = sizeof list / sizeof *list;
    return list;
}

static fim_status find(const char *name, const fim_metric **out) {
    char names[512] = "";
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].name, name) == 0) {
            *out = &list[i];
            return FIM_OK;
        }
        strcat(names, i > 0 ? ", " : "");
        strcat(names, list[i].name);
    }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown metric '%s': all, or some of %s", name, names);
}

fim_status fim_metric_parse_list(const char *text, const fim_metric ***out, size_t *count) {
    const size_t known = sizeof list / sizeof *list;
    bool wanted[sizeof list / sizeof *list] = {false};
    char item[64];
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        const bool all = strcmp(item, "all") == 0;
        const fim_metric *one = NULL;
        fim_status status = all ? FIM_OK : find(item, &one);
        if (status != FIM_OK)
            return status;
        for (size_t i = 0; i < known; i++)
            wanted[i] |= all || one == &list[i];
    }
    const fim_metric **metrics = NULL;
    fim_status status = fim_alloc(known, sizeof *metrics, "the list of metrics", &metrics);
    if (status != FIM_OK)
        return status;
    size_t n = 0;
    for (size_t i = 0; i < known; i++)
        if (wanted[i])
            metrics[n++] = &list[i];
    *out = metrics;
    *count = n;
    return FIM_OK;
}

fim_status fim_reference_new(const fim_fisher *f, size_t budget, uint64_t seed, fim_reference **out) {
    fim_reference *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "a reference", &self);
    if (status != FIM_OK)
        return status;
    *self = (fim_reference){.f = f, .budget = budget, .seed = seed, .spectral_norm = -1};
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
    gsl_vector_free(reference->eigenvalues);
    free(reference);
}

double fim_reference_norm(const fim_reference *reference) {
    return sqrt(fmax(reference->norm2, 0));
}

double fim_reference_trace(const fim_reference *reference) {
    return reference->trace;
}

fim_status fim_reference_eigenvalues(fim_reference *reference, const gsl_vector **values,
                                     const char **route) {
    fim_status status = FIM_OK;
    if (reference->eigenvalues == NULL)
        status = fim_fisher_eigenvalues(reference->f, reference->budget, &reference->eigenvalues,
                                        reference->route);
    if (status != FIM_OK)
        return status;
    *values = reference->eigenvalues;
    *route = reference->route;
    return FIM_OK;
}

fim_status fim_candidate_new(fim_reference *reference, const fim_op *op, fim_candidate **out) {
    if (fim_op_d_a(op) != fim_fisher_d_a(reference->f) || fim_op_d_g(op) != fim_fisher_d_g(reference->f))
        return FIM_FAIL(FIM_ERR_SHAPE, "an operator on (%zu, %zu) is compared with a block on (%zu, %zu)",
                        fim_op_d_a(op), fim_op_d_g(op), fim_fisher_d_a(reference->f),
                        fim_fisher_d_g(reference->f));
    fim_candidate *self = NULL;
    fim_status status = fim_alloc(1, sizeof *self, "a candidate", &self);
    if (status != FIM_OK)
        return status;
    *self = (fim_candidate){.reference = reference, .op = op};
    *out = self;
    return FIM_OK;
}

void fim_candidate_free(fim_candidate *candidate) {
    if (candidate == NULL)
        return;
    gsl_vector_free(candidate->eigenvalues);
    free(candidate);
}

fim_status fim_candidate_eigenvalues(fim_candidate *candidate, const gsl_vector **values,
                                     const char **route) {
    if (candidate->eigenvalues == NULL) {
        gsl_vector *found = NULL;
        const size_t d = fim_op_d_a(candidate->op) * fim_op_d_g(candidate->op);
        fim_status status = fim_vector_new(d, "eigenvalues", &found);
        if (status == FIM_OK)
            status = fim_op_eigenvalues(candidate->op, candidate->reference->budget, found, candidate->route);
        if (status != FIM_OK) {
            gsl_vector_free(found);
            return status;
        }
        candidate->eigenvalues = found;
    }
    *values = candidate->eigenvalues;
    *route = candidate->route;
    return FIM_OK;
}
