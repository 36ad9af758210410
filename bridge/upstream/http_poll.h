/*
 * Waits for sockets: epoll, as http_curl.c needs it.
 *
 * Threads: one, but for init and finish.
 * Owns:    the epoll's descriptor.
 */
#ifndef BR_UPSTREAM_HTTP_POLL_H
#define BR_UPSTREAM_HTTP_POLL_H

#include "base/status.h"

#include <stdint.h>

struct br_http_poll {
    int epoll_fd;
    int wake_fd;
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
 * Watches |fd|, level-triggered.
 * |known| it is watched already and changes only what for.
 * Returns false, logged, when the system refuses.
 */
bool br_http_poll_watch(struct br_http_poll *poll, int fd, bool known, bool readable,
                        bool writable) BR_MUST_CHECK;

/* Watches |fd| no more. */
void br_http_poll_forget(struct br_http_poll *poll, int fd);

/* Neither |readable| nor |writable|: the socket has an error. */
typedef void (*br_http_poll_ready_fn)(void *arg, int fd, bool readable, bool writable);

/* Sleeps until a socket is ready, a wake, or |until_ms| by the monotonic clock (INT64_MAX: never). */
void br_http_poll_wait(struct br_http_poll *poll, int64_t until_ms, br_http_poll_ready_fn ready, void *arg);

#endif
