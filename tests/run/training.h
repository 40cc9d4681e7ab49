// What the tests of training share: thirty samples, two networks, a folder for files.
#ifndef TESTS_RUN_TRAINING_H
#define TESTS_RUN_TRAINING_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fim/linalg.h"
#include "fim/run.h"
#include "support.h"

enum { N = 30, D = 4, K = 2 };
static const size_t deep[] = {D, 5, 3, K}, shallow[] = {D, K};

static fim_data data;
static char folder[64];

static inline void setup(void) {
    fim_linalg_setup(1);
    fim_io_setup();
    data.x = test_random_matrix(N, D, 1);
    data.y = test_random_matrix(N, K, 2);
    snprintf(folder, sizeof folder, "/tmp/fim-test-train-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

static inline size_t files_in_folder(void) {
    size_t count = 0;
    DIR *list = opendir(folder);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.' || strstr(entry->d_name, ".part") != NULL;
    closedir(list);
    return count;
}

static inline char *in_folder(const char *name, char path[128]) {
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static inline void teardown(void) {
    char path[128];
    DIR *list = opendir(folder);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;)
        if (strlen(entry->d_name) < 60)
            unlink(in_folder(entry->d_name, path));
    closedir(list);
    rmdir(folder);
    fim_data_clear(&data);
}
static inline fim_net make_net(const size_t *widths, size_t n_layers) {
    fim_net net = {0};
    TEST_OK(fim_net_init(&net, FIM_GAUSSIAN, widths, n_layers, FIM_ACTIVATION_TANH));
    TEST_OK(fim_net_xavier(&net, 0.01, 7));
    return net;
}

// The defaults in float64, where formulas can be compared to the last digits.
static inline fim_train_options defaults(void) {
    fim_train_options o = fim_train_defaults();
    o.float64 = true;
    return o;
}

// Trains without files, progress, or a look at the log.
static inline fim_status train_plainly(fim_net *net, const fim_train_options *o) {
    fim_record log;
    fim_status status = fim_train(net, &data, NULL, o, NULL, NULL, NULL, NULL, &log);
    fim_record_clear(&log);
    return status;
}

static inline double net_difference(const fim_net *a, const fim_net *b) {
    double largest = 0;
    for (size_t l = 0; l < a->n_layers; l++)
        largest = fmax(largest, test_max_difference(a->layers[l].w, b->layers[l].w));
    return largest;
}

#endif
