/* What the files of the callbacks in C share: code states, recording slots, and the functions that every event runs.

   code_state.c    what is known of each code object: its lines, and who ran them
   branch_edges.c  the edges of branches, which are recorded like lines
   decisions.c     what each event records, and whether it stays enabled
   reading.c       what a recording has executed
   module.c        the type and the module

   The rules, the interface and the answers are those of otel_coverage/recording/callbacks.py, which explains them; the
   tests feed both the same events. What differs is how a decision and the DISABLE that follows from it are one step:

   - The GIL is held from the last check to the return, since nothing in between can run Python code: no call of a
     Python function, no release of an object that could be the last one. What can run Python code (calling
     should_trace, reading a mapping that is no dict) comes first, and what was looked up before it is looked up again.
     set_local_events() and restart_events() are C functions that keep the GIL.
   - The interpreter checks for signals and collects garbage in Python code alone, so neither runs in here unrecorded.
     In should_trace they do run, so events are enabled while it is called.

   That reasoning needs the GIL, and one interpreter: free-threaded builds and sub-interpreters are refused.

   The state of a code object is attached to the code object itself (PyUnstable_Code_SetExtra), and is freed with it.

   Lines marked with "rule:" are changed by tests/recording/mutations.py, to prove that the tests notice. A marker on a
   line of its own stands for the next line. */

#ifndef OTEL_COVERAGE_CALLBACKS_H
#define OTEL_COVERAGE_CALLBACKS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef Py_GIL_DISABLED
#error "without the GIL a decision and the DISABLE that follows from it are two steps: use the callbacks in Python"
#endif

#ifdef __GNUC__
#pragma GCC visibility push(hidden)
#endif

/* --- masks: a bit for each active recording, in as many words as there are recordings open at once */

typedef uint64_t Word;

#define WORD_BITS 64
#define WORD_OF(index) ((index) / WORD_BITS)
#define BIT_OF(index) ((Word)1 << ((index) % WORD_BITS))

/* --- intrusive doubly linked lists; a node that is in no list is an empty list */

typedef struct ListNode {
    struct ListNode *previous, *next;
} ListNode;

#define CONTAINER_OF(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

static inline void list_clear(ListNode *list) {
    list->previous = list->next = list;
}

static inline bool list_is_empty(const ListNode *list) {
    return list->next == list;
}

static inline void list_append(ListNode *list, ListNode *node) {
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

static inline void list_remove(ListNode *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_clear(node);
}

/* --- what is known of code objects and recordings */

typedef struct Callbacks Callbacks;

/* A code object has a row of masks: mask 0 says who entered the code, mask n who ran its n-th line or branch edge. */
typedef int Row;

#define NO_LINE 0 /* in an entry: it stands for no line */
#define NOTHING_RUNS (-1)
#define FAILED (-2) /* with an exception set */

typedef struct {
    int offset; /* at which the code starts or resumes; its complement: at which an exception is thrown in */
    Row row;    /* of the line that the entry stands for, NO_LINE or NOTHING_RUNS */
} Entry;

#define NO_OFFSET INT_MIN

/* The code objects of one file name. */
typedef struct FileState {
    struct FileState *next;     /* in the owner's list */
    struct CodeState **entered; /* while a recording is read: its code objects of this file */
    Py_ssize_t entered_count;
    struct FileState *next_entered;
} FileState;

/* What every event reads is at the end, side by side: the processor fetches memory in lines of 64 bytes. */
typedef struct CodeState {
    ListNode all;                 /* in the owner's list */
    ListNode disabled;            /* in the owner's list while a start event is disabled */
    struct CodeState *next_owner; /* the state of the same code object for another owner */
    PyObject *code;               /* not owned: freeing it frees this */
    FileState *file;
    uint64_t number; /* which no other code object has had, or will have, in this process */
    Entry *entries;               /* those after the first */
    int entry_count;
    int *lines; /* the numbers of lines and edges, ascending; NULL for lines that go up by one from the first */
    Callbacks *owner;
    Entry first_entry;
    uint64_t dirty; /* the epoch in which a line was disabled; the code is dirty while that epoch lasts */
    int first_line;
    Row rows;
    size_t words; /* of each mask */
    Word *masks;  /* inline_masks, or wider ones elsewhere */
    Word inline_masks[];
} CodeState;

#define CLEAN 0 /* no epoch */

/* An active recording; opaque to Python. */
typedef struct {
    PyObject_HEAD
    Callbacks *owner;   /* not owned: it owns this while the recording is active; NULL from then on */
    size_t index;       /* of the recording's bit in all masks */
    PyObject **entered; /* the code objects, kept alive */
    Py_ssize_t entered_count, entered_room;
} RecordingSlot;

struct Callbacks {
    PyObject_HEAD
    PyObject *variable, *key, *should_trace;
    PyObject *set_local_events, *restart_events, *tool, *events, *no_events;
    PyObject *traced_files;       /* by file name the address of its state; False where it should not be traced */
    FileState *files;
    ListNode questions;           /* what should_trace is being asked */
    PyTypeObject *recording_type; /* objects of this type have their slot at `slot_offset` */
    Py_ssize_t slot_offset;
    PyObject *last_mapping;   /* a weak reference to the mapping in the variable that was last looked into */
    PyObject *last_recording; /* what it holds, not owned: it lives as long as the mapping */
    bool has_lines, has_edges, single_tool, disarmed;
    size_t words; /* of each mask */
    Word *active;
    RecordingSlot **slots; /* those of the active recordings, by index */
    ListNode all, disabled;
    uint64_t epoch; /* goes up with each restart */
};

extern PyTypeObject RecordingSlot_Type;
extern PyObject *disable; /* sys.monitoring.DISABLE */

/* --- code_state.c */

extern Py_ssize_t extra_index;

/* For PyUnstable_Eval_RequestCodeExtraIndex: the interpreter frees a code object, and with it all its states. */
void free_code_states(void *extra);

/* The state of a code object that has none with this owner; NULL with an exception set. */
CodeState *code_state_new(Callbacks *self, PyObject *code, FileState *file);

/* Detach the state from a code object that lives on, and free it. */
void code_state_drop(CodeState *state);

int widen(const Callbacks *self, CodeState *state);
Row search_line(const CodeState *state, int line);
Row find_entry_row(CodeState *state, int offset);

/* See is_interpreted of bytecode.py; -1 with an exception set. */
int is_interpreted(PyObject *code);

/* What a method of a code object yields, as a list; NULL with an exception set. Runs no Python code. */
PyObject *list_from_method(PyObject *code, const char *method);

static inline CodeState *code_state_of(const Callbacks *self, PyObject *code) {
    void *extra = NULL;
    (void)PyUnstable_Code_GetExtra(code, extra_index, &extra);
    CodeState *state = extra;
    while (state != NULL && state->owner != self) {
        state = state->next_owner;
    }
    return state;
}

static inline Word *mask_of(const CodeState *state, Row row) {
    return state->masks + (size_t)row * state->words;
}

/* Make the state's masks as wide as all are now. */
static inline int match_width(const Callbacks *self, CodeState *state) {
    return state->words == self->words ? 0 : widen(self, state);
}

/* NO_LINE for a line or edge that the code does not have. */
static inline Row row_of_line(const CodeState *state, int line) {
    if (state->lines != NULL) {
        return search_line(state, line);
    }
    Row row = line - state->first_line + 1;
    return 0 < row && row < state->rows ? row : NO_LINE;
}

/* The row of the line that an entry at the offset stands for: NO_LINE for none, NOTHING_RUNS, FAILED. */
static inline Row entry_row(CodeState *state, int offset) {
    return state->first_entry.offset == offset ? state->first_entry.row : find_entry_row(state, offset);
}

/* The start event of the code is enabled again. */
static inline void note_rearmed(CodeState *state) {
    if (!list_is_empty(&state->disabled)) {
        list_remove(&state->disabled);
    }
}

/* --- branch_edges.c */

/* The numbers of all edges of the code, with room for more; NULL with an exception set. */
int *new_edges(PyObject *code, Py_ssize_t more, int *count);

PyObject *on_left(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *on_right(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *on_return(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);

/* --- reading.c: the methods of Callbacks that say what a recording has executed */

PyObject *read_slot(Callbacks *self, PyObject *slot);
PyObject *end_slot(Callbacks *self, PyObject *slot);
PyObject *read_slot_by_file(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *end_slot_by_file(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);

/* --- decisions.c: the other methods of Callbacks */

PyObject *on_start(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *on_discovery(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *on_throw(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *on_line(Callbacks *self, PyObject *const *arguments, Py_ssize_t count);
PyObject *begin_slot(Callbacks *self, PyObject *ignored);
PyObject *reset(Callbacks *self, PyObject *slots);
PyObject *disarm(Callbacks *self, PyObject *ignored);

/* A line or edge runs: the answer to its event, DISABLE or None; NULL with an exception set. */
PyObject *decide_line(Callbacks *self, PyObject *code, int number);

/* Have room for that many words of active recordings. The masks of code follow when they are next needed. */
int set_words(Callbacks *self, size_t words);

/* The recording is no longer active. The caller clears its bit in the masks of what it entered. */
void retire(Callbacks *self, RecordingSlot *slot);

/* Close all slots and drop all states. */
void drop_all_states(Callbacks *self);

/* The code object and the number that an event comes with; -1 with an exception set. */
static inline int read_event(PyObject *const *arguments, Py_ssize_t count, Py_ssize_t expected, int *number) {
    if (count != expected || !PyCode_Check(arguments[0])) {
        PyErr_Format(PyExc_TypeError, "an event has %zd arguments, of which the first is a code object", expected);
        return -1;
    }
    if (PyLong_CheckExact(arguments[1]) && PyUnstable_Long_IsCompact((PyLongObject *)arguments[1])) {
        *number = (int)PyUnstable_Long_CompactValue((PyLongObject *)arguments[1]); /* without a call */
        return 0;
    }
    *number = (int)PyLong_AsLong(arguments[1]);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#endif
