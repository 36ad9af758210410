/*
 * The admin port: plain HTTP for what an operator's tools ask. The mechanics only: what is answered is a table of routes
 * that the owner passes in.
 *
 * "GET /" lists the routes, and so does the 404 of any other path. Another method is 405 with Allow, a request body that
 * a route does not take, or that is too long, is 413. HEAD is GET without the body. Paths are compared as they come: an
 * escape such as %2f is never undone. Each connection carries one request, and is closed after a while
 * whatever its client does, so that nobody keeps the probes out for longer.
 *
 * A route that is not GET changes something, and no page of the port is made to ask for it: such a request is 403 when it
 * comes from a browser, which is to say when it has the header Origin or Sec-Fetch-Site, whatever they hold. Browsers send
 * Origin with every request but GET and HEAD, scripts can neither set nor remove it, and a host name that is made to
 * point here (DNS rebinding) does not change that; curl, kubelet and the like send neither. The answers to GET say
 * nothing secret and allow no other origin to read them.
 *
 * Threads: create and destroy by the owner; handlers run on one thread of libmicrohttpd, another one ends the connections
 *          that are overdue.
 * Owns:    the listening socket and both threads.
 * Source:  https://fetch.spec.whatwg.org/#origin-header; https://www.w3.org/TR/fetch-metadata/; RFC 9110 sections 9.3.2,
 *          15.5.6.
 */
#ifndef BR_SERVE_ADMIN_H
#define BR_SERVE_ADMIN_H

#include "base/buf.h"

#include <stdint.h>

/* Connections at a time; further ones wait to be accepted. */
#define BR_ADMIN_CONNECTIONS_MAX 16

/* The age at which a connection is closed. */
#define BR_ADMIN_TIMEOUT_S 10

/* Memory of one connection: the request line and the headers must fit. */
#define BR_ADMIN_REQUEST_MAX_BYTES ((size_t)8 << 10)

/* No route takes a longer request body. */
#define BR_ADMIN_BODY_MAX_BYTES 64

/* Ceiling on the body of an answer; beyond it the answer is 500. */
#define BR_ADMIN_ANSWER_MAX_BYTES ((size_t)4 << 20)

/* Content-Type of what people and scripts read. */
#define BR_ADMIN_TEXT "text/plain; charset=utf-8"

struct MHD_Connection;

/* Borrowed while the handler runs. */
struct br_admin_request {
    const char *body; /* a NUL follows |body_len| bytes, and there may be others among them */
    size_t body_len;
    struct MHD_Connection *connection; /* for br_admin_query() and br_admin_header() */
};

/* As a handler gets it: 200, plain text, an empty body. */
struct br_admin_answer {
    unsigned status;
    const char *type; /* Content-Type; process lifetime */
    struct br_buf body;
    void (*after)(void *context); /* called once, when the answer has been sent or cannot be; NULL: nothing */
};

/*
 * Answers one request. On failure the answer is 500 with |st|'s message.
 * |context| of the configuration.
 * Thread:   libmicrohttpd's, one request at a time: it must not block.
 */
typedef bool (*br_admin_fn)(void *context, const struct br_admin_request *request,
                            struct br_admin_answer *answer, struct br_status *st);

/* Process lifetime. */
struct br_admin_route {
    const char *method;    /* "GET", which is HEAD too; "POST", "PUT" */
    const char *path;      /* "/livez" */
    const char *help;      /* for the list of routes */
    size_t body_max_bytes; /* of a request; 0: it has none */
    br_admin_fn handle;
};

struct br_admin_config {
    const char *address; /* "HOST:PORT"; port 0: any free one; an IPv6 address in brackets */
    const struct br_admin_route *routes;
    size_t route_count;
    void *context;     /* kept until br_admin_destroy() */
    int64_t timeout_s; /* the age at which a connection is closed, 1 or more: BR_ADMIN_TIMEOUT_S */
};

struct br_admin;

/*
 * Listens and answers.
 * |config| copied.
 * |out|    returned; release with br_admin_destroy().
 * Errors:  INVALID_ARGUMENT/BAD_SETTING  the address cannot be read, looked up or listened on; names --admin-listen, the
 *                                        address and the cause
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY, INTERNAL/ADMIN_START
 */
bool br_admin_create(const struct br_admin_config *config, struct br_admin **out,
                     struct br_status *st) BR_MUST_CHECK;

/* Where it listens, numeric: "127.0.0.1:9090", "[::1]:9090". */
const char *br_admin_address(const struct br_admin *admin);

/* Closes the connections and ends the threads. Accepts NULL. */
void br_admin_destroy(struct br_admin *admin);

/* For handlers: the value of "?name=value", escapes as they come, or of a header. NULL: none. Borrowed. */
const char *br_admin_query(const struct br_admin_request *request, const char *name);
const char *br_admin_header(const struct br_admin_request *request, const char *name);

/*
 * For handlers: whether an append to the answer's body went well.
 * Errors: RESOURCE_EXHAUSTED/ADMIN_SIZE  the ceiling
 *         RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_admin_appended(enum br_buf_result result, struct br_status *st) BR_MUST_CHECK;

#endif
