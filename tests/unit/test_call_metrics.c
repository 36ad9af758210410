#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
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

#define CALL_LABELS "grpc_method=\"other\",grpc_status=\"OK\""

/* The cumulative counts of two buckets. */
static void assert_buckets(struct fixture *f, const char *name, const char *labels, const char *first,
                           int first_count, const char *last, int last_count)
{
    char line[512];
    (void)snprintf(line, sizeof line, "\n%s_bucket{%s,le=\"%s\"} %d\n", name, labels, first, first_count);
    assert_written(f, line);
    (void)snprintf(line, sizeof line, "\n%s_bucket{%s,le=\"%s\"} %d\n%s_bucket{%s,le=\"+Inf\"} 4\n", name,
                   labels, last, last_count, name, labels);
    assert_written(f, line);
}

static void test_create_shows_what_is_watched_as_zero(void **state)
{
    struct fixture *f = *state;
    assert_written(f, "\nmodelarts_bridge_calls_in_flight 0\n");
    assert_written(f, "\nmodelarts_bridge_refused_callers_total 0\n");
    assert_written(f, "\nmodelarts_bridge_overload_refused_total 0\n");
    assert_written(f, "\nmodelarts_bridge_translate_duration_seconds_count{direction=\"request\"} 0\n");
    assert_written(f, "\nmodelarts_bridge_translate_duration_seconds_count{direction=\"response\"} 0\n");
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

    br_call_metrics_ended(f->metrics, &method, &(struct br_call_end){BR_OK, 30000, 300, 0});
    br_call_metrics_ended(f->metrics, NULL, &(struct br_call_end){.code = BR_UNIMPLEMENTED});
    assert_written(f, "\nmodelarts_bridge_calls_in_flight 0\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_bucket{grpc_method=\"test.v1.Service/Update\","
                      "grpc_status=\"OK\",le=\"0.025\"} 0\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_bucket{grpc_method=\"test.v1.Service/Update\","
                      "grpc_status=\"OK\",le=\"0.05\"} 1\n");
    assert_written(f, "\ngrpc_server_call_duration_seconds_count{grpc_method=\"other\","
                      "grpc_status=\"UNIMPLEMENTED\"} 1\n");
}

static void test_ended_observes_sizes_within_their_bounds(void **state)
{
    struct fixture *f = *state;
    static const struct br_call_end ends[] = {{BR_OK, 1000, 0, 64},
                                              {BR_OK, 1001, 64, 65},
                                              {BR_OK, 600000000, 65, 67108864},
                                              {BR_OK, 600000001, 67108865, 67108865}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        br_call_metrics_started(f->metrics, NULL);
        br_call_metrics_ended(f->metrics, NULL, &ends[i]);
    }
    assert_buckets(f, "grpc_server_call_duration_seconds", CALL_LABELS, "0.001", 1, "600", 3);
    assert_buckets(f, "grpc_server_call_rcvd_total_compressed_message_size_bytes", CALL_LABELS, "64", 2,
                   "67108864", 3);
    assert_buckets(f, "grpc_server_call_sent_total_compressed_message_size_bytes", CALL_LABELS, "64", 1,
                   "67108864", 3);
    assert_written(f, "\ngrpc_server_call_sent_total_compressed_message_size_bytes_sum{" CALL_LABELS
                      "} 134217858\n");
}

static void test_durations_of_parts_are_within_their_bounds(void **state)
{
    struct fixture *f = *state;
    const struct br_http_exchange exchange = {.verb = "PUT", .answered = true, .answer = {.status = 200}};
    static const int64_t parts_us[] = {10, 11, 100000, 100001};
    static const int64_t exchanges_us[] = {1000, 1001, 600000000, 600000001};
    for (size_t i = 0; i < 4; i++) {
        br_call_metrics_translated(f->metrics, BR_TRANSLATE_REQUEST, parts_us[i]);
        br_call_metrics_translated(f->metrics, BR_TRANSLATE_RESPONSE, 0);
        br_call_metrics_exchanged(f->metrics, &exchange, exchanges_us[i]);
    }
    assert_buckets(f, "modelarts_bridge_translate_duration_seconds", "direction=\"request\"", "0.00001", 1,
                   "0.1", 3);
    assert_buckets(f, "modelarts_bridge_translate_duration_seconds", "direction=\"response\"", "0.00001", 4,
                   "0.1", 4);
    assert_buckets(f, "http_client_request_duration_seconds",
                   "http_request_method=\"PUT\",http_response_status_code=\"200\",error_type=\"\"", "0.001",
                   1, "600", 3);
}

/* Names of methods come from a schema, which may be another's. */
static void test_method_names_cannot_break_the_text(void **state)
{
    struct fixture *f = *state;
    const struct br_method hostile = {.name = "a\"} 1\n# b\\c\xFF"};
    br_call_metrics_started(f->metrics, &hostile);
    assert_written(f,
                   "\ngrpc_server_call_started_total{grpc_method=\"a\\\"} 1\\n# b\\\\c\xEF\xBF\xBD\"} 1\n");
}

static void test_exchanged_tells_answers_from_failures(void **state)
{
    struct fixture *f = *state;
    struct br_http_exchange exchange = {.verb = "PUT", .answered = true, .answer = {.status = 202}};
    br_call_metrics_exchanged(f->metrics, &exchange, 1);
    exchange.answer.status = 503;
    br_call_metrics_exchanged(f->metrics, &exchange, 1);
    exchange.answered = false;
    exchange.failure = BR_TRANSPORT_BROKEN;
    br_call_metrics_exchanged(f->metrics, &exchange, 1);
    exchange.failure = BR_TRANSPORT_FAILED;
    br_call_metrics_exchanged(f->metrics, &exchange, 1);
    static const char *const answers[] = {"202\",error_type=\"", "503\",error_type=\"503",
                                          "\",error_type=\"broken", "\",error_type=\"failed"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char line[200];
        (void)snprintf(line, sizeof line,
                       "\nhttp_client_request_duration_seconds_count{http_request_method=\"PUT\","
                       "http_response_status_code=\"%s\"} 1\n",
                       answers[i]);
        assert_written(f, line);
    }
}

/* The texts of the labels are documented in the family's help, which the README has. */
static void test_every_error_type_is_documented(void **state)
{
    struct fixture *f = *state;
    size_t count;
    const struct br_metric_def *defs = br_call_metrics_defs(&count);
    const struct br_metric_def *def = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(defs[i].name, "http_client_request_duration_seconds") == 0) {
            def = &defs[i];
        }
    }
    assert_non_null(def);
    struct br_http_exchange exchange = {.verb = "PUT"};
    for (int failure = BR_TRANSPORT_CANCELLED; failure <= BR_TRANSPORT_FAILED; failure++) {
        exchange.failure = (enum br_transport_failure)failure;
        br_call_metrics_exchanged(f->metrics, &exchange, 1);
    }
    assert_written(f, "\n");
    static const char key[] =
        "_count{http_request_method=\"PUT\",http_response_status_code=\"\",error_type=\"";
    int type_count = 0;
    for (const char *at = f->text.data; (at = strstr(at, key)) != NULL; type_count++) {
        at += sizeof key - 1;
        char type[32];
        (void)snprintf(type, sizeof type, "%.*s", (int)strcspn(at, "\""), at);
        if (strstr(def->help, type) == NULL) {
            fail_msg("%s is not in: %s", type, def->help);
        }
    }
    assert_int_equal(type_count, BR_TRANSPORT_FAILED - BR_TRANSPORT_CANCELLED + 1);
}

static void test_single_events_are_counted(void **state)
{
    struct fixture *f = *state;
    br_call_metrics_retried(f->metrics, &method);
    br_call_metrics_refused_caller(f->metrics);
    br_call_metrics_refused_overload(f->metrics);
    br_call_metrics_refused_overload(f->metrics);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_KEY);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_KEY);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_LITERAL);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    br_call_metrics_drifted(f->metrics, BR_DRIFT_CODE);
    assert_written(f, "\nmodelarts_bridge_retries_total{grpc_method=\"test.v1.Service/Update\"} 1\n");
    assert_written(f, "\nmodelarts_bridge_refused_callers_total 1\n");
    assert_written(f, "\nmodelarts_bridge_overload_refused_total 2\n");
    assert_written(f, "{kind=\"key\"} 2\n");
    assert_written(f, "{kind=\"literal\"} 1\n");
    assert_written(f, "{kind=\"code\"} 3\n");
}

static void test_null_counts_nothing(void **state)
{
    (void)state;
    const struct br_http_exchange exchange = {.verb = "PUT"};
    br_call_metrics_started(NULL, &method);
    br_call_metrics_ended(NULL, &method, &(struct br_call_end){0});
    br_call_metrics_translated(NULL, BR_TRANSLATE_REQUEST, 1);
    br_call_metrics_exchanged(NULL, &exchange, 1);
    br_call_metrics_retried(NULL, &method);
    br_call_metrics_drifted(NULL, BR_DRIFT_KEY);
    br_call_metrics_refused_caller(NULL);
    br_call_metrics_refused_overload(NULL);
    br_call_metrics_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_shows_what_is_watched_as_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_call_is_in_flight_from_start_to_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ended_observes_sizes_within_their_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_durations_of_parts_are_within_their_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_method_names_cannot_break_the_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exchanged_tells_answers_from_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_error_type_is_documented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_single_events_are_counted, set_up, tear_down),
        cmocka_unit_test(test_null_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
