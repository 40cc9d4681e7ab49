// Reads the tensors of tests/data/reference-*.h5 (made by make_reference.py): straight by HDF5, so that the
// comparison does not lean on the readers under test.
#ifndef TESTS_REFERENCE_TENSORS_H
#define TESTS_REFERENCE_TENSORS_H

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

#include "fim/net.h"
#include "support.h"

static inline hid_t tensors_open(const char *name) {
    char path[1024];
    const char *folder = getenv("FIM_TEST_DATA");
    cr_assert(folder != NULL, "FIM_TEST_DATA is not set: run by 'meson test'");
    snprintf(path, sizeof path, "%s/reference-%s.h5", folder, name);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert(file >= 0, "cannot open %s", path);
    return file;
}

// The tensor as a matrix of its last dimension's width: (N, d, d) comes as (N·d, d), (d) as (1, d).
static inline gsl_matrix *tensors_read(hid_t file, const char *path) {
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    cr_assert(set >= 0, "no tensor %s", path);
    hid_t space = H5Dget_space(set);
    hsize_t sizes[4], rows = 1;
    int rank = H5Sget_simple_extent_dims(space, sizes, NULL);
    for (int k = 0; k + 1 < rank; k++)
        rows *= sizes[k];
    gsl_matrix *m = gsl_matrix_alloc(rows, sizes[rank - 1]);
    cr_assert(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, m->data) >= 0, "%s", path);
    H5Sclose(space);
    H5Dclose(set);
    return m;
}

// Tensor `name` of layer `l`: "a", "s", "G", "fisher", "empirical", "gradient".
static inline gsl_matrix *tensors_layer(hid_t file, size_t l, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/reference/layers/%zu/%s", l, name);
    return tensors_read(file, path);
}

static inline bool tensors_have(hid_t file, const char *path) {
    return H5Lexists(file, path, H5P_DEFAULT) > 0;
}

// Mean over samples of the loss summed over outputs.
static inline double tensors_loss(hid_t file) {
    double loss;
    hid_t group = H5Gopen2(file, "/reference", H5P_DEFAULT), attribute = H5Aopen(group, "loss", H5P_DEFAULT);
    cr_assert(attribute >= 0 && H5Aread(attribute, H5T_NATIVE_DOUBLE, &loss) >= 0, "no mean loss");
    H5Aclose(attribute);
    H5Gclose(group);
    return loss;
}

// Inputs with targets or labels.
static inline fim_data tensors_data(hid_t file) {
    fim_data data = {.x = tensors_read(file, "/reference/x")};
    if (tensors_have(file, "/reference/y"))
        data.y = tensors_read(file, "/reference/y");
    if (tensors_have(file, "/reference/labels")) {
        gsl_matrix *labels = tensors_read(file, "/reference/labels");
        TEST_OK(fim_alloc(labels->size2, sizeof *data.labels, "labels", &data.labels));
        for (size_t r = 0; r < labels->size2; r++)
            data.labels[r] = (uint32_t)labels->data[r];
        gsl_matrix_free(labels);
    }
    return data;
}

static inline void tensors_text(hid_t object, const char *name, char text[32]) {
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attribute);
    char *stored = NULL;
    cr_assert(attribute >= 0 && H5Tis_variable_str(type) > 0 && H5Aread(attribute, type, &stored) >= 0,
              "no text attribute %s", name);
    snprintf(text, 32, "%s", stored);
    H5free_memory(stored);
    H5Tclose(type);
    H5Aclose(attribute);
}

static inline fim_net tensors_net(hid_t file) {
    fim_net net = {0};
    char text[32], path[64];
    fim_likelihood likelihood;
    tensors_text(file, "likelihood", text);
    TEST_OK(fim_likelihood_parse(text, &likelihood));
    size_t n_layers = 0;
    while (snprintf(path, sizeof path, "/layers/%zu", n_layers), tensors_have(file, path))
        n_layers++;
    TEST_OK(fim_net_init_empty(&net, likelihood, n_layers));
    for (size_t l = 0; l < n_layers; l++) {
        fim_layer *layer = &net.layers[l];
        snprintf(path, sizeof path, "/layers/%zu", l);
        hid_t group = H5Gopen2(file, path, H5P_DEFAULT);
        tensors_text(group, "activation", text);
        TEST_OK(fim_activation_parse(text, &layer->activation));
        layer->bias = tensors_have(group, "bias");
        gsl_matrix *weight = tensors_read(group, "weight");
        layer->w = gsl_matrix_alloc(weight->size1, weight->size2 + (layer->bias ? 1 : 0));
        gsl_matrix_view part = gsl_matrix_submatrix(layer->w, 0, 0, weight->size1, weight->size2);
        gsl_matrix_memcpy(&part.matrix, weight);
        if (layer->bias) {
            gsl_matrix *bias = tensors_read(group, "bias");
            for (size_t j = 0; j < weight->size1; j++)
                gsl_matrix_set(layer->w, j, weight->size2, bias->data[j]);
            gsl_matrix_free(bias);
        }
        gsl_matrix_free(weight);
        H5Gclose(group);
    }
    TEST_OK(fim_net_check(&net));
    return net;
}

#endif
