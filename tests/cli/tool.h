// Running the tools of the build.
#ifndef TESTS_CLI_TOOL_H
#define TESTS_CLI_TOOL_H

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "io/scratch.h"

enum { WORDS = 32 };

typedef struct settings {
    bool traced;
    size_t file_limit; // bytes that a file may have; 0: any
} settings;

// Starts a tool: '@' at the beginning of a word stands for the scratch folder, '%' for the tests' data.
// Complaints go to the file "errors".
static inline pid_t start(const char *line, settings how) {
    char words[WORDS][256], *argv[WORDS + 1], program[512], word[256];
    const char *cursor = line, *tools = getenv("FIM_TOOLS"), *data = getenv("FIM_TEST_DATA");
    size_t n = 0;
    if (tools == NULL || data == NULL)
        cr_skip_test("FIM_TOOLS and FIM_TEST_DATA do not tell where tools and data are");
    for (; n < WORDS && fim_list_next(&cursor, ' ', word, sizeof word); n++) {
        snprintf(words[n], sizeof words[n], "%s%s%s",
                 word[0] == '@'   ? scratch_folder
                 : word[0] == '%' ? data
                                  : "",
                 word[0] == '@' || word[0] == '%' ? "/" : "", word + (word[0] == '@' || word[0] == '%'));
        argv[n] = words[n];
    }
    cr_assert(n < WORDS, "%s has more than %d words", line, WORDS - 1);
    argv[n] = NULL;
    snprintf(program, sizeof program, "%s/%s", tools, words[0]);
    const char *errors = scratch("errors");
    setenv("OMP_WAIT_POLICY", "passive", 1); // or the tool would start itself again to have it
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY), told = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(nowhere, 1);
        dup2(told, 2);
        struct rlimit limit = {how.file_limit, how.file_limit};
        if (how.file_limit > 0)
            setrlimit(RLIMIT_FSIZE, &limit);
        if (how.traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(125);
        execv(program, argv);
        _exit(126);
    }
    cr_assert(child > 0);
    return child;
}

static inline int finish(pid_t child) {
    int status = 0;
    cr_assert(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The tool does what it should.
static inline void succeeds(const char *line) {
    int code = finish(start(line, (settings){0}));
    size_t length = 0;
    char *told = (char *)scratch_read(scratch("errors"), &length);
    told[length] = '\0';
    cr_assert(code == 0, "%s: exit code %d: %s", line, code, told);
    free(told);
    unlink(scratch("errors"));
}

#endif
