#include "listener.h"

#include "alloc.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

/* IPv4 and IPv6 in the room of the larger one. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool read_host(const char *host, uint16_t port, union socket_address *out, socklen_t *len)
{
    char bare[SIM_HOST_CAP];
    size_t host_len = strlen(host);
    *out = (union socket_address){0};
    if (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']') {
        snprintf(bare, sizeof bare, "%.*s", (int)host_len - 2, host + 1);
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *len = sizeof out->v6;
        return inet_pton(AF_INET6, bare, &out->v6.sin6_addr) == 1;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    *len = sizeof out->v4;
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(AF_INET, numeric, &out->v4.sin_addr) == 1;
}

static bool read_address(const char *text, char *host, union socket_address *out, socklen_t *len)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (colon == NULL || (size_t)(colon - text) >= SIM_HOST_CAP ||
        !br_parse_int64(colon + 1, strlen(colon + 1), &port) || port < 0 || port > UINT16_MAX) {
        return false;
    }
    snprintf(host, SIM_HOST_CAP, "%.*s", (int)(colon - text), text);
    return read_host(host, (uint16_t)port, out, len);
}

bool sim_listener_open(struct sim_listener *out, const char *address, struct br_status *st)
{
    struct sim_listener opened = {.fd = -1};
    union socket_address bound;
    socklen_t len;
    const int on = 1;
    if (!read_address(address, opened.host, &bound, &len)) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "LISTEN_ADDRESS",
                             "--listen: \"%s\" is not an address and a port; give localhost or a numeric "
                             "address, and a port, such as 127.0.0.1:8080",
                             address);
    }
    opened.fd = socket(bound.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened.fd < 0 || setsockopt(opened.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(opened.fd, &bound.any, len) != 0 || listen(opened.fd, BACKLOG) != 0 ||
        getsockname(opened.fd, &bound.any, &len) != 0) {
        br_status_set(st, BR_FAILED_PRECONDITION, "LISTEN", "cannot listen on %s: %s", address,
                      strerror(errno));
        sim_listener_close(&opened);
        return false;
    }
    opened.port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    *out = opened;
    return true;
}

void sim_listener_close(struct sim_listener *listener)
{
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    listener->fd = -1;
}

bool sim_listener_write_port(const char *path, unsigned port, struct br_status *st)
{
    size_t cap = strlen(path) + sizeof ".tmp";
    char *draft = sim_alloc(cap);
    snprintf(draft, cap, "%s.tmp", path);
    FILE *file = fopen(draft, "we");
    bool ok = file != NULL && fprintf(file, "%u\n", port) > 0;
    ok = file != NULL && fclose(file) == 0 && ok && rename(draft, path) == 0;
    if (!ok) {
        br_status_set(st, BR_FAILED_PRECONDITION, "PORT_FILE", "cannot write the port file %s: %s", path,
                      strerror(errno));
    }
    free(draft);
    return ok;
}
