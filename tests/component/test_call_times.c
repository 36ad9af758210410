/*
 * Where the time of a call goes: exact, since the clock stands still until a fake moves it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_http.h"
#include "test_contract.h"

#include <stdlib.h>
#include <string.h>
#include <testapi/v1/everything.pb-c.h>

struct fixture {
    struct fake_http http;
    struct fake_clock clock;
    struct fake_host host;
    struct fake_auth auth;
    struct br_retry_budget retries;
    struct br_metrics *registry;
    struct br_call_metrics *metrics;
    struct br_call_config config;
    struct br_call *call;
    uint8_t bytes[64];
    struct br_call_request request;
    struct br_buf text;
};

/* A clock that moves on by 7 us with each look at it. */
static struct fake_clock *ticking;

static int64_t tick_us(const struct br_clock *self)
{
    (void)self;
    return ticking->now_us += 7;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    fake_clock_init(&f->clock);
    fake_http_init(&f->http, &f->clock.clock);
    fake_host_init(&f->host);
    fake_auth_init(&f->auth);
    br_retry_budget_init(&f->retries);
    f->registry = br_metrics_create();
    assert_non_null(f->registry);
    f->metrics = br_call_metrics_create(f->registry);
    assert_non_null(f->metrics);
    f->auth.result = BR_AUTH_GRANTED;
    f->config = (struct br_call_config){
        .rest = {.base_url = "https://up.example"},
        .auth = &f->auth.auth,
        .http = &f->http.http,
        .metrics = f->metrics,
        .retries = &f->retries,
        .max_attempts = 3,
        .clock = &f->clock.clock,
        .default_timeout_ms = 30000,
        .max_timeout_ms = 60000,
        .max_response_bytes = 4096,
    };
    Testapi__V1__UpdateThingRequest message = TESTAPI__V1__UPDATE_THING_REQUEST__INIT;
    message.project_id = (char *)"p";
    message.thing_id = (char *)"t";
    f->request = (struct br_call_request){
        .method = test_method("UpdateThing"),
        .timeout_ms = -1,
        .bytes = f->bytes,
        .len = testapi__v1__update_thing_request__pack(&message, f->bytes),
    };
    f->call = br_call_create(&f->config, &f->host.host);
    assert_non_null(f->call);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (br_call_state(f->call) == BR_CALL_REPLYING) {
        br_call_replied(f->call);
    }
    br_call_destroy(f->call);
    fake_host_finish(&f->host);
    br_buf_finish(&f->text);
    br_call_metrics_destroy(f->metrics);
    br_metrics_destroy(f->registry);
    free(f);
    return 0;
}

static void assert_times(const struct fixture *f, struct br_call_times expected)
{
    assert_int_equal(f->host.reply_count, 1);
    const struct br_call_times *times = &f->host.reply.times;
    assert_int_equal(times->total_us, expected.total_us);
    assert_int_equal(times->translate_us, expected.translate_us);
    assert_int_equal(times->credential_us, expected.credential_us);
    assert_int_equal(times->queue_us, expected.queue_us);
    assert_int_equal(times->upstream_us, expected.upstream_us);
}

/* Whether |line|, with its newlines, is in what the metrics say. */
static void assert_counted(struct fixture *f, const char *line)
{
    struct br_status st;
    br_buf_finish(&f->text);
    br_buf_init(&f->text, 1 << 20);
    assert_true(br_metrics_write(f->registry, &f->text, &st));
    if (strstr(f->text.data, line) == NULL) {
        fail_msg("no %s in\n%s", line, f->text.data);
    }
}

static void answer(struct fixture *f, int status)
{
    fake_http_answer(&f->http, status, (struct br_headers){NULL, 0}, "{}");
}

static void pass(struct fixture *f, int64_t us)
{
    f->clock.now_us += us;
}

static void test_times_of_a_plain_call(void **state)
{
    struct fixture *f = *state;
    pass(f, 1000000); /* until the caller's message is there */
    br_call_start(f->call, &f->request);
    pass(f, 20);
    fake_http_send(&f->http);
    pass(f, 300);
    answer(f, 200);
    pass(f, 4000); /* until the owner thread has its turn */
    br_call_resume(f->call);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_int_equal(f->host.reply.request_bytes, f->request.len);
    assert_times(f, (struct br_call_times){.total_us = 1004320, .queue_us = 20, .upstream_us = 300});
    assert_counted(f, "\nhttp_client_request_duration_seconds_sum{http_request_method=\"PUT\","
                      "http_response_status_code=\"200\",error_type=\"\"} 0.0003\n");
}

static void test_times_of_a_credential_that_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->auth.result = BR_AUTH_PENDING;
    br_call_start(f->call, &f->request);
    pass(f, 500);
    fake_auth_ready(&f->auth);
    br_call_resume(f->call);
    pass(f, 60);
    fake_http_fail(&f->http, BR_TRANSPORT_CANCELLED); /* the pause, ended by the credential */
    f->auth.result = BR_AUTH_GRANTED;
    br_call_resume(f->call);
    pass(f, 7);
    answer(f, 200);
    br_call_resume(f->call);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_times(f, (struct br_call_times){.total_us = 567, .credential_us = 560, .queue_us = 7});
}

static void test_times_of_a_credential_that_does_not_come(void **state)
{
    struct fixture *f = *state;
    f->auth.result = BR_AUTH_PENDING;
    br_call_start(f->call, &f->request);
    pass(f, 30000000);
    fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE);
    br_call_resume(f->call);
    fake_auth_ready(&f->auth);
    br_call_resume(f->call);
    assert_int_equal(f->host.reply.code, BR_DEADLINE_EXCEEDED);
    assert_times(f, (struct br_call_times){.total_us = 30000000, .credential_us = 30000000});
}

/* Two attempts: the first is never sent, the second is. The pause between them is in the total alone. */
static void test_times_add_up_over_attempts_without_pauses(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    pass(f, 100);
    fake_http_fail(&f->http, BR_TRANSPORT_UNREACHABLE);
    br_call_resume(f->call);
    assert_int_equal(br_call_state(f->call), BR_CALL_BACKOFF);
    pass(f, 50000);
    fake_http_fail(&f->http, BR_TRANSPORT_DEADLINE); /* the pause is over */
    br_call_resume(f->call);
    pass(f, 10);
    fake_http_send(&f->http);
    pass(f, 2000);
    answer(f, 200);
    br_call_resume(f->call);
    assert_int_equal(f->host.reply.code, BR_OK);
    assert_int_equal(f->host.reply.attempt_count, 2);
    assert_times(f, (struct br_call_times){.total_us = 52110, .queue_us = 110, .upstream_us = 2000});
    assert_counted(f, "\nhttp_client_request_duration_seconds_sum{http_request_method=\"PUT\","
                      "http_response_status_code=\"\",error_type=\"unreachable\"} 0.0001\n");
    assert_counted(f, "\nhttp_client_request_duration_seconds_sum{http_request_method=\"PUT\","
                      "http_response_status_code=\"200\",error_type=\"\"} 0.002\n");
}

static void test_times_of_a_request_that_breaks_after_it_was_sent(void **state)
{
    struct fixture *f = *state;
    br_call_start(f->call, &f->request);
    pass(f, 5);
    fake_http_send(&f->http);
    pass(f, 40);
    fake_http_fail(&f->http, BR_TRANSPORT_BROKEN);
    br_call_resume(f->call);
    assert_int_equal(f->host.reply_count, 1);
    assert_times(f, (struct br_call_times){.total_us = 45, .queue_us = 5, .upstream_us = 40});
    assert_counted(f, "\nmodelarts_bridge_translate_duration_seconds_count{direction=\"request\"} 1\n");
    assert_counted(f, "\nmodelarts_bridge_translate_duration_seconds_count{direction=\"response\"} 0\n");
}

/* Here each look at the clock takes 7 us, so it shows which looks a time lies between. */
static void test_times_of_translation_are_between_two_looks_at_the_clock(void **state)
{
    struct fixture *f = *state;
    ticking = &f->clock;
    f->clock.clock.now_us = tick_us;
    br_call_start(f->call, &f->request);
    answer(f, 400);
    br_call_resume(f->call);
    assert_int_equal(f->host.reply.code, BR_INVALID_ARGUMENT);
    assert_int_equal(f->host.reply.times.translate_us, 14);
    assert_int_equal(f->host.reply.times.credential_us, 7);
    assert_counted(f, "\nmodelarts_bridge_translate_duration_seconds_sum{direction=\"request\"} 0.000007\n");
    assert_counted(f, "\nmodelarts_bridge_translate_duration_seconds_sum{direction=\"response\"} 0.000007\n");
}

static void test_times_of_a_request_that_is_invalid(void **state)
{
    struct fixture *f = *state;
    ticking = &f->clock;
    f->clock.clock.now_us = tick_us;
    f->request.len = 0;
    br_call_start(f->call, &f->request);
    assert_int_equal(f->host.reply.code, BR_INVALID_ARGUMENT);
    assert_times(f, (struct br_call_times){.total_us = 14, .translate_us = 7});
}

static void test_times_of_a_call_that_the_host_refuses(void **state)
{
    struct fixture *f = *state;
    struct br_status st;
    (void)br_status_set(&st, BR_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", "no");
    pass(f, 3);
    br_call_refuse(f->call, &st);
    assert_times(f, (struct br_call_times){.total_us = 3});
    assert_int_equal(f->host.reply.request_bytes, 0);
    assert_counted(f, "\nmodelarts_bridge_translate_duration_seconds_count{direction=\"request\"} 0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_times_of_a_plain_call),
        TEST(test_times_of_a_credential_that_is_waited_for),
        TEST(test_times_of_a_credential_that_does_not_come),
        TEST(test_times_add_up_over_attempts_without_pauses),
        TEST(test_times_of_a_request_that_breaks_after_it_was_sent),
        TEST(test_times_of_translation_are_between_two_looks_at_the_clock),
        TEST(test_times_of_a_request_that_is_invalid),
        TEST(test_times_of_a_call_that_the_host_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
