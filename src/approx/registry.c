// The list of approximations, and methods as users name them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approx.h"

static const fim_approx list[] = {
#define FIM_APPROXIMATION(function, name, takes_rank, rank, about)                                           \
    {name, takes_rank, rank, approx_##function, about},
#include "fim/approximations.def"
#undef FIM_APPROXIMATION
};

const fim_approx *fim_approx_list(size_t *count) {
    *count = sizeof list / sizeof *list;
    return list;
}

static fim_status unknown(const char *text) {
    char names[512] = "";
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        strcat(names, i > 0 ? ", " : "");
        strcat(names, list[i].name);
        strcat(names, list[i].takes_rank ? "[:R]" : "");
    }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown method '%s': all, or some of %s", text, names);
}

fim_status fim_method_parse(const char *text, fim_method *out) {
    const size_t length = strcspn(text, ":");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strlen(list[i].name) != length || strncmp(list[i].name, text, length) != 0)
            continue;
        fim_method method = {.approx = &list[i], .rank = list[i].default_rank};
        if (text[length] == ':') {
            if (!list[i].takes_rank)
                return FIM_FAIL(FIM_ERR_ARGUMENT, "method '%s': %s takes no rank", text, list[i].name);
            fim_status status =
                fim_parse_size(text + length + 1, "the rank R of a method", 1, 100000, &method.rank);
            if (status != FIM_OK)
                return status;
        }
        if (method.rank != list[i].default_rank)
            snprintf(method.name, sizeof method.name, "%s:%zu", list[i].name, method.rank);
        else
            snprintf(method.name, sizeof method.name, "%s", list[i].name);
        *out = method;
        return FIM_OK;
    }
    return unknown(text);
}

static bool among(const fim_method *methods, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(methods[i].name, name) == 0)
            return true;
    return false;
}

fim_status fim_method_parse_list(const char *text, fim_method **out, size_t *count) {
    const size_t known = sizeof list / sizeof *list;
    size_t capacity = known, n = 0;
    for (const char *c = text; *c != '\0'; c++)
        capacity += *c == ',' ? known : 0;
    fim_method *methods = NULL;
    fim_status status = fim_alloc(capacity, sizeof *methods, "the list of methods", &methods);
    if (status != FIM_OK)
        return status;
    char item[64];
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        const bool all = strcmp(item, "all") == 0;
        for (size_t i = 0; i < (all ? known : 1); i++) {
            FIM_TRY(fim_method_parse(all ? list[i].name : item, &methods[n]));
            n += !among(methods, n, methods[n].name);
        }
    }
    *out = methods;
    *count = n;
    methods = NULL;
out:
    free(methods);
    return status;
}

fim_status fim_approx_build(const fim_method *method, const fim_fisher *f, const fim_approx_options *options,
                            fim_op **out, fim_approx_info *info) {
    fim_approx_options own = *options;
    own.rank = method->rank;
    fim_approx_info found = {.converged = true, .inner = NAN};
    fim_op *op = NULL;
    fim_status status = method->approx->build(f, &own, &op, &found);
    if (status != FIM_OK)
        return fim_context(status, "%s", method->name);
    *out = op;
    *info = found;
    if (!found.converged)
        return FIM_FAIL(FIM_NOT_CONVERGED, "%s: relative residual %.1e after %zu products with R(F)",
                        method->name, found.residual, found.products);
    return FIM_OK;
}
