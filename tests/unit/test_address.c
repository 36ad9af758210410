#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/address.h"

#include <string.h>

static void test_split_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1", "80"},
        {"[::1]:50051", "::1", "50051"},
        {"name:0", "name", "0"},
        {"::1:80", "::1", "80"},
        {"h:", "h", ""},
        {"[h:1", "[h", "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char host[BR_ADDRESS_HOST_CAP];
        const char *port = br_address_split(cases[i].address, host);
        assert_non_null(port);
        assert_string_equal(host, cases[i].host);
        assert_string_equal(port, cases[i].port);
    }
}

static void test_split_what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "host", ":80", "[]:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char host[BR_ADDRESS_HOST_CAP] = "before";
        assert_null(br_address_split(bad[i], host));
        assert_string_equal(host, "before");
    }
}

static void test_split_host_up_to_its_ceiling(void **state)
{
    (void)state;
    char address[BR_ADDRESS_HOST_CAP + 4];
    char host[BR_ADDRESS_HOST_CAP];
    for (size_t len = BR_ADDRESS_HOST_CAP - 1; len <= BR_ADDRESS_HOST_CAP; len++) {
        memset(address, 'h', len);
        memcpy(address + len, ":1", 3);
        assert_int_equal(br_address_split(address, host) != NULL, len < BR_ADDRESS_HOST_CAP);
        /* What is valid can be split. */
        assert_int_equal(br_address_is_valid(address, 1), len < BR_ADDRESS_HOST_CAP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_host_and_port),
        cmocka_unit_test(test_split_what_is_no_address_is_refused),
        cmocka_unit_test(test_split_host_up_to_its_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
