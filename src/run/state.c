// state.h5: what a run needs to go on as if it had not been interrupted.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fim/linalg.h"
#include "train.h"

enum { ARITHMETIC = 300 };

static const char state_format[] = "fim-state";

static fim_status state_path(const char *folder, char **out) {
    const size_t size = strlen(folder) + sizeof "/state.h5";
    fim_status status = fim_alloc(size, 1, "a path", out);
    if (status == FIM_OK)
        snprintf(*out, size, "%s/state.h5", folder);
    return status;
}

static fim_status copy_settings(const fim_record *from, fim_record *to) {
    fim_status status = FIM_OK;
    for (size_t k = 0; k < from->n_texts; k++)
        FIM_TRY(fim_record_set_text(to, from->texts[k].name, from->texts[k].text));
    for (size_t k = 0; k < from->n_values; k++)
        FIM_TRY(fim_record_set(to, from->values[k].name, from->values[k].value, NULL));
out:
    return status;
}

// What decides the last bits beside the settings.
static const char *arithmetic(char *buffer) {
    char blas[ARITHMETIC - 30];
    snprintf(buffer, ARITHMETIC, "%zu threads, %s", fim_linalg_threads(),
             fim_linalg_describe(blas, sizeof blas));
    return buffer;
}

fim_status state_write(const char *folder, const fim_record *settings, const position *p,
                       const engine_class *class, engine *e, const natural *n, const journal *j) {
    fim_record state, *child = NULL;
    char *path = NULL, blas[ARITHMETIC];
    fim_status status = FIM_OK;
    fim_record_init(&state, state_format);
    FIM_TRY(state_path(folder, &path));
    FIM_TRY(fim_record_set_text(&state, "arithmetic", arithmetic(blas)));
    const struct {
        const char *name;
        double value;
    } values[] = {{"epoch", (double)p->epoch},
                  {"done", (double)p->done},
                  {"iteration", (double)p->iteration},
                  {"sum", p->sum},
                  {"seconds_so_far", p->seconds}};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        FIM_TRY(fim_record_set(&state, values[k].name, values[k].value, NULL));
    FIM_TRY(fim_record_add_child(&state, "settings", &child));
    FIM_TRY(copy_settings(settings, child));
    FIM_TRY(fim_record_add_child(&state, "engine", &child));
    FIM_TRY(class->save(e, child));
    FIM_TRY(fim_record_add_child(&state, "journal", &child));
    FIM_TRY(journal_save(j, child));
    if (n != NULL) {
        FIM_TRY(fim_record_add_child(&state, "natural", &child));
        FIM_TRY(natural_save(n, child));
    }
    FIM_TRY(fim_record_write(&state, state_format, path, true));
out:
    fim_record_clear(&state);
    free(path);
    return status;
}

static fim_status read_size(const fim_record *state, const char *name, size_t *out) {
    const fim_value *value = fim_record_value(state, name);
    if (value == NULL || !(value->value >= 0 && value->value < 0x1p53))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound value %s", name);
    *out = (size_t)value->value;
    return FIM_OK;
}

static fim_status read_number(const fim_record *state, const char *name, double *out) {
    const fim_value *value = fim_record_value(state, name);
    if (value == NULL || !isfinite(value->value))
        return FIM_FAIL(FIM_ERR_FORMAT, "the state has no sound value %s", name);
    *out = value->value;
    return FIM_OK;
}

static fim_status need(const fim_record *state, const char *name, const fim_record **out) {
    *out = fim_record_child(state, name);
    return *out != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_FORMAT, "the state has no group %s", name);
}

fim_status state_read(const char *folder, const fim_record *settings, size_t budget, position *p,
                      const engine_class *class, engine *e, natural *n, journal *j,
                      const fim_monitor *monitor, bool *found) {
    fim_record state;
    const fim_record *child = NULL;
    position at = {0};
    char *path = NULL, now[ARITHMETIC];
    fim_status status = FIM_OK;
    fim_record_init(&state, state_format);
    *found = false;
    FIM_TRY(state_path(folder, &path));
    if (access(path, F_OK) != 0)
        goto out;
    FIM_TRY(fim_record_read(path, state_format, budget, &state));
    FIM_TRY(need(&state, "settings", &child));
    FIM_TRY(options_compare(child, settings));
    FIM_TRY(read_size(&state, "epoch", &at.epoch));
    FIM_TRY(read_size(&state, "done", &at.done));
    FIM_TRY(read_size(&state, "iteration", &at.iteration));
    FIM_TRY(read_number(&state, "sum", &at.sum));
    FIM_TRY(read_number(&state, "seconds_so_far", &at.seconds));
    FIM_TRY(need(&state, "engine", &child));
    FIM_TRY(class->load(e, child));
    FIM_TRY(need(&state, "journal", &child));
    FIM_TRY(journal_load(j, child));
    if (n != NULL) {
        FIM_TRY(need(&state, "natural", &child));
        FIM_TRY(natural_load(n, j->net, child));
    }
    const char *then = fim_record_text(&state, "arithmetic");
    if (strcmp(then != NULL ? then : "", arithmetic(now)) != 0)
        fim_monitor_note(
            monitor,
            "the last bits may differ from a run without a break: it began with %s, and goes on with %s",
            then != NULL ? then : "an unknown BLAS", now);
    *p = at;
    *found = true;
out:
    if (status != FIM_OK)
        fim_context(status, "%s", path != NULL ? path : folder);
    fim_record_clear(&state);
    free(path);
    return status;
}
