/* Paillier's arithmetic on WIDTH numbers at a time as a module of Python. Included by one file per kernel, which
   says MODULE, the way of multiplying (FEDMF_IFMA, or else fma.h), its WIDTH, or why it is FOREIGN here.

   Long because every function that Python can call checks its arguments here, with the same few macros.

   Functions take contiguous buffers, check their sizes, and work without the interpreter's lock. What the
   arrays hold is said in native_kernel.py, the only caller. On a foreign processor the module has `obstacle` only. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if !defined(FOREIGN) && !defined(__GNUC__)
#define FOREIGN "it was compiled by neither gcc nor clang"
#endif

#ifndef FOREIGN

#ifdef FEDMF_IFMA
#include "ifma.h"
#else
#include "fma.h"
#endif
#include "convert.h"
#include "sizes.h"

/* Products of limbs against 128-bit integers: an emulator may not round as the processor would. */
SHARED int products_agree(void) {
    uint64_t a = LIMB_MASK, b = LIMB_MASK;
    int agree = 1;
    for (int turn = 0; turn < 64; turn++) {
        const unsigned __int128 product = (unsigned __int128)a * b;
        Lanes low = all(turn), high = all(turn);
        const Factors factor = factors_of(all(b));
        add_product(&low, &high, factors_of(all(a)), &factor);
        low -= EXCESS(1, 0);
        high -= EXCESS(0, 1);
        agree &= !any(low - turn - ((uint64_t)product & LIMB_MASK));
        agree &= !any(high - turn - (uint64_t)(product >> LIMB_BITS));
        a = (a * 0x5851f42d4c957f2d + 1) & LIMB_MASK;
        b = (b + a) & LIMB_MASK;
    }
    return agree;
}

static const char *find_obstacle(void) {
    static int agree = -1;
    const char *obstacle = cpu_obstacle();
    if (obstacle != NULL) return obstacle;
    if (agree < 0) {
        Mode before = begin_products();
        agree = products_agree();
        end_products(before);
    }
    return agree ? NULL : "products of limbs come out wrong here, as under some emulators";
}

/* The size with so many limbs, or NULL with an exception. */
static const Size *find_size(int limbs, int of_a_prime) {
    const char *obstacle = find_obstacle();
    if (obstacle != NULL) {
        PyErr_SetString(PyExc_RuntimeError, obstacle);
        return NULL;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].limbs == limbs && (!of_a_prime || sizes[i].encrypt != NULL)) return &sizes[i];
    PyErr_Format(PyExc_ValueError, "no arithmetic for %d limbs", limbs);
    return NULL;
}

static int sizes_agree(int agree) {
    if (!agree) PyErr_SetString(PyExc_ValueError, "the sizes of the arrays do not agree");
    return agree;
}

static void *workspace(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) PyErr_NoMemory();
    return memory;
}

static void release(Py_buffer *buffers, int count) {
    for (int i = 0; i < count; i++) PyBuffer_Release(&buffers[i]);
}

PyDoc_STRVAR(encrypt_doc, "encrypt(limbs, window, rows, prime_bytes, pieces, plaintext_bytes, ciphertext_bytes,\n"
                          "        words, joint, table, digits, shifts, plaintexts, wire)");

static PyObject *encrypt(PyObject *module, PyObject *args) {
    (void)module;
    int limbs, window;
    Py_ssize_t rows, prime_bytes, pieces, plaintext_bytes, ciphertext_bytes;
    Py_buffer b[7];
    if (!PyArg_ParseTuple(args, "iinnnnny*y*y*y*y*y*w*", &limbs, &window, &rows, &prime_bytes, &pieces,
                          &plaintext_bytes, &ciphertext_bytes, &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6]))
        return NULL;
    PyObject *result = NULL;
    void *memory = NULL;
    const Size *size = find_size(limbs, 1);
    if (size == NULL) goto end;
    if (!sizes_agree(window >= 1 && window <= 8 && rows >= 1 && prime_bytes >= 4 && prime_bytes % 4 == 0 &&
                     8 * prime_bytes <= LIMB_BITS * limbs - 8 && pieces >= 1 && plaintext_bytes >= 1 &&
                     8 * plaintext_bytes <= 2 * LIMB_BITS * limbs && ciphertext_bytes >= 1 &&
                     (rows + 1) >> (LIMB_BITS * limbs - 8 * prime_bytes < 31 ? LIMB_BITS * limbs - 8 * prime_bytes : 31) == 0))
        goto end;
    Py_ssize_t count = b[6].len / ciphertext_bytes;
    if (!sizes_agree(b[6].len == count * ciphertext_bytes && b[5].len == count * plaintext_bytes &&
                     b[4].len == 2 * pieces * prime_bytes && b[3].len == count * 2 * rows &&
                     b[2].len == (2 * rows << window) * 2 * prime_bytes && b[1].len == 12 * limbs * 8 &&
                     b[0].len == 2 * ENCRYPT_WORDS * limbs * 8))
        goto end;
    memory = workspace(size->encrypt_bytes);
    if (memory == NULL) goto end;
    const uint64_t *words = b[0].buf;
    Blinds blinds = {
        .words = {words, words + ENCRYPT_WORDS * limbs}, .joint = b[1].buf, .table = b[2].buf, .digits = b[3].buf,
        .shifts = b[4].buf, .plaintexts = b[5].buf, .count = count, .rows = rows, .window = window,
        .prime_bytes = prime_bytes, .pieces = pieces, .plaintext_bytes = plaintext_bytes,
        .ciphertext_bytes = ciphertext_bytes};
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->encrypt(memory, &blinds, b[6].buf);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    free(memory);
    release(b, 7);
    return result;
}

/* (count, 2) uint16 steps of an exponentiation; the first one only names a power. */
static int steps_are_sound(const Py_buffer *buffer) {
    const uint16_t (*steps)[2] = buffer->buf;
    return sizes_agree(buffer->len >= 4 && buffer->len % 4 == 0 && steps[0][1] < ODD_POWERS);
}

PyDoc_STRVAR(decrypt_doc, "decrypt(limbs, pieces, plaintext_bytes, ciphertext_bytes,\n"
                          "        words, joint, steps_p, steps_q, shifts, wire, plaintexts)");

static PyObject *decrypt(PyObject *module, PyObject *args) {
    (void)module;
    int limbs;
    Py_ssize_t pieces, plaintext_bytes, ciphertext_bytes;
    Py_buffer b[7];
    if (!PyArg_ParseTuple(args, "innny*y*y*y*y*y*w*", &limbs, &pieces, &plaintext_bytes, &ciphertext_bytes, &b[0],
                          &b[1], &b[2], &b[3], &b[4], &b[5], &b[6]))
        return NULL;
    PyObject *result = NULL;
    void *memory = NULL;
    const Size *size = find_size(limbs, 1);
    if (size == NULL || !steps_are_sound(&b[2]) || !steps_are_sound(&b[3])) goto end;
    if (!sizes_agree(pieces >= 1 && plaintext_bytes >= 1 && ciphertext_bytes >= 1 &&
                     8 * ciphertext_bytes <= 4 * LIMB_BITS * limbs))
        goto end;
    Py_ssize_t count = b[6].len / plaintext_bytes;
    if (!sizes_agree(b[6].len == count * plaintext_bytes && b[5].len == count * ciphertext_bytes &&
                     b[4].len == 2 * pieces * limbs * 8 && b[1].len == 12 * limbs * 8 &&
                     b[0].len == 2 * DECRYPT_WORDS * limbs * 8))
        goto end;
    memory = workspace(size->power_bytes);
    if (memory == NULL) goto end;
    const uint64_t *words = b[0].buf;
    Reading reading = {
        .words = {words, words + DECRYPT_WORDS * limbs}, .joint = b[1].buf, .steps = {b[2].buf, b[3].buf},
        .step_count = {b[2].len / 4, b[3].len / 4}, .shifts = b[4].buf, .wire = b[5].buf, .count = count,
        .pieces = pieces, .plaintext_bytes = plaintext_bytes, .ciphertext_bytes = ciphertext_bytes};
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->decrypt(memory, &reading, b[6].buf);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    free(memory);
    release(b, 7);
    return result;
}

PyDoc_STRVAR(power_doc, "power(limbs, modulus, steps, numbers)");

static PyObject *power(PyObject *module, PyObject *args) {
    (void)module;
    int limbs;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "iy*y*w*", &limbs, &b[0], &b[1], &b[2])) return NULL;
    PyObject *result = NULL;
    void *memory = NULL;
    const Size *size = find_size(limbs, 1);
    if (size == NULL || !steps_are_sound(&b[1])) goto end;
    Py_ssize_t count = b[2].len / (16 * limbs);
    if (!sizes_agree(b[2].len == count * 16 * limbs && b[0].len == 16 * limbs)) goto end;
    memory = workspace(size->power_bytes);
    if (memory == NULL) goto end;
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->power(memory, b[0].buf, b[2].buf, count, b[1].buf, b[1].len / 4);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    free(memory);
    release(b, 3);
    return result;
}

PyDoc_STRVAR(table_rows_doc, "table_rows(limbs, modulus, bases, inverses, count, entry_bytes, entries)");

static PyObject *table_rows(PyObject *module, PyObject *args) {
    (void)module;
    int limbs;
    Py_ssize_t powers, entry_bytes;
    Py_buffer b[4];
    if (!PyArg_ParseTuple(args, "iy*y*y*nnw*", &limbs, &b[0], &b[1], &b[2], &powers, &entry_bytes, &b[3]))
        return NULL;
    PyObject *result = NULL;
    const Size *size = find_size(limbs, 1);
    if (size == NULL) goto end;
    Py_ssize_t rows = b[1].len / (16 * limbs);
    if (!sizes_agree(b[0].len == 16 * limbs && b[1].len == rows * 16 * limbs && b[2].len == b[1].len &&
                     powers >= 1 && powers <= 256 && entry_bytes >= 2 && entry_bytes % 2 == 0 &&
                     entry_bytes <= LIMB_BITS * limbs / 4 && b[3].len == rows * powers * entry_bytes))
        goto end;
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->table_rows(b[0].buf, b[1].buf, b[2].buf, rows, powers, b[3].buf, entry_bytes / 2);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    release(b, 4);
    return result;
}

/* 0 < c < limit for little-endian numbers. */
static int within(const uint8_t *c, const uint8_t *limit, Py_ssize_t size) {
    int positive = 0;
    for (Py_ssize_t i = size - 1; i >= 0; i--) {
        if (c[i] > limit[i]) return 0;
        if (c[i] < limit[i]) {
            for (; i >= 0 && !positive; i--) positive = c[i] != 0;
            return positive;
        }
        positive |= c[i] != 0;
    }
    return 0;
}

PyDoc_STRVAR(read_doc, "read(limbs, modulus, limit, wire, numbers, product) -> whether all numbers are within the limit");

static PyObject *read_numbers(PyObject *module, PyObject *args) {
    (void)module;
    int limbs, sound = 1;
    Py_buffer b[5];
    if (!PyArg_ParseTuple(args, "iy*y*y*w*w*", &limbs, &b[0], &b[1], &b[2], &b[3], &b[4])) return NULL;
    PyObject *result = NULL;
    const Size *size = find_size(limbs, 0);
    if (size == NULL) goto end;
    Py_ssize_t bytes = b[1].len, count = b[3].len / (16 * limbs);
    if (!sizes_agree(b[0].len == 16 * limbs && bytes % 4 == 0 && 8 * bytes <= 2 * LIMB_BITS * limbs && b[2].len == count * bytes &&
                     b[3].len == count * 16 * limbs && b[4].len == LIMB_BITS * limbs / 8))
        goto end;
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    const uint8_t *wire = b[2].buf;
    for (Py_ssize_t i = 0; i < count && sound; i++) sound = within(wire + i * bytes, b[1].buf, bytes);
    if (sound) size->read(b[0].buf, wire, count, bytes, b[3].buf, b[4].buf);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = PyBool_FromLong(sound);
end:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(multiply_doc, "multiply(limbs, modulus, sums, targets, numbers)");

static PyObject *multiply(PyObject *module, PyObject *args) {
    (void)module;
    int limbs;
    Py_buffer b[4];
    if (!PyArg_ParseTuple(args, "iy*w*y*y*", &limbs, &b[0], &b[1], &b[2], &b[3])) return NULL;
    PyObject *result = NULL;
    const Size *size = find_size(limbs, 0);
    if (size == NULL) goto end;
    Py_ssize_t count = b[2].len / 8, sums = b[1].len / (16 * limbs);
    if (!sizes_agree(b[0].len == 16 * limbs && b[1].len == sums * 16 * limbs && b[2].len == count * 8 &&
                     b[3].len == count * 16 * limbs))
        goto end;
    const int64_t *targets = b[2].buf;
    for (Py_ssize_t i = 0; i < count; i++)
        if (targets[i] < 0 || targets[i] >= sums) {
            PyErr_Format(PyExc_IndexError, "there is no sum %lld", (long long)targets[i]);
            goto end;
        }
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->multiply(b[0].buf, b[1].buf, targets, b[3].buf, count);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    release(b, 4);
    return result;
}

PyDoc_STRVAR(write_doc, "write(limbs, modulus, numbers, bytes, wire)");

static PyObject *write_numbers(PyObject *module, PyObject *args) {
    (void)module;
    int limbs;
    Py_ssize_t bytes;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "iy*y*nw*", &limbs, &b[0], &b[1], &bytes, &b[2])) return NULL;
    PyObject *result = NULL;
    const Size *size = find_size(limbs, 0);
    if (size == NULL) goto end;
    Py_ssize_t count = b[1].len / (16 * limbs);
    if (!sizes_agree(bytes >= 1 && b[0].len == 16 * limbs && b[1].len == count * 16 * limbs &&
                     b[2].len == count * bytes))
        goto end;
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    size->write(b[0].buf, b[1].buf, count, b[2].buf, bytes);
    end_products(before);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    release(b, 3);
    return result;
}

/* Independent multiply-adds, as fast as they go. */
#if defined(__x86_64__) && !defined(FEDMF_IFMA) && WIDTH < 8
#define CHAINS 8 /* of sixteen registers */
#else
#define CHAINS 16
#endif

SHARED uint64_t multiply_adds(long long turns) {
    Lanes sum[CHAINS];
    Factors a = factors_of(all(0x123456789abcd));
    for (int i = 0; i < CHAINS; i++) sum[i] = all(i);
    for (long long turn = 0; turn < turns; turn++) {
        UNROLL
        for (int i = 0; i < 32; i++) {
#ifdef FEDMF_IFMA
            add_low(&sum[i % CHAINS], a, &a);
#else
            sum[i % CHAINS] = (Lanes)fused((Factors)sum[i % CHAINS], same(0.5), a);
#endif
        }
    }
    for (int i = 1; i < CHAINS; i++) sum[0] += sum[i];
    return sum[0][0];
}

/* Independent products of limbs, both halves added to sums, as fast as they go. */
SHARED uint64_t whole_products(long long turns) {
    enum { COLUMNS = 8 };
    Lanes sum[COLUMNS];
    Factors a[4], b[COLUMNS];
    for (int i = 0; i < 4; i++) a[i] = factors_of(all(0x123456789abcd + i));
    for (int i = 0; i < COLUMNS; i++) sum[i] = all(i), b[i] = factors_of(all(0xfedcba987654 + i));
    for (long long turn = 0; turn < turns; turn++) {
        const Factors factor = a[turn % 4]; /* or compilers compute products once for all turns */
        UNROLL
        for (int i = 0; i < 32; i++) add_product(&sum[i % COLUMNS], &sum[(i + 1) % COLUMNS], factor, &b[i % COLUMNS]);
    }
    for (int i = 1; i < COLUMNS; i++) sum[0] += sum[i];
    return sum[0][0];
}

PyDoc_STRVAR(ceiling_doc, "ceiling(turns, products): 32 independent multiply-adds a turn, or whole products of limbs; the "
                          "result only says they were made");

static PyObject *ceiling(PyObject *module, PyObject *args) {
    (void)module;
    long long turns;
    int products;
    uint64_t sum;
    if (!PyArg_ParseTuple(args, "Lp", &turns, &products) || find_size(20, 0) == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS
    Mode before = begin_products();
    sum = products ? whole_products(turns) : multiply_adds(turns);
    end_products(before);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

#define METHODS                                                    \
    {"encrypt", encrypt, METH_VARARGS, encrypt_doc},               \
        {"decrypt", decrypt, METH_VARARGS, decrypt_doc},           \
        {"power", power, METH_VARARGS, power_doc},                 \
        {"table_rows", table_rows, METH_VARARGS, table_rows_doc},  \
        {"read", read_numbers, METH_VARARGS, read_doc},            \
        {"multiply", multiply, METH_VARARGS, multiply_doc},        \
        {"write", write_numbers, METH_VARARGS, write_doc},         \
        {"ceiling", ceiling, METH_VARARGS, ceiling_doc},

#else

#define METHODS

static const char *find_obstacle(void) { return FOREIGN; }

#endif

PyDoc_STRVAR(obstacle_doc, "obstacle() -> why this machine cannot run the other functions, or None");

static PyObject *obstacle(PyObject *module, PyObject *args) {
    (void)module;
    (void)args;
    const char *found = find_obstacle();
    return found == NULL ? Py_NewRef(Py_None) : PyUnicode_FromString(found);
}

#define NAME_(module) #module
#define NAME(module) NAME_(module)
#define INIT_(module) PyInit_##module
#define INIT(module) INIT_(module)

static PyMethodDef methods[] = {
    {"obstacle", obstacle, METH_NOARGS, obstacle_doc}, METHODS{NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, NAME(MODULE), "Paillier's arithmetic on several numbers at a time.", 0, methods,
    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC INIT(MODULE)(void) { return PyModuleDef_Init(&definition); }
