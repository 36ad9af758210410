/*
 * What one call to ModelArts says about the settings of the bridge: step by step, which one works and which does not.
 *
 * Pure. Threads: any.
 * Source: wire_facts.md sections 2 and 3 (what each code means); bridge_conventions.md section 2 (transport failures).
 */
#ifndef BR_CMD_CHECK_VERDICT_H
#define BR_CMD_CHECK_VERDICT_H

#include "base/status.h"
#include "cmd/serve_settings.h"
#include "translate/vendor_code.h"

/* In the order in which a call passes them. */
enum br_check_step {
    BR_CHECK_CREDENTIAL, /* there is one to send */
    BR_CHECK_NAME,
    BR_CHECK_CONNECTION,
    BR_CHECK_TLS,
    BR_CHECK_ANSWER, /* what answers is ModelArts */
    BR_CHECK_ACCEPTED,
    BR_CHECK_PROJECT,
    BR_CHECK_PERMISSION,
    BR_CHECK_STEP_COUNT,
};

enum br_check_state {
    BR_CHECK_OK,
    BR_CHECK_FAILED, /* one step at the most */
    BR_CHECK_SKIPPED,
    BR_CHECK_NOT_REACHED,
};

/* What is to be known of the settings. */
struct br_check_setup {
    enum br_auth_choice auth;
    bool has_credential; /* false: passthrough without a token to try */
    bool has_project;    /* a project is configured; else the call named one that is none */
    bool is_https;
};

/* How the call ended. */
struct br_check_outcome {
    enum br_code code;
    bool was_tried; /* a request was sent, or was to be; else there was no credential for it */
    char reason[BR_REASON_CAP];
    char transport_error[64]; /* "COULDNT_CONNECT"; "": upstream answered */
    char message[BR_STATUS_MSG_CAP];
};

struct br_check_line {
    enum br_check_state state;
    /* FAILED: what to do. SKIPPED: why. Process lifetime; NULL: nothing is to be said. */
    const char *text;
};

/* The step's name for people; process lifetime. */
const char *br_check_step_name(enum br_check_step step);

/* |lines| written. Returns whether no step failed. */
bool br_check_judge(const struct br_check_setup *setup, const struct br_check_outcome *outcome,
                    struct br_check_line lines[BR_CHECK_STEP_COUNT]);

#endif
