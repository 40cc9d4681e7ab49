// Real data: Fashion-MNIST as Debian's package dataset-fashion-mnist installs it. The expected figures were
// computed from the same files with Python's gzip module: sums over bytes, first and last labels.
#include "scratch.h"

TestSuite(fashion, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

#define FOLDER "/usr/share/datasets/fashion-mnist/"

static void expect(const char *images, const char *labels, size_t n, double sum, double first_sum,
                   double last_sum, const uint32_t first[10], const uint32_t last[5]) {
    if (access(images, R_OK) != 0 || access(labels, R_OK) != 0)
        cr_skip_test("%s is not there: install dataset-fashion-mnist", images);
    fim_data data;
    TEST_OK(fim_data_read(images, labels, (size_t)1 << 30, &data));
    cr_assert(data.x->size1 == n && data.x->size2 == 784 && data.y == NULL);
    double total = 0, ends[2] = {0};
    for (size_t i = 0; i < n * 784; i++)
        total += data.x->data[i];
    for (size_t j = 0; j < 784; j++) {
        ends[0] += gsl_matrix_get(data.x, 0, j);
        ends[1] += gsl_matrix_get(data.x, n - 1, j);
    }
    cr_assert(epsilon_eq(dbl, total * 255 / sum, 1, 1e-10));
    cr_assert(epsilon_eq(dbl, ends[0] * 255, first_sum, 1e-6));
    cr_assert(epsilon_eq(dbl, ends[1] * 255, last_sum, 1e-6));
    cr_assert(memcmp(data.labels, first, 40) == 0 && memcmp(data.labels + n - 5, last, 20) == 0);
    size_t count[10] = {0};
    for (size_t i = 0; i < n; i++)
        count[data.labels[i] % 10]++;
    for (size_t k = 0; k < 10; k++)
        cr_assert(count[k] == n / 10, "class %zu has %zu images", k, count[k]);
    fim_data_clear(&data);
}

Test(fashion, training_set) {
    expect(FOLDER "train-images-idx3-ubyte.gz", FOLDER "train-labels-idx1-ubyte.gz", 60000, 3431114169, 76247,
           16684, (uint32_t[]){9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, (uint32_t[]){5, 1, 3, 0, 5});
}

Test(fashion, test_set) {
    expect(FOLDER "t10k-images-idx3-ubyte.gz", FOLDER "t10k-labels-idx1-ubyte.gz", 10000, 573469082, 33456,
           24390, (uint32_t[]){9, 2, 1, 1, 6, 1, 4, 6, 5, 7}, (uint32_t[]){9, 1, 8, 1, 5});
}

Test(fashion, budget) {
    if (access(FOLDER "train-images-idx3-ubyte.gz", R_OK) != 0)
        cr_skip_test("Fashion-MNIST is not there: install dataset-fashion-mnist");
    fim_data data;
    TEST_FAILS(fim_data_read(FOLDER "train-images-idx3-ubyte.gz", NULL, 1 << 20, &data), FIM_ERR_BUDGET,
               "train-images-idx3-ubyte.gz needs 376 MB");
}
