/*
 * How exchanges with the curl client end without their answer, or many at once: connections that are not
 * made, deadlines, cancels, destroy. Real sockets on loopback.
 */
#define _GNU_SOURCE /* RTLD_NEXT */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_probe.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MANY 500
/* A limit that a test waits for. */
#define SOON_MS 150

/* ---- A resolver of our own: libcurl finds it before libc's ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int asking; /* threads that wait for "slow.test" */
    bool released;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    if (node != NULL && strcmp(node, "name.invalid") == 0)
        return EAI_NONAME;
    if (node != NULL && strcmp(node, "slow.test") == 0) {
        pthread_mutex_lock(&resolver.lock);
        resolver.asking++;
        pthread_cond_broadcast(&resolver.changed);
        while (!resolver.released)
            pthread_cond_wait(&resolver.changed, &resolver.lock);
        resolver.asking--;
        pthread_cond_broadcast(&resolver.changed);
        pthread_mutex_unlock(&resolver.lock);
        return EAI_NONAME;
    }
    union {
        void *symbol;
        int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } next = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
    return next.function(node, service, hints, result);
}

/* Waits until |count| threads ask, for 20 seconds at most. */
static void wait_for_slow_names(int count)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    int error = 0;
    pthread_mutex_lock(&resolver.lock);
    while (resolver.asking < count && error == 0)
        error = pthread_cond_timedwait(&resolver.changed, &resolver.lock, &until);
    pthread_mutex_unlock(&resolver.lock);
    assert_int_equal(error, 0);
}

static void release_slow_names(void)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.released = true;
    pthread_cond_broadcast(&resolver.changed);
    while (resolver.asking > 0)
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    resolver.released = false;
    pthread_mutex_unlock(&resolver.lock);
}

/* ---- The server ---- */

static const struct http_server_rule rules[] = {
    {.path = "/ok", .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
    {.path = "/error", .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n{\"a\":"},
    {.path = "/hold", .then = HTTP_SERVER_HOLD},
    {.path = "/hold-in-body",
     .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789",
     .then = HTTP_SERVER_HOLD},
};

static int set_up(void **state)
{
    *state = http_fixture_create(rules, sizeof rules / sizeof rules[0]);
    return 0;
}

/* ---- Connections ---- */

static void test_name_without_address_is_unreachable(void **state)
{
    struct http_fixture *f = *state;
    struct br_http_exchange *exchange =
        http_fixture_run(f, http_fixture_probe(f, "GET", "http://name.invalid/"));
    http_probe_assert_failed(exchange, BR_TRANSPORT_UNREACHABLE, "COULDNT_RESOLVE_HOST");
    assert_non_null(strstr(exchange->failure_text, "name.invalid"));
}

/* A port on which connections are neither accepted nor refused: the queue of its listener is full. */
struct blackhole {
    int fds[4];
    int port;
};

static void open_blackhole(struct blackhole *hole)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    hole->fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(hole->fds[0], (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(hole->fds[0], 0), 0);
    assert_int_equal(getsockname(hole->fds[0], (struct sockaddr *)&address, &len), 0);
    hole->port = ntohs(address.sin_port);
    for (int i = 1; i < 4; i++) {
        hole->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(hole->fds[i], (struct sockaddr *)&address, sizeof address);
    }
}

static void close_blackhole(struct blackhole *hole)
{
    for (int i = 0; i < 4; i++)
        (void)close(hole->fds[i]);
}

static struct http_probe *make_lost(struct http_fixture *f, const struct blackhole *hole, const char *scheme)
{
    char url[64];
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d/", scheme, hole->port);
    return http_fixture_probe(f, "GET", url);
}

static void test_connect_beyond_its_limit_is_a_connect_timeout(void **state)
{
    struct http_fixture *f = *state;
    f->config.connect_timeout_ms = SOON_MS;
    http_fixture_restart(f);
    struct blackhole hole;
    open_blackhole(&hole);
    int64_t start = http_fixture_now_ms();
    http_probe_assert_failed(http_fixture_run(f, make_lost(f, &hole, "http")), BR_TRANSPORT_CONNECT_TIMEOUT,
                             "OPERATION_TIMEDOUT");
    assert_in_range(http_fixture_now_ms() - start, SOON_MS - 1, 10000);
    close_blackhole(&hole);
}

static void test_tls_handshake_beyond_the_connect_limit_is_a_connect_timeout(void **state)
{
    struct http_fixture *f = *state;
    f->config.connect_timeout_ms = SOON_MS;
    http_fixture_restart(f);
    struct blackhole hole;
    open_blackhole(&hole);
    /* One place in the queue: the connection is made, and nobody answers its greeting. */
    assert_int_equal(listen(hole.fds[0], 8), 0);
    http_probe_assert_failed(http_fixture_run(f, make_lost(f, &hole, "https")), BR_TRANSPORT_CONNECT_TIMEOUT,
                             "OPERATION_TIMEDOUT");
    close_blackhole(&hole);
}

/* ---- Deadlines ---- */

static void test_deadline_in_each_stage_ends_the_exchange(void **state)
{
    struct http_fixture *f = *state;
    f->config.max_connections = 3;
    http_fixture_restart(f);
    struct blackhole hole;
    open_blackhole(&hole);
    struct http_probe *probes[] = {
        make_lost(f, &hole, "http"),                     /* connecting */
        http_fixture_request(f, "GET", "/hold"),         /* waiting for the answer */
        http_fixture_request(f, "GET", "/hold-in-body"), /* in the body */
        http_fixture_request(f, "GET", "/ok"),           /* waiting for a connection */
    };
    /* Not in order; the last, which would get a place when another ends, is the first to end. */
    const int64_t after_ms[] = {500, 540, 520, 480};
    int64_t start = http_fixture_now_ms();
    for (int i = 0; i < 4; i++)
        probes[i]->exchange.deadline_ms = start + after_ms[i];
    for (int i = 0; i < 4; i++)
        http_fixture_submit(f, probes[i]);
    for (int i = 0; i < 4; i++) {
        http_probe_wait(probes[i]);
        http_probe_assert_failed(&probes[i]->exchange, BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT");
        assert_int_equal(probes[i]->done_count, 1);
        assert_int_equal(probes[i]->exchange.sent_us != 0, i == 1 || i == 2);
        assert_in_range(probes[i]->exchange.ended_us / 1000, start + after_ms[i], start + 10000);
    }
    assert_in_range(http_fixture_now_ms() - start, 540, 10000);
    assert_string_equal(probes[3]->exchange.failure_text, "the deadline passed before the request was sent");
    assert_string_equal(probes[2]->exchange.failure_text,
                        "the deadline passed before the answer was complete");
    /* The connections went with their transfers. */
    assert_true(http_server_wait_closed(f->server, 2));
    assert_int_equal(http_server_request_count(f->server), 2);
    close_blackhole(&hole);
}

static void test_deadline_that_has_passed_sends_nothing(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    probe->exchange.deadline_ms = http_fixture_now_ms();
    http_probe_assert_failed(http_fixture_run(f, probe), BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT");
    assert_int_equal(http_server_connection_count(f->server), 0);
}

static void test_slow_name_holds_up_nobody(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *cancelled = http_fixture_probe(f, "GET", "http://slow.test/");
    struct http_probe *overdue = http_fixture_probe(f, "GET", "http://slow.test/");
    struct http_probe *destroyed = http_fixture_probe(f, "GET", "http://slow.test/");
    http_fixture_submit(f, cancelled);
    http_fixture_submit(f, destroyed);
    wait_for_slow_names(2);
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");

    http_fixture_cancel(f, cancelled);
    http_probe_wait(cancelled);
    http_probe_assert_failed(&cancelled->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    overdue->exchange.deadline_ms = http_fixture_now_ms() + SOON_MS;
    http_fixture_submit(f, overdue);
    http_probe_wait(overdue);
    http_probe_assert_failed(&overdue->exchange, BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT");
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");

    br_http_curl_destroy(f->http);
    f->http = NULL;
    http_probe_wait(destroyed);
    http_probe_assert_failed(&destroyed->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    release_slow_names();
}

/* ---- Cancels ---- */

static void test_cancel_in_each_stage_ends_the_exchange(void **state)
{
    struct http_fixture *f = *state;
    f->config.max_connections = 3;
    http_fixture_restart(f);
    struct blackhole hole;
    open_blackhole(&hole);
    struct http_probe *probes[] = {
        http_fixture_request(f, "GET", "/hold"), http_fixture_request(f, "GET", "/hold-in-body"),
        make_lost(f, &hole, "http"), http_fixture_request(f, "GET", "/ok"), /* waits for a connection */
    };
    for (int i = 0; i < 4; i++)
        http_fixture_submit(f, probes[i]);
    assert_true(http_server_wait_requests(f->server, 2));
    for (int i = 3; i >= 0; i--) {
        http_fixture_cancel(f, probes[i]);
        http_probe_wait(probes[i]);
        http_probe_assert_failed(&probes[i]->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
        assert_int_equal(probes[i]->done_count, 1);
    }
    assert_true(http_server_wait_closed(f->server, 2));
    assert_int_equal(http_server_request_count(f->server), 2);
    close_blackhole(&hole);
}

/* Keeps the client's thread inside |done| until the test has queued what it wants. */
struct gate {
    struct br_http_exchange exchange; /* first */
    sem_t entered;
    sem_t open;
};

static void on_gate(struct br_http_exchange *exchange)
{
    struct gate *gate = (struct gate *)exchange;
    (void)sem_post(&gate->entered);
    (void)sem_wait(&gate->open);
}

/* Its deadline is long past, so it is done at once, before all that is overdue with it. */
static void submit_gate(struct http_fixture *f, struct gate *gate)
{
    *gate = (struct gate){.exchange = {.verb = "GET", .url = "http://127.0.0.1:1/", .done = on_gate}};
    (void)sem_init(&gate->entered, 0, 0);
    (void)sem_init(&gate->open, 0, 0);
    f->http->submit(f->http, &gate->exchange);
}

/* When something that came after the gate has ended. */
static void finish_gate(struct gate *gate)
{
    (void)sem_destroy(&gate->entered);
    (void)sem_destroy(&gate->open);
}

static void test_cancel_in_the_queue_sends_nothing(void **state)
{
    struct http_fixture *f = *state;
    struct gate gate;
    submit_gate(f, &gate);
    (void)sem_wait(&gate.entered);
    struct http_probe *once = http_fixture_request(f, "GET", "/ok");
    struct http_probe *twice = http_fixture_request(f, "GET", "/ok");
    http_fixture_submit(f, once);
    http_fixture_submit(f, twice);
    http_fixture_cancel(f, twice);
    http_fixture_cancel(f, once);
    http_fixture_cancel(f, twice);
    (void)sem_post(&gate.open);
    http_probe_wait(once);
    http_probe_wait(twice);
    http_probe_assert_failed(&once->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    http_probe_assert_failed(&twice->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    assert_int_equal(once->done_count, 1);
    assert_int_equal(twice->done_count, 1);
    assert_int_equal(http_server_connection_count(f->server), 0);
    finish_gate(&gate);
}

static void test_cancel_of_what_is_about_to_end_ends_it_once(void **state)
{
    struct http_fixture *f = *state;
    struct gate first;
    struct gate second;
    submit_gate(f, &first);
    (void)sem_wait(&first.entered);
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    probe->exchange.deadline_ms = 1;
    http_fixture_submit(f, probe);
    submit_gate(f, &second);
    (void)sem_post(&first.open);
    /* The thread has found both overdue and ends |probe| next, with its cancel in the queue. */
    (void)sem_wait(&second.entered);
    http_fixture_cancel(f, probe);
    (void)sem_post(&second.open);
    http_probe_wait(probe);
    http_probe_assert_failed(&probe->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    assert_int_equal(probe->done_count, 1);
    finish_gate(&first);
    finish_gate(&second);
}

static void test_cancel_after_done_does_nothing(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    http_probe_assert_answered(http_fixture_run(f, probe), 200, "{}");
    http_fixture_cancel(f, probe);
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    assert_int_equal(probe->done_count, 1);
    http_probe_assert_answered(&probe->exchange, 200, "{}");

    /* And the exchange can go again. */
    br_http_exchange_finish(&probe->exchange);
    http_fixture_submit(f, probe);
    http_probe_wait(probe);
    http_probe_assert_answered(&probe->exchange, 200, "{}");
}

/* ---- Many ---- */

static void test_submit_many_at_once_uses_no_more_connections_than_allowed(void **state)
{
    struct http_fixture *f = *state;
    static struct http_probe *probes[MANY];
    for (int i = 0; i < MANY; i++)
        probes[i] = http_fixture_request(f, i % 3 == 0 ? "PUT" : "GET", i % 5 == 0 ? "/error" : "/ok");
    for (int i = 0; i < MANY; i++)
        http_fixture_submit(f, probes[i]);
    for (int i = 0; i < MANY; i++) {
        http_probe_wait(probes[i]);
        if (i % 5 == 0)
            http_probe_assert_answered(&probes[i]->exchange, 404, "{\"a\":");
        else
            http_probe_assert_answered(&probes[i]->exchange, 200, "{}");
        assert_int_equal(probes[i]->done_count, 1);
    }
    assert_int_equal(http_server_request_count(f->server), MANY);
    assert_in_range(http_server_connection_count(f->server), 1, 32);
}

static void test_submit_from_done_starts_again(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_request(f, "GET", "/ok");
    probe->again = f->http;
    probe->again_left = 50;
    http_fixture_submit(f, probe);
    http_probe_wait(probe);
    assert_int_equal(probe->done_count, 51);
    http_probe_assert_answered(&probe->exchange, 200, "{}");
}

struct canceller {
    struct http_fixture *f;
    struct http_probe **probes;
};

static void *cancel_all(void *arg)
{
    struct canceller *canceller = arg;
    for (int i = 0; i < MANY; i++)
        http_fixture_cancel(canceller->f, canceller->probes[i]);
    return NULL;
}

static void test_cancel_racing_with_answers_ends_each_once(void **state)
{
    struct http_fixture *f = *state;
    static struct http_probe *probes[MANY];
    for (int i = 0; i < MANY; i++) {
        probes[i] = http_fixture_request(f, "GET", "/ok");
        http_fixture_submit(f, probes[i]);
    }
    struct canceller canceller = {f, probes};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_all, &canceller), 0);
    for (int i = MANY - 1; i >= 0; i--)
        http_fixture_cancel(f, probes[i]);
    (void)pthread_join(thread, NULL);
    for (int i = 0; i < MANY; i++) {
        http_probe_wait(probes[i]);
        assert_true(probes[i]->exchange.answered || probes[i]->exchange.failure == BR_TRANSPORT_CANCELLED);
    }
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    for (int i = 0; i < MANY; i++)
        assert_int_equal(probes[i]->done_count, 1);
}

static void test_destroy_ends_all_exchanges_once(void **state)
{
    struct http_fixture *f = *state;
    f->config.max_connections = 4;
    http_fixture_restart(f);
    struct http_probe *probes[20];
    for (int i = 0; i < 20; i++) {
        probes[i] = http_fixture_request(f, "GET", "/hold");
        /* A second try from inside |done| must end too. */
        probes[i]->again = f->http;
        probes[i]->again_left = i % 2;
        http_fixture_submit(f, probes[i]);
    }
    assert_true(http_server_wait_requests(f->server, 4));
    br_http_curl_destroy(f->http);
    f->http = NULL;
    for (int i = 0; i < 20; i++) {
        http_probe_wait(probes[i]);
        http_probe_assert_failed(&probes[i]->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
        assert_int_equal(probes[i]->done_count, 1 + i % 2);
    }
    assert_int_equal(http_server_request_count(f->server), 4);
}

static void test_destroy_accepts_null_and_an_idle_client(void **state)
{
    struct http_fixture *f = *state;
    br_http_curl_destroy(NULL);
    br_http_curl_destroy(f->http);
    f->http = NULL;
    br_http_exchange_finish(NULL);
    br_http_exchange_finish(&(struct br_http_exchange){0});
}

int main(void)
{
    http_fixture_global_init();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, http_fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_name_without_address_is_unreachable),
        TEST(test_connect_beyond_its_limit_is_a_connect_timeout),
        TEST(test_tls_handshake_beyond_the_connect_limit_is_a_connect_timeout),
        TEST(test_deadline_in_each_stage_ends_the_exchange),
        TEST(test_deadline_that_has_passed_sends_nothing),
        TEST(test_slow_name_holds_up_nobody),
        TEST(test_cancel_in_each_stage_ends_the_exchange),
        TEST(test_cancel_in_the_queue_sends_nothing),
        TEST(test_cancel_of_what_is_about_to_end_ends_it_once),
        TEST(test_cancel_after_done_does_nothing),
        TEST(test_submit_many_at_once_uses_no_more_connections_than_allowed),
        TEST(test_submit_from_done_starts_again),
        TEST(test_cancel_racing_with_answers_ends_each_once),
        TEST(test_destroy_ends_all_exchanges_once),
        TEST(test_destroy_accepts_null_and_an_idle_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
