#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT _Alignof(max_align_t)
#define FIRST_BLOCK_BYTES ((size_t)1024)
#define LARGEST_BLOCK_BYTES ((size_t)65536)

struct br_arena_block {
    struct br_arena_block *next;
    size_t used_bytes;
    size_t cap_bytes;
    max_align_t data[];
};

void br_arena_init(struct br_arena *arena, size_t limit_bytes)
{
    *arena = (struct br_arena){.limit_bytes = limit_bytes};
}

void br_arena_finish(struct br_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    struct br_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct br_arena_block *next = block->next;
        /* A call's token is in its arena: freed memory shall not hold it. */
        explicit_bzero(block->data, block->used_bytes);
        free(block);
        block = next;
    }
    *arena = (struct br_arena){0};
}

/* A block with |size| bytes free; the first block of the list is the one that small requests are cut from. */
static struct br_arena_block *find_room(struct br_arena *arena, size_t size)
{
    struct br_arena_block *head = arena->blocks;
    if (head != NULL && head->cap_bytes - head->used_bytes >= size) {
        return head;
    }

    /* As much again as was handed out so far: few blocks for a big message, little waste for a small one. */
    size_t total = arena->used_bytes;
    if (total < FIRST_BLOCK_BYTES) {
        total = FIRST_BLOCK_BYTES;
    }
    if (total > LARGEST_BLOCK_BYTES) {
        total = LARGEST_BLOCK_BYTES;
    }
    size_t cap = (total - sizeof(struct br_arena_block)) / ALIGNMENT * ALIGNMENT;
    bool own_block = size > cap / 2;
    if (own_block) {
        cap = size;
    }
    if (cap > SIZE_MAX - sizeof(struct br_arena_block)) {
        return NULL;
    }

    struct br_arena_block *block = malloc(sizeof *block + cap);
    if (block == NULL) {
        return NULL;
    }
    block->used_bytes = 0;
    block->cap_bytes = cap;
    if (own_block && head != NULL) {
        /* Behind the head, so that the room left in the head stays in use. */
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->blocks = block;
    }
    return block;
}

void *br_arena_alloc(struct br_arena *arena, size_t size)
{
    size_t left = arena->limit_bytes - arena->used_bytes;
    /* The first test keeps the rounding from wrapping around. */
    if (size > left) {
        arena->exhausted = true;
        return NULL;
    }
    size_t padding = (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
    if (padding > left - size) {
        arena->exhausted = true;
        return NULL;
    }
    size += padding;

    struct br_arena_block *block = find_room(arena, size);
    if (block == NULL) {
        arena->exhausted = true;
        return NULL;
    }
    char *bytes = (char *)block->data + block->used_bytes;
    memset(bytes, 0, size);
    block->used_bytes += size;
    arena->used_bytes += size;
    return bytes;
}

char *br_arena_strndup(struct br_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX) {
        arena->exhausted = true;
        return NULL;
    }
    char *copy = br_arena_alloc(arena, len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *br_arena_printf(struct br_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = br_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

BR_PRINTF(2, 0)
char *br_arena_vprintf(struct br_arena *arena, const char *format, va_list args)
{
    va_list measuring;
    va_copy(measuring, args);
    int len = vsnprintf(NULL, 0, format, measuring);
    va_end(measuring);
    if (len < 0) {
        /* printf itself failed: the text would pass INT_MAX bytes. */
        arena->exhausted = true;
        return NULL;
    }
    char *text = br_arena_alloc(arena, (size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, format, args);
    }
    return text;
}

bool br_arena_fail(const struct br_arena *arena, struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                         "out of memory: %zu bytes are in use, at most %zu are allowed", arena->used_bytes,
                         arena->limit_bytes);
}
