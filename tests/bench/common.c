#define _GNU_SOURCE /* program_invocation_short_name */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

_Noreturn void bench_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

void *bench_need(void *memory)
{
    if (memory == NULL) {
        bench_fail("out of memory");
    }
    return memory;
}

long bench_number(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 0) {
        bench_fail("a number is not one");
    }
    return number;
}

char *bench_read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        bench_fail("a file cannot be read");
    }
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = bench_need(malloc(size + 1));
    if (fread(bytes, 1, size, file) != size) {
        bench_fail("a file cannot be read");
    }
    (void)fclose(file);
    bytes[size] = '\0';
    *len = size;
    return bytes;
}

void bench_write_port(const char *path, int port)
{
    char temporary[4096];
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%d\n", port) < 0 || fclose(file) != 0 ||
        rename(temporary, path) != 0) {
        bench_fail("the port file cannot be written");
    }
}

int64_t bench_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void bench_times_add(struct bench_times *times, int64_t us)
{
    if (times->count == times->cap) {
        times->cap = times->cap == 0 ? 65536 : times->cap * 2;
        times->us = bench_need(realloc(times->us, times->cap * sizeof *times->us));
    }
    times->us[times->count++] = us;
}

void bench_times_finish(struct bench_times *times)
{
    free(times->us);
    *times = (struct bench_times){0};
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

void bench_times_print(struct bench_times *times, int64_t took_us)
{
    if (times->count == 0) {
        bench_fail("no call ended");
    }
    qsort(times->us, times->count, sizeof *times->us, compare);
    printf("{\"calls\":%zu,\"took_us\":%" PRId64 ",\"min_us\":%" PRId64 ",\"p50_us\":%" PRId64
           ",\"p99_us\":%" PRId64 ",\"max_us\":%" PRId64,
           times->count, took_us, times->us[0], times->us[times->count / 2],
           times->us[times->count * 99 / 100], times->us[times->count - 1]);
}
