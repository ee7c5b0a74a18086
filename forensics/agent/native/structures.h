/* Structures that the C modules of the standard library keep to themselves; each is checked before it is believed. */
#ifndef WALKER_STRUCTURES_H
#define WALKER_STRUCTURES_H

#include <Python.h>
#include <stdint.h>

/* Modules/_functoolsmodule.c */
struct lru_link {
    PyObject_HEAD
    void *previous, *next;
    Py_hash_t hash;
    PyObject *key, *result;
};
struct lru_cache {
    struct lru_link root;
    void *wrapper;
    int typed;
    PyObject *cache;
    Py_ssize_t hits;
    PyObject *function;
};

/* Modules/_io/bytesio.c */
struct bytes_io {
    PyObject_HEAD
    PyObject *buffer;
};

/* Modules/_collectionsmodule.c */
struct deque_object {
    PyObject_VAR_HEAD
    void *leftblock, *rightblock;
    Py_ssize_t leftindex;
};
#define DEQUE_BLOCK 64
#define DEQUE_BLOCK_BYTES ((DEQUE_BLOCK + 2) * sizeof(void *))

/* Objects/odictobject.c */
struct ordered_dict {
    PyDictObject dict;
    void *first, *last;
    void **fast_nodes; /* one for each slot of the dict's index, or none yet */
    Py_ssize_t fast_nodes_size;
};
#define ORDERED_NODE_BYTES (4 * sizeof(void *))

/* Modules/arraymodule.c */
struct array_description {
    char typecode;
    int itemsize;
};
struct array_object {
    PyObject_VAR_HEAD
    char *items;
    Py_ssize_t allocated;
    const struct array_description *description;
};

/* Modules/_decimal: words of 19 decimal digits, least significant first */
struct decimal_object {
    PyObject_HEAD
    Py_hash_t hash;
    uint8_t flags;
    Py_ssize_t exponent, digits, length, allocated;
    uint64_t *words;
};
enum {
    DECIMAL_NEGATIVE = 1,
    DECIMAL_INFINITE = 2,
    DECIMAL_NAN = 4,
    DECIMAL_SIGNALLING = 8,
    DECIMAL_WORDS_ELSEWHERE = 32 | 64 | 128, /* inside the object, shared, or constant */
};
#define DECIMAL_WORD_DIGITS 19

#endif
