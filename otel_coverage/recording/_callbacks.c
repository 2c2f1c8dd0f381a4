/* What the interpreter calls, and what the calls decide: the heart of engine ``monitoring``, in C.

   The same rules, interface and answers as otel_coverage/recording/callbacks.py, which states and explains them; the
   tests feed both the same events. What differs is how a decision and the DISABLE that follows from it are one step:

   - The interpreter's lock is held from the last check to the return, since nothing in between can run Python code: no
     call of a Python function, no release of an object that could be the last one. What can run Python code (asking
     whether a file is wanted, reading a mapping that is no dict) comes first, and what was looked up before it is looked
     up again. set_local_events() and restart_events() are C functions that do not let go of the lock.
   - The interpreter checks for signals and collects garbage in Python code alone, so neither runs in here unseen.

   That reasoning needs the lock, and one interpreter: free-threaded builds and sub-interpreters are refused.

   What is known of a code object hangs on the code object itself (PyUnstable_Code_SetExtra), and dies with it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "opcode.h"

#ifdef Py_GIL_DISABLED
#error "without the GIL a decision and the DISABLE that follows from it are two steps: use the callbacks in Python"
#endif

/* --- masks: a bit for each active recording, in as many words as the recordings open at once need */

typedef uint64_t Word;

#define WORD_BITS 64
#define WORD_OF(slot) ((slot) / WORD_BITS)
#define BIT_OF(slot) ((Word)1 << ((slot) % WORD_BITS))

/* --- lists that a member can leave without being searched for */

typedef struct Link {
    struct Link *previous, *next;
} Link;

#define HOLDER(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static void link_clear(Link *list) {
    list->previous = list->next = list;
}

static bool link_is_alone(const Link *link) {
    return link->next == link;
}

static void link_append(Link *list, Link *link) {
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

static void link_remove(Link *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_clear(link);
}

/* --- what is known of code and of recordings */

typedef struct Callbacks Callbacks;

/* A code object has a row of masks: mask 0 says who entered the code, mask n who ran its n-th line, or took its n-th way
   out of an instruction. */
typedef int Row;

#define NO_LINE 0 /* as an entry's line: entering the code is all there is to see */
#define NOTHING_RUNS (-1)
#define FAILED (-2) /* with an exception set */
#define NO_HANDLER (-1L)

typedef struct {
    int place; /* an offset at which the code starts or resumes; its complement: at which an exception is thrown in */
    Row row;
} Entry;

#define NO_PLACE INT_MIN

/* Ways out of instructions stand among the lines as numbers below zero: see ways.py. Offsets are even. */
enum { LEFT, RIGHT, OUT };
#define WAY(offset, side) (-(2 * (offset) + (side) + 1))

/* What every event reads stands side by side at the end: the processor fetches memory in lines of 64 bytes. */
typedef struct Watched {
    Link all;
    Link off; /* in the owner's list while a start is switched off */
    struct Watched *other; /* the same code, in the eyes of others */
    PyObject *code;        /* not owned: its end is ours */
    Entry *entries;        /* those after the first */
    int entry_count;
    int *lines;      /* the numbers of lines and ways, ascending; NULL for lines that go up by one from the first */
    Callbacks *owner;
    Entry first_entry;
    uint64_t dirty; /* the epoch in which a line was switched off; the code is dirty while that epoch lasts */
    int first_line;
    Row rows;
    size_t words; /* of each mask */
    Word *masks;  /* the narrow ones, or wider ones elsewhere */
    Word narrow[];
} Watched;

#define CLEAN 0 /* no epoch */

/* A recording; Python sees no more of it than that it exists. */
typedef struct {
    PyObject_HEAD
    Callbacks *owner; /* not owned: it owns us while the recording is active; NULL from then on */
    size_t slot;
    PyObject **entered; /* the code objects, kept alive */
    Py_ssize_t entered_count, entered_room;
} Mark;

struct Callbacks {
    PyObject_HEAD
    PyObject *variable, *key, *is_wanted;
    PyObject *set_local_events, *restart_events, *tool, *events, *no_events;
    PyObject *wanted;            /* file names, to whether they are */
    double restart_above;        /* of the code that the process runs, the share that a restart arms more cheaply */
    PyTypeObject *recording_type; /* objects of this type have their mark at `mark_offset` */
    Py_ssize_t mark_offset;
    PyObject *last_mapping;   /* a weak reference to the mapping in the variable that was last looked into */
    PyObject *last_recording; /* what is in there, not owned: it lives as long as the mapping */
    bool by_line, by_way, alone, can_restart, disarmed;
    size_t words; /* of each mask */
    Word *active;
    Mark **marks; /* those of the active recordings, by slot */
    Link all, off;
    uint64_t off_count;
    uint64_t epoch;
    uint64_t started, started_before; /* global start events since the last restart: how much code the process runs */
};

static PyTypeObject Mark_Type;
static Py_ssize_t extra_index = -1;
static PyObject *disable, *str_mark, *str_co_lines, *str_co_branches;

static inline Watched *watched_of(const Callbacks *self, PyObject *code) {
    void *extra = NULL;
    (void)PyUnstable_Code_GetExtra(code, extra_index, &extra);
    Watched *watched = extra;
    while (watched != NULL && watched->owner != self) {
        watched = watched->other;
    }
    return watched;
}

static inline Word *mask_of(const Watched *watched, Row row) {
    return watched->masks + (size_t)row * watched->words;
}

/* Make the code's masks as wide as all are now. Bits in words that go away belong to no active recording. */
static int widen(const Callbacks *self, Watched *watched) {
    Word *masks = watched->narrow, *before = watched->masks;
    if (self->words > 1) {
        masks = PyMem_Calloc((size_t)watched->rows * self->words, sizeof(Word));
        if (masks == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    size_t kept = watched->words < self->words ? watched->words : self->words;
    for (Row row = 0; row < watched->rows; row++) {
        memcpy(masks + (size_t)row * self->words, mask_of(watched, row), kept * sizeof(Word));
    }
    watched->masks = masks;
    watched->words = self->words;
    if (before != watched->narrow) {
        PyMem_Free(before);
    }
    return 0;
}

static inline int fit(const Callbacks *self, Watched *watched) {
    return watched->words == self->words ? 0 : widen(self, watched);
}

static void mark_armed(Callbacks *self, Watched *watched) {
    if (!link_is_alone(&watched->off)) {
        link_remove(&watched->off);
        self->off_count--;
    }
}

static void watched_free(Watched *watched) {
    mark_armed(watched->owner, watched);
    link_remove(&watched->all);
    if (watched->masks != watched->narrow) {
        PyMem_Free(watched->masks);
    }
    PyMem_Free(watched->lines);
    PyMem_Free(watched->entries);
    PyMem_Free(watched);
}

static bool setting_extra = false;

/* The interpreter frees a code object: what everybody knows of it goes too. */
static void forget(void *extra) {
    Watched *watched = setting_extra ? NULL : extra;
    while (watched != NULL) {
        Watched *other = watched->other;
        watched_free(watched);
        watched = other;
    }
}

/* Setting it frees what was set before, which is to stay. */
static int set_extra(PyObject *code, Watched *watched) {
    setting_extra = true;
    int failed = PyUnstable_Code_SetExtra(code, extra_index, watched);
    setting_extra = false;
    return failed;
}

/* Stop watching code that lives on. */
static void unwatch(Watched *watched) {
    void *extra = NULL;
    (void)PyUnstable_Code_GetExtra(watched->code, extra_index, &extra);
    if (extra == watched) {
        (void)set_extra(watched->code, watched->other);
    } else {
        Watched *before = extra;
        while (before->other != watched) {
            before = before->other;
        }
        before->other = watched->other;
    }
    watched_free(watched);
}

/* --- a code object's lines */

/* What a method of the code goes through, as a list: C code all through. */
static PyObject *listed(PyObject *code, PyObject *method) {
    PyObject *iterator = PyObject_CallMethodNoArgs(code, method);
    PyObject *list = iterator == NULL ? NULL : PySequence_List(iterator);
    Py_XDECREF(iterator);
    return list;
}

static PyObject *line_ranges(PyObject *code) {
    return listed(code, str_co_lines);
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
    int first, *numbers; /* as first_line and lines of Watched */
    Row rows;
} Layout;

/* The numbers of all ways out of the code's instructions, with room for more; NULL with an exception set. */
static int *find_ways(PyObject *code, Py_ssize_t more, int *count) {
    PyObject *branches = listed(code, str_co_branches);
    PyObject *instructions = branches == NULL ? NULL : PyCode_GetCode((PyCodeObject *)code);
    Py_ssize_t size = instructions == NULL ? 0 : PyBytes_GET_SIZE(instructions);
    int *ways = NULL;
    if (instructions != NULL) {
        ways = PyMem_Malloc((size_t)(2 * PyList_GET_SIZE(branches) + size / 2 + more) * sizeof(int));
        if (ways == NULL) {
            PyErr_NoMemory();
        }
    }
    for (Py_ssize_t index = 0; ways != NULL && index < PyList_GET_SIZE(branches); index++) {
        int offset = (int)PyLong_AsLong(PyTuple_GET_ITEM(PyList_GET_ITEM(branches, index), 0));
        ways[(*count)++] = WAY(offset, LEFT);
        ways[(*count)++] = WAY(offset, RIGHT);
    }
    for (Py_ssize_t offset = 0; ways != NULL && offset < size; offset += 2) {
        if ((unsigned char)PyBytes_AS_STRING(instructions)[offset] == RETURN_VALUE) {
            ways[(*count)++] = WAY((int)offset, OUT);
        }
    }
    Py_XDECREF(branches);
    Py_XDECREF(instructions);
    return ways;
}

/* Give each line of the code, and each way if those are wanted, a row. */
static int lay_out(PyObject *code, bool by_way, Layout *layout) {
    PyObject *ranges = line_ranges(code);
    if (ranges == NULL) {
        return -1;
    }
    int count = 0, distinct = 0;
    Py_ssize_t room = PyList_GET_SIZE(ranges) + 1;
    int *lines = by_way ? find_ways(code, room, &count) : PyMem_Malloc((size_t)room * sizeof(int));
    if (lines == NULL) {
        Py_DECREF(ranges);
        if (!by_way) {
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
    if (!by_way && last - layout->first < 4 * distinct) { /* rows of no line are cheaper than searches */
        layout->rows = last - layout->first + 2;
        layout->numbers = NULL;
        PyMem_Free(lines);
    }
    return 0;
}

/* NO_LINE for a line or way that the code does not have. */
static Row row_of_line(const Watched *watched, int line) {
    if (watched->lines == NULL) {
        Row row = line - watched->first_line + 1;
        return 0 < row && row < watched->rows ? row : NO_LINE;
    }
    Row low = 1, high = watched->rows - 1;
    while (low <= high) {
        Row middle = low + (high - low) / 2;
        int found = watched->lines[middle - 1];
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

/* Whether anything of the code runs when an exception is thrown in at the offset: see _runs_when_thrown_into of the
   callbacks in Python. */
static int is_handled(PyObject *code, PyObject *instructions, long offset) {
    PyObject *table = PyObject_GetAttrString(code, "co_exceptiontable");
    if (table == NULL) {
        return FAILED;
    }
    const unsigned char *opcodes = (unsigned char *)PyBytes_AS_STRING(instructions);
    long handler = opcodes[offset] == RESUME ? offset - 2 : offset;
    long steps = PyBytes_GET_SIZE(instructions); /* handlers may go round in circles, never through more than there are */
    do {
        handler = handler_at(table, handler);
    } while (handler != NO_HANDLER && opcodes[handler] != PUSH_EXC_INFO && opcodes[handler] != CLEANUP_THROW &&
             --steps > 0);
    Py_DECREF(table);
    return handler != NO_HANDLER && steps > 0;
}

/* The line that an entry at the place runs without a LINE event: 0 for none, NOTHING_RUNS, FAILED. See _find_entry_line
   and _find_thrown_line of the callbacks in Python. */
static int find_entry_line(PyObject *code, int place) {
    PyObject *ranges = line_ranges(code);
    PyObject *instructions = PyCode_GetCode((PyCodeObject *)code);
    int line = FAILED;
    if (ranges != NULL && instructions != NULL && place < 0) {
        int handled = is_handled(code, instructions, ~place);
        line = handled < 0 ? FAILED : handled ? line_at(ranges, ~place) : (int)NOTHING_RUNS;
    } else if (ranges != NULL && instructions != NULL) {
        line = line_at(ranges, place);
        const unsigned char *opcodes = (unsigned char *)PyBytes_AS_STRING(instructions);
        int end = (int)PyBytes_GET_SIZE(instructions), body = place + 2;
        /* two bits of RESUME's argument say where it stands; 0: at the start */
        if (place < end && opcodes[place] == RESUME && !(opcodes[place + 1] & 3)) {
            while (body < end && opcodes[body] == CACHE) {
                body += 2;
            }
            line = line_at(ranges, body) == line ? line : 0;
        }
    }
    Py_XDECREF(ranges);
    Py_XDECREF(instructions);
    return line;
}

/* The row of that line. */
static Row find_entry_row(Watched *watched, int place) {
    for (int index = 0; index < watched->entry_count; index++) {
        if (watched->entries[index].place == place) {
            return watched->entries[index].row;
        }
    }
    int line = find_entry_line(watched->code, place);
    if (line == FAILED) {
        return FAILED;
    }
    Entry entry = {place, line == NOTHING_RUNS ? NOTHING_RUNS : row_of_line(watched, line)};
    if (watched->first_entry.place == NO_PLACE) {
        watched->first_entry = entry;
        return entry.row;
    }
    Entry *entries = PyMem_Realloc(watched->entries, (size_t)(watched->entry_count + 1) * sizeof(Entry));
    if (entries == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    watched->entries = entries;
    entries[watched->entry_count++] = entry;
    return entry.row;
}

static inline Row entry_row(Watched *watched, int place) {
    return watched->first_entry.place == place ? watched->first_entry.row : find_entry_row(watched, place);
}

/* --- a recording */

static void mark_release(Mark *mark) {
    PyObject **entered = mark->entered;
    Py_ssize_t count = mark->entered_count;
    mark->entered = NULL;
    mark->entered_count = mark->entered_room = 0;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_DECREF(entered[index]);
    }
    PyMem_Free(entered);
}

static void mark_dealloc(PyObject *mark) {
    mark_release((Mark *)mark);
    PyObject_Free(mark);
}

static PyTypeObject Mark_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_coverage.recording._callbacks.Mark",
    .tp_doc = "A recording in the eyes of Callbacks.",
    .tp_basicsize = sizeof(Mark),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = mark_dealloc,
};

static int note_entered(Mark *mark, PyObject *code) {
    if (mark->entered_count == mark->entered_room) {
        Py_ssize_t room = mark->entered_room ? 2 * mark->entered_room : 64;
        PyObject **entered = PyMem_Realloc(mark->entered, (size_t)room * sizeof(PyObject *));
        if (entered == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        mark->entered = entered;
        mark->entered_room = room;
    }
    mark->entered[mark->entered_count++] = Py_NewRef(code);
    return 0;
}

/* The `mark` of an object that is found in the context for the first time, or that is not ours. */
static PyObject *ask_for_mark(Callbacks *self, PyObject *recording) {
    PyObject *mark = PyObject_GetAttr(recording, str_mark);
    if (mark == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    if (mark != NULL && self->recording_type == NULL && Py_IS_TYPE(mark, &Mark_Type)) {
        /* our recordings keep it in a slot: from now on it is read there */
        PyObject *slot = PyObject_GetAttr((PyObject *)Py_TYPE(recording), str_mark);
        if (slot == NULL) {
            PyErr_Clear();
        } else if (Py_IS_TYPE(slot, &PyMemberDescr_Type) &&
                   ((PyMemberDescrObject *)slot)->d_member->type == Py_T_OBJECT_EX) {
            self->mark_offset = ((PyMemberDescrObject *)slot)->d_member->offset;
            self->recording_type = (PyTypeObject *)Py_NewRef(Py_TYPE(recording));
        }
        Py_XDECREF(slot);
    }
    return mark;
}

/* As find_mark, by whatever Python code it takes. `found` is given away. */
static int ask_for_mark_in(Callbacks *self, PyObject *found, Mark **mark) {
    PyObject *recording = NULL, *asked = NULL;
    if (self->key == NULL) {
        recording = Py_NewRef(found);
    } else if (PyDict_Check(found)) {
        recording = Py_XNewRef(PyDict_GetItemWithError(found, self->key));
    } else if (PySequence_Contains(found, self->key) > 0) {
        recording = PyObject_GetItem(found, self->key);
    }
    if (recording != NULL) {
        asked = ask_for_mark(self, recording);
    }
    Py_XDECREF(recording);
    Py_DECREF(found);
    if (asked == NULL) {
        return PyErr_Occurred() ? -1 : 1;
    }
    if (Py_IS_TYPE(asked, &Mark_Type) && ((Mark *)asked)->owner == self) {
        *mark = (Mark *)asked; /* self->marks holds it */
    }
    Py_DECREF(asked);
    return 1;
}

/* The mark in an object of recording_type. */
static inline Mark *mark_in(const Callbacks *self, PyObject *recording) {
    Mark *own = *(Mark **)((char *)recording + self->mark_offset);
    return own != NULL && Py_IS_TYPE(own, &Mark_Type) && own->owner == self ? own : NULL;
}

/* Have the mapping's next lookup cost nothing. One that can be referenced weakly is none that changes: see
   otel_coverage/recording/current.py. A weak reference comes and goes without running anything. */
static void remember_mapping(Callbacks *self, PyObject *mapping, PyObject *recording) {
    if (!PyType_SUPPORTS_WEAKREFS(Py_TYPE(mapping))) {
        return;
    }
    PyObject *reference = PyWeakref_NewRef(mapping, NULL);
    if (reference == NULL) {
        PyErr_Clear();
        return;
    }
    Py_XSETREF(self->last_mapping, reference);
    self->last_recording = recording;
}

/* As find_mark, where it takes no Python code: else false, and nothing has happened. */
static inline bool find_mark_at_once(Callbacks *self, Mark **mark) {
    *mark = NULL;
    PyObject *found;
    if (PyContextVar_Get(self->variable, Py_None, &found) < 0) {
        PyErr_Clear();
        return false;
    }
    if (found == Py_None) {
        return true; /* which is immortal */
    }
    bool at_once = Py_REFCNT(found) > 1; /* else it would be ours to free */
    PyObject *recording = found;
    if (!at_once) {
    } else if (self->last_mapping != NULL && ((PyWeakReference *)self->last_mapping)->wr_object == found) {
        recording = self->last_recording;
    } else if (self->key != NULL) {
        recording = PyDict_Check(found) ? PyDict_GetItemWithError(found, self->key) : Py_None;
        at_once = recording == NULL ? !PyErr_Occurred() : Py_TYPE(recording) == self->recording_type;
        if (at_once) {
            remember_mapping(self, found, recording);
        }
        PyErr_Clear();
    } else {
        at_once = Py_TYPE(recording) == self->recording_type;
    }
    if (at_once && recording != NULL) {
        *mark = mark_in(self, recording);
    }
    Py_DECREF(found);
    return at_once;
}

/* The active recording that the running code belongs to, or NULL; it stays active until Python code runs again.
   1 where Python code may have run meanwhile, -1 with an exception set. */
static inline int find_mark(Callbacks *self, Mark **mark) {
    if (find_mark_at_once(self, mark)) {
        return 0;
    }
    PyObject *found;
    if (PyContextVar_Get(self->variable, Py_None, &found) < 0) {
        return -1;
    }
    return ask_for_mark_in(self, found, mark);
}

/* --- arming */

static int set_local_events(const Callbacks *self, PyObject *code, PyObject *events) {
    PyObject *arguments[] = {self->tool, code, events};
    PyObject *result = PyObject_Vectorcall(self->set_local_events, arguments, 3, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* The local events to 0 and back, and the dirty mark off. */
static int rearm(const Callbacks *self, Watched *watched) {
    if (set_local_events(self, watched->code, self->no_events) < 0 ||
        set_local_events(self, watched->code, self->events) < 0) {
        return -1;
    }
    watched->dirty = CLEAN;
    return 0;
}

/* Arm all code whose start is switched off, the cheaper way. */
static int arm_all(Callbacks *self) {
    if (self->off_count == 0) {
        return 0;
    }
    uint64_t running = self->started > self->started_before ? self->started : self->started_before;
    if (self->alone || (self->can_restart && (double)self->off_count > (double)running * self->restart_above)) {
        PyObject *result = PyObject_CallNoArgs(self->restart_events);
        if (result != NULL) {
            Py_DECREF(result);
            self->epoch++;
            while (!link_is_alone(&self->off)) {
                mark_armed(self, HOLDER(self->off.next, Watched, off));
            }
            self->started_before = running;
            self->started = 0;
            return 0;
        }
        if (self->alone || !PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        self->can_restart = false;
    }
    while (!link_is_alone(&self->off)) {
        Watched *watched = HOLDER(self->off.next, Watched, off);
        if (rearm(self, watched) < 0) {
            return -1;
        }
        mark_armed(self, watched);
    }
    return 0;
}

static Watched *watched_new(Callbacks *self, PyObject *code) {
    Layout layout = {.first = 1, .numbers = NULL, .rows = 1};
    void *others = NULL;
    if (PyUnstable_Code_GetExtra(code, extra_index, &others) < 0 ||
        (self->by_line && lay_out(code, self->by_way, &layout) < 0)) {
        return NULL;
    }
    Watched *watched = PyMem_Calloc(1, sizeof(Watched) + (size_t)layout.rows * sizeof(Word));
    if (watched == NULL) {
        PyMem_Free(layout.numbers);
        PyErr_NoMemory();
        return NULL;
    }
    link_clear(&watched->all);
    link_clear(&watched->off);
    watched->other = others;
    watched->code = code;
    watched->lines = layout.numbers;
    watched->owner = self;
    watched->first_entry.place = NO_PLACE;
    watched->dirty = CLEAN;
    watched->first_line = layout.first;
    watched->rows = layout.rows;
    watched->words = 1;
    watched->masks = watched->narrow;
    if (set_extra(code, watched) < 0) {
        watched_free(watched);
        return NULL;
    }
    link_append(&self->all, &watched->all);
    return watched;
}

static int is_wanted(Callbacks *self, PyObject *filename) {
    PyObject *known = PyDict_GetItemWithError(self->wanted, filename);
    if (known != NULL || PyErr_Occurred()) {
        return known == NULL ? -1 : known == Py_True;
    }
    PyObject *answer = PyObject_CallOneArg(self->is_wanted, filename);
    int wanted = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    if (wanted >= 0 && PyDict_SetItem(self->wanted, filename, wanted ? Py_True : Py_False) < 0) {
        return -1;
    }
    return wanted;
}

/* See is_interpreted of bytecode.py. */
static int is_interpreted(PyObject *code) {
    PyObject *instructions = PyCode_GetCode((PyCodeObject *)code);
    if (instructions == NULL) {
        return -1;
    }
    int answer = PyBytes_GET_SIZE(instructions) > 0 && PyBytes_AS_STRING(instructions)[0] != CACHE;
    Py_DECREF(instructions);
    return answer;
}

/* Switch the local events of the application's code on: 1; 0 for everybody else's. */
static int discover(Callbacks *self, PyObject *code) {
    int wanted = is_wanted(self, ((PyCodeObject *)code)->co_filename);
    wanted = wanted > 0 ? is_interpreted(code) : wanted;
    if (wanted <= 0) {
        return wanted;
    }
    if (self->disarmed || watched_of(self, code) != NULL) { /* others have run meanwhile */
        return !self->disarmed;
    }
    if (set_local_events(self, code, self->events) < 0) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_SystemError)) {
            PyErr_Clear(); /* code that is not to be instrumented, whoever compiled it */
            return 0;
        }
        return -1;
    }
    return watched_new(self, code) == NULL ? -1 : 1;
}

/* --- what the interpreter calls */

/* Code starts or resumes: 1 to switch the event off, 0 to leave it on. */
static int decide_start(Callbacks *self, PyObject *code, int place) {
    Watched *watched = watched_of(self, code);
    if (watched == NULL) {
        int wanted = discover(self, code);
        if (wanted <= 0) {
            return wanted < 0 ? -1 : 1;
        }
    }
    Mark *mark;
    int asked = find_mark(self, &mark);
    if (asked < 0) {
        return -1;
    }
    /* one step from here on */
    if (watched == NULL || asked) {
        watched = watched_of(self, code);
        if (watched == NULL) {
            return 0; /* disarmed meanwhile */
        }
    }
    Row row = NO_LINE;
    if (self->by_line || place < 0) {
        row = entry_row(watched, place);
        if (row < 0) {
            return row == NOTHING_RUNS ? 0 : -1;
        }
    }
    if (fit(self, watched) < 0) {
        return -1;
    }
    Word *entered = watched->masks, *ran = mask_of(watched, row);
    if (mark != NULL) {
        size_t word = WORD_OF(mark->slot);
        Word bit = BIT_OF(mark->slot);
        if (!(entered[word] & bit)) {
            if ((watched->dirty == self->epoch && rearm(self, watched) < 0) || note_entered(mark, code) < 0) {
                return -1;
            }
            entered[word] |= bit;
        }
        ran[word] |= bit;
    }
    for (size_t word = 0; word < self->words; word++) {
        if (self->active[word] & ~(entered[word] & ran[word])) {
            return 0;
        }
    }
    if (link_is_alone(&watched->off)) {
        link_append(&self->off, &watched->off);
        self->off_count++;
    }
    return 1;
}

/* The interpreter only borrows what is registered with it: an engine that closes in another thread, while a file is
   looked up here, must not free what decides. */
static int start(Callbacks *self, PyObject *code, int place) {
    Py_INCREF(self);
    int decision = decide_start(self, code, place);
    Py_DECREF(self);
    return decision;
}

/* The code and the number that an event comes with. */
static inline int read_event(PyObject *const *arguments, Py_ssize_t count, Py_ssize_t expected, int *number) {
    if (count != expected || !PyCode_Check(arguments[0])) {
        PyErr_Format(PyExc_TypeError, "an event has %zd arguments, of which the first is a code object", expected);
        return -1;
    }
    *number = (int)PyLong_AsLong(arguments[1]);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

/* The answer to most events, in short: the start is none that the recording needs, and it stays on for another that has
   not entered the code. False where there may be more to it. */
static inline bool stays_on(Callbacks *self, PyObject *code, int place) {
    Watched *watched = watched_of(self, code);
    Mark *mark;
    if (watched == NULL || self->words > 1 || watched->words > 1 || !find_mark_at_once(self, &mark)) {
        return false;
    }
    Word entered = watched->masks[0], bit = mark == NULL ? 0 : BIT_OF(mark->slot);
    if (!(self->active[0] & ~entered) || bit & ~entered) {
        return false;
    }
    if (self->by_line) {
        if (watched->first_entry.place != place || watched->first_entry.row < 0) {
            return false;
        }
        watched->masks[watched->first_entry.row] |= bit;
    }
    return true;
}

static PyObject *on_start(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int place;
    if (read_event(arguments, count, 2, &place) < 0) {
        return NULL;
    }
    if (self->disarmed || stays_on(self, arguments[0], place)) {
        Py_RETURN_NONE;
    }
    int decision = start(self, arguments[0], place);
    return decision < 0 ? NULL : Py_NewRef(decision ? disable : Py_None);
}

static PyObject *on_discovery(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 2, &offset) < 0) {
        return NULL;
    }
    self->started++;
    return self->disarmed || start(self, arguments[0], offset) >= 0 ? Py_NewRef(disable) : NULL;
}

static PyObject *on_throw(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 3, &offset) < 0) {
        return NULL;
    }
    /* up to 3.14 it must not answer DISABLE */
    return self->disarmed || start(self, arguments[0], ~offset) >= 0 ? Py_NewRef(Py_None) : NULL;
}

/* A line runs, or a way is taken. */
static inline PyObject *see(Callbacks *self, PyObject *code, int number) {
    Mark *mark;
    if (find_mark(self, &mark) < 0) {
        return NULL;
    }
    /* one step from here on */
    Watched *watched = watched_of(self, code);
    if (watched == NULL || fit(self, watched) < 0) {
        return watched == NULL ? Py_NewRef(Py_None) : NULL;
    }
    Row row = row_of_line(watched, number);
    if (row == NO_LINE) {
        return Py_NewRef(disable); /* line 0, on which a module starts */
    }
    const Word *entered = watched->masks;
    Word *ran = mask_of(watched, row);
    if (mark != NULL) {
        size_t word = WORD_OF(mark->slot);
        ran[word] |= entered[word] & BIT_OF(mark->slot);
    }
    for (size_t word = 0; word < self->words; word++) {
        if (self->active[word] & entered[word] & ~ran[word]) {
            return Py_NewRef(Py_None);
        }
    }
    watched->dirty = self->epoch;
    return Py_NewRef(disable);
}

static PyObject *on_line(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int line;
    return read_event(arguments, count, 2, &line) < 0 ? NULL : see(self, arguments[0], line);
}

static PyObject *on_left(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    return read_event(arguments, count, 3, &offset) < 0 ? NULL : see(self, arguments[0], WAY(offset, LEFT));
}

static PyObject *on_right(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    return read_event(arguments, count, 3, &offset) < 0 ? NULL : see(self, arguments[0], WAY(offset, RIGHT));
}

static PyObject *on_return(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    return read_event(arguments, count, 3, &offset) < 0 ? NULL : see(self, arguments[0], WAY(offset, OUT));
}

/* --- what the engine calls, under its lock */

/* Have room for that many words of active recordings. The code's masks follow when they are next needed. */
static int set_words(Callbacks *self, size_t words) {
    Word *active = PyMem_Calloc(words, sizeof(Word));
    Mark **marks = PyMem_Calloc(words * WORD_BITS, sizeof(Mark *));
    if (active == NULL || marks == NULL) {
        PyMem_Free(active);
        PyMem_Free(marks);
        PyErr_NoMemory();
        return -1;
    }
    size_t kept = words < self->words ? words : self->words;
    if (kept > 0) {
        memcpy(active, self->active, kept * sizeof(Word));
        memcpy(marks, self->marks, kept * WORD_BITS * sizeof(Mark *));
    }
    PyMem_Free(self->active);
    PyMem_Free(self->marks);
    self->active = active;
    self->marks = marks;
    self->words = words;
    return 0;
}

/* A slot that no active recording has. */
static int free_slot(Callbacks *self, size_t *slot) {
    bool busy = false;
    for (size_t word = 0; word < self->words; word++) {
        busy |= self->active[word] != 0;
    }
    if (!busy && self->words > 1 && set_words(self, 1) < 0) { /* the crowd has gone, and so does what it needed */
        return -1;
    }
    size_t slots = self->words * WORD_BITS;
    for (*slot = 0; *slot < slots; ++*slot) {
        if (self->marks[*slot] == NULL) {
            return 0;
        }
    }
    return set_words(self, 2 * self->words);
}

/* The recording is active no more. Taking its bit off the masks of what it entered is the caller's. */
static void retire(Callbacks *self, Mark *mark) {
    self->active[WORD_OF(mark->slot)] &= ~BIT_OF(mark->slot);
    self->marks[mark->slot] = NULL;
    mark->owner = NULL;
    mark_release(mark);
    Py_DECREF(mark);
}

static PyObject *join(Callbacks *self, PyObject *Py_UNUSED(ignored)) {
    size_t slot;
    Mark *mark = free_slot(self, &slot) < 0 ? NULL : PyObject_New(Mark, &Mark_Type);
    if (mark == NULL) {
        return NULL;
    }
    mark->owner = self;
    mark->slot = slot;
    mark->entered = NULL;
    mark->entered_count = mark->entered_room = 0;
    self->marks[slot] = (Mark *)Py_NewRef(mark);
    self->active[WORD_OF(slot)] |= BIT_OF(slot);
    if (arm_all(self) < 0) {
        retire(self, mark);
        Py_CLEAR(mark);
    }
    return (PyObject *)mark;
}

static PyObject *lines_of(const Watched *watched, size_t slot) {
    size_t word = WORD_OF(slot);
    Word bit = BIT_OF(slot);
    Py_ssize_t count = 0;
    for (Row row = 1; row < watched->rows; row++) {
        count += (mask_of(watched, row)[word] & bit) != 0;
    }
    PyObject *lines = PyTuple_New(count);
    Py_ssize_t done = 0;
    for (Row row = 1; done < count && lines != NULL; row++) {
        if (mask_of(watched, row)[word] & bit) {
            int number = watched->lines == NULL ? watched->first_line + (int)row - 1 : watched->lines[row - 1];
            PyObject *line = PyLong_FromLong(number);
            if (line == NULL) {
                Py_CLEAR(lines);
            } else {
                PyTuple_SET_ITEM(lines, done++, line);
            }
        }
    }
    return lines;
}

static Mark *own_mark(Callbacks *self, PyObject *object) {
    return Py_IS_TYPE(object, &Mark_Type) && ((Mark *)object)->owner == self ? (Mark *)object : NULL;
}

static PyObject *read_mark(Callbacks *self, PyObject *object) {
    Mark *mark = own_mark(self, object);
    PyObject *entered = PyList_New(mark == NULL ? 0 : mark->entered_count);
    for (Py_ssize_t index = 0; entered != NULL && index < PyList_GET_SIZE(entered); index++) {
        PyObject *code = mark->entered[index];
        PyObject *lines = lines_of(watched_of(self, code), mark->slot);
        PyObject *pair = lines == NULL ? NULL : PyTuple_Pack(2, code, lines);
        Py_XDECREF(lines);
        if (pair == NULL) {
            Py_CLEAR(entered);
        } else {
            PyList_SET_ITEM(entered, index, pair);
        }
    }
    return entered;
}

static PyObject *leave(Callbacks *self, PyObject *object) {
    PyObject *entered = read_mark(self, object);
    Mark *mark = own_mark(self, object);
    if (entered == NULL || mark == NULL) {
        return entered;
    }
    size_t word = WORD_OF(mark->slot);
    for (Py_ssize_t index = 0; index < mark->entered_count; index++) {
        Watched *watched = watched_of(self, mark->entered[index]);
        for (Row row = 0; row < watched->rows; row++) {
            mask_of(watched, row)[word] &= ~BIT_OF(mark->slot);
        }
    }
    retire(self, mark);
    return entered;
}

/* Every recording ends here and now, unread. */
static void retire_all(Callbacks *self) {
    for (Link *link = self->all.next; link != &self->all; link = link->next) {
        Watched *watched = HOLDER(link, Watched, all);
        memset(watched->masks, 0, (size_t)watched->rows * watched->words * sizeof(Word));
    }
    for (size_t slot = 0; slot < self->words * WORD_BITS; slot++) {
        if (self->marks[slot] != NULL) {
            retire(self, self->marks[slot]);
        }
    }
}

static PyObject *reset(Callbacks *self, PyObject *Py_UNUSED(marks)) {
    retire_all(self);
    Py_RETURN_NONE;
}

static void unwatch_all(Callbacks *self) {
    self->disarmed = true;
    retire_all(self);
    while (!link_is_alone(&self->all)) {
        unwatch(HOLDER(self->all.next, Watched, all));
    }
}

static PyObject *disarm(Callbacks *self, PyObject *Py_UNUSED(ignored)) {
    self->disarmed = true; /* for good: who is amid a discovery watches nothing more */
    for (Link *link = self->all.next; link != &self->all; link = link->next) {
        if (set_local_events(self, HOLDER(link, Watched, all)->code, self->no_events) < 0) {
            return NULL;
        }
    }
    unwatch_all(self);
    Py_RETURN_NONE;
}

/* --- the type */

static int callbacks_traverse(Callbacks *self, visitproc visit, void *arg) {
    Py_VISIT(self->variable);
    Py_VISIT(self->is_wanted);
    Py_VISIT(self->recording_type);
    return 0;
}

static int callbacks_clear(Callbacks *self) {
    self->disarmed = true; /* nobody is asked any more */
    Py_CLEAR(self->is_wanted);
    return 0;
}

static void callbacks_dealloc(Callbacks *self) {
    PyObject_GC_UnTrack(self);
    unwatch_all(self);
    PyMem_Free(self->active);
    PyMem_Free(self->marks);
    Py_XDECREF(self->variable);
    Py_XDECREF(self->key);
    Py_XDECREF(self->is_wanted);
    Py_XDECREF(self->set_local_events);
    Py_XDECREF(self->restart_events);
    Py_XDECREF(self->tool);
    Py_XDECREF(self->events);
    Py_XDECREF(self->no_events);
    Py_XDECREF(self->wanted);
    Py_XDECREF(self->recording_type);
    Py_XDECREF(self->last_mapping);
    Py_TYPE(self)->tp_free(self);
}

/* sys.monitoring.first, or sys.monitoring.first.second */
static PyObject *from_monitoring(const char *first, const char *second) {
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *found = monitoring == NULL ? NULL : PyObject_GetAttrString(monitoring, first);
    if (monitoring == NULL) {
        PyErr_SetString(PyExc_ImportError, "this interpreter has no sys.monitoring");
    }
    if (found != NULL && second != NULL) {
        Py_SETREF(found, PyObject_GetAttrString(found, second));
    }
    return found;
}

static PyObject *callbacks_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    static char *names[] = {"tool", "events", "variable", "key", "is_wanted", "restart_above", "alone", NULL};
    int tool, events, alone = 0;
    double restart_above;
    PyObject *variable, *key, *wanted;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "iiO!OOd|p:Callbacks", names, &tool, &events,
                                     &PyContextVar_Type, &variable, &key, &wanted, &restart_above, &alone)) {
        return NULL;
    }
    Callbacks *self = (Callbacks *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    link_clear(&self->all);
    link_clear(&self->off);
    self->restart_above = restart_above;
    self->alone = alone != 0;
    self->can_restart = true;
    self->epoch = CLEAN + 1;
    self->variable = Py_NewRef(variable);
    self->key = key == Py_None ? NULL : Py_NewRef(key);
    self->is_wanted = Py_NewRef(wanted);
    PyObject *line = from_monitoring("events", "LINE");
    PyObject *way = line == NULL ? NULL : from_monitoring("events", "PY_RETURN");
    self->by_line = line != NULL && (events & PyLong_AsLong(line)) != 0;
    self->by_way = way != NULL && (events & PyLong_AsLong(way)) != 0;
    Py_XDECREF(line);
    Py_XDECREF(way);
    if (way == NULL || set_words(self, 1) < 0 ||
        (self->set_local_events = from_monitoring("set_local_events", NULL)) == NULL ||
        (self->restart_events = from_monitoring("restart_events", NULL)) == NULL ||
        (self->tool = PyLong_FromLong(tool)) == NULL || (self->events = PyLong_FromLong(events)) == NULL ||
        (self->no_events = PyLong_FromLong(0)) == NULL || (self->wanted = PyDict_New()) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef callbacks_methods[] = {
    {"on_start", METHOD(on_start), METH_FASTCALL, "PY_START and PY_RESUME."},
    {"on_line", METHOD(on_line), METH_FASTCALL, "Local LINE."},
    {"on_left", METHOD(on_left), METH_FASTCALL, "Local BRANCH_LEFT."},
    {"on_right", METHOD(on_right), METH_FASTCALL, "Local BRANCH_RIGHT."},
    {"on_return", METHOD(on_return), METH_FASTCALL, "Local PY_RETURN."},
    {"on_discovery", METHOD(on_discovery), METH_FASTCALL, "Global PY_START and PY_RESUME of the discovering tool."},
    {"on_throw", METHOD(on_throw), METH_FASTCALL, "Global PY_THROW."},
    {"join", METHOD(join), METH_NOARGS, "A new active recording."},
    {"read", METHOD(read_mark), METH_O, "The code that an active recording entered, with the lines that it ran."},
    {"leave", METHOD(leave), METH_O, "End a recording: its last read; nothing of it stays here."},
    {"reset", METHOD(reset), METH_O, "Forget every recording, as a forked child has to."},
    {"disarm", METHOD(disarm), METH_NOARGS, "Take every local event off."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Callbacks_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_coverage.recording._callbacks.Callbacks",
    .tp_doc = "Which recording runs what, and which events are still needed to know it.",
    .tp_basicsize = sizeof(Callbacks),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = callbacks_new,
    .tp_dealloc = (destructor)callbacks_dealloc,
    .tp_traverse = (traverseproc)callbacks_traverse,
    .tp_clear = (inquiry)callbacks_clear,
    .tp_methods = callbacks_methods,
};

static int module_exec(PyObject *module) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the callbacks in C serve the main interpreter alone");
        return -1;
    }
    if (extra_index < 0) { /* a process has 255 of them, and gets none back */
        extra_index = PyUnstable_Eval_RequestCodeExtraIndex(forget);
    }
    if (extra_index < 0) {
        PyErr_SetString(PyExc_ImportError, "the interpreter has no room left for what is known of code objects");
        return -1;
    }
    if (disable == NULL && ((disable = from_monitoring("DISABLE", NULL)) == NULL ||
                            (str_mark = PyUnicode_InternFromString("mark")) == NULL ||
                            (str_co_lines = PyUnicode_InternFromString("co_lines")) == NULL ||
                            (str_co_branches = PyUnicode_InternFromString("co_branches")) == NULL)) {
        return -1;
    }
    return PyType_Ready(&Mark_Type) < 0 || PyModule_AddType(module, &Callbacks_Type) < 0 ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "otel_coverage.recording._callbacks",
    .m_doc = "The callbacks of engine monitoring, in C; see otel_coverage.recording.callbacks.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__callbacks(void) {
    return PyModuleDef_Init(&module_definition);
}
