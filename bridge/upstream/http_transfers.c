#include "upstream/http_transfers.h"

#include "base/clock.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Spare transfers keep what the engine made for them, for curl an easy handle of about 6 KiB. */
#define SPARE_MAX 128

bool br_http_transfers_init(struct br_http_transfers *transfers, const struct br_http_engine *engine,
                            void *arg, int64_t running_max, struct br_status *st)
{
    *transfers = (struct br_http_transfers){.engine = engine, .arg = arg, .running_max = running_max};
    TAILQ_INIT(&transfers->by_deadline);
    TAILQ_INIT(&transfers->waiting);
    TAILQ_INIT(&transfers->pauses);
    TAILQ_INIT(&transfers->spare);
    return br_http_queue_init(&transfers->queue, st);
}

void br_http_transfers_destroy_spare(struct br_http_transfers *transfers)
{
    struct br_http_transfer *transfer;
    while ((transfer = TAILQ_FIRST(&transfers->spare)) != NULL) {
        TAILQ_REMOVE(&transfers->spare, transfer, line);
        transfers->engine->destroy(transfers->arg, transfer);
    }
    transfers->spare_count = 0;
}

void br_http_transfers_finish(struct br_http_transfers *transfers)
{
    br_http_queue_finish(&transfers->queue);
}

void br_http_exchange_fail(struct br_http_exchange *exchange, enum br_transport_failure failure,
                           const char *name, const char *text)
{
    exchange->answered = false;
    exchange->answer = (struct br_http_answer){.headers = exchange->answer.headers};
    exchange->failure = failure;
    exchange->failure_name = name;
    if (text != NULL) {
        (void)snprintf(exchange->failure_text, sizeof exchange->failure_text, "%s", text);
    }
}

void br_http_transfer_settle(struct br_http_transfer *transfer)
{
    struct br_http_exchange *exchange = transfer->exchange;
    switch (transfer->refused) {
    case BR_HTTP_COLLECT_OK:
    case BR_HTTP_COLLECT_BODY_CUT:
        if (br_http_collect_end(&transfer->collect)) {
            exchange->failure_text[0] = '\0';
        } else if (!transfer->collect.headers_done) {
            br_http_exchange_fail(exchange, BR_TRANSPORT_BROKEN, "PARTIAL_FILE",
                                  "the connection ended within the answer's headers");
        } else {
            br_http_exchange_fail(exchange, BR_TRANSPORT_FAILED, "WEIRD_SERVER_REPLY",
                                  "the answer's status is above 599");
        }
        break;
    case BR_HTTP_COLLECT_BODY_SIZE:
        br_http_exchange_fail(exchange, BR_TRANSPORT_TOO_LARGE, "FILESIZE_EXCEEDED",
                              "the answer's body is too large");
        break;
    case BR_HTTP_COLLECT_HEADERS_SIZE:
        br_http_exchange_fail(exchange, BR_TRANSPORT_FAILED, "WEIRD_SERVER_REPLY",
                              "the answer's headers are too large");
        break;
    case BR_HTTP_COLLECT_NO_MEMORY:
        br_http_exchange_fail(exchange, BR_TRANSPORT_NO_MEMORY, "OUT_OF_MEMORY", "no memory for the answer");
        break;
    }
}

void br_http_transfer_fail_by_deadline(struct br_http_transfer *transfer)
{
    br_http_exchange_fail(transfer->exchange, BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT",
                          transfer->connection_count > 0
                              ? "the deadline passed before the answer was complete"
                              : "the deadline passed before the request was sent");
}

static int64_t now_us(void)
{
    return br_clock_system()->now_us(br_clock_system());
}

/* The client does not touch |exchange| any more. */
static void give_back(struct br_http_exchange *exchange)
{
    exchange->ended_us = now_us();
    exchange->done(exchange);
}

struct br_http_transfer *br_http_transfers_peek_spare(struct br_http_transfers *transfers)
{
    struct br_http_transfer *transfer = TAILQ_FIRST(&transfers->spare);
    if (transfer != NULL) {
        return transfer;
    }
    transfer = transfers->engine->create(transfers->arg);
    if (transfer == NULL) {
        return NULL;
    }
    transfer->transfers = transfers;
    TAILQ_INSERT_HEAD(&transfers->spare, transfer, line);
    transfers->spare_count++;
    return transfer;
}

static void put_spare(struct br_http_transfers *transfers, struct br_http_transfer *transfer)
{
    if (transfers->spare_count >= SPARE_MAX) {
        transfers->engine->destroy(transfers->arg, transfer);
        return;
    }
    *transfer = (struct br_http_transfer){.transfers = transfers};
    /* The last one in is the first one out: its memory is still warm. */
    TAILQ_INSERT_HEAD(&transfers->spare, transfer, line);
    transfers->spare_count++;
}

/* Where an exchange stands until it is started: a pause never is. */
static struct br_http_transfer_list *line_of(struct br_http_transfers *transfers,
                                             const struct br_http_exchange *exchange)
{
    return exchange->verb == NULL ? &transfers->pauses : &transfers->waiting;
}

/* Of a pause nothing is counted. */
static void add(_Atomic int64_t *count, const struct br_http_exchange *exchange, int64_t delta)
{
    if (exchange->verb != NULL) {
        atomic_fetch_add_explicit(count, delta, memory_order_relaxed);
    }
}

void br_http_transfers_sent(struct br_http_transfer *transfer)
{
    transfer->exchange->sent_us = now_us();
    add(&transfer->transfers->queued_count, transfer->exchange, -1);
    add(&transfer->transfers->in_flight_count, transfer->exchange, 1);
}

void br_http_transfers_end(struct br_http_transfer *transfer)
{
    struct br_http_transfers *transfers = transfer->transfers;
    struct br_http_exchange *exchange = transfer->exchange;
    if (!br_http_queue_release(&transfers->queue, exchange)) {
        return;
    }

    if (transfer->running) {
        transfers->engine->stop(transfers->arg, transfer);
        transfers->running_count--;
    } else {
        TAILQ_REMOVE(line_of(transfers, exchange), transfer, line);
    }
    TAILQ_REMOVE(&transfers->by_deadline, transfer, by_deadline);
    add(exchange->sent_us != 0 ? &transfers->in_flight_count : &transfers->queued_count, exchange, -1);
    if (!exchange->answered) {
        br_http_collect_end_headers(&transfer->collect);
    }
    put_spare(transfers, transfer);
    give_back(exchange);
}

static void end_cancelled(struct br_http_transfer *transfer)
{
    br_http_exchange_fail(transfer->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED", "");
    br_http_transfers_end(transfer);
}

static void end_all(struct br_http_transfers *transfers)
{
    struct br_http_transfer *transfer = TAILQ_FIRST(&transfers->by_deadline);
    while (transfer != NULL) {
        struct br_http_transfer *next = TAILQ_NEXT(transfer, by_deadline);
        end_cancelled(transfer);
        transfer = next;
    }
}

void br_http_transfers_end_overdue(struct br_http_transfers *transfers, int64_t now_ms)
{
    struct br_http_transfer *transfer = TAILQ_FIRST(&transfers->by_deadline);
    while (transfer != NULL && transfer->exchange->deadline_ms <= now_ms) {
        struct br_http_transfer *next = TAILQ_NEXT(transfer, by_deadline);
        br_http_transfer_fail_by_deadline(transfer);
        br_http_transfers_end(transfer);
        transfer = next;
    }
}

int64_t br_http_transfers_deadline_ms(const struct br_http_transfers *transfers)
{
    const struct br_http_transfer *first = TAILQ_FIRST(&transfers->by_deadline);
    return first != NULL ? first->exchange->deadline_ms : INT64_MAX;
}

/* Deadlines mostly come in order, so the place is found near the end. */
static void insert_by_deadline(struct br_http_transfers *transfers, struct br_http_transfer *transfer)
{
    struct br_http_transfer *earlier = TAILQ_LAST(&transfers->by_deadline, br_http_transfer_list);
    while (earlier != NULL && earlier->exchange->deadline_ms > transfer->exchange->deadline_ms) {
        earlier = TAILQ_PREV(earlier, br_http_transfer_list, by_deadline);
    }
    if (earlier != NULL) {
        TAILQ_INSERT_AFTER(&transfers->by_deadline, earlier, transfer, by_deadline);
    } else {
        TAILQ_INSERT_HEAD(&transfers->by_deadline, transfer, by_deadline);
    }
}

/* Lines |exchange| up; |transfer| is the first spare one. */
static void enqueue(struct br_http_transfers *transfers, struct br_http_transfer *transfer,
                    struct br_http_exchange *exchange)
{
    TAILQ_REMOVE(&transfers->spare, transfer, line);
    transfers->spare_count--;
    transfer->exchange = exchange;
    exchange->reused_connection = false;
    exchange->failure_text[0] = '\0';
    br_http_collect_begin(&transfer->collect, exchange);
    insert_by_deadline(transfers, transfer);
    add(&transfers->queued_count, exchange, 1);
    TAILQ_INSERT_TAIL(line_of(transfers, exchange), transfer, line);
}

/* It would put a header of another's choice into the request, or a request of its own. */
static bool has_line_break(const struct br_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (strpbrk(headers->items[i].name, "\r\n") != NULL ||
            strpbrk(headers->items[i].value, "\r\n") != NULL) {
            return true;
        }
    }
    return false;
}

/* Takes a new |exchange|; |fresh| is the first spare transfer, or NULL. */
static void accept_exchange(struct br_http_transfers *transfers, struct br_http_transfer *fresh,
                            struct br_http_exchange *exchange)
{
    if (fresh == NULL) {
        br_http_exchange_fail(exchange, BR_TRANSPORT_NO_MEMORY, "OUT_OF_MEMORY", "no memory for the request");
        give_back(exchange);
        return;
    }
    enqueue(transfers, fresh, exchange);
    if (has_line_break(&exchange->headers)) {
        br_http_exchange_fail(exchange, BR_TRANSPORT_FAILED, "BAD_FUNCTION_ARGUMENT",
                              "a header holds a line break");
        br_http_transfers_end(fresh);
    }
}

bool br_http_transfers_take(struct br_http_transfers *transfers)
{
    for (;;) {
        struct br_http_transfer *fresh = br_http_transfers_peek_spare(transfers);
        struct br_http_exchange *exchange = NULL;
        switch (br_http_queue_take(&transfers->queue, fresh, &exchange)) {
        case BR_HTTP_QUEUE_EMPTY:
            return true;
        case BR_HTTP_QUEUE_STOPPED:
            if (TAILQ_EMPTY(&transfers->by_deadline)) {
                return false;
            }
            end_all(transfers);
            break;
        case BR_HTTP_QUEUE_SUBMITTED:
            accept_exchange(transfers, fresh, exchange);
            break;
        case BR_HTTP_QUEUE_DROPPED:
            br_http_exchange_fail(exchange, BR_TRANSPORT_CANCELLED, "CANCELLED", "");
            give_back(exchange);
            break;
        case BR_HTTP_QUEUE_CANCELLED:
            end_cancelled(exchange->client);
            break;
        }
    }
}

void br_http_transfers_start(struct br_http_transfers *transfers)
{
    struct br_http_transfer *transfer = TAILQ_FIRST(&transfers->waiting);
    while (transfer != NULL && transfers->running_count < transfers->running_max) {
        struct br_http_transfer *next = TAILQ_NEXT(transfer, line);
        if (transfers->engine->start(transfers->arg, transfer)) {
            TAILQ_REMOVE(&transfers->waiting, transfer, line);
            transfer->running = true;
            transfers->running_count++;
        } else {
            br_http_transfers_end(transfer);
        }
        transfer = next;
    }
}
