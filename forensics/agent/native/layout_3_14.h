/* CPython 3.14 and 3.15: stack slots are tagged (borrowed references, small ints); frames keep their stack pointer
   wherever C code may run. */
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_stackref.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_genobject.h"

#if PY_VERSION_HEX < 0x030f0000
#define frame_runs_python(frame) \
    ((frame)->owner != FRAME_OWNED_BY_CSTACK && (frame)->owner != FRAME_OWNED_BY_INTERPRETER)
#else
#define frame_runs_python(frame) ((frame)->owner != FRAME_OWNED_BY_INTERPRETER)
#endif
#define frame_executable(frame) stack_object((frame)->f_executable)
#define frame_function(frame) stack_object((frame)->f_funcobj)
#define VALUES_INSIDE_INSTANCE 1
#define GENERATOR_HAS_CODE 0

/* The two low bits of a slot: 3 is a small int, 1 a reference that is not counted (and NULL), 0 a counted one. */
static inline PyObject *
stack_object(_PyStackRef slot)
{
    return (slot.bits & 3) == 3 ? NULL : (PyObject *)(slot.bits & ~(uintptr_t)3);
}

static inline struct _PyInterpreterFrame *
thread_frame(PyThreadState *thread)
{
    return thread->current_frame;
}

/* Slots in use, the locals included; -1 while the frame runs and its stack pointer is in a register. */
static inline Py_ssize_t
frame_top(struct _PyInterpreterFrame *frame)
{
    return frame->stackpointer != NULL ? frame->stackpointer - frame->localsplus : -1;
}

static inline int
frame_instruction(struct _PyInterpreterFrame *frame)
{
    PyCodeObject *code = (PyCodeObject *)frame_executable(frame);
    return (int)((char *)frame->instr_ptr - (char *)_PyCode_CODE(code));
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
    return &generator->gi_iframe;
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
