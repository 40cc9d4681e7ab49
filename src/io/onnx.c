// ONNX graphs as networks. A graph is read when it is a chain: every node takes what the node before it gave,
// and else constants alone.
#include <string.h>

#include "names.h"
#include "onnx_nodes.h"

enum { NODES_LIMIT = 1 << 15, OPERATORS_VERSION = 7 };

static fim_status check_name(const fim_onnx_builder *b, const char *what, size_t number, const char *name) {
    if (fim_name_valid(name))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s %zu has a name that is not short printable UTF-8", b->path, what,
                    number);
}

static bool is_own(const char *domain) {
    return domain == NULL || domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

static fim_status check_node(const fim_onnx_builder *b, size_t number) {
    const Onnx__NodeProto *node = b->graph->node[number];
    fim_status status = FIM_OK;
    if (node->op_type == NULL || node->n_output == 0)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: node %zu has no operator or no output", b->path, number);
    FIM_TRY(check_name(b, "node", number, node->op_type));
    for (size_t i = 0; i < node->n_input; i++)
        if (node->input[i][0] != '\0') // one that is left out
            FIM_TRY(check_name(b, "node", number, node->input[i]));
    for (size_t i = 0; i < node->n_output; i++)
        FIM_TRY(check_name(b, "node", number, node->output[i]));
    if (!is_own(node->domain))
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: node '%s' (%s) is of another domain than ONNX's own", b->path,
                          node->output[0], node->op_type);
out:
    return status;
}

// The one input that is no constant, and what is told of its shape.
static fim_status find_input(fim_onnx_builder *b) {
    const Onnx__ValueInfoProto *found = NULL;
    for (size_t i = 0; i < b->graph->n_input; i++) {
        const Onnx__ValueInfoProto *value = b->graph->input[i];
        fim_status status = check_name(b, "input", i, value->name != NULL ? value->name : "");
        if (status != FIM_OK)
            return status;
        if (fim_onnx_constant_find(&b->constants, value->name) != NULL)
            continue;
        if (found != NULL)
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: has more than one input: only chains of layers are read",
                            b->path);
        found = value;
    }
    if (found == NULL || b->graph->n_output != 1 || b->graph->output[0]->name == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: has %zu inputs and %zu outputs, expected one of each", b->path,
                        (size_t)(found != NULL), b->graph->n_output);
    b->current = found->name;
    const Onnx__TypeProto *type = found->type;
    bool told = type != NULL && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
                type->tensor_type->shape != NULL;
    if (!told)
        return FIM_OK;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    b->rank = shape->n_dim;
    b->width = shape->n_dim > 1 ? 1 : 0;
    for (size_t i = 1; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        bool known =
            dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0;
        b->width = known ? fim_size_mul(b->width, (size_t)dim->dim_value) : 0;
    }
    return FIM_OK;
}

static fim_status check_version(const char *path, const Onnx__ModelProto *model) {
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        if (!is_own(set->domain))
            continue;
        if (set->version >= OPERATORS_VERSION)
            return FIM_OK;
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: uses version %lld of ONNX's operators; %d and later are read",
                        path, (long long)set->version, OPERATORS_VERSION);
    }
    return FIM_FAIL(FIM_ERR_FORMAT,
                    "%s: does not tell the version of ONNX's operators; %d and later are read", path,
                    OPERATORS_VERSION);
}

fim_status fim_onnx_build(const Onnx__ModelProto *model, fim_tensors *tensors, const char *likelihood,
                          fim_checkpoint *out) {
    fim_onnx_builder b = {
        .path = tensors->path, .graph = model->graph, .tensors = tensors, .chain = fim_chain_new(tensors)};
    fim_status status = FIM_OK;
    FIM_TRY(check_version(b.path, model));
    if (b.graph == NULL || b.graph->n_node > NODES_LIMIT || b.graph->n_sparse_initializer > 0) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: has no graph of at most %d nodes and dense constants", b.path,
                          NODES_LIMIT);
        goto out;
    }
    for (b.at = 0; b.at < b.graph->n_node; b.at++)
        FIM_TRY(check_node(&b, b.at));
    FIM_TRY(fim_onnx_constants_init(b.path, b.graph, &b.constants));
    FIM_TRY(find_input(&b));
    for (b.at = 0; b.at < b.graph->n_node; b.at++)
        FIM_TRY(fim_onnx_add_node(&b));
    if (strcmp(b.current, b.graph->output[0]->name) != 0) {
        FIM_TRY(check_name(&b, "output", 0, b.graph->output[0]->name));
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: its output '%s' is not what its chain of nodes ends in, '%s'",
                          b.path, b.graph->output[0]->name, b.current);
        goto out;
    }
    status = fim_chain_finish(&b.chain, likelihood, out);
out:
    fim_chain_clear(&b.chain);
    fim_onnx_constants_clear(&b.constants);
    return status;
}
