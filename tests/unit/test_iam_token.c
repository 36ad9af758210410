#define _GNU_SOURCE

#include "auth_check.h"

#include "upstream/iam_token.h"

#include <cjson/cJSON.h>

#define NOW_S INT64_C(1700000000) /* 2023-11-14T22:13:20Z */

static int allocations_left;

static void *malloc_some(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* cJSON may keep nothing secret either. */
static void free_checked(void *memory)
{
    assert_false(test_is_secret(memory));
    free(memory);
}

static struct br_iam_outcome read_answer(int status, struct br_header *headers, size_t count,
                                         const char *body)
{
    struct br_http_exchange exchange = {
        .answered = true,
        .answer = {.status = status,
                   .headers = {.items = headers, .count = count},
                   .body = body,
                   .body_len = body != NULL ? strlen(body) : 0},
    };
    struct br_iam_outcome outcome;
    br_iam_token_read(&exchange, NOW_S, &outcome);
    return outcome;
}

static struct br_iam_outcome read_token(const char *token, const char *body)
{
    struct br_header headers[] = {{"x-subject-token", token}};
    return read_answer(201, headers, 1, body);
}

static void expect_unavailable(const struct br_iam_outcome *outcome)
{
    assert_null(outcome->token);
    assert_int_equal(outcome->st.code, BR_UNAVAILABLE);
    assert_string_equal(outcome->st.reason, "TOKEN_UNAVAILABLE");
}

static const char *body_with_end(const char *expires_at)
{
    static char body[256];
    (void)snprintf(body, sizeof body, "{\"token\":{\"expires_at\":\"%s\"}}", expires_at);
    return body;
}

/* ---- The request ---- */

static void test_write_body_longest_values_fit(void **state)
{
    (void)state;
    char worst[BR_CREDENTIAL_MAX_BYTES + 1];
    memset(worst, '"', sizeof worst - 1);
    worst[sizeof worst - 1] = '\0';
    struct br_credential_set set = {.values = {worst, worst, worst, worst}};
    size_t cap;
    char *body = br_iam_token_write_body(&set, &cap);
    assert_non_null(body);
    assert_true(strlen(body) < cap);
    cJSON *json = cJSON_Parse(body);
    assert_non_null(json);
    cJSON_Delete(json);
    free(body);
}

static void test_write_body_without_memory_fails_and_leaves_no_secret(void **state)
{
    (void)state;
    struct br_credential_set set = {.values = {"me", SECRET, "dom", "project"}};
    cJSON_Hooks hooks = {.malloc_fn = malloc_some, .free_fn = free_checked};
    cJSON_InitHooks(&hooks);
    char *body = NULL;
    size_t cap;
    int needed = 0;
    while (body == NULL) {
        allocations_left = needed++;
        body = br_iam_token_write_body(&set, &cap);
    }
    cJSON_InitHooks(NULL);
    assert_in_range(needed, 10, 100);
    assert_non_null(strstr(body, SECRET));
    free(body);
}

/* ---- The token ---- */

static void test_read_token_at_ceiling_passes_above_fails(void **state)
{
    (void)state;
    char *token = calloc(1, BR_IAM_TOKEN_MAX_BYTES + 2);
    assert_non_null(token);
    memset(token, 'a', BR_IAM_TOKEN_MAX_BYTES);
    struct br_iam_outcome outcome = read_token(token, body_with_end("2023-11-14T22:13:21Z"));
    assert_non_null(outcome.token);
    assert_int_equal(outcome.token_len, BR_IAM_TOKEN_MAX_BYTES);
    assert_string_equal(outcome.token, token);
    free(outcome.token);
    token[BR_IAM_TOKEN_MAX_BYTES] = 'a';
    outcome = read_token(token, body_with_end("2023-11-14T22:13:21Z"));
    expect_unavailable(&outcome);
    assert_non_null(strstr(outcome.st.msg, "too long"));
    free(token);
}

static void test_read_token_that_is_no_header_value_fails(void **state)
{
    (void)state;
    static const char *const tokens[] = {"", " ", "a b", "a\tb", "a\r\nX: y", "a\x7f", "a\x80", "\x01"};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct br_iam_outcome outcome = read_token(tokens[i], body_with_end("2023-11-14T22:13:21Z"));
        expect_unavailable(&outcome);
    }
    struct br_iam_outcome outcome = read_answer(201, NULL, 0, body_with_end("2023-11-14T22:13:21Z"));
    expect_unavailable(&outcome);
    assert_non_null(strstr(outcome.st.msg, "no X-Subject-Token"));
    outcome = read_token("!~", body_with_end("2023-11-14T22:13:21Z"));
    assert_string_equal(outcome.token, "!~");
    free(outcome.token);
}

static void test_read_body_that_does_not_help_fails(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        NULL,
        "",
        " ",
        "null",
        "[]",
        "{}",
        "<html></html>",
        "{\"token\":null}",
        "{\"token\":\"2023-11-15T22:13:20Z\"}",
        "{\"token\":[{\"expires_at\":\"2023-11-15T22:13:20Z\"}]}",
        "{\"expires_at\":\"2023-11-15T22:13:20Z\"}",
        "{\"token\":{}}",
        "{\"token\":{\"expires_at\":null}}",
        "{\"token\":{\"expires_at\":1800000000}}",
        "{\"token\":{\"EXPIRES_AT\":\"2023-11-15T22:13:20Z\"}}",
        "{\"token\":{\"expires_at\":\"2023-11-15T22:13:20Z\"}",
        "{\"token\":{\"expires_at\":\"2023-11-15T22:13:20Z\"}} x",
        "{\"token\":{\"expires_at\":\"2023-11-15T22:13:20Z\\u0000\"}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct br_iam_outcome outcome = read_token("t", bodies[i]);
        expect_unavailable(&outcome);
    }
}

static void test_read_times_that_are_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t life_s;
    } times[] = {
        {"2023-11-14T22:13:21Z", 1},
        {"2023-11-14T22:13:21.9Z", 1},
        {"2023-11-15T22:13:20.701000Z", 86400},
        {"2023-11-15T22:13:20.123456789Z", 86400},
        {"2024-02-29T00:00:00Z", 9164800},
        {"2024-03-01T00:00:00Z", 9251200},
        {"2000-01-01T00:00:00Z", -1},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799) - NOW_S},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct br_iam_outcome outcome = read_token("t", body_with_end(times[i].text));
        if (times[i].life_s > 0) {
            assert_non_null(outcome.token);
            assert_int_equal(outcome.life_ms, times[i].life_s * 1000);
        } else {
            assert_non_null(strstr(outcome.st.msg, "expired"));
        }
        free(outcome.token);
    }
}

static void test_read_expired_token_fails(void **state)
{
    (void)state;
    static const char *const times[] = {"2023-11-14T22:13:20Z", "2023-11-14T22:13:20.999Z",
                                        "2023-11-14T22:13:19Z", "0001-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct br_iam_outcome outcome = read_token("t", body_with_end(times[i]));
        expect_unavailable(&outcome);
        assert_non_null(strstr(outcome.st.msg, "expired"));
    }
}

static void test_read_times_that_are_none_fail(void **state)
{
    (void)state;
    static const char *const times[] = {
        "",
        "2030",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00z",
        "2030-01-01t00:00:00Z",
        "2030-01-01 00:00:00Z",
        "2030-01-01T00:00:00+00:00",
        "2030-01-01T00:00:00.Z",
        "2030-01-01T00:00:00.1",
        "2030-01-01T00:00:00,1Z",
        "2030-01-01T00:00:00.1.1Z",
        "2030-01-01T00:00:00ZZ",
        "2030-01-01T00:00:00Z ",
        " 2030-01-01T00:00:00Z",
        "2030-1-01T00:00:00Z",
        "+030-01-01T00:00:00Z",
        "20300-01-01T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-01-00T00:00:00Z",
        "2030-01-32T00:00:00Z",
        "2030-02-29T00:00:00Z",
        "2030-04-31T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T00:60:00Z",
        "2030-01-01T00:00:60Z",
        "2030-01-01T-1:00:00Z",
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct br_iam_outcome outcome = read_token("t", body_with_end(times[i]));
        expect_unavailable(&outcome);
        assert_non_null(strstr(outcome.st.msg, "does not say when"));
    }
}

/* ---- Failures ---- */

static void test_read_failure_takes_only_what_is_asked_for(void **state)
{
    (void)state;
    struct br_header headers[] = {{"x-request-id", "id\n1"}, {"retry-after", "120"}};
    struct br_iam_outcome outcome = read_answer(503, headers, 2, "{\"error_code\":\"IAM.0011\"}");
    expect_unavailable(&outcome);
    assert_int_equal(outcome.http_status, 503);
    assert_int_equal(outcome.retry_after_ms, 120000);
    assert_string_equal(outcome.request_id, "");
    assert_string_equal(outcome.st.msg, "no token from IAM: HTTP 503 (IAM_0011)");
    headers[1].value = "soon";
    outcome = read_answer(503, headers, 2, NULL);
    assert_int_equal(outcome.retry_after_ms, -1);
    assert_string_equal(outcome.st.msg, "no token from IAM: HTTP 503");
}

static void test_read_failure_code_of_others_is_not_told(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        const char *end;
    } codes[] = {
        {"IAM.0011", "HTTP 401 (IAM_0011)"},
        {"APIGW.0301", "HTTP 401 (APIG_0301)"},
        {"ModelArts.0203", "HTTP 401 (MODELARTS_0203)"},
        {"1103", "HTTP 401 (IAM_LEGACY_1103)"},
        {"hush.hush", "HTTP 401"},
        {"", "HTTP 401"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"error_code\":\"%s\",\"error_msg\":\"" SECRET "\"}",
                       codes[i].code);
        struct br_iam_outcome outcome = read_answer(401, NULL, 0, body);
        assert_int_equal(outcome.st.code, BR_UNAUTHENTICATED);
        assert_string_equal(outcome.st.reason, "TOKEN_REFUSED");
        assert_string_equal(strstr(outcome.st.msg, "HTTP"), codes[i].end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_body_longest_values_fit),
        cmocka_unit_test(test_write_body_without_memory_fails_and_leaves_no_secret),
        cmocka_unit_test(test_read_token_at_ceiling_passes_above_fails),
        cmocka_unit_test(test_read_token_that_is_no_header_value_fails),
        cmocka_unit_test(test_read_body_that_does_not_help_fails),
        cmocka_unit_test(test_read_times_that_are_good),
        cmocka_unit_test(test_read_expired_token_fails),
        cmocka_unit_test(test_read_times_that_are_none_fail),
        cmocka_unit_test(test_read_failure_takes_only_what_is_asked_for),
        cmocka_unit_test(test_read_failure_code_of_others_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
