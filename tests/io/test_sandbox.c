// The child that reads files: what it may not do, how its end is told, and what the parent believes.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../../src/io/sandbox.h"
#include "scratch.h"

TestSuite(sandbox, .init = scratch_begin, .fini = scratch_end, .timeout = 120);

// What a reader of this test finds: a number.
typedef struct reading {
    const char *path;
    size_t number;
    gsl_matrix *matrix;
} reading;

static fim_status exchange_number(fim_parcel *p, void *context) {
    return fim_parcel_size(p, &((reading *)context)->number, 0, 1000);
}

// Runs `work` in a child over a file of a few bytes.
static fim_status run(fim_status (*work)(void *), fim_status (*exchange)(fim_parcel *, void *), size_t budget,
                      reading *r) {
    scratch_write(scratch("file"), "hello", 5);
    r->path = scratch("file");
    return fim_sandbox_run(&(fim_sandbox_job){r->path, budget, work, exchange}, r);
}

static fim_status answer(void *context) {
    ((reading *)context)->number = 42;
    return FIM_OK;
}
static fim_status refuse(void *context) {
    ((reading *)context)->number = 41;
    return FIM_FAIL(FIM_ERR_SHAPE, "a square peg \033[2J");
}
static fim_status answer_too_much(void *context) {
    ((reading *)context)->number = 1001;
    return FIM_OK;
}
static fim_status crash(void *context) {
    (void)context;
    signal(SIGSEGV, SIG_DFL); // a sanitizer has its own way of dying
    raise(SIGSEGV);
    return FIM_OK;
}
static fim_status give_up(void *context) {
    (void)context;
    abort();
}
static fim_status leave(void *context) {
    (void)context;
    _exit(0);
}
static fim_status be_killed(void *context) {
    (void)context;
    raise(SIGKILL);
    return FIM_OK;
}
static fim_status be_interrupted(void *context) {
    (void)context;
    raise(SIGINT);
    return FIM_OK;
}

Test(sandbox, brings_home_what_was_found) {
    reading r = {0};
    TEST_OK(run(answer, exchange_number, 0, &r));
    cr_assert(eq(sz, r.number, 42));
}

Test(sandbox, a_refusal_keeps_its_status_and_its_words) {
    reading r = {0};
    TEST_FAILS(run(refuse, exchange_number, 0, &r), FIM_ERR_SHAPE, "a square peg ?[2J");
    cr_assert(eq(sz, r.number, 0), "the child's memory is not the parent's");
}

Test(sandbox, is_switched_off) {
    reading r = {0};
    fim_io_sandbox(false);
    TEST_FAILS(run(refuse, exchange_number, 0, &r), FIM_ERR_SHAPE, "a square peg");
    cr_assert(eq(sz, r.number, 41), "the work was done in this process");
}

Test(sandbox, the_end_of_a_child_is_one_message) {
    static const struct {
        fim_status (*work)(void *);
        fim_status status;
        const char *part;
    } cases[] = {
        {crash, FIM_ERR_FORMAT, "crashed (Segmentation fault); the file is damaged, or made to do harm"},
        {give_up, FIM_ERR_FORMAT, "crashed (Aborted)"},
        {leave, FIM_ERR_FORMAT, "ended without an answer"},
        {be_killed, FIM_ERR_FORMAT, "was killed, perhaps for want of memory"},
        {be_interrupted, FIM_CANCELLED, "interrupted while it was read"},
        {answer_too_much, FIM_ERR_FORMAT, "ended without an answer"}, // the sender checks as well
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reading r = {0};
        TEST_FAILS(run(cases[i].work, exchange_number, 0, &r), cases[i].status, cases[i].part);
        cr_assert(strstr(fim_message(), r.path) == fim_message(), "'%s'", fim_message());
        cr_assert(eq(sz, r.number, 0));
    }
    cr_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child is left");
}

static fim_status run_in_circles(void *context) {
    volatile size_t *number = &((reading *)context)->number;
    while (*number < SIZE_MAX)
        ++*number;
    return FIM_OK;
}

// The test has no time for the child's own limit: a lower one that the parent has holds, too.
Test(sandbox, circles_end) {
    reading r = {0};
    struct rlimit few = {2, 2};
    cr_assert(setrlimit(RLIMIT_CPU, &few) == 0);
    TEST_FAILS(run(run_in_circles, exchange_number, 0, &r), FIM_ERR_FORMAT, "of processor time");
}

// The five bytes of the file, and what a process needs beside them, do not make 4 GB, whatever the budget.
static fim_status take_much(void *context) {
    enum { MANY = 1 << 10 };
    size_t taken = 0;
    for (size_t i = 0; i < MANY; i++) {
        char *piece = malloc(1 << 22);
        if (piece == NULL)
            break;
        piece[i] = 1;
        taken += piece[i] > 0;
    }
    ((reading *)context)->number = taken < MANY - 1 ? taken % 1000 : 1000;
    return FIM_OK;
}

Test(sandbox, memory_is_what_the_file_can_fill) {
    reading r = {0};
    TEST_OK(run(take_much, exchange_number, SIZE_MAX, &r));
    cr_assert(r.number < 1000, "4 GB were given");
}

// 1 for each thing that ought to be refused and was not.
static fim_status misbehave(void *context) {
    reading *r = context;
    char path[320];
    size_t done = 0;
    snprintf(path, sizeof path, "%s.new", r->path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    done += fd >= 0 && write(fd, "x", 1) == 1 ? 1 : 0;
    fd = open(r->path, O_WRONLY);
    done += fd >= 0 && write(fd, "x", 1) == 1 ? 2 : 0;
    done += fcntl(r->number == 999 ? 9 : 4, F_GETFD) >= 0 ? 4 : 0; // what the parent has open
#ifdef FIM_HAVE_SECCOMP
    done += unlink(r->path) == 0 ? 8 : 0;
    done += rename(r->path, path) == 0 ? 16 : 0;
    done += socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 32 : 0;
    done += kill(getppid(), 0) == 0 ? 64 : 0;
    done += truncate(r->path, 0) == 0 ? 128 : 0;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    done += child > 0 ? 256 : 0;
#endif
    r->number = done;
    return FIM_OK;
}

Test(sandbox, nothing_but_reading_is_allowed) {
    reading r = {0};
    int inherited = open("/dev/zero", O_RDONLY);
    for (int fd = inherited; fd < 12; fd++)
        dup2(inherited, fd);
    TEST_OK(run(misbehave, exchange_number, 0, &r));
    cr_assert(eq(sz, r.number, 0), "these went well in the child: %zx", r.number);
    size_t n = 0;
    free(scratch_read(scratch("file"), &n));
    cr_assert(eq(sz, n, 5));
    cr_assert(eq(sz, scratch_count(), 1));
}

// ---- What the parent believes ----

static fim_status nothing(void *context) {
    (void)context;
    return FIM_OK;
}

// A child that says something else than the parent expects.
static fim_status lie_matrix(fim_parcel *p, void *context) {
    reading *r = context;
    size_t there = 1, rows = r->number, columns = (size_t)1 << 40;
    double value = r->number == 0 ? NAN : 1;
    if (fim_parcel_receiving(p))
        return fim_parcel_matrix(p, &r->matrix, true);
    rows = r->number == 0 ? 1 : rows;
    columns = r->number < 2 ? 1 : columns;
    fim_status status = fim_parcel_size(p, &there, 0, SIZE_MAX);
    if (status == FIM_OK)
        status = fim_parcel_size(p, &rows, 0, SIZE_MAX);
    if (status == FIM_OK)
        status = fim_parcel_size(p, &columns, 0, SIZE_MAX);
    return status == FIM_OK ? fim_parcel_real(p, &value) : status;
}

Test(sandbox, a_matrix_must_be_true) {
    reading r = {.number = 1};
    TEST_OK(run(nothing, lie_matrix, 8, &r));
    cr_assert(r.matrix->size1 == 1 && r.matrix->size2 == 1 && gsl_matrix_get(r.matrix, 0, 0) == 1);
    gsl_matrix_free(r.matrix);
    static const size_t lies[] = {0, 2, (size_t)1 << 30}; // NAN; over the budget; over any
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        r = (reading){.number = lies[i]};
        TEST_FAILS(run(nothing, lie_matrix, 1 << 20, &r), FIM_ERR_FORMAT, "answered nonsense");
        cr_assert(r.matrix == NULL);
    }
}

static fim_status lie_text(fim_parcel *p, void *context) {
    reading *r = context;
    static char field[8];
    size_t length = 5;
    double bytes;
    memcpy(&bytes, "ab\033[2Jxy", sizeof bytes);
    if (fim_parcel_receiving(p))
        return fim_parcel_field(p, field, sizeof field);
    if (r->number == 1)
        length = 500;
    fim_status status = fim_parcel_size(p, &length, 0, SIZE_MAX);
    return status == FIM_OK ? fim_parcel_real(p, &bytes) : status;
}

Test(sandbox, a_text_must_be_one) {
    for (size_t i = 0; i < 2; i++) {
        reading r = {.number = i};
        TEST_FAILS(run(nothing, lie_text, 8, &r), FIM_ERR_FORMAT, "answered nonsense");
    }
}

// Everything a record can hold, there and back.
static fim_status exchange_record(fim_parcel *p, void *context) {
    return fim_parcel_record(p, context);
}

static fim_status make_record(void *context) {
    fim_record *r = context, *child = NULL;
    fim_record_init(r, "");
    fim_status status = FIM_OK;
    FIM_TRY(fim_record_set(r, "number", 0.1, "a note"));
    FIM_TRY(fim_record_set(r, "none", NAN, "why"));
    FIM_TRY(fim_record_set_text(r, "text", "µ ⊗ “quoted”\ttab\nline"));
    FIM_TRY(fim_record_set_text(r, "empty", ""));
    FIM_TRY(fim_record_set_curve(r, "curve", gsl_vector_calloc(3), "its note"));
    FIM_TRY(fim_record_set_table(r, "table", test_random_matrix(300, 200, 1)));
    for (size_t i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "child %zu", i);
        FIM_TRY(fim_record_add_child(r, name, &child));
        FIM_TRY(fim_record_set(child, "number", (double)i, ""));
    }
out:
    return status;
}

Test(sandbox, a_record_comes_home) {
    fim_record found;
    scratch_write(scratch("file"), "hello", 5);
    TEST_OK(
        fim_sandbox_run(&(fim_sandbox_job){scratch("file"), 1 << 20, make_record, exchange_record}, &found));
    cr_assert(found.n_values == 2 && found.n_texts == 2 && found.n_curves == 1 && found.n_tables == 1);
    cr_assert(fim_record_value(&found, "number")->value == 0.1);
    TEST_TEXT(fim_record_value(&found, "number")->note, "a note");
    cr_assert(isnan(fim_record_value(&found, "none")->value));
    TEST_TEXT(fim_record_text(&found, "text"), "µ ⊗ “quoted”\ttab\nline");
    TEST_TEXT(fim_record_text(&found, "empty"), "");
    TEST_TEXT(fim_record_curve(&found, "curve")->note, "its note");
    gsl_matrix *table = test_random_matrix(300, 200, 1);
    cr_assert(gsl_matrix_equal(fim_record_table(&found, "table")->values, table));
    gsl_matrix_free(table);
    cr_assert(eq(sz, found.n_children, 20));
    TEST_TEXT(found.children[19].name, "child 19");
    cr_assert(fim_record_value(&found.children[19], "number")->value == 19);
    fim_record_clear(&found);
}
