// The list of metrics.
#include <stdlib.h>
#include <string.h>

#include "metric.h"

static const fim_metric list[] = {
#define FIM_METRIC(function, name, unit, spectral, about) {name, unit, spectral, metric_##function, about},
#include "fim/metrics.def"
#undef FIM_METRIC
};

const fim_metric *fim_metric_list(size_t *count) {
    *count = sizeof list / sizeof *list;
    return list;
}

static fim_status find(const char *name, const fim_metric **out) {
    char names[512] = "";
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].name, name) == 0) {
            *out = &list[i];
            return FIM_OK;
        }
        strcat(names, i > 0 ? ", " : "");
        strcat(names, list[i].name);
    }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown metric '%s': all, or some of %s", name, names);
}

fim_status fim_metric_parse_list(const char *text, const fim_metric ***out, size_t *count) {
    const size_t known = sizeof list / sizeof *list;
    bool wanted[sizeof list / sizeof *list] = {false};
    char item[64];
    for (const char *cursor = text; fim_list_next(&cursor, ',', item, sizeof item);) {
        const bool all = strcmp(item, "all") == 0;
        const fim_metric *one = NULL;
        fim_status status = all ? FIM_OK : find(item, &one);
        if (status != FIM_OK)
            return status;
        for (size_t i = 0; i < known; i++)
            wanted[i] |= all || one == &list[i];
    }
    const fim_metric **metrics = NULL;
    fim_status status = fim_alloc(known, sizeof *metrics, "the list of metrics", &metrics);
    if (status != FIM_OK)
        return status;
    size_t n = 0;
    for (size_t i = 0; i < known; i++)
        if (wanted[i])
            metrics[n++] = &list[i];
    *out = metrics;
    *count = n;
    return FIM_OK;
}
