// Whole files or none, and folders.
#define _DEFAULT_SOURCE // usleep
#include <sys/stat.h>
#include <sys/wait.h>

#include "scratch.h"

TestSuite(file, .init = scratch_begin, .fini = scratch_end, .timeout = 60);

static void expect_text(const char *path, const char *text) {
    size_t n = 0;
    unsigned char *bytes = scratch_read(path, &n);
    cr_assert(n == strlen(text) && memcmp(bytes, text, n) == 0, "%s", path);
    free(bytes);
}

Test(file, a_text_appears_whole_with_usual_permissions) {
    umask(022);
    TEST_OK(fim_file_write_text(scratch("a.txt"), "one\ntwo\n", false));
    expect_text(scratch("a.txt"), "one\ntwo\n");
    struct stat about;
    cr_assert(stat(scratch("a.txt"), &about) == 0 && (about.st_mode & 0777) == 0644);
    cr_assert(eq(sz, scratch_count(), 1));
}

Test(file, nothing_is_overwritten_unasked) {
    TEST_OK(fim_file_write_text(scratch("a.txt"), "old", false));
    TEST_FAILS(fim_file_write_text(scratch("a.txt"), "new", false), FIM_ERR_IO, "a.txt: exists already");
    expect_text(scratch("a.txt"), "old");
    TEST_OK(fim_file_write_text(scratch("a.txt"), "new", true));
    expect_text(scratch("a.txt"), "new");
    cr_assert(eq(sz, scratch_count(), 1));
}

Test(file, an_abandoned_file_leaves_nothing) {
    char *temporary = NULL;
    TEST_OK(fim_file_begin(scratch("a.txt"), false, &temporary));
    cr_assert(eq(sz, scratch_count(), 1));
    fim_file_abandon(temporary);
    cr_assert(eq(sz, scratch_count(), 0));
    fim_file_abandon(NULL);
}

Test(file, a_commit_that_fails_leaves_nothing) {
    char *temporary = NULL;
    TEST_OK(fim_file_begin(scratch("a.txt"), false, &temporary));
    TEST_FAILS(fim_file_commit(temporary, scratch("nowhere/a.txt"), true), FIM_ERR_IO, "nowhere/a.txt");
    cr_assert(eq(sz, scratch_count(), 0));
}

Test(file, a_name_taken_in_the_meantime_stays_taken) {
    char *temporary = NULL;
    TEST_OK(fim_file_begin(scratch("a.txt"), false, &temporary));
    scratch_write(scratch("a.txt"), "theirs", 6);
    TEST_FAILS(fim_file_commit(temporary, scratch("a.txt"), false), FIM_ERR_IO, "a.txt: exists already");
    expect_text(scratch("a.txt"), "theirs");
    cr_assert(eq(sz, scratch_count(), 1));
}

Test(file, a_lock_is_of_the_file_that_has_the_name) {
    int lock = 7;
    TEST_OK(fim_file_lock(scratch("a.txt"), &lock));
    cr_assert(lock == -1, "there is nothing to lock");
    TEST_OK(fim_file_write_text(scratch("a.txt"), "old", false));
    TEST_OK(fim_file_lock(scratch("a.txt"), &lock));
    pid_t child = fork(); // waits, and must get the lock of the new file
    if (child == 0) {
        close(lock); // the lock belongs to whoever has it open
        int second = -1;
        bool good = fim_file_lock(scratch("a.txt"), &second) == FIM_OK && second >= 0;
        char text[4] = "";
        good = good && read(second, text, 3) == 3 && strcmp(text, "new") == 0;
        _exit(good ? 0 : 1);
    }
    usleep(50000);
    cr_assert(waitpid(child, NULL, WNOHANG) == 0, "the lock was not waited for");
    TEST_OK(fim_file_write_text(scratch("a.txt"), "new", true));
    fim_file_unlock(lock);
    int status = -1;
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
}

Test(file, a_name_without_folder) {
    cr_assert(chdir(scratch_folder) == 0);
    TEST_OK(fim_file_write_text("bare", "x", false));
    expect_text(scratch("bare"), "x");
    cr_assert(chdir("/") == 0);
}

Test(file, places_where_nothing_can_be_written) {
    char *temporary = NULL, name[400];
    TEST_OK(fim_file_write_text(scratch("a.txt"), "x", false));
    TEST_FAILS(fim_file_begin(scratch("none/b"), true, &temporary), FIM_ERR_IO,
               "none/b: cannot be written: No such");
    TEST_FAILS(fim_file_begin(scratch("a.txt/b"), true, &temporary), FIM_ERR_IO,
               "a.txt/b: cannot be written");
    TEST_FAILS(fim_file_begin(scratch("folder/"), true, &temporary), FIM_ERR_ARGUMENT, "folder/");
    TEST_FAILS(fim_file_begin("", true, &temporary), FIM_ERR_ARGUMENT, "''");
    TEST_FAILS(fim_file_begin(scratch_folder, true, &temporary), FIM_ERR_IO, "not a regular file");
    TEST_FAILS(fim_file_begin("/dev/null", true, &temporary), FIM_ERR_IO,
               "/dev/null: exists and is not a regular");
    TEST_FAILS(fim_file_begin("/proc/fim.h5", true, &temporary), FIM_ERR_IO,
               "/proc/fim.h5: cannot be written");
    snprintf(name, sizeof name, "%s/%0300d", scratch_folder, 0);
    TEST_FAILS(fim_file_begin(name, true, &temporary), FIM_ERR_IO, "too long");
    cr_assert(temporary == NULL);
    cr_assert(eq(sz, scratch_count(), 1));
}

Test(file, a_folder_without_permission) {
    char *temporary = NULL;
    TEST_OK(fim_folder_make(scratch("locked")));
    cr_assert(chmod(scratch("locked"), 0555) == 0);
    if (geteuid() == 0)
        cr_skip_test("the superuser may write anywhere");
    TEST_FAILS(fim_file_begin(scratch("locked/a"), false, &temporary), FIM_ERR_IO, "Permission denied");
}

Test(file, folders_with_those_above) {
    TEST_OK(fim_folder_make(scratch("a/b/c")));
    TEST_OK(fim_folder_make(scratch("a/b/c/")));
    TEST_OK(fim_folder_make("/"));
    struct stat about;
    cr_assert(stat(scratch("a/b/c"), &about) == 0 && S_ISDIR(about.st_mode));
    TEST_OK(fim_file_write_text(scratch("a/file"), "x", false));
    TEST_FAILS(fim_folder_make(scratch("a/file/d")), FIM_ERR_IO, "a/file is not a folder");
    TEST_FAILS(fim_folder_make(scratch("a/file")), FIM_ERR_IO, "a/file is not a folder");
    TEST_FAILS(fim_folder_make(""), FIM_ERR_ARGUMENT, "''");
    TEST_FAILS(fim_folder_make("/proc/fim"), FIM_ERR_IO, "/proc/fim: cannot be made");
}
