/*
 * The credential seam over an access key and a secret key: signs each request.
 *
 * Nothing is waited for. A signature that upstream refuses is never tried again: more than five of them lock the key.
 *
 * Threads: all functions on any.
 * Owns:    no secret: a set of credentials is taken for one signature at a time. A temporary key's security
 *          token, which goes out as a header, is copied into the call's arena.
 * Source:  aksk_vectors.md; wire_facts.md section 7; DESIGN.md section 7.
 */
#ifndef BR_UPSTREAM_AUTH_AKSK_H
#define BR_UPSTREAM_AUTH_AKSK_H

#include "base/clock.h"
#include "upstream/auth.h"
#include "upstream/credentials.h"
#include "upstream/sign.h"

/* The files with the credentials, in the order of the set's values: access-key, secret-key, security-token. */
#define BR_AUTH_AKSK_FILE_COUNT 3
extern const struct br_credential_file br_auth_aksk_files[BR_AUTH_AKSK_FILE_COUNT];

struct br_auth_aksk_config {
    struct br_credentials *credentials; /* of br_auth_aksk_files */
    const struct br_clock *clock;
    enum br_sign_dialect dialect;
    const char *region;     /* of BR_SIGN_CREDENTIAL; NULL: "" */
    const char *service;    /* likewise */
    const char *project_id; /* goes out as X-Project-Id; NULL: none */
};

/*
 * |config| copied; what it points at is kept until br_auth_aksk_destroy().
 * |out|    returned; release with br_auth_aksk_destroy().
 * Errors:  RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 *
 * A call is refused with an error of br_sign().
 */
bool br_auth_aksk_create(const struct br_auth_aksk_config *config, struct br_auth **out,
                         struct br_status *st) BR_MUST_CHECK;

/* All calls have ended. Accepts NULL. */
void br_auth_aksk_destroy(struct br_auth *auth);

#endif
