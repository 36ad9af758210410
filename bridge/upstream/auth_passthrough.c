#include "upstream/auth.h"

#include "translate/error_map.h"

static enum br_auth_result apply(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error)
{
    (void)self;
    (void)waiter;
    struct br_status st;
    const char *token = br_headers_find(request->metadata, BR_AUTH_TOKEN_KEY);
    if (token == NULL || token[0] == '\0') {
        (void)br_status_set(&st, BR_UNAUTHENTICATED, "TOKEN_MISSING",
                            "send an IAM token as the metadata key " BR_AUTH_TOKEN_KEY);
        br_error_from_status(&st, NULL, error);
        return BR_AUTH_REFUSED;
    }
    struct br_header *header = br_arena_alloc(arena, sizeof *header);
    if (header == NULL) {
        (void)br_arena_fail(arena, &st);
        br_error_from_status(&st, NULL, error);
        return BR_AUTH_REFUSED;
    }
    *header = (struct br_header){.name = "X-Auth-Token", .value = token};
    *out = (struct br_headers){.items = header, .count = 1};
    return BR_AUTH_GRANTED;
}

/* Nobody ever waits here. */
static void cancel(struct br_auth *self, struct br_auth_waiter *waiter)
{
    (void)self;
    (void)waiter;
}

/* Only the caller can get another token. */
static bool rejected(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error)
{
    (void)self;
    (void)waiter;
    (void)error;
    return false;
}

struct br_auth *br_auth_passthrough(void)
{
    static struct br_auth passthrough = {.apply = apply, .cancel = cancel, .rejected = rejected};
    return &passthrough;
}
