/*
 * The gRPC server: listens, takes calls, runs each in its shard, drains.
 *
 * A shard is a completion-queue thread and an HTTP client with its thread; a call lives in one shard.
 *
 * Threads: create, drain, cancel_all and destroy by the owner (the main thread).
 * Owns:    the shards, their HTTP clients and threads.
 * Source:  bridge_conventions.md section 7; DESIGN.md section 4.
 */
#ifndef BR_SERVE_SERVER_H
#define BR_SERVE_SERVER_H

#include "serve/call.h"
#include "serve/local.h"
#include "serve/recent_errors.h"
#include "serve/server_listen.h"
#include "upstream/http_curl.h"

/* The connections of callers; all times in milliseconds. Source: gRPC core, grpc_types.h, channel arguments. */
struct br_server_connections {
    int64_t keepalive_time_ms; /* without traffic, until a ping; 0: never */
    int64_t keepalive_timeout_ms;
    int64_t max_age_ms; /* until the caller is told to connect anew, give or take a tenth; 0: no limit */
    int64_t max_age_grace_ms;
};

struct br_server_config {
    struct br_listen_config listen;
    struct br_server_connections connections;
    int64_t shards;           /* 1 or more */
    int64_t max_in_flight;    /* calls at a time, over all shards; further ones are refused */
    size_t max_request_bytes; /* of one message */
    struct br_http_curl_config http;
    struct br_call_config call;              /* |http| is filled in by each shard */
    const struct br_local_handler *handlers; /* of the methods that are answered in the process */
    size_t handler_count;
    struct br_recent_errors *recent_errors; /* NULL: nobody keeps them */
};

struct br_server;

/*
 * Binds every address, starts the shards and takes calls.
 * |contract| kept until br_server_destroy().
 * |config|   copied; what it points at is kept as long.
 * |out|      returned; release with br_server_destroy(). Nothing is left running after a failure.
 * Errors:    INVALID_ARGUMENT/BAD_SETTING as br_listeners_create()
 *            INTERNAL/CONTRACT_INVALID    as br_local_check()
 *            RESOURCE_EXHAUSTED/OUT_OF_MEMORY, INTERNAL/CURL_INIT
 */
bool br_server_create(const struct br_contract *contract, const struct br_server_config *config,
                      struct br_server **out, struct br_status *st) BR_MUST_CHECK;

/* The address that listener |index| got, as gRPC clients take it ("127.0.0.1:50051"); NULL past the last. Borrowed. */
const char *br_server_address(const struct br_server *server, size_t index);

/* As br_listeners_certificate_expiry_s(). */
int64_t br_server_certificate_expiry_s(const struct br_server *server);

/* What the HTTP clients of all shards have at hand, added up. Any thread. */
void br_server_upstream_stats(const struct br_server *server, struct br_http_curl_stats *out);

/* Stops taking calls and tells clients; calls in flight go on, but streams of local methods end. Once. */
void br_server_drain(struct br_server *server);

/* Waits until the drain is over: no call is left. Returns false when |timeout_ms| passed before. */
bool br_server_wait_drained(struct br_server *server, int64_t timeout_ms) BR_MUST_CHECK;

/* Whether no call is left and none can come: after a drain began, only core keeps the server from its end. */
bool br_server_is_idle(const struct br_server *server);

/* Cancels the calls that are left; the drain ends soon after. */
void br_server_cancel_all(struct br_server *server);

/* Drains if that was not done, cancels what is left, ends the threads and releases everything. Accepts NULL. */
void br_server_destroy(struct br_server *server);

#endif
