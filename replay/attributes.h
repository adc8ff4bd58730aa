/* Attributes of structs, read by compiled code at once.
 *
 * mypyc knows the layout of the classes that it compiles; events and records are msgspec's, and it asks Python for each of
 * their fields: a search of the type, a descriptor, a call. Here the place of a field in its object is kept by type and
 * name, once Python was asked. setup.py puts this behind the headers of the C that mypyc makes.
 *
 * A type's version is of it alone and changes when the type or a base of it does (CPython, Objects/typeobject.c:
 * PyType_Modified), so what is kept is what Python would find. All else goes Python's way.
 */
#ifndef MMLIST_ATTRIBUTES_H
#define MMLIST_ATTRIBUTES_H

#include <Python.h>
#include <structmember.h>

#if defined(CPyObject_GetAttr) && defined(__GNUC__) && !defined(Py_GIL_DISABLED)

#define ATTRIBUTES 512 /* a power of two; each compiled module has its own */

static struct {
    PyObject *name; /* a reference of our own; NULL: none yet */
    Py_ssize_t offset;
    unsigned int version;
} attributes[ATTRIBUTES];

/* Where `name` is in an object of `type`: -1 if Python must be asked each time. */
static Py_ssize_t attribute_offset(PyTypeObject *type, PyObject *name) {
    PyObject *found = _PyType_Lookup(type, name); /* borrowed; gives the type a version */
    if (found != NULL && Py_IS_TYPE(found, &PyMemberDescr_Type) && type->tp_getattro == PyObject_GenericGetAttr &&
        PyType_IsSubtype(type, PyDescr_TYPE(found))) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }
    return -1;
}

static PyObject *attribute_asked_for(PyObject *object, PyObject *name, size_t place) {
    PyTypeObject *type = Py_TYPE(object);
    if (attributes[place].name != name || attributes[place].version != type->tp_version_tag) {
        Py_ssize_t offset = attribute_offset(type, name);
        if (type->tp_version_tag != 0) {
            Py_INCREF(name);
            Py_XDECREF(attributes[place].name);
            attributes[place].name = name;
            attributes[place].offset = offset;
            attributes[place].version = type->tp_version_tag;
        }
    }
    return PyObject_GetAttr(object, name);
}

static inline PyObject *attribute(PyObject *object, PyObject *name) {
    unsigned int version = Py_TYPE(object)->tp_version_tag;
    size_t place = (((size_t)name >> 4) + version * 61) & (ATTRIBUTES - 1);
    if (attributes[place].version == version && attributes[place].name == name && attributes[place].offset > 0) {
        PyObject *value = *(PyObject **)((char *)object + attributes[place].offset);
        if (value != NULL) {
            Py_INCREF(value);
            return value;
        }
    }
    return attribute_asked_for(object, name, place);
}

#undef CPyObject_GetAttr
#define CPyObject_GetAttr(object, name) attribute((PyObject *)(object), name)

#endif
#endif
