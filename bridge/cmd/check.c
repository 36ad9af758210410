#include "base/file.h"
#include "base/log.h"
#include "cmd/check_call.h"
#include "cmd/cmd.h"
#include "cmd/serve_settings.h"
#include "cmd/terminal.h"
#include "cmd/upstream_setup.h"
#include "serve/pem.h"
#include "serve/server_listen.h"
#include "translate/named_rules.h"
#include "upstream/auth_token.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "Usage: modelarts-bridge check --upstream-url URL [SETTINGS]\n\n"
                            "Tells which of configuration, name, connection, TLS, credential, project and "
                            "permission is wrong, with one\n"
                            "read-only call to ModelArts, for a service that nobody has. The settings are "
                            "those of \"serve\", from the same\n"
                            "flags and environment, and --token-file. No address is listened on.\n\n"
                            "Exit codes: 0 all is fine, 2 a wrong setting (one line tells), 1 something else "
                            "is wrong (a line FAILED tells).\n";

struct check_settings {
    struct br_serve_settings serve; /* first: the rows of serve count from it */
    const char *token_file;         /* NULL: none */
};

static const struct br_setting token_row = {
    .flag = "token-file",
    .kind = BR_SETTING_FILE,
    .offset = offsetof(struct check_settings, token_file),
    .metavar = "FILE",
    .help = "A file with an IAM token to try, with --auth=passthrough; without it no credential is tried."};

/* Bytes of a line's text: a message, every byte of it escaped, and what is to be done. */
#define LINE_MAX_BYTES ((size_t)8 * BR_STATUS_MSG_CAP)

/* ---- The settings ---- */

/* The rows of serve, and ours. |*rows| returned; release with free(). */
static bool build_table(struct br_settings *table, struct br_setting **rows, struct br_status *st)
{
    *table = br_serve_settings_table;
    *rows = malloc((table->row_count + 1) * sizeof **rows);
    if (*rows == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory for the settings");
    }
    memcpy(*rows, table->rows, table->row_count * sizeof **rows);
    (*rows)[table->row_count++] = token_row;
    table->rows = *rows;
    return true;
}

/* What serve finds out only when it listens. */
static bool check_listeners(const struct br_serve_settings *settings, struct br_status *st)
{
    const struct br_listen_config config = {.addresses = settings->listen,
                                            .cert_file = settings->tls_cert,
                                            .key_file = settings->tls_key,
                                            .client_ca_file = settings->client_ca,
                                            .allowed_callers = settings->allow_callers,
                                            .holds_credential = settings->auth != BR_AUTH_CHOICE_PASSTHROUGH,
                                            .allow_unauthenticated_callers =
                                                settings->allow_unauthenticated_callers};
    const struct {
        const char *flag, *path;
        enum br_pem_kind kind;
    } files[] = {
        {"--tls-cert", settings->tls_cert, BR_PEM_CERTIFICATES},
        {"--tls-key", settings->tls_key, BR_PEM_PRIVATE_KEY},
        {"--client-ca", settings->client_ca, BR_PEM_CERTIFICATES},
    };
    if (!br_listen_check(&config, st)) {
        return false;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *text;
        if (files[i].path == NULL) {
            continue;
        }
        if (!br_pem_read(files[i].flag, files[i].path, files[i].kind, &text, st)) {
            return false;
        }
        br_pem_free(text);
    }
    return true;
}

/* What is wrong with the |buf->len| bytes of --token-file; a newline at its end is taken off. NULL: nothing. */
static const char *token_problem(struct br_buf *buf)
{
    while (buf->len > 0 && (buf->data[buf->len - 1] == '\n' || buf->data[buf->len - 1] == '\r')) {
        buf->data[--buf->len] = '\0';
    }
    for (size_t i = 0; i < buf->len; i++) {
        if (buf->data[i] <= ' ' || buf->data[i] > '~') {
            return "is no token: it has a space, or what is not printable ASCII";
        }
    }
    return buf->len > 0 ? NULL : "is empty";
}

static bool read_token(const struct check_settings *settings, struct br_buf *out, struct br_status *st)
{
    const char *path = settings->token_file;
    if (path == NULL) {
        return true;
    }
    if (settings->serve.auth != BR_AUTH_CHOICE_PASSTHROUGH) {
        return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING",
                             "--token-file has a use with --auth=passthrough only");
    }
    int error = br_file_read(path, out);
    const char *problem = error == 0 ? token_problem(out) : strerror(error);
    if (problem == NULL) {
        return true;
    }
    return br_status_set(st, BR_INVALID_ARGUMENT, "BAD_SETTING", "--token-file: %s: %s", path, problem);
}

static void wipe(struct br_buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->cap);
    }
    br_buf_finish(buf);
}

/* ---- The report ---- */

static void print_line(const char *name, const char *state, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        (void)printf("%-20s %-12s %s\n", name, state, text);
    } else {
        (void)printf("%-20s %s\n", name, state);
    }
}

/* What there is to say of a step that is fine. */
static void describe_ok(enum br_check_step step, const struct check_settings *settings,
                        const struct br_upstream_setup *setup, const struct br_method *method, char *out,
                        size_t cap)
{
    const struct br_serve_settings *serve = &settings->serve;
    struct br_auth_token_state token = {0};
    out[0] = '\0';
    switch (step) {
    case BR_CHECK_CREDENTIAL:
        if (setup->token != NULL) {
            br_auth_token_state(setup->token, &token);
            int64_t minutes = token.expires_in_s / 60;
            (void)snprintf(out, cap, "IAM gave a token for %" PRId64 " h %" PRId64 " min", minutes / 60,
                           minutes % 60);
        } else {
            (void)snprintf(out, cap, "%s",
                           serve->auth == BR_AUTH_CHOICE_AKSK ? "access key files read" : "token file read");
        }
        break;
    case BR_CHECK_NAME:
        (void)snprintf(out, cap, "%s", strstr(serve->upstream.origin, "://") + strlen("://"));
        break;
    case BR_CHECK_PROJECT:
        (void)snprintf(out, cap, "%s", serve->project_id);
        break;
    case BR_CHECK_PERMISSION:
        (void)snprintf(out, cap, "%s is allowed", strrchr(method->path, '/') + 1);
        break;
    default:
        break;
    }
}

/* "the message (UNAUTHENTICATED, APIG_0301): what to do", on one line whatever upstream wrote. */
static void print_failed(const char *name, const struct br_check_outcome *outcome, const char *advice)
{
    struct br_buf line;
    br_buf_init(&line, LINE_MAX_BYTES);
    if (br_terminal_text(&line, outcome->message, strlen(outcome->message)) != BR_BUF_OK ||
        br_buf_printf(&line, " (%s, %s): %s", br_code_name(outcome->code), outcome->reason, advice) !=
            BR_BUF_OK) {
        print_line(name, "FAILED", advice);
    } else {
        print_line(name, "FAILED", line.data);
    }
    br_buf_finish(&line);
}

static void print_report(const struct br_check_line lines[BR_CHECK_STEP_COUNT],
                         const struct br_check_outcome *outcome, const struct check_settings *settings,
                         const struct br_upstream_setup *setup, const struct br_method *method)
{
    for (enum br_check_step step = 0; step < BR_CHECK_STEP_COUNT; step++) {
        const char *name = br_check_step_name(step);
        char text[BR_STATUS_MSG_CAP];
        switch (lines[step].state) {
        case BR_CHECK_OK:
            describe_ok(step, settings, setup, method, text, sizeof text);
            print_line(name, "ok", text);
            break;
        case BR_CHECK_FAILED:
            print_failed(name, outcome, lines[step].text);
            break;
        case BR_CHECK_SKIPPED:
            print_line(name, "skipped", lines[step].text);
            break;
        case BR_CHECK_NOT_REACHED:
            print_line(name, "not reached", NULL);
            break;
        }
    }
}

/* ---- The command ---- */

static int fail(const struct br_status *st)
{
    return br_cmd_fail(st->code == BR_INVALID_ARGUMENT ? BR_EXIT_USAGE : BR_EXIT_FAILED, st);
}

/* Methods that go to ModelArts; the bridge answers the others itself. */
static size_t rest_count(const struct br_method *methods, size_t count)
{
    size_t rest = 0;
    for (size_t i = 0; i < count; i++) {
        rest += methods[i].verb != NULL;
    }
    return rest;
}

/* The settings are good: make the call, and tell. */
static int check(const struct check_settings *settings, const char *token)
{
    const struct br_serve_settings *serve = &settings->serve;
    struct br_status st;
    struct br_contract *contract = NULL;
    struct br_upstream_setup setup = {0};
    struct br_check_outcome outcome;
    struct br_check_line lines[BR_CHECK_STEP_COUNT];
    int code = BR_EXIT_FAILED;

    if (!br_contract_create(&br_schema_linked, br_named_functions, br_named_functions_count, &contract,
                            &st) ||
        !br_http_curl_global_init(&st) || !br_upstream_setup_init(serve, &setup, &st)) {
        code = fail(&st);
        goto done;
    }
    size_t count;
    const struct br_method *methods = br_contract_methods(contract, &count);
    const struct br_method *method = br_check_method(methods, count);
    if (method == NULL) {
        (void)br_status_set(&st, BR_INTERNAL, "CONTRACT_INVALID",
                            "no method of the contract can be tried safely");
        code = fail(&st);
        goto done;
    }

    const struct br_check_setup facts = {
        .auth = (enum br_auth_choice)serve->auth,
        .has_credential = setup.holds_credential || token != NULL,
        .has_project = serve->project_id != NULL,
        .is_https = strncmp(serve->upstream.base, "https:", 6) == 0,
    };
    setup.http.max_connections = 1;
    setup.call.max_attempts = 1;
    setup.call.strict_drift = false;
    if (!facts.has_credential) {
        setup.call.auth = NULL;
    }
    if (!br_http_curl_create(&setup.http, &setup.call.http, &st) ||
        !br_check_call(&setup.call, method, token, &outcome, &st)) {
        code = fail(&st);
        goto done;
    }

    bool ok = br_check_judge(&facts, &outcome, lines);
    char text[64];
    (void)snprintf(text, sizeof text, "the settings fit; the contract has %zu methods",
                   rest_count(methods, count));
    print_line("configuration", "ok", text);
    print_report(lines, &outcome, settings, &setup, method);
    code = ok ? BR_EXIT_OK : BR_EXIT_FAILED;

done:
    br_http_curl_destroy(setup.call.http);
    br_upstream_setup_finish(&setup);
    br_contract_destroy(contract);
    return code;
}

int br_cmd_check(int argc, char **argv)
{
    struct check_settings settings = {0};
    struct br_settings table;
    struct br_setting *rows;
    struct br_status st;
    if (!build_table(&table, &rows, &st)) {
        return fail(&st);
    }
    /* A peer that closes its end is an error code of the write, not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* The report says what the log lines of serve would. */
    br_log_set_level(BR_LOG_ERROR);

    struct br_buf token;
    br_buf_init(&token, BR_IAM_TOKEN_MAX_BYTES + 2); /* and a newline */
    int code = br_cmd_read(usage, &table, argc, argv, &settings, NULL);
    if (code < 0) {
        bool ok = br_serve_settings_check(&settings.serve, &st) && check_listeners(&settings.serve, &st) &&
                  read_token(&settings, &token, &st);
        code = ok ? check(&settings, token.data) : fail(&st);
    }
    wipe(&token);
    br_settings_finish(&table, &settings);
    free(rows);
    return code;
}
