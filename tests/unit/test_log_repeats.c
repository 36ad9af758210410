#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log_repeats.h"

#include <stdio.h>

/* What a line of |event| at |now_ms| is told: -1 when it is not written, else the count it carries. */
static int64_t admit(struct br_log_repeats *repeats, const char *event, int64_t now_ms)
{
    int64_t suppressed = -7;
    if (br_log_repeats_admit(repeats, event, now_ms, &suppressed)) {
        assert_true(suppressed >= 0);
        return suppressed;
    }
    assert_int_equal(suppressed, -7);
    return -1;
}

static void fill_window(struct br_log_repeats *repeats, const char *event, int64_t now_ms)
{
    for (int i = 0; i < BR_LOG_REPEATS_BURST; i++) {
        assert_int_equal(admit(repeats, event, now_ms), 0);
    }
}

static void test_admit_burst_is_written_and_no_more(void **state)
{
    (void)state;
    struct br_log_repeats repeats = {0};
    fill_window(&repeats, "x", 1000);
    assert_int_equal(admit(&repeats, "x", 1000), -1);
    assert_int_equal(admit(&repeats, "x", 1001), -1);
    assert_int_equal(repeats.rows[0].suppressed_count, 2);
}

static void test_admit_window_ends_after_its_length(void **state)
{
    (void)state;
    struct br_log_repeats repeats = {0};
    fill_window(&repeats, "x", 1000);
    assert_int_equal(admit(&repeats, "x", 1000 + BR_LOG_REPEATS_WINDOW_MS - 1), -1);
    assert_int_equal(admit(&repeats, "x", 1000 + BR_LOG_REPEATS_WINDOW_MS), 1);
    /* A new window, whose first line that was. */
    for (int i = 1; i < BR_LOG_REPEATS_BURST; i++) {
        assert_int_equal(admit(&repeats, "x", 1001 + BR_LOG_REPEATS_WINDOW_MS), 0);
    }
    assert_int_equal(admit(&repeats, "x", 1001 + BR_LOG_REPEATS_WINDOW_MS), -1);
}

static void test_admit_count_waits_for_the_next_line_however_long(void **state)
{
    (void)state;
    struct br_log_repeats repeats = {0};
    fill_window(&repeats, "x", 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(admit(&repeats, "x", i), -1);
    }
    assert_int_equal(admit(&repeats, "x", INT64_MAX), 1000);
    assert_int_equal(admit(&repeats, "x", INT64_MAX), 0);
}

static void test_admit_slow_lines_are_all_written(void **state)
{
    (void)state;
    struct br_log_repeats repeats = {0};
    for (int i = 0; i < 100; i++) {
        assert_int_equal(admit(&repeats, "x", i * (BR_LOG_REPEATS_WINDOW_MS / BR_LOG_REPEATS_BURST)), 0);
    }
}

static void test_admit_events_are_told_apart_by_their_text(void **state)
{
    (void)state;
    static const char first[] = "event";
    static const char second[] = "event";
    struct br_log_repeats repeats = {0};
    fill_window(&repeats, first, 0);
    assert_int_equal(admit(&repeats, second, 0), -1);
    assert_int_equal(repeats.row_count, 1);
    fill_window(&repeats, "event2", 0);
    fill_window(&repeats, "", 0);
    assert_int_equal(repeats.row_count, 3);
}

static void test_admit_event_beyond_the_table_is_not_limited(void **state)
{
    (void)state;
    static char names[BR_LOG_REPEATS_EVENTS_MAX + 1][8];
    struct br_log_repeats repeats = {0};
    for (int i = 0; i <= BR_LOG_REPEATS_EVENTS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "e%d", i);
        fill_window(&repeats, names[i], 0);
    }
    assert_int_equal(repeats.row_count, BR_LOG_REPEATS_EVENTS_MAX);
    assert_int_equal(admit(&repeats, names[BR_LOG_REPEATS_EVENTS_MAX - 1], 0), -1);
    assert_int_equal(admit(&repeats, names[BR_LOG_REPEATS_EVENTS_MAX], 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admit_burst_is_written_and_no_more),
        cmocka_unit_test(test_admit_window_ends_after_its_length),
        cmocka_unit_test(test_admit_count_waits_for_the_next_line_however_long),
        cmocka_unit_test(test_admit_slow_lines_are_all_written),
        cmocka_unit_test(test_admit_events_are_told_apart_by_their_text),
        cmocka_unit_test(test_admit_event_beyond_the_table_is_not_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
