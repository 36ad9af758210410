#include "serve/server_local.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How long a stream that ends waits for its caller to read the last reply. */
#define LEAVE_MS 1000

struct br_stream {
    struct br_slot *slot;
    struct br_tag received, sent, woken;
    grpc_byte_buffer *incoming;

    bool is_reading; /* |received| is to come */
    bool is_sending; /* |sent| is to come */
    bool is_ending;  /* with |end|, as soon as nothing is being sent */
    bool has_ended;
    struct br_status end; /* code BR_OK: without an error */

    /* Of a method that streams replies alone: its request, and the reply that was sent last. */
    uint8_t *request;
    size_t request_len;
    struct br_buf last;

    /*
     * While it is open, other threads may wake it: whoever holds the server's lock or that of what is watched.
     * |pending_count| of the slot has one more then, for the tag of at most one wake.
     */
    bool is_open;
    atomic_bool is_woken;
    struct br_health_watcher watcher;
    TAILQ_ENTRY(br_stream) line; /* in the server's |streams| */

    TAILQ_ENTRY(br_stream) leaving_line; /* in the shard's |leaving|, while |is_leaving| */
    bool is_leaving;
    int64_t leaving_ms;
};

static int64_t now_ms(const struct br_stream *stream)
{
    return br_clock_now_ms(stream->slot->shard->call.clock);
}

/* Answers one request; |reply| to be finished on success. */
static bool make_reply(const struct br_local_handler *handler, const uint8_t *bytes, size_t len,
                       struct br_buf *reply, struct br_status *st)
{
    if (len > BR_LOCAL_MAX_REQUEST_BYTES) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                             "the request has %zu bytes, and a request of this method at most %d", len,
                             BR_LOCAL_MAX_REQUEST_BYTES);
    }
    br_buf_init(reply, BR_LOCAL_MAX_REPLY_BYTES);
    bool made = handler->answer(handler->context, bytes, len, reply, st);
    /* An empty message too has bytes of its own. */
    if (made && br_buf_append(reply, "", 0) != BR_BUF_OK) {
        made = br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the call");
    }
    if (!made) {
        br_buf_finish(reply);
    }
    return made;
}

/* ---- Waking ---- */

/* On any thread, under a lock that close_stream() takes. */
static void wake(struct br_stream *stream)
{
    if (!atomic_exchange(&stream->is_woken, true)) {
        grpc_call_error error = grpc_call_start_batch(stream->slot->core, NULL, 0, &stream->woken, NULL);
        assert(error == GRPC_CALL_OK);
        (void)error;
    }
}

static void on_change(struct br_health_watcher *watcher)
{
    wake((struct br_stream *)((char *)watcher - offsetof(struct br_stream, watcher)));
}

/* Lets others wake it; false when the server is ending its streams. */
static bool open_stream(struct br_stream *stream)
{
    struct br_server *server = stream->slot->shard->server;
    pthread_mutex_lock(&server->lock);
    bool opens = !server->streams_end;
    if (opens) {
        TAILQ_INSERT_TAIL(&server->streams, stream, line);
    }
    pthread_mutex_unlock(&server->lock);
    if (opens) {
        stream->is_open = true;
        stream->slot->pending_count++;
        if (stream->slot->handler->watched != NULL) {
            br_health_watch(stream->slot->handler->watched, &stream->watcher);
        }
    }
    return opens;
}

static void close_stream(struct br_stream *stream)
{
    struct br_slot *slot = stream->slot;
    if (!stream->is_open) {
        return;
    }
    stream->is_open = false;
    if (slot->handler->watched != NULL) {
        br_health_unwatch(slot->handler->watched, &stream->watcher);
    }
    pthread_mutex_lock(&slot->shard->server->lock);
    TAILQ_REMOVE(&slot->shard->server->streams, stream, line);
    pthread_mutex_unlock(&slot->shard->server->lock);
    /* Nobody wakes it any more. A tag that is on its way is counted down when it comes. */
    if (!atomic_load(&stream->is_woken)) {
        br_slot_tag_done(slot);
    }
}

/* ---- Steps ---- */

static void stop_leaving(struct br_stream *stream)
{
    if (stream->is_leaving) {
        TAILQ_REMOVE(&stream->slot->shard->leaving, stream, leaving_line);
        stream->is_leaving = false;
    }
}

static void end_with(struct br_stream *stream, enum br_code code, const char *reason, const char *message)
{
    if (!stream->is_ending) {
        (void)br_status_set(&stream->end, code, reason, "%s", message);
        stream->is_ending = true;
    }
}

static void end_cancelled(struct br_stream *stream)
{
    end_with(stream, BR_CANCELLED, "CALLER_CANCELLED", "the caller left");
}

/* Nothing is being sent: the reply that ends the call. */
static void finish(struct br_stream *stream)
{
    struct br_slot *slot = stream->slot;
    stream->has_ended = true;
    close_stream(stream);
    if (stream->end.code == BR_OK) {
        br_call_answer(slot->call, NULL, 0);
    } else {
        br_call_refuse(slot->call, &stream->end);
    }
}

static void send_message(struct br_stream *stream, const struct br_buf *reply)
{
    struct br_slot *slot = stream->slot;
    grpc_slice bytes = grpc_slice_from_copied_buffer(reply->data, reply->len);
    grpc_byte_buffer *payload = grpc_raw_byte_buffer_create(&bytes, 1);
    grpc_op ops[2];
    memset(ops, 0, sizeof ops);
    size_t count = 0;
    if (!slot->sent_metadata) {
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count++].data.send_message.send_message = payload;
    stream->is_sending = br_slot_start(slot, ops, count, &stream->sent);
    if (stream->is_sending) {
        slot->sent_metadata = true;
        slot->sent_bytes += reply->len;
    } else {
        end_with(stream, BR_INTERNAL, "GRPC_FAILED", "the reply could not be sent");
    }
    grpc_byte_buffer_destroy(payload);
    grpc_slice_unref(bytes);
}

/* An error is the stream's end. */
static bool answer(struct br_stream *stream, const uint8_t *bytes, size_t len, struct br_buf *reply)
{
    if (!make_reply(stream->slot->handler, bytes, len, reply, &stream->end)) {
        stream->is_ending = true;
        return false;
    }
    return true;
}

/* Sends the answer to the one request where it is another than the last. */
static void answer_again(struct br_stream *stream)
{
    struct br_buf reply;
    if (!answer(stream, stream->request, stream->request_len, &reply)) {
        return;
    }
    if (stream->last.data == NULL || reply.len != stream->last.len ||
        memcmp(reply.data, stream->last.data, reply.len) != 0) {
        send_message(stream, &reply);
    }
    br_buf_finish(&stream->last);
    stream->last = reply;
}

static void read_next(struct br_stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &stream->incoming;
    stream->is_reading = br_slot_start(stream->slot, &op, 1, &stream->received);
    if (!stream->is_reading) {
        end_with(stream, BR_INTERNAL, "GRPC_FAILED", "the request could not be received");
    }
}

/* Does what can be done now. */
static void step(struct br_stream *stream)
{
    if (stream->has_ended) {
        return;
    }
    /* The caller learns of the last change also when the stream is about to end. */
    if (!stream->is_sending && stream->request != NULL && stream->end.code != BR_CANCELLED) {
        answer_again(stream);
    }
    if (!stream->is_sending && !stream->is_ending && !stream->is_reading && stream->request == NULL) {
        read_next(stream);
    }
    if (stream->is_ending && !stream->is_sending) {
        finish(stream);
    } else if (stream->is_ending && !stream->is_leaving) {
        stream->is_leaving = true;
        stream->leaving_ms = now_ms(stream);
        TAILQ_INSERT_TAIL(&stream->slot->shard->leaving, stream, leaving_line);
    }
}

/* ---- Tags ---- */

static void on_sent(struct br_slot *slot, bool ok)
{
    struct br_stream *stream = slot->stream;
    stream->is_sending = false;
    stop_leaving(stream);
    if (!ok) {
        end_cancelled(stream);
    }
    step(stream);
    br_slot_tag_done(slot);
}

static void on_woken(struct br_slot *slot, bool ok)
{
    (void)ok;
    struct br_stream *stream = slot->stream;
    if (!stream->is_open) {
        br_slot_tag_done(slot); /* that of the waking */
        return;
    }
    /* Its count stays with the stream while that is open; this one is for here. */
    slot->pending_count++;
    /* Before anything is looked at: what changes from here on wakes it again. */
    atomic_store(&stream->is_woken, false);
    struct br_server *server = slot->shard->server;
    pthread_mutex_lock(&server->lock);
    bool ends = server->streams_end;
    pthread_mutex_unlock(&server->lock);
    if (ends) {
        end_with(stream, BR_UNAVAILABLE, "DRAINING", "the bridge is shutting down");
    }
    step(stream);
    br_slot_tag_done(slot);
}

/* The answer to one of many requests. */
static void take_message(struct br_stream *stream, grpc_slice message)
{
    struct br_buf reply;
    stream->slot->received_bytes += GRPC_SLICE_LENGTH(message);
    if (answer(stream, GRPC_SLICE_START_PTR(message), GRPC_SLICE_LENGTH(message), &reply)) {
        send_message(stream, &reply);
        br_buf_finish(&reply);
    }
}

static void on_received(struct br_slot *slot, bool ok)
{
    struct br_stream *stream = slot->stream;
    stream->is_reading = false;
    grpc_slice message;
    if (stream->has_ended || stream->is_ending) {
        /* Too late for an answer. */
    } else if (stream->incoming == NULL && ok) {
        stream->is_ending = true; /* the caller has sent its last: with OK */
    } else if (stream->incoming == NULL) {
        end_cancelled(stream);
    } else if (!br_slot_message(stream->incoming, &message)) {
        end_with(stream, BR_INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the request message cannot be read");
    } else {
        take_message(stream, message);
        grpc_slice_unref(message);
    }
    grpc_byte_buffer_destroy(stream->incoming);
    stream->incoming = NULL;
    step(stream);
    br_slot_tag_done(slot);
}

/* ---- Calls ---- */

/* NULL, with the call refused: without memory, or because the server ends its streams. */
static struct br_stream *create_stream(struct br_slot *slot)
{
    struct br_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        br_slot_refuse(slot, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the call");
        return NULL;
    }
    stream->slot = slot;
    stream->received = (struct br_tag){on_received, slot};
    stream->sent = (struct br_tag){on_sent, slot};
    stream->woken = (struct br_tag){on_woken, slot};
    stream->watcher.changed = on_change;
    slot->stream = stream;
    return stream;
}

/* The first step of a stream that is whole. */
static void start_stream(struct br_stream *stream)
{
    if (!open_stream(stream)) {
        end_with(stream, BR_UNAVAILABLE, "DRAINING", "the bridge is shutting down");
    }
    step(stream);
}

void br_stream_open(struct br_slot *slot)
{
    struct br_stream *stream = create_stream(slot);
    if (stream != NULL) {
        start_stream(stream);
    }
}

/* The replies to one request, from now on. */
static void start_watch(struct br_slot *slot, const uint8_t *bytes, size_t len)
{
    uint8_t *request = malloc(len + 1);
    if (request == NULL) {
        br_slot_refuse(slot, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the call");
        return;
    }
    struct br_stream *stream = create_stream(slot);
    if (stream == NULL) {
        free(request);
        return;
    }
    if (len > 0) {
        memcpy(request, bytes, len);
    }
    stream->request = request;
    stream->request_len = len;
    start_stream(stream);
}

/* The reply to one request. */
static void reply_once(struct br_slot *slot, const uint8_t *bytes, size_t len)
{
    struct br_buf reply;
    struct br_status st;
    if (make_reply(slot->handler, bytes, len, &reply, &st)) {
        br_call_answer(slot->call, (uint8_t *)reply.data, reply.len);
    } else {
        br_call_refuse(slot->call, &st);
    }
}

void br_local_take(struct br_slot *slot, grpc_slice message)
{
    const uint8_t *bytes = GRPC_SLICE_START_PTR(message);
    size_t len = GRPC_SLICE_LENGTH(message);
    slot->received_bytes += len;
    if (slot->core_cancelled) {
        br_slot_refuse(slot, BR_CANCELLED, "CALLER_CANCELLED", "the caller left");
    } else if (slot->handler->watched != NULL) {
        start_watch(slot, bytes, len);
    } else {
        reply_once(slot, bytes, len);
    }
}

void br_stream_cancel(struct br_stream *stream)
{
    end_cancelled(stream);
    step(stream);
}

void br_stream_end_all(struct br_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->streams_end = true;
    struct br_stream *stream;
    TAILQ_FOREACH(stream, &server->streams, line)
    {
        wake(stream);
    }
    pthread_mutex_unlock(&server->lock);
}

void br_stream_end_stuck(struct br_shard *shard)
{
    struct br_stream *stream;
    while ((stream = TAILQ_FIRST(&shard->leaving)) != NULL &&
           now_ms(stream) - stream->leaving_ms >= LEAVE_MS) {
        stop_leaving(stream);
        assert(stream->end.code != BR_OK); /* a stream that has a request under way cannot end with it */
        /* Its |sent| follows. */
        grpc_call_cancel_with_status(stream->slot->core, (grpc_status_code)stream->end.code, stream->end.msg,
                                     NULL);
    }
}

void br_stream_destroy(struct br_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    assert(!stream->is_open && !stream->is_leaving);
    grpc_byte_buffer_destroy(stream->incoming);
    br_buf_finish(&stream->last);
    free(stream->request);
    free(stream);
}
