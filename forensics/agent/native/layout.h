/* What moves between versions of CPython, behind one set of names.

   Each layout_3_NN.h says how that version keeps frames and instance attributes; what is the same everywhere is
   here. The headers under Include/internal are installed with every CPython, and the self-check (selfcheck.c) holds
   what is read through them against what the interpreter itself says, because fields move within a minor version. */
#ifndef WALKER_LAYOUT_H
#define WALKER_LAYOUT_H

#ifndef Py_BUILD_CORE_MODULE
#define Py_BUILD_CORE_MODULE 1
#endif
#include "walker.h"

#ifdef Py_GIL_DISABLED
#error "free-threaded builds keep their objects elsewhere; the Python walker serves them"
#endif
#if PY_VERSION_HEX < 0x030b0000
#error "the native walker reads CPython 3.11 and later; the Python walker serves the others"
#endif

#include "internal/pycore_interp.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_gc.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_object.h"
#include "internal/pycore_code.h"

/* The attributes of an instance that has no dict of its own. */
struct inline_attributes {
    PyDictKeysObject *keys;
    PyObject **values;
    Py_ssize_t n;      /* names in use */
    size_t bytes;      /* of the block of values, where it was allocated apart from the instance */
};

#if PY_VERSION_HEX >= 0x030e0000
#include "layout_3_14.h"
#elif PY_VERSION_HEX >= 0x030d0000
#include "layout_3_13.h"
#elif PY_VERSION_HEX >= 0x030c0000
#include "layout_3_12.h"
#else
#include "layout_3_11.h"
#endif

#define N_COLLECTOR_LISTS 4

/* The heads of the collector's lists: three generations and the permanent one. 3.14.0 called the three young and old;
   they stand in the same place before the permanent one, which is what is relied on there. */
static inline void
collector_lists(PyInterpreterState *interpreter, PyGC_Head *heads[N_COLLECTOR_LISTS])
{
#if PY_VERSION_HEX >= 0x030e0000
    struct gc_generation *first = &interpreter->gc.permanent_generation - (N_COLLECTOR_LISTS - 1);
#else
    struct gc_generation *first = interpreter->gc.generations;
#endif
    for (int i = 0; i < N_COLLECTOR_LISTS - 1; i++) {
        heads[i] = &first[i].head;
    }
    heads[N_COLLECTOR_LISTS - 1] = &interpreter->gc.permanent_generation.head;
}

/* The lowest two bits of both links are the collector's own marks. */
static inline PyGC_Head *
collector_next(PyGC_Head *at)
{
    return (PyGC_Head *)(at->_gc_next & ~(uintptr_t)3);
}

/* The code of a frame that runs Python; NULL for the frames by which C code enters the interpreter. */
static inline PyCodeObject *
frame_code(struct _PyInterpreterFrame *frame)
{
    PyObject *code = frame_executable(frame);
    return code != NULL && PyCode_Check(code) ? (PyCodeObject *)code : NULL;
}

static inline PyObject *
frame_slot(struct _PyInterpreterFrame *frame, Py_ssize_t i)
{
    return stack_object(frame->localsplus[i]);
}

static inline size_t
keys_bytes(PyDictKeysObject *keys)
{
    size_t usable = (((size_t)1 << keys->dk_log2_size) << 1) / 3;
    size_t entry = keys->dk_kind == DICT_KEYS_GENERAL ? sizeof(PyDictKeyEntry) : sizeof(PyDictUnicodeEntry);
    return sizeof(PyDictKeysObject) + ((size_t)1 << keys->dk_log2_index_bytes) + usable * entry;
}

static inline PyDictUnicodeEntry *
shared_entries(PyDictKeysObject *keys)
{
    return (PyDictUnicodeEntry *)(keys->dk_indices + ((size_t)1 << keys->dk_log2_index_bytes));
}

/* Sign and digits of an int, base 2**PyLong_SHIFT, least significant first. */
static inline const digit *
int_digits(PyObject *number, size_t *n, int *negative)
{
#if PY_VERSION_HEX >= 0x030c0000
    PyLongObject *l = (PyLongObject *)number;
    *n = l->long_value.lv_tag >> 3;
    *negative = (l->long_value.lv_tag & 3) == 2;
    return l->long_value.ob_digit;
#else
    Py_ssize_t size = Py_SIZE(number);
    *n = (size_t)(size < 0 ? -size : size);
    *negative = size < 0;
    return ((PyLongObject *)number)->ob_digit;
#endif
}

static inline int
is_immortal(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030c0000
    return _Py_IsImmortal(object);
#else
    (void)object;
    return 0;
#endif
}

#endif
