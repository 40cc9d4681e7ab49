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
    {"130M", "--fisher mc:1 --sampling-error --methods kfac,ekfac"},
    {"130M", "--methods kfac,ekfac,deflation"},
    {"161M", "--methods kfac,ekfac,deflation"},
    {"1G", "--methods kfac,ekfac,deflation"},
};

// Runs the study; the peak in bytes of all children so far, of which this one takes most.
static size_t peak(const char *memory, const char *study) {
    char line[512];
    snprintf(line, sizeof line,
             "fim-analyze @run/checkpoint-1.h5 --data @x.h5 --samples 200 --memory %s --threads 1 -q %s "
             "-o @r.h5 --force",
             memory, study);
    struct rusage usage;
    const int code = finish(start(line, (settings){0}));
    cr_assert(code == 0, "--memory %s: exit code %d", memory, code);
    cr_assert(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    return (size_t)usage.ru_maxrss << 10;
}

Test(memory, is_never_exceeded) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("a sanitizer keeps memory of its own");
#endif
    fim_data data = {.x = test_random_matrix(300, 300, 1)};
    size_t most = 0;
    TEST_OK(fim_data_write(&data, scratch("x.h5"), true));
    fim_data_clear(&data);
    int code =
        finish(start("fim-train --net 300-250-60-250-300 --activation tanh --likelihood gaussian --data "
                     "@x.h5 -e 1 -O sgd -o @run -q --threads 1",
                     (settings){0}));
    cr_assert(code == 0, "fim-train ended with %d", code);
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++) {
        size_t budget;
        TEST_OK(fim_parse_bytes(studies[i].memory, "--memory", &budget));
        const size_t taken = peak(studies[i].memory, studies[i].study);
        cr_expect(taken <= budget, "--memory %s %s: %zu bytes were resident", studies[i].memory,
                  studies[i].study, taken);
        most = taken;
    }
    cr_assert(most > ((size_t)161 << 20), "no budget decided anything: %zu bytes without", most);
}
