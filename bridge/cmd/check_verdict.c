#include "cmd/check_verdict.h"

#include <stdlib.h>
#include <string.h>

static const char *const step_names[] = {
    [BR_CHECK_CREDENTIAL] = "credential", [BR_CHECK_NAME] = "name",
    [BR_CHECK_CONNECTION] = "connection", [BR_CHECK_TLS] = "TLS",
    [BR_CHECK_ANSWER] = "ModelArts",      [BR_CHECK_ACCEPTED] = "credential accepted",
    [BR_CHECK_PROJECT] = "project",       [BR_CHECK_PERMISSION] = "permission",
};
_Static_assert(sizeof step_names / sizeof step_names[0] == BR_CHECK_STEP_COUNT, "each step has a name");

const char *br_check_step_name(enum br_check_step step)
{
    return step_names[step];
}

#define OTHER_SERVER \
    "something else than ModelArts answers: correct --upstream-url, or look at the proxies on the way"
#define OTHER_PROJECT "give the ID of the credential's own project as --project-id"
#define NO_PROJECT "the credential is of no project: give it the project of --project-id"
#define LATER "ModelArts, or a proxy on the way, is out of order: try again later"

/* Which step an outcome is about, and what to do. */
struct rule {
    const char *reason;          /* NULL: any */
    const char *transport_error; /* NULL: any */
    const char *text;            /* of the message, for one code with several meanings; NULL: any */
    enum br_code code;           /* BR_OK: any */
    enum br_check_step step;
    bool timed_out;     /* it is not known which of the steps from the name on took the time */
    const char *advice; /* NULL: see advise() */
};

/* The first that fits counts. */
static const struct rule rules[] = {
    /* Before anything is sent to ModelArts. */
    {"TOKEN_REFUSED", NULL, NULL, BR_OK, BR_CHECK_CREDENTIAL, false,
     "correct username, password, domain and project in --credentials-dir"},
    {"TOKEN_UNAVAILABLE", NULL, NULL, BR_OK, BR_CHECK_CREDENTIAL, false,
     "check --iam-url and --ca-file, and that IAM can be reached from here"},
    {"UPSTREAM_UNREACHABLE", "COULDNT_RESOLVE_HOST", NULL, BR_OK, BR_CHECK_NAME, false,
     "correct the host in --upstream-url, or this host's DNS"},
    {"UPSTREAM_UNREACHABLE", "COULDNT_RESOLVE_PROXY", NULL, BR_OK, BR_CHECK_NAME, false,
     "correct the proxy in the environment (https_proxy), or this host's DNS"},
    {"UPSTREAM_UNREACHABLE", "SSL_CONNECT_ERROR", NULL, BR_OK, BR_CHECK_TLS, false,
     "check that --upstream-url names the port where TLS is spoken, 1.2 or newer"},
    {"UPSTREAM_UNREACHABLE", NULL, NULL, BR_OK, BR_CHECK_CONNECTION, false,
     "check host and port in --upstream-url, and that no firewall stands between"},
    {"UPSTREAM_CONNECT_TIMEOUT", NULL, NULL, BR_OK, BR_CHECK_CONNECTION, true,
     "name, connection and TLS took longer than --connect-timeout: check that no firewall stands between"},
    {"UPSTREAM_CERTIFICATE", "SSL_CACERT_BADFILE", NULL, BR_OK, BR_CHECK_TLS, false,
     "give --ca-file a PEM file with certificates"},
    {"UPSTREAM_CERTIFICATE", NULL, NULL, BR_OK, BR_CHECK_TLS, false,
     "give the authority that signed it with --ca-file, and the name that stands in it with --upstream-url"},
    {"UPSTREAM_CONNECTION_BROKEN", NULL, NULL, BR_OK, BR_CHECK_ANSWER, false,
     "check that --upstream-url begins with https:// where TLS is spoken, and the proxies on the way"},
    {"DEADLINE_EXCEEDED", NULL, NULL, BR_DEADLINE_EXCEEDED, BR_CHECK_ANSWER, true,
     "check the way to ModelArts, or give more time with --default-timeout"},

    /* The wrong server, or the wrong URL at the right one. */
    {"APIG_0101", NULL, NULL, BR_OK, BR_CHECK_ANSWER, false,
     "the URL is not ModelArts' for this region: correct --upstream-url"},
    {NULL, NULL, NULL, BR_UNIMPLEMENTED, BR_CHECK_ANSWER, false,
     "the URL is not ModelArts' for this region: correct --upstream-url"},
    {"UPSTREAM_HTTP_ERROR", NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_ANSWER, false, OTHER_SERVER},
    {"UPSTREAM_REDIRECT", NULL, NULL, BR_OK, BR_CHECK_ANSWER, false, OTHER_SERVER},
    {"UPSTREAM_MALFORMED_RESPONSE", NULL, NULL, BR_OK, BR_CHECK_ANSWER, false, OTHER_SERVER},

    /* The project; some codes mean it under one status only. */
    {"MODELARTS_0210", NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_PROJECT, false, OTHER_PROJECT},
    {"MODELARTS_0210", NULL, NULL, BR_INVALID_ARGUMENT, BR_CHECK_PROJECT, false, OTHER_PROJECT},
    {"MODELARTS_2786", NULL, NULL, BR_NOT_FOUND, BR_CHECK_PROJECT, false, OTHER_PROJECT},
    {"MODELARTS_6650", NULL, NULL, BR_NOT_FOUND, BR_CHECK_PROJECT, false, OTHER_PROJECT},
    {"MODELARTS_0204", NULL, NULL, BR_INVALID_ARGUMENT, BR_CHECK_PROJECT, false, NO_PROJECT},
    {"MODELARTS_0207", NULL, NULL, BR_OK, BR_CHECK_PROJECT, false, NO_PROJECT},
    {"MODELARTS_0212", NULL, NULL, BR_OK, BR_CHECK_PROJECT, false, NO_PROJECT},
    {"MODELARTS_4119", NULL, NULL, BR_OK, BR_CHECK_PROJECT, false, NO_PROJECT},
    {"APIG_0310", NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_PROJECT, false,
     "the project is out of use in this region: choose another with --project-id"},

    /* The credential; one code of the gateway for all that can be wrong with it. */
    {"APIG_0301", NULL, "signature expired", BR_UNAUTHENTICATED, BR_CHECK_ACCEPTED, false,
     "the clock of this host differs from ModelArts' by more than 15 minutes: correct it"},
    {"APIG_0301", NULL, "reach the limit", BR_UNAUTHENTICATED, BR_CHECK_ACCEPTED, false,
     "the access key is locked after too many failures: wait 5 minutes, and do not use a wrong one again"},
    {NULL, NULL, NULL, BR_UNAUTHENTICATED, BR_CHECK_ACCEPTED, false, NULL},
    {"MODELARTS_0203", NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_ACCEPTED, false, NULL},
    {"MODELARTS_0206", NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_ACCEPTED, false, NULL},

    {NULL, NULL, NULL, BR_PERMISSION_DENIED, BR_CHECK_PERMISSION, false,
     "have the user permitted to use ModelArts services, in IAM or in the workspace"},

    {NULL, NULL, NULL, BR_RESOURCE_EXHAUSTED, BR_CHECK_ANSWER, false, LATER},
    {NULL, NULL, NULL, BR_UNAVAILABLE, BR_CHECK_ANSWER, false, LATER},
    {NULL, NULL, NULL, BR_OK, BR_CHECK_ANSWER, false, NULL},
};

static bool fits(const struct rule *rule, const struct br_check_outcome *outcome)
{
    return (rule->code == BR_OK || rule->code == outcome->code) &&
           (rule->reason == NULL || strcmp(rule->reason, outcome->reason) == 0) &&
           (rule->transport_error == NULL || strcmp(rule->transport_error, outcome->transport_error) == 0) &&
           (rule->text == NULL || strstr(outcome->message, rule->text) != NULL);
}

static const struct rule *find_rule(const struct br_check_outcome *outcome)
{
    const struct rule *rule = rules;
    while (!fits(rule, outcome)) { /* the last one fits all */
        rule++;
    }
    return rule;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_of_modelarts(const struct br_check_outcome *outcome)
{
    return begins(outcome->reason, "MODELARTS_") || begins(outcome->reason, "APIG_");
}

/* The call asks for a service that nobody has: what says so has understood it, and let it through. */
static bool went_through(const struct br_check_outcome *outcome)
{
    return outcome->code == BR_OK ||
           (outcome->code == BR_NOT_FOUND && begins(outcome->reason, "MODELARTS_") &&
            find_rule(outcome)->step != BR_CHECK_PROJECT);
}

/* A call without a credential has to be refused; by whom is what counts. */
static bool was_refused_by_modelarts(const struct br_check_outcome *outcome)
{
    return find_rule(outcome)->step > BR_CHECK_ANSWER && is_of_modelarts(outcome);
}

static const char *credential_advice(enum br_auth_choice auth)
{
    switch (auth) {
    case BR_AUTH_CHOICE_PASSTHROUGH:
        return "get a new token, from the IAM of this region, into --token-file";
    case BR_AUTH_CHOICE_TOKEN:
        return "check that --iam-url is the IAM of the region of --upstream-url";
    case BR_AUTH_CHOICE_AKSK:
        return "check access-key, secret-key and security-token in --credentials-dir, and --aksk-dialect";
    }
    abort();
}

static const char *advise(const struct rule *rule, const struct br_check_outcome *outcome,
                          enum br_auth_choice auth)
{
    if (rule->advice != NULL) {
        return rule->advice;
    }
    if (rule->step == BR_CHECK_ACCEPTED) {
        return credential_advice(auth);
    }
    return is_of_modelarts(outcome) ? LATER : OTHER_SERVER;
}

static void set(struct br_check_line lines[BR_CHECK_STEP_COUNT], enum br_check_step from,
                enum br_check_step to, enum br_check_state state, const char *text)
{
    for (enum br_check_step step = from; step < to; step++) {
        lines[step] = (struct br_check_line){.state = state, .text = text};
    }
}

/* The steps up to the failed one, and after it. */
static void set_failed(struct br_check_line lines[BR_CHECK_STEP_COUNT], enum br_check_step failed,
                       bool timed_out, const char *advice)
{
    set(lines, failed, BR_CHECK_STEP_COUNT, BR_CHECK_NOT_REACHED, NULL);
    if (timed_out) {
        set(lines, BR_CHECK_NAME, failed, BR_CHECK_SKIPPED, "not known: the time had passed");
    }
    lines[failed] = (struct br_check_line){.state = BR_CHECK_FAILED, .text = advice};
}

bool br_check_judge(const struct br_check_setup *setup, const struct br_check_outcome *outcome,
                    struct br_check_line lines[BR_CHECK_STEP_COUNT])
{
    set(lines, BR_CHECK_CREDENTIAL, BR_CHECK_STEP_COUNT, BR_CHECK_OK, NULL);

    bool ok = went_through(outcome);
    if (!ok && !setup->has_credential) {
        ok = was_refused_by_modelarts(outcome);
    }
    if (!ok) {
        struct rule rule = *find_rule(outcome);
        if (!outcome->was_tried) {
            rule.step = BR_CHECK_CREDENTIAL;
            rule.timed_out = false;
            if (outcome->code == BR_DEADLINE_EXCEEDED) {
                rule.advice =
                    "IAM did not answer in time: check --iam-url, or give more with --default-timeout";
            }
        } else if (!setup->has_credential && rule.step > BR_CHECK_ANSWER) {
            rule.step = BR_CHECK_ANSWER;
            rule.advice = OTHER_SERVER;
        }
        /* Of a project that is none, neither can be said. */
        ok = !setup->has_project && rule.step >= BR_CHECK_PROJECT;
        if (!ok) {
            set_failed(lines, rule.step, rule.timed_out, advise(&rule, outcome, setup->auth));
        }
    }

    if (!setup->is_https && lines[BR_CHECK_TLS].state == BR_CHECK_OK) {
        set(lines, BR_CHECK_TLS, BR_CHECK_ANSWER, BR_CHECK_SKIPPED, "plain http");
    }
    if (!setup->has_credential) {
        set(lines, BR_CHECK_CREDENTIAL, BR_CHECK_NAME, BR_CHECK_SKIPPED,
            "each caller's own; give one in --token-file to try it");
        if (ok) {
            set(lines, BR_CHECK_ACCEPTED, BR_CHECK_STEP_COUNT, BR_CHECK_SKIPPED, "without a token");
        }
    } else if (ok && !setup->has_project) {
        set(lines, BR_CHECK_PROJECT, BR_CHECK_PERMISSION, BR_CHECK_SKIPPED,
            "each call names its own; set --project-id to have it checked");
        set(lines, BR_CHECK_PERMISSION, BR_CHECK_STEP_COUNT, BR_CHECK_SKIPPED, "not known without a project");
    }
    return ok;
}
