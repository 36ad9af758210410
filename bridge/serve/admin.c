#include "serve/admin.h"

#include "base/address.h"
#include "translate/violation.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "[", an IPv6 address with its zone, "]:65535". */
#define ADDRESS_CAP (BR_ADDRESS_HOST_CAP + 16)

#define PLAIN_TEXT "text/plain; charset=utf-8"
#define PROMETHEUS_TEXT "text/plain; version=0.0.4; charset=utf-8"

struct br_admin {
    struct MHD_Daemon *daemon;
    const struct br_metrics *metrics;
    char address[ADDRESS_CAP];
};

/* ---- Listening ---- */

/* A listening socket; -1 with errno. */
static int open_socket(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    const int yes = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BR_ADMIN_CONNECTIONS_MAX) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* The socket on the first address of |address|'s host that can be had; -1, and |cause|. */
static int listen_on(const char *address, const char **cause)
{
    char host[BR_ADDRESS_HOST_CAP];
    const char *port = NULL;
    if (br_address_unix_path(address) == NULL && br_address_is_valid(address, 0)) {
        port = br_address_split(address, host);
    }
    if (port == NULL) {
        *cause = "it is not HOST:PORT with a port from 0 to 65535";
        return -1;
    }
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *infos;
    int failure = getaddrinfo(host, port, &hints, &infos);
    if (failure != 0) {
        *cause = failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure);
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *info = infos; fd < 0 && info != NULL; info = info->ai_next) {
        fd = open_socket(info);
    }
    if (fd < 0) {
        *cause = strerror(errno);
    }
    freeaddrinfo(infos);
    return fd;
}

static void name_address(int fd, char out[ADDRESS_CAP])
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    char host[BR_ADDRESS_HOST_CAP] = "";
    char port[8] = "";
    (void)getsockname(fd, (struct sockaddr *)&bound, &len);
    (void)getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, ADDRESS_CAP, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- Answering ---- */

/* |body| from malloc, taken. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              char *body, size_t len)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(body);
        return MHD_NO;
    }
    /* One request each: an idle client holds no connection, and what follows a body that was not read is no request. */
    enum MHD_Result result = MHD_NO;
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET") == MHD_YES)) {
        result = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    char *body = strdup(text);
    return body != NULL ? answer(connection, status, PLAIN_TEXT, body, strlen(body)) : MHD_NO;
}

static enum MHD_Result answer_metrics(struct MHD_Connection *connection, const struct br_admin *admin)
{
    struct br_buf text;
    struct br_status st;
    br_buf_init(&text, BR_ADMIN_METRICS_MAX_BYTES);
    if (!br_metrics_write(admin->metrics, &text, &st)) {
        br_buf_finish(&text);
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, st.msg);
    }
    return answer(connection, MHD_HTTP_OK, PROMETHEUS_TEXT, text.data, text.len);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) !=
               NULL;
}

/* Called when the headers are there; everything is answered then, so it is not called for a body. */
static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body, size_t *body_len,
                              void **state)
{
    (void)version;
    (void)body;
    (void)body_len;
    (void)state;
    const struct br_admin *admin = cls;
    bool is_metrics = strcmp(path, "/metrics") == 0;
    if (!is_metrics && strcmp(path, "/livez") != 0) {
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found; there are /metrics and /livez\n");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    }
    if (has_body(connection)) {
        return answer_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, "no request body is accepted\n");
    }
    return is_metrics ? answer_metrics(connection, admin) : answer_text(connection, MHD_HTTP_OK, "ok\n");
}

/* ---- The port ---- */

static bool start(struct br_admin *admin, const char *address, struct br_status *st)
{
    const char *cause;
    int fd = listen_on(address, &cause);
    if (fd < 0) {
        char quoted[BR_QUOTE_CAP];
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--admin-listen: cannot listen on %s: %s", br_violation_quote(address, quoted),
                             cause);
    }
    name_address(fd, admin->address);
    /*
     * With select(), the default, no descriptor above 1023 is taken. With epoll, libmicrohttpd 0.9.75 does not see
     * that a client has gone when its last bytes and its end come together, and keeps the connection until its timeout.
     */
    admin->daemon =
        MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, handle, admin, MHD_OPTION_LISTEN_SOCKET,
                         (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)BR_ADMIN_CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)BR_ADMIN_TIMEOUT_S,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, BR_ADMIN_REQUEST_MAX_BYTES, MHD_OPTION_END);
    if (admin->daemon == NULL) {
        /* Most of its failures have closed |fd| already; closing it again could hit another thread's descriptor. */
        return br_status_set(st, BR_INTERNAL, "ADMIN_START", "the admin port could not be started");
    }
    return true;
}

bool br_admin_create(const struct br_admin_config *config, struct br_admin **out, struct br_status *st)
{
    struct br_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the admin port");
    }
    admin->metrics = config->metrics;
    if (!start(admin, config->address, st)) {
        free(admin);
        return false;
    }
    *out = admin;
    return true;
}

const char *br_admin_address(const struct br_admin *admin)
{
    return admin->address;
}

void br_admin_destroy(struct br_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
