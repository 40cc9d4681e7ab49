// Bytes of a plain file, a gzipped file or a member of a zip archive, all read alike. What comes out is
// bounded by what the header of its content claimed, and the claim by what the file stores.
#ifndef FIM_IO_STREAM_H
#define FIM_IO_STREAM_H

#include <zlib.h>

#include "archive.h"

typedef struct fim_stream {
    const char *name; // of the file, or "file: member"
    size_t limit;     // bytes that can come out at the most, by the bytes stored
    gzFile gz;        // plain and gzipped files
    zip_file_t *zip;  // members of archives
} fim_stream;

// FIM_ERR_IO when it cannot be opened or is no regular file.
fim_status fim_stream_open(const char *path, fim_stream *out);
// Member `index` of an archive; *out takes `name` over as a pointer.
fim_status fim_stream_open_member(const fim_archive *archive, size_t index, const char *name,
                                  fim_stream *out);
void fim_stream_close(fim_stream *stream);

// At most n bytes; *got < n at the end. FIM_ERR_FORMAT for damaged compression.
fim_status fim_stream_read_some(fim_stream *stream, void *buffer, size_t n, size_t *got);
// Exactly n bytes; FIM_ERR_FORMAT when the stream ends before.
fim_status fim_stream_read(fim_stream *stream, void *buffer, size_t n);
// FIM_ERR_FORMAT when `bytes` more, as a header claims, cannot be in the file.
fim_status fim_stream_claim(const fim_stream *stream, size_t bytes);
// FIM_ERR_FORMAT unless the stream ends here; sees to it that checksums are compared.
fim_status fim_stream_end(fim_stream *stream);

#endif
