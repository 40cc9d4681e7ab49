// Names to numbers: one search, one message, for every option that is a word.
#include <stdio.h>
#include <string.h>

#include "fim/base.h"

fim_status fim_name_find(const char *what, const char *const *names, size_t count, const char *text,
                         size_t *out) {
    for (size_t k = 0; k < count; k++)
        if (strcmp(names[k], text) == 0) {
            *out = k;
            return FIM_OK;
        }
    char known[256] = "";
    for (size_t k = 0, used = 0; k < count && used < sizeof known; k++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", k > 0 ? ", " : "", names[k]);
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown %s '%s' (known: %s)", what, text, known);
}
