#include "upstream/http_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool br_http_queue_init(struct br_http_queue *queue, struct br_status *st)
{
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "cannot make an eventfd: %s",
                             strerror(errno));
    }
    *queue = (struct br_http_queue){.wake_fd = wake_fd};
    /* Cannot fail with default attributes on Linux. */
    (void)pthread_mutex_init(&queue->lock, NULL);
    return true;
}

void br_http_queue_finish(struct br_http_queue *queue)
{
    (void)pthread_mutex_destroy(&queue->lock);
    (void)close(queue->wake_fd);
}

/*
 * Under the lock, although that keeps the woken thread waiting for a moment: the client may be destroyed as
 * soon as its thread can see what was put in the queue.
 */
static void wake(struct br_http_queue *queue)
{
    /* Fails only when the counter is full, and then the thread has been woken. */
    ssize_t written = write(queue->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;
}

static void append(struct br_http_queue *queue, struct br_http_exchange *exchange)
{
    exchange->queued = true;
    exchange->next = NULL;
    if (queue->first != NULL) {
        queue->last->next = exchange;
        queue->last = exchange;
        return;
    }
    queue->first = exchange;
    queue->last = exchange;
    wake(queue);
}

void br_http_queue_submit(struct br_http_queue *queue, struct br_http_exchange *exchange)
{
    pthread_mutex_lock(&queue->lock);
    exchange->client = NULL;
    exchange->cancelled = false;
    append(queue, exchange);
    pthread_mutex_unlock(&queue->lock);
}

void br_http_queue_cancel(struct br_http_queue *queue, struct br_http_exchange *exchange)
{
    pthread_mutex_lock(&queue->lock);
    if (exchange->queued) {
        exchange->cancelled = true;
    } else if (exchange->client != NULL) {
        exchange->cancelled = true;
        append(queue, exchange);
    }
    pthread_mutex_unlock(&queue->lock);
}

void br_http_queue_stop(struct br_http_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    wake(queue);
    pthread_mutex_unlock(&queue->lock);
}

enum br_http_queue_event br_http_queue_take(struct br_http_queue *queue, void *fresh,
                                            struct br_http_exchange **exchange)
{
    enum br_http_queue_event event;
    pthread_mutex_lock(&queue->lock);
    struct br_http_exchange *first = queue->first;
    if (first == NULL) {
        event = queue->stopping ? BR_HTTP_QUEUE_STOPPED : BR_HTTP_QUEUE_EMPTY;
    } else {
        queue->first = first->next;
        first->queued = false;
        if (first->client != NULL) {
            event = BR_HTTP_QUEUE_CANCELLED;
        } else if (first->cancelled) {
            event = BR_HTTP_QUEUE_DROPPED;
        } else {
            first->client = fresh;
            event = BR_HTTP_QUEUE_SUBMITTED;
        }
        *exchange = first;
    }
    pthread_mutex_unlock(&queue->lock);
    return event;
}

bool br_http_queue_release(struct br_http_queue *queue, struct br_http_exchange *exchange)
{
    pthread_mutex_lock(&queue->lock);
    bool released = !exchange->queued;
    if (released) {
        exchange->client = NULL;
    }
    pthread_mutex_unlock(&queue->lock);
    return released;
}
