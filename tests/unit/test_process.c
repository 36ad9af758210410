#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t program_start_us;

static int64_t clock_us(clockid_t id)
{
    struct timespec now;
    assert_int_equal(clock_gettime(id, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct br_process_usage usage(void)
{
    struct br_process_usage out;
    br_process_usage(&out);
    return out;
}

static void test_usage_counts_descriptors(void **state)
{
    (void)state;
    int64_t before = 0;
    for (int fd = 0; fd < 1024; fd++) {
        before += fcntl(fd, F_GETFD) >= 0;
    }
    assert_int_equal(usage().open_fds, before);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    assert_int_equal(usage().open_fds, before + 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    assert_int_equal(usage().open_fds, before);
}

static void test_usage_tells_the_limit_of_descriptors(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit lower = {.rlim_cur = before.rlim_cur - 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    assert_int_equal(usage().max_fds, before.rlim_cur - 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_usage_grows_with_memory(void **state)
{
    (void)state;
    const size_t size = (size_t)64 << 20;
    int64_t before = usage().resident_bytes;
    assert_true(before > (100 << 10));
    char *memory = malloc(size);
    assert_non_null(memory);
    memset(memory, 1, size);
    assert_true(usage().resident_bytes >= before + (int64_t)size / 2);
    free(memory);
}

static void test_usage_tells_the_time_of_the_processor(void **state)
{
    (void)state;
    int64_t before_us;
    while ((before_us = clock_us(CLOCK_PROCESS_CPUTIME_ID)) < 20000) {
    }
    int64_t told_us = usage().cpu_us;
    assert_in_range(told_us, before_us - 1000, clock_us(CLOCK_PROCESS_CPUTIME_ID) + 1000);
}

/* The name of the process stands before the field, and may look like anything. */
static void test_start_is_before_now_and_after_the_tests_start(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", ") 1 2 3 4", "a) b) c", "((", "\n 1 2"};
    char before[17];
    assert_int_equal(prctl(PR_GET_NAME, before), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
        int64_t start_us = br_process_start_us();
        /* A tick is 10 ms; between the process's start and main() lies what the loader does. */
        assert_in_range(start_us, program_start_us - 60000000, program_start_us + 20000);
    }
    assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

static void test_protect_ends_dumps_and_what_libraries_write_down(void **state)
{
    (void)state;
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L), 0);
    assert_int_equal(setenv("SSLKEYLOGFILE", "/nonexistent/keys", 1), 0);
    assert_int_equal(setenv("GRPC_TRACE", "all", 1), 0);
    br_process_protect();
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0L, 0L, 0L, 0L), 0);
    assert_null(getenv("SSLKEYLOGFILE"));
    assert_null(getenv("GRPC_TRACE"));
    /* The files of /proc that usage and start are read from belong to root now. */
    assert_true(usage().open_fds > 0);
    assert_true(usage().resident_bytes > 0);
    assert_true(br_process_start_us() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_counts_descriptors),
        cmocka_unit_test(test_usage_tells_the_limit_of_descriptors),
        cmocka_unit_test(test_usage_grows_with_memory),
        cmocka_unit_test(test_usage_tells_the_time_of_the_processor),
        cmocka_unit_test(test_start_is_before_now_and_after_the_tests_start),
        cmocka_unit_test(test_protect_ends_dumps_and_what_libraries_write_down),
    };
    program_start_us = clock_us(CLOCK_REALTIME);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
