// A figure as files: its data, its script and, by gnuplot, its pictures. Data and script stay beside the
// pictures, so that anyone can change and redraw them.
#define _GNU_SOURCE // posix_spawn_file_actions_addchdir_np
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parts.h"

extern char **environ;

// ---- Files ----

fim_status write_text(const char *folder, const char *name, const char *extension, const char *content) {
    fim_status status = FIM_OK;
    text t = {0};
    char *path = NULL;
    FIM_TRY(text_open(&t));
    fprintf(t.stream, "%s/%s%s", folder, name, extension);
    FIM_TRY(text_close(&t, &path));
    FIM_TRY(fim_file_write_text(path, content, true));
out:
    text_discard(&t);
    free(path);
    return status;
}

// All pictures from one script: `replot` draws the same again on the next terminal. Sizes of fonts, lines and
// points are in points of 1/72 inch on paper; the factors are the units of the terminals, which take 1/96
// inch for their pixel, half a point for the width of a line in PDF, and less for a point's size in SVG.
static fim_status write_script(const figure *f, const char *folder) {
    fim_status status = FIM_OK;
    text t = {0};
    char *script = NULL;
    FIM_TRY(text_open(&t));
    fprintf(t.stream,
            "# Draws %s.svg, .pdf and .png:  gnuplot %s.gp\n"
            "reset session\n"
            "set encoding utf8\n"
            "width = %.1f # mm\n"
            "height = %.1f\n"
            "load '" STYLE_FILE "'\n"
            "narrow = width < 120\n"
            "set datafile missing '?'\n"
            "data = '%s.dat'\n\n",
            f->name, f->name, f->width, f->height, f->name);
    fprintf(t.stream,
            "font = sprintf('%%s,%%g', font_name, font_size)\n"
            "set terminal svg size width / 25.4 * 96, height / 25.4 * 96 fixed enhanced font font "
            "fontscale 96 / 72. linewidth 96 / 72. background '#ffffff'\n"
            "set pointsize 1.5 * point_size\n"
            "set output '%s.svg'\n\n"
            "%s\n"
            "set terminal pdfcairo size width / 25.4, height / 25.4 enhanced font font "
            "fontscale 72 / 96. linewidth 2 background '#ffffff'\n"
            "set pointsize point_size\n"
            "set output '%s.pdf'\n"
            "replot\n"
            "set terminal pngcairo size width / 25.4 * dpi, height / 25.4 * dpi enhanced font font "
            "fontscale dpi / 96. linewidth dpi / 72. pointscale dpi / 96. background '#ffffff'\n"
            "set output '%s.png'\n"
            "replot\n"
            "unset output\n",
            f->name, f->script, f->name, f->name);
    FIM_TRY(text_close(&t, &script));
    FIM_TRY(write_text(folder, f->name, ".gp", script));
out:
    text_discard(&t);
    free(script);
    return status;
}

fim_status figure_write(const figure *f, const char *folder) {
    fim_status status = FIM_OK;
    FIM_TRY(write_text(folder, f->name, ".dat", f->data));
    FIM_TRY(write_script(f, folder));
out:
    return status;
}

// ---- gnuplot ----

// Starts "gnuplot -d <name>.gp" in folder with its complaints into a pipe; returns posix_spawn's errno.
static int start(const char *name, const char *folder, int complaints, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults; // a tool that ignores SIGPIPE does not pass that on
    char script[400], program[] = "gnuplot", option[] = "-d"; // -d: not the user's own settings
    char *const argv[] = {program, option, script, NULL};
    snprintf(script, sizeof script, "%s.gp", name);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions); // glibc's inits allocate nothing
    posix_spawnattr_init(&attributes);
    int error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addchdir_np(&actions, folder);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (error == 0)
        error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnp(child, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// Everything from fd, of which the first size - 1 bytes are kept, on one line.
static void read_complaints(int fd, char *buffer, size_t size) {
    size_t length = 0;
    char chunk[512];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got && length + 1 < size; i++) {
            bool space = chunk[i] == '\n' || chunk[i] == '\t' || chunk[i] == ' ';
            if (!space)
                buffer[length++] = chunk[i];
            else if (length > 0 && buffer[length - 1] != ' ')
                buffer[length++] = ' ';
        }
    }
    buffer[length] = '\0';
}

fim_status figure_draw(const figure *f, const char *folder) {
    int pipe_ends[2], state = 0;
    char complaints[600];
    pid_t child;
    if (pipe(pipe_ends) != 0)
        return FIM_FAIL(FIM_ERR_IO, "cannot open a pipe to gnuplot: %s", strerror(errno));
    fcntl(pipe_ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(pipe_ends[1], F_SETFD, FD_CLOEXEC);
    int error = start(f->name, folder, pipe_ends[1], &child);
    close(pipe_ends[1]);
    if (error != 0) {
        close(pipe_ends[0]);
        return FIM_FAIL(
            FIM_ERR_UNAVAILABLE,
            "cannot start gnuplot (%s): install it (Debian: gnuplot-nox), then draw the figures with: "
            "cd %s && gnuplot *.gp",
            strerror(error), folder);
    }
    read_complaints(pipe_ends[0], complaints, sizeof complaints);
    close(pipe_ends[0]);
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
        return FIM_FAIL(FIM_ERR_IO, "gnuplot failed on %s/%s.gp: %s", folder, f->name, complaints);
    return FIM_OK;
}
