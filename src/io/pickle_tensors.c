// State dicts in pickles: dictionaries of tensors, often in a dictionary of other things.
#include "pickle_tensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

enum { DEPTH_LIMIT = 16, VISITS_LIMIT = 1 << 20 };

static bool is_leaf(const fim_node *node) {
    return node->kind == FIM_NODE_TENSOR || node->kind == FIM_NODE_ARRAY;
}

static const fim_node *item(const fim_pickle *p, const fim_node *node, size_t i) {
    return &p->nodes[node->items[i]];
}

// How many tensors stand in a dictionary and those in it. What is kept in the memo can be in its own inside,
// or at many places: depth and visits are limited.
static size_t count_tensors(const fim_pickle *p, const fim_node *node, size_t depth, size_t *visits) {
    size_t count = 0;
    if (depth > DEPTH_LIMIT || node->kind != FIM_NODE_DICT)
        return is_leaf(node);
    for (size_t i = 1; i < node->n && ++*visits < VISITS_LIMIT; i += 2)
        count += count_tensors(p, item(p, node, i), depth + 1, visits);
    return count;
}

// The dictionary to take: `root`, or an entry of it, whose key comes back as well.
static const fim_node *choose(const fim_pickle *p, const fim_node *root, const fim_node **key) {
    static const char *const usual[] = {"state_dict", "model_state_dict", "model_state", "model",
                                        "net",        "network",          "params",      "weights"};
    size_t visits = 0, holding = 0, last = 0;
    *key = NULL;
    for (size_t i = 1; i < root->n; i += 2)
        if (is_leaf(item(p, root, i)))
            return root;
    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
        for (size_t i = 1; i < root->n; i += 2)
            if (fim_node_is(item(p, root, i - 1), usual[k]) &&
                count_tensors(p, item(p, root, i), 0, &visits) > 0) {
                *key = item(p, root, i - 1);
                return item(p, root, i);
            }
    for (size_t i = 1; i < root->n; i += 2)
        if (count_tensors(p, item(p, root, i), 0, &visits) > 0) {
            holding++;
            last = i;
        }
    if (holding != 1)
        return root;
    *key = item(p, root, last - 1);
    return item(p, root, last);
}

typedef struct walk {
    const fim_pickle *pickle;
    fim_pickle_load_fn *load;
    void *context;
    fim_tensors *tensors;
    size_t visits;
    char name[FIM_NAME];
} walk;

// Puts a key behind the `length` characters that the name has; *longer is its new length.
static fim_status extend_name(walk *w, size_t length, const fim_node *key, size_t *longer) {
    char number[24];
    const char *text = key->text;
    size_t n = key->length, dot = length > 0;
    if (key->kind == FIM_NODE_INTEGER) {
        n = (size_t)snprintf(number, sizeof number, "%" PRId64, key->integer);
        text = number;
    }
    if ((key->kind != FIM_NODE_TEXT && key->kind != FIM_NODE_INTEGER) || n >= FIM_NAME ||
        length + dot + n >= FIM_NAME || (n > 0 && memchr(text, '\0', n) != NULL))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: its pickle holds a tensor without a short printable name",
                        w->tensors->path);
    if (dot > 0)
        w->name[length] = '.';
    if (n > 0)
        memcpy(w->name + length + dot, text, n);
    w->name[length + dot + n] = '\0';
    *longer = length + dot + n;
    return FIM_OK;
}

static fim_status add_all(walk *w, const fim_node *dict, size_t length, size_t depth) {
    const fim_pickle *p = w->pickle;
    for (size_t i = 1; i < dict->n; i += 2) {
        const fim_node *value = item(p, dict, i);
        size_t longer = 0;
        if (!is_leaf(value) && value->kind != FIM_NODE_DICT) {
            w->tensors->others++;
            continue;
        }
        if (depth > DEPTH_LIMIT || ++w->visits > VISITS_LIMIT)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: its pickle nests dictionaries too deeply", w->tensors->path);
        fim_status status = extend_name(w, length, item(p, dict, i - 1), &longer);
        if (status == FIM_OK)
            status = is_leaf(value) ? w->load(w->context, p, value, w->name, w->tensors)
                                    : add_all(w, value, longer, depth + 1);
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

fim_status fim_pickle_tensors(const fim_pickle *pickle, size_t root, fim_pickle_load_fn *load, void *context,
                              fim_tensors *tensors) {
    walk w = {.pickle = pickle, .load = load, .context = context, .tensors = tensors};
    const fim_node *node = &pickle->nodes[root], *key = NULL;
    if (node->kind != FIM_NODE_DICT)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: its pickle is no dictionary of tensors; save model.state_dict()",
                        tensors->path);
    const fim_node *chosen = choose(pickle, node, &key);
    if (key != NULL && key->kind == FIM_NODE_TEXT)
        snprintf(tensors->taken, sizeof tensors->taken, "%.*s",
                 (int)(key->length < sizeof tensors->taken ? key->length : sizeof tensors->taken - 1),
                 key->text);
    fim_status status = add_all(&w, chosen, 0, 0);
    if (status == FIM_OK && tensors->n == 0)
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its pickle holds no tensors", tensors->path);
    return status;
}

fim_status fim_pickle_extents(const fim_pickle *pickle, const fim_node *tuple, const char *what, size_t *n,
                              size_t out[static FIM_TENSOR_RANK]) {
    if (tuple->kind != FIM_NODE_TUPLE || tuple->n > FIM_TENSOR_RANK)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: the %s of a tensor are no tuple of at most %d numbers",
                        pickle->where, what, FIM_TENSOR_RANK);
    for (size_t i = 0; i < tuple->n; i++) {
        const fim_node *extent = item(pickle, tuple, i);
        if (extent->kind != FIM_NODE_INTEGER || extent->integer < 0)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: the %s of a tensor are not whole numbers from 0 on",
                            pickle->where, what);
        out[i] = (size_t)extent->integer;
    }
    *n = tuple->n;
    return FIM_OK;
}
