/* Blocks of records, and the file descriptor they go to. */
#include "walker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_AT ((size_t)1 << 19)
#define EDGE_BLOCK_BYTES ((size_t)1 << 24)

static const char BLOCK_KIND[N_BLOCKS] = {'T', 'S', 'O', 'E', 'V', 'C', 'F', 'R'};

static void
wait_until_writable(struct walk *w)
{
    struct pollfd waiting = {.fd = w->fd, .events = POLLOUT};
    int timeout = -1;
    if (w->deadline > 0) {
        double left = w->deadline - monotonic_seconds();
        if (left <= 0) {
            walk_give_up(w, FAIL_TIME);
        }
        timeout = (int)(left * 1000) + 1;
    }
    poll(&waiting, 1, timeout);
}

static void
write_all(struct walk *w, const void *bytes, size_t n)
{
    const char *at = bytes;
    w->n_bytes += n;
    while (n > 0 && w->recording) {
        ssize_t written = write(w->fd, at, n);
        if (written >= 0) {
            at += written;
            n -= (size_t)written;
        }
        else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            wait_until_writable(w); /* a socket with a timeout is non-blocking for us too */
        }
        else if (errno != EINTR) {
            walk_give_up(w, FAIL_WRITE); /* the capturing side is gone */
        }
    }
}

static void
write_block(struct walk *w, char kind, uint32_t count, const void *payload, size_t n)
{
    struct block_record block = {.kind = (uint8_t)kind, .count = count, .nbytes = n};
    write_all(w, &block, sizeof block);
    write_all(w, payload, n);
}

void
output_begin(struct walk *w)
{
    write_all(w, STREAM_MAGIC, sizeof STREAM_MAGIC - 1);
    write_block(w, 'H', 1, w->header, w->header_length);
}

/* One list may have many millions of edges; the reader takes no block of that size. */
static void
write_edges(struct walk *w, const struct array *edges)
{
    for (size_t at = 0; at < edges->used; at += EDGE_BLOCK_BYTES) {
        size_t n = edges->used - at < EDGE_BLOCK_BYTES ? edges->used - at : EDGE_BLOCK_BYTES;
        write_block(w, 'E', (uint32_t)(n / sizeof(struct edge_record)), edges->bytes + at, n);
    }
}

void
output_flush(struct walk *w)
{
    for (int i = 0; i < N_BLOCKS; i++) {
        struct array *a = &w->blocks[i];
        if (a->used > 0) {
            if (i == BLOCK_EDGES) {
                write_edges(w, a);
            }
            else {
                write_block(w, BLOCK_KIND[i], w->counts[i], a->bytes, a->used);
            }
            a->used = 0;
            w->counts[i] = 0;
        }
    }
    if (w->deadline > 0 && monotonic_seconds() > w->deadline) {
        walk_give_up(w, FAIL_TIME);
    }
}

/* Between objects only: an object's edges belong to the object blocks before them. */
void
output_flush_if_full(struct walk *w)
{
    size_t pending = 0;
    for (int i = 0; i < N_BLOCKS; i++) {
        pending += w->blocks[i].used;
    }
    if (pending >= FLUSH_AT) {
        output_flush(w);
    }
}

const char *
feature_name(unsigned feature)
{
    switch (feature) {
    case FEATURE_ATTRIBUTES: return "attributes";
    case FEATURE_FRAMES: return "frames";
    case FEATURE_GENERATORS: return "generators";
    case FEATURE_CODE: return "code";
    case FEATURE_LRU_CACHE: return "lru_cache";
    case FEATURE_DECIMAL: return "decimal";
    case FEATURE_DEQUE: return "deque";
    case FEATURE_GC_LISTS: return "gc_lists";
    default: return NULL;
    }
}

void
output_end(struct walk *w, double seconds)
{
    char given_up[256] = "";
    size_t used = 0;
    for (int i = 0; feature_name(1u << i) != NULL; i++) {
        if (!(w->features & 1u << i)) {
            used += (size_t)snprintf(given_up + used, sizeof given_up - used, "%s\"%s\"", used ? ", " : "",
                                     feature_name(1u << i));
        }
    }
    output_flush(w);
    unsigned long long microseconds = (unsigned long long)(seconds * 1e6); /* printing a double may allocate */
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "{\"objects\": %llu, \"edges\": %llu, \"seconds\": %llu.%06llu, \"reached\": %llu, \"types\": %u, "
                     "\"bytes\": %llu, \"private_bytes\": %llu, \"names_given_up\": [%s]}",
                     (unsigned long long)w->n_objects, (unsigned long long)w->n_edges,
                     microseconds / 1000000, microseconds % 1000000,
                     (unsigned long long)w->n_reached, w->n_types, (unsigned long long)w->n_bytes,
                     (unsigned long long)w->n_private, given_up);
    write_block(w, 'N', 1, text, (size_t)n);
}

/* The id of a name, by the address of its text: names are string literals or tp_members, which stay put. */
uint32_t
output_name(struct walk *w, const char *name)
{
    uint32_t *index = (uint32_t *)w->name_index.bytes;
    const char **names = (const char **)w->names.bytes;
    size_t mask = w->name_index.capacity / sizeof *index - 1;
    size_t at = ((uintptr_t)name * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & mask;
    while (index[at] != 0) {
        if (names[index[at] - 1] == name) {
            return index[at];
        }
        at = (at + 1) & mask;
    }
    if ((size_t)w->n_names * 2 > mask) {
        return 0; /* nameless is better than a table that is full */
    }
    *(const char **)array_extend(w, &w->names, sizeof name) = name;
    index[at] = ++w->n_names;
    size_t n = strnlen(name, UINT16_MAX);
    struct array *strings = &w->blocks[BLOCK_STRINGS];
    char *record = array_extend(w, strings, sizeof(struct string_record) + n);
    *(struct string_record *)record = (struct string_record){.id = w->n_names, .n = (uint16_t)n};
    memcpy(record + sizeof(struct string_record), name, n);
    w->counts[BLOCK_STRINGS]++;
    return w->n_names;
}

static uint32_t
at_most_u32(size_t n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void
output_object(struct walk *w, const void *address, size_t size, size_t length, size_t capacity, uint32_t type_id,
              size_t degree, size_t refcount, unsigned flags)
{
    struct object_record *o = (struct object_record *)array_extend(w, &w->blocks[BLOCK_OBJECTS], sizeof *o);
    o->address = (uint64_t)(uintptr_t)address;
    o->size = size;
    o->length = length;
    o->type_id = type_id;
    o->degree = at_most_u32(degree);
    o->capacity = at_most_u32(capacity);
    o->refcount = at_most_u32(refcount);
    o->flags = flags;
    o->reserved = 0;
    w->counts[BLOCK_OBJECTS]++;
    w->n_objects++;
    w->n_edges += degree;
}

void
output_root(struct walk *w, const void *address, const char *name, enum root_kind kind)
{
    uint32_t id = output_name(w, name);
    struct root_record *r = (struct root_record *)array_extend(w, &w->blocks[BLOCK_ROOTS], sizeof *r);
    *r = (struct root_record){.address = (uint64_t)(uintptr_t)address, .name = id, .kind = (uint8_t)kind};
    w->counts[BLOCK_ROOTS]++;
}
