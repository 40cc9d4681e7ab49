// The child in which files are read.
//
// HDF5 1.10 trusts the metadata of a file: a crafted length makes it write past a buffer, a crafted heap run
// in circles; and every parser has its day. So a reader runs in a forked child that
//   - may take the memory that the file could fill within the budget, and so much processor time as its size
//     allows; leaves no core file, makes no process, writes no file;
//   - has nothing open but the pipe to its parent, and, where the system filters system calls (seccomp), is
//     left those alone that open for reading, read, and manage its own memory;
//   - dies with its parent.
// A child that crashes, exceeds a limit or falls silent becomes one error message. Forking is safe beside
// threads here: the child has one thread, and calls nothing that waits for the others (OpenBLAS rests its own
// threads around a fork).
#define _GNU_SOURCE // pipe2, strsignal, close_range
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#ifdef FIM_HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "h5.h"
#include "sandbox.h"

#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    SECONDS = 10,               // of processor time for the smallest file
    BYTES_PER_SECOND = 1 << 20, // of the file, for those above
    SECONDS_LIMIT = 1 << 20,
    PATIENCE = 60,    // seconds of silence beyond those
    EXPANSION = 8256, // bytes of numbers in a byte of a file: deflate's 1032 times 8 for each byte
    FILES = 32,
    PIPE_BYTES = 1 << 20,
};
#define OVERHEAD           ((size_t)256 << 20)         // of memory: libraries, buffers, metadata
#define SANITIZER_OVERHEAD ((size_t)(SANITIZED) << 31) // its shadow, and what it keeps from reuse
#define SMALL_CHANGE       ((size_t)64 << 20)          // names and texts in the answer, beside the budget

static atomic_bool forks = true;

void fim_io_sandbox(bool on) {
    forks = on;
}

// ---- The child ----

static void limit(int resource, size_t value) {
    struct rlimit now, new;
    if (getrlimit(resource, &now) != 0)
        return;
    new.rlim_cur = now.rlim_max == RLIM_INFINITY || value < now.rlim_max ? (rlim_t)value : now.rlim_max;
    new.rlim_max = new.rlim_cur;
    if (resource == RLIMIT_CPU && new.rlim_max < now.rlim_max)
        new.rlim_max++; // the soft limit says SIGXCPU, the hard one kills
    else if (resource == RLIMIT_CPU && new.rlim_cur > 1)
        new.rlim_cur--;
    setrlimit(resource, &new);
}

// Bytes of address space in use.
static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t seconds_for(const struct stat *about) {
    size_t more = (size_t)about->st_size / BYTES_PER_SECOND;
    return SECONDS + (more < SECONDS_LIMIT ? more : SECONDS_LIMIT);
}

// Nothing is open but `pipe`; standard input and output are nowhere, and so are complaints, but for those of
// a sanitizer.
static int close_others(int pipe) {
    enum { KEPT = 3 };
    int nowhere = open("/dev/null", O_RDWR);
    for (int standard = 0; nowhere >= 0 && standard < (SANITIZED ? 2 : 3); standard++)
        dup2(nowhere, standard);
    if (pipe != KEPT && dup2(pipe, KEPT) != KEPT)
        return pipe;
#ifdef __linux__
    close_range(KEPT + 1, ~0u, 0);
#endif
    return KEPT;
}

#ifdef FIM_HAVE_SECCOMP
// Other system calls fail with EPERM. Where there can be no filter the limits remain.
static void filter_calls(void) {
    static const int free_calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(readv),
        SCMP_SYS(pread64),
        SCMP_SYS(preadv),
        SCMP_SYS(write),
        SCMP_SYS(writev),
        SCMP_SYS(lseek),
        SCMP_SYS(close),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(stat),
        SCMP_SYS(lstat),
        SCMP_SYS(statx),
        SCMP_SYS(access),
        SCMP_SYS(faccessat),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(getcwd),
        SCMP_SYS(mmap),
        SCMP_SYS(mprotect),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(brk),
        SCMP_SYS(madvise),
        SCMP_SYS(futex),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getegid),
        SCMP_SYS(getrandom),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(getrlimit),
        SCMP_SYS(getrusage),
    };
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return;
    for (size_t i = 0; i < sizeof free_calls / sizeof *free_calls; i++)
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, free_calls[i], 0);
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                     SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                     SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, // abort
                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    seccomp_load(filter);
    seccomp_release(filter);
}
#else
static void filter_calls(void) {
}
#endif

static int confine(const fim_sandbox_job *job, const struct stat *about, pid_t parent, int pipe) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!SANITIZED || i >= 5) // a sanitizer tells of the first five
            signal(signals[i], SIG_DFL);
    signal(SIGXFSZ, SIG_IGN); // what is written all the same fails
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
#else
    (void)parent;
#endif
    pipe = close_others(pipe);
    size_t space = address_space(), full = fim_size_mul((size_t)about->st_size, EXPANSION);
    size_t more = fim_size_add(full < job->budget ? full : job->budget, OVERHEAD + SANITIZER_OVERHEAD);
    if (space > 0)
        limit(RLIMIT_AS, fim_size_add(space, more));
    limit(RLIMIT_CPU, seconds_for(about));
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, FILES);
    filter_calls();
    return pipe;
}

// The status, with the message of a failure or the content.
static fim_status answer(fim_parcel *p, const fim_sandbox_job *job, void *context, fim_status status) {
    char message[2048] = "";
    size_t code = status;
    fim_status sent = FIM_OK;
    if (status != FIM_OK) {
        snprintf(message, sizeof message, "%s", fim_message());
        for (size_t i = 0, n = strlen(message); (i += fim_text_valid(message + i, n - i)) < n;)
            message[i] = '?';
    }
    if ((sent = fim_parcel_size(p, &code, 0, FIM_STATUS_COUNT - 1)) != FIM_OK ||
        (sent = fim_parcel_field(p, message, sizeof message)) != FIM_OK)
        return sent;
    if (status == FIM_OK && (sent = job->exchange(p, context)) != FIM_OK)
        return sent;
    return fim_parcel_flush(p);
}

static void be_child(const fim_sandbox_job *job, const struct stat *about, pid_t parent, int pipe,
                     void *context) {
    fim_parcel parcel = {.pipe = confine(job, about, parent, pipe), .left = SIZE_MAX};
    fim_status status = job->work(context);
    _exit(answer(&parcel, job, context, status) == FIM_OK ? 0 : 1);
}

// ---- The parent ----

// Why there was no answer.
static fim_status explain(const fim_sandbox_job *job, const fim_parcel *p, int died, size_t seconds) {
    static const char harm[] = "the file is damaged, or made to do harm";
    if (p->silent)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: cannot be read: its reader fell silent, and was ended",
                        job->path);
    if (!p->ended)
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: cannot be read: its reader answered nonsense; %s", job->path,
                        harm);
    if (!WIFSIGNALED(died))
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: cannot be read: its reader ended without an answer; %s",
                        job->path, harm);
    switch (WTERMSIG(died)) {
    case SIGINT:
    case SIGTERM:
        return FIM_FAIL(FIM_CANCELLED, "%s: interrupted while it was read", job->path);
    case SIGXCPU:
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: cannot be read: it takes more than %zu s of processor time; %s",
                        job->path, seconds, harm);
    case SIGKILL:
        return FIM_FAIL(FIM_ERR_FORMAT,
                        "%s: cannot be read: its reader was killed, perhaps for want of memory", job->path);
    default:
        return FIM_FAIL(FIM_ERR_FORMAT, "%s: cannot be read: its reader crashed (%s); %s", job->path,
                        strsignal(WTERMSIG(died)), harm);
    }
}

// The answer; *whole tells that it came to its end, whatever it said.
static fim_status listen(const fim_sandbox_job *job, fim_parcel *p, void *context, bool *whole) {
    char message[2048] = "";
    size_t code = FIM_OK;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_size(p, &code, 0, FIM_STATUS_COUNT - 1));
    FIM_TRY(fim_parcel_field(p, message, sizeof message));
    if (code != FIM_OK) {
        *whole = true;
        return FIM_FAIL((fim_status)code, "%s", message);
    }
    FIM_TRY(job->exchange(p, context));
    *whole = true;
out:
    return status;
}

// Takes leave of the child. One that closed its end is about to tell how it died; the others have no more to
// say.
static void end_child(pid_t child, bool dying, int *died) {
    for (int turn = 0; dying && turn < 1000; turn++) {
        if (waitpid(child, died, WNOHANG) != 0)
            return;
        poll(NULL, 0, 1);
    }
    kill(child, SIGKILL);
    while (waitpid(child, died, 0) < 0 && errno == EINTR)
        continue;
}

fim_status fim_sandbox_run(const fim_sandbox_job *job, void *context) {
    int ends[2], died = 0;
    struct stat about = {0};
    if (!forks)
        return job->work(context);
    stat(job->path, &about); // where there is no file, the reader says so
    if (pipe2(ends, O_CLOEXEC) != 0)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read in a process of its own: %s", job->path,
                        strerror(errno));
#ifdef F_SETPIPE_SZ
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); // fewer turns for large data; the default serves as well
#endif
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        be_child(job, &about, parent, ends[1], context);
    int error = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return FIM_FAIL(FIM_ERR_IO,
                        "%s: cannot be read in a process of its own: %s (--no-sandbox reads in this one)",
                        job->path, strerror(error));
    }
    size_t seconds = seconds_for(&about);
    fim_parcel parcel = {.pipe = ends[0],
                         .receiving = true,
                         .left = fim_size_add(job->budget, SMALL_CHANGE),
                         .patience = (int)seconds + PATIENCE};
    bool whole = false;
    fim_status status = listen(job, &parcel, context, &whole);
    close(ends[0]);
    end_child(child, parcel.ended, &died);
    return whole || status == FIM_ERR_MEMORY ? status : explain(job, &parcel, died, seconds);
}
