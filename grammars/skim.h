/* The names that stand in a text where an event's name would: what replay/skim.py finds by `: ?([a-z_0-9]+): `, without an
 * object for each place. Matches do not overlap, as those of `re` do not. */
#define SKIMMED 256

PyDoc_STRVAR(skim_doc, "skim(data, found) -> None\n\n"
"Add to the set `found` each name that stands behind a colon, and perhaps a blank, and before a colon and a blank.");

static const u8 *
name_end(const u8 *p, const u8 *end)
{
    while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
        p++;
    return p;
}

static PyObject *
module_skim(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *data, *found;
    Span last[SKIMMED] = {{NULL, NULL}}; /* names as they were last met, by their ends and length */
    if (!PyArg_ParseTuple(args, "SO!", &data, &PySet_Type, &found))
        return NULL;
    const u8 *p = (const u8 *)PyBytes_AS_STRING(data), *end = p + PyBytes_GET_SIZE(data);
    while ((p = memchr(p, ':', end - p)) != NULL) {
        p++;
        const u8 *name = p < end && *p == ' ' ? p + 1 : p, *stop = name_end(name, end);
        if (stop == name || end - stop < 2 || stop[0] != ':' || stop[1] != ' ')
            continue;
        p = stop + 2;
        size_t length = stop - name;
        Span *known = &last[(name[0] * 31u + stop[-1] * 7u + length * 131u) % SKIMMED];
        if (known->from != NULL && (size_t)(known->to - known->from) == length && !memcmp(known->from, name, length))
            continue;
        PyObject *text = PyBytes_FromStringAndSize((const char *)name, length);
        if (text == NULL || PySet_Add(found, text) < 0) {
            Py_XDECREF(text);
            return NULL;
        }
        Py_DECREF(text);
        *known = (Span){name, stop};
    }
    Py_RETURN_NONE;
}
