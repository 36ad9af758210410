/*
 * What upstream answered, or how it failed, -> the error that the caller gets. The only code that turns HTTP into gRPC.
 *
 * Order: the vendor's (HTTP status, error code) in the table, an operator's rows first -> the HTTP status -> the
 * shape of the body. A body that was cut is not read: the HTTP status decides.
 *
 * Pure. Threads: any.
 * Source: bridge_conventions.md sections 1 to 3; wire_facts.md sections 1 to 3; translate/error_codes.tsv.
 */
#ifndef BR_TRANSLATE_ERROR_MAP_H
#define BR_TRANSLATE_ERROR_MAP_H

#include "contract/contract.h"
#include "translate/error.h"
#include "translate/error_table.h"

/* An HTTP answer; all borrowed. */
struct br_http_answer {
    int status;                /* 100..599 */
    struct br_headers headers; /* at least content-type, retry-after, x-request-id where upstream sent them */
    const char *body;          /* may be NULL when |body_len| is 0; not NUL-terminated */
    size_t body_len;
    bool body_cut; /* the body passed the ceiling: |body| is its beginning */
};

/* Why there is no HTTP answer. Source of the split: bridge_conventions.md section 2. */
enum br_transport_failure {
    BR_TRANSPORT_CANCELLED,       /* the caller left */
    BR_TRANSPORT_DEADLINE,        /* the call's own deadline passed */
    BR_TRANSPORT_UNREACHABLE,     /* name, connection or TLS handshake failed: nothing was sent */
    BR_TRANSPORT_CONNECT_TIMEOUT, /* the connect limit passed: nothing was sent */
    BR_TRANSPORT_BROKEN,          /* the connection broke after the request may have been sent */
    BR_TRANSPORT_UNTRUSTED,       /* the server's certificate did not verify, or the CA file is unusable */
    BR_TRANSPORT_TOO_LARGE,       /* a 2xx body passed the ceiling */
    BR_TRANSPORT_NO_MEMORY,
    BR_TRANSPORT_FAILED, /* anything else */
};

/* Every reason of the bridge's own that this module can give is listed in proto/README.md. */

/*
 * Fills |error| from an answer that is not 2xx.
 * |answer| borrowed.
 * |method| borrowed.
 * |table|  kept by |error|, whose reason may point into it; NULL: the compiled rows alone.
 * |now_s|  seconds since 1970, for a Retry-After that is a date.
 * |arena|  receives the texts; when it is exhausted the code is still right and the details are fewer.
 * |error|  written; must not outlive |table| and |arena|.
 */
void br_error_from_answer(const struct br_http_answer *answer, const struct br_method *method,
                          const struct br_error_table *table, int64_t now_s, struct br_arena *arena,
                          struct br_error *error);

/*
 * Fills |error| from a transfer that gave no answer.
 * |what|   the transport library's name of the failure ("COULDNT_CONNECT"); process lifetime; NULL: none.
 * |text|   one sentence about it, copied unless the failure says all; NULL: none. Must hold no secret.
 * |method| borrowed.
 * |error|  written.
 */
void br_error_from_transport(enum br_transport_failure failure, const char *what, const char *text,
                             const struct br_method *method, struct br_error *error);

/*
 * Fills |error| from a status that the bridge set itself.
 * |st|         copied.
 * |violations| kept; NULL: none.
 */
void br_error_from_status(const struct br_status *st, const struct br_violations *violations,
                          struct br_error *error);

/*
 * Fills |error| from a 2xx answer that br_rest_response_read() refused with |st|. A body that is no JSON, of a type
 * that says so, is described by that type: what stands at which byte of a web page helps nobody.
 * |answer| has a body.
 * |arena|  receives the texts.
 */
void br_error_from_unreadable(const struct br_http_answer *answer, const struct br_status *st,
                              struct br_arena *arena, struct br_error *error);

/* The Retry-After value |text| (seconds, or an HTTP date) as milliseconds from |now_s|, 0..3600000; -1: neither. */
int64_t br_retry_after_ms(const char *text, int64_t now_s);

#endif
