// Keras' files made by hand: functional models, normalisation, losses, and each rule of their readers broken.
#include <zip.h>

#include "scratch.h"

TestSuite(keras, .init = scratch_begin, .fini = scratch_end, .timeout = 300);

static const size_t budget = 1 << 24;
static const fim_checkpoint_options gaussian = {.likelihood = "gaussian"};

#define INPUT        "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"x\"},\"inbound_nodes\":[]}"
#define FROM(before) "\"inbound_nodes\":[[[\"" before "\",0,0,{}]]]"
#define LAYER(class, name, more, before)                                                                     \
    "{\"class_name\":\"" class "\",\"config\":{\"name\":\"" name "\"" more "}," FROM(before) "}"
#define DENSE(name, activation, before)                                                                      \
    LAYER("Dense", name, ",\"activation\":\"" activation "\",\"use_bias\":true", before)
#define MODEL(layers) "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" INPUT "," layers "]}}"

// Weights (inputs, outputs): a is 3 -> 2, b is 2 -> 2, n and m normalise two numbers.
static const double a_kernel[] = {1, 2, 3, 4, 5, 6}, a_bias[] = {7, 8}, b_kernel[] = {1, -1, 2, 3},
                    b_bias[] = {9, 10};
static const double norm[4][2] = {{2, 3}, {0.5, 0.25}, {1, -1}, {4, 9}}; // gamma, beta, mean, variance

static void put_layer(hid_t file, const char *name, const char *part, int rank, const hsize_t *dim,
                      const double *values) {
    char item[128];
    snprintf(item, sizeof item, "/model_weights/%s", name);
    if (H5Lexists(file, item, H5P_DEFAULT) <= 0)
        h5_put_group(file, item);
    snprintf(item, sizeof item, "/model_weights/%s/%s:0", name, part);
    h5_put_set(file, item, H5T_IEEE_F64LE, rank, dim, values);
}

// A legacy file; `training` may be NULL.
static void write_legacy(const char *path, const char *model, const char *training) {
    static const char *const parts[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (model != NULL)
        h5_put_text(file, "/", "model_config", model);
    if (training != NULL)
        h5_put_text(file, "/", "training_config", training);
    h5_put_group(file, "/model_weights");
    put_layer(file, "a", "kernel", 2, (hsize_t[]){3, 2}, a_kernel);
    put_layer(file, "a", "bias", 1, (hsize_t[]){2}, a_bias);
    put_layer(file, "b", "kernel", 2, (hsize_t[]){2, 2}, b_kernel);
    put_layer(file, "b", "bias", 1, (hsize_t[]){2}, b_bias);
    put_layer(file, "bare", "kernel", 2, (hsize_t[]){2, 2}, b_kernel);
    for (int k = 0; k < 4; k++)
        put_layer(file, "n", parts[k], 1, (hsize_t[]){2}, norm[k]);
    put_layer(file, "odd", "kernel", 1, (hsize_t[]){2}, b_bias);
    put_layer(file, "odd", "bias", 1, (hsize_t[]){2}, b_bias);
    H5Fclose(file);
}

static double scale(int j) {
    return norm[0][j] / sqrt(norm[3][j] + 0.25);
}

Test(keras, functional_model_with_normalisation) {
    static const char model[] = MODEL(
        DENSE("a", "linear", "x") "," LAYER("BatchNormalization", "n", ",\"epsilon\":0.25", "a") "," LAYER(
            "Activation", "r", ",\"activation\":\"relu\"", "n") "," LAYER("Dropout", "d", ",\"rate\":0.5",
                                                                          "r") "," DENSE("b", "linear", "d"));
    fim_checkpoint found;
    write_legacy(scratch("net.h5"), model,
                 "{\"loss\":{\"class_name\":\"CategoricalCrossentropy\",\"config\":{\"from_logits\":true}}}");
    TEST_OK(fim_checkpoint_load(scratch("net.h5"), budget, NULL, &found));
    cr_assert(found.net.n_layers == 2 && found.net.likelihood == FIM_CATEGORICAL &&
              found.net.layers[0].activation == FIM_ACTIVATION_RELU);
    for (int j = 0; j < 2; j++) {
        for (int i = 0; i < 3; i++)
            cr_assert(fabs(gsl_matrix_get(found.net.layers[0].w, (size_t)j, (size_t)i) -
                           scale(j) * a_kernel[2 * i + j]) < 1e-14);
        double bias = scale(j) * (a_bias[j] - norm[2][j]) + norm[1][j];
        cr_assert(fabs(gsl_matrix_get(found.net.layers[0].w, (size_t)j, 3) - bias) < 1e-14);
        for (int i = 0; i < 2; i++)
            cr_assert(gsl_matrix_get(found.net.layers[1].w, (size_t)j, (size_t)i) == b_kernel[2 * i + j]);
    }
    fim_checkpoint_clear(&found);
}

// Behind the activation, the normalisation goes into the layer that comes, which gets a bias by it.
Test(keras, normalisation_behind_an_activation) {
    static const char model[] = MODEL(
        DENSE("a", "tanh", "x") "," LAYER("BatchNormalization", "n", ",\"epsilon\":0.25", "a") "," LAYER(
            "Dense", "bare", ",\"activation\":\"linear\",\"use_bias\":false", "n"));
    fim_checkpoint found;
    write_legacy(scratch("net.h5"), model, "{\"loss\":\"mse\"}");
    TEST_OK(fim_checkpoint_load(scratch("net.h5"), budget, NULL, &found));
    cr_assert(found.net.n_layers == 2 && found.net.likelihood == FIM_GAUSSIAN && found.net.layers[1].bias);
    for (int j = 0; j < 2; j++) {
        double bias = 0;
        for (int i = 0; i < 2; i++) {
            double w = b_kernel[2 * i + j];
            cr_assert(fabs(gsl_matrix_get(found.net.layers[1].w, (size_t)j, (size_t)i) - w * scale(i)) <
                      1e-14);
            bias += w * (norm[1][i] - scale(i) * norm[2][i]);
        }
        cr_assert(fabs(gsl_matrix_get(found.net.layers[1].w, (size_t)j, 2) - bias) < 1e-14);
    }
    fim_checkpoint_clear(&found);
}

Test(keras, losses_and_activations) {
    static const struct {
        const char *layers, *loss;
        fim_likelihood likelihood;
        fim_activation activation; // of the first layer
    } good[] = {
        {DENSE("a", "relu", "x") "," DENSE("b", "softmax", "a"), "\"categorical_crossentropy\"",
         FIM_CATEGORICAL, FIM_ACTIVATION_RELU},
        {DENSE("a", "gelu", "x") "," DENSE("b", "sigmoid", "a"), "\"binary_crossentropy\"", FIM_BERNOULLI,
         FIM_ACTIVATION_GELU},
        {DENSE("a", "softplus", "x") "," DENSE("b", "sigmoid", "a"), "null", FIM_BERNOULLI,
         FIM_ACTIVATION_SOFTPLUS},
        {DENSE("a", "elu", "x") "," DENSE("b", "linear", "a"),
         "{\"class_name\":\"BinaryCrossentropy\",\"config\":{\"from_logits\":true}}", FIM_BERNOULLI,
         FIM_ACTIVATION_ELU},
        {DENSE("a", "sigmoid", "x") "," DENSE("b", "linear", "a"),
         "{\"class_name\":\"SparseCategoricalCrossentropy\",\"config\":{\"from_logits\":true}}",
         FIM_CATEGORICAL, FIM_ACTIVATION_SIGMOID},
        {DENSE("a", "linear", "x") "," LAYER("LeakyReLU", "l", ",\"negative_slope\":0.01",
                                             "a") "," DENSE("b", "linear", "l"),
         "\"mean_squared_error\"", FIM_GAUSSIAN, FIM_ACTIVATION_LEAKY_RELU},
        {DENSE("a", "linear", "x") "," LAYER("ReLU", "l", ",\"max_value\":null", "a") "," DENSE("b", "linear",
                                                                                                "l"),
         "{\"class_name\":\"MeanSquaredError\"}", FIM_GAUSSIAN, FIM_ACTIVATION_RELU},
        {DENSE("a", "linear", "x") "," LAYER("ELU", "l", ",\"alpha\":1.0", "a") "," DENSE(
             "b", "linear", "l") "," LAYER("Softmax", "s", "", "b"),
         "\"categorical_crossentropy\"", FIM_CATEGORICAL, FIM_ACTIVATION_ELU},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_checkpoint found;
        char model[2048], training[256];
        snprintf(model, sizeof model, "{\"config\":{\"layers\":[" INPUT ",%s]}}", good[i].layers);
        snprintf(training, sizeof training, "{\"loss\":%s}", good[i].loss);
        write_legacy(scratch("net.h5"), model, training);
        TEST_OK(fim_checkpoint_load(scratch("net.h5"), budget, NULL, &found));
        cr_expect(found.net.likelihood == good[i].likelihood &&
                      found.net.layers[0].activation == good[i].activation &&
                      found.net.layers[1].activation == FIM_ACTIVATION_IDENTITY,
                  "%s", good[i].layers);
        fim_checkpoint_clear(&found);
    }
}

static void refused(const char *what, const fim_checkpoint_options *options, const char *part) {
    fim_checkpoint found = {.n_notes = 77};
    fim_status status = fim_checkpoint_load(scratch("bad"), budget, options, &found);
    cr_expect(status != FIM_OK && strstr(fim_message(), part) != NULL &&
                  strstr(fim_message(), "bad") != NULL && strchr(fim_message(), '\n') == NULL,
              "%s: %d, '%s' lacks '%s'", what, (int)status, fim_message(), part);
    cr_expect(found.n_notes == 77);
}

Test(keras, rules_of_models) {
    static const struct {
        const char *model, *part;
    } bad[] = {
        {"{", "model_config is not JSON"},
        {"{\"a\":1,\"a\":2}", "model_config is not JSON: line 1: duplicate"},
        {"{}", "has no list of 1 to 10000 layers"},
        {"{\"config\":{\"layers\":[]}}", "has no list of 1 to 10000 layers"},
        {"{\"config\":[{\"config\":{\"name\":\"a\"}}]}", "layer 0 of its model has no class_name"},
        {"{\"config\":[{\"class_name\":\"Dense\"}]}", "layer 0 of its model has no class_name, or no config"},
        {"{\"config\":[{\"class_name\":\"Dense\",\"config\":{}}]}", "or no config with a name"},
        {"{\"config\":[{\"class_name\":\"Dense\",\"config\":{\"name\":\"../a\"}}]}",
         "or no config with a name"},
        {MODEL(LAYER("Conv2D", "c", "", "x")), "layer 'c': the kind 'Conv2D' is not read"},
        {MODEL(LAYER("Lambda", "c", "", "x")), "layer 'c': the kind 'Lambda' is not read"},
        {MODEL(DENSE("a", "swish", "x")), "layer 'a': the activation 'swish' is not read"},
        {MODEL(LAYER("Dense", "a", ",\"activation\":{\"class_name\":\"F\",\"config\":{}}", "x")),
         "layer 'a': the activation 'given as an object' is not read"},
        {MODEL(DENSE("a", "relu", "x") "," DENSE("b", "linear", "x")), "layer 'b' does not follow 'a' alone"},
        {MODEL(DENSE("a", "relu", "x") "," DENSE("b", "relu", "a") "," LAYER("Add", "s", "",
                                                                             "b\",0,0,{}],[\"a")),
         "layer 's' does not follow 'b' alone"},
        {MODEL(DENSE("b", "relu", "x") "," DENSE("a", "linear", "b")), "takes 3 inputs, but"},
        {MODEL(DENSE("a", "softmax", "x") "," DENSE("b", "linear", "a")),
         "a softmax is read at the end alone"},
        {MODEL(DENSE("a", "tanh", "x") "," LAYER("ReLU", "r", "", "a") "," DENSE("b", "linear", "r")),
         "follows the activation 'a' without a linear layer between"},
        {MODEL(LAYER("ReLU", "r", "", "x") "," DENSE("a", "linear", "r")),
         "'r' comes before the first linear layer"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("LeakyReLU", "l", ",\"alpha\":0.3", "a")),
         "LeakyReLU is read with the parameter 0.01 alone"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("LeakyReLU", "l", "", "a")),
         "with the parameter 0.01 alone"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("ReLU", "l", ",\"max_value\":6.0", "a")),
         "parameter 0 alone"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("ReLU", "l", ",\"threshold\":1.0", "a")),
         "parameter 0 alone"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("ELU", "l", ",\"alpha\":2.0", "a")), "parameter 1 alone"},
        {MODEL(DENSE("nothing", "linear", "x")), "nothing"},
        {MODEL(DENSE("bare", "linear", "x")), "layer 'bare' has no bias under /model_weights/bare"},
        {MODEL(DENSE("odd", "linear", "x")), "only dense layers, with a matrix as weight, are read"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("BatchNormalization", "b", "", "a")),
         "layer 'b' has no mean"},
        {MODEL(DENSE("a", "linear", "x") "," LAYER("BatchNormalization", "n", ",\"epsilon\":-9", "a")),
         "no variance"},
        {MODEL(DENSE("a", "relu", "x")), "ends in the activation relu"},
        {MODEL(LAYER("Flatten", "f", "", "x")), "holds no linear layer"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_legacy(scratch("bad"), bad[i].model, NULL);
        refused(bad[i].model, &gaussian, bad[i].part);
    }
}

Test(keras, rules_of_losses_and_options) {
    static const char linear[] = MODEL(DENSE("a", "relu", "x") "," DENSE("b", "linear", "a")),
                      softmax[] = MODEL(DENSE("a", "relu", "x") "," DENSE("b", "softmax", "a"));
    static const fim_checkpoint_options activation = {.activation = "relu"}, arch = {.arch = "/nothing.json"};
    write_legacy(scratch("bad"), linear, "{\"loss\":\"hinge\"}");
    refused("an unusual loss", NULL, "does not tell its likelihood; give --likelihood");
    write_legacy(scratch("bad"), linear, "{\"loss\":\"categorical_crossentropy\"}");
    refused("probabilities that are none", NULL, "does not tell its likelihood");
    write_legacy(scratch("bad"), linear, "{\"loss\":");
    refused("training", NULL, "training_config is not JSON");
    write_legacy(scratch("bad"), softmax, "{\"loss\":\"mse\"}");
    refused("a contradiction", NULL, "but its loss is that of the likelihood gaussian");
    refused("another contradiction", &gaussian, "which makes its likelihood categorical, not gaussian");
    refused("an option", &activation, "--activation is for files that do not");
    refused("an option", &arch, "--arch is for files that do not");

    // Nested deeper than a description can be.
    enum { DEPTH = 20000 };
    char *deep = calloc(2 * DEPTH + 32, 1);
    strcpy(deep, "{\"config\":");
    memset(deep + strlen(deep), '[', DEPTH);
    memset(deep + strlen(deep), ']', DEPTH);
    strcat(deep, "}");
    write_legacy(scratch("bad"), deep, NULL);
    refused("deep", NULL, "model_config");
    free(deep);
}

// ---- .keras and .weights.h5 ----

// The weights as Keras 3 keeps them; `edit` spoils them.
static void write_weights(const char *path, void (*edit)(hid_t file)) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    static const char *const groups[] = {"/layers", "/layers/dense", "/layers/dense/vars", "/layers/dense_1",
                                         "/layers/dense_1/vars"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        h5_put_group(file, groups[i]);
    h5_put_set(file, "/layers/dense/vars/0", H5T_IEEE_F64LE, 2, (hsize_t[]){3, 2}, a_kernel);
    h5_put_set(file, "/layers/dense/vars/1", H5T_IEEE_F64LE, 1, (hsize_t[]){2}, a_bias);
    h5_put_set(file, "/layers/dense_1/vars/0", H5T_IEEE_F64LE, 2, (hsize_t[]){2, 2}, b_kernel);
    h5_put_set(file, "/layers/dense_1/vars/1", H5T_IEEE_F64LE, 1, (hsize_t[]){2}, b_bias);
    if (edit != NULL)
        edit(file);
    H5Fclose(file);
}

static void write_archive(const char *path, const char *config, const char *weights) {
    size_t n = 0;
    unsigned char *bytes = scratch_read(weights, &n);
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    zip_file_add(zip, "config.json", zip_source_buffer(zip, config, strlen(config), 0), 0);
    zip_file_add(zip, "model.weights.h5", zip_source_buffer(zip, bytes, n, 0), 0);
    cr_assert(zip_close(zip) == 0);
    free(bytes);
}

static void no_layers(hid_t file) {
    h5_remove(file, "/layers");
}
static void no_kernel(hid_t file) {
    h5_remove(file, "/layers/dense/vars/0");
}
static void three(hid_t file) {
    h5_put_set(file, "/layers/dense/vars/2", H5T_IEEE_F64LE, 1, (hsize_t[]){2}, b_bias);
}
static void bias_first(hid_t file) {
    h5_remove(file, "/layers/dense/vars/0");
    h5_put_set(file, "/layers/dense/vars/0", H5T_IEEE_F64LE, 1, (hsize_t[]){2}, b_bias);
}
static void not_finite(hid_t file) {
    static const double values[] = {1, 2, 3, 4, 5, (double)INFINITY};
    h5_remove(file, "/layers/dense/vars/0");
    h5_put_set(file, "/layers/dense/vars/0", H5T_IEEE_F64LE, 2, (hsize_t[]){3, 2}, values);
}
static void linked(hid_t file) {
    h5_remove(file, "/layers/dense/vars/0");
    H5Lcreate_external("/etc/passwd", "/x", file, "/layers/dense/vars/0", H5P_DEFAULT, H5P_DEFAULT);
}

// Weights alone as Keras 2 keeps them: groups at the root, named by layers.
Test(keras, legacy_weights) {
    static const fim_checkpoint_options told = {.activation = "elu", .likelihood = "bernoulli"};
    static const char *const groups[] = {"/dense", "/dense/dense", "/dense_1", "/dense_1/dense_1"};
    fim_checkpoint found;
    hid_t file = H5Fcreate(scratch("net"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    h5_put_text(file, "/", "layer_names", "dense");
    for (size_t i = 0; i < 4; i++)
        h5_put_group(file, groups[i]);
    h5_put_set(file, "/dense_1/dense_1/kernel:0", H5T_IEEE_F32LE, 2, (hsize_t[]){2, 2}, b_kernel);
    h5_put_set(file, "/dense_1/dense_1/bias:0", H5T_IEEE_F32LE, 1, (hsize_t[]){2}, b_bias);
    h5_put_set(file, "/dense/dense/kernel:0", H5T_IEEE_F32LE, 2, (hsize_t[]){3, 2}, a_kernel);
    h5_put_set(file, "/dense/dense/bias:0", H5T_IEEE_F32LE, 1, (hsize_t[]){2}, a_bias);
    H5Fclose(file);
    TEST_OK(fim_checkpoint_load(scratch("net"), budget, &told, &found));
    cr_assert(found.net.n_layers == 2 && found.net.layers[0].activation == FIM_ACTIVATION_ELU &&
              gsl_matrix_get(found.net.layers[0].w, 1, 2) == a_kernel[5] &&
              gsl_matrix_get(found.net.layers[1].w, 0, 1) == b_kernel[2]);
    fim_checkpoint_clear(&found);
}

Test(keras, rules_of_archives_and_weights) {
    static const char good[] = MODEL(DENSE("a", "relu", "x") "," DENSE("b", "linear", "a"));
    static const fim_checkpoint_options told = {.activation = "relu", .likelihood = "gaussian"};
    static const struct {
        void (*edit)(hid_t file);
        const char *archive, *weights; // what is said of it inside a .keras file, and of it alone
    } bad[] = {
        {no_layers, "model.weights.h5 has no group /layers", "has no root attribute 'format'"},
        {no_kernel, "layers/a/vars/0", "/layers/dense/vars holds"},
        {three, NULL, "/layers/dense/vars holds the 3 variables of no dense layer"},
        {bias_first, "only dense layers", "/layers/dense/vars holds the 2 variables of no dense layer"},
        {not_finite, "is inf, not a finite number", "not a finite number"},
        {linked, "link", "link"},
    };
    fim_checkpoint found;
    write_weights(scratch("weights"), NULL);
    write_archive(scratch("good"), good, scratch("weights"));
    TEST_OK(fim_checkpoint_load(scratch("good"), budget, &gaussian, &found));
    cr_assert(found.net.n_layers == 2 && gsl_matrix_get(found.net.layers[0].w, 1, 2) == a_kernel[5]);
    fim_checkpoint_clear(&found);
    TEST_OK(fim_checkpoint_load(scratch("weights"), budget, &told, &found));
    cr_assert(found.net.n_layers == 2 && gsl_matrix_get(found.net.layers[0].w, 1, 2) == a_kernel[5]);
    fim_checkpoint_clear(&found);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_weights(scratch("weights"), bad[i].edit);
        write_archive(scratch("bad"), good, scratch("weights"));
        if (bad[i].archive != NULL)
            refused("archive", &gaussian, bad[i].archive);
        write_weights(scratch("bad"), bad[i].edit);
        refused("weights", &told, bad[i].weights);
    }
    write_weights(scratch("weights"), NULL);
    write_archive(scratch("bad"), "{\"class_name\":", scratch("weights"));
    refused("config", &gaussian, "config.json is not JSON");
    scratch_write(scratch("weights"), "\x89HDF\r\n\x1a\n and rubbish", 20);
    write_archive(scratch("bad"), good, scratch("weights"));
    refused("rubbish", &gaussian, "bad");
}
