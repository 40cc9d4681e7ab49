// What the writer and the reader of blocks share.
#ifndef FIM_IO_BLOCKS_H
#define FIM_IO_BLOCKS_H

#include <stdio.h>

#include "h5.h"

enum { FIM_BLOCKS_ITEM = 128 };

static const char fim_blocks_format[] = "fim-blocks", fim_capture_format[] = "fim-capture";

// "/layers/<name>/<set>"; set "" gives the layer itself. Names come with at most 63 characters.
static inline const char *fim_blocks_item(const char *name, const char *set,
                                          char item[static FIM_BLOCKS_ITEM]) {
    snprintf(item, FIM_BLOCKS_ITEM, "/layers/%s%s%s", name, set[0] != '\0' ? "/" : "", set);
    return item;
}

#endif
