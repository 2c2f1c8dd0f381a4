/* What each event records, and whether it stays enabled; which recordings are active. */

#include "callbacks.h"

/* --- the slots of recordings */

static void slot_release(RecordingSlot *slot) {
    PyObject **entered = slot->entered;
    Py_ssize_t count = slot->entered_count;
    slot->entered = NULL;
    slot->entered_count = slot->entered_room = 0;
    for (Py_ssize_t index = 0; index < count; index++) {
        Py_DECREF(entered[index]); /* rule: ended-slot-releases-code */
    }
    PyMem_Free(entered);
}

static void slot_dealloc(PyObject *slot) {
    slot_release((RecordingSlot *)slot);
    PyObject_Free(slot);
}

PyTypeObject RecordingSlot_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_coverage.recording._callbacks.RecordingSlot",
    .tp_doc = "What Callbacks keep for one recording.",
    .tp_basicsize = sizeof(RecordingSlot),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = slot_dealloc,
};

static int note_entered(RecordingSlot *slot, PyObject *code) {
    if (slot->entered_count == slot->entered_room) {
        Py_ssize_t room = slot->entered_room ? 2 * slot->entered_room : 64;
        PyObject **entered = PyMem_Realloc(slot->entered, (size_t)room * sizeof(PyObject *));
        if (entered == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        slot->entered = entered;
        slot->entered_room = room;
    }
    slot->entered[slot->entered_count++] = Py_NewRef(code);
    return 0;
}

/* The attribute `slot` of an object from the context whose type is not recording_type; NULL if it has none, or with an
   exception set. */
static PyObject *slot_attribute(Callbacks *self, PyObject *recording) {
    PyObject *slot = PyObject_GetAttrString(recording, "slot");
    if (slot == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    if (slot != NULL && self->recording_type == NULL && Py_IS_TYPE(slot, &RecordingSlot_Type)) {
        /* a type with it in __slots__: from now on it is read at its offset */
        PyObject *descriptor = PyObject_GetAttrString((PyObject *)Py_TYPE(recording), "slot");
        if (descriptor == NULL) {
            PyErr_Clear();
        } else if (Py_IS_TYPE(descriptor, &PyMemberDescr_Type) &&
                   ((PyMemberDescrObject *)descriptor)->d_member->type == Py_T_OBJECT_EX) {
            self->slot_offset = ((PyMemberDescrObject *)descriptor)->d_member->offset;
            self->recording_type = (PyTypeObject *)Py_NewRef(Py_TYPE(recording));
        }
        Py_XDECREF(descriptor);
    }
    return slot;
}

/* As find_slot, where that may run Python code. Takes over the reference `found`. */
static int find_slot_slowly(Callbacks *self, PyObject *found, RecordingSlot **slot) {
    PyObject *recording = NULL, *attribute = NULL;
    if (self->key == NULL) {
        recording = Py_NewRef(found);
    } else if (PyDict_Check(found)) {
        recording = Py_XNewRef(PyDict_GetItemWithError(found, self->key));
    } else if (PySequence_Contains(found, self->key) > 0) {
        recording = PyObject_GetItem(found, self->key);
    }
    if (recording != NULL) {
        attribute = slot_attribute(self, recording);
    }
    Py_XDECREF(recording);
    Py_DECREF(found);
    if (attribute == NULL) {
        return PyErr_Occurred() ? -1 : 1;
    }
    if (Py_IS_TYPE(attribute, &RecordingSlot_Type) && ((RecordingSlot *)attribute)->owner == self) {
        *slot = (RecordingSlot *)attribute; /* self->slots holds it */
    }
    Py_DECREF(attribute);
    return 1;
}

/* The slot of an object of recording_type; NULL where the recording ended, or belongs to another owner. */
static inline RecordingSlot *slot_in(const Callbacks *self, PyObject *recording) {
    RecordingSlot *own = *(RecordingSlot **)((char *)recording + self->slot_offset);
    /* rule: ended-slot-records-nothing */
    return own != NULL && Py_IS_TYPE(own, &RecordingSlot_Type) && own->owner == self ? own : NULL;
}

/* Keep the answer for the next lookup in the same mapping. A mapping whose type supports weak references is immutable:
   see CurrentRecording. Making and freeing a weak reference runs no Python code. */
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

#if PY_VERSION_HEX < 0x030E0000 && SIZEOF_VOID_P > 4
/* Up to 3.13 a reference is taken by a store of four bytes, and given back after a load of eight: so close together the
   load waits for the store to leave the processor, for longer than all else here takes. */
static inline uint32_t *references(PyObject *object) {
    return &object->ob_refcnt_split[PY_BIG_ENDIAN];
}

static inline bool is_shared(PyObject *object) {
    return *references(object) > 1;
}

/* Py_DECREF of an object that others refer to. */
static inline void release_shared(PyObject *object) {
    if ((int32_t)*references(object) >= 0) { /* else it is immortal */
        --*references(object);
    }
}
#else
static inline bool is_shared(PyObject *object) {
    return Py_REFCNT(object) > 1;
}

static inline void release_shared(PyObject *object) {
    Py_DECREF(object);
}
#endif

/* As find_slot, where that runs no Python code: else false, and nothing was changed. */
static inline bool find_slot_quickly(Callbacks *self, RecordingSlot **slot) {
    *slot = NULL;
    PyObject *found;
    if (PyContextVar_Get(self->variable, Py_None, &found) < 0) {
        PyErr_Clear();
        return false;
    }
    if (found == Py_None) {
        return true; /* which is immortal */
    }
    bool shared = is_shared(found), at_once = shared; /* else releasing it would free it */
    PyObject *recording = found;
    if (!at_once) {
        /* rule: other-mapping-is-read */
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
        *slot = slot_in(self, recording);
    }
    if (shared) {
        release_shared(found);
    } else {
        Py_DECREF(found);
    }
    return at_once;
}

/* The active recording that the running code belongs to, or NULL; it stays active until Python code runs again.
   1 where Python code may have run meanwhile, -1 with an exception set. */
static inline int find_slot(Callbacks *self, RecordingSlot **slot) {
    if (find_slot_quickly(self, slot)) {
        return 0;
    }
    PyObject *found;
    if (PyContextVar_Get(self->variable, Py_None, &found) < 0) {
        return -1;
    }
    return find_slot_slowly(self, found, slot);
}

/* --- discovery and rearming */

static int set_local_events(const Callbacks *self, PyObject *code, PyObject *events) {
    PyObject *arguments[] = {self->tool, code, events};
    PyObject *result = PyObject_Vectorcall(self->set_local_events, arguments, 3, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Set the local events to 0 and back, which enables those that were disabled; the code is then not dirty. */
static int rearm(const Callbacks *self, CodeState *state) {
    if (set_local_events(self, state->code, self->no_events) < 0 ||
        set_local_events(self, state->code, self->events) < 0) {
        return -1;
    }
    state->dirty = CLEAN;
    return 0;
}

/* Rearm all code whose start event is disabled: one by one, which is always cheaper than a restart in C. A single tool
   has global start events, which only a restart enables again. */
static int rearm_all(Callbacks *self) {
    if (list_is_empty(&self->disabled)) {
        return 0;
    }
    if (self->single_tool) {
        PyObject *result = PyObject_CallNoArgs(self->restart_events);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
        self->epoch++;
    }
    while (!list_is_empty(&self->disabled)) {
        CodeState *state = CONTAINER_OF(self->disabled.next, CodeState, disabled);
        if (!self->single_tool && rearm(self, state) < 0) {
            return -1;
        }
        note_rearmed(state);
    }
    return 0;
}

#define UNDECIDED 2 /* should_trace, which is being asked about the file, runs the code itself */

typedef struct {
    ListNode all; /* in the owner's list */
    PyThreadState *thread;
    PyObject *filename; /* not owned: who asks has it */
} Question;

static bool is_being_asked(const Callbacks *self, PyObject *filename) {
    for (ListNode *node = self->questions.next; node != &self->questions; node = node->next) {
        const Question *question = CONTAINER_OF(node, Question, all);
        if (question->thread == PyThreadState_Get() && PyUnicode_Compare(question->filename, filename) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a debugger or profiler would step through, or count, what is called. Runs no Python code. */
static bool is_observed(const PyThreadState *thread) {
    if (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL) {
        return true;
    }
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *debugger = monitoring == NULL ? NULL : PyObject_CallMethod(monitoring, "get_tool", "i", 0);
    const char *name = debugger == NULL || !PyUnicode_Check(debugger) ? NULL : PyUnicode_AsUTF8(debugger);
    bool observed = name != NULL && strncmp(name, "otel-coverage", strlen("otel-coverage")) != 0;
    Py_XDECREF(debugger);
    PyErr_Clear();
    return observed;
}

/* Call should_trace. The interpreter has disabled events, and handlers of signals and finalizers may run in there: they
   are enabled meanwhile, unless somebody else observes the thread. -1 with an exception set. */
static int ask(Callbacks *self, PyObject *filename) {
    PyThreadState *thread = PyThreadState_Get();
    Question *question = PyMem_Malloc(sizeof(Question)); /* not on the stack, which greenlets move */
    if (question == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *question = (Question){.thread = thread, .filename = filename};
    list_append(&self->questions, &question->all);
    bool enable = thread->tracing > 0 && !is_observed(thread);
    if (enable) {
        PyThreadState_LeaveTracing(thread);
    }
    PyObject *answer = PyObject_CallOneArg(self->should_trace, filename);
    int traced = answer == NULL ? -1 : PyObject_IsTrue(answer);
    if (enable) {
        PyThreadState_EnterTracing(thread);
    }
    Py_XDECREF(answer);
    list_remove(&question->all);
    PyMem_Free(question);
    return traced;
}

/* The state of a file of the application: 1; 0 for all others; UNDECIDED; -1 with an exception set. */
static int traced_file(Callbacks *self, PyObject *filename, FileState **file) {
    PyObject *known = PyDict_GetItemWithError(self->traced_files, filename);
    if (known == NULL && !PyErr_Occurred()) {
        if (is_being_asked(self, filename)) {
            return UNDECIDED;
        }
        int traced = ask(self, filename);
        /* others may have asked meanwhile */
        known = traced < 0 ? NULL : PyDict_GetItemWithError(self->traced_files, filename);
        if (known == NULL && traced >= 0 && !PyErr_Occurred()) {
            *file = traced ? PyMem_Calloc(1, sizeof(FileState)) : NULL;
            if (traced && *file == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            PyObject *value = traced ? PyLong_FromVoidPtr(*file) : Py_NewRef(Py_False);
            if (value == NULL || PyDict_SetItem(self->traced_files, filename, value) < 0) {
                Py_XDECREF(value);
                PyMem_Free(*file);
                return -1;
            }
            Py_DECREF(value); /* the dict holds it */
            if (traced) {
                (*file)->next = self->files;
                self->files = *file;
            }
            return traced;
        }
    }
    if (known == NULL) {
        return -1;
    }
    *file = known == Py_False ? NULL : PyLong_AsVoidPtr(known);
    return *file != NULL;
}

/* Set the local events of the application's code: 1; 0 for all other code; UNDECIDED; -1 with an exception set. */
static int discover(Callbacks *self, PyObject *code) {
    FileState *file;
    int traced = traced_file(self, ((PyCodeObject *)code)->co_filename, &file);
    if (traced != 1) {
        return traced;
    }
    int interpreted = is_interpreted(code);
    if (interpreted <= 0) {
        return interpreted;
    }
    if (self->disarmed || code_state_of(self, code) != NULL) { /* other threads may have run */
        return !self->disarmed;
    }
    if (set_local_events(self, code, self->events) < 0) {
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_SystemError)) {
            PyErr_Clear(); /* the interpreter refuses to instrument it, whoever compiled it */
            return 0;
        }
        return -1;
    }
    return code_state_new(self, code, file) == NULL ? -1 : 1;
}

/* --- events */

/* Code starts or resumes: 1 to disable the event, 0 to leave it enabled, UNDECIDED to leave it enabled wherever it is;
   -1 with an exception set. */
static int decide_start(Callbacks *self, PyObject *code, int offset) {
    CodeState *state = code_state_of(self, code);
    if (state == NULL) {
        int traced = discover(self, code);
        if (traced != 1) {
            return traced == 0 ? 1 : traced;
        }
    }
    RecordingSlot *slot;
    int unlocked = find_slot(self, &slot);
    if (unlocked < 0) {
        return -1;
    }
    /* one step from here on */
    if (state == NULL || unlocked) {
        state = code_state_of(self, code);
        if (state == NULL) {
            return 0; /* disarmed by another thread */
        }
    }
    Row row = NO_LINE;
    if (self->has_lines || offset < 0) {
        row = entry_row(state, offset);
        if (row < 0) {
            return row == NOTHING_RUNS ? 0 : -1;
        }
    }
    if (match_width(self, state) < 0) {
        return -1;
    }
    Word *entered = state->masks, *ran = mask_of(state, row);
    if (slot != NULL) {
        size_t word = WORD_OF(slot->index);
        Word bit = BIT_OF(slot->index);
        if (!(entered[word] & bit)) {
            if (state->dirty == self->epoch && rearm(self, state) < 0) { /* rule: rearm-on-entry */
                return -1;
            }
            if (note_entered(slot, code) < 0) {
                return -1;
            }
            entered[word] |= bit;
        }
        ran[word] |= bit;
    }
    for (size_t word = 0; word < self->words; word++) {
        Word seen = entered[word] & ran[word]; /* rule: start-needs-its-line */
        if (self->active[word] & ~seen) {      /* rule: start-needs-all-active */
            return 0;
        }
    }
    if (list_is_empty(&state->disabled)) { /* rule: begin-rearms */
        list_append(&self->disabled, &state->disabled);
    }
    return 1;
}

/* The interpreter only borrows what is registered with it: an engine that closes in another thread, while should_trace
   runs here, must not free the callbacks. */
static int decide_start_safely(Callbacks *self, PyObject *code, int offset) {
    Py_INCREF(self);
    int decision = decide_start(self, code, offset);
    Py_DECREF(self);
    return decision;
}

/* The common case, quickly: the recording has entered the code already, and the event stays enabled for another that
   has not. False where it may be any other case. */
static inline bool start_stays_enabled(Callbacks *self, PyObject *code, int offset) {
    CodeState *state = code_state_of(self, code);
    RecordingSlot *slot;
    if (state == NULL || self->words > 1 || state->words > 1 || !find_slot_quickly(self, &slot)) {
        return false;
    }
    Word entered = state->masks[0], bit = slot == NULL ? 0 : BIT_OF(slot->index);
    if (!(self->active[0] & ~entered) || bit & ~entered) {
        return false;
    }
    if (self->has_lines) {
        if (state->first_entry.offset != offset || state->first_entry.row < 0) {
            return false;
        }
        state->masks[state->first_entry.row] |= bit; /* rule: enabled-start-runs-its-line */
    }
    return true;
}

PyObject *on_start(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 2, &offset) < 0) {
        return NULL;
    }
    if (self->disarmed || start_stays_enabled(self, arguments[0], offset)) {
        Py_RETURN_NONE;
    }
    int decision = decide_start_safely(self, arguments[0], offset);
    return decision < 0 ? NULL : Py_NewRef(decision == 1 ? disable : Py_None);
}

PyObject *on_discovery(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 2, &offset) < 0) {
        return NULL;
    }
    int decision = self->disarmed ? 1 : decide_start_safely(self, arguments[0], offset);
    return decision < 0 ? NULL : Py_NewRef(decision == UNDECIDED ? Py_None : disable);
}

PyObject *on_throw(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 3, &offset) < 0) {
        return NULL;
    }
    /* up to 3.14 it must not answer DISABLE */
    return self->disarmed || decide_start_safely(self, arguments[0], ~offset) >= 0 ? Py_NewRef(Py_None) : NULL;
}

PyObject *decide_line(Callbacks *self, PyObject *code, int number) {
    RecordingSlot *slot;
    if (find_slot(self, &slot) < 0) {
        return NULL;
    }
    /* one step from here on */
    CodeState *state = code_state_of(self, code);
    if (state == NULL || match_width(self, state) < 0) {
        return state == NULL ? Py_NewRef(Py_None) : NULL;
    }
    Row row = row_of_line(state, number);
    if (row == NO_LINE) {
        return Py_NewRef(disable); /* line 0, on which a module starts */
    }
    const Word *entered = state->masks;
    Word *ran = mask_of(state, row);
    if (slot != NULL) {
        size_t word = WORD_OF(slot->index);
        ran[word] |= BIT_OF(slot->index) & entered[word]; /* rule: lines-need-entry */
    }
    for (size_t word = 0; word < self->words; word++) {
        if (self->active[word] & entered[word] & ~ran[word]) { /* rule: line-needs-all-active */
            return Py_NewRef(Py_None);
        }
    }
    state->dirty = self->epoch; /* rule: disabled-line-is-dirty, disabled-edge-is-dirty */
    return Py_NewRef(disable);
}

PyObject *on_line(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int line;
    return read_event(arguments, count, 2, &line) < 0 ? NULL : decide_line(self, arguments[0], line);
}

/* --- what the engine calls, under its lock */

int set_words(Callbacks *self, size_t words) {
    Word *active = PyMem_Calloc(words, sizeof(Word));
    RecordingSlot **slots = PyMem_Calloc(words * WORD_BITS, sizeof(RecordingSlot *));
    if (active == NULL || slots == NULL) {
        PyMem_Free(active);
        PyMem_Free(slots);
        PyErr_NoMemory();
        return -1;
    }
    size_t kept = words < self->words ? words : self->words;
    if (kept > 0) {
        memcpy(active, self->active, kept * sizeof(Word));
        memcpy(slots, self->slots, kept * WORD_BITS * sizeof(RecordingSlot *));
    }
    PyMem_Free(self->active);
    PyMem_Free(self->slots);
    self->active = active;
    self->slots = slots;
    self->words = words;
    return 0;
}

/* An index that no active recording has; -1 with an exception set. */
static int free_index(Callbacks *self, size_t *index) {
    bool busy = false;
    for (size_t word = 0; word < self->words; word++) {
        busy |= self->active[word] != 0;
    }
    if (!busy && self->words > 1 && set_words(self, 1) < 0) { /* many were open at once, none is now */
        return -1;
    }
    size_t count = self->words * WORD_BITS;
    for (*index = 0; *index < count; ++*index) {
        if (self->slots[*index] == NULL) {
            return 0;
        }
    }
    return set_words(self, 2 * self->words); /* rule: masks-widen */
}

void retire(Callbacks *self, RecordingSlot *slot) {
    self->active[WORD_OF(slot->index)] &= ~BIT_OF(slot->index);
    self->slots[slot->index] = NULL;
    slot->owner = NULL;
    slot_release(slot);
    Py_DECREF(slot);
}

PyObject *begin_slot(Callbacks *self, PyObject *Py_UNUSED(ignored)) {
    size_t index;
    RecordingSlot *slot = free_index(self, &index) < 0 ? NULL : PyObject_New(RecordingSlot, &RecordingSlot_Type);
    if (slot == NULL) {
        return NULL;
    }
    slot->owner = self;
    slot->index = index;
    slot->entered = NULL;
    slot->entered_count = slot->entered_room = 0;
    self->slots[index] = (RecordingSlot *)Py_NewRef(slot);
    self->active[WORD_OF(index)] |= BIT_OF(index);
    if (rearm_all(self) < 0) {
        retire(self, slot);
        Py_CLEAR(slot);
    }
    return (PyObject *)slot;
}

/* Close all slots; what they recorded is dropped. Where none is open, no mask has a bit, and nothing is written to: a
   forked child would copy the pages of all states. */
static void retire_all(Callbacks *self) {
    bool busy = false;
    for (size_t index = 0; index < self->words * WORD_BITS; index++) {
        busy |= self->slots[index] != NULL;
    }
    if (!busy) {
        return;
    }
    for (ListNode *node = self->all.next; node != &self->all; node = node->next) {
        CodeState *state = CONTAINER_OF(node, CodeState, all);
        memset(state->masks, 0, (size_t)state->rows * state->words * sizeof(Word));
    }
    for (size_t index = 0; index < self->words * WORD_BITS; index++) {
        if (self->slots[index] != NULL) {
            retire(self, self->slots[index]);
        }
    }
}

PyObject *reset(Callbacks *self, PyObject *Py_UNUSED(slots)) {
    retire_all(self);
    Py_RETURN_NONE;
}

void drop_all_states(Callbacks *self) {
    self->disarmed = true;
    retire_all(self);
    while (!list_is_empty(&self->all)) {
        code_state_drop(CONTAINER_OF(self->all.next, CodeState, all));
    }
}

PyObject *disarm(Callbacks *self, PyObject *Py_UNUSED(ignored)) {
    self->disarmed = true; /* threads inside discover() add no states from now on */
    for (ListNode *node = self->all.next; node != &self->all; node = node->next) {
        if (set_local_events(self, CONTAINER_OF(node, CodeState, all)->code, self->no_events) < 0) {
            return NULL;
        }
    }
    drop_all_states(self);
    Py_RETURN_NONE;
}

