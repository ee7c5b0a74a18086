/* What the parts of the native walker share.

   The walk runs in a forked child (or, when there is no memory for one, in the service itself with the interpreter
   lock held). In both cases it may not call malloc, take a lock or change a reference count: another thread may have
   held the allocator's lock at the moment of the fork, and every count written to would copy a page. So all memory is
   private mmap (memory.c), and everything reads structures directly or calls C functions known not to allocate. */
#ifndef WALKER_H
#define WALKER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "stream.h"

/* ---- memory.c: growable arrays out of private mmap ---- */
struct array {
    char *bytes;
    size_t used, capacity;
};

/* ---- types.c ---- */
enum object_kind {
    KIND_PLAIN,
    KIND_DICT,
    KIND_LIST,
    KIND_TUPLE,
    KIND_SET,
    KIND_STR,
    KIND_BYTES,
    KIND_BYTEARRAY,
    KIND_INT,
    KIND_FLOAT,
    KIND_DECIMAL,
    KIND_TYPE,
    KIND_CODE,
    KIND_FUNCTION,
    KIND_BUILTIN,
    KIND_CELL,
    KIND_GENERATOR,
    KIND_FRAME,
    KIND_TRACEBACK,
    KIND_EXCEPTION,
    KIND_WEAKREF,
    KIND_DEQUE,
    KIND_ORDERED_DICT,
    KIND_ARRAY,
    KIND_BYTES_IO,
    KIND_LRU_CACHE,
    KIND_LRU_LINK,
};

struct member {
    Py_ssize_t offset;
    uint32_t name; /* string id */
};

struct type_facts {
    PyTypeObject *type;
    traverseproc traverse;      /* NULL: nothing to ask the type for beyond what is named */
    traverseproc base_traverse; /* of the C type at the bottom, for a deque's items */
    uint32_t id;
    uint32_t first_member, n_members;
    uint8_t kind;
    uint8_t exact;   /* the type is the builtin itself, not a subclass */
    uint8_t heap;    /* instances hold a reference to it */
    uint8_t has_gc;
    uint8_t managed; /* the interpreter keeps the instance's dict or values for it */
};

/* Types that only their module knows, looked up before the fork in modules that are already imported. */
struct known_types {
    PyTypeObject *decimal, *deque, *ordered_dict, *array, *bytes_io, *lru_cache, *lru_link;
    traverseproc subtype_traverse; /* of classes written in Python */
};

/* What the self-check found to be right; without a bit the walker falls back to nameless references. */
enum feature {
    FEATURE_ATTRIBUTES = 1,
    FEATURE_FRAMES = 2,
    FEATURE_GENERATORS = 4,
    FEATURE_CODE = 8,
    FEATURE_LRU_CACHE = 16,
    FEATURE_DECIMAL = 32,
    FEATURE_DEQUE = 64,
    FEATURE_GC_LISTS = 128,
    FEATURE_ALL = 255,
    FEATURES_OF_MODULES = FEATURE_LRU_CACHE | FEATURE_DECIMAL | FEATURE_DEQUE,
};

/* ---- visited.c ---- */
struct visited {
    uint64_t **middle[1 << 12];  /* by bits 36-47, then 20-35; a leaf holds one bit for 8 bytes of 1 MiB */
    uint64_t *last_leaf;
    uintptr_t last_key;
    char *pool;
    size_t pool_left;
};

/* A root of low rank: it is named as one only when nothing else reaches the object. Paths that a person reads should
   lead through modules and variables, not through the function of a running frame or a codec's registry. */
struct spare_root {
    PyObject *object;
    uint32_t name;
    uint8_t kind;
    uint8_t certain; /* 0: read from a stack slot that may be stale; believed only if the collector lists it */
};

enum { BLOCK_TYPES, BLOCK_STRINGS, BLOCK_OBJECTS, BLOCK_EDGES, BLOCK_VALUES, BLOCK_CODE, BLOCK_FRAMES, BLOCK_ROOTS, N_BLOCKS };

#define MOST_AGENT_THREADS 64

struct walk {
    /* asked for */
    int fd;
    int values;
    double deadline;       /* CLOCK_MONOTONIC seconds; 0: none (the child has an alarm) */
    PyInterpreterState *interpreter;
    PyObject *modules;
    unsigned long agent_threads[MOST_AGENT_THREADS]; /* ids of the threads that are ours and no part of the service */
    int n_agent_threads;
    struct known_types known;
    unsigned features;
    const char *header;
    size_t header_length;
    /* working memory */
    struct array blocks[N_BLOCKS];
    uint32_t counts[N_BLOCKS];
    struct array stack, types, type_index, members, names, name_index, spare, weak, matched, mappings;
    struct visited *visited;
    uint32_t n_types, n_names;
    size_t matching_from, matching_to;
    int matching_hashed;
    uint32_t next_item; /* position while a deque is traversed */
    unsigned flags;        /* of objects being emitted: FLAG_GC_LIST_ONLY in the last phase */
    /* found */
    uint64_t n_objects, n_edges, n_reached, n_bytes, n_private;
    jmp_buf give_up;
    int recording; /* 0: self-check, nothing is written */
};

enum walk_failure { FAIL_MEMORY = 71, FAIL_WRITE = 72, FAIL_TIME = 73 };
_Noreturn void walk_give_up(struct walk *w, int failure);

void *private_map(struct walk *w, size_t bytes);
void private_free(struct walk *w);
void array_grow(struct walk *w, struct array *a, size_t needed);
static inline char *
array_extend(struct walk *w, struct array *a, size_t bytes)
{
    if (a->used + bytes > a->capacity) {
        array_grow(w, a, a->used + bytes);
    }
    char *at = a->bytes + a->used;
    a->used += bytes;
    return at;
}

int visited_mark(struct walk *w, const void *address); /* 1 the first time */
int visited_has(struct walk *w, const void *address);

void output_begin(struct walk *w);
void output_flush(struct walk *w);
void output_flush_if_full(struct walk *w);
void output_end(struct walk *w, double seconds);
uint32_t output_name(struct walk *w, const char *name); /* a string that outlives the walk */
void output_object(struct walk *w, const void *address, size_t size, size_t length, size_t capacity, uint32_t type_id,
                   size_t degree, size_t refcount, unsigned flags);
void output_root(struct walk *w, const void *address, const char *name, enum root_kind kind);

void types_prepare(struct walk *w);
struct type_facts *type_facts(struct walk *w, PyTypeObject *type);

static inline void
add_edge(struct walk *w, unsigned kind, uint64_t label, const void *target)
{
    if (target == NULL) {
        return;
    }
    struct edge_record *e = (struct edge_record *)array_extend(w, &w->blocks[BLOCK_EDGES], sizeof *e);
    e->target = (uint64_t)(uintptr_t)target;
    e->label = (label & LABEL_MASK) | (uint64_t)kind << KIND_SHIFT;
}
static inline void
add_slot(struct walk *w, const char *name, const void *target)
{
    if (target != NULL) {
        add_edge(w, EDGE_SLOT, output_name(w, name), target);
    }
}

/* objects.c, callables.c: the references of one object, named */
void object_edges(struct walk *w, struct type_facts *facts, PyObject *object);
void type_edges(struct walk *w, PyTypeObject *type);
void code_edges(struct walk *w, PyCodeObject *code);
void function_edges(struct walk *w, PyFunctionObject *function);
void generator_edges(struct walk *w, PyObject *generator);
void frame_object_edges(struct walk *w, PyFrameObject *frame);
struct _PyInterpreterFrame;
void frame_locals(struct walk *w, struct _PyInterpreterFrame *frame);
void frame_stack(struct walk *w, struct _PyInterpreterFrame *frame, const char *awaited);

/* sizes.c */
struct extent {
    size_t size, length, capacity; /* bytes, elements in use, elements allocated */
};
struct extent object_extent(struct walk *w, struct type_facts *facts, PyObject *object);

/* values.c */
int output_value(struct walk *w, struct type_facts *facts, PyObject *object); /* 1: the value was cut */
size_t decimal_text(PyObject *decimal, char *out, size_t room, int *cut);
size_t unicode_utf8(PyObject *text, char *out, size_t room);

/* walk.c, roots.c */
void walk_prepare(struct walk *w);
void walk_push(struct walk *w, PyObject *object);
void walk_drain(struct walk *w);
void walk_everything(struct walk *w);
void walk_frame(struct walk *w, struct _PyInterpreterFrame *frame, unsigned long thread, int depth);
void spare_root(struct walk *w, PyObject *object, const char *name, enum root_kind kind, int certain);
void roots_emit(struct walk *w);
void roots_spare(struct walk *w);
void roots_collector(struct walk *w);

/* child.c, watcher.c */
double monotonic_seconds(void);
const char *feature_name(unsigned feature); /* NULL when there is none */
pid_t child_fork(void);
void child_end(pid_t child);
pid_t child_start(struct walk *w, int alive_fd, unsigned limit_seconds, double *pause_seconds);
int walk_in_place(struct walk *w, unsigned limit_seconds);
int collector_hold(void);
void collector_release(void);
void watcher_forget(void);
int watcher_start(pid_t child, int held_collector);
int watcher_wait(pid_t child, double timeout, int *status);

/* selfcheck.c */
void known_types_find(struct known_types *known);
unsigned selfcheck_run(PyObject *module, struct known_types *known);
void selfcheck_known(struct known_types *known, unsigned *features);
PyObject *selfcheck_probe(PyObject *module, PyObject *token);

#endif
