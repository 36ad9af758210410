#include "serve/server_call.h"

#include "base/log.h"
#include "serve/server_local.h"

#include <assert.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void slot_release(struct br_slot *slot)
{
    struct br_server *server = slot->shard->server;
    br_stream_destroy(slot->stream);
    br_call_destroy(slot->call);
    grpc_byte_buffer_destroy(slot->request);
    grpc_metadata_array_destroy(&slot->metadata);
    grpc_call_details_destroy(&slot->details);
    if (slot->core != NULL) {
        grpc_call_unref(slot->core);
    }
    if (slot->counter != NULL) {
        atomic_fetch_sub(slot->counter, 1);
    }
    free(slot);
    br_server_slot_released(server);
}

void br_slot_tag_done(struct br_slot *slot)
{
    assert(slot->pending_count > 0);
    if (--slot->pending_count == 0) {
        slot_release(slot);
    }
}

bool br_slot_start(struct br_slot *slot, const grpc_op *ops, size_t count, struct br_tag *tag)
{
    grpc_call_error error = grpc_call_start_batch(slot->core, ops, count, tag, NULL);
    if (error != GRPC_CALL_OK) {
        BR_LOG(BR_LOG_ERROR, "grpc_batch_refused", br_log_number("error", error));
        return false;
    }
    slot->pending_count++;
    return true;
}

static int64_t remaining_ms(gpr_timespec deadline)
{
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
        return -1;
    }
    int32_t left = gpr_time_to_millis(gpr_time_sub(deadline, gpr_now(deadline.clock_type)));
    return left > 0 ? left : 0;
}

/* A caller that neither reads nor leaves would hold its call, with the reply, for good. Core itself ends those with a deadline. */
static void wait_for_caller(struct br_slot *slot)
{
    const struct br_call_config *config = &slot->shard->call;
    int64_t left_ms = remaining_ms(slot->details.deadline);
    if (left_ms < 0 || left_ms > config->max_timeout_ms) {
        slot->at_caller_ms = br_clock_now_ms(config->clock);
        TAILQ_INSERT_TAIL(&slot->shard->at_callers, slot, line);
        slot->is_at_caller = true;
    }
}

static void stop_waiting_for_caller(struct br_slot *slot)
{
    if (slot->is_at_caller) {
        TAILQ_REMOVE(&slot->shard->at_callers, slot, line);
        slot->is_at_caller = false;
    }
}

void br_slot_end_overdue(struct br_shard *shard)
{
    if (TAILQ_EMPTY(&shard->at_callers)) {
        return; /* the usual case: no look at the clock for each event */
    }
    int64_t latest_ms = br_clock_now_ms(shard->call.clock) - shard->call.default_timeout_ms;
    struct br_slot *slot;
    while ((slot = TAILQ_FIRST(&shard->at_callers)) != NULL && slot->at_caller_ms <= latest_ms) {
        stop_waiting_for_caller(slot);
        bool replied = br_call_state(slot->call) == BR_CALL_REPLYING;
        if (replied) {
            BR_LOG(BR_LOG_WARN, "reply_not_read",
                   br_log_text("method", slot->method != NULL ? slot->method->name : "other"));
        }
        /* Its |received| or |replied|, and |closed|, follow. */
        grpc_call_cancel_with_status(slot->core, GRPC_STATUS_DEADLINE_EXCEEDED,
                                     replied ? "the reply was not read within --default-timeout"
                                             : "the request message did not arrive within --default-timeout",
                                     NULL);
    }
}

static grpc_slice text_slice(const char *text)
{
    return grpc_slice_from_copied_string(text);
}

static void log_call(const struct br_slot *slot, const struct br_reply *reply)
{
    /* Probes come every few seconds. */
    enum br_log_level level = slot->handler != NULL ? BR_LOG_DEBUG : BR_LOG_INFO;
    if (!br_log_enabled(level)) {
        return;
    }
    const struct br_call_times *times = &reply->times;
    const struct br_log_field fields[] = {
        br_log_text("method", slot->method != NULL ? slot->method->name : "other"),
        br_log_text("code", br_code_name(reply->code)),
        br_log_text("reason", reply->reason),
        br_log_ms("duration_ms", times->total_us),
        br_log_ms("translate_ms", times->translate_us),
        br_log_ms("credential_ms", times->credential_us),
        br_log_ms("queue_ms", times->queue_us),
        br_log_ms("upstream_ms", times->upstream_us),
        br_log_number("attempts", reply->attempt_count),
        br_log_number("request_bytes", (int64_t)(reply->request_bytes + slot->received_bytes)),
        br_log_number("response_bytes", (int64_t)(reply->len + slot->sent_bytes)),
    };
    const struct br_log_field optional[] = {
        br_log_text("request_id", reply->request_id),
        br_log_text("trace_id", reply->trace_id),
        br_log_text("span_id", reply->span_id),
        br_log_text("caller", slot->caller),
    };
    struct br_log_field all[sizeof fields / sizeof fields[0] + sizeof optional / sizeof optional[0]];
    memcpy(all, fields, sizeof fields);
    size_t count = sizeof fields / sizeof fields[0];
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        if (optional[i].text[0] != '\0') {
            all[count++] = optional[i];
        }
    }
    br_log(level, "call", all, count);
}

/* For the status page. What the bridge answers itself, such as health, would push out the calls. */
static void keep_error(const struct br_slot *slot, const struct br_reply *reply)
{
    const struct br_method *method = slot->method;
    if (reply->code == BR_OK || (method != NULL && method->verb == NULL)) {
        return;
    }
    const struct br_clock *clock = slot->shard->call.clock;
    struct br_recent_error error = {
        .unix_s = clock->unix_s(clock),
        .method = method != NULL ? method->name : "other",
        .code = reply->code,
        .duration_ms = reply->times.total_us / 1000,
    };
    (void)snprintf(error.reason, sizeof error.reason, "%s", reply->reason);
    (void)snprintf(error.request_id, sizeof error.request_id, "%s", reply->request_id);
    (void)snprintf(error.trace_id, sizeof error.trace_id, "%s", reply->trace_id);
    br_recent_errors_add(slot->shard->server->recent_errors, &error);
}

/* Sends everything in one batch. Core takes references of what it needs before the call returns. */
static void slot_reply(struct br_call_host *host, struct br_call *call, const struct br_reply *reply)
{
    struct br_slot *slot = (struct br_slot *)host;
    log_call(slot, reply);
    keep_error(slot, reply);
    const struct br_call_end end = {.code = reply->code,
                                    .duration_us = reply->times.total_us,
                                    .request_bytes = reply->request_bytes + slot->received_bytes,
                                    .response_bytes = reply->len + slot->sent_bytes};
    br_call_metrics_ended(slot->shard->call.metrics, slot->method, &end);
    grpc_metadata trailers[BR_CALL_TRAILERS_MAX];
    memset(trailers, 0, sizeof trailers);
    for (size_t i = 0; i < reply->trailer_count; i++) {
        trailers[i].key = grpc_slice_from_static_string(reply->trailers[i].key);
        trailers[i].value = grpc_slice_from_copied_buffer(reply->trailers[i].value, reply->trailers[i].len);
    }
    grpc_slice message = text_slice(reply->message);
    grpc_byte_buffer *payload = NULL;
    if (reply->bytes != NULL) {
        grpc_slice bytes = grpc_slice_new(reply->bytes, reply->len, free);
        payload = grpc_raw_byte_buffer_create(&bytes, 1);
        grpc_slice_unref(bytes);
    }
    grpc_op ops[3];
    memset(ops, 0, sizeof ops);
    size_t count = 0;
    if (!slot->sent_metadata) {
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    if (payload != NULL) {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = payload;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = (grpc_status_code)reply->code;
    ops[count].data.send_status_from_server.status_details = &message;
    ops[count].data.send_status_from_server.trailing_metadata = trailers;
    ops[count++].data.send_status_from_server.trailing_metadata_count = reply->trailer_count;
    bool started = br_slot_start(slot, ops, count, &slot->replied);
    grpc_byte_buffer_destroy(payload);
    grpc_slice_unref(message);
    for (size_t i = 0; i < reply->trailer_count; i++) {
        grpc_slice_unref(trailers[i].value);
    }
    if (!started) {
        /* Else the caller would wait for its deadline, and the slot for the caller. */
        grpc_call_cancel_with_status(slot->core, GRPC_STATUS_INTERNAL, "the reply could not be sent", NULL);
        br_call_replied(call);
        return;
    }
    wait_for_caller(slot);
}

/* The tag of a post comes on this thread, so it is counted in time. */
static void slot_expect(struct br_call_host *host, struct br_call *call)
{
    (void)call;
    ((struct br_slot *)host)->pending_count++;
}

/* On any thread: an empty batch brings the call back to its own. */
static void slot_post(struct br_call_host *host, struct br_call *call)
{
    (void)call;
    struct br_slot *slot = (struct br_slot *)host;
    grpc_call_error error = grpc_call_start_batch(slot->core, NULL, 0, &slot->woken, NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

/* |ok| is false where the caller has gone meanwhile: nothing to do about it. */
static void on_replied(struct br_slot *slot, bool ok)
{
    (void)ok;
    stop_waiting_for_caller(slot);
    br_call_replied(slot->call);
    br_slot_tag_done(slot);
}

static void on_woken(struct br_slot *slot, bool ok)
{
    (void)ok;
    br_call_resume(slot->call);
    br_slot_tag_done(slot);
}

static void on_closed(struct br_slot *slot, bool ok)
{
    (void)ok;
    if (slot->core_cancelled && slot->stream != NULL) {
        br_stream_cancel(slot->stream);
    } else if (slot->core_cancelled) {
        br_call_cancel(slot->call);
    }
    br_slot_tag_done(slot);
}

static void start_call(struct br_slot *slot, struct br_metadatum *metadata, grpc_slice message)
{
    for (size_t i = 0; i < slot->metadata.count; i++) {
        const grpc_metadata *entry = &slot->metadata.metadata[i];
        metadata[i] = (struct br_metadatum){.key = (const char *)GRPC_SLICE_START_PTR(entry->key),
                                            .key_len = GRPC_SLICE_LENGTH(entry->key),
                                            .value = (const char *)GRPC_SLICE_START_PTR(entry->value),
                                            .value_len = GRPC_SLICE_LENGTH(entry->value)};
    }
    struct br_call_request request = {
        .method = slot->method,
        .metadata = metadata,
        .metadata_count = slot->metadata.count,
        .timeout_ms = remaining_ms(slot->details.deadline),
        .bytes = GRPC_SLICE_START_PTR(message),
        .len = GRPC_SLICE_LENGTH(message),
    };
    br_call_start(slot->call, &request);
}

void br_slot_refuse(struct br_slot *slot, enum br_code code, const char *reason, const char *message)
{
    struct br_status st;
    (void)br_status_set(&st, code, reason, "%s", message);
    br_call_refuse(slot->call, &st);
}

bool br_slot_message(grpc_byte_buffer *buffer, grpc_slice *out)
{
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (buffer->data.raw.compression == GRPC_COMPRESS_NONE && slices->count == 1) {
        *out = grpc_slice_ref(slices->slices[0]);
        return true;
    }
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        return false;
    }
    *out = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    return true;
}

static void on_received(struct br_slot *slot, bool ok)
{
    (void)ok;
    stop_waiting_for_caller(slot);
    grpc_slice message;
    if (slot->request == NULL) {
        br_slot_refuse(slot, BR_INVALID_ARGUMENT, "MESSAGE_MISSING",
                       "no request message arrived: none was sent, or it was above --max-request-bytes");
    } else if (!br_slot_message(slot->request, &message)) {
        br_slot_refuse(slot, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the request message cannot be read");
    } else if (slot->handler != NULL) {
        br_local_take(slot, message);
        grpc_slice_unref(message);
    } else {
        struct br_metadatum *metadata = malloc((slot->metadata.count + 1) * sizeof *metadata);
        if (metadata == NULL) {
            br_slot_refuse(slot, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the call");
        } else {
            start_call(slot, metadata, message);
            free(metadata);
        }
        grpc_slice_unref(message);
    }
    /* A call may wait long for upstream, and needs its message no more. */
    grpc_byte_buffer_destroy(slot->request);
    slot->request = NULL;
    br_slot_tag_done(slot);
}

static void receive(struct br_slot *slot)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &slot->request;
    if (!br_slot_start(slot, &op, 1, &slot->received)) {
        br_slot_refuse(slot, BR_INTERNAL, "GRPC_FAILED", "the request could not be received");
        return;
    }
    wait_for_caller(slot);
}

/* Watches for the end: a caller that leaves, or whose deadline passes. */
static void watch_close(struct br_slot *slot)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &slot->core_cancelled;
    bool watched = br_slot_start(slot, &op, 1, &slot->closed);
    (void)watched; /* without it, the call ends at the bridge's own deadline */
}

/* Before its message is read: a caller who may not call costs no more than that. */
static bool check_caller(struct br_slot *slot, struct br_status *st)
{
    const struct br_server *server = slot->shard->server;
    if (!server->verifies_callers) {
        return true;
    }
    grpc_auth_context *context = grpc_call_auth_context(slot->core);
    bool allowed = br_caller_check(context, &server->allowed_callers, slot->caller, st);
    grpc_auth_context_release(context);
    return allowed;
}

/*
 * Core holds a caller to the ceiling only once that has acknowledged the settings which tell it, and in each frame by
 * itself; and a header of kilobytes takes a byte when it is sent again.
 * Source: RFC 9113 section 6.5.2 for what an entry counts.
 */
static bool check_metadata(const struct br_slot *slot, struct br_status *st)
{
    size_t bytes = 0;
    for (size_t i = 0; i < slot->metadata.count; i++) {
        const grpc_metadata *entry = &slot->metadata.metadata[i];
        bytes += GRPC_SLICE_LENGTH(entry->key) + GRPC_SLICE_LENGTH(entry->value) + 32;
    }
    return bytes <= BR_MAX_METADATA_BYTES ||
           br_status_set(st, BR_RESOURCE_EXHAUSTED, "METADATA_TOO_LARGE",
                         "the call's metadata has %zu bytes; at most %d are accepted", bytes,
                         BR_MAX_METADATA_BYTES);
}

/* Returns how many calls there are now, this one included: of local methods, or of all others. */
static long count_call(struct br_slot *slot)
{
    struct br_server *server = slot->shard->server;
    slot->counter = slot->handler != NULL ? &server->local_count : &server->live_count;
    return atomic_fetch_add(slot->counter, 1) + 1;
}

static bool admit(struct br_slot *slot, long count, struct br_status *st)
{
    if (slot->handler != NULL) {
        return count <= BR_LOCAL_MAX_CALLS ||
               br_status_set(
                   st, BR_RESOURCE_EXHAUSTED, "TOO_MANY_LOCAL_CALLS",
                   "the bridge has as many calls of methods that it answers itself as it takes, %d; "
                   "try again later",
                   BR_LOCAL_MAX_CALLS);
    }
    if (count <= slot->shard->server->max_in_flight) {
        return true;
    }
    br_call_metrics_refused_overload(slot->shard->call.metrics);
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS",
                         "the bridge has as many calls in flight as --max-in-flight allows; try again later");
}

static void take_call(struct br_slot *slot)
{
    struct br_server *server = slot->shard->server;
    const char *path = (const char *)GRPC_SLICE_START_PTR(slot->details.method);
    size_t len = GRPC_SLICE_LENGTH(slot->details.method);
    slot->method = br_contract_find(server->contract, path, len);
    if (slot->method != NULL) {
        slot->handler = br_local_find(server->handlers, server->handler_count, slot->method);
    }
    long count = count_call(slot);
    br_call_metrics_started(slot->shard->call.metrics, slot->method);
    watch_close(slot);
    struct br_status st;
    if (!check_caller(slot, &st)) {
        br_call_metrics_refused_caller(slot->shard->call.metrics);
        br_call_refuse(slot->call, &st);
    } else if (slot->method == NULL) {
        (void)br_status_set(&st, BR_UNIMPLEMENTED, "METHOD_UNKNOWN", "the bridge has no method %.*s",
                            (int)(len < 256 ? len : 256), path);
        br_call_refuse(slot->call, &st);
    } else if (!check_metadata(slot, &st) || !admit(slot, count, &st)) {
        br_call_refuse(slot->call, &st);
    } else if (slot->method->client_streaming) {
        br_stream_open(slot);
    } else {
        receive(slot);
    }
}

static void on_arrived(struct br_slot *slot, bool ok)
{
    if (!ok) {
        br_slot_tag_done(slot); /* the server is stopping */
        return;
    }
    struct br_shard *shard = slot->shard;
    if (!br_slot_request(shard)) {
        shard->missing_count++; /* made up for when there is memory; or the server is stopping */
    }
    slot->call = br_call_create(&shard->call, &slot->host);
    if (slot->call == NULL) {
        grpc_call_cancel_with_status(slot->core, GRPC_STATUS_RESOURCE_EXHAUSTED, "no memory for the call",
                                     NULL);
    } else {
        take_call(slot);
    }
    br_slot_tag_done(slot);
}

bool br_slot_request(struct br_shard *shard)
{
    struct br_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return false;
    }
    atomic_fetch_add(&shard->server->slot_count, 1);
    slot->host = (struct br_call_host){.expect = slot_expect, .post = slot_post, .reply = slot_reply};
    slot->shard = shard;
    slot->arrived = (struct br_tag){on_arrived, slot};
    slot->received = (struct br_tag){on_received, slot};
    slot->closed = (struct br_tag){on_closed, slot};
    slot->woken = (struct br_tag){on_woken, slot};
    slot->replied = (struct br_tag){on_replied, slot};
    grpc_call_details_init(&slot->details);
    grpc_metadata_array_init(&slot->metadata);
    slot->pending_count = 1; /* before the request: its tag may come on another thread at once */
    if (grpc_server_request_call(shard->server->core, &slot->core, &slot->details, &slot->metadata,
                                 shard->queue, shard->queue, &slot->arrived) != GRPC_CALL_OK) {
        slot_release(slot);
        return false;
    }
    return true;
}

void br_slot_make_up(struct br_shard *shard)
{
    while (shard->missing_count > 0 && br_slot_request(shard)) {
        shard->missing_count--;
    }
}
