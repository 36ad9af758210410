#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX ((size_t)8 * 1024 * 1024)
#define WAIT_SECONDS 10

struct connection {
    struct connection *next;
    struct http_server *server;
    pthread_t thread;
    int fd; /* -1 once closed; under the server's lock */
};

struct http_server {
    const struct http_server_rule *rules;
    size_t rule_count;
    int listen_fd;
    int port;
    pthread_t thread;

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    struct connection *connections;
    bool stopping;
    int connection_count;
    int request_count;
    int closed_count;
    char *last_request;
};

static void give_up(const char *what)
{
    perror(what);
    abort();
}

static bool send_all(int fd, const char *bytes, size_t len, bool by_bytes)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fd, bytes + sent, by_bytes ? 1 : len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

/* The length of the first request in |text|, head and body; 0: it is not complete. */
static size_t request_len(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t len = (size_t)(end - text) + 4;
    for (const char *line = strstr(text, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            len += strtoul(line + 17, NULL, 10);
    }
    return len <= strlen(text) ? len : 0;
}

/* Reads one request into |*text|; bytes after it stay there for the next. Returns its length; 0: the end. */
static size_t read_request(int fd, char **text, size_t *have)
{
    for (;;) {
        size_t len = *have > 0 ? request_len(*text) : 0;
        if (len > 0)
            return len;
        if (*have > REQUEST_MAX)
            return 0;
        *text = realloc(*text, *have + 65537);
        if (*text == NULL)
            give_up("realloc");
        ssize_t n = recv(fd, *text + *have, 65536, 0);
        if (n <= 0)
            return 0;
        *have += (size_t)n;
        (*text)[*have] = '\0';
    }
}

static const struct http_server_rule *find_rule(const struct http_server *server, const char *request)
{
    static const struct http_server_rule unknown = {
        .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    const char *path = strchr(request, ' ');
    if (path == NULL)
        return &unknown;
    size_t len = strcspn(++path, " \r\n");
    for (size_t i = 0; i < server->rule_count; i++) {
        if (strlen(server->rules[i].path) == len && memcmp(server->rules[i].path, path, len) == 0)
            return &server->rules[i];
    }
    return &unknown;
}

static void note_request(struct http_server *server, const char *request, size_t len)
{
    pthread_mutex_lock(&server->lock);
    free(server->last_request);
    server->last_request = strndup(request, len);
    server->request_count++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Answers the request. Returns whether another one may follow. */
static bool answer(int fd, const struct http_server_rule *rule)
{
    if (rule->bytes != NULL &&
        !send_all(fd, rule->bytes, rule->len > 0 ? rule->len : strlen(rule->bytes), rule->by_bytes))
        return false;
    char byte;
    switch (rule->then) {
    case HTTP_SERVER_KEEP:
        return true;
    case HTTP_SERVER_RESET:
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        return false;
    case HTTP_SERVER_HOLD:
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
        return false;
    case HTTP_SERVER_CLOSE:
        break;
    }
    return false;
}

static void *serve(void *arg)
{
    struct connection *connection = arg;
    struct http_server *server = connection->server;
    int fd = connection->fd;
    char *text = NULL;
    size_t have = 0;
    size_t len;
    while ((len = read_request(fd, &text, &have)) > 0) {
        note_request(server, text, len);
        if (!answer(fd, find_rule(server, text)))
            break;
        memmove(text, text + len, have - len + 1);
        have -= len;
    }
    free(text);

    pthread_mutex_lock(&server->lock);
    (void)close(fd);
    connection->fd = -1;
    server->closed_count++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct http_server *server = arg;
    for (;;) {
        int fd = accept(server->listen_fd, NULL, NULL);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return NULL;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
            give_up("calloc");
        connection->server = server;
        connection->fd = fd;
        pthread_mutex_lock(&server->lock);
        if (server->stopping) {
            pthread_mutex_unlock(&server->lock);
            (void)close(fd);
            free(connection);
            return NULL;
        }
        connection->next = server->connections;
        server->connections = connection;
        server->connection_count++;
        if (pthread_create(&connection->thread, NULL, serve, connection) != 0)
            give_up("pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
}

struct http_server *http_server_start(const struct http_server_rule *rules, size_t rule_count)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        give_up("calloc");
    server->rules = rules;
    server->rule_count = rule_count;
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->changed, NULL);

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listen_fd < 0 || bind(server->listen_fd, (struct sockaddr *)&address, len) != 0 ||
        listen(server->listen_fd, 1024) != 0 ||
        getsockname(server->listen_fd, (struct sockaddr *)&address, &len) != 0)
        give_up("listen");
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, accept_all, server) != 0)
        give_up("pthread_create");
    return server;
}

void http_server_stop(struct http_server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        if (c->fd >= 0)
            (void)shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
    /* Wakes the accept. */
    (void)shutdown(server->listen_fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listen_fd);

    struct connection *connection = server->connections;
    while (connection != NULL) {
        struct connection *next = connection->next;
        (void)pthread_join(connection->thread, NULL);
        free(connection);
        connection = next;
    }
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->last_request);
    free(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

static int read_count(struct http_server *server, const int *count)
{
    pthread_mutex_lock(&server->lock);
    int value = *count;
    pthread_mutex_unlock(&server->lock);
    return value;
}

int http_server_request_count(struct http_server *server)
{
    return read_count(server, &server->request_count);
}

int http_server_connection_count(struct http_server *server)
{
    return read_count(server, &server->connection_count);
}

static bool wait_count(struct http_server *server, const int *count, int wanted)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    int error = 0;
    pthread_mutex_lock(&server->lock);
    while (*count < wanted && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    bool reached = *count >= wanted;
    pthread_mutex_unlock(&server->lock);
    return reached;
}

bool http_server_wait_requests(struct http_server *server, int count)
{
    return wait_count(server, &server->request_count, count);
}

bool http_server_wait_closed(struct http_server *server, int count)
{
    return wait_count(server, &server->closed_count, count);
}

void http_server_last_request(struct http_server *server, char *out, size_t cap)
{
    pthread_mutex_lock(&server->lock);
    (void)snprintf(out, cap, "%s", server->last_request != NULL ? server->last_request : "");
    pthread_mutex_unlock(&server->lock);
}
