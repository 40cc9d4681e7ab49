// Blocks: the exact Fisher blocks of fim-dump, one group per layer.
//
//   /                attributes format = "fim-blocks", version = 1, and what the header record tells
//   /layers/<name>   attributes index, d_a, d_g, samples, fisher
//     fisher         (D, D), or fisher_packed (D(D+1)/2), its upper triangle row by row
//     a_factor       (d_a, d_a), g_factor (d_g, d_g): the KFAC factors, on request
//     a              (N, d_a) with g (N, C, d_g) or g_packed (N, p_g): the samples, on request
//
// Data sets are contiguous: full-mantissa numbers do not compress, and any HDF5 program maps them as they
// lie.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "h5.h"
#include "record_file.h"

enum { ITEM = 128 };

static const char format_name[] = "fim-blocks";

struct fim_blocks_writer {
    fim_h5 file;
    char *temporary, *path;
    size_t count; // layers written
};

// "/layers/<name>/<set>"; set "" gives the layer itself. Names come with at most 63 characters.
static const char *item_of(const char *name, const char *set, char item[static ITEM]) {
    snprintf(item, ITEM, "/layers/%s%s%s", name, set[0] != '\0' ? "/" : "", set);
    return item;
}

// ---- Writing ----

fim_status fim_blocks_create(const char *path, const fim_record *header, bool overwrite,
                             fim_blocks_writer **out) {
    fim_blocks_writer *writer = NULL;
    fim_status status = fim_alloc(1, sizeof *writer, "the writer of blocks", &writer);
    if (status != FIM_OK)
        return status;
    writer->file.id = -1;
    FIM_TRY(fim_alloc(strlen(path) + 1, 1, "a file name", &writer->path));
    strcpy(writer->path, path);
    FIM_TRY(fim_file_begin(path, overwrite, &writer->temporary));
    FIM_TRY(fim_h5_create(writer->temporary, writer->path, format_name, &writer->file));
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
    char item[ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(fim_samples_check(s));
    FIM_TRY(fim_h5_put_matrix(file, item_of(name, "a", item), 2, (size_t[]){s->n, s->d_a}, s->a));
    if (s->g != NULL)
        FIM_TRY(
            fim_h5_put_matrix(file, item_of(name, "g", item), 3, (size_t[]){s->n, s->columns, s->d_g}, s->g));
    else
        FIM_TRY(fim_h5_put_matrix(file, item_of(name, "g_packed", item), 2,
                                  (size_t[]){s->n, fim_svec_size(s->d_g)}, s->packed));
out:
    return fim_context(status, "layer %s", name);
}

fim_status fim_blocks_add(fim_blocks_writer *writer, const char *name, size_t d_a, size_t d_g, size_t n,
                          const char *fisher, const gsl_matrix *dense, const gsl_matrix *a,
                          const gsl_matrix *g, const fim_samples *samples,
                          const fim_blocks_options *options) {
    const fim_h5 *file = &writer->file;
    char layer[ITEM], item[ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(check_layer(writer, name, d_a, d_g, dense, a, g, samples, options));
    item_of(name, "", layer);
    FIM_TRY(fim_h5_put_group(file, layer, writer->count));
    FIM_TRY(fim_h5_put_count(file, layer, "d_a", d_a));
    FIM_TRY(fim_h5_put_count(file, layer, "d_g", d_g));
    FIM_TRY(fim_h5_put_count(file, layer, "samples", n));
    FIM_TRY(fim_h5_put_text(file, layer, "fisher", fisher));
    if (dense != NULL && options->packed)
        FIM_TRY(fim_h5_put_triangle(file, item_of(name, "fisher_packed", item), dense));
    else if (dense != NULL)
        FIM_TRY(fim_h5_put_matrix(file, item_of(name, "fisher", item), 2,
                                  (size_t[]){dense->size1, dense->size2}, dense));
    if (options->factors) {
        FIM_TRY(fim_h5_put_matrix(file, item_of(name, "a_factor", item), 2, (size_t[]){d_a, d_a}, a));
        FIM_TRY(fim_h5_put_matrix(file, item_of(name, "g_factor", item), 2, (size_t[]){d_g, d_g}, g));
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
        status = fim_file_commit(writer->temporary, writer->path);
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

// ---- Reading ----

void fim_blocks_layer_clear(fim_blocks_layer *layer) {
    gsl_matrix_free(layer->dense);
    gsl_matrix_free(layer->a);
    gsl_matrix_free(layer->g);
    fim_samples_clear(&layer->samples);
    *layer = (fim_blocks_layer){0};
}

fim_status fim_blocks_list(const char *path, char ***names, size_t *count) {
    fim_h5 file = {.id = -1};
    char **list = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open_format(path, format_name, 0, &file));
    FIM_TRY(fim_h5_list(&file, "/layers", &list, &n));
    if (n == 0) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: /layers holds no layer", path);
        goto out;
    }
    *names = list;
    *count = n;
    list = NULL;
out:
    fim_h5_names_free(list, n);
    fim_h5_close(&file);
    return status;
}

static fim_status has_set(const fim_h5 *file, const char *name, const char *set, bool *out) {
    char item[ITEM];
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = fim_h5_find(file, item_of(name, set, item), &kind);
    if (status == FIM_OK)
        *out = kind != FIM_H5_NOTHING;
    return status;
}

// The attributes of a layer and which data sets it has.
static fim_status read_about(const fim_h5 *file, const char *name, fim_blocks_about *out) {
    fim_blocks_about about = {0};
    char layer[ITEM], *fisher = NULL;
    fim_h5_kind kind = FIM_H5_NOTHING;
    bool g = false;
    fim_status status = FIM_OK;
    if (strlen(name) >= sizeof about.name) {
        status =
            FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%.70s' is too long for the name of a layer", file->path, name);
        goto out;
    }
    strcpy(about.name, name);
    FIM_TRY(fim_h5_find(file, item_of(name, "", layer), &kind));
    if (kind != FIM_H5_GROUP) {
        status = FIM_FAIL(FIM_ERR_UNKNOWN, "%s: has no layer '%s'", file->path, name);
        goto out;
    }
    FIM_TRY(fim_h5_count(file, layer, "d_a", 1, &about.d_a));
    FIM_TRY(fim_h5_count(file, layer, "d_g", 1, &about.d_g));
    FIM_TRY(fim_h5_count(file, layer, "samples", 1, &about.n));
    FIM_TRY(fim_h5_text(file, layer, "fisher", &fisher));
    if (strlen(fisher) >= sizeof about.fisher) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: attribute 'fisher' of %s is too long", file->path, layer);
        goto out;
    }
    strcpy(about.fisher, fisher);
    FIM_TRY(has_set(file, name, "fisher", &about.dense));
    FIM_TRY(has_set(file, name, "fisher_packed", &about.packed));
    FIM_TRY(has_set(file, name, "a_factor", &about.factors));
    FIM_TRY(has_set(file, name, "a", &about.samples));
    FIM_TRY(has_set(file, name, "g", &g));
    if (!about.dense && !about.packed && !about.samples) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: %s has none of fisher, fisher_packed and a (with g)",
                          file->path, layer);
        goto out;
    }
    about.g_packed = about.samples && !g;
    *out = about;
out:
    free(fisher);
    return status;
}

fim_status fim_blocks_describe(const char *path, const char *name, fim_blocks_about *out) {
    fim_h5 file = {.id = -1};
    fim_status status = fim_h5_open_format(path, format_name, 0, &file);
    if (status == FIM_OK)
        status = read_about(&file, name, out);
    fim_h5_close(&file);
    return status;
}

// The packed triangle lies at the beginning of m's buffer; its rows move to their places from the last one
// on, each to a place not before its own.
static void unpack_triangle(gsl_matrix *m) {
    size_t n = m->size1;
    for (size_t i = n; i-- > 0;)
        memmove(m->data + i * n + i, m->data + i * n - i * (i - 1) / 2, (n - i) * sizeof(double));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            m->data[i * n + j] = m->data[j * n + i];
}

// A block is symmetric; the sums behind it may round differently on the two sides.
static fim_status check_symmetric(const fim_h5 *file, const char *item, const gsl_matrix *m) {
    enum { TILE = 64 };
    size_t n = m->size1;
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(gsl_matrix_get(m, i, i)));
    for (size_t i0 = 0; i0 < n; i0 += TILE)
        for (size_t j0 = 0; j0 <= i0; j0 += TILE)
            for (size_t i = i0; i < n && i < i0 + TILE; i++)
                for (size_t j = j0; j < i && j < j0 + TILE; j++)
                    if (!(fabs(gsl_matrix_get(m, i, j) - gsl_matrix_get(m, j, i)) <= 1e-8 * largest))
                        return FIM_FAIL(
                            FIM_ERR_VALUE, "%s: %s is not symmetric: [%zu, %zu] is %g, [%zu, %zu] is %g",
                            file->path, item, i, j, gsl_matrix_get(m, i, j), j, i, gsl_matrix_get(m, j, i));
    return FIM_OK;
}

static fim_status read_dense(fim_h5 *file, const fim_blocks_about *about, gsl_matrix **out) {
    char item[ITEM];
    size_t d = fim_size_mul(about->d_a, about->d_g);
    gsl_matrix *m = NULL;
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    if (about->dense) {
        FIM_TRY(fim_h5_matrix(file, item_of(about->name, "fisher", item), d, d, "from d_a and d_g", &m));
    } else {
        size_t packed = d < SIZE_MAX / 2 ? fim_size_mul(d, d + 1) / 2 : SIZE_MAX - 1;
        FIM_TRY(fim_h5_set_open(file, item_of(about->name, "fisher_packed", item), &set));
        FIM_TRY(fim_h5_set_expect(file, &set, 1, &packed, "from d_a and d_g"));
        FIM_TRY(fim_h5_set_claim(file, &set));
        FIM_TRY(fim_h5_set_claim(file, &set)); // twice the triangle: the matrix
        FIM_TRY(fim_matrix_new(d, d, item, &m));
        gsl_matrix line = {.size1 = 1, .size2 = packed, .tda = packed, .data = m->data};
        FIM_TRY(fim_h5_set_read(file, &set, true, &line));
        unpack_triangle(m);
    }
    FIM_TRY(check_symmetric(file, item, m));
    *out = m;
    m = NULL;
out:
    fim_h5_set_close(&set);
    gsl_matrix_free(m);
    return status;
}

static fim_status read_samples(fim_h5 *file, const fim_blocks_about *about, fim_samples *out) {
    fim_samples s = {.n = about->n, .d_a = about->d_a, .d_g = about->d_g};
    char item[ITEM];
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_matrix(file, item_of(about->name, "a", item), s.n, s.d_a, "from samples and d_a", &s.a));
    if (about->g_packed) {
        FIM_TRY(fim_h5_matrix(file, item_of(about->name, "g_packed", item), s.n,
                              s.d_g < SIZE_MAX / s.d_g ? fim_svec_size(s.d_g) : SIZE_MAX - 1,
                              "from samples and d_g", &s.packed));
    } else {
        FIM_TRY(fim_h5_set_open(file, item_of(about->name, "g", item), &set));
        FIM_TRY(fim_h5_set_expect(file, &set, 3, (size_t[]){s.n, FIM_H5_ANY, s.d_g}, "from samples and d_g"));
        FIM_TRY(fim_h5_set_claim(file, &set));
        s.columns = set.dim[1];
        FIM_TRY(fim_matrix_new(s.n * s.columns, s.d_g, item, &s.g));
        FIM_TRY(fim_h5_set_read(file, &set, true, s.g));
    }
    *out = s;
    s = (fim_samples){0};
out:
    fim_h5_set_close(&set);
    fim_samples_clear(&s);
    return status;
}

fim_status fim_blocks_read(const char *path, const char *name, bool prefer_samples, size_t budget,
                           fim_blocks_layer *out) {
    fim_h5 file = {.id = -1};
    fim_blocks_about about;
    fim_blocks_layer layer = {0};
    char item[ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open_format(path, format_name, budget, &file));
    FIM_TRY(read_about(&file, name, &about));
    strcpy(layer.name, about.name);
    strcpy(layer.fisher, about.fisher);
    layer.d_a = about.d_a;
    layer.d_g = about.d_g;
    layer.n = about.n;
    if (about.factors) {
        FIM_TRY(fim_h5_matrix(&file, item_of(name, "a_factor", item), about.d_a, about.d_a, "from d_a",
                              &layer.a));
        FIM_TRY(fim_h5_matrix(&file, item_of(name, "g_factor", item), about.d_g, about.d_g, "from d_g",
                              &layer.g));
    }
    if (about.samples)
        FIM_TRY(read_samples(&file, &about, &layer.samples));
    if ((about.dense || about.packed) && !(prefer_samples && about.samples))
        FIM_TRY(read_dense(&file, &about, &layer.dense));
    *out = layer;
    layer = (fim_blocks_layer){0};
out:
    fim_blocks_layer_clear(&layer);
    fim_h5_close(&file);
    return status;
}
