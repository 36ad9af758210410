#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_http.h"
#include "test_contract.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

/* One call with its fakes, in the state RECEIVED. */
struct fixture {
    struct fake_http http;
    struct fake_clock clock;
    struct fake_host host;
    struct fake_auth auth;
    struct br_retry_budget retries;
    struct br_call_config config;
    struct br_call *call;
    size_t resumed_count;
    uint8_t bytes[256];
    struct br_metadatum metadata[8];
    struct br_call_request request;
};

static struct br_metadatum metadatum(const char *key, const char *value)
{
    return (struct br_metadatum){
        .key = key, .key_len = strlen(key), .value = value, .value_len = strlen(value)};
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    fake_clock_init(&f->clock);
    fake_http_init(&f->http, &f->clock.clock);
    fake_host_init(&f->host);
    fake_auth_init(&f->auth);
    br_retry_budget_init(&f->retries);
    f->config = (struct br_call_config){
        .rest = {.base_url = "https://up.example"},
        .auth = br_auth_passthrough(),
        .http = &f->http.http,
        .retries = &f->retries,
        .max_attempts = 1,
        .clock = &f->clock.clock,
        .random = fake_random,
        .default_timeout_ms = 30000,
        .max_timeout_ms = 60000,
        .max_response_bytes = 4096,
    };
    Testapi__V1__UpdateThingRequest message = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    message.project_id = (char *)"p";
    message.thing_id = (char *)"t";
    message.description = (char *)"new";
    f->metadata[0] = metadatum("x-auth-token", "secret-token");
    f->request = (struct br_call_request){
        .method = test_method("UpdateThing"),
        .metadata = f->metadata,
        .metadata_count = 1,
        .timeout_ms = -1,
        .bytes = f->bytes,
        .len = testapi__v1__update_thing_request__pack(&message, f->bytes),
    };
    f->call = br_call_create(&f->config, &f->host.host);
    assert_non_null(f->call);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_call_destroy(f->call);
    fake_host_finish(&f->host);
    free(f);
    return 0;
}

/* The reply has been delivered: the last state is reached, nothing comes twice, nothing is still to come. */
static void finish(struct fixture *f)
{
    assert_int_equal(f->host.expect_count, f->resumed_count);
    assert_null(f->http.submitted);
    assert_int_equal(f->host.reply_count, 1);
    assert_int_equal(br_call_state(f->call), BR_CALL_REPLYING);
    br_call_replied(f->call);
    assert_int_equal(br_call_state(f->call), BR_CALL_DONE);
}

static const struct br_trailer *find_trailer(const struct fixture *f, const char *key)
{
    for (size_t i = 0; i < f->host.reply.trailer_count; i++) {
        if (strcmp(f->host.reply.trailers[i].key, key) == 0) {
            return &f->host.reply.trailers[i];
        }
    }
    return NULL;
}

static void assert_refused(struct fixture *f, enum br_code code, const char *reason)
{
    assert_int_equal(f->host.reply.code, code);
    assert_string_equal(f->host.reply.reason, reason);
    assert_null(f->host.reply.bytes);
    assert_non_null(find_trailer(f, "grpc-status-details-bin"));
    finish(f);
}

/* One thing that the call waited for has come. */
static void resume(struct fixture *f)
{
    assert_int_equal(f->host.reply_count, 0);
    assert_true(f->host.post_count > f->resumed_count);
    f->resumed_count++;
    br_call_resume(f->call);
}

static const char *sent_header(const struct fixture *f, const char *name)
{
    return br_headers_find(&f->http.submitted->headers, name);
}

static void test_call_answered_replies_message(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    assert_int_equal(br_call_state(f->call), BR_CALL_SENT);
    assert_string_equal(f->http.submitted->verb, "PUT");
    assert_string_equal(f->http.submitted->url, "https://up.example/v1/p/things/t");
    assert_int_equal(f->http.submitted->body_len, strlen("{\"description\":\"new\"}"));
    assert_memory_equal(f->http.submitted->body, "{\"description\":\"new\"}", f->http.submitted->body_len);
    assert_int_equal(f->http.submitted->max_body_bytes, 4096);

    struct br_header header = {"X-Request-Id", "abc"};
    fake_http_answer(&f->http, 200, (struct br_headers){&header, 1}, "{\"small\":7}");
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    Testapi__V1__Thing *thing = testapi__v1__thing__unpack(NULL, f->host.reply.len, f->host.reply.bytes);
    assert_non_null(thing);
    assert_int_equal(thing->small, 7);
    testapi__v1__thing__free_unpacked(thing, NULL);
    assert_memory_equal(find_trailer(f, "x-request-id")->value, "abc", 3);
    finish(f);
}

static void test_call_headers_are_the_allowed_ones(void **state)
{
    struct fixture *f = *state;
    f->metadata[1] = metadatum("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    f->metadata[2] = metadatum("authorization", "Bearer x");
    f->metadata[3] = metadatum("cookie", "a=b");
    f->metadata[4] = metadatum("x-request-id", "first");
    f->metadata[5] = metadatum("x-request-id", "second");
    f->metadata[6] = metadatum("host", "evil.example");
    f->request.metadata_count = 7;
    br_call_start(f->call, &f->request);
    assert_string_equal(sent_header(f, "X-Auth-Token"), "secret-token");
    assert_string_equal(sent_header(f, "Content-Type"), "application/json;charset=UTF-8");
    assert_string_equal(sent_header(f, "traceparent"),
                        "00-0af7651916cd43dd8448eb211c80319c-0102030405060708-01");
    assert_string_equal(sent_header(f, "x-request-id"), "first");
    assert_null(sent_header(f, "authorization"));
    assert_null(sent_header(f, "cookie"));
    assert_null(sent_header(f, "host"));
    assert_int_equal(f->http.submitted->headers.count, 5);
    fake_http_answer(&f->http, 204, (struct br_headers){NULL, 0}, "");
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_int_equal(f->host.reply.len, 0);
    finish(f);
}

static void test_call_reply_has_its_trace_and_span(void **state)
{
    struct fixture *f = *state;
    f->metadata[1] = metadatum("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    f->metadata[2] = metadatum("tracestate", "congo=t61rcWkgMzE");
    f->request.metadata_count = 3;
    br_call_start(f->call, &f->request);
    assert_string_equal(sent_header(f, "tracestate"), "congo=t61rcWkgMzE");
    fake_http_answer(&f->http, 200, (struct br_headers){NULL, 0}, "{}");
    resume(f);
    assert_string_equal(f->host.reply.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(f->host.reply.span_id, "0102030405060708");
    finish(f);
}

static void test_call_refused_reply_has_its_trace_and_span(void **state)
{
    struct fixture *f = *state;
    f->metadata[1] = metadatum("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    f->request.metadata_count = 2;
    f->request.len = 0;
    br_call_start(f->call, &f->request);
    assert_string_equal(f->host.reply.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(f->host.reply.span_id, "0102030405060708");
    assert_refused(f, BR_INVALID_ARGUMENT, "VALIDATION_FAILED");
}

static void test_call_malformed_trace_goes_nowhere(void **state)
{
    struct fixture *f = *state;
    f->metadata[1] = metadatum("traceparent", "00-aa-bb-01");
    f->metadata[2] = metadatum("tracestate", "congo=t61rcWkgMzE");
    f->request.metadata_count = 3;
    br_call_start(f->call, &f->request);
    assert_null(sent_header(f, "traceparent"));
    assert_null(sent_header(f, "tracestate"));
    fake_http_answer(&f->http, 200, (struct br_headers){NULL, 0}, "{}");
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_string_equal(f->host.reply.trace_id, "");
    assert_string_equal(f->host.reply.span_id, "");
    finish(f);
}

static void test_call_without_random_of_its_own_makes_span_ids(void **state)
{
    struct fixture *f = *state;
    char spans[2][BR_SPAN_ID_LEN + 1];
    f->config.random = NULL;
    f->metadata[1] = metadatum("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    f->request.metadata_count = 2;
    f->request.len = 0;
    for (size_t i = 0; i < 2; i++) {
        if (i > 0) {
            br_call_destroy(f->call);
            fake_host_init(&f->host);
            f->call = br_call_create(&f->config, &f->host.host);
        }
        br_call_start(f->call, &f->request);
        memcpy(spans[i], f->host.reply.span_id, sizeof spans[i]);
        assert_refused(f, BR_INVALID_ARGUMENT, "VALIDATION_FAILED");
    }
    assert_int_equal(strlen(spans[0]), BR_SPAN_ID_LEN);
    assert_string_not_equal(spans[0], spans[1]);
}

static void test_call_without_token_is_unauthenticated(void **state)
{
    struct fixture *f = *state;
    f->request.metadata_count = 0;
    br_call_start(f->call, &f->request);
    assert_int_equal(f->http.submit_count, 0);
    assert_refused(f, BR_UNAUTHENTICATED, "TOKEN_MISSING");
}

static void test_call_header_injection_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const values[] = {"a\r\nX-Evil: 1", "a\nb", "a\x7f", "caf\xc3\xa9"};
    f->metadata[1] = metadatum("traceparent", values[0]);
    f->request.metadata_count = 2;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        f->metadata[1] = metadatum("traceparent", values[i]);
        if (i > 0) {
            br_call_destroy(f->call);
            fake_host_init(&f->host);
            f->resumed_count = 0;
            f->call = br_call_create(&f->config, &f->host.host);
        }
        br_call_start(f->call, &f->request);
        assert_int_equal(f->http.submit_count, 0);
        assert_refused(f, BR_INVALID_ARGUMENT, "METADATA_INVALID");
    }
}

static void test_call_invalid_request_is_refused_with_violations(void **state)
{
    struct fixture *f = *state;
    f->request.len = 0; /* thing_id is required, project_id has no default */
    br_call_start(f->call, &f->request);
    assert_int_equal(f->http.submit_count, 0);
    const struct br_trailer *details = find_trailer(f, "grpc-status-details-bin");
    assert_non_null(details);
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, details->len, details->value);
    assert_non_null(status);
    bool found = false;
    for (size_t i = 0; i < status->n_details; i++) {
        if (strstr(status->details[i]->type_url, "BadRequest") != NULL) {
            Google__Rpc__BadRequest *bad = google__rpc__bad_request__unpack(
                NULL, status->details[i]->value.len, status->details[i]->value.data);
            assert_int_equal(bad->n_field_violations, 2);
            google__rpc__bad_request__free_unpacked(bad, NULL);
            found = true;
        }
    }
    google__rpc__status__free_unpacked(status, NULL);
    assert_true(found);
    assert_refused(f, BR_INVALID_ARGUMENT, "VALIDATION_FAILED");
}

static void test_call_project_default_fills_the_path(void **state)
{
    struct fixture *f = *state;
    struct br_header project = {"project_id", "from settings"};
    f->config.rest.defaults = (struct br_headers){&project, 1};
    Testapi__V1__UpdateThingRequest message = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    message.thing_id = (char *)"t";
    f->request.len = testapi__v1__update_thing_request__pack(&message, f->bytes);
    br_call_start(f->call, &f->request);
    assert_string_equal(f->http.submitted->url, "https://up.example/v1/from%20settings/things/t");
    assert_memory_equal(f->http.submitted->body, "{}", 3);
    fake_http_fail(&f->http, BR_TRANSPORT_UNREACHABLE);
    resume(f);
    assert_refused(f, BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE");
}

static void test_call_warning_is_a_trailer(void **state)
{
    struct fixture *f = *state;
    Testapi__V1__Thing thing = TESTAPI__V1__THING__INIT;
    thing.has_flag = 1;
    thing.has_colour = 1;
    thing.colour = TESTAPI__V1__COLOUR__COLOUR_RED;
    Testapi__V1__UpdateThingRequest message = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    message.project_id = (char *)"p";
    message.thing_id = (char *)"t";
    message.thing = &thing;
    f->request.len = testapi__v1__update_thing_request__pack(&message, f->bytes);
    br_call_start(f->call, &f->request);
    fake_http_answer(&f->http, 200, (struct br_headers){NULL, 0}, "{}");
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    const struct br_trailer *warning = find_trailer(f, "modelarts-bridge-warning");
    assert_non_null(warning);
    assert_memory_equal(warning->value, "flag wins over colour", 21);
    finish(f);
}

static void test_call_deadline_is_the_callers_within_the_ceiling(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t timeout_ms, expected_ms;
    } cases[] = {{-1, 30000}, {5, 5}, {0, 0}, {60000, 60000}, {60001, 60000}, {INT32_MAX, 60000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (i > 0) {
            br_call_destroy(f->call);
            fake_host_init(&f->host);
            f->resumed_count = 0;
            f->call = br_call_create(&f->config, &f->host.host);
        }
        f->request.timeout_ms = cases[i].timeout_ms;
        br_call_start(f->call, &f->request);
        assert_int_equal(f->http.submitted->deadline_ms,
                         br_clock_now_ms(&f->clock.clock) + cases[i].expected_ms);
        fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE);
        resume(f);
        assert_refused(f, BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
    }
}

static void test_call_cancelled_before_start_is_still_answered(void **state)
{
    struct fixture *f = *state;
    br_call_cancel(f->call);
    assert_int_equal(f->http.cancel_count, 0);
    f->request.len = 0;
    br_call_start(f->call, &f->request);
    assert_refused(f, BR_INVALID_ARGUMENT, "VALIDATION_FAILED");
}

static void test_call_cancelled_while_sent_aborts_once(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    br_call_cancel(f->call);
    br_call_cancel(f->call);
    assert_int_equal(f->http.cancel_count, 1);
    assert_int_equal(f->host.reply_count, 0);
    fake_http_fail(&f->http, BR_TRANSPORT_CANCELLED);
    resume(f);
    assert_refused(f, BR_CANCELLED, "CALLER_CANCELLED");
}

static void test_call_cancelled_after_the_answer_keeps_the_answer(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    fake_http_answer(&f->http, 200, (struct br_headers){NULL, 0}, "{}");
    br_call_cancel(f->call); /* the answer is in, the host has not resumed the call yet */
    assert_int_equal(f->http.cancel_count, 1);
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    br_call_cancel(f->call); /* REPLYING: nothing is left to abort */
    assert_int_equal(f->http.cancel_count, 1);
    finish(f);
    br_call_cancel(f->call); /* DONE */
    assert_int_equal(f->http.cancel_count, 1);
}

static void test_call_cancelled_before_start_sends_nothing(void **state)
{
    struct fixture *f = *state;
    br_call_cancel(f->call);
    br_call_start(f->call, &f->request);
    assert_int_equal(f->http.submit_count, 0);
    assert_refused(f, BR_CANCELLED, "CALLER_CANCELLED");
}

static void test_call_malformed_answer_is_internal(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    struct br_header header = {"x-request-id", "abc"};
    fake_http_answer(&f->http, 200, (struct br_headers){&header, 1}, "<html>");
    resume(f);
    assert_non_null(find_trailer(f, "x-request-id"));
    assert_refused(f, BR_INTERNAL, "UPSTREAM_MALFORMED_RESPONSE");
}

static void test_call_error_answer_is_mapped(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    fake_http_answer(&f->http, 404, (struct br_headers){NULL, 0},
                     "{\"error_code\":\"ModelArts.3502\",\"error_msg\":\"Service t does not exist.\"}");
    resume(f);
    assert_string_equal(f->host.reply.message, "Service t does not exist.");
    assert_refused(f, BR_NOT_FOUND, "MODELARTS_3502");
}

/* Else a bridge that holds a credential would hand it to its callers. */
static void test_call_error_answer_repeats_no_credential(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    fake_http_answer(
        &f->http, 403, (struct br_headers){NULL, 0},
        "{\"error_code\":\"ModelArts.0203\",\"error_msg\":\"bad header X-Auth-Token: secret-token\"}");
    resume(f);
    assert_string_equal(f->host.reply.message, "bad header X-Auth-Token: ***");
    finish(f);
}

static void test_call_every_transport_failure_is_an_error(void **state)
{
    struct fixture *f = *state;
    for (int failure = BR_TRANSPORT_CANCELLED; failure <= BR_TRANSPORT_FAILED; failure++) {
        if (failure > 0) {
            br_call_destroy(f->call);
            fake_host_init(&f->host);
            f->resumed_count = 0;
            f->call = br_call_create(&f->config, &f->host.host);
        }
        br_call_start(f->call, &f->request);
        fake_http_fail(&f->http, (enum br_transport_failure)failure);
        resume(f);
        assert_int_not_equal(f->host.reply.code, BR_OK);
        assert_non_null(find_trailer(f, "grpc-status-details-bin"));
        finish(f);
    }
}

static void test_call_bad_request_id_is_not_forwarded(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    struct br_header header = {"x-request-id", "a\x01"
                                               "b"};
    fake_http_answer(&f->http, 200, (struct br_headers){&header, 1}, "{}");
    resume(f);
    assert_null(find_trailer(f, "x-request-id"));
    finish(f);
}

/* ---- Waiting for a credential ---- */

static void use_auth(struct fixture *f, enum br_auth_result result)
{
    f->config.auth = &f->auth.auth;
    f->auth.result = result;
}

static void test_call_waits_for_a_credential(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_PENDING);
    br_call_start(f->call, &f->request);
    assert_int_equal(br_call_state(f->call), BR_CALL_AUTHORIZING);
    assert_int_equal(f->http.submit_count, 0);
    assert_int_equal(f->http.pause_count, 1); /* until the deadline */
    assert_int_equal(f->http.submitted->deadline_ms, br_clock_now_ms(&f->clock.clock) + 30000);

    f->auth.result = BR_AUTH_GRANTED;
    fake_auth_ready(&f->auth);
    resume(f);
    assert_int_equal(f->http.cancel_count, 1); /* the pause is not needed any more */
    assert_int_equal(f->http.submit_count, 0);
    fake_http_fail(&f->http, BR_TRANSPORT_CANCELLED);
    resume(f);
    assert_int_equal(br_call_state(f->call), BR_CALL_SENT);
    assert_string_equal(sent_header(f, "Authorization"), "fake");
    fake_http_answer(&f->http, 200, (struct br_headers){NULL, 0}, "{}");
    resume(f);
    assert_int_equal(f->host.reply.code, BR_OK);
    finish(f);
}

static void test_call_deadline_ends_the_wait_for_a_credential(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_PENDING);
    br_call_start(f->call, &f->request);
    f->clock.now_us += 30000000;
    fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE);
    resume(f);
    assert_int_equal(f->auth.cancel_count, 1);
    fake_auth_ready(&f->auth);
    resume(f);
    assert_int_equal(f->http.submit_count, 0);
    assert_refused(f, BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
}

static void test_call_cancelled_while_authorizing_sends_nothing(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_PENDING);
    br_call_start(f->call, &f->request);
    br_call_cancel(f->call);
    assert_int_equal(f->http.cancel_count, 1);
    fake_http_fail(&f->http, BR_TRANSPORT_CANCELLED);
    resume(f);
    f->auth.result = BR_AUTH_GRANTED;
    fake_auth_ready(&f->auth);
    resume(f);
    assert_int_equal(f->http.submit_count, 0);
    assert_refused(f, BR_CANCELLED, "CALLER_CANCELLED");
}

static void test_call_credential_and_deadline_at_once(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_PENDING);
    br_call_start(f->call, &f->request);
    /* Both have come before the host resumes the call for either. */
    f->auth.result = BR_AUTH_GRANTED;
    fake_auth_ready(&f->auth);
    fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE);
    resume(f);
    f->clock.now_us += 30000000;
    resume(f);
    assert_refused(f, BR_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
}

static void test_call_refused_credential_is_the_reply(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_REFUSED);
    br_call_start(f->call, &f->request);
    assert_int_equal(f->http.submit_count, 0);
    assert_refused(f, BR_UNAUTHENTICATED, "FAKE_REFUSAL");
}

static void test_call_rejected_credential_is_replaced_once(void **state)
{
    struct fixture *f = *state;
    use_auth(f, BR_AUTH_GRANTED);
    f->auth.can_replace = true;
    br_call_start(f->call, &f->request);
    static const char expired[] = "{\"error_code\":\"ModelArts.0203\",\"error_msg\":\"Invalid token.\"}";
    fake_http_answer(&f->http, 401, (struct br_headers){NULL, 0}, expired);
    resume(f);
    assert_int_equal(f->http.submit_count, 2);
    fake_http_answer(&f->http, 401, (struct br_headers){NULL, 0}, expired);
    resume(f);
    assert_int_equal(f->http.submit_count, 2);
    assert_memory_equal(find_trailer(f, "modelarts-bridge-attempts")->value, "2", 1);
    assert_refused(f, BR_UNAUTHENTICATED, "MODELARTS_0203");
}

/* ---- Retries ---- */

static void test_call_not_sent_is_tried_again(void **state)
{
    struct fixture *f = *state;
    char traceparent[BR_TRACEPARENT_LEN + 1];
    f->config.max_attempts = 3;
    f->config.random = NULL; /* a second span would be another */
    f->metadata[1] = metadatum("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    f->request.metadata_count = 2;
    br_call_start(f->call, &f->request);
    assert_int_equal(snprintf(traceparent, sizeof traceparent, "%s", sent_header(f, "traceparent")),
                     BR_TRACEPARENT_LEN);
    for (int attempt = 1; attempt < 3; attempt++) {
        fake_http_fail(&f->http, BR_TRANSPORT_UNREACHABLE);
        resume(f);
        assert_int_equal(br_call_state(f->call), BR_CALL_BACKOFF);
        assert_int_equal(f->http.submit_count, attempt);
        assert_in_range(f->http.submitted->deadline_ms - br_clock_now_ms(&f->clock.clock), 0,
                        BR_RETRY_BASE_MS * attempt);
        fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE); /* the pause is over */
        resume(f);
        assert_int_equal(br_call_state(f->call), BR_CALL_SENT);
        assert_string_equal(sent_header(f, "traceparent"), traceparent);
    }
    fake_http_fail(&f->http, BR_TRANSPORT_UNREACHABLE);
    resume(f);
    assert_int_equal(f->http.submit_count, 3);
    assert_memory_equal(find_trailer(f, "modelarts-bridge-attempts")->value, "3", 1);
    assert_refused(f, BR_UNAVAILABLE, "UPSTREAM_UNREACHABLE");
}

static void test_call_that_may_have_run_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    f->config.max_attempts = 3;
    br_call_start(f->call, &f->request);
    fake_http_answer(&f->http, 503, (struct br_headers){NULL, 0}, "");
    resume(f);
    assert_int_equal(f->http.submit_count, 1);
    assert_null(find_trailer(f, "modelarts-bridge-attempts"));
    assert_refused(f, BR_UNAVAILABLE, "UPSTREAM_HTTP_ERROR");
}

static void test_call_whose_connection_broke_wants_a_new_one(void **state)
{
    struct fixture *f = *state;
    struct br_method idempotent = *f->request.method;
    idempotent.idempotency = BR_IDEMPOTENT;
    f->request.method = &idempotent;
    f->config.max_attempts = 4;
    br_call_start(f->call, &f->request);
    assert_false(f->http.submitted->wants_new_connection);
    for (int attempt = 1; attempt < 4; attempt++) {
        bool broke = attempt == 2;
        if (broke) {
            fake_http_fail(&f->http, BR_TRANSPORT_BROKEN);
        } else {
            fake_http_answer(&f->http, 503, (struct br_headers){NULL, 0}, "");
        }
        resume(f);
        fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE); /* the pause is over */
        resume(f);
        assert_int_equal(br_call_state(f->call), BR_CALL_SENT);
        assert_int_equal(f->http.submitted->wants_new_connection, broke);
    }
    fake_http_fail(&f->http, BR_TRANSPORT_BROKEN);
    resume(f);
    assert_refused(f, BR_UNAVAILABLE, "UPSTREAM_CONNECTION_BROKEN");
}

static void test_call_cancelled_in_backoff_ends(void **state)
{
    struct fixture *f = *state;
    f->config.max_attempts = 3;
    br_call_start(f->call, &f->request);
    fake_http_fail(&f->http, BR_TRANSPORT_UNREACHABLE);
    resume(f);
    assert_int_equal(br_call_state(f->call), BR_CALL_BACKOFF);
    br_call_cancel(f->call);
    assert_int_equal(f->http.cancel_count, 1);
    fake_http_fail(&f->http, BR_TRANSPORT_CANCELLED);
    resume(f);
    assert_int_equal(f->http.submit_count, 1);
    assert_refused(f, BR_CANCELLED, "CALLER_CANCELLED");
}

static void test_refuse_answers_without_sending(void **state)
{
    struct fixture *f = *state;
    struct br_status st;
    assert_false(br_status_set(&st, BR_UNIMPLEMENTED, "METHOD_UNKNOWN", "no such method"));
    br_call_refuse(f->call, &st);
    assert_int_equal(f->http.submit_count, 0);
    assert_string_equal(f->host.reply.message, "no such method");
    assert_refused(f, BR_UNIMPLEMENTED, "METHOD_UNKNOWN");
}

static void test_answer_sends_the_hosts_own_message(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = malloc(2);
    memcpy(bytes, "ok", 2);
    br_call_answer(f->call, bytes, 2);
    assert_int_equal(f->host.reply_count, 1);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_ptr_equal(f->host.reply.bytes, bytes);
    assert_int_equal(f->host.reply.len, 2);
    assert_int_equal(f->host.reply.trailer_count, 0);
    assert_int_equal(br_call_state(f->call), BR_CALL_REPLYING);
    br_call_replied(f->call);
}

static void test_answer_without_message_is_ok(void **state)
{
    struct fixture *f = *state;
    br_call_answer(f->call, NULL, 0);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_null(f->host.reply.bytes);
    assert_int_equal(f->http.submit_count, 0);
    br_call_replied(f->call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call_answered_replies_message),
        TEST(test_call_headers_are_the_allowed_ones),
        TEST(test_call_reply_has_its_trace_and_span),
        TEST(test_call_refused_reply_has_its_trace_and_span),
        TEST(test_call_malformed_trace_goes_nowhere),
        TEST(test_call_without_random_of_its_own_makes_span_ids),
        TEST(test_call_without_token_is_unauthenticated),
        TEST(test_call_header_injection_is_refused),
        TEST(test_call_invalid_request_is_refused_with_violations),
        TEST(test_call_project_default_fills_the_path),
        TEST(test_call_warning_is_a_trailer),
        TEST(test_call_deadline_is_the_callers_within_the_ceiling),
        TEST(test_call_cancelled_before_start_is_still_answered),
        TEST(test_call_cancelled_before_start_sends_nothing),
        TEST(test_call_cancelled_while_sent_aborts_once),
        TEST(test_call_cancelled_after_the_answer_keeps_the_answer),
        TEST(test_call_malformed_answer_is_internal),
        TEST(test_call_error_answer_is_mapped),
        TEST(test_call_error_answer_repeats_no_credential),
        TEST(test_call_every_transport_failure_is_an_error),
        TEST(test_call_bad_request_id_is_not_forwarded),
        TEST(test_call_waits_for_a_credential),
        TEST(test_call_deadline_ends_the_wait_for_a_credential),
        TEST(test_call_cancelled_while_authorizing_sends_nothing),
        TEST(test_call_credential_and_deadline_at_once),
        TEST(test_call_refused_credential_is_the_reply),
        TEST(test_call_rejected_credential_is_replaced_once),
        TEST(test_call_not_sent_is_tried_again),
        TEST(test_call_that_may_have_run_is_not_tried_again),
        TEST(test_call_whose_connection_broke_wants_a_new_one),
        TEST(test_call_cancelled_in_backoff_ends),
        TEST(test_refuse_answers_without_sending),
        TEST(test_answer_sends_the_hosts_own_message),
        TEST(test_answer_without_message_is_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
