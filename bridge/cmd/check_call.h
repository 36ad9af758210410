/*
 * One call to ModelArts, waited for on the calling thread: asks for a service that nobody has.
 *
 * Which call, and what it has to carry, comes from the contract: the first method without side effects.
 *
 * Threads: the main thread; the HTTP clients' threads only wake it.
 * Source:  DESIGN.md section 2 (no path or field name in C); serve/call.h.
 */
#ifndef BR_CMD_CHECK_CALL_H
#define BR_CMD_CHECK_CALL_H

#include "cmd/check_verdict.h"
#include "contract/contract.h"
#include "serve/call.h"

/* The value of each variable of the path that no setting gives. */
#define BR_CHECK_PATH_VALUE "modelarts-bridge-check"

/* The first of |methods| that changes nothing and whose path has texts only; NULL when there is none. Pure. */
const struct br_method *br_check_method(const struct br_method *methods, size_t count);

/*
 * Packs a request for |method|: each variable of the path that |defaults| does not have is BR_CHECK_PATH_VALUE. Pure.
 * |out|    in |arena|.
 * Returns false when the arena is exhausted.
 */
bool br_check_pack(const struct br_method *method, const struct br_headers *defaults, struct br_arena *arena,
                   uint8_t **out, size_t *len) BR_MUST_CHECK;

/*
 * Makes the call and waits for its end, not longer than |config|'s default timeout.
 * |config| with an HTTP client; its |auth| NULL: without a credential.
 * |token|  goes out as the caller's; NULL: none.
 * |out|    written on success only; holds no secret.
 * Errors:  RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_check_call(const struct br_call_config *config, const struct br_method *method, const char *token,
                   struct br_check_outcome *out, struct br_status *st) BR_MUST_CHECK;

#endif
