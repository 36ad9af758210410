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

#include "cmd/status_details.h"

#define DETAILS_MAX 8

/* A google.rpc.Status that is put together detail by detail. */
struct built {
    Google__Protobuf__Any any[DETAILS_MAX];
    Google__Protobuf__Any *list[DETAILS_MAX];
    char urls[DETAILS_MAX][80];
    size_t count;
};

static Google__Protobuf__Any *add_any(struct built *built, const char *name)
{
    Google__Protobuf__Any *any = &built->any[built->count];
    google__protobuf__any__init(any);
    (void)snprintf(built->urls[built->count], sizeof built->urls[0], "type.googleapis.com/%s", name);
    any->type_url = built->urls[built->count];
    any->has_value = true;
    built->list[built->count++] = any;
    return any;
}

static void add_detail(struct built *built, const ProtobufCMessage *detail)
{
    Google__Protobuf__Any *any = add_any(built, detail->descriptor->name);
    any->value.len = protobuf_c_message_get_packed_size(detail);
    any->value.data = malloc(any->value.len + 1);
    assert_non_null(any->value.data);
    (void)protobuf_c_message_pack(detail, any->value.data);
}

static void add_bytes(struct built *built, const char *name, const char *bytes, size_t len)
{
    Google__Protobuf__Any *any = add_any(built, name);
    any->value.len = len;
    any->value.data = malloc(len + 1);
    assert_non_null(any->value.data);
    memcpy(any->value.data, bytes, len);
}

/* Packs |built| and releases it; the caller frees the bytes. */
static uint8_t *pack_status(struct built *built, size_t *len)
{
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.n_details = built->count;
    status.details = built->list;
    *len = google__rpc__status__get_packed_size(&status);
    uint8_t *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    (void)google__rpc__status__pack(&status, bytes);
    for (size_t i = 0; i < built->count; i++)
        free(built->any[i].value.data);
    return bytes;
}

static void check(struct built *built, const char *expected)
{
    size_t len;
    uint8_t *bytes = pack_status(built, &len);
    struct br_buf out;
    br_buf_init(&out, 4096);
    assert_int_equal(br_status_details_text(&out, bytes, len), BR_BUF_OK);
    assert_string_equal(out.data != NULL ? out.data : "", expected);
    br_buf_finish(&out);
    free(bytes);
}

static void test_text_error_info_has_reason_and_metadata(void **state)
{
    (void)state;
    Google__Rpc__ErrorInfo__MetadataEntry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry empty = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&entry, &empty};
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    entry.key = (char *)(uintptr_t) "http_status";
    entry.value = (char *)(uintptr_t) "404";
    info.reason = (char *)(uintptr_t) "MODELARTS_3502";
    info.domain = (char *)(uintptr_t) "modelarts.myhuaweicloud.com";
    info.n_metadata = 2;
    info.metadata = entries;
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, "reason: MODELARTS_3502 (modelarts.myhuaweicloud.com)\nhttp_status: 404\n: \n");
}

static void test_text_error_info_without_domain_has_no_brackets(void **state)
{
    (void)state;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = (char *)(uintptr_t) "X_Y";
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, "reason: X_Y\n");
}

static void test_text_request_info_has_the_id(void **state)
{
    (void)state;
    Google__Rpc__RequestInfo info = GOOGLE__RPC__REQUEST_INFO__INIT;
    info.request_id = (char *)(uintptr_t) "0123";
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, "request id: 0123\n");
}

static void check_retry(int64_t seconds, int32_t nanos, const char *expected)
{
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo info = GOOGLE__RPC__RETRY_INFO__INIT;
    delay.has_seconds = delay.has_nanos = true;
    delay.seconds = seconds;
    delay.nanos = nanos;
    info.retry_delay = &delay;
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, expected);
}

static void test_text_retry_info_shows_the_delay(void **state)
{
    (void)state;
    check_retry(2, 0, "retry after: 2s\n");
    check_retry(0, 500000000, "retry after: 0.5s\n");
    check_retry(1, 1, "retry after: 1.000000001s\n");
    check_retry(1, 999999999, "retry after: 1.999999999s\n");
    check_retry(INT64_MAX, INT32_MAX, "retry after: 9.223372036854776e+18s\n");
    check_retry(-1, -500000000, "retry after: -1.5s\n");
    Google__Rpc__RetryInfo info = GOOGLE__RPC__RETRY_INFO__INIT;
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, "");
}

static void test_text_bad_request_has_a_line_for_each_violation(void **state)
{
    (void)state;
    Google__Rpc__BadRequest__FieldViolation field = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation whole = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = {&field, &whole};
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    field.field = (char *)(uintptr_t) "service_id";
    field.description = (char *)(uintptr_t) "must not be empty";
    whole.description = (char *)(uintptr_t) "is wrong";
    bad.n_field_violations = 2;
    bad.field_violations = violations;
    struct built built = {0};
    add_detail(&built, &bad.base);
    check(&built, "field service_id: must not be empty\nrequest: is wrong\n");
}

static void test_text_other_known_details_have_their_lines(void **state)
{
    (void)state;
    struct built built = {0};
    Google__Rpc__QuotaFailure__Violation over = GOOGLE__RPC__QUOTA_FAILURE__VIOLATION__INIT;
    Google__Rpc__QuotaFailure__Violation *overs[] = {&over};
    Google__Rpc__QuotaFailure quota = GOOGLE__RPC__QUOTA_FAILURE__INIT;
    over.subject = (char *)(uintptr_t) "project:p";
    over.description = (char *)(uintptr_t) "used up";
    quota.n_violations = 1;
    quota.violations = overs;
    add_detail(&built, &quota.base);

    Google__Rpc__PreconditionFailure__Violation unmet = GOOGLE__RPC__PRECONDITION_FAILURE__VIOLATION__INIT;
    Google__Rpc__PreconditionFailure__Violation *unmets[] = {&unmet};
    Google__Rpc__PreconditionFailure precondition = GOOGLE__RPC__PRECONDITION_FAILURE__INIT;
    unmet.type = (char *)(uintptr_t) "STATE";
    unmet.subject = (char *)(uintptr_t) "service/s";
    unmet.description = (char *)(uintptr_t) "not running";
    precondition.n_violations = 1;
    precondition.violations = unmets;
    add_detail(&built, &precondition.base);

    Google__Rpc__ResourceInfo resource = GOOGLE__RPC__RESOURCE_INFO__INIT;
    resource.resource_type = (char *)(uintptr_t) "service";
    resource.resource_name = (char *)(uintptr_t) "s";
    resource.owner = (char *)(uintptr_t) "me";
    resource.description = (char *)(uintptr_t) "gone";
    add_detail(&built, &resource.base);

    Google__Rpc__Help__Link link = GOOGLE__RPC__HELP__LINK__INIT;
    Google__Rpc__Help__Link *links[] = {&link};
    Google__Rpc__Help help = GOOGLE__RPC__HELP__INIT;
    link.description = (char *)(uintptr_t) "The page";
    link.url = (char *)(uintptr_t) "https://example.com";
    help.n_links = 1;
    help.links = links;
    add_detail(&built, &help.base);

    check(&built, "quota project:p: used up\nprecondition STATE service/s: not running\n"
                  "resource service s of me: gone\nhelp: The page https://example.com\n");
}

static void test_text_details_that_are_not_known_show_their_type(void **state)
{
    (void)state;
    struct built built = {0};
    add_bytes(&built, "google.rpc.LocalizedMessage", "\x0A\x01x", 3);
    /* A known type whose bytes are not it: a length that runs over the end. */
    add_bytes(&built, "google.rpc.ErrorInfo", "\x0A\x7Fx", 3);
    add_bytes(&built, "a\x1B[2J", "", 0);
    Google__Protobuf__Any *any = add_any(&built, "");
    any->type_url = (char *)(uintptr_t) "google.rpc.ErrorInfo";
    any = add_any(&built, "");
    any->type_url = NULL;
    check(&built, "detail: type.googleapis.com/google.rpc.LocalizedMessage (3 bytes)\n"
                  "detail: type.googleapis.com/google.rpc.ErrorInfo (3 bytes)\n"
                  "detail: type.googleapis.com/a\\u001b[2J (0 bytes)\n"
                  "detail: google.rpc.ErrorInfo (0 bytes)\n"
                  "detail:  (0 bytes)\n");
}

static void test_text_control_characters_of_the_server_are_escaped(void **state)
{
    (void)state;
    Google__Rpc__RequestInfo info = GOOGLE__RPC__REQUEST_INFO__INIT;
    info.request_id = (char *)(uintptr_t) "a\nreason: FORGED\x1B]0;x\x07\xFF";
    struct built built = {0};
    add_detail(&built, &info.base);
    check(&built, "request id: a\\nreason: FORGED\\u001b]0;x\\u0007\\xff\n");
}

static void test_text_bytes_that_are_no_status_are_said_to_be_so(void **state)
{
    (void)state;
    struct br_buf out;
    br_buf_init(&out, 1024);
    assert_int_equal(br_status_details_text(&out, (const uint8_t *)"\x1A\x7F", 2), BR_BUF_OK);
    assert_string_equal(out.data, "details: 2 bytes that are no google.rpc.Status\n");
    br_buf_finish(&out);
}

static void test_text_every_cut_and_every_ceiling_is_survived(void **state)
{
    (void)state;
    Google__Rpc__ErrorInfo__MetadataEntry entry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = {&entry};
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    entry.key = (char *)(uintptr_t) "k";
    entry.value = (char *)(uintptr_t) "v";
    info.reason = (char *)(uintptr_t) "R";
    info.domain = (char *)(uintptr_t) "d";
    info.n_metadata = 1;
    info.metadata = entries;
    struct built built = {0};
    add_detail(&built, &info.base);
    add_bytes(&built, "x", "y", 1);
    size_t len;
    uint8_t *bytes = pack_status(&built, &len);
    size_t full = 0;
    for (size_t cut = 0; cut <= len; cut++) {
        struct br_buf out;
        br_buf_init(&out, 1024);
        /* A copy of that length lets a sanitizer see a read beyond it. */
        uint8_t *part = malloc(cut + (cut == 0));
        assert_non_null(part);
        memcpy(part, bytes, cut);
        assert_int_equal(br_status_details_text(&out, part, cut), BR_BUF_OK);
        full = out.len;
        free(part);
        br_buf_finish(&out);
    }
    for (size_t ceiling = 0; ceiling <= full; ceiling++) {
        struct br_buf out;
        br_buf_init(&out, ceiling);
        assert_int_equal(br_status_details_text(&out, bytes, len), ceiling < full ? BR_BUF_FULL : BR_BUF_OK);
        br_buf_finish(&out);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_error_info_has_reason_and_metadata),
        cmocka_unit_test(test_text_error_info_without_domain_has_no_brackets),
        cmocka_unit_test(test_text_request_info_has_the_id),
        cmocka_unit_test(test_text_retry_info_shows_the_delay),
        cmocka_unit_test(test_text_bad_request_has_a_line_for_each_violation),
        cmocka_unit_test(test_text_other_known_details_have_their_lines),
        cmocka_unit_test(test_text_details_that_are_not_known_show_their_type),
        cmocka_unit_test(test_text_control_characters_of_the_server_are_escaped),
        cmocka_unit_test(test_text_bytes_that_are_no_status_are_said_to_be_so),
        cmocka_unit_test(test_text_every_cut_and_every_ceiling_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
