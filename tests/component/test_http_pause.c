/*
 * Pauses of the curl client: exchanges that send nothing. They carry a call's waits for a credential and between attempts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_probe.h"

#define MANY 300

static const struct http_server_rule rules[] = {
    {.path = "/ok", .bytes = "HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: 2\r\n\r\n{}"},
    {.path = "/cut",
     .bytes = "HTTP/1.1 200 OK\r\nX-Request-Id: r2\r\nX-Trace: t\r\nContent-Length: 9\r\n\r\n{}",
     .then = HTTP_SERVER_CLOSE},
    {.path = "/cut-headers", .bytes = "HTTP/1.1 200 OK\r\nX-Request-Id: r3\r\n", .then = HTTP_SERVER_CLOSE},
};

static int set_up(void **state)
{
    *state = http_fixture_create(rules, sizeof rules / sizeof rules[0]);
    return *state == NULL;
}

static struct http_probe *pause_probe(struct http_fixture *f, int64_t length_ms)
{
    struct http_probe *probe = http_fixture_probe(f, NULL, "");
    probe->exchange.verb = NULL;
    probe->exchange.url = NULL;
    probe->exchange.deadline_ms = http_fixture_now_ms() + length_ms;
    return probe;
}

static void test_pause_ends_at_its_deadline(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = pause_probe(f, 50);
    int64_t until_ms = probe->exchange.deadline_ms;
    http_fixture_submit(f, probe);
    http_probe_wait(probe);
    assert_true(http_fixture_now_ms() >= until_ms);
    http_probe_assert_failed(&probe->exchange, BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT");
    assert_int_equal(probe->done_count, 1);
}

static void test_pause_that_is_over_already_ends_at_once(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = pause_probe(f, 0);
    http_fixture_submit(f, probe);
    http_probe_wait(probe);
    http_probe_assert_failed(&probe->exchange, BR_TRANSPORT_DEADLINE, "OPERATION_TIMEDOUT");
}

static void test_pause_cancelled_ends(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = pause_probe(f, 3600000);
    http_fixture_submit(f, probe);
    http_fixture_cancel(f, probe);
    http_probe_wait(probe);
    http_probe_assert_failed(&probe->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
    assert_int_equal(probe->done_count, 1);
}

/* Far more pauses than connections: a pause takes no place from a request. */
static void test_pauses_do_not_hold_up_requests(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probes[MANY];
    for (int i = 0; i < MANY; i++) {
        probes[i] = pause_probe(f, 3600000);
        http_fixture_submit(f, probes[i]);
    }
    http_probe_assert_answered(http_fixture_get(f, "/ok"), 200, "{}");
    for (int i = 0; i < MANY; i++) {
        http_fixture_cancel(f, probes[i]);
        http_probe_wait(probes[i]);
        assert_int_equal(probes[i]->done_count, 1);
    }
}

static void test_destroy_ends_pauses(void **state)
{
    struct http_fixture *f = *state;
    struct http_probe *probe = pause_probe(f, 3600000);
    http_fixture_submit(f, probe);
    http_fixture_restart(f);
    http_probe_wait(probe);
    http_probe_assert_failed(&probe->exchange, BR_TRANSPORT_CANCELLED, "CANCELLED");
}

static void test_headers_before_a_break_are_kept(void **state)
{
    struct http_fixture *f = *state;
    static const char *const keep[] = {"x-trace"};
    struct http_probe *probe = http_fixture_request(f, "GET", "/cut");
    probe->exchange.keep = keep;
    probe->exchange.keep_count = 1;
    const struct br_http_exchange *exchange = http_fixture_run(f, probe);
    assert_false(exchange->answered);
    assert_int_equal(exchange->failure, BR_TRANSPORT_BROKEN);
    assert_string_equal(br_headers_find(&exchange->answer.headers, "x-request-id"), "r2");
    assert_string_equal(br_headers_find(&exchange->answer.headers, "x-trace"), "t");
    exchange = http_fixture_get(f, "/cut-headers");
    assert_false(exchange->answered);
    assert_int_equal(exchange->answer.headers.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, http_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pause_ends_at_its_deadline), TEST(test_pause_that_is_over_already_ends_at_once),
        TEST(test_pause_cancelled_ends),       TEST(test_pauses_do_not_hold_up_requests),
        TEST(test_destroy_ends_pauses),        TEST(test_headers_before_a_break_are_kept),
    };
    http_fixture_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
