/*
 * The HTTP seam: one request out, one answer back. The curl client stands behind it, and fakes in tests.
 *
 * Threads: submit and cancel by the exchange's owner; |done| comes on another thread, or later on the owner's, but
 *          never from inside submit or cancel.
 * Owns:    an exchange belongs to the caller and must stay until |done|.
 */
#ifndef BR_UPSTREAM_HTTP_H
#define BR_UPSTREAM_HTTP_H

#include "base/buf.h"
#include "base/header.h"
#include "translate/error_map.h"

/* Response headers that are kept: content-type, retry-after, x-request-id, x-subject-token, and the owner's choice. */
#define BR_HTTP_OWN_HEADERS_MAX 8
#define BR_HTTP_KEPT_HEADERS_MAX (4 + BR_HTTP_OWN_HEADERS_MAX)

struct br_http_exchange;

/* Called exactly once for each submitted exchange, after which the client does not touch it any more. */
typedef void (*br_http_done_fn)(struct br_http_exchange *exchange);

struct br_http_exchange {
    /* The request: set by the owner, borrowed until |done|. */
    const char *verb; /* NULL: a pause. Nothing is sent; it ends at the deadline, or when it is cancelled */
    const char *url;
    struct br_headers headers; /* sent as they are; Content-Length and Host are the client's */
    const char *body;          /* NULL: none */
    size_t body_len;
    const char *const
        *keep; /* further response headers to keep, lower case, BR_HTTP_OWN_HEADERS_MAX at the most */
    size_t keep_count;
    int64_t deadline_ms;       /* by the monotonic clock; the transfer is aborted then */
    size_t max_body_bytes;     /* ceiling on the answer's body */
    bool wants_new_connection; /* not a kept one: one has just failed, so the others are in doubt */
    br_http_done_fn done;
    void *owner; /* the owner's, not touched */

    /* The outcome: written before |done|. */
    bool answered; /* |answer| counts; else |failure|, and of |answer| the headers that came before it */
    struct br_http_answer answer; /* points into |body_buf| and |header_text| */
    enum br_transport_failure failure;
    const char *failure_name; /* "COULDNT_CONNECT"; process lifetime */
    char failure_text[256];   /* one sentence; "" when there is none */
    bool reused_connection;
    int64_t sent_us;  /* by the monotonic clock: when the request went out on a connection; 0: it did not */
    int64_t ended_us; /* and when the exchange was over */

    /* The client's own. */
    struct br_buf body_buf;
    struct br_header kept[BR_HTTP_KEPT_HEADERS_MAX];
    struct br_buf header_text;
    void *client;                  /* what the client keeps for this transfer */
    struct br_http_exchange *next; /* in the client's queues */
    bool cancelled;
    bool queued;
};

/* A client, behind two functions. */
struct br_http {
    /* Starts the exchange. Always ends in exactly one |done|, also when it could not be started. */
    void (*submit)(struct br_http *self, struct br_http_exchange *exchange);
    /*
     * Asks for an end: |done| follows soon, with BR_TRANSPORT_CANCELLED unless the exchange ended before.
     * After |done| it does nothing, so the owner may not free the exchange while it cancels it.
     */
    void (*cancel)(struct br_http *self, struct br_http_exchange *exchange);
};

/* Releases what the outcome holds; the exchange may be submitted again. Accepts a zeroed one. */
void br_http_exchange_finish(struct br_http_exchange *exchange);

#endif
