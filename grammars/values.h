/* Bytes of a log into Python's objects: parts of a text are Spans of it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char u8;
typedef struct {
    const u8 *from, *to; /* NULL: it took no part */
} Span;

#define CACHED 1024
#define CACHED_LONGEST 64
#define DIGITS_MOST 18 /* of a number that cannot overflow */

/* A decimal number; 0 if it is none, or a longer one than is read here. */
static int
number_of(Span span, int64_t *number)
{
    const u8 *p = span.from;
    if (p == NULL)
        return 0;
    int negative = p < span.to && *p == '-';
    p += negative;
    if (p == span.to || span.to - p > DIGITS_MOST)
        return 0;
    int64_t found = 0;
    for (; p < span.to; p++) {
        if (*p < '0' || *p > '9')
            return 0;
        found = found * 10 + (*p - '0');
    }
    *number = negative ? -found : found;
    return 1;
}

/* A stamp times what its number of decimals says; 0 if it is none, or has more than is read here. */
static int
moment_of(Span span, PyObject *scale, int64_t *moment)
{
    uint64_t found = 0;
    Py_ssize_t digits = 0, decimals = 0;
    int dot = 0;
    for (const u8 *p = span.from; p < span.to; p++) {
        if (*p == '.' && !dot) {
            dot = 1;
            continue;
        }
        if (*p < '0' || *p > '9' || ++digits > DIGITS_MOST + 1)
            return 0;
        decimals += dot;
        found = found * 10 + (*p - '0');
    }
    if (!digits || decimals >= PyTuple_GET_SIZE(scale))
        return 0;
    long long unit = PyLong_AsLongLong(PyTuple_GET_ITEM(scale, decimals));
    if (unit < 0 || unit > 1000000000)
        return PyErr_Clear(), 0;
    if (found > (uint64_t)INT64_MAX || (unit && found > (uint64_t)(INT64_MAX / unit)))
        return 0;
    *moment = (int64_t)found * unit;
    return 1;
}

/* Where a short text is kept. A log can make texts collide: then it is read as if nothing were kept. */
static uint64_t
place_of(const u8 *p, Py_ssize_t length)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t found = (uint64_t)length, word = 0;
    Py_ssize_t i = 0;
    for (; i + 8 <= length; i += 8) {
        memcpy(&word, p + i, 8);
        found = (found ^ word) * odd;
        found ^= found >> 29;
    }
    if (length >= 8)
        memcpy(&word, p + length - 8, 8);
    else
        for (word = 0; i < length; i++)
            word = word << 8 | p[i];
    return ((found ^ word) * odd) >> 40;
}

/* The bytes: those that were made before, if these are kept in `texts` yet. */
static PyObject *
text(PyObject **texts, const u8 *from, const u8 *to)
{
    Py_ssize_t length = to - from;
    if (length > CACHED_LONGEST || length < 2)
        return PyBytes_FromStringAndSize((const char *)from, length);
    PyObject **cached = &texts[place_of(from, length) % CACHED];
    if (*cached != NULL && PyBytes_GET_SIZE(*cached) == length &&
        memcmp(PyBytes_AS_STRING(*cached), from, length) == 0)
        return Py_NewRef(*cached);
    PyObject *made = PyBytes_FromStringAndSize((const char *)from, length);
    if (made != NULL)
        Py_XSETREF(*cached, Py_NewRef(made));
    return made;
}

/* Calls a class with what it takes over: `given` is released. NULL if one of it is, or it fails. */
static PyObject *
made(PyObject *class, PyObject **given, size_t count)
{
    PyObject *one = NULL;
    size_t there = 0;
    while (there < count && given[there] != NULL)
        there++;
    if (there == count)
        one = PyObject_Vectorcall(class, given, count, NULL);
    for (size_t i = 0; i < count; i++)
        Py_XDECREF(given[i]);
    return one;
}
