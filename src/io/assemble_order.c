// In which order groups of tensors make a network, and how its matrices are stored.
#include <stdlib.h>
#include <string.h>

#include "assemble.h"

// How many groups fit together from the beginning on.
static size_t fits(const assembly *a, int in_out) {
    size_t width = 0;
    for (size_t i = 0; i < a->n; i++) {
        const group *g = &a->groups[i];
        const fim_tensor *weight = g->part[FIM_ROLE_WEIGHT], *bias = g->part[FIM_ROLE_BIAS];
        if (assembly_is_norm(g)) {
            if (width != 0 && g->part[FIM_ROLE_VARIANCE]->count != width)
                return i;
            width = g->part[FIM_ROLE_VARIANCE]->count;
            continue;
        }
        if (weight->rank != 2 || (width != 0 && weight->dim[in_out == 1 ? 0 : 1] != width))
            return i;
        width = weight->dim[in_out == 1 ? 1 : 0];
        if (bias != NULL && bias->count != width)
            return i;
    }
    return a->n;
}

int assembly_layout_by_names(const assembly *a) {
    int found = -2;
    for (size_t i = 0; i < a->n; i++)
        if (!assembly_is_norm(&a->groups[i]))
            found = found == -2 || found == a->groups[i].in_out ? a->groups[i].in_out : -1;
    return found < 0 ? -1 : found;
}

// Whether two names hold the same numbers, and at least one.
static bool same_numbers(const char *a, const char *b) {
    static const char digits[] = "0123456789";
    bool any = false;
    for (;; any = true) {
        a += strcspn(a, digits);
        b += strcspn(b, digits);
        size_t n = strspn(a, digits);
        if (n != strspn(b, digits) || strncmp(a, b, n) != 0)
            return false;
        if (n == 0)
            return any;
        a += n;
        b += n;
    }
}

// In the order of names, "bn1" comes before "fc1": a normalisation that is not numbered among the linear
// layers goes behind the only one with its number.
static fim_status pair_norms(assembly *a) {
    group *sorted = NULL;
    size_t *partner = NULL, n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(a->n, sizeof *sorted, "layers", &sorted));
    FIM_TRY(fim_alloc(a->n, sizeof *partner, "layers", &partner));
    for (size_t i = 0; i < a->n; i++) {
        size_t found = 0;
        bool numbered = false;
        partner[i] = i;
        for (size_t k = 0; assembly_is_norm(&a->groups[i]) && k < a->n; k++) {
            bool comparable = false;
            if (assembly_is_norm(&a->groups[k]))
                continue;
            fim_name_follows(a->groups[k].name, a->groups[i].name, &comparable);
            numbered = numbered || comparable;
            if (same_numbers(a->groups[k].name, a->groups[i].name)) {
                partner[i] = k;
                found++;
            }
        }
        if (numbered || found != 1)
            partner[i] = i;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (partner[i] == i)
            sorted[n++] = a->groups[i];
        for (size_t k = 0; partner[i] == i && !assembly_is_norm(&a->groups[i]) && k < a->n; k++)
            if (k != i && partner[k] == i)
                sorted[n++] = a->groups[k];
    }
    memcpy(a->groups, sorted, n * sizeof *sorted);
out:
    free(sorted);
    free(partner);
    return status;
}

static int by_name(const void *x, const void *y) {
    int order = fim_name_compare(((const group *)x)->name, ((const group *)y)->name);
    return order != 0 ? order : assembly_by_exact_name(x, y);
}

static int by_place(const void *x, const void *y) {
    const group *a = x, *b = y;
    return (a->first > b->first) - (a->first < b->first);
}

typedef int compare_fn(const void *x, const void *y);

static void sort(assembly *a, compare_fn *compare) {
    if (a->n > 1)
        qsort(a->groups, a->n, sizeof *a->groups, compare);
}

// The layout in which most groups fit, and how many do; *both when all of them do in either.
static size_t find_layout(const assembly *a, int hint, int *layout, bool *both) {
    int first = a->arch.in_out >= 0 ? a->arch.in_out : hint >= 0 ? hint : 0;
    size_t best = fits(a, first), other = a->arch.in_out < 0 ? fits(a, 1 - first) : 0;
    *both = best == a->n && other == a->n;
    *layout = other > best ? 1 - first : first;
    return other > best ? other : best;
}

static bool in_file_order(const assembly *a) {
    for (size_t i = 1; i < a->n; i++)
        if (a->groups[i].first < a->groups[i - 1].first)
            return false;
    return true;
}

// Puts the groups in order; *fit tells how many of them fit together.
static fim_status find_order(assembly *a, int hint, int *layout, bool *both, size_t *fit) {
    fim_status status = FIM_OK;
    bool by_file = a->tensors->ordered && !a->listed;
    if (!a->listed) {
        sort(a, by_name);
        FIM_TRY(pair_norms(a));
    }
    *fit = find_layout(a, hint, layout, both);
    if (!by_file || in_file_order(a))
        goto out;
    int other = 0;
    bool other_both = false, fits_by_name = *fit == a->n;
    sort(a, by_place);
    size_t other_fit = find_layout(a, hint, &other, &other_both);
    if (other_fit < a->n) { // then it is the names' order or none
        sort(a, by_name);
        FIM_TRY(pair_norms(a));
        goto out;
    }
    *fit = other_fit;
    *layout = other;
    *both = other_both;
    if (fits_by_name)
        status =
            fim_checkpoint_note(&a->chain.made, "layers are taken in the order in which the file holds them, "
                                                "which is not that of their names");
out:
    return status;
}

fim_status assembly_arrange(assembly *a, int *layout, size_t *fit) {
    int hint = assembly_layout_by_names(a);
    bool both = false;
    fim_status status = find_order(a, hint, layout, &both, fit);
    if (status != FIM_OK)
        return status;
    if (both && hint < 0)
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "%s: '%s' and the others fit both as (outputs, inputs) and as (inputs, outputs); tell "
            "which by \"layout\": \"out,in\" or \"in,out\" in a description given with --arch FILE",
            a->path, a->groups[0].name);
    if (hint >= 0 && *layout != hint && a->arch.in_out < 0 && *fit == a->n)
        status = fim_checkpoint_note(&a->chain.made, "by their shapes, weights are stored as (%s)",
                                     *layout == 1 ? "inputs, outputs" : "outputs, inputs");
    return status;
}
