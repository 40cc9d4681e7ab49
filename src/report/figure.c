// Figures by gnuplot. A figure is two texts, data and script; this file adds what all figures share, writes
// both beside the picture, so that anyone can change and redraw it, and runs gnuplot.
#define _GNU_SOURCE // posix_spawn_file_actions_addchdir_np
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parts.h"

extern char **environ;

static void figure_clear(figure *f) {
    free(f->name);
    free(f->title);
    free(f->data);
    free(f->script);
}

void figure_list_clear(figure_list *list) {
    for (size_t i = 0; i < list->count; i++)
        figure_clear(&list->items[i]);
    free(list->items);
    *list = (figure_list){0};
}

// ---- Drafts ----

fim_status draft_open(draft *d) {
    fim_status status = FIM_OK;
    *d = (draft){0};
    FIM_TRY(text_open(&d->name));
    FIM_TRY(text_open(&d->title));
    FIM_TRY(text_open(&d->data));
    FIM_TRY(text_open(&d->script));
out:
    if (status != FIM_OK)
        draft_discard(d);
    return status;
}

fim_status draft_close(draft *d, double width, double height, figure_list *list) {
    fim_status status = FIM_OK;
    figure f = {.width = width, .height = height};
    FIM_TRY(text_close(&d->name, &f.name));
    FIM_TRY(text_close(&d->title, &f.title));
    FIM_TRY(text_close(&d->data, &f.data));
    FIM_TRY(text_close(&d->script, &f.script));
    figure *wider = realloc(list->items, (list->count + 1) * sizeof *wider);
    if (wider == NULL)
        FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a figure"));
    list->items = wider;
    list->items[list->count++] = f;
    f = (figure){0};
out:
    figure_clear(&f);
    return status;
}

void draft_discard(draft *d) {
    text_discard(&d->name);
    text_discard(&d->title);
    text_discard(&d->data);
    text_discard(&d->script);
}

void put_heading(FILE *script, const char *title, const char *subtitle) {
    fputs("set tmargin 4.5\nset label 1 '", script);
    put_gnuplot(script, title);
    fputs("' at graph 0, screen 0.95 font ',14' textcolor rgb '#111111' noenhanced\nset label 2 '", script);
    put_gnuplot(script, subtitle);
    fputs("' at graph 0, screen 0.895 font ',10' textcolor rgb '#666666' noenhanced\n", script);
}

// Without its yellow, which white paper swallows.
static const char *const colours[] = {"'#0072b2'", "'#d55e00'", "'#009e73'", "'#cc79a7'",
                                      "'#e69f00'", "'#56b4e9'", "'#000000'"};
enum { COLOURS = sizeof colours / sizeof *colours };

void put_line_style(FILE *script, size_t i, size_t dash) {
    static const char *const dashes[] = {"1", "'-'", "'.'", "'-.'", "'_ '"};
    static const int points[] = {7, 5, 9, 11, 13, 6, 4, 8, 10, 12}; // filled, then open
    fprintf(script, " lw 1.6 lc rgb %s dt %s pt %d ps 0.7", colours[i % COLOURS],
            dashes[dash % (sizeof dashes / sizeof *dashes)], points[i % (sizeof points / sizeof *points)]);
}

void put_fill_colour(FILE *script, size_t i) {
    fprintf(script, " lc rgb %s", colours[i % COLOURS]);
}

void put_point_style(FILE *script, size_t i) {
    static const int points[] = {6, 4, 8, 10, 12};
    fprintf(script, " lw 1.2 lc rgb %s pt %d ps 1.1", colours[i % COLOURS],
            points[i % (sizeof points / sizeof *points)]);
}

void range_widen(range *r, double value) {
    if (isfinite(value) && value > 0) {
        r->low = fmin(r->low, value);
        r->high = fmax(r->high, value);
    }
}

bool range_is_wide(const range *r) {
    return r->high > 6 * r->low;
}

// A logarithmic axis leaves a factor of two at both ends: for the shortest bar, and for a label on the
// highest.
enum { AXIS_MARGIN = 2 };

void put_error_axis(FILE *script, const range *r) {
    if (range_is_wide(r))
        fprintf(script, "set logscale y\nset format y '%%g'\nset yrange [%.3g:%.3g]\n", r->low / AXIS_MARGIN,
                r->high * AXIS_MARGIN);
    else
        fprintf(script, "set yrange [0:%.3g]\n", r->high > 0 ? 1.12 * r->high : 1);
}

void put_log_axis(FILE *script, const range *r) {
    const double low = r->low / 1.15, high = r->high * 1.15;
    const int first = (int)floor(log10(low)), last = (int)ceil(log10(high));
    fprintf(script, "set logscale y\nset format y '%%g'\nset yrange [%.3g:%.3g]\n", low, high);
    if (last - first > 4)
        return;
    fputs("set ytics (", script);
    for (int decade = first; decade <= last; decade++)
        fprintf(script, "%s1e%d,2e%d,5e%d", decade > first ? "," : "", decade, decade, decade);
    fputs(")\n", script);
}

double range_distance(const range *r, double a, double b) {
    if (range_is_wide(r))
        return fabs(log(a / b)) / log(r->high / r->low * AXIS_MARGIN * AXIS_MARGIN);
    return fabs(a - b) / r->high;
}

void put_quoted(FILE *data, const char *s) {
    fputs(" \"", data);
    for (; *s != '\0'; s++)
        putc((unsigned char)*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f ? '?' : *s, data);
    putc('"', data);
}

void put_number(FILE *data, double value) {
    if (isfinite(value))
        fprintf(data, " %.17g", value);
    else
        fputs(" ?", data);
}

// ---- Files ----

static fim_status write_file(const char *folder, const char *name, const char *extension,
                             const char *content) {
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

// Both pictures from one script: `replot` draws the same again on the second terminal.
static fim_status write_script(const figure *f, const char *folder) {
    fim_status status = FIM_OK;
    text t = {0};
    char *script = NULL;
    FIM_TRY(text_open(&t));
    fprintf(t.stream,
            "# Draws %s.svg and %s.png:  gnuplot %s.gp\n"
            "reset session\n"
            "set encoding utf8\n"
            "set terminal svg size %.0f,%.0f dynamic enhanced font 'DejaVu Sans,11.5' background '#ffffff'\n"
            "set output '%s.svg'\n\n"
            "set border 3 lc rgb '#555555'\n"
            "set tics nomirror out scale 0.6 textcolor rgb '#333333'\n"
            "set grid ytics lt 1 lw 0.7 lc rgb '#e4e4e4'\n"
            "set grid noxtics\n"
            "set key noenhanced noautotitle Left reverse samplen 2.5 spacing 1.2 textcolor rgb '#333333'\n"
            "set key at graph 0, screen 0.84 left center horizontal\n"
            "set datafile missing '?'\n"
            "set format x '%%g'\n"
            "data = '%s.dat'\n\n"
            "%s\n"
            "set terminal pngcairo size %.0f,%.0f enhanced font 'DejaVu Sans,11.5' fontscale 2 linewidth 2 "
            "pointscale 2 background '#ffffff'\n"
            "set output '%s.png'\n"
            "replot\n"
            "unset output\n",
            f->name, f->name, f->name, f->width, f->height, f->name, f->name, f->script, 2 * f->width,
            2 * f->height, f->name);
    FIM_TRY(text_close(&t, &script));
    FIM_TRY(write_file(folder, f->name, ".gp", script));
out:
    text_discard(&t);
    free(script);
    return status;
}

fim_status figure_write(const figure *f, const char *folder) {
    fim_status status = FIM_OK;
    FIM_TRY(write_file(folder, f->name, ".dat", f->data));
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
