// A good checkpoint of another program, and every way of breaking it.
#ifndef TESTS_IO_BROKEN_CHECKPOINTS_H
#define TESTS_IO_BROKEN_CHECKPOINTS_H

#include "scratch.h"

// A checkpoint as twenty lines of h5py write it: 3 → 2 (tanh) → 2, float32 and float64.
static inline hid_t make_checkpoint_with(const char *path, hid_t access) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    h5_put_text(file, "/", "format", "fim-checkpoint");
    h5_put_number(file, "/", "version", 1);
    h5_put_text(file, "/", "likelihood", "categorical");
    h5_put_group(file, "/layers");
    h5_put_group(file, "/layers/0");
    h5_put_group(file, "/layers/1");
    for (int l = 0; l < 2; l++) {
        char item[16];
        snprintf(item, sizeof item, "/layers/%d", l);
        h5_put_text(file, item, "kind", "linear");
        h5_put_text(file, item, "activation", l == 0 ? "tanh" : "identity");
    }
    h5_put_numbers(file, "/layers/0/weight", H5T_IEEE_F32LE, 2, (hsize_t[]){2, 3});
    h5_put_numbers(file, "/layers/0/bias", H5T_IEEE_F32BE, 1, (hsize_t[]){2});
    h5_put_numbers(file, "/layers/1/weight", H5T_IEEE_F64LE, 2, (hsize_t[]){2, 2});
    return file;
}

static inline hid_t make_checkpoint(const char *path) {
    return make_checkpoint_with(path, H5P_DEFAULT);
}

static void no_format(hid_t f) {
    H5Adelete(f, "format");
}
static void other_format(hid_t f) {
    h5_put_text(f, "/", "format", "fim-report");
}
static void format_number(hid_t f) {
    h5_put_number(f, "/", "format", 3);
}
static void no_version(hid_t f) {
    H5Adelete(f, "version");
}
static void version_2(hid_t f) {
    h5_put_number(f, "/", "version", 2);
}
static void version_half(hid_t f) {
    h5_put_number(f, "/", "version", 0.5);
}
static void version_nan(hid_t f) {
    h5_put_number(f, "/", "version", NAN);
}
static void version_text(hid_t f) {
    h5_put_text(f, "/", "version", "1");
}
static void no_likelihood(hid_t f) {
    H5Adelete(f, "likelihood");
}
static void other_likelihood(hid_t f) {
    h5_put_text(f, "/", "likelihood", "poisson");
}
static void bad_utf8(hid_t f) {
    h5_put_text(f, "/", "likelihood", "cat\xff");
}
static void escape(hid_t f) {
    h5_put_text(f, "/", "likelihood", "\033[2J");
}
static void other_kind(hid_t f) {
    h5_put_text(f, "/layers/1", "kind", "conv2d");
}
static void other_activation(hid_t f) {
    h5_put_text(f, "/layers/0", "activation", "swish");
}
static void last_activation(hid_t f) {
    h5_put_text(f, "/layers/1", "activation", "relu");
}
static void no_layers(hid_t f) {
    h5_remove(f, "/layers");
}
static void empty_layers(hid_t f) {
    h5_remove(f, "/layers/0");
    h5_remove(f, "/layers/1");
}
static void gap(hid_t f) {
    H5Lmove(f, "/layers/1", f, "/layers/2", H5P_DEFAULT, H5P_DEFAULT);
}
static void layers_set(hid_t f) {
    h5_remove(f, "/layers");
    h5_put_numbers(f, "/layers", H5T_IEEE_F64LE, 1, (hsize_t[]){2});
}
static void layer_set(hid_t f) {
    h5_remove(f, "/layers/1");
    h5_put_numbers(f, "/layers/1", H5T_IEEE_F64LE, 1, (hsize_t[]){2});
}
static void no_weight(hid_t f) {
    h5_remove(f, "/layers/0/weight");
}
static void weight_group(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    h5_put_group(f, "/layers/0/weight");
}
static void weight_rank_1(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    h5_put_numbers(f, "/layers/0/weight", H5T_IEEE_F64LE, 1, (hsize_t[]){6});
}
static void weight_integer(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    h5_put_numbers(f, "/layers/0/weight", H5T_STD_I32LE, 2, (hsize_t[]){2, 3});
}
static void weight_text(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    h5_put_set(f, "/layers/0/weight", H5T_C_S1, 2, (hsize_t[]){2, 3}, NULL);
}
static void weight_scalar(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    hid_t space = H5Screate(H5S_SCALAR);
    H5Dclose(H5Dcreate2(f, "/layers/0/weight", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
}
static void wrong_width(hid_t f) {
    h5_remove(f, "/layers/1/weight");
    h5_put_numbers(f, "/layers/1/weight", H5T_IEEE_F64LE, 2, (hsize_t[]){3, 4});
}
static void no_rows(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    h5_put_set(f, "/layers/0/weight", H5T_IEEE_F64LE, 2, (hsize_t[]){0, 3}, NULL);
}
static void wrong_bias(hid_t f) {
    h5_remove(f, "/layers/0/bias");
    h5_put_numbers(f, "/layers/0/bias", H5T_IEEE_F64LE, 1, (hsize_t[]){3});
}
static void bias_integer(hid_t f) {
    h5_remove(f, "/layers/0/bias");
    h5_put_numbers(f, "/layers/0/bias", H5T_STD_I8LE, 1, (hsize_t[]){2});
}
static void weight_nan(hid_t f) {
    h5_remove(f, "/layers/1/weight");
    h5_put_set(f, "/layers/1/weight", H5T_IEEE_F64LE, 2, (hsize_t[]){2, 2}, (double[]){1, 2, 3, NAN});
}
static void bias_infinite(hid_t f) {
    h5_remove(f, "/layers/0/bias");
    h5_put_set(f, "/layers/0/bias", H5T_IEEE_F32LE, 1, (hsize_t[]){2}, (double[]){1, -INFINITY});
}
static void soft_link(hid_t f) {
    H5Lmove(f, "/layers/0/weight", f, "/w", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/w", f, "/layers/0/weight", H5P_DEFAULT, H5P_DEFAULT);
}
static void dangling_link(hid_t f) {
    h5_remove(f, "/layers/0/bias");
    H5Lcreate_soft("/none", f, "/layers/0/bias", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_link(hid_t f) {
    h5_remove(f, "/layers/0/weight");
    H5Lcreate_external("/etc/passwd", "/w", f, "/layers/0/weight", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_group(hid_t f) {
    h5_remove(f, "/layers");
    H5Lcreate_external("other.h5", "/layers", f, "/layers", H5P_DEFAULT, H5P_DEFAULT);
}
static void put_weight(hid_t f, hid_t list, const hsize_t *dim) {
    h5_remove(f, "/layers/0/weight");
    hid_t space = H5Screate_simple(2, dim, NULL);
    hid_t set = H5Dcreate2(f, "/layers/0/weight", H5T_IEEE_F64LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    cr_assert(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(list);
}
static void external_storage(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(list, "/etc/passwd", 0, 48);
    put_weight(f, list, (hsize_t[]){2, 3});
}
static void virtual_set(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, (hsize_t[]){2, 3}, NULL);
    H5Pset_virtual(list, space, "other.h5", "/w", space);
    H5Sclose(space);
    put_weight(f, list, (hsize_t[]){2, 3});
}
static void never_written(hid_t f) {
    put_weight(f, H5Pcreate(H5P_DATASET_CREATE), (hsize_t[]){2, 3});
}
static void absurd_contiguous(hid_t f) {
    put_weight(f, H5Pcreate(H5P_DATASET_CREATE), (hsize_t[]){(hsize_t)1 << 40, 3});
}
static void absurd_chunked(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 2, (hsize_t[]){16, 3});
    put_weight(f, list, (hsize_t[]){(hsize_t)1 << 40, 3});
}
static void absurd_chunk(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 2, (hsize_t[]){1 << 20, 3});
    put_weight(f, list, (hsize_t[]){1 << 20, 3});
}
static void overflowing(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 2, (hsize_t[]){1, 1});
    put_weight(f, list, (hsize_t[]){(hsize_t)1 << 40, (hsize_t)1 << 40});
}
static void other_filter(hid_t f) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 2, (hsize_t[]){2, 3});
    H5Pset_filter(list, 32000, H5Z_FLAG_OPTIONAL, 0, NULL); // lzf, h5py's own
    put_weight(f, list, (hsize_t[]){2, 3});
}
static void wrong_crc(hid_t f) {
    h5_put_number(f, "/layers/0/weight", "crc32", 12345);
}

static const h5_case broken_checkpoints[] = {
    {"no format", no_format, FIM_ERR_FORMAT, "has no root attribute 'format'"},
    {"another format", other_format, FIM_ERR_FORMAT,
     "is a file of format 'fim-report', expected 'fim-checkpoint'"},
    {"format a number", format_number, FIM_ERR_FORMAT, "attribute 'format' of / is a number"},
    {"no version", no_version, FIM_ERR_FORMAT, "/ has no attribute 'version'"},
    {"version 2", version_2, FIM_ERR_FORMAT, "is version 2 of 'fim-checkpoint'; version 1 is known"},
    {"version 0.5", version_half, FIM_ERR_VALUE, "attribute 'version' of / is 0.5"},
    {"version NaN", version_nan, FIM_ERR_VALUE, "attribute 'version' of / is not finite"},
    {"version a text", version_text, FIM_ERR_FORMAT, "attribute 'version' of / is a text"},
    {"no likelihood", no_likelihood, FIM_ERR_FORMAT, "/ has no attribute 'likelihood'"},
    {"unknown likelihood", other_likelihood, FIM_ERR_UNKNOWN, "poisson"},
    {"known likelihoods", other_likelihood, FIM_ERR_UNKNOWN, "bernoulli"},
    {"bad UTF-8", bad_utf8, FIM_ERR_VALUE, "attribute 'likelihood' of / is not printable UTF-8"},
    {"control characters", escape, FIM_ERR_VALUE, "attribute 'likelihood' of / is not printable UTF-8"},
    {"unknown kind", other_kind, FIM_ERR_UNKNOWN,
     "attribute 'kind' of /layers/1: unknown layer kind 'conv2d'; known: linear"},
    {"unknown activation", other_activation, FIM_ERR_UNKNOWN, "attribute 'activation' of /layers/0"},
    {"known activations", other_activation, FIM_ERR_UNKNOWN, "leaky_relu"},
    {"last activation", last_activation, FIM_ERR_VALUE, "identity"},
    {"no layers", no_layers, FIM_ERR_FORMAT, "has no /layers"},
    {"zero layers", empty_layers, FIM_ERR_FORMAT, "/layers holds 0 layers"},
    {"a gap", gap, FIM_ERR_FORMAT, "has no group /layers/1"},
    {"layers a set", layers_set, FIM_ERR_FORMAT, "/layers is not a group"},
    {"layer a set", layer_set, FIM_ERR_FORMAT, "has no group /layers/1"},
    {"no weight", no_weight, FIM_ERR_FORMAT, "has no data set /layers/0/weight"},
    {"weight a group", weight_group, FIM_ERR_FORMAT, "/layers/0/weight is a group"},
    {"weight of rank 1", weight_rank_1, FIM_ERR_SHAPE, "/layers/0/weight is (6,), expected (*, *)"},
    {"weight of integers", weight_integer, FIM_ERR_FORMAT, "/layers/0/weight holds integers"},
    {"weight of text", weight_text, FIM_ERR_FORMAT, "/layers/0/weight holds no plain integers or floating"},
    {"weight a scalar", weight_scalar, FIM_ERR_SHAPE, "/layers/0/weight is no array"},
    {"wrong width", wrong_width, FIM_ERR_SHAPE,
     "/layers/1/weight is (3, 4), expected (*, 2) to follow layer 0"},
    {"no rows", no_rows, FIM_ERR_SHAPE, "/layers/0/weight is (0, 3), expected (*, *)"},
    {"wrong bias", wrong_bias, FIM_ERR_SHAPE, "/layers/0/bias is (3,), expected (2,)"},
    {"bias of integers", bias_integer, FIM_ERR_FORMAT, "/layers/0/bias holds integers"},
    {"NaN", weight_nan, FIM_ERR_VALUE, "/layers/1/weight[1, 1] is nan"},
    {"infinity", bias_infinite, FIM_ERR_VALUE, "/layers/0/bias[1] is -inf"},
    {"soft link", soft_link, FIM_ERR_FORMAT, "/layers/0/weight is a soft link"},
    {"dangling link", dangling_link, FIM_ERR_FORMAT, "/layers/0/bias is a soft link"},
    {"external link", external_link, FIM_ERR_FORMAT, "/layers/0/weight is an external link"},
    {"external group", external_group, FIM_ERR_FORMAT, "/layers is an external link"},
    {"external storage", external_storage, FIM_ERR_FORMAT, "/layers/0/weight is stored in other files"},
    {"virtual data set", virtual_set, FIM_ERR_FORMAT, "/layers/0/weight is a virtual data set"},
    {"never written", never_written, FIM_ERR_FORMAT, "/layers/0/weight of shape (2, 3) needs 48 bytes"},
    {"2^40 rows", absurd_contiguous, FIM_ERR_FORMAT, "/layers/0/weight of shape (1099511627776, 3) needs"},
    {"2^40 rows in chunks", absurd_chunked, FIM_ERR_FORMAT,
     "/layers/0/weight of shape (1099511627776, 3) needs"},
    {"a chunk over budget", absurd_chunk, FIM_ERR_BUDGET, "/layers/0/weight: one of its chunks"},
    {"2^80 numbers", overflowing, FIM_ERR_FORMAT, "/layers/0/weight of shape"},
    {"foreign filter", other_filter, FIM_ERR_FORMAT, "/layers/0/weight is stored through filter 32000"},
    {"wrong checksum", wrong_crc, FIM_ERR_FORMAT, "/layers/0/weight does not match its checksum"},
};

#endif
