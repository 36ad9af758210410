/*
 * An upstream that costs next to nothing: one thread, keep-alive, the same answer to every request, so that the
 * bridge in front of it is measured and not ModelArts' stand-in.
 *
 *   bench-upstream PORT-FILE BODY-FILE   answers each request with 200 and the JSON of BODY-FILE
 *   bench-upstream PORT-FILE             never answers
 *
 * Listens on a free port of 127.0.0.1. Requests are framed by Content-Length alone. SIGTERM ends it.
 */
#define _GNU_SOURCE /* strcasestr */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX_BYTES 16384
#define EVENTS_PER_WAIT 64

struct connection {
    LIST_ENTRY(connection) all;
    int fd;
    char head[HEAD_MAX_BYTES + 1]; /* of the request that is being read, with a NUL */
    size_t head_len;
    size_t body_left; /* bytes of its body that are still to come, when |in_body| */
    bool in_body;
};

struct upstream {
    char *answer; /* NULL: there is none */
    size_t answer_len;
    int epoll_fd;
    LIST_HEAD(, connection) connections;
};

static void build_answer(struct upstream *upstream, const char *path)
{
    size_t len;
    char *body = bench_read_file(path, &len);
    size_t cap = len + 256;
    upstream->answer = bench_need(malloc(cap));
    int head_len = snprintf(upstream->answer, cap,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "X-Request-Id: 71f2993bb44fa789d3a61b8b6201ba95\r\nContent-Length: %zu\r\n\r\n",
                            len);
    memcpy(upstream->answer + head_len, body, len);
    upstream->answer_len = (size_t)head_len + len;
    free(body);
}

static void watch(struct upstream *upstream, int fd, void *about)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = about};
    if (epoll_ctl(upstream->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        bench_fail("a socket cannot be watched");
    }
}

static void accept_connection(struct upstream *upstream, int listener)
{
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = bench_need(calloc(1, sizeof *connection));
    connection->fd = fd;
    LIST_INSERT_HEAD(&upstream->connections, connection, all);
    watch(upstream, fd, connection);
}

static void close_connection(struct connection *connection)
{
    LIST_REMOVE(connection, all);
    (void)close(connection->fd);
    free(connection);
}

/* The socket blocks: a client that sends a request also reads the answer. */
static bool send_answer(const struct upstream *upstream, int fd)
{
    size_t sent = 0;
    while (sent < upstream->answer_len) {
        ssize_t count = send(fd, upstream->answer + sent, upstream->answer_len - sent, MSG_NOSIGNAL);
        if (count < 0) {
            return false;
        }
        sent += (size_t)count;
    }
    return true;
}

/* Takes what belongs to the head; false: too long. */
static bool read_head(struct connection *connection, const char **at, const char *end)
{
    size_t room = HEAD_MAX_BYTES - connection->head_len;
    size_t count = (size_t)(end - *at) < room ? (size_t)(end - *at) : room;
    memcpy(connection->head + connection->head_len, *at, count);
    connection->head[connection->head_len + count] = '\0';
    const char *stop = strstr(connection->head, "\r\n\r\n");
    if (stop == NULL) {
        connection->head_len += count;
        *at += count;
        return connection->head_len < HEAD_MAX_BYTES;
    }
    *at += (size_t)(stop + 4 - connection->head) - connection->head_len;
    const char *length = strcasestr(connection->head, "\r\ncontent-length:");
    connection->body_left = 0;
    if (length != NULL && length < stop) {
        connection->body_left = (size_t)strtol(length + strlen("\r\ncontent-length:"), NULL, 10);
    }
    connection->head_len = 0;
    connection->in_body = true;
    return true;
}

/* Answers every request that |bytes| completes; false: the connection is of no more use. */
static bool feed(const struct upstream *upstream, struct connection *connection, const char *bytes,
                 size_t len)
{
    const char *end = bytes + len;
    const char *at = bytes;
    while (at < end) {
        if (!connection->in_body && !read_head(connection, &at, end)) {
            return false;
        }
        size_t count =
            (size_t)(end - at) < connection->body_left ? (size_t)(end - at) : connection->body_left;
        at += count;
        connection->body_left -= count;
        if (connection->in_body && connection->body_left == 0) {
            connection->in_body = false;
            if (!send_answer(upstream, connection->fd)) {
                return false;
            }
        }
    }
    return true;
}

static void serve_connection(const struct upstream *upstream, struct connection *connection)
{
    static char bytes[1 << 18];
    ssize_t len = recv(connection->fd, bytes, sizeof bytes, 0);
    if (len <= 0 || !feed(upstream, connection, bytes, (size_t)len)) {
        close_connection(connection);
    }
}

static int listen_anywhere(const char *port_file)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, SOMAXCONN) != 0 || getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        bench_fail("cannot listen on 127.0.0.1");
    }
    bench_write_port(port_file, ntohs(address.sin_port));
    return listener;
}

static int block_sigterm(void)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ending, NULL);
    return signalfd(-1, &ending, SFD_CLOEXEC);
}

/* Until SIGTERM. */
static void serve(struct upstream *upstream, int *listener, int *signals)
{
    watch(upstream, *listener, listener);
    watch(upstream, *signals, signals);
    for (;;) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(upstream->epoll_fd, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < count; i++) {
            void *about = events[i].data.ptr;
            if (about == signals) {
                return;
            }
            if (about == listener) {
                accept_connection(upstream, *listener);
            } else {
                serve_connection(upstream, about);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        bench_fail("usage: bench-upstream PORT-FILE [BODY-FILE]");
    }
    struct upstream upstream = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    LIST_INIT(&upstream.connections);
    if (argc == 3) {
        build_answer(&upstream, argv[2]);
    }
    int signals = block_sigterm();
    int listener = listen_anywhere(argv[1]);
    serve(&upstream, &listener, &signals);
    while (!LIST_EMPTY(&upstream.connections)) {
        close_connection(LIST_FIRST(&upstream.connections));
    }
    (void)close(listener);
    (void)close(signals);
    (void)close(upstream.epoll_fd);
    free(upstream.answer);
    return 0;
}
