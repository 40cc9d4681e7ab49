// folder.h - figures are drawn into folders of their own, and read back.
#ifndef FIM_TESTS_REPORT_FOLDER_H
#define FIM_TESTS_REPORT_FOLDER_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sys/stat.h>

#include "sample.h"

// A folder of its own for each test, removed by the operating system's clean-up of /tmp at the latest.
static inline char *scratch(void) {
    static char folder[] = "/tmp/fim-test-figures-XXXXXX";
    cr_assert(mkdtemp(folder) != NULL);
    return folder;
}

static inline char *read_text(const char *folder, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL, "%s is missing", path);
    char *content = calloc(1, 1 << 20);
    size_t size = fread(content, 1, (1 << 20) - 1, file);
    cr_assert(size > 0 && size < (1 << 20) - 1, "%s", path);
    fclose(file);
    return content;
}

static inline bool exists(const char *folder, const char *name, const char *extension) {
    char path[400];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s%s", folder, name, extension);
    return stat(path, &info) == 0 && info.st_size > 0;
}

static inline void remove_folder(const char *folder) {
    char command[400];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_assert(eq(int, system(command), 0));
}

static inline bool have_gnuplot(void) {
    bool found = system("gnuplot --version >/dev/null 2>&1") == 0;
    if (!found)
        cr_log_warn("SKIPPED: gnuplot is not installed, nothing was drawn");
    return found;
}

// What needs no gnuplot, which the message says is missing.
static inline void plot_without_gnuplot(const fim_record *report, const char *folder) {
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "", 1);
    cr_assert(eq(int, fim_report_plot(report, "t", folder, NULL), FIM_ERR_UNAVAILABLE));
    setenv("PATH", path, 1);
    free(path);
}

#endif
