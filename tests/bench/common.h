/*
 * What the programs of the benchmarks share: files, ports, times. A failure ends the program, which says why.
 *
 * Threads: one at a time.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says "PROGRAM: what" and ends the program with exit code 1. */
_Noreturn void bench_fail(const char *what);

/* |memory|, which must not be NULL. */
void *bench_need(void *memory);

/* |text| as a whole number of 0 or more. */
long bench_number(const char *text);

/* The bytes of the file |path|, and a NUL after them; |len| written. Returned; release with free(). */
char *bench_read_file(const char *path, size_t *len);

/* Writes |port| to the file |path|, which is there only when it is complete. */
void bench_write_port(const char *path, int port);

/* Microseconds of the monotonic clock. */
int64_t bench_now_us(void);

/* How long each call of one run took. Begins zeroed. */
struct bench_times {
    int64_t *us;
    size_t count;
    size_t cap;
};

void bench_times_add(struct bench_times *times, int64_t us);
void bench_times_finish(struct bench_times *times);

/* Prints {"calls":,"took_us":,"min_us":,"p50_us":,"p99_us":,"max_us": without the closing brace. Sorts |times|. */
void bench_times_print(struct bench_times *times, int64_t took_us);

#endif
