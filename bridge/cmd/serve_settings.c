#include "cmd/serve_settings.h"

#include "base/log.h"
#include "base/address.h"
#include "serve/forward.h"
#include "translate/violation.h"
#include "upstream/http.h"

#include <inttypes.h>
#include <string.h>

/* In the order of enum br_log_level. */
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
_Static_assert(BR_LOG_ERROR == 0 && BR_LOG_DEBUG == 3, "the choices are the levels");

/* In the order of enum br_log_format. */
static const char *const log_formats[] = {"json", "text", NULL};
_Static_assert(BR_LOG_JSON == 0 && BR_LOG_TEXT == 1, "the choices are the formats");

/* In the order of enum br_http2_choice. */
static const char *const http2_choices[] = {"auto", "off", NULL};

/* In the order of enum br_auth_choice. */
static const char *const auth_choices[] = {"passthrough", "token", "aksk", NULL};

/* In the order of enum br_aksk_choice. */
static const char *const aksk_choices[] = {"access", "credential", NULL};

/* In the order of enum br_drift_mode. */
static const char *const drift_choices[] = {"ignore", "warn", "strict", NULL};

#define FIELD(field) .offset = offsetof(struct br_serve_settings, field)
#define SECONDS(count) ((int64_t)(count)*1000)
#define HOURS(count) SECONDS((count)*3600)
#define KIB(count) ((int64_t)(count) << 10)
#define MIB(count) ((int64_t)(count) << 20)

/* Metadata keys that an operator may add. */
#define MAX_FORWARDED 32

static const struct br_setting rows[] = {
    {.flag = "listen",
     .kind = BR_SETTING_TEXTS,
     FIELD(listen),
     .initial = "127.0.0.1:50051",
     .metavar = "ADDRESS",
     .help = "Where to take gRPC calls: HOST:PORT (port 0: any free one; an IPv6 address in brackets: "
             "[::1]:50051) or unix:PATH; may be repeated."},
    {.flag = "tls-cert",
     .kind = BR_SETTING_FILE,
     FIELD(tls_cert),
     .metavar = "FILE",
     .help = "PEM file with the bridge's certificate and its chain: callers over TCP use TLS. Read again "
             "when it changes; needs --tls-key."},
    {.flag = "tls-key",
     .kind = BR_SETTING_FILE,
     FIELD(tls_key),
     .metavar = "FILE",
     .help = "PEM file with the private key of --tls-cert, not encrypted. Read again when it changes."},
    {.flag = "client-ca",
     .kind = BR_SETTING_FILE,
     FIELD(client_ca),
     .metavar = "FILE",
     .help = "PEM file with certificate authorities: callers over TCP need a certificate of one of them. "
             "Read again when it changes; needs --tls-cert."},
    {.flag = "allow-caller",
     .kind = BR_SETTING_TEXTS,
     FIELD(allow_callers),
     .metavar = "NAME",
     .help = "A URI or DNS name that must stand, exactly so, in the certificate of a caller over TCP; may be "
             "repeated. Without it each caller with a certificate may call. Needs --client-ca."},
    {.flag = "allow-unauthenticated-callers",
     .kind = BR_SETTING_SWITCH,
     FIELD(allow_unauthenticated_callers),
     .help = "Let a bridge that holds a credential listen beyond this host without --client-ca."},
    {.flag = "unix-socket-mode",
     .kind = BR_SETTING_TEXT,
     FIELD(unix_socket_mode),
     .initial = "0660",
     .metavar = "MODE",
     .help = "Permissions of unix sockets, octal; a caller needs to write."},
    {.flag = "upstream-url",
     .kind = BR_SETTING_TEXT,
     FIELD(upstream_url),
     .metavar = "URL",
     .required = true,
     .help = "The ModelArts endpoint: http:// or https://, host, and if needed :PORT and a path that goes in "
             "front of every request's."},
    {.flag = "project-id",
     .kind = BR_SETTING_TEXT,
     FIELD(project_id),
     .metavar = "ID",
     .help = "The project of calls that name none; without it each call must name one."},
    {.flag = "default-timeout",
     .kind = BR_SETTING_DURATION,
     FIELD(default_timeout_ms),
     .initial = "30s",
     .metavar = "DURATION",
     .min = 1,
     .max = HOURS(1),
     .help = "How long a call without a deadline may take (ms, s, m, h); not more than --max-timeout."},
    {.flag = "max-timeout",
     .kind = BR_SETTING_DURATION,
     FIELD(max_timeout_ms),
     .initial = "10m",
     .metavar = "DURATION",
     .min = 1,
     .max = HOURS(24),
     .help = "How long any call may take, whatever its deadline (ms, s, m, h)."},
    {.flag = "connect-timeout",
     .kind = BR_SETTING_DURATION,
     FIELD(connect_timeout_ms),
     .initial = "5s",
     .metavar = "DURATION",
     .min = 1,
     .max = SECONDS(600),
     .help = "How long looking up the upstream host, connecting and the TLS handshake may take together (ms, "
             "s, m, h). A connection on which nothing is acknowledged for twice as long is given up."},
    {.flag = "max-attempts",
     .kind = BR_SETTING_COUNT,
     FIELD(max_attempts),
     .initial = "3",
     .metavar = "COUNT",
     .min = 1,
     .max = 10,
     .help =
         "Times that a request may be sent: again only where nothing was executed, or a repeat is harmless."},
    {.flag = "max-in-flight",
     .kind = BR_SETTING_COUNT,
     FIELD(max_in_flight),
     .initial = "1000",
     .metavar = "COUNT",
     .min = 1,
     .max = 100000,
     .help = "Calls at a time; further ones are refused with RESOURCE_EXHAUSTED."},
    {.flag = "max-request-bytes",
     .kind = BR_SETTING_SIZE,
     FIELD(max_request_bytes),
     .initial = "4MiB",
     .metavar = "SIZE",
     .min = KIB(1),
     .max = MIB(64),
     .help = "Ceiling on the message of one call (B, KiB, MiB, GiB)."},
    {.flag = "max-response-bytes",
     .kind = BR_SETTING_SIZE,
     FIELD(max_response_bytes),
     .initial = "16MiB",
     .metavar = "SIZE",
     .min = KIB(1),
     .max = MIB(256),
     .help = "Ceiling on the body of one upstream answer (B, KiB, MiB, GiB)."},
    {.flag = "shards",
     .kind = BR_SETTING_COUNT,
     FIELD(shards),
     .initial = "1",
     .metavar = "COUNT",
     .min = 1,
     .max = 64,
     .help = "Pairs of threads that carry the calls, each with its own upstream connections."},
    {.flag = "max-upstream-connections",
     .kind = BR_SETTING_COUNT,
     FIELD(max_upstream_connections),
     .initial = "128",
     .metavar = "COUNT",
     .min = 1,
     .max = 4096,
     .help = "Upstream connections of one shard; further requests wait for one."},
    {.flag = "upstream-http2",
     .kind = BR_SETTING_CHOICE,
     FIELD(upstream_http2),
     .initial = "auto",
     .metavar = "auto|off",
     .choices = http2_choices,
     .help = "Whether HTTP/2 is offered to an https upstream (auto) or only HTTP/1.1 is spoken (off)."},
    {.flag = "ca-file",
     .kind = BR_SETTING_FILE,
     FIELD(ca_file),
     .metavar = "FILE",
     .help = "PEM file with the certificate authorities that may vouch for the upstream, instead of the "
             "system's."},
    {.flag = "auth",
     .kind = BR_SETTING_CHOICE,
     FIELD(auth),
     .initial = "passthrough",
     .metavar = "HOW",
     .choices = auth_choices,
     .help = "Whose credential ModelArts sees: passthrough (each caller's own x-auth-token), token (the "
             "bridge's, from IAM), "
             "aksk (requests signed with the bridge's access key)."},
    {.flag = "credentials-dir",
     .kind = BR_SETTING_TEXT,
     FIELD(credentials_dir),
     .metavar = "FOLDER",
     .help = "The files with the bridge's credential, read again when they change. For token: username, "
             "password, domain, "
             "project. For aksk: access-key, secret-key, and security-token if there is one."},
    {.flag = "iam-url",
     .kind = BR_SETTING_TEXT,
     FIELD(iam_url),
     .metavar = "URL",
     .help = "The IAM endpoint for token, such as https://iam.eu-de.otc.t-systems.com."},
    {.flag = "iam-timeout",
     .kind = BR_SETTING_DURATION,
     FIELD(iam_timeout_ms),
     .initial = "10s",
     .metavar = "DURATION",
     .min = 1,
     .max = SECONDS(300),
     .help = "How long one fetch of a token may take (ms, s, m)."},
    {.flag = "aksk-dialect",
     .kind = BR_SETTING_CHOICE,
     FIELD(aksk_dialect),
     .initial = "access",
     .metavar = "DIALECT",
     .choices = aksk_choices,
     .help = "How aksk signs: access (what the gateway documents), credential (with region and service)."},
    {.flag = "aksk-region",
     .kind = BR_SETTING_TEXT,
     FIELD(aksk_region),
     .metavar = "REGION",
     .help = "The region that the credential dialect signs for; empty by default."},
    {.flag = "aksk-service",
     .kind = BR_SETTING_TEXT,
     FIELD(aksk_service),
     .metavar = "SERVICE",
     .help = "The service that the credential dialect signs for; empty by default."},
    {.flag = "forward-metadata",
     .kind = BR_SETTING_TEXTS,
     FIELD(forward_metadata),
     .problem = br_forward_name_problem,
     .metavar = "KEY",
     .help = "A caller's metadata key that goes upstream as a header, beside traceparent, tracestate and "
             "x-request-id; "
             "may be repeated. Credentials are refused."},
    {.flag = "return-header",
     .kind = BR_SETTING_TEXTS,
     FIELD(return_header),
     .problem = br_forward_name_problem,
     .metavar = "NAME",
     .help = "A header of ModelArts' answer that comes back as trailing metadata, beside x-request-id; may "
             "be repeated."},
    {.flag = "upstream-drift",
     .kind = BR_SETTING_CHOICE,
     FIELD(upstream_drift),
     .initial = "warn",
     .metavar = "MODE",
     .choices = drift_choices,
     .help = "What to do with keys, literals and error codes of ModelArts that the bridge does not know: "
             "ignore, warn (log "
             "each once), strict (and fail the call)."},
    {.flag = "error-overrides",
     .kind = BR_SETTING_FILE,
     FIELD(error_overrides),
     .metavar = "FILE",
     .help = "Rows that replace or add to the table of ModelArts' error codes: tab-separated, as in "
             "bridge/translate/error_codes.tsv."},
    {.flag = "drain-min-delay",
     .kind = BR_SETTING_DURATION,
     FIELD(drain_min_delay_ms),
     .initial = "0s",
     .metavar = "DURATION",
     .min = 0,
     .max = HOURS(1),
     .help =
         "After SIGTERM: how long new calls are still taken, while health says NOT_SERVING (ms, s, m, h)."},
    {.flag = "drain-max-delay",
     .kind = BR_SETTING_DURATION,
     FIELD(drain_max_delay_ms),
     .initial = "25s",
     .metavar = "DURATION",
     .min = 0,
     .max = HOURS(24),
     .help = "How long after SIGTERM the calls in flight may go on; those left then are cancelled (ms, s, m, "
             "h)."},
    {.flag = "keepalive-time",
     .kind = BR_SETTING_DURATION,
     FIELD(keepalive_time_ms),
     .initial = "2m",
     .metavar = "DURATION",
     .min = 0,
     .max = HOURS(24),
     .help = "After how long without traffic a caller's connection is pinged (ms, s, m, h); 0s: never."},
    {.flag = "keepalive-timeout",
     .kind = BR_SETTING_DURATION,
     FIELD(keepalive_timeout_ms),
     .initial = "20s",
     .metavar = "DURATION",
     .min = 1,
     .max = HOURS(1),
     .help = "A connection whose ping is not answered for as long is closed (ms, s, m, h)."},
    {.flag = "max-connection-age",
     .kind = BR_SETTING_DURATION,
     FIELD(max_connection_age_ms),
     .initial = "0s",
     .metavar = "DURATION",
     .min = 0,
     .max = HOURS(24),
     .help = "After how long callers are told to connect anew, so that new replicas get their share; give or "
             "take a tenth (ms, s, m, h); 0s: never."},
    {.flag = "max-connection-age-grace",
     .kind = BR_SETTING_DURATION,
     FIELD(max_connection_age_grace_ms),
     .initial = "10m",
     .metavar = "DURATION",
     .min = 1,
     .max = HOURS(24),
     .help = "How long calls in flight may go on after that (ms, s, m, h)."},
    {.flag = "admin-listen",
     .kind = BR_SETTING_TEXT,
     FIELD(admin_listen),
     .initial = "127.0.0.1:9090",
     .metavar = "ADDRESS",
     .help = "Where probes and metrics are answered over plain HTTP: HOST:PORT (port 0: any free "
             "one; an IPv6 address in brackets), or off."},
    {.flag = "admin-drain",
     .kind = BR_SETTING_SWITCH,
     FIELD(admin_drain),
     .help = "Let POST /drain on the admin port do what SIGTERM does."},
    {.flag = "log-format",
     .kind = BR_SETTING_CHOICE,
     FIELD(log_format),
     .initial = "json",
     .metavar = "json|text",
     .choices = log_formats,
     .help = "How log lines are written to standard error: one JSON object each, or for people."},
    {.flag = "log-level",
     .kind = BR_SETTING_CHOICE,
     FIELD(log_level),
     .initial = "info",
     .metavar = "error|warn|info|debug",
     .choices = log_levels,
     .help = "The least important log lines that are written; SIGUSR1 switches to debug and back."},
};

const struct br_settings br_serve_settings_table = {
    .env_prefix = "MODELARTS_BRIDGE_", .rows = rows, .row_count = sizeof rows / sizeof rows[0]};

/*
 * The value becomes a segment of every path, and the same one for every call: what a path value may not be is
 * refused now rather than at each call.
 */
static bool check_project_id(const char *id, struct br_status *st)
{
    size_t len = strlen(id);
    if (len > BR_PROJECT_ID_MAX_BYTES) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--project-id: %zu bytes; at most %d are accepted", len,
                             BR_PROJECT_ID_MAX_BYTES);
    }
    for (const char *c = id; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '/') {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                                 "--project-id: character %zu is a slash, a space or not printable ASCII",
                                 (size_t)(c - id) + 1);
        }
    }
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--project-id: \"%s\" is not an ID", id);
    }
    return true;
}

static bool check_listen(const struct br_texts *listen, struct br_status *st)
{
    for (size_t i = 0; i < listen->count; i++) {
        char quoted[BR_QUOTE_CAP];
        if (!br_address_is_valid(listen->items[i], 0)) {
            return br_status_set(
                st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                "--listen: %s is neither HOST:PORT, with a port from 0 to 65535, nor unix:PATH",
                br_violation_quote(listen->items[i], quoted));
        }
    }
    return true;
}

static bool check_count(const char *flag, const struct br_texts *texts, size_t max_count,
                        struct br_status *st)
{
    return texts->count <= max_count ||
           br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                         "--%s: given %zu times; at most %zu are accepted", flag, texts->count, max_count);
}

static bool check_callers(const struct br_serve_settings *settings, struct br_status *st)
{
    const char *problem = NULL;
    if ((settings->tls_cert == NULL) != (settings->tls_key == NULL)) {
        problem = "--tls-cert and --tls-key belong together: give both or none";
    } else if (settings->client_ca != NULL && settings->tls_cert == NULL) {
        problem = "--client-ca: certificates of callers need TLS: give --tls-cert and --tls-key too";
    } else if (settings->allow_callers.count > 0 && settings->client_ca == NULL) {
        problem = "--allow-caller: only certificates of callers have names: give --client-ca too";
    }
    return problem == NULL || br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%s", problem);
}

/* Three octal digits, and a zero before them if that is how the operator knows them. */
static bool read_mode(const char *text, mode_t *out, struct br_status *st)
{
    const char *digits = text[0] == '0' && strlen(text) == 4 ? text + 1 : text;
    if (strlen(digits) != 3 || strspn(digits, "01234567") != 3) {
        char quoted[BR_QUOTE_CAP];
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--unix-socket-mode: %s is not three octal digits, such as 0660 or 600",
                             br_violation_quote(text, quoted));
    }
    *out = 0;
    for (const char *digit = digits; *digit != '\0'; digit++) {
        *out = *out << 3 | (mode_t)(*digit - '0');
    }
    return true;
}

static bool read_url(const char *flag, const char *text, struct br_upstream_url *out, struct br_status *st)
{
    if (br_upstream_url_read(text, out, st)) {
        return true;
    }
    br_status_prefix(st, flag);
    return false;
}

/* A setting without a use is a mistake that would show only later: somebody thinks that it works. */
static bool check_auth(struct br_serve_settings *settings, struct br_status *st)
{
    bool passthrough = settings->auth == BR_AUTH_CHOICE_PASSTHROUGH;
    bool token = settings->auth == BR_AUTH_CHOICE_TOKEN;
    bool credential = settings->auth == BR_AUTH_CHOICE_AKSK && settings->aksk_dialect == BR_AKSK_CREDENTIAL;
    const char *how = auth_choices[settings->auth];
    const struct {
        const char *flag;
        bool given, wanted, needed;
    } rules[] = {
        {"--credentials-dir", settings->credentials_dir != NULL, !passthrough, !passthrough},
        {"--iam-url", settings->iam_url != NULL, token, token},
        {"--aksk-region", settings->aksk_region != NULL, credential, false},
        {"--aksk-service", settings->aksk_service != NULL, credential, false},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].needed && !rules[i].given) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--auth=%s needs %s", how,
                                 rules[i].flag);
        }
        if (rules[i].given && !rules[i].wanted) {
            return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "%s has no use with --auth=%s%s",
                                 rules[i].flag, how,
                                 settings->auth == BR_AUTH_CHOICE_AKSK ? " --aksk-dialect=access" : "");
        }
    }
    return !token || read_url("--iam-url", settings->iam_url, &settings->iam, st);
}

bool br_serve_settings_check(struct br_serve_settings *settings, struct br_status *st)
{
    if (!check_listen(&settings->listen, st) || !check_callers(settings, st) ||
        !read_mode(settings->unix_socket_mode, &settings->unix_socket_permissions, st)) {
        return false;
    }
    if (settings->default_timeout_ms > settings->max_timeout_ms) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--default-timeout (%" PRId64 "ms) is more than --max-timeout (%" PRId64 "ms)",
                             settings->default_timeout_ms, settings->max_timeout_ms);
    }
    if (settings->drain_min_delay_ms > settings->drain_max_delay_ms) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--drain-min-delay (%" PRId64 "ms) is more than --drain-max-delay (%" PRId64
                             "ms)",
                             settings->drain_min_delay_ms, settings->drain_max_delay_ms);
    }
    if (strcmp(settings->admin_listen, "off") == 0) {
        settings->admin_listen = NULL;
    }
    if (settings->project_id != NULL && !check_project_id(settings->project_id, st)) {
        return false;
    }
    if (!check_count("forward-metadata", &settings->forward_metadata, MAX_FORWARDED, st) ||
        !check_count("return-header", &settings->return_header, BR_HTTP_OWN_HEADERS_MAX, st)) {
        return false;
    }
    return read_url("--upstream-url", settings->upstream_url, &settings->upstream, st) &&
           check_auth(settings, st);
}
