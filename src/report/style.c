// What all figures look like: sizes, and the file of settings that every script loads. The colours are Okabe
// and Ito's, which colour-blind readers tell apart, without their yellow, which white paper swallows, and
// a grey and a wine red beside them; dashes
// and points tell apart what is printed in grey. A method has the same line in every figure of every page.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

// ---- Sizes ----

static const struct {
    const char *name;
    double width;     // mm; 0: what the figure takes on a screen
    double scale;     // of the height there
    double font_size; // points
    int dpi;
} sizes[] = {[FIM_PLOT_SCREEN] = {"screen", 0, 1, 8.6, 192},
             [FIM_PLOT_ONE] = {"one", 85, 0.62, 7, 300},
             [FIM_PLOT_TWO] = {"two", 175, 0.72, 8, 300}};

static const double mm_per_pixel = 25.4 / 96;

double plot_width(fim_plot_size size, double pixels) {
    return sizes[size].width > 0 ? sizes[size].width : pixels * mm_per_pixel;
}

double plot_height(fim_plot_size size, double pixels) {
    return sizes[size].scale * pixels * mm_per_pixel;
}

fim_status fim_plot_size_parse(const char *name, fim_plot_size *out) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(name, sizes[i].name) == 0) {
            *out = (fim_plot_size)i;
            return FIM_OK;
        }
    return FIM_FAIL(FIM_ERR_UNKNOWN, "unknown size '%s' (known: one, two, screen)", name);
}

// ---- Lines ----

static const char *const colours[] = {"#888888", "#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#882255"};
static const char *const dashes[] = {"1", "'-'", "'.'", "'-.'", "'_ '"};
static const int points[] = {7, 5, 9, 11, 13, 15}; // filled; the open one of each is the number before
// The registered approximations, by their names alone, in the order of reports.
static const struct {
    const char *name;
    size_t usual_rank;
} methods[] = {
#define FIM_APPROXIMATION(function, name, takes_rank, rank, about) {name, rank},
#include "fim/approximations.def"
#undef FIM_APPROXIMATION
};

// Optimizers that are no approximations, in colours that the paper's approximations leave.
static const struct {
    const char *name;
    size_t colour;
} others[] = {{"sgd", 0}, {"adam", 3}, {"exact", 4}};
enum {
    COLOURS = sizeof colours / sizeof *colours,
    METHODS = sizeof methods / sizeof *methods,
    DASHES = sizeof dashes / sizeof *dashes,
    POINTS = sizeof points / sizeof *points,
    OTHERS = sizeof others / sizeof *others,
    STRANGERS = 12 // lines for names that are neither
};

// The line of a method or an optimizer, counted from 0; `shift` tells kpsvd:3 from kpsvd.
static size_t line_of(const char *name, size_t *shift) {
    const size_t length = strcspn(name, ":/ ");
    size_t hash = 0;
    for (size_t i = 0; i < METHODS + OTHERS; i++) {
        const char *known = i < METHODS ? methods[i].name : others[i - METHODS].name;
        if (strlen(known) == length && strncmp(known, name, length) == 0) {
            const size_t rank = name[length] == ':' ? strtoul(name + length + 1, NULL, 10) : 0;
            *shift = i < METHODS && rank > methods[i].usual_rank ? rank - methods[i].usual_rank : 0;
            return i;
        }
    }
    for (const char *c = name; *c != '\0'; c++)
        hash = hash * 31 + (unsigned char)*c;
    *shift = 0;
    return METHODS + OTHERS + hash % STRANGERS;
}

void put_line(FILE *script, const char *name, size_t again) {
    size_t shift;
    const size_t line = line_of(name, &shift);
    fprintf(script, " ls %zu", line + 1);
    if (shift + again > 0)
        fprintf(script, " dt %s pt %d", dashes[(line + shift + again) % DASHES],
                points[(line + shift + again) % POINTS]);
}

void put_fill(FILE *script, const char *name) {
    size_t shift;
    fprintf(script, " ls %zu", line_of(name, &shift) + 1);
}

void put_open_points(FILE *script, const char *name) {
    size_t shift;
    const size_t line = line_of(name, &shift);
    fprintf(script, " ls %zu pt %d lw 0.8 ps 1.4", line + 1, points[line % POINTS] - 1);
}

void put_open_key(FILE *script, const char *lead) {
    fprintf(script, "%s NaN with points lw 0.8 ps 1.4 lc rgb '#333333' pt 6 title 'published'", lead);
}

static void put_line_styles(FILE *out) {
    for (size_t i = 0; i < METHODS + OTHERS + STRANGERS; i++) {
        const bool other = i >= METHODS && i < METHODS + OTHERS;
        fprintf(out, "set style line %zu lw 1.2 lc rgb '%s' dt %s pt %d # %s\n", i + 1,
                colours[(other ? others[i - METHODS].colour : i) % COLOURS], dashes[i % DASHES],
                points[i % POINTS],
                i < METHODS ? methods[i].name
                : other     ? others[i - METHODS].name
                            : "a name that is none of these");
    }
}

// ---- The file ----

static const char settings[] =
    "set border 3 lw 0.75 lc rgb '#555555'\n"
    "set tics nomirror out scale 0.6 textcolor rgb '#333333'\n"
    "set grid ytics lt 1 lw 0.5 lc rgb '#e0e0e0'\n"
    "set grid noxtics\n"
    "set format x '%g'\n"
    "set xlabel offset 0,0.5\n"
    "set key noenhanced noautotitle Left reverse samplen 2.5 spacing 1.15 textcolor rgb '#333333'\n"
    "legend_beside = 'set key rmargin center vertical'\n"
    "legend_below = 'set key bmargin center horizontal height 0.6'\n"
    "set palette defined (0 '#f2f6fa', 0.5 '#6ba3cf', 1 '#08306b') # light to dark, in grey too\n"
    "# The end of a long name.\n"
    "ending(name) = strlen(name) > (width < 120 ? 12 : 40) ? '…'.\\\n"
    "    substr(name, strlen(name) - (width < 120 ? 10 : 38), strlen(name)) : name\n"
    "# A heading starts at the left edge, and is smaller where it would leave the figure on the right.\n"
    "fitting(share, text) = strlen(text) * share * font_size > 4.6 * width ? \\\n"
    "    points(4.6 * width / (strlen(text) * font_size)) : points(share)\n"
    "heading = \"set tmargin 4.2; \".\\\n"
    "    \"set label 1 title at screen 0.02, graph 1 left offset 0, char 2.4 \".\\\n"
    "    \"font fitting(1.15, title) textcolor rgb '#111111' noenhanced; \".\\\n"
    "    \"set label 2 subtitle at screen 0.02, graph 1 left offset 0, char 1.1 \".\\\n"
    "    \"font fitting(0.87, subtitle) textcolor rgb '#666666' noenhanced\"\n";

// The user's file to the end of `out`.
static fim_status put_users(FILE *out, const char *path) {
    char chunk[4096];
    size_t got;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return FIM_FAIL(FIM_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    fputs("\n# From --style:\n", out);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        fwrite(chunk, 1, got, out);
    putc('\n', out);
    const bool failed = ferror(file) != 0;
    const int code = errno;
    fclose(file);
    return failed ? FIM_FAIL(FIM_ERR_IO, "%s: cannot be read: %s", path, strerror(code)) : FIM_OK;
}

fim_status style_text(fim_plot_size size, const char *users, char **out) {
    fim_status status = FIM_OK;
    text t = {0};
    FIM_TRY(text_open(&t));
    fprintf(t.stream,
            "# What all figures of this folder share. Change it, or their own scripts, and draw them again:\n"
            "#   gnuplot *.gp\n"
            "# Sizes are points on paper; width and height of a figure are millimetres, set in its script.\n"
            "font_name = 'DejaVu Sans'\n"
            "font_size = %g\n"
            "point_size = 0.5\n"
            "dpi = %d     # of PNG\n"
            "titles = 1    # 0: none above the figures\n"
            "colour_1 = '%s' # of bars and single lines\n"
            "colour_2 = '%s'\n"
            "points(share) = sprintf(',%%g', share * font_size)\n\n",
            sizes[size].font_size, sizes[size].dpi, colours[1], colours[5]);
    put_line_styles(t.stream);
    fputs("\n", t.stream);
    fputs(settings, t.stream);
    if (users != NULL)
        FIM_TRY(put_users(t.stream, users));
    FIM_TRY(text_close(&t, out));
out:
    text_discard(&t);
    return status;
}
