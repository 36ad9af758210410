/*
 * The credential seam: what makes a request one that ModelArts accepts.
 *
 * Threads: any; an implementation is shared by all calls.
 * Source:  DESIGN.md section 7.
 */
#ifndef BR_UPSTREAM_AUTH_H
#define BR_UPSTREAM_AUTH_H

#include "base/arena.h"
#include "base/header.h"

/* The metadata key under which a caller hands over its own token. */
#define BR_AUTH_TOKEN_KEY "x-auth-token"

struct br_auth {
    /*
     * Gives the headers that authorise one request.
     * |metadata| the caller's, borrowed.
     * |out|      in |arena|.
     * Errors:    UNAUTHENTICATED/TOKEN_MISSING, RESOURCE_EXHAUSTED/OUT_OF_MEMORY
     */
    bool (*apply)(const struct br_auth *self, const struct br_headers *metadata, struct br_arena *arena,
                  struct br_headers *out, struct br_status *st) BR_MUST_CHECK;
};

/* Hands the caller's own x-auth-token on. Process lifetime. */
const struct br_auth *br_auth_passthrough(void);

#endif
