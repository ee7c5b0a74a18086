/* CPython 3.11: values stand in a block before the instance's managed dict pointer; frames hang off the C frame. */
#include "internal/pycore_runtime.h"

#define stack_object(slot) (slot)
#define frame_executable(frame) ((PyObject *)(frame)->f_code)
#define frame_function(frame) ((PyObject *)(frame)->f_func)
#define frame_runs_python(frame) 1
#define static_type_dict(type) ((type)->tp_dict)
#define VALUES_INSIDE_INSTANCE 0
#define GENERATOR_HAS_CODE 1

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
    return *((PyObject **)object - 3);
}

static inline struct inline_attributes
instance_attributes(PyObject *object)
{
    struct inline_attributes found = {0};
    PyDictValues *values = *_PyObject_ValuesPointer(object);
    PyDictKeysObject *keys = ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;
    if (values != NULL && keys != NULL) {
        size_t room = (size_t)(keys->dk_nentries + keys->dk_usable);
        /* The byte before the values says how long the order of insertion is that stands before them. */
        size_t prefix = ((uint8_t *)values)[-1];
        found = (struct inline_attributes){keys, values->values, keys->dk_nentries, prefix + room * sizeof(PyObject *)};
    }
    return found;
}

/* Whether the frame inside a generator holds anything: it was made and has not been cleared. */
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

/* What a suspended generator waits for is on top of its stack; 3.11 and 3.12 do not mark the state. */
#define generator_awaits(generator) 0

#define type_subclasses(interpreter, type) ((void)(interpreter), (type)->tp_subclasses)
