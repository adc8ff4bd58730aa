/* Shape.read does what a pattern of replay/payload.py (`_pattern`) does, which defines it: the fields of a text of pairs that
 * are the same each time, of which at most one has a string. */
#define PAIRS_MOST 128 /* MAX_TRACE_ARGS */

typedef struct {
    PyObject_HEAD
    int led;            /* whether a place in parentheses stands before the pairs */
    Py_ssize_t quoted;  /* the one pair whose value is a string, -1: none */
    Py_ssize_t count;
    PyObject *keys, *raw, *empty; /* str; bytes with their `=`; a dict with all keys, which is copied */
} Shape;

static PyObject *values[CACHED]; /* of fields, as they were last seen: addresses come again and again */

static PyObject *
Shape_read(Shape *self, PyObject *args)
{
    if (!PyBytes_Check(args))
        return PyErr_Format(PyExc_TypeError, "bytes are read");
    Span found[PAIRS_MOST];
    const u8 *p = (const u8 *)PyBytes_AS_STRING(args), *end = p + PyBytes_GET_SIZE(args);
    int lined = memchr(p, '\n', end - p) != NULL;
    if (self->led) {
        if (p == end || *p++ != '(')
            Py_RETURN_NONE;
        while (p < end && *p != '(' && *p != ')' && *p != '\n')
            p++;
        if (end - p < 2 || p[0] != ')' || p[1] != ' ')
            Py_RETURN_NONE;
        p += 2;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *key = PyTuple_GET_ITEM(self->raw, i);
        Py_ssize_t length = PyBytes_GET_SIZE(key);
        if (i && (p == end || *p++ != ' '))
            Py_RETURN_NONE;
        if (end - p < length || memcmp(p, PyBytes_AS_STRING(key), length) != 0)
            Py_RETURN_NONE;
        p += length;
        if (i == self->quoted) {
            /* Each pair behind it begins with the one blank that it holds: the string ends before as many. */
            const u8 *q = end;
            if (p == end || *p++ != '"')
                Py_RETURN_NONE;
            for (Py_ssize_t behind = self->count - 1 - i; behind > 0; behind--) {
                do {
                    if (q <= p)
                        Py_RETURN_NONE;
                } while (*--q != ' ');
            }
            if (q <= p || q[-1] != '"')
                Py_RETURN_NONE;
            found[i] = (Span){p, q - 1};
            p = q;
        } else {
            const u8 *stop = memchr(p, ' ', end - p);
            if (stop == NULL)
                stop = end;
            if (lined && memchr(p, '\n', stop - p) != NULL)
                Py_RETURN_NONE; /* no value holds one, nor does anything go on behind it */
            found[i] = (Span){p, stop};
            p = stop;
        }
    }
    if (p != end)
        Py_RETURN_NONE;
    PyObject *fields = PyDict_Copy(self->empty);
    if (fields == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *value = text(values, found[i].from, found[i].to);
        if (value == NULL || PyDict_SetItem(fields, PyTuple_GET_ITEM(self->keys, i), value) < 0) {
            Py_XDECREF(value);
            Py_DECREF(fields);
            return NULL;
        }
        Py_DECREF(value);
    }
    return fields;
}

static void
Shape_dealloc(Shape *self)
{
    Py_XDECREF(self->keys);
    Py_XDECREF(self->raw);
    Py_XDECREF(self->empty);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
Shape_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"keys", "quoted", "led", NULL};
    PyObject *keys;
    Py_ssize_t quoted;
    int led;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!np", keywords, &PyTuple_Type, &keys, &quoted, &led))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(keys);
    if (count > PAIRS_MOST || quoted >= count)
        return PyErr_Format(PyExc_ValueError, "no shape");
    Shape *self = (Shape *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->led = led;
    self->quoted = quoted;
    self->count = count;
    self->keys = PyTuple_New(count);
    self->raw = PyTuple_New(count);
    self->empty = PyDict_New();
    if (self->keys == NULL || self->raw == NULL || self->empty == NULL)
        goto failed;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *key = PyTuple_GET_ITEM(keys, i);
        PyObject *encoded = PyUnicode_Check(key) ? PyUnicode_AsLatin1String(key) : NULL;
        if (encoded == NULL) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "keys are str");
            goto failed;
        }
        PyBytes_ConcatAndDel(&encoded, PyBytes_FromString("="));
        if (encoded == NULL)
            goto failed;
        PyTuple_SET_ITEM(self->raw, i, encoded);
        PyObject *interned = Py_NewRef(key);
        PyUnicode_InternInPlace(&interned);
        PyTuple_SET_ITEM(self->keys, i, interned);
        if (PyDict_SetItem(self->empty, interned, Py_None) < 0)
            goto failed;
    }
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static PyMethodDef Shape_methods[] = {
    {"read", (PyCFunction)Shape_read, METH_O,
     PyDoc_STR("read(args) -> dict | None\n\nThe fields of a text of this shape, None if it is of another.")},
    {NULL},
};

static PyTypeObject ShapeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "mmlist.grammars._scanner.Shape",
    .tp_doc = PyDoc_STR("Reads texts of pairs with these keys; the value of number `quoted` is a string (-1: none is)."),
    .tp_basicsize = sizeof(Shape),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = Shape_new,
    .tp_dealloc = (destructor)Shape_dealloc,
    .tp_methods = Shape_methods,
};
