// tools/source.h - the options that say which samples of which layers are looked at, shared by fim-dump and
// fim-analyze.
#ifndef FIM_SOURCE_H
#define FIM_SOURCE_H

#include "cli.h"
#include "fim/run.h"

typedef struct fim_source {
    const char *data, *labels; // NULL: not given
    const char *layers;        // "0,3"; NULL: all
    size_t samples;            // 0: 512, or all there are
    fim_fisher_spec fisher;    // its seed is set from --seed
} fim_source;

// An argp child; its input is a fim_source.
extern const struct argp source_argp;
#define SOURCE_HEADING "What is looked at:"

// Reads the data set; FIM_ERR_ARGUMENT when --data is missing.
fim_status source_read(const fim_cli *cli, const fim_source *source, fim_data *data);

// The root of a file to be written: provenance with the inputs (`files`, then the data), seed and Fisher
// kind.
fim_status source_provenance(const fim_cli *cli, const fim_source *source, char *const *files, size_t n_files,
                             int argc, char **argv, fim_record *record);

#endif
