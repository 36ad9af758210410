/*
 * Failing allocations: those of every object that is linked in, the test's own too, but of no shared library.
 *
 * Linking to test_alloc_fault makes the linker put these functions before malloc(), calloc(), realloc() and strdup().
 * Shared libraries are left out on purpose: libcurl 7.88 dies when an allocation of its own fails.
 *
 * Threads: any; the count is one for all.
 */
#ifndef ALLOC_FAULT_H
#define ALLOC_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* The first |count| allocations from now on succeed, the next one fails, all others succeed. */
void alloc_fault_once_after(size_t count);

/* The first |count| allocations from now on succeed, all others fail. */
void alloc_fault_all_after(size_t count);

/* Each |every|th allocation from now on fails, until |total| have. */
void alloc_fault_every(size_t every, size_t total);

/* From now on all succeed. Returns whether one failed since the last call. */
bool alloc_fault_end(void);

/* Counts an allocation that a test wraps itself. Returns whether it is to fail. */
bool alloc_fault_hits(void);

#endif
