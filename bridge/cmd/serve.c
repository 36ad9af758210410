#include "base/log.h"
#include "cmd/admin_pages.h"
#include "cmd/cmd.h"
#include "cmd/lifecycle.h"
#include "cmd/serve_metrics.h"
#include "cmd/serve_settings.h"
#include "cmd/upstream_setup.h"
#include "serve/drift.h"
#include "serve/local_methods.h"
#include "serve/server.h"
#include "translate/named_rules.h"

#include <sys/resource.h>

static const char usage[] =
    "Usage: modelarts-bridge [serve] --upstream-url URL [SETTINGS]\n\n"
    "Takes gRPC calls and makes the REST requests that ModelArts expects. A call's x-auth-token metadata is\n"
    "its IAM token.\n\n"
    "SIGTERM or SIGINT: health says NOT_SERVING, new calls are taken for --drain-min-delay, those in flight "
    "finish\n"
    "until --drain-max-delay, exit 0. A second signal cancels them. SIGUSR1: the log's level is debug, or "
    "again\n"
    "what was set.\n"
    "Exit codes: 0 after a drain, 2 a wrong setting (one line tells), 1 anything else.\n"
    "A flag has precedence over its environment variable.\n";

/* Two lines of one event, and each matters. */
static void warn_not_encrypted(const struct br_upstream_url *url, const char *meaning)
{
    const struct br_log_field fields[] = {br_log_text("upstream", url->origin),
                                          br_log_text("meaning", meaning)};
    if (url->is_exposed) {
        br_log_always(BR_LOG_WARN, "upstream_not_encrypted", fields, 2);
    }
}

/* |admin| NULL: there is none. Only now: a start that fails says so in one line, and nothing else. */
static void log_start(const struct br_serve_settings *settings, const struct br_admin *admin,
                      const struct br_server *server)
{
    warn_not_encrypted(&settings->upstream, "plain http: tokens travel readable; use https");
    warn_not_encrypted(&settings->iam, "plain http: the password travels readable; use https");
    BR_LOG(BR_LOG_INFO, "upstream", br_log_text("origin", settings->upstream.origin),
           br_log_text("version", br_version()));
    if (admin != NULL) {
        BR_LOG(BR_LOG_INFO, "admin_listening", br_log_text("address", br_admin_address(admin)));
    }
    const char *address;
    for (size_t i = 0; (address = br_server_address(server, i)) != NULL; i++) {
        BR_LOG(BR_LOG_INFO, "listening", br_log_text("address", address));
    }
}

/* Reports why there is no start: a setting that is wrong, or anything else. */
static int fail_start(const struct br_status *st)
{
    return br_cmd_fail(st->code == BR_INVALID_ARGUMENT ? BR_EXIT_USAGE : BR_EXIT_FAILED, st);
}

/* What the admin port needs, all of it made before; |argc|, |argv| are where |settings| come from. */
static bool start_admin(const struct br_serve_settings *settings, int argc, char **argv,
                        struct br_admin_pages *pages, struct br_admin **out, struct br_status *st)
{
    const struct br_clock *clock = br_clock_system();
    pages->status.table = &br_serve_settings_table;
    pages->status.settings = settings;
    pages->status.argc = argc;
    pages->status.argv = argv;
    pages->status.clock = clock;
    pages->status.started_unix_s = clock->unix_s(clock);
    pages->status.started_ms = br_clock_now_ms(clock);
    if (settings->admin_listen == NULL) {
        return true;
    }
    const struct br_admin_config config = {.address = settings->admin_listen,
                                           .routes = br_admin_routes,
                                           .route_count = br_admin_route_count,
                                           .context = pages,
                                           .timeout_s = BR_ADMIN_TIMEOUT_S};
    return br_admin_create(&config, out, st);
}

/* The settings are good: start, serve, drain. */
static int serve(const struct br_serve_settings *settings, int argc, char **argv)
{
    struct br_status st;
    struct br_contract *contract = NULL;
    struct br_drift_log *drift = NULL;
    struct br_upstream_setup setup = {0};
    struct br_server *server = NULL;
    struct br_metrics *metrics = NULL;
    struct br_call_metrics *call_metrics = NULL;
    struct br_recent_errors *recent_errors = NULL;
    struct br_health *health = NULL;
    struct br_serve_metrics *serve_metrics = NULL;
    struct br_local_methods local = {0};
    struct br_admin *admin = NULL;
    int code = BR_EXIT_FAILED;

    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st) ||
        !br_http_curl_global_init(&st)) {
        (void)br_cmd_fail(code, &st);
        goto done;
    }
    drift = br_drift_log_create();
    metrics = br_metrics_create();
    call_metrics = metrics != NULL ? br_call_metrics_create(metrics) : NULL;
    recent_errors = br_recent_errors_create();
    health = br_health_create(contract);
    if (drift == NULL || call_metrics == NULL || recent_errors == NULL || health == NULL) {
        (void)br_status_set(&st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory at start");
        (void)br_cmd_fail(code, &st);
        goto done;
    }

    if (!br_local_methods_init(&local, &br_schema_linked, health, &st)) {
        (void)br_cmd_fail(code, &st);
        goto done;
    }

    if (!br_upstream_setup_init(settings, &setup, &st)) {
        code = fail_start(&st);
        goto done;
    }
    const struct br_serve_metrics_config metrics_config = {
        .health = health, .token = setup.token, .has_certificate = settings->tls_cert != NULL};
    serve_metrics = br_serve_metrics_create(metrics, &metrics_config);
    if (serve_metrics == NULL) {
        (void)br_status_set(&st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory at start");
        (void)br_cmd_fail(code, &st);
        goto done;
    }
    /* Before calls are taken: probes of a start want an answer. */
    struct br_admin_pages pages = {.drain_allowed = settings->admin_drain,
                                   .status = {.contract = contract,
                                              .metrics = metrics,
                                              .errors = recent_errors,
                                              .health = health,
                                              .token = setup.token}};
    if (!start_admin(settings, argc, argv, &pages, &admin, &st)) {
        code = fail_start(&st);
        goto done;
    }
    setup.call.metrics = call_metrics;
    setup.call.drift = settings->upstream_drift != BR_DRIFT_IGNORE ? br_drift_log_observer(drift) : NULL;
    const struct br_server_config config = {
        .listen = {.addresses = settings->listen,
                   .cert_file = settings->tls_cert,
                   .key_file = settings->tls_key,
                   .client_ca_file = settings->client_ca,
                   .allowed_callers = settings->allow_callers,
                   .unix_mode = settings->unix_socket_permissions,
                   .holds_credential = setup.holds_credential,
                   .allow_unauthenticated_callers = settings->allow_unauthenticated_callers},
        .connections = {.keepalive_time_ms = settings->keepalive_time_ms,
                        .keepalive_timeout_ms = settings->keepalive_timeout_ms,
                        .max_age_ms = settings->max_connection_age_ms,
                        .max_age_grace_ms = settings->max_connection_age_grace_ms},
        .shards = settings->shards,
        .max_in_flight = settings->max_in_flight,
        .max_request_bytes = settings->max_request_bytes,
        .http = setup.http,
        .call = setup.call,
        .recent_errors = recent_errors,
        .handlers = local.handlers,
        .handler_count = BR_LOCAL_METHODS,
    };
    if (!br_server_create(contract, &config, &server, &st)) {
        code = fail_start(&st);
        goto done;
    }

    br_serve_metrics_watch(serve_metrics, server);
    atomic_store(&pages.status.server, server);
    log_start(settings, admin, server);
    const struct br_lifecycle lifecycle = {
        .server = server,
        .health = health,
        .token = setup.token,
        .log_level = (enum br_log_level)settings->log_level,
        .drain_min_delay_ms = settings->drain_min_delay_ms,
        .drain_max_delay_ms = settings->drain_max_delay_ms,
    };
    br_lifecycle_run(&lifecycle);
    code = BR_EXIT_OK;

done:
    br_admin_destroy(admin);
    br_serve_metrics_destroy(serve_metrics);
    br_server_destroy(server);
    br_upstream_setup_finish(&setup);
    br_call_metrics_destroy(call_metrics);
    br_metrics_destroy(metrics);
    br_recent_errors_destroy(recent_errors);
    br_drift_log_destroy(drift);
    br_local_methods_finish(&local);
    br_health_destroy(health);
    br_contract_destroy(contract);
    br_log_report_suppressed();
    if (code == BR_EXIT_OK) {
        br_log(BR_LOG_INFO, "stopped", NULL, 0);
    }
    return code;
}

/* Each connection takes a descriptor, and gRPC stops to listen when it finds none. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int br_cmd_serve(int argc, char **argv)
{
    raise_descriptor_limit();
    br_lifecycle_block_signals();
    struct br_serve_settings settings = {0};
    struct br_status st;
    int code = br_cmd_read(usage, &br_serve_settings_table, argc, argv, &settings, NULL);
    if (code < 0 && !br_serve_settings_check(&settings, &st)) {
        code = br_cmd_fail(BR_EXIT_USAGE, &st);
    }
    if (code < 0) {
        br_log_set_level((enum br_log_level)settings.log_level);
        br_log_set_format((enum br_log_format)settings.log_format);
        code = serve(&settings, argc, argv);
    }
    br_settings_finish(&br_serve_settings_table, &settings);
    return code;
}
