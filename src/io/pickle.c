// The pickle machine, cut down to what makes data. It has a stack, marks on it, and a memo of what may come
// again; every instruction takes at least a byte and makes one node at most, so that memory is bounded by the
// length.
#include "pickle.h"

#include <stdlib.h>
#include <string.h>

#include "pickle_calls.h"

typedef struct machine {
    fim_pickle *pickle;
    const unsigned char *begin, *at, *end;
    size_t depth, stack_capacity, *stack;
    size_t memo_size, memo_next, *memo; // SIZE_MAX where nothing is kept
} machine;

bool fim_node_is(const fim_node *node, const char *text) {
    return node->kind == FIM_NODE_TEXT && node->length == strlen(text) &&
           memcmp(node->text, text, node->length) == 0;
}

static fim_status broken(const machine *m, const char *what) {
    return FIM_FAIL(FIM_ERR_FORMAT, "%s: byte %zu of the pickle: %s", m->pickle->where,
                    (size_t)(m->at - m->begin), what);
}

// ---- Nodes, stack, memo ----

// Makes room for `capacity` entries of `size` bytes in *list, which had `before`.
static fim_status grow(fim_pickle *p, void *list, size_t before, size_t capacity, size_t size) {
    fim_status status =
        fim_budget_check(p->left, fim_size_mul(capacity, size), "its pickle", "raise --memory");
    if (status != FIM_OK)
        return fim_context(status, "%s", p->where);
    void *old, *larger;
    memcpy(&old, list, sizeof old);
    if ((larger = realloc(old, capacity * size)) == NULL)
        return FIM_FAIL(FIM_ERR_MEMORY, "%s: cannot allocate its pickle", p->where);
    memcpy(list, &larger, sizeof larger);
    p->left -= (capacity - before) * size;
    return FIM_OK;
}

fim_status pickle_node(fim_pickle *p, fim_node_kind kind, size_t *out) {
    if (p->n == p->capacity) {
        size_t capacity = 2 * p->capacity + 64;
        fim_status status = grow(p, &p->nodes, p->capacity, capacity, sizeof *p->nodes);
        if (status != FIM_OK)
            return status;
        p->capacity = capacity;
    }
    p->nodes[p->n] = (fim_node){.kind = kind};
    *out = p->n++;
    return FIM_OK;
}

fim_status pickle_append(fim_pickle *p, size_t node, size_t item) {
    fim_node *list = &p->nodes[node];
    if (list->n == list->capacity) {
        size_t capacity = 2 * list->capacity + 4;
        fim_status status = grow(p, &list->items, list->capacity, capacity, sizeof *list->items);
        if (status != FIM_OK)
            return status;
        list->capacity = capacity;
    }
    list->items[list->n++] = item;
    return FIM_OK;
}

static fim_status push(machine *m, size_t node) {
    if (m->depth == m->stack_capacity) {
        size_t capacity = 2 * m->stack_capacity + 64;
        fim_status status = grow(m->pickle, &m->stack, m->stack_capacity, capacity, sizeof *m->stack);
        if (status != FIM_OK)
            return status;
        m->stack_capacity = capacity;
    }
    m->stack[m->depth++] = node;
    return FIM_OK;
}

static fim_status push_new(machine *m, fim_node_kind kind, fim_node **out) {
    size_t node = 0;
    fim_status status = pickle_node(m->pickle, kind, &node);
    if (status == FIM_OK)
        status = push(m, node);
    if (status == FIM_OK)
        *out = &m->pickle->nodes[node];
    return status;
}

// The top of the stack, which is no mark.
static fim_status pop(machine *m, size_t *out) {
    if (m->depth == 0 || m->pickle->nodes[m->stack[m->depth - 1]].kind == FIM_NODE_MARK)
        return broken(m, "takes more from its stack than there is");
    *out = m->stack[--m->depth];
    return FIM_OK;
}

// The place of the topmost mark on the stack.
static fim_status find_mark(const machine *m, size_t *out) {
    for (size_t i = m->depth; i-- > 0;)
        if (m->pickle->nodes[m->stack[i]].kind == FIM_NODE_MARK) {
            *out = i;
            return FIM_OK;
        }
    return broken(m, "lacks a mark");
}

static fim_status keep(machine *m, size_t index) {
    size_t node = 0;
    fim_status status = pop(m, &node);
    if (status != FIM_OK)
        return status;
    m->depth++;
    if (index >= (size_t)(m->end - m->begin))
        return broken(m, "keeps things under numbers that are too large");
    if (index >= m->memo_size) {
        size_t size = 2 * index + 64;
        if ((status = grow(m->pickle, &m->memo, m->memo_size, size, sizeof *m->memo)) != FIM_OK)
            return status;
        for (size_t i = m->memo_size; i < size; i++)
            m->memo[i] = SIZE_MAX;
        m->memo_size = size;
    }
    m->memo[index] = node;
    return FIM_OK;
}

static fim_status recall(machine *m, size_t index) {
    if (index >= m->memo_size || m->memo[index] == SIZE_MAX)
        return broken(m, "asks for what it has not kept");
    return push(m, m->memo[index]);
}

// ---- Arguments of instructions ----

static fim_status take(machine *m, size_t n, const unsigned char **out) {
    if (n > (size_t)(m->end - m->at))
        return broken(m, "ends too early");
    *out = m->at;
    m->at += n;
    return FIM_OK;
}

// A little-endian number of `size` bytes.
static fim_status take_number(machine *m, size_t size, uint64_t *out) {
    const unsigned char *bytes = NULL;
    fim_status status = take(m, size, &bytes);
    uint64_t value = 0;
    for (size_t i = size; status == FIM_OK && i-- > 0;)
        value = value << 8 | bytes[i];
    *out = value;
    return status;
}

static fim_status push_integer(machine *m, int64_t value) {
    fim_node *node = NULL;
    fim_status status = push_new(m, FIM_NODE_INTEGER, &node);
    if (status == FIM_OK)
        node->integer = value;
    return status;
}

// A text or bytes after their length of `size` bytes.
static fim_status push_text(machine *m, fim_node_kind kind, size_t size) {
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    fim_node *node = NULL;
    fim_status status = FIM_OK;
    FIM_TRY(take_number(m, size, &length));
    FIM_TRY(take(m, (size_t)length, &bytes));
    FIM_TRY(push_new(m, kind, &node));
    node->text = (const char *)bytes;
    node->length = (size_t)length;
out:
    return status;
}

// LONG1: two's complement of 0 to 8 bytes.
static fim_status push_long(machine *m) {
    uint64_t size = 0, value = 0;
    fim_status status = FIM_OK;
    FIM_TRY(take_number(m, 1, &size));
    if (size > 8)
        return broken(m, "holds an integer of more than 64 bits");
    FIM_TRY(take_number(m, (size_t)size, &value));
    if (size > 0 && size < 8 && (value >> (8 * size - 1) & 1) != 0)
        value |= UINT64_MAX << 8 * size;
    status = push_integer(m, (int64_t)value);
out:
    return status;
}

// ---- Data built of data ----

// The n items on top of the stack, below which `base` stands, become the items of a new node.
static fim_status gather(machine *m, fim_node_kind kind, size_t base) {
    size_t node = 0;
    fim_status status = FIM_OK;
    for (size_t i = base; i < m->depth; i++)
        if (m->pickle->nodes[m->stack[i]].kind == FIM_NODE_MARK)
            return broken(m, "takes a mark for a thing");
    FIM_TRY(pickle_node(m->pickle, kind, &node));
    for (size_t i = base; i < m->depth; i++)
        FIM_TRY(pickle_append(m->pickle, node, m->stack[i]));
    m->depth = base;
    status = push(m, node);
out:
    return status;
}

static fim_status tuple_of(machine *m, size_t n) {
    return n <= m->depth ? gather(m, FIM_NODE_TUPLE, m->depth - n)
                         : broken(m, "takes more from its stack than there is");
}

// What stands above `base` goes into the list or dictionary below it; `gap` skips the mark.
static fim_status put_into(machine *m, fim_node_kind kind, size_t base, size_t gap) {
    fim_status status = FIM_OK;
    if (base == 0 || m->pickle->nodes[m->stack[base - 1]].kind != kind)
        return broken(m, "puts items into something that is no list or dictionary");
    if (kind == FIM_NODE_DICT && (m->depth - base - gap) % 2 != 0)
        return broken(m, "puts a key without a value into a dictionary");
    for (size_t i = base + gap; i < m->depth; i++)
        FIM_TRY(pickle_append(m->pickle, m->stack[base - 1], m->stack[i]));
    m->depth = base;
out:
    return status;
}

// One item (n = 1) or one pair (n = 2) without a mark.
static fim_status put_few(machine *m, fim_node_kind kind, size_t n) {
    size_t ignored;
    const size_t depth = m->depth;
    for (size_t i = 0; i < n; i++) {
        fim_status status = pop(m, &ignored);
        if (status != FIM_OK)
            return status;
    }
    m->depth = depth;
    return put_into(m, kind, depth - n, 0);
}

static fim_status put_many(machine *m, fim_node_kind kind) {
    size_t mark = 0;
    fim_status status = find_mark(m, &mark);
    return status == FIM_OK ? put_into(m, kind, mark, 1) : status;
}

static fim_status tuple_from_mark(machine *m) {
    size_t mark = 0;
    fim_status status = find_mark(m, &mark);
    if (status == FIM_OK)
        status = gather(m, FIM_NODE_TUPLE, mark + 1);
    if (status != FIM_OK)
        return status;
    m->stack[mark] = m->stack[mark + 1]; // the tuple takes the mark's place
    m->depth = mark + 1;
    return FIM_OK;
}

// ---- Names and calls ----

static fim_status push_global(machine *m, const char *module, size_t module_length, const char *name,
                              size_t name_length) {
    fim_node *node = NULL;
    int64_t number = 0;
    fim_status status =
        pickle_find_global(m->pickle->where, module, module_length, name, name_length, &number);
    if (status == FIM_OK)
        status = push_new(m, FIM_NODE_GLOBAL, &node);
    if (status == FIM_OK)
        node->integer = number;
    return status;
}

// GLOBAL: module and name, a line each.
static fim_status global_by_lines(machine *m) {
    const char *part[2];
    size_t length[2];
    for (size_t i = 0; i < 2; i++) {
        const unsigned char *line_end = memchr(m->at, '\n', (size_t)(m->end - m->at));
        if (line_end == NULL)
            return broken(m, "ends too early");
        part[i] = (const char *)m->at;
        length[i] = (size_t)(line_end - m->at);
        m->at = line_end + 1;
    }
    return push_global(m, part[0], length[0], part[1], length[1]);
}

static fim_status global_by_stack(machine *m) {
    size_t name = 0, module = 0;
    fim_status status = FIM_OK;
    FIM_TRY(pop(m, &name));
    FIM_TRY(pop(m, &module));
    const fim_node *a = &m->pickle->nodes[module], *b = &m->pickle->nodes[name];
    if (a->kind != FIM_NODE_TEXT || b->kind != FIM_NODE_TEXT)
        return broken(m, "asks for a Python object without a name");
    status = push_global(m, a->text, a->length, b->text, b->length);
out:
    return status;
}

typedef fim_status call_fn(fim_pickle *p, size_t object, size_t arguments, size_t *result);

// Takes two things from the stack and leaves what `call` makes of them.
static fim_status apply(machine *m, call_fn *call) {
    size_t arguments = 0, object = 0, result = 0;
    fim_status status = FIM_OK;
    FIM_TRY(pop(m, &arguments));
    FIM_TRY(pop(m, &object));
    FIM_TRY(call(m->pickle, object, arguments, &result));
    status = push(m, result);
out:
    return status;
}

static fim_status persistent(machine *m) {
    size_t id = 0, result = 0;
    fim_status status = FIM_OK;
    FIM_TRY(pop(m, &id));
    FIM_TRY(pickle_storage(m->pickle, id, &result));
    status = push(m, result);
out:
    return status;
}

// ---- The machine ----

static fim_status step(machine *m, unsigned char code) {
    fim_node *node = NULL;
    const unsigned char *bytes = NULL;
    uint64_t number = 0;
    fim_status status = FIM_OK;
    switch (code) {
    case 0x80: // PROTO
        FIM_TRY(take_number(m, 1, &number));
        return number >= 2 && number <= 5 ? FIM_OK : broken(m, "is not of protocol 2 to 5");
    case 0x95: // FRAME: a length for readers that read ahead
        FIM_TRY(take_number(m, 8, &number));
        return number <= (size_t)(m->end - m->at) ? FIM_OK : broken(m, "has a frame that ends behind it");
    case '(': // MARK
        return push_new(m, FIM_NODE_MARK, &node);
    case 'N': // NONE
        return push_new(m, FIM_NODE_NONE, &node);
    case 0x88: // NEWTRUE
    case 0x89: // NEWFALSE
        return push_integer(m, code == 0x88);
    case 'K': // BININT1
    case 'M': // BININT2
        FIM_TRY(take_number(m, code == 'K' ? 1 : 2, &number));
        return push_integer(m, (int64_t)number);
    case 'J': // BININT
        FIM_TRY(take_number(m, 4, &number));
        return push_integer(m, (int32_t)(uint32_t)number);
    case 0x8a: // LONG1
        return push_long(m);
    case 'G': // BINFLOAT
        FIM_TRY(take(m, 8, &bytes));
        return push_new(m, FIM_NODE_FLOAT, &node);
    case 'X': // BINUNICODE
        return push_text(m, FIM_NODE_TEXT, 4);
    case 0x8c: // SHORT_BINUNICODE
        return push_text(m, FIM_NODE_TEXT, 1);
    case 'C': // SHORT_BINBYTES
        return push_text(m, FIM_NODE_BYTES, 1);
    case 'B': // BINBYTES
        return push_text(m, FIM_NODE_BYTES, 4);
    case 0x8e: // BINBYTES8
        return push_text(m, FIM_NODE_BYTES, 8);
    case ')': // EMPTY_TUPLE
        return push_new(m, FIM_NODE_TUPLE, &node);
    case ']': // EMPTY_LIST
        return push_new(m, FIM_NODE_LIST, &node);
    case '}': // EMPTY_DICT
        return push_new(m, FIM_NODE_DICT, &node);
    case 0x85: // TUPLE1
    case 0x86: // TUPLE2
    case 0x87: // TUPLE3
        return tuple_of(m, (size_t)code - 0x84);
    case 't': // TUPLE
        return tuple_from_mark(m);
    case 'a': // APPEND
        return put_few(m, FIM_NODE_LIST, 1);
    case 'e': // APPENDS
        return put_many(m, FIM_NODE_LIST);
    case 's': // SETITEM
        return put_few(m, FIM_NODE_DICT, 2);
    case 'u': // SETITEMS
        return put_many(m, FIM_NODE_DICT);
    case 'q': // BINPUT
    case 'r': // LONG_BINPUT
        FIM_TRY(take_number(m, code == 'q' ? 1 : 4, &number));
        return keep(m, (size_t)number);
    case 0x94: // MEMOIZE
        return keep(m, m->memo_next++);
    case 'h': // BINGET
    case 'j': // LONG_BINGET
        FIM_TRY(take_number(m, code == 'h' ? 1 : 4, &number));
        return recall(m, (size_t)number);
    case 'c': // GLOBAL
        return global_by_lines(m);
    case 0x93: // STACK_GLOBAL
        return global_by_stack(m);
    case 'R': // REDUCE
        return apply(m, pickle_call);
    case 'b': // BUILD
        return apply(m, pickle_build);
    case 'Q': // BINPERSID
        return persistent(m);
    default:
        return FIM_FAIL(
            FIM_ERR_FORMAT,
            "%s: byte %zu of the pickle: instruction 0x%02x is none that tensors need; nothing of it "
            "was executed",
            m->pickle->where, (size_t)(m->at - m->begin) - 1, code);
    }
out:
    return status;
}

void fim_pickle_clear(fim_pickle *pickle) {
    for (size_t i = 0; i < pickle->n; i++)
        free(pickle->nodes[i].items);
    free(pickle->nodes);
    *pickle = (fim_pickle){0};
}

fim_status fim_pickle_read(const char *where, const unsigned char *bytes, size_t n, size_t budget,
                           fim_pickle *out) {
    fim_pickle pickle = {.where = where, .left = budget};
    machine m = {.pickle = &pickle, .begin = bytes, .at = bytes, .end = bytes + n};
    fim_status status = FIM_OK;
    for (;;) {
        if (m.at == m.end) {
            status = broken(&m, "ends too early");
            goto out;
        }
        unsigned char code = *m.at++;
        if (code == '.') // STOP
            break;
        FIM_TRY(step(&m, code));
    }
    FIM_TRY(pop(&m, &pickle.root));
    if (m.depth != 0 || m.at != m.end) {
        status = broken(&m, m.depth != 0 ? "leaves things on its stack" : "is not all there is");
        goto out;
    }
    *out = pickle;
    pickle = (fim_pickle){0};
out:
    free(m.stack);
    free(m.memo);
    fim_pickle_clear(&pickle);
    return status;
}
