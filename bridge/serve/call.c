#include "serve/call.h"

#include "translate/vendor_body.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct br_call {
    const struct br_call_config *config;
    struct br_call_host *host;
    enum br_call_state state;
    bool cancelled; /* the caller is gone; the answer is awaited all the same */
    int64_t created_ms;

    struct br_arena arena; /* the messages, the headers, the error's texts */
    const struct br_method *method;
    struct br_violations violations;
    struct br_warnings warnings;
    struct br_rest_request rest;
    struct br_http_exchange exchange; /* in use while SENT */

    char request_id[BR_REQUEST_ID_CAP]; /* upstream's */
    struct br_reply reply;
};

/* Metadata keys that go upstream beside the credential. Source: bridge_conventions.md section 6. */
static const char *const forwarded_keys[] = {"traceparent", "tracestate", "x-request-id"};
#define FORWARDED_COUNT (sizeof forwarded_keys / sizeof forwarded_keys[0])

/* Which state may follow which. */
static const bool allowed_moves[BR_CALL_DONE + 1][BR_CALL_DONE + 1] = {
    [BR_CALL_RECEIVED] = {[BR_CALL_SENT] = true, [BR_CALL_REPLYING] = true},
    [BR_CALL_SENT] = {[BR_CALL_REPLYING] = true},
    [BR_CALL_REPLYING] = {[BR_CALL_DONE] = true},
};

static void move_to(struct br_call *call, enum br_call_state next)
{
    assert(allowed_moves[call->state][next]);
    call->state = next;
}

static void add_trailer(struct br_reply *reply, const char *key, const void *value, size_t len)
{
    assert(reply->trailer_count < BR_CALL_TRAILERS_MAX);
    reply->trailers[reply->trailer_count++] = (struct br_trailer){.key = key, .value = value, .len = len};
}

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

static void send_reply(struct br_call *call)
{
    struct br_reply *reply = &call->reply;
    if (call->request_id[0] != '\0') {
        add_trailer(reply, "x-request-id", call->request_id, strlen(call->request_id));
    }
    for (size_t i = 0; i < call->warnings.count; i++) {
        add_trailer(reply, "modelarts-bridge-warning", call->warnings.items[i],
                    strlen(call->warnings.items[i]));
    }
    move_to(call, BR_CALL_REPLYING);
    call->host->reply(call->host, call, reply);
}

static void reply_error(struct br_call *call, const struct br_error *error)
{
    struct br_reply *reply = &call->reply;
    reply->code = error->st.code;
    reply->reason = error->st.reason;
    reply->message = br_arena_printf(&call->arena, "%s", error->st.msg);
    if (reply->message == NULL) {
        reply->message = "no memory for the message";
    }
    uint8_t *details;
    size_t len;
    bool cut;
    if (br_error_encode(error, &call->arena, &details, &len, &cut)) {
        add_trailer(reply, "grpc-status-details-bin", details, len);
    }
    send_reply(call);
}

static void reply_status(struct br_call *call, const struct br_status *st)
{
    struct br_error error;
    br_error_from_status(st, call->violations.count > 0 ? &call->violations : NULL, &error);
    error.request_id = call->request_id[0] != '\0' ? call->request_id : NULL;
    reply_error(call, &error);
}

struct br_call *br_call_create(const struct br_call_config *config, struct br_call_host *host)
{
    struct br_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->config = config;
    call->host = host;
    call->created_ms = config->clock->now_ms(config->clock);
    call->reply.message = "";
    call->reply.reason = "";
    br_arena_init(&call->arena, BR_CALL_ARENA_BYTES);
    br_violations_init(&call->violations, &call->arena);
    return call;
}

void br_call_destroy(struct br_call *call)
{
    if (call == NULL) {
        return;
    }
    assert(call->state == BR_CALL_DONE || call->state == BR_CALL_RECEIVED);
    br_http_exchange_finish(&call->exchange);
    br_rest_request_finish(&call->rest);
    br_arena_finish(&call->arena);
    free(call);
}

static bool key_is(const struct br_metadatum *entry, const char *key)
{
    return entry->key_len == strlen(key) && memcmp(entry->key, key, entry->key_len) == 0;
}

static bool is_wanted(const struct br_metadatum *entry)
{
    for (size_t i = 0; i < FORWARDED_COUNT; i++) {
        if (key_is(entry, forwarded_keys[i])) {
            return true;
        }
    }
    return key_is(entry, BR_AUTH_TOKEN_KEY);
}

/* Copies the metadata entries that may go upstream; of a key that comes twice, the first counts. */
static bool copy_metadata(struct br_call *call, const struct br_call_request *request, struct br_headers *out,
                          struct br_status *st)
{
    struct br_header *items = br_arena_alloc(&call->arena, (FORWARDED_COUNT + 1) * sizeof *items);
    if (items == NULL) {
        return br_arena_fail(&call->arena, st);
    }
    *out = (struct br_headers){.items = items};
    for (size_t i = 0; i < request->metadata_count; i++) {
        const struct br_metadatum *entry = &request->metadata[i];
        if (!is_wanted(entry)) {
            continue;
        }
        const char *key = br_arena_strndup(&call->arena, entry->key, entry->key_len);
        const char *value = br_arena_strndup(&call->arena, entry->value, entry->value_len);
        if (key == NULL || value == NULL) {
            return br_arena_fail(&call->arena, st);
        }
        if (!is_printable(entry->value, entry->value_len)) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "METADATA_INVALID",
                                 "the metadata key %s has a value that is not printable ASCII", key);
        }
        if (br_headers_find(out, key) == NULL) {
            items[out->count++] = (struct br_header){.name = key, .value = value};
        }
    }
    return true;
}

/* The headers of the exchange: ours, the credential's, and what is forwarded. */
static bool build_headers(struct br_call *call, const struct br_headers *metadata, struct br_status *st)
{
    struct br_headers credential;
    if (!call->config->auth->apply(call->config->auth, metadata, &call->arena, &credential, st)) {
        return false;
    }
    size_t capacity = 2 + credential.count + metadata->count;
    struct br_header *items = br_arena_alloc(&call->arena, capacity * sizeof *items);
    if (items == NULL) {
        return br_arena_fail(&call->arena, st);
    }
    size_t count = 0;
    items[count++] = (struct br_header){.name = "Accept", .value = "application/json"};
    if (call->rest.body != NULL) {
        /* wire_facts.md section 9, trap 18 */
        items[count++] =
            (struct br_header){.name = "Content-Type", .value = "application/json;charset=UTF-8"};
    }
    for (size_t i = 0; i < credential.count; i++) {
        items[count++] = credential.items[i];
    }
    for (size_t i = 0; i < metadata->count; i++) {
        if (strcmp(metadata->items[i].name, BR_AUTH_TOKEN_KEY) != 0) {
            items[count++] = metadata->items[i];
        }
    }
    call->exchange.headers = (struct br_headers){.items = items, .count = count};
    return true;
}

static bool prepare(struct br_call *call, const struct br_call_request *request, struct br_status *st)
{
    struct br_headers metadata;
    return br_rest_request_build(call->method, &call->config->rest, request->bytes, request->len,
                                 &call->violations, &call->warnings, &call->rest, st) &&
           copy_metadata(call, request, &metadata, st) && build_headers(call, &metadata, st);
}

/* On the HTTP client's thread. */
static void exchange_done(struct br_http_exchange *exchange)
{
    struct br_call *call = exchange->owner;
    call->host->post(call->host, call);
}

static int64_t deadline_ms(const struct br_call *call, int64_t timeout_ms)
{
    int64_t limit_ms = timeout_ms >= 0 ? timeout_ms : call->config->default_timeout_ms;
    if (limit_ms > call->config->max_timeout_ms) {
        limit_ms = call->config->max_timeout_ms;
    }
    return call->created_ms + limit_ms;
}

void br_call_start(struct br_call *call, const struct br_call_request *request)
{
    assert(call->state == BR_CALL_RECEIVED);
    call->method = request->method;
    struct br_status st;
    if (!prepare(call, request, &st)) {
        reply_status(call, &st);
        return;
    }
    if (call->cancelled) {
        /* Nobody waits for it: an update that was not sent yet is better not sent at all. */
        struct br_error error;
        br_error_from_transport(BR_TRANSPORT_CANCELLED, NULL, NULL, call->method, &call->arena, &error);
        reply_error(call, &error);
        return;
    }
    struct br_http_exchange *exchange = &call->exchange;
    exchange->verb = call->rest.verb;
    exchange->url = call->rest.url;
    exchange->body = call->rest.body;
    exchange->body_len = call->rest.body_len;
    exchange->deadline_ms = deadline_ms(call, request->timeout_ms);
    exchange->max_body_bytes = call->config->max_response_bytes;
    exchange->done = exchange_done;
    exchange->owner = call;
    move_to(call, BR_CALL_SENT);
    call->config->http->submit(call->config->http, exchange);
}

void br_call_refuse(struct br_call *call, const struct br_status *st)
{
    assert(call->state == BR_CALL_RECEIVED);
    reply_status(call, st);
}

static void reply_ok(struct br_call *call)
{
    const struct br_http_answer *answer = &call->exchange.answer;
    struct br_status st;
    if (!br_rest_response_read(call->method, answer->body, answer->body_len, &call->arena,
                               call->config->drift, &call->reply.bytes, &call->reply.len, &st)) {
        reply_status(call, &st);
        return;
    }
    send_reply(call);
}

void br_call_resume(struct br_call *call)
{
    assert(call->state == BR_CALL_SENT);
    const struct br_http_exchange *exchange = &call->exchange;
    const char *request_id =
        exchange->answered ? br_headers_find(&exchange->answer.headers, "x-request-id") : NULL;
    if (request_id != NULL) {
        br_request_id_copy(request_id, call->request_id);
    }
    if (exchange->answered && exchange->answer.status >= 200 && exchange->answer.status < 300) {
        reply_ok(call);
        return;
    }
    struct br_error error;
    if (exchange->answered) {
        br_error_from_answer(&exchange->answer, call->method,
                             call->config->clock->unix_s(call->config->clock), &call->arena, &error);
    } else {
        br_error_from_transport(exchange->failure, exchange->failure_name,
                                exchange->failure_text[0] != '\0' ? exchange->failure_text : NULL,
                                call->method, &call->arena, &error);
    }
    reply_error(call, &error);
}

void br_call_cancel(struct br_call *call)
{
    if (!call->cancelled && call->state == BR_CALL_SENT) {
        call->config->http->cancel(call->config->http, &call->exchange);
    }
    call->cancelled = true;
}

void br_call_replied(struct br_call *call)
{
    move_to(call, BR_CALL_DONE);
}

enum br_call_state br_call_state(const struct br_call *call)
{
    return call->state;
}

int64_t br_call_duration_ms(const struct br_call *call)
{
    return call->config->clock->now_ms(call->config->clock) - call->created_ms;
}
