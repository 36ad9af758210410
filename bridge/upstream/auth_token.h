/*
 * The credential seam over tokens of IAM: fetches one with the user's password, renews it before it ends, and
 * lets calls wait while there is none.
 *
 * One fetch is under way at a time, however many calls wait. From somewhere between 70 and 85 % of a token's life
 * on a call starts the next fetch, and goes on with the old token. A token at its very end is not handed out.
 * After a failed fetch the next one has to wait: calls fail at once until then. The credential files are looked
 * at with every call: new contents make the token one that is to be renewed, and lift the wait after a refusal.
 *
 * Threads: all functions on any. |ready| and the log lines come on the thread of the HTTP client.
 * Owns:    the token and each request's body; both are wiped before they are released. A copy of the token is in the
 *          arena of each call that was granted it.
 * Source:  wire_facts.md section 7; DESIGN.md section 7;
 *          https://support.huaweicloud.com/intl/en-us/usermanual-iam5/iam_01_1172.html (account lockout).
 */
#ifndef BR_UPSTREAM_AUTH_TOKEN_H
#define BR_UPSTREAM_AUTH_TOKEN_H

#include "upstream/auth.h"
#include "upstream/iam_token.h"

/* A token is handed out until this time before its end, or for 95 % of its life where that is shorter. */
#define BR_AUTH_TOKEN_MARGIN_MS 30000

/* The pause after a fetch without an answer or with one that does not help: drawn from 0..BASE, doubling up to MAX. */
#define BR_AUTH_TOKEN_PAUSE_BASE_MS 1000
#define BR_AUTH_TOKEN_PAUSE_MAX_MS 60000

/*
 * The pause after IAM refused the credentials: BASE, doubling up to MAX, and up to a quarter more. IAM locks
 * a user after 5 wrong passwords in 15 minutes, as long as nobody changed that: this makes at most 4.
 */
#define BR_AUTH_TOKEN_REFUSED_BASE_MS 60000
#define BR_AUTH_TOKEN_REFUSED_MAX_MS 900000

/*
 * Upstream's word ends a token, but when it comes within this time of the fetch, the next such end has to wait, for
 * PAUSE_BASE and doubling up to PAUSE_MAX: IAM may go on giving tokens that upstream goes on refusing.
 */
#define BR_AUTH_TOKEN_TRUSTED_MS 300000

struct br_auth_token_config {
    const char *iam_url;                /* "https://iam.example", checked, no slash at its end; copied */
    struct br_credentials *credentials; /* of br_iam_token_files; kept */
    struct br_http *http;               /* for IAM alone; kept */
    const struct br_clock *clock;       /* kept */
    int64_t timeout_ms;                 /* of one fetch, 1 or more */
    uint32_t (*random32)(void);         /* any 32 bits, on any thread: arc4random */
};

/*
 * |config| copied; what it points at is kept until br_auth_token_destroy().
 * |out|    returned; release with br_auth_token_destroy(). Nothing is fetched yet.
 * Errors:  RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 *
 * A call is refused with
 *          UNAUTHENTICATED/TOKEN_REFUSED      IAM does not accept the credentials: HTTP 400, 401, 403 or 404
 *          UNAVAILABLE/TOKEN_UNAVAILABLE      no token for another reason, with the time until the next fetch
 *          RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_auth_token_create(const struct br_auth_token_config *config, struct br_auth **out,
                          struct br_status *st) BR_MUST_CHECK;

/*
 * Wipes and releases. Before this, in this order: all calls have ended, and the HTTP client was destroyed, which ends a
 * fetch that is under way. Accepts NULL.
 */
void br_auth_token_destroy(struct br_auth *auth);

/*
 * Starts a fetch if a call would start one. At start, and as often as wanted after: a bridge that gets no
 * calls while it has no token would else never try again.
 */
void br_auth_token_prefetch(struct br_auth *auth);

/* How a fetch can end, but for the bridge's own end. */
enum br_auth_token_fetch {
    BR_AUTH_TOKEN_OK,
    BR_AUTH_TOKEN_REFUSED, /* IAM does not accept the credentials */
    BR_AUTH_TOKEN_FAILED,  /* no token for another reason */
    BR_AUTH_TOKEN_FETCH_COUNT,
};

struct br_auth_token_state {
    bool at_hand;                  /* a call would be granted a token now */
    int64_t age_us;                /* of the token; 0: there is none */
    int64_t expires_in_s;          /* the same */
    int64_t expires_unix_s;        /* the same, as a date by the bridge's clock */
    struct br_status last_failure; /* BR_OK: the last fetch gave a token, or there was none yet */
    int64_t fetch_counts[BR_AUTH_TOKEN_FETCH_COUNT]; /* since the start, by how they ended */
};

/* |out| written; holds no secret. */
void br_auth_token_state(struct br_auth *auth, struct br_auth_token_state *out);

#endif
