/*
 * The gateway's check of a signed request: the key, its lock, the date, the signature, the security token.
 *
 * Threads: none of its own; its user (api.c) holds a lock around every call.
 * Owns:    nothing; the texts are borrowed and kept.
 * Source:  API Request Signing Guide, "Signing Algorithm" and "Error Codes".
 */
#ifndef SIM_AKSK_H
#define SIM_AKSK_H

#include "message.h"
#include "target.h"

#include "base/clock.h"

/* How far X-Sdk-Date may be from the server's time, either way. */
#define SIM_AKSK_SKEW_MAX_S (15 * 60)
/* Failures in a row that a key may have; one more locks it. */
#define SIM_AKSK_FAILURES_MAX 5

struct sim_aksk {
    const struct br_clock *clock;
    const char *access_key;
    const char *secret_key;
    const char *security_token; /* NULL: the key is a permanent one */
    int64_t lock_ms;            /* how long a lock lasts */
    int failure_count;          /* in a row */
    int64_t locked_until_ms;
};

/* Whether |request| has an Authorization header of this scheme, well-formed or not. */
bool sim_aksk_is_signed(const struct sim_request *request);

/*
 * Checks a signed |request|.
 * Refusals: 401 APIGW.0301 in the gateway's words; a failure for the known key counts towards its lock.
 */
bool sim_aksk_check(struct sim_aksk *aksk, const struct sim_request *request, const struct sim_target *target,
                    struct sim_refusal *refusal);

#endif
