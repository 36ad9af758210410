/*
 * The listening socket: an address in words, bound and listening, and the file that tells its port.
 *
 * Threads: start-up only.
 */
#ifndef SIM_LISTENER_H
#define SIM_LISTENER_H

#include "base/status.h"

#define SIM_HOST_CAP 64

struct sim_listener {
    int fd; /* -1: closed */
    unsigned port;
    char host[SIM_HOST_CAP]; /* as given, brackets included */
};

/*
 * Opens the socket for |address|: a numeric IPv4 address, an IPv6 one in brackets, or "localhost", then
 * ":port". |out| written on success only; release with sim_listener_close(), unless the descriptor is given
 * away. Errors: INVALID_ARGUMENT/LISTEN_ADDRESS the form is another FAILED_PRECONDITION/LISTEN      the
 * system refuses to bind it
 */
bool sim_listener_open(struct sim_listener *out, const char *address, struct br_status *st) BR_MUST_CHECK;

/* Accepts a closed listener. */
void sim_listener_close(struct sim_listener *listener);

/*
 * Writes |port| and a newline to |path|, whole or not at all: a reader never sees half a file.
 * Errors: FAILED_PRECONDITION/PORT_FILE
 */
bool sim_listener_write_port(const char *path, unsigned port, struct br_status *st) BR_MUST_CHECK;

#endif
