#include "error_check.h"

#include "translate/vendor_code.h"

#include <stdio.h>
#include <string.h>

static struct br_arena arena;

static int start_arena(void **state)
{
    (void)state;
    br_arena_init(&arena, 1 << 20);
    return 0;
}

static int finish_arena(void **state)
{
    (void)state;
    br_arena_finish(&arena);
    return 0;
}

/* An answer with up to three headers; a NULL value leaves one out. */
struct answer {
    int status;
    const char *body;
    const char *content_type;
    const char *request_id;
    const char *retry_after;
};

static struct br_error map_for(const struct answer *answer, const struct br_method *method)
{
    struct br_header items[3];
    size_t count = 0;
    if (answer->content_type != NULL)
        items[count++] = (struct br_header){"Content-Type", answer->content_type};
    if (answer->request_id != NULL)
        items[count++] = (struct br_header){"X-request-id", answer->request_id};
    if (answer->retry_after != NULL)
        items[count++] = (struct br_header){"Retry-After", answer->retry_after};
    const struct br_http_answer http = {
        .status = answer->status,
        .headers = {.items = items, .count = count},
        .body = answer->body,
        .body_len = answer->body != NULL ? strlen(answer->body) : 0,
    };
    struct br_error error;
    memset(&error, 0xff, sizeof error);
    br_error_from_answer(&http, method, NULL, NOW_S, &arena, &error);
    expect_sane(&error);
    return error;
}

static struct br_error map(int status, const char *body)
{
    const struct answer answer = {.status = status, .body = body, .content_type = "application/json"};
    return map_for(&answer, &repeatable);
}

static void expect_mapping(int status, const char *body, enum br_code code, const char *reason)
{
    struct br_error error = map(status, body);
    expect_error(&error, code, reason, BR_DOMAIN_MODELARTS);
}

/* The table of bridge_conventions.md section 1, for a method that may be repeated. */
static enum br_code expected_code(int http)
{
    static const struct {
        int http;
        enum br_code code;
    } exact[] = {
        {400, BR_INVALID_ARGUMENT},    {411, BR_INVALID_ARGUMENT}, {413, BR_INVALID_ARGUMENT},
        {414, BR_INVALID_ARGUMENT},    {415, BR_INVALID_ARGUMENT}, {422, BR_INVALID_ARGUMENT},
        {494, BR_INVALID_ARGUMENT},    {401, BR_UNAUTHENTICATED},  {403, BR_PERMISSION_DENIED},
        {404, BR_NOT_FOUND},           {410, BR_NOT_FOUND},        {405, BR_UNIMPLEMENTED},
        {501, BR_UNIMPLEMENTED},       {408, BR_UNAVAILABLE},      {409, BR_ABORTED},
        {412, BR_FAILED_PRECONDITION}, {416, BR_OUT_OF_RANGE},     {429, BR_RESOURCE_EXHAUSTED},
        {499, BR_CANCELLED},           {500, BR_INTERNAL},         {502, BR_UNAVAILABLE},
        {503, BR_UNAVAILABLE},         {504, BR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        if (exact[i].http == http)
            return exact[i].code;
    }
    if (http >= 400 && http < 500)
        return BR_FAILED_PRECONDITION;
    return http >= 500 && http < 600 ? BR_INTERNAL : BR_UNKNOWN;
}

static void test_answer_without_code_follows_the_status(void **state)
{
    (void)state;
    for (int http = 100; http <= 599; http++) {
        const struct answer answer = {.status = http};
        const char *reason = http / 100 == 3 ? "UPSTREAM_REDIRECT" : "UPSTREAM_HTTP_ERROR";
        struct br_error error = map_for(&answer, &repeatable);
        expect_error(&error, expected_code(http), reason, BR_DOMAIN_BRIDGE);
        error = map_for(&answer, &reading);
        expect_error(&error, expected_code(http), reason, BR_DOMAIN_BRIDGE);
        error = map_for(&answer, &once);
        bool timeout = http == 408 || http == 504;
        expect_error(&error, timeout ? BR_UNKNOWN : expected_code(http), reason, BR_DOMAIN_BRIDGE);
    }
}

static void test_answer_status_out_of_range_is_never_ok(void **state)
{
    (void)state;
    static const int statuses[] = {-1, 0, 99, 600, 1000, INT32_MAX};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct br_error error = map(statuses[i], "{\"code\":0}");
        assert_int_equal(error.st.code, BR_UNKNOWN);
    }
}

static void test_answer_golden_bodies_get_their_code(void **state)
{
    (void)state;
    expect_mapping(401, "{\n  \"error_code\" : \"ModelArts.0203\",\n  \"error_msg\" : \"Invalid token.\"\n}",
                   BR_UNAUTHENTICATED, "MODELARTS_0203");
    expect_mapping(
        400,
        "{\"error_code\":\"ModelArts.7000\",\"error_msg\":\"Server ... type is BMS, does not support "
        "detach volume device.\"}",
        BR_INVALID_ARGUMENT, "MODELARTS_7000");
    expect_mapping(
        400, "{\"error_code\":\"ModelArts.6404\",\"error_msg\":\"LiteServer instance '...' not found.\"}",
        BR_NOT_FOUND, "MODELARTS_6404");
    expect_mapping(
        401,
        "{\"error_msg\":\"Incorrect IAM authentication information: ak ... not "
        "exist\",\"error_code\":\"APIGW.0301\",\"request_id\":\"8080d377bffeb6d519b0567c09cebe6b\"}",
        BR_UNAUTHENTICATED, "APIG_0301");
    expect_mapping(
        404,
        "{\"error_code\":\"APIG.0101\",\"error_msg\":\"API does not exist or is not published in the "
        "environment.\",\"request_id\":\"acbc548a...\"}",
        BR_UNIMPLEMENTED, "APIG_0101");
    expect_mapping(
        401, "{\"error\": {\"message\": \"Unauthorized.\", \"code\": 401, \"title\": \"Unauthorized\"}}",
        BR_UNAUTHENTICATED, "IAM_401");
    expect_mapping(401,
                   "{\"error\":{\"code\":401,\"message\":\"The username or password is "
                   "wrong.\",\"title\":\"Unauthorized\"}}",
                   BR_UNAUTHENTICATED, "IAM_401");
    expect_mapping(
        400,
        "{\"error\":{\"code\":400,\"message\":\"The request body is invalid\",\"title\":\"Bad Request\"}}",
        BR_INVALID_ARGUMENT, "IAM_400");
    expect_mapping(401, "{\"error\":{\"code\":\"EPS.0003\",\"message\":\"...\"}}", BR_UNAUTHENTICATED,
                   "EPS_0003");
    expect_mapping(400, "{\"error_msg\":\"m\",\"error_code\":\"IAM.0007\"}", BR_INVALID_ARGUMENT, "IAM_0007");
    expect_mapping(400, "{\"error_code\":\"1103\",\"error_msg\":\"Incorrect password.\"}", BR_UNAUTHENTICATED,
                   "IAM_LEGACY_1103");
    expect_mapping(400, "{\"error_code\":\"IAM.1103\",\"error_msg\":\"m\"}", BR_INVALID_ARGUMENT, "IAM_1103");
    expect_mapping(400, "{\"error_code\":\"ModelArts.0105\",\"error_message\":\"m\",\"is_success\":false}",
                   BR_INVALID_ARGUMENT, "MODELARTS_0105");
}

static void test_answer_vendor_code_overrides_the_status(void **state)
{
    (void)state;
    static const struct {
        int http;
        const char *vendor_code;
        enum br_code code;
        const char *reason;
    } cases[] = {
        {500, "ModelArts.3506", BR_NOT_FOUND, "MODELARTS_3506"},
        {500, "ModelArts.3505", BR_INTERNAL, "MODELARTS_3505"},
        {400, "ModelArts.3529", BR_NOT_FOUND, "MODELARTS_3529"},
        {404, "ModelArts.3502", BR_NOT_FOUND, "MODELARTS_3502"},
        {409, "ModelArts.3503", BR_ALREADY_EXISTS, "MODELARTS_3503"},
        {400, "ModelArts.3519", BR_FAILED_PRECONDITION, "MODELARTS_3519"},
        {400, "ModelArts.3540", BR_PERMISSION_DENIED, "MODELARTS_3540"},
        {400, "ModelArts.3952", BR_RESOURCE_EXHAUSTED, "MODELARTS_3952"},
        {400, "ModelArts.0118", BR_RESOURCE_EXHAUSTED, "MODELARTS_0118"},
        {400, "ModelArts.0210", BR_INVALID_ARGUMENT, "MODELARTS_0210"},
        {403, "ModelArts.0210", BR_PERMISSION_DENIED, "MODELARTS_0210"},
        {401, "ModelArts.0203", BR_UNAUTHENTICATED, "MODELARTS_0203"},
        {403, "ModelArts.0203", BR_PERMISSION_DENIED, "MODELARTS_0203"},
        {503, "ModelArts.4700", BR_UNAVAILABLE, "MODELARTS_4700"},
        {500, "ModelArts.4302", BR_INTERNAL, "MODELARTS_4302"},
        {405, "APIG.0501", BR_RESOURCE_EXHAUSTED, "APIG_0501"},
        {405, "APIGW.0502", BR_RESOURCE_EXHAUSTED, "APIG_0502"},
        {404, "APIGW.0101", BR_UNIMPLEMENTED, "APIG_0101"},
        {404, "APIGW.0103", BR_INTERNAL, "APIG_0103"},
        {494, "APIG.0201", BR_INVALID_ARGUMENT, "APIG_0201"},
        {502, "APIG.0201", BR_UNAVAILABLE, "APIG_0201"},
        {500, "APIG.0201", BR_INTERNAL, "APIG_0201"},
        {500, "ModelArts.3054", BR_NOT_FOUND, "MODELARTS_3054"},
        {500, "ModelArts.3901", BR_NOT_FOUND, "MODELARTS_3901"},
        {500, "ModelArts.3062", BR_ALREADY_EXISTS, "MODELARTS_3062"},
        {400, "ModelArts.3551", BR_NOT_FOUND, "MODELARTS_3551"},
        {400, "ModelArts.3554", BR_ALREADY_EXISTS, "MODELARTS_3554"},
        {500, "ModelArts.3055", BR_FAILED_PRECONDITION, "MODELARTS_3055"},
        {500, "ModelArts.3044", BR_INVALID_ARGUMENT, "MODELARTS_3044"},
        {500, "ModelArts.3049", BR_PERMISSION_DENIED, "MODELARTS_3049"},
        {500, "ModelArts.6200", BR_RESOURCE_EXHAUSTED, "MODELARTS_6200"},
        {400, "ModelArts.7006", BR_RESOURCE_EXHAUSTED, "MODELARTS_7006"},
        {400, "APIG.0201", BR_INVALID_ARGUMENT, "APIG_0201"},
        {413, "APIG.0201", BR_INVALID_ARGUMENT, "APIG_0201"},
        {414, "APIG.0201", BR_INVALID_ARGUMENT, "APIG_0201"},
        {504, "APIG.0201", BR_UNAVAILABLE, "APIG_0201"},
        {400, "APIG.2203", BR_UNAUTHENTICATED, "APIG_2203"},
        {400, "IAM.1109", BR_NOT_FOUND, "IAM_1109"},
        {400, "1109", BR_ALREADY_EXISTS, "IAM_LEGACY_1109"},
        {400, "1115", BR_RESOURCE_EXHAUSTED, "IAM_LEGACY_1115"},
        {409, "IAM.0005", BR_ABORTED, "IAM_0005"},
        {410, "IAM.0020", BR_UNAVAILABLE, "IAM_0020"},
        {400, "IAM.1105", BR_UNAUTHENTICATED, "IAM_1105"},
        /* Known, but under another status: the status decides. */
        {409, "ModelArts.3502", BR_ABORTED, "MODELARTS_3502"},
        /* Not known. */
        {403, "ModelArts.60600000", BR_PERMISSION_DENIED, "MODELARTS_60600000"},
        {500, "APIGW.9999", BR_INTERNAL, "APIG_9999"},
        {404, "modelarts.3502", BR_NOT_FOUND, "MODELARTS_3502"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"error_code\":\"%s\",\"error_msg\":\"m\"}",
                       cases[i].vendor_code);
        expect_mapping(cases[i].http, body, cases[i].code, cases[i].reason);
        struct br_error error = map(cases[i].http, body);
        assert_string_equal(metadata(&error, "error_code"), cases[i].vendor_code);
    }
}

static void test_answer_timeout_of_a_request_that_may_have_run_is_unknown(void **state)
{
    (void)state;
    static const struct {
        int http;
        const char *vendor_code;
    } cases[] = {
        {504, "APIG.0203"},      {504, "APIGW.0201"}, {504, "ModelArts.4503"},
        {408, "ModelArts.4205"}, {408, "X.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "{\"error_code\":\"%s\"}", cases[i].vendor_code);
        const struct answer answer = {.status = cases[i].http, .body = body, .retry_after = "5"};
        struct br_error error = map_for(&answer, &repeatable);
        assert_int_equal(error.st.code, BR_UNAVAILABLE);
        assert_int_equal(error.retry_after_ms, 5000);
        error = map_for(&answer, &once);
        assert_int_equal(error.st.code, BR_UNKNOWN);
        assert_int_equal(error.retry_after_ms, -1);
    }
    /* Refused before it ran. */
    const struct answer refused = {
        .status = 503, .body = "{\"error_code\":\"APIG.0613\"}", .retry_after = "5"};
    struct br_error error = map_for(&refused, &once);
    assert_int_equal(error.st.code, BR_UNAVAILABLE);
    assert_int_equal(error.retry_after_ms, 5000);
    const struct answer moved = {.status = 410, .body = "{\"error_code\":\"IAM.0020\"}"};
    error = map_for(&moved, &once);
    assert_int_equal(error.st.code, BR_UNAVAILABLE);
}

static void test_answer_code_that_gives_no_reason_is_kept_as_metadata(void **state)
{
    (void)state;
    struct br_error error = map(404, "{\"error_code\":\"!!\",\"error_msg\":\"gone\"}");
    expect_error(&error, BR_NOT_FOUND, "UPSTREAM_HTTP_ERROR", BR_DOMAIN_BRIDGE);
    assert_string_equal(metadata(&error, "error_code"), "!!");
    assert_string_equal(error.st.msg, "gone");
}

static void test_answer_redirect_is_unknown_whatever_it_says(void **state)
{
    (void)state;
    struct br_error error = map(302, "{\"error_code\":\"ModelArts.3502\",\"error_msg\":\"elsewhere\"}");
    expect_error(&error, BR_UNKNOWN, "UPSTREAM_REDIRECT", BR_DOMAIN_BRIDGE);
    assert_string_equal(error.st.msg, "ModelArts answered HTTP 302, a redirect, which is never followed");
}

static void expect_message(const struct answer *answer, const char *expected)
{
    struct br_error error = map_for(answer, &once);
    assert_string_equal(error.st.msg, expected);
}

static void test_answer_message_tells_what_came(void **state)
{
    (void)state;
    static const struct {
        struct answer answer;
        const char *message;
    } cases[] = {
        {{404, "{\"error_code\":\"ModelArts.3502\",\"error_msg\":\"Service x does not exist.\"}", NULL, NULL,
          NULL},
         "Service x does not exist."},
        {{502, "<html>secret</html>", "text/html; charset=utf-8", NULL, NULL},
         "ModelArts answered HTTP 502 with text/html, not with JSON"},
        {{502, "<html>secret</html>", NULL, NULL, NULL},
         "ModelArts answered HTTP 502 with a body that is not JSON"},
        {{500, "{\"error_code\"", "application/json;charset=UTF-8", NULL, NULL},
         "ModelArts answered HTTP 500 with a body that is not JSON"},
        {{503, "upstream connect error\r\n", "text/plain", NULL, NULL},
         "ModelArts answered HTTP 503: upstream connect error"},
        {{503, "two\nlines", "text/plain;charset=utf-8", NULL, NULL},
         "ModelArts answered HTTP 503: two lines"},
        {{503, " \r\n", "text/plain", NULL, NULL}, "ModelArts answered HTTP 503 without a body"},
        {{503, "", "text/html", NULL, NULL}, "ModelArts answered HTTP 503 without a body"},
        {{401, NULL, NULL, NULL, NULL}, "ModelArts answered HTTP 401 without a body"},
        {{500, "{}", "application/json", NULL, NULL},
         "ModelArts answered HTTP 500 with JSON that holds no message"},
        {{500, "{\"error_code\":\"ModelArts.0010\"}", "application/json", NULL, NULL},
         "ModelArts answered HTTP 500 with the error code ModelArts.0010 and no message"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_message(&cases[i].answer, cases[i].message);
}

static void test_answer_json_under_another_content_type_is_read(void **state)
{
    (void)state;
    const struct answer answer = {404, "{\"error_code\":\"ModelArts.3502\"}", "text/html", NULL, NULL};
    struct br_error error = map_for(&answer, &once);
    expect_error(&error, BR_NOT_FOUND, "MODELARTS_3502", BR_DOMAIN_MODELARTS);
    assert_null(metadata(&error, "content_type"));
}

static void test_answer_plain_text_is_quoted_up_to_its_limit(void **state)
{
    (void)state;
    char text[202];
    memset(text, 'a', sizeof text);
    text[201] = '\0';
    const struct answer answer = {500, text, "text/plain", NULL, NULL};
    expect_message(&answer, "ModelArts answered HTTP 500 with text/plain, not with JSON");
    text[200] = '\0';
    struct br_error error = map_for(&answer, &once);
    assert_non_null(strstr(error.st.msg, text));
}

static void test_answer_control_characters_become_spaces(void **state)
{
    (void)state;
    const struct answer answer = {
        500, "{\"error_code\":\"A\\nB\",\"error_msg\":\"a\\r\\nb\\u001b[31mc\\u007fd\\u009be\\u00a0f\"}",
        NULL, NULL, NULL};
    expect_message(&answer, "a  b [31mc d  e\xc2\xa0"
                            "f");
}

static void test_answer_long_chinese_message_is_cut_between_characters(void **state)
{
    (void)state;
    char body[8192] = "{\"error_msg\":\"";
    for (int i = 0; i < 600; i++)
        memcpy(body + strlen(body), "\xe6\x9c\x8d", 4);
    memcpy(body + strlen(body), "\"}", 3);
    struct br_error error = map(500, body);
    assert_int_equal(strlen(error.st.msg), 1023);
    assert_int_equal(br_utf8_valid_prefix(error.st.msg, 1023), 1023);
}

static void test_answer_metadata_tells_where_it_came_from(void **state)
{
    (void)state;
    struct br_error error = map(404, "{\"error_code\":\"APIGW.0101\"}");
    assert_int_equal(error.metadata_count, 2);
    assert_string_equal(metadata(&error, "http_status"), "404");
    assert_string_equal(metadata(&error, "error_code"), "APIGW.0101");

    const struct answer html = {502, "<html>", "text/html; charset=x", NULL, NULL};
    error = map_for(&html, &once);
    assert_int_equal(error.metadata_count, 2);
    assert_string_equal(metadata(&error, "content_type"), "text/html");

    const struct answer empty = {502, NULL, "text/html", NULL, NULL};
    error = map_for(&empty, &once);
    assert_int_equal(error.metadata_count, 1);

    const struct answer odd = {502, "x", "a\tb", NULL, NULL};
    error = map_for(&odd, &once);
    assert_string_equal(metadata(&error, "content_type"), "a");

    char long_type[100];
    memset(long_type, 't', sizeof long_type);
    long_type[99] = '\0';
    const struct answer wide = {502, "x", long_type, NULL, NULL};
    error = map_for(&wide, &once);
    assert_int_equal(strlen(metadata(&error, "content_type")), 64);
}

static void test_answer_cut_body_is_told(void **state)
{
    (void)state;
    const struct br_http_answer answer = {
        .status = 500, .body = "{\"error_code\":\"Model", .body_len = 20, .body_cut = true};
    struct br_error error;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &arena, &error);
    expect_sane(&error);
    expect_error(&error, BR_INTERNAL, "UPSTREAM_HTTP_ERROR", BR_DOMAIN_BRIDGE);
    assert_string_equal(metadata(&error, "body_cut"), "true");
    assert_string_equal(error.st.msg, "ModelArts answered HTTP 500 with a body that is too long to be read");
}

static void test_answer_cut_body_that_is_json_by_chance_is_not_read(void **state)
{
    (void)state;
    static const char body[] = "{\"error_code\":\"ModelArts.3506\"}";
    struct br_http_answer answer = {
        .status = 500, .body = body, .body_len = sizeof body - 1, .body_cut = true};
    struct br_error error;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &arena, &error);
    expect_error(&error, BR_INTERNAL, "UPSTREAM_HTTP_ERROR", BR_DOMAIN_BRIDGE);
    assert_null(metadata(&error, "error_code"));
    answer.body_cut = false;
    br_error_from_answer(&answer, &once, NULL, NOW_S, &arena, &error);
    expect_error(&error, BR_NOT_FOUND, "MODELARTS_3506", BR_DOMAIN_MODELARTS);
}

static void test_answer_request_id_of_the_body_comes_first(void **state)
{
    (void)state;
    static const char with_id[] = "{\"error_code\":\"APIG.0101\",\"request_id\":\"of-body\"}";
    const struct answer both = {404, with_id, NULL, "of-header", NULL};
    assert_string_equal(map_for(&both, &once).request_id, "of-body");
    const struct answer header = {404, "<html>", NULL, "of-header", NULL};
    assert_string_equal(map_for(&header, &once).request_id, "of-header");
    const struct answer bad_body = {404, "{\"code\":\"C.1\",\"request_id\":\"\\u0007\"}", NULL, "of-header",
                                    NULL};
    assert_string_equal(map_for(&bad_body, &once).request_id, "of-header");
    const struct answer bad_header = {404, "{}", NULL, "of\nheader", NULL};
    assert_null(map_for(&bad_header, &once).request_id);
    const struct answer none = {404, "{}", NULL, NULL, NULL};
    assert_null(map_for(&none, &once).request_id);

    char longest[130];
    memset(longest, 'r', sizeof longest);
    longest[129] = '\0';
    const struct answer cut = {404, "{}", NULL, longest, NULL};
    assert_int_equal(strlen(map_for(&cut, &once).request_id), 128);
    longest[128] = '\0';
    assert_string_equal(map_for(&cut, &once).request_id, longest);
}

static void test_answer_retry_after_becomes_retry_info(void **state)
{
    (void)state;
    static const char throttled[] = "{\"error_code\":\"APIGW.0308\",\"error_msg\":\"m\"}";
    const struct answer seconds = {429, throttled, NULL, NULL, "60"};
    struct br_error error = map_for(&seconds, &once);
    expect_error(&error, BR_RESOURCE_EXHAUSTED, "APIG_0308", BR_DOMAIN_MODELARTS);
    assert_int_equal(error.retry_after_ms, 60000);
    const struct answer date = {429, throttled, NULL, NULL, "Sun, 06 Nov 1994 08:49:47 GMT"};
    assert_int_equal(map_for(&date, &once).retry_after_ms, 10000);
    const struct answer garbage = {429, throttled, NULL, NULL, "soon"};
    assert_int_equal(map_for(&garbage, &once).retry_after_ms, -1);
    const struct answer none = {429, throttled, NULL, NULL, NULL};
    assert_int_equal(map_for(&none, &once).retry_after_ms, -1);
    const struct answer redirect = {301, NULL, NULL, NULL, "60"};
    assert_int_equal(map_for(&redirect, &once).retry_after_ms, -1);
}

static void test_answer_each_compiled_row_is_followed(void **state)
{
    (void)state;
    for (size_t i = 0; i < br_error_table_count; i++) {
        const struct br_error_row *row = &br_error_table[i];
        char body[128];
        (void)snprintf(body, sizeof body, "{\"error_code\":\"%s\"}", row->vendor_code);
        struct br_error error = map(row->http, body);
        expect_error(&error, row->code, row->reason, BR_DOMAIN_MODELARTS);
        assert_int_equal(error.detail, row->detail);
        assert_ptr_equal(error.resource_type, row->resource_type);
    }
}

/* Source: the documents' error tables. A code with several meanings has one for each status. */
static void test_answer_code_under_several_statuses_means_each_its_own(void **state)
{
    (void)state;
    static const struct {
        int http;
        const char *digits;
        enum br_code code;
    } cases[] = {
        {401, "0112", BR_PERMISSION_DENIED}, {403, "0112", BR_PERMISSION_DENIED},
        {401, "0203", BR_UNAUTHENTICATED},   {403, "0203", BR_PERMISSION_DENIED},
        {400, "0204", BR_UNAUTHENTICATED},   {401, "0204", BR_UNAUTHENTICATED},
        {401, "0206", BR_UNAUTHENTICATED},   {403, "0206", BR_PERMISSION_DENIED},
        {400, "0210", BR_INVALID_ARGUMENT},  {401, "0210", BR_UNAUTHENTICATED},
        {403, "0210", BR_PERMISSION_DENIED}, {400, "0428", BR_INTERNAL},
        {401, "0428", BR_PERMISSION_DENIED}, {401, "3801", BR_UNAUTHENTICATED},
        {500, "3801", BR_UNAUTHENTICATED},   {400, "4105", BR_INVALID_ARGUMENT},
        {500, "4105", BR_INTERNAL},          {400, "4106", BR_PERMISSION_DENIED},
        {500, "4106", BR_INTERNAL},          {400, "4201", BR_INVALID_ARGUMENT},
        {401, "4201", BR_UNAUTHENTICATED},   {400, "4203", BR_FAILED_PRECONDITION},
        {401, "4203", BR_PERMISSION_DENIED}, {400, "4204", BR_PERMISSION_DENIED},
        {404, "4204", BR_UNIMPLEMENTED},     {500, "4204", BR_INTERNAL},
        {400, "4205", BR_INVALID_ARGUMENT},  {408, "4205", BR_UNAVAILABLE},
        {400, "4301", BR_NOT_FOUND},         {500, "4301", BR_INTERNAL},
        {500, "4302", BR_INTERNAL},          {503, "4302", BR_UNAVAILABLE},
        {400, "4503", BR_INTERNAL},          {500, "4503", BR_NOT_FOUND},
        {504, "4503", BR_UNAVAILABLE},       {401, "4505", BR_PERMISSION_DENIED},
        {500, "4505", BR_INTERNAL},          {400, "4506", BR_NOT_FOUND},
        {401, "4506", BR_UNAUTHENTICATED},   {400, "4700", BR_NOT_FOUND},
        {503, "4700", BR_UNAVAILABLE},       {400, "4801", BR_NOT_FOUND},
        {500, "4801", BR_INTERNAL},          {401, "4901", BR_INTERNAL},
        {404, "4901", BR_NOT_FOUND},         {400, "4902", BR_PERMISSION_DENIED},
        {400, "4904", BR_PERMISSION_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[64];
        char reason[32];
        (void)snprintf(body, sizeof body, "{\"error_code\":\"ModelArts.%s\"}", cases[i].digits);
        (void)snprintf(reason, sizeof reason, "MODELARTS_%s", cases[i].digits);
        expect_mapping(cases[i].http, body, cases[i].code, reason);
    }
}

static void test_answer_row_says_which_detail(void **state)
{
    (void)state;
    struct br_error error = map(404, "{\"error_code\":\"ModelArts.3502\"}");
    assert_int_equal(error.detail, BR_DETAIL_RESOURCE);
    assert_string_equal(error.resource_type, "modelarts.Service");
    error = map(500, "{\"error_code\":\"ModelArts.3506\"}");
    assert_string_equal(error.resource_type, "modelarts.Model");
    error = map(409, "{\"error_code\":\"ModelArts.3503\"}");
    assert_string_equal(error.resource_type, "modelarts.Service");
    error = map(400, "{\"error_code\":\"ModelArts.3522\"}");
    assert_int_equal(error.detail, BR_DETAIL_QUOTA);
    error = map(400, "{\"error_code\":\"ModelArts.3519\"}");
    assert_int_equal(error.detail, BR_DETAIL_PRECONDITION);
    assert_null(error.resource_type);
    /* Another status, or no code. */
    error = map(400, "{\"error_code\":\"ModelArts.3502\"}");
    assert_int_equal(error.detail, BR_DETAIL_NONE);
    error = map(404, "{}");
    assert_int_equal(error.detail, BR_DETAIL_NONE);
    error = map(429, "{\"error_code\":\"APIG.0308\"}");
    assert_int_equal(error.detail, BR_DETAIL_NONE);
}

static void test_answer_own_rows_come_first(void **state)
{
    (void)state;
    static const char text[] = "http\tcode\tgrpc\treason\tsource\tdetail\n"
                               "404\tModelArts.3502\tFAILED_PRECONDITION\tSERVICE_GONE\tours\tprecondition\n"
                               "504\tEPS.0003\tUNAVAILABLE\tEPS_SLOW\tours\t-\n";
    struct br_error_table table;
    struct br_status st;
    assert_true(br_error_table_parse(text, sizeof text - 1, &table, &st));
    static const char replaced[] = "{\"error_code\":\"ModelArts.3502\"}";
    struct br_http_answer answer = {.status = 404, .body = replaced, .body_len = sizeof replaced - 1};
    struct br_error error;
    br_error_from_answer(&answer, &once, &table, NOW_S, &arena, &error);
    expect_sane(&error);
    expect_error(&error, BR_FAILED_PRECONDITION, "SERVICE_GONE", BR_DOMAIN_MODELARTS);
    assert_int_equal(error.detail, BR_DETAIL_PRECONDITION);

    /* What may have been executed invites no repeat, whatever the row says. */
    static const char added[] = "{\"error_code\":\"EPS.0003\"}";
    answer = (struct br_http_answer){.status = 504, .body = added, .body_len = sizeof added - 1};
    br_error_from_answer(&answer, &once, &table, NOW_S, &arena, &error);
    expect_error(&error, BR_UNKNOWN, "EPS_SLOW", BR_DOMAIN_MODELARTS);
    br_error_from_answer(&answer, &repeatable, &table, NOW_S, &arena, &error);
    expect_error(&error, BR_UNAVAILABLE, "EPS_SLOW", BR_DOMAIN_MODELARTS);
    br_error_table_finish(&table);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, start_arena, finish_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_answer_without_code_follows_the_status),
        CASE(test_answer_status_out_of_range_is_never_ok),
        CASE(test_answer_golden_bodies_get_their_code),
        CASE(test_answer_vendor_code_overrides_the_status),
        CASE(test_answer_timeout_of_a_request_that_may_have_run_is_unknown),
        CASE(test_answer_code_that_gives_no_reason_is_kept_as_metadata),
        CASE(test_answer_redirect_is_unknown_whatever_it_says),
        CASE(test_answer_message_tells_what_came),
        CASE(test_answer_json_under_another_content_type_is_read),
        CASE(test_answer_plain_text_is_quoted_up_to_its_limit),
        CASE(test_answer_control_characters_become_spaces),
        CASE(test_answer_long_chinese_message_is_cut_between_characters),
        CASE(test_answer_metadata_tells_where_it_came_from),
        CASE(test_answer_cut_body_is_told),
        CASE(test_answer_cut_body_that_is_json_by_chance_is_not_read),
        CASE(test_answer_request_id_of_the_body_comes_first),
        CASE(test_answer_retry_after_becomes_retry_info),
        CASE(test_answer_each_compiled_row_is_followed),
        CASE(test_answer_code_under_several_statuses_means_each_its_own),
        CASE(test_answer_row_says_which_detail),
        CASE(test_answer_own_rows_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
