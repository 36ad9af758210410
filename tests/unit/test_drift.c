#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "serve/drift.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The lines that |run| writes to standard error. */
static size_t count_lines(void (*run)(struct br_drift_observer *observer), struct br_drift_observer *observer)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    run(observer);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    size_t lines = 0;
    for (int c; (c = fgetc(file)) != EOF;) {
        lines += c == '\n';
    }
    fclose(file);
    return lines;
}

static void see_twice(struct br_drift_observer *observer)
{
    static const char where[] = "a.Message";
    static const char other[] = "b.Message";
    for (int i = 0; i < 2; i++) {
        observer->seen(observer, BR_DRIFT_KEY, where, "key");
        observer->seen(observer, BR_DRIFT_LITERAL, where, "key");
        observer->seen(observer, BR_DRIFT_KEY, other, "key");
    }
}

static void see_many(struct br_drift_observer *observer)
{
    for (int i = 0; i < 10 * BR_DRIFT_LABELS_MAX; i++) {
        char what[32];
        snprintf(what, sizeof what, "key%d", i);
        observer->seen(observer, BR_DRIFT_KEY, "a.Message", what);
    }
}

static void see_hostile(struct br_drift_observer *observer)
{
    char what[5000];
    memset(what, 'x', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    observer->seen(observer, BR_DRIFT_KEY, "a.Message", what);
    observer->seen(observer, BR_DRIFT_KEY, "a.Message", "\x01\"\\\xff\n");
    observer->seen(observer, BR_DRIFT_KEY, "a.Message", "");
}

static void test_seen_is_logged_once_each(void **state)
{
    (void)state;
    struct br_drift_log *log = br_drift_log_create();
    assert_int_equal(count_lines(see_twice, br_drift_log_observer(log)), 3);
    assert_int_equal(count_lines(see_twice, br_drift_log_observer(log)), 0);
    br_drift_log_destroy(log);
}

static void test_seen_labels_are_bounded(void **state)
{
    (void)state;
    struct br_drift_log *log = br_drift_log_create();
    assert_int_equal(count_lines(see_many, br_drift_log_observer(log)), BR_DRIFT_LABELS_MAX);
    br_drift_log_destroy(log);
}

static void test_seen_hostile_text_is_one_line_each(void **state)
{
    (void)state;
    struct br_drift_log *log = br_drift_log_create();
    assert_int_equal(count_lines(see_hostile, br_drift_log_observer(log)), 3);
    br_drift_log_destroy(log);
}

static void test_destroy_accepts_null(void **state)
{
    (void)state;
    br_drift_log_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_is_logged_once_each),
        cmocka_unit_test(test_seen_labels_are_bounded),
        cmocka_unit_test(test_seen_hostile_text_is_one_line_each),
        cmocka_unit_test(test_destroy_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
