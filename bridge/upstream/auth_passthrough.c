#include "upstream/auth.h"

static bool apply(const struct br_auth *self, const struct br_headers *metadata, struct br_arena *arena,
                  struct br_headers *out, struct br_status *st)
{
    (void)self;
    const char *token = br_headers_find(metadata, BR_AUTH_TOKEN_KEY);
    if (token == NULL || token[0] == '\0') {
        return br_status_set(st, BR_UNAUTHENTICATED, "TOKEN_MISSING",
                             "send an IAM token as the metadata key " BR_AUTH_TOKEN_KEY);
    }
    struct br_header *header = br_arena_alloc(arena, sizeof *header);
    if (header == NULL) {
        return br_arena_fail(arena, st);
    }
    *header = (struct br_header){.name = "X-Auth-Token", .value = token};
    *out = (struct br_headers){.items = header, .count = 1};
    return true;
}

static const struct br_auth passthrough = {.apply = apply};

const struct br_auth *br_auth_passthrough(void)
{
    return &passthrough;
}
