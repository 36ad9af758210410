/*
 * Waits for sockets: epoll, as http_curl.c needs it.
 *
 * libcurl wants a socket watched for each request and forgotten after it. A socket that is kept stays with the system
 * between, so that a connection that serves one request after the other costs no system call here.
 *
 * Threads: one, but for init and finish.
 * Owns:    the epoll's descriptor, and what it knows of each socket.
 */
#ifndef BR_UPSTREAM_HTTP_POLL_H
#define BR_UPSTREAM_HTTP_POLL_H

#include "base/status.h"

#include <stdint.h>

struct br_http_poll_socket;

struct br_http_poll {
    int epoll_fd;
    int wake_fd;
    struct br_http_poll_socket *sockets; /* by descriptor */
    size_t socket_cap;
};

/*
 * |wake_fd| kept until br_http_poll_finish(): an eventfd that ends a wait; each write to it counts, and it
 *           need not be read.
 * Errors:   RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_http_poll_init(struct br_http_poll *poll, int wake_fd, struct br_status *st) BR_MUST_CHECK;

/* Closes the epoll; |wake_fd| stays the caller's. */
void br_http_poll_finish(struct br_http_poll *poll);

/*
 * |fd| was opened, and br_http_poll_closed() will tell of its end: what the system knows of it may stay there while
 * nobody waits for it. Not to be called for a descriptor that others may close.
 */
void br_http_poll_opened(struct br_http_poll *poll, int fd);

/* |fd|, which was opened above, is about to be closed. */
void br_http_poll_closed(struct br_http_poll *poll, int fd);

/*
 * Watches |fd|, level-triggered, for what is given now and for nothing else.
 * Returns false, logged, when the system refuses.
 */
bool br_http_poll_watch(struct br_http_poll *poll, int fd, bool readable, bool writable) BR_MUST_CHECK;

/* Watches |fd| no more. */
void br_http_poll_forget(struct br_http_poll *poll, int fd);

/* Neither |readable| nor |writable|: the socket has an error. */
typedef void (*br_http_poll_ready_fn)(void *arg, int fd, bool readable, bool writable);

/* Sleeps until a socket is ready, a wake, or |until_ms| by the monotonic clock (INT64_MAX: never). */
void br_http_poll_wait(struct br_http_poll *poll, int64_t until_ms, br_http_poll_ready_fn ready, void *arg);

#endif
