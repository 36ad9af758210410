/*
 * The queue between the owners of exchanges and the thread of a client: submissions and cancels, in order.
 *
 * It alone decides who may touch an exchange: |client|, |cancelled|, |queued| and |next| are read and written
 * under its lock only, but for |client| on the client's thread between take and release.
 *
 * Threads: submit, cancel and stop: any. take and release: the client's thread.
 * Owns:    a mutex and an eventfd; no exchange.
 */
#ifndef BR_UPSTREAM_HTTP_QUEUE_H
#define BR_UPSTREAM_HTTP_QUEUE_H

#include "upstream/http.h"

#include <pthread.h>

struct br_http_queue {
    pthread_mutex_t lock;
    struct br_http_exchange *first;
    struct br_http_exchange *last;
    bool stopping;
    int wake_fd; /* an eventfd, written when the queue stops being empty; watch it edge-triggered, unread */
};

/*
 * |queue| becomes empty; release with br_http_queue_finish() once this has succeeded.
 * Errors: RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_http_queue_init(struct br_http_queue *queue, struct br_status *st) BR_MUST_CHECK;

/* No other thread may still use |queue|. */
void br_http_queue_finish(struct br_http_queue *queue);

/* Hands |exchange| to the client's thread. Kept until br_http_queue_release(). */
void br_http_queue_submit(struct br_http_queue *queue, struct br_http_exchange *exchange);

/* Asks the client's thread to end |exchange|. Does nothing when it is not with the client any more. */
void br_http_queue_cancel(struct br_http_queue *queue, struct br_http_exchange *exchange);

/* Wakes the client's thread for its end. */
void br_http_queue_stop(struct br_http_queue *queue);

enum br_http_queue_event {
    BR_HTTP_QUEUE_EMPTY,
    BR_HTTP_QUEUE_STOPPED,   /* empty, and br_http_queue_stop() was called */
    BR_HTTP_QUEUE_SUBMITTED, /* start |exchange|; its |client| is |fresh| now */
    BR_HTTP_QUEUE_DROPPED, /* end |exchange|, which was cancelled before it was taken; its |client| is NULL */
    BR_HTTP_QUEUE_CANCELLED, /* end |exchange|, which was taken before */
};

/*
 * Takes the oldest entry.
 * |fresh| what the client keeps for an exchange that it has not seen; NULL: it has no memory for one.
 */
enum br_http_queue_event br_http_queue_take(struct br_http_queue *queue, void *fresh,
                                            struct br_http_exchange **exchange) BR_MUST_CHECK;

/*
 * Lets go of |exchange| before its |done|: a cancel does nothing from here on.
 * Returns false, nothing changed, while a cancel of it waits in the queue: then the cancel ends it.
 */
bool br_http_queue_release(struct br_http_queue *queue, struct br_http_exchange *exchange) BR_MUST_CHECK;

#endif
