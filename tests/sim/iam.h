/*
 * IAM as far as the bridge needs it: a password becomes a token, and a token has an end.
 *
 * Threads: none of its own; its user (api.c) holds a lock around every call.
 * Owns:    the tokens and the counts of flaky faults; the settings' texts are borrowed and kept.
 * Source:  IAM API reference, KeystoneCreateUserTokenByPassword.
 */
#ifndef SIM_IAM_H
#define SIM_IAM_H

#include "message.h"
#include "target.h"
#include "tokens.h"

#include <cjson/cJSON.h>

/* Users with a flaky fault whose failures are counted; those of any other fail for ever. */
#define SIM_IAM_USERS_MAX 1000

struct sim_iam_user {
    char *name;
    int64_t fault_count; /* requests that the fault has failed */
};

/* What ModelArts or the gateway says about a token that has expired. */
enum sim_expired_form {
    SIM_EXPIRED_MODELARTS_0202,
    SIM_EXPIRED_MODELARTS_0203,
    SIM_EXPIRED_APIG_0301,
    SIM_EXPIRED_APIG_0307,
};

/* The settings' values, in that order; NULL-terminated. */
extern const char *const sim_expired_form_names[];

struct sim_iam {
    const char *user;
    const char *password;
    const char *domain;
    const char *project; /* the name */
    const char *project_id;
    int64_t token_lifetime_ms;
    size_t token_bytes;
    enum sim_expired_form expired_form;
    int64_t epoch_offset_ms; /* since 1970 = the caller's clock + this */
    struct sim_tokens tokens;
    struct sim_iam_user *users; /* those with a flaky fault */
    size_t user_count;
};

/* Releases what |iam| owns. Accepts a zeroed one. */
void sim_iam_finish(struct sim_iam *iam);

/* Whether this is a request for a token: POST /v3/auth/tokens, with any query. */
bool sim_iam_is_token_request(const struct sim_request *request, const struct sim_target *target);

/*
 * Checks a request for a token. |body| NULL: none, or no JSON. |user|, on success, is the user's name, which
 * points into |body|: the configured one, or one that asks for a fault that exists.
 * Refusals, all in IAM's form: 400 the request is malformed
 *                              401 wrong user, password or domain
 *                              404 no such project
 */
bool sim_iam_check(const struct sim_iam *iam, const struct sim_request *request, const cJSON *body,
                   const char **user, struct sim_refusal *refusal);

/* Hands out a token to |user|: X-Subject-Token and the 201's body. */
void sim_iam_issue(struct sim_iam *iam, const struct sim_target *target, const char *user, int64_t now_ms,
                   struct sim_answer *answer);

/*
 * Where the failures of |user|'s flaky fault are counted; NULL: there are too many users. Borrowed; valid
 * until the next call.
 */
int64_t *sim_iam_fault_count(struct sim_iam *iam, const char *user);

/*
 * Whether |text| is a token that was handed out and is still good.
 * Refusals: 401 in the form of |expired_form| for one that has expired
 *           401 ModelArts.0203 for one never handed out
 */
bool sim_iam_check_token(const struct sim_iam *iam, const char *text, int64_t now_ms,
                         struct sim_refusal *refusal);

#endif
