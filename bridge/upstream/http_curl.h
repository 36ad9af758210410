/*
 * The curl client: a thread with a curl multi handle, its connection pool, and a queue of exchanges.
 *
 * One per shard. Redirects are never followed, only http and https are spoken, certificates are always
 * verified, TLS 1.2 or newer, HTTP/2 by ALPN where |http2| says so. A proxy that the environment names (https_proxy,
 * all_proxy, no_proxy) is used for https alone.
 *
 * Threads: create and destroy by the owner; submit and cancel by any one thread at a time per exchange;
 *          |done| on the client's thread; stats on any.
 * Owns:    the thread, the connections and the queue; no exchange.
 * Source:  bridge_conventions.md sections 2, 4 and 10; libcurl's multi_socket interface.
 */
#ifndef BR_UPSTREAM_HTTP_CURL_H
#define BR_UPSTREAM_HTTP_CURL_H

#include "upstream/http.h"

struct br_http_curl_config {
    int64_t connect_timeout_ms; /* 1 or more: name, connection and TLS handshake together */
    long max_connections;       /* of the pool; further transfers wait in it */
    const char *ca_file;        /* PEM; NULL: the system's */
    bool http2;                 /* offer HTTP/2 by ALPN */
    const char *user_agent;
};

/*
 * Prepares the process for curl clients: once, before the first thread. The process keeps it for good.
 * Errors: INTERNAL/CURL_INIT
 */
bool br_http_curl_global_init(struct br_status *st) BR_MUST_CHECK;

/*
 * Starts a client.
 * |config| copied; its texts are kept until br_http_curl_destroy().
 * |out|    returned; release with br_http_curl_destroy().
 * Errors:  RESOURCE_EXHAUSTED/OUT_OF_MEMORY, INTERNAL/CURL_INIT
 */
bool br_http_curl_create(const struct br_http_curl_config *config, struct br_http **out,
                         struct br_status *st) BR_MUST_CHECK;

struct br_http_curl_stats {
    int64_t queued;             /* requests that wait to go out: for a place, or for a connection */
    int64_t in_flight;          /* requests that went out and have no end yet */
    int64_t connections;        /* that are open, or being opened */
    int64_t connections_max;    /* that may be */
    int64_t connections_opened; /* since the start, and a request went out on them */
};

/* |out| written; each number by itself is of now. */
void br_http_curl_stats(const struct br_http *http, struct br_http_curl_stats *out);

/* Cancels what is under way (each exchange gets its |done|), ends the thread, releases the client. Accepts NULL. */
void br_http_curl_destroy(struct br_http *http);

#endif
