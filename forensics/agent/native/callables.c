/* Functions, code, frames and suspended generators. */
#include "layout.h"

void
code_edges(struct walk *w, PyCodeObject *code)
{
    add_slot(w, "co_consts", code->co_consts);
    add_slot(w, "co_names", code->co_names);
    add_slot(w, "co_localsplusnames", code->co_localsplusnames);
    add_slot(w, "co_localspluskinds", code->co_localspluskinds);
    add_slot(w, "co_filename", code->co_filename);
    add_slot(w, "co_name", code->co_name);
    add_slot(w, "co_qualname", code->co_qualname);
    add_slot(w, "co_linetable", code->co_linetable);
    add_slot(w, "co_exceptiontable", code->co_exceptiontable);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        add_edge(w, EDGE_CODE_CONSTANT, (uint64_t)i, PyTuple_GET_ITEM(code->co_consts, i));
    }
}

/* The names of the cells of a closure stand in the code: the free variables come last among its locals. */
static void
closure_edges(struct walk *w, PyCodeObject *code, PyObject *closure)
{
    if (closure == NULL || !PyTuple_Check(closure) || !(w->features & FEATURE_CODE)) {
        return;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(closure);
    Py_ssize_t first = code->co_nlocalsplus - n;
    if (first < 0 || n != code->co_nfreevars) {
        return;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(code->co_localsplusnames, first + i);
        add_edge(w, EDGE_CLOSURE, (uintptr_t)name, PyTuple_GET_ITEM(closure, i));
    }
}

void
function_edges(struct walk *w, PyFunctionObject *function)
{
    add_slot(w, "__code__", function->func_code);
    add_slot(w, "__globals__", function->func_globals);
    add_slot(w, "__builtins__", function->func_builtins);
    add_slot(w, "__name__", function->func_name);
    add_slot(w, "__qualname__", function->func_qualname);
    add_slot(w, "__defaults__", function->func_defaults);
    add_slot(w, "__kwdefaults__", function->func_kwdefaults);
    add_slot(w, "__closure__", function->func_closure);
    add_slot(w, "__doc__", function->func_doc);
    add_slot(w, "__dict__", function->func_dict);
    add_slot(w, "__module__", function->func_module);
    add_slot(w, "__annotations__", function->func_annotations);
#if PY_VERSION_HEX >= 0x030c0000
    add_slot(w, "__type_params__", function->func_typeparams);
#endif
#if PY_VERSION_HEX >= 0x030e0000
    add_slot(w, "__annotate__", function->func_annotate);
#endif
    if (function->func_code != NULL && PyCode_Check(function->func_code)) {
        closure_edges(w, (PyCodeObject *)function->func_code, function->func_closure);
    }
}

/* The named variables of a frame. A cell or free variable's slot holds the cell. */
void
frame_locals(struct walk *w, struct _PyInterpreterFrame *frame)
{
    PyCodeObject *code = frame_code(frame);
    if (code == NULL) {
        return;
    }
    int first_free = code->co_nlocalsplus - code->co_nfreevars;
    for (int i = 0; i < code->co_nlocalsplus; i++) {
        PyObject *name = PyTuple_GET_ITEM(code->co_localsplusnames, i);
        add_edge(w, i < first_free ? EDGE_LOCAL : EDGE_CLOSURE, (uintptr_t)name, frame_slot(frame, i));
    }
    if (frame->f_locals != NULL && frame->f_locals != frame->f_globals) {
        add_slot(w, "f_locals", frame->f_locals); /* of a class body, or of exec with locals of its own */
    }
}

/* Values in the middle of an expression: the iterator of a for loop, what an await waits for. The uppermost is called
   ``awaited`` where the caller knows that the frame waits for it. */
void
frame_stack(struct walk *w, struct _PyInterpreterFrame *frame, const char *awaited)
{
    PyCodeObject *code = frame_code(frame);
    Py_ssize_t top = frame_top(frame);
    if (code == NULL || top < 0 || top > code->co_nlocalsplus + code->co_stacksize) {
        return;
    }
    for (Py_ssize_t i = top - 1; i >= code->co_nlocalsplus; i--) {
        PyObject *value = frame_slot(frame, i);
        if (value != NULL && awaited != NULL) {
            add_slot(w, awaited, value);
            awaited = NULL;
        }
        else if (value != NULL) {
            add_edge(w, EDGE_INTERNAL, output_name(w, "stack"), value);
        }
    }
}

void
generator_edges(struct walk *w, PyObject *object)
{
    PyGenObject *generator = (PyGenObject *)object;
    int coroutine = PyCoro_CheckExact(object), asynchronous = PyAsyncGen_CheckExact(object);
#if GENERATOR_HAS_CODE
    add_slot(w, coroutine ? "cr_code" : asynchronous ? "ag_code" : "gi_code", generator->gi_code);
#endif
    if (generator_has_frame(generator)) {
        struct _PyInterpreterFrame *frame = generator_frame(generator);
#if !GENERATOR_HAS_CODE
        add_slot(w, coroutine ? "cr_code" : asynchronous ? "ag_code" : "gi_code", frame_code(frame));
#endif
        frame_locals(w, frame);
        const char *awaited = coroutine ? "cr_await" : asynchronous ? "ag_await" : "gi_yieldfrom";
        frame_stack(w, frame, generator_awaits(generator) ? awaited : NULL);
        add_slot(w, "f_func", frame_function(frame));
    }
    add_slot(w, "__name__", generator->gi_name);
    add_slot(w, "__qualname__", generator->gi_qualname);
    add_slot(w, "exception", generator->gi_exc_state.exc_value);
    /* Plain generators leave this field as it was in the memory they got. */
    if (coroutine) {
        add_slot(w, "cr_origin", generator->gi_origin_or_finalizer);
    }
    else if (asynchronous && generator->gi_hooks_inited) {
        add_slot(w, "finalizer", generator->gi_origin_or_finalizer);
    }
}

void
frame_object_edges(struct walk *w, PyFrameObject *object)
{
    struct _PyInterpreterFrame *frame = object->f_frame;
    add_slot(w, "f_back", object->f_back);
    add_slot(w, "f_trace", object->f_trace);
    if (frame != NULL && frame_code(frame) != NULL) {
        add_slot(w, "f_code", frame_code(frame));
        frame_locals(w, frame);
        frame_stack(w, frame, NULL);
    }
}
