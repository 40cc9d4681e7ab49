// Blocks read: the layers of a file of fim-dump, listed and one by one (blocks.c has the layout), and of
// captures, which are such files made by hand. A capture has root attribute format = "fim-capture" and holds
// samples alone; what their shapes tell need not be told by attributes:
//   /layers/<name>   attribute fisher; if wanted index, bias, scale
//     a              (N, d_a), or (N, d_a − 1) with bias = 1: the constant 1 is put behind every row
//     g              (N, C, d_g), or (N, d_g) for C = 1, times scale: G_n = scale² Σ_c g_nc g_ncᵀ
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "fim/linalg.h"
#include "sandbox.h"

void fim_blocks_layer_clear(fim_blocks_layer *layer) {
    gsl_matrix_free(layer->dense);
    gsl_matrix_free(layer->a);
    gsl_matrix_free(layer->g);
    fim_samples_clear(&layer->samples);
    *layer = (fim_blocks_layer){0};
}

static fim_status has_set(const fim_h5 *file, const char *name, const char *set, bool *out) {
    char item[FIM_BLOCKS_ITEM];
    fim_h5_kind kind = FIM_H5_NOTHING;
    fim_status status = fim_h5_find(file, fim_blocks_item(name, set, item), &kind);
    if (status == FIM_OK)
        *out = kind != FIM_H5_NOTHING;
    return status;
}

// The attribute `name`, or, where there is none, what the samples' shape says: `found`, 0 when it is unknown.
static fim_status read_count(const fim_h5 *file, const char *layer, const char *name, size_t found,
                             size_t *out) {
    bool has = false;
    fim_status status = found > 0 ? fim_h5_has(file, layer, name, &has) : FIM_OK;
    if (status != FIM_OK)
        return status;
    if (found == 0 || has)
        return fim_h5_count(file, layer, name, 1, out);
    *out = found;
    return FIM_OK;
}

// An attribute that may be missing; `absent` then.
static fim_status read_number(const fim_h5 *file, const char *layer, const char *name, double absent,
                              double *out) {
    bool has = false;
    fim_status status = fim_h5_has(file, layer, name, &has);
    if (status == FIM_OK && has)
        return fim_h5_number(file, layer, name, out);
    if (status == FIM_OK)
        *out = absent;
    return status;
}

// d_a, d_g and N, and how a and g are to be taken.
static fim_status read_shapes(const fim_h5 *file, const char *layer, bool g, fim_blocks_about *about) {
    char item[FIM_BLOCKS_ITEM];
    double bias = 0;
    size_t inputs = 0, outputs = 0, n = 0;
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(read_number(file, layer, "bias", 0, &bias));
    FIM_TRY(read_number(file, layer, "scale", 1, &about->scale));
    if (bias < 0 || bias > 1 || (bias > 0 && bias < 1))
        FIM_TRY(FIM_FAIL(FIM_ERR_VALUE,
                         "%s: attribute 'bias' of %s is %g, expected 1 (a lacks the constant 1) or 0",
                         file->path, layer, bias));
    if (!(about->scale > 0))
        FIM_TRY(FIM_FAIL(FIM_ERR_VALUE, "%s: attribute 'scale' of %s is %g, expected a positive number",
                         file->path, layer, about->scale));
    about->bias = bias > 0;
    if (about->samples) {
        FIM_TRY(fim_h5_set_open(file, fim_blocks_item(about->name, "a", item), &set));
        if (set.rank == 2) {
            n = set.dim[0];
            inputs = fim_size_add(set.dim[1], about->bias ? 1 : 0);
        }
        fim_h5_set_close(&set);
    }
    if (about->samples && g) {
        FIM_TRY(fim_h5_set_open(file, fim_blocks_item(about->name, "g", item), &set));
        outputs = set.dim[set.rank - 1];
    }
    FIM_TRY(read_count(file, layer, "d_a", inputs, &about->d_a));
    FIM_TRY(read_count(file, layer, "d_g", outputs, &about->d_g));
    FIM_TRY(read_count(file, layer, "samples", n, &about->n));
out:
    fim_h5_set_close(&set);
    return status;
}

// The attributes of a layer and which data sets it has.
static fim_status read_about(const fim_h5 *file, const char *name, fim_blocks_about *out) {
    fim_blocks_about about = {0};
    fim_fisher_spec spec;
    char layer[FIM_BLOCKS_ITEM], *fisher = NULL;
    fim_h5_kind kind = FIM_H5_NOTHING;
    bool g = false;
    fim_status status = FIM_OK;
    if (strlen(name) >= sizeof about.name) {
        status =
            FIM_FAIL(FIM_ERR_ARGUMENT, "%s: '%.70s' is too long for the name of a layer", file->path, name);
        goto out;
    }
    strcpy(about.name, name);
    FIM_TRY(fim_h5_find(file, fim_blocks_item(name, "", layer), &kind));
    if (kind != FIM_H5_GROUP) {
        status = FIM_FAIL(FIM_ERR_UNKNOWN, "%s: has no layer '%s'", file->path, name);
        goto out;
    }
    FIM_TRY(fim_h5_text(file, layer, "fisher", &fisher));
    if (strlen(fisher) >= sizeof about.fisher) {
        status = FIM_FAIL(FIM_ERR_FORMAT, "%s: attribute 'fisher' of %s is too long", file->path, layer);
        goto out;
    }
    FIM_TRY(
        fim_context(fim_fisher_spec_parse(fisher, &spec), "%s: attribute 'fisher' of %s", file->path, layer));
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
    FIM_TRY(read_shapes(file, layer, g, &about));
    *out = about;
out:
    free(fisher);
    return status;
}

// A dump or a capture.
static fim_status open_blocks(const char *path, size_t budget, fim_h5 *out) {
    fim_h5 file = {.id = -1};
    char *format = NULL;
    bool has = false, capture = false;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open(path, 0, &file));
    FIM_TRY(fim_h5_has(&file, "/", "format", &has));
    if (has) {
        FIM_TRY(fim_h5_text(&file, "/", "format", &format));
        capture = strcmp(format, fim_capture_format) == 0;
    }
    fim_h5_close(&file);
    status = fim_h5_open_format(path, capture ? fim_capture_format : fim_blocks_format, budget, out);
out:
    fim_h5_close(&file);
    free(format);
    return status;
}

typedef struct listing {
    const char *path;
    fim_blocks_about *layers;
    size_t count;
} listing;

static fim_status list_here(void *context) {
    listing *found = context;
    fim_h5 file = {.id = -1};
    fim_blocks_about *layers = NULL;
    char **names = NULL;
    size_t n = 0;
    fim_status status = FIM_OK;
    FIM_TRY(open_blocks(found->path, 0, &file));
    FIM_TRY(fim_h5_list(&file, "/layers", &names, &n));
    if (n == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: /layers holds no layer", found->path));
    FIM_TRY(fim_alloc(n, sizeof *layers, "layers", &layers));
    for (size_t i = 0; i < n; i++)
        FIM_TRY(read_about(&file, names[i], &layers[i]));
    found->layers = layers;
    found->count = n;
    layers = NULL;
out:
    free(layers);
    fim_h5_names_free(names, n);
    fim_h5_close(&file);
    return status;
}

static fim_status exchange_about(fim_parcel *p, fim_blocks_about *about) {
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_field(p, about->name, sizeof about->name));
    FIM_TRY(fim_parcel_size(p, &about->d_a, 1, SIZE_MAX));
    FIM_TRY(fim_parcel_size(p, &about->d_g, 1, SIZE_MAX));
    FIM_TRY(fim_parcel_size(p, &about->n, 1, SIZE_MAX));
    FIM_TRY(fim_parcel_field(p, about->fisher, sizeof about->fisher));
    FIM_TRY(fim_parcel_real(p, &about->scale));
    bool *flags[] = {&about->dense,   &about->packed,   &about->factors,
                     &about->samples, &about->g_packed, &about->bias};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        FIM_TRY(fim_parcel_flag(p, flags[i]));
out:
    return status;
}

static fim_status exchange_list(fim_parcel *p, void *context) {
    enum { LAYERS_LIMIT = 1 << 16 };
    listing *found = context;
    fim_blocks_about *layers = fim_parcel_receiving(p) ? NULL : found->layers;
    size_t n = found->count;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_size(p, &n, 1, LAYERS_LIMIT));
    if (fim_parcel_receiving(p))
        FIM_TRY(fim_alloc(n, sizeof *layers, "layers", &layers));
    for (size_t i = 0; i < n; i++)
        FIM_TRY(exchange_about(p, &layers[i]));
    *found = (listing){found->path, layers, n};
    return FIM_OK;
out:
    if (fim_parcel_receiving(p))
        free(layers);
    return status;
}

fim_status fim_blocks_list(const char *path, fim_blocks_about **out, size_t *count) {
    listing found = {.path = path};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, 0, list_here, exchange_list}, &found);
    if (status != FIM_OK)
        return status;
    *out = found.layers;
    *count = found.count;
    return FIM_OK;
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
    char item[FIM_BLOCKS_ITEM];
    size_t d = fim_size_mul(about->d_a, about->d_g);
    gsl_matrix *m = NULL;
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    if (about->dense) {
        FIM_TRY(
            fim_h5_matrix(file, fim_blocks_item(about->name, "fisher", item), d, d, "from d_a and d_g", &m));
    } else {
        size_t packed = d < SIZE_MAX / 2 ? fim_size_mul(d, d + 1) / 2 : SIZE_MAX - 1;
        FIM_TRY(fim_h5_set_open(file, fim_blocks_item(about->name, "fisher_packed", item), &set));
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

// The inputs, with the constant 1 behind each row where the file leaves it out.
static fim_status read_inputs(fim_h5 *file, const fim_blocks_about *about, gsl_matrix **out) {
    const size_t inputs = about->d_a - (about->bias ? 1 : 0);
    char item[FIM_BLOCKS_ITEM];
    gsl_matrix *a = NULL;
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_set_open(file, fim_blocks_item(about->name, "a", item), &set));
    FIM_TRY(fim_h5_set_expect(file, &set, 2, (size_t[]){about->n, inputs}, "from samples and d_a"));
    FIM_TRY(fim_h5_set_claim(file, &set));
    FIM_TRY(fim_matrix_new(about->n, about->d_a, item, &a));
    if (inputs > 0) {
        gsl_matrix_view part = gsl_matrix_submatrix(a, 0, 0, about->n, inputs);
        FIM_TRY(fim_h5_set_read(file, &set, true, &part.matrix));
    }
    for (size_t i = 0; about->bias && i < about->n; i++)
        gsl_matrix_set(a, i, inputs, 1);
    *out = a;
    a = NULL;
out:
    fim_h5_set_close(&set);
    gsl_matrix_free(a);
    return status;
}

static fim_status scale_by(const fim_h5 *file, const fim_blocks_about *about, double scale, gsl_matrix *m) {
    double low, high;
    gsl_matrix_scale(m, scale);
    gsl_matrix_minmax(m, &low, &high);
    if (isfinite(low) && isfinite(high))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_VALUE, "%s: the scale %g of layer '%s' makes its samples infinite", file->path,
                    about->scale, about->name);
}

static fim_status read_samples(fim_h5 *file, const fim_blocks_about *about, fim_samples *out) {
    fim_samples s = {.n = about->n, .d_a = about->d_a, .d_g = about->d_g};
    char item[FIM_BLOCKS_ITEM];
    fim_h5_set set = {.id = -1};
    fim_status status = FIM_OK;
    FIM_TRY(read_inputs(file, about, &s.a));
    if (about->g_packed) {
        FIM_TRY(fim_h5_matrix(file, fim_blocks_item(about->name, "g_packed", item), s.n,
                              s.d_g < SIZE_MAX / s.d_g ? fim_svec_size(s.d_g) : SIZE_MAX - 1,
                              "from samples and d_g", &s.packed));
        FIM_TRY(scale_by(file, about, about->scale * about->scale, s.packed));
    } else {
        FIM_TRY(fim_h5_set_open(file, fim_blocks_item(about->name, "g", item), &set));
        const bool one = set.rank == 2 && set.dim[0] == s.n && set.dim[1] == s.d_g;
        if (!one)
            FIM_TRY(
                fim_h5_set_expect(file, &set, 3, (size_t[]){s.n, FIM_H5_ANY, s.d_g}, "from samples and d_g"));
        FIM_TRY(fim_h5_set_claim(file, &set));
        s.columns = one ? 1 : set.dim[1];
        FIM_TRY(fim_matrix_new(s.n * s.columns, s.d_g, item, &s.g));
        FIM_TRY(fim_h5_set_read(file, &set, true, s.g));
        FIM_TRY(scale_by(file, about, about->scale, s.g));
    }
    *out = s;
    s = (fim_samples){0};
out:
    fim_h5_set_close(&set);
    fim_samples_clear(&s);
    return status;
}

typedef struct reading {
    const char *path, *name;
    bool prefer_samples;
    size_t budget;
    fim_blocks_layer layer;
} reading;

static fim_status read_here(void *context) {
    reading *r = context;
    fim_h5 file = {.id = -1};
    fim_blocks_about about;
    fim_blocks_layer layer = {0};
    char item[FIM_BLOCKS_ITEM];
    fim_status status = FIM_OK;
    FIM_TRY(open_blocks(r->path, r->budget, &file));
    FIM_TRY(read_about(&file, r->name, &about));
    strcpy(layer.name, about.name);
    strcpy(layer.fisher, about.fisher);
    layer.d_a = about.d_a;
    layer.d_g = about.d_g;
    layer.n = about.n;
    if (about.factors) {
        FIM_TRY(fim_h5_matrix(&file, fim_blocks_item(r->name, "a_factor", item), about.d_a, about.d_a,
                              "from d_a", &layer.a));
        FIM_TRY(fim_h5_matrix(&file, fim_blocks_item(r->name, "g_factor", item), about.d_g, about.d_g,
                              "from d_g", &layer.g));
    }
    if (about.samples)
        FIM_TRY(read_samples(&file, &about, &layer.samples));
    if ((about.dense || about.packed) && !(r->prefer_samples && about.samples))
        FIM_TRY(read_dense(&file, &about, &layer.dense));
    r->layer = layer;
    layer = (fim_blocks_layer){0};
out:
    fim_blocks_layer_clear(&layer);
    fim_h5_close(&file);
    return status;
}

static fim_status expect(const gsl_matrix *m, size_t rows, size_t columns) {
    if (m == NULL || (m->size1 == rows && m->size2 == columns))
        return FIM_OK;
    return FIM_FAIL(FIM_ERR_FORMAT, "the shapes of a layer do not agree");
}

static fim_status exchange_layer(fim_parcel *p, void *context) {
    reading *r = context;
    fim_blocks_layer layer = fim_parcel_receiving(p) ? (fim_blocks_layer){0} : r->layer;
    fim_samples *s = &layer.samples;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_field(p, layer.name, sizeof layer.name));
    FIM_TRY(fim_parcel_field(p, layer.fisher, sizeof layer.fisher));
    size_t *sizes[] = {&layer.d_a, &layer.d_g, &layer.n, &s->n, &s->d_a, &s->d_g, &s->columns};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        FIM_TRY(fim_parcel_size(p, sizes[i], i < 3 ? 1 : 0, SIZE_MAX));
    gsl_matrix **matrices[] = {&layer.dense, &layer.a, &layer.g, &s->a, &s->g, &s->packed};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        FIM_TRY(fim_parcel_matrix(p, matrices[i], true));
    size_t d = fim_size_mul(layer.d_a, layer.d_g);
    FIM_TRY(expect(layer.dense, d, d));
    FIM_TRY(expect(layer.a, layer.d_a, layer.d_a));
    FIM_TRY(expect(layer.g, layer.d_g, layer.d_g));
    if (fim_parcel_receiving(p) && s->n > 0)
        FIM_TRY(fim_samples_check(s));
    if (s->n > 0 ? s->d_a != layer.d_a || s->d_g != layer.d_g || s->n != layer.n : layer.dense == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "the samples of a layer are not its own"));
    r->layer = layer;
    return FIM_OK;
out:
    if (fim_parcel_receiving(p))
        fim_blocks_layer_clear(&layer);
    return status;
}

fim_status fim_blocks_read(const char *path, const char *name, bool prefer_samples, size_t budget,
                           fim_blocks_layer *out) {
    reading r = {.path = path, .name = name, .prefer_samples = prefer_samples, .budget = budget};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, budget, read_here, exchange_layer}, &r);
    if (status == FIM_OK)
        *out = r.layer;
    return status;
}
