/*
 * What the curl client tells about its pool: requests that wait, requests in flight, connections. Real sockets on
 * loopback.
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

/* libcurl finds it before libc's. The name "both.test" has two addresses, and nobody listens on the first. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    union {
        void *symbol;
        int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } next = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
    if (node == NULL || strcmp(node, "both.test") != 0) {
        return next.function(node, service, hints, result);
    }
    static const char *const addresses[] = {"::1", "127.0.0.1"};
    struct addrinfo numeric = *hints;
    numeric.ai_flags = AI_NUMERICHOST;
    numeric.ai_family = AF_UNSPEC;
    for (int i = 0; i < 2; i++) {
        int error = next.function(addresses[i], service, &numeric, result);
        if (error != 0) {
            return error;
        }
        result = &(*result)->ai_next;
    }
    return 0;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

static const struct http_server_rule rules[] = {
    {.path = "/ok", .bytes = OK},
    {.path = "/close", .bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"},
    {.path = "/leave", .then = HTTP_SERVER_CLOSE},
    {.path = "/hold", .then = HTTP_SERVER_HOLD},
};

static int set_up(void **state)
{
    *state = http_fixture_create(rules, sizeof rules / sizeof rules[0]);
    return 0;
}

static struct br_http_curl_stats stats(const struct http_fixture *f)
{
    struct br_http_curl_stats out;
    br_http_curl_stats(f->http, &out);
    return out;
}

/* Waits until the client tells as much, for 20 seconds at most. */
static void wait_for(const struct http_fixture *f, int queued, int in_flight, int connections)
{
    int64_t until_ms = http_fixture_now_ms() + 20000;
    struct br_http_curl_stats now = stats(f);
    while ((now.queued != queued || now.in_flight != in_flight || now.connections != connections) &&
           http_fixture_now_ms() < until_ms) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        now = stats(f);
    }
    assert_int_equal(now.queued, queued);
    assert_int_equal(now.in_flight, in_flight);
    assert_int_equal(now.connections, connections);
}

static void test_stats_of_a_new_client_are_zero(void **state)
{
    struct http_fixture *f = *state;
    assert_int_equal(stats(f).connections_max, 32);
    assert_int_equal(stats(f).connections_opened, 0);
    wait_for(f, 0, 0, 0);
}

static void test_stats_of_a_kept_connection(void **state)
{
    struct http_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
        wait_for(f, 0, 0, 1);
    }
    assert_int_equal(stats(f).connections_opened, 1);
}

static void test_stats_of_connections_that_the_server_ends(void **state)
{
    struct http_fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        http_probe_assert_answered(http_fixture_get(f, "/close"), 200, "{}");
    }
    assert_int_equal(stats(f).connections_opened, 3);
    wait_for(f, 0, 0, 0);
}

/* The server leaves a kept connection without an answer: libcurl takes a new one, which counts although unused. */
static void test_stats_of_a_kept_connection_that_breaks(void **state)
{
    struct http_fixture *f = *state;
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    http_probe_assert_failed(http_fixture_get(f, "/leave"), BR_TRANSPORT_BROKEN, "GOT_NOTHING");
    assert_int_equal(stats(f).connections_opened, 2);
    wait_for(f, 0, 0, 0);
}

static void test_stats_of_requests_that_wait_for_a_place(void **state)
{
    struct http_fixture *f = *state;
    f->config.max_connections = 2;
    http_fixture_restart(f);
    struct http_probe *probes[5];
    for (int i = 0; i < 5; i++) {
        probes[i] = http_fixture_request(f, "GET", "/hold");
        http_fixture_submit(f, probes[i]);
    }
    assert_true(http_server_wait_requests(f->server, 2));
    wait_for(f, 3, 2, 2);
    assert_int_equal(stats(f).connections_max, 2);

    http_fixture_cancel(f, probes[4]); /* waits */
    http_probe_wait(probes[4]);
    wait_for(f, 2, 2, 2);
    http_fixture_cancel(f, probes[0]); /* in flight: one of those that wait takes its place */
    http_probe_wait(probes[0]);
    assert_true(http_server_wait_requests(f->server, 3));
    wait_for(f, 1, 2, 2);
    assert_int_equal(stats(f).connections_opened, 3);
    for (int i = 1; i < 4; i++) {
        http_fixture_cancel(f, probes[i]);
        http_probe_wait(probes[i]);
    }
    wait_for(f, 0, 0, 0);
}

static void test_stats_of_pauses_are_zero(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = http_fixture_probe(f, NULL, "");
    http_fixture_submit(f, probe);
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}"); /* the pause was taken before it */
    wait_for(f, 0, 0, 1);
    http_fixture_cancel(f, probe);
    http_probe_wait(probe);
    wait_for(f, 0, 0, 1);
}

/* Both addresses are tried, each with a socket of its own; one connection comes of it. */
static void test_stats_of_a_name_with_two_addresses(void **state)
{
    struct http_fixture *f = *state;
    char url[64];
    (void)snprintf(url, sizeof url, "http://both.test:%d/ok", http_server_port(f->server));
    http_probe_assert_answered(http_fixture_run(f, http_fixture_probe(f, "GET", url)), 200, "{}");
    wait_for(f, 0, 0, 1);
    assert_int_equal(stats(f).connections_opened, 1);
}

/* A port that nobody listens on, and one on which nobody accepts. */
static void test_stats_of_connections_that_fail(void **state)
{
    struct http_fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    for (int i = 0; i < 3; i++) {
        http_probe_assert_failed(http_fixture_run(f, http_fixture_probe(f, "GET", url)),
                                 BR_TRANSPORT_UNREACHABLE, "COULDNT_CONNECT");
    }
    wait_for(f, 0, 0, 0);

    /* Accepted by the kernel, and its TLS greeting is never answered: waits for a connection. */
    assert_int_equal(listen(fd, 8), 0);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(address.sin_port));
    struct http_probe *probe = http_fixture_probe(f, "GET", url);
    http_fixture_submit(f, probe);
    wait_for(f, 1, 0, 1);
    http_fixture_cancel(f, probe);
    http_probe_wait(probe);
    wait_for(f, 0, 0, 0);
    assert_int_equal(stats(f).connections_opened, 0);
    (void)close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, http_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stats_of_a_new_client_are_zero),
        TEST(test_stats_of_a_kept_connection),
        TEST(test_stats_of_connections_that_the_server_ends),
        TEST(test_stats_of_a_kept_connection_that_breaks),
        TEST(test_stats_of_requests_that_wait_for_a_place),
        TEST(test_stats_of_pauses_are_zero),
        TEST(test_stats_of_a_name_with_two_addresses),
        TEST(test_stats_of_connections_that_fail),
    };
    http_fixture_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
