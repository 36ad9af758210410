#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/settings.h"

struct values {
    const char *name;
    const char *unset;
    struct br_texts list;
    int64_t timeout_ms;
    int64_t pause_ms;
    uint64_t size;
    uint64_t odd_size;
    int64_t count;
    int how;
    const char *file;
    bool verbose;
    bool quiet;
};

static const char *const choices[] = {"one", "two", NULL};

#define FIELD(field) .offset = offsetof(struct values, field)

static const struct br_setting rows[] = {
    {.flag = "name", .kind = BR_SETTING_TEXT, FIELD(name)},
    {.flag = "unset", .kind = BR_SETTING_TEXT, FIELD(unset)},
    {.flag = "list", .kind = BR_SETTING_TEXTS, FIELD(list)},
    {.flag = "timeout", .kind = BR_SETTING_DURATION, FIELD(timeout_ms), .max = INT64_MAX},
    {.flag = "pause", .kind = BR_SETTING_DURATION, FIELD(pause_ms), .max = INT64_MAX},
    {.flag = "size", .kind = BR_SETTING_SIZE, FIELD(size), .max = INT64_MAX},
    {.flag = "odd-size", .kind = BR_SETTING_SIZE, FIELD(odd_size), .max = INT64_MAX},
    {.flag = "count", .kind = BR_SETTING_COUNT, FIELD(count), .max = INT64_MAX},
    {.flag = "how", .kind = BR_SETTING_CHOICE, FIELD(how), .choices = choices},
    {.flag = "file", .kind = BR_SETTING_FILE, FIELD(file)},
    {.flag = "verbose", .kind = BR_SETTING_SWITCH, FIELD(verbose)},
    {.flag = "quiet", .kind = BR_SETTING_SWITCH, FIELD(quiet)},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const struct br_settings table = {.env_prefix = "BR_TEST_", .rows = rows, .row_count = ROW_COUNT};

static void test_value_is_what_an_operator_would_write(void **state)
{
    (void)state;
    const char *items[] = {"a:1", "unix:/b"};
    const struct values values = {.name = "n",
                                  .list = {.items = items, .count = 2},
                                  .timeout_ms = 90000,
                                  .size = 4 << 20,
                                  .odd_size = 1025,
                                  .count = 7,
                                  .how = 1,
                                  .file = "/f",
                                  .verbose = true};
    static const char *const expected[ROW_COUNT] = {"n",     "",  "a:1,unix:/b", "90s", "0s",   "4MiB",
                                                    "1025B", "7", "two",         "/f",  "true", "false"};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct br_buf out;
        br_buf_init(&out, 64);
        assert_int_equal(br_settings_value(&rows[i], &values, &out), BR_BUF_OK);
        assert_string_equal(out.data != NULL ? out.data : "", expected[i]);
        br_buf_finish(&out);
    }
}

static void test_value_above_the_ceiling_is_full(void **state)
{
    (void)state;
    const char *items[] = {"a", "bb"};
    const struct values values = {.name = "1234", .list = {.items = items, .count = 2}, .count = 1000};
    static const size_t which[] = {0, 2, 7};
    for (size_t i = 0; i < 3; i++) {
        struct br_buf out;
        br_buf_init(&out, 3);
        assert_int_equal(br_settings_value(&rows[which[i]], &values, &out), BR_BUF_FULL);
        br_buf_finish(&out);
        br_buf_init(&out, 4);
        assert_int_equal(br_settings_value(&rows[which[i]], &values, &out), BR_BUF_OK);
        assert_int_equal(out.len, 4);
        br_buf_finish(&out);
    }
}

static void test_source_is_where_the_value_came_from(void **state)
{
    (void)state;
    static char name[] = "--name=n";
    static char verbose[] = "--verbose";
    char *argv[] = {name, verbose};
    struct values values = {0};
    struct br_status st;
    assert_int_equal(setenv("BR_TEST_NAME", "other", 1), 0);
    assert_int_equal(setenv("BR_TEST_COUNT", "3", 1), 0);
    assert_true(br_settings_read(&table, 2, argv, &values, NULL, &st));
    assert_string_equal(values.name, "n");
    assert_string_equal(br_settings_source(&table, &rows[0], 2, argv), "flag");
    assert_string_equal(br_settings_source(&table, &rows[10], 2, argv), "flag");
    assert_int_equal(values.count, 3);
    assert_string_equal(br_settings_source(&table, &rows[7], 2, argv), "environment");
    assert_string_equal(br_settings_source(&table, &rows[11], 2, argv), "default");
    assert_string_equal(br_settings_source(&table, &rows[0], 0, argv), "environment");
    const struct br_settings no_environment = {.rows = rows, .row_count = ROW_COUNT};
    assert_string_equal(br_settings_source(&no_environment, &rows[0], 0, argv), "default");
    br_settings_finish(&table, &values);
    assert_int_equal(unsetenv("BR_TEST_NAME"), 0);
    assert_int_equal(unsetenv("BR_TEST_COUNT"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_is_what_an_operator_would_write),
        cmocka_unit_test(test_value_above_the_ceiling_is_full),
        cmocka_unit_test(test_source_is_where_the_value_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
