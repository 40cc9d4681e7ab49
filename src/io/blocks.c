// Blocks written: the exact Fisher blocks of fim-dump, one group per layer.
//
//   /                attributes format = "fim-blocks", version = 1, and what the header record tells
//   /layers/<name>   attributes index, d_a, d_g, samples, fisher
//     fisher         (D, D), or fisher_packed (D(D+1)/2), its upper triangle row by row
//     a_factor       (d_a, d_a), g_factor (d_g, d_g): the KFAC factors, on request
//     a              (N, d_a) with g (N, C, d_g) or g_packed (N, p_g): the samples, on request
//
// Data sets are contiguous: full-mantissa numbers do not compress, and any HDF5 program maps them as they
// lie.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "fim/linalg.h"
#include "record_file.h"

struct fim_blocks_writer {
    fim_h5 file;
    char *temporary, *path;
    bool overwrite;
    size_t count; // layers written
};

fim_status fim_blocks_create(const char *path, const fim_record *header, bool overwrite,
                             fim_blocks_writer **out) {
    fim_blocks_writer *writer = NULL;
    fim_status status = fim_alloc(1, sizeof *writer, "the writer of blocks", &writer);
    if (status != FIM_OK)
        return status;
    writer->file.id = -1;
    writer->overwrite = overwrite;
    FIM_TRY(fim_alloc(strlen(path) + 1, 1, "a file name", &writer->path));
    strcpy(writer->path, path);
    FIM_TRY(fim_file_begin(path, overwrite, &writer->temporary));
    FIM_TRY(fim_h5_create(writer->temporary, writer->path, fim_blocks_format, &writer->file));
    FIM_TRY(fim_h5_put_group(&writer->file, "/layers", FIM_H5_ANY));
    if (header != NULL)
        FIM_TRY(fim_record_put_attributes(header, &writer->file, "/"));
    *out = writer;
    writer = NULL;
out:
    fim_blocks_abandon(writer);
    return status;
}

static fim_status check_layer(const fim_blocks_writer *writer, const char *name, size_t d_a, size_t d_g,
                              const gsl_matrix *dense, const gsl_matrix *a, const gsl_matrix *g,
                              const fim_samples *samples, const fim_blocks_options *options) {
    size_t length = strlen(name), d = fim_size_mul(d_a, d_g);
    if (length == 0 || length >= sizeof((fim_blocks_layer){0}).name || strchr(name, '/') != NULL ||
        strcmp(name, ".") == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%s' cannot be the name of a layer", writer->path, name);
    if (dense == NULL && !options->samples)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "%s: layer %s has neither block nor samples", writer->path, name);
    if (dense != NULL && (dense->size1 != d || dense->size2 != d))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: the block of layer %s is (%zu, %zu), expected (%zu, %zu)",
                        writer->path, name, dense->size1, dense->size2, d, d);
    if (options->factors &&
        (a == NULL || g == NULL || a->size1 != d_a || a->size2 != d_a || g->size1 != d_g || g->size2 != d_g))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: the factors of layer %s are not (%zu, %zu) and (%zu, %zu)",
                        writer->path, name, d_a, d_a, d_g, d_g);
    if (options->samples && (samples == NULL || samples->d_a != d_a || samples->d_g != d_g))
        return FIM_FAIL(FIM_ERR_SHAPE, "%s: the samples of layer %s are not of %zu inputs and %zu outputs",
                        writer->path, name, d_a, d_g);
    return FIM_OK;
}

static fim_status put_samples(const fim_h5 *file, const char *name, const fim_samples *s) {
    char item[FIM_BLOCKS_ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(fim_samples_check(s));
    FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "a", item), 2, (size_t[]){s->n, s->d_a}, s->a));
    if (s->g != NULL)
        FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "g", item), 3,
                                  (size_t[]){s->n, s->columns, s->d_g}, s->g));
    else
        FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "g_packed", item), 2,
                                  (size_t[]){s->n, fim_svec_size(s->d_g)}, s->packed));
out:
    return fim_context(status, "layer %s", name);
}

fim_status fim_blocks_add(fim_blocks_writer *writer, const char *name, size_t d_a, size_t d_g, size_t n,
                          const char *fisher, const gsl_matrix *dense, const gsl_matrix *a,
                          const gsl_matrix *g, const fim_samples *samples,
                          const fim_blocks_options *options) {
    const fim_h5 *file = &writer->file;
    char layer[FIM_BLOCKS_ITEM], item[FIM_BLOCKS_ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(check_layer(writer, name, d_a, d_g, dense, a, g, samples, options));
    fim_blocks_item(name, "", layer);
    FIM_TRY(fim_h5_put_group(file, layer, writer->count));
    FIM_TRY(fim_h5_put_count(file, layer, "d_a", d_a));
    FIM_TRY(fim_h5_put_count(file, layer, "d_g", d_g));
    FIM_TRY(fim_h5_put_count(file, layer, "samples", n));
    FIM_TRY(fim_h5_put_text(file, layer, "fisher", fisher));
    if (dense != NULL && options->packed)
        FIM_TRY(fim_h5_put_triangle(file, fim_blocks_item(name, "fisher_packed", item), dense));
    else if (dense != NULL)
        FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "fisher", item), 2,
                                  (size_t[]){dense->size1, dense->size2}, dense));
    if (options->factors) {
        FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "a_factor", item), 2, (size_t[]){d_a, d_a}, a));
        FIM_TRY(fim_h5_put_matrix(file, fim_blocks_item(name, "g_factor", item), 2, (size_t[]){d_g, d_g}, g));
    }
    if (options->samples)
        FIM_TRY(put_samples(file, name, samples));
    writer->count++;
out:
    return status;
}

fim_status fim_blocks_commit(fim_blocks_writer *writer) {
    fim_status status = fim_h5_close(&writer->file);
    if (status == FIM_OK) {
        status = fim_file_commit(writer->temporary, writer->path, writer->overwrite);
        writer->temporary = NULL;
    }
    fim_blocks_abandon(writer);
    return status;
}

void fim_blocks_abandon(fim_blocks_writer *writer) {
    if (writer == NULL)
        return;
    fim_h5_close(&writer->file);
    fim_file_abandon(writer->temporary);
    free(writer->path);
    free(writer);
}
