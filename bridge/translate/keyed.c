#include "translate/keyed.h"

#include <stdlib.h>
#include <string.h>

static int compare_indexes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare_by_key(const void *a, const void *b)
{
    const struct br_keyed *left = a;
    const struct br_keyed *right = b;
    int order = strcmp(left->key, right->key);
    return order != 0 ? order : compare_indexes(left->index, right->index);
}

static int compare_by_index(const void *a, const void *b)
{
    return compare_indexes(((const struct br_keyed *)a)->index, ((const struct br_keyed *)b)->index);
}

size_t br_keyed_keep_last(struct br_keyed *items, size_t count)
{
    if (count < 2) {
        return count;
    }
    /* Sorting keeps a map of hostile size from costing the square of its size. */
    for (size_t i = 0; i < count; i++) {
        items[i].index = i;
    }
    qsort(items, count, sizeof *items, compare_by_key);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || strcmp(items[i].key, items[i + 1].key) != 0) {
            items[kept++] = items[i];
        }
    }
    qsort(items, kept, sizeof *items, compare_by_index);
    return kept;
}
