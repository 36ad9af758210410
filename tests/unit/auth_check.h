/*
 * What the tests of credentials share: a clock, a folder with files, the output that is kept, and a watch over what is
 * released.
 */
#ifndef TESTS_UNIT_AUTH_CHECK_H
#define TESTS_UNIT_AUTH_CHECK_H

#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stands in everything that is secret. */
#define SECRET "hush-hush"

/* ---- A clock that stands still until the test moves it ---- */

struct test_clock {
    struct br_clock clock; /* first */
    int64_t now_ms;
    int64_t unix_s;
};

static inline int64_t test_clock_now_us(const struct br_clock *self)
{
    return ((const struct test_clock *)self)->now_ms * 1000;
}

static inline int64_t test_clock_unix_s(const struct br_clock *self)
{
    return ((const struct test_clock *)self)->unix_s;
}

static inline struct test_clock test_clock_at(int64_t now_ms, int64_t unix_s)
{
    return (struct test_clock){.clock = {.now_us = test_clock_now_us, .unix_s = test_clock_unix_s},
                               .now_ms = now_ms,
                               .unix_s = unix_s};
}

/* ---- A folder of the test's own ---- */

#define TEST_PATH_CAP 256

struct test_folder {
    char path[64];
};

static inline struct test_folder test_folder_make(void)
{
    struct test_folder folder = {.path = "/tmp/br-credentials-XXXXXX"};
    assert_non_null(mkdtemp(folder.path));
    return folder;
}

static inline const char *test_folder_at(const struct test_folder *folder, const char *name,
                                         char out[TEST_PATH_CAP])
{
    assert_in_range(snprintf(out, TEST_PATH_CAP, "%s/%s", folder->path, name), 1, TEST_PATH_CAP - 1);
    return out;
}

static inline void test_folder_write_bytes(const struct test_folder *folder, const char *name,
                                           const void *bytes, size_t len)
{
    char path[TEST_PATH_CAP];
    FILE *file = fopen(test_folder_at(folder, name, path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline void test_folder_write(const struct test_folder *folder, const char *name, const char *text)
{
    test_folder_write_bytes(folder, name, text, strlen(text));
}

static inline void test_folder_unlink(const struct test_folder *folder, const char *name)
{
    char path[TEST_PATH_CAP];
    assert_int_equal(unlink(test_folder_at(folder, name, path)), 0);
}

static inline int test_remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void test_folder_remove(const struct test_folder *folder)
{
    assert_int_equal(nftw(folder->path, test_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- Standard error, kept while a test runs ---- */

#define TEST_OUTPUT_CAP 65536

struct test_output {
    int kept_fd;
    int real_fd;
    char text[TEST_OUTPUT_CAP];
};

static inline void test_output_begin(struct test_output *output)
{
    output->kept_fd = memfd_create("stderr", MFD_CLOEXEC);
    output->real_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    assert_true(output->kept_fd >= 0 && output->real_fd >= 0);
    assert_true(dup2(output->kept_fd, STDERR_FILENO) >= 0);
}

/* What was written so far. */
static inline const char *test_output_text(struct test_output *output)
{
    ssize_t len = pread(output->kept_fd, output->text, sizeof output->text - 1, 0);
    assert_true(len >= 0);
    output->text[len] = '\0';
    return output->text;
}

static inline size_t test_output_count(struct test_output *output, const char *event)
{
    char mark[128];
    (void)snprintf(mark, sizeof mark, "\"event\":\"%s\"", event);
    size_t count = 0;
    for (const char *at = strstr(test_output_text(output), mark); at != NULL; at = strstr(at + 1, mark))
        count++;
    return count;
}

/* Ends the keeping; nothing of it may be secret. */
static inline void test_output_end(struct test_output *output)
{
    const char *text = test_output_text(output);
    assert_true(dup2(output->real_fd, STDERR_FILENO) >= 0);
    (void)close(output->real_fd);
    (void)close(output->kept_fd);
    assert_null(strstr(text, SECRET));
}

/* ---- Memory ---- */

/*
 * Whether memory that is about to be released holds a secret. Known only under the address sanitizer: elsewhere a block
 * has spare bytes behind those that were asked for, and in them what was there before.
 */
static inline bool test_is_secret(const void *memory)
{
#ifdef __SANITIZE_ADDRESS__
    return memory != NULL &&
           memmem(memory, malloc_usable_size((void *)memory), SECRET, strlen(SECRET)) != NULL;
#else
    (void)memory;
    return false;
#endif
}

static inline size_t test_open_fd_count(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#endif
