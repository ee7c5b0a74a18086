/* The walker on objects whose answer is known, before it is let loose on those of a service.

   Layouts move within a minor version. Where this walker was compiled for exactly the interpreter that runs, its own
   headers are right and the check runs here; otherwise it runs in a forked child, whose crash hurts nobody. A
   structure that is not where it is expected costs its names: those references are then shown as tp_traverse shows
   them, nameless. */
#define _GNU_SOURCE
#include "layout.h"
#include "structures.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char SOURCE[] =
    "class Sample:\n"
    "    def __init__(self):\n"
    "        self.first = ['first']\n"
    "        self.second = ['second']\n"
    "def generator(token):\n"
    "    inner = [token]\n"
    "    yield inner\n"
    "def frame(probe, token):\n"
    "    return probe(token)\n"
    "sample = Sample()\n"
    "suspended = generator('token')\n"
    "inner = next(suspended)\n";

static PyObject *samples; /* while the check runs */
static struct known_types *checked_types;
static struct walk scratch;

static PyObject *
sample(const char *name)
{
    return PyDict_GetItemString(samples, name);
}

static int
label_is(uint64_t label, const char *name)
{
    PyObject *text = (PyObject *)(uintptr_t)(label & LABEL_MASK);
    return PyUnicode_CheckExact(text) && PyUnicode_CompareWithASCIIString(text, name) == 0;
}

static int
has_edge(unsigned kind, const char *name, const void *target)
{
    struct edge_record *edge = (struct edge_record *)scratch.blocks[BLOCK_EDGES].bytes;
    size_t n = scratch.blocks[BLOCK_EDGES].used / sizeof *edge;
    for (size_t i = 0; i < n; i++) {
        if (edge[i].target != (uint64_t)(uintptr_t)target || edge[i].label >> KIND_SHIFT != kind) {
            continue;
        }
        if (kind == EDGE_SLOT ? (edge[i].label & LABEL_MASK) == output_name(&scratch, name)
                              : kind == EDGE_ITEM || label_is(edge[i].label, name)) {
            return 1;
        }
    }
    return 0;
}

static void
walk_sample(PyObject *object)
{
    scratch.blocks[BLOCK_EDGES].used = 0;
    object_edges(&scratch, type_facts(&scratch, Py_TYPE(object)), object);
}

static int
attributes_are_right(void)
{
    PyObject *object = sample("sample");
    walk_sample(object);
    /* The oracle is the collector's own traversal: asking for an attribute might make a dict of the values. */
    struct edge_record *edge = (struct edge_record *)scratch.blocks[BLOCK_EDGES].bytes;
    if (scratch.blocks[BLOCK_EDGES].used != 3 * sizeof *edge) {
        return 0;
    }
    PyObject *first = (PyObject *)(uintptr_t)edge[0].target, *second = (PyObject *)(uintptr_t)edge[1].target;
    return PyList_CheckExact(first) && PyList_GET_SIZE(first) == 1 && PyList_CheckExact(second) &&
           has_edge(EDGE_ATTRIBUTE, "first", first) && has_edge(EDGE_ATTRIBUTE, "second", second) &&
           PyUnicode_CompareWithASCIIString(PyList_GET_ITEM(first, 0), "first") == 0 &&
           PyUnicode_CompareWithASCIIString(PyList_GET_ITEM(second, 0), "second") == 0 &&
           has_edge(EDGE_SLOT, "__class__", Py_TYPE(object));
}

static int
generators_are_right(void)
{
    walk_sample(sample("suspended"));
    return has_edge(EDGE_LOCAL, "inner", sample("inner"));
}

static int
code_is_right(void)
{
    PyFunctionObject *function = (PyFunctionObject *)sample("generator");
    PyCodeObject *code = (PyCodeObject *)function->func_code;
    walk_sample((PyObject *)code);
    return PyTuple_Check(code->co_localsplusnames) && PyTuple_GET_SIZE(code->co_localsplusnames) == 2 &&
           code->co_nlocalsplus == 2 && code->co_nfreevars == 0 && code->co_firstlineno == 5 &&
           PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(code->co_localsplusnames, 1), "inner") == 0 &&
           PyUnicode_CompareWithASCIIString(code->co_qualname, "generator") == 0 &&
           PyCode_Addr2Line(code, 0) > 0;
}

static int
frames_are_right(PyObject *token)
{
    int depth = 0;
    struct _PyInterpreterFrame *frame = thread_frame(PyThreadState_Get());
    for (; frame != NULL && depth < 4; frame = frame->previous, depth++) {
        PyCodeObject *code = frame_runs_python(frame) ? frame_code(frame) : NULL;
        if (code != NULL && (PyObject *)code == ((PyFunctionObject *)sample("frame"))->func_code) {
            scratch.blocks[BLOCK_EDGES].used = 0;
            frame_locals(&scratch, frame);
            return has_edge(EDGE_LOCAL, "token", token) && frame_function(frame) == sample("frame") &&
                   PyCode_Addr2Line(code, frame_instruction(frame)) == 9;
        }
    }
    return 0;
}

/* What is tracked last stands last in the youngest generation. */
static int
collector_lists_are_right(void)
{
    PyGC_Head *heads[N_COLLECTOR_LISTS];
    collector_lists(PyInterpreterState_Get(), heads);
    PyObject *newest = PyList_New(0);
    if (newest == NULL) {
        PyErr_Clear();
        return 0;
    }
    int right = (PyGC_Head *)(heads[0]->_gc_prev & ~(uintptr_t)3) == (PyGC_Head *)newest - 1;
    for (int i = 0; right && i < N_COLLECTOR_LISTS; i++) {
        right = (PyGC_Head *)(collector_next(heads[i])->_gc_prev & ~(uintptr_t)3) == heads[i];
    }
    Py_DECREF(newest);
    return right;
}

static unsigned
check_all(PyObject *token, int in_child)
{
    unsigned right = 0;
    memset(&scratch, 0, sizeof scratch);
    scratch.features = FEATURE_ALL;
    scratch.known = *checked_types;
    if (setjmp(scratch.give_up) != 0) {
        private_free(&scratch);
        return 0;
    }
    walk_prepare(&scratch);
    right |= code_is_right() ? FEATURE_CODE : 0;
    right |= attributes_are_right() ? FEATURE_ATTRIBUTES : 0;
    right |= generators_are_right() ? FEATURE_GENERATORS : 0;
    right |= right & FEATURE_CODE && frames_are_right(token) ? FEATURE_FRAMES : 0;
    /* A child may not allocate; there the lists are believed when the frames were right. */
    right |= in_child ? (right & FEATURE_FRAMES ? FEATURE_GC_LISTS : 0)
                      : (collector_lists_are_right() ? FEATURE_GC_LISTS : 0);
    if (!(right & FEATURE_CODE)) {
        right &= ~(unsigned)(FEATURE_GENERATORS | FEATURE_FRAMES);
    }
    private_free(&scratch);
    return right;
}

static unsigned
check_in_child(PyObject *token)
{
    int status = 0;
    pid_t child = child_fork();
    if (child == 0) {
        _exit((int)check_all(token, 1));
    }
    if (child < 0 || waitpid(child, &status, __WALL) != child || !WIFEXITED(status)) {
        return 0;
    }
    return (unsigned)WEXITSTATUS(status);
}

/* Called by the sample ``frame`` while it runs. */
PyObject *
selfcheck_probe(PyObject *module, PyObject *token)
{
    (void)module;
    if (samples == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this is called by the self-check only");
        return NULL;
    }
    unsigned features = Py_Version == PY_VERSION_HEX ? check_all(token, 0) : check_in_child(token);
    return PyLong_FromUnsignedLong(features);
}

static PyTypeObject *
type_in(const char *module_name, const char *name)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), module_name);
    if (module == NULL || !PyModule_CheckExact(module)) {
        return NULL;
    }
    PyObject *found = PyDict_GetItemString(PyModule_GetDict(module), name);
    return found != NULL && PyType_Check(found) ? (PyTypeObject *)found : NULL;
}

void
known_types_find(struct known_types *known)
{
    known->decimal = type_in("_decimal", "Decimal");
    known->deque = type_in("_collections", "deque");
    known->ordered_dict = type_in("_collections", "OrderedDict");
    known->array = type_in("array", "array");
    known->bytes_io = type_in("_io", "BytesIO");
    known->lru_cache = type_in("_functools", "_lru_cache_wrapper");
}

/* The features that are right, and ``known`` filled in; all nameless when not even the samples can be made. */
unsigned
selfcheck_run(PyObject *module, struct known_types *known)
{
    unsigned features = 0;
    known_types_find(known);
    checked_types = known;
    samples = PyDict_New();
    PyObject *probe = PyObject_GetAttrString(module, "_selfcheck_probe");
    PyObject *done = NULL, *answer = NULL, *token = PyList_New(0);
    if (samples != NULL && probe != NULL && token != NULL &&
        PyDict_SetItemString(samples, "__builtins__", PyEval_GetBuiltins()) == 0 &&
        (done = PyRun_String(SOURCE, Py_file_input, samples, samples)) != NULL) {
        known->subtype_traverse = ((PyTypeObject *)sample("Sample"))->tp_traverse;
        answer = PyObject_CallFunctionObjArgs(sample("frame"), probe, token, NULL);
        features = answer != NULL ? (unsigned)PyLong_AsUnsignedLong(answer) : 0;
    }
    PyErr_Clear();
    Py_XDECREF(done);
    Py_XDECREF(answer);
    Py_XDECREF(probe);
    Py_XDECREF(token);
    if (samples != NULL) {
        PyDict_Clear(samples); /* its functions point back at it: no litter for the service's collector */
    }
    Py_CLEAR(samples);
    return features;
}

/* ---- types of C modules: checked once their module is imported; the reads stay inside the samples' memory ---- */

static int
decimal_is_right(PyTypeObject *decimal)
{
    static const char digits[] = "-1234567890123456789012.345";
    char text[2048];
    int cut, right = 0;
    PyObject *number = PyObject_CallFunction((PyObject *)decimal, "s", digits);
    if (number != NULL && (size_t)decimal->tp_basicsize >= sizeof(struct decimal_object)) {
        size_t n = decimal_text(number, text, sizeof text, &cut);
        right = n == sizeof digits - 1 && memcmp(text, digits, n) == 0;
    }
    Py_XDECREF(number);
    return right;
}

static int
count_items(PyObject *item, void *argument)
{
    PyObject **expected = argument;
    if (item == expected[0]) {
        expected[0] = expected[1];
        expected[1] = NULL;
    }
    return 0;
}

static int
deque_is_right(PyTypeObject *type)
{
    PyObject *first = PyList_New(0), *second = PyList_New(0);
    PyObject *queue = first && second ? PyObject_CallFunction((PyObject *)type, "((OO))", first, second) : NULL;
    int right = 0;
    if (queue != NULL && (size_t)type->tp_basicsize >= sizeof(struct deque_object)) {
        PyObject *expected[2] = {first, second};
        struct deque_object *deque = (struct deque_object *)queue;
        type->tp_traverse(queue, count_items, expected); /* both, in their order */
        right = Py_SIZE(queue) == 2 && expected[0] == NULL && deque->leftblock == deque->rightblock &&
                deque->leftindex > 0 && deque->leftindex < DEQUE_BLOCK;
    }
    Py_XDECREF(queue);
    Py_XDECREF(first);
    Py_XDECREF(second);
    return right;
}

static int
lru_cache_is_right(PyTypeObject *type, PyTypeObject **link_type)
{
    PyObject *key, *link, *result = NULL;
    Py_ssize_t at = 0;
    int right = 0;
    PyObject *cached = PyObject_CallFunction((PyObject *)type, "OiOO", &PyList_Type, 2, Py_False, &PyTuple_Type);
    result = cached != NULL ? PyObject_CallFunction(cached, "s", "abc") : NULL;
    struct lru_cache *cache = (struct lru_cache *)cached;
    if (result != NULL && (size_t)type->tp_basicsize >= sizeof *cache && cache->function == (PyObject *)&PyList_Type &&
        PyDict_CheckExact(cache->cache) && PyDict_Next(cache->cache, &at, &key, &link) &&
        (size_t)Py_TYPE(link)->tp_basicsize == sizeof(struct lru_link)) {
        *link_type = Py_TYPE(link);
        right = ((struct lru_link *)link)->result == result && ((struct lru_link *)link)->key == key;
    }
    Py_XDECREF(result);
    Py_XDECREF(cached);
    return right;
}

/* Adds what the types in ``known`` allow to ``features``; a type is checked when it is seen first. */
void
selfcheck_known(struct known_types *known, unsigned *features)
{
    static PyTypeObject *seen_decimal, *seen_deque, *seen_lru_cache;
    if (known->decimal != NULL && known->decimal != seen_decimal) {
        seen_decimal = known->decimal;
        *features |= decimal_is_right(known->decimal) ? FEATURE_DECIMAL : 0;
    }
    if (known->deque != NULL && known->deque != seen_deque) {
        seen_deque = known->deque;
        *features |= deque_is_right(known->deque) ? FEATURE_DEQUE : 0;
    }
    if (known->lru_cache != NULL && known->lru_cache != seen_lru_cache) {
        seen_lru_cache = known->lru_cache;
        *features |= lru_cache_is_right(known->lru_cache, &known->lru_link) ? FEATURE_LRU_CACHE : 0;
    }
    PyErr_Clear();
}
