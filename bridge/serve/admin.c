#include "serve/admin.h"

#include "base/address.h"
#include "base/parse.h"
#include "translate/violation.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* "[", an IPv6 address with its zone, "]:65535". */
#define ADDRESS_CAP (BR_ADDRESS_HOST_CAP + 16)

/* The methods of one path. */
#define ALLOW_CAP 64

/* |fd| -1: nobody. */
struct open_connection {
    int fd;
    int64_t since_s; /* of CLOCK_MONOTONIC */
};

struct br_admin {
    struct MHD_Daemon *daemon;
    const struct br_admin_route *routes;
    size_t route_count;
    void *context;
    int64_t timeout_s;
    char address[ADDRESS_CAP];

    pthread_t watch;
    bool watching;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct open_connection open[BR_ADMIN_CONNECTIONS_MAX];
    bool stopping;
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
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
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

/* ---- Connections ---- */

static int64_t now_s(struct timespec *now)
{
    (void)clock_gettime(CLOCK_MONOTONIC, now);
    return now->tv_sec;
}

static void keep_connection(struct br_admin *admin, int fd, void **slot)
{
    struct timespec now;
    pthread_mutex_lock(&admin->lock);
    size_t i = 0;
    while (admin->open[i].fd >= 0) {
        i++;
        assert(i < BR_ADMIN_CONNECTIONS_MAX);
    }
    admin->open[i] = (struct open_connection){.fd = fd, .since_s = now_s(&now)};
    *slot = &admin->open[i];
    pthread_cond_signal(&admin->changed);
    pthread_mutex_unlock(&admin->lock);
}

/* libmicrohttpd has opened a connection, or is about to close one. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct br_admin *admin = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        keep_connection(
            admin, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, slot);
        return;
    }
    pthread_mutex_lock(&admin->lock);
    ((struct open_connection *)*slot)->fd = -1;
    pthread_mutex_unlock(&admin->lock);
}

/* Ends what is overdue; false when no connection is open. Under the lock. */
static bool sweep(struct br_admin *admin, int64_t at_s)
{
    bool any = false;
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        const struct open_connection *open = &admin->open[i];
        any = any || open->fd >= 0;
        if (open->fd >= 0 && at_s - open->since_s >= admin->timeout_s) {
            (void)shutdown(open->fd, SHUT_RDWR); /* libmicrohttpd finds its end, and closes it */
        }
    }
    return any;
}

/* libmicrohttpd's own timeout starts anew with each byte: a client that sends one every few seconds would stay. */
static void *end_overdue(void *argument)
{
    struct br_admin *admin = argument;
    pthread_mutex_lock(&admin->lock);
    while (!admin->stopping) {
        struct timespec until;
        if (sweep(admin, now_s(&until))) {
            until.tv_sec++;
            (void)pthread_cond_timedwait(&admin->changed, &admin->lock, &until);
        } else {
            (void)pthread_cond_wait(&admin->changed, &admin->lock);
        }
    }
    pthread_mutex_unlock(&admin->lock);
    return NULL;
}

/* ---- Answering ---- */

/* One request, from its headers to its end. */
struct exchange {
    const struct br_admin_route *route;
    void (*after)(void *context);
    size_t body_len; /* of all that came; what is beyond the route's ceiling was not kept */
    char body[BR_ADMIN_BODY_MAX_BYTES + 1];
};

bool br_admin_appended(enum br_buf_result result, struct br_status *st)
{
    switch (result) {
    case BR_BUF_OK:
        return true;
    case BR_BUF_FULL:
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "ADMIN_SIZE",
                             "the answer of the admin port is more than %zu bytes",
                             BR_ADMIN_ANSWER_MAX_BYTES);
    case BR_BUF_NO_MEMORY:
        break;
    }
    return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the admin port's answer");
}

const char *br_admin_query(const struct br_admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *br_admin_header(const struct br_admin_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* |allow| NULL: no such header. |body| taken. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, unsigned status, const char *type,
                                   const char *allow, struct br_buf *body)
{
    const char *const headers[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, type},
        /* One request each: an idle client holds no connection, and what follows a body that was not read is no request. */
        {MHD_HTTP_HEADER_CONNECTION, "close"},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                                    "form-action 'none'; frame-ancestors "
                                    "'none'"},
        {MHD_HTTP_HEADER_ALLOW, allow},
    };
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        br_buf_finish(body);
        return MHD_NO;
    }
    bool ok = true;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        ok = ok && (headers[i][1] == NULL ||
                    MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES);
    }
    enum MHD_Result result = ok ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

/* An answer of one line. */
static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *allow,
                              const char *text)
{
    struct br_buf body;
    br_buf_init(&body, BR_ADMIN_ANSWER_MAX_BYTES);
    if (br_buf_printf(&body, "%s\n", text) != BR_BUF_OK) {
        return MHD_NO;
    }
    return send_answer(connection, status, BR_ADMIN_TEXT, allow, &body);
}

static bool list_routes(const struct br_admin *admin, struct br_buf *out, struct br_status *st)
{
    enum br_buf_result result = BR_BUF_OK;
    for (size_t i = 0; i < admin->route_count && result == BR_BUF_OK; i++) {
        const struct br_admin_route *route = &admin->routes[i];
        result = br_buf_printf(out, "%-4s %-11s %s\n", route->method, route->path, route->help);
    }
    return br_admin_appended(result, st);
}

static bool answer_index(void *context, const struct br_admin_request *request,
                         struct br_admin_answer *answer, struct br_status *st)
{
    (void)request;
    return list_routes(context, &answer->body, st);
}

/* Its context is the port itself. */
static const struct br_admin_route index_route = {
    .method = MHD_HTTP_METHOD_GET, .path = "/", .handle = answer_index};

static enum MHD_Result refuse_path(struct MHD_Connection *connection, const struct br_admin *admin)
{
    struct br_buf body;
    struct br_status st;
    br_buf_init(&body, BR_ADMIN_ANSWER_MAX_BYTES);
    if (br_buf_puts(&body, "not found; there are:\n") != BR_BUF_OK || !list_routes(admin, &body, &st)) {
        br_buf_finish(&body);
        return MHD_NO;
    }
    return send_answer(connection, MHD_HTTP_NOT_FOUND, BR_ADMIN_TEXT, NULL, &body);
}

static bool is_get(const struct br_admin_route *route)
{
    return strcmp(route->method, MHD_HTTP_METHOD_GET) == 0;
}

/*
 * The route for |method| on |path|; NULL where there is none, with the methods that |path| has in |allow|: "" for a path
 * that does not exist.
 */
static const struct br_admin_route *find_route(const struct br_admin *admin, const char *path,
                                               const char *method, char allow[ALLOW_CAP])
{
    const char *wanted = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ? MHD_HTTP_METHOD_GET : method;
    size_t len = 0;
    allow[0] = '\0';
    for (size_t i = 0; i <= admin->route_count; i++) {
        const struct br_admin_route *route = i < admin->route_count ? &admin->routes[i] : &index_route;
        if (strcmp(route->path, path) != 0) {
            continue;
        }
        if (strcmp(route->method, wanted) == 0) {
            return route;
        }
        len += (size_t)snprintf(allow + len, ALLOW_CAP - len, "%s%s%s", len > 0 ? ", " : "", route->method,
                                is_get(route) ? ", HEAD" : "");
        assert(len < ALLOW_CAP);
    }
    return NULL;
}

static bool is_from_browser(const struct br_admin_request *request)
{
    return br_admin_header(request, MHD_HTTP_HEADER_ORIGIN) != NULL ||
           br_admin_header(request, "Sec-Fetch-Site") != NULL;
}

/* Whether the headers already tell that there is more than |max_bytes|. A chunked body says nothing of its length. */
static bool is_body_too_long(const struct br_admin_request *request, size_t max_bytes)
{
    const char *length = br_admin_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes = 0;
    return length != NULL && (!br_parse_uint64(length, strlen(length), &bytes) || bytes > max_bytes);
}

static enum MHD_Result refuse_body(struct MHD_Connection *connection, const struct br_admin_route *route)
{
    char text[96] = "no request body is accepted";
    if (route->body_max_bytes > 0) {
        (void)snprintf(text, sizeof text, "a request body of at most %zu bytes is accepted",
                       route->body_max_bytes);
    }
    return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, NULL, text);
}

/* The headers are there. What is refused now is answered before its body comes. */
static enum MHD_Result begin(struct br_admin *admin, struct MHD_Connection *connection, const char *path,
                             const char *method, void **state)
{
    const struct br_admin_request request = {.connection = connection};
    char allow[ALLOW_CAP];
    const struct br_admin_route *route = find_route(admin, path, method, allow);
    if (route == NULL && allow[0] == '\0') {
        return refuse_path(connection, admin);
    }
    if (route == NULL) {
        char text[ALLOW_CAP + 8];
        (void)snprintf(text, sizeof text, "only %s", allow);
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, allow, text);
    }
    if (!is_get(route) && is_from_browser(&request)) {
        return refuse(connection, MHD_HTTP_FORBIDDEN, NULL,
                      "not for browsers: the request has the header Origin or Sec-Fetch-Site");
    }
    if (is_body_too_long(&request, route->body_max_bytes)) {
        return refuse_body(connection, route);
    }
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return MHD_NO;
    }
    exchange->route = route;
    *state = exchange;
    return MHD_YES;
}

static void take_body(struct exchange *exchange, const char *bytes, size_t len)
{
    size_t max = exchange->route->body_max_bytes;
    if (exchange->body_len <= max && len <= max - exchange->body_len) {
        memcpy(exchange->body + exchange->body_len, bytes, len);
        exchange->body_len += len;
    } else {
        exchange->body_len = max + 1;
    }
}

/* All of the request is there. */
static enum MHD_Result finish(struct br_admin *admin, struct MHD_Connection *connection,
                              struct exchange *exchange)
{
    const struct br_admin_route *route = exchange->route;
    if (exchange->body_len > route->body_max_bytes) {
        return refuse_body(connection, route);
    }
    const struct br_admin_request request = {
        .body = exchange->body, .body_len = exchange->body_len, .connection = connection};
    struct br_admin_answer answer = {.status = MHD_HTTP_OK, .type = BR_ADMIN_TEXT};
    struct br_status st;
    br_buf_init(&answer.body, BR_ADMIN_ANSWER_MAX_BYTES);
    if (!route->handle(route == &index_route ? admin : admin->context, &request, &answer, &st)) {
        br_buf_finish(&answer.body);
        return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, st.msg);
    }
    exchange->after = answer.after;
    return send_answer(connection, answer.status, answer.type, NULL, &answer.body);
}

/* Called when the headers are there, then for each part of a body, then once more, unless the request was answered before. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body, size_t *body_len,
                                  void **state)
{
    (void)version;
    if (*state == NULL) {
        return begin(cls, connection, path, method, state);
    }
    if (*body_len > 0) {
        take_body(*state, body, *body_len);
        *body_len = 0;
        return MHD_YES;
    }
    return finish(cls, connection, *state);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    const struct br_admin *admin = cls;
    struct exchange *exchange = *state;
    if (exchange != NULL && exchange->after != NULL) {
        exchange->after(admin->context);
    }
    free(exchange);
    *state = NULL;
}

/* Paths are compared as they come. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* ---- The port ---- */

static bool fail_start(struct br_status *st)
{
    return br_status_set(st, BR_INTERNAL, "ADMIN_START", "the admin port could not be started");
}

static bool start_daemon(struct br_admin *admin, const char *address, struct br_status *st)
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
    admin->daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, admin,
                                     MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)BR_ADMIN_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                     BR_ADMIN_REQUEST_MAX_BYTES, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
                                     NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, admin,
                                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin, MHD_OPTION_END);
    /* Most of its failures have closed |fd| already; closing it again could hit another thread's descriptor. */
    return admin->daemon != NULL || fail_start(st);
}

static bool start_watch(struct br_admin *admin, struct br_status *st)
{
    if (pthread_create(&admin->watch, NULL, end_overdue, admin) != 0) {
        return fail_start(st);
    }
    admin->watching = true;
    return true;
}

static void init(struct br_admin *admin, const struct br_admin_config *config)
{
    admin->routes = config->routes;
    admin->route_count = config->route_count;
    admin->context = config->context;
    admin->timeout_s = config->timeout_s;
    for (size_t i = 0; i < config->route_count; i++) {
        assert(config->routes[i].body_max_bytes <= BR_ADMIN_BODY_MAX_BYTES);
    }
    for (size_t i = 0; i < BR_ADMIN_CONNECTIONS_MAX; i++) {
        admin->open[i].fd = -1;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&admin->lock, NULL);
    pthread_cond_init(&admin->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool br_admin_create(const struct br_admin_config *config, struct br_admin **out, struct br_status *st)
{
    struct br_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the admin port");
    }
    init(admin, config);
    if (!start_watch(admin, st) || !start_daemon(admin, config->address, st)) {
        br_admin_destroy(admin);
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
    if (admin->daemon != NULL) {
        MHD_stop_daemon(admin->daemon);
    }
    if (admin->watching) {
        pthread_mutex_lock(&admin->lock);
        admin->stopping = true;
        pthread_cond_signal(&admin->changed);
        pthread_mutex_unlock(&admin->lock);
        pthread_join(admin->watch, NULL);
    }
    pthread_cond_destroy(&admin->changed);
    pthread_mutex_destroy(&admin->lock);
    free(admin);
}
