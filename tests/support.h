// What several test programs share.
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <gsl/gsl_matrix.h>
#include <gsl/gsl_vector.h>
#include <math.h>
#include <string.h>

#include "fim/base.h"

// A number in [−1, 1) that depends on (seed, index) alone.
static inline double test_random(uint64_t seed, size_t index) {
    return ldexp((double)(fim_seed_stream(seed, index) >> 11), -52) - 1;
}

// A new matrix of such numbers, row by row.
static inline gsl_matrix *test_random_matrix(size_t rows, size_t columns, uint64_t seed) {
    gsl_matrix *m = gsl_matrix_alloc(rows, columns);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            gsl_matrix_set(m, i, j, test_random(seed, i * columns + j));
    return m;
}

// max |a − b| over the entries of two matrices of one shape.
static inline double test_max_difference(const gsl_matrix *a, const gsl_matrix *b) {
    cr_assert(a->size1 == b->size1 && a->size2 == b->size2, "shapes (%zu, %zu) and (%zu, %zu)", a->size1,
              a->size2, b->size1, b->size2);
    double largest = 0;
    for (size_t i = 0; i < a->size1; i++)
        for (size_t j = 0; j < a->size2; j++) {
            double d = fabs(gsl_matrix_get(a, i, j) - gsl_matrix_get(b, i, j));
            largest = d <= largest ? largest : d; // a NaN wins and stays
        }
    return largest;
}

// `call` must fail with `expected`, and its message must contain `part`.
#define TEST_FAILS(call, expected, part)                                                                     \
    do {                                                                                                     \
        fim_status got_status = (call);                                                                      \
        cr_assert(got_status == (expected), #call " gave '%s' (%s), expected '%s'",                          \
                  fim_status_text(got_status), fim_message(), fim_status_text(expected));                    \
        cr_assert(strstr(fim_message(), (part)) != NULL, "message '%s' lacks '%s'", fim_message(), (part));  \
    } while (0)

// Two texts must be equal.
#define TEST_TEXT(got, want)                                                                                 \
    do {                                                                                                     \
        const char *got_text = (got), *want_text = (want);                                                   \
        cr_assert(strcmp(got_text, want_text) == 0, #got " is '%s', expected '%s'", got_text, want_text);    \
    } while (0)

// `call` must succeed.
#define TEST_OK(call)                                                                                        \
    do {                                                                                                     \
        fim_status got_status = (call);                                                                      \
        cr_assert(got_status == FIM_OK, #call " gave '%s': %s", fim_status_text(got_status), fim_message()); \
    } while (0)

#endif
