#include "serve/call_metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* Methods that are told apart; the contract has fewer. */
#define METHODS_MAX 64

enum family {
    CALLS_STARTED,
    CALL_DURATION,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    CALLS_IN_FLIGHT,
    UPSTREAM_DURATION,
    TRANSLATE_DURATION,
    RETRIES,
    DRIFT,
    REFUSED_CALLERS,
    OVERLOAD_REFUSED,
    FAMILY_COUNT,
};

/* From an answer at once to the most that --max-timeout allows. */
#define SECONDS_BUCKETS                                                                                     \
    {                                                                                                       \
        1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, \
            30000000, 60000000, 600000000                                                                   \
    }

/* 64 bytes to 64 MiB. */
#define BYTES_BUCKETS                                                                                   \
    {                                                                                                   \
        1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26 \
    }

static const struct br_metric_def defs[FAMILY_COUNT] = {
    [CALLS_STARTED] = {.name = "grpc_server_call_started_total",
                       .help = "gRPC calls that came, those that were refused included.",
                       .type = BR_METRIC_COUNTER,
                       .labels = {"grpc_method"},
                       .max_sets = METHODS_MAX},
    [CALL_DURATION] = {.name = "grpc_server_call_duration_seconds",
                       .help = "Time from a gRPC call's arrival to its reply.",
                       .type = BR_METRIC_HISTOGRAM,
                       .unit = BR_METRIC_MICROSECONDS,
                       .labels = {"grpc_method", "grpc_status"},
                       .max_sets = METHODS_MAX * 4,
                       .buckets = SECONDS_BUCKETS},
    [REQUEST_BYTES] = {.name = "grpc_server_call_rcvd_total_compressed_message_size_bytes",
                       .help = "Size of the request message of a gRPC call; 0 where none was taken.",
                       .type = BR_METRIC_HISTOGRAM,
                       .labels = {"grpc_method", "grpc_status"},
                       .max_sets = METHODS_MAX * 4,
                       .buckets = BYTES_BUCKETS},
    [RESPONSE_BYTES] = {.name = "grpc_server_call_sent_total_compressed_message_size_bytes",
                        .help = "Size of the response message of a gRPC call; 0 where it failed.",
                        .type = BR_METRIC_HISTOGRAM,
                        .labels = {"grpc_method", "grpc_status"},
                        .max_sets = METHODS_MAX * 4,
                        .buckets = BYTES_BUCKETS},
    [CALLS_IN_FLIGHT] = {.name = "modelarts_bridge_calls_in_flight",
                         .help = "gRPC calls that have no reply yet.",
                         .type = BR_METRIC_GAUGE},
    [UPSTREAM_DURATION] =
        {.name = "http_client_request_duration_seconds",
         .help = "Time from sending an HTTP request to ModelArts to the end of its answer, each "
                 "attempt by itself; of one that was never sent, the time it waited. error_type is empty for "
                 "a 2xx, else the "
                 "status or cancelled, deadline, unreachable, connect_timeout, broken, untrusted, too_large, "
                 "no_memory, failed.",
         .type = BR_METRIC_HISTOGRAM,
         .unit = BR_METRIC_MICROSECONDS,
         .labels = {"http_request_method", "http_response_status_code", "error_type"},
         .max_sets = 128,
         .buckets = SECONDS_BUCKETS},
    [TRANSLATE_DURATION] =
        {.name = "modelarts_bridge_translate_duration_seconds",
         .help =
             "Time to make a REST request from a message (direction request), or a message or status from an "
             "answer (response).",
         .type = BR_METRIC_HISTOGRAM,
         .unit = BR_METRIC_MICROSECONDS,
         .labels = {"direction"},
         .max_sets = 2,
         .buckets = {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000}},
    [RETRIES] = {.name = "modelarts_bridge_retries_total",
                 .help = "Failed requests to ModelArts that were tried again.",
                 .type = BR_METRIC_COUNTER,
                 .labels = {"grpc_method"},
                 .max_sets = METHODS_MAX},
    [DRIFT] = {.name = "modelarts_bridge_upstream_drift_total",
               .help = "What ModelArts answered beyond the schema, by kind: key, literal, code.",
               .type = BR_METRIC_COUNTER,
               .labels = {"kind"},
               .max_sets = 3},
    [REFUSED_CALLERS] = {.name = "modelarts_bridge_refused_callers_total",
                         .help = "Calls that were refused because of who the caller is.",
                         .type = BR_METRIC_COUNTER},
    [OVERLOAD_REFUSED] = {.name = "modelarts_bridge_overload_refused_total",
                          .help = "Calls that were refused because of --max-in-flight.",
                          .type = BR_METRIC_COUNTER},
};

/* The label error_type where there was no answer. */
static const char *const failure_types[] = {
    [BR_TRANSPORT_CANCELLED] = "cancelled",     [BR_TRANSPORT_DEADLINE] = "deadline",
    [BR_TRANSPORT_UNREACHABLE] = "unreachable", [BR_TRANSPORT_CONNECT_TIMEOUT] = "connect_timeout",
    [BR_TRANSPORT_BROKEN] = "broken",           [BR_TRANSPORT_UNTRUSTED] = "untrusted",
    [BR_TRANSPORT_TOO_LARGE] = "too_large",     [BR_TRANSPORT_NO_MEMORY] = "no_memory",
    [BR_TRANSPORT_FAILED] = "failed",
};

static const char *const drift_kinds[] = {
    [BR_DRIFT_KEY] = "key",
    [BR_DRIFT_LITERAL] = "literal",
    [BR_DRIFT_CODE] = "code",
};

static const char *const directions[] = {
    [BR_TRANSLATE_REQUEST] = "request",
    [BR_TRANSLATE_RESPONSE] = "response",
};

struct br_call_metrics {
    struct br_metric_family *families[FAMILY_COUNT];
    struct br_metric *in_flight;
    struct br_metric *refused_callers;
    struct br_metric *overload_refused;
    struct br_metric *translate[sizeof directions / sizeof directions[0]];
    struct br_metric *drift[sizeof drift_kinds / sizeof drift_kinds[0]];
};

static struct br_metric *child(struct br_call_metrics *metrics, enum family family, const char *first,
                               const char *second, const char *third)
{
    const char *const values[BR_METRIC_LABELS_MAX] = {first, second, third};
    return br_metric_child(metrics->families[family], values);
}

const struct br_metric_def *br_call_metrics_defs(size_t *count)
{
    *count = FAMILY_COUNT;
    return defs;
}

struct br_call_metrics *br_call_metrics_create(struct br_metrics *registry)
{
    struct br_call_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        metrics->families[i] = br_metrics_family(registry, &defs[i]);
        if (metrics->families[i] == NULL) {
            free(metrics);
            return NULL;
        }
    }
    /* Made now: what is watched for an alert should be there, as 0, before it first happens. */
    metrics->in_flight = child(metrics, CALLS_IN_FLIGHT, NULL, NULL, NULL);
    metrics->refused_callers = child(metrics, REFUSED_CALLERS, NULL, NULL, NULL);
    metrics->overload_refused = child(metrics, OVERLOAD_REFUSED, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++) {
        metrics->translate[i] = child(metrics, TRANSLATE_DURATION, directions[i], NULL, NULL);
    }
    for (size_t i = 0; i < sizeof drift_kinds / sizeof drift_kinds[0]; i++) {
        metrics->drift[i] = child(metrics, DRIFT, drift_kinds[i], NULL, NULL);
    }
    return metrics;
}

void br_call_metrics_destroy(struct br_call_metrics *metrics)
{
    free(metrics);
}

static const char *method_name(const struct br_method *method)
{
    return method != NULL ? method->name : BR_METRIC_OTHER;
}

void br_call_metrics_started(struct br_call_metrics *metrics, const struct br_method *method)
{
    if (metrics == NULL) {
        return;
    }
    br_metric_add(child(metrics, CALLS_STARTED, method_name(method), NULL, NULL), 1);
    br_metric_add(metrics->in_flight, 1);
}

void br_call_metrics_ended(struct br_call_metrics *metrics, const struct br_method *method,
                           const struct br_call_end *end)
{
    if (metrics == NULL) {
        return;
    }
    const char *name = method_name(method);
    const char *code = br_code_name(end->code);
    br_metric_observe(child(metrics, CALL_DURATION, name, code, NULL), end->duration_us);
    br_metric_observe(child(metrics, REQUEST_BYTES, name, code, NULL), (int64_t)end->request_bytes);
    br_metric_observe(child(metrics, RESPONSE_BYTES, name, code, NULL), (int64_t)end->response_bytes);
    br_metric_add(metrics->in_flight, -1);
}

void br_call_metrics_translated(struct br_call_metrics *metrics, enum br_translate_direction direction,
                                int64_t duration_us)
{
    if (metrics != NULL) {
        br_metric_observe(metrics->translate[direction], duration_us);
    }
}

void br_call_metrics_exchanged(struct br_call_metrics *metrics, const struct br_http_exchange *exchange,
                               int64_t duration_us)
{
    if (metrics == NULL) {
        return;
    }
    char status[12] = "";
    const char *error_type = "";
    if (exchange->answered) {
        (void)snprintf(status, sizeof status, "%d", exchange->answer.status);
        if (exchange->answer.status < 200 || exchange->answer.status >= 300) {
            error_type = status;
        }
    } else {
        error_type = failure_types[exchange->failure];
    }
    br_metric_observe(child(metrics, UPSTREAM_DURATION, exchange->verb, status, error_type), duration_us);
}

void br_call_metrics_retried(struct br_call_metrics *metrics, const struct br_method *method)
{
    if (metrics != NULL) {
        br_metric_add(child(metrics, RETRIES, method_name(method), NULL, NULL), 1);
    }
}

void br_call_metrics_drifted(struct br_call_metrics *metrics, enum br_drift drift)
{
    if (metrics != NULL) {
        br_metric_add(metrics->drift[drift], 1);
    }
}

void br_call_metrics_refused_caller(struct br_call_metrics *metrics)
{
    if (metrics != NULL) {
        br_metric_add(metrics->refused_callers, 1);
    }
}

void br_call_metrics_refused_overload(struct br_call_metrics *metrics)
{
    if (metrics != NULL) {
        br_metric_add(metrics->overload_refused, 1);
    }
}
