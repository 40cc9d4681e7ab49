// Where a file comes from: the tool and its command line, when, on what machine, from which inputs.
#include <errno.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "fim/io.h"
#include "fim/linalg.h"

// "model name : AMD EPYC ..." of the first processor, or "unknown processor".
static void processor_name(char *buffer, size_t size) {
    snprintf(buffer, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL)
        return;
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *value = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (value != NULL) {
            value += strspn(value, ": \t");
            snprintf(buffer, size, "%.*s", (int)strcspn(value, "\n"), value);
            break;
        }
    }
    fclose(file);
}

// argv as a shell would take it: words with other than plain characters stand in single quotes.
static fim_status join_arguments(int argc, char *const *argv, char **out) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    size_t size = 1;
    for (int i = 0; i < argc; i++)
        size += 4 * strlen(argv[i]) + 3;
    char *text = NULL;
    fim_status status = fim_alloc(size, 1, "the command line", &text);
    if (status != FIM_OK)
        return status;
    char *end = text;
    for (int i = 0; i < argc; i++) {
        if (i > 0)
            *end++ = ' ';
        if (argv[i][0] != '\0' && argv[i][strspn(argv[i], plain)] == '\0') {
            end = stpcpy(end, argv[i]);
            continue;
        }
        *end++ = '\'';
        for (const char *c = argv[i]; *c != '\0'; c++) {
            if (*c == '\'')
                end = stpcpy(end, "'\\''");
            else
                *end++ = *c;
        }
        *end++ = '\'';
    }
    *out = text;
    return FIM_OK;
}

fim_status fim_provenance_add(fim_record *record, const char *tool, int argc, char *const *argv) {
    char *command = NULL, text[512], name[192], date[32];
    struct utsname system;
    struct tm utc;
    time_t now = time(NULL);
    fim_status status = FIM_OK;
    char version[80];
    snprintf(version, sizeof version, "%s " FIM_VERSION, tool);
    FIM_TRY(fim_record_set_text(record, "tool", version));
    FIM_TRY(join_arguments(argc, argv, &command));
    FIM_TRY(fim_record_set_text(record, "command_line", command));
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    FIM_TRY(fim_record_set_text(record, "date", date));
    processor_name(name, sizeof name);
    bool known = uname(&system) == 0;
    snprintf(text, sizeof text, "%s, %ld cores, %.64s %.64s %.64s", name, sysconf(_SC_NPROCESSORS_ONLN),
             known ? system.sysname : "unknown system", known ? system.release : "",
             known ? system.machine : "");
    FIM_TRY(fim_record_set_text(record, "machine", text));
    FIM_TRY(fim_record_set_text(record, "blas", fim_linalg_describe(text, sizeof text)));
    status = fim_record_set(record, "threads", (double)fim_linalg_threads(), "");
out:
    free(command);
    return status;
}

fim_status fim_provenance_add_input(fim_record *record, const char *path) {
    char name[32], sum_name[40], sum[SHA256_DIGEST_STRING_LENGTH] = "";
    const char *file = fim_data_source(path);
    struct stat about;
    errno = 0;
    if (file != NULL && (stat(file, &about) != 0 || !S_ISREG(about.st_mode) || SHA256File(file, sum) == NULL))
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", file,
                        errno != 0 ? strerror(errno) : "not a regular file");
    size_t k = 0;
    do
        snprintf(name, sizeof name, "input_%zu", k++);
    while (fim_record_text(record, name) != NULL);
    fim_status status = fim_record_set_text(record, name, path);
    if (status != FIM_OK || file == NULL)
        return status;
    snprintf(sum_name, sizeof sum_name, "%s_sha256", name);
    return fim_record_set_text(record, sum_name, sum);
}
