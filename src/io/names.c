// Names of tensors and of layers.
#include "names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h5.h"

bool fim_name_valid(const char *name) {
    size_t length = strnlen(name, FIM_NAME);
    return length > 0 && length < FIM_NAME && fim_text_valid(name, length) == length &&
           strpbrk(name, "\n\t") == NULL;
}

const char *fim_name_strip(const char *name) {
    static const char *const wrappers[] = {"module.", "_orig_mod."};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        size_t length = strlen(wrappers[i]);
        if (strncmp(name, wrappers[i], length) == 0 && name[length] != '\0') {
            name += length;
            i = (size_t)-1; // wrappers may be wrapped
        }
    }
    return name;
}

// The longer names first: "moving_mean" ends in "mean".
static const struct {
    const char *word;
    fim_role role;
    int in_out;
} leaves[] = {
    {"running_mean", FIM_ROLE_MEAN, -1},
    {"moving_mean", FIM_ROLE_MEAN, -1},
    {"running_var", FIM_ROLE_VARIANCE, -1},
    {"moving_variance", FIM_ROLE_VARIANCE, -1},
    {"weights", FIM_ROLE_WEIGHT, -1},
    {"weight", FIM_ROLE_WEIGHT, 0},
    {"kernel", FIM_ROLE_WEIGHT, 1},
    {"biases", FIM_ROLE_BIAS, -1},
    {"gamma", FIM_ROLE_WEIGHT, -1},
    {"scale", FIM_ROLE_WEIGHT, -1},
    {"bias", FIM_ROLE_BIAS, -1},
    {"beta", FIM_ROLE_BIAS, -1},
    {"mean", FIM_ROLE_MEAN, -1},
    {"var", FIM_ROLE_VARIANCE, -1},
    {"w", FIM_ROLE_WEIGHT, -1},
    {"b", FIM_ROLE_BIAS, -1},
};
enum { LEAVES = sizeof leaves / sizeof *leaves };

static bool same_letters(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (tolower((unsigned char)a[i]) != b[i])
            return false;
    return true;
}

// The layer is what stands before the leaf, followed by the leaf's number where it has one.
static void put_layer(char layer[static FIM_NAME], const char *name, size_t before, const char *digits,
                      size_t n_digits) {
    snprintf(layer, FIM_NAME, "%.*s%.*s", (int)before, name, (int)n_digits, digits);
}

bool fim_name_parse(const char *name, char layer[static FIM_NAME], fim_role *role, int *in_out) {
    name = fim_name_strip(name);
    size_t length = strlen(name), start = 0;
    if (length >= FIM_NAME)
        return false;
    const char *colon = strrchr(name, ':');
    if (colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1))
        length = (size_t)(colon - name); // "kernel:0"
    for (size_t i = 0; i < length; i++)
        if (name[i] == '.' || name[i] == '/')
            start = i + 1;
    const char *leaf = name + start;
    size_t size = length - start;
    for (size_t k = 0; k < LEAVES; k++) {
        size_t word = strlen(leaves[k].word);
        if (word > size)
            continue;
        *role = leaves[k].role;
        *in_out = leaves[k].in_out;
        if (word == size && same_letters(leaf, leaves[k].word, word)) {
            put_layer(layer, name, start > 0 ? start - 1 : 0, "", 0);
            return true;
        }
        const char *tail = leaf + size - word;
        if (size > word + 1 && tail[-1] == '_' && same_letters(tail, leaves[k].word, word)) {
            put_layer(layer, name, length - word - 1, "", 0);
            return true;
        }
        const char *digits = leaf + word + (leaf[word] == '_');
        size_t n_digits = strspn(digits, "0123456789");
        if (n_digits > 0 && digits + n_digits == name + length && same_letters(leaf, leaves[k].word, word)) {
            put_layer(layer, name, start, digits, n_digits);
            return true;
        }
    }
    return false;
}

// ---- Order ----

// What the first letters of a part of a name say about its place in a network.
static int rank_of(const char *part, size_t length) {
    static const struct {
        const char *word;
        int rank;
    } words[] = {{"encoder", -1}, {"enc", -1},        {"input", -2},  {"in", -2},
                 {"stem", -2},    {"embed", -2},      {"decoder", 1}, {"dec", 1},
                 {"head", 2},     {"out", 2},         {"output", 2},  {"classifier", 2},
                 {"final", 2},    {"predictions", 2}, {"last", 2},    {"logits", 2}};
    size_t letters = 0;
    while (letters < length && isalpha((unsigned char)part[letters]))
        letters++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == letters && same_letters(part, words[i].word, letters))
            return words[i].rank;
    return 0;
}

// Letters as letters, runs of digits by their value.
static int compare_parts(const char *a, size_t n, const char *b, size_t m) {
    size_t i = 0, j = 0;
    while (i < n && j < m) {
        if (isdigit((unsigned char)a[i]) && isdigit((unsigned char)b[j])) {
            size_t from_i, from_j;
            for (; i < n && a[i] == '0'; i++)
                continue;
            for (; j < m && b[j] == '0'; j++)
                continue;
            for (from_i = i; i < n && isdigit((unsigned char)a[i]); i++)
                continue;
            for (from_j = j; j < m && isdigit((unsigned char)b[j]); j++)
                continue;
            if (i - from_i != j - from_j)
                return i - from_i < j - from_j ? -1 : 1;
            int order = memcmp(a + from_i, b + from_j, i - from_i);
            if (order != 0)
                return order;
        } else if (a[i] != b[j]) {
            return (unsigned char)a[i] < (unsigned char)b[j] ? -1 : 1;
        } else {
            i++;
            j++;
        }
    }
    return (i < n) - (j < m);
}

int fim_name_compare(const char *a, const char *b) {
    while (*a != '\0' && *b != '\0') {
        size_t n = strcspn(a, "./"), m = strcspn(b, "./");
        int ranks = rank_of(a, n) - rank_of(b, m);
        int order = ranks != 0 ? ranks : compare_parts(a, n, b, m);
        if (order != 0)
            return order;
        a += n + (a[n] != '\0');
        b += m + (b[m] != '\0');
    }
    return (*a != '\0') - (*b != '\0');
}

bool fim_name_follows(const char *a, const char *b, bool *comparable) {
    size_t n = strlen(a), m = strlen(b);
    while (n > 0 && isdigit((unsigned char)a[n - 1]))
        n--;
    while (m > 0 && isdigit((unsigned char)b[m - 1]))
        m--;
    *comparable = n == m && a[n] != '\0' && b[m] != '\0' && memcmp(a, b, n) == 0 &&
                  (n == 0 || a[n - 1] == '.' || a[n - 1] == '/');
    return *comparable && strtoul(b + m, NULL, 10) == strtoul(a + n, NULL, 10) + 1;
}
