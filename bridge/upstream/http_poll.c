#include "upstream/http_poll.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 64

bool br_http_poll_init(struct br_http_poll *poll, int wake_fd, struct br_status *st)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "cannot make an epoll: %s",
                             strerror(errno));
    }
    /* Edge-triggered, so that it need not be read. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = wake_fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) != 0) {
        br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "cannot watch an eventfd: %s",
                      strerror(errno));
        (void)close(epoll_fd);
        return false;
    }
    *poll = (struct br_http_poll){.epoll_fd = epoll_fd, .wake_fd = wake_fd};
    return true;
}

void br_http_poll_finish(struct br_http_poll *poll)
{
    (void)close(poll->epoll_fd);
}

bool br_http_poll_watch(struct br_http_poll *poll, int fd, bool known, bool readable, bool writable)
{
    struct epoll_event event = {.data.fd = fd};
    event.events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    if (epoll_ctl(poll->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0) {
        return true;
    }
    BR_LOG(BR_LOG_ERROR, "upstream_poll_failed", br_log_number("errno", errno));
    return false;
}

void br_http_poll_forget(struct br_http_poll *poll, int fd)
{
    (void)epoll_ctl(poll->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static int compute_timeout(int64_t until_ms)
{
    if (until_ms == INT64_MAX) {
        return -1;
    }
    const struct br_clock *clock = br_clock_system();
    int64_t left = until_ms - br_clock_now_ms(clock);
    if (left < 0) {
        return 0;
    }
    return left > INT_MAX ? INT_MAX : (int)left;
}

void br_http_poll_wait(struct br_http_poll *poll, int64_t until_ms, br_http_poll_ready_fn ready, void *arg)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int count = epoll_wait(poll->epoll_fd, events, EVENTS_PER_WAIT, compute_timeout(until_ms));
    for (int i = 0; i < count; i++) {
        uint32_t bits = events[i].events;
        if (events[i].data.fd != poll->wake_fd) {
            ready(arg, events[i].data.fd, (bits & EPOLLIN) != 0, (bits & EPOLLOUT) != 0);
        }
    }
}
