/* The type Callbacks and the module that holds it. */

#include "callbacks.h"

PyObject *disable;

static int callbacks_traverse(Callbacks *self, visitproc visit, void *arg) {
    Py_VISIT(self->variable);
    Py_VISIT(self->should_trace);
    Py_VISIT(self->recording_type);
    return 0;
}

static int callbacks_clear(Callbacks *self) {
    self->disarmed = true; /* should_trace is not called any more */
    Py_CLEAR(self->should_trace);
    return 0;
}

static void callbacks_dealloc(Callbacks *self) {
    PyObject_GC_UnTrack(self);
    drop_all_states(self);
    while (self->files != NULL) {
        FileState *next = self->files->next;
        PyMem_Free(self->files);
        self->files = next;
    }
    PyMem_Free(self->active);
    PyMem_Free(self->slots);
    Py_XDECREF(self->variable);
    Py_XDECREF(self->key);
    Py_XDECREF(self->should_trace);
    Py_XDECREF(self->set_local_events);
    Py_XDECREF(self->restart_events);
    Py_XDECREF(self->tool);
    Py_XDECREF(self->events);
    Py_XDECREF(self->no_events);
    Py_XDECREF(self->traced_files);
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
    static char *names[] = {"tool", "events", "variable", "key", "should_trace", "single_tool", NULL};
    int tool, events, single_tool = 0;
    PyObject *variable, *key, *should_trace;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "iiO!OO|p:Callbacks", names, &tool, &events,
                                     &PyContextVar_Type, &variable, &key, &should_trace, &single_tool)) {
        return NULL;
    }
    Callbacks *self = (Callbacks *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    list_clear(&self->all);
    list_clear(&self->disabled);
    list_clear(&self->questions);
    self->single_tool = single_tool != 0;
    self->epoch = CLEAN + 1;
    self->variable = Py_NewRef(variable);
    self->key = key == Py_None ? NULL : Py_NewRef(key);
    self->should_trace = Py_NewRef(should_trace);
    PyObject *line = from_monitoring("events", "LINE");
    PyObject *py_return = line == NULL ? NULL : from_monitoring("events", "PY_RETURN");
    self->has_lines = line != NULL && (events & PyLong_AsLong(line)) != 0;
    self->has_edges = py_return != NULL && (events & PyLong_AsLong(py_return)) != 0;
    Py_XDECREF(line);
    Py_XDECREF(py_return);
    if (py_return == NULL || set_words(self, 1) < 0 ||
        (self->set_local_events = from_monitoring("set_local_events", NULL)) == NULL ||
        (self->restart_events = from_monitoring("restart_events", NULL)) == NULL ||
        (self->tool = PyLong_FromLong(tool)) == NULL || (self->events = PyLong_FromLong(events)) == NULL ||
        (self->no_events = PyLong_FromLong(0)) == NULL || (self->traced_files = PyDict_New()) == NULL) {
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
    {"begin", METHOD(begin_slot), METH_NOARGS, "Open the slot of a new active recording."},
    {"read", METHOD(read_slot), METH_O, "The code objects that an active recording entered, with the lines that it ran."},
    {"end", METHOD(end_slot), METH_O, "Close a recording's slot and return its last read."},
    {"read_by_file", METHOD(read_slot_by_file), METH_FASTCALL, "What an active recording has executed, file by file."},
    {"end_by_file", METHOD(end_slot_by_file), METH_FASTCALL, "Close a recording's slot and return its last read_by_file."},
    {"reset", METHOD(reset), METH_O, "Close all slots, as a forked child has to."},
    {"disarm", METHOD(disarm), METH_NOARGS, "Set every code object's local events to 0."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Callbacks_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "otel_coverage.recording._callbacks.Callbacks",
    .tp_doc = "What ran in which recording, and which events are still needed.",
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
        PyErr_SetString(PyExc_ImportError, "the callbacks in C work in the main interpreter only");
        return -1;
    }
    if (extra_index < 0) { /* a process has 255 of them, and gets none back */
        extra_index = PyUnstable_Eval_RequestCodeExtraIndex(free_code_states);
    }
    if (extra_index < 0) {
        PyErr_SetString(PyExc_ImportError, "the interpreter has no free index for the extra data of code objects");
        return -1;
    }
    if (disable == NULL && (disable = from_monitoring("DISABLE", NULL)) == NULL) {
        return -1;
    }
    return PyType_Ready(&RecordingSlot_Type) < 0 || PyModule_AddType(module, &Callbacks_Type) < 0 ? -1 : 0;
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
