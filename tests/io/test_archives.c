// Archives of checkpoints that break a rule: zip files that lie, hide or repeat; the arrays of .npz and .npy.
#define _GNU_SOURCE // memmem
#include <zip.h>

#include "scratch.h"

TestSuite(archives, .init = scratch_begin, .fini = scratch_end, .timeout = 300);

static const size_t budget = 1 << 24;
static const fim_checkpoint_options told = {.activation = "tanh", .likelihood = "categorical"};

// A fixture of tests/data as "bad", in which the `index`-th occurrence of `from` (or all, −1) is replaced by
// `to`, both of n bytes.
static void patch(const char *fixture, const void *from, const void *to, size_t n, int index) {
    char path[512];
    size_t size = 0;
    int count = 0;
    snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), fixture);
    unsigned char *bytes = scratch_read(path, &size), *at = bytes;
    while ((at = memmem(at, size - (size_t)(at - bytes), from, n)) != NULL) {
        if (index < 0 || count == index)
            memcpy(at, to, n);
        count++;
        at++;
    }
    cr_assert(count > (index < 0 ? 0 : index), "%s has %d of the bytes", fixture, count);
    scratch_write(scratch("bad"), bytes, size);
    free(bytes);
}

static void refused(const char *what, const char *part) {
    fim_checkpoint found = {.n_notes = 77};
    fim_status status = fim_checkpoint_load(scratch("bad"), budget, &told, &found);
    cr_expect(status != FIM_OK && strstr(fim_message(), part) != NULL &&
                  strstr(fim_message(), "bad") != NULL && strchr(fim_message(), '\n') == NULL,
              "%s: %d, '%s' lacks '%s'", what, (int)status, fim_message(), part);
    cr_expect(found.n_notes == 77);
}

static const char *const archives[] = {"classifier.pt", "classifier.npz", "classifier.keras"};

Test(archives, cut_anywhere) {
    for (size_t k = 0; k < 3; k++) {
        char path[512];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), archives[k]);
        unsigned char *bytes = scratch_read(path, &size);
        for (size_t n = 4; n < size; n += size / 9) {
            scratch_write(scratch("bad"), bytes, n);
            refused(archives[k], "is a damaged zip archive");
        }
        free(bytes);
    }
}

// One bit of the numbers, which the checksum tells.
Test(archives, changed_numbers) {
    static const struct {
        const char *fixture, *member;
        size_t behind; // bytes behind the member's name
        const char *part;
    } cases[] = {
        {"classifier.pt", "/data/0", 100, "data/0 is damaged: CRC error"},
        {"classifier.pt", "/data.pkl", 60, "data.pkl is damaged: CRC error"},
        {"classifier.npz", "0.weight.npy", 160, "0.weight"},
        {"classifier.keras", "config.json", 40, "config.json is damaged: CRC error"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char path[512];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), cases[k].fixture);
        unsigned char *bytes = scratch_read(path, &size),
                      *at = memmem(bytes, size, cases[k].member, strlen(cases[k].member));
        at[strlen(cases[k].member) + cases[k].behind] ^= 1;
        scratch_write(scratch("bad"), bytes, size);
        refused(cases[k].fixture, cases[k].part);
        free(bytes);
    }
}

Test(archives, names_that_occur_twice) {
    patch("classifier.pt", "/data/1", "/data/0", 7, -1);
    refused("torch", "two members have one name");
    patch("classifier.npz", "2.weight.npy", "0.weight.npy", 12, -1);
    refused("npz", "two members have one name");
    patch("classifier.keras", "metadata.json", "./config.json", 13, -1);
    fim_checkpoint found; // another name, after all
    TEST_OK(fim_checkpoint_load(scratch("bad"), budget, NULL, &found));
    fim_checkpoint_clear(&found);
}

typedef void change(zip_t *zip, zip_uint64_t index);

static void encrypt(zip_t *zip, zip_uint64_t index) {
    zip_file_set_encryption(zip, index, ZIP_EM_AES_256, "secret");
}
static void compress_otherwise(zip_t *zip, zip_uint64_t index) {
    zip_set_file_compression(zip, index, ZIP_CM_BZIP2, 9);
}
static void compress_as_usual(zip_t *zip, zip_uint64_t index) {
    zip_set_file_compression(zip, index, ZIP_CM_DEFLATE, 9);
}

// A fixture, written anew with `make` applied to one of its members.
static void rewrite(const char *fixture, const char *member, change *make) {
    char path[512];
    int code = 0;
    snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), fixture);
    zip_t *from = zip_open(path, ZIP_RDONLY, &code),
          *to = zip_open(scratch("bad"), ZIP_CREATE | ZIP_TRUNCATE, &code);
    zip_int64_t n = zip_get_num_entries(from, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(from, (zip_uint64_t)i, 0);
        zip_stat_t about;
        zip_stat_index(from, (zip_uint64_t)i, 0, &about);
        void *bytes = malloc(about.size + 1);
        zip_file_t *file = zip_fopen_index(from, (zip_uint64_t)i, 0);
        cr_assert(zip_fread(file, bytes, about.size) == (zip_int64_t)about.size);
        zip_fclose(file);
        zip_int64_t index = zip_file_add(to, name, zip_source_buffer(to, bytes, about.size, 1), 0);
        zip_set_file_compression(to, (zip_uint64_t)index, ZIP_CM_STORE, 0);
        if (strstr(name, member) != NULL)
            make(to, (zip_uint64_t)index);
    }
    zip_close(from);
    cr_assert(zip_close(to) == 0, "%s", zip_strerror(to));
}

Test(archives, encryption_and_compression) {
    static const struct {
        const char *fixture, *member;
    } cases[] = {{"classifier.pt", "data.pkl"},
                 {"classifier.pt", "data/0"},
                 {"classifier.npz", "0.bias.npy"},
                 {"classifier.keras", "config.json"},
                 {"classifier.keras", "model.weights.h5"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fim_checkpoint found;
        bool own = k >= 3; // the file tells all itself
        rewrite(cases[k].fixture, cases[k].member, encrypt);
        TEST_FAILS(fim_checkpoint_load(scratch("bad"), budget, own ? NULL : &told, &found), FIM_ERR_FORMAT,
                   "encrypted");
        rewrite(cases[k].fixture, cases[k].member, compress_otherwise);
        TEST_FAILS(fim_checkpoint_load(scratch("bad"), budget, own ? NULL : &told, &found), FIM_ERR_FORMAT,
                   "compressed");
        rewrite(cases[k].fixture, cases[k].member, compress_as_usual);
        TEST_OK(fim_checkpoint_load(scratch("bad"), budget, own ? NULL : &told, &found));
        fim_checkpoint_clear(&found);
    }
}

// A member of `size` zeros, deflated.
static void write_bomb(const char *name, const char *pickle, size_t size) {
    int code = 0;
    zip_t *zip = zip_open(scratch("bad"), ZIP_CREATE | ZIP_TRUNCATE, &code);
    void *zeros = calloc(size, 1);
    zip_int64_t index = zip_file_add(zip, name, zip_source_buffer(zip, zeros, size, 1), 0);
    zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 9);
    if (pickle != NULL)
        zip_file_add(zip, "m/data.pkl", zip_source_buffer(zip, pickle, strlen(pickle), 0), 0);
    cr_assert(zip_close(zip) == 0);
}

Test(archives, bombs) {
    enum { SIZE = 1 << 25 };
    fim_checkpoint found;
    write_bomb("m/data.pkl", NULL, SIZE);
    TEST_FAILS(fim_checkpoint_load(scratch("bad"), budget, &told, &found), FIM_ERR_BUDGET,
               "m/data.pkl needs 33.6 MB");
    write_bomb("0.weight.npy", NULL, SIZE);
    refused("npz", "0.weight");

    // A size that deflate cannot reach, and a stored member that claims more than it has: both headers lie.
    write_bomb("m/data.pkl", NULL, 1 << 16);
    static const unsigned char small[] = {0, 0, 1, 0}, large[] = {0, 0, 0, 0x7f};
    size_t size = 0;
    unsigned char *bytes = scratch_read(scratch("bad"), &size), *at = bytes;
    for (size_t k = 0; k < 2 && (at = memmem(at, size - (size_t)(at - bytes), small, 4)) != NULL;
         k++, at += 4)
        memcpy(at, large, 4);
    scratch_write(scratch("bad"), bytes, size);
    free(bytes);
    refused("a claim", "claims 2130706432 bytes, which its");
}

// As many empty members, or tensors, as are allowed are another program's matter; one more is refused.
static void write_members(size_t count) {
    int code = 0;
    zip_t *zip = zip_open(scratch("bad"), ZIP_CREATE | ZIP_TRUNCATE, &code);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu.npy", i);
        cr_assert(zip_file_add(zip, name, zip_source_buffer(zip, "", 0, 0), 0) == (zip_int64_t)i);
    }
    cr_assert(zip_close(zip) == 0, "%s", zip_strerror(zip));
}

static void write_tensors(size_t count) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    fwrite(&(uint64_t){0}, 8, 1, stream); // the header's size, known at the end
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "%c\"%zu\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                i == 0 ? '{' : ',', i);
    fputc('}', stream);
    fclose(stream);
    for (size_t i = 0; i < 8; i++)
        text[i] = (char)((size - 8) >> 8 * i);
    scratch_write(scratch("bad"), text, size);
    free(text);
}

Test(archives, too_many_members_or_tensors) {
    static const struct {
        void (*write)(size_t count);
        size_t limit;
        const char *part;
    } cases[] = {{write_members, 1 << 17, "holds more than 131072 members"},
                 {write_tensors, 1 << 16, "holds more than 65536 tensors"}};
    for (size_t k = 0; k < 2; k++)
        for (size_t more = 0; more < 2; more++) {
            fim_checkpoint found;
            cases[k].write(cases[k].limit + more);
            fim_status status = fim_checkpoint_load(scratch("bad"), (size_t)1 << 30, &told, &found);
            cr_assert(status == FIM_ERR_FORMAT || (more == 0 && status != FIM_OK), "%s", fim_message());
            const bool refused_for_it = strstr(fim_message(), cases[k].part) != NULL;
            cr_assert(refused_for_it == (more == 1), "%s", fim_message());
        }
}

// ---- PyTorch's old way, and folders of it ----

Test(archives, other_ways_of_pytorch) {
    static const unsigned char old[] = {0x80, 2,    0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                        0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
    scratch_write(scratch("bad"), old, sizeof old);
    refused("old", "was written in the old way of PyTorch");
    patch("classifier.pt", "/data/0", "/data/x", 7, -1);
    refused("a storage is missing", "has no member");
    patch("classifier.pt", "_rebuild_tensor_v2", "_rebuild_tensor_v3", 18, -1);
    refused("CRC", "CRC error");
}

// ---- NumPy ----

static void write_npz(const char *const *names, const char *const *headers, const size_t *bytes, size_t n) {
    static const double numbers[64] = {1, 2, 3, 4};
    int code = 0;
    zip_t *zip = zip_open(scratch("bad"), ZIP_CREATE | ZIP_TRUNCATE, &code);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(headers[i]);
        unsigned char *member = malloc(10 + length + sizeof numbers);
        memcpy(member, "\x93NUMPY\1\0", 8);
        member[8] = (unsigned char)length;
        member[9] = 0;
        memcpy(member + 10, headers[i], length);
        memcpy(member + 10 + length, numbers, sizeof numbers);
        zip_file_add(zip, names[i], zip_source_buffer(zip, member, 10 + length + bytes[i], 1), 0);
    }
    cr_assert(zip_close(zip) == 0);
}

Test(archives, rules_of_npz) {
    static char long_name[600];
    memset(long_name, 'a', sizeof long_name - 1);
    memcpy(long_name + sizeof long_name - 5, ".npy", 4);
    const struct {
        const char *name, *header;
        size_t bytes;
        const char *part;
    } bad[] = {
        {"0.weight.npy", "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }\n", 32,
         "holds objects of Python"},
        {"0.weight.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n", 31, "0.weight"},
        {"0.weight.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n", 40, "0.weight"},
        {"0.weight.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 2), }\n", 32,
         "0.weight"},
        {"0.weight.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, ", 32, "0.weight"},
        {"0.weight.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }\n", 32,
         "holds the weights of 0 layers"},
        {"0.weight.npy", "{'descr': '<c16', 'fortran_order': False, 'shape': (1, 2), }\n", 32, "0.weight"},
        {"0.weight.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 2, 2), }\n",
         32, "0.weight"},
        {"temperature.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n", 32,
         "'temperature'"},
        {long_name, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n", 32, "name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_npz(&bad[i].name, &bad[i].header, &bad[i].bytes, 1);
        refused(bad[i].header, bad[i].part);
    }
    static const char *const good[] = {"0.weight.npy", "0.bias.npy"};
    static const char *const headers[] = {"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n",
                                          "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n"};
    fim_checkpoint found;
    write_npz(good, headers, (const size_t[]){32, 16}, 2);
    TEST_OK(fim_checkpoint_load(scratch("bad"), budget, &told, &found));
    cr_assert(gsl_matrix_get(found.net.layers[0].w, 0, 1) == 3); // columns first
    fim_checkpoint_clear(&found);
}

Test(archives, rules_of_dictionaries_in_npy) {
    static const char header[] =
        "\x93NUMPY\1\0:\0{'descr': '|O', 'fortran_order': False, 'shape': (), }   \n";
    static const struct {
        const char *pickle, *part;
        size_t n;
    } bad[] = {
#define CASE(text, part) {text, part, sizeof text - 1}
        CASE("\x80\3].", "no single dictionary of arrays"),
        CASE("\x80\3](}}e.", "no single dictionary of arrays"),
        CASE("\x80\3]K\1a.", "is no dictionary of tensors"),
        CASE("\x80\3]}a.", "holds no tensors"),
        CASE("\x80\3cnumpy\nload\n.", "asks for the Python object numpy.load"),
        CASE("\x80\3cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray.fromfile"),
        CASE("\x80\3cnumpy\ndtype\n)R.", "put together wrongly"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char bytes[256];
        memcpy(bytes, header, sizeof header - 1);
        memcpy(bytes + sizeof header - 1, bad[i].pickle, bad[i].n);
        scratch_write(scratch("bad"), bytes, sizeof header - 1 + bad[i].n);
        refused(bad[i].part, bad[i].part);
    }
    patch("classifier.npy", "K\x08K\x06\x86", "K\x08K\x07\x86", 5, 0);
    refused("shape", "'0.weight' has not the bytes that its shape and type take");
    patch("classifier.npy", "q\x16NNN", "q\x16NNK", 5, 0);
    refused("dtype", "bad");
    patch("classifier.npy",
          "\x89"
          "C\xc0",
          "\x88"
          "C\xc0",
          3, 0);
    refused("order", "'0.weight' is stored in Fortran's order");
    patch("classifier.npy", "X\2\0\0\0f4", "X\2\0\0\0i4", 7, -1);
    refused("integers", "holds the weights of 0 layers");
    patch("classifier.npy", "ndarray", "memmaps", 7, -1);
    refused("another class", "asks for the Python object numpy.memmaps");
    patch("classifier.npy",
          "\0\0\0"
          "0.weight",
          "\0\0\0"
          "0\nweight",
          11, 0);
    refused("a name", "short printable");
}
