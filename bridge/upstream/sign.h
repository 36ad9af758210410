/*
 * Signs a request with an access key and a secret key (AK/SK), in either of the two dialects that share the
 * algorithm name SDK-HMAC-SHA256.
 *
 * Pure: no I/O, no clock, no state. Threads: any.
 * Source: aksk_vectors.md; its dialect A is BR_SIGN_ACCESS, B is BR_SIGN_CREDENTIAL. Where it leaves a choice,
 *         sign.c names the client whose code was followed.
 */
#ifndef BR_UPSTREAM_SIGN_H
#define BR_UPSTREAM_SIGN_H

#include "base/arena.h"
#include "base/header.h"

#include <stdint.h>

/* Printable ASCII all three; a line break here would forge a header. */
struct br_sign_key {
    const char *access_key;
    const char *secret_key;
    const char *security_token; /* of a temporary key; NULL or "": none */
};

enum br_sign_dialect {
    BR_SIGN_ACCESS,     /* "Access=AK": the secret key signs */
    BR_SIGN_CREDENTIAL, /* "Credential=AK/date/region/service/sdk_request": a key derived from it signs */
};

struct br_sign_request {
    const char *verb;          /* as it goes out, upper case */
    const char *url;           /* absolute, as it goes out; http or https, no user info, no fragment */
    struct br_headers headers; /* that go out besides; Content-Type is signed when it is among them */
    const char *body;          /* the exact bytes; NULL: none */
    size_t body_len;
    int64_t unix_s;         /* now; the server accepts 15 minutes either way */
    const char *region;     /* BR_SIGN_CREDENTIAL only; may be "" */
    const char *service;    /* likewise */
    const char *project_id; /* NULL or "": none */
};

/*
 * Gives the headers that authorise one request: X-Sdk-Date, X-Project-Id and X-Security-Token where there is
 * one, Authorization. The Host header is signed but not given: it is the HTTP client's, and is taken to be
 * the URL's host as libcurl sends it, without the scheme's default port. libcurl rewrites some addresses
 * ("[0:0:0:0:0:0:0:1]" goes out as "[::1]", "127.1" as "127.0.0.1"): those must be in the short form already.
 *
 * |key|     borrowed; no copy of the secret key is left behind.
 * |request| borrowed.
 * |arena|   receives |out| and some working space, a small multiple of the URL and the signed headers.
 * |out|     in |arena|, values included; written on success only. At most four.
 * Errors:   INTERNAL/SIGNING_FAILED  libcrypto refused, or the time is outside the years 1970 to 9999
 *           RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_sign(const struct br_sign_key *key, enum br_sign_dialect dialect,
             const struct br_sign_request *request, struct br_arena *arena, struct br_headers *out,
             struct br_status *st) BR_MUST_CHECK;

#endif
