// ONNX models: what PyTorch exports, and models made by hand whose layers are known, each rule broken once.
#include "onnx_models.h"

TestSuite(onnx, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

static const size_t budget = 1 << 24;
static const fim_checkpoint_options gaussian = {.likelihood = "gaussian"};

static void need_reader(void) {
#ifndef FIM_HAVE_ONNX
    cr_skip_test("this build reads no ONNX: protobuf-c or onnx.proto was missing");
#endif
}

static void read_graph(const onnx_message *graph, fim_checkpoint *out) {
    onnx_write(scratch("net.onnx"), graph);
    TEST_OK(fim_checkpoint_load(scratch("net.onnx"), budget, &gaussian, out));
    TEST_TEXT(out->format, "onnx");
}

static void expect_layer(const char *what, const fim_layer *layer, double a, double b, double bias) {
    const double *w = layer->w->data;
    cr_expect(layer->w->size1 == 1 && fim_layer_inputs(layer) == 2, "%s", what);
    cr_expect(fabs(w[0] - a) < 1e-12 && fabs(w[1] - b) < 1e-12 &&
                  (layer->bias ? fabs(w[2] - bias) < 1e-12 : bias == 0),
              "%s: %g %g %g", what, w[0], w[1], layer->bias ? w[2] : 0);
}

// The graph's meaning worked out by hand: y = a x_0 + b x_1 + bias.
Test(onnx, layers_and_what_is_folded) {
    static const struct {
        const char *nodes;
        double a, b, bias;
    } good[] = {
        {"Gemm x w > y", 2, 3, 0},
        {"Gemm x wt c > y transB=1", 2, 3, 5},
        {"Gemm x wt c > y transB=1 alpha=0.5 beta=2.0", 1, 1.5, 10},
        {"Gemm x w row > y", 2, 3, 5},
        {"Gemm x w single > y", 2, 3, 5},
        {"MatMul x w > y", 2, 3, 0},
        {"MatMul x w > m;Add m c > y", 2, 3, 5},
        {"MatMul x w > m;Add single m > y", 2, 3, 5},
        {"MatMul x w > m;Identity m > i;Add i c > y", 2, 3, 5},
        {"Sub x mean > a;Div a std > b;Gemm b w c > y", 1, 0.75, 2.5},
        {"Sub mean x > a;Mul two a > b;Gemm b w c > y", -4, -6, 21},
        {"Add x two > a;MatMul a w > y", 2, 3, 10},
        {"Gemm x w c > g;Mul g two > h;Sub h single > y", 4, 6, 5},
        {"Gemm x w c > g;BatchNormalization g gamma beta mu var > y epsilon=0.0", 6, 9, 12.5},
        {"Cast x > a to=1;Dropout a > b;Flatten b > d;Reshape d shape > e;Gemm e w c > y", 2, 3, 5},
        {"Dropout x two no > d ratio=0.5;Gemm d w c > y", 2, 3, 5},
        {"Identity w > v;Gemm x v c > y", 2, 3, 5},
        {"Gemm x w c > y;Identity two > unused", 2, 3, 5},
    };
    need_reader();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_checkpoint found;
        onnx_message graph = onnx_graph(good[i].nodes);
        read_graph(&graph, &found);
        cr_assert(found.net.n_layers == 1 && found.net.likelihood == FIM_GAUSSIAN);
        expect_layer(good[i].nodes, &found.net.layers[0], good[i].a, good[i].b, good[i].bias);
        fim_checkpoint_clear(&found);
    }
}

Test(onnx, activations) {
    static const struct {
        const char *node;
        fim_activation activation;
    } good[] = {
        {"Relu g > h", FIM_ACTIVATION_RELU},
        {"Tanh g > h", FIM_ACTIVATION_TANH},
        {"Sigmoid g > h", FIM_ACTIVATION_SIGMOID},
        {"Softplus g > h", FIM_ACTIVATION_SOFTPLUS},
        {"Sin g > h", FIM_ACTIVATION_SIN},
        {"Gelu g > h", FIM_ACTIVATION_GELU},
        {"LeakyRelu g > h", FIM_ACTIVATION_LEAKY_RELU},
        {"LeakyRelu g > h alpha=0.01", FIM_ACTIVATION_LEAKY_RELU},
        {"Elu g > h alpha=1.0", FIM_ACTIVATION_ELU},
        {"Identity g > h", FIM_ACTIVATION_IDENTITY},
    };
    need_reader();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char nodes[128];
        fim_checkpoint found;
        snprintf(nodes, sizeof nodes, "Gemm x w c > g;%s;Gemm h u > y", good[i].node);
        onnx_message graph = onnx_graph(nodes);
        read_graph(&graph, &found);
        cr_expect(found.net.n_layers == 2 && found.net.layers[0].activation == good[i].activation, "%s",
                  good[i].node);
        fim_checkpoint_clear(&found);
    }
}

Test(onnx, last_activations_are_likelihoods) {
    static const struct {
        const char *nodes;
        fim_likelihood likelihood;
    } good[] = {
        {"Gemm x w c > g;Softmax g > y", FIM_CATEGORICAL},
        {"Gemm x w c > g;Softmax g > y axis=1", FIM_CATEGORICAL},
        {"Gemm x w c > g;LogSoftmax g > y axis=-1", FIM_CATEGORICAL},
        {"Gemm x w c > g;Sigmoid g > y", FIM_BERNOULLI},
    };
    need_reader();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fim_checkpoint found;
        onnx_message graph = onnx_graph(good[i].nodes);
        onnx_write(scratch("net.onnx"), &graph);
        TEST_OK(fim_checkpoint_load(scratch("net.onnx"), budget, NULL, &found));
        cr_expect(found.net.likelihood == good[i].likelihood &&
                      found.net.layers[0].activation == FIM_ACTIVATION_IDENTITY,
                  "%s", good[i].nodes);
        fim_checkpoint_clear(&found);
        TEST_FAILS(fim_checkpoint_load(scratch("net.onnx"), budget, &gaussian, &found), FIM_ERR_ARGUMENT,
                   "which makes its likelihood");
    }
    fim_checkpoint found;
    onnx_message graph = onnx_graph("Gemm x w c > g;Sigmoid g > h;Mul h two > y");
    onnx_write(scratch("net.onnx"), &graph);
    TEST_FAILS(fim_checkpoint_load(scratch("net.onnx"), budget, NULL, &found), FIM_ERR_FORMAT,
               "'two' has no linear layer to go into");
    graph = onnx_graph("Gemm x w c > y");
    onnx_write(scratch("net.onnx"), &graph);
    TEST_FAILS(fim_checkpoint_load(scratch("net.onnx"), budget, NULL, &found), FIM_ERR_UNAVAILABLE,
               "does not tell its likelihood");
}

// 2 and 3 in every form that a tensor may have.
Test(onnx, number_formats) {
    static const float f32[] = {2, 3};
    static const double f64[] = {2, 3};
    static const struct {
        int type;
        unsigned field;
        const void *bytes;
        size_t n;
    } forms[] = {
        {ONNX_FLOAT, 9, f32, sizeof f32},    {ONNX_FLOAT, 4, f32, sizeof f32},
        {ONNX_DOUBLE, 9, f64, sizeof f64},   {ONNX_DOUBLE, 10, f64, sizeof f64},
        {ONNX_F16, 9, "\0\x40\0\x42", 4},    {ONNX_F16, 5, "\x80\x80\1\x80\x84\1", 6},
        {ONNX_BF16, 9, "\0\x40\x40\x40", 4}, {ONNX_BF16, 5, "\x80\x80\1\xc0\x80\1", 6},
    };
    need_reader();
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t k = 0; k < 2; k++) { // an initializer, what a node Constant gives
            fim_checkpoint found;
            onnx_message tensor = onnx_tensor(k == 0 ? "v" : "", forms[i].type, "2,1", forms[i].field,
                                              forms[i].bytes, forms[i].n);
            onnx_message graph = onnx_graph(""), x = onnx_value("v", NULL), node = {.n = 0}, value = {.n = 0};
            onnx_text(&value, 1, "value");
            onnx_part(&value, 5, &tensor);
            onnx_text(&node, 2, "v");
            onnx_text(&node, 4, "Constant");
            onnx_part(&node, 5, &value);
            onnx_part(&graph, k == 0 ? 5 : 1, k == 0 ? &tensor : &node);
            onnx_nodes(&graph, "Gemm x v c > y");
            onnx_part(&graph, 11, &x); // before version 4 of the format initializers are inputs, too
            read_graph(&graph, &found);
            expect_layer("forms", &found.net.layers[0], 2, 3, 5);
            fim_checkpoint_clear(&found);
        }
}

// Exported by PyTorch, with normalisations, an exact GELU as five nodes, and a last logarithm of a softmax;
// the logits are PyTorch's.
Test(onnx, exported_by_pytorch) {
    need_reader();
    char path[512], data_path[512];
    fim_checkpoint found;
    fim_data data;
    fim_trace trace;
    snprintf(path, sizeof path, "%s/exported.onnx", getenv("FIM_TEST_DATA"));
    snprintf(data_path, sizeof data_path, "%s/exported-data.h5", getenv("FIM_TEST_DATA"));
    TEST_OK(fim_checkpoint_load(path, budget, NULL, &found));
    TEST_OK(fim_data_read(data_path, NULL, budget, &data));
    cr_assert(found.net.n_layers == 4 && found.net.likelihood == FIM_CATEGORICAL);
    cr_assert(found.net.layers[0].activation == FIM_ACTIVATION_ELU &&
              found.net.layers[1].activation == FIM_ACTIVATION_GELU &&
              found.net.layers[2].activation == FIM_ACTIVATION_LEAKY_RELU);
    TEST_OK(fim_trace_init(&trace, &found.net, data.x->size1));
    TEST_OK(fim_net_forward(&found.net, data.x, &trace));
    double error = test_max_difference(trace.s[3], data.y);
    cr_assert(error < 1e-12, "%g", error); // the file's numbers are float32, the sums on both sides float64
    fim_trace_clear(&trace);
    fim_data_clear(&data);
    fim_checkpoint_clear(&found);
}

// ---- Refusals ----

static void refused(const char *what, const char *part) {
    fim_checkpoint found = {.n_notes = 77};
    fim_status status = fim_checkpoint_load(scratch("bad.onnx"), budget, &gaussian, &found);
    cr_expect(status != FIM_OK && strstr(fim_message(), part) != NULL &&
                  strstr(fim_message(), "bad.onnx") != NULL && strchr(fim_message(), '\n') == NULL,
              "%s: %d, '%s' lacks '%s'", what, (int)status, fim_message(), part);
    cr_expect(found.n_notes == 77);
}

Test(onnx, rules_of_nodes) {
    static const struct {
        const char *nodes, *part;
    } bad[] = {
        {"Conv x w > y", "node 'y' (Conv) is not read"},
        {"com.microsoft:Gelu x > y", "another domain"},
        {"Gemm x w c > y transA=1", "has transA"},
        {"Gemm x > y", "has no weight"},
        {"Gemm x w c > y gamma=1", "attributes that are not understood"},
        {"Gemm x w c > y alpha=nan", "entry 0 of 'w' is nan"},
        {"Gemm w x > y", "does not follow 'x' alone"},
        {"Gemm x x > y", "does not follow 'x' alone"},
        {"Gemm x nothing > y", "'nothing' is no constant of the model"},
        {"Gemm x shape > y", "'shape' is of type 7"},
        {"Gemm x wt c > y", "'wt' takes 1 inputs, but the model's samples are 2 numbers"},
        {"Gemm x w mean > y", "'mean' is (2,), expected 1 numbers"},
        {"Gemm x three > y", "'three' is (3,): only dense layers"},
        {"Gemm x cube > y", "'cube' is (1, 1, 2): only dense layers"},
        {"MatMul x w c > y", "has no weight"},
        {"MatMul w x > y", "does not follow 'x' alone"},
        {"Gemm x w c > g;Gemm x w c > y", "node 'y' (Gemm) does not follow 'g' alone"},
        {"Gemm x w c > g;Add g x > y", "'x' is no constant of the model"},
        {"Gemm x w c > g;Add g g > y", "does not follow 'g' alone"},
        {"Gemm x w c > g;Relu g > h;Relu h > y", "follows the activation 'h' without a linear layer"},
        {"Relu x > r;Gemm r w c > y", "'r' comes before the first linear layer"},
        {"Gemm x w c > g;Relu g > y", "ends in the activation relu"},
        {"Gemm x w c > g;Tanh g > h;Mul h two > y", "ends in the activation tanh"},
        {"Gemm x w c > g;Softmax g > h;Gemm h u > y", "a softmax is read at the end alone"},
        {"Gemm x w c > g;Softmax g > y axis=0", "is not along the outputs"},
        {"Gemm x w c > g;LeakyRelu g > h alpha=0.2;Gemm h u > y",
         "has alpha 0.2; it is read with 0.01 alone"},
        {"Gemm x w c > g;Elu g > h alpha=nan;Gemm h u > y", "has alpha nan"},
        {"Gemm x w c > g;Gelu g > h approximate=tanh;Gemm h u > y", "is an approximation"},
        {"Div x null > a;Gemm a w c > y", "number 1 of 'null' is not finite"},
        {"Div two x > a;Gemm a w c > y", "does not follow 'x' alone"},
        {"Sub x three > a;Gemm a w c > y", "'three' is (3,), expected 2 numbers"},
        {"Sub x > a;Gemm a w c > y", "has not two inputs"},
        {"Gemm x w c > g;BatchNormalization g gamma beta mu var > y training_mode=1",
         "not in inference mode"},
        {"Gemm x w c > g;BatchNormalization g gamma beta mu > y", "not in inference mode"},
        {"Gemm x w c > g;BatchNormalization g gamma beta mean var > y", "'mean' is (2,), expected (1,)"},
        {"Dropout x two yes > d;Gemm d w c > y", "not in inference mode"},
        {"Cast x > a to=7;Gemm a w c > y", "makes other numbers"},
        {"Flatten x > f axis=0;Gemm f w c > y", "does not keep the samples apart"},
        {"Reshape x turned > f;Gemm f w c > y", "does not keep the samples apart"},
        {"Reshape x mean > f;Gemm f w c > y", "is no shape of rows and columns"},
        {"Reshape x > f;Gemm f w c > y", "has no shape"},
        {"Gemm x w c > z", "its output 'y' is not what its chain of nodes ends in, 'z'"},
        {"Identity x > y", "holds no linear layer"},
        {"Gemm x w c >", "has no operator or no output"},
        {"Gemm x w\n > y", "short printable UTF-8"},
        {"Identity w > c;Gemm x w c > y", "two constants are called 'c'"},
    };
    need_reader();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        onnx_message graph = onnx_graph(bad[i].nodes);
        onnx_write(scratch("bad.onnx"), &graph);
        refused(bad[i].nodes, bad[i].part);
    }
}

// The weight v of "Gemm x v c > y" in ways that are no tensor.
Test(onnx, rules_of_tensors) {
    static const float f32[] = {2, 3, 4};
    static const struct {
        int type;
        const char *extents;
        unsigned field;
        size_t n;
        const char *part;
    } bad[] = {
        {2, "2,1", 9, 2, "'v' is of type 2"},
        {0, "2,1", 9, 8, "'v' is of type 0"},
        {ONNX_FLOAT, "2,-1", 9, 8, "has the extent -1"},
        {ONNX_FLOAT, "1,1,1,1,1,1,1,1,2", 9, 8, "has 9 dimensions"},
        {ONNX_FLOAT, "2,1", 9, 12, "holds 12 bytes, but its type and shape take 8"},
        {ONNX_FLOAT, "2,1", 4, 12, "holds 3 numbers, but its type and shape take 2"},
        {ONNX_FLOAT, "2,1", 10, 8, "holds 0 numbers"},
        {ONNX_FLOAT, "2,4611686018427387904", 9, 8, "holds 8 bytes, but"},
        {ONNX_FLOAT, "0,1", 9, 0, "'v' is (0, 1): only dense layers"},
    };
    need_reader();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        onnx_message graph = onnx_graph("Gemm x v c > y"),
                     v = onnx_tensor("v", bad[i].type, bad[i].extents, bad[i].field, f32, bad[i].n);
        onnx_part(&graph, 5, &v);
        onnx_write(scratch("bad.onnx"), &graph);
        refused(bad[i].part, bad[i].part);
    }
    for (size_t k = 0; k < 4; k++) {
        static const char *const parts[] = {"lies in another file", "lies in another file",
                                            "is a piece of a tensor", "holds 8 bytes"};
        onnx_message graph = onnx_graph("Gemm x v c > y"), v = onnx_tensor("v", ONNX_FLOAT, "2,1", 9, f32, 8),
                     part = {.n = 0};
        onnx_text(&part, 1, "location");
        onnx_text(&part, 2, "/etc/passwd");
        if (k == 0)
            onnx_part(&v, 13, &part);
        else if (k == 1)
            onnx_number(&v, 14, 1);
        else if (k == 2)
            onnx_bytes(&v, 3, "\10\0\20\1", 4);
        else
            onnx_bytes(&v, 4, f32, 8); // beside the raw bytes
        onnx_part(&graph, 5, &v);
        onnx_write(scratch("bad.onnx"), &graph);
        refused(parts[k], parts[k]);
    }
}

Test(onnx, rules_of_models) {
    static const char nodes[] = "Gemm x w c > y";
    need_reader();
    onnx_message graph = onnx_graph(nodes), model = onnx_model(&graph, 6), part;
    fim_checkpoint found;
    scratch_write(scratch("bad.onnx"), model.bytes, model.n);
    refused("old operators", "version 6 of ONNX's operators");
    model = onnx_model(&graph, 0);
    scratch_write(scratch("bad.onnx"), model.bytes, model.n);
    refused("no version", "does not tell the version");
    model = onnx_model(&graph, 13);
    onnx_part(&model, 7, &graph);
    scratch_write(scratch("bad.onnx"), model.bytes, model.n);
    refused("two graphs", "has a ModelProto with two parts 'graph'");
    scratch_write(scratch("bad.onnx"), "\10\10\102\2\20\15", 6);
    refused("no graph", "has no graph");

    part = onnx_value("x2", NULL);
    onnx_part(&graph, 11, &part);
    onnx_write(scratch("bad.onnx"), &graph);
    refused("two inputs", "more than one input");
    graph = onnx_graph(nodes);
    onnx_part(&graph, 12, &part);
    onnx_write(scratch("bad.onnx"), &graph);
    refused("two outputs", "has 1 inputs and 2 outputs");
    graph = onnx_graph(nodes);
    part = onnx_floats("w", "2,1", "7,7");
    onnx_part(&graph, 5, &part);
    onnx_write(scratch("bad.onnx"), &graph);
    refused("two constants", "two constants are called 'w'");
    graph = onnx_graph(nodes);
    part.n = 0;
    onnx_part(&graph, 15, &part);
    onnx_write(scratch("bad.onnx"), &graph);
    refused("sparse", "dense constants");
    graph.n = 0;
    onnx_nodes(&graph, "Gemm x w c > y");
    onnx_constants(&graph);
    part = onnx_value("x", "-1,4,2");
    onnx_part(&graph, 11, &part);
    part = onnx_value("y", NULL);
    onnx_part(&graph, 12, &part);
    onnx_write(scratch("bad.onnx"), &graph);
    refused("positions", "takes arrays of 3 dimensions");

    onnx_write(scratch("good.onnx"), (graph = onnx_graph(nodes), &graph));
    TEST_FAILS(fim_checkpoint_load(scratch("good.onnx"), 2000, &gaussian, &found), FIM_ERR_BUDGET,
               "memory budget");
    const fim_checkpoint_options told = {.likelihood = "gaussian", .activation = "relu"};
    TEST_FAILS(fim_checkpoint_load(scratch("good.onnx"), budget, &told, &found), FIM_ERR_ARGUMENT,
               "--activation");
    TEST_OK(fim_checkpoint_load(scratch("good.onnx"), budget, &gaussian, &found));
    fim_checkpoint_clear(&found);
}

// Cut anywhere, and with nested graphs that would fill the stack of a reader that follows them.
Test(onnx, rules_of_bytes) {
    need_reader();
    enum { LEVELS = 20000, BYTES = LEVELS * 16 };
    onnx_message graph = onnx_graph("Gemm x w c > y"), model = onnx_model(&graph, 13);
    for (size_t n = 4; n < model.n; n += 7) {
        scratch_write(scratch("bad.onnx"), model.bytes, n);
        refused("cut", "bad.onnx");
    }
    static unsigned char bytes[BYTES];
    size_t at = BYTES; // from the innermost level outwards: graph, node, attribute, graph, ...
    static const unsigned keys[] = {7 << 3 | 2, 1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2};
    for (size_t level = LEVELS; level-- > 0;) {
        size_t inside = BYTES - at;
        unsigned char head[8];
        size_t n = 0;
        head[n++] = (unsigned char)(level == 0 ? keys[0] : keys[1 + (level - 1) % 3]);
        for (; inside >= 0x80; inside >>= 7)
            head[n++] = (unsigned char)(inside | 0x80);
        head[n++] = (unsigned char)inside;
        at -= n;
        memcpy(bytes + at, head, n);
    }
    bytes[--at] = 8;
    bytes[--at] = 8;
    scratch_write(scratch("bad.onnx"), bytes + at, BYTES - at);
    fim_io_sandbox(false);
    refused("nested", "nests its parts more than 32 deep");
    fim_io_sandbox(true);
}
