// Tensors grouped into layers, by their names or by a description.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assemble.h"

// ---- Groups by names ----

static fim_status not_understood(const assembly *a, const fim_tensor *t, const char *why) {
    return FIM_FAIL(FIM_ERR_FORMAT,
                    "%s: '%s' %s; leave it out with \"ignore\", or list the layers with "
                    "\"layers\", in a description given with --arch FILE",
                    a->path, t->name, why);
}

// Tensors that NumPy numbered, arr_0, arr_1, ...: a matrix begins a layer, a vector is the bias of the last
// one.
static bool parse_numbered(const assembly *a, const fim_tensor *t, group *g) {
    size_t length = 0;
    if (sscanf(t->name, "arr_%*[0-9]%zn", &length) != 0 || length == 0 || t->name[length] != '\0')
        return false;
    if (t->rank == 1 && a->n > 0) {
        memcpy(g->name, a->groups[a->n - 1].name, sizeof g->name);
        g->part[FIM_ROLE_BIAS] = a->tensors->items + (t - a->tensors->items);
    } else {
        snprintf(g->name, sizeof g->name, "%s", t->name);
        g->part[FIM_ROLE_WEIGHT] = a->tensors->items + (t - a->tensors->items);
    }
    g->in_out = -1;
    return true;
}

// Every tensor becomes a group of its own.
static fim_status collect(assembly *a) {
    fim_tensors *tensors = a->tensors;
    const char *skipped = NULL, *ignored = NULL;
    size_t n_skipped = 0, n_ignored = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < tensors->n; i++) {
        fim_tensor *t = &tensors->items[i];
        group *g = &a->groups[a->n];
        fim_role role;
        bool parsed = fim_name_parse(t->name, g->name, &role, &g->in_out);
        if (fim_arch_ignores(&a->arch, t->name) || fim_arch_ignores(&a->arch, fim_name_strip(t->name)) ||
            (parsed && fim_arch_ignores(&a->arch, g->name))) {
            ignored = n_ignored++ == 0 ? t->name : ignored;
            continue;
        }
        if (t->values == NULL) {
            skipped = n_skipped++ == 0 ? t->name : skipped;
            continue;
        }
        g->first = i;
        if (parsed)
            g->part[role] = t;
        else if (a->arch.n_layers > 0) // the description lists tensors by their own names
            continue;
        else if (!parse_numbered(a, t, g))
            return not_understood(a, t, "has a name that tells no layer and part, as fc1.weight does");
        a->n++;
    }
    if (tensors->taken[0] != '\0')
        FIM_TRY(fim_checkpoint_note(&a->chain.made, "the tensors are those under '%s'", tensors->taken));
    if (tensors->others > 0)
        FIM_TRY(fim_checkpoint_note(&a->chain.made, "left aside: %zu entr%s that are no tensors",
                                    tensors->others, tensors->others == 1 ? "y" : "ies"));
    if (n_ignored > 0)
        FIM_TRY(fim_checkpoint_note(&a->chain.made, "left aside as described: %zu tensor%s, the first '%s'",
                                    n_ignored, n_ignored == 1 ? "" : "s", ignored));
    if (n_skipped > 0)
        FIM_TRY(fim_checkpoint_note(&a->chain.made,
                                    "left aside: %zu tensor%s without floating point numbers, "
                                    "the first '%s'",
                                    n_skipped, n_skipped == 1 ? "" : "s", skipped));
out:
    return status;
}

int assembly_by_exact_name(const void *x, const void *y) {
    const group *a = x, *b = y;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->first > b->first) - (a->first < b->first);
}

// Groups of one name become one.
static fim_status merge(assembly *a) {
    size_t n = 0;
    if (a->n > 1)
        qsort(a->groups, a->n, sizeof *a->groups, assembly_by_exact_name);
    for (size_t i = 0; i < a->n; i++) {
        const group *g = &a->groups[i];
        if (n == 0 || strcmp(a->groups[n - 1].name, g->name) != 0) {
            a->groups[n++] = *g;
            continue;
        }
        group *into = &a->groups[n - 1];
        for (size_t k = 0; k < FIM_ROLES; k++) {
            if (g->part[k] == NULL)
                continue;
            if (into->part[k] != NULL)
                return FIM_FAIL(FIM_ERR_FORMAT, "%s: '%s' and '%s' are the same part of the same layer",
                                a->path, into->part[k]->name, g->part[k]->name);
            into->part[k] = g->part[k];
            if (k == FIM_ROLE_WEIGHT)
                into->in_out = g->in_out;
        }
    }
    a->n = n;
    return FIM_OK;
}

static fim_status check_group(const assembly *a, const group *g) {
    fim_tensor *const *part = g->part;
    if (assembly_is_norm(g)) {
        if (part[FIM_ROLE_MEAN] != NULL && part[FIM_ROLE_VARIANCE] != NULL)
            return FIM_OK;
        size_t there = part[FIM_ROLE_MEAN] != NULL ? FIM_ROLE_MEAN : FIM_ROLE_VARIANCE;
        return not_understood(a, part[there],
                              there == FIM_ROLE_MEAN ? "has no variance beside it" : "has no mean beside it");
    }
    if (part[FIM_ROLE_WEIGHT] == NULL)
        return not_understood(a, part[FIM_ROLE_BIAS], "is a bias without a weight beside it");
    if (part[FIM_ROLE_WEIGHT]->rank != 2)
        return not_understood(a, part[FIM_ROLE_WEIGHT],
                              part[FIM_ROLE_WEIGHT]->rank < 2
                                  ? "is a weight but no matrix (a layer normalisation, a slope?)"
                                  : "has more than two dimensions: only dense layers are read");
    return FIM_OK;
}

// ---- Groups by a description ----

static fim_tensor *find_tensor(const assembly *a, const char *name) {
    for (size_t i = 0; i < a->tensors->n; i++) {
        const char *other = a->tensors->items[i].name;
        if (strcmp(other, name) == 0 || strcmp(fim_name_strip(other), name) == 0)
            return &a->tensors->items[i];
    }
    return NULL;
}

// Puts the group of the listed layer to *out.
static fim_status find_listed(const assembly *a, size_t index, group *out) {
    const fim_arch_layer layer = fim_arch_layer_at(&a->arch, index);
    group found = {.in_out = -1};
    if (layer.name != NULL) {
        const char *name = fim_name_strip(layer.name);
        size_t i = 0;
        while (i < a->n && strcmp(a->groups[i].name, name) != 0)
            i++;
        if (i == a->n)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: has no layer '%s', which the description lists", a->path,
                            layer.name);
        found = a->groups[i];
    } else {
        snprintf(found.name, sizeof found.name, "%s", layer.weight);
        const char *const names[] = {layer.weight, layer.bias};
        for (size_t k = 0; k < 2; k++)
            if (names[k] != NULL && (found.part[k] = find_tensor(a, names[k])) == NULL)
                return FIM_FAIL(FIM_ERR_FORMAT, "%s: has no tensor '%s', which the description lists",
                                a->path, names[k]);
    }
    found.activation = layer.activation;
    *out = found;
    return FIM_OK;
}

static fim_status take_listed(assembly *a) {
    size_t n = a->arch.n_layers;
    group *groups = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(n, sizeof *groups, "layers", &groups));
    for (size_t i = 0; i < n; i++)
        FIM_TRY(find_listed(a, i, &groups[i]));
    free(a->groups);
    a->groups = groups;
    a->n = n;
    a->listed = true;
    groups = NULL;
out:
    free(groups);
    return status;
}

// ---- Both ----

fim_status assembly_group(assembly *a) {
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(a->tensors->n, sizeof *a->groups, "layers", &a->groups));
    FIM_TRY(collect(a));
    FIM_TRY(merge(a));
    if (a->arch.n_layers > 0)
        FIM_TRY(take_listed(a));
    for (size_t i = 0; i < a->n; i++)
        FIM_TRY(check_group(a, &a->groups[i]));
    if (a->n == 0 || a->n > GROUPS_LIMIT)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: holds the weights of %zu layers, expected 1 to %d", a->path,
                          a->n, GROUPS_LIMIT);
out:
    return status;
}
