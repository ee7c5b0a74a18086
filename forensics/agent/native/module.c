/* The module: ``snapshot``, ``wait`` and what the self-check found. */
#include "layout.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define DEFAULT_LIMIT_SECONDS 900
#define LIMIT_IN_PLACE 30

static struct walk walk; /* a child has its own copy; in place the interpreter lock guards it */
static struct known_types known;
static unsigned features;

struct options {
    int values, in_place, caller_frames, hold_collector, alive_fd;
    unsigned limit_seconds;
    unsigned long agent_threads[MOST_AGENT_THREADS];
    int n_agent_threads;
};

static int
integer_option(PyObject *options, const char *name, int otherwise)
{
    PyObject *value = PyDict_GetItemString(options, name);
    return value == NULL || value == Py_None ? otherwise : (int)PyLong_AsLong(value);
}

/* The thread that asks, unless its frames are wanted, and the others that are named. */
static int
read_agent_threads(PyObject *options, struct options *o)
{
    o->n_agent_threads = 0;
    if (!o->caller_frames) {
        o->agent_threads[o->n_agent_threads++] = PyThreadState_Get()->thread_id;
    }
    PyObject *named = PyDict_GetItemString(options, "agent_threads");
    if (named == NULL) {
        return 0;
    }
    if (!PyTuple_Check(named)) {
        PyErr_SetString(PyExc_TypeError, "agent_threads must be a tuple of thread identifiers");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(named) && o->n_agent_threads < MOST_AGENT_THREADS; i++) {
        o->agent_threads[o->n_agent_threads++] = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(named, i));
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int
read_options(PyObject *given, struct options *o)
{
    PyObject *empty = NULL;
    if (given == NULL || given == Py_None) {
        given = empty = PyDict_New();
    }
    if (given == NULL || !PyDict_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "options must be a dict");
        return -1;
    }
    o->values = integer_option(given, "values", 1);
    o->in_place = integer_option(given, "in_place", 0);
    o->caller_frames = integer_option(given, "caller_frames", 0);
    o->hold_collector = integer_option(given, "hold_collector", 1);
    o->alive_fd = integer_option(given, "alive_fd", -1);
    int otherwise = o->in_place ? LIMIT_IN_PLACE : DEFAULT_LIMIT_SECONDS;
    o->limit_seconds = (unsigned)integer_option(given, "limit_seconds", otherwise);
    if (o->in_place && o->limit_seconds > LIMIT_IN_PLACE) {
        o->limit_seconds = LIMIT_IN_PLACE; /* no service may stand still longer than this */
    }
    int failed = read_agent_threads(given, o);
    Py_XDECREF(empty);
    return failed < 0 || PyErr_Occurred() ? -1 : 0;
}

static void
prepare(int fd, const char *header, Py_ssize_t header_length, const struct options *o)
{
    known_types_find(&known);
    selfcheck_known(&known, &features);
    memset(&walk, 0, sizeof walk);
    walk.fd = fd;
    walk.recording = 1;
    walk.values = o->values;
    walk.interpreter = PyInterpreterState_Get();
    walk.modules = PyImport_GetModuleDict();
    memcpy(walk.agent_threads, o->agent_threads, sizeof walk.agent_threads);
    walk.n_agent_threads = o->n_agent_threads;
    walk.known = known;
    walk.features = features;
    walk.header = header;
    walk.header_length = (size_t)header_length;
}

static PyObject *
snapshot_in_place(const struct options *o, double begin)
{
    int failure = walk_in_place(&walk, o->limit_seconds);
    if (failure == FAIL_MEMORY) {
        return PyErr_NoMemory();
    }
    if (failure != 0) {
        PyErr_Format(PyExc_OSError, "the walk in place ended early: %s",
                     failure == FAIL_TIME ? "it took longer than it was allowed to" : "the reader is gone");
        return NULL;
    }
    return Py_BuildValue("{s:O,s:d,s:K}", "child_pid", Py_None, "pause_seconds", monotonic_seconds() - begin, "objects",
                         (unsigned long long)walk.n_objects);
}

static PyObject *
snapshot_in_child(const struct options *o, double begin)
{
    double fork_seconds = 0;
    int held = o->hold_collector && collector_hold();
    pid_t child = child_start(&walk, o->alive_fd, o->limit_seconds, &fork_seconds);
    int error = child < 0 ? errno : watcher_start(child, held);
    if (error != 0) {
        if (child > 0) {
            child_end(child);
        }
        if (held) {
            collector_release();
        }
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("{s:i,s:d,s:d}", "child_pid", (int)child, "pause_seconds", monotonic_seconds() - begin,
                         "fork_seconds", fork_seconds);
}

PyDoc_STRVAR(snapshot_doc,
"snapshot(fd, header, options=None) -> dict\n\n"
"Walk every object of this process and write the stream of forensics.agent.stream to fd.\n\n"
"header is the JSON of the first block, as bytes. options, a dict:\n"
"  values         True: write the values of strings, bytes and numbers; False: of names only\n"
"  in_place       False: walk in a forked child and return at once; True: walk here, everything else waits\n"
"  limit_seconds  the child's life, or the longest stop in place (at most 30)\n"
"  alive_fd       a descriptor that the child keeps open as long as it lives, for instance the write end of a pipe\n"
"  caller_frames  False: the frames of the calling thread are the agent's and are left out\n"
"  agent_threads  a tuple of the identifiers of other threads (at most 63) whose frames are left out likewise\n"
"  hold_collector True: automatic collection is off until the child is gone\n\n"
"Returns child_pid (None in place) and pause_seconds. The child is reaped, and the collector switched on again, by a\n"
"native thread; wait() waits for that. Raises OSError when the process cannot fork, or in place when the reader goes.");

static PyObject *
py_snapshot(PyObject *module, PyObject *args)
{
    (void)module;
    int fd;
    const char *header;
    Py_ssize_t header_length;
    PyObject *given = NULL;
    struct options o;
    double begin = monotonic_seconds();
    if (!PyArg_ParseTuple(args, "iy#|O:snapshot", &fd, &header, &header_length, &given) ||
        read_options(given, &o) < 0) {
        return NULL;
    }
    prepare(fd, header, header_length, &o);
    return o.in_place ? snapshot_in_place(&o, begin) : snapshot_in_child(&o, begin);
}

PyDoc_STRVAR(wait_doc,
"wait(child_pid, timeout=900.0) -> int | None\n\n"
"Wait until the child of a snapshot is reaped and the collector is as it was; its wait status, None after timeout\n"
"seconds. Other threads run meanwhile. Raises ChildProcessError for a pid that is no child of a snapshot.");

static PyObject *
py_wait(PyObject *module, PyObject *args)
{
    (void)module;
    int child, status = 0, outcome;
    double timeout = DEFAULT_LIMIT_SECONDS;
    if (!PyArg_ParseTuple(args, "i|d:wait", &child, &timeout)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    outcome = watcher_wait((pid_t)child, timeout, &status);
    Py_END_ALLOW_THREADS
    if (outcome < 0) {
        return PyErr_Format(PyExc_ChildProcessError, "process %d is no child of a snapshot", child);
    }
    if (outcome == 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLong(status);
}

static PyObject *
py_after_fork(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    watcher_forget();
    Py_RETURN_NONE;
}

static PyObject *
py_names_given_up(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && feature_name(1u << i) != NULL; i++) {
        if ((features | FEATURES_OF_MODULES) & 1u << i) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(feature_name(1u << i));
        if (name == NULL || PyList_Append(list, name) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    return list;
}

static PyMethodDef methods[] = {
    {"snapshot", py_snapshot, METH_VARARGS, snapshot_doc},
    {"wait", py_wait, METH_VARARGS, wait_doc},
    {"names_given_up", py_names_given_up, METH_NOARGS,
     "names_given_up() -> list of str\n\nThe kinds of names that the self-check at load found it would get wrong. Types of modules that are not imported\n"
     "yet are checked before a snapshot."},
    {"_selfcheck_probe", selfcheck_probe, METH_O, NULL},
    {"_after_fork", py_after_fork, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Processes that the service forks while a snapshot runs have no watcher of their own. */
static int
register_after_fork(PyObject *module)
{
    static int registered;
    if (registered) {
        return 0;
    }
    PyObject *os = PyImport_ImportModule("os");
    PyObject *function = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *hook = PyObject_GetAttrString(module, "_after_fork");
    PyObject *none = PyTuple_New(0), *keywords = hook ? Py_BuildValue("{s:O}", "after_in_child", hook) : NULL;
    PyObject *done = function && none && keywords ? PyObject_Call(function, none, keywords) : NULL;
    registered = done != NULL;
    Py_XDECREF(os);
    Py_XDECREF(function);
    Py_XDECREF(hook);
    Py_XDECREF(none);
    Py_XDECREF(keywords);
    Py_XDECREF(done);
    return registered ? 0 : -1;
}

static int
module_exec(PyObject *module)
{
    if (Py_Version >> 16 != PY_VERSION_HEX >> 16) {
        PyErr_Format(PyExc_ImportError, "this native walker was built for Python %d.%d", PY_MAJOR_VERSION,
                     PY_MINOR_VERSION);
        return -1;
    }
    features = (features & FEATURES_OF_MODULES) | selfcheck_run(module, &known);
    selfcheck_known(&known, &features);
    if (PyModule_AddStringConstant(module, "built_for", PY_VERSION) < 0) {
        return -1;
    }
    return register_after_fork(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_walker",
    .m_doc = "Walks every object of this process, in a forked child, and streams the graph.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__walker(void)
{
    return PyModuleDef_Init(&definition);
}
