// Texts that grow, numbers for readers, and foreign names made harmless.
//
// A text is POSIX's memory stream: fprintf does the work, and a failed allocation is seen once, at the end.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

fim_status text_open(text *t) {
    *t = (text){0};
    t->stream = open_memstream(&t->data, &t->size);
    return t->stream != NULL ? FIM_OK : FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text of a report");
}

fim_status text_close(text *t, char **out) {
    bool lost = ferror(t->stream) != 0;
    lost |= fclose(t->stream) != 0;
    t->stream = NULL;
    if (lost) {
        text_discard(t);
        return FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate the text of a report");
    }
    *out = t->data;
    *t = (text){0};
    return FIM_OK;
}

void text_discard(text *t) {
    if (t->stream != NULL)
        fclose(t->stream);
    free(t->data);
    *t = (text){0};
}

// ---- Foreign names ----

// Bytes of the UTF-8 character at s; 0 when it is none (over-long forms, surrogates and the like included).
static size_t character(const char *s) {
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80)
        return u[0] != 0;
    size_t length = u[0] >= 0xc2 && u[0] < 0xe0 ? 2 : u[0] >= 0xe0 && u[0] < 0xf0 ? 3 : 4;
    if (u[0] < 0xc2 || u[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    bool over_long = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool no_character = (u[0] == 0xed && u[1] >= 0xa0) || (u[0] == 0xf4 && u[1] >= 0x90);
    return over_long || no_character ? 0 : length;
}

// Writes s; `special` may write a harmless character otherwise (returns true then).
static void put(FILE *stream, const char *s, bool (*special)(FILE *, char)) {
    while (*s != '\0') {
        size_t length = character(s);
        bool control = (unsigned char)*s < 0x20 || *s == 0x7f;
        if (length == 0 || control)
            putc('?', stream);
        else if (length > 1 || special == NULL || !special(stream, *s))
            fwrite(s, 1, length, stream);
        s += length > 0 ? length : 1;
    }
}

static bool special_html(FILE *stream, char c) {
    const char *entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '"'  ? "&quot;"
                         : c == '\'' ? "&#39;"
                                     : NULL;
    return entity != NULL && fputs(entity, stream) >= 0;
}

static bool special_gnuplot(FILE *stream, char c) {
    return c == '\'' && fputs("''", stream) >= 0;
}

void put_plain(FILE *stream, const char *s) {
    put(stream, s, NULL);
}

void put_html(FILE *stream, const char *s) {
    put(stream, s, special_html);
}

void put_gnuplot(FILE *stream, const char *s) {
    put(stream, s, special_gnuplot);
}

char *utf8_copy(const char *s) {
    char *copy = strdup(s);
    for (char *c = copy; c != NULL && *c != '\0';) {
        size_t length = character(c);
        if (length == 0)
            *c = '?';
        c += length > 0 ? length : 1;
    }
    return copy;
}

size_t utf8_width(const char *s) {
    size_t width = 0;
    for (; *s != '\0'; s++)
        width += ((unsigned char)*s & 0xc0) != 0x80;
    return width;
}

void put_file_name(FILE *stream, const char *s) {
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x80 && (isalnum(c) || strchr("._-", c) != NULL))
            putc(c, stream);
        else
            fprintf(stream, "=%02X", c);
    }
}

// ---- Numbers ----

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

char *format_number(const char *name, double value, char buffer[static 24]) {
    double size = fabs(value);
    if (ends_with(name, "seconds") && value >= 0 && value < 1e6) {
        if (value > 0 && value < 0.0005)
            snprintf(buffer, 24, "<0.001");
        else
            snprintf(buffer, 24, "%.*f", size < 10 ? 3 : size < 100 ? 1 : 0, value);
    } else if (strcmp(name, "bytes") == 0 && value >= 0 && value < 1e18) {
        fim_format_bytes((size_t)value, buffer);
    } else if (strcmp(name, "residual") == 0) {
        snprintf(buffer, 24, "%.1e", value);
    } else if (size < 1e9 && value == floor(value)) {
        snprintf(buffer, 24, "%.0f", size); // no "-0"
        if (value < 0)
            snprintf(buffer, 24, "%.0f", value);
    } else {
        bool plain = size >= 0.000999 && size < 99995;
        snprintf(buffer, 24, plain ? "%#.4g" : "%.3e", value);
        size_t length = strlen(buffer);
        if (strchr(buffer, 'e') == NULL && length > 0 && buffer[length - 1] == '.')
            buffer[length - 1] = '\0';
    }
    return buffer;
}

char *format_mean(const char *name, double value, double error, char buffer[static 24]) {
    const double size = fmax(fabs(value), error);
    if (!(error > 0) || !isfinite(size) || size < 1e-290 || size > 1e290)
        return format_number(name, value, buffer);
    const bool plain = size >= 0.000999 && size < 99995;
    const int top = (int)floor(log10(size)), exponent = plain ? 0 : top;
    const int blurred = (int)floor(log10(error)) - plain, four = top - 3,
              last = blurred > four ? blurred : four;
    const double unit = pow(10, last), scale = pow(10, exponent), units = round(error / unit);
    if (units < 1)
        return format_number(name, value, buffer);
    const int decimals = last < exponent ? exponent - last : 0; // none: digits that the error blurs are zeros
    snprintf(buffer, 24, "%.*f(%.0f)", decimals, round(value / unit) * unit / scale,
             decimals > 0 ? units : units * unit / scale);
    if (!plain)
        snprintf(buffer + strlen(buffer), 24 - strlen(buffer), "e%+03d", exponent);
    return buffer;
}
