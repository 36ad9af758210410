#include "cmd/serve_metrics.h"

#include "base/log.h"
#include "base/process.h"
#include "cmd/cmd.h"
#include "upstream/auth_token.h"

#include <stdatomic.h>
#include <stdlib.h>

enum family {
    REQUESTS_QUEUED,
    REQUESTS_IN_FLIGHT,
    CONNECTIONS,
    CONNECTIONS_OPENED,
    CONNECTIONS_MAX,
    TOKEN_FETCHES,
    TOKEN_AGE,
    TOKEN_EXPIRY,
    CERTIFICATE_EXPIRY,
    READY,
    DRAINING,
    LOG_LINES_DROPPED,
    BUILD_INFO,
    PROCESS_START,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    FAMILY_COUNT,
};

static const struct br_metric_def defs[FAMILY_COUNT] = {
    [REQUESTS_QUEUED] = {.name = "modelarts_bridge_upstream_requests_queued",
                         .help = "HTTP requests to ModelArts that wait for a connection.",
                         .type = BR_METRIC_GAUGE},
    [REQUESTS_IN_FLIGHT] = {.name = "modelarts_bridge_upstream_requests_in_flight",
                            .help = "HTTP requests to ModelArts that were sent and have no whole answer yet.",
                            .type = BR_METRIC_GAUGE},
    [CONNECTIONS] = {.name = "modelarts_bridge_upstream_connections",
                     .help = "Connections to ModelArts that are open or being opened.",
                     .type = BR_METRIC_GAUGE},
    [CONNECTIONS_OPENED] = {.name = "modelarts_bridge_upstream_connections_opened_total",
                            .help = "Connections to ModelArts that were opened and carried a request.",
                            .type = BR_METRIC_COUNTER},
    [CONNECTIONS_MAX] = {.name = "modelarts_bridge_upstream_connections_max",
                         .help = "Connections to ModelArts that may be open: --max-upstream-connections for "
                                 "each shard.",
                         .type = BR_METRIC_GAUGE},
    [TOKEN_FETCHES] =
        {.name = "modelarts_bridge_token_fetches_total",
         .help = "Requests to IAM for a token, by result: ok, refused, failed. Only with --auth=token.",
         .type = BR_METRIC_COUNTER,
         .labels = {"result"},
         .max_sets = BR_AUTH_TOKEN_FETCH_COUNT},
    [TOKEN_AGE] = {.name = "modelarts_bridge_token_age_seconds",
                   .help = "Age of the token; 0 without one. Only with --auth=token.",
                   .type = BR_METRIC_GAUGE,
                   .unit = BR_METRIC_MICROSECONDS},
    [TOKEN_EXPIRY] = {.name = "modelarts_bridge_token_expiry_timestamp_seconds",
                      .help = "When the token ends, in seconds since 1970; 0 without one. Only with "
                              "--auth=token.",
                      .type = BR_METRIC_GAUGE},
    [CERTIFICATE_EXPIRY] = {.name = "modelarts_bridge_tls_certificate_expiry_timestamp_seconds",
                            .help = "When the certificate that callers see ends, in seconds since 1970. Only "
                                    "with --tls-cert.",
                            .type = BR_METRIC_GAUGE},
    [READY] = {.name = "modelarts_bridge_ready",
               .help = "1 when the bridge is ready for calls, as /readyz says, else 0.",
               .type = BR_METRIC_GAUGE},
    [DRAINING] = {.name = "modelarts_bridge_draining",
                  .help = "1 from SIGTERM on, else 0.",
                  .type = BR_METRIC_GAUGE},
    [LOG_LINES_DROPPED] =
        {.name = "modelarts_bridge_log_lines_dropped_total",
         .help = "Lines of the log that were lost because its reader was too slow, or its disk full.",
         .type = BR_METRIC_COUNTER},
    [BUILD_INFO] = {.name = "modelarts_bridge_build_info",
                    .help = "1, with the version of the bridge.",
                    .type = BR_METRIC_GAUGE,
                    .labels = {"version"},
                    .max_sets = 1},
    [PROCESS_START] = {.name = "process_start_time_seconds",
                       .help = "When the process started, in seconds since 1970.",
                       .type = BR_METRIC_GAUGE,
                       .unit = BR_METRIC_MICROSECONDS},
    [PROCESS_CPU] = {.name = "process_cpu_seconds_total",
                     .help = "CPU time of the process, in user mode and in the kernel.",
                     .type = BR_METRIC_COUNTER,
                     .unit = BR_METRIC_MICROSECONDS},
    [PROCESS_RESIDENT] = {.name = "process_resident_memory_bytes",
                          .help = "Resident memory of the process.",
                          .type = BR_METRIC_GAUGE},
    [PROCESS_OPEN_FDS] = {.name = "process_open_fds",
                          .help = "File descriptors that are open.",
                          .type = BR_METRIC_GAUGE},
    [PROCESS_MAX_FDS] = {.name = "process_max_fds",
                         .help = "File descriptors that may be open.",
                         .type = BR_METRIC_GAUGE},
};

/* The label |result|. */
static const char *const fetch_results[BR_AUTH_TOKEN_FETCH_COUNT] = {
    [BR_AUTH_TOKEN_OK] = "ok",
    [BR_AUTH_TOKEN_REFUSED] = "refused",
    [BR_AUTH_TOKEN_FAILED] = "failed",
};

struct br_serve_metrics {
    struct br_serve_metrics_config config;
    _Atomic(const struct br_server *) server; /* NULL until there is one */
    struct br_metric *metrics[FAMILY_COUNT];  /* NULL: not declared, or has labels */
    struct br_metric *fetches[BR_AUTH_TOKEN_FETCH_COUNT];
};

const struct br_metric_def *br_serve_metrics_defs(size_t *count)
{
    *count = FAMILY_COUNT;
    return defs;
}

static bool is_wanted(const struct br_serve_metrics_config *config, enum family family)
{
    switch (family) {
    case TOKEN_FETCHES:
    case TOKEN_AGE:
    case TOKEN_EXPIRY:
        return config->token != NULL;
    case CERTIFICATE_EXPIRY:
        return config->has_certificate;
    default:
        return true;
    }
}

static void refresh_server(struct br_serve_metrics *m, const struct br_server *server)
{
    struct br_http_curl_stats stats;
    br_server_upstream_stats(server, &stats);
    br_metric_set(m->metrics[REQUESTS_QUEUED], stats.queued);
    br_metric_set(m->metrics[REQUESTS_IN_FLIGHT], stats.in_flight);
    br_metric_set(m->metrics[CONNECTIONS], stats.connections);
    br_metric_set(m->metrics[CONNECTIONS_OPENED], stats.connections_opened);
    br_metric_set(m->metrics[CONNECTIONS_MAX], stats.connections_max);
    if (m->config.has_certificate) {
        br_metric_set(m->metrics[CERTIFICATE_EXPIRY], br_server_certificate_expiry_s(server));
    }
}

static void refresh_token(struct br_serve_metrics *m)
{
    struct br_auth_token_state token;
    br_auth_token_state(m->config.token, &token);
    br_metric_set(m->metrics[TOKEN_AGE], token.age_us);
    br_metric_set(m->metrics[TOKEN_EXPIRY], token.expires_unix_s);
    for (size_t i = 0; i < BR_AUTH_TOKEN_FETCH_COUNT; i++) {
        br_metric_set(m->fetches[i], token.fetch_counts[i]);
    }
}

static void refresh_process(struct br_serve_metrics *m)
{
    struct br_process_usage usage;
    br_process_usage(&usage);
    br_metric_set(m->metrics[PROCESS_CPU], usage.cpu_us);
    br_metric_set(m->metrics[PROCESS_RESIDENT], usage.resident_bytes);
    br_metric_set(m->metrics[PROCESS_OPEN_FDS], usage.open_fds);
    br_metric_set(m->metrics[PROCESS_MAX_FDS], usage.max_fds);
}

static void refresh(void *ctx)
{
    struct br_serve_metrics *m = ctx;
    const struct br_server *server = atomic_load(&m->server);
    if (server != NULL) {
        refresh_server(m, server);
    }
    if (m->config.token != NULL) {
        refresh_token(m);
    }
    br_metric_set(m->metrics[READY], br_health_is_ready(m->config.health, NULL) ? 1 : 0);
    br_metric_set(m->metrics[DRAINING], br_health_is_draining(m->config.health) ? 1 : 0);
    br_metric_set(m->metrics[LOG_LINES_DROPPED], br_log_dropped_count());
    refresh_process(m);
}

struct br_serve_metrics *br_serve_metrics_create(struct br_metrics *registry,
                                                 const struct br_serve_metrics_config *config)
{
    struct br_serve_metrics *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->config = *config;
    struct br_metric_family *families[FAMILY_COUNT] = {NULL};
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (!is_wanted(config, (enum family)i)) {
            continue;
        }
        families[i] = br_metrics_family(registry, &defs[i]);
        if (families[i] == NULL) {
            free(m);
            return NULL;
        }
        if (defs[i].labels[0] == NULL) {
            m->metrics[i] = br_metric_child(families[i], NULL);
        }
    }
    for (size_t i = 0; families[TOKEN_FETCHES] != NULL && i < BR_AUTH_TOKEN_FETCH_COUNT; i++) {
        m->fetches[i] = br_metric_child(families[TOKEN_FETCHES], &fetch_results[i]);
    }
    const char *version = br_version();
    br_metric_set(br_metric_child(families[BUILD_INFO], &version), 1);
    br_metric_set(m->metrics[PROCESS_START], br_process_start_us());
    br_metrics_on_write(registry, refresh, m);
    return m;
}

void br_serve_metrics_watch(struct br_serve_metrics *metrics, const struct br_server *server)
{
    atomic_store(&metrics->server, server);
}

void br_serve_metrics_destroy(struct br_serve_metrics *metrics)
{
    free(metrics);
}
