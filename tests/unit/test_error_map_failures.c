#include "error_check.h"

#include <stdio.h>

static struct br_error transport(enum br_transport_failure failure, const struct br_method *method)
{
    struct br_error error;
    memset(&error, 0xff, sizeof error);
    br_error_from_transport(failure, "SOME_FAILURE", NULL, method, &error);
    expect_sane(&error);
    assert_string_equal(error.domain, BR_DOMAIN_BRIDGE);
    assert_int_equal(error.metadata_count, 1);
    assert_string_equal(metadata(&error, "transport_error"), "SOME_FAILURE");
    assert_null(error.request_id);
    assert_int_equal(error.retry_after_ms, -1);
    return error;
}

static void test_transport_failures_get_their_codes(void **state)
{
    (void)state;
    static const struct {
        enum br_transport_failure failure;
        enum br_code code;      /* of a method that may be repeated */
        enum br_code once_code; /* of one that may not */
        const char *reason;
        const char *executed; /* what is said of one that may not */
    } cases[] = {
        {BR_TRANSPORT_CANCELLED, BR_CANCELLED, BR_CANCELLED, "CALLER_CANCELLED", "may have been executed"},
        {BR_TRANSPORT_DEADLINE, BR_DEADLINE_EXCEEDED, BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
         "may have been executed"},
        {BR_TRANSPORT_UNREACHABLE, BR_UNAVAILABLE, BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE", NULL},
        {BR_TRANSPORT_CONNECT_TIMEOUT, BR_UNAVAILABLE, BR_UNAVAILABLE, "UPSTREAM_CONNECT_TIMEOUT", NULL},
        {BR_TRANSPORT_BROKEN, BR_UNAVAILABLE, BR_UNKNOWN, "UPSTREAM_CONNECTION_BROKEN",
         "may have been executed"},
        {BR_TRANSPORT_UNTRUSTED, BR_FAILED_PRECONDITION, BR_FAILED_PRECONDITION, "UPSTREAM_CERTIFICATE",
         NULL},
        {BR_TRANSPORT_TOO_LARGE, BR_RESOURCE_EXHAUSTED, BR_RESOURCE_EXHAUSTED, "UPSTREAM_RESPONSE_TOO_LARGE",
         "was executed"},
        {BR_TRANSPORT_NO_MEMORY, BR_RESOURCE_EXHAUSTED, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
         "may have been executed"},
        {BR_TRANSPORT_FAILED, BR_INTERNAL, BR_INTERNAL, "UPSTREAM_TRANSPORT_ERROR", "may have been executed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_error error = transport(cases[i].failure, &repeatable);
        expect_error(&error, cases[i].code, cases[i].reason, BR_DOMAIN_BRIDGE);
        assert_null(strstr(error.st.msg, "executed"));
        error = transport(cases[i].failure, &reading);
        expect_error(&error, cases[i].code, cases[i].reason, BR_DOMAIN_BRIDGE);
        error = transport(cases[i].failure, &once);
        expect_error(&error, cases[i].once_code, cases[i].reason, BR_DOMAIN_BRIDGE);
        assert_non_null(
            strstr(error.st.msg, cases[i].executed != NULL ? cases[i].executed : "nothing was sent"));
    }
}

static void test_transport_text_is_added_and_cleaned(void **state)
{
    (void)state;
    struct br_error error;
    br_error_from_transport(BR_TRANSPORT_UNREACHABLE, NULL, "Could not resolve\nhost: x", &once, &error);
    assert_string_equal(error.st.msg,
                        "ModelArts cannot be reached; nothing was sent: Could not resolve host: x");
    assert_int_equal(error.metadata_count, 0);
    br_error_from_transport(BR_TRANSPORT_UNREACHABLE, NULL, "", &once, &error);
    assert_string_equal(error.st.msg, "ModelArts cannot be reached; nothing was sent");
    br_error_from_transport(BR_TRANSPORT_UNREACHABLE, NULL, "bad \xff text", &once, &error);
    assert_string_equal(error.st.msg, "ModelArts cannot be reached; nothing was sent: bad ");
}

static void test_transport_text_that_repeats_the_message_is_dropped(void **state)
{
    (void)state;
    static const struct {
        enum br_transport_failure failure;
        const char *message;
    } cases[] = {
        {BR_TRANSPORT_DEADLINE,
         "the call's deadline passed before ModelArts answered; the request may have been executed"},
        {BR_TRANSPORT_TOO_LARGE,
         "the answer of ModelArts is larger than --max-response-bytes; the request was executed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_error error;
        br_error_from_transport(cases[i].failure, NULL, "the same again", &once, &error);
        assert_string_equal(error.st.msg, cases[i].message);
    }
}

static void test_unreadable_web_page_is_named_by_its_type(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        const char *type;
        const char *body;
        const char *named; /* NULL: the status stays as it is */
    } cases[] = {
        {"UPSTREAM_MALFORMED_RESPONSE", "text/html; charset=utf-8", "<html>", "text/html"},
        {"UPSTREAM_MALFORMED_RESPONSE", "text/plain", "", "text/plain"},
        {"UPSTREAM_MALFORMED_RESPONSE", "application/json", "<html>", NULL},
        {"UPSTREAM_MALFORMED_RESPONSE", "application/problem+json", "<html>", NULL},
        {"UPSTREAM_MALFORMED_RESPONSE", NULL, "<html>", NULL},
        /* The type is wrong, not the body. */
        {"UPSTREAM_MALFORMED_RESPONSE", "text/plain", "{\"update_time\":[]}", NULL},
        {"OUT_OF_MEMORY", "text/html", "<html>", NULL},
    };
    struct br_arena texts;
    br_arena_init(&texts, 1 << 16);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct br_header type = {"content-type", cases[i].type};
        const struct br_http_answer answer = {.status = 201,
                                              .headers = {.items = &type, .count = cases[i].type != NULL},
                                              .body = cases[i].body,
                                              .body_len = strlen(cases[i].body)};
        struct br_status st;
        (void)br_status_set(&st, BR_INTERNAL, cases[i].reason, "the status");
        struct br_error error;
        memset(&error, 0xff, sizeof error);
        br_error_from_unreadable(&answer, &st, &texts, &error);
        expect_error(&error, BR_INTERNAL, cases[i].reason, BR_DOMAIN_BRIDGE);
        char message[128] = "the status";
        if (cases[i].named != NULL)
            (void)snprintf(message, sizeof message,
                           "the request was executed, but ModelArts answered HTTP 201 with %s, not with JSON",
                           cases[i].named);
        assert_string_equal(error.st.msg, message);
        assert_int_equal(error.metadata_count, cases[i].named != NULL);
        if (cases[i].named != NULL)
            assert_string_equal(metadata(&error, "content_type"), cases[i].named);
    }
    br_arena_finish(&texts);
}

static void test_from_status_keeps_the_status(void **state)
{
    (void)state;
    struct br_status st;
    br_status_set(&st, BR_INVALID_ARGUMENT, "VALIDATION_FAILED", "field: text");
    struct br_violations violations = {.items = {{"field", "text"}}, .count = 1, .total_count = 1};
    struct br_error error;
    memset(&error, 0xff, sizeof error);
    br_error_from_status(&st, &violations, &error);
    expect_error(&error, BR_INVALID_ARGUMENT, "VALIDATION_FAILED", BR_DOMAIN_BRIDGE);
    assert_string_equal(error.st.msg, "field: text");
    assert_ptr_equal(error.violations, &violations);
    assert_int_equal(error.metadata_count, 0);
    assert_int_equal(error.retry_after_ms, -1);

    violations.count = 0;
    br_error_from_status(&st, &violations, &error);
    assert_null(error.violations);
    br_error_from_status(&st, NULL, &error);
    assert_null(error.violations);
}

static void test_retry_after_seconds_are_capped(void **state)
{
    (void)state;
    assert_int_equal(br_retry_after_ms("0", NOW_S), 0);
    assert_int_equal(br_retry_after_ms("1", NOW_S), 1000);
    assert_int_equal(br_retry_after_ms("007", NOW_S), 7000);
    assert_int_equal(br_retry_after_ms("3599", NOW_S), 3599000);
    assert_int_equal(br_retry_after_ms("3600", NOW_S), 3600000);
    assert_int_equal(br_retry_after_ms("3601", NOW_S), 3600000);
    assert_int_equal(br_retry_after_ms("18446744073709551615", NOW_S), 3600000);
    assert_int_equal(br_retry_after_ms("99999999999999999999999999", NOW_S), 3600000);
}

static void test_retry_after_dates_of_all_three_forms_are_read(void **state)
{
    (void)state;
    static const char *const dates[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        assert_int_equal(br_retry_after_ms(dates[i], NOW_S - 90), 90000);
        assert_int_equal(br_retry_after_ms(dates[i], NOW_S - 3600), 3600000);
        assert_int_equal(br_retry_after_ms(dates[i], NOW_S - 3601), 3600000);
        assert_int_equal(br_retry_after_ms(dates[i], NOW_S), 0);
        assert_int_equal(br_retry_after_ms(dates[i], NOW_S + 1), 0);
    }
    assert_int_equal(br_retry_after_ms("Fri, 31 Dec 9999 23:59:59 GMT", 0), 3600000);
    assert_int_equal(br_retry_after_ms("Sat, 01 Jan 0000 00:00:00 GMT", NOW_S), 0);
}

static void test_retry_after_garbage_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1 ",
        " 1",
        "1s",
        "0x10",
        "soon",
        "\xe4\xb8\x80",
        "Sun",
        "Sun,",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "%s%n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(br_retry_after_ms(texts[i], NOW_S - 10), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport_failures_get_their_codes),
        cmocka_unit_test(test_transport_text_is_added_and_cleaned),
        cmocka_unit_test(test_transport_text_that_repeats_the_message_is_dropped),
        cmocka_unit_test(test_unreadable_web_page_is_named_by_its_type),
        cmocka_unit_test(test_from_status_keeps_the_status),
        cmocka_unit_test(test_retry_after_seconds_are_capped),
        cmocka_unit_test(test_retry_after_dates_of_all_three_forms_are_read),
        cmocka_unit_test(test_retry_after_garbage_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
