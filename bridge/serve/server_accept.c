/* accept4(). */
#define _GNU_SOURCE

#include "serve/server_accept.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Connections that one call closes at the most, so that it ends although more of them come. */
#define CLOSED_AT_ONCE_MAX 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int reserve_fd = -1; /* under |lock|; -1: there is none */

static void open_reserve(void)
{
    if (reserve_fd < 0) {
        reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

void br_accept_init(void)
{
    pthread_mutex_lock(&lock);
    open_reserve();
    pthread_mutex_unlock(&lock);
}

/* The system call itself, past what stands before it. */
static int take(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return (int)syscall(SYS_accept4, fd, address, len, flags);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Errors of a connection that was waiting to be taken, not of the socket that it waited on. */
static bool is_of_one_connection(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* Takes and closes what waits on |fd|, with the descriptor that was in reserve. */
static void close_waiting(int fd)
{
    int count = 0;
    pthread_mutex_lock(&lock);
    if (reserve_fd >= 0) {
        (void)close(reserve_fd);
        reserve_fd = -1;
    }
    while (count < CLOSED_AT_ONCE_MAX) {
        int taken = take(fd, NULL, NULL, SOCK_CLOEXEC);
        if (taken < 0) {
            break;
        }
        (void)close(taken);
        count++;
    }
    open_reserve();
    pthread_mutex_unlock(&lock);
    BR_LOG(BR_LOG_WARN, "connections_refused", br_log_text("cause", "no file descriptor is left"),
           br_log_number("count", count));
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
    int taken = take(fd, address, len, flags);
    if (taken >= 0) {
        br_accept_init(); /* there are descriptors again, if there were none */
    } else if (is_shortage(errno)) {
        close_waiting(fd);
        errno = EAGAIN;
    } else if (is_of_one_connection(errno)) {
        errno = EINTR; /* so that core takes the next one */
    }
    return taken;
}
