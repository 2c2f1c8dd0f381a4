/* The edges of branches and returns, which are recorded like lines with numbers below zero: see branch_edges.py. */

#include "callbacks.h"

#include "opcode.h"

enum { LEFT, RIGHT, OUT };
#define EDGE_ID(offset, side) (-(2 * (offset) + (side) + 1)) /* offsets are even */

int *new_edges(PyObject *code, Py_ssize_t more, int *count) {
    PyObject *branches = list_from_method(code, "co_branches");
    PyObject *instructions = branches == NULL ? NULL : PyCode_GetCode((PyCodeObject *)code);
    Py_ssize_t size = instructions == NULL ? 0 : PyBytes_GET_SIZE(instructions);
    int *edges = NULL;
    if (instructions != NULL) {
        edges = PyMem_Malloc((size_t)(2 * PyList_GET_SIZE(branches) + size / 2 + more) * sizeof(int));
        if (edges == NULL) {
            PyErr_NoMemory();
        }
    }
    for (Py_ssize_t index = 0; edges != NULL && index < PyList_GET_SIZE(branches); index++) {
        int offset = (int)PyLong_AsLong(PyTuple_GET_ITEM(PyList_GET_ITEM(branches, index), 0));
        edges[(*count)++] = EDGE_ID(offset, LEFT);
        edges[(*count)++] = EDGE_ID(offset, RIGHT); /* rule: branches-have-rows */
    }
    for (Py_ssize_t offset = 0; edges != NULL && offset < size; offset += 2) {
        if ((unsigned char)PyBytes_AS_STRING(instructions)[offset] == RETURN_VALUE) {
            edges[(*count)++] = EDGE_ID((int)offset, OUT); /* rule: returns-have-rows */
        }
    }
    Py_XDECREF(branches);
    Py_XDECREF(instructions);
    return edges;
}


PyObject *on_left(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 3, &offset) < 0) {
        return NULL;
    }
    /* rule: left-is-not-right/left, edge-needs-all-active */
    return decide_line(self, arguments[0], EDGE_ID(offset, LEFT));
}

PyObject *on_right(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 3, &offset) < 0) {
        return NULL;
    }
    return decide_line(self, arguments[0], EDGE_ID(offset, RIGHT)); /* rule: left-is-not-right */
}

PyObject *on_return(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    int offset;
    if (read_event(arguments, count, 3, &offset) < 0) {
        return NULL;
    }
    return decide_line(self, arguments[0], EDGE_ID(offset, OUT));
}
