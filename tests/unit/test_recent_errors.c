/* Linked with -Wl,--wrap=calloc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc_fault.h"
#include "serve/recent_errors.h"

static struct br_recent_error make_error(int64_t number)
{
    struct br_recent_error error = {
        .unix_s = number, .method = "a.B/C", .code = BR_UNAVAILABLE, .duration_ms = 2 * number};
    snprintf(error.reason, sizeof error.reason, "REASON_%d", (int)number);
    snprintf(error.request_id, sizeof error.request_id, "request-%d", (int)number);
    return error;
}

static void test_copy_of_an_empty_ring_is_empty(void **state)
{
    (void)state;
    struct br_recent_error out[BR_RECENT_ERRORS_MAX];
    struct br_recent_errors *errors = br_recent_errors_create();
    assert_non_null(errors);
    assert_int_equal(br_recent_errors_copy(errors, out), 0);
    br_recent_errors_destroy(errors);
}

static void test_copy_is_newest_first_and_drops_the_oldest(void **state)
{
    (void)state;
    struct br_recent_error out[BR_RECENT_ERRORS_MAX];
    struct br_recent_errors *errors = br_recent_errors_create();
    assert_non_null(errors);
    for (int64_t added = 1; added <= 2 * BR_RECENT_ERRORS_MAX + 1; added++) {
        const struct br_recent_error error = make_error(added);
        br_recent_errors_add(errors, &error);
        size_t count = br_recent_errors_copy(errors, out);
        assert_int_equal(count, added < BR_RECENT_ERRORS_MAX ? added : BR_RECENT_ERRORS_MAX);
        for (size_t i = 0; i < count; i++) {
            const struct br_recent_error expected = make_error(added - (int64_t)i);
            assert_int_equal(out[i].unix_s, expected.unix_s);
            assert_string_equal(out[i].method, "a.B/C");
            assert_int_equal(out[i].code, BR_UNAVAILABLE);
            assert_int_equal(out[i].duration_ms, expected.duration_ms);
            assert_string_equal(out[i].reason, expected.reason);
            assert_string_equal(out[i].request_id, expected.request_id);
            assert_string_equal(out[i].trace_id, "");
        }
    }
    br_recent_errors_destroy(errors);
}

struct adder {
    struct br_recent_errors *errors;
    atomic_bool stopping;
};

static void *add_many(void *argument)
{
    struct adder *adder = argument;
    const struct br_recent_error three[] = {make_error(1), make_error(22222), make_error(333)};
    for (size_t i = 0; !atomic_load(&adder->stopping); i++) {
        br_recent_errors_add(adder->errors, &three[i % 3]);
    }
    return NULL;
}

/* A copy never has one half of an error and one half of another. */
static void test_threads_see_whole_errors(void **state)
{
    (void)state;
    struct adder adder = {.errors = br_recent_errors_create()};
    assert_non_null(adder.errors);
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &adder), 0);
    }
    size_t torn_count = 0;
    for (size_t seen = 0; seen < 100000;) {
        struct br_recent_error out[BR_RECENT_ERRORS_MAX];
        size_t count = br_recent_errors_copy(adder.errors, out);
        for (size_t i = 0; i < count; i++) {
            const struct br_recent_error expected = make_error(out[i].unix_s);
            torn_count += out[i].duration_ms != expected.duration_ms ||
                          strcmp(out[i].request_id, expected.request_id) != 0;
        }
        seen += count;
    }
    atomic_store(&adder.stopping, true);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    br_recent_errors_destroy(adder.errors);
    assert_int_equal(torn_count, 0);
}

static void test_nobody_and_no_memory_are_accepted(void **state)
{
    (void)state;
    const struct br_recent_error error = make_error(1);
    br_recent_errors_add(NULL, &error);
    br_recent_errors_destroy(NULL);
    alloc_fault_all_after(0);
    struct br_recent_errors *errors = br_recent_errors_create();
    (void)alloc_fault_end();
    assert_null(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_of_an_empty_ring_is_empty),
        cmocka_unit_test(test_copy_is_newest_first_and_drops_the_oldest),
        cmocka_unit_test(test_threads_see_whole_errors),
        cmocka_unit_test(test_nobody_and_no_memory_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
