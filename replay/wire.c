/* Structs of known classes as bytes, and back: what one process of a replay hands to the next (replay/apart.py).
 *
 * A value is a tag and what the tag says: numbers are LEB128. A str, bytes, or struct of a class that is shared, met again
 * in one call of dumps, is named by the order in which it was met; so that what was one object is one object again.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>

enum { NONE, YES, NO, POSITIVE, NEGATIVE, BIG, STR, ODD_STR, BYTES, LIST, TUPLE, AGAIN, STRUCT };
enum { MOST_KINDS = 200, KIND_SLOTS = 1024, MOST_FIELDS = 32 };

typedef struct {
    PyTypeObject *type;
    Py_ssize_t size;
    Py_ssize_t offset[MOST_FIELDS];
    int shared;
} Kind;

typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    Kind *kinds;
    int16_t slots[KIND_SLOTS]; /* of a type's address: number of its kind + 1 */
} Wire;

/* --- out ------------------------------------------------------------------------------------------------------- */

typedef struct { PyObject *object; uint32_t number, call; } Met;

typedef struct {
    Wire *wire;
    char *data;
    size_t used, room;
    Met *met;
    size_t mask, count;
} Out;

static inline size_t spread(const void *pointer)
{
    uint64_t key = (uint64_t)(uintptr_t)pointer >> 4;
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

static int kind_of(const Wire *wire, PyTypeObject *type)
{
    for (size_t slot = spread(type);; slot++) {
        int found = wire->slots[slot % KIND_SLOTS];
        if (!found)
            return -1;
        if (wire->kinds[found - 1].type == type)
            return found - 1;
    }
}

static int grow(Out *out, size_t more)
{
    size_t room = out->room * 2;
    while (room < out->used + more)
        room *= 2;
    char *data = PyMem_Realloc(out->data, room);
    if (!data) {
        PyErr_NoMemory();
        return -1;
    }
    out->data = data;
    out->room = room;
    return 0;
}

static inline int reserve(Out *out, size_t more)
{
    return out->used + more > out->room ? grow(out, more) : 0;
}

static inline void put_number(Out *out, uint64_t value)
{
    while (value >= 0x80) {
        out->data[out->used++] = (char)(value | 0x80);
        value >>= 7;
    }
    out->data[out->used++] = (char)value;
}

static inline int put(Out *out, int tag, uint64_t value)
{
    if (reserve(out, 12))
        return -1;
    out->data[out->used++] = (char)tag;
    put_number(out, value);
    return 0;
}

static int put_bytes(Out *out, int tag, const char *data, Py_ssize_t size)
{
    if (put(out, tag, (uint64_t)size) || reserve(out, (size_t)size))
        return -1;
    memcpy(out->data + out->used, data, (size_t)size);
    out->used += (size_t)size;
    return 0;
}

static int more_met(Out *out)
{
    size_t size = (out->mask + 1) * 2;
    Met *met = PyMem_Calloc(size, sizeof *met);
    if (!met) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i <= out->mask; i++) {
        if (!out->met[i].object)
            continue;
        size_t slot = spread(out->met[i].object) & (size - 1);
        while (met[slot].object)
            slot = (slot + 1) & (size - 1);
        met[slot] = out->met[i];
    }
    PyMem_Free(out->met);
    out->met = met;
    out->mask = size - 1;
    return 0;
}

/* 1: written as met before; 0: new. */
static int again(Out *out, PyObject *object)
{
    for (size_t slot = spread(object) & out->mask; out->met[slot].object; slot = (slot + 1) & out->mask) {
        if (out->met[slot].object == object)
            return put(out, AGAIN, out->met[slot].number) ? -1 : 1;
    }
    return 0;
}

static int remember(Out *out, PyObject *object)
{
    if (out->count * 2 > out->mask && more_met(out))
        return -1;
    size_t slot = spread(object) & out->mask;
    while (out->met[slot].object)
        slot = (slot + 1) & out->mask;
    out->met[slot].object = object;
    out->met[slot].number = (uint32_t)out->count++;
    return 0;
}

static int put_int(Out *out, PyObject *object)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (value == -1 && !overflow && PyErr_Occurred())
        return -1;
    if (!overflow)
        return value < 0 ? put(out, NEGATIVE, ~(uint64_t)value) : put(out, POSITIVE, (uint64_t)value);
    if (overflow > 0) {
        unsigned long long large = PyLong_AsUnsignedLongLong(object);
        if (!PyErr_Occurred())
            return put(out, POSITIVE, large);
        PyErr_Clear();
    }
    PyObject *text = PyNumber_ToBase(object, 16);
    if (!text)
        return -1;
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    int failed = !data || put_bytes(out, BIG, data, size);
    Py_DECREF(text);
    return failed ? -1 : 0;
}

static int put_str(Out *out, PyObject *object)
{
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(object, &size);
    if (data)
        return put_bytes(out, STR, data, size);
    PyErr_Clear();
    PyObject *odd = PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass");
    if (!odd)
        return -1;
    int failed = put_bytes(out, ODD_STR, PyBytes_AS_STRING(odd), PyBytes_GET_SIZE(odd));
    Py_DECREF(odd);
    return failed;
}

static int put_value(Out *out, PyObject *object);

static int put_items(Out *out, int tag, PyObject *const *items, Py_ssize_t size)
{
    if (put(out, tag, (uint64_t)size) || Py_EnterRecursiveCall(" in what is sent"))
        return -1;
    int failed = 0;
    for (Py_ssize_t i = 0; i < size && !failed; i++)
        failed = put_value(out, items[i]);
    Py_LeaveRecursiveCall();
    return failed;
}

static int put_struct(Out *out, PyObject *object)
{
    int number = kind_of(out->wire, Py_TYPE(object));
    if (number < 0) {
        PyErr_Format(PyExc_TypeError, "a %s cannot be sent", Py_TYPE(object)->tp_name);
        return -1;
    }
    const Kind *kind = &out->wire->kinds[number];
    if (kind->shared) {
        int known = again(out, object);
        if (known)
            return known < 0 ? -1 : 0;
    }
    if (reserve(out, 1) || Py_EnterRecursiveCall(" in what is sent"))
        return -1;
    out->data[out->used++] = (char)(STRUCT + number);
    int failed = 0;
    for (Py_ssize_t i = 0; i < kind->size && !failed; i++) {
        PyObject *value = *(PyObject **)((char *)object + kind->offset[i]);
        if (!value) {
            PyErr_Format(PyExc_AttributeError, "a field of %s is not set", kind->type->tp_name);
            failed = -1;
        } else
            failed = put_value(out, value);
    }
    Py_LeaveRecursiveCall();
    return failed || (kind->shared && remember(out, object)) ? -1 : 0;
}

static int put_value(Out *out, PyObject *object)
{
    if (object == Py_None || object == Py_True || object == Py_False) {
        if (reserve(out, 1))
            return -1;
        out->data[out->used++] = (char)(object == Py_None ? NONE : object == Py_True ? YES : NO);
        return 0;
    }
    if (PyLong_CheckExact(object))
        return put_int(out, object);
    int text = PyUnicode_CheckExact(object);
    if (text || PyBytes_CheckExact(object)) {
        int known = again(out, object);
        if (known)
            return known < 0 ? -1 : 0;
        int failed = text ? put_str(out, object)
                          : put_bytes(out, BYTES, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
        return failed ? -1 : remember(out, object);
    }
    if (PyList_CheckExact(object))
        return put_items(out, LIST, ((PyListObject *)object)->ob_item, PyList_GET_SIZE(object));
    if (PyTuple_CheckExact(object))
        return put_items(out, TUPLE, ((PyTupleObject *)object)->ob_item, PyTuple_GET_SIZE(object));
    return put_struct(out, object);
}

static PyObject *dumps(PyObject *self, PyObject *object)
{
    Out out = {.wire = (Wire *)self, .room = 1 << 16, .mask = (1 << 12) - 1};
    PyObject *result = NULL;
    out.data = PyMem_Malloc(out.room);
    out.met = PyMem_Calloc(out.mask + 1, sizeof *out.met);
    if (!out.data || !out.met)
        PyErr_NoMemory();
    else if (!put_value(&out, object))
        result = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.used);
    PyMem_Free(out.data);
    PyMem_Free(out.met);
    return result;
}

/* --- in -------------------------------------------------------------------------------------------------------- */

typedef struct {
    Wire *wire;
    const unsigned char *at, *end;
    PyObject **met;
    size_t count, room;
} In;

static PyObject *broken(void)
{
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "what was sent is cut short, or of another kind");
    return NULL;
}

static inline int number(In *in, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; in->at < in->end && shift < 64; shift += 7) {
        unsigned char byte = *in->at++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return 0;
    }
    broken();
    return -1;
}

static int length(In *in, Py_ssize_t *size)
{
    uint64_t value;
    if (number(in, &value))
        return -1;
    if (value > (uint64_t)(in->end - in->at)) {
        broken();
        return -1;
    }
    *size = (Py_ssize_t)value;
    return 0;
}

/* Takes over nothing: keeps a reference of its own. */
static PyObject *kept(In *in, PyObject *object)
{
    if (!object)
        return NULL;
    if (in->count == in->room) {
        size_t room = in->room ? in->room * 2 : 1024;
        PyObject **met = PyMem_Realloc(in->met, room * sizeof *met);
        if (!met) {
            Py_DECREF(object);
            return PyErr_NoMemory();
        }
        in->met = met;
        in->room = room;
    }
    Py_INCREF(object);
    in->met[in->count++] = object;
    return object;
}

static PyObject *value(In *in);

static PyObject *items(In *in, int tuple)
{
    Py_ssize_t size;
    if (length(in, &size) || Py_EnterRecursiveCall(" in what was sent"))
        return NULL;
    PyObject *result = tuple ? PyTuple_New(size) : PyList_New(size);
    for (Py_ssize_t i = 0; result && i < size; i++) {
        PyObject *item = value(in);
        if (!item)
            Py_CLEAR(result);
        else if (tuple)
            PyTuple_SET_ITEM(result, i, item);
        else
            PyList_SET_ITEM(result, i, item);
    }
    Py_LeaveRecursiveCall();
    return result;
}

static PyObject *made(In *in, size_t tag)
{
    if (tag >= (size_t)in->wire->count)
        return broken();
    const Kind *kind = &in->wire->kinds[tag];
    PyObject *fields[MOST_FIELDS], *result = NULL;
    Py_ssize_t read = 0;
    if (Py_EnterRecursiveCall(" in what was sent"))
        return NULL;
    while (read < kind->size && (fields[read] = value(in)))
        read++;
    Py_LeaveRecursiveCall();
    if (read == kind->size)
        result = PyObject_Vectorcall((PyObject *)kind->type, fields, (size_t)read, NULL);
    while (read)
        Py_DECREF(fields[--read]);
    return kind->shared ? kept(in, result) : result;
}

static PyObject *text(In *in, int tag)
{
    Py_ssize_t size;
    if (length(in, &size))
        return NULL;
    const char *data = (const char *)in->at;
    in->at += size;
    switch (tag) {
    case STR: {
        PyObject *found = PyUnicode_DecodeUTF8(data, size, NULL);
        if (found)
            PyUnicode_InternInPlace(&found);
        return kept(in, found);
    }
    case ODD_STR:
        return kept(in, PyUnicode_DecodeUTF8(data, size, "surrogatepass"));
    case BYTES:
        return kept(in, PyBytes_FromStringAndSize(data, size));
    default: {
        PyObject *digits = PyUnicode_DecodeASCII(data, size, NULL);
        PyObject *found = digits ? PyLong_FromUnicodeObject(digits, 16) : NULL;
        Py_XDECREF(digits);
        return found;
    }
    }
}

static PyObject *value(In *in)
{
    if (in->at >= in->end)
        return broken();
    int tag = *in->at++;
    uint64_t found;
    switch (tag) {
    case NONE:
        Py_RETURN_NONE;
    case YES:
        Py_RETURN_TRUE;
    case NO:
        Py_RETURN_FALSE;
    case POSITIVE:
        return number(in, &found) ? NULL : PyLong_FromUnsignedLongLong(found);
    case NEGATIVE:
        return number(in, &found) ? NULL : PyLong_FromLongLong((long long)~found);
    case BIG:
    case STR:
    case ODD_STR:
    case BYTES:
        return text(in, tag);
    case LIST:
    case TUPLE:
        return items(in, tag == TUPLE);
    case AGAIN:
        if (number(in, &found))
            return NULL;
        if (found >= in->count)
            return broken();
        return Py_NewRef(in->met[found]);
    default:
        return made(in, (size_t)tag - STRUCT);
    }
}

static PyObject *loads(PyObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE))
        return NULL;
    In in = {.wire = (Wire *)self, .at = view.buf, .end = (const unsigned char *)view.buf + view.len};
    PyObject *result = value(&in);
    if (result && in.at != in.end) {
        Py_CLEAR(result);
        broken();
    }
    while (in.count)
        Py_DECREF(in.met[--in.count]);
    PyMem_Free(in.met);
    PyBuffer_Release(&view);
    return result;
}

/* --- the classes ----------------------------------------------------------------------------------------------- */

static int learn(Kind *kind, PyTypeObject *type)
{
    PyObject *names = PyObject_GetAttrString((PyObject *)type, "__struct_fields__");
    if (!names)
        return -1;
    kind->type = type;
    kind->size = PyTuple_Check(names) ? PyTuple_GET_SIZE(names) : -1;
    int failed = kind->size < 0 || kind->size > MOST_FIELDS;
    for (Py_ssize_t i = 0; !failed && i < kind->size; i++) {
        PyObject *place = PyObject_GetAttr((PyObject *)type, PyTuple_GET_ITEM(names, i));
        PyMemberDef *member = place && Py_IS_TYPE(place, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)place)->d_member : NULL;
        failed = !member || member->type != T_OBJECT_EX;
        if (!failed)
            kind->offset[i] = member->offset;
        Py_XDECREF(place);
    }
    Py_DECREF(names);
    if (failed) {
        PyErr_Format(PyExc_TypeError, "%s is no struct with fields of its own", type->tp_name);
        return -1;
    }
    return 0;
}

static PyObject *wire_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *classes, *shared;
    static char *names[] = {"classes", "shared", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!O", names, &PyTuple_Type, &classes, &shared))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(classes);
    if (count > MOST_KINDS) {
        PyErr_SetString(PyExc_ValueError, "too many classes");
        return NULL;
    }
    Wire *self = (Wire *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->kinds = PyMem_Calloc((size_t)count + 1, sizeof *self->kinds);
    if (!self->kinds) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *one = PyTuple_GET_ITEM(classes, i);
        int is_shared = PyType_Check(one) ? PySequence_Contains(shared, one) : 0;
        if (!PyType_Check(one) || is_shared < 0 || learn(&self->kinds[i], (PyTypeObject *)one)) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "classes are wanted");
            Py_DECREF(self);
            return NULL;
        }
        Py_INCREF(one);
        self->kinds[i].shared = is_shared;
        self->count = i + 1;
        size_t slot = spread(one) % KIND_SLOTS;
        while (self->slots[slot])
            slot = (slot + 1) % KIND_SLOTS;
        self->slots[slot] = (int16_t)(i + 1);
    }
    return (PyObject *)self;
}

static void wire_dealloc(PyObject *object)
{
    Wire *self = (Wire *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (Py_ssize_t i = 0; i < self->count; i++)
        Py_DECREF(self->kinds[i].type);
    PyMem_Free(self->kinds);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"dumps", dumps, METH_O, "bytes that say `value`: None, bool, int, str, bytes, list, tuple, or a struct of a class known here"},
    {"loads", loads, METH_O, "the value that `data` says; raises ValueError where it is cut short"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, wire_new},
    {Py_tp_dealloc, wire_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Wire(classes, shared): structs of `classes` as bytes, and back; those of `shared` stay one object where they are one"},
    {0, NULL},
};

static PyType_Spec spec = {"mmlist.replay._wire.Wire", sizeof(Wire), 0, Py_TPFLAGS_DEFAULT, slots};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_wire", .m_doc = "See wire.c.", .m_size = -1};

PyMODINIT_FUNC PyInit__wire(void)
{
    PyObject *made_module = PyModule_Create(&module);
    PyObject *wire = PyType_FromSpec(&spec);
    if (!made_module || !wire || PyModule_AddObject(made_module, "Wire", wire) < 0)
        return NULL;
    return made_module;
}
