/* The frame of the extension `_scanner`: what is done with the lines that the functions of dialects.inc match. Those are
 * written from the grammars when the extension is built (native.py); nothing here knows what a line looks like.
 *
 * Scanner.read is the hot loop of replay/parse.py (`Parser._matches`) for the lines that need nothing but reading; it stops
 * before the first that needs more, which is read there. What it does is defined there: equal results are what the tests
 * ask for (tests/test_scanner.py). Over 400 lines: the loop, and the tables of names and CPUs that are its state. */
#include "values.h"
typedef int (*Match)(const u8 *, const u8 *, Span *);

#include "dialects.inc" /* the functions, the array DIALECTS {name, match}, DIGEST, and an enum of the groups HOT */

#define STAMP_MOST 31
#define CPUS 10000
#define NAMES_MOST 65536 /* as replay/interned.py: a log may hold names without end */

typedef struct {
    PyObject *raw, *name; /* bytes; str, or NULL for one that nobody asked for */
    Py_hash_t hash;
    Py_ssize_t count; /* lines of this call, of a name that nobody asked for */
} Name;

typedef struct {
    unsigned long call; /* the call of `read` that looked it up */
    u8 length, dirty;
    u8 stamp[STAMP_MOST];
} Cpu;

typedef struct {
    PyObject_HEAD
    PyObject *record, *at, *names, *latest, *watched, *out, *others, *kind;
    int crlf;
    Name *table;
    size_t mask, used;
    size_t *touched;
    size_t touched_count;
    Cpu *cpus;
    int *dirty;
    int dirty_count;
    unsigned long call;
    PyObject *texts[CACHED];   /* comms and flags as they were last seen */
    PyObject *integers[CACHED];
} Scanner;

static Py_hash_t
hash_of(const u8 *text, Py_ssize_t length)
{
    return PyHash_GetFuncDef()->hash(text, length); /* keyed: no log can be made whose names collide */
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

static void
names_clear(Scanner *self)
{
    for (size_t i = 0; self->table != NULL && i <= self->mask; i++) {
        Py_CLEAR(self->table[i].raw);
        Py_CLEAR(self->table[i].name);
    }
    PyMem_Free(self->table);
    PyMem_Free(self->touched);
    self->table = NULL;
    self->touched = NULL;
    self->mask = self->used = self->touched_count = 0;
}

static int
names_grow(Scanner *self)
{
    size_t size = self->table == NULL ? 256 : (self->mask + 1) * 4;
    Name *table = PyMem_Calloc(size, sizeof(Name));
    size_t *touched = PyMem_Calloc(size, sizeof(size_t)), count = 0;
    if (table == NULL || touched == NULL) {
        PyMem_Free(table);
        PyMem_Free(touched);
        PyErr_NoMemory();
        return -1;
    }
    size_t *moved = self->table == NULL ? NULL : PyMem_Calloc(self->mask + 1, sizeof(size_t));
    if (self->table != NULL && moved == NULL) {
        PyMem_Free(table);
        PyMem_Free(touched);
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; self->table != NULL && i <= self->mask; i++) {
        if (self->table[i].raw == NULL)
            continue;
        size_t j = (size_t)self->table[i].hash & (size - 1);
        while (table[j].raw != NULL)
            j = (j + 1) & (size - 1);
        table[j] = self->table[i];
        moved[i] = j;
    }
    for (; count < self->touched_count; count++)
        touched[count] = moved[self->touched[count]];
    PyMem_Free(moved);
    PyMem_Free(self->table);
    PyMem_Free(self->touched);
    self->table = table;
    self->touched = touched;
    self->mask = size - 1;
    return 0;
}

/* The place in the table of a name as printed, -1 with an exception set. */
static Py_ssize_t
name_place(Scanner *self, const u8 *text, Py_ssize_t length)
{
    Py_hash_t hash = hash_of(text, length);
    if (self->table != NULL) {
        size_t i = (size_t)hash & self->mask;
        for (; self->table[i].raw != NULL; i = (i + 1) & self->mask) {
            Name *name = &self->table[i];
            if (name->hash == hash && PyBytes_GET_SIZE(name->raw) == length &&
                memcmp(PyBytes_AS_STRING(name->raw), text, length) == 0)
                return (Py_ssize_t)i;
        }
    }
    if (self->table == NULL || self->used * 2 > self->mask) {
        if (names_grow(self) < 0)
            return -1;
    }
    PyObject *raw = PyBytes_FromStringAndSize((const char *)text, length);
    if (raw == NULL)
        return -1;
    PyObject *name = PyObject_GetItem(self->names, raw);
    if (name == NULL) {
        Py_DECREF(raw);
        return -1;
    }
    if (name == Py_None)
        Py_CLEAR(name);
    size_t i = (size_t)hash & self->mask;
    while (self->table[i].raw != NULL)
        i = (i + 1) & self->mask;
    self->table[i] = (Name){raw, name, hash, 0};
    self->used++;
    return (Py_ssize_t)i;
}

/* Add what was counted to `others`, in the order in which the names came. */
static int
names_told(Scanner *self)
{
    int failed = 0;
    for (size_t k = 0; k < self->touched_count; k++) {
        Name *name = &self->table[self->touched[k]];
        Py_ssize_t count = name->count;
        name->count = 0;
        if (failed)
            continue;
        PyObject *before = PyDict_GetItemWithError(self->others, name->raw);
        if (before == NULL && PyErr_Occurred()) {
            failed = 1;
            continue;
        }
        Py_ssize_t known = before == NULL ? 0 : PyLong_AsSsize_t(before);
        PyObject *sum = PyLong_FromSsize_t(known + count);
        failed = sum == NULL || PyDict_SetItem(self->others, name->raw, sum) < 0;
        Py_XDECREF(sum);
    }
    self->touched_count = 0;
    return failed ? -1 : 0;
}

/* --- CPUs ----------------------------------------------------------------------------------------------------------- */

/* What is known of a CPU in this call: looked up once. -1 with an exception set. */
static int
cpu_known(Scanner *self, int number)
{
    Cpu *cpu = &self->cpus[number];
    cpu->call = self->call;
    cpu->length = cpu->dirty = 0;
    PyObject *key = PyLong_FromLong(number);
    if (key == NULL)
        return -1;
    PyObject *stamp = PyDict_GetItemWithError(self->latest, key);
    Py_DECREF(key);
    if (stamp == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (PyBytes_Check(stamp) && PyBytes_GET_SIZE(stamp) <= STAMP_MOST) {
        cpu->length = (u8)PyBytes_GET_SIZE(stamp);
        memcpy(cpu->stamp, PyBytes_AS_STRING(stamp), cpu->length);
    }
    return 0;
}

static int
cpus_told(Scanner *self)
{
    int failed = 0;
    for (int k = 0; k < self->dirty_count && !failed; k++) {
        Cpu *cpu = &self->cpus[self->dirty[k]];
        PyObject *key = PyLong_FromLong(self->dirty[k]);
        PyObject *stamp = PyBytes_FromStringAndSize((const char *)cpu->stamp, cpu->length);
        failed = key == NULL || stamp == NULL || PyDict_SetItem(self->latest, key, stamp) < 0;
        Py_XDECREF(key);
        Py_XDECREF(stamp);
    }
    self->dirty_count = 0;
    return failed ? -1 : 0;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

static PyObject *
integer(Scanner *self, int64_t number)
{
    PyObject **cached = &self->integers[(uint64_t)number % CACHED];
    if (*cached != NULL) {
        int overflow;
        if (PyLong_AsLongLongAndOverflow(*cached, &overflow) == number)
            return Py_NewRef(*cached);
    }
    PyObject *made = PyLong_FromLongLong(number);
    if (made != NULL)
        Py_XSETREF(*cached, Py_NewRef(made));
    return made;
}

/* --- Scanner -------------------------------------------------------------------------------------------------------- */

/* A record of ours into `out`: 1 with it in `record` (borrowed), 0 if Python has to read it, -1 with an exception set. */
static int
taken(Scanner *self, PyObject *name, const Span *hot, int64_t cpu, int64_t line, int64_t offset, PyObject *scale,
      PyObject **record)
{
    int64_t when, pid, tgid = 0;
    int grouped = hot[TGID].from != NULL && *hot[TGID].from != '-'; /* dashes: not known */
    if (!moment_of(hot[STAMP], scale, &when) || !number_of(hot[PID], &pid) || hot[TASK].from == NULL)
        return 0;
    if (grouped && !number_of(hot[TGID], &tgid))
        return 0;
    const u8 *comm = hot[TASK].from, *from = hot[ARGS].from, *to = hot[ARGS].to;
    while (comm < hot[TASK].to && *comm == ' ')
        comm++;
    if (from == NULL)
        from = to = (const u8 *)"";
    if (self->crlf && to > from && to[-1] == '\r')
        to--;
    PyObject *where[] = {
        PyLong_FromLongLong(line), PyLong_FromLongLong(offset), PyLong_FromLongLong(when),
        integer(self, cpu),        integer(self, pid),          text(self->texts, comm, hot[TASK].to),
    };
    PyObject *parts[] = {
        made(self->at, where, 6),
        Py_NewRef(name),
        PyBytes_FromStringAndSize((const char *)from, to - from),
        Py_NewRef(self->kind),
        grouped ? integer(self, tgid) : Py_NewRef(Py_None),
        hot[FLAGS].from == NULL ? Py_NewRef(Py_None) : text(self->texts, hot[FLAGS].from, hot[FLAGS].to),
        PyBytes_FromStringAndSize((const char *)hot[STAMP].from, hot[STAMP].to - hot[STAMP].from),
        PyLong_FromLongLong(line),
    };
    PyObject *one = made(self->record, parts, 8);
    if (one == NULL)
        return -1;
    int failed = PyList_Append(self->out, one);
    Py_DECREF(one);
    *record = one;
    return failed < 0 ? -1 : 1;
}

static int
is_watched(Scanner *self, int cpu)
{
    PyObject *key = PyLong_FromLong(cpu);
    int found = key == NULL ? -1 : PySet_Contains(self->watched, key);
    Py_XDECREF(key);
    return found;
}

PyDoc_STRVAR(read_doc, "read(dialect, data, start, line, base, scale) -> (line, start, before)\n\n"
"Reads lines of `data` from `start` on, which is line `line`, up to one that is not merely read, and answers where.\n"
"`base`: the offset of `data`; `before`: (name, args, record or None) of the last line read, None if none was.");

static PyObject *
Scanner_read(Scanner *self, PyObject *args)
{
    int dialect;
    PyObject *data, *scale;
    Py_ssize_t start;
    long long line, base;
    if (!PyArg_ParseTuple(args, "iSnLLO!", &dialect, &data, &start, &line, &base, &PyTuple_Type, &scale))
        return NULL;
    if (dialect < 0 || dialect >= (int)(sizeof(DIALECTS) / sizeof(*DIALECTS)) || start < 0)
        return PyErr_Format(PyExc_ValueError, "no such dialect or place");
    const u8 *first = (const u8 *)PyBytes_AS_STRING(data), *stop = first + PyBytes_GET_SIZE(data), *p = first + start;
    Match match = DIALECTS[dialect].match;
    int watching = PySet_GET_SIZE(self->watched) > 0, any = watching ? PySet_Contains(self->watched, Py_None) : 0;
    if (any < 0)
        return NULL;
    if (self->used > NAMES_MOST)
        names_clear(self);
    self->call++;
    Span before = {NULL, NULL}, hot[HOT], rest = {NULL, NULL};
    PyObject *record = NULL;
    int failed = 0;
    while (!any && p < stop) {
        const u8 *end = memchr(p, '\n', stop - p);
        int64_t number;
        if (end == NULL || !match(p, end, hot) || hot[NAME].from == NULL || hot[STAMP].from == NULL ||
            !number_of(hot[CPU], &number) || number < 0 || number >= CPUS)
            break;
        Cpu *cpu = &self->cpus[number];
        Py_ssize_t length = hot[STAMP].to - hot[STAMP].from;
        if (cpu->call != self->call && (failed = cpu_known(self, (int)number)) < 0)
            break;
        if (cpu->length != length || length == 0 || memcmp(cpu->stamp, hot[STAMP].from, length) > 0)
            break;
        if (watching && (failed = is_watched(self, (int)number)) != 0)
            break;
        Py_ssize_t place = name_place(self, hot[NAME].from, hot[NAME].to - hot[NAME].from);
        if ((failed = place < 0 ? -1 : 0) < 0)
            break;
        Name *name = &self->table[place];
        if (name->name != NULL) {
            int done = taken(self, name->name, hot, number, line, base + (p - first), scale, &record);
            failed = done < 0 ? -1 : 0;
            if (done <= 0)
                break;
        } else {
            record = NULL;
            if (name->count++ == 0)
                self->touched[self->touched_count++] = (size_t)place;
        }
        memcpy(cpu->stamp, hot[STAMP].from, length);
        if (!cpu->dirty) {
            cpu->dirty = 1;
            self->dirty[self->dirty_count++] = (int)number;
        }
        before = hot[NAME];
        rest = hot[ARGS];
        p = end + 1;
        line++;
    }
    PyObject *type, *value, *traceback; /* of what failed, if anything did: what was read before it counts */
    PyErr_Fetch(&type, &value, &traceback);
    if (names_told(self) < 0 || cpus_told(self) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return NULL;
    }
    PyErr_Restore(type, value, traceback);
    if (failed < 0)
        return NULL;
    if (before.from == NULL)
        return Py_BuildValue("LnO", line, (Py_ssize_t)(p - first), Py_None);
    if (rest.from == NULL)
        rest.from = rest.to = (const u8 *)"";
    PyObject *name = PyUnicode_DecodeLatin1((const char *)before.from, before.to - before.from, NULL);
    if (name == NULL)
        return NULL;
    return Py_BuildValue("Ln(Ny#O)", line, (Py_ssize_t)(p - first), name, (const char *)rest.from,
                         (Py_ssize_t)(rest.to - rest.from), record == NULL ? Py_None : record);
}

static void
Scanner_dealloc(Scanner *self)
{
    names_clear(self);
    PyMem_RawFree(self->cpus);
    PyMem_Free(self->dirty);
    for (int i = 0; i < CACHED; i++) {
        Py_XDECREF(self->texts[i]);
        Py_XDECREF(self->integers[i]);
    }
    Py_XDECREF(self->record);
    Py_XDECREF(self->at);
    Py_XDECREF(self->names);
    Py_XDECREF(self->latest);
    Py_XDECREF(self->watched);
    Py_XDECREF(self->out);
    Py_XDECREF(self->others);
    Py_XDECREF(self->kind);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
Scanner_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"record", "at", "names", "latest", "watched", "out", "others", "crlf", NULL};
    PyObject *record, *at, *names, *latest, *watched, *out, *others;
    int crlf;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO!O!O!O!p", keywords, &record, &at, &names, &PyDict_Type,
                                     &latest, &PySet_Type, &watched, &PyList_Type, &out, &PyDict_Type, &others, &crlf))
        return NULL;
    Scanner *self = (Scanner *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->record = Py_NewRef(record);
    self->at = Py_NewRef(at);
    self->names = Py_NewRef(names);
    self->latest = Py_NewRef(latest);
    self->watched = Py_NewRef(watched);
    self->out = Py_NewRef(out);
    self->others = Py_NewRef(others);
    self->crlf = crlf;
    self->kind = PyUnicode_InternFromString("event");
    self->cpus = PyMem_RawCalloc(CPUS, sizeof(Cpu));
    self->dirty = PyMem_Calloc(CPUS, sizeof(int));
    if (self->kind == NULL || self->cpus == NULL || self->dirty == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static PyMethodDef Scanner_methods[] = {
    {"read", (PyCFunction)Scanner_read, METH_VARARGS, read_doc},
    {NULL},
};

static PyTypeObject ScannerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "mmlist.grammars._scanner.Scanner",
    .tp_doc = PyDoc_STR("Reads the lines of one log; `latest`, `out` and `others` are written to."),
    .tp_basicsize = sizeof(Scanner),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = Scanner_new,
    .tp_dealloc = (destructor)Scanner_dealloc,
    .tp_methods = Scanner_methods,
};

#include "shape.h"
#include "skim.h"

/* --- the module ----------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(match_doc, "match(dialect, line) -> tuple | None\n\n"
"The groups HOT of a whole line (without its newline), each (from, to) or None; None if it is not of the dialect.");

static PyObject *
module_match(PyObject *Py_UNUSED(module), PyObject *args)
{
    int dialect;
    PyObject *line;
    if (!PyArg_ParseTuple(args, "iS", &dialect, &line))
        return NULL;
    if (dialect < 0 || dialect >= (int)(sizeof(DIALECTS) / sizeof(*DIALECTS)))
        return PyErr_Format(PyExc_ValueError, "no such dialect");
    /* A copy of its own, with the newline: a step too far is then seen by tools that watch memory. */
    Py_ssize_t length = PyBytes_GET_SIZE(line);
    u8 *copy = PyMem_RawMalloc(length + 1);
    if (copy == NULL)
        return PyErr_NoMemory();
    memcpy(copy, PyBytes_AS_STRING(line), length);
    copy[length] = '\n';
    Span hot[HOT];
    PyObject *found = NULL;
    const u8 *end = memchr(copy, '\n', length + 1);
    if (end == copy + length && DIALECTS[dialect].match(copy, end, hot)) {
        found = PyTuple_New(HOT);
        for (int i = 0; found != NULL && i < HOT; i++) {
            PyObject *part = hot[i].from == NULL ? Py_NewRef(Py_None) :
                Py_BuildValue("nn", (Py_ssize_t)(hot[i].from - copy), (Py_ssize_t)(hot[i].to - copy));
            if (part == NULL)
                Py_CLEAR(found);
            else
                PyTuple_SET_ITEM(found, i, part);
        }
    } else {
        found = Py_NewRef(Py_None);
    }
    PyMem_RawFree(copy);
    return found;
}

static PyMethodDef module_methods[] = {
    {"match", module_match, METH_VARARGS, match_doc},
    {"skim", module_skim, METH_VARARGS, skim_doc},
    {"newlines", module_newlines, METH_O, newlines_doc},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mmlist.grammars._scanner",
    .m_doc = PyDoc_STR("Reads lines as the grammars' expressions do: written from them when it was built."),
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC
PyInit__scanner(void)
{
    PyObject *self = PyModule_Create(&module);
    PyObject *names = self == NULL ? NULL : PyDict_New();
    if (names == NULL || PyModule_AddType(self, &ScannerType) < 0 || PyModule_AddType(self, &ShapeType) < 0 ||
        PyModule_AddStringConstant(self, "DIGEST", DIGEST) < 0)
        goto failed;
    for (int i = 0; i < (int)(sizeof(DIALECTS) / sizeof(*DIALECTS)); i++) {
        PyObject *number = PyLong_FromLong(i);
        if (number == NULL || PyDict_SetItemString(names, DIALECTS[i].name, number) < 0) {
            Py_XDECREF(number);
            goto failed;
        }
        Py_DECREF(number);
    }
    if (PyModule_AddObjectRef(self, "DIALECTS", names) < 0)
        goto failed;
    Py_DECREF(names);
    return self;
failed:
    Py_XDECREF(names);
    Py_XDECREF(self);
    return NULL;
}
