#include "translate/vendor_body.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a body must give; a text that is left out must be empty. */
struct expected {
    const char *body;
    const char *code;
    const char *message;
    const char *request_id;
    bool not_json;
};

static void expect_text(const char *what, const char *body, const char *actual, const char *expected)
{
    if (strcmp(actual, expected != NULL ? expected : "") != 0)
        fail_msg("%s of %s is '%s', not '%s'", what, body, actual, expected != NULL ? expected : "");
}

static void expect_body(const struct expected *expected)
{
    /* Memory of just this size, so that a read past the end is seen. */
    size_t len = strlen(expected->body);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, expected->body, len);
    struct br_vendor_body body;
    br_vendor_body_read(copy, len, &body);
    free(copy);
    assert_int_equal(body.is_json, !expected->not_json);
    expect_text("code", expected->body, body.code, expected->code);
    expect_text("message", expected->body, body.message, expected->message);
    expect_text("request id", expected->body, body.request_id, expected->request_id);
}

#define EXPECT_BODIES(cases)                                      \
    do {                                                          \
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) \
            expect_body(&cases[i]);                               \
    } while (0)

static void test_body_read_published_shapes_are_understood(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"{\"error_code\":\"ModelArts.0203\",\"error_msg\":\"Invalid token.\"}", "ModelArts.0203",
         "Invalid token.", NULL, false},
        {"{\n  \"error_code\" : \"ModelArts.0203\",\n  \"error_msg\" : \"Invalid token.\"\n}\n",
         "ModelArts.0203", "Invalid token.", NULL, false},
        {"{\"error_code\":\"ModelArts.7000\",\"error_msg\":\"Server ... type is BMS, does not support detach "
         "volume "
         "device.\"}",
         "ModelArts.7000", "Server ... type is BMS, does not support detach volume device.", NULL, false},
        {"{\"error_code\":\"ModelArts.6404\",\"error_msg\":\"LiteServer instance '...' not found.\"}",
         "ModelArts.6404", "LiteServer instance '...' not found.", NULL, false},
        {"{\"error_msg\":\"Incorrect IAM authentication information: ak ... not "
         "exist\",\"error_code\":\"APIGW.0301\",\"request_id\":\"8080d377bffeb6d519b0567c09cebe6b\"}",
         "APIGW.0301", "Incorrect IAM authentication information: ak ... not exist",
         "8080d377bffeb6d519b0567c09cebe6b", false},
        {"{\"error_code\":\"APIG.0101\",\"error_msg\":\"API does not exist or is not published in the "
         "environment.\",\"request_id\":\"acbc548a...\"}",
         "APIG.0101", "API does not exist or is not published in the environment.", "acbc548a...", false},
        {"{\"error\": {\"message\": \"Unauthorized.\", \"code\": 401, \"title\": \"Unauthorized\"}}", "401",
         "Unauthorized.", NULL, false},
        {"{\"error\":{\"code\":401,\"message\":\"The username or password is "
         "wrong.\",\"title\":\"Unauthorized\"}}",
         "401", "The username or password is wrong.", NULL, false},
        {"{\"error\":{\"code\":400,\"message\":\"The request body is invalid\",\"title\":\"Bad Request\"}}",
         "400", "The request body is invalid", NULL, false},
        {"{\"error\":{\"code\":\"EPS.0003\",\"message\":\"...\"}}", "EPS.0003", "...", NULL, false},
        {"{\"error_msg\":\"Request parameter x is invalid.\",\"error_code\":\"IAM.0007\"}", "IAM.0007",
         "Request parameter x is invalid.", NULL, false},
        {"{\"is_success\":false,\"error_code\":\"ModelArts.0105\",\"error_message\":\"no\"}",
         "ModelArts.0105", "no", NULL, false},
        {"{\"error_code\":\"ModelArts.81113\",\"error_msg\":\"m\",\"solution_msg\":\"s\","
         "\"encoded_authorization_message\":\"e\",\"request_id\":\"r\"}",
         "ModelArts.81113", "m", "r", false},
        {"{\"errorCode\":\"X.1\",\"errorMsg\":\"m\"}", "X.1", "m", NULL, false},
        {"{\"code\":\"1103\",\"message\":\"Incorrect password.\"}", "1103", "Incorrect password.", NULL,
         false},
    };
    EXPECT_BODIES(cases);
}

static void test_body_read_several_spellings_takes_the_first(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"{\"code\":\"C.3\",\"message\":\"three\",\"errorCode\":\"C.2\",\"errorMsg\":\"two\",\"error_code\":"
         "\"C.1\","
         "\"error_msg\":\"one\"}",
         "C.1", "one", NULL, false},
        {"{\"code\":\"C.3\",\"message\":\"three\",\"errorCode\":\"C.2\",\"errorMsg\":\"two\"}", "C.2", "two",
         NULL, false},
        {"{\"error\":{\"error_code\":\"C.1\",\"error_msg\":\"inner\"},\"code\":\"C.3\",\"message\":"
         "\"outer\"}",
         "C.3", "outer", NULL, false},
        {"{\"error_msg\":\"first\",\"error_message\":\"second\",\"error_code\":\"C.1\"}", "C.1", "first",
         NULL, false},
        {"{\"error_code\":\"C.1\",\"error_code\":\"C.2\"}", "C.1", NULL, NULL, false},
    };
    EXPECT_BODIES(cases);
}

static void test_body_read_unusable_values_are_passed_over(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"{\"error_code\":null,\"error_msg\":7,\"error\":{\"code\":\"C.1\",\"message\":\"m\"}}", "C.1", "m",
         NULL, false},
        {"{\"error_code\":\"\",\"errorCode\":{},\"code\":\"C.1\"}", "C.1", NULL, NULL, false},
        {"{\"error_code\":\"C.1\",\"error\":{\"message\":\"elsewhere\"}}", "C.1", "elsewhere", NULL, false},
        {"{\"error_msg\":\"only text\"}", NULL, "only text", NULL, false},
        {"{\"message\":\"only text\",\"request_id\":\"r\"}", NULL, "only text", "r", false},
        {"{\"request_id\":\"outer\",\"error\":{\"code\":\"C.1\"}}", "C.1", NULL, "outer", false},
        {"{\"request_id\":\"outer\",\"error\":{\"code\":\"C.1\",\"request_id\":\"inner\"}}", "C.1", NULL,
         "inner", false},
        {"{\"error_code\":\"C.1\",\"request_id\":17}", "C.1", NULL, NULL, false},
        {"{\"error_code\":\"C.1\",\"request_id\":\"a\\nb\"}", "C.1", NULL, NULL, false},
        {"{\"error_code\":\"C.1\",\"request_id\":\"\xe8\xaf\xb7\"}", "C.1", NULL, NULL, false},
        {"{\"ERROR_CODE\":\"C.1\"}", NULL, NULL, NULL, false},
        {"[{\"error_code\":\"C.1\",\"error_msg\":\"in a list\"}]", "C.1", "in a list", NULL, false},
        {"{\"error\":null}", NULL, NULL, NULL, false},
        {"{\"error\":\"text\"}", NULL, NULL, NULL, false},
        {"{}", NULL, NULL, NULL, false},
        {"[]", NULL, NULL, NULL, false},
        {"17", NULL, NULL, NULL, false},
        {"null", NULL, NULL, NULL, false},
        {"\"ModelArts.3502\"", NULL, NULL, NULL, false},
    };
    EXPECT_BODIES(cases);
}

static void test_body_read_numeric_codes_are_whole_and_not_negative(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"{\"code\":17}", "17", NULL, NULL, false},
        {"{\"code\":0}", "0", NULL, NULL, false},
        {"{\"code\":4.01e2}", "401", NULL, NULL, false},
        {"{\"code\":9007199254740991}", "9007199254740991", NULL, NULL, false},
        {"{\"code\":9007199254740992}", NULL, NULL, NULL, false},
        {"{\"code\":1e300}", NULL, NULL, NULL, false},
        {"{\"code\":-1}", NULL, NULL, NULL, false},
        {"{\"code\":17.5}", NULL, NULL, NULL, false},
        {"{\"code\":true}", NULL, NULL, NULL, false},
    };
    EXPECT_BODIES(cases);
}

static void test_body_read_not_json_is_empty(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {"", NULL, NULL, NULL, true},
        {" ", NULL, NULL, NULL, true},
        {"upstream connect error", NULL, NULL, NULL, true},
        {"<html><body>502 Bad Gateway</body></html>", NULL, NULL, NULL, true},
        {"{\"error_code\":\"C.1\"", NULL, NULL, NULL, true},
        {"{\"error_code\":\"C.1\"} x", NULL, NULL, NULL, true},
        {"{\"error_code\":\"C.1\xff\"}", NULL, NULL, NULL, true},
        {"{\"error_code\":\"C.1\\u0000\"}", NULL, NULL, NULL, true},
        {"{\"error_code\":\"C.1\",\"error_msg\":\"\\ud800\"}", NULL, NULL, NULL, true},
    };
    EXPECT_BODIES(cases);
    struct br_vendor_body body;
    br_vendor_body_read(NULL, 0, &body);
    assert_false(body.is_json);
    assert_string_equal(body.code, "");
}

/* A body with a string of |count| times |piece| as the value of |key|; release with free(). */
static char *make_body(const char *key, const char *piece, size_t count)
{
    size_t piece_len = strlen(piece);
    size_t cap = strlen(key) + piece_len * count + sizeof "{\"\":\"\"}";
    char *body = malloc(cap);
    assert_non_null(body);
    char *end = body + snprintf(body, cap, "{\"%s\":\"", key);
    for (size_t i = 0; i < count; i++, end += piece_len)
        memcpy(end, piece, piece_len);
    memcpy(end, "\"}", sizeof "\"}");
    return body;
}

static void test_body_read_code_at_its_limit_is_cut(void **state)
{
    (void)state;
    for (size_t len = 63; len <= 65; len++) {
        char *text = make_body("error_code", "a", len);
        struct br_vendor_body body;
        br_vendor_body_read(text, strlen(text), &body);
        assert_int_equal(strlen(body.code), len < 64 ? len : 64);
        free(text);
    }
    char *text = make_body("error_code", "\xe9\x94\x99", 22);
    struct br_vendor_body body;
    br_vendor_body_read(text, strlen(text), &body);
    assert_int_equal(strlen(body.code), 63);
    free(text);
}

static void test_body_read_message_at_its_limit_is_cut_between_characters(void **state)
{
    (void)state;
    struct br_vendor_body body;
    char *text = make_body("error_msg", "a", BR_STATUS_MSG_CAP - 1);
    br_vendor_body_read(text, strlen(text), &body);
    assert_int_equal(strlen(body.message), BR_STATUS_MSG_CAP - 1);
    free(text);

    text = make_body("error_msg", "a", BR_STATUS_MSG_CAP);
    br_vendor_body_read(text, strlen(text), &body);
    assert_int_equal(strlen(body.message), BR_STATUS_MSG_CAP - 1);
    free(text);

    text = make_body("error_msg", "\xf0\x9f\x92\xa5", BR_STATUS_MSG_CAP);
    br_vendor_body_read(text, strlen(text), &body);
    assert_int_equal(strlen(body.message), 1020);
    free(text);
}

static void test_body_read_request_id_at_its_limit_is_cut(void **state)
{
    (void)state;
    for (size_t len = 127; len <= 129; len++) {
        char *text = make_body("request_id", "r", len);
        struct br_vendor_body body;
        br_vendor_body_read(text, strlen(text), &body);
        assert_int_equal(strlen(body.request_id), len < 128 ? len : 128);
        free(text);
    }
}

/* Twice the size takes about twice the time; a quadratic reader would take hours for this. */
static void test_body_read_ten_megabytes_are_read(void **state)
{
    (void)state;
    struct br_vendor_body body;
    char *chinese = make_body("error_msg", "\xe6\x9c\x8d", (10 << 20) / 3);
    size_t len = strlen(chinese);
    br_vendor_body_read(chinese, len, &body);
    assert_true(body.is_json);
    assert_int_equal(strlen(body.message), BR_STATUS_MSG_CAP - 1);
    assert_int_equal(strlen(body.message) % 3, 0);

    /* The code stands after the text. */
    static const char end[] = "\",\"error_code\":\"ModelArts.3502\"}";
    char *whole = malloc(len + sizeof end);
    assert_non_null(whole);
    memcpy(whole, chinese, len - 2);
    memcpy(whole + len - 2, end, sizeof end);
    br_vendor_body_read(whole, strlen(whole), &body);
    assert_string_equal(body.code, "ModelArts.3502");
    free(whole);
    free(chinese);

    char *escapes = make_body("error_msg", "\\u670d", (10 << 20) / 6);
    br_vendor_body_read(escapes, strlen(escapes), &body);
    assert_int_equal(strlen(body.message), BR_STATUS_MSG_CAP - 1);
    free(escapes);

    char *id = make_body("request_id", "r", 10 << 20);
    br_vendor_body_read(id, strlen(id), &body);
    assert_int_equal(strlen(body.request_id), BR_REQUEST_ID_CAP - 1);
    free(id);
}

/* An object of |count| members "k": {}, with a code in the last one; release with free(). */
static char *make_wide(size_t count)
{
    static const char member[] = "\"k\":{},";
    static const char last[] = "\"error\":{\"code\":\"C.1\"}}";
    char *text = malloc(1 + count * (sizeof member - 1) + sizeof last);
    assert_non_null(text);
    char *end = text;
    *end++ = '{';
    for (size_t i = 0; i < count; i++, end += sizeof member - 1)
        memcpy(end, member, sizeof member - 1);
    memcpy(end, last, sizeof last);
    return text;
}

static void test_body_read_many_objects_are_searched(void **state)
{
    (void)state;
    struct br_vendor_body body;
    char *text = make_wide(900000);
    br_vendor_body_read(text, strlen(text), &body);
    assert_string_equal(body.code, "C.1");
    free(text);
    text = make_wide(1000000);
    br_vendor_body_read(text, strlen(text), &body);
    assert_false(body.is_json);
    assert_string_equal(body.code, "");
    free(text);
}

static void test_body_read_deep_nesting_is_read_or_refused(void **state)
{
    (void)state;
    static const char inner[] = "{\"code\":\"C.1\"}";
    for (size_t depth = 1; depth < 20000; depth *= 2) {
        size_t len = 0;
        char *text = malloc(2 * depth + sizeof inner);
        assert_non_null(text);
        memset(text, '[', depth);
        len += depth;
        memcpy(text + len, inner, sizeof inner - 1);
        len += sizeof inner - 1;
        memset(text + len, ']', depth);
        len += depth;
        struct br_vendor_body body;
        br_vendor_body_read(text, len, &body);
        assert_int_equal(body.is_json, depth < 64);
        assert_string_equal(body.code, depth < 64 ? "C.1" : "");
        free(text);
    }
}

static void test_body_read_each_prefix_is_survived(void **state)
{
    (void)state;
    static const char whole[] = "{\"error\":{\"code\":\"EPS.0003\",\"message\":\"\xe9\x94\x99\\u8bef\\n\"},"
                                "\"request_id\":\"8080d377\",\"list\":[1,2.5e3,null,true,{}]}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, whole, len);
        struct br_vendor_body body;
        br_vendor_body_read(copy, len, &body);
        assert_false(body.is_json);
        assert_false(body.no_memory);
        assert_string_equal(body.code, "");
        free(copy);
    }
    struct br_vendor_body body;
    br_vendor_body_read(whole, sizeof whole - 1, &body);
    assert_string_equal(body.code, "EPS.0003");
    assert_string_equal(body.message, "\xe9\x94\x99\xe8\xaf\xaf\n");
}

static void *fail_malloc(size_t size)
{
    (void)size;
    return NULL;
}

static void test_body_read_without_memory_is_empty(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {.malloc_fn = fail_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    struct br_vendor_body body;
    static const char text[] = "{\"error_code\":\"C.1\"}";
    br_vendor_body_read(text, sizeof text - 1, &body);
    cJSON_InitHooks(NULL);
    assert_false(body.is_json);
    assert_true(body.no_memory);
    assert_string_equal(body.code, "");
}

static void test_request_id_copy_takes_printable_ascii_only(void **state)
{
    (void)state;
    char out[BR_REQUEST_ID_CAP];
    br_request_id_copy("71f2993bb44fa789d3a61b8b6201ba95", out);
    assert_string_equal(out, "71f2993bb44fa789d3a61b8b6201ba95");
    br_request_id_copy("", out);
    assert_string_equal(out, "");
    br_request_id_copy("a\x7f", out);
    assert_string_equal(out, "");
    br_request_id_copy("a\r\nb", out);
    assert_string_equal(out, "");
    br_request_id_copy(" ~", out);
    assert_string_equal(out, " ~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_read_published_shapes_are_understood),
        cmocka_unit_test(test_body_read_several_spellings_takes_the_first),
        cmocka_unit_test(test_body_read_unusable_values_are_passed_over),
        cmocka_unit_test(test_body_read_numeric_codes_are_whole_and_not_negative),
        cmocka_unit_test(test_body_read_not_json_is_empty),
        cmocka_unit_test(test_body_read_code_at_its_limit_is_cut),
        cmocka_unit_test(test_body_read_message_at_its_limit_is_cut_between_characters),
        cmocka_unit_test(test_body_read_request_id_at_its_limit_is_cut),
        cmocka_unit_test(test_body_read_ten_megabytes_are_read),
        cmocka_unit_test(test_body_read_many_objects_are_searched),
        cmocka_unit_test(test_body_read_deep_nesting_is_read_or_refused),
        cmocka_unit_test(test_body_read_each_prefix_is_survived),
        cmocka_unit_test(test_body_read_without_memory_is_empty),
        cmocka_unit_test(test_request_id_copy_takes_printable_ascii_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
