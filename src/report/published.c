// Losses of other people's training, from a CSV file.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

static const char head[] = "network,optimizer,epoch,loss_per_output";

// One line's fields; false when it has not four of them, or numbers do not parse.
static bool parse_line(const char *line, char network[static 32], struct fim_published_point *out) {
    char epoch[32], loss[32], rest[2];
    const char *cursor = line;
    return fim_list_next(&cursor, ',', network, 32) &&
           fim_list_next(&cursor, ',', out->optimizer, sizeof out->optimizer) &&
           fim_list_next(&cursor, ',', epoch, sizeof epoch) &&
           fim_list_next(&cursor, ',', loss, sizeof loss) &&
           !fim_list_next(&cursor, ',', rest, sizeof rest) &&
           fim_parse_double(epoch, "the epoch", 0, 1e9, &out->epoch) == FIM_OK &&
           fim_parse_double(loss, "the loss", 1e-300, 1e300, &out->loss) == FIM_OK;
}

static fim_status add_point(fim_published *list, const struct fim_published_point *point) {
    if ((list->count & (list->count - 1)) == 0) { // at powers of two
        struct fim_published_point *wider =
            realloc(list->points, (list->count > 0 ? 2 * list->count : 1) * sizeof *wider);
        if (wider == NULL)
            return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate published losses");
        list->points = wider;
    }
    list->points[list->count++] = *point;
    return FIM_OK;
}

fim_status fim_published_read(const char *path, const char *network, fim_published *out) {
    fim_status status = FIM_OK;
    fim_published list = {0};
    char line[256], own[32];
    size_t number = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        struct fim_published_point point;
        number++;
        if (strchr(line, '\n') == NULL && !feof(file))
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: line %zu is longer than %zu characters", path, number,
                             sizeof line - 2));
        line[strcspn(line, "\r\n")] = '\0';
        if (number == 1 && strcmp(line, head) != 0)
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: line 1 is not %s", path, head));
        if (number == 1 || line[0] == '\0')
            continue;
        if (!parse_line(line, own, &point))
            FIM_TRY(
                FIM_FAIL(FIM_ERR_FORMAT, "%s: line %zu is not as in curves,kfac,10,0.11084", path, number));
        if (strcmp(own, network) == 0)
            FIM_TRY(add_point(&list, &point));
    }
    if (ferror(file))
        FIM_TRY(FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno)));
    if (list.count == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_UNKNOWN, "%s: has no losses of the network '%s'", path, network));
    *out = list;
    list = (fim_published){0};
out:
    free(list.points);
    fclose(file);
    return status;
}
