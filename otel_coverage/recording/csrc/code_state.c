/* What is known of each code object: its lines, its entries, and which recordings ran them. */

#include "callbacks.h"

#include "opcode.h"

#define NO_HANDLER (-1L)

Py_ssize_t extra_index = -1;

/* Bits in words that go away belong to no active recording. */
int widen(const Callbacks *self, CodeState *state) {
    Word *masks = state->inline_masks, *before = state->masks;
    if (self->words > 1) {
        masks = PyMem_Calloc((size_t)state->rows * self->words, sizeof(Word));
        if (masks == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    size_t kept = state->words < self->words ? state->words : self->words;
    for (Row row = 0; row < state->rows; row++) {
        Word *mask = masks + (size_t)row * self->words;
        memcpy(mask, mask_of(state, row), kept * sizeof(Word)); /* rule: wider-masks-keep-bits */
    }
    state->masks = masks;
    state->words = self->words;
    if (before != state->inline_masks) {
        PyMem_Free(before);
    }
    return 0;
}

static void code_state_free(CodeState *state) {
    note_rearmed(state);
    list_remove(&state->all);
    if (state->masks != state->inline_masks) {
        PyMem_Free(state->masks);
    }
    PyMem_Free(state->lines);
    PyMem_Free(state->entries);
    PyMem_Free(state);
}

static bool replacing_extra = false;

void free_code_states(void *extra) {
    CodeState *state = replacing_extra ? NULL : extra; /* rule: freed-code-is-forgotten */
    while (state != NULL) {
        CodeState *next_owner = state->next_owner;
        code_state_free(state);
        state = next_owner;
    }
}

/* The interpreter calls free_code_states for what was set before, which must stay. */
static int set_extra(PyObject *code, CodeState *state) {
    replacing_extra = true;
    int failed = PyUnstable_Code_SetExtra(code, extra_index, state);
    replacing_extra = false;
    return failed;
}

void code_state_drop(CodeState *state) {
    void *extra = NULL;
    (void)PyUnstable_Code_GetExtra(state->code, extra_index, &extra);
    if (extra == state) {
        (void)set_extra(state->code, state->next_owner);
    } else {
        CodeState *before = extra;
        while (before->next_owner != state) {
            before = before->next_owner;
        }
        before->next_owner = state->next_owner;
    }
    code_state_free(state);
}

/* --- a code object's lines */

PyObject *list_from_method(PyObject *code, const char *method) {
    PyObject *iterator = PyObject_CallMethod(code, method, NULL);
    PyObject *list = iterator == NULL ? NULL : PySequence_List(iterator);
    Py_XDECREF(iterator);
    return list;
}

static int line_of_range(PyObject *range) {
    PyObject *line = PyTuple_GET_ITEM(range, 2);
    return line == Py_None ? 0 : (int)PyLong_AsLong(line);
}

static int line_at(PyObject *ranges, long offset) {
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(ranges); index++) {
        PyObject *range = PyList_GET_ITEM(ranges, index);
        if (PyLong_AsLong(PyTuple_GET_ITEM(range, 0)) <= offset && offset < PyLong_AsLong(PyTuple_GET_ITEM(range, 1))) {
            return line_of_range(range);
        }
    }
    return 0;
}

static int compare_lines(const void *left, const void *right) {
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

typedef struct {
    int first, *numbers; /* first_line and lines of CodeState */
    Row rows;
} Layout;


/* Give each line of the code, and each edge if those are recorded, a row. */
static int make_layout(PyObject *code, bool has_edges, Layout *layout) {
    PyObject *ranges = list_from_method(code, "co_lines");
    if (ranges == NULL) {
        return -1;
    }
    int count = 0, distinct = 0;
    Py_ssize_t room = PyList_GET_SIZE(ranges) + 1;
    int *lines = has_edges ? new_edges(code, room, &count) : PyMem_Malloc((size_t)room * sizeof(int));
    if (lines == NULL) {
        Py_DECREF(ranges);
        if (!has_edges) {
            PyErr_NoMemory();
        }
        return -1;
    }
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(ranges); index++) {
        int line = line_of_range(PyList_GET_ITEM(ranges, index));
        if (line > 0) {
            lines[count++] = line;
        }
    }
    Py_DECREF(ranges);
    qsort(lines, (size_t)count, sizeof(int), compare_lines);
    for (int index = 0; index < count; index++) {
        if (index == 0 || lines[index] != lines[index - 1]) {
            lines[distinct++] = lines[index];
        }
    }
    int last = distinct > 0 ? lines[distinct - 1] : 0;
    *layout = (Layout){.first = distinct > 0 ? lines[0] : 1, .numbers = lines, .rows = distinct + 1};
    if (!has_edges && last - layout->first < 4 * distinct) { /* rows that no line has cost less than searches */
        layout->rows = last - layout->first + 2;
        layout->numbers = NULL;
        PyMem_Free(lines);
    }
    return 0;
}

Row search_line(const CodeState *state, int line) {
    Row low = 1, high = state->rows - 1;
    while (low <= high) {
        Row middle = low + (high - low) / 2;
        int found = state->lines[middle - 1];
        if (found == line) {
            return middle;
        }
        if (found < line) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return NO_LINE;
}

/* The offset of the handler for exceptions raised at the offset; NO_HANDLER for none. The table holds for each range
   start, length, handler and depth, counted in instructions, as numbers of six bits a byte, highest first, all bytes but
   a number's last with bit 6 set. */
static long handler_at(PyObject *table, long offset) {
    long numbers[4] = {0};
    int at = 0;
    for (Py_ssize_t index = 0; index < PyBytes_GET_SIZE(table); index++) {
        unsigned char byte = (unsigned char)PyBytes_AS_STRING(table)[index];
        numbers[at] = numbers[at] << 6 | (byte & 0x3F);
        if (byte & 0x40 || ++at < 4) {
            continue;
        }
        long start = numbers[0] * 2, end = start + numbers[1] * 2;
        if (start <= offset && offset < end) {
            return numbers[2] * 2;
        }
        memset(numbers, 0, sizeof(numbers));
        at = 0;
    }
    return NO_HANDLER;
}

/* Whether anything of the code runs when an exception is thrown in at the offset: see _runs_when_thrown_into of
   callbacks.py. */
static int is_handled(PyObject *code, PyObject *instructions, long offset) {
    PyObject *table = PyObject_GetAttrString(code, "co_exceptiontable");
    if (table == NULL) {
        return FAILED;
    }
    const unsigned char *opcodes = (unsigned char *)PyBytes_AS_STRING(instructions);
    long handler = opcodes[offset] == RESUME ? offset - 2 : offset;
    long steps = PyBytes_GET_SIZE(instructions); /* handlers may form a cycle, of no more than there are */
    do {
        handler = handler_at(table, handler);
    } while (handler != NO_HANDLER && opcodes[handler] != PUSH_EXC_INFO && opcodes[handler] != CLEANUP_THROW &&
             --steps > 0);
    Py_DECREF(table);
    return handler != NO_HANDLER && steps > 0;
}

/* The line that an entry at the offset runs without a LINE event: 0 for none, NOTHING_RUNS, FAILED. See
   _find_entry_line and _find_thrown_line of callbacks.py. */
static int find_entry_line(PyObject *code, int offset) {
    PyObject *ranges = list_from_method(code, "co_lines");
    PyObject *instructions = PyCode_GetCode((PyCodeObject *)code);
    int line = FAILED;
    if (ranges != NULL && instructions != NULL && offset < 0) {
        int handled = is_handled(code, instructions, ~offset);
        line = handled < 0 ? FAILED : handled ? line_at(ranges, ~offset) : (int)NOTHING_RUNS;
    } else if (ranges != NULL && instructions != NULL) {
        line = line_at(ranges, offset);
        const unsigned char *opcodes = (unsigned char *)PyBytes_AS_STRING(instructions);
        int end = (int)PyBytes_GET_SIZE(instructions), body = offset + 2;
        /* two bits of RESUME's argument say where it stands; 0: at the start */
        if (offset < end && opcodes[offset] == RESUME && !(opcodes[offset + 1] & 3)) {
            while (body < end && opcodes[body] == CACHE) {
                body += 2;
            }
            line = line_at(ranges, body) == line ? line : 0; /* rule: one-line-body-runs-its-line */
        }
    }
    Py_XDECREF(ranges);
    Py_XDECREF(instructions);
    return line;
}

Row find_entry_row(CodeState *state, int offset) {
    for (int index = 0; index < state->entry_count; index++) {
        if (state->entries[index].offset == offset) {
            return state->entries[index].row;
        }
    }
    int line = find_entry_line(state->code, offset);
    if (line == FAILED) {
        return FAILED;
    }
    Entry entry = {offset, line == NOTHING_RUNS ? NOTHING_RUNS : row_of_line(state, line)};
    if (state->first_entry.offset == NO_OFFSET) {
        state->first_entry = entry;
        return entry.row;
    }
    Entry *entries = PyMem_Realloc(state->entries, (size_t)(state->entry_count + 1) * sizeof(Entry));
    if (entries == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    state->entries = entries;
    entries[state->entry_count++] = entry;
    return entry.row;
}

CodeState *code_state_new(Callbacks *self, PyObject *code, FileState *file) {
    static uint64_t last_number = 0;
    Layout layout = {.first = 1, .numbers = NULL, .rows = 1};
    void *states = NULL; /* of other owners */
    if (PyUnstable_Code_GetExtra(code, extra_index, &states) < 0 ||
        (self->has_lines && make_layout(code, self->has_edges, &layout) < 0)) {
        return NULL;
    }
    CodeState *state = PyMem_Calloc(1, sizeof(CodeState) + (size_t)layout.rows * sizeof(Word));
    if (state == NULL) {
        PyMem_Free(layout.numbers);
        PyErr_NoMemory();
        return NULL;
    }
    list_clear(&state->all);
    list_clear(&state->disabled);
    state->next_owner = states;
    state->code = code;
    state->file = file;
    state->number = ++last_number;
    state->lines = layout.numbers;
    state->owner = self;
    state->first_entry.offset = NO_OFFSET;
    state->dirty = CLEAN;
    state->first_line = layout.first;
    state->rows = layout.rows;
    state->words = 1;
    state->masks = state->inline_masks;
    if (set_extra(code, state) < 0) {
        code_state_free(state);
        return NULL;
    }
    list_append(&self->all, &state->all);
    return state;
}

int is_interpreted(PyObject *code) {
    PyObject *instructions = PyCode_GetCode((PyCodeObject *)code);
    if (instructions == NULL) {
        return -1;
    }
    /* rule: compiled-code-is-ignored */
    int answer = PyBytes_GET_SIZE(instructions) > 0 && PyBytes_AS_STRING(instructions)[0] != CACHE;
    Py_DECREF(instructions);
    return answer;
}
