#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/header.h"

static struct br_header items[] = {
    {"x-auth-token", "first"}, {"X-Request-Id", "abc"},    {"x-auth-token", "second"},
    {"x-empty", ""},           {"x-caf\xC3\xA9", "latin"}, {"x[y", "bracket"},
};
static const struct br_headers headers = {.items = items, .count = sizeof items / sizeof items[0]};

static void test_find_ignores_ascii_case(void **state)
{
    (void)state;
    assert_string_equal(br_headers_find(&headers, "x-request-id"), "abc");
    assert_string_equal(br_headers_find(&headers, "X-REQUEST-ID"), "abc");
    assert_string_equal(br_headers_find(&headers, "X-Empty"), "");
}

static void test_find_gives_the_first(void **state)
{
    (void)state;
    assert_string_equal(br_headers_find(&headers, "X-Auth-Token"), "first");
}

static void test_find_other_names_give_null(void **state)
{
    (void)state;
    assert_null(br_headers_find(&headers, ""));
    assert_null(br_headers_find(&headers, "x-request-i"));
    assert_null(br_headers_find(&headers, "x-request-idx"));
    /* Only letters have a case: '[' and '{' differ by the same bit, and so do the bytes of an accent. */
    assert_null(br_headers_find(&headers, "x{y"));
    assert_null(br_headers_find(&headers, "x-caf\xC3\x89"));
    assert_string_equal(br_headers_find(&headers, "X-CAF\xC3\xA9"), "latin");
}

static void test_find_empty_list_gives_null(void **state)
{
    (void)state;
    const struct br_headers none = {0};
    assert_null(br_headers_find(&none, "x-request-id"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_ignores_ascii_case),
        cmocka_unit_test(test_find_gives_the_first),
        cmocka_unit_test(test_find_other_names_give_null),
        cmocka_unit_test(test_find_empty_list_gives_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
