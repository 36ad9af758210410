#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "upstream/auth.h"

static void check_hidden(const char *text, const char *expected)
{
    static struct br_header items[] = {
        {"Content-Type", "application/json-application/json"},
        {"x-auth-token", "short"},
        {"Authorization", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=0123456789abcdef0123"},
    };
    const struct br_headers headers = {.items = items, .count = sizeof items / sizeof items[0]};
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", text);
    br_auth_hide(copy, &headers);
    assert_string_equal(copy, expected);
}

static void test_hide_what_a_server_repeats_of_a_credential(void **state)
{
    (void)state;
    check_hidden("", "");
    check_hidden("bad token short, and shorter", "bad token ***, and shorter");
    check_hidden("sig=0123456789abcdef0123!", "sig=0123456789abcdef0123!");
    check_hidden("sig=0123456789abcdef0123: no", "sig=***: no");
    check_hidden("sig '123456789abcdef0'", "sig '***'");
    check_hidden("sig '123456789abcdef'", "sig '123456789abcdef'");
    check_hidden("SDK-HMAC-SHA256 is not application/json-application/json",
                 "SDK-HMAC-SHA256 is not application/json-application/json");
    const struct br_headers none = {0};
    char text[] = "bad token short";
    br_auth_hide(text, &none);
    assert_string_equal(text, "bad token short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hide_what_a_server_repeats_of_a_credential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
