/* The references of one object, each with its kind and name.

   Named references are read from the structures; what the collector's traversal shows beyond them is kept as
   nameless INTERNAL references, so that nothing that keeps an object alive is left out. */
#include "layout.h"
#include "structures.h"

#include <string.h>

static void
dict_edges(struct walk *w, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
        add_edge(w, EDGE_KEY_OBJECT, 0, key);
        add_edge(w, EDGE_KEY, (uintptr_t)key, value);
    }
}

static void
item_edges(struct walk *w, PyObject **items, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        add_edge(w, EDGE_ITEM, (uint64_t)i, items[i]);
    }
}

static void
set_edges(struct walk *w, PySetObject *set)
{
    uint64_t position = 0;
    for (Py_ssize_t i = 0; i <= set->mask; i++) {
        setentry *entry = &set->table[i];
        /* The mark of a deleted member hashes to -1, which no real member does. */
        if (entry->key != NULL && entry->hash != -1) {
            add_edge(w, EDGE_MEMBER, position++, entry->key);
        }
    }
}

struct deque_visit {
    struct walk *walk;
    PyTypeObject *type; /* visited first where deque is a heap type */
    uint64_t position;
};

static int
visit_deque_item(PyObject *item, void *argument)
{
    struct deque_visit *visit = argument;
    if (visit->position == 0 && item == (PyObject *)visit->type) {
        visit->type = NULL;
        return 0;
    }
    add_edge(visit->walk, EDGE_ITEM, visit->position++, item);
    return 0;
}

static void
exception_edges(struct walk *w, PyBaseExceptionObject *exception)
{
    add_slot(w, "__dict__", exception->dict);
    add_slot(w, "args", exception->args);
    add_slot(w, "__notes__", exception->notes);
    add_slot(w, "__traceback__", exception->traceback);
    add_slot(w, "__context__", exception->context);
    add_slot(w, "__cause__", exception->cause);
}

static void
traceback_edges(struct walk *w, PyTracebackObject *traceback)
{
    add_slot(w, "tb_next", traceback->tb_next);
    add_slot(w, "tb_frame", traceback->tb_frame);
}

static void
builtin_edges(struct walk *w, PyCFunctionObject *builtin)
{
    add_slot(w, "__self__", builtin->m_self);
    add_slot(w, "__module__", builtin->m_module);
}

static void
weakref_edges(struct walk *w, PyWeakReference *reference)
{
    PyObject *target = reference->wr_object;
    if (target != NULL && target != Py_None && Py_REFCNT(target) > 0) {
        add_edge(w, EDGE_WEAK, 0, target);
    }
    add_slot(w, "__callback__", reference->wr_callback);
}

void
type_edges(struct walk *w, PyTypeObject *type)
{
    add_slot(w, "subclasses", type_subclasses(w->interpreter, type));
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        add_slot(w, "__dict__", static_type_dict(type));
        add_slot(w, "__mro__", type->tp_mro);
        add_slot(w, "__base__", type->tp_base);
        return;
    }
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    add_slot(w, "__dict__", type->tp_dict);
    add_slot(w, "__mro__", type->tp_mro);
    add_slot(w, "__base__", type->tp_base);
    add_slot(w, "__bases__", type->tp_bases);
    add_slot(w, "__name__", heap->ht_name);
    add_slot(w, "__qualname__", heap->ht_qualname);
    add_slot(w, "__slots__", heap->ht_slots);
    add_slot(w, "module", heap->ht_module);
    if (w->features & FEATURE_ATTRIBUTES && heap->ht_cached_keys != NULL) {
        /* The names of instance attributes are owned here and by no instance. */
        PyDictUnicodeEntry *entries = shared_entries(heap->ht_cached_keys);
        for (Py_ssize_t i = 0; i < heap->ht_cached_keys->dk_nentries; i++) {
            add_slot(w, "shared attribute name", entries[i].me_key);
        }
    }
}

/* ---- what any object may have besides: members, attributes, its type ---- */

static void
member_edges(struct walk *w, struct type_facts *facts, PyObject *object)
{
    struct member *members = (struct member *)w->members.bytes + facts->first_member;
    for (uint32_t i = 0; i < facts->n_members; i++) {
        PyObject *target = *(PyObject **)((char *)object + members[i].offset);
        if (target != NULL) {
            add_edge(w, EDGE_SLOT, members[i].name, target);
        }
    }
}

static PyObject **
dict_pointer(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset == 0) {
        return NULL;
    }
    if (offset < 0) { /* counted from the end of an object whose size varies */
        Py_ssize_t items = Py_SIZE(object);
        size_t size = (size_t)_PyObject_VAR_SIZE(type, items < 0 ? -items : items);
        if (type->tp_flags & Py_TPFLAGS_LONG_SUBCLASS) {
            size_t digits;
            int negative;
            int_digits(object, &digits, &negative);
            size = (size_t)_PyObject_VAR_SIZE(type, (Py_ssize_t)(digits ? digits : 1));
        }
        offset += (Py_ssize_t)size;
    }
    return (PyObject **)((char *)object + offset);
}

static void
attribute_edges(struct walk *w, struct type_facts *facts, PyObject *object)
{
    if (!facts->managed) {
        PyObject **dict = dict_pointer(object);
        if (dict != NULL && *dict != NULL && PyDict_Check(*dict)) {
            add_slot(w, "__dict__", *dict);
        }
        return;
    }
    if (!(w->features & FEATURE_ATTRIBUTES)) {
        return; /* tp_traverse will show the values, without names */
    }
    PyObject *dict = managed_dict(object);
    if (dict != NULL) {
        add_slot(w, "__dict__", dict);
        return;
    }
    struct inline_attributes found = instance_attributes(object);
    PyDictUnicodeEntry *entries = found.n ? shared_entries(found.keys) : NULL;
    for (Py_ssize_t i = 0; i < found.n; i++) {
        add_edge(w, EDGE_ATTRIBUTE, (uintptr_t)entries[i].me_key, found.values[i]);
    }
}

static void
kind_edges(struct walk *w, struct type_facts *facts, PyObject *object)
{
    switch (facts->kind) {
    case KIND_DICT: case KIND_ORDERED_DICT: dict_edges(w, object); break;
    case KIND_LIST: item_edges(w, ((PyListObject *)object)->ob_item, Py_SIZE(object)); break;
    case KIND_TUPLE: item_edges(w, ((PyTupleObject *)object)->ob_item, Py_SIZE(object)); break;
    case KIND_SET: set_edges(w, (PySetObject *)object); break;
    case KIND_TYPE: type_edges(w, (PyTypeObject *)object); break;
    case KIND_CODE: code_edges(w, (PyCodeObject *)object); break;
    case KIND_FUNCTION: function_edges(w, (PyFunctionObject *)object); break;
    case KIND_BUILTIN: builtin_edges(w, (PyCFunctionObject *)object); break;
    case KIND_CELL: add_slot(w, "cell_contents", ((PyCellObject *)object)->ob_ref); break;
    case KIND_GENERATOR: generator_edges(w, object); break;
    case KIND_FRAME: frame_object_edges(w, (PyFrameObject *)object); break;
    case KIND_TRACEBACK: traceback_edges(w, (PyTracebackObject *)object); break;
    case KIND_EXCEPTION: exception_edges(w, (PyBaseExceptionObject *)object); break;
    case KIND_WEAKREF: weakref_edges(w, (PyWeakReference *)object); break;
    case KIND_DEQUE: {
        PyTypeObject *first = w->known.deque->tp_flags & Py_TPFLAGS_HEAPTYPE ? Py_TYPE(object) : NULL;
        struct deque_visit visit = {w, first, 0};
        facts->base_traverse(object, visit_deque_item, &visit);
        break;
    }
    case KIND_BYTES_IO: add_slot(w, "buffer", ((struct bytes_io *)object)->buffer); break;
    case KIND_LRU_CACHE:
        add_slot(w, "cache", ((struct lru_cache *)object)->cache);
        add_slot(w, "__wrapped__", ((struct lru_cache *)object)->function);
        break;
    case KIND_LRU_LINK:
        add_slot(w, "key", ((struct lru_link *)object)->key);
        add_slot(w, "result", ((struct lru_link *)object)->result);
        break;
    default: break;
    }
}

/* ---- what tp_traverse shows beyond the named ---- */

#define SCAN_AT_MOST 24

static int
is_named(struct walk *w, uint64_t target)
{
    struct edge_record *edges = (struct edge_record *)w->blocks[BLOCK_EDGES].bytes;
    if (!w->matching_hashed) {
        for (size_t i = w->matching_from; i < w->matching_to; i++) {
            if (edges[i].target == target) {
                return 1;
            }
        }
        return 0;
    }
    uint64_t *table = (uint64_t *)w->matched.bytes;
    size_t mask = w->matched.capacity / sizeof *table - 1;
    size_t at = (target * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & mask;
    while (table[at] != 0 && table[at] != target) {
        at = (at + 1) & mask;
    }
    return table[at] == target;
}

static void
hash_named(struct walk *w)
{
    size_t n = w->matching_to - w->matching_from;
    if (w->matched.capacity < n * 4 * sizeof(uint64_t)) {
        array_grow(w, &w->matched, n * 4 * sizeof(uint64_t));
    }
    /* Only as much of the table as this object needs would be faster to clear; such objects are rare. */
    memset(w->matched.bytes, 0, w->matched.capacity);
    uint64_t *table = (uint64_t *)w->matched.bytes;
    size_t mask = w->matched.capacity / sizeof *table - 1;
    struct edge_record *edges = (struct edge_record *)w->blocks[BLOCK_EDGES].bytes;
    for (size_t i = w->matching_from; i < w->matching_to; i++) {
        size_t at = (edges[i].target * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & mask;
        while (table[at] != 0 && table[at] != edges[i].target) {
            at = (at + 1) & mask;
        }
        table[at] = edges[i].target;
    }
}

static int
visit_unnamed(PyObject *target, void *argument)
{
    struct walk *w = argument;
    if (!is_named(w, (uint64_t)(uintptr_t)target)) {
        add_edge(w, EDGE_INTERNAL, 0, target);
    }
    return 0;
}

static void
unnamed_edges(struct walk *w, struct type_facts *facts, PyObject *object, size_t first)
{
    /* Types that are static have a traverse of their metatype that must not be called on them. */
    inquiry is_gc = Py_TYPE(object)->tp_is_gc;
    if (is_gc != NULL && !is_gc(object)) {
        return;
    }
    traverseproc traverse = facts->traverse;
    w->matching_from = first;
    w->matching_to = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record);
    w->matching_hashed = w->matching_to - first > SCAN_AT_MOST;
    if (w->matching_hashed) {
        hash_named(w);
    }
    traverse(object, visit_unnamed, w);
}

void
object_edges(struct walk *w, struct type_facts *facts, PyObject *object)
{
    size_t first = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record);
    kind_edges(w, facts, object);
    if (facts->exact) {
        return;
    }
    if (facts->n_members) {
        member_edges(w, facts, object);
    }
    if (facts->kind != KIND_TYPE && facts->kind != KIND_FUNCTION && facts->kind != KIND_EXCEPTION) {
        attribute_edges(w, facts, object);
    }
    else if (facts->kind == KIND_EXCEPTION && facts->managed) {
        attribute_edges(w, facts, object);
    }
    if (facts->heap) {
        add_slot(w, "__class__", facts->type);
    }
    if (facts->traverse != NULL) {
        unnamed_edges(w, facts, object, first);
    }
}
