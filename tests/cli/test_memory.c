// --memory is for the whole process: the largest resident size that the system saw, at budgets which decide
// what is kept, beside that of a run without a limit.
#include "networks.h"
#include "tool.h"

TestSuite(memory, .init = scratch_begin, .fini = scratch_end, .timeout = 600);

// In the order of what they take: inner products with the exact block of one layer at a time; all products of
// one layer, of all layers with little beside their samples, and without a limit.
static const struct {
    const char *memory, *study;
} studies[] = {
    {"130M", "--samples 200 --fisher mc:1 --sampling-error --methods kfac,ekfac"},
    {"130M", "--samples 200 --methods kfac,ekfac,deflation"},
    {"161M", "--samples 200 --methods kfac,ekfac,deflation"},
    {"1G", "--samples 200 --methods kfac,ekfac,deflation"},
};

// A network "run" of `shape`, trained a little on `rows` random samples in x.h5.
static void train(const char *shape, size_t inputs, size_t rows) {
    fim_data data = {.x = test_random_matrix(rows, inputs, 1)};
    TEST_OK(fim_data_write(&data, scratch("x.h5"), true));
    fim_data_clear(&data);
    char line[256];
    snprintf(line, sizeof line,
             "fim-train --net %s --activation tanh --likelihood gaussian --data @x.h5 -e 1 -O sgd "
             "-o @run -q --threads 1",
             shape);
    const int code = finish(start(line, (settings){0}));
    cr_assert(code == 0, "fim-train ended with %d", code);
}

// Runs the study; the peak in bytes of all children so far, of which this one takes most.
static size_t peak(const char *memory, const char *study) {
    char line[512];
    snprintf(line, sizeof line,
             "fim-analyze @run/checkpoint-1.h5 --data @x.h5 --memory %s --threads 1 -q %s -o @r.h5 --force",
             memory, study);
    struct rusage usage;
    const int code = finish(start(line, (settings){0}));
    cr_assert(code == 0, "--memory %s: exit code %d", memory, code);
    cr_assert(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    return (size_t)usage.ru_maxrss << 10;
}

// That peak, which is to be within the budget.
static size_t peak_within(const char *memory, const char *study) {
    size_t budget;
    TEST_OK(fim_parse_bytes(memory, "--memory", &budget));
    const size_t taken = peak(memory, study);
    cr_expect(taken <= budget, "--memory %s %s: %zu bytes were resident", memory, study, taken);
    return taken;
}

Test(memory, is_never_exceeded) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("a sanitizer keeps memory of its own");
#endif
    size_t most = 0;
    train("300-250-60-250-300", 300, 300);
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++)
        most = peak_within(studies[i].memory, studies[i].study);
    cr_assert(most > ((size_t)161 << 20), "no budget decided anything: %zu bytes without", most);
}

// A sum over samples takes 67 MB beside them when it is made of all 40000 at once.
Test(memory, is_never_exceeded_by_many_samples) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("a sanitizer keeps memory of its own");
#endif
    train("8-200-8", 8, 40000);
    peak_within("150M",
                "--samples 40000 --fisher mc:1 --methods diagonal,ekfac --metrics trace_error --layers 0");
}

// What all layers hold of 40000 samples on their way is 280 MB; what is kept of the one layer is 13 MB.
Test(memory, is_never_exceeded_by_many_layers) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("a sanitizer keeps memory of its own");
#endif
    train("8-30-30-30-30-30-30-30-30-30-30-8", 8, 40000);
    peak_within("150M", "--samples 40000 --fisher mc:1 --methods diagonal --metrics trace_error --layers 0");
}

// The smallest eigenvalue of a sum takes 41 vectors of its 420600 parameters, 138 MB, when memory allows.
Test(memory, is_never_exceeded_by_steps_of_sums) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("a sanitizer keeps memory of its own");
#endif
    train("700-600-700", 700, 40);
    peak_within("160M", "--samples 20 --fisher mc:1 --methods deflation --metrics trace_error --damping 1e6 "
                        "--layers 0");
}
