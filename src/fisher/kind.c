// Which Fisher: its name on the command line and in files.
#include <stdio.h>
#include <string.h>

#include "fim/fisher.h"

fim_status fim_fisher_spec_parse(const char *text, fim_fisher_spec *spec) {
    size_t draws = 1;
    if (strcmp(text, "exact") == 0) {
        spec->kind = FIM_FISHER_EXACT;
    } else if (strcmp(text, "empirical") == 0) {
        spec->kind = FIM_FISHER_EMPIRICAL;
    } else if (strcmp(text, "mc") == 0 || strncmp(text, "mc:", 3) == 0) {
        if (text[2] == ':') {
            fim_status status = fim_parse_size(text + 3, "draws of an mc Fisher", 1, 1000000, &draws);
            if (status != FIM_OK)
                return status;
        }
        spec->kind = FIM_FISHER_MC;
    } else {
        return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown Fisher '%s': exact, mc, mc:K or empirical", text);
    }
    spec->draws = draws;
    return FIM_OK;
}

char *fim_fisher_spec_format(const fim_fisher_spec *spec, char buffer[static 32]) {
    if (spec->kind == FIM_FISHER_MC)
        snprintf(buffer, 32, "mc:%zu", spec->draws);
    else
        snprintf(buffer, 32, "%s", spec->kind == FIM_FISHER_EXACT ? "exact" : "empirical");
    return buffer;
}
