/* The Python side of arithmetic.h. fedmf_ray/learning/compiled.py sees to types; that arrays fit each other, and
 * that indices are within them, is checked here. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "arithmetic.h"

static void release(Py_buffer *views, int count)
{
    for (int k = 0; k < count; k++)
        PyBuffer_Release(&views[k]);
}

#define COUNT(view, type) ((Py_ssize_t)((view).len / (Py_ssize_t)sizeof(type)))

static PyObject *finish(Py_buffer *views, int count, int wrong, int no_memory)
{
    release(views, count);
    if (no_memory)
        return PyErr_NoMemory();
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit each other");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *refit(PyObject *self, PyObject *args)
{
    Py_buffer v[6]; /* vectors, starts, items, values, penalty, out */
    Py_ssize_t stride;
    int bias, wrong, no_memory = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*w*np", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &stride, &bias))
        return NULL;
    Py_ssize_t users = COUNT(v[1], int64_t) - 1, ratings = COUNT(v[2], int64_t), m = stride - bias;
    Py_BEGIN_ALLOW_THREADS
    wrong = m < 1 || COUNT(v[3], double) != ratings || COUNT(v[4], double) != m ||
            COUNT(v[5], double) != users * m ||
            outside(v[1].buf, users, v[2].buf, ratings, COUNT(v[0], double) / stride);
    if (!wrong) {
        double *work = malloc(sizeof(double) * (2 * m * m + 3 * m + 1));
        no_memory = work == NULL;
        if (work)
            refit_all(v[0].buf, stride, v[1].buf, users, v[2].buf, v[3].buf, m, bias, v[4].buf, v[5].buf, work);
        free(work);
    }
    Py_END_ALLOW_THREADS
    return finish(v, 6, wrong, no_memory);
}

static PyObject *item_steps(PyObject *self, PyObject *args)
{
    /* u, vectors, starts, items, values, raters, known, parts, counted, now, scales, shares, constants, out */
    Py_buffer v[14];
    Py_ssize_t f;
    int bias, wrong, no_memory = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*y*y*y*y*y*w*np", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6],
                          &v[7], &v[8], &v[9], &v[10], &v[11], &v[12], &v[13], &f, &bias))
        return NULL;
    Py_ssize_t users = COUNT(v[2], int64_t) - 1, ratings = COUNT(v[3], int64_t), stride = bias ? f + 2 : f;
    Py_BEGIN_ALLOW_THREADS
    Py_ssize_t rows = f < 1 ? 0 : COUNT(v[1], double) / stride, width = f + bias;
    int counts = v[5].len > 0;
    wrong = f < 1 || COUNT(v[0], double) != users * width || COUNT(v[4], double) != ratings ||
            COUNT(v[7], double) != ratings || COUNT(v[8], double) != users || COUNT(v[9], double) != users ||
            COUNT(v[10], double) != users || COUNT(v[11], double) != width ||
            v[12].len != (Py_ssize_t)sizeof(Constants) || COUNT(v[13], double) != ratings * width ||
            (counts && (COUNT(v[5], double) != rows || COUNT(v[6], double) != rows)) ||
            outside(v[2].buf, users, v[3].buf, ratings, rows);
    if (!wrong) {
        double *products = malloc(sizeof(double) * f);
        no_memory = products == NULL;
        if (products)
            steps_all(v[0].buf, v[1].buf, stride, v[2].buf, users, v[3].buf, v[4].buf, f, bias,
                      counts ? v[5].buf : NULL, v[6].buf, v[7].buf, v[8].buf, v[9].buf, v[10].buf, v[11].buf,
                      v[12].buf, v[13].buf, products);
        free(products);
    }
    Py_END_ALLOW_THREADS
    return finish(v, 14, wrong, no_memory);
}

static PyObject *errors(PyObject *self, PyObject *args)
{
    Py_buffer v[7]; /* u, vectors, starts, items, values, squared, absolute */
    Py_ssize_t width;
    double low, high;
    int wrong, no_memory = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*w*w*ndd", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &width, &low,
                          &high))
        return NULL;
    Py_ssize_t users = COUNT(v[2], int64_t) - 1, ratings = COUNT(v[3], int64_t);
    Py_BEGIN_ALLOW_THREADS
    wrong = width < 1 || COUNT(v[0], double) != users * width || COUNT(v[4], double) != ratings ||
            COUNT(v[5], double) != users || COUNT(v[6], double) != users ||
            outside(v[2].buf, users, v[3].buf, ratings, COUNT(v[1], double) / (width < 1 ? 1 : width));
    if (!wrong) {
        const int64_t *starts = v[2].buf;
        int64_t most = 0;
        for (Py_ssize_t at = 0; at < users; at++)
            most = starts[at + 1] - starts[at] > most ? starts[at + 1] - starts[at] : most;
        double *work = malloc(sizeof(double) * (width + 2 * most));
        no_memory = work == NULL;
        if (work)
            errors_all(v[0].buf, v[1].buf, width, starts, users, v[3].buf, v[4].buf, low, high, v[5].buf, v[6].buf,
                       work);
        free(work);
    }
    Py_END_ALLOW_THREADS
    return finish(v, 7, wrong, no_memory);
}

static PyObject *batch(PyObject *self, PyObject *args)
{
    Py_buffer v[8]; /* u, vectors, starts, items, values, rates and pulls, moved, steps */
    Py_ssize_t width;
    int wrong, no_memory = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*w*w*n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7],
                          &width))
        return NULL;
    Py_ssize_t users = COUNT(v[2], int64_t) - 1, ratings = COUNT(v[3], int64_t);
    Py_BEGIN_ALLOW_THREADS
    wrong = width < 1 || COUNT(v[0], double) != users * width || COUNT(v[4], double) != ratings ||
            COUNT(v[5], double) != 4 * width || COUNT(v[6], double) != users * width ||
            COUNT(v[7], double) != ratings * width ||
            outside(v[2].buf, users, v[3].buf, ratings, COUNT(v[1], double) / (width < 1 ? 1 : width));
    if (!wrong) {
        double *work = malloc(sizeof(double) * 2 * width);
        no_memory = work == NULL;
        if (work)
            batch_all(v[0].buf, v[1].buf, width, v[2].buf, users, v[3].buf, v[4].buf, v[5].buf, v[6].buf, v[7].buf,
                      work);
        free(work);
    }
    Py_END_ALLOW_THREADS
    return finish(v, 8, wrong, no_memory);
}

static PyObject *to_rows(PyObject *self, PyObject *args)
{
    Py_buffer v[4]; /* steps, at, scale, out */
    int wrong;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &v[0], &v[1], &v[2], &v[3]))
        return NULL;
    Py_ssize_t count = COUNT(v[1], int64_t), width = COUNT(v[2], double);
    Py_BEGIN_ALLOW_THREADS
    wrong = width < 1 || COUNT(v[0], double) != count * width;
    if (!wrong) {
        const int64_t *at = v[1].buf, rows = COUNT(v[3], int64_t) / width;
        for (Py_ssize_t k = 0; k < count; k++)
            wrong |= at[k] < 0 || at[k] >= rows;
        if (!wrong)
            round_rows(v[0].buf, at, count, width, v[2].buf, v[3].buf);
    }
    Py_END_ALLOW_THREADS
    return finish(v, 4, wrong, 0);
}

static PyObject *within(PyObject *self, PyObject *args)
{
    Py_buffer values;
    double bound;
    int yes;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*d", &values, &bound))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    yes = all_within(values.buf, COUNT(values, double), bound);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&values);
    return PyBool_FromLong(yes);
}

static PyMethodDef methods[] = {
    {"refit", refit, METH_VARARGS, "Users' best vectors under all items."},
    {"item_steps", item_steps, METH_VARARGS, "What ratings add to their items."},
    {"errors", errors, METH_VARARGS, "Users' squared and absolute errors."},
    {"batch", batch, METH_VARARGS, "Steps along both gradients."},
    {"within", within, METH_VARARGS, "Whether all numbers are within a bound."},
    {"to_rows", to_rows, METH_VARARGS, "Steps on the grid, each in its row."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_learning", "Learning with NumPy's bits.", -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__learning(void)
{
    return PyModule_Create(&module);
}
