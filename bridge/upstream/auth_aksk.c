#include "upstream/auth_aksk.h"

#include "translate/error_map.h"

#include <stdlib.h>

enum {
    FILE_ACCESS_KEY,
    FILE_SECRET_KEY,
    FILE_SECURITY_TOKEN,
};

const struct br_credential_file br_auth_aksk_files[BR_AUTH_AKSK_FILE_COUNT] = {
    [FILE_ACCESS_KEY] = {.name = "access-key", .required = true},
    [FILE_SECRET_KEY] = {.name = "secret-key", .required = true},
    [FILE_SECURITY_TOKEN] = {.name = "security-token", .required = false},
};

struct auth_aksk {
    struct br_auth base; /* first: |self| is this */
    struct br_auth_aksk_config config;
};

static enum br_auth_result apply(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error)
{
    (void)waiter;
    const struct br_auth_aksk_config *config = &((struct auth_aksk *)self)->config;
    struct br_sign_request sign_request = {
        .verb = request->verb,
        .url = request->url,
        .headers = request->headers,
        .body = request->body,
        .body_len = request->body_len,
        .unix_s = config->clock->unix_s(config->clock),
        .region = config->region,
        .service = config->service,
        .project_id = config->project_id,
    };
    const struct br_credential_set *set = br_credentials_take(config->credentials);
    struct br_sign_key key = {
        .access_key = set->values[FILE_ACCESS_KEY],
        .secret_key = set->values[FILE_SECRET_KEY],
        .security_token = set->values[FILE_SECURITY_TOKEN],
    };
    struct br_status st;
    bool ok = br_sign(&key, config->dialect, &sign_request, arena, out, &st);
    br_credentials_give_back(config->credentials, set);
    if (!ok) {
        br_error_from_status(&st, NULL, error);
    }
    return ok ? BR_AUTH_GRANTED : BR_AUTH_REFUSED;
}

/* Nobody ever waits here. */
static void cancel(struct br_auth *self, struct br_auth_waiter *waiter)
{
    (void)self;
    (void)waiter;
}

/* The same key would sign the same way. */
static bool rejected(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error)
{
    (void)self;
    (void)waiter;
    (void)error;
    return false;
}

bool br_auth_aksk_create(const struct br_auth_aksk_config *config, struct br_auth **out, struct br_status *st)
{
    struct auth_aksk *aksk = calloc(1, sizeof *aksk);
    if (aksk == NULL) {
        return br_status_set(st, BR_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "no memory for the signer");
    }
    aksk->base = (struct br_auth){.apply = apply, .cancel = cancel, .rejected = rejected};
    aksk->config = *config;
    if (aksk->config.region == NULL) {
        aksk->config.region = "";
    }
    if (aksk->config.service == NULL) {
        aksk->config.service = "";
    }
    *out = &aksk->base;
    return true;
}

void br_auth_aksk_destroy(struct br_auth *auth)
{
    free(auth);
}
