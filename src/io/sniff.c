// What a file is, by its content alone.
#include <stdlib.h>
#include <string.h>

#include "data_format.h"
#include "format.h"
#include "h5.h"
#include "record_file.h"
#include "sandbox.h"

static const struct {
    const char *format;
    fim_file_kind kind;
} kinds[] = {
    {"fim-checkpoint", FIM_FILE_CHECKPOINT},
    {"fim-blocks", FIM_FILE_BLOCKS},
    {"fim-capture", FIM_FILE_BLOCKS},
    {"fim-report", FIM_FILE_REPORT},
    {"fim-run", FIM_FILE_RUN},
    {"fim-state", FIM_FILE_STATE},
    {"fim-data", FIM_FILE_DATA},
};

static fim_status sniff_h5(const char *path, fim_file_kind *out) {
    fim_h5 file = {.id = -1};
    char *format = NULL;
    bool has = false;
    fim_h5_kind x = FIM_H5_NOTHING;
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open(path, 0, &file));
    FIM_TRY(fim_h5_has(&file, "/", "format", &has));
    if (!has) {
        FIM_TRY(fim_h5_find(&file, "/x", &x));
        if (x == FIM_H5_SET)
            *out = FIM_FILE_DATA;
        else
            status = FIM_FAIL(FIM_ERR_FORMAT,
                              "%s: is an HDF5 file with neither a root attribute 'format' nor a data set /x",
                              path);
        goto out;
    }
    FIM_TRY(fim_h5_text(&file, "/", "format", &format));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(format, kinds[i].format) == 0) {
            *out = kinds[i].kind;
            goto out;
        }
    }
    status = FIM_FAIL(FIM_ERR_FORMAT, "%s: is an HDF5 file of unknown format '%s'", path, format);
out:
    free(format);
    fim_h5_close(&file);
    return status;
}

typedef struct reading {
    const char *path;
    fim_file_kind kind;
    fim_record record;
} reading;

static fim_status sniff_here(void *context) {
    reading *r = context;
    bool is_h5 = false, foreign = false;
    fim_status status = fim_checkpoint_sniff(r->path, &foreign);
    if (status == FIM_OK && !foreign)
        status = fim_h5_sniff(r->path, &is_h5);
    if (status != FIM_OK)
        return status;
    if (foreign) {
        r->kind = FIM_FILE_CHECKPOINT;
        return FIM_OK;
    }
    if (is_h5)
        return sniff_h5(r->path, &r->kind);
    const fim_data_format *format = NULL;
    if ((status = fim_data_format_find(r->path, &format)) == FIM_OK)
        r->kind = FIM_FILE_DATA;
    else if (status == FIM_ERR_FORMAT)
        status =
            FIM_FAIL(FIM_ERR_FORMAT,
                     "%s: is neither a checkpoint nor a data set of a known format (fim-info --help lists "
                     "them), nor blocks, a capture, a report or a run log, which are HDF5",
                     r->path);
    return status;
}

static fim_status exchange_kind(fim_parcel *p, void *context) {
    reading *r = context;
    size_t kind = r->kind;
    fim_status status = fim_parcel_size(p, &kind, 0, FIM_FILE_DATA);
    if (status == FIM_OK)
        r->kind = (fim_file_kind)kind;
    return status;
}

fim_status fim_file_sniff(const char *path, fim_file_kind *out) {
    reading r = {.path = path};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, 0, sniff_here, exchange_kind}, &r);
    if (status == FIM_OK)
        *out = r.kind;
    return status;
}

static fim_status attributes_here(void *context) {
    reading *r = context;
    fim_h5 file = {.id = -1};
    fim_record found;
    fim_record_init(&found, "");
    fim_status status = FIM_OK;
    FIM_TRY(fim_h5_open(r->path, 0, &file));
    FIM_TRY(fim_record_get_attributes(&file, "/", &found));
    r->record = found;
    fim_record_init(&found, "");
out:
    fim_record_clear(&found);
    fim_h5_close(&file);
    return status;
}

static fim_status exchange_record(fim_parcel *p, void *context) {
    return fim_parcel_record(p, &((reading *)context)->record);
}

fim_status fim_file_attributes(const char *path, fim_record *record) {
    reading r = {.path = path};
    fim_status status = fim_sandbox_run(&(fim_sandbox_job){path, 0, attributes_here, exchange_record}, &r);
    if (status == FIM_OK)
        *record = r.record;
    return status;
}
