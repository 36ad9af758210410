#include "translate/error.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (1 << 20)

/* An encoded error, read back. */
struct decoded {
    size_t len;
    bool cut;
    Google__Rpc__Status *status;
    Google__Rpc__ErrorInfo *error_info;
    Google__Rpc__BadRequest *bad_request;
    Google__Rpc__RequestInfo *request_info;
    Google__Rpc__RetryInfo *retry_info;
    Google__Rpc__QuotaFailure *quota_failure;
    Google__Rpc__PreconditionFailure *precondition_failure;
    Google__Rpc__ResourceInfo *resource_info;
};

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor,
                                const ProtobufCBinaryData *value)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, value->len, value->data);
    assert_non_null(message);
    return message;
}

static void decode_details(struct decoded *out)
{
    for (size_t i = 0; i < out->status->n_details; i++) {
        const Google__Protobuf__Any *any = out->status->details[i];
        const char *name = strrchr(any->type_url, '/') + 1;
        assert_memory_equal(any->type_url, "type.googleapis.com/", strlen("type.googleapis.com/"));
        if (strcmp(name, "google.rpc.ErrorInfo") == 0) {
            assert_null(out->error_info);
            out->error_info = (void *)unpack(&google__rpc__error_info__descriptor, &any->value);
        } else if (strcmp(name, "google.rpc.BadRequest") == 0) {
            assert_null(out->bad_request);
            out->bad_request = (void *)unpack(&google__rpc__bad_request__descriptor, &any->value);
        } else if (strcmp(name, "google.rpc.RequestInfo") == 0) {
            assert_null(out->request_info);
            out->request_info = (void *)unpack(&google__rpc__request_info__descriptor, &any->value);
        } else if (strcmp(name, "google.rpc.QuotaFailure") == 0) {
            assert_null(out->quota_failure);
            out->quota_failure = (void *)unpack(&google__rpc__quota_failure__descriptor, &any->value);
        } else if (strcmp(name, "google.rpc.PreconditionFailure") == 0) {
            assert_null(out->precondition_failure);
            out->precondition_failure =
                (void *)unpack(&google__rpc__precondition_failure__descriptor, &any->value);
        } else if (strcmp(name, "google.rpc.ResourceInfo") == 0) {
            assert_null(out->resource_info);
            out->resource_info = (void *)unpack(&google__rpc__resource_info__descriptor, &any->value);
        } else {
            assert_string_equal(name, "google.rpc.RetryInfo");
            assert_null(out->retry_info);
            out->retry_info = (void *)unpack(&google__rpc__retry_info__descriptor, &any->value);
        }
    }
}

static size_t trailer_bytes(const struct decoded *decoded)
{
    size_t size = 512 + (decoded->len + 2) / 3 * 4;
    for (const unsigned char *c = (const unsigned char *)decoded->status->message; *c != '\0'; c++)
        size += *c < 0x20 || *c > 0x7e || *c == '%' ? 3 : 1;
    return size;
}

static void expect_utf8(const char *text)
{
    assert_int_equal(br_utf8_valid_prefix(text, strlen(text)), strlen(text));
}

/* Encodes |error|, checks what must hold of any, and reads it back; release with decoded_finish(). */
static struct decoded encode(const struct br_error *error)
{
    struct br_arena arena;
    br_arena_init(&arena, ARENA_BYTES);
    uint8_t *bytes = NULL;
    struct decoded decoded = {.cut = false};
    assert_true(br_error_encode(error, &arena, &bytes, &decoded.len, &decoded.cut));
    decoded.status = google__rpc__status__unpack(NULL, decoded.len, bytes);
    assert_non_null(decoded.status);
    br_arena_finish(&arena);
    decode_details(&decoded);

    assert_int_equal(decoded.status->code, error->st.code);
    assert_true(trailer_bytes(&decoded) <= BR_TRAILER_BUDGET_BYTES);
    expect_utf8(decoded.status->message);
    if (decoded.bad_request != NULL) {
        assert_true(decoded.bad_request->n_field_violations > 0);
        for (size_t i = 0; i < decoded.bad_request->n_field_violations; i++) {
            expect_utf8(decoded.bad_request->field_violations[i]->field);
            expect_utf8(decoded.bad_request->field_violations[i]->description);
        }
    }
    return decoded;
}

static void free_message(void *message)
{
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
}

static void decoded_finish(struct decoded *decoded)
{
    free_message(decoded->status);
    free_message(decoded->error_info);
    free_message(decoded->bad_request);
    free_message(decoded->request_info);
    free_message(decoded->retry_info);
    free_message(decoded->quota_failure);
    free_message(decoded->precondition_failure);
    free_message(decoded->resource_info);
}

static struct br_error make_error(void)
{
    struct br_error error;
    br_error_init(&error);
    br_status_set(&error.st, BR_NOT_FOUND, "MODELARTS_3502", "Service x does not exist.");
    return error;
}

/* |count| times |piece|; release with free(). */
static char *repeat(const char *piece, size_t count)
{
    size_t len = strlen(piece);
    char *text = malloc(len * count + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + len * i, piece, len);
    text[len * count] = '\0';
    return text;
}

static void test_error_init_is_ok_without_details(void **state)
{
    (void)state;
    struct br_error error;
    memset(&error, 0xff, sizeof error);
    br_error_init(&error);
    assert_int_equal(error.st.code, BR_OK);
    assert_null(error.st.reason);
    assert_string_equal(error.st.msg, "");
    assert_string_equal(error.domain, BR_DOMAIN_BRIDGE);
    assert_int_equal(error.metadata_count, 0);
    assert_null(error.violations);
    assert_null(error.request_id);
    assert_int_equal(error.retry_after_ms, -1);
    assert_int_equal(error.detail, BR_DETAIL_NONE);
    assert_null(error.resource_type);
}

static void test_error_add_metadata_full_table_ignores_more(void **state)
{
    (void)state;
    struct br_error error = make_error();
    br_error_add_metadata(&error, "none", NULL);
    assert_int_equal(error.metadata_count, 0);
    for (size_t i = 0; i < BR_ERROR_METADATA_MAX; i++) {
        br_error_add_metadata(&error, "key", "value");
        assert_int_equal(error.metadata_count, i + 1);
    }
    br_error_add_metadata(&error, "more", "value");
    assert_int_equal(error.metadata_count, BR_ERROR_METADATA_MAX);
    assert_string_equal(error.metadata[BR_ERROR_METADATA_MAX - 1].name, "key");
}

static void test_error_encode_everything_reads_back(void **state)
{
    (void)state;
    struct br_error error = make_error();
    error.domain = BR_DOMAIN_MODELARTS;
    br_error_add_metadata(&error, "http_status", "404");
    br_error_add_metadata(&error, "error_code", "ModelArts.3502");
    struct br_violations violations = {
        .items = {{"config[0].weight", "101 is above 100"}, {"", "two things exclude each other"}},
        .count = 2,
        .total_count = 2,
    };
    error.violations = &violations;
    error.request_id = "71f2993bb44fa789d3a61b8b6201ba95";
    error.retry_after_ms = 61500;

    struct decoded decoded = encode(&error);
    assert_false(decoded.cut);
    assert_int_equal(decoded.status->n_details, 4);
    assert_int_equal(decoded.status->code, 5);
    assert_string_equal(decoded.status->message, "Service x does not exist.");
    assert_string_equal(decoded.error_info->reason, "MODELARTS_3502");
    assert_string_equal(decoded.error_info->domain, "modelarts.myhuaweicloud.com");
    assert_int_equal(decoded.error_info->n_metadata, 2);
    assert_string_equal(decoded.error_info->metadata[0]->key, "http_status");
    assert_string_equal(decoded.error_info->metadata[0]->value, "404");
    assert_string_equal(decoded.error_info->metadata[1]->key, "error_code");
    assert_string_equal(decoded.error_info->metadata[1]->value, "ModelArts.3502");
    assert_int_equal(decoded.bad_request->n_field_violations, 2);
    assert_string_equal(decoded.bad_request->field_violations[0]->field, "config[0].weight");
    assert_string_equal(decoded.bad_request->field_violations[0]->description, "101 is above 100");
    assert_string_equal(decoded.bad_request->field_violations[1]->field, "");
    assert_string_equal(decoded.request_info->request_id, "71f2993bb44fa789d3a61b8b6201ba95");
    assert_int_equal(decoded.retry_info->retry_delay->seconds, 61);
    assert_int_equal(decoded.retry_info->retry_delay->nanos, 500000000);
    decoded_finish(&decoded);
}

static void test_error_encode_what_is_not_set_is_left_out(void **state)
{
    (void)state;
    struct br_error error = make_error();
    struct br_violations none = {.count = 0};
    error.violations = &none;
    struct decoded decoded = encode(&error);
    assert_false(decoded.cut);
    assert_int_equal(decoded.status->n_details, 1);
    assert_non_null(decoded.error_info);
    assert_int_equal(decoded.error_info->n_metadata, 0);
    decoded_finish(&decoded);

    error.retry_after_ms = 0;
    decoded = encode(&error);
    assert_int_equal(decoded.status->n_details, 2);
    assert_int_equal(decoded.retry_info->retry_delay->seconds, 0);
    decoded_finish(&decoded);
}

static void test_error_encode_detail_of_the_row_reads_back(void **state)
{
    (void)state;
    struct br_error error = make_error();
    error.detail = BR_DETAIL_RESOURCE;
    error.resource_type = "modelarts.Service";
    struct decoded decoded = encode(&error);
    assert_int_equal(decoded.status->n_details, 2);
    assert_string_equal(decoded.resource_info->resource_type, "modelarts.Service");
    assert_null(decoded.resource_info->resource_name);
    decoded_finish(&decoded);

    error.detail = BR_DETAIL_QUOTA;
    decoded = encode(&error);
    assert_int_equal(decoded.status->n_details, 2);
    assert_int_equal(decoded.quota_failure->n_violations, 1);
    assert_null(decoded.quota_failure->violations[0]->subject);
    assert_string_equal(decoded.quota_failure->violations[0]->description, "Service x does not exist.");
    decoded_finish(&decoded);

    error.detail = BR_DETAIL_PRECONDITION;
    decoded = encode(&error);
    assert_int_equal(decoded.status->n_details, 2);
    assert_int_equal(decoded.precondition_failure->n_violations, 1);
    assert_string_equal(decoded.precondition_failure->violations[0]->type, "MODELARTS_3502");
    assert_null(decoded.precondition_failure->violations[0]->subject);
    assert_string_equal(decoded.precondition_failure->violations[0]->description,
                        "Service x does not exist.");
    decoded_finish(&decoded);
}

static void test_error_encode_at_the_budget_is_whole_and_above_is_cut(void **state)
{
    (void)state;
    struct br_error error = make_error();
    struct br_violations violations = {.count = 2, .total_count = 2};
    violations.items[0] = (struct br_violation){"first", "short"};
    error.violations = &violations;
    size_t largest = 0;
    bool was_cut = false;
    for (size_t len = 4000; len < 6000; len++) {
        char *text = repeat("a", len);
        violations.items[1] = (struct br_violation){"second", text};
        struct decoded decoded = encode(&error);
        if (!decoded.cut) {
            assert_false(was_cut);
            assert_int_equal(decoded.bad_request->n_field_violations, 2);
            largest = trailer_bytes(&decoded);
        } else {
            was_cut = true;
            assert_int_equal(decoded.bad_request->n_field_violations, 1);
            assert_string_equal(decoded.bad_request->field_violations[0]->field, "first");
        }
        decoded_finish(&decoded);
        free(text);
    }
    assert_true(was_cut);
    /* base64 grows by four. */
    assert_true(largest > BR_TRAILER_BUDGET_BYTES - 4);
}

static void test_error_encode_percent_in_the_message_counts_three(void **state)
{
    (void)state;
    struct br_violations violations = {.count = 1, .total_count = 1};
    char *text = repeat("a", 2000);
    violations.items[0] = (struct br_violation){"field", text};
    struct br_error error = make_error();
    error.violations = &violations;
    memset(error.st.msg, 'a', BR_STATUS_MSG_CAP - 1);
    error.st.msg[BR_STATUS_MSG_CAP - 1] = '\0';
    struct decoded decoded = encode(&error);
    assert_false(decoded.cut);
    decoded_finish(&decoded);

    memset(error.st.msg, '%', BR_STATUS_MSG_CAP - 1);
    decoded = encode(&error);
    assert_true(decoded.cut);
    assert_null(decoded.bad_request);
    decoded_finish(&decoded);
    free(text);
}

static void test_error_encode_many_violations_keeps_the_first_that_fit(void **state)
{
    (void)state;
    char *text = repeat("\xe6\x9c\x8d", 60);
    struct br_violations violations = {.count = BR_VIOLATIONS_MAX, .total_count = 1000};
    for (size_t i = 0; i < BR_VIOLATIONS_MAX; i++)
        violations.items[i] = (struct br_violation){i == 0 ? "first" : "field", text};
    struct br_error error = make_error();
    error.violations = &violations;
    error.request_id = "r";
    error.retry_after_ms = 1;
    br_error_add_metadata(&error, "http_status", "400");
    struct decoded decoded = encode(&error);
    assert_true(decoded.cut);
    assert_int_equal(decoded.status->n_details, 4);
    size_t kept = decoded.bad_request->n_field_violations;
    assert_true(kept > 10 && kept < BR_VIOLATIONS_MAX);
    assert_string_equal(decoded.bad_request->field_violations[0]->field, "first");
    /* One more would not have fitted. */
    assert_true(trailer_bytes(&decoded) + 190 * 4 / 3 > BR_TRAILER_BUDGET_BYTES);
    decoded_finish(&decoded);
    free(text);
}

static void test_error_encode_drops_in_the_fixed_order(void **state)
{
    (void)state;
    char *huge = repeat("h", 20000);
    struct br_violations violations = {.items = {{"field", "text"}}, .count = 1, .total_count = 1};
    struct br_error error = make_error();
    error.violations = &violations;
    error.retry_after_ms = 1000;
    br_error_add_metadata(&error, "small", "1");

    error.request_id = "r";
    error.detail = BR_DETAIL_RESOURCE;
    error.resource_type = huge;
    struct decoded decoded = encode(&error);
    assert_true(decoded.cut);
    assert_null(decoded.bad_request);
    assert_null(decoded.resource_info);
    assert_non_null(decoded.request_info);
    decoded_finish(&decoded);

    /* A longer list alone costs violations, not the detail. */
    char *long_text = repeat("v", 6000);
    violations.items[0].description = long_text;
    error.resource_type = "modelarts.Service";
    decoded = encode(&error);
    assert_true(decoded.cut);
    assert_null(decoded.bad_request);
    assert_non_null(decoded.resource_info);
    decoded_finish(&decoded);
    violations.items[0].description = "text";
    free(long_text);

    error.request_id = huge;
    decoded = encode(&error);
    assert_true(decoded.cut);
    assert_null(decoded.bad_request);
    assert_null(decoded.resource_info);
    assert_null(decoded.request_info);
    assert_non_null(decoded.retry_info);
    assert_int_equal(decoded.error_info->n_metadata, 1);
    decoded_finish(&decoded);

    error.request_id = "r";
    br_error_add_metadata(&error, "huge", huge);
    br_error_add_metadata(&error, "last", "2");
    decoded = encode(&error);
    assert_true(decoded.cut);
    assert_null(decoded.request_info);
    assert_null(decoded.retry_info);
    assert_int_equal(decoded.error_info->n_metadata, 1);
    assert_string_equal(decoded.error_info->metadata[0]->key, "small");
    decoded_finish(&decoded);

    error.st.reason = huge;
    decoded = encode(&error);
    assert_true(decoded.cut);
    assert_int_equal(decoded.status->n_details, 0);
    assert_string_equal(decoded.status->message, "Service x does not exist.");
    decoded_finish(&decoded);
    free(huge);
}

static void test_error_encode_longest_chinese_message_keeps_error_info(void **state)
{
    (void)state;
    char *text = repeat("\xe6\x9c\x8d", 400);
    struct br_violations violations = {.count = BR_VIOLATIONS_MAX, .total_count = BR_VIOLATIONS_MAX};
    for (size_t i = 0; i < BR_VIOLATIONS_MAX; i++)
        violations.items[i] = (struct br_violation){text, text};
    struct br_error error;
    br_error_init(&error);
    br_status_set(&error.st, BR_INVALID_ARGUMENT, "VALIDATION_FAILED", "%s", text);
    assert_true(strlen(error.st.msg) > BR_STATUS_MSG_CAP - 4);
    error.violations = &violations;
    br_error_add_metadata(&error, "http_status", "400");
    struct decoded decoded = encode(&error);
    assert_true(decoded.cut);
    assert_string_equal(decoded.status->message, error.st.msg);
    assert_string_equal(decoded.error_info->reason, "VALIDATION_FAILED");
    assert_int_equal(decoded.error_info->n_metadata, 1);
    decoded_finish(&decoded);
    free(text);
}

static void test_error_encode_longest_chinese_message_fits_with_its_quota(void **state)
{
    (void)state;
    char *text = repeat("\xe6\x9c\x8d", 400);
    struct br_error error;
    br_error_init(&error);
    br_status_set(&error.st, BR_RESOURCE_EXHAUSTED, "MODELARTS_3522", "%s", text);
    error.domain = BR_DOMAIN_MODELARTS;
    error.detail = BR_DETAIL_QUOTA;
    error.request_id = "71f2993bb44fa789d3a61b8b6201ba95";
    br_error_add_metadata(&error, "http_status", "400");
    br_error_add_metadata(&error, "error_code", "ModelArts.3522");
    struct decoded decoded = encode(&error);
    assert_false(decoded.cut);
    assert_string_equal(decoded.quota_failure->violations[0]->description, error.st.msg);
    decoded_finish(&decoded);
    free(text);
}

static void test_error_encode_text_that_is_not_utf8_is_cut_before_it(void **state)
{
    (void)state;
    struct br_error error = make_error();
    struct br_violations violations = {.items = {{"env\xff", "ok \xe6\x9c"}}, .count = 1, .total_count = 1};
    error.violations = &violations;
    error.request_id = "id\x80";
    br_error_add_metadata(&error, "key", "\xc0\xaf");
    struct decoded decoded = encode(&error);
    assert_string_equal(decoded.bad_request->field_violations[0]->field, "env");
    assert_string_equal(decoded.bad_request->field_violations[0]->description, "ok ");
    assert_string_equal(decoded.request_info->request_id, "id");
    assert_string_equal(decoded.error_info->metadata[0]->value, "");
    decoded_finish(&decoded);
}

/* A repeatable source of sizes. Source: Knuth's constants of a linear congruential generator. */
static uint64_t next_number(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void test_error_encode_any_sizes_fit_and_decode(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "%", "\xe6\x9c\x8d", "\xf0\x9f\x92\xa5", "\x01", "\xff"};
    uint64_t seed = 1;
    for (int round = 0; round < 500; round++) {
        char *texts[5];
        for (size_t i = 0; i < 5; i++) {
            uint64_t scale = next_number(&seed) % 12;
            texts[i] =
                repeat(pieces[next_number(&seed) % 6], next_number(&seed) % ((UINT64_C(1) << scale) + 1));
        }
        struct br_violations violations = {.count = next_number(&seed) % (BR_VIOLATIONS_MAX + 1)};
        for (size_t i = 0; i < violations.count; i++)
            violations.items[i] = (struct br_violation){texts[i % 2], texts[(i + 1) % 2]};
        struct br_error error;
        br_error_init(&error);
        br_status_set(&error.st, (enum br_code)(1 + next_number(&seed) % 16), "SOME_REASON", "%s", texts[2]);
        error.violations = &violations;
        error.request_id = round % 2 == 0 ? texts[3] : NULL;
        error.retry_after_ms = round % 3 == 0 ? (int64_t)next_number(&seed) : -1;
        error.detail = (enum br_error_detail)(next_number(&seed) % 4);
        error.resource_type = texts[4];
        for (uint64_t i = next_number(&seed) % 10; i > 0; i--)
            br_error_add_metadata(&error, "key", texts[4]);
        struct decoded decoded = encode(&error);
        assert_non_null(decoded.error_info);
        decoded_finish(&decoded);
        for (size_t i = 0; i < 5; i++)
            free(texts[i]);
    }
}

static void test_error_encode_without_memory_fails_and_writes_nothing(void **state)
{
    (void)state;
    struct br_error error = make_error();
    error.request_id = "r";
    bool done = false;
    for (size_t limit = 0; !done; limit++) {
        struct br_arena arena;
        br_arena_init(&arena, limit);
        uint8_t *bytes = NULL;
        size_t len = 17;
        bool cut = true;
        done = br_error_encode(&error, &arena, &bytes, &len, &cut);
        if (!done) {
            assert_null(bytes);
            assert_int_equal(len, 17);
            assert_true(cut);
            assert_true(limit < 4096);
        } else {
            assert_true(limit > len);
        }
        br_arena_finish(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_init_is_ok_without_details),
        cmocka_unit_test(test_error_add_metadata_full_table_ignores_more),
        cmocka_unit_test(test_error_encode_everything_reads_back),
        cmocka_unit_test(test_error_encode_what_is_not_set_is_left_out),
        cmocka_unit_test(test_error_encode_detail_of_the_row_reads_back),
        cmocka_unit_test(test_error_encode_at_the_budget_is_whole_and_above_is_cut),
        cmocka_unit_test(test_error_encode_percent_in_the_message_counts_three),
        cmocka_unit_test(test_error_encode_many_violations_keeps_the_first_that_fit),
        cmocka_unit_test(test_error_encode_drops_in_the_fixed_order),
        cmocka_unit_test(test_error_encode_longest_chinese_message_keeps_error_info),
        cmocka_unit_test(test_error_encode_longest_chinese_message_fits_with_its_quota),
        cmocka_unit_test(test_error_encode_text_that_is_not_utf8_is_cut_before_it),
        cmocka_unit_test(test_error_encode_any_sizes_fit_and_decode),
        cmocka_unit_test(test_error_encode_without_memory_fails_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
