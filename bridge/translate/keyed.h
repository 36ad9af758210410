/*
 * Which of several entries of a map count: of those with one key, the last.
 *
 * Pure. Threads: any.
 * Source: https://protobuf.dev/programming-guides/encoding/ (maps); DESIGN.md section 5 (duplicate keys).
 */
#ifndef BR_TRANSLATE_KEYED_H
#define BR_TRANSLATE_KEYED_H

#include <stddef.h>

struct br_keyed {
    const char *key;
    const void *value;
    size_t index; /* where it stood; for br_keyed_keep_last() */
};

/* Drops each item that a later one with its key replaces; the others stay in order. Returns how many stay. */
size_t br_keyed_keep_last(struct br_keyed *items, size_t count);

#endif
