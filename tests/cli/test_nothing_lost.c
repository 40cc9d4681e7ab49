// Outputs are whole or not there at all: tools killed between their system calls, on a full disk, on one that
// is read-only; and reports to which several programs add at the same time.
#define _GNU_SOURCE // unshare, PTRACE_GET_SYSCALL_INFO
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tool.h"

TestSuite(nothing_lost, .init = scratch_begin, .fini = scratch_end, .timeout = 600);

static const size_t budget = 1 << 24;

// The tool fails as it should: with one line that has `part`.
static void fails(const char *line, settings how, const char *part) {
    int code = finish(start(line, how));
    size_t length = 0;
    char *told = (char *)scratch_read(scratch("errors"), &length);
    told[length] = '\0';
    cr_expect(code == 1, "%s: exit code %d: %s", line, code, told);
    cr_expect(length > 0 && strchr(told, '\n') == told + length - 1, "%s: not one line: '%s'", line, told);
    cr_expect(strstr(told, part) != NULL, "%s: '%s' lacks '%s'", line, told, part);
    free(told);
    unlink(scratch("errors"));
}

static size_t checkpoints_in(const char *path) {
    fim_record report;
    TEST_OK(fim_record_read(path, "fim-report", budget, &report));
    const fim_record *checkpoints = fim_record_child(&report, "checkpoints");
    size_t n = checkpoints != NULL ? checkpoints->n_children : 0;
    for (size_t i = 0; i < n; i++)
        cr_assert(fim_record_child(&checkpoints->children[i], "layers")->n_children > 0);
    fim_record_clear(&report);
    return n;
}

// ---- Killed ----

// Whether this system call can change a file.
static bool changes(uint64_t call) {
    static const uint64_t calls[] = {
        SYS_write,    SYS_pwrite64,  SYS_openat, SYS_ftruncate, SYS_fsync,
        SYS_renameat, SYS_renameat2, SYS_linkat, SYS_unlinkat,
#ifdef SYS_rename
        SYS_rename,   SYS_link,      SYS_unlink, SYS_open,
#endif
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (call == calls[i])
            return true;
    return false;
}

// Runs the tool up to the `last`-th system call that can change a file, of which one in `step` counts once
// the output has been begun, and kills it there; false when it came to its end before.
static bool kill_at(const char *line, size_t last, size_t step) {
    size_t count = 0, writes = 0;
    int status = 0;
    pid_t child = start(line, (settings){.traced = true});
    pid_t stopped = waitpid(child, &status, 0);
    cr_assert(stopped == child, "%s", line);
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD);
    for (int pass = 0; ptrace(PTRACE_SYSCALL, child, NULL, pass) == 0;) {
        cr_assert(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            cr_assert(status == 0, "%s: status %x", line, status);
            return false;
        }
        pass = WSTOPSIG(status) == (SIGTRAP | 0x80) || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        struct __ptrace_syscall_info about = {0};
        if (WSTOPSIG(status) != (SIGTRAP | 0x80) ||
            ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof about, &about) <= 0 ||
            about.op != PTRACE_SYSCALL_INFO_ENTRY || !changes(about.entry.nr))
            continue;
        // Of opening only what creates, of the many writes some.
        if (about.entry.nr == SYS_openat && (about.entry.args[2] & O_CREAT) == 0)
            continue;
        if ((about.entry.nr == SYS_pwrite64 || about.entry.nr == SYS_write) && writes++ % step != 0)
            continue;
        if (count++ == last) {
            kill(child, SIGKILL);
            finish(child);
            return true;
        }
    }
    cr_assert(false, "%s: cannot be traced", line);
    return false;
}

static bool can_trace(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What a killed tool leaves beside its output begins with ".fim-": they are removed and counted.
static size_t remove_parts(void) {
    size_t n = 0;
    DIR *folder = opendir(scratch_folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strncmp(entry->d_name, ".fim-", 5) == 0) {
            unlink(scratch(entry->d_name));
            n++;
        }
    closedir(folder);
    return n;
}

static bool same_bytes(const char *path, const unsigned char *bytes, size_t n) {
    size_t length = 0;
    unsigned char *found = scratch_read(path, &length);
    bool same = length == n && memcmp(found, bytes, n) == 0;
    free(found);
    return same;
}

// Kills the tool at every place; each time the report is the old one, byte by byte (or not there), or whole
// with `wanted` checkpoints.
static void kill_everywhere(const char *line, bool old, size_t wanted) {
    size_t n = 0, kills = 0, kept = 0, parts = 0;
    char path[320];
    snprintf(path, sizeof path, "%s", scratch("out.h5"));
    unsigned char *bytes = old ? scratch_read(path, &n) : NULL;
    for (bool going = true; going; kills++) {
        going = kill_at(line, kills, 9);
        bool is_old = old ? same_bytes(path, bytes, n) : access(path, F_OK) != 0;
        if (!is_old)
            cr_assert(checkpoints_in(path) == wanted, "%s, killed at %zu: %zu checkpoints", line, kills,
                      checkpoints_in(path));
        cr_assert(going || !is_old, "%s: did nothing", line);
        kept += is_old;
        parts += remove_parts();
        if (old)
            scratch_write(path, bytes, n);
        else
            unlink(path);
    }
    cr_assert(kept > 5 && kept < kills, "%s: %zu of %zu kills left the old state", line, kept, kills);
    cr_log_info("%s: %zu kills, %zu left the old state, %zu a part", line, kills - 1, kept, parts);
    free(bytes);
}

static const char analyze[] =
    "fim-analyze %capture-regression.h5 --methods kfac,kpsvd --layers 2 -q -o @out.h5";

Test(nothing_lost, killed_anywhere_a_report_is_old_or_new) {
    char line[256];
    if (!can_trace())
        cr_skip_test("this system does not let a program trace another");
    kill_everywhere(analyze, false, 1);
    cr_assert(
        finish(start("fim-analyze %capture-classifier.h5 --methods kfac -q -o @out.h5", (settings){0})) == 0);
    snprintf(line, sizeof line, "%s --force", analyze);
    kill_everywhere(line, true, 1);
    snprintf(line, sizeof line, "%s --append", analyze);
    kill_everywhere(line, true, 2);
}

Test(nothing_lost, killed_anywhere_a_checkpoint_is_whole) {
    fim_data data = {.x = test_random_matrix(20, 3, 1), .labels = calloc(20, sizeof(uint32_t))};
    static const char *const names[] = {"run/run.h5", "run/checkpoint-1.h5"};
    if (!can_trace())
        cr_skip_test("this system does not let a program trace another");
    TEST_OK(fim_data_write(&data, scratch("x.h5"), false));
    fim_data_clear(&data);
    size_t kills = 0, whole = 0;
    for (bool going = true; going; kills++) {
        going = kill_at("fim-train --net 3-2 --data @x.h5 --epochs 1 --optimizer sgd -q -o @run", kills, 7);
        for (size_t i = 0; i < 2; i++) {
            fim_file_kind kind;
            if (!scratch_has(names[i]))
                continue;
            TEST_OK(fim_file_sniff(scratch(names[i]), &kind));
            cr_assert(kind == (i == 0 ? FIM_FILE_RUN : FIM_FILE_CHECKPOINT));
            if (i == 1) {
                fim_net net;
                TEST_OK(fim_checkpoint_read(scratch(names[i]), budget, &net));
                fim_net_clear(&net);
            }
            whole++;
        }
        char command[64];
        snprintf(command, sizeof command, "rm -rf %s/run", scratch_folder);
        cr_assert(system(command) == 0);
    }
    cr_assert(kills > 10 && whole > 2, "%zu kills, %zu whole files", kills, whole);
}

// ---- Where there is no room ----

static const char *const lines[] = {
    "fim-analyze %capture-regression.h5 --methods kfac -q -o @there/out.h5",
    "fim-dump %reference-classifier.h5 --data @x.h5 -q -o @there/out.h5",
    "fim-train --net 5-3 --data @x.h5 --epochs 1 -q -o @there",
    "fim-convert @net.h5 -q -o @there/out.h5",
    "fim-convert @net.h5 --to safetensors -q -o @there/out",
    "fim-convert @net.h5 --to npz -q -o @there/out",
    "fim-convert @net.h5 --to torch -q -o @there/out",
};
enum { LINES = sizeof lines / sizeof *lines };

static void write_data(void) {
    fim_data data = {.x = test_random_matrix(20, 5, 1), .labels = calloc(20, sizeof(uint32_t))};
    TEST_OK(fim_data_write(&data, scratch("x.h5"), true));
    fim_data_clear(&data);
    fim_net net; // of 9 kB
    TEST_OK(fim_net_init(&net, FIM_GAUSSIAN, (const size_t[]){40, 30}, 1, FIM_ACTIVATION_TANH));
    TEST_OK(fim_checkpoint_write(&net, NULL, scratch("net.h5"), false));
    fim_net_clear(&net);
    mkdir(scratch("there"), 0777);
}

static size_t files_there(void) {
    size_t n = 0;
    DIR *folder = opendir(scratch("there"));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return n;
}

Test(nothing_lost, a_file_that_cannot_grow_is_not_there) {
    write_data();
    for (size_t limit = 400; limit < 4000; limit = 2 * limit + 100)
        for (size_t i = 0; i < LINES; i++) {
            fails(lines[i], (settings){.file_limit = limit}, "File too large");
            cr_expect(files_there() == 0, "%s: left files behind at a limit of %zu", lines[i], limit);
        }
}

// A file system of `size` in the place of "there".
static bool mount_there(const char *options, unsigned long flags) {
    return mount("fim", scratch("there"), "tmpfs", flags, options) == 0;
}

Test(nothing_lost, a_full_disk_and_a_read_only_one) {
    write_data();
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        !mount_there("size=4k", 0))
        cr_skip_test("file systems cannot be mounted here");
    for (size_t i = 0; i < LINES; i++) {
        fails(lines[i], (settings){0}, "No space left on device");
        cr_expect(files_there() == 0, "%s: left files behind on a full disk", lines[i]);
    }
    cr_assert(mount_there("size=4k", MS_RDONLY));
    for (size_t i = 0; i < LINES; i++)
        fails(lines[i], (settings){0}, "Read-only file system");
    cr_assert(umount(scratch("there")) == 0 && umount(scratch("there")) == 0);
}

// ---- Several at a time ----

Test(nothing_lost, appenders_take_turns) {
    enum { RUNS = 6 };
    pid_t running[RUNS];
    char line[256];
    bool seen[RUNS] = {false};
    for (size_t k = 0; k < RUNS; k++) {
        snprintf(line, sizeof line,
                 "fim-analyze %%capture-regression.h5 --methods kfac --seed %zu -q -o @out.h5 --append", k);
        running[k] = start(line, (settings){0});
    }
    for (size_t k = 0; k < RUNS; k++)
        cr_assert(finish(running[k]) == 0);
    unlink(scratch("errors"));
    cr_assert(scratch_count() == 1, "something is left beside the report");
    fim_record report;
    TEST_OK(fim_record_read(scratch("out.h5"), "fim-report", budget, &report));
    const fim_record *checkpoints = fim_record_child(&report, "checkpoints"),
                     *runs = fim_record_child(&report, "runs");
    cr_assert(checkpoints->n_children == RUNS && runs->n_children == RUNS - 1);
    for (size_t k = 0; k < RUNS; k++) {
        // The first has its provenance in the root; every other says where it came from.
        const fim_value *run = fim_record_value(&checkpoints->children[k], "run");
        cr_assert(k == 0 ? run == NULL : run->value == (double)k);
        const fim_record *root = k == 0 ? &report : &runs->children[k - 1];
        const size_t seed = (size_t)fim_record_value(root, "seed")->value;
        cr_assert(seed < RUNS && !seen[seed], "the run of seed %zu twice", seed);
        seen[seed] = true;
        cr_assert(strstr(fim_record_text(root, "command_line"), "--append") != NULL);
        cr_assert(fim_record_text(root, "input_0_sha256") != NULL);
    }
    fim_record_clear(&report);
}

Test(nothing_lost, appending_needs_a_report) {
    scratch_write(scratch("out.h5"), "precious", 8);
    fails("fim-analyze %capture-regression.h5 --methods kfac -q -o @out.h5 --append", (settings){0},
          "out.h5: is");
    cr_assert(same_bytes(scratch("out.h5"), (const unsigned char *)"precious", 8));
    cr_assert(scratch_count() == 1);
}
