/*
 * What the component tests of the curl client share: a fixture with a client and a scripted server, and
 * exchanges that remember how they ended. Failures are cmocka's.
 *
 * Threads: a test's own; a probe's |done| comes on the client's.
 * Owns:    the fixture owns the probes that it makes.
 */
#ifndef HTTP_PROBE_H
#define HTTP_PROBE_H

#include "http_server.h"
#include "upstream/http_curl.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

/* The ceiling on an answer's body. */
#define HTTP_PROBE_BODY_MAX ((size_t)1024)

struct http_fixture {
    struct http_server *server;
    struct br_http *http;
    struct br_http_curl_config config; /* of |http|; see http_fixture_restart() */
    struct http_probe *probes;
    struct tls_server *tls; /* a test's; stopped with the fixture. NULL: none */
};

/* An exchange with its end. */
struct http_probe {
    struct br_http_exchange exchange; /* first */
    struct http_probe *next;
    char url[256];
    struct br_header headers[4];
    sem_t ended;
    int done_count; /* written by the client's thread, read after |ended| */
    pthread_t done_thread;
    struct br_http *again; /* submits once more from |done| while |again_left| is not 0 */
    int again_left;
};

/* For cmocka: a server with |rules|, kept, and a client of at most 32 connections. */
struct http_fixture *http_fixture_create(const struct http_server_rule *rules, size_t rule_count);
int http_fixture_tear_down(void **state);

/* Prepares the process: no proxy from the environment. */
void http_fixture_global_init(void);

/* Destroys the client and starts another one with |config|. */
void http_fixture_restart(struct http_fixture *f);

int64_t http_fixture_now_ms(void);

/* An exchange with a deadline far away; with |path| for the fixture's server. */
struct http_probe *http_fixture_probe(struct http_fixture *f, const char *verb, const char *url);
struct http_probe *http_fixture_request(struct http_fixture *f, const char *verb, const char *path);

void http_fixture_submit(struct http_fixture *f, struct http_probe *probe);
void http_fixture_cancel(struct http_fixture *f, struct http_probe *probe);

/* Waits for the end, for 20 seconds at most. */
void http_probe_wait(struct http_probe *probe);

/* Submit, wait, and one |done|. */
struct br_http_exchange *http_fixture_run(struct http_fixture *f, struct http_probe *probe);
struct br_http_exchange *http_fixture_get(struct http_fixture *f, const char *path);

void http_probe_assert_failed(const struct br_http_exchange *exchange, enum br_transport_failure failure,
                              const char *name);
void http_probe_assert_answered(const struct br_http_exchange *exchange, int status, const char *body);

#endif
