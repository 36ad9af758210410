/*
 * A failed call as its caller sees it: code, reason, message, and what the details of google.rpc.Status carry.
 *
 * Threads: those of the call's owner.
 * Owns:    nothing. Texts live in the call's arena, in the operator's error table, or as long as the process: an
 *          error must not outlive the first two. |st.reason| too, which elsewhere lives as long as the process:
 *          the reason of a vendor's code is in the table, or derived in the arena.
 * Source:  bridge_conventions.md section 3; google/rpc/error_details.proto.
 */
#ifndef BR_TRANSLATE_ERROR_H
#define BR_TRANSLATE_ERROR_H

#include "base/header.h"
#include "translate/error_row.h"
#include "translate/violation.h"

#include <stdint.h>

#define BR_DOMAIN_BRIDGE "modelarts-bridge"
#define BR_DOMAIN_MODELARTS "modelarts.myhuaweicloud.com"

#define BR_ERROR_METADATA_MAX 8

struct br_error {
    struct br_status st;
    const char *domain;                               /* one of the two above */
    struct br_header metadata[BR_ERROR_METADATA_MAX]; /* ErrorInfo.metadata: keys [a-z][a-z0-9_]* */
    size_t metadata_count;
    const struct br_violations *violations; /* BadRequest; NULL: none */
    const char *request_id;                 /* RequestInfo: upstream's; NULL: none */
    int64_t retry_after_ms;                 /* RetryInfo; -1: none */

    /*
     * From the row of the vendor's code. The message is the description of a quota or precondition, the reason
     * the type of the precondition; which service or model it was stands in the message alone.
     */
    enum br_error_detail detail;
    bool
        is_unmapped; /* the vendor's code has no row: the reason is made from it, the code from the HTTP status */
    const char *resource_type; /* of BR_DETAIL_RESOURCE */
};

/* |error| becomes OK with no details, of the bridge's own domain. */
void br_error_init(struct br_error *error);

/* Adds an entry to ErrorInfo.metadata; ignored when the table is full or |value| is NULL. Both are kept. */
void br_error_add_metadata(struct br_error *error, const char *key, const char *value);

/* Bytes that all trailers of an error may take together. bridge_conventions.md section 3. */
#define BR_TRAILER_BUDGET_BYTES 7168

/*
 * |error| as a serialized google.rpc.Status for the grpc-status-details-bin trailer.
 * Cuts to the budget, counting grpc-message percent-encoded and the details in base64. What goes, in this order,
 * until the rest fits:
 *   1. BadRequest: its violations from the last, and itself with the first
 *   2. QuotaFailure, PreconditionFailure or ResourceInfo: they say little that code and message do not
 *   3. RequestInfo: the trailer x-request-id has it too
 *   4. RetryInfo
 *   5. ErrorInfo: its metadata from the last, then itself
 * |error| borrowed.
 * |out|   in |arena|, |len| bytes; written on success only.
 * |cut|   written on success only: something went.
 * Returns false when the arena is exhausted: the call is then answered without details.
 */
bool br_error_encode(const struct br_error *error, struct br_arena *arena, uint8_t **out, size_t *len,
                     bool *cut) BR_MUST_CHECK;

#endif
