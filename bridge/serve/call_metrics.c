#include "serve/call_metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* Methods that are told apart; the contract has fewer. */
#define METHODS_MAX 64

enum family {
    CALLS_STARTED,
    CALL_DURATION,
    CALLS_IN_FLIGHT,
    UPSTREAM_REQUESTS,
    RETRIES,
    DRIFT,
    REFUSED_CALLERS,
    FAMILY_COUNT,
};

static const struct br_metric_def defs[FAMILY_COUNT] = {
    [CALLS_STARTED] = {.name = "grpc_server_call_started_total",
                       .help = "gRPC calls that came, those that were refused included.",
                       .type = BR_METRIC_COUNTER,
                       .labels = {"grpc_method"},
                       .max_sets = METHODS_MAX},
    [CALL_DURATION] = {.name = "grpc_server_call_duration_seconds",
                       .help = "Time from a gRPC call's arrival to its reply.",
                       .type = BR_METRIC_HISTOGRAM,
                       .labels = {"grpc_method", "grpc_status"},
                       .max_sets = METHODS_MAX * 4,
                       .unit = BR_METRIC_MICROSECONDS,
                       .buckets = {5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
                                   5000000, 10000000, 30000000, 60000000, 300000000, 600000000}},
    [CALLS_IN_FLIGHT] = {.name = "modelarts_bridge_calls_in_flight",
                         .help = "gRPC calls that have no reply yet.",
                         .type = BR_METRIC_GAUGE},
    [UPSTREAM_REQUESTS] = {.name = "modelarts_bridge_upstream_requests_total",
                           .help = "HTTP requests of calls to ModelArts, each attempt by itself.",
                           .type = BR_METRIC_COUNTER,
                           .labels = {"http_request_method", "http_response_status_code", "error_type"},
                           .max_sets = 128},
    [RETRIES] = {.name = "modelarts_bridge_retries_total",
                 .help = "Failed requests to ModelArts that were tried again.",
                 .type = BR_METRIC_COUNTER,
                 .labels = {"grpc_method"},
                 .max_sets = METHODS_MAX},
    [DRIFT] = {.name = "modelarts_bridge_upstream_drift_total",
               .help = "Keys, literals and error codes of ModelArts that the bridge does not know.",
               .type = BR_METRIC_COUNTER,
               .labels = {"kind"},
               .max_sets = 3},
    [REFUSED_CALLERS] = {.name = "modelarts_bridge_refused_callers_total",
                         .help = "Calls that were refused because of who the caller is.",
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

struct br_call_metrics {
    struct br_metric_family *families[FAMILY_COUNT];
    struct br_metric *in_flight;
    struct br_metric *refused_callers;
    struct br_metric *drift[sizeof drift_kinds / sizeof drift_kinds[0]];
};

static struct br_metric *child(struct br_call_metrics *metrics, enum family family, const char *first,
                               const char *second, const char *third)
{
    const char *const values[BR_METRIC_LABELS_MAX] = {first, second, third};
    return br_metric_child(metrics->families[family], values);
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

void br_call_metrics_ended(struct br_call_metrics *metrics, const struct br_method *method, enum br_code code,
                           int64_t duration_ms)
{
    if (metrics == NULL) {
        return;
    }
    br_metric_observe(child(metrics, CALL_DURATION, method_name(method), br_code_name(code), NULL),
                      duration_ms * 1000);
    br_metric_add(metrics->in_flight, -1);
}

void br_call_metrics_exchanged(struct br_call_metrics *metrics, const struct br_http_exchange *exchange)
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
    br_metric_add(child(metrics, UPSTREAM_REQUESTS, exchange->verb, status, error_type), 1);
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
