// What a checkpoint format provides; formats.def lists them.
#ifndef FIM_IO_FORMAT_H
#define FIM_IO_FORMAT_H

#include "fim/io.h"

// Whether the file looks like this format, by its content. FIM_ERR_IO when it cannot be read; a damaged file
// that begins like this format belongs to it.
typedef fim_status fim_format_sniff_fn(const char *path, bool *out);
// The network; the caller checks it (fim_net_check).
typedef fim_status fim_format_read_fn(const char *path, size_t budget, fim_net *out);

#define FIM_FORMAT(name, about)                                                                              \
    fim_format_sniff_fn fim_format_##name##_sniff;                                                           \
    fim_format_read_fn fim_format_##name##_read;
#include "formats.def"
#undef FIM_FORMAT

#endif
