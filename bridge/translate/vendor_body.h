/*
 * Reads the body of a failed answer: which error code, which message, which request id.
 *
 * ModelArts, the gateway, IAM and whatever stands between answer in different shapes; this takes them all.
 *
 * Pure. Threads: any.
 * Source: wire_facts.md section 1.
 */
#ifndef BR_TRANSLATE_VENDOR_BODY_H
#define BR_TRANSLATE_VENDOR_BODY_H

#include "translate/vendor_code.h"

/* Bytes of a request id, the NUL included; ModelArts sends 32 hexadecimal digits. */
#define BR_REQUEST_ID_CAP 129

/* Each text is "" where the body has none, and cut between characters where it is too long. */
struct br_vendor_body {
    bool is_json;                       /* one JSON value */
    bool no_memory;                     /* to read it: nothing below is known */
    char code[BR_VENDOR_CODE_CAP];      /* as sent; a number as its digits */
    char message[BR_STATUS_MSG_CAP];    /* UTF-8; may hold control characters */
    char request_id[BR_REQUEST_ID_CAP]; /* printable ASCII */
};

/*
 * Fills |out| from any bytes whatever, in time and memory that grow with |len|: whoever collected the body has
 * bounded it. Known error bodies stay below 1 KiB, but their texts have no limit.
 * |body| borrowed; may be NULL when |len| is 0.
 * An object counts when it has error_code, errorCode or code, tried in this order, and an outer object before
 * the ones in it. A code is a string, or a whole number that is not negative.
 */
void br_vendor_body_read(const char *body, size_t len, struct br_vendor_body *out);

/* Copies |text| when it is printable ASCII and not empty, cut to fit; otherwise |out| becomes "". */
void br_request_id_copy(const char *text, char out[BR_REQUEST_ID_CAP]);

#endif
