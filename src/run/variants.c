// The lines of a comparison: optimizers by name, each with a damping form, and a grid of rates and dampings.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train.h"

enum { MOST_VALUES = 32 };

typedef struct grid {
    size_t n_rates, n_dampings; // 0: the tuned one
    double rates[MOST_VALUES], dampings[MOST_VALUES];
} grid;

static fim_status parse_values(const char *key, const char *text, double *values, size_t *count) {
    char item[32];
    size_t n = 0;
    for (const char *cursor = text; fim_list_next(&cursor, ':', item, sizeof item); n++) {
        if (n == MOST_VALUES)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "--grid: more than %d values of %s", MOST_VALUES, key);
        fim_status status = fim_parse_double(item, "--grid: a value", 1e-300, 1e300, &values[n]);
        if (status != FIM_OK)
            return status;
    }
    *count = n;
    return FIM_OK;
}

// "lr=0.1:0.3,damping=1e-3:1e-2".
static fim_status parse_grid(const char *text, grid *out) {
    grid g = {0};
    char item[512];
    for (const char *cursor = text; text != NULL && fim_list_next(&cursor, ',', item, sizeof item);) {
        char *values = strchr(item, '=');
        const bool rate = values != NULL && strncmp(item, "lr=", 3) == 0;
        if (values == NULL || (!rate && strncmp(item, "damping=", 8) != 0))
            return FIM_FAIL(FIM_ERR_ARGUMENT, "--grid: '%s' is not as in lr=0.1:0.3,damping=1e-3:1e-2", item);
        fim_status status = rate ? parse_values("lr", values + 1, g.rates, &g.n_rates)
                                 : parse_values("damping", values + 1, g.dampings, &g.n_dampings);
        if (status != FIM_OK)
            return status;
    }
    *out = g;
    return FIM_OK;
}

// "kfac" or "kfac/each".
static fim_status parse_item(const char *item, const fim_train_options *base, fim_variant *out) {
    fim_variant v = {.options = *base};
    fim_status status = FIM_OK;
    const char *slash = strchr(item, '/');
    const size_t length = slash != NULL ? (size_t)(slash - item) : strlen(item);
    if (length >= sizeof v.optimizer)
        return FIM_FAIL(FIM_ERR_UNKNOWN, "--compare: unknown optimizer '%s'", item);
    snprintf(v.optimizer, sizeof v.optimizer, "%.*s", (int)length, item);
    v.options.optimizer = v.optimizer;
    if (slash != NULL)
        status =
            fim_context(fim_damping_form_parse(slash + 1, &v.options.inverse.form), "--compare: '%s'", item);
    if (status == FIM_OK)
        status = fim_context(options_check_optimizer(v.optimizer), "--compare");
    snprintf(v.label, sizeof v.label, "%s", item);
    if (status != FIM_OK)
        return status;
    *out = v;
    out->options.optimizer = out->optimizer;
    return FIM_OK;
}

static void name_folder(fim_variant *v) {
    snprintf(v->folder, sizeof v->folder, "%s", v->label);
    for (char *c = v->folder; *c != '\0'; c++)
        if (strchr("/ =:", *c) != NULL)
            *c = '-';
}

static fim_status append(fim_variant **list, size_t *count, const fim_variant *v) {
    fim_variant *wider = realloc(*list, (*count + 1) * sizeof *wider);
    if (wider == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the list of optimizers");
    *list = wider;
    wider[(*count)++] = *v;
    return FIM_OK;
}

// The points of the grid for one optimizer, or its tuned one.
static fim_status expand(const fim_variant *item, const grid *g, const char *net, fim_variant **list,
                         size_t *count) {
    const bool damped = options_natural(&item->options);
    const size_t n_dampings = damped ? g->n_dampings : 0;
    fim_status status = FIM_OK;
    for (size_t r = 0; r < (g->n_rates > 0 ? g->n_rates : 1); r++)
        for (size_t d = 0; d < (n_dampings > 0 ? n_dampings : 1); d++) {
            fim_variant v = *item;
            size_t used = strlen(v.label);
            v.options.optimizer = v.optimizer;
            if (g->n_rates > 0) {
                v.options.learning_rate = g->rates[r];
                used += (size_t)snprintf(v.label + used, sizeof v.label - used, " lr=%g", g->rates[r]);
            }
            if (n_dampings > 0) {
                v.options.inverse.damping = g->dampings[d];
                snprintf(v.label + used, sizeof v.label - used, " damping=%g", g->dampings[d]);
            }
            fim_train_tune(&v.options, net);
            name_folder(&v);
            FIM_TRY(append(list, count, &v));
        }
out:
    return status;
}

fim_status fim_variants_parse(const char *text, const char *grid_text, const fim_train_options *base,
                              const char *net, fim_variant **out, size_t *count) {
    fim_variant *list = NULL, item;
    size_t n = 0;
    grid g = {0};
    char name[64];
    fim_status status = FIM_OK;
    FIM_TRY(parse_grid(grid_text, &g));
    for (const char *cursor = text; fim_list_next(&cursor, ',', name, sizeof name);) {
        FIM_TRY(parse_item(name, base, &item));
        for (size_t k = 0; k < n; k++)
            if (strncmp(list[k].label, name, strlen(name)) == 0 &&
                strchr(" ", list[k].label[strlen(name)]) != NULL)
                FIM_TRY(FIM_FAIL(FIM_ERR_ARGUMENT, "--compare: '%s' stands twice", name));
        FIM_TRY(expand(&item, &g, net, &list, &n));
    }
    if (n == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_ARGUMENT, "--compare: no optimizer is named"));
    for (size_t k = 0; k < n; k++) // they have moved
        list[k].options.optimizer = list[k].optimizer;
    *out = list;
    *count = n;
    return FIM_OK;
out:
    free(list);
    return status;
}
