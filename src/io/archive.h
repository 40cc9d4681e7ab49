// Zip archives of unknown origin: names that occur once, members that are stored or deflated, sizes checked
// against what is stored and against the memory budget before anything is allocated.
#ifndef FIM_IO_ARCHIVE_H
#define FIM_IO_ARCHIVE_H

#include <zip.h>

#include "fim/io.h"

typedef struct fim_archive {
    zip_t *zip;
    const char *path;
    size_t n; // members
} fim_archive;

// Whether the file begins like a zip archive. FIM_ERR_IO when it cannot be read.
fim_status fim_archive_sniff(const char *path, bool *out);
// `path` must outlive *out. FIM_ERR_FORMAT for a damaged archive, or one that holds two members of one name.
fim_status fim_archive_open(const char *path, fim_archive *out);
void fim_archive_close(fim_archive *archive);

const char *fim_archive_name(const fim_archive *archive, size_t index);
// The member of this name; archive->n when there is none.
size_t fim_archive_find(const fim_archive *archive, const char *name);
// *size is what the member takes when it is read; nothing larger than what its bytes can expand to.
// FIM_ERR_FORMAT when it is encrypted, or compressed otherwise than by deflate.
fim_status fim_archive_check(const fim_archive *archive, size_t index, size_t *size);
// The bytes of a member, malloc'ed, with a 0 behind them; their number is taken from *budget.
fim_status fim_archive_read(const fim_archive *archive, size_t index, size_t *budget, unsigned char **bytes,
                            size_t *n);

#endif
