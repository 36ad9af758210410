/*
 * The HTTP side: libmicrohttpd's requests become sim_requests, sim_answers become what goes over the wire.
 *
 * Each connection has a thread of its own, so an answer that waits or drips holds up no other.
 *
 * Threads: start, port and stop from one; the connections' threads are libmicrohttpd's.
 * Owns:    the listening socket and the daemon.
 */
#ifndef SIM_HTTP_H
#define SIM_HTTP_H

#include "api.h"

struct sim_http;

/*
 * Binds |address| ("127.0.0.1:8080", "[::1]:0", "localhost:8080"; port 0: a free one) and starts to serve
 * |api|, which is kept. Connections are accepted when this returns. Returned through |out|; release with
 * sim_http_stop(). Errors: INVALID_ARGUMENT/LISTEN_ADDRESS   |address| has not that form
 *         FAILED_PRECONDITION/LISTEN        the address cannot be bound, or the server does not start
 */
bool sim_http_start(struct sim_api *api, const char *address, struct sim_http **out,
                    struct br_status *st) BR_MUST_CHECK;

/* The port that is listened on. */
unsigned sim_http_port(const struct sim_http *http);

/* The host part of the address, as it was given. */
const char *sim_http_host(const struct sim_http *http);

/* Ends all connections, wakes those that wait, and releases |http|. Accepts NULL. */
void sim_http_stop(struct sim_http *http);

#endif
