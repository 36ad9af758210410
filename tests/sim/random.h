/*
 * Bytes that nobody can guess, for tokens and request ids.
 *
 * Threads: any.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stddef.h>

/* Fills |len| bytes at |out|. Logs and ends the process when the kernel gives none. */
void sim_random_fill(unsigned char *out, size_t len);

#endif
