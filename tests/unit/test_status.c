#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/status.h"

static void test_set_formats_and_returns_false(void **state)
{
    (void)state;
    struct br_status st = {0};
    assert_false(br_status_set(&st, BR_NOT_FOUND, "MODELARTS_3502", "service %d: %s", 7, "gone"));
    assert_int_equal(st.code, BR_NOT_FOUND);
    assert_string_equal(st.reason, "MODELARTS_3502");
    assert_string_equal(st.msg, "service 7: gone");
}

static void test_set_longest_message_is_kept_whole(void **state)
{
    (void)state;
    char text[BR_STATUS_MSG_CAP + 1];
    struct br_status st;
    memset(text, 'a', sizeof text);
    text[BR_STATUS_MSG_CAP - 1] = '\0';
    br_status_set(&st, BR_INTERNAL, "X_Y", "%s", text);
    assert_int_equal(strlen(st.msg), BR_STATUS_MSG_CAP - 1);
    assert_string_equal(st.msg, text);
}

static void test_set_one_byte_more_is_cut(void **state)
{
    (void)state;
    char text[BR_STATUS_MSG_CAP + 1];
    struct br_status st;
    memset(text, 'a', sizeof text);
    text[BR_STATUS_MSG_CAP] = '\0';
    br_status_set(&st, BR_INTERNAL, "X_Y", "%s", text);
    assert_int_equal(strlen(st.msg), BR_STATUS_MSG_CAP - 1);
}

static void test_set_cut_inside_character_drops_it(void **state)
{
    (void)state;
    /* A three-byte character that ends 0, 1 and 2 bytes past the ceiling. */
    for (size_t over = 0; over <= 2; over++) {
        char text[BR_STATUS_MSG_CAP + 8] = {0};
        size_t start = BR_STATUS_MSG_CAP - 1 - 3 + over;
        memset(text, 'a', start);
        memcpy(text + start, "\xE6\x96\x87", 3);
        struct br_status st;
        br_status_set(&st, BR_INTERNAL, "X_Y", "%s", text);
        assert_int_equal(strlen(st.msg), over == 0 ? BR_STATUS_MSG_CAP - 1 : start);
    }
}

static void test_set_invalid_utf8_drops_the_tail(void **state)
{
    (void)state;
    struct br_status st;
    br_status_set(&st, BR_INTERNAL, "X_Y", "good \xFF bad");
    assert_string_equal(st.msg, "good ");
}

static void test_set_old_message_as_argument_is_safe(void **state)
{
    (void)state;
    struct br_status st;
    br_status_set(&st, BR_INTERNAL, "X_Y", "inner");
    br_status_set(&st, BR_INTERNAL, "X_Y", "outer (%s)", st.msg);
    assert_string_equal(st.msg, "outer (inner)");
}

static void test_prefix_keeps_code_and_reason(void **state)
{
    (void)state;
    struct br_status st;
    br_status_set(&st, BR_ABORTED, "X_Y", "cause");
    br_status_prefix(&st, "config[0]");
    assert_int_equal(st.code, BR_ABORTED);
    assert_string_equal(st.reason, "X_Y");
    assert_string_equal(st.msg, "config[0]: cause");
}

static void test_prefix_full_message_is_cut_between_characters(void **state)
{
    (void)state;
    char text[BR_STATUS_MSG_CAP] = {0};
    struct br_status st;
    memset(text, 'a', BR_STATUS_MSG_CAP - 3);
    memcpy(text + BR_STATUS_MSG_CAP - 3, "\xC3\xA9", 2);
    br_status_set(&st, BR_ABORTED, "X_Y", "%s", text);
    assert_int_equal(strlen(st.msg), BR_STATUS_MSG_CAP - 1);
    /* Three bytes more leave the character two bytes past the ceiling, one byte less splits it. */
    br_status_prefix(&st, "p");
    assert_int_equal(strlen(st.msg), BR_STATUS_MSG_CAP - 1);
    assert_memory_equal(st.msg, "p: a", 4);

    br_status_set(&st, BR_ABORTED, "X_Y", "%s", text + 2);
    br_status_prefix(&st, "p");
    assert_int_equal(strlen(st.msg), BR_STATUS_MSG_CAP - 2);
}

static void test_code_name_all_codes_read_back(void **state)
{
    (void)state;
    for (int i = BR_OK; i <= BR_UNAUTHENTICATED; i++) {
        enum br_code code = BR_UNKNOWN;
        assert_true(br_code_parse(br_code_name((enum br_code)i), &code));
        assert_int_equal(code, i);
    }
    assert_string_equal(br_code_name(BR_OK), "OK");
    assert_string_equal(br_code_name(BR_INVALID_ARGUMENT), "INVALID_ARGUMENT");
    assert_string_equal(br_code_name(BR_UNAUTHENTICATED), "UNAUTHENTICATED");
}

static void test_code_name_outside_the_range_is_unknown(void **state)
{
    (void)state;
    /* Through a variable: the numbers come from the wire, not from the enum. */
    volatile int outside[] = {17, -1, INT32_MAX};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_string_equal(br_code_name((enum br_code)outside[i]), "UNKNOWN");
}

static void test_code_parse_other_name_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "ok", "OK ", "NOT_FOUN", "NOT_FOUNDX", "17"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum br_code code = BR_DATA_LOSS;
        assert_false(br_code_parse(names[i], &code));
        assert_int_equal(code, BR_DATA_LOSS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_formats_and_returns_false),
        cmocka_unit_test(test_set_longest_message_is_kept_whole),
        cmocka_unit_test(test_set_one_byte_more_is_cut),
        cmocka_unit_test(test_set_cut_inside_character_drops_it),
        cmocka_unit_test(test_set_invalid_utf8_drops_the_tail),
        cmocka_unit_test(test_set_old_message_as_argument_is_safe),
        cmocka_unit_test(test_prefix_keeps_code_and_reason),
        cmocka_unit_test(test_prefix_full_message_is_cut_between_characters),
        cmocka_unit_test(test_code_name_all_codes_read_back),
        cmocka_unit_test(test_code_name_outside_the_range_is_unknown),
        cmocka_unit_test(test_code_parse_other_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
