/* The Python side of arithmetic.h. compiled.py sees to types; that arrays fit each other is checked here. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "arithmetic.h"

#define MOST_ARGUMENTS 6

/* An array: rows whose numbers lie side by side, or all of it as one row of bytes. It is not there if None was given. */
typedef struct {
    Py_buffer view;
    uint8_t *data;
    Py_ssize_t rows, columns, stride, size;
    int there;
} table;

typedef struct {
    table t[MOST_ARGUMENTS];
    int count, number;
} call;

static void release(call *c)
{
    for (int k = 0; k < c->count; k++)
        if (c->t[k].there)
            PyBuffer_Release(&c->t[k].view);
}

static int take(PyObject *object, table *t, char kind)
{
    const int rows = kind == 'r' || kind == 'R', writable = kind == 'R' || kind == 'B';
    memset(t, 0, sizeof *t);
    if (object == Py_None)
        return 0;
    if (PyObject_GetBuffer(object, &t->view, (writable ? PyBUF_WRITABLE : 0) | (rows ? PyBUF_STRIDES : PyBUF_SIMPLE)) < 0)
        return -1;
    if (rows && (t->view.ndim != 2 || (t->view.shape[1] > 1 && t->view.strides[1] != t->view.itemsize))) {
        PyBuffer_Release(&t->view);
        PyErr_SetString(PyExc_ValueError, "not an array of contiguous rows");
        return -1;
    }
    t->data = t->view.buf;
    t->there = 1;
    t->size = rows ? t->view.itemsize : 1;
    t->rows = rows ? t->view.shape[0] : 1;
    t->columns = rows ? t->view.shape[1] : t->view.len;
    t->stride = rows ? t->view.strides[0] : t->view.len;
    return 0;
}

/* kinds: of each array, r for rows and b for bytes, in capitals if it is written to. A last argument is a number, if
   there is one more. */
static int begin(PyObject *args, const char *kinds, call *c)
{
    const int wanted = (int)strlen(kinds), given = (int)PyTuple_GET_SIZE(args);
    c->count = c->number = 0;
    if (given != wanted && given != wanted + 1) {
        PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
        return -1;
    }
    if (given > wanted) {
        c->number = (int)PyLong_AsLong(PyTuple_GET_ITEM(args, wanted));
        if (c->number == -1 && PyErr_Occurred())
            return -1;
    }
    for (; c->count < wanted; c->count++)
        if (take(PyTuple_GET_ITEM(args, c->count), &c->t[c->count], kinds[c->count]) < 0) {
            release(c);
            return -1;
        }
    return 0;
}

static PyObject *finish(call *c, int right)
{
    release(c);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit each other");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A function of arrays and perhaps of `number`: `fits` is looked at before `work` is done, without the interpreter's
   lock. */
#define FUNCTION(name, kinds, fits, work)                    \
    static PyObject *name(PyObject *self, PyObject *args)    \
    {                                                        \
        call c;                                              \
        (void)self;                                          \
        if (begin(args, kinds, &c) < 0)                      \
            return NULL;                                     \
        const table *const t = c.t;                          \
        const int number = c.number, right = (fits);         \
        (void)number;                                        \
        if (right) {                                         \
            Py_BEGIN_ALLOW_THREADS                           \
            work;                                            \
            Py_END_ALLOW_THREADS                             \
        }                                                    \
        return finish(&c, right);                            \
    }

static int is_words(const table *t) { return (t->size == 4 || t->size == 8) && t->columns >= 1 && t->columns <= MOST_COLUMNS; }

static int is_like(const table *t, const table *other) { return t->rows == other->rows && t->columns == other->columns; }

/* Rows of bytes that hold as many words, of so many bits. */
static int is_packed(const table *packed, const table *words, int bits)
{
    return is_words(words) && bits >= 2 && bits <= 8 * words->size && packed->size == 1 &&
           packed->columns == (words->columns * bits + 7) / 8;
}

/* For each of so many rows, which one it is of so many others. */
static int is_choice(const table *t, Py_ssize_t rows, Py_ssize_t others)
{
    const int64_t *which = (const int64_t *)t->data;
    int right = t->there && t->columns == 8 * rows;
    for (Py_ssize_t at = 0; right && at < rows; at++)
        right = which[at] >= 0 && which[at] < others;
    return right;
}

static int is_numbers(const table *t, Py_ssize_t count) { return t->columns == NUMBER * count; }

/* As many ranges of so many rows as there are numbers to write. */
static int are_cuts(const table *cuts, Py_ssize_t rows, const table *out)
{
    const int64_t *cut = (const int64_t *)cuts->data;
    int right = out->columns % NUMBER == 0 && cuts->columns == out->columns;
    for (Py_ssize_t at = 0; right && at < out->columns / NUMBER; at++)
        right = cut[2 * at] >= 0 && cut[2 * at] <= cut[2 * at + 1] && cut[2 * at + 1] <= rows;
    return right;
}

static int are_weighed(const table *values, const table *weights, int bits)
{
    return values->size == 8 && values->columns >= 1 && values->columns <= MOST_COLUMNS &&
           is_numbers(weights, values->columns) && spare(values->columns, bits);
}

/* words, integers to add or None, out */
FUNCTION(pack, "rrR",
         t[0].there && t[2].there && is_packed(&t[2], &t[0], number) && t[2].rows == t[0].rows &&
             (!t[1].there || (t[1].size == 8 && is_like(&t[1], &t[0]))),
         pack_all(t[0].size, t[0].data, t[0].stride, t[1].data, t[1].stride, t[0].rows, t[0].columns, number, t[2].data,
                  t[2].stride))

/* packed, out, and None or the row of out to which each is added */
FUNCTION(unpack, "rRb",
         t[0].there && t[1].there && is_packed(&t[0], &t[1], number) &&
             (!t[2].there ? t[1].rows == t[0].rows : is_choice(&t[2], t[0].rows, t[1].rows)),
         unpack_all(t[1].size, t[0].data, t[0].stride, t[0].rows, t[1].columns, number, t[1].data, t[1].stride,
                    (const int64_t *)t[2].data))

/* packed, masks, out: signed integers */
FUNCTION(open_rows, "rrR",
         t[0].there && t[1].there && is_packed(&t[0], &t[1], number) && t[2].size == 8 &&
             t[0].rows == t[1].rows && is_like(&t[2], &t[1]),
         open_all(t[1].size, t[0].data, t[0].stride, t[1].data, t[1].stride, t[1].rows, t[1].columns, number, t[2].data,
                  t[2].stride))

/* words, masks, the row of words from which each is taken off */
FUNCTION(take_off, "Rrb",
         is_words(&t[0]) && t[1].size == t[0].size && t[1].columns == t[0].columns && is_choice(&t[2], t[1].rows, t[0].rows),
         subtract_all(t[0].size, t[0].data, t[0].stride, t[1].data, t[1].stride, t[1].rows, t[0].columns,
                      (const int64_t *)t[2].data))

/* words, numbers, the row of words to which each is added */
FUNCTION(put_on, "Rrb",
         is_words(&t[0]) && t[1].size == t[0].size && t[1].columns == t[0].columns && is_choice(&t[2], t[1].rows, t[0].rows),
         add_all(t[0].size, t[0].data, t[0].stride, t[1].data, t[1].stride, t[1].rows, t[0].columns,
                 (const int64_t *)t[2].data))

/* nonces, out: so many blocks for each */
FUNCTION(counters, "bB",
         number >= 1 && t[0].columns % NONCE == 0 && t[1].columns == t[0].columns / NONCE * number * NUMBER,
         count_all(t[0].data, t[0].columns / NONCE, number, t[1].data))

/* values, column weights, pads, out */
FUNCTION(row_sums, "rbbB",
         are_weighed(&t[0], &t[1], number) && is_numbers(&t[2], t[0].rows) && is_numbers(&t[3], t[0].rows),
         weigh_rows(t[0].data, t[0].stride, t[0].rows, t[0].columns, t[1].data, t[2].data, t[3].data))

/* values, column weights, row weights, which of these each row has, ranges of rows, out */
FUNCTION(weigh, "rbbbbB",
         are_weighed(&t[0], &t[1], number) && t[2].columns % NUMBER == 0 &&
             is_choice(&t[3], t[0].rows, t[2].columns / NUMBER) && are_cuts(&t[4], t[0].rows, &t[5]),
         weigh_cuts(t[0].data, t[0].stride, t[0].columns, t[1].data, t[2].data, (const int64_t *)t[3].data,
                    (const int64_t *)t[4].data, t[5].columns / NUMBER, t[5].data))

/* numbers, ranges of them, out */
FUNCTION(totals, "bbB", t[0].columns % NUMBER == 0 && are_cuts(&t[1], t[0].columns / NUMBER, &t[2]),
         add_cuts(t[0].data, (const int64_t *)t[1].data, t[2].columns / NUMBER, t[2].data))

static PyObject *repeated(PyObject *self, PyObject *args)
{
    call c;
    int found;
    (void)self;
    if (begin(args, "b", &c) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = any_twice(c.t[0].data, c.t[0].columns / NONCE);
    Py_END_ALLOW_THREADS
    release(&c);
    return found < 0 ? PyErr_NoMemory() : PyBool_FromLong(found);
}

static PyMethodDef methods[] = {
    {"pack", pack, METH_VARARGS, "Words, and integers if any, into packed rows."},
    {"unpack", unpack, METH_VARARGS, "Packed rows into words, or added to rows of words."},
    {"open_rows", open_rows, METH_VARARGS, "Packed rows without masks into integers."},
    {"take_off", take_off, METH_VARARGS, "Rows of masks taken off rows of words."},
    {"put_on", put_on, METH_VARARGS, "Rows of numbers added to rows of words."},
    {"counters", counters, METH_VARARGS, "Blocks that AES makes masks of: each nonce, counted."},
    {"row_sums", row_sums, METH_VARARGS, "Weighed rows and pads modulo p."},
    {"weigh", weigh, METH_VARARGS, "Weighed ranges of rows modulo p."},
    {"totals", totals, METH_VARARGS, "Ranges of numbers added up modulo p."},
    {"repeated", repeated, METH_VARARGS, "Whether a nonce comes twice."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_masks", "Masked rows with NumPy's bytes.", -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__masks(void)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    PyErr_SetString(PyExc_ImportError, "words are little endian");
    return NULL;
#else
    return PyModule_Create(&module);
#endif
}
