/* The table of types: what kind of walk an object's type asks for, and the type's name. */
#include "layout.h"

#include <string.h>
#include <structmember.h>

void
types_prepare(struct walk *w)
{
    array_grow(w, &w->types, 1 << 16);
    array_grow(w, &w->type_index, 1 << 16);
    array_grow(w, &w->name_index, 1 << 18);
}

static int
is_or_extends(PyTypeObject *type, PyTypeObject *base)
{
    if (base == NULL) {
        return 0;
    }
    /* Through tp_base only: it is the line that decides an object's memory. */
    for (; type != NULL; type = type->tp_base) {
        if (type == base) {
            return 1;
        }
    }
    return 0;
}

static enum object_kind
kind_of(struct walk *w, PyTypeObject *type)
{
    unsigned long flags = type->tp_flags;
    struct known_types *known = &w->known;
    if (flags & Py_TPFLAGS_DICT_SUBCLASS) {
        return is_or_extends(type, known->ordered_dict) ? KIND_ORDERED_DICT : KIND_DICT;
    }
#if PY_VERSION_HEX >= 0x030f0000
    if (is_or_extends(type, &PyFrozenDict_Type)) return KIND_DICT;
#endif
    if (flags & Py_TPFLAGS_LIST_SUBCLASS) return KIND_LIST;
    if (flags & Py_TPFLAGS_TUPLE_SUBCLASS) return KIND_TUPLE;
    if (flags & Py_TPFLAGS_UNICODE_SUBCLASS) return KIND_STR;
    if (flags & Py_TPFLAGS_BYTES_SUBCLASS) return KIND_BYTES;
    if (flags & Py_TPFLAGS_LONG_SUBCLASS) return KIND_INT;
    if (flags & Py_TPFLAGS_TYPE_SUBCLASS) return KIND_TYPE;
    if (flags & Py_TPFLAGS_BASE_EXC_SUBCLASS) return KIND_EXCEPTION;
    if (type == &PyFloat_Type || is_or_extends(type, &PyFloat_Type)) return KIND_FLOAT;
    if (type == &PyCode_Type) return w->features & FEATURE_CODE ? KIND_CODE : KIND_PLAIN;
    if (type == &PyFunction_Type) return KIND_FUNCTION;
    if (type == &PyCell_Type) return KIND_CELL;
    if (type == &PyGen_Type || type == &PyCoro_Type || type == &PyAsyncGen_Type) {
        return w->features & FEATURE_GENERATORS ? KIND_GENERATOR : KIND_PLAIN;
    }
    if (type == &PyFrame_Type) return w->features & FEATURE_FRAMES ? KIND_FRAME : KIND_PLAIN;
    if (type == &PyTraceBack_Type) return KIND_TRACEBACK;
    if (is_or_extends(type, &PyCFunction_Type)) return KIND_BUILTIN;
    if (is_or_extends(type, &PySet_Type) || is_or_extends(type, &PyFrozenSet_Type)) return KIND_SET;
    if (is_or_extends(type, &PyByteArray_Type)) return KIND_BYTEARRAY;
    if (is_or_extends(type, &_PyWeakref_RefType) || type == &_PyWeakref_ProxyType ||
        type == &_PyWeakref_CallableProxyType) {
        return KIND_WEAKREF;
    }
    if (w->features & FEATURE_DECIMAL && is_or_extends(type, known->decimal)) return KIND_DECIMAL;
    if (w->features & FEATURE_DEQUE && is_or_extends(type, known->deque)) return KIND_DEQUE;
    if (is_or_extends(type, known->array)) return KIND_ARRAY;
    if (is_or_extends(type, known->bytes_io)) return KIND_BYTES_IO;
    if (w->features & FEATURE_LRU_CACHE) {
        if (is_or_extends(type, known->lru_cache)) return KIND_LRU_CACHE;
        if (type == known->lru_link) return KIND_LRU_LINK;
    }
    return KIND_PLAIN;
}

/* Members that hold references, by offset: ``__slots__`` of Python classes and the members of C types. */
static void
find_members(struct walk *w, struct type_facts *facts)
{
    facts->first_member = (uint32_t)(w->members.used / sizeof(struct member));
    switch (facts->kind) {
    case KIND_FUNCTION: case KIND_CODE: case KIND_GENERATOR: case KIND_FRAME: case KIND_TRACEBACK: case KIND_BUILTIN:
        return; /* read by their own structures */
    default:
        break;
    }
    for (PyTypeObject *type = facts->type; type != NULL && type != &PyType_Type; type = type->tp_base) {
        for (PyMemberDef *m = type->tp_members; m != NULL && m->name != NULL; m++) {
            if ((m->type == T_OBJECT || m->type == T_OBJECT_EX) && m->offset > 0) {
                uint32_t name = output_name(w, m->name);
                *(struct member *)array_extend(w, &w->members, sizeof(struct member)) =
                    (struct member){m->offset, name};
                facts->n_members++;
            }
        }
    }
}

/* Which tp_traverse still has to be asked after everything named is known.

   A class written in Python adds slots, attributes and its type to what its base has; all three are named already,
   so a class down to object, dict, list, tuple or set need not be asked again. */
static traverseproc
traverse_to_ask(struct walk *w, struct type_facts *facts)
{
    PyTypeObject *type = facts->type;
    if (!facts->has_gc || type->tp_traverse == NULL) {
        return NULL;
    }
    if (!(w->features & FEATURE_ATTRIBUTES)) {
        return facts->exact && facts->kind != KIND_TYPE ? NULL : type->tp_traverse;
    }
    while (type->tp_traverse == w->known.subtype_traverse && type->tp_base != NULL) {
        type = type->tp_base;
    }
    int named = type == &PyBaseObject_Type || type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type ||
                type == &PySet_Type || type == &PyFrozenSet_Type || type == &PyCell_Type ||
                (facts->kind == KIND_FUNCTION) || (facts->kind == KIND_DEQUE) || !(type->tp_flags & Py_TPFLAGS_HAVE_GC);
    if (facts->kind == KIND_DEQUE) {
        facts->base_traverse = w->known.deque->tp_traverse;
    }
    return named ? NULL : facts->type->tp_traverse;
}

/* A str out of a type's dict, found without hashing or comparing in Python. */
static PyObject *
type_module(PyTypeObject *type)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    PyObject *dict = type->tp_dict;
    if (dict == NULL || !PyDict_Check(dict)) {
        return NULL;
    }
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (PyUnicode_CheckExact(key) && PyUnicode_GET_LENGTH(key) == 10 && PyUnicode_IS_COMPACT_ASCII(key) &&
            memcmp(PyUnicode_1BYTE_DATA(key), "__module__", 10) == 0) {
            return PyUnicode_Check(value) ? value : NULL;
        }
    }
    return NULL;
}

/* ``module.qualname``; builtins stand without their module. */
static size_t
type_name(PyTypeObject *type, char *out, size_t room)
{
    size_t n = 0;
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        const char *name = type->tp_name;
        if (strncmp(name, "builtins.", 9) == 0) {
            name += 9;
        }
        n = strnlen(name, room);
        memcpy(out, name, n);
        return n;
    }
    PyObject *module = type_module(type);
    if (module != NULL) {
        n = unicode_utf8(module, out, room / 2);
        if (n == 8 && memcmp(out, "builtins", 8) == 0) {
            n = 0;
        }
        else {
            out[n++] = '.';
        }
    }
    PyObject *qualname = ((PyHeapTypeObject *)type)->ht_qualname;
    if (qualname != NULL && PyUnicode_Check(qualname)) {
        n += unicode_utf8(qualname, out + n, room - n);
    }
    return n;
}

static void
announce(struct walk *w, struct type_facts *facts)
{
    char name[2048];
    size_t n = type_name(facts->type, name, sizeof name);
    char *record = array_extend(w, &w->blocks[BLOCK_TYPES], sizeof(struct type_record) + n);
    *(struct type_record *)record =
        (struct type_record){facts->id, (uint64_t)(uintptr_t)facts->type, (uint16_t)n};
    memcpy(record + sizeof(struct type_record), name, n);
    w->counts[BLOCK_TYPES]++;
}

static size_t
index_of(struct walk *w, PyTypeObject *type)
{
    uint32_t *index = (uint32_t *)w->type_index.bytes;
    struct type_facts *types = (struct type_facts *)w->types.bytes;
    size_t mask = w->type_index.capacity / sizeof *index - 1;
    size_t at = ((uintptr_t)type * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & mask;
    while (index[at] != 0 && types[index[at] - 1].type != type) {
        at = (at + 1) & mask;
    }
    return at;
}

static void
rebuild_index(struct walk *w)
{
    size_t bytes = w->type_index.capacity;
    array_grow(w, &w->type_index, bytes * 2);
    memset(w->type_index.bytes, 0, bytes * 2);
    struct type_facts *types = (struct type_facts *)w->types.bytes;
    for (uint32_t i = 0; i < w->n_types; i++) {
        ((uint32_t *)w->type_index.bytes)[index_of(w, types[i].type)] = i + 1;
    }
}

/* The facts stay where they are only until the next new type. */
struct type_facts *
type_facts(struct walk *w, PyTypeObject *type)
{
    size_t at = index_of(w, type);
    uint32_t known = ((uint32_t *)w->type_index.bytes)[at];
    if (known != 0) {
        return (struct type_facts *)w->types.bytes + known - 1;
    }
    if ((size_t)w->n_types * 8 > w->type_index.capacity) {
        rebuild_index(w);
        at = index_of(w, type);
    }
    struct type_facts facts = {.type = type, .id = ++w->n_types};
    facts.heap = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
    facts.has_gc = (type->tp_flags & Py_TPFLAGS_HAVE_GC) != 0;
    facts.managed = (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) != 0;
    facts.kind = (uint8_t)kind_of(w, type);
    facts.exact = !facts.heap && (type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type ||
                                  type == &PySet_Type || type == &PyFrozenSet_Type || type == &PyUnicode_Type ||
                                  type == &PyBytes_Type || type == &PyLong_Type || type == &PyBool_Type ||
                                  type == &PyFloat_Type);
    find_members(w, &facts);
    facts.traverse = traverse_to_ask(w, &facts);
    *(struct type_facts *)array_extend(w, &w->types, sizeof facts) = facts;
    ((uint32_t *)w->type_index.bytes)[at] = w->n_types;
    announce(w, &facts);
    walk_push(w, (PyObject *)type);
    return (struct type_facts *)w->types.bytes + w->n_types - 1;
}
