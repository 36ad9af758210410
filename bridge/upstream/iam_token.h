/*
 * What is asked of IAM to get a token, and what its answer says.
 *
 * Pure. Threads: any.
 * Source: wire_facts.md sections 1 and 7; RFC 3339.
 */
#ifndef BR_UPSTREAM_IAM_TOKEN_H
#define BR_UPSTREAM_IAM_TOKEN_H

#include "translate/vendor_body.h"
#include "upstream/credentials.h"
#include "upstream/http.h"

/* The files with the credentials, in the order of the set's values: username, password, domain, project. */
#define BR_IAM_TOKEN_FILE_COUNT 4
extern const struct br_credential_file br_iam_token_files[BR_IAM_TOKEN_FILE_COUNT];

/* Goes behind the URL of IAM. The catalog would make the answer, and in some regions the token, a lot longer. */
#define BR_IAM_TOKEN_PATH "/v3/auth/tokens?nocatalog=true"

/* The gateway takes no longer header. wire_facts.md section 3. */
#define BR_IAM_TOKEN_MAX_BYTES ((size_t)32 * 1024)

/* IAM's answer beside the token: without the catalog some KiB, but a proxy may drop the query that leaves it out. */
#define BR_IAM_TOKEN_ANSWER_MAX_BYTES ((size_t)1 << 20)

/*
 * The body that asks for a token for the user and project of |set|.
 * |set| borrowed; of br_iam_token_files.
 * |cap| the bytes that were allocated: the caller wipes them all, and releases the body with free().
 * Returns NULL without memory. No other copy of a secret is left behind.
 */
char *br_iam_token_write_body(const struct br_credential_set *set, size_t *cap) BR_MUST_CHECK;

/* What became of a request for a token. */
struct br_iam_outcome {
    /*
     * When |token| is NULL; holds nothing that IAM wrote but its error code.
     * UNAUTHENTICATED/TOKEN_REFUSED: IAM does not accept the credentials, it says so with 400, 401, 403 or 404.
     * UNAVAILABLE/TOKEN_UNAVAILABLE: anything else.
     */
    struct br_status st;
    char *token; /* the caller wipes it and releases it with free(); printable ASCII without spaces */
    size_t token_len;
    int64_t life_ms;                    /* of the token, from now on; above 0 */
    int http_status;                    /* 0: no answer */
    char request_id[BR_REQUEST_ID_CAP]; /* IAM's; "": none */
    int64_t retry_after_ms;             /* IAM's wish; -1: none */
    bool cancelled;                     /* the client is being destroyed */
};

/*
 * Reads how |exchange| ended.
 * |now_s| seconds since 1970.
 * |out|   written.
 */
void br_iam_token_read(const struct br_http_exchange *exchange, int64_t now_s, struct br_iam_outcome *out);

#endif
