#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "serve/call_metrics.h"

static const struct br_method method = {.name = "test.v1.Service/Update"};

struct fixture {
    struct br_metrics *registry;
    struct br_call_metrics *metrics;
    struct br_buf text;
};

static int set_up(void **state)
{
    static struct fixture f;
    f.registry = br_metrics_create();
    assert_non_null(f.registry);
    f.metrics = br_call_metrics_create(f.registry);
    assert_non_null(f.metrics);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    br_buf_finish(&f->text);
    br_call_metrics_destroy(f->metrics);
    br_metrics_destroy(f->registry);
    return 0;
}

/* |line| with its newlines. */
static void assert_written(struct fixture *f, const char *line)
{
    struct br_status st;
    br_buf_finish(&f->text);
    br_buf_init(&f->text, 1 << 20);
    assert_true(br_metrics_write(f->registry, &f->text, &st));
    if (strstr(f->text.data, line) == NULL) {
        fail_msg("no %s in\n%s", line, f->text.data);
    }
}

static void test_create_shows_what_is_watched_as_zero(void **state)
{
    struct fixture *f = *state;
    assert_written(f, "\nmodelarts_bridge_calls_in_flight 0\n");
    assert_written(f, "\nmodelarts_bridge_refused_callers_total 0\n");
    assert_written(f, "\nmodelarts_bridge_upstream_drift_total{kind=\"key\"} 0\n"
                      "modelarts_bridge_upstream_drift_total{kind=\"literal\"} 0\n"
                      "modelarts_bridge_upstream_drift_total{kind=\"code\"} 0\n");
}

static void test_call_is_in_flight_from_start_to_end(void **state)
{
    struct fixture *f = *state;
    br_call_metrics_started(f->metrics, &method);
    br_call_metrics_started(f->metrics, NULL);
    assert_written(f, "\ngrpc_server_call_started_total{grpc_method=\"test.v1.Service/Update\"} 1\n");
    assert_written(f, "\ngrpc_server_call_started_total{grpc_method=\"other\"} 1\n");
    assert_written(f, "\nmodelarts_bridge_calls_in_flight 2\n");

    br_call_metrics_ended(f->metrics, &method, BR_OK, 30);
    br_call_metrics_ended(f->metrics, NULL, BR_UNIMPLEMENTED, 0);
    assert_written(f, "\nmodelarts_bridge_calls_in_flight 0\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_bucket{grpc_method=\"test.v1.Service/Update\","
                      "grpc_status=\"OK\",le=\"0.025\"} 0\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_bucket{grpc_method=\"test.v1.Service/Update\","
                      "grpc_status=\"OK\",le=\"0.05\"} 1\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_count{grpc_method=\"other\","
                      "grpc_status=\"UNIMPLEMENTED\"} 1\n");
}

static void test_exchanged_tells_answers_from_failures(void **state)
{
    struct fixture *f = *state;
    struct br_http_exchange exchange = {.verb = "PUT", .answered = true, .answer = {.status = 202}};
    br_call_metrics_exchanged(f->metrics, &exchange);
    exchange.answer.status = 503;
    br_call_metrics_exchanged(f->metrics, &exchange);
    exchange.answered = false;
    exchange.failure = BR_TRANSPORT_BROKEN;
    br_call_metrics_exchanged(f->metrics, &exchange);
    exchange.failure = BR_TRANSPORT_FAILED;
    br_call_metrics_exchanged(f->metrics, &exchange);
    assert_written(f, "\nmodelarts_bridge_upstream_requests_total{http_request_method=\"PUT\","
                      "http_response_status_code=\"202\",error_type=\"\"} 1\n"
                      "modelarts_bridge_upstream_requests_total{http_request_method=\"PUT\","
                      "http_response_status_code=\"503\",error_type=\"503\"} 1\n"
                      "modelarts_bridge_upstream_requests_total{http_request_method=\"PUT\","
                      "http_response_status_code=\"\",error_type=\"broken\"} 1\n"
                      "modelarts_bridge_upstream_requests_total{http_request_method=\"PUT\","
                      "http_response_status_code=\"\",error_type=\"failed\"} 1\n");
}

static void test_single_events_are_counted(void **state)
{
    struct fixture *f = *state;
    br_call_metrics_retried(f->metrics, &method);
    br_call_metrics_refused_caller(f->metrics);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_KEY);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_KEY);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_LITERAL);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    assert_written(f, "\nmodelarts_bridge_retries_total{grpc_method=\"test.v1.Service/Update\"} 1\n");
    assert_written(f, "\nmodelarts_bridge_refused_callers_total 1\n");
    assert_written(f, "{kind=\"key\"} 2\n");
    assert_written(f, "{kind=\"literal\"} 1\n");
    assert_written(f, "{kind=\"code\"} 3\n");
}

static void test_null_counts_nothing(void **state)
{
    (void)state;
    const struct br_http_exchange exchange = {.verb = "PUT"};
    br_call_metrics_started(NULL, &method);
    br_call_metrics_ended(NULL, &method, BR_OK, 1);
    br_call_metrics_exchanged(NULL, &exchange);
    br_call_metrics_retried(NULL, &method);
    br_call_metrics_drifted(NULL, BR_DRIFT_KEY);
    br_call_metrics_refused_caller(NULL);
    br_call_metrics_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_shows_what_is_watched_as_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_call_is_in_flight_from_start_to_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exchanged_tells_answers_from_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_single_events_are_counted, set_up, tear_down),
        cmocka_unit_test(test_null_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
