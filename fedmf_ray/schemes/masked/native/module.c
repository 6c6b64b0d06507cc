/* The Python side of arithmetic.h. compiled.py sees to types; that arrays fit each other is checked here.
 *
 * Long because every function that Python can call takes its buffers and checks them here. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "arithmetic.h"

/* Two dimensions, whose inner one is contiguous. */
typedef struct {
    Py_buffer view;
    uint8_t *data;
    Py_ssize_t rows, columns, stride;
} table;

static int take(PyObject *object, table *t, int writable)
{
    if (PyObject_GetBuffer(object, &t->view, (writable ? PyBUF_WRITABLE : 0) | PyBUF_STRIDES) < 0)
        return -1;
    if (t->view.ndim != 2 || (t->view.shape[1] > 1 && t->view.strides[1] != t->view.itemsize)) {
        PyBuffer_Release(&t->view);
        PyErr_SetString(PyExc_ValueError, "not an array of contiguous rows");
        return -1;
    }
    t->data = t->view.buf;
    t->rows = t->view.shape[0];
    t->columns = t->view.shape[1];
    t->stride = t->view.strides[0];
    return 0;
}

static int misfits(void)
{
    PyErr_SetString(PyExc_ValueError, "arrays do not fit each other");
    return 1;
}

static Py_ssize_t packed_bytes(Py_ssize_t columns, int bits) { return (columns * bits + 7) / 8; }

static int fits(const table *words, const table *packed, int bits)
{
    const Py_ssize_t size = words->view.itemsize;
    return (size == 4 || size == 8) && bits >= 2 && bits <= 8 * size && words->columns >= 1 &&
           words->columns <= MOST_COLUMNS && packed->view.itemsize == 1 &&
           packed->columns == packed_bytes(words->columns, bits);
}

static PyObject *pack(PyObject *self, PyObject *args)
{
    PyObject *objects[3]; /* words, integers to add or None, out */
    table words, plain, out;
    int bits, wrong, added;
    plane planes[8];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOi", &objects[0], &objects[1], &objects[2], &bits))
        return NULL;
    added = objects[1] != Py_None;
    if (take(objects[0], &words, 0) < 0)
        return NULL;
    if (take(objects[2], &out, 1) < 0) {
        PyBuffer_Release(&words.view);
        return NULL;
    }
    if (added && take(objects[1], &plain, 0) < 0) {
        PyBuffer_Release(&words.view);
        PyBuffer_Release(&out.view);
        return NULL;
    }
    wrong = !fits(&words, &out, bits) || out.rows != words.rows ||
            (added && (plain.view.itemsize != 8 || plain.rows != words.rows || plain.columns != words.columns));
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        const int count = planes_of(bits, words.columns, planes);
        (words.view.itemsize == 4 ? pack_rows_32 : pack_rows_64)(
            words.data, words.stride, added ? plain.data : NULL, added ? plain.stride : 0, words.rows, words.columns,
            planes, count, out.data, out.stride);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&words.view);
    PyBuffer_Release(&out.view);
    if (added)
        PyBuffer_Release(&plain.view);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *unpack(PyObject *self, PyObject *args)
{
    PyObject *objects[3]; /* packed, out, and None or the row of out to which each is added */
    table packed, out;
    Py_buffer targets = {0};
    int bits, wrong, adds;
    plane planes[8];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOi", &objects[0], &objects[1], &objects[2], &bits))
        return NULL;
    adds = objects[2] != Py_None;
    if (take(objects[0], &packed, 0) < 0)
        return NULL;
    if (take(objects[1], &out, 1) < 0) {
        PyBuffer_Release(&packed.view);
        return NULL;
    }
    if (adds && PyObject_GetBuffer(objects[2], &targets, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&packed.view);
        PyBuffer_Release(&out.view);
        return NULL;
    }
    wrong = !fits(&out, &packed, bits) || (adds ? targets.len != 8 * packed.rows : out.rows != packed.rows);
    if (!wrong) {
        const int64_t *to = targets.buf;
        for (Py_ssize_t at = 0; adds && at < packed.rows; at++)
            wrong |= to[at] < 0 || to[at] >= out.rows;
    }
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        const int count = planes_of(bits, out.columns, planes);
        (out.view.itemsize == 4 ? unpack_rows_32 : unpack_rows_64)(packed.data, packed.stride, packed.rows, out.columns,
                                                                   planes, count, out.data, out.stride,
                                                                   adds ? targets.buf : NULL);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&packed.view);
    PyBuffer_Release(&out.view);
    if (adds)
        PyBuffer_Release(&targets);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *open_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[3]; /* packed, masks, out: signed integers */
    table packed, masks, out;
    int bits, wrong;
    plane planes[8];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOi", &objects[0], &objects[1], &objects[2], &bits))
        return NULL;
    if (take(objects[0], &packed, 0) < 0)
        return NULL;
    if (take(objects[1], &masks, 0) < 0) {
        PyBuffer_Release(&packed.view);
        return NULL;
    }
    if (take(objects[2], &out, 1) < 0) {
        PyBuffer_Release(&packed.view);
        PyBuffer_Release(&masks.view);
        return NULL;
    }
    wrong = !fits(&masks, &packed, bits) || out.view.itemsize != 8 || out.rows != packed.rows ||
            masks.rows != packed.rows || out.columns != masks.columns;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        const int count = planes_of(bits, masks.columns, planes);
        (masks.view.itemsize == 4 ? open_all_32 : open_all_64)(packed.data, packed.stride, masks.data, masks.stride,
                                                               packed.rows, masks.columns, planes, count, bits,
                                                               out.data, out.stride);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&packed.view);
    PyBuffer_Release(&masks.view);
    PyBuffer_Release(&out.view);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *add_rows(PyObject *self, PyObject *args)
{
    PyObject *objects[2]; /* words, masks */
    table words, masks;
    Py_buffer targets;
    int wrong, sign;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOy*i", &objects[0], &objects[1], &targets, &sign))
        return NULL;
    if (take(objects[0], &words, 1) < 0) {
        PyBuffer_Release(&targets);
        return NULL;
    }
    if (take(objects[1], &masks, 0) < 0) {
        PyBuffer_Release(&targets);
        PyBuffer_Release(&words.view);
        return NULL;
    }
    const int64_t *to = targets.buf;
    wrong = words.columns > MOST_COLUMNS || (words.view.itemsize != 4 && words.view.itemsize != 8) || masks.view.itemsize != words.view.itemsize ||
            masks.columns != words.columns || targets.len != 8 * masks.rows;
    for (Py_ssize_t at = 0; !wrong && at < masks.rows; at++)
        wrong |= to[at] < 0 || to[at] >= words.rows;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        (words.view.itemsize == 4 ? add_all_32 : add_all_64)(words.data, words.stride, masks.data, masks.stride,
                                                             masks.rows, words.columns, to, sign);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&targets);
    PyBuffer_Release(&words.view);
    PyBuffer_Release(&masks.view);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static int weights_of(const Py_buffer *columns, weight *weights)
{
    const Py_ssize_t count = columns->len / 16;
    if (columns->len != 16 * count || count < 1 || count > MOST_COLUMNS)
        return -1;
    for (Py_ssize_t k = 0; k < count; k++)
        weights[k] = weight_of((const uint8_t *)columns->buf + 16 * k);
    return (int)count;
}

static PyObject *row_sums(PyObject *self, PyObject *args)
{
    Py_buffer v[3]; /* column weights, pads, out */
    PyObject *object;
    table values;
    int bits, wrong;
    weight weights[MOST_COLUMNS];
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*y*w*i", &object, &v[0], &v[1], &v[2], &bits))
        return NULL;
    if (take(object, &values, 0) < 0) {
        for (int k = 0; k < 3; k++)
            PyBuffer_Release(&v[k]);
        return NULL;
    }
    wrong = weights_of(&v[0], weights) != values.columns || values.view.itemsize != 8 ||
            v[1].len != 16 * values.rows || v[2].len != 16 * values.rows || !spare(values.columns, bits);
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t at = 0; at < values.rows; at++) {
            u128 pad;
            memcpy(&pad, (const uint8_t *)v[1].buf + 16 * at, 16);
            const int64_t *row = (const int64_t *)(values.data + at * values.stride);
            pad = settled(settled(pad) + weighed_row(row, weights, values.columns));
            memcpy((uint8_t *)v[2].buf + 16 * at, &pad, 16);
        }
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&values.view);
    for (int k = 0; k < 3; k++)
        PyBuffer_Release(&v[k]);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *weigh(PyObject *self, PyObject *args)
{
    Py_buffer v[5]; /* column weights, row weights, blocks, cuts, out */
    PyObject *object;
    table values;
    int bits, wrong;
    weight weights[MOST_COLUMNS];
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*y*y*y*w*i", &object, &v[0], &v[1], &v[2], &v[3], &v[4], &bits))
        return NULL;
    if (take(object, &values, 0) < 0) {
        for (int k = 0; k < 5; k++)
            PyBuffer_Release(&v[k]);
        return NULL;
    }
    const int64_t *blocks = v[2].buf, *cuts = v[3].buf;
    const Py_ssize_t pieces = v[4].len / 16, rows = v[1].len / 16;
    wrong = weights_of(&v[0], weights) != values.columns || values.view.itemsize != 8 || v[1].len != 16 * rows ||
            v[2].len != 8 * values.rows || v[4].len != 16 * pieces || v[3].len != 16 * pieces ||
            !spare(values.columns, bits);
    for (Py_ssize_t at = 0; !wrong && at < values.rows; at++)
        wrong |= blocks[at] < 0 || blocks[at] >= rows;
    for (Py_ssize_t at = 0; !wrong && at < pieces; at++)
        wrong |= cuts[2 * at] < 0 || cuts[2 * at] > cuts[2 * at + 1] || cuts[2 * at + 1] > values.rows;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t piece = 0; piece < pieces; piece++) {
            u128 total = 0;
            for (int64_t at = cuts[2 * piece]; at < cuts[2 * piece + 1]; at++) {
                u128 outer;
                memcpy(&outer, (const uint8_t *)v[1].buf + 16 * blocks[at], 16);
                const int64_t *row = (const int64_t *)(values.data + at * values.stride);
                total = settled(total + product(settled(outer), weighed_row(row, weights, values.columns)));
            }
            memcpy((uint8_t *)v[4].buf + 16 * piece, &total, 16);
        }
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&values.view);
    for (int k = 0; k < 5; k++)
        PyBuffer_Release(&v[k]);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *counters(PyObject *self, PyObject *args)
{
    Py_buffer v[2]; /* nonces, out */
    Py_ssize_t blocks;
    int wrong;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*n", &v[0], &v[1], &blocks))
        return NULL;
    const Py_ssize_t count = v[0].len / 12;
    wrong = v[0].len != 12 * count || blocks < 1 || v[1].len != 16 * count * blocks;
    if (!wrong) {
        uint8_t *out = v[1].buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t at = 0; at < count; at++) {
            const uint8_t *nonce = (const uint8_t *)v[0].buf + 12 * at;
            for (uint32_t block = 0; block < (uint32_t)blocks; block++, out += 16) {
                memcpy(out, nonce, 12);
                memcpy(out + 12, &block, 4);
            }
        }
        Py_END_ALLOW_THREADS
    }
    for (int k = 0; k < 2; k++)
        PyBuffer_Release(&v[k]);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *totals(PyObject *self, PyObject *args)
{
    Py_buffer v[3]; /* numbers, cuts, out */
    int wrong;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*w*", &v[0], &v[1], &v[2]))
        return NULL;
    const Py_ssize_t count = v[0].len / 16, pieces = v[2].len / 16;
    const int64_t *cuts = v[1].buf;
    wrong = v[0].len != 16 * count || v[2].len != 16 * pieces || v[1].len != 16 * pieces;
    for (Py_ssize_t at = 0; !wrong && at < pieces; at++)
        wrong |= cuts[2 * at] < 0 || cuts[2 * at] > cuts[2 * at + 1] || cuts[2 * at + 1] > count;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t piece = 0; piece < pieces; piece++) {
            u128 total = 0, number;
            for (int64_t at = cuts[2 * piece]; at < cuts[2 * piece + 1]; at++) {
                memcpy(&number, (const uint8_t *)v[0].buf + 16 * at, 16);
                total = settled(total + settled(number));
            }
            memcpy((uint8_t *)v[2].buf + 16 * piece, &total, 16);
        }
        Py_END_ALLOW_THREADS
    }
    for (int k = 0; k < 3; k++)
        PyBuffer_Release(&v[k]);
    if (wrong && misfits())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *repeated(PyObject *self, PyObject *args)
{
    Py_buffer nonces;
    int found = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &nonces))
        return NULL;
    const Py_ssize_t count = nonces.len / 12;
    Py_ssize_t places = 16;
    while (places < 2 * count)
        places *= 2;
    int64_t *seen = malloc(sizeof(int64_t) * (size_t)places);
    if (seen == NULL) {
        PyBuffer_Release(&nonces);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *all = nonces.buf;
    memset(seen, 0xff, sizeof(int64_t) * (size_t)places);
    for (Py_ssize_t at = 0; at < count && !found; at++) {
        uint64_t start;
        uint32_t end;
        memcpy(&start, all + 12 * at, 8);
        memcpy(&end, all + 12 * at + 8, 4);
        uint64_t place = (start ^ end * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
        place = (place ^ place >> 32) & (uint64_t)(places - 1);
        while (seen[place] >= 0 && !found) {
            found = !memcmp(all + 12 * seen[place], all + 12 * at, 12);
            place = (place + 1) & (uint64_t)(places - 1);
        }
        seen[place] = at;
    }
    Py_END_ALLOW_THREADS
    free(seen);
    PyBuffer_Release(&nonces);
    return PyBool_FromLong(found);
}

static PyMethodDef methods[] = {
    {"counters", counters, METH_VARARGS, "Blocks that AES makes masks of: each nonce, counted."},
    {"totals", totals, METH_VARARGS, "Ranges of numbers added up modulo p."},
    {"repeated", repeated, METH_VARARGS, "Whether a nonce comes twice."},
    {"pack", pack, METH_VARARGS, "Words, and integers if any, into packed rows."},
    {"unpack", unpack, METH_VARARGS, "Packed rows into words, or added to rows of words."},
    {"open_rows", open_rows, METH_VARARGS, "Packed rows without masks into integers."},
    {"add_rows", add_rows, METH_VARARGS, "Rows of words added to, or taken off, others."},
    {"row_sums", row_sums, METH_VARARGS, "Weighed rows and pads modulo p."},
    {"weigh", weigh, METH_VARARGS, "Weighed ranges of rows modulo p."},
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
