/* Shallow sizes, read from the structures: __sizeof__ may be the service's own code, and sys.getsizeof calls it.

   Equal to sys.getsizeof for the interpreter's own types, the collector's header and what stands before an instance
   included. Attribute values are counted where their memory is, which sys.getsizeof does not do: with the instance
   where they stand inside it (3.13 and later) or in a block that it owns (before, until it gets a __dict__), and not
   again with a __dict__ that merely shows them. */
#include "layout.h"
#include "structures.h"

static struct extent
str_extent(PyObject *object)
{
    PyASCIIObject *text = (PyASCIIObject *)object;
    size_t n = (size_t)text->length;
    struct extent e = {0, n, n};
    PyCompactUnicodeObject *compact = (PyCompactUnicodeObject *)object;
    if (text->state.compact && text->state.ascii) {
        e.size = sizeof(PyASCIIObject) + n + 1;
    }
    else if (text->state.compact) {
        e.size = sizeof(PyCompactUnicodeObject) + (n + 1) * text->state.kind;
    }
    else {
        e.size = sizeof(PyUnicodeObject) + (n + 1) * text->state.kind;
    }
    if (!text->state.ascii && compact->utf8 != NULL &&
        (text->state.compact || compact->utf8 != (char *)((PyUnicodeObject *)object)->data.any)) {
        e.size += (size_t)compact->utf8_length + 1; /* the encoding that somebody asked for is kept */
    }
    return e;
}

static struct extent
dict_extent(PyDictObject *dict, size_t basic)
{
    PyDictKeysObject *keys = dict->ma_keys;
    size_t room = (size_t)(keys->dk_nentries + keys->dk_usable);
    struct extent e = {basic, (size_t)dict->ma_used, room};
    if (dict->ma_values != NULL) {
#if VALUES_INSIDE_INSTANCE
        if (!dict->ma_values->embedded) {
            e.size += room * sizeof(PyObject *);
        }
#else
        e.size += room * sizeof(PyObject *);
#endif
    }
    if (keys->dk_refcnt == 1) { /* shared keys are counted with the type */
        e.size += keys_bytes(keys);
    }
    return e;
}

static struct extent
type_extent(PyTypeObject *type)
{
    struct extent e = {sizeof(PyTypeObject), 0, 0};
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
        e.size = sizeof(PyHeapTypeObject) + (keys != NULL ? keys_bytes(keys) : 0);
    }
    return e;
}

static size_t
frame_room(struct _PyInterpreterFrame *frame)
{
    PyCodeObject *code = frame_code(frame);
    size_t slots = code != NULL ? (size_t)(code->co_nlocalsplus + code->co_stacksize) : 0;
    return offsetof(struct _PyInterpreterFrame, localsplus) + slots * sizeof(PyObject *);
}

static size_t
instance_size(PyTypeObject *type, PyObject *object)
{
    size_t size = (size_t)type->tp_basicsize;
    if (type->tp_itemsize > 0) {
        Py_ssize_t n = Py_SIZE(object);
        n = n < 0 ? -n : n;
        if (n < (Py_ssize_t)1 << 40) {
            size += (size_t)(n * type->tp_itemsize);
        }
    }
    return size;
}

struct extent
object_extent(struct walk *w, struct type_facts *facts, PyObject *object)
{
    PyTypeObject *type = facts->type;
    size_t basic = (size_t)type->tp_basicsize;
    size_t before = _PyType_PreHeaderSize(type);
    struct extent e = {basic, 0, 0};
    switch (facts->kind) {
    case KIND_STR:
        e = str_extent(object);
        break;
    case KIND_BYTES: {
        size_t n = (size_t)Py_SIZE(object);
        e = (struct extent){basic + n, n, n};
        break;
    }
    case KIND_INT: {
        size_t n;
        int negative;
        int_digits(object, &n, &negative);
#if PY_VERSION_HEX >= 0x030c0000
        e.size = offsetof(PyLongObject, long_value.ob_digit) + (n ? n : 1) * sizeof(digit);
#else
        e.size = offsetof(PyLongObject, ob_digit) + (n ? n : 1) * sizeof(digit);
#endif
        break;
    }
    case KIND_LIST: {
        PyListObject *list = (PyListObject *)object;
        size_t room = list->allocated > 0 ? (size_t)list->allocated : 0; /* -1 while it is being sorted */
        e = (struct extent){basic + room * sizeof(PyObject *), (size_t)Py_SIZE(list), room};
        break;
    }
    case KIND_TUPLE: {
        size_t n = (size_t)Py_SIZE(object);
        e = (struct extent){basic + n * sizeof(PyObject *), n, n};
        break;
    }
    case KIND_DICT:
        e = dict_extent((PyDictObject *)object, basic);
        break;
    case KIND_ORDERED_DICT: {
        struct ordered_dict *ordered = (struct ordered_dict *)object;
        e = dict_extent((PyDictObject *)object, basic);
        size_t slots = (size_t)1 << ((PyDictObject *)object)->ma_keys->dk_log2_size;
        if ((size_t)ordered->fast_nodes_size <= slots) {
            e.size += (size_t)ordered->fast_nodes_size * sizeof(void *);
        }
        e.size += e.length * ORDERED_NODE_BYTES;
        break;
    }
    case KIND_SET: {
        PySetObject *set = (PySetObject *)object;
        e = (struct extent){basic, (size_t)set->used, (size_t)set->mask + 1};
        if (set->table != set->smalltable) {
            e.size += e.capacity * sizeof(setentry);
        }
        break;
    }
    case KIND_BYTEARRAY: {
        PyByteArrayObject *bytes = (PyByteArrayObject *)object;
        e = (struct extent){basic + (size_t)bytes->ob_alloc, (size_t)Py_SIZE(bytes), (size_t)bytes->ob_alloc};
#if PY_VERSION_HEX >= 0x030f0000
        e.size += bytes->ob_alloc > 0 ? offsetof(PyBytesObject, ob_sval) + 1 : 0; /* it owns a bytes object since */
#endif
        break;
    }
    case KIND_DEQUE: {
        struct deque_object *deque = (struct deque_object *)object;
        size_t n = (size_t)Py_SIZE(deque);
        size_t blocks = ((size_t)deque->leftindex + n + DEQUE_BLOCK - 1) / DEQUE_BLOCK;
        e = (struct extent){basic + blocks * DEQUE_BLOCK_BYTES, n, blocks * DEQUE_BLOCK};
        break;
    }
    case KIND_ARRAY: {
        struct array_object *array = (struct array_object *)object;
        size_t room = (size_t)array->allocated * (size_t)array->description->itemsize;
        e = (struct extent){basic + room, (size_t)Py_SIZE(array), (size_t)array->allocated};
        break;
    }
    case KIND_DECIMAL: {
        struct decimal_object *number = (struct decimal_object *)object;
        if (!(number->flags & DECIMAL_WORDS_ELSEWHERE)) {
            e.size += (size_t)number->allocated * sizeof(uint64_t);
        }
        break;
    }
    case KIND_TYPE:
        e = type_extent((PyTypeObject *)object);
#if PY_VERSION_HEX >= 0x030d0000
        if (!(((PyTypeObject *)object)->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
            before = 0; /* static types are not the collector's; sys.getsizeof knows since 3.13 */
        }
#endif
        break;
    case KIND_CODE: {
        PyCodeObject *code = (PyCodeObject *)object;
        e.size = offsetof(PyCodeObject, co_code_adaptive) + (size_t)Py_SIZE(code) * sizeof(_Py_CODEUNIT);
        e.size = (e.size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
        break;
    }
    case KIND_GENERATOR: {
        PyGenObject *generator = (PyGenObject *)object;
        e.size = offsetof(PyGenObject, gi_iframe);
        struct _PyInterpreterFrame *frame = generator_frame(generator);
        e.size += generator_has_frame(generator) ? frame_room(frame)
                                                 : offsetof(struct _PyInterpreterFrame, localsplus);
        break;
    }
    case KIND_FRAME: {
        PyFrameObject *frame = (PyFrameObject *)object;
        e.size = offsetof(PyFrameObject, _f_frame_data);
        e.size += frame->f_frame != NULL ? frame_room(frame->f_frame) : 0;
        break;
    }
    default:
        e.size = instance_size(type, object);
        break;
    }
    if (facts->managed && w->features & FEATURE_ATTRIBUTES && managed_dict(object) == NULL) {
        e.size += instance_attributes(object).bytes;
    }
#if VALUES_INSIDE_INSTANCE
    if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES && w->features & FEATURE_ATTRIBUTES) {
        e.size += _PyInlineValuesSize(type);
    }
#endif
    e.size += before;
    return e;
}
