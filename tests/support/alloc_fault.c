#include "alloc_fault.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long left = LONG_MAX; /* allocations until one fails */
static atomic_bool all_others;      /* fail too */
static atomic_bool has_failed;

bool alloc_fault_hits(void)
{
    if (left == LONG_MAX) {
        return false;
    }
    long before = atomic_fetch_sub(&left, 1);
    bool fails = before == 0 || (before < 0 && all_others);
    if (fails) {
        has_failed = true;
    }
    return fails;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return alloc_fault_hits() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fault_hits() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
    return alloc_fault_hits() ? NULL : __real_realloc(memory, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return alloc_fault_hits() ? NULL : __real_strdup(text);
}

void alloc_fault_once_after(size_t count)
{
    all_others = false;
    left = (long)count;
}

void alloc_fault_all_after(size_t count)
{
    all_others = true;
    left = (long)count;
}

bool alloc_fault_end(void)
{
    left = LONG_MAX;
    return atomic_exchange(&has_failed, false);
}
