/* The walk: depth first from the roots, then what only the collector's lists know. */
#include "layout.h"

#include <time.h>

double
monotonic_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
walk_prepare(struct walk *w)
{
    w->visited = private_map(w, sizeof *w->visited);
    types_prepare(w);
}

void
walk_push(struct walk *w, PyObject *object)
{
    if (visited_mark(w, object)) {
        *(PyObject **)array_extend(w, &w->stack, sizeof object) = object;
    }
}

/* Everything that the edges from number ``first`` on point at or are named by. */
static void
push_targets(struct walk *w, size_t first)
{
    /* Pushing does not add edges, so the records stay where they are. */
    struct edge_record *edge = (struct edge_record *)w->blocks[BLOCK_EDGES].bytes + first;
    struct edge_record *end = (struct edge_record *)(w->blocks[BLOCK_EDGES].bytes + w->blocks[BLOCK_EDGES].used);
    for (; edge < end; edge++) {
        unsigned kind = (unsigned)(edge->label >> KIND_SHIFT);
        PyObject *target = (PyObject *)(uintptr_t)edge->target;
        if (kind == EDGE_WEAK) {
            /* Not a way to reach it; but if nothing else does it is emitted last, so that no edge dangles. */
            *(PyObject **)array_extend(w, &w->weak, sizeof target) = target;
            continue;
        }
        walk_push(w, target);
        if (kind == EDGE_ATTRIBUTE || kind == EDGE_LOCAL || kind == EDGE_CLOSURE) {
            walk_push(w, (PyObject *)(uintptr_t)(edge->label & LABEL_MASK));
        }
    }
}

static void
put_code(struct walk *w, PyCodeObject *code)
{
    struct code_record *record = (struct code_record *)array_extend(w, &w->blocks[BLOCK_CODE], sizeof *record);
    *record = (struct code_record){.code = (uint64_t)(uintptr_t)code,
                                   .qualname = (uint64_t)(uintptr_t)code->co_qualname,
                                   .filename = (uint64_t)(uintptr_t)code->co_filename,
                                   .first_line = (uint32_t)code->co_firstlineno};
    w->counts[BLOCK_CODE]++;
}

static unsigned
object_flags(struct walk *w, struct type_facts *facts, PyObject *object)
{
    unsigned flags = w->flags;
    if (facts->has_gc) {
        inquiry is_gc = facts->type->tp_is_gc;
        if ((is_gc == NULL || is_gc(object)) && ((PyGC_Head *)object - 1)->_gc_next != 0) {
            flags |= FLAG_GC_TRACKED;
        }
    }
    return is_immortal(object) ? flags | FLAG_IMMORTAL : flags;
}

static void
walk_object(struct walk *w, PyObject *object)
{
    struct type_facts *facts = type_facts(w, Py_TYPE(object));
    size_t first = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record);
    object_edges(w, facts, object);
    size_t degree = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record) - first;
    struct extent extent = object_extent(w, facts, object);
    unsigned flags = object_flags(w, facts, object);
    if (output_value(w, facts, object)) {
        flags |= FLAG_VALUE_CUT;
    }
    output_object(w, object, extent.size, extent.length, extent.capacity, facts->id, degree,
                  (size_t)Py_REFCNT(object), flags);
    if (facts->kind == KIND_CODE) {
        put_code(w, (PyCodeObject *)object);
    }
    push_targets(w, first);
    output_flush_if_full(w);
}

void
walk_drain(struct walk *w)
{
    while (w->stack.used > 0) {
        w->stack.used -= sizeof(PyObject *);
        PyObject *object = *(PyObject **)(w->stack.bytes + w->stack.used);
        if (w->stack.used > 0) {
            /* The next one's head is fetched while this one is read: most of the walk is waiting for memory. */
            __builtin_prefetch(*(PyObject **)(w->stack.bytes + w->stack.used - sizeof(PyObject *)));
        }
        walk_object(w, object);
    }
}

/* A running frame. Where somebody asked for its frame object, that object stands for it; else a synthetic one at the
   frame's own address, whose memory is the thread's stack. */
void
walk_frame(struct walk *w, struct _PyInterpreterFrame *frame, unsigned long thread, int depth)
{
    PyCodeObject *code = frame_code(frame);
    const void *address = frame->frame_obj != NULL ? (const void *)frame->frame_obj : (const void *)frame;
    int line = PyCode_Addr2Line(code, frame_instruction(frame));
    struct frame_record *record = (struct frame_record *)array_extend(w, &w->blocks[BLOCK_FRAMES], sizeof *record);
    *record = (struct frame_record){.frame = (uint64_t)(uintptr_t)address,
                                    .thread = thread,
                                    .code = (uint64_t)(uintptr_t)code,
                                    .depth = (uint32_t)depth,
                                    .line = line > 0 ? (uint32_t)line : 0};
    w->counts[BLOCK_FRAMES]++;
    output_root(w, address, "frame", ROOT_FRAME);
    if (frame->frame_obj != NULL) {
        walk_push(w, (PyObject *)frame->frame_obj);
        return;
    }
    visited_mark(w, frame);
    struct type_facts *facts = type_facts(w, &PyFrame_Type);
    uint32_t type_id = facts->id;
    size_t first = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record);
    add_slot(w, "f_code", code);
    frame_locals(w, frame);
    frame_stack(w, frame, NULL);
    size_t degree = w->blocks[BLOCK_EDGES].used / sizeof(struct edge_record) - first;
    output_object(w, frame, 0, (size_t)code->co_nlocalsplus, 0, type_id, degree, 0, FLAG_SYNTHETIC);
    push_targets(w, first);
}

void
walk_everything(struct walk *w)
{
    double begin = monotonic_seconds();
    walk_prepare(w);
    output_begin(w);
    roots_emit(w);
    walk_drain(w);
    roots_spare(w);
    w->n_reached = w->n_objects;
    w->flags = FLAG_GC_LIST_ONLY;
    roots_collector(w);
    output_end(w, monotonic_seconds() - begin);
}
