/* CPython 3.13: values stand inside the instance; the thread knows its frame itself. */
#include "internal/pycore_runtime.h"

#define stack_object(slot) (slot)
#define frame_executable(frame) ((frame)->f_executable)
#define frame_function(frame) ((frame)->f_funcobj)
#define frame_runs_python(frame) ((frame)->owner != FRAME_OWNED_BY_CSTACK)
#define VALUES_INSIDE_INSTANCE 1
#define GENERATOR_HAS_CODE 0

static inline struct _PyInterpreterFrame *
thread_frame(PyThreadState *thread)
{
    return thread->current_frame;
}

/* Slots in use, the locals included; -1 while the frame runs and its stack pointer is in a register. */
static inline Py_ssize_t
frame_top(struct _PyInterpreterFrame *frame)
{
    return frame->stacktop;
}

static inline int
frame_instruction(struct _PyInterpreterFrame *frame)
{
    return _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
}

static inline PyObject *
managed_dict(PyObject *object)
{
    return (PyObject *)_PyObject_ManagedDictPointer(object)->dict;
}

static inline struct inline_attributes
instance_attributes(PyObject *object)
{
    struct inline_attributes found = {0};
    PyTypeObject *type = Py_TYPE(object);
    PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
    if ((type->tp_flags & Py_TPFLAGS_INLINE_VALUES) && keys != NULL) {
        PyDictValues *values = _PyObject_InlineValues(object);
        if (values->valid) {
            Py_ssize_t n = keys->dk_nentries < values->capacity ? keys->dk_nentries : values->capacity;
            found = (struct inline_attributes){keys, values->values, n, 0};
        }
    }
    return found;
}

/* A new reference that is dropped at once: the dicts of static types live as long as the interpreter. */
static inline PyObject *
static_type_dict(PyTypeObject *type)
{
    PyObject *dict = PyType_GetDict(type);
    Py_XDECREF(dict);
    return dict;
}

static inline int
generator_has_frame(PyGenObject *generator)
{
    return generator->gi_frame_state < FRAME_CLEARED;
}

static inline struct _PyInterpreterFrame *
generator_frame(PyGenObject *generator)
{
    return (struct _PyInterpreterFrame *)generator->gi_iframe;
}

#define generator_awaits(generator) ((generator)->gi_frame_state == FRAME_SUSPENDED_YIELD_FROM)

/* The dict of weak references to subclasses. The interpreter keeps that of its own static types apart. */
static inline PyObject *
type_subclasses(PyInterpreterState *interpreter, PyTypeObject *type)
{
    if (!(type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN)) {
        return (PyObject *)type->tp_subclasses;
    }
    size_t i = (size_t)type->tp_subclasses - 1;
    size_t n = Py_ARRAY_LENGTH(interpreter->types.builtins.initialized);
    return i < n && interpreter->types.builtins.initialized[i].type == type ? interpreter->types.builtins.initialized[i].tp_subclasses : NULL;
}
