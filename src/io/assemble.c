// From named tensors to a network: the names tell which tensors make a layer and in which order layers stand,
// the shapes whether that is so; what neither tells comes from the user or from a description.
//
// Candidate orders are the file's, where it is that in which the network was built, and that of the names;
// candidate layouts of the matrices are (outputs, inputs) and (inputs, outputs). The first pair for which
// every width fits is taken. What was taken for granted on the way becomes a note.
#include <stdlib.h>
#include <string.h>

#include "assemble.h"

// ---- Activations ----

static bool linear_after(const assembly *a, size_t i) {
    for (i++; i < a->n; i++)
        if (!assembly_is_norm(&a->groups[i]))
            return true;
    return false;
}

// Whether normalisation i stands before the activation of the linear layer before it.
static fim_status norm_is_before(assembly *a, size_t i, bool *out) {
    const group *g = &a->groups[i];
    bool comparable = false;
    size_t before = i;
    while (before > 0 && assembly_is_norm(&a->groups[before - 1]))
        before--;
    *out = true;
    if (before == 0 || !linear_after(a, before - 1)) // no activation near
        return FIM_OK;
    if (a->arch.after >= 0) {
        *out = a->arch.after == 0;
        return FIM_OK;
    }
    const group *linear = &a->groups[before - 1];
    if (fim_name_follows(linear->name, g->name, &comparable))
        return FIM_OK;
    if (comparable || linear->in_out == 1)
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "%s: whether batch normalisation '%s' stands before or after the activation of '%s' is "
            "not told; tell it by \"batch_norm\": \"before\" or \"after\" in a description given "
            "with --arch FILE",
            a->path, g->name, linear->name);
    return fim_checkpoint_note(&a->chain.made,
                               "batch normalisation %s is taken to stand before the activation of "
                               "%s",
                               g->name, linear->name);
}

// The default activation of every hidden layer, behind its normalisation where that comes before.
static fim_status place_activations(assembly *a) {
    size_t hidden = 0, untold = 0;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < a->n; i++) {
        group *g = &a->groups[i];
        if (assembly_is_norm(g) || !linear_after(a, i))
            continue;
        size_t place = i;
        bool told = g->activation != NULL;
        for (size_t k = i + 1; !told && assembly_is_norm(&a->groups[k]); k++) {
            bool before = true;
            if (a->listed)
                told = a->groups[k].activation != NULL;
            else
                FIM_TRY(norm_is_before(a, k, &before));
            place = before ? k : place;
        }
        hidden++;
        untold += !told && a->activation == NULL;
        if (!told)
            a->groups[place].activation = a->activation;
    }
    if (untold > 0)
        status =
            FIM_FAIL(FIM_ERR_UNAVAILABLE,
                     "%s: does not tell the activation of %zu of its %zu hidden layers; give --activation "
                     "relu (or tanh, ...), or a description with --arch FILE",
                     a->path, untold, hidden);
out:
    return status;
}

// ---- The network ----

static fim_status feed_group(assembly *a, const group *g, int layout) {
    static const double default_epsilon[2] = {1e-5, 1e-3}; // PyTorch's, and Keras' beside its kernels
    fim_tensor *const *part = g->part;
    fim_status status = FIM_OK;
    if (assembly_is_norm(g)) {
        double epsilon =
            a->arch.epsilon > 0 ? a->arch.epsilon : default_epsilon[assembly_layout_by_names(a) == 1];
        FIM_TRY(fim_chain_batch_norm(&a->chain, g->name, part[FIM_ROLE_WEIGHT], part[FIM_ROLE_BIAS],
                                     part[FIM_ROLE_MEAN], part[FIM_ROLE_VARIANCE], epsilon));
    } else {
        FIM_TRY(fim_chain_linear(&a->chain, part[FIM_ROLE_WEIGHT], layout == 1, part[FIM_ROLE_BIAS]));
        for (size_t k = 0; k < FIM_ROLES; k++)
            if (part[k] != NULL)
                fim_tensor_release(a->tensors, (size_t)(part[k] - a->tensors->items));
    }
    fim_activation activation = FIM_ACTIVATION_IDENTITY;
    if (g->activation != NULL && strcmp(g->activation, "softmax") == 0)
        status = fim_chain_softmax(&a->chain, g->name);
    else if (g->activation != NULL) {
        FIM_TRY(fim_context(fim_activation_parse(g->activation, &activation), "%s", a->path));
        status = fim_chain_activation(&a->chain, g->activation, activation);
    }
out:
    return status;
}

static fim_status feed(assembly *a, int layout) {
    for (size_t i = 0; i < a->n; i++) {
        fim_status status = feed_group(a, &a->groups[i], layout);
        if (status == FIM_ERR_SHAPE)
            return FIM_FAIL(status,
                            "%s; if the layers stand in another order, list them with \"layers\" in a "
                            "description given with --arch FILE",
                            fim_message());
        if (status != FIM_OK)
            return status;
    }
    return FIM_OK;
}

fim_status fim_assemble(fim_tensors *tensors, const fim_checkpoint_options *options, fim_checkpoint *out) {
    assembly a = {.tensors = tensors,
                  .path = tensors->path,
                  .arch = {.in_out = -1, .after = -1},
                  .chain = fim_chain_new(tensors)};
    int layout = 0;
    size_t fit = 0;
    fim_status status = FIM_OK;
    if (options->arch != NULL)
        FIM_TRY(fim_arch_read(options->arch, &a.arch));
    else if (tensors->arch != NULL)
        FIM_TRY(
            fim_context(fim_arch_parse(tensors->arch, "the description it carries", &a.arch), "%s", a.path));
    a.activation = options->activation != NULL ? options->activation : a.arch.activation;
    FIM_TRY(assembly_group(&a));
    FIM_TRY(assembly_arrange(&a, &layout, &fit));
    if (fit == a.n) // else the chain says where it breaks
        FIM_TRY(place_activations(&a));
    FIM_TRY(feed(&a, layout));
    status = fim_chain_finish(&a.chain, options->likelihood != NULL ? options->likelihood : a.arch.likelihood,
                              out);
out:
    fim_chain_clear(&a.chain);
    fim_arch_clear(&a.arch);
    free(a.groups);
    fim_tensors_clear(tensors);
    return status;
}
