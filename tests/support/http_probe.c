#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_probe.h"

#include "base/clock.h"
#include "tls_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LATE_MS 60000

void http_fixture_global_init(void)
{
    const char *proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++)
        (void)unsetenv(proxies[i]);
    struct br_status st = {0};
    if (!br_http_curl_global_init(&st)) {
        (void)fprintf(stderr, "%s\n", st.msg);
        abort();
    }
}

int64_t http_fixture_now_ms(void)
{
    return br_clock_now_ms(br_clock_system());
}

static void on_done(struct br_http_exchange *exchange)
{
    struct http_probe *probe = (struct http_probe *)exchange;
    probe->done_count++;
    probe->done_thread = pthread_self();
    if (probe->again_left > 0) {
        probe->again_left--;
        br_http_exchange_finish(exchange);
        probe->again->submit(probe->again, exchange);
        return;
    }
    (void)sem_post(&probe->ended);
}

struct http_probe *http_fixture_probe(struct http_fixture *f, const char *verb, const char *url)
{
    struct http_probe *probe = calloc(1, sizeof *probe);
    assert_non_null(probe);
    probe->next = f->probes;
    f->probes = probe;
    (void)snprintf(probe->url, sizeof probe->url, "%s", url);
    (void)sem_init(&probe->ended, 0, 0);
    probe->exchange.verb = verb;
    probe->exchange.url = probe->url;
    probe->exchange.headers.items = probe->headers;
    probe->exchange.deadline_ms = http_fixture_now_ms() + LATE_MS;
    probe->exchange.max_body_bytes = HTTP_PROBE_BODY_MAX;
    probe->exchange.done = on_done;
    return probe;
}

/* For the test's own server. */
struct http_probe *http_fixture_request(struct http_fixture *f, const char *verb, const char *path)
{
    char url[256];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(f->server), path);
    return http_fixture_probe(f, verb, url);
}

void http_fixture_submit(struct http_fixture *f, struct http_probe *probe)
{
    f->http->submit(f->http, &probe->exchange);
}

void http_fixture_cancel(struct http_fixture *f, struct http_probe *probe)
{
    f->http->cancel(f->http, &probe->exchange);
}

void http_probe_wait(struct http_probe *probe)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    int result;
    do {
        result = sem_timedwait(&probe->ended, &until);
    } while (result != 0 && errno == EINTR);
    assert_int_equal(result, 0);
}

struct br_http_exchange *http_fixture_run(struct http_fixture *f, struct http_probe *probe)
{
    const struct br_clock *clock = br_clock_system();
    int64_t start_us = clock->now_us(clock);
    probe->exchange.sent_us = 1; /* of a use before */
    http_fixture_submit(f, probe);
    http_probe_wait(probe);
    assert_int_equal(probe->done_count, 1);

    const struct br_http_exchange *exchange = &probe->exchange;
    assert_in_range(exchange->ended_us, start_us, clock->now_us(clock));
    if (exchange->answered || exchange->sent_us != 0) {
        assert_in_range(exchange->sent_us, start_us, exchange->ended_us);
    }
    return &probe->exchange;
}

struct br_http_exchange *http_fixture_get(struct http_fixture *f, const char *path)
{
    return http_fixture_run(f, http_fixture_request(f, "GET", path));
}

static void http_fixture_start(struct http_fixture *f)
{
    struct br_status st = {0};
    assert_true(br_http_curl_create(&f->config, &f->http, &st));
}

struct http_fixture *http_fixture_create(const struct http_server_rule *rules, size_t rule_count)
{
    struct http_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->server = http_server_start(rules, rule_count);
    f->config = (struct br_http_curl_config){
        .connect_timeout_ms = 10000,
        .max_connections = 32,
        .user_agent = "test/1",
    };
    http_fixture_start(f);
    return f;
}

int http_fixture_tear_down(void **state)
{
    struct http_fixture *f = *state;
    br_http_curl_destroy(f->http);
    http_server_stop(f->server);
    tls_server_stop(f->tls);
    while (f->probes != NULL) {
        struct http_probe *probe = f->probes;
        f->probes = probe->next;
        br_http_exchange_finish(&probe->exchange);
        (void)sem_destroy(&probe->ended);
        free(probe);
    }
    free(f);
    return 0;
}

void http_fixture_restart(struct http_fixture *f)
{
    br_http_curl_destroy(f->http);
    http_fixture_start(f);
}

void http_probe_assert_failed(const struct br_http_exchange *exchange, enum br_transport_failure failure,
                              const char *name)
{
    assert_false(exchange->answered);
    if (strcmp(exchange->failure_name, name) != 0)
        print_error("%s %s: %s\n", exchange->url, exchange->failure_name, exchange->failure_text);
    assert_string_equal(exchange->failure_name, name);
    assert_int_equal(exchange->failure, failure);
    assert_int_equal(exchange->answer.status, 0);
    assert_null(exchange->answer.body);
}

void http_probe_assert_answered(const struct br_http_exchange *exchange, int status, const char *body)
{
    if (!exchange->answered)
        print_error("%s: %s\n", exchange->failure_name, exchange->failure_text);
    assert_true(exchange->answered);
    assert_int_equal(exchange->answer.status, status);
    assert_int_equal(exchange->answer.body_len, strlen(body));
    if (exchange->answer.body_len > 0)
        assert_memory_equal(exchange->answer.body, body, strlen(body));
    assert_string_equal(exchange->failure_text, "");
}
