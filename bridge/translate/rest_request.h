/*
 * A typed request -> the REST request that ModelArts expects.
 *
 * Pure. Threads: those of the call's owner.
 * Source: google/api/http.proto (path, query, body); bridge_conventions.md section 4 (URL safety).
 */
#ifndef BR_TRANSLATE_REST_REQUEST_H
#define BR_TRANSLATE_REST_REQUEST_H

#include "base/header.h"
#include "contract/contract.h"
#include "translate/validate.h"

/* Bytes of one path value; the longest that ModelArts documents is 128 characters. */
#define BR_PATH_VALUE_MAX_BYTES 512

/* What does not come from the call. */
struct br_rest_config {
    const char *base_url;       /* "https://host[:port][/prefix]", no trailing slash */
    struct br_headers defaults; /* values of path variables that a request leaves out, by field name */
};

struct br_rest_request {
    const char *verb; /* process lifetime */
    const char *url;  /* in the arena */
    char *body;       /* NULL: none; owned, from malloc */
    size_t body_len;
};

/*
 * Checks the bytes of one unary request, validates it and builds the REST request from it.
 * |method|     borrowed; |out|'s verb is its.
 * |config|     borrowed.
 * |bytes|      borrowed; |len| bytes.
 * |violations| initialised; its arena receives the texts of what is wrong, and |out|'s URL. Holds what was wrong when the
 *              call is refused.
 * |warnings|   begins zeroed; filled also when the call is refused.
 * |out|        written on success only; release with br_rest_request_finish().
 * Errors:      those of br_wire_check(), br_mask_apply() and br_json_write()
 *              INVALID_ARGUMENT/MALFORMED_MESSAGE  not a message of the method's input
 *              INVALID_ARGUMENT/VALIDATION_FAILED  every violation, path values included
 *              INVALID_ARGUMENT/URL_TOO_LONG       the URL would pass 32 KiB
 *              RESOURCE_EXHAUSTED/OUT_OF_MEMORY
 */
bool br_rest_request_build(const struct br_method *method, const struct br_rest_config *config,
                           const uint8_t *bytes, size_t len, struct br_violations *violations,
                           struct br_warnings *warnings, struct br_rest_request *out,
                           struct br_status *st) BR_MUST_CHECK;

/* Accepts a zeroed one. */
void br_rest_request_finish(struct br_rest_request *request);

#endif
