#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/address.h"
#include "cmd/serve_settings.h"

/* Reads and checks |count| arguments; on success the caller finishes |out|. */
static bool read_settings(const char *const *arguments, size_t count, struct br_serve_settings *out,
                          struct br_status *st)
{
    char *argv[16];
    assert_true(count <= 16);
    for (size_t i = 0; i < count; i++)
        argv[i] = (char *)(uintptr_t)arguments[i];
    *out = (struct br_serve_settings){0};
    if (br_settings_read(&br_serve_settings_table, (int)count, argv, out, NULL, st) &&
        br_serve_settings_check(out, st))
        return true;
    br_settings_finish(&br_serve_settings_table, out);
    return false;
}

#define READ(out, st, ...)                                                        \
    read_settings((const char *const[]){"--upstream-url=https://h", __VA_ARGS__}, \
                  sizeof((const char *const[]){"", __VA_ARGS__}) / sizeof(char *), (out), (st))

static void assert_refused(const struct br_status *st, const char *part)
{
    assert_int_equal(st->code, BR_INVALID_ARGUMENT);
    assert_string_equal(st->reason, "BAD_SETTING");
    if (strstr(st->msg, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", st->msg, part);
    assert_null(strchr(st->msg, '\n'));
}

static void test_table_without_flags_has_the_documented_defaults(void **state)
{
    (void)state;
    struct br_serve_settings settings;
    struct br_status st;
    assert_true(READ(&settings, &st, "--"));
    assert_int_equal(settings.listen.count, 1);
    assert_string_equal(settings.listen.items[0], "127.0.0.1:50051");
    assert_null(settings.project_id);
    assert_null(settings.ca_file);
    assert_int_equal(settings.default_timeout_ms, 30000);
    assert_int_equal(settings.max_timeout_ms, 600000);
    assert_int_equal(settings.connect_timeout_ms, 5000);
    assert_int_equal(settings.max_in_flight, 1000);
    assert_int_equal(settings.max_request_bytes, 4 << 20);
    assert_int_equal(settings.max_response_bytes, 16 << 20);
    assert_int_equal(settings.shards, 1);
    assert_int_equal(settings.max_upstream_connections, 128);
    assert_int_equal(settings.upstream_http2, BR_HTTP2_AUTO);
    assert_int_equal(settings.log_level, BR_LOG_INFO);
    assert_string_equal(settings.upstream.base, "https://h");
    br_settings_finish(&br_serve_settings_table, &settings);
}

static void test_table_limits_accept_the_last_and_refuse_the_next_value(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        const char *low_good, *low_bad, *high_good, *high_bad;
    } cases[] = {
        {"--default-timeout", "1ms", "0ms", "1h", "3600001ms"},
        {"--max-timeout", "30s", "0s", "24h", "86400001ms"},
        {"--connect-timeout", "1ms", "0ms", "10m", "600001ms"},
        {"--max-in-flight", "1", "0", "100000", "100001"},
        {"--max-request-bytes", "1KiB", "1023B", "64MiB", "67108865B"},
        {"--max-response-bytes", "1KiB", "1023B", "256MiB", "268435457B"},
        {"--shards", "1", "0", "64", "65"},
        {"--max-upstream-connections", "1", "0", "4096", "4097"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const values[] = {cases[i].low_good, cases[i].high_good, cases[i].low_bad,
                                      cases[i].high_bad};
        for (size_t j = 0; j < 4; j++) {
            struct br_serve_settings settings;
            struct br_status st;
            const bool is_max = strcmp(cases[i].flag, "--max-timeout") == 0;
            bool ok =
                READ(&settings, &st, is_max ? "--shards=1" : "--max-timeout=24h", cases[i].flag, values[j]);
            if (ok != (j < 2))
                fail_msg("%s=%s", cases[i].flag, values[j]);
            if (ok)
                br_settings_finish(&br_serve_settings_table, &settings);
            else
                assert_refused(&st, cases[i].flag);
        }
    }
}

static void test_check_default_timeout_above_max_is_refused(void **state)
{
    (void)state;
    struct br_serve_settings settings;
    struct br_status st;
    assert_false(READ(&settings, &st, "--default-timeout=5001ms", "--max-timeout=5s"));
    assert_refused(&st, "--default-timeout (5001ms) is more than --max-timeout (5000ms)");
    assert_true(READ(&settings, &st, "--default-timeout=5s", "--max-timeout=5s"));
    br_settings_finish(&br_serve_settings_table, &settings);
}

static void test_check_choices_follow_their_enums(void **state)
{
    (void)state;
    static const char *const levels[] = {"--log-level=error", "--log-level=warn", "--log-level=info",
                                         "--log-level=debug"};
    for (int i = 0; i < 4; i++) {
        struct br_serve_settings settings;
        struct br_status st;
        assert_true(READ(&settings, &st, levels[i], "--upstream-http2=off"));
        assert_int_equal(settings.log_level, i);
        assert_int_equal(settings.upstream_http2, BR_HTTP2_OFF);
        br_settings_finish(&br_serve_settings_table, &settings);
    }
    struct br_serve_settings settings;
    struct br_status st;
    assert_false(READ(&settings, &st, "--upstream-http2=on"));
    assert_refused(&st, "auto, off");
}

static void test_check_project_id_that_would_change_the_path_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {".", "..", "a/b", "a b", "a\tb", "\xC3\xA4", "a\x7F"};
    struct br_serve_settings settings;
    struct br_status st;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(READ(&settings, &st, "--project-id", bad[i]));
        assert_refused(&st, "--project-id");
    }
    char longest[BR_PROJECT_ID_MAX_BYTES + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(READ(&settings, &st, "--project-id", longest));
    assert_refused(&st, "129 bytes");
    assert_true(READ(&settings, &st, "--project-id", longest + 1));
    assert_ptr_equal(settings.project_id, longest + 1);
    br_settings_finish(&br_serve_settings_table, &settings);
}

static void test_check_listen_with_a_bad_address_is_refused(void **state)
{
    (void)state;
    struct br_serve_settings settings;
    struct br_status st;
    assert_false(READ(&settings, &st, "--listen=127.0.0.1:1", "--listen=127.0.0.1:65536"));
    assert_refused(&st, "\"127.0.0.1:65536\"");
    assert_true(READ(&settings, &st, "--listen=127.0.0.1:0", "--listen=unix:/a b"));
    assert_int_equal(settings.listen.count, 2);
    br_settings_finish(&br_serve_settings_table, &settings);
}

static void test_address_forms_are_told_apart(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:1", "localhost:65535", "[::1]:50051",
                                       "unix:/tmp/a", "unix:a",          "unix:///tmp/a b"};
    static const char *const bad[] = {
        "",       "50051",      ":50051", "host:", "host:0",  "host:65536",
        "host:x", "host:-1",    "::1:1",  "[::1]", "[]:1",    "[::1:1",
        "unix:",  "http://h:1", "a/b:1",  "a b:1", "host:1 ", "h:18446744073709551617"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!br_address_is_valid(good[i], 1))
            fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (br_address_is_valid(bad[i], 1))
            fail_msg("%s", bad[i]);
    }
    assert_true(br_address_is_valid("host:0", 0));
    assert_null(br_address_unix_path("host:1"));
    assert_string_equal(br_address_unix_path("unix:a"), "a");
}

static void test_upstream_url_good_forms_are_put_into_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *base, *origin;
        bool is_exposed;
    } cases[] = {
        {"https://h", "https://h", "https://h", false},
        {"https://h/", "https://h", "https://h", false},
        {"HTTPS://H.example.COM:8443/", "https://H.example.COM:8443", "https://H.example.COM:8443", false},
        {"https://h/a/b%2Fc/", "https://h/a/b%2Fc", "https://h", false},
        {"https://h/.a/..b/...", "https://h/.a/..b/...", "https://h", false},
        {"https://h/a:b;c=d", "https://h/a:b;c=d", "https://h", false},
        {"http://h:1", "http://h:1", "http://h:1", true},
        {"http://h:65535", "http://h:65535", "http://h:65535", true},
        {"http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080", false},
        {"http://127.255.0.1", "http://127.255.0.1", "http://127.255.0.1", false},
        {"http://128.0.0.1", "http://128.0.0.1", "http://128.0.0.1", true},
        {"http://127.0.0.1.example", "http://127.0.0.1.example", "http://127.0.0.1.example", true},
        {"http://LocalHost", "http://LocalHost", "http://LocalHost", false},
        {"http://localhost.example", "http://localhost.example", "http://localhost.example", true},
        {"http://[::1]:80/p", "http://[::1]:80/p", "http://[::1]:80", false},
        {"http://[::2]", "http://[::2]", "http://[::2]", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_upstream_url url;
        struct br_status st;
        if (!br_upstream_url_read(cases[i].text, &url, &st))
            fail_msg("%s: %s", cases[i].text, st.msg);
        assert_string_equal(url.base, cases[i].base);
        assert_string_equal(url.origin, cases[i].origin);
        assert_int_equal(url.is_exposed, cases[i].is_exposed);
    }
}

static void test_upstream_url_bad_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "http:// or https://"},
        {"h", "http:// or https://"},
        {"ftp://h", "http:// or https://"},
        {"http:/h", "http:// or https://"},
        {"https://", "no host"},
        {"https:///a", "no host"},
        {"https://:1", "no host"},
        {"https://h\\a", "a host with other characters"},
        {"https://h%41", "a host with other characters"},
        {"https://h:", "a port from 1 to 65535"},
        {"https://h:0", "a port from 1 to 65535"},
        {"https://h:65536", "a port from 1 to 65535"},
        {"https://h:1x", "a port from 1 to 65535"},
        {"https://h:1:2", "a port from 1 to 65535"},
        {"https://[::1", "no \"]\""},
        {"https://[]", "no IPv6 address"},
        {"https://[h]", "no IPv6 address"},
        {"https://[::1%25lo]", "no IPv6 address"},
        {"https://[::1]x", "a port from 1 to 65535"},
        {"https://h//", "an empty segment"},
        {"https://h//a", "an empty segment"},
        {"https://h/a//b", "an empty segment"},
        {"https://h/.", "\"..\" as a segment"},
        {"https://h/../a", "\"..\" as a segment"},
        {"https://h/a/..", "\"..\" as a segment"},
        {"https://h/a%", "two hexadecimal digits"},
        {"https://h/a%2", "two hexadecimal digits"},
        {"https://h/a%2g", "two hexadecimal digits"},
        {"https://h/a%4/", "two hexadecimal digits"},
        {"https://h/{a}", "written as %XX"},
        {"https://h/a b", "byte 12"},
        {"https://h/a\r\nX: y", "byte 12"},
        {"https://h/\xC3\xA4", "byte 11"},
        {"https://h/a?b=c", "query (\"?\")"},
        {"https://h#a", "fragment (\"#\")"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_upstream_url url;
        struct br_status st = {0};
        if (br_upstream_url_read(cases[i].text, &url, &st))
            fail_msg("%s is accepted", cases[i].text);
        assert_refused(&st, cases[i].why);
    }
}

static void test_upstream_url_with_a_secret_does_not_repeat_it(void **state)
{
    (void)state;
    static const char *const texts[] = {"https://user:s3cret@h", "s3cret@h", "ftp://h/?token=s3cret",
                                        "https://h/#s3cret"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct br_upstream_url url;
        struct br_status st;
        assert_false(br_upstream_url_read(texts[i], &url, &st));
        assert_null(strstr(st.msg, "s3cret"));
    }
}

static void test_upstream_url_length_is_limited(void **state)
{
    (void)state;
    char text[BR_UPSTREAM_URL_CAP + 1];
    struct br_upstream_url url;
    struct br_status st;
    memset(text, 'a', sizeof text);
    memcpy(text, "https://h/", strlen("https://h/"));
    text[BR_UPSTREAM_URL_CAP] = '\0';
    assert_false(br_upstream_url_read(text, &url, &st));
    assert_refused(&st, "1024 bytes");
    text[BR_UPSTREAM_URL_CAP - 1] = '\0';
    assert_true(br_upstream_url_read(text, &url, &st));
    assert_string_equal(url.base, text);

    memset(text, 'a', sizeof text);
    memcpy(text, "https://", strlen("https://"));
    text[strlen("https://") + 254] = '\0';
    assert_false(br_upstream_url_read(text, &url, &st));
    assert_refused(&st, "253 characters");
    text[strlen("https://") + 253] = '\0';
    assert_true(br_upstream_url_read(text, &url, &st));
}

#define A_FILE "/proc/self/cmdline"

static void test_check_callers_parts_that_belong_together(void **state)
{
    (void)state;
    struct br_serve_settings settings;
    struct br_status st;
    assert_false(READ(&settings, &st, "--tls-cert=" A_FILE));
    assert_refused(&st, "--tls-cert and --tls-key belong together");
    assert_false(READ(&settings, &st, "--tls-key=" A_FILE));
    assert_refused(&st, "--tls-cert and --tls-key belong together");
    assert_false(READ(&settings, &st, "--client-ca=" A_FILE));
    assert_refused(&st, "--client-ca");
    assert_false(READ(&settings, &st, "--allow-caller=x", "--tls-cert=" A_FILE, "--tls-key=" A_FILE));
    assert_refused(&st, "--allow-caller");

    assert_true(READ(&settings, &st, "--tls-cert=" A_FILE, "--tls-key=" A_FILE, "--client-ca=" A_FILE,
                     "--allow-caller=spiffe://a/b", "--allow-caller=b.c", "--allow-unauthenticated-callers"));
    assert_string_equal(settings.tls_cert, A_FILE);
    assert_string_equal(settings.tls_key, A_FILE);
    assert_string_equal(settings.client_ca, A_FILE);
    assert_int_equal(settings.allow_callers.count, 2);
    assert_string_equal(settings.allow_callers.items[1], "b.c");
    assert_true(settings.allow_unauthenticated_callers);
    br_settings_finish(&br_serve_settings_table, &settings);
}

static void test_check_unix_socket_mode_is_three_octal_digits(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        int mode; /* -1: refused */
    } cases[] = {
        {"--", 0660},
        {"--unix-socket-mode=0600", 0600},
        {"--unix-socket-mode=777", 0777},
        {"--unix-socket-mode=000", 0},
        {"--unix-socket-mode=0777", 0777},
        {"--unix-socket-mode=1777", -1},
        {"--unix-socket-mode=00777", -1},
        {"--unix-socket-mode=778", -1},
        {"--unix-socket-mode=66", -1},
        {"--unix-socket-mode=066", 066},
        {"--unix-socket-mode=-66", -1},
        {"--unix-socket-mode= 660", -1},
        {"--unix-socket-mode=0660 ", -1},
        {"--unix-socket-mode=0x1ff", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_serve_settings settings;
        struct br_status st;
        bool ok = READ(&settings, &st, cases[i].flag);
        if (ok != (cases[i].mode >= 0))
            fail_msg("%s", cases[i].flag);
        if (!ok) {
            assert_refused(&st, "--unix-socket-mode");
            continue;
        }
        assert_int_equal(settings.unix_socket_permissions, cases[i].mode);
        br_settings_finish(&br_serve_settings_table, &settings);
    }
}

int main(void)
{
    for (size_t i = 0; i < br_serve_settings_table.row_count; i++) {
        /* Only the flags of a test count. */
        char name[128] = "MODELARTS_BRIDGE_";
        size_t len = strlen(name);
        for (const char *c = br_serve_settings_table.rows[i].flag; *c != '\0' && len + 1 < sizeof name; c++)
            name[len++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        name[len] = '\0';
        (void)unsetenv(name);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_callers_parts_that_belong_together),
        cmocka_unit_test(test_check_unix_socket_mode_is_three_octal_digits),
        cmocka_unit_test(test_table_without_flags_has_the_documented_defaults),
        cmocka_unit_test(test_table_limits_accept_the_last_and_refuse_the_next_value),
        cmocka_unit_test(test_check_default_timeout_above_max_is_refused),
        cmocka_unit_test(test_check_choices_follow_their_enums),
        cmocka_unit_test(test_check_project_id_that_would_change_the_path_is_refused),
        cmocka_unit_test(test_check_listen_with_a_bad_address_is_refused),
        cmocka_unit_test(test_address_forms_are_told_apart),
        cmocka_unit_test(test_upstream_url_good_forms_are_put_into_one_form),
        cmocka_unit_test(test_upstream_url_bad_forms_are_refused),
        cmocka_unit_test(test_upstream_url_with_a_secret_does_not_repeat_it),
        cmocka_unit_test(test_upstream_url_length_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
