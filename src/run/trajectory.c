// The checkpoints of a training run, in the order in which training wrote them: as many studies become a
// trajectory.
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

typedef struct moment {
    char *path;
    double epoch, iteration; // -1 where the file does not tell
} moment;

static double told(const fim_record *attributes, const char *name) {
    const fim_value *v = fim_record_value(attributes, name);
    return v != NULL && isfinite(v->value) ? v->value : -1;
}

static int by_time(const void *x, const void *y) {
    const moment *a = x, *b = y;
    if (a->iteration != b->iteration)
        return a->iteration < b->iteration ? -1 : 1;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return strcmp(a->path, b->path);
}

// Two files of one moment hold the same weights: the last checkpoint, and the one of an interruption.
static bool same_moment(const moment *a, const moment *b) {
    return a->iteration >= 0 && a->iteration == b->iteration;
}

fim_status fim_study_trajectory(const char *folder, char ***out, size_t *count) {
    glob_t found = {0};
    moment *moments = NULL;
    char **paths = NULL, *pattern = NULL;
    size_t n = 0, kept = 0;
    fim_status status = FIM_OK;
    const size_t length = strlen(folder) + sizeof "/checkpoint-*.h5";
    FIM_TRY(fim_alloc(length, 1, "the name of a folder", &pattern));
    const bool slash = folder[0] != '\0' && folder[strlen(folder) - 1] == '/';
    snprintf(pattern, length, "%s%scheckpoint-*.h5", folder, slash ? "" : "/");
    const int failed = glob(pattern, 0, NULL, &found);
    if (failed == GLOB_NOSPACE)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot list %s", folder));
    if (failed != 0 || found.gl_pathc == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_IO,
                         "%s holds no checkpoint-*.h5: fim-train writes them, --checkpoint-every 1 "
                         "after every epoch",
                         folder));
    FIM_TRY(fim_alloc(found.gl_pathc, sizeof *moments, "checkpoints", &moments));
    FIM_TRY(fim_alloc(found.gl_pathc, sizeof *paths, "checkpoints", &paths));
    for (; n < found.gl_pathc; n++) {
        fim_record attributes;
        FIM_TRY(fim_file_attributes(found.gl_pathv[n], &attributes));
        moments[n] = (moment){found.gl_pathv[n], told(&attributes, "epoch"), told(&attributes, "iteration")};
        fim_record_clear(&attributes);
    }
    qsort(moments, n, sizeof *moments, by_time);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && same_moment(&moments[i], &moments[i - 1]))
            continue;
        paths[kept] = strdup(moments[i].path);
        if (paths[kept++] == NULL)
            FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the name of a checkpoint"));
    }
    *out = paths;
    *count = kept;
    paths = NULL;
out:
    for (size_t i = 0; paths != NULL && i < kept; i++)
        free(paths[i]);
    free(paths);
    free(moments);
    free(pattern);
    globfree(&found);
    return status;
}

fim_status study_moment(const char *file, fim_record *checkpoint) {
    static const char *const names[] = {"epoch", "iteration"};
    fim_record attributes;
    if (fim_file_attributes(file, &attributes) != FIM_OK) // not one of ours, or not a file
        return FIM_OK;
    fim_status status = FIM_OK;
    for (size_t i = 0; i < 2; i++)
        if (told(&attributes, names[i]) >= 0)
            FIM_TRY(fim_record_set(checkpoint, names[i], told(&attributes, names[i]), ""));
out:
    fim_record_clear(&attributes);
    return status;
}
