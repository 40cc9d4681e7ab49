// fim/base.h - what every room stands on: status and message, monitoring, checked numbers, seeds, clocks,
// memory.
//
// Convention of the whole library: a function that can fail returns a fim_status; on failure its outputs are
// untouched and fim_message() tells what was wrong, where, and what would be right.
#ifndef FIM_BASE_H
#define FIM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIM_STATUS_LIST(X)                                                                                   \
    X(OK, "success")                                                                                         \
    X(ERR_ARGUMENT, "invalid argument")                                                                      \
    X(ERR_MEMORY, "out of memory")                                                                           \
    X(ERR_BUDGET, "over the memory budget")                                                                  \
    X(ERR_IO, "input/output error")                                                                          \
    X(ERR_FORMAT, "malformed file")                                                                          \
    X(ERR_SHAPE, "shapes do not match")                                                                      \
    X(ERR_VALUE, "value not finite or out of range")                                                         \
    X(ERR_UNKNOWN, "unknown name")                                                                           \
    X(ERR_UNAVAILABLE, "not available from what was given")                                                  \
    X(ERR_NUMERIC, "numerical breakdown")                                                                    \
    X(NOT_POSITIVE, "not positive definite")                                                                 \
    X(NOT_CONVERGED, "not converged")                                                                        \
    X(CANCELLED, "cancelled")

typedef enum fim_status {
#define FIM_STATUS_ENUM(code, text) FIM_##code,
    FIM_STATUS_LIST(FIM_STATUS_ENUM)
#undef FIM_STATUS_ENUM
        FIM_STATUS_COUNT
} fim_status;

// The fixed text of a status ("unknown status" outside the list).
const char *fim_status_text(fim_status status);

// The message of the last failure in this thread; "" before the first.
const char *fim_message(void);

// The one place where an error is born: formats the thread's message, one line in which control characters
// become '?', and returns `status`.
fim_status fim_fail(fim_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define FIM_FAIL(status, ...) fim_fail((status), __VA_ARGS__)

// Puts "<formatted>: " before the thread's message when `status` is a failure; returns `status`.
fim_status fim_context(fim_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// In a function with a local `status` and a label `out`: leave through the clean-up when `call` fails.
#define FIM_TRY(call)                                                                                        \
    do {                                                                                                     \
        status = (call);                                                                                     \
        if (status != FIM_OK)                                                                                \
            goto out;                                                                                        \
    } while (0)

// ---- Monitoring: the library never prints; it reports to the caller, who may also ask it to stop. ----

typedef struct fim_monitor {
    void *context;
    // Work `what` has done `done` of `total` units. May be NULL.
    void (*progress)(void *context, const char *what, double done, double total);
    // A remark for the user (one line, no newline). May be NULL.
    void (*note)(void *context, const char *text);
    // True when the user wants to stop. May be NULL.
    bool (*cancelled)(void *context);
} fim_monitor;

// Reports progress; FIM_CANCELLED when the user asked to stop. `monitor` may be NULL.
fim_status fim_monitor_progress(const fim_monitor *monitor, const char *what, double done, double total);
void fim_monitor_note(const fim_monitor *monitor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- Checked memory ----

// count·size zeroed bytes; `what` names them in the message. *out is set only on success.
// FIM_ERR_MEMORY, also when the product overflows. free() releases.
fim_status fim_alloc(size_t count, size_t size, const char *what, void *out);

// a·b, or SIZE_MAX when it overflows (larger than any budget).
size_t fim_size_mul(size_t a, size_t b);
// a + b, likewise.
size_t fim_size_add(size_t a, size_t b);

// FIM_ERR_BUDGET when bytes > budget; the message says `what` needs how much, of how much, and the
// alternative.
fim_status fim_budget_check(size_t budget, size_t bytes, const char *what, const char *alternative);

// Physical memory of the machine in bytes (0 when the system does not tell).
size_t fim_memory_total(void);

// Bytes of this process that are in physical memory, after malloc gave back what is free (0 where the system
// does not tell).
size_t fim_memory_resident(void);
// What is left of `budget` bytes when everything that became resident beyond `resident` counts. A budget
// below FIM_MEMORY_RESOLVED is returned as it is: pages and malloc's own blurring say nothing about it.
size_t fim_memory_left(size_t budget, size_t resident);
#define FIM_MEMORY_RESOLVED ((size_t)16 << 20)

// "480.5 MB" in buffer; returns buffer.
char *fim_format_bytes(size_t bytes, char buffer[static 16]);

// ---- Checked numbers: the whole text must parse and lie in [low, high]; `what` names the option or field.
// ----

fim_status fim_parse_size(const char *text, const char *what, size_t low, size_t high, size_t *out);
fim_status fim_parse_double(const char *text, const char *what, double low, double high, double *out);
// A size in bytes with an optional suffix k, M, G, T (powers of 1024).
fim_status fim_parse_bytes(const char *text, const char *what, size_t *out);
// Copies the next item of a list separated by `separator` to `item` and advances *cursor; false at the end.
// An item longer than the buffer is cut to size - 1 characters.
bool fim_list_next(const char **cursor, char separator, char *item, size_t size);
// Index of `text` in names[0..count). FIM_ERR_UNKNOWN lists them; `what` says what they name.
fim_status fim_name_find(const char *what, const char *const *names, size_t count, const char *text,
                         size_t *out);

// ---- Seeds and clocks ----

// An independent 64-bit seed for stream number `stream` of `seed` (splitmix64).
uint64_t fim_seed_stream(uint64_t seed, uint64_t stream);
// Seconds on the monotonic clock.
double fim_clock_seconds(void);

#endif
