/* Private memory: mmap only, never malloc, whose locks another thread may have held when the child was forked. */
#define _GNU_SOURCE
#include "walker.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct mapping {
    void *at;
    size_t bytes;
};

/* The system calls themselves: a memory profiler that runs in the service puts its own functions over mmap and munmap,
   and in the child, which no fork handler has told it of, they would write into the file that it shares with the
   service's. */
static void *
system_mmap(size_t bytes)
{
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#if defined(__LP64__) && defined(SYS_mmap)
    return (void *)syscall(SYS_mmap, NULL, bytes, protection, flags, -1, 0L);
#else
    return mmap(NULL, bytes, protection, flags, -1, 0);
#endif
}

static void
system_munmap(void *at, size_t bytes)
{
    syscall(SYS_munmap, at, bytes);
}

_Noreturn void
walk_give_up(struct walk *w, int failure)
{
    longjmp(w->give_up, failure);
}

static void *
map(struct walk *w, size_t bytes)
{
    void *at = system_mmap(bytes);
    if (at == MAP_FAILED) {
        walk_give_up(w, FAIL_MEMORY);
    }
    w->n_private += bytes;
    return at;
}

static void
remember(struct walk *w, void *at, size_t bytes)
{
    struct array *list = &w->mappings;
    if (list->bytes == NULL) {
        list->capacity = 1 << 20; /* 65536 mappings; untouched pages of it cost nothing */
        list->bytes = map(w, list->capacity);
    }
    if (list->used + sizeof(struct mapping) > list->capacity) {
        walk_give_up(w, FAIL_MEMORY);
    }
    *(struct mapping *)(list->bytes + list->used) = (struct mapping){at, bytes};
    list->used += sizeof(struct mapping);
}

/* Zeroed memory that lives until private_free. */
void *
private_map(struct walk *w, size_t bytes)
{
    void *at = map(w, bytes);
    remember(w, at, bytes);
    return at;
}

void
array_grow(struct walk *w, struct array *a, size_t needed)
{
    size_t capacity = a->capacity ? a->capacity : 1 << 16;
    while (capacity < needed) {
        capacity *= 2;
    }
    if (a->bytes == NULL) {
        a->bytes = map(w, capacity);
    }
    else {
        void *at = mremap(a->bytes, a->capacity, capacity, MREMAP_MAYMOVE);
        if (at == MAP_FAILED) {
            walk_give_up(w, FAIL_MEMORY);
        }
        w->n_private += capacity - a->capacity;
        a->bytes = at;
    }
    a->capacity = capacity;
}

static void
array_free(struct array *a)
{
    if (a->bytes != NULL) {
        system_munmap(a->bytes, a->capacity);
    }
    *a = (struct array){NULL, 0, 0};
}

/* Give everything back; only a walk in the service itself needs it, a child just exits. */
void
private_free(struct walk *w)
{
    for (int i = 0; i < N_BLOCKS; i++) {
        array_free(&w->blocks[i]);
    }
    struct array *arrays[] = {&w->stack, &w->types, &w->type_index, &w->members, &w->names,
                              &w->name_index, &w->spare, &w->weak, &w->matched};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        array_free(arrays[i]);
    }
    struct mapping *mapping = (struct mapping *)w->mappings.bytes;
    for (size_t i = 0; i < w->mappings.used / sizeof *mapping; i++) {
        system_munmap(mapping[i].at, mapping[i].bytes);
    }
    array_free(&w->mappings);
    w->visited = NULL;
}
