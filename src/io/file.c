// Whole files or none: a file is written under a temporary name beside its target, flushed to the disk, and
// renamed. A reader sees the old file or the new one; an interrupted program leaves the old one, and one that
// is killed in the middle a ".fim-....part" beside it.
//
// Several programs that change one file take turns by a lock on it. Since a change is a rename, whoever gets
// the lock asks whether the file still is the one of that name.
#define _GNU_SOURCE // renameat2
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fim/io.h"

// The length of the folder part of path, its last '/' included; 0 for a bare name.
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

static fim_status exists_already(const char *path) {
    return FIM_FAIL(FIM_ERR_IO, "%s: exists already; remove it or ask for it to be overwritten", path);
}

static fim_status check_target(const char *path, bool overwrite) {
    if (path[folder_length(path)] == '\0')
        return FIM_FAIL(FIM_ERR_ARGUMENT, "'%s' is not the name of a file to write", path);
    struct stat found;
    if (stat(path, &found) == 0) {
        if (!S_ISREG(found.st_mode))
            return FIM_FAIL(FIM_ERR_IO, "%s: exists and is not a regular file", path);
        if (!overwrite)
            return exists_already(path);
    } else if (errno != ENOENT) {
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    }
    return FIM_OK;
}

fim_status fim_file_begin(const char *path, bool overwrite, char **temporary) {
    fim_status status = check_target(path, overwrite);
    if (status != FIM_OK)
        return status;
    static const char pattern[] = ".fim-0123456789abcdef.part";
    size_t folder = folder_length(path);
    char *name = NULL;
    if ((status = fim_alloc(folder + sizeof pattern, 1, "a file name", &name)) != FIM_OK)
        return status;
    memcpy(name, path, folder);
    // mkstemp would make the file private to the user; O_EXCL under a fresh name and the umask is all we
    // want.
    uint64_t seed = (uint64_t)(fim_clock_seconds() * 1e9) ^ (uint64_t)getpid() << 40;
    for (uint64_t attempt = 0; attempt < 100; attempt++) {
        snprintf(name + folder, sizeof pattern, ".fim-%016llx.part",
                 (unsigned long long)fim_seed_stream(seed, attempt));
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0) {
            close(file);
            *temporary = name;
            return FIM_OK;
        }
        if (errno != EEXIST)
            break;
    }
    status = FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    free(name);
    return status;
}

static bool flush(const char *path, int flags) {
    int file = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (file < 0)
        return false;
    bool flushed = fsync(file) == 0 || errno == EINVAL; // EINVAL: a file system that does not know how
    int error = errno;
    close(file);
    errno = error;
    return flushed;
}

// Without `overwrite` it fails with EEXIST when another program took the name since fim_file_begin.
static bool give_name(const char *temporary, const char *path, bool overwrite) {
    if (overwrite)
        return rename(temporary, path) == 0;
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
#endif
    return link(temporary, path) == 0 && unlink(temporary) == 0; // file systems that do not know how
}

fim_status fim_file_commit(char *temporary, const char *path, bool overwrite) {
    fim_status status = FIM_OK;
    if (!flush(temporary, 0) || !give_name(temporary, path, overwrite)) {
        status = errno == EEXIST ? exists_already(path)
                                 : FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        unlink(temporary);
    } else {
        size_t folder = folder_length(temporary);
        temporary[folder] = '\0';
        if (!flush(folder > 0 ? temporary : ".", O_DIRECTORY))
            status = FIM_FAIL(FIM_ERR_IO, "%s: its folder cannot be flushed: %s", path, strerror(errno));
    }
    free(temporary);
    return status;
}

void fim_file_abandon(char *temporary) {
    if (temporary != NULL)
        unlink(temporary);
    free(temporary);
}

fim_status fim_file_write_text(const char *path, const char *text, bool overwrite) {
    char *temporary = NULL;
    fim_status status = fim_file_begin(path, overwrite, &temporary);
    if (status != FIM_OK)
        return status;
    FILE *file = fopen(temporary, "w");
    bool written = file != NULL && fputs(text, file) != EOF;
    int error = errno;
    if (file != NULL && fclose(file) != 0) {
        written = false;
        error = errno;
    }
    if (!written) {
        fim_file_abandon(temporary);
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be written: %s", path, strerror(error));
    }
    return fim_file_commit(temporary, path, overwrite);
}

fim_status fim_file_lock(const char *path, int *out) {
    for (;;) {
        struct stat locked, named;
        int file = open(path, O_RDWR | O_CLOEXEC);
        if (file < 0 && errno == ENOENT) {
            *out = -1;
            return FIM_OK;
        }
        if (file < 0 || flock(file, LOCK_EX) != 0 || fstat(file, &locked) != 0) {
            int error = errno;
            if (file >= 0)
                close(file);
            if (error == EINTR)
                return FIM_FAIL(FIM_CANCELLED, "%s: interrupted while waiting for its lock", path);
            return FIM_FAIL(FIM_ERR_IO, "%s: cannot be locked: %s", path, strerror(error));
        }
        if (stat(path, &named) == 0 && named.st_ino == locked.st_ino && named.st_dev == locked.st_dev) {
            *out = file;
            return FIM_OK;
        }
        close(file); // it was replaced while we waited
    }
}

void fim_file_unlock(int lock) {
    if (lock >= 0)
        close(lock);
}

fim_status fim_folder_make(const char *path) {
    size_t length = strlen(path);
    if (length == 0)
        return FIM_FAIL(FIM_ERR_ARGUMENT, "'' is not the name of a folder");
    char *name = NULL;
    fim_status status = fim_alloc(length + 1, 1, "a folder name", &name);
    if (status != FIM_OK)
        return status;
    for (size_t i = 1; i <= length && status == FIM_OK; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(name, path, i);
        struct stat found;
        if (mkdir(name, 0777) == 0)
            continue;
        // An existing folder may be read-only or a mount point: only what stat says counts.
        int error = errno;
        if (stat(name, &found) != 0)
            status = FIM_FAIL(FIM_ERR_IO, "%s: cannot be made: %s", path, strerror(error));
        else if (!S_ISDIR(found.st_mode))
            status = FIM_FAIL(FIM_ERR_IO, "%s: cannot be made: %s is not a folder", path, name);
    }
    free(name);
    return status;
}
