// Statuses, messages, and the questions to the caller.
#include <pthread.h>
#include <stdio.h>

#include "support.h"

Test(status, every_code_has_a_text_of_its_own) {
    for (fim_status s = 0; s < FIM_STATUS_COUNT; s++) {
        cr_assert(strlen(fim_status_text(s)) > 5, "status %d", s);
        for (fim_status t = 0; t < s; t++)
            cr_assert(strcmp(fim_status_text(s), fim_status_text(t)) != 0, "%d and %d", s, t);
    }
    TEST_TEXT(fim_status_text(FIM_OK), "success");
    TEST_TEXT(fim_status_text(FIM_ERR_SHAPE), "shapes do not match");
    TEST_TEXT(fim_status_text(FIM_CANCELLED), "cancelled");
    TEST_TEXT(fim_status_text(FIM_STATUS_COUNT), "unknown status");
    TEST_TEXT(fim_status_text((fim_status)-1), "unknown status");
}

Test(status, the_message_is_that_of_the_last_failure) {
    TEST_TEXT(fim_message(), "");
    cr_assert(FIM_FAIL(FIM_ERR_SHAPE, "%d by %s", 3, "four") == FIM_ERR_SHAPE);
    TEST_TEXT(fim_message(), "3 by four");
    FIM_FAIL(FIM_ERR_IO, "again: %s", fim_message());
    TEST_TEXT(fim_message(), "again: 3 by four");
}

Test(status, context_goes_before_the_message_of_a_failure_only) {
    FIM_FAIL(FIM_ERR_IO, "no such file");
    cr_assert(fim_context(FIM_OK, "layer %d", 2) == FIM_OK);
    TEST_TEXT(fim_message(), "no such file");
    cr_assert(fim_context(FIM_ERR_IO, "layer %d", 2) == FIM_ERR_IO);
    TEST_TEXT(fim_message(), "layer 2: no such file");
}

Test(status, overlong_messages_are_cut) {
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    FIM_FAIL(FIM_ERR_IO, "%s", text);
    size_t longest = strlen(fim_message());
    cr_assert(longest > 1000 && longest < 4999);
    fim_context(FIM_ERR_IO, "%s", text);
    cr_assert(strlen(fim_message()) <= longest);
}

static void *fail_elsewhere(void *before) {
    snprintf(before, 32, "%s", fim_message());
    FIM_FAIL(FIM_ERR_IO, "elsewhere");
    return NULL;
}

Test(status, every_thread_has_its_own_message) {
    pthread_t other;
    char before[32] = "?";
    FIM_FAIL(FIM_ERR_IO, "here");
    cr_assert(pthread_create(&other, NULL, fail_elsewhere, before) == 0 && pthread_join(other, NULL) == 0);
    TEST_TEXT(before, "");
    TEST_TEXT(fim_message(), "here");
}

static fim_status leave_early(fim_status first, int *reached) {
    fim_status status = FIM_OK;
    FIM_TRY(first);
    *reached = 1;
out:
    *reached += 2;
    return status;
}

Test(status, try_leaves_through_the_clean_up) {
    int reached = 0;
    cr_assert(leave_early(FIM_ERR_IO, &reached) == FIM_ERR_IO && reached == 2);
    cr_assert(leave_early(FIM_OK, &reached) == FIM_OK && reached == 3);
}

typedef struct seen {
    char what[64], note[64];
    double done, total;
    bool stop;
} seen;

static void see_progress(void *context, const char *what, double done, double total) {
    seen *s = context;
    snprintf(s->what, sizeof s->what, "%s", what);
    s->done = done;
    s->total = total;
}

static void see_note(void *context, const char *text) {
    snprintf(((seen *)context)->note, sizeof((seen *)context)->note, "%s", text);
}

static bool see_cancelled(void *context) {
    return ((seen *)context)->stop;
}

Test(monitor, reports_and_asks) {
    seen s = {0};
    fim_monitor monitor = {&s, see_progress, see_note, see_cancelled};
    TEST_OK(fim_monitor_progress(&monitor, "digging", 3, 8));
    TEST_TEXT(s.what, "digging");
    cr_assert(all(eq(dbl, s.done, 3), eq(dbl, s.total, 8)));
    fim_monitor_note(&monitor, "%d stones", 5);
    TEST_TEXT(s.note, "5 stones");
    s.stop = true;
    TEST_FAILS(fim_monitor_progress(&monitor, "filling", 4, 8), FIM_CANCELLED, "filling");
    cr_assert(eq(dbl, s.done, 4), "the last progress is reported before the question");
}

Test(monitor, may_be_missing_or_empty) {
    fim_monitor nobody = {0};
    TEST_OK(fim_monitor_progress(NULL, "digging", 0, 1));
    TEST_OK(fim_monitor_progress(&nobody, "digging", 0, 1));
    fim_monitor_note(NULL, "nobody hears");
    fim_monitor_note(&nobody, "nobody hears");
}

Test(status, a_message_is_one_line_whatever_it_quotes) {
    TEST_FAILS(FIM_FAIL(FIM_ERR_FORMAT, "'%s' is no name", "a\nb\033[2J\x7f µ"), FIM_ERR_FORMAT,
               "'a?b?[2J? µ' is no name");
}
