// Parcels: what a reader found, through a pipe. Numbers go in the machine's own form, since both ends are one
// program. Small values are gathered in a buffer; matrices go past it, straight from and into their memory.
#define _DEFAULT_SOURCE // madvise
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fim/linalg.h"
#include "h5.h"
#include "sandbox.h"

enum { PIECE = 1 << 20, ENTRIES_LIMIT = 1 << 16, DEPTH_LIMIT = 32 };

static fim_status nonsense(const char *what) {
    return FIM_FAIL(FIM_ERR_FORMAT, "the answer of its reader holds no %s", what);
}

// ---- Bytes ----

static fim_status send_bytes(int pipe, const unsigned char *bytes, size_t n) {
    while (n > 0) {
        ssize_t count = write(pipe, bytes, n);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return FIM_FAIL(FIM_ERR_IO, "the answer of a reader cannot be sent");
        bytes += count;
        n -= (size_t)count;
    }
    return FIM_OK;
}

// Waits in short turns: while both ends are stopped, only one of them passes.
static bool wait_for(fim_parcel *p) {
    struct pollfd end = {.fd = p->pipe, .events = POLLIN};
    for (int turn = 0; turn < p->patience; turn++) {
        int ready = poll(&end, 1, 1000);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
    p->silent = true;
    return false;
}

// At least one byte and at most n; 0 when there will be no more.
static size_t receive_some(fim_parcel *p, unsigned char *bytes, size_t n) {
    ssize_t count;
    do
        count = wait_for(p) ? read(p->pipe, bytes, n) : 0;
    while (count < 0 && errno == EINTR);
    p->ended = count <= 0 && !p->silent;
    return count > 0 ? (size_t)count : 0;
}

static fim_status receive_bytes(fim_parcel *p, unsigned char *bytes, size_t n) {
    size_t have = p->held - p->at, take = n < have ? n : have;
    memcpy(bytes, p->buffer + p->at, take);
    p->at += take;
    while (take < n) {
        size_t count = receive_some(p, bytes + take, n - take);
        if (count == 0)
            return nonsense("more");
        take += count;
    }
    return FIM_OK;
}

fim_status fim_parcel_flush(fim_parcel *p) {
    fim_status status = send_bytes(p->pipe, p->buffer, p->held);
    p->held = 0;
    return status;
}

// A few bytes, through the buffer.
static fim_status small(fim_parcel *p, void *bytes, size_t n) {
    unsigned char *at = bytes;
    fim_status status = FIM_OK;
    if (!p->receiving) {
        if (p->held + n > sizeof p->buffer && (status = fim_parcel_flush(p)) != FIM_OK)
            return status;
        if (n > sizeof p->buffer)
            return send_bytes(p->pipe, at, n);
        memcpy(p->buffer + p->held, at, n);
        p->held += n;
        return FIM_OK;
    }
    if (n > 0 && p->at == p->held && n < sizeof p->buffer) {
        p->held = receive_some(p, p->buffer, sizeof p->buffer);
        p->at = 0;
    }
    return receive_bytes(p, at, n);
}

// The whole pages among sent bytes are not needed any more: so the content is in memory only once.
static void give_back(unsigned char *bytes, size_t n) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t before = (size_t)(-(uintptr_t)bytes % page);
    if (n > before && (n - before) / page > 0)
        madvise(bytes + before, (n - before) / page * page, MADV_DONTNEED);
}

static fim_status check_finite(const double *value, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(value[i]))
            return nonsense("finite number");
    return FIM_OK;
}

// `count` numbers, past the buffer.
static fim_status numbers(fim_parcel *p, double *value, size_t count, bool finite) {
    fim_status status = p->receiving ? FIM_OK : fim_parcel_flush(p);
    for (size_t i = 0, n; i < count && status == FIM_OK; i += n) {
        n = count - i < PIECE / sizeof *value ? count - i : PIECE / sizeof *value;
        unsigned char *bytes = (unsigned char *)(value + i);
        if (p->receiving) {
            status = receive_bytes(p, bytes, n * sizeof *value);
            if (status == FIM_OK && finite)
                status = check_finite(value + i, n);
        } else {
            status = send_bytes(p->pipe, bytes, n * sizeof *value);
            give_back(bytes, n * sizeof *value);
        }
    }
    return status;
}

// Takes count·size bytes from what the receiver may take.
static fim_status claim(fim_parcel *p, size_t count, size_t size) {
    size_t bytes = fim_size_mul(count, size);
    if (!p->receiving)
        return FIM_OK;
    if (bytes > p->left)
        return FIM_FAIL(FIM_ERR_FORMAT, "the answer of its reader takes more than the memory budget");
    p->left -= bytes;
    return FIM_OK;
}

// ---- Values ----

bool fim_parcel_receiving(const fim_parcel *p) {
    return p->receiving;
}

fim_status fim_parcel_size(fim_parcel *p, size_t *value, size_t low, size_t high) {
    size_t found = *value;
    fim_status status = small(p, &found, sizeof found);
    if (status == FIM_OK && (found < low || found > high))
        status = nonsense("count in its range");
    if (status == FIM_OK)
        *value = found;
    return status;
}

fim_status fim_parcel_flag(fim_parcel *p, bool *value) {
    size_t found = *value;
    fim_status status = fim_parcel_size(p, &found, 0, 1);
    if (status == FIM_OK)
        *value = found == 1;
    return status;
}

fim_status fim_parcel_real(fim_parcel *p, double *value) {
    double found = *value;
    fim_status status = small(p, &found, sizeof found);
    if (status == FIM_OK)
        *value = found;
    return status;
}

// `length` bytes of text and the end of it into `text`.
static fim_status characters(fim_parcel *p, char *text, size_t length) {
    fim_status status = small(p, text, length);
    if (status != FIM_OK || !p->receiving)
        return status;
    text[length] = '\0';
    return fim_text_valid(text, length) == length ? FIM_OK : nonsense("printable text");
}

fim_status fim_parcel_field(fim_parcel *p, char *field, size_t size) {
    size_t length = p->receiving ? 0 : strlen(field);
    fim_status status = fim_parcel_size(p, &length, 0, size - 1);
    return status == FIM_OK ? characters(p, field, length) : status;
}

fim_status fim_parcel_text(fim_parcel *p, char **text, size_t limit) {
    char *found = p->receiving ? NULL : *text;
    bool there = found != NULL;
    size_t length = there ? strlen(found) : 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_flag(p, &there));
    if (!there)
        goto out;
    FIM_TRY(fim_parcel_size(p, &length, 0, limit));
    FIM_TRY(claim(p, length + 1, 1));
    if (p->receiving)
        FIM_TRY(fim_alloc(length + 1, 1, "a text", &found));
    FIM_TRY(characters(p, found, length));
out:
    if (p->receiving && status == FIM_OK)
        *text = found;
    else if (p->receiving)
        free(found);
    return status;
}

fim_status fim_parcel_array(fim_parcel *p, void *array, size_t count, size_t size) {
    unsigned char *found = NULL;
    if (!p->receiving)
        memcpy(&found, array, sizeof found);
    bool there = found != NULL;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_flag(p, &there));
    if (there) {
        FIM_TRY(claim(p, count, size));
        if (p->receiving)
            FIM_TRY(fim_alloc(count, size, "an array", &found));
        FIM_TRY(small(p, found, count * size));
    }
    if (p->receiving)
        memcpy(array, &found, sizeof found);
    return FIM_OK;
out:
    if (p->receiving)
        free(found);
    return status;
}

fim_status fim_parcel_matrix(fim_parcel *p, gsl_matrix **matrix, bool finite) {
    gsl_matrix *m = p->receiving ? NULL : *matrix;
    bool there = m != NULL;
    size_t rows = there ? m->size1 : 0, columns = there ? m->size2 : 0;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_flag(p, &there));
    if (there) {
        FIM_TRY(fim_parcel_size(p, &rows, 0, SIZE_MAX));
        FIM_TRY(fim_parcel_size(p, &columns, 0, SIZE_MAX));
        FIM_TRY(claim(p, fim_size_mul(rows, columns), sizeof(double)));
        if (p->receiving && (m = gsl_matrix_alloc(rows, columns)) == NULL) // not zeroed: it is filled at once
            FIM_TRY(FIM_FAIL(FIM_ERR_MEMORY, "cannot allocate a %zu x %zu matrix for what was read", rows,
                             columns));
        bool whole = m->tda == columns;
        for (size_t i = 0; i < (whole ? 1 : rows); i++)
            FIM_TRY(numbers(p, m->data + i * m->tda, whole ? rows * columns : columns, finite));
    }
    if (p->receiving)
        *matrix = m;
    return FIM_OK;
out:
    if (p->receiving)
        gsl_matrix_free(m);
    return status;
}

fim_status fim_parcel_vector(fim_parcel *p, gsl_vector **vector) {
    gsl_vector *v = p->receiving ? NULL : *vector;
    size_t size = p->receiving ? 0 : v->size;
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_size(p, &size, 0, SIZE_MAX));
    FIM_TRY(claim(p, size, sizeof(double)));
    if (p->receiving)
        FIM_TRY(fim_vector_new(size, "what was read", &v));
    FIM_TRY(numbers(p, v->data, size, false));
    if (p->receiving)
        *vector = v;
    return FIM_OK;
out:
    if (p->receiving)
        gsl_vector_free(v);
    return status;
}

// ---- Records ----

static fim_status put_value(fim_parcel *p, fim_record *r, size_t i) {
    fim_value item = p->receiving ? (fim_value){.name = ""} : r->values[i];
    fim_status status = FIM_OK;
    FIM_TRY(claim(p, 2, sizeof item));
    FIM_TRY(fim_parcel_field(p, item.name, sizeof item.name));
    FIM_TRY(fim_parcel_real(p, &item.value));
    FIM_TRY(fim_parcel_field(p, item.note, sizeof item.note));
    if (p->receiving)
        status = fim_record_set(r, item.name, item.value, item.note);
out:
    return status;
}

static fim_status put_text(fim_parcel *p, fim_record *r, size_t i) {
    enum { NAME_LIMIT = 1 << 10, TEXT_LIMIT = 1 << 20 };
    fim_text item = p->receiving ? (fim_text){NULL, NULL} : r->texts[i];
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_text(p, &item.name, NAME_LIMIT));
    FIM_TRY(fim_parcel_text(p, &item.text, TEXT_LIMIT));
    if (p->receiving)
        status = item.name != NULL && item.text != NULL ? fim_record_set_text(r, item.name, item.text)
                                                        : nonsense("named text");
out:
    if (p->receiving) {
        free(item.name);
        free(item.text);
    }
    return status;
}

static fim_status put_curve(fim_parcel *p, fim_record *r, size_t i) {
    fim_curve item = p->receiving ? (fim_curve){.name = ""} : r->curves[i];
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_field(p, item.name, sizeof item.name));
    FIM_TRY(fim_parcel_field(p, item.note, sizeof item.note));
    FIM_TRY(fim_parcel_vector(p, &item.values));
    if (p->receiving)
        status = fim_record_set_curve(r, item.name, item.values, item.note);
out:
    return status;
}

static fim_status put_table(fim_parcel *p, fim_record *r, size_t i) {
    fim_table item = p->receiving ? (fim_table){.name = ""} : r->tables[i];
    fim_status status = FIM_OK;
    FIM_TRY(fim_parcel_field(p, item.name, sizeof item.name));
    FIM_TRY(fim_parcel_matrix(p, &item.values, false));
    if (p->receiving)
        status = item.values != NULL ? fim_record_set_table(r, item.name, item.values) : nonsense("table");
out:
    return status;
}

static fim_status put_record(fim_parcel *p, fim_record *r, size_t depth);

static fim_status put_child(fim_parcel *p, fim_record *r, size_t i, size_t depth) {
    char name[sizeof r->name] = "";
    fim_record *child = p->receiving ? NULL : &r->children[i];
    fim_status status = FIM_OK;
    if (child != NULL)
        memcpy(name, child->name, sizeof name);
    FIM_TRY(claim(p, 2, sizeof *child));
    FIM_TRY(fim_parcel_field(p, name, sizeof name));
    if (p->receiving)
        FIM_TRY(fim_record_add_child(r, name, &child));
    status = put_record(p, child, depth + 1);
out:
    return status;
}

static fim_status put_record(fim_parcel *p, fim_record *r, size_t depth) {
    static fim_status (*const put[])(fim_parcel * p, fim_record * r, size_t i) = {put_value, put_text,
                                                                                  put_curve, put_table};
    size_t counts[] = {r->n_values, r->n_texts, r->n_curves, r->n_tables}, children = r->n_children;
    fim_status status = depth <= DEPTH_LIMIT ? FIM_OK : nonsense("record of sane depth");
    for (size_t k = 0; k < sizeof put / sizeof *put && status == FIM_OK; k++) {
        FIM_TRY(fim_parcel_size(p, &counts[k], 0, ENTRIES_LIMIT));
        for (size_t i = 0; i < counts[k]; i++)
            FIM_TRY(put[k](p, r, i));
    }
    if (status == FIM_OK)
        FIM_TRY(fim_parcel_size(p, &children, 0, ENTRIES_LIMIT));
    for (size_t i = 0; i < children && status == FIM_OK; i++)
        status = put_child(p, r, i, depth);
out:
    return status;
}

fim_status fim_parcel_record(fim_parcel *p, fim_record *record) {
    fim_record found;
    fim_record_init(&found, "");
    if (!p->receiving)
        return put_record(p, record, 0);
    fim_status status = put_record(p, &found, 0);
    if (status == FIM_OK)
        *record = found;
    else
        fim_record_clear(&found);
    return status;
}
