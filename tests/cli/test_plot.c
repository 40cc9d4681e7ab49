// fim-plot at the command line: what it leaves without gnuplot, what gnuplot then makes of it, and what it
// refuses.
#include <glob.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support.h"

static char root[] = "/tmp/fim-test-plot-XXXXXX"; // of one test: each is a process

// The exit code of a command of the shell, %s in which is the folder of the tools; its messages in `said`.
static int shell(const char *command, char *said, size_t size) {
    char line[1000], all[1200];
    snprintf(line, sizeof line, command, getenv("FIM_TOOLS"));
    snprintf(all, sizeof all, "{ cd %s && export OMP_WAIT_POLICY=passive && %s; } 2>&1", root, line);
    FILE *pipe = popen(all, "r");
    cr_assert(pipe != NULL);
    const size_t got = fread(said, 1, size - 1, pipe);
    said[got] = '\0';
    while (fgetc(pipe) != EOF) // or the command dies of a pipe that nobody reads
        ;
    const int state = pclose(pipe);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

static size_t count(const char *pattern) {
    char path[200];
    glob_t found = {0};
    snprintf(path, sizeof path, "%s/%s", root, pattern);
    const size_t n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static void begin(void) {
    char said[4096], command[600];
    cr_assert(mkdtemp(root) != NULL);
    snprintf(
        command, sizeof command,
        "%%s/fim-analyze %s/classifier.h5 --data %s/classifier-data.h5 --methods kfac,kpsvd -o report.h5 "
        "--quiet",
        getenv("FIM_TEST_DATA"), getenv("FIM_TEST_DATA"));
    cr_assert(shell(command, said, sizeof said) == 0, "%s", said);
}

static void end(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", root);
    cr_assert(system(command) == 0);
}

TestSuite(plot, .init = begin, .fini = end);

Test(plot, without_gnuplot_the_way_is_told_and_is_one) {
    char said[4096];
    cr_assert(shell("PATH=/nowhere %s/fim-plot report.h5 --size one -o figures", said, sizeof said) == 1);
    const char *line = strchr(said, '\n');
    cr_assert(line != NULL && line[1] == '\0', "one line: %s", said);
    cr_assert(strstr(said, "fim-plot: cannot start gnuplot") != NULL, "%s", said);
    const char *way = strstr(said, "cd figures && gnuplot *.gp");
    cr_assert(way != NULL, "%s", said);
    const size_t scripts = count("figures/*.gp");
    cr_assert(scripts >= 6 && count("figures/*.dat") == scripts, "%zu scripts", scripts);
    cr_assert(count("figures/index.html") == 1 && count("figures/style.gnuplot") == 1);
    cr_assert(count("figures/*.svg") + count("figures/*.pdf") + count("figures/*.png") == 0);
    if (system("gnuplot --version >/dev/null 2>&1") != 0) {
        cr_log_warn("SKIPPED: gnuplot is not installed, nothing was drawn");
        return;
    }
    char command[200];
    snprintf(command, sizeof command, "%.*s", (int)strcspn(way, "\n"), way); // as it was told
    cr_assert(shell(command, said, sizeof said) == 0 && said[0] == '\0', "%s", said);
    cr_assert(count("figures/*.svg") == scripts && count("figures/*.pdf") == scripts &&
              count("figures/*.png") == scripts);
}

Test(plot, what_cannot_be_styled_is_refused_beforehand) {
    char said[4096];
    cr_assert(shell("%s/fim-plot report.h5 --size three -o figures", said, sizeof said) == 2, "%s", said);
    cr_assert(strstr(said, "unknown size 'three' (known: one, two, screen)") != NULL, "%s", said);
    cr_assert(shell("%s/fim-plot report.h5 --style missing -o figures", said, sizeof said) == 1, "%s", said);
    cr_assert(strstr(said, "missing: cannot be opened") != NULL, "%s", said);
    cr_assert(shell("%s/fim-plot report.h5 --style . -o figures", said, sizeof said) == 1, "%s", said);
    cr_assert(count("figures") == 0, "nothing is written");
    if (system("gnuplot --version >/dev/null 2>&1") != 0)
        return;
    cr_assert(shell("echo 'set nonsense' >own; %s/fim-plot report.h5 --style own -o figures", said,
                    sizeof said) == 1);
    cr_assert(strstr(said, "set nonsense") != NULL && strstr(said, "style.gnuplot") != NULL, "%s", said);
}
