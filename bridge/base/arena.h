/*
 * An arena: many allocations under one ceiling, released together. One call's messages live in one arena.
 *
 * Threads: one at a time.
 * Owns:    every block it hands out, until br_arena_finish().
 */
#ifndef BR_BASE_ARENA_H
#define BR_BASE_ARENA_H

#include "base/status.h"

#include <stdarg.h>

struct br_arena_block;

struct br_arena {
    struct br_arena_block *blocks;
    size_t used_bytes;  /* asked for so far, alignment included */
    size_t limit_bytes; /* ceiling on used_bytes */
    bool exhausted;     /* an allocation failed: the ceiling, or malloc */
};

/* |arena| becomes empty and may hand out at most |limit_bytes|; nothing is allocated yet. */
void br_arena_init(struct br_arena *arena, size_t limit_bytes);

/* Wipes and releases every block. Accepts NULL and a zeroed arena; the arena may be initialised again. */
void br_arena_finish(struct br_arena *arena);

/*
 * |size| zeroed bytes, aligned for any type; they live until br_arena_finish().
 * Returns NULL, with |exhausted| set, past the ceiling or when malloc fails. A size of 0 gives a valid pointer.
 */
void *br_arena_alloc(struct br_arena *arena, size_t size) BR_MUST_CHECK;

/* A NUL-terminated copy of |len| bytes of |text|; NULL as br_arena_alloc(). */
char *br_arena_strndup(struct br_arena *arena, const char *text, size_t len) BR_MUST_CHECK;

/* A formatted string; NULL as br_arena_alloc(). */
char *br_arena_printf(struct br_arena *arena, const char *format, ...) BR_MUST_CHECK BR_PRINTF(2, 3);
char *br_arena_vprintf(struct br_arena *arena, const char *format, va_list args) BR_MUST_CHECK
    BR_PRINTF(2, 0);

/* Fills |st| with RESOURCE_EXHAUSTED/OUT_OF_MEMORY and returns false: the one way to report a NULL from above. */
bool br_arena_fail(const struct br_arena *arena, struct br_status *st);

#endif
