/* CPython 3.12: one tagged pointer before the instance is the dict or the values. */
#include "internal/pycore_runtime.h"

#define stack_object(slot) (slot)
#define frame_executable(frame) ((PyObject *)(frame)->f_code)
#define frame_function(frame) ((frame)->f_funcobj)
#define frame_runs_python(frame) ((frame)->owner != FRAME_OWNED_BY_CSTACK)
#define VALUES_INSIDE_INSTANCE 0
#define GENERATOR_HAS_CODE 0

static inline struct _PyInterpreterFrame *
thread_frame(PyThreadState *thread)
{
    return thread->cframe != NULL ? thread->cframe->current_frame : NULL;
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
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    return _PyDictOrValues_IsValues(either) ? NULL : _PyDictOrValues_GetDict(either);
}

static inline struct inline_attributes
instance_attributes(PyObject *object)
{
    struct inline_attributes found = {0};
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    PyDictKeysObject *keys = ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;
    if (_PyDictOrValues_IsValues(either) && keys != NULL) {
        PyDictValues *values = _PyDictOrValues_GetValues(either);
        size_t room = (size_t)(keys->dk_nentries + keys->dk_usable);
        /* The byte before the values says how long the order of insertion is that stands before them. */
        size_t prefix = ((uint8_t *)values)[-1];
        found = (struct inline_attributes){keys, values->values, keys->dk_nentries, prefix + room * sizeof(PyObject *)};
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

#define generator_awaits(generator) 0

/* The dict of weak references to subclasses. The interpreter keeps that of its own static types apart. */
static inline PyObject *
type_subclasses(PyInterpreterState *interpreter, PyTypeObject *type)
{
    if (!(type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN)) {
        return (PyObject *)type->tp_subclasses;
    }
    size_t i = (size_t)type->tp_subclasses - 1;
    size_t n = Py_ARRAY_LENGTH(interpreter->types.builtins);
    return i < n && interpreter->types.builtins[i].type == type ? interpreter->types.builtins[i].tp_subclasses : NULL;
}
