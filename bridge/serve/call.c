#include "serve/call.h"

#include "translate/vendor_body.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct br_call {
    const struct br_call_config *config;
    struct br_call_host *host;
    enum br_call_state state;
    bool cancelled; /* the caller is gone; what was begun is ended in order all the same */
    int64_t created_us;
    int64_t since_us;    /* when the state, or the work in it that is timed, began */
    int64_t deadline_ms; /* of everything: credential, attempts, pauses */

    struct br_arena arena; /* the messages, the headers, the error's texts */
    const struct br_method *method;
    struct br_violations violations;
    struct br_warnings warnings;
    struct br_rest_request rest;
    struct br_headers metadata; /* the caller's that may go upstream */
    struct br_trace_context trace;

    struct br_http_exchange exchange; /* the attempt while SENT; a pause while AUTHORIZING or BACKOFF */
    struct br_auth_waiter waiter;     /* in use while AUTHORIZING */
    atomic_bool waiter_ready;
    int due_count;         /* posts that are still to come in this state */
    int attempt_count;     /* exchanges with upstream */
    bool tried_credential; /* a rejected credential was replaced once */
    bool had_broken;       /* the last attempt's connection broke */

    char message[BR_STATUS_MSG_CAP];
    char attempts_text[12];
    char request_id[BR_REQUEST_ID_CAP]; /* upstream's, of the last answer */
    struct br_reply reply;
};

/* Which state may follow which. */
static const bool allowed_moves[BR_CALL_DONE + 1][BR_CALL_DONE + 1] = {
    [BR_CALL_RECEIVED] = {[BR_CALL_AUTHORIZING] = true, [BR_CALL_REPLYING] = true},
    [BR_CALL_AUTHORIZING] = {[BR_CALL_AUTHORIZING] = true, [BR_CALL_SENT] = true, [BR_CALL_REPLYING] = true},
    [BR_CALL_SENT] = {[BR_CALL_AUTHORIZING] = true, [BR_CALL_BACKOFF] = true, [BR_CALL_REPLYING] = true},
    [BR_CALL_BACKOFF] = {[BR_CALL_AUTHORIZING] = true, [BR_CALL_REPLYING] = true},
    [BR_CALL_REPLYING] = {[BR_CALL_DONE] = true},
};

static int64_t now_us(const struct br_call *call)
{
    return call->config->clock->now_us(call->config->clock);
}

/* The timed work of a state is over after |spent_us|. */
static void count_time(struct br_call *call, int64_t spent_us)
{
    struct br_call_times *times = &call->reply.times;
    switch (call->state) {
    case BR_CALL_RECEIVED:
        if (call->method != NULL) { /* else the host refuses it before it was started */
            times->translate_us += spent_us;
            br_call_metrics_translated(call->config->metrics, BR_TRANSLATE_REQUEST, spent_us);
        }
        break;
    case BR_CALL_AUTHORIZING:
        times->credential_us += spent_us;
        break;
    case BR_CALL_SENT:
        if (call->exchange.answered) {
            times->translate_us += spent_us;
            br_call_metrics_translated(call->config->metrics, BR_TRANSLATE_RESPONSE, spent_us);
        }
        break;
    case BR_CALL_BACKOFF:
    case BR_CALL_REPLYING:
    case BR_CALL_DONE:
        break;
    }
}

static void move_to(struct br_call *call, enum br_call_state next)
{
    assert(allowed_moves[call->state][next]);
    int64_t now = now_us(call);
    count_time(call, now - call->since_us);
    call->since_us = now;
    call->state = next;
}

static void add_trailer(struct br_reply *reply, const char *key, const void *value, size_t len)
{
    assert(reply->trailer_count < BR_CALL_TRAILERS_MAX);
    reply->trailers[reply->trailer_count++] = (struct br_trailer){.key = key, .value = value, .len = len};
}

/* Upstream's headers that the operator wants to come back. */
static void return_headers(struct br_call *call)
{
    const struct br_texts *names = &call->config->forward.headers;
    for (size_t i = 0; call->exchange.answered && i < names->count; i++) {
        const char *value = br_headers_find(&call->exchange.answer.headers, names->items[i]);
        if (value != NULL && strlen(value) <= BR_CALL_RETURNED_MAX_BYTES) {
            add_trailer(&call->reply, names->items[i], value, strlen(value));
        }
    }
}

static void send_reply(struct br_call *call)
{
    struct br_reply *reply = &call->reply;
    move_to(call, BR_CALL_REPLYING);
    reply->times.total_us = call->since_us - call->created_us;
    reply->attempt_count = call->attempt_count;
    reply->request_id = call->request_id;
    if (call->request_id[0] != '\0') {
        add_trailer(reply, "x-request-id", call->request_id, strlen(call->request_id));
    }
    return_headers(call);
    if (call->attempt_count > 1) {
        int len = snprintf(call->attempts_text, sizeof call->attempts_text, "%d", call->attempt_count);
        add_trailer(reply, "modelarts-bridge-attempts", call->attempts_text, (size_t)len);
    }
    for (size_t i = 0; i < call->warnings.count; i++) {
        add_trailer(reply, "modelarts-bridge-warning", call->warnings.items[i],
                    strlen(call->warnings.items[i]));
    }
    call->host->reply(call->host, call, reply);
}

static void reply_error(struct br_call *call, const struct br_error *error)
{
    struct br_reply *reply = &call->reply;
    reply->code = error->st.code;
    reply->reason = error->st.reason;
    (void)snprintf(call->message, sizeof call->message, "%s", error->st.msg);
    reply->message = call->message;
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

/* ---- Waiting ---- */

/* On the HTTP client's thread. */
static void exchange_done(struct br_http_exchange *exchange)
{
    struct br_call *call = exchange->owner;
    call->host->post(call->host, call);
}

/* On the thread of whoever fetched the credential. */
static void credential_ready(struct br_auth_waiter *waiter)
{
    struct br_call *call = (struct br_call *)((char *)waiter - offsetof(struct br_call, waiter));
    atomic_store(&call->waiter_ready, true);
    call->host->post(call->host, call);
}

static void expect(struct br_call *call)
{
    call->due_count++;
    call->host->expect(call->host, call);
}

/* Makes the exchange ready for its next use. */
static void reset_exchange(struct br_call *call)
{
    br_http_exchange_finish(&call->exchange);
    call->exchange = (struct br_http_exchange){.done = exchange_done, .owner = call};
}

/* A pause is an exchange that sends nothing and ends at its deadline, or when it is cancelled. */
static void pause_until(struct br_call *call, int64_t until_ms)
{
    reset_exchange(call);
    call->exchange.deadline_ms = until_ms;
    expect(call);
    call->config->http->submit(call->config->http, &call->exchange);
}

struct br_call *br_call_create(const struct br_call_config *config, struct br_call_host *host)
{
    struct br_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->config = config;
    call->host = host;
    call->created_us = now_us(call);
    call->since_us = call->created_us;
    call->reply.message = "";
    call->reply.reason = "";
    call->reply.trace_id = call->trace.trace_id;
    call->reply.span_id = call->trace.span_id;
    call->waiter.ready = credential_ready;
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

/* ---- Sending ---- */

/* The headers of the exchange but for the credential: ours, and what is forwarded. */
static bool build_headers(struct br_call *call, struct br_headers *out, struct br_status *st)
{
    struct br_header *items = br_arena_alloc(&call->arena, (2 + call->metadata.count) * sizeof *items);
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
    for (size_t i = 0; i < call->metadata.count; i++) {
        if (strcmp(call->metadata.items[i].name, BR_AUTH_TOKEN_KEY) != 0) {
            items[count++] = call->metadata.items[i];
        }
    }
    *out = (struct br_headers){.items = items, .count = count};
    return true;
}

/* Both lists as one; the credential's comes last. */
static bool join_headers(struct br_call *call, const struct br_headers *own,
                         const struct br_headers *credential, struct br_headers *out)
{
    size_t count = own->count + credential->count;
    struct br_header *items = br_arena_alloc(&call->arena, count * sizeof *items);
    if (items == NULL) {
        return false;
    }
    memcpy(items, own->items, own->count * sizeof *items);
    if (credential->count > 0) {
        memcpy(items + own->count, credential->items, credential->count * sizeof *items);
    }
    *out = (struct br_headers){.items = items, .count = count};
    return true;
}

static void send_request(struct br_call *call, const struct br_headers *headers)
{
    reset_exchange(call);
    struct br_http_exchange *exchange = &call->exchange;
    exchange->verb = call->rest.verb;
    exchange->url = call->rest.url;
    exchange->headers = *headers;
    exchange->body = call->rest.body;
    exchange->body_len = call->rest.body_len;
    exchange->keep = call->config->forward.headers.items;
    exchange->keep_count = call->config->forward.headers.count;
    exchange->deadline_ms = call->deadline_ms;
    exchange->max_body_bytes = call->config->max_response_bytes;
    exchange->wants_new_connection = call->had_broken;
    call->attempt_count++;
    move_to(call, BR_CALL_SENT);
    expect(call);
    call->config->http->submit(call->config->http, exchange);
}

static void reply_transport(struct br_call *call, enum br_transport_failure failure)
{
    struct br_error error;
    br_error_from_transport(failure, NULL, NULL, call->method, &error);
    reply_error(call, &error);
}

/* Gets a credential and sends, or waits for one, or replies. */
static void authorize(struct br_call *call)
{
    struct br_auth *auth = call->config->auth;
    struct br_headers own;
    struct br_headers credential;
    struct br_headers all;
    struct br_status st;
    struct br_error error;
    move_to(call, BR_CALL_AUTHORIZING);
    if (call->cancelled) {
        /* Nobody waits for it: an update that was not sent is better not sent at all. */
        reply_transport(call, BR_TRANSPORT_CANCELLED);
        return;
    }
    if (!build_headers(call, &own, &st)) {
        reply_status(call, &st);
        return;
    }
    struct br_auth_request request = {
        .verb = call->rest.verb,
        .url = call->rest.url,
        .headers = own,
        .body = call->rest.body,
        .body_len = call->rest.body_len,
        .metadata = &call->metadata,
    };
    atomic_store(&call->waiter_ready, false);
    switch (auth->apply(auth, &request, &call->waiter, &call->arena, &credential, &error)) {
    case BR_AUTH_REFUSED:
        reply_error(call, &error);
        break;
    case BR_AUTH_PENDING:
        expect(call);
        pause_until(call, call->deadline_ms);
        break;
    case BR_AUTH_GRANTED:
        if (join_headers(call, &own, &credential, &all)) {
            send_request(call, &all);
        } else {
            (void)br_arena_fail(&call->arena, &st);
            reply_status(call, &st);
        }
        break;
    }
}

/* Two things are waited for, the credential and the deadline: the first that comes ends the other. */
static void resume_authorizing(struct br_call *call)
{
    if (call->due_count > 0) {
        if (atomic_load(&call->waiter_ready)) {
            call->config->http->cancel(call->config->http, &call->exchange);
        } else {
            call->config->auth->cancel(call->config->auth, &call->waiter);
        }
    } else if (br_clock_now_ms(call->config->clock) >= call->deadline_ms && !call->cancelled) {
        reply_transport(call, BR_TRANSPORT_DEADLINE);
    } else {
        authorize(call);
    }
}

/* ---- The call ---- */

/* |timeout_ms| is what is left at |since_us|; the bridge's own limits count from the call's arrival. */
static int64_t deadline_ms(const struct br_call *call, int64_t timeout_ms)
{
    int64_t created_ms = call->created_us / 1000;
    int64_t deadline =
        timeout_ms >= 0 ? call->since_us / 1000 + timeout_ms : created_ms + call->config->default_timeout_ms;
    int64_t latest = created_ms + call->config->max_timeout_ms;
    return deadline < latest ? deadline : latest;
}

static bool read_metadata(struct br_call *call, const struct br_call_request *request, struct br_status *st)
{
    if (!br_forward_metadata(&call->config->forward, request->metadata, request->metadata_count, &call->arena,
                             &call->metadata, st)) {
        return false;
    }
    br_random_fn *fill = call->config->random != NULL ? call->config->random : arc4random_buf;
    br_trace_context_continue(&call->metadata, fill, &call->trace);
    return true;
}

void br_call_start(struct br_call *call, const struct br_call_request *request)
{
    assert(call->state == BR_CALL_RECEIVED);
    call->method = request->method;
    call->since_us = now_us(call);
    call->reply.request_bytes = request->len;
    call->deadline_ms = deadline_ms(call, request->timeout_ms);
    struct br_status st;
    /* The metadata first: a request that is refused belongs to its caller's trace as well. */
    if (!read_metadata(call, request, &st) ||
        !br_rest_request_build(call->method, &call->config->rest, request->bytes, request->len,
                               &call->violations, &call->warnings, &call->rest, &st)) {
        reply_status(call, &st);
        return;
    }
    br_retry_budget_earn(call->config->retries);
    authorize(call);
}

void br_call_refuse(struct br_call *call, const struct br_status *st)
{
    assert(call->state == BR_CALL_RECEIVED);
    reply_status(call, st);
}

void br_call_answer(struct br_call *call, uint8_t *bytes, size_t len)
{
    assert(call->state == BR_CALL_RECEIVED);
    call->reply.bytes = bytes;
    call->reply.len = len;
    send_reply(call);
}

/* Counts what an answer has beyond the schema, and passes it on. */
struct drift_counter {
    struct br_drift_observer observer; /* first */
    struct br_drift_observer *next;    /* NULL: nobody asks */
    struct br_call_metrics *metrics;
    size_t count;
};

static void count_drift(struct br_drift_observer *self, enum br_drift drift, const char *where,
                        const char *what)
{
    struct drift_counter *counter = (struct drift_counter *)self;
    counter->count++;
    br_call_metrics_drifted(counter->metrics, drift);
    if (counter->next != NULL) {
        counter->next->seen(counter->next, drift, where, what);
    }
}

static void reply_ok(struct br_call *call)
{
    const struct br_http_answer *answer = &call->exchange.answer;
    struct drift_counter drift = {
        .observer.seen = count_drift, .next = call->config->drift, .metrics = call->config->metrics};
    struct br_status st;
    if (!br_rest_response_read(call->method, answer->body, answer->body_len, &call->arena, &drift.observer,
                               &call->reply.bytes, &call->reply.len, &st)) {
        struct br_error error;
        br_error_from_unreadable(answer, &st, &call->arena, &error);
        error.request_id = call->request_id[0] != '\0' ? call->request_id : NULL;
        reply_error(call, &error);
        return;
    }
    if (drift.count > 0 && call->config->strict_drift) {
        free(call->reply.bytes);
        call->reply.bytes = NULL;
        (void)br_status_set(
            &st, BR_INTERNAL, "UPSTREAM_DRIFT",
            "the request was executed, but its answer has %zu keys or literals that the schema does "
            "not have (--upstream-drift=strict)",
            drift.count);
        reply_status(call, &st);
        return;
    }
    send_reply(call);
}

/* The error of an exchange that was not answered with a 2xx. */
static void read_failure(struct br_call *call, struct br_error *error)
{
    const struct br_http_exchange *exchange = &call->exchange;
    if (exchange->answered) {
        br_error_from_answer(&exchange->answer, call->method, call->config->errors,
                             call->config->clock->unix_s(call->config->clock), &call->arena, error);
        br_auth_hide(error->st.msg, &exchange->headers);
        if (error->is_unmapped) {
            br_call_metrics_drifted(call->config->metrics, BR_DRIFT_CODE);
        }
        if (error->is_unmapped && call->config->drift != NULL) {
            call->config->drift->seen(call->config->drift, BR_DRIFT_CODE, "error_code", error->st.reason);
        }
    } else {
        br_error_from_transport(exchange->failure, exchange->failure_name,
                                exchange->failure_text[0] != '\0' ? exchange->failure_text : NULL,
                                call->method, error);
        error->request_id = call->request_id[0] != '\0' ? call->request_id : NULL;
    }
}

/* The pause before the next attempt; -1: there is none. */
static int64_t retry_delay_ms(struct br_call *call, const struct br_error *error)
{
    struct br_retry_question question = {
        .exchange = &call->exchange,
        .idempotent = call->method->idempotency != BR_IDEMPOTENCY_UNKNOWN,
        .attempt = call->attempt_count,
        .max_attempts = call->config->max_attempts,
        .retry_after_ms = error->retry_after_ms,
        .remaining_ms = call->deadline_ms - call->since_us / 1000,
        .random = arc4random(),
    };
    return br_retry_delay_ms(call->config->retries, &question);
}

static void resume_failed(struct br_call *call)
{
    struct br_error error;
    read_failure(call, &error);
    if (!call->cancelled && call->exchange.answered && !call->tried_credential &&
        call->config->auth->rejected(call->config->auth, &call->waiter, &error)) {
        call->tried_credential = true;
        authorize(call);
        return;
    }
    int64_t delay_ms = call->cancelled ? -1 : retry_delay_ms(call, &error);
    if (delay_ms < 0) {
        reply_error(call, &error);
        return;
    }
    call->had_broken = !call->exchange.answered && call->exchange.failure == BR_TRANSPORT_BROKEN;
    br_call_metrics_retried(call->config->metrics, call->method);
    move_to(call, BR_CALL_BACKOFF);
    pause_until(call, call->since_us / 1000 + delay_ms);
}

/* Splits the time of the attempt in two where its request went out. */
static void count_exchange(struct br_call *call)
{
    const struct br_http_exchange *exchange = &call->exchange;
    struct br_call_times *times = &call->reply.times;
    bool was_sent = exchange->sent_us != 0;
    int64_t waited_us = (was_sent ? exchange->sent_us : exchange->ended_us) - call->since_us;
    int64_t upstream_us = was_sent ? exchange->ended_us - exchange->sent_us : 0;
    times->queue_us += waited_us;
    times->upstream_us += upstream_us;
    br_call_metrics_exchanged(call->config->metrics, exchange, was_sent ? upstream_us : waited_us);
}

static void resume_sent(struct br_call *call)
{
    const struct br_http_exchange *exchange = &call->exchange;
    count_exchange(call);
    call->since_us = now_us(call);
    const char *request_id = br_headers_find(&exchange->answer.headers, "x-request-id");
    if (request_id != NULL) {
        br_request_id_copy(request_id, call->request_id);
    }
    if (exchange->answered && exchange->answer.status >= 200 && exchange->answer.status < 300) {
        reply_ok(call);
    } else {
        resume_failed(call);
    }
}

void br_call_resume(struct br_call *call)
{
    assert(call->due_count > 0);
    call->due_count--;
    switch (call->state) {
    case BR_CALL_AUTHORIZING:
        resume_authorizing(call);
        break;
    case BR_CALL_SENT:
        resume_sent(call);
        break;
    case BR_CALL_BACKOFF:
        authorize(call);
        break;
    case BR_CALL_RECEIVED:
    case BR_CALL_REPLYING:
    case BR_CALL_DONE:
        assert(false); /* nothing is waited for in these */
    }
}

void br_call_cancel(struct br_call *call)
{
    if (!call->cancelled && call->due_count > 0) {
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
    return (now_us(call) - call->created_us) / 1000;
}
