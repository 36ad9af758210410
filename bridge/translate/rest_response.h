/*
 * A 2xx answer of ModelArts -> the bytes of the typed response.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md section 1 (2xx: 204 and an empty body are the empty message).
 */
#ifndef BR_TRANSLATE_REST_RESPONSE_H
#define BR_TRANSLATE_REST_RESPONSE_H

#include "translate/json_read.h"

/*
 * Reads |body| by the plan of |method|'s output and packs it.
 * |method|   borrowed.
 * |body|     borrowed; |len| 0: the empty message.
 * |arena|    working memory.
 * |observer| borrowed; told of what the schema does not know. NULL: nobody asks.
 * |packed|   returned, from malloc, |packed_len| bytes; release with free(). Written on success only.
 * Errors:    INTERNAL/UPSTREAM_MALFORMED_RESPONSE, RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_rest_response_read(const struct br_method *method, const char *body, size_t len,
                           struct br_arena *arena, struct br_drift_observer *observer, uint8_t **packed,
                           size_t *packed_len, struct br_status *st) BR_MUST_CHECK;

#endif
