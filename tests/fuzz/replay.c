// Gives a fuzz target every file of the folders on the command line. A crash, a hang or a leak is what the
// caller sees; the sanitized build sees more. One file at least must be read to its end: a target that turns
// everything away at the door tests only the door.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t replay(const char *path) {
    struct stat about;
    FILE *file = stat(path, &about) == 0 && S_ISREG(about.st_mode) ? fopen(path, "rb") : NULL;
    if (file == NULL)
        return 0;
    uint8_t *bytes = malloc((size_t)about.st_size + 1);
    size_t n = bytes != NULL ? fread(bytes, 1, (size_t)about.st_size, file) : 0;
    fclose(file);
    printf("%s\n", path); // before it is read: the last one is the culprit
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 1;
}

int main(int argc, char **argv) {
    size_t files = 0;
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        int count = scandir(argv[i], &entries, NULL, alphasort);
        for (int k = 0; k < count; k++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            files += replay(path);
            free(entries[k]);
        }
        free(entries);
    }
    printf("%zu files, %zu of them read to the end\n", files, fuzz_taken);
    return fuzz_taken == 0;
}
