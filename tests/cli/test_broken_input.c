// The tools on broken input: exit code 1 (the input) or 2 (the command line), exactly one line on stderr that
// names the tool, nothing on stdout, and no file left behind.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "io/broken_checkpoints.h"

TestSuite(broken_input, .init = scratch_begin, .fini = scratch_end, .timeout = 600);

enum { WORDS = 16 };

// Runs a tool of the build with the words of `line` as arguments ('@' at the beginning of a word stands for
// the scratch folder). `file` replaces the word FILE.
static int run(const char *line, const char *file, char *errors, size_t size) {
    char words[WORDS][256], *argv[WORDS + 1], program[512], word[256];
    size_t n = 0;
    const char *cursor = line, *folder = getenv("FIM_TOOLS");
    if (folder == NULL)
        cr_skip_test("FIM_TOOLS does not tell where the tools are");
    while (n < WORDS && fim_list_next(&cursor, ' ', word, sizeof word)) {
        if (word[0] == '@')
            snprintf(words[n], sizeof words[n], "%s", scratch(word + 1));
        else
            snprintf(words[n], sizeof words[n], "%s", strcmp(word, "FILE") == 0 ? file : word);
        argv[n] = words[n];
        n++;
    }
    argv[n] = NULL;
    snprintf(program, sizeof program, "%s/%s", folder, words[0]);
    if (access(program, X_OK) != 0)
        cr_skip_test("%s is not built", program);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, scratch("stdout"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, scratch("stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    extern char **environ;
    pid_t child;
    int status = 0;
    cr_assert(posix_spawn(&child, program, &actions, NULL, argv, environ) == 0, "%s", program);
    posix_spawn_file_actions_destroy(&actions);
    cr_assert(waitpid(child, &status, 0) == child);
    size_t length = 0;
    unsigned char *bytes = scratch_read(scratch("stderr"), &length);
    snprintf(errors, size, "%.*s", (int)length, (char *)bytes);
    free(bytes);
    bytes = scratch_read(scratch("stdout"), &length);
    free(bytes);
    unlink(scratch("stdout"));
    unlink(scratch("stderr"));
    cr_expect(length == 0, "%s: wrote to stdout", line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// `files` are in the folder before and after.
static void refused(const char *line, const char *file, const char *part) {
    char errors[4096], tool[32];
    size_t before = scratch_count();
    int code = run(line, file, errors, sizeof errors);
    const char *end = strchr(errors, '\n');
    snprintf(tool, sizeof tool, "%.*s: ", (int)strcspn(line, " "), line);
    cr_expect(code == 1 || code == 2, "%s: exit code %d, '%s'", line, code, errors);
    cr_expect(end != NULL && end[1] == '\0', "%s: not one line: '%s'", line, errors);
    cr_expect(strncmp(errors, tool, strlen(tool)) == 0, "%s: '%s' does not begin with the tool", line,
              errors);
    cr_expect(strstr(errors, part) != NULL, "%s: '%s' lacks '%s'", line, errors, part);
    cr_expect(scratch_count() == before, "%s: left files behind", line);
}

static const char *const checkpoint_lines[] = {
    "fim-analyze FILE --data @x.h5 -o @out.h5",
    "fim-dump FILE --data @x.h5 -o @out.h5",
    "fim-info FILE",
};

// Three inputs, as the good checkpoint takes, with labels below two.
static void write_data(void) {
    fim_data data = {.x = test_random_matrix(20, 3, 1), .labels = calloc(20, sizeof(uint32_t))};
    TEST_OK(fim_data_write(&data, scratch("x.h5"), true));
    fim_data_clear(&data);
}

Test(broken_input, the_good_one_is_taken) {
    char errors[4096];
    write_data();
    H5Fclose(make_checkpoint(scratch("good.h5")));
    int code =
        run("fim-dump FILE --data @x.h5 -o @out.h5 --quiet", scratch("good.h5"), errors, sizeof errors);
    cr_assert(code == 0, "exit code %d: %s", code, errors);
    cr_assert(scratch_has("out.h5"));
}

Test(broken_input, checkpoints) {
    write_data();
    for (size_t i = 0; i < sizeof broken_checkpoints / sizeof *broken_checkpoints; i++) {
        hid_t file = make_checkpoint(scratch("bad.h5"));
        broken_checkpoints[i].edit(file);
        H5Fclose(file);
        // Without its format the file may be anything, as far as fim-info is concerned.
        bool anonymous = strcmp(broken_checkpoints[i].name, "no format") == 0;
        bool renamed = strcmp(broken_checkpoints[i].name, "another format") == 0;
        size_t tools = anonymous || renamed ? 2 : 3;
        for (size_t k = 0; k < tools; k++)
            refused(checkpoint_lines[k], scratch("bad.h5"), "bad.h5");
    }
}

Test(broken_input, damaged_checkpoints) {
    size_t n = 0;
    write_data();
    H5Fclose(make_checkpoint(scratch("bad.h5")));
    unsigned char *bytes = scratch_read(scratch("bad.h5"), &n);
    for (size_t length = 0; length < n; length += n / 5) {
        scratch_write(scratch("bad.h5"), bytes, length);
        for (size_t k = 0; k < 3; k++)
            refused(checkpoint_lines[k], scratch("bad.h5"), "bad.h5");
    }
    free(bytes);
    for (size_t k = 0; k < 3; k++) {
        refused(checkpoint_lines[k], scratch("none.h5"), "none.h5: cannot be read: No such file");
        // Of fim-analyze a folder is asked for the checkpoints of a run.
        refused(checkpoint_lines[k], scratch_folder,
                k == 0 ? "holds no checkpoint-*.h5" : "not a regular file");
    }
}

// Files of other programs, cut: whatever is left, one line names the file.
Test(broken_input, damaged_files_of_other_programs) {
    static const char *const fixtures[] = {
        "classifier.pt",    "classifier.npz",      "classifier.npy",        "classifier.safetensors",
        "classifier.keras", "classifier-keras.h5", "classifier.weights.h5", "classifier.onnx"};
    static const char *const lines[] = {"fim-analyze FILE --data @x.h5 -o @out.h5",
                                        "fim-convert FILE --to torch -o @out.pt", "fim-info FILE"};
    write_data();
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        char path[512];
        size_t n = 0;
        snprintf(path, sizeof path, "%s/%s", getenv("FIM_TEST_DATA"), fixtures[i]);
        unsigned char *bytes = scratch_read(path, &n);
        for (size_t k = 1; k < 4; k++) {
            scratch_write(scratch("bad.file"), bytes, n * k / 4);
            for (size_t tool = 0; tool < 3; tool++)
                refused(lines[tool], scratch("bad.file"), "bad.file");
        }
        free(bytes);
    }
}

Test(broken_input, data_sets) {
    static const char *const lines[] = {
        "fim-analyze @good.h5 --data FILE -o @out.h5",
        "fim-dump @good.h5 --data FILE -o @out.h5",
        "fim-train --net 3-2 --data FILE --epochs 1 -o @run",
        "fim-info FILE",
    };
    static const struct {
        const char *name, *bytes;
        size_t n;
    } bad[] = {
        {"empty", "", 0},
        {"text.csv", "1,2,3\n", 6},
        {"short.idx", "\0\0\10\2\0\0\0\5\0\0\0\3abc", 15},
        {"absurd.idx", "\0\0\10\2\377\377\377\377\0\0\0\3abc", 15},
        {"floats.idx", "\0\0\15\1\0\0\0\1abcd", 12},
        {"none.idx", "\0\0\10\2\0\0\0\0\0\0\0\3", 12},
        {"bad.npy", "\x93NUMPY\1\0\3\0{}\n", 13},
        {"bad.npz", "PK\3\4 and then nothing", 20},
        {"bad.gz", "\x1f\x8b\10\0\0\0\0\0\0\3 rubbish", 18},
        {"bad.h5", "\x89HDF\r\n\x1a\n and rubbish", 20},
    };
    H5Fclose(make_checkpoint(scratch("good.h5")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scratch_write(scratch(bad[i].name), bad[i].bytes, bad[i].n);
        for (size_t k = 0; k < 4; k++)
            refused(lines[k], scratch(bad[i].name), bad[i].name);
    }
    fim_data data = {.x = test_random_matrix(20, 4, 1), .labels = calloc(20, sizeof(uint32_t))};
    TEST_OK(fim_data_write(&data, scratch("wide.h5"), false));
    fim_data_clear(&data);
    for (size_t k = 0; k < 3; k++)
        refused(lines[k], scratch("wide.h5"), "4");
    for (size_t k = 0; k < 4; k++)
        refused(lines[k], scratch("none.h5"), "none.h5: cannot be read");
}

Test(broken_input, command_lines) {
    static const struct {
        const char *line, *part;
    } bad[] = {
        {"fim-analyze @good.h5 --data @x.h5 --methods kfac,magic -o @out.h5", "magic"},
        {"fim-analyze @good.h5 --data @x.h5 --methods kpsvd:0 -o @out.h5", "the rank R"},
        {"fim-analyze @good.h5 --data @x.h5 --metrics beauty -o @out.h5", "beauty"},
        {"fim-analyze @good.h5 --data @x.h5 --fisher magic -o @out.h5", "magic"},
        {"fim-analyze @good.h5 --data @x.h5 --fisher mc:0 -o @out.h5", "draws"},
        {"fim-analyze @good.h5 --data @x.h5 --layers 7 -o @out.h5", "7"},
        {"fim-analyze @good.h5 --data @x.h5 --layers 1,x -o @out.h5", "x"},
        {"fim-analyze @good.h5 --data @x.h5 --samples 0 -o @out.h5", "--samples"},
        {"fim-analyze @good.h5 --data @x.h5 --samples 1e3 -o @out.h5", "1e3"},
        {"fim-analyze @good.h5 --data @x.h5 --samples 21 -o @out.h5", "21"},
        {"fim-analyze @good.h5 --data @x.h5 --format xml -o @out.h5", "xml"},
        {"fim-analyze @good.h5 --data @x.h5 --memory lots -o @out.h5", "lots"},
        {"fim-analyze @good.h5 --data @x.h5 --threads 0 -o @out.h5", "--threads"},
        {"fim-analyze @good.h5 --data @x.h5 --seed -1 -o @out.h5", "-1"},
        {"fim-analyze @good.h5 --data @x.h5 --nonsense", "nonsense"},
        {"fim-analyze @good.h5 --data curves:0 -o @out.h5", "curves:0"},
        {"fim-analyze @good.h5 --data curves:10:x -o @out.h5", "seed"},
        {"fim-analyze @good.h5 --data @x.h5 --labels @x.h5 -o @out.h5", "has a y of its own"},
        {"fim-analyze @good.h5 --data @x.h5 -o @there.h5", "there.h5: exists already"},
        {"fim-analyze @good.h5 --data @x.h5 -o @no/out.h5", "no/out.h5: cannot be written"},
        {"fim-analyze @good.h5 --data @x.h5 --memory 100 -o @out.h5", "memory budget"},
        {"fim-analyze", "fim-analyze"},
        {"fim-dump @good.h5 --data @x.h5 --memory 100 -o @out.h5", "memory budget"},
        {"fim-dump @good.h5 --data @x.h5 --with magic -o @out.h5", "magic"},
        {"fim-dump @good.h5 --data @x.h5 -o @there.h5", "there.h5: exists already"},
        {"fim-dump @good.h5 --data @x.h5", "fim-dump"},
        {"fim-train --net 3-x-2 --data @x.h5 -o @run", "x"},
        {"fim-train --net 3 --data @x.h5 -o @run", "3"},
        {"fim-train --net 3-0-2 --data @x.h5 -o @run", "a width: '0'"},
        {"fim-train --net 3-2 --data @x.h5 --activation swish -o @run", "swish"},
        {"fim-train --net 3-2 --data @x.h5 --likelihood poisson -o @run", "poisson"},
        {"fim-train --net 3-2 --data @x.h5 --optimizer magic -o @run", "magic"},
        {"fim-train --net 3-2 --data @x.h5 --learning-rate fast -o @run", "fast"},
        {"fim-train --net 3-2 --data @x.h5 --learning-rate nan -o @run", "nan"},
        {"fim-train --net 3-2 --data @x.h5 --epochs 0x2 -o @run", "0x2"},
        {"fim-train --net 3-2 --data @x.h5 -o @there.h5", "there.h5"},
        {"fim-train --net 3-2 --data @x.h5 --optimizer kpsvd:3 -o @run", "no inverse in closed form"},
        {"fim-train --net 3-2 --data @x.h5 --damping -1 -o @run", "--damping"},
        {"fim-train --net 3-2 --data @x.h5 --damping-form half -o @run",
         "--damping-form: unknown damping form 'half'"},
        {"fim-train --net 3-2 --data @x.h5 --indefinite ignore -o @run", "--indefinite"},
        {"fim-train --net 3-2 --data @x.h5 --fisher mc:x -o @run", "--fisher"},
        {"fim-train --net 3-2 --data @x.h5 --average 1 -o @run", "--average"},
        {"fim-train --net 3-2 --data @x.h5 --schedule linear -o @run", "constant, cosine, exponential:F"},
        {"fim-train --net 3-2 --data @x.h5 --precision half -o @run", "neither float32 nor float64"},
        {"fim-train --net 3-2 --data @x.h5 --init @there.h5 -o @run", "there.h5"},
        {"fim-train --net 3-4-2 --data @x.h5 --init @good.h5 -o @run", "--net asks for"},
        {"fim-train --net 3-2 --data @x.h5 --grid lr=1 -o @run", "--grid without --compare"},
        {"fim-train --net 3-2 --data @x.h5 --seeds 2 -o @run", "--seeds without --compare"},
        {"fim-train --net 3-2 --data @x.h5 --compare sgd,magic -o @run", "magic"},
        {"fim-train --net 3-2 --data @x.h5 --compare sgd,kfac,sgd -o @run", "'sgd' stands twice"},
        {"fim-train --net 3-2 --data @x.h5 --compare kfac/half -o @run", "kfac/half"},
        {"fim-train --net 3-2 --data @x.h5 --compare kfac --grid rate=1 -o @run",
         "'rate=1' is not as in lr="},
        {"fim-train --net 3-2 --data @x.h5 --compare kfac --grid lr=1:x -o @run", "'x'"},
        {"fim-convert @good.h5", "-o FILE is missing"},
        {"fim-convert -o @out.h5", "FILE is missing"},
        {"fim-convert @good.h5 @good.h5 -o @out.h5", "one FILE at a time"},
        {"fim-convert @good.h5 --to pickle -o @out.h5", "--to: unknown format to write 'pickle'"},
        {"fim-convert @good.h5 --to torch -o @there.h5", "there.h5: exists already"},
        {"fim-convert @good.h5 --to npz -o @no/out.npz", "no/out.npz: cannot be written"},
        {"fim-convert @x.h5 -o @out.h5", "x.h5"},
        {"fim-convert @none.h5 -o @out.h5", "none.h5: cannot be read"},
        {"fim-convert @good.h5 --arch @none.json -o @out.h5", "--arch is for files that do not"},
        {"fim-convert @good.h5 --activation swish -o @out.h5", "--activation"},
        {"fim-plot @good.h5 -o @figures", "good.h5: is neither a report"},
        {"fim-plot @none.h5 -o @figures", "none.h5: cannot be read"},
        {"fim-info", "no FILE"},
        {"fim-info @good.h5 --build=1", "build"},
    };
    write_data();
    scratch_write(scratch("there.h5"), "x", 1);
    H5Fclose(make_checkpoint(scratch("good.h5")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].line, "", bad[i].part);
}
