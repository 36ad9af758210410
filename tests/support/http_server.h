/*
 * A scripted HTTP server on loopback for component tests: each request is answered with the raw bytes that
 * the test wrote for its path, well-formed or not.
 *
 * Threads: one to accept, one for each connection; the functions here may be called from any thread.
 * A path without a rule is answered with 404 and an empty body.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/* What happens to the connection after the answer. */
enum http_server_then {
    HTTP_SERVER_KEEP,  /* the next request is read */
    HTTP_SERVER_CLOSE, /* in order */
    HTTP_SERVER_RESET, /* with a TCP reset */
    HTTP_SERVER_HOLD,  /* nothing, until the client closes it or the server stops */
};

struct http_server_rule {
    const char *path;  /* the request's target, all of it */
    const char *bytes; /* sent as they are; NULL: nothing */
    size_t len;        /* 0: |bytes| is a C string */
    enum http_server_then then;
    bool by_bytes; /* one byte at a time, so that a reader meets every split */
};

struct http_server;

/*
 * Listens on a free port of 127.0.0.1. The program ends when it cannot.
 * |rules| kept until http_server_stop().
 */
struct http_server *http_server_start(const struct http_server_rule *rules, size_t rule_count);

/* Closes everything and waits for its threads. Accepts NULL. */
void http_server_stop(struct http_server *server);

int http_server_port(const struct http_server *server);

/* Requests read so far, and connections accepted so far. */
int http_server_request_count(struct http_server *server);
int http_server_connection_count(struct http_server *server);

/* Wait until there were |count|; false after ten seconds. */
bool http_server_wait_requests(struct http_server *server, int count);
/* The same for connections that clients have closed. */
bool http_server_wait_closed(struct http_server *server, int count);

/* Copies the last request, head and body, cut to |cap| - 1 bytes and a NUL. */
void http_server_last_request(struct http_server *server, char *out, size_t cap);

#endif
