/*
 * The credential seam: what makes a request one that ModelArts accepts.
 *
 * A credential is at hand at once (a caller's token, a signature) or has to be fetched first: then the call waits, and
 * asks again when it is told to.
 *
 * Threads: apply, cancel and rejected by the call's owner, for any number of calls at a time; |ready| on any thread.
 * Source:  DESIGN.md section 7.
 */
#ifndef BR_UPSTREAM_AUTH_H
#define BR_UPSTREAM_AUTH_H

#include "base/arena.h"
#include "base/header.h"
#include "translate/error.h"

/* The metadata key under which a caller hands over its own token. */
#define BR_AUTH_TOKEN_KEY "x-auth-token"

/* The request that is to be authorised, as it will go out; all borrowed. */
struct br_auth_request {
    const char *verb;
    const char *url;
    struct br_headers headers;
    const char *body; /* NULL: none */
    size_t body_len;
    const struct br_headers *metadata; /* the caller's */
};

/* A call that waits for a credential: part of the call, zeroed before its first use. */
struct br_auth_waiter {
    /*
     * Asks the owner to apply again. Exactly once for each BR_AUTH_PENDING; never from inside apply or cancel, never
     * under a lock. After it, the waiter is not touched.
     */
    void (*ready)(struct br_auth_waiter *self);
    struct br_auth_waiter *previous, *next; /* the implementation's, while it waits */
    bool waiting;                           /* likewise */
    uint64_t generation;                    /* which credential the last grant used */
};

enum br_auth_result {
    BR_AUTH_GRANTED, /* |out| counts */
    BR_AUTH_REFUSED, /* |error| counts */
    BR_AUTH_PENDING, /* |waiter| will be told */
};

struct br_auth {
    /*
     * Gives the headers that authorise one request.
     * |waiter| the call's; kept while the result is BR_AUTH_PENDING, until |ready|.
     * |out|    in |arena|.
     * |error|  a code that the caller can act on: UNAUTHENTICATED for a credential that is wrong or missing,
     *          UNAVAILABLE where it could not be fetched, with the time to come back; RESOURCE_EXHAUSTED/OUT_OF_MEMORY.
     */
    enum br_auth_result (*apply)(struct br_auth *self, const struct br_auth_request *request,
                                 struct br_auth_waiter *waiter, struct br_arena *arena,
                                 struct br_headers *out, struct br_error *error) BR_MUST_CHECK;
    /* The call waits no longer: |ready| follows soon, unless it has come already. */
    void (*cancel)(struct br_auth *self, struct br_auth_waiter *waiter);
    /*
     * Upstream answered |error| to a request with the credential of |waiter|. Returns whether asking for another
     * credential and repeating the request, which was not executed, has a chance.
     */
    bool (*rejected)(struct br_auth *self, const struct br_auth_waiter *waiter, const struct br_error *error);
};

/*
 * Replaces each word of |text| that is, or is a longer part of, the value of a header that carries a credential, by
 * "***": a server may repeat what it was sent, and the credential may be another's than the reader's. Pure.
 * |text|    modified; never longer.
 * |headers| borrowed: those that were sent.
 */
void br_auth_hide(char *text, const struct br_headers *headers);

/* Hands the caller's own x-auth-token on. Process lifetime. */
struct br_auth *br_auth_passthrough(void);

#endif
