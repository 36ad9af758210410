#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/serve_settings.h"
#include "serve/drift.h"
#include "serve/server.h"
#include "translate/error_table.h"
#include "translate/named_rules.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How long a second signal may go unnoticed while calls finish. */
#define SIGNAL_CHECK_MS 50

static const char usage[] =
    "Usage: modelarts-bridge [serve] --upstream-url URL [SETTINGS]\n\n"
    "Takes gRPC calls and makes the REST requests that ModelArts expects. A call's x-auth-token metadata is\n"
    "its IAM token.\n\n"
    "SIGTERM or SIGINT: no new call is taken, calls in flight finish, exit 0. A second one cancels them.\n"
    "Exit codes: 0 after a drain, 2 a wrong setting (one line tells), 1 anything else.\n"
    "A flag has precedence over its environment variable.\n";

/* The signals that end the bridge are taken by sigwait() alone: no thread started later has them unblocked. */
static sigset_t block_signals(void)
{
    sigset_t ending;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    int error = pthread_sigmask(SIG_BLOCK, &ending, NULL);
    assert(error == 0);
    (void)error;

    /* A peer that closes its end is an error code of the write, not the end of the process. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    return ending;
}

static const char *signal_name(int number)
{
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}

static int wait_signal(const sigset_t *ending)
{
    int number;
    while (sigwait(ending, &number) != 0)
        ;
    return number;
}

/* The signal that is pending, without waiting; 0: none. */
static int poll_signal(const sigset_t *ending)
{
    const struct timespec now = {0};
    int number = sigtimedwait(ending, NULL, &now);
    return number > 0 ? number : 0;
}

/*
 * Serves until a signal, then drains. The wait is on the drain, which ends at once with the last call; the
 * signals are looked at between slices of it.
 */
static void run_until_drained(struct br_server *server, const sigset_t *ending)
{
    int number = wait_signal(ending);
    BR_LOG(BR_LOG_INFO, "draining", br_log_text("signal", signal_name(number)));
    br_server_drain(server);

    bool cancelled = false;
    while (!br_server_wait_drained(server, SIGNAL_CHECK_MS)) {
        if (!cancelled && (number = poll_signal(ending)) != 0) {
            BR_LOG(BR_LOG_WARN, "cancelling", br_log_text("signal", signal_name(number)));
            br_server_cancel_all(server);
            cancelled = true;
        }
    }
}

static void log_start(const struct br_serve_settings *settings, const struct br_server *server)
{
    if (settings->upstream.is_exposed)
        BR_LOG(BR_LOG_WARN, "upstream_not_encrypted", br_log_text("upstream", settings->upstream.origin),
               br_log_text("meaning", "plain http: tokens travel readable; use https"));
    BR_LOG(BR_LOG_INFO, "upstream", br_log_text("origin", settings->upstream.origin),
           br_log_text("version", br_version()));
    const char *address;
    for (size_t i = 0; (address = br_server_address(server, i)) != NULL; i++)
        BR_LOG(BR_LOG_INFO, "listening", br_log_text("address", address));
}

/* The operator's rows of the error table; none where there is no file. */
static bool read_error_overrides(const char *path, struct br_error_table *out, struct br_status *st)
{
    if (path == NULL)
        return true;
    struct br_buf text;
    br_buf_init(&text, BR_ERROR_TABLE_MAX_BYTES);
    int error = br_file_read(path, &text);
    bool ok = error == 0 ? br_error_table_parse(text.data, text.len, out, st)
                         : br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "cannot be read: %s",
                                         strerror(error));
    br_buf_finish(&text);
    if (!ok) {
        br_status_prefix(st, path);
        br_status_prefix(st, "--error-overrides");
    }
    return ok;
}

/* The settings are good: start, serve, drain. */
static int serve(const struct br_serve_settings *settings, const sigset_t *ending)
{
    struct br_status st;
    struct br_contract *contract = NULL;
    struct br_drift_log *drift = NULL;
    struct br_error_table errors = {0};
    struct br_server *server = NULL;
    int code = BR_EXIT_FAILED;

    if (!read_error_overrides(settings->error_overrides, &errors, &st)) {
        code = br_cmd_fail(BR_EXIT_USAGE, &st);
        goto done;
    }
    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st) ||
        !br_http_curl_global_init(&st)) {
        (void)br_cmd_fail(code, &st);
        goto done;
    }
    drift = br_drift_log_create();
    if (drift == NULL) {
        (void)br_status_set(&st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory at start");
        (void)br_cmd_fail(code, &st);
        goto done;
    }

    char user_agent[64];
    (void)snprintf(user_agent, sizeof user_agent, "modelarts-bridge/%s", br_version());
    struct br_retry_budget retries;
    br_retry_budget_init(&retries);
    struct br_header project = {.name = "project_id", .value = settings->project_id};
    const struct br_server_config config = {
        .listen = settings->listen,
        .shards = settings->shards,
        .max_in_flight = settings->max_in_flight,
        .max_request_bytes = settings->max_request_bytes,
        .http = {.connect_timeout_ms = settings->connect_timeout_ms,
                 .max_connections = (long)settings->max_upstream_connections,
                 .ca_file = settings->ca_file,
                 .http2 = settings->upstream_http2 == BR_HTTP2_AUTO,
                 .user_agent = user_agent},
        .call = {.rest = {.base_url = settings->upstream.base,
                          .defaults = {.items = &project, .count = settings->project_id != NULL ? 1 : 0}},
                 .forward = {.metadata = settings->forward_metadata, .headers = settings->return_header},
                 .auth = br_auth_passthrough(),
                 .retries = &retries,
                 .max_attempts = (int)settings->max_attempts,
                 .clock = br_clock_system(),
                 .errors = &errors,
                 .strict_drift = settings->upstream_drift == BR_DRIFT_STRICT,
                 .drift = settings->upstream_drift != BR_DRIFT_IGNORE ? br_drift_log_observer(drift) : NULL,
                 .default_timeout_ms = settings->default_timeout_ms,
                 .max_timeout_ms = settings->max_timeout_ms,
                 .max_response_bytes = settings->max_response_bytes},
    };
    if (!br_server_create(contract, &config, &server, &st)) {
        code = br_cmd_fail(st.code == BR_INVALID_ARGUMENT ? BR_EXIT_USAGE : BR_EXIT_FAILED, &st);
        goto done;
    }

    log_start(settings, server);
    run_until_drained(server, ending);
    code = BR_EXIT_OK;

done:
    br_server_destroy(server);
    br_drift_log_destroy(drift);
    br_contract_destroy(contract);
    br_error_table_finish(&errors);
    if (code == BR_EXIT_OK)
        br_log(BR_LOG_INFO, "stopped", NULL, 0);
    return code;
}

int br_cmd_serve(int argc, char **argv)
{
    sigset_t ending = block_signals();
    struct br_serve_settings settings = {0};
    struct br_status st;
    int code = br_cmd_read(usage, &br_serve_settings_table, argc, argv, &settings, NULL);
    if (code < 0 && !br_serve_settings_check(&settings, &st))
        code = br_cmd_fail(BR_EXIT_USAGE, &st);
    if (code < 0) {
        br_log_set_level((enum br_log_level)settings.log_level);
        code = serve(&settings, &ending);
    }
    br_settings_finish(&br_serve_settings_table, &settings);
    return code;
}
