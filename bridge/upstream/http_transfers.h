/*
 * The exchanges in a client's hands, from the queue to |done|: who waits for a place, who is under way, whose
 * deadline comes first. How a request is sent is the engine's part, in http_curl.c.
 *
 * Threads: the client's thread; |queue| is for the owners of exchanges too, the counts of requests can be read by any.
 * Owns:    the transfers.
 */
#ifndef BR_UPSTREAM_HTTP_TRANSFERS_H
#define BR_UPSTREAM_HTTP_TRANSFERS_H

#include "upstream/http_collect.h"
#include "upstream/http_queue.h"

#include <stdatomic.h>
#include <sys/queue.h>

struct br_http_transfers;

/* One exchange on its way. An engine may put it first in a larger struct. */
struct br_http_transfer {
    TAILQ_ENTRY(br_http_transfer) by_deadline;
    TAILQ_ENTRY(br_http_transfer) line; /* in |waiting|, |pauses| or |spare| */
    struct br_http_transfers *transfers;
    struct br_http_exchange *exchange;
    struct br_http_collect collect;
    bool running; /* with the engine, else in |waiting| or |pauses| */

    /* Written by the engine. */
    int connection_count;                /* on which the request was to be sent */
    enum br_http_collect_result refused; /* why the last piece of the answer was not taken; else OK */
};

TAILQ_HEAD(br_http_transfer_list, br_http_transfer);

/* What carries requests out. |arg| is what br_http_transfers_init() was given. */
struct br_http_engine {
    /* A zeroed transfer from malloc, or more around it; NULL: no memory. It serves many exchanges. */
    struct br_http_transfer *(*create)(void *arg);
    void (*destroy)(void *arg, struct br_http_transfer *transfer);
    /*
     * Sends the exchange's request. Returns false, with the outcome written, when it cannot; then stop is not
     * called. Does not end the transfer itself.
     */
    bool (*start)(void *arg, struct br_http_transfer *transfer);
    /* Aborts the request, or lets go of a complete one. */
    void (*stop)(void *arg, struct br_http_transfer *transfer);
};

struct br_http_transfers {
    struct br_http_queue queue;
    const struct br_http_engine *engine;
    void *arg;
    struct br_http_transfer_list by_deadline; /* all but the spare ones; the earliest first */
    struct br_http_transfer_list waiting;     /* for a place with the engine; the oldest first */
    struct br_http_transfer_list pauses;      /* exchanges that send nothing */
    struct br_http_transfer_list spare;
    int spare_count;
    int64_t running_count;
    int64_t running_max;
    _Atomic int64_t queued_count; /* requests that wait to go out, for a place with the engine or in it */
    _Atomic int64_t in_flight_count;
};

/*
 * |engine| and |arg| kept.
 * Errors: RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_http_transfers_init(struct br_http_transfers *transfers, const struct br_http_engine *engine,
                            void *arg, int64_t running_max, struct br_status *st) BR_MUST_CHECK;

/* Destroys the spare transfers; there must be no others. May come on another thread than the finish. */
void br_http_transfers_destroy_spare(struct br_http_transfers *transfers);
/* Releases the queue. Every exchange has had its |done|, and the spare transfers are destroyed. */
void br_http_transfers_finish(struct br_http_transfers *transfers);

/* The transfer that the next exchange will get; NULL: no memory. */
struct br_http_transfer *br_http_transfers_peek_spare(struct br_http_transfers *transfers);

/*
 * Takes what the owners have queued: lines up submissions, ends what was cancelled.
 * Returns false when the queue was stopped and every exchange has had its |done|.
 */
bool br_http_transfers_take(struct br_http_transfers *transfers) BR_MUST_CHECK;

/* Starts waiting transfers while there is a place. */
void br_http_transfers_start(struct br_http_transfers *transfers);

/* The engine says that the request goes out, the first time that it does. */
void br_http_transfers_sent(struct br_http_transfer *transfer);

/* Ends what is past its deadline at |now_ms|. */
void br_http_transfers_end_overdue(struct br_http_transfers *transfers, int64_t now_ms);

/* The earliest deadline; INT64_MAX: there is none. */
int64_t br_http_transfers_deadline_ms(const struct br_http_transfers *transfers);

/*
 * Gives the exchange, whose outcome is written, back to its owner. Where a cancel waits in the queue, that
 * ends it instead, as cancelled.
 */
void br_http_transfers_end(struct br_http_transfer *transfer);

/*
 * Writes the outcome "no answer".
 * |name| process lifetime.
 * |text| copied; NULL: |failure_text| holds it already.
 */
void br_http_exchange_fail(struct br_http_exchange *exchange, enum br_transport_failure failure,
                           const char *name, const char *text);

/* Writes the outcome of what was collected: the answer, or why a piece of it was refused. */
void br_http_transfer_settle(struct br_http_transfer *transfer);

/* Writes the outcome "the deadline passed". */
void br_http_transfer_fail_by_deadline(struct br_http_transfer *transfer);

#endif
