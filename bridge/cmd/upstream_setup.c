#include "cmd/upstream_setup.h"

#include "base/file.h"
#include "cmd/cmd.h"
#include "upstream/auth_aksk.h"
#include "upstream/auth_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The operator's rows of the error table; none where there is no file. */
static bool read_error_overrides(const char *path, struct br_error_table *out, struct br_status *st)
{
    if (path == NULL) {
        return true;
    }
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

static bool read_credentials(const struct br_serve_settings *settings, const struct br_credential_file *files,
                             size_t count, struct br_upstream_setup *setup, struct br_status *st)
{
    if (br_credentials_create(settings->credentials_dir, files, count, setup->call.clock, &setup->credentials,
                              st)) {
        return true;
    }
    br_status_prefix(st, settings->credentials_dir);
    br_status_prefix(st, "--credentials-dir");
    return false;
}

/* IAM has an HTTP client of its own: a fetch must not wait behind the calls that wait for it. */
static bool use_token(const struct br_serve_settings *settings, struct br_upstream_setup *setup,
                      struct br_status *st)
{
    struct br_http_curl_config http = setup->http;
    http.max_connections = 1;
    if (!read_credentials(settings, br_iam_token_files, BR_IAM_TOKEN_FILE_COUNT, setup, st) ||
        !br_http_curl_create(&http, &setup->iam_http, st)) {
        return false;
    }
    struct br_auth_token_config config = {
        .iam_url = settings->iam.base,
        .credentials = setup->credentials,
        .http = setup->iam_http,
        .clock = setup->call.clock,
        .timeout_ms = settings->iam_timeout_ms,
        .random32 = arc4random,
    };
    if (!br_auth_token_create(&config, &setup->token, st)) {
        return false;
    }
    setup->call.auth = setup->token;
    return true;
}

static bool use_aksk(const struct br_serve_settings *settings, struct br_upstream_setup *setup,
                     struct br_status *st)
{
    if (!read_credentials(settings, br_auth_aksk_files, BR_AUTH_AKSK_FILE_COUNT, setup, st)) {
        return false;
    }
    struct br_auth_aksk_config config = {
        .credentials = setup->credentials,
        .clock = setup->call.clock,
        .dialect = settings->aksk_dialect == BR_AKSK_CREDENTIAL ? BR_SIGN_CREDENTIAL : BR_SIGN_ACCESS,
        .region = settings->aksk_region,
        .service = settings->aksk_service,
        .project_id = settings->project_id,
    };
    if (!br_auth_aksk_create(&config, &setup->aksk, st)) {
        return false;
    }
    setup->call.auth = setup->aksk;
    return true;
}

static bool use_auth(const struct br_serve_settings *settings, struct br_upstream_setup *setup,
                     struct br_status *st)
{
    switch ((enum br_auth_choice)settings->auth) {
    case BR_AUTH_CHOICE_PASSTHROUGH:
        setup->call.auth = br_auth_passthrough();
        return true;
    case BR_AUTH_CHOICE_TOKEN:
        setup->holds_credential = true;
        return use_token(settings, setup, st);
    case BR_AUTH_CHOICE_AKSK:
        setup->holds_credential = true;
        return use_aksk(settings, setup, st);
    }
    abort();
}

bool br_upstream_setup_init(const struct br_serve_settings *settings, struct br_upstream_setup *out,
                            struct br_status *st)
{
    *out = (struct br_upstream_setup){.project = {.name = "project_id", .value = settings->project_id}};
    (void)snprintf(out->user_agent, sizeof out->user_agent, "modelarts-bridge/%s", br_version());
    br_retry_budget_init(&out->retries);
    out->http = (struct br_http_curl_config){
        .connect_timeout_ms = settings->connect_timeout_ms,
        .max_connections = (long)settings->max_upstream_connections,
        .ca_file = settings->ca_file,
        .http2 = settings->upstream_http2 == BR_HTTP2_AUTO,
        .user_agent = out->user_agent,
    };
    out->call = (struct br_call_config){
        .rest = {.base_url = settings->upstream.base,
                 .defaults = {.items = &out->project, .count = settings->project_id != NULL ? 1 : 0}},
        .forward = {.metadata = settings->forward_metadata, .headers = settings->return_header},
        .retries = &out->retries,
        .max_attempts = (int)settings->max_attempts,
        .clock = br_clock_system(),
        .errors = &out->errors,
        .strict_drift = settings->upstream_drift == BR_DRIFT_STRICT,
        .default_timeout_ms = settings->default_timeout_ms,
        .max_timeout_ms = settings->max_timeout_ms,
        .max_response_bytes = settings->max_response_bytes,
    };
    return read_error_overrides(settings->error_overrides, &out->errors, st) && use_auth(settings, out, st);
}

void br_upstream_setup_finish(struct br_upstream_setup *setup)
{
    br_http_curl_destroy(setup->iam_http); /* first: it ends a fetch that is under way */
    br_auth_token_destroy(setup->token);
    br_auth_aksk_destroy(setup->aksk);
    br_credentials_destroy(setup->credentials);
    br_error_table_finish(&setup->errors);
    *setup = (struct br_upstream_setup){0};
}
