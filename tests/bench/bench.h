// What the benchmarks share: a clock that repeats, a matrix product to compare with, and lines of one form.
#ifndef FIM_BENCH_H
#define FIM_BENCH_H

#include <gsl/gsl_blas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fim/fim.h"

static inline void must(fim_status status) {
    if (status != FIM_OK) {
        fprintf(stderr, "benchmark: %s\n", fim_message());
        exit(1);
    }
}

static int bench_by_size(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

// The median seconds of work(context): at least three runs after one that warms up, and a second in all when
// they are short.
static inline double bench_time(void (*work)(void *context), void *context) {
    enum { MOST = 31 };
    double took[MOST], total = 0;
    size_t n = 0;
    work(context);
    while (n < 3 || (total < 1 && n < MOST)) {
        const double start = fim_clock_seconds();
        work(context);
        took[n] = fim_clock_seconds() - start;
        total += took[n++];
    }
    qsort(took, n, sizeof *took, bench_by_size);
    return took[n / 2];
}

typedef struct bench_product {
    gsl_matrix *a, *b, *c;
} bench_product;

static inline void bench_multiply(void *context) {
    bench_product *p = context;
    gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, p->a, p->b, 0, p->c);
}

// Seconds of one dgemm (m, k) (k, n).
static inline double bench_dgemm(size_t m, size_t n, size_t k) {
    bench_product p = {NULL, NULL, NULL};
    must(fim_matrix_new(k, m, "a benchmark", &p.a));
    must(fim_matrix_new(k, n, "a benchmark", &p.b));
    must(fim_matrix_new(m, n, "a benchmark", &p.c));
    gsl_matrix_set_all(p.a, 0.5);
    gsl_matrix_set_all(p.b, 0.25);
    const double seconds = bench_time(bench_multiply, &p);
    gsl_matrix_free(p.a);
    gsl_matrix_free(p.b);
    gsl_matrix_free(p.c);
    return seconds;
}

static inline void bench_machine(void) {
    char blas[256], line[256], processor[256] = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "model name", 10) == 0) {
            const char *colon = strchr(line, ':');
            snprintf(processor, sizeof processor, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        }
    if (file != NULL)
        fclose(file);
    printf("machine: %s, %ld cores; %zu threads; %s\n", processor, sysconf(_SC_NPROCESSORS_ONLN),
           fim_linalg_threads(), fim_linalg_describe(blas, sizeof blas));
}

static inline void bench_head(const char *title) {
    printf("\n%s\n%-44s %11s %9s %10s  %s\n", title, "", "seconds", "GF/s", "/ dgemm", "against");
}

// One line: seconds, the rate of `flops`, the ratio to a dgemm of the same flops at `rate` flops a second,
// and the ratio to another way of doing the same (other = 0: none).
static inline void bench_line(const char *what, double seconds, double flops, double rate, double other,
                              const char *way) {
    printf("%-44s %11.6f", what, seconds);
    if (flops > 0)
        printf(" %9.2f %10.2f", 1e-9 * flops / seconds, seconds * rate / flops);
    else
        printf(" %9s %10s", "", "");
    if (other > 0)
        printf("  %.2f x %s (%.6f s)", seconds / other, way, other);
    printf("\n");
}

#endif
