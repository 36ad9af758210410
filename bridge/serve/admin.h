/*
 * The admin port: what an operator's tools ask over plain HTTP.
 *
 *   GET /metrics   the registry as Prometheus reads it
 *   GET /livez     200 "ok" while the process runs
 *
 * Another path is 404, another method 405, a request body 413. Each connection carries one request.
 *
 * Threads: create and destroy by the owner; requests are answered on one thread of libmicrohttpd.
 * Owns:    the listening socket and that thread.
 */
#ifndef BR_SERVE_ADMIN_H
#define BR_SERVE_ADMIN_H

#include "base/metrics.h"

/* Connections at a time; further ones wait to be accepted. */
#define BR_ADMIN_CONNECTIONS_MAX 16

/* A connection on which nothing moves for as long is closed. */
#define BR_ADMIN_TIMEOUT_S 10

/* Memory of one connection: the request line and the headers must fit. */
#define BR_ADMIN_REQUEST_MAX_BYTES ((size_t)8 << 10)

/* Ceiling on the text of /metrics; beyond it the answer is 500. */
#define BR_ADMIN_METRICS_MAX_BYTES ((size_t)4 << 20)

struct br_admin_config {
    const char *address;              /* "HOST:PORT"; port 0: any free one; an IPv6 address in brackets */
    const struct br_metrics *metrics; /* kept until br_admin_destroy() */
};

struct br_admin;

/*
 * Listens and answers.
 * |config| borrowed.
 * |out|    returned; release with br_admin_destroy().
 * Errors:  INVALID_ARGUMENT/BAD_SETTING  the address cannot be read, looked up or listened on; names --admin-listen, the
 *                                        address and the cause
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY, INTERNAL/ADMIN_START
 */
bool br_admin_create(const struct br_admin_config *config, struct br_admin **out,
                     struct br_status *st) BR_MUST_CHECK;

/* Where it listens, numeric: "127.0.0.1:9090", "[::1]:9090". */
const char *br_admin_address(const struct br_admin *admin);

/* Closes the connections and ends the thread. Accepts NULL. */
void br_admin_destroy(struct br_admin *admin);

#endif
