/*
 * One call as gRPC core sees it: its batches and tags, and the br_call behind them.
 *
 * Private to bridge/serve/server*.c. Threads: the shard's completion-queue thread, but for br_slot_post().
 * Source:  bridge_conventions.md section 7.
 */
#ifndef BR_SERVE_SERVER_CALL_H
#define BR_SERVE_SERVER_CALL_H

#include "serve/call.h"
#include "serve/local.h"
#include "serve/recent_errors.h"
#include "serve/server_caller.h"
#include "serve/server_listen.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* Bytes of a call's metadata: the gateway takes headers of 32 KiB, a token may fill one. wire_facts.md section 3. */
#define BR_MAX_METADATA_BYTES (64 << 10)

struct br_slot;
struct br_stream; /* serve/server_local.h */

/* What a completion-queue event points at. */
struct br_tag {
    void (*run)(struct br_slot *slot, bool ok);
    struct br_slot *slot;
};

/* A call, from the request for it to its release. */
struct br_slot {
    struct br_call_host host; /* first: the host is the slot */
    struct br_shard *shard;
    grpc_call *core; /* NULL until a call came */
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    int core_cancelled;
    const struct br_method *method;
    const struct br_local_handler *handler; /* that answers it in the process; NULL: it goes upstream */
    struct br_stream *stream;               /* of a method that streams; NULL otherwise */
    bool sent_metadata;                     /* with the first message of a stream */
    size_t received_bytes; /* of messages that |call| has not seen: those of a local method */
    size_t sent_bytes;     /* likewise */
    struct br_call *call;
    atomic_long *counter;       /* the server's that this call was counted by; NULL: by none */
    char caller[BR_CALLER_CAP]; /* by its certificate; "": it needed none */
    unsigned pending_count;     /* tags that are still to come; the slot goes when there are none */

    TAILQ_ENTRY(br_slot) line; /* in |at_callers|, while |is_at_caller| */
    bool is_at_caller;
    int64_t at_caller_ms; /* since when, by the monotonic clock */

    struct br_tag arrived, received, closed, woken, replied;
};

struct br_shard {
    struct br_server *server;
    grpc_completion_queue *queue;
    struct br_http *http;
    struct br_call_config call; /* the server's, with this shard's client */
    unsigned missing_count;     /* requests for calls that could not be made; the thread's own */
    pthread_t thread;
    bool running;
    TAILQ_HEAD(, br_slot)
    at_callers; /* calls that wait for their message, or for their reply to be read; the longest first. Its thread's own */
    TAILQ_HEAD(, br_stream)
    leaving; /* streams that end once their caller has read what was sent; the oldest first. Its thread's own */
};

struct br_server {
    const struct br_contract *contract;
    grpc_server *core;
    struct br_shard *shards;
    size_t shard_count;
    struct br_listeners *listeners;
    struct br_texts allowed_callers;
    bool verifies_callers; /* those over TCP have a certificate */
    struct br_recent_errors *recent_errors;
    int64_t max_in_flight;
    const struct br_local_handler *handlers;
    size_t handler_count;
    atomic_long live_count;  /* calls that were taken and not yet released, but for those of local methods */
    atomic_long local_count; /* these */
    atomic_long slot_count;  /* those, and the requests for calls that core has not answered yet */

    /* The drain: over when core has stopped and the last slot is released. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool draining;     /* owner's thread only */
    bool core_stopped; /* under |lock| */

    TAILQ_HEAD(, br_stream) streams; /* under |lock|: those that are open */
    bool streams_end;                /* under |lock| */
};

/* Asks core for one more call on |shard|. Returns false without memory, or when the server is stopping. */
bool br_slot_request(struct br_shard *shard) BR_MUST_CHECK;

/* Asks for what could not be asked for when a call came, for want of memory. The shard's thread. */
void br_slot_make_up(struct br_shard *shard);

/* Starts a batch whose tag is counted; false when core refuses it, and then no tag comes. The shard's thread. */
bool br_slot_start(struct br_slot *slot, const grpc_op *ops, size_t count, struct br_tag *tag) BR_MUST_CHECK;

/* Every tag's handler ends here, and the slot with the last one. The shard's thread. */
void br_slot_tag_done(struct br_slot *slot);

/* Answers the call with an error of our own. The shard's thread. */
void br_slot_refuse(struct br_slot *slot, enum br_code code, const char *reason, const char *message);

/*
 * One slice for a whole message; the usual one comes as a single slice and is not copied.
 * |out| released with grpc_slice_unref().
 * Returns false when the message cannot be read.
 */
bool br_slot_message(grpc_byte_buffer *buffer, grpc_slice *out) BR_MUST_CHECK;

/* Ends the calls whose caller took longer than the default timeout to send its message, or to read the reply. The shard's thread. */
void br_slot_end_overdue(struct br_shard *shard);

/* A slot was released: wakes who waits for the drain. Any shard's thread. */
void br_server_slot_released(struct br_server *server);

#endif
