/*
 * The curl client in which one allocation fails, each in its turn, alone or with all that follow: an exchange is
 * answered whole or ends without memory, once, and the client can still be destroyed. libcurl's own allocations succeed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc_fault.h"

#include "base/clock.h"
#include "upstream/http_curl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* More than a buffer's first block, in header values and in the body. */
#define BODY_BYTES 3000
#define VALUE_BYTES 300

/* Its threads share the program's allocations, so this server makes none. */
struct server {
    int listener;
    char url[64];
    char answer[BODY_BYTES + 2 * VALUE_BYTES + 256];
    size_t answer_len;
    pthread_t thread;
};

/* One request on each connection. */
static void *serve(void *arg)
{
    const struct server *server = arg;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        char request[2048];
        size_t len = 0;
        ssize_t got;
        do {
            got = read(fd, request + len, sizeof request - 1 - len);
            len += got > 0 ? (size_t)got : 0;
            request[len] = '\0';
        } while (got > 0 && strstr(request, "\r\n\r\nbody") == NULL);
        /* In two parts, so that the body comes in more than one. */
        ssize_t sent = send(fd, server->answer, 600, MSG_NOSIGNAL);
        if (sent == 600) {
            sent = send(fd, server->answer + 600, server->answer_len - 600, MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
    return NULL;
}

static void start_server(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char value[VALUE_BYTES + 1];
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    int head = snprintf(server->answer, sizeof server->answer,
                        "HTTP/1.1 200 OK\r\nX-Request-Id: %s\r\nContent-Type: %s\r\nConnection: close\r\n"
                        "Content-Length: %d\r\n\r\n",
                        value, value, BODY_BYTES);
    server->answer_len = (size_t)head + BODY_BYTES;
    assert_in_range(server->answer_len, 601, sizeof server->answer);
    memset(server->answer + head, 'b', BODY_BYTES);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop_server(struct server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
}

struct probe {
    struct br_http_exchange exchange; /* first */
    sem_t ended;
    int done_count;
};

static void on_done(struct br_http_exchange *exchange)
{
    struct probe *probe = (struct probe *)exchange;
    probe->done_count++;
    (void)sem_post(&probe->ended);
}

static void wait_for(struct probe *probe)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    int result;
    do {
        result = sem_timedwait(&probe->ended, &until);
    } while (result != 0 && errno == EINTR);
    assert_int_equal(result, 0);
}

static void expect_end(const struct br_http_exchange *exchange)
{
    if (!exchange->answered) {
        assert_int_equal(exchange->failure, BR_TRANSPORT_NO_MEMORY);
        assert_string_equal(exchange->failure_name, "OUT_OF_MEMORY");
        assert_null(exchange->answer.body);
        return;
    }
    assert_int_equal(exchange->answer.status, 200);
    assert_int_equal(exchange->answer.body_len, BODY_BYTES);
    for (size_t i = 0; i < BODY_BYTES; i++) {
        assert_int_equal(exchange->answer.body[i], 'b');
    }
    assert_int_equal(strlen(br_headers_find(&exchange->answer.headers, "x-request-id")), VALUE_BYTES);
    assert_int_equal(strlen(br_headers_find(&exchange->answer.headers, "content-type")), VALUE_BYTES);
}

/* A client's life with one exchange. Returns whether the exchange was answered. */
static bool live(const struct server *server)
{
    struct br_http_curl_config config = {
        .connect_timeout_ms = 60000, .max_connections = 4, .user_agent = "test/1"};
    struct br_header header = {"Content-Type", "application/json"};
    struct br_http *http;
    struct br_status st;
    if (!br_http_curl_create(&config, &http, &st)) {
        assert_int_equal(st.code, BR_RESOURCE_EXHAUSTED);
        assert_string_equal(st.reason, "OUT_OF_MEMORY");
        return false;
    }
    struct probe probe = {.exchange = {.verb = "PUT",
                                       .url = server->url,
                                       .headers = {.items = &header, .count = 1},
                                       .body = "body",
                                       .body_len = 4,
                                       .deadline_ms = br_clock_now_ms(br_clock_system()) + 60000,
                                       .max_body_bytes = BODY_BYTES,
                                       .done = on_done}};
    (void)sem_init(&probe.ended, 0, 0);
    http->submit(http, &probe.exchange);
    wait_for(&probe);
    br_http_curl_destroy(http);
    assert_int_equal(probe.done_count, 1);
    expect_end(&probe.exchange);
    bool answered = probe.exchange.answered;
    br_http_exchange_finish(&probe.exchange);
    (void)sem_destroy(&probe.ended);
    return answered;
}

static void test_exchange_is_answered_whole_or_out_of_memory(void **state)
{
    (void)state;
    static struct server server;
    void (*const modes[])(size_t count) = {alloc_fault_once_after, alloc_fault_all_after};
    start_server(&server);
    assert_true(live(&server));
    for (size_t i = 0; i < 2; i++) {
        size_t count = 0;
        bool failed = true;
        for (; failed; count++) {
            modes[i](count);
            bool answered = live(&server);
            failed = alloc_fault_end();
            assert_true(answered || failed);
        }
        /* The client, two transfers, the request's headers, the answer's, its body. */
        assert_in_range(count, 7, 100);
    }
    stop_server(&server);
}

int main(void)
{
    struct br_status st;
    if (!br_http_curl_global_init(&st)) {
        (void)fprintf(stderr, "%s\n", st.msg);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange_is_answered_whole_or_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
