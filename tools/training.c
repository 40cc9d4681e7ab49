// Data and networks for training.
#include "training.h"

#include <string.h>

#include "fim/io.h"

// Rows first..first + n of source as a view.
static fim_data part(const fim_data *source, size_t first, size_t n, gsl_matrix *x, gsl_matrix *y) {
    fim_data view = {.labels = source->labels != NULL ? source->labels + first : NULL};
    *x = gsl_matrix_submatrix(source->x, first, 0, n, source->x->size2).matrix;
    view.x = x;
    if (source->y != NULL) {
        *y = gsl_matrix_submatrix(source->y, first, 0, n, source->y->size2).matrix;
        view.y = y;
    }
    return view;
}

fim_status training_data_read(const fim_cli *cli, const training_data_options *o, training_data *d) {
    fim_status status = FIM_OK;
    fim_data subset = {0};
    FIM_TRY(fim_data_read(o->data, o->labels, cli->memory, &d->all));
    if (o->samples > d->all.x->size1)
        FIM_TRY(FIM_FAIL(FIM_ERR_VALUE, "--samples: %zu are asked, %s has %zu", o->samples, o->data,
                         d->all.x->size1));
    if (o->samples > 0) {
        FIM_TRY(fim_study_subset(&d->all, o->samples, cli->seed, &subset));
        fim_data_clear(&d->all);
        d->all = subset;
    }
    size_t n = d->all.x->size1, kept = 0;
    if (o->validation != NULL) {
        FIM_TRY(fim_data_read(o->validation, o->validation_labels, cli->memory, &d->other));
        d->validation = part(&d->other, 0, d->other.x->size1, &d->x[1], &d->y[1]);
    } else {
        kept = (size_t)(o->split * (double)n);
        if (kept > 0)
            d->validation = part(&d->all, n - kept, kept, &d->x[1], &d->y[1]);
    }
    d->train = part(&d->all, 0, n - kept, &d->x[0], &d->y[0]);
out:
    return status;
}

void training_data_clear(training_data *d) {
    fim_data_clear(&d->all);
    fim_data_clear(&d->other);
}

// The weights of a checkpoint of the same widths.
static fim_status read_weights(const char *path, size_t budget, fim_net *net) {
    fim_net read = {0};
    fim_status status = FIM_OK;
    FIM_TRY(fim_checkpoint_read(path, budget, &read));
    if (read.n_layers != net->n_layers)
        FIM_TRY(FIM_FAIL(FIM_ERR_SHAPE, "--init %s: has %zu layers, --net asks for %zu", path, read.n_layers,
                         net->n_layers));
    for (size_t l = 0; l < net->n_layers; l++) {
        const gsl_matrix *have = read.layers[l].w, *want = net->layers[l].w;
        if (have->size1 != want->size1 || have->size2 != want->size2)
            FIM_TRY(FIM_FAIL(FIM_ERR_SHAPE, "--init %s: layer %zu is (%zu, %zu), --net asks for (%zu, %zu)",
                             path, l, have->size1, have->size2, want->size1, want->size2));
        gsl_matrix_memcpy(net->layers[l].w, have);
    }
out:
    fim_net_clear(&read);
    return status;
}

fim_status training_net_make(const fim_cli *cli, const training_net_options *o, const fim_data *data,
                             uint64_t seed, fim_net *net, fim_net_spec *spec) {
    fim_status status = FIM_OK;
    fim_activation activation = FIM_ACTIVATION_RELU;
    FIM_TRY(fim_net_spec_parse(o->net, spec));
    if (o->activation != NULL)
        FIM_TRY(fim_context(fim_activation_parse(o->activation, &activation), "--activation"));
    if (o->likelihood != NULL)
        FIM_TRY(fim_context(fim_likelihood_parse(o->likelihood, &spec->likelihood), "--likelihood"));
    else if (spec->name[0] == '\0' && data->labels != NULL)
        spec->likelihood = FIM_CATEGORICAL;
    FIM_TRY(fim_net_init(net, spec->likelihood, spec->widths, spec->n_layers, activation));
    if (strcmp(o->init, "xavier") == 0)
        FIM_TRY(fim_net_xavier(net, 0.01, seed));
    else if (strcmp(o->init, "torch") == 0)
        FIM_TRY(fim_net_torch(net, seed));
    else
        FIM_TRY(read_weights(o->init, cli->memory, net));
out:
    return status;
}
