// What Koroko et al. (arXiv 2201.10285) report, from CSV files of facts.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

// Two heads are known; a file of losses is a file of facts whose quantity is the loss.
static const char *const heads[] = {"network,quantity,method,at,value",
                                    "network,optimizer,epoch,loss_per_output"};

static fim_status parse_line(const char *line, bool losses, struct fim_paper_fact *out) {
    char at[32], value[32];
    const char *cursor = line;
    struct fim_paper_fact f = {.at = NAN};
    fim_status status = FIM_OK;
    snprintf(f.quantity, sizeof f.quantity, "loss_per_output");
    if (!fim_list_next(&cursor, ',', f.network, sizeof f.network) ||
        (!losses && !fim_list_next(&cursor, ',', f.quantity, sizeof f.quantity)) ||
        !fim_list_next(&cursor, ',', f.method, sizeof f.method) ||
        !fim_list_next(&cursor, ',', at, sizeof at) || !fim_list_next(&cursor, ',', value, sizeof value) ||
        cursor != NULL)
        return FIM_FAIL(FIM_ERR_FORMAT, "has not the fields of its head");
    if (at[0] != '\0')
        FIM_TRY(fim_parse_double(at, "where it is", 0, 1e9, &f.at));
    FIM_TRY(fim_parse_double(value, "the value", -1e300, 1e300, &f.value));
    *out = f;
out:
    return status;
}

static fim_status add_fact(fim_paper *paper, const struct fim_paper_fact *fact) {
    if ((paper->count & (paper->count - 1)) == 0) { // at powers of two
        struct fim_paper_fact *wider =
            realloc(paper->facts, (paper->count > 0 ? 2 * paper->count : 1) * sizeof *wider);
        if (wider == NULL)
            return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate published numbers");
        paper->facts = wider;
    }
    paper->facts[paper->count++] = *fact;
    return FIM_OK;
}

fim_status fim_paper_read(const char *path, fim_paper *paper) {
    fim_status status = FIM_OK;
    char line[256];
    size_t number = 0;
    bool losses = false;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        struct fim_paper_fact fact;
        number++;
        if (strchr(line, '\n') == NULL && !feof(file))
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: line %zu is longer than %zu characters", path, number,
                             sizeof line - 2));
        line[strcspn(line, "\r\n")] = '\0';
        losses = losses || (number == 1 && strcmp(line, heads[1]) == 0);
        if (number == 1 && !losses && strcmp(line, heads[0]) != 0)
            FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: line 1 is neither %s nor %s", path, heads[0], heads[1]));
        if (number == 1 || line[0] == '\0')
            continue;
        FIM_TRY(fim_context(parse_line(line, losses, &fact), "%s: line %zu", path, number));
        FIM_TRY(add_fact(paper, &fact));
    }
    if (ferror(file))
        FIM_TRY(FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(errno)));
    if (number == 0)
        FIM_TRY(FIM_FAIL(FIM_ERR_FORMAT, "%s: is empty", path));
out:
    fclose(file);
    return status;
}

void fim_paper_clear(fim_paper *paper) {
    free(paper->facts);
    *paper = (fim_paper){0};
}

static bool is_about(const struct fim_paper_fact *f, const char *network, const char *quantity,
                     const char *method) {
    return strcmp(f->network, network) == 0 && strcmp(f->quantity, quantity) == 0 &&
           strcmp(f->method, method) == 0;
}

double paper_fact(const fim_paper *paper, const char *network, const char *quantity, const char *method) {
    for (size_t i = 0; i < paper->count; i++)
        if (is_about(&paper->facts[i], network, quantity, method) && isnan(paper->facts[i].at))
            return paper->facts[i].value;
    return NAN;
}

bool paper_point(const fim_paper *paper, const char *network, const char *quantity, const char *method,
                 size_t i, double *at, double *value) {
    for (size_t k = 0; k < paper->count; k++) {
        const struct fim_paper_fact *f = &paper->facts[k];
        if (!is_about(f, network, quantity, method) || isnan(f->at) || i-- > 0)
            continue;
        *at = f->at;
        *value = f->value;
        return true;
    }
    return false;
}

double paper_at(const fim_paper *paper, const char *network, const char *quantity, const char *method,
                double at) {
    double below = -INFINITY, above = INFINITY, low = NAN, high = NAN, x, y;
    for (size_t i = 0; paper_point(paper, network, quantity, method, i, &x, &y); i++) {
        if (x <= at && x > below) {
            below = x;
            low = y;
        }
        if (x >= at && x < above) {
            above = x;
            high = y;
        }
    }
    return above > below ? low + (high - low) * (at - below) / (above - below) : low;
}

double paper_last(const fim_paper *paper, const char *network, const char *quantity, const char *method) {
    double last = NAN, x, y;
    for (size_t i = 0; paper_point(paper, network, quantity, method, i, &x, &y); i++)
        last = fmax(last, x); // the other one of NAN
    return last;
}
