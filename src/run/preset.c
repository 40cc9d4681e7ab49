// Networks by name: the auto-encoders of arXiv 2201.10285, or widths by hand.
#include <stdio.h>
#include <string.h>

#include "fim/run.h"

static const fim_net_spec presets[] = {
    {"curves", 12, {784, 400, 200, 100, 50, 25, 6, 25, 50, 100, 200, 400, 784}, FIM_BERNOULLI, 256},
    {"mnist", 8, {784, 1000, 500, 250, 30, 250, 500, 1000, 784}, FIM_BERNOULLI, 512},
    {"faces", 8, {625, 2000, 1000, 500, 30, 500, 1000, 2000, 625}, FIM_GAUSSIAN, 1024},
};

enum { WIDEST = 1 << 20 };

static fim_status parse_widths(const char *text, fim_net_spec *out) {
    fim_net_spec spec = {.likelihood = FIM_GAUSSIAN, .batch = 256};
    size_t room = sizeof spec.widths / sizeof *spec.widths, count = 0;
    char item[32];
    for (const char *cursor = text; fim_list_next(&cursor, '-', item, sizeof item); count++) {
        if (count == room)
            return FIM_FAIL(FIM_ERR_ARGUMENT, "--net: '%s' has more than %zu widths", text, room);
        fim_status status = fim_parse_size(item, "--net: a width", 1, WIDEST, &spec.widths[count]);
        if (status != FIM_OK)
            return status;
    }
    if (count < 2)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "--net: '%s' needs at least two widths, as in 784-100-10", text);
    spec.n_layers = count - 1;
    *out = spec;
    return FIM_OK;
}

fim_status fim_net_spec_parse(const char *text, fim_net_spec *out) {
    for (size_t k = 0; k < sizeof presets / sizeof *presets; k++)
        if (strcmp(presets[k].name, text) == 0) {
            *out = presets[k];
            return FIM_OK;
        }
    if (strspn(text, "0123456789-") != strlen(text))
        return FIM_FAIL(FIM_ERR_ARGUMENT,
                        "--net: unknown network '%s' (curves, mnist, faces, or widths such as 784-100-10)",
                        text);
    return parse_widths(text, out);
}
