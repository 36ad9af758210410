#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cmd/terminal.h"

static void check_text(const char *text, size_t len, const char *expected)
{
    struct br_buf out;
    br_buf_init(&out, 1024);
    assert_int_equal(br_terminal_text(&out, text, len), BR_BUF_OK);
    assert_string_equal(out.data != NULL ? out.data : "", expected);
    br_buf_finish(&out);
}

static void check_json(const char *json, const char *expected)
{
    struct br_buf out;
    br_buf_init(&out, 1024);
    assert_int_equal(br_terminal_json(&out, json, strlen(json)), BR_BUF_OK);
    assert_string_equal(out.data != NULL ? out.data : "", expected);
    br_buf_finish(&out);
}

static void test_text_plain_stays_as_it_is(void **state)
{
    (void)state;
    check_text("", 0, "");
    check_text("a \"b\" \xE6\x9C\x8D\xC2\xA0", 11, "a \"b\" \xE6\x9C\x8D\xC2\xA0");
}

static void test_text_control_characters_are_escaped(void **state)
{
    (void)state;
    static const char text[] = "a\n\t\r\x1B[31m\x7F\0z";
    check_text(text, sizeof text - 1, "a\\n\\t\\u000d\\u001b[31m\\u007f\\u0000z");
    check_text("\xC2\x80x\xC2\x9B", 5, "\\u0080x\\u009b");
    check_text("a\\n", 3, "a\\\\n");
}

static void test_text_bytes_that_are_not_utf8_are_escaped(void **state)
{
    (void)state;
    check_text("\xFF\xC2", 2, "\\xff\\xc2");
    check_text("a\xE6\x9C", 3, "a\\xe6\\x9c");
    check_text("\xED\xA0\x80", 3, "\\xed\\xa0\\x80");
}

static void test_text_at_the_ceiling_stops(void **state)
{
    (void)state;
    struct br_buf out;
    br_buf_init(&out, 3);
    assert_int_equal(br_terminal_text(&out, "abc", 3), BR_BUF_OK);
    assert_int_equal(br_terminal_text(&out, "\n", 1), BR_BUF_FULL);
    br_buf_finish(&out);
}

static void test_json_is_indented(void **state)
{
    (void)state;
    check_json("{\"a\":1,\"b\":[true,{\"c\":\"d\"}]}",
               "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {\n      \"c\": \"d\"\n    }\n  ]\n}");
    check_json("{}", "{}");
    check_json("[]", "[]");
    check_json("{\"a\":{},\"b\":[]}", "{\n  \"a\": {},\n  \"b\": []\n}");
    check_json("[{}]", "[\n  {}\n]");
}

static void test_json_numbers_are_not_changed(void **state)
{
    (void)state;
    check_json("{\"a\":9007199254740993,\"b\":-0.1e-7}",
               "{\n  \"a\": 9007199254740993,\n  \"b\": -0.1e-7\n}");
}

static void test_json_strings_with_structure_stay_whole(void **state)
{
    (void)state;
    check_json("{\"a{,:\":\"}]\\\",[\\\\\"}", "{\n  \"a{,:\": \"}]\\\",[\\\\\"\n}");
}

static void test_json_strings_with_control_characters_are_escaped(void **state)
{
    (void)state;
    check_json("\"a\x7F\xC2\x85\\n\xC3\xA4\"", "\"a\\u007f\\u0085\\n\xC3\xA4\"");
}

static void test_json_cut_off_does_not_run_over_its_end(void **state)
{
    (void)state;
    struct br_buf out;
    static const char json[] = "{\"a\\\"b\":[1,{\"c\":\"d\xC2\x85\\\\\"}]}]]";
    for (size_t len = 0; len < sizeof json; len++) {
        br_buf_init(&out, 1024);
        assert_int_equal(br_terminal_json(&out, json, len), BR_BUF_OK);
        br_buf_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_plain_stays_as_it_is),
        cmocka_unit_test(test_text_control_characters_are_escaped),
        cmocka_unit_test(test_text_bytes_that_are_not_utf8_are_escaped),
        cmocka_unit_test(test_text_at_the_ceiling_stops),
        cmocka_unit_test(test_json_is_indented),
        cmocka_unit_test(test_json_numbers_are_not_changed),
        cmocka_unit_test(test_json_strings_with_structure_stay_whole),
        cmocka_unit_test(test_json_strings_with_control_characters_are_escaped),
        cmocka_unit_test(test_json_cut_off_does_not_run_over_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
