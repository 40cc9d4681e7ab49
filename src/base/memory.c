// Allocation with a name, and the budget the user sets.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fim/base.h"

fim_status fim_alloc(size_t count, size_t size, const char *what, void *out) {
    void *block = calloc(count > 0 ? count : 1, size);
    if (block == NULL) {
        char text[16];
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate %s for %s",
                        fim_format_bytes(fim_size_mul(count, size), text), what);
    }
    memcpy(out, &block, sizeof block);
    return FIM_OK;
}

size_t fim_size_mul(size_t a, size_t b) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

size_t fim_size_add(size_t a, size_t b) {
    size_t sum;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

fim_status fim_budget_check(size_t budget, size_t bytes, const char *what, const char *alternative) {
    if (bytes <= budget)
        return FIM_OK;
    char need[16], have[16];
    return FIM_FAIL(FIM_ERR_BUDGET, "%s needs %s (%zu bytes), the memory budget is %s: %s", what,
                    fim_format_bytes(bytes, need), bytes, fim_format_bytes(budget, have), alternative);
}

size_t fim_memory_total(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    return pages > 0 && page > 0 ? fim_size_mul((size_t)pages, (size_t)page) : 0;
}

size_t fim_memory_resident(void) {
    unsigned long all, resident;
    long page = sysconf(_SC_PAGE_SIZE);
#ifdef __GLIBC__
    malloc_trim(0); // what is free again is given back, or it would count
#endif
    FILE *statm = fopen("/proc/self/statm", "r");
    if (statm == NULL)
        return 0;
    const bool read = fscanf(statm, "%lu %lu", &all, &resident) == 2 && page > 0;
    fclose(statm);
    return read ? fim_size_mul(resident, (size_t)page) : 0;
}

size_t fim_memory_left(size_t budget, size_t resident) {
    if (budget < FIM_MEMORY_RESOLVED || budget == SIZE_MAX)
        return budget;
    const size_t now = fim_memory_resident(), taken = now > resident ? now - resident : 0;
    return taken < budget ? budget - taken : 0;
}

char *fim_format_bytes(size_t bytes, char buffer[static 16]) {
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t u = 0;
    while (value >= 999.5 && u + 1 < sizeof unit / sizeof *unit) {
        value /= 1000;
        u++;
    }
    snprintf(buffer, 16, u == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, unit[u]);
    return buffer;
}
