/*
 * The small parsers: of headers, of what the bridge answers itself, of an operator's table, of numbers and addresses.
 *
 * Input: a letter that says which, then what it is given.
 */
#include "fuzz.h"

#include "base/address.h"
#include "base/parse.h"
#include "base/wire.h"
#include "cmd/upstream_url.h"
#include "serve/forward.h"
#include "serve/health_service.h"
#include "serve/reflection.h"
#include "serve/trace_context.h"
#include "translate/json_scan.h"

#include <grpc/health/v1/health.pb-c.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(void *bytes, size_t len)
{
    memset(bytes, 0xAB, len);
}

/* ---- What comes with a call ---- */

static void check_traceparent(const char *text)
{
    assert(strlen(text) == BR_TRACEPARENT_LEN);
    assert(strspn(text, "0123456789abcdef-") == BR_TRACEPARENT_LEN);
    assert(strncmp(text, "00-", 3) == 0 && strncmp(text + 36, "abababababababab", 16) == 0);
}

/* Lines in turn: a traceparent, a tracestate. */
static void run_trace(struct fuzz_input *input)
{
    char *parent = fuzz_part(input, '\n', NULL);
    char *state = fuzz_part(input, '\n', NULL);
    struct br_header items[] = {{"tracestate", state}, {"x-other", "1"}, {"traceparent", parent}};
    struct br_headers headers = {.items = items, .count = 3};
    struct br_trace_context out;
    br_trace_context_continue(&headers, fill, &out);
    if (out.traceparent[0] != '\0') {
        check_traceparent(out.traceparent);
        assert(headers.count == 3 && br_headers_find(&headers, "traceparent") == out.traceparent);
        assert(strncmp(parent + 3, out.trace_id, BR_TRACE_ID_LEN) == 0);
    } else {
        assert(headers.count == 1 && out.trace_id[0] == '\0' && out.span_id[0] == '\0');
    }
    free(state);
    free(parent);
}

/* Lines in turn: a key, its value. */
static void run_metadata(struct fuzz_input *input)
{
    static const char *allowed[] = {"x-allowed"};
    const struct br_forward forward = {.metadata = {.items = allowed, .count = 1}};
    struct br_metadatum metadata[16];
    char *texts[32];
    size_t count = 0;
    for (; count < 16 && input->at < input->end; count++) {
        texts[2 * count] = fuzz_part(input, '\n', &metadata[count].key_len);
        texts[2 * count + 1] = fuzz_part(input, '\n', &metadata[count].value_len);
        metadata[count].key = texts[2 * count];
        metadata[count].value = texts[2 * count + 1];
    }
    struct br_arena arena;
    struct br_headers out;
    struct br_status st;
    br_arena_init(&arena, (size_t)1 << 20);
    if (br_forward_metadata(&forward, metadata, count, &arena, &out, &st)) {
        assert(out.count <= count);
        for (size_t i = 0; i < out.count; i++) {
            for (const char *c = out.items[i].value; *c != '\0'; c++) {
                assert(*c >= ' ' && *c <= '~');
            }
        }
    } else {
        fuzz_check_status(&st);
    }
    br_arena_finish(&arena);
    for (size_t i = 0; i < 2 * count; i++) {
        free(texts[i]);
    }
}

/* ---- What is answered in the process ---- */

static struct br_reflection reflection;

static void destroy_index(void)
{
    br_file_index_destroy((struct br_file_index *)(uintptr_t)reflection.files);
}

/*
 * The reply has the request as it came, and one answer. Record by record, since protobuf-c refuses a known field of
 * another wire type, which for others is an unknown one.
 */
static void check_reply(const uint8_t *at, size_t reply_len, const uint8_t *request, size_t len)
{
    size_t answer_count = 0;
    size_t request_count = 0;
    for (const uint8_t *end = at + reply_len; at < end;) {
        struct br_wire_record record;
        assert(br_wire_read(at, end, &record) == NULL && record.wire_type == BR_WIRE_LENGTH);
        if (record.number == 2) {
            request_count++;
            assert(record.len == len && memcmp(record.payload, request, len) == 0);
        } else if (record.number >= 4 && record.number <= 7) {
            answer_count++;
        } else {
            assert(record.number == 1);
        }
        at = record.payload + record.len;
    }
    assert(request_count == 1 && answer_count == 1);
}

static void run_reflection(struct fuzz_input *input)
{
    struct br_status st;
    struct br_buf reply;
    if (reflection.files == NULL) {
        struct br_file_index *files;
        assert(br_file_index_create(&br_schema_linked, &files, &st));
        reflection = (struct br_reflection){.schema = &br_schema_linked, .files = files};
        (void)atexit(destroy_index);
    }
    br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
    size_t len = (size_t)(input->end - input->at);
    if (br_reflection_answer(&reflection, input->at, len, &reply, &st)) {
        check_reply((const uint8_t *)reply.data, reply.len, input->at, len);
    } else {
        fuzz_check_status(&st);
    }
    br_buf_finish(&reply);
}

static struct br_health *health;

static void destroy_health(void)
{
    br_health_destroy(health);
}

static void run_health(struct fuzz_input *input)
{
    struct br_local_handler handlers[BR_HEALTH_SERVICE_METHODS];
    struct br_status st;
    if (health == NULL) {
        health = br_health_create(fuzz_contract());
        assert(health != NULL);
        br_health_set_started(health);
        (void)atexit(destroy_health);
    }
    br_health_service_handlers(health, handlers);
    for (size_t i = 0; i < BR_HEALTH_SERVICE_METHODS; i++) {
        struct br_buf reply;
        br_buf_init(&reply, BR_LOCAL_MAX_REPLY_BYTES);
        if (handlers[i].answer(handlers[i].context, input->at, (size_t)(input->end - input->at), &reply,
                               &st)) {
            Grpc__Health__V1__HealthCheckResponse *response =
                grpc__health__v1__health_check_response__unpack(NULL, reply.len, (const uint8_t *)reply.data);
            assert(response != NULL && response->has_status);
            /* Nothing here stops serving: a name is served or unknown. */
            assert((int)response->status == BR_HEALTH_SERVING ||
                   (i == 1 && (int)response->status == BR_HEALTH_SERVICE_UNKNOWN));
            grpc__health__v1__health_check_response__free_unpacked(response, NULL);
        } else {
            fuzz_check_status(&st);
        }
        br_buf_finish(&reply);
    }
}

/* ---- What an operator gives ---- */

static void run_error_table(struct fuzz_input *input)
{
    struct br_error_table table;
    struct br_status st;
    if (!br_error_table_parse((const char *)input->at, (size_t)(input->end - input->at), &table, &st)) {
        fuzz_check_status(&st);
        return;
    }
    for (size_t i = 0; i < table.count; i++) {
        const struct br_error_row *row = &table.rows[i];
        assert(row->http >= 400 && row->http <= 599);
        assert(row->code != BR_OK && row->code != BR_DEADLINE_EXCEEDED);
        assert((row->detail == BR_DETAIL_RESOURCE) == (row->resource_type != NULL));
        assert(i == 0 || br_error_row_compare(&table.rows[i - 1], row) < 0);
        assert(br_error_table_find(&table, row->http, row->vendor_code) == row);
        struct br_error error;
        struct br_arena arena;
        br_arena_init(&arena, (size_t)1 << 20);
        br_error_init(&error);
        (void)br_status_set(&error.st, row->code, row->reason, "text");
        error.detail = row->detail;
        error.resource_type = row->resource_type;
        fuzz_check_error(&error, &arena);
        br_arena_finish(&arena);
    }
    br_error_table_finish(&table);
}

static void run_number(const char *text, size_t len)
{
    char again[400];
    int64_t whole;
    uint64_t natural;
    double real;
    if (br_parse_int64(text, len, &whole)) {
        (void)snprintf(again, sizeof again, "%" PRId64, whole);
        /* But for leading zeros, and a zero with a sign. */
        assert(strcmp(text, again) == 0 || strspn(text, "-") <= 1);
        assert(br_parse_int64(again, strlen(again), &whole));
    }
    if (br_parse_uint64(text, len, &natural)) {
        assert(strspn(text, "0123456789") == len);
        assert(br_parse_double(text, len, &real) || text[0] == '0');
    }
    if (br_parse_double(text, len, &real)) {
        assert(isfinite(real));
        /* The scanner's numbers are no longer than cJSON can read. */
        if (len <= BR_JSON_NUMBER_MAX_CHARS) {
            fuzz_check_json(text, len);
        }
    }
}

static void run_quantity(const char *text)
{
    int64_t duration_ms;
    uint64_t size_bytes;
    bool is_duration = br_parse_duration_ms(text, &duration_ms);
    bool is_size = br_parse_size_bytes(text, &size_bytes);
    assert(!is_duration || !is_size);
    assert(!is_duration || (duration_ms >= 0 && duration_ms <= INT32_MAX));
    assert(!is_size || size_bytes <= (uint64_t)1 << 40);
}

static void run_address(const char *text)
{
    char host[BR_ADDRESS_HOST_CAP];
    bool is_valid = br_address_is_valid(text, 0);
    assert(is_valid || !br_address_is_valid(text, 1));
    const char *path = br_address_unix_path(text);
    const char *port = br_address_split(text, host);
    assert(!is_valid || path != NULL || port != NULL);
    assert(port == NULL || (port > text && port <= text + strlen(text) && strlen(host) < sizeof host));
}

static void run_url(const char *text)
{
    struct br_upstream_url url;
    struct br_upstream_url again;
    struct br_status st;
    if (!br_upstream_url_read(text, &url, &st)) {
        fuzz_check_status(&st);
        return;
    }
    size_t len = strlen(url.base);
    assert(strncmp(url.base, "http://", 7) == 0 || strncmp(url.base, "https://", 8) == 0);
    assert(url.base[len - 1] != '/' && strpbrk(url.base, "?#@\\ ") == NULL);
    assert(strncmp(url.base, url.origin, strlen(url.origin)) == 0);
    for (size_t i = 0; i < len; i++) {
        assert(url.base[i] > ' ' && url.base[i] <= '~');
    }
    /* What it was put into is a form of its own. */
    assert(br_upstream_url_read(url.base, &again, &st));
    assert(strcmp(url.base, again.base) == 0 && strcmp(url.origin, again.origin) == 0);
    assert(url.is_exposed == again.is_exposed);
}

static void run_text(uint8_t which, struct fuzz_input *input)
{
    size_t len = (size_t)(input->end - input->at);
    char *text = fuzz_part(input, '\0', &len);
    switch (which) {
    case 'n':
        run_number(text, len);
        break;
    case 'q':
        run_quantity(text);
        break;
    case 'a':
        run_address(text);
        break;
    default:
        run_url(text);
        break;
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {.at = data, .end = data + size};
    uint8_t which = fuzz_byte(&input);
    switch (which) {
    case 't':
        run_trace(&input);
        break;
    case 'm':
        run_metadata(&input);
        break;
    case 'r':
        run_reflection(&input);
        break;
    case 'h':
        run_health(&input);
        break;
    case 'e':
        run_error_table(&input);
        break;
    default:
        run_text(which, &input);
        break;
    }
    return 0;
}
