#include "alloc_fault.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of the allocations from |first| on, each |period|th fails, |left| times. */
static atomic_long seen;
static atomic_long first;
static atomic_long period = 1;
static atomic_long left;
static atomic_bool has_failed;

bool alloc_fault_hits(void)
{
    if (left <= 0) {
        return false;
    }
    long number = atomic_fetch_add(&seen, 1);
    if (number < first || (number - first) % period != 0 || atomic_fetch_sub(&left, 1) <= 0) {
        return false;
    }
    has_failed = true;
    return true;
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

static void begin(size_t after, size_t every, long total)
{
    seen = 0;
    first = (long)after;
    period = (long)every;
    left = total;
}

void alloc_fault_once_after(size_t count)
{
    begin(count, 1, 1);
}

void alloc_fault_all_after(size_t count)
{
    begin(count, 1, LONG_MAX);
}

void alloc_fault_every(size_t every, size_t total)
{
    begin(every - 1, every, (long)total);
}

bool alloc_fault_end(void)
{
    left = 0;
    return atomic_exchange(&has_failed, false);
}
