/*
 * What a call needs of upstream, made from the settings: URL, credential, HTTP options, error rows. For
 * serve and check.
 *
 * Threads: start-up and end.
 * Owns:    the credential and what it needs; the operator's error rows.
 */
#ifndef BR_CMD_UPSTREAM_SETUP_H
#define BR_CMD_UPSTREAM_SETUP_H

#include "cmd/serve_settings.h"
#include "serve/call.h"
#include "upstream/credentials.h"
#include "upstream/http_curl.h"

struct br_upstream_setup {
    struct br_http_curl_config http; /* of clients for calls */
    struct br_call_config call;      /* all but |http| and |drift| */
    struct br_auth *token;           /* --auth=token: the same as call.auth, for its state; NULL otherwise */
    bool holds_credential;

    /* The setup's own. */
    char user_agent[64];
    struct br_header project;
    struct br_retry_budget retries;
    struct br_error_table errors;
    struct br_credentials *credentials;
    struct br_http *iam_http;
    struct br_auth *aksk;
};

/*
 * |settings| checked; kept until br_upstream_setup_finish().
 * |out|      written also on failure; release with br_upstream_setup_finish() in any case. Must not move after.
 * Errors:    INVALID_ARGUMENT/BAD_SETTING, naming the setting and file; RESOURCE_EXHAUSTED/OUT_OF_MEMORY;
 *            INTERNAL/CURL_INIT
 */
bool br_upstream_setup_init(const struct br_serve_settings *settings, struct br_upstream_setup *out,
                            struct br_status *st) BR_MUST_CHECK;

/* All calls have ended. Accepts a zeroed one. */
void br_upstream_setup_finish(struct br_upstream_setup *setup);

#endif
