// A rehearsal of reading. HDF5 (1.10 and before) trusts the metadata of the old file format, which h5py and
// most other programs still write and which carries no checksums: a flipped bit in the length of a text makes
// it write past a buffer, one in a heap makes it run in circles. So a file in that format is first walked in
// a child process, with limits on time and memory: groups, attributes, and how the data sets are stored. A
// child that does not come to the end of it means a damaged file. The child has the memory of its parent, so
// that what goes well for one goes well for the other.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "h5.h"

enum {
    DEPTH_LIMIT = 32,
    ITEMS_LIMIT = 2000,     // no file of ours or like ours has more; the walk ends there
    SECONDS_LIMIT = 2,      // of processor time
    MEMORY_LIMIT = 1 << 28, // bytes beyond what the parent has
};

// Only damage of attributes counts: what else is wrong with an item is said by whoever needs it.
static fim_status walk(const fim_h5 *file, const char *item, size_t depth, size_t *items) {
    fim_h5_attribute *attributes = NULL;
    char **names = NULL, path[4096];
    size_t n_attributes = 0, count = 0;
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_h5_set set = {.id = -1};
    if (++*items > ITEMS_LIMIT || depth > DEPTH_LIMIT || fim_h5_find(file, item, &kind) != FIM_OK)
        return FIM_OK;
    fim_status status = fim_h5_attributes(file, item, &attributes, &n_attributes);
    fim_h5_attributes_free(attributes, n_attributes);
    if (status == FIM_ERR_FORMAT)
        return status;
    if (kind == FIM_H5_SET && fim_h5_set_open(file, item, &set) == FIM_OK)
        fim_h5_set_close(&set);
    if (kind != FIM_H5_GROUP || fim_h5_list(file, item, &names, &count) != FIM_OK)
        return FIM_OK;
    status = FIM_OK;
    for (size_t i = 0; i < count && status == FIM_OK; i++) {
        int length = snprintf(path, sizeof path, "%s/%s", item[1] == '\0' ? "" : item, names[i]);
        if (length > 0 && (size_t)length < sizeof path)
            status = walk(file, path, depth + 1, items);
    }
    fim_h5_names_free(names, count);
    return status;
}

static void limit(int resource, rlim_t value) {
    struct rlimit now;
    if (getrlimit(resource, &now) == 0 && (now.rlim_max == RLIM_INFINITY || value < now.rlim_max))
        setrlimit(resource, &(struct rlimit){value, now.rlim_max});
}

// Bytes of address space in use.
static rlim_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

// The child: says 'y' when the walk came to its end and 'n' when it found damage, and nothing when it dies.
static void rehearse(const char *path, int answer) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    int silence = open("/dev/null", O_WRONLY);
    if (silence >= 0)
        dup2(silence, STDERR_FILENO);
    rlim_t space = address_space();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, SECONDS_LIMIT);
    if (space > 0)
        limit(RLIMIT_AS, space + MEMORY_LIMIT);
    fim_h5 file = {.id = -1};
    size_t items = 0;
    fim_status status = fim_h5_open_here(path, 0, &file);
    if (status == FIM_OK)
        status = walk(&file, "/", 0, &items);
    fim_h5_close(&file);
    bool said = write(answer, status == FIM_OK ? "y" : "n", 1) == 1;
    _exit(said ? 0 : 1);
}

fim_status fim_h5_rehearse(const char *path) {
    int ends[2];
    if (pipe(ends) != 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be tried out: no pipe", path);
    pid_t child = fork();
    if (child == 0)
        rehearse(path, ends[1]);
    close(ends[1]);
    char answer = 0;
    // The child's end closes with the child, whatever becomes of it.
    while (child > 0 && read(ends[0], &answer, 1) < 0 && errno == EINTR)
        continue;
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (child < 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be tried out: no process", path);
    if (answer != 'y')
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: is a damaged HDF5 file", path);
    return FIM_OK;
}
