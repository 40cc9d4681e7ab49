// Reads the tensors of tests/data/reference-*.h5 (made by make_reference.py), straight by HDF5. The files are
// checkpoints too: the network comes by fim_checkpoint_read, which is so compared with h5py's writing.
#ifndef TESTS_REFERENCE_TENSORS_H
#define TESTS_REFERENCE_TENSORS_H

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

#include "fim/net.h"
#include "support.h"

// "classifier", "autoencoder", "regression" as a path in `path`; returns it.
static inline const char *tensors_path(const char *name, char path[1024]) {
    const char *folder = getenv("FIM_TEST_DATA");
    cr_assert(folder != NULL, "FIM_TEST_DATA is not set: run by 'meson test'");
    snprintf(path, 1024, "%s/reference-%s.h5", folder, name);
    return path;
}

static inline hid_t tensors_open(const char *name) {
    char path[1024];
    hid_t file = H5Fopen(tensors_path(name, path), H5F_ACC_RDONLY, H5P_DEFAULT);
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

#endif
