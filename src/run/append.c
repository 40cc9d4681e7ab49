// Several runs in one report.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fim/run.h"

// The child of that name, a new one when there is none.
static fim_status child_of(fim_record *record, const char *name, fim_record **out) {
    for (size_t i = 0; i < record->n_children; i++)
        if (strcmp(record->children[i].name, name) == 0) {
            *out = &record->children[i];
            return FIM_OK;
        }
    return fim_record_add_child(record, name, out);
}

// The provenance of `run`: its texts and numbers.
static fim_status copy_root(const fim_record *run, fim_record *out) {
    fim_status status = FIM_OK;
    for (size_t i = 0; i < run->n_texts; i++)
        FIM_TRY(fim_record_set_text(out, run->texts[i].name, run->texts[i].text));
    for (size_t i = 0; i < run->n_values; i++)
        FIM_TRY(fim_record_set(out, run->values[i].name, run->values[i].value, run->values[i].note));
out:
    return status;
}

// Writes `report` with the checkpoints of `run` behind its own.
static fim_status write_both(fim_record *report, fim_record *run, const char *path) {
    fim_record *runs = NULL, *root = NULL, *checkpoints = NULL, *added = NULL;
    const fim_record *own = fim_record_child(run, "checkpoints");
    char name[24];
    size_t borrowed = 0;
    fim_status status = FIM_OK;
    FIM_TRY(child_of(report, "runs", &runs));
    const size_t k = runs->n_children + 1;
    snprintf(name, sizeof name, "%zu", k);
    FIM_TRY(fim_record_add_child(runs, name, &root));
    FIM_TRY(copy_root(run, root));
    FIM_TRY(child_of(report, "checkpoints", &checkpoints));
    for (size_t i = 0; own != NULL && i < own->n_children; i++) {
        fim_record *checkpoint = &own->children[i];
        FIM_TRY(fim_record_set(checkpoint, "run", (double)k, ""));
        snprintf(name, sizeof name, "%zu", checkpoints->n_children);
        FIM_TRY(fim_record_add_child(checkpoints, name, &added));
        *added = *checkpoint; // borrowed until the file is written
        memcpy(added->name, name, sizeof name);
        borrowed++;
    }
    status = fim_record_write(report, "fim-report", path, true);
out:
    for (size_t i = 0; i < borrowed; i++)
        fim_record_init(&checkpoints->children[checkpoints->n_children - 1 - i], "");
    return status;
}

fim_status fim_study_append(const char *path, size_t budget, fim_record *run) {
    fim_record report;
    fim_status status;
    int lock = -1;
    fim_record_init(&report, "report");
    // Where there is no file there is nothing to lock: who comes second to make it finds it there, and
    // appends.
    do {
        status = fim_file_lock(path, &lock);
        if (status != FIM_OK || lock >= 0)
            break;
        status = fim_record_write(run, "fim-report", path, false);
    } while (status == FIM_ERR_IO && access(path, F_OK) == 0);
    if (status == FIM_OK && lock >= 0 &&
        (status = fim_record_read(path, "fim-report", budget, &report)) == FIM_OK)
        status = write_both(&report, run, path);
    fim_file_unlock(lock);
    fim_record_clear(&report);
    return status;
}
