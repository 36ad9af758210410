#include "upstream/http_curl.h"

#include "base/clock.h"
#include "upstream/http_curl_easy.h"
#include "upstream/http_poll.h"
#include "upstream/http_transfers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcurl's own default of streams on one HTTP/2 connection (CURLMOPT_MAX_CONCURRENT_STREAMS). */
#define STREAMS_PER_CONNECTION 100
#define NO_TIMER INT64_MAX

/* A new path may take the connect timeout to answer; one that has worked gets more. */
#define SILENCE_PER_CONNECT_TIMEOUT 2

_Static_assert(sizeof((struct br_http_exchange *)0)->failure_text >= CURL_ERROR_SIZE,
               "libcurl writes its error text into the exchange");

struct transfer {
    struct br_http_transfer base; /* first: the two are one pointer */
    CURL *easy;                   /* NULL until the first start */
    struct curl_slist *headers;
};

struct client {
    struct br_http base; /* first: |self| is the client */
    struct br_http_curl_config config;
    struct br_http_transfers transfers;
    pthread_t thread;

    /* Written by the thread, read by any. */
    _Atomic int64_t socket_count;
    _Atomic int64_t opened_count;

    /* The thread's own. */
    CURLM *multi;
    struct br_http_poll poll;
    int64_t timer_ms; /* when libcurl wants to be called; NO_TIMER: it does not */
};

static int64_t now_ms(void)
{
    return br_clock_now_ms(br_clock_system());
}

static void add(_Atomic int64_t *count, int64_t delta)
{
    atomic_fetch_add_explicit(count, delta, memory_order_relaxed);
}

/* ---- The outcome ---- */

/*
 * What each result of libcurl means for the call; BROKEN becomes UNREACHABLE where nothing was sent.
 * Source: bridge_conventions.md section 2, and https://curl.se/libcurl/c/libcurl-errors.html for what each one says.
 */
static const struct {
    CURLcode code;
    const char *name;
    enum br_transport_failure failure;
} outcomes[] = {
#define OUTCOME(name, failure)                      \
    {                                               \
        CURLE_##name, #name, BR_TRANSPORT_##failure \
    }
    OUTCOME(COULDNT_RESOLVE_PROXY, UNREACHABLE),
    OUTCOME(COULDNT_RESOLVE_HOST, UNREACHABLE),
    OUTCOME(COULDNT_CONNECT, UNREACHABLE),
    OUTCOME(PROXY, UNREACHABLE), /* before the request: the proxy refused the tunnel */
    OUTCOME(SSL_CONNECT_ERROR, UNREACHABLE),
    OUTCOME(SEND_ERROR, BROKEN),
    OUTCOME(RECV_ERROR, BROKEN),
    OUTCOME(GOT_NOTHING, BROKEN),
    OUTCOME(PARTIAL_FILE, BROKEN),
    OUTCOME(HTTP2, BROKEN),
    OUTCOME(HTTP2_STREAM, BROKEN),
    OUTCOME(PEER_FAILED_VERIFICATION, UNTRUSTED),
    OUTCOME(SSL_CACERT_BADFILE, UNTRUSTED),
    OUTCOME(SSL_ISSUER_ERROR, UNTRUSTED),
    OUTCOME(SSL_CERTPROBLEM, UNTRUSTED),
    OUTCOME(OUT_OF_MEMORY, NO_MEMORY),
    OUTCOME(UNSUPPORTED_PROTOCOL, FAILED),
    OUTCOME(URL_MALFORMAT, FAILED),
    OUTCOME(WEIRD_SERVER_REPLY, FAILED),
    OUTCOME(WRITE_ERROR, FAILED),
    OUTCOME(ABORTED_BY_CALLBACK, FAILED),
    OUTCOME(BAD_FUNCTION_ARGUMENT, FAILED),
    OUTCOME(SSL_CIPHER, FAILED),
    OUTCOME(BAD_CONTENT_ENCODING, FAILED),
    OUTCOME(SEND_FAIL_REWIND, FAILED),
#undef OUTCOME
};

/* Writes the outcome of a transfer that libcurl ended with |code|. */
static void settle(struct transfer *transfer, CURLcode code)
{
    struct br_http_exchange *exchange = transfer->base.exchange;
    /* libcurl 7.88 says so of a header line above 100 KiB. */
    if (code == CURLE_OUT_OF_MEMORY && transfer->base.collect.header_bytes > 0 &&
        !transfer->base.collect.headers_done) {
        transfer->base.refused = BR_HTTP_COLLECT_HEADERS_SIZE;
    }
    if (code == CURLE_OK || transfer->base.refused != BR_HTTP_COLLECT_OK) {
        br_http_transfer_settle(&transfer->base);
        return;
    }

    /*
     * Where a kept connection ended without an answer, libcurl connects anew by itself. When that fails, its
     * result speaks of the new connection; the request went out on the one before.
     */
    long sent_bytes = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    bool was_sent = transfer->base.connection_count > 0 && sent_bytes > 0;

    /* The connect timeout is the only limit that libcurl knows here; the deadline may have passed with it. */
    if (code == CURLE_OPERATION_TIMEDOUT) {
        if (now_ms() >= exchange->deadline_ms) {
            br_http_transfer_fail_by_deadline(&transfer->base);
        } else {
            br_http_exchange_fail(exchange, was_sent ? BR_TRANSPORT_BROKEN : BR_TRANSPORT_CONNECT_TIMEOUT,
                                  "OPERATION_TIMEDOUT", NULL);
        }
        return;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK && transfer->base.connection_count > 1) {
        code = CURLE_GOT_NOTHING;
        (void)snprintf(exchange->failure_text, sizeof exchange->failure_text,
                       "the server closed a kept connection without an answer");
    }

    enum br_transport_failure failure = BR_TRANSPORT_FAILED;
    const char *name = "OTHER";
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        if (outcomes[i].code == code) {
            failure = outcomes[i].failure;
            name = outcomes[i].name;
            break;
        }
    }
    if (failure == BR_TRANSPORT_BROKEN && !was_sent) {
        failure = BR_TRANSPORT_UNREACHABLE;
    } else if ((failure == BR_TRANSPORT_UNREACHABLE || failure == BR_TRANSPORT_UNTRUSTED) && was_sent) {
        failure = BR_TRANSPORT_BROKEN;
    }
    br_http_exchange_fail(exchange, failure, name,
                          exchange->failure_text[0] == '\0' ? curl_easy_strerror(code) : NULL);
}

/* ---- libcurl's callbacks for one transfer. A result that is not |len| stops it. ---- */

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t len = size * count;
    transfer->base.refused = br_http_collect_header(&transfer->base.collect, line, len);
    return transfer->base.refused == BR_HTTP_COLLECT_OK ? len : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t len = size * count;
    transfer->base.refused = br_http_collect_body(&transfer->base.collect, bytes, len);
    return transfer->base.refused == BR_HTTP_COLLECT_OK ? len : 0;
}

/*
 * Before the request goes out on a connection. libcurl repeats any request by itself when a kept connection
 * ends without a byte of an answer. The server may have executed it by then, so the exchange's owner says
 * whether to repeat it.
 */
static int on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    struct transfer *transfer = arg;
    struct client *client = transfer->base.transfers->arg;
    long new_connections = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &new_connections);
    add(&client->opened_count, new_connections > 0 ? 1 : 0);
    if (++transfer->base.connection_count > 1) {
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->base.exchange->reused_connection = new_connections == 0;
    br_http_transfers_sent(&transfer->base);
    return CURL_PREREQFUNC_OK;
}

/*
 * A peer that is gone without a word (a host that lost its power, a gateway that forgot the connection) is told by what
 * it does not acknowledge. The kernel would go on for a quarter of an hour, and each call that is put on the connection
 * would wait until its deadline: over HTTP/2, all of them. A peer that is only slow acknowledges.
 */
static void limit_silence(const struct client *client, curl_socket_t fd)
{
    unsigned limit_ms = (unsigned)client->config.connect_timeout_ms * SILENCE_PER_CONNECT_TIMEOUT;
    /* Where it fails, the deadlines are what is left. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof limit_ms);
}

/* libcurl's own way to make a socket and to close it, counted. It closes those that fail to connect as well. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct client *client = arg;
    curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd != CURL_SOCKET_BAD) {
        add(&client->socket_count, 1);
        br_http_poll_opened(&client->poll, fd);
        limit_silence(client, fd);
    }
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    struct client *client = arg;
    add(&client->socket_count, -1);
    br_http_poll_closed(&client->poll, fd);
    return close(fd);
}

/* ---- The engine ---- */

/* An easy handle that calls the functions above; NULL: a refused option, or no memory. */
static CURL *create_easy(struct client *client)
{
    CURL *easy = br_http_curl_easy_create(&client->config);
    if (easy == NULL) {
        return NULL;
    }
    unsigned bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
    if (bad != 0) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

static struct br_http_transfer *create_transfer(void *arg)
{
    (void)arg;
    struct transfer *transfer = calloc(1, sizeof *transfer);
    return transfer != NULL ? &transfer->base : NULL;
}

static void destroy_transfer(void *arg, struct br_http_transfer *base)
{
    (void)arg;
    struct transfer *transfer = (struct transfer *)base;
    curl_easy_cleanup(transfer->easy);
    free(transfer);
}

/* Returns 0, or what libcurl refused. */
static unsigned set_exchange(struct client *client, struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    struct br_http_exchange *exchange = transfer->base.exchange;
    bool is_https = strncasecmp(exchange->url, "https:", 6) == 0;
    /* Over plain HTTP there is no ALPN, so nothing to wait for. */
    bool multiplexes = client->config.http2 && is_https;
    unsigned bad = br_http_curl_easy_set_request(easy, exchange);
    bad |= curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    bad |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, multiplexes ? 1L : 0L);
    /* A proxy of the environment tunnels https; of plain HTTP it would read all, the token included. */
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, is_https ? NULL : "*");
    bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, exchange->wants_new_connection ? 1L : 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->failure_text);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    return bad;
}

static void forget_exchange(struct transfer *transfer)
{
    if (transfer->easy != NULL) {
        (void)curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, NULL);
    }
    free(transfer->headers);
    transfer->headers = NULL;
}

static bool start_transfer(void *arg, struct br_http_transfer *base)
{
    struct client *client = arg;
    struct transfer *transfer = (struct transfer *)base;
    if (transfer->easy == NULL) {
        transfer->easy = create_easy(client);
    }
    transfer->headers = br_http_curl_easy_headers(base->exchange);
    if (transfer->easy != NULL && transfer->headers != NULL && set_exchange(client, transfer) == 0 &&
        curl_multi_add_handle(client->multi, transfer->easy) == CURLM_OK) {
        return true;
    }
    /* br_http_curl_create() has proved the options, so what is missing is memory. */
    forget_exchange(transfer);
    br_http_exchange_fail(base->exchange, BR_TRANSPORT_NO_MEMORY, "OUT_OF_MEMORY",
                          "no memory for the request");
    return false;
}

static void stop_transfer(void *arg, struct br_http_transfer *base)
{
    struct client *client = arg;
    struct transfer *transfer = (struct transfer *)base;
    (void)curl_multi_remove_handle(client->multi, transfer->easy);
    forget_exchange(transfer);
}

static const struct br_http_engine engine = {
    .create = create_transfer,
    .destroy = destroy_transfer,
    .start = start_transfer,
    .stop = stop_transfer,
};

/* Ends what libcurl has finished. Returns whether there was any. */
static bool end_finished(struct client *client)
{
    bool any = false;
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != CURLE_OK) {
            continue;
        }
        settle(transfer, message->data.result);
        br_http_transfers_end(&transfer->base);
        any = true;
    }
    return any;
}

/* ---- The thread ---- */

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct client *client = arg;
    client->timer_ms = timeout_ms < 0 ? NO_TIMER : now_ms() + timeout_ms;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    (void)easy;
    (void)unused;
    struct client *client = arg;
    if (what == CURL_POLL_REMOVE) {
        br_http_poll_forget(&client->poll, fd);
        return 0;
    }
    /*
     * Returning -1 would make libcurl refuse all work from here on, so a transfer whose socket cannot be
     * watched ends by its deadline.
     */
    bool watched =
        br_http_poll_watch(&client->poll, fd, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    (void)watched;
    return 0;
}

/*
 * Results of curl_multi_socket_action() are not looked at: they could say that an argument is wrong, and each
 * transfer has its own result.
 */
static void on_ready(void *arg, int fd, bool readable, bool writable)
{
    struct client *client = arg;
    int bits = (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0); /* 0: libcurl looks */
    int running;
    (void)curl_multi_socket_action(client->multi, fd, bits, &running);
}

static void wait_for_events(struct client *client)
{
    int64_t deadline_ms = br_http_transfers_deadline_ms(&client->transfers);
    br_http_poll_wait(&client->poll, deadline_ms < client->timer_ms ? deadline_ms : client->timer_ms,
                      on_ready, client);
}

static void run_timer(struct client *client)
{
    if (client->timer_ms == NO_TIMER || client->timer_ms > now_ms()) {
        return;
    }
    client->timer_ms = NO_TIMER; /* first: libcurl sets it again from inside the call */
    int running;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void release_handles(struct client *client)
{
    br_http_transfers_destroy_spare(&client->transfers);
    (void)curl_multi_cleanup(client->multi);
}

static void *run(void *arg)
{
    struct client *client = arg;
    while (br_http_transfers_take(&client->transfers)) {
        br_http_transfers_end_overdue(&client->transfers, now_ms());
        /* A transfer can finish inside the timer's call, and its end can let another one start. */
        do {
            br_http_transfers_start(&client->transfers);
            run_timer(client);
        } while (end_finished(client));
        wait_for_events(client);
        (void)end_finished(client);
    }
    /* Here, where SIGPIPE is blocked: closing a TLS connection writes. */
    release_handles(client);
    return NULL;
}

/* ---- The exported functions ---- */

bool br_http_curl_global_init(struct br_status *st)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return br_status_set(st, BR_INTERNAL, "CURL_INIT", "libcurl cannot be initialised");
    }
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    if ((info->features & CURL_VERSION_ASYNCHDNS) == 0 || (info->features & CURL_VERSION_SSL) == 0) {
        return br_status_set(st, BR_INTERNAL, "CURL_INIT",
                             "libcurl %s lacks TLS or the asynchronous resolver: a name would stop all calls",
                             info->version);
    }
    return true;
}

static void submit(struct br_http *self, struct br_http_exchange *exchange)
{
    exchange->sent_us = 0;
    br_http_queue_submit(&((struct client *)self)->transfers.queue, exchange);
}

static void cancel(struct br_http *self, struct br_http_exchange *exchange)
{
    br_http_queue_cancel(&((struct client *)self)->transfers.queue, exchange);
}

/* A multi handle that calls |client|; NULL: a refused option, or no memory. */
static CURLM *create_multi(struct client *client)
{
    CURLM *multi = curl_multi_init();
    if (multi == NULL) {
        return NULL;
    }
    /* The results are 0 where they are good. */
    int bad = 0;
    bad |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    bad |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    bad |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    bad |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    bad |= curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, client->config.max_connections);
    /* Else idle connections beyond four times the transfers under way are closed. */
    bad |= curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, client->config.max_connections);
    if (bad != 0) {
        (void)curl_multi_cleanup(multi);
        return NULL;
    }
    return multi;
}

/*
 * Starts the thread with all signals blocked: they are for other threads, and a write to a closed connection
 * must only fail.
 */
static int start_thread(struct client *client)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&client->thread, NULL, run, client);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

bool br_http_curl_create(const struct br_http_curl_config *config, struct br_http **out, struct br_status *st)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory");
    }
    client->base = (struct br_http){.submit = submit, .cancel = cancel};
    client->config = *config;
    client->timer_ms = NO_TIMER;
    /* libcurl would queue the others by itself, at a higher price and without looking at their deadlines. */
    int64_t running_max = (int64_t)config->max_connections * (config->http2 ? STREAMS_PER_CONNECTION : 1);
    if (!br_http_transfers_init(&client->transfers, &engine, client, running_max, st)) {
        goto err_client;
    }

    if (!br_http_poll_init(&client->poll, client->transfers.queue.wake_fd, st)) {
        goto err_transfers;
    }
    client->multi = create_multi(client);
    if (client->multi == NULL) {
        br_status_set(st, BR_INTERNAL, "CURL_INIT", "libcurl refuses a multi handle");
        goto err_poll;
    }
    /* The first easy handle proves that libcurl knows each option; later only memory can be missing. */
    struct transfer *spare = (struct transfer *)br_http_transfers_peek_spare(&client->transfers);
    if (spare == NULL) {
        br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory");
        goto err_handles;
    }
    spare->easy = create_easy(client);
    if (spare->easy == NULL) {
        br_status_set(st, BR_INTERNAL, "CURL_INIT", "libcurl %s refuses an option that the bridge needs",
                      curl_version_info(CURLVERSION_NOW)->version);
        goto err_handles;
    }
    int error = start_thread(client);
    if (error != 0) {
        br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "cannot start a thread: %s",
                      strerror(error));
        goto err_handles;
    }
    *out = &client->base;
    return true;

err_handles:
    release_handles(client);
err_poll:
    br_http_poll_finish(&client->poll);
err_transfers:
    br_http_transfers_finish(&client->transfers);
err_client:
    free(client);
    return false;
}

void br_http_curl_stats(const struct br_http *http, struct br_http_curl_stats *out)
{
    const struct client *client = (const struct client *)http;
    *out = (struct br_http_curl_stats){
        .queued = client->transfers.queued_count,
        .in_flight = client->transfers.in_flight_count,
        .connections = client->socket_count,
        .connections_max = client->config.max_connections,
        .connections_opened = client->opened_count,
    };
}

void br_http_curl_destroy(struct br_http *http)
{
    if (http == NULL) {
        return;
    }
    struct client *client = (struct client *)http;
    br_http_queue_stop(&client->transfers.queue);
    (void)pthread_join(client->thread, NULL);
    br_http_poll_finish(&client->poll);
    br_http_transfers_finish(&client->transfers);
    free(client);
}
