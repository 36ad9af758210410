/*
 * One call as gRPC core sees it: its batches and tags, and the br_call behind them.
 *
 * Private to bridge/serve/server*.c. Threads: the shard's completion-queue thread, but for br_slot_post().
 * Source:  bridge_conventions.md section 7.
 */
#ifndef BR_SERVE_SERVER_CALL_H
#define BR_SERVE_SERVER_CALL_H

#include "serve/call.h"
#include "serve/recent_errors.h"
#include "serve/server_listen.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

struct br_slot;

/* What a completion-queue event points at. */
struct br_tag {
    void (*run)(struct br_slot *slot, bool ok);
    struct br_slot *slot;
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
    receiving; /* calls whose message has not come; the oldest first. Its thread's own */
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
    atomic_long live_count; /* calls that were taken and not yet released */
    atomic_long slot_count; /* those, and the requests for calls that core has not answered yet */

    /* The drain: over when core has stopped and the last slot is released. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool draining;     /* owner's thread only */
    bool core_stopped; /* under |lock| */
};

/* Asks core for one more call on |shard|. Returns false without memory, or when the server is stopping. */
bool br_slot_request(struct br_shard *shard) BR_MUST_CHECK;

/* Ends the calls whose message took longer than the default timeout. The shard's thread. */
void br_slot_end_overdue(struct br_shard *shard);

/* A slot was released: wakes who waits for the drain. Any shard's thread. */
void br_server_slot_released(struct br_server *server);

#endif
