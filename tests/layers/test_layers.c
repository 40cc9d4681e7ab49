// The order of the house: includes go down only, private headers stay in their room, foreign libraries in
// the room that owns them, and the library never prints or ends the program.
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

// Every room with what it may include besides its own header: less than all that is below it where the design
// says so (an approximation sees samples and never a network, a report sees records, and of the
// approximations the list of names).
static const struct {
    const char *room, *may;
} rooms[] = {
    {"base", ""},
    {"linalg", "base"},
    {"net", "base linalg"},
    {"op", "base linalg"},
    {"fisher", "base linalg net op"},
    {"approx", "base linalg op fisher"},
    {"metric", "base linalg op fisher"},
    {"io", "base linalg net op fisher"},
    {"run", "base linalg net op fisher approx metric io"},
    {"report", "base linalg io approximations.def"},
};
enum { ROOMS = sizeof rooms / sizeof *rooms };

// Headers of other libraries, and the rooms that may see them. `tools`: the tools may too.
static const struct {
    const char *header, *room;
    bool tools;
} owned[] = {{"hdf5.h", "io", false},          {"lapacke.h", "linalg", false},
             {"jansson.h", "io report", true}, {"zip.h", "io", false},
             {"zlib.h", "io", false},          {"sha256.h", "io", false},
             {"omp.h", "linalg", false},       {"spawn.h", "report", false},
             {"dlfcn.h", "linalg", false},     {"gsl/gsl_cblas.h", "linalg", false},
             {"onnx.pb-c.h", "io", false},     {"protobuf-c/protobuf-c.h", "io", false}};

// Public lists that are no header of a room's name.
static const struct {
    const char *file, *room;
} lists[] = {{"activations.def", "net"},
             {"net_real.h", "net"},
             {"inverse_real.h", "op"},
             {"real.h", "linalg"},
             {"approximations.def", "approx"},
             {"metrics.def", "metric"},
             {"formats.def", "io"}};

static const char *source(const char *rest) {
    static char path[1024];
    const char *data = getenv("FIM_TEST_DATA");
    cr_assert(data != NULL, "FIM_TEST_DATA is not set: run by 'meson test'");
    snprintf(path, sizeof path, "%s/../../%s", data, rest);
    return path;
}

static bool has_word(const char *words, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

typedef void visit_line(const char *room, const char *path, size_t number, const char *line);

// Every line of the files that match, which belong to `room`; how many files there were.
static size_t walk(const char *pattern, const char *room, visit_line *visit) {
    glob_t files = {0};
    if (glob(source(pattern), 0, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "r");
        char line[1024];
        size_t number = 0;
        while (fgets(line, sizeof line, file) != NULL)
            visit(room, files.gl_pathv[i], ++number, line);
        fclose(file);
    }
    const size_t count = files.gl_pathc;
    globfree(&files);
    return count;
}

static size_t walk_rooms(visit_line *visit) {
    size_t files = 0;
    for (size_t r = 0; r < ROOMS; r++) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, "src/%s/*.[ch]", rooms[r].room);
        const size_t own = walk(pattern, rooms[r].room, visit);
        cr_assert(own > 0, "the room src/%s is empty", rooms[r].room);
        snprintf(pattern, sizeof pattern, "include/fim/%s.h", rooms[r].room);
        cr_assert(walk(pattern, rooms[r].room, visit) == 1, "no header of %s", rooms[r].room);
        files += own + 1;
    }
    return files;
}

static void check_include(const char *room, const char *path, size_t number, const char *line) {
    char kind, name[256];
    if (sscanf(line, " # include %c%255[^\">]", &kind, name) != 2)
        return;
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        if (strcmp(name, owned[k].header) == 0)
            cr_assert(has_word(owned[k].room, room), "%s:%zu: %s belongs to %s", path, number, name,
                      owned[k].room);
    if (kind != '"')
        return;
    if (strncmp(name, "fim/", 4) != 0) {
        cr_assert(strchr(name, '/') == NULL, "%s:%zu: %s is private to another room", path, number, name);
        char own[64];
        snprintf(own, sizeof own, "src/%s/%.32s", room, name);
        FILE *file = fopen(source(own), "r");
        cr_assert(file != NULL, "%s:%zu: %s is not in the room", path, number, name);
        fclose(file);
        return;
    }
    char wanted[256];
    snprintf(wanted, sizeof wanted, "%.*s", (int)strcspn(name + 4, "."), name + 4);
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        if (strcmp(name + 4, lists[k].file) == 0)
            snprintf(wanted, sizeof wanted, "%s", lists[k].room);
    for (size_t r = 0; r < ROOMS; r++)
        if (strcmp(rooms[r].room, room) == 0)
            cr_assert(strcmp(wanted, room) == 0 || has_word(rooms[r].may, wanted) ||
                          has_word(rooms[r].may, name + 4),
                      "%s:%zu: %s must not see %s", path, number, room, name);
}

Test(layers, includes_go_down_only) {
    const size_t files = walk_rooms(check_include);
    cr_assert(files > 60, "only %zu files were found", files);
}

Test(layers, every_folder_of_the_source_is_a_room) {
    glob_t folders = {0};
    cr_assert(glob(source("src/*/"), 0, NULL, &folders) == 0);
    for (size_t i = 0; i < folders.gl_pathc; i++) {
        size_t known = 0;
        for (size_t r = 0; r < ROOMS; r++) {
            char end[32];
            snprintf(end, sizeof end, "/src/%s/", rooms[r].room);
            const size_t length = strlen(folders.gl_pathv[i]);
            known += length > strlen(end) && strcmp(folders.gl_pathv[i] + length - strlen(end), end) == 0;
        }
        cr_assert(known == 1, "%s has no place in the order of rooms", folders.gl_pathv[i]);
    }
    globfree(&folders);
}

// A call of `function`, which is not the end of a longer name.
static bool calls(const char *line, const char *function) {
    const size_t length = strlen(function);
    const char *comment = strstr(line, "//");
    for (const char *at = line; (at = strstr(at, function)) != NULL; at++)
        if ((comment == NULL || at < comment) && (at == line || (!isalnum(at[-1]) && at[-1] != '_')) &&
            at[length] == '(')
            return true;
    return false;
}

static void check_silence(const char *room, const char *path, size_t number, const char *line) {
    static const char *const never[] = {
        "printf", "vprintf", "puts", "putchar", "perror", "exit", "abort", "assert", "gsl_set_error_handler"};
    for (size_t k = 0; k < sizeof never / sizeof *never; k++)
        cr_assert(not(calls(line, never[k])), "%s:%zu (%s): %s is not the library's to call", path, number,
                  room, never[k]);
    cr_assert(strstr(line, "stderr") == NULL && strstr(line, "(stdout") == NULL,
              "%s:%zu (%s): output of its own", path, number, room);
}

Test(layers, the_library_never_prints_or_ends_the_program) {
    walk_rooms(check_silence);
}

static void check_tool(const char *room, const char *path, size_t number, const char *line) {
    char kind, name[256];
    if (sscanf(line, " # include %c%255[^\">]", &kind, name) != 2)
        return;
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        cr_assert(owned[k].tools || strcmp(name, owned[k].header) != 0,
                  "%s:%zu: %s is for the room %s, not for %s", path, number, name, owned[k].room, room);
    cr_assert(strstr(name, "src/") == NULL, "%s:%zu: tools use public headers", path, number);
}

Test(layers, tools_stand_on_the_public_headers) {
    cr_assert(walk("tools/*.[ch]", "tools", check_tool) > 4);
}
