#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "serve/server_listen.h"

static void test_is_private_addresses_of_this_host_alone(void **state)
{
    (void)state;
    static const char *const own[] = {
        "127.0.0.1:50051", "127.0.0.1:0",          "127.255.255.255:1", "[::1]:0",
        "[0:0::1]:80",     "localhost:50051",      "unix:/run/s",       "unix:s",
        "unix:0.0.0.0",    "[::ffff:127.0.0.1]:1",
    };
    static const char *const open[] = {
        "0.0.0.0:50051",
        "[::]:50051",
        "10.0.0.1:0",
        "126.255.255.255:1",
        "128.0.0.1:1",
        "[::2]:0",
        "[fe80::1]:0",
        "[::ffff:10.0.0.1]:1",
        "[::127.0.0.1]:1",
        "host:1",
        "localhost.example:1",
        "localhost",
        "127.1:1",
        "127.0.0.1",
        "127.0.0.1.example:1",
        ":1",
        "",
        "*:1",
        "unix",
        "UNIX:/run/s",
        "unix-abstract:s",
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (!br_listen_is_private(own[i])) {
            fail_msg("%s", own[i]);
        }
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (br_listen_is_private(open[i])) {
            fail_msg("%s", open[i]);
        }
    }
}

static void test_is_private_a_host_of_any_length_is_safe(void **state)
{
    (void)state;
    char address[600];
    for (size_t len = 200; len < 300; len++) {
        memset(address, 'x', len);
        memcpy(address + len, ":1", 3);
        assert_false(br_listen_is_private(address));
    }
}

static struct br_listen_config config_of(const char **addresses, size_t count)
{
    return (struct br_listen_config){.addresses = {.items = addresses, .count = count},
                                     .holds_credential = true};
}

static void test_check_a_credential_is_not_lent_to_other_hosts(void **state)
{
    (void)state;
    const char *addresses[] = {"127.0.0.1:0", "unix:/run/s", "0.0.0.0:50051"};
    struct br_listen_config config = config_of(addresses, 3);
    struct br_status st;
    assert_false(br_listen_check(&config, &st));
    assert_int_equal(st.code, BR_INVALID_ARGUMENT);
    assert_string_equal(st.reason, "BAD_SETTING");
    assert_non_null(strstr(st.msg, "0.0.0.0:50051"));
    assert_non_null(strstr(st.msg, "--client-ca"));
    assert_non_null(strstr(st.msg, "--allow-unauthenticated-callers"));

    /* TLS alone says who the bridge is, not who calls. */
    config.cert_file = "cert";
    config.key_file = "key";
    assert_false(br_listen_check(&config, &st));
}

static void test_check_each_way_out_is_enough(void **state)
{
    (void)state;
    const char *addresses[] = {"127.0.0.1:0", "unix:/run/s", "0.0.0.0:50051"};
    struct br_status st;
    struct br_listen_config config = config_of(addresses, 2);
    assert_true(br_listen_check(&config, &st));
    config = config_of(addresses, 3);
    config.client_ca_file = "ca";
    assert_true(br_listen_check(&config, &st));
    config = config_of(addresses, 3);
    config.allow_unauthenticated_callers = true;
    assert_true(br_listen_check(&config, &st));
    config = config_of(addresses, 3);
    config.holds_credential = false;
    assert_true(br_listen_check(&config, &st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_private_addresses_of_this_host_alone),
        cmocka_unit_test(test_is_private_a_host_of_any_length_is_safe),
        cmocka_unit_test(test_check_a_credential_is_not_lent_to_other_hosts),
        cmocka_unit_test(test_check_each_way_out_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
