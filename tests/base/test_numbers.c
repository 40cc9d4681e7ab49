// Numbers from texts, sizes, seeds and clocks.
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "support.h"

Test(parse, sizes_are_whole_numbers_within_limits) {
    static const struct {
        const char *text;
        size_t low, high, want;
    } good[] = {{"0", 0, 9, 0},
                {"9", 0, 9, 9},
                {"007", 7, 7, 7},
                {"18446744073709551615", 0, SIZE_MAX, SIZE_MAX},
                {"123456789", 1, SIZE_MAX, 123456789}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t got = 77;
        TEST_OK(fim_parse_size(good[i].text, "--count", good[i].low, good[i].high, &got));
        cr_assert(eq(sz, got, good[i].want), "'%s'", good[i].text);
    }
    static const char *const bad[] = {"",    " 5",  "5 ",  "+5",       "-5", "-0", "5x",
                                      "0x5", "1e1", "5.0", "\xd9\xa5", "4",  "11", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t got = 77;
        TEST_FAILS(fim_parse_size(bad[i], "--count", 5, 10, &got), FIM_ERR_ARGUMENT, "--count");
        cr_assert(strstr(fim_message(), bad[i]) != NULL && strstr(fim_message(), "from 5 to 10") != NULL,
                  "'%s' should name '%s' and the limits", fim_message(), bad[i]);
        cr_assert(eq(sz, got, 77), "'%s' changed the output", bad[i]);
    }
    size_t got;
    TEST_FAILS(fim_parse_size("18446744073709551616", "n", 1, SIZE_MAX, &got), FIM_ERR_ARGUMENT,
               "of at least 1");
}

Test(parse, doubles_are_finite_and_within_limits) {
    static const struct {
        const char *text;
        double want;
    } good[] = {{"1", 1}, {"-2.5", -2.5}, {"1e-3", 1e-3}, {".5", 0.5}, {"+4", 4}, {"-10", -10}, {"10", 10}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double got = 77;
        TEST_OK(fim_parse_double(good[i].text, "--rate", -10, 10, &got));
        cr_assert(eq(dbl, got, good[i].want), "'%s'", good[i].text);
    }
    static const char *const bad[] = {"",    " 1",  "1 ",  "nan",    "inf",    "-inf", "1e999",
                                      "1,5", "1.x", "--1", "10.001", "-10.01", "e5",   "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double got = 77;
        TEST_FAILS(fim_parse_double(bad[i], "--rate", -10, 10, &got), FIM_ERR_ARGUMENT, "--rate");
        cr_assert(strstr(fim_message(), "from -10 to 10") != NULL, "'%s' lacks the limits", fim_message());
        cr_assert(eq(dbl, got, 77), "'%s' changed the output", bad[i]);
    }
}

Test(parse, bytes_take_a_suffix) {
    static const struct {
        const char *text;
        size_t want;
    } good[] = {{"1", 1},
                {"500", 500},
                {"1k", 1024},
                {"500M", (size_t)500 << 20},
                {"1.5G", (size_t)3 << 29},
                {"8G", (size_t)8 << 30},
                {"2T", (size_t)2 << 40},
                {"3kB", 3072},
                {"3MiB", (size_t)3 << 20}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t got = 77;
        TEST_OK(fim_parse_bytes(good[i].text, "--memory", &got));
        cr_assert(eq(sz, got, good[i].want), "'%s'", good[i].text);
    }
    static const char *const bad[] = {"",   "0",   "-1",  "+1",   " 1",  "1 ",   "G",   "0.5",
                                      "5X", "5MX", "5GG", "1e30", "nan", "9e9T", "5 M", "5k5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t got = 77;
        TEST_FAILS(fim_parse_bytes(bad[i], "--memory", &got), FIM_ERR_ARGUMENT, "--memory");
        cr_assert(eq(sz, got, 77), "'%s' changed the output", bad[i]);
    }
}

Test(list, items_come_in_order_and_empty_ones_too) {
    static const char *const want[] = {"kfac", "", "kpsvd:3", "toolon", ""};
    const char *cursor = "kfac,,kpsvd:3,toolong,";
    char item[8];
    for (size_t i = 0; i < 4; i++) {
        size_t size = i == 3 ? 7 : sizeof item;
        cr_assert(fim_list_next(&cursor, ',', item, size), "item %zu", i);
        TEST_TEXT(item, want[i]);
    }
    cr_assert(fim_list_next(&cursor, ',', item, sizeof item), "the item after the last separator");
    TEST_TEXT(item, "");
    cr_assert(not(fim_list_next(&cursor, ',', item, sizeof item)));
    cursor = NULL;
    cr_assert(not(fim_list_next(&cursor, ',', item, sizeof item)));
    cursor = "";
    cr_assert(fim_list_next(&cursor, ',', item, sizeof item), "an empty text has one item");
    TEST_TEXT(item, "");
}

Test(memory, products_and_sums_saturate) {
    cr_assert(eq(sz, fim_size_mul(3, 5), 15));
    cr_assert(eq(sz, fim_size_mul(0, SIZE_MAX), 0));
    cr_assert(eq(sz, fim_size_mul(1, SIZE_MAX), SIZE_MAX));
    cr_assert(eq(sz, fim_size_mul((size_t)1 << 32, (size_t)1 << 31), (size_t)1 << 63));
    cr_assert(eq(sz, fim_size_mul((size_t)1 << 32, (size_t)1 << 32), SIZE_MAX));
    cr_assert(eq(sz, fim_size_mul(SIZE_MAX, SIZE_MAX), SIZE_MAX));
    cr_assert(eq(sz, fim_size_add(3, 5), 8));
    cr_assert(eq(sz, fim_size_add(SIZE_MAX, 0), SIZE_MAX));
    cr_assert(eq(sz, fim_size_add(SIZE_MAX - 1, 1), SIZE_MAX));
    cr_assert(eq(sz, fim_size_add(SIZE_MAX, 77), SIZE_MAX));
}

Test(memory, allocation_is_zeroed_or_says_for_what) {
    double *numbers = NULL;
    TEST_OK(fim_alloc(1000, sizeof *numbers, "numbers", &numbers));
    for (size_t i = 0; i < 1000; i++)
        cr_assert(eq(dbl, numbers[i], 0));
    free(numbers);
    void *nothing = NULL;
    TEST_OK(fim_alloc(0, sizeof *numbers, "nothing", &nothing));
    cr_assert(nothing != NULL);
    free(nothing);
    void *kept = &kept;
    volatile size_t huge = SIZE_MAX / 2; // hidden from the compiler, which would warn
    TEST_FAILS(fim_alloc(huge, 8, "the universe", &kept), FIM_ERR_MEMORY, "the universe");
    cr_assert(kept == &kept, "the output was touched");
}

Test(memory, the_budget_names_need_limit_and_way_out) {
    TEST_OK(fim_budget_check(100, 100, "a block", "buy more"));
    TEST_FAILS(fim_budget_check(2000, 480500000, "a block", "buy more"), FIM_ERR_BUDGET, "a block");
    TEST_TEXT(fim_message(), "a block needs 480 MB (480500000 bytes), the memory budget is 2.0 kB: buy more");
    cr_assert(fim_memory_total() > (size_t)1 << 26);
}

Test(memory, bytes_are_written_for_people) {
    static const struct {
        size_t bytes;
        const char *want;
    } cases[] = {{0, "0 B"},          {1, "1 B"},           {999, "999 B"},     {1000, "1.0 kB"},
                 {99940, "99.9 kB"},  {99960, "100 kB"},    {999499, "999 kB"}, {999500, "1.0 MB"},
                 {4805000, "4.8 MB"}, {SIZE_MAX, "18.4 EB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        TEST_TEXT(fim_format_bytes(cases[i].bytes, text), cases[i].want);
    }
}

static int by_value(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

Test(seeds, are_splitmix64_and_never_meet) {
    // The generator's published first outputs from state 0.
    cr_assert(eq(u64, fim_seed_stream(0, 0), UINT64_C(0xe220a8397b1dcdaf)));
    cr_assert(eq(u64, fim_seed_stream(0, 1), UINT64_C(0x6e789e6aa1b965f4)));
    cr_assert(eq(u64, fim_seed_stream(0, 2), UINT64_C(0x06c45d188009454f)));
    enum { SEEDS = 100, STREAMS = 1000 };
    static uint64_t all[SEEDS * STREAMS];
    for (size_t i = 0; i < SEEDS * STREAMS; i++)
        all[i] = fim_seed_stream(i / STREAMS, i % STREAMS);
    qsort(all, SEEDS * STREAMS, sizeof *all, by_value);
    for (size_t i = 1; i < SEEDS * STREAMS; i++)
        cr_assert(all[i] != all[i - 1], "two streams share a seed");
}

Test(clock, counts_seconds) {
    const struct timespec wait = {.tv_nsec = 20000000};
    double start = fim_clock_seconds();
    nanosleep(&wait, NULL);
    double took = fim_clock_seconds() - start;
    cr_assert(took >= 0.0199 && took < 5, "20 ms took %g s", took);
}
