#include "upstream/http_poll.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 64
#define SOCKETS_FIRST ((size_t)64)

struct br_http_poll_socket {
    uint32_t events;    /* registered for these */
    bool is_registered; /* with the system */
    bool is_wanted;
    bool is_kept; /* stays registered while it is not wanted */
};

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
    free(poll->sockets);
}

static bool is_known(const struct br_http_poll *poll, int fd)
{
    return (size_t)fd < poll->socket_cap;
}

/* What is known of |fd|; NULL: nothing, and no memory for it. */
static struct br_http_poll_socket *find_socket(struct br_http_poll *poll, int fd)
{
    size_t index = (size_t)fd;
    if (index >= poll->socket_cap) {
        size_t cap = index < SOCKETS_FIRST / 2 ? SOCKETS_FIRST : index * 2;
        struct br_http_poll_socket *grown = realloc(poll->sockets, cap * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        memset(grown + poll->socket_cap, 0, (cap - poll->socket_cap) * sizeof *grown);
        poll->sockets = grown;
        poll->socket_cap = cap;
    }
    return &poll->sockets[index];
}

void br_http_poll_opened(struct br_http_poll *poll, int fd)
{
    struct br_http_poll_socket *known = find_socket(poll, fd);
    if (known != NULL) {
        *known = (struct br_http_poll_socket){.is_kept = true};
    }
}

/* The system forgets a socket that is closed. */
void br_http_poll_closed(struct br_http_poll *poll, int fd)
{
    if (is_known(poll, fd)) {
        poll->sockets[fd] = (struct br_http_poll_socket){0};
    }
}

/* A socket that could not be remembered, for want of memory, may be registered already. */
static bool register_socket(struct br_http_poll *poll, int fd, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll->epoll_fd, how, fd, &event) == 0 ||
        (errno == EEXIST && epoll_ctl(poll->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)) {
        return true;
    }
    BR_LOG(BR_LOG_ERROR, "upstream_poll_failed", br_log_number("errno", errno));
    return false;
}

bool br_http_poll_watch(struct br_http_poll *poll, int fd, bool readable, bool writable)
{
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    struct br_http_poll_socket *known = find_socket(poll, fd);
    if (known == NULL) {
        return register_socket(poll, fd, EPOLL_CTL_ADD, events);
    }
    known->is_wanted = true;
    if (known->is_registered && known->events == events) {
        return true;
    }
    if (!register_socket(poll, fd, known->is_registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, events)) {
        return false;
    }
    known->is_registered = true;
    known->events = events;
    return true;
}

static void unregister(struct br_http_poll *poll, int fd)
{
    (void)epoll_ctl(poll->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    if (is_known(poll, fd)) {
        poll->sockets[fd].is_registered = false;
    }
}

void br_http_poll_forget(struct br_http_poll *poll, int fd)
{
    if (is_known(poll, fd)) {
        poll->sockets[fd].is_wanted = false;
    }
    if (!is_known(poll, fd) || !poll->sockets[fd].is_kept) {
        unregister(poll, fd);
    }
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
        int fd = events[i].data.fd;
        if (fd == poll->wake_fd) {
            continue;
        }
        if (!is_known(poll, fd) || poll->sockets[fd].is_wanted) {
            ready(arg, fd, (bits & EPOLLIN) != 0, (bits & EPOLLOUT) != 0);
        } else {
            /* The server has closed an idle connection: level-triggered, it would be told again and again. */
            unregister(poll, fd);
        }
    }
}
