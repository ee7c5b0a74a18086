/* Keeps every second page that it fetches; under valgrind's DHAT, and linked with jemalloc. */
#include <stdlib.h>
#include <string.h>

#define PAGES 80
#define ITEMS 25

static char **kept[PAGES];

static char **fetch_page(int page) {
    char **items = malloc(ITEMS * sizeof *items);
    for (int item = 0; item < ITEMS; item++) {
        size_t size = 500 + page % 50;
        items[item] = malloc(size);
        memset(items[item], 'x', size);
    }
    return items;
}

static void drop_page(char **items) {
    for (int item = 0; item < ITEMS; item++)
        free(items[item]);
    free(items);
}

static void keep_pages(void) {
    for (int page = 0; page < PAGES; page++) {
        char **items = fetch_page(page);
        if (page % 2)
            drop_page(items);
        else
            kept[page] = items;
    }
}

int main(void) {
    keep_pages();
    return kept[0][0][0] != 'x';
}
