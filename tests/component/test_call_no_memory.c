/*
 * The life of a call in which one allocation fails, each in its turn, alone or with all that follow. The call ends as
 * it would have, or without memory; once, with no half of a message, and with nothing left behind.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"
#include "fake_http.h"
#include "test_contract.h"

#include <cjson/cJSON.h>
#include <google/rpc/status.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

#define STEPS_MAX 3
#define BYTES_MAX 4096

/* How one attempt ends; |body| NULL: without an answer. */
struct step {
    int status;
    const char *body;
    const char *content_type;
};

struct scenario {
    const char *method;
    const void *message;
    struct step steps[STEPS_MAX];
};

/* What came of a call, copied out of it. */
struct outcome {
    bool was_made; /* else there was no memory for the call itself, and nothing below counts */
    size_t submit_count;
    char sent[1024]; /* the last request */
    bool was_executed;
    enum br_code code;
    char reason[64];
    char message[BR_STATUS_MSG_CAP];
    bool has_bytes;
    uint8_t bytes[BYTES_MAX];
    size_t len;
    uint8_t details[BYTES_MAX];
    size_t details_len; /* 0: none */
};

/* ---- The arena asks for memory only once in a while: here each piece of it counts as an allocation ---- */

static bool piece_fails(struct br_arena *arena)
{
    if (!alloc_fault_hits()) {
        return false;
    }
    arena->exhausted = true;
    return true;
}

void *__real_br_arena_alloc(struct br_arena *arena, size_t size);
void *__wrap_br_arena_alloc(struct br_arena *arena, size_t size);
void *__wrap_br_arena_alloc(struct br_arena *arena, size_t size)
{
    return piece_fails(arena) ? NULL : __real_br_arena_alloc(arena, size);
}

char *__real_br_arena_strndup(struct br_arena *arena, const char *text, size_t len);
char *__wrap_br_arena_strndup(struct br_arena *arena, const char *text, size_t len);
char *__wrap_br_arena_strndup(struct br_arena *arena, const char *text, size_t len)
{
    return piece_fails(arena) ? NULL : __real_br_arena_strndup(arena, text, len);
}

char *__real_br_arena_vprintf(struct br_arena *arena, const char *format, va_list args) BR_PRINTF(2, 0);
char *__wrap_br_arena_vprintf(struct br_arena *arena, const char *format, va_list args) BR_PRINTF(2, 0);
char *__wrap_br_arena_vprintf(struct br_arena *arena, const char *format, va_list args)
{
    return piece_fails(arena) ? NULL : __real_br_arena_vprintf(arena, format, args);
}

char *__wrap_br_arena_printf(struct br_arena *arena, const char *format, ...) BR_PRINTF(2, 3);
char *__wrap_br_arena_printf(struct br_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = __wrap_br_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

/* ---- One life ---- */

static void end_attempt(struct fake_http *http, const struct step *step, struct outcome *out)
{
    static struct br_header headers[2];
    const struct br_http_exchange *exchange = http->submitted;
    (void)snprintf(out->sent, sizeof out->sent, "%s %s %.*s", exchange->verb, exchange->url,
                   (int)exchange->body_len, exchange->body != NULL ? exchange->body : "");
    if (step->body == NULL) {
        fake_http_fail(http, BR_TRANSPORT_UNREACHABLE);
        return;
    }
    headers[0] = (struct br_header){"x-request-id", "id-1"};
    headers[1] = (struct br_header){"content-type", step->content_type};
    fake_http_answer(http, step->status, (struct br_headers){headers, 2}, step->body);
    out->was_executed = step->status / 100 == 2;
}

static void copy_reply(const struct br_reply *reply, struct outcome *out)
{
    out->code = reply->code;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reply->reason);
    (void)snprintf(out->message, sizeof out->message, "%s", reply->message);
    out->has_bytes = reply->bytes != NULL;
    out->len = reply->len;
    assert_in_range(reply->len, 0, BYTES_MAX);
    if (reply->bytes != NULL) {
        memcpy(out->bytes, reply->bytes, reply->len);
    }
    for (size_t i = 0; i < reply->trailer_count; i++) {
        const struct br_trailer *trailer = &reply->trailers[i];
        if (strcmp(trailer->key, "grpc-status-details-bin") == 0) {
            assert_in_range(trailer->len, 1, BYTES_MAX);
            memcpy(out->details, trailer->value, trailer->len);
            out->details_len = trailer->len;
        }
    }
}

static void live(const struct scenario *scenario, const struct br_call_request *request, struct outcome *out)
{
    struct fake_http http;
    struct fake_clock clock;
    struct fake_host host;
    struct br_retry_budget retries;
    fake_clock_init(&clock);
    fake_http_init(&http, &clock.clock);
    fake_host_init(&host);
    br_retry_budget_init(&retries);
    const struct br_call_config config = {
        .rest = {.base_url = "https://up.example"},
        .auth = br_auth_passthrough(),
        .http = &http.http,
        .retries = &retries,
        .max_attempts = STEPS_MAX,
        .clock = &clock.clock,
        .random = fake_random,
        .default_timeout_ms = 30000,
        .max_timeout_ms = 60000,
        .max_response_bytes = 4096,
    };
    *out = (struct outcome){.was_made = false};
    struct br_call *call = br_call_create(&config, &host.host);
    if (call == NULL) {
        return;
    }
    out->was_made = true;
    br_call_start(call, request);
    while (host.reply_count == 0) {
        if (http.submitted->verb == NULL) {
            fake_http_fail(&http, BR_TRANSPORT_DEADLINE); /* the pause is over */
        } else {
            assert_in_range(http.submit_count, 1, STEPS_MAX);
            end_attempt(&http, &scenario->steps[http.submit_count - 1], out);
        }
        br_call_resume(call);
    }
    assert_int_equal(host.reply_count, 1);
    assert_int_equal(host.expect_count, host.post_count);
    assert_null(http.submitted);
    out->submit_count = http.submit_count;
    copy_reply(&host.reply, out);
    br_call_replied(call);
    br_call_destroy(call);
    fake_host_finish(&host);
}

/* ---- What may come of it ---- */

/* Details may be missing, or say less; what they do say is true. */
static void expect_details(const struct outcome *out)
{
    if (out->details_len == 0) {
        return;
    }
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, out->details_len, out->details);
    assert_non_null(status);
    assert_int_equal(status->code, out->code);
    assert_string_equal(status->message, out->message);
    google__rpc__status__free_unpacked(status, NULL);
}

static bool is_no_memory(const struct outcome *out)
{
    return out->code == BR_RESOURCE_EXHAUSTED && strcmp(out->reason, "OUT_OF_MEMORY") == 0;
}

/* The same error with less said about it: a violation is not listed, or the body of the answer could not be read. */
static bool is_less(const struct outcome *whole, const struct outcome *out)
{
    bool same_reason = strcmp(out->reason, whole->reason) == 0;
    bool same_message = strcmp(out->message, whole->message) == 0;
    return (same_reason && (same_message || strcmp(out->reason, "VALIDATION_FAILED") == 0)) ||
           (strcmp(out->reason, "UPSTREAM_HTTP_ERROR") == 0 &&
            (same_message || strstr(out->message, "had no memory to read the body") != NULL));
}

static void expect_outcome(const struct outcome *whole, const struct outcome *out)
{
    if (!out->was_made) {
        return;
    }
    if (out->submit_count > 0) {
        assert_string_equal(out->sent, whole->sent); /* a request goes out whole, or not at all */
    }
    if (out->code == BR_OK) {
        assert_int_equal(whole->code, BR_OK);
        assert_true(out->has_bytes);
        assert_int_equal(out->len, whole->len);
        assert_memory_equal(out->bytes, whole->bytes, out->len);
        return;
    }
    assert_false(out->has_bytes);
    expect_details(out);
    if (!is_no_memory(out) && (out->code != whole->code || !is_less(whole, out))) {
        fail_msg("%s %s: %s", br_code_name(out->code), out->reason, out->message);
    }
    if (out->was_executed) {
        assert_non_null(strstr(out->message, "the request was executed"));
    }
}

/* Returns how many allocations the call makes. */
static size_t fail_each(const struct scenario *scenario, const struct br_call_request *request,
                        void (*fail_after)(size_t count))
{
    struct outcome whole;
    live(scenario, request, &whole);
    size_t count = 0;
    for (bool failed = true; failed; count++) {
        struct outcome out;
        fail_after(count);
        live(scenario, request, &out);
        failed = alloc_fault_end();
        expect_outcome(&whole, &out);
        assert_true(failed || out.was_made);
    }
    return count - 1;
}

static void expect_scenario(const struct scenario *scenario)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    uint8_t bytes[1024];
    assert_in_range(protobuf_c_message_get_packed_size(scenario->message), 0, sizeof bytes);
    const struct br_metadatum metadata[] = {
        {.key = "traceparent", .key_len = 11, .value = trace, .value_len = sizeof trace - 1},
        {.key = "tracestate", .key_len = 10, .value = "a=1", .value_len = 3},
        {.key = "tracestate", .key_len = 10, .value = "b=2", .value_len = 3},
        {.key = "x-auth-token", .key_len = 12, .value = "token", .value_len = 5},
    };
    const struct br_call_request request = {
        .method = test_method(scenario->method),
        .metadata = metadata,
        .metadata_count = sizeof metadata / sizeof metadata[0],
        .timeout_ms = -1,
        .bytes = bytes,
        .len = protobuf_c_message_pack(scenario->message, bytes),
    };
    assert_in_range(fail_each(scenario, &request, alloc_fault_once_after), 20, 1000);
    assert_in_range(fail_each(scenario, &request, alloc_fault_all_after), 2, 1000);
}

/* ---- The lives ---- */

#define JSON "application/json"
#define THINGS                                                                      \
    "{\"things\":[{\"text\":\"a\",\"tags\":[\"x\",\"y\"],\"labels\":{\"k\":\"v\"}," \
    "\"free\":{\"x\":[null,{}]},\"new\":1}],\"total_count\":12}"

/* The generated structs want char *, though packing only reads. */
static char *lit(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* A request with something of everything; all of it is static. */
static Testapi__V1__UpdateThingRequest update_request(void)
{
    static Testapi__V1__Part part = TESTAPI__V1__PART__INIT;
    static Testapi__V1__Part *parts[] = {&part};
    static Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    static int32_t numbers[] = {1, 300, -1};
    static Testapi__V1__UpdateThingRequest__LabelsEntry label =
        TESTAPI__V1__UPDATE_THING_REQUEST__LABELS_ENTRY__INIT;
    static Testapi__V1__UpdateThingRequest__LabelsEntry *labels[] = {&label};
    static char *tags[1];
    part.name = lit("n");
    part.has_size = true;
    part.size = 100;
    thing.has_amount = true;
    thing.amount = 1.5;
    thing.part = &part;
    thing.numbers = numbers;
    thing.n_numbers = 3;
    thing.has_flag = true;
    thing.has_colour = true; /* with |flag|: a warning */
    thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    label.key = lit("k");
    label.value = lit("v");
    tags[0] = lit("t-\xE6\x96\x87");
    Testapi__V1__UpdateThingRequest request = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    request.project_id = lit("p");
    request.thing_id = lit("t");
    request.thing = &thing;
    request.parts = parts;
    request.n_parts = 1;
    request.labels = labels;
    request.n_labels = 1;
    request.tags = tags;
    request.n_tags = 1;
    return request;
}

static void expect_update(const struct step *step)
{
    const Testapi__V1__UpdateThingRequest request = update_request();
    expect_scenario(&(struct scenario){.method = "UpdateThing", .message = &request, .steps = {*step}});
}

static void expect_list(const struct step *steps, size_t count)
{
    Testapi__V1__ListThingsRequest request = TESTAPI__V1__LIST_THINGS_REQUEST__INIT;
    request.project_id = lit("p");
    request.tags = (char *[]){lit("a b"), lit("c")};
    request.n_tags = 2;
    struct scenario scenario = {.method = "ListThings", .message = &request};
    memcpy(scenario.steps, steps, count * sizeof *steps);
    expect_scenario(&scenario);
}

static void test_update_is_whole_or_out_of_memory(void **state)
{
    (void)state;
    expect_update(
        &(struct step){200, "{\"small\":7,\"parts\":{\"name\":\"x\"},\"any_list\":[1,\"a\"]}", JSON});
}

static void test_update_with_mask_is_whole_or_out_of_memory(void **state)
{
    (void)state;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    mask.paths =
        (char *[]){lit("thing.amount"), lit("thing.part"), lit("parts.name"), lit("labels"), lit("tags")};
    mask.n_paths = 5;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.update_mask = &mask;
    expect_scenario(
        &(struct scenario){.method = "UpdateThing", .message = &request, .steps = {{204, "", ""}}});
}

static void test_list_is_whole_or_out_of_memory(void **state)
{
    (void)state;
    expect_list(&(struct step){200, THINGS, JSON}, 1);
}

static void test_retried_call_is_whole_or_out_of_memory(void **state)
{
    (void)state;
    static const struct step steps[] = {{503, "{\"error_code\":\"APIG.0201\",\"error_msg\":\"busy\"}", JSON},
                                        {0, NULL, NULL},
                                        {200, THINGS, JSON}};
    expect_list(steps, 3);
}

static void test_refused_request_is_refused_or_out_of_memory(void **state)
{
    (void)state;
    Testapi__V1__UpdateThingRequest request = update_request();
    request.thing_id = lit("..");
    request.description = lit("much too long<");
    expect_scenario(&(struct scenario){.method = "UpdateThing", .message = &request});
}

static void test_error_answer_keeps_its_code_or_is_out_of_memory(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {400, "{\"error_code\":\"ModelArts.3001\",\"error_msg\":\"no\",\"request_id\":\"r\"}", JSON},
        {409, "{\"error_code\":\"ModelArts.99999\",\"error_msg\":\"of no table\"}", JSON},
        {404, "{\"error_code\":\"ModelArts.3503\"}", JSON},
        {502, "<html>", "text/html"},
        {0, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        expect_update(&steps[i]);
    }
}

static void test_unreadable_answer_is_malformed_or_out_of_memory(void **state)
{
    (void)state;
    expect_list(&(struct step){200, "{\"things\":[1]}", JSON}, 1);
    expect_list(&(struct step){200, "<html>", "text/html"}, 1);
}

static int set_up(void **state)
{
    (void)state;
    (void)test_contract();                                                 /* compiled on first use */
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = malloc, .free_fn = free}); /* those that may fail */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)alloc_fault_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_update_is_whole_or_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_update_with_mask_is_whole_or_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_list_is_whole_or_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_retried_call_is_whole_or_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_refused_request_is_refused_or_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_error_answer_keeps_its_code_or_is_out_of_memory, tear_down),
        cmocka_unit_test_teardown(test_unreadable_answer_is_malformed_or_out_of_memory, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
