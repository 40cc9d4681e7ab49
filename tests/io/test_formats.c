// Checkpoints of other programs: one trained network in every format, written by make_checkpoints.py, and
// files made by hand, each of which breaks one rule.
#include <zip.h>

#include "scratch.h"

TestSuite(formats, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 24;

static const char *fixture(const char *name) {
    static char paths[4][512];
    static size_t next;
    char *path = paths[next++ % 4];
    cr_assert(getenv("FIM_TEST_DATA") != NULL);
    snprintf(path, sizeof paths[0], "%s/%s", getenv("FIM_TEST_DATA"), name);
    return path;
}

static void expect_same(const char *name, const fim_net *a, const fim_net *b) {
    cr_assert(a->n_layers == b->n_layers && a->likelihood == b->likelihood, "%s", name);
    for (size_t l = 0; l < a->n_layers; l++)
        cr_assert(a->layers[l].activation == b->layers[l].activation &&
                      a->layers[l].bias == b->layers[l].bias &&
                      gsl_matrix_equal(a->layers[l].w, b->layers[l].w),
                  "%s: layer %zu", name, l);
}

Test(formats, one_network_in_every_format) {
    static const struct {
        const char *name, *format;
        bool told; // by the file
    } files[] = {
        {"classifier.pt", "torch", false},
        {"classifier-training.pt", "torch", false},
        {"classifier.npz", "numpy", false},
        {"classifier.npy", "numpy", false},
        {"classifier.safetensors", "safetensors", false},
        {"classifier-described.safetensors", "safetensors", true},
        {"classifier-keras.h5", "keras", true},
        {"classifier.keras", "keras", true},
        {"classifier.weights.h5", "keras", false},
#ifdef FIM_HAVE_ONNX
        {"classifier.onnx", "onnx", true},
#endif
    };
    static const fim_checkpoint_options options = {.activation = "tanh", .likelihood = "categorical"};
    fim_net expected;
    TEST_OK(fim_checkpoint_read(fixture("classifier.h5"), budget, &expected));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        fim_checkpoint found;
        fim_file_kind kind = FIM_FILE_DATA;
        const char *path = fixture(files[i].name);
        TEST_OK(fim_file_sniff(path, &kind));
        cr_assert(kind == FIM_FILE_CHECKPOINT, "%s", path);
        TEST_OK(fim_checkpoint_load(path, budget, files[i].told ? NULL : &options, &found));
        TEST_TEXT(found.format, files[i].format);
        expect_same(path, &found.net, &expected);
        fim_checkpoint_clear(&found);
        if (!files[i].told)
            TEST_FAILS(fim_checkpoint_load(path, budget, NULL, &found), FIM_ERR_UNAVAILABLE,
                       "does not tell the activation of 2 of its 2 hidden layers");
    }
    fim_net_clear(&expected);
}

// The logits are PyTorch's, with the normalisations as layers of their own.
Test(formats, batch_normalisation_is_folded) {
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "categorical"};
    fim_checkpoint found;
    fim_data data;
    fim_trace trace;
    TEST_OK(fim_checkpoint_load(fixture("norm.pt"), budget, &options, &found));
    TEST_OK(fim_data_read(fixture("norm-data.h5"), NULL, budget, &data));
    cr_assert(found.net.n_layers == 3 && found.net.layers[1].bias);
    TEST_OK(fim_trace_init(&trace, &found.net, data.x->size1));
    TEST_OK(fim_net_forward(&found.net, data.x, &trace));
    double error = test_max_difference(trace.s[2], data.y);
    cr_assert(error < 1e-12, "%g", error); // the file's numbers are float32, the sums on both sides float64
    cr_assert(strstr(found.sources[0], "batch normalisation 1 (epsilon 1e-05)") != NULL, "%s",
              found.sources[0]);
    fim_trace_clear(&trace);
    fim_data_clear(&data);
    fim_checkpoint_clear(&found);
}

// ---- safetensors ----

static void write_safetensors(const char *path, const char *header, const void *data, size_t n) {
    size_t length = strlen(header);
    unsigned char *bytes = calloc(8 + length + n + 1, 1);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, n);
    scratch_write(path, bytes, 8 + length + n);
    free(bytes);
}

#ifdef __FLT16_MAX__
// All finite numbers of 16 bits, against the compiler's own conversion.
Test(formats, half_precision_is_exact) {
    enum { FINITE = 62 * 1024 };
    static const fim_checkpoint_options options = {.likelihood = "gaussian"};
    static uint16_t half[FINITE], brain[FINITE];
    size_t n = 0, m = 0;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        if ((bits >> 10 & 31) != 31)
            half[n++] = (uint16_t)bits;
        if ((bits >> 7 & 255) != 255 && m < FINITE)
            brain[m++] = (uint16_t)bits;
    }
    cr_assert(n == FINITE && m == FINITE);
    for (size_t k = 0; k < 2; k++) {
        fim_checkpoint found;
        char header[256];
        snprintf(header, sizeof header,
                 "{\"0.weight\":{\"dtype\":\"%s\",\"shape\":[62,1024],\"data_offsets\":[0,%d]}}",
                 k == 0 ? "F16" : "BF16", 2 * FINITE);
        write_safetensors(scratch("half"), header, k == 0 ? half : brain, 2 * FINITE);
        TEST_OK(fim_checkpoint_load(scratch("half"), budget, &options, &found));
        for (size_t i = 0; i < FINITE; i++) {
            double expected, got = found.net.layers[0].w->data[i];
            if (k == 0) {
                _Float16 value;
                memcpy(&value, &half[i], sizeof value);
                expected = (double)value;
            } else { // 8 bits of exponent, 7 of fraction
                int exponent = brain[i] >> 7 & 255, fraction = brain[i] & 127;
                expected = ldexp(exponent > 0 ? 128 + fraction : 2 * fraction, exponent - 134);
                expected = brain[i] >> 15 ? -expected : expected;
            }
            cr_assert(got == expected && !signbit(got) == !signbit(expected), "number %zu is %g, expected %g",
                      i, got, expected);
        }
        fim_checkpoint_clear(&found);
    }
}
#endif

Test(formats, rules_of_safetensors) {
#define W "\"0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"
#define ENTRY(dtype, shape, offsets)                                                                         \
    "{\"0.weight\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    static const struct {
        const char *header, *part;
        size_t n;
    } bad[] = {
        {"{" W "", "is not the JSON", 16},
        {"{" W "," W "}", "is not the JSON of the format: duplicate", 16},
        {"{" W "} x", "is not the JSON", 16},
        {"{\"0.weight\":3}", "is not {dtype, shape, data_offsets}", 16},
        {"{\"0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16],\"more\":1}}",
         "is not {dtype, shape, data_offsets}", 16},
        {ENTRY("F8_E4M3", "[4,4]", "[0,16]"), "is of dtype 'F8_E4M3'", 16},
        {ENTRY("F32", "[2,-2]", "[0,16]"), "no list of whole numbers", 16},
        {ENTRY("F32", "[2,2.0]", "[0,16]"), "no list of whole numbers", 16},
        {ENTRY("F32", "[1,1,1,1,1,1,1,2,2]", "[0,16]"), "has 9 dimensions", 16},
        {ENTRY("F32", "[2,2]", "[16,0]"), "are not [begin, end]", 16},
        {ENTRY("F32", "[2,2]", "[0]"), "are not [begin, end]", 16},
        {ENTRY("F32", "[2,3]", "[0,16]"), "has 16 bytes of data, but its dtype and shape take 24", 16},
        {ENTRY("F32", "[4611686018427387904,4]", "[0,16]"), "dtype and shape take", 16},
        {ENTRY("F32", "[2,2]", "[4,20]"), "leaving a hole", 20},
        {ENTRY("F32", "[2,2]", "[0,16]"), "holds 20 bytes of data, but its tensors take 16", 20},
        {ENTRY("F32", "[2,2]", "[0,16]"), "holds 12 bytes of data", 12},
        {"{" W ",\"0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}}", "overlapping", 20},
        {"{" W ",\"__metadata__\":{\"a\":1}}", "is no text", 16},
        {"{" W ",\"__metadata__\":[]}", "is no object", 16},
        {"{" W ",\"__metadata__\":{\"fim\":\"{\\\"colour\\\":1}\"}}", "\"colour\" is not understood", 16},
        {"{}", "holds the weights of 0 layers", 0},
    };
    static const float data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const fim_checkpoint_options options = {.likelihood = "gaussian"};
    fim_checkpoint found = {.n_notes = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_safetensors(scratch("bad.st"), bad[i].header, data, bad[i].n);
        fim_status status = fim_checkpoint_load(scratch("bad.st"), budget, &options, &found);
        cr_expect(status != FIM_OK && strstr(fim_message(), bad[i].part) != NULL &&
                      strstr(fim_message(), "bad.st") != NULL,
                  "%s: '%s' lacks '%s'", bad[i].header, fim_message(), bad[i].part);
        cr_expect(found.n_notes == 77);
    }
    unsigned char huge[16] = {0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, '{', '}'};
    scratch_write(scratch("bad.st"), huge, sizeof huge);
    TEST_FAILS(fim_checkpoint_load(scratch("bad.st"), budget, &options, &found), FIM_ERR_FORMAT,
               "its header claims");
    write_safetensors(scratch("good.st"), "{" W "}", data, 16);
    TEST_OK(fim_checkpoint_load(scratch("good.st"), budget, &options, &found));
    fim_checkpoint_clear(&found);
}

// ---- PyTorch ----

static void write_torch(const char *path, const char *pickle, size_t n, const char *order) {
    static const float storage[4] = {1, 2, 3, 4};
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    cr_assert(zip != NULL);
    zip_file_add(zip, "m/data.pkl", zip_source_buffer(zip, pickle, n, 0), 0);
    zip_file_add(zip, "m/data/0", zip_source_buffer(zip, storage, sizeof storage, 0), 0);
    if (order != NULL)
        zip_file_add(zip, "m/byteorder", zip_source_buffer(zip, order, strlen(order), 0), 0);
    cr_assert(zip_close(zip) == 0);
}

// {"0.weight": tensor(offset, sizes, strides of a float storage of `count` elements under `key`)}, by hand.
#define STORAGE(key, count) "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" key "X\3\0\0\0cpuK" count "tQ"
#define TENSOR(key, count, offset, sizes, strides)                                                           \
    "\x80\2}X\10\0\0\0"                                                                                      \
    "0.weightctorch._utils\n_rebuild_tensor_v2\n(" STORAGE(key, count) "K" offset sizes strides "\x89}tRs."

Test(formats, rules_of_pickles) {
    static const struct {
        const char *pickle, *part;
        size_t n;
    } bad[] = {
#define CASE(text, part) {text, part, sizeof text - 1}
        CASE("\x80\2cposix\nsystem\nX\2\0\0\0id\x85R.", "asks for the Python object posix.system"),
        CASE("\x80\2cbuiltins\neval\n.", "builtins.eval"),
        CASE("\x80\4\x8c\2os\x8c\6system\x93.", "os.system"),
        CASE("\x80\2ctorch\nload\n.", "torch.load"),
        CASE("\x80\2ccollections\nOrderedDict\n)\x81.", "instruction 0x81"),
        CASE("\x80\2(ios\nsystem\n.", "instruction 0x69"),
        CASE("\x80\1}.", "protocol 2 to 5"),
        CASE("\x80\2}", "ends too early"),
        CASE("\x80\2X\377\377\377\377", "ends too early"),
        CASE("\x80\2}}.", "leaves things on its stack"),
        CASE("\x80\2}.}", "is not all there is"),
        CASE("\x80\2.", "takes more from its stack"),
        CASE("\x80\2K\1s.", "takes more from its stack"),
        CASE("\x80\2}u.", "lacks a mark"),
        CASE("\x80\2}(K\1u.", "a key without a value"),
        CASE("\x80\2K\1(K\1e.", "no list or dictionary"),
        CASE("\x80\2h\5.", "what it has not kept"),
        CASE("\x80\2}r\377\377\377\377.", "numbers that are too large"),
        CASE("\x80\2\x8a\x9", "more than 64 bits"),
        CASE("\x80\2].", "no dictionary of tensors"),
        CASE("\x80\2}.", "holds no tensors"),
        CASE("\x80\2K\1)R.", "a call that is put together wrongly"),
        CASE("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor that is put together wrongly"),
        CASE("\x80\2)Q.", "a storage that is put together wrongly"),
        CASE("\x80\2K\1}b.", "an object that is put together wrongly"),
        CASE("\x80\2}q\0X\1\0\0\0ah\0s.", "nests dictionaries too deeply"), // one inside itself
        CASE(TENSOR("0", "\4", "\1", "K\2K\2\x86", "K\2K\1\x86"), "reaches beyond its storage"),
        CASE(TENSOR("0", "\4", "\0", "K\2K\2\x86", "K\4K\1\x86"), "reaches beyond its storage"),
        CASE(TENSOR("0", "\4", "\0", "K\5K\5\x86", "K\0K\0\x86"), "reaches beyond its storage"),
        CASE(TENSOR("0", "\4", "\0", "K\2K\2\x86", "K\1\x85"), "has 2 sizes and 1 strides"),
        CASE(TENSOR("0", "\4", "\0", "J\377\377\377\377K\2\x86", "K\2K\1\x86"), "not whole numbers"),
        CASE(TENSOR("0", "\5", "\0", "K\2K\2\x86", "K\2K\1\x86"), "has 16 bytes, but its 5 elements take 20"),
        CASE(TENSOR("9", "\4", "\0", "K\2K\2\x86", "K\2K\1\x86"), "has no member m/data/9"),
        CASE(TENSOR("/", "\4", "\0", "K\2K\2\x86", "K\2K\1\x86"), "no short name"),
    };
    static const char good[] = TENSOR("0", "\4", "\0", "K\2K\2\x86", "K\1K\2\x86");
    static const fim_checkpoint_options options = {.likelihood = "gaussian"};
    fim_checkpoint found = {.n_notes = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_torch(scratch("bad.pt"), bad[i].pickle, bad[i].n, NULL);
        fim_status status = fim_checkpoint_load(scratch("bad.pt"), budget, &options, &found);
        cr_expect(status != FIM_OK && strstr(fim_message(), bad[i].part) != NULL &&
                      strstr(fim_message(), "bad.pt") != NULL,
                  "case %zu: '%s' lacks '%s'", i, fim_message(), bad[i].part);
        cr_expect(found.n_notes == 77);
    }
    write_torch(scratch("bad.pt"), good, sizeof good - 1, "middle");
    TEST_FAILS(fim_checkpoint_load(scratch("bad.pt"), budget, &options, &found), FIM_ERR_FORMAT,
               "neither little nor big");
    write_torch(scratch("good.pt"), good, sizeof good - 1, "little");
    TEST_OK(fim_checkpoint_load(scratch("good.pt"), budget, &options, &found));
    static const double transposed[4] = {1, 3, 2, 4};
    for (size_t i = 0; i < 4; i++)
        cr_assert(found.net.layers[0].w->data[i] == transposed[i]);
    fim_checkpoint_clear(&found);
    write_torch(scratch("big.pt"), good, sizeof good - 1, "big");
    TEST_OK(fim_checkpoint_load(scratch("big.pt"), budget, &options, &found));
    cr_assert(found.net.layers[0].w->data[0] == (double)0x803fp-149); // 1.0f, its bytes turned round
    fim_checkpoint_clear(&found);
}

// ---- Names, shapes, descriptions ----

typedef struct entry {
    const char *name;
    size_t rows, columns; // 0 columns: one dimension
} entry;

static void write_entries(const char *path, const entry *entries, size_t n) {
    static const float data[512] = {0};
    char header[2048] = "{";
    size_t used = 1, at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = entries[i].rows * (entries[i].columns > 0 ? entries[i].columns : 1);
        char shape[32];
        snprintf(shape, sizeof shape, entries[i].columns > 0 ? "%zu,%zu" : "%zu", entries[i].rows,
                 entries[i].columns);
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                 i > 0 ? "," : "", entries[i].name, shape, at, at + 4 * count);
        at += 4 * count;
    }
    snprintf(header + used, sizeof header - used, "}");
    write_safetensors(path, header, data, at);
}

Test(formats, names_make_the_chain) {
    static const struct {
        entry entries[4];
        size_t n;
        const char *first, *last; // sources
    } good[] = {
        {{{"module.fc10.weight", 2, 3}, {"module.fc9.weight", 3, 5}},
         2,
         "module.fc9.weight",
         "module.fc10.weight"},
        {{{"_orig_mod.module.a.weight", 2, 3}, {"_orig_mod.module.a.bias", 2, 0}},
         2,
         "_orig_mod.module.a.weight, _orig_mod.module.a.bias",
         "_orig_mod.module.a.weight, _orig_mod.module.a.bias"},
        {{{"decoder.0.weight", 5, 3}, {"encoder.0.weight", 3, 5}}, 2, "encoder.0.weight", "decoder.0.weight"},
        {{{"head.weight", 2, 4}, {"layers.2.linear.weight", 4, 4}, {"layers.11.linear.weight", 4, 4}},
         3,
         "layers.2.linear.weight",
         "head.weight"},
        {{{"dense/kernel:0", 5, 3}, {"dense_1/kernel:0", 3, 2}}, 2, "dense/kernel:0", "dense_1/kernel:0"},
        {{{"W1", 5, 3}, {"b1", 3, 0}, {"W2", 3, 2}, {"b2", 2, 0}}, 4, "W1, b1", "W2, b2"},
    };
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "gaussian"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_checkpoint found;
        write_entries(scratch("net"), good[i].entries, good[i].n);
        TEST_OK(fim_checkpoint_load(scratch("net"), budget, &options, &found));
        TEST_TEXT(found.sources[0], good[i].first);
        TEST_TEXT(found.sources[found.net.n_layers - 1], good[i].last);
        fim_checkpoint_clear(&found);
    }
}

Test(formats, what_breaks_the_chain_is_named) {
    static const struct {
        entry entries[4];
        size_t n;
        const char *part;
    } bad[] = {
        {{{"0.weight", 3, 5}, {"2.weight", 2, 4}},
         2,
         "'2.weight' is (2, 4) and takes 4 inputs, but '0.weight'"},
        {{{"0.weight", 3, 5}, {"0.bias", 2, 0}}, 2, "'0.bias' is (2,), expected (3,)"},
        {{{"0.weight", 3, 5}, {"1.bias", 3, 0}}, 2, "'1.bias' is a bias without a weight"},
        {{{"0.weight", 3, 5}, {"norm.weight", 3, 0}}, 2, "'norm.weight' is a weight but no matrix"},
        {{{"0.weight", 3, 5}, {"temperature", 1, 0}}, 2, "'temperature' has a name that tells no layer"},
        {{{"0.weight", 3, 5}, {"1.running_mean", 3, 0}}, 2, "'1.running_mean' has no variance"},
        {{{"0.weight", 3, 5}, {"module.0.weight", 3, 5}}, 2, "are the same part of the same layer"},
        {{{"0.weight", 3, 5}, {"2.running_mean", 3, 0}, {"2.running_var", 3, 0}, {"3.weight", 2, 3}},
         4,
         "whether batch normalisation '2' stands before or after the activation of '0' is not told"},
        {{{"0.weight", 3, 5}, {"a\\nb.weight", 3, 5}}, 2, "has a name that is not short printable"},
        {{{"W1", 4, 4}, {"W2", 4, 4}}, 2, "fit both as (outputs, inputs) and as (inputs, outputs)"},
    };
    static const fim_checkpoint_options options = {.activation = "relu", .likelihood = "gaussian"};
    fim_checkpoint found;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_entries(scratch("net"), bad[i].entries, bad[i].n);
        fim_status status = fim_checkpoint_load(scratch("net"), budget, &options, &found);
        cr_expect(status != FIM_OK && strstr(fim_message(), bad[i].part) != NULL, "'%s' lacks '%s'",
                  fim_message(), bad[i].part);
    }
}

Test(formats, a_description_tells_what_is_open) {
    static const entry entries[] = {{"temperature", 1, 0}, {"A", 3, 5}, {"Z", 2, 3}};
    static const char text[] = "{\"likelihood\": \"bernoulli\", \"ignore\": [\"temp*\"], \"layers\": "
                               "[{\"weight\": \"A\", \"activation\": \"elu\"}, {\"weight\": \"Z\"}]}";
    fim_checkpoint found;
    write_entries(scratch("net"), entries, 3);
    scratch_write(scratch("arch.json"), text, strlen(text));
    fim_checkpoint_options options = {.arch = scratch("arch.json")};
    TEST_OK(fim_checkpoint_load(scratch("net"), budget, &options, &found));
    cr_assert(found.net.n_layers == 2 && found.net.likelihood == FIM_BERNOULLI &&
              found.net.layers[0].activation == FIM_ACTIVATION_ELU);
    fim_checkpoint_clear(&found);
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"[]", "must be a JSON object"},
        {"{", "line 1"},
        {"{\"activation\": 3}", "\"activation\" must be a text"},
        {"{\"activation\": \"swish\"}", "swish"},
        {"{\"likelihood\": \"poisson\"}", "poisson"},
        {"{\"layout\": \"sideways\"}", "must be \"out,in\" or \"in,out\""},
        {"{\"layers\": []}", "a list of 1 to 10000"},
        {"{\"layers\": [{}]}", "layer 0 must have a \"name\""},
        {"{\"layers\": [{\"name\": \"A\", \"units\": \"3\"}]}", "\"units\" is not understood"},
        {"{\"layers\": [{\"weight\": \"B\"}]}", "has no tensor 'B'"},
        {"{\"layers\": [\"B\"]}", "has no layer 'B'"},
        {"{\"batch_norm_epsilon\": -1}", "a positive number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scratch_write(scratch("arch.json"), bad[i].text, strlen(bad[i].text));
        fim_status status = fim_checkpoint_load(scratch("net"), budget, &options, &found);
        cr_expect(status != FIM_OK && strstr(fim_message(), bad[i].part) != NULL, "%s: '%s' lacks '%s'",
                  bad[i].text, fim_message(), bad[i].part);
    }
}

// ---- Writing ----

// Random float64 numbers, mixed activations, a layer without bias.
Test(formats, written_networks_come_back_bit_for_bit) {
    static const char *const formats[] = {"safetensors", "npz", "torch"};
    static const size_t rows[] = {4, 4, 2}, columns[] = {6, 4, 5};
    fim_net net;
    TEST_OK(fim_net_init_empty(&net, FIM_BERNOULLI, 3));
    for (size_t l = 0; l < 3; l++) {
        net.layers[l] = (fim_layer){.activation = l == 0   ? FIM_ACTIVATION_SIN
                                                  : l == 1 ? FIM_ACTIVATION_GELU
                                                           : FIM_ACTIVATION_IDENTITY,
                                    .bias = l != 1,
                                    .w = test_random_matrix(rows[l], columns[l], 40 + l)};
    }
    for (size_t i = 0; i < 3; i++) {
        fim_net found;
        TEST_OK(fim_checkpoint_export(&net, formats[i], scratch("net"), i > 0));
        TEST_OK(fim_checkpoint_read(scratch("net"), budget, &found));
        expect_same(formats[i], &found, &net);
        fim_net_clear(&found);
        TEST_FAILS(fim_checkpoint_export(&net, formats[i], scratch("net"), false), FIM_ERR_IO,
                   "exists already");
        cr_assert(eq(sz, scratch_count(), 1));
    }
    TEST_FAILS(fim_checkpoint_export(&net, "pkl", scratch("other"), false), FIM_ERR_UNKNOWN,
               "safetensors, npz");
    fim_net_clear(&net);
}
