#include "serve/server.h"

#include "base/log.h"
#include "serve/server_accept.h"
#include "serve/server_local.h"
#include "serve/server_tls.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Requests for calls that wait in core on each shard, so that a burst finds a queue ready. */
#define WAITING_REQUESTS 16

/* Core's errors show from here on; before, those of a start that fails are told in our own words. */
static atomic_bool core_may_warn;

/* Core's own log lines: of use to who debugs gRPC, but for its errors, such as no file descriptor for a connection. */
static void core_log(gpr_log_func_args *args)
{
    bool is_error = args->severity == GPR_LOG_SEVERITY_ERROR && atomic_load(&core_may_warn);
    BR_LOG(is_error ? BR_LOG_WARN : BR_LOG_DEBUG, "grpc", br_log_text("file", args->file),
           br_log_number("line", args->line), br_log_text("message", args->message));
    if (args->severity == GPR_LOG_SEVERITY_ERROR) {
        br_tls_core_error(args->message);
    }
}

void br_server_slot_released(struct br_server *server)
{
    if (atomic_fetch_sub(&server->slot_count, 1) == 1) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_broadcast(&server->changed);
        pthread_mutex_unlock(&server->lock);
    }
}

/* The tag of the shutdown has no slot: it is told apart by being NULL. */
static void core_has_stopped(struct br_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->core_stopped = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void *run_shard(void *argument)
{
    struct br_shard *shard = argument;
    for (;;) {
        br_slot_end_overdue(shard);
        br_stream_end_stuck(shard);
        br_slot_make_up(shard);
        gpr_timespec until =
            TAILQ_EMPTY(&shard->at_callers) && TAILQ_EMPTY(&shard->leaving) && shard->missing_count == 0
                ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(1, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(shard->queue, until, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
        if (event.type == GRPC_QUEUE_TIMEOUT) {
            continue;
        }
        struct br_tag *tag = event.tag;
        if (tag == NULL) {
            core_has_stopped(shard->server);
        } else {
            tag->run(tag->slot, event.success != 0);
        }
    }
}

static bool no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the server");
}

/*
 * The shortest pause between pings of a caller without a call that is not held against it. Core's own, five minutes,
 * ends the connections of clients that are set up to notice a dead bridge soon.
 */
#define CALLER_PING_INTERVAL_MS 10000

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

/* As a channel argument: 0 stands for no limit, which core writes as INT_MAX. */
static int limit_ms(int64_t value_ms)
{
    return value_ms > 0 && value_ms < INT_MAX ? (int)value_ms : INT_MAX;
}

static grpc_server *create_core(const struct br_server_config *config)
{
    const struct br_server_connections *connections = &config->connections;
    grpc_arg args[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)config->max_request_bytes),
        integer_arg(GRPC_ARG_MAX_METADATA_SIZE, BR_MAX_METADATA_BYTES),
        /* A second bridge on the same port is an error to be told, not half of the calls gone. */
        integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        /* Identity alone: a compressed message could unfold far beyond the ceiling on its size. */
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, limit_ms(connections->keepalive_time_ms)),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limit_ms(connections->keepalive_timeout_ms)),
        /* Idle connections too, and as often as it takes: a caller that is gone must not hold its connection. */
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, CALLER_PING_INTERVAL_MS),
        integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_MS, limit_ms(connections->max_age_ms)),
        integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, limit_ms(connections->max_age_grace_ms)),
    };
    grpc_channel_args channel_args = {.num_args = sizeof args / sizeof args[0], .args = args};
    return grpc_server_create(&channel_args, NULL);
}

static bool start_shard(const struct br_server_config *config, struct br_shard *shard, struct br_status *st)
{
    if (!br_http_curl_create(&config->http, &shard->http, st)) {
        return false;
    }
    shard->call = config->call;
    shard->call.http = shard->http;
    int error = pthread_create(&shard->thread, NULL, run_shard, shard);
    if (error != 0) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "cannot start a thread: %s",
                             strerror(error));
    }
    shard->running = true;
    return true;
}

static void init_lock(struct br_server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static bool start(struct br_server *server, const struct br_server_config *config, struct br_status *st)
{
    server->shards = calloc((size_t)config->shards, sizeof *server->shards);
    server->core = create_core(config);
    if (server->shards == NULL || server->core == NULL) {
        return no_memory(st);
    }
    /* Core wants its queues before it starts, and is asked for calls after that. */
    for (; server->shard_count < (size_t)config->shards; server->shard_count++) {
        struct br_shard *shard = &server->shards[server->shard_count];
        shard->server = server;
        TAILQ_INIT(&shard->at_callers);
        TAILQ_INIT(&shard->leaving);
        shard->queue = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(server->core, shard->queue, NULL);
    }
    if (!br_listeners_create(server->core, &config->listen, &server->listeners, st)) {
        return false;
    }
    /* Before core starts: a call that came to a shard which then fails to start would be lost. */
    for (size_t i = 0; i < server->shard_count; i++) {
        if (!start_shard(config, &server->shards[i], st)) {
            return false;
        }
    }
    grpc_server_start(server->core);
    for (size_t i = 0; i < server->shard_count * WAITING_REQUESTS; i++) {
        if (!br_slot_request(&server->shards[i % server->shard_count])) {
            return no_memory(st);
        }
    }
    return true;
}

bool br_server_create(const struct br_contract *contract, const struct br_server_config *config,
                      struct br_server **out, struct br_status *st)
{
    if (!br_local_check(contract, config->handlers, config->handler_count, st)) {
        return false;
    }
    struct br_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return no_memory(st);
    }
    server->contract = contract;
    server->handlers = config->handlers;
    server->handler_count = config->handler_count;
    TAILQ_INIT(&server->streams);
    server->max_in_flight = config->max_in_flight;
    server->allowed_callers = config->listen.allowed_callers;
    server->verifies_callers = config->listen.client_ca_file != NULL;
    server->recent_errors = config->recent_errors;
    init_lock(server);
    br_accept_init();
    gpr_set_log_function(core_log);
    grpc_init();
    if (!start(server, config, st)) {
        br_server_destroy(server);
        return false;
    }
    atomic_store(&core_may_warn, true);
    *out = server;
    return true;
}

const char *br_server_address(const struct br_server *server, size_t index)
{
    return br_listeners_address(server->listeners, index);
}

int64_t br_server_certificate_expiry_s(const struct br_server *server)
{
    return br_listeners_certificate_expiry_s(server->listeners);
}

void br_server_upstream_stats(const struct br_server *server, struct br_http_curl_stats *out)
{
    *out = (struct br_http_curl_stats){0};
    for (size_t i = 0; i < server->shard_count; i++) {
        struct br_http_curl_stats shard;
        br_http_curl_stats(server->shards[i].http, &shard);
        out->queued += shard.queued;
        out->in_flight += shard.in_flight;
        out->connections += shard.connections;
        out->connections_max += shard.connections_max;
        out->connections_opened += shard.connections_opened;
    }
}

void br_server_drain(struct br_server *server)
{
    server->draining = true;
    grpc_server_shutdown_and_notify(server->core, server->shards[0].queue, NULL);
    br_stream_end_all(server);
}

static struct timespec after_ms(int64_t timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

/*
 * Core reports its stop while calls are still held, and shutting a queue down with a call on it aborts the process: the
 * drain is over only when both have come.
 * Source: bridge_conventions.md section 7.
 */
bool br_server_wait_drained(struct br_server *server, int64_t timeout_ms)
{
    struct timespec until = after_ms(timeout_ms);
    pthread_mutex_lock(&server->lock);
    int error = 0;
    while (error == 0 && !(server->core_stopped && atomic_load(&server->slot_count) == 0)) {
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    bool drained = server->core_stopped && atomic_load(&server->slot_count) == 0;
    pthread_mutex_unlock(&server->lock);
    return drained;
}

bool br_server_is_idle(const struct br_server *server)
{
    return atomic_load(&server->slot_count) == 0;
}

void br_server_cancel_all(struct br_server *server)
{
    grpc_server_cancel_all_calls(server->core);
}

/* Runs what is left on a queue whose thread never started, so that its tags do not leak. */
static void end_shard(struct br_shard *shard)
{
    grpc_completion_queue_shutdown(shard->queue);
    if (shard->running) {
        pthread_join(shard->thread, NULL);
    } else {
        (void)run_shard(shard);
    }
    br_http_curl_destroy(shard->http);
}

static void stop(struct br_server *server)
{
    if (!server->draining) {
        br_server_drain(server);
    }
    br_server_cancel_all(server);
    /* A shard that failed to start has no thread to take the tag of the shutdown: it finds it in end_shard(). */
    while (server->shards[0].running && !br_server_wait_drained(server, 1000)) {
    }
    for (size_t i = 0; i < server->shard_count; i++) {
        end_shard(&server->shards[i]);
    }
}

void br_server_destroy(struct br_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->core != NULL && server->shard_count > 0) {
        stop(server);
    }
    if (server->core != NULL) {
        grpc_server_destroy(server->core);
    }
    for (size_t i = 0; i < server->shard_count; i++) {
        grpc_completion_queue_destroy(server->shards[i].queue);
    }
    br_listeners_destroy(server->listeners);
    free(server->shards);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
    grpc_shutdown();
}
