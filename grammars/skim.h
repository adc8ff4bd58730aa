/* The names that stand in a text where an event's name would: what replay/skim.py finds by `: ?([a-z_0-9]+): `, without an
 * object for each place. Matches do not overlap, as those of `re` do not. And how many lines a text has, which
 * bytes.count goes through byte by byte. */
#define SKIMMED 256

PyDoc_STRVAR(skim_doc, "skim(data, found) -> bool\n\n"
"Add to the set `found` each name that stands behind a colon, and perhaps a blank, and before a colon and a blank.\n"
"Answers whether a name before a colon and a blank stands behind `/* ` or `)   `.");

static const u8 *
name_end(const u8 *p, const u8 *end)
{
    while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
        p++;
    return p;
}

/* Whether a name that ends at `stop` stands behind a comment's beginning or `)   `. */
static int
stands_elsewhere(const u8 *begin, const u8 *stop)
{
    const u8 *p = stop;
    while (p > begin && name_end(p - 1, p) == p)
        p--;
    return p < stop && ((p - begin >= 3 && !memcmp(p - 3, "/* ", 3)) || (p - begin >= 4 && !memcmp(p - 4, ")   ", 4)));
}

/* Up to SKIMMED names into `names`, `count` of them; answers where to go on, NULL at the text's end. Needs no interpreter. */
static const u8 *
skim_on(const u8 *begin, const u8 *p, const u8 *end, Span *last, Span *names, int *count, int *elsewhere)
{
    for (*count = 0; *count < SKIMMED && (p = memchr(p, ':', end - p)) != NULL;) {
        *elsewhere |= p + 1 < end && p[1] == ' ' && stands_elsewhere(begin, p);
        p++;
        const u8 *name = p < end && *p == ' ' ? p + 1 : p, *stop = name_end(name, end);
        if (stop == name || end - stop < 2 || stop[0] != ':' || stop[1] != ' ')
            continue;
        *elsewhere |= stands_elsewhere(begin, stop);
        p = stop + 2;
        size_t length = stop - name;
        Span *known = &last[(name[0] * 31u + stop[-1] * 7u + length * 131u) % SKIMMED];
        if (known->from != NULL && (size_t)(known->to - known->from) == length && !memcmp(known->from, name, length))
            continue;
        *known = names[(*count)++] = (Span){name, stop};
    }
    return p;
}

static PyObject *
module_skim(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *data, *found;
    Span last[SKIMMED] = {{NULL, NULL}}; /* names as they were last met, by their ends and length */
    Span names[SKIMMED];
    if (!PyArg_ParseTuple(args, "SO!", &data, &PySet_Type, &found))
        return NULL;
    const u8 *begin = (const u8 *)PyBytes_AS_STRING(data), *p = begin, *end = p + PyBytes_GET_SIZE(data);
    int elsewhere = 0, count;
    while (p != NULL) {
        Py_BEGIN_ALLOW_THREADS
        p = skim_on(begin, p, end, last, names, &count, &elsewhere);
        Py_END_ALLOW_THREADS
        for (int i = 0; i < count; i++) {
            PyObject *text = PyBytes_FromStringAndSize((const char *)names[i].from, names[i].to - names[i].from);
            if (text == NULL || PySet_Add(found, text) < 0) {
                Py_XDECREF(text);
                return NULL;
            }
            Py_DECREF(text);
        }
    }
    return PyBool_FromLong(elsewhere);
}

PyDoc_STRVAR(newlines_doc, "newlines(data) -> int\n\nHow many newlines stand in `data`.");

static PyObject *
module_newlines(PyObject *Py_UNUSED(module), PyObject *data)
{
    if (!PyBytes_Check(data))
        return PyErr_Format(PyExc_TypeError, "bytes are wanted");
    const u8 *p = (const u8 *)PyBytes_AS_STRING(data);
    Py_ssize_t size = PyBytes_GET_SIZE(data), count = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < size; i++)
        count += p[i] == '\n';
    Py_END_ALLOW_THREADS
    return PyLong_FromSsize_t(count);
}
