// The operators of ONNX that are read. Products of matrices, with what is added behind them, are linear
// layers; what acts on single numbers by constants is folded; what does nothing in inference is passed over;
// all others are refused by name.
#include "onnx_nodes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"

enum { ATTRIBUTES = 4 };

typedef struct operator_kind operator_kind;
typedef fim_status add_fn(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind);

struct operator_kind {
    const char *name;
    add_fn *add;
    const char *attributes[ATTRIBUTES]; // that are understood
    fim_activation activation;
    double alpha; // of the attribute of that name: ours, and that of the operator without it
    double usual;
};

// ---- Nodes ----

static const char *name_of(const Onnx__NodeProto *node) {
    return node->n_output > 0 ? node->output[0] : "";
}

static fim_status refuse(const fim_onnx_builder *b, const Onnx__NodeProto *node, const char *why) {
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: node '%s' (%s) %s", b->path, name_of(node), node->op_type, why);
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *node, const char *name) {
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

static double number(const Onnx__NodeProto *node, const char *name, double usual) {
    const Onnx__AttributeProto *a = attribute(node, name);
    return a == NULL ? usual : a->has_i ? (double)a->i : (double)a->f;
}

// Input k of a node when it is given, else NULL.
static const char *input(const Onnx__NodeProto *node, size_t k) {
    return k < node->n_input && node->input[k][0] != '\0' ? node->input[k] : NULL;
}

static fim_status check_attributes(const fim_onnx_builder *b, const Onnx__NodeProto *node,
                                   const operator_kind *kind) {
    for (size_t i = 0; i < node->n_attribute; i++) {
        const char *name = node->attribute[i]->name;
        size_t k = 0;
        while (k < ATTRIBUTES && kind->attributes[k] != NULL &&
               (name == NULL || strcmp(name, kind->attributes[k]) != 0))
            k++;
        if (i >= ATTRIBUTES || k == ATTRIBUTES || kind->attributes[k] == NULL)
            return refuse(b, node, "has attributes that are not understood");
    }
    return FIM_OK;
}

// The value of the chain must be one input of the node, in the first place or, where `either`, in the second;
// *place tells in which.
static fim_status follow(const fim_onnx_builder *b, const Onnx__NodeProto *node, bool either, size_t *place) {
    size_t count = 0;
    for (size_t i = 0; i < node->n_input; i++)
        if (strcmp(node->input[i], b->current) == 0) {
            *place = i;
            count++;
        }
    if (count == 1 && *place <= (either ? 1 : 0))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT,
                    "%s: node '%s' (%s) does not follow '%s' alone: only chains of layers are read", b->path,
                    name_of(node), node->op_type, b->current);
}

// One sample must be one row.
static fim_status check_flat(const fim_onnx_builder *b, const Onnx__NodeProto *node) {
    if (b->rank == 0 || b->rank == 2)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_SHAPE,
                    "%s: node '%s' (%s) takes arrays of %zu dimensions, expected one row a sample", b->path,
                    name_of(node), node->op_type, b->rank);
}

// ---- Linear layers ----

// A constant vector of n numbers, or one number for all of them, times `factor`.
static fim_status load_vector(fim_onnx_builder *b, const char *name, size_t n, double factor, size_t *index) {
    char shape[200];
    fim_tensor *made = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_onnx_constant_load(&b->constants, name, b->tensors, index));
    const fim_tensor *t = &b->tensors->items[*index];
    bool row = t->rank == 1 || (t->rank == 2 && t->dim[0] == 1);
    if (t->rank > 2 || (t->count != 1 && !(row && t->count == n)))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' is %s, expected %zu numbers", b->path, name,
                        fim_shape_format(t->rank, t->dim, shape), n);
    if (t->rank != 1 || t->count != n) {
        size_t from = *index;
        FIM_TRY(fim_tensors_add(b->tensors, name, 1, &n, true, &made));
        *index = b->tensors->n - 1;
        t = &b->tensors->items[from];
        for (size_t i = 0; i < n; i++)
            made->values[i] = t->values[t->count == 1 ? 0 : i];
    }
    for (size_t i = 0; i < n; i++)
        b->tensors->items[*index].values[i] *= factor;
out:
    return status;
}

// The layer with the weight `weight` and, unless it is NULL, the bias `bias`.
static fim_status add_linear(fim_onnx_builder *b, const char *weight, bool transposed, double factor,
                             const char *bias, double bias_factor) {
    size_t w = 0, v = 0, first = b->tensors->n;
    fim_status status = FIM_OK;
    FIM_TRY(fim_onnx_constant_load(&b->constants, weight, b->tensors, &w));
    fim_tensor *t = &b->tensors->items[w];
    for (size_t i = 0; factor != 1 && i < t->count; i++)
        t->values[i] *= factor;
    if (bias != NULL && t->rank == 2) // else the chain refuses it
        FIM_TRY(load_vector(b, bias, t->dim[transposed ? 1 : 0], bias_factor, &v));
    const fim_tensor *items = b->tensors->items;
    size_t width = fim_chain_width(&b->chain),
           inputs = items[w].rank == 2 ? items[w].dim[transposed ? 0 : 1] : 0;
    if (width == 0 && b->width > 0 && inputs > 0 && inputs != b->width) {
        status = FIM_FAIL(FIM_ERR_SHAPE, "%s: '%s' takes %zu inputs, but the model's samples are %zu numbers",
                          b->path, weight, inputs, b->width);
        goto out;
    }
    status = fim_chain_linear(&b->chain, &items[w], transposed, v > 0 ? &items[v] : NULL);
    for (size_t i = first; i < b->tensors->n; i++)
        fim_tensor_release(b->tensors, i);
out:
    return status;
}

static fim_status add_gemm(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0;
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    FIM_TRY(check_flat(b, node));
    if (number(node, "transA", 0) != 0)
        return refuse(b, node, "has transA: samples are rows");
    if (input(node, 1) == NULL)
        return refuse(b, node, "has no weight");
    status = add_linear(b, input(node, 1), number(node, "transB", 0) == 0, number(node, "alpha", 1),
                        input(node, 2), number(node, "beta", 1));
out:
    return status;
}

// The place of the node after number i, constants passed over; that of none is the number of nodes.
static size_t place_after(const fim_onnx_builder *b, size_t i) {
    for (i++; i < b->graph->n_node; i++)
        if (fim_onnx_constant_find(&b->constants, b->graph->node[i]->output[0]) == NULL)
            break;
    return i < b->graph->n_node ? i : b->graph->n_node;
}

// The constant that the next node adds to `value`, or NULL.
static const char *added_to(const fim_onnx_builder *b, const char *value) {
    size_t place = place_after(b, b->at);
    const Onnx__NodeProto *next = place < b->graph->n_node ? b->graph->node[place] : NULL;
    if (next == NULL || strcmp(next->op_type, "Add") != 0 || next->n_input != 2)
        return NULL;
    size_t other = strcmp(next->input[0], value) == 0 ? 1 : 0;
    bool one = strcmp(next->input[1 - other], value) == 0;
    return one && fim_onnx_constant_find(&b->constants, next->input[other]) != NULL ? next->input[other]
                                                                                    : NULL;
}

static fim_status add_product(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0;
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    FIM_TRY(check_flat(b, node));
    if (node->n_input != 2)
        return refuse(b, node, "has no weight");
    const char *bias = added_to(b, node->output[0]);
    FIM_TRY(add_linear(b, node->input[1], true, 1, bias, 1));
    if (bias != NULL)
        b->at = place_after(b, b->at); // the chain goes on behind the sum
out:
    return status;
}

// ---- What is folded ----

// Whether node i is of this type, and has the inputs `value` and a single constant near `expected`; where
// `value_first`, in this order.
static bool is_step(const fim_onnx_builder *b, size_t i, const char *type, const char *value,
                    bool value_first, double expected) {
    const Onnx__NodeProto *node = i < b->graph->n_node ? b->graph->node[i] : NULL;
    double found = 0;
    if (node == NULL || strcmp(node->op_type, type) != 0 || node->n_input != 2 || node->n_output != 1)
        return false;
    size_t place = strcmp(node->input[0], value) == 0 ? 0 : 1;
    return strcmp(node->input[place], value) == 0 && (place == 0 || !value_first) &&
           fim_onnx_constant_single(&b->constants, node->input[1 - place], &found) &&
           found > expected * (1 - 1e-6) && found < expected * (1 + 1e-6);
}

// Operators before version 20 have no Gelu, and programs write s/√2, erf, + 1, · s, · ½. True when these
// nodes begin here: *last is the place of the last one.
static bool is_gelu(const fim_onnx_builder *b, size_t *last) {
    const size_t n = b->graph->n_node;
    size_t at[5] = {b->at};
    for (size_t k = 1; k < 5; k++)
        if ((at[k] = place_after(b, at[k - 1])) == n)
            return false;
    const Onnx__NodeProto *erf = b->graph->node[at[1]], *product = b->graph->node[at[3]];
    if (!is_step(b, at[0], "Div", b->current, true, sqrt(2)) || strcmp(erf->op_type, "Erf") != 0 ||
        erf->n_input != 1 || strcmp(erf->input[0], name_of(b->graph->node[at[0]])) != 0 ||
        !is_step(b, at[2], "Add", name_of(erf), false, 1) || strcmp(product->op_type, "Mul") != 0 ||
        product->n_input != 2 || !is_step(b, at[4], "Mul", name_of(product), false, 0.5))
        return false;
    size_t place = strcmp(product->input[0], b->current) == 0 ? 0 : 1;
    *last = at[4];
    return strcmp(product->input[place], b->current) == 0 &&
           strcmp(product->input[1 - place], name_of(b->graph->node[at[2]])) == 0;
}

// x + c, x − c, c − x, x c, x / c.
static fim_status add_affine(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    const char operation = kind->name[0] == 'M'   ? '*'
                           : kind->name[0] == 'D' ? '/'
                           : kind->name[0] == 'A' ? '+'
                                                  : '-';
    size_t place = 0, index = 0, last = 0, width = fim_chain_width(&b->chain);
    double *scale = NULL, *shift = NULL;
    fim_status status = FIM_OK;
    if (operation == '/' && is_gelu(b, &last)) {
        b->at = last;
        return fim_chain_activation(&b->chain, name_of(b->graph->node[last]), FIM_ACTIVATION_GELU);
    }
    FIM_TRY(follow(b, node, operation != '/', &place));
    FIM_TRY(check_flat(b, node));
    if (node->n_input != 2)
        return refuse(b, node, "has not two inputs");
    if (width == 0)
        width = b->width;
    if (width == 0)
        return refuse(b, node, "acts on an input whose width is not told");
    FIM_TRY(load_vector(b, node->input[1 - place], width, 1, &index));
    FIM_TRY(fim_alloc(width, sizeof *scale, "a scale", &scale));
    FIM_TRY(fim_alloc(width, sizeof *shift, "a shift", &shift));
    for (size_t i = 0; i < width; i++) {
        double c = b->tensors->items[index].values[i];
        scale[i] = operation == '*' ? c : operation == '/' ? 1 / c : operation == '-' && place == 1 ? -1 : 1;
        shift[i] = operation == '+' || (operation == '-' && place == 1) ? c : operation == '-' ? -c : 0;
    }
    status = fim_chain_affine(&b->chain, node->input[1 - place], width, scale, shift);
out:
    free(scale);
    free(shift);
    return status;
}

static fim_status add_norm(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0, index[4];
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    FIM_TRY(check_flat(b, node));
    if (number(node, "training_mode", 0) != 0 || node->n_output != 1 || node->n_input != 5)
        return refuse(b, node, "is not in inference mode");
    for (size_t k = 0; k < 4; k++)
        FIM_TRY(fim_onnx_constant_load(&b->constants, node->input[1 + k], b->tensors, &index[k]));
    const fim_tensor *t = b->tensors->items;
    status = fim_chain_batch_norm(&b->chain, node->input[1], &t[index[0]], &t[index[1]], &t[index[2]],
                                  &t[index[3]], number(node, "epsilon", 1e-5));
out:
    return status;
}

// ---- Activations ----

static fim_status add_activation(fim_onnx_builder *b, const Onnx__NodeProto *node,
                                 const operator_kind *kind) {
    size_t place = 0;
    fim_status status = FIM_OK;
    FIM_TRY(follow(b, node, false, &place));
    double alpha = number(node, "alpha", kind->usual), more = alpha - kind->alpha;
    if (!(fabs(more) <= 1e-6 * kind->alpha)) // a float32, perhaps
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: node '%s' (%s) has alpha %g; it is read with %g alone", b->path,
                        name_of(node), node->op_type, alpha, kind->alpha);
    const Onnx__AttributeProto *form = attribute(node, "approximate");
    if (form != NULL && (form->s.len != 4 || memcmp(form->s.data, "none", 4) != 0))
        return refuse(b, node, "is an approximation");
    status = fim_chain_activation(&b->chain, name_of(node), kind->activation);
out:
    return status;
}

static fim_status add_softmax(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0;
    double axis = number(node, "axis", -1);
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    if (axis != -1 && axis != 1)
        return refuse(b, node, "is not along the outputs");
    status = fim_chain_softmax(&b->chain, name_of(node));
out:
    return status;
}

// ---- What does nothing ----

static fim_status add_idle(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0;
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    double type = number(node, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT); // of Cast
    if (type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
        return refuse(b, node, "makes other numbers than FLOAT or DOUBLE");
    if (input(node, 2) != NULL && !fim_onnx_constant_is_false(&b->constants, input(node, 2))) // of Dropout
        return refuse(b, node, "is not in inference mode");
out:
    return status;
}

// Makes each sample one row; where it is one already, nothing.
static fim_status add_flatten(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0;
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    if (number(node, "axis", 1) != 1)
        return refuse(b, node, "does not keep the samples apart");
    b->rank = 2;
out:
    return status;
}

static fim_status add_reshape(fim_onnx_builder *b, const Onnx__NodeProto *node, const operator_kind *kind) {
    size_t place = 0, width = fim_chain_width(&b->chain);
    int64_t shape[2];
    fim_status status = FIM_OK;
    (void)kind;
    FIM_TRY(follow(b, node, false, &place));
    if (node->n_input != 2)
        return refuse(b, node, "has no shape");
    FIM_TRY(fim_onnx_constant_shape(&b->constants, node->input[1], shape));
    if (width == 0)
        width = b->width;
    // The samples stay (0, −1, or one at a time); their numbers, all of them, become a row.
    bool all = shape[1] == -1 ? shape[0] != -1 : shape[1] > 0 && (width == 0 || (size_t)shape[1] == width);
    if (!all || shape[0] < -1 || shape[0] > 1 || number(node, "allowzero", 0) != 0)
        return refuse(b, node, "does not keep the samples apart");
    b->rank = 2;
out:
    return status;
}

static const operator_kind kinds[] = {
    {.name = "Gemm", .add = add_gemm, .attributes = {"alpha", "beta", "transA", "transB"}},
    {.name = "MatMul", .add = add_product},
    {.name = "Add", .add = add_affine},
    {.name = "Sub", .add = add_affine},
    {.name = "Mul", .add = add_affine},
    {.name = "Div", .add = add_affine},
    {.name = "BatchNormalization",
     .add = add_norm,
     .attributes = {"epsilon", "momentum", "training_mode", "spatial"}},
    {.name = "Softmax", .add = add_softmax, .attributes = {"axis"}},
    {.name = "LogSoftmax", .add = add_softmax, .attributes = {"axis"}},
    {.name = "Relu", .add = add_activation, .activation = FIM_ACTIVATION_RELU},
    {.name = "Tanh", .add = add_activation, .activation = FIM_ACTIVATION_TANH},
    {.name = "Sigmoid", .add = add_activation, .activation = FIM_ACTIVATION_SIGMOID},
    {.name = "Softplus", .add = add_activation, .activation = FIM_ACTIVATION_SOFTPLUS},
    {.name = "Sin", .add = add_activation, .activation = FIM_ACTIVATION_SIN},
    {.name = "Gelu", .add = add_activation, .attributes = {"approximate"}, .activation = FIM_ACTIVATION_GELU},
    {.name = "LeakyRelu",
     .add = add_activation,
     .attributes = {"alpha"},
     .activation = FIM_ACTIVATION_LEAKY_RELU,
     .alpha = 0.01,
     .usual = 0.01},
    {.name = "Elu",
     .add = add_activation,
     .attributes = {"alpha"},
     .activation = FIM_ACTIVATION_ELU,
     .alpha = 1,
     .usual = 1},
    {.name = "Identity", .add = add_idle},
    {.name = "Dropout", .add = add_idle, .attributes = {"ratio", "seed"}},
    {.name = "Cast", .add = add_idle, .attributes = {"to"}},
    {.name = "Flatten", .add = add_flatten, .attributes = {"axis"}},
    {.name = "Reshape", .add = add_reshape, .attributes = {"allowzero"}},
};

fim_status fim_onnx_add_node(fim_onnx_builder *b) {
    const Onnx__NodeProto *node = b->graph->node[b->at];
    fim_status status = FIM_OK;
    if (fim_onnx_constant_find(&b->constants, node->output[0]) != NULL)
        return FIM_OK;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (strcmp(node->op_type, kinds[k].name) != 0)
            continue;
        FIM_TRY(check_attributes(b, node, &kinds[k]));
        FIM_TRY(kinds[k].add(b, node, &kinds[k]));
        b->current = b->graph->node[b->at]->output[0];
        return FIM_OK;
    }
    status = refuse(b, node, "is not read");
out:
    return status;
}
