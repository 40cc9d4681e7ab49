// Checkpoints of other programs through the tools: one table from all of them, and networks that go home.
#include "tool.h"

TestSuite(checkpoints, .init = scratch_begin, .fini = scratch_end, .timeout = 600);

static const size_t budget = 1 << 24;

// ---- One table ----

enum { NAME = 200 };

typedef struct comparison {
    size_t numbers; // compared
    double largest; // difference, of those above 1 relative to their size
    char where[NAME];
} comparison;

static void compare(comparison *c, double a, double b, const char *where) {
    double size = fmax(1, fabs(b)), difference = isnan(a) && isnan(b) ? 0 : fabs(a - b) / size;
    c->numbers++;
    if (!(difference <= c->largest)) {
        c->largest = difference;
        snprintf(c->where, sizeof c->where, "%s", where);
    }
}

// All numbers of two records and of those below them, but for times.
static void compare_records(comparison *c, const fim_record *a, const fim_record *b) {
    cr_assert(a->n_values == b->n_values && a->n_curves == b->n_curves && a->n_children == b->n_children,
              "%s", a->name);
    for (size_t i = 0; i < a->n_values; i++) {
        const fim_value *found = fim_record_value(b, a->values[i].name);
        cr_assert(found != NULL, "%s", a->values[i].name);
        if (strstr(found->name, "seconds") == NULL)
            compare(c, a->values[i].value, found->value, found->name);
    }
    for (size_t i = 0; i < a->n_curves; i++) {
        const fim_curve *found = fim_record_curve(b, a->curves[i].name);
        cr_assert(found != NULL && found->values->size == a->curves[i].values->size, "%s", a->curves[i].name);
        for (size_t k = 0; k < found->values->size; k++)
            compare(c, gsl_vector_get(a->curves[i].values, k), gsl_vector_get(found->values, k), found->name);
    }
    for (size_t i = 0; i < a->n_children; i++) {
        const fim_record *found = fim_record_child(b, a->children[i].name);
        cr_assert(found != NULL, "%s", a->children[i].name);
        compare_records(c, &a->children[i], found);
    }
}

static void analyze(const char *file, bool told, fim_record *report) {
    char line[512];
    snprintf(line, sizeof line,
             "fim-analyze %%%s --data %%classifier-data.h5 --quiet --force -o @report.h5%s", file,
             told ? "" : " --activation tanh --likelihood categorical");
    succeeds(line);
    TEST_OK(fim_record_read(scratch("report.h5"), "fim-report", budget, report));
}

Test(checkpoints, every_format_gives_the_same_table) {
    static const struct {
        const char *file;
        bool told; // by the file: layers, activations, likelihood
    } files[] = {
        {"classifier.pt", false},          {"classifier-training.pt", false},
        {"classifier.npz", false},         {"classifier.npy", false},
        {"classifier.safetensors", false}, {"classifier-described.safetensors", true},
        {"classifier-keras.h5", true},     {"classifier.keras", true},
        {"classifier.weights.h5", false},
#ifdef FIM_HAVE_ONNX
        {"classifier.onnx", true},
#endif
    };
    fim_record wanted;
    analyze("classifier.h5", true, &wanted);
    const fim_record *expected = fim_record_child(fim_record_child(&wanted, "checkpoints"), "0");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        fim_record found;
        comparison c = {0};
        analyze(files[i].file, files[i].told, &found);
        compare_records(&c, fim_record_child(fim_record_child(&found, "checkpoints"), "0"), expected);
        // Three layers of nine methods with eight metrics, beside the spectra.
        cr_expect(c.numbers > 3 * 9 * 8 && c.largest < 5e-6, "%s: %zu numbers, %s differs by %g",
                  files[i].file, c.numbers, c.where, c.largest);
        fim_record_clear(&found);
    }
    fim_record_clear(&wanted);
}

// A changed network is another one for the comparison.
Test(checkpoints, other_numbers_give_another_table) {
    fim_net net;
    fim_record wanted, found;
    comparison c = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/classifier.h5", getenv("FIM_TEST_DATA"));
    analyze("classifier.h5", true, &wanted);
    TEST_OK(fim_checkpoint_read(path, budget, &net));
    net.layers[0].w->data[0] *= 1 + 1e-3;
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false));
    succeeds("fim-analyze @net.h5 --data %classifier-data.h5 --quiet --force -o @report.h5");
    TEST_OK(fim_record_read(scratch("report.h5"), "fim-report", budget, &found));
    compare_records(&c, fim_record_child(&found, "checkpoints"), fim_record_child(&wanted, "checkpoints"));
    cr_assert(c.largest > 5e-6 && c.largest < 1e-1, "%s differs by %g", c.where, c.largest);
    fim_record_clear(&wanted);
    fim_record_clear(&found);
    fim_net_clear(&net);
}

// ---- fim-convert ----

static void write_net(const char *path) {
    static const size_t widths[] = {3, 5, 4, 2};
    fim_net net;
    TEST_OK(fim_net_init(&net, FIM_BERNOULLI, widths, 3, FIM_ACTIVATION_TANH));
    for (size_t l = 0; l < 3; l++)
        for (size_t i = 0; i < net.layers[l].w->size1 * net.layers[l].w->size2; i++)
            net.layers[l].w->data[i] = test_random(50 + l, i);
    net.layers[1].activation = FIM_ACTIVATION_ELU;
    TEST_OK(fim_checkpoint_write(&net, NULL, path, false));
    fim_net_clear(&net);
}

static void expect_equal(const char *what, const char *path, const char *expected_path) {
    fim_net found, expected;
    TEST_OK(fim_checkpoint_read(path, budget, &found));
    TEST_OK(fim_checkpoint_read(expected_path, budget, &expected));
    cr_assert(found.n_layers == expected.n_layers && found.likelihood == expected.likelihood, "%s", what);
    for (size_t l = 0; l < found.n_layers; l++)
        cr_assert(found.layers[l].activation == expected.layers[l].activation &&
                      found.layers[l].bias == expected.layers[l].bias &&
                      gsl_matrix_equal(found.layers[l].w, expected.layers[l].w),
                  "%s: layer %zu", what, l);
    fim_net_clear(&found);
    fim_net_clear(&expected);
}

Test(checkpoints, there_and_back_bit_for_bit) {
    static const char *const formats[] = {"native", "safetensors", "npz", "torch"};
    write_net(scratch("net.h5"));
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        char line[256];
        snprintf(line, sizeof line, "fim-convert @net.h5 --to %s --quiet -o @there-%zu", formats[i], i);
        succeeds(line);
        snprintf(line, sizeof line, "fim-convert @there-%zu --quiet -o @back-%zu.h5", i, i);
        succeeds(line);
        snprintf(line, sizeof line, "back-%zu.h5", i);
        expect_equal(formats[i], scratch(line), scratch("net.h5"));
    }
    // What a file does not tell comes from the command line.
    succeeds(
        "fim-convert %classifier.pt --activation tanh --likelihood categorical --quiet -o @classifier.h5");
    char path[512];
    snprintf(path, sizeof path, "%s/classifier.h5", getenv("FIM_TEST_DATA"));
    expect_equal("classifier.pt", scratch("classifier.h5"), path);
}

// ---- PyTorch itself ----

Test(checkpoints, pytorch_loads_what_is_written) {
    // Every tensor of each file against the native one, as h5py reads it, and the state dict into a module.
    static const char script[] =
        "import json, struct, sys, h5py, numpy, torch\n"
        "folder = sys.argv[1] + '/'\n"
        "expected = {}\n"
        "with h5py.File(folder + 'net.h5') as f:\n"
        "    for l in f['layers']:\n"
        "        for part in ('weight', 'bias'):\n"
        "            expected[l + '.' + part] = f['layers'][l][part][:]\n"
        "state = torch.load(folder + 'net.pt', weights_only=True)\n"
        "with open(folder + 'net.safetensors', 'rb') as f:\n"
        "    header = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))\n"
        "    data = bytearray(f.read())\n"
        "header.pop('__metadata__')\n"
        "tensors = {k: torch.frombuffer(data[v['data_offsets'][0]:v['data_offsets'][1]], "
        "dtype=torch.float64)\n"
        "           .reshape(v['shape']) for k, v in header.items()}\n"
        "arrays = dict(numpy.load(folder + 'net.npz'))\n"
        "arrays.pop('fim.json')\n"
        "for name, found in (('torch', state), ('safetensors', tensors), ('npz', arrays)):\n"
        "    assert sorted(found) == sorted(expected) and len(found) == 6, (name, sorted(found))\n"
        "    for key in expected:\n"
        "        assert numpy.array_equal(numpy.asarray(found[key]), expected[key]), (name, key)\n"
        "module = torch.nn.Sequential(*(torch.nn.Linear(*s).double() for s in ((3, 5), (5, 4), (4, 2))))\n"
        "module.load_state_dict(state)\n"
        "assert torch.equal(module[1].weight, torch.from_numpy(expected['1.weight']))\n";
    char command[640];
    if (system("/usr/bin/python3 -c 'import torch, h5py' 2>/dev/null") != 0)
        cr_skip_test("no PyTorch or h5py for the system's python3 (Debian: python3-torch, python3-h5py)");
    write_net(scratch("net.h5"));
    succeeds("fim-convert @net.h5 --to torch --quiet -o @net.pt");
    succeeds("fim-convert @net.h5 --to safetensors --quiet -o @net.safetensors");
    succeeds("fim-convert @net.h5 --to npz --quiet -o @net.npz");
    scratch_write(scratch("check.py"), script, strlen(script));
    snprintf(command, sizeof command, "env -u LD_PRELOAD /usr/bin/python3 %s %s", scratch("check.py"),
             scratch_folder);
    cr_assert(system(command) == 0);
}

// ---- What was understood ----

Test(checkpoints, fim_info_shows_the_layers) {
    static const struct {
        const char *file;
        const char *parts[6];
    } cases[] = {
        {"classifier-training.pt",
         {"checkpoint (torch) of 3 layers, 119 parameters, likelihood categorical",
          "0  tanh              6        8   yes", "model_state_dict",
          "2  identity          5        3   yes", NULL}},
        {"norm.pt",
         {"checkpoint (torch) of 3 layers", "batch normalisation 1 (epsilon 1e-05)",
          "note: batch normalisation 1 (epsilon 1e-05) is folded into layer 0, the linear layer before it",
          NULL}},
        {"classifier.keras",
         {"checkpoint (keras) of 3 layers, 119 parameters, likelihood categorical",
          "layers/dense/vars/0, layers/dense/vars/1",
          "note: the last softmax, 'dense_2', went into the likelihood categorical", NULL}},
#ifdef FIM_HAVE_ONNX
        {"exported.onnx",
         {"checkpoint (onnx) of 4 layers, 128 parameters, likelihood categorical",
          "1  gelu              7        5   yes", "8.weight, 8.bias",
          "is folded into layer 1, the linear layer before it", NULL}},
#endif
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[1024];
        static char text[1 << 14];
        bool state_dict = strstr(cases[i].file, ".pt") != NULL;
        snprintf(command, sizeof command, "'%s/fim-info' '%s/%s' %s", getenv("FIM_TOOLS"),
                 getenv("FIM_TEST_DATA"), cases[i].file,
                 state_dict ? "--activation tanh --likelihood categorical" : "");
        FILE *pipe = popen(command, "r");
        cr_assert(pipe != NULL);
        text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
        cr_assert(pclose(pipe) == 0, "%s", command);
        for (size_t k = 0; cases[i].parts[k] != NULL; k++)
            cr_expect(strstr(text, cases[i].parts[k]) != NULL, "%s lacks '%s':\n%s", cases[i].file,
                      cases[i].parts[k], text);
    }
}
