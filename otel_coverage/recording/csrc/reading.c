/* What a recording has executed: code object by code object, or file by file.

   A profile's requests run the same lines again and again. So what runs in a file is first made a key, of the bits as
   they are, and what that key stood for the last time is the answer: nothing is named, sorted or counted twice. A key
   has for each code object its number, which no other one ever has, and a bit for each of its lines: different sets
   have different keys. Code objects are in the order of their numbers, whatever order they ran in. */

#include "callbacks.h"

static RecordingSlot *own_slot(const Callbacks *self, PyObject *object) {
    RecordingSlot *slot = (RecordingSlot *)object;
    return Py_IS_TYPE(object, &RecordingSlot_Type) && slot->owner == self ? slot : NULL;
}

static int number_of(const CodeState *state, Row row) {
    return state->lines == NULL ? state->first_line + (int)row - 1 : state->lines[row - 1];
}

static PyObject *lines_of(const CodeState *state, size_t index) {
    size_t word = WORD_OF(index);
    Word bit = BIT_OF(index);
    Py_ssize_t count = 0;
    for (Row row = 1; row < state->rows; row++) {
        count += (mask_of(state, row)[word] & bit) != 0;
    }
    PyObject *lines = PyTuple_New(count);
    Py_ssize_t done = 0;
    for (Row row = 1; done < count && lines != NULL; row++) {
        if (mask_of(state, row)[word] & bit) {
            PyObject *line = PyLong_FromLong(number_of(state, row));
            if (line == NULL) {
                Py_CLEAR(lines);
            } else {
                PyTuple_SET_ITEM(lines, done++, line);
            }
        }
    }
    return lines;
}

/* A code object with the lines of it that ran. */
static PyObject *pair_of(const CodeState *state, size_t index) {
    PyObject *lines = lines_of(state, index);
    PyObject *pair = lines == NULL ? NULL : PyTuple_Pack(2, state->code, lines);
    Py_XDECREF(lines);
    return pair;
}

/* The recording has ended: its bit is cleared wherever it may be set. */
static void close_slot(Callbacks *self, RecordingSlot *slot) {
    size_t word = WORD_OF(slot->index);
    Word others = ~BIT_OF(slot->index);
    for (Py_ssize_t index = 0; index < slot->entered_count; index++) {
        CodeState *state = code_state_of(self, slot->entered[index]);
        for (Row row = 0; row < state->rows; row++) {
            mask_of(state, row)[word] &= others; /* rule: end-clears-lines */
        }
    }
    retire(self, slot);
}

PyObject *read_slot(Callbacks *self, PyObject *object) {
    RecordingSlot *slot = own_slot(self, object);
    PyObject *entered = PyList_New(slot == NULL ? 0 : slot->entered_count);
    for (Py_ssize_t index = 0; entered != NULL && index < PyList_GET_SIZE(entered); index++) {
        PyObject *pair = pair_of(code_state_of(self, slot->entered[index]), slot->index);
        if (pair == NULL) {
            Py_CLEAR(entered);
        } else {
            PyList_SET_ITEM(entered, index, pair);
        }
    }
    return entered;
}

PyObject *end_slot(Callbacks *self, PyObject *object) {
    PyObject *entered = read_slot(self, object);
    RecordingSlot *slot = own_slot(self, object);
    if (entered != NULL && slot != NULL) {
        close_slot(self, slot);
    }
    return entered;
}

/* --- file by file */

static int compare_numbers(const void *left, const void *right) {
    uint64_t a = (*(CodeState *const *)left)->number, b = (*(CodeState *const *)right)->number;
    return (a > b) - (a < b);
}

static void sort_by_number(CodeState **states, Py_ssize_t count) {
    for (Py_ssize_t index = 1; index < count; index++) {
        if (states[index - 1]->number > states[index]->number) {
            qsort(states, (size_t)count, sizeof(CodeState *), compare_numbers);
            return;
        }
    }
}

/* The files that the recording has entered, each with its code objects, all in `states`. */
static FileState *entered_files(const Callbacks *self, const RecordingSlot *slot, CodeState **states) {
    FileState *first = NULL, **last = &first;
    for (Py_ssize_t index = 0; index < slot->entered_count; index++) {
        FileState *file = code_state_of(self, slot->entered[index])->file;
        if (file->entered_count++ == 0) {
            file->next_entered = NULL;
            *last = file;
            last = &file->next_entered;
        }
    }
    CodeState **end = states;
    for (FileState *file = first; file != NULL; file = file->next_entered) {
        file->entered = end;
        end += file->entered_count;
        file->entered_count = 0;
    }
    for (Py_ssize_t index = 0; index < slot->entered_count; index++) {
        CodeState *state = code_state_of(self, slot->entered[index]);
        state->file->entered[state->file->entered_count++] = state;
    }
    return first;
}

static Py_ssize_t size_of_bits(const CodeState *state) {
    return ((Py_ssize_t)state->rows - 1 + 7) / 8;
}

static PyObject *key_of(const FileState *file, size_t index) {
    size_t word = WORD_OF(index), shift = index % WORD_BITS;
    Py_ssize_t size = 0;
    for (Py_ssize_t at = 0; at < file->entered_count; at++) {
        size += (Py_ssize_t)sizeof(uint64_t) + size_of_bits(file->entered[at]);
    }
    PyObject *key = PyBytes_FromStringAndSize(NULL, size);
    if (key == NULL) {
        return NULL;
    }
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(key);
    memset(to, 0, (size_t)size);
    for (Py_ssize_t at = 0; at < file->entered_count; at++) {
        const CodeState *state = file->entered[at];
        memcpy(to, &state->number, sizeof(uint64_t)); /* rule: keys-name-code */
        to += sizeof(uint64_t);
        for (Row row = 1; row < state->rows; row++) {
            Word ran = mask_of(state, row)[word] >> shift & 1;
            to[(row - 1) / 8] |= (unsigned char)(ran << ((row - 1) % 8)); /* rule: keys-have-lines */
        }
        to += size_of_bits(state);
    }
    return key;
}

static char *write_number(char *to, int number) {
    char digits[16], *digit = digits;
    do {
        *digit++ = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (digit > digits) {
        *to++ = *--digit;
    }
    return to;
}

#define HAS_LINE(bits, line) ((bits)[(line) / 8] >> ((line) % 8) & 1)

/* The lines, up to the last, in ascending order, runs of them as first and last: 40-44,47. */
static PyObject *ranges_of(const unsigned char *bits, int last) {
    Py_ssize_t runs = 0;
    for (int line = 1; line <= last; line++) {
        runs += HAS_LINE(bits, line) && !HAS_LINE(bits, line - 1);
    }
    char *text = PyMem_Malloc((size_t)runs * sizeof("2147483647-2147483647,") + 1), *to = text;
    if (text == NULL) {
        return PyErr_NoMemory();
    }
    for (int line = 1; line <= last; line++) {
        if (!HAS_LINE(bits, line)) {
            continue;
        }
        int first = line;
        while (line < last && HAS_LINE(bits, line + 1)) {
            line++;
        }
        if (to > text) {
            *to++ = ',';
        }
        to = write_number(to, first);
        if (line > first) {
            *to++ = '-';
            to = write_number(to, line);
        }
    }
    PyObject *ranges = PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text, to - text);
    PyMem_Free(text);
    return ranges;
}

/* The lines of the file that ran, a bit for each, bit n of byte m for line 8 m + n; and as text. */
static PyObject *lines_of_file(const FileState *file, size_t index) {
    size_t word = WORD_OF(index);
    Word bit = BIT_OF(index);
    int last = 0;
    for (Py_ssize_t at = 0; at < file->entered_count; at++) {
        const CodeState *state = file->entered[at];
        Row row = state->rows - 1;
        while (row > 0 && !(mask_of(state, row)[word] & bit)) {
            row--;
        }
        if (row > 0 && number_of(state, row) > last) {
            last = number_of(state, row);
        }
    }
    PyObject *lines = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)last / 8 + 1);
    if (lines == NULL) {
        return NULL;
    }
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(lines);
    memset(to, 0, (size_t)last / 8 + 1);
    for (Py_ssize_t at = 0; at < file->entered_count; at++) {
        const CodeState *state = file->entered[at];
        for (Row row = 1; row < state->rows; row++) {
            if (mask_of(state, row)[word] & bit) {
                int number = number_of(state, row);
                to[number / 8] |= (unsigned char)(1 << (number % 8));
            }
        }
    }
    PyObject *ranges = ranges_of(to, last);
    PyObject *found = ranges == NULL ? NULL : PyTuple_Pack(2, lines, ranges);
    Py_XDECREF(ranges);
    Py_DECREF(lines);
    return found;
}

/* The numbers of the lines and edges that ran, of each code object. */
static PyObject *numbers_of_file(const FileState *file, size_t index) {
    PyObject *numbers = PyList_New(file->entered_count);
    for (Py_ssize_t at = 0; numbers != NULL && at < file->entered_count; at++) {
        PyObject *lines = lines_of(file->entered[at], index);
        if (lines == NULL) {
            Py_CLEAR(numbers);
        } else {
            PyList_SET_ITEM(numbers, at, lines);
        }
    }
    return numbers;
}

/* What `known` has for what ran in the file, or the key with the code objects and lines. */
static PyObject *read_file(const Callbacks *self, const FileState *file, size_t index, PyObject *known) {
    PyObject *key = key_of(file, index);
    PyObject *found = key == NULL ? NULL : PyDict_GetItemWithError(known, key);
    if (found != NULL || PyErr_Occurred()) {
        Py_XDECREF(key);
        return Py_XNewRef(found);
    }
    PyObject *codes = PyList_New(file->entered_count);
    for (Py_ssize_t at = 0; codes != NULL && at < file->entered_count; at++) {
        PyList_SET_ITEM(codes, at, Py_NewRef(file->entered[at]->code));
    }
    PyObject *lines = self->has_edges ? numbers_of_file(file, index) : lines_of_file(file, index);
    found = codes == NULL || lines == NULL ? NULL : PyTuple_Pack(3, key, codes, lines);
    Py_XDECREF(lines);
    Py_XDECREF(codes);
    Py_DECREF(key);
    return found;
}

static PyObject *read_by_file(const Callbacks *self, const RecordingSlot *slot, PyObject *known) {
    PyObject *files = PyList_New(0);
    if (slot == NULL || slot->entered_count == 0 || files == NULL) {
        return files;
    }
    CodeState **states = PyMem_Malloc((size_t)slot->entered_count * sizeof(CodeState *));
    if (states == NULL) {
        Py_DECREF(files);
        return PyErr_NoMemory();
    }
    for (FileState *file = entered_files(self, slot, states); file != NULL; file = file->next_entered) {
        if (files != NULL) {
            sort_by_number(file->entered, file->entered_count);
            PyObject *found = read_file(self, file, slot->index, known);
            if (found == NULL || PyList_Append(files, found) < 0) {
                Py_CLEAR(files);
            }
            Py_XDECREF(found);
        }
        file->entered_count = 0;
    }
    PyMem_Free(states);
    return files;
}

static int read_arguments(PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2 || !PyDict_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "a recording is read with a slot and a dict of what is known");
        return -1;
    }
    return 0;
}

PyObject *read_slot_by_file(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    if (read_arguments(arguments, count) < 0) {
        return NULL;
    }
    return read_by_file(self, own_slot(self, arguments[0]), arguments[1]);
}

PyObject *end_slot_by_file(Callbacks *self, PyObject *const *arguments, Py_ssize_t count) {
    PyObject *files = read_slot_by_file(self, arguments, count);
    RecordingSlot *slot = files == NULL ? NULL : own_slot(self, arguments[0]);
    if (slot != NULL) {
        close_slot(self, slot);
    }
    return files;
}
