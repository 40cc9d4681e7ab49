// Numbers from the command line and from files' texts: the whole text counts, and so do the limits.
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fim/base.h"

fim_status fim_parse_size(const char *text, const char *what, size_t low, size_t high, size_t *out) {
    char *end = NULL;
    errno = 0;
    // strtoull accepts signs and leading space; a count has neither.
    unsigned long long value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || (errno == 0 && (value < low || value > high)) || errno != 0) {
        if (high == SIZE_MAX)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is not a whole number of at least %zu", what, text,
                            low);
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is not a whole number from %zu to %zu", what, text, low,
                        high);
    }
    *out = (size_t)value;
    return FIM_OK;
}

fim_status fim_parse_double(const char *text, const char *what, double low, double high, double *out) {
    char *end = NULL;
    bool begins = text[0] != '\0' && !isspace((unsigned char)text[0]);
    double value = begins ? strtod(text, &end) : 0;
    if (!begins || *end != '\0' || !isfinite(value) || value < low || value > high)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is not a number from %g to %g", what, text, low, high);
    *out = value;
    return FIM_OK;
}

fim_status fim_parse_bytes(const char *text, const char *what, size_t *out) {
    static const char suffix[] = "kMGT";
    char *end = NULL;
    double value = isdigit((unsigned char)text[0]) ? strtod(text, &end) : -1;
    const char *found = end != NULL && *end != '\0' ? strchr(suffix, *end) : NULL;
    if (found != NULL) {
        value = ldexp(value, 10 * (int)(found - suffix + 1));
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
            end += strlen(end);
    }
    if (!(value >= 1 && value < ldexp(1, 63)) || *end != '\0')
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' is not a size in bytes such as 500M or 8G", what, text);
    *out = (size_t)value;
    return FIM_OK;
}

bool fim_list_next(const char **cursor, char separator, char *item, size_t size) {
    if (*cursor == NULL)
        return false;
    const char *end = strchr(*cursor, separator);
    size_t length = end != NULL ? (size_t)(end - *cursor) : strlen(*cursor);
    size_t kept = length < size ? length : size - 1;
    memcpy(item, *cursor, kept);
    item[kept] = '\0';
    *cursor = end != NULL ? end + 1 : NULL;
    return true;
}
