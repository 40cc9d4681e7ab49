// Streams: zlib reads plain and gzipped files alike, libzip the members of archives.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "stream.h"

enum { DEFLATE_RATIO = 1032 }; // the most that deflate can expand its input

fim_status fim_stream_open(const char *path, fim_stream *out) {
    struct stat about;
    if (stat(path, &about) != 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: not a regular file", path);
    gzFile gz = gzopen(path, "rb");
    if (gz == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    gzbuffer(gz, 1 << 17);
    size_t ratio = gzdirect(gz) ? 1 : DEFLATE_RATIO;
    *out = (fim_stream){.name = path, .limit = fim_size_mul((size_t)about.st_size, ratio), .gz = gz};
    return FIM_OK;
}

fim_status fim_stream_open_member(const fim_archive *archive, size_t index, const char *name,
                                  fim_stream *out) {
    size_t size = 0;
    fim_status status = fim_archive_check(archive, index, &size);
    if (status != FIM_OK)
        return status;
    zip_file_t *zip = zip_fopen_index(archive->zip, index, 0);
    if (zip == NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: %s cannot be read: %s", archive->path,
                        fim_archive_name(archive, index), zip_strerror(archive->zip));
    *out = (fim_stream){.name = name, .limit = size, .zip = zip};
    return FIM_OK;
}

void fim_stream_close(fim_stream *stream) {
    if (stream->gz != NULL)
        gzclose(stream->gz);
    if (stream->zip != NULL)
        zip_fclose(stream->zip);
    *stream = (fim_stream){0};
}

fim_status fim_stream_read_some(fim_stream *stream, void *buffer, size_t n, size_t *got) {
    size_t done = 0;
    while (done < n) {
        size_t want = n - done < 1 << 30 ? n - done : 1 << 30;
        char *to = (char *)buffer + done;
        zip_int64_t count =
            stream->gz != NULL ? gzread(stream->gz, to, (unsigned)want) : zip_fread(stream->zip, to, want);
        int error = Z_OK;
        const char *reason =
            stream->gz != NULL ? gzerror(stream->gz, &error) : zip_file_strerror(stream->zip);
        if (count < 0 || (error != Z_OK && error != Z_STREAM_END))
            return FIM_FAIL(FIM_ERR_FORMAT, "%s: is damaged: %s", stream->name,
                            error == Z_BUF_ERROR ? "its compressed data end too early" : reason);
        if (count == 0)
            break;
        done += (size_t)count;
    }
    *got = done;
    return FIM_OK;
}

fim_status fim_stream_read(fim_stream *stream, void *buffer, size_t n) {
    size_t got = 0;
    fim_status status = fim_stream_read_some(stream, buffer, n, &got);
    if (status == FIM_OK && got < n)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: ends too early", stream->name);
    return status;
}

fim_status fim_stream_claim(const fim_stream *stream, size_t bytes) {
    if (bytes <= stream->limit)
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT,
                    "%s: its header claims %zu bytes, but the file is too small for more than %zu",
                    stream->name, bytes, stream->limit);
}

fim_status fim_stream_end(fim_stream *stream) {
    unsigned char byte;
    size_t got = 0;
    fim_status status = fim_stream_read_some(stream, &byte, 1, &got);
    if (status == FIM_OK && got != 0)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: holds more than its header tells", stream->name);
    return status;
}
