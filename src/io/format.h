// What a checkpoint format provides; formats.def lists them.
#ifndef FIM_IO_FORMAT_H
#define FIM_IO_FORMAT_H

#include "fim/io.h"

// A reader is a function of the file alone: it keeps nothing, prints nothing, writes nothing, and executes
// nothing that a file holds, so that all of them can run in a child process.

// Whether the file looks like this format, by its content. FIM_ERR_IO when it cannot be read; a damaged file
// that begins like this format belongs to it.
typedef fim_status fim_format_sniff_fn(const char *path, bool *out);
// The network, its sources and notes; the caller checks the network (fim_net_check) and fills in the format's
// name. `options` is not NULL. Formats that tell all about a network leave them aside.
typedef fim_status fim_format_read_fn(const char *path, size_t budget, const fim_checkpoint_options *options,
                                      fim_checkpoint *out);

// An empty checkpoint of n_layers, whose layers the caller fills (w == NULL, source NULL).
fim_status fim_checkpoint_init(fim_checkpoint *checkpoint, fim_likelihood likelihood, size_t n_layers);
// Adds a remark.
fim_status fim_checkpoint_note(fim_checkpoint *checkpoint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// FIM_ERR_ARGUMENT when the user describes layers or activations of a file that tells them itself.
fim_status fim_checkpoint_needs_no(const char *path, const fim_checkpoint_options *options);

// Whether the file is in one of the formats of other programs, which say nothing of themselves by the names
// in sniff.c.
fim_status fim_checkpoint_sniff(const char *path, bool *out);

#define FIM_FORMAT(name, about)                                                                              \
    fim_format_sniff_fn fim_format_##name##_sniff;                                                           \
    fim_format_read_fn fim_format_##name##_read;
#include "fim/formats.def"
#undef FIM_FORMAT

#endif
