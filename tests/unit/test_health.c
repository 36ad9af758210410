#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/health.h"
#include "alloc_fault.h"
#include "test_contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SERVICE "testapi.v1.EverythingService"

static enum br_health_status check(struct br_health *health, const char *service)
{
    return br_health_check(health, service, strlen(service));
}

static struct br_health *create_started(void)
{
    struct br_health *health = br_health_create(test_contract());
    assert_non_null(health);
    br_health_set_started(health);
    return health;
}

static void assert_not_ready(struct br_health *health, const char *problem)
{
    char text[BR_HEALTH_PROBLEM_CAP] = "untouched";
    assert_false(br_health_is_ready(health, text));
    assert_string_equal(text, problem);
    assert_false(br_health_is_ready(health, NULL));
    static const char *const names[] = {"", "readiness", SERVICE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(check(health, names[i]), BR_HEALTH_NOT_SERVING);
    }
    assert_int_equal(check(health, "liveness"), BR_HEALTH_SERVING);
}

static void assert_ready(struct br_health *health)
{
    char text[BR_HEALTH_PROBLEM_CAP] = "untouched";
    assert_true(br_health_is_ready(health, text));
    assert_string_equal(text, "untouched");
    static const char *const names[] = {"", "readiness", SERVICE, "liveness"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(check(health, names[i]), BR_HEALTH_SERVING);
    }
}

static void test_is_ready_from_start_to_drain(void **state)
{
    (void)state;
    struct br_health *health = br_health_create(test_contract());
    assert_non_null(health);
    assert_false(br_health_is_started(health));
    assert_not_ready(health, "starting");
    br_health_set_problem(health, "no password");
    assert_not_ready(health, "starting");

    br_health_set_started(health);
    assert_true(br_health_is_started(health));
    assert_not_ready(health, "no password");
    br_health_set_problem(health, "no user");
    assert_not_ready(health, "no user");
    br_health_set_problem(health, NULL);
    assert_ready(health);
    br_health_set_problem(health, "");
    assert_ready(health);

    assert_false(br_health_is_draining(health));
    br_health_set_draining(health);
    assert_true(br_health_is_draining(health));
    assert_true(br_health_is_started(health));
    br_health_set_problem(health, NULL);
    br_health_set_started(health);
    assert_not_ready(health, "draining");
    br_health_destroy(health);
}

static void test_set_problem_long_text_is_cut(void **state)
{
    (void)state;
    char text[2 * BR_HEALTH_PROBLEM_CAP];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct br_health *health = create_started();
    br_health_set_problem(health, text);
    text[BR_HEALTH_PROBLEM_CAP - 1] = '\0';
    assert_not_ready(health, text);
    br_health_destroy(health);
}

static void test_check_other_names_are_unknown(void **state)
{
    (void)state;
    struct br_health *health = create_started();
    static const char *const names[] = {"testapi.v1.EverythingServic",
                                        SERVICE "2",
                                        SERVICE "/",
                                        SERVICE "/UpdateThing",
                                        "testapi.v1.everythingservice",
                                        "." SERVICE,
                                        "readines",
                                        "Readiness",
                                        "livenessx",
                                        "grpc.health.v1.Health",
                                        "testapi.v1",
                                        " "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(check(health, names[i]), BR_HEALTH_SERVICE_UNKNOWN);
    }
    static const char with_nul[] = SERVICE "\0x";
    assert_int_equal(br_health_check(health, with_nul, sizeof with_nul - 1), BR_HEALTH_SERVICE_UNKNOWN);
    static const char only_nul[] = "";
    assert_int_equal(br_health_check(health, only_nul, 1), BR_HEALTH_SERVICE_UNKNOWN);
    assert_int_equal(br_health_check(health, NULL, 0), BR_HEALTH_SERVING);
    br_health_destroy(health);
}

struct counter {
    struct br_health_watcher watcher; /* first */
    atomic_int count;
};

static void count_change(struct br_health_watcher *self)
{
    atomic_fetch_add(&((struct counter *)self)->count, 1);
}

static void test_watch_each_change_is_told_once(void **state)
{
    (void)state;
    struct br_health *health = br_health_create(test_contract());
    struct counter first = {.watcher.changed = count_change};
    struct counter second = {.watcher.changed = count_change};
    br_health_watch(health, &first.watcher);
    br_health_set_problem(health, "still starting");
    assert_int_equal(first.count, 0);
    br_health_set_problem(health, NULL);
    br_health_watch(health, &second.watcher);
    br_health_set_started(health);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
    br_health_set_started(health);
    assert_int_equal(first.count, 1);

    br_health_unwatch(health, &second.watcher);
    br_health_set_problem(health, "a");
    br_health_set_problem(health, "b");
    br_health_set_problem(health, NULL);
    br_health_set_draining(health);
    br_health_set_draining(health);
    assert_int_equal(first.count, 4);
    assert_int_equal(second.count, 1);
    br_health_unwatch(health, &first.watcher);
    br_health_destroy(health);
}

#define ROUNDS 2000

static void *flip(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        br_health_set_problem(argument, i % 2 == 0 ? "problem" : NULL);
    }
    return NULL;
}

/* A watcher on the stack that is gone after unwatch: the sanitizers see a call that comes later. */
static void *come_and_go(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct counter counter = {.watcher.changed = count_change};
        br_health_watch(argument, &counter.watcher);
        (void)br_health_is_ready(argument, NULL);
        br_health_unwatch(argument, &counter.watcher);
        memset(&counter, 0, sizeof counter);
    }
    return NULL;
}

static void test_watch_many_threads(void **state)
{
    (void)state;
    struct br_health *health = create_started();
    void *(*const work[])(void *) = {flip, flip, come_and_go, come_and_go};
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work[i], health), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_ready(health);
    br_health_destroy(health);
}

static void test_destroy_accepts_null(void **state)
{
    (void)state;
    br_health_destroy(NULL);
}

static void test_create_without_memory_is_null(void **state)
{
    (void)state;
    const struct br_contract *contract = test_contract();
    alloc_fault_all_after(0);
    struct br_health *health = br_health_create(contract);
    (void)alloc_fault_end();
    assert_null(health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_ready_from_start_to_drain),
        cmocka_unit_test(test_set_problem_long_text_is_cut),
        cmocka_unit_test(test_check_other_names_are_unknown),
        cmocka_unit_test(test_watch_each_change_is_told_once),
        cmocka_unit_test(test_watch_many_threads),
        cmocka_unit_test(test_destroy_accepts_null),
        cmocka_unit_test(test_create_without_memory_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
