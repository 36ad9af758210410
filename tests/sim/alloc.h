/*
 * Memory for the simulator: an allocation either succeeds or ends the process.
 *
 * A stand-in for tests gains nothing from limping on without memory, and every size that a client chooses has
 * a ceiling long before that. So the rest of the code needs no failure path for it.
 *
 * Threads: any.
 */
#ifndef SIM_ALLOC_H
#define SIM_ALLOC_H

#include <stddef.h>

/* |size| bytes, zeroed; returned, release with free(). Logs and ends the process when there is no memory. */
void *sim_alloc(size_t size);

/* Makes |old| (NULL or from here) |size| bytes long; returned, release with free(). */
void *sim_realloc(void *old, size_t size);

/* A copy of the C string |text|; returned, release with free(). */
char *sim_strdup(const char *text);

/* A copy of |len| bytes with a NUL after them; returned, release with free(). */
char *sim_memdup(const char *bytes, size_t len);

/* Makes cJSON allocate through sim_alloc(). Call once, before any thread. */
void sim_alloc_install(void);

#endif
