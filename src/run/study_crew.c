// Layers side by side: which of them share the processors at a time, and the threads that work on them.
//
// A layer's work is a long chain of products and eigenproblems of which many are too small to occupy several
// processors, so that threads within the products gain little (measured: two of them make the whole study 1.4
// times as fast). Layers do not depend on each other: a thread for each gains all, as long as there are
// enough of them and memory holds what several need at a time.
#include <stdlib.h>
#include <string.h>

#include "fim/linalg.h"
#include "study.h"

// What threads within the products gain, each.
static const double WITHIN = 0.7;
// A layer's work in memory, in units of the largest object that the plan names: it may exist twice, with what
// it is made from.
enum { NEED = 3 };

typedef struct layer_cost {
    size_t index;
    double seconds, most; // as in the plan's rows
    size_t bytes;
} layer_cost;

// The dearest first, and one that may be dear with them: the small ones after it even out what it takes.
static int by_most(const void *x, const void *y) {
    const layer_cost *a = x, *b = y;
    if (a->most == b->most)
        return (a->index > b->index) - (a->index < b->index);
    return a->most < b->most ? 1 : -1;
}

static int by_bytes(const void *x, const void *y) {
    const size_t a = ((const layer_cost *)x)->bytes, b = ((const layer_cost *)y)->bytes;
    return (a < b) - (a > b);
}

// The costs of the layers, as the rows name them one after the other, and of the samples of all.
static size_t layer_costs(const fim_plan_row *rows, size_t n_rows, layer_cost *costs, layer_cost *samples) {
    size_t count = 0;
    *samples = (layer_cost){0};
    for (size_t i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].quantity, "samples") == 0) { // a layer begins
            costs[count] = (layer_cost){.index = count};
            count++;
            samples->seconds += rows[i].seconds;
            samples->bytes = fim_size_add(samples->bytes, rows[i].bytes);
            continue;
        }
        layer_cost *cost = &costs[count - 1];
        const size_t need = fim_size_mul(NEED, rows[i].bytes);
        cost->seconds += rows[i].seconds;
        cost->most += rows[i].most;
        cost->bytes = need > cost->bytes ? need : cost->bytes;
    }
    return count;
}

// The seconds of the thread that is done last when each takes the next layer as it gets free.
static double longest_share(const layer_cost *costs, size_t count, double *shares, size_t workers) {
    double longest = 0;
    for (size_t w = 0; w < workers; w++)
        shares[w] = 0;
    for (size_t i = 0; i < count; i++) {
        size_t free = 0;
        for (size_t w = 1; w < workers; w++)
            free = shares[w] < shares[free] ? w : free;
        shares[free] += costs[i].seconds;
        longest = shares[free] > longest ? shares[free] : longest;
    }
    return longest;
}

fim_status fim_study_share(const fim_study_options *options, const fim_plan_row *rows, size_t n_rows,
                           size_t threads, fim_study_shares *out) {
    layer_cost *costs = NULL, samples;
    double *shares = NULL, total = 0;
    fim_study_shares found = {.workers = 1};
    fim_status status = FIM_OK;
    FIM_TRY(fim_alloc(n_rows, sizeof *costs, "the costs of layers", &costs));
    FIM_TRY(fim_alloc(threads, sizeof *shares, "shares of work", &shares));
    found.count = layer_costs(rows, n_rows, costs, &samples);
    FIM_TRY(fim_alloc(found.count, sizeof *found.order, "an order of layers", &found.order));
    for (size_t i = 0; i < found.count; i++) {
        found.order[i] = i;
        total += costs[i].seconds;
    }
    found.seconds = samples.seconds + total;
    const bool captures = options->sampling_error && options->fisher.kind != FIM_FISHER_EXACT;
    const size_t workers = threads < found.count ? threads : found.count;
    size_t bytes = samples.bytes;
    qsort(costs, found.count, sizeof *costs, by_bytes);
    for (size_t i = 0; i < workers; i++)
        bytes = fim_size_add(bytes, costs[i].bytes);
    qsort(costs, found.count, sizeof *costs, by_most);
    const double longest = longest_share(costs, found.count, shares, workers);
    // Products on one thread take `threads` times as long.
    if (workers > 1 && !captures && bytes <= options->budget && longest * WITHIN * (double)threads <= total) {
        found.workers = workers;
        found.seconds = samples.seconds + longest * (double)threads;
        for (size_t i = 0; i < found.count; i++)
            found.order[i] = costs[i].index;
    }
    *out = found;
    found.order = NULL;
out:
    free(costs);
    free(shares);
    free(found.order);
    return status;
}

// ---- Threads at work ----

typedef struct crew {
    const fim_monitor *monitor; // the caller's
    const study_span *span;
    const size_t *order;
    fim_status (*work)(void *context, size_t i, const fim_monitor *monitor);
    void *context;
    double done; // steps, of all
    bool failed; // one of them: the others need not go on
} crew;

typedef struct worker {
    crew *crew;
    double done; // steps of its layer
} worker;

static void crew_progress(void *context, const char *what, double done, double total) {
    worker *self = context;
    crew *c = self->crew;
#pragma omp critical(study_crew)
    {
        c->done += done - self->done;
        self->done = done;
        if (c->monitor->progress != NULL)
            c->monitor->progress(c->monitor->context, what, c->done, total);
    }
}

static void crew_note(void *context, const char *text) {
    const crew *c = ((const worker *)context)->crew;
#pragma omp critical(study_crew)
    fim_monitor_note(c->monitor, "%s", text);
}

static bool crew_cancelled(void *context) {
    const crew *c = ((const worker *)context)->crew;
    bool stop;
#pragma omp critical(study_crew)
    stop = c->failed || (c->monitor->cancelled != NULL && c->monitor->cancelled(c->monitor->context));
    return stop;
}

static fim_status crew_work(void *context, size_t thread, size_t k) {
    (void)thread;
    crew *c = context;
    const size_t i = c->order[k];
    worker self = {c, (double)(c->span->first + i * c->span->steps)};
    const fim_monitor watch = {&self, crew_progress, crew_note, crew_cancelled};
    const fim_status status = c->work(c->context, i, &watch);
#pragma omp critical(study_crew)
    c->failed |= status != FIM_OK;
    return status;
}

fim_status study_crew_run(const fim_study_shares *shares, const study_span *span, const fim_monitor *monitor,
                          fim_status (*work)(void *context, size_t i, const fim_monitor *monitor),
                          void *context) {
    static const fim_monitor silent = {0};
    fim_status status = FIM_OK;
    if (shares->workers == 1) {
        for (size_t i = 0; i < shares->count && status == FIM_OK; i++)
            status = work(context, i, monitor);
        return status;
    }
    crew c = {.monitor = monitor != NULL ? monitor : &silent,
              .span = span,
              .order = shares->order,
              .work = work,
              .context = context,
              .done = (double)span->first};
    status = fim_side_by_side(shares->count, shares->workers, crew_work, &c);
    if (status != FIM_OK)
        return status;
    return fim_monitor_progress(monitor, "analyzing", (double)(span->first + shares->count * span->steps),
                                (double)span->total);
}
