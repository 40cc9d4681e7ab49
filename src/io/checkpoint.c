// Checkpoints: which format a file is in, and the check that every network passes, whoever wrote it.
#include "fim/io.h"
#include "format.h"

typedef struct format {
    const char *about;
    fim_format_sniff_fn *sniff;
    fim_format_read_fn *read;
} format;

static const format formats[] = {
#define FIM_FORMAT(name, about) {about, fim_format_##name##_sniff, fim_format_##name##_read},
#include "formats.def"
#undef FIM_FORMAT
};

#define FIM_FORMAT(name, about) "; " about
static const char known[] =
#include "formats.def"
    ;
#undef FIM_FORMAT

fim_status fim_checkpoint_read(const char *path, size_t budget, fim_net *out) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bool found = false;
        fim_status status = formats[i].sniff(path, &found);
        if (status != FIM_OK)
            return status;
        if (!found)
            continue;
        fim_net net;
        if ((status = formats[i].read(path, budget, &net)) != FIM_OK)
            return status;
        if ((status = fim_net_check(&net)) != FIM_OK) {
            fim_net_clear(&net);
            return fim_context(status, "%s", path);
        }
        *out = net;
        return FIM_OK;
    }
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: is not a checkpoint; known formats: %s", path, known + 2);
}
