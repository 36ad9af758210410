#include "http.h"

#include "alloc.h"
#include "listener.h"

#include "base/buf.h"
#include "base/log.h"

#include <microhttpd.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Room for the request line and the headers of one connection: a little more than the gateway's own limits.
 */
#define CONNECTION_MEMORY_BYTES (512 * 1024)
#define CONNECTIONS_MAX 1000
/* How much of a body that is too large anyway is read before the connection is dropped. */
#define BODY_DISCARD_MAX_BYTES (64 * 1024 * 1024)
/* Bytes that one call of the content reader may ask for. */
#define READ_BLOCK_BYTES (64 * 1024)

struct sim_http {
    struct MHD_Daemon *daemon;
    struct sim_api *api;
    struct sim_listener listener;
    pthread_mutex_t lock; /* of |stopping| */
    pthread_cond_t stop;
    bool stopping;
};

/* One request, from its first line to the end of its answer. */
struct transfer {
    struct sim_http *http;
    char *target;
    bool started;
    struct br_buf body;
    uint64_t discarded_bytes;
    struct sim_answer answer;
};

/* Sleeps for |ms|. Returns false when the server is stopping. */
static bool wait_ms(struct sim_http *http, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&http->lock);
    while (!http->stopping && pthread_cond_timedwait(&http->stop, &http->lock, &until) == 0) {
    }
    bool stopping = http->stopping;
    pthread_mutex_unlock(&http->lock);
    return !stopping;
}

/* Called with the target as it came, before anything decodes it. */
static void *begin_transfer(void *cls, const char *target, struct MHD_Connection *connection)
{
    (void)connection;
    struct transfer *transfer = sim_alloc(sizeof *transfer);
    transfer->http = cls;
    transfer->target = sim_strdup(target);
    br_buf_init(&transfer->body, SIM_BODY_MAX_BYTES);
    return transfer;
}

static void end_transfer(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode reason)
{
    (void)cls;
    (void)connection;
    (void)reason;
    struct transfer *transfer = *state;
    if (transfer != NULL) {
        sim_answer_finish(&transfer->answer);
        br_buf_finish(&transfer->body);
        free(transfer->target);
        free(transfer);
    }
    *state = NULL;
}

/* Where note_header() writes. */
struct header_list {
    struct sim_request *request;
    struct sim_request_header *headers;
    size_t count, cap;
};

static enum MHD_Result note_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct header_list *list = cls;
    struct sim_request *request = list->request;
    value = value != NULL ? value : "";
    size_t bytes = strlen(name) + strlen(value);
    request->header_bytes += bytes;
    if (bytes > request->longest_header_bytes) {
        request->longest_header_bytes = bytes;
    }
    if (list->count == list->cap) {
        list->cap = 2 * list->cap + 16;
        list->headers = sim_realloc(list->headers, list->cap * sizeof *list->headers);
    }
    list->headers[list->count++] = (struct sim_request_header){.name = name, .value = value};
    for (int i = 0; i < SIM_HEADER_COUNT; i++) {
        if (strcasecmp(name, sim_header_names[i]) == 0) {
            request->auth_token_count += i == SIM_HEADER_AUTH_TOKEN;
            if (request->headers[i] == NULL) {
                request->headers[i] = value;
            }
        }
    }
    return MHD_YES;
}

/* Takes a piece of the body. Returns false when the client sends without end. */
static bool take_body(struct transfer *transfer, const char *bytes, size_t len)
{
    if (transfer->discarded_bytes == 0) {
        switch (br_buf_append(&transfer->body, bytes, len)) {
        case BR_BUF_OK:
            return true;
        case BR_BUF_FULL:
        case BR_BUF_NO_MEMORY:
            break;
        }
    }
    transfer->discarded_bytes += len;
    return transfer->discarded_bytes <= BODY_DISCARD_MAX_BYTES;
}

static ssize_t read_answer(void *cls, uint64_t offset, char *out, size_t cap)
{
    struct transfer *transfer = cls;
    const struct sim_answer *answer = &transfer->answer;
    if (answer->drip_ms > 0) {
        if (!wait_ms(transfer->http, answer->drip_ms)) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        cap = 1;
    }
    size_t len = sim_answer_read(answer, offset, out, cap);
    return len > 0 ? (ssize_t)len : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct transfer *transfer)
{
    const struct sim_answer *answer = &transfer->answer;
    uint64_t declared = sim_answer_body_len(answer) + answer->missing_bytes;
    if (declared == answer->text_len && answer->drip_ms == 0) {
        return MHD_create_response_from_buffer(answer->text_len, answer->text, MHD_RESPMEM_MUST_COPY);
    }
    return MHD_create_response_from_callback(declared, READ_BLOCK_BYTES, read_answer, transfer, NULL);
}

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return value == NULL || value[0] == '\0' || MHD_add_response_header(response, name, value) == MHD_YES;
}

static enum MHD_Result queue_answer(struct transfer *transfer, struct MHD_Connection *connection)
{
    const struct sim_answer *answer = &transfer->answer;
    struct MHD_Response *response = make_response(transfer);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_NO;
    if (add_header(response, "Content-Type", answer->content_type) &&
        add_header(response, "X-Request-Id", answer->request_id) &&
        add_header(response, "X-Subject-Token", answer->subject_token) &&
        add_header(response, "Retry-After", answer->retry_after) &&
        add_header(response, "Location", answer->location)) {
        result = MHD_queue_response(connection, (unsigned)answer->http_status, response);
    }
    MHD_destroy_response(response);
    return result;
}

/* Linux sends RST at once when a connected socket is dissolved; libmicrohttpd alone would send FIN first. */
static void reset_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (info != NULL && connect(info->connect_fd, &nobody, sizeof nobody) != 0) {
        BR_LOG(BR_LOG_WARN, "reset_failed", br_log_text("call", "connect"));
    }
}

static enum MHD_Result answer_request(struct transfer *transfer, struct MHD_Connection *connection,
                                      const char *method)
{
    struct sim_request request = {
        .method = method,
        .target = transfer->target,
        .body_too_large = transfer->discarded_bytes > 0,
    };
    if (!request.body_too_large) {
        request.body = transfer->body.data;
        request.body_len = transfer->body.len;
    }
    struct header_list list = {.request = &request};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, note_header, &list);
    request.all_headers = list.headers;
    request.all_header_count = list.count;
    sim_api_handle(transfer->http->api, &request, &transfer->answer);
    free(list.headers);
    if (transfer->answer.delay_ms > 0 && !wait_ms(transfer->http, transfer->answer.delay_ms)) {
        return MHD_NO;
    }
    switch (transfer->answer.delivery) {
    case SIM_DELIVERY_RESET:
        reset_connection(connection);
        return MHD_NO;
    case SIM_DELIVERY_CLOSE:
        return MHD_NO;
    case SIM_DELIVERY_NORMAL:
        break;
    }
    return queue_answer(transfer, connection);
}

/* libmicrohttpd calls it once for the headers, once for each piece of the body, and once at the end. */
static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes, size_t *len,
                              void **state)
{
    (void)cls;
    (void)url;
    (void)version;
    struct transfer *transfer = *state;
    if (!transfer->started) {
        transfer->started = true;
        return MHD_YES;
    }
    if (*len > 0) {
        bool ok = take_body(transfer, bytes, *len);
        *len = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return answer_request(transfer, connection, method);
}

static void log_library(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void log_library(void *cls, const char *format, va_list args)
{
    (void)cls;
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    BR_LOG(BR_LOG_DEBUG, "http_library", br_log_text("text", text));
}

static void free_http(struct sim_http *http)
{
    sim_listener_close(&http->listener);
    pthread_cond_destroy(&http->stop);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

bool sim_http_start(struct sim_api *api, const char *address, struct sim_http **out, struct br_status *st)
{
    struct sim_http *http = sim_alloc(sizeof *http);
    http->api = api;
    http->listener.fd = -1;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!sim_listener_open(&http->listener, address, st)) {
        free_http(http);
        return false;
    }
    http->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET,
        http->listener.fd, MHD_OPTION_URI_LOG_CALLBACK, begin_transfer, http, MHD_OPTION_NOTIFY_COMPLETED,
        end_transfer, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    if (http->daemon == NULL) {
        free_http(http);
        return br_status_set(st, BR_FAILED_PRECONDITION, "LISTEN", "the HTTP server does not start");
    }
    *out = http;
    return true;
}

unsigned sim_http_port(const struct sim_http *http)
{
    return http->listener.port;
}

const char *sim_http_host(const struct sim_http *http)
{
    return http->listener.host;
}

void sim_http_stop(struct sim_http *http)
{
    if (http == NULL) {
        return;
    }
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    pthread_cond_broadcast(&http->stop);
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
    /* The daemon has closed the socket that it was given. */
    http->listener.fd = -1;
    free_http(http);
}
