/* Which addresses were met: one bit for each 8 bytes, in leaves for each MiB that holds objects.

   A heap of 1 GB costs 16 MB here; a hash set of the same objects would cost twice that and a cache miss each. */
#include "walker.h"

#define LEAF_SHIFT 20
#define LEAF_BYTES ((size_t)1 << (LEAF_SHIFT - 3 - 3))
#define POOL_BYTES ((size_t)1 << 22)

static uint64_t *
leaf_of(struct walk *w, uintptr_t address, int make)
{
    struct visited *v = w->visited;
    uintptr_t key = address >> LEAF_SHIFT;
    if (v->last_leaf != NULL && v->last_key == key) {
        return v->last_leaf;
    }
    uint64_t ***middle = &v->middle[(address >> 36) & 0xfff];
    if (*middle == NULL) {
        if (!make) {
            return NULL;
        }
        *middle = private_map(w, sizeof(uint64_t *) << 16);
    }
    uint64_t **leaf = &(*middle)[key & 0xffff];
    if (*leaf == NULL) {
        if (!make) {
            return NULL;
        }
        if (v->pool_left < LEAF_BYTES) {
            v->pool = private_map(w, POOL_BYTES);
            v->pool_left = POOL_BYTES;
        }
        *leaf = (uint64_t *)v->pool;
        v->pool += LEAF_BYTES;
        v->pool_left -= LEAF_BYTES;
    }
    v->last_leaf = *leaf;
    v->last_key = key;
    return *leaf;
}

int
visited_mark(struct walk *w, const void *address)
{
    uintptr_t a = (uintptr_t)address;
    uint64_t *leaf = leaf_of(w, a, 1);
    size_t bit = (a & (((uintptr_t)1 << LEAF_SHIFT) - 1)) >> 3;
    uint64_t mask = UINT64_C(1) << (bit & 63);
    if (leaf[bit >> 6] & mask) {
        return 0;
    }
    leaf[bit >> 6] |= mask;
    return 1;
}

int
visited_has(struct walk *w, const void *address)
{
    uintptr_t a = (uintptr_t)address;
    uint64_t *leaf = leaf_of(w, a, 0);
    size_t bit = (a & (((uintptr_t)1 << LEAF_SHIFT) - 1)) >> 3;
    return leaf != NULL && (leaf[bit >> 6] >> (bit & 63) & 1);
}
