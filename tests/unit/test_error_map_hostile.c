#include "error_check.h"

#include <stdlib.h>

/* Maps |len| bytes of |body| under |http| and encodes the error. */
static void survive(int http, const char *body, size_t len, const char *content_type)
{
    struct br_header header = {"content-type", content_type};
    const struct br_http_answer answer = {
        .status = http, .headers = {&header, 1}, .body = body, .body_len = len};
    struct br_arena call;
    br_arena_init(&call, 1 << 16);
    struct br_error error;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &call, &error);
    expect_sane(&error);
    uint8_t *bytes;
    size_t encoded;
    bool cut;
    assert_true(br_error_encode(&error, &call, &bytes, &encoded, &cut));
    assert_false(cut);
    assert_true(encoded < BR_TRAILER_BUDGET_BYTES);
    br_arena_finish(&call);
}

static void test_answer_hostile_bodies_give_a_sane_error(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "[]",
        "17",
        "null",
        "true",
        "\"\"",
        "{\"code\":17}",
        "{\"code\":-1}",
        "{\"code\":0}",
        "{\"error\":null}",
        "{\"error\":{}}",
        "{\"error\":[]}",
        "{\"error_code\":null,\"error_msg\":null}",
        "{\"error_code\":{}}",
        "{\"error_code\":\"OK\"}",
        "{\"error_code\":\"\"}",
        "{\"error_msg\":\"\"}",
        "{\"error_msg\":\"\\n\"}",
        "{\"code\":1e999}",
        "\xff\xfe",
        "{\"error_msg\":\"\xc3\x28\"}",
        "{\"error_msg\":\"%s%n%d\"}",
        "{\"error_code\":\"%s%n\",\"request_id\":\"%s\"}",
        "{\"error_code\":\""
        "\xe9\x94\x99"
        "\"}",
        "{\"error_code\":\"ModelArts.3502\",\"error_code\":\"ModelArts.3502\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        for (int http = 300; http <= 599; http++)
            survive(http, bodies[i], strlen(bodies[i]), "application/json");
    }
}

static void test_answer_each_prefix_of_a_body_is_survived(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"error_code\":\"ModelArts.7000\",\"error_msg\":\"\xe6\x9c\x8d\\u670d\"}",
        "{\"error\":{\"code\":401,\"message\":\"The username or password is "
        "wrong.\",\"title\":\"Unauthorized\"}}",
        "{\"error_msg\":\"m\",\"error_code\":\"APIGW.9301\",\"request_id\":"
        "\"8080d377bffeb6d519b0567c09cebe6b\"}",
        "<html><body>502</body></html>",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        for (size_t len = 0; len <= strlen(bodies[i]); len++) {
            char *copy = malloc(len + 1);
            assert_non_null(copy);
            memcpy(copy, bodies[i], len);
            survive(500, copy, len, "application/json");
            survive(500, copy, len, "text/plain");
            free(copy);
        }
    }
}

static void test_answer_ten_megabytes_are_survived(void **state)
{
    (void)state;
    static const char start[] = "{\"error_msg\":\"";
    size_t len = 10 << 20;
    char *body = malloc(len);
    assert_non_null(body);
    for (size_t i = 0; i + 3 <= len; i += 3)
        memcpy(body + i, "\xe6\x9c\x8d", 3);
    survive(500, body, len, "text/plain; charset=utf-8");
    survive(500, body, 60000, "text/plain");
    memcpy(body, start, sizeof start - 1);
    memcpy(body + len - 2, "\"}", 2);
    survive(500, body, len, "application/json");
    memset(body, '[', len);
    survive(500, body, len, "application/json");
    survive(500, body, 60000, "application/json");
    memset(body, ' ', len);
    survive(500, body, len, "text/plain");
    free(body);
}

static void test_answer_ten_megabytes_of_chinese_keep_their_code(void **state)
{
    (void)state;
    static const char start[] = "{\"error_code\":\"ModelArts.3506\",\"error_msg\":\"";
    size_t len = sizeof start - 1 + (10 << 20) / 3 * 3 + 2;
    char *body = malloc(len);
    assert_non_null(body);
    memcpy(body, start, sizeof start - 1);
    for (size_t i = sizeof start - 1; i < len - 2; i += 3)
        memcpy(body + i, "\xe6\x9c\x8d", 3);
    memcpy(body + len - 2, "\"}", 2);
    const struct br_http_answer answer = {.status = 500, .body = body, .body_len = len};
    struct br_arena call;
    br_arena_init(&call, 1 << 16);
    struct br_error error;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &call, &error);
    expect_sane(&error);
    expect_error(&error, BR_NOT_FOUND, "MODELARTS_3506", BR_DOMAIN_MODELARTS);
    assert_int_equal(strlen(error.st.msg), 1023);
    assert_null(metadata(&error, "body_cut"));
    uint8_t *bytes;
    size_t encoded;
    bool cut;
    assert_true(br_error_encode(&error, &call, &bytes, &encoded, &cut));
    assert_false(cut);
    br_arena_finish(&call);
    free(body);
    survive(500, start, sizeof start - 1, "application/json");
}

static void test_answer_without_memory_keeps_the_code(void **state)
{
    (void)state;
    struct br_header header = {"x-request-id", "of-header"};
    static const char known[] =
        "{\"error_code\":\"ModelArts.3506\",\"error_msg\":\"Model x does not exist.\"}";
    struct br_http_answer answer = {
        .status = 500, .headers = {&header, 1}, .body = known, .body_len = sizeof known - 1};
    struct br_arena empty;
    br_arena_init(&empty, 0);
    struct br_error error;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &empty, &error);
    expect_sane(&error);
    expect_error(&error, BR_NOT_FOUND, "MODELARTS_3506", BR_DOMAIN_MODELARTS);
    assert_string_equal(error.st.msg, "Model x does not exist.");
    assert_int_equal(error.metadata_count, 0);
    assert_null(error.request_id);

    static const char other[] = "{\"error_code\":\"ModelArts.9999\",\"error_msg\":\"m\"}";
    answer.body = other;
    answer.body_len = sizeof other - 1;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &empty, &error);
    expect_sane(&error);
    expect_error(&error, BR_INTERNAL, "UPSTREAM_HTTP_ERROR", BR_DOMAIN_BRIDGE);
    br_arena_finish(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_hostile_bodies_give_a_sane_error),
        cmocka_unit_test(test_answer_each_prefix_of_a_body_is_survived),
        cmocka_unit_test(test_answer_ten_megabytes_are_survived),
        cmocka_unit_test(test_answer_ten_megabytes_of_chinese_keep_their_code),
        cmocka_unit_test(test_answer_without_memory_keeps_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
