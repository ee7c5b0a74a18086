/* Where a walk begins: modules, running frames, thread and context data; then what is held out of sight. */
#include "layout.h"

#include <string.h>

void
spare_root(struct walk *w, PyObject *object, const char *name, enum root_kind kind, int certain)
{
    if (object == NULL) {
        return;
    }
    struct spare_root *root = (struct spare_root *)array_extend(w, &w->spare, sizeof *root);
    *root = (struct spare_root){object, 0, (uint8_t)kind, (uint8_t)certain};
    root->name = output_name(w, name);
}

static void
root(struct walk *w, PyObject *object, const char *name, enum root_kind kind)
{
    if (object != NULL) {
        output_root(w, object, name, kind);
        walk_push(w, object);
    }
}

/* What a running frame holds besides its variables. */
static void
frame_spares(struct walk *w, struct _PyInterpreterFrame *frame)
{
    PyCodeObject *code = frame_code(frame);
    spare_root(w, frame_function(frame), "function of a running frame", ROOT_FRAME, 1);
    if (frame_top(frame) >= 0) {
        return;
    }
    /* The interpreter keeps the stack pointer of a frame that called C code to itself. Every slot may hold a value (the
       iterator of a for loop) or a leftover; only what the collector's lists prove to be an object is believed. */
    for (int i = code->co_nlocalsplus; i < code->co_nlocalsplus + code->co_stacksize; i++) {
        PyObject *value = frame_slot(frame, i);
        if (value != NULL && ((uintptr_t)value & 7) == 0) {
            spare_root(w, value, "stack of a running frame", ROOT_FRAME, 0);
        }
    }
}

/* What only the agent's own frames hold is a root of low rank: no part of the service, and no garbage either. */
static void
agent_spares(struct walk *w, struct _PyInterpreterFrame *frame)
{
    PyCodeObject *code = frame_code(frame);
    spare_root(w, (PyObject *)frame->frame_obj, "frame of the agent", ROOT_OTHER, 1);
    spare_root(w, frame->f_locals, "locals of the agent", ROOT_OTHER, 1);
    for (int i = 0; i < code->co_nlocalsplus; i++) {
        spare_root(w, frame_slot(frame, i), "local of the agent", ROOT_OTHER, 1);
    }
    Py_ssize_t top = frame_top(frame);
    for (Py_ssize_t i = code->co_nlocalsplus; i < top && i < code->co_nlocalsplus + code->co_stacksize; i++) {
        spare_root(w, frame_slot(frame, i), "stack of the agent", ROOT_OTHER, 1);
    }
    frame_spares(w, frame);
}

/* The thread that asked for the snapshot, and those that serve the capture beside it. */
static int
is_agent_thread(const struct walk *w, unsigned long id)
{
    for (int i = 0; i < w->n_agent_threads; i++) {
        if (w->agent_threads[i] == id) {
            return 1;
        }
    }
    return 0;
}

static void
thread_roots(struct walk *w, PyThreadState *thread)
{
    int ours = is_agent_thread(w, thread->thread_id);
    if (ours) {
        spare_root(w, thread->dict, "thread dict of the agent", ROOT_OTHER, 1);
        spare_root(w, thread->context, "context of the agent", ROOT_OTHER, 1);
    }
    else {
        root(w, thread->dict, "thread dict", ROOT_THREAD);
        root(w, thread->context, "context", ROOT_CONTEXT);
    }
    for (_PyErr_StackItem *handled = thread->exc_info; handled != NULL; handled = handled->previous_item) {
        spare_root(w, handled->exc_value, "exception being handled", ROOT_OTHER, 1);
    }
    spare_root(w, thread->async_gen_firstiter, "hook for asynchronous generators", ROOT_OTHER, 1);
    spare_root(w, thread->async_gen_finalizer, "hook for asynchronous generators", ROOT_OTHER, 1);
    spare_root(w, thread->c_profileobj, "profile function", ROOT_OTHER, 1);
    spare_root(w, thread->c_traceobj, "trace function", ROOT_OTHER, 1);
    if (!(w->features & FEATURE_FRAMES)) {
        return;
    }
    int depth = 0;
    for (struct _PyInterpreterFrame *frame = thread_frame(thread); frame != NULL; frame = frame->previous) {
        if (!frame_runs_python(frame) || frame_code(frame) == NULL) {
            continue; /* where C code entered the interpreter */
        }
        if (ours) {
            agent_spares(w, frame);
        }
        else {
            frame_spares(w, frame);
            walk_frame(w, frame, thread->thread_id, depth);
        }
        depth++;
    }
}

static void
interpreter_spares(struct walk *w)
{
    PyInterpreterState *interpreter = w->interpreter;
    spare_root(w, interpreter->dict, "interpreter dict", ROOT_OTHER, 1);
    spare_root(w, interpreter->gc.garbage, "gc.garbage", ROOT_OTHER, 1);
    spare_root(w, interpreter->gc.callbacks, "gc.callbacks", ROOT_OTHER, 1);
#if PY_VERSION_HEX < 0x030d0000
    spare_root(w, interpreter->codec_search_path, "codecs", ROOT_OTHER, 1);
    spare_root(w, interpreter->codec_search_cache, "codecs", ROOT_OTHER, 1);
    spare_root(w, interpreter->codec_error_registry, "codecs", ROOT_OTHER, 1);
#else
    spare_root(w, interpreter->codecs.search_path, "codecs", ROOT_OTHER, 1);
    spare_root(w, interpreter->codecs.search_cache, "codecs", ROOT_OTHER, 1);
    spare_root(w, interpreter->codecs.error_registry, "codecs", ROOT_OTHER, 1);
#endif
#ifdef HAVE_FORK
    spare_root(w, interpreter->before_forkers, "os.register_at_fork", ROOT_OTHER, 1);
    spare_root(w, interpreter->after_forkers_parent, "os.register_at_fork", ROOT_OTHER, 1);
    spare_root(w, interpreter->after_forkers_child, "os.register_at_fork", ROOT_OTHER, 1);
#endif
#if PY_VERSION_HEX >= 0x030e0000
    spare_root(w, interpreter->atexit.callbacks, "atexit", ROOT_OTHER, 1);
#else
    for (int i = 0; i < interpreter->atexit.ncallbacks; i++) {
        if (interpreter->atexit.callbacks[i] != NULL) {
            spare_root(w, interpreter->atexit.callbacks[i]->func, "atexit", ROOT_OTHER, 1);
            spare_root(w, interpreter->atexit.callbacks[i]->args, "atexit", ROOT_OTHER, 1);
            spare_root(w, interpreter->atexit.callbacks[i]->kwargs, "atexit", ROOT_OTHER, 1);
        }
    }
#endif
}

void
roots_emit(struct walk *w)
{
    root(w, w->modules, "sys.modules", ROOT_MODULES);
    root(w, w->interpreter->builtins, "builtins", ROOT_BUILTINS);
    root(w, w->interpreter->sysdict, "sys", ROOT_SYS);
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(w->interpreter); thread != NULL;
         thread = PyThreadState_Next(thread)) {
        thread_roots(w, thread);
    }
    interpreter_spares(w);
}

static void
emit_spare(struct walk *w, struct spare_root spare)
{
    struct root_record *r = (struct root_record *)array_extend(w, &w->blocks[BLOCK_ROOTS], sizeof *r);
    *r = (struct root_record){
        .address = (uint64_t)(uintptr_t)spare.object, .name = spare.name, .kind = spare.kind};
    w->counts[BLOCK_ROOTS]++;
    walk_push(w, spare.object);
}

static size_t
slot_of(struct walk *w, size_t mask, const void *object)
{
    uint32_t *index = (uint32_t *)w->matched.bytes;
    struct spare_root *spares = (struct spare_root *)w->spare.bytes;
    size_t at = ((uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & mask;
    while (index[at] != 0 && spares[index[at] - 1].object != object) {
        at = (at + 1) & mask;
    }
    return at;
}

/* Leftovers in stack slots that turn out to be objects which nothing else reaches. */
static void
believe_stack_slots(struct walk *w)
{
    size_t n = w->spare.used / sizeof(struct spare_root);
    array_grow(w, &w->matched, (n + 1) * 4 * sizeof(uint32_t));
    memset(w->matched.bytes, 0, w->matched.capacity);
    size_t mask = w->matched.capacity / sizeof(uint32_t) - 1;
    struct spare_root *spares = (struct spare_root *)w->spare.bytes;
    for (size_t i = 0; i < n; i++) {
        if (!spares[i].certain) {
            ((uint32_t *)w->matched.bytes)[slot_of(w, mask, spares[i].object)] = (uint32_t)i + 1;
        }
    }
    PyGC_Head *heads[N_COLLECTOR_LISTS];
    collector_lists(w->interpreter, heads);
    for (int i = 0; i < N_COLLECTOR_LISTS; i++) {
        for (PyGC_Head *at = collector_next(heads[i]); at != heads[i]; at = collector_next(at)) {
            PyObject *object = (PyObject *)(at + 1);
            if (!visited_has(w, object)) {
                uint32_t found = ((uint32_t *)w->matched.bytes)[slot_of(w, mask, object)];
                if (found != 0) {
                    emit_spare(w, spares[found - 1]); /* pushed only: walking would use the table for itself */
                }
            }
        }
    }
    walk_drain(w);
}

void
roots_spare(struct walk *w)
{
    size_t n = w->spare.used / sizeof(struct spare_root);
    for (size_t i = 0; i < n; i++) {
        struct spare_root spare = ((struct spare_root *)w->spare.bytes)[i];
        if (spare.certain && !visited_has(w, spare.object)) {
            emit_spare(w, spare);
            walk_drain(w);
        }
    }
    if (w->features & FEATURE_GC_LISTS) {
        believe_stack_slots(w);
    }
}

/* Cyclic garbage, and what only native code holds; then the targets of weak references that nothing else reached. */
void
roots_collector(struct walk *w)
{
    if (w->features & FEATURE_GC_LISTS) {
        PyGC_Head *heads[N_COLLECTOR_LISTS];
        collector_lists(w->interpreter, heads);
        for (int i = 0; i < N_COLLECTOR_LISTS; i++) {
            for (PyGC_Head *at = collector_next(heads[i]); at != heads[i]; at = collector_next(at)) {
                walk_push(w, (PyObject *)(at + 1));
                walk_drain(w);
            }
        }
    }
    for (size_t i = 0; i < w->weak.used / sizeof(PyObject *); i++) { /* grows meanwhile */
        walk_push(w, ((PyObject **)w->weak.bytes)[i]);
        walk_drain(w);
    }
}
