#include "serve/server_listen.h"

#include "base/address.h"
#include "base/log.h"
#include "serve/server_tls.h"
#include "serve/unix_socket.h"
#include "translate/violation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grpc/grpc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
    char *address; /* as bound */
    struct br_tls *tls;
    struct br_unix_socket unix_socket;
};

struct br_listeners {
    struct listener *items;
    size_t count;
};

static bool no_memory(struct br_status *st)
{
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for a listener");
}

bool br_listen_is_private(const char *address)
{
    if (br_address_unix_path(address) != NULL) {
        return true;
    }
    char host[BR_ADDRESS_HOST_CAP];
    if (br_address_split(address, host) == NULL) {
        return false;
    }
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET);
    }
    return strcmp(host, "localhost") == 0;
}

bool br_listen_check(const struct br_listen_config *config, struct br_status *st)
{
    if (!config->holds_credential || config->client_ca_file != NULL ||
        config->allow_unauthenticated_callers) {
        return true;
    }
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (!br_listen_is_private(config->addresses.items[i])) {
            char quoted[BR_QUOTE_CAP];
            return br_status_set(
                st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                "--listen: other hosts may reach %s and would call with the bridge's own credential: "
                "authenticate callers with --client-ca, listen on loopback or a unix socket only, or say "
                "--allow-unauthenticated-callers",
                br_violation_quote(config->addresses.items[i], quoted));
        }
    }
    return true;
}

static bool fail_listen(struct br_status *st, const char *address, const char *cause)
{
    char quoted[BR_QUOTE_CAP];
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--listen: cannot listen on %s: %s",
                         br_violation_quote(address, quoted), cause);
}

/* 0, or why |info| cannot be listened on. */
static int try_listen(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    /* As core does: what a connection before has left is not in the way. */
    const int yes = 1;
    int error = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        error = errno;
    }
    (void)close(fd);
    return error;
}

static const char *cause_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "it is in use by another process";
    case EADDRNOTAVAIL:
        return "it is not an address of this host";
    case EACCES:
        return "no permission: ports below 1024 need a privilege";
    default:
        return strerror(error);
    }
}

/* Core does not tell why it cannot listen, so the same is tried here; NULL: it works here. */
static const char *find_cause(const char *address)
{
    char host[BR_ADDRESS_HOST_CAP];
    const char *port = br_address_split(address, host);
    if (port == NULL) {
        return "it is neither HOST:PORT nor unix:PATH";
    }
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0) {
        return failed == EAI_NONAME   ? "the name of the host does not resolve"
               : failed == EAI_SYSTEM ? strerror(errno)
                                      : gai_strerror(failed);
    }
    int error = 0;
    for (const struct addrinfo *info = found; error == 0 && info != NULL; info = info->ai_next) {
        error = try_listen(info);
    }
    freeaddrinfo(found);
    return error != 0 ? cause_of(error) : NULL;
}

/* "HOST:PORT" with the port that was bound. */
static char *bound_address(const char *address, int port)
{
    const char *colon = strrchr(address, ':');
    size_t host_len = colon != NULL ? (size_t)(colon - address) : strlen(address);
    size_t cap = host_len + 16;
    char *text = malloc(cap);
    if (text != NULL) {
        (void)snprintf(text, cap, "%.*s:%d", (int)host_len, address, port);
    }
    return text;
}

static bool refuse_tls(const struct br_listen_config *config, const char *cause, struct br_status *st)
{
    char cert[BR_QUOTE_CAP];
    char key[BR_QUOTE_CAP];
    char ca[BR_QUOTE_CAP];
    bool has_ca = config->client_ca_file != NULL;
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                         "--tls-cert %s, --tls-key %s%s%s: damaged, or the key is not the certificate's: %s",
                         br_violation_quote(config->cert_file, cert),
                         br_violation_quote(config->key_file, key), has_ca ? ", --client-ca " : "",
                         has_ca ? br_violation_quote(config->client_ca_file, ca) : "", cause);
}

static bool bind_tcp(struct grpc_server *core, const struct br_listen_config *config, const char *address,
                     struct listener *listener, struct br_status *st)
{
    grpc_server_credentials *credentials;
    bool is_tls = config->cert_file != NULL;
    if (is_tls) {
        if (!br_tls_create(config, &listener->tls, st)) {
            return false;
        }
        credentials = br_tls_credentials(listener->tls);
    } else {
        credentials = grpc_insecure_server_credentials_create();
    }
    int port = grpc_server_add_http2_port(core, address, credentials);
    if (!is_tls) {
        grpc_server_credentials_release(credentials);
    }
    if (port == 0) {
        if (is_tls && br_tls_refusal() != NULL) {
            return refuse_tls(config, br_tls_refusal(), st);
        }
        const char *cause = find_cause(address);
        return fail_listen(st, address, cause != NULL ? cause : "gRPC refuses it");
    }
    listener->address = bound_address(address, port);
    if (listener->address == NULL) {
        return no_memory(st);
    }
    if (is_tls) {
        br_tls_listens(listener->tls, listener->address);
    } else if (!br_listen_is_private(address)) {
        /* Once for each address. */
        const struct br_log_field fields[] = {
            br_log_text("address", listener->address),
            br_log_text("meaning", "other hosts may reach it, and tokens travel readable; use --tls-cert"),
        };
        br_log_always(BR_LOG_WARN, "listening_not_encrypted", fields, 2);
    }
    return true;
}

/* |path| as core takes an address, which it percent-decodes; NULL without memory. */
static char *unix_address(const char *path)
{
    char *address = malloc(sizeof "unix:" + 3 * strlen(path));
    if (address == NULL) {
        return NULL;
    }
    memcpy(address, "unix:", 5);
    char *to = address + 5;
    for (; *path != '\0'; path++) {
        if (*path == '%') {
            memcpy(to, "%25", 3);
            to += 3;
        } else {
            *to++ = *path;
        }
    }
    *to = '\0';
    return address;
}

static bool bind_unix(struct grpc_server *core, const struct br_listen_config *config, const char *address,
                      struct listener *listener, struct br_status *st)
{
    char *path = NULL;
    if (!br_unix_socket_prepare(&listener->unix_socket, br_address_unix_path(address), &path, st)) {
        return false;
    }
    char *inner = unix_address(path);
    free(path);
    listener->address = strdup(address);
    if (inner == NULL || listener->address == NULL) {
        free(inner);
        return no_memory(st);
    }
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(core, inner, credentials);
    grpc_server_credentials_release(credentials);
    free(inner);
    if (port == 0) {
        return fail_listen(st, address, "a unix socket cannot be made in its folder");
    }
    return br_unix_socket_place(&listener->unix_socket, config->unix_mode, st);
}

bool br_listeners_create(struct grpc_server *core, const struct br_listen_config *config,
                         struct br_listeners **out, struct br_status *st)
{
    if (!br_listen_check(config, st)) {
        return false;
    }
    struct br_listeners *listeners = calloc(1, sizeof *listeners);
    if (listeners == NULL) {
        return no_memory(st);
    }
    bool bound = true;
    listeners->items = calloc(config->addresses.count, sizeof *listeners->items);
    if (listeners->items == NULL) {
        bound = no_memory(st);
    }
    for (size_t i = 0; bound && i < config->addresses.count; i++) {
        const char *address = config->addresses.items[i];
        struct listener *listener = &listeners->items[listeners->count++];
        bound = br_address_unix_path(address) != NULL ? bind_unix(core, config, address, listener, st)
                                                      : bind_tcp(core, config, address, listener, st);
    }
    if (!bound) {
        br_listeners_destroy(listeners);
        return false;
    }
    *out = listeners;
    return true;
}

const char *br_listeners_address(const struct br_listeners *listeners, size_t index)
{
    return index < listeners->count ? listeners->items[index].address : NULL;
}

int64_t br_listeners_certificate_expiry_s(const struct br_listeners *listeners)
{
    int64_t earliest_s = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct br_tls *tls = listeners->items[i].tls;
        int64_t expiry_s = tls != NULL ? br_tls_expiry_s(tls) : 0;
        if (expiry_s != 0 && (earliest_s == 0 || expiry_s < earliest_s)) {
            earliest_s = expiry_s;
        }
    }
    return earliest_s;
}

void br_listeners_destroy(struct br_listeners *listeners)
{
    if (listeners == NULL) {
        return;
    }
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->items[i];
        br_tls_destroy(listener->tls);
        br_unix_socket_finish(&listener->unix_socket);
        free(listener->address);
    }
    free(listeners->items);
    free(listeners);
}
